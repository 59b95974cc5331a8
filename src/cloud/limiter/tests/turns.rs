//! Consumers take turns, and after an outage calls come back one, then a few, then all.

use super::*;

/// The order in which consumers get in, of calls that come in this order.
async fn order(limit: Limit, calls: &[u64]) -> Vec<u64> {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let (order, gates) = (Mutex::new(Vec::new()), gate("a", limit));
    clock
        .run(join_all(calls.iter().map(|consumer| async {
            let _pass = limiter.enter(*consumer, gates.clone()).await;
            order.lock().unwrap().push(*consumer);
            clock.sleep(Duration::from_millis(50)).await;
        })))
        .await;
    order.into_inner().unwrap()
}

#[tokio::test]
async fn few_calls_do_not_wait_for_the_many_of_another_consumer() {
    let slow = Limit { rate: Some(Rate { per_second: 10.0, burst: 1.0 }), ..Limit::default() };
    for limit in [at_most(4), slow] {
        let calls: Vec<u64> = (0..1000).map(|_| 1).chain([2, 2, 2]).collect();
        let order = order(limit, &calls).await;
        let places: Vec<_> = order.iter().enumerate().filter(|(_, who)| **who == 2).map(|(place, _)| place).collect();
        assert_eq!(order.len(), 1003);
        assert!(places[2] <= limit.in_flight + 8, "{places:?}");
    }
    let order = order(at_most(1), &[1, 1, 1, 2, 2, 3, 1]).await;
    assert_eq!(order, [1, 1, 2, 3, 1, 2, 1], "the first need not wait, then in turn");
}

#[tokio::test]
async fn a_lane_is_forgotten_with_its_last_call() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let first = limiter.enter(1, gate("a", at_most(1))).await;
    let mut waiting: Vec<_> = (1..5).map(|consumer| Box::pin(limiter.enter(consumer, gate("a", at_most(1))))).collect();
    for call in &mut waiting {
        assert!(futures::poll!(call).is_pending());
    }
    let lanes = || limiter.gates.lock().unwrap()["a"].lanes();
    assert_eq!(lanes(), 4);
    drop(waiting);
    assert_eq!(lanes(), 0);
    drop(first);
    limiter.enter(9, gate("a", at_most(1))).await;
}

#[tokio::test]
async fn after_an_outage_one_call_looks_and_the_others_come_in_a_ramp() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let (gates, back) = (gate("a", Limit { rate: Some(Rate { per_second: 1e6, burst: 1e6 }), ..Limit::default() }), 2.0);
    let starts = Mutex::new(Vec::new());
    clock
        .run(join_all((0..64).map(|_| async {
            loop {
                let pass = limiter.enter(1, gates.clone()).await;
                starts.lock().unwrap().push(clock.now().as_secs_f64());
                clock.sleep(Duration::from_millis(10)).await;
                if clock.now().as_secs_f64() >= back {
                    break pass.report(Outcome::Answered, Advice::default());
                }
                pass.report(Outcome::Unanswered, Advice::default());
            }
        })))
        .await;
    let starts = starts.into_inner().unwrap();
    assert!(starts[..32].iter().all(|at| *at == 0.0), "nobody knows yet");
    let during = starts[32..].iter().filter(|at| **at < back - 0.01).count();
    assert!((3..=6).contains(&during), "one at a time, ever more seldom: {starts:?}");
    let after: Vec<f64> = starts.iter().copied().filter(|at| *at >= back - 0.01).collect();
    let looks = after.windows(2).take_while(|w| w[1] - w[0] > 0.009).count();
    assert!(looks >= 1, "first one: {after:?}");
    let within = |span: f64| after.iter().filter(|at| **at < after[0] + span).count();
    assert!(within(0.009) == 1 && within(0.019) <= 10 && within(0.029) <= 25, "then a few: {after:?}");
    assert!(within(0.1) > 60, "then all: {after:?}");
}

#[tokio::test]
async fn an_outage_that_lasts_lets_each_call_fail_for_itself() {
    let clock = Clock::manual();
    let limiter = Limiter::new(clock.clone(), 256);
    let gates = gate("a", Limit::default());
    clock
        .run(join_all((0..200).map(|_| async {
            for _ in 0..3 {
                let pass = limiter.enter(1, gates.clone()).await;
                clock.sleep(Duration::from_millis(10)).await;
                pass.report(Outcome::Unanswered, Advice::default());
            }
        })))
        .await;
    assert!(clock.now() < Duration::from_secs(12), "600 failures: {:?}", clock.now());
    assert!(limiter.looks(&gates) >= 3);
}
