//! Arrow values as PostgreSQL prints them, and as JSON. Knows types; knows no format.

mod json;

pub(crate) use json::{json, write_object};

use assay_tables::EXTENSION;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Field, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use std::fmt::Write;

/// PostgreSQL's short name of a column's type (`int8`, `timestamptz`, `jsonb`, `text[]`), as Steampipe's JSON output has it.
pub(crate) fn type_name(field: &Field) -> String {
    if let Some(extension) = extension(field) {
        return extension.to_owned();
    }
    match field.data_type() {
        DataType::Boolean => "bool",
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "int2",
        DataType::UInt16 | DataType::Int32 => "int4",
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => "int8",
        DataType::Float16 | DataType::Float32 => "float4",
        DataType::Float64 => "float8",
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::LargeUtf8 => {
            "numeric"
        }
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Struct(_) => "record",
        DataType::Map(..) => "jsonb",
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => return format!("{}[]", type_name(item)),
        DataType::Dictionary(_, inner) => return type_name(&Field::new("", inner.as_ref().clone(), true)),
        _ => "text",
    }
    .to_owned()
}

/// Is the column text that holds JSON?
pub(crate) fn is_json(field: &Field) -> bool {
    matches!(extension(field), Some("jsonb" | "json"))
}

/// Numbers stand at the right of their column.
pub(crate) fn is_numeric(field: &Field) -> bool {
    // The engine's numerics of any length are texts.
    field.data_type().is_numeric() || *field.data_type() == DataType::LargeUtf8
}

fn extension(field: &Field) -> Option<&str> {
    field.metadata().get(EXTENSION).map(String::as_str)
}

/// Appends the text form of a value; nothing for NULL.
pub(crate) fn text(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        return;
    }
    macro_rules! number {
        ($t:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$t>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => float(f64::from(array.as_primitive::<Float16Type>().value(row)), 6, None, out),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), 6, Some(value), out);
        }
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row), 15, None, out),
        DataType::Decimal128(..) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => out.push_str(&array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Binary => bytes(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => bytes(array.as_binary_view().value(row), out),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(row), out),
        DataType::Timestamp(_, zone) => match timestamp(array, row) {
            Some(at) => {
                date_text(at.date(), out);
                out.push(' ');
                time_text(at.time(), out);
                if zone.is_some() {
                    out.push_str("+00");
                }
                era(at.date(), out);
            }
            None => out.push_str("(out of range)"),
        },
        DataType::Date32 | DataType::Date64 => match date(array, row) {
            Some(day) => {
                date_text(day, out);
                era(day, out);
            }
            None => out.push_str("(out of range)"),
        },
        DataType::Time32(_) | DataType::Time64(_) => {
            if let Some(time) = time(array, row) {
                time_text(time, out);
            }
        }
        DataType::Interval(unit) => {
            let (months, days, nanos) = interval(array, *unit, row);
            interval_text(months, days, nanos, out);
        }
        DataType::Duration(unit) => interval_text(0, 0, duration(array, *unit, row), out),
        DataType::List(_) => list_text(&list_values(array.as_list::<i32>(), row), out),
        DataType::LargeList(_) => list_text(&list_values(array.as_list::<i64>(), row), out),
        DataType::FixedSizeList(..) => list_text(&array.as_fixed_size_list().value(row), out),
        DataType::Struct(_) => record_text(array, row, out),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if let Some(key) = dictionary.normalized_keys().get(row) {
                text(dictionary.values().as_ref(), *key, out);
            }
        }
        _ => {
            // Types no query of ours makes (unions, run-ends): Arrow's own text.
            if let Ok(shown) = datafusion::arrow::util::display::array_value_to_string(array, row) {
                out.push_str(&shown);
            }
        }
    }
}

/// The text form of a value on its own.
pub(crate) fn text_of(array: &dyn Array, row: usize) -> String {
    let mut out = String::new();
    text(array, row, &mut out);
    out
}

/// Shortest text that reads back as the same number; scientific where PostgreSQL's is. `single` is the value itself where it was a `float4`.
fn float(value: f64, digits: i32, single: Option<f32>, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let scientific = match single {
        Some(single) => format!("{single:e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let _ = if (-4..digits).contains(&exponent) {
        match single {
            Some(single) => write!(out, "{single}"),
            None => write!(out, "{value}"),
        }
    } else {
        write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    };
}

fn bytes(value: &[u8], out: &mut String) {
    out.push_str("\\x");
    for byte in value {
        let _ = write!(out, "{byte:02x}");
    }
}

fn timestamp(array: &dyn Array, row: usize) -> Option<NaiveDateTime> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    Some(
        match unit {
            TimeUnit::Second => DateTime::<Utc>::from_timestamp(array.as_primitive::<TimestampSecondType>().value(row), 0)?,
            TimeUnit::Millisecond => DateTime::<Utc>::from_timestamp_millis(array.as_primitive::<TimestampMillisecondType>().value(row))?,
            TimeUnit::Microsecond => DateTime::<Utc>::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))?,
            TimeUnit::Nanosecond => DateTime::<Utc>::from_timestamp_nanos(array.as_primitive::<TimestampNanosecondType>().value(row)),
        }
        .naive_utc(),
    )
}

fn date(array: &dyn Array, row: usize) -> Option<NaiveDate> {
    let days = match array.data_type() {
        DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)),
        DataType::Date64 => array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000),
        _ => return None,
    };
    let epoch = NaiveDate::default();
    let by = Days::new(days.unsigned_abs());
    if days < 0 { epoch.checked_sub_days(by) } else { epoch.checked_add_days(by) }
}

fn time(array: &dyn Array, row: usize) -> Option<NaiveTime> {
    let nanos = match array.data_type() {
        DataType::Time32(TimeUnit::Second) => i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1_000_000_000,
        DataType::Time32(_) => i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1_000_000,
        DataType::Time64(TimeUnit::Microsecond) => array.as_primitive::<Time64MicrosecondType>().value(row) * 1_000,
        DataType::Time64(_) => array.as_primitive::<Time64NanosecondType>().value(row),
        _ => return None,
    };
    let seconds = u32::try_from(nanos / 1_000_000_000).ok()?;
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, u32::try_from(nanos % 1_000_000_000).ok()?)
}

fn date_text(day: NaiveDate, out: &mut String) {
    let year = if day.year() > 0 { day.year() } else { 1 - day.year() };
    let _ = write!(out, "{year:04}-{:02}-{:02}", day.month(), day.day());
}

/// Years before the first one are counted backwards.
fn era(day: NaiveDate, out: &mut String) {
    if day.year() <= 0 {
        out.push_str(" BC");
    }
}

/// `10:00:00`, with the microseconds that are not zero.
fn time_text(time: NaiveTime, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    fraction(u64::from(time.nanosecond()) / 1_000, out);
}

fn fraction(micros: u64, out: &mut String) {
    if micros > 0 {
        let digits = format!("{micros:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

fn rfc3339(at: NaiveDateTime, zoned: bool) -> String {
    let mut out = at.format("%Y-%m-%d").to_string();
    out.push('T');
    time_text(at.time(), &mut out);
    if zoned {
        out.push('Z');
    }
    out
}

/// Months, days and nanoseconds.
fn interval(array: &dyn Array, unit: IntervalUnit, row: usize) -> (i64, i64, i128) {
    match unit {
        IntervalUnit::YearMonth => (i64::from(array.as_primitive::<IntervalYearMonthType>().value(row)), 0, 0),
        IntervalUnit::DayTime => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            (0, i64::from(value.days), i128::from(value.milliseconds) * 1_000_000)
        }
        IntervalUnit::MonthDayNano => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            (i64::from(value.months), i64::from(value.days), i128::from(value.nanoseconds))
        }
    }
}

/// Nanoseconds of a duration.
fn duration(array: &dyn Array, unit: TimeUnit, row: usize) -> i128 {
    match unit {
        TimeUnit::Second => i128::from(array.as_primitive::<DurationSecondType>().value(row)) * 1_000_000_000,
        TimeUnit::Millisecond => i128::from(array.as_primitive::<DurationMillisecondType>().value(row)) * 1_000_000,
        TimeUnit::Microsecond => i128::from(array.as_primitive::<DurationMicrosecondType>().value(row)) * 1_000,
        TimeUnit::Nanosecond => i128::from(array.as_primitive::<DurationNanosecondType>().value(row)),
    }
}

/// PostgreSQL's `IntervalStyle` postgres: `1 year 2 mons -3 days +04:05:06.7`.
fn interval_text(months: i64, days: i64, nanos: i128, out: &mut String) {
    let mut empty = true;
    let mut after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if empty { "" } else { " " };
            let sign = if after_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
            empty = false;
            after_negative = value < 0;
        }
    }
    if nanos != 0 || empty {
        let space = if empty { "" } else { " " };
        let sign = match nanos {
            n if n < 0 => "-",
            _ if after_negative => "+",
            _ => "",
        };
        let micros = nanos.unsigned_abs() / 1_000;
        let seconds = micros / 1_000_000;
        let _ = write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        fraction(u64::try_from(micros % 1_000_000).unwrap_or_default(), out);
    }
}

fn list_values<O: OffsetSizeTrait>(array: &GenericListArray<O>, row: usize) -> ArrayRef {
    array.value(row)
}

/// `{a,NULL,"with space"}`.
fn list_text(values: &ArrayRef, out: &mut String) {
    out.push('{');
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        if values.is_null(row) {
            out.push_str("NULL");
            continue;
        }
        let item = inner_text(values.as_ref(), row);
        let nested = values.data_type().is_list();
        let special = |c: char| c.is_ascii_whitespace() || matches!(c, '{' | '}' | '"' | '\\' | ',');
        if !nested && (item.is_empty() || item.eq_ignore_ascii_case("null") || item.contains(special)) {
            quoted(&item, out);
        } else {
            out.push_str(&item);
        }
    }
    out.push('}');
}

/// The text form of a value in a list or record, where booleans are letters.
fn inner_text(array: &dyn Array, row: usize) -> String {
    match array.data_type() {
        DataType::Boolean => (if array.as_boolean().value(row) { "t" } else { "f" }).to_owned(),
        _ => text_of(array, row),
    }
}

/// `(a,,"with space")`.
fn record_text(array: &dyn Array, row: usize, out: &mut String) {
    out.push('(');
    for (i, column) in array.as_struct().columns().iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if column.is_null(row) {
            continue;
        }
        let item = inner_text(column.as_ref(), row);
        let special = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '"' | '\\' | ',');
        if item.is_empty() || item.contains(special) {
            quoted(&item, out);
        } else {
            out.push_str(&item);
        }
    }
    out.push(')');
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
        IntervalMonthDayNanoArray, ListArray, NullArray, StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampSecondArray,
    };
    use datafusion::arrow::datatypes::IntervalMonthDayNano;
    use serde_json::Value;
    use serde_json::json;
    use std::sync::Arc;

    fn field(array: &dyn Array) -> Field {
        Field::new("c", array.data_type().clone(), true)
    }

    fn tagged(name: &str) -> Field {
        Field::new("c", DataType::Utf8, true).with_metadata([(EXTENSION.to_owned(), name.to_owned())].into())
    }

    #[test]
    fn scalars_print_as_in_postgresql() {
        let at = 1_709_632_800_000_000; // 2024-03-05 10:00:00
        let cases: Vec<(ArrayRef, &str, Value, &str)> = vec![
            (Arc::new(BooleanArray::from(vec![true])), "true", json!(true), "bool"),
            (Arc::new(Int32Array::from(vec![-7])), "-7", json!(-7), "int4"),
            (Arc::new(Int64Array::from(vec![i64::MAX])), "9223372036854775807", json!(i64::MAX), "int8"),
            (Arc::new(Float64Array::from(vec![0.1])), "0.1", json!(0.1), "float8"),
            (Arc::new(Float64Array::from(vec![3.0])), "3", json!(3), "float8"),
            (Arc::new(Float64Array::from(vec![1e15])), "1e+15", json!(1e15), "float8"),
            (Arc::new(Float64Array::from(vec![123_456_789_012_345.0])), "123456789012345", json!(123_456_789_012_345_i64), "float8"),
            (Arc::new(Float64Array::from(vec![0.0001])), "0.0001", json!(0.0001), "float8"),
            (Arc::new(Float64Array::from(vec![0.00001])), "1e-05", json!(1e-5), "float8"),
            (Arc::new(Float64Array::from(vec![f64::NAN])), "NaN", json!("NaN"), "float8"),
            (Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])), "-Infinity", json!("-Infinity"), "float8"),
            (Arc::new(Float32Array::from(vec![0.1])), "0.1", json!(0.1), "float4"),
            (Arc::new(Float32Array::from(vec![1e6])), "1e+06", json!(1e6), "float4"),
            (Arc::new(Decimal128Array::from(vec![12_340]).with_precision_and_scale(10, 3).unwrap()), "12.340", json!(12.34), "numeric"),
            (Arc::new(StringArray::from(vec!["é\n"])), "é\n", json!("é\n"), "text"),
            (Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]])), "\\x00ff", json!("\\x00ff"), "bytea"),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")),
                "2024-03-05 10:00:00+00",
                json!("2024-03-05T10:00:00Z"),
                "timestamptz",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![at + 120_000]).with_timezone("UTC")),
                "2024-03-05 10:00:00.12+00",
                json!("2024-03-05T10:00:00.12Z"),
                "timestamptz",
            ),
            (Arc::new(TimestampSecondArray::from(vec![-1])), "1969-12-31 23:59:59", json!("1969-12-31T23:59:59"), "timestamp"),
            (Arc::new(Date32Array::from(vec![-1])), "1969-12-31", json!("1969-12-31"), "date"),
            (Arc::new(Time64MicrosecondArray::from(vec![3_723_000_001])), "01:02:03.000001", json!("01:02:03.000001"), "time"),
            (Arc::new(NullArray::new(1)), "", Value::Null, "text"),
        ];
        for (array, text, value, name) in cases {
            assert_eq!(text_of(array.as_ref(), 0), text, "{name}");
            let got = json(&field(array.as_ref()), array.as_ref(), 0);
            let same_number = matches!((got.as_f64(), value.as_f64()), (Some(a), Some(b)) if a == b);
            assert!(got == value || same_number, "{got} is not {value}");
            assert_eq!(type_name(&field(array.as_ref())), name, "{text}");
        }
    }

    #[test]
    fn intervals_print_as_in_postgresql() {
        for ((months, days, nanos), expected) in [
            ((0, 0, 0), "00:00:00"),
            ((14, 3, 0), "1 year 2 mons 3 days"),
            ((0, 1, 3_600_000_000_000), "1 day 01:00:00"),
            ((0, -1, 3_600_000_000_000), "-1 days +01:00:00"),
            ((-1, 2, 0), "-1 mons +2 days"),
            ((0, 0, -1_500_000_000), "-00:00:01.5"),
            ((0, 90, 0), "90 days"),
            ((0, 0, 360_000_000_000_000), "100:00:00"),
        ] {
            let array = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, days, nanos)]);
            assert_eq!(text_of(&array, 0), expected);
        }
    }

    #[test]
    fn jsonb_is_json_and_not_a_string() {
        let array = StringArray::from(vec![Some("{\"a\": [1, null]}"), None, Some("not json")]);
        assert_eq!(json(&tagged("jsonb"), &array, 0), json!({"a": [1, null]}));
        assert_eq!(json(&tagged("jsonb"), &array, 1), Value::Null);
        assert_eq!(json(&tagged("jsonb"), &array, 2), json!("not json"));
        assert_eq!(json(&tagged("inet"), &array, 0), json!("{\"a\": [1, null]}"));
        assert_eq!(type_name(&tagged("jsonb")), "jsonb");
        assert_eq!(type_name(&tagged("inet")), "inet");
    }

    #[test]
    fn lists_and_records() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None, Some(3)]), None]);
        assert_eq!(text_of(&list, 0), "{1,NULL,3}");
        assert_eq!(text_of(&list, 1), "");
        assert_eq!(json(&field(&list), &list, 0), json!([1, null, 3]));
        assert_eq!(type_name(&field(&list)), "int8[]");

        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "null", "b c", "q\"\\", "{}"]));
        let mut out = String::new();
        list_text(&words, &mut out);
        assert_eq!(out, r#"{a,"","null","b c","q\"\\","{}"}"#);

        let record = StructArray::from(vec![
            (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["a b"])) as ArrayRef),
        ]);
        assert_eq!(text_of(&record, 0), "(1,\"a b\")");
        assert_eq!(json(&field(&record), &record, 0), json!({"n": 1, "t": "a b"}));
    }
}
