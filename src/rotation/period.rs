//! Spans of time as people write them: `90d`, `12h`, `30m`, `45s`, `0`.

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A span of whole seconds, at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(i64);

const UNITS: &[(char, i64)] = &[('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const LONGEST: i64 = 36_525 * 86_400;

impl Period {
    /// No time at all.
    pub const ZERO: Period = Period(0);

    /// Whole days.
    pub const fn days(days: u16) -> Period {
        Period(days as i64 * 86_400)
    }

    /// As chrono has it.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0)
    }

    /// Whole days in it, rounded down.
    pub fn in_days(self) -> i64 {
        self.0 / 86_400
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Period, String> {
        let wrong = || format!("{text:?} is no span of time: write it as 90d, 12h, 30m or 45s");
        let unit = text.chars().next_back().filter(|c| !c.is_ascii_digit());
        let seconds = match unit {
            None if text == "0" => 1,
            None => return Err(wrong()),
            Some(unit) => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
        };
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.is_empty() || digits.len() + usize::from(unit.is_some()) != text.len() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: i64 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(seconds).filter(|s| *s <= LONGEST).map(Period).ok_or_else(|| format!("{text:?} is longer than a hundred years"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, seconds)| self.0 % seconds == 0) {
            Some((unit, seconds)) if self.0 != 0 => write!(f, "{}{unit}", self.0 / seconds),
            _ => f.write_str("0"),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Period, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, days, again) in
            [("90d", 90, "90d"), ("0", 0, "0"), ("0s", 0, "0"), ("48h", 2, "2d"), ("90m", 0, "90m"), ("3600s", 0, "1h")]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.in_days(), period.to_string().as_str()), (days, again), "{text}");
        }
        for bad in ["", "d", "90", "-1d", "1.5d", "90 d", "90days", "9999999999999999999d", "40000d", "９d", "1w"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
