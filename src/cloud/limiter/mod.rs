//! How many calls may be under way, and how fast they may start: per gate (account, region, service and class of operations; of Azure a
//! published bucket), and over everything. Gates go by published rates where there are any, and learn the rate where there are none; consumers
//! take turns; dropping a [`Pass`] or a wait gives its place back. A cloud that says for how long to stay away, or how much is left, is
//! taken at its word.

mod bucket;
mod gate;
mod learned;
mod pace;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use gate::{Entered, Gate};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls in flight per gate where nothing is configured.
pub(crate) const DEFAULT_IN_FLIGHT: usize = 32;

/// The limit of one gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// Calls under way at the same time.
    pub(crate) in_flight: usize,
    /// Calls started per second, and how many may start at once after a pause.
    pub(crate) rate: Option<Rate>,
    /// Whether throttles make this gate slower. Otherwise it only counts places.
    pub(crate) learns: bool,
}

/// A token bucket's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit { in_flight: DEFAULT_IN_FLIGHT, rate: None, learns: true }
    }
}

/// How a call went, as far as the next ones are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered, if only with a refusal.
    Answered,
    /// There were too many.
    Throttled,
    /// Nothing answered, or the service failed.
    Unanswered,
}

/// What an answer says about the calls to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Come back after this. Of a throttled call it holds for everybody behind the gate.
    pub(crate) retry_after: Option<Duration>,
    /// What is left in the widest gate's bucket.
    pub(crate) left: Option<u32>,
    /// What is left in the narrowest gate's bucket, if there are several.
    pub(crate) left_of_provider: Option<u32>,
}

/// All gates, and the ceiling over them.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    ceiling: Arc<Semaphore>,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// Leave to make one call. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The narrowest first.
    gates: Vec<Entered>,
    _under_ceiling: OwnedSemaphorePermit,
}

impl Limiter {
    pub(crate) fn new(clock: Clock, ceiling: usize) -> Limiter {
        Limiter { clock, ceiling: Arc::new(Semaphore::new(ceiling.clamp(1, Semaphore::MAX_PERMITS))), gates: Mutex::default() }
    }

    /// Waits at each gate for a place and for the gate's rate, then for a place under the ceiling. The narrowest gate comes first, so
    /// that who waits there takes no place at a wider one. Consumers take turns at each gate.
    pub(crate) async fn enter(&self, consumer: u64, gates: Vec<(String, Limit)>) -> Pass {
        let mut entered = Vec::with_capacity(gates.len());
        for (name, limit) in gates {
            let gate = {
                let mut all = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
                all.entry(name).or_insert_with(|| Arc::new(Gate::new(limit, self.clock.clone()))).clone()
            };
            entered.push(gate.enter(consumer).await);
        }
        loop {
            let under_ceiling = take(&self.ceiling).await;
            // Meanwhile a gate may have closed behind us.
            match entered.iter().map(Entered::closed_for).max() {
                Some(wait) if !wait.is_zero() => {
                    drop(under_ceiling);
                    self.clock.sleep(wait).await;
                }
                _ => return Pass { gates: entered, _under_ceiling: under_ceiling },
            }
        }
    }

    /// For how long yet nobody gets through one of these gates.
    pub(crate) fn closed_for(&self, gates: &[(String, Limit)]) -> Duration {
        self.most_of(gates, |gate| gate.closed_for())
    }

    /// How often in a row it was looked in vain whether something answers behind one of these gates.
    pub(crate) fn looks(&self, gates: &[(String, Limit)]) -> u32 {
        self.most_of(gates, |gate| gate.pace().looks())
    }

    fn most_of<T: Ord + Default>(&self, gates: &[(String, Limit)], of: impl Fn(&Gate) -> T) -> T {
        let all = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter().filter_map(|(name, _)| all.get(name)).map(|gate| of(gate)).max().unwrap_or_default()
    }
}

async fn take(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match places.clone().acquire_owned().await {
        Ok(permit) => permit,
        // No semaphore here is ever closed.
        Err(_) => std::future::pending().await,
    }
}

impl Pass {
    /// Tells how the call went. A throttle is the narrowest gate's, unless the answer says that the widest has nothing left, or does not say.
    pub(crate) fn report(&self, outcome: Outcome, advice: Advice) {
        let widest = self.gates.len().saturating_sub(1);
        for (place, entered) in self.gates.iter().enumerate() {
            let left = match place {
                _ if place == widest => advice.left,
                0 => advice.left_of_provider,
                _ => None,
            };
            let of_another = place == widest && widest > 0 && left.is_some_and(|left| left > 0);
            let outcome = if of_another && outcome == Outcome::Throttled { Outcome::Answered } else { outcome };
            entered.report(outcome, left, advice);
        }
    }
}
