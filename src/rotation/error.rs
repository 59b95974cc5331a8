//! What ends a command of this room as a whole. What goes wrong with one key is no error but its outcome.

use assay_cloud::CloudError;
use thiserror::Error;

/// Why a command cannot go on.
#[derive(Debug, Error)]
pub enum RotationError {
    /// A plan, sink or journal that cannot be used; names file and place.
    #[error("{message}")]
    Content {
        /// One line.
        message: String,
    },
    /// A run that may not start: locked, tampered with, too many keys, no sink.
    #[error("{message}")]
    Refused {
        /// One line, with what to do.
        message: String,
    },
    /// A file that cannot be read or written.
    #[error("{message}")]
    Io {
        /// Names the file.
        message: String,
    },
    /// The cloud refused what everything depends on.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A bug of ours.
    #[error("{message}")]
    Internal {
        /// What was impossible.
        message: String,
    },
}

impl RotationError {
    /// A document that is no plan.
    pub(crate) fn yaml(name: &str, error: &serde_yaml::Error) -> RotationError {
        let place = error.location().map(|l| format!(":{}:{}", l.line(), l.column())).unwrap_or_default();
        RotationError::Content { message: format!("{name}{place}: {error}") }
    }
}
