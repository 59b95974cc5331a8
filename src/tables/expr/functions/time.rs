//! `epoch(number)`: seconds or milliseconds since 1970 as an RFC 3339 text.

use super::{Function, Gives};
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

pub(super) const EPOCH: Function = Function { name: "epoch", usage: "epoch(number)", args: 1..=1, gives: Gives::Timestamp, call: epoch };

/// Seconds stay below this until the year 5138; milliseconds are above it since 1973.
const MILLISECONDS_FROM: f64 = 1e11;

fn epoch(args: &[&Value]) -> Result<Value, String> {
    let number = match args[0] {
        Value::Null => return Ok(Value::Null),
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|n| n.is_finite()).ok_or_else(|| format!("epoch() takes a number, not {}", args[0]))?;
    let seconds = if number.abs() >= MILLISECONDS_FROM { number / 1e3 } else { number };
    let time = DateTime::from_timestamp_micros((seconds * 1e6).round() as i64).ok_or("epoch(): out of range")?;
    Ok(Value::String(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn both_units() {
        for (number, want) in [
            (json!(1709633472), json!("2024-03-05T10:11:12Z")),
            (json!(1709633472123i64), json!("2024-03-05T10:11:12.123Z")),
            (json!("1709633472"), json!("2024-03-05T10:11:12Z")),
            (json!(1709633472.5), json!("2024-03-05T10:11:12.500Z")),
            (json!(0), json!("1970-01-01T00:00:00Z")),
            (json!(null), json!(null)),
        ] {
            assert_eq!(call("epoch", std::slice::from_ref(&number)), Ok(want), "{number}");
        }
        assert_eq!(call("epoch", &[json!("x")]), Err("epoch() takes a number, not \"x\"".into()));
    }
}
