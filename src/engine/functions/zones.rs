//! Time zones: names of the tz database, PostgreSQL's abbreviations, and offsets.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    Named(Tz),
}

static NAMES: LazyLock<HashMap<String, Tz>> =
    LazyLock::new(|| TZ_VARIANTS.iter().map(|zone| (zone.name().to_ascii_lowercase(), *zone)).collect());

/// PostgreSQL's abbreviations, in hours east.
const ABBREVIATIONS: &[(&str, f64)] = &[
    ("acdt", 10.5),
    ("acst", 9.5),
    ("adt", -3.0),
    ("aedt", 11.0),
    ("aest", 10.0),
    ("akdt", -8.0),
    ("akst", -9.0),
    ("art", -3.0),
    ("ast", -4.0),
    ("awst", 8.0),
    ("brst", -2.0),
    ("brt", -3.0),
    ("bst", 1.0),
    ("cadt", 10.5),
    ("cast", 9.5),
    ("cct", 8.0),
    ("cdt", -5.0),
    ("cest", 2.0),
    ("cet", 1.0),
    ("cetdst", 2.0),
    ("clt", -4.0),
    ("cot", -5.0),
    ("cst", -6.0),
    ("eat", 3.0),
    ("edt", -4.0),
    ("eest", 3.0),
    ("eet", 2.0),
    ("est", -5.0),
    ("fet", 3.0),
    ("gmt", 0.0),
    ("hkt", 8.0),
    ("hst", -10.0),
    ("ict", 7.0),
    ("idt", 3.0),
    ("ist", 2.0),
    ("jst", 9.0),
    ("kst", 9.0),
    ("mdt", -6.0),
    ("mest", 2.0),
    ("met", 1.0),
    ("mmt", 6.5),
    ("msd", 4.0),
    ("msk", 3.0),
    ("mst", -7.0),
    ("ndt", -2.5),
    ("nst", -3.5),
    ("nzdt", 13.0),
    ("nzst", 12.0),
    ("pdt", -7.0),
    ("pht", 8.0),
    ("pkt", 5.0),
    ("pst", -8.0),
    ("sgt", 8.0),
    ("ut", 0.0),
    ("utc", 0.0),
    ("uct", 0.0),
    ("wat", 1.0),
    ("west", 1.0),
    ("wet", 0.0),
    ("z", 0.0),
    ("zulu", 0.0),
];

/// A zone by its name or abbreviation, in any case.
pub(crate) fn named(name: &str) -> Option<Zone> {
    let lower = name.to_ascii_lowercase();
    if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(known, _)| *known == lower) {
        return Some(Zone::Fixed((hours * 3600.0) as i64));
    }
    NAMES.get(&lower).map(|zone| Zone::Named(*zone))
}

/// A zone as AT TIME ZONE takes it: a name, or an offset, which counts to the west, as POSIX has it.
pub(crate) fn posix(text: &str) -> Option<Zone> {
    let text = text.trim();
    if let Some(zone) = named(text) {
        return Some(zone);
    }
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    // An abbreviation before it says nothing.
    let offset = &text[letters..];
    let (sign, digits) = match offset.as_bytes().first()? {
        b'-' => (1, &offset[1..]),
        b'+' => (-1, &offset[1..]),
        b'0'..=b'9' if letters > 0 => (-1, offset),
        _ => return None,
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for field in digits.split(':') {
        let value: i64 = field.parse().ok().filter(|_| unit > 0 && field.len() <= 3)?;
        seconds += value * unit;
        unit /= 60;
    }
    (seconds <= 168 * 3600).then_some(Zone::Fixed(sign * seconds))
}

fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc())
}

impl Zone {
    /// Seconds east at a moment (microseconds since 1970, UTC).
    pub(crate) fn offset_at(self, micros: i64) -> i64 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => {
                moment(micros).map_or(0, |at| Utc.from_utc_datetime(&at).with_timezone(&zone).offset().fix().local_minus_utc().into())
            }
        }
    }

    /// The moment of a wall clock: of two, the one in standard time; where the clock skips, as if it did not.
    pub(crate) fn moment_of(self, wall: i64) -> i64 {
        let offset = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(zone) => match moment(wall).map(|at| zone.offset_from_local_datetime(&at)) {
                Some(chrono::LocalResult::Single(offset)) => offset.fix().local_minus_utc().into(),
                Some(chrono::LocalResult::Ambiguous(_, later)) => later.fix().local_minus_utc().into(),
                // The offset of the day before.
                _ => self.offset_at(wall - 86_400_000_000),
            },
        };
        wall - offset * 1_000_000
    }

    /// The wall clock at a moment.
    pub(crate) fn wall_of(self, micros: i64) -> i64 {
        micros + self.offset_at(micros) * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_their_clocks() {
        let wall = |text: &str| text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros();
        for (zone, at, want) in [
            ("Europe/Berlin", "2024-01-15T12:00:00", "2024-01-15T11:00:00"),
            ("europe/berlin", "2024-07-15T12:00:00", "2024-07-15T10:00:00"),
            // Skipped, and twice there.
            ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30:00"),
            ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T01:30:00"),
            ("America/New_York", "2024-03-10T02:30:00", "2024-03-10T07:30:00"),
            ("EST", "2024-07-15T12:00:00", "2024-07-15T17:00:00"),
            ("Asia/Kolkata", "2024-07-15T12:00:00", "2024-07-15T06:30:00"),
            ("UTC+3", "2024-07-15T12:00:00", "2024-07-15T15:00:00"),
            ("-03:30", "2024-07-15T12:00:00", "2024-07-15T08:30:00"),
        ] {
            assert_eq!(posix(zone).unwrap().moment_of(wall(at)), wall(want), "{zone} {at}");
        }
        for bad in ["", "Europe", "nowhere", "1", "+x", "+1:2:3:4"] {
            assert_eq!(posix(bad), None, "{bad}");
        }
    }
}
