//! Partitions of a window whose keys a condition makes constant: DataFusion sees no order in a constant, and finds no partitions then.
//!
//! Owns: an operator that hands rows on and says by what they are sorted, and nothing else about them.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions, replace_children_if_necessary};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, get_ordered_partition_by_indices};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, PlanProperties, WindowExpr,
};
use std::fmt;
use std::sync::Arc;

/// The window over rows whose order it can see; `None` where it can already, or needs none.
pub(super) fn ordered(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let windows: &[Arc<dyn WindowExpr>] = match (node.downcast_ref::<WindowAggExec>(), node.downcast_ref::<BoundedWindowAggExec>()) {
        (Some(window), _) => window.window_expr(),
        (_, Some(window)) if window.input_order_mode == InputOrderMode::Sorted => window.window_expr(),
        _ => return Ok(None),
    };
    let children = node.children();
    let (Some(window), [input]) = (windows.first(), children.as_slice()) else { return Ok(None) };
    let keys = window.partition_by();
    if get_ordered_partition_by_indices(keys, input)?.len() == keys.len() {
        return Ok(None);
    }
    let order = keys.iter().map(|key| PhysicalSortExpr::new_default(Arc::clone(key))).chain(window.order_by().iter().cloned());
    let Some(order) = LexOrdering::new(order) else { return Ok(None) };
    let whole = input.output_partitioning().partition_count() == 1;
    let sorted: Arc<dyn ExecutionPlan> = Arc::new(SortExec::new(order.clone(), Arc::clone(input)).with_preserve_partitioning(!whole));
    replace_children_if_necessary(Arc::clone(node), vec![Arc::new(OrderedExec::new(sorted, order))]).map(Some)
}

/// Says only that its rows are sorted.
#[derive(Debug)]
struct OrderedExec {
    input: Arc<dyn ExecutionPlan>,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl OrderedExec {
    fn new(input: Arc<dyn ExecutionPlan>, order: LexOrdering) -> OrderedExec {
        let known = EquivalenceProperties::new_with_orderings(input.schema(), [order.clone()]);
        let partitions = input.output_partitioning().clone();
        let properties = Arc::new(PlanProperties::new(known, partitions, input.pipeline_behavior(), input.boundedness()));
        OrderedExec { input, order, properties }
    }
}

impl DisplayAs for OrderedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderedExec: {}", self.order)
    }
}

impl ExecutionPlan for OrderedExec {
    fn name(&self) -> &str {
        "OrderedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(OrderedExec::new(input, self.order.clone()))),
            _ => internal_err!("OrderedExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
