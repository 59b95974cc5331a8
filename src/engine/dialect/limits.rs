//! LIMIT and OFFSET that are no constants: rows are numbered, and those with a number in between stay.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{Limit, Projection, Sort, Window};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast, lit};
use std::sync::Arc;

/// The same rows in the same order, without a LIMIT.
pub(super) fn as_filter(limit: Limit, count: &mut usize) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = limit.input.schema().columns().into_iter().map(Expr::Column).collect();
    let (select, input) = match limit.input.as_ref() {
        // Sorted by what is not selected.
        LogicalPlan::Projection(Projection { expr, input, .. }) if matches!(input.as_ref(), LogicalPlan::Sort(_)) => {
            (expr.clone(), Arc::clone(input))
        }
        _ => (columns, Arc::clone(&limit.input)),
    };
    let (keys, input) = match input.as_ref() {
        LogicalPlan::Sort(Sort { expr, input, .. }) => (expr.clone(), Arc::clone(input)),
        _ => (Vec::new(), input),
    };
    *count += 1;
    let name = format!("__row_{count}");
    let number = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new()));
    let number = if keys.is_empty() { number } else { number.order_by(keys.clone()).build()? };
    let numbered = LogicalPlan::Window(Window::try_new(vec![number.alias(name.clone())], input)?);
    let bigint = |expr: Expr| cast(expr, DataType::Int64);
    let row = bigint(Expr::Column(Column::new_unqualified(name)));
    let skip = limit.skip.map_or_else(|| lit(0i64), |skip| coalesce(vec![bigint(*skip), lit(0i64)]));
    let mut condition = row.clone().gt(skip.clone());
    if let Some(fetch) = limit.fetch {
        let fetch = bigint(*fetch);
        condition = condition.and(fetch.clone().is_null().or((row - skip).lt_eq(fetch)));
    }
    let mut plan = LogicalPlanBuilder::from(numbered).filter(condition)?;
    if !keys.is_empty() {
        plan = plan.sort(keys)?;
    }
    plan.project(select)?.build()
}
