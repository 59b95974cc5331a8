//! Scalars whose JSON form has to be agreed on: timestamps (RFC 3339, read leniently) and floats (JSON has no NaN).

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Number, Value};

/// Reads a timestamp in any format a service has been seen to use; one malformed date must not lose a whole answer.
pub(super) fn timestamp(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if let Ok(t) = DateTime::from_str(text, Format::DateTimeWithOffset) {
        return Some(t);
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        if let Ok(seconds) = text.parse() {
            return epoch(seconds);
        }
        // without a zone it is UTC; without a time it is midnight
        return [format!("{text}Z"), format!("{text}T00:00:00Z")].iter().find_map(|t| DateTime::from_str(t, Format::DateTime).ok());
    }
    DateTime::from_str(text, Format::HttpDate).ok()
}

/// Seconds since 1970, to the microsecond: more digits of a float are noise.
pub(super) fn epoch(seconds: f64) -> Option<DateTime> {
    let micros = (seconds * 1e6).round();
    (micros.is_finite() && micros.abs() < 1e18).then(|| DateTime::from_nanos(micros as i128 * 1000).ok()).flatten()
}

/// `2024-03-05T10:11:12Z`, with a fraction only where there is one. `None` for years that RFC 3339 cannot write.
pub(super) fn rfc3339(t: DateTime) -> Option<Value> {
    t.fmt(Format::DateTime).ok().map(Value::String)
}

/// The RFC 3339 form of a timestamp in text, or the text itself where nothing can be made of it.
pub(super) fn timestamp_value(text: &str) -> Value {
    timestamp(text).and_then(rfc3339).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A float from text: a number, or the names JSON has no numbers for, as text.
pub(super) fn float(text: &str) -> Option<Value> {
    match text {
        "NaN" | "Infinity" | "-Infinity" => Some(Value::String(text.to_owned())),
        _ => Number::from_f64(text.parse().ok()?).map(Value::Number),
    }
}

/// An integer from text.
pub(super) fn integer(text: &str) -> Option<Value> {
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok()
}

/// A boolean from text, in the spellings services use.
pub(super) fn boolean(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_all_kinds_become_rfc_3339() {
        for (text, want) in [
            ("2024-03-05T10:11:12Z", "2024-03-05T10:11:12Z"),
            ("2024-03-05T10:11:12.500Z", "2024-03-05T10:11:12.5Z"),
            ("2024-03-05T11:11:12+01:00", "2024-03-05T10:11:12Z"),
            ("2024-03-05T10:11:12", "2024-03-05T10:11:12Z"),
            ("2024-03-05", "2024-03-05T00:00:00Z"),
            ("Tue, 05 Mar 2024 10:11:12 GMT", "2024-03-05T10:11:12Z"),
            ("1709633472", "2024-03-05T10:11:12Z"),
            ("1709633472.123", "2024-03-05T10:11:12.123Z"),
            ("1.709633472E9", "2024-03-05T10:11:12Z"),
            (" 2024-03-05T10:11:12Z\n", "2024-03-05T10:11:12Z"),
            ("never", "never"),
            ("", ""),
            ("99999999999999999999", "99999999999999999999"),
        ] {
            assert_eq!(timestamp_value(text), want, "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(float("1.1"), Some(1.1.into()));
        assert_eq!(float("NaN"), Some("NaN".into()));
        assert_eq!(float("1e999"), None);
        assert_eq!(integer("18446744073709551615"), Some(u64::MAX.into()));
        assert_eq!(integer("x"), None);
        assert_eq!(boolean("True"), Some(true.into()));
        assert_eq!(boolean("yes"), None);
    }
}
