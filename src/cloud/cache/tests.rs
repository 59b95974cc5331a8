//! The cache as a whole: what is kept, for whom, and what becomes of files that were changed, over a scripted cloud.

use super::{DiskCache, KeySource, keepable};
use crate::azure::principal::{Parts, Principal};
use crate::clock::Clock;
use crate::fake::{Fake, FakeTokens, environment, first_account, options};
use crate::{Cloud, CloudError, Connection, ErrorKind, Options, ReadOp, Scope, Tally};
use futures::StreamExt;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn only_lasting_outcomes_are_kept() {
    use ErrorKind::*;
    for (kind, code, kept) in [
        (Denied, "AccessDenied", true),
        (NotFound, "NoSuchEntity", true),
        (Service, "ValidationError", true),
        (Service, "ReportInProgress", false),
        (NotFound, "ReportNotPresent", false),
        (Throttled, "Throttling", false),
        (Transient, "InternalError", false),
        (Credentials, "ExpiredToken", false),
        (Unreachable, "ConnectionFailure", false),
        (BadAnswer, "BadAnswer", false),
        (Invalid, "Invalid", false),
    ] {
        assert_eq!(keepable("iam", "GetUser", &Err(CloudError::new(kind, code, ""))), kept, "{kind:?} {code}");
    }
    let state = |s: &str| Ok(Arc::new(json!({"State": s})));
    assert!(!keepable("iam", "GenerateCredentialReport", &state("STARTED")));
    assert!(keepable("iam", "GenerateCredentialReport", &state("COMPLETE")));
    assert!(keepable("iam", "ListUsers", &state("STARTED")));
}

const USERS: &str = "GET /subscriptions/{}/users";
const GROUPS: &str = "GET /subscriptions/{}/groups";
const ROLES: &str = "GET /subscriptions/{}/roles";

/// A folder for the cache, and a cloud with two pages of users whose names say in which round they were asked for. The second page has
/// the same address in every round.
struct Kept {
    folder: tempfile::TempDir,
    clock: Clock,
    fake: Arc<Fake>,
    ttl: Duration,
    max_bytes: u64,
    key: &'static str,
    bearer: &'static str,
    cache: bool,
}

impl Kept {
    fn new() -> Kept {
        let clock = Clock::manual();
        let rounds = Mutex::new(0);
        let fake = Fake::new(&clock, 10, move |request, _, _| match (&*request.operation, request.input.get("next")) {
            ("GET /subscriptions", _) => {
                Ok(json!({"value": [{"subscriptionId": "s", "displayName": "S", "state": "Enabled", "tenantId": "t"}]}))
            }
            (USERS, None) => {
                let mut round = rounds.lock().unwrap();
                *round += 1;
                Ok(json!({"value": format!("canary-{round}-a"), "nextLink": "https://management.example/second"}))
            }
            (_, Some(_)) => Ok(json!({"value": format!("canary-{}-b", rounds.lock().unwrap())})),
            (GROUPS, _) => Ok(json!({"value": [{"name": "g", "password": "canary"}]})),
            (ROLES, _) => Err(CloudError::new(ErrorKind::Denied, "AuthorizationFailed", "no")),
            (other, _) => Err(CloudError::new(ErrorKind::Invalid, "Unscripted", other.to_owned())),
        });
        let ttl = Duration::from_secs(3600);
        Kept { folder: tempfile::tempdir().unwrap(), clock, fake, ttl, max_bytes: 1 << 20, key: "key", bearer: "me", cache: true }
    }

    /// Another process.
    async fn open(&self) -> Cloud {
        let base = options(json!({"connections": {"prod": {"cloud": "azure", "cache": self.cache}}}));
        let disk = DiskCache { folder: self.root(), max_bytes: self.max_bytes, key: KeySource::File(self.folder.path().join(self.key)) };
        let options = Options { cache_ttl: self.ttl, config: crate::Config { disk: Some(disk), ..base.config.clone() }, ..base };
        let principal = |connection: &Connection| {
            let tokens = Arc::new(FakeTokens { bearer: Some(self.bearer), ..FakeTokens::default() });
            let parts = Parts {
                environment: environment("https://management.example"),
                tokens: Box::new(tokens),
                http: crate::azure::client::http(),
            };
            Principal::made(connection.name.clone(), parts)
        };
        Cloud::live_as(&options, self.clock.clone(), self.fake.clone(), None, &principal).await.unwrap()
    }

    async fn scope(&self, cloud: &Cloud) -> Scope {
        Scope { account: self.clock.run(first_account(cloud, "prod")).await, region: "global".into() }
    }

    /// The first pages of all users.
    async fn pages(&self, cloud: &Cloud, pages: usize) -> Vec<String> {
        let (op, scope) = (ReadOp::azure("arm", USERS).unwrap(), self.scope(cloud).await);
        let pages = cloud.pages(&scope, &op, input(USERS), None, &Tally::default()).take(pages).collect::<Vec<_>>();
        self.clock.run(pages).await.into_iter().map(|page| page.unwrap()["value"].as_str().unwrap().to_owned()).collect()
    }

    /// All users, in a process of its own that ends, with its notices.
    async fn users(&self) -> (Vec<String>, Vec<String>) {
        let cloud = self.open().await;
        let users = self.pages(&cloud, 9).await;
        (users, cloud.finish_cache())
    }

    async fn call(&self, cloud: &Cloud, operation: &str) -> Result<Arc<Value>, CloudError> {
        let (op, scope) = (ReadOp::azure("arm", operation).unwrap(), self.scope(cloud).await);
        self.clock.run(cloud.call(&scope, &op, input(operation), &Tally::default())).await
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn files(&self) -> Vec<PathBuf> {
        files(&self.root().join("prod"))
    }
}

fn input(operation: &str) -> Value {
    json!({"path": operation.trim_start_matches("GET ").replace("{}", "s"), "query": {"api-version": "1"}})
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).map(|d| d.map(|e| e.unwrap().path()).collect()).unwrap_or_default();
    all.sort();
    all
}

/// All users of a round, and nothing to say.
fn round(n: usize) -> (Vec<String>, Vec<String>) {
    (vec![format!("canary-{n}-a"), format!("canary-{n}-b")], Vec::new())
}

#[tokio::test]
async fn the_next_process_makes_no_call_until_the_answers_are_too_old() {
    let kept = Kept::new();
    assert_eq!(kept.users().await, round(1));
    let calls = kept.fake.count();
    assert_eq!(calls, 3, "subscriptions and two pages: {:?}", kept.fake.asked());
    kept.clock.advance(kept.ttl - Duration::from_secs(1));
    assert_eq!(kept.users().await, round(1));
    assert_eq!(kept.fake.count(), calls);
    kept.clock.advance(Duration::from_secs(1));
    assert_eq!(kept.users().await, round(2));
    assert_eq!(kept.users().await, round(2));
    assert_eq!(kept.files().len(), 1, "what is too old is removed when the folder is opened");
}

#[tokio::test]
async fn the_age_is_told_and_holds_in_memory_too() {
    let kept = Kept::new();
    kept.users().await;
    kept.clock.advance(Duration::from_secs(3000));
    let cloud = kept.open().await;
    let (op, scope) = (ReadOp::azure("arm", USERS).unwrap(), kept.scope(&cloud).await);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = told.clone();
    let tally = cloud.tally().hearing(move |at| hears.lock().unwrap().push(at));
    let read = || kept.clock.run(cloud.pages(&scope, &op, input(USERS), None, &tally).collect::<Vec<_>>());
    read().await;
    let asked = told.lock().unwrap()[0];
    assert!((kept.clock.wall() - asked).num_seconds() >= 3000, "{asked}");
    assert_eq!((tally.counts().calls, tally.counts().cache_hits), (0, 2));
    kept.clock.advance(Duration::from_secs(300));
    read().await;
    assert_eq!(told.lock().unwrap()[1], asked, "memory keeps the time it was asked for");
    kept.clock.advance(Duration::from_secs(600));
    read().await;
    assert_eq!(tally.counts().calls, 2, "and is as old as that");
}

#[tokio::test]
async fn a_listing_is_of_one_time_or_asked_again_as_a_whole() {
    let kept = Kept::new();
    let cloud = kept.open().await;
    assert_eq!(kept.pages(&cloud, 1).await, ["canary-1-a"]);
    assert!(cloud.finish_cache().is_empty() && files(&kept.root().join("prod")).len() == 1, "of the users only a part is known");
    let calls = kept.fake.count();
    assert_eq!(kept.users().await, round(2));
    assert_eq!(kept.fake.count(), calls + 2, "the first page was not kept alone");
    // Memory: the second page of an earlier round is still young when the first is asked again.
    let kept = Kept { ttl: Duration::from_secs(300), ..Kept::new() };
    let cloud = kept.open().await;
    let stream = |pages| kept.pages(&cloud, pages);
    assert_eq!(stream(1).await, ["canary-1-a"]);
    kept.clock.advance(Duration::from_secs(200));
    assert_eq!(stream(9).await, round(1).0);
    kept.clock.advance(Duration::from_secs(150));
    assert_eq!(stream(9).await, round(2).0, "not the second page of the first round");
}

#[tokio::test]
async fn nobody_gets_the_answers_of_another() {
    let mut kept = Kept::new();
    assert_eq!(kept.users().await, round(1));
    kept.bearer = "somebody else";
    assert_eq!(kept.users().await, round(2));
    kept.bearer = "";
    assert_eq!(kept.users().await, round(3), "a token that does not say whose it is");
    assert_eq!(kept.users().await, round(4), "has nothing on disk");
    kept.bearer = "me";
    assert_eq!(kept.users().await, round(1));
}

#[tokio::test]
async fn what_is_changed_is_asked_again_and_said_once() {
    let fresh = Kept::new();
    fresh.users().await;
    let file = &fresh.files()[0];
    let whole = std::fs::read(file).unwrap();
    assert!(!whole.windows(6).any(|w| w == b"canary"));
    let index = 44 + 2 * 44 + 16;
    // Magic, salt, times, number; index and its tag; answers and the last tag.
    let places = [0, 8, 24, 32, 40, 43, 44, 44 + 33, 44 + 42, index - 1, index, index + 20, whole.len() - 1];
    let changed = places.iter().map(|at| {
        let mut bytes = whole.clone();
        bytes[*at] ^= 0x40;
        (format!("byte {at}"), bytes)
    });
    let cut = [0, 7, 43, 44, index - 1, index, whole.len() - 1].map(|to| (format!("cut at {to}"), whole[..to].to_vec()));
    for (what, bytes) in changed.chain(cut) {
        let kept = Kept { folder: tempfile::tempdir().unwrap(), ..Kept::new() };
        kept.users().await;
        let file = &kept.files()[0];
        // The key is of the same folder, so the files are the same but for their salt: take over the change, not the file.
        let mut own = std::fs::read(file).unwrap();
        assert_eq!(own.len(), whole.len());
        own.iter_mut().zip(whole.iter().zip(&bytes)).for_each(|(own, (was, is))| *own ^= was ^ is);
        own.truncate(bytes.len());
        std::fs::write(file, own).unwrap();
        let (users, notices) = kept.users().await;
        let old = users == round(1).0;
        if old {
            // The damage was in an answer that was not asked for.
            assert!(what.starts_with("byte") || what.starts_with("cut"), "{what}");
        }
        assert!(users == round(2).0 || old, "{what}: {users:?}");
        assert!(
            notices.len() <= 1 && notices.iter().all(|n| n.contains("changed, cut off or made with another key")),
            "{what}: {notices:?}"
        );
        assert!(!notices.is_empty() || what == "byte 32", "{what}: the header's end of use only ends it earlier");
        let (users, notices) = kept.users().await;
        assert!(users != round(1).0 || old, "{what}: the file that was changed is gone");
        assert!(notices.is_empty(), "{what}: {notices:?}");
    }
}

#[tokio::test]
async fn files_of_another_connection_or_key_are_none() {
    let mut kept = Kept::new();
    kept.users().await;
    kept.key = "another key";
    let (users, notices) = kept.users().await;
    assert_eq!((users, notices.len()), (round(2).0, 1));
    assert_eq!(kept.users().await, round(2));
    let other = Kept::new();
    other.users().await;
    std::fs::remove_file(&kept.files()[0]).unwrap();
    std::fs::copy(&other.files()[0], kept.root().join("prod/0.seg")).unwrap();
    let (users, notices) = kept.users().await;
    assert_eq!((users, notices.len()), (round(3).0, 1));
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_ages_unknown() {
    let kept = Kept::new();
    kept.users().await;
    kept.clock.set_wall_back(Duration::from_secs(60));
    assert_eq!(kept.users().await, round(2));
    kept.clock.set_wall_back(Duration::from_secs(100_000));
    assert_eq!(kept.users().await, round(3));
}

#[tokio::test]
async fn secrets_and_failures_stay_off_the_disk() {
    let kept = Kept::new();
    for time in 1..3 {
        let cloud = kept.open().await;
        assert!(kept.call(&cloud, GROUPS).await.is_ok(), "{time}");
        assert_eq!(kept.call(&cloud, ROLES).await.unwrap_err().code, "AuthorizationFailed");
        cloud.redact("arm", USERS, "value");
        kept.pages(&cloud, 9).await;
        assert!(cloud.finish_cache().is_empty());
        let counted = |name: &str| kept.fake.asked().iter().filter(|call| call.contains(name)).count();
        assert_eq!(
            (counted("/groups"), counted("/roles"), counted("/users")),
            (time, time, 2 * time),
            "named secret, refused, two pages called secret by a table"
        );
    }
    let off = Kept { cache: false, ..Kept::new() };
    assert_eq!((off.users().await, off.users().await), (round(1), round(2)));
    assert!(off.files().is_empty(), "the connection keeps nothing");
}

#[tokio::test]
async fn the_oldest_files_go_when_it_is_full() {
    let mut kept = Kept::new();
    kept.users().await;
    let size = std::fs::metadata(&kept.files()[0]).unwrap().len();
    kept.max_bytes = 2 * size + size / 2;
    for bearer in ["a", "b", "c"] {
        kept.clock.advance(Duration::from_secs(1));
        kept.bearer = bearer;
        kept.users().await;
        let total: u64 = kept.files().iter().map(|f| std::fs::metadata(f).unwrap().len()).sum();
        assert!(total <= kept.max_bytes);
    }
    let calls = kept.fake.count();
    kept.users().await;
    kept.bearer = "b";
    kept.users().await;
    assert_eq!(kept.fake.count(), calls, "the youngest are there");
    kept.max_bytes = size / 2;
    kept.bearer = "d";
    kept.users().await;
    assert!(kept.files().len() == 2, "what does not fit is not written, and drives nothing out");
}

#[tokio::test]
async fn a_process_that_was_killed_while_writing_harms_nobody() {
    let kept = Kept::new();
    kept.users().await;
    let folder = kept.root().join("prod");
    std::fs::copy(&kept.files()[0], folder.join("ffff.tmp")).unwrap();
    let old = folder.join("eeee.tmp");
    std::fs::write(&old, "half").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    std::fs::write(folder.join("notes.txt"), "not ours").unwrap();
    assert_eq!(kept.users().await, round(1));
    assert!(!old.exists() && folder.join("ffff.tmp").exists(), "a young draft may be one that is being written");
    let cloud = kept.open().await;
    cloud.clear_cache();
    assert!(cloud.finish_cache().is_empty());
    assert_eq!(kept.files(), [folder.join("notes.txt")]);
    assert_eq!(kept.users().await, round(2));
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_said_and_calls_are_made() {
    let kept = Kept::new();
    std::fs::write(kept.root(), "a file").unwrap();
    let (users, notices) = kept.users().await;
    assert_eq!(users, round(1).0);
    assert!(notices.len() == 1 && notices[0].starts_with("the cache on disk is not used: "), "{notices:?}");
}

#[tokio::test]
async fn status_and_clear_need_no_key() {
    use std::os::unix::fs::PermissionsExt;
    let kept = Kept::new();
    let disk = DiskCache { folder: kept.root(), max_bytes: 1, key: KeySource::File(kept.folder.path().join("no such key")) };
    assert!(disk.status().unwrap().is_empty());
    kept.users().await;
    let status = disk.status().unwrap();
    assert_eq!((status.len(), &*status[0].connection, status[0].entries), (1, "prod", 2), "subscriptions and users");
    assert!(status[0].bytes > 200 && status[0].oldest.is_some_and(|at| at <= kept.clock.wall()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept.root()), mode(&status[0].folder), mode(&kept.files()[0])), (0o700, 0o700, 0o600));
    assert!(disk.clear(&["other".to_owned()]).unwrap().is_empty());
    assert_eq!(disk.clear(&["prod".to_owned()]).unwrap()[0].entries, 2);
    assert!(disk.status().unwrap().is_empty() && !kept.root().join("prod").exists());
}
