//! Signed, retried, rate-limited, paged, cached and recordable JSON from cloud APIs.
//!
//! Owns: operations by name, credentials, scopes, limits, the response cache, recordings. Refuses: any operation that is
//! not on the read allow-list, and any knowledge of Arrow or SQL.

pub mod aws;
mod bundle;
mod cloud;
mod connection;
mod error;
mod read_op;
mod tally;

pub use bundle::{Bundle, BundleError};
pub use cloud::{Cloud, Mode, Options};
pub use connection::{Account, Config, Connection, ConnectionConfig, Identity, Scope};
pub use error::{CloudError, ErrorKind};
pub use read_op::ReadOp;
pub use tally::{Tally, TallyCounts};
