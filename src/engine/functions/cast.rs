//! `::` casts: one function a target type, with PostgreSQL's rounding, spellings and messages.

use super::row::{collect, fail, tag, tagged, timestamp_type};
use super::{arrays, inet, interval, numeric, row, text_out, time_in};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// A type that can be cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `numeric` without a scale.
    Numeric,
    /// `numeric(p, s)`.
    Decimal(u32, i32),
    Text,
    /// `varchar(n)` and `char(n)`.
    Varchar(u32),
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
    Jsonb,
    Jsonpath,
    Inet,
    Cidr,
    Uuid,
    Bytea,
}

impl Target {
    /// PostgreSQL's name, as in messages.
    pub(crate) fn sql_name(self) -> &'static str {
        match self {
            Target::Bool => "boolean",
            Target::Int2 => "smallint",
            Target::Int4 => "integer",
            Target::Int8 => "bigint",
            Target::Float4 => "real",
            Target::Float8 => "double precision",
            Target::Numeric | Target::Decimal(..) => "numeric",
            Target::Text => "text",
            Target::Varchar(_) => "character varying",
            Target::Date => "date",
            Target::Time => "time",
            Target::Timestamp => "timestamp",
            Target::Timestamptz => "timestamp with time zone",
            Target::Interval => "interval",
            Target::Json | Target::Jsonb => "json",
            Target::Jsonpath => "jsonpath",
            Target::Inet => "inet",
            Target::Cidr => "cidr",
            Target::Uuid => "uuid",
            Target::Bytea => "bytea",
        }
    }

    /// The Arrow field a value of the type has.
    pub(crate) fn field(self, name: &str) -> Field {
        let plain = |ty| Field::new(name, ty, true);
        match self {
            Target::Bool => plain(DataType::Boolean),
            Target::Int2 => plain(DataType::Int16),
            Target::Int4 => plain(DataType::Int32),
            Target::Int8 => plain(DataType::Int64),
            Target::Float4 => plain(DataType::Float32),
            Target::Float8 => plain(DataType::Float64),
            Target::Numeric | Target::Decimal(..) => plain(numeric::TYPE),
            Target::Text | Target::Varchar(_) => plain(DataType::Utf8),
            Target::Date => plain(DataType::Date32),
            Target::Time => plain(DataType::Time64(TimeUnit::Microsecond)),
            Target::Timestamp => plain(timestamp_type(false)),
            Target::Timestamptz => plain(timestamp_type(true)),
            Target::Interval => plain(DataType::Interval(IntervalUnit::MonthDayNano)),
            Target::Json => tagged(name, DataType::Utf8, "json"),
            Target::Jsonb => tagged(name, DataType::Utf8, "jsonb"),
            Target::Jsonpath => tagged(name, DataType::Utf8, "jsonpath"),
            Target::Inet => tagged(name, DataType::Utf8, "inet"),
            Target::Cidr => tagged(name, DataType::Utf8, "cidr"),
            Target::Uuid => tagged(name, DataType::Utf8, "uuid"),
            Target::Bytea => plain(DataType::Binary),
        }
    }

    /// Calls the cast on an expression, once for a value, or element by element for an array.
    pub(crate) fn call(self, arg: Expr, array: bool) -> Expr {
        self.udf(array).call(vec![arg])
    }

    /// The cast as a function.
    pub(crate) fn udf(self, array: bool) -> ScalarUDF {
        ScalarUDF::from(Cast { target: self, array, name: self.function(array), signature: Signature::any(1, Volatility::Immutable) })
    }

    /// The name of the cast's function.
    pub(crate) fn function(self, array: bool) -> String {
        let name = match self {
            Target::Decimal(precision, scale) => format!("cast_numeric_{precision}_{scale}").replace('-', "m"),
            Target::Varchar(length) => format!("cast_varchar_{length}"),
            Target::Jsonb => "cast_jsonb".into(),
            other => format!("cast_{}", other.sql_name().replace(' ', "_")),
        };
        if array { name + "_array" } else { name }
    }

    /// True for targets with a length or scale: they have a function each.
    pub(crate) fn is_parametric(self) -> bool {
        matches!(self, Target::Decimal(..) | Target::Varchar(_))
    }

    /// The field of a list's items. Arrow drops metadata there, so it has none.
    pub(crate) fn item(self) -> FieldRef {
        Arc::new(Field::new_list_field(self.field("").data_type().clone(), true))
    }

    /// Casts a whole array.
    pub(crate) fn cast(self, array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
        let target = self.field("");
        let from = array.data_type();
        if *from == DataType::Null {
            return Ok(arrow_cast(array, target.data_type())?);
        }
        if *from == *target.data_type() && tag(field) == tag(&target) && !matches!(self, Target::Varchar(_) | Target::Decimal(..)) {
            return Ok(Arc::clone(array));
        }
        let json = tag(field) == Some("jsonb");
        let spelled = tag(field) == Some("json");
        let text = matches!(from, DataType::Utf8 | DataType::Utf8View);
        let number = from.is_numeric() || *from == numeric::TYPE;
        match self {
            Target::Cidr if tag(field) == Some("inet") => return Ok(Arc::new(networks(&text_out::texts(array)?))),
            Target::Text if tag(field) == Some("inet") => return Ok(Arc::new(inet_texts(&text_out::texts(array)?))),
            Target::Text => return Ok(Arc::new(text_out::texts(array)?)),
            Target::Json if json => return Ok(Arc::new(text_out::texts(array)?)),
            Target::Bytea if *from == DataType::Binary => return Ok(Arc::clone(array)),
            Target::Bytea if text => return bytes(&text_out::texts(array)?),
            Target::Numeric if number => return Ok(Arc::new(numeric::numerics(array)?)),
            Target::Decimal(precision, scale) if number => {
                let values = (0..array.len()).map(|at| match array.is_null(at) {
                    true => Ok(row::Value::Null),
                    false => numeric::fitted(numeric::value(array, at)?, precision, scale).map(row::Value::from),
                });
                return self.build(array.len(), values);
            }
            Target::Int2 | Target::Int4 | Target::Int8 if number || *from == DataType::Boolean => return self.ints(array),
            Target::Bool if from.is_integer() => {
                let ints = to_int(array)?;
                let ints = ints.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
                return Ok(Arc::new(ints.iter().map(|int| int.map(|int| int != 0)).collect::<datafusion::arrow::array::BooleanArray>()));
            }
            Target::Float4 | Target::Float8 if number => return Ok(arrow_cast(array, target.data_type())?),
            Target::Date | Target::Timestamp | Target::Timestamptz if from.is_temporal() => return self.temporal(array),
            Target::Time if matches!(from, DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_)) => {
                return Ok(arrow_cast(&self.unzoned(array)?, target.data_type())?);
            }
            Target::Interval if matches!(from, DataType::Time64(TimeUnit::Microsecond)) => {
                let clocks = array.as_primitive::<datafusion::arrow::datatypes::Time64MicrosecondType>();
                let value =
                    |micros: i64| row::Value::Interval(datafusion::arrow::datatypes::IntervalMonthDayNano::new(0, 0, micros * 1000));
                return self.build(array.len(), clocks.iter().map(|micros| Ok(micros.map_or(row::Value::Null, value))));
            }
            Target::Interval if matches!(from, DataType::Duration(_) | DataType::Interval(_)) => {
                return Ok(arrow_cast(array, target.data_type())?);
            }
            _ => {}
        }
        let refused = if spelled { !matches!(self, Target::Varchar(_) | Target::Jsonb) } else { !text && !json };
        if refused && !matches!(self, Target::Varchar(_)) {
            let name = if self == Target::Jsonb { "jsonb" } else { self.sql_name() };
            return fail(format!("cannot cast type {} to {name}", text_out::type_name(field)));
        }
        if json && !matches!(self, Target::Varchar(_)) {
            return self.of_jsonb(array);
        }
        let texts = text_out::texts(array)?;
        let values = texts.iter().map(|text| match text {
            None => Ok(row::Value::Null),
            Some(text) => self.parse(text),
        });
        self.build(array.len(), values)
    }

    fn build<'a>(self, rows: usize, values: impl Iterator<Item = Result<row::Value<'a>>>) -> Result<ArrayRef> {
        match self {
            Target::Int2 | Target::Int4 => Ok(arrow_cast(&collect(&DataType::Int64, rows, values)?, self.field("").data_type())?),
            Target::Float4 => Ok(arrow_cast(&collect(&DataType::Float64, rows, values)?, &DataType::Float32)?),
            _ => collect(self.field("").data_type(), rows, values),
        }
    }

    fn invalid<T>(self, text: &str) -> Result<T> {
        fail(format!("invalid input syntax for type {}: \"{text}\"", self.sql_name()))
    }

    fn out_of_range<T>(self) -> Result<T> {
        fail(format!("{} out of range", self.sql_name()))
    }

    fn in_range(self, value: i64) -> bool {
        match self {
            Target::Int2 => i16::try_from(value).is_ok(),
            Target::Int4 => i32::try_from(value).is_ok(),
            _ => true,
        }
    }

    /// One value from its text.
    fn parse(self, text: &str) -> Result<row::Value<'_>> {
        let trimmed = text.trim();
        Ok(match self {
            Target::Bool => row::Value::Bool(parse_bool(text)?),
            Target::Int2 | Target::Int4 | Target::Int8 => match trimmed.parse::<i64>() {
                Ok(value) if self.in_range(value) => row::Value::Int(value),
                _ if is_integer(trimmed) => return fail(format!("value \"{text}\" is out of range for type {}", self.sql_name())),
                _ => return self.invalid(text),
            },
            Target::Float4 | Target::Float8 => row::Value::Float(self.parse_float(text)?),
            Target::Numeric | Target::Decimal(..) => match (numeric::Number::parse(trimmed), self) {
                (Some(number), Target::Decimal(precision, scale)) => numeric::fitted(number, precision, scale)?.into(),
                (Some(number), _) => number.into(),
                (None, _) => return self.invalid(text),
            },
            Target::Text => row::Value::from(text.to_string()),
            Target::Varchar(length) => row::Value::from(text.chars().take(length as usize).collect::<String>()),
            Target::Date => row::Value::Date(time_in::date(text)?),
            Target::Time => row::Value::Micros(time_in::time(text)?),
            Target::Timestamp => row::Value::Micros(time_in::timestamp(text, false)?),
            Target::Timestamptz => row::Value::Micros(time_in::timestamp(text, true)?),
            Target::Interval => row::Value::Interval(interval::parse(text)?),
            Target::Json => {
                row::check_json(text)?;
                row::Value::from(text.to_string())
            }
            Target::Jsonb => row::Value::from(row::canonical_json(text)?),
            Target::Jsonpath => row::Value::from(super::jsonpath::canonical(text)?),
            Target::Inet | Target::Cidr => row::Value::from(address(text, self)?),
            // Whole arrays are cast elsewhere.
            Target::Bytea => return self.invalid(text),
            Target::Uuid => row::Value::from(uuid(trimmed).map_or_else(|| self.invalid(text), Ok)?),
        })
    }

    /// jsonb casts only to the types its scalars have.
    fn of_jsonb(self, array: &ArrayRef) -> Result<ArrayRef> {
        let texts = text_out::texts(array)?;
        let values = texts.iter().map(|text| {
            let Some(text) = text else { return Ok(row::Value::Null) };
            let kind = super::jsonb_scan::kind(text);
            let refuse = || fail(format!("cannot cast jsonb {kind} to type {}", self.sql_name()));
            match (self, kind) {
                (Target::Bool, "boolean") => Ok(row::Value::Bool(text == "true")),
                (Target::Int2 | Target::Int4 | Target::Int8, "number") => {
                    match numeric::Number::parse(text).and_then(|number| numeric::to_int(&number).ok()) {
                        Some(value) if self.in_range(value) => Ok(row::Value::Int(value)),
                        _ => self.out_of_range(),
                    }
                }
                (Target::Float4 | Target::Float8, "number") => Ok(row::Value::Float(self.parse_float(text)?)),
                (Target::Numeric | Target::Decimal(..), "number") => match (numeric::Number::parse(text), self) {
                    (Some(number), Target::Decimal(precision, scale)) => Ok(numeric::fitted(number, precision, scale)?.into()),
                    (Some(number), _) => Ok(number.into()),
                    _ => refuse(),
                },
                _ => refuse(),
            }
        });
        self.build(array.len(), values.collect::<Vec<_>>().into_iter())
    }

    /// A double from its text; one too large or too small for the type is an error.
    fn parse_float(self, text: &str) -> Result<f64> {
        let trimmed = text.trim();
        let Some(value) = parse_float(trimmed) else { return self.invalid(text) };
        let shown = if self == Target::Float4 { f64::from(value as f32) } else { value };
        let special = trimmed.contains(['n', 'N']);
        let vanished =
            shown == 0.0 && trimmed.split(['e', 'E']).next().is_some_and(|digits| digits.bytes().any(|b| (b'1'..=b'9').contains(&b)));
        if !special && (shown.is_infinite() || vanished) {
            return fail(format!("\"{trimmed}\" is out of range for type {}", self.sql_name()));
        }
        Ok(value)
    }

    fn ints(self, array: &ArrayRef) -> Result<ArrayRef> {
        let ints = match to_int(array) {
            // The type asked for is the one that the number does not fit.
            Err(error) if self != Target::Int8 => {
                let text = error.strip_backtrace();
                return fail(text.replace("Execution error: ", "").replace("bigint", self.sql_name()));
            }
            other => other?,
        };
        let values = ints.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        if values.iter().flatten().any(|value| !self.in_range(value)) {
            return self.out_of_range();
        }
        Ok(arrow_cast(&ints, self.field("").data_type())?)
    }

    fn unzoned(self, array: &ArrayRef) -> Result<ArrayRef> {
        if !matches!(array.data_type(), DataType::Timestamp(..)) {
            return Ok(Arc::clone(array));
        }
        let zoned = arrow_cast(array, &timestamp_type(true))?;
        // The session's zone is UTC: the wall clock is the moment itself.
        let micros = arrow_cast(&zoned, &DataType::Int64)?;
        Ok(arrow_cast(&micros, &timestamp_type(false))?)
    }

    fn temporal(self, array: &ArrayRef) -> Result<ArrayRef> {
        let micros = match array.data_type() {
            DataType::Timestamp(_, zone) => {
                arrow_cast(&arrow_cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, &DataType::Int64)?
            }
            DataType::Date32 => {
                let micros = |days: i32| match days {
                    i32::MIN => i64::MIN,
                    i32::MAX => i64::MAX,
                    days => i64::from(days) * 86_400_000_000,
                };
                let days = array.as_primitive::<datafusion::arrow::datatypes::Date32Type>();
                Arc::new(days.iter().map(|days| days.map(micros)).collect::<Int64Array>())
            }
            DataType::Date64 => arrow_cast(&arrow_cast(array, &timestamp_type(false))?, &DataType::Int64)?,
            other => {
                return fail(format!(
                    "cannot cast type {} to {}",
                    text_out::type_name(&Field::new("", other.clone(), true)),
                    self.sql_name()
                ));
            }
        };
        match self {
            Target::Date => {
                let days: datafusion::arrow::array::Date32Array = micros
                    .as_primitive::<datafusion::arrow::datatypes::Int64Type>()
                    .iter()
                    .map(|micros| {
                        micros.map(|micros| match micros {
                            i64::MIN => i32::MIN,
                            i64::MAX => i32::MAX,
                            micros => micros.div_euclid(86_400_000_000) as i32,
                        })
                    })
                    .collect();
                Ok(Arc::new(days))
            }
            _ => Ok(arrow_cast(&micros, &timestamp_type(self == Target::Timestamptz))?),
        }
    }
}

/// The casts that need no parameter.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    const PLAIN: [Target; 20] = [
        Target::Bool,
        Target::Int2,
        Target::Int4,
        Target::Int8,
        Target::Float4,
        Target::Float8,
        Target::Numeric,
        Target::Text,
        Target::Date,
        Target::Time,
        Target::Timestamp,
        Target::Timestamptz,
        Target::Interval,
        Target::Json,
        Target::Jsonb,
        Target::Jsonpath,
        Target::Inet,
        Target::Cidr,
        Target::Uuid,
        Target::Bytea,
    ];
    PLAIN.into_iter().flat_map(|target| [target.udf(false), target.udf(true)])
}

/// PostgreSQL's boolean spellings: unique prefixes of true, false, yes, no; on, off; 1, 0.
pub(crate) fn parse_bool(text: &str) -> Result<bool> {
    let word = text.trim().to_ascii_lowercase();
    let prefix = |full: &str| !word.is_empty() && full.starts_with(&word);
    if prefix("true") || prefix("yes") || word == "on" || word == "1" {
        Ok(true)
    } else if prefix("false") || prefix("no") || (prefix("off") && word.len() > 1) || word == "0" {
        Ok(false)
    } else {
        fail(format!("invalid input syntax for type boolean: \"{text}\""))
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn parse_float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "infinity" | "inf" | "+infinity" => Some(f64::INFINITY),
        "-infinity" | "-inf" => Some(f64::NEG_INFINITY),
        lower if lower.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) && !lower.contains("in") => {
            lower.parse().ok()
        }
        _ => None,
    }
}

/// Integers of a number array: floats round half to even, numerics half away from zero, as PostgreSQL does.
pub(crate) fn to_int(array: &ArrayRef) -> Result<ArrayRef> {
    let out_of_range = || DataFusionError::Execution("bigint out of range".into());
    Ok(match array.data_type() {
        DataType::Int64 => Arc::clone(array),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = arrow_cast(array, &DataType::Float64)?;
            let ints = floats.as_primitive::<Float64Type>().iter().map(|value| {
                value
                    .map(|value| {
                        let rounded = value.round_ties_even();
                        if (-9.223_372_036_854_776e18..9.223_372_036_854_776e18).contains(&rounded) {
                            Ok(rounded as i64)
                        } else {
                            Err(out_of_range())
                        }
                    })
                    .transpose()
            });
            Arc::new(ints.collect::<Result<Int64Array>>()?)
        }
        DataType::LargeUtf8 | DataType::Decimal128(..) => {
            let ints = (0..array.len()).map(|at| match array.is_null(at) {
                true => Ok(None),
                false => numeric::to_int(&numeric::value(array, at)?).map(Some),
            });
            Arc::new(ints.collect::<Result<Int64Array>>()?)
        }
        DataType::Utf8 | DataType::Utf8View => Target::Int8.cast(array, &Field::new("", array.data_type().clone(), true))?,
        _ => arrow_cast(array, &DataType::Int64)?,
    })
}

/// A canonical inet or cidr text.
fn address(text: &str, target: Target) -> Result<String> {
    let Some(net) = inet::parse(text, target == Target::Cidr) else { return target.invalid(text) };
    match target {
        Target::Cidr if !net.is_network() => fail(format!("invalid cidr value: \"{text}\"")),
        Target::Cidr => Ok(net.cidr()),
        _ => Ok(net.inet()),
    }
}

/// An inet's text as its cast gives it: with the length of its network, always.
fn inet_texts(texts: &StringArray) -> StringArray {
    let full = |text: &str| if text.contains(':') { 128 } else { 32 };
    texts.iter().map(|text| text.map(|text| if text.contains('/') { text.to_string() } else { format!("{text}/{}", full(text)) })).collect()
}

/// The networks of inets.
fn networks(texts: &StringArray) -> StringArray {
    texts.iter().map(|text| text.and_then(|text| Some(inet::parse(text, false)?.network().cidr()))).collect()
}

/// Bytes from PostgreSQL's hex or escape format.
fn bytes(texts: &StringArray) -> Result<ArrayRef> {
    let one = |text: &str| -> Result<Vec<u8>> {
        let Some(hex) = text.strip_prefix("\\x") else {
            return escaped_bytes(text).map_or_else(|| fail("invalid input syntax for type bytea"), Ok);
        };
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if let Some(wrong) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
            return fail(format!("invalid hexadecimal digit: \"{wrong}\""));
        }
        if digits.len() % 2 == 1 {
            return fail("invalid hexadecimal data: odd number of digits");
        }
        Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit.to_digit(16).unwrap_or(0) as u8)).collect())
    };
    let mut builder = datafusion::arrow::array::BinaryBuilder::new();
    for text in texts {
        builder.append_option(text.map(one).transpose()?);
    }
    Ok(Arc::new(builder.finish()))
}

/// Bytes from PostgreSQL's escape format: `a\\000`.
pub(crate) fn escaped_bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let (byte, tail) = match (byte, tail) {
            (b'\\', [b'\\', tail @ ..]) => (b'\\', tail),
            (b'\\', [a, b, c, tail @ ..]) => {
                (std::str::from_utf8(&[*a, *b, *c]).ok().and_then(|text| u8::from_str_radix(text, 8).ok())?, tail)
            }
            (b'\\', _) => return None,
            plain => plain,
        };
        out.push(byte);
        rest = tail;
    }
    Some(out)
}

fn uuid(text: &str) -> Option<String> {
    let hex: String = text.trim_matches(['{', '}']).chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    (hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// The cast function of a target.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    target: Target,
    array: bool,
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.target.field("").data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.array {
            return Ok(Arc::new(Field::new(&self.name, DataType::List(self.target.item()), true)));
        }
        Ok(Arc::new(self.target.field(&self.name)))
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // A cast to the type it has already must not hide a column from filter pushdown.
        let [arg] = args.as_slice() else { return Ok(ExprSimplifyResult::Original(args)) };
        let field = arg.to_field(info.schema().as_ref())?.1;
        let target = self.target.field("");
        let same = !self.array && !self.target.is_parametric() && field.data_type() == target.data_type() && tag(&field) == tag(&target);
        match args.pop() {
            Some(arg) if same => Ok(ExprSimplifyResult::Simplified(arg)),
            arg => Ok(ExprSimplifyResult::Original(arg.into_iter().collect())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(arg), Some(field)) = (args.args.first(), args.arg_fields.first()) else {
            return Err(DataFusionError::Internal(format!("{} needs an argument", self.name)));
        };
        let run = |array: &ArrayRef| -> Result<ArrayRef> {
            if self.array {
                return arrays::cast_list(array, self.target);
            }
            self.target.cast(array, field)
        };
        Ok(match arg {
            ColumnarValue::Array(array) => ColumnarValue::Array(run(array)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&run(&value.to_array()?)?, 0)?),
        })
    }
}

/// A literal of a type from its text, at planning time.
pub(crate) fn scalar(target: Target, text: &str) -> Result<ScalarValue> {
    let array: ArrayRef = Arc::new(datafusion::arrow::array::StringArray::from(vec![text]));
    let field = Field::new("", DataType::Utf8, true);
    ScalarValue::try_from_array(&target.cast(&array, &field)?, 0)
}
