//! Pages: which members carry the tokens, and a stream that asks for one page each time it is polled for one. Refuses to go in circles,
//! and to end quietly where the answer says that there is more.

use crate::aws::model::{self, Paginator};
use crate::azure;
use crate::cache::Outcome;
use crate::{CloudError, ErrorKind};
use futures::Stream;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Page sizes worth asking for, where the default is small: service, limit member, largest value. Source: IAM API Reference, "MaxItems".
const LARGEST_PAGES: &[(&str, &str, u32)] = &[("iam", "MaxItems", 1000)];

/// Token members of operations that page without an entry in the SDK's paginators: request member, answer members.
const TOKENS: &[(&str, &[&str])] = &[
    ("NextToken", &["NextToken", "nextToken"]),
    ("nextToken", &["nextToken", "NextToken"]),
    ("NextPageToken", &["NextPageToken"]),
    ("nextPageToken", &["nextPageToken"]),
    ("PageToken", &["NextPageToken", "PageToken"]),
    ("pageToken", &["nextPageToken", "pageToken"]),
    ("ContinuationToken", &["NextContinuationToken", "ContinuationToken"]),
    ("PaginationToken", &["PaginationToken"]),
    ("paginationToken", &["paginationToken"]),
    ("Marker", &["NextMarker", "Marker"]),
    ("marker", &["nextMarker", "marker"]),
    ("NextMarker", &["NextMarker"]),
];

/// Members that limit a page, for operations without an entry in the paginators.
const LIMITS: &[&str] = &["MaxResults", "maxResults", "MaxItems", "maxItems", "Limit", "limit", "PageSize", "pageSize"];

/// Members that say there is more, for the same.
const MORE: &[&str] = &["IsTruncated", "isTruncated", "Truncated"];

/// How the pages of one call hang together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Paging {
    /// By members of input and answer.
    Members(Paginator),
    Azure(azure::paging::Paging),
}

/// How an operation pages; `None` if it has one page.
pub(crate) fn of(service: &str, operation: &str) -> Option<Paging> {
    match azure::is_api(service) {
        true => Some(Paging::Azure(azure::paging::of(service, operation))),
        false => paging(service, operation).map(Paging::Members),
    }
}

/// The first page's input: with the size of a page, where one is wanted or saves calls.
pub(crate) fn first_input(paging: Option<&Paging>, service: &str, operation: &str, input: Value, page_size: Option<u32>) -> Value {
    match paging {
        Some(Paging::Members(p)) => with_limit(input, page_limit(service, operation, p, page_size)),
        Some(Paging::Azure(p)) => azure::paging::first_input(*p, input, page_size),
        None => input,
    }
}

/// How an operation of AWS pages: its entry in the SDK's paginators, else what its shapes show; `None` if it has one page.
fn paging(service: &str, operation: &str) -> Option<Paginator> {
    model::paginator(service, operation).filter(|p| !p.input_tokens.is_empty()).or_else(|| from_shapes(service, operation))
}

/// Tokens stand in the answer itself, or (CloudFront) in the one structure that is the answer; Route 53 gives the next page's first
/// item, in members of the same names as in the request.
fn from_shapes(service: &str, operation: &str) -> Option<Paginator> {
    let (input, output) = model::operation_shapes(service, operation)?;
    let input = members(service, &input?)?;
    let output = members(service, &output?)?;
    let first = |names: &[&str], of: &Map<String, Value>| names.iter().find(|n| of.contains_key(**n)).map(|n| (*n).to_owned());
    let pair = |of: &Map<String, Value>| {
        TOKENS
            .iter()
            .filter(|(token, _)| input.contains_key(*token))
            .find_map(|(token, next)| Some(((*token).to_owned(), first(next, of)?)))
    };
    let paginator = |tokens: Vec<(String, String)>, more_results| {
        let (input_tokens, output_tokens) = tokens.into_iter().unzip();
        Paginator { input_tokens, output_tokens, more_results, limit_key: first(LIMITS, input), result_keys: Vec::new() }
    };
    if let Some(tokens) = pair(output) {
        return Some(paginator(vec![tokens], first(MORE, output)));
    }
    let inside = output.iter().find_map(|(name, member)| {
        let inner = members(service, member.get("shape")?.as_str()?)?;
        let (token, next) = pair(inner)?;
        let within = |m: String| format!("{name}.{m}");
        Some(paginator(vec![(token, within(next))], first(MORE, inner).map(within)))
    });
    let same_names = || {
        let same = input.keys().filter(|n| n.ends_with("Marker") && output.contains_key(*n)).map(|n| (n.clone(), n.clone()));
        let tokens: Vec<(String, String)> = same.collect();
        let more = first(MORE, output)?;
        (!tokens.is_empty()).then(|| paginator(tokens, Some(more)))
    };
    inside.or_else(same_names)
}

/// Members of a structure.
fn members(service: &str, shape: &str) -> Option<&'static Map<String, Value>> {
    model::shape(service, shape)?.get("members")?.as_object()
}

/// The request member for the size of a page and its value, if one is to be sent.
fn page_limit(service: &str, operation: &str, paging: &Paginator, wanted: Option<u32>) -> Option<(String, Value)> {
    let member = paging.limit_key.as_ref()?;
    if let Some((.., largest)) = LARGEST_PAGES.iter().find(|(s, m, _)| *s == service && m == member) {
        return Some((member.clone(), wanted.unwrap_or(*largest).clamp(1, *largest).into()));
    }
    let wanted = wanted?;
    // Route 53 and a few others take the number as text.
    let text = model::operation_shapes(service, operation).and_then(|(input, _)| {
        let target = members(service, &input?)?.get(member)?.get("shape")?.as_str()?;
        Some(model::shape(service, target)?.get("type")? == "string")
    });
    Some((member.clone(), if text == Some(true) { wanted.to_string().into() } else { wanted.into() }))
}

/// The input with the size of a page, unless it names one itself.
fn with_limit(input: Value, limit: Option<(String, Value)>) -> Value {
    let Some((member, size)) = limit else { return input };
    let mut members = match input {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.entry(member).or_insert(size);
    Value::Object(members)
}

/// The pages of one call. `ask` makes the call with the given input; nothing is asked before the first poll, and no page before it is
/// polled for. Ends after the first error.
pub(crate) fn follow<A, F>(paging: Option<Paging>, input: Value, ask: A) -> impl Stream<Item = Outcome> + Send
where
    A: Fn(Value) -> F + Send,
    F: Future<Output = Outcome> + Send,
{
    follow_to_end(paging, input, ask, || {})
}

/// The same; `end` is told when the last page is there, before it is handed on.
pub(crate) fn follow_to_end<A, F, E>(paging: Option<Paging>, input: Value, ask: A, end: E) -> impl Stream<Item = Outcome> + Send
where
    A: Fn(Value) -> F + Send,
    F: Future<Output = Outcome> + Send,
    E: Fn() + Send,
{
    struct At<A, E> {
        paging: Option<Paging>,
        input: Option<Value>,
        seen: HashSet<String>,
        ask: A,
        end: E,
    }
    let start = At { paging, input: Some(input), seen: HashSet::new(), ask, end };
    futures::stream::unfold(start, |mut at| async move {
        let input = at.input.take()?;
        let outcome = (at.ask)(input.clone()).await;
        let page = match outcome {
            Ok(page) => page,
            Err(e) => return Some((Err(e), at)),
        };
        match next(at.paging.as_ref(), input, &page, &mut at.seen) {
            Ok(None) => (at.end)(),
            Ok(next) => at.input = next,
            Err(e) => return Some((Err(e), at)),
        }
        Some((Ok(page), at))
    })
}

fn next(paging: Option<&Paging>, input: Value, page: &Value, seen: &mut HashSet<String>) -> Result<Option<Value>, CloudError> {
    match paging {
        None => Ok(None),
        Some(Paging::Members(paging)) => next_input(paging, input, page, seen),
        Some(Paging::Azure(paging)) => azure::paging::next_input(*paging, input, page, seen),
    }
}

/// What each of these pages was asked with.
pub(crate) fn inputs(paging: Option<&Paging>, input: &Value, pages: &[std::sync::Arc<Value>]) -> Vec<Value> {
    let mut seen = HashSet::new();
    let mut inputs = Vec::with_capacity(pages.len());
    let mut at = Some(input.clone());
    for page in pages {
        let Some(input) = at.take() else { break };
        inputs.push(input.clone());
        at = next(paging, input, page, &mut seen).ok().flatten();
    }
    inputs
}

/// Is this answer all there is?
pub(crate) fn is_whole(service: &str, operation: &str, input: &Value, page: &Value) -> bool {
    matches!(next(of(service, operation).as_ref(), input.clone(), page, &mut HashSet::new()), Ok(None))
}

/// The input for the page after `page`; `None` if that was the last.
fn next_input(paging: &Paginator, input: Value, page: &Value, seen: &mut HashSet<String>) -> Result<Option<Value>, CloudError> {
    let more = paging.more_results.as_ref().map(|m| truthy(&evaluate(page, m)));
    if more == Some(false) {
        return Ok(None);
    }
    let tokens: Vec<Value> = paging.output_tokens.iter().map(|t| evaluate(page, t)).collect();
    if !tokens.iter().any(truthy) {
        return match more {
            Some(true) => Err(bad("the answer says that there are more pages, but gives no token for the next one")),
            _ => Ok(None),
        };
    }
    if !seen.insert(Value::from(tokens.clone()).to_string()) {
        return Err(bad("the answer repeats a page token: its pages go in circles"));
    }
    let mut next = match input {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (member, token) in paging.input_tokens.iter().zip(tokens) {
        if truthy(&token) {
            next.insert(member.clone(), token);
        } else {
            next.shift_remove(member);
        }
    }
    Ok(Some(Value::Object(next)))
}

fn bad(message: &str) -> CloudError {
    CloudError::new(ErrorKind::BadAnswer, "BadPagination", message)
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(s) => !s.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

/// The part of JMESPath that the SDK's paginators use: `a.b`, `a[-1].b`, `a || b`.
fn evaluate(value: &Value, expression: &str) -> Value {
    if let Some((first, second)) = expression.split_once("||") {
        let found = evaluate(value, first);
        return if truthy(&found) { found } else { evaluate(value, second) };
    }
    let step = |value: &Value, step: &str| -> Option<Value> {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, Some(index.strip_suffix(']')?.parse::<i64>().ok()?)),
            None => (step, None),
        };
        let member = value.get(name)?;
        let Some(index) = index else { return Some(member.clone()) };
        let items = member.as_array()?;
        let at = if index < 0 { items.len().checked_sub(usize::try_from(-index).ok()?)? } else { usize::try_from(index).ok()? };
        items.get(at).cloned()
    };
    expression.trim().split('.').try_fold(value.clone(), |v, s| step(&v, s)).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    fn paginator(input: &[&str], output: &[&str], more: Option<&str>) -> Paginator {
        let own = |s: &[&str]| s.iter().map(|s| (*s).to_owned()).collect();
        Paginator {
            input_tokens: own(input),
            output_tokens: own(output),
            more_results: more.map(str::to_owned),
            limit_key: None,
            result_keys: vec![],
        }
    }

    /// Pages as scripted, and the inputs that were asked with.
    async fn run(paging: Option<Paginator>, input: Value, script: Vec<Value>, take: usize) -> (Vec<Outcome>, Vec<Value>) {
        let asked = Mutex::new(Vec::new());
        let pages = {
            let stream = follow(paging.map(Paging::Members), input, |input| {
                let mut asked = asked.lock().unwrap();
                let page = script.get(asked.len()).cloned().map(Arc::new);
                asked.push(input);
                async move { page.ok_or_else(|| CloudError::new(ErrorKind::Transient, "Last", "end of script")) }
            });
            Box::pin(stream.take(take)).collect().await
        };
        (pages, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn pages_come_in_order_with_their_tokens() {
        let p = paginator(&["Marker"], &["Marker"], Some("IsTruncated"));
        let script = vec![
            json!({"n": 1, "IsTruncated": true, "Marker": "a"}),
            json!({"n": 2, "IsTruncated": true, "Marker": "b"}),
            json!({"n": 3, "Marker": "ignored"}),
        ];
        let (pages, asked) = run(Some(p), json!({"Path": "/"}), script, 9).await;
        assert_eq!(pages.iter().map(|p| p.as_ref().unwrap()["n"].clone()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(asked, [json!({"Path": "/"}), json!({"Path": "/", "Marker": "a"}), json!({"Path": "/", "Marker": "b"})]);
    }

    #[tokio::test]
    async fn only_pages_that_are_polled_for_are_asked() {
        let endless: Vec<Value> = (0..100).map(|n| json!({"NextToken": n.to_string()})).collect();
        let (pages, asked) = run(Some(paginator(&["NextToken"], &["NextToken"], None)), json!({}), endless, 2).await;
        assert_eq!((pages.len(), asked.len()), (2, 2));
        let calls = AtomicUsize::new(0);
        drop(follow(None, json!({}), |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok(Arc::new(Value::Null)) }
        }));
        assert_eq!(calls.into_inner(), 0);
    }

    #[tokio::test]
    async fn circles_and_quiet_ends_are_errors() {
        let p = || Some(paginator(&["NextToken"], &["NextToken"], None));
        let (pages, _) =
            run(p(), json!({}), vec![json!({"NextToken": "a"}), json!({"NextToken": "b"}), json!({"NextToken": "a"})], 9).await;
        assert_eq!(pages.len(), 3);
        let e = pages[2].as_ref().unwrap_err();
        assert!(e.kind == ErrorKind::BadAnswer && e.message.contains("circles"), "{e}");
        let (pages, _) =
            run(Some(paginator(&["Marker"], &["Marker"], Some("IsTruncated"))), json!({}), vec![json!({"IsTruncated": true})], 9).await;
        assert_eq!(pages.len(), 1);
        assert!(pages[0].as_ref().unwrap_err().message.contains("no token"));
        let (pages, asked) = run(p(), json!({}), vec![json!({"NextToken": "a"})], 9).await;
        assert_eq!((pages.len(), asked.len()), (2, 2), "nothing after an error");
        assert_eq!(pages[1].as_ref().unwrap_err().code, "Last");
    }

    #[tokio::test]
    async fn tokens_may_be_several_objects_and_absent() {
        let p = paginator(&["Name", "Type"], &["NextName", "NextType"], Some("More"));
        let script = vec![json!({"More": true, "NextName": "a", "NextType": "A"}), json!({"More": true, "NextName": "b"}), json!({})];
        let (_, asked) = run(Some(p), json!({}), script, 9).await;
        assert_eq!(asked[1..], [json!({"Name": "a", "Type": "A"}), json!({"Name": "b"})]);
        let p = paginator(&["ExclusiveStartKey"], &["LastEvaluatedKey"], None);
        let (_, asked) = run(Some(p), json!({}), vec![json!({"LastEvaluatedKey": {"k": 1}}), json!({"LastEvaluatedKey": {}})], 9).await;
        assert_eq!(asked[1..], [json!({"ExclusiveStartKey": {"k": 1}})]);
    }

    #[test]
    fn operations_without_a_paginator_page_by_their_shapes() {
        for (service, operation, tokens, more, limit) in [
            ("iam", "ListUsers", "Marker=Marker", Some("IsTruncated"), Some("MaxItems")),
            ("cloudtrail", "ListChannels", "NextToken=NextToken", None, Some("MaxResults")),
            ("ec2", "DescribeLockedSnapshots", "NextToken=NextToken", None, Some("MaxResults")),
            ("wafv2", "ListWebACLs", "NextMarker=NextMarker", None, Some("Limit")),
            ("cloudfront", "ListCachePolicies", "Marker=CachePolicyList.NextMarker", None, Some("MaxItems")),
            (
                "cloudfront",
                "ListDistributionsByWebACLId",
                "Marker=DistributionList.NextMarker",
                Some("DistributionList.IsTruncated"),
                Some("MaxItems"),
            ),
            ("route53", "ListTrafficPolicies", "TrafficPolicyIdMarker=TrafficPolicyIdMarker", Some("IsTruncated"), Some("MaxItems")),
        ] {
            let p = paging(service, operation).unwrap();
            let pairs: Vec<String> = p.input_tokens.iter().zip(&p.output_tokens).map(|(i, o)| format!("{i}={o}")).collect();
            assert_eq!((pairs.join(" ").as_str(), p.more_results.as_deref(), p.limit_key.as_deref()), (tokens, more, limit), "{operation}");
        }
        for (service, operation) in [("iam", "GetAccountSummary"), ("sts", "GetCallerIdentity"), ("s3", "GetBucketAcl"), ("x", "Y")] {
            assert_eq!(paging(service, operation), None, "{operation}");
        }
    }

    #[test]
    fn page_sizes_are_set_where_that_saves_calls() {
        for (service, operation, wanted, sent) in [
            ("iam", "ListUsers", None, json!({"MaxItems": 1000})),
            ("iam", "ListUsers", Some(5), json!({"MaxItems": 5})),
            ("iam", "ListUsers", Some(5000), json!({"MaxItems": 1000})),
            ("ec2", "DescribeInstances", None, json!({})),
            ("ec2", "DescribeInstances", Some(50), json!({"MaxResults": 50})),
            ("route53", "ListHostedZones", Some(50), json!({"MaxItems": "50"})),
        ] {
            let limit = page_limit(service, operation, &paging(service, operation).unwrap(), wanted);
            assert_eq!(with_limit(json!({}), limit), sent, "{operation} {wanted:?}");
        }
        assert_eq!(with_limit(json!({"MaxItems": 7}), Some(("MaxItems".into(), json!(1000)))), json!({"MaxItems": 7}));
    }

    #[test]
    fn the_paginators_expressions_are_understood() {
        let v = json!({"a": {"b": "x"}, "l": [{"k": "1"}, {"k": "2"}], "e": "", "t": "y"});
        for (expression, expected) in [
            ("t", json!("y")),
            ("a.b", json!("x")),
            ("a.c.d", json!(null)),
            ("l[-1].k", json!("2")),
            ("l[0].k", json!("1")),
            ("l[7].k", json!(null)),
            ("l[-3].k", json!(null)),
            ("e || l[-1].k", json!("2")),
            ("t || l[-1].k", json!("y")),
        ] {
            assert_eq!(evaluate(&v, expression), expected, "{expression}");
        }
    }
}
