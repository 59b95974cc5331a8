//! Functions on times of RFC 3339. None of them knows what time it is.

use super::{Args, Done, Entry, Wrong, bad};
use crate::mods::value::Value;
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta};
use std::fmt::Write as _;

pub(super) const TABLE: &[Entry] = &[Entry("formatdate", 2, 2, format), Entry("timeadd", 2, 2, add)];

fn time(a: &Args, i: usize) -> Result<DateTime<FixedOffset>, Wrong> {
    let text = a.text(i)?;
    DateTime::parse_from_rfc3339(&text).map_err(|_| bad(i, format!("'{text}' is not a time such as 2024-03-05T10:11:12Z")))
}

fn format(a: &Args) -> Done {
    let (pattern, time) = (a.text(0)?, time(a, 1)?);
    let mut out = String::new();
    let mut rest = &*pattern;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = quoted(&rest[1..], &mut out).ok_or_else(|| bad(0, "a quote is not closed"))?;
            continue;
        }
        let length = rest.chars().take_while(|next| *next == c).count();
        let (token, after) = rest.split_at(length * c.len_utf8());
        rest = after;
        let directive = match token {
            "YYYY" => "%Y",
            "YY" => "%y",
            "MMMM" => "%B",
            "MMM" => "%b",
            "MM" => "%m",
            "M" => "%-m",
            "DD" => "%d",
            "D" => "%-d",
            "EEEE" => "%A",
            "EEE" => "%a",
            "hh" => "%H",
            "h" => "%-H",
            "HH" => "%I",
            "H" => "%-I",
            "AA" => "%p",
            "aa" => "%P",
            "mm" => "%M",
            "m" => "%-M",
            "ss" => "%S",
            "s" => "%-S",
            "ZZZZZ" => "%:z",
            "ZZZZ" => "%z",
            "ZZZ" if time.offset().local_minus_utc() == 0 => "UTC",
            "ZZZ" => "%z",
            "Z" if time.offset().local_minus_utc() == 0 => "Z",
            "Z" => "%:z",
            other if c.is_ascii_alphabetic() => return Err(bad(0, format!("'{other}' is no part of a time; quote text with '"))),
            other => {
                out.push_str(other);
                continue;
            }
        };
        let _ = write!(out, "{}", time.format(directive));
    }
    Ok(Value::text(out))
}

/// Text up to the closing quote; two quotes stand for one. Gives what follows.
fn quoted<'a>(mut rest: &'a str, out: &mut String) -> Option<&'a str> {
    let begin = out.len();
    loop {
        let end = rest.find('\'')?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => {
                if out.len() == begin {
                    out.push('\'');
                }
                return Some(rest);
            }
        }
    }
}

fn add(a: &Args) -> Done {
    let (time, text) = (time(a, 0)?, a.text(1)?);
    let by = duration(&text).ok_or_else(|| bad(1, format!("'{text}' is not a duration such as 1h30m")))?;
    let sum = time.checked_add_signed(by).ok_or_else(|| bad(1, "the result is no time"))?;
    Ok(Value::text(sum.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

/// Go's durations: `-1h30m`, `1.5h`, `100ms`.
fn duration(text: &str) -> Option<TimeDelta> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(TimeDelta::zero());
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return None,
        };
        nanos += number * unit;
        rest = &rest[letters..];
    }
    if nanos > 9e18 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within 63 bits")]
    let whole = nanos as i64;
    Some(TimeDelta::nanoseconds(if negative { -whole } else { whole }))
}
