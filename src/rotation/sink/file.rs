//! A file: first under a hidden name beside its place, mode 0600, then renamed. Refuses to replace a file, to follow a name out of its
//! folder, and to write where others may meddle.

use super::encrypt::Encryption;
use super::template::Template;
use super::text::Recipients;
use super::token::token;
use super::{Delivery, Label, Sink, SinkError, Standing, other};
use crate::secret::wipe;
use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What may stand in a file's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@').remove(b'=').remove(b'+').remove(b',');

/// A document is small; nothing bigger is one.
const LARGEST: u64 = 64 << 10;

/// A sink that is a file.
#[derive(Debug)]
pub(crate) struct File {
    path: Template,
    encryption: Option<Encryption>,
    home: Option<PathBuf>,
}

/// Where a secret is first, and where it is then.
#[derive(Debug)]
struct Places {
    folder: PathBuf,
    hidden: PathBuf,
    path: PathBuf,
}

/// What stands at a file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Ours,
    Foreign,
    /// It is encrypted, and its name does not say.
    Unclear,
}

impl File {
    pub(crate) fn new(path: Template, recipients: Recipients) -> File {
        File { path, encryption: Encryption::new(recipients), home: std::env::var_os("HOME").map(PathBuf::from) }
    }

    fn places(&self, label: &Label) -> Result<Places, SinkError> {
        let text = self.path.fill(label, encoded);
        let path = match text.strip_prefix("~/") {
            Some(rest) => self.home.as_ref().ok_or_else(|| other("`~` is the folder that HOME names, and HOME is not set"))?.join(rest),
            None => PathBuf::from(&text),
        };
        let path = std::path::absolute(&path).map_err(|e| other(format!("{text}: {e}")))?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
            return Err(other(format!("{} is no path of a file", path.display())));
        };
        // The name tells this value of the key from others.
        let hidden = folder.join(format!(".{name}.{}.new", token(label)));
        Ok(Places { folder: folder.to_owned(), hidden, path: path.clone() })
    }

    fn found(&self, places: &Places, label: &Label) -> Result<Found, SinkError> {
        let meta = match fs::symlink_metadata(&places.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(failed(&places.path, &e)),
        };
        // A crash between the two halves of a rename leaves both names.
        if fs::symlink_metadata(&places.hidden).is_ok_and(|h| (h.dev(), h.ino()) == (meta.dev(), meta.ino())) {
            return Ok(Found::Ours);
        }
        if !meta.is_file() {
            return Ok(Found::Foreign);
        }
        if self.encryption.is_some() {
            return Ok(if self.path.tells_keys_apart() { Found::Ours } else { Found::Unclear });
        }
        Ok(if is_of(&places.path, label).map_err(|e| failed(&places.path, &e))? { Found::Ours } else { Found::Foreign })
    }

    fn write(places: &Places, content: &[u8]) -> io::Result<()> {
        match fs::remove_file(&places.hidden) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // Made anew or not at all: neither a file nor a link of somebody else is written through.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&places.hidden)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        sync(&places.folder)
    }
}

/// A value as part of a file's name: no separator, and no name that means a folder.
fn encoded(value: &str) -> String {
    match value.bytes().all(|b| b == b'.') {
        true => value.replace('.', "%2E"),
        false => utf8_percent_encode(value, PLAIN).to_string(),
    }
}

fn failed(path: &Path, error: &io::Error) -> SinkError {
    other(format!("{}: {error}", path.display()))
}

/// What was changed in a folder outlives a crash.
fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Is it a document about this key?
fn is_of(path: &Path, label: &Label) -> io::Result<bool> {
    let mut text = Zeroizing::new(Vec::with_capacity(LARGEST as usize));
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    let Ok(mut document) = serde_json::from_slice::<Value>(&text) else { return Ok(false) };
    let says = |name: &str, wanted: &str| document.get(name).and_then(Value::as_str) == Some(wanted);
    let of_user = says("aws_access_key_id", &label.key) && says("user_name", &label.owner);
    let of_account = says("account_name", &label.owner) && says("key_name", &label.key);
    let is = of_user || of_account;
    wipe(&mut document);
    Ok(is)
}

#[async_trait]
impl Sink for File {
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError> {
        Ok(Some(format!("file {}", self.places(&label.foreseen())?.path.display())))
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        let places = self.places(&label.foreseen())?;
        let folder = fs::metadata(&places.folder).map_err(|e| failed(&places.folder, &e))?;
        if !folder.is_dir() {
            return Err(other(format!("{} is no folder", places.folder.display())));
        }
        let mode = folder.permissions().mode();
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(other(format!("everybody may write to {}: choose a folder of your own", places.folder.display())));
        }
        if fs::symlink_metadata(&places.path).is_ok() {
            return Err(other(format!("{} exists, and a file is never replaced: move it away", places.path.display())));
        }
        if let Some(encryption) = &self.encryption {
            encryption.check().await.map_err(other)?;
        }
        Ok(())
    }

    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let places = self.places(&delivery.label)?;
        let text = delivery.document.expose();
        let written = match &self.encryption {
            Some(encryption) => File::write(&places, &encryption.encrypt(text).await.map_err(other)?),
            None => File::write(&places, text.as_bytes()),
        };
        written.map_err(|e| failed(&places.hidden, &e))
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let places = self.places(&delivery.label)?;
        let stored = fs::symlink_metadata(&places.hidden).is_ok();
        match self.found(&places, &delivery.label)? {
            Found::Nothing if stored => {
                let mut hidden = tempfile::TempPath::try_from_path(&places.hidden).map_err(|e| failed(&places.hidden, &e))?;
                hidden.disable_cleanup(true);
                hidden.persist_noclobber(&places.path).map_err(|e| failed(&places.path, &e.error))?;
            }
            Found::Nothing => return Err(other(format!("{} was not stored before", places.path.display()))),
            // Done before; perhaps but for this.
            Found::Ours if stored => fs::remove_file(&places.hidden).map_err(|e| failed(&places.hidden, &e))?,
            Found::Ours => {}
            Found::Unclear if !stored => {}
            Found::Foreign | Found::Unclear => {
                return Err(other(format!("{} has appeared meanwhile, and a file is never replaced", places.path.display())));
            }
        }
        sync(&places.folder).map_err(|e| failed(&places.folder, &e))
    }

    async fn withdraw(&self, label: &Label) -> Result<(), SinkError> {
        let places = self.places(label)?;
        let found = self.found(&places, label)?;
        let stored = fs::symlink_metadata(&places.hidden).is_ok();
        let remove = |path: &Path| fs::remove_file(path).map_err(|e| failed(path, &e));
        if found == Found::Ours {
            remove(&places.path)?;
        }
        if stored {
            remove(&places.hidden)?;
        }
        if found == Found::Unclear && !stored {
            return Err(other(format!(
                "{} is encrypted, so nobody can tell whether it is this key's: remove it yourself",
                places.path.display()
            )));
        }
        match places.folder.is_dir() {
            true => sync(&places.folder).map_err(|e| failed(&places.folder, &e)),
            false => Ok(()),
        }
    }

    async fn standing(&self, label: &Label) -> Result<Standing, SinkError> {
        let places = self.places(label)?;
        let stored = fs::symlink_metadata(&places.hidden).is_ok();
        Ok(match self.found(&places, label)? {
            Found::Ours => Standing::Current,
            _ if stored => Standing::Stored,
            Found::Unclear => Standing::Unknown,
            Found::Nothing | Found::Foreign => Standing::Absent,
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
