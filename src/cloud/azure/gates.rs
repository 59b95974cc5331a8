//! Which published buckets a call draws on: the Resource Manager's per principal and subscription (or tenant), the provider's own on top.
//! Rates of the configuration win. What the answers' headers say about a bucket is for the limiter.

use super::allow::{RESOURCE_GRAPH, provider};
use crate::limiter::{Limit, Rate};
use crate::limits::Limits;
use crate::published;
use reqwest::Url;
use serde_json::Value;

/// The gates of a call, the narrowest first. `configured`: the connection's `limits`.
pub(crate) fn of(connection: &str, api: &str, operation: &str, input: &Value, configured: Option<&Limits>) -> Vec<(String, Limit)> {
    let limit = |name: &str, rate: Option<Rate>| {
        let own = configured.map(|l| l.of(name)).unwrap_or_default();
        Limit { rate: own.rate.or(rate), ..own }
    };
    let address = input.get("next").or_else(|| input.get("path")).and_then(Value::as_str).unwrap_or_default();
    let absolute = Url::parse(address).ok();
    if api != "arm" {
        let host = absolute.as_ref().filter(|_| super::is_storage(api)).and_then(Url::host_str).unwrap_or_default();
        return vec![([connection, host, api].join("\t"), limit(api, None))];
    }
    let path = absolute.as_ref().map_or(address, Url::path).to_ascii_lowercase();
    let scope = path.strip_prefix("/subscriptions/").and_then(|rest| rest.split('/').next()).unwrap_or("tenant");
    let post = operation.starts_with("POST ");
    let query = operation.eq_ignore_ascii_case(RESOURCE_GRAPH);
    let class = if post && !query { "writes" } else { "reads" };
    let mut gates = Vec::new();
    if let Some(provider) = provider(&path) {
        let own = published::of_path(provider, &path).filter(|_| !post || query);
        let (class, rate) = own.map_or(("", None), |(class, rate)| (class, Some(rate)));
        gates.push(([connection, scope, provider, class].join("\t"), limit(provider, rate)));
    }
    let manager = published::find(api, class, input).map(|(_, published)| published.rate);
    gates.push(([connection, scope, class].join("\t"), limit(api, manager)));
    gates
}

/// Where a call leads, for what is known of endpoints where nothing answers.
pub(crate) fn lane(connection: &str, api: &str, input: &Value) -> String {
    let host = match super::is_storage(api) {
        true => input.get("path").and_then(Value::as_str).and_then(|p| Url::parse(p).ok()).and_then(|u| u.host_str().map(str::to_owned)),
        false => None,
    };
    [connection, api, host.as_deref().unwrap_or_default()].join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gates(api: &str, operation: &str, path: &str, configured: Option<&Limits>) -> Vec<String> {
        let member = if path.contains("$skip") { "next" } else { "path" };
        let gates = of("prod", api, operation, &json!({ member: path }), configured);
        let shown = |(name, limit): &(String, Limit)| {
            let rate = limit.rate.map_or_else(|| "free".to_owned(), |r| format!("{}/{:.2}", r.burst, r.per_second));
            format!("{} {rate} {}", name.replace('\t', "|"), limit.in_flight)
        };
        gates.iter().map(shown).collect()
    }

    #[test]
    fn calls_draw_on_the_published_buckets() {
        let sub = "/subscriptions/11/resourceGroups/G/providers/Microsoft.Storage/storageAccounts";
        for (api, path, expected) in [
            ("arm", "/subscriptions", vec!["prod|tenant|reads 250/25.00 32"]),
            ("arm", "/subscriptions/AB/resourcegroups", vec!["prod|ab|reads 250/25.00 32"]),
            (
                "arm",
                "/subscriptions/11/providers/Microsoft.Storage/storageAccounts",
                vec!["prod|11|microsoft.storage|list 100/0.33 32", "prod|11|reads 250/25.00 32"],
            ),
            (
                "arm",
                "https://management.example/subscriptions/11/providers/microsoft.storage/storageaccounts?$skiptoken=x",
                vec!["prod|11|microsoft.storage|list 100/0.33 32", "prod|11|reads 250/25.00 32"],
            ),
            ("arm", sub, vec!["prod|11|microsoft.storage|list 100/0.33 32", "prod|11|reads 250/25.00 32"]),
            (
                "arm",
                &format!("{sub}/a/blobServices/default/containers"),
                vec!["prod|11|microsoft.storage|read 800/2.67 32", "prod|11|reads 250/25.00 32"],
            ),
            (
                "arm",
                &format!("{sub}/a/providers/Microsoft.Insights/diagnosticSettings"),
                vec!["prod|11|microsoft.insights| free 32", "prod|11|reads 250/25.00 32"],
            ),
            ("graph", "/v1.0/users", vec!["prod||graph free 32"]),
            ("queue", "https://a.queue.core.example/?comp=properties", vec!["prod|a.queue.core.example|queue free 32"]),
        ] {
            assert_eq!(gates(api, "GET x", path, None), expected, "{path}");
        }
        let keys = gates("arm", "POST /x/listKeys", &format!("{sub}/a/listKeys"), None);
        assert_eq!(keys, ["prod|11|microsoft.storage| free 32", "prod|11|writes 200/10.00 32"]);
        let graph = gates("arm", RESOURCE_GRAPH, "/providers/Microsoft.ResourceGraph/resources", None);
        assert_eq!(graph, ["prod|tenant|microsoft.resourcegraph|queries 1/3.00 32", "prod|tenant|reads 250/25.00 32"]);
    }

    #[test]
    fn the_configuration_wins() {
        let limits = json!({"arm": {"rate": 5, "burst": 7}, "Microsoft.Storage": {"rate": 50, "max_in_flight": 3}, "max_in_flight": 9});
        let limits = Limits::read("prod", true, &limits).unwrap();
        let storage = gates("arm", "GET x", "/subscriptions/11/providers/Microsoft.Storage/storageAccounts", Some(&limits));
        assert_eq!(storage, ["prod|11|microsoft.storage|list 50/50.00 3", "prod|11|reads 7/5.00 9"]);
        assert_eq!(gates("graph", "GET x", "/v1.0/users", Some(&limits)), ["prod||graph free 9"]);
    }
}
