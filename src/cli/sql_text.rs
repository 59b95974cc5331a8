//! SQL as text: tokens, statements with their place, and whether a text is finished. Parses nothing: that is the engine's work.
//!
//! Knows PostgreSQL's quotes (`'…'`, `E'…'`, `"…"`, `$tag$…$tag$`) and comments (`--`, nested `/* */`).

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space.
    Space,
    /// Keyword or name.
    Word,
    /// `"quoted name"`.
    Name,
    /// A literal text.
    Text,
    /// A number.
    Number,
    /// `$1`, `$name`.
    Param,
    /// A comment.
    Comment,
    /// `;`.
    End,
    /// Any other character.
    Symbol,
}

/// A piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// First byte.
    pub(crate) start: usize,
    /// Byte after the last.
    pub(crate) end: usize,
    /// Is its closing quote or comment mark missing?
    pub(crate) open: bool,
}

impl Token {
    /// Its text.
    pub(crate) fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }
}

/// A statement and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// From its first to its last token, without `;`.
    pub(crate) text: String,
    /// 1-based line of its first character.
    pub(crate) line: usize,
    /// 1-based column of its first character, in characters.
    pub(crate) column: usize,
}

impl Statement {
    /// Turns a place in the statement into one in the text it came from.
    pub(crate) fn place(&self, (line, column): (usize, usize)) -> (usize, usize) {
        if line <= 1 { (self.line, self.column + column.saturating_sub(1)) } else { (self.line + line - 1, column) }
    }
}

/// Cuts a text into tokens; they cover it without gaps.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length, open) = match first {
            c if c.is_whitespace() => (Kind::Space, run(rest, char::is_whitespace), false),
            'e' | 'E' if rest[1..].starts_with('\'') => {
                let (length, open) = quoted(&rest[1..], '\'', true);
                (Kind::Text, length + 1, open)
            }
            c if c.is_alphabetic() || c == '_' => (Kind::Word, run(rest, |c| c.is_alphanumeric() || c == '_' || c == '$'), false),
            c if c.is_ascii_digit() => (Kind::Number, run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_'), false),
            '\'' => {
                let (length, open) = quoted(rest, '\'', false);
                (Kind::Text, length, open)
            }
            '"' => {
                let (length, open) = quoted(rest, '"', false);
                (Kind::Name, length, open)
            }
            '$' => dollar(rest),
            '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => {
                let (length, open) = block_comment(rest);
                (Kind::Comment, length, open)
            }
            ';' => (Kind::End, 1, false),
            c => (Kind::Symbol, c.len_utf8(), false),
        };
        out.push(Token { kind, start: at, end: at + length, open });
        at += length;
    }
    out
}

fn run(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

/// Length of a quoted text, quotes included, and whether its end is missing.
fn quoted(text: &str, quote: char, escapes: bool) -> (usize, bool) {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return (i + 1, false);
        }
    }
    (text.len(), true)
}

/// `$1`, `$name`, `$$…$$`, `$tag$…$tag$`.
fn dollar(text: &str) -> (Kind, usize, bool) {
    let name = run(&text[1..], |c| c.is_alphanumeric() || c == '_');
    let tag = &text[..name + 1];
    if text[name + 1..].starts_with('$') && !tag[1..].starts_with(|c: char| c.is_ascii_digit()) {
        let mark = &text[..name + 2];
        return match text[mark.len()..].find(mark) {
            Some(length) => (Kind::Text, length + 2 * mark.len(), false),
            None => (Kind::Text, text.len(), true),
        };
    }
    (if name == 0 { Kind::Symbol } else { Kind::Param }, tag.len(), false)
}

fn block_comment(text: &str) -> (usize, bool) {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return (at, false);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    (text.len(), true)
}

/// Is there nothing to run: white space and comments only?
pub(crate) fn is_blank(text: &str) -> bool {
    tokens(text).iter().all(|t| matches!(t.kind, Kind::Space | Kind::Comment | Kind::End) && !t.open)
}

/// Does the text end with `;` (or say nothing at all), outside of quotes and comments?
pub(crate) fn is_finished(text: &str) -> bool {
    let tokens = tokens(text);
    if tokens.iter().any(|t| t.open) {
        return false;
    }
    tokens.iter().rev().find(|t| !matches!(t.kind, Kind::Space | Kind::Comment)).is_none_or(|t| t.kind == Kind::End)
}

/// The statements of a text; empty ones are left out.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut out = Vec::new();
    let mut first: Option<usize> = None;
    let mut last = 0;
    let mut take = |first: &mut Option<usize>, last: usize| {
        if let Some(start) = first.take() {
            let before = &text[..start];
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            out.push(Statement {
                text: text[start..last].to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
            });
        }
    };
    for token in tokens(text) {
        match token.kind {
            Kind::Space | Kind::Comment => {}
            Kind::End => take(&mut first, last),
            _ => {
                first.get_or_insert(token.start);
                last = token.end;
            }
        }
    }
    take(&mut first, last);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cover_the_text() {
        for text in [
            "select 'it''s', E'a\\'b', \"x\"\"y\", $1, $name, $$a;b$$, $t$ $$ $t$, 1.5e3 -- c\n/* a /* b */ c */ from é_1;",
            "select '",
            "/* /* */",
            "$a$ ; $b$",
            "'é' — ;",
            "$",
            "e'",
            "",
        ] {
            let tokens = tokens(text);
            let joined: String = tokens.iter().map(|t| t.text(text)).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn finished_or_not() {
        for (text, finished) in [
            ("", true),
            ("  -- nothing\n", true),
            ("select 1", false),
            ("select 1;", true),
            ("select 1; -- done", true),
            ("select 1; select 2", false),
            ("select ';'", false),
            ("select ';';", true),
            ("select 'a;", false),
            ("select 'a'';", false),
            ("select E'a\\';", false),
            ("select E'a\\'';", true),
            ("select 'a\\';", true),
            ("select \"a;", false),
            ("select $$a;", false),
            ("select $x$ $$; $y$ $x$;", true),
            ("select $1;", true),
            ("select /* ; */", false),
            ("select 1 /* ;", false),
            ("/* a /* b */ ;", false),
            ("select 1 -- ;", false),
            ("values (E'\\\\');", true),
        ] {
            assert_eq!(is_finished(text), finished, "{text:?}");
        }
    }

    #[test]
    fn statements_know_their_place() {
        let text = "-- head\n  select 1;;\n/* x */ select\n  'a;b'  ; é; ";
        let found = statements(text);
        assert_eq!(
            found,
            [
                Statement { text: "select 1".into(), line: 2, column: 3 },
                Statement { text: "select\n  'a;b'".into(), line: 3, column: 9 },
                Statement { text: "é".into(), line: 4, column: 12 },
            ]
        );
        assert_eq!(found[1].place((1, 3)), (3, 11));
        assert_eq!(found[1].place((2, 3)), (4, 3));
        assert!(statements(" ;; -- x").is_empty());
        assert_eq!(statements("select 'open")[0].text, "select 'open");
    }

    #[test]
    fn blank_or_not() {
        assert!(is_blank(" ; -- a\n/* b */"));
        assert!(!is_blank("/* open"));
        assert!(!is_blank("x"));
    }
}
