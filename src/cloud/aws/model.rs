//! Facts of the service models that other rooms check specs against: shapes, paginators, error codes.

use serde_json::Value;

/// The paginator of an operation, from botocore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paginator {
    /// Request members that take the tokens.
    pub input_tokens: Vec<String>,
    /// Expressions over the answer that give the tokens, in the same order.
    pub output_tokens: Vec<String>,
    /// Member that says there is more.
    pub more_results: Option<String>,
    /// Request member that limits the page.
    pub limit_key: Option<String>,
    /// Paths of the result lists.
    pub result_keys: Vec<String>,
}

/// The paginator of an operation; `None` where the model has none.
pub fn paginator(service: &str, operation: &str) -> Option<Paginator> {
    let _ = (service, operation);
    unimplemented!()
}

/// The stripped botocore shape of an operation's input or output: `{type, members: {name: {shape, type, …}}}` resolved one level at a time by [`shape`].
pub fn operation_shapes(service: &str, operation: &str) -> Option<(Option<String>, Option<String>)> {
    let _ = (service, operation);
    unimplemented!()
}

/// A shape of a service by name, as in the stripped model.
pub fn shape(service: &str, name: &str) -> Option<&'static Value> {
    let _ = (service, name);
    unimplemented!()
}

/// Names of all services, sorted.
pub fn services() -> Vec<&'static str> {
    unimplemented!()
}

/// Names of all operations of a service, sorted; empty for an unknown service.
pub fn operations(service: &str) -> Vec<&'static str> {
    let _ = service;
    unimplemented!()
}

/// Error codes the operation declares; services also answer with common and undeclared codes.
pub fn error_codes(service: &str, operation: &str) -> Vec<&'static str> {
    let _ = (service, operation);
    unimplemented!()
}

/// Regions of a partition where the service has an endpoint, from the partition data; `None` where it is not known.
pub fn service_regions(service: &str, partition: &str) -> Option<Vec<&'static str>> {
    let _ = (service, partition);
    unimplemented!()
}
