//! Storage accounts: runs that nothing disturbs, the word of the operator, and what cannot be taken back.

use super::storage_world::{id, wish, world};
use super::world::World;
use crate::run::Report;
use crate::select::StorageWish;
use crate::{Act, Guard, State, Step};
use chrono::TimeDelta;
use std::sync::Arc;

const WEEK: TimeDelta = TimeDelta::days(7);

async fn begun(world: &Arc<World>, sink: bool) -> Report {
    let plan = world.storage_plan(&wish(StorageWish::Rotate, sink)).await;
    world.runner().apply(plan, &Step::ALL).await.unwrap()
}

fn times(world: &World) -> [usize; 2] {
    world.account("acct", |a| a.times)
}

#[tokio::test]
async fn a_run_moves_consumers_and_regenerates_one_key_at_a_time() {
    for sink in [true, false] {
        let world = world(&["acct", "other"]);
        let plan = world.storage_plan(&wish(StorageWish::Rotate, sink)).await;
        let runner = world.runner();
        let shown = runner.preview(&plan, &Step::ALL).await.unwrap();
        assert!(shown.iter().all(|i| i.refusal.is_none() && i.error.is_none() && i.state == State::Untouched), "{shown:#?}");
        assert!(world.with(|w| w.effects.is_empty()), "a preview changes nothing");

        let report = runner.apply(plan, &Step::ALL).await.unwrap();
        assert_eq!(report.items.iter().map(|i| i.state).collect::<Vec<_>>(), [State::Waiting; 2]);
        assert_eq!(times(&world), [0, 0]);
        let run = &report.run;
        let again = runner.resume(run, &[]).await.unwrap();
        assert_eq!(again.items[0].needs, report.items[0].needs, "without a word nothing goes on");
        assert_eq!(Report::of(&world.store().read(run).unwrap()).items[0].needs, report.items[0].needs);
        assert_eq!(times(&world), [0, 0]);

        let word = world.obey(&report.items[0]).unwrap();
        assert_eq!(word, "acct=key2");
        let second = runner.resume(run, &["ACCT".into()]).await.unwrap();
        assert_eq!(times(&world), [1, 0]);
        assert_eq!(world.account("other", |a| a.times), [0, 0], "the word was about the other one");
        let word = world.obey(&second.items[0]).unwrap();
        assert_eq!(word, "acct=key1");
        assert_eq!(world.account("acct", |a| a.consumed.clone()), "canary-key1-1");

        let third = runner.resume(run, std::slice::from_ref(&word)).await.unwrap();
        assert_eq!((third.items[0].until, third.items[0].before), (Some(world.now() + WEEK), Some(Act::RegenerateKey2)));
        world.time.pass(WEEK - TimeDelta::seconds(1));
        assert_eq!(runner.resume(run, &[]).await.unwrap().items[0].state, State::Waiting);
        assert_eq!(times(&world), [1, 0]);
        world.time.pass(TimeDelta::seconds(1));
        let fourth = runner.resume(run, &[]).await.unwrap();
        assert_eq!((fourth.items[0].state, times(&world)), (State::Done, [1, 1]));
        assert_eq!(fourth.next.storage_accounts.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["other"]);

        world.finish_accounts(run).await;
        world.assert_renewed("a full run");
        let calls = world.with(|w| w.calls.len());
        runner.resume(run, &[]).await.unwrap();
        assert_eq!(world.with(|w| w.calls.len()), calls, "a run that is over makes no call");
        let journal = std::fs::read_to_string(world.store().path(run)).unwrap();
        assert!(!journal.contains("canary") && journal.contains("activity log"), "{journal}");
        assert!(world.store().unfinished().unwrap().is_empty());
    }
}

/// However often the same words are given and whatever comes between, a second key takes a second question.
#[tokio::test]
async fn the_same_command_again_is_no_word_about_the_other_key() {
    let world = world(&["acct"]);
    let run = begun(&world, true).await.run;
    let runner = world.runner();
    for bad in ["acct=key1", "acct=key3", "acct=", "other", "other=key2"] {
        let error = runner.resume(&run, &[bad.into()]).await.unwrap_err().to_string();
        assert!(error.contains(bad), "{error}");
    }
    assert_eq!(times(&world), [0, 0]);
    let report = runner.resume(&run, &[]).await.unwrap();
    let word = world.obey(&report.items[0]).unwrap();
    for word in [&word, "acct", &word, "acct", "ACCT"] {
        let report = runner.resume(&run, &[word.to_owned()]).await.unwrap();
        assert_eq!(times(&world), [1, 0]);
        assert!(report.items[0].needs.as_ref().unwrap().ends_with("acct=key1`"));
        world.time.pass(TimeDelta::days(30));
    }
    let both = runner.resume(&run, &[word, "acct=key1".into()]).await.unwrap();
    assert_eq!((times(&world), both.items[0].until.is_some()), ([1, 0], true));
}

/// Words for both keys in one command, time enough, no grace: still one key.
#[tokio::test]
async fn never_both_keys_in_one_command() {
    for moved in [&["acct", "acct"][..], &["acct=key2", "acct=key1"], &["acct=key2"], &["acct"]] {
        let world = world(&["acct"]);
        let plan = world.storage_plan(&crate::select::Wish { grace: crate::Period::ZERO, ..wish(StorageWish::Rotate, false) }).await;
        let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
        world.obey(&report.items[0]).unwrap();
        let words: Vec<String> = moved.iter().map(|m| (*m).to_owned()).collect();
        let _refused_or_not = world.runner().resume(&report.run, &words).await;
        assert!(times(&world).iter().sum::<usize>() <= 1, "{moved:?}");
        world.assert_sound("one breath");
        world.finish_accounts(&report.run).await;
        world.assert_renewed("no grace");
    }
}

#[tokio::test]
async fn a_sink_that_fails_loses_nothing() {
    for call in ["store", "publish"] {
        let world = world(&["acct"]);
        let report = begun(&world, true).await;
        let word = world.obey(&report.items[0]).unwrap();
        world.with(|w| w.broken.insert(call.to_owned(), super::world::FAULTS[0]));
        let failed = world.runner().resume(&report.run, &[word]).await.unwrap();
        assert_eq!((times(&world), failed.items[0].state), ([1, 0], State::Waiting));
        assert!(failed.items[0].error.as_ref().unwrap().contains("delivers it again"), "{failed:#?}");
        assert_eq!(failed.items[0].needs, None, "nobody is sent to a key that is not delivered");
        let early = world.runner().resume(&report.run, &["acct=key1".into()]).await.unwrap_err();
        assert!(early.to_string().contains("has not asked"), "{early}");
        world.with(|w| w.broken.clear());
        world.finish_accounts(&report.run).await;
        world.assert_renewed(call);
    }
}

#[tokio::test]
async fn two_accounts_with_one_place_are_refused() {
    let world = world(&["acct-a", "acct-b"]);
    let plan = world.storage_plan(&wish(StorageWish::Rotate, true)).await;
    for error in [world.runner().preview(&plan, &Step::ALL).await.err(), world.runner().apply(plan, &Step::ALL).await.err()] {
        let error = error.unwrap().to_string();
        assert!(error.contains("the secrets of acct-a and acct-b would both go to") && error.contains("put {account}"), "{error}");
    }
    assert!(world.with(|w| w.effects.is_empty()));
}

#[tokio::test]
async fn a_later_step_alone_touches_no_account() {
    let world = world(&["acct"]);
    let plan = world.storage_plan(&wish(StorageWish::Disable, true)).await;
    let report = world.runner().apply(plan, &[Step::Deactivate, Step::Delete]).await.unwrap();
    assert_eq!((report.items[0].state, world.with(|w| w.calls.len())), (State::Untouched, 0));
}

#[tokio::test]
async fn what_was_not_regenerated_is_taken_back_and_the_rest_says_why_not() {
    for sink in [true, false] {
        let world = world(&["acct"]);
        let report = begun(&world, sink).await;
        let current = world.account("acct", |a| a.current.clone());
        let undone = world.runner().undo("ACCT").await.unwrap();
        assert_eq!(undone.items[0].state, State::Undone);
        assert_eq!(world.account("acct", |a| (a.times, a.current.clone())), ([0, 0], current), "consumers may have key2, and it works");
        assert!(world.runner().resume(&report.run, &["acct".into()]).await.is_err());
        assert_eq!(times(&world), [0, 0]);
        assert!(world.store().unfinished().unwrap().is_empty());

        let report = begun(&world, sink).await;
        let run = report.run;
        for expected in ["goes on", "both keys are new"] {
            if expected == "goes on" {
                let word = world.obey(&report.items[0]).unwrap();
                world.runner().resume(&run, &[word]).await.unwrap();
            } else {
                world.finish_accounts(&run).await;
            }
            let before = world.account("acct", |a| a.values.clone());
            let kept = world.runner().undo(&run).await.unwrap();
            let refusal = kept.items[0].refusal.clone().unwrap();
            assert_eq!(refusal.guard, Guard::Irreversible);
            assert!(refusal.reason.contains(expected), "{}", refusal.reason);
            assert_eq!(world.account("acct", |a| a.values.clone()), before);
        }
        world.assert_renewed("after two attempts to undo");
    }
}

#[tokio::test]
async fn another_run_is_kept_off_an_account_that_is_being_moved() {
    let world = world(&["acct"]);
    let first = begun(&world, false).await;
    let mut plan = world.storage_plan(&wish(StorageWish::Rotate, false)).await;
    plan.storage_accounts[0].id = id("acct").to_uppercase().replace("ACCT", "acct");
    let second = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let refusal = second.items[0].refusal.clone().unwrap();
    assert!(refusal.guard == Guard::UnfinishedRun && refusal.reason.contains(&first.run), "{refusal}");
}
