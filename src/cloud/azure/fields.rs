//! The fields of Azure connections in the configuration. Refuses what contradicts itself, what belongs to another cloud, and every secret.

use super::environment::Environment;
use super::source::Choice;
use super::variables::Variables;
use crate::limits::invalid;
use crate::registry::Globs;
use crate::{CloudError, ConnectionConfig};

/// Checks the fields of one connection; `at` is its place, `aws` the fields that only AWS has and whether they are set.
pub(crate) fn check(at: &str, c: &ConnectionConfig, aws: &[(&str, bool)]) -> Result<(), CloudError> {
    let fail = |message: String| Err(invalid(format!("`{at}`: {message}")));
    let azure = [
        ("tenant", c.tenant.is_some()),
        ("subscriptions", !c.subscriptions.is_empty()),
        ("environment", c.environment.is_some()),
        ("endpoints", c.endpoints.is_some()),
        ("credential", c.credential.is_some()),
        ("client_id", c.client_id.is_some()),
        ("certificate", c.certificate.is_some()),
    ];
    let first = |fields: &[(&str, bool)]| fields.iter().find(|(_, set)| *set).map(|(field, _)| (*field).to_owned());
    if !c.aggregate.is_empty() {
        return match first(&azure) {
            Some(field) => fail(format!("an aggregate has no `{field}` of its own; set it on its members")),
            None => Ok(()),
        };
    }
    if c.cloud.as_deref() != Some("azure") {
        return match first(&azure) {
            Some(field) => fail(format!("`{field}` belongs to `cloud: azure`")),
            None => Ok(()),
        };
    }
    if let Some(field) = first(aws) {
        return fail(format!("`{field}` belongs to `cloud: aws`"));
    }
    Globs::read(&format!("{at}.subscriptions"), &c.subscriptions)?;
    // What the environment says of the cloud is judged when the connection is used.
    Environment::read(at, c, &Variables::default())?;
    if let Some(tenant) = &c.tenant
        && !is_tenant(tenant)
    {
        return fail(format!("`tenant: {}` is neither the id nor a domain name of a tenant", tenant.escape_debug()));
    }
    if let Some(id) = &c.client_id
        && !is_client(id)
    {
        return fail(format!(
            "`client_id: {}` is no application id; it looks like 11111111-2222-3333-4444-555555555555",
            id.escape_debug()
        ));
    }
    if c.certificate.as_deref().is_some_and(|path| path.trim().is_empty()) {
        return fail("`certificate` is empty; it is the path of a PEM file with key and certificate".into());
    }
    if c.certificate.as_deref().is_some_and(|path| path.contains("-----BEGIN")) {
        return fail("`certificate` is the path of a PEM file; the key itself does not belong into the configuration".into());
    }
    let choice = match c.credential.as_deref() {
        None => None,
        Some(name) => match Choice::read(name) {
            Some(choice) => Some(choice),
            None => return fail(format!("unknown `credential: {}`; there are {}", name.escape_debug(), Choice::names())),
        },
    };
    match choice {
        Some(choice) if c.certificate.is_some() && choice != Choice::Certificate => {
            fail(format!("`certificate` belongs to `credential: certificate`, not to `{}`", choice.name()))
        }
        Some(choice @ (Choice::Cli | Choice::Developer)) if c.client_id.is_some() => {
            fail(format!("`client_id` has no meaning with `credential: {}`: the command line has its own login", choice.name()))
        }
        _ => Ok(()),
    }
}

/// What can stand in the path of a token request: an id or a domain name.
pub(super) fn is_tenant(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)) && !text.starts_with(['.', '-'])
}

/// Ids are GUIDs; emulators are not that strict, so any plain word will do.
pub(super) fn is_client(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(config: Value) -> Result<(), CloudError> {
        check("connections.p", &serde_json::from_value(config).unwrap(), &[("profile", false), ("regions", true)][..1])
    }

    #[test]
    fn what_azure_connections_may_say() {
        for config in [
            json!({"cloud": "azure"}),
            json!({"cloud": "azure", "tenant": "contoso.onmicrosoft.com", "subscriptions": ["prod-*"], "environment": "china"}),
            json!({"cloud": "azure", "credential": "certificate", "certificate": "~/sp.pem", "client_id": "1-2", "tenant": "t"}),
            json!({"cloud": "azure", "certificate": "sp.pem"}),
            json!({"cloud": "azure", "credential": "managed", "client_id": "1-2"}),
            json!({"cloud": "azure", "credential": "azd", "tenant": "t", "endpoints": {"graph": "https://x"}}),
            json!({"cloud": "aws"}),
            json!({"aggregate": ["x"]}),
        ] {
            checked(config.clone()).unwrap_or_else(|e| panic!("{config}: {e}"));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (config, message) in [
            (
                json!({"cloud": "azure", "credential": "password"}),
                "unknown `credential: password`; there are environment, certificate, workload, managed, cli, azd",
            ),
            (
                json!({"cloud": "azure", "credential": "cli", "certificate": "x"}),
                "`certificate` belongs to `credential: certificate`, not to `cli`",
            ),
            (json!({"cloud": "azure", "credential": "azd", "client_id": "x"}), "`client_id` has no meaning with `credential: azd`"),
            (json!({"cloud": "azure", "tenant": "a/b"}), "`tenant: a/b` is neither the id nor a domain name"),
            (json!({"cloud": "azure", "tenant": ""}), "`tenant: ` is neither"),
            (json!({"cloud": "azure", "tenant": "../x"}), "is neither"),
            (json!({"cloud": "azure", "client_id": "a b"}), "`client_id: a b` is no application id"),
            (json!({"cloud": "azure", "certificate": " "}), "`certificate` is empty"),
            (json!({"cloud": "azure", "certificate": "-----BEGIN PRIVATE KEY-----"}), "the key itself does not belong"),
            (json!({"cloud": "azure", "subscriptions": ["[a"]}), "`connections.p.subscriptions`: `[a` is no glob"),
            (json!({"cloud": "azure", "environment": "mars"}), "`connections.p.environment`: unknown cloud `mars`"),
            (
                json!({"cloud": "azure", "endpoints": {"graph": "http://x"}}),
                "`connections.p.endpoints.graph`: `http://x` must begin with https://",
            ),
            (json!({"credential": "cli"}), "`credential` belongs to `cloud: azure`"),
            (json!({"cloud": "aws", "endpoints": {}}), "`endpoints` belongs to `cloud: azure`"),
            (json!({"aggregate": ["x"], "tenant": "t"}), "an aggregate has no `tenant` of its own"),
        ] {
            let e = checked(config.clone()).expect_err(&config.to_string());
            assert!(e.message.contains(message), "{config}: {e}");
        }
        let azure = serde_json::from_value(json!({"cloud": "azure"})).unwrap();
        let e = check("connections.p", &azure, &[("profile", false), ("regions", true)]).unwrap_err();
        assert_eq!(e.message, "`connections.p`: `regions` belongs to `cloud: aws`");
    }

    #[test]
    fn there_is_no_place_for_a_secret() {
        for field in ["client_secret", "secret", "password", "certificate_password", "token"] {
            let e = serde_json::from_value::<ConnectionConfig>(json!({"cloud": "azure", field: "x"})).unwrap_err();
            assert!(e.to_string().contains("unknown field"), "{e}");
        }
    }
}
