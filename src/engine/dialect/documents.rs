//! Equality of jsonb where DataFusion compares by itself: IN, GROUP BY, DISTINCT, joins, windows, CASE.
//!
//! Canonical texts of equal documents differ in the zeros at the end of numbers. There the normal form is compared instead; the value shown
//! is that of the first row, as in PostgreSQL.

use super::operators::{call, compared, jsonb};
use super::types::{PgType, of_expr};
use crate::functions::jsonb_equal::has_numbers;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::expr::{InList, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use std::sync::Arc;

/// Rewrites a plan and its subqueries.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|expr| self::expr(expr, &schema))?;
            Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
        })?;
        let changed = node.transformed;
        let node = match node.data {
            LogicalPlan::Aggregate(aggregate) if keys(&aggregate.group_expr, aggregate.input.schema()) => grouped(aggregate)?,
            LogicalPlan::Distinct(Distinct::All(input)) if columns(&input).iter().any(|column| is_jsonb(column, input.schema())) => {
                let columns = columns(&input);
                grouped(Aggregate::try_new(input, columns, Vec::new())?)?
            }
            LogicalPlan::Distinct(Distinct::On(mut on)) => {
                on.on_expr = on.on_expr.into_iter().map(|expr| normal(expr, on.input.schema())).collect::<Result<_>>()?;
                LogicalPlan::Distinct(Distinct::On(on))
            }
            LogicalPlan::Join(mut join) => {
                for (left, right) in &mut join.on {
                    if is_jsonb(left, join.left.schema()) && is_jsonb(right, join.right.schema()) {
                        *left = compared(left.clone())?;
                        *right = compared(right.clone())?;
                    }
                }
                LogicalPlan::Join(join)
            }
            other => return Ok(if changed { Transformed::yes(other) } else { Transformed::no(other) }),
        };
        Ok(Transformed::yes(node))
    });
    Ok(done?.data)
}

fn is_jsonb(expr: &Expr, schema: &DFSchema) -> bool {
    of_expr(expr, schema) == PgType::Jsonb
}

fn keys(exprs: &[Expr], schema: &DFSchema) -> bool {
    // Of several grouping sets the keys are more than columns.
    !exprs.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) && exprs.iter().any(|expr| is_jsonb(expr, schema))
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field)))).collect()
}

fn normal(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if is_jsonb(&expr, schema) { compared(expr) } else { Ok(expr) }
}

/// Groups by the normal forms; shows the first document of a group.
fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = Arc::clone(&aggregate.schema);
    let input = aggregate.input.schema();
    let mut group = Vec::with_capacity(aggregate.group_expr.len());
    let mut values = aggregate.aggr_expr.clone();
    let mut shown = Vec::with_capacity(schema.fields().len());
    let outputs: Vec<Expr> = schema.iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field)))).collect();
    for (at, (expr, output)) in aggregate.group_expr.iter().zip(&outputs).enumerate() {
        if !is_jsonb(expr, input) {
            group.push(expr.clone());
            shown.push(output.clone());
            continue;
        }
        let (key, first) = (format!("__key_{at}"), format!("__first_{at}"));
        group.push(compared(expr.clone())?.alias(key));
        values.push(first_value(expr.clone(), Vec::new()).alias(&first));
        let (qualifier, field) = schema.qualified_field(at);
        let document = call("jsonb_tag", vec![Expr::Column(Column::new_unqualified(first))])?;
        shown.push(document.alias_qualified(qualifier.cloned(), field.name()));
    }
    shown.extend(outputs.into_iter().skip(aggregate.group_expr.len()));
    LogicalPlanBuilder::from(Arc::unwrap_or_clone(aggregate.input)).aggregate(group, values)?.project(shown)?.build()
}

fn expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(Transformed::yes(match expr {
        Expr::InList(list) if is_jsonb(&list.expr, schema) => within(list, schema)?,
        Expr::InSubquery(within) if is_jsonb(&within.expr, schema) => {
            let inner = within.subquery.subquery.as_ref();
            let column = Expr::Column(Column::from(inner.schema().qualified_field(0)));
            let ty = of_expr(&column, inner.schema());
            let plan = LogicalPlanBuilder::from(inner.clone()).project(vec![compared(jsonb(column, &ty)?)?.alias("value")])?.build()?;
            let subquery = Subquery { subquery: Arc::new(plan), ..within.subquery };
            Expr::InSubquery(InSubquery { expr: Box::new(compared(*within.expr)?), subquery, negated: within.negated })
        }
        Expr::Case(mut case) if case.expr.as_ref().is_some_and(|expr| is_jsonb(expr, schema)) => {
            case.expr = case.expr.map(|expr| compared(*expr).map(Box::new)).transpose()?;
            for (when, _) in &mut case.when_then_expr {
                let ty = of_expr(when, schema);
                **when = compared(jsonb(when.as_ref().clone(), &ty)?)?;
            }
            Expr::Case(case)
        }
        Expr::ScalarFunction(nullif) if nullif.func.name() == "nullif" && nullif.args.iter().any(|arg| is_jsonb(arg, schema)) => {
            let args = nullif.args.into_iter().map(|arg| {
                let ty = of_expr(&arg, schema);
                jsonb(arg, &ty)
            });
            call("jsonb_nullif", args.collect::<Result<_>>()?)?
        }
        Expr::AggregateFunction(mut aggregate)
            if aggregate.func.name() == "count"
                && aggregate.params.distinct
                && aggregate.params.args.iter().any(|arg| is_jsonb(arg, schema)) =>
        {
            aggregate.params.args = aggregate.params.args.into_iter().map(|arg| normal(arg, schema)).collect::<Result<_>>()?;
            Expr::AggregateFunction(aggregate)
        }
        Expr::WindowFunction(mut window) if window.params.partition_by.iter().any(|by| is_jsonb(by, schema)) => {
            window.params.partition_by = window.params.partition_by.into_iter().map(|by| normal(by, schema)).collect::<Result<_>>()?;
            Expr::WindowFunction(window)
        }
        other => return Ok(Transformed::no(other)),
    }))
}

/// `x in (…)`: untyped literals are documents.
fn within(list: InList, schema: &DFSchema) -> Result<Expr> {
    let mut items = Vec::with_capacity(list.list.len());
    for item in list.list {
        let ty = of_expr(&item, schema);
        if !matches!(ty, PgType::Jsonb | PgType::Unknown) {
            let name = ty.name();
            return Err(DataFusionError::Plan(format!("operator does not exist: jsonb = {name}; add a cast (::jsonb)")));
        }
        items.push(jsonb(item, &ty)?);
    }
    let plain = items.iter().all(|item| matches!(item, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if !has_numbers(text)));
    if plain {
        return Ok(Expr::InList(InList { expr: list.expr, list: items, negated: list.negated }));
    }
    let items = items.into_iter().map(compared).collect::<Result<_>>()?;
    Ok(Expr::InList(InList { expr: Box::new(compared(*list.expr)?), list: items, negated: list.negated }))
}
