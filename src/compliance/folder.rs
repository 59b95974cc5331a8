//! Content files of a folder: finds and reads them, understands nothing of them.

use crate::LoadError;
use std::path::{Path, PathBuf};

/// Path and text of every `.yaml` file below a folder, in the order of their names; not of those whose name begins with `_` or `.`.
///
/// # Errors
/// `Io` with the path that cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Vec<(String, String)>, LoadError> {
    let mut paths = Vec::new();
    walk(folder, &mut paths)?;
    let mut files = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Io { path: path.display().to_string(), source })?;
        files.push((path.display().to_string(), text));
    }
    Ok(files)
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let io = |source| LoadError::Io { path: folder.display().to_string(), source };
    let mut entries = std::fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if entry.file_type().map_err(io)?.is_dir() {
            walk(&entry.path(), out)?;
        } else if name.ends_with(".yaml") {
            out.push(entry.path());
        }
    }
    Ok(())
}
