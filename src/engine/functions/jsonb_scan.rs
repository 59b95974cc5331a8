//! Finds members and elements in jsonb text without building a tree.
//!
//! The text is valid JSON (canonical at the source), so a slice of it is a valid, canonical document too.

use assay_tables::jsonb::unquote;
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
    match value.as_bytes().first() {
        Some(b'"') => Some(unquote(value)),
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

/// A member's value.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    members(text).find(|(quoted, _)| unquote(quoted) == name).map(|(_, value)| value)
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

/// The value at a path of names and indexes.
pub(crate) fn path<'a>(text: &'a str, steps: &[Option<&str>]) -> Option<&'a str> {
    steps.iter().try_fold(text, |at, step| {
        let step = (*step)?;
        match kind(at) {
            "object" => member(at, step),
            "array" => element(at, step.trim().parse().ok()?),
            _ => None,
        }
    })
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

fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let doc = r#"{"a": [1, {"x": "]\""}, "é,"], "b\"": null, "cc": {"d": "e"}}"#;
        assert_eq!(member(doc, "a"), Some(r#"[1, {"x": "]\""}, "é,"]"#));
        assert_eq!(member(doc, "b\""), Some("null"));
        assert_eq!(member(doc, "d"), None);
        assert_eq!(path(doc, &[Some("a"), Some("-1")]), Some("\"é,\""));
        assert_eq!(path(doc, &[Some("cc"), Some("d")]).and_then(as_text).as_deref(), Some("e"));
        assert_eq!(path(doc, &[Some("a"), Some("9")]), None);
        assert_eq!(elements("[]").count() + elements("{}").count() + elements("5").count(), 0);
        assert_eq!(elements("[[], {}, \"\"]").collect::<Vec<_>>(), ["[]", "{}", "\"\""]);
    }
}
