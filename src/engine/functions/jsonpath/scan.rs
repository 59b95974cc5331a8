//! A path's text to tokens: the longest that fits, as PostgreSQL's scanner does it.

use crate::functions::row::fail;
use datafusion::common::Result;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name without quotes; keywords are names too.
    Name(String),
    /// `"text"`.
    String(String),
    /// `$name` and `$"name"`.
    Variable(String),
    /// A whole number.
    Integer(String),
    /// A number with a point or an exponent.
    Number(String),
    /// `&& || ! ** < <= == <> != >= >`.
    Operator(&'static str),
    /// Any other special character.
    Special(char),
    End,
}

/// A token, and what messages show for it: nothing means the end of the input.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) near: String,
}

/// A syntax error at a lexeme.
pub(super) fn syntax<T>(message: &str, near: &str) -> Result<T> {
    if near.is_empty() {
        fail(format!("{message} at end of jsonpath input"))
    } else {
        fail(format!("{message} at or near \"{near}\" of jsonpath input"))
    }
}

const SPECIAL: &str = "?%$.[]{}()|&!=<>@#,*:-+/";

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

fn is_other(c: char) -> bool {
    !is_blank(c) && !SPECIAL.contains(c) && c != '\\' && c != '"'
}

/// How many bytes of the text are names' characters.
fn others(text: &str) -> usize {
    text.find(|c| !is_other(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { rest: text }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn comment(&mut self) -> Result<()> {
        match self.rest.get(2..).and_then(|body| body.find("*/")) {
            Some(end) => {
                self.take(end + 4);
                Ok(())
            }
            None => syntax("unexpected end of comment", ""),
        }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Lexeme> {
        loop {
            self.rest = self.rest.trim_start_matches(is_blank);
            if !self.rest.starts_with("/*") {
                break;
            }
            self.comment()?;
        }
        const OPERATORS: [(&str, &str); 11] = [
            ("&&", "&&"),
            ("||", "||"),
            ("**", "**"),
            ("<=", "<="),
            ("<>", "!="),
            ("==", "=="),
            ("!=", "!="),
            (">=", ">="),
            ("!", "!"),
            ("<", "<"),
            (">", ">"),
        ];
        let Some(first) = self.rest.chars().next() else { return Ok(Lexeme { token: Token::End, near: String::new() }) };
        if let Some((spelled, operator)) = OPERATORS.iter().find(|(spelled, _)| self.rest.starts_with(spelled)) {
            return Ok(Lexeme { token: Token::Operator(operator), near: self.take(spelled.len()).to_string() });
        }
        let names = others(self.rest);
        if let Some((number, length)) = number(self.rest, names)? {
            return Ok(Lexeme { token: number, near: self.take(length).to_string() });
        }
        if names > 0 || first == '\\' {
            return self.name();
        }
        match first {
            '"' => {
                self.take(1);
                Ok(Lexeme { token: Token::String(self.quoted()?), near: "\"".into() })
            }
            '$' if self.rest[1..].starts_with('"') => {
                self.take(2);
                Ok(Lexeme { token: Token::Variable(self.quoted()?), near: "\"".into() })
            }
            '$' if others(&self.rest[1..]) > 0 => {
                let near = self.take(1 + others(&self.rest[1..]));
                Ok(Lexeme { token: Token::Variable(near[1..].to_string()), near: near.to_string() })
            }
            _ => Ok(Lexeme { token: Token::Special(first), near: self.take(first.len_utf8()).to_string() }),
        }
    }

    fn name(&mut self) -> Result<Lexeme> {
        let mut name = String::new();
        loop {
            let length = others(self.rest);
            name.push_str(self.take(length));
            if self.rest.starts_with('\\') {
                self.escape(&mut name)?;
            } else if self.rest.starts_with("/*") {
                self.comment()?;
                break;
            } else {
                break;
            }
        }
        // The scanner has read the blanks behind a name when the parser sees it.
        let blanks = self.rest.find(|c| !is_blank(c)).unwrap_or(self.rest.len());
        Ok(Lexeme { token: Token::Name(name), near: self.take(blanks).to_string() })
    }

    /// The rest of a quoted string.
    fn quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            let length = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            text.push_str(self.take(length));
            if self.rest.is_empty() {
                return syntax("unexpected end of quoted string", "");
            }
            if self.rest.starts_with('"') {
                self.take(1);
                return Ok(text);
            }
            self.escape(&mut text)?;
        }
    }

    /// One escape, or a run of unicode escapes.
    fn escape(&mut self, out: &mut String) -> Result<()> {
        let Some(kind) = self.rest[1..].chars().next() else { return syntax("unexpected end after backslash", "\\") };
        match kind {
            'u' => return self.unicode(out),
            'x' => {
                let digits = self.rest[2..].bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
                if digits < 2 {
                    return syntax("invalid hex character sequence", &self.rest[..2 + digits]);
                }
                let code = u32::from_str_radix(&self.rest[2..4], 16).unwrap_or(0);
                self.take(4);
                return push(code, out);
            }
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            other => out.push(other),
        }
        self.take(1 + kind.len_utf8());
        Ok(())
    }

    fn unicode(&mut self, out: &mut String) -> Result<()> {
        let whole = self.rest;
        let mut high = None;
        while self.rest.starts_with("\\u") {
            let body = &self.rest[2..];
            let braced = body.starts_with('{');
            let from = usize::from(braced);
            let limit = if braced { 6 } else { 4 };
            let count = body[from..].bytes().take(limit).take_while(u8::is_ascii_hexdigit).count();
            let closed = braced && body[from + count..].starts_with('}');
            if (braced && (count == 0 || !closed)) || (!braced && count < 4) {
                let read = whole.len() - self.rest.len() + 2 + from + count;
                return syntax("invalid unicode sequence", &whole[..read]);
            }
            let code = u32::from_str_radix(&body[from..from + count], 16).unwrap_or(0);
            self.take(2 + from + count + usize::from(closed));
            match (high, code) {
                (None, 0xd800..=0xdbff) => high = Some(code),
                (Some(_), 0xd800..=0xdbff) | (None, 0xdc00..=0xdfff) => return fail("invalid input syntax for type jsonpath"),
                (Some(upper), 0xdc00..=0xdfff) => {
                    push(0x10000 + ((upper & 0x3ff) << 10) + (code & 0x3ff), out)?;
                    high = None;
                }
                (Some(_), _) => return fail("invalid input syntax for type jsonpath"),
                (None, code) => push(code, out)?,
            }
        }
        if high.is_some() { fail("invalid input syntax for type jsonpath") } else { Ok(()) }
    }
}

fn push(code: u32, out: &mut String) -> Result<()> {
    match char::from_u32(code) {
        Some('\0') => fail("unsupported Unicode escape sequence"),
        Some(c) => {
            out.push(c);
            Ok(())
        }
        None => fail("invalid Unicode code point"),
    }
}

/// The number a text begins with, unless a longer name does.
fn number(text: &str, names: usize) -> Result<Option<(Token, usize)>> {
    let whole = match text.as_bytes().first() {
        Some(b'0') => 1,
        _ => digits(text),
    };
    let mut length = whole;
    let mut real = false;
    if let Some(rest) = text[whole..].strip_prefix('.') {
        let fraction = digits(rest);
        if whole + fraction > 0 {
            length = whole + 1 + fraction;
            real = true;
        }
    }
    if length == 0 {
        return Ok(None);
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['-', '+']));
        match digits(&exponent[sign..]) {
            0 if sign == 1 => return syntax("invalid numeric literal", &text[..length + 2]),
            0 => {}
            count => {
                length += 1 + sign + count;
                real = true;
            }
        }
    }
    // A number with one more character of a name is junk; with more of them it is a name.
    let junk = text[length..].chars().next().filter(|c| is_other(*c)).map_or(0, char::len_utf8);
    if names > length + junk {
        return Ok(None);
    }
    if junk > 0 {
        return syntax("trailing junk after numeric literal", &text[..length + junk]);
    }
    let digits = text[..length].to_string();
    Ok(Some((if real { Token::Number(digits) } else { Token::Integer(digits) }, length)))
}
