//! Where a new secret goes: stored first, made current once it is known to work, taken back if it does not.

use crate::Secret;
use assay_cloud::CloudError;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a secret is stored with. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Account or subscription id.
    pub account_id: String,
    /// The user, or the storage account.
    pub owner: String,
    /// Stable id of the user; of a storage account its resource id.
    pub owner_id: String,
    /// Access key id, or `key1`, `key2`.
    pub key: String,
}

/// What there is to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whose it is.
    pub label: Label,
    /// The document to store, complete: JSON of docs/rotation.md.
    pub document: Secret,
}

/// Where a delivered secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The sink knows nothing of this key.
    Absent,
    /// Stored, not current.
    Stored,
    /// Consumers get it.
    Current,
    /// The sink cannot say.
    Unknown,
}

/// A sink that failed. No part of the secret is in it.
#[derive(Debug, Clone)]
pub enum SinkError {
    /// A cloud said no.
    Cloud(CloudError),
    /// Anything else: one line, lower case.
    Other(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::Cloud(e) => e.fmt(f),
            SinkError::Other(text) => f.write_str(text),
        }
    }
}

/// A place for secrets. Every method may be repeated: after a crash nobody knows which was the last.
#[async_trait]
pub trait Sink: Send + Sync + fmt::Debug {
    /// Could a delivery for this label work? Called before anything is changed; makes no change itself.
    async fn check(&self, label: &Label) -> Result<(), SinkError>;
    /// Stores the secret so that no consumer gets it yet.
    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError>;
    /// Lets consumers get it. `command` sinks do all their work here.
    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError>;
    /// Takes back what `store` or `publish` did for this key; nothing to take back is a success.
    async fn withdraw(&self, label: &Label) -> Result<(), SinkError>;
    /// Where this key's secret stands.
    async fn standing(&self, label: &Label) -> Result<Standing, SinkError>;
}
