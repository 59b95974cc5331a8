//! Kill -9 at every point: before and after the effect of every call, before, in the middle of and after every line of the journal.

use super::world::World;
use crate::{Guard, Plan, State, Step};
use chrono::TimeDelta;
use std::sync::Arc;

const WEEK: TimeDelta = TimeDelta::days(7);

/// What a run goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Apply,
    Resume,
    Undo,
}

use Phase::{Apply, Resume, Undo};

async fn world(lag: i64, command: bool) -> (Arc<World>, Plan) {
    let world = World::new(&["ada"]);
    world.with(|w| {
        w.lag = TimeDelta::seconds(lag);
        w.command = command;
    });
    let plan = world.plan(&World::wish()).await;
    (world, plan)
}

/// One phase; false: the process was killed in it.
async fn go(world: &Arc<World>, plan: &Plan, phase: Phase) -> bool {
    let runner = world.runner();
    let Some(run) = world.run().filter(|_| phase != Apply) else {
        return phase != Apply || world.live(runner.apply(plan.clone(), &Step::ALL)).await.is_some();
    };
    match phase {
        Undo => world.live(runner.undo(&run)).await.is_some(),
        _ => {
            world.time.pass(WEEK);
            world.live(runner.resume(&run, &[])).await.is_some()
        }
    }
}

/// Goes through `before`, then is killed at the n-th point of `last`; `None`: there are not so many.
async fn killed(before: &[Phase], last: Phase, point: usize, lag: i64, command: bool) -> Option<(Arc<World>, Plan)> {
    let (world, plan) = world(lag, command).await;
    for phase in before {
        assert!(go(&world, &plan, *phase).await);
    }
    world.kill_at(point);
    (!go(&world, &plan, last).await).then_some((world, plan))
}

/// Everything that can be said about a crash and going on after it. Gives the number of points. Where what is shown lags behind, a third of
/// them says enough.
async fn every_point(before: &[Phase], last: Phase, lag: i64) -> usize {
    for point in (1..).step_by(if lag == 0 { 1 } else { 3 }) {
        let what = format!("{before:?}, then killed at point {point} of {last:?}, lag {lag}");
        let Some((world, plan)) = killed(before, last, point, lag, false).await else { return point - 1 };
        world.assert_sound(&what);
        match world.run() {
            Some(run) if last == Undo => {
                // Whoever goes on, goes on taking back.
                let report = world.runner().resume(&run, &[]).await.unwrap();
                if report.items[0].state != State::Undone {
                    world.runner().undo(&run).await.unwrap();
                }
                let state = world.runner().resume(&run, &[]).await.unwrap().items[0].state;
                assert!(matches!(state, State::Undone | State::Done), "{what}: {state}: {report:#?}");
            }
            Some(run) => drop(world.finish(&run).await),
            None => {
                assert!(world.with(|w| w.effects.is_empty()), "{what}: nothing is changed before the first line");
                let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
                drop(world.finish(&report.run).await);
            }
        }
        // A crash before the line that says so is none of an undo.
        let undone = last == Undo && world.run().is_some_and(|run| has_undo(&world, &run));
        match undone {
            true => world.assert_restored(&what),
            false if last == Undo => world.assert_sound(&what),
            false => world.assert_rotated(&what),
        }
        if last == Undo {
            continue;
        }
        let (world, _) = killed(before, last, point, lag, false).await.unwrap();
        let gone = world.user("ada", |u| u.status(&u.first.clone()).is_none());
        if let Some(run) = world.run() {
            world.runner().undo(&run).await.unwrap();
        }
        if gone {
            world.assert_rotated(&format!("{what}, undo"))
        } else {
            world.assert_restored(&format!("{what}, undo"))
        }
        assert!(world.store().unfinished().unwrap().is_empty(), "{what}, undo");
    }
    unreachable!()
}

fn has_undo(world: &Arc<World>, run: &str) -> bool {
    world.store().read(run).unwrap().entries.iter().any(|e| matches!(e.event, crate::Event::Undo { .. }))
}

#[tokio::test]
async fn killed_at_every_point_of_every_phase() {
    for lag in [0, 3] {
        assert!(every_point(&[], Apply, lag).await > 70);
        assert!(every_point(&[Apply], Resume, lag).await > 25);
        assert!(every_point(&[Apply, Resume], Resume, lag).await > 25);
        assert!(every_point(&[Apply], Undo, lag).await > 25);
        assert!(every_point(&[Apply, Resume], Undo, lag).await > 35);
    }
}

#[tokio::test]
async fn killed_again_while_going_on_after_being_killed() {
    for first in (1..).step_by(5) {
        let Some(_) = killed(&[], Apply, first, 0, false).await else { break };
        for second in (1 + first % 13..).step_by(13) {
            let (world, plan) = killed(&[], Apply, first, 0, false).await.unwrap();
            let Some(run) = world.run() else { break };
            world.kill_at(second);
            let whole = go(&world, &plan, if second % 2 == 0 { Undo } else { Resume }).await;
            let what = format!("killed at {first}, then at {second}");
            world.assert_sound(&what);
            let state = world.finish(&run).await.items[0].state;
            match state {
                State::Undone => world.assert_restored(&what),
                _ => world.assert_rotated(&what),
            }
            if whole {
                break;
            }
        }
    }
}

/// A command cannot be asked what became of it: a person has to say.
#[tokio::test]
async fn a_command_that_was_cut_off_waits_for_a_word() {
    let mut asked = 0;
    for point in 1.. {
        let what = format!("killed at point {point}");
        for undo in [false, true] {
            let Some((world, _)) = killed(&[], Apply, point, 0, true).await else {
                assert!(asked > 4, "{asked}");
                return;
            };
            let Some(run) = world.run() else { continue };
            let report = world.runner().resume(&run, &[]).await.unwrap();
            world.assert_sound(&what);
            let Some(needs) = &report.items[0].needs else {
                world.finish(&run).await;
                world.assert_sound(&what);
                continue;
            };
            asked += 1;
            let new = report.items[0].new_key.clone().unwrap();
            assert!(needs.contains(&format!("--moved {new}")), "{needs}");
            assert_eq!(report.items[0].state, State::NewKeyLeft);
            let handed = world.user("ada", |u| u.consumed() == new);
            match (handed, undo) {
                (true, true) => {
                    let kept = world.runner().undo(&run).await.unwrap();
                    assert_eq!(kept.items[0].refusal.as_ref().unwrap().guard, Guard::HandedOut);
                    world.assert_sound(&what);
                }
                (true, false) => {
                    let moved = world.runner().resume(&run, &[new]).await.unwrap();
                    assert_eq!(moved.items[0].state, State::Waiting, "{moved:#?}");
                    world.finish(&run).await;
                    world.assert_rotated(&what);
                }
                (false, true) => {
                    world.runner().undo(&new).await.unwrap();
                    world.assert_restored(&what);
                }
                (false, false) => {
                    let error = world.runner().resume(&run, &["AKIAOTHER00000000000".into()]).await.unwrap_err();
                    assert!(error.to_string().contains("no such key"), "{error}");
                }
            }
        }
    }
}

/// Dropping the future of a run, as Ctrl-C does, is a crash that gives its locks back.
#[tokio::test]
async fn a_run_that_is_dropped_can_be_gone_on_with_at_once() {
    for call in 1.. {
        let (world, plan) = world(0, false).await;
        world.with(|w| w.hangs = Some(call));
        let runner = world.runner();
        let ended = tokio::select! {
            biased;
            () = world.death() => false,
            _ = runner.apply(plan, &Step::ALL) => true,
        };
        if ended {
            assert!(call > 8, "{call}");
            return;
        }
        world.with(|w| w.hangs = None);
        let run = world.run().unwrap();
        let report = world.runner().resume(&run, &[]).await.unwrap();
        assert_eq!(report.notes, Vec::<String>::new(), "the lock was given back");
        world.finish(&run).await;
        world.assert_rotated("dropped");
    }
}

#[tokio::test]
async fn the_lock_of_a_killed_run_is_taken_over_and_said_so() {
    let (world, plan) = world(0, false).await;
    world.kill_at(60);
    assert!(world.live(world.runner().apply(plan, &Step::ALL)).await.is_none());
    let run = world.run().unwrap();
    let report = world.runner().resume(&run, &[]).await.unwrap();
    assert!(report.notes[0].contains(&format!("aws-123456789012 that run {run} of ")), "{:?}", report.notes);
    let told = world.store().read(&run).unwrap().entries;
    assert!(told.iter().any(|e| matches!(&e.event, crate::Event::TookOver { lock, .. } if lock == "aws-123456789012")));
}
