//! Values on their way from the build side of a join to the scans below its probe side.

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Rows of values; a scan whose table can be listed is not given more.
const MOST: usize = 100_000;

/// One row of values: one for each key of the join. None of them is NULL: NULL is equal to nothing.
pub(crate) type Tuple = Arc<[ScalarValue]>;

/// All that a build side has, each once, in its order.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    /// These and no others.
    These(Arc<Vec<Tuple>>),
    /// Too many to keep beside the join's own table.
    TooMany,
}

#[derive(Debug, Clone)]
enum State {
    Pending,
    Known(Values),
    /// The build side ended early: with an error, or because nobody wants its rows any more.
    Lost,
}

/// The place where a build side leaves its values.
#[derive(Debug)]
pub(crate) struct Binding(watch::Sender<State>);

impl Binding {
    pub(crate) fn new() -> Binding {
        Binding(watch::Sender::new(State::Pending))
    }

    /// The build side starts, perhaps again.
    pub(super) fn begin(&self) {
        self.0.send_replace(State::Pending);
    }

    pub(super) fn finish(&self, values: Values) {
        self.0.send_replace(State::Known(values));
    }

    pub(super) fn lose(&self) {
        self.0.send_replace(State::Lost);
    }

    /// Waits for the build side. The join polls it to its end before it polls anything that asks here.
    async fn values(&self) -> Result<Values> {
        let mut state = self.0.subscribe();
        let state = match state.wait_for(|state| !matches!(state, State::Pending)).await {
            Ok(state) => state.clone(),
            Err(_) => State::Lost,
        };
        match state {
            State::Known(values) => Ok(values),
            State::Pending | State::Lost => exec_err!("the other side of the join ended early"),
        }
    }
}

/// Where a scan's values come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The build side of a join.
    Join(Arc<Binding>),
    /// An expression without columns, known when the scan is first polled: a subquery of one row.
    Value(Arc<dyn PhysicalExpr>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Join(_) => f.write_str("Join"),
            Source::Value(expr) => write!(f, "Value({expr})"),
        }
    }
}

impl Source {
    /// The values, once they are known.
    pub(crate) async fn values(&self) -> Result<Values> {
        match self {
            Source::Join(binding) => binding.values().await,
            Source::Value(expr) => {
                let options = RecordBatchOptions::new().with_row_count(Some(1));
                let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
                let mut collected = Collected::default();
                collected.add(&[expr.evaluate(&row)?.into_array(1)?])?;
                Ok(collected.values())
            }
        }
    }
}

/// Values in the making.
#[derive(Debug, Default)]
pub(super) struct Collected {
    seen: HashSet<Tuple>,
    tuples: Vec<Tuple>,
    too_many: bool,
}

impl Collected {
    /// Adds the rows of some columns of one length.
    pub(super) fn add(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        for row in 0..rows {
            if self.too_many {
                return Ok(());
            }
            if columns.iter().any(|column| column.is_null(row)) {
                continue;
            }
            let tuple: Tuple = columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect::<Result<_>>()?;
            if self.seen.insert(Arc::clone(&tuple)) {
                self.tuples.push(tuple);
            }
            if self.tuples.len() > MOST {
                *self = Collected { too_many: true, ..Collected::default() };
            }
        }
        Ok(())
    }

    /// How many, so far.
    pub(super) fn len(&self) -> usize {
        self.tuples.len()
    }

    pub(super) fn values(self) -> Values {
        if self.too_many { Values::TooMany } else { Values::These(Arc::new(self.tuples)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, StringArray};

    #[test]
    fn values_are_kept_once_in_order_and_without_nulls() {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), Some("a"), None, Some("b"), Some("b")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), Some(1), Some(1), None]));
        let mut collected = Collected::default();
        collected.add(&[Arc::clone(&names), numbers]).unwrap();
        assert_eq!(collected.len(), 2);
        let Values::These(tuples) = collected.values() else { panic!() };
        let first: Vec<String> = tuples.iter().map(|t| t[0].to_string()).collect();
        assert_eq!(first, ["b", "a"]);
    }

    #[test]
    fn too_many_values_are_not_kept() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..=i64::try_from(MOST).unwrap()));
        let mut collected = Collected::default();
        collected.add(&[numbers]).unwrap();
        assert!(matches!(collected.values(), Values::TooMany));
    }

    #[tokio::test]
    async fn a_build_side_that_is_lost_is_an_error_and_may_begin_again() {
        let binding = Arc::new(Binding::new());
        binding.lose();
        assert!(binding.values().await.is_err());
        binding.begin();
        let waiting = tokio::spawn({
            let binding = Arc::clone(&binding);
            async move { matches!(binding.values().await, Ok(Values::TooMany)) }
        });
        binding.finish(Values::TooMany);
        assert!(waiting.await.unwrap());
    }
}
