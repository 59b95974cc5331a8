//! How many calls may be under way, and how fast they may start: per account, region and service, and over everything. Waiting is first
//! come, first served; dropping a [`Pass`] or a wait gives its place back. Slows down when the cloud throttles, recovers by degrees.

use crate::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls in flight per account, region and service where nothing is configured.
pub(crate) const DEFAULT_IN_FLIGHT: usize = 32;

/// Throttles that come closer together than this count as one sign of distress.
const ONE_BURST: Duration = Duration::from_secs(1);

/// The limit of one account, region and service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// Calls under way at the same time.
    pub(crate) in_flight: usize,
    /// Calls started per second, and how many may start at once after a pause.
    pub(crate) rate: Option<Rate>,
}

/// A token bucket's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit { in_flight: DEFAULT_IN_FLIGHT, rate: None }
    }
}

/// All gates, and the ceiling over them.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    ceiling: Arc<Semaphore>,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

#[derive(Debug)]
struct Gate {
    clock: Clock,
    places: Arc<Semaphore>,
    pace: Mutex<Pace>,
    bucket: Option<tokio::sync::Mutex<Bucket>>,
}

/// Additive increase, multiplicative decrease of the places, as TCP does it.
#[derive(Debug)]
struct Pace {
    most: usize,
    now: usize,
    /// Places that are taken away as soon as they are given back.
    owed: usize,
    good: usize,
    slowed: Option<Duration>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Duration,
}

/// Leave to make one call. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    place: Option<OwnedSemaphorePermit>,
    _under_ceiling: OwnedSemaphorePermit,
}

impl Limiter {
    pub(crate) fn new(clock: Clock, ceiling: usize) -> Limiter {
        Limiter { clock, ceiling: Arc::new(Semaphore::new(ceiling.clamp(1, Semaphore::MAX_PERMITS))), gates: Mutex::default() }
    }

    /// Waits for a place at the gate, then for the gate's rate, then for a place under the ceiling.
    pub(crate) async fn enter(&self, gate: String, limit: Limit) -> Pass {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            gates.entry(gate).or_insert_with(|| Arc::new(Gate::new(limit, self.clock.clone()))).clone()
        };
        let place = take(&gate.places).await;
        if let Some(bucket) = &gate.bucket {
            // The lock is fair and held while waiting, so calls start in the order they came.
            bucket.lock().await.take(&self.clock).await;
        }
        Pass { place: Some(place), _under_ceiling: take(&self.ceiling).await, gate }
    }
}

async fn take(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match places.clone().acquire_owned().await {
        Ok(permit) => permit,
        // No semaphore here is ever closed.
        Err(_) => std::future::pending().await,
    }
}

impl Gate {
    fn new(limit: Limit, clock: Clock) -> Gate {
        let most = limit.in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Gate {
            places: Arc::new(Semaphore::new(most)),
            pace: Mutex::new(Pace { most, now: most, owed: 0, good: 0, slowed: None }),
            bucket: limit.rate.map(|rate| tokio::sync::Mutex::new(Bucket { rate, tokens: rate.burst, filled: clock.now() })),
            clock,
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    async fn take(&mut self, clock: &Clock) {
        self.fill(clock);
        if self.tokens < 1.0 {
            clock.sleep(Duration::from_secs_f64((1.0 - self.tokens) / self.rate.per_second)).await;
            self.fill(clock);
        }
        // Timers may fire a hair early; owing that hair keeps the rate exact.
        self.tokens -= 1.0;
    }

    fn fill(&mut self, clock: &Clock) {
        let now = clock.now();
        self.tokens = (self.tokens + now.saturating_sub(self.filled).as_secs_f64() * self.rate.per_second).min(self.rate.burst);
        self.filled = now;
    }
}

impl Pass {
    /// Tells how the call went: one that was throttled halves the places for a while, a round of good ones adds one back.
    pub(crate) fn report(&self, throttled: bool) {
        let mut pace = self.gate.pace();
        if throttled {
            pace.good = 0;
            let now = self.gate.clock.now();
            if pace.slowed.is_some_and(|at| now.saturating_sub(at) < ONE_BURST) {
                return;
            }
            pace.slowed = Some(now);
            let fewer = (pace.now / 2).max(1);
            pace.owed += pace.now - fewer;
            pace.now = fewer;
            pace.owed -= self.gate.places.forget_permits(pace.owed);
        } else if pace.now < pace.most {
            pace.good += 1;
            if pace.good >= pace.now {
                pace.good = 0;
                pace.now += 1;
                if pace.owed > 0 {
                    pace.owed -= 1;
                } else {
                    self.gate.places.add_permits(1);
                }
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut pace = self.gate.pace();
        if pace.owed > 0 {
            pace.owed -= 1;
            if let Some(place) = self.place.take() {
                place.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Peak {
        clock: Clock,
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Peak {
        fn new(clock: &Clock) -> Peak {
            Peak { clock: clock.clone(), now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
        }

        async fn work(&self) {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            self.clock.sleep(Duration::from_millis(50)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
        }

        fn most(&self) -> usize {
            self.most.load(Ordering::SeqCst)
        }
    }

    fn at_most(in_flight: usize) -> Limit {
        Limit { in_flight, rate: None }
    }

    #[tokio::test]
    async fn a_gate_lets_in_what_it_may_and_no_more() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let peak = Peak::new(&clock);
        clock
            .run(join_all((0..320).map(|_| async {
                let _pass = limiter.enter("a".into(), at_most(32)).await;
                peak.work().await;
            })))
            .await;
        assert_eq!(peak.most(), 32);
        assert_eq!(clock.now().as_millis() / 50, 10, "320 calls of 50 ms, 32 at a time");
    }

    #[tokio::test]
    async fn the_ceiling_holds_over_all_gates_and_each_gets_its_turn() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 10);
        let peak = Peak::new(&clock);
        let order = Mutex::new(Vec::new());
        let call = |gate: usize| {
            let (limiter, peak, order) = (&limiter, &peak, &order);
            async move {
                let _pass = limiter.enter(gate.to_string(), at_most(32)).await;
                order.lock().unwrap().push(gate);
                peak.work().await;
            }
        };
        clock.run(join_all((0..100).map(|i| call(i % 4)))).await;
        assert_eq!(peak.most(), 10);
        let order = order.into_inner().unwrap();
        assert_eq!(order, (0..100).map(|i| i % 4).collect::<Vec<_>>(), "first come, first served");
    }

    #[tokio::test]
    async fn a_rate_spaces_the_starts_after_the_burst() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let limit = Limit { in_flight: 32, rate: Some(Rate { per_second: 20.0, burst: 5.0 }) };
        let starts = Mutex::new(Vec::new());
        clock
            .run(join_all((0..25).map(|_| async {
                let _pass = limiter.enter("a".into(), limit).await;
                starts.lock().unwrap().push(clock.now().as_millis());
            })))
            .await;
        let starts = starts.into_inner().unwrap();
        assert_eq!(starts[..5], [0; 5]);
        assert!(starts[5..].windows(2).all(|w| (45..=60).contains(&(w[1] - w[0]))), "{starts:?}");
        assert!((990..=1050).contains(&starts[24]), "{starts:?}");
    }

    #[tokio::test]
    async fn a_dropped_wait_or_pass_gives_its_place_back() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 1);
        let pass = limiter.enter("a".into(), at_most(1)).await;
        let mut waiting = Box::pin(limiter.enter("a".into(), at_most(1)));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(pass);
        // A wait that already has its place at the gate but not under the ceiling gives it back too.
        let other = limiter.enter("b".into(), at_most(1)).await;
        let mut waiting = Box::pin(limiter.enter("a".into(), at_most(1)));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(other);
        limiter.enter("a".into(), at_most(1)).await;
    }

    #[tokio::test]
    async fn throttles_halve_the_places_and_good_calls_bring_them_back() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let places = |l: &Limiter| l.gates.lock().unwrap()["a"].pace().now;
        let passes = join_all((0..32).map(|_| limiter.enter("a".into(), at_most(32)))).await;
        passes.iter().for_each(|p| p.report(true));
        assert_eq!(places(&limiter), 16, "one burst of throttles counts once");
        drop(passes);
        let peak = Peak::new(&clock);
        clock
            .run(join_all((0..64).map(|_| async {
                let _pass = limiter.enter("a".into(), at_most(32)).await;
                peak.work().await;
            })))
            .await;
        assert_eq!(peak.most(), 16);
        for _ in 0..12 {
            clock.advance(Duration::from_secs(2));
            limiter.enter("a".into(), at_most(32)).await.report(true);
        }
        assert_eq!(places(&limiter), 1, "never none");
        for _ in 0..1000 {
            limiter.enter("a".into(), at_most(32)).await.report(false);
        }
        assert_eq!(places(&limiter), 32);
        let peak = Peak::new(&clock);
        clock
            .run(join_all((0..64).map(|_| async {
                let _pass = limiter.enter("a".into(), at_most(32)).await;
                peak.work().await;
            })))
            .await;
        assert_eq!(peak.most(), 32);
    }
}
