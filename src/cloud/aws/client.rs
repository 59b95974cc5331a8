//! One client per (service, region, credentials): official orchestrator, retries, signing, credentials; our codecs and endpoints.

use crate::CloudError;
use aws_types::SdkConfig;
use serde_json::Value;

/// What a call cost beside its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Requests sent.
    pub total: u32,
    /// Of them, how many were throttled.
    pub throttled: u32,
}

/// A client for one service in one region with one set of credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// `config` carries region, credentials, endpoint overrides, HTTP client, retry and time-out settings.
    ///
    /// # Errors
    /// `Invalid` for an unknown service.
    pub fn new(service: &str, config: &SdkConfig) -> Result<Client, CloudError> {
        let _ = (service, config);
        unimplemented!()
    }

    /// Calls an operation; the allow-list is checked by `ReadOp`, not here. Member names as in boto3.
    ///
    /// # Errors
    /// The failed call with code, message, request id; `attempts` is filled in either way.
    pub async fn call(&self, operation: &str, input: Value, attempts: &mut Attempts) -> Result<Value, CloudError> {
        let _ = (operation, input, attempts);
        unimplemented!()
    }
}
