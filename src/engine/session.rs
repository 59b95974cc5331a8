//! The engine: SQL over the connections of a cloud and a catalog of tables.
//!
//! Owns: DataFusion's settings, and the way of a statement from text to stream. Refuses: statements that do anything but read.

use crate::bill;
use crate::bind;
use crate::dialect::depth::{Deep, deep};
use crate::ordered::OrderPartitions;
use crate::schemas::{CATALOG, Shared, Statement};
use crate::slices::SliceBeforeLists;
use crate::{EngineError, QueryLog, Statistics, dialect, memory};
use assay_cloud::Cloud;
use assay_tables::Catalog;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Rows of a batch that DataFusion's operators fill before they hand it on: small, for rows are wide and come slowly.
const BATCH_ROWS: usize = 2048;

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Connections that unqualified table names mean; empty: the configuration's default.
    pub search_path: Vec<String>,
    /// May a statement see the secret columns that it names? Not by itself: somebody has to ask for it.
    pub secrets: bool,
    /// Answers that were asked for since then are as good as new; what is older is named in the statement's log. `None`: since each
    /// statement's own beginning.
    pub asked_since: Option<DateTime<Utc>>,
    /// How old what a statement shows may be. Zero: it shows the present. More lets summaries of the service, such as a report that is made every
    /// few hours, take the place of many calls.
    pub max_staleness: Duration,
    /// How long a statement may take. The engine only remembers it: who reads the rows stops.
    pub statement_timeout: Option<Duration>,
    /// Bytes that the statements of the engine may hold together; `None`: half of the machine's memory, at most 4 GiB.
    pub memory: Option<usize>,
    /// What earlier runs cost, for `EXPLAIN API`.
    pub statistics: Option<Arc<Statistics>>,
}

/// A positional argument (`$1` …) or a named one, bound as data, never spliced into the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Name; positional arguments have their position's number as name (`1`).
    pub name: String,
    /// Value: null, bool, number, text, or an array of them.
    pub value: serde_json::Value,
}

/// A running statement. Dropping the stream cancels every call in flight.
pub struct Query {
    /// Columns; fields of type jsonb, inet, cidr carry `ARROW:extension:name`.
    pub schema: SchemaRef,
    /// Batches; nothing but the scopes is asked before the first poll. [`EngineError::from`] turns its errors into ours.
    pub stream: SendableRecordBatchStream,
    /// What was asked, failed and cost; complete when the stream has ended.
    pub log: Arc<QueryLog>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("schema", &self.schema).field("log", &self.log).finish_non_exhaustive()
    }
}

/// SQL over the tables of a catalog and the connections of a cloud. Cheap to clone; statements run concurrently.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Builds the session; makes no call, and parses no spec unless the cloud records or keeps answers on disk.
    ///
    /// # Errors
    /// The search path names an unknown connection; where the specs are parsed, one is bad.
    pub fn new(cloud: Cloud, catalog: Arc<Catalog>, settings: Settings) -> Result<Engine, EngineError> {
        Engine::with_rules(cloud, catalog, settings, bind::rules(dialect::physical_rules()))
    }

    /// The same with other physical rules before those of the dialect and of order.
    fn with_rules(
        cloud: Cloud,
        catalog: Arc<Catalog>,
        settings: Settings,
        rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
    ) -> Result<Engine, EngineError> {
        let search_path = search_path(&cloud, &settings)?;
        if cloud.is_recording() || cloud.keeps_on_disk() {
            // Any table may be the first to ask for what another one calls secret.
            redact_all(&cloud, &catalog)?;
        }
        let taken = |name: &str| cloud.connections().iter().any(|c| c.name.as_ref() == name);
        // A connection of this name keeps it; unqualified names work without.
        let default_schema = if taken("public") { "unqualified" } else { "public" }.to_owned();
        let runtime = memory::runtime(settings.memory)?;
        let builder = SessionStateBuilder::new().with_config(config(&default_schema)).with_runtime_env(runtime).with_default_features();
        let builder = dialect::builder(builder)
            .with_physical_optimizer_rules(rules)
            .with_physical_optimizer_rule(Arc::new(SliceBeforeLists))
            .with_physical_optimizer_rule(Arc::new(OrderPartitions));
        let context = SessionContext::new_with_state(builder.build());
        dialect::install(&context);
        let base = context.state();
        let functions: BTreeSet<String> = dialect::functions(&base).into_iter().collect();
        let first = settings.clone();
        let shared = Shared { cloud, catalog, base, default_schema, search_path, functions, settings, first };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// Splits a text into statements (`;`, comments and quotes understood), without planning them.
    ///
    /// # Errors
    /// Syntax errors, with their place.
    pub fn split(&self, sql: &str) -> Result<Vec<String>, EngineError> {
        dialect::split(sql)
    }

    /// Plans one statement and gives its stream. Planning asks for the scopes of the tables: members of an organization, regions, and
    /// the identity behind a connection when a filter is about `account_id`.
    ///
    /// # Errors
    /// The statement is wrong.
    pub async fn query(&self, sql: &str, args: &[Arg]) -> Result<Query, EngineError> {
        // Boxed, and polled on a stack of its own: statements nest.
        Deep::new(self.start(sql, args)).await
    }

    async fn start(&self, sql: &str, args: &[Arg]) -> Result<Query, EngineError> {
        if let Some(asked) = bill::asked(sql)? {
            return self.explain_api(asked, args).await;
        }
        if let Some(shown) = self.show(sql)? {
            return Ok(shown);
        }
        let statement = Statement::new(Arc::clone(&self.shared));
        let session = statement.session(&self.shared.default_schema);
        let plan = dialect::plan(&session, sql, args).await?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if reads.verify_plan(&plan).is_err() {
            let hint = "assay reads: SELECT, VALUES, WITH, EXPLAIN; it changes nothing".to_owned();
            return Err(EngineError::sql("only statements that read are allowed", Some(hint)));
        }
        let plan = session.create_physical_plan(&plan).await?;
        let schema = plan.schema();
        let rows = execute(plan, session.task_ctx());
        let rows = Answered::new(rows, Arc::clone(&statement.log));
        let stream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows));
        Ok(Query { schema, stream, log: statement.log })
    }

    /// The cloud behind it.
    pub fn cloud(&self) -> &Cloud {
        &self.shared.cloud
    }

    /// The catalog behind it.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.shared.catalog
    }

    /// Names of all functions (scalar, aggregate, set-returning), sorted: for completion and the reference.
    pub fn functions(&self) -> Vec<String> {
        self.shared.functions.iter().cloned().collect()
    }
}

/// Tells the recorder, and the disk, every member that any table calls secret.
fn redact_all(cloud: &Cloud, catalog: &Catalog) -> Result<(), EngineError> {
    for name in catalog.names() {
        for secret in catalog.table(name)?.map(|table| table.secret_members()).unwrap_or_default() {
            cloud.redact(&secret.service, &secret.operation, &secret.path);
        }
    }
    Ok(())
}

/// The connections that the search path names, or else those of the configuration.
pub(crate) fn search_path(cloud: &Cloud, settings: &Settings) -> Result<Arc<[Arc<str>]>, EngineError> {
    if settings.search_path.is_empty() {
        return Ok(cloud.default_connections().into());
    }
    let resolve = |name: &String| {
        let found = cloud.connections().iter().find(|c| c.name.as_ref() == name.as_str());
        found.map(|c| Arc::clone(&c.name)).ok_or_else(|| {
            let names: Vec<&str> = cloud.connections().iter().map(|c| c.name.as_ref()).collect();
            let hint = match crate::messages::closest(name, names.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("connections are: {}", names.join(", ")),
            };
            EngineError::sql(format!("the search path names an unknown connection: \"{name}\""), Some(hint))
        })
    };
    settings.search_path.iter().map(resolve).collect()
}

/// Partitions are scopes and nothing else: nothing reshuffles them, so that rows keep the order of scopes.
fn config(default_schema: &str) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, default_schema)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(4)
        .with_batch_size(BATCH_ROWS)
        .with_round_robin_repartition(false)
        .with_repartition_joins(false)
        .with_repartition_aggregations(false)
        .with_repartition_windows(false)
        .with_repartition_sorts(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.explain.physical_plan_only = true;
    config
}

/// Starts a plan at the first poll: some operators spawn their inputs as soon as they are executed.
fn execute(plan: Arc<dyn ExecutionPlan>, context: Arc<datafusion::execution::TaskContext>) -> SendableRecordBatchStream {
    let schema = plan.schema();
    let is_deep = height(plan.as_ref()) > SHALLOW;
    let rows = stream::once(async move { execute_stream(plan, context) }).try_flatten();
    if !is_deep {
        return Box::pin(RecordBatchStreamAdapter::new(schema, rows));
    }
    let mut rows = Box::pin(rows);
    let rows = stream::poll_fn(move |cx| deep(|| rows.as_mut().poll_next(cx)));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// Operators above one another that fit on any stack when they poll each other.
const SHALLOW: usize = 24;

fn height(plan: &dyn ExecutionPlan) -> usize {
    deep(|| 1 + plan.children().into_iter().map(|child| height(child.as_ref())).max().unwrap_or(0))
}

/// Rows of a query, held back while nobody could be asked for them: a count of zero from no credentials is not an answer.
struct Answered {
    rows: SendableRecordBatchStream,
    log: Arc<QueryLog>,
    held: VecDeque<RecordBatch>,
    ended: bool,
}

impl Answered {
    fn new(rows: SendableRecordBatchStream, log: Arc<QueryLog>) -> Answered {
        Answered { rows, log, held: VecDeque::new(), ended: false }
    }
}

impl Stream for Answered {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let outage = self.log.outage();
            if outage.is_none()
                && let Some(batch) = self.held.pop_front()
            {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.ended {
                self.held.clear();
                return Poll::Ready(None);
            }
            match std::task::ready!(self.rows.poll_next_unpin(cx)) {
                Some(Ok(batch)) => self.held.push_back(batch),
                last => {
                    self.ended = true;
                    if let Some(error) = self.log.outage() {
                        return Poll::Ready(Some(Err(DataFusionError::External(Box::new(error)))));
                    }
                    if let Some(Err(error)) = last {
                        self.held.clear();
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
