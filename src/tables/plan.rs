//! From a projection and filters to the plan of calls, which `engine` executes.

use chrono::{DateTime, Utc};

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
}

/// Why a request cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub String);

/// The calls that answer a request. Its parts are what `engine::execute` walks.
#[derive(Debug)]
pub struct CallPlan {}
