//! Regular expressions: `~ ~* !~ !~*`, `similar to`, `regexp_*`, with look-around.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use datafusion::common::{DataFusionError, Result};
use fancy_regex::Regex;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("regex_is_match", &[Kind::Text, Kind::Text, Kind::Text], Ret::Bool, |row| {
        Ok(Value::Bool(is_match(compiled(row.text(1), flags(row, 2))?.as_ref(), row.text(0))?))
    })
    .required(2),
    Def::new("regexp_like", &[Kind::Text, Kind::Text, Kind::Text], Ret::Bool, |row| {
        if flags(row, 2).contains('g') {
            return fail("regexp_like() does not support the \"global\" option");
        }
        Ok(Value::Bool(is_match(compiled(row.text(1), flags(row, 2))?.as_ref(), row.text(0))?))
    })
    .required(2),
    Def::new("similar_to", &[Kind::Text, Kind::Text, Kind::Text], Ret::Bool, |row| {
        let pattern = similar(row.text(1), if row.len() > 2 { row.text(2) } else { "\\" })?;
        Ok(Value::Bool(is_match(compiled(&pattern, "")?.as_ref(), row.text(0))?))
    })
    .required(2),
    Def::new("like_escape", &[Kind::Text, Kind::Text], Ret::Text, |row| like_escape(row.text(0), row.text(1)).map(Value::from)),
    // `x [i]like any/all (array)` over an array that is no literal.
    Def::new("like_any", &[Kind::Text, Kind::Texts, Kind::Text], Ret::Bool, |row| like(row, true)),
    Def::new("like_all", &[Kind::Text, Kind::Texts, Kind::Text], Ret::Bool, |row| like(row, false)),
    Def::new("regexp_match", &[Kind::Text, Kind::Text, Kind::Text], Ret::Texts, |row| {
        let regex = compiled(row.text(1), flags(row, 2))?;
        let found = regex.captures(row.text(0)).map_err(broken)?;
        Ok(found.map_or(Value::Null, |captures| Value::Texts(groups(&captures))))
    })
    .required(2),
    Def::new("substring_regex", &[Kind::Text, Kind::Text], Ret::Text, |row| {
        let regex = compiled(row.text(1), "")?;
        let captures = regex.captures(row.text(0)).map_err(broken)?;
        // With a group, PostgreSQL gives the first group.
        let group = usize::from(regex.captures_len() > 1);
        Ok(captures.and_then(|captures| captures.get(group)).map(|found| found.as_str()).into())
    }),
    Def::new("regexp_replace", &[Kind::Text, Kind::Text, Kind::Text, Kind::Any, Kind::Int, Kind::Text], Ret::Text, replace).required(3),
    Def::new("regexp_split_to_array", &[Kind::Text, Kind::Text, Kind::Text], Ret::Texts, split).required(2),
    Def::new("regexp_split_to_table", &[Kind::Text, Kind::Text, Kind::Text], Ret::Texts, split).required(2),
];

fn flags(row: Row<'_>, k: usize) -> &str {
    if row.len() > k { row.text(k) } else { "" }
}

pub(super) fn broken(error: fancy_regex::Error) -> DataFusionError {
    DataFusionError::Execution(format!("regular expression failed: {error}"))
}

fn is_match(regex: &Regex, text: &str) -> Result<bool> {
    regex.is_match(text).map_err(broken)
}

fn groups<'a>(captures: &fancy_regex::Captures<'a>) -> Vec<Option<Cow<'a, str>>> {
    let from = usize::from(captures.len() > 1);
    (from..captures.len()).map(|group| captures.get(group).map(|found| Cow::Borrowed(found.as_str()))).collect()
}

thread_local! {
    /// Patterns are few and constant: compiled once a thread, dropped when they become many.
    static COMPILED: RefCell<HashMap<(String, String), Rc<Regex>>> = RefCell::new(HashMap::new());
}

pub(super) fn compiled(pattern: &str, flags: &str) -> Result<Rc<Regex>> {
    let key = (pattern.to_string(), flags.to_string());
    if let Some(regex) = COMPILED.with_borrow(|all| all.get(&key).cloned()) {
        return Ok(regex);
    }
    let regex = Rc::new(compile(pattern, flags)?);
    COMPILED.with_borrow_mut(|all| {
        if all.len() > 256 {
            all.clear();
        }
        all.insert(key, Rc::clone(&regex));
    });
    Ok(regex)
}

/// A regular expression of PostgreSQL's syntax, and its flags.
///
/// # Errors
/// The pattern is none, or a flag is unknown.
pub(super) fn compile(pattern: &str, flags: &str) -> Result<Regex> {
    let (mut insensitive, mut dot_all, mut lines, mut expanded, mut literal) = (false, true, false, false, false);
    // A pattern may begin with flags of its own, or say that it is plain text.
    let (pattern, plain) = pattern.strip_prefix("***=").map_or((pattern, ""), |rest| (rest, "q"));
    let (pattern, inner) = match pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        Some((letters, body)) if !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_alphabetic()) && plain.is_empty() => {
            (body, letters)
        }
        _ => (pattern, plain),
    };
    for flag in flags.chars().chain(inner.chars()) {
        match flag {
            'i' => insensitive = true,
            'c' => insensitive = false,
            'n' | 'm' => (dot_all, lines) = (false, true),
            's' => (dot_all, lines) = (true, false),
            'p' => dot_all = false,
            'w' => lines = true,
            'x' => expanded = true,
            't' => expanded = false,
            'q' => literal = true,
            'g' => {}
            other => return fail(format!("invalid regular expression option: \"{other}\"")),
        }
    }
    let options: String = [(insensitive, 'i'), (dot_all, 's'), (lines, 'm'), (expanded, 'x')]
        .into_iter()
        .filter_map(|(set, option)| set.then_some(option))
        .collect();
    let options = if options.is_empty() { options } else { format!("(?{options})") };
    let body = if literal { fancy_regex::escape(pattern).into_owned() } else { translate(pattern, dot_all) };
    Regex::new(&format!("{options}{body}")).map_err(|error| {
        let reason = reason(pattern).map_or_else(|| first_line(&error.to_string()), str::to_string);
        DataFusionError::Execution(format!("invalid regular expression: {reason}"))
    })
}

/// PostgreSQL's words for the usual mistakes.
fn reason(pattern: &str) -> Option<&'static str> {
    let (mut depth, mut bracket, mut repeats) = (0i32, false, false);
    let mut chars = pattern.chars().peekable();
    let mut start = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next().is_none() => return Some("invalid escape \\ sequence"),
            '\\' => {}
            ']' if bracket => bracket = false,
            _ if bracket => {}
            '[' => {
                bracket = true;
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            '*' | '+' | '?' if start => repeats = true,
            _ => {}
        }
        if depth < 0 {
            break;
        }
        start = matches!(c, '(' | '|') && !matches!(chars.peek(), Some('?') if c == '(');
    }
    if bracket {
        Some("brackets [] not balanced")
    } else if repeats {
        Some("quantifier operand invalid")
    } else if depth != 0 {
        Some("parentheses () not balanced")
    } else {
        None
    }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_string()
}

/// PostgreSQL's escapes that Rust's syntax spells differently.
///
/// Where the dot does not match a line's end, complemented brackets do not either.
fn translate(pattern: &str, dot_all: bool) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut bracket = false;
    let mut chars = pattern.strip_prefix("***:").unwrap_or(pattern).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('y') => out.push_str("\\b"),
                Some('Y') => out.push_str("\\B"),
                Some('m') => out.push_str("\\b(?=\\w)"),
                Some('M') => out.push_str("\\b(?<=\\w)"),
                Some('Z') => out.push_str("\\z"),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if bracket => {
                out.push_str("\\[");
                // A class's name: `[:alpha:]`.
                if chars.peek() == Some(&':') {
                    out.pop();
                    out.pop();
                    let mut name = String::from("[");
                    for c in chars.by_ref() {
                        name.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                    // Letters are those of all scripts.
                    out.push_str(match name.as_str() {
                        "[:alpha:]" => "\\p{Alphabetic}",
                        "[:alnum:]" => "\\p{Alphabetic}\\p{Nd}",
                        "[:lower:]" => "\\p{Lowercase}",
                        "[:upper:]" => "\\p{Uppercase}",
                        name => name,
                    });
                }
            }
            '[' => {
                bracket = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push_str(if dot_all { "^" } else { "^\\n" });
                }
                // First in brackets, the closing one is a character.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if bracket => {
                bracket = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

/// A LIKE pattern with its escape character replaced by the backslash.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut escapes = escape.chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return fail("invalid escape string");
    }
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            out.push('\\');
            out.extend(chars.next());
        } else {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    Ok(out)
}

/// Whether any, or all, of the patterns fit; NULL patterns leave it unknown.
fn like(row: Row<'_>, any: bool) -> Result<Value<'_>> {
    let mut unknown = false;
    for pattern in row.texts(1) {
        match pattern {
            None => unknown = true,
            Some(pattern) => {
                let mut body = String::from("^(?:");
                let mut chars = pattern.chars();
                while let Some(c) = chars.next() {
                    match c {
                        '%' => body.push_str(".*"),
                        '_' => body.push('.'),
                        '\\' => chars.next().into_iter().for_each(|c| body.push_str(&fancy_regex::escape(&c.to_string()))),
                        other => body.push_str(&fancy_regex::escape(&other.to_string())),
                    }
                }
                body.push_str(")$");
                if is_match(compiled(&body, row.text(2))?.as_ref(), row.text(0))? == any {
                    return Ok(Value::Bool(any));
                }
            }
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(!any) })
}

/// SQL's SIMILAR TO pattern as a regular expression over the whole text.
fn similar(pattern: &str, escape: &str) -> Result<String> {
    Ok(format!("^(?:{})$", similar_body(pattern, escape, false)?))
}

/// A SIMILAR pattern, or a part of one, as a regular expression; `lazy` if it takes as little as it can.
pub(super) fn similar_body(pattern: &str, escape: &str, lazy: bool) -> Result<String> {
    let mut escapes = escape.chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return fail("invalid escape string");
    }
    let mut out = String::new();
    let mut bracket = false;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            if let Some(next) = chars.next() {
                out.push_str(&fancy_regex::escape(&next.to_string()));
            }
        } else if bracket {
            bracket = c != ']';
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        } else {
            match c {
                '[' => {
                    bracket = true;
                    out.push('[');
                    out.extend(chars.next_if_eq(&'^'));
                    // First in brackets, the closing one is a character.
                    if chars.next_if_eq(&']').is_some() {
                        out.push_str("\\]");
                    }
                }
                '%' => out.push_str(if lazy { ".*?" } else { ".*" }),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                other => out.push(other),
            }
        }
    }
    Ok(out)
}

/// The characters of the text before the one to begin at, which match to replace (0: all), and the flags.
fn replacing(row: Row<'_>) -> Result<(usize, usize, String)> {
    if row.len() <= 3 {
        return Ok((1, 1, String::new()));
    }
    let (col, at) = row.col(3);
    if !col.array.data_type().is_integer() {
        let flags = super::text_out::texts(&col.array.slice(at, 1))?.value(0).to_string();
        if let Some(digit) = flags.chars().next().filter(char::is_ascii_digit) {
            return fail(format!(
                "invalid regular expression option: \"{digit}\"; to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly"
            ));
        }
        let all = flags.contains('g');
        return Ok((1, usize::from(!all), flags));
    }
    let start = super::cast::to_int(&col.array.slice(at, 1))?;
    let start = datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Int64Type>(&start).value(0);
    let nth = if row.len() > 4 { row.int(4) } else { 1 };
    let flags = flags(row, 5).to_string();
    let nth = if flags.contains('g') && row.len() <= 4 { 0 } else { nth };
    match (usize::try_from(start), usize::try_from(nth)) {
        (Ok(start), Ok(nth)) if start > 0 => Ok((start, nth, flags)),
        (Ok(start), Err(_)) if start > 0 => fail(format!("invalid value for parameter \"n\": {nth}")),
        _ => fail(format!("invalid value for parameter \"start\": {start}")),
    }
}

fn replace(row: Row<'_>) -> Result<Value<'_>> {
    let (text, template) = (row.text(0), row.text(2));
    let (start, nth, flags) = replacing(row)?;
    let regex = compiled(row.text(1), &flags)?;
    let from = text.char_indices().nth(start - 1).map_or(text.len(), |(byte, _)| byte);
    let mut out = String::with_capacity(text.len());
    let (mut last, mut next, mut count) = (0, from, 0);
    while next <= text.len() {
        let Some(captures) = regex.captures_from_pos(text, next).map_err(broken)? else { break };
        let Some(whole) = captures.get(0) else { break };
        // After a match of nothing, a character is passed over.
        next = if whole.end() > whole.start() {
            whole.end()
        } else {
            whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8)
        };
        count += 1;
        if nth != 0 && count != nth {
            continue;
        }
        out.push_str(&text[last..whole.start()]);
        let mut chars = template.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('&') => out.push_str(whole.as_str()),
                Some(digit @ '0'..='9') => {
                    let group = digit.to_digit(10).unwrap_or(0) as usize;
                    out.push_str(captures.get(group).map_or("", |found| found.as_str()));
                }
                Some('\\') | None => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
            }
        }
        last = whole.end();
        if nth != 0 {
            break;
        }
    }
    out.push_str(&text[last..]);
    Ok(out.into())
}

fn split(row: Row<'_>) -> Result<Value<'_>> {
    let text = row.text(0);
    let regex = compiled(row.text(1), flags(row, 2))?;
    let mut parts = Vec::new();
    let mut last = 0;
    for found in regex.find_iter(text) {
        let found = found.map_err(broken)?;
        // A match of nothing splits only between characters, and not right after another match.
        if found.end() == found.start() && (found.start() == last || found.start() >= text.len()) {
            continue;
        }
        parts.push(Some(Cow::Borrowed(&text[last..found.start()])));
        last = found.end();
    }
    parts.push(Some(Cow::Borrowed(&text[last..])));
    Ok(Value::Texts(parts))
}
