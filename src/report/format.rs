//! Names and file suffixes of the formats.

use std::path::Path;

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal: the whole tree.
    Text,
    /// For a terminal: errors, alarms and the summary.
    Brief,
    /// One line a row.
    Csv,
    /// Everything, for machines; the shareable snapshot of a result.
    Json,
    /// Markdown.
    Md,
    /// One self-contained page.
    Html,
    /// Nothing.
    None,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 7] = [Format::Text, Format::Brief, Format::Csv, Format::Json, Format::Md, Format::Html, Format::None];

    /// The word after `--output`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Brief => "brief",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Md => "md",
            Format::Html => "html",
            Format::None => "none",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.as_str() == name)
    }

    /// The format of a file, by its suffix: txt, csv, json, md, html.
    ///
    /// # Errors
    /// There is no suffix or no format has it.
    pub fn of_path(path: &Path) -> Result<Format, UnknownSuffix> {
        let suffix = path.extension().and_then(|s| s.to_str()).unwrap_or_default().to_ascii_lowercase();
        match suffix.as_str() {
            "txt" => Ok(Format::Text),
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "md" | "markdown" => Ok(Format::Md),
            "html" | "htm" => Ok(Format::Html),
            _ => Err(UnknownSuffix { path: path.display().to_string() }),
        }
    }
}

/// No format has this suffix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell the format of '{path}' from its suffix: use .txt, .csv, .json, .md or .html")]
pub struct UnknownSuffix {
    /// The path.
    pub path: String,
}
