//! Writes to disk what was answered, on a thread of its own, so that no query waits for it. Ends, and has then written everything, when it
//! is told to finish.

use super::seal::Id;
use super::segment::Draft;
use super::store::Store;
use super::{Clock, size};
use crate::redact::holds_secret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Encrypted answers that are written as one file.
const FILE_BYTES: usize = 4 << 20;
/// Answers wait for others to be written with, but not longer than this.
const WAIT: Duration = Duration::from_secs(10);
/// Answers that wait to be written take this much memory; what comes when there are more is not kept.
const WAITING_BYTES: usize = 64 << 20;
/// Of zstd: the lowest, for answers are written far more often than read.
const LEVEL: i32 = 1;

/// An answer to write.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) store: Arc<Store>,
    pub(super) id: Id,
    pub(super) asked: i64,
    pub(super) until: i64,
    pub(super) pages: Vec<Arc<Value>>,
}

/// What it has to say.
pub(super) type Notices = Arc<Mutex<BTreeSet<String>>>;

/// Answers with their size, on their way to the thread, and the thread.
type Running = (Sender<(Job, usize)>, JoinHandle<()>);

/// The thread, from the first answer to [`Saver::finish`].
#[derive(Debug)]
pub(super) struct Saver {
    clock: Clock,
    max_bytes: u64,
    notices: Notices,
    waiting: Arc<AtomicUsize>,
    running: Mutex<Option<Running>>,
}

impl Saver {
    pub(super) fn new(clock: Clock, max_bytes: u64, notices: Notices) -> Saver {
        Saver { clock, max_bytes, notices, waiting: Arc::default(), running: Mutex::new(None) }
    }

    /// Hands an answer over.
    pub(super) fn write(&self, job: Job) {
        let bytes: usize = job.pages.iter().map(|page| size(page)).sum();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let (send, jobs) = channel();
            let work =
                Work { clock: self.clock.clone(), max_bytes: self.max_bytes, notices: self.notices.clone(), waiting: self.waiting.clone() };
            match std::thread::Builder::new().name("cache".to_owned()).spawn(move || work.run(&jobs)) {
                Ok(thread) => *running = Some((send, thread)),
                Err(e) => say(&self.notices, format!("the cache on disk is not written: no thread can be started: {e}")),
            }
        }
        let sent = running.as_ref().is_some_and(|(send, _)| send.send((job, bytes)).is_ok());
        if !sent {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Waits until everything is written.
    pub(super) fn finish(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((send, thread)) = running {
            drop(send);
            if thread.join().is_err() {
                say(&self.notices, "the cache on disk was not written: its thread panicked".to_owned());
            }
        }
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.finish();
    }
}

pub(super) fn say(notices: &Notices, text: String) {
    notices.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
}

struct Work {
    clock: Clock,
    max_bytes: u64,
    notices: Notices,
    waiting: Arc<AtomicUsize>,
}

impl Work {
    fn run(&self, jobs: &Receiver<(Job, usize)>) {
        let mut drafts: Vec<(Arc<Store>, Draft)> = Vec::new();
        let mut since = Instant::now();
        loop {
            match jobs.recv_timeout(WAIT) {
                Ok((job, bytes)) => {
                    if drafts.is_empty() {
                        since = Instant::now();
                    }
                    self.add(job, &mut drafts);
                    self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.flush(&mut drafts),
            }
            if since.elapsed() >= WAIT {
                self.flush(&mut drafts);
            }
        }
    }

    fn add(&self, job: Job, drafts: &mut Vec<(Arc<Store>, Draft)>) {
        if job.pages.iter().any(|page| holds_secret(page)) {
            return;
        }
        let Ok(plain) = pack(&job.pages) else { return };
        // An answer that would fill the store by itself drives out all others.
        if plain.len() as u64 > self.max_bytes / 4 {
            return;
        }
        let at = match drafts.iter().position(|(store, _)| Arc::ptr_eq(store, &job.store)) {
            Some(at) => at,
            None => {
                let Some(draft) = Draft::new(job.store.key()) else { return };
                drafts.push((job.store.clone(), draft));
                drafts.len() - 1
            }
        };
        let draft = &mut drafts[at].1;
        draft.add(job.id, job.asked, job.until, plain);
        if draft.len() >= FILE_BYTES || draft.is_full() {
            let (store, draft) = drafts.swap_remove(at);
            self.write(&store, draft);
        }
    }

    fn flush(&self, drafts: &mut Vec<(Arc<Store>, Draft)>) {
        for (store, draft) in drafts.drain(..) {
            self.write(&store, draft);
        }
    }

    fn write(&self, store: &Store, draft: Draft) {
        if draft.is_empty() {
            return;
        }
        let Some(finished) = draft.finish() else { return };
        if let Err(e) = store.write(finished, self.max_bytes, self.clock.wall().timestamp_micros()) {
            say(&self.notices, format!("answers cannot be kept on disk: {e}"));
        }
    }
}

/// Pages as compressed text.
fn pack(pages: &[Arc<Value>]) -> io::Result<Vec<u8>> {
    let mut text = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    text.write_all(b"[")?;
    for (i, page) in pages.iter().enumerate() {
        if i > 0 {
            text.write_all(b",")?;
        }
        serde_json::to_writer(&mut text, &**page)?;
    }
    text.write_all(b"]")?;
    text.finish()
}

/// The pages again.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<Value>> {
    let text = zstd::stream::decode_all(bytes).ok()?;
    serde_json::from_slice::<Vec<Value>>(&text).ok().filter(|pages| !pages.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pages_survive_packing() {
        let pages = [json!({"a": [1, 2.5, null, "ü\u{0}"], "n": 18446744073709551615_u64}), json!({})];
        let packed = pack(&pages.clone().map(Arc::new)).unwrap();
        assert_eq!(unpack(&packed).unwrap(), pages);
        for bad in [&packed[..packed.len() - 3], b"", b"nonsense"] {
            assert!(unpack(bad).is_none());
        }
        assert!(unpack(&pack(&[]).unwrap()).is_none());
    }
}
