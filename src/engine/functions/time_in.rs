//! PostgreSQL's input of dates, times and timestamps, in the spellings APIs and people write.

use super::row::fail;
use chrono::{Datelike, NaiveDate};
use datafusion::common::Result;

const DAY: i64 = 86_400_000_000;

/// What a text says about a moment.
#[derive(Debug, Default, Clone, Copy)]
struct Parts {
    date: Option<NaiveDate>,
    /// Microseconds since midnight.
    clock: Option<i64>,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
}

/// Days since 1970-01-01 of a date text.
///
/// # Errors
/// The text is no date.
pub(crate) fn date(text: &str) -> Result<i32> {
    match parse(text) {
        Some(Parts { date: Some(date), .. }) => Ok(days(date)),
        _ => fail(format!("invalid input syntax for type date: \"{text}\"")),
    }
}

/// Microseconds since midnight of a time text.
///
/// # Errors
/// The text is no time.
pub(crate) fn time(text: &str) -> Result<i64> {
    match parse(text) {
        Some(Parts { clock: Some(clock), .. }) => Ok(clock),
        _ => fail(format!("invalid input syntax for type time: \"{text}\"")),
    }
}

/// Microseconds since 1970 of a timestamp text. Without `zoned`, an offset in the text is ignored, as PostgreSQL does.
///
/// # Errors
/// The text is no timestamp.
pub(crate) fn timestamp(text: &str, zoned: bool) -> Result<i64> {
    match parse(text) {
        Some(Parts { date: Some(date), clock, offset }) => {
            let offset = if zoned { offset.unwrap_or(0) } else { 0 };
            Ok(i64::from(days(date)) * DAY + clock.unwrap_or(0) - offset * 1_000_000)
        }
        _ => {
            let name = if zoned { "timestamp with time zone" } else { "timestamp" };
            fail(format!("invalid input syntax for type {name}: \"{text}\""))
        }
    }
}

fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - 719_163
}

/// Days of a year, month and day.
pub(crate) fn days_of(year: i32, month: u32, day: u32) -> Option<i32> {
    NaiveDate::from_ymd_opt(year, month, day).map(days)
}

/// The month of an English name or its first three letters.
pub(crate) fn month_of(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == name || month[..3] == name || (name == "sept" && *month == "september"))?;
    u32::try_from(at + 1).ok()
}

fn parse(text: &str) -> Option<Parts> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("epoch") {
        return Some(Parts { date: NaiveDate::from_ymd_opt(1970, 1, 1), clock: Some(0), offset: Some(0) });
    }
    let mut parts = Parts::default();
    let mut loose: Vec<&str> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        let (word, clock) = split_t(word);
        for word in [Some(word), clock].into_iter().flatten() {
            if word.contains(':') && parts.clock.is_none() {
                let (clock, zone) = split_zone(word);
                parts.clock = Some(clock_of(clock)?);
                if !zone.is_empty() {
                    parts.offset = Some(zone_of(zone)?);
                }
            } else if let Some(date) = date_of(word).filter(|_| parts.date.is_none()) {
                parts.date = Some(date);
            } else if let Some(offset) = zone_of(word).filter(|_| parts.clock.is_some()) {
                parts.offset.get_or_insert(offset);
            } else if matches!(word.to_ascii_lowercase().as_str(), "am" | "pm") && parts.clock.is_some() {
                let clock = parts.clock?;
                let hour = clock / 3_600_000_000;
                let pm = word.eq_ignore_ascii_case("pm");
                parts.clock = Some(
                    clock
                        + if pm && hour < 12 {
                            43_200_000_000
                        } else if !pm && hour == 12 {
                            -43_200_000_000
                        } else {
                            0
                        },
                );
            } else {
                loose.push(word);
            }
        }
    }
    if parts.date.is_none() && !loose.is_empty() {
        parts.date = Some(named_date(&loose)?);
    } else if !loose.iter().all(|word| weekday(word)) {
        return None;
    }
    (parts.date.is_some() || parts.clock.is_some()).then_some(parts)
}

fn weekday(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|day| word.starts_with(day))
}

/// `2024-03-05T10:00:00Z` has its parts joined by a `T`.
fn split_t(word: &str) -> (&str, Option<&str>) {
    match word.find(['T', 't']) {
        Some(at)
            if at >= 8
                && word[..at].ends_with(|c: char| c.is_ascii_digit())
                && word[at + 1..].starts_with(|c: char| c.is_ascii_digit()) =>
        {
            (&word[..at], Some(&word[at + 1..]))
        }
        _ => (word, None),
    }
}

fn split_zone(word: &str) -> (&str, &str) {
    let at = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(word.len());
    word.split_at(at)
}

fn clock_of(text: &str) -> Option<i64> {
    let mut fields = text.split(':');
    let hours: i64 = fields.next()?.parse().ok()?;
    let minutes: i64 = fields.next()?.parse().ok()?;
    let (seconds, fraction) = match fields.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("0", ""),
    };
    let seconds: i64 = seconds.parse().ok()?;
    let nanos: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").get(..9)?.parse().ok()? };
    let fits = fields.next().is_none() && (0..=24).contains(&hours) && (0..60).contains(&minutes) && (0..=60).contains(&seconds);
    let micros = (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + (nanos + 500) / 1000;
    (fits && micros <= DAY).then_some(micros)
}

fn zone_of(text: &str) -> Option<i64> {
    let text = text.trim();
    if ["z", "utc", "gmt", "ut", "zulu"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = if digits.len() <= 2 { format!("{digits:0>2}0000") } else { format!("{digits:0<6}") };
    let field = |at: usize| padded.get(at..at + 2).and_then(|text| text.parse::<i64>().ok());
    Some(sign * (field(0)? * 3600 + field(2)? * 60 + field(4)?))
}

/// `2024-03-05`, `2024/03/05`, `03/05/2024`, `20240305`, `05-Mar-2024`.
fn date_of(word: &str) -> Option<NaiveDate> {
    if word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit()) {
        return NaiveDate::from_ymd_opt(word[..4].parse().ok()?, word[4..6].parse().ok()?, word[6..].parse().ok()?);
    }
    let fields: Vec<&str> = word.split(['-', '/', '.']).collect();
    let [a, b, c] = fields.as_slice() else { return None };
    if let Some(month) = month_of(b) {
        return if a.len() > 2 { ymd(a, month, c) } else { ymd(c, month, a) };
    }
    if let Some(month) = month_of(a) {
        return ymd(c, month, b);
    }
    if a.len() > 2 { ymd(a, b.parse().ok()?, c) } else { ymd(c, a.parse().ok()?, b) }
}

fn ymd(year: &str, month: u32, day: &str) -> Option<NaiveDate> {
    let value: i32 = year.parse().ok()?;
    let value = if year.len() <= 2 { value + if value < 70 { 2000 } else { 1900 } } else { value };
    NaiveDate::from_ymd_opt(value, month, day.parse().ok()?)
}

/// `5 March 2024`, `Mar 5 2024`.
fn named_date(words: &[&str]) -> Option<NaiveDate> {
    let words: Vec<&str> = words.iter().copied().filter(|word| !weekday(word) || month_of(word).is_some()).collect();
    let [a, b, c] = words.as_slice() else { return None };
    match (month_of(a), month_of(b)) {
        (Some(month), _) => ymd(c, month, b),
        (None, Some(month)) if a.len() > 2 => ymd(a, month, c),
        (None, Some(month)) => ymd(c, month, a),
        _ => None,
    }
}
