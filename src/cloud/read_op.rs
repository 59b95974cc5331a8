//! `ReadOp`: the only thing this room executes. Built from a tested allow-list, so a spec that a user drops in cannot write.

use crate::CloudError;
use std::sync::Arc;

/// A read operation of a service, by name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadOp {
    service: Arc<str>,
    operation: Arc<str>,
}

impl ReadOp {
    /// `service` as botocore spells it (`iam`, `s3control`, `accessanalyzer`), `operation` as the API does (`ListUsers`).
    ///
    /// # Errors
    /// `Invalid` for an unknown service or operation (with a suggestion), one that does not only read, or one that returns secrets.
    pub fn aws(service: &str, operation: &str) -> Result<ReadOp, CloudError> {
        unimplemented!("{service}.{operation}")
    }

    /// botocore's name of the service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The operation's name.
    pub fn operation(&self) -> &str {
        &self.operation
    }
}
