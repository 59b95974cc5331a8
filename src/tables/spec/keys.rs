//! `keys:`: columns whose filters become request parameters.

use super::calls::constants;
use super::yaml::{At, Bad, Entry, Kind, Node, Result, get};
use crate::expr::{Expr, Root};
use crate::plan::RangeOp;
use crate::program::{KeySpec, Op, Program, Target};
use crate::run::{LinkSource, Takes};
use crate::table::KeyOp;

const OPS: [(&str, Op); 6] = [
    ("=", Op::Eq),
    ("prefix", Op::Prefix),
    (">", Op::Range(RangeOp::Gt)),
    (">=", Op::Range(RangeOp::Ge)),
    ("<", Op::Range(RangeOp::Lt)),
    ("<=", Op::Range(RangeOp::Le)),
];

pub(super) fn keys(top: &[Entry], program: &Program) -> Result<Vec<KeySpec>> {
    let Some(node) = get(top, "keys") else { return Ok(Vec::new()) };
    node.map("keys")?.iter().enumerate().map(|(i, e)| key(i, e, program)).collect()
}

fn key(index: usize, entry: &Entry, program: &Program) -> Result<KeySpec> {
    let Some(column) = program.columns.iter().position(|c| c.name == entry.key) else {
        let names = program.columns.iter().map(|c| c.name.as_str());
        return Err(Bad::new(entry.at, format!("key column `{}` is not a column", entry.key)).suggest(&entry.key, names));
    };
    let entries = entry.value.known("a key column", &["to", "ops", "map", "required"])?;
    let mut targets = Vec::new();
    match get(entries, "to") {
        None => {}
        Some(Node { kind: Kind::Map(by_op), .. }) => {
            for e in by_op {
                let Some((_, op)) = OPS.iter().find(|(n, _)| *n == e.key) else {
                    return Err(Bad::new(e.at, format!("unknown operator `{}`", e.key)).hint("=, prefix, >, >=, <, <="));
                };
                targets.push((*op, target(&e.value, program)?));
            }
        }
        Some(node) => targets.push((Op::Eq, target(node, program)?)),
    }
    let key = KeySpec {
        name: entry.key.clone(),
        column,
        required: get(entries, "required").map_or(Ok(false), |n| n.bool("required"))?,
        targets,
        map: get(entries, "map").map(|n| Ok(constants(n)?.into_iter().collect())).transpose()?,
        read: reads(program, index),
    };
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
    let links = program.links.iter().chain(&program.get).filter_map(|l| match &l.source {
        LinkSource::Call(call) => Some((call, l.fallback.as_deref())),
        LinkSource::Values(_) => None,
    });
    let alsos = program.alsos.iter().map(|a| (&a.call, a.fallback.as_deref()));
    let calls = links.chain(alsos).flat_map(|(call, fallback)| std::iter::once(call).chain(fallback.map(|f| &f.call)));
    let inputs = calls.flat_map(|c| c.input.iter().map(|(_, e, _)| e).chain(c.region.iter().map(|(e, _)| e)));
    inputs.chain(program.columns.iter().map(|c| &c.source)).collect()
}

fn reads(program: &Program, key: usize) -> bool {
    expressions(program).iter().any(|e| e.all_roots().iter().any(|r| *r == Root::Key(key) || *r == Root::Keys))
}

/// `Operation.Member`, `Operation.Member[]`, `Operation.Member[filter-name]`.
fn target(node: &Node, program: &Program) -> Result<Target> {
    let text = node.text("to")?;
    let bad = || {
        Bad::new(node.at, format!("`{text}` is no request parameter"))
            .hint("written Operation.Member, Operation.Member[] or Operation.Filters[name]")
    };
    let (operation, member) = text.split_once('.').ok_or_else(bad)?;
    let links: Vec<usize> =
        program.links.iter().filter(|l| matches!(&l.source, LinkSource::Call(c) if &*c.operation == operation)).map(|l| l.index).collect();
    if links.is_empty() {
        let names = program.links.iter().filter_map(|l| match &l.source {
            LinkSource::Call(c) => Some(&*c.operation),
            LinkSource::Values(_) => None,
        });
        return Err(Bad::new(node.at, format!("`rows` has no call {operation}")).suggest(operation, names));
    }
    let (member, takes) = match member.split_once('[') {
        None => (member, Takes::One),
        Some((member, "]")) => (member, Takes::List),
        Some((member, rest)) => (member, Takes::Filter(rest.strip_suffix(']').filter(|n| !n.is_empty()).ok_or_else(bad)?.to_owned())),
    };
    if member.is_empty() || !member.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(bad());
    }
    Ok(Target { at: node.at, links, member: member.to_owned(), takes })
}

/// A key that an input reads without an alternative has to be required; `unless:` needs a key that reaches the links after it.
pub(super) fn check_unless(top: &[Entry], program: &Program) -> Result<()> {
    for link in &program.links {
        if let LinkSource::Call(call) = &link.source {
            for (name, expr, at) in &call.input {
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
