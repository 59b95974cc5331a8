//! The catalog: every spec by name. The index is made at compile time; a spec is parsed when it is first used.

use crate::{SpecError, Table};
use std::path::Path;
use std::sync::Arc;

/// All tables: the embedded ones and those from folders of the user.
#[derive(Debug)]
pub struct Catalog {}

impl Catalog {
    /// The embedded specs; parses nothing.
    pub fn embedded() -> Catalog {
        Catalog {}
    }

    /// Adds (or overrides by) every `*.yaml` below a folder.
    ///
    /// # Errors
    /// A file cannot be read or is not a spec: file:line:column, what, hint.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), SpecError> {
        let _ = folder;
        unimplemented!()
    }

    /// Names of all tables, sorted.
    pub fn names(&self) -> Vec<&str> {
        unimplemented!()
    }

    /// Is there a table of this name? Parses nothing.
    pub fn contains(&self, name: &str) -> bool {
        let _ = name;
        unimplemented!()
    }

    /// A table, parsed on first use; `None` when there is none of this name.
    ///
    /// # Errors
    /// The spec is bad.
    pub fn table(&self, name: &str) -> Result<Option<Arc<Table>>, SpecError> {
        let _ = name;
        unimplemented!()
    }

    /// The name most like this one, for "did you mean".
    pub fn suggest(&self, name: &str) -> Option<&str> {
        let _ = name;
        unimplemented!()
    }
}
