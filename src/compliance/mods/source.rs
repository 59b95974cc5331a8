//! Files of a mod: found, read and parsed side by side; offsets become places.

use crate::yaml::error_at;
use crate::{ContentError, LoadError, Place};
use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this do not make parsing faster.
const MAX_THREADS: usize = 8;

/// Expressions may nest deeply; the stacks of threads that walk them are this large.
const STACK: usize = 64 << 20;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: Arc<str>,
    pub(crate) text: String,
    pub(crate) body: Body,
}

impl Source {
    pub(crate) fn parse(path: &str, text: String) -> Result<Source, ContentError> {
        let path: Arc<str> = Arc::from(path);
        // Editors of Windows begin a file with a mark that HCL does not know.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        match hcl_edit::parser::parse_body(&text) {
            Ok(body) => Ok(Source { path, text, body }),
            Err(e) => {
                let at = e.location();
                Err(syntax(&Place { file: path, line: at.line(), column: at.column() }, e.message()))
            }
        }
    }

    pub(crate) fn place(&self, span: Option<Range<usize>>) -> Place {
        let offset = span.map_or(0, |s| s.start).min(self.text.len());
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Place {
            file: self.path.clone(),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

/// An expression that stands alone, such as the value of a variable; `None`: it is none.
pub(crate) fn expression(text: &str) -> Option<Expression> {
    hcl_edit::parser::parse_expr(text.trim()).ok()
}

fn syntax(place: &Place, message: &str) -> ContentError {
    let hint =
        if message.contains("unique attribute key") { "keep one of the two" } else { "check quotes, brackets and heredocs up to here" };
    error_at(place, message.to_lowercase(), Some(hint.to_owned()))
}

/// Reads and parses the files of a mod, in the order of their paths.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Source>, LoadError> {
    let mut paths = Vec::new();
    walk(folder, true, &mut paths)?;
    let read = |path: &PathBuf| -> Result<Source, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Io { path: path.display().to_string(), source })?;
        Ok(Source::parse(&path.display().to_string(), text)?)
    };
    in_parallel(&paths, read).into_iter().collect()
}

/// Does `work` for each item on a few threads; results come in the order of the items.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS)).min(items.len());
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            match items.get(i) {
                Some(item) => done.push((i, work(item))),
                None => return done,
            }
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let spawned: Vec<_> =
            (0..threads).map_while(|_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run).ok()).collect();
        let mut results = if spawned.is_empty() { run() } else { Vec::new() };
        for thread in spawned {
            match thread.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, r)| r).collect()
}

/// Is it a folder with a mod in it?
pub(crate) fn mod_file(folder: &Path) -> Option<PathBuf> {
    ["mod.pp", "mod.sp"].into_iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

fn walk(folder: &Path, is_root: bool, out: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    // Another mod below this one is not a part of it.
    if !is_root && mod_file(folder).is_some() {
        return Ok(());
    }
    let io = |source| LoadError::Io { path: folder.display().to_string(), source };
    let mut entries = std::fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(io)?.is_dir() {
            walk(&entry.path(), false, out)?;
        } else if name.ends_with(".pp") || name.ends_with(".sp") {
            out.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_have_their_place() {
        for (text, want) in [
            ("control \"a\" {\n  title = \n}\n", "f.pp:2:"),
            ("control \"a\" {\n  title = \"x\"\n  title = \"y\"\n}\n", "f.pp:3:3: invalid attribute"),
            ("control \"a\" {\n  title = \"x\n}\n", "f.pp:"),
            ("x = <<-EOQ\n  never ends\n", "f.pp:"),
            ("locals {\n  a = [1, 2\n}\n", "f.pp:"),
        ] {
            let error = Source::parse("f.pp", text.to_owned()).unwrap_err();
            assert!(error.to_string().starts_with(want), "{text:?} gave {error}");
            assert!(error.hint.is_some());
        }
        assert!(Source::parse("f.pp", "\u{feff}a = 1\n".to_owned()).is_ok());
    }

    #[test]
    fn work_keeps_its_order() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(&items, |i| i * 2), items.iter().map(|i| i * 2).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[usize], |i| *i).is_empty());
    }
}
