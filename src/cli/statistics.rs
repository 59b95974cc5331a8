//! The file with what earlier runs cost: read at the start, renewed after a run, renamed into place. Refuses to stand in the way: what cannot
//! be read counts as nothing, with a notice, and what cannot be written is said and forgotten.

use crate::console::Console;
use crate::dirs;
use crate::session::Session;
use assay_cloud::{ErrorKind, Meter};
use assay_engine::{Asked, Engine, Failure, Record, Statistics};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer files are not read: something else wrote them.
const MOST_BYTES: u64 = 64 << 20;

fn path() -> Option<PathBuf> {
    dirs::state().map(|dir| dir.join("statistics.json"))
}

/// What is remembered.
pub(crate) fn load(console: &Console) -> Arc<Statistics> {
    let Some(path) = path() else { return Arc::default() };
    match read(&path) {
        Ok(Some(statistics)) => Arc::new(statistics),
        Ok(None) => {
            console.notice(&format!("{} is of another version or damaged: it counts as empty", path.display()));
            Arc::default()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Arc::default(),
        Err(error) => {
            console.notice(&format!("cannot read {}: {}", path.display(), crate::exit::io_text(&error)));
            Arc::default()
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Statistics>> {
    if std::fs::metadata(path)?.len() > MOST_BYTES {
        return Ok(None);
    }
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8(bytes).ok().and_then(|text| Statistics::read(&text)))
}

fn write(path: &Path, statistics: &Statistics) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".statistics.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Nobody else's business, as the history of the shell.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(statistics.write().as_bytes())?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// A statement that ran to its end, and what it asked for.
pub(crate) struct Ended<'a> {
    /// The statement.
    pub(crate) asked: Asked<'a>,
    /// Its calls.
    pub(crate) meter: &'a Meter,
}

/// Does a failure say that the count is not what another run would make?
pub(crate) fn spoils(failure: &Failure) -> bool {
    matches!(
        failure.error.kind,
        ErrorKind::OverBudget
            | ErrorKind::NotRecorded
            | ErrorKind::Credentials
            | ErrorKind::Unreachable
            | ErrorKind::Throttled
            | ErrorKind::Transient
            | ErrorKind::BadAnswer
    )
}

/// Remembers statements that ran: each by itself, and all of them together if the process did nothing else.
pub(crate) fn remember(session: &Session, engine: &Engine, ended: &[Ended<'_>], whole: bool) {
    let nothing = ended.iter().all(|one| one.meter.read().is_some_and(|metered| metered.is_empty()));
    if session.cloud.is_replay() || nothing {
        return;
    }
    let Some(path) = path() else { return };
    let latency = session.cloud.latency();
    let (at, shape) = (session.cloud.now(), engine.shape());
    // Others may have written since the start.
    let mut statistics = read(&path).ok().flatten().unwrap_or_default();
    for one in ended.iter().filter(|_| ended.len() > 1 || !whole) {
        if let Some(metered) = one.meter.read() {
            statistics.remember(engine.run_key(&[one.asked]), Record::new(at, &shape, &metered, latency));
        }
    }
    if whole && let Some(metered) = session.cloud.meter().read() {
        let all: Vec<Asked<'_>> = ended.iter().map(|one| one.asked).collect();
        statistics.remember(engine.run_key(&all), Record::new(at, &shape, &metered, latency));
    }
    // A home that cannot be written to is common, and no reason to say so after every run.
    let _ = write(&path, &statistics);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_counts_as_none_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below/statistics.json");
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        write(&path, &Statistics::default()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(Statistics::default()));
        for text in ["", "{", "[]", "{\"version\": 99, \"runs\": {}}", "{\"version\": 1, \"runs\": {\"x\": 3}}"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), None, "{text}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &Statistics::default()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(Statistics::default()));
        assert_eq!(std::fs::read_dir(dir.path().join("below")).unwrap().count(), 1, "no temporary file stays");
    }
}
