//! A scripted cloud for tests: answers by a function, latency on a manual clock, counts of calls made, in flight and dropped.

use crate::aws::client::Attempts;
use crate::azure::environment::Environment;
use crate::azure::principal::{Parts, Principal, TokenSource};
use crate::azure::tokens::{Audience, Token};
use crate::clock::Clock;
use crate::recorder::Recorder;
use crate::transport::{Request, Transport};
use crate::{Account, Cloud, CloudError, Connection, ErrorKind, Mode, Options};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers request number `n` (from 1) after `attempts` were set.
type Script = dyn Fn(&Request, usize, &mut Attempts) -> Result<Value, CloudError> + Send + Sync;

pub(crate) struct Fake {
    script: Box<Script>,
    clock: Clock,
    latency: Duration,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) peak: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    pub(crate) fn new(
        clock: &Clock,
        latency_ms: u64,
        script: impl Fn(&Request, usize, &mut Attempts) -> Result<Value, CloudError> + Send + Sync + 'static,
    ) -> Arc<Fake> {
        Arc::new(Fake {
            script: Box::new(script),
            clock: clock.clone(),
            latency: Duration::from_millis(latency_ms),
            asked: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    /// A healthy little AWS: identity by login, three regions of which two are enabled, two pages of users.
    pub(crate) fn healthy(clock: &Clock) -> Arc<Fake> {
        Fake::new(clock, 10, |request, _, _| standard(request))
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Calls made so far, as `login service:operation region input`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn standard(request: &Request) -> Result<Value, CloudError> {
    let input = &request.input;
    match &*request.operation {
        "GetCallerIdentity" => Ok(json!({"Account": "111111111111", "Arn": "arn:aws:iam::111111111111:user/me", "UserId": "A"})),
        "DescribeRegions" => Ok(json!({"Regions": [
            {"RegionName": "us-east-1", "OptInStatus": "opt-in-not-required"},
            {"RegionName": "af-south-1", "OptInStatus": "not-opted-in"},
            {"RegionName": "eu-west-1", "OptInStatus": "opted-in"},
        ]})),
        "ListAccounts" => Ok(json!({"Accounts": [
            {"Id": "333333333333", "Name": "prod-b", "Status": "ACTIVE"},
            {"Id": "222222222222", "Name": "prod-a", "State": "ACTIVE"},
            {"Id": "444444444444", "Name": "gone", "Status": "SUSPENDED"},
            {"Id": "555555555555", "Name": "sandbox-x", "State": "ACTIVE", "Status": "ACTIVE"},
            {"Id": "111111111111", "Name": "management", "Status": "ACTIVE"},
        ]})),
        "GetUser" if input["UserName"] == "nobody" => Err(CloudError::new(ErrorKind::NotFound, "NoSuchEntity", "no such user")),
        "GetUser" => Ok(json!({"User": {"UserName": input["UserName"], "Password": "canary-7f3a", "Deep": [{"Note": "canary-7f3a"}]}})),
        other => Err(CloudError::new(ErrorKind::Invalid, "Unscripted", other.to_owned())),
    }
}

impl Transport for Fake {
    fn send<'a>(&'a self, request: &'a Request, attempts: &'a mut Attempts) -> BoxFuture<'a, Result<Value, CloudError>> {
        struct Counted<'a>(&'a Fake, bool);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
                if !self.1 {
                    self.0.dropped.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        Box::pin(async move {
            let number = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(format!(
                    "{} {}:{} {} {}",
                    request.login.key, request.service, request.operation, request.region, request.canonical
                ));
                asked.len()
            };
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.peak.fetch_max(now, Ordering::SeqCst);
            let mut counted = Counted(self, false);
            attempts.total = 1;
            // What is answered is settled when the call arrives, as in a cloud that looks at the signature first.
            let answer = (self.script)(request, number, attempts);
            self.clock.sleep(self.latency).await;
            counted.1 = true;
            answer
        })
    }
}

/// A cloud over a fake, with the configuration given as JSON.
pub(crate) async fn open(fake: &Arc<Fake>, clock: &Clock, config: Value, recorder: Option<Recorder>) -> Result<Cloud, CloudError> {
    let options = options(config);
    Cloud::live_as(&options, clock.clone(), fake.clone(), recorder, &principal).await
}

/// Tokens of a test: counted, and named after how often they were thrown away.
#[derive(Debug, Default)]
pub(crate) struct FakeTokens {
    pub(crate) forgotten: AtomicUsize,
    pub(crate) tenant: Option<String>,
    /// Whose token it says it is; empty: it says so little.
    pub(crate) bearer: Option<&'static str>,
}

impl TokenSource for Arc<FakeTokens> {
    fn token(&self, _: Audience) -> BoxFuture<'_, Result<Token, CloudError>> {
        let text = match self.bearer {
            Some(bearer) => format!("x.{}.y", URL_SAFE_NO_PAD.encode(json!({"tid": "t", "appid": bearer}).to_string())),
            None => format!("token-{}", self.forgotten.load(Ordering::SeqCst)),
        };
        let header = format!("Bearer {text}").parse().unwrap();
        Box::pin(async { Ok(Token { header }) })
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }

    fn describe(&self) -> BoxFuture<'_, Result<String, CloudError>> {
        Box::pin(async { Ok("a token of a test".to_owned()) })
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

/// A cloud whose Resource Manager is at the given address.
pub(crate) fn environment(resource_manager: &str) -> Environment {
    let url = |text: &str| reqwest::Url::parse(text).unwrap();
    Environment {
        name: "AzurePublicCloud".into(),
        authority: url("https://login.example"),
        resource_manager: url(resource_manager),
        graph: url("https://graph.example"),
        storage_suffix: "core.example".into(),
        vault_suffix: Some("vault.example".into()),
        vault_scope: "v".into(),
        arm_scope: "a".into(),
        graph_scope: "g".into(),
        storage_scope: "s".into(),
    }
}

/// The principal of a connection of a test, with the tenant that is configured.
pub(crate) fn principal(connection: &Connection) -> Principal {
    let tokens = Arc::new(FakeTokens { tenant: connection.config.tenant.clone(), ..FakeTokens::default() });
    let parts =
        Parts { environment: environment("https://management.example"), tokens: Box::new(tokens), http: crate::azure::client::http() };
    Principal::made(connection.name.clone(), parts)
}

pub(crate) fn options(config: Value) -> Options {
    Options { config: serde_json::from_value(config).unwrap(), mode: Mode::Live, cache_ttl: Duration::from_secs(300), max_in_flight: 256 }
}

pub(crate) async fn first_account(cloud: &Cloud, connection: &str) -> Arc<Account> {
    cloud.accounts(connection).await.unwrap().remove(0)
}
