//! How Azure's answers continue: by a link, by the Resource Graph's token in a repeated query, or by the storage data plane's marker.

use super::allow::RESOURCE_GRAPH;
use crate::{CloudError, ErrorKind};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Rows per page of the Resource Graph, which gives 100 if nobody says more. Source: Resource Graph REST API, `$top`.
const LARGEST_QUERY_PAGE: u32 = 1000;

/// Where the next page's address or token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// `nextLink`, or Graph's `@odata.nextLink`: an absolute address that is followed as it is.
    Link,
    /// `$skipToken`, to be sent along with the same query.
    SkipToken,
    /// `NextMarker` of the storage data plane, to be sent as `marker`.
    Marker,
}

/// How an operation pages.
pub(crate) fn of(api: &str, operation: &str) -> Paging {
    match api {
        "arm" if operation.eq_ignore_ascii_case(RESOURCE_GRAPH) => Paging::SkipToken,
        "arm" | "graph" => Paging::Link,
        _ => Paging::Marker,
    }
}

/// The first page's input, with the size of a page where that saves calls.
pub(crate) fn first_input(paging: Paging, mut input: Value, wanted: Option<u32>) -> Value {
    if paging == Paging::SkipToken {
        let size = wanted.unwrap_or(LARGEST_QUERY_PAGE).clamp(1, LARGEST_QUERY_PAGE);
        if let Some(options) = options(&mut input) {
            options.entry("$top").or_insert(size.into());
        }
    }
    input
}

/// `body.options` of a query, made if it is not there.
fn options(input: &mut Value) -> Option<&mut Map<String, Value>> {
    let body = input.get_mut("body")?.as_object_mut()?;
    body.entry("options").or_insert_with(|| json!({})).as_object_mut()
}

/// The input for the page after `page`; `None` if that was the last. A link or token that came before would go in circles.
pub(crate) fn next_input(paging: Paging, mut input: Value, page: &Value, seen: &mut HashSet<String>) -> Result<Option<Value>, CloudError> {
    let bad = |message: &str| CloudError::new(ErrorKind::BadAnswer, "BadPagination", message);
    let names: &[&str] = match paging {
        Paging::Link => &["nextLink", "@odata.nextLink", "odata.nextLink"],
        Paging::SkipToken => &["$skipToken"],
        Paging::Marker => &["NextMarker"],
    };
    let found = names.iter().filter_map(|n| page.get(*n)).find(|v| !v.is_null());
    let next = match found {
        None => "",
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(bad("the link to the next page is no text")),
    };
    if next.is_empty() {
        // The flag is text where the API keeps to its own reference.
        let cut = matches!(page.get("resultTruncated"), Some(Value::Bool(true))) || page["resultTruncated"] == "true";
        return match paging == Paging::SkipToken && cut {
            true => Err(bad("the answer says that it is cut off, but gives no token for the rest: project `id` in the query")),
            false => Ok(None),
        };
    }
    if !seen.insert(next.to_owned()) {
        return Err(bad("the answer repeats the link to a page: its pages go in circles"));
    }
    match paging {
        Paging::Link => return Ok(Some(json!({ "next": next }))),
        Paging::SkipToken => {
            let options = options(&mut input).ok_or_else(|| bad("a query without a body has no further page"))?;
            options.insert("$skipToken".to_owned(), next.into());
        }
        Paging::Marker => {
            let query = input.as_object_mut().map(|i| i.entry("query").or_insert_with(|| json!({})));
            let query = query.and_then(Value::as_object_mut).ok_or_else(|| bad("the call has no query to put the marker into"))?;
            query.insert("marker".to_owned(), next.into());
        }
    }
    Ok(Some(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_in_the_apis_own_way() {
        let graph = json!({"path": "/p", "query": {"api-version": "1"}, "body": {"query": "resources"}});
        let with = |token: &str| json!({"path": "/p", "query": {"api-version": "1"}, "body": {"query": "resources", "options": {"$skipToken": token}}});
        let list = json!({"path": "https://a.blob.x/?comp=list", "query": {"api-version": "1"}});
        for (api, operation, input, page, expected) in [
            (
                "arm",
                "GET /x",
                json!({"path": "/x"}),
                json!({"value": [], "nextLink": "https://m/x?y"}),
                Some(json!({"next": "https://m/x?y"})),
            ),
            ("arm", "GET /x", json!({"path": "/x"}), json!({"value": [], "nextLink": null}), None),
            ("arm", "GET /x", json!({"path": "/x"}), json!({"value": [], "nextLink": ""}), None),
            ("arm", "GET /x", json!({"path": "/x"}), json!({"value": []}), None),
            ("arm", "GET /x", json!({"path": "/x"}), json!([1]), None),
            (
                "graph",
                "GET /x",
                json!({"next": "https://g/1"}),
                json!({"@odata.nextLink": "https://g/2"}),
                Some(json!({"next": "https://g/2"})),
            ),
            ("arm", RESOURCE_GRAPH, graph.clone(), json!({"resultTruncated": "false", "$skipToken": "a"}), Some(with("a"))),
            ("arm", RESOURCE_GRAPH, with("a"), json!({"$skipToken": "b"}), Some(with("b"))),
            ("arm", RESOURCE_GRAPH, with("a"), json!({"resultTruncated": "false"}), None),
            (
                "blob",
                "GET {}?comp=list",
                list,
                json!({"Containers": null, "NextMarker": "m"}),
                Some(json!({"path": "https://a.blob.x/?comp=list", "query": {"api-version": "1", "marker": "m"}})),
            ),
            ("blob", "GET {}?comp=list", json!({}), json!({"NextMarker": null}), None),
        ] {
            let next = next_input(of(api, operation), input, &page, &mut HashSet::new()).unwrap();
            assert_eq!(next, expected, "{operation} {page}");
        }
    }

    #[test]
    fn circles_and_quiet_ends_are_errors() {
        let mut seen = HashSet::new();
        let page = json!({"value": [], "nextLink": "https://m/x"});
        assert!(next_input(Paging::Link, json!({}), &page, &mut seen).is_ok());
        let e = next_input(Paging::Link, json!({}), &page, &mut seen).unwrap_err();
        assert!(e.kind == ErrorKind::BadAnswer && e.message.contains("circles"), "{e}");
        for (paging, page, why) in [
            (Paging::Link, json!({"nextLink": {"a": 1}}), "no text"),
            (Paging::SkipToken, json!({"resultTruncated": "true"}), "cut off"),
            (Paging::SkipToken, json!({"resultTruncated": true}), "cut off"),
        ] {
            assert!(next_input(paging, json!({}), &page, &mut HashSet::new()).unwrap_err().message.contains(why), "{page}");
        }
    }

    #[test]
    fn queries_ask_for_large_pages() {
        let query = json!({"body": {"query": "resources"}});
        assert_eq!(first_input(Paging::SkipToken, query.clone(), None)["body"]["options"]["$top"], 1000);
        assert_eq!(first_input(Paging::SkipToken, query.clone(), Some(5))["body"]["options"]["$top"], 5);
        assert_eq!(first_input(Paging::Link, query.clone(), Some(5)), query);
    }
}
