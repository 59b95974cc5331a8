//! Plans from listings: who is a candidate, what is asked, what is left alone and why.

use super::*;
use crate::trials::world::{ACCOUNT, FAULTS, World};
use crate::trials::world_hands::WorldHands;
use crate::{LastUse, LeftAlone, Step, StorageAction};
use chrono::TimeDelta;
use std::sync::Arc;

async fn made(world: &Arc<World>, candidates: Vec<Candidate>, wish: &Wish) -> Plan {
    let plan = plan(candidates, Vec::new(), wish, &WorldHands(Arc::clone(world)), world.now()).await.unwrap();
    // Whatever is planned can be read back.
    assert_eq!(Plan::read("p", &plan.to_yaml().unwrap()).unwrap(), plan);
    plan
}

fn guards(left: &[LeftAlone]) -> Vec<(&str, Guard)> {
    left.iter().map(|l| (l.owner.as_str(), l.because.guard)).collect()
}

#[test]
fn a_key_is_old_as_the_control_has_it() {
    let day = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for now in ["2026-06-01T00:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T23:59:59Z"] {
        assert_eq!(limit(day(now), Period::days(90)), day("2026-03-03T00:00:00Z"), "{now}");
    }
    assert_eq!(limit(day("2026-06-01T12:00:00Z"), "12h".parse().unwrap()), day("2026-05-31T12:00:00Z"));
    assert_eq!(limit(day("2026-06-01T12:00:00Z"), Period::ZERO), day("2026-06-01T00:00:00Z"));
}

#[tokio::test]
async fn the_limit_itself_is_old_and_a_second_later_is_not() {
    let world = World::new(&["ada", "bob"]);
    let mut keys = world.candidates();
    keys[0].created = "2026-03-03T00:00:00Z".parse().unwrap();
    keys[1].created = "2026-03-03T00:00:01Z".parse().unwrap();
    let plan = made(&world, keys, &World::wish()).await;
    let users: Vec<&str> = plan.access_keys.iter().map(|i| i.user.as_str()).collect();
    assert_eq!(users, ["ada"]);
    assert_eq!(plan.access_keys[0].age_days, 90);
    assert_eq!(plan.access_keys[0].steps, Step::ALL);
    assert!(plan.left_alone.is_empty(), "a young key is no candidate and is not spoken of");
}

/// One listing of many users: only candidates cost calls.
#[tokio::test]
async fn calls_are_made_for_candidates_only() {
    let names: Vec<String> = (0..200).map(|i| format!("user{i:03}")).collect();
    let world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut keys = world.candidates();
    for (i, key) in keys.iter_mut().enumerate() {
        match i {
            0..3 => {}
            3 => key.status = KeyStatus::Inactive,
            4 => key.user_arn = format!("arn:aws:iam::{ACCOUNT}:root"),
            5 => key.chosen = false,
            6 => key.path = "/svc/".into(),
            _ => key.created = "2026-05-01T00:00:00Z".parse().unwrap(),
        }
    }
    keys.push(keys[0].clone()); // listed through a second connection
    let wish = Wish { exclusions: Exclusions { paths: vec!["/svc/".into()], ..Exclusions::default() }, ..World::wish() };
    let plan = made(&world, keys, &wish).await;
    assert_eq!(plan.access_keys.len(), 3);
    assert_eq!(guards(&plan.left_alone), [("user003", Guard::Inactive), ("user004", Guard::Root), ("user006", Guard::Excluded)]);
    assert_eq!(world.count("GetAccessKeyLastUsed"), 3);
    assert_eq!(world.count("ListUserTags"), 3);
    assert_eq!(world.with(|w| w.calls.len()), 6);
}

#[tokio::test]
async fn what_is_left_alone_is_told_with_what_is_possible() {
    let names = ["inactive", "own", "own tag", "root", "ses mail", "ses-smtp-user.1", "tagged", "two keys", "unfinished", "unreadable"];
    let world = World::new(&names);
    let wish = Wish {
        unfinished: BTreeMap::from([("AKIAOLD0000000000009".to_owned(), "r1".to_owned())]),
        exclusions: Exclusions { tags: vec!["team".into()], ..Exclusions::default() },
        ..World::wish()
    };
    let at = world.now();
    let sender = LastUse { at, service: Some("ses".into()), region: Some("eu-west-1".into()) };
    world.change("ses mail", |u| u.keys[0].used = Some(sender));
    world.change("tagged", |u| drop(u.tags.insert("assay:rotate".into(), "never".into())));
    world.change("own tag", |u| drop(u.tags.insert("team".into(), "core".into())));
    world.with(|w| w.own.push("AKIAOLD0000000000002".into()));
    let mut keys = world.candidates();
    keys.iter_mut().find(|k| k.user == "inactive").unwrap().status = KeyStatus::Inactive;
    let mut second = keys.iter().find(|k| k.user == "two keys").unwrap().clone();
    (second.key, second.status, second.created) = ("AKIASECOND0000000001".into(), KeyStatus::Inactive, at);
    keys.push(second);
    world.with(|w| drop(w.users.remove("unreadable")));
    let plan = made(&world, keys, &wish).await;
    let items: Vec<&str> = plan.access_keys.iter().map(|i| i.user.as_str()).collect();
    assert_eq!(items, ["root"], "an ordinary user");
    assert_eq!(
        guards(&plan.left_alone),
        [
            ("inactive", Guard::Inactive),
            ("own", Guard::OwnKey),
            ("own tag", Guard::Excluded),
            ("ses mail", Guard::SesSmtp),
            ("ses-smtp-user.1", Guard::SesSmtp),
            ("tagged", Guard::Excluded),
            ("two keys", Guard::TwoKeys),
            ("unfinished", Guard::UnfinishedRun),
            ("unreadable", Guard::Unreadable),
        ]
    );
    let two = &plan.left_alone[6];
    assert!(two.because.reason.contains("AKIASECOND0000000001 (Inactive)"), "the limit counts inactive ones: {}", two.because.reason);
    assert_eq!(two.instead, [format!("assay rotate plan --retire --older-than 90d --account {ACCOUNT} --user 'two keys'")]);
    assert_eq!(plan.left_alone[0].instead.len(), 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_judged_is_not_planned() {
    for call in ["ListUserTags", "GetAccessKeyLastUsed"] {
        for fault in FAULTS.into_iter().filter(|f| !f.effect) {
            let world = World::new(&["ada"]);
            world.with(|w| {
                w.broken.insert(call.to_owned(), fault);
            });
            let keys = world.candidates();
            let plan = made(&world, keys, &World::wish()).await;
            assert!(plan.access_keys.is_empty(), "{call} {fault:?}");
            let left = &plan.left_alone[0];
            assert_eq!(left.because.guard, Guard::Unreadable);
            assert!(left.because.reason.contains(fault.code), "{}", left.because.reason);
        }
    }
}

#[tokio::test]
async fn of_two_keys_the_unused_one_is_retired() {
    use KeyStatus::{Active, Inactive};
    let now = World::new(&["x"]).now();
    let long = Some(now - TimeDelta::days(200));
    let recent = Some(now - TimeDelta::days(1));
    // Status and last use of the first, created in January, and of the second, created in February or (young) yesterday.
    type Key = (KeyStatus, Option<DateTime<Utc>>);
    type Case = (&'static str, Key, Key, bool, Result<(usize, usize), Guard>);
    let cases: &[Case] = &[
        ("first unused", (Active, long), (Active, recent), false, Ok((0, 2))),
        ("first never used", (Active, None), (Active, recent), false, Ok((0, 2))),
        ("second unused", (Active, recent), (Active, long), false, Ok((1, 2))),
        ("second never used", (Active, recent), (Active, None), false, Ok((1, 2))),
        ("second never used but young", (Active, recent), (Active, None), true, Err(Guard::TwoKeys)),
        ("both used", (Active, recent), (Active, recent), false, Err(Guard::TwoKeys)),
        ("none used", (Active, long), (Active, None), false, Err(Guard::TwoKeys)),
        ("none ever used, one young", (Active, None), (Active, None), true, Err(Guard::TwoKeys)),
        ("first inactive", (Inactive, recent), (Active, None), false, Ok((0, 1))),
        ("second inactive", (Active, None), (Inactive, None), false, Ok((1, 1))),
    ];
    for (name, first, second, young, expected) in cases {
        let world = World::new(&["ada"]);
        let used = |at: Option<DateTime<Utc>>| at.map(|at| LastUse { at, service: None, region: None });
        world.change("ada", |u| {
            let mut key = u.keys[0].clone();
            key.live.id = "AKIAOLD0000000000002".into();
            key.live.created = if *young { now - TimeDelta::days(1) } else { "2026-02-01T00:00:00Z".parse().unwrap() };
            u.keys.push(key);
            for (key, (status, at)) in u.keys.iter_mut().zip([first, second]) {
                (key.live.status, key.used) = (*status, used(*at));
            }
        });
        let keys = world.candidates();
        let ids: Vec<String> = keys.iter().map(|k| k.key.clone()).collect();
        let plan = made(&world, keys, &Wish { retire: true, sink: None, ..World::wish() }).await;
        match expected {
            Ok((index, steps)) => {
                let item = &plan.access_keys[0];
                assert_eq!((&item.key, item.stays.as_ref()), (&ids[*index], Some(&ids[1 - index])), "{name}");
                assert_eq!(item.steps.len(), *steps, "{name}: {:?}", item.steps);
                assert!(plan.access_keys.len() == 1 && plan.left_alone.is_empty(), "{name}");
            }
            Err(guard) => assert_eq!((guards(&plan.left_alone), plan.access_keys.len()), (vec![("ada", *guard)], 0), "{name}"),
        }
    }
}

/// Which of two keys goes is known only when their uses are: then the guards are asked about that one.
#[tokio::test]
async fn the_key_that_is_retired_is_guarded_whichever_it_is() {
    let now = World::new(&["x"]).now();
    for (guard, goes) in [
        (Guard::OwnKey, 0),
        (Guard::OwnKey, 1),
        (Guard::SesSmtp, 0),
        (Guard::SesSmtp, 1),
        (Guard::UnfinishedRun, 0),
        (Guard::UnfinishedRun, 1),
    ] {
        let world = World::new(&["ada"]);
        let ids = ["AKIAOLD0000000000001", "AKIAOLD0000000000002"];
        world.change("ada", |u| {
            let mut key = u.keys[0].clone();
            key.live.id = ids[1].into();
            u.keys.push(key);
            let service = (guard == Guard::SesSmtp).then(|| "ses".to_owned());
            u.keys[goes].used = Some(LastUse { at: now - TimeDelta::days(200), service, region: None });
            u.keys[1 - goes].used = Some(LastUse { at: now - TimeDelta::days(1), service: None, region: None });
        });
        let mut wish = Wish { retire: true, sink: None, ..World::wish() };
        match guard {
            Guard::OwnKey => world.with(|w| w.own.push(ids[goes].into())),
            Guard::UnfinishedRun => drop(wish.unfinished.insert(ids[goes].into(), "r1".into())),
            _ => {}
        }
        let keys = world.candidates();
        let plan = made(&world, keys, &wish).await;
        assert_eq!((guards(&plan.left_alone), plan.access_keys.len()), (vec![("ada", guard)], 0), "{goes}");
    }
}

#[tokio::test]
async fn retiring_leaves_single_keys_and_double_doubts_alone() {
    let world = World::new(&["active", "both", "one"]);
    world.change("both", |u| {
        let mut key = u.keys[0].clone();
        key.live.id = "AKIASECOND0000000001".into();
        u.keys.push(key);
        u.keys.iter_mut().for_each(|k| k.live.status = KeyStatus::Inactive);
    });
    world.change("one", |u| u.keys[0].live.status = KeyStatus::Inactive);
    let keys = world.candidates();
    let plan = made(&world, keys, &Wish { retire: true, sink: None, ..World::wish() }).await;
    let items: Vec<(&str, &[Step])> = plan.access_keys.iter().map(|i| (i.user.as_str(), &i.steps[..])).collect();
    assert_eq!(items, [("one", &[Step::Delete][..])]);
    assert_eq!(guards(&plan.left_alone), [("both", Guard::TwoKeys), ("both", Guard::TwoKeys)]);
    assert!(plan.left_alone.iter().all(|l| l.instead[0].starts_with("aws iam delete-access-key --user-name both")));
}

fn account(name: &str) -> StorageCandidate {
    let old = "2026-01-01T00:00:00Z".parse().ok();
    StorageCandidate {
        connection: "azure".into(),
        subscription_id: "s1".into(),
        id: format!("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{name}"),
        name: name.into(),
        key1_created: old,
        key2_created: old,
        allow_shared_key: true,
        created: old,
        tags: BTreeMap::new(),
        chosen: true,
    }
}

#[tokio::test]
async fn storage_accounts_are_chosen_by_their_listing() {
    let young = "2026-05-01T00:00:00Z".parse().ok();
    let all = || {
        vec![
            account("both"),
            StorageCandidate { key1_created: young, ..account("second") },
            StorageCandidate { key1_created: young, key2_created: young, ..account("young") },
            StorageCandidate { key1_created: young, key2_created: None, ..account("unknown") },
            StorageCandidate { allow_shared_key: false, ..account("off") },
            StorageCandidate { tags: BTreeMap::from([("assay:rotate".to_owned(), "never".to_owned())]), ..account("tagged") },
            StorageCandidate { chosen: false, ..account("other") },
            account("busy"),
            account("dev-a"),
            StorageCandidate { id: account("both").id.to_uppercase(), ..account("both") },
        ]
    };
    let busy = account("busy").id.to_lowercase();
    let world = World::new(&[]);
    let wish = |storage| Wish {
        storage,
        unfinished: BTreeMap::from([(busy.clone(), "r1".to_owned())]),
        exclusions: Exclusions { names: vec!["dev-*".into()], ..Exclusions::default() },
        ..World::wish()
    };
    let hands = WorldHands(Arc::clone(&world));
    let three = [("busy", Guard::UnfinishedRun), ("dev-a", Guard::Excluded)];
    let cases = [
        (
            StorageWish::Rotate,
            vec!["both", "second", "unknown"],
            [&three[..], &[("off", Guard::SharedKeyOff), ("tagged", Guard::Excluded)]].concat(),
        ),
        (
            StorageWish::Disable,
            vec!["both", "second", "unknown", "young"],
            [&three[..], &[("off", Guard::SharedKeyOff), ("tagged", Guard::Excluded)]].concat(),
        ),
        (
            StorageWish::ExpirationPolicy(Period::days(90)),
            vec!["both", "off", "second", "young"],
            [&three[..], &[("tagged", Guard::Excluded), ("unknown", Guard::UnknownAge)]].concat(),
        ),
    ];
    for (storage, items, left) in cases {
        let plan = plan(Vec::new(), all(), &wish(storage), &hands, world.now()).await.unwrap();
        assert_eq!(plan.storage_accounts.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), items, "{storage:?}");
        assert_eq!(guards(&plan.left_alone), left, "{storage:?}");
        assert_eq!(Plan::read("p", &plan.to_yaml().unwrap()).unwrap(), plan);
    }
    let policy = plan(Vec::new(), all(), &wish(StorageWish::ExpirationPolicy(Period::days(90))), &hands, world.now()).await.unwrap();
    assert_eq!(policy.storage_accounts[0].action, StorageAction::ExpirationPolicy { days: 90 });
    let short = plan(Vec::new(), all(), &wish(StorageWish::ExpirationPolicy("12h".parse().unwrap())), &hands, world.now()).await;
    assert!(short.unwrap_err().to_string().contains("at least one"));
    assert_eq!(world.with(|w| w.calls.len()), 0);
}
