//! A recording: connections, accounts, regions, the time, and every answer (errors too), compressed in one file.

use chrono::{DateTime, Utc};
use std::path::Path;

/// A bundle in memory. No member that a spec calls secret is ever in it.
#[derive(Debug)]
pub struct Bundle {
    /// When it was recorded: the clock of its replay.
    pub recorded_at: DateTime<Utc>,
}

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a bundle, or of another version.
    #[error("{path}: not an assay bundle: {why}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
}

impl Bundle {
    /// Reads a bundle file.
    ///
    /// # Errors
    /// Unreadable, or not a bundle.
    pub fn read(path: &Path) -> Result<Bundle, BundleError> {
        let _ = path;
        unimplemented!()
    }

    /// Reads a bundle from memory (the embedded demo).
    ///
    /// # Errors
    /// Not a bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let _ = bytes;
        unimplemented!()
    }

    /// An empty bundle with the given clock, for tests: fill it with [`Bundle::answer`].
    pub fn new(recorded_at: DateTime<Utc>) -> Bundle {
        Bundle { recorded_at }
    }

    /// Adds an account under a connection, with its enabled regions.
    pub fn account(&mut self, connection: &str, account_id: &str, regions: &[&str]) {
        let _ = (connection, account_id, regions);
        unimplemented!()
    }

    /// Adds an answer: a JSON output, or an error.
    pub fn answer(
        &mut self,
        account_id: &str,
        region: &str,
        service: &str,
        operation: &str,
        input: &serde_json::Value,
        answer: Result<serde_json::Value, crate::CloudError>,
    ) {
        let _ = (account_id, region, service, operation, input, answer);
        unimplemented!()
    }
}
