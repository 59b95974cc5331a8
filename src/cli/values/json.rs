//! Arrow values as JSON text: jsonb as itself, numbers with all their digits, times as RFC 3339, everything else as its text.

use super::{is_json, list_values, rfc3339, text_of, timestamp};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field};
use serde_json::Value;

/// Appends a value as JSON on one line. No digit is lost: neither of numerics nor of numbers within jsonb.
pub(crate) fn write_json(field: &Field, array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        return out.push_str("null");
    }
    if is_json(field) {
        let text = text_of(array, row);
        return match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => compact(&text, out),
            Err(_) => string(&text, out),
        };
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => super::text(array, row, out),
        kind if kind.is_numeric() || *kind == DataType::LargeUtf8 => {
            let text = text_of(array, row);
            if is_number(&text) { out.push_str(&text) } else { string(&text, out) }
        }
        DataType::Timestamp(_, zone) => match timestamp(array, row) {
            Some(at) => string(&rfc3339(at, zone.is_some()), out),
            None => string(&text_of(array, row), out),
        },
        DataType::List(item) => list(item, &list_values(array.as_list::<i32>(), row), out),
        DataType::LargeList(item) => list(item, &list_values(array.as_list::<i64>(), row), out),
        DataType::FixedSizeList(item, _) => list(item, &array.as_fixed_size_list().value(row), out),
        DataType::Struct(fields) => {
            let members = fields.iter().zip(array.as_struct().columns());
            write_object(members.map(|(field, column)| (field.name().as_str(), field.as_ref(), column)), row, out);
        }
        DataType::Dictionary(_, inner) => {
            let dictionary = array.as_any_dictionary();
            let field = Field::new("", inner.as_ref().clone(), true).with_metadata(field.metadata().clone());
            match dictionary.normalized_keys().get(row) {
                Some(key) => write_json(&field, dictionary.values().as_ref(), *key, out),
                None => out.push_str("null"),
            }
        }
        _ => string(&text_of(array, row), out),
    }
}

/// Appends a row of columns as an object, in their order.
pub(crate) fn write_object<'a>(members: impl Iterator<Item = (&'a str, &'a Field, &'a ArrayRef)>, row: usize, out: &mut String) {
    out.push('{');
    for (i, (name, field, column)) in members.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        write_json(field, column.as_ref(), row, out);
    }
    out.push('}');
}

/// The same as a value. A number that no float of 64 bits comes near is its text.
pub(crate) fn json(field: &Field, array: &dyn Array, row: usize) -> Value {
    let mut out = String::new();
    write_json(field, array, row, &mut out);
    serde_json::from_str(&out).unwrap_or(Value::String(out))
}

fn list(item: &Field, values: &ArrayRef, out: &mut String) {
    out.push('[');
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        write_json(item, values.as_ref(), row, out);
    }
    out.push(']');
}

fn string(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// A document without the blanks between its parts.
fn compact(text: &str, out: &mut String) {
    let (mut within, mut escaped) = (false, false);
    out.extend(text.chars().filter(|c| {
        if within {
            within = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        within = *c == '"';
        !c.is_ascii_whitespace()
    }));
}

/// Is a number's text one in JSON, too? `NaN` and `Infinity` are not.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading = digits.bytes().take_while(u8::is_ascii_digit).count();
    (leading == 1 || (leading > 1 && !digits.starts_with('0'))) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_tables::EXTENSION;
    use datafusion::arrow::array::{Float64Array, LargeStringArray, StringArray};

    fn written(field: &Field, array: &dyn Array) -> Vec<String> {
        let one = |row| {
            let mut out = String::new();
            write_json(field, array, row, &mut out);
            out
        };
        (0..array.len()).map(one).collect()
    }

    #[test]
    fn numbers_keep_their_digits() {
        let long = format!("1{}", "0".repeat(400));
        let texts = ["1.50", "123456789012345678901234567890.10", "-0.00", long.as_str(), "NaN", "-Infinity"];
        let numerics = LargeStringArray::from(texts.to_vec());
        let field = Field::new("n", DataType::LargeUtf8, true);
        assert_eq!(
            written(&field, &numerics),
            ["1.50", "123456789012345678901234567890.10", "-0.00", long.as_str(), "\"NaN\"", "\"-Infinity\""]
        );
        assert_eq!(json(&field, &numerics, 3), Value::String(long));
        let floats = Float64Array::from(vec![1e20, 0.1, f64::NAN]);
        assert_eq!(written(&Field::new("f", DataType::Float64, true), &floats), ["1e+20", "0.1", "\"NaN\""]);
    }

    #[test]
    fn documents_lose_their_blanks_only() {
        let field = Field::new("j", DataType::Utf8, true).with_metadata([(EXTENSION.to_owned(), "jsonb".to_owned())].into());
        let texts = [r#"{"a b": [1.50, "x  \" y", "\\"], "c": {}}"#, r#""two  words""#, "1.10", "{not json"];
        assert_eq!(
            written(&field, &StringArray::from(texts.to_vec())),
            [r#"{"a b":[1.50,"x  \" y","\\"],"c":{}}"#, r#""two  words""#, "1.10", r#""{not json""#]
        );
    }
}
