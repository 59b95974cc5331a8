//! Mods: folders of HCL as Powerpipe reads them, evaluated into controls, benchmarks and named queries of the library.
//!
//! Owns: the language (expressions, templates, functions, variables) and what blocks mean. Refuses: where mods come from; the caller
//! names folders.

mod build;
mod check;
mod eval;
mod functions;
mod load;
mod module;
mod source;
mod template;
mod types;
mod value;

pub(crate) use check::check;
pub use check::{Checked, SqlProblem};
pub(crate) use load::load;
pub use load::{LoadedMods, ModFolder, ModInfo, ModRequirement, ModValue, read_mod, read_mod_values};
pub(crate) use module::Kind;

#[cfg(test)]
mod expression_tests;
#[cfg(test)]
mod hcl_tests;
#[cfg(test)]
mod mod_tests;
