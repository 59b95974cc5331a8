//! DataFusion expressions to the filters that key columns understand.
//!
//! Owns: which shapes of predicates are recognised. Refuses: being exact. Every filter given back follows from its expression, and
//! DataFusion evaluates the expression again on the rows.

use assay_tables::{ColumnType, Filter, RangeOp, Scalar};
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, TryCast};

/// The filters that follow from an expression, ANDed; empty when it says nothing that a key column understands.
///
/// `type_of` knows the columns; a column it does not know ends the search.
pub(crate) fn filters(expr: &Expr, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Vec<Filter> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let mut all = filters(left, type_of);
            all.extend(filters(right, type_of));
            all
        }
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) | Expr::InList(InList { negated: false, .. }) => {
            one_of(expr, type_of).into_iter().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(left, *op, right, type_of).into_iter().collect(),
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let low = comparison(expr, Operator::GtEq, low, type_of);
            low.into_iter().chain(comparison(expr, Operator::LtEq, high, type_of)).collect()
        }
        Expr::Like(like) => prefix(like, type_of).into_iter().collect(),
        Expr::Column(_) => boolean(expr, true, type_of).into_iter().collect(),
        Expr::IsTrue(inner) => boolean(inner, true, type_of).into_iter().collect(),
        Expr::Not(inner) | Expr::IsFalse(inner) => boolean(inner, false, type_of).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// `a = 1`, `a IN (…)`, and the chains of OR that the optimizer makes of short IN lists.
fn one_of(expr: &Expr, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Option<Filter> {
    let mut column = None;
    let mut values = Vec::new();
    collect(expr, type_of, &mut column, &mut values)?;
    Some(Filter::OneOf { column: column?, values })
}

/// Adds the values of one arm of an OR; `None` when an arm is about something else.
fn collect(expr: &Expr, type_of: &dyn Fn(&str) -> Option<ColumnType>, column: &mut Option<String>, values: &mut Vec<Scalar>) -> Option<()> {
    let (name, found) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            collect(left, type_of, column, values)?;
            return collect(right, type_of, column, values);
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let (name, ty) = column_of(expr, type_of)?;
            let mut found = Vec::with_capacity(list.len());
            for item in list {
                match literal(item)? {
                    null if null.is_null() => {}
                    value => found.push(scalar(value, ty)?),
                }
            }
            (name, found)
        }
        other => match filters(other, type_of).as_slice() {
            [Filter::OneOf { column, values }] => (column.clone(), values.clone()),
            _ => return None,
        },
    };
    if column.get_or_insert_with(|| name.clone()) != &name {
        return None;
    }
    for value in found {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Some(())
}

fn comparison(left: &Expr, op: Operator, right: &Expr, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Option<Filter> {
    let (name, ty, op, value) = match (column_of(left, type_of), column_of(right, type_of)) {
        (Some((name, ty)), None) => (name, ty, op, literal(right)?),
        (None, Some((name, ty))) => (name, ty, op.swap()?, literal(left)?),
        _ => return None,
    };
    let op = match op {
        Operator::Eq => return Some(Filter::OneOf { column: name, values: vec![scalar(value, ty)?] }),
        Operator::Lt => RangeOp::Lt,
        Operator::LtEq => RangeOp::Le,
        Operator::Gt => RangeOp::Gt,
        Operator::GtEq => RangeOp::Ge,
        _ => return None,
    };
    // Numbers and times have one order; the order of text depends on who compares.
    if !matches!(ty, ColumnType::Int | ColumnType::Double | ColumnType::Timestamp) {
        return None;
    }
    Some(Filter::Range { column: name, op, value: scalar(value, ty)? })
}

fn boolean(expr: &Expr, value: bool, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Option<Filter> {
    match column_of(expr, type_of)? {
        (column, ColumnType::Bool) => Some(Filter::OneOf { column, values: vec![Scalar::Bool(value)] }),
        _ => None,
    }
}

fn prefix(like: &Like, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Option<Filter> {
    if like.negated || like.case_insensitive {
        return None;
    }
    let (column, ty) = column_of(&like.expr, type_of)?;
    let pattern = literal(&like.pattern)?.try_as_str()??;
    if ty != ColumnType::Text {
        return None;
    }
    let escape = like.escape_char.unwrap_or('\\');
    let mut prefix = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' | '_' => {
                return if prefix.is_empty() { None } else { Some(Filter::Prefix { column, prefix }) };
            }
            c if c == escape => prefix.push(chars.next()?),
            c => prefix.push(c),
        }
    }
    Some(Filter::OneOf { column, values: vec![Scalar::Text(prefix)] })
}

/// The column an expression stands for, through casts that keep both equality and order.
fn column_of(expr: &Expr, type_of: &dyn Fn(&str) -> Option<ColumnType>) -> Option<(String, ColumnType)> {
    match expr {
        Expr::Column(column) => {
            let ty = type_of(&column.name)?;
            (ty != ColumnType::Jsonb).then(|| (column.name.clone(), ty))
        }
        Expr::Alias(alias) => column_of(&alias.expr, type_of),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let (name, ty) = column_of(expr, type_of)?;
            keeps_order(ty, field.data_type()).then_some((name, ty))
        }
        _ => None,
    }
}

fn keeps_order(from: ColumnType, to: &DataType) -> bool {
    match from {
        ColumnType::Text | ColumnType::Inet | ColumnType::Cidr => is_text(to),
        // A bigint beyond 2^53 changes as a double, but never past a bound that is itself a bigint.
        ColumnType::Int => matches!(to, DataType::Int64 | DataType::Float64 | DataType::Decimal128(..)),
        ColumnType::Double => matches!(to, DataType::Float64),
        ColumnType::Bool => matches!(to, DataType::Boolean),
        // Milliseconds would round, and another zone would move the wall clock.
        ColumnType::Timestamp => match to {
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, zone) => {
                zone.as_deref().is_none_or(|z| matches!(z, "UTC" | "+00:00" | "Z"))
            }
            _ => false,
        },
        ColumnType::Jsonb => false,
    }
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// A literal, also below casts that do not change what it says.
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let value = literal(expr)?;
            let (from, to) = (value.data_type(), field.data_type());
            let same = (is_text(&from) && is_text(to)) || (from.is_integer() && (to.is_integer() || to.is_floating()));
            same.then_some(value)
        }
        _ => None,
    }
}

/// The value as the column's type; `None` for NULL and for what cannot be that type.
pub(crate) fn scalar(value: &ScalarValue, ty: ColumnType) -> Option<Scalar> {
    match ty {
        ColumnType::Text | ColumnType::Inet | ColumnType::Cidr => Some(Scalar::Text(value.try_as_str()??.to_owned())),
        ColumnType::Int => integer(value).map(Scalar::Int),
        ColumnType::Double => double(value).map(Scalar::Double),
        ColumnType::Bool => match value {
            ScalarValue::Boolean(Some(b)) => Some(Scalar::Bool(*b)),
            _ => None,
        },
        ColumnType::Timestamp => timestamp(value).map(Scalar::Timestamp),
        ColumnType::Jsonb => None,
    }
}

fn integer(value: &ScalarValue) -> Option<i64> {
    Some(match value {
        ScalarValue::Int8(Some(v)) => i64::from(*v),
        ScalarValue::Int16(Some(v)) => i64::from(*v),
        ScalarValue::Int32(Some(v)) => i64::from(*v),
        ScalarValue::Int64(Some(v)) => *v,
        ScalarValue::UInt8(Some(v)) => i64::from(*v),
        ScalarValue::UInt16(Some(v)) => i64::from(*v),
        ScalarValue::UInt32(Some(v)) => i64::from(*v),
        ScalarValue::UInt64(Some(v)) => i64::try_from(*v).ok()?,
        ScalarValue::Float64(Some(v)) if v.fract() == 0.0 && v.abs() < 9.0e15 => {
            #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53, as checked above")]
            let v = *v as i64;
            v
        }
        ScalarValue::Decimal128(Some(v), _, 0) => i64::try_from(*v).ok()?,
        ScalarValue::Decimal128(Some(v), _, scale) => {
            let unit = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
            (v % unit == 0).then(|| i64::try_from(v / unit).ok())??
        }
        _ => return None,
    })
}

fn double(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Float32(Some(v)) => Some(f64::from(*v)),
        ScalarValue::Float64(Some(v)) => Some(*v),
        other => {
            let v = integer(other)?;
            #[expect(clippy::cast_precision_loss, reason = "checked to survive the way back")]
            let d = v as f64;
            #[expect(clippy::cast_possible_truncation, reason = "this is the way back")]
            let back = d as i64;
            (back == v).then_some(d)
        }
    }
}

fn timestamp(value: &ScalarValue) -> Option<DateTime<Utc>> {
    match value {
        ScalarValue::TimestampSecond(Some(v), _) => Utc.timestamp_opt(*v, 0).single(),
        ScalarValue::TimestampMillisecond(Some(v), _) => Utc.timestamp_millis_opt(*v).single(),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Utc.timestamp_micros(*v).single(),
        ScalarValue::TimestampNanosecond(Some(v), _) => Some(Utc.timestamp_nanos(*v)),
        ScalarValue::Date32(Some(days)) => {
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
            let day = epoch.checked_add_signed(TimeDelta::try_days(i64::from(*days))?)?;
            Some(day.and_hms_opt(0, 0, 0)?.and_utc())
        }
        ScalarValue::Date64(Some(ms)) => Utc.timestamp_millis_opt(*ms).single(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit, not, try_cast};
    use datafusion::prelude::cast;

    fn types(name: &str) -> Option<ColumnType> {
        Some(match name {
            "name" => ColumnType::Text,
            "size" => ColumnType::Int,
            "ratio" => ColumnType::Double,
            "on" => ColumnType::Bool,
            "at" => ColumnType::Timestamp,
            "ip" => ColumnType::Inet,
            "doc" => ColumnType::Jsonb,
            _ => return None,
        })
    }

    fn text(column: &str, values: &[&str]) -> Filter {
        Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
    }

    fn range(column: &str, op: RangeOp, value: Scalar) -> Filter {
        Filter::Range { column: column.into(), op, value }
    }

    fn micros(v: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(v), Some("UTC".into())))
    }

    fn at(v: i64) -> Scalar {
        Scalar::Timestamp(Utc.timestamp_micros(v).unwrap())
    }

    #[test]
    fn expressions_become_filters() {
        let view = DataType::Utf8View;
        let null = lit(ScalarValue::Utf8(None));
        let prefix = |p: &str| vec![Filter::Prefix { column: "name".into(), prefix: p.into() }];
        let int = |v: i64| vec![Filter::OneOf { column: "size".into(), values: vec![Scalar::Int(v)] }];
        let flag = |v: bool| vec![Filter::OneOf { column: "on".into(), values: vec![Scalar::Bool(v)] }];
        let cases: Vec<(Expr, Vec<Filter>)> = vec![
            (col("name").eq(lit("a")), vec![text("name", &["a"])]),
            (lit("a").eq(col("name")), vec![text("name", &["a"])]),
            (cast(col("name"), view.clone()).eq(lit(ScalarValue::Utf8View(Some("a".into())))), vec![text("name", &["a"])]),
            (col("name").eq(cast(lit("a"), view)), vec![text("name", &["a"])]),
            (try_cast(col("name"), DataType::LargeUtf8).eq(lit("a")), vec![text("name", &["a"])]),
            (col("name").in_list(vec![lit("b"), lit("a"), lit("b"), null.clone()], false), vec![text("name", &["b", "a"])]),
            (col("name").eq(lit("a")).or(col("name").eq(lit("b"))).or(lit("c").eq(col("name"))), vec![text("name", &["a", "b", "c"])]),
            (
                col("name").in_list(vec![lit("a"), lit("b"), lit("c"), lit("d")], false).or(col("name").eq(lit("e"))),
                vec![text("name", &["a", "b", "c", "d", "e"])],
            ),
            (
                col("name").eq(lit("a")).and(col("size").gt(lit(3_i64))),
                vec![text("name", &["a"]), range("size", RangeOp::Gt, Scalar::Int(3))],
            ),
            (lit(3_i64).gt(col("size")), vec![range("size", RangeOp::Lt, Scalar::Int(3))]),
            (lit(3_i64).lt_eq(col("size")), vec![range("size", RangeOp::Ge, Scalar::Int(3))]),
            (
                col("size").between(lit(1_i64), lit(5_i64)),
                vec![range("size", RangeOp::Ge, Scalar::Int(1)), range("size", RangeOp::Le, Scalar::Int(5))],
            ),
            (cast(col("size"), DataType::Float64).eq(lit(2.0)), int(2)),
            (cast(col("size"), DataType::Decimal128(20, 1)).eq(lit(ScalarValue::Decimal128(Some(20), 20, 1))), int(2)),
            (col("ratio").gt_eq(lit(0.5)), vec![range("ratio", RangeOp::Ge, Scalar::Double(0.5))]),
            (col("at").lt(micros(1_000_000)), vec![range("at", RangeOp::Lt, at(1_000_000))]),
            (
                cast(col("at"), DataType::Timestamp(TimeUnit::Nanosecond, None))
                    .gt(lit(ScalarValue::TimestampNanosecond(Some(5_000), None))),
                vec![range("at", RangeOp::Gt, at(5))],
            ),
            (col("at").gt_eq(lit(ScalarValue::Date32(Some(1)))), vec![range("at", RangeOp::Ge, at(86_400_000_000))]),
            (col("name").like(lit("ab%")), prefix("ab")),
            (col("name").like(lit("ab_c%")), prefix("ab")),
            (col("name").like(lit("a\\_b%")), prefix("a_b")),
            (col("name").like(lit("ab")), vec![text("name", &["ab"])]),
            (col("on"), flag(true)),
            (not(col("on")), flag(false)),
            (col("on").is_false(), flag(false)),
            (col("ip").eq(lit("10.0.0.1")), vec![text("ip", &["10.0.0.1"])]),
        ];
        for (expr, want) in cases {
            assert_eq!(filters(&expr, &types), want, "{expr}");
        }
    }

    #[test]
    fn what_says_nothing_certain_is_left_to_the_engine() {
        let null = || lit(ScalarValue::Utf8(None));
        let cases = vec![
            col("name").not_eq(lit("a")),
            col("name").in_list(vec![lit("a")], true),
            col("name").eq(null()),
            col("name").eq(col("name")),
            col("name").eq(lit("a")).or(col("size").eq(lit(1_i64))),
            col("name").eq(lit("a")).or(col("name").gt(lit("b"))),
            col("name").eq(lit("a")).or(col("name").eq(null())),
            col("name").in_list(vec![lit("a"), col("ip")], false),
            col("name").like(lit("%a")),
            col("name").like(lit("_a%")),
            col("name").like(lit("a\\")),
            col("name").ilike(lit("a%")),
            col("name").not_like(lit("a%")),
            col("doc").eq(lit("{}")),
            col("unknown").eq(lit("a")),
            col("size").eq(lit("7")),
            cast(col("size"), DataType::Float64).lt(lit(2.5)),
            cast(col("size"), DataType::Utf8).eq(lit("7")),
            cast(col("at"), DataType::Date32).eq(lit(ScalarValue::Date32(Some(1)))),
            col("size").not_between(lit(1_i64), lit(2_i64)),
            col("ip").gt(lit("10.0.0.1")),
            col("name").gt(lit("a")),
            cast(col("at"), DataType::Timestamp(TimeUnit::Millisecond, None)).eq(lit(ScalarValue::TimestampMillisecond(Some(5), None))),
            cast(col("at"), DataType::Timestamp(TimeUnit::Nanosecond, Some("America/New_York".into()))).lt(micros(5)),
            col("name").is_not_null(),
        ];
        for expr in cases {
            assert_eq!(filters(&expr, &types), vec![], "{expr}");
        }
    }
}
