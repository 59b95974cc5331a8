//! `INTERSECT ALL` and `EXCEPT ALL`: how often a row is there counts.
//!
//! Equal rows are numbered on both sides, and the number is part of the row: the second `x` on the left meets the second one on the right.

use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{Distinct, Join, Window};
use datafusion::logical_expr::{Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition};
use std::sync::Arc;

/// True for the join that DataFusion plans for them.
pub(super) fn is_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && join.on.len() == join.right.schema().fields().len()
        // Without ALL the left side is distinct; then a count says no more than a presence.
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

/// The join with its rows numbered.
pub(super) fn counted(join: Join, count: &mut usize) -> Result<LogicalPlan> {
    let Join { left, right, mut on, filter, join_type, join_constraint, null_equality, null_aware, .. } = join;
    let columns: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = on.iter().cloned().unzip();
    let (left, left_number) = numbered(left, left_keys, count)?;
    let (right, right_number) = numbered(right, right_keys, count)?;
    on.push((Expr::Column(left_number), Expr::Column(right_number)));
    let joined = Join::try_new(left, right, on, filter, join_type, join_constraint, null_equality, null_aware)?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns)?.build()
}

fn numbered(plan: Arc<LogicalPlan>, keys: Vec<Expr>, count: &mut usize) -> Result<(Arc<LogicalPlan>, Column)> {
    *count += 1;
    let name = format!("__copy_{count}");
    let row_number = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new()));
    let number = row_number.partition_by(keys).build()?.alias(name.clone());
    Ok((Arc::new(LogicalPlan::Window(Window::try_new(vec![number], plan)?)), Column::new_unqualified(name)))
}
