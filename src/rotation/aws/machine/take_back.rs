//! Taking back what was not finished: the sink withdraws the secret, the new key is deleted. Refuses to delete a key that somebody may
//! have, or without which the user would have none.

use super::{Machine, Phase, Stop, of_sink, said};
use crate::aws::LiveKey;
use crate::guards::{Use, before_discard};
use crate::sink::Standing;
use crate::{Act, Guard, Refusal};
use assay_cloud::ErrorKind;
use std::time::Duration;

/// A deletion that the service refused for being busy is tried again after these pauses, in seconds: the key is nobody's.
const RETRIES: [u64; 3] = [1, 2, 4];

impl Machine<'_> {
    /// Withdraws the secret of the new key and deletes the key.
    pub(super) async fn take_back(&mut self, key: &str) -> Result<(), Stop> {
        self.withdraw(key).await?;
        self.discard(key).await
    }

    /// The sink forgets the secret. It must, if consumers could get it there.
    async fn withdraw(&mut self, key: &str) -> Result<(), Stop> {
        let Some(attempt) = self.progress.attempt.clone() else { return Ok(()) };
        let Some(sink) = self.sink.filter(|_| attempt.store != Phase::Not) else { return Ok(()) };
        let label = self.label(key);
        let mut failure = None;
        if !matches!(attempt.withdraw, Phase::Done(_)) {
            self.begin(Act::Withdraw, Some(key))?;
            match sink.withdraw(&label).await {
                Ok(()) => self.done(Act::Withdraw, Some(key), None)?,
                Err(error) => {
                    let error = of_sink(&error);
                    self.failed(Act::Withdraw, &error, false)?;
                    failure = Some(said(&error));
                }
            }
        }
        // What was never offered is, if it is left there, a secret of no key, once the key is gone.
        if attempt.publish == Phase::Not || attempt.disowned {
            return Ok(());
        }
        match (self.standing(key).await?, failure) {
            (Standing::Absent | Standing::Stored, _) => Ok(()),
            (_, Some(why)) => Err(Stop::Failed(format!("its secret cannot be taken out of the sink, where consumers may get it: {why}"))),
            (_, None) => Err(self.refused(Act::Discard, handed_out(key).into())),
        }
    }

    /// Deletes the new key.
    async fn discard(&mut self, key: &str) -> Result<(), Stop> {
        let ours = self.progress.attempt.as_ref().filter(|a| a.certain && a.key.as_deref() == Some(key));
        let (certain, proved, handed) = (ours.is_some(), ours.and_then(|a| a.proof), ours.is_none_or(|a| a.offered));
        let begun = self.progress.attempt.as_ref().is_some_and(|a| a.discard == Phase::Begun);
        let has = |keys: &[LiveKey]| keys.iter().any(|k| k.id == key);
        // A new key may not be listed yet; one whose deletion was cut off may still be.
        let keys = self
            .eyes
            .keys_until(|keys| if begun { !has(keys) } else { has(keys) || !certain })
            .await
            .map_err(|e| self.unread(Act::Discard, &e))?;
        if !has(&keys) {
            return self.done(Act::Discard, Some(key), Some("the key is not there"));
        }
        let used = match handed {
            true => self.eyes.iam.last_use(key).await.map_or_else(Use::Unreadable, Use::Known),
            false => Use::NotAsked,
        };
        before_discard(key, self.eyes.item, &keys, &used, proved).map_err(|r| self.refused(Act::Discard, r.into()))?;
        self.delete_new(key).await
    }

    async fn delete_new(&mut self, key: &str) -> Result<(), Stop> {
        let user = self.eyes.item.user.clone();
        let mut pauses = RETRIES.into_iter();
        loop {
            self.begin(Act::Discard, Some(key))?;
            let failure = self.eyes.iam.delete(&user, key).await.err();
            let gone = |keys: &[LiveKey]| !keys.iter().any(|k| k.id == key);
            let refused = failure.as_ref().is_some_and(|f| f.without_effect && f.error.kind != ErrorKind::NotFound);
            let look = if refused { None } else { self.eyes.keys_until(gone).await.ok() };
            let is_gone = look.is_some_and(|keys| gone(&keys));
            let failure = match failure {
                None if is_gone => return self.done(Act::Discard, Some(key), None),
                None => return self.done(Act::Discard, Some(key), Some("the call succeeded, though the key could not be seen to be gone")),
                Some(_) if is_gone => return self.done(Act::Discard, Some(key), Some("the call failed, but the key is gone")),
                Some(failure) => failure,
            };
            self.failed(Act::Discard, &failure.error, failure.without_effect)?;
            let passing = matches!(failure.error.kind, ErrorKind::Throttled | ErrorKind::Transient);
            match pauses.next().filter(|_| passing) {
                Some(pause) => self.eyes.clock.0.sleep(Duration::from_secs(pause)).await,
                None => return Err(Stop::Failed(said(&failure.error))),
            }
        }
    }

    /// After a call whose answer was lost: finds the key that it made, if it made one, and deletes it.
    pub(super) async fn settle_doubt(&mut self) -> Result<(), Stop> {
        let Some(window) = self.progress.attempt.as_ref().map(super::progress::Attempt::window) else { return Ok(()) };
        let item = self.eyes.item;
        let keys = self.eyes.keys_until(|keys| keys.iter().any(|k| k.id != item.key)).await;
        let keys = keys.map_err(|e| self.unread(Act::Discard, &e))?;
        let others: Vec<&LiveKey> = keys.iter().filter(|k| k.id != item.key).collect();
        match others[..] {
            [] => self.done(Act::Discard, None, Some("no new key has appeared")),
            [key] if window.0 <= key.created && key.created <= window.1 => self.discard(&key.id).await,
            _ => {
                let ids: Vec<&str> = others.iter().map(|k| k.id.as_str()).collect();
                let reason =
                    format!("{} did not appear when the lost call was made: nothing is deleted; find out whose it is", ids.join(", "));
                Err(self.refused(Act::Discard, Refusal::new(Guard::Changed, reason).into()))
            }
        }
    }

    /// A key that a lost call made late is deleted when it shows up: true.
    pub(super) async fn stray(&mut self, keys: &[LiveKey]) -> Result<bool, Stop> {
        let item = self.eyes.item;
        let late = |k: &&LiveKey| k.id != item.key && self.progress.doubtful.iter().any(|w| w.0 <= k.created && k.created <= w.1);
        let Some(key) = keys.iter().find(late).map(|k| k.id.clone()) else { return Ok(false) };
        self.discard(&key).await?;
        Ok(true)
    }
}

/// Whoever has the key would be cut off, and nobody can be asked but a person.
pub(super) fn handed_out(key: &str) -> Refusal {
    let reason = format!("the sink cannot say that no consumer has the new key {key}: if none has, `assay rotate undo {key}`");
    Refusal::new(Guard::HandedOut, reason)
}
