//! The journal of a run: append-only lines, each fsynced before the call it announces or after the call it reports, chained by hashes.
//! Refuses: to go on with a file in which a line was changed, removed or inserted.

mod chain;
mod file;
mod store;

pub(crate) use file::{Disk, Journal};
pub use store::{History, Store};
pub(crate) use store::{is_named, new_run, private, unwritable};

use crate::{Plan, Refusal};
use assay_cloud::CloudError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a line says, beside its number, time and hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First line: the whole plan, who, where.
    Started {
        /// The plan as confirmed.
        plan: Box<Plan>,
        /// The steps that were asked for.
        steps: Vec<crate::Step>,
        /// What was excluded.
        #[serde(default)]
        exclusions: crate::run::Exclusions,
        /// Principal per account id.
        principals: std::collections::BTreeMap<String, String>,
        /// Host, process id, version of assay.
        by: String,
    },
    /// A call is about to be made. `item` is the item's key of the plan: access key id, or resource id of the account.
    Begin {
        /// Which item.
        item: String,
        /// Which act.
        act: Act,
        /// Access key id the act is about, where there is one yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The call did what it should.
    Done {
        /// Which item.
        item: String,
        /// Which act.
        act: Act,
        /// Access key id the act is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// When the value that a storage key has since was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created: Option<DateTime<Utc>>,
        /// How it is known, if not from the call's own answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The call failed.
    Failed {
        /// Which item.
        item: String,
        /// Which act.
        act: Act,
        /// Why.
        error: CloudError,
        /// Certainly without effect.
        without_effect: bool,
    },
    /// What has to be known before an act could not be read: the act was not begun.
    Unread {
        /// Which item.
        item: String,
        /// Before which act.
        act: Act,
        /// Why.
        error: CloudError,
    },
    /// A guard refused.
    Refused {
        /// Which item.
        item: String,
        /// Before which act.
        act: Act,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing can be done before then.
    Waiting {
        /// Which item.
        item: String,
        /// When it goes on.
        until: DateTime<Utc>,
        /// Before which act.
        act: Act,
    },
    /// The operator is asked to move the consumers of a storage account.
    Asked {
        /// Which item.
        item: String,
        /// To which key.
        to: String,
    },
    /// The operator says that the consumers of a storage account were moved, or that those of a user have the new access key.
    Moved {
        /// Which item.
        item: String,
        /// To which key.
        to: String,
    },
    /// The lock of an account was left behind by a run that is no more.
    TookOver {
        /// The lock.
        lock: String,
        /// Whose it was.
        owner: String,
    },
    /// Somebody goes on with the run.
    Resumed {
        /// Host, process id, version.
        by: String,
    },
    /// Somebody takes the run, or one item of it, back.
    Undo {
        /// Only this item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// The new key, where the operator named it: their word that no consumer has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Host, process id, version.
        by: String,
    },
    /// An item needs nothing more.
    Ended {
        /// Which item.
        item: String,
        /// Its final state of docs/rotation.md.
        state: State,
    },
}

/// One change or proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// CreateAccessKey.
    Create,
    /// The sink stores.
    Store,
    /// GetCallerIdentity with the new key; of a storage key its creation time.
    Verify,
    /// The sink makes it current.
    Publish,
    /// UpdateAccessKey Inactive.
    Deactivate,
    /// DeleteAccessKey of the old key.
    Delete,
    /// The sink takes the secret back.
    Withdraw,
    /// DeleteAccessKey of a new key that nobody has.
    Discard,
    /// UpdateAccessKey Active.
    Reactivate,
    /// regenerateKey of key1.
    RegenerateKey1,
    /// regenerateKey of key2.
    RegenerateKey2,
    /// keyPolicy.
    SetExpiration,
    /// allowSharedKeyAccess.
    DisableSharedKey,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was changed, or everything was taken back.
    Untouched,
    /// The new key is current; the old one still works.
    Waiting,
    /// The old key is inactive.
    Deactivated,
    /// All steps that were asked for are done.
    Done,
    /// A new key that could not be deleted again.
    NewKeyLeft,
    /// It could not be found out.
    Unknown,
    /// Taken back by `undo`.
    Undone,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 0.
    pub seq: u64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// Hash of the line before; of the first line 64 zeros.
    pub prev: String,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 over the line without this member.
    pub hash: String,
}

/// The lines about an item. Taking back the whole run is about each.
pub(crate) fn about<'e>(item: &'e str, entries: &'e [Entry]) -> impl Iterator<Item = &'e Entry> {
    entries.iter().filter(move |entry| matches!(entry.event, Event::Undo { item: None, .. }) || entry.event.item() == Some(item))
}

impl Event {
    /// The item it is about; `None`: the run as a whole.
    pub fn item(&self) -> Option<&str> {
        match self {
            Event::Begin { item, .. }
            | Event::Done { item, .. }
            | Event::Failed { item, .. }
            | Event::Unread { item, .. }
            | Event::Refused { item, .. }
            | Event::Waiting { item, .. }
            | Event::Asked { item, .. }
            | Event::Moved { item, .. }
            | Event::Ended { item, .. } => Some(item),
            Event::Undo { item, .. } => item.as_deref(),
            Event::Started { .. } | Event::Resumed { .. } | Event::TookOver { .. } => None,
        }
    }
}

impl fmt::Display for Act {
    /// The name as in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for State {
    /// The name as in the documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
