//! Predicates: true, false or unknown (`None`).

use super::ast::{Chain, Comparison, LikeRegex, Predicate};
use super::eval::{Evaluation, Outcome, Sink, broken};
use super::item::Item;
use crate::functions::jsonb_test::compare_numbers;
use datafusion::common::Result;
use std::cmp::Ordering;

impl<'a> Evaluation<'a> {
    /// Evaluates a predicate.
    pub(super) fn predicate(&mut self, predicate: &'a Predicate, item: &Item<'a>) -> Result<Option<bool>> {
        match predicate {
            Predicate::And(left, right) => {
                let left = self.predicate(left, item)?;
                if left == Some(false) {
                    return Ok(left);
                }
                let right = self.predicate(right, item)?;
                Ok(if right == Some(true) { left } else { right })
            }
            Predicate::Or(left, right) => {
                let left = self.predicate(left, item)?;
                if left == Some(true) {
                    return Ok(left);
                }
                let right = self.predicate(right, item)?;
                Ok(if right == Some(false) { left } else { right })
            }
            Predicate::Not(of) => Ok(self.predicate(of, item)?.map(|value| !value)),
            Predicate::IsUnknown(of) => Ok(Some(self.predicate(of, item)?.is_none())),
            Predicate::Exists(of) => self.exists(of, item),
            Predicate::Compare(comparison, left, right) => {
                self.any(left, Some((right, true)), item, |of, left, right| of.compare(*comparison, left, right))
            }
            Predicate::StartsWith(whole, prefix) => self.any(whole, Some((prefix, false)), item, |_, whole, prefix| {
                Ok(match (whole.string(), prefix.string()) {
                    (Some(whole), Some(prefix)) => Some(whole.starts_with(prefix.as_ref())),
                    _ => None,
                })
            }),
            Predicate::LikeRegex(text, pattern) => self.any(text, None, item, |_, text, _| like(text, pattern)),
        }
    }

    /// Evaluates what errors of do not leave the predicate.
    fn quietly<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::replace(&mut self.throws, false);
        let result = run(self);
        self.throws = outer;
        result
    }

    fn exists(&mut self, of: &'a Chain, item: &Item<'a>) -> Result<Option<bool>> {
        // In strict mode all of it is evaluated, for an error makes it unknown.
        let mut sink = if self.lax { Sink::any() } else { Sink::list() };
        let outcome = self.quietly(|evaluation| evaluation.chain(of, item, &mut sink))?;
        Ok(match outcome {
            Outcome::Error => None,
            outcome if self.lax => Some(outcome == Outcome::Found),
            _ => Some(!sink.items.is_empty()),
        })
    }

    /// Does it hold for any pair of values? In strict mode one unknown pair leaves all unknown.
    fn any(
        &mut self,
        left: &'a Chain,
        right: Option<(&'a Chain, bool)>,
        item: &Item<'a>,
        test: impl Fn(&Self, &Item<'a>, &Item<'a>) -> Result<Option<bool>>,
    ) -> Result<Option<bool>> {
        let Some(left) = self.quietly(|evaluation| evaluation.operand(left, item, true))? else { return Ok(None) };
        let right = match right {
            Some((right, unwrap)) => match self.quietly(|evaluation| evaluation.operand(right, item, unwrap))? {
                Some(right) => right,
                None => return Ok(None),
            },
            None => vec![item.clone()],
        };
        let (mut found, mut unknown) = (false, false);
        for left in &left {
            for right in &right {
                match test(self, left, right)? {
                    None if !self.lax => return Ok(None),
                    None => unknown = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if found { Some(true) } else { (!unknown).then_some(false) })
    }

    fn compare(&self, comparison: Comparison, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>> {
        let ordering = match (left, right) {
            (Item::Moment(left), Item::Moment(right)) => left.compare(right, self.zoned)?,
            (Item::Json(_), Item::Json(_)) if left.kind() == right.kind() => match left.kind() {
                "null" => Some(Ordering::Equal),
                "boolean" => Some(left.to_text().cmp(&right.to_text())),
                "number" => left.digits().zip(right.digits()).map(|(left, right)| compare_numbers(left, right)),
                "string" => left.string().zip(right.string()).map(|(left, right)| left.as_bytes().cmp(right.as_bytes())),
                _ => None,
            },
            // A null differs from everything else.
            _ if left.kind() == "null" || right.kind() == "null" => return Ok(Some(comparison == Comparison::NotEqual)),
            _ => None,
        };
        Ok(ordering.map(|ordering| match comparison {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }))
    }
}

fn like(text: &Item<'_>, pattern: &LikeRegex) -> Result<Option<bool>> {
    match text.string() {
        Some(text) => pattern.regex.is_match(&text).map(Some).map_err(broken),
        None => Ok(None),
    }
}
