//! Functions between values and text: JSON, YAML, base64, URLs.

use super::{Args, Done, Entry, Wrong, bad};
use crate::mods::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) const TABLE: &[Entry] = &[
    Entry("base64decode", 1, 1, |a| {
        let bytes = STANDARD.decode(a.text(0)?.as_bytes()).map_err(|_| bad(0, "the argument is not base64"))?;
        String::from_utf8(bytes).map(Value::text).map_err(|_| bad(0, "what is encoded is not text"))
    }),
    Entry("base64encode", 1, 1, |a| Ok(Value::text(STANDARD.encode(a.text(0)?.as_bytes())))),
    Entry("jsondecode", 1, 1, |a| {
        let json: serde_json::Value =
            serde_json::from_str(&a.text(0)?).map_err(|e| bad(0, format!("not JSON: line {}, column {}", e.line(), e.column())))?;
        Ok(Value::of_json(&json))
    }),
    Entry("jsonencode", 1, 1, |a| Ok(Value::text(encode(a)?))),
    Entry("urlencode", 1, 1, |a| {
        let mut out = String::new();
        for b in a.text(0)?.bytes() {
            match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
                b' ' => out.push('+'),
                _ => {
                    let _ = write!(out, "%{b:02X}");
                }
            }
        }
        Ok(Value::text(out))
    }),
    Entry("yamldecode", 1, 1, yaml),
];

/// As Go writes JSON: `<`, `>` and `&` escaped, keys sorted.
fn encode(a: &Args) -> Result<String, Wrong> {
    let json = a.at(0).to_json().ok_or_else(|| a.wrong(0, "a value"))?;
    Ok(json.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn yaml(a: &Args) -> Done {
    let file: Arc<str> = Arc::from("the argument");
    let node = crate::yaml::parse(&file, &a.text(0)?).map_err(|e| bad(0, format!("not YAML: {e}")))?;
    Ok(Value::of_json(&node.to_json()))
}
