//! Which sources of tokens a connection may ask, and in which order: from its configuration and the environment variables alone. Reads no
//! file, asks nobody. Refuses what is configured by half: a source that was meant is not passed over in silence.

use super::fields::{is_client, is_tenant};
use super::variables::Variables;
use crate::ConnectionConfig;
use azure_core::credentials::Secret;
use std::path::PathBuf;

/// What `credential:` may say: this source and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Environment,
    Certificate,
    Workload,
    Managed,
    Cli,
    Developer,
}

impl Choice {
    const ALL: [(&'static str, Choice); 6] = [
        ("environment", Choice::Environment),
        ("certificate", Choice::Certificate),
        ("workload", Choice::Workload),
        ("managed", Choice::Managed),
        ("cli", Choice::Cli),
        ("azd", Choice::Developer),
    ];

    pub(crate) fn read(name: &str) -> Option<Choice> {
        Choice::ALL.iter().find(|(n, _)| *n == name).map(|(_, choice)| *choice)
    }

    pub(crate) fn name(self) -> &'static str {
        Choice::ALL.iter().find(|(_, c)| *c == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn names() -> String {
        Choice::ALL.map(|(name, _)| name).join(", ")
    }
}

/// One source of tokens with everything it needs.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A service principal and its secret.
    Secret { who: Principal, secret: Secret },
    /// A service principal and a PEM file with key and certificate.
    Certificate { who: Principal, path: PathBuf },
    /// A service principal and a token of Kubernetes, or whoever else is trusted for it.
    Workload { who: Principal, file: PathBuf },
    /// The identity that App Service, Functions or Container Apps give the process; with the header that proves who asks.
    AppService { client_id: Option<String>, header: Secret },
    /// The identity of the virtual machine.
    Instance { client_id: Option<String> },
    /// Whoever is logged in to `az`.
    Cli { tenant: Option<String> },
    /// Whoever is logged in to `azd`.
    Developer { tenant: Option<String> },
}

/// A service principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
}

/// One step on the way to a token.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Ask(Source),
    /// A source that is not there: its name, and why.
    Pass(&'static str, String),
}

const ENVIRONMENT: &str = "environment variables";
const WORKLOAD: &str = "workload identity";
const MANAGED: &str = "managed identity";

impl Source {
    /// For people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Source::Secret { .. } => "client secret from the environment",
            Source::Certificate { .. } => "client certificate",
            Source::Workload { .. } => WORKLOAD,
            Source::AppService { .. } => "managed identity of the app service",
            Source::Instance { .. } => "managed identity of the machine",
            Source::Cli { .. } => "Azure CLI",
            Source::Developer { .. } => "Azure Developer CLI",
        }
    }

    /// A source that somebody set up for this process: if it fails, no other one stands in for it.
    pub(crate) fn is_meant(&self) -> bool {
        !matches!(self, Source::Instance { .. } | Source::Cli { .. } | Source::Developer { .. })
    }

    /// Texts that must not appear in any message.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match self {
            Source::Secret { secret, .. } | Source::AppService { header: secret, .. } => vec![secret.secret()],
            _ => Vec::new(),
        }
    }
}

/// The steps of a connection, in order. An error names what is missing.
pub(crate) fn plan(config: &ConnectionConfig, variables: &Variables) -> Result<Vec<Step>, String> {
    let given = Given { config, variables };
    let choice = match config.credential.as_deref() {
        Some(name) => Some(Choice::read(name).ok_or_else(|| format!("unknown credential `{name}`; there are {}", Choice::names()))?),
        None => config.certificate.is_some().then_some(Choice::Certificate),
    };
    if let Some(choice) = choice {
        let step = match choice {
            Choice::Environment => given.environment()?,
            Choice::Certificate => given.certificate()?,
            Choice::Workload => given.workload()?,
            Choice::Managed => given.managed()?,
            Choice::Cli => given.cli(),
            Choice::Developer => given.developer(),
        };
        return match step {
            Step::Pass(name, why) => Err(format!("{name}: {why}, and `credential: {}` allows no other source", choice.name())),
            step => Ok(vec![step]),
        };
    }
    let mut steps = Vec::new();
    for step in [Given::environment, Given::workload, Given::managed, |g: &Given<'_>| Ok(g.cli()), |g: &Given<'_>| Ok(g.developer())] {
        let step = step(&given)?;
        let last = matches!(&step, Step::Ask(source) if source.is_meant());
        steps.push(step);
        if last {
            break;
        }
    }
    Ok(steps)
}

/// The tenant that configuration or environment name.
pub(crate) fn tenant(config: &ConnectionConfig, variables: &Variables) -> Option<String> {
    config.tenant.as_deref().or_else(|| variables.get("AZURE_TENANT_ID")).map(str::to_owned)
}

/// What is given; the configuration beats the environment.
struct Given<'a> {
    config: &'a ConnectionConfig,
    variables: &'a Variables,
}

impl Given<'_> {
    fn tenant(&self) -> Option<String> {
        tenant(self.config, self.variables)
    }

    fn client_id(&self) -> Option<String> {
        self.config.client_id.as_deref().or_else(|| self.variables.get("AZURE_CLIENT_ID")).map(str::to_owned)
    }

    /// The service principal that `what` needs.
    fn principal(&self, what: &str) -> Result<Principal, String> {
        let (tenant, client_id) = match (self.tenant(), self.client_id()) {
            (Some(tenant), Some(client_id)) => (tenant, client_id),
            (tenant, client_id) => {
                let missing = [
                    ("the tenant (AZURE_TENANT_ID, or `tenant` of the connection)", tenant.is_none()),
                    ("the application id (AZURE_CLIENT_ID, or `client_id` of the connection)", client_id.is_none()),
                ];
                let missing: Vec<&str> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
                return Err(format!("{what} is set, but not {}", missing.join(" and ")));
            }
        };
        if !is_tenant(&tenant) {
            return Err(format!("AZURE_TENANT_ID `{}` is neither the id nor a domain name of a tenant", tenant.escape_debug()));
        }
        if !is_client(&client_id) {
            return Err(format!("AZURE_CLIENT_ID `{}` is no application id", client_id.escape_debug()));
        }
        Ok(Principal { tenant, client_id })
    }

    fn environment(&self) -> Result<Step, String> {
        if let Some(secret) = self.variables.get("AZURE_CLIENT_SECRET") {
            let who = self.principal("AZURE_CLIENT_SECRET")?;
            return Ok(Step::Ask(Source::Secret { who, secret: Secret::new(secret.to_owned()) }));
        }
        if self.variables.has("AZURE_CLIENT_CERTIFICATE_PATH") {
            return self.certificate();
        }
        let why = match self.variables.has("AZURE_USERNAME") && self.variables.has("AZURE_PASSWORD") {
            true => "AZURE_USERNAME with AZURE_PASSWORD is not supported; use a service principal",
            false => "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set",
        };
        Ok(Step::Pass(ENVIRONMENT, why.to_owned()))
    }

    fn certificate(&self) -> Result<Step, String> {
        let (what, path) = match (self.config.certificate.as_deref(), self.variables.get("AZURE_CLIENT_CERTIFICATE_PATH")) {
            (Some(path), _) => ("`certificate`", path),
            (None, Some(path)) => ("AZURE_CLIENT_CERTIFICATE_PATH", path),
            (None, None) => {
                return Ok(Step::Pass(
                    "client certificate",
                    "neither `certificate` of the connection nor AZURE_CLIENT_CERTIFICATE_PATH is set".to_owned(),
                ));
            }
        };
        if self.variables.has("AZURE_CLIENT_CERTIFICATE_PASSWORD") {
            return Err(format!(
                "AZURE_CLIENT_CERTIFICATE_PASSWORD is set, but files with a password are not read; {}",
                super::certificate::DECRYPT
            ));
        }
        let who = self.principal(what)?;
        Ok(Step::Ask(Source::Certificate { who, path: self.path(path) }))
    }

    fn workload(&self) -> Result<Step, String> {
        match self.variables.get("AZURE_FEDERATED_TOKEN_FILE") {
            Some(file) => {
                let who = self.principal("AZURE_FEDERATED_TOKEN_FILE")?;
                Ok(Step::Ask(Source::Workload { who, file: self.path(file) }))
            }
            None => Ok(Step::Pass(WORKLOAD, "AZURE_FEDERATED_TOKEN_FILE is not set".to_owned())),
        }
    }

    /// As the SDKs tell the hosts of managed identities apart.
    fn managed(&self) -> Result<Step, String> {
        let client_id = self.client_id();
        let has = |name| self.variables.has(name);
        let elsewhere = |place: &str| Ok(Step::Pass(MANAGED, format!("that of {place} is not supported")));
        if has("IDENTITY_ENDPOINT") {
            return match self.variables.get("IDENTITY_HEADER") {
                Some(_) if has("IDENTITY_SERVER_THUMBPRINT") => elsewhere("Service Fabric"),
                Some(header) => Ok(Step::Ask(Source::AppService { client_id, header: Secret::new(header.to_owned()) })),
                None if has("IMDS_ENDPOINT") => elsewhere("Azure Arc"),
                None => Err("IDENTITY_ENDPOINT is set, but not IDENTITY_HEADER".to_owned()),
            };
        }
        match (has("MSI_ENDPOINT"), has("MSI_SECRET")) {
            (true, true) => elsewhere("Azure Machine Learning"),
            (true, false) => elsewhere("the Cloud Shell"),
            _ => Ok(Step::Ask(Source::Instance { client_id })),
        }
    }

    fn cli(&self) -> Step {
        Step::Ask(Source::Cli { tenant: self.tenant() })
    }

    fn developer(&self) -> Step {
        Step::Ask(Source::Developer { tenant: self.tenant() })
    }

    /// A path, with `~/` as the shell has it.
    fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), self.variables.get("HOME")) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => PathBuf::from(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Steps in short: `secret t/c`, `-environment variables`.
    fn planned(config: Value, variables: &[(&str, &str)]) -> Result<String, String> {
        let steps = plan(&serde_json::from_value(config).unwrap(), &Variables::from(variables))?;
        let who = |p: &Principal| format!("{}/{}", p.tenant, p.client_id);
        let maybe = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let short = |step: &Step| match step {
            Step::Pass(name, _) => format!("no {name}"),
            Step::Ask(Source::Secret { who: w, secret }) => format!("secret {} {}", who(w), secret.secret()),
            Step::Ask(Source::Certificate { who: w, path }) => format!("certificate {} {}", who(w), path.display()),
            Step::Ask(Source::Workload { who: w, file }) => format!("workload {} {}", who(w), file.display()),
            Step::Ask(Source::AppService { client_id, .. }) => format!("app {}", maybe(client_id)),
            Step::Ask(Source::Instance { client_id }) => format!("machine {}", maybe(client_id)),
            Step::Ask(Source::Cli { tenant }) => format!("az {}", maybe(tenant)),
            Step::Ask(Source::Developer { tenant }) => format!("azd {}", maybe(tenant)),
        };
        Ok(steps.iter().map(short).collect::<Vec<_>>().join("; "))
    }

    const T: (&str, &str) = ("AZURE_TENANT_ID", "t");
    const C: (&str, &str) = ("AZURE_CLIENT_ID", "c");
    const S: (&str, &str) = ("AZURE_CLIENT_SECRET", "s");
    const P: (&str, &str) = ("AZURE_CLIENT_CERTIFICATE_PATH", "~/p.pem");
    const F: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
    const E: (&str, &str) = ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi");
    const H: (&str, &str) = ("IDENTITY_HEADER", "h");

    #[test]
    fn the_chain() {
        for (config, variables, expected) in [
            (json!({}), &[][..], "no environment variables; no workload identity; machine -; az -; azd -"),
            (json!({}), &[T, C], "no environment variables; no workload identity; machine c; az t; azd t"),
            (json!({}), &[T, C, S], "secret t/c s"),
            (json!({}), &[T, C, S, P, F, E, H], "secret t/c s"),
            (json!({}), &[T, C, P, F, ("HOME", "/home/me")], "certificate t/c /home/me/p.pem"),
            (json!({}), &[T, C, F, E, H], "no environment variables; workload t/c /f"),
            (json!({}), &[E, H], "no environment variables; no workload identity; app -"),
            (json!({}), &[C, E, H], "no environment variables; no workload identity; app c"),
            (json!({"client_id": "d"}), &[C, E, H], "no environment variables; no workload identity; app d"),
            (json!({"tenant": "u", "client_id": "d"}), &[T, C, S], "secret u/d s"),
            (json!({"tenant": "u"}), &[C, F], "no environment variables; workload u/c /f"),
            (json!({}), &[E, ("IMDS_ENDPOINT", "x")], "no environment variables; no workload identity; no managed identity; az -; azd -"),
            (json!({}), &[("MSI_ENDPOINT", "x")], "no environment variables; no workload identity; no managed identity; az -; azd -"),
            (json!({"credential": "cli"}), &[T, C, S], "az t"),
            (json!({"credential": "azd", "tenant": "u"}), &[], "azd u"),
            (json!({"credential": "managed"}), &[C, S, P, F], "machine c"),
            (json!({"credential": "managed"}), &[E, H, S], "app -"),
            (json!({"credential": "workload"}), &[T, C, S, F], "workload t/c /f"),
            (json!({"credential": "environment"}), &[T, C, P, F], "certificate t/c ~/p.pem"),
            (json!({"credential": "certificate"}), &[T, C, S, P], "certificate t/c ~/p.pem"),
            (json!({"certificate": "/x.pem", "tenant": "u", "client_id": "d"}), &[T, C, S, P], "certificate u/d /x.pem"),
        ] {
            assert_eq!(planned(config.clone(), variables).as_deref(), Ok(expected), "{config} {variables:?}");
        }
    }

    #[test]
    fn what_is_set_up_by_half_is_an_error() {
        let no_tenant = "but not the tenant (AZURE_TENANT_ID, or `tenant` of the connection)";
        let no_client = "but not the application id (AZURE_CLIENT_ID, or `client_id` of the connection)";
        for (config, variables, expected) in [
            (json!({}), &[C, S][..], format!("AZURE_CLIENT_SECRET is set, {no_tenant}")),
            (json!({}), &[T, S], format!("AZURE_CLIENT_SECRET is set, {no_client}")),
            (json!({}), &[S], format!("AZURE_CLIENT_SECRET is set, {no_tenant} and the application id")),
            (json!({}), &[C, P], format!("AZURE_CLIENT_CERTIFICATE_PATH is set, {no_tenant}")),
            (json!({}), &[T, F], format!("AZURE_FEDERATED_TOKEN_FILE is set, {no_client}")),
            (json!({"certificate": "x"}), &[T], format!("`certificate` is set, {no_client}")),
            (json!({}), &[E], "IDENTITY_ENDPOINT is set, but not IDENTITY_HEADER".to_owned()),
            (json!({}), &[T, C, P, ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "w")], "files with a password are not read".to_owned()),
            (json!({}), &[("AZURE_TENANT_ID", "a/b"), C, S], "AZURE_TENANT_ID `a/b` is neither".to_owned()),
            (json!({}), &[T, ("AZURE_CLIENT_ID", "a&b"), S], "AZURE_CLIENT_ID `a&b` is no application id".to_owned()),
            (json!({"credential": "environment"}), &[T, C], "environment variables: neither AZURE_CLIENT_SECRET nor".to_owned()),
            (json!({"credential": "workload"}), &[T, C, S], "workload identity: AZURE_FEDERATED_TOKEN_FILE is not set".to_owned()),
            (json!({"credential": "certificate"}), &[T, C, S], "client certificate: neither `certificate`".to_owned()),
            (
                json!({"credential": "managed"}),
                &[("MSI_ENDPOINT", "x")],
                "managed identity: that of the Cloud Shell is not supported".to_owned(),
            ),
        ] {
            let e = planned(config.clone(), variables).expect_err(&format!("{config} {variables:?}"));
            assert!(e.contains(&expected), "{config} {variables:?}: {e}");
        }
    }

    #[test]
    fn a_password_is_told_to_be_unsupported() {
        let variables = Variables::from([("AZURE_USERNAME", "u"), ("AZURE_PASSWORD", "p")]);
        let steps = plan(&ConnectionConfig::default(), &variables).unwrap();
        assert!(matches!(&steps[0], Step::Pass(_, why) if why.contains("AZURE_PASSWORD is not supported")), "{steps:?}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let steps = plan(&ConnectionConfig::default(), &Variables::from([T, C, ("AZURE_CLIENT_SECRET", "s3cr3t")])).unwrap();
        let Step::Ask(source) = &steps[0] else { panic!("{steps:?}") };
        assert_eq!(source.secrets(), ["s3cr3t"]);
        assert!(!format!("{steps:?}").contains("s3cr3t"));
    }
}
