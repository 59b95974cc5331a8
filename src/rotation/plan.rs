//! The plan document: what would be done to which key, and which keys are left alone. Reviewable and editable YAML; changes nothing.

mod check;

use crate::{Period, Refusal, RotationError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Version of the document this program reads and writes.
pub(crate) const VERSION: u32 = 1;

const HEADING: &str = "\
# What `assay rotate apply` would do. Nothing has been changed yet. Take out keys or steps that are not to be touched; times, ids and
# states are compared with the live keys before every change, so what is edited there is refused. `left_alone` is for the reader.
";

/// A plan, and equally the list that one step hands to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub assay_rotation_plan: u32,
    /// When the facts below were read.
    pub made_at: DateTime<Utc>,
    /// The age that made a key a candidate.
    pub older_than: Period,
    /// How long a new key must have been in place, and the old one unused, before the old one is deactivated.
    pub grace: Period,
    /// How long a key must have been inactive before it is deleted.
    pub settle: Period,
    /// Where new secrets go; a sink of docs/rotation.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Access keys of IAM users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_keys: Vec<AccessKeyItem>,
    /// Azure storage accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_accounts: Vec<StorageItem>,
    /// Candidates that get no steps, and why. For the reader; nothing reads it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<LeftAlone>,
}

/// A step that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make the second key; always together with the two that follow.
    Create,
    /// Store its secret, and after `verify` make it the current one.
    Deliver,
    /// Prove that it works.
    Verify,
    /// Make the old key inactive.
    Deactivate,
    /// Delete the old key.
    Delete,
}

/// `Active` or `Inactive`, as IAM spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// It works.
    Active,
    /// It does not.
    Inactive,
}

/// When, by which service and in which region a key was used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastUse {
    /// When.
    pub at: DateTime<Utc>,
    /// `s3` …; `N/A` from the API is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// `eu-west-1` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// An access key and what is to be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyItem {
    /// Connection it was found through.
    pub connection: String,
    /// Twelve digits.
    pub account_id: String,
    /// User name.
    pub user: String,
    /// Stable id of the user: a user of the same name made later has another.
    pub user_id: String,
    /// Path of the user.
    pub path: String,
    /// Access key id.
    pub key: String,
    /// When the key was made.
    pub created: DateTime<Utc>,
    /// Whole days from then until the plan was made; for the reader.
    pub age_days: i64,
    /// Its status when the plan was made.
    pub status: KeyStatus,
    /// Its last use when the plan was made; absent: never used since AWS keeps track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<LastUse>,
    /// In this order.
    pub steps: Vec<Step>,
    /// The key that took its place, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Replacement>,
    /// Only in plans of `--retire`: the key that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
    /// When a step made it inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated_at: Option<DateTime<Utc>>,
}

/// The new key of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Access key id.
    pub key: String,
    /// When it was published in the sink: the grace period counts from here.
    pub since: DateTime<Utc>,
    /// The run that made it.
    pub run: String,
}

/// What is to be done to a storage account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenAction", into = "WrittenAction")]
pub enum StorageAction {
    /// Both keys, one after the other, consumers moved in between.
    RotateKeys,
    /// Set the key expiration period.
    ExpirationPolicy {
        /// Days.
        days: i64,
    },
    /// Set `allowSharedKeyAccess` to false.
    DisableSharedKey,
}

/// An action as a plan has it. A type of its own, because a tagged enum would take unknown members of a variant without any.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAction {
    r#do: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<i64>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    RotateKeys,
    ExpirationPolicy,
    DisableSharedKey,
}

impl From<StorageAction> for WrittenAction {
    fn from(action: StorageAction) -> WrittenAction {
        match action {
            StorageAction::RotateKeys => WrittenAction { r#do: Verb::RotateKeys, days: None },
            StorageAction::ExpirationPolicy { days } => WrittenAction { r#do: Verb::ExpirationPolicy, days: Some(days) },
            StorageAction::DisableSharedKey => WrittenAction { r#do: Verb::DisableSharedKey, days: None },
        }
    }
}

impl TryFrom<WrittenAction> for StorageAction {
    type Error = String;

    fn try_from(written: WrittenAction) -> Result<StorageAction, String> {
        match (written.r#do, written.days) {
            (Verb::RotateKeys, None) => Ok(StorageAction::RotateKeys),
            (Verb::DisableSharedKey, None) => Ok(StorageAction::DisableSharedKey),
            (Verb::ExpirationPolicy, Some(days)) => Ok(StorageAction::ExpirationPolicy { days }),
            (Verb::ExpirationPolicy, None) => Err("`do: expiration_policy` needs `days`".into()),
            (_, Some(_)) => Err("`days` belongs to `do: expiration_policy` only".into()),
        }
    }
}

/// A storage account and what is to be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageItem {
    /// Connection it was found through.
    pub connection: String,
    /// Subscription id.
    pub subscription_id: String,
    /// Resource id of the account.
    pub id: String,
    /// Name of the account.
    pub name: String,
    /// `keyCreationTime.key1` when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key1_created: Option<DateTime<Utc>>,
    /// `keyCreationTime.key2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key2_created: Option<DateTime<Utc>>,
    /// What to do.
    pub action: StorageAction,
}

/// A candidate that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftAlone {
    /// Account or subscription id.
    pub account_id: String,
    /// The user, or the storage account's name.
    pub owner: String,
    /// The access key id, or `key1`, `key2`; absent where all of the owner's are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why.
    pub because: Refusal,
    /// Commands that would be possible instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead: Vec<String>,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Step; 5] = [Step::Create, Step::Deliver, Step::Verify, Step::Deactivate, Step::Delete];

    /// Is it one of those that are done together or not at all?
    pub fn replaces(self) -> bool {
        matches!(self, Step::Create | Step::Deliver | Step::Verify)
    }

    /// The steps that are meant by these: `create`, `deliver` and `verify` stand for one another; in order, once each.
    pub fn whole(steps: &[Step]) -> Vec<Step> {
        let replace = steps.iter().any(|s| s.replaces());
        Step::ALL.into_iter().filter(|s| if s.replaces() { replace } else { steps.contains(s) }).collect()
    }
}

impl fmt::Display for Step {
    /// The name as in a plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Plan {
    /// Reads a plan; checks all that can be checked without a call and without knowing the time.
    ///
    /// # Errors
    /// `Content` with file:line:column and what would be right.
    pub fn read(name: &str, text: &str) -> Result<Plan, RotationError> {
        let plan: Plan = serde_yaml::from_str(text).map_err(|e| RotationError::yaml(name, &e))?;
        plan.check().map_err(|message| RotationError::Content { message: format!("{name}: {message}") })?;
        Ok(plan)
    }

    /// The document, with a comment above that says what to do with it.
    ///
    /// # Errors
    /// None in practice; `Internal` if it cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, RotationError> {
        let body =
            serde_yaml::to_string(self).map_err(|e| RotationError::Internal { message: format!("the plan cannot be written: {e}") })?;
        Ok(format!("{HEADING}{body}"))
    }

    /// Nothing to do?
    pub fn is_empty(&self) -> bool {
        self.access_keys.is_empty() && self.storage_accounts.is_empty()
    }

    /// Is there anything in it that these steps do? What is done to storage accounts is asked for with the first step.
    pub fn asks(&self, steps: &[Step]) -> bool {
        let storage = !self.storage_accounts.is_empty() && steps.iter().any(|s| s.replaces());
        storage || self.access_keys.iter().any(|item| item.steps.iter().any(|s| steps.contains(s)))
    }

    /// Names of all items: access key ids, resource ids of storage accounts.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.access_keys.iter().map(|i| i.key.as_str()).chain(self.storage_accounts.iter().map(|i| i.id.as_str()))
    }
}
