//! Making jsonb: `to_jsonb`, builders, aggregates' last step, editing.

use super::array_agg::DOCUMENTS;
use super::jsonb_test::{compare, node};
use super::row::{Def, Kind, Ret, Row, Value, fail, tag, timestamp_type};
use super::text_out;
use assay_tables::jsonb::Node;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("to_jsonb", &[Kind::Any], Ret::Jsonb, |row| Ok(argument(row, 0)?.to_text().into())),
    Def::new("to_json", &[Kind::Any], Ret::Jsonb, |row| Ok(argument(row, 0)?.to_text().into())),
    Def::new("array_to_json", &[Kind::Any], Ret::Jsonb, |row| Ok(argument(row, 0)?.to_text().into())),
    Def::new("jsonb_build_array", &[], Ret::Jsonb, build_array).rest(Kind::Any).sees_nulls(),
    Def::new("json_build_array", &[], Ret::Jsonb, build_array).rest(Kind::Any).sees_nulls(),
    Def::new("jsonb_build_object", &[], Ret::Jsonb, build_object).rest(Kind::Any).sees_nulls(),
    Def::new("json_build_object", &[], Ret::Jsonb, build_object).rest(Kind::Any).sees_nulls(),
    Def::new("jsonb_object", &[Kind::Texts, Kind::Texts], Ret::Jsonb, object_of_texts).required(1),
    Def::new("jsonb_array_of", &[Kind::Texts], Ret::Jsonb, |row| {
        let items = row.texts(0).into_iter().map(|text| text.map_or(Ok(Node::Null), node)).collect::<Result<_>>()?;
        Ok(Node::Array(items).to_text().into())
    }),
    // DISTINCT sorts: the values in jsonb's order, from the greatest on if asked.
    Def::new("jsonb_sorted_array_of", &[Kind::Texts, Kind::Bool], Ret::Jsonb, |row| {
        let mut items = row.texts(0).into_iter().map(|text| text.map(node).transpose()).collect::<Result<Vec<_>>>()?;
        items.sort_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        if row.bool(1) {
            items.reverse();
        }
        Ok(Node::Array(items.into_iter().map(|item| item.unwrap_or(Node::Null)).collect()).to_text().into())
    }),
    Def::new("jsonb_pair", &[Kind::Text, Kind::Any], Ret::Jsonb, |row| {
        if row.null(0) {
            return fail("field name must not be null");
        }
        Ok(Node::Array(vec![Node::String(row.text(0).to_string()), argument(row, 1)?]).to_text().into())
    })
    .sees_nulls(),
    Def::new("jsonb_object_of", &[Kind::Texts], Ret::Jsonb, |row| {
        let mut members = Vec::new();
        for pair in row.texts(0).into_iter().flatten() {
            if let Node::Array(items) = node(pair)?
                && let [Node::String(name), value] = items.as_slice()
            {
                members.push((name.clone(), value.clone()));
            }
        }
        Ok(Node::object(members).to_text().into())
    }),
    // Stands for a row until the plan says what columns it has.
    Def::new("whole_row", &[Kind::Text], Ret::Int, |_| fail("a whole row is no value here")),
    // Gives a text that is canonical jsonb already its tag.
    Def::new("jsonb_tag", &[Kind::Text], Ret::Jsonb, |row| Ok(row.text(0).into())),
    Def::new("jsonb_strip_nulls", &[Kind::Jsonb], Ret::Jsonb, |row| Ok(strip_nulls(node(row.text(0))?).to_text().into())),
    Def::new("jsonb_pretty", &[Kind::Jsonb], Ret::Text, |row| {
        let mut out = String::new();
        pretty(&node(row.text(0))?, 0, &mut out);
        Ok(out.into())
    }),
    Def::new("jsonb_concat", &[Kind::Jsonb, Kind::Jsonb], Ret::Jsonb, |row| {
        Ok(concat(node(row.text(0))?, node(row.text(1))?).to_text().into())
    }),
    Def::new("jsonb_delete", &[Kind::Jsonb, Kind::Text], Ret::Jsonb, |row| delete(row, &[Some(row.text(1))])),
    Def::new("jsonb_delete_keys", &[Kind::Jsonb, Kind::Texts], Ret::Jsonb, |row| delete(row, &row.texts(1))),
    Def::new("jsonb_delete_index", &[Kind::Jsonb, Kind::Int], Ret::Jsonb, |row| match node(row.text(0))? {
        Node::Array(mut items) => {
            if let Some(at) = position(items.len(), row.int(1)) {
                items.remove(at);
            }
            Ok(Node::Array(items).to_text().into())
        }
        Node::Object(_) => fail("cannot delete from object using integer index"),
        _ => fail("cannot delete from scalar"),
    }),
    Def::new("jsonb_delete_path", &[Kind::Jsonb, Kind::Texts], Ret::Jsonb, |row| {
        let mut document = node(row.text(0))?;
        if !matches!(document, Node::Array(_) | Node::Object(_)) {
            return fail("cannot delete path in scalar");
        }
        delete_path(&mut document, &row.texts(1));
        Ok(document.to_text().into())
    }),
    Def::new("jsonb_set", &[Kind::Jsonb, Kind::Texts, Kind::Jsonb, Kind::Bool], Ret::Jsonb, |row| {
        let mut document = node(row.text(0))?;
        if !matches!(document, Node::Array(_) | Node::Object(_)) {
            return fail("cannot set path in scalar");
        }
        set(&mut document, &row.texts(1), &node(row.text(2))?, row.len() < 4 || row.bool(3));
        Ok(document.to_text().into())
    })
    .required(3),
];

fn argument(row: Row<'_>, k: usize) -> Result<Node> {
    let (col, at) = row.col(k);
    value(&col.array, &col.field, at)
}

/// A value as jsonb: numbers and booleans as such, everything else that is no array or document as text.
fn value(array: &ArrayRef, field: &Field, at: usize) -> Result<Node> {
    if *array.data_type() == DataType::Null || array.is_null(at) {
        return Ok(Node::Null);
    }
    let one = array.slice(at, 1);
    let text = |array: &ArrayRef| -> Result<String> { Ok(text_out::texts(array)?.value(0).to_string()) };
    Ok(match array.data_type() {
        _ if tag(field) == Some("jsonb") => node(&text(&one)?)?,
        DataType::Boolean => Node::Bool(array.as_boolean().value(at)),
        ty if ty.is_numeric() || *ty == super::numeric::TYPE => {
            let number = text(&one)?;
            match assay_tables::jsonb::canonical_number(&number).filter(|_| !number.contains(['N', 'I'])) {
                Some(number) => Node::Number(number),
                None => Node::String(number),
            }
        }
        DataType::Timestamp(_, zone) => {
            let micros = cast(&one, &timestamp_type(true))?.as_primitive::<TimestampMicrosecondType>().value(0);
            let mut shown = String::new();
            text_out::timestamp(micros, false, &mut shown);
            Node::String(shown.replacen(' ', "T", 1) + if zone.is_some() { "+00:00" } else { "" })
        }
        DataType::List(_) if tag(field) == Some(DOCUMENTS) => {
            let values = text_out::texts(&array.as_list::<i32>().value(at))?;
            Node::Array(values.iter().map(|text| text.map_or(Ok(Node::Null), node)).collect::<Result<_>>()?)
        }
        DataType::List(item) => {
            let values = array.as_list::<i32>().value(at);
            Node::Array((0..values.len()).map(|i| value(&values, item, i)).collect::<Result<_>>()?)
        }
        _ => Node::String(text(&one)?),
    })
}

fn build_array(row: Row<'_>) -> Result<Value<'_>> {
    let items = (0..row.len()).map(|k| argument(row, k)).collect::<Result<_>>()?;
    Ok(Node::Array(items).to_text().into())
}

fn build_object(row: Row<'_>) -> Result<Value<'_>> {
    if row.len() % 2 == 1 {
        return fail("argument list must have even number of elements");
    }
    let mut members = Vec::with_capacity(row.len() / 2);
    for k in (0..row.len()).step_by(2) {
        let name = match argument(row, k)? {
            Node::Null => return fail(format!("argument {}: key must not be null", k + 1)),
            Node::String(name) => name,
            Node::Array(_) | Node::Object(_) => return fail("key value must be scalar, not array, composite, or json"),
            scalar => scalar.to_text(),
        };
        members.push((name, argument(row, k + 1)?));
    }
    Ok(Node::object(members).to_text().into())
}

fn object_of_texts(row: Row<'_>) -> Result<Value<'_>> {
    let names = row.texts(0);
    let pairs: Vec<(Option<&str>, Option<&str>)> = if row.len() > 1 {
        let values = row.texts(1);
        if names.len() != values.len() {
            return fail("mismatched array dimensions");
        }
        names.into_iter().zip(values).collect()
    } else if names.len() % 2 == 1 {
        return fail("array must have even number of elements");
    } else {
        names.chunks(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let mut members = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let Some(name) = name else { return fail("null value not allowed for object key") };
        members.push((name.to_string(), value.map_or(Node::Null, |value| Node::String(value.to_string()))));
    }
    Ok(Node::object(members).to_text().into())
}

fn strip_nulls(document: Node) -> Node {
    match document {
        Node::Object(members) => Node::Object(
            members.into_iter().filter(|(_, value)| *value != Node::Null).map(|(name, value)| (name, strip_nulls(value))).collect(),
        ),
        Node::Array(items) => Node::Array(items.into_iter().map(strip_nulls).collect()),
        other => other,
    }
}

fn pretty(document: &Node, depth: usize, out: &mut String) {
    let pad = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 4));
    };
    match document {
        Node::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                pad(out, depth + 1);
                pretty(item, depth + 1, out);
            }
            pad(out, depth);
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                pad(out, depth + 1);
                assay_tables::jsonb::write_string(name, out);
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            pad(out, depth);
            out.push('}');
        }
        scalar => scalar.write(out),
    }
}

fn concat(a: Node, b: Node) -> Node {
    match (a, b) {
        (Node::Object(x), Node::Object(y)) => Node::object(x.into_iter().chain(y)),
        (a, b) => {
            let items = |node| match node {
                Node::Array(items) => items,
                other => vec![other],
            };
            let mut all = items(a);
            all.extend(items(b));
            Node::Array(all)
        }
    }
}

fn delete<'a>(row: Row<'a>, names: &[Option<&str>]) -> Result<Value<'a>> {
    let listed = |name: &str| names.iter().flatten().any(|wanted| *wanted == name);
    let left = match node(row.text(0))? {
        Node::Object(members) => Node::Object(members.into_iter().filter(|(name, _)| !listed(name)).collect()),
        Node::Array(items) => Node::Array(items.into_iter().filter(|item| !matches!(item, Node::String(text) if listed(text))).collect()),
        _ => return fail("cannot delete from scalar"),
    };
    Ok(left.to_text().into())
}

fn position(length: usize, index: i64) -> Option<usize> {
    let at = if index < 0 { i64::try_from(length).ok()?.checked_add(index)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

fn delete_path(document: &mut Node, path: &[Option<&str>]) {
    let Some((Some(step), rest)) = path.split_first().map(|(step, rest)| (*step, rest)) else { return };
    match document {
        Node::Object(members) => {
            if let Some(at) = members.iter().position(|(name, _)| name == step) {
                if rest.is_empty() {
                    members.remove(at);
                } else {
                    delete_path(&mut members[at].1, rest);
                }
            }
        }
        Node::Array(items) => {
            if let Some(at) = step.parse().ok().and_then(|index| position(items.len(), index)) {
                if rest.is_empty() {
                    items.remove(at);
                } else {
                    delete_path(&mut items[at], rest);
                }
            }
        }
        _ => {}
    }
}

fn set(document: &mut Node, path: &[Option<&str>], new: &Node, create: bool) {
    let Some((Some(step), rest)) = path.split_first().map(|(step, rest)| (*step, rest)) else { return };
    match document {
        Node::Object(members) => match members.iter().position(|(name, _)| name == step) {
            Some(at) if rest.is_empty() => members[at].1 = new.clone(),
            Some(at) => set(&mut members[at].1, rest, new, create),
            None if rest.is_empty() && create => {
                *document = Node::object(std::mem::take(members).into_iter().chain([(step.to_string(), new.clone())]));
            }
            None => {}
        },
        Node::Array(items) => {
            let Ok(index) = step.parse::<i64>() else { return };
            match position(items.len(), index) {
                Some(at) if rest.is_empty() => items[at] = new.clone(),
                Some(at) => set(&mut items[at], rest, new, create),
                None if rest.is_empty() && create && index < 0 => items.insert(0, new.clone()),
                None if rest.is_empty() && create => items.push(new.clone()),
                None => {}
            }
        }
        _ => {}
    }
}
