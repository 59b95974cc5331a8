//! `JOIN … USING` and `NATURAL JOIN`: of each pair of keys one column, which is never NULL where either key is not.
//!
//! That column has a table name of its own, which sorts before all others. A join that does nothing stands above to tell DataFusion's name
//! resolution and `*` that it stands for the keys; [`unmark`] takes it away, at the latest when the whole statement is planned.

use super::names::MARK;
use super::operators::compared;
use super::relation::tagged;
use super::types::{PgType, of_expr, tag_of};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, NullEquality, Result, TableReference, plan_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::logical_plan::{Join, JoinConstraint};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use std::sync::Arc;

/// `left JOIN right USING (names)`.
///
/// # Errors
/// A name that one side does not have, or has twice.
pub(super) fn join(left: LogicalPlan, right: LogicalPlan, kind: JoinType, names: &[String]) -> Result<LogicalPlan> {
    let keys = names.iter().map(|name| Ok((key(left.schema(), name, "left")?, key(right.schema(), name, "right")?)));
    let keys: Vec<(Column, Column)> = keys.collect::<Result<_>>()?;
    let own = qualifier(left.schema());
    let superseded = |column: &Column| is_merged(column) && names.contains(&column.name);
    let kept = |schema: &DFSchema| schema.columns().into_iter().filter(|column| !superseded(column)).map(Expr::Column).collect::<Vec<_>>();
    let others: Vec<Expr> = kept(left.schema()).into_iter().chain(kept(right.schema())).collect();
    // Documents are compared by their normal form, which plain columns do not say.
    let normal = |column: &Column, schema: &DFSchema| {
        let column = Expr::Column(column.clone());
        if of_expr(&column, schema) == PgType::Jsonb { compared(column) } else { Ok(column) }
    };
    let equal = |(l, r): &(Column, Column)| Ok(normal(l, left.schema())?.eq(normal(r, right.schema())?));
    let on = keys.iter().map(equal).collect::<Result<Vec<_>>>()?.into_iter().reduce(Expr::and);
    let joined = LogicalPlanBuilder::from(left).join_on(right, kind, on)?;
    let schema = joined.schema();
    let merged = keys.iter().map(|(left, right)| {
        let (left, right) = (Expr::Column(left.clone()), Expr::Column(right.clone()));
        let tag = tag_of(&of_expr(&left, schema)).map(str::to_string);
        let value = match kind {
            JoinType::Right => right,
            JoinType::Full => coalesce(vec![left, right]),
            _ => left,
        };
        (value, tag)
    });
    let merged = merged.zip(names).map(|((value, tag), name)| tagged(value, Some(own.clone()), name, tag.as_deref()));
    let columns: Vec<Expr> = merged.chain(others).collect();
    let plan = joined.project(columns)?.build()?;
    let on = names.iter().flat_map(|name| {
        let merged = Column::new(Some(own.clone()), name);
        let others = plan.schema().columns().into_iter().filter(|column| column.name == *name && !is_merged(column));
        others.map(|other| (Expr::Column(merged.clone()), Expr::Column(other))).collect::<Vec<_>>()
    });
    let on = on.collect();
    let nothing = Arc::new(LogicalPlanBuilder::empty(true).build()?);
    let equality = NullEquality::NullEqualsNothing;
    Ok(LogicalPlan::Join(Join::try_new(Arc::new(plan), nothing, on, None, JoinType::Inner, JoinConstraint::Using, equality, false)?))
}

/// `left NATURAL JOIN right`.
///
/// # Errors
/// A common name that one side has twice.
pub(super) fn natural(left: LogicalPlan, right: LogicalPlan, kind: JoinType) -> Result<LogicalPlan> {
    let mut names: Vec<String> = Vec::new();
    for field in left.schema().fields() {
        let name = field.name();
        if !name.contains(MARK) && !names.contains(name) && right.schema().fields().iter().any(|other| other.name() == name) {
            names.push(name.clone());
        }
    }
    match (names.is_empty(), kind) {
        (false, kind) => join(left, right, kind, &names),
        (true, JoinType::Inner) => LogicalPlanBuilder::from(left).cross_join(right)?.build(),
        (true, kind) => LogicalPlanBuilder::from(left).join_on(right, kind, [lit(true)])?.build(),
    }
}

/// The plan without the joins that stand for names.
pub(super) fn unmark(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up(|node| {
        Ok(match node {
            LogicalPlan::Join(join) if marks(&join) => Transformed::yes(Arc::unwrap_or_clone(join.left)),
            other => Transformed::no(other),
        })
    })?;
    Ok(done.data)
}

/// True for a join that [`join`] has put up.
pub(super) fn marks(join: &Join) -> bool {
    join.join_constraint == JoinConstraint::Using
        && matches!(join.right.as_ref(), LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty())
}

fn is_merged(column: &Column) -> bool {
    column.relation.as_ref().is_some_and(|relation| relation.table().starts_with(MARK))
}

/// A name for the merged columns that no other item of FROM has.
fn qualifier(left: &DFSchema) -> TableReference {
    let first = left.iter().find_map(|(qualifier, _)| qualifier).map(TableReference::table).unwrap_or_default();
    TableReference::bare(format!("{MARK}{}", first.trim_start_matches(MARK)))
}

fn key(schema: &DFSchema, name: &str, side: &str) -> Result<Column> {
    let found = schema.columns_with_unqualified_name(name);
    match (found.as_slice(), found.iter().find(|column| is_merged(column))) {
        (_, Some(merged)) => Ok(merged.clone()),
        ([column], None) => Ok(column.clone()),
        ([], None) => plan_err!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        (_, None) => plan_err!("common column name \"{name}\" appears more than once in {side} table"),
    }
}
