//! `count(t)`, `count(t.*)`: how many rows of `t` there are, without those that an outer join makes up.
//!
//! An expression planner sees no columns, so the argument is a mark first, and the finished plan gets the test. After an outer join, a row
//! without any value counts as none; PostgreSQL can tell it from the missing row of a join.

use super::operators::call;
use super::whole_rows;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, TableReference};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::RawAggregateExpr;
use datafusion::logical_expr::{Aggregate, Case, Expr, LogicalPlan, LogicalPlanBuilder, lit};

const MARK: &str = "whole_row";

/// Marks `count(t.*)`; the mark names the relation.
pub(super) fn mark(mut call_of: RawAggregateExpr) -> Result<RawAggregateExpr> {
    #[expect(deprecated, reason = "DataFusion's planner still makes it for t.* as an argument")]
    let relation = match call_of.args.as_slice() {
        [Expr::Wildcard { qualifier: Some(relation), .. }] if call_of.func.name() == "count" => relation.to_string(),
        _ => return Ok(call_of),
    };
    call_of.args = vec![call(MARK, vec![lit(relation)])?];
    Ok(call_of)
}

/// Replaces the marks of a plan: 1 where the row has a value.
pub(super) fn resolve(plan: LogicalPlan) -> Result<LogicalPlan> {
    let resolved = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        if !aggregate.aggr_expr.iter().any(is_marked) {
            return Ok(Transformed::no(plan));
        }
        let Aggregate { input, group_expr, aggr_expr, .. } = aggregate.clone();
        let calls = aggr_expr.into_iter().map(|expr| of_aggregate(expr, &input)).collect::<Result<Vec<_>>>()?;
        Ok(Transformed::yes(LogicalPlanBuilder::from(input.as_ref().clone()).aggregate(group_expr, calls)?.build()?))
    })?;
    Ok(resolved.data)
}

fn is_marked(expr: &Expr) -> bool {
    expr.exists(|part| Ok(marked(part).is_some())).unwrap_or(false)
}

fn marked(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == MARK => match args.as_slice() {
            [Expr::Literal(ScalarValue::Utf8(Some(relation)), _)] => Some(relation),
            _ => None,
        },
        _ => None,
    }
}

/// The aggregate with its test, under the name that the plan above knows.
fn of_aggregate(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    let name = expr.schema_name().to_string();
    let made = expr.transform_up(|part| {
        let Some(relation) = marked(&part) else { return Ok(Transformed::no(part)) };
        let columns = whole_rows::columns(&TableReference::bare(relation), input.schema());
        let is_row = columns.iter().all(|column| column.name != relation);
        if is_row && !columns.is_empty() && !whole_rows::may_be_missing(input) {
            return Ok(Transformed::yes(lit(1i64)));
        }
        let any = columns.into_iter().map(|column| Expr::Column(column).is_not_null()).reduce(Expr::or);
        let when = (Box::new(any.unwrap_or_else(|| lit(false))), Box::new(lit(1i64)));
        Ok(Transformed::yes(Expr::Case(Case::new(None, vec![when], None))))
    })?;
    Ok(if made.transformed { made.data.alias(name) } else { made.data })
}
