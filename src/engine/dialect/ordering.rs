//! The order of values whose texts sort otherwise: jsonb and addresses in ORDER BY, windows, `min` and `max`.

use super::operators::call;
use super::types::{PgType, of_expr};
use assay_tables::EXTENSION;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::FieldMetadata;
use datafusion::logical_expr::logical_plan::{Aggregate, Distinct, Window};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sorts a node's values by their types' orders.
pub(super) fn rewrite(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Sort(mut sort) => {
            keys(&mut sort.expr, sort.input.schema())?;
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            if let Some(by) = &mut on.sort_expr {
                let input = Arc::clone(on.input.schema());
                // The first ones are those of ON, which must stay the same expressions.
                keys(&mut by[on.on_expr.len()..], &input)?;
            }
            Ok(LogicalPlan::Distinct(Distinct::On(on)))
        }
        LogicalPlan::Window(window) => {
            let schema = Arc::clone(window.input.schema());
            let mut exprs = Vec::with_capacity(window.window_expr.len());
            let mut any = false;
            for expr in window.window_expr {
                let name = expr.schema_name().to_string();
                let done = expr.transform_up(|expr| {
                    let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
                    let changed = keys(&mut call.params.order_by, &schema)?;
                    let call = Expr::WindowFunction(call);
                    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
                })?;
                any |= done.transformed;
                // What stands above knows the function by its name.
                exprs.push(if done.transformed { done.data.unalias().alias(name) } else { done.data });
            }
            Ok(LogicalPlan::Window(if any {
                Window::try_new(exprs, window.input)?
            } else {
                Window { window_expr: exprs, input: window.input, schema: window.schema }
            }))
        }
        LogicalPlan::Aggregate(aggregate) => addresses(aggregate),
        other => Ok(other),
    }
}

fn keys(by: &mut [SortExpr], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for by in by {
        let key = match of_expr(&by.expr, schema) {
            PgType::Jsonb => "jsonb_sort_key",
            ty if ty.is_address() => "inet key",
            _ => continue,
        };
        by.expr = call(key, vec![by.expr.clone()])?;
        changed = true;
    }
    Ok(changed)
}

/// `min` and `max` of addresses: of their sort keys, which can be read back.
fn addresses(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = Arc::clone(aggregate.input.schema());
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let mut found = BTreeMap::new();
    let mut values = aggregate.aggr_expr.clone();
    for (at, value) in values.iter_mut().enumerate() {
        let Expr::AggregateFunction(function) = &mut *value else { continue };
        let [arg] = function.params.args.as_mut_slice() else { continue };
        let ty = of_expr(arg, &schema);
        if !matches!(function.func.name(), "min" | "max") || !ty.is_address() {
            continue;
        }
        *arg = call("inet key", vec![arg.clone()])?;
        found.insert(groups + at, ty.name());
    }
    if found.is_empty() {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let names = Arc::clone(&aggregate.schema);
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, aggregate.group_expr, values)?);
    let mut columns = Vec::with_capacity(names.fields().len());
    for (at, ((qualifier, field), column)) in names.iter().zip(plan.schema().iter()).enumerate() {
        let column = Expr::Column(Column::from(column));
        columns.push(match found.get(&at) {
            Some(tag) => {
                let value = call(&format!("{tag} of key"), vec![column])?;
                let metadata = FieldMetadata::from(BTreeMap::from([(EXTENSION.to_string(), tag.clone())]));
                value.alias_qualified_with_metadata(qualifier.cloned(), field.name(), Some(metadata))
            }
            None => column,
        });
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
