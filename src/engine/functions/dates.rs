//! Fields of dates, times and intervals; truncation; zones; construction.

use super::decimal::Decimal;
use super::numeric::{Number, trouble};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::{interval, text_out, time_in, zones};
use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, Time64MicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::ReturnFieldArgs;

const DAY: i64 = 86_400_000_000;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    // `extract` is numeric, `date_part` double precision.
    Def::new("extract", &[Kind::Text, Kind::Any], Ret::Numeric, |row| {
        if let Some((day, micros)) = julian(row)? {
            let part = Decimal::of_int(micros.into()).div(&Decimal::of_int(DAY.into()));
            let whole = Decimal::of_int(day.into());
            let value = if is_date(row) { whole } else { part.and_then(|part| whole.add(&part)).map_err(trouble)? };
            return Ok(Number::Finite(value).into());
        }
        let (micros, scale) = part(row)?;
        let mut out = String::new();
        // A date has no clock, as `date_part` would give it.
        let name = row.text(0).to_lowercase();
        if is_date(row) && (of_clock(unit(&name), 0).is_some() || unit(&name).starts_with("timezone")) && unit(&name) != "epoch" {
            return fail(format!("unit \"{name}\" not supported for type date"));
        }
        let scale = if is_date(row) { 0 } else { scale };
        text_out::decimal(i128::from(micros) / 10i128.pow(6 - u32::from(scale.unsigned_abs())), scale, &mut out);
        Ok(out.into())
    }),
    Def::new("date_part", &[Kind::Text, Kind::Any], Ret::Float, |row| {
        Ok(Value::Float(match julian(row)? {
            Some((day, micros)) => day as f64 + micros as f64 / DAY as f64,
            None => part(row)?.0 as f64 / 1e6,
        }))
    }),
    Def::new("date_trunc", &[Kind::Text, Kind::Any, Kind::Text], Ret::Of(trunc_type), trunc).required(2),
    Def::new("timezone", &[Kind::Any, Kind::Any], Ret::Of(zone_type), zone),
    Def::new("isfinite", &[Kind::Any], Ret::Bool, |row| {
        let (col, at) = row.col(0);
        Ok(Value::Bool(match col.array.data_type() {
            DataType::Interval(_) | DataType::Duration(_) => true,
            DataType::Date32 => {
                let days = col.array.as_primitive::<datafusion::arrow::datatypes::Date32Type>().value(at);
                days != time_in::DATES.0 && days != time_in::DATES.1
            }
            _ => !infinite(interval::micros(row, 0)?),
        }))
    }),
    Def::new("make_time", &[Kind::Int, Kind::Int, Kind::Float], Ret::Time, |row| match clock(row.int(0), row.int(1), row.float(2)) {
        Some(micros) => Ok(Value::Micros(micros)),
        None => fail(format!("time field value out of range: {}:{:02}:{:02}", row.int(0), row.int(1), row.float(2))),
    }),
    Def::new("make_timestamp", &[Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Float], Ret::Timestamp, |row| {
        Ok(Value::Micros(wall(row)?))
    }),
    Def::new(
        "make_timestamptz",
        &[Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Float, Kind::Text],
        Ret::Timestamptz,
        |row| {
            let wall = wall(row)?;
            Ok(Value::Micros(if row.len() > 6 { offset(row.text(6))?.moment_of(wall) } else { wall }))
        },
    )
    .required(6),
    Def::new("date_bin", &[Kind::Any, Kind::Any, Kind::Any], Ret::Of(trunc_type), |row| {
        let step = interval::arg(row, 0)?;
        let (micros, origin) = (interval::micros(row, 1)?, interval::micros(row, 2)?);
        if step.months != 0 {
            return fail("timestamps cannot be binned into intervals containing months or years");
        }
        let step = i64::from(step.days) * DAY + step.nanoseconds / 1000;
        if step <= 0 {
            return fail("stride must be greater than zero");
        }
        Ok(Value::Micros(if infinite(micros) { micros } else { origin + (micros - origin).div_euclid(step) * step }))
    }),
    // Two spans, each by its ends, have a moment in common.
    Def::new("overlaps", &[Kind::Any, Kind::Any, Kind::Any, Kind::Any], Ret::Bool, overlaps).sees_nulls(),
    Def::new("make_date", &[Kind::Int, Kind::Int, Kind::Int], Ret::Date, |row| {
        let fits = |k: usize| u32::try_from(row.int(k)).unwrap_or(0);
        // The year before the first one is -1.
        let year = i32::try_from(row.int(0)).ok().filter(|year| *year != 0).map(|year| if year < 0 { year + 1 } else { year });
        match year.and_then(|year| time_in::days_of(year, fits(1), fits(2))) {
            Some(days) => Ok(Value::Date(days)),
            None => fail(format!("date field value out of range: {}-{:02}-{:02}", row.int(0), row.int(1), row.int(2))),
        }
    }),
    Def::new("date_add_days", &[Kind::Any, Kind::Int], Ret::Date, |row| days(row, 1)),
    Def::new("date_sub_days", &[Kind::Any, Kind::Int], Ret::Date, |row| days(row, -1)),
    Def::new("date_diff_days", &[Kind::Any, Kind::Any], Ret::Int, |row| {
        Ok(Value::Int((interval::micros(row, 0)? - interval::micros(row, 1)?).div_euclid(DAY)))
    }),
];

fn is_date(row: Row<'_>) -> bool {
    *row.col(1).0.array.data_type() == DataType::Date32
}

/// Day and microsecond of the day, where Julian days are asked for.
fn julian(row: Row<'_>) -> Result<Option<(i64, i64)>> {
    if unit(&row.text(0).to_lowercase()) != "julian"
        || !matches!(row.col(1).0.array.data_type(), DataType::Date32 | DataType::Timestamp(..))
    {
        return Ok(None);
    }
    let micros = interval::micros(row, 1)?;
    Ok(Some((micros.div_euclid(DAY) + 2_440_588, micros.rem_euclid(DAY))))
}

fn infinite(micros: i64) -> bool {
    micros == time_in::MOMENTS.0 || micros == time_in::MOMENTS.1
}

fn clock(hour: i64, minute: i64, second: f64) -> Option<i64> {
    let fits = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    let micros = (hour * 60 + minute) * 60_000_000 + (second * 1e6).round() as i64;
    (fits && micros <= DAY).then_some(micros)
}

/// A moment from its six fields.
fn wall(row: Row<'_>) -> Result<i64> {
    let [year, month, day, hour, minute] = [row.int(0), row.int(1), row.int(2), row.int(3), row.int(4)];
    let date = match (i32::try_from(year), u32::try_from(month), u32::try_from(day)) {
        // The year before the first one is -1.
        (Ok(year), Ok(month), Ok(day)) if year != 0 => time_in::days_of(if year < 0 { year + 1 } else { year }, month, day),
        _ => None,
    };
    let Some(days) = date else { return fail(format!("date field value out of range: {year}-{month:02}-{day:02}")) };
    match clock(hour, minute, row.float(5)) {
        Some(clock) => Ok(i64::from(days) * DAY + clock),
        None => fail(format!("time field value out of range: {hour}:{minute:02}:{:02}", row.float(5))),
    }
}

/// A zone where an offset counts to the east, unlike in AT TIME ZONE.
fn offset(text: &str) -> Result<zones::Zone> {
    let east = |text: &str| {
        let posix = zones::posix(text)?;
        Some(match posix {
            zones::Zone::Fixed(seconds) if text.starts_with(['+', '-']) => zones::Zone::Fixed(-seconds),
            other => other,
        })
    };
    match east(text.trim()) {
        Some(zone) => Ok(zone),
        None => fail(format!("time zone \"{text}\" not recognized")),
    }
}

/// `(a, b) overlaps (c, d)`: spans without their last moment; an end may be a length, and NULL is not known.
fn overlaps(row: Row<'_>) -> Result<Value<'_>> {
    let end = |from: usize| -> Result<(Option<i64>, Option<i64>)> {
        let start = if row.null(from) { None } else { Some(moment_or_clock(row, from)?) };
        if row.null(from + 1) {
            return Ok((start, None));
        }
        let (col, _) = row.col(from + 1);
        if matches!(col.array.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
            let by = interval::arg(row, from + 1)?;
            return Ok((start, start.and_then(|start| interval::add_to(start, by, 1))));
        }
        Ok((start, Some(moment_or_clock(row, from + 1)?)))
    };
    let ordered = |(a, b): (Option<i64>, Option<i64>)| match (a, b) {
        (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
        // One end that is known is the first.
        (a, b) => (a.or(b), None),
    };
    let (a, b) = (ordered(end(0)?), ordered(end(2)?));
    let ((Some(from), to), (Some(other), other_to)) = (a, b) else { return Ok(Value::Null) };
    let (first_to, second, second_to) = if from <= other { (to, other, other_to) } else { (other_to, from, to) };
    if from == other {
        return Ok(if to.is_some() && other_to.is_some() { Value::Bool(true) } else { Value::Null });
    }
    Ok(match first_to {
        Some(end) if second < end => Value::Bool(true),
        Some(_) if second_to.is_some() => Value::Bool(false),
        _ => Value::Null,
    })
}

fn moment_or_clock(row: Row<'_>, k: usize) -> Result<i64> {
    let (col, at) = row.col(k);
    match col.array.data_type() {
        DataType::Time64(_) => Ok(col.array.as_primitive::<Time64MicrosecondType>().value(at)),
        _ => interval::micros(row, k),
    }
}

fn days(row: Row<'_>, sign: i64) -> Result<Value<'_>> {
    let days = interval::micros(row, 0)?.div_euclid(DAY).saturating_add(sign.saturating_mul(row.int(1)));
    match i32::try_from(days) {
        Ok(days) => Ok(Value::Date(days)),
        Err(_) => fail("date out of range"),
    }
}

/// The digits a field has after the point.
fn scale(field: &str) -> i8 {
    match unit(field) {
        "second" | "epoch" => 6,
        "millisecond" => 3,
        _ => 0,
    }
}

/// A field's name in the singular.
fn unit(field: &str) -> &str {
    match field {
        "years" | "yr" | "yrs" | "y" => "year",
        "months" | "mon" | "mons" => "month",
        "days" | "d" => "day",
        "hours" | "hr" | "hrs" | "h" => "hour",
        "minutes" | "min" | "mins" | "m" => "minute",
        "seconds" | "sec" | "secs" | "s" => "second",
        "milliseconds" | "msec" | "ms" => "millisecond",
        "microseconds" | "usec" | "us" => "microsecond",
        "weeks" | "w" => "week",
        "quarters" => "quarter",
        "decades" => "decade",
        "centuries" => "century",
        "millennia" | "millenium" => "millennium",
        other => other,
    }
}

/// The value in millionths, and its scale.
fn part(row: Row<'_>) -> Result<(i64, i8)> {
    let field = row.text(0).to_lowercase();
    let name = unit(&field);
    let (col, at) = row.col(1);
    let value = match col.array.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => of_interval(name, interval::arg(row, 1)?),
        DataType::Time64(_) => of_clock(name, col.array.as_primitive::<Time64MicrosecondType>().value(at)),
        _ => {
            let micros = interval::micros(row, 1)?;
            of_moment(name, text_out::moment(micros), micros)
        }
    };
    match value {
        Some(value) => Ok((value, scale(name))),
        None => fail(format!("unit \"{field}\" not supported for type {}", text_out::type_name(&col.field))),
    }
}

fn of_moment(field: &str, at: NaiveDateTime, micros: i64) -> Option<i64> {
    let whole = |value: i64| Some(value * 1_000_000);
    let year = i64::from(at.year());
    match field {
        "year" => whole(if year > 0 { year } else { year - 1 }),
        "month" => whole(at.month().into()),
        "day" => whole(at.day().into()),
        "quarter" => whole((at.month0() / 3 + 1).into()),
        "week" => whole(at.iso_week().week().into()),
        "isoyear" => whole(at.iso_week().year().into()),
        "doy" => whole(at.ordinal().into()),
        "dow" => whole(at.weekday().num_days_from_sunday().into()),
        "isodow" => whole(at.weekday().number_from_monday().into()),
        "decade" => whole(year.div_euclid(10)),
        "century" => whole((year + 99).div_euclid(100)),
        "millennium" => whole((year + 999).div_euclid(1000)),
        "epoch" => Some(micros),
        "timezone" | "timezone_hour" | "timezone_minute" => Some(0),
        _ => of_clock(field, i64::from(at.num_seconds_from_midnight()) * 1_000_000 + micros.rem_euclid(1_000_000)),
    }
}

fn of_clock(field: &str, micros: i64) -> Option<i64> {
    let seconds = micros / 1_000_000;
    let whole = |value: i64| Some(value * 1_000_000);
    match field {
        "hour" => whole(seconds / 3600),
        "minute" => whole(seconds / 60 % 60),
        "second" => Some(micros % 60_000_000),
        "millisecond" => Some(micros % 60_000_000 * 1000),
        "microsecond" => whole(micros % 60_000_000),
        "epoch" => Some(micros),
        _ => None,
    }
}

fn of_interval(field: &str, i: IntervalMonthDayNano) -> Option<i64> {
    let whole = |value: i64| Some(value * 1_000_000);
    let (months, days, micros) = (i64::from(i.months), i64::from(i.days), i.nanoseconds / 1000);
    match field {
        "year" => whole(months / 12),
        "month" => whole(months % 12),
        "day" => whole(days),
        "quarter" => whole(months % 12 / 3 + 1),
        "decade" => whole(months / 120),
        "century" => whole(months / 1200),
        "millennium" => whole(months / 12000),
        // A year is 365.25 days here, a month 30.
        "epoch" => Some((months / 12 * 31_557_600 + months % 12 * 2_592_000 + days * 86_400) * 1_000_000 + micros),
        "week" | "dow" | "doy" | "isodow" | "isoyear" => None,
        _ => of_clock(field, micros),
    }
}

fn trunc_type(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    Ok(match args.arg_fields.get(1).map(|field| field.data_type()) {
        Some(DataType::Interval(_) | DataType::Duration(_)) => Ret::Interval,
        Some(DataType::Timestamp(_, None)) => Ret::Timestamp,
        // An untyped literal would be a timestamptz, too.
        _ => Ret::Timestamptz,
    })
}

fn trunc(row: Row<'_>) -> Result<Value<'_>> {
    let field = row.text(0).to_lowercase();
    let name = unit(&field);
    let refuse = || fail(format!("unit \"{field}\" not recognized"));
    let clock_step = match name {
        "microsecond" => Some(1),
        "millisecond" => Some(1000),
        "second" => Some(1_000_000),
        "minute" => Some(60_000_000),
        "hour" => Some(3_600_000_000),
        _ => None,
    };
    if matches!(row.col(1).0.array.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        let i = interval::arg(row, 1)?;
        let micros = i.nanoseconds / 1000;
        return Ok(Value::Interval(match (name, clock_step) {
            (_, Some(step)) => IntervalMonthDayNano::new(i.months, i.days, (micros - micros % step) * 1000),
            ("day", _) => IntervalMonthDayNano::new(i.months, i.days, 0),
            ("month", _) => IntervalMonthDayNano::new(i.months, 0, 0),
            ("quarter", _) => IntervalMonthDayNano::new(i.months - i.months % 3, 0, 0),
            ("year", _) => IntervalMonthDayNano::new(i.months - i.months % 12, 0, 0),
            ("decade", _) => IntervalMonthDayNano::new(i.months - i.months % 120, 0, 0),
            ("century", _) => IntervalMonthDayNano::new(i.months - i.months % 1200, 0, 0),
            ("millennium", _) => IntervalMonthDayNano::new(i.months - i.months % 12000, 0, 0),
            ("week", _) => return fail(format!("unit \"{field}\" not supported for type interval")),
            _ => return refuse(),
        }));
    }
    let moment = interval::micros(row, 1)?;
    let zone = if row.len() > 2 {
        match zones::posix(row.text(2)) {
            Some(zone) => Some(zone),
            None => return fail(format!("time zone \"{}\" not recognized", row.text(2))),
        }
    } else {
        None
    };
    if infinite(moment) {
        return Ok(Value::Micros(moment));
    }
    let micros = zone.map_or(moment, |zone| zone.wall_of(moment));
    let back = |micros: i64| Ok(Value::Micros(zone.map_or(micros, |zone| zone.moment_of(micros))));
    if let Some(step) = clock_step {
        return back(micros - micros.rem_euclid(step));
    }
    let at = text_out::moment(micros);
    let day = micros.div_euclid(DAY);
    let days = match name {
        "day" => Some(day),
        "week" => Some(day - i64::from(at.weekday().num_days_from_monday())),
        "month" => time_in::days_of(at.year(), at.month(), 1).map(i64::from),
        "quarter" => time_in::days_of(at.year(), at.month0() / 3 * 3 + 1, 1).map(i64::from),
        "year" => time_in::days_of(at.year(), 1, 1).map(i64::from),
        "decade" => time_in::days_of(at.year().div_euclid(10) * 10, 1, 1).map(i64::from),
        "century" => time_in::days_of((at.year() - 1).div_euclid(100) * 100 + 1, 1, 1).map(i64::from),
        "millennium" => time_in::days_of((at.year() - 1).div_euclid(1000) * 1000 + 1, 1, 1).map(i64::from),
        _ => None,
    };
    match days {
        Some(days) => back(days * DAY),
        None => refuse(),
    }
}

fn zone_type(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    Ok(match args.arg_fields.get(1).map(|field| field.data_type()) {
        Some(DataType::Timestamp(_, None)) => Ret::Timestamptz,
        _ => Ret::Timestamp,
    })
}

/// `x AT TIME ZONE zone`.
fn zone(row: Row<'_>) -> Result<Value<'_>> {
    let micros = interval::micros(row, 1)?;
    let (col, at) = row.col(0);
    let zone = match col.array.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let by = interval::arg(row, 0)?;
            if by.months != 0 || by.days != 0 {
                return fail("interval time zone must not include months or days");
            }
            zones::Zone::Fixed(by.nanoseconds / 1_000_000_000)
        }
        _ => {
            let texts = text_out::texts(&col.array.slice(at, 1))?;
            match zones::posix(texts.value(0)) {
                Some(zone) => zone,
                None => return fail(format!("time zone \"{}\" not recognized", texts.value(0))),
            }
        }
    };
    if infinite(micros) {
        return Ok(Value::Micros(micros));
    }
    let to_zone = !matches!(row.col(1).0.array.data_type(), DataType::Timestamp(_, None));
    Ok(Value::Micros(if to_zone { zone.wall_of(micros) } else { zone.moment_of(micros) }))
}
