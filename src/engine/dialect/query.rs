//! Query-level rewrites of the pre-pass: VALUES of one type a column, ORDER BY of selected expressions, FETCH FIRST.

use super::ast::{last_name, literal, string_of};
use super::names;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, ExactNumberInfo, Expr, Fetch, FunctionArguments, LimitClause, OrderByKind, Query, Select,
    SelectItem, SetExpr, TimezoneInfo, UnaryOperator, Value, Values, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites one query, before its parts are visited.
pub(super) fn rewrite(query: &mut Query) {
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        // DataFusion plans a CTE where it is used, whichever is asked for.
        cte.materialized = None;
    }
    body(&mut query.body);
    fetch(query);
    unify(query);
    if let (SetExpr::Select(select), Some(order)) = (query.body.as_mut(), &mut query.order_by)
        && let OrderByKind::Expressions(order) = &mut order.kind
    {
        for by in order.iter_mut() {
            if let Some(position) = selected(select, &by.expr) {
                by.expr = literal(Value::Number(position.to_string(), false));
            }
        }
        names::order(select, order);
    }
}

/// The same subquery written twice: DataFusion tells them apart by their places, and does not find it in GROUP BY or DISTINCT ON.
fn unify(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let mut same = Same::default();
    // It never breaks.
    let _ = select.projection.visit(&mut same);
    let _ = select.distinct.visit(&mut same);
    let _ = select.group_by.visit(&mut same);
    let _ = select.having.visit(&mut same);
    let _ = query.order_by.visit(&mut same);
}

#[derive(Default)]
struct Same {
    seen: Vec<Expr>,
    depth: usize,
}

impl VisitorMut for Same {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let subquery = match &*expr {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => true,
            Expr::Function(function) => matches!(function.args, FunctionArguments::Subquery(_)),
            _ => false,
        };
        if subquery && self.depth == 0 {
            match self.seen.iter().find(|seen| *seen == &*expr) {
                Some(seen) => *expr = seen.clone(),
                None => self.seen.push(expr.clone()),
            }
        }
        ControlFlow::Continue(())
    }
}

fn body(set: &mut SetExpr) {
    match set {
        SetExpr::Values(values) => same_types(values),
        SetExpr::SetOperation { left, right, .. } => {
            for side in [left, right] {
                body(side);
                if let SetExpr::Select(select) = side.as_mut() {
                    named(select);
                }
            }
        }
        _ => {}
    }
}

/// DataFusion finds the columns of a set operation by name: one of the query around has another until it is given its own.
fn named(select: &mut Select) {
    for item in &mut select.projection {
        let alias = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.last() {
                Some(ident) => ident.clone(),
                None => continue,
            },
            _ => continue,
        };
        if let SelectItem::UnnamedExpr(expr) = item {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// An expression of a certain type in one row of VALUES types the column: untyped literals of the other rows are cast too.
fn same_types(values: &mut Values) {
    let width = values.rows.iter().map(|row| row.content.len()).max().unwrap_or(0);
    for column in 0..width {
        let cells = || values.rows.iter().filter_map(|row| row.content.get(column));
        // Numbers of a column with a decimal are decimals, each with the digits it has.
        let decimal = || cells().any(|cell| number(cell).is_some_and(|text| !text.bytes().all(|b| b.is_ascii_digit())));
        let numeric = || decimal().then_some(DataType::Numeric(ExactNumberInfo::None));
        let typed = cells().find_map(cast_type).or_else(numeric);
        // Where there are only literals, those without a type of their own take that of the others.
        let alone = typed.is_none();
        let others = || cells().find_map(literal_type).filter(|_| cells().any(|cell| string_of(cell).is_some()));
        let Some(ty) = typed.or_else(others) else { continue };
        let wanted = |cell: &Expr| if alone { string_of(cell).is_some() } else { matches!(cell, Expr::Value(_)) || number(cell).is_some() };
        for row in &mut values.rows {
            if let Some(expr) = row.content.get_mut(column).filter(|cell| wanted(cell)) {
                let inner = std::mem::replace(expr, literal(Value::Null));
                *expr =
                    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(inner), data_type: ty.clone(), array: false, format: None };
            }
        }
    }
}

/// The digits of a literal number, without its sign.
fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } | Expr::Nested(expr) => number(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The type that an expression shows.
fn cast_type(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Cast { data_type, .. } => Some(data_type.clone()),
        Expr::TypedString(typed) => Some(typed.data_type.clone()),
        Expr::Nested(inner) => cast_type(inner),
        Expr::Function(function) => match last_name(&function.name)?.as_str() {
            "now" | "current_timestamp" => Some(DataType::Timestamp(None, TimezoneInfo::WithTimeZone)),
            "current_date" => Some(DataType::Date),
            "jsonb_build_object" | "jsonb_build_array" | "to_jsonb" => Some(DataType::JSONB),
            _ => None,
        },
        Expr::Array(array) => {
            let item = array.elem.iter().find_map(|item| string_of(item).map(|_| DataType::Text).or_else(|| literal_type(item)))?;
            Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), None)))
        }
        _ => None,
    }
}

/// The type of a literal that is no text.
fn literal_type(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => Some(DataType::Boolean),
            Value::Number(..) => Some(DataType::BigInt(None)),
            _ => None,
        },
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => literal_type(inner),
        _ => None,
    }
}

/// `FETCH FIRST n ROWS ONLY` is LIMIT n.
fn fetch(query: &mut Query) {
    let Some(Fetch { with_ties: false, percent: false, quantity }) = &query.fetch else { return };
    let rows = quantity.clone().unwrap_or_else(|| literal(Value::Number("1".into(), false)));
    let offset = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { limit: None, offset, .. }) => offset,
        None => None,
        other => {
            query.limit_clause = other;
            return;
        }
    };
    query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(rows), offset, limit_by: Vec::new() });
    query.fetch = None;
}

/// The position of an expression in a select list that has no wildcard: DISTINCT needs to be told that they are the same.
fn selected(select: &Select, expr: &Expr) -> Option<usize> {
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)) {
        return None;
    }
    for (at, item) in select.projection.iter().enumerate() {
        match item {
            SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. } if item == expr => return Some(at + 1),
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
            _ => return None,
        }
    }
    None
}
