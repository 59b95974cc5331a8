//! The storage accounts of a run, in work: in parallel, each by its machine; what stops one stops no other.

use super::places::Parcel;
use super::work::{reported, unfinished};
use super::{ItemReport, Log, Runner};
use crate::aws::machine::{Stop, of_sink, said};
use crate::azure::Storage;
use crate::azure::machine::{Eyes, Machine, Name, Progress, label, needs};
use crate::guards::Excluded;
use crate::journal::{History, is_named};
use crate::sink::Sink;
use crate::{Act, Event, Plan, RotationError, State, Step, StorageAction, StorageItem};
use assay_cloud::{CloudError, ErrorKind};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Connection and subscription.
type Place = (String, String);

/// What accounts make their calls with; a subscription whose calls cannot be made stops its own accounts only.
pub(super) struct Calls {
    storage: BTreeMap<Place, Result<Arc<dyn Storage>, CloudError>>,
    sinks: BTreeMap<Place, Result<Arc<dyn Sink>, CloudError>>,
}

fn place(item: &StorageItem) -> Place {
    (item.connection.clone(), item.subscription_id.to_lowercase())
}

/// What is done to an account is no series of steps: it is asked for with the first one, and never with a later one alone.
fn is_asked(asked: &[Step]) -> bool {
    asked.contains(&Step::Create)
}

impl Calls {
    /// # Errors
    /// `Content` for a sink that is none.
    pub(super) async fn gather(runner: &Runner, plan: &Plan, asked: &[Step]) -> Result<Calls, RotationError> {
        let mut calls = Calls { storage: BTreeMap::new(), sinks: BTreeMap::new() };
        for item in plan.storage_accounts.iter().filter(|_| is_asked(asked)) {
            let place = place(item);
            if !calls.storage.contains_key(&place) {
                let made = runner.hands.storage(&item.connection, &item.subscription_id).await;
                calls.storage.insert(place.clone(), made);
            }
            let Some(text) = plan.sink.as_deref().filter(|_| item.action == StorageAction::RotateKeys) else { continue };
            if let Entry::Vacant(free) = calls.sinks.entry(place) {
                let sink = match runner.hands.sink(text, &item.connection, &item.subscription_id).await {
                    Ok(sink) => Ok(sink),
                    Err(RotationError::Cloud(error)) => Err(error),
                    Err(error) => return Err(error),
                };
                free.insert(sink);
            }
        }
        Ok(calls)
    }

    /// What would be delivered where.
    pub(super) fn parcels<'s>(&'s self, plan: &'s Plan) -> impl Iterator<Item = Parcel<'s>> {
        plan.storage_accounts.iter().filter(|item| item.action == StorageAction::RotateKeys).filter_map(|item| {
            let sink = self.sinks.get(&place(item))?.as_ref().ok()?;
            Some((sink.as_ref(), label(item, Name::Key2, item.key2_created), "{account}"))
        })
    }

    fn of(&self, item: &StorageItem) -> Result<(&dyn Storage, Option<&dyn Sink>), CloudError> {
        let storage = match self.storage.get(&place(item)) {
            Some(Ok(storage)) => storage.as_ref(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(CloudError::new(ErrorKind::Invalid, "NoCalls", "no calls were made ready for this subscription")),
        };
        match self.sinks.get(&place(item)).filter(|_| item.action == StorageAction::RotateKeys) {
            Some(Ok(sink)) => Ok((storage, Some(sink.as_ref()))),
            Some(Err(error)) => Err(error.clone()),
            None => Ok((storage, None)),
        }
    }
}

/// An account and how far it has come.
#[derive(Debug, Clone)]
pub(super) struct Progressed<'a> {
    item: &'a StorageItem,
    progress: Progress,
}

impl<'a> Progressed<'a> {
    /// All accounts of a run, in the order of its plan.
    pub(super) fn all(history: &'a History) -> Vec<Progressed<'a>> {
        let of = |item: &'a StorageItem| Progressed { item, progress: Progress::of(&item.id, &history.entries) };
        history.plan.storage_accounts.iter().map(of).collect()
    }

    /// As the journal tells.
    pub(super) fn report(&self, run: &str, sink: bool) -> ItemReport {
        let Progressed { item, progress } = self;
        let ended = progress.ended.is_some();
        ItemReport {
            item: item.id.clone(),
            owner: item.name.clone(),
            account_id: item.subscription_id.clone(),
            state: progress.state(),
            new_key: None,
            refusal: progress.refusal.clone(),
            error: progress.error.clone().filter(|_| !ended),
            until: progress.waiting.map(|(until, _)| until),
            before: progress.waiting.map(|(_, act)| act),
            needs: progress.awaited().map(|name| needs(item, name, run, sink)),
        }
    }

    /// With what came of it now in place of what the journal has of earlier times.
    fn reported(&self, run: &str, sink: bool, result: Result<(), Stop>) -> ItemReport {
        let report = ItemReport { refusal: None, error: None, until: None, needs: None, ..self.report(run, sink) };
        reported(report, result)
    }

    /// The item, if this or another run is still to do it.
    pub(super) fn left(&self) -> Option<StorageItem> {
        let over = matches!(self.progress.ended, Some(State::Done | State::Undone));
        (!over).then(|| self.item.clone())
    }
}

/// Works on all accounts, or on one, and reports on all.
pub(super) async fn all<'h>(
    runner: &Runner,
    history: &'h History,
    log: &Log,
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
    only: Option<&str>,
) -> Result<Vec<(ItemReport, Progressed<'h>)>, RotationError> {
    let one = |progressed: Progressed<'h>| async move {
        if only.is_some_and(|only| only != progressed.item.id) {
            return Ok((progressed.report(&history.run, history.plan.sink.is_some()), progressed));
        }
        account(runner, history, log, calls, excluded, busy, progressed).await
    };
    let work = stream::iter(Progressed::all(history)).map(one).buffered(runner.parallel.max(1));
    // Even if the journal is lost the others are waited for: each of them stops by itself at its next line.
    work.collect::<Vec<_>>().await.into_iter().collect()
}

async fn account<'h>(
    runner: &Runner,
    history: &'h History,
    log: &Log,
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
    progressed: Progressed<'h>,
) -> Result<(ItemReport, Progressed<'h>), RotationError> {
    let Progressed { item, progress } = progressed;
    let sinks = history.plan.sink.is_some();
    let came_to = |progress: Progress, result| {
        let progressed = Progressed { item, progress };
        (progressed.reported(&history.run, sinks, result), progressed)
    };
    // Somebody wants it back now, even if it is over.
    let back = history.entries.last().is_some_and(|last| matches!(last.event, Event::Undo { .. }));
    if !is_asked(&history.steps) || (progress.ended.is_some() && !back) {
        let progressed = Progressed { item, progress };
        return Ok((progressed.report(&history.run, sinks), progressed));
    }
    if let Some(refusal) = unfinished(&item.id, busy, &history.run) {
        log.write(Event::Refused { item: item.id.clone(), act: first_act(item), refusal: refusal.clone() })?;
        return Ok(came_to(progress, Err(Stop::Refused(refusal, None))));
    }
    let (storage, sink) = match calls.of(item) {
        Ok(calls) => calls,
        Err(error) => return Ok(came_to(progress, Err(Stop::Failed(said(&error))))),
    };
    let eyes = Eyes { plan: &history.plan, item, storage, excluded, clock: &runner.clock };
    let mut machine = Machine::new(eyes, sink, log, progress);
    let result = if back { machine.undo().await } else { machine.work().await };
    match result {
        Err(Stop::Fatal(error)) => Err(error),
        result => Ok(came_to(machine.progress, result)),
    }
}

/// What a refusal before anything else is before.
fn first_act(item: &StorageItem) -> Act {
    match item.action {
        StorageAction::RotateKeys => Act::RegenerateKey1,
        StorageAction::ExpirationPolicy { .. } => Act::SetExpiration,
        StorageAction::DisableSharedKey => Act::DisableSharedKey,
    }
}

/// What would stop each account now.
pub(super) async fn preview(
    runner: &Runner,
    plan: &Plan,
    asked: &[Step],
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
) -> Vec<ItemReport> {
    let one = |item| async move {
        let result = match is_asked(asked) {
            true => foresee(runner, plan, item, calls, excluded, busy).await,
            false => Ok(()),
        };
        Progressed { item, progress: Progress::default() }.reported("", plan.sink.is_some(), result)
    };
    stream::iter(&plan.storage_accounts).map(one).buffered(runner.parallel.max(1)).collect().await
}

async fn foresee(
    runner: &Runner,
    plan: &Plan,
    item: &StorageItem,
    calls: &Calls,
    excluded: &Excluded,
    busy: &BTreeMap<String, String>,
) -> Result<(), Stop> {
    let refused = |refusal| Stop::Refused(refusal, None);
    unfinished(&item.id, busy, "").map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    let failed = |e: CloudError| Stop::Failed(said(&e));
    let (storage, sink) = calls.of(item).map_err(failed)?;
    let eyes = Eyes { plan, item, storage, excluded, clock: &runner.clock };
    let seen = eyes.look().await.map_err(failed)?;
    eyes.judge(&seen, [item.key1_created, item.key2_created]).map_err(refused)?;
    if let Some(sink) = sink {
        let label = label(item, Name::Key2, item.key2_created);
        sink.check(&label).await.map_err(|e| Stop::Failed(format!("the sink cannot take the key: {}", said(&of_sink(&e)))))?;
    }
    Ok(())
}

/// The word of the operator that consumers were moved; `None`: it is about no storage account. A word that was given before is none again.
/// A name alone means key2: given once more, as by whoever repeats a command, it must not be taken for a word about key1.
pub(super) fn moved(history: &History, word: &str) -> Option<Result<Option<Event>, RotationError>> {
    let (name, key) = word.split_once('=').map_or((word, None), |(name, key)| (name, Some(key)));
    let item = history.plan.storage_accounts.iter().find(|item| is_named(&item.id, name))?;
    let wrong = |why: String| Some(Err(RotationError::Content { message: format!("--moved {word}: {why}") }));
    let progress = Progress::of(&item.id, &history.entries);
    let given = |name: Name| progress.half(name).moved.is_some();
    let event = |to: Name| Some(Ok(Some(Event::Moved { item: item.id.clone(), to: to.text().to_owned() })));
    match (key.map(Name::read), progress.awaited()) {
        (Some(None), _) => wrong("there are key1 and key2".to_owned()),
        (Some(Some(to)), Some(awaited)) if to == awaited => event(to),
        (Some(Some(to)), _) if given(to) => Some(Ok(None)),
        (None, Some(Name::Key2)) => event(Name::Key2),
        (None, _) if given(Name::Key2) => Some(Ok(None)),
        _ => wrong(format!("run {} has not asked for that", history.run)),
    }
}
