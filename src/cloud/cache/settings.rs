//! What is set about the disk, and what can be done with it without a cloud: look at it, and clear it.

use super::{key, segment, store};
use chrono::{DateTime, Utc};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where answers are kept for the next process, how many, and under which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache {
    /// The folder; each connection has one of its own in it.
    pub folder: PathBuf,
    /// Bytes that a connection may take.
    pub max_bytes: u64,
    /// Where the key comes from.
    pub key: KeySource,
}

/// Where the key comes from that answers on disk are encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The key ring of the operating system where it has one that lasts, else this file.
    Any(PathBuf),
    /// The key ring of the operating system: of Linux, the user's persistent key ring.
    Os,
    /// This file of 32 bytes; made, readable by nobody else, where there is none.
    File(PathBuf),
}

/// What is kept of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// The connection.
    pub connection: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Answers; of a listing all pages are one.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the oldest answer was asked for.
    pub oldest: Option<DateTime<Utc>>,
}

impl DiskCache {
    /// What is kept, by connection. Needs no key.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn status(&self) -> io::Result<Vec<StoreStatus>> {
        let mut all = Vec::new();
        for (connection, folder) in self.stores()? {
            let mut status = StoreStatus { connection, folder, entries: 0, bytes: 0, oldest: None };
            for (path, bytes) in store::segments(&status.folder)? {
                status.bytes += bytes;
                if let Some((entries, oldest)) = segment::summary(&path) {
                    status.entries += entries;
                    status.oldest = status.oldest.into_iter().chain(oldest).min();
                }
            }
            all.push(status);
        }
        Ok(all)
    }

    /// Removes what is kept of these connections, or of all; gives what there was.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self, connections: &[String]) -> io::Result<Vec<StoreStatus>> {
        let mut cleared = self.status()?;
        cleared.retain(|store| connections.is_empty() || connections.contains(&store.connection));
        for store in &cleared {
            store::clear(&store.folder)?;
        }
        Ok(cleared)
    }

    /// Where the key comes from, for people; makes none.
    pub fn key_text(&self) -> String {
        key::describe(self)
    }

    /// Connections that have a folder, with it, by name.
    fn stores(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Some(name) = entry.file_name().to_str().and_then(connection_of)
            {
                found.push((name, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn store_of(&self, connection: &str) -> PathBuf {
        self.folder.join(folder_of(connection))
    }
}

/// Names of connections may hold anything but a slash; names of folders of ours are letters, digits, `-`, `_` and `%`.
const ENCODED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_');

fn folder_of(connection: &str) -> String {
    percent_encoding::utf8_percent_encode(connection, ENCODED).to_string()
}

fn connection_of(folder: &str) -> Option<String> {
    let name = percent_encoding::percent_decode_str(folder).decode_utf8().ok()?.into_owned();
    (folder_of(&name) == folder).then_some(name)
}

/// Makes a folder, with those above it, that nobody else can look into.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            // Whose folder it is not, cannot do this.
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Makes a file that nobody else can read; there must be none.
pub(super) fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_connections() {
        for (connection, folder) in [("prod", "prod"), ("a b.c", "a%20b%2Ec"), ("..", "%2E%2E"), ("ä", "%C3%A4")] {
            assert_eq!(folder_of(connection), folder);
            assert_eq!(connection_of(folder).as_deref(), Some(connection));
        }
        for foreign in [".git", "a.b", "%41", "%ff"] {
            assert_eq!(connection_of(foreign), None, "{foreign}");
        }
    }
}
