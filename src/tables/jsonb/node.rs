//! A parsed jsonb document: members in canonical order, numbers as their canonical text.

use super::bytes::escaped;
use super::parse::unescape;
use std::borrow::Cow;
use std::cmp::Ordering;

/// A jsonb value. Objects hold each name once, in canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the text PostgreSQL's numeric gives it.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Node>),
    /// An object.
    Object(Vec<(String, Node)>),
}

/// jsonb's order of member names: shorter first, then by bytes.
pub fn cmp_keys(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

impl Node {
    /// An object; of members with the same name the last one stays.
    pub fn object(members: impl IntoIterator<Item = (String, Node)>) -> Node {
        let mut members: Vec<_> = members.into_iter().collect();
        members.reverse();
        members.sort_by(|(a, _), (b, _)| cmp_keys(a, b));
        members.dedup_by(|(a, _), (b, _)| a == b);
        Node::Object(members)
    }

    /// The member of that name, if this is an object and has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Object(members) => {
                members.binary_search_by(|(key, _)| cmp_keys(key, name)).ok().and_then(|at| members.get(at)).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Appends the canonical text.
    pub fn write(&self, out: &mut String) {
        match self {
            Node::Null => out.push_str("null"),
            Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Node::Number(text) => out.push_str(text),
            Node::String(text) => write_string(text, out),
            Node::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Node::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    write_string(name, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends a string as JSON, with the escapes PostgreSQL writes.
pub fn write_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    loop {
        let at = escaped(rest.as_bytes(), 0);
        out.push_str(&rest[..at]);
        match rest.as_bytes().get(at) {
            None => break,
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'\r') => out.push_str("\\r"),
            Some(b'\t') => out.push_str("\\t"),
            Some(0x8) => out.push_str("\\b"),
            Some(0xc) => out.push_str("\\f"),
            Some(other) => out.push_str(&format!("\\u{other:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push('"');
}

/// The string that a quoted JSON string (a slice of a valid document, quotes included) stands for.
pub fn unquote(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(quoted);
    if inner.contains('\\') { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
}
