//! Storage accounts: every guard where it counts. The world changes between plan and apply, or while a run waits, and no write happens.

use super::storage_world::{Account, wish, world};
use super::world::{FAULTS, World};
use crate::run::Runner;
use crate::select::StorageWish;
use crate::{Event, Guard, Period, State, Step};
use chrono::TimeDelta;
use std::sync::Arc;

type Change = fn(&mut Account, &mut Runner);

const ROTATE: StorageWish = StorageWish::Rotate;
const POLICY: StorageWish = StorageWish::ExpirationPolicy(Period::days(90));
const DISABLE: StorageWish = StorageWish::Disable;

/// A change, the guard that sees it, and for which actions.
const CASES: &[(&str, Change, Guard, &[StorageWish])] = &[
    ("tag", |a, _| drop(a.live.tags.insert("assay:rotate".into(), "never".into())), Guard::Excluded, &[ROTATE, POLICY, DISABLE]),
    ("name", |_, r| r.exclusions.names.push("ACC*".into()), Guard::Excluded, &[ROTATE, POLICY, DISABLE]),
    ("off", |a, _| a.live.allow_shared_key = false, Guard::SharedKeyOff, &[ROTATE, DISABLE]),
    ("lock", |a, _| a.locks.push("keep on the account".into()), Guard::Locked, &[ROTATE, POLICY, DISABLE]),
    ("key2 regenerated", |a, _| a.live.key2_created = "2026-05-31T00:00:00Z".parse().ok(), Guard::Changed, &[ROTATE, POLICY, DISABLE]),
    ("key1 regenerated", |a, _| a.live.key1_created = "2026-05-31T00:00:00Z".parse().ok(), Guard::Changed, &[ROTATE, POLICY, DISABLE]),
    ("key1 of no age", |a, _| a.live.key1_created = None, Guard::Changed, &[ROTATE, POLICY, DISABLE]),
    ("in use", |a, _| a.requests = 1, Guard::SharedKeyUsed, &[DISABLE]),
];

fn writes(world: &World) -> Vec<String> {
    world.with(|w| w.effects.iter().filter(|e| !e.starts_with("publish")).cloned().collect())
}

#[tokio::test]
async fn every_guard_refuses_before_anything_is_done() {
    for (name, change, guard, wishes) in CASES {
        for storage in *wishes {
            let world = world(&["acct"]);
            let plan = world.storage_plan(&wish(*storage, true)).await;
            let mut runner = world.runner();
            world.account("acct", |a| change(a, &mut runner));
            for report in [runner.preview(&plan, &Step::ALL).await.unwrap(), runner.apply(plan, &Step::ALL).await.unwrap().items] {
                let refusal = report[0].refusal.clone().unwrap_or_else(|| panic!("{name} {storage:?}: {report:#?}"));
                assert_eq!((refusal.guard, report[0].state), (*guard, State::Untouched), "{name} {storage:?}");
            }
            assert!(world.with(|w| w.effects.is_empty()), "{name} {storage:?}");
        }
    }
}

/// Rotation waits three times; whatever appears meanwhile stops the next write.
#[tokio::test]
async fn every_guard_refuses_before_each_key() {
    for (name, change, guard, wishes) in CASES {
        for stage in 1..3 {
            if !wishes.contains(&ROTATE) {
                continue;
            }
            let world = world(&["acct"]);
            let plan = world.storage_plan(&wish(ROTATE, true)).await;
            let mut runner = world.runner();
            let mut report = runner.apply(plan, &Step::ALL).await.unwrap();
            let mut words: Vec<String> = report.items.iter().filter_map(|i| world.obey(i)).collect();
            if stage == 2 {
                report = runner.resume(&report.run, &words).await.unwrap();
                words = report.items.iter().filter_map(|i| world.obey(i)).collect();
                runner.resume(&report.run, &words).await.unwrap();
                world.time.pass(TimeDelta::days(8));
            }
            let before = writes(&world);
            let saved = world.account("acct", |a| a.live.clone());
            world.account("acct", |a| change(a, &mut runner));
            let refused = runner.resume(&report.run, &words).await.unwrap();
            let refusal = refused.items[0].refusal.clone().unwrap_or_else(|| panic!("{name} {stage}: {refused:#?}"));
            assert_eq!((refusal.guard, refused.items[0].state), (*guard, State::Waiting), "{name} {stage}");
            assert_eq!(writes(&world), before, "{name} {stage}");
            world.account("acct", |a| (a.live, a.locks) = (saved, Vec::new()));
            world.finish_accounts(&report.run).await;
            world.assert_renewed(name);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_known_is_not_turned_off() {
    for fault in FAULTS.into_iter().filter(|f| !f.effect) {
        let world = world(&["acct"]);
        let plan = world.storage_plan(&wish(DISABLE, false)).await;
        world.with(|w| w.broken.insert("metrics".into(), fault));
        let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
        let item = &report.items[0];
        assert_eq!((item.refusal.as_ref().unwrap().guard, item.error.is_some()), (Guard::UnknownUse, true), "{item:#?}");
        assert!(writes(&world).is_empty());
    }
}

/// A plan from a listing that knew the ages, an account that does not know them any more: the plan says so, the guard too.
#[tokio::test]
async fn a_policy_needs_both_ages() {
    let world = world(&["acct"]);
    let mut plan = world.storage_plan(&wish(POLICY, false)).await;
    world.account("acct", |a| a.live.key2_created = None);
    plan.storage_accounts[0].key2_created = None;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    assert_eq!(report.items[0].refusal.as_ref().unwrap().guard, Guard::UnknownAge);
    assert!(writes(&world).is_empty());
}

/// Even a journal in which every word was given lets one command regenerate one key only.
#[tokio::test]
async fn words_given_in_advance_do_not_make_it_two_keys_at_once() {
    let world = world(&["acct"]);
    let plan = world.storage_plan(&wish(ROTATE, false)).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let (run, item) = (report.run.clone(), super::storage_world::id("acct"));
    world.obey(&report.items[0]).unwrap();
    let (_, mut journal) = world.store().open(&run).unwrap();
    for event in [
        Event::Moved { item: item.clone(), to: "key2".into() },
        Event::Asked { item: item.clone(), to: "key1".into() },
        Event::Moved { item, to: "key1".into() },
    ] {
        journal.append(world.now(), event).unwrap();
    }
    drop(journal);
    world.time.pass(TimeDelta::days(30));
    let report = world.runner().resume(&run, &[]).await.unwrap();
    assert!(report.items[0].needs.as_ref().unwrap().contains("by a command of its own"), "{report:#?}");
    assert_eq!(world.count("regenerateKey"), 1);
    world.assert_sound("words in advance");
}

async fn done(world: &Arc<World>, storage: StorageWish) -> (String, State) {
    let plan = world.storage_plan(&wish(storage, false)).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    (report.run, report.items[0].state)
}

#[tokio::test]
async fn settings_are_made_and_stay() {
    for (storage, by_hand) in [(POLICY, "--key-exp-days"), (DISABLE, "--allow-shared-key-access true")] {
        let world = world(&["acct"]);
        let (run, state) = done(&world, storage).await;
        assert_eq!((state, writes(&world).len()), (State::Done, 1));
        let refused = world.runner().undo(&run).await.unwrap();
        let refusal = refused.items[0].refusal.clone().unwrap();
        assert!(refusal.guard == Guard::Irreversible && refusal.reason.contains(by_hand), "{refusal}");
        assert_eq!(world.runner().resume(&run, &[]).await.unwrap().items[0].state, State::Done);
        assert_eq!(writes(&world).len(), 1);
        if storage == POLICY {
            assert_eq!(done(&world, storage).await.1, State::Done);
            assert_eq!(writes(&world).len(), 1, "it was so already");
        }
    }
}

#[tokio::test]
async fn settings_whose_call_fails_are_told_and_can_be_finished() {
    for storage in [POLICY, DISABLE] {
        for call in ["account", "locks", "setExpiration", "disable"] {
            for fault in FAULTS {
                let world = world(&["acct"]);
                let plan = world.storage_plan(&wish(storage, false)).await;
                world.with(|w| w.broken.insert(call.into(), fault));
                let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
                let what = format!("{storage:?} {call} {fault:?} {:#?}", report.items[0]);
                let item = &report.items[0];
                assert!(item.error.is_some() || item.state == State::Done, "{what}");
                world.with(|w| w.broken.clear());
                assert_eq!(world.finish_accounts(&report.run).await.items[0].state, State::Done, "{what}");
                assert_eq!(writes(&world).len(), 1, "{what}");
                world.assert_sound(&what);
            }
        }
    }
}
