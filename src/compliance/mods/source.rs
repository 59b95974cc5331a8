//! Files of a mod: found, read and parsed side by side; offsets become places.

use crate::yaml::error_at;
use crate::{ContentError, LoadError, Place};
use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this do not make parsing faster.
const MAX_THREADS: usize = 8;

/// Expressions may nest deeply; the stacks of threads that walk them are this large.
const STACK: usize = 64 << 20;

/// So many keys that come twice in their objects are put up with in one file.
const MAX_REPEATED: usize = 1_000;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: Arc<str>,
    pub(crate) text: String,
    pub(crate) body: Body,
    /// Where lines begin.
    lines: Vec<usize>,
    /// Keys that come twice in their object, by their place in the text. HCL takes the last of them; the parser knows them by another name.
    pub(crate) repeated: BTreeMap<usize, String>,
}

impl Source {
    pub(crate) fn parse(path: &str, text: String) -> Result<Source, ContentError> {
        // Editors of Windows begin a file with a mark that HCL does not know.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let mut source = Source::of(Arc::from(path), text);
        let mut parsed = hcl_edit::parser::parse_body(&source.text);
        let mut other: Option<String> = None;
        while let Err(e) = &parsed {
            let at = e.location();
            let offset = source.offset(at.line(), at.column());
            let text = other.get_or_insert_with(|| source.text.clone());
            let renamed = e.message().contains("unique object key") && source.repeated.len() < MAX_REPEATED;
            if !renamed || !rename(text, offset, &mut source.repeated) {
                return Err(syntax(&Place { file: source.path.clone(), line: at.line(), column: at.column() }, e.message()));
            }
            parsed = hcl_edit::parser::parse_body(text);
        }
        if let Ok(body) = parsed {
            source.body = body;
        }
        Ok(source)
    }

    /// A text without blocks: where its places are.
    pub(crate) fn of(path: Arc<str>, text: String) -> Source {
        let lines = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1)).collect();
        Source { path, text, body: Body::new(), lines, repeated: BTreeMap::new() }
    }

    pub(crate) fn place(&self, span: Option<Range<usize>>) -> Place {
        self.place_of(span.map_or(0, |s| s.start))
    }

    /// The place of a byte.
    pub(crate) fn place_of(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        Place { file: self.path.clone(), line, column: self.text.get(start..offset).unwrap_or_default().chars().count() + 1 }
    }

    /// The byte of a place.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(i, _)| i)
    }
}

/// Gives the key at a place a name of the same length that its object hopefully does not have; the first of a name is tried first.
fn rename(text: &mut String, offset: usize, repeated: &mut BTreeMap<usize, String>) -> bool {
    let rest = text.get(offset..).unwrap_or_default();
    let quote = usize::from(rest.starts_with('"'));
    let word: usize = rest[quote..]
        .chars()
        .take_while(|c| if quote == 1 { !matches!(c, '"' | '\\' | '$' | '%') } else { is_word(*c) })
        .map(char::len_utf8)
        .sum();
    if word == 0 || (quote == 1 && rest.as_bytes().get(word + 1) != Some(&b'"')) {
        return false;
    }
    let (start, end) = (offset + quote, offset + quote + word);
    let original = text[start..end].to_owned();
    let known = repeated.len();
    repeated.entry(offset).or_insert(original);
    // A name that is taken comes back here, and then the next one is tried.
    let mut n = if repeated.len() > known { 0 } else { number(&text[start..end]) + 1 };
    let mut name = vec![b'a'; word];
    for letter in name.iter_mut().rev() {
        *letter = b'a' + u8::try_from(n % 26).unwrap_or(0);
        n /= 26;
    }
    if n > 0 {
        return false;
    }
    text.replace_range(start..end, &String::from_utf8_lossy(&name));
    true
}

/// The number that [`rename`] made a name of.
fn number(name: &str) -> usize {
    name.bytes().fold(0usize, |n, b| n.saturating_mul(26).saturating_add(usize::from(b.saturating_sub(b'a'))))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
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
    let (mut sources, mut bad) = (Vec::new(), Vec::new());
    for source in in_parallel(&paths, read) {
        match source {
            Ok(source) => sources.push(source),
            Err(LoadError::Content(e)) => bad.push(e),
            Err(other) => return Err(other),
        }
    }
    // What is in a bad file is not known, so there is no use in looking for what else is wrong.
    LoadError::of(bad).map_or(Ok(sources), Err)
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
        } else if is_root && name == "mod.sp" && folder.join("mod.pp").is_file() {
            // The same mod, described for the program before.
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
    fn places_and_bytes() {
        let source = Source::of("f.pp".into(), "aü\n\nxyz".to_owned());
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (3, 1, 3), (4, 2, 1), (5, 3, 1), (7, 3, 3), (8, 3, 4)] {
            let at = source.place_of(offset);
            assert_eq!((at.line, at.column), (line, column), "{offset}");
            assert_eq!(source.offset(line, column), offset, "{line}:{column}");
        }
        assert_eq!(source.place_of(99).column, 4);
        assert_eq!(source.offset(9, 9), 8);
    }

    #[test]
    fn keys_may_come_twice() {
        let names = |text: &str| Source::parse("f.pp", text.to_owned()).map(|s| s.repeated.into_values().collect::<Vec<_>>());
        assert_eq!(names("a = { b = 1, b = 2, \"c d\" = 1, \"c d\" = 2, b = 3 }\n").unwrap(), ["b", "c d", "b"]);
        assert_eq!(names("a = { a = 1, b = 1, b = 2 }\n").unwrap(), ["b"]);
        assert!(names("a = { (b) = 1, (b) = 2 }\n").is_err());
    }

    #[test]
    fn work_keeps_its_order() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(&items, |i| i * 2), items.iter().map(|i| i * 2).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[usize], |i| *i).is_empty());
    }
}
