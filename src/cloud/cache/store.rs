//! The folder of one connection: its files, and which answer stands where. Refuses nothing loudly: what cannot be read is not there.

use super::seal::{FileKey, Id, StoreKey};
use super::segment::{self, Finished, Opened, Part, stamp};
use super::settings::{private_file, private_folder};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

const SUFFIX: &str = "seg";
/// Drafts that a process left behind when it was killed are removed after this time.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What is kept of one connection.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    key: StoreKey,
    index: Mutex<HashMap<Id, Spot>>,
}

#[derive(Debug, Clone)]
struct Spot {
    file: Arc<Segment>,
    part: Part,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    key: FileKey,
}

/// What is found of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The answer as it was given to [`Store::write`], and when it was asked for.
    Answer(Vec<u8>, i64),
    Nothing,
    /// It was changed, cut off, or cannot be read.
    Damaged,
}

/// Files of a folder with their sizes, the oldest first.
pub(super) fn segments(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == SUFFIX)
            // Another process may have removed it meanwhile.
            && let Ok(meta) = fs::metadata(&path)
        {
            found.push((path, meta.len()));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes everything of ours from a folder, then the folder.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == SUFFIX || e == "tmp") {
            remove(&path)?;
        }
    }
    // What is not ours stays, and the folder with it.
    let _ = fs::remove_dir(folder);
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Store {
    /// Opens the folder, made if it is not there, and removes what is of no use: also what cannot be read, whose number is given.
    pub(super) fn open(folder: PathBuf, key: StoreKey, now: i64) -> io::Result<(Store, usize)> {
        private_folder(&folder)?;
        sweep_drafts(&folder)?;
        let (mut index, mut foreign) = (HashMap::new(), 0);
        for (path, _) in segments(&folder)? {
            match segment::open(&path, &key, now) {
                Ok(Opened::Parts(key, parts)) => {
                    let file = Arc::new(Segment { path, key });
                    enter(&mut index, &file, parts);
                }
                Ok(Opened::Over) => remove(&path)?,
                Ok(Opened::Foreign) => {
                    foreign += 1;
                    remove(&path)?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok((Store { folder, key, index: Mutex::new(index) }, foreign))
    }

    pub(super) fn key(&self) -> &StoreKey {
        &self.key
    }

    fn index(&self) -> MutexGuard<'_, HashMap<Id, Spot>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept of a request, if it is younger than `ttl`. A time in the future has an unknown age.
    pub(super) fn get(&self, id: &Id, now: i64, ttl: Duration) -> Found {
        let Some(spot) = self.index().get(id).cloned() else { return Found::Nothing };
        let age = now.checked_sub(spot.part.asked).and_then(|age| u64::try_from(age).ok());
        if age.is_none_or(|age| Duration::from_micros(age) >= ttl) {
            return Found::Nothing;
        }
        match segment::read(&spot.file.path, &spot.file.key, &spot.part) {
            Ok(Some(bytes)) => Found::Answer(bytes, spot.part.asked),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.forget(&spot.file);
                Found::Nothing
            }
            Ok(None) | Err(_) => {
                self.forget(&spot.file);
                // Nobody shall stumble over it again.
                let _ = remove(&spot.file.path);
                Found::Damaged
            }
        }
    }

    fn forget(&self, file: &Arc<Segment>) {
        self.index().retain(|_, spot| !Arc::ptr_eq(&spot.file, file));
    }

    /// Writes a file, whole or not at all. Where it does not fit, the oldest ones go; a file that would not even then is not written.
    pub(super) fn write(&self, finished: Finished, max_bytes: u64, now: i64) -> io::Result<()> {
        let size = finished.bytes.len() as u64;
        if size > max_bytes {
            return Ok(());
        }
        private_folder(&self.folder)?;
        let name = format!("{:016x}-{}", now.max(0), stamp());
        let draft = self.folder.join(format!("{name}.tmp"));
        let path = self.folder.join(format!("{name}.{SUFFIX}"));
        let written = private_file(&draft).and_then(|mut file| file.write_all(&finished.bytes)).and_then(|()| fs::rename(&draft, &path));
        if let Err(e) = written {
            let _ = remove(&draft);
            return Err(e);
        }
        self.evict(&path, max_bytes)?;
        let file = Arc::new(Segment { path, key: finished.key });
        enter(&mut self.index(), &file, finished.parts);
        Ok(())
    }

    fn evict(&self, newest: &Path, max_bytes: u64) -> io::Result<()> {
        let all = segments(&self.folder)?;
        let mut total: u64 = all.iter().map(|(_, bytes)| bytes).sum();
        for (path, bytes) in all.iter().filter(|(path, _)| path != newest) {
            if total <= max_bytes {
                break;
            }
            remove(path)?;
            total -= bytes;
        }
        Ok(())
    }

    /// Forgets and removes everything.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.index().clear();
        clear(&self.folder)
    }
}

/// The younger of two answers to the same request stays.
fn enter(index: &mut HashMap<Id, Spot>, file: &Arc<Segment>, parts: Vec<Part>) {
    for part in parts {
        if index.get(&part.id).is_none_or(|known| known.part.asked <= part.asked) {
            index.insert(part.id, Spot { file: file.clone(), part });
        }
    }
}

fn sweep_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let old = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).is_ok_and(|at| at + ABANDONED < SystemTime::now());
        if path.extension().is_some_and(|e| e == "tmp") && old(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}
