//! Signed, retried, rate-limited, paged, cached and recordable JSON from cloud APIs.
//!
//! Owns: operations by name, credentials, scopes, limits, the response cache, recordings. Refuses: any operation that is
//! not on the read allow-list, and any knowledge of Arrow or SQL.

pub mod aws;
pub mod azure;
#[cfg(test)]
mod azure_tests;
mod budget;
mod bundle;
mod cache;
mod caller;
mod clock;
mod cloud;
#[cfg(test)]
mod cloud_tests;
mod connection;
mod container;
mod credentials;
mod error;
#[cfg(test)]
mod fake;
mod flight;
mod http;
mod key;
mod limiter;
mod limits;
mod listing;
mod meter;
mod organization;
mod own_keys;
mod pages;
mod permissions;
mod published;
mod read_op;
mod recorder;
mod redact;
mod registry;
mod retries;
mod tally;
mod transport;
pub mod writer;

pub use bundle::{Bundle, BundleError};
pub use cache::{DiskCache, KeySource, StoreStatus};
pub use cloud::{Cloud, Mode, Options, Pace, is_paged};
pub use connection::{Account, Config, Connection, ConnectionConfig, EndpointsConfig, Identity, OrganizationConfig, Scope};
pub use error::{CloudError, ErrorKind};
pub use meter::{Meter, Metered, Place};
pub use permissions::{Permission, Price, permissions, price};
pub use read_op::ReadOp;
pub use tally::{Tally, TallyCounts};
