//! Runs one statement: rows to a writer as they come, what failed and what it cost to the caller. Ctrl-C stops it.

use crate::console::Console;
use crate::exit::Failed;
use crate::failures;
use crate::output::{self, Format, Look, Summary};
use assay_cloud::TallyCounts;
use assay_engine::{Arg, Engine, Failure};
use futures::StreamExt;
use serde_json::json;
use std::io::Write;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Progress shows after this long without rows, and is renewed this often.
const TICK: Duration = Duration::from_millis(500);

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
    /// Wall time.
    pub(crate) elapsed: Duration,
    /// Was it stopped by Ctrl-C?
    pub(crate) interrupted: bool,
}

impl Ran {
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

    /// Says what failed: a line a scope, then the hints.
    pub(crate) fn report_failures(&self, console: &Console, as_warning: bool) {
        for line in failures::lines(&self.failures) {
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
        json!({"complete": failures.is_empty() && !self.interrupted, "rows_returned": self.rows, "calls": self.counts.calls,
               "cache_hits": self.counts.cache_hits, "retries": self.counts.retries, "throttles": self.counts.throttles, "failures": failures})
    }
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Signals cannot be had: then nothing interrupts.
        std::future::pending::<()>().await;
    }
}

impl Job<'_> {
    /// Runs the statement to its end, or until Ctrl-C; rows that came before are written either way.
    pub(crate) async fn run(&self, out: &mut dyn Write) -> Result<Ran, Failed> {
        let begin = Instant::now();
        let mut stop = pin!(interrupt());
        let mut ran = Ran::default();
        let planned = tokio::select! {
            biased;
            () = &mut stop => None,
            planned = self.engine.query(self.sql, self.args) => Some(planned),
        };
        let Some(planned) = planned else {
            return Ok(Ran { interrupted: true, elapsed: begin.elapsed(), ..ran });
        };
        let mut query = planned.map_err(|e| Failed::engine(&e, self.locate))?;
        let mut sink = output::sink(self.look, query.schema.clone());
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        let mut shown = false;
        let ended: Result<(), Failed> = loop {
            tokio::select! {
                biased;
                () = &mut stop => {
                    ran.interrupted = true;
                    break Ok(());
                }
                next = query.stream.next() => match next {
                    None => break Ok(()),
                    Some(Err(error)) => break Err(error.into()),
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
        // Dropping the stream cancels what is in flight, so that the log is final.
        drop(query.stream);
        ran.elapsed = begin.elapsed();
        ran.counts = query.log.counts();
        ran.failures = query.log.failures();
        if let Err(failed) = ended {
            // What rows there were are shown, then the reason why there are no more.
            if ran.rows > 0 {
                sink.end(&Summary::default(), out).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))?;
            }
            return Err(failed);
        }
        let metadata = (self.timing || ran.interrupted || !ran.failures.is_empty()).then(|| {
            let mut metadata = ran.metadata();
            if self.timing {
                metadata["duration_ms"] = json!(u64::try_from(ran.elapsed.as_millis()).unwrap_or(u64::MAX));
            }
            metadata
        });
        // A cancelled statement without rows has nothing to say but in JSON, which is a document or nothing.
        if !ran.interrupted || ran.rows > 0 || self.look.format == Format::Json {
            sink.end(&Summary { metadata }, out).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))?;
        }
        Ok(ran)
    }
}
