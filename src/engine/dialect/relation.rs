//! FROM: set-returning functions over columns to their left, and the tags of subqueries' columns.
//!
//! DataFusion plans relations one by one; here a whole FROM list (which the pre-pass has folded into one join) is planned from left to
//! right, so that a function sees the columns before it and becomes Projection → Unnest → Projection, without a lateral join.

use super::ast::last_name;
use super::srf::Call;
use super::subquery::outer_references;
use super::types::{of_expr, of_field, tag_of};
use super::{casts, names, operators, types, unions, using};
use crate::functions::cast::Target;
use crate::functions::{self, row};
use assay_tables::EXTENSION;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{
    Column, DFSchema, DataFusionError, NullHandling, Result, ScalarValue, TableReference, UnnestOptions, not_impl_err, plan_err,
};
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions_nested::expr_fn::{cardinality, gen_series};
use datafusion::logical_expr::expr::{FieldMetadata, ScalarFunction};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, cast, lit};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableAliasColumnDef, TableFactor, TableWithJoins, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ends the column's name of a function whose bare alias the pre-pass resolves.
pub(super) const RESOLVED: &str = "\u{1}value";

/// Plans folded FROM lists and wrapped subqueries.
#[derive(Debug)]
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(&self, relation: TableFactor, cx: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias: None } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if !sideways(&table_with_joins) {
            if table_with_joins.joins.is_empty() {
                let plan = single(table_with_joins.relation, cx)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))));
            }
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias: None })));
        }
        let plan = fold(*table_with_joins, cx)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// True for a FROM item that is planned here: one with a set-returning function, a LATERAL subquery, or keys by name.
pub(super) fn sideways(item: &TableWithJoins) -> bool {
    let of = |relation: &TableFactor| Call::of(relation).is_some() || matches!(relation, TableFactor::Derived { lateral: true, .. });
    let by_name = |operator: &JoinOperator| matches!(joined(operator), Some((_, JoinConstraint::Using(_) | JoinConstraint::Natural)));
    of(&item.relation) || item.joins.iter().any(|join| of(&join.relation) || by_name(&join.join_operator))
}

/// The kind and condition of a join that we know.
pub(super) fn joined(operator: &JoinOperator) -> Option<(JoinType, &JoinConstraint)> {
    Some(match operator {
        JoinOperator::CrossJoin(constraint) | JoinOperator::Inner(constraint) | JoinOperator::Join(constraint) => {
            (JoinType::Inner, constraint)
        }
        JoinOperator::LeftOuter(constraint) | JoinOperator::Left(constraint) => (JoinType::Left, constraint),
        JoinOperator::RightOuter(constraint) | JoinOperator::Right(constraint) => (JoinType::Right, constraint),
        JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
        _ => return None,
    })
}

/// A subquery, a WITH query or a table with names for its columns.
fn single(mut relation: TableFactor, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let columns = match &mut relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            let name = cx.normalize_ident(alias.name.clone());
            Some((name, std::mem::take(&mut alias.columns)))
        }
        _ => None,
    };
    let plan = settled(cx.plan(relation)?)?;
    match columns {
        Some((table, columns)) => renamed(plan, &table, columns, cx),
        None => Ok(plan),
    }
}

/// The plan with new names for its first columns.
fn renamed(plan: LogicalPlan, table: &str, columns: Vec<TableAliasColumnDef>, cx: &dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let names: Vec<String> = columns.into_iter().map(|column| cx.normalize_ident(column.name)).collect();
    let (given, width) = (names.len(), plan.schema().fields().len());
    if given == 0 {
        return Ok(plan);
    }
    if given > width {
        return plan_err!("table \"{table}\" has {width} columns available but {given} columns specified");
    }
    let columns = plan.schema().iter().enumerate().map(|(at, (qualifier, field))| {
        let value = Expr::Column(Column::from((qualifier, field)));
        if let Some(name) = names.get(at) { value.alias_qualified(qualifier.cloned(), name) } else { value }
    });
    let columns: Vec<Expr> = columns.collect();
    names::settle(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// A subquery's plan as the query around sees it: its columns with their tags and names.
fn settled(plan: LogicalPlan) -> Result<LogicalPlan> {
    names::settle(retag(using::unmark(unions::typed(plan)?)?)?)
}

fn fold(item: TableWithJoins, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let mut left = match Call::of(&item.relation) {
        Some(call) => standalone(&call, cx)?,
        None => relation(item.relation, &DFSchema::empty(), cx)?,
    };
    for join in item.joins {
        let Some((kind, constraint)) = joined(&join.join_operator).map(|(kind, constraint)| (kind, constraint.clone())) else {
            return not_impl_err!("this kind of join beside a set-returning function");
        };
        left = match Call::of(&join.relation) {
            Some(call) => join_srf(left, &call, kind, constraint, cx)?,
            None => {
                let right = relation(join.relation, &DFSchema::clone(left.schema()), cx)?;
                join_plans(left, right, kind, constraint, cx)?
            }
        };
    }
    Ok(left)
}

/// A set-returning function of nothing to its left.
fn standalone(call: &Call, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let lists = lists(call, &DFSchema::empty(), cx)?;
    unnest(LogicalPlanBuilder::empty(true).build()?, call, lists, NullHandling::Drop, cx)
}

fn join_srf(
    left: LogicalPlan,
    call: &Call,
    kind: JoinType,
    constraint: JoinConstraint,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = DFSchema::clone(left.schema());
    let given = lists(call, &schema, cx)?;
    let always = match &constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(condition) => is_true(condition),
        JoinConstraint::Using(_) | JoinConstraint::Natural => false,
    };
    match kind {
        JoinType::Inner if always => return unnest(left, call, given, NullHandling::Drop, cx),
        JoinType::Left if always => return unnest(left, call, given, NullHandling::PreserveAndExpandEmpty, cx),
        _ => {}
    }
    // Over columns to its left it is a LATERAL subquery, whose conditions are looked at for each row to the left.
    let asks = |list: &Expr| list.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))));
    let sideways = given.0.iter().any(|list| list.any_column_refs() || asks(list).unwrap_or(true));
    let (exprs, tags) = given;
    let exprs = exprs.into_iter().map(|expr| outer_references(expr, &schema, &DFSchema::empty())).collect::<Result<Vec<_>>>()?;
    let mut right = unnest(LogicalPlanBuilder::empty(true).build()?, call, (exprs, tags), NullHandling::Drop, cx)?;
    if sideways {
        right = lateral(right);
    }
    join_plans(left, right, kind, constraint, cx)
}

/// Marks a plan whose outer references mean columns to its left.
fn lateral(plan: LogicalPlan) -> LogicalPlan {
    let outer_ref_columns = plan.all_out_ref_exprs();
    LogicalPlan::Subquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: datafusion::common::Spans::new() })
}

fn is_true(condition: &ast::Expr) -> bool {
    match condition {
        ast::Expr::Value(value) => value.value == Value::Boolean(true),
        ast::Expr::Nested(inner) => is_true(inner),
        _ => false,
    }
}

/// A relation; a LATERAL subquery sees the columns to its left.
fn relation(relation: TableFactor, left: &DFSchema, cx: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let (subquery, alias) = match relation {
        TableFactor::Derived { lateral: true, subquery, alias, .. } => (subquery, alias),
        other => return cx.plan(other),
    };
    // EXISTS takes any columns, and its subquery sees those around it.
    let Expr::Exists(exists) = cx.sql_to_expr(ast::Expr::Exists { subquery, negated: false }, left)? else {
        return Err(DataFusionError::Internal("EXISTS is planned as something else".into()));
    };
    let mut plan = settled(Arc::unwrap_or_clone(exists.subquery.subquery))?;
    let sideways = looks_out(&plan)?;
    if let Some(alias) = alias {
        let table = cx.normalize_ident(alias.name.clone());
        plan = renamed(plan, &table, alias.columns, cx)?;
        plan = LogicalPlanBuilder::from(plan).alias(cx.normalize_ident(alias.name))?.build()?;
    }
    Ok(if sideways { lateral(plan) } else { plan })
}

/// Does a plan refer to columns outside, or do its subqueries? Those of the latter may be columns of the plan itself.
fn looks_out(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.contains_outer();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn join_plans(
    left: LogicalPlan,
    right: LogicalPlan,
    kind: JoinType,
    constraint: JoinConstraint,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let builder = LogicalPlanBuilder::from(left);
    match constraint {
        JoinConstraint::None => builder.cross_join(right)?.build(),
        JoinConstraint::On(condition) => {
            let condition = cx.sql_to_expr(condition, &builder.schema().join(right.schema())?)?;
            builder.join_on(right, kind, Some(condition))?.build()
        }
        JoinConstraint::Using(names) => {
            let names: Vec<String> = names.iter().filter_map(last_name).collect();
            using::join(builder.build()?, right, kind, &names)
        }
        JoinConstraint::Natural => using::natural(builder.build()?, right, kind),
    }
}

/// The left plan with the functions' rows for each of its rows.
fn unnest(
    left: LogicalPlan,
    call: &Call,
    (lists, tags): Lists,
    null_handling: NullHandling,
    cx: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let schema = DFSchema::clone(left.schema());
    let qualifier = cx.normalize_ident(call.qualifier());
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
        // The longest list has a row for each of its items.
        let counts = unnested.iter().map(|list| cast(cardinality(Expr::Column(list.clone())), DataType::Int64));
        second.push(gen_series(lit(1i64), greatest(counts.collect()), lit(1i64)).alias(temporary(width)));
        builder = builder.project(second)?;
        unnested.push(Column::new_unqualified(temporary(width)));
    }
    let options = UnnestOptions { null_handling, recursions: Vec::new() };
    let mut last = keep;
    if call.srf.record {
        let row = Expr::Column(Column::new_unqualified(temporary(0)));
        last.extend(record(call, &row, &qualifier, cx)?);
        return builder.unnest_columns_with_options(unnested, options)?.project(last)?.build();
    }
    for (i, name) in column_names(call, width, &qualifier, &schema, cx) {
        let tag = tags.get(i).cloned().flatten();
        let value = Expr::Column(Column::new_unqualified(temporary(i)));
        last.push(tagged(value, Some(TableReference::bare(qualifier.clone())), &name, tag.as_deref()));
    }
    builder.unnest_columns_with_options(unnested, options)?.project(last)?.build()
}

/// The columns a statement defines for a function's records.
fn record(call: &Call, row: &Expr, qualifier: &str, cx: &dyn RelationPlannerContext) -> Result<Vec<Expr>> {
    let columns = call.alias.iter().flat_map(|alias| &alias.columns);
    let fields = columns.map(|column| {
        let name = cx.normalize_ident(column.name.clone());
        let Some(ty) = &column.data_type else {
            return plan_err!("a column definition list is required for functions returning \"record\"");
        };
        let Some((target, array)) = casts::target(ty) else {
            return plan_err!("type \"{}\" does not exist", ty.to_string().to_lowercase());
        };
        let documents = matches!(target, Target::Json | Target::Jsonb);
        let spelled = call.srf.name.starts_with("json_");
        let reader = match (documents, array) {
            (true, false) if spelled => "json_record_document",
            (true, false) => "jsonb_record_document",
            (true, true) => "jsonb_record_documents",
            (false, true) => "jsonb_record_list",
            (false, false) => "jsonb_get_text",
        };
        let row = operators::call(if spelled { "json_tag" } else { "jsonb_tag" }, vec![row.clone()])?;
        let value = operators::call(reader, vec![row, lit(name.as_str())])?;
        let tag = target.field("");
        Ok(tagged(target.call(value, array), Some(TableReference::bare(qualifier)), &name, crate::functions::row::tag(&tag)))
    });
    let fields: Vec<Expr> = fields.collect::<Result<_>>()?;
    if fields.is_empty() { plan_err!("a column definition list is required for functions returning \"record\"") } else { Ok(fields) }
}

/// An alias that gives the column an extension tag.
pub(super) fn tagged(value: Expr, qualifier: Option<TableReference>, name: &str, tag: Option<&str>) -> Expr {
    let metadata = tag.map(|tag| FieldMetadata::from(BTreeMap::from([(EXTENSION.to_string(), tag.to_string())])));
    value.alias_qualified_with_metadata(qualifier, name, metadata)
}

/// The output columns: index of the list, name.
fn column_names(call: &Call, width: usize, qualifier: &str, left: &DFSchema, cx: &dyn RelationPlannerContext) -> Vec<(usize, String)> {
    let mut given: Vec<String> =
        call.alias.iter().flat_map(|alias| &alias.columns).map(|column| cx.normalize_ident(column.name.clone())).collect();
    // The pre-pass has given the alias another meaning.
    let resolved = given.first_mut().is_some_and(|name| match name.strip_suffix(RESOLVED) {
        Some(plain) => {
            *name = plain.to_string();
            true
        }
        None => false,
    });
    let total = width + usize::from(call.ordinality);
    let mut names: Vec<(usize, String)> = (0..total)
        .map(|i| {
            let own = if i == width { Some("ordinality") } else { call.srf.columns.get(i).copied() };
            (i, given.get(i).cloned().or_else(|| own.map(str::to_string)).unwrap_or_else(|| qualifier.to_string()))
        })
        .collect();
    // A bare alias means the value, unless a column to the left has the name: columns come before whole rows.
    let bare = call.alias.is_some() && total == 1 && !resolved && names.first().is_some_and(|(_, name)| name != qualifier);
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
        let args = args.into_iter().map(|arg| super::operators::call("array flat", vec![arg])).collect::<Result<_>>()?;
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

/// Gives the computed columns of every projection their tags, for what stands above: set operations, and ORDER BY of them.
pub(super) fn retag_all(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let done = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let lost = |(expr, field): (&Expr, &FieldRef)| {
                let computed = !matches!(expr, Expr::Column(_) | Expr::OuterReferenceColumn(..));
                tag_of(&of_expr(expr, input.schema())).map(str::to_string).filter(|tag| computed && row::tag(field) != Some(tag))
            };
            let tags: Vec<Option<String>> = expr.iter().zip(schema.fields()).map(lost).collect();
            if !changed && tags.iter().all(Option::is_none) {
                return Ok(Transformed::no(LogicalPlan::Projection(Projection::try_new_with_schema(expr, input, schema)?)));
            }
            changed = true;
            let exprs = expr.into_iter().zip(tags).zip(schema.iter()).map(|((expr, tag), (qualifier, field))| match tag {
                Some(tag) => tagged(expr.unalias(), qualifier.cloned(), field.name(), Some(&tag)),
                None => expr,
            });
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(exprs.collect(), input)?)))
        }
        other if changed => Ok(Transformed::yes(other.recompute_schema()?)),
        other => Ok(Transformed::no(other)),
    });
    Ok(done?.data)
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
        LogicalPlan::Subquery(subquery) => tags(&subquery.subquery),
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
