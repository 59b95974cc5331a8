//! Storage accounts: killed at every point, and every call answered once with every error; then finished, or taken back.

use super::storage_world::{wish, world};
use super::world::{FAULTS, World};
use crate::run::Report;
use crate::select::StorageWish;
use crate::{Plan, State, Step};
use chrono::TimeDelta;
use std::sync::Arc;

/// The commands of a whole run: apply, and resumes with the words that are asked for.
const COMMANDS: usize = 4;

async fn new_world(storage: StorageWish, sink: bool) -> (Arc<World>, Plan) {
    let world = world(&["acct"]);
    let plan = world.storage_plan(&wish(storage, sink)).await;
    world.with(|w| w.calls.clear());
    (world, plan)
}

/// The words of the command before this one; a person who is not told anything gives none.
async fn command(world: &Arc<World>, plan: &Plan, number: usize, words: &[String]) -> Option<Report> {
    let runner = world.runner();
    match world.run().filter(|_| number > 0) {
        None => world.live(runner.apply(plan.clone(), &Step::ALL)).await.map(Result::unwrap),
        Some(run) => world.live(runner.resume(&run, words)).await.map(Result::unwrap),
    }
}

/// Goes through whole commands, and is killed at the n-th point of the last one. The words of that one; `None`: it has not so many points.
async fn killed(last: usize, point: usize, storage: StorageWish, sink: bool) -> Option<(Arc<World>, Plan, Vec<String>)> {
    let (world, plan) = new_world(storage, sink).await;
    let mut words = Vec::new();
    for number in 0..=last {
        if number == last {
            world.kill_at(point);
        }
        let Some(report) = command(&world, &plan, number, &words).await else { return Some((world, plan, words)) };
        words = report.items.iter().filter_map(|i| world.obey(i)).collect();
        world.time.pass(TimeDelta::days(7));
    }
    None
}

async fn go_on(world: &Arc<World>, plan: &Plan) -> String {
    match world.run() {
        Some(run) => run,
        None => {
            assert!(world.with(|w| w.effects.is_empty()), "nothing is changed before the first line");
            world.runner().apply(plan.clone(), &Step::ALL).await.unwrap().run
        }
    }
}

#[tokio::test]
async fn killed_at_every_point_of_every_command() {
    let mut points = 0;
    for sink in [true, false] {
        for last in 0..COMMANDS {
            for point in (1..).step_by(if sink { 1 } else { 3 }) {
                let what = format!("sink {sink}, killed at point {point} of command {last}");
                let Some((world, plan, words)) = killed(last, point, StorageWish::Rotate, sink).await else { break };
                points += 1;
                world.assert_sound(&what);
                // Whoever gives the same command again has said nothing new.
                let run = go_on(&world, &plan).await;
                for words in [words.clone(), words.iter().map(|w| w.split('=').next().unwrap().to_owned()).collect()] {
                    let again = world.runner().resume(&run, &words).await;
                    assert!(again.is_ok() || last == 0, "{what}: {:?}", again.err());
                    world.time.pass(TimeDelta::days(8));
                    world.assert_sound(&what);
                    world.runner().resume(&run, &[]).await.unwrap();
                    world.assert_sound(&what);
                }
                world.finish_accounts(&run).await;
                world.assert_renewed(&what);

                let (world, plan, _) = killed(last, point, StorageWish::Rotate, sink).await.unwrap();
                let run = go_on(&world, &plan).await;
                world.time.pass(TimeDelta::hours(1));
                let report = world.runner().undo(&run).await.unwrap();
                world.assert_sound(&what);
                let touched = world.account("acct", |a| a.times != [0, 0]);
                assert_eq!(report.items[0].state == State::Undone, !touched, "{what}: {report:#?}");
                assert!(touched || world.account("acct", |a| a.stored.is_none()), "{what}: a stored value that nobody gets is left");
                if touched {
                    world.finish_accounts(&run).await;
                    world.assert_renewed(&what);
                }
                assert!(world.store().unfinished().unwrap().is_empty(), "{what}");
            }
        }
    }
    assert!(points > 180, "{points}");
}

#[tokio::test]
async fn settings_are_made_once_whenever_killed() {
    for storage in [StorageWish::ExpirationPolicy(crate::Period::days(90)), StorageWish::Disable] {
        for point in 1.. {
            let what = format!("{storage:?}, killed at point {point}");
            let Some((world, plan, _)) = killed(0, point, storage, false).await else {
                assert!(point > 30, "{point}");
                break;
            };
            let run = go_on(&world, &plan).await;
            let report = world.finish_accounts(&run).await;
            assert_eq!(report.items[0].state, State::Done);
            world.assert_sound(&what);
            assert_eq!(world.with(|w| w.effects.len()), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn every_call_is_answered_once_with_every_error() {
    let mut tried = 0;
    for sink in [true, false] {
        for number in 1.. {
            let mut reached = false;
            for fault in FAULTS {
                let (world, plan) = new_world(StorageWish::Rotate, sink).await;
                world.with(|w| w.faults.insert(number, fault));
                let mut words = Vec::new();
                for now in 0..COMMANDS {
                    let before = world.with(|w| w.calls.len());
                    let report = command(&world, &plan, now, &words).await.unwrap();
                    words = report.items.iter().filter_map(|i| world.obey(i)).collect();
                    world.time.pass(TimeDelta::days(7));
                    let Some(call) = world.with(|w| w.calls.get(number - 1).cloned()).filter(|_| number > before) else { continue };
                    let item = &report.items[0];
                    let what = format!("call {number} ({call}) of command {now} answered with {fault:?}: {item:#?}");
                    world.assert_sound(&what);
                    let name = call.split(' ').next().unwrap();
                    let harmless = name == "event" || fault.effect && matches!(name, "regenerateKey" | "publish");
                    assert!(harmless || item.error.is_some(), "a fault is told: {what}");
                    let states: &[State] = match (name, now) {
                        _ if harmless => &[State::Waiting, State::Done],
                        ("regenerateKey", _) if fault.certain => &[State::Waiting],
                        ("regenerateKey", _) => &[State::Unknown],
                        ("account", 1 | 3) => &[State::Waiting, State::Unknown],
                        (_, 0) => &[State::Untouched, State::Waiting],
                        _ => &[State::Waiting],
                    };
                    assert!(states.contains(&item.state), "{what}");
                    let told = Report::of(&world.store().read(&report.run).unwrap());
                    assert_eq!(told.items[0].state, item.state, "the journal says the same: {what}");
                    (reached, tried) = (true, tried + 1);
                    world.finish_accounts(&report.run).await;
                    world.assert_renewed(&what);
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

/// A call whose answer was lost is not made again before it can no longer take effect.
#[tokio::test]
async fn a_lost_call_is_not_repeated_blindly() {
    let (world, plan) = new_world(StorageWish::Rotate, false).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let word = world.obey(&report.items[0]).unwrap();
    world.with(|w| w.broken.insert("regenerateKey".into(), FAULTS[11]));
    let lost = world.runner().resume(&report.run, &[word]).await.unwrap();
    assert_eq!(lost.items[0].state, State::Unknown);
    world.with(|w| w.broken.clear());
    let soon = world.runner().resume(&report.run, &[]).await.unwrap();
    assert!(soon.items[0].until.is_some() && world.count("regenerateKey") == 1, "{soon:#?}");
    world.finish_accounts(&report.run).await;
    world.assert_renewed("a lost call");
}
