//! Text functions whose PostgreSQL meaning DataFusion's namesakes miss.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] =
    &[
        Def::new("concat", &[Kind::Any], Ret::Text, |row| Ok(shown(row, 0)?.concat().into())).rest(Kind::Any).sees_nulls(),
        Def::new("concat_ws", &[Kind::Text], Ret::Text, |row| {
            if row.null(0) { Ok(Value::Null) } else { Ok(shown(row, 1)?.join(row.text(0)).into()) }
        })
        .rest(Kind::Any)
        .sees_nulls(),
        Def::new("format", &[Kind::Text], Ret::Text, format).rest(Kind::Any).sees_nulls(),
        Def::new("quote_literal", &[Kind::Text], Ret::Text, |row| Ok(quote_literal(row.text(0)).into())),
        Def::new("quote_nullable", &[Kind::Text], Ret::Text, |row| {
            Ok(if row.null(0) { "NULL".into() } else { quote_literal(row.text(0)).into() })
        })
        .sees_nulls(),
        Def::new("text ^@", &[Kind::Text, Kind::Text], Ret::Bool, |row| Ok(Value::Bool(row.text(0).starts_with(row.text(1))))),
        Def::new("upper", &[Kind::Text], Ret::Text, |row| {
            Ok(cased(row.text(0), str::to_ascii_uppercase, |c| only(c.to_uppercase(), c)).into())
        }),
        Def::new("lower", &[Kind::Text], Ret::Text, |row| {
            Ok(cased(row.text(0), str::to_ascii_lowercase, |c| only(c.to_lowercase(), c)).into())
        }),
        Def::new("to_hex", &[Kind::Any], Ret::Text, |row| {
            let (col, at) = row.col(0);
            let value = super::cast::to_int(&col.array.slice(at, 1))?;
            let value = value.as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0);
            Ok(match col.array.data_type() {
                DataType::Int32 | DataType::Int16 => format!("{:x}", value as i32),
                _ => format!("{value:x}"),
            }
            .into())
        }),
        Def::new("chr", &[Kind::Int], Ret::Text, |row| match u32::try_from(row.int(0)) {
            Ok(0) => fail("null character not permitted"),
            Err(_) if row.int(0) < 0 => fail("character number must be positive"),
            Ok(code) => match char::from_u32(code) {
                Some(c) => Ok(c.to_string().into()),
                None => fail(format!("requested character not valid for encoding: {code}")),
            },
            Err(_) => fail(format!("requested character too large for encoding: {}", row.int(0))),
        }),
        Def::new("parse_ident", &[Kind::Text], Ret::Texts, |row| parse_ident(row.text(0))),
        Def::new("unistr", &[Kind::Text], Ret::Text, |row| unistr(row.text(0)).map(Value::from)),
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

/// One `%` of a format.
#[derive(Debug, Default)]
struct Spec {
    /// The argument asked for by its number.
    position: Option<usize>,
    left: bool,
    width: Option<i64>,
    /// The width is an argument: the next one, or that one.
    width_from: Option<Option<usize>>,
}

fn format(row: Row<'_>) -> Result<Value<'_>> {
    if row.null(0) {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    let mut last = 0;
    let mut chars = row.text(0).chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = spec(&mut chars)?;
        let Some(kind) = chars.next() else { return fail("unterminated format() type specifier") };
        if kind == '%' {
            out.push('%');
            continue;
        }
        if !matches!(kind, 's' | 'I' | 'L') {
            return fail(format!("unrecognized format() type specifier \"{kind}\""));
        }
        let mut left = spec.left;
        let mut width = spec.width.unwrap_or(0);
        if let Some(from) = spec.width_from {
            last = from.unwrap_or(last + 1);
            width = argument(row, last)?
                .map_or(Ok(0), |text| text.trim().parse::<i64>())
                .or_else(|_| fail("the width of format() is no integer"))?;
            left |= width < 0;
        }
        last = spec.position.unwrap_or(last + 1);
        let text = match (kind, argument(row, last)?) {
            ('I', None) => return fail("null values cannot be formatted as an SQL identifier"),
            ('I', Some(value)) => quote_ident(&value),
            ('L', value) => value.map_or("NULL".to_string(), |value| quote_literal(&value)),
            (_, value) => value.unwrap_or_default(),
        };
        let wide = usize::try_from(width.unsigned_abs()).unwrap_or(0).min(100_000_000);
        let blanks = wide.saturating_sub(text.chars().count());
        if !left {
            out.extend(std::iter::repeat_n(' ', blanks));
        }
        out.push_str(&text);
        if left {
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    Ok(out.into())
}

fn argument(row: Row<'_>, k: usize) -> Result<Option<String>> {
    if k >= row.len() {
        return fail("too few arguments for format()");
    }
    if row.null(k) { Ok(None) } else { output(row, k).map(Some) }
}

fn spec(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Spec> {
    let mut spec = Spec::default();
    let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Result<Option<i64>> {
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse::<i32>() {
            Ok(value) => Ok(Some(value.into())),
            Err(_) => fail("number is out of range"),
        }
    };
    let position = |value: i64| -> Result<usize> {
        match usize::try_from(value) {
            Ok(value) if value > 0 => Ok(value),
            _ => fail("format specifies argument 0, but arguments are numbered from 1"),
        }
    };
    if let Some(value) = number(chars)? {
        if chars.next_if_eq(&'$').is_none() {
            spec.width = Some(value);
            return Ok(spec);
        }
        spec.position = Some(position(value)?);
    }
    while chars.next_if_eq(&'-').is_some() {
        spec.left = true;
    }
    if chars.next_if_eq(&'*').is_some() {
        spec.width_from = Some(match number(chars)? {
            Some(value) if chars.next_if_eq(&'$').is_some() => Some(position(value)?),
            Some(_) => return fail("width argument position must be ended by \"$\""),
            None => None,
        });
    } else {
        spec.width = number(chars)?;
    }
    Ok(spec)
}

fn quote_literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The other case of a character, where it is one character too.
fn only(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(mapped), None) => mapped,
        _ => c,
    }
}

fn cased(text: &str, ascii: fn(&str) -> String, of: fn(char) -> char) -> String {
    if text.is_ascii() { ascii(text) } else { text.chars().map(of).collect() }
}

/// The parts of a qualified name.
fn parse_ident(text: &str) -> Result<Value<'static>> {
    let invalid = || fail(format!("string is not a valid identifier: \"{text}\""));
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut tail = quoted;
            loop {
                let Some(end) = tail.find('"') else { return invalid() };
                name.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        name.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            if name.is_empty() {
                return invalid();
            }
            parts.push(Some(name.into()));
            rest = tail.trim_start();
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
            if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return invalid();
            }
            parts.push(Some(rest[..end].to_lowercase().into()));
            rest = rest[end..].trim_start();
        }
        match rest.strip_prefix('.') {
            Some(tail) => rest = tail.trim_start(),
            None if rest.is_empty() => return Ok(Value::Texts(parts)),
            None => return invalid(),
        }
    }
}

/// Words that cannot name anything without quotes, or only some things.
const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast \
    char character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
    extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer \
    intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none \
    normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real \
    references returning right row select session_user setof similar smallint some substring symmetric table tablesample then time \
    timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes \
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";

fn quote_ident(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !KEYWORDS.contains(&format!(" {text} "));
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// `\0061`, `\+01F600`, `\u0061`, `\U0001F600` and `\\` as the characters they stand for.
fn unistr(text: &str) -> Result<String> {
    let invalid = || fail("invalid Unicode escape");
    let mut out = String::with_capacity(text.len());
    let mut first: Option<u32> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c != '\\' || rest[1..].starts_with('\\') {
            if first.is_some() {
                return fail("invalid Unicode surrogate pair");
            }
            out.push(c);
            rest = &rest[c.len_utf8() + usize::from(c == '\\')..];
            continue;
        }
        let (skip, width) = match rest[1..].chars().next() {
            Some('+') => (2, 6),
            Some('u') => (2, 4),
            Some('U') => (2, 8),
            _ => (1, 4),
        };
        let Some(digits) = rest.get(skip..skip + width).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) else {
            return invalid();
        };
        let Ok(code) = u32::from_str_radix(digits, 16) else { return invalid() };
        rest = &rest[skip + width..];
        match (first.take(), code) {
            (None, 0xd800..=0xdbff) => first = Some(code),
            (Some(high), 0xdc00..=0xdfff) => match char::from_u32(0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00)) {
                Some(c) => out.push(c),
                None => return invalid(),
            },
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return fail("invalid Unicode surrogate pair"),
            (None, code) => match char::from_u32(code).filter(|c| *c != '\0') {
                Some(c) => out.push(c),
                None => return fail(format!("invalid Unicode code point: {code:04x}")),
            },
        }
    }
    if first.is_some() { fail("invalid Unicode surrogate pair") } else { Ok(out) }
}
