//! Joins under a LIMIT: the build side in pieces, so that nobody reads on once the rows are there.
//!
//! Owns: the rule that finds such joins, and the operator that runs a hash join per piece; the values of a piece reach the scans as
//! those of a whole build side do. Refuses: joins whose rows need the whole build side (those that give rows of the probe side once).

use super::sides::binds;
use super::tap::JoinKeysExec;
use crate::dialect::depth::deep;
use crate::ordered::OrderedCoalesceExec;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType, reset_plan_states};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Operators that hand on rows as they come, so that a LIMIT above them is one below them.
const STREAMS: [&str; 8] = [
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "FilterExec",
    "ProjectionExec",
    "ScalarSubqueryExec",
    "SliceExec",
    "UnionExec",
];
/// Rows of the largest piece.
const MOST_ROWS: usize = 1024;

/// Replaces bound joins under a LIMIT.
pub(super) fn streamed(node: Arc<dyn ExecutionPlan>, limited: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
    deep(|| {
        let limited = limit_of(node.as_ref(), limited);
        let Some(rows) = limited else {
            return map_children(&node, |_, child| streamed(child, None));
        };
        let Some(join) = node.downcast_ref::<HashJoinExec>() else {
            let subqueries = node.name() == "ScalarSubqueryExec";
            return map_children(&node, |at, child| streamed(child, limited.filter(|_| at == 0 || !subqueries)));
        };
        if !in_pieces(join) {
            // The probe side streams, the build side is read to its end.
            return map_children(&node, |at, child| streamed(child, limited.filter(|_| at == 1)));
        }
        let node = map_children(&node, |_, child| streamed(child, limited))?;
        match node.downcast_ref::<HashJoinExec>() {
            Some(join) => Ok(Arc::new(StreamedJoinExec::new(join, rows)?)),
            None => Ok(node),
        }
    })
}

/// How many rows are wanted of a node.
fn limit_of(node: &dyn ExecutionPlan, above: Option<usize>) -> Option<usize> {
    let own = if let Some(limit) = node.downcast_ref::<GlobalLimitExec>() {
        limit.fetch().map(|fetch| fetch.saturating_add(limit.skip()))
    } else if let Some(limit) = node.downcast_ref::<LocalLimitExec>() {
        Some(limit.fetch())
    } else if STREAMS.contains(&node.name()) || node.downcast_ref::<HashJoinExec>().is_some() {
        node.fetch().or(above)
    } else {
        // Sorts, aggregates and windows read everything, whatever is wanted of them.
        None
    };
    own.filter(|rows| *rows < MOST_ROWS)
}

fn map_children(
    node: &Arc<dyn ExecutionPlan>,
    f: impl Fn(usize, Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let old: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().cloned().collect();
    let new = old.iter().enumerate().map(|(at, child)| f(at, Arc::clone(child))).collect::<Result<Vec<_>>>()?;
    if old.iter().zip(&new).all(|(old, new)| Arc::ptr_eq(old, new)) {
        return Ok(Arc::clone(node));
    }
    Arc::clone(node).replace_children(new, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Each row of the build side decides about its own rows, its values are asked by, and nobody relies on an order of the probe side.
fn in_pieces(join: &HashJoinExec) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi};
    matches!(join.join_type(), Inner | Left | LeftSemi | LeftAnti | LeftMark)
        && join.properties().output_ordering().is_none()
        && binds(join, *join.join_type())
        && *join.partition_mode() == PartitionMode::CollectLeft
        && join.left().downcast_ref::<JoinKeysExec>().is_some()
}

/// A hash join of one piece of the build side after the other.
#[derive(Debug)]
struct StreamedJoinExec {
    join: Arc<HashJoinExec>,
    /// Rows of the first piece; the others grow.
    rows: usize,
    properties: Arc<PlanProperties>,
}

impl StreamedJoinExec {
    fn new(join: &HashJoinExec, rows: usize) -> Result<StreamedJoinExec> {
        let Some(keys) = join.left().downcast_ref::<JoinKeysExec>() else { return internal_err!("a streamed join is a bound one") };
        // Scopes one after the other: those that are read ahead are asked in vain, perhaps.
        let left = match keys.input().downcast_ref::<CoalescePartitionsExec>() {
            Some(coalesce) => Arc::new(keys.over(Arc::new(OrderedCoalesceExec::alone(Arc::clone(coalesce.input()), coalesce.fetch())))),
            None => Arc::clone(join.left()),
        };
        let right = if join.right().output_partitioning().partition_count() > 1 {
            Arc::new(OrderedCoalesceExec::new(Arc::clone(join.right()), None))
        } else {
            Arc::clone(join.right())
        };
        let join = join.builder().with_new_children(vec![left, right])?.build()?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(join.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(StreamedJoinExec { join: Arc::new(join), rows, properties: Arc::new(properties) })
    }
}

impl DisplayAs for StreamedJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<String> = self.join.on().iter().map(|(l, r)| format!("({l}, {r})")).collect();
        write!(f, "StreamedJoinExec: join_type={:?}, on=[{}]", self.join.join_type(), on.join(", "))?;
        match self.join.fetch() {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for StreamedJoinExec {
    fn name(&self) -> &str {
        "StreamedJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.join.left(), self.join.right()]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition, Distribution::SinglePartition]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.first().is_none_or(|left| left.downcast_ref::<JoinKeysExec>().is_none()) {
            return internal_err!("the build side of StreamedJoinExec is JoinKeysExec");
        }
        let join = self.join.builder().with_new_children(children)?.build()?;
        Ok(Arc::new(StreamedJoinExec { join: Arc::new(join), rows: self.rows, properties: Arc::clone(&self.properties) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn fetch(&self) -> Option<usize> {
        self.join.fetch()
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("StreamedJoinExec has one partition, not {partition}");
        }
        let Some(keys) = self.join.left().downcast_ref::<JoinKeysExec>() else { return internal_err!("a streamed join is a bound one") };
        let rows = keys.input().execute(0, Arc::clone(&context))?;
        let join = Arc::clone(&self.join);
        // One piece after the other: all of them leave their values in the same place.
        let joined = pieces(rows, self.rows).map(move |piece| of_piece(&join, piece?, &context)).try_flatten();
        let fetch = self.join.fetch();
        let taken = stream::try_unfold((joined.boxed(), fetch), |(mut rows, mut wanted)| async move {
            if wanted == Some(0) {
                return Ok(None);
            }
            let Some(mut batch) = rows.try_next().await? else { return Ok(None) };
            if let Some(wanted) = &mut wanted {
                batch = batch.slice(0, batch.num_rows().min(*wanted));
                *wanted -= batch.num_rows();
            }
            Ok(Some((batch, (rows, wanted))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), taken)))
    }
}

/// The rows in pieces, each twice as long as the one before.
fn pieces(rows: SendableRecordBatchStream, first: usize) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let begin = (rows, None::<RecordBatch>, first.max(1));
    stream::try_unfold(begin, |(mut rows, left, size)| async move {
        let batch = match left {
            Some(batch) => batch,
            None => match rows.try_next().await? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let piece = batch.slice(0, size.min(batch.num_rows()));
        let left = (piece.num_rows() < batch.num_rows()).then(|| batch.slice(piece.num_rows(), batch.num_rows() - piece.num_rows()));
        Ok(Some((piece, (rows, left, (size * 2).min(MOST_ROWS)))))
    })
    .try_filter(|piece| std::future::ready(piece.num_rows() > 0))
}

/// The join over one piece.
fn of_piece(join: &HashJoinExec, piece: RecordBatch, context: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
    let Some(keys) = join.left().downcast_ref::<JoinKeysExec>() else { return internal_err!("a streamed join is a bound one") };
    let schema = piece.schema();
    let memory = MemorySourceConfig::try_new_exec(&[vec![piece]], schema, None)?;
    let probe = reset_plan_states(Arc::clone(join.right()))?;
    join.builder().reset_state().with_new_children(vec![Arc::new(keys.over(memory)), probe])?.build()?.execute(0, Arc::clone(context))
}
