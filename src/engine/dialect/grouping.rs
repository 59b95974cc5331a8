//! GROUP BY, HAVING and WINDOW in the AST, where DataFusion knows less than PostgreSQL.

use super::ast::{binary, call, literal};
use super::{names::normal, rows};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, GroupByExpr, Ident, NamedWindowDefinition, NamedWindowExpr, Select, SelectItem, UnaryOperator, Value,
    WindowSpec, WindowType,
};

/// Rewrites one SELECT, before its expressions are visited.
pub(super) fn rewrite(select: &mut Select) {
    if let Some(condition) = &mut select.selection {
        rows::filters(condition);
    }
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return };
    for group in groups.iter_mut() {
        if let Expr::Identifier(alias) = group
            && let Some(at) = select.projection.iter().position(|item| is_number(item, alias))
        {
            // A number in the name's place would be a position.
            *group = literal(Value::Number((at + 1).to_string(), false));
        }
    }
    let empty = !groups.is_empty() && groups.iter().all(|group| matches!(group, Expr::Tuple(fields) if fields.is_empty()));
    if empty {
        groups.clear();
    }
    if groups.is_empty() && (empty || select.having.is_some()) {
        // One group of all rows, even if nothing is aggregated.
        let number = |digits: &str| literal(Value::Number(digits.into(), false));
        let always = binary(call("count", vec![number("1")]), BinaryOperator::GtEq, number("0"));
        select.having = Some(match select.having.take() {
            Some(having) => binary(always, BinaryOperator::And, Expr::Nested(Box::new(having))),
            None => always,
        });
    }
}

/// Is an item of the select list a number of this name?
fn is_number(item: &SelectItem, name: &Ident) -> bool {
    fn number(expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => number(inner),
            Expr::Value(value) => matches!(value.value, Value::Number(..)),
            _ => false,
        }
    }
    matches!(item, SelectItem::ExprWithAlias { expr, alias } if normal(alias) == normal(name) && number(expr))
}

/// `over (w …)`: what the window of that name says, and what is added to it.
pub(super) fn window(function: &mut Function, windows: &[NamedWindowDefinition]) {
    let Some(WindowType::WindowSpec(spec)) = &mut function.over else { return };
    let Some(named) = spec.window_name.take() else { return };
    match defined(&named.value, windows, 0) {
        Some(known) => merge(spec, known),
        None => spec.window_name = Some(named),
    }
}

fn defined(name: &str, windows: &[NamedWindowDefinition], depth: usize) -> Option<WindowSpec> {
    let NamedWindowDefinition(_, definition) = windows.iter().find(|window| normal(&window.0).eq_ignore_ascii_case(name))?;
    match definition {
        // A window may be named after another one; a circle is refused as unknown.
        NamedWindowExpr::NamedWindow(other) if depth < windows.len() => defined(&other.value, windows, depth + 1),
        NamedWindowExpr::NamedWindow(_) => None,
        NamedWindowExpr::WindowSpec(spec) => {
            let mut spec = spec.clone();
            if let Some(other) = spec.window_name.take().filter(|_| depth < windows.len()) {
                merge(&mut spec, defined(&other.value, windows, depth + 1)?);
            }
            Some(spec)
        }
    }
}

fn merge(spec: &mut WindowSpec, known: WindowSpec) {
    if spec.partition_by.is_empty() {
        spec.partition_by = known.partition_by;
    }
    if spec.order_by.is_empty() {
        spec.order_by = known.order_by;
    }
    if spec.window_frame.is_none() {
        spec.window_frame = known.window_frame;
    }
}
