//! What a path works on: slices of documents, values made on the way, moments.

use super::datetime::Moment;
use crate::functions::decimal::Decimal;
use crate::functions::jsonb_scan;
use assay_tables::jsonb::{unquote, write_string};
use std::borrow::Cow;
use std::rc::Rc;

/// The document a value is part of.
#[derive(Debug, Clone)]
enum Source<'a> {
    Text(&'a str),
    Made(Rc<str>),
}

/// A part of a document.
#[derive(Debug, Clone)]
pub(super) struct Json<'a> {
    source: Source<'a>,
    from: usize,
    to: usize,
    /// The document's number, by which `keyvalue()` tells documents apart.
    pub(super) document: u64,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Item<'a> {
    Json(Json<'a>),
    Moment(Moment),
}

impl<'a> Json<'a> {
    /// The whole text of its document.
    pub(super) fn whole(&self) -> &str {
        match &self.source {
            Source::Text(text) => text,
            Source::Made(text) => text,
        }
    }

    /// Its canonical text.
    pub(super) fn text(&self) -> &str {
        self.whole().get(self.from..self.to).unwrap_or_default()
    }

    /// Where it begins in its document.
    pub(super) fn offset(&self) -> usize {
        self.from
    }

    /// A slice of this document, which `part` is.
    fn part(&self, part: &str) -> Item<'a> {
        let from = (part.as_ptr() as usize).saturating_sub(self.whole().as_ptr() as usize);
        Item::Json(Json { source: self.source.clone(), from, to: from + part.len(), document: self.document })
    }

    /// A member's value.
    pub(super) fn member(&self, name: &str) -> Option<Item<'a>> {
        jsonb_scan::member(self.text(), name).map(|part| self.part(part))
    }

    /// The element at a position.
    pub(super) fn element(&self, at: usize) -> Option<Item<'a>> {
        jsonb_scan::elements(self.text()).nth(at).map(|part| self.part(part))
    }

    /// The elements of an array or the values of an object, one at a time.
    pub(super) fn children(&self) -> Children<'a> {
        let object = jsonb_scan::kind(self.text()) == "object";
        Children { of: self.clone(), at: 1, object }
    }

    /// Is it an array or an object?
    pub(super) fn is_container(&self) -> bool {
        self.text().starts_with(['[', '{'])
    }
}

/// Parts of a container, found as they are asked for.
#[derive(Debug)]
pub(super) struct Children<'a> {
    of: Json<'a>,
    at: usize,
    object: bool,
}

impl<'a> Iterator for Children<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if !self.of.is_container() {
            return None;
        }
        let text = self.of.text();
        let mut parts = jsonb_scan::Parts::from(text, self.at);
        let mut part = parts.next()?;
        if self.object {
            part = parts.next()?;
        }
        let (item, at) = (self.of.part(part), parts.position());
        self.at = at;
        Some(item)
    }
}

impl<'a> Item<'a> {
    /// A document.
    pub(super) fn document(text: &'a str, document: u64) -> Item<'a> {
        Item::Json(Json { source: Source::Text(text), from: 0, to: text.len(), document })
    }

    /// A value made on the way.
    pub(super) fn made(text: String, document: u64) -> Item<'a> {
        let to = text.len();
        Item::Json(Json { source: Source::Made(text.into()), from: 0, to, document })
    }

    pub(super) fn of_bool(value: Option<bool>) -> Item<'a> {
        Item::document(
            match value {
                Some(true) => "true",
                Some(false) => "false",
                None => "null",
            },
            0,
        )
    }

    pub(super) fn of_string(text: &str) -> Item<'a> {
        let mut quoted = String::with_capacity(text.len() + 2);
        write_string(text, &mut quoted);
        Item::made(quoted, 0)
    }

    /// Its canonical text as jsonb.
    pub(super) fn to_text(&self) -> String {
        match self {
            Item::Json(json) => json.text().to_string(),
            Item::Moment(moment) => format!("\"{moment}\""),
        }
    }

    /// Its type's name, as `type()` gives it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Item::Json(json) => jsonb_scan::kind(json.text()),
            Item::Moment(moment) => moment.kind(),
        }
    }

    pub(super) fn json(&self) -> Option<&Json<'a>> {
        if let Item::Json(json) = self { Some(json) } else { None }
    }

    fn of_kind(&self, kind: &str) -> Option<&Json<'a>> {
        self.json().filter(|json| jsonb_scan::kind(json.text()) == kind)
    }

    /// The array it is.
    pub(super) fn array(&self) -> Option<&Json<'a>> {
        self.of_kind("array")
    }

    /// The object it is.
    pub(super) fn object(&self) -> Option<&Json<'a>> {
        self.of_kind("object")
    }

    /// The string it is.
    pub(super) fn string(&self) -> Option<Cow<'_, str>> {
        self.of_kind("string").map(|json| unquote(json.text()))
    }

    /// The text of the number it is.
    pub(super) fn digits(&self) -> Option<&str> {
        self.of_kind("number").map(Json::text)
    }

    /// The number it is.
    pub(super) fn number(&self) -> Option<Decimal> {
        self.digits().and_then(Decimal::parse)
    }
}
