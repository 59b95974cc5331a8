//! `to_char` of timestamps and intervals, and `to_timestamp`/`to_date` by the same patterns.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::{interval, text_out, time_in, to_char_number};
use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano};
use datafusion::common::Result;
use std::fmt::Write;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("to_char", &[Kind::Any, Kind::Text], Ret::Text, |row| {
        let (col, at) = row.col(0);
        match col.array.data_type() {
            _ if row.text(1).is_empty() => Ok(Value::Null),
            DataType::Interval(_) | DataType::Duration(_) => Ok(of_interval(interval::arg(row, 0)?, row.text(1)).into()),
            ty if ty.is_numeric() || *ty == super::numeric::TYPE => {
                let float = match ty {
                    DataType::Float64 => Some(AsArray::as_primitive::<Float64Type>(&col.array).value(at)),
                    _ => None,
                };
                to_char_number::format(&super::numeric::value(&col.array, at)?, float, row.text(1)).map(Value::from)
            }
            _ => {
                let zoned = !matches!(col.array.data_type(), DataType::Timestamp(_, None));
                Ok(of_moment(text_out::moment(interval::micros(row, 0)?), zoned, row.text(1)).into())
            }
        }
    }),
    Def::new("to_timestamp", &[Kind::Any, Kind::Text], Ret::Timestamptz, |row| {
        if row.len() > 1 {
            let (col, at) = row.col(0);
            let text = text_out::texts(&col.array.slice(at, 1))?;
            return Ok(Value::Micros(read(text.value(0), row.text(1))?));
        }
        seconds(row)
    })
    .required(1),
    Def::new("to_number", &[Kind::Text, Kind::Text], Ret::Numeric, |row| to_char_number::read(row.text(0), row.text(1)).map(Value::from)),
    Def::new("to_date", &[Kind::Text, Kind::Text], Ret::Date, |row| {
        Ok(Value::Date(read(row.text(0), row.text(1))?.div_euclid(86_400_000_000) as i32))
    }),
];

fn seconds(row: Row<'_>) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    let array = datafusion::arrow::compute::cast(&col.array.slice(at, 1), &DataType::Float64)?;
    let value = datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Float64Type>(&array).value(0);
    if value.is_infinite() {
        return Ok(Value::Micros(if value > 0.0 { i64::MAX } else { i64::MIN }));
    }
    let micros = (value * 1e6).round();
    if micros.abs() < 9.2e18 { Ok(Value::Micros(micros as i64)) } else { fail("timestamp out of range") }
}

/// A piece of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Field, without padding, with an ordinal suffix (lower or upper case).
    Field {
        name: &'static str,
        spelled: String,
        fill: bool,
        ordinal: Option<bool>,
    },
}

/// Longest first, so that `YYYY` is not read as two `YY`.
const FIELDS: &[&str] = &[
    "Y,YYY", "MONTH", "SSSSS", "YYYY", "IYYY", "SSSS", "HH24", "HH12", "A.D.", "B.C.", "A.M.", "P.M.", "YYY", "IYY", "MON", "DAY", "DDD",
    "IDDD", "TZH", "TZM", "YY", "IY", "MM", "DD", "DY", "ID", "WW", "IW", "CC", "HH", "MI", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "AD", "BC", "AM", "PM", "TZ", "OF", "RM", "Y", "I", "D", "W", "Q", "J",
];

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = pattern;
    let mut fill = true;
    let literal = |out: &mut Vec<Piece>, c: char| match out.last_mut() {
        Some(Piece::Literal(text)) => text.push(c),
        _ => out.push(Piece::Literal(c.to_string())),
    };
    while let Some(c) = rest.chars().next() {
        let upper: String = rest.chars().take(5).collect::<String>().to_uppercase();
        if upper.starts_with("FM") {
            fill = false;
            rest = &rest[2..];
        } else if upper.starts_with("TM") || upper.starts_with("FX") {
            rest = &rest[2..];
        } else if c == '"' {
            let inner = &rest[1..];
            let end = inner.find('"').unwrap_or(inner.len());
            inner[..end].chars().for_each(|c| literal(&mut out, c));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else if let Some(name) = FIELDS.iter().find(|name| upper.starts_with(**name)) {
            let (spelled, mut tail) = rest.split_at(name.len());
            let suffix = tail.get(..2).unwrap_or_default();
            let ordinal = suffix.eq_ignore_ascii_case("th").then(|| suffix.starts_with('T'));
            if ordinal.is_some() {
                tail = &tail[2..];
            }
            out.push(Piece::Field { name, spelled: spelled.to_string(), fill, ordinal });
            fill = true;
            rest = tail;
        } else {
            let (c, skip) = if c == '\\' && rest.len() > 1 { (rest[1..].chars().next().unwrap_or(c), 1) } else { (c, 0) };
            literal(&mut out, c);
            rest = &rest[skip + c.len_utf8()..];
        }
    }
    out
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A name in the case its pattern is spelled in.
fn cased(name: &str, spelled: &str) -> String {
    let second_upper = spelled.chars().nth(1).is_some_and(char::is_uppercase);
    match spelled.chars().next() {
        Some(first) if first.is_uppercase() && second_upper => name.to_uppercase(),
        Some(first) if first.is_uppercase() => name.to_string(),
        _ => name.to_lowercase(),
    }
}

fn half(hour: u32, spelled: &str) -> String {
    let name = if hour < 12 { "AM" } else { "PM" };
    let name = if spelled.contains('.') { format!("{}.{}.", &name[..1], &name[1..]) } else { name.to_string() };
    if spelled.starts_with(|c: char| c.is_lowercase()) { name.to_lowercase() } else { name }
}

fn of_moment(at: NaiveDateTime, zoned: bool, pattern: &str) -> String {
    let mut out = String::new();
    let year = if at.year() > 0 { at.year() } else { 1 - at.year() };
    let iso = at.iso_week();
    let hour12 = if at.hour().is_multiple_of(12) { 12 } else { at.hour() % 12 };
    let micros = at.and_utc().timestamp_subsec_micros();
    for piece in pieces(pattern) {
        let (name, spelled, fill, ordinal) = match piece {
            Piece::Literal(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Field { name, spelled, fill, ordinal } => (name, spelled, fill, ordinal),
        };
        let number = |value: i64, width: usize| if fill { format!("{value:0width$}") } else { value.to_string() };
        let word = |name: &str, width: usize| if fill { format!("{:<width$}", cased(name, &spelled)) } else { cased(name, &spelled) };
        let weekday = at.weekday().num_days_from_monday() as usize;
        let text = match name {
            "YYYY" => number(year.into(), 4),
            "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
            "YYY" => number((year % 1000).into(), 3),
            "YY" => number((year % 100).into(), 2),
            "Y" => number((year % 10).into(), 1),
            "IYYY" => number(iso.year().into(), 4),
            "IYY" => number((iso.year() % 1000).into(), 3),
            "IY" => number((iso.year() % 100).into(), 2),
            "I" => number((iso.year() % 10).into(), 1),
            "CC" => number(((year + 99) / 100).into(), 2),
            "MM" => number(at.month().into(), 2),
            "MONTH" => word(MONTHS[at.month0() as usize], 9),
            "MON" => word(&MONTHS[at.month0() as usize][..3], 3),
            "RM" => word(ROMAN[at.month0() as usize], 4),
            "DAY" => word(DAYS[weekday], 9),
            "DY" => word(&DAYS[weekday][..3], 3),
            "DDD" => number(at.ordinal().into(), 3),
            "IDDD" => number((iso.week0() * 7 + at.weekday().number_from_monday()).into(), 3),
            "DD" => number(at.day().into(), 2),
            "D" => (at.weekday().num_days_from_sunday() + 1).to_string(),
            "ID" => at.weekday().number_from_monday().to_string(),
            "W" => (at.day0() / 7 + 1).to_string(),
            "WW" => number((at.ordinal0() / 7 + 1).into(), 2),
            "IW" => number(iso.week().into(), 2),
            "Q" => (at.month0() / 3 + 1).to_string(),
            "J" => (at.num_days_from_ce() + 1_721_425).to_string(),
            "HH24" => number(at.hour().into(), 2),
            "HH" | "HH12" => number(hour12.into(), 2),
            "MI" => number(at.minute().into(), 2),
            "SS" => number(at.second().into(), 2),
            "SSSS" | "SSSSS" => at.num_seconds_from_midnight().to_string(),
            "MS" => number((micros / 1000).into(), 3),
            "US" => number(micros.into(), 6),
            "AM" | "PM" | "A.M." | "P.M." => half(at.hour(), &spelled),
            "AD" | "BC" | "A.D." | "B.C." => {
                let era = if at.year() > 0 { "AD" } else { "BC" };
                let era = if spelled.contains('.') { format!("{}.{}.", &era[..1], &era[1..]) } else { era.to_string() };
                if spelled.starts_with(|c: char| c.is_lowercase()) { era.to_lowercase() } else { era }
            }
            "TZ" if zoned => cased("UTC", if spelled.starts_with('t') { "tz" } else { "TZ" }),
            "TZH" => "+00".to_string(),
            "TZM" => "00".to_string(),
            "OF" => "+00".to_string(),
            fraction if fraction.starts_with("FF") => {
                let digits = usize::from(fraction.as_bytes()[2] - b'0');
                format!("{micros:06}")[..digits].to_string()
            }
            _ => String::new(),
        };
        out.push_str(&text);
        push_ordinal(ordinal, &text, &mut out);
    }
    out
}

fn push_ordinal(ordinal: Option<bool>, text: &str, out: &mut String) {
    let Some(upper) = ordinal else { return };
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let suffix = match digits.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    };
    let _ = write!(out, "{}", if upper { suffix.to_uppercase() } else { suffix.to_string() });
}

fn of_interval(i: IntervalMonthDayNano, pattern: &str) -> String {
    let mut out = String::new();
    let micros = i.nanoseconds / 1000;
    let seconds = micros / 1_000_000;
    let hours = seconds / 3600;
    for piece in pieces(pattern) {
        match piece {
            Piece::Literal(text) => out.push_str(&text),
            Piece::Field { name, fill, ordinal, spelled } => {
                let plain = |value: i64, width: usize| if fill { format!("{value:0width$}") } else { value.to_string() };
                // The sign has a place of its own, but not with days and below seconds.
                let number = |value: i64, width: usize| plain(value, if value < 0 { width + 1 } else { width });
                let text = match name {
                    "YYYY" => number((i.months / 12).into(), 4),
                    "MM" => number((i.months % 12).into(), 2),
                    "DD" => plain(i.days.into(), 2),
                    "DDD" => plain((i64::from(i.months) * 30) + i64::from(i.days), 3),
                    "HH24" => number(hours, 2),
                    "HH" | "HH12" => number(if hours % 12 == 0 { 12 } else { hours % 12 }, 2),
                    "MI" => number(seconds / 60 % 60, 2),
                    "SS" => number(seconds % 60, 2),
                    "MS" => plain(micros % 1_000_000 / 1000, 3),
                    "US" => plain(micros % 1_000_000, 6),
                    "SSSS" | "SSSSS" => seconds.to_string(),
                    "AM" | "PM" | "A.M." | "P.M." => half((hours % 24).unsigned_abs() as u32, &spelled),
                    _ => String::new(),
                };
                out.push_str(&text);
                push_ordinal(ordinal, &text, &mut out);
            }
        }
    }
    out
}

/// Reads a text by a pattern: microseconds since 1970.
fn read(text: &str, pattern: &str) -> Result<i64> {
    let invalid = |piece: &str, rest: &str| fail(format!("invalid value \"{rest}\" for \"{piece}\""));
    // The year that no one names is the one before the first.
    let (mut year, mut month, mut day) = (0i32, 1u32, 1u32);
    let (mut hour, mut minute, mut second, mut micros, mut ordinal) = (0i64, 0i64, 0i64, 0i64, None);
    let mut afternoon: Option<bool> = None;
    let mut rest = text.trim_start();
    let all = pieces(pattern);
    for (n, piece) in all.iter().enumerate() {
        if rest.is_empty() {
            break;
        }
        let (name, spelled) = match piece {
            Piece::Literal(text) => {
                for wanted in text.chars() {
                    let mut chars = rest.chars();
                    // A letter of the pattern takes any character, a separator only another separator.
                    if chars.next().is_some_and(|c| wanted.is_ascii_alphanumeric() || !c.is_ascii_alphanumeric()) {
                        rest = chars.as_str();
                    }
                }
                continue;
            }
            Piece::Field { name, spelled, .. } => (*name, spelled),
        };
        rest = rest.trim_start();
        if name == "MONTH" || name == "MON" || name == "DAY" || name == "DY" {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let word = &rest[..end];
            if name.starts_with('M') {
                match time_in::month_of(word) {
                    Some(found) => month = found,
                    None => return invalid(spelled, rest),
                }
            }
            rest = &rest[end..];
            continue;
        }
        if matches!(name, "AM" | "PM" | "A.M." | "P.M.") {
            let Some(word) = rest.get(..name.len()) else { return invalid(spelled, rest) };
            afternoon = Some(word.to_ascii_lowercase().starts_with('p'));
            rest = &rest[name.len()..];
            continue;
        }
        let next_is_field = matches!(all.get(n + 1), Some(Piece::Field { .. }));
        let width = match name {
            "YYYY" | "IYYY" => 4,
            "DDD" | "MS" | "YYY" => 3,
            "US" => 6,
            "J" | "SSSS" | "SSSSS" => 7,
            "Y" | "D" | "Q" | "W" | "ID" => 1,
            _ => 2,
        };
        let limit = if name == "YYYY" && !next_is_field { 9 } else { width };
        let end = rest.bytes().take(limit).take_while(u8::is_ascii_digit).count();
        let digits = &rest[..end];
        let Ok(value) = digits.parse::<i64>() else { return invalid(spelled, rest) };
        rest = &rest[end..];
        match name {
            "YYYY" | "IYYY" => year = value as i32,
            "YYY" | "YY" | "Y" => {
                year = value as i32
                    + match value {
                        ..70 | 100..520 => 2000,
                        70..100 => 1900,
                        _ => 1000,
                    };
            }
            "MM" => month = value as u32,
            "DD" => day = value as u32,
            "DDD" => ordinal = Some(value),
            "HH24" | "HH" | "HH12" => hour = value,
            "MI" => minute = value,
            "SS" => second = value,
            "MS" => micros = format!("{digits:0<3}").parse::<i64>().unwrap_or(0) * 1000,
            "US" => micros = format!("{digits:0<6}").parse::<i64>().unwrap_or(0),
            "SSSS" | "SSSSS" => second = value,
            "D" | "Q" | "W" | "ID" | "WW" | "IW" => {}
            _ => return fail(format!("pattern \"{spelled}\" cannot be read; to_timestamp reads years, months, days and times")),
        }
    }
    if let Some(pm) = afternoon {
        hour = hour % 12 + if pm { 12 } else { 0 };
    }
    let days = match ordinal {
        Some(ordinal) => time_in::days_of(year, 1, 1).map(|first| i64::from(first) + ordinal - 1),
        None => time_in::days_of(year, month, day).map(i64::from),
    };
    match days {
        Some(days) if hour < 24 && minute < 60 => Ok(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros),
        _ => fail(format!("date/time field value out of range: \"{text}\"")),
    }
}
