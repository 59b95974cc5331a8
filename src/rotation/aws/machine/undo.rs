//! Taking back: the old key active again, then the new one out of the sink and deleted, if nobody uses it. In this order, so that
//! consumers have a key that works at every moment.

use super::take_back::handed_out;
use super::{Machine, Phase, Stop};
use crate::guards::{Use, before_discard};
use crate::sink::Standing;
use crate::{Act, Guard, KeyStatus, Refusal, State};

impl Machine<'_> {
    pub(super) async fn undo(&mut self) -> Result<(), Stop> {
        if self.progress.is_clean() {
            return self.end(State::Undone);
        }
        self.revive().await?;
        match self.progress.attempt.clone() {
            None => {}
            Some(attempt) => match &attempt.key {
                None => self.settle_doubt().await?,
                Some(key) => {
                    if !attempt.goes() {
                        self.unused(key).await?;
                    }
                    self.take_back(key).await?;
                }
            },
        }
        if !self.progress.doubtful.is_empty() {
            let keys = self.eyes.iam.keys(&self.eyes.item.user).await.map_err(|e| self.unread(Act::Discard, &e))?;
            self.stray(&keys).await?;
        }
        self.end(State::Undone)
    }

    /// Makes the old key work again, if it is the one of the plan.
    async fn revive(&mut self) -> Result<(), Stop> {
        let act = Act::Reactivate;
        let item = self.eyes.item;
        let user = self.eyes.iam.user(&item.user).await.map_err(|e| self.unread(act, &e))?;
        let keys = self.eyes.iam.keys(&item.user).await.map_err(|e| self.unread(act, &e))?;
        let refuse = |reason: String| Refusal::new(Guard::Changed, reason);
        if user.id != item.user_id {
            let refusal = refuse(format!("user {} is another one now, with id {}: nothing of it is touched", item.user, user.id));
            return Err(self.refused(act, refusal.into()));
        }
        if self.was_done(Act::Delete, self.progress.delete, self.progress.tried_delete).await? {
            return self.no_way_back().await;
        }
        let Some(old) = keys.iter().find(|k| k.id == item.key) else { return self.no_way_back().await };
        if old.created != item.created {
            let refusal = refuse(format!("the key was created at {:?}, not at {:?}", old.created, item.created));
            return Err(self.refused(act, refusal.into()));
        }
        if !self.progress.tried_deactivate && self.progress.reactivate == Phase::Not {
            return Ok(());
        }
        // A call that was cut off may just be taking effect: then the status of this moment says nothing yet.
        let status = match (self.progress.deactivate, self.progress.reactivate) {
            (_, Phase::Begun) => self.status_after(act, true).await?,
            (Phase::Begun, _) => self.status_after(Act::Deactivate, true).await?,
            _ => Some(old.status),
        };
        match status {
            Some(KeyStatus::Active) => self.done(act, None, Some("the key is Active")),
            Some(KeyStatus::Inactive) => self.set(act, KeyStatus::Active).await,
            None => self.no_way_back().await,
        }
    }

    /// A deleted key cannot come back, and then the new one must stay.
    async fn no_way_back(&mut self) -> Result<(), Stop> {
        let published = self.progress.published().is_some();
        let ours = matches!(self.progress.delete, Phase::Done(_));
        let reason = "the old key is deleted and cannot come back; the key in its place stays";
        let stop = self.refused(Act::Reactivate, Refusal::new(Guard::Changed, reason).into());
        if ours || published {
            self.end(State::Done)?;
        }
        Err(stop)
    }

    /// Does nobody use the new key, as far as can be known? If somebody may, both keys stay, and nothing more can be taken back.
    async fn unused(&mut self, key: &str) -> Result<(), Stop> {
        let Some(attempt) = self.progress.attempt.clone() else { return Ok(()) };
        let keys = self.eyes.iam.keys(&self.eyes.item.user).await.map_err(|e| self.unread(Act::Discard, &e))?;
        if !keys.iter().any(|k| k.id == key) {
            return Ok(());
        }
        let used = self.eyes.iam.last_use(key).await.map_or_else(Use::Unreadable, Use::Known);
        let offered = attempt.publish != Phase::Not && !attempt.disowned;
        let refusal = match before_discard(key, self.eyes.item, &keys, &used, attempt.proof) {
            Err(refusal) => refusal,
            Ok(()) if offered && self.standing(key).await? == Standing::Unknown => handed_out(key),
            Ok(()) => return Ok(()),
        };
        let in_use = matches!(refusal.guard, Guard::UsedSince | Guard::HandedOut);
        let stop = self.refused(Act::Discard, refusal.into());
        if in_use && self.progress.published().is_some() {
            self.end(State::Waiting)?;
        }
        Err(stop)
    }
}
