//! From the keys that live tables list to a plan: which get which steps, which are left alone and why. Asks last use and tags of
//! candidates only.

mod accounts;
mod keys;
#[cfg(test)]
mod tests;

use crate::guards::Excluded;
use crate::plan::VERSION;
use crate::run::{Exclusions, Hands};
use crate::{Guard, KeyStatus, Period, Plan, Refusal, RotationError};
use chrono::{DateTime, NaiveTime, Utc};
use std::collections::BTreeMap;

/// A key as the tables list it; every key of every user belongs in the list, because a user's keys judge each other.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Connection.
    pub connection: String,
    /// Account id.
    pub account_id: String,
    /// User name.
    pub user: String,
    /// User id.
    pub user_id: String,
    /// User ARN.
    pub user_arn: String,
    /// Path.
    pub path: String,
    /// Access key id.
    pub key: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Status.
    pub status: KeyStatus,
    /// Does `--where`, `--user` or `--account` choose it?
    pub chosen: bool,
}

/// A storage account as the tables list it.
#[derive(Debug, Clone)]
pub struct StorageCandidate {
    /// Connection.
    pub connection: String,
    /// Subscription id.
    pub subscription_id: String,
    /// Resource id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Creation time of key1.
    pub key1_created: Option<DateTime<Utc>>,
    /// Creation time of key2.
    pub key2_created: Option<DateTime<Utc>>,
    /// Can shared keys be used?
    pub allow_shared_key: bool,
    /// When the account was made.
    pub created: Option<DateTime<Utc>>,
    /// Tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Does `--where` or `--account` choose it?
    pub chosen: bool,
}

/// What to do with storage accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageWish {
    /// Rotate keys older than the limit.
    Rotate,
    /// Set the expiration period.
    ExpirationPolicy(Period),
    /// Turn shared keys off.
    Disable,
}

/// What a plan is made from, beside the keys.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Age of candidates: created at or before midnight UTC of today minus this many days, as the controls have it.
    pub older_than: Period,
    /// See [`Plan`].
    pub grace: Period,
    /// See [`Plan`].
    pub settle: Period,
    /// See [`Plan`].
    pub sink: Option<String>,
    /// Users with two keys: retire one.
    pub retire: bool,
    /// For storage accounts.
    pub storage: StorageWish,
    /// What is excluded.
    pub exclusions: Exclusions,
    /// Items that a run has begun with and not ended, each with the run: [`crate::Store::unfinished`].
    pub unfinished: BTreeMap<String, String>,
}

/// Makes a plan. A key that cannot be judged is left alone with the error, never planned blind.
///
/// # Errors
/// `Content` for a wish that cannot be met. No failed call is one.
pub async fn plan(
    keys: Vec<Candidate>,
    accounts: Vec<StorageCandidate>,
    wish: &Wish,
    hands: &dyn Hands,
    now: DateTime<Utc>,
) -> Result<Plan, RotationError> {
    let excluded = Excluded::new(&wish.exclusions)?;
    let limit = limit(now, wish.older_than);
    let chosen = keys::Choice { wish, excluded: &excluded, hands, now, limit };
    let (access_keys, mut left_alone) = chosen.keys(keys).await;
    let (storage_accounts, more) = accounts::choose(accounts, wish, &excluded, limit)?;
    left_alone.extend(more);
    Ok(Plan {
        assay_rotation_plan: VERSION,
        made_at: now,
        older_than: wish.older_than,
        grace: wish.grace,
        settle: wish.settle,
        sink: wish.sink.clone(),
        access_keys,
        storage_accounts,
        left_alone,
    })
}

/// What was made then or earlier is old: midnight of today, UTC, minus the age. The control `iam_user_access_key_age_90` judges by the same.
pub(crate) fn limit(now: DateTime<Utc>, older_than: Period) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::MIN).and_utc() - older_than.delta()
}

/// Has a run begun with it?
fn unfinished(item: &str, wish: &Wish) -> Result<(), Refusal> {
    match wish.unfinished.iter().find(|(name, _)| name.eq_ignore_ascii_case(item)) {
        Some((_, run)) => Err(Refusal::new(Guard::UnfinishedRun, format!("run {run} has begun with it and has not ended"))),
        None => Ok(()),
    }
}
