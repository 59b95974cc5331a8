//! Walks a table's call plan in one scope: pages, children, per-row calls; streams record batches.
//!
//! A failed call goes into the query's log and leaves rows or columns out; it never fails the stream.

use crate::QueryLog;
use assay_cloud::{Cloud, Scope, Tally};
use assay_tables::{CallPlan, Table};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use std::sync::Arc;

/// What a scan needs beside its scope and plan.
#[derive(Debug, Clone)]
pub(crate) struct ScanEnv {
    /// Answers calls.
    pub(crate) cloud: Cloud,
    /// Takes failures, scopes and counts.
    pub(crate) log: Arc<QueryLog>,
    /// The table.
    pub(crate) table: Arc<Table>,
    /// Counts the scan's calls; it also counts into the table's tally of the log.
    pub(crate) tally: Tally,
}

/// Streams the rows of one scope, in the API's order, with the columns of the plan's projection. Makes no call before the first poll; stops
/// paging when `limit` rows are out; dropping it cancels what is in flight.
pub(crate) fn scan(
    env: ScanEnv,
    scope: Scope,
    plan: Arc<CallPlan>,
    limit: Option<usize>,
) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    let _ = (env, scope, plan, limit);
    unimplemented!()
}
