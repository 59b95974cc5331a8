//! Why a key is left alone: one name per guard of docs/rotation.md, with the facts that a person needs to believe it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The guard that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// It belongs to the root user.
    Root,
    /// It signs these very calls.
    OwnKey,
    /// The user has two keys.
    TwoKeys,
    /// Without it there would be no active key.
    OnlyWorkingKey,
    /// It was used too recently.
    UsedSince,
    /// What is there is not what was planned.
    Changed,
    /// A tag, pattern or path says so.
    Excluded,
    /// An SMTP password of SES derives from the secret.
    SesSmtp,
    /// To be deleted, but not inactive.
    NotInactive,
    /// To be rotated, but inactive: nobody works with it.
    Inactive,
    /// What a plan has to know about it could not be read.
    Unreadable,
    /// Consumers may have the new key, and its sink cannot take it back.
    HandedOut,
    /// Another run has begun with it.
    UnfinishedRun,
    /// More keys than `--max`.
    TooMany,
    /// When it was last used cannot be read.
    UnknownUse,
    /// Storage: shared-key access is disabled.
    SharedKeyOff,
    /// Storage: a ReadOnly lock.
    Locked,
    /// Storage: a creation time is unknown.
    UnknownAge,
    /// Storage: shared keys are in use.
    SharedKeyUsed,
    /// It is to be taken back, but was done for good.
    Irreversible,
}

/// A refusal with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The guard.
    pub guard: Guard,
    /// What it saw and what to do: one line, lower case.
    pub reason: String,
}

impl Refusal {
    /// A refusal of `guard` because of `reason`.
    pub fn new(guard: Guard, reason: impl Into<String>) -> Refusal {
        Refusal { guard, reason: reason.into() }
    }
}

impl fmt::Display for Guard {
    /// The name as in the documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guard, self.reason)
    }
}
