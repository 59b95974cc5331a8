//! Totals of integers in 128 bits, of one group and of many: for `avg`, and for a `sum` that fails where it overflows.

use super::aggregates::quotient;
use super::decimal::Decimal;
use super::numeric::{Number, trouble};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, LargeStringBuilder};
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::mem::size_of_val;
use std::sync::Arc;

fn average(sum: i128, count: i64) -> Result<Option<String>> {
    if count == 0 {
        return Ok(None);
    }
    if let Some(mean) = short_average(sum, count) {
        return Ok(Some(mean));
    }
    quotient(&Number::Finite(Decimal::of_int(sum)), count).map(|mean| Some(mean.to_string()))
}

/// The same without decimals of any length, where the digits fit.
fn short_average(sum: i128, count: i64) -> Option<String> {
    // Position and value of the first digit in base 10,000.
    let weight = |value: i128| {
        let weight = value.checked_ilog10().unwrap_or(0) / 4;
        (i64::from(weight), value / 10i128.pow(4 * weight))
    };
    let ((above, first), (below, by)) = (weight(sum.abs()), weight(count.into()));
    let scale = (16 - (above - below - i64::from(first <= by)) * 4).max(0);
    let units = sum.abs().checked_mul(10i128.checked_pow(u32::try_from(scale).ok()?)?)?;
    let count = i128::from(count);
    let rounded = (units + count / 2) / count;
    let mut out = String::new();
    super::text_out::decimal(if sum < 0 { -rounded } else { rounded }, i8::try_from(scale).ok()?, &mut out);
    Some(out)
}

/// What the total of integers is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ints {
    Mean,
    Sum,
}

/// The sum of at least one integer.
fn checked(sum: i128, count: i64) -> Result<Option<i64>> {
    if count == 0 {
        return Ok(None);
    }
    i64::try_from(sum).map(Some).map_err(|_| trouble("bigint out of range"))
}

/// The total of integers, of one group.
#[derive(Debug)]
pub(super) struct IntTotal {
    what: Ints,
    count: i64,
    sum: i128,
}

impl IntTotal {
    pub(super) fn new(what: Ints) -> IntTotal {
        IntTotal { what, count: 0, sum: 0 }
    }
}

impl Accumulator for IntTotal {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values.iter().flat_map(|values| values.as_primitive::<Int64Type>().iter().flatten()) {
            self.count += 1;
            self.sum += i128::from(value);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.what {
            Ints::Mean => ScalarValue::LargeUtf8(average(self.sum, self.count)?),
            Ints::Sum => ScalarValue::Int64(checked(self.sum, self.count)?),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.count)), ScalarValue::Decimal128(Some(self.sum), 38, 0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums] = states else { return Err(DataFusionError::Internal("a total's state has two parts".into())) };
        self.count += counts.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        self.sum += sums.as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values.iter().flat_map(|values| values.as_primitive::<Int64Type>().iter().flatten()) {
            self.count -= 1;
            self.sum -= i128::from(value);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

/// The totals of integers, of many groups.
#[derive(Debug)]
pub(super) struct IntTotals {
    what: Ints,
    counts: Vec<i64>,
    sums: Vec<i128>,
}

impl IntTotals {
    pub(super) fn new(what: Ints) -> IntTotals {
        IntTotals { what, counts: Vec::new(), sums: Vec::new() }
    }

    fn add(&mut self, group: usize, count: i64, sum: i128) {
        self.counts[group] += count;
        self.sums[group] += sum;
    }

    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, 0);
    }
}

fn passes(filter: Option<&BooleanArray>, at: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(at) && filter.value(at))
}

impl GroupsAccumulator for IntTotals {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.grow(total);
        let [values] = values else { return Err(DataFusionError::Internal("a total needs one argument".into())) };
        let values = values.as_primitive::<Int64Type>();
        if filter.is_none() && values.null_count() == 0 {
            for (group, value) in groups.iter().zip(values.values()) {
                self.add(*group, 1, i128::from(*value));
            }
            return Ok(());
        }
        for (at, group) in groups.iter().enumerate() {
            if values.is_valid(at) && passes(filter, at) {
                self.add(*group, 1, i128::from(values.value(at)));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (counts, sums) = (emit.take_needed(&mut self.counts), emit.take_needed(&mut self.sums));
        if let Ints::Sum = self.what {
            let sums = counts.into_iter().zip(sums).map(|(count, sum)| checked(sum, count));
            return Ok(Arc::new(sums.collect::<Result<Int64Array>>()?));
        }
        let mut out = LargeStringBuilder::with_capacity(counts.len(), counts.len() * 20);
        for (count, sum) in counts.into_iter().zip(sums) {
            out.append_option(average(sum, count)?);
        }
        Ok(Arc::new(out.finish()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let (counts, sums) = (emit.take_needed(&mut self.counts), emit.take_needed(&mut self.sums));
        Ok(vec![Arc::new(Int64Array::from(counts)), Arc::new(Decimal128Array::from(sums).with_precision_and_scale(38, 0)?)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let [counts, sums] = states else { return Err(DataFusionError::Internal("a total's state has two parts".into())) };
        let (counts, sums) = (counts.as_primitive::<Int64Type>(), sums.as_primitive::<Decimal128Type>());
        for (at, group) in groups.iter().enumerate() {
            self.add(*group, counts.value(at), sums.value(at));
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [values] = values else { return Err(DataFusionError::Internal("a total needs one argument".into())) };
        let values = values.as_primitive::<Int64Type>();
        let taken = |at: usize| values.is_valid(at) && passes(filter, at);
        let counts: Int64Array = (0..values.len()).map(|at| Some(i64::from(taken(at)))).collect();
        let sums: Decimal128Array = (0..values.len()).map(|at| Some(if taken(at) { i128::from(values.value(at)) } else { 0 })).collect();
        Ok(vec![Arc::new(counts), Arc::new(sums.with_precision_and_scale(38, 0)?)])
    }

    fn size(&self) -> usize {
        self.counts.capacity() * size_of::<i64>() + self.sums.capacity() * size_of::<i128>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_averages_are_the_averages() {
        for (sum, count) in [
            (0, 3),
            (1, 3),
            (-7, 3),
            (10, 4),
            (100, 7),
            (99_999, 10_000),
            (123_456_789_012_345_678, 99),
            (5, 100_000),
            (i64::MAX.into(), 1),
        ] {
            let exact = quotient(&Number::Finite(Decimal::of_int(sum)), count).unwrap().to_string();
            assert_eq!(short_average(sum, count).unwrap_or(exact.clone()), exact, "{sum} / {count}");
        }
    }
}
