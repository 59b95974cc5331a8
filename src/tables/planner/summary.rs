//! Is there a summary that answers a request with fewer calls? Then this is its plan.

use super::{Given, extreme, facts, inputs_of, json, merge, waves};
use crate::plan::{CallPlan, Filter, Request, Route, Scalar, Start};
use crate::run::{Keys, Link, LinkSource};
use crate::summary::Summary;
use crate::{Table, expr::Expr};
use arrow_schema::SchemaRef;
use chrono::TimeDelta;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many walks by key are made rather than one of a summary, whose report may first have to be made.
const FEW: usize = 10;

/// The plan by the first summary that can give what is requested. `own` is the table's own plan; `max_staleness` is how old the answer may be.
pub(crate) fn plan(table: &Table, own: &CallPlan, request: &Request, max_staleness: TimeDelta) -> Option<CallPlan> {
    if table.summaries.is_empty() || own.starts.is_empty() {
        return None;
    }
    let given = merge(&request.filters)?;
    let by_key = |start: &Start| !matches!(start.route, Route::Links(0));
    let keyed = own.starts.len() <= FEW && own.starts.iter().all(by_key);
    let fits = |summary: &&Arc<Summary>| {
        (summary.staleness.is_zero() || max_staleness > TimeDelta::zero())
            && max_staleness >= summary.silence()
            && request.projection.iter().all(|column| summary.gives[*column])
            && summary.when.iter().all(|(column, values)| implied(given.get(column.as_str()), values))
            && !keyed
            && saves(summary, own, request)
    };
    let summary = table.summaries.iter().find(fits)?;
    Some(plan_of(summary, own.schema.clone(), request, &given))
}

/// Does it ask less for each parent and row? One that is shared by scopes saves their lists, and may ask as much.
fn saves(summary: &Summary, own: &CallPlan, request: &Request) -> bool {
    let theirs = repeated(&summary.program.links[summary.head + 1..], &waves_of(summary, request), 1);
    let ours = repeated(own_links(own), &own.waves, 2);
    theirs < ours || (theirs == ours && summary.shared_calls() > 0)
}

/// Do the filters leave the column these values only?
fn implied(given: Option<&Given>, values: &[Value]) -> bool {
    given.and_then(|given| given.one_of.as_ref()).is_some_and(|left| left.iter().all(|value| values.contains(&json(value))))
}

fn own_links(own: &CallPlan) -> &[Link] {
    let chain = own.starts.iter().any(|start| matches!(start.route, Route::Links(_)));
    if chain { own.program.links.get(1..).unwrap_or_default() } else { &[] }
}

/// How many calls there are for each parent and row, those of links weighed: a summary asks fewer parents.
fn repeated(links: &[Link], waves: &[Vec<usize>], weight: usize) -> usize {
    let calls = links.iter().filter(|link| matches!(link.source, LinkSource::Call(_)) && link.batch.is_none()).count();
    weight * calls + 2 * waves.iter().flatten().count()
}

fn alsos(summary: &Summary, request: &Request) -> Vec<usize> {
    let mut alsos: Vec<usize> = request.projection.iter().flat_map(|c| summary.program.columns[*c].alsos.iter().copied()).collect();
    alsos.sort_unstable();
    alsos.dedup();
    alsos
}

fn waves_of(summary: &Summary, request: &Request) -> Vec<Vec<usize>> {
    waves(&summary.program, &alsos(summary, request))
}

fn plan_of(summary: &Arc<Summary>, schema: SchemaRef, request: &Request, given: &BTreeMap<&str, Given>) -> CallPlan {
    let program = &summary.program;
    let alsos = alsos(summary, request);
    let mut needed: Vec<&Expr> = request.projection.iter().map(|c| &program.columns[*c].source).collect();
    for also in &alsos {
        needed.extend(inputs_of(program, *also));
    }
    needed.extend(program.links.iter().flat_map(Link::exprs).map(|(e, _)| e));
    let upper = |name: &String| given.get(name.as_str()).and_then(upper_of).map_or(Value::Null, |value| json(&value));
    let keys = Keys { names: program.key_names.clone(), values: program.key_names.iter().map(upper).collect() };
    let mut plan = CallPlan {
        program: Arc::clone(program),
        projection: request.projection.clone(),
        schema,
        starts: vec![Start { route: Route::Links(0), keys, overrides: Vec::new(), expected: Vec::new(), among: Arc::default() }],
        waves: waves(program, &alsos),
        facts: needed.iter().flat_map(|e| facts(e)).collect(),
        notices: Vec::new(),
        now: request.now,
        summary: Some(Arc::clone(summary)),
    };
    // Values of key columns are no parameters here; but nothing further is asked for rows and parents of others.
    for (column, given) in given {
        if let (Some(values), Some(column)) = (&given.one_of, program.columns.iter().position(|c| c.name == *column)) {
            plan.keep_among(column, values);
        }
    }
    plan
}

fn upper_of(given: &Given) -> Option<Scalar> {
    let values = given.one_of.as_deref().and_then(|values| extreme(values, Ordering::Greater)).cloned();
    match (given.high.as_ref().map(|(high, _)| high.clone()), values) {
        (Some(high), Some(value)) => extreme(&[high, value], Ordering::Less).cloned(),
        (high, value) => high.or(value),
    }
}

/// Can a summary make something of the filter?
pub(crate) fn heeds(table: &Table, filter: &Filter) -> bool {
    let of = |summary: &Arc<Summary>| match filter {
        Filter::OneOf { column, .. } => summary.when.iter().any(|(c, _)| c == column) || summary.bounded.contains(column),
        Filter::Range { column, .. } => summary.bounded.contains(column),
        Filter::Prefix { .. } => false,
    };
    table.summaries.iter().any(of)
}

#[cfg(test)]
mod tests;
