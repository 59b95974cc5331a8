//! Operators, planned by the types of their operands: jsonb, dates and intervals, `||`, regular expressions, untyped literals.

use super::counted_rows;
use super::numbers;
use super::types::{PgType, of_expr};
use crate::functions;
use crate::functions::cast::{Target, scalar};
use crate::functions::jsonb_equal::has_numbers;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{Like, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, GetFieldAccess, Operator, lit, not};
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;

/// PostgreSQL's operators.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let types = (of_expr(&expr.left, schema), of_expr(&expr.right, schema));
        let planned = match numbers::plan(&expr, &types, schema)? {
            Some(planned) => Some(planned),
            None => plan(&expr, &types)?,
        };
        match planned {
            Some(planned) => Ok(PlannerResult::Planned(planned)),
            None => Ok(PlannerResult::Original(expr)),
        }
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        // Arrays in arrays have been looked at already; their types cost more the deeper they are.
        if exprs.iter().any(|expr| matches!(expr, Expr::ScalarFunction(call) if call.func.name() == "make_array")) {
            return Ok(PlannerResult::Original(exprs));
        }
        let types: Vec<PgType> = exprs.iter().map(|expr| of_expr(expr, schema)).collect();
        if !types.contains(&PgType::Numeric) || !types.iter().all(|ty| ty.is_number() || *ty == PgType::Unknown) {
            return Ok(PlannerResult::Original(exprs));
        }
        let common = if types.contains(&PgType::Float) { PgType::Float } else { PgType::Numeric };
        Ok(PlannerResult::Original(exprs.into_iter().zip(&types).map(|(expr, ty)| numbers::as_type(expr, ty, &common)).collect()))
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        counted_rows::mark(expr).map(PlannerResult::Original)
    }

    fn plan_field_access(&self, expr: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        match (of_expr(&expr.expr, schema), &expr.field_access) {
            (PgType::Jsonb, _) => {}
            (PgType::List(item), GetFieldAccess::ListIndex { key }) => {
                let element = call("array []", vec![expr.expr, key.as_ref().clone()])?;
                let element = if *item == PgType::Jsonb { call("jsonb_tag", vec![element])? } else { element };
                return Ok(PlannerResult::Planned(element));
            }
            _ => return Ok(PlannerResult::Original(expr)),
        }
        match expr.field_access {
            GetFieldAccess::NamedStructField { name } => {
                Ok(PlannerResult::Planned(call("jsonb_get_element", vec![expr.expr, Expr::Literal(name, None)])?))
            }
            GetFieldAccess::ListIndex { key } => Ok(PlannerResult::Planned(call("jsonb_get_element", vec![expr.expr, *key])?)),
            GetFieldAccess::ListRange { .. } => Err(DataFusionError::Plan("jsonb subscript does not support slices".into())),
        }
    }
}

/// A call of a function of ours.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
    match functions::get(name) {
        Some(func) => Ok(Expr::ScalarFunction(ScalarFunction { func, args })),
        None => Err(DataFusionError::Internal(format!("no function {name}"))),
    }
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn plan(expr: &RawBinaryExpr, types: &(PgType, PgType)) -> Result<Option<Expr>> {
    let (left, right) = (|| expr.left.clone(), || expr.right.clone());
    let both = || vec![expr.left.clone(), expr.right.clone()];
    let lists = matches!(types.0, PgType::List(_)) || matches!(types.1, PgType::List(_));
    if types.0.is_address() || types.1.is_address() {
        return address(expr, types);
    }
    Ok(Some(match &expr.op {
        Op::Arrow => call("jsonb_get", both())?,
        Op::LongArrow => call("jsonb_get_text", both())?,
        Op::HashArrow => call("jsonb_get_path", both())?,
        Op::HashLongArrow => call("jsonb_get_path_text", both())?,
        Op::HashMinus => call("jsonb_delete_path", both())?,
        Op::Question => call("jsonb_exists", both())?,
        Op::QuestionPipe => call("jsonb_exists_any", both())?,
        Op::QuestionAnd => call("jsonb_exists_all", both())?,
        Op::AtArrow if !lists => call("jsonb_contains", both())?,
        Op::ArrowAt if !lists => call("jsonb_contains", vec![right(), left()])?,
        Op::PGOverlap if lists => call("array &&", vec![typed_list(left(), types, 0)?, typed_list(right(), types, 1)?])?,
        Op::AtArrow => call("array @>", vec![typed_list(left(), types, 0)?, typed_list(right(), types, 1)?])?,
        Op::ArrowAt => call("array @>", vec![typed_list(right(), types, 1)?, typed_list(left(), types, 0)?])?,
        Op::AtQuestion => call("jsonb_path_exists_opr", vec![left(), jsonpath(right(), &types.1)?])?,
        Op::AtAt => call("jsonb_path_match_opr", vec![left(), jsonpath(right(), &types.1)?])?,
        Op::PGRegexMatch => call("regex_is_match", both())?,
        Op::PGRegexIMatch => call("regex_is_match", vec![left(), right(), lit("i")])?,
        Op::PGRegexNotMatch => not(call("regex_is_match", both())?),
        Op::PGRegexNotIMatch => not(call("regex_is_match", vec![left(), right(), lit("i")])?),
        Op::PGLikeMatch => like(left(), right(), false, false),
        Op::PGILikeMatch => like(left(), right(), false, true),
        Op::PGNotLikeMatch => like(left(), right(), true, false),
        Op::PGNotILikeMatch => like(left(), right(), true, true),
        Op::PGStartsWith => call("text ^@", both())?,
        Op::StringConcat => return concat(expr, types),
        Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => return arithmetic(expr, types),
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => return compare(expr, types),
        Op::And | Op::Or => {
            let bool_of = |expr: Expr, ty: &PgType| if *ty == PgType::Unknown { typed(expr, &PgType::Bool) } else { Ok(expr) };
            if types.0 != PgType::Unknown && types.1 != PgType::Unknown {
                return Ok(None);
            }
            let op = if expr.op == Op::And { Operator::And } else { Operator::Or };
            binary(bool_of(left(), &types.0)?, op, bool_of(right(), &types.1)?)
        }
        _ => return Ok(None),
    }))
}

/// Operators of inet and cidr.
fn address(expr: &RawBinaryExpr, types: &(PgType, PgType)) -> Result<Option<Expr>> {
    let fits = |ty: &PgType| ty.is_address() || *ty == PgType::Unknown;
    let inet = PgType::Tagged("inet".into());
    let (left, right) = (|| expr.left.clone(), || expr.right.clone());
    let name = match (&expr.op, &types.1) {
        (Op::StringConcat, _) => return concat(expr, types),
        (Op::Plus, PgType::Int) => return call("inet +", vec![left(), right()]).map(Some),
        (Op::Minus, PgType::Int) => return call("inet -", vec![left(), right()]).map(Some),
        (Op::Plus, _) if types.0 == PgType::Int => return call("inet +", vec![right(), left()]).map(Some),
        _ if !fits(&types.0) || !fits(&types.1) => return missing(types, &expr.op),
        (Op::Minus, _) => "inet distance",
        (Op::BitwiseAnd, _) => "inet &",
        (Op::BitwiseOr, _) => "inet |",
        (Op::PGBitwiseShiftLeft, _) => "inet <<",
        (Op::PGBitwiseShiftRight, _) => return call("inet <<", vec![right(), left()]).map(Some),
        (Op::PGOverlap, _) => "inet &&",
        (Op::Custom(op), _) if op == "<<=" => "inet <<=",
        (Op::Custom(op), _) if op == ">>=" => return call("inet <<=", vec![right(), left()]).map(Some),
        _ => {
            let Some(op) = operator(&expr.op) else { return missing(types, &expr.op) };
            let kind = if types.0 == PgType::Unknown { &types.1 } else { &types.0 };
            let of = |expr: Expr, ty: &PgType| if *ty == PgType::Unknown { typed(expr, kind) } else { Ok(expr) };
            let (left, right) = (of(left(), &types.0)?, of(right(), &types.1)?);
            // Texts of one type are equal if the addresses are; scans can push that down.
            let mixed = types.0 != types.1 && types.0 != PgType::Unknown && types.1 != PgType::Unknown;
            if matches!(op, Operator::Eq | Operator::NotEq) && !mixed {
                return Ok(Some(binary(left, op, right)));
            }
            return Ok(Some(binary(call("inet key", vec![left])?, op, call("inet key", vec![right])?)));
        }
    };
    let of = |expr: Expr, ty: &PgType| if *ty == PgType::Unknown { typed(expr, &inet) } else { Ok(expr) };
    call(name, vec![of(left(), &types.0)?, of(right(), &types.1)?]).map(Some)
}

fn like(expr: Expr, pattern: Expr, negated: bool, insensitive: bool) -> Expr {
    Expr::Like(Like::new(negated, Box::new(expr), Box::new(pattern), None, insensitive))
}

/// An untyped literal as a literal of a type.
pub(super) fn typed(expr: Expr, ty: &PgType) -> Result<Expr> {
    let Some((target, array)) = ty.target() else { return Ok(expr) };
    match &expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) if !array => {
            let value = match target {
                Target::Numeric => return Ok(target.call(expr, false)),
                // A bigint column may meet a literal with a point only as numeric.
                _ => {
                    scalar(target, text).map_err(|error| DataFusionError::Plan(error.strip_backtrace().replace("Execution error: ", "")))?
                }
            };
            let metadata = target.field("").metadata().clone();
            let metadata = (!metadata.is_empty()).then(|| datafusion::logical_expr::expr::FieldMetadata::from(metadata));
            Ok(Expr::Literal(value, metadata))
        }
        Expr::Literal(ScalarValue::Utf8(_), _) => Ok(target.call(expr, array)),
        _ => Ok(expr),
    }
}

/// An untyped literal beside an array is an array.
fn typed_list(expr: Expr, types: &(PgType, PgType), side: usize) -> Result<Expr> {
    match (side, types) {
        (0, (PgType::Unknown, other)) | (1, (other, PgType::Unknown)) => typed(expr, other),
        _ => Ok(expr),
    }
}

/// jsonb from whatever it is; text without a tag is parsed.
pub(super) fn jsonb(expr: Expr, ty: &PgType) -> Result<Expr> {
    match ty {
        PgType::Jsonb => Ok(expr),
        PgType::Unknown => typed(expr, &PgType::Jsonb),
        _ => Ok(Target::Jsonb.call(expr, false)),
    }
}

/// A document in the form that decides whether it equals another.
pub(super) fn compared(expr: Expr) -> Result<Expr> {
    call("jsonb_normal", vec![expr])
}

/// `=` or `<>` of documents. Without numbers only the same text is equal.
fn equal(left: Expr, op: Operator, right: Expr) -> Result<Expr> {
    let plain = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if !has_numbers(text));
    if plain(&left) || plain(&right) { Ok(binary(left, op, right)) } else { Ok(binary(compared(left)?, op, compared(right)?)) }
}

/// A literal path is checked at planning.
fn jsonpath(expr: Expr, ty: &PgType) -> Result<Expr> {
    if *ty == PgType::Unknown { typed(expr, &PgType::Tagged("jsonpath".into())) } else { Ok(expr) }
}

fn text(expr: Expr, ty: &PgType) -> Expr {
    match ty {
        PgType::Text => expr,
        PgType::Unknown if !super::relation::is_null(&expr) => expr,
        _ => Target::Text.call(expr, false),
    }
}

fn concat(expr: &RawBinaryExpr, types: &(PgType, PgType)) -> Result<Option<Expr>> {
    let (left, right) = (expr.left.clone(), expr.right.clone());
    Ok(match types {
        (PgType::Jsonb, PgType::Jsonb | PgType::Unknown) | (PgType::Unknown, PgType::Jsonb) => {
            Some(call("jsonb_concat", vec![jsonb(left, &types.0)?, jsonb(right, &types.1)?])?)
        }
        (PgType::List(_), PgType::List(_) | PgType::Unknown) | (PgType::Unknown, PgType::List(_)) => {
            Some(call("array_cat", vec![typed_list(left, types, 0)?, typed_list(right, types, 1)?])?)
        }
        (PgType::List(_), _) => Some(call("array_append", vec![left, right])?),
        (_, PgType::List(_)) => Some(call("array_prepend", vec![left, right])?),
        (PgType::Bytes, PgType::Bytes | PgType::Unknown) | (PgType::Unknown, PgType::Bytes) => Some(call("bytes ||", vec![left, right])?),
        _ => Some(binary(text(left, &types.0), Operator::StringConcat, text(right, &types.1))),
    })
}

pub(super) fn operator(op: &Op) -> Option<Operator> {
    Some(match op {
        Op::Eq => Operator::Eq,
        Op::NotEq => Operator::NotEq,
        Op::Lt => Operator::Lt,
        Op::LtEq => Operator::LtEq,
        Op::Gt => Operator::Gt,
        Op::GtEq => Operator::GtEq,
        Op::Plus => Operator::Plus,
        Op::Minus => Operator::Minus,
        Op::Multiply => Operator::Multiply,
        Op::Divide => Operator::Divide,
        Op::Modulo => Operator::Modulo,
        _ => return None,
    })
}

fn missing<T>(types: &(PgType, PgType), op: &Op) -> Result<T> {
    Err(DataFusionError::Plan(format!(
        "operator does not exist: {} {op} {}; add a cast (::{})",
        types.0.name(),
        types.1.name(),
        if types.0 == PgType::Text { types.1.name() } else { types.0.name() }
    )))
}

fn compare(expr: &RawBinaryExpr, types: &(PgType, PgType)) -> Result<Option<Expr>> {
    let Some(op) = operator(&expr.op) else { return Ok(None) };
    let (left, right) = (expr.left.clone(), expr.right.clone());
    let equality = matches!(op, Operator::Eq | Operator::NotEq);
    Ok(Some(match types {
        (PgType::Json, _) | (_, PgType::Json) => return missing(types, &expr.op),
        (PgType::Jsonb, other) | (other, PgType::Jsonb) => {
            if !matches!(other, PgType::Jsonb | PgType::Unknown | PgType::Other) {
                return missing(types, &expr.op);
            }
            let (left, right) = (jsonb(left, &types.0)?, jsonb(right, &types.1)?);
            if equality { equal(left, op, right)? } else { binary(call("jsonb_cmp", vec![left, right])?, op, lit(0i64)) }
        }
        (PgType::Interval, PgType::Interval | PgType::Unknown) | (PgType::Unknown, PgType::Interval) => {
            let key = |expr: Expr, ty: &PgType| {
                let expr = if *ty == PgType::Unknown { typed(expr, &PgType::Interval)? } else { expr };
                call("interval_key", vec![expr])
            };
            binary(key(left, &types.0)?, op, key(right, &types.1)?)
        }
        (PgType::Unknown, PgType::Unknown) => return Ok(None),
        (PgType::List(item), PgType::List(_) | PgType::Unknown) | (PgType::Unknown, PgType::List(item))
            if !equality || matches!(item.as_ref(), PgType::Numeric | PgType::Jsonb) =>
        {
            let key = |list: Expr| if **item == PgType::Jsonb { call("jsonb_sort_keys", vec![list]) } else { Ok(list) };
            let sides = vec![key(typed_list(left, types, 0)?)?, key(typed_list(right, types, 1)?)?];
            binary(call("array compare", sides)?, op, lit(0i64))
        }
        (PgType::Unknown, ty) if ty.target().is_some() => binary(typed(left, ty)?, op, right),
        (ty, PgType::Unknown) if ty.target().is_some() => binary(left, op, typed(right, ty)?),
        (PgType::Text, other) | (other, PgType::Text)
            if other.is_number() || other.is_moment() || matches!(other, PgType::Bool | PgType::Interval) =>
        {
            return missing(types, &expr.op);
        }
        _ => return Ok(None),
    }))
}

fn arithmetic(expr: &RawBinaryExpr, types: &(PgType, PgType)) -> Result<Option<Expr>> {
    use PgType::{Date, Float, Int, Interval, Json, Jsonb, List, Numeric, Text, Time, Timestamp, Timestamptz, Unknown};
    let (left, right) = (expr.left.clone(), expr.right.clone());
    let both = || vec![expr.left.clone(), expr.right.clone()];
    let swapped = || vec![expr.right.clone(), expr.left.clone()];
    let shift = |ty: &PgType, way: &str| format!("{}_{way}_interval", if *ty == Timestamptz { "timestamptz" } else { "timestamp" });
    Ok(Some(match (&types.0, &expr.op, &types.1) {
        (Jsonb, Op::Minus, Int) => call("jsonb_delete_index", both())?,
        (Jsonb, Op::Minus, List(_)) => call("jsonb_delete_keys", both())?,
        (Jsonb, Op::Minus, Text | Unknown) => call("jsonb_delete", both())?,
        (Jsonb | Json, ..) | (_, _, Jsonb | Json) => return missing(types, &expr.op),
        (Date, Op::Minus, Date) => call("date_diff_days", both())?,
        (Date, Op::Minus, Unknown) => call("date_diff_days", vec![left, typed(right, &Date)?])?,
        (Unknown, Op::Minus, Date) => call("date_diff_days", vec![typed(left, &Date)?, right])?,
        (Date, Op::Plus, Int) => call("date_add_days", both())?,
        (Int, Op::Plus, Date) => call("date_add_days", swapped())?,
        (Date, Op::Minus, Int) => call("date_sub_days", both())?,
        (Date, Op::Plus, Time) => call("timestamp_add_interval", vec![left, Target::Interval.call(right, false)])?,
        (Time, Op::Plus, Date) => call("timestamp_add_interval", vec![right, Target::Interval.call(left, false)])?,
        (Time, Op::Plus | Op::Minus, Interval) => call(if expr.op == Op::Plus { "time + interval" } else { "time - interval" }, both())?,
        (Interval, Op::Plus, Time) => call("time + interval", swapped())?,
        (Time, Op::Minus, Time) => call("time - time", both())?,
        (Timestamp | Timestamptz | Date, Op::Minus, Timestamp | Timestamptz | Date) => call("timestamp_diff", both())?,
        (Timestamp | Timestamptz, Op::Minus, Unknown) => call("timestamp_diff", vec![left, typed(right, &types.0)?])?,
        (Unknown, Op::Minus, Timestamp | Timestamptz) => call("timestamp_diff", vec![typed(left, &types.1)?, right])?,
        (Date | Timestamp | Timestamptz, Op::Plus, Interval) => call(&shift(&types.0, "add"), both())?,
        (Timestamp | Timestamptz, Op::Plus, Unknown) => call(&shift(&types.0, "add"), vec![left, typed(right, &Interval)?])?,
        (Interval, Op::Plus, Date | Timestamp | Timestamptz) => call(&shift(&types.1, "add"), swapped())?,
        (Date | Timestamp | Timestamptz, Op::Minus, Interval) => call(&shift(&types.0, "sub"), both())?,
        (Interval, Op::Plus, Interval) => call("interval_add", both())?,
        (Interval, Op::Minus, Interval) => call("interval_sub", both())?,
        (Interval, Op::Plus, Unknown) => call("interval_add", vec![left, typed(right, &Interval)?])?,
        (Interval, Op::Minus, Unknown) => call("interval_sub", vec![left, typed(right, &Interval)?])?,
        (Interval, Op::Multiply, Int | Float | Numeric | Unknown) => call("interval_mul", both())?,
        (Int | Float | Numeric | Unknown, Op::Multiply, Interval) => call("interval_mul", swapped())?,
        (Interval, Op::Divide, Int | Float | Numeric | Unknown) => call("interval_div", both())?,
        (Text, _, number) | (number, _, Text) if number.is_number() || number.is_moment() => return missing(types, &expr.op),
        _ => return Ok(None),
    }))
}
