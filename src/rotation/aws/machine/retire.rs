//! The old key: made inactive once nobody uses it, deleted once it has rested. Neither is done twice: what was begun is looked at first.

use super::{Machine, Phase, Stop, said};
use crate::aws::WriteError;
use crate::{Act, KeyStatus};
use assay_cloud::{CloudError, ErrorKind};

impl Machine<'_> {
    pub(super) async fn deactivate(&mut self) -> Result<(), Stop> {
        let act = Act::Deactivate;
        if self.was_done(act, self.progress.deactivate, self.progress.tried_deactivate).await? {
            return Ok(());
        }
        let replacement = self.replacement();
        if let Some((_, since)) = &replacement {
            self.wait(*since + self.eyes.plan.grace.delta(), act)?;
        }
        self.ask(act).await?;
        self.set(act, KeyStatus::Inactive).await
    }

    pub(super) async fn delete(&mut self) -> Result<(), Stop> {
        let act = Act::Delete;
        if self.was_done(act, self.progress.delete, self.progress.tried_delete).await? {
            return Ok(());
        }
        if let Some(at) = self.deactivated_at() {
            self.wait(at + self.eyes.plan.settle.delta(), act)?;
        }
        self.ask(act).await?;
        self.begin(act, None)?;
        let answer = self.eyes.iam.delete(&self.eyes.item.user, &self.eyes.item.key).await;
        self.conclude(act, answer).await
    }

    /// Makes the old key active or inactive.
    pub(super) async fn set(&mut self, act: Act, status: KeyStatus) -> Result<(), Stop> {
        self.begin(act, None)?;
        let answer = self.eyes.iam.set_status(&self.eyes.item.user, &self.eyes.item.key, status).await;
        self.conclude(act, answer).await
    }

    /// Reads all, asks the guards.
    async fn ask(&mut self, act: Act) -> Result<(), Stop> {
        let seen = self.eyes.look(act).await.map_err(|e| self.unread(act, &e))?;
        let replacement = self.replacement();
        let replacement = replacement.as_ref().map(|(key, _)| key.as_str());
        self.eyes.judge(act, &seen, replacement, self.deactivated_at()).map_err(|o| self.refused(act, o))
    }

    /// Had an act that was begun before its effect? If not, that is journalled, and it may be begun again.
    pub(super) async fn was_done(&mut self, act: Act, phase: Phase, tried: bool) -> Result<bool, Stop> {
        if !tried {
            return Ok(false);
        }
        let begun = phase == Phase::Begun;
        if reached(act, self.status_after(act, begun).await?) {
            self.done(act, None, Some("an earlier call had done it"))?;
            return Ok(true);
        }
        if begun {
            self.failed(act, &not_done("an earlier call had no effect"), true)?;
        }
        Ok(false)
    }

    /// The status of the old key, `None` if it is gone; looked at for a while if a call that was cut off may just be taking effect.
    pub(super) async fn status_after(&mut self, act: Act, patient: bool) -> Result<Option<KeyStatus>, Stop> {
        let eyes = self.eyes;
        let seen = eyes.keys_until(|keys| !patient || reached(act, eyes.status(keys))).await;
        let keys = seen.map_err(|e| self.unread(act, &e))?;
        Ok(eyes.status(&keys))
    }

    /// The call was made: a second look says what came of it, whatever the answer was.
    async fn conclude(&mut self, act: Act, answer: Result<(), WriteError>) -> Result<(), Stop> {
        let failure = answer.err();
        let eyes = self.eyes;
        // What the service itself refused is not on its way.
        let refused = failure.as_ref().is_some_and(|f| f.without_effect);
        let look = eyes.keys_until(|keys| refused || reached(act, eyes.status(keys))).await.map(|keys| eyes.status(&keys));
        if look.as_ref().is_ok_and(|status| reached(act, *status)) {
            let note = failure.map(|_| "the call failed, but the key shows it");
            return self.done(act, None, note);
        }
        // A key that is there and shows no effect had none, unless the call is said to have succeeded.
        let without_effect = refused || (failure.is_some() && matches!(look, Ok(Some(_))));
        let error = match (failure, look) {
            (Some(failure), _) => failure.error,
            (None, Err(unseen)) => unseen,
            (None, Ok(_)) => not_done("the call succeeded, but the key does not show it"),
        };
        self.failed(act, &error, without_effect)?;
        Err(Stop::Failed(said(&error)))
    }
}

/// Does a key of this status show that the act was done?
fn reached(act: Act, status: Option<KeyStatus>) -> bool {
    match act {
        Act::Deactivate => status == Some(KeyStatus::Inactive),
        Act::Reactivate => status == Some(KeyStatus::Active),
        _ => status.is_none(),
    }
}

/// An act that was begun and turned out not to have happened.
fn not_done(why: &str) -> CloudError {
    CloudError::new(ErrorKind::Transient, "NotDone", why)
}
