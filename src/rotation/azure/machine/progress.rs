//! How far a storage account has come, as its journal tells. Pure: a fold over entries, the same while working and after a crash.

use crate::aws::machine::Phase;
use crate::journal::{self, Entry, Event};
use crate::{Act, Refusal, State};
use chrono::{DateTime, Utc};

/// One of the two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Key1,
    Key2,
}

impl Name {
    /// As Azure has it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::Key1 => "key1",
            Name::Key2 => "key2",
        }
    }

    /// Of that name, whatever stands before it in a journal.
    pub(crate) fn read(text: &str) -> Option<Name> {
        match text.rsplit('/').next() {
            Some("key1") => Some(Name::Key1),
            Some("key2") => Some(Name::Key2),
            _ => None,
        }
    }

    pub(crate) fn other(self) -> Name {
        match self {
            Name::Key1 => Name::Key2,
            Name::Key2 => Name::Key1,
        }
    }

    /// What regenerates it.
    pub(crate) fn act(self) -> Act {
        match self {
            Name::Key1 => Act::RegenerateKey1,
            Name::Key2 => Act::RegenerateKey2,
        }
    }
}

/// How far one of the keys has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) regenerate: Phase,
    /// When that was begun last.
    pub(crate) begun: Option<DateTime<Utc>>,
    /// The creation time that it has since.
    pub(crate) created: Option<DateTime<Utc>>,
    pub(crate) store: Phase,
    pub(crate) publish: Phase,
    /// The operator was asked to move consumers to it.
    pub(crate) asked: bool,
    /// When the operator said that they were.
    pub(crate) moved: Option<DateTime<Utc>>,
}

/// Where an account stands, and what was last said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) key1: Half,
    pub(crate) key2: Half,
    /// The one write of the alternatives.
    pub(crate) setting: Phase,
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
                self.phase(*act, key.as_deref(), Phase::Begun);
                if let Some(half) = self.regenerated(*act) {
                    half.begun = Some(at);
                }
            }
            Event::Done { act: Act::Withdraw, key: Some(key), .. } => {
                if let Some(name) = Name::read(key) {
                    let half = self.half_mut(name);
                    (half.store, half.publish) = (Phase::Not, Phase::Not);
                }
            }
            Event::Done { act, key, created, .. } => {
                self.error = None;
                self.phase(*act, key.as_deref(), Phase::Done(at));
                if let Some(half) = self.regenerated(*act) {
                    half.created = *created;
                    // What is done for good is not taken back.
                    self.undoing = false;
                }
            }
            Event::Failed { act, error, without_effect, .. } => {
                self.error = Some(error.to_string());
                // What a sink was begun to be told is told it again.
                if !matches!(act, Act::Store | Act::Publish | Act::Withdraw) {
                    self.phase(*act, None, if *without_effect { Phase::Not } else { Phase::Begun });
                }
            }
            Event::Unread { error, .. } => self.error = Some(error.to_string()),
            Event::Refused { refusal, .. } => self.refusal = Some(refusal.clone()),
            Event::Waiting { until, act, .. } => self.waiting = Some((*until, *act)),
            Event::Asked { to, .. } => {
                (self.refusal, self.error) = (None, None);
                if let Some(name) = Name::read(to) {
                    self.half_mut(name).asked = true;
                }
            }
            Event::Moved { to, .. } => {
                if let Some(name) = Name::read(to) {
                    self.half_mut(name).moved = Some(at);
                }
            }
            Event::Undo { .. } if !self.is_final() => (self.undoing, self.ended, self.waiting) = (true, None, None),
            Event::Ended { state, .. } => (self.ended, self.waiting) = (Some(*state), None),
            Event::Undo { .. } | Event::Started { .. } | Event::Resumed { .. } | Event::TookOver { .. } => {}
        }
    }

    fn phase(&mut self, act: Act, key: Option<&str>, phase: Phase) {
        match act {
            Act::RegenerateKey1 => self.key1.regenerate = phase,
            Act::RegenerateKey2 => self.key2.regenerate = phase,
            Act::SetExpiration | Act::DisableSharedKey => self.setting = phase,
            Act::Store | Act::Publish => {
                let Some(name) = key.and_then(Name::read) else { return };
                let half = self.half_mut(name);
                match act {
                    Act::Store => half.store = phase,
                    _ => half.publish = phase,
                }
            }
            _ => {}
        }
    }

    fn regenerated(&mut self, act: Act) -> Option<&mut Half> {
        match act {
            Act::RegenerateKey1 => Some(&mut self.key1),
            Act::RegenerateKey2 => Some(&mut self.key2),
            _ => None,
        }
    }

    fn half_mut(&mut self, name: Name) -> &mut Half {
        match name {
            Name::Key1 => &mut self.key1,
            Name::Key2 => &mut self.key2,
        }
    }

    pub(crate) fn half(&self, name: Name) -> Half {
        match name {
            Name::Key1 => self.key1,
            Name::Key2 => self.key2,
        }
    }

    /// Is something done that nothing can take back?
    pub(crate) fn is_final(&self) -> bool {
        [self.key1.regenerate, self.key2.regenerate, self.setting].iter().any(|p| matches!(p, Phase::Done(_)))
    }

    /// The key that the operator was asked to move consumers to, without an answer yet.
    pub(crate) fn awaited(&self) -> Option<Name> {
        let open = |name: &Name| self.half(*name).asked && self.half(*name).moved.is_none();
        [Name::Key2, Name::Key1].into_iter().find(open).filter(|_| self.ended.is_none() && !self.undoing)
    }

    /// The state of docs/rotation.md.
    pub(crate) fn state(&self) -> State {
        if let Some(state) = self.ended {
            return state;
        }
        let phases = [self.key1.regenerate, self.key2.regenerate, self.setting];
        match () {
            () if phases.contains(&Phase::Begun) => State::Unknown,
            () if matches!(self.setting, Phase::Done(_)) || matches!(self.key2.regenerate, Phase::Done(_)) => State::Done,
            () if matches!(self.key1.regenerate, Phase::Done(_)) || self.key2.publish != Phase::Not || self.key2.asked => State::Waiting,
            () => State::Untouched,
        }
    }
}
