//! Optimizer rules kept from plans whose meaning they would change.
//!
//! Two of DataFusion's rules turn `a = b` in a condition into one more key of a join whose keys match NULL with NULL (`is not distinct from`,
//! INTERSECT, dependent joins), where NULL would then equal NULL. A third computes what an aggregate's argument and its FILTER share for
//! all rows, also for those that the FILTER is there to leave out.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// DataFusion's rules, those three held back.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let held = |rule: Arc<dyn OptimizerRule + Send + Sync>| -> Arc<dyn OptimizerRule + Send + Sync> {
        match rule.name() {
            "extract_equijoin_predicate" => Arc::new(Held { rule, by: |plan| Ok(matches_nulls(plan)) }),
            "eliminate_cross_join" => Arc::new(Held { rule, by: |plan| plan.exists(|node| Ok(is_inner(node) && matches_nulls(node))) }),
            "common_sub_expression_eliminate" => Arc::new(Held { rule, by: |plan| plan.exists(|node| Ok(filters_rows(node))) }),
            _ => rule,
        }
    };
    Optimizer::new().rules.into_iter().map(held).collect()
}

#[derive(Debug)]
struct Held {
    rule: Arc<dyn OptimizerRule + Send + Sync>,
    /// Which plans it is kept from. A rule that walks the plan itself sees only the whole of it.
    by: fn(&LogicalPlan) -> Result<bool>,
}

fn matches_nulls(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull)
}

fn is_inner(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.join_type == JoinType::Inner)
}

/// An aggregate with FILTER over more than columns.
fn filters_rows(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = plan else { return false };
    let filters = |expr: &Expr| {
        matches!(expr, Expr::AggregateFunction(call) if call.params.filter.is_some()
            && call.params.args.iter().any(|arg| !matches!(arg, Expr::Column(_) | Expr::Literal(..))))
    };
    aggregate.aggr_expr.iter().any(|expr| expr.exists(|part| Ok(filters(part))).unwrap_or(true))
}

impl OptimizerRule for Held {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if (self.by)(&plan)? { Ok(Transformed::no(plan)) } else { self.rule.rewrite(plan, config) }
    }
}
