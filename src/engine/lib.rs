//! SQL over the tables: session, catalog, scans, PostgreSQL dialect and functions, EXPLAIN.
//!
//! Owns: DataFusion. Refuses: the name of any concrete service, and any decision about exit codes or formats.

mod bill;
mod bind;
mod dialect;
mod early;
mod error;
mod execute;
mod explain;
mod filters;
mod functions;
mod introspection;
mod memory;
mod messages;
mod ordered;
mod parameters;
mod provider;
mod query_log;
mod scan;
mod schemas;
mod scopes;
mod secrets;
mod session;
pub mod shapes;
mod slices;
mod together;

pub use bill::{Asked, Basis, Bill, BillLine, Record, Statistics};
pub use dialect::check_syntax;
pub use error::EngineError;
pub use query_log::{AsOf, Failure, QueryLog, TableRead};
pub use session::{Arg, Engine, Query, Settings};
