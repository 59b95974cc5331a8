//! The `regexp_…` functions that count, find and list matches, and SUBSTRING by a SIMILAR pattern.

use super::regex::{broken, compiled, similar_body};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use datafusion::common::Result;
use std::borrow::Cow;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("regexp_count", &[Kind::Text, Kind::Text, Kind::Int, Kind::Text], Ret::Int, |row| {
        let found = matches(row, Plan { start: at(row, 2, "start")?, flags: text(row, 3), name: "regexp_count" })?;
        Ok(Value::Int(found.len() as i64))
    })
    .required(2),
    Def::new("regexp_instr", &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Int], Ret::Int, |row| {
        let nth = at(row, 3, "n")?;
        let end = if row.len() > 4 { row.int(4) } else { 0 };
        if !(0..=1).contains(&end) {
            return fail(format!("invalid value for parameter \"endoption\": {end}"));
        }
        let group = group(row, 6)?;
        let found = matches(row, Plan { start: at(row, 2, "start")?, flags: text(row, 5), name: "regexp_instr" })?;
        let place = found.get(nth - 1).and_then(|groups| groups.get(group).copied().flatten());
        let chars = |byte: usize| row.text(0)[..byte].chars().count() as i64 + 1;
        Ok(Value::Int(place.map_or(0, |(from, to)| chars(if end == 1 { to } else { from }))))
    })
    .required(2),
    Def::new("regexp_substr", &[Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Text, Kind::Int], Ret::Text, |row| {
        let nth = at(row, 3, "n")?;
        let group = group(row, 5)?;
        let found = matches(row, Plan { start: at(row, 2, "start")?, flags: text(row, 4), name: "regexp_substr" })?;
        let place = found.get(nth - 1).and_then(|groups| groups.get(group).copied().flatten());
        Ok(place.map(|(from, to)| &row.text(0)[from..to]).into())
    })
    .required(2),
    Def::new("regexp_matches", &[Kind::Text, Kind::Text, Kind::Text], Ret::TextLists, |row| {
        let flags = text(row, 2);
        let found = matches(row, Plan { start: 1, flags: &flags.replace('g', ""), name: "regexp_matches" })?;
        let take = if flags.contains('g') { found.len() } else { found.len().min(1) };
        let shown = |groups: &Groups| {
            let groups = if groups.len() > 1 { &groups[1..] } else { &groups[..] };
            groups.iter().map(|group| group.map(|(from, to)| Cow::Borrowed(&row.text(0)[from..to]))).collect()
        };
        Ok(Value::TextLists(found[..take].iter().map(shown).collect()))
    })
    .required(2),
    Def::new("substring_similar", &[Kind::Text, Kind::Text, Kind::Text], Ret::Text, |row| {
        let (pattern, escape) = (row.text(1), row.text(2));
        let mut escapes = escape.chars();
        let (Some(mark), None) = (escapes.next(), escapes.next()) else { return fail("invalid escape string") };
        let separator = format!("{mark}\"");
        let parts: Vec<&str> = pattern.split(&separator).collect();
        let regex = match parts.as_slice() {
            [whole] => format!("^({})$", similar_body(whole, escape, false)?),
            // What comes before the wanted part is as short as can be.
            [before, wanted, after] => format!(
                "^(?:{})({})(?:{})$",
                similar_body(before, escape, true)?,
                similar_body(wanted, escape, false)?,
                similar_body(after, escape, false)?
            ),
            [_, _] => return Ok(Value::Null),
            _ => return fail("SQL regular expression may not contain more than two escape-double-quote separators"),
        };
        let regex = compiled(&regex, "")?;
        let found = regex.captures(row.text(0)).map_err(broken)?;
        Ok(found.and_then(|found| found.get(1)).map(|found| found.as_str()).into())
    }),
];

struct Plan<'a> {
    start: usize,
    flags: &'a str,
    name: &'static str,
}

type Groups = Vec<Option<(usize, usize)>>;

fn text(row: Row<'_>, k: usize) -> &str {
    if row.len() > k { row.text(k) } else { "" }
}

fn at(row: Row<'_>, k: usize, name: &str) -> Result<usize> {
    let value = if row.len() > k { row.int(k) } else { 1 };
    match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => fail(format!("invalid value for parameter \"{name}\": {value}")),
    }
}

fn group(row: Row<'_>, k: usize) -> Result<usize> {
    let value = if row.len() > k { row.int(k) } else { 0 };
    match usize::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => fail(format!("invalid value for parameter \"subexpr\": {value}")),
    }
}

/// The places of all matches and their groups, from a character on.
fn matches(row: Row<'_>, plan: Plan<'_>) -> Result<Vec<Groups>> {
    if plan.flags.contains('g') {
        return fail(format!("{}() does not support the \"global\" option", plan.name));
    }
    let subject = row.text(0);
    let regex = compiled(row.text(1), plan.flags)?;
    let from = subject.char_indices().nth(plan.start - 1).map_or(subject.len(), |(byte, _)| byte);
    if plan.start > subject.chars().count() + 1 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut next = from;
    while next <= subject.len() {
        let Some(captures) = regex.captures_from_pos(subject, next).map_err(broken)? else { break };
        let groups: Groups = (0..captures.len()).map(|k| captures.get(k).map(|group| (group.start(), group.end()))).collect();
        let Some(Some((start, end))) = groups.first().copied() else { break };
        // After a match of nothing, a character is passed over.
        next = if end > start { end } else { end + subject[end..].chars().next().map_or(1, char::len_utf8) };
        found.push(groups);
    }
    Ok(found)
}
