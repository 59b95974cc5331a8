//! What a run will do: the selected tree, and the distinct evaluations behind its leaves. Made by [`crate::Library::plan`].

use crate::{Severity, SqlArg, Tags};
use std::sync::Arc;

/// What kind of id is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// `run control …`: leaves and controls.
    Control,
    /// `run benchmark …`: benchmarks and their groups.
    Benchmark,
}

/// What the user asked to run.
#[derive(Debug, Clone)]
pub struct Request {
    /// Controls or benchmarks.
    pub kind: TargetKind,
    /// Ids in any accepted spelling, or `all`.
    pub ids: Vec<String>,
    /// `--where` expressions; all must hold.
    pub filters: Vec<String>,
    /// `--tag` values, `key=value`: one of the values of each key must match.
    pub tags: Vec<String>,
    /// `--arg` values, `name=value`: arguments of the selected controls.
    pub args: Vec<String>,
    /// `--var` values, `name=value`: new defaults of the parameters of that name.
    pub vars: Vec<String>,
}

impl Request {
    /// A request without filters and arguments.
    pub fn new(kind: TargetKind, ids: impl IntoIterator<Item = impl Into<String>>) -> Request {
        Request {
            kind,
            ids: ids.into_iter().map(Into::into).collect(),
            filters: Vec::new(),
            tags: Vec::new(),
            args: Vec::new(),
            vars: Vec::new(),
        }
    }
}

/// A run before it is made: `--dry-run` shows it, [`crate::run`] makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The root, [`crate::ROOT_GROUP`]; its children are the targets.
    pub root: PlanGroup,
    /// The distinct (query, arguments), in the order of their first leaf.
    pub evaluations: Vec<Evaluation>,
}

/// A selected group.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanGroup {
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
    /// Selected children; never empty but at the root.
    pub children: Vec<PlanChild>,
}

/// A child of a selected group.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanChild {
    /// A group.
    Group(PlanGroup),
    /// A leaf, or a control selected by its own id.
    Control(Arc<PlanControl>),
}

/// A selected leaf or control, with everything a report says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanControl {
    /// The leaf's id, or the control's where it was selected itself; without `control.`.
    pub id: String,
    /// The control behind it; `None`: not named yet.
    pub control: Option<String>,
    /// Item number; empty outside of frameworks.
    pub item: String,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// How bad an alarm is.
    pub severity: Severity,
    /// All tags: the control's, the framework's, the leaf's.
    pub tags: Tags,
    /// The query's name; empty where there is none.
    pub query: String,
    /// Index into [`Plan::evaluations`]; `None`: not implemented.
    pub evaluation: Option<usize>,
}

/// One statement with its arguments, run once whatever number of leaves ask for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The query's name.
    pub query: String,
    /// The statement.
    pub sql: Arc<str>,
    /// Bound arguments, by name, or by position (`1`) where the statement uses positions.
    pub args: Vec<SqlArg>,
    /// The same arguments under the parameters' names, in their order.
    pub named: Vec<SqlArg>,
}

impl PlanGroup {
    /// All selected leaves under it, in order; a leaf with several parents comes several times.
    pub fn controls(&self) -> Vec<&Arc<PlanControl>> {
        let mut out = Vec::new();
        for child in &self.children {
            match child {
                PlanChild::Group(g) => out.extend(g.controls()),
                PlanChild::Control(c) => out.push(c),
            }
        }
        out
    }
}
