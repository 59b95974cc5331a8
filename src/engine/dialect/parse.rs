//! Text to statements: splitting, PostgreSQL-like syntax errors with their place, and the refusal of everything that writes.

use super::depth;
use super::postgresql::PostgreSql;
use super::tokens;
use crate::EngineError;
use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Query, Select, SetExpr, Statement as SqlStatement, Visit, Visitor};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::ops::ControlFlow;

/// How deep expressions and subqueries may nest.
const RECURSION: usize = 200;

pub(super) fn syntax(message: impl Into<String>, at: Option<(usize, usize)>) -> EngineError {
    EngineError::Sql { message: message.into(), hint: None, at }
}

/// Splits a text at its semicolons.
///
/// # Errors
/// A quote or comment is not closed.
pub(super) fn split(sql: &str) -> Result<Vec<String>, EngineError> {
    let tokens = tokenize(sql)?;
    let offsets = Lines::new(sql);
    let mut statements = Vec::new();
    let mut start = 0;
    let mut empty = true;
    let mut push = |from: usize, to: usize, empty: bool| {
        if !empty && let Some(text) = sql.get(from..to) {
            statements.push(text.trim().to_string());
        }
    };
    for token in &tokens {
        match &token.token {
            Token::SemiColon => {
                let end = offsets.byte(token.span.start);
                push(start, end, empty);
                start = end + 1;
                empty = true;
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => empty = false,
        }
    }
    push(start, sql.len(), empty);
    Ok(statements)
}

pub(super) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, EngineError> {
    Tokenizer::new(&PostgreSql, sql).tokenize_with_location().map_err(|error| {
        let (line, column) = (error.location.line as usize, error.location.column as usize);
        syntax(token_message(&error.message), (line > 0).then_some((line, column)))
    })
}

/// Byte offsets of lines and columns (in characters, from 1).
struct Lines<'a> {
    sql: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(sql: &'a str) -> Self {
        let starts = std::iter::once(0).chain(sql.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1)).collect();
        Lines { sql, starts }
    }

    fn byte(&self, at: Location) -> usize {
        let start = (at.line as usize).checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let column = (at.column as usize).saturating_sub(1);
        self.sql[start..].char_indices().nth(column).map_or(self.sql.len(), |(byte, _)| start + byte)
    }
}

fn token_message(message: &str) -> String {
    let lower = message.to_lowercase();
    if lower.contains("dollar") {
        "unterminated dollar-quoted string".into()
    } else if lower.contains("comment") {
        "unterminated /* comment".into()
    } else if lower.contains("string literal") {
        "unterminated quoted string".into()
    } else if lower.contains("close delimiter") {
        "unterminated quoted identifier".into()
    } else {
        format!("syntax error: {lower}")
    }
}

/// Parses one statement that only reads.
///
/// # Errors
/// A syntax error, more or less than one statement, or a statement that writes.
pub(super) fn statement(sql: &str) -> Result<Statement, EngineError> {
    if split(sql)?.is_empty() {
        return Err(syntax("there is no statement", None));
    }
    depth::check_text(sql)?;
    let parsed = DFParserBuilder::new(tokens::prepare(tokenize(sql)?)?)
        .with_dialect(&PostgreSql)
        .with_recursion_limit(RECURSION)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| of_parser(error, sql))?;
    let mut statements = parsed.into_iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => {
            reads(&statement)?;
            depth::check(&statement)?;
            Ok(statement)
        }
        (Some(_), Some(_)) => Err(syntax("cannot run more than one statement at once", None)),
        (None, _) => Err(syntax("there is no statement", None)),
    }
}

/// PostgreSQL's words for a parser's error.
fn of_parser(error: DataFusionError, sql: &str) -> EngineError {
    let text = match error.find_root() {
        DataFusionError::SQL(error, _) => match error.as_ref() {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
            ParserError::RecursionLimitExceeded => return depth::too_deep(),
        },
        _ => return EngineError::from(error),
    };
    let (text, at) = match text.rfind(" at Line: ") {
        Some(split) => (text[..split].to_string(), location(&text[split..])),
        None => (text, None),
    };
    let found = text.rsplit_once("found: ").map(|(_, found)| found.trim());
    match found {
        Some("EOF") => {
            let lines = sql.trim_end().lines().count().max(1);
            let column = sql.trim_end().lines().last().map_or(0, |line| line.chars().count());
            syntax("syntax error at end of input", Some((lines, column + 1)))
        }
        Some(found) => syntax(format!("syntax error at or near \"{found}\""), at),
        None => syntax(format!("syntax error: {}", text.trim_start_matches("sql parser error: ").to_lowercase()), at),
    }
}

/// `Line: 1, Column: 8`.
fn location(text: &str) -> Option<(usize, usize)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

fn refused(what: &str) -> EngineError {
    EngineError::Sql {
        message: format!("cannot execute {what}: only statements that read are allowed"),
        hint: Some(
            "use select, with, values, table, explain, show or describe; set and reset stand in the shell and in `assay query`".into(),
        ),
        at: None,
    }
}

/// Lets only reading statements through: DataFusion's COPY and CREATE EXTERNAL TABLE would touch files.
fn reads(statement: &Statement) -> Result<(), EngineError> {
    match statement {
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => Err(refused("RESET")),
        Statement::Statement(inner) => match inner.as_ref() {
            SqlStatement::Query(_) => match inner.visit(&mut Writes) {
                ControlFlow::Break(what) => Err(refused(what)),
                ControlFlow::Continue(()) => Ok(()),
            },
            SqlStatement::ShowVariable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. }
            | SqlStatement::ExplainTable { .. } => Ok(()),
            other => Err(refused(&keywords(&other.to_string()))),
        },
    }
}

/// The leading keywords of a statement, for a message.
fn keywords(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    match words.as_slice() {
        ["CREATE" | "DROP" | "ALTER", what] => format!("{} {what}", words[0]),
        [first, ..] => (*first).to_string(),
        [] => "this statement".into(),
    }
}

/// Finds writing inside a query: data-modifying CTEs and `SELECT INTO`.
struct Writes;

impl Visitor for Writes {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        body_writes(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_some() { ControlFlow::Break("SELECT INTO") } else { ControlFlow::Continue(()) }
    }
}

fn body_writes(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
        SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
        SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
        SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
        SetExpr::SetOperation { left, right, .. } => {
            body_writes(left)?;
            body_writes(right)
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => ControlFlow::Continue(()),
    }
}
