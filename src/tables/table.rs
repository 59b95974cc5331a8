//! A parsed and checked table spec.

use crate::plan::{CallPlan, Filter, PlanError, Request};
use crate::{Column, ColumnType};

/// What a table is asked per.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Once per account, at the partition's home region.
    Account,
    /// Once per account and region.
    Region,
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
    /// Service whose supported regions narrow a regional table (botocore's name).
    pub service: Option<String>,
    /// Columns in order; the common ones (partition, region, account_id, _ctx, sp_connection_name, sp_ctx) last.
    pub columns: Vec<Column>,
    /// Key columns.
    pub keys: Vec<Key>,
    /// SQL of a view; `None` for a table of calls.
    pub view: Option<String>,
}

impl Table {
    /// Compiles projection, filters and limit into calls.
    ///
    /// # Errors
    /// A required key column has no filter: the message names the fix.
    pub fn plan(&self, request: &Request) -> Result<CallPlan, PlanError> {
        let _ = request;
        unimplemented!()
    }

    /// Does this filter reach an API parameter? The engine evaluates every filter again, so this is only about cost.
    pub fn uses(&self, filter: &Filter) -> bool {
        let _ = filter;
        unimplemented!()
    }

    /// `service.Operation` of every call behind the table, with the columns each one is made for (empty: for every row). For `.inspect`.
    pub fn calls(&self) -> Vec<(String, Vec<String>)> {
        unimplemented!()
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
