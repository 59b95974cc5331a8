//! Names of output columns as PostgreSQL gives them, and duplicates among them.
//!
//! DataFusion wants the columns of a projection to be distinct: later ones of a name get a mark, which the topmost projection takes off.

use super::ast::last_name;
use super::casts;
use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr as LogicalExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, TrimWhereField, Value};
use std::collections::HashMap;

/// Separates a name from its number; no identifier holds it.
const MARK: char = '\u{1}';

/// Gives every item of a select list its name.
pub(super) fn assign(select: &mut Select) {
    let mut used: HashMap<String, usize> = HashMap::new();
    for item in &mut select.projection {
        let (name, plain) = match item {
            SelectItem::UnnamedExpr(expr) => {
                (column_name(expr).unwrap_or_else(|| "?column?".into()), matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
            }
            SelectItem::ExprWithAlias { alias, .. } => (normal(alias), true),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => continue,
        };
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        let unique = if *count == 1 { name } else { format!("{name}{MARK}{count}") };
        if plain && *count == 1 {
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

/// A name as PostgreSQL folds it.
pub(super) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name of an unnamed expression, where it has one.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(normal(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        Expr::Nested(inner) => column_name(inner),
        Expr::Collate { expr, .. } => column_name(expr),
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(_) => Some("array".into()),
            _ => last_name(&function.name),
        },
        Expr::Cast { expr, data_type, .. } => strong_name(expr).or_else(|| Some(casts::column_name(data_type))),
        Expr::TypedString(typed) => Some(casts::column_name(&typed.data_type)),
        Expr::Interval(_) => Some("interval".into()),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strong_name).or_else(|| Some("case".into())),
        Expr::Exists { .. } => Some("exists".into()),
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
        Expr::Cast { expr, .. } => strong_name(expr),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strong_name),
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

/// Takes the marks off the output columns. Columns of the same name differ by a qualifier, which the output does not show.
pub(super) fn restore(plan: LogicalPlan) -> Result<LogicalPlan> {
    let marked = plan.schema().fields().iter().any(|field| field.name().contains(MARK));
    if !marked || matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(plan);
    }
    let columns: Vec<LogicalExpr> = plan
        .schema()
        .iter()
        .enumerate()
        .map(|(at, (qualifier, field))| {
            let name = field.name().split(MARK).next().unwrap_or_default().to_string();
            let column = LogicalExpr::Column(Column::from((qualifier, field)));
            LogicalExpr::Alias(Alias::new(column, Some(TableReference::bare(format!("column{}", at + 1))), name))
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
