//! Taking back: possible as long as nothing was written to the account. Refuses to pretend that a value that is gone could come back, and to
//! take a key out of a sink whose consumers may have it: it works.

use super::{Machine, Name, created, label};
use crate::aws::machine::{Phase, Stop, of_sink};
use crate::sink::Standing;
use crate::{Act, Guard, Refusal, State, StorageAction};

impl Machine<'_> {
    pub(crate) async fn undo(&mut self) -> Result<(), Stop> {
        if self.progress.ended == Some(State::Undone) {
            return Ok(());
        }
        let (act, days) = match self.eyes.item.action {
            StorageAction::RotateKeys => return self.leave().await,
            StorageAction::ExpirationPolicy { days } => (Act::SetExpiration, Some(days)),
            StorageAction::DisableSharedKey => (Act::DisableSharedKey, None),
        };
        if self.was_set(act, days).await? {
            let name = &self.eyes.item.name;
            let by_hand = match act {
                Act::DisableSharedKey => format!("`az storage account update --name {name} --allow-shared-key-access true` would"),
                _ => format!("`az storage account update --name {name} --key-exp-days DAYS` sets another"),
            };
            let reason = format!("assay does not change a setting back: {by_hand}");
            return Err(self.refused(act, Refusal::new(Guard::Irreversible, reason)));
        }
        self.end(State::Undone)
    }

    /// Leaves the keys as they are, if none was regenerated.
    async fn leave(&mut self) -> Result<(), Stop> {
        if !self.has(Name::Key1).await? {
            self.forget(Name::Key2).await?;
            return self.end(State::Undone);
        }
        let next = match self.progress.ended {
            Some(State::Done) => "both keys are new, and work".to_owned(),
            _ => format!("`assay rotate resume {}` goes on", self.log.run()),
        };
        let reason = format!("a key was regenerated, and its former value cannot come back: {next}");
        Err(self.refused(Act::RegenerateKey1, Refusal::new(Guard::Irreversible, reason)))
    }

    /// A value that the sink has stored, but given to nobody, goes again. What consumers may have stays: it is a key that works.
    async fn forget(&mut self, name: Name) -> Result<(), Stop> {
        let half = self.progress.half(name);
        let Some(sink) = self.sink.filter(|_| half.store != Phase::Not && !matches!(half.publish, Phase::Done(_))) else { return Ok(()) };
        let act = Act::Withdraw;
        let account = self.eyes.storage.account(&self.eyes.item.id).await.map_err(|e| self.unread(act, &e))?;
        let label = label(self.eyes.item, name, created(&account, name));
        if half.publish != Phase::Not {
            let standing = sink.standing(&label).await.map_err(|e| self.unread(act, &of_sink(&e)))?;
            if standing != Standing::Stored {
                return Ok(());
            }
        }
        self.begin(act, Some(name))?;
        match sink.withdraw(&label).await {
            Ok(()) => self.done(act, Some(name), None, None),
            Err(error) => {
                let error = of_sink(&error);
                self.failed(act, &error, false)?;
                Err(Stop::Failed(format!("the sink does not forget {}: {error}", name.text())))
            }
        }
    }
}
