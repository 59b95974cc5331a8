//! From the text of a spec to a [`Table`]: the grammar of `_example.yaml`, and its errors.

mod calls;
mod columns;
mod keys;
mod rest;
mod summaries;
pub(crate) mod yaml;

use crate::expr::Root;
use crate::program::Program;
use crate::table::{Key, ScopeKind, Table};
use crate::{Column, SpecError};
use calls::Reader;
use std::sync::Arc;
use summaries::Of;
use yaml::{Bad, Entry, Node, Result, get};

const TOP: [&str; 12] = ["table", "about", "scope", "service", "get", "rows", "also", "keys", "secret", "columns", "view", "summaries"];
/// Names that expressions have anyway.
const TAKEN: [&str; 16] = [
    "partition",
    "account_id",
    "region",
    "connection_name",
    "connection_regions",
    "home_region",
    "subscription_id",
    "asked_subscriptions",
    "tenant_id",
    "cloud_environment",
    "now",
    "key",
    "upper",
    "parent",
    "item",
    "fold",
];
const SCOPES: [(&str, ScopeKind); 4] = [
    ("account", ScopeKind::Account),
    ("region", ScopeKind::Region),
    ("subscription", ScopeKind::Subscription),
    ("tenant", ScopeKind::Tenant),
];

/// Loads a spec. `name` is what its file is called.
pub(crate) fn load(file: &str, name: &str, source: &str) -> std::result::Result<Table, SpecError> {
    read(name, source).map_err(|bad| bad.in_file(file))
}

fn read(file_name: &str, source: &str) -> Result<Table> {
    let document = yaml::parse(source)?;
    let top = document.known("a table", &TOP)?;
    let need = |key: &str| get(top, key).ok_or_else(|| Bad::new(document.at, format!("`{key}` is missing")));
    let name_node = need("table")?;
    let name = name_node.text("table")?;
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(word) {
        return Err(Bad::new(name_node.at, format!("`{name}` is not a table name")).hint("lower-case letters, digits and _"));
    }
    if name != file_name {
        return Err(
            Bad::new(name_node.at, format!("table {name} in a file called {file_name}.yaml")).hint("a file is named after its table")
        );
    }
    let about = need("about")?.text("about")?.to_owned();
    let secret = match get(top, "secret") {
        None => Vec::new(),
        Some(list) => list.list("secret")?.iter().map(|n| Ok((n.text("secret")?.to_owned(), n.at))).collect::<Result<_>>()?,
    };
    let declared = columns::declare(need("columns")?)?;
    for (column, at) in &secret {
        if !declared.iter().any(|d| d.name == *column) {
            let names = declared.iter().map(|d| d.name.as_str());
            return Err(Bad::new(*at, format!("secret column `{column}` does not exist")).suggest(column, names));
        }
    }
    let column = |d: &columns::Declared| Column {
        name: d.name.clone(),
        ty: d.ty,
        about: d.about.clone(),
        secret: secret.iter().any(|(s, _)| *s == d.name),
    };
    if let Some(view) = get(top, "view") {
        return view_of(top, name, about, view, &declared, declared.iter().map(column).collect());
    }
    let scope_node = need("scope")?;
    let provider = calls::provider(top).unwrap_or_default();
    let word = scope_node.text("scope")?;
    let Some((_, scope)) = SCOPES.into_iter().find(|(n, _)| *n == word) else {
        return Err(Bad::new(scope_node.at, format!("unknown scope `{word}`")).hint(provider.scopes()));
    };
    if !provider.has(scope) {
        return Err(Bad::new(scope_node.at, format!("scope {word} in a table of {}", provider.name())).hint(provider.scopes()));
    }
    let mut program = Program { provider, ..Program::default() };
    let key_names: Vec<String> = match get(top, "keys") {
        None => Vec::new(),
        Some(keys) => keys.map("keys")?.iter().map(|e| e.key.clone()).collect(),
    };
    program.key_names = key_names.clone().into();
    let reader = Reader::new(top, key_names, provider, scope)?;
    program.links = reader.links(top)?;
    program.get = reader.get(top, program.links.len())?;
    if program.links.is_empty() && program.get.is_none() {
        return Err(Bad::new(document.at, "a table needs `rows`, `get` or `view`"));
    }
    program.alsos = reader.alsos(top)?;
    program.columns = columns::sources(&declared, &secret, &reader)?;
    if let Some(column) = program.columns.iter().find(|c| c.secret && matches!(c.source, crate::expr::Expr::Named(..))) {
        return Err(Bad::new(column.at, format!("secret column {} has no source of its own", column.name))
            .hint("name the member, so that recordings can leave it out: type <- Member"));
    }
    check_cycles(&program, top)?;
    program.free_facts = scope == ScopeKind::Subscription;
    program.resolve();
    check_batches(&program, &reader)?;
    program.keys = keys::keys(top, &program, &reader)?;
    check_used(&program, top, &reader)?;
    keys::check_unless(top, &program)?;
    keys::check_only_one(&program)?;
    let mut all: Vec<Column> = declared.iter().map(column).collect();
    all.extend(program.columns[declared.len()..].iter().map(|c| Column {
        name: c.name.clone(),
        ty: c.ty,
        about: columns::about_common(&c.name).to_owned(),
        secret: false,
    }));
    let service = match get(top, "service") {
        Some(node) => Some(node.text("service")?.to_owned()),
        None if scope != ScopeKind::Region => None,
        None => program.links.iter().chain(&program.get).find_map(|l| match &l.source {
            crate::run::LinkSource::Call(call) => Some(call.service.to_string()),
            crate::run::LinkSource::Values(_) | crate::run::LinkSource::Built(..) => None,
        }),
    };
    let summaries = summaries::summaries(&Of { top, scope, program: &program, declared: &declared, secret: &secret })?;
    let public = |k: &crate::program::KeySpec| Key { column: k.name.clone(), ops: keys::ops(k), required: k.required };
    Ok(Table {
        name: name.to_owned(),
        about,
        scope,
        provider: provider.name().to_owned(),
        service,
        columns: all,
        keys: program.keys.iter().map(public).collect(),
        view: None,
        program: Arc::new(program),
        summaries,
    })
}

fn view_of(top: &[Entry], name: &str, about: String, view: &Node, declared: &[columns::Declared], columns: Vec<Column>) -> Result<Table> {
    for e in top {
        if !["table", "about", "view", "columns", "secret"].contains(&e.key.as_str()) {
            return Err(Bad::new(e.at, format!("`{}` has no meaning in a view", e.key)).hint("a view has table, about, view and columns"));
        }
    }
    if let Some(d) = declared.iter().find(|d| d.from.is_some()) {
        return Err(Bad::new(d.at, format!("column {} of a view has a source", d.name)).hint("the view's SQL gives the values"));
    }
    Ok(Table {
        name: name.to_owned(),
        about,
        scope: ScopeKind::Account,
        provider: name.split('_').next().unwrap_or(name).to_owned(),
        service: None,
        columns,
        keys: Vec::new(),
        view: Some(view.text("view")?.to_owned()),
        program: Arc::new(Program::default()),
        summaries: Vec::new(),
    })
}

/// Further calls must not wait for one another.
fn check_cycles(program: &Program, top: &[Entry]) -> Result<()> {
    let reads = |also: usize| {
        let mut out = Vec::new();
        program.alsos[also].inputs(&mut |e, _| {
            out.extend(e.all_roots().into_iter().filter_map(|r| match r {
                Root::Also(a) => Some(a),
                _ => None,
            }));
        });
        out
    };
    for start in 0..program.alsos.len() {
        let mut open = reads(start);
        let mut seen = vec![false; program.alsos.len()];
        while let Some(next) = open.pop() {
            if next == start {
                let name = &program.alsos[start].name;
                return Err(Bad::new(place(top, "also", name), format!("`{name}` needs its own answer")));
            }
            if !std::mem::replace(&mut seen[next], true) {
                open.extend(reads(next));
            }
        }
    }
    Ok(())
}

/// Every further call and every `as:` is used by something: what is not is a typing error somewhere else.
fn check_used(program: &Program, top: &[Entry], reader: &Reader) -> Result<()> {
    for also in &program.alsos {
        if !program.columns.iter().any(|c| c.alsos.contains(&also.index)) {
            return Err(Bad::new(place(top, "also", &also.name), format!("no column needs `{}`", also.name))
                .hint("remove it, or name it in a source"));
        }
    }
    check_aliases(program, reader)
}

fn check_aliases(program: &Program, reader: &Reader) -> Result<()> {
    for (name, link, at) in reader.aliases() {
        let mut used = program.columns.iter().any(|c| c.source.all_roots().contains(&Root::Link(link)));
        for also in &program.alsos {
            also.inputs(&mut |e, _| used |= e.all_roots().contains(&Root::Link(link)));
        }
        used |= program.links.iter().flat_map(crate::run::Link::exprs).any(|(e, _)| e.all_roots().contains(&Root::Link(link)));
        // A key column that names the call by it has asked for this link alone.
        used |= program.keys.iter().flat_map(|k| &k.targets).any(|(_, t)| t.by_alias && t.links == [link]);
        if !used {
            return Err(Bad::new(at, format!("nothing uses `as: {name}`")).hint("remove it"));
        }
    }
    Ok(())
}

/// A row of a batch has many parents, so nothing behind the batch may read the one it was asked with.
fn check_batches(program: &Program, reader: &Reader) -> Result<()> {
    for batch in program.links.iter().filter(|l| l.batch.is_some()) {
        let Some((name, link, _)) = reader.aliases().find(|(_, link, _)| link + 1 == batch.index) else { continue };
        let reads = |e: &crate::expr::Expr| e.all_roots().contains(&Root::Link(link));
        let late = |at| {
            Bad::new(at, format!("`{name}` is read behind a batch"))
                .hint("rows of a batch do not know which id they belong to; read it from the answer")
        };
        if let Some(column) = program.columns.iter().find(|c| reads(&c.source)) {
            return Err(late(column.at));
        }
        let mut found = None;
        for also in &program.alsos {
            also.inputs(&mut |e, at| found = found.or(reads(e).then_some(at)));
        }
        for later in &program.links[batch.index + 1..] {
            later.exprs().for_each(|(e, at)| found = found.or(reads(e).then_some(at)));
        }
        if let Some(at) = found {
            return Err(late(at));
        }
    }
    Ok(())
}

/// The place of an entry of a map at the top.
fn place(top: &[Entry], map: &str, key: &str) -> yaml::At {
    let found = get(top, map).and_then(|n| n.map(map).ok()).and_then(|m| m.iter().find(|e| e.key == key));
    found.map_or((1, 1), |e| e.at)
}

#[cfg(test)]
mod tests;
