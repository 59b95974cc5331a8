//! Intervals: PostgreSQL's input and output, comparison and arithmetic.

use super::row::{Def, Kind, Ret, Value, fail};
use super::text_out::{clock, moment};
use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;
use std::fmt::Write;

const DAY: i64 = 86_400_000_000;

/// Functions of this file; operators are planned onto them.
pub(crate) const ALL: &[Def] = &[
    Def::new("interval_key", &[Kind::Any], Ret::Int, |row| Ok(Value::Int(key(arg(row, 0)?)))),
    Def::new("interval_mul", &[Kind::Any, Kind::Float], Ret::Interval, |row| Ok(Value::Interval(scale(arg(row, 0)?, row.float(1))?))),
    Def::new("interval_div", &[Kind::Any, Kind::Float], Ret::Interval, |row| {
        if row.float(1) == 0.0 { fail("division by zero") } else { Ok(Value::Interval(scale(arg(row, 0)?, 1.0 / row.float(1))?)) }
    }),
    Def::new("interval_add", &[Kind::Any, Kind::Any], Ret::Interval, |row| Ok(Value::Interval(add(arg(row, 0)?, arg(row, 1)?, 1)?))),
    Def::new("interval_sub", &[Kind::Any, Kind::Any], Ret::Interval, |row| Ok(Value::Interval(add(arg(row, 0)?, arg(row, 1)?, -1)?))),
    Def::new("timestamp_diff", &[Kind::Any, Kind::Any], Ret::Interval, |row| {
        let micros = micros(row, 0)? - micros(row, 1)?;
        Ok(Value::Interval(IntervalMonthDayNano::new(0, (micros / DAY) as i32, micros % DAY * 1000)))
    }),
    Def::new("timestamp_add_interval", &[Kind::Any, Kind::Any], Ret::Timestamp, |row| shift(micros(row, 0)?, arg(row, 1)?, 1)),
    Def::new("timestamp_sub_interval", &[Kind::Any, Kind::Any], Ret::Timestamp, |row| shift(micros(row, 0)?, arg(row, 1)?, -1)),
    Def::new("timestamptz_add_interval", &[Kind::Any, Kind::Any], Ret::Timestamptz, |row| shift(micros(row, 0)?, arg(row, 1)?, 1)),
    Def::new("timestamptz_sub_interval", &[Kind::Any, Kind::Any], Ret::Timestamptz, |row| shift(micros(row, 0)?, arg(row, 1)?, -1)),
    Def::new("time + interval", &[Kind::Any, Kind::Any], Ret::Time, |row| {
        Ok(Value::Micros((clock_of(row, 0) + arg(row, 1)?.nanoseconds / 1000).rem_euclid(DAY)))
    }),
    Def::new("time - interval", &[Kind::Any, Kind::Any], Ret::Time, |row| {
        Ok(Value::Micros((clock_of(row, 0) - arg(row, 1)?.nanoseconds / 1000).rem_euclid(DAY)))
    }),
    Def::new("time - time", &[Kind::Any, Kind::Any], Ret::Interval, |row| {
        Ok(Value::Interval(IntervalMonthDayNano::new(0, 0, (clock_of(row, 0) - clock_of(row, 1)) * 1000)))
    }),
    Def::new("age", &[Kind::Any, Kind::Any], Ret::Interval, |row| {
        Ok(Value::Interval(age(moment(micros(row, 0)?), moment(micros(row, 1)?))))
    }),
    Def::new("make_interval", &[Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Float], Ret::Interval, |row| {
        let int = |k: usize| if k < row.len() { row.int(k) } else { 0 };
        let seconds = if row.len() > 6 { row.float(6) } else { 0.0 };
        let sum = |a: i64, by: i64, b: i64| a.checked_mul(by).and_then(|a| a.checked_add(b));
        let small = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
        let nanos = sum(int(4), 60, int(5)).and_then(|minutes| sum(minutes, 60_000_000_000, (seconds * 1e6).round() as i64 * 1000));
        match (small(sum(int(0), 12, int(1))), small(sum(int(2), 7, int(3))), nanos) {
            (Some(months), Some(days), Some(nanos)) => Ok(Value::Interval(IntervalMonthDayNano::new(months, days, nanos))),
            _ => fail("interval out of range"),
        }
    })
    .required(0),
    Def::new("justify_days", &[Kind::Any], Ret::Interval, |row| {
        let i = arg(row, 0)?;
        let (months, days) = one_sign((i64::from(i.months) + i64::from(i.days) / 30, i64::from(i.days) % 30), 30);
        Ok(Value::Interval(IntervalMonthDayNano::new(months as i32, days as i32, i.nanoseconds)))
    }),
    Def::new("justify_interval", &[Kind::Any], Ret::Interval, |row| Ok(Value::Interval(justify(arg(row, 0)?)))),
    Def::new("justify_hours", &[Kind::Any], Ret::Interval, |row| {
        let i = arg(row, 0)?;
        let day = DAY * 1000;
        let (days, nanos) = one_sign((i64::from(i.days) + i.nanoseconds / day, i.nanoseconds % day), day);
        Ok(Value::Interval(IntervalMonthDayNano::new(i.months, days as i32, nanos)))
    }),
];

/// A part and the smaller one, less than `whole`, with the sign of the first.
fn one_sign((large, small): (i64, i64), whole: i64) -> (i64, i64) {
    if large > 0 && small < 0 {
        (large - 1, small + whole)
    } else if large < 0 && small > 0 {
        (large + 1, small - whole)
    } else {
        (large, small)
    }
}

/// A time argument, in microseconds since midnight.
fn clock_of(row: super::row::Row<'_>, k: usize) -> i64 {
    let (col, at) = row.col(k);
    col.array.as_primitive::<datafusion::arrow::datatypes::Time64MicrosecondType>().value(at)
}

/// An interval argument.
pub(crate) fn arg(row: super::row::Row<'_>, k: usize) -> Result<IntervalMonthDayNano> {
    let (col, at) = row.col(k);
    match col.array.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => Ok(col.array.as_primitive::<IntervalMonthDayNanoType>().value(at)),
        DataType::Utf8 => parse(col.array.as_string::<i32>().value(at)),
        DataType::Interval(_) | DataType::Duration(_) => {
            let array = cast(&col.array.slice(at, 1), &DataType::Interval(IntervalUnit::MonthDayNano))?;
            Ok(array.as_primitive::<IntervalMonthDayNanoType>().value(0))
        }
        other => fail(format!("{other} is not an interval")),
    }
}

/// A date, timestamp or timestamptz argument, in microseconds.
pub(crate) fn micros(row: super::row::Row<'_>, k: usize) -> Result<i64> {
    let (col, at) = row.col(k);
    match col.array.data_type() {
        DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, _) => {
            Ok(col.array.as_primitive::<TimestampMicrosecondType>().value(at))
        }
        DataType::Date32 => Ok(match col.array.as_primitive::<Date32Type>().value(at) {
            i32::MAX => i64::MAX,
            i32::MIN => i64::MIN,
            days => i64::from(days) * DAY,
        }),
        DataType::Timestamp(_, _) | DataType::Date64 => {
            let array = cast(&col.array.slice(at, 1), &super::row::timestamp_type(true))?;
            Ok(array.as_primitive::<TimestampMicrosecondType>().value(0))
        }
        DataType::Utf8 => super::time_in::timestamp(col.array.as_string::<i32>().value(at), true),
        other => fail(format!("{other} is not a timestamp")),
    }
}

/// PostgreSQL's length of an interval, in microseconds: months of 30 days, days of 24 hours.
fn key(i: IntervalMonthDayNano) -> i64 {
    (i64::from(i.months) * 30 + i64::from(i.days)) * DAY + i.nanoseconds / 1000
}

fn add(a: IntervalMonthDayNano, b: IntervalMonthDayNano, sign: i32) -> Result<IntervalMonthDayNano> {
    let small = |a: i32, b: i32| sign.checked_mul(b).and_then(|b| a.checked_add(b));
    let nanos = i64::from(sign).checked_mul(b.nanoseconds).and_then(|b| a.nanoseconds.checked_add(b));
    match (small(a.months, b.months), small(a.days, b.days), nanos) {
        (Some(months), Some(days), Some(nanos)) => Ok(IntervalMonthDayNano::new(months, days, nanos)),
        _ => fail("interval out of range"),
    }
}

/// Days and hours as months and days where they make some, all with one sign.
fn justify(i: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let day = DAY * 1000;
    let mut days = i64::from(i.days) + i.nanoseconds / day;
    let mut nanos = i.nanoseconds % day;
    let mut months = i64::from(i.months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && nanos < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && nanos > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && nanos < 0 {
        nanos += day;
        days -= 1;
    } else if days < 0 && nanos > 0 {
        nanos -= day;
        days += 1;
    }
    IntervalMonthDayNano::new(months as i32, days as i32, nanos)
}

/// Fractions of months go to days, fractions of days to time, as in PostgreSQL.
fn scale(i: IntervalMonthDayNano, by: f64) -> Result<IntervalMonthDayNano> {
    let months = f64::from(i.months) * by;
    let days = f64::from(i.days) * by;
    let round = |x: f64| (x * 1e6).round() / 1e6;
    let carried = round((months - months.trunc()) * 30.0);
    let mut seconds = round((days - days.trunc() + carried - carried.trunc()) * 86_400.0);
    let mut whole = days.trunc() + carried.trunc();
    if seconds.abs() >= 86_400.0 {
        whole += (seconds / 86_400.0).trunc();
        seconds %= 86_400.0;
    }
    let micros = (i.nanoseconds as f64 / 1000.0 * by + seconds * 1e6).round();
    let small = |value: f64| (value.abs() <= f64::from(i32::MAX)).then_some(value as i32);
    match (small(months.trunc()), small(whole), (micros as i64).checked_mul(1000)) {
        (Some(months), Some(days), Some(nanos)) => Ok(IntervalMonthDayNano::new(months, days, nanos)),
        _ => fail("interval out of range"),
    }
}

fn shift(micros: i64, by: IntervalMonthDayNano, sign: i32) -> Result<Value<'static>> {
    match add_to(micros, by, sign) {
        Some(micros) => Ok(Value::Micros(micros)),
        None => fail("timestamp out of range"),
    }
}

/// Months first (clamped to the month's end), then days, then time.
pub(crate) fn add_to(micros: i64, by: IntervalMonthDayNano, sign: i32) -> Option<i64> {
    if micros == i64::MAX || micros == i64::MIN {
        return Some(micros);
    }
    let mut at = moment(micros);
    let months = by.months.checked_mul(sign)?;
    at = if months >= 0 {
        at.checked_add_months(Months::new(months.unsigned_abs()))?
    } else {
        at.checked_sub_months(Months::new(months.unsigned_abs()))?
    };
    let rest = i64::from(by.days.checked_mul(sign)?).checked_mul(DAY)?.checked_add(by.nanoseconds / 1000 * i64::from(sign))?;
    at.and_utc().timestamp_micros().checked_add(rest)
}

/// The symbolic difference in years, months, days and time.
fn age(later: NaiveDateTime, earlier: NaiveDateTime) -> IntervalMonthDayNano {
    if later < earlier {
        let i = age(earlier, later);
        return IntervalMonthDayNano::new(-i.months, -i.days, -i.nanoseconds);
    }
    let of_day =
        |at: NaiveDateTime| i64::from(at.num_seconds_from_midnight()) * 1_000_000 + i64::from(at.and_utc().timestamp_subsec_micros());
    let mut months = (later.year() - earlier.year()) * 12 + later.month() as i32 - earlier.month() as i32;
    let mut days = later.day() as i32 - earlier.day() as i32;
    let mut time = of_day(later) - of_day(earlier);
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    if days < 0 {
        days += days_in_month(earlier.year(), earlier.month());
        months -= 1;
    }
    IntervalMonthDayNano::new(months, days, time * 1000)
}

fn days_in_month(year: i32, month: u32) -> i32 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    NaiveDate::from_ymd_opt(next_year, next, 1).and_then(|first| first.pred_opt()).map_or(30, |last| last.day() as i32)
}

/// Appends PostgreSQL's text: `1 year 2 mons 3 days 04:05:06`.
pub(crate) fn write(i: IntervalMonthDayNano, out: &mut String) {
    let start = out.len();
    let mut before = false;
    for (value, unit) in [(i.months / 12, "year"), (i.months % 12, "mon"), (i.days, "day")] {
        if value != 0 {
            let space = if out.len() > start { " " } else { "" };
            let plus = if before && value > 0 { "+" } else { "" };
            let _ = write!(out, "{space}{plus}{value} {unit}{}", if value == 1 { "" } else { "s" });
            before = value < 0;
        }
    }
    let micros = i.nanoseconds / 1000;
    if micros != 0 || out.len() == start {
        if out.len() > start {
            out.push(' ');
        }
        out.push_str(if micros < 0 {
            "-"
        } else if before {
            "+"
        } else {
            ""
        });
        clock(micros.abs(), out);
    }
}

/// Parses PostgreSQL's interval input.
///
/// # Errors
/// The text is no interval.
pub(crate) fn parse(text: &str) -> Result<IntervalMonthDayNano> {
    match try_parse(text.trim()) {
        Some(interval) => Ok(interval),
        None => fail(format!("invalid input syntax for type interval: \"{text}\"")),
    }
}

#[derive(Default)]
struct Sum {
    /// The units given so far: none may come twice.
    units: Vec<&'static str>,
    months: f64,
    days: f64,
    micros: f64,
}

impl Sum {
    fn add(&mut self, value: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let unit = if unit.len() > 2 { unit.strip_suffix('s').unwrap_or(&unit) } else { &unit };
        let known = match unit {
            "microsecond" | "usec" | "us" => "microsecond",
            "millisecond" | "msec" | "ms" => "millisecond",
            "second" | "sec" | "s" | "" => "second",
            "minute" | "min" | "m" => "minute",
            "hour" | "hr" | "h" => "hour",
            "day" | "d" => "day",
            "week" | "w" => "week",
            "month" | "mon" => "month",
            "year" | "yr" | "y" => "year",
            "decade" | "dec" => "decade",
            "century" | "centurie" | "cent" | "c" => "century",
            "millennium" | "millennia" | "mil" => "millennium",
            _ => return None,
        };
        if self.units.contains(&known) {
            return None;
        }
        self.units.push(known);
        match known {
            "microsecond" => self.micros += value,
            "millisecond" => self.micros += value * 1e3,
            "second" => self.micros += value * 1e6,
            "minute" => self.micros += value * 6e7,
            "hour" => self.micros += value * 3.6e9,
            "day" => self.days(value),
            "week" => self.days(value * 7.0),
            "month" => self.months(value),
            "year" => self.months(value * 12.0),
            "decade" => self.months(value * 120.0),
            "century" => self.months(value * 1200.0),
            _ => self.months(value * 12_000.0),
        }
        Some(())
    }

    fn days(&mut self, value: f64) {
        self.days += value.trunc();
        self.micros += (value - value.trunc()) * DAY as f64;
    }

    fn months(&mut self, value: f64) {
        self.months += value.trunc();
        self.days(((value - value.trunc()) * 30.0 * 1e6).round() / 1e6);
    }

    fn finish(self, sign: f64) -> Option<IntervalMonthDayNano> {
        let micros = (self.micros * sign).round();
        let fits = self.months.abs() < f64::from(i32::MAX) && self.days.abs() < f64::from(i32::MAX) && micros.abs() < 9.2e15;
        fits.then(|| IntervalMonthDayNano::new((self.months * sign) as i32, (self.days * sign) as i32, micros as i64 * 1000))
    }
}

fn try_parse(text: &str) -> Option<IntervalMonthDayNano> {
    if let Some(iso) = text.strip_prefix('P') {
        return parse_iso(iso);
    }
    let mut sum = Sum::default();
    let mut ago = 1.0;
    let mut pending: Option<f64> = None;
    let mut seen = false;
    for token in tokens(text) {
        if token.eq_ignore_ascii_case("ago") {
            ago = -1.0;
        } else if token.contains(':') {
            if let Some(days) = pending.take() {
                sum.days(days);
            }
            sum.micros += clock_micros(token)?;
            seen = true;
        } else if token.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            if pending.is_some() {
                return None;
            }
            match token[1..].split_once('-') {
                Some((years, months)) if !token[1..].contains('e') => {
                    let years: f64 = format!("{}{years}", &token[..1]).parse().ok()?;
                    let months: f64 = months.parse().ok()?;
                    sum.months += years * 12.0 + if token.starts_with('-') { -months } else { months };
                    seen = true;
                }
                _ => pending = Some(token.parse().ok()?),
            }
        } else {
            sum.add(pending.take()?, token)?;
            seen = true;
        }
    }
    if let Some(seconds) = pending {
        sum.add(seconds, "second")?;
        seen = true;
    }
    if seen { sum.finish(ago) } else { None }
}

/// Splits `90days`, `1 day`, `-04:05` into numbers, units and clock times.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        let word = word.trim_start_matches('@');
        match word.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) if at > 0 && !word.contains(':') => {
                let mut rest = word;
                // `1y2mon` alternates numbers and units.
                while !rest.is_empty() {
                    let digits = rest.starts_with(|c: char| !c.is_ascii_alphabetic());
                    let end = rest.find(|c: char| c.is_ascii_alphabetic() == digits).unwrap_or(rest.len());
                    out.push(&rest[..end]);
                    rest = &rest[end..];
                }
            }
            _ if !word.is_empty() => out.push(word),
            _ => {}
        }
    }
    out
}

fn clock_micros(token: &str) -> Option<f64> {
    let (sign, token) = match token.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, token.strip_prefix('+').unwrap_or(token)),
    };
    let mut parts = token.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().map_or(Some(0.0), |text| text.parse().ok())?;
    (parts.next().is_none() && minutes < 60.0 && seconds < 60.0).then_some(sign * ((hours * 60.0 + minutes) * 6e7 + seconds * 1e6))
}

/// `0001-02-03T04:05:06`: the fields of a date and a clock.
fn parse_iso_fields(text: &str) -> Option<IntervalMonthDayNano> {
    let (date, clock) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let fields: Vec<f64> = date.split('-').map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let [years, months, days] = fields.as_slice() else { return None };
    let mut sum = Sum { micros: clock_micros(clock)?, ..Sum::default() };
    sum.months(years * 12.0 + months);
    sum.days(*days);
    sum.finish(1.0)
}

fn parse_iso(text: &str) -> Option<IntervalMonthDayNano> {
    if text.len() > 8 && text.as_bytes().get(4) == Some(&b'-') {
        return parse_iso_fields(text);
    }
    let mut sum = Sum::default();
    let mut time = false;
    let mut number = String::new();
    for c in text.chars() {
        match c {
            'T' if number.is_empty() => time = true,
            '0'..='9' | '.' | '-' | '+' => number.push(c),
            unit => {
                let value: f64 = number.parse().ok()?;
                number.clear();
                match (unit, time) {
                    ('Y', false) => sum.months(value * 12.0),
                    ('M', false) => sum.months(value),
                    ('W', false) => sum.days(value * 7.0),
                    ('D', false) => sum.days(value),
                    ('H', true) => sum.micros += value * 3.6e9,
                    ('M', true) => sum.micros += value * 6e7,
                    ('S', true) => sum.micros += value * 1e6,
                    _ => return None,
                }
            }
        }
    }
    if number.is_empty() && text.len() > 1 { sum.finish(1.0) } else { None }
}
