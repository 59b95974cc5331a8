//! The hands of a run: real calls to real clouds, real sinks. Owns which account a connection and an id mean. Refuses to guess one.

use crate::aws::{Iam, LiveKey, LiveUser, NewKey, SdkIam, WriteError};
use crate::azure::{ArmStorage, Storage};
use crate::run::Hands;
use crate::sink::{Command, File, KeyVault, SecretsManager, Sink, Spec, parse};
use crate::{KeyStatus, LastUse, RotationError, Secret};
use assay_cloud::{Account, Cloud, CloudError, ErrorKind};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Connection, and account or subscription id.
type Place = (String, String);

/// Hands over the clouds of a [`Cloud`].
#[derive(Debug)]
pub struct CloudHands {
    cloud: Cloud,
    iam: Arc<Mutex<BTreeMap<Place, Arc<SdkIam>>>>,
    storage: Mutex<BTreeMap<Place, Arc<ArmStorage>>>,
}

/// IAM of one account, which knows about the keys that sign for the other accounts of the run too.
#[derive(Debug)]
struct SharedIam {
    own: Arc<SdkIam>,
    all: Arc<Mutex<BTreeMap<Place, Arc<SdkIam>>>>,
}

impl CloudHands {
    /// Hands whose reads are always made anew, whatever `cloud` keeps.
    pub fn new(cloud: Cloud) -> CloudHands {
        CloudHands { cloud: cloud.fresh(), iam: Arc::default(), storage: Mutex::default() }
    }

    /// The account of a connection with this id.
    async fn account(&self, connection: &str, id: &str) -> Result<Arc<Account>, CloudError> {
        let accounts = self.cloud.accounts(connection).await?;
        // Most are known without a call.
        let is = |account: &Account| account.known_identity().is_some_and(|i| i.account_id.eq_ignore_ascii_case(id));
        if let Some(found) = accounts.iter().find(|a| is(a)) {
            return Ok(found.clone());
        }
        let mut failed = None;
        for account in accounts {
            match account.identity().await {
                Ok(identity) if identity.account_id.eq_ignore_ascii_case(id) => return Ok(account),
                Ok(_) => {}
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        // It may be the one that could not be asked.
        Err(failed.unwrap_or_else(|| invalid(format!("connection {connection} has no account {id}"))))
    }

    /// The account whose Secrets Manager is meant: the named connection's only one, or its account with the same id.
    async fn secrets_account(&self, named: Option<&str>, connection: &str, id: &str) -> Result<Arc<Account>, CloudError> {
        let connection = named.unwrap_or(connection);
        let accounts = self.cloud.accounts(connection).await?;
        let found = match accounts.as_slice() {
            [only] if named.is_some() => only.clone(),
            _ => self.account(connection, id).await?,
        };
        if found.is_azure() {
            return Err(invalid(format!("connection {connection} has no Secrets Manager: name one of AWS with `?connection=`")));
        }
        found.identity().await?;
        Ok(found)
    }

    /// The tenant whose principal writes to a vault: the named connection's, the key's own, or that of the only Azure connection.
    async fn vault_tenant(&self, named: Option<&str>, connection: &str) -> Result<Arc<Account>, CloudError> {
        let of = async |name: &str| Ok::<_, CloudError>(self.cloud.tenants(name).await?.into_iter().next());
        if let Some(named) = named {
            let none = || invalid(format!("connection {named} is none of Azure, so it has no way to a key vault"));
            return of(named).await?.ok_or_else(none);
        }
        if let Some(own) = of(connection).await? {
            return Ok(own);
        }
        let azure: Vec<&str> = self.cloud.connections().iter().filter(|c| c.cloud() == "azure").map(|c| &*c.name).collect();
        match azure.as_slice() {
            [only] => of(only).await?.ok_or_else(|| invalid(format!("connection {only} has no tenant"))),
            [] => Err(invalid("there is no connection of Azure to reach the key vault with".to_owned())),
            several => Err(invalid(format!(
                "name the connection to reach the key vault with, as in `?connection={}`",
                several.join("` or `?connection=")
            ))),
        }
    }
}

fn invalid(message: String) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "InvalidRequest", message)
}

#[async_trait]
impl Hands for CloudHands {
    async fn iam(&self, connection: &str, account_id: &str) -> Result<Arc<dyn Iam>, CloudError> {
        let place = (connection.to_owned(), account_id.to_owned());
        let known = self.iam.lock().await.get(&place).cloned();
        let own = match known {
            Some(own) => own,
            None => {
                let account = self.account(connection, account_id).await?;
                let made = Arc::new(SdkIam::new(&self.cloud, &account)?);
                self.iam.lock().await.entry(place).or_insert(made).clone()
            }
        };
        Ok(Arc::new(SharedIam { own, all: self.iam.clone() }))
    }

    async fn storage(&self, connection: &str, subscription_id: &str) -> Result<Arc<dyn Storage>, CloudError> {
        let place = (connection.to_owned(), subscription_id.to_ascii_lowercase());
        if let Some(known) = self.storage.lock().await.get(&place) {
            return Ok(known.clone());
        }
        let account = self.account(connection, subscription_id).await?;
        let made = Arc::new(ArmStorage::new(&self.cloud, &account)?);
        let kept = self.storage.lock().await.entry(place).or_insert(made).clone();
        Ok(kept)
    }

    async fn principal(&self, connection: &str, account_id: &str) -> Option<String> {
        let account = self.account(connection, account_id).await.ok()?;
        match account.is_azure() {
            true => account.credential_source().await.ok(),
            false => account.identity().await.ok().map(|i| i.arn.to_string()),
        }
    }

    async fn sink(&self, text: &str, connection: &str, account_id: &str) -> Result<Arc<dyn Sink>, RotationError> {
        Ok(match parse(text).map_err(|message| RotationError::Content { message })? {
            Spec::SecretsManager { name, region, connection: named } => {
                let account = self.secrets_account(named.as_deref(), connection, account_id).await?;
                Arc::new(SecretsManager::new(&self.cloud, &account, region, name)?)
            }
            Spec::KeyVault { vault, name, connection: named } => {
                let tenant = self.vault_tenant(named.as_deref(), connection).await?;
                Arc::new(KeyVault::new(self.cloud.writer(&tenant)?, vault, name))
            }
            Spec::File { path, recipients } => Arc::new(File::new(path, recipients)),
            Spec::Command { words, env } => Arc::new(Command::new(words, env)),
        })
    }
}

#[async_trait]
impl Iam for SharedIam {
    async fn keys(&self, user: &str) -> Result<Vec<LiveKey>, CloudError> {
        self.own.keys(user).await
    }

    async fn user(&self, user: &str) -> Result<LiveUser, CloudError> {
        self.own.user(user).await
    }

    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, CloudError> {
        self.own.tags(user).await
    }

    async fn last_use(&self, key: &str) -> Result<Option<LastUse>, CloudError> {
        self.own.last_use(key).await
    }

    async fn policies_and_groups(&self, user: &str) -> Result<Vec<String>, CloudError> {
        self.own.policies_and_groups(user).await
    }

    async fn own_keys(&self) -> Result<Vec<String>, CloudError> {
        let all: Vec<Arc<SdkIam>> = self.all.lock().await.values().cloned().collect();
        let mut keys: BTreeSet<String> = self.own.signing_keys().await?.into_iter().collect();
        for other in all.iter().filter(|other| !Arc::ptr_eq(other, &self.own)) {
            // What gives no credentials signs nothing; it stops its own account, not this one.
            keys.extend(other.signing_keys().await.into_iter().flatten());
        }
        Ok(keys.into_iter().collect())
    }

    async fn create(&self, user: &str) -> Result<NewKey, WriteError> {
        self.own.create(user).await
    }

    async fn set_status(&self, user: &str, key: &str, status: KeyStatus) -> Result<(), WriteError> {
        self.own.set_status(user, key, status).await
    }

    async fn delete(&self, user: &str, key: &str) -> Result<(), WriteError> {
        self.own.delete(user, key).await
    }

    async fn identify(&self, key: &str, secret: &Secret) -> Result<(String, String), CloudError> {
        self.own.identify(key, secret).await
    }
}

#[cfg(test)]
#[path = "hands_tests.rs"]
pub(crate) mod tests;
