//! `generate_series` over integers, numerics and moments, as a list.

use super::cast::Target;
use super::interval::add_to;
use super::numeric::{self, Number, Op};
use super::row::{fail, timestamp_type};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Builder, LargeStringBuilder, ListBuilder, TimestampMicrosecondBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::cmp::Ordering;
use std::sync::Arc;

/// The longest series: it is held in memory.
const LONGEST: usize = 50_000_000;

/// The function of this file.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    [ScalarUDF::from(Series { signature: Signature::variadic_any(Volatility::Immutable) })].into_iter()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    signature: Signature,
}

/// The type of a series' items, by those of its bounds and step.
fn item(fields: &[FieldRef]) -> Result<DataType> {
    let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
    let missing = || {
        let names: Vec<String> = fields.iter().map(|field| super::text_out::type_name(field)).collect();
        DataFusionError::Plan(format!("function generate_series({}) does not exist", names.join(", ")))
    };
    if !(2..=3).contains(&types.len()) {
        return Err(missing());
    }
    let is_text = |ty: &DataType| matches!(ty, DataType::Utf8 | DataType::Null);
    let number = |ty: &DataType| ty.is_integer() || matches!(ty, DataType::Decimal128(..)) || *ty == numeric::TYPE || is_text(ty);
    let bounds = &types[..2];
    if bounds.iter().any(|ty| matches!(ty, DataType::Timestamp(..) | DataType::Date32)) {
        // There is no series of dates: they are taken as timestamptz.
        let plain = bounds.iter().any(|ty| matches!(ty, DataType::Timestamp(_, None)))
            && bounds.iter().all(|ty| matches!(ty, DataType::Timestamp(_, None)) || is_text(ty));
        return if types.len() == 3 { Ok(timestamp_type(!plain)) } else { Err(missing()) };
    }
    if !types.iter().all(|ty| number(ty)) || types.iter().all(|ty| is_text(ty)) {
        return Err(missing());
    }
    if types.iter().all(|ty| ty.is_integer() || is_text(ty)) {
        return Ok(DataType::Int64);
    }
    Ok(numeric::TYPE)
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        "generate_series"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = types.iter().map(|ty| Arc::new(Field::new("", ty.clone(), true))).collect();
        Ok(list(item(&fields)?))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), list(item(args.arg_fields)?), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::List(of) = args.return_field.data_type() else { return fail("generate_series gives a list") };
        let rows = args.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let column = |k: usize, target: Target| -> Result<ArrayRef> { target.cast(&arrays[k], &args.arg_fields[k]) };
        let at = |array: &ArrayRef, row: usize| if array.len() == 1 { 0 } else { row };
        let result: ArrayRef = match of.data_type() {
            DataType::Int64 => {
                let (from, to) = (column(0, Target::Int8)?, column(1, Target::Int8)?);
                let step = if arrays.len() > 2 { Some(column(2, Target::Int8)?) } else { None };
                let mut out = ListBuilder::new(Int64Builder::new()).with_field(Arc::clone(of));
                let read = |array: &ArrayRef, row: usize| {
                    let at = at(array, row);
                    (!array.is_null(at)).then(|| array.as_primitive::<Int64Type>().value(at))
                };
                for row in 0..rows {
                    let step = step.as_ref().map_or(Some(1), |step| read(step, row));
                    let (Some(from), Some(to), Some(step)) = (read(&from, row), read(&to, row), step) else {
                        out.append(false);
                        continue;
                    };
                    let past = |value: &i64| if step > 0 { *value > to } else { *value < to };
                    walk(from, step == 0, past, |value| Ok(value.checked_add(step)), |value| out.values().append_value(*value))?;
                    out.append(true);
                }
                Arc::new(out.finish())
            }
            ty if *ty == numeric::TYPE => {
                let numbers = |k: usize| -> Result<Vec<Option<Number>>> {
                    let read = |row: usize| {
                        let at = at(&arrays[k], row);
                        let null = *arrays[k].data_type() == DataType::Null || arrays[k].is_null(at);
                        if null { Ok(None) } else { numeric::value(&arrays[k], at).map(Some) }
                    };
                    (0..rows).map(read).collect()
                };
                let one = Number::parse("1");
                let (from, to) = (numbers(0)?, numbers(1)?);
                let steps = if arrays.len() > 2 { numbers(2)? } else { vec![one; rows] };
                let mut out = ListBuilder::new(LargeStringBuilder::new()).with_field(Arc::clone(of));
                for ((from, to), step) in from.into_iter().zip(to).zip(steps) {
                    let (Some(from), Some(to), Some(step)) = (from, to, step) else {
                        out.append(false);
                        continue;
                    };
                    if [&from, &to, &step].into_iter().any(|number| !matches!(number, Number::Finite(_))) {
                        return fail("generate_series takes no NaN and no infinity");
                    }
                    let zero = Number::parse("0").unwrap_or(Number::NaN);
                    let sign = step.compare(&zero);
                    let next = |value: &Number| value.apply(Op::Add, &step).map(Some);
                    let past = |value: &Number| value.compare(&to) == sign;
                    walk(from, sign == Ordering::Equal, past, next, |value| out.values().append_value(value.to_string()))?;
                    out.append(true);
                }
                Arc::new(out.finish())
            }
            _ => {
                let target = if *of.data_type() == timestamp_type(true) { Target::Timestamptz } else { Target::Timestamp };
                let (from, to) = (column(0, target)?, column(1, target)?);
                let step = column(2, Target::Interval)?;
                let step = cast(&step, &DataType::Interval(IntervalUnit::MonthDayNano))?;
                let builder = TimestampMicrosecondBuilder::new().with_data_type(of.data_type().clone());
                let mut out = ListBuilder::new(builder).with_field(Arc::clone(of));
                let read = |array: &ArrayRef, row: usize| {
                    let at = at(array, row);
                    (!array.is_null(at)).then(|| array.as_primitive::<TimestampMicrosecondType>().value(at))
                };
                for row in 0..rows {
                    let at = at(&step, row);
                    let (Some(from), Some(to), false) = (read(&from, row), read(&to, row), step.is_null(at)) else {
                        out.append(false);
                        continue;
                    };
                    let step: IntervalMonthDayNano = step.as_primitive::<IntervalMonthDayNanoType>().value(at);
                    let sign = add_to(0, step, 1).unwrap_or(0);
                    let past = |value: &i64| if sign > 0 { *value > to } else { *value < to };
                    walk(from, sign == 0, past, |value| Ok(add_to(*value, step, 1)), |value| out.values().append_value(*value))?;
                    out.append(true);
                }
                Arc::new(out.finish())
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

/// Every value from the first one to the last that is not past the end.
fn walk<T>(
    from: T,
    still: bool,
    past: impl Fn(&T) -> bool,
    next: impl Fn(&T) -> Result<Option<T>>,
    mut give: impl FnMut(&T),
) -> Result<()> {
    if still {
        return fail("step size cannot equal zero");
    }
    let mut value = from;
    for _ in 0..LONGEST {
        if past(&value) {
            return Ok(());
        }
        give(&value);
        match next(&value)? {
            Some(following) => value = following,
            None => return Ok(()),
        }
    }
    fail(format!("generate_series gives more than {LONGEST} rows"))
}
