//! Which `$filter` goes out for which filters, what an API keeps, and what a fold allows.

use crate::run::Facts;
use crate::{CallPlan, Filter, RangeOp, Request, Route, Scalar, Table};
use chrono::{DateTime, TimeDelta, Utc};

const EVENTS: &str = "\
table: azure_event
about: Events.
scope: subscription
get:
  call: arm GET /subscriptions/{subscription_id}/resourceGroups/{resource_group}/events/{name}
  api: 2015-04-01
rows:
  - call: arm GET /subscriptions/{subscription_id}/accounts
    api: 2023-05-01
    each: value
    as: account
    unless: resource_id
    where: (!key.account_name || name == key.account_name)
  - call: arm GET /subscriptions/{subscription_id}/events
    api: 2015-04-01
    as: events
    filter: [\"resourceUri eq '{account.id}'\"]
    only_one: [resourceUri, correlationId, resourceGroupName]
    each: value
keys:
  at: { to: { \">=\": \"events.$filter[eventTimestamp ge]\", \"<=\": \"events.$filter[eventTimestamp le]\" }, keep: 90d }
  resource_id: { to: \"events.$filter[resourceUri eq]\" }
  correlation_id: { to: \"events.$filter[correlationId eq]\" }
  resource_group: { to: \"events.$filter[resourceGroupName eq]\" }
  top: { to: events.$top }
  account_name: {}
  name: {}
columns:
  at: timestamp
  name: text
  resource_id: text
  correlation_id: text
  resource_group: text
  top: int
  account_name: text <- account.name
  provisioning_state: text
";

const NOW: &str = "2026-04-01T12:03:20Z";
const FLOOR: &str = "2026-01-01T12:10:00Z";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn plan(source: &str, columns: &[&str], filters: Vec<Filter>) -> CallPlan {
    let table = Table::load("azure_event.yaml", source).unwrap_or_else(|e| panic!("{e}"));
    let projection = columns.iter().map(|c| table.column(c).unwrap()).collect();
    table.plan(&Request { projection, filters, now: time(NOW) }).unwrap()
}

/// The `$filter` of the call for events, or its path where it is the get, of every start.
fn asked(plan: &CallPlan) -> Vec<String> {
    let facts = Facts::new("c", "global").identity("AzurePublicCloud", "s-1").tenant("t-1");
    plan.starts()
        .iter()
        .map(|start| match start.route() {
            Route::Get => plan.get().unwrap().ask(start, &facts, None).unwrap().unwrap().input["path"].as_str().unwrap().to_owned(),
            Route::Links(first) => {
                let page = std::sync::Arc::new(serde_json::json!({"value": [{"id": "/acct", "name": "a"}]}));
                let parent = plan.links()[0].rows(&page, None).unwrap().remove(0);
                let parent = (first == 0).then_some(&parent);
                let ask = plan.links()[1].ask(start, &facts, parent).unwrap().unwrap();
                let via = if first == 0 { "accounts: " } else { "" };
                let query = &ask.input["query"];
                let top = query.get("$top").map_or(String::new(), |top| format!(" top {top}"));
                format!("{via}{}{top}", query["$filter"].as_str().unwrap_or_default())
            }
        })
        .collect()
}

fn one_of(column: &str, values: &[&str]) -> Filter {
    Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
}

fn at(op: RangeOp, value: &str) -> Filter {
    Filter::Range { column: "at".into(), op, value: Scalar::Timestamp(time(value)) }
}

fn at_is(values: &[&str]) -> Filter {
    Filter::OneOf { column: "at".into(), values: values.iter().map(|v| Scalar::Timestamp(time(v))).collect() }
}

const TOLD: &str = "azure_event: the API keeps 90 days of at; what is older than 2026-01-01T12:10:00Z is not in the answer";

#[test]
fn filters_become_one_filter() {
    let ge = |t: &str| format!("eventTimestamp ge '{t}'");
    let id = vec![one_of("resource_id", &["/A/b'c"])];
    for (filters, want) in [
        (vec![], vec![format!("accounts: resourceUri eq '/acct' and {}", ge(FLOOR))]),
        (id.clone(), vec![format!("{} and resourceUri eq '/A/b''c'", ge(FLOOR))]),
        (
            [id.clone(), vec![at(RangeOp::Gt, "2026-03-01T00:00:00Z"), at(RangeOp::Lt, "2026-03-02T00:00:00Z")]].concat(),
            vec![format!(
                "{} and eventTimestamp le '2026-03-02T00:00:00.000001Z' and resourceUri eq '/A/b''c'",
                ge("2026-03-01T00:00:00Z")
            )],
        ),
        // Two values are two walks; of clauses that exclude one another the first of `only_one` goes out, and only once.
        (
            vec![one_of("resource_id", &["/a", "/b"]), one_of("correlation_id", &["1", "2"]), one_of("resource_group", &["g"])],
            vec![format!("{} and resourceUri eq '/a'", ge(FLOOR)), format!("{} and resourceUri eq '/b'", ge(FLOOR))],
        ),
        (
            vec![one_of("resource_id", &["/a"]), Filter::OneOf { column: "top".into(), values: vec![Scalar::Int(5)] }],
            vec![format!("{} and resourceUri eq '/a' top \"5\"", ge(FLOOR))],
        ),
        (
            vec![one_of("resource_id", &["/a"]), at_is(&["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"])],
            vec![format!("{} and eventTimestamp le '2026-03-02T00:00:00.000001Z' and resourceUri eq '/a'", ge("2026-03-01T00:00:00Z"))],
        ),
        (
            vec![one_of("resource_group", &["g"]), one_of("name", &["x/y", "z"])],
            vec!["/subscriptions/s-1/resourceGroups/g/events/x%2Fy".into(), "/subscriptions/s-1/resourceGroups/g/events/z".into()],
        ),
    ] {
        let plan = plan(EVENTS, &["name"], filters.clone());
        assert_eq!(asked(&plan), want, "{filters:?}");
        assert_eq!(plan.notices(), [] as [&str; 0], "{filters:?}");
    }
}

#[test]
fn what_is_not_kept_is_not_asked_for_and_said() {
    let id = || one_of("resource_id", &["/a"]);
    let ge = |t: &str| format!("eventTimestamp ge '{t}' and resourceUri eq '/a'");
    for (filter, want, told) in [
        (at(RangeOp::Ge, "2025-12-01T00:00:00Z"), vec![ge(FLOOR)], true),
        // The edge itself is a question that people ask, and clocks differ.
        (at(RangeOp::Ge, "2026-01-01T12:03:20Z"), vec![ge(FLOOR)], false),
        (at(RangeOp::Gt, "2026-01-01T12:10:01Z"), vec![ge("2026-01-01T12:10:01Z")], false),
        (at(RangeOp::Lt, "2025-12-01T00:00:00Z"), vec![], true),
        (at(RangeOp::Lt, FLOOR), vec![], true),
        (at_is(&["2025-12-01T00:00:00Z"]), vec![], true),
    ] {
        let plan = plan(EVENTS, &["name"], vec![id(), filter.clone()]);
        assert_eq!(asked(&plan), want, "{filter:?}");
        let notices: &[&str] = if told { &[TOLD] } else { &[] };
        assert_eq!(plan.notices(), notices, "{filter:?}");
    }
    // Statements that come one after the other ask the same.
    let table = Table::load("azure_event.yaml", EVENTS).unwrap();
    let at = |seconds| asked(&table.plan(&Request { now: time(NOW) + TimeDelta::seconds(seconds), ..Request::default() }).unwrap());
    assert_eq!(at(0), at(60));
    assert_ne!(at(0), at(300));
}

#[test]
fn a_fold_widens_its_bounds() {
    let folded = EVENTS.replace("    each: value\nkeys", "    each: value\n    fold: { by: id, order: at }\nkeys");
    for (from, want) in [("2026-03-01T00:00:00Z", "2026-02-28T23:00:00Z"), ("2026-01-01T12:40:00Z", FLOOR)] {
        let filters = vec![one_of("resource_id", &["/a"]), at(RangeOp::Ge, from), at(RangeOp::Lt, "2026-03-02T00:00:00Z")];
        assert_eq!(asked(&plan(&folded, &["name"], filters)), [format!("eventTimestamp ge '{want}' and resourceUri eq '/a'")]);
    }
}

#[test]
fn facts_cost_nothing_and_keys_reach_where() {
    let table = Table::load("azure_event.yaml", EVENTS).unwrap();
    for filter in [one_of("account_name", &["a"]), at(RangeOp::Gt, NOW), at(RangeOp::Lt, NOW), at_is(&[NOW])] {
        assert!(table.uses(&filter), "{filter:?}");
    }
    let plan = plan(EVENTS, &["name"], vec![one_of("account_name", &["a", "b"])]);
    let facts = Facts::new("c", "global").identity("AzurePublicCloud", "s-1");
    let page = std::sync::Arc::new(serde_json::json!({"value": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}));
    let kept = |start: usize| -> Vec<usize> {
        let link = &plan.links()[0];
        let rows = link.rows(&page, None).unwrap();
        (0..rows.len()).filter(|i| link.keeps(&rows[*i], &plan.starts()[start], &facts).unwrap()).collect()
    };
    assert_eq!((kept(0), kept(1), plan.starts().len()), (vec![0], vec![1], 2));
    assert!(plan.needs_identity() && !plan.needs_regions());
    assert_eq!(plan.now(), time(NOW));
    assert_eq!(plan.operations(), ["arm GET /subscriptions/{}/accounts", "arm GET /subscriptions/{}/events"]);
}
