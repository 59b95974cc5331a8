//! PostgreSQL's input of dates, times and timestamps, in the spellings APIs and people write.

use super::row::fail;
use super::zones::{self, Zone};
use chrono::{Datelike, NaiveDate};
use datafusion::common::Result;

const DAY: i64 = 86_400_000_000;

/// What a text says about a moment.
#[derive(Debug, Default, Clone, Copy)]
struct Parts {
    date: Option<NaiveDate>,
    /// Microseconds since midnight.
    clock: Option<i64>,
    zone: Option<Zone>,
    /// `infinity`, or `-infinity`.
    infinite: Option<bool>,
    /// Fields that no calendar or clock has.
    impossible: bool,
}

/// Dates and moments before and after all others.
pub(crate) const DATES: (i32, i32) = (i32::MIN, i32::MAX);
pub(crate) const MOMENTS: (i64, i64) = (i64::MIN, i64::MAX);

fn refuse<T>(parts: Option<Parts>, name: &str, text: &str) -> Result<T> {
    match parts {
        Some(Parts { impossible: true, .. }) => fail(format!("date/time field value out of range: \"{text}\"")),
        _ => fail(format!("invalid input syntax for type {name}: \"{text}\"")),
    }
}

/// Days since 1970-01-01 of a date text.
///
/// # Errors
/// The text is no date.
pub(crate) fn date(text: &str) -> Result<i32> {
    match parse(text) {
        Some(Parts { infinite: Some(negative), .. }) => Ok(if negative { DATES.0 } else { DATES.1 }),
        Some(Parts { date: Some(date), impossible: false, .. }) => Ok(days(date)),
        other => refuse(other, "date", text),
    }
}

/// Microseconds since midnight of a time text.
///
/// # Errors
/// The text is no time.
pub(crate) fn time(text: &str) -> Result<i64> {
    match parse(text) {
        Some(Parts { clock: Some(clock), impossible: false, .. }) => Ok(clock),
        other => refuse(other, "time", text),
    }
}

/// Microseconds since 1970 of a timestamp text. Without `zoned`, an offset in the text is ignored, as PostgreSQL does.
///
/// # Errors
/// The text is no timestamp.
pub(crate) fn timestamp(text: &str, zoned: bool) -> Result<i64> {
    match parse(text) {
        Some(Parts { infinite: Some(negative), .. }) => Ok(if negative { MOMENTS.0 } else { MOMENTS.1 }),
        Some(Parts { date: Some(date), clock, zone, impossible: false, .. }) => {
            let wall = i64::from(days(date)) * DAY + clock.unwrap_or(0);
            Ok(if zoned { zone.map_or(wall, |zone| zone.moment_of(wall)) } else { wall })
        }
        other => refuse(other, if zoned { "timestamp with time zone" } else { "timestamp" }, text),
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
    match text.to_ascii_lowercase().as_str() {
        "epoch" => {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1);
            return Some(Parts { date, clock: Some(0), zone: Some(Zone::Fixed(0)), ..Parts::default() });
        }
        "infinity" | "+infinity" => return Some(Parts { infinite: Some(false), ..Parts::default() }),
        "-infinity" => return Some(Parts { infinite: Some(true), ..Parts::default() }),
        _ => {}
    }
    let mut parts = Parts::default();
    let mut loose: Vec<&str> = Vec::new();
    let mut before_christ = false;
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        let (word, clock) = split_t(word);
        for word in [Some(word), clock].into_iter().flatten() {
            let lower = word.to_ascii_lowercase();
            if word.contains(':') && parts.clock.is_none() && word.starts_with(|c: char| c.is_ascii_digit()) {
                let (clock, zone) = split_zone(word);
                match clock_of(clock) {
                    Some(clock) => parts.clock = Some(clock),
                    None if clock.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.')) => parts.impossible = true,
                    None => return None,
                }
                match zone.to_ascii_lowercase().as_str() {
                    "" => {}
                    half @ ("am" | "pm") => parts.clock = Some(half_day(parts.clock?, half == "pm")?),
                    _ => parts.zone = Some(zone_of(zone)?),
                }
            } else if let Some(date) = date_of(word).filter(|_| parts.date.is_none()) {
                match date {
                    Read::Date(date) => parts.date = Some(date),
                    Read::Impossible => parts.impossible = true,
                }
            } else if matches!(lower.as_str(), "bc" | "ad") && (parts.date.is_some() || !loose.is_empty()) {
                before_christ = lower == "bc";
            } else if matches!(lower.as_str(), "am" | "pm") && parts.clock.is_some() {
                parts.clock = Some(half_day(parts.clock?, lower == "pm")?);
            } else if let Some(zone) = zone_of(word).filter(|_| (parts.clock.is_some() || parts.date.is_some()) && parts.zone.is_none()) {
                parts.zone = Some(zone);
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
    if before_christ {
        let date = parts.date?;
        parts.date = date.with_year(1 - date.year());
    }
    (parts.date.is_some() || parts.clock.is_some() || parts.impossible).then_some(parts)
}

/// A clock of twelve hours as one of a day.
fn half_day(clock: i64, pm: bool) -> Option<i64> {
    let hour = clock / 3_600_000_000;
    let shift = match (pm, hour) {
        (_, 13..) => return None,
        (true, 12) | (false, ..=11) => 0,
        (true, _) => 43_200_000_000,
        (false, _) => -43_200_000_000,
    };
    Some(clock + shift)
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

fn zone_of(text: &str) -> Option<Zone> {
    let text = text.trim();
    if let Some(zone) = zones::named(text) {
        return Some(zone);
    }
    // An abbreviation and an offset: POSIX, which counts to the west.
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return zones::posix(text).filter(|_| text.bytes().any(|b| b.is_ascii_digit()));
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
    let (hours, minutes, seconds) = (field(0)?, field(2)?, field(4)?);
    (hours < 16 && minutes < 60 && seconds < 60).then_some(Zone::Fixed(sign * (hours * 3600 + minutes * 60 + seconds)))
}

/// What a word with the form of a date is.
enum Read {
    Date(NaiveDate),
    /// The thirtieth of February.
    Impossible,
}

/// `2024-03-05`, `2024/03/05`, `03/05/2024`, `20240305`, `05-Mar-2024`, `2024-064`.
fn date_of(word: &str) -> Option<Read> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // Days of the Julian calendar's period.
    if let Some(julian) = word.strip_prefix(['J', 'j']).filter(|rest| digits(rest)) {
        let days = julian.parse::<i32>().ok().and_then(|days| days.checked_sub(1_721_425));
        return days.and_then(NaiveDate::from_num_days_from_ce_opt).map(Read::Date);
    }
    let of = |date: Option<NaiveDate>| Some(date.map_or(Read::Impossible, Read::Date));
    if word.len() == 8 && digits(word) {
        return of(ymd(&word[..4], word[4..6].parse().ok()?, &word[6..]));
    }
    let fields: Vec<&str> = word.split(['-', '/', '.']).collect();
    if let [year, day] = fields.as_slice()
        && year.len() == 4
        && day.len() == 3
        && digits(year)
        && digits(day)
    {
        return of(NaiveDate::from_yo_opt(year.parse().ok()?, day.parse().ok()?));
    }
    let [a, b, c] = fields.as_slice() else { return None };
    if let Some(month) = month_of(b).filter(|_| digits(a) && digits(c)) {
        return of(if a.len() > 2 { ymd(a, month, c) } else { ymd(c, month, a) });
    }
    if let Some(month) = month_of(a).filter(|_| digits(b) && digits(c)) {
        return of(ymd(c, month, b));
    }
    if !fields.iter().all(|field| digits(field)) {
        return None;
    }
    of(if a.len() > 2 { ymd(a, b.parse().ok()?, c) } else { ymd(c, a.parse().ok()?, b) })
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
