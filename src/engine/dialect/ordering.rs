//! The order of values whose texts sort otherwise: jsonb and addresses in ORDER BY, windows, `min` and `max`.

use super::operators::call;
use super::types::{PgType, of_expr};
use assay_tables::EXTENSION;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{FieldMetadata, WindowFunctionParams};
use datafusion::logical_expr::logical_plan::{Aggregate, Window};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, when};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sorts a node's values by their types' orders.
pub(super) fn rewrite(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Sort(mut sort) => {
            let schema = Arc::clone(sort.input.schema());
            keys(&mut sort.expr, &schema)?;
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Window(window) => {
            let schema = Arc::clone(window.input.schema());
            let mut exprs = Vec::with_capacity(window.window_expr.len());
            let mut any = false;
            for expr in window.window_expr {
                let name = expr.schema_name().to_string();
                let done = expr.transform_up(|expr| {
                    let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
                    let mut changed = plain(&mut call.params);
                    changed |= keys(&mut call.params.order_by, &schema)?;
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
        LogicalPlan::Aggregate(aggregate) => addresses(in_order(aggregate)?),
        other => Ok(other),
    }
}

/// False for what is the same for every row.
fn varies(expr: &Expr) -> bool {
    let reads = |expr: &Expr| match expr {
        Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => true,
        expr => expr.is_volatile_node(),
    };
    expr.exists(|expr| Ok(reads(expr))).unwrap_or(true)
}

/// A window without the constants among its keys, which DataFusion loses sight of; true if there were any.
fn plain(window: &mut WindowFunctionParams) -> bool {
    let moves = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => !rows.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let frame = &window.window_frame;
    let by_rows = frame.units == WindowFrameUnits::Rows;
    if !by_rows && (moves(&frame.start_bound) || moves(&frame.end_bound)) {
        return false;
    }
    let before = window.partition_by.len() + window.order_by.len();
    let ordered = !window.order_by.is_empty();
    window.partition_by.retain(varies);
    window.order_by.retain(|by| varies(&by.expr));
    if ordered && window.order_by.is_empty() && !by_rows {
        // All rows are peers.
        window.window_frame = WindowFrame::new(None);
    }
    window.partition_by.len() + window.order_by.len() < before
}

fn keys(by: &mut Vec<SortExpr>, schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    let mut keys = Vec::with_capacity(by.len());
    for mut by in std::mem::take(by) {
        let ty = of_expr(&by.expr, schema);
        let key = match &ty {
            PgType::Jsonb => "jsonb_sort_key",
            ty if ty.is_address() => "inet key",
            PgType::List(item) => {
                // The NULLs in an array are its greatest items, wherever the array that is NULL is to be.
                if by.nulls_first == by.asc {
                    keys.push(by.expr.clone().is_null().sort(!by.nulls_first, false));
                    by.nulls_first = !by.asc;
                    changed = true;
                }
                match item.as_ref() {
                    PgType::Jsonb => "jsonb_sort_keys",
                    PgType::Numeric => "array keys",
                    _ => "",
                }
            }
            _ => "",
        };
        if !key.is_empty() {
            by.expr = call(key, vec![by.expr])?;
            changed = true;
        }
        keys.push(by);
    }
    *by = keys;
    Ok(changed)
}

/// Aggregates with an ORDER BY of their own. That of DISTINCT must stay their argument.
fn in_order(mut aggregate: Aggregate) -> Result<Aggregate> {
    let schema = Arc::clone(aggregate.input.schema());
    let mut any = false;
    for value in &mut aggregate.aggr_expr {
        let name = value.schema_name().to_string();
        let done = value.clone().transform_up(|expr| match expr {
            Expr::AggregateFunction(mut call) if !call.params.distinct => {
                let before = call.params.order_by.len();
                call.params.order_by.retain(|by| varies(&by.expr));
                let mut changed = call.params.order_by.len() < before;
                changed |= keys(&mut call.params.order_by, &schema)?;
                if let Some(filter) = &call.params.filter {
                    // DataFusion sorts before it filters: keys of rows that are left out are not computed.
                    for by in call.params.order_by.iter_mut().filter(|by| !matches!(by.expr, Expr::Column(_))) {
                        by.expr = when(filter.as_ref().clone(), by.expr.clone()).end()?;
                        changed = true;
                    }
                }
                Ok(Transformed::new_transformed(Expr::AggregateFunction(call), changed))
            }
            other => Ok(Transformed::no(other)),
        })?;
        if done.transformed {
            *value = done.data.unalias().alias(name);
            any = true;
        }
    }
    if any { Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregate.aggr_expr) } else { Ok(aggregate) }
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
