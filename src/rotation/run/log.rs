//! The journal of a run as its items share it: a line is written only while the locks are held, and a failure ends the writing of all.

use crate::journal::{Entry, Journal};
use crate::lock::Lock;
use crate::{Clock, Event, RotationError};
use std::sync::{Mutex, PoisonError};

/// Journal and locks. Dropping it gives the locks back.
#[derive(Debug)]
pub(crate) struct Log {
    run: String,
    clock: Clock,
    inner: Mutex<(Journal, Vec<Lock>)>,
}

impl Log {
    pub(crate) fn new(run: &str, journal: Journal, locks: Vec<Lock>, clock: Clock) -> Log {
        Log { run: run.to_owned(), clock, inner: Mutex::new((journal, locks)) }
    }

    /// Id of the run.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Writes a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// `Io`, also for every line after one that failed; `Refused` if a lock was lost.
    pub(crate) fn write(&self, event: Event) -> Result<Entry, RotationError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (journal, locks) = &mut *inner;
        let now = self.clock.0.now();
        for lock in locks {
            lock.renew(now)?;
        }
        journal.append(now, event)
    }

    /// Notes the locks that were left behind by others.
    pub(crate) fn say_taken_over(&self) -> Result<(), RotationError> {
        for (lock, owner) in self.taken_over() {
            self.write(Event::TookOver { lock, owner })?;
        }
        Ok(())
    }

    /// Locks that were left behind, each with whose it was.
    pub(crate) fn taken_over(&self) -> Vec<(String, String)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().filter_map(|lock| Some((lock.name.clone(), lock.left_by.clone()?))).collect()
    }
}
