//! What a query asked, what failed and what it cost: the ground of the completeness contract.

use assay_cloud::{CloudError, Tally, TallyCounts};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// A call that failed and so may have left rows or columns out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The table.
    pub table: String,
    /// The connection.
    pub connection: String,
    /// The account id, where it is known.
    pub account: Option<String>,
    /// The region; `None` when the whole account failed.
    pub region: Option<String>,
    /// The row the call was for (its parent's natural key); `None` when rows of the whole scope are missing.
    pub row: Option<String>,
    /// Columns that are unknown because of it; empty when whole rows are missing.
    pub columns: Vec<String>,
    /// What the cloud said.
    pub error: CloudError,
}

/// What one table of a query was asked for.
#[derive(Debug, Clone, Default)]
pub struct TableRead {
    /// Scopes asked: (connection, account id where known, region).
    pub scopes: BTreeSet<(String, Option<String>, String)>,
    /// Calls, hits, retries, throttles.
    pub counts: TallyCounts,
}

/// Shared by all scans of one query.
#[derive(Debug, Default)]
pub struct QueryLog {
    failures: Mutex<Vec<Failure>>,
    tables: Mutex<BTreeMap<String, (BTreeSet<(String, Option<String>, String)>, Tally)>>,
    tally: Tally,
}

impl QueryLog {
    /// A log whose calls also count into `parent`.
    pub fn new(parent: &Tally) -> QueryLog {
        QueryLog { tally: parent.child(), ..QueryLog::default() }
    }

    /// Records a failure; the same failure twice counts once.
    pub fn fail(&self, failure: Failure) {
        let mut all = lock(&self.failures);
        if !all.contains(&failure) {
            all.push(failure);
        }
    }

    /// Records that a table asked a scope.
    pub fn asked(&self, table: &str, connection: &str, account: Option<&str>, region: &str) {
        let mut all = lock(&self.tables);
        all.entry(table.to_owned()).or_insert_with(|| (BTreeSet::new(), self.tally.child())).0.insert((
            connection.to_owned(),
            account.map(str::to_owned),
            region.to_owned(),
        ));
    }

    /// The tally of a table, to hand to its calls.
    pub fn tally(&self, table: &str) -> Tally {
        lock(&self.tables).entry(table.to_owned()).or_insert_with(|| (BTreeSet::new(), self.tally.child())).1.clone()
    }

    /// Failures so far, in a stable order.
    pub fn failures(&self) -> Vec<Failure> {
        let mut all = lock(&self.failures).clone();
        all.sort_by(|a, b| {
            (&a.table, &a.connection, &a.account, &a.region, &a.row, &a.columns).cmp(&(
                &b.table,
                &b.connection,
                &b.account,
                &b.region,
                &b.row,
                &b.columns,
            ))
        });
        all
    }

    /// Tables read so far.
    pub fn tables(&self) -> BTreeMap<String, TableRead> {
        lock(&self.tables).iter().map(|(n, (s, t))| (n.clone(), TableRead { scopes: s.clone(), counts: t.counts() })).collect()
    }

    /// All calls of the query.
    pub fn counts(&self) -> TallyCounts {
        self.tally.counts()
    }
}

/// A poisoned lock only means that another scan panicked; the log itself is whole.
fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
