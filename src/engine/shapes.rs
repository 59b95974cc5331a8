//! The service models as `tables` checks specs against them.

use assay_cloud::aws::model;
use assay_cloud::{CloudError, ReadOp};
use assay_tables::{Member, Shape, Shapes};

/// The embedded AWS models.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsShapes;

impl Shapes for AwsShapes {
    fn allowed(&self, service: &str, operation: &str) -> Result<(), (String, Option<String>)> {
        let named = |CloudError { code, message, .. }| match code.as_str() {
            "RefusedWrite" | "RefusedSecret" => (format!("{service}.{operation}: {message}"), None),
            _ => (message, None),
        };
        ReadOp::named(service, operation).map(|_| ()).map_err(named)
    }

    fn input(&self, service: &str, operation: &str) -> Option<String> {
        model::operation_shapes(service, operation)?.0
    }

    fn output(&self, service: &str, operation: &str) -> Option<String> {
        model::operation_shapes(service, operation)?.1
    }

    fn shape(&self, service: &str, name: &str) -> Option<Shape> {
        let shape = model::shape(service, name)?;
        let of = |key: &str| shape.get(key)?.get("shape")?.as_str().map(str::to_owned);
        Some(match shape.get("type")?.as_str()? {
            "structure" if shape.get("document").and_then(serde_json::Value::as_bool) == Some(true) => Shape::Document,
            "structure" => {
                let members = shape.get("members").and_then(|m| m.as_object());
                let member = |(name, m): (&String, &serde_json::Value)| {
                    Some(Member { name: name.clone(), shape: m.get("shape")?.as_str()?.to_owned() })
                };
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

    fn error_codes(&self, service: &str, operation: &str) -> Vec<String> {
        model::error_codes(service, operation).into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;
