//! Every call answered once, and every kind of call answered always, with every class of error: the state is a documented one, nobody is
//! locked out, and the run can be finished or taken back afterwards.

use super::world::{FAULTS, Fault, World};
use crate::run::Report;
use crate::{Plan, State, Step};
use chrono::TimeDelta;
use std::sync::Arc;

const WEEK: TimeDelta = TimeDelta::days(7);

/// Whole runs: apply, and two resumes.
const PHASES: usize = 3;

async fn phase(world: &Arc<World>, plan: &Plan, number: usize) -> Report {
    if number == 0 {
        return world.runner().apply(plan.clone(), &Step::ALL).await.unwrap();
    }
    world.time.pass(WEEK);
    let run = world.run().unwrap();
    world.runner().resume(&run, &[]).await.unwrap()
}

async fn new_world(lag: i64) -> (Arc<World>, Plan) {
    let world = World::new(&["ada"]);
    world.with(|w| w.lag = TimeDelta::seconds(lag));
    let plan = world.plan(&World::wish()).await;
    (world, plan)
}

/// The states of docs/rotation.md after a fault in this call. The flag: may the run have gone on as if nothing was?
fn documented(call: &str, phase: usize, fault: Fault) -> (&'static [State], bool) {
    use State::{Deactivated, Done, Unknown, Untouched, Waiting};
    match (call, phase) {
        // The proof is repeated for what may pass.
        ("GetCallerIdentity", _) => (&[Waiting, Untouched], true),
        ("publish", _) if fault.effect => (&[Waiting], true),
        ("CreateAccessKey" | "store" | "publish" | "check", _) => (&[Untouched], false),
        ("UpdateAccessKey", _) => (&[Waiting, Deactivated], fault.effect),
        ("DeleteAccessKey", 2) => (&[Deactivated, Done], fault.effect),
        // Either before the act, or in its second look.
        ("ListAccessKeys", 1) => (&[Waiting, Unknown], false),
        ("ListAccessKeys", 2) => (&[Deactivated, Unknown], false),
        (_, 0) => (&[Untouched], false),
        (_, 1) => (&[Waiting], false),
        _ => (&[Deactivated], false),
    }
}

#[tokio::test]
async fn every_call_is_answered_once_with_every_error() {
    let mut tried = 0;
    for lag in [0, 3] {
        for number in 1.. {
            let mut reached = false;
            for fault in FAULTS.into_iter().step_by(if lag == 0 { 1 } else { 4 }) {
                let (world, plan) = new_world(lag).await;
                world.with(|w| {
                    w.faults.insert(number, fault);
                });
                for now in 0..PHASES {
                    let before = world.with(|w| w.calls.len());
                    let report = phase(&world, &plan, now).await;
                    let Some(call) = world.with(|w| w.calls.get(number - 1).cloned()).filter(|_| number > before) else { continue };
                    let (name, item) = (call.split(' ').next().unwrap(), &report.items[0]);
                    let what = format!("call {number} ({call}) of phase {now} answered with {fault:?}: {item:#?}");
                    let (states, unnoticed) = documented(name, now, fault);
                    assert!(states.contains(&item.state), "{what}");
                    assert!(unnoticed || item.error.is_some(), "a fault is told: {what}");
                    world.assert_sound(&what);
                    (reached, tried) = (true, tried + 1);
                    let gone = world.user("ada", |u| u.status(&u.first.clone()).is_none());
                    if fault.certain || lag > 0 {
                        world.finish(&report.run).await;
                        world.assert_rotated(&what);
                    } else if gone {
                        world.runner().undo(&report.run).await.unwrap();
                        world.assert_rotated(&what);
                    } else {
                        world.runner().undo(&report.run).await.unwrap();
                        world.assert_restored(&what);
                    }
                    break;
                }
            }
            if !reached {
                break;
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Calls of any kind.
const CALLS: [&str; 12] = [
    "GetUser",
    "ListAccessKeys",
    "GetAccessKeyLastUsed",
    "ListUserPolicies",
    "CreateAccessKey",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "GetCallerIdentity",
    "check",
    "store",
    "publish",
    "withdraw",
];

#[tokio::test]
async fn two_kinds_of_calls_fail_for_hours() {
    for from in 0..PHASES {
        for first in CALLS {
            for second in CALLS.into_iter().skip_while(|c| *c != first) {
                for fault in [FAULTS[4], FAULTS[11]] {
                    let (world, plan) = new_world(0).await;
                    for before in 0..from {
                        phase(&world, &plan, before).await;
                    }
                    world.with(|w| w.broken.extend([(first.to_owned(), fault), (second.to_owned(), fault)]));
                    let report = phase(&world, &plan, from).await;
                    let what = format!("{first} and {second} fail in phase {from} with {fault:?}: {:#?}", report.items[0]);
                    world.assert_sound(&what);
                    let told = Report::of(&world.store().read(&report.run).unwrap());
                    assert_eq!(told.items[0].state, report.items[0].state, "the journal says the same: {what}");
                    let undone = world.runner().undo(&report.run).await;
                    world.assert_sound(&format!("undo: {what}: {undone:#?}"));
                    world.with(|w| w.broken.clear());
                    let gone = world.user("ada", |u| u.status(&u.first.clone()).is_none());
                    world.runner().undo(&report.run).await.unwrap();
                    if gone { world.assert_rotated(&what) } else { world.assert_restored(&what) }
                }
            }
        }
    }
}

/// What cannot be taken back is named.
#[tokio::test]
async fn a_new_key_that_cannot_be_deleted_is_left_with_its_id() {
    let (world, plan) = new_world(0).await;
    world.with(|w| w.broken.extend([("store".to_owned(), FAULTS[0]), ("DeleteAccessKey".to_owned(), FAULTS[0])]));
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let item = &report.items[0];
    assert_eq!((item.state, item.new_key.as_deref()), (State::NewKeyLeft, Some("AKIANEW0000000000001")));
    assert!(item.error.as_ref().unwrap().contains("the new key AKIANEW0000000000001 is left"), "{item:#?}");
    world.with(|w| w.broken.clear());
    let report = world.finish(&report.run).await;
    assert_eq!(report.items[0].new_key.as_deref(), Some("AKIANEW0000000000002"));
    world.assert_rotated("left and found");
}

/// The mistake of the runbook: after LimitExceeded the old keys were deleted all the same.
#[tokio::test]
async fn one_that_fails_stops_no_other_and_loses_nothing() {
    let world = World::new(&["ada", "bob", "eve"]);
    let plan = world.plan(&World::wish()).await;
    // Call by call the users are the same: bob's creation is the second.
    world.with(|w| {
        w.broken.insert("CreateAccessKey".into(), FAULTS[1]);
    });
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    assert!(report.items.iter().all(|i| i.state == State::Untouched && i.error.as_ref().unwrap().contains("LimitExceeded")));
    world.with(|w| w.broken.clear());
    world.change("bob", |u| u.tags.extend([("assay:rotate".to_owned(), "never".to_owned())]));
    let report = world.runner().resume(&report.run, &[]).await.unwrap();
    let states: Vec<State> = report.items.iter().map(|i| i.state).collect();
    assert_eq!(states, [State::Waiting, State::Untouched, State::Waiting]);
    world.assert_sound("one of three");
}
