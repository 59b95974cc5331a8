//! `rows:`, `get:`, `also:`: calls with their inputs, and what becomes of their answers.

use super::yaml::{At, Bad, Entry, Kind, Node, Quotes, Result, get};
use super::{TAKEN, rest};
use crate::ScopeKind;
use crate::expr::{Expr, KEY, Names, Spread, UPPER, constant, parse};
use crate::provider::Provider;
use crate::run::{Also, Call, Decode, Fallback, Fold, Link, LinkSource, Make, Segment, Select, Until};
use chrono::TimeDelta;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

const CALL: [&str; 7] = ["call", "in", "region", "api", "body", "filter", "only_one"];
const LINK: [&str; 14] =
    ["each", "as", "unless", "none", "until", "every", "at_most", "decode", "else", "where", "fold", "as_of", "make", "or_list"];
const VALUES: [&str; 4] = ["values", "as", "unless", "where"];
const MAKE: [&str; 4] = ["on", "until", "every", "at_most"];
const GET: [&str; 3] = ["take", "none", "else"];
const ALSO: [&str; 5] = ["take", "each", "per", "null", "else"];
const ELSE: [&str; 2] = ["on", "take"];

/// The entries of a call that may have these keys beside those of every call.
fn known<'n>(node: &'n Node, what: &str, own: &[&str]) -> Result<&'n [Entry]> {
    let all: Vec<&str> = CALL.iter().chain(own).copied().collect();
    node.known(what, &all)
}

/// The names of a spec, known before its expressions are read.
pub(super) struct Reader {
    links: Vec<(String, usize)>,
    places: Vec<At>,
    alsos: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) provider: Provider,
    pub(super) scope: ScopeKind,
    /// The last link folds its rows.
    folds: bool,
    /// It reads a summary: `keys` are columns with upper bounds.
    summary: bool,
}

impl Reader {
    pub(super) fn new(top: &[Entry], keys: Vec<String>, provider: Provider, scope: ScopeKind) -> Result<Reader> {
        let mut reader =
            Reader { links: Vec::new(), places: Vec::new(), alsos: Vec::new(), keys, provider, scope, folds: false, summary: false };
        let mut taken: Vec<String> = TAKEN.iter().map(|s| (*s).to_owned()).collect();
        let mut take = |name: &str, at: At| {
            if taken.iter().any(|t| t == name) {
                return Err(Bad::new(at, format!("the name `{name}` is taken")).hint("choose another name"));
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(Bad::new(at, format!("`{name}` cannot be a name in expressions")).hint("letters, digits and _"));
            }
            taken.push(name.to_owned());
            Ok(name.to_owned())
        };
        if let Some(also) = get(top, "also") {
            for e in also.map("also")? {
                reader.alsos.push(take(&e.key, e.at)?);
            }
        }
        if let Some(rows) = get(top, "rows") {
            for (i, link) in rows.list("rows")?.iter().enumerate() {
                if let Some(alias) = get(link.map("a link")?, "as") {
                    reader.links.push((take(alias.text("as")?, alias.at)?, i));
                    reader.places.push(alias.at);
                }
                reader.folds = get(link.map("a link")?, "fold").is_some();
            }
        }
        Ok(reader)
    }

    /// The reader of a summary, whose chain stands in `top` as `rows`; `bounded` are columns that have upper bounds.
    pub(super) fn of_summary(top: &[Entry], bounded: Vec<String>, provider: Provider, scope: ScopeKind) -> Result<Reader> {
        Ok(Reader { summary: true, ..Reader::new(top, bounded, provider, scope)? })
    }

    /// `as:` names with link and place.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (&str, usize, At)> {
        self.links.iter().zip(&self.places).map(|((name, link), at)| (name.as_str(), *link, *at))
    }

    /// The names a column's source may use.
    pub(super) fn names(&self) -> Names<'_> {
        Names {
            links: &self.links,
            alsos: &self.alsos,
            keys: &self.keys,
            keys_are: if self.summary { UPPER } else { KEY },
            bare_keys: false,
            row: true,
            // Folded rows are of several pages.
            parent: !self.folds,
            item: false,
            fold: self.folds,
            facts: self.provider.facts(self.scope),
        }
    }

    /// Where members without a source are looked for.
    pub(super) fn spread(&self) -> Spread {
        match self.provider {
            Provider::Aws => Spread::Flat,
            Provider::Azure => Spread::Properties,
        }
    }

    pub(super) fn links(&self, top: &[Entry]) -> Result<Vec<Link>> {
        let Some(rows) = get(top, "rows") else { return Ok(Vec::new()) };
        let items = rows.list("rows")?;
        if items.is_empty() {
            return Err(Bad::new(rows.at, "`rows` has no link"));
        }
        items.iter().enumerate().map(|(i, node)| self.link(i, node, items.len())).collect()
    }

    fn link(&self, index: usize, node: &Node, of: usize) -> Result<Link> {
        let fixed = get(node.map("a link")?, "values");
        let entries = if fixed.is_some() { node.known("a link", &VALUES)? } else { known(node, "a link", &LINK)? };
        let unless = match get(entries, "unless") {
            None => None,
            Some(n) if index + 1 == of => {
                return Err(Bad::new(n.at, "the last link cannot have `unless`").hint("it makes the rows"));
            }
            Some(n) => Some(self.key(n)?),
        };
        let mut link = Link {
            index,
            at: node.at,
            source: LinkSource::Values(Arc::new(Value::Null)),
            each: Select::WHOLE,
            each_at: node.at,
            decode: Vec::new(),
            until: None,
            none: Vec::new(),
            fallback: None,
            unless,
            batch: None,
            only: None,
            fold: None,
            as_of: None,
            make: None,
            or_list: None,
        };
        let before: Vec<(String, usize)> = self.links.iter().filter(|(_, l)| *l < index).cloned().collect();
        let facts = if self.summary { self.provider.facts_together(self.scope) } else { self.provider.facts(self.scope) };
        let here = Names { links: &before, alsos: &[], parent: true, fold: false, facts, ..self.names() };
        let names = Names { row: index > 0, parent: index > 0, ..here };
        link.only = get(entries, "where").map(|n| Ok((expression(n, "where", &here)?, n.at))).transpose()?;
        if let Some(values) = fixed {
            link.source = match &values.kind {
                Kind::Text { .. } if index > 0 => LinkSource::Built(expression(values, "values", &names)?, values.at),
                _ => {
                    let values = values.list("values")?.iter().map(|n| Ok(literal(n.text("values")?, n))).collect::<Result<_>>()?;
                    LinkSource::Values(Arc::new(Value::Array(values)))
                }
            };
            return Ok(link);
        }
        let (call, batch) = self.call(entries, node, &names, true)?;
        if batch.is_some() && index == 0 {
            return Err(Bad::new(node.at, "the first link has no parents to batch"));
        }
        let each = get(entries, "each").ok_or_else(|| {
            Bad::new(node.at, format!("`each` is missing: which member of the answer of {} has the rows?", call.name()))
                .hint("`.` is the answer itself as one row")
        })?;
        link.each = select(each)?;
        link.each_at = each.at;
        link.source = LinkSource::Call(call);
        link.batch = batch;
        link.none = codes(entries, "none")?;
        link.fallback = self.fallback(entries, &names)?;
        link.fold = match get(entries, "fold") {
            None => None,
            Some(n) if index + 1 < of => return Err(Bad::new(n.at, "only the last link has `fold`").hint("it makes the rows")),
            Some(n) => Some(fold(n)?),
        };
        if let Some(decode) = get(entries, "decode") {
            link.decode = decode.list("decode")?.iter().map(decoding).collect::<Result<_>>()?;
        }
        link.until = until(entries)?;
        link.make = self.make(entries, &names)?;
        link.as_of = match get(entries, "as_of") {
            Some(n) if !self.summary => return Err(Bad::new(n.at, "`as_of` outside of `summaries`").hint("rows of a table are live")),
            node => node.map(|n| Ok((expression(n, "as_of", &Names::ANSWER)?, n.at))).transpose()?,
        };
        link.or_list = match get(entries, "or_list") {
            Some(n) if !self.summary => {
                return Err(Bad::new(n.at, "`or_list` outside of `summaries`").hint("there is nothing to list instead"));
            }
            node => node.map(|n| Ok((expression(n, "or_list", &Names { row: false, parent: false, ..here })?, n.at))).transpose()?,
        };
        Ok(link)
    }

    fn make(&self, entries: &[Entry], names: &Names<'_>) -> Result<Option<Box<Make>>> {
        let Some(node) = get(entries, "make") else { return Ok(None) };
        let inner = known(node, "`make`", &MAKE)?;
        let on = codes(inner, "on")?;
        if on.is_empty() {
            return Err(Bad::new(node.at, "`make` without `on`").hint("on: [the error codes that say that there is none yet]"));
        }
        let (call, _) = self.call(inner, node, names, false)?;
        let until =
            until(inner)?.ok_or_else(|| Bad::new(node.at, "`make` without `until`").hint("until: what its answer says at the end"))?;
        Ok(Some(Box::new(Make { on, call, until })))
    }

    fn key(&self, node: &Node) -> Result<usize> {
        let name = node.text("unless")?;
        self.keys.iter().position(|k| k == name).ok_or_else(|| {
            Bad::new(node.at, format!("`{name}` is not a key column of this table")).suggest(name, self.keys.iter().map(String::as_str))
        })
    }

    pub(super) fn get(&self, top: &[Entry], links: usize) -> Result<Option<Link>> {
        let Some(node) = get(top, "get") else { return Ok(None) };
        let entries = known(node, "`get`", &GET)?;
        let names = Names { links: &[], alsos: &[], bare_keys: true, row: false, parent: false, fold: false, ..self.names() };
        let (call, _) = self.call(entries, node, &names, false)?;
        let (each, each_at) = match get(entries, "take") {
            None => (Select::WHOLE, node.at),
            Some(take) => (select(take)?, take.at),
        };
        Ok(Some(Link {
            index: links.saturating_sub(1),
            at: node.at,
            source: LinkSource::Call(call),
            each,
            each_at,
            decode: Vec::new(),
            until: None,
            none: codes(entries, "none")?,
            fallback: self.fallback(entries, &names)?,
            unless: None,
            batch: None,
            only: None,
            fold: None,
            as_of: None,
            make: None,
            or_list: None,
        }))
    }

    pub(super) fn alsos(&self, top: &[Entry]) -> Result<Vec<Also>> {
        let Some(node) = get(top, "also") else { return Ok(Vec::new()) };
        node.map("also")?.iter().enumerate().map(|(i, e)| self.also(i, e)).collect()
    }

    fn also(&self, index: usize, entry: &Entry) -> Result<Also> {
        let entries = known(&entry.value, "a further call", &ALSO)?;
        let per = get(entries, "per");
        let names = Names { item: per.is_some(), ..self.names() };
        let (call, _) = self.call(entries, &entry.value, &names, false)?;
        let expr = |key: &str, names: &Names<'_>| get(entries, key).map(|n| Ok((expression(n, key, names)?, n.at))).transpose();
        let take = expr("take", &Names::ANSWER)?;
        let each = get(entries, "each").map(|n| Ok((select(n)?, n.at))).transpose()?;
        if let (Some(_), Some((_, at))) = (&take, &each) {
            return Err(
                Bad::new(*at, "a further call has `take` or `each`, not both").hint("take: one answer; each: the elements of all pages")
            );
        }
        Ok(Also {
            index,
            name: entry.key.clone(),
            call,
            per: expr("per", &self.names())?,
            each,
            take,
            null: codes(entries, "null")?,
            fallback: self.fallback(entries, &names)?,
        })
    }

    /// A call with its input.
    fn call(&self, entries: &[Entry], node: &Node, names: &Names<'_>, batches: bool) -> Result<(Call, Option<(usize, usize)>)> {
        let name = get(entries, "call").ok_or_else(|| Bad::new(node.at, "`call` is missing"))?;
        let text = name.text("call")?;
        let provider = Provider::of_call(text);
        if provider != self.provider {
            let message = format!("`{text}` is a call of {} in a table of {}", provider.name(), self.provider.name());
            return Err(Bad::new(name.at, message).hint("one table asks one cloud"));
        }
        match provider {
            Provider::Aws => aws(name, text, entries, names, batches),
            Provider::Azure => Ok((rest::call(name, text, entries, node, names)?, None)),
        }
    }

    fn fallback(&self, entries: &[Entry], names: &Names<'_>) -> Result<Option<Box<Fallback>>> {
        let Some(node) = get(entries, "else") else { return Ok(None) };
        let inner = known(node, "`else`", &ELSE)?;
        let on = codes(inner, "on")?;
        if on.is_empty() {
            return Err(Bad::new(node.at, "`else` without `on`").hint("on: [the error codes after which this call is made]"));
        }
        let (call, _) = self.call(inner, node, names, false)?;
        let take = get(inner, "take").map(|n| Ok((expression(n, "take", &Names::ANSWER)?, n.at))).transpose()?;
        Ok(Some(Box::new(Fallback { on, call, take })))
    }
}

/// Whose cloud a table asks, by its first call; `None` when it has none.
pub(super) fn provider(top: &[Entry]) -> Option<Provider> {
    let of = |node: &Node| match get(node.map("a call").ok()?, "call")?.text("call") {
        Ok(text) => Some(Provider::of_call(text)),
        Err(_) => None,
    };
    let rows = get(top, "rows").and_then(|n| n.list("rows").ok()).unwrap_or_default();
    let also = get(top, "also").and_then(|n| n.map("also").ok()).unwrap_or_default();
    rows.iter().find_map(of).or_else(|| of(get(top, "get")?)).or_else(|| also.iter().find_map(|e| of(&e.value)))
}

/// `call`, `in`, `region`.
fn aws(name: &Node, text: &str, entries: &[Entry], names: &Names<'_>, batches: bool) -> Result<(Call, Option<(usize, usize)>)> {
    rest::refuse_keys(entries)?;
    let Some((service, operation)) = text.split_once('.').filter(|(s, o)| !s.is_empty() && !o.is_empty() && !o.contains('.')) else {
        return Err(Bad::new(name.at, format!("`{text}` is not a call")).hint("written service.Operation: iam.ListUsers"));
    };
    let mut input = Vec::new();
    let mut batch = None;
    if let Some(given) = get(entries, "in") {
        for (i, e) in given.map("in")?.iter().enumerate() {
            let value = match (&e.value.kind, batches) {
                (Kind::Text { text, .. }, true) if text.trim_start().starts_with("batch(") => {
                    let (value, size) = batch_of(text, &e.value, names)?;
                    if batch.replace((i, size)).is_some() {
                        return Err(Bad::new(e.value.at, "a call has one batch"));
                    }
                    value
                }
                _ => value(&e.value, names)?,
            };
            input.push((e.key.clone(), value, e.at));
        }
    }
    let region = get(entries, "region").map(|n| Ok((expression(n, "region", names)?, n.at))).transpose()?;
    Ok((Call { at: name.at, service: service.into(), operation: operation.into(), input, region, rest: None }, batch))
}

/// `batch(expression, n)`.
fn batch_of(text: &str, node: &Node, names: &Names<'_>) -> Result<(Expr, usize)> {
    let bad = || Bad::new(node.at, format!("`{text}` is not a batch")).hint("written batch(expression, 100)");
    let inner = text.trim().strip_prefix("batch(").and_then(|t| t.strip_suffix(')')).ok_or_else(bad)?;
    let (expr, size) = inner.rsplit_once(',').ok_or_else(bad)?;
    let size = size.trim().parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(bad)?;
    Ok((compiled(expr.trim(), node, names)?, size))
}

/// A map of names to values.
pub(super) fn named_values(node: &Node, what: &str, names: &Names<'_>) -> Result<Vec<(String, Expr, At)>> {
    node.map(what)?.iter().map(|e| Ok((e.key.clone(), value(&e.value, names)?, e.at))).collect()
}

/// An input: an expression, a constant, or a structure of them.
fn value(node: &Node, names: &Names<'_>) -> Result<Expr> {
    Ok(match &node.kind {
        Kind::List(items) => Expr::List(items.iter().map(|n| value(n, names)).collect::<Result<_>>()?),
        Kind::Map(entries) => Expr::Object(entries.iter().map(|e| Ok((e.key.clone(), value(&e.value, names)?))).collect::<Result<_>>()?),
        Kind::Text { text, style: Quotes::Plain } => match literal(text, node) {
            Value::String(_) => expression(node, "an input", names)?,
            constant => Expr::Const(constant),
        },
        Kind::Text { .. } => expression(node, "an input", names)?,
    })
}

/// A plain scalar as YAML reads it: number, boolean or text.
pub(super) fn literal(text: &str, node: &Node) -> Value {
    match text {
        _ if !matches!(node.kind, Kind::Text { style: Quotes::Plain, .. }) => Value::String(text.to_owned()),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// An expression; in single quotes, a constant or template.
pub(super) fn expression(node: &Node, what: &str, names: &Names<'_>) -> Result<Expr> {
    let text = node.text(what)?;
    match &node.kind {
        Kind::Text { style: Quotes::Single, .. } => {
            constant(text, names).map_err(|(message, hint)| Bad { at: Some(node.at), message, hint })
        }
        _ => compiled(text, node, names),
    }
}

pub(super) fn compiled(text: &str, node: &Node, names: &Names<'_>) -> Result<Expr> {
    parse(text, names).map_err(|(message, hint)| Bad { at: Some(node.at), message, hint })
}

/// `each:`: a path whose lists are gone through, or an expression over the answer.
fn select(node: &Node) -> Result<Select> {
    let text = node.text("each")?.trim();
    if text == "." {
        return Ok(Select::WHOLE);
    }
    let segment = |part: &str| {
        let (name, each) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        let word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        word.then(|| Segment { name: name.into(), each })
    };
    match text.split('.').map(segment).collect() {
        Some(segments) => Ok(Select::Path(segments)),
        None => Ok(Select::Expr(compiled(text, node, &Names::ANSWER)?)),
    }
}

fn codes(entries: &[Entry], key: &str) -> Result<Vec<(String, At)>> {
    match get(entries, key) {
        None => Ok(Vec::new()),
        Some(node) => node.list(key)?.iter().map(|n| Ok((n.text(key)?.to_owned(), n.at))).collect(),
    }
}

fn fold(node: &Node) -> Result<Fold> {
    let entries = node.known("`fold`", &["by", "order"])?;
    let part = |key: &str| {
        let value = get(entries, key).ok_or_else(|| Bad::new(node.at, format!("`fold` has no `{key}`")))?;
        Ok((expression(value, key, &Names::ANSWER)?, value.at))
    };
    Ok(Fold { by: part("by")?, order: part("order")? })
}

fn decoding(node: &Node) -> Result<Decode> {
    match node.text("decode")? {
        "base64" => Ok(Decode::Base64),
        "csv" => Ok(Decode::Csv(None)),
        "json" => Ok(Decode::Json),
        other => Err(Bad::new(node.at, format!("unknown decoding `{other}`")).hint("base64, csv or json")),
    }
}

fn until(entries: &[Entry]) -> Result<Option<Until>> {
    let time = |key: &str, default: u64| get(entries, key).map_or(Ok(Duration::from_secs(default)), duration);
    let Some(node) = get(entries, "until") else {
        return match ["every", "at_most"].iter().find_map(|k| get(entries, k)) {
            Some(n) => Err(Bad::new(n.at, "`every` and `at_most` belong to `until`")),
            None => Ok(None),
        };
    };
    let done = expression(node, "until", &Names::ANSWER)?;
    Ok(Some(Until { done, at: node.at, every: time("every", 2)?, at_most: time("at_most", 300)? }))
}

/// `90d`, `4h`, `15m`.
pub(super) fn span(node: &Node, what: &str) -> Result<TimeDelta> {
    let text = node.text(what)?;
    let time = |unit: &str| text.strip_suffix(unit)?.parse::<u32>().ok().filter(|n| *n > 0).map(i64::from);
    let found = time("d").map(TimeDelta::days).or_else(|| time("h").map(TimeDelta::hours)).or_else(|| time("m").map(TimeDelta::minutes));
    found.ok_or_else(|| Bad::new(node.at, format!("`{text}` is not a time")).hint("written 90d, 12h or 15m"))
}

fn duration(node: &Node) -> Result<Duration> {
    let text = node.text("a time")?;
    let bad = || Bad::new(node.at, format!("`{text}` is not a time")).hint("written 500ms, 2s or 5m");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..split].parse().map_err(|_| bad())?;
    match &text[split..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(bad()),
    }
}

/// A map of words to constants, for `map:`.
pub(super) fn constants(node: &Node) -> Result<Map<String, Value>> {
    node.map("map")?.iter().map(|e| Ok((e.key.clone(), literal(e.value.text("map")?, &e.value)))).collect()
}
