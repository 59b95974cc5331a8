//! The result of a run: plain data that reports render. Counts are exact, order never depends on timing.

use crate::{CallCounts, OlderPart, PlanControl, ScopeFailure, Severity, Tags};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Id of the root of every result.
pub const ROOT_GROUP: &str = "root_result_group";

/// Verdict of a row, in the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Could not be judged.
    Error,
    /// Judged and bad.
    Alarm,
    /// For people to judge.
    Info,
    /// Judged and good.
    Ok,
    /// Does not apply.
    Skip,
}

impl Status {
    /// All, in the order of reports.
    pub const ALL: [Status; 5] = [Status::Error, Status::Alarm, Status::Info, Status::Ok, Status::Skip];

    /// The word used in SQL and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Error => "error",
            Status::Alarm => "alarm",
            Status::Info => "info",
            Status::Ok => "ok",
            Status::Skip => "skip",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Rows by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bad.
    pub alarm: u64,
    /// Good.
    pub ok: u64,
    /// For people.
    pub info: u64,
    /// Not applicable.
    pub skip: u64,
    /// Unknown.
    pub error: u64,
}

impl Counts {
    /// Rows of one status.
    pub fn of(&self, status: Status) -> u64 {
        match status {
            Status::Error => self.error,
            Status::Alarm => self.alarm,
            Status::Info => self.info,
            Status::Ok => self.ok,
            Status::Skip => self.skip,
        }
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.alarm + self.ok + self.info + self.skip + self.error
    }

    /// The first status, in the order of reports, that occurs.
    pub fn worst(&self) -> Option<Status> {
        Status::ALL.into_iter().find(|s| self.of(*s) > 0)
    }

    /// Counts one more row.
    pub fn add(&mut self, status: Status) {
        match status {
            Status::Error => self.error += 1,
            Status::Alarm => self.alarm += 1,
            Status::Info => self.info += 1,
            Status::Ok => self.ok += 1,
            Status::Skip => self.skip += 1,
        }
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Counts) {
        self.alarm += other.alarm;
        self.ok += other.ok;
        self.info += other.info;
        self.skip += other.skip;
        self.error += other.error;
    }
}

/// One row of a control.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResultRow {
    /// Verdict.
    pub status: Status,
    /// What was judged.
    pub resource: String,
    /// Why.
    pub reason: String,
    /// Further columns in SQL order; the same names in every row of a control.
    pub dimensions: Vec<(Arc<str>, String)>,
    /// `Some` where only incomplete data made the row an error.
    pub unknown: Option<Unknown>,
}

/// What a row said before incomplete data made it an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// It had this verdict.
    Was(Status),
    /// There was no row: it stands for a whole scope.
    NoRow,
}

/// How the evaluation of a control ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It ran; rows may still be errors.
    Complete,
    /// It ran, but calls failed and its rows do not say which account they belong to.
    Incomplete(String),
    /// It failed as a whole.
    Failed(String),
    /// It failed as a whole because no cloud could be asked: no credentials, nothing reachable.
    Unreachable(String),
    /// The run was cancelled before it was finished.
    Cancelled,
    /// There is no query yet.
    NotImplemented(String),
}

impl RunState {
    /// Why the whole control is an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            RunState::Complete | RunState::NotImplemented(_) => None,
            RunState::Incomplete(e) | RunState::Failed(e) | RunState::Unreachable(e) => Some(e),
            RunState::Cancelled => Some("cancelled before it was finished"),
        }
    }
}

/// What an evaluation found; shared by the leaves that asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// How it ended.
    pub state: RunState,
    /// Rows, sorted by status, resource, reason, dimensions.
    pub rows: Vec<ResultRow>,
    /// Rows by status; one error where the control failed without rows.
    pub summary: Counts,
    /// Wall time; zero where nothing ran.
    pub duration: Duration,
}

/// A leaf or control with its findings.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlResult {
    /// Id, title, severity, tags …
    pub facts: Arc<PlanControl>,
    /// What was found.
    pub findings: Arc<Findings>,
    /// Arguments by parameter name.
    pub args: Vec<crate::SqlArg>,
}

impl ControlResult {
    /// Was it evaluated at all? Failed ones were; those not implemented or cancelled were not.
    pub fn evaluated(&self) -> bool {
        !matches!(self.findings.state, RunState::NotImplemented(_) | RunState::Cancelled)
    }

    /// Is there no query for it yet?
    pub fn not_implemented(&self) -> bool {
        matches!(self.findings.state, RunState::NotImplemented(_))
    }
}

/// A group with its results.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupResult {
    /// Id, without `benchmark.`.
    pub id: String,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// Tags.
    pub tags: Tags,
    /// Rows of everything under it.
    pub summary: Counts,
    /// In the order of the benchmark.
    pub children: Vec<ResultChild>,
}

/// A child of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultChild {
    /// A group.
    Group(GroupResult),
    /// A leaf or control.
    Control(ControlResult),
}

impl GroupResult {
    /// Everything evaluated or listed under it, in order.
    pub fn controls(&self) -> Vec<&ControlResult> {
        let mut out = Vec::new();
        for child in &self.children {
            match child {
                ResultChild::Group(g) => out.extend(g.controls()),
                ResultChild::Control(c) => out.push(c),
            }
        }
        out
    }

    /// Groups right under it.
    pub fn groups(&self) -> impl Iterator<Item = &GroupResult> {
        self.children.iter().filter_map(|c| match c {
            ResultChild::Group(g) => Some(g),
            ResultChild::Control(_) => None,
        })
    }

    /// Controls right under it.
    pub fn own_controls(&self) -> impl Iterator<Item = &ControlResult> {
        self.children.iter().filter_map(|c| match c {
            ResultChild::Control(c) => Some(c),
            ResultChild::Group(_) => None,
        })
    }

    /// How many of its leaves were evaluated, of how many; each id counts once.
    pub fn coverage(&self) -> Coverage {
        let mut done = BTreeSet::new();
        let mut missing = BTreeSet::new();
        let mut all = BTreeSet::new();
        for c in self.controls() {
            all.insert(&c.facts.id);
            if c.evaluated() {
                done.insert(&c.facts.id);
            }
            if c.not_implemented() {
                missing.insert(&c.facts.id);
            }
        }
        Coverage { evaluated: done.len(), not_implemented: missing.len(), total: all.len() }
    }

    /// Rows by the severity of their control; severities that do not occur are left out.
    pub fn by_severity(&self) -> BTreeMap<Severity, Counts> {
        let mut out: BTreeMap<Severity, Counts> = BTreeMap::new();
        for c in self.controls() {
            out.entry(c.facts.severity).or_default().merge(&c.findings.summary);
        }
        out
    }
}

/// "22 of 64 evaluated".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Leaves that ran, failed ones included.
    pub evaluated: usize,
    /// Leaves without a query.
    pub not_implemented: usize,
    /// All leaves; the rest was cancelled.
    pub total: usize,
}

/// A failed call, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The call.
    pub failure: ScopeFailure,
    /// Ids of the leaves that needed it, in the order of the report.
    pub controls: Vec<String>,
}

/// What was asked and what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Scopes asked: (connection, account id where known, region).
    pub scopes: BTreeSet<(String, Option<String>, String)>,
    /// Account ids of scopes that are a `subscription` or a `tenant`; all others are accounts.
    pub nouns: BTreeMap<String, &'static str>,
    /// Failed calls, sorted by table, connection, account, region, row.
    pub gaps: Vec<Gap>,
    /// What people should know about the answers.
    pub notices: BTreeSet<String>,
    /// Parts of the answers that are older than the run, each once, with the oldest time.
    pub older: Vec<OlderPart>,
}

/// A finished or cancelled run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// The root; its children are the targets.
    pub root: GroupResult,
    /// What was asked and what is missing.
    pub completeness: Completeness,
    /// Calls of this run.
    pub calls: CallCounts,
    /// The run's clock: in a replay, the recording's.
    pub time: DateTime<Utc>,
    /// Wall time of the run. Reports leave it out, so that the same input gives the same bytes.
    pub duration: Duration,
    /// Was it cancelled?
    pub cancelled: bool,
}

/// What the exit code follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No alarm, no error.
    Clean,
    /// At least one alarm.
    Alarm,
    /// At least one error, or incomplete data, or nothing was evaluated.
    Error,
    /// Every evaluation failed because no cloud could be asked.
    Unreachable,
}

impl RunResult {
    /// The outcome. With `allow_partial`, errors that come from incomplete data alone do not count; an alarm behind one still does.
    pub fn outcome(&self, allow_partial: bool) -> Outcome {
        let controls = self.root.controls();
        let evaluated: Vec<_> = controls.iter().filter(|c| c.evaluated()).collect();
        if !evaluated.is_empty() && evaluated.iter().all(|c| matches!(c.findings.state, RunState::Unreachable(_))) {
            return Outcome::Unreachable;
        }
        let mut error = self.cancelled || evaluated.is_empty() && !controls.is_empty() && !allow_partial;
        let mut alarm = false;
        for c in evaluated {
            error |= match c.findings.state {
                RunState::Failed(_) | RunState::Unreachable(_) => true,
                RunState::Incomplete(_) => !allow_partial,
                _ => false,
            };
            for row in &c.findings.rows {
                match (row.status, row.unknown) {
                    (Status::Alarm, _) => alarm = true,
                    (Status::Error, Some(was)) if allow_partial => {
                        error |= was == Unknown::Was(Status::Error);
                        alarm |= was == Unknown::Was(Status::Alarm);
                    }
                    (Status::Error, _) => error = true,
                    _ => {}
                }
            }
        }
        match (error, alarm) {
            (true, _) => Outcome::Error,
            (false, true) => Outcome::Alarm,
            (false, false) => Outcome::Clean,
        }
    }

    /// Is anything missing: a failed call, or a cancelled run?
    pub fn incomplete(&self) -> bool {
        self.cancelled || !self.completeness.gaps.is_empty()
    }
}
