//! Runs that nothing disturbs, whole and step by step, back and forth.

use super::world::World;
use crate::run::Report;
use crate::{Act, Guard, KeyStatus, LastUse, State, Step};
use chrono::TimeDelta;

const WEEK: TimeDelta = TimeDelta::days(7);

fn states(report: &Report) -> Vec<State> {
    report.items.iter().map(|i| i.state).collect()
}

#[tokio::test]
async fn a_run_goes_through_all_steps_and_waits_in_between() {
    let world = World::new(&["ada", "bob", "root"]);
    let plan = world.plan(&World::wish()).await;
    let runner = world.runner();
    let shown = runner.preview(&plan, &Step::ALL).await.unwrap();
    assert!(shown.iter().all(|i| i.state == State::Untouched && i.refusal.is_none() && i.error.is_none()), "{shown:#?}");
    assert_eq!(world.with(|w| w.effects.len()), 0, "a preview changes nothing");

    let report = runner.apply(plan, &Step::ALL).await.unwrap();
    assert_eq!(states(&report), [State::Waiting; 3]);
    let published = world.now();
    assert_eq!((report.items[0].until, report.items[0].before), (Some(published + WEEK), Some(Act::Deactivate)));
    assert_eq!(report.next.access_keys[0].steps, [Step::Deactivate, Step::Delete]);
    let first = world.with(|w| w.effects[..4].to_vec());
    let acts: Vec<&str> = first.iter().map(|e| e.split(' ').next().unwrap()).collect();
    assert_eq!(acts, ["CreateAccessKey", "store", "publish", "CreateAccessKey"], "{first:?}");

    world.time.pass(WEEK - TimeDelta::seconds(1));
    let early = runner.resume(&report.run, &[]).await.unwrap();
    assert_eq!(states(&early), [State::Waiting; 3]);
    assert_eq!(world.count("UpdateAccessKey"), 0);

    world.time.pass(TimeDelta::seconds(1));
    let inactive = runner.resume(&report.run, &[]).await.unwrap();
    assert_eq!(states(&inactive), [State::Deactivated; 3]);
    assert_eq!(inactive.items[0].before, Some(Act::Delete));
    world.time.pass(WEEK);
    let done = runner.resume(&report.run, &[]).await.unwrap();
    assert_eq!(states(&done), [State::Done; 3]);
    assert!(done.next.is_empty());
    world.assert_rotated("full run");
    for (call, count) in [("CreateAccessKey", 3), ("UpdateAccessKey", 3), ("DeleteAccessKey", 3), ("GetCallerIdentity", 3)] {
        assert_eq!(world.count(call), count, "{call}");
    }

    let calls = world.with(|w| w.calls.len());
    assert_eq!(states(&runner.resume(&report.run, &[]).await.unwrap()), [State::Done; 3]);
    assert_eq!(world.with(|w| w.calls.len()), calls, "a run that is over makes no call");
    let told = Report::of(&world.store().read(&report.run).unwrap());
    assert_eq!(states(&told), [State::Done; 3]);
}

#[tokio::test]
async fn nothing_that_is_left_holds_a_secret_and_all_of_it_is_private() {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    assert!(!format!("{report:?}").contains("canary"));
    let mut files = vec![world.state()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            files.extend(std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            assert!(!std::fs::read_to_string(&path).unwrap().contains("canary"), "{}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 3, "journal, head, lock");
}

#[tokio::test]
async fn every_step_works_alone_on_the_list_of_the_step_before() {
    let world = World::new(&["ada", "bob"]);
    let plan = world.plan(&World::wish()).await;
    let runner = world.runner();
    let handed = |report: Report| crate::Plan::read("next.yaml", &report.next.to_yaml().unwrap()).unwrap();
    // Without a new key there is nothing to fall back on.
    let alone = runner.apply(plan.clone(), &[Step::Deactivate]).await.unwrap();
    assert!(alone.items.iter().all(|i| i.refusal.as_ref().is_some_and(|r| r.guard == Guard::OnlyWorkingKey)), "{alone:#?}");
    let alone = runner.apply(plan.clone(), &[Step::Delete]).await.unwrap();
    assert!(alone.items.iter().all(|i| i.refusal.is_some()));
    assert_eq!(world.with(|w| w.effects.len()), 0);

    let created = runner.apply(plan, &[Step::Create]).await.unwrap();
    assert_eq!(states(&created), [State::Done; 2]);
    let next = handed(created);
    assert!(next.access_keys.iter().all(|i| i.replaced_by.is_some() && i.steps == [Step::Deactivate, Step::Delete]));
    let early = runner.apply(next.clone(), &[Step::Deactivate]).await.unwrap();
    assert_eq!(states(&early), [State::Waiting; 2], "the grace period goes on over runs");
    let skipped = runner.apply(next.clone(), &[Step::Delete]).await.unwrap();
    assert!(skipped.items.iter().all(|i| i.refusal.as_ref().is_some_and(|r| r.guard == Guard::NotInactive)), "{skipped:#?}");
    world.time.pass(WEEK);
    let off = runner.apply(next, &[Step::Deactivate]).await.unwrap();
    assert_eq!(states(&off), [State::Done; 2]);
    let next = handed(off);
    assert!(next.access_keys.iter().all(|i| i.deactivated_at.is_some() && i.steps == [Step::Delete]));
    world.time.pass(WEEK);
    let gone = runner.apply(next, &[Step::Delete]).await.unwrap();
    assert_eq!(states(&gone), [State::Done; 2]);
    world.assert_rotated("step by step");
    let empty = runner.apply(handed(gone), &Step::ALL).await.unwrap();
    assert!(empty.run.is_empty() && empty.items.is_empty(), "an empty list is skipped");
}

#[tokio::test]
async fn undo_takes_back_what_can_be_taken_back() {
    // After the new key is out, after the old one is inactive, after it is deleted.
    for weeks in 0..3 {
        let world = World::new(&["ada", "bob"]);
        let plan = world.plan(&World::wish()).await;
        let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
        for _ in 0..weeks {
            world.time.pass(WEEK);
            world.runner().resume(&report.run, &[]).await.unwrap();
        }
        let undone = world.runner().undo(&report.run).await.unwrap();
        if weeks == 2 {
            assert_eq!(states(&undone), [State::Done; 2]);
            assert!(undone.items.iter().all(|i| i.refusal.as_ref().is_some_and(|r| r.guard == Guard::Changed)), "{undone:#?}");
            world.assert_rotated("a deleted key cannot come back");
            continue;
        }
        assert_eq!(states(&undone), [State::Undone; 2], "{undone:#?}");
        assert!(undone.next.is_empty());
        world.assert_restored("undo");
        let effects = world.with(|w| w.effects.len());
        assert_eq!(states(&world.runner().resume(&report.run, &[]).await.unwrap()), [State::Undone; 2]);
        assert_eq!(states(&world.runner().undo(&report.run).await.unwrap()), [State::Undone; 2]);
        assert_eq!(world.with(|w| w.effects.len()), effects, "undone once");
        let again = world.plan(&World::wish()).await;
        assert_eq!(again.access_keys.len(), 2, "and it can be planned again");
    }
}

#[tokio::test]
async fn undo_of_one_key_leaves_the_others() {
    let world = World::new(&["ada", "bob"]);
    let plan = world.plan(&World::wish()).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let new = report.items[1].new_key.clone().unwrap();
    let undone = world.runner().undo(&new).await.unwrap();
    assert_eq!(states(&undone), [State::Waiting, State::Undone]);
    world.time.pass(WEEK);
    world.runner().resume(&report.run, &[]).await.unwrap();
    world.time.pass(WEEK);
    let end = world.runner().resume(&report.run, &[]).await.unwrap();
    assert_eq!(states(&end), [State::Done, State::Undone]);
    world.assert_sound("undo of one");
    assert!(world.runner().undo("AKIANOBODY000000000").await.unwrap_err().to_string().contains("no run has changed such a key"));
}

#[tokio::test]
async fn a_new_key_that_is_used_is_never_deleted_and_the_old_one_works_again() {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    world.time.pass(WEEK);
    world.runner().resume(&report.run, &[]).await.unwrap();
    let at = world.now();
    // The call that proved it was of sts, too, but that was a week ago.
    world.change("ada", |u| u.keys[1].used = Some(LastUse { at, service: Some("sts".into()), region: None }));
    let undone = world.runner().undo(&report.run).await.unwrap();
    assert_eq!(undone.items[0].refusal.as_ref().unwrap().guard, Guard::UsedSince);
    assert_eq!(undone.items[0].state, State::Waiting);
    let keys = world.user("ada", |u| u.keys.iter().map(|k| k.live.status).collect::<Vec<_>>());
    assert_eq!(keys, [KeyStatus::Active; 2], "both work");
    world.assert_sound("undo of a used key");
    assert_eq!(world.count("withdraw"), 0, "and the sink still has it");
    assert!(world.store().unfinished().unwrap().is_empty(), "so that it can be planned with --retire");
}

#[tokio::test]
async fn retiring_deletes_the_key_that_nobody_uses() {
    let world = World::new(&["ada", "bob"]);
    let start = world.now();
    for (name, status) in [("ada", KeyStatus::Active), ("bob", KeyStatus::Inactive)] {
        world.change(name, |u| {
            let mut second = u.keys[0].clone();
            second.live.id = format!("AKIASECOND0000000{name}").to_uppercase();
            second.used = Some(LastUse { at: start - TimeDelta::days(1), service: Some("s3".into()), region: None });
            // Consumers work with the second one.
            u.first.clone_from(&second.live.id);
            u.keys[0].live.status = status;
            u.keys.push(second);
        });
    }
    let plan = world.plan(&crate::select::Wish { retire: true, sink: None, ..World::wish() }).await;
    let steps: Vec<_> = plan.access_keys.iter().map(|i| i.steps.clone()).collect();
    assert_eq!(steps, [vec![Step::Deactivate, Step::Delete], vec![Step::Delete]], "{plan:#?}");
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    assert_eq!(states(&report), [State::Deactivated, State::Done], "{report:#?}");
    world.time.pass(WEEK);
    let end = world.runner().resume(&report.run, &[]).await.unwrap();
    assert_eq!(states(&end), [State::Done; 2]);
    world.assert_sound("retire");
    world.with(|w| assert!(w.users.values().all(|u| u.keys.len() == 1 && u.keys[0].live.id == u.first)));
}

#[tokio::test]
async fn a_plan_that_may_not_run_as_a_whole_begins_nothing() {
    let world = World::new(&["ada", "bob"]);
    let plan = world.plan(&World::wish()).await;
    let mut runner = world.runner();
    runner.max = 1;
    let error = runner.apply(plan.clone(), &Step::ALL).await.unwrap_err().to_string();
    assert!(error.contains("too_many") && error.contains("2 keys"), "{error}");
    runner.max = 2;
    for (sink, says) in [(None, "nowhere to go"), (Some("nosuch:x".to_owned()), "no sink")] {
        let plan = crate::Plan { sink, ..plan.clone() };
        assert!(runner.preview(&plan, &Step::ALL).await.unwrap_err().to_string().contains(says));
        assert!(runner.apply(plan, &Step::ALL).await.unwrap_err().to_string().contains(says));
    }
    assert!(runner.apply(plan.clone(), &[]).await.unwrap_err().to_string().contains("no step"));
    runner.exclusions.names = vec!["[".into()];
    assert!(runner.apply(plan, &Step::ALL).await.unwrap_err().to_string().contains("no pattern"));
    assert_eq!(world.store().runs().unwrap().len(), 0);
    assert_eq!(world.with(|w| w.calls.len()), 0);
}

#[tokio::test]
async fn two_runs_do_not_overlap_in_time_or_in_keys() {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    let held = crate::lock::Lock::take(&world.store(), "aws", super::world::ACCOUNT, &crate::lock::Owner::here("other"), &world.clock());
    let error = world.runner().apply(plan.clone(), &Step::ALL).await.unwrap_err().to_string();
    assert!(error.contains("being worked on by run other"), "{error}");
    drop(held);
    let report = world.runner().apply(plan.clone(), &Step::ALL).await.unwrap();
    let second = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let refusal = second.items[0].refusal.as_ref().unwrap();
    assert_eq!(refusal.guard, Guard::UnfinishedRun);
    assert!(refusal.reason.contains(&report.run));
    let shown = world.runner().preview(&second.next, &Step::ALL).await.unwrap();
    assert_eq!(shown[0].refusal.as_ref().unwrap().guard, Guard::UnfinishedRun);
    let wish = crate::select::Wish { unfinished: world.store().unfinished().unwrap(), ..World::wish() };
    assert!(world.plan(&wish).await.left_alone.iter().any(|l| l.because.guard == Guard::UnfinishedRun));
    assert_eq!(world.count("CreateAccessKey"), 0, "the calls were counted anew with the plan");
}

#[tokio::test]
async fn what_a_command_handed_out_is_not_deleted_by_undo() {
    let world = World::new(&["ada"]);
    world.with(|w| w.command = true);
    let plan = world.plan(&World::wish()).await;
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    world.time.pass(WEEK);
    world.runner().resume(&report.run, &[]).await.unwrap();
    let undone = world.runner().undo(&report.run).await.unwrap();
    assert_eq!(undone.items[0].refusal.as_ref().unwrap().guard, Guard::HandedOut);
    let keys = world.user("ada", |u| u.keys.iter().map(|k| k.live.status).collect::<Vec<_>>());
    assert_eq!(keys, [KeyStatus::Active; 2], "both work");
    world.assert_sound("undo of a command");
    let new = undone.items[0].new_key.clone().unwrap();
    world.change("ada", |u| u.current.clear()); // somebody gave the old one back to the consumers
    let undone = world.runner().undo(&new).await.unwrap();
    assert_eq!(states(&undone), [State::Undone], "{undone:#?}");
    world.assert_restored("undo by the new key's name");
}
