//! Places, rates, advice and closed gates on a clock that is moved by hand.

mod buckets;
mod turns;

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
    Limit { in_flight, rate: None, learns: false }
}

#[tokio::test]
async fn a_gate_lets_in_what_it_may_and_no_more() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let peak = Peak::new(&clock);
    clock
        .run(join_all((0..320).map(|_| async {
            let _pass = limiter.enter(0, gate("a", at_most(32))).await;
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
            let _pass = limiter.enter(0, self::gate(&gate.to_string(), at_most(32))).await;
            order.lock().unwrap().push(gate);
            peak.work().await;
        }
    };
    clock.run(join_all((0..100).map(|i| call(i % 4)))).await;
    assert_eq!(peak.most(), 10);
    let order = order.into_inner().unwrap();
    for place in (10..100).step_by(10) {
        let got_in = |gate| order[..place].iter().filter(|g| **g == gate).count();
        assert!((0..4).all(|gate| got_in(gate).abs_diff(place / 4) <= 2), "{order:?}");
    }
}

#[tokio::test]
async fn a_rate_spaces_the_starts_after_the_burst() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let limit = Limit { in_flight: 32, learns: true, rate: Some(Rate { per_second: 20.0, burst: 5.0 }) };
    let starts = Mutex::new(Vec::new());
    clock
        .run(join_all((0..25).map(|_| async {
            let _pass = limiter.enter(0, gate("a", limit)).await;
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
    let pass = limiter.enter(0, gate("a", at_most(1))).await;
    let mut waiting = Box::pin(limiter.enter(0, gate("a", at_most(1))));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    drop(pass);
    // A wait that already has its place at the gate but not under the ceiling gives it back too.
    let other = limiter.enter(0, gate("b", at_most(1))).await;
    let mut waiting = Box::pin(limiter.enter(0, gate("a", at_most(1))));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    drop(other);
    limiter.enter(0, gate("a", at_most(1))).await;
}

fn advice(retry_after: Option<u64>, left: Option<u32>, left_of_provider: Option<u32>) -> Advice {
    Advice { retry_after: retry_after.map(Duration::from_secs), left, left_of_provider }
}

/// When each of `n` calls that come at once gets in, in seconds.
async fn starts(clock: &Clock, limiter: &Limiter, gates: &[(String, Limit)], n: usize) -> Vec<u64> {
    let starts = Mutex::new(Vec::new());
    clock
        .run(join_all((0..n).map(|_| async {
            let _pass = limiter.enter(0, gates.to_vec()).await;
            starts.lock().unwrap().push(clock.now().as_secs());
        })))
        .await;
    starts.into_inner().unwrap()
}

#[tokio::test]
async fn a_closed_gate_lets_nobody_through_before_its_time() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let limit = Limit { in_flight: 32, learns: true, rate: Some(Rate { per_second: 1.0, burst: 10.0 }) };
    let (a, b) = (gate("a", limit), gate("b", limit));
    let first = limiter.enter(0, a.clone()).await;
    // Those who wait already wait on: here for the ceiling's sake, which they have not reached when the gate closes.
    first.report(Outcome::Throttled, advice(Some(17), None, None));
    first.report(Outcome::Throttled, advice(Some(5), None, None));
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
    let under_way = limiter.enter(0, gate("a", at_most(32))).await;
    let mut waiting = Box::pin(limiter.enter(0, gate("a", at_most(32))));
    assert!(futures::poll!(&mut waiting).is_pending(), "for the ceiling");
    under_way.report(Outcome::Throttled, advice(Some(9), None, None));
    drop(under_way);
    clock.run(waiting).await;
    assert_eq!(clock.now().as_secs(), 9);
}

#[tokio::test]
async fn the_clouds_count_lowers_the_bucket_when_it_is_low() {
    for (left, waits) in [(100, vec![0, 0, 0, 0]), (25, vec![0, 0, 0, 0]), (2, vec![0, 0, 1, 2]), (0, vec![1, 2, 3, 4])] {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        let gates = gate("a", Limit { in_flight: 32, learns: true, rate: Some(Rate { per_second: 1.0, burst: 250.0 }) });
        limiter.enter(0, gates.clone()).await.report(Outcome::Answered, advice(None, Some(left), None));
        assert_eq!(starts(&clock, &limiter, &gates, 4).await, waits, "{left} left");
    }
}

#[tokio::test]
async fn of_two_gates_the_one_that_throttled_closes() {
    let limit = Limit { in_flight: 32, learns: true, rate: Some(Rate { per_second: 1.0, burst: 250.0 }) };
    let (narrow, wide) = (("narrow".to_owned(), limit), ("wide".to_owned(), limit));
    for (said, narrow_closed, wide_closed) in
        [(advice(Some(7), Some(100), None), 7, 0), (advice(Some(7), Some(0), None), 7, 7), (advice(Some(7), None, None), 7, 7)]
    {
        let clock = Clock::manual();
        let limiter = Limiter::new(clock.clone(), 256);
        limiter.enter(0, vec![narrow.clone(), wide.clone()]).await.report(Outcome::Throttled, said);
        let closed = |gate: &(String, Limit)| limiter.closed_for(std::slice::from_ref(gate)).as_secs();
        assert_eq!((closed(&narrow), closed(&wide)), (narrow_closed, wide_closed), "{said:?}");
    }
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    limiter.enter(0, vec![narrow.clone(), wide.clone()]).await.report(Outcome::Answered, advice(None, Some(200), Some(0)));
    assert_eq!(starts(&clock, &limiter, &[wide], 2).await, [0, 0]);
    assert_eq!(starts(&clock, &limiter, &[narrow], 2).await, [1, 2]);
}

#[tokio::test]
async fn who_waits_at_the_narrow_gate_takes_no_place_at_the_wide_one() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let slow = ("narrow".to_owned(), Limit { in_flight: 32, learns: true, rate: Some(Rate { per_second: 0.01, burst: 1.0 }) });
    let wide = ("wide".to_owned(), at_most(2));
    limiter.enter(0, vec![slow.clone(), wide.clone()]).await;
    let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(limiter.enter(0, vec![slow.clone(), wide.clone()]))).collect();
    for call in &mut waiting {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(starts(&clock, &limiter, &[wide], 2).await, [0, 0]);
}
