//! Controls, benchmarks and their verdicts.
//!
//! Owns: the model, YAML loading, selection, the runner, the result model. Refuses: knowing how SQL is run (see [`SqlRunner`]) and how
//! a report looks.

mod args;
mod decode;
mod embedded;
mod error;
mod filter;
mod folder;
mod index;
mod judge;
mod library;
mod model;
mod mods;
mod placeholders;
mod plan;
mod result;
mod run;
mod select;
mod sql;
mod yaml;

pub use error::{ContentError, LoadError, SelectError};
pub use library::{Item, Library, NamedQuery};
pub use model::{Child, Control, Group, Leaf, Param, Place, Query, QueryRef, Severity, Tags};
pub use mods::{Checked, LoadedMods, ModFolder, ModInfo, ModRequirement, ModValue, SqlProblem, read_mod, read_mod_values};
pub use plan::{Evaluation, Plan, PlanChild, PlanControl, PlanGroup, Request, TargetKind};
pub use result::{
    Completeness, ControlResult, Counts, Coverage, Findings, Gap, GroupResult, Outcome, ROOT_GROUP, ResultChild, ResultRow, RunResult,
    RunState, Status, Unknown,
};
pub use run::{Progress, RunOptions, run};
pub use sql::{Answer, AnswerColumn, CallCounts, OlderPart, ScopeFailure, SqlArg, SqlError, SqlErrorKind, SqlRunner, TableScopes, Value};
