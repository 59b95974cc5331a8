//! When the next call of a gate may start: places, which grow from a few, and the rate, published or learnt from throttles. Also closed
//! gates, and outages, in which one call at a time looks whether the cloud is back. Knows no clock and waits for nothing.

use super::bucket::Bucket;
use super::learned::{Learned, Verdict};
use super::{Limit, Outcome, Rate};
use std::time::Duration;

/// Places after an outage or a closed gate; each good call adds one.
const AFTERWARDS: usize = 4;
/// Places where nothing is published; each good call adds one …
const FIRST: usize = 11;
/// … up to these, with which an unknown bucket is tried …
const TRIAL: usize = 14;
/// … until so many calls have gone well. Buckets that run empty mostly do so by then, and what is under way is turned away with them.
const TRIED: u32 = 56;
/// Calls start a little faster than they come back, so that they spread over the time that one takes instead of coming in bursts.
const SPREAD: f64 = 1.25;
/// So many failures in a row, with no answer between them, are an outage.
const OUTAGE: u32 = 4;
/// Between two calls that look whether the cloud is back: at random up to this, doubled each time, up to the longest.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LOOK_AGAIN_LONGEST: Duration = Duration::from_secs(3);
/// After so many looks in vain, a few calls at a time are let through, so that each fails for itself.
const LOOKS: u32 = 6;
/// Where slowing down did not help, throttles say nothing about the rate, unless they are so many of the last 32 answers.
const MANY: u32 = 8;

/// What may happen now.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Go(Ticket),
    Wait(Duration),
    /// A place must become free first.
    Full,
}

/// When a call started, and as which one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) at: Duration,
}

#[derive(Debug)]
pub(super) struct Pace {
    /// At most, and now.
    most: usize,
    places: usize,
    under_way: usize,
    /// Good answers since the start, or since the last outage.
    good: u32,
    /// Whether the rate is to be found out. A gate that only counts places leaves that to another.
    learns: bool,
    known: Option<Bucket>,
    learned: Option<Learned>,
    spread: Option<Bucket>,
    /// Seconds that a good call takes.
    latency: Option<f64>,
    /// Throttles among the last 32 answers, a bit each; and whether they come whatever the rate.
    throttles: u32,
    noise: bool,
    started: u64,
    closed_until: Duration,
    outage: Outage,
}

#[derive(Debug, Default)]
struct Outage {
    /// Failures in a row.
    failed: u32,
    /// Looks in vain; calls from this one on count.
    looks: u32,
    from: u64,
    not_before: Duration,
}

impl Pace {
    pub(super) fn new(limit: Limit, now: Duration) -> Pace {
        let most = limit.in_flight.max(1);
        let unknown = limit.learns && limit.rate.is_none();
        Pace {
            most,
            places: if unknown { FIRST.min(most) } else { most },
            under_way: 0,
            good: 0,
            learns: limit.learns,
            known: limit.rate.map(|rate| Bucket::new(rate, now)),
            learned: None,
            spread: None,
            latency: None,
            throttles: 0,
            noise: false,
            started: 0,
            closed_until: Duration::ZERO,
            outage: Outage::default(),
        }
    }

    /// Takes a place and a token, or says what is missing.
    pub(super) fn next(&mut self, now: Duration) -> Step {
        let looking = self.outage.failed >= OUTAGE && self.outage.looks < LOOKS;
        if self.under_way >= if looking { 1 } else { self.places } {
            return Step::Full;
        }
        let not_before = if looking { self.outage.not_before } else { Duration::ZERO };
        let mut wait = self.closed_until.max(not_before).saturating_sub(now);
        let rates = [self.known.as_mut(), self.learned.as_mut().map(Learned::bucket), self.spread.as_mut()];
        let mut rates: Vec<&mut Bucket> = rates.into_iter().flatten().collect();
        for bucket in &mut rates {
            wait = wait.max(bucket.wait(now));
        }
        if !wait.is_zero() {
            return Step::Wait(wait);
        }
        rates.into_iter().for_each(Bucket::take);
        self.under_way += 1;
        self.started += 1;
        Step::Go(Ticket { number: self.started, at: now })
    }

    /// A call is over, however it went.
    pub(super) fn leave(&mut self) {
        self.under_way -= 1;
    }

    pub(super) fn closed_for(&self, now: Duration) -> Duration {
        self.closed_until.saturating_sub(now)
    }

    /// Lets nobody through for a while. What trickles in afterwards does so at the bucket's rate, or in a ramp.
    pub(super) fn close(&mut self, wait: Duration, now: Duration) {
        let until = now + wait;
        self.closed_until = self.closed_until.max(until);
        match &mut self.known {
            Some(bucket) => bucket.hold(until),
            None => self.ramp(),
        }
    }

    /// Takes the cloud's count of what is left for ours, where it is low.
    pub(super) fn lower(&mut self, left: u32, now: Duration) {
        if let Some(bucket) = &mut self.known {
            bucket.lower(left, now);
        }
    }

    /// Looks that were in vain in a row, of an outage that lasts.
    pub(super) fn looks(&self) -> u32 {
        self.outage.looks
    }

    /// Takes in how a call went. `random` is between 0 and 1.
    pub(super) fn report(&mut self, ticket: Ticket, outcome: Outcome, random: f64, now: Duration) {
        if outcome == Outcome::Unanswered {
            self.unanswered(ticket, random, now);
            return;
        }
        self.outage = Outage::default();
        self.throttles = self.throttles << 1 | u32::from(outcome == Outcome::Throttled);
        if outcome == Outcome::Throttled {
            if self.learns {
                self.throttled(ticket, now);
            }
            return;
        }
        self.took(now.saturating_sub(ticket.at).as_secs_f64());
        self.good = self.good.saturating_add(1);
        let latency = self.latency.unwrap_or(1.0);
        let of_places = self.most as f64 / latency * 1.5;
        let enough = self.known.as_ref().map_or(of_places, |known| of_places.min(known.rate().per_second * 1.02));
        if self.learned.as_mut().is_some_and(|learned| learned.good(ticket, now, latency) > enough) {
            // Something else is the limit now.
            self.learned = None;
        }
        let tried = self.good >= TRIED || self.known.is_some() || self.learned.is_some();
        if self.places < self.most && (self.places < TRIAL || tried) {
            self.places += 1;
        }
        self.spread(now);
    }

    fn took(&mut self, seconds: f64) {
        // The quick ones say how fast calls may follow each other; a slow one says little.
        self.latency = Some(match self.latency {
            None => seconds,
            Some(so_far) => so_far + (seconds - so_far) * if seconds < so_far { 0.25 } else { 0.0625 },
        });
    }

    fn spread(&mut self, now: Duration) {
        let Some(latency) = self.latency.filter(|l| *l > 0.0 && self.learns) else { return };
        // A busy machine wakes late: what may then start at once makes up for it.
        let rate = Rate { per_second: self.places as f64 / latency * SPREAD, burst: (self.places as f64 / 4.0).max(2.0) };
        match &mut self.spread {
            Some(bucket) => bucket.set_rate(rate, now),
            None => self.spread = Some(Bucket::new(rate, now)),
        }
    }

    fn throttled(&mut self, ticket: Ticket, now: Duration) {
        if let Some(bucket) = &mut self.known {
            bucket.empty(0.0, now);
        }
        if let Some(learned) = &mut self.learned {
            if learned.throttled(ticket, self.started, now) == Verdict::InVain {
                self.noise = true;
                self.learned = None;
            }
        } else if !self.noise || self.throttles.count_ones() >= MANY {
            self.noise = false;
            let latency = self.latency.unwrap_or_else(|| now.saturating_sub(ticket.at).as_secs_f64());
            let known = self.known.as_ref().map(|k| k.rate().per_second);
            self.learned = Some(Learned::new(known, latency, self.good, self.started, now));
        }
    }

    fn ramp(&mut self) {
        self.places = self.places.min(AFTERWARDS);
        self.good = 0;
    }

    fn unanswered(&mut self, ticket: Ticket, random: f64, now: Duration) {
        self.outage.failed += 1;
        if self.outage.failed < OUTAGE {
            return;
        }
        if self.outage.failed == OUTAGE {
            self.ramp();
        } else if ticket.number > self.outage.from {
            self.outage.looks += 1;
        } else {
            return;
        }
        self.outage.from = self.started;
        let longest = LOOK_AGAIN.saturating_mul(1 << self.outage.looks.min(8)).min(LOOK_AGAIN_LONGEST);
        self.outage.not_before = now + longest.mul_f64(random);
    }
}
