//! The leaf of a physical plan: one partition per scope, each walking the table's call plan lazily.
//!
//! Owns: what a scan asks ([`ScanSpec`]) and what it counted. Refuses: calls before the first poll.

use crate::QueryLog;
use crate::execute::{self, ScanEnv};
use crate::explain;
use assay_cloud::{Cloud, Scope, Tally};
use assay_tables::{CallPlan, Filter, Request, Table};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
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
}

/// Scans a table by calls.
#[derive(Debug)]
pub(crate) struct ApiScan {
    spec: Arc<ScanSpec>,
    plan: Arc<CallPlan>,
    unfiltered: Option<Arc<CallPlan>>,
    cloud: Cloud,
    log: Arc<QueryLog>,
    /// Calls of this scan alone; they also count for its table.
    tally: Tally,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ApiScan {
    /// `schema` is that of the projection.
    pub(crate) fn new(spec: ScanSpec, plan: CallPlan, schema: SchemaRef, cloud: Cloud, log: Arc<QueryLog>) -> ApiScan {
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
        ApiScan {
            spec: Arc::new(spec),
            plan: Arc::new(plan),
            unfiltered,
            cloud,
            log,
            tally,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for ApiScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        explain::scan(&self.spec, f)
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
        let Some(scope) = self.spec.scopes.get(partition).cloned() else {
            return Ok(Box::pin(EmptyRecordBatchStream::new(schema)));
        };
        let env = ScanEnv {
            cloud: self.cloud.clone(),
            log: Arc::clone(&self.log),
            table: Arc::clone(&self.spec.table),
            tally: self.tally.clone(),
            unfiltered: self.unfiltered.clone(),
        };
        let read = Read { log: Arc::clone(&self.log), table: self.spec.table.name.clone(), scope: scope.clone() };
        let (plan, limit) = (Arc::clone(&self.plan), self.spec.limit);
        let output = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::once(async move {
            read.begins();
            let rows = execute::scan(env, scope, plan, limit);
            let ends = stream::once(async move {
                read.ends();
                Ok(None)
            });
            rows.map_ok(Some).chain(ends)
        })
        .flatten()
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
