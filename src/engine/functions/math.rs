//! Mathematical functions, of numeric where an argument is numeric and of double precision otherwise.

use super::decimal::Decimal;
use super::numeric::{self, Number, trouble};
use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::transcendental;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ReturnFieldArgs;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("abs", &[Kind::Any], Ret::Of(same), |row| match number(row, 0)? {
        Num::Int(value) => match value.checked_abs() {
            Some(value) => Ok(Value::Int(value)),
            None => fail("bigint out of range"),
        },
        Num::Float(value) => Ok(Value::Float(value.abs())),
        Num::Numeric(value) => Ok(value.abs().into()),
    }),
    Def::new("sign", &[Kind::Any], Ret::Of(real), |row| match number(row, 0)? {
        Num::Numeric(Number::NaN) => Ok(Number::NaN.into()),
        Num::Numeric(value) => Ok(Number::Finite(Decimal::of_int(value.compare(&Number::Finite(Decimal::of_int(0))) as i128)).into()),
        other => Ok(Value::Float(match other.float() {
            value if value > 0.0 => 1.0,
            value if value < 0.0 => -1.0,
            value => value,
        })),
    }),
    Def::new("div", &[Kind::Any, Kind::Any], Ret::Numeric, |row| match (numeric::arg(row, 0)?, numeric::arg(row, 1)?) {
        (Number::Finite(a), Number::Finite(b)) => {
            let rest = a.rem(&b).map_err(trouble)?;
            let whole = a.sub(&rest).and_then(|whole| whole.div_to(&b, 0)).map_err(trouble)?;
            Ok(Number::Finite(whole).into())
        }
        (a, b) => Ok(a.apply(numeric::Op::Div, &b)?.into()),
    }),
    Def::new("gcd", &[Kind::Int, Kind::Int], Ret::Int, |row| whole(gcd(row.int(0), row.int(1)))),
    Def::new("lcm", &[Kind::Int, Kind::Int], Ret::Int, |row| {
        let divisor = gcd(row.int(0), row.int(1));
        whole(if divisor == 0 { 0 } else { i128::from(row.int(0)) / divisor * i128::from(row.int(1)) })
    }),
    Def::new("factorial", &[Kind::Int], Ret::Numeric, |row| {
        let n = row.int(0);
        if n < 0 {
            return fail("factorial of a negative number is undefined");
        }
        if n > 32_177 {
            return fail("value overflows numeric format");
        }
        let mut product = Decimal::of_int(1);
        for factor in 2..=n {
            product = product.mul(&Decimal::of_int(factor.into())).map_err(trouble)?;
        }
        Ok(Number::Finite(product).into())
    }),
    Def::new("sqrt", &[Kind::Any], Ret::Of(real), |row| {
        of_one(row, transcendental::sqrt, |x| if x < 0.0 { fail("cannot take square root of a negative number") } else { Ok(x.sqrt()) })
    }),
    Def::new("exp", &[Kind::Any], Ret::Of(real), |row| of_one(row, transcendental::exp, |x| in_range(x.exp(), x))),
    Def::new("ln", &[Kind::Any], Ret::Of(real), |row| of_one(row, transcendental::ln, |x| logarithm(x).map(f64::ln))),
    Def::new("log10", &[Kind::Any], Ret::Of(real), log10),
    Def::new("log", &[Kind::Any, Kind::Any], Ret::Of(logarithm_type), |row| {
        if row.len() < 2 {
            return log10(row);
        }
        match (numeric::arg(row, 0)?, numeric::arg(row, 1)?) {
            (Number::Finite(base), Number::Finite(x)) => Ok(Number::Finite(transcendental::log(&base, &x).map_err(trouble)?).into()),
            _ => Ok(Number::NaN.into()),
        }
    })
    .required(1),
    Def::new("power", &[Kind::Any, Kind::Any], Ret::Of(real), power),
    Def::new("pow", &[Kind::Any, Kind::Any], Ret::Of(real), power),
    Def::new("cbrt", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).cbrt()))),
    Def::new("pi", &[], Ret::Float, |_| Ok(Value::Float(std::f64::consts::PI))),
    Def::new("degrees", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0) / (std::f64::consts::PI / 180.0)))),
    Def::new("radians", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0) * (std::f64::consts::PI / 180.0)))),
    Def::new("sin", &[Kind::Float], Ret::Float, |row| angle(row, f64::sin)),
    Def::new("cos", &[Kind::Float], Ret::Float, |row| angle(row, f64::cos)),
    Def::new("tan", &[Kind::Float], Ret::Float, |row| angle(row, f64::tan)),
    Def::new("cot", &[Kind::Float], Ret::Float, |row| angle(row, |x| 1.0 / x.tan())),
    Def::new("asin", &[Kind::Float], Ret::Float, |row| arc(row, f64::asin)),
    Def::new("acos", &[Kind::Float], Ret::Float, |row| arc(row, f64::acos)),
    Def::new("atan", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).atan()))),
    Def::new("atan2", &[Kind::Float, Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).atan2(row.float(1))))),
    Def::new("sinh", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).sinh()))),
    Def::new("cosh", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).cosh()))),
    Def::new("tanh", &[Kind::Float], Ret::Float, |row| Ok(Value::Float(row.float(0).tanh()))),
    Def::new("width_bucket", &[Kind::Float, Kind::Float, Kind::Float, Kind::Int], Ret::Int, width_bucket),
    Def::new("scale", &[Kind::Any], Ret::Int, |row| {
        Ok(match numeric::arg(row, 0)? {
            Number::Finite(value) => Value::Int(value.scale() as i64),
            _ => Value::Null,
        })
    }),
    Def::new("min_scale", &[Kind::Any], Ret::Int, |row| {
        Ok(match numeric::arg(row, 0)? {
            Number::Finite(value) => Value::Int(value.trimmed().scale() as i64),
            _ => Value::Null,
        })
    }),
    Def::new("trim_scale", &[Kind::Any], Ret::Numeric, |row| {
        Ok(match numeric::arg(row, 0)? {
            Number::Finite(value) => Number::Finite(value.trimmed()).into(),
            other => other.into(),
        })
    }),
];

/// A number of one of PostgreSQL's three kinds.
enum Num {
    Int(i64),
    Float(f64),
    Numeric(Number),
}

impl Num {
    fn float(&self) -> f64 {
        match self {
            Num::Int(value) => *value as f64,
            Num::Float(value) => *value,
            Num::Numeric(value) => value.to_float(),
        }
    }
}

/// True for numerics, however Arrow holds them.
pub(crate) fn is_numeric(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::LargeUtf8 | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

fn number(row: Row<'_>, k: usize) -> Result<Num> {
    let (col, at) = row.col(k);
    Ok(match col.array.data_type() {
        ty if is_numeric(ty) => Num::Numeric(numeric::value(&col.array, at)?),
        ty if ty.is_integer() => {
            let ints = super::cast::to_int(&col.array.slice(at, 1))?;
            Num::Int(datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Int64Type>(&ints).value(0))
        }
        ty if ty.is_floating() || *ty == DataType::Utf8 => {
            let floats = datafusion::arrow::compute::cast(&col.array.slice(at, 1), &DataType::Float64)?;
            let floats = datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Float64Type>(&floats);
            if datafusion::arrow::array::Array::is_null(floats, 0) {
                let text = super::text_out::texts(&col.array.slice(at, 1))?;
                return fail(format!("invalid input syntax for type double precision: \"{}\"", text.value(0)));
            }
            Num::Float(floats.value(0))
        }
        other => return fail(format!("{other} is not a number")),
    })
}

/// numeric of a numeric, bigint of an integer, otherwise double precision.
fn same(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    Ok(match args.arg_fields.first().map(|field| field.data_type()) {
        Some(ty) if ty.is_integer() => Ret::Int,
        _ => return real(args),
    })
}

/// numeric if an argument is numeric and none a double, otherwise double precision.
fn real(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    let mut types = args.arg_fields.iter().map(|field| field.data_type());
    let numeric = types.clone().any(is_numeric) && !types.any(|ty| ty.is_floating());
    Ok(if numeric { Ret::Numeric } else { Ret::Float })
}

/// With a base it is numeric only.
fn logarithm_type(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    if args.arg_fields.len() > 1 { Ok(Ret::Numeric) } else { real(args) }
}

fn of_one(
    row: Row<'_>,
    exact: fn(&Decimal) -> Result<Decimal, transcendental::Refusal>,
    float: impl Fn(f64) -> Result<f64>,
) -> Result<Value<'_>> {
    match number(row, 0)? {
        Num::Numeric(Number::Finite(x)) => Ok(Number::Finite(exact(&x).map_err(trouble)?).into()),
        Num::Numeric(other) => {
            let value = float(other.to_float())?;
            Ok(Number::of_float(value, 15).into())
        }
        other => Ok(Value::Float(float(other.float())?)),
    }
}

fn logarithm(x: f64) -> Result<f64> {
    if x == 0.0 {
        return fail("cannot take logarithm of zero");
    }
    if x < 0.0 { fail("cannot take logarithm of a negative number") } else { Ok(x) }
}

fn log10(row: Row<'_>) -> Result<Value<'_>> {
    of_one(row, |x| transcendental::log(&Decimal::of_int(10), x), |x| logarithm(x).map(f64::log10))
}

fn in_range(result: f64, given: f64) -> Result<f64> {
    if result.is_infinite() && given.is_finite() { fail("value out of range: overflow") } else { Ok(result) }
}

fn power(row: Row<'_>) -> Result<Value<'_>> {
    let (x, y) = (number(row, 0)?, number(row, 1)?);
    let float = matches!(x, Num::Float(_)) || matches!(y, Num::Float(_)) || matches!((&x, &y), (Num::Int(_), Num::Int(_)));
    if !float && let (Number::Finite(x), Number::Finite(y)) = (numeric::arg(row, 0)?, numeric::arg(row, 1)?) {
        return Ok(Number::Finite(transcendental::power(&x, &y).map_err(trouble)?).into());
    }
    let (a, b) = (x.float(), y.float());
    if a == 0.0 && b < 0.0 {
        return fail("zero raised to a negative power is undefined");
    }
    if a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return fail("a negative number raised to a non-integer power yields a complex result");
    }
    let result = a.powf(b);
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return fail("value out of range: overflow");
    }
    Ok(if float { Value::Float(result) } else { Number::of_float(result, 15).into() })
}

fn angle(row: Row<'_>, of: fn(f64) -> f64) -> Result<Value<'_>> {
    if row.float(0).is_infinite() { fail("input is out of range") } else { Ok(Value::Float(of(row.float(0)))) }
}

fn arc(row: Row<'_>, of: fn(f64) -> f64) -> Result<Value<'_>> {
    if row.float(0).abs() > 1.0 { fail("input is out of range") } else { Ok(Value::Float(of(row.float(0)))) }
}

fn gcd(a: i64, b: i64) -> i128 {
    let (mut a, mut b) = (i128::from(a).abs(), i128::from(b).abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn whole(value: i128) -> Result<Value<'static>> {
    match i64::try_from(value.abs()) {
        Ok(value) => Ok(Value::Int(value)),
        Err(_) => fail("bigint out of range"),
    }
}

fn width_bucket(row: Row<'_>) -> Result<Value<'_>> {
    let (x, low, high, count) = (row.float(0), row.float(1), row.float(2), row.int(3));
    if count <= 0 {
        return fail("count must be greater than zero");
    }
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return fail("operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return fail("lower and upper bounds must be finite");
    }
    if low == high {
        return fail("lower bound cannot equal upper bound");
    }
    let (x, low, high) = if low < high { (x, low, high) } else { (-x, -low, -high) };
    Ok(Value::Int(if x < low {
        0
    } else if x >= high {
        count + 1
    } else {
        (count as f64 * (x - low) / (high - low)) as i64 + 1
    }))
}
