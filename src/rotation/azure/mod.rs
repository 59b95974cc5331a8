//! Keys of storage accounts: what is asked and written, and the order in which it happens.

mod arm;
mod guards;
pub(crate) mod machine;

pub(crate) use arm::ArmStorage;

use crate::Secret;
use crate::aws::WriteError;
use assay_cloud::CloudError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A storage account as the API describes it now.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveAccount {
    /// Resource id.
    pub id: String,
    /// `keyCreationTime.key1`.
    pub key1_created: Option<DateTime<Utc>>,
    /// `keyCreationTime.key2`.
    pub key2_created: Option<DateTime<Utc>>,
    /// False: keys cannot be used. Absent in the answer means true.
    pub allow_shared_key: bool,
    /// `keyPolicy.keyExpirationPeriodInDays`.
    pub expiration_days: Option<i64>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `primaryEndpoints`: address by service, `blob`, `queue` …
    pub endpoints: BTreeMap<String, String>,
}

/// The calls of a rotation in one subscription.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The account.
    async fn account(&self, id: &str) -> Result<LiveAccount, CloudError>;
    /// Names of the ReadOnly locks that hold for it, inherited ones included.
    async fn read_only_locks(&self, id: &str) -> Result<Vec<String>, CloudError>;
    /// Requests signed with a key, or with a SAS of one, since then, from the account's metrics.
    async fn shared_key_requests(&self, id: &str, since: DateTime<Utc>) -> Result<u64, CloudError>;
    /// A Succeeded event of `regenerateKey` in the activity log since then.
    async fn regenerated_event(&self, id: &str, since: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, CloudError>;
    /// The value of a key, for a sink.
    async fn key(&self, id: &str, name: &str) -> Result<Secret, CloudError>;
    /// Regenerates a key and gives its new value.
    async fn regenerate(&self, id: &str, name: &str) -> Result<Secret, WriteError>;
    /// Sets the key expiration period.
    async fn set_expiration(&self, id: &str, days: i64) -> Result<(), WriteError>;
    /// Turns shared-key access off.
    async fn disable_shared_key(&self, id: &str) -> Result<(), WriteError>;
}
