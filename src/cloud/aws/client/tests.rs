//! Calls through the whole orchestrator, with a connector in the place of the network: what is sent, what fails how.

use super::*;
use crate::ErrorKind;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_types::region::Region;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// The time of the signature vectors.
const NOW: u64 = 1_709_633_472;

#[derive(Clone, Copy)]
enum Answer {
    Http(u16, &'static str),
    Reset,
    TimeOut,
}
use Answer::{Http, Reset, TimeOut};

/// Answers from a list, again and again its last one, and keeps what was asked.
#[derive(Clone)]
struct Network(Arc<Mutex<(Vec<Answer>, Vec<Sent>)>>);

struct Sent {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    fn new(mut answers: Vec<Answer>) -> Network {
        answers.reverse();
        Network(Arc::new(Mutex::new((answers, Vec::new()))))
    }

    fn last(&self) -> Sent {
        self.0.lock().unwrap().1.pop().expect("nothing was sent")
    }
}

impl HttpConnector for Network {
    fn call(&self, r: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().unwrap();
        state.1.push(Sent {
            method: r.method().to_owned(),
            url: r.uri().to_owned(),
            headers: r.headers().iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            body: String::from_utf8(r.body().bytes().unwrap_or_default().to_vec()).unwrap(),
        });
        let answer = if state.0.len() > 1 { state.0.pop().unwrap() } else { state.0[0] };
        HttpConnectorFuture::ready(match answer {
            Http(status, body) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
            Reset => Err(ConnectorError::io(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)))),
            TimeOut => Err(ConnectorError::timeout("too slow".into())),
        })
    }
}

/// Back-off without waiting.
#[derive(Debug, Clone)]
struct NoSleep;
impl AsyncSleep for NoSleep {
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}

fn config(network: &Network) -> aws_types::sdk_config::Builder {
    let connector = SharedHttpConnector::new(network.clone());
    let keys = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "test");
    SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .sleep_impl(SharedAsyncSleep::new(NoSleep))
        .time_source(SharedTimeSource::new(StaticTimeSource::new(UNIX_EPOCH + Duration::from_secs(NOW))))
}

async fn call(config: SdkConfig, service: &str, operation: &str, input: Value) -> (Result<Value, CloudError>, Attempts) {
    let mut attempts = Attempts { total: 9, throttled: 9, ..Attempts::default() };
    let client = Client::new(service, &config).unwrap();
    (client.call(operation, input, &mut attempts).await, attempts)
}

const USERS: &str = "<ListUsersResponse><ListUsersResult><Users><member><UserName>ann</UserName></member></Users><IsTruncated>false</IsTruncated></ListUsersResult></ListUsersResponse>";
const THROTTLED: Answer = Http(400, "<ErrorResponse><Error><Code>Throttling</Code><Message>slow</Message></Error></ErrorResponse>");
const DENIED: &str =
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>r7</RequestId></ErrorResponse>";

#[tokio::test]
async fn answers_and_failures_of_one_attempt() {
    let html = "<!doctype html><title>404</title>";
    let cut = &USERS[..150];
    for (what, answer, want, throttled, passing) in [
        ("an answer", Http(200, USERS), Ok(()), 0, false),
        ("throttled", THROTTLED, Err((ErrorKind::Throttled, "Throttling")), 1, false),
        ("a server fault", Http(503, html), Err((ErrorKind::Transient, "503")), 0, false),
        ("a reset", Reset, Err((ErrorKind::Transient, "ConnectionBroken")), 0, false),
        ("a time-out", TimeOut, Err((ErrorKind::Transient, "TimeOut")), 0, false),
        ("denied", Http(403, DENIED), Err((ErrorKind::Denied, "AccessDenied")), 0, false),
        ("a web page", Http(404, html), Err((ErrorKind::BadAnswer, "404")), 0, false),
        ("a friendly web page", Http(200, html), Err((ErrorKind::BadAnswer, "HtmlAnswer")), 0, false),
        ("cut", Http(200, cut), Err((ErrorKind::BadAnswer, "MalformedAnswer")), 0, true),
        ("another answer", Http(200, "<other/>"), Err((ErrorKind::BadAnswer, "UnexpectedAnswer")), 0, false),
        ("nothing", Http(200, ""), Err((ErrorKind::BadAnswer, "MalformedAnswer")), 0, true),
    ] {
        let (got, attempts) = call(config(&Network::new(vec![answer])).build(), "iam", "ListUsers", json!({})).await;
        assert_eq!((attempts.total, attempts.throttled, attempts.passing), (1, throttled, passing), "{what}");
        match (got, want) {
            (Ok(v), Ok(())) => assert_eq!(v, json!({"Users": [{"UserName": "ann"}], "IsTruncated": false}), "{what}"),
            (Err(e), Err((kind, code))) => {
                assert_eq!((e.kind, e.code.as_str()), (kind, code), "{what}: {e}");
                assert_eq!((e.service.as_str(), e.operation.as_str(), e.region.as_str()), ("iam", "ListUsers", "eu-west-1"));
            }
            (got, _) => panic!("{what}: {got:?}"),
        }
    }
    let (denied, _) = call(config(&Network::new(vec![Http(403, DENIED)])).build(), "iam", "ListUsers", json!({})).await;
    let denied = denied.unwrap_err();
    assert_eq!((denied.request_id.as_deref(), denied.status, denied.message.as_str()), (Some("r7"), Some(403), "no"));
}

#[tokio::test]
async fn what_is_wrong_before_anything_is_sent() {
    let access_point = json!({"Bucket": "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap"});
    for (service, operation, input, code) in [
        ("iam", "ListUser", json!({}), "UnknownOperation"),
        ("iam", "ListUsers", json!({"Nope": 1}), "InvalidInput"),
        ("s3", "GetBucketPolicy", json!({"Bucket": "arn:aws:nope:eu-west-1:1:x"}), "NoEndpoint"),
        ("s3", "ListObjectsV2", access_point, "NotSupported"),
        ("ssm", "GetParameter", json!({"Name": "x", "WithDecryption": true}), "RefusedInput"),
        ("kinesis", "SubscribeToShard", json!({}), "NotSupported"),
    ] {
        let network = Network::new(vec![Http(200, "{}")]);
        let (got, attempts) = call(config(&network).build(), service, operation, input).await;
        let e = got.unwrap_err();
        assert_eq!((e.kind, e.code.as_str(), attempts.total), (ErrorKind::Invalid, code, 0), "{service} {operation}: {e}");
    }
    assert_eq!(Client::new("nope", &config(&Network::new(vec![Reset])).build()).unwrap_err().code, "UnknownService");
}

#[derive(Debug)]
struct Expired;
impl ProvideCredentials for Expired {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let e: provider::Result = Err(CredentialsError::provider_error("the SSO session has expired"));
        future::ProvideCredentials::ready(e)
    }
}

#[tokio::test]
async fn without_credentials() {
    let network = Network::new(vec![Http(200, USERS)]);
    let none = SdkConfig::builder().region(Region::new("eu-west-1")).build();
    let (got, attempts) = call(none, "iam", "ListUsers", json!({})).await;
    assert_eq!((got.unwrap_err().kind, attempts.total), (ErrorKind::Credentials, 0));

    let expired = config(&network).credentials_provider(SharedCredentialsProvider::new(Expired)).build();
    let (got, attempts) = call(expired, "iam", "ListUsers", json!({})).await;
    let e = got.unwrap_err();
    assert_eq!((e.kind, e.code.as_str(), attempts.total), (ErrorKind::Credentials, "NoCredentials", 0));
    assert!(e.message.contains("the SSO session has expired"), "{}", e.message);
}

#[tokio::test]
async fn nobody_at_the_address() {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, kind) in
        [(format!("http://{closed}"), ErrorKind::Unreachable), ("http://no-such-host.invalid".into(), ErrorKind::Unreachable)]
    {
        let config = config(&Network::new(vec![Reset])).http_client(http.clone()).endpoint_url(&url).build();
        let (got, _) = call(config, "iam", "ListUsers", json!({})).await;
        let e = got.unwrap_err();
        assert_eq!((e.kind, e.code.as_str()), (kind, "Unreachable"), "{url}: {e}");
    }
}

#[tokio::test]
async fn where_calls_go() {
    let buckets = "<ListAllMyBucketsResult/>";
    let block = "<PublicAccessBlockConfiguration/>";
    for (service, operation, input, own, body, want) in [
        ("iam", "ListUsers", json!({}), None, USERS, "POST https://iam.amazonaws.com/"),
        ("s3", "ListBuckets", json!({}), None, buckets, "GET https://s3.eu-west-1.amazonaws.com/"),
        (
            "s3",
            "GetPublicAccessBlock",
            json!({"Bucket": "bkt"}),
            None,
            block,
            "GET https://bkt.s3.eu-west-1.amazonaws.com/?publicAccessBlock",
        ),
        (
            "s3",
            "GetPublicAccessBlock",
            json!({"Bucket": "bkt"}),
            Some("http://127.0.0.1:5000"),
            block,
            "GET http://127.0.0.1:5000/bkt/?publicAccessBlock",
        ),
        (
            "s3control",
            "GetPublicAccessBlock",
            json!({"AccountId": "123456789012"}),
            None,
            block,
            "GET https://123456789012.s3-control.eu-west-1.amazonaws.com/v20180820/configuration/publicAccessBlock",
        ),
        (
            "s3control",
            "GetPublicAccessBlock",
            json!({"AccountId": "123456789012"}),
            Some("http://127.0.0.1:5000"),
            block,
            "GET http://127.0.0.1:5000/v20180820/configuration/publicAccessBlock",
        ),
        (
            "mwaa",
            "ListEnvironments",
            json!({}),
            None,
            "{\"Environments\":[]}",
            "GET https://api.airflow.eu-west-1.amazonaws.com/environments",
        ),
        (
            "mwaa",
            "ListEnvironments",
            json!({}),
            Some("http://127.0.0.1:5000/base"),
            "{\"Environments\":[]}",
            "GET http://127.0.0.1:5000/base/environments",
        ),
    ] {
        let network = Network::new(vec![Http(200, body)]);
        let mut config = config(&network);
        config.set_endpoint_url(own.map(str::to_owned));
        let (got, _) = call(config.build(), service, operation, input).await;
        got.unwrap();
        let sent = network.last();
        assert_eq!(format!("{} {}", sent.method, sent.url), want);
    }
}

/// Vectors are made by `testdata/make_signatures.py` with botocore's own signer, from the requests that this test writes into the file
/// named by `ASSAY_SIGNATURE_REQUESTS`.
#[tokio::test]
async fn signatures_are_botocores() {
    let vectors: Value = serde_json::from_str(include_str!("../testdata/signatures.json")).unwrap();
    let mut requests = Vec::new();
    for case in vectors.as_array().unwrap() {
        let text = |k: &str| case[k].as_str().unwrap_or_default().to_owned();
        let network = Network::new(vec![Http(200, "")]);
        let token = case["token"].as_str().map(str::to_owned);
        let keys = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token, None, "test");
        let config =
            config(&network).region(Region::new(text("region"))).credentials_provider(SharedCredentialsProvider::new(keys)).build();
        let client = Client::new(&text("service"), &config).unwrap();
        // the official user agent names the machine, and it is signed
        let _ = client.with_plugin(test_agent()).call(&text("operation"), case["input"].clone(), &mut Attempts::default()).await;
        let sent = network.last();
        let authorization = sent.headers.iter().find(|(k, _)| k == "authorization").map(|(_, v)| v.clone()).unwrap_or_default();
        if std::env::var_os("ASSAY_SIGNATURE_REQUESTS").is_none() {
            assert_eq!(authorization, text("authorization"), "{case}");
        }
        let mut request = case.clone();
        request["request"] = json!({"method": sent.method, "url": sent.url, "headers": sent.headers, "body": sent.body});
        requests.push(request);
    }
    if let Some(path) = std::env::var_os("ASSAY_SIGNATURE_REQUESTS") {
        std::fs::write(path, Value::Array(requests).to_string()).unwrap();
    }
}

fn test_agent() -> aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin {
    use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
    use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
    use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};

    #[derive(Debug)]
    struct Agent;
    #[dyn_dispatch_hint]
    impl Intercept for Agent {
        fn name(&self) -> &'static str {
            "Agent"
        }
        fn modify_before_signing(
            &self,
            ctx: &mut BeforeTransmitInterceptorContextMut<'_>,
            _: &RuntimeComponents,
            _: &mut aws_smithy_types::config_bag::ConfigBag,
        ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
            ctx.request_mut().headers_mut().insert("x-amz-user-agent", "test");
            Ok(())
        }
    }
    let mut parts = RuntimeComponentsBuilder::new("agent");
    parts.push_interceptor(SharedInterceptor::permanent(Agent));
    aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin::new().with_runtime_components(parts)
}

impl Client {
    fn with_plugin(mut self, plugin: aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin) -> Client {
        self.plugins = self.plugins.with_client_plugin(plugin);
        self
    }
}
