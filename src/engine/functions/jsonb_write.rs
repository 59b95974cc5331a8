//! Values as JSON text, a column at a time: canonical for jsonb, in PostgreSQL's spelling for json.

use super::array_agg::DOCUMENTS;
use super::row::{Value, fail, tag, timestamp_type};
use super::text_out;
use assay_tables::EXTENSION;
use assay_tables::jsonb::{canonical_number, cmp_keys, parse, unquote, write_string};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, TimestampMicrosecondType};
use datafusion::common::Result;
use std::sync::Arc;

/// Which of the two types is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Style {
    /// Canonical text.
    Jsonb,
    /// As PostgreSQL's functions of json write it: numbers and documents as they are.
    Json,
}

/// Appends the value at an index.
pub(super) type Write = Box<dyn Fn(usize, &mut String) -> Result<()>>;

/// A writer of an array's values: numbers and booleans as such, everything else that is no array or document as text.
pub(super) fn writer(array: &ArrayRef, field: &Field, style: Style) -> Result<Write> {
    let nulls = array.logical_nulls();
    let some = present(array, field, style)?;
    Ok(Box::new(move |at, out| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
            out.push_str("null");
            return Ok(());
        }
        some(at, out)
    }))
}

fn present(array: &ArrayRef, field: &Field, style: Style) -> Result<Write> {
    Ok(match (array.data_type(), tag(field)) {
        (DataType::Null, _) => Box::new(|_, out| {
            out.push_str("null");
            Ok(())
        }),
        (_, Some("json")) if style == Style::Jsonb => {
            let texts = text_out::texts(array)?;
            Box::new(move |at, out| {
                let document = parse(texts.value(at)).map_err(|error| super::row::json_error(&error))?;
                document.write(out);
                Ok(())
            })
        }
        (_, Some("jsonb" | "json")) => {
            let texts = text_out::texts(array)?;
            Box::new(move |at, out| {
                out.push_str(texts.value(at));
                Ok(())
            })
        }
        (DataType::Boolean, _) => {
            let values = array.as_boolean().clone();
            Box::new(move |at, out| {
                out.push_str(if values.value(at) { "true" } else { "false" });
                Ok(())
            })
        }
        (ty, _) if ty.is_integer() && *ty != DataType::UInt64 => {
            let values = cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Box::new(move |at, out| {
                let _ = std::fmt::Write::write_fmt(out, format_args!("{}", values.value(at)));
                Ok(())
            })
        }
        (ty, _) if ty.is_numeric() || *ty == super::numeric::TYPE => {
            let texts = text_out::texts(array)?;
            Box::new(move |at, out| {
                let text = texts.value(at);
                match (text.contains(['N', 'I']), style) {
                    (true, _) => write_string(text, out),
                    (false, Style::Json) => out.push_str(text),
                    (false, Style::Jsonb) => match canonical_number(text) {
                        Some(number) => out.push_str(&number),
                        None => write_string(text, out),
                    },
                }
                Ok(())
            })
        }
        (DataType::Timestamp(_, zone), _) => {
            let micros = cast(array, &timestamp_type(true))?.as_primitive::<TimestampMicrosecondType>().clone();
            let zone = if zone.is_some() { "+00:00" } else { "" };
            Box::new(move |at, out| {
                let mut shown = String::new();
                text_out::timestamp(micros.value(at), false, &mut shown);
                let (moment, era) = shown.strip_suffix(" BC").map_or((shown.as_str(), ""), |moment| (moment, " BC"));
                write_string(&(moment.replacen(' ', "T", 1) + zone + era), out);
                Ok(())
            })
        }
        (DataType::List(item), list_tag) => {
            let list = array.as_list::<i32>().clone();
            let documents = list_tag == Some(DOCUMENTS);
            let document = || item.as_ref().clone().with_metadata([(EXTENSION.to_string(), "jsonb".to_string())].into());
            let write = if documents { writer(list.values(), &document(), style)? } else { writer(list.values(), item, style)? };
            Box::new(move |at, out| {
                let offsets = list.value_offsets();
                out.push('[');
                for (nth, item) in (offsets[at] as usize..offsets[at + 1] as usize).enumerate() {
                    if nth > 0 {
                        out.push_str(if style == Style::Json { "," } else { ", " });
                    }
                    write(item, out)?;
                }
                out.push(']');
                Ok(())
            })
        }
        (DataType::LargeList(item) | DataType::FixedSizeList(item, _), _) => {
            let list = cast(array, &DataType::List(Arc::clone(item)))?;
            return present(&list, field, style);
        }
        (DataType::Struct(fields), _) => {
            let columns = array.as_struct();
            let values = fields.iter().zip(columns.columns()).map(|(field, column)| writer(column, field, style)).collect::<Result<_>>()?;
            // The planner names the fields of `row(…)` c0, c1 …
            let unnamed = fields.iter().enumerate().all(|(nth, field)| *field.name() == format!("c{nth}"));
            let name = |(nth, field): (usize, &Arc<Field>)| if unnamed { format!("f{}", nth + 1) } else { field.name().clone() };
            let members = Members::new(fields.iter().enumerate().map(name).collect(), values, style, Colon::Tight);
            Box::new(move |at, out| members.write(at, out))
        }
        _ => {
            let texts = text_out::texts(array)?;
            Box::new(move |at, out| {
                write_string(texts.value(at), out);
                Ok(())
            })
        }
    })
}

/// How json sets names off from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colon {
    /// `{"a":1,"b":2}`, as rows are written.
    Tight,
    /// `{"a" : 1, "b" : 2}`, as built objects are.
    Wide,
}

/// Objects whose names are the same in every row.
pub(super) struct Members {
    /// What stands before each value, and the value.
    parts: Vec<(String, Write)>,
}

impl Members {
    pub(super) fn new(names: Vec<String>, values: Vec<Write>, style: Style, colon: Colon) -> Members {
        let mut all: Vec<(String, Write)> = names.into_iter().zip(values).collect();
        if style == Style::Jsonb {
            // Of members with the same name the last one stays.
            all.reverse();
            all.sort_by(|(a, _), (b, _)| cmp_keys(a, b));
            all.dedup_by(|(a, _), (b, _)| a == b);
        }
        let (between, behind) = separators(style, colon);
        let parts = all.into_iter().enumerate().map(|(nth, (name, write))| {
            let mut lead = if nth > 0 { between } else { "" }.to_string();
            write_string(&name, &mut lead);
            (lead + behind, write)
        });
        Members { parts: parts.collect() }
    }

    pub(super) fn write(&self, at: usize, out: &mut String) -> Result<()> {
        out.push('{');
        for (lead, write) in &self.parts {
            out.push_str(lead);
            write(at, out)?;
        }
        out.push('}');
        Ok(())
    }
}

/// What stands between members, and between a name and its value.
fn separators(style: Style, colon: Colon) -> (&'static str, &'static str) {
    match (style, colon) {
        (Style::Jsonb, _) => (", ", ": "),
        (Style::Json, Colon::Tight) => (",", ":"),
        (Style::Json, Colon::Wide) => (", ", " : "),
    }
}

/// An object whose names are known only now.
pub(super) fn write_members(mut members: Vec<(String, String)>, style: Style, out: &mut String) {
    if style == Style::Jsonb {
        members.reverse();
        members.sort_by(|(a, _), (b, _)| cmp_keys(a, b));
        members.dedup_by(|(a, _), (b, _)| a == b);
    }
    let (between, behind) = separators(style, Colon::Wide);
    out.push('{');
    for (nth, (name, value)) in members.iter().enumerate() {
        out.push_str(if nth > 0 { between } else { "" });
        write_string(name, out);
        out.push_str(behind);
        out.push_str(value);
    }
    out.push('}');
}

/// A member's name from a scalar's JSON text.
pub(super) fn name_of(json: &str) -> Option<String> {
    match json.as_bytes().first() {
        Some(b'"') => Some(unquote(json).into_owned()),
        Some(b'{' | b'[') => None,
        _ => Some(json.to_string()),
    }
}

/// Documents, comma-separated, as an array.
pub(super) fn joined<'a>(items: impl Iterator<Item = Option<&'a str>>) -> Result<Value<'a>> {
    let mut out = String::from("[");
    for (nth, item) in items.enumerate() {
        out.push_str(if nth > 0 { ", " } else { "" });
        let item = item.unwrap_or("null");
        // Rows and arrays begin a line, but for the first.
        out.push_str(if nth > 0 { item } else { item.trim_start() });
    }
    out.push(']');
    if out.len() > i32::MAX as usize / 2 { fail("total size of jsonb array elements exceeds the maximum") } else { Ok(out.into()) }
}
