//! The service models as `tables` checks specs against them.

use assay_cloud::azure::model as azure;
use assay_cloud::{CloudError, ReadOp, aws};
use assay_tables::{Member, Shape, Shapes};
use serde_json::Value;

/// The embedded models of all clouds. The name of a service says whose it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelShapes;

fn is_azure(service: &str) -> bool {
    assay_cloud::azure::is_api(service)
}

impl Shapes for ModelShapes {
    fn allowed(&self, service: &str, operation: &str) -> Result<(), (String, Option<String>)> {
        let name = if is_azure(service) { format!("{service} {operation}") } else { format!("{service}.{operation}") };
        let named = |CloudError { code, message, .. }| match code.as_str() {
            "RefusedWrite" | "RefusedSecret" => (format!("{name}: {message}"), None),
            _ => (message, None),
        };
        ReadOp::named(service, operation).map_err(named)?;
        if is_azure(service) { azure::unknown(service, operation).map_or(Ok(()), Err) } else { Ok(()) }
    }

    fn input(&self, service: &str, operation: &str) -> Option<String> {
        if is_azure(service) {
            return Some(azure::operation(service, operation)?.parameters());
        }
        aws::model::operation_shapes(service, operation)?.0
    }

    fn output(&self, service: &str, operation: &str) -> Option<String> {
        if is_azure(service) {
            return azure::operation(service, operation)?.output(None);
        }
        aws::model::operation_shapes(service, operation)?.1
    }

    fn output_of(&self, service: &str, operation: &str, version: &str) -> Option<String> {
        if is_azure(service) { azure::operation(service, operation)?.output(Some(version)) } else { self.output(service, operation) }
    }

    fn body(&self, service: &str, operation: &str) -> Option<String> {
        if is_azure(service) { azure::operation(service, operation)?.body() } else { None }
    }

    fn shape(&self, service: &str, name: &str) -> Option<Shape> {
        if is_azure(service) { azure_shape(azure::shape(service, name)?) } else { aws_shape(service, name) }
    }

    fn error_codes(&self, service: &str, operation: &str) -> Vec<String> {
        aws::model::error_codes(service, operation).into_iter().map(str::to_owned).collect()
    }

    fn api_versions(&self, service: &str, operation: &str) -> Vec<String> {
        if is_azure(service) { azure::pinned_versions(service, operation) } else { Vec::new() }
    }

    fn filter_clauses(&self, service: &str, operation: &str) -> Option<Vec<String>> {
        if is_azure(service) { azure::filter_clauses(service, operation) } else { None }
    }
}

fn azure_shape(shape: azure::Shape) -> Option<Shape> {
    Some(match shape {
        azure::Shape::Structure(members) => Shape::Structure(members.into_iter().map(|(name, shape)| Member { name, shape }).collect()),
        azure::Shape::List(of) => Shape::List(of),
        azure::Shape::Map(of) => Shape::Map(of),
        azure::Shape::Text => Shape::Text,
        azure::Shape::Int => Shape::Int,
        azure::Shape::Double => Shape::Double,
        azure::Shape::Bool => Shape::Bool,
        azure::Shape::Timestamp => Shape::Timestamp,
        azure::Shape::Any => Shape::Document,
    })
}

fn aws_shape(service: &str, name: &str) -> Option<Shape> {
    let shape = aws::model::shape(service, name)?;
    let of = |key: &str| shape.get(key)?.get("shape")?.as_str().map(str::to_owned);
    Some(match shape.get("type")?.as_str()? {
        "structure" if shape.get("document").and_then(Value::as_bool) == Some(true) => Shape::Document,
        "structure" => {
            let members = shape.get("members").and_then(|m| m.as_object());
            let member = |(name, m): (&String, &Value)| Some(Member { name: name.clone(), shape: m.get("shape")?.as_str()?.to_owned() });
            Shape::Structure(members.into_iter().flatten().filter_map(member).collect())
        }
        "list" => Shape::List(of("member")?),
        "map" => Shape::Map(of("value")?),
        "string" | "character" => Shape::Text,
        "blob" => Shape::Blob,
        "integer" | "long" | "short" | "byte" => Shape::Int,
        "float" | "double" | "bigdecimal" => Shape::Double,
        "boolean" => Shape::Bool,
        "timestamp" => Shape::Timestamp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
