//! From JSON to a serialized HTTP request without host: official protocol serializers, fed with a `Value` along a shape.
//!
//! Refuses input that the model does not know or that lacks required members, before anything is sent.

use super::scalar;
use super::schema::{self, Schema};
use super::service::{Operation, Protocol, Service};
use super::shape::{Kind, Member, Shape, Structure};
use crate::{CloudError, ErrorKind};
use aws_smithy_json::protocol::{aws_json_rpc::AwsJsonRpcProtocol, aws_rest_json_1::AwsRestJsonProtocol};
use aws_smithy_query::protocol::AwsQueryProtocol;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_schema::ShapeType;
use aws_smithy_schema::protocol::SharedClientProtocol;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::{Blob, DateTime, Document, Number};
use aws_smithy_xml::protocol::aws_rest_xml::AwsRestXmlProtocol;
use serde_json::{Map, Value};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

impl Service {
    /// The official serializer of the service's protocol.
    pub(super) fn official(&self) -> &SharedClientProtocol {
        self.official.get_or_init(|| {
            let target = self.metadata("targetPrefix").unwrap_or_default();
            match self.protocol {
                Protocol::Json10 => SharedClientProtocol::new(AwsJsonRpcProtocol::aws_json_1_0().with_target_prefix(target)),
                Protocol::Json11 => SharedClientProtocol::new(AwsJsonRpcProtocol::aws_json_1_1().with_target_prefix(target)),
                Protocol::RestJson => SharedClientProtocol::new(AwsRestJsonProtocol::new()),
                Protocol::RestXml => SharedClientProtocol::new(AwsRestXmlProtocol::new().with_no_error_wrapping(self.is_s3())),
                Protocol::Query | Protocol::Ec2 => {
                    let version = self.metadata("apiVersion").unwrap_or_default();
                    SharedClientProtocol::new(AwsQueryProtocol::new().with_service_version(version))
                }
            }
        })
    }
}

/// The request of an operation: method, path, query, headers and body, but no host.
///
/// # Errors
/// `Invalid` where the input does not fit the model.
pub(super) fn build(op: &'static Operation, input: &Value) -> Result<Request, CloudError> {
    build_with(op, input, &random_token)
}

/// [`build`] with a source of idempotency tokens.
pub(super) fn build_with(op: &'static Operation, input: &Value, token: &dyn Fn() -> String) -> Result<Request, CloudError> {
    serialize(op, input, token).map_err(|e| {
        let mut error = CloudError::new(ErrorKind::Invalid, "InvalidInput", format!("the input does not fit the operation: {e}"));
        error.service = op.service.name.to_owned();
        error.operation = op.name.to_owned();
        error
    })
}

fn serialize(op: &'static Operation, input: &Value, token: &dyn Fn() -> String) -> Result<Request, SerdeError> {
    static EMPTY: LazyLock<Structure> = LazyLock::new(Structure::default);
    let none = Map::new();
    let values = match input {
        Value::Null => &none,
        Value::Object(o) => o,
        _ => return Err(SerdeError::invalid_input("it is not an object")),
    };
    let structure = op.input.and_then(Shape::structure).unwrap_or(&EMPTY);
    let context = Context { protocol: op.service.protocol, token };
    let whole = Writer { schema: op.schema, structure, values, context, top: true };
    whole.check()?;
    let mut layer = Layer::new("request");
    layer.store_put(Metadata::new(op.name, op.service.id()));
    let mut request = op.service.official().serialize_request(&whole, op.schema, "", &ConfigBag::of_layers(vec![layer]))?;
    if op.service.query_compatible() {
        request.headers_mut().insert("x-amzn-query-mode", "true");
    }
    // Official serializers leave the content type of raw payloads to generated code.
    let payload = structure.payload.and_then(|i| structure.members.get(i)).filter(|m| values.contains_key(m.name));
    let content_type = match payload.map(|m| m.shape().shape_type()) {
        Some(ShapeType::Blob) => Some("application/octet-stream"),
        Some(ShapeType::String) => Some("text/plain"),
        _ => None,
    };
    if let (Some(content_type), None) = (content_type, request.headers().get("content-type")) {
        request.headers_mut().insert("content-type", content_type);
    }
    Ok(request)
}

/// A random UUID.
fn random_token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    uuid(random(), random())
}

pub(super) fn uuid(a: u64, b: u64) -> String {
    let (variant, node) = (0x8000 | (b >> 50), b & 0xffff_ffff_ffff);
    format!("{:08x}-{:04x}-4{:03x}-{variant:04x}-{node:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff)
}

#[derive(Clone, Copy)]
struct Context<'v> {
    protocol: Protocol,
    token: &'v dyn Fn() -> String,
}

/// A structure's values on their way into an official serializer.
struct Writer<'v> {
    schema: Schema,
    structure: &'static Structure,
    values: &'v Map<String, Value>,
    context: Context<'v>,
    /// The operation's input itself, not something inside it.
    top: bool,
}

fn unfit(what: &str, v: &Value) -> SerdeError {
    SerdeError::invalid_input(format!("expected {what}, got {v}"))
}

impl Writer<'_> {
    /// Unknown members, and required ones that are missing.
    fn check(&self) -> Result<(), SerdeError> {
        let members = &self.structure.members;
        if let Some(unknown) = self.values.keys().find(|k| !members.iter().any(|m| m.name == *k)) {
            let near = members.iter().map(|m| (strsim::jaro_winkler(m.name, unknown), m.name)).max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = near.filter(|n| n.0 > 0.7).map(|n| format!("; did you mean `{}`?", n.1)).unwrap_or_default();
            return Err(SerdeError::invalid_input(format!("there is no member `{unknown}`{hint}")));
        }
        let given = |name: &str| self.values.get(name).is_some_and(|v| !v.is_null());
        let made = |name: &str| self.top && members.iter().any(|m| m.name == name && m.idempotency_token);
        match self.structure.required.iter().find(|r| !given(r) && !made(r)) {
            Some(missing) => Err(SerdeError::invalid_input(format!("the member `{missing}` is required"))),
            None => Ok(()),
        }
    }

    fn inside(
        &self,
        schema: Schema,
        structure: &'static Structure,
        v: &Value,
        f: &mut dyn FnMut(&Writer<'_>) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let values = v.as_object().ok_or_else(|| unfit("an object", v))?;
        let inner = Writer { schema, structure, values, context: self.context, top: false };
        inner.check()?;
        f(&inner)
    }

    fn value(&self, s: &mut dyn ShapeSerializer, schema: Schema, m: &'static Member, v: &Value) -> Result<(), SerdeError> {
        let shape = m.shape();
        match shape.kind() {
            Kind::Structure(structure) => {
                let own = schema::structure(shape).unwrap_or(schema);
                self.inside(own, structure, v, &mut |inner| s.write_struct(schema, inner))
            }
            Kind::List(e) => {
                let items = v.as_array().ok_or_else(|| unfit("a list", v))?;
                s.write_list_with_length(schema, items.len(), &|s| items.iter().try_for_each(|v| self.element(s, e, v)))
            }
            Kind::Map(k, e) => {
                let entries = v.as_object().ok_or_else(|| unfit("an object", v))?;
                s.write_map_with_length(schema, entries.len(), &|s| {
                    entries.iter().try_for_each(|(key, v)| {
                        s.write_string(schema::element(k), key)?;
                        self.element(s, e, v)
                    })
                })
            }
            Kind::Simple(kind) => simple(s, schema, *kind, m.json_text, v),
        }
    }

    fn element(&self, s: &mut dyn ShapeSerializer, m: &'static Member, v: &Value) -> Result<(), SerdeError> {
        match v {
            Value::Null => s.write_null(schema::element(m)),
            _ => self.value(s, schema::element(m), m, v),
        }
    }
}

impl SerializableStruct for Writer<'_> {
    fn schema(&self) -> &aws_smithy_schema::Schema<'_> {
        self.schema
    }

    fn serialize_members(&self, s: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        for m in &self.structure.members {
            let payload_structure = m.payload && m.shape().structure().is_some();
            let schema = if payload_structure { schema::element(m) } else { schema::named(m) };
            match self.values.get(m.name) {
                None if m.idempotency_token && self.top => s.write_string(schema, &(self.context.token)())?,
                // REST-JSON sends `{}` for a payload structure that is not set.
                None if payload_structure && self.top && self.context.protocol == Protocol::RestJson => {
                    if let Some(structure) = m.shape().structure() {
                        let values = &Map::new();
                        s.write_struct(schema, &Writer { schema, structure, values, context: self.context, top: false })?;
                    }
                }
                None | Some(Value::Null) => {}
                Some(Value::Array(a)) if a.is_empty() && self.context.protocol == Protocol::Ec2 => {}
                Some(v) => self.value(s, schema, m, v)?,
            }
        }
        Ok(())
    }
}

fn simple(s: &mut dyn ShapeSerializer, schema: Schema, kind: ShapeType, json_text: bool, v: &Value) -> Result<(), SerdeError> {
    let integer = || v.as_i64().ok_or_else(|| unfit("an integer", v));
    match kind {
        ShapeType::Boolean => s.write_boolean(schema, v.as_bool().ok_or_else(|| unfit("a boolean", v))?),
        // botocore's integers cover all sizes, and a value out of range is the service's to refuse
        ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long => s.write_long(schema, integer()?),
        #[expect(clippy::cast_possible_truncation, reason = "the member is a 32-bit float")]
        ShapeType::Float => s.write_float(schema, float(v)? as f32),
        ShapeType::Double => s.write_double(schema, float(v)?),
        ShapeType::Timestamp => s.write_timestamp(schema, &timestamp(v).ok_or_else(|| unfit("a timestamp", v))?),
        ShapeType::Blob => {
            let bytes = v.as_str().and_then(|t| aws_smithy_types::base64::decode(t).ok()).ok_or_else(|| unfit("base64 text", v))?;
            s.write_blob(schema, Blob::new(bytes))
        }
        ShapeType::Document => s.write_document(schema, &document(v)),
        _ if json_text && !v.is_string() => s.write_string(schema, &v.to_string()),
        _ => s.write_string(schema, v.as_str().ok_or_else(|| unfit("a string", v))?),
    }
}

fn float(v: &Value) -> Result<f64, SerdeError> {
    match v.as_str() {
        Some("NaN") => Ok(f64::NAN),
        Some("Infinity") => Ok(f64::INFINITY),
        Some("-Infinity") => Ok(f64::NEG_INFINITY),
        _ => v.as_f64().ok_or_else(|| unfit("a number", v)),
    }
}

fn timestamp(v: &Value) -> Option<DateTime> {
    match v {
        Value::String(text) => scalar::timestamp(text),
        _ => scalar::epoch(v.as_f64()?),
    }
}

/// JSON as the official crates hold it.
pub(super) fn document(v: &Value) -> Document {
    match v {
        Value::Null => Document::Null,
        Value::Bool(b) => Document::Bool(*b),
        Value::Number(n) => Document::Number(match (n.as_u64(), n.as_i64()) {
            (Some(u), _) => Number::PosInt(u),
            (_, Some(i)) => Number::NegInt(i),
            _ => Number::Float(n.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::String(s) => Document::String(s.clone()),
        Value::Array(a) => Document::Array(a.iter().map(document).collect()),
        Value::Object(o) => Document::Object(o.iter().map(|(k, v)| (k.clone(), document(v))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn input_that_does_not_fit_is_refused() {
        for (service, operation, input, want) in [
            ("iam", "ListUsers", json!({"PathPrefx": "/"}), "there is no member `PathPrefx`; did you mean `PathPrefix`?"),
            ("iam", "GetLoginProfile", json!([1]), "it is not an object"),
            ("iam", "ListUsers", json!({"MaxItems": "x"}), "expected an integer, got \"x\""),
            ("iam", "ListAttachedRolePolicies", json!({}), "the member `RoleName` is required"),
            ("iam", "ListAttachedRolePolicies", json!({"RoleName": null}), "the member `RoleName` is required"),
            ("ec2", "DescribeInstances", json!({"Filters": [{"Nam": "x"}]}), "there is no member `Nam`; did you mean `Name`?"),
            ("ec2", "DescribeInstances", json!({"Filters": {}}), "expected a list, got {}"),
            ("kms", "ListAliases", json!({"Limit": 1.5}), "expected an integer, got 1.5"),
        ] {
            let op = Service::find(service).unwrap().operation(operation).unwrap();
            let e = build(op, &input).unwrap_err();
            assert_eq!(e.kind, ErrorKind::Invalid);
            assert!(e.message.contains(want), "{service} {operation}: {}", e.message);
            assert_eq!((e.service.as_str(), e.operation.as_str()), (service, operation));
        }
    }

    #[test]
    fn tokens_are_uuids() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        let (a, b) = (random_token(), random_token());
        assert_ne!(a, b);
        assert_eq!((a.len(), &a[14..15]), (36, "4"));
        assert!(matches!(&a[19..20], "8" | "9" | "a" | "b"), "{a}");
    }
}
