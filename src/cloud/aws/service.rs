//! One service as a client sees it: protocol, names to sign with, operations, shapes. Built lazily from the embedded facts; refuses
//! services and operations that need something left out (`docs/aws-services.md`), by name and with the reason.

use super::embedded::{self, Fact, ServiceFacts};
use super::schema::Schema;
use super::shape::{Kind, Shape};
use crate::{CloudError, ErrorKind};
use aws_smithy_schema::protocol::SharedClientProtocol;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The wire formats a call can use, most of them through official request serializers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json10,
    Json11,
    RestJson,
    RestXml,
    Query,
    Ec2,
}

impl Protocol {
    /// Whether members are bound to headers, status and path.
    pub(super) fn is_rest(self) -> bool {
        matches!(self, Protocol::RestJson | Protocol::RestXml)
    }

    /// Whether bodies are JSON.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Protocol::Json10 | Protocol::Json11 | Protocol::RestJson)
    }
}

/// A callable service.
#[derive(Debug)]
pub(crate) struct Service {
    /// botocore's name.
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    facts: &'static ServiceFacts,
    pub(super) official: OnceLock<SharedClientProtocol>,
    shapes: Mutex<HashMap<&'static str, &'static Shape>>,
    operations: Mutex<HashMap<&'static str, &'static Operation>>,
}

/// A callable operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) name: &'static str,
    pub(super) service: &'static Service,
    pub(super) input: Option<&'static Shape>,
    /// The input's schema with the HTTP facts of the operation; empty where there is no input.
    pub(super) schema: Schema,
    pub(super) output: Option<&'static Shape>,
    pub(super) result_wrapper: Option<&'static str>,
    pub(super) host_prefix: Option<&'static str>,
    pub(super) method: &'static str,
    /// Sent without a signature.
    pub(super) anonymous: bool,
    /// The operation as modelled, for endpoint parameters.
    pub(super) def: &'static Map<String, Value>,
}

fn text(def: &'static Map<String, Value>, key: &str) -> Option<&'static str> {
    def.get(key)?.as_str()
}

fn strings(v: Option<&'static Value>) -> impl Iterator<Item = &'static str> {
    v.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn left_out(service: &str, operation: &str, why: &str) -> CloudError {
    let mut e = CloudError::new(
        ErrorKind::Invalid,
        "NotSupported",
        format!("assay cannot call this: it needs {why}; see docs/aws-services.md for what is left out"),
    );
    e.service = service.to_owned();
    e.operation = operation.to_owned();
    e
}

/// The first protocol of a service that is spoken here.
fn protocol(metadata: &'static Map<String, Value>) -> Option<Protocol> {
    let named = |p: &str| match p {
        "json" if text(metadata, "jsonVersion") == Some("1.0") => Some(Protocol::Json10),
        "json" => Some(Protocol::Json11),
        "rest-json" => Some(Protocol::RestJson),
        "rest-xml" => Some(Protocol::RestXml),
        "query" => Some(Protocol::Query),
        "ec2" => Some(Protocol::Ec2),
        _ => None,
    };
    strings(metadata.get("protocols")).chain(text(metadata, "protocol")).find_map(named)
}

impl Service {
    /// The service of that name, loaded at the first use.
    ///
    /// # Errors
    /// `Invalid` for an unknown service or one that is left out.
    pub(crate) fn find(name: &str) -> Result<&'static Service, CloudError> {
        static SERVICES: OnceLock<Mutex<HashMap<&'static str, &'static Service>>> = OnceLock::new();
        let mut known = SERVICES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(s) = known.get(name) {
            return Ok(s);
        }
        let Some((name, facts)) = embedded::service(name) else {
            return Err(CloudError::new(ErrorKind::Invalid, "UnknownService", format!("there is no AWS service `{name}`")));
        };
        let service: &'static Service = Box::leak(Box::new(Service::new(name, facts)?));
        known.insert(name, service);
        Ok(service)
    }

    pub(super) fn new(name: &'static str, facts: &'static ServiceFacts) -> Result<Service, CloudError> {
        let metadata = facts.metadata.object();
        match text(metadata, "signatureVersion") {
            Some("v2") => return Err(left_out(name, "", "Signature Version 2")),
            Some("bearer") => return Err(left_out(name, "", "bearer tokens")),
            _ => {}
        }
        let protocol = protocol(metadata).ok_or_else(|| left_out(name, "", "CBOR only"))?;
        Ok(Service { name, protocol, facts, official: OnceLock::new(), shapes: Mutex::default(), operations: Mutex::default() })
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&'static str> {
        text(self.facts.metadata.object(), key)
    }

    /// Names the service in endpoint variables, user agents and retry partitions: `IAM`, `Access Analyzer`.
    pub(super) fn id(&self) -> &'static str {
        self.metadata("serviceId").unwrap_or(self.name)
    }

    /// The name in the credential scope of signatures.
    pub(crate) fn signing_name(&self) -> &'static str {
        self.metadata("signingName").or_else(|| self.metadata("endpointPrefix")).unwrap_or(self.name)
    }

    pub(super) fn is_s3(&self) -> bool {
        self.metadata("endpointPrefix") == Some("s3")
    }

    /// Errors carry the codes of the query protocol the service once had.
    pub(super) fn query_compatible(&self) -> bool {
        self.facts.metadata.object().contains_key("awsQueryCompatible")
    }

    pub(super) fn rules(&self) -> &'static Value {
        self.facts.rules.value()
    }

    /// The model's `retryable` trait of an error, by code: `Some(true)` when it means throttling.
    pub(super) fn retryable(&self, code: &str) -> Option<bool> {
        let retryable = self.facts.shapes.get(code)?.1.object().get("retryable")?;
        Some(retryable.get("throttling").and_then(Value::as_bool).unwrap_or(false))
    }

    /// A shape by name; one that the model lacks is an empty structure, which a test over all models excludes.
    pub(super) fn shape(&'static self, name: &str) -> &'static Shape {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(s) = shapes.get(name) {
            return s;
        }
        let (name, def) = self.facts.shapes.get(name).map_or(("", None), |(n, f)| (n, Some(f)));
        let shape: &'static Shape = Box::leak(Box::new(Shape::new(name, def.map(Fact::object), self)));
        shapes.insert(name, shape);
        shape
    }

    /// An operation by name, built at the first use.
    ///
    /// # Errors
    /// `Invalid` for an unknown operation or one that is left out.
    pub(crate) fn operation(&'static self, name: &str) -> Result<&'static Operation, CloudError> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(o) = operations.get(name) {
            return Ok(o);
        }
        let Some((name, fact)) = self.facts.operations.get(name) else {
            let mut e = CloudError::new(ErrorKind::Invalid, "UnknownOperation", format!("{} has no operation `{name}`", self.name));
            e.service = self.name.to_owned();
            return Err(e);
        };
        let operation: &'static Operation = Box::leak(Box::new(self.build(name, fact.object())?));
        operations.insert(name, operation);
        Ok(operation)
    }

    fn build(&'static self, name: &'static str, def: &'static Map<String, Value>) -> Result<Operation, CloudError> {
        let shape = |key: &str| Some(self.shape(def.get(key)?.get("shape")?.as_str()?));
        let (input, output) = (shape("input"), shape("output"));
        if let Some(why) = why_left_out(def, input, output) {
            return Err(left_out(self.name, name, why));
        }
        let http = |key: &str| def.get("http")?.get(key)?.as_str();
        let method = http("method").unwrap_or("POST");
        let mut path = http("requestUri").unwrap_or("/");
        if self.is_s3() {
            // The endpoint rules put the bucket into the host or into the path.
            if let Some(rest) = path.strip_prefix("/{Bucket}") {
                path = if rest.starts_with('/') { rest } else { format!("/{rest}").leak() };
            }
        }
        Ok(Operation {
            name,
            service: self,
            input,
            schema: super::schema::of_input(self.protocol, input, def.get("input"), method, path),
            output,
            result_wrapper: def.get("output").and_then(|o| o.get("resultWrapper")).and_then(Value::as_str),
            host_prefix: def.get("endpoint").and_then(|e| e.get("hostPrefix")).and_then(Value::as_str),
            method,
            anonymous: text(def, "authtype") == Some("none") || strings(def.get("auth")).eq(["smithy.api#noAuth"]),
            def,
        })
    }
}

/// What keeps an operation from being called, if anything does.
fn why_left_out(def: &'static Map<String, Value>, input: Option<&'static Shape>, output: Option<&'static Shape>) -> Option<&'static str> {
    let streams = |shape: Option<&'static Shape>| match shape.map(Shape::kind) {
        Some(Kind::Structure(s)) => s.members.iter().any(|m| m.shape().is_event_stream()),
        _ => false,
    };
    if streams(input) || streams(output) {
        return Some("event stream");
    }
    if def.contains_key("requestcompression") {
        return Some("request compression");
    }
    strings(def.get("auth")).eq(["smithy.api#httpBearerAuth"]).then_some("bearer tokens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::model;
    use std::fmt::Write;

    #[test]
    fn every_operation_can_be_built_or_is_left_out_as_documented() {
        let page = include_str!("../../../docs/aws-services.md");
        let listed: Vec<&str> = page.lines().filter(|l| l.starts_with("| ") && l.split(" | ").count() == 3).skip(1).collect();
        let mut found = String::new();
        let mut built = 0;
        for name in model::services() {
            let reason = |e: &CloudError| e.message.split("it needs ").nth(1).unwrap().split(';').next().unwrap().to_owned();
            match Service::find(name) {
                Err(e) => {
                    assert_eq!(e.kind, ErrorKind::Invalid);
                    writeln!(found, "| {name} | all {} | {} |", model::operations(name).len(), reason(&e)).unwrap();
                }
                Ok(s) => {
                    for op in model::operations(name) {
                        match s.operation(op) {
                            Ok(_) => built += 1,
                            Err(e) => writeln!(found, "| {name} | {op} | {} |", reason(&e)).unwrap(),
                        }
                    }
                }
            }
        }
        assert_eq!(found.lines().collect::<Vec<_>>(), listed);
        assert!(built > 19_000, "{built}");
    }

    #[test]
    fn cbor_first_services_use_another_protocol() {
        assert_eq!(Service::find("cloudwatch").unwrap().protocol, Protocol::Json10);
        assert_eq!(Service::find("s3").unwrap().protocol, Protocol::RestXml);
        assert_eq!(Service::find("ec2").unwrap().protocol, Protocol::Ec2);
        assert_eq!(Service::find("nope").unwrap_err().code, "UnknownService");
        assert_eq!(Service::find("sdb").unwrap_err().code, "NotSupported");
        assert_eq!(Service::find("iam").unwrap().operation("ListUser").unwrap_err().code, "UnknownOperation");
    }
}
