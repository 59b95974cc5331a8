//! Reading jsonb: paths of any length, type and length, and the lists behind the set-returning functions.

use super::arrays::text_lists;
use super::jsonb_scan::{as_text, elements, kind, last_member, member, members};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use assay_tables::jsonb::unquote;
use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::common::Result;
use std::sync::Arc;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_typeof", &[Kind::Jsonb], Ret::Text, |row| Ok(kind(row.text(0)).into())),
    Def::new("json_typeof", &[Kind::Json], Ret::Text, |row| Ok(kind(row.text(0)).into())),
    Def::new("jsonb_array_length", &[Kind::Jsonb], Ret::Int, length),
    Def::new("json_array_length", &[Kind::Json], Ret::Int, length),
    Def::new("jsonb_array_elements", &[Kind::Jsonb], Ret::Jsonbs, list),
    Def::new("json_array_elements", &[Kind::Json], Ret::Jsonbs, list),
    Def::new("jsonb_array_elements_text", &[Kind::Jsonb], Ret::Texts, list_text),
    Def::new("json_array_elements_text", &[Kind::Json], Ret::Texts, list_text),
    Def::new("jsonb_object_keys", &[Kind::Jsonb], Ret::Texts, |row| keys(row, "jsonb_object_keys")),
    Def::new("json_object_keys", &[Kind::Json], Ret::Texts, |row| keys(row, "json_object_keys")),
    Def::new("jsonb_each_keys", &[Kind::Jsonb], Ret::Texts, each_keys),
    Def::new("jsonb_each_values", &[Kind::Jsonb], Ret::Jsonbs, each_values),
    Def::new("jsonb_each_values_text", &[Kind::Jsonb], Ret::Texts, each_texts),
    Def::new("jsonb_record", &[Kind::Jsonb], Ret::Jsonbs, record).sees_nulls(),
    Def::new("json_record", &[Kind::Json], Ret::Jsonbs, record).sees_nulls(),
    Def::new("jsonb_records", &[Kind::Jsonb], Ret::Jsonbs, |row| records(row, "jsonb_to_recordset")),
    Def::new("json_records", &[Kind::Json], Ret::Jsonbs, |row| records(row, "json_to_recordset")),
    Def::new("json_record_document", &[Kind::Json, Kind::Text], Ret::Json, |row| {
        Ok(last_member(row.text(0), row.text(1)).filter(|value| kind(value) != "null").into())
    }),
    // A column of a record: JSON null is NULL.
    Def::new("jsonb_record_document", &[Kind::Jsonb, Kind::Text], Ret::Jsonb, |row| {
        Ok(member(row.text(0), row.text(1)).filter(|value| kind(value) != "null").into())
    }),
    Def::new("jsonb_record_list", &[Kind::Jsonb, Kind::Text], Ret::Texts, |row| {
        let Some(value) = member(row.text(0), row.text(1)) else { return Ok(Value::Null) };
        match kind(value) {
            "array" => Ok(Value::Texts(elements(value).map(as_text).collect())),
            "null" => Ok(Value::Null),
            "string" => array_literal(&unquote(value)),
            _ => fail("expected JSON array"),
        }
    }),
    Def::new("jsonb_record_documents", &[Kind::Jsonb, Kind::Text], Ret::Jsonbs, |row| {
        let Some(value) = member(row.text(0), row.text(1)) else { return Ok(Value::Null) };
        match kind(value) {
            "array" => Ok(Value::Texts(elements(value).map(|item| (kind(item) != "null").then(|| item.into())).collect())),
            "null" => Ok(Value::Null),
            _ => fail("expected JSON array"),
        }
    }),
    Def::new("json_each_keys", &[Kind::Json], Ret::Texts, each_keys),
    Def::new("json_each_values", &[Kind::Json], Ret::Jsonbs, each_values),
    Def::new("json_each_values_text", &[Kind::Json], Ret::Texts, each_texts),
];

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

/// The elements of an array literal.
fn array_literal<'a>(text: &str) -> Result<Value<'a>> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let list = text_lists(&texts)?.as_list::<i32>().value(0);
    Ok(Value::Texts(list.as_string::<i32>().iter().map(|item| item.map(|item| item.to_string().into())).collect()))
}

fn record(row: Row<'_>) -> Result<Value<'_>> {
    if row.null(0) {
        return Ok(Value::Texts(vec![None]));
    }
    match kind(row.text(0)) {
        "object" => Ok(Value::Texts(vec![Some(row.text(0).into())])),
        "array" => fail("cannot call populate_composite on an array"),
        _ => fail("cannot call populate_composite on a scalar"),
    }
}

fn records<'a>(row: Row<'a>, function: &str) -> Result<Value<'a>> {
    if kind(row.text(0)) != "array" {
        return fail(format!("cannot call {function} on a non-array"));
    }
    let objects: Vec<&str> = elements(row.text(0)).collect();
    if objects.iter().any(|object| kind(object) != "object") {
        return fail(format!("argument of {function} must be an array of objects"));
    }
    Ok(Value::Texts(objects.into_iter().map(|object| Some(object.into())).collect()))
}

fn each_keys(row: Row<'_>) -> Result<Value<'_>> {
    object(row)?;
    Ok(Value::Texts(members(row.text(0)).map(|(name, _)| Some(unquote(name))).collect()))
}

fn each_values(row: Row<'_>) -> Result<Value<'_>> {
    object(row)?;
    Ok(Value::Texts(members(row.text(0)).map(|(_, value)| Some(value.into())).collect()))
}

fn each_texts(row: Row<'_>) -> Result<Value<'_>> {
    object(row)?;
    Ok(Value::Texts(members(row.text(0)).map(|(_, value)| as_text(value)).collect()))
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
