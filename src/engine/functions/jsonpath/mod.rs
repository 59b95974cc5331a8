//! SQL/JSON paths: `jsonb_path_query` and its like, `@?` and `@@`.
//!
//! A text becomes tokens ([`scan`]), a tree ([`ast`], by [`parse`]), and is evaluated ([`eval`], [`predicate`], [`methods`]) over slices of
//! the document's canonical text ([`item`]).

mod ast;
mod datetime;
mod eval;
mod item;
mod layout;
mod methods;
mod parse;
mod predicate;
mod scan;
mod text;

use super::row::{Def, Kind, Ret, Row, Value, fail};
use ast::Path;
use datafusion::common::Result;
use eval::{Evaluation, Outcome, Sink};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Document, path, variables, silent.
const PARAMS: &[Kind] = &[Kind::Jsonb, Kind::Text, Kind::Jsonb, Kind::Bool];

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_path_query", PARAMS, Ret::Jsonbs, |row| query(row, false)).required(2),
    Def::new("jsonb_path_query_tz", PARAMS, Ret::Jsonbs, |row| query(row, true)).required(2),
    Def::new("jsonb_path_query_array", PARAMS, Ret::Jsonb, |row| query_array(row, false)).required(2),
    Def::new("jsonb_path_query_array_tz", PARAMS, Ret::Jsonb, |row| query_array(row, true)).required(2),
    Def::new("jsonb_path_query_first", PARAMS, Ret::Jsonb, |row| query_first(row, false)).required(2),
    Def::new("jsonb_path_query_first_tz", PARAMS, Ret::Jsonb, |row| query_first(row, true)).required(2),
    Def::new("jsonb_path_exists", PARAMS, Ret::Bool, |row| exists(row, Call::function(row, false))).required(2),
    Def::new("jsonb_path_exists_tz", PARAMS, Ret::Bool, |row| exists(row, Call::function(row, true))).required(2),
    Def::new("jsonb_path_match", PARAMS, Ret::Bool, |row| matches(row, Call::function(row, false))).required(2),
    Def::new("jsonb_path_match_tz", PARAMS, Ret::Bool, |row| matches(row, Call::function(row, true))).required(2),
    // The operators `@?` and `@@`: silent, and without variables.
    Def::new("jsonb_path_exists_opr", &[Kind::Jsonb, Kind::Text], Ret::Bool, |row| exists(row, Call::OPERATOR)),
    Def::new("jsonb_path_match_opr", &[Kind::Jsonb, Kind::Text], Ret::Bool, |row| matches(row, Call::OPERATOR)),
];

thread_local! {
    /// Paths are few and constant: parsed once a thread, dropped when they become many.
    static PARSED: RefCell<HashMap<String, Rc<Path>>> = RefCell::new(HashMap::new());
}

fn parsed(text: &str) -> Result<Rc<Path>> {
    if let Some(path) = PARSED.with_borrow(|all| all.get(text).cloned()) {
        return Ok(path);
    }
    let path = Rc::new(parse::parse(text)?);
    PARSED.with_borrow_mut(|all| {
        if all.len() > 256 {
            all.clear();
        }
        all.insert(text.to_string(), Rc::clone(&path));
    });
    Ok(path)
}

/// The text of a path as PostgreSQL shows it: what a cast to `jsonpath` gives.
///
/// # Errors
/// The text is no path.
pub(crate) fn canonical(text: &str) -> Result<String> {
    Ok(parsed(text)?.to_string())
}

/// How a path is evaluated.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    variables: Option<&'a str>,
    throws: bool,
    zoned: bool,
}

impl<'a> Call<'a> {
    const OPERATOR: Call<'static> = Call { variables: None, throws: false, zoned: false };

    fn function(row: Row<'a>, zoned: bool) -> Call<'a> {
        let variables = if row.len() > 2 { row.text(2) } else { "{}" };
        Call { variables: Some(variables), throws: row.len() <= 3 || !row.bool(3), zoned }
    }
}

/// Everything a path finds, as jsonb texts; after a silent error, what it found before.
fn found(row: Row<'_>, zoned: bool) -> Result<Vec<String>> {
    let path = parsed(row.text(1))?;
    let call = Call::function(row, zoned);
    let mut sink = Sink::list();
    Evaluation::run(&path, row.text(0), call.variables, call.throws, call.zoned, &mut sink)?;
    Ok(sink.items.iter().map(item::Item::to_text).collect())
}

fn query(row: Row<'_>, zoned: bool) -> Result<Value<'_>> {
    Ok(Value::Texts(found(row, zoned)?.into_iter().map(|text| Some(text.into())).collect()))
}

fn query_array(row: Row<'_>, zoned: bool) -> Result<Value<'_>> {
    Ok(format!("[{}]", found(row, zoned)?.join(", ")).into())
}

fn query_first(row: Row<'_>, zoned: bool) -> Result<Value<'_>> {
    Ok(found(row, zoned)?.into_iter().next().into())
}

fn exists<'a>(row: Row<'a>, call: Call<'a>) -> Result<Value<'a>> {
    let path = parsed(row.text(1))?;
    let outcome = Evaluation::run(&path, row.text(0), call.variables, call.throws, call.zoned, &mut Sink::any())?;
    Ok(match outcome {
        Outcome::Found => Value::Bool(true),
        Outcome::NotFound => Value::Bool(false),
        Outcome::Error => Value::Null,
    })
}

fn matches<'a>(row: Row<'a>, call: Call<'a>) -> Result<Value<'a>> {
    let path = parsed(row.text(1))?;
    let mut sink = Sink::list();
    Evaluation::run(&path, row.text(0), call.variables, call.throws, call.zoned, &mut sink)?;
    match sink.items.as_slice() {
        [only] if only.kind() == "boolean" => Ok(Value::Bool(only.to_text() == "true")),
        [only] if only.kind() == "null" => Ok(Value::Null),
        _ if call.throws => fail("single boolean result is expected"),
        _ => Ok(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_paths_are_refused_and_evaluated_within_a_small_stack() {
        let work = || {
            for (text, ok) in [
                (format!("${}", ".a".repeat(90)), true),
                (format!("${}", ".a".repeat(100_000)), false),
                (format!("{}1{}", "(".repeat(45), ")".repeat(45)), true),
                (format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)), false),
                (format!("1{}", " + 1".repeat(90)), true),
                (format!("1{}", " + 1".repeat(100_000)), false),
                (format!("{}1", "-".repeat(100_000)), false),
                (format!("{}(1 == 1){}", "!(".repeat(20), ")".repeat(20)), true),
                (format!("${}", " ? (@.a == 1".repeat(45) + &")".repeat(45)), true),
                (format!("${}", "[$".repeat(45) + &"]".repeat(45)), true),
            ] {
                let path = parsed(&text);
                assert_eq!(path.is_ok(), ok, "{}", &text[..40]);
                if let Ok(path) = path {
                    let deep = "[".repeat(900) + &"]".repeat(900);
                    for document in ["{\"a\": 1}", deep.as_str()] {
                        let _ = Evaluation::run(&path, document, Some("{}"), false, false, &mut Sink::list());
                    }
                }
            }
        };
        std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
    }

    #[test]
    fn endless_paths_end() {
        let path = parsed("$.**.**.**.**.**.**.**.**.**.** ? (@ == 1)").unwrap();
        let deep = "[".repeat(100) + &"]".repeat(100);
        let error = Evaluation::run(&path, &deep, None, true, false, &mut Sink::any()).unwrap_err();
        assert!(error.to_string().contains("too many steps"), "{error}");
    }
}
