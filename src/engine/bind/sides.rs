//! Which side of a join is read first: the one whose values the other can be asked by.

use super::choose::Need;
use super::trace::{self, Key};
use crate::dialect::depth::deep;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use std::sync::Arc;

/// Swaps the sides of hash joins so that tables that are asked by key are probed.
#[derive(Debug)]
pub(crate) struct JoinSides;

impl PhysicalOptimizerRule for JoinSides {
    fn name(&self) -> &str {
        "join_sides"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        deep(|| Ok(plan.transform_up(swapped)?.data))
    }
}

fn swapped(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
    let as_is = if binds(join, *join.join_type()) { need(join, JoinSide::Right)? } else { Need::None };
    let other = if binds(join, join.join_type().swap()) { need(join, JoinSide::Left)? } else { Need::None };
    if other <= as_is {
        return Ok(Transformed::no(node));
    }
    join.swap_inputs(*join.partition_mode()).map(Transformed::yes)
}

/// May rows of the probe side be left out whose keys the build side does not have? Not where the join keeps all rows of the probe side, nor
/// where NULLs count.
pub(super) fn binds(join: &HashJoinExec, kind: JoinType) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, RightSemi};
    let drops = matches!(kind, Inner | Left | LeftSemi | LeftAnti | LeftMark | RightSemi);
    drops && !join.null_aware && join.null_equality() == NullEquality::NullEqualsNothing
}

/// The keys of a join as columns of one side.
pub(super) fn keys(join: &HashJoinExec, side: JoinSide) -> Vec<Key> {
    let own = |(l, r): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)| trace::column(if side == JoinSide::Left { l } else { r });
    join.on().iter().enumerate().filter_map(|(at, pair)| Some(Key { at, column: own(pair)? })).collect()
}

/// How much the scans of a side would gain from values of the other.
fn need(join: &HashJoinExec, side: JoinSide) -> Result<Need> {
    let input = if side == JoinSide::Left { join.left() } else { join.right() };
    let mut need = Need::None;
    trace::map_scans(input, &keys(join, side), &mut |scan, keys| {
        need = need.max(scan.need(&keys.iter().map(|key| key.column).collect::<Vec<_>>()));
        Ok(None)
    })?;
    Ok(need)
}
