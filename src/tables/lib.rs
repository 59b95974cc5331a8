//! Table specs (YAML) to typed columns, and JSON to Arrow.
//!
//! Owns: the grammar, the catalog of specs, the compilation of a projection and filters into a plan of calls, and the
//! extraction of columns. Refuses: making calls, and any knowledge of tokio, HTTP or DataFusion.

mod catalog;
mod check;
mod column;
mod error;
mod expr;
pub mod jsonb;
mod plan;
mod planner;
mod program;
mod provider;
pub mod run;
mod secrets;
mod spec;
mod summary;
mod table;

pub use catalog::Catalog;
pub use check::{Member, Shape, Shapes};
pub use column::{Column, ColumnType, EXTENSION};
pub use error::SpecError;
pub use plan::{CallGroup, CallPlan, Filter, Known, Per, PlanError, RangeOp, Request, Route, Scalar, Start};
pub use secrets::SecretMember;
pub use summary::Summary;
pub use table::{Key, KeyOp, ScopeKind, Table};
