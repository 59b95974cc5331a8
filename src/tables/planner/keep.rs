//! `keep:`: an API that keeps a while only is never asked for more, and a query that wants more is told.

use super::Given;
use crate::plan::{RangeOp, Scalar};
use crate::program::{Op, Program};
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Clocks differ, and what is asked for at the edge is refused. Bounds that no query gives are multiples of it too, so that statements
/// that come one after the other ask the same.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// Can there be rows?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Something,
    Nothing,
}

/// Gives columns of time with `keep:` their lower bound.
pub(super) fn bound<'a>(
    table: &str,
    program: &'a Program,
    given: &mut BTreeMap<&'a str, Given>,
    now: DateTime<Utc>,
    notices: &mut Vec<String>,
) -> Kept {
    let mut kept = Kept::Something;
    for key in &program.keys {
        let Some(keep) = key.keep else { continue };
        let Some((oldest, floor)) = edge(now, keep) else { continue };
        let given = given.entry(key.name.as_str()).or_default();
        if key.target(Op::Eq).is_none() && !key.read {
            given.values_as_bounds();
        }
        let low = match &given.low {
            Some((Scalar::Timestamp(low), _)) => Some(*low),
            _ => None,
        };
        let gone = match &given.high {
            Some((Scalar::Timestamp(high), op)) => *high < floor || (*high == floor && *op == RangeOp::Lt),
            _ => false,
        };
        if gone || low.is_some_and(|low| low < oldest) {
            notices.push(format!(
                "{table}: the API keeps {} of {}; what is older than {} is not in the answer",
                spoken(keep),
                key.name,
                floor.to_rfc3339_opts(SecondsFormat::Secs, true)
            ));
        }
        if gone {
            kept = Kept::Nothing;
        }
        if low.is_none_or(|low| low < floor) {
            given.low = Some((Scalar::Timestamp(floor), RangeOp::Ge));
        }
        given.floor = Some(floor);
    }
    kept
}

/// The oldest that is kept, and the oldest that is asked for.
fn edge(now: DateTime<Utc>, keep: TimeDelta) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let oldest = now.checked_sub_signed(keep)?;
    let floor = oldest.checked_add_signed(MARGIN + MARGIN)?.duration_trunc(MARGIN).ok()?;
    Some((oldest, floor))
}

fn spoken(keep: TimeDelta) -> String {
    let (number, unit) = if keep.num_hours() % 24 == 0 { (keep.num_days(), "day") } else { (keep.num_hours(), "hour") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
