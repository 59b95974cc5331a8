//! The guards of storage accounts: pure functions of live facts, one per name in docs/rotation.md. They are asked before a person confirms,
//! and again before every write and every delivery.

use super::LiveAccount;
use crate::guards::Excluded;
use crate::{Guard, Period, Refusal, StorageAction, StorageItem};
use assay_cloud::CloudError;
use chrono::{DateTime, TimeDelta, Utc};

/// A time that went through a table has lost its last digits. No key is made twice in such a time by this program.
const DIGITS: TimeDelta = TimeDelta::seconds(1);

/// How much the account's keys are used, as far as is known.
#[derive(Debug, Clone)]
pub(crate) enum Use {
    /// Nothing depends on it here.
    NotAsked,
    /// It could not be read.
    Unreadable(CloudError),
    /// Requests signed with a key.
    Requests(u64),
}

/// What is known of an account right before an act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) item: &'a StorageItem,
    pub(crate) excluded: &'a Excluded,
    pub(crate) live: &'a LiveAccount,
    /// ReadOnly locks.
    pub(crate) locks: &'a [String],
    pub(crate) used: &'a Use,
    /// How far back uses were asked for.
    pub(crate) span: Period,
    /// The creation times that key1 and key2 must have.
    pub(crate) expected: [Option<DateTime<Utc>>; 2],
}

/// All guards that hold before the action of an item.
pub(crate) fn before(facts: &Facts<'_>) -> Result<(), Refusal> {
    let Facts { item, live, .. } = facts;
    facts.excluded.named(&item.name, None)?;
    facts.excluded.tagged(&live.tags)?;
    if !live.allow_shared_key && !matches!(item.action, StorageAction::ExpirationPolicy { .. }) {
        return Err(Refusal::new(Guard::SharedKeyOff, "shared-key access is disabled: no key of it works, so there is nothing to do"));
    }
    if !facts.locks.is_empty() {
        let reason = format!("a ReadOnly lock forbids it: {}: lift it, or leave the account as it is", facts.locks.join(", "));
        return Err(Refusal::new(Guard::Locked, reason));
    }
    changed(facts)?;
    match item.action {
        StorageAction::RotateKeys => Ok(()),
        StorageAction::ExpirationPolicy { .. } => known_age(live),
        StorageAction::DisableSharedKey => unused(facts),
    }
}

/// Are these the same time of creation?
pub(crate) fn same(a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < DIGITS,
        (None, None) => true,
        _ => false,
    }
}

/// The keys must be those that were planned, or that this run has made.
fn changed(facts: &Facts<'_>) -> Result<(), Refusal> {
    let seen = [facts.live.key1_created, facts.live.key2_created];
    for ((name, seen), expected) in ["key1", "key2"].into_iter().zip(seen).zip(facts.expected) {
        if !same(seen, expected) {
            let at = |at: Option<DateTime<Utc>>| at.map_or("at an unknown time".to_owned(), |at| format!("at {at:?}"));
            let reason =
                format!("{name} was created {}, not {}: somebody else has regenerated it; make a new plan", at(seen), at(expected));
            return Err(Refusal::new(Guard::Changed, reason));
        }
    }
    Ok(())
}

fn known_age(live: &LiveAccount) -> Result<(), Refusal> {
    if live.key1_created.is_none() || live.key2_created.is_none() {
        let reason = "a key has no creation time, and Azure takes an expiration period only where both have one: rotate the keys first";
        return Err(Refusal::new(Guard::UnknownAge, reason));
    }
    Ok(())
}

/// Whoever signs with a key would be cut off.
fn unused(facts: &Facts<'_>) -> Result<(), Refusal> {
    let span = facts.span;
    match facts.used {
        Use::Requests(0) => Ok(()),
        Use::Requests(count) => {
            let reason =
                format!("{count} requests were signed with a key or a SAS within {span}: move whoever makes them to Microsoft Entra ID");
            Err(Refusal::new(Guard::SharedKeyUsed, reason))
        }
        Use::Unreadable(error) => Err(Refusal::new(Guard::UnknownUse, format!("whether keys are used cannot be read: {error}"))),
        Use::NotAsked => Err(Refusal::new(Guard::UnknownUse, "whether keys are used was not asked")),
    }
}
