//! A compiled table of calls: sources of columns, links, further calls and key columns, with what each of them needs.

use crate::ColumnType;
use crate::expr::{Expr, Fact, Root, Step};
use crate::plan::RangeOp;
use crate::provider::Provider;
use crate::run::{Also, Decode, Link, Takes};
use crate::spec::yaml::At;
use chrono::TimeDelta;
use serde_json::Value;
use std::sync::Arc;

/// Everything a plan is made from.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) provider: Provider,
    /// Everything about the scope is known without a call.
    pub(crate) free_facts: bool,
    pub(crate) columns: Vec<Source>,
    pub(crate) links: Vec<Link>,
    pub(crate) get: Option<Link>,
    pub(crate) alsos: Vec<Also>,
    /// Further calls that another one reads directly.
    pub(crate) needs: Vec<Vec<usize>>,
    pub(crate) keys: Vec<KeySpec>,
    pub(crate) key_names: Arc<[String]>,
    /// Of a summary: column, link and member of its input, where the column is that of the parent which the link is asked with.
    pub(crate) parents: Vec<(usize, usize, String)>,
}

/// Where a column comes from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) ty: ColumnType,
    pub(crate) source: Expr,
    pub(crate) at: At,
    /// One of the columns every table has.
    pub(crate) common: bool,
    pub(crate) secret: bool,
    /// Further calls it needs, those that these need included, ascending.
    pub(crate) alsos: Vec<usize>,
    /// It, or a call it needs, reads what costs a call to know of the scope.
    pub(crate) costly_fact: bool,
}

/// A key column.
#[derive(Debug)]
pub(crate) struct KeySpec {
    pub(crate) name: String,
    /// Position of the column.
    pub(crate) column: usize,
    pub(crate) required: bool,
    pub(crate) targets: Vec<(Op, Target)>,
    pub(crate) map: Option<Vec<(String, Value)>>,
    /// `get:` or a `key.` reads it.
    pub(crate) read: bool,
    /// How long the API keeps what the column is the time of.
    pub(crate) keep: Option<TimeDelta>,
}

/// The operator a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Prefix,
    Range(RangeOp),
}

/// A request parameter.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) at: At,
    pub(crate) links: Vec<usize>,
    pub(crate) member: String,
    pub(crate) takes: Takes,
    /// The call is named by its `as:`.
    pub(crate) by_alias: bool,
}

impl KeySpec {
    pub(crate) fn target(&self, op: Op) -> Option<&Target> {
        self.targets.iter().find(|(o, _)| *o == op).map(|(_, t)| t)
    }

    /// The target of a bound: an inclusive one also serves an exclusive bound, as the engine filters again.
    pub(crate) fn bound(&self, op: RangeOp) -> Option<&Target> {
        let wider = match op {
            RangeOp::Gt => RangeOp::Ge,
            RangeOp::Lt => RangeOp::Le,
            same => same,
        };
        self.target(Op::Range(op)).or_else(|| self.target(Op::Range(wider)))
    }

    /// The value as the API spells it; `None` when it has none.
    pub(crate) fn spelled(&self, value: &Value) -> Option<Value> {
        let Some(map) = &self.map else { return Some(value.clone()) };
        let text = match value {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        map.iter().find(|(from, _)| *from == text).map(|(_, to)| to.clone())
    }
}

impl Program {
    /// Fills in what columns need, once everything is compiled.
    pub(crate) fn resolve(&mut self) {
        self.needs = self
            .alsos
            .iter()
            .map(|also| {
                let mut needs = Vec::new();
                also.inputs(&mut |e, _| needs.extend(e.all_roots().into_iter().filter_map(also_of)));
                needs.sort_unstable();
                needs.dedup();
                needs
            })
            .collect();
        let costly: Vec<bool> = self
            .alsos
            .iter()
            .map(|also| {
                let mut reads = false;
                also.inputs(&mut |e, _| reads |= self.reads_costly_fact(e));
                reads
            })
            .collect();
        for i in 0..self.columns.len() {
            let roots = self.columns[i].source.all_roots();
            let mut alsos: Vec<usize> = roots.into_iter().filter_map(also_of).collect();
            self.close(&mut alsos);
            self.columns[i].costly_fact = self.reads_costly_fact(&self.columns[i].source) || alsos.iter().any(|a| costly[*a]);
            self.columns[i].alsos = alsos;
        }
    }

    /// Leaves out of decoded tables what nobody reads: a report has a line for each user.
    pub(crate) fn prune(&mut self) {
        for link in 0..self.links.len() {
            let read = self.read_of(link).map(Arc::<[String]>::from);
            for decode in &mut self.links[link].decode {
                if let Decode::Csv(only) = decode {
                    only.clone_from(&read);
                }
            }
        }
    }

    /// Members of a link's rows that are read, and perhaps more; `None` where that may be any.
    fn read_of(&self, link: usize) -> Option<Vec<String>> {
        let last = link + 1 == self.links.len();
        if self.links[link].fold.is_some() {
            return None;
        }
        let mut read = Some(Vec::new());
        let mut add = |expr: &Expr, this: bool| {
            expr.paths(&mut |root, steps| match (root, steps.first()) {
                (Root::This, _) if !this => {}
                (Root::Link(of), _) if of != link => {}
                (Root::This | Root::Link(_), Some(Step::Field(name))) => read.iter_mut().for_each(|read| read.push(name.clone())),
                (Root::This | Root::Link(_), _) => read = None,
                _ => {}
            });
        };
        // What the next link asks with is of this row, what it keeps rows by of its own: so these may be too many.
        for other in &self.links[link..] {
            other.exprs().for_each(|(expr, _)| add(expr, other.index <= link + 1));
        }
        self.columns.iter().for_each(|column| add(&column.source, last));
        self.alsos.iter().for_each(|also| also.inputs(&mut |expr, _| add(expr, last)));
        read
    }

    /// Adds what the calls themselves need; sorted.
    fn close(&self, alsos: &mut Vec<usize>) {
        let mut at = 0;
        while at < alsos.len() {
            let more: Vec<usize> = self.needs[alsos[at]].iter().copied().filter(|n| !alsos.contains(n)).collect();
            alsos.extend(more);
            at += 1;
        }
        alsos.sort_unstable();
        alsos.dedup();
    }

    fn reads_costly_fact(&self, expr: &Expr) -> bool {
        let costly = |r: &Root| matches!(r, Root::Fact(Fact::AccountId | Fact::Partition | Fact::TenantId | Fact::Regions));
        !self.free_facts && expr.all_roots().iter().any(costly)
    }

    /// Does this key column name the parents of a link, so that its values are those of the link's own input? Then a link above says
    /// `unless:` of it.
    pub(crate) fn names_parent(&self, key: usize, link: usize) -> bool {
        self.links.iter().take(link).any(|above| above.unless == Some(key))
    }

    /// Columns that can name a row for people, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Source> {
        self.columns.iter().filter(|c| c.ty == ColumnType::Text && !c.common && !c.secret && c.alsos.is_empty() && !c.costly_fact)
    }
}

fn also_of(root: Root) -> Option<usize> {
    match root {
        Root::Also(also) => Some(also),
        _ => None,
    }
}
