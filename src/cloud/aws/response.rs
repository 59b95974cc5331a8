//! From a successful HTTP response to JSON: which body reader, which envelope, and what REST protocols bind to headers and status.

use super::service::{Operation, Protocol};
use super::shape::{Kind, Location, Member, Shape, Structure};
use super::{json, scalar, xml};
use aws_smithy_runtime_api::http::{Headers, Response};
use aws_smithy_schema::ShapeType;
use serde_json::{Map, Value};

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Not JSON, not XML, or only a part of it: asking again may help.
    #[error("{0}")]
    Malformed(String),
    /// Well-formed, but not what the model says.
    #[error("the answer breaks the service's model: {0}")]
    Breaks(String),
    /// A web page: some proxy, portal or load balancer, not the service.
    #[error("the answer is an HTML page, not an answer of the service")]
    Html,
}

/// Whether a body is a web page. Such an answer says nothing about the thing asked for, whatever its status.
pub(crate) fn is_html(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let begins = |with: &[u8]| start.get(..with.len()).is_some_and(|s| s.eq_ignore_ascii_case(with));
    begins(b"<!doctype html") || begins(b"<html")
}

/// The output of an operation.
pub(super) fn read(op: &Operation, response: &Response) -> Result<Value, Unreadable> {
    let body = response.body().bytes().unwrap_or_default();
    let payload_is_raw = |s: &Structure| {
        let kind = s.payload.and_then(|i| s.members.get(i)).map(|m| m.shape().shape_type());
        matches!(kind, Some(ShapeType::Blob | ShapeType::String))
    };
    let structure = op.output.and_then(Shape::structure);
    if is_html(body) && !structure.is_some_and(payload_is_raw) {
        return Err(Unreadable::Html);
    }
    let (Some(shape), Some(structure)) = (op.output, structure) else { return Ok(Value::Object(Map::new())) };
    if structure.members.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match op.service.protocol {
        Protocol::Json10 | Protocol::Json11 => object(json::read(body, shape)?),
        Protocol::Query => match op.result_wrapper {
            Some(name) => xml::read(body, shape, &xml::Root::Wrapped(name)),
            None => xml::read(body, shape, &xml::Root::Itself),
        },
        Protocol::Ec2 => xml::read(body, shape, &xml::Root::Itself),
        Protocol::RestJson | Protocol::RestXml => rest(shape, structure, response, body),
    }
}

fn object(v: Value) -> Result<Value, Unreadable> {
    Ok(if v.is_null() { Value::Object(Map::new()) } else { v })
}

/// A structure of a REST protocol: an operation's output, or the members of an error.
pub(super) fn rest(shape: &'static Shape, structure: &'static Structure, response: &Response, body: &[u8]) -> Result<Value, Unreadable> {
    let json = shape.service.protocol == Protocol::RestJson;
    let mut out = Map::new();
    if let Some(m) = structure.payload.and_then(|i| structure.members.get(i)) {
        if !body.is_empty() {
            out.insert(m.name.to_owned(), payload(m, json, body)?);
        }
    } else if structure.members.iter().any(Member::is_answered_in_body) && !body.is_empty() {
        let whole = match json {
            true => object(json::read(body, shape)?)?,
            false if shape.name == "GetBucketLocationOutput" => xml::read(body, shape, &xml::Root::OnlyMember)?,
            false => xml::read(body, shape, &xml::Root::Itself)?,
        };
        if let Value::Object(members) = whole {
            out = members;
        }
    }
    for m in &structure.members {
        let value = match m.location {
            Location::Header => header(m, response.headers())?,
            Location::Headers => Some(prefixed(m, response.headers())),
            Location::Status => Some(response.status().as_u16().into()),
            Location::Body | Location::Query | Location::Uri => None,
        };
        if let Some(v) = value {
            out.insert(m.name.to_owned(), v);
        }
    }
    Ok(Value::Object(out))
}

fn payload(m: &'static Member, json: bool, body: &[u8]) -> Result<Value, Unreadable> {
    match m.shape().shape_type() {
        ShapeType::Blob => Ok(Value::String(aws_smithy_types::base64::encode(body))),
        ShapeType::String => {
            String::from_utf8(body.to_vec()).map(Value::String).map_err(|e| Unreadable::Malformed(format!("the body is not UTF-8: {e}")))
        }
        _ if json => json::read(body, m.shape()),
        _ => xml::read(body, m.shape(), &xml::Root::Itself),
    }
}

/// As boto3: an empty map where there is no such header.
fn prefixed(m: &'static Member, headers: &Headers) -> Value {
    let with_prefix = headers.iter().filter_map(|(name, value)| {
        let (start, rest) = (name.get(..m.wire.len())?, name.get(m.wire.len()..)?);
        start.eq_ignore_ascii_case(m.wire).then(|| (rest.to_owned(), Value::String(value.to_owned())))
    });
    Value::Object(with_prefix.collect())
}

fn header(m: &'static Member, headers: &Headers) -> Result<Option<Value>, Unreadable> {
    let mut values = headers.get_all(m.wire).peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    let text = values.collect::<Vec<_>>().join(", ");
    let breaks = || Unreadable::Breaks(format!("the header {} is {text:?}, not of type {}", m.wire, m.shape().name));
    let value = match m.shape().kind() {
        Kind::List(element) => {
            let kind = element.shape().shape_type();
            let items = split(&text, kind == ShapeType::Timestamp);
            Value::Array(items.iter().map(|item| header_scalar(kind, item)).collect::<Option<_>>().ok_or_else(breaks)?)
        }
        _ if m.json_text => json_text(&text).ok_or_else(breaks)?,
        Kind::Simple(kind) => header_scalar(*kind, &text).ok_or_else(breaks)?,
        Kind::Structure(_) | Kind::Map(..) => return Err(breaks()),
    };
    Ok(Some(value))
}

/// JSON in a header is base64.
fn json_text(text: &str) -> Option<Value> {
    serde_json::from_slice(&aws_smithy_types::base64::decode(text.trim()).ok()?).ok()
}

fn header_scalar(kind: ShapeType, text: &str) -> Option<Value> {
    match kind {
        ShapeType::Boolean => scalar::boolean(text.trim()),
        ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long => scalar::integer(text.trim()),
        ShapeType::Float | ShapeType::Double => scalar::float(text.trim()),
        ShapeType::Timestamp => Some(scalar::timestamp_value(text)),
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Items of a header list; they may be quoted, and HTTP dates have a comma of their own.
fn split(text: &str, dates: bool) -> Vec<String> {
    let (mut items, mut item, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                item.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !(quoted || dates && is_weekday(&item)) => items.push(std::mem::take(&mut item).trim().to_owned()),
            _ => item.push(c),
        }
    }
    items.push(item.trim().to_owned());
    items
}

fn is_weekday(item: &str) -> bool {
    let item = item.trim();
    item.len() >= 3 && item.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_pages_are_recognised() {
        for body in ["<!DOCTYPE HTML PUBLIC x>", " \n<html><body>404</body></html>", "\u{feff}<HTML>", "<!doctype html>"] {
            assert!(is_html(body.as_bytes()), "{body}");
        }
        for body in ["", "{}", "<ListUsersResponse/>", "<?xml version='1.0'?><Error/>", "<"] {
            assert!(!is_html(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn header_lists() {
        assert_eq!(split("a, b,c", false), ["a", "b", "c"]);
        assert_eq!(split(r#""b,c", "\"def\"", a"#, false), ["b,c", "\"def\"", "a"]);
        let two = "Mon, 16 Dec 2019 23:48:18 GMT, Tue, 17 Dec 2019 23:48:18 GMT";
        assert_eq!(split(two, true), ["Mon, 16 Dec 2019 23:48:18 GMT", "Tue, 17 Dec 2019 23:48:18 GMT"]);
    }
}
