//! Collects `controls/**.yaml` and `benchmarks/**.yaml` (`_*` aside) into the binary, unparsed, sorted by id: the file's name.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // Relative to this package, where build scripts run, here and in what is written: a target folder may outlive the clone it was made in.
    let root = PathBuf::from("../..");
    let mut code = String::new();
    for (constant, folder) in [("CONTROLS", "controls"), ("BENCHMARKS", "benchmarks")] {
        let mut files = BTreeMap::new();
        collect(&root.join(folder), &mut files)?;
        writeln!(code, "pub(crate) const {constant}: &[(&str, &str, &str)] = &[")?;
        for (id, path) in &files {
            let shown = path.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
            let text = format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?}))", format!("/../../{shown}"));
            writeln!(code, "    ({id:?}, {shown:?}, {text}),")?;
        }
        writeln!(code, "];")?;
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("content.rs"), code)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(|e| format!("cannot read {}: {e}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some(id) = name.strip_suffix(".yaml") {
            println!("cargo::rerun-if-changed={}", path.display());
            if let Some(other) = files.insert(id.to_owned(), path.clone()) {
                return Err(format!("{} and {} have the same id", other.display(), path.display()).into());
            }
        }
    }
    Ok(())
}
