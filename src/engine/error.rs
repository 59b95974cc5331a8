//! Errors of a statement, by who is at fault.

/// Why a statement failed as a whole. Failed scopes and rows are not here: they are in the query's log.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The SQL is wrong: syntax, unknown table, column or function, types, a missing key column.
    #[error("{message}")]
    Sql {
        /// PostgreSQL-like message, one line, lower case.
        message: String,
        /// A suggestion.
        hint: Option<String>,
        /// 1-based line and column in the statement.
        at: Option<(usize, usize)>,
    },
    /// An expression failed on data (division by zero, a cast).
    #[error("{0}")]
    Data(String),
    /// No scope could be asked at all: no credentials, nothing reachable.
    #[error("{0}")]
    Cloud(#[from] assay_cloud::CloudError),
    /// A spec is bad.
    #[error("{0}")]
    Spec(#[from] assay_tables::SpecError),
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}
