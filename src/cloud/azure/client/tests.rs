//! One attempt against a small HTTP server: what goes out, what comes back, what broken connections are.

use super::*;
use crate::azure::principal::Parts;
use crate::credentials::{Login, Source};
use crate::fake::{FakeTokens, environment};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIST: &str = "GET /subscriptions";

/// A server that gives one answer to each connection and closes it, and the requests it got.
async fn server(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut part).await {
                    Ok(n) if n > 0 => request.extend_from_slice(&part[..n]),
                    _ => break,
                }
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            // A client that has gone away is no concern of the test.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

struct World {
    principal: Principal,
    tokens: Arc<FakeTokens>,
}

fn world(address: &str) -> World {
    let tokens = Arc::new(FakeTokens::default());
    let parts = Parts { environment: environment(address), tokens: Box::new(tokens.clone()), http: http() };
    World { principal: Principal::made("azure".into(), parts), tokens }
}

async fn call(world: &World, operation: &str, input: Value) -> (Result<Value, CloudError>, Attempts) {
    let request = Request {
        login: Arc::new(Login::new("azure", "global", Source::Recorded)),
        region: "global".into(),
        service: "arm".into(),
        operation: operation.into(),
        canonical: input.to_string().into(),
        input,
    };
    let mut attempts = Attempts::default();
    (send(&world.principal, &request, &mut attempts).await, attempts)
}

fn subscriptions() -> Value {
    json!({"path": "/subscriptions", "query": {"api-version": "2022-12-01"}})
}

#[tokio::test]
async fn a_call_carries_its_token_and_brings_back_json_and_advice() {
    let (address, asked) = server(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nx-ms-ratelimit-remaining-subscription-reads: 11\r\n\
         Content-Length: 12\r\n\r\n{\"value\":[]}",
    )
    .await;
    let world = world(&address);
    let (answer, attempts) = call(&world, LIST, subscriptions()).await;
    assert_eq!(answer.unwrap(), json!({"value": []}));
    assert_eq!(
        attempts,
        Attempts {
            total: 1,
            most: ATTEMPTS,
            advice: crate::limiter::Advice { left: Some(11), ..Default::default() },
            ..Attempts::default()
        }
    );
    let head = asked.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /subscriptions?api-version=2022-12-01 http/1.1\r\n"), "{head}");
    for line in ["authorization: bearer token-0", "accept: application/json", "user-agent: assay/", "accept-encoding: gzip"] {
        assert!(head.contains(line), "{line}: {head}");
    }
    world.tokens.forgotten.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    call(&world, LIST, subscriptions()).await.0.unwrap();
    assert!(asked.lock().unwrap()[1].to_ascii_lowercase().contains("bearer token-1"));
}

#[tokio::test]
async fn a_query_of_the_resource_graph_is_posted() {
    let (address, asked) = server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{\"data\":[]}").await;
    let input =
        json!({"path": "/providers/Microsoft.ResourceGraph/resources", "query": {"api-version": "1"}, "body": {"query": "resources"}});
    call(&world(&address), crate::azure::allow::RESOURCE_GRAPH, input).await.0.unwrap();
    let text = asked.lock().unwrap()[0].clone();
    assert!(text.starts_with("POST /providers/Microsoft.ResourceGraph/resources?api-version=1 "), "{text}");
    assert!(text.to_ascii_lowercase().contains("content-type: application/json"), "{text}");
}

#[tokio::test]
async fn what_goes_wrong_is_typed() {
    for (answer, kind, code, status, throttled) in [
        (
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Throttled,
            "429",
            Some(429),
            1,
        ),
        (
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 26\r\n\r\n<html>no such page</html> ",
            ErrorKind::BadAnswer,
            "HtmlAnswer",
            Some(404),
            0,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"value\":[{\"n",
            ErrorKind::BadAnswer,
            "MalformedAnswer",
            Some(200),
            0,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"value\":[", ErrorKind::Transient, "ConnectionBroken", Some(200), 0),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::BadAnswer,
            "302",
            Some(302),
            0,
        ),
        ("", ErrorKind::Transient, "ConnectionBroken", None, 0),
    ] {
        let (address, asked) = server(answer).await;
        let (result, attempts) = call(&world(&address), LIST, subscriptions()).await;
        let e = result.unwrap_err();
        assert_eq!((e.kind, e.code.as_str(), e.status), (kind, code, status), "{answer:?}: {e}");
        assert_eq!((attempts.total, attempts.throttled), (1, throttled), "{answer:?}");
        assert!(!e.message.contains("api-version") && !asked.lock().unwrap().is_empty(), "{e}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (result, attempts) = call(&world(&format!("http://{closed}")), LIST, subscriptions()).await;
    let e = result.unwrap_err();
    assert_eq!((e.kind, attempts.total), (ErrorKind::Unreachable, 1), "{e}");
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let (address, _) = server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").await;
    let (other, stolen) = server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").await;
    let (result, attempts) = call(&world(&address), LIST, json!({"next": format!("{other}/subscriptions?$skiptoken=x")})).await;
    assert_eq!((result.unwrap_err().code.as_str(), attempts.total), ("ForeignNextLink", 0));
    assert!(stolen.lock().unwrap().is_empty());
    call(&world(&address), LIST, json!({"next": format!("{address}/elsewhere?$skiptoken=x")})).await.0.unwrap();
}
