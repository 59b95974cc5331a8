//! The requests that change something in Azure, or hand out a key: four, by name. Refuses any address that is not the connection's own
//! storage account, or a secret in a vault of its own cloud, and any property that rotation has no business with.

use super::environment::{Environment, is_loopback};
use super::request::{Prepared, check_segment};
use super::tokens::Audience;
use crate::writer::ArmWrite;
use crate::{CloudError, ErrorKind};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// Of Microsoft.Storage. Source: Storage Resource Provider REST API; `keyCreationTime`, `keyPolicy` and `allowSharedKeyAccess` are in it.
const STORAGE: &str = "2021-06-01";
/// Of the vaults' data plane. Source: Key Vault REST API, secrets.
const VAULT: &str = "7.4";

fn refused(message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "RefusedWrite", message)
}

/// The request of a write. Nothing is asked, not even a token. `subscription` is the one that the connection's account is.
pub(super) fn prepare(environment: &Environment, subscription: &str, write: &ArmWrite<'_>) -> Result<Prepared, CloudError> {
    let (id, method, end, body) = match write {
        ArmWrite::RegenerateKey { key, .. } if !matches!(*key, "key1" | "key2") => {
            return Err(refused(format!("`{}` is no key of a storage account: there are key1 and key2", key.escape_debug())));
        }
        ArmWrite::RegenerateKey { id, key } => (*id, Method::POST, "/regenerateKey", json!({"keyName": key}).to_string()),
        ArmWrite::ListKeys { id } => (*id, Method::POST, "/listKeys", String::new()),
        ArmWrite::UpdateAccount { id, properties } => {
            check_properties(properties)?;
            (*id, Method::PATCH, "", json!({"properties": properties}).to_string())
        }
        ArmWrite::VaultSecret { url, method, body } => return vault(environment, url, method, body),
    };
    check_account(id, subscription).map_err(|why| refused(format!("`{}` {why}", id.escape_debug())))?;
    let base = &environment.resource_manager;
    let address = format!("{}{id}{end}?api-version={STORAGE}", base.as_str().trim_end_matches('/'));
    let url = Url::parse(&address).map_err(|e| refused(format!("the id makes no address: {e}")))?;
    // Checked above; this holds whatever a parser makes of an id.
    if url.origin() != base.origin() || url.path().matches('/').count() != id.matches('/').count() + end.matches('/').count() {
        return Err(refused("the id leads away from the endpoint"));
    }
    Ok(Prepared { method, url, audience: Audience::ResourceManager, version: None, body: Some(body) })
}

/// Exactly the id of a storage account in this subscription.
fn check_account(id: &str, subscription: &str) -> Result<(), &'static str> {
    let segments: Vec<&str> = id.split('/').collect();
    let ["", subscriptions, given, groups, group, providers, provider, kind, name] = segments[..] else {
        return Err("is no resource id of a storage account");
    };
    let is = |given: &str, wanted: &str| given.eq_ignore_ascii_case(wanted);
    let shape = is(subscriptions, "subscriptions")
        && is(groups, "resourceGroups")
        && is(providers, "providers")
        && is(provider, "Microsoft.Storage")
        && is(kind, "storageAccounts");
    if !shape || !(3..=24).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("is no resource id of a storage account");
    }
    if subscription.is_empty() || !is(given, subscription) {
        return Err("is in another subscription than the connection's account");
    }
    check_segment(group)?;
    // A name has none of these; an address gives them a meaning.
    if group.contains(['%', '?', '#', ';', ' ']) {
        return Err("has a resource group with a character that none has");
    }
    Ok(())
}

/// Only what makes an account safer.
fn check_properties(properties: &Value) -> Result<(), CloudError> {
    let fits = |(name, value): (&String, &Value)| match name.as_str() {
        "allowSharedKeyAccess" => *value == Value::Bool(false),
        "keyPolicy" => {
            let days = value.as_object().filter(|o| o.len() == 1).and_then(|o| o.get("keyExpirationPeriodInDays"));
            days.and_then(Value::as_i64).is_some_and(|days| days > 0)
        }
        _ => false,
    };
    match properties.as_object() {
        Some(all) if !all.is_empty() && all.iter().all(fits) => Ok(()),
        _ => Err(refused("only `allowSharedKeyAccess: false` and `keyPolicy: {keyExpirationPeriodInDays}` are set on a storage account")),
    }
}

/// A secret in a vault. Reads are among them because what they answer may be a secret: it goes this way and no other.
fn vault(environment: &Environment, address: &str, method: &str, body: &Value) -> Result<Prepared, CloudError> {
    let mut url = Url::parse(address).map_err(|e| refused(format!("the address of the secret is none: {e}")))?;
    check_vault(environment, &url).map_err(refused)?;
    let path = url.path().to_owned();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let version = |text: &str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let method = match (method, segments.as_slice()) {
        ("PUT", ["secrets", name]) if is_secret_name(name) => Method::PUT,
        ("PATCH", ["secrets", name, v]) if is_secret_name(name) && version(v) && *v != "versions" => Method::PATCH,
        ("GET", ["secrets", name, v]) if is_secret_name(name) && version(v) => Method::GET,
        ("GET", ["deletedsecrets", name]) if is_secret_name(name) => Method::GET,
        _ => return Err(refused(format!("{} of {} is no request that rotation makes", method.escape_debug(), path.escape_debug()))),
    };
    // Only the link to a further page of versions has a query, and it comes from the vault itself.
    match url.query() {
        None => url.set_query(Some(&format!("api-version={VAULT}"))),
        Some(_) if method == Method::GET && segments.last() == Some(&"versions") => {}
        Some(_) => return Err(refused("the address of a secret has no query")),
    }
    let body = match (&method, body) {
        (&Method::GET, Value::Null) => None,
        (&Method::PUT | &Method::PATCH, Value::Object(_)) => Some(body.to_string()),
        _ => return Err(refused("a PUT or PATCH of a secret has a body, and it is an object; a GET has none")),
    };
    Ok(Prepared { method, url, audience: Audience::Vault, version: None, body })
}

/// Source: Key Vault, "Vault-name and Object-name".
fn is_secret_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_vault(environment: &Environment, url: &Url) -> Result<(), String> {
    let Some(suffix) = &environment.vault_suffix else {
        return Err(format!("the cloud {} has no key vaults: set `endpoints.vault`, or AZURE_KEYVAULT_SUFFIX", environment.name));
    };
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("the address of a secret has a part that it must not have".to_owned());
    }
    let name = authority.strip_suffix(suffix.as_str()).and_then(|name| name.strip_suffix('.'));
    let is_name = |name: &str| (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if authority != *suffix && !name.is_some_and(is_name) {
        return Err(format!("the secret's address leads to {authority}, which is no vault under {suffix}: no token is sent there"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        _ => Err(format!("the secret's address is not https: no token is sent to {authority}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::environment;

    const ID: &str = "/subscriptions/S-1/resourceGroups/rg (a)._-b/providers/Microsoft.Storage/storageAccounts/stone";

    fn prepared(write: ArmWrite<'_>) -> Result<Prepared, CloudError> {
        prepare(&environment("https://management.example"), "s-1", &write)
    }

    #[test]
    fn the_four_requests_are_what_the_references_say() {
        let id = "/subscriptions/s-1/resourceGroups/rg(a)._-b/providers/Microsoft.Storage/storageAccounts/stone";
        let policy = json!({"keyPolicy": {"keyExpirationPeriodInDays": 90}});
        let secret = json!({"value": "canary"});
        for (write, method, url, body) in [
            (
                ArmWrite::RegenerateKey { id, key: "key2" },
                "POST",
                format!("https://management.example{id}/regenerateKey?api-version=2021-06-01"),
                Some(r#"{"keyName":"key2"}"#),
            ),
            (ArmWrite::ListKeys { id }, "POST", format!("https://management.example{id}/listKeys?api-version=2021-06-01"), Some("")),
            (
                ArmWrite::UpdateAccount { id, properties: &policy },
                "PATCH",
                format!("https://management.example{id}?api-version=2021-06-01"),
                Some(r#"{"properties":{"keyPolicy":{"keyExpirationPeriodInDays":90}}}"#),
            ),
            (
                ArmWrite::VaultSecret { url: "https://myvault.vault.example/secrets/a-1", method: "PUT", body: &secret },
                "PUT",
                "https://myvault.vault.example/secrets/a-1?api-version=7.4".to_owned(),
                Some(r#"{"value":"canary"}"#),
            ),
            (
                ArmWrite::VaultSecret {
                    url: "https://myvault.vault.example:443/secrets/a/versions?x=1",
                    method: "GET",
                    body: &Value::Null,
                },
                "GET",
                "https://myvault.vault.example/secrets/a/versions?x=1".to_owned(),
                None,
            ),
        ] {
            let p = prepared(write).unwrap();
            assert_eq!((p.method.as_str(), p.url.as_str(), p.body.as_deref()), (method, url.as_str(), body));
        }
    }

    #[test]
    fn nothing_but_the_connections_own_storage_accounts_is_written() {
        let of = |sub: &str, rest: &str| format!("/subscriptions/{sub}/resourceGroups/{rest}");
        for (id, why) in [
            (String::new(), "is no resource id"),
            (ID.to_owned(), "a character that none has"),
            (of("s-2", "g/providers/Microsoft.Storage/storageAccounts/stone"), "another subscription"),
            (of("", "g/providers/Microsoft.Storage/storageAccounts/stone"), "another subscription"),
            (of("s-1", "g/providers/Microsoft.Batch/batchAccounts/stone"), "is no resource id"),
            (of("s-1", "g/providers/Microsoft.Storage/storageAccounts/stone/blobServices/default"), "is no resource id"),
            (of("s-1", "g/providers/Microsoft.Storage/storageAccounts/st"), "is no resource id"),
            (of("s-1", "g/providers/Microsoft.Storage/storageAccounts/st?x="), "is no resource id"),
            (of("s-1", "../providers/Microsoft.Storage/storageAccounts/stone"), "more than a name"),
            (of("s-1", "%2e%2e/providers/Microsoft.Storage/storageAccounts/stone"), "more than a name"),
            (of("s-1", "g%2fh/providers/Microsoft.Storage/storageAccounts/stone"), "more than a name"),
            (of("s-1", "g?a/providers/Microsoft.Storage/storageAccounts/stone"), "a character that none has"),
            (of("s-1", "g#a/providers/Microsoft.Storage/storageAccounts/stone"), "a character that none has"),
            (of("s-1", "/providers/Microsoft.Storage/storageAccounts/stone"), "empty segment"),
            (format!("https://evil.example{}", of("s-1", "g/providers/Microsoft.Storage/storageAccounts/stone")), "is no resource id"),
        ] {
            for write in [ArmWrite::RegenerateKey { id: &id, key: "key1" }, ArmWrite::ListKeys { id: &id }] {
                let e = prepared(write).expect_err(&id);
                assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Invalid, "RefusedWrite"));
                assert!(e.message.contains(why), "{id}: {e}");
            }
        }
        let id = of("s-1", "g/providers/Microsoft.Storage/storageAccounts/stone");
        for key in ["", "key3", "kerb1", "key1,key2", "KEY1"] {
            assert!(prepared(ArmWrite::RegenerateKey { id: &id, key }).is_err(), "{key}");
        }
        assert!(prepare(&environment("https://m.example"), "", &ArmWrite::ListKeys { id: &id }).is_err(), "no subscription, no write");
    }

    #[test]
    fn an_account_is_only_made_safer() {
        let id = "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/stone";
        for (properties, sound) in [
            (json!({"allowSharedKeyAccess": false}), true),
            (json!({"keyPolicy": {"keyExpirationPeriodInDays": 1}}), true),
            (json!({"allowSharedKeyAccess": true}), false),
            (json!({"keyPolicy": {"keyExpirationPeriodInDays": 0}}), false),
            (json!({"keyPolicy": {"keyExpirationPeriodInDays": 90, "x": 1}}), false),
            (json!({"keyPolicy": null}), false),
            (json!({"allowSharedKeyAccess": false, "publicNetworkAccess": "Enabled"}), false),
            (json!({"networkAcls": {}}), false),
            (json!({}), false),
            (json!(null), false),
        ] {
            assert_eq!(prepared(ArmWrite::UpdateAccount { id, properties: &properties }).is_ok(), sound, "{properties}");
        }
    }

    #[test]
    fn no_token_goes_to_what_is_no_vault_of_the_cloud() {
        let body = json!({"value": "x"});
        for (url, method, why) in [
            ("https://myvault.vault.example.evil.example/secrets/a", "PUT", "no vault under vault.example"),
            ("https://evilvault.example/secrets/a", "PUT", "no vault under"),
            ("https://a.b.vault.example/secrets/a", "PUT", "no vault under"),
            ("https://.vault.example/secrets/a", "PUT", "no vault under"),
            ("https://myvault.vault.example:8443/secrets/a", "PUT", "no vault under"),
            ("https://u:p@myvault.vault.example/secrets/a", "PUT", "must not have"),
            ("https://myvault.vault.example/secrets/a#x", "PUT", "must not have"),
            ("http://myvault.vault.example/secrets/a", "PUT", "is not https"),
            ("https://myvault.vault.example/keys/a", "PUT", "no request that rotation makes"),
            ("https://myvault.vault.example/secrets/a/b/c", "PATCH", "no request that rotation makes"),
            ("https://myvault.vault.example/secrets/a_b", "PUT", "no request that rotation makes"),
            ("https://myvault.vault.example/secrets/a", "DELETE", "no request that rotation makes"),
            ("https://myvault.vault.example/secrets/a", "GET", "no request that rotation makes"),
            ("https://myvault.vault.example/secrets/a?api-version=1", "PUT", "has no query"),
            ("nonsense", "PUT", "is none"),
        ] {
            let e = prepared(ArmWrite::VaultSecret { url, method, body: &body }).expect_err(url);
            assert!(e.code == "RefusedWrite" && e.message.contains(why), "{url}: {e}");
        }
        let mut local = environment("https://management.example");
        local.vault_suffix = Some("127.0.0.1:9".into());
        let put = |url| prepare(&local, "", &ArmWrite::VaultSecret { url, method: "PUT", body: &body });
        assert!(put("http://127.0.0.1:9/secrets/a").is_ok());
        assert!(put("http://127.0.0.1:8/secrets/a").is_err());
        local.vault_suffix = None;
        let write = ArmWrite::VaultSecret { url: "https://v12.vault.example/secrets/a", method: "PUT", body: &body };
        assert!(prepare(&local, "", &write).unwrap_err().message.contains("endpoints.vault"));
    }
}
