//! What a query asked, what failed and what it cost: the ground of the completeness contract.

use assay_cloud::{CloudError, ErrorKind, Meter, Tally, TallyCounts};
use assay_tables::ScopeKind;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A call that failed and so may have left rows or columns out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The table.
    pub table: String,
    /// The connection.
    pub connection: String,
    /// The account id, where it is known; in Azure the subscription's, of a table that is asked per tenant the tenant's.
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
#[derive(Debug, Clone)]
pub struct TableRead {
    /// What the accounts of its scopes are called: `account`, `subscription` or `tenant`.
    pub noun: &'static str,
    /// Scopes asked: (connection, account id where known, region).
    pub scopes: BTreeSet<(String, Option<String>, String)>,
    /// Calls, hits, retries, throttles.
    pub counts: TallyCounts,
}

/// A part of an answer that shows the cloud as it was before the statement began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AsOf {
    /// The table.
    pub table: String,
    /// Where the part comes from: `cache`, or the summary a table's spec names (`credential report`).
    pub source: String,
    /// The connection.
    pub connection: String,
    /// The account, subscription or tenant id, where it is known.
    pub account: Option<String>,
    /// The time it shows; the oldest where there are several.
    pub at: DateTime<Utc>,
    /// It shows that time or a later one: the source does not say which.
    pub or_later: bool,
}

/// Table, source, connection, account: parts of an answer that share one line.
type Part = (String, String, String, Option<String>);

/// What the log keeps of a table.
#[derive(Debug)]
struct Read {
    noun: &'static str,
    scopes: BTreeSet<(String, Option<String>, String)>,
    tally: Tally,
}

/// What scopes are of, unless a table says otherwise.
const ACCOUNT: &str = "account";

/// Shared by all scans of one query.
#[derive(Debug, Default)]
pub struct QueryLog {
    failures: Mutex<Vec<Failure>>,
    tables: Mutex<BTreeMap<String, Read>>,
    tally: Tally,
    answered: AtomicBool,
    notices: Mutex<BTreeSet<String>>,
    older: Mutex<BTreeMap<Part, (DateTime<Utc>, bool)>>,
    meter: Meter,
    /// Tables some of whose scopes stand in for those that nobody has listed.
    assumed: Mutex<BTreeSet<String>>,
    /// What was asked for before is old; `None`: nothing is.
    since: Option<DateTime<Utc>>,
}

impl Failure {
    /// Is a whole scope missing because nobody could be asked: no credentials, nothing reachable?
    fn is_outage(&self) -> bool {
        self.row.is_none() && self.columns.is_empty() && matches!(self.error.kind, ErrorKind::Credentials | ErrorKind::Unreachable)
    }
}

impl QueryLog {
    /// A log whose calls also count into `parent`.
    pub fn new(parent: &Tally) -> QueryLog {
        let meter = Meter::default();
        QueryLog { tally: parent.metered(meter.clone()), meter, ..QueryLog::default() }
    }

    /// What was asked for before this time is old.
    #[must_use]
    pub fn asked_since(self, since: Option<DateTime<Utc>>) -> QueryLog {
        QueryLog { since, ..self }
    }

    /// Is an answer that was asked for then older than the statement?
    pub(crate) fn is_old(&self, asked: DateTime<Utc>) -> bool {
        self.since.is_some_and(|since| asked < since)
    }

    /// Distinct calls that its tables asked for, whoever answered.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Records that scopes of a table were not asked for, and others stand in for them.
    pub(crate) fn assume_scopes(&self, table: &str) {
        lock(&self.assumed).insert(table.to_owned());
    }

    /// Tables some of whose scopes stand in for others.
    pub(crate) fn assumed_scopes(&self) -> BTreeSet<String> {
        lock(&self.assumed).clone()
    }

    /// Records a failure; the same failure twice counts once. Of calls that nobody may make any more, one stands for all of a scope: what
    /// the others would have been about says nothing.
    pub fn fail(&self, mut failure: Failure) {
        if failure.error.kind == ErrorKind::OverBudget {
            failure.row = None;
            failure.columns.clear();
            failure.error.operation.clear();
            failure.error.service.clear();
        }
        let mut all = lock(&self.failures);
        if !all.contains(&failure) {
            all.push(failure);
        }
    }

    /// Records something people should know about the answer; the same twice counts once.
    pub fn notice(&self, text: &str) {
        lock(&self.notices).insert(text.to_owned());
    }

    /// What people should know about the answer, sorted.
    pub fn notices(&self) -> Vec<String> {
        lock(&self.notices).iter().cloned().collect()
    }

    /// Records that a part of the answer is older than the statement.
    pub fn as_of(&self, part: AsOf) {
        let AsOf { table, source, connection, account, at, or_later } = part;
        let oldest = |known: &mut (DateTime<Utc>, bool)| *known = (at.min(known.0), or_later || known.1);
        lock(&self.older).entry((table, source, connection, account)).and_modify(oldest).or_insert((at, or_later));
    }

    /// Parts of the answer that are older than the statement, in a stable order.
    pub fn older_parts(&self) -> Vec<AsOf> {
        let part = |((table, source, connection, account), (at, or_later)): (&Part, &(DateTime<Utc>, bool))| AsOf {
            table: table.clone(),
            source: source.clone(),
            connection: connection.clone(),
            account: account.clone(),
            at: *at,
            or_later: *or_later,
        };
        lock(&self.older).iter().map(part).collect()
    }

    /// Records that a table asked a scope.
    pub fn asked(&self, table: &str, connection: &str, account: Option<&str>, region: &str) {
        self.of(table, |read| read.scopes.insert((connection.to_owned(), account.map(str::to_owned), region.to_owned())));
    }

    /// Records that a table is read, and what it is asked per.
    pub(crate) fn reads(&self, table: &str, scope: ScopeKind) {
        self.of(table, |read| {
            read.noun = match scope {
                ScopeKind::Account | ScopeKind::Region => ACCOUNT,
                ScopeKind::Subscription => "subscription",
                ScopeKind::Tenant => "tenant",
            }
        });
    }

    fn of<T>(&self, table: &str, change: impl FnOnce(&mut Read) -> T) -> T {
        let mut all = lock(&self.tables);
        let read = || Read { noun: ACCOUNT, scopes: BTreeSet::new(), tally: self.tally.of_table(table) };
        change(all.entry(table.to_owned()).or_insert_with(read))
    }

    /// The tally of a table, to hand to its calls.
    pub fn tally(&self, table: &str) -> Tally {
        self.of(table, |read| read.tally.clone())
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
        let public = |read: &Read| TableRead { noun: read.noun, scopes: read.scopes.clone(), counts: read.tally.counts() };
        lock(&self.tables).iter().map(|(name, read)| (name.clone(), public(read))).collect()
    }

    /// Records that some scope was really asked: there are credentials, and something answers.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Has this scope of a table failed as a whole, by itself or with its account?
    pub(crate) fn lost(&self, table: &str, connection: &str, account: Option<&str>, region: &str) -> bool {
        lock(&self.failures).iter().any(|f| {
            f.row.is_none()
                && f.columns.is_empty()
                && f.table == table
                && f.connection == connection
                && f.region.as_deref().is_none_or(|r| r == region)
                && (f.account.is_none() || account.is_none() || f.account.as_deref() == account)
        })
    }

    /// Why no scope of the query could be asked; `None` once any was, or when the reason is another than credentials and reachability.
    pub(crate) fn outage(&self) -> Option<CloudError> {
        if self.answered.load(Ordering::Relaxed) {
            return None;
        }
        let failures = self.failures();
        if failures.iter().all(Failure::is_outage) { failures.into_iter().next().map(|f| f.error) } else { None }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(connection: &str, region: Option<&str>, columns: &[&str], kind: ErrorKind) -> Failure {
        Failure {
            table: "t".into(),
            connection: connection.into(),
            account: None,
            region: region.map(str::to_owned),
            row: None,
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            error: CloudError::new(kind, "Code", connection),
        }
    }

    #[test]
    fn an_outage_is_when_nobody_could_be_asked() {
        use ErrorKind::{Credentials, Denied, Unreachable};
        let dead = || failure("b", None, &[], Credentials);
        let cases = [
            (vec![], false, None),
            (vec![dead(), failure("a", None, &[], Unreachable)], false, Some("a")),
            (vec![dead()], true, None),
            (vec![dead(), failure("a", Some("r"), &[], Denied)], false, None),
            (vec![dead(), failure("a", Some("r"), &["c"], Credentials)], false, None),
        ];
        for (failures, answered, want) in cases {
            let log = QueryLog::new(&Tally::default());
            failures.iter().cloned().for_each(|f| log.fail(f));
            if answered {
                log.answered();
            }
            assert_eq!(log.outage().map(|e| e.message).as_deref(), want, "{failures:?}");
        }
    }

    #[test]
    fn of_the_parts_that_are_older_the_oldest_time_is_kept() {
        let log = QueryLog::default();
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let part = |connection: &str, hour: i64| AsOf {
            table: "t".to_owned(),
            source: "cache".to_owned(),
            connection: connection.to_owned(),
            account: None,
            at: at(hour),
            or_later: false,
        };
        for (connection, hour) in [("b", 5), ("a", 7), ("a", 3), ("a", 4)] {
            log.as_of(part(connection, hour));
        }
        assert_eq!(log.older_parts(), [part("a", 3), part("b", 5)]);
    }

    #[test]
    fn what_was_asked_for_before_the_statement_is_old() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let log = QueryLog::default().asked_since(Some(at(10)));
        assert!(log.is_old(at(9)) && !log.is_old(at(10)));
        assert!(!QueryLog::default().is_old(at(0)));
    }

    #[test]
    fn a_scope_is_lost_with_its_account() {
        let log = QueryLog::default();
        log.fail(failure("a", None, &[], ErrorKind::Denied));
        log.fail(failure("b", Some("r1"), &[], ErrorKind::Denied));
        log.fail(failure("c", Some("r1"), &["x"], ErrorKind::Denied));
        assert!(log.lost("t", "a", None, "r9"));
        assert!(log.lost("t", "b", Some("1"), "r1"));
        assert!(!log.lost("t", "b", Some("1"), "r2"));
        assert!(!log.lost("t", "c", None, "r1"), "unknown columns leave the rows");
        assert!(!log.lost("u", "a", None, "r9"));
    }

    #[test]
    fn failures_are_sorted_and_counted_once_and_calls_add_up() {
        let all = Tally::default();
        let log = QueryLog::new(&all);
        for connection in ["b", "a", "b"] {
            log.fail(failure(connection, None, &[], ErrorKind::Denied));
        }
        let order: Vec<_> = log.failures().into_iter().map(|f| f.connection).collect();
        assert_eq!(order, ["a", "b"]);
        log.asked("t", "a", Some("1"), "r");
        log.tally("t").add(TallyCounts { calls: 2, ..TallyCounts::default() });
        assert_eq!(log.tables()["t"].counts.calls, 2);
        assert_eq!((log.counts().calls, all.counts().calls), (2, 2));
        assert_eq!(log.tables()["t"].noun, "account");
        log.reads("t", ScopeKind::Subscription);
        assert_eq!((log.tables()["t"].noun, log.tables()["t"].counts.calls), ("subscription", 2));
    }
}
