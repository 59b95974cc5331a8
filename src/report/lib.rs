//! One file per report format: pure functions from the result model to bytes.
//!
//! Owns: how a run looks. Refuses: reading clocks, terminals or files; the same result and options give the same bytes.

mod brief;
mod csv;
mod format;
mod html;
mod json;
mod md;
mod terminal;
mod text;
mod wording;

pub use format::{Format, UnknownSuffix};

use assay_compliance::{ControlResult, GroupResult, ROOT_GROUP, RunResult};

/// How a report for people looks; csv, json and html ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal.
    pub width: usize,
    /// ANSI colours in text and brief?
    pub color: bool,
    /// Rows that are ok or skip too, in text and md?
    pub all_rows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 100, color: false, all_rows: false }
    }
}

/// Renders a result.
pub fn render(format: Format, result: &RunResult, options: &Options) -> Vec<u8> {
    match format {
        Format::Text => text::render(result, options),
        Format::Brief => brief::render(result, options),
        Format::Csv => csv::render(result),
        Format::Json => json::render(result),
        Format::Md => md::render(result, options),
        Format::Html => html::render(result),
        Format::None => Vec::new(),
    }
}

/// `benchmark.cis_v200`; the root has no kind.
fn group_id(group: &GroupResult) -> String {
    if group.id == ROOT_GROUP { group.id.clone() } else { qualified("benchmark", &group.id) }
}

/// `control.cis_v200_1_14`.
fn control_id(control: &ControlResult) -> String {
    qualified("control", &control.facts.id)
}

/// An id with its kind; those of mods have it already: `my_mod.control.key_age`.
fn qualified(kind: &str, id: &str) -> String {
    if id.contains('.') { id.to_owned() } else { format!("{kind}.{id}") }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
