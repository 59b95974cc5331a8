//! Coalesces partitions in their order, while they run side by side.
//!
//! Owns: that rows without ORDER BY come in scope order, that scopes are asked in parallel, and that few scopes are asked when few rows
//! are wanted. Refuses: detached tasks; every producer is aborted when the stream is dropped.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinType, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{EvaluationType, SchedulingType};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Partitions that run at once. Calls in flight are limited elsewhere; this bounds tasks and first batches.
const MOST_RUNNING: usize = 256;
/// KiB of batches that may wait for their turn, all partitions together, beside one batch each.
const BUDGET_KIB: usize = 64 * 1024;

/// Replaces every coalesce of a plan by an ordered one, and puts one where the order of rows would otherwise depend on timing.
#[derive(Debug)]
pub(crate) struct OrderPartitions;

impl PhysicalOptimizerRule for OrderPartitions {
    fn name(&self) -> &str {
        "order_partitions"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // A plan for one partition is run where nothing drives tasks: per row of another plan.
        let alone = config.execution.target_partitions == 1;
        let plan = plan.transform_up(|node| {
            if let Some(coalesce) = node.downcast_ref::<CoalescePartitionsExec>() {
                let mut ordered = OrderedCoalesceExec::new(Arc::clone(coalesce.input()), coalesce.fetch());
                ordered.alone = alone;
                return Ok(Transformed::yes(Arc::new(ordered) as Arc<dyn ExecutionPlan>));
            }
            if alone {
                return Ok(Transformed::no(node));
            }
            let Some(at) = timing_sensitive_child(node.as_ref()) else { return Ok(Transformed::no(node)) };
            let mut children: Vec<_> = node.children().into_iter().cloned().collect();
            if children[at].output_partitioning().partition_count() < 2 {
                return Ok(Transformed::no(node));
            }
            children[at] = Arc::new(OrderedCoalesceExec::new(Arc::clone(&children[at]), None));
            node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)).map(Transformed::yes)
        })?;
        let plan = plan.data;
        Ok(if !alone && plan.output_partitioning().partition_count() > 1 { Arc::new(OrderedCoalesceExec::new(plan, None)) } else { plan })
    }
}

/// The child whose partitions must be one for the node's output to have one order: a join emits unmatched rows of its build side from
/// whichever probe partition ends last.
fn timing_sensitive_child(node: &dyn ExecutionPlan) -> Option<usize> {
    let emits_left =
        |t: &JoinType| matches!(t, JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return emits_left(join.join_type()).then_some(1);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return emits_left(join.join_type()).then_some(1);
    }
    node.downcast_ref::<AnalyzeExec>().map(|_| 0)
}

/// One partition out of many: partition 0's batches, then 1's …
#[derive(Debug)]
pub(crate) struct OrderedCoalesceExec {
    input: Arc<dyn ExecutionPlan>,
    fetch: Option<usize>,
    /// Runs one partition after the other, without tasks.
    alone: bool,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl OrderedCoalesceExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> OrderedCoalesceExec {
        let mut equivalences = input.equivalence_properties().clone();
        if input.output_partitioning().partition_count() > 1 {
            equivalences.clear_orderings();
            equivalences.clear_per_partition_constants();
        }
        let properties =
            PlanProperties::new(equivalences, Partitioning::UnknownPartitioning(1), input.pipeline_behavior(), input.boundedness())
                .with_evaluation_type(EvaluationType::Eager)
                .with_scheduling_type(SchedulingType::Cooperative);
        OrderedCoalesceExec { input, fetch, alone: false, metrics: ExecutionPlanMetricsSet::new(), properties: Arc::new(properties) }
    }

    /// One that reads no partition before the ones before it have ended, and nothing ahead.
    pub(crate) fn alone(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> OrderedCoalesceExec {
        OrderedCoalesceExec { alone: true, ..OrderedCoalesceExec::new(input, fetch) }
    }
}

impl DisplayAs for OrderedCoalesceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderedCoalesceExec")?;
        match self.fetch {
            Some(fetch) => write!(f, ": fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for OrderedCoalesceExec {
    fn name(&self) -> &str {
        "OrderedCoalesceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(OrderedCoalesceExec { alone: self.alone, ..OrderedCoalesceExec::new(input, self.fetch) })),
            _ => internal_err!("OrderedCoalesceExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("OrderedCoalesceExec has one partition, not {partition}");
        }
        let partitions = self.input.output_partitioning().partition_count();
        let metrics = BaselineMetrics::new(&self.metrics, 0);
        if self.alone {
            let input = Arc::clone(&self.input);
            let one = move |p| futures::future::ready(input.execute(p, Arc::clone(&context)));
            let batches = futures::stream::iter(0..partitions).then(one).try_flatten().boxed();
            let batches = futures::stream::try_unfold((batches, self.fetch, metrics), |(mut batches, mut wanted, metrics)| async move {
                if wanted == Some(0) {
                    return Ok(None);
                }
                let Some(batch) = batches.try_next().await? else { return Ok(None) };
                let batch = take(batch, &mut wanted);
                metrics.record_output(batch.num_rows());
                Ok(Some((batch, (batches, wanted, metrics))))
            });
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)));
        }
        let run = Run {
            input: Arc::clone(&self.input),
            context,
            partitions,
            started: 0,
            ended: 0,
            running: VecDeque::new(),
            // With a fetch the first partition may be enough: ask it alone, then two, then four …, as long as all of them were not.
            allowed: if self.fetch.is_some() { 1 } else { usize::MAX },
            budget: Arc::new(Semaphore::new(BUDGET_KIB)),
            wanted: self.fetch,
            metrics,
        };
        let batches = futures::stream::unfold(run, |mut run| async move { run.next().await.map(|batch| (batch, run)) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.fuse())))
    }
}

/// As much of a batch as is still wanted.
fn take(batch: RecordBatch, wanted: &mut Option<usize>) -> RecordBatch {
    let Some(wanted) = wanted else { return batch };
    let rows = batch.num_rows().min(*wanted);
    *wanted -= rows;
    batch.slice(0, rows)
}

/// A batch and the room it takes, which is free again when the batch is handed on.
type Parcel = (Result<RecordBatch>, OwnedSemaphorePermit);

struct Producer {
    parcels: mpsc::UnboundedReceiver<Parcel>,
    task: SpawnedTask<()>,
}

struct Run {
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    partitions: usize,
    started: usize,
    ended: usize,
    /// Producers of consecutive partitions, the next to emit in front.
    running: VecDeque<Producer>,
    /// Partitions that may be started at all, until they have all ended.
    allowed: usize,
    budget: Arc<Semaphore>,
    wanted: Option<usize>,
    metrics: BaselineMetrics,
}

impl Run {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if self.wanted == Some(0) {
                self.stop();
                return None;
            }
            while self.running.len() < MOST_RUNNING && self.started < self.partitions.min(self.allowed) {
                match self.start(self.started) {
                    Ok(producer) => self.running.push_back(producer),
                    Err(e) => {
                        self.stop();
                        return Some(Err(e));
                    }
                }
                self.started += 1;
            }
            let front = self.running.front_mut()?;
            match front.parcels.recv().await {
                Some((Ok(batch), _room)) => {
                    let batch = take(batch, &mut self.wanted);
                    self.metrics.record_output(batch.num_rows());
                    return Some(Ok(batch));
                }
                Some((Err(e), _)) => {
                    self.stop();
                    return Some(Err(e));
                }
                None => {
                    // The producer has ended: by itself, or by a panic that only the join shows.
                    let joined = match self.running.pop_front() {
                        Some(producer) => producer.task.join().await,
                        None => Ok(()),
                    };
                    if let Err(e) = joined {
                        self.stop();
                        return Some(Err(DataFusionError::ExecutionJoin(Box::new(e))));
                    }
                    self.ended += 1;
                    if self.ended == self.allowed {
                        self.allowed = self.allowed * 2 + 1;
                    }
                }
            }
        }
    }

    /// Aborts every producer; nothing is started any more.
    fn stop(&mut self) {
        self.running.clear();
        self.started = self.partitions;
        self.wanted = Some(0);
    }

    fn start(&self, partition: usize) -> Result<Producer> {
        let mut batches = self.input.execute(partition, Arc::clone(&self.context))?;
        let (sender, parcels) = mpsc::unbounded_channel();
        let budget = Arc::clone(&self.budget);
        // One batch of each partition waits free of charge, so that the one whose turn it is can always go on.
        let slot = Arc::new(Semaphore::new(1));
        let mut wanted = self.wanted;
        let task = SpawnedTask::spawn(async move {
            while let Some(batch) = batches.next().await {
                let (rows, bytes) = batch.as_ref().map_or((0, 0), |b| (b.num_rows(), b.get_array_memory_size()));
                if rows == 0 && batch.is_ok() {
                    continue;
                }
                let kib = u32::try_from((bytes / 1024).clamp(1, BUDGET_KIB)).unwrap_or(u32::MAX);
                let room = tokio::select! {
                    biased;
                    free = Arc::clone(&slot).acquire_owned() => free,
                    charged = Arc::clone(&budget).acquire_many_owned(kib) => charged,
                };
                let Ok(room) = room else { return };
                let failed = batch.is_err();
                if sender.send((batch, room)).is_err() || failed {
                    return;
                }
                if let Some(left) = &mut wanted {
                    *left = left.saturating_sub(rows);
                    if *left == 0 {
                        return;
                    }
                }
            }
        });
        Ok(Producer { parcels, task })
    }
}

#[cfg(test)]
mod tests;
