//! All content by id: what ships in the binary, and folders of the user. Files are parsed when first needed.

use crate::{Child, ContentError, Control, Group, Leaf, LoadError, Param, Plan, Request, SelectError};
use std::path::Path;
use std::sync::Arc;

/// What an id names.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A control.
    Control(Arc<Control>),
    /// A leaf of a benchmark.
    Leaf(Arc<Leaf>),
    /// A benchmark or a group inside one.
    Group(Arc<Group>),
}

/// A named query, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedQuery {
    /// Its name: the id of the control that has the SQL.
    pub name: String,
    /// The statement.
    pub sql: Arc<str>,
    /// Parameters, with the defaults of the control it was asked through.
    pub params: Vec<Param>,
}

/// Controls and benchmarks by id.
#[derive(Debug, Default)]
pub struct Library {}

impl Library {
    /// What ships in the binary. Costs next to nothing: files are parsed when first needed.
    pub fn embedded() -> Library {
        unimplemented!()
    }

    /// Adds every `*.yaml` under a folder (`_*` aside); the first key says whether it is a control or a benchmark. Gives the number of files.
    ///
    /// # Errors
    /// A file cannot be read or is bad, an id exists already, a name in it is unknown.
    pub fn load_folder(&mut self, folder: &Path) -> Result<usize, LoadError> {
        let _ = folder;
        unimplemented!()
    }

    /// Ids of all controls, sorted; parses nothing.
    pub fn control_ids(&self) -> Vec<&str> {
        unimplemented!()
    }

    /// All controls, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn controls(&self) -> Result<Vec<Arc<Control>>, ContentError> {
        unimplemented!()
    }

    /// Benchmarks that are nobody's child, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn benchmarks(&self) -> Result<Vec<Arc<Group>>, ContentError> {
        unimplemented!()
    }

    /// All leaves, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn leaves(&self) -> Result<Vec<Arc<Leaf>>, ContentError> {
        unimplemented!()
    }

    /// What a child is, names followed.
    ///
    /// # Errors
    /// A file is bad.
    pub fn follow(&self, child: &Child) -> Result<Item, ContentError> {
        let _ = child;
        unimplemented!()
    }

    /// What an id in any accepted spelling names: `cis_v200_1_14`, `control.x`, `aws_compliance.benchmark.cis_v200`, `query.x` …
    ///
    /// # Errors
    /// Nothing has that id (with a suggestion), or the content behind it is bad.
    pub fn find(&self, id: &str) -> Result<Item, SelectError> {
        let _ = id;
        unimplemented!()
    }

    /// The query of that name: a control's id, or a leaf's.
    ///
    /// # Errors
    /// As [`Library::find`]; or the leaf is not implemented.
    pub fn query(&self, id: &str) -> Result<NamedQuery, SelectError> {
        let _ = id;
        unimplemented!()
    }

    /// Selects and binds: the plan of a run.
    ///
    /// # Errors
    /// An id, tag, attribute, parameter or value is wrong, or nothing is left after filtering.
    pub fn plan(&self, request: &Request) -> Result<Plan, SelectError> {
        let _ = request;
        unimplemented!()
    }

    /// Checks everything, in all files.
    pub fn check(&self) -> Vec<ContentError> {
        unimplemented!()
    }
}
