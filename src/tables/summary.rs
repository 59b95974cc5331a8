//! Another way to a table's rows: a report or a bulk answer of the service, in the place of calls per parent or per row.
//!
//! Owns: what a summary can give and when it may. Refuses: to be chosen where it saves no calls, or shows what is older than a query allows.

use crate::program::Program;
use crate::run::LinkSource;
use chrono::TimeDelta;
use serde_json::Value;
use std::sync::Arc;

/// A summary of a spec, compiled.
#[derive(Debug)]
pub struct Summary {
    pub(crate) source: String,
    /// How old it can be; zero: it shows the present.
    pub(crate) staleness: TimeDelta,
    /// Its answer says how old it is.
    pub(crate) dated: bool,
    /// The last link that is about the summary itself; those after it are calls of the table.
    pub(crate) head: usize,
    /// Columns, and the values that filters must leave them.
    pub(crate) when: Vec<(String, Vec<Value>)>,
    /// Columns whose upper bounds it reads.
    pub(crate) bounded: Vec<String>,
    pub(crate) program: Arc<Program>,
    /// Which columns of the table it gives.
    pub(crate) gives: Vec<bool>,
}

impl Summary {
    /// What it is called: `credential report`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How old it can be; zero: it shows the present.
    pub fn staleness(&self) -> TimeDelta {
        self.staleness
    }

    /// How far behind it can be without saying so: the time that a query has to allow for.
    pub fn silence(&self) -> TimeDelta {
        if self.dated { TimeDelta::zero() } else { self.staleness }
    }

    /// Names of the columns that it gives, but for those every table has.
    pub fn columns(&self) -> Vec<&str> {
        self.named(true)
    }

    /// Names of the columns that it does not give.
    pub fn lacks(&self) -> Vec<&str> {
        self.named(false)
    }

    fn named(&self, wanted: bool) -> Vec<&str> {
        let columns = self.program.columns.iter().zip(&self.gives).filter(|(column, given)| **given == wanted && !column.common);
        columns.map(|(column, _)| column.name.as_str()).collect()
    }

    /// Is this link about the summary itself? While those have given nothing, the table can be listed instead.
    pub fn is_head(&self, link: usize) -> bool {
        link <= self.head
    }

    /// The last link that is about the summary itself.
    pub fn is_last_of_head(&self, link: usize) -> bool {
        link == self.head
    }

    /// How many of its calls are about all subscriptions that a scan asks, and made once for them.
    pub fn shared_calls(&self) -> usize {
        self.program.links.iter().filter(|link| link.is_shared()).count()
    }

    /// Does it only say which parents are asked, so that the rows themselves are read live?
    pub fn screens(&self) -> bool {
        self.program.links[self.head + 1..].iter().any(|link| matches!(link.source, LinkSource::Call(_)))
    }
}
