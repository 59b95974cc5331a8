//! The seam to the engine: a statement and arguments go in, rows and their completeness come out.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A scalar in an answer. Timestamps and JSON come as PostgreSQL's text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// Boolean.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// Text, and everything whose output form is text (timestamptz, interval, inet …).
    Text(String),
    /// jsonb or an array, as JSON.
    Json(serde_json::Value),
}

/// An argument of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlArg {
    /// Name; positional arguments have their number as name (`1`).
    pub name: String,
    /// Value.
    pub value: serde_json::Value,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerColumn {
    /// Name.
    pub name: String,
    /// PostgreSQL's name of the type.
    pub data_type: String,
}

/// A call that failed: rows or columns of this table in this scope may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeFailure {
    /// The table.
    pub table: String,
    /// The connection.
    pub connection: String,
    /// Account id, where known; in Azure the subscription's or the tenant's.
    pub account: Option<String>,
    /// What that is: `account`, `subscription` or `tenant`.
    pub noun: &'static str,
    /// Region; `None`: the whole account.
    pub region: Option<String>,
    /// Row the call was for; `None`: the whole scope.
    pub row: Option<String>,
    /// Unknown columns; empty: whole rows.
    pub columns: Vec<String>,
    /// Error code.
    pub code: String,
    /// One line for people: operation, scope, code, message, request id.
    pub message: String,
}

/// What was asked of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableScopes {
    /// The table.
    pub table: String,
    /// What the accounts of its scopes are: `account`, `subscription` or `tenant`.
    pub noun: &'static str,
    /// (connection, account id where known, region), sorted.
    pub scopes: Vec<(String, Option<String>, String)>,
}

/// A part of an answer that shows the cloud as it was earlier. Sorted by table, source, connection, account, then time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OlderPart {
    /// The table.
    pub table: String,
    /// Where it comes from: `cache`, `credential report` …
    pub source: String,
    /// The connection.
    pub connection: String,
    /// The account id, where it is known.
    pub account: Option<String>,
    /// The time it shows; the oldest where there are several.
    pub at: DateTime<Utc>,
    /// It shows that time or a later one: the source does not say which.
    pub or_later: bool,
    /// What the account is: `account`, `subscription` or `tenant`.
    pub noun: &'static str,
}

/// What it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Requests that reached a cloud.
    pub calls: u64,
    /// Answers reused.
    pub cache_hits: u64,
    /// Further attempts.
    pub retries: u64,
    /// Throttled attempts.
    pub throttles: u64,
}

/// Rows and what is known about their completeness.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Columns.
    pub columns: Vec<AnswerColumn>,
    /// Rows, as wide as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// Failed calls; empty: complete.
    pub failures: Vec<ScopeFailure>,
    /// What was asked.
    pub tables: Vec<TableScopes>,
    /// What people should know about the answer, sorted.
    pub notices: Vec<String>,
    /// Parts that are older than the statement, in a stable order.
    pub older: Vec<OlderPart>,
    /// What it cost.
    pub counts: CallCounts,
}

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// The statement is wrong.
    Statement,
    /// An expression failed on data.
    Data,
    /// No credentials or nothing reachable.
    Cloud,
    /// A bug of ours.
    Internal,
}

/// A statement failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// Who is at fault.
    pub kind: SqlErrorKind,
    /// One line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Runs SQL for the runner; `cli` implements it over the engine.
#[async_trait]
pub trait SqlRunner: Send + Sync {
    /// Runs one statement to its end. Dropping the future cancels the calls in flight.
    async fn run(&self, sql: &str, args: &[SqlArg]) -> Result<Answer, SqlError>;

    /// Is there such a table? Leaves whose tables are missing are "not implemented" instead of failing.
    fn has_table(&self, name: &str) -> bool;

    /// The run's clock.
    fn now(&self) -> DateTime<Utc>;

    /// Calls of the whole process so far, for progress.
    fn calls_so_far(&self) -> CallCounts;
}
