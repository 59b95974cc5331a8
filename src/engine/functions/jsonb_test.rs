//! Asking jsonb: containment, existence of keys, order.

use super::jsonb_scan::{elements, kind, member};
use super::row::{Def, Kind, Ret, Row, Value, json_error};
use assay_tables::jsonb::{Node, parse, unquote};
use datafusion::common::Result;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_contains", &[Kind::Jsonb, Kind::Jsonb], Ret::Bool, |row| {
        Ok(Value::Bool(contains(&node(row.text(0))?, &node(row.text(1))?, true)))
    }),
    Def::new("jsonb_exists", &[Kind::Jsonb, Kind::Text], Ret::Bool, |row| Ok(Value::Bool(exists(row.text(0), row.text(1))))),
    Def::new("jsonb_exists_any", &[Kind::Jsonb, Kind::Texts], Ret::Bool, |row| {
        Ok(Value::Bool(row.texts(1).into_iter().flatten().any(|name| exists(row.text(0), name))))
    }),
    Def::new("jsonb_exists_all", &[Kind::Jsonb, Kind::Texts], Ret::Bool, |row| {
        Ok(Value::Bool(row.texts(1).into_iter().flatten().all(|name| exists(row.text(0), name))))
    }),
    Def::new("jsonb_sort_key", &[Kind::Jsonb], Ret::Text, |row| {
        let mut key = String::new();
        sort_key(&node(row.text(0))?, &mut key);
        Ok(key.into())
    }),
    Def::new("jsonb_sort_keys", &[Kind::Texts], Ret::Texts, |row| {
        let key = |text: &str| {
            let mut key = String::new();
            sort_key(&node(text)?, &mut key);
            Ok(Cow::Owned(key))
        };
        Ok(Value::Texts(row.texts(0).into_iter().map(|text| text.map(key).transpose()).collect::<Result<_>>()?))
    }),
    Def::new("jsonb_greatest", &[], Ret::Jsonb, |row| extreme(row, Ordering::Greater)).rest(Kind::Jsonb).sees_nulls(),
    Def::new("jsonb_least", &[], Ret::Jsonb, |row| extreme(row, Ordering::Less)).rest(Kind::Jsonb).sees_nulls(),
    Def::new("jsonb_cmp", &[Kind::Jsonb, Kind::Jsonb], Ret::Int, order),
];

/// Parses canonical text.
pub(super) fn node(text: &str) -> Result<Node> {
    parse(text).map_err(|e| json_error(&e))
}

/// The first of the documents that none is beyond.
fn extreme(row: Row<'_>, beyond: Ordering) -> Result<Value<'_>> {
    let mut found: Option<(Node, &str)> = None;
    for at in (0..row.len()).filter(|at| !row.null(*at)) {
        let document = node(row.text(at))?;
        if found.as_ref().is_none_or(|(best, _)| compare(&document, best) == beyond) {
            found = Some((document, row.text(at)));
        }
    }
    Ok(found.map_or(Value::Null, |(_, text)| text.into()))
}

fn order(row: Row<'_>) -> Result<Value<'_>> {
    Ok(Value::Int(compare(&node(row.text(0))?, &node(row.text(1))?) as i64))
}

fn exists(text: &str, name: &str) -> bool {
    match kind(text) {
        "object" => member(text, name).is_some(),
        "array" => elements(text).any(|value| value.starts_with('"') && unquote(value) == name),
        "string" => unquote(text) == name,
        _ => false,
    }
}

/// An array contains its elements bare only at the top.
fn contains(whole: &Node, part: &Node, top: bool) -> bool {
    match (whole, part) {
        (Node::Object(_), Node::Object(members)) => {
            members.iter().all(|(name, value)| whole.get(name).is_some_and(|found| contains(found, value, false)))
        }
        (Node::Array(items), Node::Array(wanted)) => wanted.iter().all(|value| items.iter().any(|item| contains(item, value, false))),
        (Node::Array(items), scalar) if top && !matches!(scalar, Node::Object(_)) => items.iter().any(|item| equal(item, scalar)),
        _ => equal(whole, part),
    }
}

fn equal(a: &Node, b: &Node) -> bool {
    compare(a, b).is_eq()
}

/// jsonb's order: Object > Array > Boolean > Number > String > Null; a document that is an empty array comes before all.
pub(super) fn compare(a: &Node, b: &Node) -> Ordering {
    match (a, b) {
        (Node::Array(_), Node::Array(_)) => compare_members(a, b),
        (Node::Array(x), _) if x.is_empty() => Ordering::Less,
        (_, Node::Array(y)) if y.is_empty() => Ordering::Greater,
        _ => compare_members(a, b),
    }
}

/// The order within documents, where empty arrays are nothing special.
fn compare_members(a: &Node, b: &Node) -> Ordering {
    fn rank(node: &Node) -> u8 {
        match node {
            Node::Null => 0,
            Node::String(_) => 1,
            Node::Number(_) => 2,
            Node::Bool(_) => 3,
            Node::Array(_) => 4,
            Node::Object(_) => 5,
        }
    }
    match (a, b) {
        (Node::Array(x), Node::Array(y)) => x
            .len()
            .cmp(&y.len())
            .then_with(|| x.iter().zip(y).map(|(a, b)| compare_members(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)),
        (Node::Object(x), Node::Object(y)) => x.len().cmp(&y.len()).then_with(|| {
            let pairs = x.iter().zip(y).map(|((ka, va), (kb, vb))| ka.as_bytes().cmp(kb.as_bytes()).then_with(|| compare_members(va, vb)));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Node::String(x), Node::String(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Node::Number(x), Node::Number(y)) => compare_numbers(x, y),
        (Node::Bool(x), Node::Bool(y)) => x.cmp(y),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// A text that sorts by bytes as the document does by [`compare`].
fn sort_key(node: &Node, out: &mut String) {
    match node {
        Node::Array(items) if items.is_empty() => out.push('0'),
        node => member_key(node, out),
    }
}

fn member_key(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push('1'),
        Node::String(text) => {
            out.push('2');
            out.push_str(text);
            out.push('\0');
        }
        Node::Number(text) => {
            out.push('3');
            number_key(text, out);
        }
        Node::Bool(value) => out.push_str(if *value { "41" } else { "40" }),
        Node::Array(items) => {
            out.push_str(&format!("5{:010}", items.len()));
            items.iter().for_each(|item| member_key(item, out));
        }
        Node::Object(members) => {
            out.push_str(&format!("6{:010}", members.len()));
            for (name, value) in members {
                out.push_str(name);
                out.push('\0');
                member_key(value, out);
            }
        }
    }
}

/// Sign, exponent and digits; of a negative number their complements.
fn number_key(text: &str, out: &mut String) {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let all = format!("{whole}{fraction}");
    let significant = all.trim_matches('0');
    if significant.is_empty() {
        out.push('1');
        return;
    }
    let leading = all.len() - all.trim_start_matches('0').len();
    let exponent = 500_000 + whole.len() - leading;
    let key = format!("{exponent:06}{significant}");
    if negative {
        out.push('0');
        out.extend(key.bytes().map(|digit| char::from(b'9' - (digit - b'0'))));
        out.push('~');
    } else {
        out.push('2');
        out.push_str(&key);
        out.push(' ');
    }
}

/// The order of two numbers' texts.
pub(super) fn compare_numbers(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0').to_string(), fraction.trim_end_matches('0').to_string());
        (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
    };
    let (negative, whole, fraction) = parts(a);
    let (other_negative, other_whole, other_fraction) = parts(b);
    let magnitude = whole.len().cmp(&other_whole.len()).then_with(|| whole.cmp(&other_whole)).then_with(|| fraction.cmp(&other_fraction));
    match (negative, other_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
    }
}
