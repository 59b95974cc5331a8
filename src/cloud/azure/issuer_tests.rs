//! Sources against a scripted transport: what goes out, and what each answer means.

use super::super::certificate::tests::sound;
use super::super::variables::Variables;
use super::*;
use crate::ConnectionConfig;
use azure_core::credentials::Secret;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::{Body, StatusCode};
use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

/// What the script says to the next request.
#[derive(Debug, Clone)]
pub(in crate::azure) enum Line {
    Answer(u16, String),
    /// The connection fails.
    Dead,
    /// Nothing ever comes.
    Silence,
}

/// Answers from a script and keeps what was asked: method, address, body.
#[derive(Default)]
pub(in crate::azure) struct Script {
    lines: Mutex<VecDeque<Line>>,
    pub(in crate::azure) seen: Mutex<Vec<(String, String, String)>>,
}

/// What was sent is not for everybody's eyes.
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script(…)")
    }
}

impl Script {
    pub(in crate::azure) fn new(lines: impl IntoIterator<Item = Line>) -> Arc<Script> {
        Arc::new(Script { lines: Mutex::new(lines.into_iter().collect()), seen: Mutex::default() })
    }

    pub(in crate::azure) fn asked(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl HttpClient for Script {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else { panic!("a body in memory") };
        let body = String::from_utf8(body.to_vec()).unwrap();
        let metadata = request.headers().get_optional_str(&HeaderName::from_static("metadata")).map_or("", |_| " with metadata");
        self.seen.lock().unwrap().push((format!("{:?}{metadata}", request.method()), request.url().to_string(), body));
        // As a server does: other requests come in between.
        tokio::task::yield_now().await;
        let line = self.lines.lock().unwrap().pop_front().expect("the script is at its end");
        match line {
            Line::Answer(status, body) => Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), Headers::new(), body)),
            Line::Dead => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Connection, "connection refused")),
            Line::Silence => std::future::pending().await,
        }
    }
}

/// Commands that all end alike, and what was run.
#[derive(Debug)]
pub(in crate::azure) struct Shell {
    pub(in crate::azure) code: i32,
    pub(in crate::azure) out: String,
    pub(in crate::azure) err: String,
    pub(in crate::azure) ran: Mutex<Vec<String>>,
}

impl Shell {
    pub(in crate::azure) fn new(code: i32, out: &str, err: &str) -> Arc<Shell> {
        Arc::new(Shell { code, out: out.to_owned(), err: err.to_owned(), ran: Mutex::default() })
    }
}

#[async_trait::async_trait]
impl Executor for Shell {
    async fn run(&self, _program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        self.ran.lock().unwrap().push(args.last().unwrap().to_str().unwrap().to_owned());
        let status = std::process::ExitStatus::from_raw(self.code << 8);
        Ok(Output { status, stdout: self.out.clone().into(), stderr: self.err.clone().into() })
    }
}

impl Issuer {
    /// An issuer on scripts; without retries, so without sleeps.
    pub(in crate::azure) fn scripted(authority: &str, script: &Arc<Script>, shell: &Arc<Shell>, clock: &Clock) -> Issuer {
        let local: Arc<dyn HttpClient> = script.clone();
        Issuer {
            authority: Url::parse(authority).unwrap(),
            login: script.clone(),
            local: Local(OnceLock::from(local)),
            commands: shell.clone(),
            retry: RetryOptions::none(),
            clock: clock.clone(),
        }
    }
}

pub(in crate::azure) fn granted(token: &str, seconds: u64) -> Line {
    Line::Answer(200, format!(r#"{{"token_type":"Bearer","expires_in":{seconds},"access_token":"{token}"}}"#))
}

fn who() -> Principal {
    Principal { tenant: "t-1".into(), client_id: "c-1".into() }
}

fn secret() -> Source {
    Source::Secret { who: who(), secret: Secret::new("s3cr3t+value") }
}

async fn ask(source: &Source, lines: &[Line]) -> (Result<String, Refusal>, Arc<Script>) {
    let script = Script::new(lines.to_vec());
    let clock = Clock::manual();
    let issuer = Issuer::scripted("http://127.0.0.1:9/", &script, &Shell::new(127, "", "az: not found"), &clock);
    let asking = issuer.ask(source, "https://arm.example/.default");
    // Files are read in real time.
    let answer = if lines.iter().any(|l| matches!(l, Line::Silence)) { clock.run(asking).await } else { asking.await };
    (answer.map(|t| t.token.secret().to_owned()), script)
}

#[tokio::test]
async fn a_secret_goes_to_the_authority_of_the_cloud() {
    let (answer, script) = ask(&secret(), &[granted("tok", 3600)]).await;
    assert_eq!(answer.unwrap(), "tok");
    let seen = script.seen.lock().unwrap();
    let (method, url, body) = &seen[0];
    assert_eq!((method.as_str(), url.as_str()), ("Post", "http://127.0.0.1:9/t-1/oauth2/v2.0/token"));
    assert_eq!(body, "client_id=c-1&client_secret=s3cr3t%2Bvalue&grant_type=client_credentials&scope=https%3A%2F%2Farm.example%2F.default");
}

#[tokio::test]
async fn refusals_say_what_the_authority_said_and_no_secret() {
    for (line, absent, kind, message) in [
        (
            Line::Answer(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret s3cr3t+value.\r\nTrace ID: 1","error_codes":[7000215]}"#.into()),
            false,
            ErrorKind::Credentials,
            "AADSTS7000215: Invalid client secret …. Trace ID: 1",
        ),
        (
            Line::Answer(502, "<html>bad gateway</html>".into()),
            false,
            ErrorKind::Transient,
            "http://127.0.0.1:9/ answered with HTTP status 502 and nothing that explains it",
        ),
        (Line::Answer(200, "<html>sign in</html>".into()), false, ErrorKind::BadAnswer, "http://127.0.0.1:9/ answered, but with no token"),
        (Line::Answer(200, "{}".into()), false, ErrorKind::BadAnswer, "http://127.0.0.1:9/ answered, but with no token"),
        (Line::Dead, false, ErrorKind::Unreachable, "cannot reach http://127.0.0.1:9/: connection refused"),
    ] {
        let (answer, _) = ask(&secret(), &[line]).await;
        assert_eq!(answer.unwrap_err(), Refusal { absent, kind, message: message.into() });
    }
}

#[tokio::test]
async fn a_certificate_sends_an_assertion() {
    let folder = tempfile();
    std::fs::write(&folder, sound()).unwrap();
    let (answer, script) = ask(&Source::Certificate { who: who(), path: folder.clone() }, &[granted("tok", 3600)]).await;
    assert_eq!(answer.unwrap(), "tok");
    let body = script.seen.lock().unwrap()[0].2.clone();
    let pairs: Vec<(String, String)> = Url::parse(&format!("http://x/?{body}")).unwrap().query_pairs().into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap();
    assert_eq!(get("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let claims = get("client_assertion").split('.').nth(1).unwrap().to_owned();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "http://127.0.0.1:9/t-1/oauth2/v2.0/token");

    std::fs::write(&folder, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
    let (answer, script) = ask(&Source::Certificate { who: who(), path: folder.clone() }, &[]).await;
    let refusal = answer.unwrap_err();
    assert!(refusal.message.contains("the private key has a password") && !refusal.absent, "{refusal:?}");
    assert_eq!(script.asked(), 0);
    std::fs::remove_file(folder).unwrap();
}

#[tokio::test]
async fn a_federated_token_is_read_anew_each_time() {
    let file = tempfile();
    std::fs::write(&file, "first").unwrap();
    let script = Script::new([granted("a", 9), granted("b", 9)]);
    let issuer = Issuer::scripted("https://login.example/", &script, &Shell::new(1, "", ""), &Clock::manual());
    let source = Source::Workload { who: who(), file: file.clone() };
    issuer.ask(&source, "s").await.unwrap();
    std::fs::write(&file, "second").unwrap();
    issuer.ask(&source, "s").await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let refusal = issuer.ask(&source, "s").await.unwrap_err();
    assert!(refusal.message.starts_with(&format!("AZURE_FEDERATED_TOKEN_FILE {}: ", file.display())), "{refusal:?}");
    let seen = script.seen.lock().unwrap();
    assert!(seen[0].2.starts_with("client_assertion=first&") && seen[1].2.starts_with("client_assertion=second&"), "{seen:?}");
    assert_eq!(seen[0].1, "https://login.example/t-1/oauth2/v2.0/token");
}

#[tokio::test]
async fn the_instance_metadata_is_asked_only_where_azure_answers() {
    let machine = Source::Instance { client_id: Some("u-1".into()) };
    let nothing = "IDENTITY_ENDPOINT is not set, and nothing answers at 169.254.169.254";
    let another = "IDENTITY_ENDPOINT is not set, and no machine of Azure answers at 169.254.169.254";
    for (line, message) in [
        (Line::Silence, nothing),
        (Line::Dead, nothing),
        (Line::Answer(401, String::new()), another),
        (Line::Answer(404, String::new()), another),
        (Line::Answer(200, "moto".into()), another),
    ] {
        let (answer, script) = ask(&machine, &[line]).await;
        assert_eq!(answer.unwrap_err(), Refusal::absent(message));
        assert_eq!(script.asked(), 1);
        assert_eq!(script.seen.lock().unwrap()[0].0, "Get", "the probe has no Metadata header");
    }
    let here = Line::Answer(400, r#"{"error":"invalid_request"}"#.into());
    let token = r#"{"access_token":"tok","expires_on":"4102444800","resource":"r","token_type":"Bearer"}"#;
    let (answer, script) = ask(&machine, &[here.clone(), Line::Answer(200, token.into())]).await;
    assert_eq!(answer.unwrap(), "tok");
    let (method, url, _) = script.seen.lock().unwrap()[1].clone();
    assert_eq!(method, "Get with metadata");
    assert!(url.ends_with("&resource=https%3A%2F%2Farm.example&client_id=u-1"), "{url}");

    let unassigned = Line::Answer(400, r#"{"error":"invalid_request","error_description":"Identity not found"}"#.into());
    let (answer, _) = ask(&machine, &[here, unassigned]).await;
    assert_eq!(answer.unwrap_err(), Refusal::absent("Identity not found"));
}

#[tokio::test]
async fn a_source_that_never_answers_is_given_up() {
    let (answer, _) = ask(&secret(), &[Line::Silence]).await;
    assert_eq!(answer.unwrap_err(), Refusal::new(ErrorKind::Unreachable, "no token within 30 s"));
}

#[tokio::test]
async fn command_lines() {
    let az = Source::Cli { tenant: Some("t-1".into()) };
    let azd = Source::Developer { tenant: None };
    let out = r#"{"accessToken":"tok","expires_on":4102444800,"tokenType":"Bearer"}"#;
    let azd_out = r#"{"token":"tok","expiresOn":"2100-01-01T00:00:00Z"}"#;
    for (source, shell, expected) in [
        (&az, Shell::new(0, out, ""), Ok("cd /bin && az account get-access-token -o json --scope s --tenant t-1")),
        (&azd, Shell::new(0, azd_out, ""), Ok("cd /bin && azd auth token -o json --no-prompt --scope s")),
        (&az, Shell::new(127, "", "az: not found"), Err("az not found on PATH")),
        (&az, Shell::new(1, "", "ERROR: Please run 'az login' to setup account.\n"), Err("Please run 'az login' to setup account.")),
        (
            &azd,
            Shell::new(1, "", r#"{"data":{"message":"not logged in, run `azd auth login`\n"}}"#),
            Err("not logged in, run `azd auth login`"),
        ),
        (
            &az,
            Shell::new(0, r#"{"accessToken":"eyJhbGciOiJSUzI1NiJ9.x","tokenType":"B"}"#, ""),
            Err("expires_on field not found. Please use Azure CLI 2.54.0 or newer."),
        ),
    ] {
        let issuer = Issuer::scripted("https://login.example/", &Script::new([]), &shell, &Clock::manual());
        match (issuer.ask(source, "s").await, expected) {
            (Ok(token), Ok(command)) => {
                assert_eq!(token.token.secret(), "tok");
                assert_eq!(*shell.ran.lock().unwrap(), [command]);
            }
            (Err(refusal), Err(message)) => assert_eq!(refusal, Refusal::absent(message)),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_command_takes_the_place_of_its_shell() {
    assert_eq!(replacing_the_shell(OsStr::new("cd /bin && az x && y")), "cd /bin && exec az x && y");
    assert_eq!(replacing_the_shell(OsStr::new("-c")), "-c");
    let out = Commands.run(OsStr::new("/bin/sh"), &[OsStr::new("-c"), OsStr::new("cd / && pwd")]).await.unwrap();
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(0), &b"/\n"[..]));
    let out = Commands.run(OsStr::new("/bin/sh"), &[OsStr::new("-c"), OsStr::new("cd / && no-such-command-here")]).await.unwrap();
    assert_eq!(out.status.code(), Some(127));
}

#[test]
fn debug_shows_no_secret() {
    let config = ConnectionConfig::default();
    let environment = Environment::read("connections.p", &config, &Variables::default()).unwrap();
    let issuer = Issuer::new(&environment, &reqwest::Client::new(), Clock::real());
    let text = format!("{issuer:?} {:?}", secret());
    assert!(!text.contains("s3cr3t"), "{text}");
}

fn tempfile() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("assay-azure-{}-{:?}", std::process::id(), std::thread::current().id()))
}
