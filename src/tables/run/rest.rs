//! Calls of APIs that are a method and a path: Azure's. From path, query parameters, OData clauses and body to one input.
//!
//! Owns the encoding of values, so that no value of an answer or of a filter can become another path, parameter or clause.

use super::call::{Override, Takes, has_null};
use crate::expr::{Env, Expr, Piece};
use crate::spec::yaml::At;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stays in a part of a path: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The query parameter that clauses go into.
pub(crate) const FILTER: &str = "$filter";
const VERSION: &str = "api-version";

/// What such a call has beside its query parameters, which are its `in:`.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) path: Vec<Piece>,
    pub(crate) path_at: At,
    pub(crate) front: Front,
    /// Query parameters that are written in the path.
    pub(crate) query: Vec<(String, String)>,
    /// The version of the API: the parameter `api-version`, which the client of the storage data plane sends as a header.
    pub(crate) version: Option<(String, At)>,
    pub(crate) body: Vec<(String, Expr, At)>,
    pub(crate) filter: Vec<Clause>,
    pub(crate) only_one: Vec<(String, At)>,
}

/// How a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// As written.
    Path,
    /// `/{id}`: with a resource id, which has several parts.
    ResourceId,
    /// `{endpoint}`: with an address.
    Address,
}

/// A clause of `$filter`; left out when a value in it is null.
#[derive(Debug, Clone)]
pub(crate) struct Clause {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) at: At,
    /// Property and operator: `resourceUri eq`.
    pub(crate) key: String,
}

impl Rest {
    /// Every expression, with its place.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = (&Expr, At)> {
        self.texts(|_| false).chain(self.body.iter().map(|(_, e, at)| (e, *at)))
    }

    /// Those of the path and of clauses, which become text; without those of some clauses.
    pub(crate) fn texts(&self, left_out: impl Fn(&str) -> bool) -> impl Iterator<Item = (&Expr, At)> {
        let path = values(&self.path).map(|e| (e, self.path_at));
        path.chain(self.filter.iter().filter(move |c| !left_out(&c.key)).flat_map(|c| values(&c.pieces).map(|e| (e, c.at))))
    }

    /// Expressions without whose value there is no call, with what they are for.
    pub(crate) fn needed(&self) -> impl Iterator<Item = (&str, &Expr, &At)> {
        values(&self.path).map(|e| ("path", e, &self.path_at)).chain(self.body.iter().map(|(name, e, at)| (name.as_str(), e, at)))
    }

    /// The input; `None` when a part of the path is null, false or empty, or a parameter or a member of the body null.
    pub(crate) fn input(&self, input: &[(String, Expr, At)], env: &Env<'_>, overrides: &[&Override]) -> Result<Option<Value>, String> {
        let Some(path) = self.filled(env)? else { return Ok(None) };
        let mut query: Map<String, Value> = self.query.iter().map(|(n, v)| (n.clone(), Value::from(v.as_str()))).collect();
        if let Some((version, _)) = &self.version {
            query.insert(VERSION.to_owned(), Value::from(version.as_str()));
        }
        for (name, expr, _) in input {
            if overrides.iter().any(|o| o.member == *name && o.takes == Takes::One) {
                continue;
            }
            let value = expr.eval(env).map_err(|e| format!("{name}: {}", e.0))?;
            match parameter(&value).map_err(|why| format!("{name}: {why}"))? {
                Some(text) => drop(query.insert(name.clone(), Value::String(text))),
                None => return Ok(None),
            }
        }
        for o in overrides.iter().filter(|o| matches!(o.takes, Takes::One | Takes::List)) {
            if let Some(text) = parameter(&o.value).map_err(|why| format!("{}: {why}", o.member))? {
                query.insert(o.member.clone(), Value::String(text));
            }
        }
        let clauses = self.clauses(env, overrides)?;
        if !clauses.is_empty() {
            // A condition that the spec writes out in `in:` stays.
            let mut all: Vec<String> = query.get(FILTER).and_then(Value::as_str).map(str::to_owned).into_iter().collect();
            all.extend(clauses);
            query.insert(FILTER.to_owned(), Value::String(all.join(" and ")));
        }
        let mut out = Map::new();
        out.insert("path".to_owned(), Value::String(path));
        out.insert("query".to_owned(), Value::Object(query));
        if !self.body.is_empty() {
            let mut body = Map::new();
            for (name, expr, _) in &self.body {
                let value = expr.eval(env).map_err(|e| format!("{name}: {}", e.0))?;
                if has_null(&value) {
                    return Ok(None);
                }
                body.insert(name.clone(), value.into_owned());
            }
            out.insert("body".to_owned(), Value::Object(body));
        }
        Ok(Some(Value::Object(out)))
    }

    fn filled(&self, env: &Env<'_>) -> Result<Option<String>, String> {
        let mut out = String::new();
        let mut first = self.front != Front::Path;
        for piece in &self.path {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(expr) => {
                    let value = expr.eval(env).map_err(|e| format!("path: {}", e.0))?;
                    // `{condition && name}` is false where there is nothing to ask for.
                    let text = scalar(&value).map_err(|why| format!("path: {why}"))?;
                    let Some(text) = text.filter(|t| !t.is_empty() && *value != Value::Bool(false)) else { return Ok(None) };
                    match (std::mem::take(&mut first), self.front) {
                        (true, Front::ResourceId) => {
                            check_id(&text)?;
                            out.clear();
                            for part in text.split('/').skip(1) {
                                out.push('/');
                                out.extend(utf8_percent_encode(part, &UNRESERVED));
                            }
                        }
                        (true, Front::Address) => {
                            check_address(&text)?;
                            out.push_str(text.trim_end_matches('/'));
                        }
                        _ if text == "." || text == ".." => return Err(format!("path: `{text}` is no name")),
                        _ => out.extend(utf8_percent_encode(&text, &UNRESERVED)),
                    }
                }
            }
        }
        if self.front == Front::Address && self.path.len() == 1 {
            out.push('/');
        }
        Ok(Some(out))
    }

    fn clauses(&self, env: &Env<'_>, overrides: &[&Override]) -> Result<Vec<String>, String> {
        let mut all: Vec<(&str, String)> = Vec::new();
        for clause in &self.filter {
            if overrides.iter().any(|o| matches!(&o.takes, Takes::Clause { key, .. } if *key == clause.key)) {
                continue;
            }
            if let Some(text) = clause.filled(env)? {
                all.push((&clause.key, text));
            }
        }
        for o in overrides {
            if let Takes::Clause { key, quoted } = &o.takes {
                let value = match &o.value {
                    Value::String(s) if *quoted => format!("'{}'", s.replace('\'', "''")),
                    Value::String(s) => s.clone(),
                    other => other.to_string(),
                };
                all.push((key, format!("{key} {value}")));
            }
        }
        let rank = |key: &str| self.only_one.iter().position(|(name, _)| *name == property(key));
        let ranked = all.iter().enumerate().filter_map(|(i, (key, _))| Some((rank(key)?, i)));
        let chosen = ranked.min().map(|(_, i)| i);
        let goes_out = |(i, (key, text)): (usize, (&str, String))| (rank(key).is_none() || Some(i) == chosen).then_some(text);
        Ok(all.into_iter().enumerate().filter_map(goes_out).collect())
    }
}

/// The property that a clause is about.
pub(crate) fn property(key: &str) -> &str {
    key.split(' ').next().unwrap_or(key)
}

impl Clause {
    fn filled(&self, env: &Env<'_>) -> Result<Option<String>, String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(expr) => {
                    let value = expr.eval(env).map_err(|e| format!("filter: {}", e.0))?;
                    match scalar(&value).map_err(|why| format!("filter: {why}"))? {
                        None => return Ok(None),
                        Some(text) => out.push_str(&text.replace('\'', "''")),
                    }
                }
            }
        }
        Ok(Some(out))
    }
}

fn values(pieces: &[Piece]) -> impl Iterator<Item = &Expr> {
    pieces.iter().filter_map(|p| match p {
        Piece::Text(_) => None,
        Piece::Value(e) => Some(e),
    })
}

fn scalar(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(s) => Ok(Some(s.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err("a list or an object stands where one value goes".into()),
    }
}

/// A query parameter: a list is its elements with commas between them.
fn parameter(value: &Value) -> Result<Option<String>, String> {
    let Value::Array(items) = value else { return scalar(value) };
    Ok(items.iter().map(scalar).collect::<Result<Option<Vec<_>>, _>>()?.map(|all| all.join(",")))
}

fn check_id(id: &str) -> Result<(), String> {
    let good = id.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if good { Ok(()) } else { Err(format!("path: `{id}` is no resource id")) }
}

fn check_address(address: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '\\' | '@');
    let web = address.starts_with("https://") || address.starts_with("http://");
    if web && !address.contains(odd) { Ok(()) } else { Err(format!("path: `{address}` is no address")) }
}

/// Which thing a call was about: the last part of its path that varies, but not the subscription, which the scope names anyway.
pub(crate) fn about(operation: &str, path: &str) -> String {
    let template = operation.split_once(' ').map_or(operation, |(_, t)| t).split('?').next().unwrap_or_default();
    let address = path.split_once("://");
    let path = address.map_or(path, |(_, rest)| rest);
    fn parts(text: &str) -> Vec<&str> {
        text.trim_matches('/').rsplit('/').collect()
    }
    let (template, path) = (parts(template), parts(path));
    let Some(at) = template.iter().position(|part| part.contains("{}")) else { return String::new() };
    let of_scope = template.get(at + 1).is_some_and(|before| before.eq_ignore_ascii_case("subscriptions"));
    let Some(part) = path.get(at).filter(|_| !of_scope) else { return String::new() };
    let host = address.is_some() && at + 1 == path.len();
    let part = if host { part.split('.').next().unwrap_or(part) } else { part };
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
