//! The calls of the world: each can be killed before and after its effect, answered with a fault, and is judged by what it leaves.

use super::world::{ACCOUNT, Inner, Key, User, World, show};
use crate::aws::{Iam, LiveKey, LiveUser, NewKey, WriteError};
use crate::azure::Storage;
use crate::run::Hands;
use crate::sink::{Delivery, Label, Sink, SinkError, Standing};
use crate::{KeyStatus, LastUse, RotationError, Secret};
use assay_cloud::{CloudError, ErrorKind};
use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct WorldHands(pub(crate) Arc<World>);

#[async_trait]
impl Hands for WorldHands {
    async fn iam(&self, _: &str, account_id: &str) -> Result<Arc<dyn Iam>, CloudError> {
        assert_eq!(account_id, ACCOUNT);
        Ok(Arc::new(self.clone()))
    }

    async fn storage(&self, _: &str, _: &str) -> Result<Arc<dyn Storage>, CloudError> {
        Ok(Arc::new(self.clone()))
    }

    async fn sink(&self, text: &str, _: &str, _: &str) -> Result<Arc<dyn Sink>, RotationError> {
        match text {
            "fake:" => Ok(Arc::new(self.clone())),
            "accounts:" => Ok(Arc::new(super::storage_world::AccountSink(self.clone()))),
            _ => Err(RotationError::Content { message: format!("{text:?} is no sink") }),
        }
    }
}

fn none(what: &str) -> CloudError {
    CloudError::new(ErrorKind::NotFound, "NoSuchEntity", what)
}

/// Notes what must not be, whenever anything has changed.
fn judge(w: &mut Inner, what: &str) {
    let mut found = Vec::new();
    for (name, user) in &w.users {
        if user.status(user.consumed()) != Some(KeyStatus::Active) {
            found.push(format!("after {what}: consumers of {name} have {}, which does not work", user.consumed()));
        }
        if user.keys.len() > 2 {
            found.push(format!("after {what}: {name} has three keys"));
        }
    }
    for (id, account) in &w.accounts {
        found.extend(account.violation().map(|why| format!("after {what}: {id}: {why}")));
    }
    w.violations.extend(found);
}

fn user<'w>(w: &'w mut Inner, name: &str) -> Result<&'w mut User, CloudError> {
    w.users.get_mut(name).ok_or_else(|| none("the user does not exist"))
}

impl WorldHands {
    async fn point(&self) {
        if !self.0.alive() {
            std::future::pending::<()>().await;
        }
    }

    /// One call. The flag of a failure: certainly without effect.
    pub(crate) async fn call<T>(
        &self,
        name: &str,
        about: &str,
        effect: impl FnOnce(&mut Inner, DateTime<Utc>) -> Result<T, CloudError> + Send,
    ) -> Result<T, (CloudError, bool)> {
        self.point().await;
        if self.0.with(|w| w.hangs == Some(w.calls.len() + 1)) {
            self.0.end();
            std::future::pending::<()>().await;
        }
        let fault = self.0.with(|w| {
            w.calls.push(format!("{name} {about}"));
            let so_far = w.calls.iter().filter(|c| c.split(' ').next() == Some(name)).count();
            let spared = name == "ListAccessKeys" && so_far <= w.spare;
            w.faults.get(&w.calls.len()).or_else(|| w.broken.get(name).filter(|_| !spared)).copied()
        });
        if let Some(fault) = fault.filter(|f| !f.effect) {
            return Err((fault.error(), fault.certain));
        }
        let now = self.0.now();
        let result = self.0.with(|w| effect(w, now)).map_err(|e| (e, true));
        self.point().await;
        match fault {
            Some(fault) if result.is_ok() => Err((fault.error(), fault.certain)),
            _ => result,
        }
    }

    pub(crate) async fn read<T>(
        &self,
        name: &str,
        about: &str,
        answer: impl FnOnce(&mut Inner, DateTime<Utc>) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        self.call(name, about, answer).await.map_err(|(e, _)| e)
    }

    /// A write: noted, and judged by what it leaves.
    pub(crate) async fn write<T>(
        &self,
        name: &str,
        about: &str,
        effect: impl FnOnce(&mut Inner, DateTime<Utc>) -> Result<T, CloudError> + Send,
    ) -> Result<T, WriteError> {
        let what = format!("{name} {about}");
        let result = self.call(name, about, |w, now| {
            let result = effect(w, now)?;
            w.effects.push(what.clone());
            judge(w, &what);
            Ok(result)
        });
        result.await.map_err(|(error, without_effect)| WriteError { error, without_effect })
    }
}

#[async_trait]
impl Iam for WorldHands {
    async fn keys(&self, name: &str) -> Result<Vec<LiveKey>, CloudError> {
        self.read("ListAccessKeys", name, |w, now| {
            let seen = now - w.lag;
            let user = user(w, name)?;
            Ok(user.shown.iter().rev().find(|(at, _)| *at <= seen).map(|(_, keys)| keys.clone()).unwrap_or_default())
        })
        .await
    }

    async fn user(&self, name: &str) -> Result<LiveUser, CloudError> {
        self.read("GetUser", name, |w, _| {
            let User { id, path, tags, .. } = user(w, name)?.clone();
            Ok(LiveUser { arn: format!("arn:aws:iam::{ACCOUNT}:user{path}{name}"), id, path, tags })
        })
        .await
    }

    async fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, CloudError> {
        self.read("ListUserTags", name, |w, _| Ok(user(w, name)?.tags.clone())).await
    }

    async fn last_use(&self, key: &str) -> Result<Option<LastUse>, CloudError> {
        self.read("GetAccessKeyLastUsed", key, |w, _| {
            let keys = w.users.values().flat_map(|u| &u.keys);
            keys.into_iter().find(|k| k.live.id == key).map(|k| k.used.clone()).ok_or_else(|| none("the key does not exist"))
        })
        .await
    }

    async fn policies_and_groups(&self, name: &str) -> Result<Vec<String>, CloudError> {
        self.read("ListUserPolicies", name, |w, _| Ok(user(w, name)?.names.clone())).await
    }

    async fn own_keys(&self) -> Result<Vec<String>, CloudError> {
        Ok(self.0.with(|w| w.own.clone()))
    }

    async fn create(&self, name: &str) -> Result<NewKey, WriteError> {
        self.write("CreateAccessKey", name, |w, now| {
            w.made += 1;
            let id = format!("AKIANEW0000000{:06}", w.made);
            let user = user(w, name)?;
            if user.keys.len() >= 2 {
                return Err(CloudError::new(ErrorKind::Service, "LimitExceeded", "two keys are enough"));
            }
            let created = now.trunc_subsecs(0);
            let secret = format!("canary-{id}");
            let live = LiveKey { id: id.clone(), status: KeyStatus::Active, created };
            user.keys.push(Key { live, secret: secret.clone(), used: None });
            show(user, now);
            Ok(NewKey { id, secret: Secret::new(secret), created })
        })
        .await
    }

    async fn set_status(&self, name: &str, key: &str, status: KeyStatus) -> Result<(), WriteError> {
        self.write("UpdateAccessKey", &format!("{name} {key} {status:?}"), |w, now| {
            let user = user(w, name)?;
            let found = user.keys.iter_mut().find(|k| k.live.id == key).ok_or_else(|| none("the key does not exist"))?;
            let twice = found.live.status == status;
            found.live.status = status;
            show(user, now);
            if twice {
                w.violations.push(format!("{key} was made {status:?} twice"));
            }
            Ok(())
        })
        .await
    }

    async fn delete(&self, name: &str, key: &str) -> Result<(), WriteError> {
        self.write("DeleteAccessKey", &format!("{name} {key}"), |w, now| {
            let user = user(w, name)?;
            let Some(at) = user.keys.iter().position(|k| k.live.id == key) else {
                w.violations.push(format!("{key} was deleted twice"));
                return Err(none("the key does not exist"));
            };
            user.keys.remove(at);
            show(user, now);
            Ok(())
        })
        .await
    }

    async fn identify(&self, key: &str, secret: &Secret) -> Result<(String, String), CloudError> {
        let secret = secret.expose().to_owned();
        self.read("GetCallerIdentity", key, |w, now| {
            let (lag, foreign) = (w.lag, w.foreign);
            for user in w.users.values_mut() {
                let id = user.id.clone();
                let Some(found) = user.keys.iter_mut().find(|k| k.live.id == key && k.secret == secret) else { continue };
                if found.live.status == KeyStatus::Active && found.live.created <= now - lag {
                    let (service, region) = (Some("sts".to_owned()), Some("us-east-1".to_owned()));
                    found.used = Some(LastUse { at: now.trunc_subsecs(0), service, region });
                    return Ok((ACCOUNT.to_owned(), if foreign { "AIDAOTHER".to_owned() } else { id }));
                }
            }
            Err(CloudError::new(ErrorKind::Credentials, "InvalidClientTokenId", "the security token is invalid"))
        })
        .await
    }
}

#[async_trait]
impl Sink for WorldHands {
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError> {
        let (command, one_place) = self.0.with(|w| (w.command, w.one_place));
        Ok((!command).then(|| if one_place { "the one place".to_owned() } else { format!("fake {}", label.owner) }))
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        assert_eq!(label.key, "");
        self.call("check", &label.owner, |_, _| Ok(())).await.map_err(|(e, _)| SinkError::Cloud(e))
    }

    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let Label { owner, key, .. } = &delivery.label;
        let document: serde_json::Value = serde_json::from_str(delivery.document.expose()).unwrap();
        assert_eq!(document["aws_secret_access_key"], format!("canary-{key}"));
        assert_eq!((&document["user_name"], &document["account_id"]), (&owner.as_str().into(), &ACCOUNT.into()));
        self.write("store", &format!("{owner} {key}"), |w, _| {
            if !w.command {
                user(w, owner)?.stored.push(key.clone());
            }
            Ok(())
        })
        .await
        .map_err(|e| SinkError::Cloud(e.error))
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let Label { owner, key, .. } = &delivery.label;
        let command = self.0.with(|w| w.command);
        self.write("publish", &format!("{owner} {key}"), |w, _| {
            let user = user(w, owner)?;
            user.stored.retain(|k| k != key);
            user.current.push(key.clone());
            Ok(())
        })
        .await
        .map_err(|e| if command { SinkError::Other("the command failed".into()) } else { SinkError::Cloud(e.error) })
    }

    async fn withdraw(&self, label: &Label) -> Result<(), SinkError> {
        self.write("withdraw", &format!("{} {}", label.owner, label.key), |w, _| {
            if !w.command {
                let user = user(w, &label.owner)?;
                user.stored.retain(|k| *k != label.key);
                user.current.retain(|k| *k != label.key);
            }
            Ok(())
        })
        .await
        .map_err(|e| SinkError::Cloud(e.error))
    }

    async fn standing(&self, label: &Label) -> Result<Standing, SinkError> {
        let answer = self.call("standing", &label.owner, |w, _| {
            let command = w.command;
            let user = user(w, &label.owner)?;
            Ok(if command { Standing::Unknown } else { World::standing(user, &label.key) })
        });
        answer.await.map_err(|(e, _)| SinkError::Cloud(e))
    }
}
