//! Azure: one thin client for the Resource Manager, Microsoft Graph and the storage data plane.
//!
//! Owns: endpoints of the national clouds, tokens, paging, what a failed answer means. Refuses: sending a token to any host that is not an
//! endpoint of the connection's cloud, and any request that is neither a read nor one of the writes that are named in `writes.rs`.

pub(crate) mod allow;
mod answer;
mod certificate;
pub(crate) mod client;
mod embedded;
pub(crate) mod environment;
pub(crate) mod fields;
pub(crate) mod gates;
mod issuer;
pub mod model;
pub(crate) mod paging;
pub(crate) mod principal;
mod refusal;
mod request;
mod source;
pub(crate) mod subscriptions;
pub(crate) mod tokens;
mod variables;
mod writes;

/// What can be called: the first word of a spec's `call:`.
pub(crate) const APIS: [&str; 5] = ["arm", "graph", "blob", "queue", "table"];

/// Region of every Azure scope: its services are asked in one place, wherever the resources are.
pub(crate) const GLOBAL: &str = "global";

/// Is this the name of an Azure API, and not of an AWS service?
pub fn is_api(service: &str) -> bool {
    APIS.contains(&service)
}

/// Is it an API of the storage data plane, whose addresses are the accounts' own?
pub(crate) fn is_storage(service: &str) -> bool {
    matches!(service, "blob" | "queue" | "table")
}
