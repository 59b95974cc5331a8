//! The folder of journals and locks: making, finding, reading and reopening journals. Files are the owner's alone.

use super::chain::{self, Altered, Whole};
use super::file::{Disk, Journal, Real, read_head};
use super::{Act, Entry, Event};
use crate::run::Exclusions;
use crate::{Plan, RotationError, Step};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of journals and locks: `rotations/RUN.jsonl`, `rotations/RUN.head`, `locks/PROVIDER-ACCOUNT.lock`.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

/// A verified journal.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Id of the run.
    pub run: String,
    /// The plan as confirmed.
    pub plan: Plan,
    /// The steps that were asked for.
    pub steps: Vec<Step>,
    /// What was excluded.
    pub exclusions: Exclusions,
    /// When it began.
    pub started: DateTime<Utc>,
    /// All lines.
    pub entries: Vec<Entry>,
}

impl Store {
    /// The store in this folder; made when first written to.
    pub fn new(folder: PathBuf) -> Store {
        Store { folder, disk: Arc::new(Real) }
    }

    #[cfg(test)]
    pub(crate) fn on(folder: PathBuf, disk: Arc<dyn Disk>) -> Store {
        Store { folder, disk }
    }

    /// How its files reach the disk.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The folder of the locks.
    pub(crate) fn locks(&self) -> PathBuf {
        self.folder.join("locks")
    }

    /// The journal of a run.
    pub fn path(&self, run: &str) -> PathBuf {
        self.folder.join("rotations").join(format!("{run}.jsonl"))
    }

    fn head(&self, run: &str) -> PathBuf {
        self.folder.join("rotations").join(format!("{run}.head"))
    }

    /// Ids of all runs, in order of their beginning.
    ///
    /// # Errors
    /// `Io`.
    pub fn runs(&self) -> Result<Vec<String>, RotationError> {
        let folder = self.folder.join("rotations");
        let files = match std::fs::read_dir(&folder) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(&folder, &e)),
        };
        let mut runs = BTreeSet::new();
        for file in files {
            let name = file.map_err(|e| unreadable(&folder, &e))?.file_name();
            runs.extend(name.to_str().and_then(|n| n.strip_suffix(".jsonl")).filter(|n| is_run(n)).map(str::to_owned));
        }
        Ok(runs.into_iter().collect())
    }

    /// Reads the journal of a run and verifies it.
    ///
    /// # Errors
    /// `Content` for an unknown run and one that never began, `Refused` for one that was altered, with the line; `Io`.
    pub fn read(&self, run: &str) -> Result<History, RotationError> {
        let whole = self.verified(run)?;
        history(run, whole)
    }

    /// The run of this id; else the latest run that has this access key, old or new, or storage account in it.
    ///
    /// # Errors
    /// `Content` if there is none; those of [`Store::read`].
    pub fn run_of(&self, run_or_key: &str) -> Result<String, RotationError> {
        let runs = self.runs()?;
        if runs.iter().any(|r| r == run_or_key) {
            return Ok(run_or_key.to_owned());
        }
        let mut latest: Option<(DateTime<Utc>, String)> = None;
        for run in runs {
            let whole = self.verified(&run)?;
            let has = |e: &Entry| match &e.event {
                Event::Begin { item, key, .. } | Event::Done { item, key, .. } => {
                    is_named(item, run_or_key) || key.as_deref() == Some(run_or_key)
                }
                Event::Asked { item, .. } => is_named(item, run_or_key),
                _ => false,
            };
            let started = whole.entries.first().map(|e| e.at).filter(|_| whole.entries.iter().any(has));
            if let Some(started) = started.filter(|s| latest.as_ref().is_none_or(|(l, _)| s >= l)) {
                latest = Some((started, run));
            }
        }
        latest.map(|(_, run)| run).ok_or_else(|| RotationError::Content {
            message: format!("{run_or_key:?} is no run, and no run has changed such a key: `assay rotate status` lists them"),
        })
    }

    /// Items that a run has begun with and not ended, each with the run's id. An altered journal can prove no end, so all of its items
    /// count.
    ///
    /// # Errors
    /// `Io`; `Refused` if not even the plan of an altered journal can be read.
    pub fn unfinished(&self) -> Result<BTreeMap<String, String>, RotationError> {
        let mut out = BTreeMap::new();
        for run in self.runs()? {
            let (whole, altered) = match self.examined(&run)? {
                Ok(whole) => (whole, None),
                Err((whole, altered)) => (whole, Some(altered)),
            };
            if let Some(altered) = altered {
                let history = history(&run, whole).map_err(|_| self.refusal(&run, &altered))?;
                out.extend(history.plan.items().map(|item| (item.to_owned(), run.clone())));
            } else {
                out.extend(open_items(&whole.entries).into_iter().map(|item| (item, run.clone())));
            }
        }
        Ok(out)
    }

    /// A new run: its id and its empty journal.
    pub(crate) fn create(&self, run: &str) -> Result<Journal, RotationError> {
        let folder = self.folder.join("rotations");
        self.make_folder(&folder)?;
        let path = self.path(run);
        let make = |path: &Path| private().read(true).create_new(true).open(path).map_err(|e| unwritable(path, &e));
        let (file, head) = (make(&path)?, make(&self.head(run))?);
        self.disk.folder(&folder).map_err(|e| unwritable(&folder, &e))?;
        hold(&path, &file)?;
        Journal::new(&path, file, head, Arc::clone(&self.disk), None, 0)
    }

    /// A run that is gone on with. Verified again under the lock of the file.
    pub(crate) fn open(&self, run: &str) -> Result<(History, Journal), RotationError> {
        let path = self.path(run);
        if !is_run(run) || !path.exists() {
            return Err(no_run(run));
        }
        let open = |path: &Path| private().read(true).create(true).truncate(false).open(path).map_err(|e| unwritable(path, &e));
        let file = open(&path)?;
        hold(&path, &file)?;
        let whole = self.verified(run)?;
        let (last, bytes) = (whole.entries.last().cloned(), whole.bytes);
        let history = history(run, whole)?;
        let journal = Journal::new(&path, file, open(&self.head(run))?, Arc::clone(&self.disk), last.as_ref(), bytes)?;
        Ok((history, journal))
    }

    /// Makes a folder of this store for its owner alone, if it is not there.
    pub(crate) fn make_folder(&self, folder: &Path) -> Result<(), RotationError> {
        if folder.is_dir() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|e| unwritable(folder, &e))?;
        // The store's own folder may be new, too.
        for parent in [folder.parent(), self.folder.parent()].into_iter().flatten() {
            self.disk.folder(parent).map_err(|e| unwritable(parent, &e))?;
        }
        Ok(())
    }

    fn verified(&self, run: &str) -> Result<Whole, RotationError> {
        self.examined(run)?.map_err(|(_, altered)| self.refusal(run, &altered))
    }

    fn refusal(&self, run: &str, altered: &Altered) -> RotationError {
        let path = self.path(run);
        let Altered { line, why } = altered;
        RotationError::Refused {
            message: format!("{}:{line}: {why}; an altered journal is not gone on with: compare it with the keys by hand", path.display()),
        }
    }

    /// The chain, and the head beside it.
    fn examined(&self, run: &str) -> Result<Result<Whole, (Whole, Altered)>, RotationError> {
        if !is_run(run) {
            return Err(no_run(run));
        }
        // The head is written after its line: read before it, it can only be behind.
        let head = read_file(&self.head(run))?.unwrap_or_default();
        let Some(bytes) = read_file(&self.path(run))? else { return Err(no_run(run)) };
        Ok(chain::read(&bytes).and_then(|whole| match against_head(&whole, &head) {
            Ok(()) => Ok(whole),
            Err(altered) => Err((whole, altered)),
        }))
    }
}

/// The lines that the head tells of have to be there, and at most one more: a crash comes between a line and its head.
fn against_head(whole: &Whole, head: &[u8]) -> Result<(), Altered> {
    let count = whole.entries.len();
    let told = read_head(head);
    for (seq, hash) in &told {
        match whole.entries.get(*seq) {
            Some(entry) if entry.hash == *hash => {}
            Some(_) => return Err(Altered { line: seq + 1, why: "it is not the line that the head file tells of".into() }),
            None => return Err(Altered { line: count + 1, why: "lines at the end were removed".into() }),
        }
    }
    let told = told.iter().map(|(seq, _)| seq + 1).max().unwrap_or(0);
    if told + 1 < count {
        return Err(Altered {
            line: told + 1,
            why: "the head file beside the journal is missing, was changed, or knows no such line".into(),
        });
    }
    Ok(())
}

fn history(run: &str, whole: Whole) -> Result<History, RotationError> {
    match whole.entries.first() {
        Some(Entry { event: Event::Started { plan, steps, exclusions, .. }, at, .. }) => {
            let (plan, steps, exclusions, started) = ((**plan).clone(), steps.clone(), exclusions.clone(), *at);
            Ok(History { run: run.to_owned(), plan, steps, exclusions, started, entries: whole.entries })
        }
        _ => Err(RotationError::Content { message: format!("run {run} ended before its first line was written: nothing was changed") }),
    }
}

/// Is this the item that is meant? A storage account may be meant by the last part of its resource id.
pub(crate) fn is_named(item: &str, word: &str) -> bool {
    item.eq_ignore_ascii_case(word) || item.rsplit_once('/').is_some_and(|(_, name)| name.eq_ignore_ascii_case(word))
}

/// Items with a change that was begun, neither taken back nor ended.
fn open_items(entries: &[Entry]) -> BTreeSet<String> {
    let mut open: BTreeMap<&str, BTreeSet<Act>> = BTreeMap::new();
    for entry in entries {
        let Some(item) = entry.event.item() else { continue };
        let acts = open.entry(item).or_default();
        match &entry.event {
            Event::Begin { act, .. } => drop(acts.insert(*act)),
            // Consumers are being moved.
            Event::Asked { .. } => drop(acts.insert(Act::Publish)),
            Event::Failed { act, without_effect: true, .. } => drop(acts.remove(act)),
            Event::Done { act: Act::Discard, .. } => {
                acts.retain(|a| !matches!(a, Act::Create | Act::Store | Act::Verify | Act::Publish | Act::Withdraw | Act::Discard));
            }
            Event::Done { act: Act::Reactivate, .. } => acts.retain(|a| !matches!(a, Act::Deactivate | Act::Reactivate)),
            Event::Ended { .. } => acts.clear(),
            _ => {}
        }
    }
    open.into_iter().filter(|(_, acts)| !acts.is_empty()).map(|(item, _)| item.to_owned()).collect()
}

/// A run's id: its time, so that names sort, and something that no other run of the second has.
pub(crate) fn new_run(now: DateTime<Utc>) -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{}-{:06x}", now.format("%Y%m%dT%H%M%SZ"), random & 0xff_ffff)
}

fn is_run(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn no_run(run: &str) -> RotationError {
    RotationError::Content { message: format!("there is no run {run:?}: `assay rotate status` lists them") }
}

fn hold(path: &Path, file: &File) -> Result<(), RotationError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(RotationError::Refused { message: format!("{}: another process is working on this run", path.display()) })
        }
        Err(TryLockError::Error(e)) => Err(unwritable(path, &e)),
    }
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, RotationError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(path, &e)),
    }
}

/// Opens for writing; what is made is for its owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn unreadable(path: &Path, error: &io::Error) -> RotationError {
    RotationError::Io { message: format!("{} cannot be read: {error}", path.display()) }
}

pub(crate) fn unwritable(path: &Path, error: &io::Error) -> RotationError {
    RotationError::Io { message: format!("{} cannot be written: {error}", path.display()) }
}
