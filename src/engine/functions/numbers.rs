//! Rounding as PostgreSQL's numeric and double precision do it.

use super::math::is_numeric;
use super::numeric::{self, Number};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::common::{DataFusionError, Result};
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

/// With a number of digits it is numeric, whatever it is of.
fn result(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    if args.arg_fields.len() > 1 && args.arg_fields.first().is_some_and(|field| field.data_type().is_floating()) {
        let message = "function round(double precision, integer) does not exist; add a cast (::numeric)";
        return Err(DataFusionError::Plan(message.into()));
    }
    let numeric = args.arg_fields.len() > 1 || args.arg_fields.first().is_some_and(|field| is_numeric(field.data_type()));
    Ok(if numeric { Ret::Numeric } else { Ret::Float })
}

fn to_places(row: Row<'_>, way: Way) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    if row.len() == 1 && !is_numeric(col.array.data_type()) {
        let text = text_out::texts(&col.array.slice(at, 1))?;
        let Ok(value) = text.value(0).parse::<f64>() else { return fail(format!("{} is not a number", text.value(0))) };
        return Ok(Value::Float(match way {
            Way::Half => value.round_ties_even(),
            Way::Zero => value.trunc(),
            Way::Down => value.floor(),
            Way::Up => value.ceil(),
        }));
    }
    let places = if row.len() > 1 { row.int(1) } else { 0 };
    Ok(match numeric::arg(row, 0)? {
        Number::Finite(value) => Number::Finite(match way {
            Way::Half => value.round(places),
            Way::Zero => value.cut(places),
            Way::Down => value.floor(),
            Way::Up => value.ceil(),
        }),
        other => other,
    }
    .into())
}
