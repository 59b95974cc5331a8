//! Functions on numbers, and conversions between types.

use super::{Args, Done, Entry, MANY, Wrong, bad};
use crate::mods::types::Type;
use crate::mods::value::Value;

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
        let (text, base) = (a.text(0)?, a.int(1)?);
        let base = u32::try_from(base).ok().filter(|b| (2..=36).contains(b)).ok_or_else(|| bad(1, "a base is 2 to 36"))?;
        i64::from_str_radix(&text, base).map(Value::Int).map_err(|_| bad(0, format!("'{text}' is no number of base {base}")))
    }),
    Entry("pow", 2, 2, |a| finite(a.float(0)?.powf(a.float(1)?))),
    Entry("signum", 1, 1, |a| {
        let n = a.float(0)?;
        Ok(Value::Int(i64::from(n > 0.0) - i64::from(n < 0.0)))
    }),
    Entry("sum", 1, 1, |a| {
        let numbers = Args(a.list(0)?.to_vec());
        Ok(Value::number(numbers.floats().map_err(|w| bad(0, w.message))?.into_iter().sum()))
    }),
    Entry("tobool", 1, 1, |a| convert(a, &Type::Bool)),
    Entry("tolist", 1, 1, list),
    Entry("tomap", 1, 1, |a| if matches!(a.at(0), Value::Null) { Ok(Value::Null) } else { a.map(0).cloned().map(Value::Map) }),
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

fn list(a: &Args) -> Done {
    if matches!(a.at(0), Value::Null) { Ok(Value::Null) } else { a.list(0).map(|items| Value::List(items.to_vec())) }
}
