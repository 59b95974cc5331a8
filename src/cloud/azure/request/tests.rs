//! Requests and refusals, on a made-up cloud.

use super::*;
use serde_json::json;

fn environment() -> Environment {
    let url = |text: &str| Url::parse(text).unwrap();
    Environment {
        name: "AzurePublicCloud".into(),
        authority: url("https://login.example"),
        resource_manager: url("https://management.example"),
        graph: url("https://graph.example/"),
        storage_suffix: "core.example".into(),
        vault_suffix: None,
        vault_scope: "v".into(),
        arm_scope: "a".into(),
        graph_scope: "g".into(),
        storage_scope: "s".into(),
    }
}

const ACCOUNTS: &str = "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts";

fn address(api: &str, operation: &str, input: &Value) -> Result<String, CloudError> {
    prepare(&environment(), api, operation, input).map(|p| p.url.to_string())
}

#[test]
fn addresses_are_path_and_query() {
    for (api, operation, input, expected) in [
        (
            "arm",
            ACCOUNTS,
            json!({"path": "/subscriptions/11/providers/Microsoft.Storage/storageAccounts", "query": {"api-version": "2023-05-01"}}),
            "https://management.example/subscriptions/11/providers/Microsoft.Storage/storageAccounts?api-version=2023-05-01",
        ),
        (
            "arm",
            "GET /subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values",
            json!({"path": "/subscriptions/11/providers/Microsoft.Insights/eventtypes/management/values",
                   "query": {"api-version": "2015-04-01", "$filter": "eventTimestamp ge '2024-01-01T00:00:00Z' and x eq 'a+b''c'",
                             "none": null, "$top": 5, "$select": ["a", "b"]}}),
            "https://management.example/subscriptions/11/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01\
             &$filter=eventTimestamp%20ge%20%272024-01-01T00%3A00%3A00Z%27%20and%20x%20eq%20%27a%2Bb%27%27c%27&$top=5&$select=a%2Cb",
        ),
        (
            "arm",
            "GET /{}/providers/Microsoft.Insights/diagnosticSettings",
            json!({"path": "/subscriptions/11/resourceGroups/My-RG(1)/providers/Microsoft.X/y/z/providers/microsoft.insights/diagnosticSettings"}),
            "https://management.example/subscriptions/11/resourceGroups/My-RG(1)/providers/Microsoft.X/y/z/providers/microsoft.insights/diagnosticSettings",
        ),
        ("graph", "GET /users/{}", json!({"path": "/v1.0/users/a%40b"}), "https://graph.example/v1.0/users/a%40b"),
        ("graph", "GET /users('{}')/x", json!({"path": "/beta/users('a%40b')/x"}), "https://graph.example/beta/users('a%40b')/x"),
        (
            "arm",
            ACCOUNTS,
            json!({"next": "https://management.example:443/whatever?$skiptoken=a%20b+c"}),
            "https://management.example/whatever?$skiptoken=a%20b+c",
        ),
        (
            "queue",
            "GET {}?restype=service&comp=properties",
            json!({"path": "https://one.queue.core.example", "version": "2021-12-02", "query": {"restype": "service", "comp": "properties"}}),
            "https://one.queue.core.example/?restype=service&comp=properties",
        ),
        (
            "queue",
            "GET {}",
            json!({"path": "https://one.queue.core.example?restype=service&comp=properties", "query": {"api-version": "1"}}),
            "https://one.queue.core.example/?restype=service&comp=properties",
        ),
        (
            "blob",
            "GET {}/{}",
            json!({"path": "https://one.blob.core.example/box", "query": {"api-version": "1", "restype": "container", "comp": "acl"}}),
            "https://one.blob.core.example/box?restype=container&comp=acl",
        ),
    ] {
        assert_eq!(address(api, operation, &input).unwrap(), expected);
    }
}

#[test]
fn what_is_sent_along() {
    let query =
        json!({"path": "/providers/Microsoft.ResourceGraph/resources", "query": {"api-version": "1"}, "body": {"query": "resources"}});
    let p = prepare(&environment(), "arm", allow::RESOURCE_GRAPH, &query).unwrap();
    assert_eq!((p.method, p.body.as_deref(), p.audience), (Method::POST, Some(r#"{"query":"resources"}"#), Audience::ResourceManager));
    let keys = "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys";
    let path = json!({"path": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/listKeys"});
    assert_eq!(prepare(&environment(), "arm", keys, &path).unwrap().body.as_deref(), Some(""));
    let service =
        json!({"path": "https://one.queue.core.example/?comp=properties&restype=service", "query": {"api-version": "2021-12-02"}});
    let p = prepare(&environment(), "queue", "GET {}", &service).unwrap();
    assert_eq!((p.version.as_deref(), p.audience), (Some("2021-12-02"), Audience::Storage));
}

#[test]
fn addresses_that_are_not_the_operations_are_refused() {
    for (path, why) in [
        ("subscriptions/11/providers/Microsoft.Storage/storageAccounts", "begin with a slash"),
        ("/subscriptions/11/providers/Microsoft.Storage/storageAccounts/", "empty segment"),
        ("/subscriptions//providers/Microsoft.Storage/storageAccounts", "empty segment"),
        ("/subscriptions/../providers/Microsoft.Storage/storageAccounts", "more than a name"),
        ("/subscriptions/%2e%2E/providers/Microsoft.Storage/storageAccounts", "more than a name"),
        ("/subscriptions/%252e%252e/providers/Microsoft.Storage/storageAccounts", "more than a name"),
        ("/subscriptions/a%2Fb/providers/Microsoft.Storage/storageAccounts", "more than a name"),
        ("/subscriptions/a%5cb/providers/Microsoft.Storage/storageAccounts", "more than a name"),
        ("/subscriptions/a\\b/providers/Microsoft.Storage/storageAccounts", "no path holds"),
        ("/subscriptions/11?x=/providers/Microsoft.Storage/storageAccounts", "no path holds"),
        ("/subscriptions/11#/providers/Microsoft.Storage/storageAccounts", "no path holds"),
        ("/subscriptions/1 1/providers/Microsoft.Storage/storageAccounts", "no path holds"),
        ("/subscriptions/%ff/providers/Microsoft.Storage/storageAccounts", "not UTF-8"),
        ("/subscriptions/11/providers/Microsoft.Storage/storageAccounts/x", "more or fewer segments"),
        ("/subscriptions/11/providers/Microsoft.Compute/storageAccounts", "not one of the operation's"),
        ("//evil.example/providers/Microsoft.Storage/storageAccounts", "empty segment"),
    ] {
        let e = address("arm", ACCOUNTS, &json!({"path": path})).unwrap_err();
        assert!(e.kind == ErrorKind::Invalid && e.message.contains(why), "{path}: {e}");
    }
    for path in ["/providers/Microsoft.Insights/diagnosticSettings", "/a/b/providers/Microsoft.Insights/diagnosticSettings"] {
        let e = address("arm", "GET /{}/providers/Microsoft.Insights/diagnosticSettings", &json!({"path": path})).unwrap_err();
        assert!(e.message.contains("resource id") || e.message.contains("shorter"), "{path}: {e}");
    }
    let hidden = json!({"path": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Network/connections/c/sharedkey"});
    assert!(address("arm", "GET /{}/sharedkey", &hidden).unwrap_err().message.contains("is a secret"));
    for (input, why) in [
        (json!({}), "no `path`"),
        (json!({"path": "/subscriptions/1/providers/Microsoft.Storage/storageAccounts", "query": 3}), "`query` must be"),
        (json!({"path": "/subscriptions/1/providers/Microsoft.Storage/storageAccounts", "query": {"a": {}}}), "parameter `a`"),
        (json!({"path": "/subscriptions/1/providers/Microsoft.Storage/storageAccounts", "body": {}}), "only a POST"),
    ] {
        assert!(address("arm", ACCOUNTS, &input).unwrap_err().message.contains(why), "{input}");
    }
    assert!(address("arm", "PUT /subscriptions/{}", &json!({"path": "/subscriptions/1"})).is_err());
}

#[test]
fn no_token_goes_to_another_host() {
    for next in [
        "https://evil.example/subscriptions?$skiptoken=a",
        "http://management.example/subscriptions",
        "https://management.example:8443/x",
        "https://management.example@evil.example/x",
        "https://user@management.example/x",
        "https://management.example.evil.example/x",
    ] {
        let e = address("arm", ACCOUNTS, &json!({"next": next})).unwrap_err();
        assert_eq!((e.kind, e.code.as_str()), (ErrorKind::BadAnswer, "ForeignNextLink"), "{next}");
    }
    for next in [json!("/subscriptions?x"), json!(3)] {
        assert_eq!(address("arm", ACCOUNTS, &json!({"next": next})).unwrap_err().code, "BadPagination");
    }
    for (path, why) in [
        ("https://one.queue.core.example.evil/?comp=properties", "not under core.example"),
        ("https://onecore.example/?comp=properties", "not under core.example"),
        ("https://.core.example/?comp=properties", "storage"),
        ("https://one.queue.core.example:444/?comp=properties", "not under core.example"),
        ("http://one.queue.core.example/?comp=properties", "not https"),
        ("https://u:p@one.queue.core.example/?comp=properties", "must not have"),
        ("https://one.queue.core.example/q/messages?comp=properties", "not the operation's"),
        ("https://one.queue.core.example/?comp=userdelegationkey", "never its data"),
        ("https://one.queue.core.example/", "never its data"),
        ("https://one.queue.core.example/?comp=list&Comp=blocklist", "never its data"),
        ("one.queue.core.example", "is none"),
    ] {
        let e = address("queue", "GET {}", &json!({"path": path, "query": {"api-version": "1"}})).unwrap_err();
        assert!(e.message.contains(why), "{path}: {e}");
    }
    assert!(
        address("queue", "GET {}", &json!({"path": "https://one.queue.core.example/?comp=list"})).unwrap_err().message.contains("`api`")
    );
}

#[test]
fn emulators_are_named_with_their_port_and_may_hold_the_account_in_the_path() {
    for (suffix, path, fine) in [
        ("127.0.0.1:10001", "http://127.0.0.1:10001/devstore?comp=properties", true),
        ("127.0.0.1:10001", "http://127.0.0.1:10001/devstore/q?comp=properties", false),
        ("127.0.0.1:10001", "http://127.0.0.1:10001/devstore/queue?comp=properties", true),
        ("127.0.0.1:10001", "http://127.0.0.1:10001/devstore/queue/q?comp=properties", false),
        ("core.example", "https://one.queue.core.example/one/queue?comp=properties", false),
        ("127.0.0.1:10001", "http://127.0.0.1:10002/devstore?comp=properties", false),
        ("localhost:9", "http://one.queue.localhost:9/?comp=properties", true),
        ("emulator.example:9", "http://one.emulator.example:9/?comp=properties", false),
        ("emulator.example:9", "https://one.emulator.example:9/?comp=properties", true),
    ] {
        let environment = Environment { storage_suffix: suffix.into(), ..environment() };
        let input = json!({"path": path, "query": {"api-version": "1"}});
        assert_eq!(prepare(&environment, "queue", "GET {}", &input).is_ok(), fine, "{suffix} {path}");
    }
}
