//! What differs between the clouds in a spec: how a call is written, which facts of the scope have names, which columns every table has.
//!
//! Refuses: anything about a service. Those are data in specs and models.

use crate::ScopeKind;
use crate::expr::Fact;

/// Whose cloud a table asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Provider {
    #[default]
    Aws,
    Azure,
}

/// Azure's APIs, which begin a call: the Resource Manager, Microsoft Graph, the data plane of storage.
pub(crate) const APIS: [&str; 5] = ["arm", "graph", "blob", "queue", "table"];
/// Short for a query of the Resource Graph.
pub(crate) const RESOURCE_GRAPH: &str = "arg";

const AWS: [(&str, Fact); 7] = [
    ("partition", Fact::Partition),
    ("account_id", Fact::AccountId),
    ("region", Fact::Region),
    ("connection_name", Fact::Connection),
    ("connection_regions", Fact::Regions),
    ("home_region", Fact::HomeRegion),
    ("now", Fact::Now),
];
const SUBSCRIPTION: [(&str, Fact); 5] = [
    ("subscription_id", Fact::AccountId),
    ("tenant_id", Fact::TenantId),
    ("cloud_environment", Fact::Partition),
    ("connection_name", Fact::Connection),
    ("now", Fact::Now),
];
const TENANT: [(&str, Fact); 4] =
    [("tenant_id", Fact::TenantId), ("cloud_environment", Fact::Partition), ("connection_name", Fact::Connection), ("now", Fact::Now)];

/// What else a link of a summary may name.
const SUBSCRIPTIONS: [(&str, Fact); 6] = {
    let [id, tenant, cloud, connection, now] = SUBSCRIPTION;
    [id, tenant, cloud, connection, now, ("asked_subscriptions", Fact::Asked)]
};

impl Provider {
    /// The provider of a call as it is written.
    pub(crate) fn of_call(text: &str) -> Provider {
        let first = text.split([' ', '.']).next().unwrap_or(text);
        if APIS.contains(&first) || first == RESOURCE_GRAPH { Provider::Azure } else { Provider::Aws }
    }

    /// Its name: the first word of its tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Provider::Aws => "aws",
            Provider::Azure => "azure",
        }
    }

    /// Facts of a scope, by name.
    pub(crate) fn facts(self, scope: ScopeKind) -> &'static [(&'static str, Fact)] {
        match (self, scope) {
            (Provider::Aws, _) => &AWS,
            (Provider::Azure, ScopeKind::Tenant) => &TENANT,
            (Provider::Azure, _) => &SUBSCRIPTION,
        }
    }

    /// Facts of a scope and of those that are asked with it, by name: for the links of a summary.
    pub(crate) fn facts_together(self, scope: ScopeKind) -> &'static [(&'static str, Fact)] {
        match (self, scope) {
            (Provider::Azure, ScopeKind::Subscription) => &SUBSCRIPTIONS,
            _ => self.facts(scope),
        }
    }

    /// What its tables can be asked per, for people.
    pub(crate) fn scopes(self) -> &'static str {
        match self {
            Provider::Aws => "account (asked once, at the partition's home region) or region (asked in every region)",
            Provider::Azure => "subscription (asked in every subscription) or tenant (asked once)",
        }
    }

    /// Has it scopes of this kind?
    pub(crate) fn has(self, scope: ScopeKind) -> bool {
        match scope {
            ScopeKind::Account | ScopeKind::Region => self == Provider::Aws,
            ScopeKind::Subscription | ScopeKind::Tenant => self == Provider::Azure,
        }
    }
}
