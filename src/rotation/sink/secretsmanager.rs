//! AWS Secrets Manager: a version of its own for every value of a key, made current by moving the stage `AWSCURRENT`. Refuses secrets that
//! are not marked as the owner's, and those that something else rotates.

use super::template::Template;
use super::token::token;
use super::{Delivery, Label, Sink, SinkError, Standing, other};
use crate::quiet::quiet;
use assay_cloud::writer::{WriteFailure, Writer};
use assay_cloud::{Account, Cloud, CloudError, ErrorKind, ReadOp, Scope, Tally};
use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use aws_types::region::Region;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose a secret is: the label's `owner_id`.
const OWNER: &str = "assay:owner";
/// For which value of which key assay made the secret, so that it may also delete it again.
const MADE_FOR: &str = "assay:made-for";

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";

/// A sink in Secrets Manager.
#[derive(Debug)]
pub(crate) struct SecretsManager {
    cloud: Cloud,
    scope: Scope,
    writer: Writer,
    tally: Tally,
    name: Template,
}

/// A secret as it is described, without its value.
#[derive(Debug, Default)]
struct Described {
    tags: BTreeMap<String, String>,
    /// Stages by version, of versions that have any.
    versions: BTreeMap<String, Vec<String>>,
    deleted: bool,
    rotated: bool,
    owned_by: Option<String>,
}

impl Described {
    fn read(answer: &Value) -> Result<Described, String> {
        let tag = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str().unwrap_or_default().to_owned()));
        let tags = answer.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(tag).collect();
        let stages = |value: &Value| value.as_array().map(|s| s.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
        let mut versions = BTreeMap::new();
        for (id, value) in answer.get("VersionIdsToStages").and_then(Value::as_object).into_iter().flatten() {
            let stages = stages(value).ok_or_else(|| format!("the stages of version {id} are no list"))?;
            // A version without a stage is on its way out.
            if !stages.is_empty() {
                versions.insert(id.clone(), stages);
            }
        }
        Ok(Described {
            tags,
            versions,
            deleted: answer.get("DeletedDate").is_some_and(|d| !d.is_null()),
            rotated: answer.get("RotationEnabled") == Some(&Value::Bool(true)),
            owned_by: answer.get("OwningService").and_then(Value::as_str).map(str::to_owned),
        })
    }

    fn has(&self, version: &str, stage: &str) -> bool {
        self.versions.get(version).is_some_and(|stages| stages.iter().any(|s| s == stage))
    }

    /// The version with a stage.
    fn with(&self, stage: &str) -> Option<&str> {
        self.versions.keys().find(|id| self.has(id, stage)).map(String::as_str)
    }

    /// Did assay make it for this value, and is nothing else in it?
    fn only_for(&self, token: &str) -> bool {
        self.tags.get(MADE_FOR).is_some_and(|made| made == token) && self.versions.keys().all(|id| id == token)
    }
}

impl SecretsManager {
    /// `region`: where, if not where the account's calls go.
    pub(crate) fn new(cloud: &Cloud, account: &Arc<Account>, region: Option<String>, name: Template) -> Result<SecretsManager, CloudError> {
        let region = region.map_or_else(|| account.own_region(), Arc::from);
        let scope = Scope { region, account: account.clone() };
        Ok(SecretsManager { cloud: cloud.fresh(), scope, writer: cloud.writer(account)?, tally: cloud.tally().child(), name })
    }

    /// Source: Secrets Manager API Reference, CreateSecret, "Name".
    fn name(&self, label: &Label) -> Result<String, SinkError> {
        let name = self.name.fill(label, str::to_owned);
        let bad = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"/_+=.@-".contains(*c));
        if let Some(bad) = bad {
            let message = format!(
                "the secret's name `{}` has a `{}`, which Secrets Manager does not take: ",
                name.escape_debug(),
                bad.escape_debug()
            );
            return Err(other(message + "letters, digits and /_+=.@- only; {user_id} has no other"));
        }
        match name.len() {
            1..=512 => Ok(name),
            _ => Err(other(format!("the secret's name `{name}` must have 1 to 512 characters"))),
        }
    }

    /// The secret; `None` if there is none.
    async fn describe(&self, name: &str) -> Result<Option<Described>, SinkError> {
        let op = ReadOp::aws("secretsmanager", "DescribeSecret")?;
        match self.cloud.call(&self.scope, &op, json!({"SecretId": name}), &self.tally).await {
            Ok(answer) => Described::read(&answer)
                .map(Some)
                .map_err(|why| other(format!("the description of secret {name} cannot be relied on: {why}"))),
            Err(e) if e.kind == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Refuses a secret that is somebody else's.
    fn ours(&self, name: &str, label: &Label, secret: &Described) -> Result<(), SinkError> {
        let region = &self.scope.region;
        if secret.deleted {
            return Err(other(format!("the secret {name} in {region} is scheduled for deletion: restore it, or choose another name")));
        }
        if secret.rotated || secret.owned_by.is_some() {
            return Err(other(format!("the secret {name} in {region} is rotated by something else: choose another name")));
        }
        match secret.tags.get(OWNER) {
            Some(owner) if *owner == label.owner_id => Ok(()),
            Some(owner) => {
                Err(other(format!("the secret {name} in {region} is that of {owner}, not of {}: choose another name", label.owner_id)))
            }
            None => Err(other(format!(
                "the secret {name} in {region} was not made by assay: give it the tag {OWNER}={} if it is the one to be replaced",
                label.owner_id
            ))),
        }
    }

    async fn client(&self) -> Result<(SdkConfig, Client), SinkError> {
        let config = self.writer.aws().await?.into_builder().region(Region::new(self.scope.region.to_string())).build();
        let client = Client::new(&config);
        Ok((config, client))
    }

    fn failed<E>(&self, operation: &str, config: &SdkConfig, error: SdkError<E, HttpResponse>) -> WriteFailure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.writer.failure("secretsmanager", operation, config, error)
    }

    /// Makes an empty secret.
    async fn create(&self, name: &str, label: &Label, token: &str) -> Result<(), SinkError> {
        let (config, client) = self.client().await?;
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let call = client
            .create_secret()
            .name(name)
            .description(format!("key of {}, rotated by assay", label.owner))
            .tags(tag(OWNER, &label.owner_id))
            .tags(tag(MADE_FOR, token));
        match quiet(call.send()).await.map_err(|e| self.failed("CreateSecret", &config, e)) {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.error.into()),
        }
    }

    async fn move_stage(&self, name: &str, stage: &str, from: Option<&str>, to: Option<&str>) -> Result<(), SinkError> {
        let (config, client) = self.client().await?;
        let call = client
            .update_secret_version_stage()
            .secret_id(name)
            .version_stage(stage)
            .set_remove_from_version_id(from.map(str::to_owned))
            .set_move_to_version_id(to.map(str::to_owned));
        call.send().await.map(|_| ()).map_err(|e| self.failed("UpdateSecretVersionStage", &config, e).error.into())
    }

    /// Deletes a secret that assay made and that has nothing in it but what is taken back.
    async fn delete(&self, name: &str) -> Result<(), SinkError> {
        let (config, client) = self.client().await?;
        let call = client.delete_secret().secret_id(name).force_delete_without_recovery(true);
        call.send().await.map(|_| ()).map_err(|e| self.failed("DeleteSecret", &config, e).error.into())
    }
}

#[async_trait]
impl Sink for SecretsManager {
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError> {
        let account = &self.scope.account;
        let id = account.known_identity().map_or_else(|| account.connection.to_string(), |i| i.account_id.to_string());
        Ok(Some(format!("secret {} of {id} in {}", self.name(&label.foreseen())?, self.scope.region)))
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        let label = &label.foreseen();
        let name = self.name(label)?;
        // What tags can hold. Source: "Tag naming limits and requirements".
        if label.owner_id.len() > 256 || !label.owner_id.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c)) {
            return Err(other(format!("a tag of AWS cannot hold {}: choose another sink", label.owner_id)));
        }
        match self.describe(&name).await? {
            Some(secret) => self.ours(&name, label, &secret),
            None => Ok(()),
        }
    }

    /// As AWS has it, the first version of a secret is current at once: a secret that assay makes has no consumers yet.
    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let label = &delivery.label;
        let (name, token) = (self.name(label)?, token(label));
        match self.describe(&name).await? {
            Some(secret) => {
                self.ours(&name, label, &secret)?;
                if secret.versions.contains_key(&token) {
                    return Ok(());
                }
            }
            None => self.create(&name, label, &token).await?,
        }
        let (config, client) = self.client().await?;
        let call = client
            .put_secret_value()
            .secret_id(&name)
            .client_request_token(&token)
            .secret_string(delivery.document.expose())
            .version_stages(PENDING);
        quiet(call.send()).await.map(|_| ()).map_err(|e| self.failed("PutSecretValue", &config, e).error.into())
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let label = &delivery.label;
        let (name, token) = (self.name(label)?, token(label));
        let secret = self.describe(&name).await?.ok_or_else(|| other(format!("the secret {name} is not there any more")))?;
        self.ours(&name, label, &secret)?;
        if !secret.versions.contains_key(&token) {
            return Err(other(format!("the secret {name} has no version of this key any more")));
        }
        if !secret.has(&token, CURRENT) {
            self.move_stage(&name, CURRENT, secret.with(CURRENT), Some(&token)).await?;
        }
        if secret.has(&token, PENDING) {
            self.move_stage(&name, PENDING, Some(&token), None).await?;
        }
        Ok(())
    }

    async fn withdraw(&self, label: &Label) -> Result<(), SinkError> {
        let (name, token) = (self.name(label)?, token(label));
        let Some(mut secret) = self.describe(&name).await?.filter(|secret| !secret.deleted) else { return Ok(()) };
        if secret.only_for(&token) {
            return self.delete(&name).await;
        }
        if secret.has(&token, CURRENT) {
            let former = secret.with(PREVIOUS).filter(|former| *former != token).map(str::to_owned);
            let former = former.ok_or_else(|| {
                other(format!("the secret {name} has no former version to go back to: its consumers would get nothing; put the former secret back yourself"))
            })?;
            self.move_stage(&name, CURRENT, Some(&token), Some(&former)).await?;
            // AWS then calls ours the previous one.
            secret = self.describe(&name).await?.unwrap_or_default();
        }
        for stage in secret.versions.get(&token).into_iter().flatten() {
            self.move_stage(&name, stage, Some(&token), None).await?;
        }
        Ok(())
    }

    async fn standing(&self, label: &Label) -> Result<Standing, SinkError> {
        let (name, token) = (self.name(label)?, token(label));
        Ok(match self.describe(&name).await? {
            Some(secret) if secret.has(&token, CURRENT) => Standing::Current,
            Some(secret) if secret.versions.contains_key(&token) => Standing::Stored,
            _ => Standing::Absent,
        })
    }
}
