//! Runs one statement: rows to a writer as they come, what failed and what it cost to the caller. Ctrl-C stops it.

use crate::console::Console;
use crate::exit::Failed;
use crate::failures;
use crate::older;
use crate::output::{self, Format, Look, Summary};
use crate::statistics;
use assay_cloud::{Meter, TallyCounts};
use assay_engine::{Arg, AsOf, Engine, Failure};
use chrono::Utc;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Progress shows after this long without rows, and is renewed this often.
const TICK: Duration = Duration::from_millis(500);

/// A cancelled statement is waited for this long.
const STOP: Duration = Duration::from_secs(1);

/// A statement and how to show it.
pub(crate) struct Job<'a> {
    /// Runs it.
    pub(crate) engine: &'a Engine,
    /// The terminal.
    pub(crate) console: &'a Console,
    /// The statement.
    pub(crate) sql: &'a str,
    /// Its arguments.
    pub(crate) args: &'a [Arg],
    /// How its rows look.
    pub(crate) look: Look,
    /// Put cost into JSON's metadata?
    pub(crate) timing: bool,
    /// Turns a place in the statement into the beginning of a message.
    pub(crate) locate: &'a dyn Fn((usize, usize)) -> String,
}

/// What a statement did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ran {
    /// Rows written.
    pub(crate) rows: u64,
    /// Calls.
    pub(crate) counts: TallyCounts,
    /// Calls that failed.
    pub(crate) failures: Vec<Failure>,
    /// Of each table, what the accounts of its scopes are.
    pub(crate) nouns: BTreeMap<String, &'static str>,
    /// What people should know about the answer.
    pub(crate) notices: Vec<String>,
    /// Parts of the answer that are older than the statement.
    pub(crate) older: Vec<AsOf>,
    /// Wall time.
    pub(crate) elapsed: Duration,
    /// Is its output whole, though it may lack rows?
    pub(crate) ended: bool,
    /// Was it stopped by Ctrl-C?
    pub(crate) interrupted: bool,
    /// Distinct calls it asked for.
    pub(crate) meter: Meter,
    /// Was it stopped because it took longer than this?
    pub(crate) timed_out: Option<Duration>,
}

impl Ran {
    /// Did it run to its end, and would it call the same again?
    pub(crate) fn is_whole(&self) -> bool {
        !self.interrupted && self.timed_out.is_none() && !self.failures.iter().any(statistics::spoils)
    }

    /// `Time: 1.23 s. Rows: 40. Calls: 41, cache hits: 3.`
    pub(crate) fn timing(&self) -> String {
        let counts = self.counts;
        let mut line = format!(
            "Time: {:.2} s. Rows: {}. Calls: {}, cache hits: {}",
            self.elapsed.as_secs_f64(),
            self.rows,
            counts.calls,
            counts.cache_hits
        );
        if counts.retries > 0 {
            line.push_str(&format!(", retries: {}", counts.retries));
        }
        if counts.throttles > 0 {
            line.push_str(&format!(", throttled: {}", counts.throttles));
        }
        line.push('.');
        line
    }

    /// Did it come to its end, and lack nothing?
    pub(crate) fn is_complete(&self) -> bool {
        self.failures.is_empty() && !self.stopped()
    }

    /// Was it stopped before its end?
    fn stopped(&self) -> bool {
        self.interrupted || self.timed_out.is_some()
    }

    /// Says what people should know, and what failed: a line a scope, then the hints.
    pub(crate) fn report(&self, console: &Console, as_warning: bool) {
        self.notices.iter().for_each(|notice| console.notice(notice));
        older::lines(&self.older, &self.nouns, Utc::now()).iter().for_each(|part| console.notice(part));
        for line in failures::lines(&self.failures, &self.nouns) {
            if as_warning { console.warning(&line) } else { console.error(&line) }
        }
        if let Some(after) = self.timed_out {
            let line = format!("incomplete: {}", out_of_time(after));
            if as_warning { console.warning(&line) } else { console.error(&line) }
        }
        for hint in failures::hints(&self.failures) {
            console.hint(hint);
        }
    }

    fn metadata(&self) -> serde_json::Value {
        let failures: Vec<_> = self
            .failures
            .iter()
            .map(|f| {
                json!({"table": f.table, "connection": f.connection, "account_id": f.account, "region": f.region, "row": f.row,
                       "columns": f.columns, "code": f.error.code, "message": f.error.to_string()})
            })
            .collect();
        json!({"complete": self.is_complete(), "rows_returned": self.rows, "calls": self.counts.calls,
               "cache_hits": self.counts.cache_hits, "retries": self.counts.retries, "throttles": self.counts.throttles, "failures": failures,
               "notices": self.notices, "as_of": older::json(&self.older)})
    }
}

/// Why a statement was stopped, in PostgreSQL's words.
pub(crate) fn out_of_time(after: Duration) -> String {
    format!("canceling statement due to statement timeout: it took longer than {after:?} (--query-timeout, set statement_timeout)")
}

/// Waits for the end of a statement's time.
async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Signals cannot be had: then nothing interrupts.
        std::future::pending::<()>().await;
    }
}

/// Rows of a stream that a task of its own drives: a statement that only computes may not yield for long, and Ctrl-C must be heard.
struct Rows {
    task: JoinHandle<()>,
    batches: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
}

impl Rows {
    fn start(mut stream: SendableRecordBatchStream) -> Rows {
        // One batch waits while one is written; a slow reader slows the calls.
        let (send, batches) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            while let Some(batch) = stream.next().await {
                if send.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Rows { task, batches }
    }

    /// The next batch; a panic of the task is an error of ours.
    async fn next(&mut self) -> Option<Result<RecordBatch, Failed>> {
        match self.batches.recv().await {
            Some(batch) => Some(batch.map_err(Failed::from)),
            None => match (&mut self.task).await {
                Err(error) if error.is_panic() => Some(Err(Failed::internal("a statement panicked"))),
                _ => None,
            },
        }
    }

    /// Cancels what is in flight and waits until it is over, so that the log is final; but not for a task that does not yield.
    async fn stop(mut self) {
        self.task.abort();
        if !self.task.is_finished() {
            let _ = tokio::time::timeout(STOP, &mut self.task).await;
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Job<'_> {
    /// Runs the statement to its end, until its time is over, or until Ctrl-C; rows that came before are written either way.
    pub(crate) async fn run(&self, out: &mut dyn Write) -> Result<Ran, Failed> {
        let begin = Instant::now();
        let mut stop = pin!(interrupt());
        let timeout = self.engine.settings().statement_timeout;
        let mut late = pin!(elapsed(timeout));
        let mut ran = Ran::default();
        let planned = tokio::select! {
            biased;
            () = &mut stop => {
                ran.interrupted = true;
                None
            }
            () = &mut late => {
                ran.timed_out = timeout;
                None
            }
            planned = self.engine.query(self.sql, self.args) => Some(planned),
        };
        let Some(planned) = planned else {
            return Ok(Ran { elapsed: begin.elapsed(), ..ran });
        };
        let query = planned.map_err(|e| Failed::engine(&e, self.locate))?;
        let mut sink = output::sink(self.look, query.schema.clone())?;
        let mut rows = Rows::start(query.stream);
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        let mut shown = false;
        let ended: Result<(), Failed> = loop {
            tokio::select! {
                biased;
                () = &mut stop => {
                    ran.interrupted = true;
                    break Ok(());
                }
                () = &mut late => {
                    ran.timed_out = timeout;
                    break Ok(());
                }
                next = rows.next() => match next {
                    None => break Ok(()),
                    Some(Err(failed)) => break Err(failed),
                    Some(Ok(batch)) => {
                        if std::mem::take(&mut shown) {
                            self.console.status("");
                        }
                        ran.rows += batch.num_rows() as u64;
                        sink.batch(&batch, out).map_err(|e| Failed::stdout(&e))?;
                    }
                },
                // Once rows are out they own the terminal.
                _ = tick.tick(), if ran.rows == 0 => {
                    let counts = query.log.counts();
                    self.console.status(&format!("{} calls, {} cache hits, {:.0} s (Ctrl-C cancels)", counts.calls, counts.cache_hits, begin.elapsed().as_secs_f64()));
                    shown = true;
                }
            }
        };
        if shown {
            self.console.status("");
        }
        rows.stop().await;
        ran.elapsed = begin.elapsed();
        ran.counts = query.log.counts();
        ran.failures = query.log.failures();
        ran.nouns = query.log.tables().into_iter().map(|(table, read)| (table, read.noun)).collect();
        ran.notices = query.log.notices();
        ran.meter = query.log.meter().clone();
        ran.older = query.log.older_parts();
        // A part of a file must not look like all of it: its end is not written.
        let is_file = self.look.format == Format::Parquet;
        if let Err(failed) = ended {
            // What rows there were are shown, then the reason why there are no more.
            if ran.rows > 0 && !is_file {
                let metadata = json!({"complete": false, "rows_returned": ran.rows, "error": failed.message});
                sink.end(&Summary { metadata: Some(metadata) }, out).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))?;
            }
            return Err(failed);
        }
        let metadata = (self.timing || !ran.is_complete() || !ran.notices.is_empty() || !ran.older.is_empty()).then(|| {
            let mut metadata = ran.metadata();
            if self.timing {
                metadata["duration_ms"] = json!(u64::try_from(ran.elapsed.as_millis()).unwrap_or(u64::MAX));
            }
            metadata
        });
        // A stopped statement without rows has nothing to say but in JSON, which is a document or nothing.
        ran.ended = !ran.stopped() || self.look.format == Format::Json || (ran.rows > 0 && !(is_file && ran.interrupted));
        if ran.ended {
            sink.end(&Summary { metadata }, out).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))?;
        }
        Ok(ran)
    }
}
