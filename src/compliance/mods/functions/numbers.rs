//! Functions on numbers, and conversions between types.

use super::{Args, Done, Entry, MANY, Wrong, bad};
use crate::mods::types::Type;
use crate::mods::value::Value;
use bigdecimal::{BigDecimal, ToPrimitive as _};

pub(super) const TABLE: &[Entry] = &[
    Entry("abs", 1, 1, |a| match a.at(0).as_number() {
        Some(Value::Int(i)) => Ok(i.checked_abs().map_or(Value::Float(9_223_372_036_854_775_808.0), Value::Int)),
        _ => Ok(Value::number(a.float(0)?.abs())),
    }),
    Entry("ceil", 1, 1, |a| Ok(Value::number(a.float(0)?.ceil()))),
    Entry("floor", 1, 1, |a| Ok(Value::number(a.float(0)?.floor()))),
    Entry("log", 2, 2, |a| finite(a.float(0)?.ln() / a.float(1)?.ln())),
    Entry("max", 1, MANY, |a| Ok(Value::number(a.floats()?.into_iter().fold(f64::NEG_INFINITY, f64::max)))),
    Entry("min", 1, MANY, |a| Ok(Value::number(a.floats()?.into_iter().fold(f64::INFINITY, f64::min)))),
    Entry("parseint", 2, 2, |a| {
        let Value::Text(text) = a.at(0) else { return Err(a.wrong(0, "text")) };
        let base = a.int(1)?;
        let base = u32::try_from(base).ok().filter(|b| (2..=62).contains(b)).ok_or_else(|| bad(1, "a base is 2 to 62"))?;
        parse(text, base).ok_or_else(|| bad(0, format!("'{text}' is no number of base {base}")))
    }),
    Entry("pow", 2, 2, |a| finite(a.float(0)?.powf(a.float(1)?))),
    Entry("signum", 1, 1, |a| Ok(Value::Int(a.int(0)?.signum()))),
    Entry("sum", 1, 1, |a| {
        let numbers = Args(a.list(0)?.to_vec());
        if numbers.0.is_empty() {
            return Err(bad(0, "the list is empty"));
        }
        numbers.floats().map_err(|w| bad(0, w.message))?;
        let sum: BigDecimal = numbers.0.iter().filter_map(Value::as_decimal).sum();
        finite(sum.to_f64().unwrap_or(f64::NAN))
    }),
    Entry("tobool", 1, 1, |a| convert(a, &Type::Bool)),
    Entry("tolist", 1, 1, |a| convert(a, &Type::List(Box::new(Type::Any)))),
    Entry("tomap", 1, 1, |a| convert(a, &Type::Map(Box::new(Type::Any)))),
    Entry("tonumber", 1, 1, |a| convert(a, &Type::Number)),
    Entry("toset", 1, 1, |a| convert(a, &Type::Set(Box::new(Type::Any)))),
    Entry("tostring", 1, 1, |a| convert(a, &Type::Text)),
    Entry("nonsensitive", 1, 1, |a| Ok(a.at(0).clone())),
    Entry("sensitive", 1, 1, |a| Ok(a.at(0).clone())),
];

fn finite(n: f64) -> Done {
    if n.is_finite() { Ok(Value::number(n)) } else { Err(Wrong::from("the result is not a number")) }
}

fn convert(a: &Args, to: &Type) -> Done {
    to.convert(a.at(0)).map_err(|why| bad(0, format!("the argument {why}")))
}

/// Digits are 0 to 9, a to z, A to Z; up to base 36 large letters are as small ones.
fn parse(text: &str, base: u32) -> Option<Value> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    let digit = |c: char| match c {
        'A'..='Z' if base > 36 => Some(u32::from(c) - u32::from('A') + 36),
        c => c.to_digit(36),
    };
    let mut n: i128 = 0;
    for c in digits.chars() {
        let d = digit(c).filter(|d| *d < base)?;
        n = n.checked_mul(i128::from(base))?.checked_add(i128::from(d))?;
    }
    let n = n * sign;
    #[expect(clippy::cast_precision_loss, reason = "beyond 64 bits a number is a float")]
    Some(i64::try_from(n).map_or_else(|_| Value::Float(n as f64), Value::Int))
}
