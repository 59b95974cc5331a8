//! Filters that are decided before calls are made: on what is known of the rows above, of the row itself, or by some of its further calls.
//!
//! Owns: leaving out parents and rows that no filter lets through. Refuses: being exact. What cannot be read or computed stays, and
//! DataFusion filters again.

use crate::scopes::needs_more_than_a_row;
use assay_tables::run::{Facts, Row};
use assay_tables::{CallPlan, Known, Start, Table};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

/// The filters of one scan, in the statement's order.
#[derive(Debug, Default)]
pub(crate) struct Early(Vec<Condition>);

#[derive(Debug)]
struct Condition {
    known: Known,
    /// Positions in the spec of the columns it reads, which are those of `schema`.
    columns: Vec<usize>,
    schema: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
    text: String,
}

/// When a filter can be decided, where that can save calls.
pub(crate) fn decides(table: &Table, expr: &Expr) -> Option<Known> {
    let columns = columns(table, expr)?;
    if columns.is_empty() || expr.is_volatile() || needs_more_than_a_row(expr) {
        return None;
    }
    let known = columns.iter().map(|column| table.known(*column)).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let saves = match known {
        Known::Above(_) => true,
        Known::Row => table.further_calls() > 0,
        Known::Further => table.further_calls() > 1,
    };
    saves.then_some(known)
}

fn columns(table: &Table, expr: &Expr) -> Option<Vec<usize>> {
    let mut columns = expr.column_refs().into_iter().map(|c| table.column(&c.name)).collect::<Option<Vec<_>>>()?;
    columns.sort_unstable();
    Some(columns)
}

impl Early {
    /// Those of the filters that can be decided early.
    pub(crate) fn new<'e>(session: &dyn Session, table: &Table, exprs: impl Iterator<Item = &'e Expr>) -> Result<Early> {
        let mut conditions = Vec::new();
        for expr in exprs {
            let (Some(known), Some(columns)) = (decides(table, expr), columns(table, expr)) else { continue };
            let schema = Arc::new(Schema::new(columns.iter().map(|c| table.columns[*c].field()).collect::<Vec<_>>()));
            let physical = session.create_physical_expr(expr.clone(), &DFSchema::try_from(Arc::clone(&schema))?)?;
            conditions.push(Condition { known, columns, schema, expr: physical, text: expr.to_string() });
        }
        Ok(Early(conditions))
    }

    /// The filters as SQL, for EXPLAIN.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|condition| condition.text.as_str())
    }

    /// Which rows of a link are worth asking the next link for.
    pub(crate) fn parents(&self, plan: &CallPlan, link: usize, start: &Start, rows: &[Row], facts: &Facts) -> Vec<bool> {
        let decided = |condition: &&Condition| condition.known == Known::Above(link) && plan.knows(&condition.columns, link, start);
        keep(self.0.iter().filter(decided), plan, Known::Above(link), rows.len(), || rows.iter().map(|row| (row, start)), facts)
    }

    /// Which rows are worth the calls that come after what is known.
    pub(crate) fn rows<'r, I>(&self, plan: &CallPlan, known: Known, count: usize, rows: impl Fn() -> I, facts: &Facts) -> Vec<bool>
    where
        I: Iterator<Item = (&'r Row, &'r Start)>,
    {
        keep(self.0.iter().filter(|condition| condition.known == known), plan, known, count, rows, facts)
    }

    /// Columns that filters read and that take further calls.
    pub(crate) fn further(&self) -> Vec<usize> {
        self.0
            .iter()
            .filter(|condition| condition.known == Known::Further)
            .flat_map(|condition| condition.columns.iter().copied())
            .collect()
    }
}

fn keep<'c, 'r, I>(
    conditions: impl Iterator<Item = &'c Condition>,
    plan: &CallPlan,
    known: Known,
    count: usize,
    rows: impl Fn() -> I,
    facts: &Facts,
) -> Vec<bool>
where
    I: Iterator<Item = (&'r Row, &'r Start)>,
{
    let mut kept = vec![true; count];
    for condition in conditions {
        let Ok((batch, readable)) = plan.values(&condition.columns, &condition.schema, known, rows(), facts) else { continue };
        // An error is one of a row that may not even be asked for: whoever filters next will meet it or not.
        let Some(passes) = condition.passes(&batch) else { continue };
        for ((kept, passes), readable) in kept.iter_mut().zip(passes).zip(readable) {
            *kept &= passes || !readable;
        }
    }
    kept
}

impl Condition {
    fn passes(&self, batch: &RecordBatch) -> Option<Vec<bool>> {
        let answer = self.expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())).ok()?;
        let answer = answer.as_boolean_opt()?;
        Some((0..batch.num_rows()).map(|row| answer.is_valid(row) && answer.value(row)).collect())
    }
}
