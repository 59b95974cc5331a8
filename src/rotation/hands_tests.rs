//! The hands against a small server of our own, in a process of their own, whose environment names it: every request is counted, every kind
//! of failure answered once, and what is logged at the finest level is searched for the secret. With `ignore`: parts of other tests, and
//! those that need moto or the fake Resource Manager and take their addresses from the environment.

use super::*;
use crate::quiet::tests::Listener;
use crate::test_server::{Asked, serve};
use assay_cloud::{Config, Mode, Options};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;
use tracing::instrument::WithSubscriber;

const CANARY: &str = "CANARYwJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAM";
const ACCOUNT: &str = "123456789012";

fn inside(test: &str, variables: &[(&str, &str)]) -> String {
    crate::test_server::inside(&format!("hands::tests::{test}"), variables)
}

pub(crate) async fn hands(config: Value) -> CloudHands {
    let config: Config = serde_json::from_value(config).unwrap();
    // A cache that would lie, if it were asked.
    let options = Options { config, mode: Mode::Live, cache_ttl: Duration::from_secs(3600), max_in_flight: 64 };
    CloudHands::new(Cloud::open(options).await.unwrap())
}

fn answer_of(action: &str, result: &str) -> (u16, String) {
    (
        200,
        format!(
            "<{action}Response><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
        ),
    )
}

fn error(status: u16, code: &str) -> (u16, String) {
    (
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>said {code}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

fn key(user: &str, id: &str, status: &str) -> String {
    format!(
        "<member><UserName>{user}</UserName><AccessKeyId>{id}</AccessKeyId><Status>{status}</Status><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"
    )
}

fn made(user: &str) -> String {
    format!(
        "<AccessKey><UserName>{user}</UserName><AccessKeyId>AKIANEW</AccessKeyId><Status>Active</Status>\
         <SecretAccessKey>{CANARY}</SecretAccessKey><CreateDate>2026-01-02T03:04:05Z</CreateDate></AccessKey>"
    )
}

/// A healthy IAM; users are named after what is odd about them.
fn healthy(asked: &Asked) -> Option<(u16, String)> {
    let (action, user) = (asked.form("Action"), asked.form("UserName"));
    let (action, user) = (action.as_str(), user.as_str());
    let page =
        |list: &str, items: String, more: &str| format!("<{list}>{items}</{list}><IsTruncated>{}</IsTruncated>{more}", !more.is_empty());
    let result = match action {
        "GetCallerIdentity" if asked.signer() == "AKIAGONE" => return Some(error(403, "InvalidClientTokenId")),
        "GetCallerIdentity" => format!("<Arn>arn:aws:iam::{ACCOUNT}:user/me</Arn><UserId>AIDA{}</UserId><Account>{ACCOUNT}</Account>", asked.signer()),
        "ListAccessKeys" if user == "expired" => page("AccessKeyMetadata", key(user, "AKIAODD", "Expired"), ""),
        "ListAccessKeys" if user == "others" => page("AccessKeyMetadata", key("somebody", "AKIAODD", "Active"), ""),
        "ListAccessKeys" if user == "nothing" => String::new(),
        "ListAccessKeys" if asked.form("Marker").is_empty() => page("AccessKeyMetadata", key(user, "AKIAONE", "Active"), "<Marker>m</Marker>"),
        "ListAccessKeys" => page("AccessKeyMetadata", key(user, "AKIATWO", "Inactive"), ""),
        "GetUser" => {
            let tags = if user == "tagged" { "<Tags><member><Key>a</Key><Value>b</Value></member></Tags>" } else { "" };
            format!("<User><UserName>{user}</UserName><UserId>AIDAUSER</UserId><Path>/x/</Path><Arn>arn:aws:iam::{ACCOUNT}:user/x/{user}</Arn>\
                     <CreateDate>2026-01-02T03:04:05Z</CreateDate>{tags}</User>")
        }
        "ListUserTags" => page("Tags", "<member><Key>assay:rotate</Key><Value>never</Value></member>".into(), ""),
        "GetAccessKeyLastUsed" => match asked.form("AccessKeyId").as_str() {
            "AKIANEVER" => "<AccessKeyLastUsed><ServiceName>N/A</ServiceName><Region>N/A</Region></AccessKeyLastUsed><UserName>u</UserName>".into(),
            "AKIAODD" => "<UserName>u</UserName>".into(),
            _ => "<AccessKeyLastUsed><LastUsedDate>2026-02-03T04:05:06Z</LastUsedDate><ServiceName>s3</ServiceName><Region>N/A</Region></AccessKeyLastUsed>".into(),
        },
        "ListUserPolicies" => page("PolicyNames", "<member>AmazonSesSendingAccess</member>".into(), ""),
        "ListGroupsForUser" => page("Groups", "<member><GroupName>g</GroupName><GroupId>i</GroupId><Path>/</Path><Arn>a</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>".into(), ""),
        "AssumeRole" => "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
            .into(),
        "CreateAccessKey" => made(user),
        "UpdateAccessKey" | "DeleteAccessKey" => String::new(),
        other => panic!("{other}"),
    };
    Some(answer_of(action, &result))
}

#[tokio::test]
#[ignore = "part of calls_are_made_anew_and_the_secret_stays_where_it_is"]
async fn inside_calls() {
    let listener = Listener::default();
    let shown = async {
        let hands = hands(json!({})).await;
        let iam = hands.iam("aws", ACCOUNT).await.unwrap();
        for _ in 0..2 {
            let keys = iam.keys("u").await.unwrap();
            let shown: Vec<_> = keys.iter().map(|k| (k.id.as_str(), k.status)).collect();
            assert_eq!(shown, [("AKIAONE", KeyStatus::Active), ("AKIATWO", KeyStatus::Inactive)], "all pages");
        }
        assert_eq!(iam.own_keys().await.unwrap(), ["AKIAOWN"]);
        assert_eq!(hands.principal("aws", ACCOUNT).await.unwrap(), format!("arn:aws:iam::{ACCOUNT}:user/me"));
        let user = iam.user("u").await.unwrap();
        assert_eq!((user.id.as_str(), user.path.as_str(), user.tags["assay:rotate"].as_str()), ("AIDAUSER", "/x/", "never"));
        assert_eq!(iam.user("tagged").await.unwrap().tags["a"], "b");
        assert_eq!(iam.last_use("AKIANEVER").await.unwrap(), None);
        let used = iam.last_use("AKIAONE").await.unwrap().unwrap();
        assert_eq!(
            (used.at, used.service.as_deref(), used.region),
            ("2026-02-03T04:05:06Z".parse::<DateTime<Utc>>().unwrap(), Some("s3"), None)
        );
        assert_eq!(iam.policies_and_groups("u").await.unwrap(), ["AmazonSesSendingAccess", "g"]);
        let new = iam.create("u").await.unwrap();
        assert_eq!((new.id.as_str(), new.secret.expose(), new.created.timestamp()), ("AKIANEW", CANARY, 1_767_323_045));
        assert_eq!(iam.identify("AKIANEW", &new.secret).await.unwrap(), (ACCOUNT.to_owned(), "AIDAAKIANEW".to_owned()));
        let gone = iam.identify("AKIAGONE", &new.secret).await.unwrap_err();
        assert_eq!((gone.kind, gone.code.as_str()), (ErrorKind::Credentials, "InvalidClientTokenId"));
        iam.set_status("u", "AKIAONE", KeyStatus::Inactive).await.unwrap();
        iam.delete("u", "AKIAONE").await.unwrap();
        // What does not say what it must is no answer, least of all a reassuring one.
        let mut odd = Vec::new();
        for user in ["expired", "others", "nothing"] {
            odd.push(iam.keys(user).await.unwrap_err());
        }
        odd.push(iam.last_use("AKIAODD").await.unwrap_err());
        assert!(odd.iter().all(|e| e.kind == ErrorKind::BadAnswer && e.account == ACCOUNT), "{odd:?}");
        // Without a name IAM would take the caller for the user.
        assert!(iam.user("").await.is_err() && iam.create("").await.is_err());
        format!("{new:?} {gone:?} {gone} {iam:?} {hands:?}", iam = "iam")
    }
    .with_subscriber(listener.clone())
    .await;
    let heard = listener.0.lock().unwrap().clone();
    assert!(heard.contains("DeleteAccessKey"), "it listens at the finest level: {heard}");
    assert!(!heard.contains("CANARY") && !shown.contains("CANARY"));
}

#[test]
fn calls_are_made_anew_and_the_secret_stays_where_it_is() {
    let (address, counted) = serve(healthy);
    let text = inside("inside_calls", &[("AWS_ENDPOINT_URL", &address)]);
    assert!(!text.contains("CANARY"), "{text}");
    let counted = counted.lock().unwrap();
    let count = |what: &str| counted.iter().filter(|c| *c == what).count();
    for (what, times) in [
        ("ListAccessKeys u", 4),
        ("GetUser u", 1),
        ("ListUserTags u", 1),
        ("ListUserTags tagged", 0),
        ("CreateAccessKey u", 1),
        ("UpdateAccessKey u", 1),
        ("DeleteAccessKey u", 1),
        ("CreateAccessKey", 0),
    ] {
        assert_eq!(count(what), times, "{what}: {counted:?}");
    }
    assert_eq!(count("GetCallerIdentity"), 3, "once for the account, once per new key");
}

/// Status and code by the user's name: `409-LimitExceeded`.
fn failing(asked: &Asked) -> Option<(u16, String)> {
    let (action, user) = (asked.form("Action"), asked.form("UserName"));
    let (action, user) = (action.as_str(), user.as_str());
    let read_only = !["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"].contains(&action);
    match user.split_once('-') {
        _ if read_only && user != "400-Throttling" => healthy(asked),
        Some(("drop", _)) => None,
        Some(("html", status)) => Some((status.parse().unwrap(), "<html>guest network</html>".into())),
        Some(("torn", _)) => Some(answer_of(action, &made(user)[..60])).map(|(s, b)| (s, b[..b.len() / 2].to_owned())),
        Some(("empty", _)) => Some(answer_of(action, "")),
        Some(("other", _)) => Some(answer_of(action, &made("somebody"))),
        Some((status, code)) => Some(error(status.parse().unwrap(), code)),
        None => healthy(asked),
    }
}

#[tokio::test]
#[ignore = "part of every_failure_keeps_its_code_and_says_whether_it_had_an_effect"]
async fn inside_failures() {
    let hands = hands(json!({})).await;
    let iam = hands.iam("aws", ACCOUNT).await.unwrap();
    for (user, kind, code, without_effect, text) in [
        ("409-LimitExceeded", ErrorKind::Service, "LimitExceeded", true, "a user has at most two keys, and inactive ones count"),
        ("404-NoSuchEntity", ErrorKind::NotFound, "NoSuchEntity", true, "is not there any more"),
        ("409-EntityTemporarilyUnmodifiable", ErrorKind::Service, "EntityTemporarilyUnmodifiable", true, "try again in some minutes"),
        ("403-AccessDenied", ErrorKind::Denied, "AccessDenied", true, "said AccessDenied"),
        ("400-Throttling", ErrorKind::Throttled, "Throttling", true, "said Throttling"),
        ("403-ExpiredToken", ErrorKind::Credentials, "ExpiredToken", true, "said ExpiredToken"),
        ("403-InvalidClientTokenId", ErrorKind::Credentials, "InvalidClientTokenId", true, "said"),
        ("403-SignatureDoesNotMatch", ErrorKind::Credentials, "SignatureDoesNotMatch", true, "said"),
        ("500-ServiceFailure", ErrorKind::Transient, "ServiceFailure", false, "does not say whether it was done"),
        ("503-ServiceUnavailable", ErrorKind::Transient, "ServiceUnavailable", false, "said"),
        ("html-404", ErrorKind::BadAnswer, "404", true, "not the service's own"),
        ("html-502", ErrorKind::Transient, "502", false, "not the service's own"),
        ("html-200", ErrorKind::BadAnswer, "UnexpectedAnswer", false, "though it says that it was done"),
        ("torn-200", ErrorKind::BadAnswer, "BadAnswer", false, "it has no secret"),
        ("empty-200", ErrorKind::BadAnswer, "BadAnswer", false, "it has no secret"),
        ("other-200", ErrorKind::BadAnswer, "BadAnswer", false, "of another user"),
        ("drop-it", ErrorKind::Transient, "ConnectionBroken", false, ""),
    ] {
        let failed = iam.create(user).await.unwrap_err();
        let e = &failed.error;
        assert_eq!((e.kind, e.code.as_str(), failed.without_effect), (kind, code, without_effect), "{user}: {e}");
        assert_eq!((&*e.service, &*e.operation, &*e.account), ("iam", "CreateAccessKey", ACCOUNT), "{user}");
        assert!(e.message.contains(text) && !e.message.contains('\n') && !format!("{failed:?}").contains("CANARY"), "{user}: {e}");
        if e.code.contains(|c: char| c.is_ascii_lowercase()) && kind != ErrorKind::BadAnswer && user != "drop-it" {
            assert_eq!((e.request_id.as_deref(), e.status.is_some()), (Some("r-1"), true), "{user}");
        }
        if without_effect && kind != ErrorKind::BadAnswer {
            for failed in [iam.set_status(user, "AKIA", KeyStatus::Inactive).await, iam.delete(user, "AKIA").await] {
                assert_eq!(failed.unwrap_err().error.code, code);
            }
        }
    }
}

#[test]
fn every_failure_keeps_its_code_and_says_whether_it_had_an_effect() {
    let (address, counted) = serve(failing);
    inside("inside_failures", &[("AWS_ENDPOINT_URL", &address)]);
    let counted = counted.lock().unwrap();
    let creates: Vec<&String> = counted.iter().filter(|c| c.starts_with("CreateAccessKey")).collect();
    let mut once = creates.clone();
    once.dedup();
    assert_eq!(creates, once, "no write is made twice");
    assert_eq!(creates.len(), 17);
}

#[tokio::test]
#[ignore = "part of what_was_never_sent_had_no_effect"]
async fn inside_unreachable() {
    let hands = hands(json!({})).await;
    // Who the account is is asked of STS, which answers; IAM does not.
    let iam = hands.iam("aws", ACCOUNT).await.unwrap();
    let failed = iam.create("u").await.unwrap_err();
    // A name or a handshake may also take too long; that is no more sent than what is refused.
    let kinds = [ErrorKind::Unreachable, ErrorKind::Transient];
    assert!(kinds.contains(&failed.error.kind) && failed.without_effect, "{}", failed.error);
}

#[test]
fn what_was_never_sent_had_no_effect() {
    let (sts, _) = serve(healthy);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // A server that does not speak TLS.
    let (plain, counted) = serve(healthy);
    for iam in [format!("http://{closed}"), "http://nowhere.invalid".to_owned(), plain.replace("http://", "https://")] {
        inside("inside_unreachable", &[("AWS_ENDPOINT_URL_STS", &sts), ("AWS_ENDPOINT_URL_IAM", &iam)]);
    }
    assert!(counted.lock().unwrap().is_empty());
}

#[tokio::test]
#[ignore = "part of credentials_that_are_none_stop_before_anything_is_sent"]
async fn inside_no_credentials() {
    let hands = hands(json!({})).await;
    let e = hands.iam("aws", ACCOUNT).await.err().unwrap();
    assert_eq!(e.kind, ErrorKind::Credentials, "{e}");
}

#[test]
fn credentials_that_are_none_stop_before_anything_is_sent() {
    let (address, counted) = serve(healthy);
    let off = ("AWS_EC2_METADATA_DISABLED", "true");
    inside("inside_no_credentials", &[("AWS_ENDPOINT_URL", &address), ("AWS_SECRET_ACCESS_KEY", ""), off]);
    assert!(counted.lock().unwrap().is_empty());
}

#[tokio::test]
#[ignore = "part of a_session_stands_for_all_keys_of_its_user"]
async fn inside_session() {
    let hands = hands(json!({})).await;
    assert_eq!(hands.iam("aws", ACCOUNT).await.unwrap().own_keys().await.unwrap(), ["AKIAONE", "ASIASESSION"]);
}

/// Which of the user's keys a session was made with nobody can tell.
#[test]
fn a_session_stands_for_all_keys_of_its_user() {
    let one_page = |asked: &Asked| match asked.form("Action").as_str() {
        "ListAccessKeys" => {
            Some(answer_of("ListAccessKeys", &format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", key("me", "AKIAONE", "Active"))))
        }
        _ => healthy(asked),
    };
    let (address, _) = serve(one_page);
    let session = [("AWS_ACCESS_KEY_ID", "ASIASESSION"), ("AWS_SESSION_TOKEN", "t")];
    inside("inside_session", &[&session[..], &[("AWS_ENDPOINT_URL", &address)]].concat());
}

#[tokio::test]
#[ignore = "part of the_keys_behind_roles_and_of_the_whole_run_are_known"]
async fn inside_roles() {
    let role = |n: u8| json!({"role_arn": format!("arn:aws:iam::{ACCOUNT}:role/{n}")});
    let hands = hands(json!({"connections": {"own": {"profile": "own"}, "base": role(1), "role": {"profile": "chain"}}})).await;
    let iam = hands.iam("base", ACCOUNT).await.unwrap();
    assert_eq!(iam.own_keys().await.unwrap(), ["AKIAOWN", "ASIAROLE"], "of the login that assumes the role");
    let chained = hands.iam("role", ACCOUNT).await.unwrap();
    assert_eq!(
        chained.own_keys().await.unwrap(),
        ["AKIAFILE", "AKIAOWN", "ASIAROLE"],
        "of the profile, and of the other account of the run"
    );
    hands.iam("own", ACCOUNT).await.unwrap();
    assert!(iam.own_keys().await.unwrap().contains(&"AKIAFILE".to_owned()));
}

#[test]
fn the_keys_behind_roles_and_of_the_whole_run_are_known() {
    let (address, _) = serve(|asked| match asked.form("Action").as_str() {
        "GetCallerIdentity" if asked.signer() == "ASIAROLE" => Some(answer_of(
            "GetCallerIdentity",
            &format!("<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/r/s</Arn><UserId>AROA:s</UserId><Account>{ACCOUNT}</Account>"),
        )),
        _ => healthy(asked),
    });
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let own = "aws_access_key_id = AKIAFILE\naws_secret_access_key = s\n";
    let text = format!("[profile own]\n{own}[profile chain]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/2\nsource_profile = own\n");
    std::fs::write(&config, text).unwrap();
    inside("inside_roles", &[("AWS_ENDPOINT_URL", &address), ("AWS_CONFIG_FILE", config.to_str().unwrap())]);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_guessed() {
    let hands = hands(
        json!({"connections": {"a": {"role_arn": "arn:aws:iam::123456789012:role/r"}, "z": {"cloud": "azure"}, "y": {"cloud": "azure"}}}),
    )
    .await;
    let e = hands.iam("a", "999999999999").await.err().unwrap();
    assert!(e.message.contains("connection a has no account 999999999999"), "{e}");
    assert!(hands.iam("nowhere", ACCOUNT).await.err().unwrap().message.contains("there is no connection `nowhere`"));
    let sink = async |text: &str, connection: &str| hands.sink(text, connection, ACCOUNT).await.map(|sink| format!("{sink:?}"));
    assert!(sink("secretsmanager:a/{user}", "a").await.unwrap().starts_with("SecretsManager"));
    let vault = "keyvault:https://v12.vault.azure.net/secrets/a";
    for (text, message) in [
        (vault.to_owned(), "as in `?connection=y` or `?connection=z`"),
        (format!("{vault}?connection=a"), "connection a is none of Azure"),
        ("secretsmanager:a?connection=b".to_owned(), "there is no connection `b`"),
        ("sekrets:a".to_owned(), "there is no sink `sekrets`"),
    ] {
        let e = sink(&text, "a").await.unwrap_err().to_string();
        assert!(e.contains(message), "{text}: {e}");
    }
    assert!(sink(&format!("{vault}?connection=z"), "a").await.unwrap().starts_with("KeyVault"));
}

// -- by hand and by the judge: whole backends, at addresses that the environment names ------------------------------------

#[tokio::test]
#[ignore = "needs moto: AWS_ENDPOINT_URL, any credentials, a user in ASSAY_TEST_USER with one key"]
async fn iam_of_moto() {
    let hands = hands(json!({})).await;
    let iam = hands.iam("aws", ACCOUNT).await.unwrap();
    let user = std::env::var("ASSAY_TEST_USER").unwrap();
    let old = iam.keys(&user).await.unwrap();
    assert_eq!(old.len(), 1);
    let new = iam.create(&user).await.unwrap();
    assert_eq!(iam.keys(&user).await.unwrap().len(), 2);
    let (account, id) = iam.identify(&new.id, &new.secret).await.unwrap();
    assert_eq!((account.as_str(), id), (ACCOUNT, iam.user(&user).await.unwrap().id));
    let limit = iam.create(&user).await.unwrap_err();
    assert_eq!((limit.error.code.as_str(), limit.without_effect), ("LimitExceeded", true));
    iam.set_status(&user, &old[0].id, KeyStatus::Inactive).await.unwrap();
    let listed = iam.keys(&user).await.unwrap();
    assert_eq!(listed.iter().find(|k| k.id == old[0].id).unwrap().status, KeyStatus::Inactive);
    iam.delete(&user, &old[0].id).await.unwrap();
    assert_eq!(iam.keys(&user).await.unwrap().iter().map(|k| &k.id).collect::<Vec<_>>(), [&new.id]);
    let gone = iam.delete(&user, &old[0].id).await.unwrap_err();
    assert_eq!((gone.error.code.as_str(), gone.without_effect), ("NoSuchEntity", true));
    assert!(iam.policies_and_groups(&user).await.unwrap().is_empty());
    println!("last use: {:?}", iam.last_use(&new.id).await.unwrap());
}

#[tokio::test]
#[ignore = "needs the fake Resource Manager: its addresses and credentials as AZURE_*"]
async fn storage_of_the_fake() {
    let hands = hands(json!({"connections": {"azure": {"cloud": "azure"}}})).await;
    let subscription = "a1b2c3d4-0000-4000-8000-00000000000a";
    let storage = hands.storage("azure", subscription).await.unwrap();
    let id = |name: &str| format!("/subscriptions/{subscription}/resourceGroups/rg-app/providers/Microsoft.Storage/storageAccounts/{name}");
    let before = storage.account(&id("stfresh")).await.unwrap();
    let (one, two) = (storage.key(&id("stfresh"), "key1").await.unwrap(), storage.key(&id("stfresh"), "key2").await.unwrap());
    let since = Utc::now() - chrono::TimeDelta::minutes(1);
    let new = storage.regenerate(&id("stfresh"), "key1").await.unwrap();
    assert!(new.expose() != one.expose() && new.expose() == storage.key(&id("stfresh"), "key1").await.unwrap().expose());
    assert_eq!(two.expose(), storage.key(&id("stfresh"), "key2").await.unwrap().expose());
    let after = storage.account(&id("stfresh")).await.unwrap();
    assert!(after.key1_created > before.key1_created && after.key2_created == before.key2_created);
    assert!(storage.regenerated_event(&id("stfresh"), since).await.unwrap().is_some());
    assert_eq!(storage.regenerated_event(&id("stbothstale"), since).await.unwrap(), None);
    assert!(storage.read_only_locks(&id("stfresh")).await.unwrap().is_empty());
    assert_eq!(storage.shared_key_requests(&id("stbothstale"), since).await.unwrap(), 0);
    storage.set_expiration(&id("stfresh"), 60).await.unwrap();
    storage.disable_shared_key(&id("stfresh")).await.unwrap();
    let after = storage.account(&id("stfresh")).await.unwrap();
    assert_eq!((after.expiration_days, after.allow_shared_key), (Some(60), false));
    let unknown = storage.set_expiration(&id("stnulltimes"), 60).await.unwrap_err();
    assert!(unknown.without_effect, "{}", unknown.error);
    assert!(storage.regenerate(&id("nobody"), "key1").await.unwrap_err().without_effect);
}
