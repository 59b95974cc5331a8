//! Names of output columns as PostgreSQL gives them, and duplicates among them.
//!
//! DataFusion wants the columns of a projection to be distinct: later ones of a name get a mark, which the topmost projection takes off, and
//! so does every subquery where the name turns out to be the only one of its kind.

use super::ast::last_name;
use super::casts;
use super::from::gives_rows;
use datafusion::arrow::datatypes::Field;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Distinct as LogicalDistinct, Expr as LogicalExpr, LogicalPlan, LogicalPlanBuilder, Projection};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FunctionArguments, GroupByExpr, Ident, OrderByExpr, Query, Select, SelectItem, SetExpr, TrimWhereField,
    Value, Visit, Visitor,
};
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Separates a name from its number; no identifier holds it.
pub(super) const MARK: char = '\u{1}';

/// Gives every item of a select list its name.
pub(super) fn assign(select: &mut Select) {
    let beside = beside_wildcard(select);
    positions(select);
    if beside && let Some(Distinct::On(exprs)) = &mut select.distinct {
        let mut on = std::mem::take(exprs);
        on.iter_mut().for_each(|expr| refer(select, expr));
        select.distinct = Some(Distinct::On(on));
    }
    let mut used: HashMap<String, usize> = HashMap::new();
    for (at, item) in select.projection.iter_mut().enumerate() {
        let Some((name, plain)) = name_of(item) else { continue };
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        let unique = match *count {
            _ if beside => marked(&name, at),
            1 => name,
            count => format!("{name}{MARK}{count}"),
        };
        if plain && *count == 1 && !beside {
            continue;
        }
        let alias = Ident::with_quote('"', unique);
        match item {
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            SelectItem::UnnamedExpr(expr) => {
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            _ => {}
        }
    }
}

/// The name of a select item, and whether it has it without our help.
fn name_of(item: &SelectItem) -> Option<(String, bool)> {
    Some(match item {
        SelectItem::UnnamedExpr(expr) => {
            (column_name(expr).unwrap_or_else(|| "?column?".into()), matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
        }
        SelectItem::ExprWithAlias { alias, .. } => (normal(alias), true),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => return None,
    })
}

/// True for a select list with `*`, whose columns nobody knows yet: the names of all other items could be among them. And for one with
/// functions that give rows, beside which DataFusion takes a name for a column of the input.
fn beside_wildcard(select: &Select) -> bool {
    let wildcard = |item: &SelectItem| match item {
        SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => true,
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => gives_rows(expr),
        SelectItem::ExprWithAliases { .. } => false,
    };
    // GROUP BY could mean an item by its name, or a column of the input.
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    !grouped && select.projection.len() > 1 && select.projection.iter().any(wildcard)
}

fn marked(name: &str, at: usize) -> String {
    format!("{name}{MARK}*{at}")
}

/// ORDER BY: a bare name means an item of the select list, a name within an expression a column of the input.
pub(super) fn order(select: &mut Select, by: &mut [OrderByExpr]) {
    if beside_wildcard(select) {
        return by.iter_mut().for_each(|by| refer(select, &mut by.expr));
    }
    let GroupByExpr::Expressions(groups, _) = &select.group_by else { return };
    let mut words = Words::default();
    for by in by.iter().filter(|by| !matches!(by.expr, Expr::Identifier(_))) {
        let _ = Visit::visit(&by.expr, &mut words);
    }
    if words.0.is_empty() || !groups.is_empty() || select.distinct.is_some() {
        return;
    }
    for at in 0..select.projection.len() {
        let SelectItem::ExprWithAlias { expr, alias } = &mut select.projection[at] else { continue };
        let name = normal(alias);
        if !words.0.contains(&name) || matches!(expr, Expr::Identifier(ident) if normal(ident) == name) {
            continue;
        }
        let hidden = Ident::with_quote('"', marked(&name, at));
        *alias = hidden.clone();
        for by in by.iter_mut() {
            if let Expr::Identifier(ident) = &mut by.expr
                && normal(ident) == name
            {
                *ident = hidden.clone();
            }
        }
    }
}

/// The names in an expression, without those of its subqueries.
#[derive(Default)]
struct Words(BTreeSet<String>, usize);

impl Visitor for Words {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.1 += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.1 -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (Expr::Identifier(ident), 0) = (expr, self.1) {
            self.0.insert(normal(ident));
        }
        ControlFlow::Continue(())
    }
}

/// DISTINCT ON by position.
fn positions(select: &mut Select) {
    let Some(Distinct::On(exprs)) = &mut select.distinct else { return };
    for expr in exprs {
        let Expr::Value(value) = &*expr else { continue };
        let Value::Number(position, _) = &value.value else { continue };
        let item = position.parse::<usize>().ok().and_then(|at| select.projection.get(at.checked_sub(1)?));
        if let Some(SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }) = item {
            *expr = item.clone();
        }
    }
}

fn refer(select: &Select, expr: &mut Expr) {
    let Expr::Identifier(ident) = expr else { return };
    let name = normal(ident);
    let found = select.projection.iter().position(|item| name_of(item).is_some_and(|(item, _)| item == name));
    if let Some(at) = found {
        *ident = Ident::with_quote('"', marked(&name, at));
    }
}

/// A name as PostgreSQL folds it.
pub(super) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name of an unnamed expression, where it has one.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        Expr::Nested(inner) => match inner.as_ref() {
            // `(values (…))`, read as a function.
            Expr::Function(function) if last_name(&function.name).as_deref() == Some("values") => Some("column1".into()),
            inner => column_name(inner),
        },
        Expr::Collate { expr, .. } => column_name(expr),
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(_) => Some("array".into()),
            _ => last_name(&function.name).map(|name| if name == "substring_similar" { "substring".into() } else { name }),
        },
        Expr::Cast { expr, data_type, .. } => strong_name(expr).or_else(|| Some(casts::column_name(data_type))),
        Expr::TypedString(typed) => Some(casts::column_name(&typed.data_type)),
        Expr::Interval(_) => Some("interval".into()),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strong_name).or_else(|| Some("case".into())),
        Expr::Exists { negated: false, .. } => Some("exists".into()),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => Some("overlaps".into()),
        Expr::Subquery(query) => first_column(query),
        Expr::Array(_) => Some("array".into()),
        Expr::Extract { .. } => Some("extract".into()),
        Expr::Substring { shorthand, .. } => Some(if *shorthand { "substr" } else { "substring" }.into()),
        Expr::Position { .. } => Some("position".into()),
        Expr::Overlay { .. } => Some("overlay".into()),
        Expr::Ceil { .. } => Some("ceil".into()),
        Expr::Floor { .. } => Some("floor".into()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .into(),
        ),
        Expr::AtTimeZone { .. } => Some("timezone".into()),
        Expr::CompoundFieldAccess { root, .. } => column_name(root),
        Expr::Tuple(_) => Some("row".into()),
        _ => None,
    }
}

/// A name that a cast or CASE around the expression keeps: not that of another cast or CASE.
fn strong_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => strong_name(inner),
        Expr::Cast { expr, .. } | Expr::Collate { expr, .. } => strong_name(expr),
        Expr::CompoundFieldAccess { root, .. } => strong_name(root),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strong_name),
        // It is planned when it is asked for its name: even that it has none is a name.
        Expr::Subquery(query) => Some(first_column(query).unwrap_or_else(|| "?column?".into())),
        Expr::TypedString(_) | Expr::Interval(_) | Expr::Value(_) => None,
        other => column_name(other),
    }
}

fn first_column(query: &Query) -> Option<String> {
    match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => column_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
            _ => None,
        },
        SetExpr::Query(query) => first_column(query),
        _ => None,
    }
}

/// Gives the output columns their names. Of several of one name all but the first keep a mark, for the optimizer to tell them apart, until the
/// plan is made ([`Shown`]).
pub(super) fn restore(plan: LogicalPlan) -> Result<LogicalPlan> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(plan);
    }
    let names: Vec<String> = given(&plan).iter().map(|name| base(name).to_string()).collect();
    if names.iter().eq(plan.schema().fields().iter().map(|field| field.name())) {
        return Ok(plan);
    }
    let mut used = BTreeSet::new();
    let columns: Vec<LogicalExpr> = plan
        .schema()
        .iter()
        .zip(names)
        .enumerate()
        .map(|(at, ((qualifier, field), name))| {
            let unique = if used.contains(&name) { format!("{name}{MARK}{at}") } else { name.clone() };
            used.insert(name);
            LogicalExpr::Column(Column::from((qualifier, field))).alias(unique)
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// Takes the marks off the output columns of a finished plan.
#[derive(Debug)]
pub(super) struct Shown;

impl PhysicalOptimizerRule for Shown {
    fn name(&self) -> &str {
        "shown"
    }

    // It changes names.
    fn schema_check(&self) -> bool {
        false
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = plan.schema();
        if !schema.fields().iter().any(|field| field.name().contains(MARK)) {
            return Ok(plan);
        }
        let columns = schema.fields().iter().enumerate().map(|(at, field)| ProjectionExpr {
            expr: Arc::new(PhysicalColumn::new(field.name(), at)),
            alias: base(field.name()).to_string(),
        });
        Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), plan)?))
    }
}

/// The columns of a subquery under the names by which the query around may call them; several of one name it may not call at all.
pub(super) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let names = given(&plan);
    let mut used: HashMap<&str, usize> = HashMap::new();
    for name in &names {
        *used.entry(base(name)).or_default() += 1;
    }
    let settled = names.iter().enumerate().map(|(at, name)| match used.get(base(name)) {
        Some(1) => base(name).to_string(),
        _ => format!("{}{MARK}{at}", base(name)),
    });
    let settled: Vec<String> = settled.collect();
    if settled.iter().eq(plan.schema().fields().iter().map(|field| field.name())) {
        return Ok(plan);
    }
    let columns: Vec<LogicalExpr> = plan
        .schema()
        .iter()
        .zip(settled)
        .map(|((qualifier, field), name)| {
            let column = LogicalExpr::Column(Column::from((qualifier, field)));
            if *field.name() == name { column } else { column.alias_qualified(qualifier.cloned(), name) }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn base(name: &str) -> &str {
    name.split(MARK).next().unwrap_or_default()
}

/// The names of a plan's columns, without the numbers that DataFusion gives to those of one name.
fn given(plan: &LogicalPlan) -> Vec<String> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => given(&alias.input),
        LogicalPlan::Sort(sort) => given(&sort.input),
        LogicalPlan::Limit(limit) => given(&limit.input),
        LogicalPlan::Distinct(LogicalDistinct::All(input)) => given(input),
        LogicalPlan::Union(union) => union.inputs.first().map(|input| given(input)).unwrap_or_default(),
        LogicalPlan::Projection(projection) => numbered(projection),
        other => other.schema().fields().iter().map(|field| field.name().clone()).collect(),
    }
}

/// Of a projection; one that only tells columns of one name apart has `name`, `name:1`, `name:2`.
fn numbered(projection: &Projection) -> Vec<String> {
    let plain = projection.expr.iter().all(|expr| match expr {
        LogicalExpr::Column(_) => true,
        LogicalExpr::Alias(alias) => matches!(alias.expr.as_ref(), LogicalExpr::Column(column) if is_numbered(&alias.name, &column.name)),
        _ => false,
    });
    let name = |(expr, field): (&LogicalExpr, &Arc<Field>)| match expr {
        LogicalExpr::Alias(alias) => match alias.expr.as_ref() {
            LogicalExpr::Column(column) if column.name.contains(MARK) && alias.name.starts_with(base(&column.name)) => column.name.clone(),
            _ if !plain => field.name().clone(),
            LogicalExpr::Column(column) => column.name.clone(),
            _ => field.name().clone(),
        },
        LogicalExpr::OuterReferenceColumn(_, column) => column.name.clone(),
        _ => field.name().clone(),
    };
    projection.expr.iter().zip(projection.schema.fields()).map(name).collect()
}

fn is_numbered(name: &str, of: &str) -> bool {
    name.strip_prefix(of).and_then(|rest| rest.strip_prefix(':')).is_some_and(|number| number.parse::<usize>().is_ok())
}
