//! The clouds: where their endpoints are, and for whom tokens are asked.

use crate::{CloudError, ConnectionConfig};
use reqwest::Url;

/// One cloud, as a connection uses it.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// What `cloud_environment` says: `AzurePublicCloud`, `AzureUSGovernmentCloud`, `AzureChinaCloud`; the given name of a custom one.
    pub(crate) name: String,
    /// Where tokens come from.
    pub(crate) authority: Url,
    /// The Resource Manager.
    pub(crate) resource_manager: Url,
    /// Microsoft Graph.
    pub(crate) graph: Url,
    /// Hosts of the storage data plane end in a dot and this: `core.windows.net`. With a port, or a bare host, for emulators.
    pub(crate) storage_suffix: String,
    /// Scopes that tokens are asked for: Resource Manager, Graph, storage.
    pub(crate) arm_scope: String,
    pub(crate) graph_scope: String,
    pub(crate) storage_scope: String,
}

impl Environment {
    /// The cloud of a connection: its `environment` and `endpoints`, then the environment variables, then the public cloud.
    pub(crate) fn of(_name: &str, _config: &ConnectionConfig) -> Result<Environment, CloudError> {
        unimplemented!()
    }
}
