//! Further calls per row: what they ask, and what they make of an answer. Refuses: to make rows; links do.

use super::call::{Ask, Call, Fallback, env, over_answer};
use super::row::{Facts, Row};
use super::select::Select;
use crate::expr::{Env, Expr};
use crate::plan::Start;
use crate::spec::yaml::At;
use serde_json::Value;
use std::sync::Arc;

/// A further call per row.
#[derive(Debug, Clone)]
pub struct Also {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) call: Call,
    pub(crate) per: Option<(Expr, At)>,
    pub(crate) each: Option<(Select, At)>,
    pub(crate) take: Option<(Expr, At)>,
    pub(crate) null: Vec<(String, At)>,
    pub(crate) fallback: Option<Box<Fallback>>,
}

impl Also {
    /// Position among the table's further calls: the slot of its answer.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Is it made once per element of another answer, with an array as result?
    pub fn per_element(&self) -> bool {
        self.per.is_some()
    }

    /// Are all pages read and their elements collected?
    pub fn paged(&self) -> bool {
        self.each.is_some()
    }

    /// The calls for a row: one, or one per element; none when an input is null.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn asks(&self, start: &Start, facts: &Facts, row: &Row) -> Result<Vec<Ask>, String> {
        let env = env(Some(row), start, facts);
        let Some((per, _)) = &self.per else { return Ok(self.call.ask(&env, &[], None)?.into_iter().collect()) };
        let elements = per.eval(&env).map_err(|e| format!("per: {}", e.0))?;
        let mut out = Vec::new();
        for item in elements.as_array().into_iter().flatten() {
            out.extend(self.call.ask(&Env { item: Some(item), ..env }, &[], None)?);
        }
        Ok(out)
    }

    /// The call to make instead after this error code.
    ///
    /// # Errors
    /// An input cannot be computed.
    pub fn instead(&self, code: &str, start: &Start, facts: &Facts, row: &Row) -> Result<Option<Ask>, String> {
        match self.fallback.as_deref().filter(|f| f.on.iter().any(|(c, _)| c == code)) {
            None => Ok(None),
            Some(f) => f.call.ask(&env(Some(row), start, facts), &[], None),
        }
    }

    /// What `take:` makes of an answer; `fallback` when the answer is that of the call made instead.
    ///
    /// # Errors
    /// The expression fails on the answer.
    pub fn taken(&self, answer: &Arc<Value>, fallback: bool) -> Result<Arc<Value>, String> {
        let take = if fallback { self.fallback.as_deref().and_then(|f| f.take.as_ref()) } else { self.take.as_ref() };
        match take {
            None => Ok(answer.clone()),
            Some((take, _)) => over_answer(take, answer).map(Arc::new),
        }
    }

    /// The elements of a page, for calls that collect all pages.
    ///
    /// # Errors
    /// The answer is not what `each:` expects.
    pub fn elements(&self, page: &Arc<Value>) -> Result<Vec<Value>, String> {
        match &self.each {
            None => Ok(vec![(**page).clone()]),
            Some((each, _)) => {
                if self.call.rest.is_some() {
                    each.expect(page)?;
                }
                Ok(each.rows(page, &[])?.into_iter().map(|(this, _)| this.value().clone()).collect())
            }
        }
    }

    /// Does this error code mean null?
    pub fn means_null(&self, code: &str) -> bool {
        self.null.iter().any(|(c, _)| c == code)
    }

    /// Calls `f` with every expression its calls are made of.
    pub(crate) fn inputs(&self, f: &mut dyn FnMut(&Expr, At)) {
        let fallback = self.fallback.as_deref().map(|f| &f.call);
        for call in std::iter::once(&self.call).chain(fallback) {
            call.exprs().for_each(|(e, at)| f(e, at));
        }
        if let Some((e, at)) = &self.per {
            f(e, *at);
        }
    }
}
