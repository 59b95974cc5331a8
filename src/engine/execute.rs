//! Walks a table's call plan in one scope: pages, children, per-row calls; streams record batches.
//!
//! A failed call goes into the query's log and leaves rows or columns out; it never fails the stream.

#[cfg(test)]
mod azure_tests;
mod hydrate;
mod rows;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use trial::Trial;

use crate::early::Early;
use crate::{AsOf, Failure, QueryLog};
use assay_cloud::{Cloud, CloudError, ErrorKind, ReadOp, Scope, Tally};
use assay_tables::run::{Ask, BatchBuilder, Facts, Row};
use assay_tables::{CallPlan, Known, ScopeKind, Start, Table};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Children and rows that wait for calls at once, in order: twice what the limiter of a service lets through, so that one slow answer
/// does not idle the others.
const WINDOW: usize = 64;
/// Rows of a batch.
const BATCH: usize = 1024;

/// What a scan needs beside its scope and plan.
#[derive(Debug, Clone)]
pub(crate) struct ScanEnv {
    /// Answers calls.
    pub(crate) cloud: Cloud,
    /// Takes failures, scopes and counts.
    pub(crate) log: Arc<QueryLog>,
    /// The table.
    pub(crate) table: Arc<Table>,
    /// Counts the scan's calls; it also counts into the table's tally of the log.
    pub(crate) tally: Tally,
    /// Wider plans, the narrowest first, for a replay that has no answer to the calls of the plan.
    pub(crate) instead: Arc<[Arc<CallPlan>]>,
    /// Filters that are decided before further calls.
    pub(crate) early: Arc<Early>,
    /// Takes walks whose first call the service refuses for its input, where the values are those of another table; then that is no failure.
    pub(crate) refused: Option<Arc<Refused>>,
    /// Decides whether a summary can be used, where the plan is one's.
    pub(crate) trial: Option<Arc<Trial>>,
}

/// Walks that were refused, by their place in the plan: the value may be none that the service knows.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<BTreeSet<usize>>);

impl Refused {
    fn add(&self, start: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(start);
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> BTreeSet<usize> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Streams the rows of one scope, in the API's order, with the columns of the plan's projection. Makes no call before the first poll; stops
/// paging when `limit` rows are out; dropping it cancels what is in flight.
pub(crate) fn scan(
    env: ScanEnv,
    scope: Scope,
    plan: Arc<CallPlan>,
    limit: Option<usize>,
) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    let begin = async move {
        for notice in plan.notices() {
            env.log.notice(notice);
        }
        if limit == Some(0) || plan.starts().is_empty() {
            return stream::empty().boxed();
        }
        let plan = if env.instead.is_empty() { plan } else { recorded_of(&env, &scope, plan).await };
        match Walk::begin(env, scope, plan, limit).await {
            Some(walk) => batches(Arc::new(walk)),
            None => stream::empty().boxed(),
        }
    };
    stream::once(begin).flatten().boxed()
}

/// The plan whose first calls a recording answers. Filters that became parameters ask for less than was recorded, perhaps; without
/// them more comes, and the engine filters again. Where neither was recorded, the error names the calls of the first.
async fn recorded_of(env: &ScanEnv, scope: &Scope, plan: Arc<CallPlan>) -> Arc<CallPlan> {
    for candidate in std::iter::once(&plan).chain(env.instead.iter()) {
        // What only the trial asks for, a run that calls does not: it is neither counted nor kept.
        let (cloud, tally) = (env.cloud.offline(), env.tally.unmetered());
        let trial = ScanEnv { log: Arc::default(), instead: Arc::default(), refused: None, trial: None, cloud, tally, ..env.clone() };
        let Some(walk) = Walk::begin(trial, scope.clone(), candidate.clone(), None).await else { break };
        if rows::recorded(&walk).await {
            return candidate.clone();
        }
    }
    plan
}

/// One scan of one scope.
struct Walk {
    env: ScanEnv,
    scope: Scope,
    plan: Arc<CallPlan>,
    facts: Facts,
    limit: Option<usize>,
    /// Where calls go that are about several scopes: the login that all of them have.
    shared: Option<Scope>,
}

/// A row and the start it came from.
type Found = (Row, usize);

/// A tally that notes in the log how old answers are.
fn ages(env: &ScanEnv, scope: &Scope) -> Tally {
    let (log, table, account) = (Arc::clone(&env.log), env.table.name.clone(), Arc::clone(&scope.account));
    env.tally.hearing(move |at| {
        if log.is_old(at) {
            let (source, connection) = ("cache".to_owned(), account.connection.to_string());
            let account = account.known_identity().map(|i| i.account_id.to_string());
            log.as_of(AsOf { table: table.clone(), source, connection, account, at, or_later: false });
        }
    })
}

fn batches(walk: Arc<Walk>) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    let mut rows = rows::all(walk.clone());
    if let Some(limit) = walk.limit {
        rows = rows.take(limit).boxed();
    }
    if !walk.plan.waves().is_empty() {
        rows = worth_calls(&walk, Known::Row, rows);
        let (first, rest) = walk.plan.waves_for(&walk.env.early.further());
        if !first.is_empty() {
            rows = hydrated(&walk, first, rows);
            if !rest.is_empty() {
                rows = worth_calls(&walk, Known::Further, rows);
            }
        }
        if !rest.is_empty() {
            rows = hydrated(&walk, rest, rows);
        }
    }
    // What is ready goes out: rows of a page do not wait for the next page.
    rows.ready_chunks(BATCH).map(move |chunk| walk.batch(&chunk)).boxed()
}

/// Rows with the answers of these further calls.
fn hydrated(walk: &Arc<Walk>, waves: Vec<Vec<usize>>, rows: BoxStream<'static, Found>) -> BoxStream<'static, Found> {
    let (window, walk, waves) = (walk.window(), walk.clone(), Arc::<[Vec<usize>]>::from(waves));
    rows.map(move |found| hydrate::row(walk.clone(), waves.clone(), found)).buffered(window).boxed()
}

/// The rows that a filter may let through, before anything more is asked for them.
fn worth_calls(walk: &Arc<Walk>, known: Known, rows: BoxStream<'static, Found>) -> BoxStream<'static, Found> {
    let walk = walk.clone();
    let worth = move |mut rows: Vec<Found>| {
        let each = || rows.iter().map(|(row, start)| (row, walk.start(*start)));
        let mut kept = walk.env.early.rows(&walk.plan, known, rows.len(), each, &walk.facts).into_iter();
        rows.retain(|_| kept.next().unwrap_or(true));
        stream::iter(rows)
    };
    rows.ready_chunks(BATCH).flat_map(worth).boxed()
}

impl Walk {
    /// Finds out what the plan needs to know of the scope; `None` when that fails, which is the failure of the scope.
    async fn begin(env: ScanEnv, scope: Scope, plan: Arc<CallPlan>, limit: Option<usize>) -> Option<Walk> {
        for secret in env.table.secret_members() {
            env.cloud.redact(&secret.service, &secret.operation, &secret.path);
        }
        let account = scope.account.clone();
        let facts = Facts::new(&account.connection, &scope.region).home_region(&account.home_region()).now(plan.now());
        let env = ScanEnv { tally: ages(&env, &scope), ..env };
        let mut walk = Walk { facts, env, scope, plan, limit, shared: None };
        if walk.plan.needs_identity() {
            match walk.env.cloud.identity(&account).await {
                Ok(identity) => {
                    walk.facts = walk.facts.identity(&identity.partition, &identity.account_id);
                    if let Some(tenant) = &identity.tenant_id {
                        walk.facts = walk.facts.tenant(tenant);
                    }
                }
                Err(error) => {
                    walk.fail(None, None, Vec::new(), error);
                    return None;
                }
            }
        }
        if walk.plan.needs_regions() {
            match walk.env.cloud.regions(&account).await {
                Ok(regions) => walk.facts = walk.facts.regions(regions.iter().map(AsRef::as_ref)),
                Err(error) => {
                    walk.fail(None, None, Vec::new(), error);
                    return None;
                }
            }
        }
        if walk.plan.shared_calls() > 0 {
            let Some(own) = walk.env.cloud.tenants(&account.connection).await.ok().and_then(|all| all.into_iter().next()) else {
                walk.cannot_ask();
                return None;
            };
            walk.shared = Some(Scope { region: own.home_region(), account: own });
            if let Some(trial) = &walk.env.trial {
                walk.facts = walk.facts.asked(trial.asked());
            }
        }
        Some(walk)
    }

    fn start(&self, start: usize) -> &Start {
        &self.plan.starts()[start]
    }

    /// How many calls to have waiting: no more than rows are wanted.
    fn window(&self) -> usize {
        self.limit.map_or(WINDOW, |limit| limit.clamp(1, WINDOW))
    }

    fn batch(&self, rows: &[Found]) -> Result<RecordBatch, DataFusionError> {
        let mut builder = BatchBuilder::new(&self.plan);
        for (row, start) in rows {
            for problem in builder.push(row, self.start(*start), &self.facts) {
                let error = self.own_error("BadValue", problem.message);
                self.fail_row(row, *start, vec![problem.column], error);
            }
        }
        builder.finish().map_err(|e| DataFusionError::ArrowError(Box::new(e), None))
    }

    /// The parents that a filter may let rows of through.
    fn worth_asking(&self, link: usize, start: usize, mut parents: Vec<Row>) -> Vec<Row> {
        let mut kept = self.env.early.parents(&self.plan, link, self.start(start), &parents, &self.facts).into_iter();
        parents.retain(|_| kept.next().unwrap_or(true));
        parents
    }

    /// The scope a call goes to.
    fn scope_of(&self, ask: &Ask) -> Scope {
        match &ask.region {
            Some(region) if **region != *self.scope.region => Scope { account: self.scope.account.clone(), region: region.as_str().into() },
            _ => self.scope.clone(),
        }
    }

    /// Whom to ask. `for_row`: the call is one of many, made for a row of a list or for a value of a key column.
    fn cloud(&self, for_row: bool) -> Cloud {
        if for_row { self.env.cloud.for_rows() } else { self.env.cloud.clone() }
    }

    async fn call(&self, ask: Ask, for_row: bool) -> Result<Arc<Value>, CloudError> {
        let op = ReadOp::named(&ask.service, &ask.operation)?;
        self.cloud(for_row).call(&self.scope_of(&ask), &op, ask.input, &self.env.tally).await
    }

    fn pages(&self, ask: Ask, for_row: bool) -> BoxStream<'static, Result<Arc<Value>, CloudError>> {
        self.pages_of(&self.scope_of(&ask), ask, for_row)
    }

    fn pages_of(&self, scope: &Scope, ask: Ask, for_row: bool) -> BoxStream<'static, Result<Arc<Value>, CloudError>> {
        match ReadOp::named(&ask.service, &ask.operation) {
            Ok(op) => self.cloud(for_row).pages(scope, &op, ask.input, None, &self.env.tally),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    /// An error that no service gave.
    fn own_error(&self, code: &str, message: String) -> CloudError {
        let mut error = CloudError::new(ErrorKind::BadAnswer, code, message);
        error.account =
            self.scope.account.known_identity().map_or_else(|| self.scope.account.connection.to_string(), |i| i.account_id.to_string());
        error.region = match self.env.table.scope {
            ScopeKind::Account | ScopeKind::Region => self.scope.region.to_string(),
            ScopeKind::Subscription | ScopeKind::Tenant => String::new(),
        };
        error
    }

    /// Columns of a row are unknown.
    fn fail_row(&self, row: &Row, start: usize, columns: Vec<String>, error: CloudError) {
        let start = self.start(start);
        let region = self.plan.row_region(row, start, &self.facts);
        self.fail(self.plan.row_name(row, start, &self.facts), region, columns, error);
    }

    /// Rows are missing: those of a parent, or all of the scope. In a table that is asked once per account, they may be of any region; in one
    /// that is asked per subscription or tenant there is none to name.
    fn fail(&self, row: Option<String>, region: Option<String>, columns: Vec<String>, error: CloudError) {
        let (own, region) = match self.env.table.scope {
            ScopeKind::Region => (Some(self.scope.region.to_string()), region),
            ScopeKind::Account => (None, region),
            ScopeKind::Subscription | ScopeKind::Tenant => (None, None),
        };
        self.env.log.fail(Failure {
            table: self.env.table.name.clone(),
            connection: self.scope.account.connection.to_string(),
            account: self.scope.account.known_identity().map(|i| i.account_id.to_string()),
            region: own.or(region),
            row,
            columns,
            error,
        });
    }
}
