//! What is known of a row before calls are made for it: from the row above it, from the row itself, or from some of its further calls.
//!
//! Owns: how early a column is known, and its values that early. Refuses: values that a call of their own would have to give.

use super::{CallPlan, Route, Start};
use crate::expr::{Env, Expr, Root};
use crate::program::{Op, Program};
use crate::run::{Builder, Facts, LinkSource, Row, Takes};
use crate::table::Table;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};

/// When the value of a column is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// With the rows of this link of the chain, before the next link is asked for them.
    Above(usize),
    /// With the row, before any further call.
    Row,
    /// With the answers of some further calls, before those of other columns.
    Further,
}

impl Table {
    /// How early a column is known.
    pub fn known(&self, column: usize) -> Option<Known> {
        self.program.known(column)
    }

    /// How many further calls a row can have.
    pub fn further_calls(&self) -> usize {
        self.program.alsos.len()
    }
}

impl Program {
    fn known(&self, column: usize) -> Option<Known> {
        let source = self.columns.get(column)?;
        if let Some((_, _, last)) = self.above(column) {
            return Some(Known::Above(last));
        }
        Some(if source.alsos.is_empty() { Known::Row } else { Known::Further })
    }

    /// What gives the column from the rows above alone: its own source, or the input that its values are asked by. With the first and the
    /// last link that is read.
    fn above(&self, column: usize) -> Option<(&Expr, usize, usize)> {
        let of = |expr| from_above(expr).map(|(first, last)| (expr, first, last));
        let own = of(&self.columns.get(column)?.source);
        own.or_else(|| of(self.asked_with(column)?)).filter(|(_, _, last)| last + 1 < self.links.len())
    }

    /// The input of a link whose rows all have this value in the column.
    fn asked_with(&self, column: usize) -> Option<&Expr> {
        let input = |link: usize, member: &str| match &self.links[link].source {
            LinkSource::Call(call) => call.input.iter().find(|(name, ..)| name == member).map(|(_, expr, _)| expr),
            LinkSource::Values(_) | LinkSource::Built(..) => None,
        };
        if let Some((_, link, member)) = self.parents.iter().find(|(of, ..)| *of == column) {
            return input(*link, member);
        }
        let (key, spec) = self.keys.iter().enumerate().find(|(_, key)| key.column == column && key.map.is_none())?;
        let target = spec.target(Op::Eq).filter(|target| target.takes == Takes::One)?;
        let link = target.links.iter().find(|link| self.names_parent(key, **link))?;
        input(*link, &target.member)
    }
}

/// The first and the last link of the chain that an expression reads, where it reads nothing else.
fn from_above(expr: &Expr) -> Option<(usize, usize)> {
    let links: Option<Vec<usize>> = expr
        .all_roots()
        .into_iter()
        .map(|root| match root {
            Root::Link(link) => Some(link),
            _ => None,
        })
        .collect();
    let links = links?;
    Some((links.iter().copied().min()?, links.into_iter().max()?))
}

impl CallPlan {
    /// Are these columns known with the rows of this link, in this walk? A walk that begins further down has no rows above.
    pub fn knows(&self, columns: &[usize], link: usize, start: &Start) -> bool {
        let Route::Links(begin) = start.route else { return false };
        columns.iter().all(|column| self.program.above(*column).is_some_and(|(_, first, last)| first >= begin && last <= link))
    }

    /// The further calls in waves, split in those that these columns need and the rest, which reads the first.
    pub fn waves_for(&self, columns: &[usize]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
        let first = |also: &usize| columns.iter().any(|column| self.program.columns[*column].alsos.contains(also));
        let part = |wanted: bool| {
            let waves = self.waves.iter().map(|wave| wave.iter().copied().filter(|also| first(also) == wanted).collect::<Vec<_>>());
            waves.filter(|wave| !wave.is_empty()).collect()
        };
        (part(true), part(false))
    }

    /// The values of columns, as early as the rows are there: those of a link above, or those of the table. Says of each row whether all of
    /// its values could be read.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn values<'r>(
        &self,
        columns: &[usize],
        schema: &SchemaRef,
        known: Known,
        rows: impl Iterator<Item = (&'r Row, &'r Start)>,
        facts: &Facts,
    ) -> Result<(RecordBatch, Vec<bool>), ArrowError> {
        let mut builders: Vec<Builder> = columns.iter().map(|c| Builder::new(self.program.columns[*c].ty)).collect();
        let mut readable = Vec::new();
        for (row, start) in rows {
            let env = Env { this: row.this(), row: Some(row), facts, keys: start.keys(), item: None };
            let mut all = true;
            for (builder, column) in builders.iter_mut().zip(columns) {
                let own = &self.program.columns[*column];
                let given = self.summary.as_ref().is_none_or(|summary| summary.gives[*column]);
                let source = match known {
                    _ if !given => None,
                    // A summary may need a call for what the table has without one.
                    Known::Row => Some(&own.source).filter(|_| own.alsos.iter().all(|also| row.known(*also))),
                    Known::Further => Some(&own.source).filter(|_| !own.alsos.iter().any(|also| row.unknown(*also))),
                    Known::Above(_) => self.program.above(*column).map(|(expr, ..)| expr),
                };
                let appended = source.and_then(|source| source.eval(&env).ok()).map(|value| builder.append(&value));
                if !matches!(appended, Some(Ok(()))) {
                    all = false;
                }
                // A value that could not be read is not there yet; one that did not fit is NULL already.
                if appended.is_none() {
                    builder.append_null();
                }
            }
            readable.push(all);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(readable.len()));
        let arrays = builders.iter_mut().map(Builder::finish).collect();
        Ok((RecordBatch::try_new_with_options(SchemaRef::clone(schema), arrays, &options)?, readable))
    }
}
