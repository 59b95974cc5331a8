//! Controls, benchmarks and their verdicts.
//!
//! Owns: the model, YAML loading, selection, the runner, the result model. Refuses: knowing how SQL is run (see [`SqlRunner`]) and how
//! a report looks.

mod sql;

pub use sql::{Answer, AnswerColumn, CallCounts, ScopeFailure, SqlArg, SqlError, SqlErrorKind, SqlRunner, TableScopes, Value};
