//! One gate and who waits before it: a lane per consumer, first come, first served within a lane, and the lanes in turn. Whoever's turn it
//! is waits for a place and for the rate; all others wait for their turn.

use super::pace::{Pace, Step, Ticket};
use super::{Advice, Limit, Outcome};
use crate::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

type Lane = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug)]
pub(super) struct Gate {
    clock: Clock,
    pace: Mutex<Pace>,
    /// By consumer, as long as one of its calls waits.
    lanes: Mutex<HashMap<u64, Lane>>,
    /// Fair: the first of each lane gets it in the order they came.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
}

/// A place at a gate. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Entered {
    gate: Arc<Gate>,
    ticket: Ticket,
}

/// A call's own hold of its lane; the last one takes the lane with it.
struct InLane<'a> {
    gate: &'a Gate,
    consumer: u64,
    lane: Option<Lane>,
}

impl Drop for InLane<'_> {
    fn drop(&mut self) {
        let mut lanes = self.gate.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        self.lane = None;
        if lanes.get(&self.consumer).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.consumer);
        }
    }
}

impl Gate {
    pub(super) fn new(limit: Limit, clock: Clock) -> Gate {
        let pace = Mutex::new(Pace::new(limit, clock.now()));
        Gate { pace, lanes: Mutex::default(), turn: tokio::sync::Mutex::new(()), freed: Notify::new(), clock }
    }

    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn lanes(&self) -> usize {
        self.lanes.lock().unwrap().len()
    }

    pub(super) fn closed_for(&self) -> Duration {
        self.pace().closed_for(self.clock.now())
    }

    /// Waits for the lane, the turn, a place and the rate.
    pub(super) async fn enter(self: &Arc<Self>, consumer: u64) -> Entered {
        let lane = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).entry(consumer).or_default().clone();
        let in_lane = InLane { gate: self, consumer, lane: Some(lane.clone()) };
        let first = lane.lock_owned().await;
        let turn = self.turn.lock().await;
        let ticket = loop {
            let step = self.pace().next(self.clock.now());
            match step {
                Step::Go(ticket) => break ticket,
                Step::Wait(time) => self.clock.sleep(time).await,
                Step::Full => self.freed.notified().await,
            }
        };
        drop((turn, first, in_lane));
        Entered { gate: self.clone(), ticket }
    }
}

impl Entered {
    pub(super) fn closed_for(&self) -> Duration {
        self.gate.closed_for()
    }

    /// Takes in how the call went, and what the answer says about the calls to come.
    pub(super) fn report(&self, outcome: Outcome, left: Option<u32>, advice: Advice) {
        let now = self.gate.clock.now();
        let mut pace = self.gate.pace();
        pace.report(self.ticket, outcome, self.gate.clock.random(), now);
        if let Some(left) = left {
            pace.lower(left, now);
        }
        if let Some(wait) = advice.retry_after.filter(|_| outcome == Outcome::Throttled) {
            pace.close(wait, now);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.gate.pace().leave();
        self.gate.freed.notify_one();
    }
}
