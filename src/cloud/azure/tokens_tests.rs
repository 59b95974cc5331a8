//! Tokens against a scripted transport and a clock moved by hand.

use super::super::issuer::tests::{Line, Script, Shell, granted};
use super::*;
use serde_json::json;

const SECRET: [(&str, &str); 3] = [("AZURE_TENANT_ID", "t-1"), ("AZURE_CLIENT_ID", "c-1"), ("AZURE_CLIENT_SECRET", "s3cr3t")];

struct Bench {
    tokens: Tokens,
    script: Arc<Script>,
    clock: Clock,
}

fn bench(config: Value, variables: &[(&str, &str)], lines: &[Line], shell: &Arc<Shell>) -> Bench {
    let config = serde_json::from_value(config).unwrap();
    let variables = Variables::from(variables);
    let environment = Environment::read("connections.p", &config, &variables).unwrap();
    let (script, clock) = (Script::new(lines.to_vec()), Clock::manual());
    let issuer = Issuer::scripted("https://login.example/", &script, shell, &clock);
    Bench { tokens: Tokens::with("p", &config, &environment, &variables, issuer, clock.clone()), script, clock }
}

fn with_secret(lines: &[Line]) -> Bench {
    bench(json!({}), &SECRET, lines, &Shell::new(127, "", ""))
}

fn header(token: &Token) -> &str {
    token.header.to_str().unwrap()
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

fn refused(message: &str) -> Line {
    Line::Answer(401, json!({"error": "invalid_client", "error_description": message}).to_string())
}

#[tokio::test]
async fn a_token_is_kept_per_audience_until_five_minutes_before_its_end() {
    let b = with_secret(&[granted("a", 3600), granted("g", 3600), granted("b", 3600)]);
    let arm = Audience::ResourceManager;
    for _ in 0..3 {
        assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer a");
    }
    assert_eq!(header(&b.tokens.token(Audience::Graph).await.unwrap()), "Bearer g");
    assert_eq!(b.script.asked(), 2);
    let scopes: Vec<String> =
        b.script.seen.lock().unwrap().iter().map(|(_, _, body)| body.rsplit_once("scope=").unwrap().1.to_owned()).collect();
    assert_eq!(scopes, ["https%3A%2F%2Fmanagement.azure.com%2F.default", "https%3A%2F%2Fgraph.microsoft.com%2F.default"]);
    b.clock.advance(minutes(54));
    assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer a");
    b.clock.advance(minutes(2));
    assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer b");
    assert_eq!(b.script.asked(), 3);
}

#[tokio::test]
async fn a_short_lived_token_is_used_for_half_its_time() {
    let b = with_secret(&[granted("a", 120), granted("b", 120)]);
    b.tokens.token(Audience::Storage).await.unwrap();
    b.clock.advance(minutes(1) - Duration::from_secs(5));
    assert_eq!(header(&b.tokens.token(Audience::Storage).await.unwrap()), "Bearer a");
    b.clock.advance(Duration::from_secs(6));
    assert_eq!(header(&b.tokens.token(Audience::Storage).await.unwrap()), "Bearer b");
}

#[tokio::test]
async fn many_callers_make_one_request() {
    let b = with_secret(&[granted("a", 3600)]);
    let all = futures::future::join_all((0..50).map(|_| b.tokens.token(Audience::ResourceManager))).await;
    assert!(all.iter().all(|t| header(t.as_ref().unwrap()) == "Bearer a"));
    assert_eq!(b.script.asked(), 1);
}

#[tokio::test]
async fn forgotten_tokens_are_fetched_anew() {
    let b = with_secret(&[granted("a", 3600), granted("b", 3600)]);
    b.tokens.token(Audience::ResourceManager).await.unwrap();
    b.tokens.forget();
    assert_eq!(header(&b.tokens.token(Audience::ResourceManager).await.unwrap()), "Bearer b");
}

#[tokio::test]
async fn a_failure_is_believed_for_a_while_and_is_that_of_one_audience() {
    let b = with_secret(&[
        refused("AADSTS65001: no consent"),
        granted("a", 3600),
        refused("AADSTS1: x"),
        granted("g", 3600),
        granted("h", 3600),
    ]);
    let (arm, graph) = (Audience::ResourceManager, Audience::Graph);
    for _ in 0..3 {
        let e = b.tokens.token(graph).await.unwrap_err();
        assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Credentials, "AuthenticationFailed"));
        assert_eq!(e.to_string(), "in p global: AuthenticationFailed: client secret from the environment: AADSTS65001: no consent");
    }
    assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer a");
    assert_eq!(b.script.asked(), 2);
    b.clock.advance(FAILURE_BELIEVED);
    assert!(b.tokens.token(graph).await.unwrap_err().message.ends_with("AADSTS1: x"));
    b.tokens.forget();
    assert_eq!(header(&b.tokens.token(graph).await.unwrap()), "Bearer g", "forgetting forgets failures too");
    b.tokens.forget();
    assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer h");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let b = with_secret(&[granted("a", 3600), Line::Answer(503, String::new()), Line::Dead, refused("AADSTS2: gone")]);
    let arm = Audience::ResourceManager;
    b.tokens.token(arm).await.unwrap();
    b.clock.advance(minutes(56));
    for _ in 0..3 {
        assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer a");
    }
    assert_eq!(b.script.asked(), 2, "the failure to renew is believed, too");
    b.clock.advance(minutes(2));
    assert_eq!(header(&b.tokens.token(arm).await.unwrap()), "Bearer a");
    b.clock.advance(minutes(2));
    assert!(b.tokens.token(arm).await.unwrap_err().message.ends_with("AADSTS2: gone"));
}

#[tokio::test]
async fn a_source_that_was_meant_is_not_stood_in_for() {
    let az = Shell::new(0, r#"{"accessToken":"of az","expires_on":4102444800,"tokenType":"Bearer"}"#, "");
    let b = bench(json!({}), &SECRET, &[refused("AADSTS7000215: Invalid client secret provided.")], &az);
    let e = b.tokens.token(Audience::ResourceManager).await.unwrap_err();
    assert!(e.message.contains("AADSTS7000215"), "{e}");
    assert!(az.ran.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_chain_goes_on_to_the_command_line_and_stays_there() {
    let az = Shell::new(0, r#"{"accessToken":"aztoken","expires_on":4102444800,"tokenType":"Bearer"}"#, "");
    let b = bench(json!({}), &[], &[Line::Dead], &az);
    for audience in [Audience::ResourceManager, Audience::Graph, Audience::Storage] {
        assert_eq!(header(&b.tokens.token(audience).await.unwrap()), "Bearer aztoken");
    }
    b.tokens.forget();
    b.tokens.token(Audience::Graph).await.unwrap();
    assert_eq!(b.script.asked(), 1, "the instance metadata is probed once");
    assert_eq!(az.ran.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn when_nothing_works_every_source_is_named_once() {
    let shell = Shell::new(127, "", "not found");
    let b = bench(json!({}), &[], &[Line::Dead], &shell);
    let audiences = [Audience::ResourceManager, Audience::Graph, Audience::Storage];
    let all = futures::future::join_all(audiences.map(|a| b.tokens.token(a))).await;
    let expected = "no credentials for Azure; environment variables: neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set; \
        workload identity: AZURE_FEDERATED_TOKEN_FILE is not set; managed identity of the machine: IDENTITY_ENDPOINT is not set, and nothing \
        answers at 169.254.169.254; Azure CLI: az not found on PATH; Azure Developer CLI: azd not found on PATH";
    for e in all.into_iter().map(Result::unwrap_err) {
        assert_eq!((e.kind, e.code.as_str(), e.account.as_str()), (ErrorKind::Credentials, "NoCredentials", "p"));
        assert_eq!(e.message, expected);
    }
    assert_eq!((b.script.asked(), shell.ran.lock().unwrap().len()), (1, 2), "looked for once, not once per audience");
}

#[tokio::test]
async fn what_is_set_up_by_half_is_told_when_a_token_is_asked_for() {
    let b = bench(json!({}), &[("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s3cr3t")], &[], &Shell::new(0, "", ""));
    let e = b.tokens.token(Audience::ResourceManager).await.unwrap_err();
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Credentials, "IncompleteCredentials"));
    assert!(e.message.contains("AZURE_CLIENT_SECRET is set, but not the tenant (AZURE_TENANT_ID"), "{e}");
    assert_eq!(b.tokens.tenant(), None);
}

#[tokio::test]
async fn descriptions_name_source_and_principal() {
    let b = with_secret(&[granted("a", 3600)]);
    assert_eq!(b.tokens.describe().await.unwrap(), "client secret from the environment, tenant t-1, client c-1, valid for 59 min");
    assert_eq!(b.tokens.tenant(), Some("t-1"));

    let claims = URL_SAFE_NO_PAD.encode(json!({"tid": "t-9", "upn": "ann@contoso.example", "appid": "az"}).to_string());
    let out = json!({"accessToken": format!("eyJ9.{claims}.sig"), "expires_on": 4_102_444_800_i64, "tokenType": "Bearer"}).to_string();
    let b = bench(json!({"credential": "cli"}), &SECRET, &[], &Shell::new(0, &out, ""));
    let text = b.tokens.describe().await.unwrap();
    assert!(text.starts_with("Azure CLI, tenant t-9, ann@contoso.example, valid for "), "{text}");
}

#[test]
fn claims_are_read_where_there_are_any() {
    let of = |claims: Value| whose(&format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string())));
    let client = Whose { tenant: Some("t".into()), name: Some("client a".into()) };
    assert_eq!(of(json!({"tid": "t", "appid": "a"})), client);
    assert_eq!(of(json!({"tid": "t", "azp": "a"})), client);
    assert_eq!(of(json!({"tid": 1, "appid": "\u{1b}[2J"})), Whose::default());
    for token in ["", "opaque", "a.b.c", "a.!!!.c"] {
        assert_eq!(whose(token), Whose::default(), "{token}");
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let b = with_secret(&[granted("t0k3n", 3600)]);
    let token = b.tokens.token(Audience::ResourceManager).await.unwrap();
    let text = format!("{:?} {token:?} {:?}", b.tokens, token.header);
    assert!(!text.contains("s3cr3t") && !text.contains("t0k3n"), "{text}");
}

#[tokio::test]
async fn a_token_that_fits_no_header_is_refused() {
    let b = with_secret(&[granted("a\\nb", 3600)]);
    assert_eq!(b.tokens.token(Audience::ResourceManager).await.unwrap_err().code, "BadToken");
}
