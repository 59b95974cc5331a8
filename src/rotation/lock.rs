//! One run per account at a time: a lock file with owner and expiry, held by the operating system while the process lives.
//!
//! The system's lock tells processes of one machine apart and ends with them. The content is for people, and for other machines that
//! share the folder: unexpired, it refuses them; left behind, it is taken over, and that is said.

use crate::journal::{Disk, Store, private, unwritable};
use crate::{Clock, RotationError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How long a lock holds without being renewed. No single act takes as long.
const LEASE: TimeDelta = TimeDelta::minutes(15);
/// Renewed when this much of it is gone.
const RENEW: TimeDelta = TimeDelta::minutes(1);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Name of the machine.
    pub(crate) host: String,
    /// Process id.
    pub(crate) pid: u32,
    /// User of the operating system.
    pub(crate) user: String,
    /// The run.
    pub(crate) run: String,
}

impl Owner {
    /// This process, working on `run`.
    pub(crate) fn here(run: &str) -> Owner {
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        Owner { host: host().to_owned(), pid: std::process::id(), user: user.unwrap_or_else(|| "unknown".into()), run: run.to_owned() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} of {} on {} (process {})", self.run, self.user, self.host, self.pid)
    }
}

/// The name of this machine.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let of_environment = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let of_program = || {
            let output = std::process::Command::new("hostname").output().ok()?;
            String::from_utf8(output.stdout).ok()
        };
        let name = of_kernel().or_else(of_environment).or_else(of_program).unwrap_or_default();
        if name.trim().is_empty() { "unknown".into() } else { name.trim().to_owned() }
    })
}

/// What stands in a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    owner: Owner,
    taken: DateTime<Utc>,
    expires: DateTime<Utc>,
}

/// A lock that is held; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Its name: `aws-123456789012`.
    pub(crate) name: String,
    /// Whose it was, where it was left behind.
    pub(crate) left_by: Option<String>,
    path: PathBuf,
    file: File,
    disk: Arc<dyn Disk>,
    content: Content,
}

impl Lock {
    /// Takes the lock of an account.
    ///
    /// # Errors
    /// `Refused` with the holder; `Io`.
    pub(crate) fn take(store: &Store, provider: &str, account: &str, owner: &Owner, clock: &Clock) -> Result<Lock, RotationError> {
        let folder = store.locks();
        store.make_folder(&folder)?;
        let name = format!("{provider}-{}", account.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_"));
        let path = folder.join(format!("{name}.lock"));
        let mut file = private().read(true).create(true).truncate(false).open(&path).map_err(|e| unwritable(&path, &e))?;
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(unwritable(&path, &e)),
        };
        let text = read(&mut file).map_err(|e| unwritable(&path, &e))?;
        let found: Option<Content> = serde_json::from_str(&text).ok();
        let now = clock.0.now();
        let refused = |who: String| {
            let hint = "wait for it, or go on with it there";
            RotationError::Refused { message: format!("account {account} is being worked on by {who}: {hint} ({})", path.display()) }
        };
        let left_by = match (found, locked) {
            (Some(content), false) => return Err(refused(content.owner.to_string())),
            (None, false) => return Err(refused("another process".into())),
            (Some(content), true) if content.owner.host != owner.host && content.expires > now => {
                return Err(refused(format!("{}, until {} if it is no more", content.owner, content.expires.format("%FT%TZ"))));
            }
            (Some(content), true) => Some(content.owner.to_string()),
            (None, true) if text.trim().is_empty() => None,
            (None, true) => Some("nobody knows whom".into()),
        };
        let content = Content { owner: owner.clone(), taken: now, expires: now + LEASE };
        let mut lock = Lock { name, left_by, path, file, disk: Arc::clone(store.disk()), content };
        lock.write()?;
        Ok(lock)
    }

    /// Moves the expiry on, if that is due.
    ///
    /// # Errors
    /// `Refused` if somebody else has taken the lock meanwhile; `Io`.
    pub(crate) fn renew(&mut self, now: DateTime<Utc>) -> Result<(), RotationError> {
        if now < self.content.expires - LEASE + RENEW {
            return Ok(());
        }
        let text = read(&mut self.file).map_err(|e| unwritable(&self.path, &e))?;
        match serde_json::from_str::<Content>(&text) {
            Ok(found) if found == self.content => {}
            other => {
                let who = other.map_or_else(|_| "somebody".to_owned(), |c| c.owner.to_string());
                return Err(RotationError::Refused {
                    message: format!("{}: the lock expired and was taken by {who}: nothing more is done here", self.path.display()),
                });
            }
        }
        self.content.expires = now + LEASE;
        self.write()
    }

    fn write(&mut self) -> Result<(), RotationError> {
        let text = serde_json::to_string(&self.content)
            .map_err(|e| RotationError::Internal { message: format!("a lock cannot be written as JSON: {e}") })?;
        self.replace(text.as_bytes()).map_err(|e| unwritable(&self.path, &e))
    }
}

impl Lock {
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.cut(&mut self.file, 0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.disk.put(&mut self.file, bytes)
    }
}

impl Drop for Lock {
    /// The file stays, empty: removing it would let two processes lock two files of one name. If emptying it fails, the next run says
    /// that it took over a stale lock, which is harmless.
    fn drop(&mut self) {
        let ours = read(&mut self.file).is_ok_and(|text| serde_json::from_str::<Content>(&text).is_ok_and(|c| c == self.content));
        if ours {
            let _ = self.disk.cut(&mut self.file, 0);
        }
    }
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(64 * 1024).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::world::TestTime;

    fn owner(host: &str, run: &str) -> Owner {
        Owner { host: host.into(), pid: 7, user: "ada".into(), run: run.into() }
    }

    fn setting() -> (tempfile::TempDir, Store, std::sync::Arc<TestTime>, Clock) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"));
        let time = TestTime::new();
        let clock = Clock(time.clone());
        (folder, store, time, clock)
    }

    #[test]
    fn two_runs_of_one_account_cannot_overlap() {
        let (_folder, store, _, clock) = setting();
        let other = store.clone();
        let first = Lock::take(&store, "aws", "123456789012", &owner("a", "r1"), &clock).unwrap();
        assert_eq!(first.left_by, None);
        let error = Lock::take(&other, "aws", "123456789012", &owner("a", "r2"), &clock).unwrap_err().to_string();
        assert!(error.contains("run r1 of ada on a (process 7)"), "{error}");
        let elsewhere = Lock::take(&other, "aws", "210987654321", &owner("a", "r2"), &clock).unwrap();
        assert_eq!(elsewhere.name, "aws-210987654321");
        drop(first);
        assert_eq!(Lock::take(&other, "aws", "123456789012", &owner("a", "r2"), &clock).unwrap().left_by, None);
    }

    /// What a process that was killed leaves: content, and no lock of the system.
    fn abandoned(store: &Store, host: &str, clock: &Clock) -> PathBuf {
        let lock = Lock::take(store, "azure", "Sub/1", &owner(host, "dead"), clock).unwrap();
        let (path, content) = (lock.path.clone(), std::fs::read(&lock.path).unwrap());
        drop(lock);
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn a_lock_of_a_dead_process_is_taken_over_and_said_so() {
        let (_folder, store, _, clock) = setting();
        let path = abandoned(&store, "a", &clock);
        assert_eq!(path.file_name().unwrap(), "azure-sub_1.lock");
        let lock = Lock::take(&store, "azure", "Sub/1", &owner("a", "r2"), &clock).unwrap();
        assert_eq!(lock.left_by.as_deref(), Some("run dead of ada on a (process 7)"));
        drop(lock);
        std::fs::write(&path, "{half").unwrap();
        assert!(Lock::take(&store, "azure", "Sub/1", &owner("a", "r2"), &clock).unwrap().left_by.is_some());
    }

    #[test]
    fn another_machine_holds_it_until_it_expires() {
        let (_folder, store, time, clock) = setting();
        abandoned(&store, "b", &clock);
        time.pass(TimeDelta::minutes(14));
        let error = Lock::take(&store, "azure", "Sub/1", &owner("a", "r2"), &clock).unwrap_err().to_string();
        assert!(error.contains("run dead of ada on b"), "{error}");
        time.pass(TimeDelta::minutes(1));
        assert!(Lock::take(&store, "azure", "Sub/1", &owner("a", "r2"), &clock).unwrap().left_by.is_some());
    }

    #[test]
    fn renewing_moves_the_expiry_and_notices_a_usurper() {
        let (_folder, store, time, clock) = setting();
        let mut lock = Lock::take(&store, "aws", "1", &owner("a", "r1"), &clock).unwrap();
        let before = std::fs::read(&lock.path).unwrap();
        time.pass(TimeDelta::seconds(59));
        lock.renew(clock.0.now()).unwrap();
        assert_eq!(std::fs::read(&lock.path).unwrap(), before, "not due yet");
        time.pass(TimeDelta::minutes(9));
        lock.renew(clock.0.now()).unwrap();
        let content: Content = serde_json::from_slice(&std::fs::read(&lock.path).unwrap()).unwrap();
        assert_eq!(content.expires, clock.0.now() + LEASE);
        std::fs::write(&lock.path, serde_json::to_vec(&Content { owner: owner("b", "r9"), ..content }).unwrap()).unwrap();
        time.pass(TimeDelta::minutes(2));
        assert!(lock.renew(clock.0.now()).unwrap_err().to_string().contains("run r9"));
        let path = lock.path.clone();
        drop(lock);
        assert!(!std::fs::read(&path).unwrap().is_empty(), "what is another's is not emptied");
    }
}
