//! `policy(document)`: the canonical form of an IAM policy, so that SQL can compare and unnest policies however they were written.
//!
//! Statements keep their order; actions are lower-case, and every list is sorted by bytes and without duplicates.

use super::{Function, Gives, document};
use serde_json::{Map, Value};

pub(super) const POLICY: Function = Function { name: "policy", usage: "policy(document)", args: 1..=1, gives: Gives::Json, call: policy };

fn policy(args: &[&Value]) -> Result<Value, String> {
    match document::parse("policy", args[0])? {
        Value::Null => Ok(Value::Null),
        Value::Object(members) => canonical(members).map(Value::Object),
        other => Err(format!("policy(): a policy is an object, not {}", kind(&other))),
    }
}

fn canonical(members: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    for (name, value) in members {
        let value = match name.as_str() {
            "Statement" if value.is_null() => Value::Array(Vec::new()),
            "Statement" => Value::Array(list(value).into_iter().map(statement).collect::<Result<_, _>>()?),
            _ if empty(&value) => continue,
            _ => value,
        };
        out.insert(name, value);
    }
    Ok(out)
}

fn statement(value: Value) -> Result<Value, String> {
    let Value::Object(members) = value else { return Err(format!("policy(): a statement is an object, not {}", kind(&value))) };
    let mut out = Map::new();
    for (name, value) in members {
        let value = match name.as_str() {
            _ if empty(&value) => continue,
            "Action" | "NotAction" => sorted(value, str::to_lowercase)?,
            "Resource" | "NotResource" => sorted(value, str::to_owned)?,
            "Principal" | "NotPrincipal" => principal(value)?,
            "Condition" => condition(value)?,
            _ => value,
        };
        out.insert(name, value);
    }
    Ok(Value::Object(out))
}

fn principal(value: Value) -> Result<Value, String> {
    match value {
        Value::Object(kinds) => {
            let kinds = kinds.into_iter().map(|(kind, who)| Ok((kind, sorted(who, str::to_owned)?)));
            Ok(Value::Object(kinds.collect::<Result<_, String>>()?))
        }
        // Only "*" is documented as a text; IAM reads any other text as an AWS principal as well.
        text => Ok(Value::Object(Map::from_iter([("AWS".to_owned(), sorted(text, str::to_owned)?)]))),
    }
}

fn condition(value: Value) -> Result<Value, String> {
    let Value::Object(operators) = value else { return Err(format!("policy(): a condition is an object, not {}", kind(&value))) };
    let mut out = Map::new();
    for (operator, tests) in operators {
        let Value::Object(tests) = tests else { return Err(format!("policy(): {operator} holds an object, not {}", kind(&tests))) };
        let mut keys: Map<String, Value> = Map::new();
        for (key, values) in tests {
            let key = key.to_lowercase();
            let mut values = list(values);
            // Two spellings of a key in one operator are one key.
            if let Some(Value::Array(before)) = keys.remove(&key) {
                values.extend(before);
            }
            keys.insert(key, sorted(Value::Array(values), str::to_owned)?);
        }
        out.insert(operator, Value::Object(keys));
    }
    Ok(Value::Object(out))
}

/// One or many texts (numbers and booleans as texts) as a sorted array without duplicates.
fn sorted(value: Value, spell: impl Fn(&str) -> String) -> Result<Value, String> {
    let mut texts = list(value)
        .into_iter()
        .map(|v| match v {
            Value::String(s) => Ok(spell(&s)),
            Value::Bool(b) => Ok(b.to_string()),
            Value::Number(n) => Ok(n.to_string()),
            other => Err(format!("policy(): expected a text, found {}", kind(&other))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts.into_iter().map(Value::String).collect())
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// Optional members that say nothing are left out.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::{Value, json};

    /// A policy with one statement of these members.
    fn one(members: Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": [members]})
    }

    #[test]
    fn members_of_a_statement() {
        for (written, canonical) in [
            (json!({"Action": "s3:GetObject"}), json!({"Action": ["s3:getobject"]})),
            (json!({"Action": ["s3:Put*", "S3:put*", "ec2:*"]}), json!({"Action": ["ec2:*", "s3:put*"]})),
            (json!({"NotAction": ["IAM:*", "b:C"]}), json!({"NotAction": ["b:c", "iam:*"]})),
            (json!({"Principal": "*"}), json!({"Principal": {"AWS": ["*"]}})),
            (json!({"NotPrincipal": "*"}), json!({"NotPrincipal": {"AWS": ["*"]}})),
            (
                json!({"Principal": {"AWS": "111122223333", "Service": ["b.amazonaws.com", "a.amazonaws.com", "b.amazonaws.com"]}}),
                json!({"Principal": {"AWS": ["111122223333"], "Service": ["a.amazonaws.com", "b.amazonaws.com"]}}),
            ),
            (
                json!({"Condition": {"Bool": {"aws:SecureTransport": false}}}),
                json!({"Condition": {"Bool": {"aws:securetransport": ["false"]}}}),
            ),
            (
                json!({"Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2, "S3:tlsversion": [5, "5"]}}}),
                json!({"Condition": {"NumericLessThan": {"s3:tlsversion": ["1.2", "5"]}}}),
            ),
            (
                json!({"Resource": ["arn:aws:s3:::B/*", "arn:aws:s3:::A/*", "arn:aws:s3:::B/*"]}),
                json!({"Resource": ["arn:aws:s3:::A/*", "arn:aws:s3:::B/*"]}),
            ),
            (json!({"Sid": "", "Effect": "Allow", "Condition": {}, "NotResource": "X"}), json!({"Effect": "Allow", "NotResource": ["X"]})),
            (json!({"Sid": "Keep Me", "Effect": "Deny"}), json!({"Sid": "Keep Me", "Effect": "Deny"})),
        ] {
            assert_eq!(call("policy", &[one(written.clone())]), Ok(one(canonical)), "{written}");
        }
    }

    #[test]
    fn whole_documents() {
        for (document, want) in [
            (json!({"Statement": {"Effect": "Allow"}}), Ok(json!({"Statement": [{"Effect": "Allow"}]}))),
            (
                json!({"Id": "x", "Version": "2008-10-17", "Statement": [{"Sid": "b"}, {"Sid": "a"}]}),
                Ok(json!({"Id": "x", "Version": "2008-10-17", "Statement": [{"Sid": "b"}, {"Sid": "a"}]})),
            ),
            (json!({"Id": "", "Statement": []}), Ok(json!({"Statement": []}))),
            (json!("%7B%22Statement%22%3A%7B%22Action%22%3A%22A%3AB%22%7D%7D"), Ok(json!({"Statement": [{"Action": ["a:b"]}]}))),
            (json!("{\"Statement\": {\"Action\": \"A:B\"}}"), Ok(json!({"Statement": [{"Action": ["a:b"]}]}))),
            (json!(null), Ok(json!(null))),
            (json!([1]), Err("policy(): a policy is an object, not a list".to_owned())),
            (json!({"Statement": ["x"]}), Err("policy(): a statement is an object, not a text".to_owned())),
            (json!({"Statement": {"Action": {"a": 1}}}), Err("policy(): expected a text, found an object".to_owned())),
            (json!({"Statement": {"Condition": {"Bool": 1}}}), Err("policy(): Bool holds an object, not a number".to_owned())),
        ] {
            assert_eq!(call("policy", std::slice::from_ref(&document)), want, "{document}");
        }
        assert!(call("policy", &[json!("{nope")]).unwrap_err().starts_with("policy(): not JSON: "));
    }
}
