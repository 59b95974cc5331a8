//! Reading jsonb: `->`, `->>`, `#>`, `#>>`, type and length, and the lists behind the set-returning functions.

use super::jsonb_scan::{as_text, element, elements, kind, member, members, path};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use assay_tables::jsonb::unquote;
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_get", &[Kind::Jsonb, Kind::Text], Ret::Jsonb, |row| Ok(member(row.text(0), row.text(1)).into())),
    Def::new("jsonb_get_text", &[Kind::Jsonb, Kind::Text], Ret::Text, |row| Ok(text(member(row.text(0), row.text(1))))),
    Def::new("jsonb_get_index", &[Kind::Jsonb, Kind::Int], Ret::Jsonb, |row| Ok(indexed(row).into())),
    // A subscript, unlike `->`, does not take a scalar for an array.
    Def::new("jsonb_get_element", &[Kind::Jsonb, Kind::Int], Ret::Jsonb, |row| Ok(element(row.text(0), row.int(1)).into())),
    Def::new("jsonb_get_index_text", &[Kind::Jsonb, Kind::Int], Ret::Text, |row| Ok(text(indexed(row)))),
    Def::new("jsonb_get_path", &[Kind::Jsonb, Kind::Texts], Ret::Jsonb, |row| Ok(path(row.text(0), &row.texts(1)).into())),
    Def::new("jsonb_get_path_text", &[Kind::Jsonb, Kind::Texts], Ret::Text, |row| Ok(text(path(row.text(0), &row.texts(1))))),
    Def::new("jsonb_extract_path", &[Kind::Jsonb], Ret::Jsonb, |row| Ok(path(row.text(0), &steps(row)).into())).rest(Kind::Text),
    Def::new("jsonb_extract_path_text", &[Kind::Jsonb], Ret::Text, |row| Ok(text(path(row.text(0), &steps(row))))).rest(Kind::Text),
    Def::new("json_extract_path", &[Kind::Jsonb], Ret::Jsonb, |row| Ok(path(row.text(0), &steps(row)).into())).rest(Kind::Text),
    Def::new("json_extract_path_text", &[Kind::Jsonb], Ret::Text, |row| Ok(text(path(row.text(0), &steps(row))))).rest(Kind::Text),
    Def::new("jsonb_typeof", &[Kind::Jsonb], Ret::Text, |row| Ok(kind(row.text(0)).into())),
    Def::new("json_typeof", &[Kind::Jsonb], Ret::Text, |row| Ok(kind(row.text(0)).into())),
    Def::new("jsonb_array_length", &[Kind::Jsonb], Ret::Int, length),
    Def::new("json_array_length", &[Kind::Jsonb], Ret::Int, length),
    Def::new("jsonb_array_elements", &[Kind::Jsonb], Ret::Jsonbs, list),
    Def::new("json_array_elements", &[Kind::Jsonb], Ret::Jsonbs, list),
    Def::new("jsonb_array_elements_text", &[Kind::Jsonb], Ret::Texts, list_text),
    Def::new("json_array_elements_text", &[Kind::Jsonb], Ret::Texts, list_text),
    Def::new("jsonb_object_keys", &[Kind::Jsonb], Ret::Texts, |row| keys(row, "jsonb_object_keys")),
    Def::new("json_object_keys", &[Kind::Jsonb], Ret::Texts, |row| keys(row, "json_object_keys")),
    Def::new("jsonb_each_keys", &[Kind::Jsonb], Ret::Texts, |row| {
        object(row)?;
        Ok(Value::Texts(members(row.text(0)).map(|(name, _)| Some(unquote(name))).collect()))
    }),
    Def::new("jsonb_each_values", &[Kind::Jsonb], Ret::Jsonbs, |row| {
        object(row)?;
        Ok(Value::Texts(members(row.text(0)).map(|(_, value)| Some(value.into())).collect()))
    }),
    Def::new("jsonb_each_values_text", &[Kind::Jsonb], Ret::Texts, |row| {
        object(row)?;
        Ok(Value::Texts(members(row.text(0)).map(|(_, value)| as_text(value)).collect()))
    }),
];

fn text(value: Option<&str>) -> Value<'_> {
    value.and_then(as_text).map_or(Value::Null, Value::Text)
}

/// A scalar is, for this operator, an array of one.
fn indexed(row: Row<'_>) -> Option<&str> {
    match kind(row.text(0)) {
        "array" => element(row.text(0), row.int(1)),
        "object" => None,
        _ => matches!(row.int(1), 0 | -1).then(|| row.text(0)),
    }
}

fn steps(row: Row<'_>) -> Vec<Option<&str>> {
    (1..row.len()).map(|k| Some(row.text(k))).collect()
}

fn length(row: Row<'_>) -> Result<Value<'_>> {
    match kind(row.text(0)) {
        "array" => Ok(Value::Int(elements(row.text(0)).count() as i64)),
        "object" => fail("cannot get array length of a non-array"),
        _ => fail("cannot get array length of a scalar"),
    }
}

fn array(row: Row<'_>) -> Result<()> {
    match kind(row.text(0)) {
        "array" => Ok(()),
        "object" => fail("cannot extract elements from an object"),
        _ => fail("cannot extract elements from a scalar"),
    }
}

fn object(row: Row<'_>) -> Result<()> {
    if kind(row.text(0)) == "object" { Ok(()) } else { fail("cannot call jsonb_each on a non-object") }
}

fn list(row: Row<'_>) -> Result<Value<'_>> {
    array(row)?;
    Ok(Value::Texts(elements(row.text(0)).map(|value| Some(value.into())).collect()))
}

fn list_text(row: Row<'_>) -> Result<Value<'_>> {
    array(row)?;
    Ok(Value::Texts(elements(row.text(0)).map(as_text).collect()))
}

fn keys<'a>(row: Row<'a>, function: &str) -> Result<Value<'a>> {
    match kind(row.text(0)) {
        "object" => Ok(Value::Texts(members(row.text(0)).map(|(name, _)| Some(unquote(name))).collect())),
        "array" => fail(format!("cannot call {function} on an array")),
        _ => fail(format!("cannot call {function} on a scalar")),
    }
}
