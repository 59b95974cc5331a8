//! A rate learnt from throttles. Between two throttles the cloud's bucket was empty, so what it let through meanwhile is its rate: found by
//! additive increase and multiplicative decrease, kept a little below, and tried again ever faster the longer nothing happens.

use super::Rate;
use super::bucket::Bucket;
use super::pace::Ticket;
use std::time::Duration;

/// Below the rate that was found, so that a throttle has passed before the next comes.
const BELOW: f64 = 0.95;
/// After a throttle: at least this much slower, and at most.
const LEAST: f64 = 0.9;
const MOST: f64 = 0.5;
/// At most, where the bucket is small and what was measured therefore too little; at most, where the rate has risen for long.
const SMALL_MOST: f64 = 0.7;
const LONG: f64 = 0.8;
/// Part of the way to the known rate that each good call makes.
const APPROACH: f64 = 1.0 / 16.0;
/// Above the known rate, the rate rises with each good call by the fourth power of the calls since the last throttle over this: 5 % after
/// 600 calls, twice the rate after 1,000.
const CURIOSITY: f64 = 4_000.0;
/// Calls per second that count for that: a quick bucket is not tried more often than a slow one.
const HURRY: f64 = 40.0;
/// While nothing is known, so far ahead of what was let through so far.
const AHEAD: f64 = 2.0;
/// While nothing is known, calls per round trip that each good call adds.
const SEARCH: f64 = 0.5;
/// After so many good calls, a throttle is a new story.
const QUIET: u32 = 20;
/// After so many, it only says that the rate is a little too high.
const LONG_QUIET: u32 = 100;
/// A bucket that let fewer calls through than this before the first throttle is small.
const SMALL: u32 = 10;
/// Older throttles say nothing about the rate of now.
const WINDOW: Duration = Duration::from_secs(30);
/// Slowing down so often in a row without a quiet time helps nothing where throttles are rare, unless the pauses between them grow; three times
/// as often, anywhere.
const IN_VAIN: u32 = 5;
/// Slowest rate, per second.
const SLOWEST: f64 = 0.2;

/// What to think of a throttle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rate is slower now, or was made slower since that call started.
    Slower,
    /// Slowing down did not help, again and again.
    InVain,
}

#[derive(Debug)]
pub(super) struct Learned {
    bucket: Bucket,
    /// The rate that the cloud is believed to allow; infinite as long as it is searched for.
    top: f64,
    /// When the cloud's bucket was empty, and what it let through of what started since.
    since: Duration,
    admitted: u32,
    /// Good calls since the last throttle.
    quiet: u32,
    /// Times that the rate was made slower without a quiet time between them, the good calls meanwhile, and the most between two throttles.
    row: u32,
    row_good: u32,
    row_longest: u32,
    /// Calls up to this one started before the rate was made slower.
    before: u64,
    small: bool,
    /// When the last throttle was heard of.
    throttled: Duration,
}

/// Bursts are those of a fiftieth of a second: timers are coarse.
fn rate(per_second: f64) -> Rate {
    let per_second = per_second.max(SLOWEST);
    Rate { per_second, burst: (per_second / 50.0).max(1.0) }
}

impl Learned {
    /// After a first throttle. `known`: the rate that should have been right. `good`: calls that were let through before it. `started`: the
    /// number of the last call that started.
    pub(super) fn new(known: Option<f64>, latency: f64, good: u32, started: u64, now: Duration) -> Learned {
        let (first, top) = match known {
            Some(known) => (known * LEAST, known),
            // One call at a time.
            None => (1.0 / latency.clamp(0.02, 1.0), f64::INFINITY),
        };
        let mut bucket = Bucket::new(rate(first), now);
        bucket.empty(0.0, now);
        Learned {
            bucket,
            top,
            since: now,
            admitted: 0,
            quiet: 0,
            row: 0,
            row_good: 0,
            row_longest: 0,
            before: started,
            small: good < SMALL,
            throttled: now,
        }
    }

    pub(super) fn bucket(&mut self) -> &mut Bucket {
        &mut self.bucket
    }

    fn per_second(&self) -> f64 {
        self.bucket.rate().per_second
    }

    /// A good call: the rate rises, and is returned.
    pub(super) fn good(&mut self, ticket: Ticket, now: Duration, latency: f64) -> f64 {
        if ticket.at > self.since {
            self.admitted += 1;
        }
        if ticket.number <= self.before {
            return self.per_second();
        }
        self.quiet += 1;
        self.row_good += 1;
        if self.quiet >= 2 * QUIET {
            (self.row, self.row_good, self.row_longest) = (0, 0, 0);
        }
        let now_at = self.per_second();
        let below = self.top * BELOW;
        let next = if self.top.is_infinite() {
            // Not far ahead of what was let through so far: whatever is tried too much is turned away.
            let so_far = f64::from(self.admitted + 1) / now.saturating_sub(self.since).as_secs_f64().max(1e-3);
            (now_at + SEARCH / latency.clamp(0.02, 1.0)).min(so_far * AHEAD).max(now_at)
        } else if now_at < below {
            now_at + ((below - now_at) * APPROACH).max(below * 1e-4)
        } else {
            let quiet = f64::from(self.quiet).min(now.saturating_sub(self.throttled).as_secs_f64() * HURRY);
            now_at * (1.0 + (quiet / CURIOSITY).powi(4))
        };
        self.bucket.set_rate(rate(next), now);
        next
    }

    /// A throttle: the rate falls, unless it fell after this call started.
    pub(super) fn throttled(&mut self, ticket: Ticket, started: u64, now: Duration) -> Verdict {
        if ticket.number <= self.before {
            return Verdict::Slower;
        }
        let now_at = self.per_second();
        let time = ticket.at.saturating_sub(self.since);
        let admitted = f64::from(self.admitted);
        let measured = (admitted > 0.0 && !time.is_zero()).then(|| admitted / time.as_secs_f64());
        let next = if self.quiet >= LONG_QUIET {
            // A small bucket has overflowed in between, so that too little is measured; a large one took more than its rate for a while.
            self.top = if self.small { now_at } else { measured.unwrap_or(now_at).clamp(now_at * LONG, now_at) };
            self.top * BELOW
        } else {
            self.row += 1;
            let most = if self.small && admitted > 0.0 { SMALL_MOST } else { MOST };
            let next = (measured.unwrap_or(0.0) * BELOW).clamp(now_at * most, now_at * LEAST);
            // The fewer were counted, the more may be missing.
            let top = measured.filter(|_| !self.small).map_or(now_at, |m| m * (1.0 + 1.5 / admitted));
            self.top = top.min(now_at).max(next);
            next
        };
        if self.quiet >= QUIET || time > WINDOW {
            self.since = ticket.at;
            self.admitted = 0;
        }
        (self.before, self.throttled) = (started, now);
        self.bucket.set_rate(rate(next), now);
        // One token stays in the cloud's bucket for calls that arrive early.
        self.bucket.empty(-1.0, now);
        let isolated = self.row >= IN_VAIN && self.row_good >= IN_VAIN * 8 && self.quiet < self.row_longest;
        self.row_longest = self.row_longest.max(self.quiet);
        self.quiet = 0;
        if isolated || self.row >= 3 * IN_VAIN { Verdict::InVain } else { Verdict::Slower }
    }
}
