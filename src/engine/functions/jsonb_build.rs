//! Making jsonb of texts and of what aggregates collected, concatenation, deletion.

use super::jsonb_scan::{elements, kind, members};
use super::jsonb_test::{compare, node};
use super::jsonb_write::{Style, joined, write_members};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use assay_tables::jsonb::{Node, unquote, write_string};
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_object", &[Kind::Texts, Kind::Texts], Ret::Jsonb, |row| object_of_texts(row, Style::Jsonb)).required(1),
    Def::new("json_object", &[Kind::Texts, Kind::Texts], Ret::Json, |row| object_of_texts(row, Style::Json)).required(1),
    Def::new("jsonb_array_of", &[Kind::Texts], Ret::Jsonb, |row| joined(row.texts(0).into_iter())),
    Def::new("json_array_of", &[Kind::Texts], Ret::Json, |row| joined(row.texts(0).into_iter())),
    Def::new("json_list_of", &[Kind::Texts], Ret::Json, |row| {
        let items: Vec<&str> = row.texts(0).into_iter().map(|item| item.unwrap_or("null")).collect();
        Ok(format!("[{}]", items.join(",")).into())
    }),
    // DISTINCT sorts: the values in jsonb's order, from the greatest on if asked.
    Def::new("jsonb_sorted_array_of", &[Kind::Texts, Kind::Bool], Ret::Jsonb, |row| {
        let mut items = row.texts(0).into_iter().map(|text| text.map(node).transpose()).collect::<Result<Vec<_>>>()?;
        items.sort_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        items.dedup_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => compare(a, b).is_eq(),
            _ => false,
        });
        if row.bool(1) {
            items.reverse();
        }
        Ok(Node::Array(items.into_iter().map(|item| item.unwrap_or(Node::Null)).collect()).to_text().into())
    }),
    Def::new("jsonb_object_of", &[Kind::Texts], Ret::Jsonb, |row| {
        let pair = |pair: &str| {
            let mut parts = elements(pair);
            Some((unquote(parts.next()?).into_owned(), parts.next()?.to_string()))
        };
        let mut out = String::new();
        write_members(row.texts(0).into_iter().flatten().filter_map(pair).collect(), Style::Jsonb, &mut out);
        Ok(out.into())
    }),
    Def::new("json_object_of", &[Kind::Texts], Ret::Json, |row| {
        let members: Vec<&str> = row.texts(0).into_iter().flatten().collect();
        Ok(format!("{{ {} }}", members.join(", ")).into())
    }),
    Def::new("json_strip_nulls", &[Kind::Json], Ret::Json, |row| {
        let mut out = String::new();
        strip_spelled(row.text(0), &mut out);
        Ok(out.into())
    }),
    // Stands for a row until the plan says what columns it has.
    Def::new("whole_row", &[Kind::Text], Ret::Int, |_| fail("a whole row is no value here")),
    Def::new("row_is_null", &[Kind::Any], Ret::Bool, |_| fail("a whole row is no value here")),
    Def::new("row_is_not_null", &[Kind::Any], Ret::Bool, |_| fail("a whole row is no value here")),
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
];

fn object_of_texts(row: Row<'_>, style: Style) -> Result<Value<'_>> {
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
        let mut shown = String::new();
        match value {
            Some(value) => write_string(value, &mut shown),
            None => shown.push_str("null"),
        }
        members.push((name.to_string(), shown));
    }
    let mut out = String::new();
    write_members(members, style, &mut out);
    Ok(out.into())
}

/// json without spaces, and without members that are null.
fn strip_spelled(text: &str, out: &mut String) {
    let open = match kind(text) {
        "object" => '{',
        "array" => '[',
        "string" => return write_string(&unquote(text.trim()), out),
        _ => return out.push_str(text.trim()),
    };
    out.push(open);
    let before = out.len();
    if open == '{' {
        for (name, value) in members(text).filter(|(_, value)| kind(value) != "null") {
            out.push_str(if out.len() > before { "," } else { "" });
            write_string(&unquote(name), out);
            out.push(':');
            strip_spelled(value, out);
        }
    } else {
        for value in elements(text) {
            out.push_str(if out.len() > before { "," } else { "" });
            strip_spelled(value, out);
        }
    }
    out.push(if open == '{' { '}' } else { ']' });
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
