//! Rounding as PostgreSQL's numeric and double precision do it.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ReturnFieldArgs;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[Def::new("round", &[Kind::Any, Kind::Int], Ret::Of(round_type), round).required(1)];

/// The digits asked for, if they are a literal.
fn places(args: &ReturnFieldArgs<'_>) -> Option<i8> {
    let value = args.scalar_arguments.get(1).copied().flatten()?;
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(places))) => i8::try_from(places.clamp(0, 18)).ok(),
        _ => None,
    }
}

fn round_type(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    let ty = args.arg_fields.first().map(|field| field.data_type());
    Ok(match ty {
        _ if args.arg_fields.len() > 1 => match places(args) {
            Some(places) => Ret::Decimal(places),
            None => return Err(DataFusionError::Plan("round: the number of digits must be a constant".into())),
        },
        Some(DataType::Decimal128(..) | DataType::Decimal256(..)) => Ret::Decimal(0),
        _ => Ret::Float,
    })
}

fn round(row: Row<'_>) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    let decimal = matches!(col.array.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
    let text = text_out::texts(&col.array.slice(at, 1))?;
    let text = text.value(0);
    if row.len() == 1 && !decimal {
        return match text.parse::<f64>() {
            Ok(value) => Ok(Value::Float(value.round_ties_even())),
            Err(_) => fail(format!("cannot round {text}")),
        };
    }
    let wanted = if row.len() > 1 { row.int(1) } else { 0 };
    let scale = wanted.clamp(0, 18);
    match units(text, wanted, scale) {
        Some(units) => Ok(Value::Decimal(units)),
        None => fail(format!("cannot round {text}")),
    }
}

/// The number rounded half away from zero at `places`, in units of 10^-`scale`.
fn units(text: &str, places: i64, scale: i64) -> Option<i128> {
    let number = assay_tables::jsonb::canonical_number(text)?;
    let (negative, digits) = number.strip_prefix('-').map_or((false, number.as_str()), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let have = fraction.len() as i64;
    let all: i128 = format!("{whole}{fraction}").parse().ok()?;
    let drop = u32::try_from((have - places).max(0)).ok()?;
    let unit = 10i128.checked_pow(drop)?;
    let rounded = (all + unit / 2) / unit;
    // `rounded` counts 10^-(have - drop).
    let shift = scale - (have - i64::from(drop));
    let value = rounded.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    Some(if negative { -value } else { value })
}
