//! PostgreSQL's text output of every type: what `::text`, `||` and `concat` show.

use super::interval;
use super::row::tag;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;
use std::fmt::Write;

/// PostgreSQL's name of a field's type.
pub(crate) fn type_name(field: &Field) -> String {
    if let Some(tag) = tag(field) {
        return tag.to_string();
    }
    match field.data_type() {
        DataType::Null => "unknown".into(),
        DataType::Utf8 | DataType::Utf8View => "text".into(),
        DataType::LargeUtf8 => "numeric".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea".into(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => format!("{}[]", type_name(item)),
        other => other.to_string().to_lowercase(),
    }
}

/// The text of every value.
pub(crate) fn texts(array: &ArrayRef) -> Result<StringArray> {
    match array.data_type() {
        DataType::Utf8 => return Ok(array.as_string::<i32>().clone()),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) | DataType::Null => {
            return Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone());
        }
        _ => {}
    }
    let write = writer(array)?;
    let mut out = String::new();
    Ok((0..array.len())
        .map(|i| {
            if array.is_null(i) {
                return None;
            }
            out.clear();
            write(i, &mut out);
            Some(out.clone())
        })
        .collect())
}

type Writer = Box<dyn Fn(usize, &mut String)>;

/// A writer of an array's values, by index.
fn writer(array: &ArrayRef) -> Result<Writer> {
    let as_type = |ty: &DataType| cast(array, ty);
    Ok(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |i, out| out.push_str(if values.value(i) { "true" } else { "false" }))
        }
        ty if ty.is_integer() && *ty != DataType::UInt64 => {
            let values = as_type(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Box::new(move |i, out| {
                let _ = write!(out, "{}", values.value(i));
            })
        }
        DataType::Float16 | DataType::Float32 => {
            let values = as_type(&DataType::Float32)?.as_primitive::<Float32Type>().clone();
            Box::new(move |i, out| float(values.value(i).to_string(), f64::from(values.value(i)), 6, out))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().clone();
            Box::new(move |i, out| float(values.value(i).to_string(), values.value(i), 15, out))
        }
        DataType::Decimal128(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal128Type>().clone(), *scale);
            Box::new(move |i, out| decimal(values.value(i), scale, out))
        }
        DataType::Date32 | DataType::Date64 => {
            let values = as_type(&DataType::Date32)?.as_primitive::<Date32Type>().clone();
            Box::new(move |i, out| date(values.value(i), out))
        }
        DataType::Timestamp(_, zone) => {
            let zoned = zone.is_some();
            let values =
                as_type(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?.as_primitive::<TimestampMicrosecondType>().clone();
            Box::new(move |i, out| timestamp(values.value(i), zoned, out))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let values = as_type(&DataType::Time64(TimeUnit::Microsecond))?.as_primitive::<Time64MicrosecondType>().clone();
            Box::new(move |i, out| clock(values.value(i), out))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            let values = as_type(&DataType::Interval(IntervalUnit::MonthDayNano))?.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |i, out| interval::write(values.value(i), out))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let values = as_type(&DataType::Binary)?.as_binary::<i32>().clone();
            Box::new(move |i, out| {
                out.push_str("\\x");
                for byte in values.value(i) {
                    let _ = write!(out, "{byte:02x}");
                }
            })
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>().clone();
            let is_text = matches!(item.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::Null);
            let nested = matches!(item.data_type(), DataType::List(_));
            let is_bool = *item.data_type() == DataType::Boolean;
            let values = list.values();
            let strings = texts(values)?;
            Box::new(move |i, out| {
                let (from, to) = (list.value_offsets()[i] as usize, list.value_offsets()[i + 1] as usize);
                out.push('{');
                for (n, at) in (from..to).enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    if strings.is_null(at) {
                        out.push_str("NULL");
                    } else if is_bool {
                        out.push_str(&strings.value(at)[..1]);
                    } else if nested {
                        out.push_str(strings.value(at));
                    } else {
                        array_element(strings.value(at), is_text, out);
                    }
                }
                out.push('}');
            })
        }
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
            let list = as_type(&DataType::List(std::sync::Arc::clone(item)))?;
            return writer(&list);
        }
        _ => {
            let values = as_type(&DataType::Utf8)?.as_string::<i32>().clone();
            Box::new(move |i, out| out.push_str(values.value(i)))
        }
    })
}

/// An element of an array literal, quoted where PostgreSQL quotes it.
fn array_element(text: &str, is_text: bool, out: &mut String) {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    if text.is_empty() || text.contains(special) || (is_text && text.eq_ignore_ascii_case("null")) {
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// A float's shortest text, with an exponent outside 1e-4 … 1e`digits`.
fn float(shortest: String, value: f64, digits: i32, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
        if (-4..digits).contains(&magnitude) {
            out.push_str(&shortest);
        } else {
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let _ = write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        }
    }
}

/// A decimal's text, its scale kept.
pub(crate) fn decimal(value: i128, scale: i8, out: &mut String) {
    if scale <= 0 {
        let _ = write!(out, "{}", value * 10i128.pow(u32::from(scale.unsigned_abs())));
        return;
    }
    let width = usize::from(scale.unsigned_abs());
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = width + 1);
    let (before, after) = digits.split_at(digits.len() - width);
    let _ = write!(out, "{}{before}.{after}", if value < 0 { "-" } else { "" });
}

/// The date so many days after 1970-01-01; out of range, the nearest there is.
pub(crate) fn date_of_days(days: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163)).unwrap_or(if days < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

/// The moment so many microseconds after 1970; out of range, the nearest there is.
pub(crate) fn moment(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros)
        .map_or(if micros < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX }, |moment| moment.naive_utc())
}

fn era(date: NaiveDate) -> (String, &'static str) {
    let (year, era) = if date.year() <= 0 { (1 - date.year(), " BC") } else { (date.year(), "") };
    (format!("{year:04}-{:02}-{:02}", date.month(), date.day()), era)
}

/// `2024-03-05`.
pub(crate) fn date(days: i32, out: &mut String) {
    match days {
        i32::MIN => out.push_str("-infinity"),
        i32::MAX => out.push_str("infinity"),
        days => {
            let (date, era) = era(date_of_days(days));
            let _ = write!(out, "{date}{era}");
        }
    }
}

/// `2024-03-05 10:00:00.5+00`.
pub(crate) fn timestamp(micros: i64, zoned: bool, out: &mut String) {
    if micros == i64::MAX || micros == i64::MIN {
        return out.push_str(if micros > 0 { "infinity" } else { "-infinity" });
    }
    let at = moment(micros);
    let (date, era) = era(at.date());
    let _ = write!(out, "{date} ");
    let seconds = i64::from(at.time().num_seconds_from_midnight());
    clock(seconds * 1_000_000 + i64::from(at.and_utc().timestamp_subsec_micros()), out);
    out.push_str(if zoned { "+00" } else { "" });
    out.push_str(era);
}

/// `10:00:00.5`, without trailing zeros of the fraction.
pub(crate) fn clock(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let digits = format!(".{fraction:06}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_shortest() {
        for (value, want) in [
            (2.0, "2"),
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-1.5e300, "-1.5e+300"),
        ] {
            let mut out = String::new();
            float(value.to_string(), value, 15, &mut out);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (value, scale, want) in [(150, 2, "1.50"), (-5, 2, "-0.05"), (7, 0, "7"), (0, 3, "0.000")] {
            let mut out = String::new();
            decimal(value, scale, &mut out);
            assert_eq!(out, want);
        }
    }
}
