//! Dependent joins: a plan that refers to columns of an outer plan, joined with it for each of its rows.
//!
//! The plan is not run row by row. The distinct values of the outer columns it refers to (its domain) are joined in at its leaves and carried
//! upwards through every operator, so that each row knows for which outer values it holds; then one join brings it and the outer plan together.

use super::{grouping_sets, limits};
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, NullEquality, Result, ScalarValue, TableReference, not_impl_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Distinct, DistinctOn, Filter, Join, JoinConstraint, Limit, Projection, Sort, SubqueryAlias, Union, Unnest, Values, Window,
};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, FetchType, JoinType, LogicalPlan, LogicalPlanBuilder, SkipType, SortExpr, WindowFunctionDefinition, binary_expr,
    cast, lit, when,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Joins every row of `outer` with the rows that `inner` has for it; `outer`'s columns first.
///
/// With [`JoinType::Left`] a row of `outer` for which there are none stays, its other columns NULL.
pub(super) fn join(outer: LogicalPlan, inner: LogicalPlan, kind: JoinType, count: &mut usize) -> Result<LogicalPlan> {
    let Some(domain) = Domain::of(&inner, &outer, count)? else {
        let builder = LogicalPlanBuilder::from(outer);
        return match kind {
            JoinType::Inner => builder.cross_join(inner)?.build(),
            kind => builder.join_on(inner, kind, [lit(true)])?.build(),
        };
    };
    let columns = columns(outer.schema()).chain(columns(inner.schema())).map(Expr::Column).collect::<Vec<_>>();
    let inner = domain.push(inner, count)?;
    domain.bring(outer, inner, kind)?.project(columns)?.build()
}

/// Adds the one value that `inner` has for each row of `outer` as a column of that name.
///
/// `inner` must be an aggregate without groups, under projections. Its domain comes from `source`, which has the same rows as `outer`
/// but not the columns that other subqueries have added.
pub(super) fn value(outer: LogicalPlan, source: &LogicalPlan, inner: LogicalPlan, name: &str, count: &mut usize) -> Result<LogicalPlan> {
    let mut keep: Vec<Expr> = columns(outer.schema()).map(Expr::Column).collect();
    let (mut value, aggregate) = peel(inner)?;
    let domain = Domain::of(&aggregate, source, count)?;
    *count += 1;
    let own = TableReference::bare(format!("__values_{count}"));
    let defaults = defaults(&aggregate);
    let (mut renamed, mut names) = (Vec::new(), HashMap::new());
    for (at, column) in columns(aggregate.schema()).enumerate() {
        let new = Column::new(Some(own.clone()), format!("v{at}"));
        renamed.push(Expr::Column(column.clone()).alias_qualified(Some(own.clone()), new.name.clone()));
        names.insert(column, defaulted(Expr::Column(new), defaults.get(at).cloned().flatten())?);
    }
    let joined = match domain {
        Some(domain) => {
            let pushed = domain.aggregate(aggregate, count)?;
            renamed.extend(domain.own().map(Expr::Column));
            let pushed = LogicalPlanBuilder::from(pushed).project(renamed)?.build()?;
            domain.bring(outer, pushed, JoinType::Left)?
        }
        None => {
            let aggregate = LogicalPlanBuilder::from(aggregate).project(renamed)?.build()?;
            LogicalPlanBuilder::from(outer).join_on(aggregate, JoinType::Left, [lit(true)])?
        }
    };
    let schema = Arc::clone(source.schema());
    value = value
        .transform_up(|expr| {
            Ok(match expr {
                Expr::Column(column) => match names.get(&column) {
                    Some(new) => Transformed::yes(new.clone()),
                    None => Transformed::no(Expr::Column(column)),
                },
                Expr::OuterReferenceColumn(_, column) if schema.has_column(&column) => Transformed::yes(Expr::Column(column)),
                other => Transformed::no(other),
            })
        })?
        .data;
    keep.push(value.alias(name));
    joined.project(keep)?.build()
}

/// The expression of a plan's only column over the aggregate below its projections.
fn peel(plan: LogicalPlan) -> Result<(Expr, LogicalPlan)> {
    let mut value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let mut plan = plan;
    loop {
        let (map, input): (HashMap<Column, Expr>, LogicalPlan) = match plan {
            LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
                (columns(&schema).zip(expr.into_iter().map(unaliased)).collect(), Arc::unwrap_or_clone(input))
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, schema, .. }) => {
                let below = columns(input.schema()).map(Expr::Column).collect::<Vec<_>>();
                (columns(&schema).zip(below).collect(), Arc::unwrap_or_clone(input))
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                return Ok((value, LogicalPlan::Aggregate(aggregate)));
            }
            _ => return not_impl_err!("a correlated subquery whose value is no aggregate"),
        };
        value = value
            .transform_up(|expr| {
                Ok(match &expr {
                    Expr::Column(column) => {
                        map.get(column).map_or_else(|| Transformed::no(expr.clone()), |to| Transformed::yes(to.clone()))
                    }
                    _ => Transformed::no(expr),
                })
            })?
            .data;
        plan = input;
    }
}

fn unaliased(expr: Expr) -> Expr {
    match expr {
        // An alias with metadata gives the value its tag.
        Expr::Alias(alias) if alias.metadata.is_none() => *alias.expr,
        other => other,
    }
}

fn columns(schema: &DFSchema) -> impl Iterator<Item = Column> + '_ {
    schema.iter().map(Column::from)
}

/// What each aggregate of a plan gives for no rows, where that is not NULL.
fn defaults(plan: &LogicalPlan) -> Vec<Option<Expr>> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return Vec::new() };
    let count = |expr: &Expr| matches!(expr, Expr::AggregateFunction(call) if call.func.name() == "count");
    aggregate.aggr_expr.iter().map(|expr| count(&unaliased(expr.clone())).then(|| lit(0i64))).collect()
}

fn defaulted(value: Expr, default: Option<Expr>) -> Result<Expr> {
    match default {
        Some(default) => when(value.clone().is_null(), default).otherwise(value),
        None => Ok(value),
    }
}

/// The outer columns that a plan refers to, of those that `schema` has.
pub(super) fn references(plan: &LogicalPlan, schema: &DFSchema) -> Vec<(FieldRef, Column)> {
    let mut found = Vec::new();
    for expr in plan.all_out_ref_exprs() {
        if let Expr::OuterReferenceColumn(field, column) = expr
            && schema.has_column(&column)
            && !found.iter().any(|(_, known)| *known == column)
        {
            found.push((field, column));
        }
    }
    found
}

/// Columns of that schema become outer references.
pub(super) fn outer_references(expr: Expr, outer: &DFSchema, inner: &DFSchema) -> Result<Expr> {
    let done = expr.transform_up(|expr| match &expr {
        Expr::Column(column) if !inner.has_column(column) && outer.has_column(column) => {
            let (_, field) = outer.qualified_field_from_column(column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column.clone())))
        }
        _ => Ok(Transformed::no(expr)),
    });
    Ok(done?.data)
}

/// The distinct values of the outer columns that a plan refers to.
struct Domain {
    qualifier: TableReference,
    /// The outer columns; the column `c0`, `c1` … of the domain stands for each.
    columns: Vec<Column>,
    plan: LogicalPlan,
}

impl Domain {
    fn of(inner: &LogicalPlan, source: &LogicalPlan, count: &mut usize) -> Result<Option<Domain>> {
        let columns: Vec<Column> = references(inner, source.schema()).into_iter().map(|(_, column)| column).collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let qualifier = fresh(count);
        let values = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Expr::Column(column.clone()).alias_qualified(Some(qualifier.clone()), format!("c{at}")));
        let plan = LogicalPlanBuilder::from(source.clone()).project(values.collect::<Vec<_>>())?.distinct()?.build()?;
        Ok(Some(Domain { qualifier, columns, plan }))
    }

    /// Its own columns.
    fn own(&self) -> impl Iterator<Item = Column> + '_ {
        (0..self.columns.len()).map(|at| Column::new(Some(self.qualifier.clone()), format!("c{at}")))
    }

    fn exprs(&self) -> Vec<Expr> {
        self.own().map(Expr::Column).collect()
    }

    /// The outer plan beside a plan that carries the domain.
    fn bring(&self, outer: LogicalPlan, inner: LogicalPlan, kind: JoinType) -> Result<LogicalPlanBuilder> {
        LogicalPlanBuilder::from(outer).join_detailed(
            inner,
            kind,
            (self.columns.clone(), self.own().collect::<Vec<_>>()),
            None,
            NullEquality::NullEqualsNull,
        )
    }

    /// Another name for the same values, for the second side of a join.
    fn again(&self, count: &mut usize) -> Result<Domain> {
        let qualifier = fresh(count);
        let values = self.own().map(|column| {
            let name = column.name.clone();
            Expr::Column(column).alias_qualified(Some(qualifier.clone()), name)
        });
        let plan = LogicalPlanBuilder::from(self.plan.clone()).project(values.collect::<Vec<_>>())?.build()?;
        Ok(Domain { qualifier, columns: self.columns.clone(), plan })
    }

    fn refers(&self, plan: &LogicalPlan) -> bool {
        plan.all_out_ref_exprs().iter().any(|expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if self.columns.contains(column)))
    }

    /// Outer references become the domain's columns.
    fn bind(&self, expr: Expr) -> Result<Expr> {
        let done = expr.transform_up(|expr| {
            Ok(match &expr {
                Expr::OuterReferenceColumn(_, column) => match self.columns.iter().position(|known| known == column) {
                    Some(at) => Transformed::yes(Expr::Column(Column::new(Some(self.qualifier.clone()), format!("c{at}")))),
                    None => Transformed::no(expr),
                },
                _ => Transformed::no(expr),
            })
        });
        Ok(done?.data)
    }

    fn bind_all(&self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.bind(expr)).collect()
    }

    fn bind_sort(&self, keys: Vec<SortExpr>) -> Result<Vec<SortExpr>> {
        keys.into_iter().map(|key| Ok(SortExpr { expr: self.bind(key.expr)?, ..key })).collect()
    }

    /// The columns of a schema, then the domain's.
    fn arrange(&self, plan: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
        let wanted: Vec<Expr> = columns(schema).map(Expr::Column).chain(self.exprs()).collect();
        LogicalPlanBuilder::from(plan).project(wanted)?.build()
    }

    /// The plan for every row of the domain: its columns, then the domain's.
    fn push(&self, plan: LogicalPlan, count: &mut usize) -> Result<LogicalPlan> {
        if !self.refers(&plan) {
            return match &plan {
                LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty() => Ok(self.plan.clone()),
                _ => LogicalPlanBuilder::from(plan).cross_join(self.plan.clone())?.build(),
            };
        }
        let schema = Arc::clone(plan.schema());
        match plan {
            LogicalPlan::Projection(Projection { expr, input, .. }) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                let mut expr = self.named(expr)?;
                expr.extend(self.exprs());
                Ok(LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?))
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                Ok(LogicalPlan::Filter(Filter::try_new(self.bind(predicate)?, Arc::new(input))?))
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => {
                let below: Vec<Column> = columns(input.schema()).collect();
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                let mut exprs: Vec<Expr> = below
                    .into_iter()
                    .zip(schema.iter())
                    .map(|(column, (qualifier, field))| Expr::Column(column).alias_qualified(qualifier.cloned(), field.name()))
                    .collect();
                exprs.extend(self.exprs());
                LogicalPlanBuilder::from(input).project(exprs)?.build()
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => self.one_row(aggregate, count),
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) => {
                self.push(grouping_sets::as_union(aggregate)?, count)
            }
            plan @ LogicalPlan::Aggregate(_) => self.aggregate(plan, count),
            LogicalPlan::Sort(Sort { expr, input, .. }) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                LogicalPlanBuilder::from(input).sort(self.bind_sort(expr)?)?.build()
            }
            LogicalPlan::Limit(limit) => self.limit(limit, &schema, count),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                LogicalPlanBuilder::from(self.push(Arc::unwrap_or_clone(input), count)?).distinct()?.build()
            }
            LogicalPlan::Distinct(Distinct::On(DistinctOn { on_expr, select_expr, sort_expr, input, .. })) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                let on = self.exprs().into_iter().chain(self.bind_all(on_expr)?).collect();
                let select = self.named(select_expr)?.into_iter().chain(self.exprs()).collect();
                let sort = match sort_expr {
                    Some(keys) => {
                        let first = self.exprs().into_iter().map(|expr| expr.sort(true, false));
                        Some(first.chain(self.bind_sort(keys)?).collect())
                    }
                    None => None,
                };
                LogicalPlanBuilder::from(input).distinct_on(on, select, sort)?.build()
            }
            LogicalPlan::Union(Union { inputs, .. }) => {
                let mut pushed = Vec::with_capacity(inputs.len());
                for input in inputs {
                    pushed.push(Arc::new(self.push(Arc::unwrap_or_clone(input), count)?));
                }
                let union = LogicalPlan::Union(Union::try_new_with_loose_types(pushed)?);
                let names = schema.iter().map(|(qualifier, field)| (qualifier.cloned(), field.name().clone()));
                let names: Vec<_> = names.chain(self.own().map(|column| (column.relation, column.name))).collect();
                let exprs: Vec<Expr> = columns(union.schema())
                    .zip(names)
                    .map(|(column, (qualifier, name))| Expr::Column(column).alias_qualified(qualifier, name))
                    .collect();
                LogicalPlanBuilder::from(union).project(exprs)?.build()
            }
            LogicalPlan::Window(Window { input, window_expr, .. }) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                let mut partitioned = Vec::with_capacity(window_expr.len());
                for expr in window_expr {
                    let name = expr.schema_name().to_string();
                    let done = self.bind(expr)?.transform_up(|expr| {
                        Ok(match expr {
                            Expr::WindowFunction(mut call) => {
                                call.params.partition_by.extend(self.exprs());
                                Transformed::yes(Expr::WindowFunction(call))
                            }
                            other => Transformed::no(other),
                        })
                    });
                    partitioned.push(unaliased(done?.data).alias(name));
                }
                let plan = LogicalPlan::Window(Window::try_new(partitioned, Arc::new(input))?);
                self.arrange(plan, &schema)
            }
            LogicalPlan::Unnest(Unnest { input, exec_columns, options, .. }) => {
                let input = self.push(Arc::unwrap_or_clone(input), count)?;
                LogicalPlanBuilder::from(input).unnest_columns_with_options(exec_columns, options)?.build()
            }
            LogicalPlan::Join(join) => self.join(join, &schema, count),
            LogicalPlan::Values(Values { values, schema }) => {
                let mut rows = Vec::with_capacity(values.len());
                for row in values {
                    let exprs: Vec<Expr> = row
                        .into_iter()
                        .zip(schema.fields())
                        .map(|(value, field)| Ok(cast(self.bind(value)?, field.data_type().clone()).alias(field.name())))
                        .chain(self.own().map(|column| Ok(Expr::Column(column))))
                        .collect::<Result<_>>()?;
                    rows.push(Arc::new(LogicalPlanBuilder::from(self.plan.clone()).project(exprs)?.build()?));
                }
                let Some(union) = union_of(rows)? else { return not_impl_err!("VALUES without rows") };
                let exprs: Vec<Expr> = columns(&union.schema().clone())
                    .zip(columns(&schema).chain(self.own()))
                    .map(|(column, to)| Expr::Column(column).alias_qualified(to.relation, to.name))
                    .collect();
                LogicalPlanBuilder::from(union).project(exprs)?.build()
            }
            other => not_impl_err!("a correlated subquery with {}", other.display()),
        }
    }

    /// Expressions of a select list, bound, under the names they had.
    fn named(&self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        exprs
            .into_iter()
            .map(|expr| {
                let (qualifier, name) = expr.qualified_name();
                let bound = self.bind(expr)?;
                Ok(if bound.qualified_name() == (qualifier.clone(), name.clone()) { bound } else { bound.alias_qualified(qualifier, name) })
            })
            .collect()
    }

    /// An aggregate for each row of the domain that has rows below it.
    fn aggregate(&self, plan: LogicalPlan, count: &mut usize) -> Result<LogicalPlan> {
        let LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, schema, .. }) = plan else {
            return not_impl_err!("a subquery that is no aggregate");
        };
        let input = self.push(Arc::unwrap_or_clone(input), count)?;
        let mut groups = self.named(group_expr)?;
        groups.extend(self.exprs());
        let aggregate = Aggregate::try_new(Arc::new(input), groups, self.named(aggr_expr)?)?;
        self.arrange(LogicalPlan::Aggregate(aggregate), &schema)
    }

    /// An aggregate without groups has a row where there is nothing below it, too.
    fn one_row(&self, aggregate: Aggregate, count: &mut usize) -> Result<LogicalPlan> {
        let schema = Arc::clone(&aggregate.schema);
        let plan = LogicalPlan::Aggregate(aggregate);
        let defaults = defaults(&plan);
        let other = self.again(count)?;
        let renamed = Domain { qualifier: other.qualifier.clone(), columns: self.own().collect(), plan: LogicalPlan::default() };
        let mut exprs: Vec<Expr> = columns(&schema).map(Expr::Column).collect();
        exprs.extend(self.own().zip(other.own()).map(|(own, other)| Expr::Column(own).alias_qualified(other.relation, other.name)));
        let pushed = LogicalPlanBuilder::from(self.aggregate(plan, count)?).project(exprs)?.build()?;
        let mut exprs = Vec::with_capacity(schema.fields().len());
        for (at, (qualifier, field)) in schema.iter().enumerate() {
            let column = Expr::Column(Column::from((qualifier, field)));
            let value = defaulted(column.clone(), defaults.get(at).cloned().flatten())?;
            exprs.push(if value == column { value } else { value.alias_qualified(qualifier.cloned(), field.name()) });
        }
        exprs.extend(self.exprs());
        renamed.bring(self.plan.clone(), pushed, JoinType::Left)?.project(exprs)?.build()
    }

    /// The first rows for each row of the domain.
    fn limit(&self, limit: Limit, schema: &DFSchema, count: &mut usize) -> Result<LogicalPlan> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
            return self.push(limits::as_filter(limit, count)?, count);
        };
        let mut select = None;
        let mut input = Arc::unwrap_or_clone(limit.input);
        if let LogicalPlan::Projection(Projection { expr, input: below, .. }) = &input
            && matches!(below.as_ref(), LogicalPlan::Sort(_))
        {
            // Sorted by what is not selected.
            select = Some(self.named(expr.clone())?);
            input = below.as_ref().clone();
        }
        let (keys, input) = match input {
            LogicalPlan::Sort(sort) => (self.bind_sort(sort.expr)?, Arc::unwrap_or_clone(sort.input)),
            other => (Vec::new(), other),
        };
        let input = self.push(input, count)?;
        *count += 1;
        let name = format!("__row_{count}");
        let row_number = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new()));
        let partitioned = row_number.partition_by(self.exprs());
        let number = if keys.is_empty() { partitioned.build()? } else { partitioned.order_by(keys).build()? }.alias(name.clone());
        let row = cast(Expr::Column(Column::new_unqualified(name)), datafusion::arrow::datatypes::DataType::Int64);
        let literal = |n: usize| lit(ScalarValue::Int64(i64::try_from(n).ok()));
        let mut condition = row.clone().gt(literal(skip));
        if let Some(fetch) = fetch {
            condition = condition.and(row.lt_eq(literal(skip.saturating_add(fetch))));
        }
        let numbered = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(input))?);
        let first = LogicalPlanBuilder::from(numbered).filter(condition)?;
        match select {
            Some(exprs) => first.project(exprs.into_iter().chain(self.exprs()).collect::<Vec<_>>())?.build(),
            None => self.arrange(first.build()?, schema),
        }
    }

    fn join(&self, join: Join, schema: &DFSchema, count: &mut usize) -> Result<LogicalPlan> {
        let Join { left, right, on, filter, join_type, null_equality, null_aware, .. } = join;
        let (left, right) = (Arc::unwrap_or_clone(left), Arc::unwrap_or_clone(right));
        let keep_left = matches!(join_type, JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
        let (push_left, push_right) = match join_type {
            JoinType::Inner => {
                let right_only = self.refers(&right) && !self.refers(&left);
                (!right_only, self.refers(&right))
            }
            _ if keep_left => (true, self.refers(&right)),
            JoinType::Right => (self.refers(&left), true),
            JoinType::Full => (true, true),
            _ => return not_impl_err!("a {join_type} join in a correlated subquery"),
        };
        // The side whose rows all stay carries the domain under its own name.
        let second = if push_left && push_right { Some(self.again(count)?) } else { None };
        let (own, other) = if join_type == JoinType::Right { (false, true) } else { (true, false) };
        let side = |plan: LogicalPlan, push: bool, own: bool, count: &mut usize| match (push, &second) {
            (false, _) => Ok(plan),
            (true, Some(second)) if !own => self.push(plan, count).and_then(|pushed| self.rename(pushed, second)),
            (true, _) => self.push(plan, count),
        };
        let left = side(left, push_left, own, count)?;
        let right = side(right, push_right, other, count)?;
        let mut filter = filter.map(|filter| self.bind(filter)).transpose()?;
        if let Some(second) = &second {
            for (own, other) in self.own().zip(second.own()) {
                let same = binary_expr(Expr::Column(own), datafusion::logical_expr::Operator::IsNotDistinctFrom, Expr::Column(other));
                filter = Some(match filter {
                    Some(filter) => filter.and(same),
                    None => same,
                });
            }
        }
        let on = on.into_iter().map(|(l, r)| Ok((self.bind(l)?, self.bind(r)?))).collect::<Result<_>>()?;
        let joined = Join::try_new(Arc::new(left), Arc::new(right), on, filter, join_type, JoinConstraint::On, null_equality, null_aware)?;
        let joined = LogicalPlan::Join(joined);
        match second {
            // Where a row of one side has no partner, that side knows the outer values.
            Some(second) if join_type == JoinType::Full => {
                let mut exprs: Vec<Expr> = columns(schema).map(Expr::Column).collect();
                exprs.extend(self.own().zip(second.own()).map(|(own, other)| {
                    coalesce(vec![Expr::Column(own.clone()), Expr::Column(other)]).alias_qualified(own.relation, own.name)
                }));
                LogicalPlanBuilder::from(joined).project(exprs)?.build()
            }
            _ => self.arrange(joined, schema),
        }
    }

    /// A pushed plan whose domain goes by another name.
    fn rename(&self, plan: LogicalPlan, to: &Domain) -> Result<LogicalPlan> {
        let width = plan.schema().fields().len() - self.columns.len();
        let mut exprs: Vec<Expr> = columns(plan.schema()).take(width).map(Expr::Column).collect();
        exprs.extend(self.own().zip(to.own()).map(|(own, to)| Expr::Column(own).alias_qualified(to.relation, to.name)));
        LogicalPlanBuilder::from(plan).project(exprs)?.build()
    }
}

fn fresh(count: &mut usize) -> TableReference {
    *count += 1;
    TableReference::bare(format!("__outer_{count}"))
}

fn union_of(mut plans: Vec<Arc<LogicalPlan>>) -> Result<Option<LogicalPlan>> {
    Ok(match plans.len() {
        0 => None,
        1 => plans.pop().map(Arc::unwrap_or_clone),
        _ => Some(LogicalPlan::Union(Union::try_new_with_loose_types(plans)?)),
    })
}
