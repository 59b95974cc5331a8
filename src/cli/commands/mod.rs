//! One command a file, each with `exec`.

pub(crate) mod cache;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod mods;
pub(crate) mod policy;
pub(crate) mod query;
pub(crate) mod rotate;
pub(crate) mod run;
pub(crate) mod show;
