//! The door of the room: a read operation, a scope and an input go in, JSON comes out. Cache, then single flight, then
//! limiter, then signed HTTP with retries; or a recording.

use crate::{Account, Bundle, CloudError, Config, Connection, ReadOp, Scope, Tally};
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where answers come from.
#[derive(Debug, Clone)]
pub enum Mode {
    /// The clouds.
    Live,
    /// The clouds; every answer is also written into a bundle by [`Cloud::finish_recording`].
    Record(PathBuf),
    /// A bundle; nothing is called, the clock stands at the recording's time.
    Replay(Arc<Bundle>),
}

/// Settings of a [`Cloud`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections and limits.
    pub config: Config,
    /// Live, record or replay.
    pub mode: Mode,
    /// How long answers are reused; zero turns the cache off (single flight stays).
    pub cache_ttl: Duration,
    /// Ceiling for calls in flight, all services together.
    pub max_in_flight: usize,
}

/// All clouds of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cloud(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

impl Cloud {
    /// Reads configuration and shared files; makes no call.
    ///
    /// # Errors
    /// `Invalid` for a configuration that contradicts itself.
    pub async fn open(options: Options) -> Result<Cloud, CloudError> {
        let _ = options;
        unimplemented!()
    }

    /// Every configured connection, aggregates included, by name.
    pub fn connections(&self) -> &[Connection] {
        unimplemented!()
    }

    /// The connections that unqualified names mean.
    pub fn default_connections(&self) -> &[Arc<str>] {
        unimplemented!()
    }

    /// Accounts behind a connection in stable order (aggregates flattened, each account once). Organizations cost ListAccounts, once.
    ///
    /// # Errors
    /// The failed call, or `Invalid` for an unknown connection.
    pub async fn accounts(&self, connection: &str) -> Result<Vec<Arc<Account>>, CloudError> {
        let _ = connection;
        unimplemented!()
    }

    /// One call, one answer.
    ///
    /// # Errors
    /// The failed call, after the official retries.
    pub async fn call(&self, scope: &Scope, op: &ReadOp, input: Value, tally: &Tally) -> Result<Arc<Value>, CloudError> {
        let _ = (scope, op, input, tally);
        unimplemented!()
    }

    /// All pages of a call, in order, asked one by one as the stream is polled. Operations without a paginator give one page.
    /// Stops with an error when a token repeats. `page_size` sets the paginator's limit member where there is one; `None`: its largest useful value.
    pub fn pages(
        &self,
        scope: &Scope,
        op: &ReadOp,
        input: Value,
        page_size: Option<u32>,
        tally: &Tally,
    ) -> BoxStream<'static, Result<Arc<Value>, CloudError>> {
        let _ = (scope, op, input, page_size, tally);
        unimplemented!()
    }

    /// Now; in a replay, the recording's time.
    pub fn now(&self) -> DateTime<Utc> {
        unimplemented!()
    }

    /// Calls of this process so far.
    pub fn tally(&self) -> &Tally {
        unimplemented!()
    }

    /// Forgets every cached answer.
    pub fn clear_cache(&self) {
        unimplemented!()
    }

    /// Changes how long answers are reused.
    pub fn set_cache_ttl(&self, ttl: Duration) {
        let _ = ttl;
    }

    /// Writes the bundle of a recording (temporary file, mode 0600, renamed); does nothing in the other modes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish_recording(&self) -> Result<(), crate::BundleError> {
        unimplemented!()
    }
}
