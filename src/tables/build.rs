//! Joins every spec below this folder into one text with a sorted index of names, so that start-up does not grow with the catalog.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // Relative to this package, where build scripts run: a target folder may outlive the clone it was made in.
    let here = PathBuf::from(".");
    let mut specs = Vec::new();
    collect(&here, &here, &mut specs)?;
    specs.sort();
    let mut text = String::new();
    let mut index = String::from("&[\n");
    let mut before: Option<&str> = None;
    for (name, path) in &specs {
        if before.replace(name) == Some(name) {
            return Err(format!("two specs are called {name}.yaml").into());
        }
        let source = fs::read_to_string(here.join(path))?;
        writeln!(index, "    ({name:?}, {path:?}, {}, {}),", text.len(), source.len())?;
        text.push_str(&source);
    }
    index.push(']');
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("specs.yaml"), text)?;
    fs::write(out.join("index.rs"), index)?;
    Ok(())
}

/// Every `*.yaml` in a folder and the folders below it, but for those that begin with `_`: name and path.
fn collect(root: &Path, folder: &Path, out: &mut Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, out)?;
            continue;
        }
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".yaml")) else { continue };
        if name.starts_with('_') {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        out.push((name.to_owned(), relative));
    }
    Ok(())
}
