//! Finished rows to Arrow, with only the projected columns.

use super::convert::{Builder, text};
use super::row::{Facts, Row};
use crate::expr::Env;
use crate::plan::{CallPlan, Scalar, Start};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use serde_json::Value;
use std::collections::HashSet;

/// A value that does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The column; NULL in the row.
    pub column: String,
    /// Why.
    pub message: String,
}

/// Collects rows into a batch.
pub struct BatchBuilder<'p> {
    plan: &'p CallPlan,
    builders: Vec<Builder>,
    rows: usize,
}

impl std::fmt::Debug for BatchBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchBuilder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<'p> BatchBuilder<'p> {
    /// An empty batch of a plan.
    pub fn new(plan: &'p CallPlan) -> BatchBuilder<'p> {
        BatchBuilder { plan, builders: plan.columns().map(|c| Builder::new(c.ty)).collect(), rows: 0 }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// No rows so far?
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends a row. Columns that need a failed call are NULL; values that do not fit are NULL and reported.
    pub fn push(&mut self, row: &Row, start: &Start, facts: &Facts) -> Vec<Problem> {
        let mut problems = Vec::new();
        let env = Env { this: row.this(), row: Some(row), facts, keys: start.keys(), item: None };
        for (builder, column) in self.builders.iter_mut().zip(self.plan.columns()) {
            if column.alsos.iter().any(|also| row.unknown(*also)) {
                builder.append_null();
                continue;
            }
            let appended = match column.source.eval(&env) {
                Ok(value) => builder.append(&value),
                Err(why) => {
                    builder.append_null();
                    Err(why.0)
                }
            };
            if let Err(message) = appended {
                problems.push(Problem { column: column.name.clone(), message });
            }
        }
        self.rows += 1;
        problems
    }

    /// The batch; the builder is empty again.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(self.plan.schema().clone(), self.builders.iter_mut().map(Builder::finish).collect(), &options)
    }
}

impl CallPlan {
    /// The name a person knows the row by: its first text column that needs no further call.
    pub fn row_name(&self, row: &Row, start: &Start, facts: &Facts) -> Option<String> {
        let env = Env { this: row.this(), row: Some(row), facts, keys: start.keys(), item: None };
        self.program().names().find_map(|column| column.source.eval(&env).ok().and_then(|v| text(&v).ok().flatten()))
    }

    /// The row's region as its `region` column has it; `None` where that is not known.
    pub fn row_region(&self, row: &Row, start: &Start, facts: &Facts) -> Option<String> {
        let env = Env { this: row.this(), row: Some(row), facts, keys: start.keys(), item: None };
        let column = self.program().columns.iter().find(|c| c.name == "region")?;
        let known = column.alsos.iter().all(|a| row.known(*a));
        known.then(|| column.source.eval(&env).ok().and_then(|v| text(&v).ok().flatten())).flatten()
    }

    /// Does the row belong to this start, and is it one of those that are asked for? When values of a key column are asked one by one, an
    /// API that matches more than the value (a prefix, another case) would give the same row for several of them.
    pub fn belongs(&self, row: &Row, start: &Start, facts: &Facts) -> bool {
        let env = Env { this: row.this(), row: Some(row), facts, keys: start.keys(), item: None };
        let expected = start.expected().iter().all(|(column, want)| match self.program().columns[*column].source.eval(&env) {
            Ok(value) => same(&value, want),
            Err(_) => true,
        });
        // What cannot be read stays: the engine reports it.
        let is_among = |(column, values): (usize, &HashSet<String>)| match self.program().columns[column].source.eval(&env) {
            Ok(value) => text(&value).map_or(true, |own| own.is_some_and(|own| values.contains(&own))),
            Err(_) => true,
        };
        expected && start.among.columns().all(is_among)
    }
}

fn same(value: &Value, want: &Scalar) -> bool {
    match want {
        Scalar::Text(t) => text(value).is_ok_and(|v| v.as_deref() == Some(t)),
        Scalar::Bool(b) => value.as_bool() == Some(*b) || value.as_str() == Some(if *b { "true" } else { "false" }),
        Scalar::Int(i) => value.as_i64() == Some(*i) || value.as_str().is_some_and(|s| s.trim() == i.to_string()),
        Scalar::Double(_) | Scalar::Timestamp(_) => true,
    }
}
