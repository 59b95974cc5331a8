//! `keys:`: columns whose filters become request parameters.

use super::calls::{Reader, constants, span};
use super::rest;
use super::yaml::{At, Bad, Entry, Kind, Node, Result, get};
use crate::expr::{Expr, Root};
use crate::plan::RangeOp;
use crate::program::{KeySpec, Op, Program, Target};
use crate::provider::Provider;
use crate::run::{Call, FILTER, Link, LinkSource, Takes};
use crate::table::KeyOp;
use crate::{ColumnType, run};

const OPS: [(&str, Op); 6] = [
    ("=", Op::Eq),
    ("prefix", Op::Prefix),
    (">", Op::Range(RangeOp::Gt)),
    (">=", Op::Range(RangeOp::Ge)),
    ("<", Op::Range(RangeOp::Lt)),
    ("<=", Op::Range(RangeOp::Le)),
];

pub(super) fn keys(top: &[Entry], program: &Program, reader: &Reader) -> Result<Vec<KeySpec>> {
    let Some(node) = get(top, "keys") else { return Ok(Vec::new()) };
    node.map("keys")?.iter().enumerate().map(|(i, e)| key(i, e, program, reader)).collect()
}

fn key(index: usize, entry: &Entry, program: &Program, reader: &Reader) -> Result<KeySpec> {
    let Some(column) = program.columns.iter().position(|c| c.name == entry.key) else {
        let names = program.columns.iter().map(|c| c.name.as_str());
        return Err(Bad::new(entry.at, format!("key column `{}` is not a column", entry.key)).suggest(&entry.key, names));
    };
    let entries = entry.value.known("a key column", &["to", "ops", "map", "required", "keep"])?;
    let ty = program.columns[column].ty;
    let target = |node: &Node| target(node, ty, program, reader);
    let mut targets = Vec::new();
    match get(entries, "to") {
        None => {}
        Some(Node { kind: Kind::Map(by_op), .. }) => {
            for e in by_op {
                let Some((_, op)) = OPS.iter().find(|(n, _)| *n == e.key) else {
                    return Err(Bad::new(e.at, format!("unknown operator `{}`", e.key)).hint("=, prefix, >, >=, <, <="));
                };
                targets.push((*op, target(&e.value)?));
            }
        }
        Some(node) => targets.push((Op::Eq, target(node)?)),
    }
    let key = KeySpec {
        name: entry.key.clone(),
        column,
        required: get(entries, "required").map_or(Ok(false), |n| n.bool("required"))?,
        targets,
        map: get(entries, "map").map(|n| Ok(constants(n)?.into_iter().collect())).transpose()?,
        read: reads(program, index),
        keep: get(entries, "keep").map(|n| span(n, "keep")).transpose()?,
    };
    if let Some(node) = get(entries, "keep") {
        if ty != ColumnType::Timestamp {
            return Err(Bad::new(node.at, format!("`keep` on {}, which is no timestamp", entry.key)));
        }
        if key.bound(RangeOp::Ge).is_none() {
            return Err(Bad::new(node.at, "`keep` without a target for `>=`").hint("to: { \">=\": … }"));
        }
    }
    if key.targets.is_empty() && !key.read {
        return Err(Bad::new(entry.at, format!("key column `{}` reaches no request", entry.key))
            .hint("give it `to:`, or use it in the `in:` of `get` or as key.name"));
    }
    if let Some(node) = get(entries, "ops") {
        check_ops(node, &key)?;
    }
    Ok(key)
}

/// `ops:` only repeats what `to:` says, for the reader; it must not say something else.
fn check_ops(node: &Node, key: &KeySpec) -> Result<()> {
    let known = ops(key);
    for item in node.list("ops")? {
        let text = item.text("ops")?;
        let op = match text {
            "=" => KeyOp::Eq,
            "in" => KeyOp::In,
            "prefix" => KeyOp::Prefix,
            ">" | ">=" | "<" | "<=" => KeyOp::Range,
            _ => return Err(Bad::new(item.at, format!("unknown operator `{text}`")).hint("=, in, prefix, >, >=, <, <=")),
        };
        if !known.contains(&op) {
            return Err(Bad::new(item.at, format!("`{text}` has no target in `to:`")));
        }
    }
    Ok(())
}

/// The operators of a key column, as `Table` shows them.
pub(super) fn ops(key: &KeySpec) -> Vec<KeyOp> {
    let mut out = Vec::new();
    if key.read || key.target(Op::Eq).or(key.target(Op::Prefix)).is_some() {
        out.extend([KeyOp::Eq, KeyOp::In]);
    }
    if key.target(Op::Prefix).is_some() {
        out.push(KeyOp::Prefix);
    }
    if key.targets.iter().any(|(op, _)| matches!(op, Op::Range(_))) {
        out.push(KeyOp::Range);
    }
    out
}

/// Every expression a request or a column is made of.
fn expressions(program: &Program) -> Vec<&Expr> {
    let links = program.links.iter().chain(&program.get).flat_map(Link::exprs);
    let alsos = program.alsos.iter().map(|a| (&a.call, a.fallback.as_deref()));
    let calls = alsos.flat_map(|(call, fallback)| std::iter::once(call).chain(fallback.map(|f| &f.call)));
    links.chain(calls.flat_map(Call::exprs)).map(|(e, _)| e).chain(program.columns.iter().map(|c| &c.source)).collect()
}

fn reads(program: &Program, key: usize) -> bool {
    expressions(program).iter().any(|e| e.all_roots().iter().any(|r| *r == Root::Key(key) || *r == Root::Keys))
}

/// `Operation.Member`, `Operation.Member[]`, `Operation.Member[filter-name]`; the call by its operation or by its `as:`.
fn target(node: &Node, ty: ColumnType, program: &Program, reader: &Reader) -> Result<Target> {
    let text = node.text("to")?;
    let azure = program.provider == Provider::Azure;
    let bad = || {
        let hint = match azure {
            false => "written Operation.Member, Operation.Member[] or Operation.Filters[name]",
            true => "written name.parameter or name.$filter[property eq], where `as: name` names the call",
        };
        Bad::new(node.at, format!("`{text}` is no request parameter")).hint(hint)
    };
    let (operation, member) = text.split_once('.').ok_or_else(bad)?;
    let calls = || program.links.iter().filter_map(|l| call_of(l).map(|c| (l.index, c)));
    let alias = reader.aliases().find(|(name, link, _)| *name == operation && call_of(&program.links[*link]).is_some());
    let links: Vec<usize> = match alias {
        Some((_, link, _)) => vec![link],
        None => calls().filter(|(_, c)| &*c.operation == operation).map(|(link, _)| link).collect(),
    };
    if links.is_empty() {
        let names = calls().map(|(_, c)| &*c.operation).chain(reader.aliases().map(|(name, ..)| name));
        return Err(Bad::new(node.at, format!("`rows` has no call {operation}")).suggest(operation, names));
    }
    let (member, takes) = match member.split_once('[') {
        None => (member, Takes::One),
        Some((member, "]")) => (member, Takes::List),
        Some((member, rest)) => {
            let inner = rest.strip_suffix(']').map(str::trim).filter(|n| !n.is_empty()).ok_or_else(bad)?;
            let takes = match azure {
                false => Takes::Filter(inner.to_owned()),
                true => {
                    let key = rest::clause_key(inner).filter(|key| member == FILTER && key == inner).ok_or_else(bad)?;
                    // OData writes times without quotes; the Resource Manager with them.
                    let on_arm = links.iter().all(|l| call_of(&program.links[*l]).is_some_and(|c| &*c.service == "arm"));
                    Takes::Clause { key, quoted: on_arm || ty != ColumnType::Timestamp }
                }
            };
            (member, takes)
        }
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || (azure && c == '$');
    if member.is_empty() || !member.chars().all(word) {
        return Err(bad());
    }
    Ok(Target { at: node.at, links, member: member.to_owned(), takes, by_alias: alias.is_some() })
}

fn call_of(link: &Link) -> Option<&Call> {
    match &link.source {
        LinkSource::Call(call) => Some(call),
        LinkSource::Values(_) | LinkSource::Built(..) => None,
    }
}

/// Names of `only_one:` are those of clauses.
pub(super) fn check_only_one(program: &Program) -> Result<()> {
    for link in program.links.iter().chain(&program.get) {
        let Some(call) = call_of(link) else { continue };
        let targets = program.keys.iter().flat_map(|k| &k.targets).filter(|(_, t)| t.links.contains(&link.index));
        let clauses = targets.filter_map(|(_, t)| match &t.takes {
            Takes::Clause { key, .. } => Some(key.as_str()),
            _ => None,
        });
        rest::check_only_one(call, clauses)?;
    }
    program.alsos.iter().try_for_each(|a| rest::check_only_one(&a.call, std::iter::empty()))
}

/// A key that an input reads without an alternative has to be required; `unless:` needs a key that reaches the links after it.
pub(super) fn check_unless(top: &[Entry], program: &Program) -> Result<()> {
    for link in &program.links {
        if let Some(call) = call_of(link) {
            let of_rest = call.rest.as_deref().into_iter().flat_map(run::Rest::needed);
            for (name, expr, at) in call.input.iter().map(|(name, e, at)| (name.as_str(), e, at)).chain(of_rest) {
                let Some(key) = expr.bare_key().map(|k| &program.keys[k]) else { continue };
                if !key.required {
                    return Err(Bad::new(*at, format!("{name} has no value when a query gives no {}", key.name))
                        .hint("write `required: true` at the key column, or an alternative: key.x || …"));
                }
            }
        }
        if let Some(key) = link.unless.map(|k| &program.keys[k]) {
            let later = |t: &Target| t.links.iter().any(|l| *l > link.index);
            if !key.read && !key.targets.iter().any(|(_, t)| later(t)) {
                let at = unless_at(top, link.index).unwrap_or(link.at);
                return Err(Bad::new(at, format!("without this link nothing asks for {}", key.name))
                    .hint("give the key column a `to:` that is a parameter of a later link"));
            }
        }
    }
    Ok(())
}

fn unless_at(top: &[Entry], link: usize) -> Option<At> {
    let rows = get(top, "rows")?.list("rows").ok()?;
    get(rows.get(link)?.map("a link").ok()?, "unless").map(|n| n.at)
}
