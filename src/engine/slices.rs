//! Keeps long lists small: a projection that makes a list for every row gets few rows at a time.
//!
//! `generate_series(1, 1000000)` beside another table is one list a row before it becomes rows, and a batch of rows would hold them all
//! at once. Owns: how many rows that is. Refuses: to change order or partitions.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Values that the lists of one batch may have together.
const MOST_VALUES: usize = 1 << 22;
/// Lists up to this length need no care.
const SHORT: usize = 1 << 10;
/// Rows at a time where only the row says how long its series is.
const UNKNOWN_ROWS: usize = 16;

/// Puts a [`SliceExec`] below projections that make long lists.
#[derive(Debug)]
pub(crate) struct SliceBeforeLists;

impl PhysicalOptimizerRule for SliceBeforeLists {
    fn name(&self) -> &str {
        "slice_before_lists"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(Transformed::no(node)) };
            let mut rows: Option<usize> = None;
            for made in projection.expr() {
                if let Some(few) = rows_at_a_time(&made.expr, &projection.input().schema())? {
                    rows = Some(rows.map_or(few, |rows| rows.min(few)));
                }
            }
            let Some(rows) = rows else { return Ok(Transformed::no(node)) };
            let slices: Arc<dyn ExecutionPlan> = Arc::new(SliceExec { input: Arc::clone(projection.input()), rows });
            node.replace_children(vec![slices], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)).map(Transformed::yes)
        })?;
        Ok(plan.data)
    }
}

/// How many rows of this expression a batch may have; `None`: any number.
fn rows_at_a_time(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<usize>> {
    if !matches!(expr.data_type(schema)?, DataType::List(_) | DataType::LargeList(_)) {
        return Ok(None);
    }
    if collect_columns(expr).is_empty() {
        let empty =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &RecordBatchOptions::new().with_row_count(Some(1)))?;
        // What fails here fails again where its error is told.
        let Ok(list) = expr.evaluate(&empty).and_then(|list| list.into_array(1)) else { return Ok(None) };
        let values = match list.data_type() {
            DataType::List(_) => list.as_list::<i32>().values().len(),
            _ => list.as_list::<i64>().values().len(),
        };
        return Ok((values > SHORT).then(|| (MOST_VALUES / values).max(1)));
    }
    let mut series = false;
    expr.apply(|part| {
        series |= part.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| call.name() == "generate_series");
        Ok(if series { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(series.then_some(UNKNOWN_ROWS))
}

/// Hands on batches of few rows.
#[derive(Debug)]
struct SliceExec {
    input: Arc<dyn ExecutionPlan>,
    rows: usize,
}

impl DisplayAs for SliceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SliceExec: rows={}", self.rows)
    }
}

impl ExecutionPlan for SliceExec {
    fn name(&self) -> &str {
        "SliceExec"
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

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(SliceExec { input, rows: self.rows })),
            _ => internal_err!("SliceExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.rows;
        let batches = self.input.execute(partition, context)?;
        let slices = batches.map_ok(move |batch| {
            let starts = (0..batch.num_rows()).step_by(rows);
            stream::iter(starts.map(move |start| Ok(batch.slice(start, rows.min(batch.num_rows() - start)))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), slices.try_flatten().boxed())))
    }
}
