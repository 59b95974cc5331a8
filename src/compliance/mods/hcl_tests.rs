//! Expressions in `tests/hcl`, whose answers HashiCorp's own implementation of HCL gave: ours must be the same.

use super::eval::Evaluator;
use super::module::{Module, World};
use super::source::Source;
use crate::Place;
use std::path::{Path, PathBuf};

/// An expression and what it gives.
struct Case {
    line: usize,
    expression: String,
    want: String,
    /// Our own answer, where it is known to be another.
    ours: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hcl")
}

fn cases(text: &str) -> Vec<Case> {
    let mut out: Vec<Case> = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if let Some(want) = line.strip_prefix("=> ") {
            out.push(Case { line: n + 1 - lines.len(), expression: lines.join("\n"), want: want.to_owned(), ours: None });
            lines.clear();
        } else if let (Some(ours), Some(last), true) = (line.strip_prefix("=< "), out.last_mut(), lines.is_empty()) {
            last.ours = Some(ours.to_owned());
        } else if !lines.is_empty() || !(line.trim().is_empty() || line.starts_with('#')) {
            lines.push(line);
        }
    }
    assert!(lines.is_empty(), "no answer to {lines:?}");
    out
}

fn evaluate(expression: &str) -> Result<String, String> {
    let text = format!("mod \"m\" {{}}\nlocals {{\n  x = {expression}\n}}\n");
    let source = Source::parse("e.pp", text).map_err(|e| e.to_string())?;
    let module = Module::collect(folder().join("files"), vec![source]).map_err(|e| e.to_string())?;
    let world = World { modules: vec![module], ..World::default() };
    let at = Place { file: "e.pp".into(), line: 1, column: 1 };
    let value = Evaluator::new(&world).local(0, "x", &at).map_err(|e| e.to_string())?;
    Ok(value.to_json().map_or_else(|| "?".to_owned(), |json| json.to_string()))
}

/// JSON as we write it: the other side escapes more.
fn plain(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.to_owned(), |v| v.to_string())
}

#[test]
fn expressions_give_what_hcl_gives() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "test"));
    files.sort();
    let (mut n, mut wrong) = (0, Vec::new());
    for file in files {
        for case in cases(&std::fs::read_to_string(&file).unwrap()) {
            n += 1;
            let got = evaluate(&case.expression);
            let shown = got.as_deref().unwrap_or("ERROR");
            let want = case.ours.as_deref().unwrap_or(&case.want);
            if plain(shown) != plain(want) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let why = got.as_ref().err().cloned().unwrap_or_default();
                wrong.push(format!("{name}:{}: {}\n    want {want}\n    got  {shown} {why}", case.line, case.expression));
            }
        }
    }
    assert!(n > 700, "{n} expressions");
    assert!(wrong.is_empty(), "{} of {n} differ:\n{}", wrong.len(), wrong.join("\n"));
}
