//! Answers kept for a while: in memory for the process, and where it is asked for on disk for the next one. Owns which answers may be kept
//! and how old they may be; one request has one answer as long as it is kept, and what memory knows goes before the disk.

mod disk;
mod key;
mod memory;
mod saver;
mod seal;
mod segment;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod who;

pub use settings::{DiskCache, KeySource, StoreStatus};

use crate::clock::Clock;
use crate::redact::Redactions;
use crate::{CloudError, ErrorKind};
use chrono::{DateTime, Utc};
pub(crate) use disk::{Disk, Place};
use memory::Memory;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use who::Subjects;

/// What a call came to.
pub(crate) type Outcome = Result<Arc<Value>, CloudError>;

/// When an answer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Microseconds on the clock of this process; negative: by an earlier process.
    pub(crate) at: i64,
    /// The same on the wall's clock.
    pub(crate) wall: DateTime<Utc>,
}

/// An outcome, and when it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) outcome: Outcome,
    pub(crate) asked: Asked,
}

/// Pages of a listing that is whole, all from one time.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) pages: Arc<[Arc<Value>]>,
    pub(crate) asked: Asked,
}

/// The response cache.
#[derive(Debug)]
pub(crate) struct Cache {
    clock: Clock,
    memory: Memory,
    disk: Option<Disk>,
    pub(crate) subjects: Subjects,
}

impl Cache {
    pub(crate) fn new(clock: Clock, ttl: Duration, max_bytes: usize, disk: Option<Disk>) -> Cache {
        Cache { memory: Memory::new(clock.clone(), ttl, max_bytes), clock, disk, subjects: Subjects::default() }
    }

    pub(crate) fn asked_now(&self) -> Asked {
        Asked { at: self.clock.micros(), wall: self.clock.wall() }
    }

    /// The answer to a call, not older than `since`.
    pub(crate) fn get(&self, key: &str, since: Option<Asked>) -> Option<Answered> {
        self.memory.get(key, since)
    }

    /// The listing that begins with a call, if memory has all of it.
    pub(crate) fn listing(&self, key: &str) -> Option<Listing> {
        self.memory.listing(key)
    }

    /// Does memory have an answer to a call?
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.memory.get(key, None).is_some()
    }

    /// Keeps an outcome in memory if it is one that may be kept.
    pub(crate) fn put(&self, key: &Arc<str>, service: &str, operation: &str, answered: &Answered) {
        if keepable(service, operation, &answered.outcome) {
            self.memory.put(key, answered);
        }
    }

    /// The disk, if answers of this operation may be kept there now.
    pub(crate) fn disk(&self, connection: &str, service: &str, operation: &str) -> Option<&Disk> {
        self.disk.as_ref().filter(|disk| !self.memory.ttl().is_zero() && disk.may_keep(connection, service, operation))
    }

    /// What the disk has for a call, all pages of it; from now on memory has it too.
    pub(crate) fn recall(&self, place: &Place, key: &Arc<str>) -> Option<Listing> {
        let (pages, wall) = self.disk.as_ref()?.get(place, self.memory.ttl())?;
        let now = self.asked_now();
        let age = (now.wall - wall).num_microseconds()?;
        let pages: Arc<[Arc<Value>]> = pages.into_iter().map(Arc::new).collect();
        let listing = Listing { pages, asked: Asked { at: now.at - age, wall } };
        self.memory.put_listing(key, &listing);
        Some(listing)
    }

    /// Keeps a whole answer on disk: all pages of it.
    pub(crate) fn store(&self, place: Place, service: &str, operation: &str, pages: Vec<Arc<Value>>, asked: Asked) {
        let keepable = pages.iter().all(|page| keepable(service, operation, &Ok(page.clone())));
        if let Some(disk) = self.disk.as_ref().filter(|_| keepable) {
            disk.put(place, pages, asked.wall, self.memory.ttl());
        }
    }

    /// Names a member that is secret: answers of the operation stay off the disk.
    pub(crate) fn redact(&self, service: &str, operation: &str, path: &str) {
        if let Some(disk) = &self.disk {
            disk.redactions.add(service, operation, path);
        }
    }

    /// Forgets everything, in memory and on disk.
    pub(crate) fn clear(&self) {
        self.memory.clear();
        if let Some(disk) = &self.disk {
            disk.clear();
        }
    }

    pub(crate) fn set_ttl(&self, ttl: Duration) {
        self.memory.set_ttl(ttl);
    }

    /// Is there a disk that answers may be kept on?
    pub(crate) fn on_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Writes what is still to be written; gives what people should know.
    pub(crate) fn finish(&self) -> Vec<String> {
        self.disk.as_ref().map(Disk::finish).unwrap_or_default()
    }
}

/// Operations that are asked again and again until they say they are done: the member and the value that end it.
/// Source: IAM API Reference, GenerateCredentialReport.
const POLLED: &[(&str, &str, &str, &str)] = &[("iam", "GenerateCredentialReport", "State", "COMPLETE")];

/// Parts of error codes that announce another answer soon (`ReportInProgress`, `ReportNotPresent`, `CredentialReportExpired` …).
const PASSING: &[&str] = &["InProgress", "NotReady", "NotPresent", "Pending", "Expired"];

/// Refusals are answers too: a denied call is asked once, not once per table. A failure that may pass by itself never is.
fn keepable(service: &str, operation: &str, outcome: &Outcome) -> bool {
    match outcome {
        Ok(value) => POLLED
            .iter()
            .filter(|(s, o, ..)| *s == service && *o == operation)
            .all(|(_, _, member, done)| value.get(member).and_then(Value::as_str) == Some(done)),
        Err(e) => {
            matches!(e.kind, ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Service) && !PASSING.iter().any(|p| e.code.contains(p))
        }
    }
}

/// Bytes a value takes in memory, roughly: an object member costs its slot, its hash and its key.
pub(crate) fn size(value: &Value) -> usize {
    const SLOT: usize = size_of::<Value>();
    match value {
        Value::String(s) => SLOT + s.len(),
        Value::Array(items) => SLOT + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => SLOT + members.iter().map(|(k, v)| 48 + k.len() + size(v)).sum::<usize>(),
        _ => SLOT,
    }
}

/// Opens the disk, where it is asked for.
pub(crate) fn disk(settings: Option<&DiskCache>, clock: &Clock, off: impl IntoIterator<Item = Arc<str>>) -> Option<Disk> {
    settings.map(|settings| Disk::new(settings.clone(), clock.clone(), off.into_iter().collect(), Redactions::default()))
}
