//! Everything a run found, for machines: the shareable snapshot. The shape is Powerpipe's; what it lacks stands in further keys at the end of
//! the root (coverage, completeness, calls, time), of controls (item, query, arguments, not_implemented) and of results (was).
//!
//! `run_status` is 4 for complete and 8 for error; 1 (never started) for controls that are not implemented.

use crate::{qualified, wording};
use assay_compliance::{ControlResult, Counts, Gap, GroupResult, OlderPart, ResultRow, RunResult, RunState, Unknown};
use serde_json::{Map, Value, json};

pub(crate) fn render(result: &RunResult) -> Vec<u8> {
    let mut root = group(&result.root);
    let coverage = result.root.coverage();
    let c = &result.completeness;
    root.insert(
        "coverage".to_owned(),
        json!({"evaluated": coverage.evaluated, "not_implemented": coverage.not_implemented, "total": coverage.total}),
    );
    let scopes =
        c.scopes.iter().map(|(connection, account, region)| json!({"connection": connection, "account": account, "region": region}));
    root.insert(
        "completeness".to_owned(),
        json!({
            "complete": !result.incomplete(),
            "cancelled": result.cancelled,
            "failures": c.gaps.iter().map(gap).collect::<Vec<_>>(),
            "scopes": scopes.collect::<Vec<_>>(),
            "notices": c.notices,
            "as_of": c.older.iter().map(older).collect::<Vec<_>>(),
        }),
    );
    let calls = &result.calls;
    root.insert(
        "calls".to_owned(),
        json!({"calls": calls.calls, "cache_hits": calls.cache_hits, "retries": calls.retries, "throttles": calls.throttles}),
    );
    root.insert("time".to_owned(), Value::from(wording::time(result)));
    let mut text = format!("{:#}", Value::Object(root));
    text.push('\n');
    text.into_bytes()
}

fn older(part: &OlderPart) -> Value {
    json!({"table": part.table, "source": part.source, "connection": part.connection, "account": part.account,
           "at": part.at.format("%Y-%m-%dT%H:%M:%SZ").to_string(), "or_later": part.or_later})
}

fn group(g: &GroupResult) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("group_id".to_owned(), Value::from(crate::group_id(g)));
    out.insert("title".to_owned(), Value::from(g.title.as_str()));
    out.insert("description".to_owned(), Value::from(g.description.as_str()));
    out.insert("tags".to_owned(), json!(g.tags));
    out.insert("summary".to_owned(), json!({"status": counts(&g.summary)}));
    out.insert("groups".to_owned(), g.groups().map(|g| Value::Object(group(g))).collect());
    out.insert("controls".to_owned(), g.own_controls().map(control).collect());
    out
}

fn counts(c: &Counts) -> Value {
    json!({"alarm": c.alarm, "ok": c.ok, "info": c.info, "skip": c.skip, "error": c.error})
}

fn control(c: &ControlResult) -> Value {
    let run_status = match &c.findings.state {
        RunState::NotImplemented(_) => 1,
        state if state.error().is_some() => 8,
        _ => 4,
    };
    let arguments: Map<String, Value> = c.args.iter().map(|a| (a.name.clone(), a.value.clone())).collect();
    json!({
        "summary": counts(&c.findings.summary),
        "results": c.findings.rows.iter().map(row).collect::<Vec<_>>(),
        "control_id": crate::control_id(c),
        "description": c.facts.description,
        "severity": wording::severity(c),
        "tags": c.facts.tags,
        "title": c.facts.title,
        "run_status": run_status,
        "run_error": c.findings.state.error().unwrap_or_default(),
        "item": c.facts.item,
        "query": c.facts.query,
        "arguments": arguments,
        "not_implemented": c.not_implemented(),
    })
}

fn row(r: &ResultRow) -> Value {
    let dimensions: Vec<Value> = r.dimensions.iter().map(|(key, value)| json!({"key": &**key, "value": value})).collect();
    let mut out = json!({"reason": r.reason, "resource": r.resource, "status": r.status.as_str(), "dimensions": dimensions});
    if let (Some(unknown), Some(out)) = (r.unknown, out.as_object_mut()) {
        let was = match unknown {
            Unknown::Was(status) => Value::from(status.as_str()),
            Unknown::NoRow => Value::Null,
        };
        out.insert("was".to_owned(), was);
    }
    out
}

fn gap(g: &Gap) -> Value {
    let f = &g.failure;
    json!({
        "table": f.table,
        "connection": f.connection,
        "account": f.account,
        "region": f.region,
        "row": f.row,
        "columns": f.columns,
        "code": f.code,
        "message": f.message,
        "controls": g.controls.iter().map(|c| qualified("control", c)).collect::<Vec<_>>(),
    })
}
