//! Reads along with the build side of a join and leaves its keys for the scans of the other side.

use super::values::{Binding, Collected};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Hands its input on unchanged.
#[derive(Debug)]
pub(super) struct JoinKeysExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    binding: Arc<Binding>,
    metrics: ExecutionPlanMetricsSet,
}

impl JoinKeysExec {
    /// `input` has one partition.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<Arc<dyn PhysicalExpr>>, binding: Arc<Binding>) -> JoinKeysExec {
        JoinKeysExec { input, keys, binding, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// The same keys of other rows; what it counts counts here.
    pub(super) fn over(&self, input: Arc<dyn ExecutionPlan>) -> JoinKeysExec {
        JoinKeysExec { input, keys: self.keys.clone(), binding: Arc::clone(&self.binding), metrics: self.metrics.clone() }
    }
}

impl DisplayAs for JoinKeysExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "JoinKeysExec: keys=[{}]", keys.join(", "))
    }
}

impl ExecutionPlan for JoinKeysExec {
    fn name(&self) -> &str {
        "JoinKeysExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            if f(key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(JoinKeysExec::new(input, self.keys.clone(), Arc::clone(&self.binding)))),
            _ => internal_err!("JoinKeysExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("JoinKeysExec has one partition, not {partition}");
        }
        self.binding.begin();
        Ok(Box::pin(Tapped {
            input: self.input.execute(0, context)?,
            keys: self.keys.clone(),
            collected: Some(Collected::default()),
            binding: Arc::clone(&self.binding),
            values: MetricBuilder::new(&self.metrics).counter("values", 0),
        }))
    }
}

/// The stream; it says so when it ends before its end.
struct Tapped {
    input: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// `None` once they are handed over.
    collected: Option<Collected>,
    binding: Arc<Binding>,
    values: Count,
}

impl Tapped {
    fn read(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let columns: Vec<ArrayRef> = self.keys.iter().map(|key| key.evaluate(batch)?.into_array(rows)).collect::<Result<_>>()?;
        self.collected.as_mut().map_or(Ok(()), |collected| collected.add(&columns))
    }
}

impl Stream for Tapped {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.input.poll_next_unpin(cx)) {
            Some(Ok(batch)) => Some(self.read(&batch).map(|()| batch)),
            Some(Err(error)) => Some(Err(error)),
            None => {
                if let Some(collected) = self.collected.take() {
                    self.values.add(collected.len());
                    self.binding.finish(collected.values());
                }
                None
            }
        })
    }
}

impl RecordBatchStream for Tapped {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        if self.collected.is_some() {
            self.binding.lose();
        }
    }
}
