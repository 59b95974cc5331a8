//! From a projection and filters to the plan of calls, which `engine` executes.

mod among;
mod early;
mod tree;

pub(crate) use among::Among;
pub use early::Known;
pub use tree::{CallGroup, Per};

use crate::expr::Fact;
use crate::program::{Program, Source};
use crate::run::{Also, Keys, Link, LinkSource, Override};
use crate::summary::Summary;
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A value in a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// Boolean.
    Bool(bool),
    /// Point in time.
    Timestamp(DateTime<Utc>),
}

/// `<` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeOp {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A filter of the query, in the form key columns understand. Several filters of a request are ANDed.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// `column = a` or `column IN (a, b)`.
    OneOf {
        /// The column.
        column: String,
        /// The values, without NULL and without repetition.
        values: Vec<Scalar>,
    },
    /// `column >= a`.
    Range {
        /// The column.
        column: String,
        /// The operator.
        op: RangeOp,
        /// The bound.
        value: Scalar,
    },
    /// `column LIKE 'prefix%'`.
    Prefix {
        /// The column.
        column: String,
        /// The literal prefix, unescaped.
        prefix: String,
    },
}

/// What a query wants of a table.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Positions of the columns, in output order.
    pub projection: Vec<usize>,
    /// ANDed filters; those that reach no parameter are ignored.
    pub filters: Vec<Filter>,
    /// The statement's clock, for calls whose parameters depend on it.
    pub now: DateTime<Utc>,
}

/// Why a request cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub String);

/// The calls that answer a request, as `engine::execute` walks them.
#[derive(Debug)]
pub struct CallPlan {
    pub(crate) program: Arc<Program>,
    pub(crate) projection: Vec<usize>,
    pub(crate) schema: SchemaRef,
    pub(crate) starts: Vec<Start>,
    pub(crate) waves: Vec<Vec<usize>>,
    pub(crate) facts: BTreeSet<Fact>,
    pub(crate) notices: Vec<String>,
    pub(crate) now: DateTime<Utc>,
    /// The summary it reads; `None`: the table's own calls.
    pub(crate) summary: Option<Arc<Summary>>,
}

/// Where rows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The get call.
    Get,
    /// The chain, from this link on.
    Links(usize),
}

/// One walk through the calls: `IN` lists give several. Rows of different starts are different.
#[derive(Debug, Clone)]
pub struct Start {
    pub(crate) route: Route,
    pub(crate) keys: Keys,
    pub(crate) overrides: Vec<Override>,
    pub(crate) expected: Vec<(usize, Scalar)>,
    pub(crate) among: Arc<Among>,
}

impl Start {
    /// Where it begins.
    pub fn route(&self) -> Route {
        self.route
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn overrides(&self, link: usize) -> Vec<&Override> {
        match self.route {
            Route::Get => Vec::new(),
            Route::Links(_) => self.overrides.iter().filter(|o| o.link == link).collect(),
        }
    }

    pub(crate) fn expected(&self) -> &[(usize, Scalar)] {
        &self.expected
    }
}

impl CallPlan {
    /// Schema of the projected columns, in the request's order.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The walks to make; none when the filters contradict each other.
    pub fn starts(&self) -> &[Start] {
        &self.starts
    }

    /// What people should know about the answer before they trust it: a time range that the API does not keep, for one.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The summary that it reads instead of the table's own calls, if it does.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_deref()
    }

    /// How many of its calls are about all subscriptions that a scan asks.
    pub fn shared_calls(&self) -> usize {
        self.summary().map_or(0, Summary::shared_calls)
    }

    /// The statement's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Must partition and account id be known, or cloud, subscription and tenant?
    pub fn needs_identity(&self) -> bool {
        [Fact::AccountId, Fact::Partition, Fact::TenantId].iter().any(|f| self.facts.contains(f))
    }

    /// Must the regions of the connection be known?
    pub fn needs_regions(&self) -> bool {
        self.facts.contains(&Fact::Regions)
    }

    /// The chain.
    pub fn links(&self) -> &[Link] {
        &self.program.links
    }

    /// The call that gets rows by key.
    pub fn get(&self) -> Option<&Link> {
        self.program.get.as_ref()
    }

    /// Further calls per row, in waves: those of a wave can be made at the same time, after those of the waves before.
    pub fn waves(&self) -> &[Vec<usize>] {
        &self.waves
    }

    /// A further call.
    pub fn also(&self, also: usize) -> &Also {
        &self.program.alsos[also]
    }

    /// Further calls whose answers this one reads.
    pub fn needs(&self, also: usize) -> &[usize] {
        &self.program.needs[also]
    }

    /// Projected columns that are unknown when this further call fails.
    pub fn affected(&self, also: usize) -> Vec<String> {
        self.columns().filter(|c| c.alsos.contains(&also)).map(|c| c.name.clone()).collect()
    }

    /// `service.Operation`, or `arm GET /path`, of every call the plan can make, in order, each once.
    pub fn operations(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut add = |name: String| {
            if !out.contains(&name) {
                out.push(name);
            }
        };
        for start in &self.starts {
            let links = match start.route {
                Route::Get => self.program.get.as_slice(),
                Route::Links(first) => &self.program.links[first..],
            };
            for link in links {
                if let LinkSource::Call(call) = &link.source {
                    add(call.name());
                }
                if let Some(make) = &link.make {
                    add(make.call.name());
                }
            }
        }
        if !self.starts.is_empty() {
            self.waves.iter().flatten().for_each(|a| add(self.program.alsos[*a].call.name()));
        }
        out
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Source> {
        self.projection.iter().map(|c| &self.program.columns[*c])
    }
}
