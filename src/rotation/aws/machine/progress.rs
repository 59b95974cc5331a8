//! How far an access key has come, as its journal tells. Pure: a fold over entries, the same while working and after a crash.

use crate::journal::{self, Entry, Event};
use crate::{Act, Refusal, State};
use chrono::{DateTime, TimeDelta, Utc};

/// Clocks here and there may differ by this much when a key is taken for the result of a call.
const SLACK: TimeDelta = TimeDelta::minutes(1);
/// A call takes no longer than this; after a crash nobody knows when it ended.
const CALL: TimeDelta = TimeDelta::minutes(2);

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Not begun, or certainly without effect.
    #[default]
    Not,
    /// Begun; whether it had its effect is not known.
    Begun,
    /// Done at.
    Done(DateTime<Utc>),
}

/// A new key, from the call that makes it until it is published or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// When the call began.
    pub(crate) begun: DateTime<Utc>,
    /// When it ended, if that is known.
    pub(crate) ended: Option<DateTime<Utc>>,
    /// Its id, if that is known.
    pub(crate) key: Option<String>,
    /// The call itself gave the id. Otherwise the key is only taken for its result.
    pub(crate) certain: bool,
    pub(crate) store: Phase,
    /// When the proof that it works began and ended: a use of the key that is ours.
    pub(crate) proof: Option<DateTime<Utc>>,
    pub(crate) publish: Phase,
    /// Publishing was begun at some time: somebody may have seen the secret.
    pub(crate) offered: bool,
    pub(crate) withdraw: Phase,
    pub(crate) discard: Phase,
    /// The operator says that consumers have it.
    pub(crate) word: bool,
    /// The operator says that no consumer has it.
    pub(crate) disowned: bool,
}

impl Attempt {
    fn new(begun: DateTime<Utc>) -> Attempt {
        Attempt {
            begun,
            ended: None,
            key: None,
            certain: false,
            store: Phase::Not,
            proof: None,
            publish: Phase::Not,
            offered: false,
            withdraw: Phase::Not,
            discard: Phase::Not,
            word: false,
            disowned: false,
        }
    }

    /// When a key must have been made to be the result of the call.
    pub(crate) fn window(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.begun - SLACK, self.ended.unwrap_or(self.begun + CALL) + SLACK)
    }

    /// Is it decided that it goes?
    pub(crate) fn goes(&self) -> bool {
        self.withdraw != Phase::Not || self.discard != Phase::Not
    }
}

/// Where a key stands, and what was last said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The new key.
    pub(crate) attempt: Option<Attempt>,
    /// Calls that made no key that could be found: one may still appear.
    pub(crate) doubtful: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    pub(crate) deactivate: Phase,
    pub(crate) delete: Phase,
    pub(crate) reactivate: Phase,
    /// Begun at some time, so that an effect may still show up.
    pub(crate) tried_deactivate: bool,
    /// The same of the deletion.
    pub(crate) tried_delete: bool,
    /// It is being taken back.
    pub(crate) undoing: bool,
    pub(crate) ended: Option<State>,
    /// Until when nothing can be done, and before which act.
    pub(crate) waiting: Option<(DateTime<Utc>, Act)>,
    /// What a guard said last.
    pub(crate) refusal: Option<Refusal>,
    /// What failed last.
    pub(crate) error: Option<String>,
}

impl Progress {
    /// The progress of one item.
    pub(crate) fn of(item: &str, entries: &[Entry]) -> Progress {
        let mut progress = Progress::default();
        journal::about(item, entries).for_each(|entry| progress.add(entry));
        progress
    }

    /// One more line about this item.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.event {
            Event::Begin { act, key, .. } => {
                (self.waiting, self.refusal, self.error) = (None, None, None);
                self.begin(*act, key.as_deref(), at);
            }
            Event::Done { act, key, .. } => self.done(*act, key.as_deref(), at),
            Event::Failed { act, error, without_effect, .. } => {
                self.error = Some(error.to_string());
                self.failed(*act, *without_effect, at);
            }
            Event::Unread { error, .. } => self.error = Some(error.to_string()),
            Event::Refused { refusal, .. } => self.refusal = Some(refusal.clone()),
            Event::Waiting { until, act, .. } => self.waiting = Some((*until, *act)),
            Event::Moved { to, .. } => {
                if let Some(attempt) = self.attempt.as_mut().filter(|a| a.key.as_deref() == Some(to)) {
                    attempt.word = true;
                }
            }
            Event::Undo { key, .. } => {
                if let Some(attempt) = self.attempt.as_mut().filter(|a| key.is_some() && a.key == *key) {
                    attempt.disowned = true;
                }
                self.undoing = true;
                self.ended = None;
                self.waiting = None;
            }
            Event::Ended { state, .. } => {
                self.ended = Some(*state);
                self.waiting = None;
            }
            Event::Started { .. } | Event::Resumed { .. } | Event::Asked { .. } | Event::TookOver { .. } => {}
        }
    }

    fn begin(&mut self, act: Act, key: Option<&str>, at: DateTime<Utc>) {
        match act {
            Act::Create => self.attempt = Some(Attempt::new(at)),
            Act::Deactivate => (self.deactivate, self.tried_deactivate) = (Phase::Begun, true),
            Act::Delete => (self.delete, self.tried_delete) = (Phase::Begun, true),
            Act::Reactivate => self.reactivate = Phase::Begun,
            Act::Discard => {
                let attempt = self.attempt.get_or_insert_with(|| Attempt::new(at));
                attempt.key = attempt.key.take().or_else(|| key.map(str::to_owned));
                attempt.discard = Phase::Begun;
            }
            _ => self.of_attempt(act, Phase::Begun, at),
        }
    }

    fn done(&mut self, act: Act, key: Option<&str>, at: DateTime<Utc>) {
        match act {
            Act::Create => {
                let attempt = self.attempt.get_or_insert_with(|| Attempt::new(at));
                attempt.key = key.map(str::to_owned);
                attempt.certain = true;
                attempt.ended = Some(at);
            }
            Act::Deactivate => self.deactivate = Phase::Done(at),
            Act::Delete => self.delete = Phase::Done(at),
            Act::Reactivate => {
                (self.reactivate, self.deactivate, self.tried_deactivate) = (Phase::Done(at), Phase::Not, false);
            }
            Act::Discard => {
                let gone = self.attempt.take();
                // Without an id it was only looked for and not found.
                self.doubtful.extend(gone.filter(|_| key.is_none()).map(|a| a.window()));
            }
            _ => self.of_attempt(act, Phase::Done(at), at),
        }
    }

    fn failed(&mut self, act: Act, without_effect: bool, at: DateTime<Utc>) {
        let phase = if without_effect { Phase::Not } else { Phase::Begun };
        match act {
            Act::Create if without_effect => self.attempt = None,
            Act::Create => {
                if let Some(attempt) = self.attempt.as_mut() {
                    attempt.ended = Some(at);
                }
            }
            Act::Deactivate => self.deactivate = phase,
            Act::Delete => self.delete = phase,
            Act::Reactivate => self.reactivate = phase,
            // That it was begun stays true: so it is decided that the key goes.
            Act::Withdraw | Act::Discard | Act::Store => {}
            _ => self.of_attempt(act, phase, at),
        }
    }

    fn of_attempt(&mut self, act: Act, phase: Phase, at: DateTime<Utc>) {
        let Some(attempt) = self.attempt.as_mut() else { return };
        match act {
            Act::Store => attempt.store = phase,
            Act::Verify => attempt.proof = Some(at),
            Act::Publish => {
                attempt.publish = phase;
                attempt.offered = true;
            }
            Act::Withdraw => attempt.withdraw = phase,
            _ => {}
        }
    }

    /// The new key that consumers get, and since when.
    pub(crate) fn published(&self) -> Option<(&str, DateTime<Utc>)> {
        let attempt = self.attempt.as_ref().filter(|a| !a.goes())?;
        match (&attempt.key, attempt.publish) {
            (Some(key), Phase::Done(at)) => Some((key, at)),
            _ => None,
        }
    }

    /// The new key, whatever stands of it.
    pub(crate) fn new_key(&self) -> Option<&str> {
        self.attempt.as_ref().and_then(|a| a.key.as_deref())
    }

    /// The state of docs/rotation.md; `None`: nothing of this run stands.
    pub(crate) fn state(&self) -> Option<State> {
        if let Some(state) = self.ended {
            return Some(state);
        }
        match (self.delete, self.deactivate, self.reactivate) {
            (Phase::Done(_), _, _) => return Some(State::Done),
            (Phase::Begun, _, _) | (_, Phase::Begun, _) | (_, _, Phase::Begun) => return Some(State::Unknown),
            (_, Phase::Done(_), _) => return Some(State::Deactivated),
            _ => {}
        }
        let attempt = self.attempt.as_ref()?;
        Some(match &attempt.key {
            Some(_) if self.published().is_some() => State::Waiting,
            Some(_) => State::NewKeyLeft,
            None => State::Unknown,
        })
    }

    /// Was nothing begun that is there, or may still show up?
    pub(crate) fn is_clean(&self) -> bool {
        self.state().is_none() && self.doubtful.is_empty() && !self.tried_deactivate && !self.tried_delete
    }
}
