//! How a run stands: per item, and as the plan that is handed to the next step.

use super::storage;
use crate::aws::machine::{Phase, Progress};
use crate::{AccessKeyItem, Act, History, KeyStatus, Plan, Refusal, Replacement, State, Step};
use chrono::{DateTime, Utc};

/// How a run stands after a command.
#[derive(Debug, Clone)]
pub struct Report {
    /// Id of the run: name of its journal. Empty if there was nothing to do.
    pub run: String,
    /// Per item of the plan, in its order.
    pub items: Vec<ItemReport>,
    /// The plan as it is to be handed to the next step: replaced keys, times, steps that are left.
    pub next: Plan,
    /// What else is to be said, such as a lock that was taken over.
    pub notes: Vec<String>,
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
    /// When it goes on by itself.
    pub until: Option<DateTime<Utc>>,
    /// Before which act.
    pub before: Option<Act>,
    /// What a person has to do for it to go on.
    pub needs: Option<String>,
}

impl Report {
    /// Nothing was to be done.
    pub(super) fn nothing(plan: Plan) -> Report {
        Report { run: String::new(), items: Vec::new(), next: plan, notes: Vec::new() }
    }

    /// How a run stands as its journal tells, without a call.
    pub fn of(history: &History) -> Report {
        let progress: Vec<Progress> = history.plan.access_keys.iter().map(|i| Progress::of(&i.key, &history.entries)).collect();
        let keys = history.plan.access_keys.iter().zip(&progress).map(|(item, progress)| ItemReport::of(item, progress));
        let accounts = storage::Progressed::all(history);
        let items = keys.chain(accounts.iter().map(|account| account.report(&history.run, history.plan.sink.is_some()))).collect();
        Report { run: history.run.clone(), items, next: next(history, &progress, &accounts), notes: Vec::new() }
    }
}

impl ItemReport {
    /// As the journal tells.
    pub(crate) fn of(item: &AccessKeyItem, progress: &Progress) -> ItemReport {
        let given = item.replaced_by.as_ref().map(|r| r.key.clone());
        let ended = progress.ended.is_some();
        ItemReport {
            item: item.key.clone(),
            owner: item.user.clone(),
            account_id: item.account_id.clone(),
            state: progress.state().unwrap_or_else(|| before_the_run(item)),
            new_key: progress.new_key().map(str::to_owned).or(given),
            refusal: progress.refusal.clone(),
            error: progress.error.clone().filter(|_| !ended),
            until: progress.waiting.map(|(until, _)| until),
            before: progress.waiting.map(|(_, act)| act),
            needs: None,
        }
    }
}

/// Where a key stands that this run has not touched, by what earlier ones did.
fn before_the_run(item: &AccessKeyItem) -> State {
    match () {
        () if item.deactivated_at.is_some() || item.status == KeyStatus::Inactive => State::Deactivated,
        () if item.replaced_by.is_some() => State::Waiting,
        () => State::Untouched,
    }
}

/// The plan of what is left.
pub(super) fn next(history: &History, progress: &[Progress], accounts: &[storage::Progressed<'_>]) -> Plan {
    let keys = history.plan.access_keys.iter().zip(progress);
    let access_keys = keys.filter_map(|(item, progress)| left(item, progress, &history.run)).collect();
    let storage_accounts = accounts.iter().filter_map(storage::Progressed::left).collect();
    Plan { access_keys, storage_accounts, ..history.plan.clone() }
}

/// An item with the steps that are left; `None`: nothing is, or all was taken back.
fn left(item: &AccessKeyItem, progress: &Progress, run: &str) -> Option<AccessKeyItem> {
    if progress.ended == Some(State::Undone) || matches!(progress.delete, Phase::Done(_)) {
        return None;
    }
    let published = progress.published();
    let deactivated = match progress.deactivate {
        Phase::Done(at) => Some(at),
        _ => item.deactivated_at,
    };
    let is_left = |step: &Step| match step {
        Step::Create | Step::Deliver | Step::Verify => published.is_none(),
        Step::Deactivate => deactivated.is_none(),
        Step::Delete => true,
    };
    let steps: Vec<Step> = item.steps.iter().copied().filter(is_left).collect();
    if steps.is_empty() {
        return None;
    }
    let replaced_by = published.map(|(key, since)| Replacement { key: key.to_owned(), since, run: run.to_owned() });
    Some(AccessKeyItem {
        steps,
        replaced_by: replaced_by.or_else(|| item.replaced_by.clone()),
        deactivated_at: deactivated,
        ..item.clone()
    })
}
