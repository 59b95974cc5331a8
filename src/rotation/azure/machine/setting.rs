//! The alternatives to rotating: one write each, looked at first and afterwards, and never made where the account is that way already.

use super::{Machine, not_done};
use crate::Act;
use crate::aws::machine::{Phase, Stop, said};
use crate::azure::LiveAccount;

impl Machine<'_> {
    /// Sets the expiration period, or turns shared keys off.
    pub(super) async fn set(&mut self, act: Act, days: Option<i64>) -> Result<(), Stop> {
        let reached = |account: &LiveAccount| is_set(account, days);
        if self.was_set(act, days).await? {
            return Ok(());
        }
        let account = self.ask(act).await?;
        if reached(&account) {
            return self.done(act, None, None, Some("it was so already"));
        }
        self.begin(act, None)?;
        let id = &self.eyes.item.id;
        let answer = match days {
            Some(days) => self.eyes.storage.set_expiration(id, days).await,
            None => self.eyes.storage.disable_shared_key(id).await,
        };
        let failure = answer.err();
        // What the service itself refused is not on its way.
        let refused = failure.as_ref().is_some_and(|f| f.without_effect);
        let look = self.eyes.account_until(|a| refused || reached(a)).await;
        if look.as_ref().is_ok_and(reached) {
            let note = failure.map(|_| "the call failed, but the account shows it");
            return self.done(act, None, None, note);
        }
        let error = match (failure, look) {
            (Some(failure), _) => failure.error,
            (None, Err(unseen)) => unseen,
            (None, Ok(_)) => not_done("the call succeeded, but the account does not show it"),
        };
        self.failed(act, &error, refused)?;
        Err(Stop::Failed(said(&error)))
    }

    /// Was it done? A write that was cut off is looked after.
    pub(super) async fn was_set(&mut self, act: Act, days: Option<i64>) -> Result<bool, Stop> {
        match self.progress.setting {
            Phase::Done(_) => return Ok(true),
            Phase::Not => return Ok(false),
            Phase::Begun => {}
        }
        let account = self.eyes.account_until(|a| is_set(a, days)).await.map_err(|e| self.unread(act, &e))?;
        if is_set(&account, days) {
            return self.done(act, None, None, Some("an earlier call had done it")).map(|()| true);
        }
        self.failed(act, &not_done("an earlier call had no effect"), true).map(|()| false)
    }
}

/// Is the account as it is to be: with this expiration period, or else without shared keys?
fn is_set(account: &LiveAccount, days: Option<i64>) -> bool {
    match days {
        Some(days) => account.expiration_days == Some(days),
        None => !account.allow_shared_key,
    }
}
