//! Functions that read files of the mod, and only those: a path that leads out of its folder is refused.

use super::{Args, Done, Wrong, bad, count, hashes};
use crate::mods::eval::{Evaluator, Frame, Names};
use crate::mods::source::Source;
use crate::mods::template::{self, Style};
use crate::mods::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use globset::GlobBuilder;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Their names.
pub(crate) const NAMES: &[&str] = &[
    "basename",
    "dirname",
    "file",
    "filebase64",
    "filebase64sha256",
    "filebase64sha512",
    "fileexists",
    "filemd5",
    "fileset",
    "filesha1",
    "filesha256",
    "filesha512",
    "templatefile",
];

/// More files than this are not listed.
const MAX_FILES: usize = 10_000;

/// A file beyond this is not read.
const MAX_FILE: u64 = 16 << 20;

/// Calls one of them; `None`: it is none.
pub(crate) fn call(ev: &Evaluator<'_>, frame: &Frame<'_>, name: &str, args: &[Value]) -> Option<Done> {
    if !NAMES.contains(&name) {
        return None;
    }
    let most = if matches!(name, "templatefile" | "fileset") { 2 } else { 1 };
    if let Err(wrong) = count(args.len(), most, most) {
        return Some(Err(wrong));
    }
    Some(one(ev, frame, name, &Args(args.to_vec())))
}

fn one(ev: &Evaluator<'_>, frame: &Frame<'_>, name: &str, a: &Args) -> Done {
    let given = a.text(0)?;
    let folder = &ev.world.modules[frame.module].folder;
    Ok(match name {
        "basename" => Value::text(base(&given)),
        "dirname" => Value::text(directory(&given)),
        "fileexists" => {
            let path = inside(folder, &given)?;
            if path.is_dir() {
                return Err(bad(0, format!("'{given}' is a folder, not a file")));
            }
            Value::Bool(path.is_file())
        }
        "fileset" => set(folder, &given, &a.text(1)?)?,
        "filebase64sha256" | "filebase64sha512" | "filemd5" | "filesha1" | "filesha256" | "filesha512" => {
            Value::text(hashes::digest(name.trim_start_matches("file"), &bytes(folder, &given)?))
        }
        "file" => Value::text(text(folder, &given)?),
        "filebase64" => Value::text(STANDARD.encode(bytes(folder, &given)?)),
        _ => {
            let path = inside(folder, &given)?;
            let text = text(folder, &given)?;
            let template = hcl_edit::parser::parse_template(&text).map_err(|e| {
                bad(0, format!("{given}:{}:{}: {}", e.location().line(), e.location().column(), e.message().to_lowercase()))
            })?;
            let names = a.map(1)?;
            let names = Names::given(names.iter().map(|(k, v)| (k.as_str(), v.clone())).collect());
            let source = Source::of(path.display().to_string().into(), text);
            let frame = Frame { module: frame.module, source: &source, names: Some(&names) };
            template::evaluate(ev, &frame, &template, Style::Heredoc).map_err(|e| Wrong {
                arg: Some(0),
                message: e.to_string(),
                hint: e.hint,
            })?
        }
    })
}

/// The last part of a path.
fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

/// A path without its last part.
fn directory(path: &str) -> String {
    let Some((before, _)) = path.rsplit_once('/') else { return ".".to_owned() };
    let mut parts: Vec<&str> = Vec::new();
    for part in before.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match (before.starts_with('/') || before.is_empty(), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Files below a folder that match a pattern, by name.
fn set(folder: &Path, given: &str, pattern: &str) -> Result<Value, Wrong> {
    let root = inside(folder, given)?;
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let matcher = glob.map_err(|e| bad(1, format!("'{pattern}' is not a pattern: {}", e.kind())))?.compile_matcher();
    let mut found = Vec::new();
    files(&root, Path::new(""), &mut found).map_err(|e| bad(0, format!("cannot read ({})", e.kind())))?;
    found.retain(|f| matcher.is_match(f));
    found.sort();
    Ok(Value::List(found.into_iter().map(Value::text).collect()))
}

/// Files, not links, below a folder.
fn files(root: &Path, below: &Path, out: &mut Vec<String>) -> io::Result<()> {
    let folder = root.join(below);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, below.join(entry.file_name()));
        if kind.is_dir() {
            files(root, &path, out)?;
        } else if kind.is_file() && out.len() < MAX_FILES {
            out.extend(path.to_str().map(str::to_owned));
        }
    }
    Ok(())
}

/// The path below the mod's folder.
fn inside(folder: &Path, given: &str) -> Result<PathBuf, Wrong> {
    let mut depth = 0i32;
    for part in Path::new(given).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => depth = i32::MIN / 2,
        }
        if depth < 0 {
            return Err(Wrong {
                arg: Some(0),
                message: format!("'{given}' is outside of the mod"),
                hint: Some("a mod reads its own files only".to_owned()),
            });
        }
    }
    Ok(folder.join(given))
}

fn bytes(folder: &Path, given: &str) -> Result<Vec<u8>, Wrong> {
    let path = inside(folder, given)?;
    let failed = |e: &io::Error| {
        let hint = match e.kind() {
            io::ErrorKind::NotFound => Some(format!("paths are relative to {}", folder.display())),
            _ => None,
        };
        let why = if e.kind() == io::ErrorKind::NotFound { "there is no file".to_owned() } else { format!("cannot read ({})", e.kind()) };
        Wrong { arg: Some(0), message: format!("{why} '{given}'"), hint }
    };
    // A link must not lead out either.
    let real = path.canonicalize().map_err(|e| failed(&e))?;
    let root = folder.canonicalize().map_err(|e| failed(&e))?;
    if !real.starts_with(&root) {
        return Err(bad(0, format!("'{given}' is a link that leads out of the mod")));
    }
    let meta = std::fs::metadata(&real).map_err(|e| failed(&e))?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(bad(0, format!("'{given}' is not a file of at most {} MiB", MAX_FILE >> 20)));
    }
    std::fs::read(&real).map_err(|e| failed(&e))
}

fn text(folder: &Path, given: &str) -> Result<String, Wrong> {
    String::from_utf8(bytes(folder, given)?).map_err(|_| bad(0, format!("'{given}' is not UTF-8 text")))
}
