//! Connections, the accounts behind them (of Azure: subscriptions, and the tenant), and scopes (account × region): where a call goes and
//! with which credentials.

use crate::azure;
use crate::cache::DiskCache;
use crate::caller::{Caller, OnBehalf};
use crate::credentials::Login;
use crate::registry::Globs;
use crate::{CloudError, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The part of `assay.yaml` this room reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Connections by name. Empty: the connections `aws` and `azure`, each from the ambient credentials of its cloud.
    #[serde(default)]
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Connections that unqualified table names mean, names or globs. Empty: all that are not aggregates.
    #[serde(default)]
    pub default: Vec<String>,
    /// Rate limits: connection → service → limit; `max_in_flight` beside the services.
    #[serde(default)]
    pub limits: BTreeMap<String, serde_json::Value>,
    /// Where answers are kept for the next process; `None`: nowhere.
    #[serde(skip)]
    pub disk: Option<DiskCache>,
}

/// One connection as configured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionConfig {
    /// `aws`, also when absent, or `azure`.
    pub cloud: Option<String>,
    /// Profile of the shared AWS configuration files. It beats the environment's credentials and region.
    pub profile: Option<String>,
    /// Region globs; default: every region enabled for the account. Names without a glob are taken as they are, without asking.
    pub regions: Vec<String>,
    /// A role to assume on top of the profile.
    pub role_arn: Option<String>,
    /// External id for `role_arn`.
    pub external_id: Option<String>,
    /// Every active account of the organization, through a role of this name.
    pub organization: Option<OrganizationConfig>,
    /// Names of other connections, or globs over those that are no aggregates: this one is their union.
    pub aggregate: Vec<String>,
    /// May answers be kept on disk, where that is asked for? Default: yes.
    pub cache: Option<bool>,
    /// Azure: the tenant, by id or domain. Default: the one of the credentials.
    pub tenant: Option<String>,
    /// Azure: globs over ids and names of subscriptions, in whatever case. Default: all that the principal sees.
    pub subscriptions: Vec<String>,
    /// Azure: the national cloud, or the name of one's own.
    pub environment: Option<String>,
    /// Azure: hosts in place of the cloud's.
    pub endpoints: Option<EndpointsConfig>,
    /// Azure: the one source of tokens to use: `environment`, `certificate`, `workload`, `managed`, `cli` or `azd`. Default: the first that has one.
    pub credential: Option<String>,
    /// Azure: application id of the service principal, or client id of the user-assigned managed identity.
    pub client_id: Option<String>,
    /// Azure: path of a PEM file with the service principal's key and certificate. Secrets themselves are never in the configuration.
    pub certificate: Option<String>,
}

/// Where an Azure cloud answers; what is absent is as in the connection's `environment`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointsConfig {
    /// The Resource Manager, such as `https://management.azure.com`.
    pub resource_manager: Option<String>,
    /// Where tokens come from, such as `https://login.microsoftonline.com`.
    pub authority: Option<String>,
    /// Microsoft Graph, such as `https://graph.microsoft.com`.
    pub graph: Option<String>,
    /// What the hosts of storage accounts end in, such as `core.windows.net`.
    pub storage: Option<String>,
    /// What the hosts of key vaults end in, such as `vault.azure.net`: where rotated keys may be stored.
    pub vault: Option<String>,
    /// Whom tokens for the Resource Manager are for; default: its own address.
    pub audience: Option<String>,
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

/// What `cloud` says of an Azure connection.
pub(crate) const AZURE: &str = "azure";

impl Connection {
    /// Whose cloud it is: `aws` or `azure`; of an aggregate, empty.
    pub fn cloud(&self) -> &str {
        match &self.config.cloud {
            _ if !self.members.is_empty() => "",
            Some(cloud) => cloud,
            None => "aws",
        }
    }

    /// `aggregate`, `organization` or `tenant` (its accounts are listed when they are first needed), or `account`.
    pub fn kind(&self) -> &'static str {
        match self.config.organization {
            _ if !self.members.is_empty() => "aggregate",
            _ if self.cloud() == AZURE => "tenant",
            Some(_) => "organization",
            None => "account",
        }
    }
}

/// Who a set of credentials is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Twelve digits; the subscription id, or for a tenant as a whole the tenant id.
    #[serde(with = "shared_text")]
    pub account_id: Arc<str>,
    /// `aws`, `aws-cn`, `aws-us-gov` …; of Azure the name of the cloud: `AzurePublicCloud` …
    #[serde(with = "shared_text")]
    pub partition: Arc<str>,
    /// ARN of the caller; empty for a subscription.
    #[serde(with = "shared_text")]
    pub arn: Arc<str>,
    /// The tenant of a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Box<str>>,
}

/// `Arc<str>` in recordings.
mod shared_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// One account behind a connection: credentials, and lazily its identity and regions. Compared and hashed by `key`.
pub struct Account {
    /// Connection it was reached through.
    pub connection: Arc<str>,
    /// Stable and unique: the connection's name, plus the account id for members of an organization.
    pub key: Arc<str>,
    pub(crate) login: Arc<Login>,
    /// Which of the enabled regions the connection wants.
    pub(crate) wanted: Arc<Globs>,
    pub(crate) caller: Arc<Caller>,
}

/// An account and a region: where one call goes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The account.
    pub account: Arc<Account>,
    /// A region name; for global services the partition's home region (`us-east-1`).
    pub region: Arc<str>,
}

impl PartialEq for Account {
    fn eq(&self, other: &Account) -> bool {
        self.key == other.key
    }
}

impl Eq for Account {}

impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("connection", &self.connection).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Account {
    /// Who these credentials are; asks GetCallerIdentity at most once per set of credentials, and not at all for a role, whose ARN says it,
    /// or a subscription. A tenant that the configuration does not name by its id is found in the list of subscriptions.
    ///
    /// # Errors
    /// The failed call; it is made again the next time somebody asks, unless the refusal is still cached.
    pub async fn identity(&self) -> Result<Identity, CloudError> {
        let (login, caller, connection) = (self.login.clone(), self.caller.clone(), self.connection.clone());
        if login.principal().is_some() {
            let tenant = self.duplicate();
            return self.login.identity.find(|| async move { azure::subscriptions::ask_tenant(&tenant).await }).await;
        }
        self.login.identity.find(|| async move { ask_identity(&login, &caller, &connection).await }).await
    }

    /// The identity if it is known without a call (assumed role, organization member, subscription, recording, asked before).
    pub fn known_identity(&self) -> Option<Identity> {
        self.login.identity.get()
    }

    /// Enabled regions that match the connection's globs, sorted; at most one DescribeRegions per set of credentials, none if the
    /// configuration names every region itself. Of Azure there is one, `global`.
    ///
    /// # Errors
    /// The failed call: which regions there are is then unknown, and nothing stands in for them. `Invalid` if no region matches.
    pub async fn regions(&self) -> Result<Arc<[Arc<str>]>, CloudError> {
        if self.is_azure() {
            return Ok(Arc::from([Arc::from(azure::GLOBAL)]));
        }
        if let Some(names) = self.wanted.names() {
            return Ok(names);
        }
        let (login, caller, connection, region) = (self.login.clone(), self.caller.clone(), self.connection.clone(), self.own_region());
        let enabled = self.login.enabled_regions.find(|| async move { ask_regions(&login, &caller, &connection, &region).await }).await?;
        let matching: Arc<[Arc<str>]> = enabled.iter().filter(|r| self.wanted.matches(r)).cloned().collect();
        if matching.is_empty() {
            let message = format!("no enabled region matches the `regions` of connection {} ({})", self.connection, self.wanted.text());
            return Err(CloudError { account: self.name(), ..CloudError::new(ErrorKind::Invalid, "NoRegion", message) });
        }
        Ok(matching)
    }

    /// The regions if they are known without a call.
    pub fn known_regions(&self) -> Option<Arc<[Arc<str>]>> {
        if self.is_azure() {
            return Some(Arc::from([Arc::from(azure::GLOBAL)]));
        }
        let enabled = || self.login.enabled_regions.get();
        self.wanted.names().or_else(|| Some(enabled()?.iter().filter(|r| self.wanted.matches(r)).cloned().collect()))
    }

    /// The regions that every account has enabled and the connection wants: what may be assumed where nobody asked.
    pub fn likely_regions(&self) -> Vec<Arc<str>> {
        ENABLED.iter().filter(|name| self.wanted.matches(name)).map(|name| Arc::from(*name)).collect()
    }

    /// The region calls to global services are sent to and signed for by default; of Azure `global`.
    pub fn home_region(&self) -> Arc<str> {
        if self.is_azure() {
            return azure::GLOBAL.into();
        }
        let partition = self.known_identity().map(|i| i.partition);
        let by_partition = partition.as_deref().and_then(|p| HOMES.iter().find(|(name, ..)| *name == p));
        let home = by_partition.or_else(|| HOMES.iter().find(|(_, prefix, _)| !prefix.is_empty() && self.login.region.starts_with(prefix)));
        Arc::from(home.map_or("us-east-1", |(_, _, region)| region))
    }

    /// The region that the configuration names for calls that could go anywhere; of Azure `global`.
    pub fn own_region(&self) -> Arc<str> {
        self.login.region.clone()
    }

    /// Where the credentials come from, for people: the source, the end of the access key id, how long they are valid. Gets the
    /// credentials, which may ask STS or the instance metadata; shows no secret.
    ///
    /// # Errors
    /// `Credentials` if there are none.
    pub async fn credential_source(&self) -> Result<String, CloudError> {
        self.login.describe_source().await.map_err(|e| CloudError { account: self.name(), ..e })
    }

    /// Is it a subscription or a tenant? Also known in a replay, which has no credentials.
    pub fn is_azure(&self) -> bool {
        *self.login.region == *azure::GLOBAL
    }

    /// Is it known without a call that nothing can be read there? Then every call says why.
    pub fn is_refused(&self) -> bool {
        self.login.refused.is_some()
    }

    /// The same account once more.
    pub(crate) fn duplicate(&self) -> Account {
        Account {
            connection: self.connection.clone(),
            key: self.key.clone(),
            login: self.login.clone(),
            wanted: self.wanted.clone(),
            caller: self.caller.clone(),
        }
    }

    /// The account's id where it is known, else the connection's name.
    fn name(&self) -> String {
        self.known_identity().map_or_else(|| self.connection.to_string(), |i| i.account_id.to_string())
    }
}

/// Regions that are enabled by default. Source: "Enable or disable AWS Regions in your account".
const ENABLED: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Partition, prefix of its regions, region whose calls reach its global services. Source: the names in `partitions.json` of the AWS SDKs;
/// where the endpoint rules send a global call is the same from every region of a partition.
const HOMES: &[(&str, &str, &str)] = &[
    ("aws", "", "us-east-1"),
    ("aws-cn", "cn-", "cn-north-1"),
    ("aws-us-gov", "us-gov-", "us-gov-west-1"),
    ("aws-iso-b", "us-isob-", "us-isob-east-1"),
    ("aws-iso-f", "us-isof-", "us-isof-south-1"),
    ("aws-iso-e", "eu-isoe-", "eu-isoe-west-1"),
    ("aws-iso", "us-iso-", "us-iso-east-1"),
    ("aws-eusc", "eusc-", "eusc-de-east-1"),
];

/// Asks who a login is.
pub(crate) async fn ask_identity(login: &Arc<Login>, caller: &Arc<Caller>, connection: &str) -> Result<Identity, CloudError> {
    let who = OnBehalf { login, connection };
    let answer = caller.call(who, &login.region, "sts", "GetCallerIdentity", json!({}), &caller.tally).await?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let (account, arn) = (text("Account"), text("Arn"));
    match arn.split(':').nth(1) {
        Some(partition) if !account.is_empty() && !partition.is_empty() => {
            Ok(Identity { account_id: account.into(), partition: partition.into(), arn: arn.into(), tenant_id: None })
        }
        _ => Err(bad_answer("sts", "GetCallerIdentity", login, connection, "the answer has no account or ARN")),
    }
}

async fn ask_regions(login: &Arc<Login>, caller: &Arc<Caller>, connection: &str, region: &Arc<str>) -> Result<Arc<[Arc<str>]>, CloudError> {
    let who = OnBehalf { login, connection };
    let answer = caller.call(who, region, "ec2", "DescribeRegions", json!({"AllRegions": true}), &caller.tally).await?;
    let Some(regions) = answer.get("Regions").and_then(Value::as_array) else {
        return Err(bad_answer("ec2", "DescribeRegions", login, connection, "the answer has no list of regions"));
    };
    let enabled = regions.iter().filter(|r| matches!(r["OptInStatus"].as_str(), None | Some("opt-in-not-required" | "opted-in")));
    let mut names: Vec<Arc<str>> = enabled.filter_map(|r| r["RegionName"].as_str()).map(Arc::from).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(bad_answer("ec2", "DescribeRegions", login, connection, "the answer names no enabled region"));
    }
    Ok(names.into())
}

/// An answer without what every such answer has.
pub(crate) fn bad_answer(service: &str, operation: &str, login: &Login, connection: &str, message: &str) -> CloudError {
    CloudError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        account: login.identity.get().map_or_else(|| connection.to_owned(), |i| i.account_id.to_string()),
        region: if azure::is_api(service) { String::new() } else { login.region.to_string() },
        ..CloudError::new(ErrorKind::BadAnswer, "BadAnswer", message)
    }
}
