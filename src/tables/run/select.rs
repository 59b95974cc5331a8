//! `each:`, `decode:`: from an answer to the places of its rows, without copying the answer.

use super::row::{Hop, Place};
use crate::expr::functions::base64_text;
use crate::expr::{Env, Expr};
use crate::run::{Facts, Keys};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How rows are found in an answer.
#[derive(Debug, Clone)]
pub(crate) enum Select {
    /// A path of members, some of them lists that are gone through.
    Path(Vec<Segment>),
    /// Any expression.
    Expr(Expr),
}

/// A member, and whether its elements are gone through before the next one.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) name: Arc<str>,
    pub(crate) each: bool,
}

/// How a text becomes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decode {
    Base64,
    /// Rows by the names of the header: all of them, or those that somebody reads.
    Csv(Option<Arc<[String]>>),
    Json,
}

/// A row's place and the place of the object that holds its list.
pub(crate) type Found = (Place, Place);

impl Select {
    /// `.`: the answer as one row.
    pub(crate) const WHOLE: Select = Select::Path(Vec::new());

    /// Is it the answer as one row?
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Select::Path(segments) if segments.is_empty())
    }

    /// The rows of an answer, in its order.
    pub(crate) fn rows(&self, answer: &Arc<Value>, decode: &[Decode]) -> Result<Vec<Found>, String> {
        match self {
            Select::Path(segments) => {
                let mut out = Vec::new();
                walk(answer, answer, segments, &mut Vec::new(), decode, &mut out)?;
                Ok(out)
            }
            Select::Expr(expr) => {
                let (facts, keys) = (Facts::default(), Keys::default());
                let env = Env { this: answer, row: None, facts: &facts, keys: &keys, item: None };
                let value = expr.eval(&env).map_err(|e| e.0)?.into_owned();
                let mut out = Vec::new();
                let holder = Place { answer: answer.clone(), hops: Vec::new() };
                elements(decoded(value, decode)?, &holder, &mut out)?;
                Ok(out)
            }
        }
    }

    /// Is the list there that an answer consists of, if only null? No model tells an answer of Azure from another document, and one
    /// without its list is no empty list.
    pub(crate) fn expect(&self, answer: &Value) -> Result<(), String> {
        match self {
            Select::Path(segments) if segments.len() == 1 => match answer.get(&*segments[0].name) {
                Some(Value::Array(_) | Value::Null) => Ok(()),
                Some(_) => Err(format!("`{}` of the answer is no list", segments[0].name)),
                None => Err(format!("the answer has no list `{}`", segments[0].name)),
            },
            _ => Ok(()),
        }
    }
}

fn walk(
    answer: &Arc<Value>,
    value: &Value,
    segments: &[Segment],
    hops: &mut Vec<Hop>,
    decode: &[Decode],
    out: &mut Vec<Found>,
) -> Result<(), String> {
    let Some((segment, rest)) = segments.split_first() else {
        leaf(answer, value, hops, decode, out)?;
        return Ok(());
    };
    let Some(next) = value.get(&*segment.name) else { return Ok(()) };
    hops.push(Hop::Field(segment.name.clone()));
    match next {
        Value::Array(items) if segment.each && !rest.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                hops.push(Hop::Index(i));
                walk(answer, item, rest, hops, decode, out)?;
                hops.pop();
            }
        }
        next => walk(answer, next, rest, hops, decode, out)?,
    }
    hops.pop();
    Ok(())
}

/// The last member: its elements, or itself.
fn leaf(answer: &Arc<Value>, value: &Value, hops: &[Hop], decode: &[Decode], out: &mut Vec<Found>) -> Result<(), String> {
    let place = |hops: &[Hop]| Place { answer: answer.clone(), hops: hops.to_vec() };
    let holder = &hops[..hops.len().saturating_sub(1)];
    if !decode.is_empty() {
        return elements(decoded(value.clone(), decode)?, &place(holder), out);
    }
    no_scalar(value)?;
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for i in 0..items.len() {
                let mut this = place(hops);
                this.hops.push(Hop::Index(i));
                out.push((this, place(holder)));
            }
        }
        _ => out.push((place(hops), place(holder))),
    }
    Ok(())
}

/// A text or a number in the place of a list is no row: the answer is not one of this API.
fn no_scalar(value: &Value) -> Result<(), String> {
    match value {
        Value::String(_) => Err("there is a text where a list should be".into()),
        Value::Number(_) => Err("there is a number where a list should be".into()),
        Value::Bool(_) => Err("there is true or false where a list should be".into()),
        Value::Null | Value::Array(_) | Value::Object(_) => Ok(()),
    }
}

/// A computed value as rows.
fn elements(value: Value, holder: &Place, out: &mut Vec<Found>) -> Result<(), String> {
    no_scalar(&value)?;
    let answer = Arc::new(value);
    match &*answer {
        Value::Null => {}
        Value::Array(items) => {
            out.extend((0..items.len()).map(|i| (Place { answer: answer.clone(), hops: vec![Hop::Index(i)] }, holder.clone())));
        }
        _ => out.push((Place { answer: answer.clone(), hops: Vec::new() }, holder.clone())),
    }
    Ok(())
}

fn decoded(mut value: Value, decode: &[Decode]) -> Result<Value, String> {
    for step in decode {
        let Value::String(text) = &value else {
            return if value.is_null() { Ok(value) } else { Err("what is decoded has to be a text".into()) };
        };
        value = match step {
            Decode::Base64 => Value::String(base64_text(text)?),
            Decode::Json => serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?,
            Decode::Csv(read) => csv_rows(text, read.as_deref())?,
        };
    }
    Ok(value)
}

fn csv_rows(text: &str, read: Option<&[String]>) -> Result<Value, String> {
    let bad = |e: csv::Error| format!("not CSV: {e}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(bad)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(bad)?;
        let cells = header.iter().zip(&record).filter(|(name, _)| read.is_none_or(|read| read.iter().any(|one| one == name)));
        let members: Map<_, _> = cells.map(|(n, v)| (n.to_owned(), Value::String(v.to_owned()))).collect();
        rows.push(Value::Object(members));
    }
    Ok(Value::Array(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(names: &[(&str, bool)]) -> Select {
        Select::Path(names.iter().map(|(n, each)| Segment { name: (*n).into(), each: *each }).collect())
    }

    #[test]
    fn an_answer_without_its_list_is_not_an_empty_one() {
        let value = path(&[("value", false)]);
        for (answer, expected) in [
            (json!({"value": []}), Ok(())),
            (json!({"value": [1]}), Ok(())),
            (json!({"value": null}), Ok(())),
            (json!({}), Err("the answer has no list `value`")),
            (json!([]), Err("the answer has no list `value`")),
            (json!({"value": "x"}), Err("`value` of the answer is no list")),
            (json!({"value": {}}), Err("`value` of the answer is no list")),
        ] {
            assert_eq!(value.expect(&answer), expected.map_err(str::to_owned), "{answer}");
        }
        assert_eq!(Select::WHOLE.expect(&json!({})), Ok(()));
    }

    fn found(select: &Select, answer: Value, decode: &[Decode]) -> Vec<(Value, Value)> {
        let rows = select.rows(&Arc::new(answer), decode).unwrap();
        rows.iter().map(|(this, parent)| (this.value().clone(), parent.value().clone())).collect()
    }

    #[test]
    fn lists_objects_and_nested_lists() {
        let users = json!({"Users": [1, 2], "More": true});
        assert_eq!(found(&path(&[("Users", true)]), users.clone(), &[]), [(json!(1), users.clone()), (json!(2), users.clone())]);
        assert_eq!(found(&path(&[("Users", false)]), users.clone(), &[]).len(), 2);
        assert_eq!(found(&path(&[("Gone", true)]), users.clone(), &[]), []);
        assert_eq!(found(&Select::WHOLE, users.clone(), &[]), [(users.clone(), users.clone())]);
        let nested = json!({"R": [{"Id": "a", "I": [{"x": 1}]}, {"Id": "b"}, {"Id": "c", "I": [{"x": 2}, {"x": 3}]}]});
        let rows = found(&path(&[("R", true), ("I", true)]), nested, &[]);
        assert_eq!(
            rows.iter().map(|(t, p)| (t["x"].clone(), p["Id"].clone())).collect::<Vec<_>>(),
            [(json!(1), json!("a")), (json!(2), json!("c")), (json!(3), json!("c"))]
        );
        let inner = json!({"List": {"Items": [7], "Marker": ""}});
        assert_eq!(found(&path(&[("List", false), ("Items", true)]), inner.clone(), &[]), [(json!(7), inner["List"].clone())]);
    }

    #[test]
    fn scalars_are_no_rows() {
        for (value, word) in [(json!("none"), "a text"), (json!(7), "a number"), (json!(true), "true or false")] {
            let answer = Arc::new(json!({"value": value}));
            let error = path(&[("value", true)]).rows(&answer, &[]).unwrap_err();
            assert_eq!(error, format!("there is {word} where a list should be"));
        }
    }

    #[test]
    fn decodes_reports() {
        let answer = json!({"Content": "dXNlcixhcm4KYSwieCx5IgpiLHoK", "GeneratedTime": "t"});
        let rows = found(&path(&[("Content", false)]), answer.clone(), &[Decode::Base64, Decode::Csv(None)]);
        assert_eq!(rows, [(json!({"user": "a", "arn": "x,y"}), answer.clone()), (json!({"user": "b", "arn": "z"}), answer.clone())]);
        let read: Arc<[String]> = ["user".to_owned(), "other".to_owned()].into();
        let rows = found(&path(&[("Content", false)]), answer.clone(), &[Decode::Base64, Decode::Csv(Some(read))]);
        assert_eq!(rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>(), [json!({"user": "a"}), json!({"user": "b"})]);
        let bad = path(&[("Content", false)]).rows(&Arc::new(json!({"Content": "a,b\n1\n"})), &[Decode::Csv(None)]);
        assert!(bad.unwrap_err().starts_with("not CSV: "));
    }
}
