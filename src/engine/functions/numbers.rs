//! Rounding as PostgreSQL's numeric and double precision do it.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ReturnFieldArgs;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("round", &[Kind::Any, Kind::Int], Ret::Of(result), |row| to_places(row, Way::Half)).required(1),
    Def::new("trunc", &[Kind::Any, Kind::Int], Ret::Of(result), |row| to_places(row, Way::Zero)).required(1),
    Def::new("floor", &[Kind::Any], Ret::Of(result), |row| to_places(row, Way::Down)),
    Def::new("ceil", &[Kind::Any], Ret::Of(result), |row| to_places(row, Way::Up)),
];

/// Where a number goes that lies between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The nearer; half way, numerics away from zero and floats to the even one.
    Half,
    Zero,
    Down,
    Up,
}

/// The digits asked for, if they are a literal.
fn places(args: &ReturnFieldArgs<'_>) -> Option<i8> {
    let value = args.scalar_arguments.get(1).copied().flatten()?;
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(places))) => i8::try_from(places.clamp(0, 18)).ok(),
        _ => None,
    }
}

fn result(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    let ty = args.arg_fields.first().map(|field| field.data_type());
    Ok(match ty {
        _ if args.arg_fields.len() > 1 => match places(args) {
            Some(places) => Ret::Decimal(places),
            None => return Err(DataFusionError::Plan("the number of digits must be a constant".into())),
        },
        Some(DataType::Decimal128(..) | DataType::Decimal256(..)) => Ret::Decimal(0),
        _ => Ret::Float,
    })
}

fn to_places(row: Row<'_>, way: Way) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    let decimal = matches!(col.array.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
    let text = text_out::texts(&col.array.slice(at, 1))?;
    let text = text.value(0);
    if row.len() == 1 && !decimal {
        let Ok(value) = text.parse::<f64>() else { return fail(format!("{text} is not a number")) };
        return Ok(Value::Float(match way {
            Way::Half => value.round_ties_even(),
            Way::Zero => value.trunc(),
            Way::Down => value.floor(),
            Way::Up => value.ceil(),
        }));
    }
    let wanted = if row.len() > 1 { row.int(1) } else { 0 };
    match units(text, wanted, wanted.clamp(0, 18), way) {
        Some(units) => Ok(Value::Decimal(units)),
        None => fail("value overflows numeric format"),
    }
}

/// The number with that many digits after the point, in units of 10^-`scale`.
fn units(text: &str, places: i64, scale: i64, way: Way) -> Option<i128> {
    let number = assay_tables::jsonb::canonical_number(text)?;
    let (negative, digits) = number.strip_prefix('-').map_or((false, number.as_str()), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let have = fraction.len() as i64;
    let all: i128 = format!("{whole}{fraction}").parse().ok()?;
    let dropped = u32::try_from((have - places).max(0)).ok()?;
    let unit = 10i128.checked_pow(dropped)?;
    let away = match way {
        Way::Half => unit / 2,
        Way::Zero => 0,
        Way::Down => {
            if negative {
                unit - 1
            } else {
                0
            }
        }
        Way::Up => {
            if negative {
                0
            } else {
                unit - 1
            }
        }
    };
    // Counts 10^-(have - dropped), away from zero.
    let kept = (all + away) / unit;
    let shift = scale - (have - i64::from(dropped));
    let value = kept.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    Some(if negative { -value } else { value })
}
