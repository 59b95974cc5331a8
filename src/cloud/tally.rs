//! Counters of what a query, scan or run cost: shared, lock-free, and summed by whoever reports them.

use crate::meter::{Meter, Place};
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Consumers so far.
static CONSUMERS: AtomicU64 = AtomicU64::new(0);

/// Counts calls for one consumer (a scan, a control, a run). Clones share the counters; a child also counts into its parent, and takes
/// turns with its siblings where calls wait for a limit.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: AtomicU64,
    cache_hits: AtomicU64,
    retries: AtomicU64,
    throttles: AtomicU64,
    parent: Option<Tally>,
    /// Told of every call that is asked for, cached or not.
    meter: Option<Meter>,
    /// The table it counts for.
    table: Option<Arc<str>>,
    /// No meter hears of its calls.
    silent: bool,
    /// Who waits in line; 0 for those who are nobody's child.
    consumer: u64,
    hears: Option<Hears>,
}

/// Hears when answers were asked for.
struct Hears(Box<dyn Fn(DateTime<Utc>) + Send + Sync>);

impl fmt::Debug for Hears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hears")
    }
}

/// A reading of a [`Tally`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TallyCounts {
    /// Requests that reached a cloud, first attempts only.
    pub calls: u64,
    /// Answers that came from the cache or from a call already in flight.
    pub cache_hits: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Attempts that the cloud throttled.
    pub throttles: u64,
}

impl Tally {
    /// A tally that also counts into `self`.
    pub fn child(&self) -> Tally {
        Tally(Arc::new(self.below()))
    }

    fn below(&self) -> Inner {
        // Children of a child, as the tables of a query, stand in their parent's lane.
        let consumer = if self.0.consumer == 0 { CONSUMERS.fetch_add(1, Ordering::Relaxed) + 1 } else { self.0.consumer };
        Inner { parent: Some(self.clone()), consumer, ..Inner::default() }
    }

    /// For whom calls are made: those of one consumer keep their order, consumers take turns.
    pub(crate) fn consumer(&self) -> u64 {
        self.0.consumer
    }

    /// A child that also tells `meter` which calls are asked for.
    pub fn metered(&self, meter: Meter) -> Tally {
        Tally(Arc::new(Inner { meter: Some(meter), ..self.below() }))
    }

    /// A child that counts for a table.
    pub fn of_table(&self, table: &str) -> Tally {
        Tally(Arc::new(Inner { table: Some(table.into()), ..self.below() }))
    }

    /// A child of which no meter hears.
    pub fn unmetered(&self) -> Tally {
        Tally(Arc::new(Inner { silent: true, ..self.below() }))
    }

    /// The outermost tally, with a meter.
    pub(crate) fn root(meter: Meter) -> Tally {
        Tally(Arc::new(Inner { meter: Some(meter), ..Inner::default() }))
    }

    /// Tells every meter above of a call that is asked for.
    pub(crate) fn asked(&self, key: &str, place: &Place) {
        let mut at = Some(self);
        let mut table: Option<&Arc<str>> = None;
        let nobody: Arc<str> = Arc::from("");
        while let Some(t) = at {
            if t.0.silent {
                return;
            }
            table = table.or(t.0.table.as_ref());
            if let Some(meter) = &t.0.meter {
                meter.asked(key, place, table.unwrap_or(&nobody));
            }
            at = t.0.parent.as_ref();
        }
    }

    /// A tally that also counts into `self`; `hears` is told of every answer when it was asked for.
    pub fn hearing(&self, hears: impl Fn(DateTime<Utc>) + Send + Sync + 'static) -> Tally {
        Tally(Arc::new(Inner { hears: Some(Hears(Box::new(hears))), ..self.below() }))
    }

    /// Tells whoever listens, here and in every parent, when an answer was asked for.
    pub(crate) fn tell(&self, asked: DateTime<Utc>) {
        let mut at = Some(self);
        while let Some(t) = at {
            if let Some(hears) = &t.0.hears {
                (hears.0)(asked);
            }
            at = t.0.parent.as_ref();
        }
    }

    /// Reads the counters.
    pub fn counts(&self) -> TallyCounts {
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        TallyCounts {
            calls: get(&self.0.calls),
            cache_hits: get(&self.0.cache_hits),
            retries: get(&self.0.retries),
            throttles: get(&self.0.throttles),
        }
    }

    /// Adds to the counters, here and in every parent.
    pub fn add(&self, by: TallyCounts) {
        let mut at = Some(self);
        while let Some(t) = at {
            t.0.calls.fetch_add(by.calls, Ordering::Relaxed);
            t.0.cache_hits.fetch_add(by.cache_hits, Ordering::Relaxed);
            t.0.retries.fetch_add(by.retries, Ordering::Relaxed);
            t.0.throttles.fetch_add(by.throttles, Ordering::Relaxed);
            at = t.0.parent.as_ref();
        }
    }
}

/// How long answers take, on average.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    micros: AtomicU64,
    answers: AtomicU64,
}

impl Latency {
    /// An answer came after this long.
    pub(crate) fn add(&self, took: Duration) {
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// The mean of all; `None` before the first.
    pub(crate) fn mean(&self) -> Option<Duration> {
        let micros = self.micros.load(Ordering::Relaxed).checked_div(self.answers.load(Ordering::Relaxed))?;
        Some(Duration::from_micros(micros))
    }
}
