//! `->`, `->>`, `#>`, `#>>` and subscripts: a walk over canonical text, a whole column at a time, without building a tree.
//!
//! Chains (`j -> 'a' -> 0 ->> 'b'`) become one walk when a plan is simplified, so that nothing between is copied.

use super::arrays::text_lists;
use super::jsonb_scan::{Name, as_text, element, fetch, kind, last_member};
use super::row::{canonical_json, tag, tagged};
use super::text_out;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// How the arguments behind the document are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Steps {
    /// A member's name each, or an element's index each: by their types.
    Each,
    /// A subscript: a name or an index, whichever the document takes.
    Subscript,
    /// One array of names and indexes.
    Path,
    /// A name or index each, all texts.
    Names,
}

/// The functions of this file.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    let walk = |name, steps, text| ScalarUDF::from(Walk { name, steps, text, signature: Signature::variadic_any(Volatility::Immutable) });
    [
        walk("jsonb_get", Steps::Each, false),
        walk("jsonb_get_text", Steps::Each, true),
        walk("jsonb_get_element", Steps::Subscript, false),
        walk("jsonb_get_path", Steps::Path, false),
        walk("jsonb_get_path_text", Steps::Path, true),
        walk("jsonb_extract_path", Steps::Names, false),
        walk("jsonb_extract_path_text", Steps::Names, true),
        walk("json_extract_path", Steps::Names, false),
        walk("json_extract_path_text", Steps::Names, true),
    ]
    .into_iter()
}

/// One step of a walk.
#[derive(Debug, Clone)]
enum Step {
    Name(Name),
    Index(i64),
    /// What is a name for an object, and for an array perhaps an index.
    Either(Name, Option<i64>),
    /// A step that is NULL leads nowhere.
    Nowhere,
}

impl Step {
    /// From canonical text.
    fn from<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Step::Name(name) => name.find(text),
            // A scalar is, for this operator, an array of one.
            Step::Index(index) => match text.as_bytes().first() {
                Some(b'[') => element(text, *index),
                Some(b'{') => None,
                _ => matches!(index, 0 | -1).then_some(text),
            },
            Step::Either(name, index) => match kind(text) {
                "object" => name.find(text),
                "array" => element(text, (*index)?),
                _ => None,
            },
            Step::Nowhere => None,
        }
    }

    /// From json, which may be spelled in any way and have a member twice.
    fn spelled_value<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Step::Name(name) => last_member(text, name.plain()),
            Step::Index(index) => element(text, *index),
            Step::Either(name, _) if kind(text) == "object" => last_member(text, name.plain()),
            other => other.from(text),
        }
    }
}

/// A step of `#>`, whose text may be an index.
fn path_step(step: Option<&str>) -> Step {
    match step {
        Some(step) => Step::Either(Name::new(step), step.trim_start().parse().ok()),
        None => Step::Nowhere,
    }
}

fn walk<'a>(text: &'a str, steps: &[Step], spelled: bool) -> Option<&'a str> {
    steps.iter().try_fold(text, |text, step| if spelled { step.spelled_value(text) } else { step.from(text) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Walk {
    name: &'static str,
    steps: Steps,
    text: bool,
    signature: Signature,
}

impl Walk {
    /// The steps one argument stands for, in a row; none where a NULL makes the result NULL.
    fn read(&self, arg: &Argument, row: usize, steps: &mut Vec<Step>) -> bool {
        let at = if arg.scalar { 0 } else { row };
        if arg.array.is_null(at) {
            return false;
        }
        match (self.steps, arg.array.data_type()) {
            (Steps::Path, _) => {
                let list = arg.array.as_list::<i32>().value(at);
                steps.extend(list.as_string::<i32>().iter().map(path_step));
            }
            (Steps::Names | Steps::Subscript, _) => steps.push(path_step(Some(arg.array.as_string::<i32>().value(at)))),
            (_, DataType::Int64) => steps.push(Step::Index(arg.array.as_primitive::<Int64Type>().value(at))),
            _ => steps.push(Step::Name(Name::new(arg.array.as_string::<i32>().value(at)))),
        }
        true
    }

    fn argument(&self, value: &ColumnarValue) -> Result<Argument> {
        let (array, scalar) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let array = match self.steps {
            Steps::Path => text_lists(&array)?,
            Steps::Each if array.data_type().is_integer() => super::cast::to_int(&array)?,
            _ => Arc::new(text_out::texts(&array)?) as ArrayRef,
        };
        Ok(Argument { array, scalar })
    }

    fn show(&self, found: Option<&str>, out: &mut StringBuilder) {
        match found {
            Some(value) if self.text => out.append_option(as_text(value)),
            found => out.append_option(found),
        }
    }
}

struct Argument {
    array: ArrayRef,
    scalar: bool,
}

fn documents(array: &ArrayRef, field: &Field, spelled: bool) -> Result<StringArray> {
    let texts = text_out::texts(array)?;
    if spelled || tag(field) == Some("jsonb") {
        return Ok(texts);
    }
    texts.iter().map(|text| text.map(canonical_json).transpose()).collect()
}

impl ScalarUDFImpl for Walk {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if args.arg_fields.len() < 2 {
            let types: Vec<_> = args.arg_fields.iter().map(|field| text_out::type_name(field)).collect();
            return Err(DataFusionError::Plan(format!("function {}({}) does not exist", self.name, types.join(", "))));
        }
        let given = args.arg_fields.first().and_then(|field| tag(field));
        let document = if given == Some("json") || self.name.starts_with("json_") { "json" } else { "jsonb" };
        Ok(Arc::new(if self.text { Field::new(self.name, DataType::Utf8, true) } else { tagged(self.name, DataType::Utf8, document) }))
    }

    /// A walk from where another one ends is one walk.
    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let longer = match args.first() {
            Some(Expr::ScalarFunction(ScalarFunction { func, .. })) if self.steps == Steps::Each => {
                func.inner().as_ref().downcast_ref::<Walk>().is_some_and(|from| from.steps == Steps::Each && !from.text)
            }
            _ => false,
        };
        if !longer {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let rest = args.split_off(1);
        let Some(Expr::ScalarFunction(ScalarFunction { args: mut steps, .. })) = args.pop() else {
            return Err(DataFusionError::Internal(format!("{} has no first argument", self.name)));
        };
        steps.extend(rest);
        let func = super::get(self.name).ok_or_else(|| DataFusionError::Internal(format!("no function {}", self.name)))?;
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(ScalarFunction { func, args: steps })))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(from), Some(field)) = (args.args.first(), args.arg_fields.first()) else {
            return Err(DataFusionError::Internal(format!("{} needs a document", self.name)));
        };
        let given = args.args.iter().skip(1).map(|arg| self.argument(arg)).collect::<Result<Vec<_>>>()?;
        let (from, one) = match from {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let spelled = tag(field) == Some("json") || self.name.starts_with("json_");
        let from = documents(&from, field, spelled)?;
        let constant = given.iter().all(|arg| arg.scalar);
        let rows = if one && constant { 1 } else { args.number_rows };
        let mut out = StringBuilder::with_capacity(rows, rows * 16);
        let mut steps = Vec::with_capacity(given.len());
        let mut known = false;
        for row in 0..rows {
            let at = if one { 0 } else { row };
            if !constant || row == 0 {
                steps.clear();
                known = given.iter().all(|arg| self.read(arg, row, &mut steps));
            }
            if known && row + 1 < rows && !one {
                fetch(from.value(row + 1));
            }
            if !known || from.is_null(at) {
                out.append_null();
            } else {
                self.show(walk(from.value(at), &steps, spelled), &mut out);
            }
        }
        let array: ArrayRef = Arc::new(out.finish());
        Ok(if one && constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(array) })
    }
}
