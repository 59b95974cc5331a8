//! Rows as values: `(a, b) in (select …)`, `row(a, b) = (select …)`, and VALUES as an expression.

use super::ast::{binary, call, last_name, literal, negate, positional};
use super::quantified::{chain, select_of, template};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Parens, Query, SelectItem, SetExpr, TableAliasColumnDef, TableFactor, Value, Values,
    visit_expressions,
};
use std::ops::ControlFlow;

/// The fields of a row written out.
pub(super) fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Nested(inner) => fields(inner),
        Expr::Function(function) if last_name(&function.name).as_deref() == Some("row") => positional(&function.args),
        _ => None,
    }
}

/// `(a, b) in (query)`: true if a row is equal, NULL if one may be, false.
pub(super) fn within(fields: Vec<Expr>, query: &Query) -> Option<Expr> {
    let same = equality(&fields)?;
    let found = exists(&fields, query, same.clone())?;
    let perhaps = exists(&fields, query, Expr::IsNull(Box::new(Expr::Nested(Box::new(same)))))?;
    let when = |condition: Expr, result: Value| CaseWhen { condition, result: literal(result) };
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![when(found, Value::Boolean(true)), when(perhaps, Value::Null)],
        else_result: Some(Box::new(literal(Value::Boolean(false)))),
    })
}

/// `(a, b) in (query)` as a condition, where NULL is as good as false: a row that is equal exists.
pub(super) fn filters(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            filters(left);
            filters(right);
        }
        Expr::Nested(inner) => filters(inner),
        Expr::InSubquery { expr: inner, subquery, negated: false } => {
            let found = fields(inner).and_then(|fields| exists(&fields, subquery, equality(&fields)?));
            if let Some(found) = found {
                *expr = found;
            }
        }
        _ => {}
    }
}

/// A comparison of rows: of two written out, or of one and a query. The latter moves into the query, which gives one row or none.
pub(super) fn compared(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    if let (Some(left), Some(right)) = (fields(left), fields(right)) {
        return members(&left, op, &right);
    }
    let negated = match op {
        BinaryOperator::Eq => false,
        BinaryOperator::NotEq => true,
        _ => return None,
    };
    let (fields, query) = match (fields(left), subquery(right), fields(right), subquery(left)) {
        (Some(fields), Some(query), ..) | (_, _, Some(fields), Some(query)) => (fields, query),
        _ => return None,
    };
    let mut outer = over(&fields, query)?;
    let select = select_of(&mut outer)?;
    select.projection = vec![SelectItem::UnnamedExpr(negate(equality(&fields)?, negated))];
    Some(Expr::Subquery(Box::new(outer)))
}

/// Member by member: `(a, b) = (c, d)` is `a = c and b = d`, `(a, b) < (c, d)` is `a < c or a = c and b < d`, also where some are NULL.
fn members(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if left.len() != right.len() {
        return None;
    }
    let one = |at: usize, op: BinaryOperator| {
        let (left, right) = (nested(left[at].clone()), nested(right[at].clone()));
        match (fields(&left), fields(&right)) {
            (Some(left), Some(right)) => records(&left, &op, &right),
            _ => Some(compared(&left, &op, &right).unwrap_or_else(|| binary(left, op, right))),
        }
    };
    let strict = match op {
        Eq => return chain((0..left.len()).map(|at| one(at, Eq)).collect::<Option<Vec<_>>>()?.into_iter(), true),
        NotEq => return chain((0..left.len()).map(|at| one(at, NotEq)).collect::<Option<Vec<_>>>()?.into_iter(), false),
        Lt | LtEq => Lt,
        Gt | GtEq => Gt,
        _ => return None,
    };
    let mut all = one(left.len().checked_sub(1)?, op.clone())?;
    for at in (0..left.len() - 1).rev() {
        let same = binary(one(at, Eq)?, And, nested(all));
        all = binary(one(at, strict.clone())?, Or, nested(same));
    }
    Some(nested(all))
}

/// Rows within rows are values: NULLs in them are equal, and greater than anything else.
fn records(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let rows = |row: &[Expr]| Expr::Tuple(row.to_vec());
    match op {
        Eq | NotEq => return distinct(&rows(left), &rows(right), *op == NotEq),
        Gt => return records(right, &Lt, left),
        LtEq => return Some(negate(records(right, &Lt, left)?, true)),
        GtEq => return Some(negate(records(left, &Lt, right)?, true)),
        Lt if left.len() == right.len() => {}
        _ => return None,
    }
    let less = |at: usize| match (fields(&left[at]), fields(&right[at])) {
        (Some(left), Some(right)) => records(&left, &Lt, &right),
        _ => {
            let (left, right) = (Box::new(nested(left[at].clone())), Box::new(nested(right[at].clone())));
            let first = nested(binary(left.as_ref().clone(), Lt, right.as_ref().clone()));
            Some(call("coalesce", vec![first, nested(binary(Expr::IsNotNull(left), And, Expr::IsNull(right)))]))
        }
    };
    let mut all = less(left.len().checked_sub(1)?)?;
    for at in (0..left.len() - 1).rev() {
        let same = distinct(&rows(&left[at..=at]), &rows(&right[at..=at]), false)?;
        all = binary(less(at)?, Or, nested(binary(same, And, nested(all))));
    }
    Some(nested(all))
}

/// How many expressions `(a, b) in ((c, d), …)` may become.
const WIDEST: usize = 1_000_000;

/// `(a, b) in ((c, d), …)`.
pub(super) fn among(row: &Expr, list: &[Expr]) -> Option<Expr> {
    let mut parts = 0usize;
    let _ = visit_expressions(row, |_| {
        parts += 1;
        ControlFlow::<()>::Continue(())
    });
    // The row is there once for each of the others; one in another would be there very often.
    let row = fields(row).filter(|_| parts.saturating_mul(list.len()) <= WIDEST)?;
    let equal = list.iter().map(|other| members(&row, &BinaryOperator::Eq, &fields(other)?)).collect::<Option<Vec<_>>>()?;
    chain(equal.into_iter(), false)
}

/// `(a, b) is [not] distinct from (c, d)`.
pub(super) fn distinct(left: &Expr, right: &Expr, distinct: bool) -> Option<Expr> {
    let (left, right) = (fields(left)?, fields(right)?);
    if left.len() != right.len() {
        return None;
    }
    let one = |(left, right): (Expr, Expr)| {
        let (left, right) = (nested(left), nested(right));
        self::distinct(&left, &right, distinct).unwrap_or_else(|| {
            let (left, right) = (Box::new(left), Box::new(right));
            if distinct { Expr::IsDistinctFrom(left, right) } else { Expr::IsNotDistinctFrom(left, right) }
        })
    };
    chain(left.into_iter().zip(right).map(one), !distinct)
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn subquery(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Subquery(query) => Some(query),
        Expr::Nested(inner) => subquery(inner),
        _ => None,
    }
}

fn column(at: usize) -> Ident {
    Ident::new(format!("__c{at}"))
}

fn equality(fields: &[Expr]) -> Option<Expr> {
    let same = |(at, field): (usize, &Expr)| {
        let column = Expr::CompoundIdentifier(vec![Ident::new("__row"), column(at)]);
        binary(Expr::Nested(Box::new(field.clone())), BinaryOperator::Eq, column)
    };
    fields.iter().enumerate().map(same).reduce(|all, one| binary(all, BinaryOperator::And, one))
}

/// The query as a relation with one column a field.
fn over(fields: &[Expr], query: &Query) -> Option<Query> {
    let mut outer = template("select 1 from (select 1) as __row(__c0)")?;
    let select = select_of(&mut outer)?;
    if let TableFactor::Derived { subquery, alias: Some(alias), .. } = &mut select.from.first_mut()?.relation {
        **subquery = query.clone();
        alias.columns = (0..fields.len()).map(|at| TableAliasColumnDef { name: column(at), data_type: None }).collect();
    }
    Some(outer)
}

fn exists(fields: &[Expr], query: &Query, condition: Expr) -> Option<Expr> {
    let mut outer = over(fields, query)?;
    select_of(&mut outer)?.selection = Some(condition);
    Some(Expr::Exists { subquery: Box::new(outer), negated: false })
}

/// `(a, b) is null`, `(a, b) is not null`: so are all of its fields.
pub(super) fn of_nulls(row: &Expr, null: bool) -> Option<Expr> {
    let test = |field: Expr| {
        let field = Box::new(Expr::Nested(Box::new(field)));
        if null { Expr::IsNull(field) } else { Expr::IsNotNull(field) }
    };
    let tests = fields(row)?.into_iter().map(test).reduce(|all, one| binary(all, BinaryOperator::And, one))?;
    Some(Expr::Nested(Box::new(tests)))
}

/// `values (1), (2)` where an expression list was expected: it is parsed as a function and rows.
pub(super) fn values_of<T: std::borrow::Borrow<Expr>>(list: &[T]) -> Option<Query> {
    let (first, rest) = list.split_first()?;
    let Expr::Function(function) = first.borrow() else { return None };
    if last_name(&function.name).as_deref() != Some("values") {
        return None;
    }
    let mut rows = vec![positional(&function.args)?];
    for row in rest {
        rows.push(match row.borrow() {
            Expr::Tuple(fields) => fields.clone(),
            Expr::Nested(field) => vec![field.as_ref().clone()],
            _ => return None,
        });
    }
    let mut query = template("values (1)")?;
    let SetExpr::Values(Values { rows: all, .. }) = query.body.as_mut() else { return None };
    *all = rows.into_iter().map(Parens::with_empty_span).collect();
    Some(query)
}
