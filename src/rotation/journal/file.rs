//! The open file of a journal: an append is on the disk when it returns, or the journal takes no more.

use super::chain::{self, START};
use super::{Entry, Event};
use crate::RotationError;
use chrono::{DateTime, Utc};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How bytes reach the disk; a test lets it break at a chosen moment.
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// Writes at the file's position; returns when it is on the disk.
    fn put(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)?;
        file.sync_data()
    }

    /// Cuts the file.
    fn cut(&self, file: &mut File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    /// Returns when the names in a folder are on the disk.
    fn folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

/// The machine's.
#[derive(Debug)]
pub(crate) struct Real;

impl Disk for Real {}

/// A journal that is open for appending. It holds the lock of its file, so that nobody else appends.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Numbers and hashes of the last two lines, in a file beside it: without it the removal of last lines could not be seen.
    head: File,
    disk: std::sync::Arc<dyn Disk>,
    next: u64,
    prev: String,
    broken: bool,
}

/// The half of a head that tells of this line, and where it lies. Two halves are written in turn, so that one of them is whole whenever
/// a crash comes.
fn head_half(entry: &Entry) -> (u64, String) {
    let told = format!("{:020} {}", entry.seq, entry.hash);
    (entry.seq % 2 * HALF as u64, format!("{told} {}\n", chain::digest(told.as_bytes())))
}

/// Length of a half: number, hash, hash of both.
const HALF: usize = 20 + 1 + 64 + 1 + 64 + 1;

/// Numbers and hashes of the last lines that a head tells of, without what a crash has torn.
pub(super) fn read_head(bytes: &[u8]) -> Vec<(usize, String)> {
    let half = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (told, own) = text.rsplit_once(' ')?;
        let (seq, hash) = told.split_once(' ')?;
        (own == chain::digest(told.as_bytes())).then_some(())?;
        Some((seq.parse().ok()?, hash.to_owned()))
    };
    bytes.chunks(HALF).take(2).filter_map(half).collect()
}

impl Journal {
    /// `bytes` of the file are whole; the half line behind them is removed. A head that a crash has left behind the last line is brought up
    /// to it: a second crash would leave it two lines behind, and that looks like lines that were added by somebody else.
    pub(super) fn new(
        path: &Path,
        mut file: File,
        head: File,
        disk: std::sync::Arc<dyn Disk>,
        last: Option<&Entry>,
        bytes: u64,
    ) -> Result<Journal, RotationError> {
        disk.cut(&mut file, bytes).and_then(|()| file.seek(SeekFrom::Start(bytes))).map_err(|e| failed(path, &e))?;
        let (next, prev) = last.map_or((0, START.to_owned()), |e| (e.seq + 1, e.hash.clone()));
        let mut journal = Journal { path: path.to_owned(), file, head, disk, next, prev, broken: false };
        if let Some(last) = last {
            let mut head = Vec::new();
            journal.head.seek(SeekFrom::Start(0)).and_then(|_| journal.head.read_to_end(&mut head)).map_err(|e| failed(path, &e))?;
            if !read_head(&head).iter().any(|(seq, hash)| *seq as u64 == last.seq && *hash == last.hash) {
                journal.tell(last)?;
            }
        }
        Ok(journal)
    }

    /// Writes a line's half of the head.
    fn tell(&mut self, entry: &Entry) -> Result<(), RotationError> {
        let (place, half) = head_half(entry);
        let written = self.head.seek(SeekFrom::Start(place)).and_then(|_| self.disk.put(&mut self.head, half.as_bytes()));
        written.map_err(|e| failed(&self.path, &e))
    }

    /// Adds a line and returns when it is on the disk. After a failure nothing more is taken: what is on the disk is then unknown.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn append(&mut self, at: DateTime<Utc>, event: Event) -> Result<Entry, RotationError> {
        if self.broken {
            return Err(failed(&self.path, &io::Error::other("an earlier line could not be written")));
        }
        let (entry, line) = chain::seal(self.next, at, &self.prev, event)
            .map_err(|e| RotationError::Internal { message: format!("a journal entry cannot be written as JSON: {e}") })?;
        self.broken = true; // until all of it is there
        self.disk.put(&mut self.file, line.as_bytes()).map_err(|e| failed(&self.path, &e))?;
        self.tell(&entry)?;
        self.broken = false;
        self.next += 1;
        self.prev.clone_from(&entry.hash);
        Ok(entry)
    }
}

fn failed(path: &Path, error: &io::Error) -> RotationError {
    RotationError::Io { message: format!("{}: the journal cannot be written, so nothing more is done: {error}", path.display()) }
}
