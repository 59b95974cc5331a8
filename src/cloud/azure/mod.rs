//! Azure: one thin client for the Resource Manager, Microsoft Graph and the storage data plane.
//!
//! Owns: endpoints of the national clouds, tokens, paging, what a failed answer means. Refuses: sending a token to any host that is not an
//! endpoint of the connection's cloud, and any request that is not a read.

mod certificate;
pub(crate) mod environment;
pub(crate) mod fields;
mod issuer;
mod refusal;
mod source;
pub(crate) mod tokens;
mod variables;

/// What can be called: the first word of a spec's `call:`.
pub(crate) const APIS: [&str; 5] = ["arm", "graph", "blob", "queue", "table"];

/// Is this the name of an Azure API, and not of an AWS service?
pub fn is_api(service: &str) -> bool {
    APIS.contains(&service)
}
