//! Collects what a run was told, to be written as a bundle at its end. Secrets are taken out before an answer is kept here.

use crate::bundle::{Answers, BundleError, Header, RecordedAccount, RecordedConnection, RecordedLogin};
use crate::cache::Outcome;
use crate::connection::{Account, Connection};
use crate::redact::Redactions;
use crate::{CloudError, bundle};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connection and key of an account.
type Place = (Arc<str>, Arc<str>);

/// Records a run.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    /// The start: ages in a replay are those of the moment the run began.
    recorded_at: DateTime<Utc>,
    pub(crate) redactions: Redactions,
    answers: Mutex<Answers>,
    accounts: Mutex<BTreeMap<Place, Arc<Account>>>,
    tenants: Mutex<BTreeMap<Place, Arc<Account>>>,
    failed: Mutex<BTreeMap<Arc<str>, CloudError>>,
}

impl Recorder {
    pub(crate) fn new(path: PathBuf, recorded_at: DateTime<Utc>) -> Recorder {
        Recorder {
            path,
            recorded_at,
            redactions: Redactions::default(),
            answers: Mutex::default(),
            accounts: Mutex::default(),
            tenants: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    pub(crate) fn recorded_at(&self) -> DateTime<Utc> {
        self.recorded_at
    }

    /// Keeps an answer. The last one stands, but no failure replaces an answer: a call may have been tried again.
    pub(crate) fn answer(&self, key: &Arc<str>, service: &str, operation: &str, outcome: &Outcome) {
        let mut answers = lock(&self.answers);
        match outcome {
            Ok(value) => {
                let clean = self.redactions.clean(service, operation, value);
                answers.insert(key.clone(), Ok(clean.to_string()));
            }
            Err(e) => {
                if !matches!(answers.get(key), Some(Ok(_))) {
                    answers.insert(key.clone(), Err(e.clone()));
                }
            }
        }
    }

    /// Keeps the accounts behind a connection, or why they are not known.
    pub(crate) fn accounts(&self, connection: &Arc<str>, accounts: &Result<Vec<Arc<Account>>, CloudError>) {
        match accounts {
            Ok(accounts) => {
                lock(&self.failed).remove(connection);
                let mut all = lock(&self.accounts);
                for account in accounts {
                    all.insert((connection.clone(), account.key.clone()), account.clone());
                }
            }
            Err(e) => {
                lock(&self.failed).insert(connection.clone(), e.clone());
            }
        }
    }

    /// Keeps the tenant of a connection.
    pub(crate) fn tenant(&self, tenant: &Arc<Account>) {
        lock(&self.tenants).insert((tenant.connection.clone(), tenant.key.clone()), tenant.clone());
    }

    /// Writes the bundle.
    pub(crate) fn finish(&self, connections: &[Connection], default: &[Arc<str>]) -> Result<(), BundleError> {
        let (accounts, tenants) = (lock(&self.accounts), lock(&self.tenants));
        let recorded = |(connection, key): &Place, account: &Arc<Account>| RecordedAccount {
            connection: connection.to_string(),
            key: key.to_string(),
            login: account.login.key.to_string(),
        };
        let logins: BTreeMap<&str, RecordedLogin> = accounts
            .values()
            .chain(tenants.values())
            .map(|account| {
                let login = &account.login;
                let recorded = RecordedLogin {
                    key: login.key.to_string(),
                    region: login.region.to_string(),
                    identity: login.identity.outcome(),
                    regions: login.enabled_regions.outcome().map(|r| r.map(|names| names.iter().map(ToString::to_string).collect())),
                    refused: login.refused.clone(),
                };
                (&*login.key, recorded)
            })
            .collect();
        let header = Header {
            assay_bundle: bundle::VERSION,
            recorded_at: self.recorded_at,
            default: default.iter().map(ToString::to_string).collect(),
            connections: connections.iter().map(RecordedConnection::of).collect(),
            accounts: accounts.iter().map(|(place, account)| recorded(place, account)).collect(),
            tenants: tenants.iter().map(|(place, account)| recorded(place, account)).collect(),
            logins: logins.into_values().collect(),
            failed: lock(&self.failed).iter().map(|(connection, e)| (connection.to_string(), e.clone())).collect(),
        };
        bundle::write(&self.path, &header, &lock(&self.answers))
    }
}

/// A poisoned lock only means that another call panicked; what is kept is whole.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
