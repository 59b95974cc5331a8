//! Documents where DataFusion decides by itself: equality in IN, GROUP BY, DISTINCT, joins, windows, CASE; untyped literals; whole rows.
//!
//! Canonical texts of equal documents differ in the zeros at the end of numbers. There the normal form is compared instead; the value shown
//! is that of the first row, as in PostgreSQL.

use super::operators::{call, compared, jsonb, typed};
use super::types::{PgType, of_expr, of_field};
use super::whole_rows;
use crate::functions::jsonb_equal::has_numbers;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, JoinConstraint, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr::{InList, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery, Union,
};
use std::sync::Arc;

/// Rewrites a plan and its subqueries.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let outer = whole_rows::uses(&node)? && whole_rows::may_be_missing(&node);
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|expr| self::expr(expr, &schema, outer))?;
            Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
        })?;
        let changed = node.transformed;
        if let Some(keys) = distinguished(&node.data)
            && keys.1.iter().any(|key| of_expr(key, keys.0) == PgType::Json)
        {
            return Err(DataFusionError::Plan("could not identify an equality operator for type json; add a cast (::jsonb)".into()));
        }
        let node = match node.data {
            LogicalPlan::Aggregate(aggregate) if keys(&aggregate.group_expr, aggregate.input.schema()) => grouped(aggregate)?,
            LogicalPlan::Distinct(Distinct::All(input)) if columns(&input).iter().any(|column| is_jsonb(column, input.schema())) => {
                let columns = columns(&input);
                grouped(Aggregate::try_new(input, columns, Vec::new())?)?
            }
            LogicalPlan::Join(mut join) => {
                for (left, right) in &mut join.on {
                    if is_jsonb(left, join.left.schema()) && is_jsonb(right, join.right.schema()) {
                        *left = compared(left.clone())?;
                        *right = compared(right.clone())?;
                    }
                }
                // The keys of USING are columns.
                if join.on.iter().any(|(left, right)| !matches!((left, right), (Expr::Column(_), Expr::Column(_)))) {
                    join.join_constraint = JoinConstraint::On;
                }
                LogicalPlan::Join(join)
            }
            LogicalPlan::Union(union) => union_of(union)?,
            other => return Ok(if changed { Transformed::yes(other) } else { Transformed::no(other) }),
        };
        Ok(Transformed::yes(node))
    });
    Ok(done?.data)
}

/// Untyped literals of one input are documents where another input has documents.
fn union_of(mut union: Union) -> Result<LogicalPlan> {
    for at in 0..union.schema.fields().len() {
        let types: Vec<PgType> = union.inputs.iter().map(|input| column_type(input, at)).collect();
        let Some(ty) = types.iter().find(|ty| matches!(ty, PgType::Json | PgType::Jsonb)) else { continue };
        for (input, of) in union.inputs.iter_mut().zip(&types) {
            if let (PgType::Unknown, LogicalPlan::Projection(projection)) = (of, input.as_ref()) {
                let mut exprs = projection.expr.clone();
                let (qualifier, field) = projection.schema.qualified_field(at);
                exprs[at] = typed(exprs[at].clone().unalias(), ty)?.alias_qualified(qualifier.cloned(), field.name());
                *input = Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&projection.input))?));
            }
        }
    }
    Ok(LogicalPlan::Union(union))
}

fn column_type(plan: &LogicalPlan, at: usize) -> PgType {
    match plan {
        LogicalPlan::Projection(projection) => of_expr(&projection.expr[at], projection.input.schema()),
        other => of_field(other.schema().field(at)),
    }
}

/// What a node tells rows apart by, and the schema it comes from.
fn distinguished(node: &LogicalPlan) -> Option<(&DFSchema, Vec<Expr>)> {
    match node {
        LogicalPlan::Aggregate(aggregate) => Some((aggregate.input.schema(), aggregate.group_expr.clone())),
        LogicalPlan::Distinct(Distinct::All(input)) => Some((input.schema(), columns(input))),
        LogicalPlan::Distinct(Distinct::On(on)) => Some((on.input.schema(), on.on_expr.clone())),
        _ => None,
    }
}

/// json has no equality.
fn refuse_json(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let pair = match expr {
        Expr::InList(list) => list.list.first().map(|item| (list.expr.as_ref(), item)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom, right }) => {
            Some((left.as_ref(), right.as_ref()))
        }
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => call.args.first().zip(call.args.get(1)),
        Expr::Case(case) => case.expr.as_deref().zip(case.when_then_expr.first().map(|(when, _)| when.as_ref())),
        _ => None,
    };
    let Some((left, right)) = pair.map(|(left, right)| (of_expr(left, schema), of_expr(right, schema))) else { return Ok(()) };
    if left != PgType::Json && right != PgType::Json {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!("operator does not exist: {} = {}; add a cast (::jsonb)", left.name(), right.name())))
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
    // The same key twice is one column.
    let mut keys: Vec<Expr> = Vec::with_capacity(aggregate.group_expr.len());
    for key in &aggregate.group_expr {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let aggregate =
        if keys.len() < aggregate.group_expr.len() { Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)? } else { aggregate };
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

fn expr(expr: Expr, schema: &DFSchema, outer: bool) -> Result<Transformed<Expr>> {
    refuse_json(&expr, schema)?;
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
        Expr::Case(mut case) if case.expr.is_none() && is_jsonb(&Expr::Case(case.clone()), schema) => {
            for then in case.when_then_expr.iter_mut().map(|(_, then)| then).chain(case.else_expr.iter_mut()) {
                **then = literal(then.as_ref().clone(), schema)?;
            }
            Expr::Case(case)
        }
        Expr::Case(mut case) if case.expr.as_ref().is_some_and(|expr| is_jsonb(expr, schema)) => {
            case.expr = case.expr.map(|expr| compared(*expr).map(Box::new)).transpose()?;
            for (when, _) in &mut case.when_then_expr {
                let ty = of_expr(when, schema);
                **when = compared(jsonb(when.as_ref().clone(), &ty)?)?;
            }
            Expr::Case(case)
        }
        Expr::ScalarFunction(taking) if whole_rows::has_row(&taking.args) => {
            if let Some(test) = whole_rows::tested(taking.func.name(), &taking.args, schema) {
                return Ok(Transformed::yes(test));
            }
            let args = whole_rows::expand(taking.func.name(), taking.args, schema, outer)?;
            Expr::ScalarFunction(ScalarFunction { func: taking.func, args })
        }
        Expr::ScalarFunction(making) if MAKING.contains(&making.func.name()) => return documents_of(making, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::IsDistinctFrom | Operator::IsNotDistinctFrom), right })
            if is_jsonb(&left, schema) || is_jsonb(&right, schema) =>
        {
            let side = |expr: Box<Expr>| {
                let ty = of_expr(&expr, schema);
                compared(jsonb(*expr, &ty)?).map(Box::new)
            };
            Expr::BinaryExpr(BinaryExpr { left: side(left)?, op, right: side(right)? })
        }
        // `op any (array)`: keys that sort as the documents do are equal if the documents are.
        Expr::ScalarFunction(ScalarFunction { func, args })
            if (func.name().starts_with("any_") || func.name().starts_with("all_"))
                && args.len() == 2
                && args.first().is_some_and(|arg| is_jsonb(arg, schema)) =>
        {
            let keys = ["jsonb_sort_key", "jsonb_sort_keys"].into_iter().zip(args).map(|(key, arg)| call(key, vec![arg]));
            Expr::ScalarFunction(ScalarFunction { func, args: keys.collect::<Result<_>>()? })
        }
        Expr::ScalarFunction(ScalarFunction { func, args })
            if matches!(func.name(), "coalesce" | "greatest" | "least") && args.iter().any(|arg| is_jsonb(arg, schema)) =>
        {
            let args = args.into_iter().map(|arg| literal(arg, schema)).collect::<Result<_>>()?;
            match func.name() {
                "greatest" => call("jsonb_greatest", args)?,
                "least" => call("jsonb_least", args)?,
                _ => Expr::ScalarFunction(ScalarFunction { func, args }),
            }
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

/// Functions that make documents of any values.
const MAKING: [&str; 10] = [
    "array_to_json",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "to_json",
    "to_jsonb",
    "json_item",
    "json_pair",
    "jsonb_pair",
];

/// Columns, and expressions that give one of their arguments.
fn loses_tag(arg: &Expr) -> bool {
    match arg {
        Expr::Column(_) | Expr::Case(_) | Expr::ScalarSubquery(_) => true,
        Expr::ScalarFunction(call) => matches!(call.func.name(), "coalesce" | "nullif" | "greatest" | "least"),
        _ => false,
    }
}

/// Lists of documents have lost their items' type: they become documents first.
fn documents_of(making: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_list = |arg: &Expr| matches!(of_expr(arg, schema), PgType::List(item) if matches!(*item, PgType::Json | PgType::Jsonb));
    let is_column = |arg: &Expr| loses_tag(arg) && matches!(of_expr(arg, schema), PgType::Json | PgType::Jsonb);
    if !making.args.iter().any(|arg| is_list(arg) || is_column(arg)) {
        return Ok(Transformed::no(Expr::ScalarFunction(making)));
    }
    let joined =
        if making.func.name().starts_with("jsonb") || making.func.name() == "to_jsonb" { "jsonb_array_of" } else { "json_list_of" };
    // The optimizer may lose the tag of a column that comes from a list, and of what is one of several.
    let tag = |arg: &Expr| if of_expr(arg, schema) == PgType::Json { "json_tag" } else { "jsonb_tag" };
    let args = making.args.into_iter().map(|arg| match arg {
        arg if is_list(&arg) => call(joined, vec![arg]),
        arg if is_column(&arg) => call(tag(&arg), vec![arg]),
        arg => Ok(arg),
    });
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: making.func, args: args.collect::<Result<_>>()? })))
}

/// An untyped literal beside documents is one.
fn literal(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let ty = of_expr(&expr, schema);
    if ty == PgType::Unknown { jsonb(expr, &ty) } else { Ok(expr) }
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
