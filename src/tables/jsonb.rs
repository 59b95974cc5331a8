//! PostgreSQL's canonical text of jsonb: keys by length, then bytes; `": "` and `", "` between parts. Equal documents have equal text.

mod bytes;
mod node;
mod number;
mod parse;

pub use bytes::{end_of_string, end_of_value};
pub use node::{Node, cmp_keys, unquote, write_string};
pub use number::canonical as canonical_number;
pub use parse::{SyntaxError, check, parse};

use serde_json::Value;

/// The canonical text of a document.
pub fn to_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Appends the canonical text of a document.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| cmp_keys(a, b));
            out.push('{');
            for (i, (name, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_string(name, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        Value::String(text) => write_string(text, out),
        Value::Number(number) => {
            let text = number.to_string();
            // Only exponents differ from PostgreSQL's text of a number; a number beyond its range keeps its own.
            out.push_str(&if text.contains(['e', 'E']) { canonical_number(&text).unwrap_or(text) } else { text });
        }
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Null => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_become_digits() {
        assert_eq!(to_text(&serde_json::json!([1e21, 1.5e-7, 2.0])), "[1000000000000000000000, 0.00000015, 2.0]");
    }

    #[test]
    fn keys_are_ordered_by_length_then_bytes() {
        let v = serde_json::json!({"bb": 1, "a": [true, null, "x\n\u{1}é\""], "aa": {"z": 1.5, "B": {}}});
        assert_eq!(to_text(&v), "{\"a\": [true, null, \"x\\n\\u0001é\\\"\"], \"aa\": {\"B\": {}, \"z\": 1.5}, \"bb\": 1}");
    }
}
