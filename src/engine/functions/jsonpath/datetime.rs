//! `datetime()`: moments from text by a template, their ISO text, and their order.

use crate::functions::row::fail;
use crate::functions::text_out::{clock, date_of_days};
use crate::functions::time_in::{days_of, month_of};
use chrono::Datelike;
use datafusion::common::Result;
use std::cmp::Ordering;
use std::fmt;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A date, a time, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    days: Option<i32>,
    /// Microseconds since midnight.
    time: Option<i64>,
    /// Seconds east of Greenwich.
    zone: Option<i64>,
}

impl Moment {
    /// The type's name, as `type()` gives it.
    pub(super) fn kind(&self) -> &'static str {
        match (self.days, self.time, self.zone) {
            (Some(_), None, _) => "date",
            (None, _, None) => "time without time zone",
            (None, _, Some(_)) => "time with time zone",
            (Some(_), Some(_), None) => "timestamp without time zone",
            (Some(_), Some(_), Some(_)) => "timestamp with time zone",
        }
    }

    /// The type's name in the message about a cast.
    fn short_kind(&self) -> &'static str {
        match (self.days, self.time, self.zone) {
            (Some(_), None, _) => "date",
            (None, _, None) => "time",
            (None, _, Some(_)) => "timetz",
            (Some(_), Some(_), None) => "timestamp",
            (Some(_), Some(_), Some(_)) => "timestamptz",
        }
    }

    fn micros(&self) -> i64 {
        i64::from(self.days.unwrap_or(0)) * DAY + self.time.unwrap_or(0) - self.zone.unwrap_or(0) * SECOND
    }

    /// Their order, if they have one. Only with `zoned` is a moment without zone taken for one of the session's, UTC.
    pub(super) fn compare(&self, other: &Moment, zoned: bool) -> Result<Option<Ordering>> {
        if self.days.is_some() != other.days.is_some() {
            return Ok(None);
        }
        if self.zone.is_some() != other.zone.is_some() && !zoned {
            let (without, with) = if self.zone.is_some() { (other, self) } else { (self, other) };
            return fail(format!("cannot convert value from {} to {} without time zone usage", without.short_kind(), with.short_kind()));
        }
        let order = self.micros().cmp(&other.micros());
        // Times with zones of the same moment: the zone decides, farther east first.
        let zones = || other.zone.unwrap_or(0).cmp(&self.zone.unwrap_or(0));
        Ok(Some(if self.days.is_none() { order.then_with(zones) } else { order }))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut era = "";
        if let Some(days) = self.days {
            let date = date_of_days(days);
            let year = if date.year() > 0 { date.year() } else { 1 - date.year() };
            era = if date.year() > 0 { "" } else { " BC" };
            write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day())?;
        }
        if let Some(time) = self.time {
            let mut text = String::new();
            clock(time, &mut text);
            write!(out, "{}{text}", if self.days.is_some() { "T" } else { "" })?;
        }
        if let Some(zone) = self.zone {
            let (sign, zone) = (if zone < 0 { '-' } else { '+' }, zone.abs());
            write!(out, "{sign}{:02}:{:02}", zone / 3600, zone / 60 % 60)?;
            if zone % 60 != 0 {
                write!(out, ":{:02}", zone % 60)?;
            }
        }
        out.write_str(era)
    }
}

/// The moment of a text in one of the ISO shapes.
pub(super) fn by_any(text: &str) -> Option<Moment> {
    const TIMES: [&str; 6] =
        ["hh24:mi:ss.ustzh:tzm", "hh24:mi:ss.ustzh", "hh24:mi:ss.us", "hh24:mi:sstzh:tzm", "hh24:mi:sstzh", "hh24:mi:ss"];
    let dated = |between: &'static str| TIMES.into_iter().map(move |time| format!("yyyy-mm-dd{between}{time}"));
    std::iter::once("yyyy-mm-dd".to_string())
        .chain(TIMES.into_iter().map(str::to_string))
        .chain(dated(" "))
        .chain(dated("\"T\""))
        .find_map(|template| by_template(text, &template).ok())
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Field(&'static str),
    /// A character that must be there.
    Separator(char),
    /// One in quotes.
    Quoted(char),
    /// The two letters of an ordinal.
    Ordinal,
}

/// Patterns, longer ones before those they begin with.
const FIELDS: [&str; 34] = [
    "a.m.", "am", "p.m.", "pm", "day", "ddd", "dd", "dy", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "hh24", "hh12", "hh", "mi", "mm",
    "month", "mon", "ms", "q", "sssss", "ssss", "ss", "tzh", "tzm", "us", "yyyy", "yyy", "yy", "y", "fx",
];

/// Patterns of `to_timestamp` that are not known here.
const UNKNOWN: [&str; 20] =
    ["a.d.", "ad", "b.c.", "bc", "cc", "d", "iddd", "id", "iw", "iyyy", "iyy", "iy", "i", "j", "of", "rm", "tz", "ww", "w", "y,yyy"];

fn pieces(template: &str) -> std::result::Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        let begins = |pattern: &str| rest.get(..pattern.len()).is_some_and(|start| start.eq_ignore_ascii_case(pattern));
        if let Some(field) = FIELDS.iter().find(|field| begins(field)) {
            if *field != "fx" {
                out.push(Piece::Field(field));
            }
            rest = &rest[field.len()..];
            if rest.get(..2).is_some_and(|suffix| suffix.eq_ignore_ascii_case("th")) {
                out.push(Piece::Ordinal);
                rest = &rest[2..];
            }
        } else if begins("fm") {
            rest = &rest[2..];
        } else if let Some(pattern) = UNKNOWN.iter().find(|pattern| begins(pattern)) {
            return Err(format!("datetime pattern \"{pattern}\" is not supported"));
        } else if first == '"' {
            let mut chars = rest[1..].char_indices();
            let mut end = rest.len() - 1;
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at;
                        break;
                    }
                    '\\' => out.extend(chars.next().map(|(_, c)| Piece::Quoted(c))),
                    c => out.push(Piece::Quoted(c)),
                }
            }
            rest = rest.get(end + 2..).unwrap_or_default();
        } else if "-./,':; ".contains(first) {
            out.push(Piece::Separator(first));
            rest = &rest[1..];
        } else {
            return Err(format!("invalid datetime format separator: \"{first}\""));
        }
    }
    Ok(out)
}

/// What the fields of a text said.
#[derive(Debug, Default)]
struct Said {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// The clock has twelve hours; afternoon?
    half: Option<bool>,
    twelve: bool,
    west: bool,
    zone: i64,
    dated: bool,
    timed: bool,
    zoned: bool,
}

/// The moment of a text by a template, which is followed to the letter.
pub(super) fn by_template(text: &str, template: &str) -> std::result::Result<Moment, String> {
    let pieces = pieces(template)?;
    let fields = |names: &[&str]| {
        pieces.iter().any(|piece| matches!(piece, Piece::Field(name) if names.iter().any(|start| name.starts_with(start))))
    };
    let mut said = Said {
        dated: fields(&["y", "mm", "mon", "d", "q"]),
        timed: fields(&["hh", "mi", "s", "ms", "us", "ff", "am", "a.m.", "pm", "p.m."]),
        zoned: fields(&["tz"]),
        ..Said::default()
    };
    let mut rest = text;
    for (at, piece) in pieces.iter().enumerate() {
        if rest.is_empty() {
            return Err("input string is too short for datetime format".into());
        }
        match piece {
            Piece::Separator(c) => {
                rest = rest.strip_prefix(*c).ok_or_else(|| format!("unmatched format separator \"{c}\""))?;
            }
            Piece::Quoted(c) => rest = rest.strip_prefix(*c).ok_or_else(|| format!("unmatched format character \"{c}\""))?,
            Piece::Ordinal => rest = rest.char_indices().nth(2).map_or("", |(at, _)| &rest[at..]),
            Piece::Field(name) => {
                let free = match pieces.get(at + 1) {
                    Some(Piece::Field(next)) => {
                        matches!(*next, "a.m." | "am" | "p.m." | "pm" | "day" | "dy" | "month" | "mon" | "tzh")
                    }
                    Some(Piece::Separator(c) | Piece::Quoted(c)) => !c.is_ascii_digit(),
                    Some(Piece::Ordinal) => false,
                    None => true,
                };
                rest = said.field(name, template_spelling(template, name), rest, free)?;
            }
        }
    }
    if !rest.trim_start().is_empty() && !template.is_empty() {
        return Err("trailing characters remain in input string after datetime format".into());
    }
    said.moment(text)
}

/// A pattern as the template spells it, for messages.
fn template_spelling<'a>(template: &'a str, name: &'a str) -> &'a str {
    let lower = template.to_ascii_lowercase();
    lower.find(name).and_then(|at| template.get(at..at + name.len())).unwrap_or(name)
}

/// A whole number at the start of a text: of so many digits, or of any with `free`.
fn number<'a>(text: &'a str, digits: usize, free: bool, pattern: &str) -> std::result::Result<(i64, usize, &'a str), String> {
    let text = text.trim_start();
    let limit = if free { text.len() } else { text.char_indices().nth(digits).map_or(text.len(), |(at, _)| at) };
    let window = &text[..limit];
    let sign = usize::from(window.starts_with(['-', '+']));
    let length = sign + window[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if !free && text.chars().count() < digits {
        return Err(format!("source string too short for \"{pattern}\" formatting field"));
    }
    let shown: String = text.chars().take(digits).collect();
    if length == sign || (!free && length < digits) {
        return Err(format!("invalid value \"{shown}\" for \"{pattern}\""));
    }
    match window[..length].parse::<i32>() {
        Ok(value) => Ok((i64::from(value), length, &text[length..])),
        Err(_) => Err(format!("value for \"{pattern}\" in source string is out of range")),
    }
}

impl Said {
    fn field<'a>(&mut self, name: &str, pattern: &str, text: &'a str, free: bool) -> std::result::Result<&'a str, String> {
        let plain = |digits: usize| number(text, digits, free, pattern);
        Ok(match name {
            "yyyy" => {
                let (value, _, rest) = plain(4)?;
                self.year = Some(value);
                rest
            }
            "yyy" | "yy" | "y" => {
                let (value, length, rest) = plain(name.len())?;
                self.year = Some(match length {
                    1 | 2 if value < 70 => value + 2000,
                    1 | 2 => value + 1900,
                    3 if value < 100 => value + 2000,
                    3 => value + 1000,
                    _ => value,
                });
                rest
            }
            "mm" => {
                let (value, _, rest) = plain(2)?;
                self.month = Some(value);
                rest
            }
            "month" | "mon" => {
                let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
                let length = if name == "mon" { length.min(3) } else { length };
                let month = month_of(&text[..length]).filter(|_| length >= 3);
                self.month = Some(i64::from(month.ok_or_else(|| format!("invalid value \"{}\" for \"{pattern}\"", word(text, name)))?));
                &text[length..]
            }
            "day" | "dy" => {
                let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
                let length = if name == "dy" { length.min(3) } else { length };
                const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
                let wanted = text[..length].to_ascii_lowercase();
                let known = DAYS.iter().any(|day| if name == "dy" { day[..3] == wanted } else { *day == wanted });
                if !known {
                    return Err(format!("invalid value \"{}\" for \"{pattern}\"", word(text, name)));
                }
                &text[length..]
            }
            "ddd" => {
                let (value, _, rest) = plain(3)?;
                self.day_of_year = Some(value);
                rest
            }
            "dd" => {
                let (value, _, rest) = plain(2)?;
                self.day = Some(value);
                rest
            }
            // A quarter says nothing that the rest does not.
            "q" => plain(1)?.2,
            "hh24" | "hh12" | "hh" => {
                let (value, _, rest) = plain(2)?;
                self.hour = value;
                self.twelve |= name != "hh24";
                rest
            }
            "mi" => {
                let (value, _, rest) = plain(2)?;
                self.minute = value;
                rest
            }
            "ss" => {
                let (value, _, rest) = plain(2)?;
                self.second = value;
                rest
            }
            "sssss" | "ssss" => {
                let (value, _, rest) = plain(5)?;
                (self.hour, self.minute, self.second) = (value / 3600, value / 60 % 60, value % 60);
                rest
            }
            "ms" | "us" | "ff1" | "ff2" | "ff3" | "ff4" | "ff5" | "ff6" => {
                let digits = match name {
                    "ms" => 3,
                    "us" => 6,
                    _ => name[2..].parse().unwrap_or(6),
                };
                let (value, length, rest) = plain(digits)?;
                if length > 6 {
                    return Err(format!("value for \"{pattern}\" in source string is out of range"));
                }
                self.micros = value * 10i64.pow(6 - length as u32);
                rest
            }
            "am" | "pm" | "a.m." | "p.m." => {
                let known = if name.contains('.') { [("a.m.", false), ("p.m.", true)] } else { [("am", false), ("pm", true)] };
                let found =
                    known.into_iter().find(|(half, _)| text.get(..half.len()).is_some_and(|start| start.eq_ignore_ascii_case(half)));
                let Some((half, afternoon)) = found else {
                    return Err(format!("invalid value \"{}\" for \"{pattern}\"", word(text, name)));
                };
                self.half = Some(afternoon);
                self.twelve = true;
                &text[half.len()..]
            }
            "tzh" => {
                // A blank is a sign too.
                self.west = text.starts_with('-');
                let digits = text.strip_prefix(['+', '-', ' ']).unwrap_or(text);
                let (value, _, rest) = number(digits, 2, free, pattern)?;
                if value < 0 {
                    return Err("time zone displacement out of range".into());
                }
                self.zone += value * 3600;
                rest
            }
            "tzm" => {
                let (value, _, rest) = plain(2)?;
                if value > 59 {
                    return Err("time zone displacement out of range".into());
                }
                self.zone += value * 60;
                rest
            }
            other => return Err(format!("datetime pattern \"{other}\" is not supported")),
        })
    }

    fn moment(self, text: &str) -> std::result::Result<Moment, String> {
        let out_of_range = || format!("date/time field value out of range: \"{text}\"");
        let mut hour = self.hour;
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(format!("hour \"{hour}\" is invalid for the 12-hour clock"));
            }
            hour = match self.half {
                Some(true) if hour < 12 => hour + 12,
                Some(false) if hour == 12 => 0,
                _ => hour,
            };
        }
        let days = match self.day_of_year {
            Some(day) => {
                let year = i32::try_from(self.year.unwrap_or(0)).map_err(|_| out_of_range())?;
                let first = days_of(year, 1, 1).ok_or_else(out_of_range)?;
                let length = days_of(year + 1, 1, 1).map_or(365, |next| next - first);
                if !(1..=i64::from(length)).contains(&day) {
                    return Err(out_of_range());
                }
                Some(first + day as i32 - 1)
            }
            None => {
                // A year before the first is before Christ.
                let year = self.year.map_or(0, |year| if year < 0 { year + 1 } else { year });
                let part = |value: Option<i64>| u32::try_from(value.unwrap_or(1)).ok();
                i32::try_from(year)
                    .ok()
                    .zip(part(self.month))
                    .zip(part(self.day))
                    .and_then(|((year, month), day)| days_of(year, month, day))
            }
        };
        if (self.dated && days.is_none()) || !(0..24).contains(&hour) || !(0..60).contains(&self.minute) || !(0..60).contains(&self.second)
        {
            return Err(out_of_range());
        }
        if self.zone >= 16 * 3600 {
            return Err(format!("time zone displacement out of range: \"{text}\""));
        }
        if self.zoned && !self.timed {
            return Err("datetime format is zoned but not timed".into());
        }
        if !self.dated && !self.timed {
            return Err("datetime format is not dated and not timed".into());
        }
        let time = ((hour * 60 + self.minute) * 60 + self.second) * SECOND + self.micros;
        Ok(Moment {
            days: days.filter(|_| self.dated),
            time: self.timed.then_some(time),
            zone: self.zoned.then_some(if self.west { -self.zone } else { self.zone }),
        })
    }
}

/// The word of a text that a message shows.
fn word<'a>(text: &'a str, name: &str) -> &'a str {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    if matches!(name, "mon" | "dy") { text.get(..3).unwrap_or(&text[..end]) } else { &text[..end] }
}
