//! What can be said without a call: a handle that answers from what is known, budgets, and the process's count of distinct calls.

use super::{Behind, Cloud, Sharing};
use crate::caller::not_asked;
use crate::connection::AZURE;
use crate::limiter::DEFAULT_IN_FLIGHT;
use crate::{Account, CloudError, Identity, Meter, Tally, azure, pages};
use std::sync::Arc;
use std::time::Duration;

/// How fast calls of one kind may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Calls per second; `None` where no limit is configured or published.
    pub per_second: Option<f64>,
    /// Calls that may start at once after a pause.
    pub burst: f64,
    /// Calls under way at the same time.
    pub in_flight: usize,
}

impl Cloud {
    /// A handle that makes no call: answers come from the cache or a recording, and what is not known is an error of code `NotAsked`.
    /// Accounts that are not known yet are stood in for by the connection's own. Nothing it does shows in the process's counts.
    #[must_use]
    pub fn offline(&self) -> Cloud {
        let sharing = if self.0.replayed { Sharing::Rehearsed } else { Sharing::Known };
        Cloud(self.0.clone(), sharing)
    }

    /// A handle that asks for lists alone, for those who want to know how many calls their rows would take.
    #[must_use]
    pub fn asking(&self) -> Cloud {
        let sharing = if self.0.replayed { Sharing::Rehearsed } else { Sharing::Lists };
        Cloud(self.0.clone(), sharing)
    }

    /// The handle for calls that are made for rows of a list: of one that asks for lists alone, one that makes no call.
    #[must_use]
    pub fn for_rows(&self) -> Cloud {
        if self.asks_lists() { self.offline() } else { self.clone() }
    }

    /// Does this handle ask for lists alone?
    pub fn asks_lists(&self) -> bool {
        self.1 == Sharing::Lists
    }

    /// What statements of this handle count into.
    pub fn counts(&self) -> Tally {
        match self.1 {
            Sharing::Shared | Sharing::Own | Sharing::Lists => self.tally().clone(),
            Sharing::Known | Sharing::Rehearsed => Tally::default(),
        }
    }

    /// How long an answer took so far, on average; `None` where nothing was answered.
    pub fn latency(&self) -> Option<Duration> {
        self.0.caller.latency.mean()
    }

    /// Does this handle make no call?
    pub fn is_offline(&self) -> bool {
        self.1 == Sharing::Known
    }

    /// Sets how many requests may be sent from now on, retries and assumed roles included; `None`: any number. Shared by all handles.
    pub fn set_max_calls(&self, most: Option<u64>) {
        self.0.caller.budget.set(most);
    }

    /// Distinct calls of this process, those for scopes and credentials included.
    pub fn meter(&self) -> &Meter {
        &self.0.caller.meter
    }

    /// Who an account is, asked for unless this handle makes no call.
    ///
    /// # Errors
    /// As [`Account::identity`]; `NotAsked`.
    pub async fn identity(&self, account: &Account) -> Result<Identity, CloudError> {
        match account.known_identity() {
            Some(identity) => Ok(identity),
            None if self.is_offline() => Err(not_asked()),
            None => account.identity().await,
        }
    }

    /// The regions of an account, asked for unless this handle makes no call.
    ///
    /// # Errors
    /// As [`Account::regions`]; `NotAsked`.
    pub async fn regions(&self, account: &Account) -> Result<Arc<[Arc<str>]>, CloudError> {
        match account.known_regions() {
            Some(regions) => Ok(regions),
            None if self.is_offline() => Err(not_asked()),
            None => account.regions().await,
        }
    }

    /// Are these all the accounts behind a connection, or does one stand in for them?
    pub fn knows_accounts(&self, connection: &str) -> bool {
        match self.0.behind.get(connection) {
            Some(Behind::One(_) | Behind::Recorded { .. }) => true,
            Some(Behind::Organization { listed, .. }) => listed.get().is_some(),
            Some(Behind::Azure(tenant)) => tenant.known_subscriptions().is_some(),
            None => false,
        }
    }

    pub(super) fn known_accounts(&self, connection: &Arc<str>) -> Result<Vec<Arc<Account>>, CloudError> {
        match self.0.behind.get(connection) {
            Some(Behind::One(account)) => Ok(vec![account.clone()]),
            Some(Behind::Organization { own, listed }) => Ok(listed.get().unwrap_or_else(|| vec![own.clone()])),
            Some(Behind::Azure(tenant)) => Ok(tenant.known_subscriptions().unwrap_or_else(|| vec![tenant.own.clone()])),
            Some(Behind::Recorded { accounts, .. }) => accounts.clone(),
            None => Ok(Vec::new()),
        }
    }

    /// Operations that find the accounts behind a connection, as (service, operation); `regions`: also the regions of each.
    pub fn discovery(&self, connection: &str, regions: bool) -> Vec<(&'static str, &'static str)> {
        let Some(found) = self.0.connections.iter().find(|c| &*c.name == connection) else { return Vec::new() };
        if found.cloud() == AZURE {
            return vec![azure::subscriptions::LIST_CALL];
        }
        let mut calls = Vec::new();
        if found.config.organization.is_some() {
            calls.extend([("sts", "GetCallerIdentity"), ("organizations", "ListAccounts"), ("sts", "AssumeRole")]);
        }
        if found.config.role_arn.is_some() {
            calls.push(("sts", "AssumeRole"));
        }
        let named = match self.0.behind.get(connection) {
            Some(Behind::One(own) | Behind::Organization { own, .. }) => own.wanted.names().is_some(),
            _ => true,
        };
        if regions && !named {
            calls.push(("ec2", "DescribeRegions"));
        }
        calls
    }

    /// The operation that tells who the account of a connection is, where that takes a call.
    pub fn identification(&self, connection: &str) -> Option<(&'static str, &'static str)> {
        match self.0.behind.get(connection) {
            Some(Behind::One(own)) if !own.login.is_role() => Some(("sts", "GetCallerIdentity")),
            _ => None,
        }
    }

    /// What of a connection's configuration decides which calls are made: equal texts, equal scopes, as far as is known here.
    pub fn shape_of(&self, connection: &str) -> String {
        let Some(found) = self.0.connections.iter().find(|c| &*c.name == connection) else { return String::new() };
        let config = &found.config;
        let organization = config.organization.as_ref().map(|o| (&o.role, &o.exclude));
        format!("{connection} {:?} {:?} {:?} {organization:?}", config.profile, config.regions, config.subscriptions)
    }

    /// Ids of subscriptions that the configuration names.
    pub fn named_subscriptions(&self) -> Vec<String> {
        let id = |text: &&String| text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let mut all: Vec<String> = self.0.connections.iter().flat_map(|c| c.config.subscriptions.iter().filter(id).cloned()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// How fast calls of an operation may go in one scope of a connection, as configured or published.
    pub fn pace(&self, connection: &str, service: &str, operation: &str) -> Pace {
        let own = match self.0.behind.get(connection) {
            Some(Behind::One(own) | Behind::Organization { own, .. }) => Some(own),
            Some(Behind::Azure(tenant)) => Some(&tenant.own),
            Some(Behind::Recorded { accounts, tenant }) => accounts.as_ref().ok().and_then(|all| all.first()).or(tenant.as_ref()),
            None => None,
        };
        let gates = own.map(|own| self.0.caller.gates(&own.login, service, operation)).unwrap_or_default();
        let rates = gates.iter().filter_map(|(_, limit)| limit.rate);
        let slowest = rates.min_by(|a, b| a.per_second.total_cmp(&b.per_second));
        Pace {
            per_second: slowest.map(|rate| rate.per_second),
            burst: slowest.map_or(0.0, |rate| rate.burst),
            in_flight: gates.iter().map(|(_, limit)| limit.in_flight).min().unwrap_or(DEFAULT_IN_FLIGHT),
        }
    }
}

/// Can an answer of this operation have several pages? Of Azure any list can, which is not known here.
pub fn is_paged(service: &str, operation: &str) -> bool {
    pages::of(service, operation).is_some()
}
