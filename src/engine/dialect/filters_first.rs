//! Filters below what is computed: DataFusion moves a projection under a filter where that leaves fewer columns to carry.
//!
//! Then `select id, value::int … where kind = 'n'` would read numbers out of rows that the filter leaves out. Owns: the rule that moves such
//! a filter back. Refuses: filters on what is computed.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::sync::Arc;

/// Moves filters under projections that compute.
#[derive(Debug)]
pub(super) struct FiltersFirst;

impl PhysicalOptimizerRule for FiltersFirst {
    fn name(&self) -> &str {
        "filters_first"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_down(swapped)?.data)
    }
}

fn swapped(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let moved = match node.downcast_ref::<FilterExec>() {
        Some(filter) => match filter.input().downcast_ref::<ProjectionExec>() {
            Some(projection) => below(filter, projection)?,
            None => None,
        },
        None => None,
    };
    Ok(moved.map_or_else(|| Transformed::no(node), Transformed::yes))
}

/// The projection over the filter.
fn below(filter: &FilterExec, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let column = |expr: &ProjectionExpr| expr.expr.downcast_ref::<Column>().cloned();
    let exprs = projection.expr();
    if exprs.iter().all(|expr| column(expr).is_some()) {
        return Ok(None);
    }
    let mut computed = false;
    let predicate = Arc::clone(filter.predicate()).transform_up(|expr| {
        let Some(above) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        match exprs.get(above.index()).and_then(column) {
            Some(column) => Ok(Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>)),
            None => {
                computed = true;
                Ok(Transformed::no(expr))
            }
        }
    })?;
    if computed {
        return Ok(None);
    }
    let kept: Vec<ProjectionExpr> = match filter.projection() {
        Some(indices) => indices.iter().filter_map(|at| exprs.get(*at).cloned()).collect(),
        None => exprs.to_vec(),
    };
    let filter = FilterExecBuilder::from(filter)
        .with_input(Arc::clone(projection.input()))
        .with_predicate(predicate.data)
        .apply_projection(None)?
        .build()?;
    Ok(Some(Arc::new(ProjectionExec::try_new(kept, Arc::new(filter))?)))
}
