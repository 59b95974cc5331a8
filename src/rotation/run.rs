//! Runs of plans: `apply`, `resume`, `undo`. Items in parallel within a limit, the acts of an item one after the other.

use crate::aws::Iam;
use crate::azure::Storage;
use crate::journal::State;
use crate::sink::Sink;
use crate::{Clock, Plan, Refusal, RotationError, Step, Store};
use assay_cloud::CloudError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Where a run gets its calls from.
#[async_trait]
pub trait Hands: Send + Sync {
    /// The calls of an AWS account.
    async fn iam(&self, connection: &str, account_id: &str) -> Result<Arc<dyn Iam>, CloudError>;
    /// The calls of an Azure subscription.
    async fn storage(&self, connection: &str, subscription_id: &str) -> Result<Arc<dyn Storage>, CloudError>;
    /// A sink by its text; `connection` and `account_id` are where it is if the text does not say.
    async fn sink(&self, text: &str, connection: &str, account_id: &str) -> Result<Arc<dyn Sink>, RotationError>;
}

/// What is excluded beside the tag `assay:rotate=never`.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    /// Globs over user or storage account names.
    pub names: Vec<String>,
    /// Globs over user paths.
    pub paths: Vec<String>,
    /// `key=value`, or `key`.
    pub tags: Vec<String>,
}

/// Everything a run needs but the plan.
pub struct Runner {
    /// Calls.
    pub hands: Arc<dyn Hands>,
    /// Journals and locks.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// What is excluded.
    pub exclusions: Exclusions,
    /// Items in work at once.
    pub parallel: usize,
    /// Most keys in one run.
    pub max: usize,
}

/// How a run stands after a command.
#[derive(Debug, Clone)]
pub struct Report {
    /// Id of the run: name of its journal.
    pub run: String,
    /// Per item of the plan, in its order.
    pub items: Vec<ItemReport>,
    /// The plan as it is to be handed to the next step: replaced keys, times, steps that are left.
    pub next: Plan,
}

/// How one item stands.
#[derive(Debug, Clone)]
pub struct ItemReport {
    /// The key id or the account's resource id.
    pub item: String,
    /// User or storage account.
    pub owner: String,
    /// Account or subscription id.
    pub account_id: String,
    /// Where it stands.
    pub state: State,
    /// Its new key.
    pub new_key: Option<String>,
    /// Why it went no further, if a guard said so.
    pub refusal: Option<Refusal>,
    /// Why it went no further, if a call failed.
    pub error: Option<String>,
    /// When it goes on by itself, and before which act.
    pub until: Option<DateTime<Utc>>,
    /// What a person has to do for it to go on.
    pub needs: Option<String>,
}

impl Runner {
    /// Asks every guard that holds before anything is changed, makes no change: what `apply` shows before it asks.
    pub async fn preview(&self, plan: &Plan, steps: &[Step]) -> Result<Vec<ItemReport>, RotationError> {
        let _ = (plan, steps);
        unimplemented!()
    }

    /// Starts a run of this plan.
    pub async fn apply(&self, plan: Plan, steps: &[Step]) -> Result<Report, RotationError> {
        let _ = (plan, steps);
        unimplemented!()
    }

    /// Goes on with a run; `moved`: storage accounts whose consumers were moved.
    pub async fn resume(&self, run: &str, moved: &[String]) -> Result<Report, RotationError> {
        let _ = (run, moved);
        unimplemented!()
    }

    /// Takes back a run, or one key of it: old keys active again, new keys that nobody used deleted.
    pub async fn undo(&self, run_or_key: &str) -> Result<Report, RotationError> {
        let _ = run_or_key;
        unimplemented!()
    }
}
