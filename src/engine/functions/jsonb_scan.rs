//! Finds members and elements in jsonb text without building a tree.
//!
//! The text is valid JSON (canonical at the source), so a slice of it is a valid, canonical document too.

use assay_tables::jsonb::{end_of_string, end_of_value, unquote, write_string};
use std::borrow::Cow;

/// jsonb_typeof of a document.
pub(crate) fn kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// The text of a value as `->>` gives it: strings without quotes, JSON null as NULL.
pub(crate) fn as_text(value: &str) -> Option<Cow<'_, str>> {
    match value.trim_start().as_bytes().first() {
        Some(b'"') => Some(unquote(value.trim())),
        Some(b'n') => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// The elements of an array; nothing for other documents.
pub(crate) fn elements(text: &str) -> Parts<'_> {
    Parts::new(text, b'[')
}

/// The members of an object, names still quoted; nothing for other documents.
pub(crate) fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = Parts::new(text, b'{');
    std::iter::from_fn(move || {
        let name = parts.next()?;
        Some((name, parts.next()?))
    })
}

/// A member's value, of an object in canonical text.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let special = name.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
    if special { Name::new(name).find(text) } else { step_to(text, name, name.len()) }
}

/// Goes from member to member. Names are sorted by length, then by bytes: a longer one ends the search.
fn step_to<'a>(text: &'a str, inner: &str, length: usize) -> Option<&'a str> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut at = 1;
    while bytes.get(at) == Some(&b'"') {
        let end = end_of_string(bytes, at);
        let name = bytes.get(at + 1..end - 1)?;
        let found = name == inner.as_bytes();
        if !found && name.len() > length && !name.contains(&b'\\') {
            return None;
        }
        let value = end + 2;
        let end = end_of_value(bytes, value);
        if found {
            return text.get(value..end);
        }
        at = end + 2;
    }
    None
}

/// A member's name, to look for in many documents.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    plain: String,
    /// As canonical text writes it.
    quoted: String,
}

impl Name {
    pub(crate) fn new(name: &str) -> Name {
        let mut quoted = String::new();
        write_string(name, &mut quoted);
        Name { plain: name.to_string(), quoted }
    }

    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// The value of the member, of an object in canonical text.
    pub(crate) fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        step_to(text, self.quoted.get(1..self.quoted.len() - 1)?, self.plain.len())
    }
}

/// Reads a byte of each cache line of a text that will be walked next: asked for at once, they come sooner than one after the other.
pub(crate) fn fetch(text: &str) {
    const LINE: usize = 64;
    // A walk through a longer text is fast because it goes on in one direction.
    const LINES: usize = 16;
    let touched = text.as_bytes().iter().step_by(LINE).take(LINES).fold(0u8, |all, byte| all ^ byte);
    std::hint::black_box(touched);
}

/// A member's value in json, where the last of a name counts.
pub(crate) fn last_member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    members(text).filter(|(quoted, _)| unquote(quoted) == name).last().map(|(_, value)| value)
}

/// An element by index; negative counts from the end.
pub(crate) fn element(text: &str, index: i64) -> Option<&str> {
    if index >= 0 {
        elements(text).nth(usize::try_from(index).ok()?)
    } else {
        let all: Vec<&str> = elements(text).collect();
        let at = i64::try_from(all.len()).ok()?.checked_add(index)?;
        all.get(usize::try_from(at).ok()?).copied()
    }
}

/// The values of an array, or the names and values of an object, in turn.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str, open: u8) -> Parts<'a> {
        let start = text.len() - text.trim_start().len();
        let at = if text.as_bytes().get(start) == Some(&open) { start + 1 } else { text.len() };
        Parts { text, at }
    }

    /// The parts from a byte on.
    pub(crate) fn from(text: &'a str, at: usize) -> Parts<'a> {
        Parts { text, at }
    }

    /// The byte behind the last part.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b',' | b':' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
        let start = self.at;
        if matches!(bytes.get(start), None | Some(b']' | b'}')) {
            self.at = bytes.len();
            return None;
        }
        let end = end_of_value(bytes, start);
        self.at = end;
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found() {
        let doc = r#"{"": 0, "a": 1, "b": "x", "\\": 2, "aa": {"a": 3}, "aé": [4], "zz\"": 5, "aaaaaaaaaa": 6}"#;
        for (name, want) in [
            ("", Some("0")),
            ("a", Some("1")),
            ("b", Some("\"x\"")),
            ("\\", Some("2")),
            ("aa", Some("{\"a\": 3}")),
            ("aé", Some("[4]")),
            ("zz\"", Some("5")),
            ("aaaaaaaaaa", Some("6")),
            ("c", None),
            ("ab", None),
            ("aaaaaaaaa", None),
            ("aaaaaaaaaaa", None),
        ] {
            assert_eq!(member(doc, name), want, "{name}");
            assert_eq!(Name::new(name).find(doc), want, "{name}");
        }
        let inner = r#"{"a": {"x": 1, "k": "{\"x\": 2"}, "b": [{"x": 3}], "x\\": 4, "yy": "\"x\": 5", "xxx": "x", "x  \"": 6}"#;
        assert_eq!((member(inner, "x"), Name::new("x").find(inner)), (None, None));
        let outer = inner.replace("\"x\\\\\"", "\"x\"");
        assert_eq!((member(&outer, "x"), Name::new("x").find(&outer)), (Some("4"), Some("4")));
        for doc in ["{}", "[]", "[\"a\"]", "\"a\"", "1", "null", ""] {
            assert_eq!(member(doc, "a"), None, "{doc}");
        }
    }

    #[test]
    fn parts_are_found() {
        let doc = r#"{"a": [1, {"x": "]\""}, "é,"], "b\"": null, "cc": {"d": "e"}}"#;
        assert_eq!(member(doc, "a"), Some(r#"[1, {"x": "]\""}, "é,"]"#));
        assert_eq!(member(doc, "b\""), Some("null"));
        assert_eq!(member(doc, "d"), None);
        assert_eq!(element(member(doc, "a").unwrap(), -1), Some("\"é,\""));
        assert_eq!(element(member(doc, "a").unwrap(), 9), None);
        assert_eq!(last_member("{ \"a\" : 1, \"a\": [ 2 ] }", "a"), Some("[ 2 ]"));
        assert_eq!(elements("[]").count() + elements("{}").count() + elements("5").count(), 0);
        assert_eq!(elements("[[], {}, \"\"]").collect::<Vec<_>>(), ["[]", "{}", "\"\""]);
    }
}
