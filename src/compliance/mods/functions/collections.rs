//! Functions on lists, sets and maps.

use super::{Args, Done, Entry, MANY, Wrong, bad};
use crate::error::did_you_mean;
use crate::mods::types;
use crate::mods::value::Value;
use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation as _;

/// As many elements as `range` and products may have.
const MAX_ITEMS: usize = 100_000;

pub(super) const TABLE: &[Entry] = &[
    Entry("alltrue", 1, 1, |a| Ok(Value::Bool(a.list(0)?.iter().all(|v| v.as_bool() == Some(true))))),
    Entry("anytrue", 1, 1, |a| Ok(Value::Bool(a.list(0)?.iter().any(|v| v.as_bool() == Some(true))))),
    Entry("chunklist", 2, 2, |a| match a.size(1)? {
        0 => Ok(Value::List(vec![a.at(0).clone()])),
        n => Ok(Value::List(a.list(0)?.chunks(n).map(|c| Value::List(c.to_vec())).collect())),
    }),
    Entry("coalesce", 1, MANY, |a| {
        let empty = |v: &&Value| !matches!(v, Value::Null) && !matches!(v, Value::Text(t) if t.is_empty());
        let found = a.0.iter().position(|v| empty(&v)).ok_or_else(|| Wrong::from("all arguments are null or empty"))?;
        Ok(types::unified(a.0.clone()).unwrap_or_else(|as_they_are| as_they_are).into_iter().nth(found).unwrap_or(Value::Null))
    }),
    Entry("coalescelist", 1, MANY, |a| {
        let full = |v: &&Value| matches!(v, Value::List(items) if !items.is_empty());
        a.0.iter().find(full).cloned().ok_or_else(|| Wrong::from("all lists are empty"))
    }),
    Entry("compact", 1, 1, |a| {
        let full = |v: &&Value| !matches!(v, Value::Null) && !matches!(v, Value::Text(t) if t.is_empty());
        let texts = a.list(0)?.iter().filter(full).map(|v| v.as_text().map_or_else(|| v.clone(), Value::Text));
        Ok(Value::List(texts.collect()))
    }),
    Entry("concat", 1, MANY, |a| {
        let mut out = Vec::new();
        for i in 0..a.0.len() {
            out.extend_from_slice(a.list(i)?);
        }
        limited(out)
    }),
    Entry("contains", 2, 2, |a| {
        if matches!(a.at(1), Value::Null) {
            Err(a.wrong(1, "a value"))
        } else {
            Ok(Value::Bool(a.list(0)?.iter().any(|v| v.same(a.at(1)))))
        }
    }),
    Entry("distinct", 1, 1, |a| {
        let mut out: Vec<Value> = Vec::new();
        for v in types::unified(a.list(0)?.to_vec()).unwrap_or_else(|as_they_are| as_they_are) {
            if !out.iter().any(|o| o.same(&v)) {
                out.push(v);
            }
        }
        Ok(Value::List(out))
    }),
    Entry("element", 2, 2, |a| {
        let (items, i) = (a.list(0)?, a.int(1)?);
        let n = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if n == 0 {
            return Err(bad(0, "the list is empty"));
        }
        Ok(usize::try_from(i.rem_euclid(n)).ok().and_then(|i| items.get(i)).cloned().unwrap_or(Value::Null))
    }),
    Entry("flatten", 1, 1, |a| {
        let mut out = Vec::new();
        flatten(a.list(0)?, &mut out);
        Ok(Value::List(out))
    }),
    Entry("index", 2, 2, |a| {
        let at = a.list(0)?.iter().position(|v| v.same(a.at(1)));
        at.and_then(|i| i64::try_from(i).ok()).map(Value::Int).ok_or_else(|| bad(1, "the list has no such element"))
    }),
    Entry("keys", 1, 1, |a| Ok(Value::List(a.map(0)?.keys().map(|k| Value::text(k.as_str())).collect()))),
    Entry("length", 1, 1, |a| {
        let n = match a.at(0) {
            Value::List(items) => items.len(),
            Value::Map(map) => map.len(),
            Value::Text(text) => text.graphemes(true).count(),
            _ => return Err(a.wrong(0, "a list, a map or text")),
        };
        Ok(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)))
    }),
    Entry("list", 0, MANY, |a| Ok(Value::List(a.0.clone()))),
    Entry("lookup", 2, 3, |a| {
        let (map, key) = (a.map(0)?, a.text(1)?);
        match (map.get(&*key), a.0.get(2)) {
            (Some(found), _) => Ok(found.clone()),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => {
                let hint = did_you_mean(&key, map.keys().map(String::as_str));
                Err(Wrong { arg: Some(1), message: format!("the map has no key '{key}'"), hint })
            }
        }
    }),
    Entry("map", 0, MANY, |a| {
        let pairs = a.0.chunks(2).enumerate().map(|(i, pair)| match pair {
            [key, value] => Ok((key.as_text().ok_or_else(|| a.wrong(i * 2, "text"))?.to_string(), value.clone())),
            _ => Err(Wrong::from("each key needs a value")),
        });
        Ok(Value::Map(pairs.collect::<Result<_, _>>()?))
    }),
    Entry("matchkeys", 3, 3, |a| {
        let (values, keys, wanted) = (a.list(0)?, a.list(1)?, a.list(2)?);
        if values.len() != keys.len() {
            return Err(Wrong::from("values and keys must be equally many"));
        }
        let pairs = values.iter().zip(keys).filter(|(_, k)| wanted.iter().any(|w| w.same(k)));
        Ok(Value::List(pairs.map(|(v, _)| v.clone()).collect()))
    }),
    Entry("merge", 0, MANY, |a| {
        let mut out = BTreeMap::new();
        for i in 0..a.0.len() {
            if !matches!(a.at(i), Value::Null) {
                out.extend(a.map(i)?.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
        }
        Ok(Value::Map(out))
    }),
    Entry("one", 1, 1, |a| match a.list(0)? {
        [] => Ok(Value::Null),
        [only] => Ok(only.clone()),
        more => Err(bad(0, format!("the list has {} elements, not one or none", more.len()))),
    }),
    Entry("range", 1, 3, range),
    Entry("reverse", 1, 1, |a| Ok(Value::List(a.list(0)?.iter().rev().cloned().collect()))),
    Entry("setintersection", 1, MANY, |a| {
        let mut out = a.list(0)?.to_vec();
        for i in 1..a.0.len() {
            let other = a.list(i)?;
            out.retain(|v| other.iter().any(|o| o.same(v)));
        }
        Ok(set(out))
    }),
    Entry("setproduct", 2, MANY, product),
    Entry("setsubtract", 2, 2, |a| {
        let without = a.list(1)?;
        Ok(set(a.list(0)?.iter().filter(|v| !without.iter().any(|w| w.same(v))).cloned().collect()))
    }),
    Entry("setunion", 1, MANY, |a| {
        let mut out = Vec::new();
        for i in 0..a.0.len() {
            out.extend_from_slice(a.list(i)?);
        }
        Ok(set(out))
    }),
    Entry("slice", 3, 3, |a| {
        let (items, from, to) = (a.list(0)?, a.size(1)?, a.size(2)?);
        items
            .get(from..to)
            .map(|s| Value::List(s.to_vec()))
            .ok_or_else(|| Wrong::from(format!("{from} to {to} is not within a list of {} elements", items.len())))
    }),
    Entry("sort", 1, 1, |a| {
        let mut texts = a.texts(0)?;
        texts.sort();
        Ok(Value::List(texts.into_iter().map(Value::Text).collect()))
    }),
    Entry("transpose", 1, 1, |a| {
        let mut out: BTreeMap<String, Value> = BTreeMap::new();
        for (key, value) in a.map(0)? {
            let Value::List(items) = value else { return Err(bad(0, "the values must be lists")) };
            for item in items {
                let item = item.as_text().ok_or_else(|| bad(0, "the values must be lists of text"))?;
                match out.entry(item.to_string()).or_insert_with(|| Value::List(Vec::new())) {
                    Value::List(keys) => keys.push(Value::text(key.as_str())),
                    other => *other = Value::Null,
                }
            }
        }
        Ok(Value::Map(out))
    }),
    Entry("values", 1, 1, |a| Ok(Value::List(a.map(0)?.values().cloned().collect()))),
    Entry("zipmap", 2, 2, |a| {
        let (keys, values) = (a.texts(0)?, a.list(1)?);
        if keys.len() != values.len() {
            return Err(Wrong::from(format!("{} keys cannot have {} values", keys.len(), values.len())));
        }
        Ok(Value::Map(keys.iter().map(ToString::to_string).zip(values.iter().cloned()).collect()))
    }),
];

fn limited(items: Vec<Value>) -> Done {
    if items.len() > MAX_ITEMS { Err(Wrong::from(format!("a list of more than {MAX_ITEMS} elements"))) } else { Ok(Value::List(items)) }
}

fn set(items: Vec<Value>) -> Value {
    let mut items = types::unified(items).unwrap_or_else(|as_they_are| as_they_are);
    items.sort_by(Value::order);
    items.dedup_by(|a, b| a.same(b));
    Value::List(items)
}

fn flatten(items: &[Value], out: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::List(inner) => flatten(inner, out),
            other => out.push(other.clone()),
        }
    }
}

fn range(a: &Args) -> Done {
    let numbers = a.floats()?;
    let (start, end, step) = match numbers.as_slice() {
        [end] => (0.0, *end, if *end < 0.0 { -1.0 } else { 1.0 }),
        [start, end] => (*start, *end, if end < start { -1.0 } else { 1.0 }),
        [start, end, step] => (*start, *end, *step),
        _ => return Err(Wrong::from("takes 1 to 3 arguments")),
    };
    if step == 0.0 || (end > start && step < 0.0) || (end < start && step > 0.0) {
        return Err(bad(2, "the step does not lead to the end"));
    }
    let mut out = Vec::new();
    let mut n = start;
    while (step > 0.0 && n < end) || (step < 0.0 && n > end) {
        if out.len() >= MAX_ITEMS {
            return Err(Wrong::from(format!("a list of more than {MAX_ITEMS} elements")));
        }
        out.push(Value::number(n));
        n += step;
    }
    Ok(Value::List(out))
}

fn product(a: &Args) -> Done {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for i in 0..a.0.len() {
        let items = a.list(i)?;
        if rows.len().saturating_mul(items.len()) > MAX_ITEMS {
            return Err(Wrong::from(format!("a list of more than {MAX_ITEMS} elements")));
        }
        let extended =
            |row: &Vec<Value>| -> Vec<Vec<Value>> { items.iter().map(|v| row.iter().cloned().chain([v.clone()]).collect()).collect() };
        rows = rows.iter().flat_map(extended).collect();
    }
    Ok(Value::List(rows.into_iter().map(Value::List).collect()))
}
