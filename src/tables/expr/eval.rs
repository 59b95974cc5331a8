//! Values of expressions.

use super::functions;
use super::{Expr, Fact, Jmes, Piece, Root, Spread, Step};
use crate::run::{Facts, Keys, Row};
use jmespath::ast::Comparator;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Why an expression has no value: the data does not fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

static NULL: Value = Value::Null;

/// Where names get their values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Env<'a> {
    /// The row or answer.
    pub(crate) this: &'a Value,
    /// The row with its surroundings; `None` where there is none yet.
    pub(crate) row: Option<&'a Row>,
    pub(crate) facts: &'a Facts,
    pub(crate) keys: &'a Keys,
    pub(crate) item: Option<&'a Value>,
}

impl<'a> Env<'a> {
    fn root(&self, root: Root) -> Cow<'a, Value> {
        Cow::Borrowed(match root {
            Root::This => self.this,
            Root::Parent => self.row.map_or(&NULL, Row::parent),
            Root::Link(link) => self.row.and_then(|r| r.ancestor(link)).unwrap_or(&NULL),
            Root::Also(also) => self.row.map_or(&NULL, |r| r.also(also)),
            Root::Key(key) => self.keys.value(key),
            Root::Item => self.item.unwrap_or(&NULL),
            Root::Fold => self.row.map_or(&NULL, Row::folded),
            Root::Fact(Fact::Partition) => &self.facts.partition,
            Root::Fact(Fact::AccountId) => &self.facts.account_id,
            Root::Fact(Fact::TenantId) => &self.facts.tenant_id,
            Root::Fact(Fact::Region) => &self.facts.region,
            Root::Fact(Fact::Connection) => &self.facts.connection,
            Root::Fact(Fact::HomeRegion) => &self.facts.home_region,
            Root::Fact(Fact::Regions) => &self.facts.regions,
            Root::Fact(Fact::Asked) => &self.facts.asked,
            Root::Fact(Fact::Now) => &self.facts.now,
            Root::Keys => return Cow::Owned(self.keys.object()),
        })
    }
}

/// JMESPath's truth: not null, false, empty text, list or object.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(_) => true,
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

fn walk<'v>(mut value: &'v Value, steps: &[Step]) -> &'v Value {
    for step in steps {
        value = match (step, value) {
            (Step::Field(name), Value::Object(members)) => members.get(name).unwrap_or(&NULL),
            (Step::Index(i), Value::Array(items)) => {
                let at = if *i < 0 { items.len().checked_sub(i.unsigned_abs() as usize) } else { usize::try_from(*i).ok() };
                at.and_then(|at| items.get(at)).unwrap_or(&NULL)
            }
            _ => return &NULL,
        };
    }
    value
}

fn walk_cow<'v>(value: Cow<'v, Value>, steps: &[Step]) -> Cow<'v, Value> {
    match value {
        Cow::Borrowed(v) => Cow::Borrowed(walk(v, steps)),
        Cow::Owned(v) => Cow::Owned(walk(&v, steps).clone()),
    }
}

/// The member with this name in the API's spelling: `create_date` finds `CreateDate`, `createDate` and `create_date`.
fn member<'v>(value: &'v Value, column: &str, spread: Spread) -> &'v Value {
    let of = |value: &'v Value| {
        let members = value.as_object()?;
        members.get(column).or_else(|| members.iter().find(|(name, _)| same_name(name, column)).map(|(_, v)| v))
    };
    let inner = || of(value.get("properties").filter(|_| spread == Spread::Properties)?);
    of(value).or_else(inner).unwrap_or(&NULL)
}

/// Same letters and digits, whatever their case and the signs between them.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    fn letters(s: &str) -> impl Iterator<Item = u8> {
        s.bytes().filter(u8::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase())
    }
    letters(a).eq(letters(b))
}

impl Expr {
    /// The value in an environment.
    pub(crate) fn eval<'a>(&'a self, env: &Env<'a>) -> Result<Cow<'a, Value>, Failed> {
        Ok(match self {
            Expr::Const(value) => Cow::Borrowed(value),
            Expr::Path(root, steps) => walk_cow(env.root(*root), steps),
            Expr::Get(base, steps) => walk_cow(base.eval(env)?, steps),
            Expr::Named(base, column, spread) => match base.eval(env)? {
                Cow::Borrowed(v) => Cow::Borrowed(member(v, column, *spread)),
                Cow::Owned(v) => Cow::Owned(member(&v, column, *spread).clone()),
            },
            Expr::Template(pieces) => template(pieces, env)?,
            Expr::List(items) => {
                Cow::Owned(Value::Array(items.iter().map(|e| Ok(e.eval(env)?.into_owned())).collect::<Result<_, Failed>>()?))
            }
            Expr::Object(members) => Cow::Owned(Value::Object(
                members.iter().map(|(n, e)| Ok((n.clone(), e.eval(env)?.into_owned()))).collect::<Result<_, Failed>>()?,
            )),
            Expr::Or(a, b) => {
                let left = a.eval(env)?;
                if truthy(&left) { left } else { b.eval(env)? }
            }
            Expr::And(a, b) => {
                let left = a.eval(env)?;
                if truthy(&left) { b.eval(env)? } else { left }
            }
            Expr::Not(e) => Cow::Owned(Value::Bool(!truthy(&*e.eval(env)?))),
            Expr::Compare(comparator, a, b) => Cow::Owned(compare(comparator, &*a.eval(env)?, &*b.eval(env)?)),
            Expr::Call(function, args) => {
                let args = args.iter().map(|e| e.eval(env)).collect::<Result<Vec<_>, _>>()?;
                let args: Vec<&Value> = args.iter().map(|v| &**v).collect();
                Cow::Owned((function.call)(&args).map_err(Failed)?)
            }
            Expr::Jmes(jmes) => Cow::Owned(search(jmes, env)?),
        })
    }
}

fn template<'a>(pieces: &'a [Piece], env: &Env<'a>) -> Result<Cow<'a, Value>, Failed> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Value(e) => match &*e.eval(env)? {
                Value::Null => return Ok(Cow::Owned(Value::Null)),
                Value::String(s) => out.push_str(s),
                Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
                Value::Number(n) => out.push_str(&n.to_string()),
                _ => return Err(Failed("a list or an object stands in a template".into())),
            },
        }
    }
    Ok(Cow::Owned(Value::String(out)))
}

/// JMESPath: equality of anything, order of numbers; else null.
fn compare(comparator: &Comparator, a: &Value, b: &Value) -> Value {
    let equal = || match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    };
    let order = || match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        _ => None,
    };
    let ordered = |f: fn(Ordering) -> bool| order().map_or(Value::Null, |o| Value::Bool(f(o)));
    match comparator {
        Comparator::Equal => Value::Bool(equal()),
        Comparator::NotEqual => Value::Bool(!equal()),
        Comparator::LessThan => ordered(Ordering::is_lt),
        Comparator::LessThanEqual => ordered(Ordering::is_le),
        Comparator::GreaterThan => ordered(Ordering::is_gt),
        Comparator::GreaterThanEqual => ordered(Ordering::is_ge),
    }
}

fn search(jmes: &Jmes, env: &Env<'_>) -> Result<Value, Failed> {
    let expression = jmespath::Expression::new(jmes.text.as_str(), jmes.ast.clone(), functions::runtime());
    let found = match &jmes.names {
        None => expression.search(env.this),
        Some(names) => {
            let mut data = serde_json::Map::new();
            for (name, root) in names {
                let value = match root {
                    Root::This => env.this.get(name).unwrap_or(&NULL).clone(),
                    root => env.root(*root).into_owned(),
                };
                data.insert(name.clone(), value);
            }
            expression.search(Value::Object(data))
        }
    };
    let found = found.map_err(|e| Failed(functions::reason(&e)))?;
    functions::to_value(&found).map_err(Failed)
}
