//! base64.

use super::{Function, Gives, text_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(super) const BASE64: Function = Function { name: "base64", usage: "base64(text)", args: 1..=1, gives: Gives::Text, call: base64 };

fn base64(args: &[&Value]) -> Result<Value, String> {
    text_of("base64", args[0])?.map_or(Ok(Value::Null), |s| base64_text(s).map(Value::String))
}

/// Decodes base64 whose bytes are UTF-8; bytes that are not become U+FFFD, as user data may hold archives.
pub(crate) fn base64_text(text: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(text.trim()).map_err(|e| format!("not base64: {e}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn decodes() {
        assert_eq!(call("base64", &[json!("aGVsbG8=\n")]), Ok(json!("hello")));
        assert_eq!(call("base64", &[json!("/w==")]), Ok(json!("\u{fffd}")));
        assert_eq!(call("base64", &[json!(null)]), Ok(json!(null)));
        assert!(call("base64", &[json!("a")]).unwrap_err().starts_with("not base64"));
    }
}
