//! Sinks in clouds against servers that keep what they are told as the references say: what is current at each step, what is left when it is
//! taken back, and that the secret is in no log. With `ignore`: parts of other tests, and those that need moto or the fake of Azure.

use super::*;
use crate::hands::tests::hands;
use crate::quiet::tests::Listener;
use crate::run::Hands;
use crate::test_server::{Asked, inside, serve};
use crate::{Clock, Secret};
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::instrument::WithSubscriber;

const ACCOUNT: &str = "123456789012";

fn label(owner: &str, key: &str) -> Label {
    let owner_id = format!("AIDA{}", owner.to_uppercase());
    Label { account_id: ACCOUNT.into(), owner: owner.into(), owner_id, key: key.into(), generation: key.into() }
}

fn delivery(label: &Label) -> Delivery {
    let secret = format!("CANARY-{}", label.key);
    let document = json!({"aws_access_key_id": label.key, "aws_secret_access_key": secret}).to_string();
    Delivery { label: label.clone(), document: Secret::new(document) }
}

/// Two keys, one after the other, every step twice; then the second one taken back. `pause`: until a later time is another time.
async fn exercise(sink: &dyn Sink, pause: Duration) {
    let (one, two) = (label("alice", "AKIAONE"), label("alice", "AKIATWO"));
    for label in [&one, &two] {
        sink.check(label).await.unwrap();
        assert_eq!(sink.standing(label).await.unwrap(), Standing::Absent);
        for _ in 0..2 {
            sink.store(&delivery(label)).await.unwrap();
        }
        if label == &two {
            assert_ne!(sink.standing(&two).await.unwrap(), Standing::Current);
            assert_eq!(sink.standing(&one).await.unwrap(), Standing::Current, "what is stored is not current");
        }
        for _ in 0..2 {
            sink.publish(&delivery(label)).await.unwrap();
            assert_eq!(sink.standing(label).await.unwrap(), Standing::Current);
        }
        Clock::real().0.sleep(pause).await;
    }
    assert_ne!(sink.standing(&one).await.unwrap(), Standing::Current);
    let e = sink.check(&label("bob", "AKIAONE")).await.unwrap_err().to_string();
    assert!(e.contains("is that of AIDAALICE, not of AIDABOB"), "{e}");
    for _ in 0..2 {
        sink.withdraw(&two).await.unwrap();
        assert_ne!(sink.standing(&two).await.unwrap(), Standing::Current);
    }
}

/// Everything that is logged meanwhile, at the finest level.
async fn heard<F: Future<Output = ()>>(work: F) -> String {
    let listener = Listener::default();
    work.with_subscriber(listener.clone()).await;
    listener.0.lock().unwrap().clone()
}

// -- Secrets Manager --------------------------------------------------------------------------------------------------------

async fn use_secrets_manager(name: &str) {
    let heard = heard(async {
        let hands = hands(json!({})).await;
        let at = |name: &str| format!("secretsmanager:{name}?region=eu-central-1");
        let sink = hands.sink(&at(name), "aws", ACCOUNT).await.unwrap();
        assert_eq!(sink.place(&label("a", "b")).unwrap().unwrap(), format!("secret {name} of {ACCOUNT} in eu-central-1"));
        exercise(&*sink, Duration::ZERO).await;
        assert_eq!(sink.standing(&label("alice", "AKIAONE")).await.unwrap(), Standing::Current, "the former one is back");
        // A secret that was made for one value leaves nothing behind when that is taken back.
        let only = hands.sink(&at(&format!("{name}-only")), "aws", ACCOUNT).await.unwrap();
        let one = label("alice", "AKIAONE");
        only.store(&delivery(&one)).await.unwrap();
        for _ in 0..2 {
            only.withdraw(&one).await.unwrap();
            assert_eq!(only.standing(&one).await.unwrap(), Standing::Absent);
        }
        only.check(&one).await.unwrap();
        for (user, message) in [("a,b", "has a `,`, which Secrets Manager does not take"), ("ü", "does not take")] {
            let sink = hands.sink("secretsmanager:x/{user}", "aws", ACCOUNT).await.unwrap();
            let e = sink.check(&label(user, "k")).await.unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
        assert!(!format!("{sink:?}").contains("CANARY"));
    })
    .await;
    assert!(heard.contains("UpdateSecretVersionStage") && !heard.contains("CANARY"), "{heard}");
}

#[tokio::test]
#[ignore = "part of a_secret_becomes_current_and_goes_back"]
async fn inside_secrets_manager() {
    use_secrets_manager("assay/alice").await;
}

#[tokio::test]
#[ignore = "needs moto: AWS_ENDPOINT_URL, any credentials"]
async fn secrets_manager_of_moto() {
    use_secrets_manager(&format!("assay/{}", Utc::now().timestamp_micros())).await;
}

/// A secret: tags, and value and stages by version.
#[derive(Default, Debug)]
struct Kept {
    tags: Vec<Value>,
    versions: BTreeMap<String, (String, Vec<String>)>,
    more: Value,
}

impl Kept {
    fn holder(&self, stage: &str) -> Option<String> {
        self.versions.iter().find(|(_, (_, stages))| stages.iter().any(|s| s == stage)).map(|(id, _)| id.clone())
    }

    fn detach(&mut self, stage: &str) {
        self.versions.values_mut().for_each(|(_, stages)| stages.retain(|s| s != stage));
    }

    fn attach(&mut self, stage: &str, version: &str) {
        self.detach(stage);
        self.versions.get_mut(version).unwrap().1.push(stage.to_owned());
    }
}

type Secrets = Arc<Mutex<BTreeMap<String, Kept>>>;

/// Secrets Manager as its reference has it; STS says who is asking.
fn secrets_manager(secrets: &Secrets, asked: &Asked) -> Option<(u16, String)> {
    let Some(target) = asked.headers.get("x-amz-target") else {
        let who = format!("<Arn>arn:aws:iam::{ACCOUNT}:user/me</Arn><UserId>A</UserId><Account>{ACCOUNT}</Account>");
        let text =
            format!("<GetCallerIdentityResponse><GetCallerIdentityResult>{who}</GetCallerIdentityResult></GetCallerIdentityResponse>");
        return Some((200, text));
    };
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let refused = |code: &str| Some((400, json!({"__type": code, "message": "as said"}).to_string()));
    let mut secrets = secrets.lock().unwrap();
    let name = text("SecretId").or_else(|| text("Name")).unwrap();
    match (target.rsplit('.').next().unwrap(), secrets.get_mut(&name)) {
        ("CreateSecret", Some(_)) => return refused("ResourceExistsException"),
        ("CreateSecret", None) => {
            assert!(body.get("SecretString").is_none(), "a value given here would be current at once, whatever follows");
            let tags = body["Tags"].as_array().cloned().unwrap_or_default();
            secrets.insert(name, Kept { tags, ..Kept::default() });
        }
        (_, None) => return refused("ResourceNotFoundException"),
        ("DescribeSecret", Some(kept)) => {
            let stages: serde_json::Map<String, Value> =
                kept.versions.iter().filter(|(_, (_, s))| !s.is_empty()).map(|(id, (_, s))| (id.clone(), json!(s))).collect();
            let mut answer = json!({"Name": name, "Tags": kept.tags, "VersionIdsToStages": stages});
            answer.as_object_mut().unwrap().extend(kept.more.as_object().cloned().unwrap_or_default());
            return Some((200, answer.to_string()));
        }
        ("PutSecretValue", Some(kept)) => {
            let (version, value) = (text("ClientRequestToken").unwrap(), text("SecretString").unwrap());
            match kept.versions.get(&version) {
                Some((known, _)) if *known == value => {}
                Some(_) => return refused("ResourceExistsException"),
                None => {
                    let first = kept.versions.is_empty();
                    kept.versions.insert(version.clone(), (value, Vec::new()));
                    for stage in body["VersionStages"].as_array().unwrap() {
                        kept.attach(stage.as_str().unwrap(), &version);
                    }
                    if first {
                        kept.attach("AWSCURRENT", &version);
                    }
                }
            }
        }
        ("UpdateSecretVersionStage", Some(kept)) => {
            let (stage, from, to) = (text("VersionStage").unwrap(), text("RemoveFromVersionId"), text("MoveToVersionId"));
            let holder = kept.holder(&stage);
            if holder.is_some() && holder != from || to.is_none() && stage == "AWSCURRENT" {
                return refused("InvalidParameterException");
            }
            kept.detach(&stage);
            if let Some(to) = to {
                kept.attach(&stage, &to);
            }
            if let Some(holder) = holder.filter(|_| stage == "AWSCURRENT") {
                kept.attach("AWSPREVIOUS", &holder);
            }
        }
        ("DeleteSecret", Some(_)) => {
            assert_eq!(body["ForceDeleteWithoutRecovery"], true);
            secrets.remove(&name);
        }
        (other, _) => panic!("{other}"),
    }
    Some((200, "{}".into()))
}

#[test]
fn a_secret_becomes_current_and_goes_back() {
    let secrets = Secrets::default();
    let kept = secrets.clone();
    let (address, counted) = serve(move |asked| secrets_manager(&kept, asked));
    let text = inside("sink::cloud_tests::inside_secrets_manager", &[("AWS_ENDPOINT_URL", &address)]);
    assert!(!text.contains("CANARY"), "{text}");
    let kept = secrets.lock().unwrap();
    let states: Vec<(&str, &[String])> = kept["assay/alice"]
        .versions
        .values()
        .map(|(value, stages)| (if value.contains("ONE") { "one" } else { "two" }, &stages[..]))
        .collect();
    assert!(states.contains(&("one", &["AWSCURRENT".to_owned()])) && states.contains(&("two", &[])), "{states:?}");
    assert_eq!(kept.len(), 1, "the one that was made for nothing is gone");
    let puts = counted.lock().unwrap().iter().filter(|c| *c == "PutSecretValue").count();
    assert_eq!(puts, 3, "what is stored is not stored again");
}

#[tokio::test]
#[ignore = "part of secrets_of_others_are_left_alone"]
async fn inside_others() {
    let hands = hands(json!({})).await;
    for (name, message) in [
        ("foreign", "was not made by assay: give it the tag assay:owner=AIDAALICE if it is the one to be replaced"),
        ("bobs", "is that of AIDABOB, not of AIDAALICE"),
        ("deleted", "is scheduled for deletion"),
        ("rotated", "is rotated by something else"),
        ("managed", "is rotated by something else"),
    ] {
        let sink = hands.sink(&format!("secretsmanager:{name}"), "aws", ACCOUNT).await.unwrap();
        let alice = label("alice", "AKIAONE");
        for refused in [sink.check(&alice).await, sink.store(&delivery(&alice)).await, sink.publish(&delivery(&alice)).await] {
            let e = refused.unwrap_err().to_string();
            assert!(e.contains(message), "{name}: {e}");
        }
        sink.withdraw(&alice).await.unwrap();
    }
    // Ours is current, and there is nothing to go back to: consumers are not left with nothing.
    let sink = hands.sink("secretsmanager:alone", "aws", ACCOUNT).await.unwrap();
    let e = sink.withdraw(&label("alice", "AKIAONE")).await.unwrap_err().to_string();
    assert!(e.contains("has no former version to go back to"), "{e}");
}

#[test]
fn secrets_of_others_are_left_alone() {
    let owned = |owner: &str| vec![json!({"Key": "assay:owner", "Value": owner})];
    let with = |tags: Vec<Value>, more: Value| Kept { tags, more, ..Kept::default() };
    let mut alone = with(owned("AIDAALICE"), Value::Null);
    alone.versions.insert(token::token(&label("alice", "AKIAONE")), ("x".into(), vec!["AWSCURRENT".into()]));
    let secrets: Secrets = Arc::new(Mutex::new(BTreeMap::from([
        ("foreign".to_owned(), with(vec![], Value::Null)),
        ("bobs".to_owned(), with(owned("AIDABOB"), Value::Null)),
        ("deleted".to_owned(), with(owned("AIDAALICE"), json!({"DeletedDate": 1_767_323_045}))),
        ("rotated".to_owned(), with(owned("AIDAALICE"), json!({"RotationEnabled": true}))),
        ("managed".to_owned(), with(owned("AIDAALICE"), json!({"OwningService": "rds"}))),
        ("alone".to_owned(), alone),
    ])));
    let kept = secrets.clone();
    let (address, counted) = serve(move |asked| secrets_manager(&kept, asked));
    inside("sink::cloud_tests::inside_others", &[("AWS_ENDPOINT_URL", &address)]);
    let counted = counted.lock().unwrap();
    assert!(counted.iter().all(|c| c == "DescribeSecret" || c == "GetCallerIdentity"), "nothing was changed: {counted:?}");
}

// -- Key Vault --------------------------------------------------------------------------------------------------------------

async fn use_vault(vault: &str, name: &str, pause: Duration) {
    let heard = heard(async {
        let hands = hands(json!({"connections": {"azure": {"cloud": "azure"}}})).await;
        let sink = hands.sink(&format!("keyvault:{vault}/secrets/{name}"), "azure", "s").await.unwrap();
        exercise(&*sink, pause).await;
        let sink = hands.sink(&format!("keyvault:{vault}/secrets/{{user}}"), "azure", "s").await.unwrap();
        let e = sink.check(&label("first.last", "k")).await.unwrap_err().to_string();
        assert!(e.contains("`first.last` is none for a key vault") && e.contains("{user_id}"), "{e}");
        assert_eq!(sink.place(&label("Alice", "k")).unwrap().unwrap(), format!("secret {vault}/secrets/alice"));
        assert!(!format!("{sink:?}").contains("CANARY"));
    })
    .await;
    assert!(!heard.contains("CANARY"), "{heard}");
}

#[tokio::test]
#[ignore = "part of whoever_asks_a_vault_always_gets_a_working_secret"]
async fn inside_vault() {
    use_vault(&std::env::var("ASSAY_TEST_VAULT").unwrap(), "alice", Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "needs the fake of Azure: its addresses and credentials as AZURE_*, its vault as AZURE_KEYVAULT_SUFFIX"]
async fn vault_of_the_fake() {
    let vault = format!("http://{}", std::env::var("AZURE_KEYVAULT_SUFFIX").unwrap());
    // Vaults tell times apart by the second.
    use_vault(&vault, &format!("a{}", Utc::now().timestamp_micros()), Duration::from_millis(1100)).await;
}

/// A vault with one secret, and the place where tokens come from. After every request a consumer asks for the secret.
fn vault(versions: &Mutex<Vec<Value>>, seen: &Mutex<Vec<Option<String>>>, asked: &Asked) -> Option<(u16, String)> {
    if asked.target.contains("/oauth2/v2.0/token") {
        return Some((200, json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}).to_string()));
    }
    assert_eq!(asked.headers["authorization"], "Bearer t");
    let mut versions = versions.lock().unwrap();
    let shown = |version: &Value, value: bool| {
        let mut shown = version.clone();
        if !value {
            shown.as_object_mut().unwrap().remove("value");
        }
        shown
    };
    let missing = || Some((404, json!({"error": {"code": "SecretNotFound", "message": "no"}}).to_string()));
    let path: Vec<String> = asked.target.split('?').next().unwrap().trim_start_matches('/').split('/').map(str::to_owned).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let is = |v: &Value, id: &str| v["id"].as_str().unwrap().ends_with(id);
    let answer = match (asked.method.as_str(), path.as_slice()) {
        ("GET", ["deletedsecrets", _]) => return missing(),
        ("GET", ["secrets", _, "versions"]) if versions.is_empty() => return missing(),
        ("GET", ["secrets", _, "versions"]) => {
            json!({"value": versions.iter().rev().map(|v| shown(v, false)).collect::<Vec<_>>(), "nextLink": null})
        }
        ("GET", ["secrets", _, id]) => shown(versions.iter().find(|v| is(v, id)).unwrap(), true),
        ("PUT", ["secrets", name]) => {
            let mut version: Value = serde_json::from_str(&asked.body).unwrap();
            let number = versions.len();
            version["id"] = json!(format!("http://v/secrets/{name}/{number:032}"));
            version["attributes"]["created"] = json!(1000 + number);
            versions.push(version.clone());
            version
        }
        ("PATCH", ["secrets", _, id]) => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            let version = versions.iter_mut().find(|v| is(v, id)).unwrap();
            version["attributes"]["enabled"] = body["attributes"]["enabled"].clone();
            shown(version, false)
        }
        other => panic!("{other:?}"),
    };
    let newest = versions.last();
    seen.lock().unwrap().push(newest.and_then(|v| (v["attributes"]["enabled"] == true).then(|| v["value"].as_str().unwrap().to_owned())));
    Some((200, answer.to_string()))
}

#[test]
fn whoever_asks_a_vault_always_gets_a_working_secret() {
    let (versions, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (kept, noted) = (versions.clone(), seen.clone());
    let (address, _) = serve(move |asked| vault(&kept, &noted, asked));
    let suffix = address.trim_start_matches("http://");
    let mut variables = vec![("ASSAY_TEST_VAULT", address.as_str()), ("AZURE_KEYVAULT_SUFFIX", suffix), ("AZURE_AUTHORITY_HOST", &address)];
    variables.extend([("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")]);
    let text = inside("sink::cloud_tests::inside_vault", &variables);
    assert!(!text.contains("CANARY"), "{text}");
    let seen = seen.lock().unwrap();
    let mut got: Vec<&str> = seen
        .iter()
        .map(|s| s.as_deref().unwrap_or("nothing"))
        .map(|s| {
            if s.contains("ONE") {
                "one"
            } else if s.contains("TWO") {
                "two"
            } else {
                s
            }
        })
        .collect();
    got.dedup();
    assert_eq!(got, ["one", "two", "one"], "the first, the second once it is published, and the first again");
    let versions = versions.lock().unwrap();
    let enabled: Vec<bool> = versions.iter().map(|v| v["attributes"]["enabled"] == true).collect();
    assert_eq!(enabled, [true, false, true], "{versions:?}");
    assert_eq!(versions[2]["tags"]["assay-owner"], "AIDAALICE");
}
