//! Azure through the whole room, over a scripted cloud: subscriptions, tenants, pages, throttles, tokens, secrets, recordings.

use crate::aws::client::Attempts;
use crate::clock::Clock;
use crate::fake::{Fake, open};
use crate::limiter::Advice;
use crate::recorder::Recorder;
use crate::transport::Request;
use crate::{Account, Bundle, Cloud, CloudError, ErrorKind, Mode, Options, ReadOp, Scope, Tally};
use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TENANT: &str = "99999999-0000-0000-0000-000000000000";
const ACCOUNTS: &str = "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts";
const GROUPS: &str = "GET /subscriptions/{}/resourcegroups";
const KEYS: &str = "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys";

fn subscription(id: &str, name: &str, state: &str) -> Value {
    json!({"subscriptionId": id, "displayName": name, "state": state, "tenantId": TENANT, "id": format!("/subscriptions/{id}")})
}

/// Three subscriptions on two pages with an empty one between, and one that is disabled.
fn subscriptions(request: &Request) -> Option<Value> {
    let next = |n: u8| format!("https://management.example/subscriptions?$skiptoken={n}");
    (&*request.operation == "GET /subscriptions").then(|| match request.input.get("next").and_then(Value::as_str) {
        None => {
            json!({"value": [subscription("BBBB", "prod-two", "Enabled"), subscription("aaaa", "Prod-One", "Warned")], "nextLink": next(1)})
        }
        Some(link) if link.ends_with('1') => json!({"value": [], "nextLink": next(2)}),
        _ => json!({"value": [subscription("dddd", "prod-off", "Disabled"), subscription("cccc", "sandbox", "Enabled")]}),
    })
}

fn fake(clock: &Clock, script: impl Fn(&Request, usize, &mut Attempts) -> Result<Value, CloudError> + Send + Sync + 'static) -> Arc<Fake> {
    Fake::new(clock, 10, move |request, n, attempts| match subscriptions(request) {
        Some(answer) => Ok(answer),
        None => script(request, n, attempts),
    })
}

fn nothing(_: &Request, _: usize, _: &mut Attempts) -> Result<Value, CloudError> {
    Ok(json!({"value": []}))
}

fn config() -> Value {
    json!({"connections": {"azure": {"cloud": "azure"}}})
}

fn scope(account: &Arc<Account>) -> Scope {
    Scope { account: account.clone(), region: account.home_region() }
}

fn input(template: &str, subscription: &str) -> Value {
    json!({"path": template.split_once(' ').unwrap().1.replace("{}", subscription), "query": {"api-version": "1"}})
}

async fn call(cloud: &Cloud, account: &Arc<Account>, operation: &str, input: Value) -> Result<Arc<Value>, CloudError> {
    cloud.call(&scope(account), &ReadOp::azure("arm", operation).unwrap(), input, &Tally::default()).await
}

fn keys(accounts: &[Arc<Account>]) -> String {
    accounts.iter().map(|a| &*a.key).collect::<Vec<_>>().join(" ")
}

fn error(kind: ErrorKind, code: &str, status: u16) -> CloudError {
    CloudError { status: Some(status), ..CloudError::new(kind, code, "as scripted") }
}

#[tokio::test]
async fn a_connection_is_its_subscriptions_by_id_listed_once() {
    let clock = Clock::manual();
    let fake = fake(&clock, nothing);
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let found = clock.run(join_all((0..5).map(|_| cloud.accounts("azure")))).await;
    let accounts = found[0].clone().unwrap();
    assert_eq!(keys(&accounts), "azure/aaaa azure/bbbb azure/cccc azure/dddd");
    assert_eq!(fake.count(), 3, "three pages, once: {:?}", fake.asked());
    let identity = accounts[0].known_identity().unwrap();
    assert_eq!((&*identity.account_id, &*identity.partition, &*identity.arn), ("aaaa", "AzurePublicCloud", ""));
    assert_eq!(identity.tenant_id.as_deref(), Some(TENANT));
    assert_eq!((&*accounts[0].home_region(), accounts[0].regions().await.unwrap().join(" ")), ("global", "global".to_owned()));
    assert_eq!(accounts[0].credential_source().await.unwrap(), "a token of a test");
    // The table of subscriptions asks the tenant for the same thing.
    let tenant = clock.run(cloud.tenants("azure")).await.unwrap().remove(0);
    assert_eq!((&*tenant.key, &*tenant.known_identity().unwrap().account_id), ("azure", TENANT));
    let input = json!({"path": "/subscriptions", "query": {"api-version": "2022-12-01"}});
    let op = ReadOp::azure("arm", "GET /subscriptions").unwrap();
    let pages: Vec<_> = clock.run(cloud.pages(&scope(&tenant), &op, input, None, &Tally::default()).collect::<Vec<_>>()).await;
    assert_eq!(pages.iter().map(|p| p.as_ref().unwrap()["value"].as_array().unwrap().len()).collect::<Vec<_>>(), [2, 0, 2]);
    assert_eq!(fake.count(), 3, "from the cache: {:?}", fake.asked());
}

#[tokio::test]
async fn globs_choose_subscriptions_by_id_and_name() {
    for (globs, expected) in [
        (json!(["prod-*"]), "azure/aaaa azure/bbbb azure/dddd"),
        (json!(["PROD-ONE", "CCCC"]), "azure/aaaa azure/cccc"),
        (json!([]), "azure/aaaa azure/bbbb azure/cccc azure/dddd"),
    ] {
        let clock = Clock::manual();
        let config = json!({"connections": {"azure": {"cloud": "azure", "subscriptions": globs}}});
        let cloud = open(&fake(&clock, nothing), &clock, config, None).await.unwrap();
        assert_eq!(keys(&clock.run(cloud.accounts("azure")).await.unwrap()), expected);
    }
    let clock = Clock::manual();
    let config = json!({"connections": {"azure": {"cloud": "azure", "subscriptions": ["x*"]}}});
    let cloud = open(&fake(&clock, nothing), &clock, config.clone(), None).await.unwrap();
    let e = clock.run(cloud.accounts("azure")).await.unwrap_err();
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Invalid, "NoSubscription"), "{e}");
    let none = Fake::new(&clock, 1, nothing);
    let cloud = open(&none, &clock, config, None).await.unwrap();
    let e = clock.run(cloud.accounts("azure")).await.unwrap_err();
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Denied, "NoSubscriptions"), "{e}");
}

#[tokio::test]
async fn a_disabled_subscription_is_reported_and_not_asked() {
    let clock = Clock::manual();
    let fake = fake(&clock, nothing);
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let accounts = clock.run(cloud.accounts("azure")).await.unwrap();
    let before = fake.count();
    let e = call(&cloud, &accounts[3], GROUPS, input(GROUPS, "dddd")).await.unwrap_err();
    assert_eq!((e.kind, e.code.as_str(), e.account.as_str(), e.region.as_str()), (ErrorKind::Denied, "SubscriptionDisabled", "dddd", ""));
    assert!(e.message.contains("\"prod-off\" is Disabled"), "{e}");
    assert_eq!(e.to_string().find("  "), None, "{e}");
    assert_eq!(fake.count(), before);
    clock.run(call(&cloud, &accounts[0], GROUPS, input(GROUPS, "aaaa"))).await.unwrap();
}

#[tokio::test]
async fn a_tenant_is_the_configured_one_or_found() {
    let clock = Clock::manual();
    for (tenant, calls) in [(json!(TENANT.to_uppercase()), 0), (json!("example.com"), 3), (json!(null), 3)] {
        let fake = fake(&clock, nothing);
        let config = json!({"connections": {"azure": {"cloud": "azure", "tenant": tenant}, "aws": {}, "all": {"aggregate": ["*"]}}});
        let cloud = open(&fake, &clock, config, None).await.unwrap();
        assert!(cloud.tenants("aws").await.unwrap().is_empty());
        let found = clock.run(cloud.tenants("all")).await.unwrap();
        assert_eq!(keys(&found), "azure");
        let identity = clock.run(found[0].identity()).await.unwrap();
        assert_eq!((&*identity.account_id, identity.tenant_id.as_deref(), fake.count()), (TENANT, Some(TENANT), calls));
    }
    let two = Fake::new(&clock, 1, |request, _, _| match &*request.operation {
        "GET /tenants" => Ok(json!({"value": [{"tenantId": "a"}, {"tenantId": "b"}]})),
        _ => Ok(json!({"value": []})),
    });
    let cloud = open(&two, &clock, config(), None).await.unwrap();
    let tenant = cloud.tenants("azure").await.unwrap().remove(0);
    let e = clock.run(tenant.identity()).await.unwrap_err();
    assert!(e.code == "UnknownTenant" && e.message.contains("set `tenant`"), "{e}");
}

async fn one_account(cloud: &Cloud, clock: &Clock) -> Arc<Account> {
    clock.run(cloud.accounts("azure")).await.unwrap().remove(0)
}

#[tokio::test]
async fn pages_follow_links_and_refuse_to_go_in_circles() {
    let clock = Clock::manual();
    let link = |n: usize| format!("https://management.example/x?$skiptoken={n}");
    let fake = fake(&clock, move |request, _, _| {
        let at = request.input.get("next").and_then(Value::as_str).and_then(|l| l.rsplit('=').next()?.parse::<usize>().ok()).unwrap_or(0);
        Ok(json!({"value": [at], "nextLink": link(if at == 3 { 1 } else { at + 1 })}))
    });
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let account = one_account(&cloud, &clock).await;
    let before = fake.count();
    let op = ReadOp::azure("arm", ACCOUNTS).unwrap();
    let pages = cloud.pages(&scope(&account), &op, input(ACCOUNTS, "aaaa"), None, &Tally::default());
    let pages: Vec<_> = clock.run(pages.collect::<Vec<_>>()).await;
    assert_eq!(pages.iter().filter_map(|p| p.as_ref().ok()).map(|p| p["value"][0].clone()).collect::<Vec<_>>(), [0, 1, 2]);
    let e = pages.last().unwrap().as_ref().unwrap_err();
    assert_eq!((e.code.as_str(), e.account.as_str(), e.service.as_str(), e.region.as_str()), ("BadPagination", "aaaa", "arm", ""));
    assert_eq!(fake.count() - before, 4);
    assert!(fake.asked().last().unwrap().contains(r#"{"next":"https://management.example/x?$skiptoken=3"}"#));
}

#[tokio::test]
async fn a_storm_of_throttles_is_waited_out_behind_a_closed_gate() {
    let clock = Clock::manual();
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (seen, at) = (times.clone(), clock.clone());
    let open_at = Duration::from_secs(20);
    let fake = fake(&clock, move |request, _, attempts| {
        seen.lock().unwrap().push((request.input["path"].to_string(), at.now()));
        if at.now() < open_at && request.input["path"].to_string().contains("aaaa") {
            attempts.throttled = 1;
            attempts.advice = Advice { retry_after: Some(open_at - at.now()), left: Some(0), ..Advice::default() };
            return Err(error(ErrorKind::Throttled, "SubscriptionRequestsThrottled", 429));
        }
        Ok(json!({"value": []}))
    });
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let accounts = clock.run(cloud.accounts("azure")).await.unwrap();
    let tally = Tally::default();
    let ask = |account: &Arc<Account>, n: usize| {
        let mut input = input(GROUPS, &account.known_identity().unwrap().account_id);
        input["query"]["$top"] = n.into();
        let (cloud, scope, tally) = (cloud.clone(), scope(account), tally.clone());
        async move { cloud.call(&scope, &ReadOp::azure("arm", GROUPS).unwrap(), input, &tally).await }
    };
    let calls = (0..100).map(|n| ask(&accounts[0], n)).chain((0..10).map(|n| ask(&accounts[1], n)));
    assert!(clock.run(join_all(calls)).await.iter().all(Result::is_ok));
    let times = times.lock().unwrap();
    let of = |id: &str| times.iter().filter(|(path, _)| path.contains(id)).map(|(_, at)| *at).collect::<Vec<_>>();
    let early = of("aaaa").iter().filter(|at| **at < open_at).count();
    assert!(early <= 32, "only those under way when the gate closed: {early}");
    assert!(of("bbbb").iter().all(|at| *at < Duration::from_secs(1)), "another subscription is not held up");
    let after: Vec<_> = of("aaaa").into_iter().filter(|at| *at >= open_at).collect();
    assert_eq!(after.len(), 100);
    let span = (*after.last().unwrap() - open_at).as_secs_f64();
    assert!((99.0 / 25.0 - 0.1..6.0).contains(&span), "paced by the refill of 25 a second: {span}");
    assert_eq!(tally.counts().calls, 110);
    assert_eq!(tally.counts().throttles, early as u64);
}

#[tokio::test]
async fn a_cloud_that_asks_for_too_long_a_wait_is_an_error_at_once() {
    let clock = Clock::manual();
    let fake = fake(&clock, |_, _, attempts| {
        attempts.throttled = 1;
        attempts.advice.retry_after = Some(Duration::from_secs(3600));
        Err(error(ErrorKind::Throttled, "TooManyRequests", 429))
    });
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let account = one_account(&cloud, &clock).await;
    let (before, start) = (fake.count(), clock.now());
    for n in 0..3 {
        let mut input = input(GROUPS, "aaaa");
        input["query"]["$top"] = n.into();
        let e = clock.run(call(&cloud, &account, GROUPS, input)).await.unwrap_err();
        assert!(e.kind == ErrorKind::Throttled && (e.message.contains("3600 s") || e.message.contains("3599 s")), "{e}");
    }
    assert_eq!(fake.count() - before, 1);
    assert!(clock.now() - start < Duration::from_secs(1));
}

#[tokio::test]
async fn faults_are_tried_four_times_and_throttles_longer() {
    for (kind, code, status, made) in [
        (ErrorKind::Transient, "InternalServerError", 500, 4),
        (ErrorKind::Unreachable, "Unreachable", 0, 4),
        (ErrorKind::BadAnswer, "MalformedAnswer", 200, 4),
        (ErrorKind::BadAnswer, "HtmlAnswer", 404, 1),
        (ErrorKind::NotFound, "ResourceNotFound", 404, 1),
        (ErrorKind::Throttled, "TooManyRequests", 429, 10),
    ] {
        let clock = Clock::manual();
        let fake = fake(&clock, move |_, _, attempts| {
            attempts.most = 4;
            Err(error(kind, code, status))
        });
        let cloud = open(&fake, &clock, config(), None).await.unwrap();
        let account = one_account(&cloud, &clock).await;
        let before = fake.count();
        let e = clock.run(call(&cloud, &account, GROUPS, input(GROUPS, "aaaa"))).await.unwrap_err();
        assert_eq!((e.kind, e.code.as_str(), fake.count() - before), (kind, code, made));
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_all_subscriptions_also_in_the_middle_of_pages() {
    let clock = Clock::manual();
    let fake = fake(&clock, |request, _, _| {
        let generation = request.login.generation();
        let second = request.input.get("next").is_some();
        match (generation, second) {
            (0, true) => Err(error(ErrorKind::Credentials, "ExpiredAuthenticationToken", 401)),
            (_, false) => Ok(json!({"value": [1], "nextLink": "https://management.example/2"})),
            _ => Ok(json!({"value": [2]})),
        }
    });
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let accounts = clock.run(cloud.accounts("azure")).await.unwrap();
    let before = fake.count();
    let op = ReadOp::azure("arm", GROUPS).unwrap();
    let read = accounts[..3].iter().map(|a| {
        let id = a.known_identity().unwrap().account_id;
        cloud.pages(&scope(a), &op, input(GROUPS, &id), None, &Tally::default()).collect::<Vec<_>>()
    });
    let pages = clock.run(join_all(read)).await;
    assert!(pages.iter().all(|p| p.len() == 2 && p[1].as_ref().unwrap()["value"][0] == 2));
    assert_eq!(accounts[0].login.generation(), 1, "three subscriptions, one principal, one renewal");
    assert_eq!(fake.count() - before, 9);
    let refused = self::fake(&clock, |_, _, _| Err(error(ErrorKind::Credentials, "InvalidAuthenticationToken", 401)));
    let cloud = open(&refused, &clock, config(), None).await.unwrap();
    let account = one_account(&cloud, &clock).await;
    let before = refused.count();
    let e = clock.run(call(&cloud, &account, GROUPS, input(GROUPS, "aaaa"))).await.unwrap_err();
    assert_eq!((e.kind, refused.count() - before), (ErrorKind::Credentials, 2), "once, then the error");
}

#[tokio::test]
async fn reads_of_storage_keep_to_the_published_buckets_per_subscription() {
    let clock = Clock::manual();
    let (calls, late) = (Arc::new(AtomicUsize::new(0)), clock.clone());
    let counted = calls.clone();
    let fake = fake(&clock, move |_, _, _| {
        if late.now() < Duration::from_secs(2) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(json!({"value": []}))
    });
    let cloud = open(&fake, &clock, config(), None).await.unwrap();
    let accounts = clock.run(cloud.accounts("azure")).await.unwrap();
    let mut all = Vec::new();
    for account in &accounts[..2] {
        for n in 0..110 {
            let mut input = input(ACCOUNTS, &account.known_identity().unwrap().account_id);
            input["query"]["$top"] = n.into();
            all.push(call(&cloud, account, ACCOUNTS, input));
        }
    }
    clock.run(join_all(all)).await.into_iter().for_each(|r| drop(r.unwrap()));
    assert_eq!(calls.load(Ordering::SeqCst), 200, "a burst of 100 lists for each of the two");
    assert!((29..=32).contains(&clock.now().as_secs()), "ten more at 100 in 300 s: {:?}", clock.now());
}

#[tokio::test]
async fn an_answer_that_is_a_secret_is_in_no_cache_and_no_recording() {
    let path = std::env::temp_dir().join(format!("assay-azure-{}.bundle", std::process::id()));
    let clock = Clock::manual();
    let fake = fake(&clock, |request, _, _| match &*request.operation {
        KEYS => Ok(json!({"keys": [{"keyName": "key1", "value": "canary-7f3a"}]})),
        GROUPS => Err(error(ErrorKind::Denied, "AuthorizationFailed", 403)),
        _ => Ok(json!({"value": [{"name": "one", "properties": {"connectionString": "canary-7f3a"}}]})),
    });
    let recorder = Recorder::new(path.clone(), "2026-11-22T06:00:00Z".parse().unwrap());
    let cloud = open(&fake, &clock, json!({"connections": {"azure": {"cloud": "azure"}, "all": {"aggregate": ["azure"]}}}), Some(recorder))
        .await
        .unwrap();
    let accounts = clock.run(cloud.accounts("all")).await.unwrap();
    let path_of = |id: &str| json!({"path": format!("/subscriptions/{id}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/one/listKeys")});
    let before = fake.count();
    for _ in 0..2 {
        let keys = clock.run(call(&cloud, &accounts[0], KEYS, path_of("aaaa"))).await.unwrap();
        assert_eq!(keys["keys"][0]["value"], "canary-7f3a", "those who ask get it");
    }
    assert_eq!(fake.count() - before, 2, "not from the cache");
    let observe = |cloud: Cloud| async move {
        let mut seen = Vec::new();
        for account in cloud.accounts("all").await.unwrap().iter().chain(&cloud.tenants("azure").await.unwrap()) {
            let id = account.identity().await.unwrap();
            seen.push(format!("{account:?} {id:?} {} {:?}", account.home_region(), account.regions().await));
            for operation in [GROUPS, ACCOUNTS] {
                let answer = call(&cloud, account, operation, input(operation, &id.account_id)).await;
                seen.push(answer.map_or_else(|e| e.to_string(), |v| v["value"][0]["name"].to_string()));
            }
        }
        let connections = cloud.connections().iter().map(|c| format!("{} {} {}", c.name, c.cloud(), c.kind()));
        seen.extend(connections);
        seen
    };
    let live = clock.run(observe(cloud.clone())).await;
    assert!(live.iter().any(|l| l.contains("SubscriptionDisabled")) && live.iter().any(|l| l.contains("AuthorizationFailed")), "{live:#?}");
    cloud.finish_recording().unwrap();
    let unpacked = String::from_utf8(zstd::decode_all(&*std::fs::read(&path).unwrap()).unwrap()).unwrap();
    assert!(unpacked.contains("storageAccounts") && !unpacked.contains("canary") && !unpacked.contains("listKeys"), "{unpacked}");
    let bundle = Arc::new(Bundle::read(&path).unwrap());
    std::fs::remove_file(path).unwrap();
    let replay = Cloud::open(Options { mode: Mode::Replay(bundle), ..crate::fake::options(json!({})) }).await.unwrap();
    assert_eq!(observe(replay.clone()).await, live);
    let account = replay.accounts("azure").await.unwrap().remove(0);
    let e = call(&replay, &account, KEYS, path_of("aaaa")).await.unwrap_err();
    assert_eq!((e.kind, e.account.as_str()), (ErrorKind::NotRecorded, "aaaa"));
}

#[tokio::test]
async fn a_bundle_made_by_hand_has_subscriptions() {
    let mut bundle = Bundle::new("2026-11-22T06:00:00Z".parse().unwrap());
    bundle.account("aws", "111111111111", &["us-east-1"]);
    bundle.subscription("azure", "aaaa", TENANT);
    bundle.subscription("azure", "bbbb", TENANT);
    bundle.disabled_subscription("azure", "cccc", TENANT);
    bundle.answer("aaaa", "global", "arm", GROUPS, &input(GROUPS, "aaaa"), Ok(json!({"value": [1]})));
    bundle.answer(TENANT, "global", "arm", "GET /tenants", &json!({"path": "/tenants"}), Ok(json!({"value": [2]})));
    let options = Options { mode: Mode::Replay(Arc::new(bundle)), ..crate::fake::options(json!({})) };
    let cloud = Cloud::open(options).await.unwrap();
    let shown: Vec<_> = cloud.connections().iter().map(|c| format!("{} {}", c.name, c.cloud())).collect();
    assert_eq!(shown, ["aws aws", "azure azure"]);
    let accounts = cloud.accounts("azure").await.unwrap();
    assert_eq!(keys(&accounts), "azure/aaaa azure/bbbb azure/cccc");
    assert_eq!(call(&cloud, &accounts[0], GROUPS, input(GROUPS, "aaaa")).await.unwrap()["value"][0], 1);
    assert_eq!(call(&cloud, &accounts[1], GROUPS, input(GROUPS, "bbbb")).await.unwrap_err().kind, ErrorKind::NotRecorded);
    assert_eq!(call(&cloud, &accounts[2], GROUPS, input(GROUPS, "cccc")).await.unwrap_err().code, "SubscriptionDisabled");
    let tenant = cloud.tenants("azure").await.unwrap().remove(0);
    assert_eq!(call(&cloud, &tenant, "GET /tenants", json!({"path": "/tenants"})).await.unwrap()["value"][0], 2);
    assert!(cloud.tenants("aws").await.unwrap().is_empty());
}
