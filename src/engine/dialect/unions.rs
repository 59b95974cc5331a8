//! The columns of UNION: one type each, found where the union is planned, and names that differ within a branch.
//!
//! An untyped literal or NULL of one branch takes the type that the others have. DataFusion looks for the types only when the whole statement
//! is planned, too late for operators above that depend on them.

use super::names;
use super::operators::typed as literal_of;
use super::types::{PgType, of_expr, of_field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::logical_plan::{Projection, Union};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::analyzer::type_coercion::coerce_union_schema;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The plan with all its unions resolved.
///
/// # Errors
/// Types that have nothing in common, or a literal that its column's type does not read.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !plan.exists(|node| Ok(matches!(node, LogicalPlan::Union(_))))? {
        return Ok(plan);
    }
    let mut changed = false;
    let done = plan.transform_up(|node| match node {
        LogicalPlan::Union(union) => match resolved(&union)? {
            Some(resolved) => {
                changed = true;
                Ok(Transformed::yes(named(resolved, &union)?))
            }
            None => Ok(Transformed::no(LogicalPlan::Union(union))),
        },
        other if changed => Ok(Transformed::yes(other.recompute_schema()?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(done.data)
}

fn resolved(union: &Union) -> Result<Option<Union>> {
    let mut inputs = union.inputs.clone();
    let width = union.schema.fields().len();
    for at in 0..width {
        let kinds: Vec<PgType> = inputs.iter().map(|input| kind(input, at)).collect();
        let known = kinds.iter().find(|kind| **kind != PgType::Unknown);
        let Some(known) = known.filter(|known| **known != PgType::Text) else { continue };
        for (input, kind) in inputs.iter_mut().zip(&kinds) {
            if *kind == PgType::Unknown {
                *input = Arc::new(with_literal(input, at, known)?);
            }
        }
    }
    for input in &mut inputs {
        let names: BTreeSet<&String> = input.schema().fields().iter().map(|field| field.name()).collect();
        if names.len() < width {
            *input = Arc::new(names::settle(input.as_ref().clone())?);
        }
    }
    let first = inputs.first().map(|input| Arc::clone(input.schema()));
    let alike = inputs.iter().all(|input| {
        let types =
            |schema: &datafusion::common::DFSchema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        first.as_ref().is_some_and(|first| types(first) == types(input.schema()))
    });
    if !alike {
        let schema = coerce_union_schema(&inputs).map_err(|error| mismatch(&inputs).unwrap_or(error))?;
        for input in &mut inputs {
            *input = Arc::new(coerce_plan_expr_for_schema(input.as_ref().clone(), &schema)?);
        }
    }
    if inputs.iter().zip(&union.inputs).all(|(new, old)| Arc::ptr_eq(new, old)) {
        return Ok(None);
    }
    Union::try_new_with_loose_types(inputs).map(Some)
}

/// The union under the names by which the plan above knows its columns.
fn named(union: Union, before: &Union) -> Result<LogicalPlan> {
    let names: Vec<&String> = before.schema.fields().iter().map(|field| field.name()).collect();
    if union.schema.fields().iter().map(|field| field.name()).eq(names.iter().copied()) {
        return Ok(LogicalPlan::Union(union));
    }
    let columns = union.schema.columns().into_iter().zip(names);
    let columns: Vec<Expr> = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect();
    LogicalPlanBuilder::from(LogicalPlan::Union(union)).project(columns)?.build()
}

/// The type of a branch's column; of a literal that no one has cast, unknown.
fn kind(plan: &LogicalPlan, at: usize) -> PgType {
    match plan {
        LogicalPlan::Projection(projection) => of_expr(&projection.expr[at], projection.input.schema()),
        LogicalPlan::SubqueryAlias(alias) => kind(&alias.input, at),
        other => of_field(other.schema().field(at)),
    }
}

/// The branch with its literal in that type.
fn with_literal(plan: &LogicalPlan, at: usize, kind: &PgType) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut exprs = projection.expr.clone();
            let (qualifier, name) = exprs[at].qualified_name();
            exprs[at] = literal_of(exprs[at].clone().unalias(), kind)?.alias_qualified(qualifier, name);
            Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&projection.input))?))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            LogicalPlanBuilder::from(with_literal(&alias.input, at, kind)?).alias(alias.alias.clone())?.build()
        }
        // A column of nothing but NULLs.
        other => {
            let Some((target, array)) = kind.target() else { return Ok(other.clone()) };
            let columns = other.schema().iter().enumerate().map(|(i, (qualifier, field))| {
                let column = Expr::Column(Column::from((qualifier, field)));
                if i == at { target.call(column, array).alias_qualified(qualifier.cloned(), field.name()) } else { column }
            });
            let columns: Vec<Expr> = columns.collect();
            LogicalPlanBuilder::from(other.clone()).project(columns)?.build()
        }
    }
}

/// PostgreSQL's words for branches whose types have nothing in common.
fn mismatch(inputs: &[Arc<LogicalPlan>]) -> Option<DataFusionError> {
    let (first, rest) = inputs.split_first()?;
    for other in rest {
        for (left, right) in first.schema().fields().iter().zip(other.schema().fields()) {
            let (left, right) = (of_field(left), of_field(right));
            let both = [&left, &right];
            if left != right && !both.contains(&&PgType::Unknown) && !both.iter().all(|kind| kind.is_number() || kind.is_moment()) {
                return Some(DataFusionError::Plan(format!("UNION types {} and {} cannot be matched", left.name(), right.name())));
            }
        }
    }
    None
}
