//! The catalog: every spec by name. The index is made at compile time; a spec is parsed when it is first used.

use crate::check::Shapes;
use crate::spec::yaml::closest;
use crate::{SpecError, Table};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Sorted by name: name, path below this room, where its text begins, how long it is.
static INDEX: &[(&str, &str, usize, usize)] = include!(concat!(env!("OUT_DIR"), "/index.rs"));
static SPECS: &str = include_str!(concat!(env!("OUT_DIR"), "/specs.yaml"));

type Parsed = OnceLock<Result<Arc<Table>, SpecError>>;

/// All tables: the embedded ones and those from folders of the user.
#[derive(Debug)]
pub struct Catalog {
    /// One cell per entry of the index, empty until the table is used.
    parsed: Box<[Parsed]>,
    added: BTreeMap<String, (String, Arc<Table>)>,
}

impl Catalog {
    /// The embedded specs; parses nothing.
    pub fn embedded() -> Catalog {
        Catalog { parsed: INDEX.iter().map(|_| OnceLock::new()).collect(), added: BTreeMap::new() }
    }

    /// Adds (or overrides by) every `*.yaml` below a folder, but for those whose names begin with `_`.
    ///
    /// # Errors
    /// A file cannot be read or is not a spec: file:line:column, what, hint.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), SpecError> {
        let failed = |path: &Path, e: std::io::Error| SpecError {
            file: path.display().to_string(),
            at: None,
            message: format!("cannot be read: {e}"),
            hint: None,
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|e| failed(folder, e))? {
            paths.push(entry.map_err(|e| failed(folder, e))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if name.ends_with(".yaml") && !name.starts_with('_') {
                let source = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
                self.add(&path.display().to_string(), &source)?;
            }
        }
        Ok(())
    }

    /// Adds (or overrides by) a spec given as text; `file` is named in errors and gives the table's name.
    ///
    /// # Errors
    /// The spec is bad.
    pub fn add(&mut self, file: &str, source: &str) -> Result<(), SpecError> {
        let table = Table::load(file, source)?;
        self.added.insert(table.name.clone(), (file.to_owned(), Arc::new(table)));
        Ok(())
    }

    /// Checks the added specs against the models of the services; the embedded ones are checked by a test of this repository.
    ///
    /// # Errors
    /// The first thing that is wrong: an operation that does not exist or does more than read, a path, a type.
    pub fn check_added(&self, shapes: &dyn Shapes) -> Result<(), SpecError> {
        let mut bad = self.added.values().flat_map(|(file, table)| table.check(file, shapes));
        bad.next().map_or(Ok(()), Err)
    }

    /// Names of all tables, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = INDEX.iter().map(|(n, ..)| *n).chain(self.added.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Is there a table of this name? Parses nothing.
    pub fn contains(&self, name: &str) -> bool {
        self.added.contains_key(name) || position(name).is_some()
    }

    /// A table, parsed on first use; `None` when there is none of this name.
    ///
    /// # Errors
    /// The spec is bad.
    pub fn table(&self, name: &str) -> Result<Option<Arc<Table>>, SpecError> {
        if let Some((_, table)) = self.added.get(name) {
            return Ok(Some(table.clone()));
        }
        let Some(at) = position(name) else { return Ok(None) };
        let (_, path, begin, length) = INDEX[at];
        let parse = || Table::load(&format!("src/tables/{path}"), &SPECS[begin..begin + length]).map(Arc::new);
        self.parsed[at].get_or_init(parse).clone().map(Some)
    }

    /// Where a spec is, as errors name it.
    pub fn file(&self, name: &str) -> Option<String> {
        position(name).map(|at| format!("src/tables/{}", INDEX[at].1))
    }

    /// The name most like this one, for "did you mean".
    pub fn suggest(&self, name: &str) -> Option<&str> {
        closest(name, self.names())
    }
}

fn position(name: &str) -> Option<usize> {
    INDEX.binary_search_by(|(n, ..)| (*n).cmp(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "table: my_things\nabout: Things.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\ncolumns:\n  name: text <- UserName\n";

    #[test]
    fn every_embedded_spec_loads() {
        let catalog = Catalog::embedded();
        for name in catalog.names() {
            let table = catalog.table(name).unwrap_or_else(|e| panic!("{e}")).unwrap();
            assert_eq!(table.name, name);
        }
        assert!(catalog.table("nope").unwrap().is_none() && !catalog.contains("nope"));
    }

    #[test]
    fn folders_add_and_name_their_errors() {
        let folder = std::env::temp_dir().join(format!("assay-catalog-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(folder.join("deep/my_things.yaml"), ONE).unwrap();
        std::fs::write(folder.join("_draft.yaml"), "nonsense").unwrap();
        let mut catalog = Catalog::embedded();
        catalog.add_folder(&folder).unwrap();
        assert!(catalog.contains("my_things") && catalog.names().contains(&"my_things"));
        assert_eq!(catalog.suggest("my_thing"), Some("my_things"));
        std::fs::write(folder.join("deep/other.yaml"), ONE).unwrap();
        let error = catalog.add_folder(&folder).unwrap_err().to_string();
        assert!(
            error.ends_with("deep/other.yaml:1:8: table my_things in a file called other.yaml (a file is named after its table)"),
            "{error}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(catalog.add_folder(&folder).unwrap_err().message.starts_with("cannot be read: "));
    }
}
