//! How many calls may be under way, and how fast they may start: per gate (account, region and service; of Azure a published bucket), and
//! over everything. Waiting is first come, first served; dropping a [`Pass`] or a wait gives its place back. Slows down when the cloud
//! throttles, recovers by degrees; a cloud that says for how long to stay away, or how much is left, is taken at its word.

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

/// Of a bucket that holds less than this part of its burst, the cloud's own count is believed: others draw on it too.
const LOW: f64 = 0.1;

/// A part of a token that need not be waited for: timers may fire a hair early, and owing that hair keeps the rate exact.
const HAIR: f64 = 1e-6;

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
    flow: Mutex<Flow>,
    /// Held while waiting for the bucket. Fair, so calls start in the order they came.
    turn: tokio::sync::Mutex<()>,
}

/// When the next call may start.
#[derive(Debug)]
struct Flow {
    bucket: Option<Bucket>,
    closed_until: Duration,
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
    /// The narrowest first.
    gates: Vec<Entered>,
    _under_ceiling: OwnedSemaphorePermit,
}

/// A place at a gate.
#[derive(Debug)]
struct Entered {
    gate: Arc<Gate>,
    place: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    pub(crate) fn new(clock: Clock, ceiling: usize) -> Limiter {
        Limiter { clock, ceiling: Arc::new(Semaphore::new(ceiling.clamp(1, Semaphore::MAX_PERMITS))), gates: Mutex::default() }
    }

    /// Waits at each gate for a place and for the gate's rate, then for a place under the ceiling. The narrowest gate comes first, so
    /// that who waits there takes no place at a wider one.
    pub(crate) async fn enter(&self, gates: Vec<(String, Limit)>) -> Pass {
        let mut entered = Vec::with_capacity(gates.len());
        for (name, limit) in gates {
            let gate = {
                let mut all = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
                all.entry(name).or_insert_with(|| Arc::new(Gate::new(limit, self.clock.clone()))).clone()
            };
            let place = take(&gate.places).await;
            gate.admit().await;
            entered.push(Entered { gate, place: Some(place) });
        }
        loop {
            let under_ceiling = take(&self.ceiling).await;
            // Meanwhile a gate may have closed behind us.
            match entered.iter().map(|e| e.gate.closed_for()).max() {
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
        let all = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter().filter_map(|(name, _)| all.get(name)).map(|gate| gate.closed_for()).max().unwrap_or_default()
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
            flow: Mutex::new(Flow {
                bucket: limit.rate.map(|rate| Bucket { rate, tokens: rate.burst, filled: clock.now() }),
                closed_until: Duration::ZERO,
            }),
            turn: tokio::sync::Mutex::new(()),
            clock,
        }
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_for(&self) -> Duration {
        self.flow().closed_until.saturating_sub(self.clock.now())
    }

    /// Waits until the gate is open and its bucket has a token, and takes that.
    async fn admit(&self) {
        // Without a bucket there is nothing to stand in line for.
        let rated = self.flow().bucket.is_some();
        let _turn = if rated { Some(self.turn.lock().await) } else { None };
        loop {
            let wait = {
                let mut flow = self.flow();
                let now = self.clock.now();
                match flow.closed_until.saturating_sub(now) {
                    Duration::ZERO => flow.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.take(now)),
                    closed => closed,
                }
            };
            if wait.is_zero() {
                return;
            }
            self.clock.sleep(wait).await;
        }
    }

    /// Lets nobody through for a while. What trickles in afterwards does so at the bucket's rate.
    fn close(&self, wait: Duration) {
        let mut flow = self.flow();
        let until = self.clock.now() + wait;
        flow.closed_until = flow.closed_until.max(until);
        if let Some(bucket) = &mut flow.bucket {
            bucket.tokens = bucket.tokens.min(1.0);
            bucket.filled = bucket.filled.max(until);
        }
    }

    /// Takes the cloud's count of what is left for ours, where it is low.
    fn lower(&self, left: u32) {
        let now = self.clock.now();
        if let Some(bucket) = &mut self.flow().bucket {
            bucket.fill(now);
            if f64::from(left) < bucket.rate.burst * LOW {
                bucket.tokens = bucket.tokens.min(f64::from(left));
            }
        }
    }

    /// A throttled call halves the places for a while, a round of good ones adds one back.
    fn paced(&self, throttled: bool) {
        let mut pace = self.pace();
        if throttled {
            pace.good = 0;
            let now = self.clock.now();
            if pace.slowed.is_some_and(|at| now.saturating_sub(at) < ONE_BURST) {
                return;
            }
            pace.slowed = Some(now);
            let fewer = (pace.now / 2).max(1);
            pace.owed += pace.now - fewer;
            pace.now = fewer;
            pace.owed -= self.places.forget_permits(pace.owed);
        } else if pace.now < pace.most {
            pace.good += 1;
            if pace.good >= pace.now {
                pace.good = 0;
                pace.now += 1;
                if pace.owed > 0 {
                    pace.owed -= 1;
                } else {
                    self.places.add_permits(1);
                }
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// Takes a token; if there is none, says how long that takes.
    fn take(&mut self, now: Duration) -> Duration {
        self.fill(now);
        if self.tokens < 1.0 - HAIR {
            return Duration::from_secs_f64((1.0 - self.tokens) / self.rate.per_second).max(Duration::from_nanos(1));
        }
        self.tokens -= 1.0;
        Duration::ZERO
    }

    fn fill(&mut self, now: Duration) {
        self.tokens = (self.tokens + now.saturating_sub(self.filled).as_secs_f64() * self.rate.per_second).min(self.rate.burst);
        self.filled = self.filled.max(now);
    }
}

impl Pass {
    /// Tells how the call went. A throttle is the narrowest gate's, unless the answer says that the widest has nothing left, or does not say.
    pub(crate) fn report(&self, throttled: bool, advice: Advice) {
        let widest = self.gates.len().saturating_sub(1);
        for (place, Entered { gate, .. }) in self.gates.iter().enumerate() {
            let left = match place {
                _ if place == widest => advice.left,
                0 => advice.left_of_provider,
                _ => None,
            };
            let of_another = place == widest && widest > 0 && left.is_some_and(|left| left > 0);
            let hit = throttled && !of_another;
            gate.paced(hit);
            if let Some(left) = left {
                gate.lower(left);
            }
            if let Some(wait) = advice.retry_after.filter(|_| hit) {
                gate.close(wait);
            }
        }
    }
}

impl Drop for Entered {
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

    fn gate(name: &str, limit: Limit) -> Vec<(String, Limit)> {
        vec![(name.to_owned(), limit)]
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
                let _pass = limiter.enter(gate("a", at_most(32))).await;
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
                let _pass = limiter.enter(self::gate(&gate.to_string(), at_most(32))).await;
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
                let _pass = limiter.enter(gate("a", limit)).await;
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
        let pass = limiter.enter(gate("a", at_most(1))).await;
        let mut waiting = Box::pin(limiter.enter(gate("a", at_most(1))));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(pass);
        // A wait that already has its place at the gate but not under the ceiling gives it back too.
        let other = limiter.enter(gate("b", at_most(1))).await;
        let mut waiting = Box::pin(limiter.enter(gate("a", at_most(1))));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(other);
        limiter.enter(gate("a", at_most(1))).await;
    }

    #[tokio::test]
    async fn throttles_halve_the_places_and_good_calls_bring_them_back() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let places = |l: &Limiter| l.gates.lock().unwrap()["a"].pace().now;
        let passes = join_all((0..32).map(|_| limiter.enter(gate("a", at_most(32))))).await;
        passes.iter().for_each(|p| p.report(true, Advice::default()));
        assert_eq!(places(&limiter), 16, "one burst of throttles counts once");
        drop(passes);
        let peak = Peak::new(&clock);
        clock
            .run(join_all((0..64).map(|_| async {
                let _pass = limiter.enter(gate("a", at_most(32))).await;
                peak.work().await;
            })))
            .await;
        assert_eq!(peak.most(), 16);
        for _ in 0..12 {
            clock.advance(Duration::from_secs(2));
            limiter.enter(gate("a", at_most(32))).await.report(true, Advice::default());
        }
        assert_eq!(places(&limiter), 1, "never none");
        for _ in 0..1000 {
            limiter.enter(gate("a", at_most(32))).await.report(false, Advice::default());
        }
        assert_eq!(places(&limiter), 32);
        let peak = Peak::new(&clock);
        clock
            .run(join_all((0..64).map(|_| async {
                let _pass = limiter.enter(gate("a", at_most(32))).await;
                peak.work().await;
            })))
            .await;
        assert_eq!(peak.most(), 32);
    }

    fn advice(retry_after: Option<u64>, left: Option<u32>, left_of_provider: Option<u32>) -> Advice {
        Advice { retry_after: retry_after.map(Duration::from_secs), left, left_of_provider }
    }

    /// When each of `n` calls that come at once gets in, in seconds.
    async fn starts(clock: &Clock, limiter: &Limiter, gates: &[(String, Limit)], n: usize) -> Vec<u64> {
        let starts = Mutex::new(Vec::new());
        clock
            .run(join_all((0..n).map(|_| async {
                let _pass = limiter.enter(gates.to_vec()).await;
                starts.lock().unwrap().push(clock.now().as_secs());
            })))
            .await;
        starts.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_through_before_its_time() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let limit = Limit { in_flight: 32, rate: Some(Rate { per_second: 1.0, burst: 10.0 }) };
        let (a, b) = (gate("a", limit), gate("b", limit));
        let first = limiter.enter(a.clone()).await;
        // Those who wait already wait on: here for the ceiling's sake, which they have not reached when the gate closes.
        first.report(true, advice(Some(17), None, None));
        first.report(true, advice(Some(5), None, None));
        drop(first);
        assert_eq!(limiter.closed_for(&a), Duration::from_secs(17), "a shorter wait does not open it earlier");
        assert_eq!(limiter.closed_for(&b), Duration::ZERO);
        assert_eq!(starts(&clock, &limiter, &b, 2).await, [0, 0], "another gate is not closed");
        assert_eq!(starts(&clock, &limiter, &a, 3).await, [17, 18, 19], "afterwards at the bucket's rate, not all at once");
    }

    #[tokio::test]
    async fn a_gate_that_closes_behind_a_waiting_call_stops_it() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 1);
        let under_way = limiter.enter(gate("a", at_most(32))).await;
        let mut waiting = Box::pin(limiter.enter(gate("a", at_most(32))));
        assert!(futures::poll!(&mut waiting).is_pending(), "for the ceiling");
        under_way.report(true, advice(Some(9), None, None));
        drop(under_way);
        clock.run(waiting).await;
        assert_eq!(clock.now().as_secs(), 9);
    }

    #[tokio::test]
    async fn the_clouds_count_lowers_the_bucket_when_it_is_low() {
        for (left, waits) in [(100, vec![0, 0, 0, 0]), (25, vec![0, 0, 0, 0]), (2, vec![0, 0, 1, 2]), (0, vec![1, 2, 3, 4])] {
            let clock = Clock::manual();
            let limiter = Limiter::new(clock.clone(), 256);
            let gates = gate("a", Limit { in_flight: 32, rate: Some(Rate { per_second: 1.0, burst: 250.0 }) });
            limiter.enter(gates.clone()).await.report(false, advice(None, Some(left), None));
            assert_eq!(starts(&clock, &limiter, &gates, 4).await, waits, "{left} left");
        }
    }

    #[tokio::test]
    async fn of_two_gates_the_one_that_throttled_closes() {
        let limit = Limit { in_flight: 32, rate: Some(Rate { per_second: 1.0, burst: 250.0 }) };
        let (narrow, wide) = (("narrow".to_owned(), limit), ("wide".to_owned(), limit));
        for (said, narrow_closed, wide_closed) in
            [(advice(Some(7), Some(100), None), 7, 0), (advice(Some(7), Some(0), None), 7, 7), (advice(Some(7), None, None), 7, 7)]
        {
            let clock = Clock::manual();
            let limiter = Limiter::new(clock.clone(), 256);
            limiter.enter(vec![narrow.clone(), wide.clone()]).await.report(true, said);
            let closed = |gate: &(String, Limit)| limiter.closed_for(std::slice::from_ref(gate)).as_secs();
            assert_eq!((closed(&narrow), closed(&wide)), (narrow_closed, wide_closed), "{said:?}");
        }
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        limiter.enter(vec![narrow.clone(), wide.clone()]).await.report(false, advice(None, Some(200), Some(0)));
        assert_eq!(starts(&clock, &limiter, &[wide], 2).await, [0, 0]);
        assert_eq!(starts(&clock, &limiter, &[narrow], 2).await, [1, 2]);
    }

    #[tokio::test]
    async fn who_waits_at_the_narrow_gate_takes_no_place_at_the_wide_one() {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let slow = ("narrow".to_owned(), Limit { in_flight: 32, rate: Some(Rate { per_second: 0.01, burst: 1.0 }) });
        let wide = ("wide".to_owned(), at_most(2));
        limiter.enter(vec![slow.clone(), wide.clone()]).await;
        let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(limiter.enter(vec![slow.clone(), wide.clone()]))).collect();
        for call in &mut waiting {
            assert!(futures::poll!(call).is_pending());
        }
        assert_eq!(starts(&clock, &limiter, &[wide], 2).await, [0, 0]);
    }
}
