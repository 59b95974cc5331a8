//! The machine of one storage account: derives from the journal how far it has come, decides the next act by that and by the live account,
//! does it, journals before and after. Refuses whatever a guard refuses, and to regenerate a second key within one command.

mod deliver;
mod eyes;
mod progress;
mod rotate;
mod setting;
mod undo;

pub(crate) use deliver::{label, needs};
pub(crate) use eyes::Eyes;
pub(crate) use progress::{Name, Progress};

use crate::aws::machine::{Stop, said};
use crate::azure::LiveAccount;
use crate::run::Log;
use crate::sink::Sink;
use crate::{Act, Event, Refusal, State, StorageAction};
use assay_cloud::{CloudError, ErrorKind};
use chrono::{DateTime, TimeDelta, Utc};

/// Clocks here and there may differ by this much when a creation time is compared with the time of a call.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// The right to regenerate one key. A machine has one, and a command makes one machine of an account.
#[derive(Debug)]
struct Permit;

/// One storage account in work.
pub(crate) struct Machine<'a> {
    eyes: Eyes<'a>,
    sink: Option<&'a dyn Sink>,
    log: &'a Log,
    pub(crate) progress: Progress,
    permit: Option<Permit>,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(eyes: Eyes<'a>, sink: Option<&'a dyn Sink>, log: &'a Log, progress: Progress) -> Machine<'a> {
        Machine { eyes, sink, log, progress, permit: Some(Permit) }
    }

    /// Goes on until it is done, or something stops it.
    pub(crate) async fn work(&mut self) -> Result<(), Stop> {
        if self.progress.undoing {
            return self.undo().await;
        }
        if self.progress.ended.is_some() {
            return Ok(());
        }
        match self.eyes.item.action {
            StorageAction::RotateKeys => self.rotate().await?,
            StorageAction::ExpirationPolicy { days } => self.set(Act::SetExpiration, Some(days)).await?,
            StorageAction::DisableSharedKey => self.set(Act::DisableSharedKey, None).await?,
        }
        self.end(State::Done)
    }

    fn item(&self) -> String {
        self.eyes.item.id.clone()
    }

    /// A key as the journal names it: with its account, so that no two are called the same.
    fn named(&self, name: Name) -> String {
        format!("{}/{}", self.eyes.item.name, name.text())
    }

    fn write(&mut self, event: Event) -> Result<(), Stop> {
        let entry = self.log.write(event)?;
        self.progress.add(&entry);
        Ok(())
    }

    fn begin(&mut self, act: Act, key: Option<Name>) -> Result<(), Stop> {
        self.write(Event::Begin { item: self.item(), act, key: key.map(|k| self.named(k)) })
    }

    fn done(&mut self, act: Act, key: Option<Name>, created: Option<DateTime<Utc>>, note: Option<&str>) -> Result<(), Stop> {
        self.write(Event::Done { item: self.item(), act, key: key.map(|k| self.named(k)), created, note: note.map(str::to_owned) })
    }

    fn failed(&mut self, act: Act, error: &CloudError, without_effect: bool) -> Result<(), Stop> {
        self.write(Event::Failed { item: self.item(), act, error: error.clone(), without_effect })
    }

    fn end(&mut self, state: State) -> Result<(), Stop> {
        self.write(Event::Ended { item: self.item(), state })
    }

    /// What must be known before `act` could not be read.
    fn unread(&mut self, act: Act, error: &CloudError) -> Stop {
        match self.write(Event::Unread { item: self.item(), act, error: error.clone() }) {
            Ok(()) => Stop::Failed(said(error)),
            Err(stop) => stop,
        }
    }

    fn refused(&mut self, act: Act, refusal: Refusal) -> Stop {
        match self.write(Event::Refused { item: self.item(), act, refusal: refusal.clone() }) {
            Ok(()) => Stop::Refused(refusal, None),
            Err(stop) => stop,
        }
    }

    /// Goes on only after `until`.
    fn wait(&mut self, until: DateTime<Utc>, act: Act) -> Result<(), Stop> {
        if self.eyes.clock.0.now() >= until {
            return Ok(());
        }
        if self.progress.waiting != Some((until, act)) {
            self.write(Event::Waiting { item: self.item(), until, act })?;
        }
        Err(Stop::Wait(until))
    }

    /// The creation time that a key must have: the plan's, or that of the value that this run has made.
    fn expected(&self, name: Name) -> Option<DateTime<Utc>> {
        let planned = match name {
            Name::Key1 => self.eyes.item.key1_created,
            Name::Key2 => self.eyes.item.key2_created,
        };
        self.progress.half(name).created.or(planned)
    }

    /// Reads all, asks the guards.
    async fn ask(&mut self, act: Act) -> Result<LiveAccount, Stop> {
        let seen = self.eyes.look().await.map_err(|e| self.unread(act, &e))?;
        let expected = [self.expected(Name::Key1), self.expected(Name::Key2)];
        self.eyes.judge(&seen, expected).map_err(|refusal| self.refused(act, refusal))?;
        Ok(seen.account)
    }
}

/// The creation time of a key.
fn created(account: &LiveAccount, name: Name) -> Option<DateTime<Utc>> {
    match name {
        Name::Key1 => account.key1_created,
        Name::Key2 => account.key2_created,
    }
}

/// An act that was begun and turned out not to have happened.
fn not_done(why: &str) -> CloudError {
    CloudError::new(ErrorKind::Transient, "NotDone", why)
}
