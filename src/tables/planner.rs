//! From filters to starts, and from columns to the calls they need.

mod keep;
pub(crate) mod summary;

use crate::expr::{Expr, Fact, Root};
use crate::plan::{CallPlan, Filter, PlanError, RangeOp, Request, Route, Scalar, Start};
use crate::program::{KeySpec, Op, Program, Target};
use crate::run::{FILTER, Facts, Keys, Link, LinkSource, Override, Takes, property};
use arrow_schema::{Field, Schema};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More walks than this are not made: the filter stays with the engine.
const MOST_STARTS: usize = 10_000;
/// Values of one list or filter parameter (EC2 takes 200, others 100).
const MOST_VALUES: usize = 100;
/// Rows that are folded into one may begin this long before the bound that the last of them is within.
const FOLDED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// What the filters say about one column.
#[derive(Debug, Default)]
struct Given {
    one_of: Option<Vec<Scalar>>,
    prefix: Option<String>,
    low: Option<(Scalar, RangeOp)>,
    high: Option<(Scalar, RangeOp)>,
    /// The API has nothing that is older.
    floor: Option<DateTime<Utc>>,
}

impl Given {
    /// Narrows a bound.
    fn within(&mut self, op: RangeOp, value: &Scalar) {
        let (bound, tighter) = match op {
            RangeOp::Gt | RangeOp::Ge => (&mut self.low, Ordering::Greater),
            RangeOp::Lt | RangeOp::Le => (&mut self.high, Ordering::Less),
        };
        if bound.as_ref().is_none_or(|(b, _)| order(value, b) == Some(tighter)) {
            *bound = Some((value.clone(), op));
        }
    }

    /// Takes the values for bounds, where the API knows only those.
    fn values_as_bounds(&mut self) {
        let values = self.one_of.take().unwrap_or_default();
        if let (Some(low), Some(high)) = (extreme(&values, Ordering::Less), extreme(&values, Ordering::Greater)) {
            self.within(RangeOp::Ge, low);
            self.within(RangeOp::Le, high);
        }
    }
}

/// The least or the greatest of some values.
fn extreme(values: &[Scalar], wanted: Ordering) -> Option<&Scalar> {
    values.iter().reduce(|a, b| if order(b, a) == Some(wanted) { b } else { a })
}

/// Plans a request.
pub(crate) fn plan(table: &str, program: &Arc<Program>, fields: Vec<Field>, request: &Request) -> Result<CallPlan, PlanError> {
    let projected = || request.projection.iter().map(|c| &program.columns[*c]);
    let mut alsos: Vec<usize> = projected().flat_map(|c| c.alsos.iter().copied()).collect();
    alsos.sort_unstable();
    alsos.dedup();
    let mut needed: Vec<&Expr> = projected().map(|c| &c.source).collect();
    for also in &alsos {
        needed.extend(inputs_of(program, *also));
    }
    let mut plan = CallPlan {
        program: program.clone(),
        projection: request.projection.clone(),
        schema: Arc::new(Schema::new(fields)),
        starts: Vec::new(),
        waves: waves(program, &alsos),
        facts: needed.iter().flat_map(|e| facts(e)).collect(),
        notices: Vec::new(),
        now: request.now,
        summary: None,
    };
    let Some(mut given) = merge(&request.filters) else { return Ok(plan) };
    let kept = keep::bound(table, program, &mut given, request.now, &mut plan.notices);
    if kept == keep::Kept::Nothing {
        return Ok(plan);
    }
    let planner = Planner { table, program, given, needed, now: request.now };
    planner.check_required()?;
    plan.starts = planner.starts()?;
    for start in &plan.starts {
        let links = match start.route {
            Route::Get => program.get.as_slice(),
            Route::Links(first) => &program.links[first..],
        };
        plan.facts.extend(links.iter().flat_map(Link::exprs).flat_map(|(e, _)| facts(e)));
    }
    Ok(plan)
}

fn facts(expr: &Expr) -> Vec<Fact> {
    let fact = |root| match root {
        Root::Fact(fact) => Some(fact),
        _ => None,
    };
    expr.all_roots().into_iter().filter_map(fact).collect()
}

/// Does a filter reach a parameter?
pub(crate) fn uses(program: &Program, filter: &Filter) -> bool {
    let (column, reaches): (&String, &dyn Fn(&KeySpec) -> bool) = match filter {
        Filter::OneOf { column, .. } => (column, &|k| k.read || k.keep.is_some() || k.target(Op::Eq).or(k.target(Op::Prefix)).is_some()),
        Filter::Prefix { column, .. } => (column, &|k| k.target(Op::Prefix).is_some()),
        Filter::Range { column, op, .. } => (column, &|k| k.keep.is_some() || k.bound(*op).is_some()),
    };
    program.keys.iter().any(|k| k.name == *column && reaches(k))
}

fn inputs_of(program: &Program, also: usize) -> Vec<&Expr> {
    let also = &program.alsos[also];
    let fallback = also.fallback.as_deref().map(|f| &f.call);
    let calls = std::iter::once(&also.call).chain(fallback);
    calls.flat_map(|c| c.exprs().map(|(e, _)| e)).chain(also.per.iter().map(|(e, _)| e)).collect()
}

/// Groups further calls so that each stands after those it reads.
fn waves(program: &Program, alsos: &[usize]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut left: Vec<usize> = alsos.to_vec();
    while !left.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = left.iter().partition(|a| program.needs[**a].iter().all(|n| !left.contains(n)));
        if ready.is_empty() {
            break; // the loader refuses cycles
        }
        waves.push(ready);
        left = rest;
    }
    waves
}

/// ANDs the filters, column by column; `None` when they contradict each other.
fn merge(filters: &[Filter]) -> Option<BTreeMap<&str, Given>> {
    let mut all: BTreeMap<&str, Given> = BTreeMap::new();
    for filter in filters {
        match filter {
            Filter::OneOf { column, values } => {
                let one_of = &mut all.entry(column).or_default().one_of;
                let mut values = values.clone();
                if let Some(before) = one_of {
                    values.retain(|v| before.contains(v));
                }
                if values.is_empty() {
                    return None;
                }
                *one_of = Some(values);
            }
            Filter::Prefix { column, prefix } => {
                let before = &mut all.entry(column).or_default().prefix;
                match before {
                    Some(b) if b.starts_with(prefix.as_str()) => {}
                    Some(b) if !prefix.starts_with(b.as_str()) => return None,
                    _ => *before = Some(prefix.clone()),
                }
            }
            Filter::Range { column, op, value } => {
                let given = all.entry(column).or_default();
                given.within(*op, value);
                if let (Some((low, _)), Some((high, _))) = (&given.low, &given.high)
                    && order(low, high) == Some(Ordering::Greater)
                {
                    return None;
                }
            }
        }
    }
    Some(all)
}

fn order(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(b)),
        (Scalar::Double(a), Scalar::Double(b)) => a.partial_cmp(b),
        (Scalar::Timestamp(a), Scalar::Timestamp(b)) => Some(a.cmp(b)),
        (Scalar::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

pub(crate) fn json(value: &Scalar) -> Value {
    match value {
        Scalar::Text(s) => Value::String(s.clone()),
        Scalar::Int(i) => Value::from(*i),
        Scalar::Double(f) => Value::from(*f),
        Scalar::Bool(b) => Value::Bool(*b),
        Scalar::Timestamp(t) => Value::String(t.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    }
}

struct Planner<'a> {
    table: &'a str,
    program: &'a Program,
    given: BTreeMap<&'a str, Given>,
    needed: Vec<&'a Expr>,
    now: DateTime<Utc>,
}

/// One key's values for one start: its value as the query gives it, and the parameters it sets.
#[derive(Clone)]
struct Choice {
    key: usize,
    value: Option<Scalar>,
    overrides: Vec<Override>,
}

impl Planner<'_> {
    fn given(&self, key: &KeySpec) -> Option<&Given> {
        self.given.get(key.name.as_str())
    }

    /// The values given with `=` or `IN`. APIs refuse empty texts: a list that has one is left to the engine, and where the value is
    /// required, it names nothing.
    fn values(&self, key: &KeySpec) -> Option<Vec<Scalar>> {
        let mut values = self.given(key)?.one_of.clone()?;
        let all = values.len();
        values.retain(|v| !matches!(v, Scalar::Text(t) if t.is_empty()));
        (values.len() == all || key.required || self.program.links.is_empty()).then_some(values)
    }

    fn needs(&self, names: &str) -> PlanError {
        let first = names.split(' ').next().unwrap_or(names);
        PlanError(format!("{} needs {names}: add where {first} = '…' or join on it", self.table))
    }

    fn check_required(&self) -> Result<(), PlanError> {
        match self.program.keys.iter().find(|k| k.required && self.given(k).is_none_or(|g| !self.reaches(k, g))) {
            Some(key) => Err(self.needs(&key.name)),
            None => Ok(()),
        }
    }

    fn reaches(&self, key: &KeySpec, given: &Given) -> bool {
        let bound = |b: &Option<(Scalar, RangeOp)>| b.as_ref().is_some_and(|(_, op)| key.bound(*op).is_some());
        (given.one_of.is_some() && (key.read || key.target(Op::Eq).or(key.target(Op::Prefix)).is_some()))
            || (given.prefix.is_some() && key.target(Op::Prefix).is_some())
            || bound(&given.low)
            || bound(&given.high)
    }

    fn starts(&self) -> Result<Vec<Start>, PlanError> {
        if let Some(starts) = self.by_get() {
            return Ok(starts);
        }
        if self.program.links.is_empty() {
            let names: Vec<&str> = self.program.keys.iter().filter(|k| k.read).map(|k| k.name.as_str()).collect();
            return Err(self.needs(&names.join(" or ")));
        }
        Ok(self.by_links())
    }

    /// Starts that use the get call; `None` when the filters do not give its inputs or a column needs the chain.
    fn by_get(&self) -> Option<Vec<Start>> {
        let get = self.program.get.as_ref()?;
        let chain = |e: &&Expr| e.all_roots().iter().any(|r| matches!(r, Root::Link(_) | Root::Parent));
        if !self.program.links.is_empty() && self.needed.iter().any(chain) {
            return None;
        }
        let mut read: Vec<usize> = Vec::new();
        for expr in get.exprs().map(|(e, _)| e).chain(self.needed.iter().copied()) {
            read.extend(expr.all_roots().into_iter().filter_map(key_of));
        }
        read.sort_unstable();
        read.dedup();
        let choices = read.into_iter().filter_map(|k| {
            let key = &self.program.keys[k];
            let values = self.values(key)?;
            Some(values.into_iter().map(|v| Choice { key: k, value: Some(v), overrides: Vec::new() }).collect::<Vec<_>>())
        });
        let starts = self.product(Route::Get, choices.collect())?;
        let facts = Facts::new("-", "-").identity("-", "-").tenant("-").now(self.now).home_region("-").regions([]);
        let mut seen = Vec::new();
        let mut out = Vec::new();
        for start in starts {
            let ask = get.ask(&start, &facts, None).ok().flatten()?;
            if !seen.contains(&ask) {
                seen.push(ask);
                out.push(start);
            }
        }
        Some(out)
    }

    fn by_links(&self) -> Vec<Start> {
        let mut choices: Vec<Vec<Choice>> = Vec::new();
        let mut asked = vec![false; self.program.keys.len()];
        let mut size = 1usize;
        for (k, key) in self.program.keys.iter().enumerate() {
            let Some(given) = self.given(key).filter(|_| key.required || !self.outranked(key)) else { continue };
            let options = match self.values(key) {
                Some(values) => self.options(k, key, &values),
                None => self.bounds(k, key, given).map(|c| vec![c]),
            };
            let Some(options) = options else { continue };
            if !key.required && size.saturating_mul(options.len()) > MOST_STARTS {
                continue;
            }
            size = size.saturating_mul(options.len().max(1));
            asked[k] = options.iter().all(|o| o.value.is_some());
            choices.push(options);
        }
        let first = self.first(&asked, choices.iter().flatten().flat_map(|c| &c.overrides));
        self.product(Route::Links(first), choices).unwrap_or_default()
    }

    /// The ways to ask for these values; `None` when they reach no parameter.
    fn options(&self, k: usize, key: &KeySpec, values: &[Scalar]) -> Option<Vec<Choice>> {
        let exprs = self.program.links.iter().flat_map(Link::exprs).map(|(e, _)| e).chain(self.needed.iter().copied());
        let read = exprs.flat_map(Expr::all_roots).any(|r| r == Root::Key(k) || r == Root::Keys);
        let target = match (key.target(Op::Eq), key.target(Op::Prefix)) {
            (Some(target), _) => Some(target),
            // A prefix finds more than the value, so several of them must be told apart.
            (None, Some(target)) if values.len() == 1 || self.checkable(key.column) => Some(target),
            _ => None,
        };
        let Some(target) = target else {
            return read.then(|| values.iter().map(|v| Choice { key: k, value: Some(v.clone()), overrides: Vec::new() }).collect());
        };
        let spelled: Option<Vec<Value>> = values.iter().map(|v| key.spelled(&json(v))).collect();
        let mut spelled = spelled?;
        let set = |value: Value| {
            let one = |link: &usize| Override {
                link: *link,
                member: target.member.clone(),
                value: value.clone(),
                takes: target.takes.clone(),
                names_parent: self.program.names_parent(k, *link),
            };
            target.links.iter().map(one).collect::<Vec<_>>()
        };
        if !target.takes.one() && !read {
            spelled.dedup();
            let chunks = spelled.chunks(MOST_VALUES);
            return Some(chunks.map(|c| Choice { key: k, value: None, overrides: set(Value::Array(c.to_vec())) }).collect());
        }
        let mut out: Vec<Choice> = Vec::new();
        for (value, spelled) in values.iter().zip(spelled) {
            let overrides = set(if target.takes.one() { spelled } else { Value::Array(vec![spelled]) });
            // Two values that the API spells alike are one question; which of them a row has, only the engine can tell.
            match out.iter_mut().find(|c| c.overrides == overrides) {
                Some(same) => same.value = None,
                None => out.push(Choice { key: k, value: Some(value.clone()), overrides }),
            }
        }
        Some(out)
    }

    /// A prefix or a range as parameters.
    fn bounds(&self, k: usize, key: &KeySpec, given: &Given) -> Option<Choice> {
        let mut overrides = Vec::new();
        let mut set = |target: &Target, value: Value| {
            let value = if target.takes.one() { value } else { Value::Array(vec![value]) };
            let one = |link: &usize| Override {
                link: *link,
                member: target.member.clone(),
                value: value.clone(),
                takes: target.takes.clone(),
                names_parent: false,
            };
            overrides.extend(target.links.iter().map(one));
        };
        if let (Some(prefix), Some(target)) = (&given.prefix, key.target(Op::Prefix))
            && !prefix.is_empty()
        {
            set(target, Value::String(prefix.clone()));
        }
        for (value, op) in given.low.iter().chain(&given.high) {
            if let Some(target) = key.bound(*op)
                && let Some(value) = self.widened(target, value, *op, given.floor)
            {
                set(target, json(&value));
            }
        }
        (!overrides.is_empty()).then_some(Choice { key: k, value: None, overrides })
    }

    /// The bound that the API is given for one of the query; `None` when it must not be given.
    fn widened(&self, target: &Target, value: &Scalar, op: RangeOp, floor: Option<DateTime<Utc>>) -> Option<Scalar> {
        let folds = target.links.iter().any(|l| self.program.links[*l].fold.is_some());
        let upper = matches!(op, RangeOp::Lt | RangeOp::Le);
        Some(match value {
            // The last of the rows that are folded decides, and it may be behind the bound.
            _ if folds && upper => return None,
            Scalar::Timestamp(low) if folds => {
                let low = low.checked_sub_signed(FOLDED_WITHIN).unwrap_or(*low);
                Scalar::Timestamp(floor.map_or(low, |floor| low.max(floor)))
            }
            // Logs count finer than we do.
            Scalar::Timestamp(high) if upper && matches!(target.takes, Takes::Clause { .. }) => {
                Scalar::Timestamp(high.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(*high))
            }
            other => other.clone(),
        })
    }

    /// Does another key column have a value whose clause goes out instead of this one's, because the API takes one of them only?
    fn outranked(&self, key: &KeySpec) -> bool {
        let rank = |key: &KeySpec, link: usize| {
            let target = key.target(Op::Eq).filter(|t| t.links.contains(&link))?;
            let (Takes::Clause { key, .. }, LinkSource::Call(call)) = (&target.takes, &self.program.links[link].source) else {
                return None;
            };
            call.rest.as_ref()?.only_one.iter().position(|(name, _)| name == property(key))
        };
        let given = |key: &KeySpec| self.values(key).is_some_and(|v| !v.is_empty());
        let before = |link: &usize| {
            let Some(own) = rank(key, *link) else { return false };
            self.program.keys.iter().any(|other| rank(other, *link).is_some_and(|r| r < own) && given(other))
        };
        !key.read && key.target(Op::Eq).is_some_and(|t| !t.links.is_empty() && t.links.iter().all(before))
    }

    /// Can a row be compared with the value asked for, without a further call?
    fn checkable(&self, column: usize) -> bool {
        let column = &self.program.columns[column];
        column.alsos.is_empty() && !column.costly_fact
    }

    /// The first link that is called: links whose `unless:` key has a value are left out when nothing needs their rows.
    fn first<'o>(&self, asked: &[bool], overrides: impl Iterator<Item = &'o Override> + Clone) -> usize {
        let links = &self.program.links;
        let given = |k: usize| asked[k];
        let mut first = 0;
        while first + 1 < links.len() && links[first].unless.is_some_and(given) {
            let mut needed = false;
            for expr in &self.needed {
                expr.roots(&given, &mut |r| needed |= r == Root::Link(first));
            }
            for link in &links[first + 1..] {
                let next = link.index == first + 1;
                let mut reads = |expr: &Expr| {
                    expr.roots(&given, &mut |r| needed |= r == Root::Link(first) || (next && matches!(r, Root::This | Root::Parent)));
                };
                let set = |member: &str, clause: Option<&str>| {
                    overrides.clone().filter(|o| o.link == link.index && o.member == member).any(|o| match &o.takes {
                        Takes::One => clause.is_none(),
                        Takes::Clause { key, .. } => clause == Some(key),
                        Takes::List | Takes::Filter(_) => false,
                    })
                };
                if let LinkSource::Built(list, _) = &link.source {
                    reads(list);
                }
                if let LinkSource::Call(call) = &link.source {
                    call.input.iter().filter(|(name, ..)| !set(name, None)).for_each(|(_, e, _)| reads(e));
                    call.region.iter().for_each(|(e, _)| reads(e));
                    if let Some(rest) = &call.rest {
                        rest.texts(|clause| set(FILTER, Some(clause))).for_each(|(e, _)| reads(e));
                        rest.body.iter().for_each(|(_, e, _)| reads(e));
                    }
                }
                // What `where:` says is about the rows of the link, but for the names of other links.
                link.only.iter().for_each(|(e, _)| e.roots(&given, &mut |r| needed |= r == Root::Link(first)));
            }
            if needed {
                break;
            }
            first += 1;
        }
        first
    }

    /// Every combination; `None` when there are too many.
    fn product(&self, route: Route, choices: Vec<Vec<Choice>>) -> Option<Vec<Start>> {
        let size = choices.iter().try_fold(1usize, |n, c| n.checked_mul(c.len()))?;
        if size > MOST_STARTS && route == Route::Get {
            return None;
        }
        let keys = Keys { names: self.program.key_names.clone(), values: vec![Value::Null; self.program.keys.len()] };
        let mut starts = vec![Start { route, keys, overrides: Vec::new(), expected: Vec::new(), among: Arc::default() }];
        for options in &choices {
            let mut next = Vec::with_capacity(starts.len() * options.len());
            for start in &starts {
                for choice in options {
                    let mut start = start.clone();
                    start.overrides.extend(choice.overrides.iter().cloned());
                    if let Some(value) = &choice.value {
                        let column = self.program.keys[choice.key].column;
                        start.keys.values[choice.key] = json(value);
                        if options.len() > 1 && self.checkable(column) {
                            start.expected.push((column, value.clone()));
                        }
                    }
                    next.push(start);
                }
            }
            starts = next;
        }
        Some(starts)
    }
}

fn key_of(root: Root) -> Option<usize> {
    match root {
        Root::Key(k) => Some(k),
        _ => None,
    }
}

#[cfg(test)]
mod azure_tests;
#[cfg(test)]
mod tests;
