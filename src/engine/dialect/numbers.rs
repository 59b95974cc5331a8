//! Operators of numbers: which type two meet at, and the function that computes as PostgreSQL does.

use super::operators::{binary, call, operator, typed};
use super::types::PgType;
use crate::functions::cast::Target;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;

/// An operator of two numbers, or of one and an untyped literal.
pub(super) fn plan(expr: &RawBinaryExpr, types: &(PgType, PgType), schema: &DFSchema) -> Result<Option<Expr>> {
    use Op::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, PGBitwiseShiftLeft, PGBitwiseShiftRight, PGExp, Plus};
    let known = matches!(
        expr.op,
        Plus | Minus | Multiply | Divide | Modulo | PGExp | PGBitwiseShiftLeft | PGBitwiseShiftRight | Eq | NotEq | Lt | LtEq | Gt | GtEq
    );
    if !known {
        return Ok(None);
    }
    let fits = |ty: &PgType| ty.is_number() || *ty == PgType::Unknown;
    if !fits(&types.0) || !fits(&types.1) || !(types.0.is_number() || types.1.is_number()) {
        return Ok(None);
    }
    let common = match types {
        (PgType::Float, _) | (_, PgType::Float) => PgType::Float,
        (PgType::Numeric, _) | (_, PgType::Numeric) => PgType::Numeric,
        _ => PgType::Int,
    };
    let side = |expr: &Expr, ty: &PgType| -> Result<Expr> {
        if *ty == PgType::Unknown { typed(expr.clone(), &common) } else { Ok(as_type(expr.clone(), ty, &common)) }
    };
    let (left, right) = (side(&expr.left, &types.0)?, side(&expr.right, &types.1)?);
    Ok(match &expr.op {
        PGExp => Some(call("power", vec![left, right])?),
        PGBitwiseShiftLeft => Some(call("bit <<", vec![left, right])?),
        PGBitwiseShiftRight => Some(call("bit >>", vec![left, right])?),
        Plus | Minus | Multiply | Divide | Modulo => Some(arithmetic(&expr.op, left, right, &common, schema)?),
        op => {
            let Some(op) = operator(op) else { return Ok(None) };
            Some(if common == PgType::Numeric { compare(left, op, right)? } else { binary(left, op, right) })
        }
    })
}

/// A number as one of a wider type.
pub(super) fn as_type(expr: Expr, ty: &PgType, wanted: &PgType) -> Expr {
    match (ty, wanted) {
        (PgType::Numeric, PgType::Float) => Target::Float8.call(expr, false),
        (PgType::Int, PgType::Numeric) => Target::Numeric.call(expr, false),
        _ => expr,
    }
}

/// A comparison of numerics: equal ones have equal keys, which joins and sets can use.
pub(super) fn compare(left: Expr, op: Operator, right: Expr) -> Result<Expr> {
    let key = |expr: Expr| call("numeric equal key", vec![expr]);
    Ok(match op {
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => binary(key(left)?, op, key(right)?),
        _ => binary(call("numeric compare", vec![left, right])?, op, lit(0i64)),
    })
}

fn arithmetic(op: &Op, left: Expr, right: Expr, common: &PgType, schema: &DFSchema) -> Result<Expr> {
    let sign = op.to_string();
    match common {
        PgType::Numeric => call(&format!("numeric {sign}"), vec![left, right]),
        // Sums of doubles stay with DataFusion: they hardly ever overflow.
        PgType::Float if matches!(op, Op::Plus | Op::Minus | Op::Modulo) => Ok(match operator(op) {
            Some(op) => binary(left, op, right),
            None => call(&format!("checked {sign}"), vec![left, right])?,
        }),
        PgType::Float => call(&format!("checked {sign}"), vec![left, right]),
        _ => {
            let (left, right) = small(left, right, schema);
            // Computed at once, so that long sums of literals are not looked through again and again.
            match (&left, &right) {
                (Expr::Literal(ScalarValue::Int32(Some(a)), None), Expr::Literal(ScalarValue::Int32(Some(b)), None)) => {
                    match folded(op, *a, *b) {
                        Some(value) => Ok(Expr::Literal(ScalarValue::Int32(Some(value)), None)),
                        None => call(&format!("checked {sign}"), vec![left, right]),
                    }
                }
                _ => call(&format!("checked {sign}"), vec![left, right]),
            }
        }
    }
}

/// Nothing where it fails: then it fails when it is asked for.
fn folded(op: &Op, a: i32, b: i32) -> Option<i32> {
    match op {
        Op::Plus => a.checked_add(b),
        Op::Minus => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    }
}

/// An integer literal is `integer` beside another one or a column that is no wider.
fn small(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), None) => i32::try_from(*value).ok(),
        Expr::Literal(ScalarValue::Int32(Some(value)), None) => Some(*value),
        _ => None,
    };
    let narrow = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Int32 | DataType::Int16));
    let as_int = |value: i32| Expr::Literal(ScalarValue::Int32(Some(value)), None);
    match (literal(&left), literal(&right)) {
        (Some(a), Some(b)) => (as_int(a), as_int(b)),
        (Some(a), None) if narrow(&right) => (as_int(a), right),
        (None, Some(b)) if narrow(&left) => (left, as_int(b)),
        _ => (left, right),
    }
}
