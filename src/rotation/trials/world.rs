//! The world: users with their keys, what consumers get from the sink, time, and the fuse.

use crate::aws::LiveKey;
use crate::clock::Time;
use crate::journal::Disk;
use crate::run::{Exclusions, Report, Runner};
use crate::select::{Candidate, StorageWish, Wish};
use crate::sink::Standing;
use crate::{Clock, KeyStatus, LastUse, Period, Plan, RotationError, State, Store};
use assay_cloud::{CloudError, ErrorKind};
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const ACCOUNT: &str = "123456789012";

/// A clock that only moves when told.
#[derive(Debug)]
pub(crate) struct TestTime(Mutex<DateTime<Utc>>);

impl TestTime {
    pub(crate) fn new() -> Arc<TestTime> {
        Arc::new(TestTime(Mutex::new("2026-06-01T12:00:00.25Z".parse().unwrap())))
    }

    pub(crate) fn pass(&self, span: TimeDelta) {
        *self.0.lock().unwrap() += span;
    }
}

#[async_trait::async_trait]
impl Time for TestTime {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, span: Duration) {
        self.pass(TimeDelta::from_std(span).unwrap());
    }
}

/// What a call is answered with instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) code: &'static str,
    /// The service did what was asked all the same.
    pub(crate) effect: bool,
    /// The answer proves that it did not.
    pub(crate) certain: bool,
}

const fn fault(kind: ErrorKind, code: &'static str, effect: bool, certain: bool) -> Fault {
    Fault { kind, code, effect, certain }
}

/// Every class of docs/rotation.md and of the sources' runbook.
pub(crate) const FAULTS: [Fault; 13] = [
    fault(ErrorKind::Denied, "AccessDenied", false, true),
    fault(ErrorKind::Service, "LimitExceeded", false, true),
    fault(ErrorKind::NotFound, "NoSuchEntity", false, true),
    fault(ErrorKind::Transient, "ServiceFailure", false, false),
    fault(ErrorKind::Transient, "ServiceFailure", true, false),
    fault(ErrorKind::Throttled, "Throttling", false, true),
    fault(ErrorKind::Credentials, "ExpiredToken", false, true),
    fault(ErrorKind::Credentials, "PartialCredentials", false, true),
    fault(ErrorKind::Unreachable, "TlsFailed", false, true),
    fault(ErrorKind::Unreachable, "ConnectionReset", false, false),
    fault(ErrorKind::Unreachable, "ConnectionReset", true, false),
    fault(ErrorKind::Transient, "TimedOut", false, false),
    fault(ErrorKind::Transient, "TimedOut", true, false),
];

impl Fault {
    pub(crate) fn error(&self) -> CloudError {
        CloudError::new(self.kind, self.code, "as the test wants it")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) live: LiveKey,
    pub(crate) secret: String,
    pub(crate) used: Option<LastUse>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) names: Vec<String>,
    pub(crate) keys: Vec<Key>,
    /// Key ids the sink has stored, not made current.
    pub(crate) stored: Vec<String>,
    /// What consumers get from the sink, the latest last; before there is any they have the first key.
    pub(crate) current: Vec<String>,
    /// The key consumers began with.
    pub(crate) first: String,
    /// What the API showed since when: it lags.
    pub(crate) shown: Vec<(DateTime<Utc>, Vec<LiveKey>)>,
}

impl User {
    /// The key that consumers work with.
    pub(crate) fn consumed(&self) -> &str {
        self.current.last().unwrap_or(&self.first)
    }

    pub(crate) fn status(&self, key: &str) -> Option<KeyStatus> {
        self.keys.iter().find(|k| k.live.id == key).map(|k| k.live.status)
    }
}

/// What is, becomes what is shown.
pub(crate) fn show(user: &mut User, now: DateTime<Utc>) {
    user.shown.push((now, user.keys.iter().map(|k| k.live.clone()).collect()));
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) users: BTreeMap<String, User>,
    /// Storage accounts by resource id.
    pub(crate) accounts: BTreeMap<String, super::storage_world::Account>,
    pub(crate) own: Vec<String>,
    /// The sink puts every secret into the same place.
    pub(crate) one_place: bool,
    /// All calls that reached the world, with whom they were about.
    pub(crate) calls: Vec<String>,
    /// Writes that had an effect.
    pub(crate) effects: Vec<String>,
    /// Moments that must not be.
    pub(crate) violations: Vec<String>,
    /// Faults by number of the call.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// Faults by name of the call, every time.
    pub(crate) broken: BTreeMap<String, Fault>,
    /// How far what is shown lags behind what is.
    pub(crate) lag: TimeDelta,
    /// A sink that cannot say where a secret stands and does all its work in one go.
    pub(crate) command: bool,
    /// The new keys are another user's.
    pub(crate) foreign: bool,
    /// So many listings of keys are answered although they are broken.
    pub(crate) spare: usize,
    /// The call that is never answered.
    pub(crate) hangs: Option<usize>,
    pub(crate) made: usize,
    fuse: Option<usize>,
    pub(crate) points: usize,
    dead: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) time: Arc<TestTime>,
    pub(crate) inner: Mutex<Inner>,
    folder: tempfile::TempDir,
    died: tokio::sync::Notify,
}

/// The disk of a process that may be killed while it writes. Nothing is synchronised: the machine does not lose power here.
#[derive(Debug)]
struct Dying(Arc<World>);

impl Disk for Dying {
    fn put(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let killed = || io::Error::other("killed");
        if !self.0.alive() {
            return Err(killed());
        }
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        if !self.0.alive() {
            return Err(killed());
        }
        file.write_all(rest)?;
        if self.0.alive() { Ok(()) } else { Err(killed()) }
    }

    fn cut(&self, file: &mut File, length: u64) -> io::Result<()> {
        if self.0.alive() { file.set_len(length) } else { Err(io::Error::other("killed")) }
    }

    fn folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl World {
    /// A world with these users, each with one key that is old.
    pub(crate) fn new(users: &[&str]) -> Arc<World> {
        let time = TestTime::new();
        let mut inner = Inner::default();
        for (i, name) in users.iter().enumerate() {
            let id = format!("AKIAOLD0000000{:06}", i + 1);
            let created = "2026-01-01T00:00:00Z".parse().unwrap();
            let live = LiveKey { id: id.clone(), status: KeyStatus::Active, created };
            let key = Key { live: live.clone(), secret: format!("old-{id}"), used: None };
            let user = User {
                id: format!("AIDA000000000{:06}", i + 1),
                path: "/".into(),
                first: id,
                shown: vec![(created, vec![live])],
                keys: vec![key],
                ..User::default()
            };
            inner.users.insert((*name).to_owned(), user);
        }
        Arc::new(World { time, inner: Mutex::new(inner), folder: tempfile::tempdir().unwrap(), died: tokio::sync::Notify::new() })
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap())
    }

    pub(crate) fn user<T>(&self, name: &str, act: impl FnOnce(&mut User) -> T) -> T {
        self.with(|w| act(w.users.get_mut(name).unwrap()))
    }

    /// Somebody else changes a user.
    pub(crate) fn change(&self, name: &str, act: impl FnOnce(&mut User)) {
        let now = self.now();
        self.user(name, |user| {
            act(user);
            show(user, now);
        });
    }

    /// A point at which the process may be killed: false from then on.
    pub(crate) fn alive(&self) -> bool {
        self.with(|w| {
            w.points += 1;
            if w.fuse == Some(w.points) {
                w.dead = true;
                self.died.notify_one();
            }
            !w.dead
        })
    }

    /// Kills the process at the n-th point from now.
    pub(crate) fn kill_at(&self, point: usize) {
        self.with(|w| w.fuse = Some(w.points + point));
    }

    /// Another process: `true` if the last one was killed.
    pub(crate) fn restart(&self) -> bool {
        self.with(|w| {
            w.fuse = None;
            std::mem::take(&mut w.dead)
        })
    }

    /// The end of the process, or what makes its user end it.
    pub(crate) fn end(&self) {
        self.died.notify_one();
    }

    /// Waits for the end of the process.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    pub(crate) fn store(self: &Arc<World>) -> Store {
        Store::on(self.state(), Arc::new(Dying(Arc::clone(self))))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock(self.time.clone())
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    pub(crate) fn runner(self: &Arc<World>) -> Runner {
        Runner {
            hands: Arc::new(super::world_hands::WorldHands(Arc::clone(self))),
            store: self.store(),
            clock: self.clock(),
            exclusions: Exclusions::default(),
            parallel: 4,
            max: 20,
        }
    }

    /// All keys as tables would list them, all chosen.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let of = |(name, user): (&String, &User)| {
            let (name, user) = (name.clone(), user.clone());
            user.keys.clone().into_iter().map(move |key| Candidate {
                connection: "aws".into(),
                account_id: ACCOUNT.into(),
                user: name.clone(),
                user_id: user.id.clone(),
                user_arn: format!("arn:aws:iam::{ACCOUNT}:user{}{name}", user.path),
                path: user.path.clone(),
                key: key.live.id,
                created: key.live.created,
                status: key.live.status,
                chosen: true,
            })
        };
        self.with(|w| w.users.iter().flat_map(of).collect())
    }

    pub(crate) fn wish() -> Wish {
        Wish {
            older_than: Period::days(90),
            grace: Period::days(7),
            settle: Period::days(7),
            sink: Some("fake:".into()),
            retire: false,
            storage: StorageWish::Rotate,
            exclusions: Exclusions::default(),
            unfinished: BTreeMap::new(),
        }
    }

    /// A plan of all that is old. It is made in a process of its own, by calls that are not counted.
    pub(crate) async fn plan(self: &Arc<World>, wish: &Wish) -> Plan {
        let hands = super::world_hands::WorldHands(Arc::clone(self));
        let plan = crate::select::plan(self.candidates(), Vec::new(), wish, &hands, self.now()).await.unwrap();
        self.with(|w| w.calls.clear());
        Plan::read("plan.yaml", &plan.to_yaml().unwrap()).unwrap()
    }

    /// Until the run says that it is over or dies; `None`: it was killed.
    pub(crate) async fn live<T>(&self, run: impl Future<Output = Result<T, RotationError>>) -> Option<Result<T, RotationError>> {
        let ended = tokio::select! {
            biased;
            () = self.death() => None,
            result = run => Some(result),
        };
        // The word of a death that came with the end of the run is not for the next one.
        let _ = self.died.notified().now_or_never();
        if self.restart() { None } else { ended }
    }

    /// Resumes, as time passes, until nothing is left; the last report.
    pub(crate) async fn finish(self: &Arc<World>, run: &str) -> Report {
        for _ in 0..12 {
            let report = self.runner().resume(run, &[]).await.unwrap_or_else(|e| panic!("{e}"));
            if report.items.iter().all(|i| matches!(i.state, State::Done | State::Undone)) {
                return report;
            }
            self.time.pass(TimeDelta::days(4));
        }
        panic!("the run does not end: {:#?}", self.runner().resume(run, &[]).await.unwrap().items);
    }

    /// The one run there is; `None` if it never began.
    pub(crate) fn run(self: &Arc<World>) -> Option<String> {
        let store = self.store();
        // One that was killed before its first line was whole has done nothing.
        let runs: Vec<String> = store.runs().unwrap().into_iter().filter(|run| store.read(run).is_ok()).collect();
        assert!(runs.len() <= 1, "{runs:?}");
        runs.into_iter().next()
    }

    /// Nothing that must not be has ever been.
    pub(crate) fn assert_sound(&self, what: &str) {
        self.with(|w| assert!(w.violations.is_empty(), "{what}: {:#?}\ncalls: {:#?}\neffects: {:#?}", w.violations, w.calls, w.effects));
    }

    /// Everybody has one key: a new one, which their consumers have.
    pub(crate) fn assert_rotated(&self, what: &str) {
        self.assert_sound(what);
        self.with(|w| {
            for (name, user) in &w.users {
                let ids: Vec<&str> = user.keys.iter().map(|k| k.live.id.as_str()).collect();
                assert_eq!(ids, [user.consumed()], "{what}: {name}: {:#?}", w.effects);
                assert_ne!(user.consumed(), user.first, "{what}: {name}");
                assert_eq!(user.keys[0].live.status, KeyStatus::Active, "{what}: {name}");
                assert!(user.stored.is_empty(), "{what}: {name}: {:?}", user.stored);
            }
        });
    }

    /// Everybody has the old key and no other, and consumers work with it.
    pub(crate) fn assert_restored(&self, what: &str) {
        self.assert_sound(what);
        self.with(|w| {
            for (name, user) in &w.users {
                let keys: Vec<_> = user.keys.iter().map(|k| (k.live.id.as_str(), k.live.status)).collect();
                assert_eq!(keys, [(user.first.as_str(), KeyStatus::Active)], "{what}: {name}: {:#?}", w.effects);
                assert_eq!(user.consumed(), user.first, "{what}: {name}");
            }
        });
    }

    /// How often a call was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.with(|w| w.calls.iter().filter(|c| c.starts_with(call)).count())
    }

    pub(crate) fn standing(user: &User, key: &str) -> Standing {
        match () {
            () if user.current.last().is_some_and(|k| k == key) => Standing::Current,
            () if user.stored.iter().any(|k| k == key) => Standing::Stored,
            () => Standing::Absent,
        }
    }
}
