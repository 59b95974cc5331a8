//! `coalesce`, `greatest`, `least` and `nullif` where numerics are among the arguments; DataFusion's own otherwise.

use super::numeric;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::functions::core;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The functions of this file.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    [core::coalesce(), core::greatest(), core::least(), core::nullif()]
        .into_iter()
        .map(|inner| ScalarUDF::from(Choose { inner, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Choose {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Choose {
    /// The function of numerics that does the same; CASE does it for `coalesce`.
    fn exact(&self) -> Option<Arc<ScalarUDF>> {
        super::get(&format!("numeric {}", self.inner.name()))
    }
}

impl ScalarUDFImpl for Choose {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let numeric = types.contains(&numeric::TYPE);
        if numeric && types.iter().all(|ty| *ty == numeric::TYPE || *ty == DataType::Null || ty.is_integer()) {
            return Ok(vec![numeric::TYPE; types.len()]);
        }
        if numeric && types.iter().any(DataType::is_floating) {
            return Ok(vec![DataType::Float64; types.len()]);
        }
        let fields: Vec<FieldRef> = types.iter().map(|ty| Arc::new(Field::new("", ty.clone(), true))).collect();
        Ok(fields_with_udf(&fields, self.inner.as_ref())?.iter().map(|field| field.data_type().clone()).collect())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if *args.return_field.data_type() == numeric::TYPE
            && let Some(exact) = self.exact()
        {
            return exact.invoke_with_args(args);
        }
        if self.inner.name() == "coalesce" {
            return coalesce(&args);
        }
        self.inner.invoke_with_args(args)
    }
}

/// The first argument that is not NULL: where an optimizer rule did not make it a CASE.
fn coalesce(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    use datafusion::arrow::compute::{is_not_null, kernels::zip::zip};
    let rows = args.number_rows;
    let mut arrays = args.args.iter().rev().map(|arg| arg.to_array(rows));
    let Some(last) = arrays.next() else { return super::row::fail("coalesce must have at least one argument") };
    let mut result: ArrayRef = last?;
    for array in arrays {
        let array = array?;
        result = zip(&is_not_null(&array)?, &array, &result)?;
    }
    Ok(ColumnarValue::Array(result))
}
