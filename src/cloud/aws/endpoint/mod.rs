//! Where a call goes: an interpreter of Smithy endpoint rule sets (version 1.0) over the partition data.
//!
//! Rules come from the service models; functions they call are in `functions`.

mod functions;
mod parameters;

pub(super) use parameters::{Builtins, parameters};

use serde_json::{Map, Value};
use std::borrow::Cow;

/// A resolved endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) headers: Map<String, Value>,
    /// `authSchemes` among them: what to sign for.
    pub(super) properties: Map<String, Value>,
}

type Variables = Map<String, Value>;

/// Resolves an endpoint from the rule set's parameters.
///
/// # Errors
/// The rule set's own message, or what is wrong with it.
pub(super) fn resolve(rules: &Value, partitions: &Value, given: &Map<String, Value>) -> Result<Endpoint, String> {
    let mut variables = Variables::new();
    for (name, p) in rules.get("parameters").and_then(Value::as_object).ok_or("the service has no endpoint parameters")? {
        match given.get(name).filter(|v| !v.is_null()).or_else(|| p.get("default")) {
            Some(v) => {
                variables.insert(name.clone(), v.clone());
            }
            None if p.get("required") == Some(&Value::Bool(true)) => return Err(format!("the endpoint parameter {name} is required")),
            None => {}
        }
    }
    let evaluation = Evaluation { partitions };
    evaluation.rules(rules.get("rules"), &variables)?.ok_or_else(|| "no endpoint rule fits".into())
}

fn items(v: Option<&Value>) -> &[Value] {
    v.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn members(v: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    v.and_then(Value::as_object).into_iter().flatten()
}

struct Evaluation<'a> {
    partitions: &'a Value,
}

impl Evaluation<'_> {
    /// The first rule whose conditions hold decides; a tree that was entered is final.
    fn rules(&self, rules: Option<&Value>, variables: &Variables) -> Result<Option<Endpoint>, String> {
        for rule in items(rules) {
            let Some(scope) = self.conditions(rule, variables)? else { continue };
            return match rule.get("type").and_then(Value::as_str) {
                Some("endpoint") => self.endpoint(rule.get("endpoint").unwrap_or(&Value::Null), &scope).map(Some),
                Some("error") => Err(match self.argument(rule.get("error").unwrap_or(&Value::Null), &scope)? {
                    Value::String(s) => s,
                    other => other.to_string(),
                }),
                _ => match self.rules(rule.get("rules"), &scope)? {
                    Some(e) => Ok(Some(e)),
                    None => Err("the endpoint rules are exhausted".into()),
                },
            };
        }
        Ok(None)
    }

    /// The variables with what the conditions assign; `None` when one does not hold.
    fn conditions<'v>(&self, rule: &Value, variables: &'v Variables) -> Result<Option<Cow<'v, Variables>>, String> {
        let mut scope = Cow::Borrowed(variables);
        for condition in items(rule.get("conditions")) {
            let v = self.call(condition, &scope)?;
            if v.is_null() || v == Value::Bool(false) {
                return Ok(None);
            }
            if let Some(name) = condition.get("assign").and_then(Value::as_str) {
                scope.to_mut().insert(name.to_owned(), v);
            }
        }
        Ok(Some(scope))
    }

    fn endpoint(&self, e: &Value, scope: &Variables) -> Result<Endpoint, String> {
        let mut headers = Map::new();
        for (name, values) in members(e.get("headers")) {
            let values = items(Some(values)).iter().map(|v| self.argument(v, scope));
            headers.insert(name.clone(), Value::Array(values.collect::<Result<_, _>>()?));
        }
        let mut properties = Map::new();
        for (name, v) in members(e.get("properties")) {
            properties.insert(name.clone(), self.inside(v, scope)?);
        }
        let Value::String(url) = self.argument(e.get("url").unwrap_or(&Value::Null), scope)? else {
            return Err("the endpoint's url is not text".into());
        };
        Ok(Endpoint { url, headers, properties })
    }

    /// Templates anywhere inside a value.
    fn inside(&self, v: &Value, scope: &Variables) -> Result<Value, String> {
        Ok(match v {
            Value::String(s) => template(s, scope)?,
            Value::Array(a) => Value::Array(a.iter().map(|v| self.inside(v, scope)).collect::<Result<_, _>>()?),
            Value::Object(o) => {
                Value::Object(o.iter().map(|(k, v)| Ok((k.clone(), self.inside(v, scope)?))).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    /// A reference, a function call, a template or a literal.
    fn argument(&self, v: &Value, scope: &Variables) -> Result<Value, String> {
        match v {
            Value::Object(o) => match o.get("ref").and_then(Value::as_str) {
                Some(name) => Ok(scope.get(name).cloned().unwrap_or_default()),
                None if o.contains_key("fn") => self.call(v, scope),
                None => Ok(v.clone()),
            },
            Value::String(s) => template(s, scope),
            Value::Array(a) => Ok(Value::Array(a.iter().map(|v| self.argument(v, scope)).collect::<Result<_, _>>()?)),
            other => Ok(other.clone()),
        }
    }

    fn call(&self, f: &Value, scope: &Variables) -> Result<Value, String> {
        let name = f.get("fn").and_then(Value::as_str).unwrap_or_default();
        let arguments = items(f.get("argv")).iter().map(|a| self.argument(a, scope)).collect::<Result<Vec<_>, _>>()?;
        functions::call(name, &arguments, self.partitions)
    }
}

/// Replaces `{name}` and `{name#path}`; `{{` and `}}` are literal braces.
fn template(s: &str, scope: &Variables) -> Result<Value, String> {
    let (mut out, mut rest) = (String::new(), s);
    while let Some(i) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(i);
        out.push_str(before);
        if from.starts_with("{{") || from.starts_with("}}") {
            out.push_str(&from[..1]);
            rest = &from[2..];
            continue;
        }
        let end = from.find('}').filter(|_| from.starts_with('{')).ok_or_else(|| format!("the template {s:?} is not closed"))?;
        let (name, path) = from[1..end].split_once('#').map_or((&from[1..end], None), |(n, p)| (n, Some(p)));
        let value = scope.get(name).cloned().unwrap_or_default();
        match path.map_or_else(|| value.clone(), |p| functions::attribute(&value, p)) {
            Value::String(text) => out.push_str(&text),
            Value::Bool(b) => out.push_str(if b { "true" } else { "false" }),
            _ => return Err(format!("the template value {name} is not text")),
        }
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Service, embedded};
    use serde_json::json;

    fn of(service: &str, given: &Value) -> Result<Endpoint, String> {
        resolve(Service::find(service).unwrap().rules(), embedded::partitions(), given.as_object().unwrap())
    }

    #[test]
    fn a_sample_of_endpoints() {
        for (service, given, want) in [
            ("iam", json!({"Region": "eu-west-1"}), "https://iam.amazonaws.com"),
            ("iam", json!({"Region": "us-gov-west-1"}), "https://iam.us-gov.amazonaws.com"),
            ("iam", json!({"Region": "cn-north-1"}), "https://iam.cn-north-1.amazonaws.com.cn"),
            ("sts", json!({"Region": "eu-west-1", "UseGlobalEndpoint": false}), "https://sts.eu-west-1.amazonaws.com"),
            ("kms", json!({"Region": "us-east-1", "UseFIPS": true}), "https://kms-fips.us-east-1.amazonaws.com"),
            ("ec2", json!({"Region": "eu-west-1", "UseDualStack": true}), "https://ec2.eu-west-1.api.aws"),
            ("s3", json!({"Region": "eu-west-1", "Bucket": "my-bucket"}), "https://my-bucket.s3.eu-west-1.amazonaws.com"),
            ("s3", json!({"Region": "eu-west-1", "Bucket": "my.bucket"}), "https://s3.eu-west-1.amazonaws.com/my.bucket"),
            ("iam", json!({"Region": "eu-west-1", "Endpoint": "http://127.0.0.1:1"}), "http://127.0.0.1:1"),
        ] {
            assert_eq!(of(service, &given).unwrap().url, want, "{service} {given}");
        }
        let scope = &of("iam", &json!({"Region": "eu-west-1"})).unwrap().properties["authSchemes"][0]["signingRegion"];
        assert_eq!(scope, "us-east-1");
    }

    #[test]
    fn what_cannot_be_resolved_says_why() {
        assert_eq!(of("iam", &json!({})).unwrap_err(), "Invalid Configuration: Missing Region");
        let e = of("s3", &json!({"Region": "eu-west-1", "Bucket": "arn:aws:s3:eu-west-1:1:nope"})).unwrap_err();
        assert!(e.contains("Invalid ARN"), "{e}");
        assert_eq!(resolve(&json!({}), &Value::Null, &Map::new()).unwrap_err(), "the service has no endpoint parameters");
        let unknown = json!({"parameters": {}, "rules": [{"conditions": [{"fn": "nope", "argv": []}], "type": "error", "error": "x"}]});
        assert_eq!(resolve(&unknown, &Value::Null, &Map::new()).unwrap_err(), "unknown endpoint function nope");
    }

    #[test]
    fn templates() {
        let scope = json!({"a": "x", "b": {"c": ["y"]}, "n": 1}).as_object().unwrap().clone();
        assert_eq!(template("{a}-{b#c[0]}-{{z}}", &scope).unwrap(), "x-y-{z}");
        for broken in ["{a", "}", "{n}", "{unknown}"] {
            assert!(template(broken, &scope).is_err(), "{broken}");
        }
    }
}
