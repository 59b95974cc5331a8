//! JSON text to [`Node`]s: strict RFC 8259 grammar, numbers as text, escapes resolved.

use super::node::Node;
use super::{bytes, number};

/// How deep arrays and objects may nest before a text is refused.
const MAX_DEPTH: usize = 1000;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The grammar is violated.
    #[error("invalid input syntax for type json (byte {at})")]
    Syntax {
        /// Byte offset of the first offending byte.
        at: usize,
    },
    /// `\u0000`, which text cannot hold.
    #[error("unsupported unicode escape sequence in json: \\u0000 cannot be converted to text")]
    NullCharacter,
    /// A number beyond numeric's range.
    #[error("value overflows numeric format in json")]
    NumberRange,
    /// Nested too deeply.
    #[error("json is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// Parses a document.
///
/// # Errors
/// The text is not one JSON document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, spelled: false };
    let node = parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.wrong()) } else { Ok(node) }
}

/// Checks a document of the type `json`, which keeps its spelling: any number and any escape will do.
///
/// # Errors
/// The text is not one JSON document.
pub fn check(text: &str) -> Result<(), SyntaxError> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, spelled: true };
    parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.wrong()) } else { Ok(()) }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Only the grammar counts.
    spelled: bool,
}

impl Parser<'_> {
    fn wrong(&self) -> SyntaxError {
        SyntaxError::Syntax { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, SyntaxError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(node)
        } else {
            Err(self.wrong())
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), SyntaxError> {
        self.space();
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError::Depth);
        }
        self.space();
        match self.peek() {
            Some(b'n') => self.word("null", Node::Null),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'"') => Ok(Node::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            _ => Err(self.wrong()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']')?;
                    return Ok(Node::Array(items));
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong());
            }
            let name = self.string()?;
            self.expect(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}')?;
                    return Ok(Node::object(members));
                }
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Node, SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(self.wrong());
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.wrong());
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.wrong());
            }
        }
        if self.spelled {
            return Ok(Node::Null);
        }
        number::canonical(&self.text[start..self.at]).map(Node::Number).ok_or(SyntaxError::NumberRange)
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = bytes::escaped(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.wrong()),
            }
        }
        let inner = &self.text[start..self.at];
        self.at += 1;
        Ok(if escaped { unescape(inner) } else { inner.to_string() })
    }

    /// Checks one escape sequence, and a surrogate's second half with it.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.hex()? {
                _ if self.spelled => Ok(()),
                0 => Err(SyntaxError::NullCharacter),
                0xd800..=0xdbff => {
                    let low = self.bytes[self.at..].starts_with(b"\\u").then(|| {
                        self.at += 1;
                        self.hex()
                    });
                    match low {
                        Some(Ok(0xdc00..=0xdfff)) => Ok(()),
                        _ => Err(self.wrong()),
                    }
                }
                0xdc00..=0xdfff => Err(self.wrong()),
                _ => Ok(()),
            },
            _ => Err(self.wrong()),
        }
    }

    /// Reads `uXXXX` at the cursor.
    fn hex(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.text.get(self.at + 1..self.at + 5).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or_else(|| self.wrong())?;
        self.at += 5;
        Ok(code)
    }
}

/// Resolves the escapes of a string that is known to be valid.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (c, used) = match tail.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => code_point(tail),
            Some(&other) => (char::from(other), 1),
            None => break,
        };
        out.push(c);
        rest = tail.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character of `uXXXX[\uXXXX]` and how many bytes it took.
fn code_point(tail: &str) -> (char, usize) {
    let unit = |from: usize| tail.get(from..from + 4).and_then(|text| u32::from_str_radix(text, 16).ok());
    match unit(1) {
        Some(high @ 0xd800..=0xdbff) => {
            let low = unit(7).unwrap_or(0xdc00);
            (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff)).unwrap_or('\u{fffd}'), 11)
        }
        Some(code) => (char::from_u32(code).unwrap_or('\u{fffd}'), 5),
        None => ('\u{fffd}', 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_canonical() {
        for (text, want) in [
            (" {\"b\":1,\"aa\":[ ],\"a\":{ } } ", "{\"a\": {}, \"b\": 1, \"aa\": []}"),
            ("{\"a\":1,\"a\":2}", "{\"a\": 2}"),
            ("[1.50,1e5,-0,\"\\u00e9\\ud83d\\ude00\\/\\n\"]", "[1.50, 100000, 0, \"é😀/\\n\"]"),
            ("\"x\"", "\"x\""),
            ("null", "null"),
        ] {
            assert_eq!(parse(text).unwrap().to_text(), want, "{text}");
        }
    }

    #[test]
    fn bad_documents_are_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            "-",
            "tru",
            "\"\\x\"",
            "\"a",
            "1 2",
            "[1 2]",
            "\"\\ud800\"",
            "'a'",
            "\"\t\"",
            "NaN",
            "\"\\u12g4\"",
        ] {
            assert!(matches!(parse(text), Err(SyntaxError::Syntax { .. })), "{text}");
        }
        assert_eq!(parse("\"\\u0000\""), Err(SyntaxError::NullCharacter));
        assert_eq!(parse("1e999999"), Err(SyntaxError::NumberRange));
        assert_eq!(parse(&"[".repeat(5000)), Err(SyntaxError::Depth));
    }

    #[test]
    fn json_keeps_what_jsonb_refuses() {
        for text in ["\"\\u0000\"", "1e999999", "\"\\ud800\"", " [1, {\"a\" :2}] "] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in ["", "[1,]", "\"\\u00g0\"", "01", "{\"a\"}", "1 2"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
