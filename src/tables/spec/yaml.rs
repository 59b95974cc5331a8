//! YAML with places: a tree in which every node knows its line, column and quoting, and helpers that refuse what is not expected.
//!
//! Owns the words of "unknown key", "expected a list". Refuses anchors, tags, duplicate keys and several documents in a file.

use crate::SpecError;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeSet;

/// A place: 1-based line and column.
pub(crate) type At = (usize, usize);

/// A node of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A scalar and whether it stands in single quotes.
    Text {
        text: String,
        style: Quotes,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    Plain,
    Single,
    Other,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) value: Node,
}

/// An error without its file, which the caller adds.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) at: Option<At>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Bad {
    pub(crate) fn new(at: At, message: impl Into<String>) -> Bad {
        Bad { at: Some(at), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Bad {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean …" when one of the names is close.
    pub(crate) fn suggest<'a>(mut self, name: &str, names: impl IntoIterator<Item = &'a str>) -> Bad {
        if let Some(best) = closest(name, names) {
            self.hint = Some(format!("did you mean {best}?"));
        }
        self
    }

    pub(crate) fn in_file(self, file: &str) -> SpecError {
        SpecError { file: file.to_owned(), at: self.at, message: self.message, hint: self.hint }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Bad>;

/// The most similar name, if it is similar at all. Among equals the first.
pub(crate) fn closest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in names {
        let score = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        if score >= 0.8 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, n)| n)
}

/// Parses the one document of a file.
pub(crate) fn parse(source: &str) -> Result<Node> {
    let mut reader = Reader { parser: Parser::new_from_str(source) };
    let mut document = None;
    loop {
        let (event, at) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if document.is_some() {
                    return Err(Bad::new(at, "a second document in the file").hint("one file holds one table"));
                }
            }
            event => document = Some(reader.node(event, at)?),
        }
    }
    document.ok_or_else(|| Bad { at: None, message: "the file is empty".into(), hint: Some("see src/tables/_example.yaml".into()) })
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, At)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(span))),
            Some(Err(e)) => {
                let m = e.marker();
                Err(Bad::new((m.line().max(1), m.col() + 1), format!("not YAML: {}", e.info()))
                    .hint("a value with `: ` or ` #` in it needs quotes, and so does one with a comma or bracket inside { } or [ ]"))
            }
            None => Ok((Event::StreamEnd, (1, 1))),
        }
    }

    fn node(&mut self, event: Event<'a>, at: At) -> Result<Node> {
        let kind = match event {
            Event::Scalar(text, style, _, None) => Kind::Text {
                text: text.into_owned(),
                style: match style {
                    ScalarStyle::Plain => Quotes::Plain,
                    ScalarStyle::SingleQuoted => Quotes::Single,
                    _ => Quotes::Other,
                },
            },
            Event::SequenceStart(_, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Kind::List(items),
                        (event, at) => items.push(self.node(event, at)?),
                    }
                }
            }
            Event::MappingStart(_, None) => {
                let mut entries: Vec<Entry> = Vec::new();
                let mut seen = BTreeSet::new();
                loop {
                    let (event, at) = self.next()?;
                    let key = match event {
                        Event::MappingEnd => break Kind::Map(entries),
                        Event::Scalar(text, _, _, None) => text.into_owned(),
                        _ => return Err(Bad::new(at, "a key has to be a word")),
                    };
                    if !seen.insert(key.clone()) {
                        return Err(Bad::new(at, format!("`{key}` is given twice")));
                    }
                    let (event, value_at) = self.next()?;
                    entries.push(Entry { key, at, value: self.node(event, value_at)? });
                }
            }
            _ => return Err(Bad::new(at, "YAML tags and aliases have no meaning here").hint("write the value out")),
        };
        Ok(Node { at, kind })
    }
}

fn place(span: Span) -> At {
    (span.start.line().max(1), span.start.col() + 1)
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self, what: &str) -> Result<&str> {
        match &self.kind {
            Kind::Text { text, .. } if !text.trim().is_empty() => Ok(text),
            Kind::Text { .. } => Err(Bad::new(self.at, format!("{what} is empty"))),
            _ => Err(Bad::new(self.at, format!("{what} has to be a text"))),
        }
    }

    /// `true` or `false`.
    pub(crate) fn bool(&self, what: &str) -> Result<bool> {
        match self.text(what)? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(Bad::new(self.at, format!("{what} is true or false, not `{other}`"))),
        }
    }

    /// The entries of a map; a missing value counts as an empty map.
    pub(crate) fn map(&self, what: &str) -> Result<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            Kind::Text { text, style: Quotes::Plain } if text.is_empty() => Ok(&[]),
            _ => Err(Bad::new(self.at, format!("{what} has to be a map"))),
        }
    }

    /// The entries of a map whose keys are all among `allowed`.
    pub(crate) fn known(&self, what: &str, allowed: &[&str]) -> Result<&[Entry]> {
        let entries = self.map(what)?;
        for e in entries {
            if !allowed.contains(&e.key.as_str()) {
                let bad = Bad::new(e.at, format!("unknown key `{}` in {what}", e.key));
                let with_hint = bad.suggest(&e.key, allowed.iter().copied());
                return Err(if with_hint.hint.is_none() { with_hint.hint(format!("known: {}", allowed.join(", "))) } else { with_hint });
            }
        }
        Ok(entries)
    }

    /// The items of a list.
    pub(crate) fn list(&self, what: &str) -> Result<&[Node]> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            _ => Err(Bad::new(self.at, format!("{what} has to be a list"))),
        }
    }
}

/// The value of a key.
pub(crate) fn get<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Node> {
    entries.iter().find(|e| e.key == key).map(|e| &e.value)
}
