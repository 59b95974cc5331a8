//! The limiter against simulated token buckets of which it knows nothing: at most 1 % of the calls may be throttled, and the whole may take
//! at most 1 / 0.9 of the time that the bucket allows.

use super::*;

/// A cloud's bucket: what it holds, its refill over time, and what somebody else takes.
struct Sim {
    clock: Clock,
    rate: fn(f64) -> f64,
    burst: f64,
    /// Calls of somebody else, per second.
    foreign: f64,
    state: Mutex<(f64, Duration)>,
    throttled: AtomicUsize,
    answered: AtomicUsize,
}

impl Sim {
    /// Whether a call that arrives now is let through.
    fn admits(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let now = self.clock.now();
        let (tokens, at) = *state;
        let refill = (self.rate)(at.as_secs_f64()) - self.foreign;
        let tokens = (tokens + (now - at).as_secs_f64() * refill).min(self.burst);
        let admitted = tokens >= 1.0;
        *state = (if admitted { tokens - 1.0 } else { tokens }, now);
        admitted
    }

    /// One call of 50 ms, give or take: the cloud decides on its way.
    async fn call(&self, limiter: &Limiter, gates: &[(String, Limit)]) {
        loop {
            let pass = limiter.enter(1, gates.to_vec()).await;
            let (there, back) = (self.clock.random(), self.clock.random());
            self.clock.sleep(Duration::from_secs_f64(0.018 + 0.004 * there)).await;
            let admitted = self.admits();
            self.clock.sleep(Duration::from_secs_f64(0.028 + 0.004 * back)).await;
            if admitted {
                self.answered.fetch_add(1, Ordering::SeqCst);
                return pass.report(Outcome::Answered, Advice::default());
            }
            self.throttled.fetch_add(1, Ordering::SeqCst);
            pass.report(Outcome::Throttled, Advice::default());
            drop(pass);
            self.clock.sleep(Duration::from_secs_f64(0.2 * self.clock.random())).await;
        }
    }
}

/// Calls by 64 workers, as the engine makes them; gives throttled calls and seconds.
async fn against(rate: fn(f64) -> f64, burst: f64, foreign: f64, calls: usize, limit: Limit) -> (usize, f64) {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let state = Mutex::new((burst, Duration::ZERO));
    let sim = Sim { clock: clock.clone(), rate, burst, foreign, state, throttled: AtomicUsize::new(0), answered: AtomicUsize::new(0) };
    let left = AtomicUsize::new(calls);
    let gates = gate("a", limit);
    let worker = || async {
        while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            sim.call(&limiter, &gates).await;
        }
    };
    clock.run(join_all((0..64).map(|_| worker()))).await;
    assert_eq!(sim.answered.load(Ordering::SeqCst), calls);
    (sim.throttled.load(Ordering::SeqCst), clock.now().as_secs_f64())
}

#[tokio::test]
async fn an_unknown_bucket_is_found_out() {
    for (what, rate, burst, foreign, calls, ideal) in [
        ("20/s, burst 20", (|_| 20.0) as fn(f64) -> f64, 20.0, 0.0, 2000, 1980.0 / 20.0),
        ("20/s, burst 40", |_| 20.0, 40.0, 0.0, 2000, 1960.0 / 20.0),
        ("20/s, burst 50", |_| 20.0, 50.0, 0.0, 2000, 1950.0 / 20.0),
        ("100/s, burst 200", |_| 100.0, 200.0, 0.0, 5000, 4800.0 / 100.0),
        ("10/s, burst 100", |_| 10.0, 100.0, 0.0, 5000, 4900.0 / 10.0),
        ("300/s, burst 300", |_| 300.0, 300.0, 0.0, 5000, 4700.0 / 300.0),
        ("5/s, burst 1", |_| 5.0, 1.0, 0.0, 2000, 1999.0 / 5.0),
        ("5/s, burst 5", |_| 5.0, 5.0, 0.0, 2500, 2495.0 / 5.0),
        ("10/s, burst 10", |_| 10.0, 10.0, 0.0, 2000, 1990.0 / 10.0),
        ("20/s, of which others take 8", |_| 20.0, 20.0, 8.0, 2000, 1980.0 / 12.0),
        ("20/s, half of it after 75 s", |at| if at < 75.0 { 20.0 } else { 10.0 }, 20.0, 0.0, 3000, 75.0 + 1480.0 / 10.0),
    ] {
        let (throttled, seconds) = against(rate, burst, foreign, calls, Limit::default()).await;
        assert!(throttled * 100 <= calls, "{what}: {throttled} of {calls} throttled");
        assert!(ideal / seconds >= 0.9, "{what}: {seconds:.1} s where {ideal:.1} s would do");
    }
    // A rate that rises is found by and by.
    let (throttled, seconds) = against(|at| if at < 50.0 { 10.0 } else { 20.0 }, 20.0, 0.0, 2000, Limit::default()).await;
    assert!(throttled <= 20 && seconds < 1.25 * (50.0 + 1480.0 / 20.0), "{throttled} {seconds}");
}

#[tokio::test]
async fn where_there_is_no_bucket_the_careful_start_costs_little() {
    let (throttled, seconds) = against(|_| 1e9, 1e9, 0.0, 2000, Limit::default()).await;
    assert_eq!(throttled, 0);
    assert!(seconds < 1.065 * 2000.0 * 0.05 / 32.0, "{seconds}");
}

#[tokio::test]
async fn a_known_rate_that_is_right_is_never_throttled() {
    let limit = Limit { rate: Some(Rate { per_second: 20.0, burst: 40.0 }), ..Limit::default() };
    let (throttled, seconds) = against(|_| 20.0, 41.0, 0.0, 1000, limit).await;
    assert_eq!(throttled, 0);
    assert!(960.0 / 20.0 / seconds > 0.99, "{seconds}");
    // One that promises too much is no worse than none.
    let limit = Limit { rate: Some(Rate { per_second: 25.0, burst: 250.0 }), ..Limit::default() };
    let (throttled, seconds) = against(|_| 10.0, 20.0, 0.0, 5000, limit).await;
    assert!(throttled <= 50 && 4980.0 / 10.0 / seconds > 0.9, "{throttled} {seconds}");
}

#[tokio::test]
async fn throttles_that_come_whatever_the_rate_do_not_stop_everything() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let (left, gates) = (AtomicUsize::new(2000), gate("a", Limit::default()));
    let worker = || async {
        while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            loop {
                let pass = limiter.enter(1, gates.clone()).await;
                clock.sleep(Duration::from_millis(50)).await;
                if clock.random() >= 0.05 {
                    break pass.report(Outcome::Answered, Advice::default());
                }
                pass.report(Outcome::Throttled, Advice::default());
            }
        }
    };
    clock.run(join_all((0..64).map(|_| worker()))).await;
    assert!(clock.now() < Duration::from_secs(20), "one in twenty, at random: {:?}", clock.now());
}
