//! Optimizer rules kept from joins whose keys match NULL with NULL (`is not distinct from`, INTERSECT, dependent joins).
//!
//! Two of DataFusion's rules turn `a = b` in a condition into one more key of such a join, where NULL would then equal NULL.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// DataFusion's rules, those two held back.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let held = |rule: Arc<dyn OptimizerRule + Send + Sync>| -> Arc<dyn OptimizerRule + Send + Sync> {
        match rule.name() {
            "extract_equijoin_predicate" => Arc::new(Held { rule, whole: false }),
            "eliminate_cross_join" => Arc::new(Held { rule, whole: true }),
            _ => rule,
        }
    };
    Optimizer::new().rules.into_iter().map(held).collect()
}

#[derive(Debug)]
struct Held {
    rule: Arc<dyn OptimizerRule + Send + Sync>,
    /// The rule walks the plan itself: one such join in it holds the rule back.
    whole: bool,
}

fn matches_nulls(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull)
}

impl OptimizerRule for Held {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let inner = |node: &LogicalPlan| matches!(node, LogicalPlan::Join(join) if join.join_type == JoinType::Inner);
        let held = if self.whole { plan.exists(|node| Ok(inner(node) && matches_nulls(node)))? } else { matches_nulls(&plan) };
        if held { Ok(Transformed::no(plan)) } else { self.rule.rewrite(plan, config) }
    }
}
