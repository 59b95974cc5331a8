//! The way out for writes, which only the room `rotation` may take: credentials for typed clients, and the few requests to Azure that change
//! something, by name. Refuses to exist in a replay or while recording; what it is answered is in no cache, recording or log.

use crate::aws::write_failure;
use crate::{Account, Cloud, CloudError, ErrorKind, azure};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::os_shim_internal::{Env, Fs};
use serde_json::Value;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Writes of one account. Made by [`Cloud::writer`].
#[derive(Debug, Clone)]
pub struct Writer {
    account: Arc<Account>,
}

/// A write that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    /// Why.
    pub error: CloudError,
    /// Certainly without effect: nothing was sent, or the service said no. False for time-outs, broken answers, and servers that failed.
    pub without_effect: bool,
}

/// A request that changes something in Azure, or hands out a key.
#[derive(Clone, Copy)]
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
        /// `properties` of the body: `allowSharedKeyAccess: false`, or `keyPolicy`.
        properties: &'a Value,
    },
    /// A secret in a vault: `PUT secrets/NAME`, `PATCH` and `GET secrets/NAME/VERSION`, `GET secrets/NAME/versions` (without values, in
    /// pages), `GET deletedsecrets/NAME`.
    VaultSecret {
        /// `https://VAULT.vault.azure.net/secrets/…`
        url: &'a str,
        /// `PUT`, `PATCH` or `GET`.
        method: &'a str,
        /// The body; null for `GET`.
        body: &'a Value,
    },
}

impl fmt::Debug for ArmWrite<'_> {
    /// Without the body: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, at) = self.named();
        f.debug_tuple(name).field(&at).finish()
    }
}

impl ArmWrite<'_> {
    /// Names for errors: what is done, and where.
    fn named(&self) -> (&'static str, &str) {
        match self {
            ArmWrite::RegenerateKey { id, .. } => ("regenerateKey", id),
            ArmWrite::ListKeys { id } => ("listKeys", id),
            ArmWrite::UpdateAccount { id, .. } => ("update", id),
            ArmWrite::VaultSecret { url, method, .. } => match *method {
                "PUT" => ("setSecret", url),
                "PATCH" => ("updateSecret", url),
                _ => ("getSecret", url),
            },
        }
    }

    fn is_vault(&self) -> bool {
        matches!(self, ArmWrite::VaultSecret { .. })
    }
}

impl Cloud {
    /// The writes of an account.
    ///
    /// # Errors
    /// `Invalid` in a replay, and while recording.
    pub fn writer(&self, account: &Arc<Account>) -> Result<Writer, CloudError> {
        let refused = |message: &str| {
            let error = CloudError::new(ErrorKind::Invalid, "RefusedWrite", message);
            Err(CloudError { account: account.connection.to_string(), ..error })
        };
        if self.is_replay() {
            return refused("a replay changes nothing: there is no cloud behind it; run this against the live accounts");
        }
        if self.is_recording() {
            return refused("nothing is changed while recording, and no secret recorded: run this without recording");
        }
        Ok(Writer { account: account.clone() })
    }
}

impl Writer {
    /// The account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Configuration for typed AWS clients of this account, as reads use it: credentials, endpoints, proxy, roots, time-outs. One attempt
    /// per call: what was perhaps done is not done again behind anybody's back.
    ///
    /// # Errors
    /// `Invalid` for an account of Azure.
    pub async fn aws(&self) -> Result<SdkConfig, CloudError> {
        let (_, config) = self.account.login.sdk_config().await.map_err(|e| self.labelled(e))?;
        Ok(config.into_builder().retry_config(RetryConfig::disabled()).build())
    }

    /// Ids of the access keys that sign this account's calls, or that the credentials that do come from: of base logins of assumed roles,
    /// of source profiles, of the environment, of the user whose session it is. None for Azure.
    ///
    /// # Errors
    /// What stands in the way of finding out; nothing may then be taken for not being one's own key.
    pub async fn own_keys(&self) -> Result<Vec<String>, CloudError> {
        self.account.own_keys(&Env::real(), &Fs::real()).await.map_err(|e| self.labelled(e))
    }

    /// Makes the request once; the answer may hold a secret.
    ///
    /// # Errors
    /// The refused or failed request.
    pub async fn arm(&self, write: ArmWrite<'_>) -> Result<Value, WriteFailure> {
        let result = match self.account.login.principal() {
            Some(principal) => {
                // Of a subscription it is known from the start. A tenant as a whole has no storage accounts.
                let subscription = self.account.known_identity().map(|i| i.account_id);
                azure::client::write(principal, &write, subscription.as_deref().unwrap_or_default()).await
            }
            None => {
                let message = format!("connection {} is none of Azure", self.account.connection);
                Err(WriteFailure { error: CloudError::new(ErrorKind::Invalid, "WrongCloud", message), without_effect: true })
            }
        };
        result.map_err(|failure| {
            let service = if write.is_vault() { "vault" } else { "arm" };
            let error = self.labelled(failure.error);
            let error = CloudError { service: service.to_owned(), operation: write.named().0.to_owned(), region: String::new(), ..error };
            WriteFailure { error, ..failure }
        })
    }

    /// The typed failure of a call that was made with [`Writer::aws`]; `config` is the one it was made with.
    pub fn failure<E>(&self, service: &str, operation: &str, config: &SdkConfig, error: SdkError<E, HttpResponse>) -> WriteFailure
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let failure = write_failure(error);
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let error = self.labelled(failure.error);
        WriteFailure { error: CloudError { service: service.to_owned(), operation: operation.to_owned(), region, ..error }, ..failure }
    }

    fn labelled(&self, error: CloudError) -> CloudError {
        if !error.account.is_empty() {
            return error;
        }
        let id = self.account.known_identity().map(|i| i.account_id.to_string());
        CloudError { account: id.unwrap_or_else(|| self.account.connection.to_string()), ..error }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
