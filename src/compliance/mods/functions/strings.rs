//! Functions on text. Lengths and positions count what people see as one character.

use super::{Args, Done, Entry, MANY, Wrong, bad, format};
use crate::mods::value::Value;
use regex::{Captures, Regex};
use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation as _;

pub(super) const TABLE: &[Entry] = &[
    Entry("chomp", 1, 1, |a| Ok(Value::text(a.text(0)?.trim_end_matches(['\r', '\n'])))),
    Entry("endswith", 2, 2, |a| Ok(Value::Bool(a.text(0)?.ends_with(&*a.text(1)?)))),
    Entry("format", 1, MANY, |a| format::format(&a.text(0)?, a.0.get(1..).unwrap_or_default()).map(Value::text)),
    Entry("formatlist", 1, MANY, formatlist),
    Entry("indent", 2, 2, |a| Ok(Value::text(a.text(1)?.replace('\n', &format!("\n{}", " ".repeat(a.size(0)?.min(1_000))))))),
    Entry("join", 1, MANY, join),
    Entry("lower", 1, 1, |a| Ok(Value::text(a.text(0)?.chars().map(lower).collect::<String>()))),
    Entry("regex", 2, 2, |a| {
        let (re, text) = (pattern(a)?, a.text(1)?);
        re.captures(&text).map(|c| found(&re, &c)).ok_or_else(|| bad(1, "the pattern matches nothing"))
    }),
    Entry("regexall", 2, 2, |a| {
        let (re, text) = (pattern(a)?, a.text(1)?);
        Ok(Value::List(re.captures_iter(&text).map(|c| found(&re, &c)).collect()))
    }),
    Entry("replace", 3, 3, replace),
    Entry("split", 2, 2, split),
    Entry("startswith", 2, 2, |a| Ok(Value::Bool(a.text(0)?.starts_with(&*a.text(1)?)))),
    Entry("strcontains", 2, 2, |a| Ok(Value::Bool(a.text(0)?.contains(&*a.text(1)?)))),
    Entry("strrev", 1, 1, |a| Ok(Value::text(a.text(0)?.graphemes(true).rev().collect::<String>()))),
    Entry("substr", 3, 3, substr),
    Entry("title", 1, 1, |a| Ok(Value::text(title(&a.text(0)?)))),
    Entry("trim", 2, 2, |a| {
        let set: Vec<char> = a.text(1)?.chars().collect();
        Ok(Value::text(a.text(0)?.trim_matches(set.as_slice())))
    }),
    Entry("trimprefix", 2, 2, |a| {
        let (text, prefix) = (a.text(0)?, a.text(1)?);
        Ok(Value::text(text.strip_prefix(&*prefix).unwrap_or(&text)))
    }),
    Entry("trimspace", 1, 1, |a| Ok(Value::text(a.text(0)?.trim()))),
    Entry("trimsuffix", 2, 2, |a| {
        let (text, suffix) = (a.text(0)?, a.text(1)?);
        Ok(Value::text(text.strip_suffix(&*suffix).unwrap_or(&text)))
    }),
    Entry("upper", 1, 1, |a| Ok(Value::text(a.text(0)?.chars().map(upper).collect::<String>()))),
];

fn pattern(a: &Args) -> Result<Regex, Wrong> {
    compile(&a.text(0)?, 0)
}

fn compile(pattern: &str, arg: usize) -> Result<Regex, Wrong> {
    let compiled = Regex::new(pattern).map_err(|e| {
        let text = e.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        bad(arg, format!("'{pattern}' is not a pattern: {why}"))
    })?;
    let named = compiled.capture_names().flatten().count();
    if named > 0 && named + 1 < compiled.captures_len() {
        return Err(bad(arg, format!("'{pattern}' has groups with and without names")));
    }
    Ok(compiled)
}

/// A match: the whole text, a list of groups, or a map where groups have names.
fn found(re: &Regex, captures: &Captures<'_>) -> Value {
    let group = |m: Option<regex::Match<'_>>| m.map_or(Value::Null, |m| Value::text(m.as_str()));
    let named: BTreeMap<String, Value> = re.capture_names().flatten().map(|name| (name.to_owned(), group(captures.name(name)))).collect();
    if !named.is_empty() {
        return Value::Map(named);
    }
    match captures.len() {
        1 => group(captures.get(0)),
        _ => Value::List(captures.iter().skip(1).map(group).collect()),
    }
}

fn replace(a: &Args) -> Done {
    let (text, what, by) = (a.text(0)?, a.text(1)?, a.text(2)?);
    // Between slashes it is a pattern.
    if what.len() > 1
        && let Some(pattern) = what.strip_prefix('/').and_then(|w| w.strip_suffix('/'))
    {
        return Ok(Value::text(compile(pattern, 1)?.replace_all(&text, &*by).into_owned()));
    }
    Ok(Value::text(text.replace(&*what, &by)))
}

fn split(a: &Args) -> Done {
    let (separator, text) = (a.text(0)?, a.text(1)?);
    if text.is_empty() && !separator.is_empty() {
        return Ok(Value::List(vec![Value::text("")]));
    }
    Ok(Value::List(match &*separator {
        "" => text.chars().map(|c| Value::text(c.to_string())).collect(),
        separator => text.split(separator).map(Value::text).collect(),
    }))
}

fn join(a: &Args) -> Done {
    let mut all = Vec::new();
    for i in 1..a.0.len() {
        all.extend(a.texts(i)?);
    }
    Ok(Value::text(all.join(&*a.text(0)?)))
}

fn substr(a: &Args) -> Done {
    let text = a.text(0)?;
    let n = i64::try_from(text.graphemes(true).count()).unwrap_or(i64::MAX);
    let (offset, length) = (a.int(1)?, a.int(2)?);
    let start = if offset < 0 { (n + offset).max(0) } else { offset.min(n) };
    let rest = n - start;
    let take = if length < 0 { rest } else { length.min(rest) };
    let (start, take) = (usize::try_from(start).unwrap_or(0), usize::try_from(take).unwrap_or(0));
    Ok(Value::text(text.graphemes(true).skip(start).take(take).collect::<String>()))
}

/// The one letter that is its large form; where that is several, the letter stays.
fn upper(c: char) -> char {
    let mut to = c.to_uppercase();
    if to.len() == 1 { to.next().unwrap_or(c) } else { c }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.push(upper(c));
        } else {
            out.push(c);
        }
        begins = if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() };
    }
    out
}

/// Formats once for each element; arguments that are no lists stay the same.
fn formatlist(a: &Args) -> Done {
    let template = a.text(0)?;
    let args = a.0.get(1..).unwrap_or_default();
    let lengths: Vec<usize> = args.iter().filter_map(|v| if let Value::List(items) = v { Some(items.len()) } else { None }).collect();
    let n = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|l| *l != n) {
        return Err(Wrong::from("the lists must be equally long"));
    }
    let row = |i: usize| -> Vec<Value> {
        args.iter()
            .map(|v| match v {
                Value::List(items) => items.get(i).cloned().unwrap_or(Value::Null),
                other => other.clone(),
            })
            .collect()
    };
    (0..n).map(|i| format::format(&template, &row(i)).map(Value::text)).collect::<Result<_, _>>().map(Value::List)
}
