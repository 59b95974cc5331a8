//! `generate_series` over integers, numerics and moments, as a list.

use super::cast::Target;
use super::interval::add_to;
use super::row::{fail, timestamp_type};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Builder, Int64Builder, ListBuilder, TimestampMicrosecondBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
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
    let number = |ty: &DataType| ty.is_numeric() || is_text(ty);
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
    let scale = types.iter().map(|ty| if let DataType::Decimal128(_, scale) = ty { *scale } else { 0 }).max().unwrap_or(0);
    Ok(DataType::Decimal128(38, scale))
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
                    walk(from, to, step == 0, step > 0, |value| value.checked_add(step), |value| out.values().append_value(value))?;
                    out.append(true);
                }
                Arc::new(out.finish())
            }
            DataType::Decimal128(_, scale) => {
                let units = |k: usize| -> Result<ArrayRef> { Target::Decimal(38, *scale).cast(&arrays[k], &args.arg_fields[k]) };
                let (from, to) = (units(0)?, units(1)?);
                let step = if arrays.len() > 2 { Some(units(2)?) } else { None };
                let one = 10i128.pow(u32::from(scale.unsigned_abs()));
                let mut out = ListBuilder::new(Decimal128Builder::new().with_data_type(of.data_type().clone())).with_field(Arc::clone(of));
                let read = |array: &ArrayRef, row: usize| {
                    let at = at(array, row);
                    (!array.is_null(at)).then(|| array.as_primitive::<Decimal128Type>().value(at))
                };
                for row in 0..rows {
                    let step = step.as_ref().map_or(Some(one), |step| read(step, row));
                    let (Some(from), Some(to), Some(step)) = (read(&from, row), read(&to, row), step) else {
                        out.append(false);
                        continue;
                    };
                    walk(from, to, step == 0, step > 0, |value| value.checked_add(step), |value| out.values().append_value(value))?;
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
                    walk(from, to, sign == 0, sign > 0, |value| add_to(value, step, 1), |value| out.values().append_value(value))?;
                    out.append(true);
                }
                Arc::new(out.finish())
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn walk<T: PartialOrd + Copy>(from: T, to: T, still: bool, up: bool, next: impl Fn(T) -> Option<T>, mut give: impl FnMut(T)) -> Result<()> {
    if still {
        return fail("step size cannot equal zero");
    }
    let mut value = from;
    for _ in 0..LONGEST {
        if if up { value > to } else { value < to } {
            return Ok(());
        }
        give(value);
        match next(value) {
            Some(following) => value = following,
            None => return Ok(()),
        }
    }
    fail(format!("generate_series gives more than {LONGEST} rows"))
}
