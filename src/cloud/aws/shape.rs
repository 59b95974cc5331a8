//! Shapes of a service, built lazily from the model: what readers of answers and writers of requests walk.
//!
//! Structures resolve their members' shapes on first use, which is what lets recursive shapes exist.

use super::schema::Schema;
use super::service::{Protocol, Service};
use aws_smithy_schema::ShapeType;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A named shape.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(super) name: &'static str,
    pub(super) service: &'static Service,
    pub(super) def: Option<&'static Map<String, Value>>,
    kind: OnceLock<Kind>,
}

/// What a shape is made of.
#[derive(Debug)]
pub(super) enum Kind {
    Structure(Structure),
    List(Member),
    Map(Member, Member),
    Simple(ShapeType),
}

/// Members of a structure or union, in the model's order.
#[derive(Debug, Default)]
pub(super) struct Structure {
    pub(super) members: Vec<Member>,
    /// Body members by their name on the wire.
    by_wire: HashMap<&'static str, usize>,
    pub(super) payload: Option<usize>,
    pub(super) required: Vec<&'static str>,
    pub(super) schema: OnceLock<Schema>,
}

/// Where REST protocols put a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Body,
    Header,
    /// All headers with the prefix that is the wire name.
    Headers,
    Status,
    Query,
    Uri,
}

/// A member of a structure, the member of a list, or the key or value of a map.
#[derive(Debug)]
pub(super) struct Member {
    /// As in boto3.
    pub(super) name: &'static str,
    /// In answers; requests take it from their schemas.
    pub(super) wire: &'static str,
    pub(super) index: usize,
    pub(super) location: Location,
    pub(super) flattened: bool,
    pub(super) attribute: bool,
    pub(super) payload: bool,
    pub(super) json_text: bool,
    pub(super) idempotency_token: bool,
    pub(super) reference: &'static Map<String, Value>,
    target: &'static str,
    service: &'static Service,
    shape: OnceLock<&'static Shape>,
    /// Official schemas: as a structure's member, and as an element or payload.
    pub(super) schemas: OnceLock<(Schema, Schema)>,
}

pub(super) fn flag(def: &Map<String, Value>, key: &str) -> bool {
    def.get(key).and_then(Value::as_bool).unwrap_or(false)
}

impl Shape {
    pub(super) fn new(name: &'static str, def: Option<&'static Map<String, Value>>, service: &'static Service) -> Shape {
        Shape { name, service, def, kind: OnceLock::new() }
    }

    pub(super) fn text(&self, key: &str) -> Option<&'static str> {
        self.def?.get(key)?.as_str()
    }

    fn flag(&self, key: &str) -> bool {
        self.def.is_some_and(|d| flag(d, key))
    }

    pub(super) fn is_event_stream(&self) -> bool {
        self.flag("eventstream")
    }

    /// The official name of the shape's type.
    pub(super) fn shape_type(&self) -> ShapeType {
        match self.text("type").unwrap_or("structure") {
            "structure" if self.flag("document") => ShapeType::Document,
            "structure" if self.flag("union") => ShapeType::Union,
            "structure" => ShapeType::Structure,
            "list" => ShapeType::List,
            "map" => ShapeType::Map,
            "boolean" => ShapeType::Boolean,
            "byte" => ShapeType::Byte,
            "short" => ShapeType::Short,
            "integer" => ShapeType::Integer,
            "long" => ShapeType::Long,
            "float" => ShapeType::Float,
            "double" => ShapeType::Double,
            "bigdecimal" => ShapeType::BigDecimal,
            "biginteger" => ShapeType::BigInteger,
            "blob" => ShapeType::Blob,
            "timestamp" => ShapeType::Timestamp,
            _ => ShapeType::String,
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        self.kind.get_or_init(|| self.build())
    }

    /// The shape as a structure; `None` for all others.
    pub(super) fn structure(&self) -> Option<&Structure> {
        match self.kind() {
            Kind::Structure(s) => Some(s),
            _ => None,
        }
    }

    fn build(&self) -> Kind {
        let part = |key: &str, index| {
            let reference = self.def.and_then(|d| d.get(key)).and_then(Value::as_object)?;
            Some(Member::new(
                self.service,
                match key {
                    "member" => "member",
                    "key" => "key",
                    _ => "value",
                },
                index,
                reference,
                false,
            ))
        };
        match self.shape_type() {
            ShapeType::Structure | ShapeType::Union => Kind::Structure(self.build_structure()),
            ShapeType::List => part("member", 0).map_or(Kind::Simple(ShapeType::String), Kind::List),
            ShapeType::Map => match (part("key", 0), part("value", 1)) {
                (Some(k), Some(v)) => Kind::Map(k, v),
                _ => Kind::Simple(ShapeType::String),
            },
            simple => Kind::Simple(simple),
        }
    }

    fn build_structure(&self) -> Structure {
        let payload = self.text("payload");
        let defs = self.def.and_then(|d| d.get("members")).and_then(Value::as_object).into_iter().flatten();
        let members: Vec<Member> = defs
            .filter_map(|(name, r)| Some((name, r.as_object()?)))
            .enumerate()
            .map(|(i, (name, r))| Member::new(self.service, name, i, r, payload == Some(name)))
            .collect();
        Structure {
            by_wire: members.iter().filter(|m| m.is_answered_in_body()).map(|m| (m.wire, m.index)).collect(),
            payload: members.iter().position(|m| m.payload),
            required: self
                .def
                .and_then(|d| d.get("required"))
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
            members,
            schema: OnceLock::new(),
        }
    }
}

impl Structure {
    /// A body member by wire name. Answers mostly come in the model's order, so the member after the last one is tried first.
    pub(super) fn by_wire(&self, wire: &str, next: &mut usize) -> Option<&Member> {
        let member = match self.members.get(*next) {
            Some(m) if m.wire == wire && m.is_answered_in_body() => m,
            _ => self.members.get(*self.by_wire.get(wire)?)?,
        };
        *next = member.index + 1;
        Some(member)
    }
}

impl Member {
    fn new(service: &'static Service, name: &'static str, index: usize, reference: &'static Map<String, Value>, payload: bool) -> Member {
        let text = |key: &str| reference.get(key).and_then(Value::as_str);
        let target = text("shape").unwrap_or_default();
        let shape = service.shape(target);
        let flattened = flag(reference, "flattened") || shape.flag("flattened");
        let mut wire = text("locationName");
        if wire.is_none() && flattened && service.protocol == Protocol::Query {
            // Only SimpleDB-like models name the elements on the list instead.
            wire = shape.def.and_then(|d| d.get("member")?.get("locationName")?.as_str());
        }
        let location = match text("location") {
            _ if !service.protocol.is_rest() => Location::Body,
            Some("header") => Location::Header,
            Some("headers") => Location::Headers,
            Some("statusCode") => Location::Status,
            Some("querystring") => Location::Query,
            Some("uri") => Location::Uri,
            _ => Location::Body,
        };
        let default = if location == Location::Headers { "" } else { name };
        Member {
            name,
            wire: wire.unwrap_or(default),
            index,
            location,
            flattened,
            attribute: flag(reference, "xmlAttribute") || shape.flag("xmlAttribute"),
            payload,
            json_text: flag(reference, "jsonvalue") || shape.flag("jsonvalue"),
            idempotency_token: flag(reference, "idempotencyToken"),
            reference,
            target,
            service,
            shape: OnceLock::new(),
            schemas: OnceLock::new(),
        }
    }

    /// Places in the request mean nothing in an answer.
    pub(super) fn is_answered_in_body(&self) -> bool {
        matches!(self.location, Location::Body | Location::Query | Location::Uri)
    }

    pub(super) fn shape(&self) -> &'static Shape {
        self.shape.get_or_init(|| self.service.shape(self.target))
    }

    /// A trait of the member or, failing that, of its shape.
    pub(super) fn fact(&self, key: &str) -> Option<&'static Value> {
        self.reference.get(key).or_else(|| self.shape().def?.get(key))
    }
}
