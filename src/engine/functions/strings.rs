//! Text functions whose PostgreSQL meaning DataFusion's namesakes miss.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("concat", &[Kind::Any], Ret::Text, |row| Ok(shown(row, 0)?.concat().into())).rest(Kind::Any).sees_nulls(),
    Def::new("concat_ws", &[Kind::Text], Ret::Text, |row| {
        if row.null(0) { Ok(Value::Null) } else { Ok(shown(row, 1)?.join(row.text(0)).into()) }
    })
    .rest(Kind::Any)
    .sees_nulls(),
    Def::new("format", &[Kind::Text], Ret::Text, format).rest(Kind::Any).sees_nulls(),
    Def::new("quote_literal", &[Kind::Text], Ret::Text, |row| Ok(quote_literal(row.text(0)).into())),
    Def::new("quote_ident", &[Kind::Text], Ret::Text, |row| Ok(quote_ident(row.text(0)).into())),
];

/// The output text of the arguments from `k` on that are not NULL; booleans as `t` and `f`, unlike their casts.
fn shown(row: Row<'_>, from: usize) -> Result<Vec<String>> {
    (from..row.len()).filter(|k| !row.null(*k)).map(|k| output(row, k)).collect()
}

fn output(row: Row<'_>, k: usize) -> Result<String> {
    let (col, at) = row.col(k);
    if *col.array.data_type() == DataType::Boolean {
        return Ok(if col.array.as_boolean().value(at) { "t" } else { "f" }.to_string());
    }
    Ok(text_out::texts(&col.array.slice(at, 1))?.value(0).to_string())
}

fn format(row: Row<'_>) -> Result<Value<'_>> {
    if row.null(0) {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    let mut next = 1;
    let mut chars = row.text(0).chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if chars.next_if_eq(&'$').is_some() {
            next = digits.parse().unwrap_or(0);
            digits.clear();
        }
        let conversion = chars.next();
        if conversion == Some('%') {
            out.push('%');
            continue;
        }
        if next == 0 || next >= row.len() {
            return fail("too few arguments for format()");
        }
        let value = if row.null(next) { None } else { Some(output(row, next)?) };
        next += 1;
        let text = match (conversion, value) {
            (Some('s'), value) => value.unwrap_or_default(),
            (Some('I'), Some(value)) => quote_ident(&value),
            (Some('I'), None) => return fail("null values cannot be formatted as an SQL identifier"),
            (Some('L'), value) => value.map_or("NULL".to_string(), |value| quote_literal(&value)),
            (Some(other), _) => return fail(format!("unrecognized format() type specifier \"{other}\"")),
            (None, _) => return fail("unterminated format() type specifier"),
        };
        let width: usize = digits.parse().unwrap_or(0);
        out.extend(std::iter::repeat_n(' ', width.saturating_sub(text.chars().count())));
        out.push_str(&text);
    }
    Ok(out.into())
}

fn quote_literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn quote_ident(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
