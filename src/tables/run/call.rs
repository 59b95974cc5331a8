//! Links of the chain that makes rows: what they ask, and what they make of an answer.

use super::fold::Fold;
use super::rest::{Rest, about};
use super::row::{Facts, Hop, Place, Row};
use super::select::{Decode, Select};
use crate::expr::{Env, Expr, Fact, Root, truthy};
use crate::plan::Start;
use crate::run::Keys;
use crate::spec::yaml::At;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A call ready to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The service, as botocore spells it; of Azure the API: `arm`, `graph`, `blob`, `queue`, `table`.
    pub service: Arc<str>,
    /// The operation; of Azure method and path, with `{}` for what varies: `GET /subscriptions/{}/resourcegroups`.
    pub operation: Arc<str>,
    /// Its input; of Azure `{path, query}`, and of a POST the `body`.
    pub input: Value,
    /// The region it goes to; `None`: the scope's.
    pub region: Option<String>,
}

impl Ask {
    /// The values of the input, for people: which thing the call was about.
    pub fn about(&self) -> String {
        if let Some(path) = self.input.get("path").and_then(Value::as_str).filter(|_| self.operation.contains(' ')) {
            return about(&self.operation, path);
        }
        let mut out = Vec::new();
        if let Value::Object(members) = &self.input {
            for value in members.values() {
                match value {
                    Value::String(s) => out.push(s.clone()),
                    Value::Array(items) if items.len() > 3 => out.push(format!("{} and {} more", short(&items[0]), items.len() - 1)),
                    Value::Array(items) => out.extend(items.iter().map(short)),
                    other => out.push(short(other)),
                }
            }
        }
        out.join(" ")
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// An operation with its input: of an API of methods and paths, the query parameters.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: At,
    pub(crate) service: Arc<str>,
    pub(crate) operation: Arc<str>,
    pub(crate) input: Vec<(String, Expr, At)>,
    pub(crate) region: Option<(Expr, At)>,
    pub(crate) rest: Option<Box<Rest>>,
}

/// A request parameter that a filter sets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    pub(crate) link: usize,
    pub(crate) member: String,
    pub(crate) value: Value,
    pub(crate) takes: Takes,
    /// The value is that of a parent: what the others are asked with is none of it.
    pub(crate) names_parent: bool,
}

/// How a parameter takes values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Takes {
    /// One value.
    One,
    /// A list of all values.
    List,
    /// An element `{Name, Values}` of a list of filters.
    Filter(String),
    /// A clause of `$filter` that begins with this property and operator; texts in quotes, or as they are.
    Clause { key: String, quoted: bool },
}

impl Takes {
    /// Does it take one value?
    pub(crate) fn one(&self) -> bool {
        matches!(self, Takes::One | Takes::Clause { .. })
    }
}

impl Call {
    /// `service.Operation`, or `arm GET /path`.
    pub(crate) fn name(&self) -> String {
        let between = if self.rest.is_some() { ' ' } else { '.' };
        format!("{}{between}{}", self.service, self.operation)
    }

    /// Every expression, with its place.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = (&Expr, At)> {
        let of_rest = self.rest.as_deref().into_iter().flat_map(Rest::exprs);
        self.input.iter().map(|(_, e, at)| (e, *at)).chain(self.region.iter().map(|(e, at)| (e, *at))).chain(of_rest)
    }

    /// Is it about all subscriptions that a scan asks?
    pub(crate) fn is_shared(&self) -> bool {
        self.exprs().any(|(expr, _)| expr.all_roots().contains(&Root::Fact(Fact::Asked)))
    }

    /// What it asks where the operation does not say so: the constants of its body.
    pub(crate) fn question(&self) -> Option<Arc<str>> {
        let constant = |(_, expr, _): &(String, Expr, At)| match expr {
            Expr::Const(value) => Some(value.to_string()),
            _ => None,
        };
        let constants: Vec<String> = self.rest.as_deref()?.body.iter().filter_map(constant).collect();
        (!constants.is_empty()).then(|| constants.join(" ").into())
    }

    /// Does what it is asked with say for itself that some rows take no call?
    pub(crate) fn conditional(&self) -> bool {
        let condition = |expr: &Expr| matches!(expr, Expr::And(..) | Expr::Or(..) | Expr::Jmes(_));
        self.exprs().any(|(expr, _)| condition(expr))
    }

    /// The call in an environment; `None` when one of its inputs is null. `without` leaves one input out.
    pub(crate) fn ask(&self, env: &Env<'_>, overrides: &[&Override], without: Option<usize>) -> Result<Option<Ask>, String> {
        let ask = |input, region| Ask { service: self.service.clone(), operation: self.operation.clone(), input, region };
        if let Some(rest) = &self.rest {
            return Ok(rest.input(&self.input, env, overrides)?.map(|input| ask(input, None)));
        }
        let mut input = Map::new();
        for (i, (name, expr, _)) in self.input.iter().enumerate() {
            if Some(i) == without || overrides.iter().any(|o| o.member == *name && o.takes == Takes::One) {
                continue;
            }
            let value = expr.eval(env).map_err(|e| format!("{name}: {}", e.0))?;
            if has_null(&value) {
                return Ok(None);
            }
            input.insert(name.clone(), value.into_owned());
        }
        for o in overrides {
            match &o.takes {
                Takes::One | Takes::List => {
                    input.insert(o.member.clone(), o.value.clone());
                }
                Takes::Filter(name) => {
                    let filter = Value::Object(Map::from_iter([
                        ("Name".to_owned(), Value::String(name.clone())),
                        ("Values".to_owned(), o.value.clone()),
                    ]));
                    match input.entry(o.member.clone()).or_insert_with(|| Value::Array(Vec::new())) {
                        Value::Array(filters) => filters.push(filter),
                        other => *other = Value::Array(vec![filter]),
                    }
                }
                // Only calls with a path have clauses.
                Takes::Clause { .. } => {}
            }
        }
        let region = match &self.region {
            None => None,
            Some((expr, _)) => match &*expr.eval(env).map_err(|e| format!("region: {}", e.0))? {
                Value::String(region) if !region.is_empty() => Some(region.clone()),
                _ => None,
            },
        };
        Ok(Some(ask(Value::Object(input), region)))
    }
}

pub(super) fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// What makes the rows of a link.
#[derive(Debug, Clone)]
pub(crate) enum LinkSource {
    Call(Call),
    Values(Arc<Value>),
    /// A list that is made from the row above.
    Built(Expr, At),
}

/// A link of the chain that makes rows. (A get is a link of its own.)
#[derive(Debug, Clone)]
pub struct Link {
    pub(crate) index: usize,
    pub(crate) at: At,
    pub(crate) source: LinkSource,
    pub(crate) each: Select,
    pub(crate) each_at: At,
    pub(crate) decode: Vec<Decode>,
    pub(crate) until: Option<Until>,
    pub(crate) none: Vec<(String, At)>,
    pub(crate) fallback: Option<Box<Fallback>>,
    pub(crate) unless: Option<usize>,
    /// The input that takes many parents at once, and how many.
    pub(crate) batch: Option<(usize, usize)>,
    /// Rows for which it is not true are none.
    pub(crate) only: Option<(Expr, At)>,
    pub(crate) fold: Option<Fold>,
    /// The time that an answer shows, where that is not the present.
    pub(crate) as_of: Option<(Expr, At)>,
    pub(crate) make: Option<Box<Make>>,
    /// Why a summary cannot be used where this link has no row.
    pub(crate) or_list: Option<(Expr, At)>,
}

/// A call that makes what another asks for, where it is not there yet.
#[derive(Debug, Clone)]
pub struct Make {
    pub(crate) on: Vec<(String, At)>,
    pub(crate) call: Call,
    /// When it is made.
    pub until: Until,
}

/// Repeats a call until its answer is complete.
#[derive(Debug, Clone)]
pub struct Until {
    pub(crate) done: Expr,
    pub(crate) at: At,
    /// Time between two calls.
    pub every: Duration,
    /// Time after which it has failed.
    pub at_most: Duration,
}

impl Until {
    /// Is this the answer that is waited for?
    ///
    /// # Errors
    /// The expression fails on the answer.
    pub fn done(&self, answer: &Value) -> Result<bool, String> {
        over_answer(&self.done, answer).map(|v| truthy(&v))
    }
}

/// Another call for when the first fails with one of these codes.
#[derive(Debug, Clone)]
pub struct Fallback {
    pub(crate) on: Vec<(String, At)>,
    pub(crate) call: Call,
    pub(crate) take: Option<(Expr, At)>,
}

/// A parent of a batch: the call without its ids, and its own id.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// Equal for parents that can go into one call.
    pub base: Ask,
    /// The id of this parent.
    pub id: Value,
}

/// The values of a parent's input that are asked for.
enum Wanted<'a> {
    One(&'a Value),
    Many(&'a HashSet<String>),
}

impl Link {
    /// Position in the chain.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Does it make its rows without a call?
    pub fn is_fixed(&self) -> bool {
        !matches!(self.source, LinkSource::Call(_))
    }

    /// The rows of a link that makes no call; `None` of one that does.
    ///
    /// # Errors
    /// They cannot be computed.
    pub fn fixed(&self, start: &Start, facts: &Facts, up: Option<&Arc<Row>>) -> Result<Option<Vec<Row>>, String> {
        let values = match &self.source {
            LinkSource::Call(_) => return Ok(None),
            LinkSource::Values(values) => Arc::clone(values),
            LinkSource::Built(list, _) => {
                let list = list.eval(&env(up.map(|row| &**row), start, facts)).map_err(|e| format!("values: {}", e.0))?;
                Arc::new(list.into_owned())
            }
        };
        let mut rows = Vec::new();
        for i in 0..values.as_array().map_or(0, Vec::len) {
            let place = |hops| Place { answer: Arc::clone(&values), hops };
            let row = self.row((place(vec![Hop::Index(i)]), place(Vec::new())), up);
            if self.keeps(&row, start, facts)? {
                rows.push(row);
            }
        }
        Ok(Some(rows))
    }

    fn row(&self, (this, parent): (Place, Place), up: Option<&Arc<Row>>) -> Row {
        Row { link: self.index, this, parent, up: up.cloned(), slots: Vec::new(), folded: None }
    }

    fn call(&self) -> Result<&Call, String> {
        match &self.source {
            LinkSource::Call(call) => Ok(call),
            LinkSource::Values(_) | LinkSource::Built(..) => Err("a fixed list is not called".into()),
        }
    }

    /// The call for a parent row; `None` when an input is null, so that there is nothing to ask.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn ask(&self, start: &Start, facts: &Facts, parent: Option<&Row>) -> Result<Option<Ask>, String> {
        let env = env(parent, start, facts);
        if parent.is_some() && self.leaves_out(start, &env)? {
            return Ok(None);
        }
        self.call()?.ask(&env, &start.overrides(self.index), None)
    }

    /// Is this a parent whose rows nobody asks for?
    fn leaves_out(&self, start: &Start, env: &Env<'_>) -> Result<bool, String> {
        let one = start.overrides(self.index).into_iter().filter(|o| o.names_parent && o.takes == Takes::One);
        let many = start.among.inputs(self.index);
        let wanted: Vec<(&str, Wanted<'_>)> =
            one.map(|o| (o.member.as_str(), Wanted::One(&o.value))).chain(many.map(|(m, values)| (m, Wanted::Many(values)))).collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        let call = self.call()?;
        for (member, wanted) in wanted {
            let Some((name, expr, _)) = call.input.iter().find(|(name, ..)| name == member) else { continue };
            let own = expr.eval(env).map_err(|e| format!("{name}: {}", e.0))?;
            let is_wanted = match wanted {
                Wanted::One(value) => *own == *value,
                Wanted::Many(values) => own.as_str().is_none_or(|own| values.contains(own)),
            };
            if !is_wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many parents go into one call; `None`: each has its own.
    pub fn batch(&self) -> Option<usize> {
        self.batch.map(|(_, size)| size)
    }

    /// The parent's part of a batch; `None` when an input is null.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn gather(&self, start: &Start, facts: &Facts, parent: &Row) -> Result<Option<Gathered>, String> {
        let Some((input, _)) = self.batch else { return Err("not a batch".into()) };
        let call = self.call()?;
        let env = env(Some(parent), start, facts);
        if self.leaves_out(start, &env)? {
            return Ok(None);
        }
        let (name, expr, _) = &call.input[input];
        let id = expr.eval(&env).map_err(|e| format!("{name}: {}", e.0))?.into_owned();
        if id.is_null() {
            return Ok(None);
        }
        Ok(call.ask(&env, &start.overrides(self.index), Some(input))?.map(|base| Gathered { base, id }))
    }

    /// The call of a batch.
    pub fn scatter(&self, base: &Ask, ids: Vec<Value>) -> Ask {
        let mut ask = base.clone();
        if let (Some((input, _)), Ok(call), Value::Object(members)) = (self.batch, self.call(), &mut ask.input) {
            members.insert(call.input[input].0.clone(), Value::Array(ids));
        }
        ask
    }

    /// The rows of a page.
    ///
    /// # Errors
    /// The answer is not what `each:` and `decode:` expect.
    pub fn rows(&self, page: &Arc<Value>, up: Option<&Arc<Row>>) -> Result<Vec<Row>, String> {
        if self.call().is_ok_and(|call| call.rest.is_some()) {
            self.each.expect(page)?;
        }
        Ok(self.each.rows(page, &self.decode)?.into_iter().map(|found| self.row(found, up)).collect())
    }

    /// Is this a row, by `where:`?
    ///
    /// # Errors
    /// The expression fails on the row.
    pub fn keeps(&self, row: &Row, start: &Start, facts: &Facts) -> Result<bool, String> {
        match &self.only {
            None => Ok(true),
            Some((only, _)) => only.eval(&env(Some(row), start, facts)).map(|v| truthy(&v)).map_err(|e| format!("where: {}", e.0)),
        }
    }

    /// How the rows of all pages become fewer.
    pub fn fold(&self) -> Option<&Fold> {
        self.fold.as_ref()
    }

    /// Every expression that a row is asked and kept by, with its place.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = (&Expr, At)> {
        let (call, built) = match &self.source {
            LinkSource::Call(call) => (Some(call), None),
            LinkSource::Values(_) => (None, None),
            LinkSource::Built(list, at) => (None, Some((list, *at))),
        };
        let others = self.fallback.as_deref().map(|f| &f.call).into_iter().chain(self.make.as_deref().map(|m| &m.call));
        let kept = self.only.iter().chain(&self.or_list).map(|(e, at)| (e, *at));
        call.into_iter().chain(others).flat_map(Call::exprs).chain(built).chain(kept)
    }

    /// Does this error code mean "no row here"?
    pub fn means_none(&self, code: &str) -> bool {
        self.none.iter().any(|(c, _)| c == code)
    }

    /// Is its answer a list, so that what comes after it is asked for each row?
    pub fn lists(&self) -> bool {
        !self.each.is_whole()
    }

    /// Is its call about all subscriptions that a scan asks on the connection, so that it is made once for them?
    pub fn is_shared(&self) -> bool {
        self.call().is_ok_and(Call::is_shared)
    }

    /// Why the summary cannot be used where this link has no row; `None`: it can.
    ///
    /// # Errors
    /// The reason cannot be computed.
    pub fn or_list(&self, start: &Start, facts: &Facts) -> Result<Option<String>, String> {
        let Some((why, _)) = &self.or_list else { return Ok(None) };
        let why = why.eval(&env(None, start, facts)).map_err(|e| format!("or_list: {}", e.0))?;
        Ok(Some(why.as_str().map_or_else(|| why.to_string(), str::to_owned)))
    }

    /// Has it to have a row, if the summary is to be used?
    pub fn needs_row(&self) -> bool {
        self.or_list.is_some()
    }

    /// Is the call repeated until it is complete?
    pub fn until(&self) -> Option<&Until> {
        self.until.as_ref()
    }

    /// The time that an answer shows; `None` where it shows the present.
    ///
    /// # Errors
    /// The answer does not say.
    pub fn as_of(&self, page: &Value) -> Result<Option<DateTime<Utc>>, String> {
        let Some((as_of, _)) = &self.as_of else { return Ok(None) };
        let time = over_answer(as_of, page)?;
        let parsed = time.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        parsed.map(|at| Some(at.to_utc())).ok_or_else(|| format!("as_of: {time} is no time"))
    }

    /// The call that makes what this one asks for, where the error code says that it is not there.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn making(&self, code: &str, start: &Start, facts: &Facts, parent: Option<&Row>) -> Result<Option<(Ask, &Until)>, String> {
        match self.make.as_deref().filter(|m| m.on.iter().any(|(c, _)| c == code)) {
            None => Ok(None),
            Some(make) => Ok(make.call.ask(&env(parent, start, facts), &[], None)?.map(|ask| (ask, &make.until))),
        }
    }

    /// The call to make instead after this error code.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn instead(&self, code: &str, start: &Start, facts: &Facts, parent: Option<&Row>) -> Result<Option<Ask>, String> {
        match self.fallback.as_deref().filter(|f| f.on.iter().any(|(c, _)| c == code)) {
            None => Ok(None),
            Some(f) => f.call.ask(&env(parent, start, facts), &[], None),
        }
    }
}

pub(super) fn env<'a>(row: Option<&'a Row>, start: &'a Start, facts: &'a Facts) -> Env<'a> {
    Env { this: row.map_or(&Value::Null, Row::this), row, facts, keys: start.keys(), item: None }
}

pub(super) fn over_answer(expr: &Expr, answer: &Value) -> Result<Value, String> {
    let (facts, keys) = (Facts::default(), Keys::default());
    let env = Env { this: answer, row: None, facts: &facts, keys: &keys, item: None };
    expr.eval(&env).map(std::borrow::Cow::into_owned).map_err(|e| e.0)
}
