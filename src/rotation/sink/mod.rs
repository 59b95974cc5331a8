//! Where a new secret goes: stored first, made current once it is known to work, taken back if it does not. Refuses to overwrite what is
//! somebody else's, and to repeat a secret in any message.

#[cfg(test)]
mod cloud_tests;
mod command;
mod encrypt;
mod file;
mod key_vault;
mod program;
mod secretsmanager;
mod template;
mod text;
mod token;

pub(crate) use command::Command;
pub(crate) use file::File;
pub(crate) use key_vault::KeyVault;
pub(crate) use secretsmanager::SecretsManager;
pub(crate) use text::{Spec, parse};

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
    /// Access key id, or `key1`, `key2`; empty as long as there is no new key yet.
    pub key: String,
    /// What tells this value of the key from others under the same name: the access key id once more; of a storage key the time it was
    /// made, as RFC 3339.
    pub generation: String,
}

impl Label {
    /// With something in place of the id of a key that is not made yet, as long and as harmless.
    fn foreseen(&self) -> Label {
        match self.key.is_empty() {
            true => Label { key: self.owner_id.clone(), ..self.clone() },
            false => self.clone(),
        }
    }
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

impl std::error::Error for SinkError {}

impl From<CloudError> for SinkError {
    fn from(error: CloudError) -> SinkError {
        SinkError::Cloud(error)
    }
}

/// A failure in our own words.
fn other(message: impl Into<String>) -> SinkError {
    SinkError::Other(message.into())
}

/// A place for secrets. Every method may be repeated: after a crash nobody knows which was the last.
#[async_trait]
pub trait Sink: Send + Sync + fmt::Debug {
    /// Where the secret would go, in one line: no two keys may share it, or one would overwrite the other. `None`: it has no place of its
    /// own, as with a command.
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError>;
    /// Could a delivery for this label work? Called before anything is changed, and before there is a key; makes no change itself.
    async fn check(&self, label: &Label) -> Result<(), SinkError>;
    /// Stores the secret so that no consumer gets it yet.
    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError>;
    /// Lets consumers get it. `command` sinks do all their work here.
    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError>;
    /// Takes back what `store` or `publish` did for this key: consumers get again what they got before. Nothing to take back is a success.
    async fn withdraw(&self, label: &Label) -> Result<(), SinkError>;
    /// Where this key's secret stands.
    async fn standing(&self, label: &Label) -> Result<Standing, SinkError>;
}
