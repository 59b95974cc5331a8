//! Functions that read files of the mod, and only those: a path that leads out of its folder is refused.

use super::{Args, Done, Wrong, bad, count};
use crate::mods::eval::{Evaluator, Frame, Names};
use crate::mods::source::Source;
use crate::mods::template::{self, Style};
use crate::mods::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Their names.
pub(crate) const NAMES: &[&str] = &["basename", "dirname", "file", "filebase64", "fileexists", "templatefile"];

/// A file beyond this is not read.
const MAX_FILE: u64 = 16 << 20;

/// Calls one of them; `None`: it is none.
pub(crate) fn call(ev: &Evaluator<'_>, frame: &Frame<'_>, name: &str, args: &[Value]) -> Option<Done> {
    if !NAMES.contains(&name) {
        return None;
    }
    let most = if name == "templatefile" { 2 } else { 1 };
    if let Err(wrong) = count(args.len(), most, most) {
        return Some(Err(wrong));
    }
    Some(one(ev, frame, name, &Args(args.to_vec())))
}

fn one(ev: &Evaluator<'_>, frame: &Frame<'_>, name: &str, a: &Args) -> Done {
    let given = a.text(0)?;
    let folder = &ev.world.modules[frame.module].folder;
    Ok(match name {
        "basename" => Value::text(Path::new(&*given).file_name().and_then(|n| n.to_str()).unwrap_or_default()),
        "dirname" => match Path::new(&*given).parent().and_then(Path::to_str) {
            Some("") | None => Value::text("."),
            Some(parent) => Value::text(parent),
        },
        "fileexists" => Value::Bool(inside(folder, &given)?.is_file()),
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
            let body = hcl_edit::structure::Body::new();
            let source = Source { path: path.display().to_string().into(), text, body };
            let frame = Frame { module: frame.module, source: &source, names: Some(&names) };
            template::evaluate(ev, &frame, &template, Style::Heredoc).map_err(|e| Wrong {
                arg: Some(0),
                message: e.to_string(),
                hint: e.hint,
            })?
        }
    })
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
