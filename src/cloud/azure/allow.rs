//! What may be asked of Azure: GETs that hand out no secret and change nothing, and two POSTs by name. The same rules judge the operation
//! of a spec, with `{}` for what varies, and the address that is really asked for.

/// The Resource Graph's one operation: a query language without writes.
pub(crate) const RESOURCE_GRAPH: &str = "POST /providers/Microsoft.ResourceGraph/resources";

/// Hands out the keys of a storage account; for the one column that was asked for by name.
const LIST_KEYS: &str = "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys";

/// GETs of the Resource Manager that hand out secrets: provider, and the end of the path (`{}` is any segment).
/// Source: the providers' REST references.
const SECRET_ENDS: &[(&str, &[&str])] = &[
    ("microsoft.apimanagement", &["tenant/{}", "tenant/{}/git", "properties/{}", "properties", "namedvalues", "namedvalues/{}"]),
    ("microsoft.appconfiguration", &["keyvalues", "keyvalues/{}"]),
    ("microsoft.containerservice", &["accessprofiles/{}"]),
    ("microsoft.documentdb", &["readonlykeys", "listkeys"]),
    ("microsoft.hdinsight", &["configurations", "configurations/{}"]),
    ("microsoft.network", &["sharedkey", "sharedkeys", "sharedkeys/{}"]),
    ("microsoft.search", &["listquerykeys"]),
    ("microsoft.web", &["functions/admin/token", "processes/{}/dump", "sourcecontrols", "sourcecontrols/{}", "publishingcredentials"]),
];

/// Segments of paths in Microsoft Graph behind which passwords, keys or people's own data lie.
const GRAPH_SECRETS: &[&str] = &["recoverykeys", "devicelocalcredentials", "secrets", "$value", "content", "messages", "mailfolders"];

/// What `comp` may be on the storage data plane: settings and names, never data. Getting a queue's messages takes them away.
const STORAGE_COMPONENTS: &[&str] = &["acl", "list", "metadata", "properties", "stats"];

/// What an operation is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Read,
    /// Allowed, but the whole answer is a secret.
    SecretAnswer,
    HandsOutSecrets,
    Writes,
    /// Not an operation at all.
    Malformed,
}

/// The class of an operation: method, blank, path with `{}` for what varies.
pub(crate) fn class(api: &str, operation: &str) -> Class {
    let Some((method, path)) = operation.split_once(' ') else { return Class::Malformed };
    if !super::is_api(api) || path.contains(char::is_whitespace) {
        return Class::Malformed;
    }
    match method {
        "GET" if super::is_storage(api) => match storage_component(path) {
            _ if !path.starts_with("{}") => Class::Malformed,
            Some(component) if !STORAGE_COMPONENTS.contains(&component) => Class::HandsOutSecrets,
            _ => Class::Read,
        },
        "GET" if !path.starts_with('/') || path.contains(['?', '#']) => Class::Malformed,
        "GET" if hands_out_secrets(api, path) => Class::HandsOutSecrets,
        "GET" => Class::Read,
        "POST" if api == "arm" && operation.eq_ignore_ascii_case(RESOURCE_GRAPH) => Class::Read,
        "POST" if api == "arm" && operation.eq_ignore_ascii_case(LIST_KEYS) => Class::SecretAnswer,
        _ => Class::Writes,
    }
}

fn storage_component(path: &str) -> Option<&str> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("comp="))
}

/// Is this component of a storage account's address about settings and names only?
pub(crate) fn is_storage_component(component: &str) -> bool {
    STORAGE_COMPONENTS.contains(&component)
}

/// Would the answer to a GET of this path be a secret?
pub(crate) fn hands_out_secrets(api: &str, path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if api == "graph" {
        return segments.iter().any(|s| GRAPH_SECRETS.contains(s));
    }
    let last = segments.last().copied().unwrap_or_default();
    // `listKeys`, `listSecrets`, `listCredentials` … are POSTs; the few that once were GETs are refused with them.
    if last.starts_with("list") && ["key", "secret", "credential", "connectionstring"].iter().any(|w| last.contains(w)) {
        return true;
    }
    let Some(provider) = provider(&path) else { return false };
    let ends_as = |end: &str| {
        let wanted: Vec<&str> = end.split('/').collect();
        let from = segments.len().saturating_sub(wanted.len());
        segments.len() >= wanted.len() && segments[from..].iter().zip(&wanted).all(|(s, w)| *w == "{}" || s == w)
    };
    SECRET_ENDS.iter().filter(|(name, _)| *name == provider).any(|(_, ends)| ends.iter().any(|end| ends_as(end)))
}

/// The namespace of the provider that answers a path: the last one in it. The path is in lower case.
pub(crate) fn provider(path: &str) -> Option<&str> {
    let mut segments = path.split('/');
    let mut found = None;
    while let Some(segment) = segments.next() {
        if segment == "providers" {
            found = segments.next().filter(|s| !s.is_empty()).or(found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_classed() {
        use Class::*;
        let sub = "/subscriptions/{}/resourceGroups/{}/providers";
        for (api, operation, expected) in [
            ("arm", "GET /subscriptions".to_owned(), Read),
            ("arm", "GET /{}/providers/Microsoft.Insights/diagnosticSettings".into(), Read),
            ("arm", format!("GET {sub}/Microsoft.Storage/storageAccounts/{{}}"), Read),
            ("arm", format!("GET {sub}/Microsoft.KeyVault/vaults/{{}}/secrets"), Read),
            ("arm", format!("GET {sub}/Microsoft.ApiManagement/service/{{}}"), Read),
            ("arm", RESOURCE_GRAPH.into(), Read),
            ("arm", LIST_KEYS.into(), SecretAnswer),
            ("arm", LIST_KEYS.to_ascii_lowercase().replace("post", "POST"), SecretAnswer),
            ("arm", "POST /{}/listKeys".into(), Writes),
            ("arm", format!("POST {sub}/Microsoft.Batch/batchAccounts/{{}}/listKeys"), Writes),
            ("arm", format!("POST {sub}/Microsoft.Storage/storageAccounts/{{}}/regenerateKey"), Writes),
            ("arm", "PUT /subscriptions/{}".into(), Writes),
            ("arm", "DELETE /{}".into(), Writes),
            ("arm", "get /subscriptions".into(), Writes),
            ("arm", "GET subscriptions".into(), Malformed),
            ("arm", "GET /subscriptions?api-version=1".into(), Malformed),
            ("arm", "GET /a b".into(), Malformed),
            ("arm", "ListThings".into(), Malformed),
            ("vault", "GET /secrets/{}".into(), Malformed),
            ("arm", format!("GET {sub}/Microsoft.Network/connections/{{}}/sharedKey"), HandsOutSecrets),
            ("arm", format!("GET {sub}/Microsoft.DocumentDB/databaseAccounts/{{}}/readonlykeys"), HandsOutSecrets),
            ("arm", format!("GET {sub}/Microsoft.Web/sites/{{}}/functions/admin/token"), HandsOutSecrets),
            ("arm", format!("GET {sub}/Microsoft.HDInsight/clusters/{{}}/configurations/{{}}"), HandsOutSecrets),
            ("arm", format!("GET {sub}/Microsoft.Search/searchServices/{{}}/listQueryKeys"), HandsOutSecrets),
            ("arm", "GET /{}/sharedkey".into(), Read), // judged again when the address is known
            ("graph", "GET /v1.0/users".into(), Read),
            ("graph", "POST /v1.0/users".into(), Writes),
            ("graph", "GET /v1.0/informationProtection/bitlocker/recoveryKeys/{}".into(), HandsOutSecrets),
            ("graph", "GET /v1.0/directory/deviceLocalCredentials/{}".into(), HandsOutSecrets),
            ("queue", "GET {}?restype=service&comp=properties".into(), Read),
            ("queue", "GET {}/{}/messages?comp=peek".into(), HandsOutSecrets),
            ("blob", "GET {}/{}?restype=container&comp=acl".into(), Read),
            ("blob", "GET https://evil/?comp=list".into(), Malformed),
            ("blob", "PUT {}?comp=properties".into(), Writes),
        ] {
            assert_eq!(class(api, &operation), expected, "{api} {operation}");
        }
    }

    #[test]
    fn secrets_are_known_by_the_real_address_too() {
        for (path, secret) in [
            ("/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/connections/c/SharedKey", true),
            ("/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/connections/sharedkey/x", false),
            ("/subscriptions/1/providers/Microsoft.Network/virtualNetworks", false),
            ("/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites/s/instances/i/processes/7/dump", true),
            ("/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/listkeys", true),
        ] {
            assert_eq!(hands_out_secrets("arm", path), secret, "{path}");
        }
        assert_eq!(provider("/subscriptions/1/providers/microsoft.storage/x/y/providers/microsoft.insights/z"), Some("microsoft.insights"));
        assert_eq!(provider("/subscriptions/1"), None);
        assert_eq!(provider("/providers"), None);
    }
}
