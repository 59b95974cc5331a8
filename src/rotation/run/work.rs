//! The items of a run, in work: users in parallel, the keys of a user one after the other; what stops one stops no other.

use super::report::next;
use super::{ItemReport, Log, Report, Runner};
use super::{places, storage};
use crate::aws::Iam;
use crate::aws::machine::{Eyes, Machine, Progress, Stop, label, said};
use crate::guards::Excluded;
use crate::journal::{Entry as Line, History, is_named};
use crate::sink::Sink;
use crate::{AccessKeyItem, Act, Event, Guard, Plan, Refusal, RotationError, Step};
use assay_cloud::CloudError;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// What items make their calls with, per connection and account; an account whose calls cannot be made stops its own items only.
pub(super) struct Calls {
    iam: BTreeMap<(String, String), Result<Arc<dyn Iam>, CloudError>>,
    sinks: BTreeMap<(String, String), Result<Arc<dyn Sink>, CloudError>>,
    accounts: storage::Calls,
}

fn place(item: &AccessKeyItem) -> (String, String) {
    (item.connection.clone(), item.account_id.clone())
}

/// The steps of an item that were asked for.
pub(super) fn steps_of(item: &AccessKeyItem, asked: &[Step]) -> Vec<Step> {
    item.steps.iter().copied().filter(|s| asked.contains(s)).collect()
}

impl Calls {
    /// # Errors
    /// `Content` for a sink that is none.
    pub(super) async fn gather(runner: &Runner, plan: &Plan, asked: &[Step]) -> Result<Calls, RotationError> {
        let accounts = storage::Calls::gather(runner, plan, asked).await?;
        let mut calls = Calls { iam: BTreeMap::new(), sinks: BTreeMap::new(), accounts };
        for item in &plan.access_keys {
            let (connection, account) = place(item);
            if let Entry::Vacant(free) = calls.iam.entry(place(item)) {
                free.insert(runner.hands.iam(&connection, &account).await);
            }
            let Some(text) = plan.sink.as_deref().filter(|_| steps_of(item, asked).contains(&Step::Create)) else { continue };
            if let Entry::Vacant(free) = calls.sinks.entry(place(item)) {
                free.insert(match runner.hands.sink(text, &connection, &account).await {
                    Ok(sink) => Ok(sink),
                    Err(RotationError::Cloud(error)) => Err(error),
                    Err(error) => return Err(error),
                });
            }
        }
        calls.one_place_each(plan, asked)?;
        Ok(calls)
    }

    /// Two secrets in one place would mean that one's consumers get the other one's key.
    fn one_place_each(&self, plan: &Plan, asked: &[Step]) -> Result<(), RotationError> {
        let replaced = |item: &&AccessKeyItem| steps_of(item, asked).contains(&Step::Create);
        let keys = plan.access_keys.iter().filter(replaced).filter_map(|item| {
            let sink = self.sinks.get(&place(item))?.as_ref().ok()?;
            // The new key has no id yet; the old one tells it from others just as well.
            Some((sink.as_ref(), label(item, &item.key), "{user} or {key_id}"))
        });
        places::one_each(keys.chain(self.accounts.parcels(plan)))
    }

    /// The calls of an item, and its sink if it needs one.
    fn of(&self, item: &AccessKeyItem) -> Result<(&dyn Iam, Option<&dyn Sink>), CloudError> {
        let iam = match self.iam.get(&place(item)) {
            Some(Ok(iam)) => iam.as_ref(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(CloudError::new(assay_cloud::ErrorKind::Invalid, "NoCalls", "no calls were made ready for this account")),
        };
        match self.sinks.get(&place(item)) {
            Some(Ok(sink)) => Ok((iam, Some(sink.as_ref()))),
            Some(Err(error)) => Err(error.clone()),
            None => Ok((iam, None)),
        }
    }
}

/// What an item came to.
struct Outcome {
    index: usize,
    report: ItemReport,
    progress: Progress,
}

/// Works on all items, or on one, and reports on all.
pub(super) async fn all(
    runner: &Runner,
    history: &History,
    log: &Log,
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
    only: Option<&str>,
) -> Result<Report, RotationError> {
    // Users in the order of the plan; names that differ in case only are one user to IAM.
    let mut users: Vec<((&str, String), Vec<usize>)> = Vec::new();
    for (index, item) in history.plan.access_keys.iter().enumerate() {
        let user = (item.account_id.as_str(), item.user.to_lowercase());
        match users.iter_mut().find(|(u, _)| *u == user) {
            Some((_, items)) => items.push(index),
            None => users.push((user, vec![index])),
        }
    }
    let one = |(_, items): ((&str, String), Vec<usize>)| async move {
        let mut outcomes = Vec::new();
        for index in items {
            outcomes.push(item(runner, history, log, calls, excluded, busy, only, index).await);
        }
        outcomes
    };
    let work = stream::iter(users).map(one).buffer_unordered(runner.parallel.max(1));
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut fatal = None;
    // Even if the journal is lost the others are waited for: each of them stops by itself at its next line.
    let accounts = storage::all(runner, history, log, &calls.accounts, excluded, busy, only);
    let (work, accounts) = futures::join!(work.collect::<Vec<_>>(), accounts);
    for outcome in work.into_iter().flatten() {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => fatal = fatal.or(Some(error)),
        }
    }
    if let Some(error) = fatal {
        return Err(error);
    }
    let accounts = accounts?;
    outcomes.sort_by_key(|o| o.index);
    let (items, progress): (Vec<_>, Vec<_>) = outcomes.into_iter().map(|o| (o.report, o.progress)).unzip();
    let note = |(lock, owner)| format!("took over the lock {lock} that {owner} left behind");
    let notes = log.taken_over().into_iter().map(note).collect();
    let next = next(history, &progress, &accounts.iter().map(|(_, progressed)| progressed.clone()).collect::<Vec<_>>());
    let items = items.into_iter().chain(accounts.into_iter().map(|(report, _)| report)).collect();
    Ok(Report { run: history.run.clone(), next, items, notes })
}

#[expect(clippy::too_many_arguments, reason = "the parts of a run, each borrowed from it")]
async fn item(
    runner: &Runner,
    history: &History,
    log: &Log,
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
    only: Option<&str>,
    index: usize,
) -> Result<Outcome, RotationError> {
    let item = &history.plan.access_keys[index];
    let progress = Progress::of(&item.key, &history.entries);
    let steps = steps_of(item, &history.steps);
    let nothing = steps.is_empty() && !progress.undoing;
    if nothing || progress.ended.is_some() || only.is_some_and(|only| only != item.key) {
        return Ok(Outcome { index, report: ItemReport::of(item, &progress), progress });
    }
    if let Some(refusal) = unfinished(&item.key, busy, &history.run) {
        log.write(Event::Refused { item: item.key.clone(), act: Act::Create, refusal: refusal.clone() })?;
        return Ok(outcome(index, item, progress, Err(Stop::Refused(refusal, None))));
    }
    let (iam, sink) = match calls.of(item) {
        Ok(calls) => calls,
        Err(error) => return Ok(outcome(index, item, progress, Err(Stop::Failed(said(&error))))),
    };
    let eyes = Eyes { plan: &history.plan, item, iam, excluded, clock: &runner.clock };
    let mut machine = Machine { eyes, steps, sink, log, progress };
    match machine.work().await {
        Err(Stop::Fatal(error)) => Err(error),
        result => Ok(outcome(index, item, machine.progress, result)),
    }
}

fn outcome(index: usize, item: &AccessKeyItem, progress: Progress, result: Result<(), Stop>) -> Outcome {
    let report = reported(ItemReport { refusal: None, error: None, until: None, ..ItemReport::of(item, &progress) }, result);
    Outcome { index, report, progress }
}

/// With what stopped it.
pub(super) fn reported(mut report: ItemReport, result: Result<(), Stop>) -> ItemReport {
    match result {
        Ok(()) => {}
        Err(Stop::Refused(refusal, until)) => {
            // What could not be read is a failure, too.
            report.error = matches!(refusal.guard, Guard::UnknownUse).then(|| refusal.reason.clone());
            (report.refusal, report.until) = (Some(refusal), until);
        }
        Err(Stop::Wait(until)) => report.until = Some(until),
        Err(Stop::Failed(why)) => report.error = Some(why),
        Err(Stop::Needs(what)) => report.needs = Some(what),
        Err(Stop::Fatal(error)) => report.error = Some(error.to_string()),
    }
    report
}

/// Has another run begun with it?
pub(super) fn unfinished(item: &str, busy: &BTreeMap<String, String>, run: &str) -> Option<Refusal> {
    let (_, other) = busy.iter().find(|(name, other)| name.eq_ignore_ascii_case(item) && *other != run)?;
    let reason = format!("run {other} has begun with it: `assay rotate resume {other}`, or `assay rotate undo {other}`");
    Some(Refusal::new(Guard::UnfinishedRun, reason))
}

/// What would stop each item now.
pub(super) async fn preview(
    runner: &Runner,
    plan: &Plan,
    asked: &[Step],
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
) -> Result<Vec<ItemReport>, RotationError> {
    let calls = Calls::gather(runner, plan, asked).await?;
    let calls = &calls;
    let one = |item| async move {
        let result = foresee(runner, plan, item, asked, calls, excluded, busy).await;
        reported(ItemReport::of(item, &Progress::default()), result)
    };
    let mut reports: Vec<ItemReport> = stream::iter(&plan.access_keys).map(one).buffered(runner.parallel.max(1)).collect().await;
    reports.extend(storage::preview(runner, plan, asked, &calls.accounts, excluded, busy).await);
    Ok(reports)
}

async fn foresee(
    runner: &Runner,
    plan: &Plan,
    item: &AccessKeyItem,
    asked: &[Step],
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
) -> Result<(), Stop> {
    if let Some(refusal) = unfinished(&item.key, busy, "") {
        return Err(Stop::Refused(refusal, None));
    }
    let failed = |e: CloudError| Stop::Failed(said(&e));
    let (iam, sink) = calls.of(item).map_err(failed)?;
    let (act, from) = match steps_of(item, asked).first() {
        Some(Step::Deactivate) => (Act::Deactivate, item.replaced_by.as_ref().map(|r| r.since + plan.grace.delta())),
        Some(Step::Delete) => (Act::Delete, item.deactivated_at.map(|at| at + plan.settle.delta())),
        Some(_) => (Act::Create, None),
        None => return Ok(()),
    };
    let eyes = Eyes { plan, item, iam, excluded, clock: &runner.clock };
    let seen = eyes.look(act).await.map_err(failed)?;
    let replacement = item.replaced_by.as_ref().map(|r| r.key.as_str());
    eyes.judge(act, &seen, replacement, item.deactivated_at).map_err(|o| Stop::Refused(o.refusal, o.until))?;
    if let Some(sink) = sink.filter(|_| act == Act::Create) {
        sink.check(&label(item, "")).await.map_err(|e| Stop::Failed(format!("the sink cannot take the secret: {e}")))?;
    }
    match from.filter(|from| *from > runner.clock.0.now()) {
        Some(from) => Err(Stop::Wait(from)),
        None => Ok(()),
    }
}

/// The word of the operator as an event.
///
/// # Errors
/// `Content` if the run has asked nothing of the kind.
pub(super) fn moved(history: &History, word: &str) -> Result<Option<Event>, RotationError> {
    let new = |entry: &Line| match &entry.event {
        Event::Done { item, act: Act::Create, key: Some(key), .. } if key == word => Some(item.clone()),
        _ => None,
    };
    if let Some(item) = history.entries.iter().find_map(new) {
        return Ok(Some(Event::Moved { item, to: word.to_owned() }));
    }
    if let Some(event) = storage::moved(history, word) {
        return event;
    }
    Err(RotationError::Content {
        message: format!("--moved {word}: run {} has made no such key, and has no such storage account", history.run),
    })
}

/// The item of a run that a key, old or new, is of.
pub(super) fn item_of(history: &History, key: &str) -> Result<String, RotationError> {
    let of = |entry: &Line| match &entry.event {
        Event::Begin { item, key: new, .. } | Event::Done { item, key: new, .. } if item == key || new.as_deref() == Some(key) => {
            Some(item.clone())
        }
        Event::Begin { item, .. } | Event::Done { item, .. } | Event::Asked { item, .. } if is_named(item, key) => Some(item.clone()),
        _ => None,
    };
    history.entries.iter().find_map(of).ok_or_else(|| RotationError::Content { message: format!("run {} has no key {key}", history.run) })
}
