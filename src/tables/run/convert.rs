//! JSON values to column types. What does not fit is an error of that value; nothing is guessed.

use crate::{ColumnType, jsonb};
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, builder::ArrayBuilder};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Builds the array of one column.
pub(crate) enum Builder {
    Text(StringBuilder),
    Jsonb(StringBuilder),
    Address(StringBuilder, ColumnType),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    pub(crate) fn new(ty: ColumnType) -> Builder {
        match ty {
            ColumnType::Text => Builder::Text(StringBuilder::new()),
            ColumnType::Jsonb => Builder::Jsonb(StringBuilder::new()),
            ColumnType::Inet | ColumnType::Cidr => Builder::Address(StringBuilder::new(), ty),
            ColumnType::Int => Builder::Int(Int64Builder::new()),
            ColumnType::Double => Builder::Double(Float64Builder::new()),
            ColumnType::Bool => Builder::Bool(BooleanBuilder::new()),
            ColumnType::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    /// Appends a value, or NULL and the reason why it is none of this type.
    pub(crate) fn append(&mut self, value: &Value) -> Result<(), String> {
        let mut failed = None;
        let mut keep = |why: String| failed = Some(why);
        match self {
            Builder::Text(b) => match value {
                Value::String(s) => b.append_value(s),
                other => b.append_option(text(other).unwrap_or_else(|why| {
                    keep(why);
                    None
                })),
            },
            Builder::Jsonb(b) => match value {
                Value::Null => b.append_null(),
                value => b.append_value(jsonb::to_text(value)),
            },
            Builder::Address(b, ty) => b.append_option(or_null(address(value, *ty), keep)),
            Builder::Int(b) => b.append_option(or_null(int(value), keep)),
            Builder::Double(b) => b.append_option(or_null(double(value), keep)),
            Builder::Bool(b) => b.append_option(or_null(bool(value), keep)),
            Builder::Timestamp(b) => b.append_option(or_null(timestamp(value), keep)),
        }
        failed.map_or(Ok(()), Err)
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            Builder::Text(b) | Builder::Jsonb(b) | Builder::Address(b, _) => b.append_null(),
            Builder::Int(b) => b.append_null(),
            Builder::Double(b) => b.append_null(),
            Builder::Bool(b) => b.append_null(),
            Builder::Timestamp(b) => b.append_null(),
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(b) | Builder::Jsonb(b) | Builder::Address(b, _) => Arc::new(b.finish()),
            Builder::Int(b) => ArrayBuilder::finish(b),
            Builder::Double(b) => ArrayBuilder::finish(b),
            Builder::Bool(b) => ArrayBuilder::finish(b),
            Builder::Timestamp(b) => ArrayBuilder::finish(b),
        }
    }
}

fn or_null<T>(value: Converted<T>, mut keep: impl FnMut(String)) -> Option<T> {
    value.unwrap_or_else(|why| {
        keep(why);
        None
    })
}

type Converted<T> = Result<Option<T>, String>;

fn misfit<T>(value: &Value, what: &str) -> Converted<T> {
    let mut text = value.to_string();
    if text.len() > 60 {
        let end = (0..=57).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    Err(format!("{text} is not {what}"))
}

/// Numbers and booleans are texts too; lists and objects are not.
pub(crate) fn text(value: &Value) -> Converted<String> {
    match value {
        Value::Null => Ok(None),
        Value::String(s) => Ok(Some(s.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        _ => misfit(value, "a text"),
    }
}

fn int(value: &Value) -> Converted<i64> {
    let whole = |f: f64| (f.fract() == 0.0 && f.abs() < 9.0e15).then_some(f as i64);
    let found = match value {
        Value::Null => return Ok(None),
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().and_then(whole)),
        Value::String(s) if s.trim().is_empty() => return Ok(None),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    found.map_or_else(|| misfit(value, "an integer"), |i| Ok(Some(i)))
}

fn double(value: &Value) -> Converted<f64> {
    let found = match value {
        Value::Null => return Ok(None),
        Value::Number(n) => n.as_f64(),
        Value::String(s) if s.trim().is_empty() => return Ok(None),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    found.map_or_else(|| misfit(value, "a number"), |f| Ok(Some(f)))
}

fn bool(value: &Value) -> Converted<bool> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(b) => Ok(Some(*b)),
        Value::String(s) if s.trim().is_empty() => Ok(None),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => misfit(value, "a boolean"),
    }
}

/// RFC 3339, the same without a colon in the offset or without an offset (UTC), a date, or seconds since 1970.
fn timestamp(value: &Value) -> Converted<i64> {
    let found = match value {
        Value::Null => return Ok(None),
        Value::Number(n) => n.as_f64().map(|s| s * 1e6).filter(|s| s.abs() < 9.0e18).map(|s| s.round() as i64),
        Value::String(s) if s.trim().is_empty() => return Ok(None),
        Value::String(s) => {
            let s = s.trim();
            DateTime::parse_from_rfc3339(s)
                .or_else(|_| DateTime::parse_from_str(s, "%Y-%m-%dT%H:%M:%S%.f%z"))
                .map(|t| t.timestamp_micros())
                .or_else(|_| NaiveDateTime::parse_from_str(s, "%Y-%m-%dT%H:%M:%S%.f").map(|t| t.and_utc().timestamp_micros()))
                .or_else(|_| {
                    NaiveDate::parse_from_str(s, "%Y-%m-%d").map(|d| d.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros())
                })
                .ok()
        }
        _ => None,
    };
    found.map_or_else(|| misfit(value, "a timestamp"), |t| Ok(Some(t)))
}

/// An address, for cidr with the length of its prefix, in the spelling of RFC 5952.
fn address(value: &Value, ty: ColumnType) -> Converted<String> {
    let what = if ty == ColumnType::Cidr { "a cidr" } else { "an inet" };
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(s) => s.trim(),
        _ => return misfit(value, what),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else { return misfit(value, what) };
    let most = if address.is_ipv4() { 32u8 } else { 128 };
    let length = match length {
        None => None,
        Some(l) => match l.parse::<u8>() {
            Ok(l) if l <= most => Some(l),
            _ => return misfit(value, what),
        },
    };
    Ok(Some(match (length, ty) {
        (Some(l), _) => format!("{address}/{l}"),
        (None, ColumnType::Cidr) => format!("{address}/{most}"),
        (None, _) => address.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_numbers_booleans() {
        assert_eq!(text(&json!(5)), Ok(Some("5".into())));
        assert_eq!(text(&json!(true)), Ok(Some("true".into())));
        assert_eq!(text(&json!(["a"])), Err("[\"a\"] is not a text".into()));
        for (value, want) in [
            (json!(7), Ok(Some(7))),
            (json!("-7 "), Ok(Some(-7))),
            (json!(7.0), Ok(Some(7))),
            (json!(""), Ok(None)),
            (json!(null), Ok(None)),
            (json!(7.5), Err("7.5 is not an integer".to_owned())),
            (json!("N/A"), Err("\"N/A\" is not an integer".to_owned())),
        ] {
            assert_eq!(int(&value), want, "{value}");
        }
        assert_eq!(double(&json!("1.5")), Ok(Some(1.5)));
        for (value, want) in [
            (json!(true), Ok(Some(true))),
            (json!("TRUE"), Ok(Some(true))),
            (json!("false"), Ok(Some(false))),
            (json!("Enabled"), Err("\"Enabled\" is not a boolean".to_owned())),
            (json!(1), Err("1 is not a boolean".to_owned())),
        ] {
            assert_eq!(bool(&value), want, "{value}");
        }
    }

    #[test]
    fn times_and_addresses() {
        let t = 1_709_633_472_000_000;
        for (value, want) in [
            (json!("2024-03-05T10:11:12Z"), Ok(Some(t))),
            (json!("2024-03-05T12:11:12+02:00"), Ok(Some(t))),
            (json!("2024-03-05T10:11:12.000+0000"), Ok(Some(t))),
            (json!("2024-03-05T10:11:12"), Ok(Some(t))),
            (json!("2024-03-05"), Ok(Some(1_709_596_800_000_000))),
            (json!(1_709_633_472), Ok(Some(t))),
            (json!(1_709_633_472.5), Ok(Some(t + 500_000))),
            (json!(""), Ok(None)),
            (json!("N/A"), Err("\"N/A\" is not a timestamp".to_owned())),
            (json!(true), Err("true is not a timestamp".to_owned())),
        ] {
            assert_eq!(timestamp(&value), want, "{value}");
        }
        for (ty, value, want) in [
            (ColumnType::Inet, "10.0.0.1", Ok(Some("10.0.0.1".to_owned()))),
            (ColumnType::Cidr, "10.0.0.0/8", Ok(Some("10.0.0.0/8".to_owned()))),
            (ColumnType::Cidr, "2001:DB8::/32", Ok(Some("2001:db8::/32".to_owned()))),
            (ColumnType::Cidr, "10.0.0.1", Ok(Some("10.0.0.1/32".to_owned()))),
            (ColumnType::Inet, "10.0.0.1/33", Err("\"10.0.0.1/33\" is not an inet".to_owned())),
            (ColumnType::Cidr, "pl-123", Err("\"pl-123\" is not a cidr".to_owned())),
        ] {
            assert_eq!(address(&json!(value), ty), want, "{value}");
        }
    }
}
