//! The guards one by one: facts that pass, each spoiled in one way.

use super::*;
use crate::{Period, Step};

struct Case {
    plan: Plan,
    item: AccessKeyItem,
    excluded: Excluded,
    user: LiveUser,
    keys: Vec<LiveKey>,
    own: Vec<String>,
    names: Vec<String>,
    last_use: Use,
    replacement: Option<String>,
    deactivated_at: Option<DateTime<Utc>>,
}

const OLD: &str = "AKIAOLD0000000000001";
const NEW: &str = "AKIANEW0000000000001";

fn day(day: u32) -> DateTime<Utc> {
    format!("2026-06-{day:02}T12:00:00Z").parse().unwrap()
}

fn key(id: &str, status: KeyStatus) -> LiveKey {
    LiveKey { id: id.into(), status, created: day(1) }
}

fn used(at: DateTime<Utc>, service: &str) -> LastUse {
    LastUse { at, service: Some(service.into()), region: None }
}

/// Everything in order right before this act, on the 20th.
fn good(act: Act) -> Case {
    let old = if act == Act::Delete { KeyStatus::Inactive } else { KeyStatus::Active };
    let item = AccessKeyItem {
        connection: "aws".into(),
        account_id: "123456789012".into(),
        user: "ada".into(),
        user_id: "AIDA1".into(),
        path: "/".into(),
        key: OLD.into(),
        created: day(1),
        age_days: 1,
        status: KeyStatus::Active,
        last_used: None,
        steps: Step::ALL.to_vec(),
        replaced_by: None,
        stays: None,
        deactivated_at: None,
    };
    let plan = Plan {
        assay_rotation_plan: 1,
        made_at: day(2),
        older_than: Period::days(1),
        grace: Period::days(7),
        settle: Period::days(7),
        sink: None,
        access_keys: Vec::new(),
        storage_accounts: Vec::new(),
        left_alone: Vec::new(),
    };
    let mut keys = vec![key(OLD, old)];
    if act != Act::Create {
        keys.push(key(NEW, KeyStatus::Active));
    }
    Case {
        plan,
        item,
        excluded: Excluded::new(&Exclusions::default()).unwrap(),
        user: LiveUser { id: "AIDA1".into(), arn: "arn:aws:iam::123456789012:user/ada".into(), path: "/".into(), tags: BTreeMap::new() },
        keys,
        own: Vec::new(),
        names: Vec::new(),
        last_use: if act == Act::Create { Use::NotAsked } else { Use::Known(None) },
        replacement: (act != Act::Create).then(|| NEW.to_owned()),
        deactivated_at: (act == Act::Delete).then(|| day(12)),
    }
}

fn ask(act: Act, case: &Case) -> Result<(), Objection> {
    let facts = Facts {
        plan: &case.plan,
        item: &case.item,
        excluded: &case.excluded,
        user: &case.user,
        keys: &case.keys,
        own: &case.own,
        names: &case.names,
        last_use: &case.last_use,
        replacement: case.replacement.as_deref(),
        deactivated_at: case.deactivated_at,
        now: day(20),
    };
    before(act, &facts)
}

const C: Act = Act::Create;
const I: Act = Act::Deactivate;
const D: Act = Act::Delete;

#[test]
fn what_is_in_order_passes() {
    type Change = fn(&mut Case);
    let fine: &[(&str, &[Act], Change)] = &[
        ("as it is", &[C, I, D], |_| {}),
        ("an ordinary user called root", &[C, I, D], |c| (c.item.user, c.user.arn) = ("root".into(), "arn:aws:iam::1:user/root".into())),
        ("a user of a path called root", &[C, I, D], |c| c.user.arn = "arn:aws:iam::1:user/root/root".into()),
        ("another's own key", &[C, I, D], |c| c.own.push(NEW.into())),
        ("used before the plan", &[I, D], |c| c.last_use = Use::Known(Some(used(day(1), "s3")))),
        ("used a grace period ago", &[I, D], |c| c.last_use = Use::Known(Some(used(day(13), "s3")))),
        ("the key that stays", &[I], |c| (c.replacement, c.item.stays) = (None, Some(NEW.into()))),
        ("an inactive key, the only one", &[D], |c| {
            c.keys.truncate(1);
            (c.item.status, c.replacement, c.deactivated_at) = (KeyStatus::Inactive, None, None);
        }),
        ("other tags", &[C, I, D], |c| drop(c.user.tags.insert("assay:rotate".into(), "yes".into()))),
        ("other policies", &[C, I, D], |c| c.names.push("SendingAccess".into())),
    ];
    for (name, acts, change) in fine {
        for act in *acts {
            let mut case = good(*act);
            change(&mut case);
            assert_eq!(ask(*act, &case), Ok(()), "{name} before {act}");
        }
    }
}

#[test]
fn what_is_not_is_refused() {
    type Change = fn(&mut Case);
    let cases: &[(&str, &[Act], Change, Guard)] = &[
        ("root of the report", &[C, I, D], |c| c.item.user = "<root_account>".into(), Guard::Root),
        ("root by ARN", &[C, I, D], |c| c.user.arn = "arn:aws-cn:iam::123456789012:root".into(), Guard::Root),
        ("own key", &[C, I, D], |c| c.own = vec!["AKIAX".into(), OLD.into()], Guard::OwnKey),
        ("tag", &[C, I, D], |c| drop(c.user.tags.insert("assay:rotate".into(), "NEVER".into())), Guard::Excluded),
        ("name of SES", &[C, I, D], |c| c.item.user = "ses-smtp-user.20260601-101112".into(), Guard::SesSmtp),
        ("policy of SES", &[C, I, D], |c| c.names.push("AmazonSesSendingAccess".into()), Guard::SesSmtp),
        ("used for SES by the plan", &[C, I, D], |c| c.item.last_used = Some(used(day(1), "ses")), Guard::SesSmtp),
        ("used for SES", &[I, D], |c| c.last_use = Use::Known(Some(used(day(1), "ses"))), Guard::SesSmtp),
        ("another user", &[C, I, D], |c| c.user.id = "AIDA2".into(), Guard::Changed),
        ("another creation", &[C, I, D], |c| c.keys[0].created = day(2), Guard::Changed),
        ("gone", &[C, I, D], |c| drop(c.keys.remove(0)), Guard::Changed),
        ("inactive", &[C, I], |c| c.keys[0].status = KeyStatus::Inactive, Guard::Changed),
        ("a second key", &[C], |c| c.keys.push(key(NEW, KeyStatus::Active)), Guard::Changed),
        ("an inactive second key", &[C], |c| c.keys.push(key(NEW, KeyStatus::Inactive)), Guard::Changed),
        ("a stranger", &[I, D], |c| c.keys[1].id = "AKIASTRANGER00000001".into(), Guard::Changed),
        ("no replacement", &[I, D], |c| (c.replacement, c.keys) = (None, c.keys[..1].to_vec()), Guard::OnlyWorkingKey),
        ("the replacement is gone", &[I, D], |c| c.keys.truncate(1), Guard::OnlyWorkingKey),
        ("the replacement is inactive", &[I, D], |c| c.keys[1].status = KeyStatus::Inactive, Guard::OnlyWorkingKey),
        ("active", &[D], |c| c.keys[0].status = KeyStatus::Active, Guard::NotInactive),
        ("used an hour ago", &[I, D], |c| c.last_use = Use::Known(Some(used(day(20), "s3"))), Guard::UsedSince),
        ("used in the grace period", &[I, D], |c| c.last_use = Use::Known(Some(used(day(14), "s3"))), Guard::UsedSince),
        (
            "used after the plan, no grace",
            &[I, D],
            |c| (c.last_use, c.plan.grace) = (Use::Known(Some(used(day(3), "s3"))), Period::ZERO),
            Guard::UsedSince,
        ),
        (
            "used after the plan, nothing instead",
            &[I],
            |c| {
                c.last_use = Use::Known(Some(used(day(3), "s3")));
                (c.replacement, c.item.stays) = (None, Some(NEW.into()));
            },
            Guard::UsedSince,
        ),
        (
            "inactive, but used not long ago",
            &[D],
            |c| {
                c.last_use = Use::Known(Some(used(day(14), "s3")));
                c.plan.made_at = day(15);
                c.plan.grace = Period::ZERO;
                (c.item.status, c.deactivated_at) = (KeyStatus::Inactive, None);
            },
            Guard::UsedSince,
        ),
        ("not asked", &[I, D], |c| c.last_use = Use::NotAsked, Guard::UnknownUse),
        (
            "unreadable",
            &[I, D],
            |c| c.last_use = Use::Unreadable(CloudError::new(assay_cloud::ErrorKind::Denied, "AccessDenied", "no")),
            Guard::UnknownUse,
        ),
    ];
    for (name, acts, change, guard) in cases {
        for act in *acts {
            let mut case = good(*act);
            change(&mut case);
            let found = ask(*act, &case).err().map(|o| o.refusal.guard);
            assert_eq!(found, Some(*guard), "{name} before {act}");
        }
    }
}

#[test]
fn exclusions_are_globs_and_tags() {
    let excluded = |names: &[&str], paths: &[&str], tags: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Excluded::new(&Exclusions { names: own(names), paths: own(paths), tags: own(tags) }).unwrap()
    };
    for (pattern, name, hit) in
        [("ada", "ada", true), ("ADA", "ada", true), ("ad?", "ada", true), ("a*", "bob", false), ("ad", "ada", false), ("*", "x", true)]
    {
        assert_eq!(excluded(&[pattern], &[], &[]).named(name, None).is_err(), hit, "{pattern} {name}");
    }
    for (pattern, path, hit) in
        [("/svc/*", "/svc/a/b/", true), ("/svc/", "/svc/", true), ("/svc/", "/svc/a/", false), ("/svc/**", "/", false)]
    {
        assert_eq!(excluded(&[], &[pattern], &[]).named("ada", Some(path)).is_err(), hit, "{pattern} {path}");
    }
    let tags = BTreeMap::from([("team".to_owned(), "core=x".to_owned()), ("empty".to_owned(), String::new())]);
    for (tag, hit) in
        [("team", true), ("team=core=x", true), ("team=core", false), ("Team", false), ("empty=", true), ("empty", true), ("none", false)]
    {
        assert_eq!(excluded(&[], &[], &[tag]).tagged(&tags).is_err(), hit, "{tag}");
    }
    assert!(Excluded::new(&Exclusions { names: vec!["[a".into()], ..Exclusions::default() }).is_err());
}

#[test]
fn a_new_key_is_deleted_only_if_nobody_needs_or_has_it() {
    let item = good(C).item;
    let keys = [key(OLD, KeyStatus::Active), key(NEW, KeyStatus::Active)];
    let proof = Some(day(5));
    let ours = Use::Known(Some(used(day(5) + chrono::TimeDelta::seconds(100), "sts")));
    let theirs = Use::Known(Some(used(day(5), "s3")));
    let late = Use::Known(Some(used(day(6), "sts")));
    let unknown = Use::Unreadable(CloudError::new(assay_cloud::ErrorKind::Denied, "AccessDenied", "no"));
    let inactive = [key(OLD, KeyStatus::Inactive), key(NEW, KeyStatus::Active)];
    let alone = [key(NEW, KeyStatus::Active)];
    let other = [LiveKey { created: day(3), ..key(OLD, KeyStatus::Active) }, key(NEW, KeyStatus::Active)];
    type Case<'c> = (&'c str, &'c str, &'c [LiveKey], &'c Use, Option<DateTime<Utc>>, Option<Guard>);
    let cases: [Case<'_>; 12] = [
        ("never used", NEW, &keys, &Use::Known(None), None, None),
        ("nobody was given it", NEW, &keys, &Use::NotAsked, None, None),
        ("used by us", NEW, &keys, &ours, proof, None),
        ("used by us, but not proved", NEW, &keys, &ours, None, Some(Guard::UsedSince)),
        ("used by others", NEW, &keys, &theirs, proof, Some(Guard::UsedSince)),
        ("used later", NEW, &keys, &late, proof, Some(Guard::UsedSince)),
        ("unreadable", NEW, &keys, &unknown, proof, Some(Guard::UnknownUse)),
        ("the old one is inactive", NEW, &inactive, &Use::Known(None), None, Some(Guard::OnlyWorkingKey)),
        ("the old one is gone", NEW, &alone, &Use::Known(None), None, Some(Guard::OnlyWorkingKey)),
        ("the old one is another", NEW, &other, &Use::Known(None), None, Some(Guard::OnlyWorkingKey)),
        ("the old one itself", OLD, &keys, &Use::Known(None), None, Some(Guard::Changed)),
        ("the old one itself, unused", OLD, &keys, &Use::NotAsked, None, Some(Guard::Changed)),
    ];
    for (name, new, keys, used, proved, guard) in cases {
        let found = before_discard(new, &item, keys, used, proved).err().map(|r| r.guard);
        assert_eq!(found, guard, "{name}");
    }
}
