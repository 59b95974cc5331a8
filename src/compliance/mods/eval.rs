//! Evaluates expressions: operators, traversals, `for`, and the names they use. Every error has the place of its expression.

use super::check::NEEDS;
use super::functions::{self, Wrong};
use super::module::{Kind, World};
use super::source::Source;
use super::template::{self, Style};
use super::types;
use super::value::{Thing, Value};
use crate::error::did_you_mean;
use crate::yaml::error_at;
use crate::{ContentError, Place};
use bigdecimal::ToPrimitive as _;
use hcl_edit::Span;
use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Expression, ForExpr, FuncCall, Object, ObjectKey, Traversal, TraversalOperator, UnaryOperator,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// Expressions that refer to expressions: deeper than this there is no end to be expected.
const MAX_DEPTH: usize = 2_000;

/// Where an expression stands and which loop variables it sees.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Index of the mod.
    pub(crate) module: usize,
    pub(crate) source: &'a Source,
    pub(crate) names: Option<&'a Names<'a>>,
}

/// Variables of a loop, innermost first.
pub(crate) struct Names<'a> {
    outer: Option<&'a Names<'a>>,
    names: Vec<(&'a str, Value)>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(outer: Option<&'a Names<'a>>, key: Option<&'a str>, k: Value, value: &'a str, v: Value) -> Names<'a> {
        let mut names = vec![(value, v)];
        names.extend(key.map(|key| (key, k)));
        Names { outer, names }
    }

    /// The variables of a template file.
    pub(crate) fn given(names: Vec<(&'a str, Value)>) -> Names<'a> {
        Names { outer: None, names }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.names.iter().find(|(n, _)| *n == name).map(|(_, v)| v).or_else(|| self.outer?.get(name))
    }

    fn all(&self) -> Vec<&'a str> {
        let mut out: Vec<&str> = self.names.iter().map(|(n, _)| *n).collect();
        out.extend(self.outer.map(Names::all).unwrap_or_default());
        out
    }
}

/// One thread's view of the world: it knows what it is about to evaluate, and so finds cycles.
pub(crate) struct Evaluator<'w> {
    pub(crate) world: &'w World,
    pub(crate) stack: RefCell<Vec<String>>,
    depth: Cell<usize>,
}

impl<'w> Evaluator<'w> {
    pub(crate) fn new(world: &'w World) -> Evaluator<'w> {
        Evaluator { world, stack: RefCell::new(Vec::new()), depth: Cell::new(0) }
    }

    pub(crate) fn error(
        &self,
        frame: &Frame<'_>,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> ContentError {
        error_at(&frame.source.place(span), message, hint)
    }

    /// Evaluates something with a name, refusing to do so while that is going on already.
    pub(crate) fn named<T>(&self, name: String, at: &Place, work: impl FnOnce() -> Result<T, ContentError>) -> Result<T, ContentError> {
        if let Some(start) = self.stack.borrow().iter().position(|n| *n == name) {
            let way = self.stack.borrow()[start..].join(" → ");
            return Err(error_at(at, format!("{name} refers to itself"), Some(format!("the way round is {way} → {name}"))));
        }
        self.stack.borrow_mut().push(name);
        let done = work();
        self.stack.borrow_mut().pop();
        done
    }

    pub(crate) fn expr(&self, frame: &Frame<'_>, expr: &Expression) -> Result<Value, ContentError> {
        if self.depth.get() >= MAX_DEPTH {
            return Err(self.error(frame, expr.span(), "expressions refer to each other too deeply", None));
        }
        self.depth.set(self.depth.get() + 1);
        let value = self.expr_inner(frame, expr);
        self.depth.set(self.depth.get() - 1);
        value
    }

    fn expr_inner(&self, frame: &Frame<'_>, expr: &Expression) -> Result<Value, ContentError> {
        Ok(match expr {
            Expression::Null(_) => Value::Null,
            Expression::Bool(b) => Value::Bool(*b.value()),
            Expression::Number(n) => Value::of_number(n.value()),
            Expression::String(s) => Value::text(s.value().as_str()),
            Expression::Array(items) => Value::List(items.iter().map(|e| self.expr(frame, e)).collect::<Result<_, _>>()?),
            Expression::Object(object) => self.object(frame, object)?,
            Expression::StringTemplate(t) => match t.as_single_element().and_then(|e| e.as_interpolation()) {
                // "${x}" alone is x, whatever its type.
                Some(only) => self.expr(frame, &only.expr)?,
                None => template::evaluate(self, frame, t, Style::Quoted)?,
            },
            Expression::HeredocTemplate(h) => {
                let begins = h.span().and_then(|s| frame.source.text.get(s.start..)).unwrap_or_default();
                let style = if begins.starts_with("<<-") { Style::Flush } else { Style::Heredoc };
                template::evaluate(self, frame, &h.template, style)?
            }
            Expression::Parenthesis(p) => self.expr(frame, p.inner())?,
            Expression::Variable(name) => self.variable(frame, name.as_str(), expr.span())?,
            Expression::Conditional(c) => {
                let holds = self.boolean(frame, &c.cond_expr, "a condition")?;
                let (taken, other) = if holds { (&c.true_expr, &c.false_expr) } else { (&c.false_expr, &c.true_expr) };
                let value = self.expr(frame, taken)?;
                // Both sides become one type, so that `x ? 1 : "a"` is text. A side that cannot be evaluated does not count.
                match self.expr(frame, other) {
                    Ok(other) if other.kind() != value.kind() || matches!(value, Value::List(_) | Value::Map(_)) => {
                        let both = types::unified(vec![value, other]).unwrap_or_else(|as_they_are| as_they_are);
                        both.into_iter().next().unwrap_or(Value::Null)
                    }
                    _ => value,
                }
            }
            Expression::FuncCall(call) => self.call(frame, call, expr.span())?,
            Expression::Traversal(t) => self.traversal(frame, t)?,
            Expression::UnaryOp(op) => match *op.operator.value() {
                UnaryOperator::Not => Value::Bool(!self.boolean(frame, &op.expr, "the operand of '!'")?),
                UnaryOperator::Neg => match self.number(frame, &op.expr, "the operand of '-'")? {
                    Value::Int(i) => i.checked_neg().map_or_else(|| Value::Float(9_223_372_036_854_775_808.0), Value::Int),
                    other => Value::number(-other.as_f64().unwrap_or_default()),
                },
            },
            Expression::BinaryOp(op) => self.binary(frame, op)?,
            Expression::ForExpr(f) => self.for_expr(frame, f)?,
        })
    }

    /// Text of a primitive.
    pub(crate) fn text(&self, frame: &Frame<'_>, expr: &Expression, what: &str) -> Result<Arc<str>, ContentError> {
        let value = self.expr(frame, expr)?;
        value.as_text().ok_or_else(|| {
            let hint = match &value {
                Value::List(_) => Some("join(\", \", …) makes text of a list".to_owned()),
                Value::Map(_) => Some("jsonencode(…) makes text of a map".to_owned()),
                Value::Thing(thing) => Some(format!("name one of its attributes, such as {}.{}.title", thing.kind.word(), thing.name)),
                _ => None,
            };
            self.error(frame, expr.span(), format!("{what} must be text, not {}", value.kind()), hint)
        })
    }

    pub(crate) fn boolean(&self, frame: &Frame<'_>, expr: &Expression, what: &str) -> Result<bool, ContentError> {
        let value = self.expr(frame, expr)?;
        value.as_bool().ok_or_else(|| self.error(frame, expr.span(), format!("{what} must be true or false, not {}", value.kind()), None))
    }

    fn number(&self, frame: &Frame<'_>, expr: &Expression, what: &str) -> Result<Value, ContentError> {
        let value = self.expr(frame, expr)?;
        value.as_number().ok_or_else(|| self.error(frame, expr.span(), format!("{what} must be a number, not {}", value.kind()), None))
    }

    /// Keys and values of a list or map.
    pub(crate) fn entries(&self, frame: &Frame<'_>, expr: &Expression) -> Result<Vec<(Value, Value)>, ContentError> {
        match self.expr(frame, expr)? {
            Value::List(items) => {
                Ok(items.into_iter().enumerate().map(|(i, v)| (Value::Int(i64::try_from(i).unwrap_or(i64::MAX)), v)).collect())
            }
            Value::Map(map) => Ok(map.into_iter().map(|(k, v)| (Value::text(k), v)).collect()),
            other => Err(self.error(frame, expr.span(), format!("'for' needs a list or a map, not {}", other.kind()), None)),
        }
    }

    fn object(&self, frame: &Frame<'_>, object: &Object) -> Result<Value, ContentError> {
        let mut map = BTreeMap::new();
        for (key, value) in object {
            let repeated = &frame.source.repeated;
            let span = match key {
                ObjectKey::Ident(ident) => ident.span(),
                ObjectKey::Expression(e) => e.span(),
            };
            let original = if repeated.is_empty() { None } else { span.and_then(|s| repeated.get(&s.start)) };
            let key = match (original, key) {
                (Some(name), _) => name.clone(),
                (None, ObjectKey::Ident(ident)) => ident.as_str().to_owned(),
                (None, ObjectKey::Expression(e)) => self.text(frame, e, "a key")?.to_string(),
            };
            map.insert(key, self.expr(frame, value.expr())?);
        }
        Ok(Value::Map(map))
    }

    fn for_expr(&self, frame: &Frame<'_>, f: &ForExpr) -> Result<Value, ContentError> {
        let key = f.intro.key_var.as_ref().map(|k| k.as_str());
        let mut list = Vec::new();
        let mut map: BTreeMap<String, Value> = BTreeMap::new();
        for (k, v) in self.entries(frame, &f.intro.collection_expr)? {
            let names = Names::new(frame.names, key, k, f.intro.value_var.as_str(), v);
            let frame = Frame { names: Some(&names), ..*frame };
            if let Some(cond) = &f.cond
                && !self.boolean(&frame, &cond.expr, "the condition of 'for'")?
            {
                continue;
            }
            let Some(key_expr) = &f.key_expr else {
                list.push(self.expr(&frame, &f.value_expr)?);
                continue;
            };
            let key = self.text(&frame, key_expr, "a key")?.to_string();
            let value = self.expr(&frame, &f.value_expr)?;
            if f.grouping {
                match map.entry(key).or_insert_with(|| Value::List(Vec::new())) {
                    Value::List(group) => group.push(value),
                    other => *other = value,
                }
                continue;
            }
            match map.entry(key) {
                Entry::Vacant(free) => drop(free.insert(value)),
                Entry::Occupied(taken) => {
                    let hint = "end the value with '...' to collect the values of a key in a list".to_owned();
                    return Err(self.error(&frame, key_expr.span(), format!("the key '{}' comes twice", taken.key()), Some(hint)));
                }
            }
        }
        Ok(if f.key_expr.is_some() { Value::Map(map) } else { Value::List(list) })
    }

    fn binary(&self, frame: &Frame<'_>, op: &BinaryOp) -> Result<Value, ContentError> {
        use BinaryOperator as B;
        let operator = *op.operator.value();
        let what = format!("an operand of '{}'", operator.as_str());
        let (l, r) = (&op.lhs_expr, &op.rhs_expr);
        Ok(match operator {
            B::Eq => Value::Bool(self.expr(frame, l)?.same(&self.expr(frame, r)?)),
            B::NotEq => Value::Bool(!self.expr(frame, l)?.same(&self.expr(frame, r)?)),
            B::And => Value::Bool(self.boolean(frame, l, &what)? && self.boolean(frame, r, &what)?),
            B::Or => Value::Bool(self.boolean(frame, l, &what)? || self.boolean(frame, r, &what)?),
            B::Less | B::LessEq | B::Greater | B::GreaterEq => {
                let order = self.number(frame, l, &what)?.order(&self.number(frame, r, &what)?);
                Value::Bool(match operator {
                    B::Less => order.is_lt(),
                    B::LessEq => order.is_le(),
                    B::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            B::Plus | B::Minus | B::Mul | B::Div | B::Mod => {
                let (a, b) = (self.number(frame, l, &what)?, self.number(frame, r, &what)?);
                if matches!(operator, B::Div | B::Mod) && b.as_f64() == Some(0.0) {
                    return Err(self.error(frame, r.span(), "division by zero", None));
                }
                if let (Value::Int(a), Value::Int(b)) = (&a, &b) {
                    let whole = match operator {
                        B::Plus => a.checked_add(*b),
                        B::Minus => a.checked_sub(*b),
                        B::Mul => a.checked_mul(*b),
                        B::Mod => a.checked_rem(*b),
                        _ => None,
                    };
                    if let Some(whole) = whole {
                        return Ok(Value::Int(whole));
                    }
                }
                // As decimals, so that 0.1 + 0.2 is 0.3.
                let number = match (a.as_decimal(), b.as_decimal()) {
                    (Some(a), Some(b)) => match operator {
                        B::Plus => a + b,
                        B::Minus => a - b,
                        B::Mul => a * b,
                        B::Div => a / b,
                        _ => a % b,
                    }
                    .to_f64(),
                    _ => None,
                };
                number
                    .filter(|n| n.is_finite())
                    .map(Value::number)
                    .ok_or_else(|| self.error(frame, r.span(), "the number is too large", None))?
            }
        })
    }

    /// A name that stands alone.
    fn variable(&self, frame: &Frame<'_>, name: &str, span: Option<Range<usize>>) -> Result<Value, ContentError> {
        if let Some(value) = frame.names.and_then(|n| n.get(name)) {
            return Ok(value.clone());
        }
        let known = frame.names.map(Names::all).unwrap_or_default();
        let root = ["local", "var", "query", "control", "benchmark", "mod"];
        let (message, hint) = if root.contains(&name) {
            (format!("'{name}' alone has no value"), Some(format!("name what you mean: {name}.…")))
        } else {
            let hint = did_you_mean(name, known).unwrap_or_else(|| format!("text stands in quotes: \"{name}\""));
            (format!("there is no '{name}'"), Some(hint))
        };
        Err(self.error(frame, span, message, hint))
    }

    fn traversal(&self, frame: &Frame<'_>, t: &Traversal) -> Result<Value, ContentError> {
        let ops: Vec<(&TraversalOperator, Option<Range<usize>>)> = t.operators.iter().map(|o| (o.value(), o.span())).collect();
        if let Expression::Variable(root) = &t.expr
            && frame.names.and_then(|n| n.get(root.as_str())).is_none()
        {
            let (value, used) = self.reference(frame, root.as_str(), t)?;
            return self.walk(frame, value, &ops[used..], t);
        }
        let value = self.expr(frame, &t.expr)?;
        self.walk(frame, value, &ops, t)
    }

    /// `local.x`, `var.x`, `query.x`, `mod_name.control.x` …, and how many operators it took.
    fn reference(&self, frame: &Frame<'_>, root: &str, t: &Traversal) -> Result<(Value, usize), ContentError> {
        let part = |i: usize| match t.operators.get(i).map(|o| o.value()) {
            Some(TraversalOperator::GetAttr(ident)) => Some(ident.as_str()),
            Some(TraversalOperator::Index(Expression::String(s))) => Some(s.value().as_str()),
            _ => None,
        };
        let place = frame.source.place(t.span());
        let span_of = |i: usize| t.operators.get(i).and_then(|o| o.span()).or_else(|| t.span());
        let needs = |i: usize, so_far: &str| {
            self.error(frame, span_of(i), format!("'{so_far}' must be followed by a name"), Some(format!("write {so_far}.…")))
        };
        match root {
            "local" => Ok((self.local(frame.module, part(0).ok_or_else(|| needs(0, root))?, &place)?, 1)),
            "var" => Ok((self.var(frame.module, part(0).ok_or_else(|| needs(0, root))?, &place)?, 1)),
            _ => {
                if let Some(kind) = Kind::parse(root) {
                    let name = part(0).ok_or_else(|| needs(0, root))?;
                    return Ok((self.thing(frame.module, true, kind, name, &place)?, 1));
                }
                let Some(module) = self.world.module(root) else {
                    return Err(self.no_root(frame, root, t));
                };
                let word = part(0).ok_or_else(|| needs(0, root))?;
                let so_far = format!("{root}.{word}");
                let name = part(1).ok_or_else(|| needs(1, &so_far))?;
                match (word, Kind::parse(word)) {
                    ("var", _) => Ok((self.var(module, name, &place)?, 2)),
                    ("local", _) => Ok((self.local(module, name, &place)?, 2)),
                    (_, Some(kind)) => Ok((self.thing(module, false, kind, name, &place)?, 2)),
                    _ => Err(self.error(frame, span_of(0), format!("a mod has no '{word}'"), did_you_mean(word, Kind::WORDS))),
                }
            }
        }
    }

    fn no_root(&self, frame: &Frame<'_>, root: &str, t: &Traversal) -> ContentError {
        let missing = self.world.modules[frame.module].missing.first();
        let mut known: Vec<&str> = vec!["local", "var"];
        known.extend(Kind::WORDS);
        known.extend(self.world.modules.iter().map(|m| m.name.as_str()));
        known.extend(frame.names.map(Names::all).unwrap_or_default());
        let hint = did_you_mean(root, known).or_else(|| missing.map(|source| format!("{NEEDS}`assay mod install {source}`")));
        self.error(frame, t.expr.span(), format!("there is no '{root}'"), hint)
    }

    fn walk(
        &self,
        frame: &Frame<'_>,
        value: Value,
        ops: &[(&TraversalOperator, Option<Range<usize>>)],
        t: &Traversal,
    ) -> Result<Value, ContentError> {
        let Some(((op, span), rest)) = ops.split_first() else { return Ok(value) };
        let span = span.clone().or_else(|| t.span());
        match op {
            TraversalOperator::GetAttr(name) => {
                let next = self.attribute(frame, &value, name.as_str(), span)?;
                self.walk(frame, next, rest, t)
            }
            TraversalOperator::LegacyIndex(i) => {
                let next = self.index(frame, &value, &Value::Int(i64::try_from(*i.value()).unwrap_or(i64::MAX)), span)?;
                self.walk(frame, next, rest, t)
            }
            TraversalOperator::Index(e) => {
                let next = self.index(frame, &value, &self.expr(frame, e)?, span)?;
                self.walk(frame, next, rest, t)
            }
            TraversalOperator::FullSplat(_) => {
                let each = splat(value).into_iter().map(|v| self.walk(frame, v, rest, t)).collect::<Result<_, _>>()?;
                Ok(Value::List(each))
            }
            TraversalOperator::AttrSplat(_) => {
                let n = rest.iter().take_while(|(op, _)| matches!(op, TraversalOperator::GetAttr(_))).count();
                let each = splat(value).into_iter().map(|v| self.walk(frame, v, &rest[..n], t)).collect::<Result<_, _>>()?;
                self.walk(frame, Value::List(each), &rest[n..], t)
            }
        }
    }

    fn attribute(&self, frame: &Frame<'_>, value: &Value, name: &str, span: Option<Range<usize>>) -> Result<Value, ContentError> {
        match value {
            Value::Map(map) => map.get(name).cloned().ok_or_else(|| {
                let hint = did_you_mean(name, map.keys().map(String::as_str)).or_else(|| keys_hint(map));
                self.error(frame, span, format!("the map has no key '{name}'"), hint)
            }),
            Value::Thing(thing) => self.attribute_of(thing, name, &frame.source.place(span)),
            other => Err(self.error(frame, span, format!("{} has no attributes, so no '{name}'", other.kind()), None)),
        }
    }

    fn index(&self, frame: &Frame<'_>, value: &Value, key: &Value, span: Option<Range<usize>>) -> Result<Value, ContentError> {
        match (value, key) {
            (Value::List(items), key) if key.as_int().is_some() => {
                let i = key.as_int().unwrap_or_default();
                usize::try_from(i).ok().and_then(|i| items.get(i)).cloned().ok_or_else(|| {
                    let n = items.len();
                    let hint = if n == 0 { "it is empty".to_owned() } else { format!("its elements are 0 to {}", n - 1) };
                    self.error(frame, span, format!("the list has no element {i}"), Some(hint))
                })
            }
            (Value::Map(_) | Value::Thing(_), key) if key.as_text().is_some() => {
                let key = key.as_text().unwrap_or_default();
                self.attribute(frame, value, &key, span)
            }
            (value, key) => Err(self.error(frame, span, format!("{} cannot be indexed by {}", value.kind(), key.kind()), None)),
        }
    }

    fn call(&self, frame: &Frame<'_>, call: &FuncCall, span: Option<Range<usize>>) -> Result<Value, ContentError> {
        let name = call.name.name.as_str();
        if call.name.is_namespaced() {
            return Err(self.error(frame, span, "functions with '::' are not known", None));
        }
        match name {
            "try" => {
                let mut last = self.error(frame, span, "try() needs an argument", None);
                for e in call.args.iter() {
                    match self.expr(frame, e) {
                        Ok(value) => return Ok(value),
                        Err(error) => last = error,
                    }
                }
                return Err(last);
            }
            "can" if call.args.len() == 1 => {
                return Ok(Value::Bool(call.args.get(0).is_some_and(|e| self.expr(frame, e).is_ok())));
            }
            _ => {}
        }
        let mut args = call.args.iter().map(|e| self.expr(frame, e)).collect::<Result<Vec<_>, _>>()?;
        if call.args.expand_final() {
            match args.pop() {
                Some(Value::List(items)) => args.extend(items),
                other => {
                    let kind = other.map_or("nothing", |v| v.kind());
                    return Err(self.error(frame, span, format!("'...' needs a list, not {kind}"), None));
                }
            }
        }
        let done = match functions::files::call(self, frame, name, &args) {
            Some(done) => done,
            None => functions::call(name, args).unwrap_or_else(|| {
                let mut wrong = Wrong::from(format!("there is no function '{name}'"));
                wrong.hint = functions::refused(name).map(str::to_owned).or_else(|| did_you_mean(name, functions::names()));
                Err(wrong)
            }),
        };
        done.map_err(|wrong| {
            let at = wrong.arg.and_then(|i| call.args.get(i)).and_then(Expression::span).or(span);
            let message =
                if wrong.message.starts_with("there is no function") { wrong.message } else { format!("{name}(): {}", wrong.message) };
            self.error(frame, at, message, wrong.hint)
        })
    }

    /// A control, benchmark or query by name; `or_outside`: one of YAML will do where the mod has none.
    fn thing(&self, module: usize, or_outside: bool, kind: Kind, name: &str, place: &Place) -> Result<Value, ContentError> {
        let m = &self.world.modules[module];
        if kind == Kind::Mod {
            return match self.world.module(name) {
                Some(found) => Ok(Value::Thing(Thing { module: Some(found), kind, name: Arc::from(name) })),
                None => {
                    let hint = did_you_mean(name, self.world.modules.iter().map(|m| m.name.as_str()));
                    Err(error_at(place, format!("there is no mod '{name}'"), hint))
                }
            };
        }
        if m.things.contains_key(&(kind, name.to_owned())) {
            return Ok(Value::Thing(Thing { module: Some(module), kind, name: Arc::from(name) }));
        }
        if or_outside && self.world.outside.contains(&(kind, name.to_owned())) {
            return Ok(Value::Thing(Thing { module: None, kind, name: Arc::from(name) }));
        }
        let known = m.things.keys().filter(|(k, _)| *k == kind).map(|(_, n)| n.as_str());
        let hint = did_you_mean(name, known).or_else(|| {
            let word = Kind::WORDS.into_iter().find(|w| Kind::parse(w).is_some_and(|k| m.things.contains_key(&(k, name.to_owned()))))?;
            Some(format!("there is {word}.{name}"))
        });
        Err(error_at(place, format!("mod '{}' has no {} '{name}'", m.name, kind.word()), hint))
    }
}

fn splat(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::List(items) => items,
        other => vec![other],
    }
}

fn keys_hint(map: &BTreeMap<String, Value>) -> Option<String> {
    let keys: Vec<&str> = map.keys().take(8).map(String::as_str).collect();
    (!keys.is_empty()).then(|| format!("it has {}", keys.join(", ")))
}
