//! Subqueries after planning: each becomes something that DataFusion can run.
//!
//! Subqueries over functions of the outer row become functions ([`row_subquery`]); what DataFusion decorrelates itself is left to it (they
//! become its hash joins); every other subquery, and LATERAL, becomes a dependent join ([`dependent`]).

use super::operators::call;
use super::row_subquery::{self, Kind, row_local};
use super::types::{of_field, tag_of};
use super::{dependent, limits, ordering, set_ops, using};
use crate::functions::arrays::{Op, quantified};
use assay_tables::EXTENSION;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, not_impl_err, plan_err};
use datafusion::execution::context::SessionState;
use datafusion::functions_aggregate::expr_fn::{array_agg, count};
use datafusion::logical_expr::expr::FieldMetadata;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Filter, Join, Limit, Projection};
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, FetchType, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, SkipType, Subquery, lit, not,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rewrites the subqueries of a plan.
pub(super) fn rewrite(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let mut rewriter = Rewriter { state, count: 0 };
    rewriter.plan(plan.transform_up_with_subqueries(named)?.data)
}

/// Outer columns that are the result of a subquery as they are: the plans above find them by the reference's name, also when it is gone.
fn named(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Aggregate(aggregate) = &plan
        && aggregate.aggr_expr.iter().any(of_outside)
    {
        return plan_err!("an aggregate of outer columns alone is one of the query around, which is not supported");
    }
    let LogicalPlan::Projection(Projection { expr, input, schema, .. }) = plan else { return Ok(Transformed::no(plan)) };
    let bare = expr.iter().any(|expr| matches!(expr, Expr::OuterReferenceColumn(..)));
    let exprs = expr.into_iter().map(|expr| match expr {
        Expr::OuterReferenceColumn(..) => {
            let name = expr.schema_name().to_string();
            expr.alias(name)
        }
        other => other,
    });
    let projection = LogicalPlan::Projection(Projection::try_new_with_schema(exprs.collect(), input, schema)?);
    Ok(if bare { Transformed::yes(projection) } else { Transformed::no(projection) })
}

/// Does an expression hold an aggregate of outer columns, and of none of its own query?
fn of_outside(expr: &Expr) -> bool {
    let own = |expr: &Expr| matches!(expr, Expr::Column(_)) || has_subquery(expr);
    let outside = |expr: &Expr| {
        let is_aggregate = matches!(expr, Expr::AggregateFunction(_));
        Ok(is_aggregate && expr.contains_outer() && !expr.exists(|part| Ok(own(part)))?)
    };
    expr.exists(outside).unwrap_or(false)
}

struct Rewriter<'a> {
    state: &'a SessionState,
    count: usize,
}

/// Where an expression stands: DataFusion's own rules look into two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Filter,
    Projection,
    Other,
}

/// Values to join in: the name of the new column, and the plan of one aggregate.
type Values = Vec<(String, LogicalPlan)>;

impl Rewriter<'_> {
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = match plan {
            LogicalPlan::Filter(filter) => sink(filter)?,
            LogicalPlan::Join(join) if using::marks(&join) => Arc::unwrap_or_clone(join.left),
            LogicalPlan::Limit(limit) if depends(&limit) => limits::as_filter(limit, &mut self.count)?,
            other => other,
        };
        let lateral = matches!(&plan, LogicalPlan::Join(join) if is_lateral(&join.right));
        let plan = plan.map_children(|child| Ok(Transformed::yes(self.plan(child)?)))?.data;
        match ordering::rewrite(plan)? {
            // Whose columns it refers to, the join above or the query around knows.
            LogicalPlan::Subquery(subquery) => Ok(Arc::unwrap_or_clone(subquery.subquery)),
            LogicalPlan::Join(join) if set_ops::is_all(&join) => set_ops::counted(join, &mut self.count),
            LogicalPlan::Join(join) if lateral && !dependent::references(&join.right, join.left.schema()).is_empty() => self.lateral(join),
            LogicalPlan::Filter(filter) if has_subquery(&filter.predicate) => self.filter(filter),
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(has_subquery) => self.condition(join),
            plan => self.expressions(plan),
        }
    }

    /// Conditions without subqueries come first, as PostgreSQL has it: the subqueries are asked for fewer rows.
    fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let (asking, plain): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.predicate).into_iter().partition(has_subquery);
        let input = match conjunction(plain) {
            Some(first) => Arc::new(LogicalPlan::Filter(Filter::try_new(first, filter.input)?)),
            None => filter.input,
        };
        let Some(asking) = conjunction(asking) else { return Ok(Arc::unwrap_or_clone(input)) };
        self.expressions(LogicalPlan::Filter(Filter::try_new(asking, input)?))
    }

    /// A join whose right side refers to the left one.
    fn lateral(&mut self, join: Join) -> Result<LogicalPlan> {
        let keys = join.on.into_iter().map(|(left, right)| left.eq(right));
        let condition = keys.chain(join.filter).reduce(Expr::and);
        let (left, right) = (Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right));
        match (join.join_type, condition) {
            (JoinType::Inner, None) => dependent::join(left, right, JoinType::Inner, &mut self.count),
            (JoinType::Inner, Some(condition)) => {
                let joined = dependent::join(left, right, JoinType::Inner, &mut self.count)?;
                self.expressions(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(joined))?))
            }
            (JoinType::Left, condition) => self.left(left, right, condition),
            // PostgreSQL refuses it, too.
            (kind, _) => not_impl_err!("the combining JOIN type must be INNER or LEFT for a LATERAL reference, not {kind}"),
        }
    }

    /// A join with subqueries in its condition.
    fn condition(&mut self, mut join: Join) -> Result<LogicalPlan> {
        let condition = join.filter.take();
        match (join.join_type, condition) {
            (JoinType::Inner, Some(condition)) => {
                let joined = LogicalPlan::Join(join);
                self.expressions(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(joined))?))
            }
            (JoinType::Left | JoinType::Right, condition) => {
                let columns: Vec<Expr> = join.schema.iter().map(|column| Expr::Column(Column::from(column))).collect();
                let condition = join.on.into_iter().map(|(left, right)| left.eq(right)).chain(condition).reduce(Expr::and);
                let (left, right) = (Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right));
                let (kept, other) = if join.join_type == JoinType::Left { (left, right) } else { (right, left) };
                LogicalPlanBuilder::from(self.left(kept, other, condition)?).project(columns)?.build()
            }
            (kind, _) => not_impl_err!("a subquery in the condition of a {kind} join"),
        }
    }

    /// `left LEFT JOIN right ON condition`, where either refers to anything to the left.
    fn left(&mut self, left: LogicalPlan, right: LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
        let right = match condition {
            Some(condition) => {
                let condition = outer_references(condition, left.schema(), right.schema())?;
                self.expressions(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(right))?))?
            }
            None => right,
        };
        dependent::join(left, right, JoinType::Left, &mut self.count)
    }

    /// The subqueries in a node's expressions.
    fn expressions(&mut self, node: LogicalPlan) -> Result<LogicalPlan> {
        let mut found = false;
        node.apply_expressions(|expr| {
            found |= has_subquery(expr);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !found {
            return Ok(node);
        }
        let schema = input_schema(&node)?;
        let place = match node {
            LogicalPlan::Filter(_) => Place::Filter,
            LogicalPlan::Projection(_) => Place::Projection,
            _ => Place::Other,
        };
        let names = NamePreserver::new(&node);
        let mut values = Values::new();
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|expr| self.expr(expr, &schema, place, &mut values))?;
            Ok(done.update_data(|expr| name.restore(expr)))
        })?;
        let node = node.data;
        if values.is_empty() {
            return Ok(node);
        }
        let [source] = node.inputs()[..] else { return not_impl_err!("a subquery in {}", node.display()) };
        let source = source.clone();
        let mut joined = source.clone();
        for (name, plan) in values {
            joined = dependent::value(joined, &source, plan, &name, &mut self.count)?;
        }
        let columns: Vec<Expr> = node.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
        let passes = !matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
        let node = node.with_new_exprs(node.expressions(), vec![joined])?;
        if passes { LogicalPlanBuilder::from(node).project(columns)?.build() } else { Ok(node) }
    }

    fn expr(&mut self, expr: Expr, schema: &DFSchema, place: Place, values: &mut Values) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Exists(mut exists) => {
                exists.subquery = self.inner(exists.subquery)?;
                if row_local(&exists.subquery) {
                    let call = self.function(Kind::Exists, &exists.subquery, schema)?;
                    return Ok(Transformed::yes(if exists.negated { not(call) } else { call }));
                }
                if place == Place::Filter && semi_join(&exists.subquery, schema) {
                    return Ok(Transformed::yes(Expr::Exists(exists)));
                }
                // One row is enough, unless there is one answer per row outside.
                let enough = exists.subquery.outer_ref_columns.is_empty().then_some(1);
                let counted = LogicalPlanBuilder::from(Arc::unwrap_or_clone(exists.subquery.subquery))
                    .limit(0, enough)?
                    .aggregate(Vec::<Expr>::new(), vec![count(lit(1i64))])?
                    .build()?;
                let any = self.value(subquery_of(counted), schema, place, values).gt(lit(0i64));
                Ok(Transformed::yes(if exists.negated { not(any) } else { any }))
            }
            Expr::ScalarSubquery(subquery) => {
                let subquery = self.inner(subquery)?;
                if row_local(&subquery) {
                    return Ok(Transformed::yes(self.function(Kind::Scalar, &subquery, schema)?));
                }
                let plain = subquery.outer_ref_columns.is_empty() && place != Place::Other;
                let subquery = if plain { perhaps(subquery)? } else { single(subquery)? };
                Ok(Transformed::yes(self.value(subquery, schema, place, values)))
            }
            Expr::InSubquery(mut within) => {
                within.subquery = self.inner(within.subquery)?;
                if within.subquery.subquery.head_output_expr()?.is_none() {
                    let columns: Vec<Expr> = within.subquery.subquery.schema().columns().into_iter().map(Expr::Column).collect();
                    within.subquery = subquery_of(LogicalPlanBuilder::from(within.subquery.subquery).project(columns)?.build()?);
                }
                let local = row_local(&within.subquery);
                let correlated = !within.subquery.outer_ref_columns.is_empty();
                // DataFusion's anti join knows the NULLs of a column, not those of what turns out to be a constant.
                let plain = !within.negated || !correlated && reads(&within.expr);
                if place == Place::Filter && !local && plain && semi_join(&within.subquery, schema) {
                    return Ok(Transformed::yes(Expr::InSubquery(within)));
                }
                let inner = Arc::unwrap_or_clone(within.subquery.subquery);
                let column = Column::from(inner.schema().qualified_field(0));
                let listed =
                    LogicalPlanBuilder::from(inner).aggregate(Vec::<Expr>::new(), vec![array_agg(Expr::Column(column))])?.build()?;
                let subquery = subquery_of(listed);
                let list =
                    if local { self.function(Kind::Scalar, &subquery, schema)? } else { self.value(subquery, schema, place, values) };
                let any = quantified(Op::Eq, false).call(vec![*within.expr, call("array_or_empty", vec![list])?]);
                Ok(Transformed::yes(if within.negated { not(any) } else { any }))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// The value of a subquery of one row: DataFusion's own expression where it has a join for it, else a column to be joined in.
    fn value(&mut self, subquery: Subquery, schema: &DFSchema, place: Place, values: &mut Values) -> Expr {
        let correlated = !subquery.outer_ref_columns.is_empty();
        if place != Place::Other && (!correlated || hash_join(&subquery.subquery, schema)) {
            return Expr::ScalarSubquery(subquery);
        }
        self.count += 1;
        let name = format!("__subquery_{}", self.count);
        values.push((name.clone(), Arc::unwrap_or_clone(subquery.subquery)));
        Expr::Column(Column::new_unqualified(name))
    }

    /// The subquery with its own subqueries rewritten.
    fn inner(&mut self, subquery: Subquery) -> Result<Subquery> {
        Ok(subquery_of(self.plan(Arc::unwrap_or_clone(subquery.subquery))?))
    }

    fn function(&mut self, kind: Kind, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
        self.count += 1;
        row_subquery::function(self.count, kind, subquery, schema, self.state)
    }
}

/// Conditions on the left side of a LATERAL join alone belong there: the right side is asked for fewer rows.
fn sink(filter: Filter) -> Result<LogicalPlan> {
    let mut join = match filter.input.as_ref() {
        LogicalPlan::Join(join) if matches!(join.join_type, JoinType::Inner | JoinType::Left) && is_lateral(&join.right) => join.clone(),
        _ => return Ok(LogicalPlan::Filter(filter)),
    };
    let schema = Arc::clone(join.left.schema());
    let ours =
        |expr: &Expr| !has_subquery(expr) && !expr.is_volatile() && expr.column_refs().into_iter().all(|column| schema.has_column(column));
    let (below, above): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.predicate).into_iter().partition(ours);
    if let Some(below) = conjunction(below) {
        join.left = Arc::new(LogicalPlan::Filter(Filter::try_new(below, join.left)?));
    }
    let joined = LogicalPlan::Join(join);
    match conjunction(above) {
        Some(above) => Ok(LogicalPlan::Filter(Filter::try_new(above, Arc::new(joined))?)),
        None => Ok(joined),
    }
}

/// True for an expression that no optimizer makes a constant.
fn reads(expr: &Expr) -> bool {
    let chooses = |expr: &Expr| match expr {
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => matches!(call.func.name(), "coalesce" | "nullif"),
        _ => false,
    };
    expr.any_column_refs() && !expr.exists(|expr| Ok(chooses(expr))).unwrap_or(true)
}

/// True for a LIMIT that is known only when the statement runs.
fn depends(limit: &Limit) -> bool {
    limit.skip.iter().chain(&limit.fetch).any(|expr| has_subquery(expr) || expr.contains_outer())
}

fn subquery_of(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: datafusion::common::Spans::new() }
}

/// Columns of the left side become outer references for the right one.
pub(super) fn outer_references(expr: Expr, left: &DFSchema, right: &DFSchema) -> Result<Expr> {
    dependent::outer_references(expr, left, right)
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::ScalarSubquery(_) | Expr::InSubquery(_)))).unwrap_or(false)
}

/// True if a plan is, or reads from, a LATERAL subquery.
fn is_lateral(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_)))).unwrap_or(false)
}

/// A scalar subquery whose column may be NULL, whatever it is: DataFusion takes one that never is at its word, even where there is no row.
fn perhaps(subquery: Subquery) -> Result<Subquery> {
    if aggregates(&subquery.subquery) {
        return Ok(subquery);
    }
    let (qualifier, field) = subquery.subquery.schema().qualified_field(0);
    let value =
        call("perhaps null", vec![Expr::Column(Column::from((qualifier, field)))])?.alias_qualified(qualifier.cloned(), field.name());
    Ok(subquery_of(LogicalPlanBuilder::from(subquery.subquery).project(vec![value])?.build()?))
}

/// A scalar subquery that may give many rows: an aggregate that refuses them.
fn single(subquery: Subquery) -> Result<Subquery> {
    if aggregates(&subquery.subquery) {
        return Ok(subquery);
    }
    let (mut plan, mut order, mut function) = (subquery.subquery.as_ref(), Vec::new(), "only_element");
    if let LogicalPlan::Limit(limit) = plan
        && matches!((limit.get_skip_type()?, limit.get_fetch_type()?), (SkipType::Literal(0), FetchType::Literal(Some(1))))
    {
        (plan, function) = (limit.input.as_ref(), "first_element");
    }
    let mut value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let field = Arc::clone(plan.schema().qualified_field(0).1);
    match plan {
        LogicalPlan::Sort(sort) => (plan, order) = (sort.input.as_ref(), sort.expr.clone()),
        // Sorted by what is not selected.
        LogicalPlan::Projection(projection) => {
            if let (LogicalPlan::Sort(sort), [first, ..]) = (projection.input.as_ref(), projection.expr.as_slice()) {
                (plan, order, value) = (sort.input.as_ref(), sort.expr.clone(), first.clone().unalias());
            }
        }
        _ => {}
    }
    let tag = tag_of(&of_field(&field)).map(str::to_string);
    let values = array_agg(value).order_by(order).build()?;
    let list = values.schema_name().to_string();
    let mut value = call(function, vec![Expr::Column(Column::new_unqualified(list))])?;
    if let Some(tag) = &tag {
        value = retagged(value, tag)?;
    }
    let plan = LogicalPlanBuilder::from(plan.clone())
        .aggregate(Vec::<Expr>::new(), vec![values])?
        .project(vec![value.alias(field.name())])?
        .build()?;
    Ok(subquery_of(plan))
}

/// The array's element has lost its type's tag.
fn retagged(value: Expr, tag: &str) -> Result<Expr> {
    if tag == "jsonb" {
        return call("jsonb_tag", vec![value]);
    }
    let metadata = FieldMetadata::from(BTreeMap::from([(EXTENSION.to_string(), tag.to_string())]));
    Ok(value.alias_with_metadata(tag, Some(metadata)))
}

/// True if the plan's rows come out of one aggregate without groups, and all of them.
fn aggregates(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => aggregates(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => aggregates(&alias.input),
        _ => false,
    }
}

/// True for `[project] aggregate (filter a.x = outer.y and … (plan))`: DataFusion joins the groups.
fn hash_join(plan: &LogicalPlan, outer: &DFSchema) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            !projection.expr.iter().any(Expr::contains_outer)
                && !projection.expr.iter().any(has_subquery)
                && hash_join(&projection.input, outer)
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => match aggregate.input.as_ref() {
            LogicalPlan::Filter(filter) if filter.input.all_out_ref_exprs().is_empty() => {
                !aggregate.aggr_expr.iter().any(Expr::contains_outer)
                    && split_conjunction(&filter.predicate)
                        .into_iter()
                        .all(|part| !part.contains_outer() && !has_subquery(part) || is_equality(part, outer, filter.input.schema()))
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_equality(expr: &Expr, outer: &DFSchema, inner: &DFSchema) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return false };
    let same = |a: &DataType, column: &Column| inner.qualified_field_from_column(column).is_ok_and(|(_, field)| field.data_type() == a);
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::OuterReferenceColumn(field, reference))
        | (Expr::OuterReferenceColumn(field, reference), Expr::Column(column)) => {
            outer.has_column(reference) && same(field.data_type(), column)
        }
        _ => false,
    }
}

/// True for `[project] filter (plan)` with outer references in the filter alone: DataFusion makes a semi join of EXISTS and IN.
fn semi_join(subquery: &Subquery, outer: &DFSchema) -> bool {
    let known = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if outer.has_column(column));
    subquery.outer_ref_columns.iter().all(known) && (subquery.outer_ref_columns.is_empty() || filtered(&subquery.subquery))
}

fn filtered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            !projection.expr.iter().any(|expr| expr.contains_outer() || has_subquery(expr)) && filtered(&projection.input)
        }
        LogicalPlan::Filter(filter) => !has_subquery(&filter.predicate) && filter.input.all_out_ref_exprs().is_empty(),
        _ => false,
    }
}

/// What an expression of a node may refer to.
fn input_schema(node: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    Ok(schema)
}
