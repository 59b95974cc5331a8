//! The calls of a rotation in one Azure subscription. Reads are always made anew; an answer with a key goes to whoever asked and is wiped.
//! Refuses to read "nobody signs with a key" out of an answer that does not say so.

use super::{LiveAccount, Storage};
use crate::Secret;
use crate::aws::WriteError;
use crate::secret::wipe;
use assay_cloud::writer::{ArmWrite, Writer};
use assay_cloud::{Account, Cloud, CloudError, ErrorKind, ReadOp, Scope, Tally};
use async_trait::async_trait;
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const ACCOUNT: &str = "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}";
const METRICS: &str =
    "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/providers/Microsoft.Insights/metrics";
const EVENTS: &str = "GET /subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values";
/// Where locks can be that hold for an account, from the outside inwards. Source: Management Locks REST API, 2020-05-01.
const LOCKS: [&str; 3] = [
    "GET /subscriptions/{}/providers/Microsoft.Authorization/locks",
    "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Authorization/locks",
    "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/providers/Microsoft.Authorization/locks",
];
const REGENERATE: &str = "Microsoft.Storage/storageAccounts/regenerateKey/action";

/// Values of the metrics' dimension `Authentication` that need no key. Whatever else there is or will be counts as a key's: `AccountKey`,
/// and `SAS`, of which nobody can tell whether it was made with a key. Source: "Azure Storage metrics dimensions".
const WITHOUT_KEY: &[&str] = &["OAuth", "Anonymous", "AnonymousPreflight"];
/// Azure Monitor keeps platform metrics for 93 days, and is asked for at most 30 of them at once.
const METRICS_KEPT: TimeDelta = TimeDelta::days(93);
const METRICS_AT_ONCE: TimeDelta = TimeDelta::days(30);

/// By as much another machine's clock may be ahead of ours.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// The Resource Manager of one subscription.
#[derive(Debug)]
pub(crate) struct ArmStorage {
    cloud: Cloud,
    scope: Scope,
    writer: Writer,
    tally: Tally,
}

impl ArmStorage {
    pub(crate) fn new(cloud: &Cloud, account: &Arc<Account>) -> Result<ArmStorage, CloudError> {
        let scope = Scope { region: account.home_region(), account: account.clone() };
        Ok(ArmStorage { cloud: cloud.fresh(), scope, writer: cloud.writer(account)?, tally: cloud.tally().child() })
    }

    async fn get(&self, operation: &str, path: &str, query: Value) -> Result<Arc<Value>, CloudError> {
        let op = ReadOp::azure("arm", operation)?;
        self.cloud.call(&self.scope, &op, json!({"path": path, "query": query}), &self.tally).await
    }

    /// The items of a list, all pages.
    async fn list(&self, operation: &str, path: &str, query: Value) -> Result<Vec<Value>, CloudError> {
        let op = ReadOp::azure("arm", operation)?;
        let mut pages = self.cloud.pages(&self.scope, &op, json!({"path": path, "query": query}), None, &self.tally);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page?;
            let list = page.get("value").and_then(Value::as_array).ok_or_else(|| self.bad(operation, "it has no list"))?;
            items.extend(list.iter().cloned());
        }
        Ok(items)
    }

    fn bad(&self, operation: &str, what: &str) -> CloudError {
        let account = &self.scope.account;
        CloudError {
            service: "arm".to_owned(),
            operation: operation.to_owned(),
            account: account.known_identity().map_or_else(|| account.connection.to_string(), |i| i.account_id.to_string()),
            ..CloudError::new(ErrorKind::BadAnswer, "BadAnswer", format!("the answer cannot be relied on: {what}"))
        }
    }

    /// Requests signed with a key in one stretch of time that the metrics can be asked about at once.
    async fn count(&self, id: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<u64, CloudError> {
        let query = json!({
            "api-version": "2024-02-01",
            "metricnames": "Transactions",
            "metricnamespace": "Microsoft.Storage/storageAccounts",
            "aggregation": "Total",
            "interval": "PT1H",
            "timespan": format!("{}/{}", stamp(from), stamp(to)),
            "$filter": "Authentication eq '*'",
            "top": 100,
        });
        let answer = self.get(METRICS, &format!("{id}/providers/Microsoft.Insights/metrics"), query).await?;
        count_keyed(&answer).map_err(|what| self.bad(METRICS, &what))
    }

    /// One key's value out of an answer of listKeys or regenerateKey, which is then wiped.
    fn value_of(&self, operation: &str, mut answer: Value, name: &str) -> Result<Secret, CloudError> {
        let is_wanted = |key: &Value| key.get("keyName").and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name));
        let wanted = answer.get_mut("keys").and_then(Value::as_array_mut).and_then(|keys| keys.iter_mut().find(|key| is_wanted(key)));
        let value = wanted.and_then(|key| key.get_mut("value")).map(Value::take);
        wipe(&mut answer);
        match value {
            Some(Value::String(text)) if !text.is_empty() => Ok(Secret::new(text)),
            _ => Err(self.bad(operation, &format!("it does not have the value of {name}"))),
        }
    }

    async fn update(&self, id: &str, properties: Value) -> Result<(), WriteError> {
        let mut answer = self.writer.arm(ArmWrite::UpdateAccount { id, properties: &properties }).await?;
        wipe(&mut answer);
        Ok(())
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time of the API: seven digits of a second, sometimes.
fn moment(value: Option<&Value>) -> Result<Option<DateTime<Utc>>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => DateTime::parse_from_rfc3339(text).map(|t| Some(t.to_utc())).map_err(|_| format!("{text} is no time")),
        Some(_) => Err("a time is none".to_owned()),
    }
}

fn live_account(id: &str, answer: &Value) -> Result<LiveAccount, String> {
    let given = answer.get("id").and_then(Value::as_str).ok_or("it has no id")?;
    if !given.eq_ignore_ascii_case(id) {
        return Err(format!("it is about {given}"));
    }
    let properties = answer.get("properties").filter(|p| p.is_object()).ok_or("it has no properties")?;
    let created = |key: &str| moment(properties.get("keyCreationTime").and_then(|times| times.get(key)));
    let allow_shared_key = match properties.get("allowSharedKeyAccess") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(allowed)) => *allowed,
        Some(_) => return Err("allowSharedKeyAccess is neither true nor false".to_owned()),
    };
    let tags = answer.get("tags").and_then(Value::as_object);
    let endpoints = properties.get("primaryEndpoints").and_then(Value::as_object);
    let pair = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    Ok(LiveAccount {
        id: given.to_owned(),
        key1_created: created("key1")?,
        key2_created: created("key2")?,
        allow_shared_key,
        expiration_days: properties.get("keyPolicy").and_then(|p| p.get("keyExpirationPeriodInDays")).and_then(Value::as_i64),
        tags: tags.map(|t| t.iter().map(pair).collect::<BTreeMap<_, _>>()).unwrap_or_default(),
        endpoints: endpoints.map(|e| e.iter().map(pair).collect::<BTreeMap<_, _>>()).unwrap_or_default(),
    })
}

/// The names of the ReadOnly locks among these that hold for a resource: on itself or on what it is in.
fn holding(locks: &[Value], id: &str) -> Result<Vec<String>, String> {
    let id = id.to_ascii_lowercase();
    let mut names = Vec::new();
    for lock in locks {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let (Some(own), Some(name)) = (text(lock.get("id")), text(lock.get("name"))) else {
            return Err("a lock has no id or name".to_owned());
        };
        let level = text(lock.pointer("/properties/level")).ok_or_else(|| format!("the lock {name} has no level"))?;
        let lower = own.to_ascii_lowercase();
        let Some((scope, _)) = lower.rsplit_once("/providers/microsoft.authorization/locks/") else {
            return Err(format!("the lock {name} does not say what it is on"));
        };
        let holds = id == scope || id.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
        // What neither forbids nothing nor only deletion is taken to forbid.
        if holds && !["CanNotDelete", "NotSpecified"].iter().any(|l| level.eq_ignore_ascii_case(l)) {
            let on = match scope.split('/').count() {
                3 => "the subscription",
                5 => "the resource group",
                _ => "the account",
            };
            names.push(format!("{name} on {on}"));
        }
    }
    Ok(names)
}

/// Transactions of all series that are not known to do without a key.
fn count_keyed(answer: &Value) -> Result<u64, String> {
    let metrics = answer.get("value").and_then(Value::as_array).filter(|m| !m.is_empty()).ok_or("it has no metric")?;
    let mut count = 0.0;
    for metric in metrics {
        if let Some(code) = metric.get("errorCode").and_then(Value::as_str).filter(|c| *c != "Success") {
            return Err(format!("the metric could not be read: {code}"));
        }
        // No series: no request in all this time.
        for series in metric.get("timeseries").and_then(Value::as_array).ok_or("it has no series")? {
            let dimensions = series.get("metadatavalues").and_then(Value::as_array);
            let authentication = dimensions
                .into_iter()
                .flatten()
                .find(|d| d.pointer("/name/value").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case("Authentication")));
            let kind = authentication.and_then(|d| d.get("value")).and_then(Value::as_str);
            if kind.is_some_and(|kind| WITHOUT_KEY.iter().any(|w| w.eq_ignore_ascii_case(kind))) {
                continue;
            }
            for point in series.get("data").and_then(Value::as_array).into_iter().flatten() {
                count += match point.get("total") {
                    None | Some(Value::Null) => 0.0,
                    Some(total) => total.as_f64().ok_or("a total is no number")?,
                };
            }
        }
    }
    // Totals are counts, which the API writes with a decimal point.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests, rounded up, never below zero")]
    let whole = count.max(0.0).ceil() as u64;
    Ok(whole)
}

/// When the first regeneration of this account's keys since `since` succeeded.
fn first_success(events: &[Value], id: &str, since: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String> {
    let is =
        |event: &Value, at: &str, wanted: &str| event.pointer(at).and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case(wanted));
    let mut first = None;
    for event in events {
        if !is(event, "/operationName/value", REGENERATE) || !is(event, "/status/value", "Succeeded") || !is(event, "/resourceId", id) {
            continue;
        }
        let at = moment(event.get("eventTimestamp"))?.ok_or("an event has no time")?;
        if at >= since && first.is_none_or(|f| at < f) {
            first = Some(at);
        }
    }
    Ok(first)
}

#[async_trait]
impl Storage for ArmStorage {
    async fn account(&self, id: &str) -> Result<LiveAccount, CloudError> {
        let answer = self.get(ACCOUNT, id, json!({"api-version": "2021-06-01"})).await?;
        live_account(id, &answer).map_err(|what| self.bad(ACCOUNT, &what))
    }

    async fn read_only_locks(&self, id: &str) -> Result<Vec<String>, CloudError> {
        let segments: Vec<&str> = id.split('/').collect();
        let scopes = [segments.get(..3), segments.get(..5), Some(segments.as_slice())].map(|s| s.map(|s| s.join("/")));
        let mut names: Vec<String> = Vec::new();
        for (operation, scope) in LOCKS.into_iter().zip(scopes) {
            let scope =
                scope.ok_or_else(|| CloudError::new(ErrorKind::Invalid, "InvalidRequest", format!("{id} is no storage account")))?;
            let path = format!("{scope}/providers/Microsoft.Authorization/locks");
            let found = match self.list(operation, &path, json!({"api-version": "2020-05-01", "$filter": "atScope()"})).await {
                // Rights may begin at the group or at the account. A lock further out still holds: the write itself is then refused.
                Err(e) if e.kind == ErrorKind::Denied && scope != id => continue,
                found => found?,
            };
            for name in holding(&found, id).map_err(|what| self.bad(operation, &what))? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    async fn shared_key_requests(&self, id: &str, since: DateTime<Utc>) -> Result<u64, CloudError> {
        let now = self.cloud.now();
        if now - since > METRICS_KEPT {
            let message = format!("Azure Monitor keeps metrics for {} days: nobody knows what was before", METRICS_KEPT.num_days());
            return Err(CloudError::new(ErrorKind::Invalid, "BeyondRetention", message));
        }
        let mut from = since.duration_trunc(TimeDelta::hours(1)).unwrap_or(since);
        let mut count = 0u64;
        while from < now {
            let to = (from + METRICS_AT_ONCE).min(now);
            count = count.saturating_add(self.count(id, from, to).await?);
            from = to;
        }
        Ok(count)
    }

    async fn regenerated_event(&self, id: &str, since: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, CloudError> {
        let subscription = id.split('/').nth(2).unwrap_or_default();
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values");
        let quoted = id.replace('\'', "''");
        // Azure's clock is not ours.
        let (from, to) = (stamp(since), stamp(self.cloud.now() + CLOCKS_DIFFER));
        let filter = format!("eventTimestamp ge '{from}' and eventTimestamp le '{to}' and resourceUri eq '{quoted}'");
        let events = self.list(EVENTS, &path, json!({"api-version": "2015-04-01", "$filter": filter})).await?;
        first_success(&events, id, since).map_err(|what| self.bad(EVENTS, &what))
    }

    async fn key(&self, id: &str, name: &str) -> Result<Secret, CloudError> {
        let answer = self.writer.arm(ArmWrite::ListKeys { id }).await.map_err(|failure| failure.error)?;
        self.value_of("listKeys", answer, name)
    }

    async fn regenerate(&self, id: &str, name: &str) -> Result<Secret, WriteError> {
        let answer = self.writer.arm(ArmWrite::RegenerateKey { id, key: name }).await?;
        self.value_of("regenerateKey", answer, name).map_err(|error| WriteError { error, without_effect: false })
    }

    async fn set_expiration(&self, id: &str, days: i64) -> Result<(), WriteError> {
        self.update(id, json!({"keyPolicy": {"keyExpirationPeriodInDays": days}})).await
    }

    async fn disable_shared_key(&self, id: &str) -> Result<(), WriteError> {
        self.update(id, json!({"allowSharedKeyAccess": false})).await
    }
}

#[cfg(test)]
#[path = "arm_tests.rs"]
mod tests;
