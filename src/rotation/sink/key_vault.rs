//! Azure Key Vault. Whoever asks a vault for a secret gets its newest version, and is turned away if that one is disabled; so nothing is put
//! there before it is to be current, and taking back means putting the former value on top again. Refuses secrets that are not marked as the
//! owner's.

use super::template::Template;
use super::token::token;
use super::{Delivery, Label, Sink, SinkError, Standing, other};
use crate::Secret;
use crate::secret::wipe;
use assay_cloud::writer::{ArmWrite, Writer};
use assay_cloud::{CloudError, ErrorKind};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Whose a secret is: the label's `owner_id`.
const OWNER: &str = "assay-owner";
/// Of which key it is; for people.
const KEY: &str = "assay-key";
/// Of which value of the key it is.
const VALUE: &str = "assay-value";
/// Which version was put back.
const RESTORED: &str = "assay-restored";
/// A version has no more tags than this. Source: Key Vault REST API, "Secret tags".
const MOST_TAGS: usize = 15;
/// More pages of versions than this are no list but a circle.
const MOST_PAGES: usize = 500;

/// A sink in a key vault.
#[derive(Debug)]
pub(crate) struct KeyVault {
    writer: Writer,
    /// Scheme and host.
    vault: String,
    name: Template,
}

/// A version, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    id: String,
    enabled: bool,
    /// Seconds since 1970.
    created: i64,
    tags: BTreeMap<String, String>,
}

impl Version {
    fn read(item: &Value) -> Option<Version> {
        let attributes = item.get("attributes")?;
        let tag = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
        let tags = item.get("tags").and_then(Value::as_object).into_iter().flatten().map(tag).collect();
        Some(Version {
            id: item.get("id")?.as_str()?.trim_end_matches('/').rsplit('/').next()?.to_owned(),
            enabled: attributes.get("enabled")?.as_bool()?,
            created: attributes.get("created")?.as_i64()?,
            tags,
        })
    }

    fn is(&self, token: &str) -> bool {
        self.tags.get(VALUE).is_some_and(|value| value == token) && !self.tags.contains_key(RESTORED)
    }
}

/// Where a value stands among the versions of its secret. A second's precision is all that they have.
fn standing(versions: &[Version], token: &str) -> Standing {
    let newest = versions.iter().map(|v| v.created).max();
    let ours = versions.iter().filter(|v| v.is(token)).max_by_key(|v| v.created);
    match (ours, newest) {
        (Some(ours), Some(newest)) if ours.created == newest => {
            let alone = versions.iter().filter(|v| v.created == newest).all(|v| v.is(token));
            match (ours.enabled, alone) {
                (true, true) => Standing::Current,
                (false, _) => Standing::Stored,
                (true, false) => Standing::Unknown,
            }
        }
        (Some(_), _) => Standing::Stored,
        (None, _) => Standing::Absent,
    }
}

impl KeyVault {
    pub(crate) fn new(writer: Writer, vault: String, name: Template) -> KeyVault {
        KeyVault { writer, vault, name }
    }

    /// Source: Key Vault, "Vault-name and Object-name".
    fn name(&self, label: &Label) -> Result<String, SinkError> {
        let name = self.name.fill(label, str::to_owned);
        match (1..=127).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => Ok(name),
            false => Err(other(format!(
                "the secret's name `{}` is none for a key vault: letters, digits and - only; {{user_id}} and {{key_id}} have no others",
                name.escape_debug()
            ))),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, CloudError> {
        self.ask_at(method, &format!("{}/{path}", self.vault), body).await
    }

    async fn ask_at(&self, method: &str, url: &str, body: &Value) -> Result<Value, CloudError> {
        self.writer.arm(ArmWrite::VaultSecret { url, method, body }).await.map_err(|failure| failure.error)
    }

    /// All versions of a secret, without their values; none if there is no such secret.
    async fn versions(&self, name: &str) -> Result<Vec<Version>, SinkError> {
        let mut url = format!("{}/secrets/{name}/versions", self.vault);
        let mut versions = Vec::new();
        let unreliable = || other(format!("the list of versions of {name} cannot be relied on"));
        for _ in 0..MOST_PAGES {
            let page = match self.ask_at("GET", &url, &Value::Null).await {
                Ok(page) => page,
                Err(e) if e.kind == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(e.into()),
            };
            let items = page.get("value").and_then(Value::as_array).ok_or_else(unreliable)?;
            for item in items {
                versions.push(Version::read(item).ok_or_else(unreliable)?);
            }
            match page.get("nextLink").and_then(Value::as_str).filter(|link| !link.is_empty()) {
                Some(next) => url = next.to_owned(),
                None => return Ok(versions),
            }
        }
        Err(unreliable())
    }

    /// Refuses a secret that is somebody else's.
    async fn ours(&self, name: &str, label: &Label, versions: &[Version]) -> Result<(), SinkError> {
        let at = format!("{}/secrets/{name}", self.vault);
        let Some(newest) = versions.iter().max_by_key(|v| v.created) else {
            // A secret that was deleted, but not for good, keeps its name. Whoever may not look there finds out when it is written.
            return match self.ask("GET", &format!("deletedsecrets/{name}"), &Value::Null).await {
                Ok(mut answer) => {
                    wipe(&mut answer);
                    Err(other(format!("{at} was deleted and can still be recovered: recover or purge it, or choose another name")))
                }
                Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::Denied) => Ok(()),
                Err(e) => Err(e.into()),
            };
        };
        match newest.tags.get(OWNER) {
            Some(owner) if *owner == label.owner_id => Ok(()),
            Some(owner) => Err(other(format!("{at} is that of {owner}, not of {}: choose another name", label.owner_id))),
            None => {
                let owner = &label.owner_id;
                Err(other(format!(
                    "{at} was not made by assay: give its newest version the tag {OWNER}={owner} if it is the one to be replaced"
                )))
            }
        }
    }

    /// Puts the value of a former version on top again, so that whoever asks gets what they got before.
    async fn restore(&self, name: &str, former: &Version) -> Result<(), SinkError> {
        let mut bundle = self.ask("GET", &format!("secrets/{name}/{}", former.id), &Value::Null).await?;
        let value = bundle.get_mut("value").map(Value::take).and_then(|v| match v {
            Value::String(text) => Some(Secret::new(text)),
            _ => None,
        });
        let content_type = bundle.get("contentType").cloned();
        let mut attributes = Map::from_iter([("enabled".to_owned(), Value::Bool(true))]);
        for name in ["nbf", "exp"] {
            attributes.extend(bundle.pointer(&format!("/attributes/{name}")).filter(|v| v.is_i64()).map(|v| (name.to_owned(), v.clone())));
        }
        let mut tags = former.tags.clone();
        if tags.len() < MOST_TAGS {
            tags.insert(RESTORED.to_owned(), former.id.clone());
        }
        wipe(&mut bundle);
        let value = value.ok_or_else(|| other(format!("the former version of {name} has no value")))?;
        let mut body = json!({"value": value.expose(), "attributes": attributes, "tags": tags});
        if let Some(content_type) = content_type.filter(|c| !c.is_null()) {
            body["contentType"] = content_type;
        }
        self.put(name, body).await
    }

    /// Puts a version on top; wipes what was sent and answered.
    async fn put(&self, name: &str, mut body: Value) -> Result<(), SinkError> {
        let result = self.ask("PUT", &format!("secrets/{name}"), &body).await;
        wipe(&mut body);
        let mut answer = result?;
        wipe(&mut answer);
        Ok(())
    }

    async fn disable(&self, name: &str, version: &Version) -> Result<(), SinkError> {
        let body = json!({"attributes": {"enabled": false}});
        let mut answer = self.ask("PATCH", &format!("secrets/{name}/{}", version.id), &body).await?;
        wipe(&mut answer);
        Ok(())
    }
}

#[async_trait]
impl Sink for KeyVault {
    fn place(&self, label: &Label) -> Result<Option<String>, SinkError> {
        // Names of secrets and hosts are without regard to case.
        Ok(Some(format!("secret {}/secrets/{}", self.vault, self.name(&label.foreseen())?).to_ascii_lowercase()))
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        let label = &label.foreseen();
        let name = self.name(label)?;
        if label.owner_id.len() > 256 {
            return Err(other(format!("a tag of a key vault cannot hold {}: choose another sink", label.owner_id)));
        }
        let versions = self.versions(&name).await?;
        self.ours(&name, label, &versions).await
    }

    /// What was put there would be current at once.
    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        self.check(&delivery.label).await
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let label = &delivery.label;
        let (name, token) = (self.name(label)?, token(label));
        let versions = self.versions(&name).await?;
        if standing(&versions, &token) == Standing::Current {
            return Ok(());
        }
        self.ours(&name, label, &versions).await?;
        let body = json!({
            "value": delivery.document.expose(),
            "contentType": "application/json",
            "attributes": {"enabled": true},
            "tags": {OWNER: label.owner_id, KEY: label.key, VALUE: token},
        });
        self.put(&name, body).await
    }

    async fn withdraw(&self, label: &Label) -> Result<(), SinkError> {
        let (name, token) = (self.name(label)?, token(label));
        let versions = self.versions(&name).await?;
        if matches!(standing(&versions, &token), Standing::Current | Standing::Unknown) {
            let former = versions.iter().filter(|v| v.enabled && !v.is(&token)).max_by_key(|v| v.created);
            // Without a former one nobody got anything from here before.
            if let Some(former) = former {
                self.restore(&name, former).await?;
            }
        }
        for version in versions.iter().filter(|v| v.enabled && v.is(&token)) {
            self.disable(&name, version).await?;
        }
        Ok(())
    }

    async fn standing(&self, label: &Label) -> Result<Standing, SinkError> {
        let versions = self.versions(&self.name(label)?).await?;
        Ok(standing(&versions, &token(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, created: i64, enabled: bool, value: Option<&str>) -> Version {
        let tags = value.map(|v| (VALUE.to_owned(), v.to_owned())).into_iter().collect();
        Version { id: id.into(), enabled, created, tags }
    }

    #[test]
    fn the_newest_version_is_the_current_one() {
        let ours = |created, enabled| version("o", created, enabled, Some("t"));
        let theirs = |created| version("x", created, true, None);
        let mut restored = version("r", 9, true, Some("t"));
        restored.tags.insert(RESTORED.into(), "o".into());
        for (versions, expected) in [
            (vec![], Standing::Absent),
            (vec![theirs(1)], Standing::Absent),
            (vec![ours(2, true)], Standing::Current),
            (vec![theirs(1), ours(2, true)], Standing::Current),
            (vec![ours(2, true), theirs(1)], Standing::Current),
            (vec![ours(2, true), theirs(3)], Standing::Stored),
            (vec![ours(2, true), theirs(2)], Standing::Unknown),
            (vec![ours(2, true), ours(2, true)], Standing::Current),
            (vec![ours(1, false), ours(2, true)], Standing::Current),
            (vec![ours(2, false), theirs(1)], Standing::Stored),
            (vec![ours(1, true), ours(2, false)], Standing::Stored),
            (vec![ours(2, true), restored], Standing::Stored),
        ] {
            assert_eq!(standing(&versions, "t"), expected, "{versions:?}");
        }
    }

    #[test]
    fn versions_are_read_as_the_reference_has_them() {
        let item = json!({"id": "https://v.vault.azure.net/secrets/n/11a5", "attributes": {"enabled": true, "created": 5, "updated": 6},
            "tags": {"assay-value": "t"}, "contentType": "x"});
        assert_eq!(Version::read(&item), Some(version("11a5", 5, true, Some("t"))));
        for member in ["id", "attributes"] {
            let mut bad = item.clone();
            bad.as_object_mut().unwrap().remove(member);
            assert_eq!(Version::read(&bad), None, "{member}");
        }
    }
}
