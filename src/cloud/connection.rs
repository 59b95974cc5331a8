//! Connections, the accounts behind them, and scopes (account × region): where a call goes and with which credentials.

use crate::CloudError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The part of `assay.yaml` this room reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Connections by name. Empty: one connection `aws` from the ambient credentials.
    #[serde(default)]
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Connections that unqualified table names mean. Empty: all that are not aggregates.
    #[serde(default)]
    pub default: Vec<String>,
    /// Rate limits: connection → service → limit; `max_in_flight` beside the services.
    #[serde(default)]
    pub limits: BTreeMap<String, serde_json::Value>,
}

/// One connection as configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionConfig {
    /// `aws`; `azure` comes with its issue. Absent for aggregates.
    pub cloud: Option<String>,
    /// Profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// Region globs; default: every region enabled for the account.
    pub regions: Vec<String>,
    /// A role to assume on top of the profile.
    pub role_arn: Option<String>,
    /// External id for `role_arn`.
    pub external_id: Option<String>,
    /// Every active account of the organization, through a role of this name.
    pub organization: Option<OrganizationConfig>,
    /// Names or globs of other connections: this one is their union.
    pub aggregate: Vec<String>,
}

/// How to reach the member accounts of an AWS organization.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationConfig {
    /// Role to assume in each member account.
    pub role: String,
    /// Globs over account names and ids that are left out.
    pub exclude: Vec<String>,
}

/// A named connection; an aggregate stands for its members.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The name: also the SQL schema.
    pub name: Arc<str>,
    /// Members of an aggregate; empty for a real connection.
    pub members: Vec<Arc<str>>,
    pub(crate) config: ConnectionConfig,
}

/// Who a set of credentials is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account_id: Arc<str>,
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: Arc<str>,
    /// ARN of the caller.
    pub arn: Arc<str>,
}

/// One account behind a connection: credentials, and lazily its identity and regions. Compared and hashed by `key`.
#[derive(Debug)]
pub struct Account {
    /// Connection it was reached through.
    pub connection: Arc<str>,
    /// Stable and unique: the connection's name, plus the account id for members of an organization.
    pub key: Arc<str>,
}

/// An account and a region: where one call goes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The account.
    pub account: Arc<Account>,
    /// A region name; for global services the partition's home region (`us-east-1`).
    pub region: Arc<str>,
}

impl Account {
    /// Who these credentials are; asks GetCallerIdentity at most once per account.
    ///
    /// # Errors
    /// The failed call.
    pub async fn identity(&self) -> Result<Identity, CloudError> {
        unimplemented!()
    }

    /// The identity if it is known without a call (organization member, recording, asked before).
    pub fn known_identity(&self) -> Option<Identity> {
        unimplemented!()
    }

    /// Enabled regions that match the connection's globs, sorted; at most one DescribeRegions per account.
    ///
    /// # Errors
    /// The failed call.
    pub async fn regions(&self) -> Result<Arc<[Arc<str>]>, CloudError> {
        unimplemented!()
    }

    /// The region calls to global services are sent to and signed for by default.
    pub fn home_region(&self) -> Arc<str> {
        unimplemented!()
    }
}
