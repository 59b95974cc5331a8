//! What makes two calls the same call: whose credentials, region, service, operation and canonical input, as one text.

use serde_json::Value;
use std::sync::Arc;

/// Joins the parts of a call's identity. No part but the input can hold a tab, and JSON text escapes tabs, so the text is unambiguous.
pub(crate) fn call_key(subject: &str, region: &str, service: &str, operation: &str, input: &str) -> Arc<str> {
    [subject, region, service, operation, input].join("\t").into()
}

/// An input as canonical text: keys sorted, members that are null left out (no API tells null from absent), no input is `{}`.
pub(crate) fn canonical_input(input: &Value) -> String {
    let mut out = String::new();
    match input {
        Value::Null => out.push_str("{}"),
        other => write(other, &mut out),
    }
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k).collect();
            names.sort_unstable();
            out.push('{');
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write(&members[name], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_that_mean_the_same_are_the_same_text() {
        for (input, text) in [
            (Value::Null, "{}"),
            (json!({}), "{}"),
            (json!({"b": 1, "a": "x"}), r#"{"a":"x","b":1}"#),
            (json!({"a": null, "b": [{"d": 1, "c": null}]}), r#"{"b":[{"d":1}]}"#),
            (json!({"a": "tab\there\n"}), r#"{"a":"tab\there\n"}"#),
            (json!({"a": [null, 1.5, true]}), r#"{"a":[null,1.5,true]}"#),
        ] {
            assert_eq!(canonical_input(&input), text);
        }
    }

    #[test]
    fn a_key_has_no_raw_tab_from_the_input() {
        let key = call_key("prod", "eu-west-1", "s3", "GetBucketAcl", &canonical_input(&json!({"Bucket": "a\tb"})));
        assert_eq!(key.matches('\t').count(), 4);
    }
}
