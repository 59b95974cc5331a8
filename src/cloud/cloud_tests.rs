//! The room as a whole over a scripted cloud: sharing, limits, expiry, accounts, recording and replay.

use crate::aws::client::Attempts;
use crate::caller::OnBehalf;
use crate::clock::Clock;
use crate::fake::{Fake, first_account, open, options, standard};
use crate::recorder::Recorder;
use crate::{Account, Bundle, Cloud, CloudError, ErrorKind, Mode, Options, Tally, TallyCounts};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A call without the allow-list: these tests are about what comes after it.
async fn call(cloud: &Cloud, account: &Arc<Account>, operation: &str, input: Value, tally: &Tally) -> Result<Arc<Value>, CloudError> {
    let who = OnBehalf { login: &account.login, connection: &account.connection };
    cloud.caller().call(who, &Arc::from("us-east-1"), "iam", operation, input, tally).await
}

fn error(kind: ErrorKind, code: &str) -> CloudError {
    CloudError::new(kind, code, "as scripted")
}

#[tokio::test]
async fn a_hundred_same_calls_are_one_and_later_ones_come_from_the_cache() {
    let clock = Clock::manual();
    let fake = Fake::healthy(&clock);
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let scan = cloud.tally().child();
    let user = |name: &str| json!({"UserName": name});
    clock.run(join_all((0..100).map(|_| call(&cloud, &account, "GetUser", user("x"), &scan)))).await.into_iter().for_each(|r| {
        assert_eq!(r.unwrap()["User"]["UserName"], "x");
    });
    let same = call(&cloud, &account, "GetUser", json!({"Marker": null, "UserName": "x"}), &scan);
    clock.run(same).await.unwrap();
    assert_eq!(fake.count(), 1);
    let counts = TallyCounts { calls: 1, cache_hits: 100, retries: 0, throttles: 0 };
    assert_eq!((scan.counts(), cloud.tally().counts()), (counts, counts), "counted once in each");
    clock.advance(Duration::from_secs(300));
    clock.run(call(&cloud, &account, "GetUser", user("x"), &scan)).await.unwrap();
    cloud.clear_cache();
    clock.run(call(&cloud, &account, "GetUser", user("x"), &scan)).await.unwrap();
    cloud.set_cache_ttl(Duration::ZERO);
    clock.run(call(&cloud, &account, "GetUser", user("x"), &scan)).await.unwrap();
    clock.run(join_all((0..9).map(|_| call(&cloud, &account, "GetUser", user("x"), &scan)))).await;
    assert_eq!(fake.count(), 5, "expired, cleared, cache off, and a single flight without the cache");
}

#[tokio::test]
async fn refusals_are_asked_once_and_faults_again() {
    let clock = Clock::manual();
    let kinds = [
        ("Denied", ErrorKind::Denied, 1),
        ("NotFound", ErrorKind::NotFound, 1),
        ("Service", ErrorKind::Service, 1),
        ("Transient", ErrorKind::Transient, 3),
        ("BadAnswer", ErrorKind::BadAnswer, 3),
        ("Unreachable", ErrorKind::Unreachable, 1),
    ];
    let fake = Fake::new(&clock, 1, move |r, _, _| Err(kinds.iter().find(|k| *k.0 == *r.operation).map(|k| error(k.1, k.0)).unwrap()));
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    for (operation, kind, times) in kinds {
        let before = fake.count();
        for _ in 0..3 {
            let e = clock.run(call(&cloud, &account, operation, json!({}), &Tally::default())).await.unwrap_err();
            assert_eq!((e.kind, &*e.service, &*e.operation, &*e.account, &*e.region), (kind, "iam", operation, "aws", "us-east-1"));
        }
        assert_eq!(fake.count() - before, times, "{operation}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_hands_over_and_the_last_one_cancels() {
    let clock = Clock::manual();
    let fake = Fake::healthy(&clock);
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let tally = Tally::default();
    let ask = || call(&cloud, &account, "GetUser", json!({"UserName": "x"}), &tally);
    let (mut first, mut second) = (Box::pin(ask()), Box::pin(ask()));
    for _ in 0..5 {
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.in_flight.load(Ordering::SeqCst), 1);
    drop(first);
    clock.run(second).await.unwrap();
    assert_eq!((fake.count(), fake.dropped.load(Ordering::SeqCst)), (1, 0));
    let mut only = Box::pin(call(&cloud, &account, "GetUser", json!({"UserName": "y"}), &tally));
    for _ in 0..5 {
        assert!(futures::poll!(&mut only).is_pending());
        tokio::task::yield_now().await;
    }
    drop(only);
    tokio::task::yield_now().await;
    assert_eq!((fake.in_flight.load(Ordering::SeqCst), fake.dropped.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn calls_in_flight_stay_within_the_gate_and_the_ceiling() {
    for (config, ceiling, peak) in
        [(json!({}), 256, 32), (json!({"limits": {"aws": {"iam": {"max_in_flight": 5}}}}), 256, 5), (json!({}), 7, 7)]
    {
        let clock = Clock::manual();
        let fake = Fake::healthy(&clock);
        let options = Options { max_in_flight: ceiling, ..options(config) };
        let cloud = Cloud::live(&options, clock.clone(), fake.clone(), None).await.unwrap();
        let account = first_account(&cloud, "aws").await;
        let tally = Tally::default();
        let calls = (0..200).map(|i| call(&cloud, &account, "GetUser", json!({"UserName": i.to_string()}), &tally));
        clock.run(join_all(calls)).await;
        assert_eq!((fake.peak.load(Ordering::SeqCst), fake.count()), (peak, 200));
    }
}

#[tokio::test]
async fn expired_credentials_are_renewed_once_for_everybody() {
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 10, |r, _, _| match r.login.generation() {
        0 => Err(error(ErrorKind::Credentials, "ExpiredToken")),
        _ => standard(r),
    });
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let tally = Tally::default();
    let calls = (0..20).map(|i| call(&cloud, &account, "GetUser", json!({"UserName": i.to_string()}), &tally));
    assert!(clock.run(join_all(calls)).await.iter().all(Result::is_ok));
    assert_eq!(account.login.generation(), 1);
    assert_eq!(tally.counts(), TallyCounts { calls: 20, retries: 11, ..TallyCounts::default() }, "those that were under way");
    let fake = Fake::new(&clock, 10, |_, _, _| Err(error(ErrorKind::Credentials, "ExpiredToken")));
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let e = clock.run(call(&cloud, &account, "GetUser", json!({}), &tally)).await.unwrap_err();
    assert_eq!((&*e.code, fake.count()), ("ExpiredToken", 2), "once, then the error");
}

#[tokio::test]
async fn throttled_calls_are_given_time_and_counted() {
    let clock = Clock::manual();
    let quota_gone = |attempts: &mut Attempts| {
        *attempts = Attempts { total: 1, throttled: 1, ..Attempts::default() };
        Err(error(ErrorKind::Throttled, "Throttling"))
    };
    let fake = Fake::new(&clock, 10, move |r, n, attempts| if n < 3 { quota_gone(attempts) } else { standard(r) });
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let tally = Tally::default();
    let start = clock.now();
    clock.run(call(&cloud, &account, "GetUser", json!({"UserName": "x"}), &tally)).await.unwrap();
    assert_eq!(tally.counts(), TallyCounts { calls: 1, cache_hits: 0, retries: 2, throttles: 2 });
    assert!(clock.now() - start < Duration::from_secs(1));
    let fake = Fake::new(&clock, 10, move |_, _, attempts| quota_gone(attempts));
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let e = clock.run(call(&cloud, &account, "GetUser", json!({"UserName": "x"}), &tally)).await.unwrap_err();
    assert_eq!((e.kind, fake.count()), (ErrorKind::Throttled, 10), "patience ends");
    assert!((10..120).contains(&(clock.now() - start).as_secs()), "but not soon: {:?}", clock.now() - start);
}

#[tokio::test]
async fn where_nothing_can_be_had_only_the_first_call_waits() {
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 1000, |_, _, attempts| {
        attempts.total = 0;
        Err(error(ErrorKind::Credentials, "NoCredentials"))
    });
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let tally = Tally::default();
    for i in 0..10 {
        let e = clock.run(call(&cloud, &account, "GetUser", json!({"UserName": i.to_string()}), &tally)).await.unwrap_err();
        assert_eq!(e.kind, ErrorKind::Credentials);
    }
    assert_eq!((fake.count(), tally.counts()), (1, TallyCounts::default()));
    cloud.clear_cache();
    clock.run(call(&cloud, &account, "GetUser", json!({}), &tally)).await.unwrap_err();
    assert_eq!(fake.count(), 2);
    let unreachable = Fake::new(&clock, 1, |_, _, _| Err(error(ErrorKind::Unreachable, "Unreachable")));
    let cloud = open(&unreachable, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    for count in [1, 1, 2] {
        clock.run(call(&cloud, &account, "GetUser", json!({}), &tally)).await.unwrap_err();
        assert_eq!(unreachable.count(), count);
        clock.advance(Duration::from_secs(6));
    }
}

#[tokio::test]
async fn identity_and_regions_cost_one_call_each_per_credentials() {
    let clock = Clock::manual();
    let fake = Fake::healthy(&clock);
    let config = json!({"connections": {"all": {}, "eu": {"regions": ["eu-*"]}, "named": {"regions": ["us-west-2", "eu-west-3"]}, "none": {"regions": ["xx-*"]}}});
    let cloud = open(&fake, &clock, config, None).await.unwrap();
    let mut accounts = Vec::new();
    for name in ["all", "eu", "named", "none"] {
        accounts.push(first_account(&cloud, name).await);
    }
    assert_eq!(accounts[0].known_identity(), None);
    let ids = clock.run(join_all(accounts.iter().chain(&accounts).map(|a| a.identity()))).await;
    assert!(ids.iter().all(|i| &*i.as_ref().unwrap().account_id == "111111111111"));
    let regions = clock.run(join_all(accounts.iter().map(|a| a.regions()))).await;
    let text = |r: &Result<Arc<[Arc<str>]>, CloudError>| r.as_ref().map(|r| r.join(" ")).map_err(|e| e.message.clone());
    assert_eq!(text(&regions[0]).unwrap(), "eu-west-1 us-east-1", "only enabled ones, sorted");
    assert_eq!(text(&regions[1]).unwrap(), "eu-west-1");
    assert_eq!(text(&regions[2]).unwrap(), "eu-west-3 us-west-2", "as named, without a question");
    assert_eq!(text(&regions[3]).unwrap_err(), "no enabled region matches the `regions` of connection none (xx-*)");
    assert_eq!(fake.count(), 2, "{:?}", fake.asked());
    assert_eq!(cloud.tally().counts().calls, 2);
}

#[tokio::test]
async fn regions_that_cannot_be_listed_are_an_error_and_asked_again() {
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 1, |r, n, _| match n {
        1 => Err(error(ErrorKind::Transient, "InternalError")),
        2 => Err(error(ErrorKind::Denied, "UnauthorizedOperation")),
        _ => standard(r),
    });
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    for (code, count) in [("InternalError", 1), ("UnauthorizedOperation", 2), ("UnauthorizedOperation", 2)] {
        let e = clock.run(account.regions()).await.unwrap_err();
        assert_eq!((&*e.code, &*e.operation, fake.count()), (code, "DescribeRegions", count));
    }
    clock.advance(Duration::from_secs(300));
    assert_eq!(clock.run(account.regions()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_organization_is_its_active_accounts_without_the_excluded() {
    let clock = Clock::manual();
    let fake = Fake::healthy(&clock);
    let config = json!({"connections": {
        "org": {"profile": "management", "organization": {"role": "audit/Reader", "exclude": ["sandbox-*", "3333*"]}},
        "prod": {"role_arn": "arn:aws:iam::222222222222:role/X", "regions": ["us-east-1"]},
        "far": {"role_arn": "arn:aws-cn:iam::666666666666:role/X"},
        "all": {"aggregate": ["prod", "org", "far"]},
    }});
    let cloud = open(&fake, &clock, config, None).await.unwrap();
    let found = clock.run(join_all((0..5).map(|_| cloud.accounts("org")))).await;
    let keys = |a: &[Arc<Account>]| a.iter().map(|a| a.key.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(keys(found[0].as_ref().unwrap()), "org/111111111111 org/222222222222");
    assert_eq!(fake.count(), 2, "GetCallerIdentity and ListAccounts, once");
    let member = found[0].as_ref().unwrap()[1].known_identity().unwrap();
    assert_eq!(&*member.arn, "arn:aws:sts::222222222222:assumed-role/Reader/assay");
    let all = clock.run(cloud.accounts("all")).await.unwrap();
    assert_eq!(keys(&all), "prod org/111111111111 far", "the account that two members reach stands once, with the first one's credentials");
    let merged = clock.run(all[0].regions()).await.unwrap();
    assert_eq!(merged.join(" "), "eu-west-1 us-east-1", "for the regions of both");
    assert_eq!((&*all[0].home_region(), &*all[2].home_region()), ("us-east-1", "cn-north-1"));
    let e = clock.run(cloud.accounts("nope")).await.unwrap_err();
    assert_eq!(e.message, "there is no connection `nope`; there are all, far, org, prod");
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("assay-{name}-{}.bundle", std::process::id()))
}

async fn replay(bundle: Arc<Bundle>) -> Cloud {
    Cloud::open(Options { mode: Mode::Replay(bundle), ..options(json!({"default": ["not looked at"]})) }).await.unwrap()
}

#[tokio::test]
async fn a_replay_answers_like_the_recording_and_knows_no_secret() {
    let path = temporary("round-trip");
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 1, |r, _, _| match &*r.operation {
        "DescribeRegions" if &*r.login.key == "org/222222222222" => Err(error(ErrorKind::Denied, "UnauthorizedOperation")),
        "ListAccounts" if &*r.login.key == "lost" => Err(error(ErrorKind::Denied, "AccessDenied")),
        _ => standard(r),
    });
    let at: DateTime<Utc> = "2024-03-05T10:11:12.5Z".parse().unwrap();
    let config = json!({"connections": {
        "org": {"organization": {"role": "R", "exclude": ["sandbox-*"]}, "regions": ["eu-*"], "external_id": null},
        "lost": {"profile": "lost", "organization": {"role": "R"}},
        "all": {"aggregate": ["org"]},
    }, "default": ["all"]});
    let cloud = open(&fake, &clock, config, Some(Recorder::new(path.clone(), at))).await.unwrap();
    cloud.redact("iam", "GetUser", "User.Deep[].Note");
    let names = ["a", "nobody", "b"];
    let observe = |cloud: Cloud| async move {
        let mut seen = Vec::new();
        for connection in ["all", "org", "lost"] {
            match cloud.accounts(connection).await {
                Err(e) => seen.push(e.to_string()),
                Ok(accounts) => {
                    for account in accounts {
                        seen.push(format!(
                            "{account:?} {:?} {:?} {}",
                            account.identity().await,
                            account.regions().await,
                            account.home_region()
                        ));
                        for name in names {
                            let answer = call(&cloud, &account, "GetUser", json!({"UserName": name}), &Tally::default()).await;
                            seen.push(answer.map_or_else(|e| e.to_string(), |v| v["User"]["UserName"].to_string()));
                        }
                    }
                }
            }
        }
        seen.push(format!("{} {:?}", cloud.now(), cloud.default_connections()));
        seen
    };
    let live = clock.run(observe(cloud.clone())).await;
    assert!(
        live.len() > 20 && live.iter().any(|l| l.contains("NoSuchEntity")) && live.iter().any(|l| l.contains("UnauthorizedOperation")),
        "{live:#?}"
    );
    let account = first_account(&cloud, "org").await;
    let answer = clock.run(call(&cloud, &account, "GetUser", json!({"UserName": "a"}), &Tally::default())).await.unwrap();
    assert_eq!(answer["User"]["Password"], "canary-7f3a", "the run itself sees everything");
    cloud.finish_recording().unwrap();
    let unpacked = String::from_utf8(zstd::decode_all(&*std::fs::read(&path).unwrap()).unwrap()).unwrap();
    assert!(unpacked.contains("GetUser") && !unpacked.contains("canary"), "{unpacked}");
    let replayed = replay(Arc::new(Bundle::read(&path).unwrap())).await;
    assert_eq!(observe(replayed.clone()).await, live);
    let account = first_account(&replayed, "org").await;
    let e = call(&replayed, &account, "GetUser", json!({"UserName": "new"}), &Tally::default()).await.unwrap_err();
    assert_eq!((e.kind, &*e.account), (ErrorKind::NotRecorded, "111111111111"));
    assert!(e.message.contains("iam:GetUser in us-east-1 with input {\"UserName\":\"new\"}"), "{e}");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_bundle_made_by_hand_answers() {
    let mut bundle = Bundle::new("2024-01-01T00:00:00Z".parse().unwrap());
    bundle.account("b", "222222222222", &["us-east-1", "eu-west-1"]);
    bundle.account("a", "111111111111", &["us-east-1"]);
    bundle.account("a", "333333333333", &["us-east-1"]);
    bundle.failing_account("bad", "unknown", error(ErrorKind::Credentials, "NoCredentials"));
    bundle.aggregate("all", &["a", "b"]);
    bundle.answer("222222222222", "us-east-1", "iam", "GetUser", &Value::Null, Ok(json!({"n": 1})));
    bundle.answer("a/333333333333", "us-east-1", "iam", "GetUser", &json!({}), Err(error(ErrorKind::Denied, "AccessDenied")));
    let cloud = replay(Arc::new(bundle)).await;
    assert_eq!(cloud.connections().iter().map(|c| &*c.name).collect::<Vec<_>>(), ["a", "all", "b", "bad"]);
    assert_eq!(cloud.default_connections().iter().map(|c| &**c).collect::<Vec<_>>(), ["b", "a", "bad"]);
    let accounts = cloud.accounts("all").await.unwrap();
    assert_eq!(accounts.iter().map(|a| &*a.key).collect::<Vec<_>>(), ["a/111111111111", "a/333333333333", "b/222222222222"]);
    assert_eq!(accounts[2].regions().await.unwrap().join(" "), "eu-west-1 us-east-1");
    let tally = cloud.tally().child();
    assert_eq!(call(&cloud, &accounts[2], "GetUser", json!({}), &tally).await.unwrap()["n"], 1);
    assert_eq!(call(&cloud, &accounts[1], "GetUser", json!({}), &tally).await.unwrap_err().code, "AccessDenied");
    assert_eq!(call(&cloud, &accounts[0], "GetUser", json!({}), &tally).await.unwrap_err().kind, ErrorKind::NotRecorded);
    assert_eq!(tally.counts().calls, 2, "a replay counts what was asked when it was recorded");
    let bad = first_account(&cloud, "bad").await;
    assert_eq!(bad.identity().await.unwrap_err().code, "NoCredentials");
    assert_eq!(bad.regions().await.unwrap_err().code, "NoCredentials");
    assert_eq!(bad.credential_source().await.unwrap(), "a recording");
}

#[tokio::test]
async fn a_recording_needs_a_folder_to_go_to() {
    let options = Options { mode: Mode::Record("/nowhere/at/all.bundle".into()), ..options(json!({})) };
    let e = Cloud::open(options).await.unwrap_err();
    assert!(e.kind == ErrorKind::Invalid && e.message.contains("/nowhere/at"), "{e}");
}

#[test]
fn accounts_are_compared_by_key() {
    fn hashed<T: std::hash::Hash + Eq>() {}
    hashed::<Account>();
    let _: HashSet<Arc<Account>> = HashSet::new();
}
