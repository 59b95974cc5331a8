//! How the suites' values relate to ours, and when two messages are the same.

use crate::aws::scalar;
use crate::aws::shape::{Kind, Shape};
use aws_smithy_schema::ShapeType;
use serde_json::Value;

/// The suites write blobs as plain text and times as seconds; we have base64 and RFC 3339.
pub(super) fn as_ours(shape: &'static Shape, v: &Value) -> Value {
    match (shape.kind(), v) {
        (Kind::Structure(s), Value::Object(o)) => {
            let convert = |(k, v): (&String, &Value)| {
                (k.clone(), s.members.iter().find(|m| m.name == k).map_or_else(|| v.clone(), |m| as_ours(m.shape(), v)))
            };
            Value::Object(o.iter().map(convert).collect())
        }
        (Kind::List(m), Value::Array(a)) => a.iter().map(|v| as_ours(m.shape(), v)).collect(),
        (Kind::Map(_, m), Value::Object(o)) => Value::Object(o.iter().map(|(k, v)| (k.clone(), as_ours(m.shape(), v))).collect()),
        (Kind::Simple(ShapeType::Blob), Value::String(s)) => aws_smithy_types::base64::encode(s).into(),
        (Kind::Simple(ShapeType::Timestamp), Value::Number(n)) => n.as_f64().and_then(scalar::epoch).and_then(scalar::rfc3339).unwrap(),
        _ => v.clone(),
    }
}

/// Numbers are the same when their values are, whatever their types.
pub(super) fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same_json(a, b)),
        (Value::Object(x), Value::Object(y)) => x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same_json(v, w))),
        _ => a == b,
    }
}

/// Form parameters in any order.
pub(super) fn same_form(a: &str, b: &str) -> bool {
    let sorted = |s: &str| {
        let decode = |t: &str| percent_decoded(&t.replace('+', " "));
        let mut all: Vec<_> = s
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .map(|(k, v)| (decode(k), decode(v)))
            .collect();
        all.sort();
        all
    };
    sorted(a) == sorted(b)
}

fn percent_decoded(s: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), s.bytes());
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).unwrap()
}

/// White space between elements and the order of attributes do not matter.
pub(super) fn same_xml(a: &str, b: &str) -> bool {
    let plain = |s: &str| {
        let mut out = String::new();
        for part in s.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            let empty = tag.ends_with('/');
            let mut words = tag.trim_end_matches('/').split_whitespace();
            let name = words.next().unwrap();
            let mut attributes: Vec<&str> = words.collect();
            attributes.sort_unstable();
            out.push_str(&format!("<{name} {}>{}", attributes.join(" "), if text.trim().is_empty() { "" } else { text }));
            if empty {
                out.push_str(&format!("</{name} >"));
            }
        }
        out
    };
    plain(a) == plain(b)
}
