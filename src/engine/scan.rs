//! The leaf of a physical plan: one partition per scope, each walking the table's call plan lazily.
//!
//! Owns: what a scan asks ([`ScanSpec`]) and what it counted. Refuses: calls before the first poll.

use crate::QueryLog;
use crate::bind::{Chooser, Chosen, Fed, Feed, Need};
use crate::early::Early;
use crate::execute::{self, Refused, ScanEnv, Trial};
use crate::explain;
use crate::together::Together;
use assay_cloud::{Cloud, Scope, Tally};
use assay_tables::{CallPlan, Filter, PlanError, Request, Scalar, Table};
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// What a scan is to ask: all that another process would need to run it.
#[derive(Debug, Clone)]
pub(crate) struct ScanSpec {
    /// The table.
    pub(crate) table: Arc<Table>,
    /// Where, in output order.
    pub(crate) scopes: Vec<Scope>,
    /// Filters that pruned the scopes, as SQL.
    pub(crate) pruned_by: Vec<String>,
    /// Filters that reach the API.
    pub(crate) filters: Vec<Filter>,
    /// Positions of the table's columns, in output order.
    pub(crate) projection: Vec<usize>,
    /// Rows that are enough, per scope.
    pub(crate) limit: Option<usize>,
    /// How old what it shows may be.
    pub(crate) max_staleness: TimeDelta,
}

/// Scans a table by calls.
#[derive(Debug, Clone)]
pub(crate) struct ApiScan {
    chooser: Chooser,
    /// Wider plans, for a replay that has no answer to the calls of the chosen one.
    instead: Arc<[Arc<CallPlan>]>,
    /// Filters that are decided before further calls.
    early: Arc<Early>,
    cloud: Cloud,
    log: Arc<QueryLog>,
    /// Calls of this scan alone; they also count for its table.
    tally: Tally,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ApiScan {
    /// `schema` is that of the projection, `plan` that of the filters at the statement's time `now`; where it lacks a key, values have to come
    /// from the other side of a join.
    pub(crate) fn new(
        spec: ScanSpec,
        plan: Result<CallPlan, PlanError>,
        now: DateTime<Utc>,
        schema: SchemaRef,
        cloud: Cloud,
        log: Arc<QueryLog>,
    ) -> ApiScan {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(spec.scopes.len().max(1)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let tally = log.tally(&spec.table.name).child();
        // Planned again only where it can be needed; without its filters a table may lack a required key column, and then there is no such plan.
        let unfiltered = (cloud.is_replay() && !spec.filters.is_empty())
            .then(|| spec.table.plan(&Request { projection: spec.projection.clone(), filters: Vec::new(), now: cloud.now() }).ok())
            .flatten()
            .map(Arc::new);
        let request = Request { projection: spec.projection.clone(), filters: spec.filters.clone(), now };
        let mut summary = plan.as_ref().ok().and_then(|own| spec.table.summarized(own, &request, spec.max_staleness)).map(Arc::new);
        let together = match summary.as_ref().map_or(0, |plan| plan.shared_calls()) {
            0 => Together::default(),
            _ => Together::of(&spec.scopes),
        };
        // Whoever makes no call may not know all scopes: then it is one of the ways.
        summary.take_if(|plan| plan.shared_calls() > 0 && together.groups(plan.shared_calls()) == 0 && !cloud.is_offline());
        let chooser = Chooser {
            spec: Arc::new(spec),
            list: plan.map(Arc::new),
            summary,
            together: Arc::new(together),
            feeds: Arc::default(),
            now,
            replay: cloud.is_replay(),
        };
        ApiScan {
            chooser,
            instead: unfiltered.into_iter().collect(),
            early: Arc::default(),
            cloud,
            log,
            tally,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        }
    }

    /// The scan with filters that are decided before further calls.
    pub(crate) fn before_calls(self, early: Early) -> ApiScan {
        ApiScan { early: Arc::new(early), ..self }
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        &self.chooser.spec.table.name
    }

    /// What it asks.
    pub(crate) fn spec(&self) -> &ScanSpec {
        &self.chooser.spec
    }

    /// How it decides which plan of calls to follow.
    pub(crate) fn chooser(&self) -> &Chooser {
        &self.chooser
    }

    /// Columns that it is asked by, with values of other tables.
    pub(crate) fn bound_by(&self) -> Vec<&str> {
        self.chooser.fed_by()
    }

    /// What keys of a join, with their columns here, are to this scan; those it can do nothing with are left out.
    pub(crate) fn uses(&self, keys: &[(usize, usize)]) -> Vec<(usize, Fed)> {
        self.chooser.uses(keys)
    }

    /// What it would gain from values for these columns.
    pub(crate) fn need(&self, columns: &[usize]) -> Need {
        self.chooser.need(columns)
    }

    /// The scan with values to come.
    pub(crate) fn fed(&self, feed: Feed) -> ApiScan {
        let mut scan = self.clone();
        if scan.chooser.feeds.is_empty() && self.cloud.is_replay() {
            scan.instead = self.chooser.list.iter().cloned().chain(self.instead.iter().cloned()).collect();
        }
        scan.chooser.fed(feed);
        scan
    }

    /// Why it cannot be read.
    pub(crate) fn refusal(&self) -> Option<&PlanError> {
        self.chooser.refusal()
    }
}

impl DisplayAs for ApiScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.chooser.summary.as_ref().and_then(|plan| plan.summary());
        explain::scan(&self.chooser.spec, &self.early, &self.chooser.fed_by(), summary, f)
    }
}

impl ExecutionPlan for ApiScan {
    fn name(&self) -> &str {
        "ApiScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("ApiScan is a leaf") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(explain::metrics(self.metrics.clone_inner(), self.tally.counts()))
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let spec = &self.chooser.spec;
        let Some(scope) = spec.scopes.get(partition).cloned() else {
            return Ok(Box::pin(EmptyRecordBatchStream::new(schema)));
        };
        let env = ScanEnv {
            cloud: self.cloud.clone(),
            log: Arc::clone(&self.log),
            table: Arc::clone(&spec.table),
            tally: self.tally.clone(),
            instead: Arc::clone(&self.instead),
            early: Arc::clone(&self.early),
            refused: None,
            trial: None,
        };
        let read = Read { log: Arc::clone(&self.log), table: spec.table.name.clone(), scope: scope.clone() };
        let (chooser, limit) = (self.chooser.clone(), spec.limit);
        let output = BaselineMetrics::new(&self.metrics, partition);
        let bound = (!chooser.feeds.is_empty()).then(|| MetricBuilder::new(&self.metrics).counter("bound_values", partition));
        let summarized = self.chooser.summary.is_some().then(|| MetricBuilder::new(&self.metrics).counter("by_summary", partition));
        let batches = stream::once(async move {
            let Chosen { summary, plans, values, doubtful } = chooser.choose(&scope).await?;
            if let Some(bound) = bound {
                bound.add(values);
            }
            // A scope that no value is of is not asked, and so has neither answered nor failed.
            if plans.is_empty() {
                return Ok::<_, DataFusionError>(stream::empty().boxed());
            }
            read.begins();
            let (by_summary, trial) = match summary {
                Some((plan, together)) => {
                    let trial = Arc::new(Trial::new(&plan, chooser.spec.max_staleness, together));
                    let env = ScanEnv { trial: Some(Arc::clone(&trial)), instead: Arc::default(), ..env.clone() };
                    let rows = if trial.is_abandoned() { stream::empty().boxed() } else { execute::scan(env, scope.clone(), plan, limit) };
                    (rows, Some(trial))
                }
                None => (stream::empty().boxed(), None),
            };
            let (log, at) = (Arc::clone(&env.log), format!("{} of {}", env.table.name, scope.account.connection));
            let walk = move |plan: Arc<CallPlan>| {
                let refused = doubtful.map(|_| Arc::<Refused>::default());
                let found = execute::scan(ScanEnv { refused: refused.clone(), ..env.clone() }, scope.clone(), Arc::clone(&plan), limit);
                let (env, scope, chooser) = (env.clone(), scope.clone(), chooser.clone());
                // Values of other tables need not be any that the service takes: what it refuses is there if the list has it.
                let rest = stream::once(async move {
                    let starts = refused.map(|refused| refused.take()).unwrap_or_default();
                    let values = doubtful.map(|column| starts.iter().filter_map(|start| plan.asked_by(*start, column)).flatten().collect());
                    let values: Vec<Scalar> = values.unwrap_or_default();
                    let list = doubtful.filter(|_| !values.is_empty()).and_then(|column| chooser.looked_up(column, &values));
                    match list {
                        Some(list) => execute::scan(env, scope, Arc::new(list), limit),
                        None => stream::empty().boxed(),
                    }
                });
                found.chain(rest.flatten())
            };
            // Nothing has come of a summary that was given up.
            let listed = stream::once(async move {
                let plans = match trial {
                    Some(trial) if !trial.is_abandoned() => {
                        if let Some(summarized) = summarized {
                            summarized.add(1);
                        }
                        Vec::new()
                    }
                    Some(trial) => {
                        trial.notice().into_iter().for_each(|why| log.notice(&format!("{at}: {why}")));
                        plans
                    }
                    None => plans,
                };
                stream::iter(plans)
            });
            let rows = by_summary.chain(listed.flatten().map(walk).flatten());
            let ends = stream::once(async move {
                read.ends();
                Ok(None)
            });
            Ok(rows.map_ok(Some).chain(ends).boxed())
        })
        .try_flatten()
        .try_filter_map(|batch| std::future::ready(Ok(batch)));
        let own_schema = Arc::clone(&schema);
        let log = Arc::clone(&self.log);
        let batches = batches.and_then(move |batch| {
            output.record_output(batch.num_rows());
            if batch.num_rows() > 0 {
                log.answered();
            }
            std::future::ready(with_schema(&batch, &own_schema))
        });
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, batches))))
    }
}

/// The batch under the plan's own schema: a difference would surface far away otherwise.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)?)
}

/// Keeps the log's account of one scope.
struct Read {
    log: Arc<QueryLog>,
    table: String,
    scope: Scope,
}

impl Read {
    fn account(&self) -> Option<Arc<str>> {
        self.scope.account.known_identity().map(|i| i.account_id)
    }

    fn begins(&self) {
        self.log.asked(&self.table, &self.scope.account.connection, self.account().as_deref(), &self.scope.region);
    }

    fn ends(&self) {
        let account = self.account();
        if !self.log.lost(&self.table, &self.scope.account.connection, account.as_deref(), &self.scope.region) {
            self.log.answered();
        }
    }
}
