//! Grouping sets one by one: a union of plain aggregates, of which the one without groups has a row even where there is nothing to group.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::logical_plan::{Aggregate, Union};
use datafusion::logical_expr::utils::{enumerate_grouping_sets, grouping_set_to_exprlist};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use std::sync::Arc;

/// PostgreSQL, too, takes no CUBE of more.
const WIDEST: usize = 12;

/// The same rows out of an aggregate for each set.
pub(super) fn as_union(aggregate: Aggregate) -> Result<LogicalPlan> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let sets = enumerate_grouping_sets(group_expr)?;
    let all: Vec<Expr> = grouping_set_to_exprlist(&sets)?.into_iter().cloned().collect();
    let sets: Vec<Vec<Expr>> = match sets.as_slice() {
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.clone(),
        [Expr::GroupingSet(GroupingSet::Rollup(exprs))] => (0..=exprs.len()).rev().map(|width| exprs[..width].to_vec()).collect(),
        [Expr::GroupingSet(GroupingSet::Cube(exprs))] if exprs.len() <= WIDEST => {
            let subset =
                |bits: usize| exprs.iter().enumerate().filter(|(at, _)| (bits >> at) & 1 == 1).map(|(_, expr)| expr.clone()).collect();
            (0..1 << exprs.len()).map(subset).collect()
        }
        _ => return not_impl_err!("this kind of grouping sets in a correlated subquery"),
    };
    let mut branches = Vec::with_capacity(sets.len());
    for set in &sets {
        let (asked, counted): (Vec<Expr>, Vec<Expr>) = aggr_expr.iter().cloned().partition(is_grouping);
        let plain = LogicalPlanBuilder::from(input.as_ref().clone()).aggregate(set.clone(), counted)?.build()?;
        let mut exprs = Vec::with_capacity(schema.fields().len());
        for (at, (qualifier, field)) in schema.iter().enumerate() {
            let value = match (all.get(at), at.checked_sub(all.len() + 1).and_then(|at| aggr_expr.get(at))) {
                (Some(group), _) if set.contains(group) => column(&plain, group)?,
                (Some(_), _) => cast(lit(ScalarValue::Null), field.data_type().clone()),
                (None, Some(call)) if asked.contains(call) => cast(level(call, set), field.data_type().clone()),
                (None, Some(call)) => column(&plain, call)?,
                // The internal number of the set, which nothing asks for any more.
                (None, None) => cast(lit(0i64), field.data_type().clone()),
            };
            exprs.push(value.alias_qualified(qualifier.cloned(), field.name()));
        }
        branches.push(Arc::new(LogicalPlanBuilder::from(plain).project(exprs)?.build()?));
    }
    if branches.len() == 1
        && let Some(branch) = branches.pop()
    {
        return Ok(Arc::unwrap_or_clone(branch));
    }
    let union = LogicalPlan::Union(Union::try_new_with_loose_types(branches)?);
    let names = schema.iter().map(|(qualifier, field)| (qualifier.cloned(), field.name().clone()));
    let exprs = union.schema().columns().into_iter().zip(names);
    let exprs: Vec<Expr> = exprs.map(|(column, (qualifier, name))| Expr::Column(column).alias_qualified(qualifier, name)).collect();
    LogicalPlanBuilder::from(union).project(exprs)?.build()
}

fn column(plan: &LogicalPlan, expr: &Expr) -> Result<Expr> {
    let (qualifier, name) = expr.qualified_name();
    plan.schema().qualified_field_with_name(qualifier.as_ref(), &name).map(Expr::from)
}

fn is_grouping(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::AggregateFunction(call) if call.func.name() == "grouping"))).unwrap_or(false)
}

/// `grouping(a, b)`: a bit for each argument, the last one lowest, set where it is not grouped by.
fn level(expr: &Expr, set: &[Expr]) -> Expr {
    let done = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(call) if call.func.name() == "grouping" => {
                let bits = call.params.args.iter().fold(0i32, |bits, arg| (bits << 1) | i32::from(!set.contains(arg)));
                Transformed::yes(lit(bits))
            }
            other => Transformed::no(other),
        })
    });
    done.map_or_else(|_| expr.clone(), |done| done.data.unalias())
}
