//! The clouds: where their endpoints are, and for whom tokens are asked. Refuses plain http to any host but this machine, so that no token
//! and no secret crosses a network in the clear.

use super::variables::Variables;
use crate::limits::invalid;
use crate::{CloudError, ConnectionConfig};
use reqwest::Url;

/// What Microsoft runs, under the names of its command line and SDKs. Source: the clouds that `az cloud list` knows.
struct Known {
    name: &'static str,
    /// Other names, in lower case and without separators.
    aliases: &'static [&'static str],
    authority: &'static str,
    resource_manager: &'static str,
    graph: &'static str,
    storage: &'static str,
    vault: &'static str,
}

const KNOWN: [Known; 3] = [
    Known {
        name: "AzurePublicCloud",
        aliases: &["public", "azure", "azurecloud", "azurepublic", "azurepubliccloud"],
        authority: "https://login.microsoftonline.com",
        resource_manager: "https://management.azure.com",
        graph: "https://graph.microsoft.com",
        storage: "core.windows.net",
        vault: "vault.azure.net",
    },
    Known {
        name: "AzureUSGovernmentCloud",
        aliases: &["usgovernment", "usgov", "government", "usgovernmentcloud", "azureusgovernment", "azureusgovernmentcloud"],
        authority: "https://login.microsoftonline.us",
        resource_manager: "https://management.usgovcloudapi.net",
        graph: "https://graph.microsoft.us",
        storage: "core.usgovcloudapi.net",
        vault: "vault.usgovcloudapi.net",
    },
    Known {
        name: "AzureChinaCloud",
        aliases: &["china", "chinacloud", "azurechina", "azurechinacloud"],
        authority: "https://login.chinacloudapi.cn",
        resource_manager: "https://management.chinacloudapi.cn",
        graph: "https://microsoftgraph.chinacloudapi.cn",
        storage: "core.chinacloudapi.cn",
        vault: "vault.azure.cn",
    },
];

/// Storage answers to this audience in every cloud.
const STORAGE_AUDIENCE: &str = "https://storage.azure.com";

/// One cloud, as a connection uses it.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// What `cloud_environment` says: `AzurePublicCloud`, `AzureUSGovernmentCloud`, `AzureChinaCloud`; the given name of a custom one.
    pub(crate) name: String,
    /// Where tokens come from.
    pub(crate) authority: Url,
    /// The Resource Manager.
    pub(crate) resource_manager: Url,
    /// Microsoft Graph.
    pub(crate) graph: Url,
    /// Hosts of the storage data plane end in a dot and this: `core.windows.net`. With a port, or a bare host, for emulators.
    pub(crate) storage_suffix: String,
    /// Hosts of key vaults end in a dot and this, `vault.azure.net`, or are it, as an emulator's. A cloud of one's own may have none.
    pub(crate) vault_suffix: Option<String>,
    /// Scopes that tokens are asked for: Resource Manager, Graph, storage, key vaults.
    pub(crate) arm_scope: String,
    pub(crate) graph_scope: String,
    pub(crate) storage_scope: String,
    pub(crate) vault_scope: String,
}

impl Environment {
    /// The cloud of a connection: its `environment` and `endpoints`, then the environment variables, then the public cloud.
    pub(crate) fn of(name: &str, config: &ConnectionConfig) -> Result<Environment, CloudError> {
        Environment::read(&format!("connections.{name}"), config, &Variables::of_process())
    }

    /// [`Environment::of`] with given variables; `at` is the connection's place in the configuration. A connection that names its cloud takes no endpoint from the environment: a variable that
    /// is there for another program must not send the tokens of one cloud to another.
    pub(super) fn read(at: &str, config: &ConnectionConfig, variables: &Variables) -> Result<Environment, CloudError> {
        let own = config.endpoints.as_ref();
        // What the connection says, else what the environment says; with its place, for errors.
        let given = |field: &str, value: Option<&String>, variable: &str| match (value, &config.environment) {
            (Some(value), _) => Some((format!("`{at}.endpoints.{field}`"), value.clone())),
            (None, Some(_)) => None,
            (None, None) => variables.get(variable).map(|value| (variable.to_owned(), value.to_owned())),
        };
        let authority = given("authority", own.and_then(|e| e.authority.as_ref()), "AZURE_AUTHORITY_HOST");
        let resource_manager = given("resource_manager", own.and_then(|e| e.resource_manager.as_ref()), "AZURE_RESOURCE_MANAGER_ENDPOINT");
        let graph = given("graph", own.and_then(|e| e.graph.as_ref()), "AZURE_GRAPH_ENDPOINT");
        let storage = given("storage", own.and_then(|e| e.storage.as_ref()), "AZURE_STORAGE_SUFFIX");
        let vault = given("vault", own.and_then(|e| e.vault.as_ref()), "AZURE_KEYVAULT_SUFFIX");

        let (place, named) = match &config.environment {
            Some(name) => (format!("`{at}.environment`"), Some(name.as_str())),
            None => ("AZURE_ENVIRONMENT".to_owned(), variables.get("AZURE_ENVIRONMENT")),
        };
        let known = match named {
            None => Some(&KNOWN[0]),
            Some(named) => find(named),
        };
        // A cloud nobody knows must say where everything is: its tokens are of no use, and no business, of Microsoft's hosts.
        if let (None, Some(named)) = (known, named) {
            let fields = [("resource_manager", &resource_manager), ("authority", &authority), ("graph", &graph), ("storage", &storage)];
            let missing: Vec<&str> = fields.iter().filter(|(_, value)| value.is_none()).map(|(field, _)| *field).collect();
            if !missing.is_empty() {
                return Err(invalid(format!(
                    "{place}: unknown cloud `{}`; there are public, usgovernment and china, and a cloud of your own needs `endpoints` with {}",
                    named.escape_debug(),
                    missing.join(", ")
                )));
            }
            if !named.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                return Err(invalid(format!("{place}: `{}` is no name: letters, digits, - _ and . only", named.escape_debug())));
            }
        }
        let preset = |of: fn(&Known) -> &'static str| known.map_or("", of).to_owned();
        let endpoint = |given: &Option<(String, String)>, of: fn(&Known) -> &'static str| match given {
            Some((place, value)) => endpoint(place, value),
            None => endpoint(at, &preset(of)),
        };
        let default_scope = |url: &Url| format!("{}/.default", url.as_str().trim_end_matches('/'));
        let arm = endpoint(&resource_manager, |k| k.resource_manager)?;
        let graph = endpoint(&graph, |k| k.graph)?;
        let arm_scope = match own.and_then(|e| e.audience.as_deref()) {
            Some(audience) => scope(&format!("`{at}.endpoints.audience`"), audience)?,
            None => default_scope(&arm),
        };
        let vault_suffix = match &vault {
            Some((place, value)) => Some(suffix(place, value, "vault.azure.net")?),
            None => known.map(|k| k.vault.to_owned()),
        };
        // The vaults of a known cloud want its own audience, wherever they answer.
        let audience = known.map(|k| k.vault).or(vault_suffix.as_deref()).unwrap_or_default();
        Ok(Environment {
            vault_scope: format!("https://{audience}/.default"),
            vault_suffix,
            name: known.map_or_else(|| named.unwrap_or_default().to_owned(), |k| k.name.to_owned()),
            authority: endpoint(&authority, |k| k.authority)?,
            storage_suffix: match &storage {
                Some((place, value)) => suffix(place, value, "core.windows.net")?,
                None => preset(|k| k.storage),
            },
            arm_scope,
            graph_scope: default_scope(&graph),
            storage_scope: format!("{STORAGE_AUDIENCE}/.default"),
            resource_manager: arm,
            graph,
        })
    }
}

fn find(name: &str) -> Option<&'static Known> {
    let plain: String = name.chars().filter(|c| !"-_ ".contains(*c)).flat_map(char::to_lowercase).collect();
    KNOWN.iter().find(|k| k.aliases.contains(&plain.as_str()))
}

/// Is this host certainly this machine? Plain http is spoken to no other.
pub(crate) fn is_loopback(url: &Url) -> bool {
    // Of the schemes with hosts we speak, only http and https come here, so an IPv6 host is in brackets.
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        // RFC 6761 section 6.3: these names mean this machine and nothing else.
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Scheme, host and port, nothing else. Without a scheme, as `AZURE_AUTHORITY_HOST` is often written, https is meant.
fn endpoint(place: &str, value: &str) -> Result<Url, CloudError> {
    let fail = |why: &str| Err(invalid(format!("{place}: `{}` {why}", value.escape_debug())));
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("https://{value}") };
    let url = match Url::parse(with_scheme.trim()) {
        Ok(url) => url,
        Err(e) => return fail(&format!("is no URL: {e}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(format!("{place} must not hold a user name or password")));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return fail("must begin with https://: plain http is for this machine only"),
        _ => return fail("must begin with https://"),
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return fail("must be scheme, host and port only");
    }
    Ok(url)
}

/// The end of hosts such as `example`. Tokens go to every host below it, so it must not be as short as a top-level domain.
fn suffix(place: &str, value: &str, example: &str) -> Result<String, CloudError> {
    let fail = |why: &str| Err(invalid(format!("{place}: `{}` {why}", value.escape_debug())));
    let text = value.trim().trim_start_matches('.').to_ascii_lowercase();
    if text.contains("://") {
        return fail(&format!("is no end of a host name, such as {example}: it has no scheme"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text.as_str(), None),
    };
    if host.is_empty() || !host.split('.').all(|l| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
        return fail(&format!("is no end of a host name, such as {example}; with a port for an emulator"));
    }
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return fail("has no valid port");
    }
    if !host.contains('.') && host != "localhost" {
        return fail("is a single label; every host below it would be sent tokens");
    }
    Ok(text)
}

/// The scope of an audience, which is a URI; its trailing slash, if any, belongs to it.
fn scope(place: &str, audience: &str) -> Result<String, CloudError> {
    let sound = Url::parse(audience).is_ok() && audience.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:/".contains(c));
    if !sound {
        return Err(invalid(format!("{place}: `{}` is no audience, such as https://management.azure.com", audience.escape_debug())));
    }
    Ok(match audience.ends_with("/.default") {
        true => audience.to_owned(),
        false => format!("{audience}/.default"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(config: Value, variables: &[(&str, &str)]) -> Result<Environment, CloudError> {
        Environment::read("connections.p", &serde_json::from_value(config).unwrap(), &Variables::from(variables))
    }

    #[test]
    fn clouds_by_name() {
        for (names, name, arm, suffix, authority, graph) in [
            (
                &["public", "AzureCloud", "AzurePublicCloud", "AZUREPUBLICCLOUD"][..],
                "AzurePublicCloud",
                "https://management.azure.com/",
                "core.windows.net",
                "https://login.microsoftonline.com/",
                "https://graph.microsoft.com/",
            ),
            (
                &["usgovernment", "US-Government", "AzureUSGovernment", "AZUREUSGOVERNMENTCLOUD", "usgov"],
                "AzureUSGovernmentCloud",
                "https://management.usgovcloudapi.net/",
                "core.usgovcloudapi.net",
                "https://login.microsoftonline.us/",
                "https://graph.microsoft.us/",
            ),
            (
                &["china", "AzureChinaCloud"],
                "AzureChinaCloud",
                "https://management.chinacloudapi.cn/",
                "core.chinacloudapi.cn",
                "https://login.chinacloudapi.cn/",
                "https://microsoftgraph.chinacloudapi.cn/",
            ),
        ] {
            for given in names {
                for e in [read(json!({"environment": given}), &[]), read(json!({}), &[("AZURE_ENVIRONMENT", given)])] {
                    let e = e.unwrap();
                    assert_eq!((e.name.as_str(), e.resource_manager.as_str(), e.storage_suffix.as_str()), (name, arm, suffix), "{given}");
                    assert_eq!((e.authority.as_str(), e.graph.as_str()), (authority, graph));
                    assert_eq!(e.arm_scope, format!("{arm}.default"));
                    assert_eq!(e.graph_scope, format!("{graph}.default"));
                    assert_eq!(e.storage_scope, "https://storage.azure.com/.default");
                    let vault = e.vault_suffix.unwrap();
                    let by_cloud = match name {
                        "AzurePublicCloud" => "vault.azure.net",
                        "AzureChinaCloud" => "vault.azure.cn",
                        _ => "vault.usgovcloudapi.net",
                    };
                    assert_eq!((vault.as_str(), e.vault_scope), (by_cloud, format!("https://{by_cloud}/.default")));
                }
            }
        }
        assert_eq!(read(json!({}), &[]).unwrap().name, "AzurePublicCloud");
    }

    #[test]
    fn the_configuration_beats_the_environment() {
        let variables = &[
            ("AZURE_ENVIRONMENT", "china"),
            ("AZURE_RESOURCE_MANAGER_ENDPOINT", "http://127.0.0.1:1"),
            ("AZURE_AUTHORITY_HOST", "login.example.net"),
            ("AZURE_GRAPH_ENDPOINT", "http://[::1]:2/"),
            ("AZURE_STORAGE_SUFFIX", ".Storage.Example:9"),
            ("AZURE_KEYVAULT_SUFFIX", "127.0.0.1:8"),
        ];
        let e = read(json!({}), variables).unwrap();
        assert_eq!(e.name, "AzureChinaCloud");
        assert_eq!((e.resource_manager.as_str(), e.arm_scope.as_str()), ("http://127.0.0.1:1/", "http://127.0.0.1:1/.default"));
        assert_eq!((e.authority.as_str(), e.graph.as_str()), ("https://login.example.net/", "http://[::1]:2/"));
        assert_eq!(e.storage_suffix, "storage.example:9");
        assert_eq!((e.vault_suffix.as_deref(), e.vault_scope.as_str()), (Some("127.0.0.1:8"), "https://vault.azure.cn/.default"));

        let e = read(json!({"endpoints": {"resource_manager": "https://arm.example", "audience": "https://arm.example/x/"}}), variables)
            .unwrap();
        assert_eq!((e.resource_manager.as_str(), e.arm_scope.as_str()), ("https://arm.example/", "https://arm.example/x//.default"));
        assert_eq!(e.authority.as_str(), "https://login.example.net/", "what the connection does not say comes from the environment");

        let e = read(json!({"environment": "usgovernment", "endpoints": {"graph": "https://g.example"}}), variables).unwrap();
        assert_eq!(e.resource_manager.as_str(), "https://management.usgovcloudapi.net/", "a named cloud is taken whole");
        assert_eq!((e.authority.as_str(), e.graph.as_str()), ("https://login.microsoftonline.us/", "https://g.example/"));
    }

    #[test]
    fn a_cloud_of_ones_own() {
        let endpoints = json!({"resource_manager": "https://arm.local.example", "authority": "https://login.local.example",
            "graph": "https://graph.local.example", "storage": "local.example"});
        let e = read(json!({"environment": "Stack-1", "endpoints": endpoints.clone()}), &[]).unwrap();
        assert_eq!((e.name.as_str(), e.arm_scope.as_str()), ("Stack-1", "https://arm.local.example/.default"));
        assert_eq!(e.vault_suffix, None, "it may have no vaults");
        let mut with_vaults = endpoints.clone();
        with_vaults["vault"] = json!("vault.local.example");
        let e = read(json!({"environment": "Stack-1", "endpoints": with_vaults}), &[]).unwrap();
        assert_eq!(
            (e.vault_suffix.as_deref(), e.vault_scope.as_str()),
            (Some("vault.local.example"), "https://vault.local.example/.default")
        );
        let e = read(json!({"environment": "Stack", "endpoints": {"graph": "https://x.example"}}), &[]).unwrap_err();
        assert_eq!(
            e.message,
            "`connections.p.environment`: unknown cloud `Stack`; there are public, usgovernment and china, and a cloud of your own \
             needs `endpoints` with resource_manager, authority, storage"
        );
        let e = read(json!({}), &[("AZURE_ENVIRONMENT", "germany")]).unwrap_err();
        assert!(e.message.starts_with("AZURE_ENVIRONMENT: unknown cloud `germany`"), "{e}");
    }

    #[test]
    fn bad_endpoints_are_refused_by_name() {
        let one = |field: &str, value: &str| json!({"endpoints": {field: value}});
        for (config, variables, message) in [
            (
                one("resource_manager", "http://arm.example"),
                &[][..],
                "`connections.p.endpoints.resource_manager`: `http://arm.example` must begin with https://: plain http is for this machine only",
            ),
            (
                one("authority", "http://localhost.example"),
                &[],
                "`connections.p.endpoints.authority`: `http://localhost.example` must begin",
            ),
            (one("graph", "ftp://127.0.0.1"), &[], "`connections.p.endpoints.graph`: `ftp://127.0.0.1` must begin with https://"),
            (one("graph", "https://u:pass@h.example"), &[], "`connections.p.endpoints.graph` must not hold a user name or password"),
            (one("graph", "https://h.example/v1.0"), &[], "must be scheme, host and port only"),
            (one("graph", "https://h.example?x=1"), &[], "must be scheme, host and port only"),
            (one("graph", "https://"), &[], "is no URL"),
            (one("graph", ""), &[], "is no URL"),
            (
                one("storage", "https://core.windows.net"),
                &[],
                "`connections.p.endpoints.storage`: `https://core.windows.net` is no end of a host name",
            ),
            (one("storage", "net"), &[], "is a single label"),
            (one("storage", "a..b"), &[], "is no end of a host name"),
            (one("storage", "a.b:70000"), &[], "has no valid port"),
            (one("vault", "net"), &[], "`connections.p.endpoints.vault`: `net` is a single label"),
            (one("vault", "https://v.vault.azure.net"), &[], "is no end of a host name, such as vault.azure.net"),
            (one("audience", "me"), &[], "`connections.p.endpoints.audience`: `me` is no audience"),
            (one("audience", "https://x y"), &[], "is no audience"),
            (json!({}), &[("AZURE_AUTHORITY_HOST", "http://login.example")], "AZURE_AUTHORITY_HOST: `http://login.example` must begin"),
            (json!({}), &[("AZURE_RESOURCE_MANAGER_ENDPOINT", "http://10.0.0.1")], "AZURE_RESOURCE_MANAGER_ENDPOINT: "),
            (json!({}), &[("AZURE_GRAPH_ENDPOINT", "http://127.0.0.1.example")], "AZURE_GRAPH_ENDPOINT: "),
            (json!({}), &[("AZURE_STORAGE_SUFFIX", "com")], "AZURE_STORAGE_SUFFIX: `com` is a single label"),
        ] {
            let e = read(config.clone(), variables).expect_err(&config.to_string());
            assert_eq!(e.kind, crate::ErrorKind::Invalid);
            assert!(e.message.contains(message), "{config}: {e}");
            assert!(!e.message.contains("pass@"), "{e}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (url, expected) in [
            ("http://127.0.0.1:80", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("http://LOCALHOST:1", true),
            ("http://acct.blob.localhost:1", true),
            ("http://notlocalhost", false),
            ("http://localhost.example", false),
            ("http://127.0.0.1.example", false),
            ("http://0.0.0.0", false),
            ("http://169.254.169.254", false),
            ("http://[fe80::1]", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
