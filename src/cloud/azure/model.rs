//! Facts about Azure's APIs that other rooms check specs against: operations, their versions and parameters, shapes of answers.
//!
//! Operations are written as [`crate::ReadOp::azure`] takes them. Paths are compared without regard to case, as the Resource Manager does.

use super::embedded::{self, Op};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a shape is. Names of other shapes are for [`shape`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Members with the names of their shapes.
    Structure(Vec<(String, String)>),
    /// A list of a shape.
    List(String),
    /// A map from texts to a shape.
    Map(String),
    /// Text: enumerations, durations and dates too.
    Text,
    /// An integer.
    Int,
    /// A number.
    Double,
    /// A boolean.
    Bool,
    /// RFC 3339 text.
    Timestamp,
    /// Any JSON.
    Any,
}

/// An operation that the models know, in all versions that they know.
#[derive(Debug, Clone)]
pub struct Operation {
    name: String,
    /// How far the path is, the nearest first; more than one when versions or packages differ in how they write the path.
    found: Vec<(usize, &'static Op)>,
}

/// Segments of `GET /a/{}/b`, and the method.
fn split(operation: &str) -> Option<(&str, Vec<&str>)> {
    let (method, path) = operation.split_once(' ')?;
    let path = path.split('?').next().unwrap_or_default();
    Some((method, path.split('/').filter(|s| !s.is_empty()).collect()))
}

const ANY: &str = "{}";

fn is(segment: &str, word: &str) -> bool {
    segment.eq_ignore_ascii_case(word)
}

/// Where the last `providers` is.
fn last_providers(path: &[&str]) -> Option<usize> {
    path.iter().rposition(|s| is(s, "providers"))
}

/// The namespace whose provider answers, in lower case; empty for the Resource Manager itself.
fn provider(path: &[&str]) -> String {
    last_providers(path).and_then(|at| path.get(at + 1)).map(|s| s.to_ascii_lowercase()).unwrap_or_default()
}

/// How many placeholders of the model stand for constant text; `None` when the paths differ.
fn equal(model: &[&str], asked: &[&str]) -> Option<usize> {
    if model.len() != asked.len() {
        return None;
    }
    model.iter().zip(asked).try_fold(0, |constant, (m, a)| match (*m, *a) {
        (ANY, ANY) => Some(constant),
        (ANY, _) => Some(constant + 1),
        (m, a) => is(m, a).then_some(constant),
    })
}

/// Farther than any path without a scope.
const SCOPE: usize = 100;

/// How far a model's path is from the one asked for; `None` when it is another one.
fn distance(model: &[&str], asked: &[&str]) -> Option<usize> {
    if let Some(constant) = equal(model, asked) {
        return Some(constant);
    }
    match (model, asked) {
        // `/{scope}/providers/…`: the scope is any resource, or the tenant.
        ([ANY, "providers", ..], _) => {
            let tail = asked.get(last_providers(asked)?..)?;
            equal(&model[1..], tail).map(|constant| SCOPE + constant)
        }
        // `/{id}/blobServices/default`: the first part is the id of a resource.
        (_, [ANY, tail @ ..]) if !tail.is_empty() && last_providers(asked).is_none() => {
            let at = model.len().checked_sub(tail.len())?;
            let names_a_resource = at > 3 && model.get(at - 1) == Some(&ANY) && last_providers(model).is_some();
            equal(model.get(at..)?, tail).filter(|_| names_a_resource).map(|constant| SCOPE + constant)
        }
        _ => None,
    }
}

/// Between the names of shapes of which a value has one.
const ONE_OF: char = '|';

/// Is it a get by id, of which no model can say what comes?
fn by_id(path: &[&str]) -> bool {
    path == [ANY]
}

/// The operations of a provider, or of all providers where the path names none.
fn candidates(api: &str, path: &[&str]) -> Vec<&'static Op> {
    let mut ops: Vec<&'static Op> = embedded::group(api).into_iter().flat_map(|g| &g.operations).collect();
    if api != "arm" {
        return ops;
    }
    let groups = |name: &str| embedded::groups_of(name).iter().filter_map(|g| embedded::group(g)).flat_map(|g| &g.operations);
    if path.first() == Some(&ANY) && last_providers(path).is_none() {
        ops.extend(embedded::group_names().filter_map(embedded::group).flat_map(|g| &g.operations));
        return ops;
    }
    let provider = provider(path);
    ops.extend(groups(&provider));
    if !provider.is_empty() {
        ops.extend(groups(ANY));
    }
    ops
}

/// The versions that a call may name, the newest first; none where any will do: APIs other than the Resource Manager answer alike in all of theirs.
pub fn pinned_versions(api: &str, name: &str) -> Vec<String> {
    let known = if api == "arm" { operation(api, name) } else { None };
    known.map(|op| op.versions().into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

/// An operation by name: `GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts`. A constant may stand where the model has
/// a placeholder, and any scope where it has `/{}/providers/…`. `None` for what the models do not know, and for `GET /{}`.
pub fn operation(api: &str, operation: &str) -> Option<Operation> {
    let (method, path) = split(operation)?;
    if api == "arm" && by_id(&path) {
        return None;
    }
    let mut found: Vec<(usize, &'static Op)> = Vec::new();
    for op in candidates(api, &path) {
        let far = if api == "arm" {
            split(op.name).filter(|(m, _)| *m == method).and_then(|(_, model)| distance(&model, &path))
        } else {
            op.name.eq_ignore_ascii_case(operation).then_some(0)
        };
        found.extend(far.map(|far| (far, op)));
    }
    found.sort_by_key(|(far, _)| *far);
    let group = found.first()?.1.group;
    // A path by id that several packages have says nothing about the answer.
    let one = path.first() != Some(&ANY) || last_providers(&path).is_some() || found.iter().all(|(_, op)| op.group == group);
    one.then(|| Operation { name: operation.to_owned(), found })
}

impl Operation {
    /// Its name in the newest model.
    pub fn name(&self) -> &'static str {
        self.found.first().map_or("", |(_, op)| op.name)
    }

    /// How far, whose, in which version, and what.
    fn answers(&self) -> impl Iterator<Item = (usize, &'static Op, &'static str, &'static str)> {
        let versions = |op: &'static Op| op.facts().get("v").and_then(Value::as_object).into_iter().flatten();
        self.found.iter().flat_map(move |&(far, op)| versions(op).filter_map(move |(v, t)| Some((far, op, v.as_str(), t.as_str()?))))
    }

    /// Versions of the API that have it, as far as the models know; the newest first.
    pub fn versions(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self.answers().map(|(_, _, v, _)| v).collect();
        all.into_iter().rev().collect()
    }

    /// The shape of its answer in a version; in the newest known one that is no preview, where none is given or a newer one than are known.
    /// `None`: not known, or anything.
    pub fn output(&self, version: Option<&str>) -> Option<String> {
        let versions = self.versions();
        let newest = || versions.iter().find(|v| !v.ends_with("preview")).or(versions.first()).copied();
        let newer = |v: &str| versions.first().is_some_and(|first| *first < v);
        let version = version.filter(|v| !newer(v)).or_else(newest)?;
        // One that is written out and one of any scope may both describe the answer.
        let near = |scope: bool| self.answers().find(|(far, _, v, _)| *v == version && (*far >= SCOPE) == scope);
        let shapes: Vec<(&str, &str)> = [near(false), near(true)].into_iter().flatten().map(|(_, op, _, kind)| (op.group, kind)).collect();
        let known = !shapes.is_empty() && shapes.iter().all(|(_, kind)| *kind != "a");
        known.then(|| shapes.iter().map(|(group, kind)| format!("{group}/{kind}")).reduce(|a, b| one_of(a, &b)))?
    }

    /// The name of a shape whose members are the query parameters, without `api-version`.
    pub fn parameters(&self) -> String {
        format!("?{}", self.name)
    }

    /// The shape of its body; of a POST.
    pub fn body(&self) -> Option<String> {
        let op = self.found.iter().map(|(_, op)| op).find(|op| op.facts().contains_key("b"))?;
        Some(format!("{}/{}", op.group, op.facts().get("b")?.as_str()?))
    }

    /// Does the answer come in pages?
    pub fn pages(&self) -> bool {
        self.found.iter().any(|(_, op)| op.facts().contains_key("p"))
    }
}

/// Clauses that the `$filter` of an operation may have (`eventTimestamp ge`), where they are known.
pub fn filter_clauses(api: &str, operation: &str) -> Option<Vec<String>> {
    embedded::group(api)?.filter(operation)
}

/// A shape by the name that [`Operation`] or another shape gives.
pub fn shape(api: &str, name: &str) -> Option<Shape> {
    if let Some(asked) = name.strip_prefix('?') {
        let op = operation(api, asked)?;
        let mut members: Vec<(String, String)> = Vec::new();
        for (_, op) in op.found {
            for (parameter, kind) in op.facts().get("q").and_then(Value::as_object).into_iter().flatten() {
                if members.iter().all(|(m, _)| m != parameter) {
                    let kind = kind.as_str().unwrap_or("a").trim_end_matches('?');
                    members.push((parameter.clone(), format!("{}/{kind}", op.group)));
                }
            }
        }
        return Some(Shape::Structure(members));
    }
    if name.contains(ONE_OF) {
        return name.split(ONE_OF).map(|name| shape(api, name)).reduce(|a, b| Some(either(a?, b?)))?;
    }
    let (group, kind) = name.split_once('/')?;
    Some(match kind {
        "s" => Shape::Text,
        "i" => Shape::Int,
        "f" => Shape::Double,
        "b" => Shape::Bool,
        "t" => Shape::Timestamp,
        "a" => Shape::Any,
        _ => match (kind.strip_prefix('['), kind.strip_prefix('{')) {
            (Some(of), _) => Shape::List(format!("{group}/{of}")),
            (_, Some(of)) => Shape::Map(format!("{group}/{of}")),
            _ => {
                let members = embedded::group(group)?.shape(kind)?;
                if members.contains_key("*") {
                    return Some(Shape::Any);
                }
                let of = |(name, kind): (String, Value)| Some((name, format!("{group}/{}", kind.as_str()?)));
                Shape::Structure(members.into_iter().filter_map(of).collect())
            }
        },
    })
}

fn one_of(a: String, b: &str) -> String {
    if a.split(ONE_OF).any(|name| name == b) { a } else { format!("{a}{ONE_OF}{b}") }
}

/// A value of one shape or the other.
fn either(a: Shape, b: Shape) -> Shape {
    match (a, b) {
        (Shape::Structure(mut members), Shape::Structure(others)) => {
            for (name, shape) in others {
                match members.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, known)) => *known = one_of(std::mem::take(known), &shape),
                    None => members.push((name, shape)),
                }
            }
            members.sort();
            Shape::Structure(members)
        }
        (Shape::List(a), Shape::List(b)) => Shape::List(one_of(a, &b)),
        (Shape::Map(a), Shape::Map(b)) => Shape::Map(one_of(a, &b)),
        (a, b) if a == b => a,
        _ => Shape::Any,
    }
}

/// Why a call is not one that the models know; `None` when it is, or when they do not cover the provider. With the nearest known one.
pub fn unknown(api: &str, name: &str) -> Option<(String, Option<String>)> {
    let (method, path) = split(name)?;
    if (api == "arm" && by_id(&path)) || operation(api, name).is_some() {
        return None;
    }
    let candidates = candidates(api, &path);
    if candidates.is_empty() && api != "arm" {
        return None;
    }
    let provider = provider(&path);
    if api == "arm" && !provider.is_empty() && embedded::groups_of(&provider).is_empty() {
        // Not covered: nothing can be said, but that a known name is one letter away.
        let near = embedded::providers().find(|p| p.len() > 14 && strsim::damerau_levenshtein(p, &provider) == 1)?;
        return Some((format!("there is no provider `{provider}`"), Some(format!("did you mean {near}?"))));
    }
    if api == "arm" && path.first() == Some(&ANY) && last_providers(&path).is_none() {
        let known = candidates.iter().any(|op| split(op.name).is_some_and(|(m, model)| m == method && distance(&model, &path).is_some()));
        return (!known).then(|| (format!("{api} has no operation `{name}`"), None));
    }
    let asked = name.to_ascii_lowercase();
    let far = |op: &&Op| strsim::damerau_levenshtein(&op.name.to_ascii_lowercase(), &asked);
    let same_method =
        candidates.into_iter().filter(|op| op.name.starts_with(method) && op.name.as_bytes().get(method.len()) == Some(&b' '));
    let nearest = same_method.map(|op| (far(&op), op.name)).min();
    let hint = nearest.filter(|(far, name)| *far <= 3.max(name.len() / 4)).map(|(_, name)| format!("did you mean {name}?"));
    Some((format!("{api} has no operation `{name}`"), hint))
}

#[cfg(test)]
mod tests;
