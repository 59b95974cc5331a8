//! Runs of plans: `apply`, `resume`, `undo`. Items in parallel within a limit, the acts of an item one after the other.

mod log;
mod places;
mod report;
mod storage;
mod work;

pub(crate) use log::Log;
pub use report::{ItemReport, Report};

use crate::aws::Iam;
use crate::azure::Storage;
use crate::guards::Excluded;
use crate::journal::{History, new_run};
use crate::lock::{Lock, Owner};
use crate::sink::Sink;
use crate::{Clock, Event, Plan, RotationError, Step, Store};
use assay_cloud::CloudError;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Who makes the calls of this account, for the journal: an ARN or object id. `None` where it is not known.
    async fn principal(&self, connection: &str, account_id: &str) -> Option<String> {
        let _ = (connection, account_id);
        None
    }
}

/// What is excluded beside the tag `assay:rotate=never`. The journal keeps it: what a run has left alone, going on with it leaves alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusions {
    /// Globs over user or storage account names, in whatever case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Globs over user paths, in whatever case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// `key=value`, or `key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Exclusions {
    /// What either excludes.
    fn and(&self, other: &Exclusions) -> Exclusions {
        let both = |a: &[String], b: &[String]| [a, b].concat();
        let Exclusions { names, paths, tags } = other;
        Exclusions { names: both(&self.names, names), paths: both(&self.paths, paths), tags: both(&self.tags, tags) }
    }
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

impl Runner {
    /// Asks every guard that holds before anything is changed, makes no change: what `apply` shows before it asks. A refusal that passes
    /// by itself, or a wait, has `until`.
    ///
    /// # Errors
    /// `Content` for a plan, sink or pattern that cannot be used; `Refused` for a plan that may not run as a whole.
    pub async fn preview(&self, plan: &Plan, steps: &[Step]) -> Result<Vec<ItemReport>, RotationError> {
        let steps = self.admitted(plan, steps)?;
        let excluded = Excluded::new(&self.exclusions)?;
        let busy = self.store.unfinished()?;
        work::preview(self, plan, &steps, &excluded, &busy).await
    }

    /// Starts a run of this plan. Nothing to do is a report without a run.
    ///
    /// # Errors
    /// As for [`Runner::preview`]; `Refused` where another run holds an account; `Io` if the journal cannot be written: then the run
    /// stops where it is, and `resume` goes on.
    pub async fn apply(&self, plan: Plan, steps: &[Step]) -> Result<Report, RotationError> {
        let steps = self.admitted(&plan, steps)?;
        let excluded = Excluded::new(&self.exclusions)?;
        if plan.is_empty() {
            return Ok(Report::nothing(plan));
        }
        let calls = work::Calls::gather(self, &plan, &steps).await?;
        let run = new_run(self.clock.0.now());
        let locks = self.take_locks(&plan, &run)?;
        let busy = self.store.unfinished()?;
        let log = Log::new(&run, self.store.create(&run)?, locks, self.clock.clone());
        let principals = self.principals(&plan).await;
        let exclusions = self.exclusions.clone();
        let started = Event::Started { plan: Box::new(plan.clone()), steps: steps.clone(), exclusions, principals, by: by(&run) };
        let first = log.write(started)?;
        log.say_taken_over()?;
        let history = History { run, started: first.at, plan, steps, exclusions: self.exclusions.clone(), entries: vec![first] };
        work::all(self, &history, &log, &calls, &excluded, &busy, None).await
    }

    /// Goes on with a run. `moved`: storage accounts whose consumers were moved (`NAME` to key2, `NAME=key1` back), or new access keys whose consumers have them.
    ///
    /// # Errors
    /// As for [`Runner::apply`]; `Refused` for an altered journal, with the line.
    pub async fn resume(&self, run: &str, moved: &[String]) -> Result<Report, RotationError> {
        let (mut history, log, calls) = self.reopen(run).await?;
        let excluded = Excluded::new(&self.exclusions.and(&history.exclusions))?;
        log.write(Event::Resumed { by: by(run) })?;
        log.say_taken_over()?;
        for word in moved {
            if let Some(event) = work::moved(&history, word)? {
                history.entries.push(log.write(event)?);
            }
        }
        let busy = self.store.unfinished()?;
        work::all(self, &history, &log, &calls, &excluded, &busy, None).await
    }

    /// Takes back a run, or the latest run of one key: old keys active again, new keys that nobody used deleted. To name a new key is
    /// the word that no consumer has it, where its sink cannot say.
    ///
    /// # Errors
    /// As for [`Runner::resume`].
    pub async fn undo(&self, run_or_key: &str) -> Result<Report, RotationError> {
        let excluded = Excluded::new(&self.exclusions)?;
        let run = self.store.run_of(run_or_key)?;
        let (mut history, log, calls) = self.reopen(&run).await?;
        let item = if run == run_or_key { None } else { Some(work::item_of(&history, run_or_key)?) };
        let key = item.as_ref().filter(|item| *item != run_or_key).map(|_| run_or_key.to_owned());
        history.entries.push(log.write(Event::Undo { item: item.clone(), key, by: by(&run) })?);
        log.say_taken_over()?;
        let busy = BTreeMap::new();
        work::all(self, &history, &log, &calls, &excluded, &busy, item.as_deref()).await
    }

    /// Journal, locks and calls of a run that there is.
    async fn reopen(&self, run: &str) -> Result<(History, Log, work::Calls), RotationError> {
        // First what can be refused without opening anything for writing.
        let plan = self.store.read(run)?.plan;
        let locks = self.take_locks(&plan, run)?;
        let (history, journal) = self.store.open(run)?;
        let calls = work::Calls::gather(self, &history.plan, &history.steps).await?;
        Ok((history, Log::new(run, journal, locks, self.clock.clone()), calls))
    }

    /// May this plan run as a whole? The steps that are meant.
    fn admitted(&self, plan: &Plan, steps: &[Step]) -> Result<Vec<Step>, RotationError> {
        plan.check_at(self.clock.0.now())?;
        let steps = Step::whole(steps);
        let refused = |message: String| Err(RotationError::Refused { message });
        if steps.is_empty() {
            return refused("no step was asked for: create, deliver, verify, deactivate, delete".into());
        }
        let count = plan.items().count();
        if count > self.max {
            let max = self.max;
            return refused(format!("too_many: the plan has {count} keys, and --max is {max}: raise it, or take keys out of the plan"));
        }
        if plan.sink.is_none() && plan.access_keys.iter().any(|item| work::steps_of(item, &steps).contains(&Step::Create)) {
            return refused("new secrets have nowhere to go: name a sink with --sink, or `sink:` in the plan".into());
        }
        Ok(steps)
    }

    /// The locks of all accounts of a plan, always in the same order.
    fn take_locks(&self, plan: &Plan, run: &str) -> Result<Vec<Lock>, RotationError> {
        let keys = plan.access_keys.iter().map(|i| ("aws", i.account_id.to_lowercase()));
        let accounts = plan.storage_accounts.iter().map(|i| ("azure", i.subscription_id.to_lowercase()));
        let all: BTreeSet<(&str, String)> = keys.chain(accounts).collect();
        let owner = Owner::here(run);
        all.iter().map(|(provider, account)| Lock::take(&self.store, provider, account, &owner, &self.clock)).collect()
    }

    async fn principals(&self, plan: &Plan) -> BTreeMap<String, String> {
        let keys = plan.access_keys.iter().map(|i| (&i.connection, &i.account_id));
        let accounts = plan.storage_accounts.iter().map(|i| (&i.connection, &i.subscription_id));
        let all: BTreeSet<(&String, &String)> = keys.chain(accounts).collect();
        let mut out = BTreeMap::new();
        for (connection, account) in all {
            if let Some(principal) = self.hands.principal(connection, account).await {
                out.insert(account.clone(), principal);
            }
        }
        out
    }
}

/// Who writes, as the journal has it.
fn by(run: &str) -> String {
    let Owner { host, pid, user, .. } = Owner::here(run);
    format!("{user} on {host}, process {pid}, assay {}", env!("CARGO_PKG_VERSION"))
}
