//! The machine of one access key: derives from the journal how far it has come, decides the next act by that and by the live keys, does
//! it, journals before and after. Refuses whatever a guard refuses; what cannot be finished is taken back or left in a documented state.

mod eyes;
mod progress;
mod replace;
mod retire;
mod take_back;
mod undo;

pub(crate) use eyes::Eyes;
pub(crate) use progress::{Phase, Progress};

use crate::guards::Objection;
use crate::run::Log;
use crate::sink::{Label, Sink, SinkError};
use crate::{AccessKeyItem, Act, Event, Refusal, RotationError, State, Step};
use assay_cloud::{CloudError, ErrorKind};
use chrono::{DateTime, Utc};

/// Why an item goes no further now.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A guard refused; perhaps only until then.
    Refused(Refusal, Option<DateTime<Utc>>),
    /// Something has to pass first.
    Wait(DateTime<Utc>),
    /// A call failed.
    Failed(String),
    /// A person has to say something.
    Needs(String),
    /// The journal or the lock is lost: nothing more may be done at all.
    Fatal(RotationError),
}

impl From<RotationError> for Stop {
    fn from(error: RotationError) -> Stop {
        Stop::Fatal(error)
    }
}

/// One access key in work.
pub(crate) struct Machine<'a> {
    pub(crate) eyes: Eyes<'a>,
    /// Those of the plan that were asked for.
    pub(crate) steps: Vec<Step>,
    pub(crate) sink: Option<&'a dyn Sink>,
    pub(crate) log: &'a Log,
    pub(crate) progress: Progress,
}

impl Machine<'_> {
    /// Goes on until everything that was asked for is done, or something stops it.
    pub(crate) async fn work(&mut self) -> Result<(), Stop> {
        if self.progress.ended.is_some() {
            return Ok(());
        }
        if self.progress.undoing {
            return self.undo().await;
        }
        if self.asked(Step::Create) && self.progress.published().is_none() {
            self.replace().await?;
        }
        if self.asked(Step::Deactivate) && !matches!(self.progress.deactivate, Phase::Done(_)) {
            self.deactivate().await?;
        }
        if self.asked(Step::Delete) && !matches!(self.progress.delete, Phase::Done(_)) {
            self.delete().await?;
        }
        self.end(State::Done)
    }

    fn asked(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }

    /// The key that consumers are to use instead, and since when they get it, if this or an earlier run published one.
    fn replacement(&self) -> Option<(String, DateTime<Utc>)> {
        let here = self.progress.published().map(|(key, at)| (key.to_owned(), at));
        here.or_else(|| self.eyes.item.replaced_by.as_ref().map(|r| (r.key.clone(), r.since)))
    }

    /// When a step made the key inactive.
    fn deactivated_at(&self) -> Option<DateTime<Utc>> {
        match self.progress.deactivate {
            Phase::Done(at) => Some(at),
            _ => self.eyes.item.deactivated_at,
        }
    }

    fn item(&self) -> String {
        self.eyes.item.key.clone()
    }

    fn write(&mut self, event: Event) -> Result<(), Stop> {
        let entry = self.log.write(event)?;
        self.progress.add(&entry);
        Ok(())
    }

    fn begin(&mut self, act: Act, key: Option<&str>) -> Result<(), Stop> {
        self.write(Event::Begin { item: self.item(), act, key: key.map(str::to_owned) })
    }

    fn done(&mut self, act: Act, key: Option<&str>, note: Option<&str>) -> Result<(), Stop> {
        self.write(Event::Done { item: self.item(), act, key: key.map(str::to_owned), created: None, note: note.map(str::to_owned) })
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

    fn refused(&mut self, act: Act, objection: Objection) -> Stop {
        let Objection { refusal, until } = objection;
        match self.write(Event::Refused { item: self.item(), act, refusal: refusal.clone() }) {
            Ok(()) => Stop::Refused(refusal, until),
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

    fn label(&self, key: &str) -> Label {
        label(self.eyes.item, key)
    }
}

/// What the secret of `key` is stored with.
pub(crate) fn label(item: &AccessKeyItem, key: &str) -> Label {
    Label {
        account_id: item.account_id.clone(),
        owner: item.user.clone(),
        owner_id: item.user_id.clone(),
        key: key.to_owned(),
        generation: key.to_owned(),
    }
}

/// An error as a person reads it: with what to do, where there is something to say.
pub(crate) fn said(error: &CloudError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}

/// A sink's failure as the journal has it.
pub(crate) fn of_sink(error: &SinkError) -> CloudError {
    match error {
        SinkError::Cloud(error) => error.clone(),
        SinkError::Other(text) => CloudError::new(ErrorKind::Service, "SinkFailed", text.clone()),
    }
}
