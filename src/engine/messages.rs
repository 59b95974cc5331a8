//! DataFusion's errors as one lower-case line in PostgreSQL's words, with a suggestion where there is one.
//!
//! Owns: which of DataFusion's errors is whose fault. Refuses: to show its prefixes, nested contexts and backtraces.

use crate::EngineError;
use assay_cloud::CloudError;
use assay_tables::SpecError;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use std::error::Error;

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> EngineError {
        of(&error)
    }
}

fn of(error: &DataFusionError) -> EngineError {
    match error {
        DataFusionError::ArrowError(e, _) => arrow(e),
        DataFusionError::SQL(e, _) => syntax(e),
        DataFusionError::SchemaError(e, _) => schema(e),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => plan(text),
        DataFusionError::NotImplemented(text) => EngineError::sql(format!("not supported: {}", line(text)), None),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::ResourcesExhausted(_) => EngineError::Data(crate::memory::EXHAUSTED.to_owned()),
        DataFusionError::External(e) => external(e.as_ref()),
        DataFusionError::Context(_, inner) => of(inner),
        DataFusionError::Shared(inner) => of(inner),
        DataFusionError::Diagnostic(what, inner) => match (of(inner), what.span) {
            (EngineError::Sql { message, hint, at: None }, Some(span)) if span.start.line > 0 => {
                let at = usize::try_from(span.start.line).ok().zip(usize::try_from(span.start.column).ok());
                EngineError::Sql { message, hint, at }
            }
            (other, _) => other,
        },
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => of(first),
            None => EngineError::Internal("an error without a message".into()),
        },
        DataFusionError::ExecutionJoin(e) if e.is_panic() => EngineError::Internal("a task of the query panicked".into()),
        DataFusionError::ExecutionJoin(_) => EngineError::Internal("a task of the query was cancelled".into()),
        DataFusionError::IoError(e) => EngineError::Data(format!("cannot write temporary data: {}", line(&e.to_string()))),
        DataFusionError::ObjectStore(e) => EngineError::Internal(line(&e.to_string())),
        DataFusionError::Internal(text) | DataFusionError::Substrait(text) | DataFusionError::Ffi(text) => {
            EngineError::Internal(line(text))
        }
    }
}

/// An error of ours on its way through DataFusion, or somebody's error that is neither.
fn external(error: &(dyn Error + Send + Sync + 'static)) -> EngineError {
    if let Some(e) = error.downcast_ref::<EngineError>() {
        e.clone()
    } else if let Some(e) = error.downcast_ref::<CloudError>() {
        EngineError::from(e.clone())
    } else if let Some(e) = error.downcast_ref::<SpecError>() {
        EngineError::Spec(e.clone())
    } else if let Some(e) = error.downcast_ref::<DataFusionError>() {
        of(e)
    } else if let Some(e) = error.downcast_ref::<ArrowError>() {
        arrow(e)
    } else {
        EngineError::Data(line(&error.to_string()))
    }
}

fn schema(error: &SchemaError) -> EngineError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => EngineError::sql(
            format!("column reference \"{}\" is ambiguous", field.name),
            Some(format!("write which table it is of, as in t.{}", field.name)),
        ),
        SchemaError::DuplicateQualifiedField { qualifier, name } => EngineError::sql(
            format!("column \"{name}\" of \"{}\" is there twice", qualifier.table()),
            Some("give one of them an alias".into()),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => {
            EngineError::sql(format!("column \"{name}\" is there twice"), Some("give one of them an alias".into()))
        }
    }
}

/// The column that a statement names and that is not there.
pub(crate) fn missing_column(error: &DataFusionError) -> Option<&Column> {
    match error {
        DataFusionError::SchemaError(e, _) => match e.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field),
            _ => None,
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => missing_column(inner),
        DataFusionError::Shared(inner) => missing_column(inner),
        DataFusionError::Collection(all) => all.first().and_then(missing_column),
        _ => None,
    }
}

fn unknown_column(field: &Column, valid: &[Column]) -> EngineError {
    let written = field.relation.as_ref().map(|r| r.table().to_owned());
    let of_table = |c: &&Column| match (&written, &c.relation) {
        (Some(table), Some(relation)) => relation.table() == table,
        (Some(_), None) => false,
        (None, _) => true,
    };
    let candidates: Vec<&str> = valid.iter().filter(of_table).map(|c| c.name.as_str()).collect();
    if let Some(table) = &written
        && candidates.is_empty()
        && !valid.is_empty()
    {
        let tables = valid.iter().filter_map(|c| c.relation.as_ref()).map(|r| r.table());
        let hint = closest(table, tables).map(|t| format!("did you mean \"{t}\"?"));
        return EngineError::sql(format!("missing FROM-clause entry for table \"{table}\""), hint);
    }
    let name = match &written {
        Some(table) => format!("{table}.{}", field.name),
        None => format!("\"{}\"", field.name),
    };
    let hint = closest(&field.name, candidates.iter().copied()).map(|c| format!("did you mean \"{c}\"?"));
    EngineError::sql(format!("column {name} does not exist"), hint)
}

/// The candidate most like a name, when it is like it at all.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = strsim::jaro_winkler(&name, &candidate.to_lowercase());
        if score > 0.8 && best.is_none_or(|(top, other)| score > top || (score >= top && candidate < other)) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn plan(text: &str) -> EngineError {
    if let Some(table) = between(text, "table '", "' not found") {
        let parts: Vec<&str> = table.split('.').collect();
        let name = match parts.as_slice() {
            [_, schema @ "information_schema", name] => format!("{schema}.{name}"),
            [.., name] => (*name).to_owned(),
            [] => table.to_owned(),
        };
        return EngineError::sql(format!("relation \"{name}\" does not exist"), None);
    }
    if let Some(function) = between(text, "table function '", "' not found") {
        return EngineError::sql(format!("function {function} does not exist"), None);
    }
    if let Some(function) = between(text, "Invalid function '", "'") {
        // DataFusion always offers its nearest name, however far that is.
        let offered = between(text, "Did you mean '", "'").and_then(|o| closest(function, [o]));
        return EngineError::sql(format!("function {function} does not exist"), offered.map(|f| format!("did you mean \"{f}\"?")));
    }
    if let Some(call) = between(text, "No function matches the given name and argument types '", "'.") {
        return EngineError::sql(
            format!("function {} does not exist", types(call)),
            Some("no function of this name takes these types; casts (x::text) may help".into()),
        );
    }
    if let Some((call, count)) =
        between(text, "Failed to coerce arguments to satisfy a call to '", "'").zip(between(text, "coercion from ", " to"))
    {
        return EngineError::sql(
            format!("function {call} does not take {}", types(count)),
            Some("no function of this name takes these types; casts (x::text) may help".into()),
        );
    }
    EngineError::sql(types(&line(text)), None)
}

fn execution(text: &str) -> EngineError {
    match text {
        _ if text.contains("Divide by zero") || text.contains("divide by zero") => EngineError::Data("division by zero".into()),
        _ if text.contains("Scalar subquery returned more than one row") => {
            EngineError::Data("more than one row returned by a subquery used as an expression".into())
        }
        _ => EngineError::Data(types(&line(text))),
    }
}

fn arrow(error: &ArrowError) -> EngineError {
    match error {
        ArrowError::DivideByZero => EngineError::Data("division by zero".into()),
        ArrowError::CastError(text) => {
            // Cannot cast string 'x' to value of Int64 type
            match between(text, "Cannot cast string '", "' to value of ").zip(between(text, "to value of ", " type")) {
                Some((value, ty)) => EngineError::Data(format!("invalid input syntax for type {}: \"{value}\"", types(ty))),
                None => EngineError::Data(types(&line(text))),
            }
        }
        ArrowError::ParseError(text) => match between(text, "Error parsing timestamp from '", "'") {
            Some(value) => EngineError::Data(format!("invalid input syntax for type timestamp: \"{value}\"")),
            None => EngineError::Data(line(text)),
        },
        ArrowError::ArithmeticOverflow(text) => EngineError::Data(format!("value out of range: {}", line(text))),
        ArrowError::ExternalError(e) => external(e.as_ref()),
        ArrowError::NotYetImplemented(text) => EngineError::sql(format!("not supported: {}", types(&line(text))), None),
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => EngineError::Data(types(&line(text))),
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => {
            EngineError::Data(format!("out of memory: {}", line(&error.to_string())))
        }
        other => EngineError::Internal(line(&other.to_string())),
    }
}

fn syntax(error: &ParserError) -> EngineError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return EngineError::sql("the statement is nested too deeply", Some("split it with WITH clauses".into()));
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
    };
    let (text, at) = place(text);
    let Some((expected, found)) = between(text, "Expected: ", ", found: ").zip(text.split_once(", found: ").map(|(_, f)| f)) else {
        return EngineError::Sql { message: format!("syntax error: {}", line(text)), hint: None, at };
    };
    let message = if found == "EOF" {
        "syntax error at end of input".to_owned()
    } else {
        format!("syntax error at or near \"{}\"", line_as_is(found))
    };
    EngineError::Sql { message, hint: Some(format!("expected {}", line(expected))), at }
}

/// Cuts sqlparser's ` at Line: 1, Column: 5` off.
fn place(text: &str) -> (&str, Option<(usize, usize)>) {
    let Some((before, after)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let Some((row, column)) = after.split_once(", Column: ") else { return (text, None) };
    match (row.parse(), column.trim().parse()) {
        (Ok(row), Ok(column)) => (before, Some((row, column))),
        _ => (text, None),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

/// The first line without a backtrace and prefixes, beginning in lower case where it begins with a word.
fn line(text: &str) -> String {
    let mut text = line_as_is(text);
    for prefix in ["Error during planning: ", "Execution error: ", "External error: ", "Arrow error: ", "type_coercion\ncaused by\n"] {
        if let Some(rest) = text.strip_prefix(prefix) {
            text = rest.to_owned();
        }
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), second) if first.is_uppercase() && !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text,
    }
}

fn line_as_is(text: &str) -> String {
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text);
    text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Arrow's names of types, where they stand as words, in PostgreSQL's spelling.
fn types(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if word == 0 {
            let next = rest.chars().next().map_or(rest.len(), char::len_utf8);
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let (name, after) = rest.split_at(word);
        rest = after;
        out.push_str(match name {
            "Utf8" | "Utf8View" => "text",
            "LargeUtf8" => "numeric",
            "Int64" | "UInt64" => "bigint",
            "Int32" | "UInt32" => "integer",
            "Int16" | "Int8" | "UInt8" | "UInt16" => "smallint",
            "Float64" => "double precision",
            "Float32" => "real",
            "Boolean" => "boolean",
            "Date32" | "Date64" => "date",
            "Interval" => "interval",
            "Timestamp" | "Time64" | "Decimal128" | "Interval128" => {
                if let Some((inside, after)) = parenthesised(rest) {
                    rest = after;
                    if name == "Timestamp" && (inside.contains("Some") || inside.contains('"')) {
                        "timestamp with time zone"
                    } else {
                        plain(name)
                    }
                } else {
                    plain(name)
                }
            }
            other => other,
        });
    }
    out
}

/// What stands in the parentheses that a text begins with, and what follows them.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&text[1..at], &text[at + 1..])),
            ')' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn plain(name: &str) -> &'static str {
    match name {
        "Timestamp" => "timestamp",
        "Time64" => "time",
        "Decimal128" => "numeric",
        _ => "interval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::TableReference;
    use std::sync::Arc;

    fn sql(message: &str, hint: Option<&str>) -> (String, Option<String>) {
        (message.to_owned(), hint.map(str::to_owned))
    }

    #[test]
    fn statements_at_fault() {
        let column = |table: Option<&str>, name: &str| Column::new(table.map(|t| TableReference::bare(t.to_owned())), name);
        let not_found = |field: Column| {
            let valid_fields = vec![column(Some("u"), "user_name"), column(Some("u"), "arn"), column(Some("g"), "name")];
            DataFusionError::SchemaError(Box::new(SchemaError::FieldNotFound { field: Box::new(field), valid_fields }), Box::new(None))
        };
        let parser = |t: &str| DataFusionError::SQL(Box::new(ParserError::ParserError(t.into())), None);
        let cases = [
            (not_found(column(None, "user_nam")), sql("column \"user_nam\" does not exist", Some("did you mean \"user_name\"?"))),
            (not_found(column(Some("u"), "name")), sql("column u.name does not exist", None)),
            (not_found(column(Some("gg"), "name")), sql("missing FROM-clause entry for table \"gg\"", Some("did you mean \"g\"?"))),
            (not_found(column(None, "zzz")), sql("column \"zzz\" does not exist", None)),
            (
                DataFusionError::Plan("table 'assay.public.nope' not found".into()).context("while planning"),
                sql("relation \"nope\" does not exist", None),
            ),
            (
                DataFusionError::Plan("Invalid function 'lowr'.\nDid you mean 'lower'?".into()),
                sql("function lowr does not exist", Some("did you mean \"lower\"?")),
            ),
            (DataFusionError::Plan("Invalid function 'qqq'.\nDid you mean 'abs'?".into()), sql("function qqq does not exist", None)),
            (
                DataFusionError::Plan(
                    "Error during planning: No function matches the given name and argument types 'f(Utf8, Timestamp(Nanosecond, Some(\"+00:00\")))'. You might\n\tCandidate functions:\n".into(),
                ),
                sql(
                    "function f(text, timestamp with time zone) does not exist",
                    Some("no function of this name takes these types; casts (x::text) may help"),
                ),
            ),
            (
                DataFusionError::Plan("Cannot coerce arithmetic expression Utf8 + Int64 to valid types\n\nbacktrace: 0: x".into()),
                sql("cannot coerce arithmetic expression text + bigint to valid types", None),
            ),
            (
                parser("Expected: end of statement, found: foo at Line: 2, Column: 7"),
                sql("syntax error at or near \"foo\"", Some("expected end of statement")),
            ),
            (parser("Expected: an expression, found: EOF"), sql("syntax error at end of input", Some("expected an expression"))),
            (parser("Unterminated string literal at Line: 1, Column: 8"), sql("syntax error: unterminated string literal", None)),
            (DataFusionError::NotImplemented("LIMIT BY clause is not supported yet".into()), sql("not supported: LIMIT BY clause is not supported yet", None)),
            (
                DataFusionError::Shared(Arc::new(EngineError::sql("ours", Some("so".into())).into())),
                sql("ours", Some("so")),
            ),
        ];
        for (error, want) in cases {
            let text = error.to_string();
            match EngineError::from(error) {
                EngineError::Sql { message, hint, .. } => assert_eq!((message, hint), want, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn data_at_fault() {
        let cases = [
            (ArrowError::DivideByZero, "division by zero"),
            (
                ArrowError::CastError("Cannot cast string 'abc' to value of Int64 type".into()),
                "invalid input syntax for type bigint: \"abc\"",
            ),
            (
                ArrowError::ParseError("Error parsing timestamp from 'nope': error parsing date".into()),
                "invalid input syntax for type timestamp: \"nope\"",
            ),
            (ArrowError::ExternalError(Box::new(DataFusionError::Execution("Divide by zero".into()))), "division by zero"),
        ];
        for (error, want) in cases {
            let text = error.to_string();
            let wrapped = DataFusionError::ArrowError(Box::new(error), None).context("Optimizer rule 'simplify_expressions' failed");
            match EngineError::from(wrapped) {
                EngineError::Data(message) => assert_eq!(message, want, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn places_survive() {
        let error = DataFusionError::SQL(Box::new(ParserError::ParserError("Expected: x, found: y at Line: 3, Column: 14".into())), None);
        assert!(matches!(EngineError::from(error), EngineError::Sql { at: Some((3, 14)), .. }));
    }

    #[test]
    fn clouds_and_specs_keep_their_type() {
        let cloud = CloudError::new(assay_cloud::ErrorKind::Credentials, "NoCredentials", "none");
        let error = DataFusionError::External(Box::new(cloud.clone())).context("x");
        assert!(matches!(EngineError::from(error), EngineError::Cloud(e) if *e == cloud));
        let spec = SpecError { file: "a.yaml".into(), at: None, message: "bad".into(), hint: None };
        let error = DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(spec.clone()))), None);
        assert!(matches!(EngineError::from(error), EngineError::Spec(e) if e == spec));
        assert!(matches!(EngineError::from(DataFusionError::Internal("x".into())), EngineError::Internal(_)));
    }
}
