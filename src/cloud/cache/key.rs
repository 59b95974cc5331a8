//! The key of the cache on disk: from the operating system's key ring, or from a file. Made at first use, shown to nobody. Refuses a
//! file that others can read.

use super::segment::{random, stamp};
use super::settings::{DiskCache, KeySource, private_file, private_folder};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// 256 bits.
pub(super) const LENGTH: usize = 32;

pub(super) type Master = Zeroizing<[u8; LENGTH]>;

/// The key, made if there is none; or why it cannot be had.
pub(super) fn master(settings: &DiskCache) -> Result<Master, String> {
    match &settings.key {
        KeySource::Os => ring::get(&settings.folder),
        KeySource::File(path) => file(path),
        KeySource::Any(path) => ring::get(&settings.folder).or_else(|_| file(path)),
    }
}

/// Where the key comes from, for people.
pub(super) fn describe(settings: &DiskCache) -> String {
    let state = |path: &Path| if path.exists() { "" } else { " (not made yet)" };
    let file = |path: &Path| format!("file {}{}", path.display(), state(path));
    match &settings.key {
        KeySource::Os => match ring::there() {
            Ok(()) => ring::NAME.to_owned(),
            Err(why) => format!("none: {why}"),
        },
        KeySource::File(path) => file(path),
        KeySource::Any(_) if ring::there().is_ok() => ring::NAME.to_owned(),
        KeySource::Any(path) => file(path),
    }
}

fn file(path: &Path) -> Result<Master, String> {
    let failed = |verb: &str, e: &io::Error| format!("cannot {verb} the key file {}: {e}", path.display());
    match fs::File::open(path) {
        Ok(file) => read(path, file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(|e| failed("make", &e))?;
            // Another process may have been faster; then its key is the one.
            fs::File::open(path).map_err(|e| failed("read", &e)).and_then(|file| read(path, file))
        }
        Err(e) => Err(failed("read", &e)),
    }
}

fn read(path: &Path, mut file: fs::File) -> Result<Master, String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(|e| format!("cannot read the key file {}: {e}", path.display()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(format!("the key file {} can be read by others: chmod 600 it, or remove it", path.display()));
        }
    }
    // One byte more, to see that there is none.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    let read = Read::by_ref(&mut file).take(LENGTH as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| format!("cannot read the key file {}: {e}", path.display()))?;
    let key = <[u8; LENGTH]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new)
        .map_err(|_| format!("the key file {} is not {LENGTH} bytes long: remove it, and a new one is made", path.display()))
}

/// Makes the file, whole or not at all; one that appeared meanwhile stays.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        private_folder(folder)?;
    }
    let draft = path.with_extension(format!("{}.tmp", stamp()));
    let written = private_file(&draft).and_then(|mut file| {
        file.write_all(fresh()?.as_slice())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

fn fresh() -> io::Result<Master> {
    random().map(Zeroizing::new)
}

/// The user's persistent key ring of the Linux kernel: it outlives sessions, and forgets a key that nobody used for some days.
#[cfg(target_os = "linux")]
mod ring {
    use super::{LENGTH, Master, fresh, private_folder};
    use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
    use std::fs::File;
    use std::path::Path;
    use zeroize::Zeroizing;

    pub(super) const NAME: &str = "the kernel's persistent key ring";

    fn open() -> Result<KeyRing, String> {
        KeyRing::get_persistent(KeyRingIdentifier::Process).map_err(|e| format!("the kernel gives no persistent key ring: {e:?}"))
    }

    pub(super) fn there() -> Result<(), String> {
        open().map(drop)
    }

    pub(super) fn get(folder: &Path) -> Result<Master, String> {
        let ring = open()?;
        // Two processes that begin at the same time must not make two keys.
        let lock = private_folder(folder).and_then(|()| File::options().create(true).append(true).open(folder.join("lock")));
        let lock = lock.and_then(|file| file.lock().map(|()| file)).map_err(|e| format!("cannot lock {}: {e}", folder.display()))?;
        let name = format!("assay:cache:{}", folder.display());
        let key = match ring.search(&name) {
            Ok(key) => key,
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => {
                let fresh = fresh().map_err(|e| e.to_string())?;
                ring.add_key(&name, fresh.as_slice()).map_err(|e| format!("the kernel's key ring takes no key: {e:?}"))?
            }
            Err(e) => return Err(format!("the kernel's key ring cannot be searched: {e:?}")),
        };
        let mut bytes = Zeroizing::new([0_u8; LENGTH]);
        let length = key.read(&mut *bytes).map_err(|e| format!("the key in the kernel's key ring cannot be read: {e:?}"))?;
        drop(lock);
        if length == LENGTH { Ok(bytes) } else { Err(format!("the key {name} in the kernel's key ring is not {LENGTH} bytes long")) }
    }
}

#[cfg(not(target_os = "linux"))]
mod ring {
    use super::Master;
    use std::path::Path;

    pub(super) const NAME: &str = "";

    pub(super) fn there() -> Result<(), String> {
        Err("assay uses no key ring of this operating system: name a file, `key: file:PATH`".to_owned())
    }

    pub(super) fn get(_: &Path) -> Result<Master, String> {
        there().map(|()| Master::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/cache.key");
        let first = file(&path).unwrap();
        assert_eq!(*file(&path).unwrap(), *first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        let other = file(&dir.path().join("other.key")).unwrap();
        assert_ne!(*other, *first);
    }

    #[test]
    fn a_key_file_that_is_not_sound_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.key");
        for (bytes, mode, why) in
            [(&[1_u8; 32][..], 0o644, "can be read by others"), (&[1; 31], 0o600, "bytes long"), (&[1; 33], 0o600, "bytes long")]
        {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = file(&path).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(file(&dir.path().join("cache.key/x")).unwrap_err().starts_with("cannot "));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_key_ring_gives_the_same_key_again_and_another_folder_another() {
        // Containers often have none; then there is nothing to test but that it is said.
        if let Err(why) = ring::there() {
            assert!(why.contains("key ring"), "{why}");
            return;
        }
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = ring::get(one.path()).unwrap();
        assert_eq!(*ring::get(one.path()).unwrap(), *first);
        assert_ne!(*ring::get(two.path()).unwrap(), *first);
    }
}
