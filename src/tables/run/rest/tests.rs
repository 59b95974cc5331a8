//! Inputs of calls with a path, from a spec and a row, with values that try to be more than values.

use super::about;
use crate::run::{Ask, Facts, Row};
use crate::{Request, Table};
use serde_json::{Value, json};
use std::sync::Arc;

/// A table of things whose second call is given.
fn table(call: &str) -> Table {
    let source = format!(
        "\
table: azure_x
about: Things.
scope: subscription
rows:
  - {{ call: \"arm GET /subscriptions/{{subscription_id}}/things\", api: 2020-01-01, each: value, as: up }}
  - {call}
    each: value
columns:
  id: text <- up.id || id
"
    );
    Table::load("azure_x.yaml", &source).unwrap_or_else(|e| panic!("{e}\n{source}"))
}

fn ask(call: &str, row: Value) -> Result<Option<Ask>, String> {
    let plan = table(call).plan(&Request::default()).unwrap();
    let facts = Facts::new("c", "global").identity("AzurePublicCloud", "s-1").tenant("t-1");
    let page = Arc::new(json!({ "value": [row] }));
    let row: Row = plan.links()[0].rows(&page, None).unwrap().remove(0);
    plan.links()[1].ask(&plan.starts()[0], &facts, Some(&row))
}

#[test]
fn values_stay_values() {
    let of = |path: &str| format!("call: arm GET {path}\n    api: 2023-05-01");
    let whole = "/{id}/providers/Microsoft.Insights/diagnosticSettings";
    let id = "/subscriptions/S/resourceGroups/a (b)/providers/M.X/vaults/v";
    for (path, row, operation, want) in [
        (
            "/subscriptions/{subscription_id}/a/{name}",
            json!({"name": "n-1._~"}),
            "GET /subscriptions/{}/a/{}",
            Ok(Some("/subscriptions/s-1/a/n-1._~")),
        ),
        ("/a/{name}/b", json!({"name": "x/../y?z=1#%20 '\u{e4}"}), "GET /a/{}/b", Ok(Some("/a/x%2F..%2Fy%3Fz%3D1%23%2520%20%27%C3%A4/b"))),
        ("/a/{name}-{size}/b", json!({"name": "x", "size": 5}), "GET /a/{}-{}/b", Ok(Some("/a/x-5/b"))),
        ("/a/{split(id, '/')[-1]}", json!({"id": "/p/q"}), "GET /a/{}", Ok(Some("/a/q"))),
        ("/a/{name}", json!({"name": ".."}), "GET /a/{}", Err("path: `..` is no name")),
        ("/a/{name}", json!({"name": null}), "GET /a/{}", Ok(None)),
        ("/a/{name}", json!({"name": ""}), "GET /a/{}", Ok(None)),
        ("/a/{on && name}", json!({"name": "x", "on": false}), "GET /a/{}", Ok(None)),
        ("/a/{on && name}", json!({"name": "x", "on": true}), "GET /a/{}", Ok(Some("/a/x"))),
        ("/a/{name}", json!({"name": ["x"]}), "GET /a/{}", Err("path: a list or an object stands where one value goes")),
        (
            whole,
            json!({ "id": id }),
            "GET /{}/providers/Microsoft.Insights/diagnosticSettings",
            Ok(Some("/subscriptions/S/resourceGroups/a%20%28b%29/providers/M.X/vaults/v/providers/Microsoft.Insights/diagnosticSettings")),
        ),
        ("/{id}", json!({"id": "/a?b=c#d"}), "GET /{}", Ok(Some("/a%3Fb%3Dc%23d"))),
        ("/{id}", json!({"id": "evil.example/x"}), "GET /{}", Err("path: `evil.example/x` is no resource id")),
        ("/{id}", json!({"id": "//evil.example/x"}), "GET /{}", Err("path: `//evil.example/x` is no resource id")),
        ("/{id}", json!({"id": "/a/../b"}), "GET /{}", Err("path: `/a/../b` is no resource id")),
        ("/{id}", json!({"id": null}), "GET /{}", Ok(None)),
    ] {
        let got = ask(&of(path), row.clone());
        let paths = got.as_ref().map(|a| a.as_ref().map(|a| a.input["path"].as_str().unwrap())).map_err(String::as_str);
        assert_eq!(paths, want, "{path} {row}");
        if let Ok(Some(ask)) = got {
            assert_eq!((&*ask.service, &*ask.operation, &ask.input["query"]), ("arm", operation, &json!({"api-version": "2023-05-01"})));
        }
    }
}

#[test]
fn every_api_has_its_input() {
    let row = json!({"id": "/x", "e": "https://acct.queue.core.windows.net/", "c": "a b", "n": 5, "none": null});
    for (call, want) in [
        (
            "call: arm GET /x\n    api: 2023-05-01\n    in: { $top: n, $expand: 'a', $select: [id, c], flag: true }",
            Some(
                json!({"path": "/x", "query": {"api-version": "2023-05-01", "$top": "5", "$expand": "a", "$select": "/x,a b", "flag": "true"}}),
            ),
        ),
        ("call: arm GET /x\n    api: 2023-05-01\n    in: { $top: none }", None),
        ("call: graph GET /users/{c}", Some(json!({"path": "/v1.0/users/a%20b", "query": {}}))),
        ("call: graph GET /users\n    api: beta", Some(json!({"path": "/beta/users", "query": {}}))),
        (
            "call: queue GET {e}?restype=service&comp=properties\n    api: 2021-12-02",
            Some(
                json!({"path": "https://acct.queue.core.windows.net/", "query": {"restype": "service", "comp": "properties", "api-version": "2021-12-02"}}),
            ),
        ),
        (
            "call: blob GET {e}/{c}?restype=container\n    api: 2021-12-02",
            Some(
                json!({"path": "https://acct.queue.core.windows.net/a%20b", "query": {"restype": "container", "api-version": "2021-12-02"}}),
            ),
        ),
        (
            "call: arm POST /subscriptions/{subscription_id}/x/listKeys\n    api: 2023-05-01\n    body: { keyName: c, deep: { a: [n] } }",
            Some(
                json!({"path": "/subscriptions/s-1/x/listKeys", "query": {"api-version": "2023-05-01"}, "body": {"keyName": "a b", "deep": {"a": [5]}}}),
            ),
        ),
        ("call: arm POST /x/listKeys\n    api: 2023-05-01\n    body: { keyName: none }", None),
        (
            "call: arg \"resources | where type =~ 'microsoft.compute/disks'\"",
            Some(json!({"path": "/providers/Microsoft.ResourceGraph/resources", "query": {"api-version": "2021-03-01"},
                "body": {"query": "resources | where type =~ 'microsoft.compute/disks'", "subscriptions": ["s-1"],
                    "options": {"resultFormat": "objectArray", "$top": 1000}}})),
        ),
    ] {
        assert_eq!(ask(call, row.clone()).unwrap().map(|a| a.input), want, "{call}");
    }
    for address in ["acct.queue.core.windows.net", "file:///etc/passwd", "https://user@evil.example", "https://a/?b"] {
        let error = ask("call: queue GET {e}?comp=x\n    api: 2021-12-02", json!({ "e": address })).unwrap_err();
        assert_eq!(error, format!("path: `{address}` is no address"));
    }
}

#[test]
fn clauses_are_joined_and_quoted() {
    let call = |more: &str| {
        format!(
            "call: arm GET /x\n    api: 2015-04-01\n    filter: [\"a eq '{{name}}'\", \"b eq '{{other}}'\", \"c ge {{size}}\", d eq true]{more}"
        )
    };
    for (more, row, want) in [
        ("", json!({"name": "x", "other": "y", "size": 3}), "a eq 'x' and b eq 'y' and c ge 3 and d eq true"),
        ("", json!({"name": "x' or 'a' eq 'a", "size": 3}), "a eq 'x'' or ''a'' eq ''a' and c ge 3 and d eq true"),
        ("\n    only_one: [b, a]", json!({"name": "x", "other": "y", "size": 3}), "b eq 'y' and c ge 3 and d eq true"),
        ("\n    only_one: [b, a]", json!({"name": "x"}), "a eq 'x' and d eq true"),
        ("\n    only_one: [d]", json!({"name": "x"}), "a eq 'x' and d eq true"),
    ] {
        let ask = ask(&call(more), row.clone()).unwrap().unwrap();
        assert_eq!(ask.input["query"]["$filter"], want, "{more} {row}");
    }
}

#[test]
fn calls_are_named_for_people() {
    for (operation, path, want) in [
        (
            "GET /subscriptions/{}/resourceGroups/{}/providers/M.S/storageAccounts/{}/blobServices/default/containers",
            "/subscriptions/s/resourceGroups/rg/providers/M.S/storageAccounts/acct/blobServices/default/containers",
            "acct",
        ),
        ("GET /subscriptions/{}/providers/M.S/storageAccounts", "/subscriptions/s/providers/M.S/storageAccounts", ""),
        (
            "GET /{}/providers/M.I/diagnosticSettings",
            "/subscriptions/s/resourceGroups/rg/providers/M.K/vaults/my%20vault/providers/M.I/diagnosticSettings",
            "my vault",
        ),
        ("GET /{}", "/subscriptions/s/providers/M.K/vaults/v", "v"),
        ("GET /users/{}", "/v1.0/users/me%40x.com", "me@x.com"),
        ("GET {}?restype=service&comp=properties", "https://acct.queue.core.windows.net/", "acct"),
        ("GET {}/{}?restype=container", "https://acct.blob.core.windows.net/logs", "logs"),
        ("GET {}?comp=list", "http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
        ("POST /providers/Microsoft.ResourceGraph/resources", "/providers/Microsoft.ResourceGraph/resources", ""),
    ] {
        assert_eq!(about(operation, path), want, "{operation}");
    }
}
