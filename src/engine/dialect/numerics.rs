//! Numerics where DataFusion compares values itself: IN lists, CASE x WHEN, IS DISTINCT FROM, and every kind of ORDER BY.
//!
//! They are texts to it: equality goes by keys that are the same for equal numbers, order by keys that sort as the numbers do.

use super::numbers::compare;
use super::operators::call;
use crate::functions::cast::Target;
use crate::functions::numeric;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Case, InList, Sort};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};

/// Rewrites a plan's expressions.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(node)?.data)
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let mut plan = plan.map_expressions(|expr| {
        let saved = names.save(&expr);
        let new = expr.transform_up(|expr| expression(expr, &schema))?;
        Ok(if new.transformed { new.update_data(|expr| saved.restore(expr)) } else { new })
    })?;
    if let LogicalPlan::Sort(sort) = &mut plan.data {
        plan.transformed |= sort_by(&mut sort.expr, &schema)?;
    }
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

fn is_numeric(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|ty| ty == numeric::TYPE)
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|ty| ty.is_floating())
}

fn sort_by(keys: &mut [Sort], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for key in keys {
        if is_numeric(&key.expr, schema) {
            key.expr = call("numeric sort key", vec![key.expr.clone()])?;
            changed = true;
        }
    }
    Ok(changed)
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InList(InList { expr, list, negated }) => {
            let all = || std::iter::once(expr.as_ref()).chain(&list);
            if !all().any(|one| is_numeric(one, schema)) {
                return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
            }
            let float = all().any(|one| is_float(one, schema));
            let key = |one: Expr| {
                if !float {
                    call("numeric equal key", vec![one])
                } else if is_numeric(&one, schema) {
                    Ok(Target::Float8.call(one, false))
                } else {
                    Ok(one)
                }
            };
            let list = list.into_iter().map(key).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(InList { expr: Box::new(key(*expr)?), list, negated })))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) && (is_numeric(&left, schema) || is_numeric(&right, schema)) => {
            if is_float(&left, schema) || is_float(&right, schema) {
                let float = |one: Expr| if is_numeric(&one, schema) { Target::Float8.call(one, false) } else { one };
                return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr {
                    left: Box::new(float(*left)),
                    op,
                    right: Box::new(float(*right)),
                })));
            }
            compare(*left, op, *right).map(Transformed::yes)
        }
        Expr::Case(Case { expr: Some(of), when_then_expr, else_expr })
            if is_numeric(&of, schema) || when_then_expr.iter().any(|(when, _)| is_numeric(when, schema)) =>
        {
            let equal = |when: Box<Expr>| compare(of.as_ref().clone(), Operator::Eq, *when).map(Box::new);
            let when_then_expr = when_then_expr.into_iter().map(|(when, then)| Ok((equal(when)?, then))).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::Case(Case { expr: None, when_then_expr, else_expr })))
        }
        Expr::WindowFunction(mut window) => {
            let changed = sort_by(&mut window.params.order_by, schema)?;
            Ok(Transformed::new_transformed(Expr::WindowFunction(window), changed))
        }
        Expr::AggregateFunction(mut aggregate) => {
            let changed = sort_by(&mut aggregate.params.order_by, schema)?;
            Ok(Transformed::new_transformed(Expr::AggregateFunction(aggregate), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}
