//! `op ANY (…)`, `op ALL (…)`, `[I]LIKE ANY (…)` and `ARRAY(SELECT …)` in terms DataFusion has.

use super::ast::{binary, call, last_name, literal, negate, text};
use super::postgresql::PostgreSql;
use crate::functions::arrays::{Op, quantified_name};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, LimitClause, OrderByExpr, OrderByKind,
    Query, Select, SelectItem, SetExpr, Statement, Subscript, TableFactor, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::parser::Parser;

/// Rewrites a quantified comparison.
pub(super) fn comparison(left: Expr, op: &BinaryOperator, right: Expr, all: bool) -> Option<Expr> {
    if let Expr::Subquery(query) = unnested(&right) {
        return match (op, all) {
            (BinaryOperator::Eq, false) => Some(Expr::InSubquery { expr: Box::new(left), subquery: query.clone(), negated: false }),
            (BinaryOperator::NotEq, true) => Some(Expr::InSubquery { expr: Box::new(left), subquery: query.clone(), negated: true }),
            _ => Some(call(&quantified_name(comparison_op(op)?, all), vec![left, array_of(query)?])),
        };
    }
    if let Some(like) = like_op(op) {
        return likes(&left, &right, like, None, all);
    }
    match (elements(&right), comparison_op(op)) {
        (Some(list), Some(Op::Eq)) if !all && !list.is_empty() => Some(Expr::InList { expr: Box::new(left), list, negated: false }),
        (_, Some(op)) => Some(call(&quantified_name(op, all), vec![left, right])),
        (Some(list), None) => chain(list.into_iter().map(|item| binary(left.clone(), op.clone(), item)), all),
        (None, None) => None,
    }
}

/// Rewrites `x [not] [i]like any (…)`.
pub(super) fn like_any(expr: &Expr, pattern: &Expr, negated: bool, insensitive: bool, escape: Option<&ValueWithSpan>) -> Option<Expr> {
    // `NOT LIKE ANY` is true if one pattern does not fit.
    likes(expr, pattern, Like { insensitive, negated }, escape, false)
}

#[derive(Debug, Clone, Copy)]
struct Like {
    insensitive: bool,
    negated: bool,
}

fn like_op(op: &BinaryOperator) -> Option<Like> {
    Some(match op {
        BinaryOperator::PGLikeMatch => Like { insensitive: false, negated: false },
        BinaryOperator::PGILikeMatch => Like { insensitive: true, negated: false },
        BinaryOperator::PGNotLikeMatch => Like { insensitive: false, negated: true },
        BinaryOperator::PGNotILikeMatch => Like { insensitive: true, negated: true },
        _ => return None,
    })
}

fn likes(left: &Expr, right: &Expr, like: Like, escape: Option<&ValueWithSpan>, all: bool) -> Option<Expr> {
    let one = |pattern: Expr| {
        let (expr, pattern, escape_char) = (Box::new(left.clone()), Box::new(pattern), escape.cloned());
        if like.insensitive {
            Expr::ILike { negated: like.negated, any: false, expr, pattern, escape_char }
        } else {
            Expr::Like { negated: like.negated, any: false, expr, pattern, escape_char }
        }
    };
    if let Some(list) = elements(right) {
        return chain(list.into_iter().map(one), all);
    }
    // Not like any = not (like all), and the other way round.
    let function = if all == like.negated { "like_any" } else { "like_all" };
    let array = match unnested(right) {
        Expr::Subquery(query) => array_of(query)?,
        _ => right.clone(),
    };
    let flags = if like.insensitive { "i" } else { "" };
    Some(negate(call(function, vec![left.clone(), array, text(flags)]), like.negated))
}

fn comparison_op(op: &BinaryOperator) -> Option<Op> {
    Some(match op {
        BinaryOperator::Eq => Op::Eq,
        BinaryOperator::NotEq => Op::NotEq,
        BinaryOperator::Lt => Op::Lt,
        BinaryOperator::LtEq => Op::LtEq,
        BinaryOperator::Gt => Op::Gt,
        BinaryOperator::GtEq => Op::GtEq,
        _ => return None,
    })
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// The elements of an array written out.
fn elements(expr: &Expr) -> Option<Vec<Expr>> {
    match unnested(expr) {
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Tuple(items) => Some(items.clone()),
        _ => None,
    }
}

/// All of them joined by AND, or by OR.
pub(super) fn chain(items: impl Iterator<Item = Expr>, all: bool) -> Option<Expr> {
    let op = if all { BinaryOperator::And } else { BinaryOperator::Or };
    let mut row: Vec<Expr> = items.collect();
    // Two by two: a tree that is not deeper than it must be.
    while row.len() > 1 {
        let mut rest = row.into_iter();
        row = Vec::new();
        while let Some(left) = rest.next() {
            row.push(match rest.next() {
                Some(right) => binary(left, op.clone(), right),
                None => left,
            });
        }
    }
    let joined = row.pop();
    Some(Expr::Nested(Box::new(joined.unwrap_or(Expr::Value(Value::Boolean(all).with_empty_span())))))
}

/// A query from a constant text, to be filled in.
pub(super) fn template(sql: &str) -> Option<Query> {
    match Parser::parse_sql(&PostgreSql, sql).ok()?.pop()? {
        Statement::Query(query) => Some(*query),
        _ => None,
    }
}

/// `ARRAY(query)`: the values of its one column; no rows give an empty array.
pub(super) fn array_of(query: &Query) -> Option<Expr> {
    if let Some(list) = bare_list(query) {
        return Some(call("array_or_empty", vec![list]));
    }
    let aggregated = match ordered(query) {
        Some(query) => query,
        None => {
            let mut outer = template("select array_agg(__v) from (select 1) as __q(__v)")?;
            let select = select_of(&mut outer)?;
            match &mut select.from.first_mut()?.relation {
                TableFactor::Derived { subquery, .. } => **subquery = query.clone(),
                _ => return None,
            }
            outer
        }
    };
    Some(call("array_or_empty", vec![Expr::Subquery(Box::new(aggregated))]))
}

/// `x = any(array(select … from table …))` becomes IN, whose values reach the calls behind the table of `x`.
pub(super) fn member_of_query(expr: &mut Expr) {
    let Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } = &*expr else { return };
    let Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. }) = unnested(right) else { return };
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let of_table = select.from.iter().any(|from| matches!(from.relation, TableFactor::Table { args: None, .. }));
    if of_table && last_name(name).is_some_and(|name| name == "array") {
        *expr = Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated: false };
    }
}

pub(super) fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// `select srf(x)`, which the pre-pass has made `unnest(list(x))`: the list itself.
fn bare_list(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain = query.with.is_none() && query.limit_clause.is_none() && query.order_by.is_none() && query.fetch.is_none();
    if !plain || !select.from.is_empty() || select.selection.is_some() || select.distinct.is_some() {
        return None;
    }
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => argument_of(expr, "unnest"),
        _ => None,
    }
}

fn argument_of(expr: &Expr, name: &str) -> Option<Expr> {
    let Expr::Function(function) = expr else { return None };
    let called = super::ast::last_name(&function.name)?;
    let args = super::ast::positional(&function.args)?;
    match args.as_slice() {
        [arg] if called == name => Some(arg.clone()),
        [arg] if called == "jsonb_tag" || called == "json_tag" => argument_of(arg, name),
        _ => None,
    }
}

/// The order of the query moves into the aggregate, which alone keeps it: `select array_agg(__v order by __k0) from (select x __v, y __k0 from …)`.
fn ordered(query: &Query) -> Option<Query> {
    let mut query = query.clone();
    let limited =
        matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit: Some(_), .. }) | Some(LimitClause::OffsetCommaLimit { .. }));
    if limited || query.fetch.is_some() {
        return None;
    }
    let mut order: Vec<OrderByExpr> = match query.order_by.take()?.kind {
        OrderByKind::Expressions(order) => order,
        OrderByKind::All(_) => return None,
    };
    let select = select_of(&mut query)?;
    if select.distinct.is_some() {
        return None;
    }
    let (value, alias) = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => (expr.clone(), None),
        [SelectItem::ExprWithAlias { expr, alias }] => (expr.clone(), Some(alias.clone())),
        _ => return None,
    };
    let named = |expr: Expr, name: &str| SelectItem::ExprWithAlias { expr, alias: Ident::new(name) };
    select.projection = vec![named(value, "__v")];
    for (at, by) in order.iter_mut().enumerate() {
        let own = match &by.expr {
            Expr::Value(value) => matches!(&value.value, Value::Number(position, _) if position == "1"),
            Expr::Identifier(ident) => alias.as_ref().is_some_and(|alias| alias.value == ident.value),
            _ => false,
        };
        let name = if own { "__v".to_owned() } else { format!("__k{at}") };
        let key = std::mem::replace(&mut by.expr, Expr::Identifier(Ident::new(&name)));
        if !own {
            select.projection.push(named(key, &name));
        }
    }
    let mut outer = template("select array_agg(__v) from (select 1) as __q")?;
    let select = select_of(&mut outer)?;
    if let [SelectItem::UnnamedExpr(Expr::Function(Function { args: FunctionArguments::List(list), .. }))] =
        select.projection.as_mut_slice()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    match &mut select.from.first_mut()?.relation {
        TableFactor::Derived { subquery, .. } => **subquery = query,
        _ => return None,
    }
    Some(outer)
}

/// `a[l:u]`, whose bounds may be missing.
pub(super) fn sliced(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let [AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None })] = chain else { return None };
    let bound = |bound: &Option<Expr>, missing: &str| bound.clone().unwrap_or_else(|| literal(Value::Number(missing.into(), false)));
    Some(call("array [:]", vec![root.clone(), bound(lower_bound, "1"), bound(upper_bound, "2147483647")]))
}
