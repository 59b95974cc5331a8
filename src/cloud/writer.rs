//! The way out for writes, which only the room `rotation` may take: credentials for typed clients, and the few requests to Azure that change
//! something, by name.

use crate::{Account, CloudError};
use aws_types::SdkConfig;
use serde_json::Value;
use std::sync::Arc;

/// Writes of one account. Made by [`crate::Cloud::writer`]; a replay or a recording has none.
#[derive(Debug, Clone)]
pub struct Writer {
    account: Arc<Account>,
}

/// A request that changes something in Azure, or hands out a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmWrite<'a> {
    /// `POST {id}/regenerateKey`
    RegenerateKey {
        /// Resource id of the storage account.
        id: &'a str,
        /// `key1` or `key2`.
        key: &'a str,
    },
    /// `POST {id}/listKeys`
    ListKeys {
        /// Resource id of the storage account.
        id: &'a str,
    },
    /// `PATCH {id}` of a storage account.
    UpdateAccount {
        /// Resource id of the storage account.
        id: &'a str,
        /// `properties` of the body.
        properties: &'a Value,
    },
    /// `PUT`, `PATCH` or `GET` of a secret in a vault; never its value back.
    VaultSecret {
        /// `https://NAME.vault.azure.net/secrets/…`
        url: &'a str,
        /// `PUT` or `PATCH`.
        method: &'a str,
        /// The body.
        body: &'a Value,
    },
}

impl Writer {
    /// The account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Configuration for typed AWS clients of this account, as reads use it: credentials, endpoints, proxy, roots, time-outs.
    ///
    /// # Errors
    /// `Credentials`.
    pub async fn aws(&self) -> Result<SdkConfig, CloudError> {
        unimplemented!()
    }

    /// Ids of the long-lived access keys that sign this account's calls, or that assume the roles that do.
    ///
    /// # Errors
    /// `Credentials`.
    pub async fn own_keys(&self) -> Result<Vec<String>, CloudError> {
        unimplemented!()
    }

    /// Makes the request once; the answer may hold a secret. The flag says that a failure was certainly without effect.
    ///
    /// # Errors
    /// The refused or failed request.
    pub async fn arm(&self, write: ArmWrite<'_>) -> Result<Value, (CloudError, bool)> {
        let _ = write;
        unimplemented!()
    }
}
