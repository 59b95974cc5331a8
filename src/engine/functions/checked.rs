//! Arithmetic of integers and doubles that fails where PostgreSQL's does: out of range, division by zero.

use super::row::{Def, Kind, Ret, Value, fail};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, Float64Array, LargeStringArray, Scalar};
use datafusion::arrow::compute::{cast, kernels::numeric};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Row functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("bit not", &[Kind::Int], Ret::Int, |row| Ok(Value::Int(!row.int(0)))),
    Def::new("bit <<", &[Kind::Int, Kind::Int], Ret::Int, |row| Ok(Value::Int(row.int(0).wrapping_shl(row.int(1) as u32)))),
    Def::new("bit >>", &[Kind::Int, Kind::Int], Ret::Int, |row| Ok(Value::Int(row.int(0).wrapping_shr(row.int(1) as u32)))),
];

/// The operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl Op {
    const ALL: [Op; 5] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Rem];

    /// The function's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Op::Add => "checked +",
            Op::Sub => "checked -",
            Op::Mul => "checked *",
            Op::Div => "checked /",
            Op::Rem => "checked %",
        }
    }

    fn kernel(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Op::Add => numeric::add(left, right),
            Op::Sub => numeric::sub(left, right),
            Op::Mul => numeric::mul(left, right),
            Op::Div => numeric::div(left, right),
            Op::Rem => numeric::rem(left, right),
        }
    }
}

/// Functions of this file over whole columns.
pub(crate) fn typed() -> impl Iterator<Item = ScalarUDF> {
    let negate = ScalarUDF::from(Negate { signature: Signature::any(1, Volatility::Immutable) });
    Op::ALL.into_iter().map(|op| ScalarUDF::from(Checked { op, signature: Signature::any(2, Volatility::Immutable) })).chain([negate])
}

/// The unary minus.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Negate {
    signature: Signature,
}

impl ScalarUDFImpl for Negate {
    fn name(&self) -> &str {
        "negate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            // DataFusion's counts and positions.
            [ty] if ty.is_unsigned_integer() => Ok(DataType::Int64),
            [ty] if ty.is_numeric() || *ty == super::numeric::TYPE || matches!(ty, DataType::Interval(_) | DataType::Null) => {
                Ok(ty.clone())
            }
            [DataType::Duration(_)] => Ok(DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano)),
            [ty] => {
                let name = super::text_out::type_name(&datafusion::arrow::datatypes::Field::new("", ty.clone(), true));
                Err(DataFusionError::Plan(format!("operator does not exist: - {name}")))
            }
            _ => Err(DataFusionError::Internal("the minus needs an operand".into())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return fail("the minus needs an operand") };
        let of = |array: &ArrayRef| -> Result<ArrayRef> {
            let ty = array.data_type().clone();
            if ty == super::numeric::TYPE {
                let negated: Result<LargeStringArray> = (0..array.len())
                    .map(|at| {
                        if array.is_null(at) {
                            Ok(None)
                        } else {
                            super::numeric::value(array, at).map(|value| Some(value.neg().to_string()))
                        }
                    })
                    .collect();
                return Ok(Arc::new(negated?));
            }
            if ty == DataType::Null {
                return Ok(Arc::clone(array));
            }
            let array = if matches!(ty, DataType::Duration(_)) || ty.is_unsigned_integer() {
                cast(array, args.return_field.data_type())?
            } else {
                Arc::clone(array)
            };
            numeric::neg(&array).map_err(|error| refusal(&error, &ty))
        };
        Ok(match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(of(array)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&of(&value.to_array()?)?, 0)?),
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Op,
    signature: Signature,
}

/// The type two integers or doubles meet at.
fn common(left: &DataType, right: &DataType) -> DataType {
    let rank = |ty: &DataType| match ty {
        DataType::Null => 0,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 1,
        DataType::UInt16 | DataType::Int32 => 2,
        DataType::Float16 | DataType::Float32 => 4,
        DataType::Float64 => 5,
        _ => 3,
    };
    match rank(left).max(rank(right)) {
        1 => DataType::Int16,
        2 => DataType::Int32,
        // A real and an integer meet at double precision.
        4 if rank(left) == rank(right) => DataType::Float32,
        4 | 5 => DataType::Float64,
        _ => DataType::Int64,
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.op.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => Ok(common(left, right)),
            _ => Err(DataFusionError::Internal(format!("{} needs two operands", self.op.name()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ty = args.return_field.data_type();
        let [left, right] = args.args.as_slice() else { return fail("an operator needs two operands") };
        let side = |value: &ColumnarValue| -> Result<(ArrayRef, bool)> {
            let (array, scalar) = match value {
                ColumnarValue::Array(array) => (Arc::clone(array), false),
                ColumnarValue::Scalar(value) => (value.to_array()?, true),
            };
            Ok((if array.data_type() == ty { array } else { cast(&array, ty)? }, scalar))
        };
        let ((left, left_scalar), (right, right_scalar)) = (side(left)?, side(right)?);
        if self.op == Op::Div && *ty == DataType::Float64 && has_zero(&right) {
            // A NULL dividend is no division.
            let zero = |at: usize| right.as_primitive::<Float64Type>().value(if right_scalar { 0 } else { at }) == 0.0;
            let rows = left.len().max(right.len());
            let null = |array: &ArrayRef, scalar: bool, at: usize| array.is_null(if scalar { 0 } else { at });
            if (0..rows).any(|at| !null(&right, right_scalar, at) && !null(&left, left_scalar, at) && zero(at)) {
                return fail("division by zero");
            }
        }
        let datum = |array: &ArrayRef, scalar: bool| -> Box<dyn Datum> {
            if scalar { Box::new(Scalar::new(Arc::clone(array))) } else { Box::new(Arc::clone(array)) }
        };
        let (left_datum, right_datum) = (datum(&left, left_scalar), datum(&right, right_scalar));
        let result = self.op.kernel(left_datum.as_ref(), right_datum.as_ref()).map_err(|error| refusal(&error, ty))?;
        if let DataType::Float64 = ty {
            finite(&result, &left, &right)?;
        }
        Ok(if left_scalar && right_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}

fn has_zero(array: &ArrayRef) -> bool {
    array.as_primitive::<Float64Type>().values().contains(&0.0)
}

/// Only infinite operands give infinite results.
fn finite(result: &ArrayRef, left: &ArrayRef, right: &ArrayRef) -> Result<()> {
    let infinite = |array: &Float64Array| array.values().iter().any(|value| value.is_infinite());
    let of = |array: &ArrayRef| infinite(array.as_primitive::<Float64Type>());
    if of(result) && !of(left) && !of(right) {
        return fail("value out of range: overflow");
    }
    Ok(())
}

fn refusal(error: &ArrowError, ty: &DataType) -> DataFusionError {
    DataFusionError::Execution(match error {
        ArrowError::DivideByZero => "division by zero".into(),
        ArrowError::ArithmeticOverflow(_) => format!(
            "{} out of range",
            match ty {
                DataType::Int16 => "smallint",
                DataType::Int32 => "integer",
                _ => "bigint",
            }
        ),
        other => other.to_string(),
    })
}
