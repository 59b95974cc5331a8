//! Writes to Azure against a small HTTP server: made once, judged rightly, kept out of everything that keeps. Reads that must see them.

use super::*;
use crate::azure::principal::{Parts, Principal};
use crate::clock::Clock;
use crate::fake::{Fake, FakeTokens, environment, first_account, open};
use crate::recorder::Recorder;
use crate::{ReadOp, Scope, Tally};
use futures::future::join_all;
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ID: &str = "/subscriptions/aaaa/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/stone";
const CANARY: &str = "CANARY+of/writer==";

/// A server that reads whole requests, gives each the same answer and closes.
async fn server(answer: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            loop {
                match stream.read(&mut part).await {
                    Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
                    _ => break,
                }
                let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.split("content-length: ").nth(1).and_then(|l| l.lines().next()?.parse().ok()).unwrap_or(0);
                if body.len() >= length {
                    break;
                }
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            // A client that has gone away is no concern of the test.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A writer of subscription `aaaa` whose Resource Manager and vault are at this address.
async fn writer(address: &str) -> (Writer, Arc<FakeTokens>) {
    let tokens = Arc::new(FakeTokens { tenant: Some("t".into()), ..FakeTokens::default() });
    let mut environment = environment(address);
    environment.vault_suffix = address.strip_prefix("http://").map(str::to_owned);
    let (given, http) = (tokens.clone(), crate::azure::client::http());
    let principal = move |c: &crate::Connection| {
        let parts = Parts { environment: environment.clone(), tokens: Box::new(given.clone()), http: http.clone() };
        Principal::made(c.name.clone(), parts)
    };
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 1, |_, _, _| {
        Ok(json!({"value": [{"subscriptionId": "aaaa", "state": "Enabled", "tenantId": "t", "id": "/subscriptions/aaaa"}]}))
    });
    let options = crate::fake::options(json!({"connections": {"azure": {"cloud": "azure"}}}));
    let cloud = Cloud::live_as(&options, clock.clone(), fake, None, &principal).await.unwrap();
    let account = clock.run(cloud.accounts("azure")).await.unwrap().remove(0);
    (cloud.writer(&account).unwrap(), tokens)
}

#[tokio::test]
async fn a_write_is_one_request_with_a_token_of_its_audience() {
    let (address, asked) = server(answer("200 OK", &json!({"keys": [{"keyName": "key1", "value": CANARY}]}).to_string())).await;
    let (writer, _) = writer(&address).await;
    let got = writer.arm(ArmWrite::RegenerateKey { id: ID, key: "key1" }).await.unwrap();
    assert_eq!(got["keys"][0]["value"], CANARY);
    let secret = json!({"value": CANARY});
    writer.arm(ArmWrite::VaultSecret { url: &format!("{address}/secrets/a"), method: "PUT", body: &secret }).await.unwrap();
    let (vault, _) = server(answer("200 OK", &secret.to_string())).await;
    let (reader, _) = self::writer(&vault).await;
    let version = ArmWrite::VaultSecret { url: &format!("{vault}/secrets/a/11a5"), method: "GET", body: &Value::Null };
    assert_eq!(reader.arm(version).await.unwrap()["value"], CANARY, "here a value is one");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with(&format!("POST {ID}/regenerateKey?api-version=2021-06-01 HTTP/1.1\r\n")), "{}", asked[0]);
    assert!(asked[0].contains("Bearer token-0\r\n") || asked[0].contains("bearer token-0\r\n"), "{}", asked[0]);
    assert!(asked[0].ends_with(r#"{"keyName":"key1"}"#) && asked[1].starts_with("PUT /secrets/a?api-version=7.4 "), "{asked:?}");
}

#[tokio::test]
async fn failures_say_whether_they_can_have_had_an_effect() {
    let said = |code: &str| json!({"error": {"code": code, "message": "as said"}}).to_string();
    for (answer, kind, code, without_effect) in [
        (answer("403 Forbidden", &said("AuthorizationFailed")), ErrorKind::Denied, "AuthorizationFailed", true),
        (answer("404 Not Found", &said("ResourceNotFound")), ErrorKind::NotFound, "ResourceNotFound", true),
        (answer("409 Conflict", &said("ScopeLocked")), ErrorKind::Service, "ScopeLocked", true),
        (answer("401 Unauthorized", &said("ExpiredAuthenticationToken")), ErrorKind::Credentials, "ExpiredAuthenticationToken", true),
        (answer("429 Too Many Requests", &said("TooManyRequests")), ErrorKind::Throttled, "TooManyRequests", true),
        (answer("302 Found", ""), ErrorKind::BadAnswer, "302", true),
        (answer("408 Request Timeout", &said("RequestTimeout")), ErrorKind::Transient, "RequestTimeout", false),
        (answer("500 Oops", &said("InternalServerError")), ErrorKind::Transient, "InternalServerError", false),
        (answer("503 Busy", "<html>busy</html>"), ErrorKind::Transient, "HtmlAnswer", false),
        (answer("200 OK", "<html>welcome</html>"), ErrorKind::BadAnswer, "HtmlAnswer", false),
        (answer("200 OK", &format!(r#"{{"keys":[{{"value":"{CANARY}""#)), ErrorKind::BadAnswer, "MalformedAnswer", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned(), ErrorKind::Transient, "ConnectionBroken", false),
        (String::new(), ErrorKind::Transient, "ConnectionBroken", false),
    ] {
        let (address, asked) = server(answer.clone()).await;
        let (writer, tokens) = writer(&address).await;
        let f = writer.arm(ArmWrite::RegenerateKey { id: ID, key: "key1" }).await.unwrap_err();
        assert_eq!((f.error.kind, f.error.code.as_str(), f.without_effect), (kind, code, without_effect), "{answer}: {}", f.error);
        assert_eq!((&*f.error.service, &*f.error.operation, &*f.error.account), ("arm", "regenerateKey", "aaaa"), "{answer}");
        assert_eq!(asked.lock().unwrap().len(), 1, "one attempt: {answer}");
        assert!(!format!("{f:?}").contains("CANARY"), "{f:?}");
        let renewed = tokens.forgotten.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(renewed, usize::from(kind == ErrorKind::Credentials), "an expired token is thrown away");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (writer, _) = writer(&format!("http://{closed}")).await;
    let f = writer.arm(ArmWrite::ListKeys { id: ID }).await.unwrap_err();
    assert_eq!((f.error.kind, f.without_effect), (ErrorKind::Unreachable, true), "{}", f.error);
    let other = ID.replace("aaaa", "bbbb");
    let f = writer.arm(ArmWrite::ListKeys { id: &other }).await.unwrap_err();
    assert_eq!((f.error.code.as_str(), f.without_effect), ("RefusedWrite", true));
}

#[tokio::test]
async fn there_is_no_writer_where_nothing_may_be_changed() {
    let clock = Clock::manual();
    let recorder = Recorder::new(std::env::temp_dir().join("assay-never-written.zst"), chrono::Utc::now());
    let recording = open(&Fake::healthy(&clock), &clock, json!({}), Some(recorder)).await.unwrap();
    let e = recording.writer(&first_account(&recording, "aws").await).unwrap_err();
    assert!(e.code == "RefusedWrite" && e.message.contains("while recording"), "{e}");
    let cloud = open(&Fake::healthy(&clock), &clock, json!({}), None).await.unwrap();
    let writer = cloud.writer(&first_account(&cloud, "aws").await).unwrap();
    let f = writer.arm(ArmWrite::ListKeys { id: ID }).await.unwrap_err();
    assert_eq!((f.error.code.as_str(), f.without_effect), ("WrongCloud", true));
    assert_eq!(writer.aws().await.unwrap().retry_config().unwrap().max_attempts(), 1);
}

#[test]
fn the_body_of_a_write_is_not_shown() {
    let body = json!({"value": CANARY});
    let shown = format!("{:?}", ArmWrite::VaultSecret { url: "https://v/secrets/a", method: "PUT", body: &body });
    assert_eq!(shown, r#"setSecret("https://v/secrets/a")"#);
}

/// A read that began before a write, and the one after the write: the second must not be told what the first is.
#[tokio::test]
async fn fresh_reads_are_neither_cached_nor_shared() {
    let clock = Clock::manual();
    let fake = Fake::new(&clock, 10, |_, n, _| Ok(json!({"AccessKeyMetadata": [], "Number": n})));
    let cloud = open(&fake, &clock, json!({}), None).await.unwrap();
    let account = first_account(&cloud, "aws").await;
    let scope = Scope { region: account.home_region(), account };
    let op = ReadOp::aws("iam", "ListAccessKeys").unwrap();
    let tally = Tally::default();
    let read = |cloud: Cloud| {
        let (scope, op, tally) = (scope.clone(), op.clone(), tally.clone());
        async move { cloud.call(&scope, &op, json!({"UserName": "u"}), &tally).await.unwrap()["Number"].as_u64().unwrap() }
    };
    // The cache is on, and has the answer.
    assert_eq!(clock.run(read(cloud.clone())).await, 1);
    assert_eq!(clock.run(read(cloud.clone())).await, 1);
    let fresh = cloud.fresh();
    assert_eq!(clock.run(read(fresh.clone())).await, 2, "not from the cache");
    assert_eq!(clock.run(read(fresh.clone())).await, 3, "and not kept for the next one");
    assert_eq!(clock.run(read(cloud.clone())).await, 1, "nor for the others");
    let numbers = clock.run(join_all((0..4).map(|_| read(fresh.clone())))).await;
    assert_eq!(numbers, [4, 5, 6, 7], "each makes its own call, also at the same time");
    // A shared call is under way when the fresh one begins.
    cloud.set_cache_ttl(Duration::ZERO);
    let (shared, own) = clock.run(futures::future::join(read(cloud.clone()), read(fresh.clone()))).await;
    assert_ne!(shared, own);
    assert_eq!(fake.count(), 9);
    assert_eq!((tally.counts().calls, tally.counts().cache_hits), (9, 2));
}
