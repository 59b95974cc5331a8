//! Facts of the service models that other rooms check specs against: shapes, paginators, error codes, regions.

use super::embedded::{self, ServiceFacts};
use serde_json::Value;

/// The paginator of an operation, from botocore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paginator {
    /// Request members that take the tokens.
    pub input_tokens: Vec<String>,
    /// Expressions over the answer that give the tokens, in the same order.
    pub output_tokens: Vec<String>,
    /// Member that says there is more.
    pub more_results: Option<String>,
    /// Request member that limits the page.
    pub limit_key: Option<String>,
    /// Paths of the result lists.
    pub result_keys: Vec<String>,
}

fn facts(service: &str) -> Option<&'static ServiceFacts> {
    Some(embedded::service(service)?.1)
}

fn one_or_many(v: Option<&Value>) -> Vec<String> {
    match v {
        Some(Value::String(s)) => vec![s.clone()],
        Some(Value::Array(a)) => a.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The paginator of an operation; `None` where the model has none.
pub fn paginator(service: &str, operation: &str) -> Option<Paginator> {
    let (_, fact) = facts(service)?.paginators.get(operation)?;
    let def = fact.object();
    let text = |k: &str| def.get(k).and_then(Value::as_str).map(str::to_owned);
    Some(Paginator {
        input_tokens: one_or_many(def.get("input_token")),
        output_tokens: one_or_many(def.get("output_token")),
        more_results: text("more_results"),
        limit_key: text("limit_key"),
        result_keys: one_or_many(def.get("result_key")),
    })
}

/// The names of an operation's input and output shapes, to be resolved one level at a time by [`shape`].
/// The outer `None`: unknown service or operation; the inner ones: no input, no output.
pub fn operation_shapes(service: &str, operation: &str) -> Option<(Option<String>, Option<String>)> {
    let (_, fact) = facts(service)?.operations.get(operation)?;
    let name = |k: &str| Some(fact.object().get(k)?.get("shape")?.as_str()?.to_owned());
    Some((name("input"), name("output")))
}

/// A shape of a service by name, as in the stripped model: `{type, members: {name: {shape, …}} | member | key, value, required, …}`.
pub fn shape(service: &str, name: &str) -> Option<&'static Value> {
    Some(facts(service)?.shapes.get(name)?.1.value())
}

/// Names of all services, sorted.
pub fn services() -> Vec<&'static str> {
    embedded::service_names().collect()
}

/// Names of all operations of a service, sorted; empty for an unknown service.
pub fn operations(service: &str) -> Vec<&'static str> {
    facts(service).map(|f| f.operations.names().collect()).unwrap_or_default()
}

/// Error codes the operation declares, sorted; services also answer with common and undeclared codes.
pub fn error_codes(service: &str, operation: &str) -> Vec<&'static str> {
    let Some(f) = facts(service) else { return Vec::new() };
    let Some((_, op)) = f.operations.get(operation) else { return Vec::new() };
    let declared = op.object().get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut codes: Vec<&str> = declared.map(|name| f.error_code(name)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

impl ServiceFacts {
    /// The code that stands for an error shape on the wire; most often the shape's name.
    pub(super) fn error_code(&self, shape: &'static str) -> &'static str {
        let code = |v: &'static Value| v.get("error")?.get("code")?.as_str();
        self.shapes.get(shape).and_then(|(_, s)| code(s.value())).unwrap_or(shape)
    }
}

/// Regions of a partition where the service has an endpoint, sorted; for a service with one endpoint for the whole partition, the
/// region it is signed for. `None` where the endpoint data does not know the service: it may be anywhere. A region newer than the data
/// is listed for services that are in every older region.
pub fn service_regions(service: &str, partition: &str) -> Option<Vec<&'static str>> {
    let list = facts(service)?.regions.value().get(partition)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paginators() {
        let p = paginator("iam", "ListUsers").unwrap();
        assert_eq!(p.input_tokens, ["Marker"]);
        assert_eq!(p.output_tokens, ["Marker"]);
        assert_eq!(p.more_results.as_deref(), Some("IsTruncated"));
        assert_eq!(p.limit_key.as_deref(), Some("MaxItems"));
        assert_eq!(p.result_keys, ["Users"]);
        let p = paginator("route53", "ListResourceRecordSets").unwrap();
        assert_eq!(p.input_tokens, ["StartRecordName", "StartRecordType", "StartRecordIdentifier"]);
        assert_eq!(paginator("iam", "GetUser"), None);
        assert_eq!(paginator("nope", "GetUser"), None);
    }

    #[test]
    fn shapes_resolve_one_level_at_a_time() {
        let (input, output) = operation_shapes("iam", "GetUser").unwrap();
        assert_eq!(input.as_deref(), Some("GetUserRequest"));
        let out = shape("iam", &output.unwrap()).unwrap();
        let user = out["members"]["User"]["shape"].as_str().unwrap();
        assert_eq!(shape("iam", user).unwrap()["members"]["CreateDate"]["shape"], "dateType");
        assert_eq!(shape("iam", "dateType").unwrap()["type"], "timestamp");
        assert_eq!(operation_shapes("iam", "DeleteUser").unwrap().1, None);
        assert_eq!(operation_shapes("iam", "Nope"), None);
        assert_eq!(shape("iam", "Nope"), None);
    }

    #[test]
    fn error_codes_are_those_on_the_wire() {
        assert_eq!(error_codes("iam", "GetUser"), ["NoSuchEntity", "ServiceFailure"]);
        assert_eq!(error_codes("iam", "Nope"), [""; 0]);
    }

    #[test]
    fn regions() {
        let aws = |s| service_regions(s, "aws");
        assert!(aws("ec2").unwrap().contains(&"eu-central-1"));
        assert!(!aws("ec2").unwrap().iter().any(|r| r.contains("fips") || r.contains("global")));
        assert!(aws("accessanalyzer").unwrap().len() > 30, "known under its endpoint prefix");
        assert_eq!(aws("iam"), Some(vec!["us-east-1"]));
        assert_eq!(service_regions("iam", "aws-cn"), Some(vec!["cn-north-1"]));
        assert_eq!(service_regions("ec2", "aws-cn"), Some(vec!["cn-north-1", "cn-northwest-1"]));
        assert_eq!(service_regions("ec2", "moon"), None);
        assert_eq!(service_regions("nope", "aws"), None);
    }
}
