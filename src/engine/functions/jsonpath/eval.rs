//! Evaluation of a path over a document, as SQL/JSON's lax and strict modes have it.

use super::ast::{Arithmetic, Chain, Head, Level, Method, Path, Step, Subscript};
use super::item::{Item, Json};
use crate::functions::decimal::Decimal;
use crate::functions::jsonb_scan;
use crate::functions::row::fail;
use datafusion::common::{DataFusionError, Result};

/// Steps an evaluation may take, 64 bytes of text to read being one: several `.**` over a deep document would go on for ever.
const BUDGET: u64 = 10_000_000;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Found,
    NotFound,
    /// An error that predicates and the `silent` argument turn into unknown.
    Error,
}

/// What was found, or only whether something was.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) keep: bool,
    pub(super) items: Vec<Item<'a>>,
}

impl<'a> Sink<'a> {
    pub(super) fn list() -> Sink<'a> {
        Sink { keep: true, items: Vec::new() }
    }

    pub(super) fn any() -> Sink<'a> {
        Sink { keep: false, items: Vec::new() }
    }

    fn add(&mut self, item: Item<'a>) {
        if self.keep {
            self.items.push(item);
        }
    }

    /// Is one found item enough, and is this one?
    fn enough(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Found && !self.keep
    }
}

/// One evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) lax: bool,
    root: Item<'a>,
    pub(super) current: Item<'a>,
    /// The document of `$name`; without it they are null.
    variables: Option<&'a str>,
    /// Are errors errors?
    pub(super) throws: bool,
    /// Are values that are not where the path says no errors?
    forgiving: bool,
    /// Size of the array whose subscript is evaluated.
    size: Option<usize>,
    /// Number of the next document made.
    pub(super) documents: u64,
    /// May moments with and without time zone be compared? The session's zone is UTC.
    pub(super) zoned: bool,
    budget: u64,
}

/// Names the outcome of an expression or leaves with its error.
macro_rules! proceed {
    ($outcome:expr) => {
        match $outcome? {
            Outcome::Error => return Ok(Outcome::Error),
            other => other,
        }
    };
}

pub(super) fn broken<E: std::fmt::Display>(error: E) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

impl<'a> Evaluation<'a> {
    /// Evaluates a path: what it finds, and how it ended.
    pub(super) fn run(
        path: &'a Path,
        document: &'a str,
        variables: Option<&'a str>,
        throws: bool,
        zoned: bool,
        sink: &mut Sink<'a>,
    ) -> Result<Outcome> {
        if variables.is_some_and(|variables| jsonb_scan::kind(variables) != "object") {
            return fail("\"vars\" argument is not an object");
        }
        let root = Item::document(document, 0);
        let mut evaluation = Evaluation {
            lax: path.lax,
            current: root.clone(),
            root: root.clone(),
            variables,
            throws,
            forgiving: path.lax,
            size: None,
            documents: if variables.is_some() { 2 } else { 1 },
            zoned,
            budget: BUDGET,
        };
        if !path.lax && !sink.keep {
            // In strict mode everything is evaluated, for there must be no error at all.
            let mut all = Sink::list();
            let outcome = evaluation.chain(&path.root, &root, &mut all)?;
            return Ok(match outcome {
                Outcome::Error => Outcome::Error,
                _ if all.items.is_empty() => Outcome::NotFound,
                _ => Outcome::Found,
            });
        }
        evaluation.chain(&path.root, &root, sink)
    }

    /// An error that may be kept silent.
    pub(super) fn error(&self, message: impl Into<String>) -> Result<Outcome> {
        if self.throws { fail(message) } else { Ok(Outcome::Error) }
    }

    /// A value is not where the path says: an error in strict mode.
    fn misplaced(&self, message: impl Into<String>) -> Result<Outcome> {
        if self.forgiving { Ok(Outcome::NotFound) } else { self.error(message) }
    }

    /// A value and its accessors.
    pub(super) fn chain(&mut self, chain: &'a Chain, item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let steps = chain.steps.as_slice();
        let enough = steps.is_empty() && !sink.keep;
        match &chain.head {
            Head::Root => self.next(steps, self.root.clone(), sink),
            Head::Current => self.next(steps, self.current.clone(), sink),
            Head::Literal(_) | Head::Variable(_) | Head::Last if enough => Ok(Outcome::Found),
            Head::Literal(text) => self.next(steps, Item::document(text, 0), sink),
            Head::Variable(name) => {
                let value = self.variable(name)?;
                self.next(steps, value, sink)
            }
            Head::Last => match self.size {
                Some(size) => self.next(steps, Item::made((size as i64 - 1).to_string(), 0), sink),
                None => fail("evaluating jsonpath LAST outside of array subscript"),
            },
            Head::Sign { negative, of } => self.sign(*negative, of, steps, item, sink),
            Head::Arithmetic(operator, left, right) => {
                let value = match self.arithmetic(*operator, left, right, item)? {
                    Some(value) => value,
                    None => return Ok(Outcome::Error),
                };
                if enough { Ok(Outcome::Found) } else { self.next(steps, Item::made(value.to_string(), 0), sink) }
            }
            Head::Predicate(predicate) => {
                let value = self.predicate(predicate, item)?;
                if enough { Ok(Outcome::Found) } else { self.next(steps, Item::of_bool(value), sink) }
            }
        }
    }

    fn spend(&mut self, item: &Item<'a>) -> Result<()> {
        match self.budget.checked_sub(1 + item.json().map_or(0, |json| json.text().len() as u64 / 64)) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => fail("the jsonpath takes too many steps over this document; make it more specific"),
        }
    }

    /// The rest of a chain over a value; without rest the value is a result.
    pub(super) fn next(&mut self, steps: &'a [Step], item: Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        if steps.is_empty() {
            sink.add(item);
            return Ok(Outcome::Found);
        }
        self.step(steps, &item, sink, self.lax)
    }

    /// An accessor and what follows it. With `unwrap` an array stands for its elements.
    fn step(&mut self, steps: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>, unwrap: bool) -> Result<Outcome> {
        self.spend(item)?;
        let Some((step, rest)) = steps.split_first() else { return self.next(steps, item.clone(), sink) };
        let unwrapped = |of: &mut Self, sink: &mut Sink<'a>| match item.array() {
            Some(array) if unwrap => Some(of.over_elements(steps, array, sink, false)),
            _ => None,
        };
        match step {
            Step::Key(name) => match item.object() {
                Some(object) => match object.member(name) {
                    Some(value) => self.next(rest, value, sink),
                    None => self.misplaced(format!("JSON object does not contain key \"{name}\"")),
                },
                None => match unwrapped(self, sink) {
                    Some(outcome) => outcome,
                    None => self.misplaced("jsonpath member accessor can only be applied to an object"),
                },
            },
            Step::AnyKey => match item.object() {
                Some(object) => self.over_elements(rest, object, sink, self.lax),
                None => match unwrapped(self, sink) {
                    Some(outcome) => outcome,
                    None => self.misplaced("jsonpath wildcard member accessor can only be applied to an object"),
                },
            },
            Step::AnyElement => match item.array() {
                Some(array) => self.over_elements(rest, array, sink, self.lax),
                None if self.lax => self.next(rest, item.clone(), sink),
                None => self.misplaced("jsonpath wildcard array accessor can only be applied to an array"),
            },
            Step::Subscripts(subscripts) => {
                if item.array().is_none() && !self.lax {
                    return self.misplaced("jsonpath array accessor can only be applied to an array");
                }
                let size = item.array().map(|array| array.children().count());
                let outer = self.size.replace(size.unwrap_or(1));
                let outcome = self.subscripts(subscripts, rest, item, size, sink);
                self.size = outer;
                outcome
            }
            Step::Any { first, last } => self.descend(*first, *last, rest, item, sink),
            Step::Filter(predicate) => {
                if let Some(outcome) = unwrapped(self, sink) {
                    return outcome;
                }
                let outer = std::mem::replace(&mut self.current, item.clone());
                let holds = self.predicate(predicate, item);
                self.current = outer;
                if holds? == Some(true) { self.next(rest, item.clone(), sink) } else { Ok(Outcome::NotFound) }
            }
            Step::Method(Method::Type) => self.made(rest, sink, || Item::of_string(item.kind())),
            Step::Method(Method::Size) => {
                let size = match item.array() {
                    Some(array) => array.children().count(),
                    None if self.lax => 1,
                    None => return self.misplaced("jsonpath item method .size() can only be applied to an array"),
                };
                self.next(rest, Item::made(size.to_string(), 0), sink)
            }
            Step::Method(method) => match unwrapped(self, sink) {
                Some(outcome) => outcome,
                None => self.method(*method, rest, item, sink),
            },
            Step::Datetime(template) => match unwrapped(self, sink) {
                Some(outcome) => outcome,
                None => self.datetime(template.as_deref(), rest, item, sink),
            },
        }
    }

    /// A new value, made only if somebody looks at it.
    pub(super) fn made(&mut self, rest: &'a [Step], sink: &mut Sink<'a>, make: impl FnOnce() -> Item<'a>) -> Result<Outcome> {
        if rest.is_empty() && !sink.keep { Ok(Outcome::Found) } else { self.next(rest, make(), sink) }
    }

    /// Steps over each element of an array, or each member's value of an object.
    fn over_elements(&mut self, steps: &'a [Step], of: &Json<'a>, sink: &mut Sink<'a>, unwrap: bool) -> Result<Outcome> {
        let mut last = Outcome::NotFound;
        for child in of.children() {
            match self.visit(steps, child, sink, unwrap)? {
                Some(outcome) if outcome == Outcome::Error || sink.enough(outcome) => return Ok(outcome),
                Some(outcome) => last = outcome,
                None => {}
            }
        }
        Ok(last)
    }

    /// One child; without steps it is a result, which only a list cares about.
    fn visit(&mut self, steps: &'a [Step], child: Item<'a>, sink: &mut Sink<'a>, unwrap: bool) -> Result<Option<Outcome>> {
        self.spend(&child)?;
        if !steps.is_empty() {
            return self.step(steps, &child, sink, unwrap).map(Some);
        }
        sink.add(child);
        Ok((!sink.keep).then_some(Outcome::Found))
    }

    /// `.**`: a value, and everything below it between two levels.
    fn descend(&mut self, first: Level, last: Level, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let outer = std::mem::replace(&mut self.forgiving, true);
        let outcome = self.below(first, last, rest, item, sink);
        self.forgiving = outer;
        outcome
    }

    fn below(&mut self, first: Level, last: Level, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let mut found = Outcome::NotFound;
        if first == Level::At(0) {
            found = self.next(rest, item.clone(), sink)?;
            if sink.enough(found) {
                return Ok(found);
            }
        }
        let Some(top) = item.json().filter(|json| json.is_container()) else { return Ok(found) };
        let reached = |level: u32, limit: Level| match limit {
            Level::At(limit) => level >= limit,
            Level::Last => false,
        };
        let leaves = (first, last) == (Level::Last, Level::Last);
        found = Outcome::NotFound;
        if reached(0, last) {
            return Ok(found);
        }
        let mut open = vec![top.children()];
        while let Some(children) = open.last_mut() {
            let Some(child) = children.next() else {
                open.pop();
                continue;
            };
            let level = open.len() as u32;
            let container = child.json().filter(|json| json.is_container()).map(Json::children);
            if reached(level, first) || (leaves && container.is_none()) {
                match self.visit(rest, child, sink, self.lax)? {
                    Some(outcome) if outcome == Outcome::Error || sink.enough(outcome) => return Ok(outcome),
                    Some(outcome) => found = outcome,
                    None => {}
                }
            } else {
                self.spend(&child)?;
            }
            if let Some(children) = container.filter(|_| !reached(level, last)) {
                open.push(children);
            }
        }
        Ok(found)
    }

    fn subscripts(
        &mut self,
        subscripts: &'a [Subscript],
        rest: &'a [Step],
        item: &Item<'a>,
        size: Option<usize>,
        sink: &mut Sink<'a>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::NotFound;
        let length = size.unwrap_or(1) as i64;
        for subscript in subscripts {
            let Some(from) = self.index(&subscript.from, item)? else { return Ok(Outcome::Error) };
            let to = match &subscript.to {
                Some(to) => match self.index(to, item)? {
                    Some(to) => to,
                    None => return Ok(Outcome::Error),
                },
                None => from,
            };
            if !self.forgiving && (from < 0 || from > to || to >= length) {
                return self.error("jsonpath array subscript is out of bounds");
            }
            outcome = Outcome::NotFound;
            let values: Box<dyn Iterator<Item = Item<'a>>> = match item.array() {
                _ if from.max(0) > to.min(length - 1) => Box::new(std::iter::empty()),
                Some(array) if from == to => Box::new(array.element(from as usize).into_iter()),
                Some(array) => Box::new(array.children().skip(from.max(0) as usize).take((to.min(length - 1) - from.max(0) + 1) as usize)),
                None => Box::new(std::iter::once(item.clone())),
            };
            for value in values {
                if rest.is_empty() && !sink.keep {
                    return Ok(Outcome::Found);
                }
                outcome = self.next(rest, value, sink)?;
                if outcome == Outcome::Error || sink.enough(outcome) {
                    return Ok(outcome);
                }
            }
        }
        Ok(outcome)
    }

    /// A subscript's value; nothing after a silent error.
    fn index(&mut self, chain: &'a Chain, item: &Item<'a>) -> Result<Option<i64>> {
        let mut values = Sink::list();
        if self.chain(chain, item, &mut values)? == Outcome::Error {
            return Ok(None);
        }
        let number = match values.items.as_slice() {
            [only] => only.number(),
            _ => None,
        };
        let trouble = match number.map(|number| number.trunc().to_string().parse::<i32>()) {
            Some(Ok(index)) => return Ok(Some(i64::from(index))),
            Some(Err(_)) => "jsonpath array subscript is out of integer range",
            None => "jsonpath array subscript is not a single numeric value",
        };
        self.error(trouble).map(|_| None)
    }

    fn variable(&self, name: &str) -> Result<Item<'a>> {
        let Some(variables) = self.variables else { return Ok(Item::of_bool(None)) };
        let found = match Item::document(variables, 1) {
            Item::Json(json) => json.member(name),
            Item::Moment(_) => None,
        };
        found.map_or_else(|| fail(format!("could not find jsonpath variable \"{name}\"")), Ok)
    }

    /// The values of an operand; in lax mode arrays stand for their elements.
    pub(super) fn operand(&mut self, chain: &'a Chain, item: &Item<'a>, unwrap: bool) -> Result<Option<Vec<Item<'a>>>> {
        let mut values = Sink::list();
        if self.chain(chain, item, &mut values)? == Outcome::Error {
            return Ok(None);
        }
        if !unwrap || !self.lax {
            return Ok(Some(values.items));
        }
        let mut flat = Vec::with_capacity(values.items.len());
        for value in values.items {
            match value.array() {
                Some(array) => flat.extend(array.children()),
                None => flat.push(value),
            }
        }
        Ok(Some(flat))
    }

    fn sign(&mut self, negative: bool, of: &'a Chain, steps: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let Some(values) = self.operand(of, item, true)? else { return Ok(Outcome::Error) };
        let mut found = Outcome::NotFound;
        let enough = steps.is_empty() && !sink.keep;
        for value in values {
            match value.number() {
                Some(_) if enough => return Ok(Outcome::Found),
                None if enough => continue,
                None => {
                    let symbol = if negative { '-' } else { '+' };
                    return self.error(format!("operand of unary jsonpath operator {symbol} is not a numeric value"));
                }
                Some(number) => {
                    let number = if negative { number.neg() } else { number };
                    if proceed!(self.next(steps, Item::made(number.to_string(), 0), sink)) == Outcome::Found {
                        if !sink.keep {
                            return Ok(Outcome::Found);
                        }
                        found = Outcome::Found;
                    }
                }
            }
        }
        Ok(found)
    }

    fn arithmetic(&mut self, operator: Arithmetic, left: &'a Chain, right: &'a Chain, item: &Item<'a>) -> Result<Option<Decimal>> {
        let Some(left) = self.operand(left, item, true)? else { return Ok(None) };
        let Some(right) = self.operand(right, item, true)? else { return Ok(None) };
        let single = |values: &[Item<'a>]| if let [only] = values { only.number() } else { None };
        let not_numeric = |side: &str| format!("{side} operand of jsonpath operator {} is not a single numeric value", operator.symbol());
        let Some(left) = single(&left) else { return self.error(not_numeric("left")).map(|_| None) };
        let Some(right) = single(&right) else { return self.error(not_numeric("right")).map(|_| None) };
        let value = match operator {
            Arithmetic::Add => left.add(&right),
            Arithmetic::Sub => left.sub(&right),
            Arithmetic::Mul => left.mul(&right),
            Arithmetic::Div => left.div(&right),
            Arithmetic::Mod => left.rem(&right),
        };
        match value {
            Ok(value) => Ok(Some(value)),
            Err(trouble) => self.error(trouble.to_string()).map(|_| None),
        }
    }
}
