//! `numeric`: decimals of any length as their text, in Arrow's `LargeUtf8`, which nothing else here uses.
//!
//! The type says what a value is, without a tag that Arrow may drop; CASE, UNION and lists of numerics and integers come out as numerics.

use super::decimal::{Decimal, Trouble};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeStringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result};
use std::cmp::Ordering;

/// Functions of this file; operators are planned onto them.
pub(crate) const ALL: &[Def] = &[
    Def::new("numeric +", &[Kind::Any, Kind::Any], Ret::Numeric, |row| binary(row, Op::Add)),
    Def::new("numeric -", &[Kind::Any, Kind::Any], Ret::Numeric, |row| binary(row, Op::Sub)),
    Def::new("numeric *", &[Kind::Any, Kind::Any], Ret::Numeric, |row| binary(row, Op::Mul)),
    Def::new("numeric /", &[Kind::Any, Kind::Any], Ret::Numeric, |row| binary(row, Op::Div)),
    Def::new("numeric %", &[Kind::Any, Kind::Any], Ret::Numeric, |row| binary(row, Op::Rem)),
    Def::new("numeric negate", &[Kind::Any], Ret::Numeric, |row| Ok(arg(row, 0)?.neg().into())),
    Def::new("numeric compare", &[Kind::Any, Kind::Any], Ret::Int, |row| {
        Ok(Value::Int(match arg(row, 0)?.compare(&arg(row, 1)?) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))
    }),
    // Equal for equal numbers, of whatever scale.
    Def::new("numeric equal key", &[Kind::Any], Ret::Text, |row| Ok(arg(row, 0)?.equal_key().into())),
    // Sorts, as a text by its bytes, as the numbers do.
    Def::new("numeric sort key", &[Kind::Any], Ret::Text, |row| Ok(arg(row, 0)?.sort_key().into())),
    Def::new("numeric greatest", &[], Ret::Numeric, |row| extreme(row, Ordering::Greater)).rest(Kind::Any).sees_nulls(),
    Def::new("numeric least", &[], Ret::Numeric, |row| extreme(row, Ordering::Less)).rest(Kind::Any).sees_nulls(),
    Def::new("numeric nullif", &[Kind::Any, Kind::Any], Ret::Numeric, |row| {
        if row.null(0) {
            return Ok(Value::Null);
        }
        let value = arg(row, 0)?;
        Ok(if !row.null(1) && value.compare(&arg(row, 1)?).is_eq() { Value::Null } else { value.into() })
    })
    .sees_nulls(),
];

/// Arrow's type of numerics.
pub(crate) const TYPE: DataType = DataType::LargeUtf8;

/// A value of type numeric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    Finite(Decimal),
    /// Negative, or not.
    Infinite(bool),
    NaN,
}

/// What an operator computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        Value::from(number.to_string())
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Finite(value) => value.fmt(out),
            Number::Infinite(negative) => out.write_str(if *negative { "-Infinity" } else { "Infinity" }),
            Number::NaN => out.write_str("NaN"),
        }
    }
}

/// A failed operation, in PostgreSQL's words.
pub(crate) fn trouble(error: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

impl Number {
    /// Reads PostgreSQL's input.
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if let Some(value) = Decimal::parse(digits).filter(|_| plain(digits)) {
            return Some(Number::Finite(if negative { value.neg() } else { value }));
        }
        match digits.to_ascii_lowercase().as_str() {
            "nan" if text.len() == 3 => Some(Number::NaN),
            "inf" | "infinity" => Some(Number::Infinite(negative)),
            lower => {
                let (mantissa, exponent) = lower.split_once('e')?;
                let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() < 20_000)?;
                if !plain(mantissa) {
                    return None;
                }
                let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
                let all = format!("{whole}{fraction}");
                let scale = fraction.len() as i64 - exponent;
                let text = if scale <= 0 {
                    format!("{all}{}", "0".repeat(scale.unsigned_abs() as usize))
                } else {
                    let scale = scale as usize;
                    let all = format!("{all:0>width$}", width = scale + 1);
                    format!("{}.{}", &all[..all.len() - scale], &all[all.len() - scale..])
                };
                let value = Decimal::parse(&text)?;
                Some(Number::Finite(if negative { value.neg() } else { value }))
            }
        }
    }

    /// A double's value in fifteen digits (`digits`), as PostgreSQL casts it.
    pub(crate) fn of_float(value: f64, digits: usize) -> Number {
        if value.is_nan() {
            return Number::NaN;
        }
        if value.is_infinite() {
            return Number::Infinite(value < 0.0);
        }
        let text = format!("{value:.*e}", digits - 1);
        match Number::parse(&text) {
            Some(Number::Finite(value)) => Number::Finite(value.trimmed()),
            _ => Number::NaN,
        }
    }

    pub(crate) fn neg(&self) -> Number {
        match self {
            Number::Finite(value) => Number::Finite(value.neg()),
            Number::Infinite(negative) => Number::Infinite(!negative),
            Number::NaN => Number::NaN,
        }
    }

    pub(crate) fn abs(&self) -> Number {
        match self {
            Number::Finite(value) => Number::Finite(value.abs()),
            Number::Infinite(_) => Number::Infinite(false),
            Number::NaN => Number::NaN,
        }
    }

    pub(crate) fn to_float(&self) -> f64 {
        match self {
            Number::Finite(value) => value.to_float(),
            Number::Infinite(negative) => {
                if *negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Number::NaN => f64::NAN,
        }
    }

    /// PostgreSQL's order: NaN is the greatest, and equal to itself.
    pub(crate) fn compare(&self, other: &Number) -> Ordering {
        let rank = |number: &Number| match number {
            Number::Infinite(true) => 0,
            Number::Finite(_) => 1,
            Number::Infinite(false) => 2,
            Number::NaN => 3,
        };
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => a.compare(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }

    /// The same for equal numbers.
    pub(crate) fn equal_key(&self) -> String {
        match self {
            Number::Finite(value) => value.trimmed().to_string(),
            other => other.to_string(),
        }
    }

    /// Sign, length of the whole part, digits; the digits of negative numbers are those missing to nine.
    fn sort_key(&self) -> String {
        let value = match self {
            Number::Infinite(true) => return "0".into(),
            Number::Infinite(false) => return "3".into(),
            Number::NaN => return "4".into(),
            Number::Finite(value) => value.trimmed(),
        };
        let text = value.abs().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = whole.trim_start_matches('0');
        let key = format!("{:06}{whole}{fraction}", whole.len());
        if !value.is_negative() {
            return format!("2{key}");
        }
        let missing: String = key.bytes().map(|digit| char::from(b'0' + b'9' - digit)).collect();
        // A longer one is a smaller one.
        format!("1{missing}~")
    }

    /// `self op other`.
    pub(crate) fn apply(&self, op: Op, other: &Number) -> Result<Number> {
        use Number::{Finite, Infinite, NaN};
        let zero = |number: &Number| matches!(number, Finite(value) if value.is_zero());
        let negative = |number: &Number| match number {
            Finite(value) => value.is_negative(),
            Infinite(negative) => *negative,
            NaN => false,
        };
        if let (Finite(a), Finite(b)) = (self, other) {
            let result = match op {
                Op::Add => a.add(b),
                Op::Sub => a.sub(b),
                Op::Mul => a.mul(b),
                Op::Div => a.div(b),
                Op::Rem => a.rem(b),
            };
            return result.map(Finite).map_err(trouble);
        }
        Ok(match (op, self, other) {
            (_, NaN, _) | (_, _, NaN) => NaN,
            (Op::Sub, a, b) => return a.apply(Op::Add, &b.neg()),
            (Op::Add, Infinite(a), Infinite(b)) => {
                if a == b {
                    Infinite(*a)
                } else {
                    NaN
                }
            }
            (Op::Add, Infinite(a), _) | (Op::Add, _, Infinite(a)) => Infinite(*a),
            (Op::Mul, a, b) => {
                if zero(a) || zero(b) {
                    NaN
                } else {
                    Infinite(negative(a) != negative(b))
                }
            }
            (Op::Div | Op::Rem, _, b) if zero(b) => return Err(trouble(Trouble::DivisionByZero)),
            (Op::Div, Infinite(_), Infinite(_)) | (Op::Rem, Infinite(_), _) => NaN,
            (Op::Div, Infinite(a), b) => Infinite(*a != negative(b)),
            (Op::Div, ..) => Finite(Decimal::of_int(0)),
            (_, a, _) => a.clone(),
        })
    }
}

/// Digits with at most one point, and at least one digit.
fn plain(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// A number argument of any type.
pub(crate) fn arg(row: Row<'_>, k: usize) -> Result<Number> {
    let (col, at) = row.col(k);
    value(&col.array, at)
}

/// One value of an array of numbers.
pub(crate) fn value(array: &ArrayRef, at: usize) -> Result<Number> {
    Ok(match array.data_type() {
        DataType::LargeUtf8 => of_text(array.as_string::<i64>().value(at))?,
        DataType::Utf8 => of_text(array.as_string::<i32>().value(at))?,
        DataType::Int64 => Number::Finite(Decimal::of_int(array.as_primitive::<Int64Type>().value(at).into())),
        DataType::Decimal128(_, scale) => {
            let units = array.as_primitive::<Decimal128Type>().value(at);
            Number::Finite(match usize::try_from(*scale) {
                Ok(scale) => Decimal::of_units(units, scale),
                Err(_) => Decimal::of_int(units.saturating_mul(10i128.pow(u32::from(scale.unsigned_abs())))),
            })
        }
        DataType::Float64 => Number::of_float(array.as_primitive::<Float64Type>().value(at), 15),
        DataType::Float16 | DataType::Float32 => {
            let wide = cast(&array.slice(at, 1), &DataType::Float64)?;
            Number::of_float(wide.as_primitive::<Float64Type>().value(0), 6)
        }
        ty if ty.is_integer() || matches!(ty, DataType::Decimal256(..)) => {
            let text = cast(&array.slice(at, 1), &DataType::Utf8)?;
            of_text(text.as_string::<i32>().value(0))?
        }
        other => return fail(format!("{other} is not a number")),
    })
}

fn of_text(text: &str) -> Result<Number> {
    match Number::parse(text) {
        Some(number) => Ok(number),
        None => fail(format!("invalid input syntax for type numeric: \"{text}\"")),
    }
}

/// Any numbers as numerics.
pub(crate) fn numerics(array: &ArrayRef) -> Result<LargeStringArray> {
    if *array.data_type() == TYPE {
        return Ok(array.as_string::<i64>().clone());
    }
    if array.data_type().is_integer() {
        return Ok(cast(array, &TYPE)?.as_string::<i64>().clone());
    }
    (0..array.len()).map(|at| if array.is_null(at) { Ok(None) } else { value(array, at).map(|value| Some(value.to_string())) }).collect()
}

/// Numerics as keys that sort as they do.
pub(crate) fn sort_keys(array: &ArrayRef) -> Result<ArrayRef> {
    let keys: Result<datafusion::arrow::array::StringArray> = (0..array.len())
        .map(|at| if array.is_null(at) { Ok(None) } else { value(array, at).map(|value| Some(value.sort_key())) })
        .collect();
    Ok(std::sync::Arc::new(keys?))
}

fn binary<'a>(row: Row<'a>, op: Op) -> Result<Value<'a>> {
    Ok(arg(row, 0)?.apply(op, &arg(row, 1)?)?.into())
}

fn extreme<'a>(row: Row<'a>, wanted: Ordering) -> Result<Value<'a>> {
    let mut best: Option<Number> = None;
    for k in (0..row.len()).filter(|k| !row.null(*k)) {
        let number = arg(row, k)?;
        if best.as_ref().is_none_or(|best| number.compare(best) == wanted) {
            best = Some(number);
        }
    }
    Ok(best.map_or(Value::Null, Value::from))
}

/// A numeric as an integer, half going away from zero.
pub(crate) fn to_int(number: &Number) -> Result<i64> {
    match number {
        Number::Finite(value) => match value.round(0).to_int().and_then(|value| i64::try_from(value).ok()) {
            Some(value) => Ok(value),
            None => fail("bigint out of range"),
        },
        Number::Infinite(_) => fail("cannot convert infinity to bigint"),
        Number::NaN => fail("cannot convert NaN to bigint"),
    }
}

/// With a precision and scale.
pub(crate) fn fitted(number: Number, precision: u32, scale: i32) -> Result<Number> {
    match number {
        Number::NaN => Ok(Number::NaN),
        Number::Infinite(_) => fail("numeric field overflow"),
        Number::Finite(value) => {
            let value = value.round(scale.into());
            let limit = i64::from(precision) - i64::from(scale);
            let text = value.abs().cut(0).to_string();
            let whole = if text == "0" { 0 } else { text.len() as i64 };
            // With more digits after the point than in all, the first ones must be zeros.
            let fits = if limit >= 0 {
                whole <= limit
            } else {
                whole == 0
                    && value
                        .to_string()
                        .split_once('.')
                        .is_some_and(|(_, digits)| digits.bytes().take(limit.unsigned_abs() as usize).all(|b| b == b'0'))
            };
            if fits || value.is_zero() { Ok(Number::Finite(value)) } else { fail("numeric field overflow") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        for (text, want) in [
            ("1.50", "1.50"),
            (" -0.5 ", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1.5E-3", "0.0015"),
            ("-0", "0"),
            ("NaN", "NaN"),
            ("-inf", "-Infinity"),
            ("007", "7"),
        ] {
            assert_eq!(Number::parse(text).unwrap().to_string(), want, "{text}");
        }
        for bad in ["", "-", ".", "e5", "1e", "x", "1.2.3", "--1", "+-1", "-nan", "1_0", "1e99999"] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_sort_as_numbers() {
        let sorted = [
            "-Infinity",
            "-1000.5",
            "-1000",
            "-11",
            "-2.5",
            "-2",
            "-0.01",
            "-0.001",
            "0",
            "0.001",
            "0.01",
            "0.1",
            "1",
            "1.05",
            "9",
            "10",
            "123.4",
            "Infinity",
            "NaN",
        ];
        let keys: Vec<String> = sorted.iter().map(|text| Number::parse(text).unwrap().sort_key()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(Number::parse("1.0").unwrap().sort_key(), Number::parse("1.000").unwrap().sort_key());
    }
}
