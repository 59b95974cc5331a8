//! The calls of a rotation in one AWS account: reads by the same client as everybody's, but always made anew; writes by the typed SDK, one
//! attempt each. Refuses to take an answer that lacks what it must have for one that says no.

use super::{Iam, LiveKey, LiveUser, NewKey, WriteError};
use crate::quiet::quiet;
use crate::{KeyStatus, LastUse, Secret};
use assay_cloud::writer::{WriteFailure, Writer};
use assay_cloud::{Account, Cloud, CloudError, ErrorKind, ReadOp, Scope, Tally};
use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::types::{AccessKey, StatusType};
use aws_sdk_sts::config::IdentityCache;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use aws_types::region::Region;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// IAM and STS of one account.
#[derive(Debug)]
pub(crate) struct SdkIam {
    cloud: Cloud,
    scope: Scope,
    writer: Writer,
    tally: Tally,
}

impl SdkIam {
    /// `account` must know who it is: the region of global services depends on it.
    pub(crate) fn new(cloud: &Cloud, account: &Arc<Account>) -> Result<SdkIam, CloudError> {
        let scope = Scope { region: account.home_region(), account: account.clone() };
        Ok(SdkIam { cloud: cloud.fresh(), scope, writer: cloud.writer(account)?, tally: cloud.tally().child() })
    }

    /// Ids of the keys that sign this account's calls, or stand behind them.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<String>, CloudError> {
        self.writer.own_keys().await
    }

    /// The items of a list, all pages.
    async fn list(&self, operation: &str, input: Value, member: &str) -> Result<Vec<Value>, CloudError> {
        let op = ReadOp::aws("iam", operation)?;
        let mut pages = self.cloud.pages(&self.scope, &op, input, None, &self.tally);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(clear)?;
            // A page that does not have the list is no page without items.
            let list = page.get(member).and_then(Value::as_array).ok_or_else(|| self.bad(operation, &format!("it has no {member}")))?;
            items.extend(list.iter().cloned());
        }
        Ok(items)
    }

    async fn get(&self, operation: &str, input: Value) -> Result<Arc<Value>, CloudError> {
        let op = ReadOp::aws("iam", operation)?;
        self.cloud.call(&self.scope, &op, input, &self.tally).await.map_err(clear)
    }

    fn bad(&self, operation: &str, what: &str) -> CloudError {
        let account = &self.scope.account;
        CloudError {
            service: "iam".to_owned(),
            operation: operation.to_owned(),
            account: account.known_identity().map_or_else(|| account.connection.to_string(), |i| i.account_id.to_string()),
            region: self.scope.region.to_string(),
            ..CloudError::new(ErrorKind::BadAnswer, "BadAnswer", format!("the answer cannot be relied on: {what}"))
        }
    }

    fn text<'a>(&self, operation: &str, of: &'a Value, member: &str) -> Result<&'a str, CloudError> {
        of.get(member).and_then(Value::as_str).filter(|t| !t.is_empty()).ok_or_else(|| self.bad(operation, &format!("it has no {member}")))
    }

    fn time(&self, operation: &str, of: &Value, member: &str) -> Result<DateTime<Utc>, CloudError> {
        let text = self.text(operation, of, member)?;
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| self.bad(operation, &format!("its {member} is no time: {text}")))?;
        Ok(at.to_utc())
    }

    fn names(&self, operation: &str, items: &[Value], name: impl Fn(&Value) -> Option<&str>) -> Result<Vec<String>, CloudError> {
        let names: Option<Vec<String>> = items.iter().map(|item| name(item).map(str::to_owned)).collect();
        names.ok_or_else(|| self.bad(operation, "an item has no name"))
    }

    fn pairs(&self, operation: &str, tags: &[Value]) -> Result<BTreeMap<String, String>, CloudError> {
        let pair = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str().unwrap_or_default().to_owned()));
        let tags: Option<BTreeMap<String, String>> = tags.iter().map(pair).collect();
        tags.ok_or_else(|| self.bad(operation, "a tag has no key"))
    }

    fn failed<E>(&self, operation: &str, error: SdkError<E, HttpResponse>, config: &SdkConfig) -> WriteError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let WriteFailure { error, without_effect } = self.writer.failure("iam", operation, config, error);
        WriteError { error: clear(error), without_effect }
    }

    /// Configuration and client of a write. Nothing was sent if there is none.
    async fn writes(&self) -> Result<(SdkConfig, aws_sdk_iam::Client), WriteError> {
        let config = self.writer.aws().await.map_err(|error| WriteError { error, without_effect: true })?;
        // Where reads of this global service go: the configured region may be of another partition.
        let config = config.into_builder().region(Region::new(self.scope.region.to_string())).build();
        let client = aws_sdk_iam::Client::new(&config);
        Ok((config, client))
    }

    /// The key that an answer says was made. If it lacks something, a key may be there all the same.
    fn new_key(&self, user: &str, key: Option<AccessKey>) -> Result<NewKey, CloudError> {
        let bad = |what: &str| self.bad("CreateAccessKey", what);
        let AccessKey { user_name, access_key_id, secret_access_key, create_date, .. } = key.ok_or_else(|| bad("it has no key"))?;
        let secret = Secret::new(secret_access_key);
        if user_name != user || access_key_id.is_empty() || secret.expose().is_empty() {
            return Err(bad("it has no secret, or is of another user"));
        }
        let created = create_date.and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()));
        Ok(NewKey { id: access_key_id, secret, created: created.ok_or_else(|| bad("it does not say when the key was made"))? })
    }
}

/// What some codes mean here, where the service's own words do not say it.
fn clear(mut error: CloudError) -> CloudError {
    let meaning = match error.code.as_str() {
        "LimitExceeded" => "a user has at most two keys, and inactive ones count",
        "NoSuchEntity" => "the user or the key is not there any more",
        "ServiceFailure" => "IAM failed, and does not say whether it was done",
        "EntityTemporarilyUnmodifiable" => "the user is being changed: try again in some minutes",
        _ => return error,
    };
    if !error.message.contains(meaning) {
        let gap = if error.message.is_empty() { "" } else { "; " };
        error.message = format!("{}{gap}{meaning}", error.message);
    }
    error
}

#[async_trait]
impl Iam for SdkIam {
    async fn keys(&self, user: &str) -> Result<Vec<LiveKey>, CloudError> {
        const OPERATION: &str = "ListAccessKeys";
        let items = self.list(OPERATION, json!({"UserName": user}), "AccessKeyMetadata").await?;
        let key = |item: &Value| {
            if self.text(OPERATION, item, "UserName")? != user {
                return Err(self.bad(OPERATION, "a key is of another user"));
            }
            let status = match self.text(OPERATION, item, "Status")? {
                "Active" => KeyStatus::Active,
                "Inactive" => KeyStatus::Inactive,
                other => return Err(self.bad(OPERATION, &format!("a key has the status {other}, which assay does not know"))),
            };
            let id = self.text(OPERATION, item, "AccessKeyId")?.to_owned();
            Ok(LiveKey { id, status, created: self.time(OPERATION, item, "CreateDate")? })
        };
        items.iter().map(key).collect()
    }

    async fn user(&self, user: &str) -> Result<LiveUser, CloudError> {
        const OPERATION: &str = "GetUser";
        // Without a name IAM answers with the caller.
        if user.is_empty() {
            return Err(CloudError::new(ErrorKind::Invalid, "InvalidRequest", "a user has a name"));
        }
        let answer = self.get(OPERATION, json!({"UserName": user})).await?;
        let found = answer.get("User").ok_or_else(|| self.bad(OPERATION, "it has no User"))?;
        let tags = match found.get("Tags").and_then(Value::as_array).filter(|tags| !tags.is_empty()) {
            Some(tags) => self.pairs(OPERATION, tags)?,
            // Some answers leave them out.
            None => self.tags(user).await?,
        };
        let text = |member: &str| self.text(OPERATION, found, member).map(str::to_owned);
        if text("UserName")? != user {
            return Err(self.bad(OPERATION, "it is about another user"));
        }
        Ok(LiveUser { id: text("UserId")?, arn: text("Arn")?, path: text("Path")?, tags })
    }

    async fn tags(&self, user: &str) -> Result<BTreeMap<String, String>, CloudError> {
        const OPERATION: &str = "ListUserTags";
        let tags = self.list(OPERATION, json!({"UserName": user}), "Tags").await?;
        self.pairs(OPERATION, &tags)
    }

    async fn last_use(&self, key: &str) -> Result<Option<LastUse>, CloudError> {
        const OPERATION: &str = "GetAccessKeyLastUsed";
        let answer = self.get(OPERATION, json!({"AccessKeyId": key})).await?;
        let used =
            answer.get("AccessKeyLastUsed").filter(|u| u.is_object()).ok_or_else(|| self.bad(OPERATION, "it has no AccessKeyLastUsed"))?;
        if used.get("LastUsedDate").is_none_or(Value::is_null) {
            return Ok(None);
        }
        let known = |member: &str| used.get(member).and_then(Value::as_str).filter(|t| !t.is_empty() && *t != "N/A").map(str::to_owned);
        Ok(Some(LastUse { at: self.time(OPERATION, used, "LastUsedDate")?, service: known("ServiceName"), region: known("Region") }))
    }

    async fn policies_and_groups(&self, user: &str) -> Result<Vec<String>, CloudError> {
        let input = json!({"UserName": user});
        let policies = self.list("ListUserPolicies", input.clone(), "PolicyNames").await?;
        let groups = self.list("ListGroupsForUser", input, "Groups").await?;
        let mut names = self.names("ListUserPolicies", &policies, Value::as_str)?;
        names.extend(self.names("ListGroupsForUser", &groups, |group| group.get("GroupName")?.as_str())?);
        Ok(names)
    }

    async fn own_keys(&self) -> Result<Vec<String>, CloudError> {
        self.signing_keys().await
    }

    async fn create(&self, user: &str) -> Result<NewKey, WriteError> {
        if user.is_empty() {
            // Without a name IAM makes a key for the caller.
            let error = CloudError::new(ErrorKind::Invalid, "InvalidRequest", "a user has a name");
            return Err(WriteError { error, without_effect: true });
        }
        let (config, client) = self.writes().await?;
        let answer = quiet(client.create_access_key().user_name(user).send()).await;
        let answer = answer.map_err(|e| self.failed("CreateAccessKey", e, &config))?;
        self.new_key(user, answer.access_key).map_err(|error| WriteError { error, without_effect: false })
    }

    async fn set_status(&self, user: &str, key: &str, status: KeyStatus) -> Result<(), WriteError> {
        let (config, client) = self.writes().await?;
        let status = match status {
            KeyStatus::Active => StatusType::Active,
            KeyStatus::Inactive => StatusType::Inactive,
        };
        let call = client.update_access_key().user_name(user).access_key_id(key).status(status).send();
        call.await.map(|_| ()).map_err(|e| self.failed("UpdateAccessKey", e, &config))
    }

    async fn delete(&self, user: &str, key: &str) -> Result<(), WriteError> {
        let (config, client) = self.writes().await?;
        let call = client.delete_access_key().user_name(user).access_key_id(key).send();
        call.await.map(|_| ()).map_err(|e| self.failed("DeleteAccessKey", e, &config))
    }

    async fn identify(&self, key: &str, secret: &Secret) -> Result<(String, String), CloudError> {
        let credentials = Credentials::new(key, secret.expose(), None, None, "the new key");
        let config = self.writer.aws().await?.into_builder();
        // Nothing of this may outlive the call: no cache, and no other provider to fall back to.
        let config =
            config.credentials_provider(SharedCredentialsProvider::new(credentials)).identity_cache(IdentityCache::no_cache()).build();
        let answer = quiet(aws_sdk_sts::Client::new(&config).get_caller_identity().send()).await;
        let answer = answer.map_err(|e| clear(self.writer.failure("sts", "GetCallerIdentity", &config, e).error))?;
        match (answer.account, answer.user_id) {
            (Some(account), Some(user)) if !account.is_empty() && !user.is_empty() => Ok((account, user)),
            _ => Err(self.bad("GetCallerIdentity", "it does not say who the key is")),
        }
    }
}
