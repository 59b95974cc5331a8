//! `sum`, `avg`, `min`, `max`, variances and deviations of numerics and, where PostgreSQL's are numeric, of integers.
//!
//! DataFusion's own do the rest: each function here stands before its namesake.

use super::decimal::Decimal;
use super::numeric::{self, Number, Op, trouble};
use super::totals::{IntTotal, IntTotals, Ints};
use super::transcendental;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::{average, min_max, stddev, sum, variance};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, Volatility,
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
            return Ok(Box::new(IntTotal::new(what)));
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
            Some(what) => Ok(Box::new(IntTotals::new(what))),
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

pub(super) fn quotient(sum: &Number, count: i64) -> Result<Number> {
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

/// The texts of numerics as an array; for tests.
#[cfg(test)]
fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(datafusion::arrow::array::LargeStringArray::from(values.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
