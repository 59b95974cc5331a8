//! Azure's calls: `arm GET /path/{value}`, `arg "query"`, `api:`, `body:`, `filter:`, `only_one:`.

use super::calls::named_values;
use super::yaml::{At, Bad, Entry, Node, Result, get};
use crate::expr::{Expr, Fact, Names, Piece, Root, pieces};
use crate::provider::{APIS, RESOURCE_GRAPH};
use crate::run::{Call, Clause, FILTER, Front, Rest, property};
use serde_json::{Value, json};

/// Keys of a call that only Azure's have.
pub(super) const KEYS: [&str; 4] = ["api", "body", "filter", "only_one"];

/// Where queries of the Resource Graph go, and the newest version of its API.
const GRAPH_PATH: &str = "/providers/Microsoft.ResourceGraph/resources";
const GRAPH_VERSION: &str = "2021-03-01";
/// Rows of a page: the most the Resource Graph gives.
const GRAPH_PAGE: u64 = 1000;

/// Reads a call. The name is known to be one of Azure's.
pub(super) fn call(name: &Node, text: &str, entries: &[Entry], node: &Node, names: &Names<'_>) -> Result<Call> {
    if let Some(region) = get(entries, "region") {
        return Err(Bad::new(region.at, "`region` belongs to calls of aws"));
    }
    let (service, rest) = text.trim().split_once(char::is_whitespace).map_or((text.trim(), ""), |(s, r)| (s, r.trim()));
    if service == RESOURCE_GRAPH {
        return resource_graph(name, rest, entries, names);
    }
    let bad = || Bad::new(name.at, format!("`{text}` is not a call")).hint("written arm GET /path/{value}");
    if !APIS.contains(&service) {
        return Err(bad());
    }
    let Some((method, path)) = rest.split_once(char::is_whitespace).map(|(m, p)| (m, p.trim())) else { return Err(bad()) };
    if !["GET", "POST"].contains(&method) {
        return Err(Bad::new(name.at, format!("`{method}` is no method of a call that reads")).hint("GET or POST"));
    }
    let (path, written) = parted(path);
    let version = version(service, entries, node)?;
    // Graph has its version in front of the path.
    let versioned = match (service, &version) {
        ("graph", (version, _)) if path.starts_with('/') => format!("/{version}{path}"),
        _ => path.to_owned(),
    };
    let (path, front) = front(&versioned, name, names, service)?;
    let query = written.map_or(Ok(Vec::new()), |q| constants(q, name))?;
    let filter = get(entries, "filter").map_or(Ok(Vec::new()), |n| clauses(n, names))?;
    let body = get(entries, "body").map_or(Ok(Vec::new()), |n| named_values(n, "body", names))?;
    if let Some(n) = get(entries, "body").filter(|_| method == "GET") {
        return Err(Bad::new(n.at, "a GET has no `body`").hint("query parameters go into `in:`"));
    }
    let operation = format!("{method} {}{}", collapsed(&path), written.map(|q| format!("?{q}")).unwrap_or_default());
    let rest = Rest {
        path,
        path_at: name.at,
        front,
        query,
        version: (service != "graph").then_some(version),
        body,
        filter,
        only_one: get(entries, "only_one").map_or(Ok(Vec::new()), only_one)?,
    };
    Ok(Call {
        at: name.at,
        service: service.into(),
        operation: operation.into(),
        input: get(entries, "in").map_or(Ok(Vec::new()), |n| named_values(n, "in", names))?,
        region: None,
        rest: Some(Box::new(rest)),
    })
}

/// A path as operations are named: whatever varies is `{}`.
fn collapsed(path: &[Piece]) -> String {
    path.iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(_) => "{}",
        })
        .collect()
}

/// Path and what stands behind its question mark; one inside braces belongs to an expression.
fn parted(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '?' if depth == 0 => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

fn front(path: &str, name: &Node, names: &Names<'_>, service: &str) -> Result<(Vec<Piece>, Front)> {
    let wrong = |(message, hint)| Bad { at: Some(name.at), message, hint };
    let path = pieces(path, names).map_err(wrong)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '#' | '"' | '\\' | '%' | '\'' | '}');
    if let Some(text) = path.iter().find_map(|p| match p {
        Piece::Text(text) if text.contains(odd) => Some(text),
        _ => None,
    }) {
        return Err(Bad::new(name.at, format!("`{text}` cannot stand in a path")).hint("what varies is written {in braces}"));
    }
    let plane = !matches!(service, "arm" | "graph");
    let front = match path.as_slice() {
        [Piece::Value(_), rest @ ..] if plane => match rest.first() {
            Some(Piece::Text(text)) if !text.starts_with('/') => return Err(address(name)),
            Some(Piece::Value(_)) => return Err(address(name)),
            _ => Front::Address,
        },
        _ if plane => return Err(address(name)),
        [Piece::Text(slash), Piece::Value(_), rest @ ..]
            if slash == "/" && rest.first().is_none_or(|p| matches!(p, Piece::Text(t) if t.starts_with('/'))) =>
        {
            Front::ResourceId
        }
        [Piece::Text(text), ..] if text.starts_with('/') => Front::Path,
        _ => return Err(Bad::new(name.at, "a path begins with `/`").hint("written arm GET /subscriptions/{subscription_id}/…")),
    };
    // A user's own name in front of a path of Graph is no resource id: there are none.
    Ok((path, if service == "graph" { Front::Path } else { front }))
}

fn address(name: &Node) -> Bad {
    Bad::new(name.at, "a call of the storage data plane begins with the address of the account")
        .hint("written blob GET {properties.primaryEndpoints.blob}/{container}?restype=container")
}

fn constants(query: &str, name: &Node) -> Result<Vec<(String, String)>> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | ',');
    let one = |part: &str| {
        let (key, value) = part.split_once('=').filter(|(k, v)| !k.is_empty() && k.chars().all(word) && v.chars().all(word))?;
        Some((key.to_owned(), value.to_owned()))
    };
    query.split('&').map(one).collect::<Option<Vec<_>>>().ok_or_else(|| {
        Bad::new(name.at, format!("`?{query}` in a path has to be constant")).hint("written ?name=value&…; what varies goes into `in:`")
    })
}

fn version(service: &str, entries: &[Entry], node: &Node) -> Result<(String, At)> {
    let graph = service == "graph";
    let Some(api) = get(entries, "api") else {
        return match graph {
            true => Ok(("v1.0".to_owned(), node.at)),
            false => Err(Bad::new(node.at, "`api` is missing: the version of the API").hint("written api: 2023-05-01")),
        };
    };
    let text = api.text("api")?;
    let dated = |text: &str| {
        let (date, rest) = text.split_at_checked(10).unwrap_or((text, ""));
        let digits = |r: std::ops::Range<usize>| date.get(r).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()));
        let date_ok = date.len() == 10 && digits(0..4) && &date[4..5] == "-" && digits(5..7) && &date[7..8] == "-" && digits(8..10);
        date_ok && (rest.is_empty() || rest.strip_prefix('-').is_some_and(|r| r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')))
    };
    match graph {
        true if ["v1.0", "beta"].contains(&text) => {}
        true => return Err(Bad::new(api.at, format!("`{text}` is no version of Graph")).hint("v1.0 or beta")),
        false if dated(text) => {}
        false => return Err(Bad::new(api.at, format!("`{text}` is no version of an API")).hint("a date: 2023-05-01, 2021-05-01-preview")),
    }
    Ok((text.to_owned(), api.at))
}

fn clauses(node: &Node, names: &Names<'_>) -> Result<Vec<Clause>> {
    let clause = |n: &Node| {
        let text = n.text("a clause")?;
        let key = clause_key(text)
            .ok_or_else(|| Bad::new(n.at, format!("`{text}` is no clause of a filter")).hint("written \"property eq '{value}'\""))?;
        let pieces = pieces(text, names).map_err(|(message, hint)| Bad { at: Some(n.at), message, hint })?;
        Ok(Clause { pieces, at: n.at, key })
    };
    node.list("filter")?.iter().map(clause).collect()
}

/// Property and operator.
pub(super) fn clause_key(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let (property, operator) = (words.next()?, words.next()?);
    let word = property.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.'));
    let known = ["eq", "ne", "ge", "gt", "le", "lt"].contains(&operator);
    (word && known).then(|| format!("{property} {operator}"))
}

fn only_one(node: &Node) -> Result<Vec<(String, At)>> {
    node.list("only_one")?.iter().map(|n| Ok((n.text("only_one")?.to_owned(), n.at))).collect()
}

/// What `only_one:` names has to be a property of a clause or of a key column, else it is a typing error.
pub(super) fn check_only_one<'a>(call: &'a Call, targets: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let Some(rest) = &call.rest else { return Ok(()) };
    let known = || rest.filter.iter().map(|c| property(&c.key)).chain(targets.clone().map(property));
    match rest.only_one.iter().find(|(name, _)| !known().any(|k| k == name)) {
        None => Ok(()),
        Some((name, at)) => Err(Bad::new(*at, format!("no clause of `{FILTER}` is about `{name}`")).suggest(name, known())),
    }
}

/// `arg "resources | where …"`: the POST that asks the Resource Graph.
fn resource_graph(name: &Node, text: &str, entries: &[Entry], names: &Names<'_>) -> Result<Call> {
    if let Some(key) = ["in", "body", "filter", "only_one"].into_iter().find(|k| get(entries, k).is_some()) {
        let at = entries.iter().find(|e| e.key == key).map_or(name.at, |e| e.at);
        return Err(Bad::new(at, format!("a query of the Resource Graph has no `{key}`")).hint("conditions stand in the query"));
    }
    let unquoted = ['"', '\''].into_iter().find_map(|q| text.strip_prefix(q)?.strip_suffix(q)).map(str::trim);
    let Some(query) = unquoted.filter(|q| !q.is_empty()) else {
        return Err(Bad::new(name.at, format!("`{RESOURCE_GRAPH} {text}` is not a call")).hint("written arg \"resources | where …\""));
    };
    let version = match get(entries, "api") {
        Some(_) => version("arm", entries, name)?,
        None => (GRAPH_VERSION.to_owned(), name.at),
    };
    let constant = |v: Value| Expr::Const(v);
    let mut body = vec![
        ("query".to_owned(), constant(Value::from(query)), name.at),
        ("options".to_owned(), constant(json!({ "resultFormat": "objectArray", "$top": GRAPH_PAGE })), name.at),
    ];
    let fact = |wanted: Fact| names.facts.iter().any(|(_, fact)| *fact == wanted).then(|| Expr::Path(Root::Fact(wanted), Vec::new()));
    if let Some(subscriptions) = fact(Fact::Asked).or_else(|| Some(Expr::List(vec![fact(Fact::AccountId)?]))) {
        body.insert(1, ("subscriptions".to_owned(), subscriptions, name.at));
    }
    let rest = Rest {
        path: vec![Piece::Text(GRAPH_PATH.to_owned())],
        path_at: name.at,
        front: Front::Path,
        query: Vec::new(),
        version: Some(version),
        body,
        filter: Vec::new(),
        only_one: Vec::new(),
    };
    Ok(Call {
        at: name.at,
        service: "arm".into(),
        operation: format!("POST {GRAPH_PATH}").into(),
        input: Vec::new(),
        region: None,
        rest: Some(Box::new(rest)),
    })
}

/// A call of aws has none of Azure's keys.
pub(super) fn refuse_keys(entries: &[Entry]) -> Result<()> {
    match entries.iter().find(|e| KEYS.contains(&e.key.as_str())) {
        None => Ok(()),
        Some(e) => Err(Bad::new(e.at, format!("`{}` belongs to calls of azure", e.key))),
    }
}
