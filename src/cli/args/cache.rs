//! Arguments of `assay cache`.

use crate::output::Format;
use clap::Subcommand;

/// `assay cache …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// Show what is kept of each connection, where, and where the key comes from
    #[command(after_help = "Examples:\n  assay cache status\n  assay cache status --output json")]
    Status {
        /// Output format
        #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
        output: Format,
    },
    /// Remove what is kept, of all connections or of those named
    #[command(after_help = "Examples:\n  assay cache clear\n  assay cache clear --connection prod --connection test")]
    Clear,
}
