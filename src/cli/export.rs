//! Files that are whole or not there: written beside their place, then renamed.

use crate::exit::Failed;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file being written. It takes its place with [`Pending::commit`]; dropped before, it leaves nothing behind.
pub(crate) struct Pending {
    path: PathBuf,
    /// `None` for a device or pipe (`/dev/stdout`), which is written to directly.
    temporary: Option<PathBuf>,
    file: BufWriter<File>,
}

/// Writes a file; a reader sees the old content or the new, never a part.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let mut pending = Pending::open(path)?;
    pending.write_all(bytes).map_err(|e| Failed::file("write", path, &e))?;
    pending.commit()
}

impl Pending {
    /// Opens a file beside `path`, in the same folder, so that renaming stays within the file system.
    pub(crate) fn open(path: &Path) -> Result<Pending, Failed> {
        let failed = |e: io::Error| Failed::file("write", path, &e);
        let path = match fs::metadata(path) {
            Ok(meta) if !meta.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Pending { path: path.to_owned(), temporary: None, file: BufWriter::new(file) });
            }
            // A link keeps pointing to the file.
            Ok(_) => fs::canonicalize(path).map_err(failed)?,
            Err(_) => path.to_owned(),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = create(&temporary).map_err(failed)?;
        Ok(Pending { path, temporary: Some(temporary), file: BufWriter::new(file) })
    }

    /// Puts the file in its place.
    pub(crate) fn commit(mut self) -> Result<(), Failed> {
        let failed = |e: io::Error| Failed::file("write", &self.path, &e);
        self.file.flush().map_err(failed)?;
        if let Some(temporary) = &self.temporary {
            self.file.get_ref().sync_all().map_err(failed)?;
            fs::rename(temporary, &self.path).map_err(failed)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn files_are_replaced_whole_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        let mut lost = Pending::open(&path).unwrap();
        lost.write_all(b"three").unwrap();
        drop(lost);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(write(&dir.path().join("no/r.csv"), b"x").unwrap_err().exit, Exit::Io);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("t.csv"), dir.path().join("l.csv"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write(Path::new("/dev/null"), b"x").unwrap();
    }
}
