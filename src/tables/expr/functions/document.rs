//! `document(text)`: JSON that an API gives as text, URL-encoded (IAM) or plain (S3, KMS).

use super::{Function, Gives};
use percent_encoding::percent_decode_str;
use serde_json::Value;

pub(super) const DOCUMENT: Function =
    Function { name: "document", usage: "document(text)", args: 1..=1, gives: Gives::Json, call: |a| parse("document", a[0]) };

/// Parses a document. What is not a text is taken as already parsed; an empty text is null.
pub(super) fn parse(function: &str, value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else { return Ok(value.clone()) };
    let text = text.trim();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    // JSON never begins with a percent sign, and IAM encodes the first brace.
    if text.starts_with('%') {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|e| format!("{function}(): not UTF-8: {e}"))?;
        return json(function, &decoded);
    }
    json(function, text)
}

fn json(function: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("{function}(): not JSON: {e}"))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn documents() {
        for (text, want) in [
            (json!("{\"a\": \"100%25\"}"), Ok(json!({"a": "100%25"}))),
            (json!("%7B%22a%22%3A%20%22b%2Bc+d%22%7D"), Ok(json!({"a": "b+c+d"}))),
            (json!({"already": 1}), Ok(json!({"already": 1}))),
            (json!(null), Ok(json!(null))),
            (json!(" "), Ok(json!(null))),
        ] {
            assert_eq!(call("document", std::slice::from_ref(&text)), want, "{text}");
        }
        assert!(call("document", &[json!("{\"a\": ")]).unwrap_err().starts_with("document(): not JSON: "));
        assert!(call("document", &[json!("%7B%FF")]).unwrap_err().starts_with("document(): not UTF-8: "));
    }
}
