//! A parsed and checked table spec.

use crate::plan::{CallPlan, Filter, PlanError, Request};
use crate::program::Program;
use crate::run::LinkSource;
use crate::summary::Summary;
use crate::{Column, ColumnType, SpecError, planner, spec};
use chrono::TimeDelta;
use std::sync::Arc;

/// What a table is asked per.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Once per account, at the partition's home region.
    Account,
    /// Once per account and region.
    Region,
    /// Once per subscription.
    Subscription,
    /// Once per tenant.
    Tenant,
}

/// How an operator of a key column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOp {
    /// `=`
    Eq,
    /// `IN`
    In,
    /// `LIKE 'x%'`
    Prefix,
    /// `<`, `<=`, `>`, `>=`
    Range,
}

/// A column whose filter becomes a request parameter.
#[derive(Debug, Clone)]
pub struct Key {
    /// The column.
    pub column: String,
    /// Operators that reach the API.
    pub ops: Vec<KeyOp>,
    /// A query without it is refused.
    pub required: bool,
}

/// A table: columns, key columns, and either calls or a view.
#[derive(Debug)]
pub struct Table {
    /// Name as in SQL.
    pub name: String,
    /// One sentence of ours.
    pub about: String,
    /// What it is asked per.
    pub scope: ScopeKind,
    /// Whose cloud its calls go to: `aws`, `azure`; of a view, the first word of its name.
    pub provider: String,
    /// Service whose supported regions narrow a regional table (botocore's name).
    pub service: Option<String>,
    /// Columns in order; the common ones (partition, region, account_id, _ctx, sp_connection_name, sp_ctx) last.
    pub columns: Vec<Column>,
    /// Key columns.
    pub keys: Vec<Key>,
    /// SQL of a view; `None` for a table of calls.
    pub view: Option<String>,
    pub(crate) program: Arc<Program>,
    pub(crate) summaries: Vec<Arc<Summary>>,
}

impl Table {
    /// Loads a spec from its text; `file` is named in errors, and its last part without `.yaml` is the table's name.
    ///
    /// # Errors
    /// The spec is bad: file:line:column, what, hint.
    pub fn load(file: &str, source: &str) -> Result<Table, SpecError> {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        spec::load(file, name.strip_suffix(".yaml").unwrap_or(name), source)
    }

    /// Compiles projection and filters into calls.
    ///
    /// # Errors
    /// A required key column has no filter: the message names the fix.
    pub fn plan(&self, request: &Request) -> Result<CallPlan, PlanError> {
        if self.view.is_some() {
            return Err(PlanError(format!("{} is a view: it has no calls of its own", self.name)));
        }
        let mut fields = Vec::with_capacity(request.projection.len());
        for column in &request.projection {
            let column = self.columns.get(*column).ok_or_else(|| PlanError(format!("{} has no column number {column}", self.name)))?;
            fields.push(column.field());
        }
        planner::plan(&self.name, &self.program, fields, request)
    }

    /// The plan by a summary of the table, where that answers the request with fewer calls than `own`, the table's own plan; the answer may show
    /// the cloud as it was `max_staleness` ago.
    pub fn summarized(&self, own: &CallPlan, request: &Request, max_staleness: TimeDelta) -> Option<CallPlan> {
        planner::summary::plan(self, own, request, max_staleness)
    }

    /// Its summaries, in the order in which they are tried.
    pub fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.summaries.iter().map(|summary| &**summary)
    }

    /// Can a summary of the table make something of this filter?
    pub fn heeds(&self, filter: &Filter) -> bool {
        planner::summary::heeds(self, filter)
    }

    /// Does this filter reach an API parameter? The engine evaluates every filter again, so this is only about cost.
    pub fn uses(&self, filter: &Filter) -> bool {
        planner::uses(&self.program, filter)
    }

    /// `service.Operation`, or `arm GET /path`, of every call behind the table, with the columns each one is made for (empty: for every row). For `.inspect`.
    pub fn calls(&self) -> Vec<(String, Vec<String>)> {
        let program = &self.program;
        let mut out: Vec<(String, Vec<String>)> = Vec::new();
        let mut rows = |name: String| {
            if !out.iter().any(|(n, c)| *n == name && c.is_empty()) {
                out.push((name, Vec::new()));
            }
        };
        for link in program.links.iter().chain(&program.get) {
            if let LinkSource::Call(call) = &link.source {
                rows(call.name());
            }
            if let Some(fallback) = &link.fallback {
                rows(fallback.call.name());
            }
        }
        for also in &program.alsos {
            let columns = program.columns.iter().filter(|c| c.alsos.contains(&also.index)).map(|c| c.name.clone()).collect::<Vec<_>>();
            out.push((also.call.name(), columns.clone()));
            if let Some(fallback) = &also.fallback {
                out.push((fallback.call.name(), columns));
            }
        }
        out
    }

    /// Is this one of the columns that come by themselves, so that its value is the scope's and the same in every row of it? A spec that
    /// declares `region` takes it from its rows.
    pub fn is_of_scope(&self, column: &str) -> bool {
        self.program.columns.iter().any(|c| c.common && c.name == column)
    }

    /// The common column that says whose scope a row is of.
    pub fn account_column(&self) -> &'static str {
        match self.scope {
            ScopeKind::Account | ScopeKind::Region => "account_id",
            ScopeKind::Subscription => "subscription_id",
            ScopeKind::Tenant => "tenant_id",
        }
    }

    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Type of a column.
    pub fn column_type(&self, name: &str) -> Option<ColumnType> {
        self.column(name).map(|i| self.columns[i].ty)
    }
}
