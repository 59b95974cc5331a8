//! The subscriptions behind an Azure connection, each an account of its own, and the tenant they belong to.

use super::GLOBAL;
use super::principal::Principal;
use crate::caller::{OnBehalf, Target};
use crate::connection::{Identity, bad_answer};
use crate::credentials::{Login, Source};
use crate::flight::Once;
use crate::registry::Globs;
use crate::{Account, CloudError, ErrorKind, listing};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The call that lists them, in the version and with the input that the table of subscriptions has too: it is made once for both.
const LIST: &str = "GET /subscriptions";
/// It as a service and an operation.
pub(crate) const LIST_CALL: (&str, &str) = ("arm", LIST);
const TENANTS: &str = "GET /tenants";
const VERSION: &str = "2022-12-01";

/// States in which a subscription can be read. Source: "Azure subscription states".
const READABLE: &[&str] = &["Enabled", "Warned", "PastDue"];

/// An Azure connection: its tenant, and its subscriptions once they are listed.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) own: Arc<Account>,
    /// Globs over ids and names.
    wanted: Globs,
    listed: Once<Vec<Arc<Account>>>,
}

impl Tenant {
    /// `own` is the tenant's account.
    pub(crate) fn new(own: Arc<Account>, wanted: &[String]) -> Result<Tenant, CloudError> {
        let lower: Vec<String> = wanted.iter().map(|w| w.to_lowercase()).collect();
        let at = format!("connections.{}.subscriptions", own.connection);
        Ok(Tenant { wanted: Globs::read(&at, &lower)?, own, listed: Once::new() })
    }

    /// The subscriptions, by id; listed once.
    pub(crate) async fn subscriptions(&self) -> Result<Vec<Arc<Account>>, CloudError> {
        let (own, wanted) = (self.own.clone(), self.wanted.clone());
        self.listed.find(|| list(own, wanted)).await
    }

    /// The subscriptions if they were listed.
    pub(crate) fn known_subscriptions(&self) -> Option<Vec<Arc<Account>>> {
        self.listed.get()
    }

    /// Forgets that no token could be had.
    pub(crate) fn forget_failure(&self) {
        self.own.login.forget_failure();
        self.listed.get().iter().flatten().for_each(|account| account.login.forget_failure());
    }
}

/// The login of a connection's tenant.
pub(crate) fn tenant_login(connection: &Arc<str>, principal: Arc<Principal>) -> Login {
    Login::new(connection.clone(), GLOBAL, Source::Azure(principal))
}

async fn list(own: Arc<Account>, wanted: Globs) -> Result<Vec<Arc<Account>>, CloudError> {
    let principal = own.login.principal().ok_or_else(|| no_tenant(&own, "the connection has no principal"))?;
    let partition: Arc<str> = principal.parts()?.environment.name.as_str().into();
    let mut found: BTreeMap<String, Arc<Account>> = BTreeMap::new();
    let all = listed(&own.login, &own, LIST).await?;
    let count = all.len();
    let mut tenants: Vec<String> = all.iter().filter_map(|s| text(s, "tenantId")).map(str::to_ascii_lowercase).collect();
    tenants.sort_unstable();
    tenants.dedup();
    if let [tenant] = &tenants[..] {
        own.login.identity.set(identity(tenant, &partition, tenant));
    }
    for subscription in &all {
        let Some(id) = text(subscription, "subscriptionId").map(str::to_ascii_lowercase) else {
            return Err(bad_answer("arm", LIST, &own.login, &own.connection, "a subscription has no id"));
        };
        let name = text(subscription, "displayName").unwrap_or_default();
        if !wanted.matches(&id) && !wanted.matches(&name.to_lowercase()) {
            continue;
        }
        let key: Arc<str> = format!("{}/{id}", own.connection).into();
        let mut login = Login::new(key.clone(), GLOBAL, Source::Azure(principal.clone()));
        let tenant =
            text(subscription, "tenantId").map(str::to_ascii_lowercase).or_else(|| Some(own.known_identity()?.account_id.to_string()));
        login.identity.set(Identity { tenant_id: tenant.map(String::into_boxed_str), ..identity(&id, &partition, "") });
        let state = text(subscription, "state").unwrap_or(READABLE[0]);
        if !READABLE.iter().any(|s| s.eq_ignore_ascii_case(state)) {
            let message = format!(
                "subscription {name:?} is {state}: nothing is read there; enable it, or leave it out with `subscriptions` of connection {}",
                own.connection
            );
            login.refused = Some(CloudError::new(ErrorKind::Denied, "SubscriptionDisabled", message));
        }
        found.insert(
            id,
            Arc::new(Account {
                connection: own.connection.clone(),
                key,
                login: Arc::new(login),
                wanted: own.wanted.clone(),
                caller: own.caller.clone(),
            }),
        );
    }
    if found.is_empty() {
        let (kind, code, message) = match count {
            0 => (ErrorKind::Denied, "NoSubscriptions", "the principal sees no subscription: give it the role Reader on some".to_owned()),
            n => {
                let message = format!(
                    "none of the {n} subscriptions matches the `subscriptions` of connection {} ({})",
                    own.connection,
                    wanted.text()
                );
                (ErrorKind::Invalid, "NoSubscription", message)
            }
        };
        return Err(CloudError { account: own.connection.to_string(), ..CloudError::new(kind, code, message) });
    }
    Ok(found.into_values().collect())
}

/// All items of a list that is asked on behalf of the tenant.
async fn listed(login: &Arc<Login>, own: &Account, operation: &str) -> Result<Vec<Value>, CloudError> {
    let who = OnBehalf { login, connection: &own.connection };
    let region: Arc<str> = GLOBAL.into();
    let (_, path) = operation.split_once(' ').unwrap_or_default();
    let input = json!({"path": path, "query": {"api-version": VERSION}});
    let mut stream = listing::pages(&own.caller, Target { who, region: &region, service: "arm", operation }, input, &own.caller.tally);
    let mut items = Vec::new();
    while let Some(page) = stream.next().await {
        let page = page.map_err(|e| match e.operation.is_empty() {
            true => bad_answer("arm", operation, login, &own.connection, &e.message),
            false => e,
        })?;
        let Some(value) = page.get("value").and_then(Value::as_array) else {
            return Err(bad_answer("arm", operation, login, &own.connection, "the answer has no list `value`"));
        };
        items.extend(value.iter().cloned());
    }
    Ok(items)
}

fn text<'a>(of: &'a Value, member: &str) -> Option<&'a str> {
    of.get(member)?.as_str().filter(|t| !t.is_empty())
}

/// What is known of a subscription, or of a tenant.
pub(crate) fn identity(id: &str, partition: &Arc<str>, tenant: &str) -> Identity {
    let tenant_id = Some(tenant).filter(|t| !t.is_empty()).map(Box::from);
    Identity { account_id: id.into(), partition: partition.clone(), arn: "".into(), tenant_id }
}

/// Which tenant a connection is of: as configured, else the one of its subscriptions, else the only one that the principal sees.
pub(crate) async fn ask_tenant(account: &Account) -> Result<Identity, CloudError> {
    let login = &account.login;
    let principal = login.principal().ok_or_else(|| no_tenant(account, "the connection has no principal"))?;
    let parts = principal.parts()?;
    let partition: Arc<str> = parts.environment.name.as_str().into();
    // A tenant may also be named by a domain, which says nothing about its id.
    if let Some(id) = parts.tokens.tenant().filter(|t| is_id(t)) {
        let id = id.to_ascii_lowercase();
        return Ok(identity(&id, &partition, &id));
    }
    for operation in [LIST, TENANTS] {
        let mut ids: Vec<String> =
            listed(login, account, operation).await?.iter().filter_map(|t| text(t, "tenantId")).map(str::to_ascii_lowercase).collect();
        ids.sort_unstable();
        ids.dedup();
        if let [id] = &ids[..] {
            return Ok(identity(id, &partition, id));
        }
    }
    Err(no_tenant(account, "the principal sees no tenant, or several: set `tenant` of the connection to the id of one"))
}

fn no_tenant(account: &Account, message: &str) -> CloudError {
    CloudError { account: account.connection.to_string(), ..CloudError::new(ErrorKind::Invalid, "UnknownTenant", message) }
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}
