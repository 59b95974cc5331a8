//! Runs a plan: bounded parallelism, each evaluation once, results in the plan's order whatever finishes first.

use crate::{CallCounts, Plan, RunResult, SqlRunner};
use std::fmt;
use std::future::Future;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Evaluations finished.
    pub done: usize,
    /// Evaluations in all.
    pub total: usize,
    /// Finished ones that failed or have rows with the status error.
    pub errors: usize,
    /// Finished ones that have rows with the status alarm.
    pub alarms: usize,
    /// Calls made since the run began.
    pub calls: CallCounts,
}

/// Settings of a run.
#[derive(Clone, Copy)]
pub struct RunOptions<'a> {
    /// Evaluations at a time; at least one.
    pub max_parallel: usize,
    /// Told at the start and after each evaluation.
    pub progress: Option<&'a (dyn Fn(Progress) + Send + Sync)>,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        RunOptions { max_parallel: 10, progress: None }
    }
}

impl fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions").field("max_parallel", &self.max_parallel).finish_non_exhaustive()
    }
}

/// Makes the run. When `cancel` becomes ready, evaluations in flight are dropped; what was finished is in the result, the rest is marked
/// cancelled. Use [`std::future::pending`] where nothing can cancel.
pub async fn run(plan: &Plan, sql: &dyn SqlRunner, options: RunOptions<'_>, cancel: impl Future<Output = ()> + Send) -> RunResult {
    let _ = (plan, sql, options, cancel);
    unimplemented!()
}
