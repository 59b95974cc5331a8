//! Errors of a statement, by who is at fault.

use assay_cloud::CloudError;
use datafusion::error::DataFusionError;

/// Why a statement failed as a whole. Failed scopes and rows are not here: they are in the query's log.
#[derive(Debug, Clone, thiserror::Error)]
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
    Cloud(#[from] Box<CloudError>),
    /// A spec is bad.
    #[error("{0}")]
    Spec(#[from] assay_tables::SpecError),
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EngineError {
    /// The statement is wrong.
    pub(crate) fn sql(message: impl Into<String>, hint: Option<String>) -> EngineError {
        EngineError::Sql { message: message.into(), hint, at: None }
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            EngineError::Sql { hint, .. } => hint.clone(),
            EngineError::Cloud(e) => e.hint().map(str::to_owned),
            EngineError::Spec(e) => e.hint.clone(),
            EngineError::Data(_) => None,
            EngineError::Internal(_) => Some("this is a bug: please report it with the statement".to_owned()),
        }
    }
}

impl From<CloudError> for EngineError {
    fn from(error: CloudError) -> EngineError {
        EngineError::Cloud(Box::new(error))
    }
}

/// Carries an error of ours through DataFusion; [`EngineError::from`] finds it again.
impl From<EngineError> for DataFusionError {
    fn from(error: EngineError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
