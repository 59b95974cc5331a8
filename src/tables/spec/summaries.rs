//! `summaries:`: other ways to the rows of a table, each a chain of its own that is compiled like `rows:`.

use super::calls::{Reader, literal, span};
use super::columns::{self, Declared};
use super::yaml::{At, Bad, Entry, Node, Result, get};
use super::{check_aliases, check_batches};
use crate::ColumnType;
use crate::program::{KeySpec, Op, Program};
use crate::run::{LinkSource, Takes};
use crate::summary::Summary;
use crate::table::ScopeKind;
use chrono::TimeDelta;
use serde_json::Value;
use std::sync::Arc;

const SUMMARY: [&str; 6] = ["source", "staleness", "when", "rows", "columns", "without"];

/// The table that summaries are of.
pub(super) struct Of<'a> {
    pub(super) top: &'a [Entry],
    pub(super) scope: ScopeKind,
    pub(super) program: &'a Program,
    pub(super) declared: &'a [Declared],
    pub(super) secret: &'a [(String, At)],
}

pub(super) fn summaries(of: &Of<'_>) -> Result<Vec<Arc<Summary>>> {
    let Some(node) = get(of.top, "summaries") else { return Ok(Vec::new()) };
    node.list("summaries")?.iter().map(|node| of.summary(node).map(Arc::new)).collect()
}

impl Of<'_> {
    fn summary(&self, node: &Node) -> Result<Summary> {
        let entries = node.known("a summary", &SUMMARY)?;
        let need = |key: &str| get(entries, key).ok_or_else(|| Bad::new(node.at, format!("`{key}` of the summary is missing")));
        let source = need("source")?.text("source")?.to_owned();
        let staleness = get(entries, "staleness").map_or(Ok(TimeDelta::zero()), |n| span(n, "staleness"))?;
        let when = match get(entries, "when") {
            None => Vec::new(),
            Some(when) => when.map("when")?.iter().map(|e| self.condition(e)).collect::<Result<_>>()?,
        };
        let bounded: Vec<&Declared> =
            self.declared.iter().filter(|d| matches!(d.ty, ColumnType::Int | ColumnType::Double | ColumnType::Timestamp)).collect();
        let names: Vec<String> = bounded.iter().map(|d| d.name.clone()).collect();
        let mut chain = vec![Entry { key: "rows".to_owned(), at: node.at, value: need("rows")?.clone() }];
        chain.extend(self.top.iter().filter(|e| e.key == "also").cloned());
        let provider = self.program.provider;
        let reader = Reader::of_summary(&chain, names.clone(), provider, self.scope)?;
        let mut program = Program { provider, key_names: names.clone().into(), ..Program::default() };
        program.links = reader.links(&chain)?;
        program.alsos = reader.alsos(&chain)?;
        let (sources, gives) = columns::of_summary(self.declared, self.secret, get(entries, "columns"), get(entries, "without"), &reader)?;
        program.columns = sources;
        program.free_facts = self.program.free_facts;
        program.resolve();
        program.prune();
        check_batches(&program, &reader)?;
        check_aliases(&program, &reader)?;
        program.keys = names.iter().filter_map(|name| upper(name, &program)).collect();
        let dated = program.links.iter().find_map(|link| link.as_of.as_ref());
        if let Some((_, at)) = dated.filter(|_| staleness.is_zero()) {
            return Err(Bad::new(*at, "`as_of` without `staleness`").hint("staleness: 4h, how old it can be"));
        }
        let dated = dated.is_some();
        let head = program.links.iter().rposition(|link| link.as_of.is_some() || link.is_shared()).unwrap_or(0);
        if let Some((_, at)) = program.links[head + 1..].iter().find_map(|link| link.or_list.as_ref()) {
            return Err(
                Bad::new(*at, "`or_list` behind the summary: rows are out by then").hint("it belongs to a link that reads the summary")
            );
        }
        let reads = |name: &String| program.links.iter().flat_map(crate::run::Link::exprs).any(|(e, _)| reads_upper(e, name, &names));
        let bounded = names.iter().filter(|name| reads(name)).cloned().collect();
        program.parents = self.parents(&program);
        Ok(Summary { source, staleness, dated, head, when, bounded, program: Arc::new(program), gives })
    }

    /// `column: value`, or a list of values.
    fn condition(&self, entry: &Entry) -> Result<(String, Vec<Value>)> {
        if !self.declared.iter().any(|d| d.name == entry.key) {
            let names = self.declared.iter().map(|d| d.name.as_str());
            return Err(Bad::new(entry.at, format!("`{}` is not a column", entry.key)).suggest(&entry.key, names));
        }
        let values = match entry.value.list("when") {
            Ok(list) => list.iter().map(|n| Ok(literal(n.text("when")?, n))).collect::<Result<_>>()?,
            Err(_) => vec![literal(entry.value.text("when")?, &entry.value)],
        };
        Ok((entry.key.clone(), values))
    }

    /// Where the summary's own links ask what the table asks with a key column that names the parents.
    fn parents(&self, program: &Program) -> Vec<(usize, usize, String)> {
        let own = self.program;
        let mut out = Vec::new();
        for (at, key) in own.keys.iter().enumerate().filter(|(_, key)| key.map.is_none()) {
            let Some(target) = key.target(Op::Eq).filter(|target| target.takes == Takes::One) else { continue };
            for link in target.links.iter().filter(|link| own.names_parent(at, **link)) {
                let LinkSource::Call(asked) = &own.links[*link].source else { continue };
                let same = program.links.iter().filter(|link| match &link.source {
                    LinkSource::Call(call) => call.service == asked.service && call.operation == asked.operation,
                    _ => false,
                });
                out.extend(same.map(|link| (key.column, link.index, target.member.clone())));
            }
        }
        out
    }
}

fn reads_upper(expr: &crate::expr::Expr, name: &str, names: &[String]) -> bool {
    use crate::expr::Root;
    expr.all_roots().iter().any(|root| match root {
        Root::Key(key) => names[*key] == name,
        Root::Keys => true,
        _ => false,
    })
}

/// A column whose upper bound is at hand.
fn upper(name: &str, program: &Program) -> Option<KeySpec> {
    let column = program.columns.iter().position(|c| c.name == name)?;
    Some(KeySpec { name: name.to_owned(), column, required: false, targets: Vec::new(), map: None, read: true, keep: None })
}
