//! Official schemas for the shapes of requests, made at run time from the model. Answers are read without them.
//!
//! Lists and maps are built with their elements, structures on first use: that cuts recursion. Schemas live as long as their service.

use super::service::Protocol;
use super::shape::{Kind, Location, Member, Shape};
use aws_smithy_schema::traits::{HttpTrait, TimestampFormat};
use aws_smithy_schema::{ShapeId, ShapeType, intern_header_name};
use serde_json::Value;

/// A schema that lives as long as the process.
pub(super) type Schema = &'static aws_smithy_schema::Schema<'static>;
type Owned = aws_smithy_schema::Schema<'static>;

fn id(name: &'static str) -> ShapeId<'static> {
    ShapeId::from_parts(name, "", name)
}

fn keep(schema: Owned) -> Schema {
    Box::leak(Box::new(schema))
}

fn namespace(mut s: Owned, v: Option<&'static Value>) -> Owned {
    if let Some(ns) = v {
        let uri = ns.as_str().or_else(|| ns.get("uri")?.as_str()).unwrap_or_default();
        s = s.with_xml_namespace(uri, ns.get("prefix").and_then(Value::as_str));
    }
    s
}

/// The schema of an operation's input, with its HTTP facts; an empty structure where there is no input.
pub(super) fn of_input(
    protocol: Protocol,
    input: Option<&'static Shape>,
    reference: Option<&'static Value>,
    method: &'static str,
    path: &'static str,
) -> Schema {
    let http = HttpTrait::new(method, path, None);
    let Some(shape) = input else {
        return keep(Owned::new_struct(id("Empty"), ShapeType::Structure, &[]).with_http(http));
    };
    let fact = |key: &str| reference.and_then(|r| r.get(key));
    let members = members_of(shape);
    let mut s = Owned::new_struct(id(shape.name), ShapeType::Structure, members).with_original_name(shape.name).with_http(http);
    if protocol == Protocol::RestXml {
        s = namespace(s, fact("xmlNamespace").or_else(|| shape.def?.get("xmlNamespace")));
    }
    if let Some(name) = fact("locationName").and_then(Value::as_str) {
        s = s.with_xml_name(name);
    }
    keep(s)
}

fn members_of(of: &'static Shape) -> &'static [Schema] {
    let Some(s) = of.structure() else { return &[] };
    Vec::leak(s.members.iter().map(|m| pair(m).0).collect())
}

/// The schema of a structure, as such.
pub(super) fn structure(shape: &'static Shape) -> Option<Schema> {
    let s = shape.structure()?;
    Some(s.schema.get_or_init(|| {
        let mut schema = namespace(
            Owned::new_struct(id(shape.name), shape.shape_type(), members_of(shape)),
            shape.def.and_then(|d| d.get("xmlNamespace")),
        );
        if let Some(name) = shape.text("locationName") {
            schema = schema.with_xml_name(name);
        }
        keep(schema)
    }))
}

/// The schema of a member inside its structure.
pub(super) fn named(m: &'static Member) -> Schema {
    pair(m).0
}

/// The schema of a member as list element, map value or payload: it has no name of its own.
pub(super) fn element(m: &'static Member) -> Schema {
    structure(m.shape()).unwrap_or_else(|| pair(m).1)
}

fn pair(m: &'static Member) -> (Schema, Schema) {
    *m.schemas.get_or_init(|| build(m))
}

fn build(m: &'static Member) -> (Schema, Schema) {
    let shape = m.shape();
    let protocol = shape.service.protocol;
    let kind = shape.shape_type();
    let wire = m.reference.get("locationName").and_then(Value::as_str);
    // A label is matched by member name there and by wire name in botocore's models.
    let name = if m.location == Location::Uri { wire.unwrap_or(m.name) } else { m.name };
    let mut named = Owned::new_member(id(shape.name), kind, name, m.index);
    let mut element = Owned::new(id(shape.name), kind);
    if matches!(kind, ShapeType::List | ShapeType::Map) {
        match shape.kind() {
            Kind::List(e) => {
                named = named.with_list_member(pair(e).0);
                element = Owned::new_list(id(shape.name), pair(e).0);
            }
            Kind::Map(k, v) => {
                named = named.with_map_members(pair(k).0, pair(v).0);
                element = Owned::new_map(id(shape.name), pair(k).0, pair(v).0);
            }
            _ => {}
        }
    }
    // ec2 flattens every list of a request.
    let flat = m.flattened || (protocol == Protocol::Ec2 && kind == ShapeType::List);
    named = common(named, m, flat);
    element = common(element, m, flat);
    named = wire_name(named, m, wire, flat, kind);
    if m.attribute {
        named = named.with_xml_attribute();
    }
    let wire = wire.unwrap_or(m.name);
    named = match m.location {
        Location::Header => named.with_http_header(intern_header_name(wire)),
        Location::Headers => named.with_http_prefix_headers(m.wire),
        Location::Status => named.with_http_response_code(),
        Location::Uri => named.with_http_label(),
        Location::Query if kind == ShapeType::Map => named.with_http_query_params(),
        Location::Query => named.with_http_query(wire),
        Location::Body => named,
    };
    if m.payload {
        named = named.with_http_payload();
    }
    (keep(named), keep(element))
}

fn common(mut s: Owned, m: &'static Member, flat: bool) -> Owned {
    if let Some(format) = m.fact("timestampFormat").and_then(Value::as_str) {
        s = s.with_timestamp_format(match format {
            "iso8601" => TimestampFormat::DateTime,
            "rfc822" => TimestampFormat::HttpDate,
            _ => TimestampFormat::EpochSeconds,
        });
    }
    s = namespace(s, m.fact("xmlNamespace"));
    if flat {
        s = s.with_xml_flattened();
    }
    if m.json_text {
        s = s.with_media_type("application/json");
    }
    s
}

fn wire_name(s: Owned, m: &'static Member, wire: Option<&'static str>, flat: bool, kind: ShapeType) -> Owned {
    let protocol = m.shape().service.protocol;
    if protocol.is_json() {
        return match wire {
            Some(w) => s.with_json_name(w),
            None => s,
        };
    }
    let name = match protocol {
        Protocol::Ec2 => {
            let query_name = m.fact("queryName").and_then(Value::as_str);
            Some(query_name.unwrap_or_else(|| capitalized(wire.unwrap_or(m.name))))
        }
        Protocol::Query if flat && kind == ShapeType::List && wire.is_none() && m.wire != m.name => Some(m.wire),
        _ => wire,
    };
    match name {
        Some(w) => s.with_xml_name(w),
        None => s,
    }
}

/// The ec2 protocol's names in requests start with a capital letter.
fn capitalized(name: &'static str) -> &'static str {
    match name.chars().next() {
        Some(c) if c.is_ascii_lowercase() => format!("{}{}", c.to_ascii_uppercase(), &name[1..]).leak(),
        _ => name,
    }
}
