//! One file per report format: pure functions from the result model to bytes.
//!
//! Owns: how a run looks. Refuses: reading clocks, terminals or files; the same result and options give the same bytes.

mod format;

pub use format::{Format, UnknownSuffix};

use assay_compliance::RunResult;

/// How a report for people looks; csv and json ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal.
    pub width: usize,
    /// ANSI colours in text and brief?
    pub color: bool,
    /// Rows that are ok or skip too?
    pub all_rows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 100, color: false, all_rows: false }
    }
}

/// Renders a result.
pub fn render(format: Format, result: &RunResult, options: &Options) -> Vec<u8> {
    let _ = (format, result, options);
    unimplemented!()
}
