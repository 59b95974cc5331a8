//! AND, OR and FILTER as PostgreSQL computes them: what could fail only for the rows that the other conditions let through.
//!
//! DataFusion computes both sides of AND for whole batches, after it has merged conditions of several levels and made AND of CASE. So this
//! happens last, between the optimized and the physical plan: `kind = 'n' and value::int > 3` becomes a CASE that is computed row by row.

use crate::functions;
use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Filter;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use std::sync::Arc;

/// Plans what the optimizer gives, made lazy.
#[derive(Debug)]
pub(super) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::default();
        if any_fails(plan)? {
            return planner.create_physical_plan(&lazy(plan.clone())?, state).await;
        }
        planner.create_physical_plan(plan, state).await
    }
}

/// True if there is anything to do: most plans go through untouched.
fn any_fails(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= fails(expr);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

fn lazy(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) if fails(&filter.predicate) => {
            let predicate = condition(filter.predicate)?;
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
        }
        // What a scan is asked for is the scan's.
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) => Ok(Transformed::no(node)),
        node => {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                if !fails(&expr) {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                Ok(value(expr)?.update_data(|expr| name.restore(expr)))
            })
        }
    })?;
    Ok(done.data)
}

/// True for what may be an error for some values: our functions but the ones below, and division.
fn fails(expr: &Expr) -> bool {
    expr.exists(|expr| {
        Ok(match expr {
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                super::row_subquery::is_call(expr) || functions::get(name).is_some() && !harmless(name)
            }
            Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(_) | Expr::ScalarFunction(_)) && !is_text(cast.field.data_type()),
            Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, right, .. }) => {
                !matches!(right.as_ref(), Expr::Literal(..))
            }
            _ => false,
        })
    })
    .unwrap_or(true)
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// Functions of ours that have an answer for every value, and are frequent enough to be worth naming.
fn harmless(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "age",
        "array_or_empty",
        "array_to_string",
        "concat",
        "concat_ws",
        "jsonb_typeof",
        "jsonb_cmp",
        "jsonb_contains",
        "jsonb_sort_key",
        "jsonb_tag",
        "like_any",
        "like_all",
        "cast_text",
        "split_part",
    ];
    const PREFIXES: [&str; 6] = ["jsonb_get", "jsonb_exists", "any_", "all_", "timestamp_", "timestamptz_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `CASE of WHEN result.0 THEN result.1 … ELSE otherwise END`: DataFusion computes a branch for its rows alone.
fn case(of: Expr, branches: Vec<(bool, Expr)>, otherwise: Expr) -> Expr {
    let when_then_expr = branches.into_iter().map(|(when, then)| (Box::new(lit(when)), Box::new(then))).collect();
    Expr::Case(Case { expr: Some(Box::new(of)), when_then_expr, else_expr: Some(Box::new(otherwise)) })
}

/// A condition, of which NULL is as good as false: safe parts first, then those that may fail, subqueries last, as PostgreSQL orders them by cost.
fn condition(expr: Expr) -> Result<Expr> {
    if !fails(&expr) {
        return Ok(expr);
    }
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. }) => {
            let (risky, safe): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(expr).into_iter().partition(fails);
            let asks = |expr: &Expr| expr.exists(|expr| Ok(super::row_subquery::is_call(expr))).unwrap_or(true);
            let (asking, casting): (Vec<Expr>, Vec<Expr>) = risky.into_iter().partition(asks);
            let mut rest: Option<Expr> = None;
            for part in casting.into_iter().chain(asking).rev() {
                let part = condition(part)?;
                rest = Some(match rest {
                    Some(rest) => case(part, vec![(true, rest)], lit(false)),
                    None => part,
                });
            }
            match (conjunction(safe), rest) {
                (Some(safe), Some(rest)) => case(safe, vec![(true, rest)], lit(false)),
                (safe, rest) => safe.or(rest).unwrap_or_else(|| lit(true)),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (left, right) = (condition(*left)?, condition(*right)?);
            if fails(&right) { case(left, vec![(true, lit(true))], right) } else { left.or(right) }
        }
        other => value(other)?.data,
    })
}

/// An expression whose value matters: AND and OR from left to right, of three values.
fn value(expr: Expr) -> Result<Transformed<Expr>> {
    let done = |expr: Expr| Transformed::new(expr, true, TreeNodeRecursion::Jump);
    expr.transform_down(|expr| {
        if !fails(&expr) {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) if fails(&right) => {
                let (left, right) = (value(*left)?.data, value(*right)?.data);
                let decided = op == Operator::Or;
                let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
                let open = Expr::BinaryExpr(BinaryExpr::new(Box::new(unknown), op, Box::new(right.clone())));
                done(case(left, vec![(decided, lit(decided)), (!decided, right)], open))
            }
            Expr::Case(Case { expr: None, when_then_expr, else_expr }) => {
                let branches =
                    when_then_expr.into_iter().map(|(when, then)| Ok((Box::new(condition(*when)?), Box::new(value(*then)?.data))));
                let when_then_expr = branches.collect::<Result<_>>()?;
                let else_expr = else_expr.map(|otherwise| Ok::<_, DataFusionError>(Box::new(value(*otherwise)?.data))).transpose()?;
                done(Expr::Case(Case { expr: None, when_then_expr, else_expr }))
            }
            Expr::AggregateFunction(mut call) if call.params.filter.is_some() => {
                if let Some(filter) = call.params.filter.take() {
                    let filter = condition(*filter)?;
                    for arg in call.params.args.iter_mut().filter(|arg| fails(arg)) {
                        let then = vec![(Box::new(lit(true)), Box::new(value(arg.clone())?.data))];
                        *arg = Expr::Case(Case { expr: Some(Box::new(filter.clone())), when_then_expr: then, else_expr: None });
                    }
                    call.params.filter = Some(Box::new(filter));
                }
                done(Expr::AggregateFunction(call))
            }
            other => Transformed::no(other),
        })
    })
}
