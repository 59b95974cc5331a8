//! Guards of undo, and what holds before anything is begun.

use super::world::{FAULTS, World};
use crate::{Guard, KeyStatus, State, Step};
use chrono::TimeDelta;

const WEEK: TimeDelta = TimeDelta::days(7);

/// What is there must be what the run was about: somebody else's user or key of the same name is not touched.
#[tokio::test]
async fn undo_touches_no_one_else() {
    type Change = fn(&mut super::world::User);
    let cases: [(&str, Change); 2] = [("user", |u| u.id = "AIDAOTHER".into()), ("key", |u| u.keys[0].live.created += TimeDelta::days(1))];
    for (name, change) in cases {
        for weeks in 0..2 {
            let world = World::new(&["ada"]);
            let plan = world.plan(&World::wish()).await;
            let run = world.runner().apply(plan, &Step::ALL).await.unwrap().run;
            for _ in 0..weeks {
                world.time.pass(WEEK);
                world.runner().resume(&run, &[]).await.unwrap();
            }
            world.change("ada", change);
            let (effects, calls) = world.with(|w| (w.effects.clone(), w.calls.len()));
            let item = world.runner().undo(&run).await.unwrap().items.remove(0);
            let refusal = item.refusal.clone().unwrap_or_else(|| panic!("{name} {weeks}: {item:#?}"));
            assert_eq!(refusal.guard, Guard::Changed, "{name} {weeks}");
            assert!(refusal.reason.contains(if name == "user" { "another one now" } else { "was created at" }), "{refusal}");
            assert_eq!(world.with(|w| w.effects.clone()), effects, "{name} {weeks}");
            assert!(world.with(|w| w.calls[calls..].iter().all(|c| !c.starts_with("withdraw"))), "{name} {weeks}");
        }
    }
}

/// A command that gave the key out is not even asked to take it back; both keys work, and the run is over.
#[tokio::test]
async fn what_cannot_be_taken_back_is_not_tried() {
    let world = World::new(&["ada"]);
    world.with(|w| w.command = true);
    let plan = world.plan(&World::wish()).await;
    let run = world.runner().apply(plan, &Step::ALL).await.unwrap().run;
    let item = world.runner().undo(&run).await.unwrap().items.remove(0);
    assert_eq!((item.state, item.refusal.unwrap().guard), (State::Waiting, Guard::HandedOut));
    assert_eq!(world.count("withdraw"), 0);
    assert!(world.store().unfinished().unwrap().is_empty());
    let keys = world.user("ada", |u| u.keys.iter().map(|k| k.live.status).collect::<Vec<_>>());
    assert_eq!(keys, [KeyStatus::Active; 2]);
}

/// A sink is asked before there is a secret that would have nowhere to go.
#[tokio::test]
async fn no_key_is_made_for_a_sink_that_says_no() {
    for fault in FAULTS.into_iter().filter(|f| !f.effect) {
        let world = World::new(&["ada"]);
        let plan = world.plan(&World::wish()).await;
        world.with(|w| w.broken.insert("check".into(), fault));
        let item = world.runner().apply(plan, &Step::ALL).await.unwrap().items.remove(0);
        assert!(item.state == State::Untouched && item.error.is_some(), "{fault:?}: {item:#?}");
        assert_eq!(world.count("CreateAccessKey"), 0, "{fault:?}");
    }
}

/// A plan of another clock would make waits shorter than they are.
#[tokio::test]
async fn a_plan_from_the_future_begins_nothing() {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    world.time.pass(-TimeDelta::hours(1));
    for error in [world.runner().preview(&plan, &Step::ALL).await.err(), world.runner().apply(plan, &Step::ALL).await.err()] {
        assert!(error.unwrap().to_string().contains("is in the future"));
    }
    assert!(world.with(|w| w.calls.is_empty()) && world.store().runs().unwrap().is_empty());
}
