//! Reads XML bodies (query, ec2, rest-xml) along a shape in one pass over the tokens, without a tree.

use super::response::Unreadable;
use super::scalar;
use super::shape::{Kind, Member, Shape, Structure};
use aws_smithy_schema::ShapeType;
use serde_json::{Map, Value};
use std::borrow::Cow;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Deeper bodies are refused; no service comes near, and recursion has to end somewhere.
const DEEPEST: usize = 128;

/// What the root element holds.
pub(super) enum Root {
    /// The structure itself (ec2, rest-xml).
    Itself,
    /// The structure is the child of this name (query's `ListUsersResult`).
    Wrapped(&'static str),
    /// The text of the root is the value of the structure's only member (GetBucketLocation).
    OnlyMember,
}

/// The body as the shape says.
pub(super) fn read(body: &[u8], shape: &'static Shape, root: &Root) -> Result<Value, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|e| Unreadable::Malformed(format!("the body is not UTF-8: {e}")))?;
    let mut r = Reader::new(text);
    let start = r.root()?;
    let value = match root {
        Root::Itself => r.shape(shape, false, start),
        Root::OnlyMember => {
            let mut out = Map::new();
            let text = r.text(&start)?;
            if let Some(m) = shape.structure().and_then(|s| s.members.first()) {
                out.insert(m.name.to_owned(), Value::String(text.into_owned()));
            }
            Ok(Value::Object(out))
        }
        Root::Wrapped(name) => {
            // Some answers leave an empty result out, but they are answers.
            if !start.name.ends_with("Response") && start.name != *name {
                return Err(Unreadable::Breaks(format!("the root element is {}, not a response with {name}", start.name)));
            }
            let mut value = None;
            let inside = start;
            while let Some(child) = r.child(&inside)? {
                if child.name == *name && value.is_none() {
                    value = Some(r.shape(shape, false, child)?);
                } else {
                    r.skip(&child)?;
                }
            }
            Ok(value.unwrap_or_else(|| Value::Object(Map::new())))
        }
    }?;
    r.end()?;
    Ok(value)
}

/// The name of the root element, if this is XML at all.
pub(super) fn root_name(body: &[u8]) -> Option<&str> {
    let mut r = Reader::new(std::str::from_utf8(body).ok()?);
    r.root().ok().map(|e| e.name)
}

/// The body without a shape: an element with children is an object, siblings of one name are a list, text is a string, nothing is null.
/// The root's name and attributes are left out.
pub(super) fn read_untyped(body: &[u8]) -> Result<Value, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|e| Unreadable::Malformed(format!("the body is not UTF-8: {e}")))?;
    let mut r = Reader::new(text);
    let root = r.root()?;
    let value = r.untyped(&root)?;
    r.end()?;
    Ok(value)
}

/// Code, message and request id of an error body, wherever a protocol puts them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Reads the common parts of `<ErrorResponse><Error>`, `<Response><Errors><Error>` and `<Error>`.
pub(super) fn read_error(body: &[u8]) -> Result<ErrorBody, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|e| Unreadable::Malformed(format!("the body is not UTF-8: {e}")))?;
    let mut r = Reader::new(text);
    let root = r.root()?;
    let mut out = ErrorBody::default();
    r.error(&root, &mut out)?;
    r.end()?;
    Ok(out)
}

/// An element that has been opened; `empty` ones have no content and are closed already.
struct Element<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str, &'a str)>,
    empty: bool,
}

struct Reader<'a> {
    tokens: Tokenizer<'a>,
    depth: usize,
}

fn malformed(why: impl Into<String>) -> Unreadable {
    Unreadable::Malformed(why.into())
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Reader<'a> {
        Reader { tokens: Tokenizer::from(text.trim_start_matches('\u{feff}').trim_start()), depth: 0 }
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, Unreadable> {
        self.tokens.next().transpose().map_err(|e| malformed(format!("the body is not XML: {e}")))
    }

    fn root(&mut self) -> Result<Element<'a>, Unreadable> {
        while let Some(t) = self.token()? {
            if let Token::ElementStart { local, .. } = t {
                return self.open(local.as_str());
            }
        }
        Err(malformed("the body is not XML: there is no root element"))
    }

    /// Only comments and the like may follow the root.
    fn end(&mut self) -> Result<(), Unreadable> {
        while let Some(t) = self.token()? {
            if matches!(t, Token::ElementStart { .. } | Token::ElementEnd { .. }) {
                return Err(malformed("the body is not XML: there is more than one root element"));
            }
        }
        Ok(())
    }

    fn open(&mut self, name: &'a str) -> Result<Element<'a>, Unreadable> {
        let mut attributes = Vec::new();
        loop {
            match self.token()? {
                Some(Token::Attribute { prefix, local, value, .. }) => attributes.push((prefix.as_str(), local.as_str(), value.as_str())),
                Some(Token::ElementEnd { end: ElementEnd::Empty, .. }) => return Ok(Element { name, attributes, empty: true }),
                Some(Token::ElementEnd { .. }) => {
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return Err(malformed("the body is nested too deeply"));
                    }
                    return Ok(Element { name, attributes, empty: false });
                }
                Some(_) => {}
                None => return Err(malformed("the body is truncated")),
            }
        }
    }

    fn close(&mut self, of: &Element<'_>, end: ElementEnd<'_>) -> Result<(), Unreadable> {
        match end {
            ElementEnd::Close(_, name) if name.as_str() == of.name => {
                self.depth -= 1;
                Ok(())
            }
            _ => Err(malformed(format!("the body is not XML: {} is not closed", of.name))),
        }
    }

    /// The next child element; `None` when the parent has been closed.
    fn child(&mut self, of: &Element<'a>) -> Result<Option<Element<'a>>, Unreadable> {
        if of.empty {
            return Ok(None);
        }
        loop {
            match self.token()? {
                Some(Token::ElementStart { local, .. }) => return self.open(local.as_str()).map(Some),
                Some(Token::ElementEnd { end, .. }) => return self.close(of, end).map(|()| None),
                Some(_) => {}
                None => return Err(malformed("the body is truncated")),
            }
        }
    }

    /// All text inside an element, which is closed then; child elements are skipped.
    fn text(&mut self, of: &Element<'a>) -> Result<Cow<'a, str>, Unreadable> {
        let mut out = Cow::Borrowed("");
        if of.empty {
            return Ok(out);
        }
        loop {
            let part = match self.token()? {
                Some(Token::Text { text }) => unescape(text.as_str()),
                Some(Token::Cdata { text, .. }) => Cow::Borrowed(text.as_str()),
                Some(Token::ElementStart { local, .. }) => {
                    let child = self.open(local.as_str())?;
                    self.skip(&child)?;
                    continue;
                }
                Some(Token::ElementEnd { end, .. }) => return self.close(of, end).map(|()| out),
                Some(_) => continue,
                None => return Err(malformed("the body is truncated")),
            };
            if out.is_empty() {
                out = part;
            } else {
                out.to_mut().push_str(&part);
            }
        }
    }

    fn skip(&mut self, of: &Element<'a>) -> Result<(), Unreadable> {
        while let Some(child) = self.child(of)? {
            self.skip(&child)?;
        }
        Ok(())
    }

    fn untyped(&mut self, of: &Element<'a>) -> Result<Value, Unreadable> {
        let (mut members, mut text) = (Map::new(), String::new());
        if of.empty {
            return Ok(Value::Null);
        }
        loop {
            match self.token()? {
                Some(Token::Text { text: part }) => text.push_str(&unescape(part.as_str())),
                Some(Token::Cdata { text: part, .. }) => text.push_str(part.as_str()),
                Some(Token::ElementStart { local, .. }) => {
                    let child = self.open(local.as_str())?;
                    let value = self.untyped(&child)?;
                    match members.get_mut(child.name) {
                        None => {
                            members.insert(child.name.to_owned(), value);
                        }
                        Some(Value::Array(items)) => items.push(value),
                        Some(first) => *first = Value::Array(vec![first.take(), value]),
                    }
                }
                Some(Token::ElementEnd { end, .. }) => {
                    self.close(of, end)?;
                    return Ok(match (members.is_empty(), text.trim().is_empty()) {
                        (false, _) => Value::Object(members),
                        (true, false) => Value::String(text),
                        (true, true) => Value::Null,
                    });
                }
                Some(_) => {}
                None => return Err(malformed("the body is truncated")),
            }
        }
    }

    fn error(&mut self, of: &Element<'a>, out: &mut ErrorBody) -> Result<(), Unreadable> {
        while let Some(child) = self.child(of)? {
            let slot = match (of.name, child.name) {
                ("Error", "Code") => &mut out.code,
                ("Error", "Message" | "message") => &mut out.message,
                (_, "RequestId" | "RequestID" | "requestId") => &mut out.request_id,
                _ => {
                    self.error(&child, out)?;
                    continue;
                }
            };
            let text = self.text(&child)?.trim().to_owned();
            slot.get_or_insert(text);
        }
        Ok(())
    }

    /// The value of an element, which is closed then. `flat`: the element is one item of a list or map, not the whole of it.
    fn shape(&mut self, shape: &'static Shape, flat: bool, at: Element<'a>) -> Result<Value, Unreadable> {
        match shape.kind() {
            Kind::Structure(s) => self.structure(s, &at),
            Kind::List(element) if flat => Ok(Value::Array(vec![self.member(element, at)?])),
            Kind::List(element) => {
                let mut out = Vec::new();
                while let Some(child) = self.child(&at)? {
                    out.push(self.member(element, child)?);
                }
                Ok(Value::Array(out))
            }
            Kind::Map(key, value) => {
                let mut out = Map::new();
                if flat {
                    self.entry(key, value, &at, &mut out)?;
                } else {
                    while let Some(child) = self.child(&at)? {
                        self.entry(key, value, &child, &mut out)?;
                    }
                }
                Ok(Value::Object(out))
            }
            Kind::Simple(kind) => {
                let text = self.text(&at)?;
                scalar_value(*kind, &text).ok_or_else(|| Unreadable::Breaks(format!("{} is {text:?}, not of type {}", at.name, shape.name)))
            }
        }
    }

    fn member(&mut self, m: &'static Member, at: Element<'a>) -> Result<Value, Unreadable> {
        self.shape(m.shape(), m.flattened, at)
    }

    fn entry(
        &mut self,
        key: &'static Member,
        value: &'static Member,
        at: &Element<'a>,
        out: &mut Map<String, Value>,
    ) -> Result<(), Unreadable> {
        let (mut name, mut content) = (None, None);
        while let Some(child) = self.child(at)? {
            if child.name == key.wire {
                name = Some(self.text(&child)?.into_owned());
            } else if child.name == value.wire {
                content = Some(self.member(value, child)?);
            } else {
                self.skip(&child)?;
            }
        }
        if let (Some(name), Some(content)) = (name, content) {
            out.insert(name, content);
        }
        Ok(())
    }

    fn structure(&mut self, s: &'static Structure, at: &Element<'a>) -> Result<Value, Unreadable> {
        let mut out = Map::new();
        for (prefix, local, value) in &at.attributes {
            let is = |wire: &str| wire.split_once(':').map_or(wire == *local, |(p, l)| p == *prefix && l == *local);
            if let Some(m) = s.members.iter().find(|m| m.attribute && is(m.wire)) {
                out.insert(m.name.to_owned(), Value::String(unescape(value).into_owned()));
            }
        }
        let mut next = 0;
        while let Some(child) = self.child(at)? {
            let Some(m) = s.by_wire(child.name, &mut next).filter(|m| !m.attribute) else {
                self.skip(&child)?;
                continue;
            };
            let known = out.get_mut(m.name);
            if m.flattened && matches!(m.shape().kind(), Kind::List(_) | Kind::Map(..)) {
                next = m.index; // more of them may follow
                match (known, self.member(m, child)?) {
                    (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                    (Some(Value::Object(all)), Value::Object(more)) => all.extend(more),
                    (_, first) => drop(out.insert(m.name.to_owned(), first)),
                }
            } else if known.is_some() {
                self.skip(&child)?; // the first one counts
            } else {
                let v = self.member(m, child)?;
                if !v.is_null() {
                    out.insert(m.name.to_owned(), v);
                }
            }
        }
        Ok(Value::Object(out))
    }
}

/// Text as a value; an empty one is no number, boolean or time, but does not break the answer. `None`: the text breaks the model.
fn scalar_value(kind: ShapeType, text: &str) -> Option<Value> {
    let trimmed = text.trim();
    match kind {
        ShapeType::Boolean | ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long if trimmed.is_empty() => {
            Some(Value::Null)
        }
        ShapeType::Float | ShapeType::Double | ShapeType::Timestamp if trimmed.is_empty() => Some(Value::Null),
        ShapeType::Boolean => scalar::boolean(trimmed),
        ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long => scalar::integer(trimmed),
        ShapeType::Float | ShapeType::Double => scalar::float(trimmed),
        ShapeType::Timestamp => Some(scalar::timestamp_value(text)),
        ShapeType::Blob => Some(Value::String(trimmed.to_owned())),
        _ => Some(Value::String(text.to_owned())),
    }
}

/// Replaces the predefined and numeric entities; anything else stays as it is.
fn unescape(s: &str) -> Cow<'_, str> {
    let Some(first) = s.find('&') else { return Cow::Borrowed(s) };
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    let mut at = Some(first);
    while let Some(i) = at {
        let (before, from) = rest.split_at(i);
        out.push_str(before);
        match from.find(';').and_then(|end| Some((entity(&from[1..end])?, &from[end + 1..]))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &from[1..];
            }
        }
        at = rest.find('&');
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = name.strip_prefix('#')?;
            let hex = code.strip_prefix('x').or_else(|| code.strip_prefix('X'));
            char::from_u32(hex.map_or_else(|| code.parse().ok(), |h| u32::from_str_radix(h, 16).ok())?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities() {
        assert_eq!(unescape("a&amp;b&lt;&#65;&#x42;&nbsp;&"), "a&b<AB&nbsp;&");
        assert_eq!(unescape("&#x110000;&#xZZ;&;"), "&#x110000;&#xZZ;&;");
    }

    #[test]
    fn errors_of_all_envelopes() {
        let want = |code: &str, message: &str, id: &str| ErrorBody {
            code: Some(code.into()),
            message: Some(message.into()),
            request_id: Some(id.into()),
        };
        let query = "<ErrorResponse xmlns='x'><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no &lt;b&gt;</Message></Error><RequestId>r1</RequestId></ErrorResponse>";
        assert_eq!(read_error(query.as_bytes()).unwrap(), want("NoSuchEntity", "no <b>", "r1"));
        let ec2 = "<?xml version='1.0'?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>m</Message></Error></Errors><RequestID>r2</RequestID></Response>";
        assert_eq!(read_error(ec2.as_bytes()).unwrap(), want("UnauthorizedOperation", "m", "r2"));
        let s3 = "\n<Error><Code>NoSuchBucket</Code><Message>m</Message><BucketName>b</BucketName><RequestId>r3</RequestId></Error>";
        assert_eq!(read_error(s3.as_bytes()).unwrap(), want("NoSuchBucket", "m", "r3"));
        assert_eq!(read_error(b"<foo/>").unwrap(), ErrorBody::default());
    }

    #[test]
    fn broken_bodies_are_malformed() {
        let deep = "<a>".repeat(200);
        for body in ["", "nothing", "<a>", "<a><b></a></b>", "<a/><b/>", "<a", "<a>&", "<a></b>", "{}", deep.as_str()] {
            assert!(matches!(read_error(body.as_bytes()), Err(Unreadable::Malformed(_))), "{body:?}");
        }
        assert!(matches!(read_error(b"<a>\xff</a>"), Err(Unreadable::Malformed(_))));
    }
}
