//! Runs a plan: bounded parallelism, each evaluation once, results in the plan's order whatever finishes first.

use crate::judge::{NOUN_ACCOUNT as ACCOUNT, failed, judge, without_rows};
use crate::plan::{Evaluation, Plan, PlanChild, PlanControl, PlanGroup};
use crate::{
    Answer, CallCounts, Completeness, ControlResult, Counts, Findings, Gap, GroupResult, OlderPart, ResultChild, RunResult, RunState,
    ScopeFailure, SqlArg, SqlRunner,
};
use futures::future::{self, Either};
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// What is kept of one evaluation.
struct Finished {
    findings: Arc<Findings>,
    failures: Vec<ScopeFailure>,
}

/// Makes the run. When `cancel` becomes ready, evaluations in flight are dropped; what was finished is in the result, the rest is marked
/// cancelled. Use [`std::future::pending`] where nothing can cancel.
pub async fn run(plan: &Plan, sql: &dyn SqlRunner, options: RunOptions<'_>, cancel: impl Future<Output = ()> + Send) -> RunResult {
    let started = Instant::now();
    let before = sql.calls_so_far();
    let mut progress = Progress { done: 0, total: plan.evaluations.len(), errors: 0, alarms: 0, calls: CallCounts::default() };
    let tell = |p: Progress| options.progress.iter().for_each(|f| f(p));
    tell(progress);

    let mut finished: Vec<Option<Finished>> = plan.evaluations.iter().map(|_| None).collect();
    let mut completeness = Completeness::default();
    let mut cancel = pin!(cancel);
    let mut cancelled = false;
    {
        let work = plan.evaluations.iter().enumerate().map(|(i, e)| async move { (i, evaluate(e, sql).await) });
        let mut running = stream::iter(work).buffer_unordered(options.max_parallel.max(1));
        // `cancel` stands first: once it is ready nothing more counts as finished.
        loop {
            match future::select(cancel.as_mut(), running.next()).await {
                Either::Left(((), _)) => {
                    cancelled = progress.done < progress.total;
                    break;
                }
                Either::Right((None, _)) => break,
                Either::Right((Some((i, (findings, answer))), _)) => {
                    progress.done += 1;
                    progress.errors += usize::from(findings.summary.error > 0);
                    progress.alarms += usize::from(findings.summary.alarm > 0);
                    progress.calls = since(before, sql.calls_so_far());
                    for table in answer.tables {
                        let named = table.scopes.iter().filter(|_| table.noun != ACCOUNT).filter_map(|(_, account, _)| account.clone());
                        completeness.nouns.extend(named.map(|account| (account, table.noun)));
                        completeness.scopes.extend(table.scopes);
                    }
                    completeness.notices.extend(answer.notices);
                    completeness.older.extend(answer.older);
                    finished[i] = Some(Finished { findings: Arc::new(findings), failures: answer.failures });
                    tell(progress);
                }
            }
        }
    }
    let mut assembly = Assembly { plan, finished: &finished, stopped: None, gaps: Vec::new(), places: BTreeMap::new() };
    let root = assembly.group(&plan.root);
    let mut gaps = assembly.gaps;
    gaps.sort_by(|a, b| key(&a.failure).cmp(&key(&b.failure)));
    RunResult {
        root,
        completeness: Completeness { gaps, older: oldest(completeness.older), ..completeness },
        calls: since(before, sql.calls_so_far()),
        time: sql.now(),
        duration: started.elapsed(),
        cancelled,
    }
}

/// Each part once, as old as the oldest that was told of it.
fn oldest(mut parts: Vec<OlderPart>) -> Vec<OlderPart> {
    parts.sort();
    parts.dedup_by(|b, a| (&a.table, &a.source, &a.connection, &a.account) == (&b.table, &b.source, &b.connection, &b.account));
    parts
}

async fn evaluate(e: &Evaluation, sql: &dyn SqlRunner) -> (Findings, Answer) {
    let started = Instant::now();
    match sql.run(&e.sql, &e.args).await {
        Ok(mut answer) => {
            let findings = judge(&answer, started.elapsed());
            answer.rows = Vec::new();
            (findings, answer)
        }
        Err(error) => (failed(&error, started.elapsed()), Answer::default()),
    }
}

fn since(before: CallCounts, now: CallCounts) -> CallCounts {
    CallCounts {
        calls: now.calls.saturating_sub(before.calls),
        cache_hits: now.cache_hits.saturating_sub(before.cache_hits),
        retries: now.retries.saturating_sub(before.retries),
        throttles: now.throttles.saturating_sub(before.throttles),
    }
}

type GapKey<'a> = (&'a str, &'a str, &'a Option<String>, &'a Option<String>, &'a Option<String>, &'a [String], &'a str, &'a str);

fn key(f: &ScopeFailure) -> GapKey<'_> {
    (&f.table, &f.connection, &f.account, &f.region, &f.row, &f.columns, &f.code, &f.message)
}

/// Puts findings back into the plan's tree.
struct Assembly<'a> {
    plan: &'a Plan,
    finished: &'a [Option<Finished>],
    /// Shared by everything that was cancelled.
    stopped: Option<Arc<Findings>>,
    gaps: Vec<Gap>,
    /// Failure → its place in `gaps`.
    places: BTreeMap<GapKey<'a>, usize>,
}

impl<'a> Assembly<'a> {
    fn group(&mut self, group: &PlanGroup) -> GroupResult {
        let mut summary = Counts::default();
        let mut children = Vec::with_capacity(group.children.len());
        for child in &group.children {
            children.push(match child {
                PlanChild::Group(g) => {
                    let g = self.group(g);
                    summary.merge(&g.summary);
                    ResultChild::Group(g)
                }
                PlanChild::Control(c) => {
                    let c = self.control(c);
                    summary.merge(&c.findings.summary);
                    ResultChild::Control(c)
                }
            });
        }
        GroupResult {
            id: group.id.clone(),
            title: group.title.clone(),
            description: group.description.clone(),
            documentation: group.documentation.clone(),
            tags: group.tags.clone(),
            summary,
            children,
        }
    }

    fn control(&mut self, facts: &Arc<PlanControl>) -> ControlResult {
        let plan = self.plan;
        let evaluation = facts.evaluation.and_then(|i| plan.evaluations.get(i));
        let findings = match (facts.evaluation, facts.evaluation.and_then(|i| self.finished.get(i))) {
            (None, _) => {
                let why = match &facts.control {
                    Some(control) => format!("there is no control '{control}' yet"),
                    None => "there is no control for it yet".to_owned(),
                };
                Arc::new(without_rows(RunState::NotImplemented(why), Duration::ZERO))
            }
            (Some(_), Some(Some(done))) => {
                self.note(&done.failures, &facts.id);
                done.findings.clone()
            }
            (Some(_), _) => self.stopped.get_or_insert_with(|| Arc::new(without_rows(RunState::Cancelled, Duration::ZERO))).clone(),
        };
        let args: Vec<SqlArg> = evaluation.map(|e| e.named.clone()).unwrap_or_default();
        ControlResult { facts: facts.clone(), findings, args }
    }

    fn note(&mut self, failures: &'a [ScopeFailure], id: &str) {
        for f in failures {
            let at = *self.places.entry(key(f)).or_insert_with(|| {
                self.gaps.push(Gap { failure: f.clone(), controls: Vec::new() });
                self.gaps.len() - 1
            });
            let controls = &mut self.gaps[at].controls;
            if !controls.iter().any(|c| c == id) {
                controls.push(id.to_owned());
            }
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
