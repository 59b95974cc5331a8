//! Access keys of IAM users: what is asked and written, and the order in which it happens.

pub(crate) mod machine;
mod sdk;

pub(crate) use sdk::SdkIam;

use crate::{KeyStatus, LastUse, Secret};
use assay_cloud::CloudError;
use assay_cloud::writer::WriteFailure;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A key as the API lists it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveKey {
    /// Access key id.
    pub id: String,
    /// Its status.
    pub status: KeyStatus,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A user as the API describes it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveUser {
    /// Stable id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Path.
    pub path: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A key that was just made: the only place a secret comes from.
#[derive(Debug)]
pub struct NewKey {
    /// Access key id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// When the API says it was made.
    pub created: DateTime<Utc>,
}

/// A write that failed.
#[derive(Debug, Clone)]
pub struct WriteError {
    /// Why.
    pub error: CloudError,
    /// Certainly without effect: the service itself refused. False for time-outs, broken connections, 5xx.
    pub without_effect: bool,
}

impl From<WriteFailure> for WriteError {
    fn from(failure: WriteFailure) -> WriteError {
        WriteError { error: failure.error, without_effect: failure.without_effect }
    }
}

/// The calls of a rotation in one account. Reads are live, never cached; no write is retried behind our back.
#[async_trait]
pub trait Iam: Send + Sync {
    /// All keys of a user, all pages.
    async fn keys(&self, user: &str) -> Result<Vec<LiveKey>, CloudError>;
    /// The user.
    async fn user(&self, user: &str) -> Result<LiveUser, CloudError>;
    /// Tags of the user alone.
    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, CloudError>;
    /// Last use of a key; `None`: never.
    async fn last_use(&self, key: &str) -> Result<Option<LastUse>, CloudError>;
    /// Names of the user's inline policies and groups.
    async fn policies_and_groups(&self, user: &str) -> Result<Vec<String>, CloudError>;
    /// Ids of the keys that sign these calls or assume the role that does.
    async fn own_keys(&self) -> Result<Vec<String>, CloudError>;
    /// Makes a key.
    async fn create(&self, user: &str) -> Result<NewKey, WriteError>;
    /// Makes a key active or inactive.
    async fn set_status(&self, user: &str, key: &str, status: KeyStatus) -> Result<(), WriteError>;
    /// Deletes a key.
    async fn delete(&self, user: &str, key: &str) -> Result<(), WriteError>;
    /// Who this key is: account id and user id, asked with the key itself.
    async fn identify(&self, key: &str, secret: &Secret) -> Result<(String, String), CloudError>;
}
