//! The one error type of the room: what a call answered when it did not answer with data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of failure it is, and so who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The cloud says the caller may not do this.
    Denied,
    /// The thing asked for does not exist.
    NotFound,
    /// Still throttled after all retries.
    Throttled,
    /// A server or network fault that outlived its retries.
    Transient,
    /// No, partial, wrong or expired credentials.
    Credentials,
    /// Nothing answers at that address: name, TLS or connection failure.
    Unreachable,
    /// The answer cannot be understood: HTML, a truncated body, a shape that breaks the model.
    BadAnswer,
    /// A replay has no such call.
    NotRecorded,
    /// The request is wrong: unknown service or operation, not on the read allow-list, bad input.
    Invalid,
    /// Any other error code of the service.
    Service,
    /// Not called: the calls that were allowed are made.
    OverBudget,
}

/// A failed call, with everything a person needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The service's own error code (`AccessDenied`, `NoSuchEntity` …), or ours in the same style.
    pub code: String,
    /// The service's own message, or ours; lower case when ours.
    pub message: String,
    /// `iam`, `ec2` …; empty when no service was involved.
    pub service: String,
    /// `ListUsers` …; empty when no operation was involved.
    pub operation: String,
    /// The account the call was for, or the connection's name where the account is not known yet.
    pub account: String,
    /// The region the call was for; empty for Azure.
    pub region: String,
    /// The service's request id.
    pub request_id: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
}

impl CloudError {
    /// A failure with kind, code and message; the rest is filled in where it is known.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> CloudError {
        CloudError {
            kind,
            code: code.into(),
            message: message.into(),
            service: String::new(),
            operation: String::new(),
            account: String::new(),
            region: String::new(),
            request_id: None,
            status: None,
        }
    }

    /// What the reader can do about it, where there is something general to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.kind {
            ErrorKind::Denied => "grant the permission to the principal that runs assay, or exclude this scope",
            ErrorKind::Credentials => "run `assay doctor` to see which credential source each connection uses",
            ErrorKind::Unreachable => {
                "check the network, the proxy (HTTPS_PROXY) and any endpoint that is set (AWS_ENDPOINT_URL, `endpoints`)"
            }
            ErrorKind::Throttled => "run again later, or lower `limits` for this connection",
            ErrorKind::OverBudget => "raise --max-calls, or ask for less; `assay explain` tells what a query costs",
            ErrorKind::NotRecorded => "the bundle has no answer for this call: record it again with this query",
            _ => return None,
        })
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.operation.is_empty() {
            write!(f, "{}:{} ", self.service, self.operation)?;
        }
        if !self.account.is_empty() {
            let gap = if self.region.is_empty() { "" } else { " " };
            write!(f, "in {}{gap}{}: ", self.account, self.region)?;
        }
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for CloudError {}
