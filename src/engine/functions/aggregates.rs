//! `sum`, `avg`, `min`, `max`, variances and deviations of numerics and, where PostgreSQL's are numeric, of integers.
//!
//! DataFusion's own do the rest: each function here stands before its namesake.

use super::decimal::Decimal;
use super::numeric::{self, Number, Op, trouble};
use super::transcendental;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, LargeStringBuilder};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::{average, min_max, stddev, sum, variance};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
    Volatility,
};
use std::collections::BTreeMap;
use std::mem::size_of_val;
use std::sync::Arc;

/// The functions of this file.
pub(crate) fn all() -> impl Iterator<Item = AggregateUDF> {
    [
        (sum::sum_udaf(), Kind::Sum),
        (average::avg_udaf(), Kind::Avg),
        (min_max::min_udaf(), Kind::Min),
        (min_max::max_udaf(), Kind::Max),
        (variance::var_samp_udaf(), Kind::Variance { sample: true, root: false }),
        (variance::var_pop_udaf(), Kind::Variance { sample: false, root: false }),
        (stddev::stddev_udaf(), Kind::Variance { sample: true, root: true }),
        (stddev::stddev_pop_udaf(), Kind::Variance { sample: false, root: true }),
    ]
    .into_iter()
    .map(|(inner, kind)| {
        let mut aliases = inner.aliases().to_vec();
        match inner.name() {
            "var" => aliases.extend(["variance".into(), "var_samp".into()]),
            "stddev" => aliases.push("stddev_samp".into()),
            _ => {}
        }
        AggregateUDF::from(Aggregate { inner, kind, aliases, signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Avg,
    Min,
    Max,
    Variance { sample: bool, root: bool },
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Aggregate {
    inner: Arc<AggregateUDF>,
    kind: Kind,
    aliases: Vec<String>,
    signature: Signature,
}

impl Aggregate {
    /// True where the result is numeric and ours to compute.
    fn exact(&self, ty: Option<&DataType>) -> bool {
        match ty {
            Some(ty) if *ty == numeric::TYPE => true,
            Some(ty) => !matches!(self.kind, Kind::Sum | Kind::Min | Kind::Max) && (ty.is_integer() || ty.is_decimal()),
            None => false,
        }
    }

    /// Integers are added up in 128 bits, for their mean or their checked sum.
    fn of_ints(&self, ty: Option<&DataType>, distinct: bool) -> Option<Ints> {
        match self.kind {
            Kind::Avg if ty == Some(&DataType::Int64) && !distinct => Some(Ints::Mean),
            Kind::Sum if ty == Some(&DataType::Int64) && !distinct => Some(Ints::Sum),
            _ => None,
        }
    }
}

fn given<'a>(args: &'a AccumulatorArgs<'_>) -> Option<&'a DataType> {
    args.expr_fields.first().map(|field| field.data_type())
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [ty] = types
            && self.exact(Some(ty))
        {
            return Ok(vec![if ty.is_integer() { DataType::Int64 } else { numeric::TYPE }]);
        }
        let fields: Vec<FieldRef> = types.iter().map(|ty| Arc::new(Field::new("", ty.clone(), true))).collect();
        Ok(fields_with_udf(&fields, self.inner.as_ref())?.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if self.exact(types.first()) { Ok(numeric::TYPE) } else { self.inner.return_type(types) }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        if self.exact(fields.first().map(|field| field.data_type())) {
            return Ok(Arc::new(Field::new(self.name(), numeric::TYPE, true)));
        }
        self.inner.return_field(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if let Some(what) = self.of_ints(given(&args), args.is_distinct) {
            return Ok(Box::new(IntTotal { what, count: 0, sum: 0 }));
        }
        if self.exact(given(&args)) {
            return Ok(Box::new(Exact::new(self.kind, args.is_distinct)));
        }
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let ty = args.input_fields.first().map(|field| field.data_type());
        let field = |name: &str, ty: DataType| -> FieldRef { Arc::new(Field::new(format_state_name(args.name, name), ty, true)) };
        if self.of_ints(ty, args.is_distinct).is_some() {
            return Ok(vec![field("count", DataType::Int64), field("sum", DataType::Decimal128(38, 0))]);
        }
        if self.exact(ty) {
            let item = Arc::new(Field::new_list_field(numeric::TYPE, true));
            return Ok(vec![
                field("count", DataType::Int64),
                field("value", numeric::TYPE),
                field("squares", numeric::TYPE),
                field("distinct", DataType::List(item)),
            ]);
        }
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        if self.of_ints(given(&args), args.is_distinct).is_some() {
            return true;
        }
        !self.exact(given(&args)) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match self.of_ints(given(&args), args.is_distinct) {
            Some(what) => Ok(Box::new(IntTotals { what, counts: Vec::new(), sums: Vec::new() })),
            None => self.inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if self.exact(given(&args)) || self.of_ints(given(&args), args.is_distinct).is_some() {
            return self.accumulator(args);
        }
        self.inner.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        if *args.return_type == numeric::TYPE { None } else { self.inner.value_from_stats(args) }
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(ty)
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        if *ty == numeric::TYPE { SetMonotonicity::NotMonotonic } else { self.inner.inner().set_monotonicity(ty) }
    }
}

fn zero() -> Number {
    Number::Finite(Decimal::of_int(0))
}

fn quotient(sum: &Number, count: i64) -> Result<Number> {
    sum.apply(Op::Div, &Number::Finite(Decimal::of_int(count.into())))
}

/// Sums of numerics, or their least or greatest.
#[derive(Debug)]
struct Exact {
    kind: Kind,
    count: i64,
    /// The sum, or the least or greatest one.
    value: Option<Number>,
    squares: Number,
    /// How many values have so many digits after the point: a sum has as many as the one that has most.
    scales: BTreeMap<usize, i64>,
    /// Values were taken out.
    shrunk: bool,
    /// With DISTINCT, the values so far, by what makes them the same.
    distinct: Option<BTreeMap<String, Number>>,
}

impl Exact {
    fn new(kind: Kind, distinct: bool) -> Exact {
        Exact {
            kind,
            count: 0,
            value: None,
            squares: zero(),
            scales: BTreeMap::new(),
            shrunk: false,
            distinct: distinct.then(BTreeMap::new),
        }
    }

    fn take(&mut self, number: &Number, count: i64, squares: Option<Number>) -> Result<()> {
        self.count += count;
        let value = match &self.value {
            None => number.clone(),
            Some(value) => match self.kind {
                Kind::Min | Kind::Max => {
                    let better = if self.kind == Kind::Min { number.compare(value).is_lt() } else { number.compare(value).is_gt() };
                    if better { number.clone() } else { value.clone() }
                }
                _ => value.apply(Op::Add, number)?,
            },
        };
        self.value = Some(value);
        if matches!(self.kind, Kind::Variance { .. }) {
            let squares = match squares {
                Some(squares) => squares,
                None => number.apply(Op::Mul, number)?,
            };
            self.squares = self.squares.apply(Op::Add, &squares)?;
        }
        Ok(())
    }

    /// Windows take values out again, and with them their digits.
    fn count_scale(&mut self, number: &Number, by: i64) {
        if self.kind == Kind::Sum
            && let Number::Finite(value) = number
        {
            let count = self.scales.entry(value.scale()).or_default();
            *count += by;
            if *count == 0 {
                self.scales.remove(&value.scale());
            }
        }
    }

    fn variance(&self, sum: &Number, sample: bool, root: bool) -> Result<Option<Number>> {
        if self.count == 0 || (sample && self.count == 1) {
            return Ok(None);
        }
        let n = Number::Finite(Decimal::of_int(self.count.into()));
        let spread = self.squares.apply(Op::Mul, &n)?.apply(Op::Sub, &sum.apply(Op::Mul, sum)?)?;
        let Number::Finite(spread) = spread else { return Ok(Some(Number::NaN)) };
        if spread.is_negative() || spread.is_zero() {
            return Ok(Some(zero()));
        }
        let count = i128::from(self.count);
        let by = Decimal::of_int(count * if sample { count - 1 } else { count });
        let scale = spread.quotient_scale(&by);
        let variance = spread.div_to(&by, scale).map_err(trouble)?;
        let result = if root { transcendental::root(&variance, scale).map_err(trouble)? } else { variance };
        Ok(Some(Number::Finite(result)))
    }
}

fn text(number: Option<Number>) -> ScalarValue {
    ScalarValue::LargeUtf8(number.map(|number| number.to_string()))
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return Err(DataFusionError::Internal("an aggregate needs one argument".into())) };
        for at in (0..values.len()).filter(|at| !values.is_null(*at)) {
            let number = numeric::value(values, at)?;
            if let Some(distinct) = &mut self.distinct {
                distinct.entry(number.equal_key()).or_insert(number);
            } else {
                self.count_scale(&number, 1);
                self.take(&number, 1, None)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if let Some(distinct) = self.distinct.take() {
            for number in distinct.values() {
                self.take(number, 1, None)?;
            }
        }
        let Some(value) = &self.value else { return Ok(text(None)) };
        Ok(text(match self.kind {
            Kind::Sum => Some(match (value, self.scales.last_key_value()) {
                (Number::Finite(sum), Some((scale, _))) if sum.scale() > *scale && self.shrunk => Number::Finite(sum.round(*scale as i64)),
                _ => value.clone(),
            }),
            Kind::Min | Kind::Max => Some(value.clone()),
            Kind::Avg => Some(quotient(value, self.count)?),
            Kind::Variance { sample, root } => self.variance(value, sample, root)?,
        }))
    }

    fn size(&self) -> usize {
        let values = self.distinct.as_ref().map_or(0, |distinct| distinct.keys().map(|key| 3 * key.len() + 64).sum());
        size_of_val(self) + values
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let distinct: Vec<ScalarValue> = self.distinct.iter().flat_map(BTreeMap::values).map(|number| text(Some(number.clone()))).collect();
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            text(self.value.clone()),
            text(Some(self.squares.clone())),
            ScalarValue::List(ScalarValue::new_list_nullable(&distinct, &numeric::TYPE)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, values, squares, distinct] = states else {
            return Err(DataFusionError::Internal("an aggregate's state has four parts".into()));
        };
        if self.distinct.is_some() {
            for list in distinct.as_list::<i32>().iter().flatten() {
                self.update_batch(&[list])?;
            }
            return Ok(());
        }
        let counts = counts.as_primitive::<Int64Type>();
        for at in (0..values.len()).filter(|at| !values.is_null(*at)) {
            let squares = numeric::value(squares, at)?;
            self.take(&numeric::value(values, at)?, counts.value(at), Some(squares))?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return Err(DataFusionError::Internal("an aggregate needs one argument".into())) };
        for at in (0..values.len()).filter(|at| !values.is_null(*at)) {
            let number = numeric::value(values, at)?;
            let squares = number.apply(Op::Mul, &number)?.neg();
            self.take(&number.neg(), -1, Some(squares))?;
            self.count_scale(&number, -1);
        }
        self.shrunk = true;
        if self.count == 0 {
            self.value = None;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        !matches!(self.kind, Kind::Min | Kind::Max) && self.distinct.is_none()
    }
}

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
enum Ints {
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
struct IntTotal {
    what: Ints,
    count: i64,
    sum: i128,
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
struct IntTotals {
    what: Ints,
    counts: Vec<i64>,
    sums: Vec<i128>,
}

impl IntTotals {
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

/// The texts of numerics as an array; for tests.
#[cfg(test)]
fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(datafusion::arrow::array::LargeStringArray::from(values.to_vec()))
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

    #[test]
    fn states_merge_to_the_same() {
        let parts = [texts(&[Some("1.5"), None, Some("2.25")]), texts(&[Some("4")]), texts(&[None])];
        for (kind, want) in [
            (Kind::Sum, "7.75"),
            (Kind::Avg, "2.5833333333333333"),
            (Kind::Min, "1.5"),
            (Kind::Max, "4"),
            (Kind::Variance { sample: true, root: false }, "1.64583333"),
            (Kind::Variance { sample: false, root: true }, "1.0474837"),
        ] {
            let mut whole = Exact::new(kind, false);
            let mut merged = Exact::new(kind, false);
            for part in &parts {
                whole.update_batch(&[Arc::clone(part)]).unwrap();
                let mut one = Exact::new(kind, false);
                one.update_batch(&[Arc::clone(part)]).unwrap();
                let state: Vec<ArrayRef> = one.state().unwrap().iter().map(|value| value.to_array().unwrap()).collect();
                merged.merge_batch(&state).unwrap();
            }
            assert_eq!(whole.evaluate().unwrap(), merged.evaluate().unwrap(), "{kind:?}");
            assert!(whole.evaluate().unwrap().to_string().starts_with(want), "{kind:?}: {}", whole.evaluate().unwrap());
        }
    }
}
