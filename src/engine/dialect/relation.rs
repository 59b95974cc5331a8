//! FROM: set-returning functions over columns to their left, and the tags of subqueries' columns.
//!
//! DataFusion plans relations one by one; here a whole FROM list (which the pre-pass has folded into one join) is planned from left to
//! right, so that a function sees the columns before it and becomes Projection → Unnest → Projection, without a lateral join.

use super::ast::last_name;
use super::srf::Call;
use super::types::{of_expr, of_field, tag_of};
use super::{quantified, types};
use crate::functions;
use assay_tables::EXTENSION;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{
    Column, DFSchema, DataFusionError, NullHandling, Result, ScalarValue, TableReference, UnnestOptions, not_impl_err,
};
use datafusion::functions_nested::expr_fn::{cardinality, gen_series};
use datafusion::logical_expr::expr::{FieldMetadata, ScalarFunction};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor, TableWithJoins, Value};
use std::collections::BTreeMap;

/// Plans folded FROM lists and wrapped subqueries.
#[derive(Debug)]
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(&self, relation: TableFactor, cx: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias: None } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if !has_srf(&table_with_joins) {
            if table_with_joins.joins.is_empty() {
                let plan = retag(cx.plan(table_with_joins.relation)?)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))));
            }
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias: None })));
        }
        let plan = fold(*table_with_joins, cx)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// True if a FROM item is, or joins, a set-returning function.
pub(super) fn has_srf(item: &TableWithJoins) -> bool {
    Call::of(&item.relation).is_some() || item.joins.iter().any(|join| Call::of(&join.relation).is_some())
}

fn fold(item: TableWithJoins, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let mut left = match Call::of(&item.relation) {
        Some(call) => unnest(LogicalPlanBuilder::empty(true).build()?, &item.relation, &call, Outer::No, cx)?,
        None => cx.plan(item.relation)?,
    };
    for join in item.joins {
        let (kind, constraint) = match join.join_operator {
            JoinOperator::CrossJoin(constraint) | JoinOperator::Inner(constraint) | JoinOperator::Join(constraint) => {
                (JoinType::Inner, constraint)
            }
            JoinOperator::LeftOuter(constraint) | JoinOperator::Left(constraint) => (JoinType::Left, constraint),
            JoinOperator::RightOuter(constraint) | JoinOperator::Right(constraint) => (JoinType::Right, constraint),
            JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
            _ => return not_impl_err!("this kind of join beside a set-returning function"),
        };
        left = match Call::of(&join.relation) {
            Some(call) => join_srf(left, &join.relation, &call, kind, constraint, cx)?,
            None => join_relation(left, join.relation, kind, constraint, cx)?,
        };
    }
    Ok(left)
}

fn join_srf(
    left: LogicalPlan,
    relation: &TableFactor,
    call: &Call,
    kind: JoinType,
    constraint: JoinConstraint,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let condition = match constraint {
        JoinConstraint::None => None,
        JoinConstraint::On(condition) if is_true(&condition) => None,
        JoinConstraint::On(condition) => Some(condition),
        JoinConstraint::Using(_) | JoinConstraint::Natural => return not_impl_err!("USING and NATURAL with a set-returning function"),
    };
    match (kind, condition) {
        (JoinType::Inner, None) => unnest(left, relation, call, Outer::No, cx),
        (JoinType::Left, None) => unnest(left, relation, call, Outer::Yes, cx),
        (JoinType::Left, Some(condition)) => unnest(left, relation, call, Outer::Where(Box::new(condition)), cx),
        (JoinType::Inner, Some(condition)) => {
            let plan = unnest(left, relation, call, Outer::No, cx)?;
            let condition = cx.sql_to_expr(condition, &DFSchema::clone(plan.schema()))?;
            LogicalPlanBuilder::from(plan).filter(condition)?.build()
        }
        _ => not_impl_err!("RIGHT and FULL JOIN of a set-returning function over columns to its left"),
    }
}

fn is_true(condition: &ast::Expr) -> bool {
    match condition {
        ast::Expr::Value(value) => value.value == Value::Boolean(true),
        ast::Expr::Nested(inner) => is_true(inner),
        _ => false,
    }
}

fn join_relation(
    left: LogicalPlan,
    relation: TableFactor,
    kind: JoinType,
    constraint: JoinConstraint,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    if matches!(relation, TableFactor::Derived { lateral: true, .. }) {
        return not_impl_err!("a LATERAL subquery beside a set-returning function in one FROM");
    }
    let right = cx.plan(relation)?;
    let builder = LogicalPlanBuilder::from(left);
    match constraint {
        JoinConstraint::None => builder.cross_join(right)?.build(),
        JoinConstraint::On(condition) => {
            let condition = cx.sql_to_expr(condition, &builder.schema().join(right.schema())?)?;
            builder.join_on(right, kind, Some(condition))?.build()
        }
        JoinConstraint::Using(names) => {
            let keys = names.into_iter().filter_map(|name| last_name(&name)).map(Column::from_name).collect();
            builder.join_using(right, kind, keys)?.build()
        }
        JoinConstraint::Natural => not_impl_err!("NATURAL JOIN beside a set-returning function"),
    }
}

/// What becomes of a row for which the function gives no rows.
enum Outer {
    No,
    Yes,
    /// It stays, and so does one for which no row meets the condition.
    Where(Box<ast::Expr>),
}

fn unnest(
    left: LogicalPlan,
    relation: &TableFactor,
    call: &Call,
    outer: Outer,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = DFSchema::clone(left.schema());
    let qualifier = cx.normalize_ident(call.qualifier());
    let preserve = !matches!(outer, Outer::No);
    let (lists, tags) = match outer {
        Outer::Where(condition) => {
            (vec![filtered(relation, call, *condition, &schema, cx)?], call.srf.tags.iter().map(|tag| tag.map(str::to_string)).collect())
        }
        Outer::No | Outer::Yes => lists(call, &schema, cx)?,
    };
    let at = schema.fields().len();
    let temporary = |i: usize| format!("__srf_{at}_{i}");
    let keep: Vec<Expr> = schema.iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field)))).collect();
    let width = lists.len();
    let mut first = keep.clone();
    first.extend(lists.into_iter().enumerate().map(|(i, list)| list.alias(temporary(i))));
    let mut builder = LogicalPlanBuilder::from(left).project(first)?;
    let mut unnested: Vec<Column> = (0..width).map(|i| Column::new_unqualified(temporary(i))).collect();
    if call.ordinality {
        let mut second = keep.clone();
        second.extend(unnested.iter().cloned().map(Expr::Column));
        let count = datafusion::logical_expr::cast(cardinality(Expr::Column(Column::new_unqualified(temporary(0)))), DataType::Int64);
        second.push(gen_series(lit(1i64), count, lit(1i64)).alias(temporary(width)));
        builder = builder.project(second)?;
        unnested.push(Column::new_unqualified(temporary(width)));
    }
    let null_handling = if preserve { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
    let options = UnnestOptions { null_handling, recursions: Vec::new() };
    let mut last = keep;
    for (i, name) in column_names(call, width, &qualifier, &schema, cx) {
        let tag = tags.get(i).cloned().flatten();
        let value = Expr::Column(Column::new_unqualified(temporary(i)));
        last.push(tagged(value, Some(TableReference::bare(qualifier.clone())), &name, tag.as_deref()));
    }
    builder.unnest_columns_with_options(unnested, options)?.project(last)?.build()
}

/// An alias that gives the column an extension tag.
fn tagged(value: Expr, qualifier: Option<TableReference>, name: &str, tag: Option<&str>) -> Expr {
    let metadata = tag.map(|tag| FieldMetadata::from(BTreeMap::from([(EXTENSION.to_string(), tag.to_string())])));
    value.alias_qualified_with_metadata(qualifier, name, metadata)
}

/// The output columns: index of the list, name.
fn column_names(call: &Call, width: usize, qualifier: &str, left: &DFSchema, cx: &dyn RelationPlannerContext) -> Vec<(usize, String)> {
    let given: Vec<String> =
        call.alias.iter().flat_map(|alias| &alias.columns).map(|column| cx.normalize_ident(column.name.clone())).collect();
    let total = width + usize::from(call.ordinality);
    let mut names: Vec<(usize, String)> = (0..total)
        .map(|i| {
            let own = if i == width { Some("ordinality") } else { call.srf.columns.get(i).copied() };
            (i, given.get(i).cloned().or_else(|| own.map(str::to_string)).unwrap_or_else(|| qualifier.to_string()))
        })
        .collect();
    // A bare alias means the value, unless a column to the left has the name: columns come before whole rows.
    let bare = call.alias.is_some() && total == 1 && given.is_empty() && call.srf.columns.len() == 1 && call.srf.columns[0] != qualifier;
    if bare && !left.fields().iter().any(|field| field.name() == qualifier) {
        names.push((0, qualifier.to_string()));
    }
    names
}

type Lists = (Vec<Expr>, Vec<Option<String>>);

fn lists(call: &Call, schema: &DFSchema, cx: &mut dyn RelationPlannerContext) -> Result<Lists> {
    let args = call.args.iter().map(|arg| cx.sql_to_expr(arg.clone(), schema)).collect::<Result<Vec<_>>>()?;
    if call.srf.lists.is_empty() {
        let tags = args.iter().map(|arg| match of_expr(arg, schema) {
            types::PgType::List(item) => tag_of(&item).map(str::to_string),
            _ => None,
        });
        let tags = tags.collect();
        return Ok((args, tags));
    }
    let apply = |name: &str, args: Vec<Expr>| -> Result<Expr> {
        let func = functions::get(name)
            .or_else(|| cx.context_provider().get_function_meta(name))
            .ok_or_else(|| DataFusionError::Internal(format!("no list function {name}")))?;
        Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
    };
    let mut lists = call.srf.lists.iter().map(|name| apply(name, args.clone())).collect::<Result<Vec<_>>>()?;
    if call.srf.single {
        lists = lists.into_iter().map(|list| apply("make_array", vec![list])).collect::<Result<_>>()?;
    }
    Ok((lists, call.srf.tags.iter().map(|tag| tag.map(str::to_string)).collect()))
}

/// `LEFT JOIN srf(x) s ON condition`: the elements that meet the condition, as an array.
fn filtered(
    relation: &TableFactor,
    call: &Call,
    condition: ast::Expr,
    schema: &DFSchema,
    cx: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    if call.srf.lists.len() != 1 || call.ordinality {
        return not_impl_err!("LEFT JOIN {} with a condition other than true", call.srf.name);
    }
    let column = call.value_column().unwrap_or_else(|| call.qualifier());
    let value = ast::Expr::CompoundIdentifier(vec![call.qualifier(), column]);
    let relation = TableFactor::NestedJoin {
        table_with_joins: Box::new(TableWithJoins { relation: relation.clone(), joins: Vec::new() }),
        alias: None,
    };
    match quantified::filtered_array(relation, value, condition) {
        Some(array) => cx.sql_to_expr(array, schema),
        None => Err(DataFusionError::Internal("the array template does not parse".into())),
    }
}

/// Gives a plan's columns the tags their expressions have where DataFusion's fields lost them (CASE, coalesce, UNION).
pub(super) fn retag(plan: LogicalPlan) -> Result<LogicalPlan> {
    let wanted = tags(&plan);
    let have: Vec<Option<String>> = plan.schema().fields().iter().map(|field| tag_of(&of_field(field)).map(str::to_string)).collect();
    if wanted == have || matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .zip(&wanted)
        .map(|((qualifier, field), tag)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            match tag {
                Some(tag) => tagged(column, qualifier.cloned(), field.name(), Some(tag)),
                None => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn tags(plan: &LogicalPlan) -> Vec<Option<String>> {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().map(|expr| tag_of(&of_expr(expr, projection.input.schema())).map(str::to_string)).collect()
        }
        LogicalPlan::SubqueryAlias(alias) => tags(&alias.input),
        LogicalPlan::Sort(sort) => tags(&sort.input),
        LogicalPlan::Limit(limit) => tags(&limit.input),
        LogicalPlan::Filter(filter) => tags(&filter.input),
        LogicalPlan::Distinct(Distinct::All(input)) => tags(input),
        LogicalPlan::Union(union) => {
            let inputs: Vec<_> = union.inputs.iter().map(|input| tags(input)).collect();
            let width = union.schema.fields().len();
            (0..width).map(|i| inputs.iter().find_map(|tags| tags.get(i).cloned().flatten())).collect()
        }
        other => other.schema().fields().iter().map(|field| tag_of(&of_field(field)).map(str::to_string)).collect(),
    }
}

/// True for a literal NULL.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Null, _))
}
