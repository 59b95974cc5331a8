//! SET, RESET and SHOW as text, in PostgreSQL's grammar: which parameter, and which values. What these mean is for `crate::parameters`.

use super::parse::{syntax, tokenize};
use crate::EngineError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// A statement about parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnParameters {
    /// `SET name TO value, …`
    Set(String, Vec<String>),
    /// `RESET name`, `SET name TO DEFAULT`; `None`: `RESET ALL`.
    Reset(Option<String>),
    /// `SHOW name`; `None`: `SHOW ALL`.
    Show(Option<String>),
}

/// What lists tables and their like behind SHOW, and is planned as a query.
const LISTS: [&str; 6] = ["columns", "extended", "fields", "full", "functions", "tables"];

/// Reads a statement; `None`: it is none about parameters.
///
/// # Errors
/// It is one, and wrong.
pub(crate) fn on_parameters(sql: &str) -> Result<Option<OnParameters>, EngineError> {
    let mut tokens = tokenize(sql)?;
    tokens.retain(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF));
    while tokens.last().is_some_and(|t| t.token == Token::SemiColon) {
        tokens.pop();
    }
    let mut reader = Reader { tokens: &tokens, end: end_of(sql) };
    let statement = if reader.takes("set") {
        reader.set()?
    } else if reader.takes("reset") {
        OnParameters::Reset(reader.name_or_all()?)
    } else if reader.takes("show") && !LISTS.iter().any(|list| reader.is(list)) {
        OnParameters::Show(reader.name_or_all()?)
    } else {
        return Ok(None);
    };
    match reader.tokens.first() {
        None => Ok(Some(statement)),
        Some(_) => Err(reader.unexpected()),
    }
}

/// The place behind the last character.
fn end_of(sql: &str) -> (usize, usize) {
    let sql = sql.trim_end();
    (sql.lines().count().max(1), sql.lines().last().map_or(0, |line| line.chars().count()) + 1)
}

/// What is left to read.
struct Reader<'t> {
    tokens: &'t [TokenWithSpan],
    end: (usize, usize),
}

impl Reader<'_> {
    fn set(&mut self) -> Result<OnParameters, EngineError> {
        if self.takes("local") {
            let hint = "there are no transactions here: leave LOCAL out".to_owned();
            return Err(EngineError::sql("SET LOCAL can only be used in transaction blocks", Some(hint)));
        }
        self.takes("session");
        if self.is("time") && self.tokens.get(1).is_some_and(|t| is_word(&t.token, "zone")) {
            self.tokens = &[];
            return Ok(OnParameters::Set("timezone".to_owned(), Vec::new()));
        }
        let name = self.name()?;
        if !self.takes("to") && !self.takes_token(&Token::Eq) {
            return Err(self.unexpected());
        }
        if self.takes("default") {
            return Ok(OnParameters::Reset(Some(name)));
        }
        let mut values = vec![self.value()?];
        while self.takes_token(&Token::Comma) {
            values.push(self.value()?);
        }
        Ok(OnParameters::Set(name, values))
    }

    fn name_or_all(&mut self) -> Result<Option<String>, EngineError> {
        if self.takes("all") { Ok(None) } else { self.name().map(Some) }
    }

    /// A name, with dots or without.
    fn name(&mut self) -> Result<String, EngineError> {
        let mut name = self.word()?;
        while self.takes_token(&Token::Period) {
            name = format!("{name}.{}", self.word()?);
        }
        Ok(name)
    }

    fn word(&mut self) -> Result<String, EngineError> {
        match self.tokens.split_first() {
            Some((TokenWithSpan { token: Token::Word(word), .. }, rest)) => {
                self.tokens = rest;
                Ok(if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A text, a number, or a word.
    fn value(&mut self) -> Result<String, EngineError> {
        let sign = if self.takes_token(&Token::Minus) { "-" } else { "" };
        let text = match self.tokens.first().map(|t| &t.token) {
            Some(Token::Number(number, _)) => format!("{sign}{number}"),
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) if sign.is_empty() => text.clone(),
            Some(Token::DollarQuotedString(text)) if sign.is_empty() => text.value.clone(),
            Some(Token::Word(_)) if sign.is_empty() => return self.word(),
            _ => return Err(self.unexpected()),
        };
        self.tokens = &self.tokens[1..];
        Ok(text)
    }

    fn is(&self, word: &str) -> bool {
        self.tokens.first().is_some_and(|t| is_word(&t.token, word))
    }

    /// Reads this word, if it is the next.
    fn takes(&mut self, word: &str) -> bool {
        let is = self.is(word);
        if is {
            self.tokens = &self.tokens[1..];
        }
        is
    }

    fn takes_token(&mut self, token: &Token) -> bool {
        let is = self.tokens.first().is_some_and(|t| t.token == *token);
        if is {
            self.tokens = &self.tokens[1..];
        }
        is
    }

    fn unexpected(&self) -> EngineError {
        match self.tokens.first() {
            Some(found) => {
                let (line, column) = (found.span.start.line as usize, found.span.start.column as usize);
                syntax(format!("syntax error at or near \"{}\"", found.token), Some((line, column)))
            }
            None => syntax("syntax error at end of input", Some(self.end)),
        }
    }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read() {
        let set = |name: &str, values: &[&str]| OnParameters::Set(name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
        let some = |name: &str| Some(name.to_owned());
        for (sql, expected) in [
            ("SET max_staleness = '4h'", set("max_staleness", &["4h"])),
            ("set -- why\n Max_Staleness to 300;", set("max_staleness", &["300"])),
            ("set session a = -1", set("a", &["-1"])),
            ("set search_path = A, \"B c\", 'd', $$e$$", set("search_path", &["a", "B c", "d", "e"])),
            ("set \"a\" = \"default\"", set("a", &["default"])),
            ("set x.y = true", set("x.y", &["true"])),
            ("set time zone 'UTC'", set("timezone", &[])),
            ("set a to default", OnParameters::Reset(some("a"))),
            ("reset a", OnParameters::Reset(some("a"))),
            ("RESET ALL ;", OnParameters::Reset(None)),
            ("show a", OnParameters::Show(some("a"))),
            ("show all", OnParameters::Show(None)),
            ("show \"tables\"", OnParameters::Show(some("tables"))),
        ] {
            assert_eq!(on_parameters(sql).unwrap(), Some(expected), "{sql}");
        }
        for sql in ["", "select 1", "show tables", "show columns from t", "\"set\" a = 1", "values ('set a = 1')"] {
            assert_eq!(on_parameters(sql).unwrap(), None, "{sql}");
        }
    }

    #[test]
    fn mistakes_are_postgresqls() {
        for (sql, message, at) in [
            ("SET statement_timeout", "syntax error at end of input", Some((1, 22))),
            ("SET a =", "syntax error at end of input", Some((1, 8))),
            ("SHOW search_path extra", "syntax error at or near \"extra\"", Some((1, 18))),
            ("SET search_path = a b", "syntax error at or near \"b\"", Some((1, 21))),
            ("SET search_path = 1+1", "syntax error at or near \"+\"", Some((1, 20))),
            ("SET search_path = (select 1)", "syntax error at or near \"(\"", Some((1, 19))),
            ("SET search_path =\n $1", "syntax error at or near \"$1\"", Some((2, 2))),
            ("SET search_path a", "syntax error at or near \"a\"", Some((1, 17))),
            ("RESET", "syntax error at end of input", Some((1, 6))),
            ("SET LOCAL a = 1", "SET LOCAL can only be used in transaction blocks", None),
        ] {
            match on_parameters(sql) {
                Err(EngineError::Sql { message: found, at: place, .. }) => assert_eq!((found.as_str(), place), (message, at), "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }
}
