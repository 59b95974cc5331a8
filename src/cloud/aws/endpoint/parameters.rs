//! The parameters of an endpoint rule set: from the client's configuration, from the operation, and from its input.

use crate::aws::service::Operation;
use serde_json::{Map, Value};

/// What the client's configuration says about endpoints.
#[derive(Debug, Clone, Default)]
pub(in crate::aws) struct Builtins {
    pub(in crate::aws) region: String,
    pub(in crate::aws) fips: bool,
    pub(in crate::aws) dual_stack: bool,
    /// From the environment or the profile: goes before everything else.
    pub(in crate::aws) endpoint: Option<String>,
}

impl Builtins {
    fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "AWS::Region" => self.region.as_str().into(),
            "AWS::UseFIPS" => self.fips.into(),
            "AWS::UseDualStack" => self.dual_stack.into(),
            "SDK::Endpoint" => self.endpoint.as_deref()?.into(),
            // A test endpoint has no name for every bucket.
            "AWS::S3::ForcePathStyle" => self.endpoint.is_some().into(),
            "AWS::STS::UseGlobalEndpoint" | "AWS::S3::UseGlobalEndpoint" | "AWS::S3::Accelerate" => false.into(),
            _ => return None,
        })
    }
}

/// The parameters for one call.
pub(in crate::aws) fn parameters(op: &Operation, builtins: &Builtins, input: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    let known = op.service.rules().get("parameters").and_then(Value::as_object);
    for (name, def) in known.into_iter().flatten() {
        if let Some(v) = def.get("builtIn").and_then(Value::as_str).and_then(|b| builtins.get(b)) {
            out.insert(name.clone(), v);
        }
    }
    let facts = |key: &str| op.def.get(key).and_then(Value::as_object).into_iter().flatten();
    for (name, def) in facts("staticContextParams") {
        out.insert(name.clone(), def.get("value").cloned().unwrap_or_default());
    }
    for (name, def) in facts("operationContextParams") {
        let path = def.get("path").and_then(Value::as_str);
        if let Some(v) = path.and_then(|p| path_value(input, p)) {
            out.insert(name.clone(), v);
        }
    }
    let members = op.input.and_then(|s| s.structure()).map_or(&[][..], |s| &s.members);
    for m in members {
        let name = m.reference.get("contextParam").and_then(|c| c.get("name")).and_then(Value::as_str);
        if let (Some(name), Some(v)) = (name, input.get(m.name)) {
            out.insert(name.to_owned(), v.clone());
        }
    }
    out
}

/// The subset of JMESPath that reads use: `keys(A)` and `A[*].B.C`.
fn path_value(input: &Value, path: &str) -> Option<Value> {
    if let Some(name) = path.strip_prefix("keys(").and_then(|p| p.strip_suffix(')')) {
        return Some(input.get(name)?.as_object()?.keys().cloned().collect());
    }
    let step = |v: &Value, path: &str| path.split('.').try_fold(v.clone(), |at, name| at.get(name).cloned());
    match path.split_once("[*].") {
        Some((list, rest)) => Some(step(input, list)?.as_array()?.iter().filter_map(|v| step(v, rest)).collect()),
        None => step(input, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Service;
    use serde_json::json;

    #[test]
    fn all_sources_of_parameters() {
        let op = |s: &str, o: &str| Service::find(s).unwrap().operation(o).unwrap();
        let builtins = Builtins { region: "eu-west-1".into(), endpoint: Some("http://h".into()), ..Builtins::default() };
        let p = parameters(op("s3", "GetBucketPolicy"), &builtins, &json!({"Bucket": "b"}));
        assert_eq!(
            (&p["Bucket"], &p["ForcePathStyle"], &p["Endpoint"], &p["Region"]),
            (&json!("b"), &json!(true), &json!("http://h"), &json!("eu-west-1"))
        );
        let p = parameters(op("dynamodb", "BatchGetItem"), &builtins, &json!({"RequestItems": {"t1": {}, "t2": {}}}));
        assert_eq!(p["ResourceArnList"], json!(["t1", "t2"]));
        let p = parameters(op("dynamodb", "TransactGetItems"), &builtins, &json!({"TransactItems": [{"Get": {"TableName": "t"}}]}));
        assert_eq!(p["ResourceArnList"], json!(["t"]));
        let p = parameters(op("s3control", "GetPublicAccessBlock"), &builtins, &json!({"AccountId": "1"}));
        assert_eq!((&p["AccountId"], &p["RequiresAccountId"]), (&json!("1"), &json!(true)));
    }
}
