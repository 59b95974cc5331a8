//! A token bucket that owes nobody anything: it says for how long there is no token, and it can be emptied, lowered and held.

use super::Rate;
use std::time::Duration;

/// A part of a token that need not be waited for: timers may fire a hair early, and owing that hair keeps the rate exact.
const HAIR: f64 = 1e-6;

/// Of a bucket that holds less than this part of its burst, the cloud's own count is believed: others draw on it too.
const LOW: f64 = 0.1;

#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    /// Full.
    pub(super) fn new(rate: Rate, now: Duration) -> Bucket {
        Bucket { rate, tokens: rate.burst, filled: now }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// From now on at another rate.
    pub(super) fn set_rate(&mut self, rate: Rate, now: Duration) {
        self.fill(now);
        self.rate = rate;
    }

    /// How long until there is a token.
    pub(super) fn wait(&mut self, now: Duration) -> Duration {
        self.fill(now);
        if self.tokens >= 1.0 - HAIR {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.tokens) / self.rate.per_second).max(Duration::from_nanos(1))
    }

    /// Takes a token, which must be there.
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Leaves at most so many tokens; fewer than none are owed.
    pub(super) fn empty(&mut self, tokens: f64, now: Duration) {
        self.fill(now);
        self.tokens = self.tokens.min(tokens);
    }

    /// Takes the cloud's count of what is left for ours, where it is low.
    pub(super) fn lower(&mut self, left: u32, now: Duration) {
        if f64::from(left) < self.rate.burst * LOW {
            self.empty(f64::from(left), now);
        }
    }

    /// Nothing comes in before `until`; then there is one token.
    pub(super) fn hold(&mut self, until: Duration) {
        self.tokens = 1.0;
        self.filled = self.filled.max(until);
    }

    fn fill(&mut self, now: Duration) {
        self.tokens = (self.tokens + now.saturating_sub(self.filled).as_secs_f64() * self.rate.per_second).min(self.rate.burst);
        self.filled = self.filled.max(now);
    }
}
