//! Every guard where it counts: the world changes between plan and apply, or while a run waits, and the write does not happen.

use super::world::{User, World};
use crate::run::{Exclusions, Runner};
use crate::{Guard, KeyStatus, LastUse, Period, Plan, State, Step};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

const WEEK: TimeDelta = TimeDelta::days(7);

/// When the world changes: before `apply`, before the deactivation, before the deletion.
const STAGES: [State; 3] = [State::Untouched, State::Waiting, State::Deactivated];

type Change = fn(&Arc<World>, &mut Runner);

fn change(world: &Arc<World>, act: impl FnOnce(&mut User)) {
    world.change("ada", act);
}

fn used(at: DateTime<Utc>) -> Option<LastUse> {
    Some(LastUse { at, service: Some("s3".into()), region: None })
}

/// A change, the guard that sees it, and at which stages it has to.
const CASES: &[(&str, Change, Guard, [bool; 3])] = &[
    ("own key", |w, _| w.with(|i| i.own.push("AKIAOLD0000000000001".into())), Guard::OwnKey, [true; 3]),
    ("tag", |w, _| change(w, |u| drop(u.tags.insert("assay:rotate".into(), "Never".into()))), Guard::Excluded, [true; 3]),
    (
        "tag of ours",
        |w, r| {
            r.exclusions = Exclusions { tags: vec!["team=core".into()], ..Exclusions::default() };
            change(w, |u| drop(u.tags.insert("team".into(), "core".into())));
        },
        Guard::Excluded,
        [true; 3],
    ),
    ("name", |_, r| r.exclusions.names.push("A*".into()), Guard::Excluded, [true; 3]),
    (
        "path",
        |w, r| {
            r.exclusions.paths.push("/service/*".into());
            change(w, |u| u.path = "/service/mail/".into());
        },
        Guard::Excluded,
        [true; 3],
    ),
    ("ses policy", |w, _| change(w, |u| u.names.push("AmazonSesSendingAccess".into())), Guard::SesSmtp, [true; 3]),
    ("ses group", |w, _| change(w, |u| u.names.push("AWSSESSendingGroupDoNotRename".into())), Guard::SesSmtp, [true; 3]),
    ("another user of the name", |w, _| change(w, |u| u.id = "AIDAOTHER".into()), Guard::Changed, [true; 3]),
    ("another key of the id", |w, _| change(w, |u| u.keys[0].live.created += TimeDelta::seconds(1)), Guard::Changed, [true; 3]),
    ("the key is gone", |w, _| change(w, |u| drop(u.keys.remove(0))), Guard::Changed, [true; 3]),
    ("made inactive by somebody", |w, _| change(w, |u| u.keys[0].live.status = KeyStatus::Inactive), Guard::Changed, [true, true, false]),
    (
        "a key of somebody else",
        |w, _| {
            change(w, |u| {
                let mut other = u.keys[0].clone();
                other.live.id = "AKIASTRANGER00000001".into();
                // Of two keys the new one makes room for it.
                u.keys.truncate(1);
                u.keys.push(other);
            });
        },
        Guard::Changed,
        [true; 3],
    ),
    ("the new key is gone", |w, _| change(w, |u| u.keys.truncate(1)), Guard::OnlyWorkingKey, [false, true, true]),
    (
        "the new key is inactive",
        |w, _| change(w, |u| u.keys.last_mut().unwrap().live.status = KeyStatus::Inactive),
        Guard::OnlyWorkingKey,
        [false, true, true],
    ),
    (
        "used yesterday",
        |w, _| {
            let yesterday = w.now() - TimeDelta::days(1);
            change(w, |u| u.keys[0].used = used(yesterday));
        },
        Guard::UsedSince,
        [false, true, true],
    ),
    ("made active by somebody", |w, _| change(w, |u| u.keys[0].live.status = KeyStatus::Active), Guard::NotInactive, [false, false, true]),
    (
        "last use cannot be read",
        |w, _| {
            w.with(|i| {
                i.broken.insert("GetAccessKeyLastUsed".into(), super::world::FAULTS[0]);
            })
        },
        Guard::UnknownUse,
        [false, true, true],
    ),
];

/// A world at a stage, and its run.
async fn at(stage: State) -> (Arc<World>, Plan, Option<String>) {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    if stage == State::Untouched {
        return (world, plan, None);
    }
    let run = world.runner().apply(plan.clone(), &Step::ALL).await.unwrap().run;
    world.time.pass(WEEK);
    if stage == State::Deactivated {
        world.runner().resume(&run, &[]).await.unwrap();
        world.time.pass(WEEK);
    }
    (world, plan, Some(run))
}

#[tokio::test]
async fn what_changed_stops_the_next_write() {
    for (name, change, guard, holds) in CASES {
        for (stage, _) in STAGES.into_iter().zip(holds).filter(|(_, holds)| **holds) {
            let (world, plan, run) = at(stage).await;
            let mut runner = world.runner();
            change(&world, &mut runner);
            let before = world.with(|w| w.effects.clone());
            let report = match &run {
                None => {
                    let shown = runner.preview(&plan, &Step::ALL).await.unwrap();
                    assert_eq!(shown[0].refusal.as_ref().map(|r| r.guard), Some(*guard), "preview: {name}: {shown:#?}");
                    runner.apply(plan, &Step::ALL).await.unwrap()
                }
                Some(run) => runner.resume(run, &[]).await.unwrap(),
            };
            let item = &report.items[0];
            assert_eq!(item.refusal.as_ref().map(|r| r.guard), Some(*guard), "{name} at {stage}: {item:#?}");
            assert_eq!(item.state, stage, "{name}");
            assert_eq!(world.with(|w| w.effects.clone()), before, "{name} at {stage}");
            let told = std::fs::read_to_string(world.store().path(&report.run)).unwrap();
            assert!(told.contains(&format!("\"guard\":\"{guard}\"")), "{name}: the journal has it");
        }
    }
}

#[tokio::test]
async fn nothing_that_did_not_change_stops_a_write() {
    for stage in STAGES {
        let (world, plan, run) = at(stage).await;
        // What may change: other tags, other policies, the use of the new key, an old use of the old one.
        let long_ago = world.now() - TimeDelta::days(8);
        world.change("ada", |u| {
            u.tags.extend([("team".to_owned(), "core".to_owned()), ("assay:rotate".to_owned(), "always".to_owned())]);
            u.names.push("ReadOnly".into());
            u.keys[0].used = used(long_ago);
            if let Some(new) = u.keys.get_mut(1) {
                new.used = used(long_ago + TimeDelta::days(7));
            }
        });
        let report = match run {
            None => world.runner().apply(plan, &Step::ALL).await.unwrap(),
            Some(run) => world.runner().resume(&run, &[]).await.unwrap(),
        };
        assert!(report.items[0].refusal.is_none() && report.items[0].error.is_none(), "{stage}: {:#?}", report.items[0]);
        assert_ne!(report.items[0].state, stage);
    }
}

#[tokio::test]
async fn a_use_within_the_grace_period_says_when_it_is_over() {
    let (world, _, run) = at(State::Waiting).await;
    let run = run.unwrap();
    let yesterday = world.now() - TimeDelta::days(1);
    world.change("ada", |u| u.keys[0].used = used(yesterday));
    let item = world.runner().resume(&run, &[]).await.unwrap().items.remove(0);
    assert_eq!(item.until, Some(yesterday + WEEK));
    world.time.pass(TimeDelta::days(6) - TimeDelta::seconds(1));
    assert!(world.runner().resume(&run, &[]).await.unwrap().items[0].refusal.is_some());
    world.time.pass(TimeDelta::seconds(1));
    let item = world.runner().resume(&run, &[]).await.unwrap().items.remove(0);
    assert_eq!((item.state, item.refusal), (State::Deactivated, None));
}

#[tokio::test]
async fn without_grace_no_use_after_the_plan_is_allowed() {
    for (use_after, state) in [(TimeDelta::seconds(-1), State::Done), (TimeDelta::seconds(1), State::Waiting)] {
        let world = World::new(&["ada"]);
        let wish = crate::select::Wish { grace: Period::ZERO, settle: Period::ZERO, ..World::wish() };
        let plan = world.plan(&wish).await;
        let at = plan.made_at + use_after;
        world.change("ada", |u| u.keys[0].used = used(at));
        world.time.pass(TimeDelta::minutes(1));
        let item = world.runner().apply(plan, &Step::ALL).await.unwrap().items.remove(0);
        assert_eq!(item.state, state, "{item:#?}");
        let refused = item.refusal.map(|r| r.guard);
        assert_eq!(refused, (state == State::Waiting).then_some(Guard::UsedSince));
    }
}

/// No grace period makes up for a key in whose place nobody got another one.
#[tokio::test]
async fn a_retired_key_must_not_have_been_used_since_the_plan() {
    let world = World::new(&["ada"]);
    let start = world.now();
    world.change("ada", |u| {
        let mut second = u.keys[0].clone();
        second.live.id = "AKIASECOND0000000001".into();
        second.used = used(start);
        u.first.clone_from(&second.live.id);
        u.keys.push(second);
    });
    let plan = world.plan(&crate::select::Wish { retire: true, sink: None, ..World::wish() }).await;
    assert_eq!(plan.access_keys.len(), 1);
    world.change("ada", |u| u.keys[0].used = used(start + TimeDelta::days(1)));
    world.time.pass(TimeDelta::days(30));
    let item = world.runner().apply(plan, &Step::ALL).await.unwrap().items.remove(0);
    assert_eq!((item.state, item.refusal.unwrap().guard), (State::Untouched, Guard::UsedSince));
}

/// One user's consumers must not be given the key of another.
#[tokio::test]
async fn two_secrets_never_go_to_one_place() {
    let world = World::new(&["ada", "bob"]);
    world.with(|w| w.one_place = true);
    let plan = world.plan(&World::wish()).await;
    let runner = world.runner();
    let refused = [runner.apply(plan.clone(), &Step::ALL).await.err(), runner.preview(&plan, &Step::ALL).await.err()];
    for e in refused {
        let e = e.unwrap().to_string();
        assert!(e.contains("the secrets of ada and bob would both go to the one place: put {user}"), "{e}");
    }
    assert_eq!(world.with(|w| w.effects.len()), 0);
    // Where nothing is delivered there is nothing to overwrite.
    runner.preview(&plan, &[Step::Deactivate]).await.unwrap();
}

/// The mistake of the source: every user called root was taken for the root user, and the root user was not.
#[tokio::test]
async fn root_is_who_the_arn_says_it_is() {
    let world = World::new(&["root"]);
    let plan = world.plan(&World::wish()).await;
    assert_eq!(plan.access_keys.len(), 1, "an ordinary user");
    for user in ["<root_account>"] {
        let mut plan = plan.clone();
        plan.access_keys[0].user = user.into();
        world.with(|w| {
            let root = w.users["root"].clone();
            w.users.insert(user.into(), root);
        });
        let item = world.runner().apply(plan, &Step::ALL).await.unwrap().items.remove(0);
        assert_eq!(item.refusal.unwrap().guard, Guard::Root);
    }
    assert_eq!(world.with(|w| w.effects.len()), 0);
}

/// A new key that belongs to somebody else proves nothing.
#[tokio::test]
async fn a_new_key_that_is_of_another_user_is_taken_back() {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    world.with(|w| w.foreign = true);
    let report = world.runner().apply(plan, &Step::ALL).await.unwrap();
    let item = &report.items[0];
    assert_eq!(item.state, State::Untouched);
    assert!(item.error.as_ref().unwrap().contains("not of AIDA000000000000001"), "{item:#?}");
    assert_eq!(world.count("GetCallerIdentity"), 1, "that is not repeated");
    world.assert_restored("another user");
}

/// A key that somebody made by hand at the wrong moment is nobody's to delete.
#[tokio::test]
async fn after_a_lost_answer_only_a_key_of_that_moment_is_deleted() {
    // When it was made, relative to the call, and whether it was used; is it taken for ours?
    let cases = [(0, false, true), (30, false, true), (-30, false, true), (600, false, false), (-600, false, false), (0, true, false)];
    for (seconds, was_used, ours) in cases {
        let world = World::new(&["ada"]);
        let plan = world.plan(&World::wish()).await;
        let run = world.runner();
        world.with(|w| {
            let lost = super::world::FAULTS[11];
            w.broken.extend([("CreateAccessKey".to_owned(), lost), ("ListAccessKeys".to_owned(), lost)]);
            // The first listing, of the guards, works.
            w.spare = 1;
        });
        let report = run.apply(plan, &Step::ALL).await.unwrap();
        assert_eq!(report.items[0].state, State::Unknown, "{:#?}", report.items[0]);
        world.with(|w| w.broken.clear());
        let at = world.now() + TimeDelta::seconds(seconds);
        world.change("ada", |u| {
            let mut other = u.keys[0].clone();
            other.live.id = "AKIASTRANGER00000001".into();
            other.live.created = at;
            other.used = used(at).filter(|_| was_used);
            u.keys.push(other);
        });
        let item = world.runner().resume(&report.run, &[]).await.unwrap().items.remove(0);
        let deleted = world.count("DeleteAccessKey ada AKIASTRANGER00000001") == 1;
        assert_eq!(deleted, ours, "made {seconds} s after the call, used: {was_used}: {item:#?}");
        if !ours {
            assert!(matches!(item.state, State::Unknown | State::NewKeyLeft), "{item:#?}");
            assert!(item.refusal.is_some() && world.with(|w| w.effects.is_empty()), "{item:#?}");
        }
    }
}

/// Whoever goes on with a run need not say again what it is to leave alone.
#[tokio::test]
async fn what_a_run_excludes_it_leaves_alone_to_its_end() {
    let world = World::new(&["ada", "bob"]);
    let plan = world.plan(&World::wish()).await;
    let names = vec!["ADA".to_owned()];
    let runner = Runner { exclusions: Exclusions { names, ..Exclusions::default() }, ..world.runner() };
    let run = runner.apply(plan, &Step::ALL).await.unwrap().run;
    for state in [State::Deactivated, State::Done] {
        world.time.pass(WEEK);
        let report = world.runner().resume(&run, &[]).await.unwrap();
        let (ada, bob) = (&report.items[0], &report.items[1]);
        assert_eq!((ada.state, ada.refusal.as_ref().unwrap().guard), (State::Untouched, Guard::Excluded), "{ada:#?}");
        assert_eq!(bob.state, state, "{bob:#?}");
    }
    assert!(world.with(|w| w.effects.iter().all(|e| !e.contains("ada"))));
    // What is excluded later counts, too.
    let world = World::new(&["ada"]);
    let run = world.runner().apply(world.plan(&World::wish()).await, &Step::ALL).await.unwrap().run;
    world.time.pass(WEEK);
    let runner = Runner { exclusions: Exclusions { tags: vec![], paths: vec!["/".into()], names: vec![] }, ..world.runner() };
    let item = runner.resume(&run, &[]).await.unwrap().items.remove(0);
    assert_eq!((item.state, item.refusal.unwrap().guard), (State::Waiting, Guard::Excluded));
}
