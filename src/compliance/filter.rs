//! `--where` and `--tag`: which leaves and controls are selected, judged by their attributes and tags.
//!
//! The language of `--where` is the SQL people write for Powerpipe: comparisons, `in`, `like`, `ilike`, `is null`, `and or not`, and
//! `tags ->> 'key'`; NULL behaves as in SQL.

use crate::SelectError;
use crate::args::pair;
use crate::error::did_you_mean;
use crate::plan::PlanControl;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Names that `--where` knows.
const ATTRIBUTES: &[&str] = &[
    "id",
    "name",
    "resource_name",
    "qualified_name",
    "control",
    "control_id",
    "title",
    "description",
    "documentation",
    "severity",
    "service",
    "item",
    "query",
    "tags",
];

/// The compiled filters of a request.
#[derive(Debug)]
pub(crate) struct Filter {
    wheres: Vec<Expr>,
    tags: BTreeMap<String, Vec<String>>,
}

impl Filter {
    pub(crate) fn new(wheres: &[String], tags: &[String]) -> Result<Filter, SelectError> {
        let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for t in tags {
            let (key, value) = pair("--tag", t)?;
            by_key.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Filter { wheres: wheres.iter().map(|w| parse(w)).collect::<Result<_, _>>()?, tags: by_key })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wheres.is_empty() && self.tags.is_empty()
    }

    pub(crate) fn matches(&self, control: &PlanControl) -> bool {
        self.wheres.iter().all(|w| w.eval(control) == Some(true))
            && self.tags.iter().all(|(key, values)| control.tags.get(key).is_some_and(|t| values.contains(t)))
    }
}

#[derive(Debug)]
enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Operand),
    In(Operand, Vec<Operand>),
    Like { value: Operand, pattern: Operand, fold: bool },
    Compare(Operand, Test, Operand),
    HasTag(String),
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Operand {
    Attribute(String),
    Tag(String),
    Literal(String),
    Null,
}

impl Operand {
    fn value<'a>(&'a self, c: &'a PlanControl) -> Option<String> {
        let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        match self {
            Operand::Literal(text) => Some(text.clone()),
            Operand::Null => None,
            Operand::Tag(key) => c.tags.get(key).cloned(),
            Operand::Attribute(name) => match name.as_str() {
                "id" | "resource_name" => some(&c.id),
                "name" | "qualified_name" | "control_id" => Some(format!("control.{}", c.id)),
                "control" => c.control.clone(),
                "title" => some(&c.title),
                "description" => some(&c.description),
                "documentation" => some(&c.documentation),
                "severity" => Some(c.severity.as_str().to_owned()),
                "service" => c.tags.get("service").cloned(),
                "item" => some(&c.item),
                "query" => some(&c.query),
                _ => None,
            },
        }
    }
}

impl Expr {
    fn eval(&self, c: &PlanControl) -> Option<bool> {
        match self {
            Expr::And(a, b) => match (a.eval(c), b.eval(c)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expr::Or(a, b) => match (a.eval(c), b.eval(c)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Expr::Not(e) => e.eval(c).map(|b| !b),
            Expr::IsNull(o) => Some(o.value(c).is_none()),
            Expr::HasTag(key) => Some(c.tags.contains_key(key)),
            Expr::In(o, list) => {
                let value = o.value(c)?;
                let mut unknown = false;
                for item in list {
                    match item.value(c) {
                        Some(v) if v == value => return Some(true),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                if unknown { None } else { Some(false) }
            }
            Expr::Like { value, pattern, fold } => {
                let (mut value, mut pattern) = (value.value(c)?, pattern.value(c)?);
                if *fold {
                    (value, pattern) = (value.to_lowercase(), pattern.to_lowercase());
                }
                Some(like(&value.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>()))
            }
            Expr::Compare(a, test, b) => {
                let order = a.value(c)?.cmp(&b.value(c)?);
                Some(match test {
                    Test::Equal => order == Ordering::Equal,
                    Test::NotEqual => order != Ordering::Equal,
                    Test::Less => order == Ordering::Less,
                    Test::LessOrEqual => order != Ordering::Greater,
                    Test::Greater => order == Ordering::Greater,
                    Test::GreaterOrEqual => order != Ordering::Less,
                })
            }
        }
    }
}

/// SQL's LIKE with `\` as escape, in time proportional to value × pattern.
fn like(value: &[char], pattern: &[char]) -> bool {
    enum Step {
        Any,
        One,
        Is(char),
    }
    let mut steps = Vec::new();
    let mut chars = pattern.iter();
    while let Some(&ch) = chars.next() {
        steps.push(match ch {
            '%' => Step::Any,
            '_' => Step::One,
            '\\' => Step::Is(*chars.next().unwrap_or(&'\\')),
            other => Step::Is(other),
        });
    }
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    for step in &steps {
        let mut next = vec![false; value.len() + 1];
        match step {
            Step::Any => {
                let mut any = false;
                for (to, from) in next.iter_mut().zip(&reached) {
                    any |= *from;
                    *to = any;
                }
            }
            Step::One => next[1..].copy_from_slice(&reached[..value.len()]),
            Step::Is(ch) => {
                for i in 0..value.len() {
                    next[i + 1] = reached[i] && value[i] == *ch;
                }
            }
        }
        reached = next;
    }
    reached[value.len()]
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Symbol(&'static str),
}

fn fail(text: &str, at: usize, message: &str, hint: Option<String>) -> SelectError {
    let column = text[..at.min(text.len())].chars().count() + 1;
    let hint = hint.or_else(|| Some("for example: severity = 'high' and tags ->> 'cis_level' = '1'".to_owned()));
    SelectError::request(format!("--where, column {column}: {message}"), hint)
}

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, SelectError> {
    const SYMBOLS: [&str; 13] = ["->>", "<>", "!=", "<=", ">=", "->", "=", "<", ">", "(", ")", ",", "?"];
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(ch) = text[i..].chars().next() {
        if ch.is_whitespace() {
            i += ch.len_utf8();
        } else if ch == '\'' || ch == '"' {
            let (content, end) = quoted(text, i, ch).ok_or_else(|| fail(text, i, &format!("the {ch} is not closed"), None))?;
            out.push((if ch == '\'' { Token::Text(content) } else { Token::Word(content) }, i));
            i = end;
        } else if ch.is_alphabetic() || ch == '_' {
            let end = text[i..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(text.len(), |n| i + n);
            out.push((Token::Word(text[i..end].to_lowercase()), i));
            i = end;
        } else if ch.is_ascii_digit() {
            let end = text[i..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len(), |n| i + n);
            out.push((Token::Number(text[i..end].to_owned()), i));
            i = end;
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|s| text[i..].starts_with(s)) {
            out.push((Token::Symbol(symbol), i));
            i += symbol.len();
        } else {
            return Err(fail(text, i, &format!("'{ch}' is not understood here"), None));
        }
    }
    Ok(out)
}

fn quoted(text: &str, start: usize, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = text[start + 1..].char_indices().peekable();
    while let Some((i, ch)) = chars.next() {
        if ch != quote {
            content.push(ch);
        } else if chars.peek().is_some_and(|(_, c)| *c == quote) {
            content.push(quote);
            chars.next();
        } else {
            return Some((content, start + 1 + i + 1));
        }
    }
    None
}

fn parse(text: &str) -> Result<Expr, SelectError> {
    let mut p = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let expr = p.or()?;
    match p.tokens.get(p.at) {
        None => Ok(expr),
        Some(_) => Err(p.fail("expected 'and', 'or' or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn fail(&self, message: &str) -> SelectError {
        fail(self.text, self.tokens.get(self.at).map_or(self.text.len(), |(_, at)| *at), message, None)
    }

    fn word(&mut self, word: &str) -> bool {
        let hit = matches!(self.tokens.get(self.at), Some((Token::Word(w), _)) if w == word);
        self.at += usize::from(hit);
        hit
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let hit = matches!(self.tokens.get(self.at), Some((Token::Symbol(s), _)) if *s == symbol);
        self.at += usize::from(hit);
        hit
    }

    fn or(&mut self) -> Result<Expr, SelectError> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, SelectError> {
        let mut left = self.not()?;
        while self.word("and") {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, SelectError> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(self.fail("nested too deeply"));
        }
        let expr = if self.word("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.symbol("(") {
            let inner = self.or()?;
            if !self.symbol(")") {
                return Err(self.fail("expected ')'"));
            }
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn predicate(&mut self) -> Result<Expr, SelectError> {
        if matches!(self.tokens.get(self.at), Some((Token::Word(w), _)) if w == "tags")
            && self.tokens.get(self.at + 1).is_some_and(|(t, _)| *t == Token::Symbol("?"))
        {
            self.at += 2;
            return Ok(Expr::HasTag(self.text_literal()?));
        }
        let left = self.operand()?;
        if self.word("is") {
            let not = self.word("not");
            if !self.word("null") {
                return Err(self.fail("expected 'null'"));
            }
            return Ok(negate(not, Expr::IsNull(left)));
        }
        let not = self.word("not");
        if self.word("in") {
            return Ok(negate(not, Expr::In(left, self.list()?)));
        }
        for (word, fold) in [("like", false), ("ilike", true)] {
            if self.word(word) {
                return Ok(negate(not, Expr::Like { value: left, pattern: self.operand()?, fold }));
            }
        }
        if not {
            return Err(self.fail("expected 'in', 'like' or 'ilike'"));
        }
        let test = [
            ("=", Test::Equal),
            ("<>", Test::NotEqual),
            ("!=", Test::NotEqual),
            ("<=", Test::LessOrEqual),
            (">=", Test::GreaterOrEqual),
            ("<", Test::Less),
            (">", Test::Greater),
        ]
        .into_iter()
        .find(|(s, _)| self.symbol(s));
        match test {
            Some((_, test)) => Ok(Expr::Compare(left, test, self.operand()?)),
            None => Err(self.fail("expected a comparison: = <> < > in like, is null")),
        }
    }

    fn list(&mut self) -> Result<Vec<Operand>, SelectError> {
        if !self.symbol("(") {
            return Err(self.fail("expected '('"));
        }
        let mut list = vec![self.operand()?];
        while self.symbol(",") {
            list.push(self.operand()?);
        }
        if self.symbol(")") { Ok(list) } else { Err(self.fail("expected ',' or ')'")) }
    }

    fn text_literal(&mut self) -> Result<String, SelectError> {
        match self.tokens.get(self.at) {
            Some((Token::Text(t), _)) => {
                self.at += 1;
                Ok(t.clone())
            }
            _ => Err(self.fail("expected a key in single quotes")),
        }
    }

    fn operand(&mut self) -> Result<Operand, SelectError> {
        let Some((token, at)) = self.tokens.get(self.at).cloned() else { return Err(self.fail("something is missing at the end")) };
        self.at += 1;
        match token {
            Token::Text(t) | Token::Number(t) => Ok(Operand::Literal(t)),
            Token::Word(w) if w == "null" => Ok(Operand::Null),
            Token::Word(w) if w == "tags" => {
                if !self.symbol("->>") {
                    return Err(self.fail("expected ->> and a key: tags ->> 'cis_level'"));
                }
                Ok(Operand::Tag(self.text_literal()?))
            }
            Token::Word(w) if ATTRIBUTES.contains(&w.as_str()) => Ok(Operand::Attribute(w)),
            Token::Word(w) => {
                let hint = did_you_mean(&w, ATTRIBUTES.iter().copied())
                    .unwrap_or_else(|| format!("attributes: {}; for tags write tags ->> '{w}'", ATTRIBUTES.join(", ")));
                Err(fail(self.text, at, &format!("unknown attribute '{w}'"), Some(hint)))
            }
            Token::Symbol(s) => Err(fail(self.text, at, &format!("'{s}' is not expected here"), None)),
        }
    }
}

fn negate(not: bool, e: Expr) -> Expr {
    if not { Expr::Not(Box::new(e)) } else { e }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
