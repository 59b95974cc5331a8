//! `SELECT DISTINCT ON (…)`: the rows of each value are numbered in their order, and the first ones stay.
//!
//! DataFusion's own way, an aggregate of first values, takes no expression twice and no subqueries.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{Distinct, DistinctOn, Sort, Window};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast, lit};
use std::sync::Arc;

/// Rewrites a plan and its subqueries.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut count = 0;
    let done = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Distinct(Distinct::On(on)) => {
            count += 1;
            first(on, &format!("__first_{count}")).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(done?.data)
}

fn first(on: DistinctOn, name: &str) -> Result<LogicalPlan> {
    let DistinctOn { on_expr, select_expr, sort_expr, input, .. } = on;
    let keys = sort_expr.unwrap_or_default();
    let number = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new()));
    let number = number.partition_by(on_expr);
    let number = if keys.is_empty() { number.build()? } else { number.order_by(keys.clone()).build()? };
    let numbered = LogicalPlan::Window(Window::try_new(vec![number.alias(name)], input)?);
    let is_first = cast(Expr::Column(Column::new_unqualified(name)), DataType::Int64).eq(lit(1i64));
    let mut plan = LogicalPlanBuilder::from(numbered).filter(is_first)?.build()?;
    if !keys.is_empty() {
        plan = LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(plan), fetch: None });
    }
    LogicalPlanBuilder::from(plan).project(select_expr)?.build()
}
