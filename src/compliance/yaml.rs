//! YAML as a tree in which every node knows its place. Scalars keep their spelling (`1.10` stays `1.10`), repeated keys are errors; anchors,
//! aliases, tags and several documents in a file are refused.

use crate::{ContentError, Place};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::Value as Json;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

#[derive(Debug)]
pub(crate) enum Data {
    /// `plain`: neither quoted nor a block, so that it may be a number, a boolean or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// What a message calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { .. } => "a scalar",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value as YAML 1.2's core schema reads it.
    pub(crate) fn to_json(&self) -> Json {
        match &self.data {
            Data::Scalar { text, plain: false } => Json::String(text.clone()),
            Data::Scalar { .. } if self.is_null() => Json::Null,
            Data::Scalar { text, .. } => match text.as_str() {
                "true" | "True" | "TRUE" => Json::Bool(true),
                "false" | "False" | "FALSE" => Json::Bool(false),
                _ => number(text).unwrap_or_else(|| Json::String(text.clone())),
            },
            Data::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Data::Map(entries) => Json::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect()),
        }
    }
}

/// Decimal integers and finite decimal fractions; nothing else that Rust would read as a number (`inf`, `1_0`).
pub(crate) fn number(text: &str) -> Option<Json> {
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    if let Ok(i) = text.parse::<i64>() {
        return Some(Json::from(i));
    }
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Json::Number)
}

/// An error at a place.
pub(crate) fn error_at(place: &Place, message: impl Into<String>, hint: Option<String>) -> ContentError {
    ContentError { file: place.file.to_string(), line: place.line, column: place.column, message: message.into(), hint }
}

/// Parses a file's text.
pub(crate) fn parse(file: &Arc<str>, text: &str) -> Result<Node, ContentError> {
    let mut builder = Builder { file: file.clone(), stack: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let hint = "check the indentation; quote values that contain ': ' or begin with one of - ? [ ] { } & * ! | > % @ `";
            error_at(&place(file, e.marker()), e.info().to_lowercase(), Some(hint.to_owned()))
        })?;
        builder.event(event, &span.start)?;
    }
    builder.root.ok_or_else(|| {
        let at = Place { file: file.clone(), line: 1, column: 1 };
        error_at(&at, "the file is empty", Some("begin with `control: <id>` or `benchmark: <id>`".to_owned()))
    })
}

fn place(file: &Arc<str>, marker: &Marker) -> Place {
    Place { file: file.clone(), line: marker.line(), column: marker.col() + 1 }
}

struct Builder {
    file: Arc<str>,
    stack: Vec<(Node, Option<(String, Place)>)>,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, marker: &Marker) -> Result<(), ContentError> {
        let at = place(&self.file, marker);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(&at, anchor, tag.is_some())?;
                let data = Data::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { place: at, data })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(&at, anchor, tag.is_some())?;
                self.stack.push((Node { place: at, data: Data::List(Vec::new()) }, None));
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(&at, anchor, tag.is_some())?;
                self.stack.push((Node { place: at, data: Data::Map(Vec::new()) }, None));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some((node, _)) => self.add(node),
                None => Ok(()),
            },
            Event::Alias(_) => self.refuse(&at, 1, false),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(error_at(&at, "a second document", Some("one file, one document".to_owned())))
            }
            Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => Ok(()),
        }
    }

    fn refuse(&self, at: &Place, anchor: usize, tag: bool) -> Result<(), ContentError> {
        if anchor > 0 {
            return Err(error_at(at, "anchors and aliases are not understood", Some("write the value out".to_owned())));
        }
        if tag {
            return Err(error_at(at, "tags such as !x are not understood", Some("quote values that begin with '!'".to_owned())));
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), ContentError> {
        let Some((parent, pending)) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.data {
            Data::List(items) => items.push(node),
            Data::Map(entries) => match pending.take() {
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
                None => {
                    let Data::Scalar { text, .. } = node.data else {
                        return Err(error_at(&node.place, "a key must be a word", None));
                    };
                    if let Some(first) = entries.iter().find(|e| e.key == text) {
                        let hint = format!("it stands in line {} already", first.place.line);
                        return Err(error_at(&node.place, format!("key '{text}' is repeated"), Some(hint)));
                    }
                    *pending = Some((text, node.place));
                }
            },
            Data::Scalar { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Node, String> {
        parse(&Arc::from("f.yaml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn keeps_spelling_and_places() {
        let node = load("a: 1.10\nb:\n  - 'x'\n  - |\n    line\n").unwrap();
        let Data::Map(entries) = &node.data else { panic!("{node:?}") };
        assert!(matches!(&entries[0].value.data, Data::Scalar { text, plain: true } if text == "1.10"));
        assert_eq!((entries[0].value.place.line, entries[0].value.place.column), (1, 4));
        assert_eq!((entries[1].place.line, entries[1].place.column), (2, 1));
        let Data::List(items) = &entries[1].value.data else { panic!("{node:?}") };
        assert_eq!((items[0].place.line, items[0].place.column), (3, 5));
        assert!(matches!(&items[1].data, Data::Scalar { text, plain: false } if text == "line\n"));
    }

    #[test]
    fn reads_scalars_as_the_core_schema_does() {
        for (text, want) in [
            ("90", "90"),
            ("-1", "-1"),
            ("0.5", "0.5"),
            ("true", "true"),
            ("~", "null"),
            ("''", "\"\""),
            ("'90'", "\"90\""),
            ("v2.0.0", "\"v2.0.0\""),
            ("inf", "\"inf\""),
            ("[1, a, false]", "[1,\"a\",false]"),
        ] {
            assert_eq!(load(text).unwrap().to_json().to_string(), want, "{text}");
        }
    }

    #[test]
    fn refuses_with_a_place() {
        for (text, want) in [
            ("", "f.yaml:1:1: the file is empty"),
            ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' is repeated"),
            ("a: &x 1\nb: *x\n", "f.yaml:1:7: anchors and aliases"),
            ("a: !str 1\n", "f.yaml:1:9: tags such as"),
            ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"),
            ("a: b: c\n", "f.yaml:1:"),
            ("[a]: b\n", "f.yaml:1:1: a key must be a word"),
        ] {
            let got = load(text).unwrap_err();
            assert!(got.starts_with(want), "{text:?} gave {got}");
        }
    }
}
