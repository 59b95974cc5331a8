//! Storage accounts of the world, with consumers who have the value of one key until somebody moves them.

use super::world::World;
use super::world_hands::WorldHands;
use crate::aws::WriteError;
use crate::azure::{LiveAccount, Storage};
use crate::run::{ItemReport, Report};
use crate::select::{StorageCandidate, StorageWish, Wish};
use crate::sink::{Delivery, Label, Sink, SinkError, Standing};
use crate::{Plan, Secret, State};
use assay_cloud::{CloudError, ErrorKind};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const SUBSCRIPTION: &str = "0000-1";

/// What the sink has: generation and document.
type Kept = (String, String);

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) live: LiveAccount,
    pub(crate) values: [String; 2],
    pub(crate) locks: Vec<String>,
    pub(crate) requests: u64,
    /// The value that consumers sign with.
    pub(crate) consumed: String,
    pub(crate) stored: Option<Kept>,
    pub(crate) current: Option<Kept>,
    /// How often each key was regenerated.
    pub(crate) times: [usize; 2],
    /// Nobody has moved the consumers since a key was regenerated.
    breath: bool,
    pub(crate) twice: bool,
    pub(crate) event: Option<DateTime<Utc>>,
}

impl Account {
    pub(crate) fn violation(&self) -> Option<String> {
        match () {
            () if !self.values.contains(&self.consumed) => Some(format!("consumers have {}, which is gone", self.consumed)),
            () if self.twice => Some("both keys in one breath".into()),
            () => None,
        }
    }
}

pub(crate) fn id(name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{name}")
}

/// A world with these accounts; all keys are old, consumers are on key1.
pub(crate) fn world(names: &[&str]) -> Arc<World> {
    let world = World::new(&[]);
    for name in names {
        let old = "2026-01-01T00:00:00.1234567Z".parse().ok();
        let live = LiveAccount {
            id: id(name),
            key1_created: old,
            key2_created: old,
            allow_shared_key: true,
            expiration_days: None,
            tags: BTreeMap::new(),
            endpoints: BTreeMap::from([("blob".to_owned(), format!("https://{name}.blob.core.windows.net/"))]),
        };
        let values = [format!("canary-{name}-key1-0"), format!("canary-{name}-key2-0")];
        let account = Account {
            live,
            consumed: values[0].clone(),
            values,
            locks: Vec::new(),
            requests: 0,
            stored: None,
            current: None,
            times: [0, 0],
            breath: false,
            twice: false,
            event: None,
        };
        world.with(|w| w.accounts.insert(id(name), account));
    }
    world
}

pub(crate) fn wish(storage: StorageWish, sink: bool) -> Wish {
    Wish { storage, sink: sink.then(|| "accounts:".to_owned()), ..World::wish() }
}

impl World {
    pub(crate) fn account<T>(&self, name: &str, act: impl FnOnce(&mut Account) -> T) -> T {
        self.with(|w| act(w.accounts.get_mut(&id(name)).unwrap()))
    }

    /// A plan of all accounts, as tables list them: times have lost their last digits on the way.
    pub(crate) async fn storage_plan(self: &Arc<World>, wish: &Wish) -> Plan {
        let listed = |(id, account): (&String, &Account)| {
            let micros = |at: Option<DateTime<Utc>>| at.map(|at| chrono::SubsecRound::trunc_subsecs(at, 6));
            StorageCandidate {
                connection: "azure".into(),
                subscription_id: SUBSCRIPTION.into(),
                id: id.clone(),
                name: id.rsplit('/').next().unwrap().into(),
                key1_created: micros(account.live.key1_created),
                key2_created: micros(account.live.key2_created),
                allow_shared_key: account.live.allow_shared_key,
                created: None,
                tags: account.live.tags.clone(),
                chosen: true,
            }
        };
        let accounts = self.with(|w| w.accounts.iter().map(listed).collect());
        let plan = crate::select::plan(Vec::new(), accounts, wish, &WorldHands(Arc::clone(self)), self.now()).await.unwrap();
        Plan::read("plan.yaml", &plan.to_yaml().unwrap()).unwrap()
    }

    /// The operator does what a report asks for; the word to give for it.
    pub(crate) fn obey(&self, item: &ItemReport) -> Option<String> {
        let word = item.needs.as_ref()?.split("--moved ").nth(1)?.trim_end_matches('`').to_owned();
        let (name, key) = word.split_once('=')?;
        self.account(name, |a| {
            a.consumed = match &a.current {
                Some((_, document)) => {
                    let document: serde_json::Value = serde_json::from_str(document).unwrap();
                    assert_eq!(document["key_name"], key, "the sink has what consumers are to use");
                    document["key"].as_str().unwrap().to_owned()
                }
                None => a.values[index(key)].clone(),
            };
            a.breath = false;
            assert_eq!(a.violation(), None);
        });
        Some(word)
    }

    /// Resumes, doing what is asked for, until nothing is left.
    pub(crate) async fn finish_accounts(self: &Arc<World>, run: &str) -> Report {
        let mut moved: Vec<String> = Vec::new();
        for _ in 0..16 {
            let report = self.runner().resume(run, &moved).await.unwrap_or_else(|e| panic!("{e}"));
            if report.items.iter().all(|i| matches!(i.state, State::Done | State::Undone)) {
                return report;
            }
            moved = report.items.iter().filter_map(|i| self.obey(i)).collect();
            self.time.pass(TimeDelta::days(2));
        }
        panic!("the run does not end: {:#?}", self.runner().resume(run, &[]).await.unwrap().items);
    }

    /// Both keys of all accounts are new, made once each, and consumers are on key1.
    pub(crate) fn assert_renewed(&self, what: &str) {
        self.assert_sound(what);
        self.with(|w| {
            for (id, account) in &w.accounts {
                assert_eq!(account.times, [1, 1], "{what}: {id}: {:#?}", w.effects);
                assert_eq!(account.consumed, account.values[0], "{what}: {id}");
                assert_eq!(account.stored, None, "{what}: {id}");
            }
        });
    }
}

fn index(key: &str) -> usize {
    match key {
        "key1" => 0,
        "key2" => 1,
        other => panic!("{other}"),
    }
}

fn gone() -> CloudError {
    CloudError::new(ErrorKind::NotFound, "ResourceNotFound", "there is no such account")
}

fn failure((error, without_effect): (CloudError, bool)) -> WriteError {
    WriteError { error, without_effect }
}

#[async_trait]
impl Storage for WorldHands {
    async fn account(&self, id: &str) -> Result<LiveAccount, CloudError> {
        self.read("account", id, |w, _| w.accounts.get(id).map(|a| a.live.clone()).ok_or_else(gone)).await
    }

    async fn read_only_locks(&self, id: &str) -> Result<Vec<String>, CloudError> {
        self.read("locks", id, |w, _| Ok(w.accounts[id].locks.clone())).await
    }

    async fn shared_key_requests(&self, id: &str, since: DateTime<Utc>) -> Result<u64, CloudError> {
        self.read("metrics", id, |w, now| {
            assert!(now - since >= TimeDelta::days(1), "so short a look says nothing");
            Ok(w.accounts[id].requests)
        })
        .await
    }

    async fn regenerated_event(&self, id: &str, _: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, CloudError> {
        self.read("event", id, |w, _| Ok(w.accounts[id].event)).await
    }

    async fn key(&self, id: &str, name: &str) -> Result<Secret, CloudError> {
        self.read("listKeys", id, |w, _| Ok(Secret::new(w.accounts[id].values[index(name)].clone()))).await
    }

    async fn regenerate(&self, id: &str, name: &str) -> Result<Secret, WriteError> {
        let which = index(name);
        self.write("regenerateKey", &format!("{id} {name}"), |w, now| {
            let account = w.accounts.get_mut(id).ok_or_else(gone)?;
            account.times[which] += 1;
            account.twice |= account.breath;
            account.breath = true;
            account.values[which] = format!("canary-{name}-{}", account.times[which]);
            let at = Some(now);
            if which == 0 {
                account.live.key1_created = at
            } else {
                account.live.key2_created = at
            }
            Ok(Secret::new(account.values[which].clone()))
        })
        .await
    }

    async fn set_expiration(&self, id: &str, days: i64) -> Result<(), WriteError> {
        self.write("setExpiration", id, |w, _| {
            let account = w.accounts.get_mut(id).ok_or_else(gone)?;
            account.twice |= account.live.expiration_days.replace(days) == Some(days);
            Ok(())
        })
        .await
    }

    async fn disable_shared_key(&self, id: &str) -> Result<(), WriteError> {
        self.write("disable", id, |w, _| {
            let account = w.accounts.get_mut(id).ok_or_else(gone)?;
            account.twice |= !std::mem::replace(&mut account.live.allow_shared_key, false);
            Ok(())
        })
        .await
    }
}

/// The sink of the accounts.
#[derive(Debug)]
pub(crate) struct AccountSink(pub(crate) WorldHands);

impl AccountSink {
    fn kept(delivery: &Delivery) -> Kept {
        let Label { owner, owner_id, key, generation, account_id } = &delivery.label;
        let text = delivery.document.expose().to_owned();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((owner_id, account_id.as_str()), (&id(owner), SUBSCRIPTION));
        assert_eq!((document["account_name"].as_str(), document["key_name"].as_str()), (Some(owner.as_str()), Some(key.as_str())));
        let value = document["key"].as_str().unwrap();
        let connection = format!("DefaultEndpointsProtocol=https;AccountName={owner};AccountKey={value};EndpointSuffix=core.windows.net");
        assert_eq!(document["connection_string"], connection);
        (generation.clone(), text)
    }
}

#[async_trait]
impl Sink for AccountSink {
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError> {
        Ok(Some(format!("accounts {}", label.owner.split('-').next().unwrap())))
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        self.0.call("check", &label.owner, |_, _| Ok(())).await.map_err(|(e, _)| SinkError::Cloud(e))
    }

    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let kept = AccountSink::kept(delivery);
        let owner = id(&delivery.label.owner);
        let result = self.0.call("store", &owner, |w, _| {
            w.accounts.get_mut(&owner).unwrap().stored = Some(kept);
            Ok(())
        });
        result.await.map_err(|(e, _)| SinkError::Cloud(e))
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let (kept, owner) = (AccountSink::kept(delivery), id(&delivery.label.owner));
        let result = self.0.write("publish", &owner, |w, _| {
            let account = w.accounts.get_mut(&owner).unwrap();
            let document: serde_json::Value = serde_json::from_str(&kept.1).unwrap();
            let works = account.values.iter().any(|v| document["key"] == v.as_str());
            (account.stored, account.current) = (None, Some(kept));
            if !works {
                w.violations.push("a value that does not work was published".into());
            }
            Ok(())
        });
        result.await.map_err(|e| failure((e.error, e.without_effect))).map_err(|e| SinkError::Cloud(e.error))
    }

    async fn withdraw(&self, label: &Label) -> Result<(), SinkError> {
        let owner = id(&label.owner);
        let result = self.0.write("withdraw", &owner, |w, _| {
            w.accounts.get_mut(&owner).unwrap().stored = None;
            Ok(())
        });
        result.await.map_err(|e| SinkError::Cloud(e.error))
    }

    async fn standing(&self, label: &Label) -> Result<Standing, SinkError> {
        let is = |kept: &Option<Kept>| kept.as_ref().is_some_and(|(generation, _)| *generation == label.generation);
        let answer = self.0.call("standing", &label.owner, |w, _| {
            let account = &w.accounts[&id(&label.owner)];
            Ok(match () {
                () if is(&account.current) => Standing::Current,
                () if is(&account.stored) => Standing::Stored,
                () => Standing::Absent,
            })
        });
        answer.await.map_err(|(e, _)| SinkError::Cloud(e))
    }
}
