//! Arrays: literals, element casts, `ANY`/`ALL`, text conversions.

use super::cast::Target;
use super::row::{Def, Kind, Ret, Row, Value, fail};
use super::text_out;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StringArray, make_comparator, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{SortOptions, cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Literal, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// Row functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("array_to_string", &[Kind::Any, Kind::Text, Kind::Text], Ret::Text, array_to_string).required(2).sees_nulls(),
    Def::new("array_length", &[Kind::Any, Kind::Int], Ret::Int, |row| {
        let (col, at) = row.col(0);
        Ok(length(&col.array.slice(at, 1), row.int(1)).map_or(Value::Null, Value::Int))
    }),
    Def::new("pg_typeof", &[Kind::Any], Ret::Text, |row| Ok(text_out::type_name(&row.col(0).0.field).into())).sees_nulls(),
    Def::new("string_to_array", &[Kind::Text, Kind::Text, Kind::Text], Ret::Texts, string_to_array).required(2).sees_nulls(),
];

/// Functions of this file that depend on their arguments' types.
pub(crate) fn typed() -> Vec<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    let mut all = vec![
        ScalarUDF::from(OrEmpty { signature: signature.clone() }),
        ScalarUDF::from(Element { only: true, signature: signature.clone() }),
        ScalarUDF::from(Element { only: false, signature }),
    ];
    for all_of in [false, true] {
        for op in Op::ALL {
            all.push(quantified(op, all_of));
        }
    }
    all
}

/// Any list as `text[]`; a text is read as an array literal.
pub(crate) fn text_lists(array: &ArrayRef) -> Result<ArrayRef> {
    cast_list(array, Target::Text)
}

/// Casts a list's elements, or reads array literals.
pub(crate) fn cast_list(array: &ArrayRef, target: Target) -> Result<ArrayRef> {
    let item = target.item();
    match array.data_type() {
        DataType::List(from) => {
            let list = array.as_list::<i32>();
            let values = if matches!(from.data_type(), DataType::List(_)) {
                return fail("casts of nested arrays are not supported");
            } else {
                target.cast(list.values(), from)?
            };
            Ok(Arc::new(ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        DataType::LargeList(from) | DataType::FixedSizeList(from, _) | DataType::ListView(from) => {
            let list = cast(array, &DataType::List(Arc::clone(from)))?;
            cast_list(&list, target)
        }
        DataType::Null => Ok(cast(array, &DataType::List(item))?),
        _ => {
            let texts = text_out::texts(array)?;
            let mut elements: Vec<Option<String>> = Vec::new();
            let mut lengths = Vec::with_capacity(texts.len());
            for text in &texts {
                let before = elements.len();
                if let Some(text) = text {
                    elements.extend(parse_literal(text)?);
                }
                lengths.push(elements.len() - before);
            }
            let strings: ArrayRef = Arc::new(StringArray::from(elements));
            let values = target.cast(&strings, &Field::new("", DataType::Utf8, true))?;
            Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, texts.nulls().cloned())?))
        }
    }
}

/// The elements of a one-dimensional array literal: `{a,"b c",NULL}`.
fn parse_literal(text: &str) -> Result<Vec<Option<String>>> {
    let malformed = || DataFusionError::Execution(format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?;
    let mut elements = Vec::new();
    if inner.trim().is_empty() {
        return Ok(elements);
    }
    let mut chars = inner.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut element = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.peek().copied() {
                Some('\\') => {
                    chars.next();
                    element.push(chars.next().ok_or_else(malformed)?);
                }
                Some('"') if quoted => {
                    chars.next();
                    while chars.next_if(|c| c.is_whitespace()).is_some() {}
                    break;
                }
                None if quoted => return Err(malformed()),
                None | Some(',') if !quoted => break,
                Some('"' | '{' | '}') if !quoted => return Err(malformed()),
                Some(c) => {
                    element.push(c);
                    chars.next();
                }
                None => break,
            }
        }
        let trimmed = if quoted { element.as_str() } else { element.trim_end() };
        if !quoted && trimmed.is_empty() {
            return Err(malformed());
        }
        elements.push((quoted || !trimmed.eq_ignore_ascii_case("null")).then(|| trimmed.to_string()));
        match chars.next() {
            None => return Ok(elements),
            Some(',') => {}
            Some(_) => return Err(malformed()),
        }
    }
}

fn array_to_string<'a>(row: Row<'a>) -> Result<Value<'a>> {
    if row.null(0) || row.null(1) {
        return Ok(Value::Null);
    }
    let (col, at) = row.col(0);
    let null_text = if row.null(2) { None } else { Some(row.text(2)) };
    let mut parts = Vec::new();
    flatten(&col.array.slice(at, 1), &mut parts)?;
    let shown: Vec<&str> = parts.iter().filter_map(|part| part.as_deref().or(null_text)).collect();
    Ok(Value::from(shown.join(row.text(1))))
}

fn flatten(array: &ArrayRef, parts: &mut Vec<Option<String>>) -> Result<()> {
    match array.data_type() {
        DataType::List(_) => {
            for value in array.as_list::<i32>().iter().flatten() {
                flatten(&value, parts)?;
            }
        }
        DataType::Boolean => {
            parts.extend(array.as_boolean().iter().map(|value| value.map(|value| if value { "t" } else { "f" }.to_string())))
        }
        _ => parts.extend(text_out::texts(array)?.iter().map(|text| text.map(str::to_string))),
    }
    Ok(())
}

/// The length of a dimension; an empty array has none.
pub(crate) fn length(array: &ArrayRef, dimension: i64) -> Option<i64> {
    let list = cast_to_list(array)?;
    let value = list.as_list::<i32>().value(0);
    match dimension {
        ..=0 => None,
        1 => (!value.is_empty()).then_some(value.len() as i64),
        _ if value.is_empty() => None,
        _ => length(&value.slice(0, 1), dimension - 1),
    }
}

fn cast_to_list(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Some(Arc::clone(array)),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => cast(array, &DataType::List(Arc::clone(item))).ok(),
        _ => None,
    }
}

fn string_to_array<'a>(row: Row<'a>) -> Result<Value<'a>> {
    if row.null(0) {
        return Ok(Value::Null);
    }
    let text = row.text(0);
    let null_text = if row.null(2) { None } else { Some(row.text(2)) };
    let parts: Vec<Cow<'a, str>> = if text.is_empty() {
        Vec::new()
    } else if row.null(1) {
        text.char_indices().map(|(at, c)| Cow::Borrowed(&text[at..at + c.len_utf8()])).collect()
    } else if row.text(1).is_empty() {
        vec![Cow::Borrowed(text)]
    } else {
        text.split(row.text(1)).map(Cow::Borrowed).collect()
    };
    Ok(Value::Texts(parts.into_iter().map(|part| (null_text != Some(part.as_ref())).then_some(part)).collect()))
}

/// `ARRAY(select …)` of no rows is an empty array, where `array_agg` gives NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrEmpty {
    signature: Signature,
}

impl ScalarUDFImpl for OrEmpty {
    fn name(&self) -> &str {
        "array_or_empty"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = args.arg_fields.first().ok_or_else(|| DataFusionError::Plan("array_or_empty needs an array".into()))?;
        Ok(Arc::new(field.as_ref().clone().with_name("array").with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(arg) = args.args.first() else { return fail("array_or_empty needs an array") };
        let filled = |array: &ArrayRef| -> ArrayRef {
            match array.data_type() {
                DataType::List(item) if array.null_count() > 0 => {
                    let list = array.as_list::<i32>();
                    // A NULL list may still own elements: rebuild the offsets so that it is empty.
                    let parts: Vec<ArrayRef> = list.iter().flatten().collect();
                    let lengths: Vec<usize> = list.iter().map(|value| value.map_or(0, |value| value.len())).collect();
                    let refs: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                    let values =
                        if refs.is_empty() { Ok(new_empty_array(item.data_type())) } else { datafusion::arrow::compute::concat(&refs) };
                    match values {
                        Ok(values) => Arc::new(ListArray::new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, None)),
                        Err(_) => Arc::clone(array),
                    }
                }
                _ => Arc::clone(array),
            }
        };
        Ok(match arg {
            ColumnarValue::Array(array) => ColumnarValue::Array(filled(array)),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&filled(&value.to_array()?), 0)?),
        })
    }
}

/// The value of a scalar subquery out of the array of its rows: the only one, or the first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Element {
    only: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Element {
    fn name(&self) -> &str {
        if self.only { "only_element" } else { "first_element" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::List(item)] => Ok(item.data_type().clone()),
            _ => Err(DataFusionError::Internal(format!("{} needs an array", self.name()))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [arg] = args.args.as_slice() else { return fail("an array is needed") };
        let array = arg.to_array(args.number_rows)?;
        let list = array.as_list::<i32>();
        let offsets = list.value_offsets();
        let mut indices = Vec::with_capacity(list.len());
        for i in 0..list.len() {
            let length = offsets[i + 1] - offsets[i];
            if self.only && length > 1 && !list.is_null(i) {
                return fail("more than one row returned by a subquery used as an expression");
            }
            indices.push((length > 0 && !list.is_null(i)).then_some(offsets[i]));
        }
        Ok(ColumnarValue::Array(take(list.values(), &Int32Array::from(indices), None)?))
    }
}

/// A comparison under a quantifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Op {
    const ALL: [Op; 6] = [Op::Eq, Op::NotEq, Op::Lt, Op::LtEq, Op::Gt, Op::GtEq];

    fn name(self) -> &'static str {
        match self {
            Op::Eq => "eq",
            Op::NotEq => "ne",
            Op::Lt => "lt",
            Op::LtEq => "le",
            Op::Gt => "gt",
            Op::GtEq => "ge",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Op::Eq => order.is_eq(),
            Op::NotEq => order.is_ne(),
            Op::Lt => order.is_lt(),
            Op::LtEq => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::GtEq => order.is_ge(),
        }
    }
}

/// `x op ANY (array)` and `x op ALL (array)`, with SQL's three values.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    op: Op,
    all: bool,
    name: String,
    signature: Signature,
}

/// The function `any_eq`, `all_ne` …
pub(crate) fn quantified(op: Op, all: bool) -> ScalarUDF {
    let name = quantified_name(op, all);
    ScalarUDF::from(Quantified { op, all, name, signature: Signature::any(2, Volatility::Immutable) })
}

/// Its name.
pub(crate) fn quantified_name(op: Op, all: bool) -> String {
    format!("{}_{}", if all { "all" } else { "any" }, op.name())
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // `= ANY` over a constant array is an IN list, which scans can push into API parameters.
        if self.op == Op::Eq
            && !self.all
            && let [needle, Expr::Literal(ScalarValue::List(list), _)] = args.as_slice()
            && list.len() == 1
            && !list.is_null(0)
            && !list.value(0).is_empty()
            && list.value(0).null_count() == 0
            && needle.get_type(info.schema().as_ref())? == *list.value(0).data_type()
            && *list.value(0).data_type() != super::numeric::TYPE
        {
            let values = list.value(0);
            let items = (0..values.len()).map(|i| ScalarValue::try_from_array(&values, i).map(|value| value.lit()));
            return Ok(ExprSimplifyResult::Simplified(Expr::InList(InList::new(
                Box::new(needle.clone()),
                items.collect::<Result<_>>()?,
                false,
            ))));
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [needle, haystack] = args.args.as_slice() else { return fail("ANY and ALL need a value and an array") };
        let [needle_field, _] = args.arg_fields.as_slice() else { return fail("ANY and ALL need a value and an array") };
        let scalar = matches!((needle, haystack), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let needles = needle.to_array(rows)?;
        let lists = haystack.to_array(rows)?;
        let lists = match lists.data_type() {
            DataType::List(_) => lists,
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
                cast(&lists, &DataType::List(Arc::clone(item)))?
            }
            // An untyped array literal takes the type of the value.
            _ => text_lists(&lists)?,
        };
        let list = lists.as_list::<i32>();
        let (needles, values) = same_type(needles, needle_field, list.values())?;
        let compare = make_comparator(&needles, &values, SortOptions::default())?;
        let result: datafusion::arrow::array::BooleanArray = (0..rows)
            .map(|i| {
                if list.is_null(i) {
                    return None;
                }
                let (from, to) = (list.value_offsets()[i] as usize, list.value_offsets()[i + 1] as usize);
                if from == to {
                    return Some(self.all);
                }
                let mut unknown = needles.is_null(i);
                if !unknown {
                    for at in from..to {
                        if values.is_null(at) {
                            unknown = true;
                        } else if self.op.holds(compare(i, at)) != self.all {
                            return Some(!self.all);
                        }
                    }
                }
                (!unknown).then_some(self.all)
            })
            .collect();
        let result: ArrayRef = Arc::new(result);
        Ok(if scalar { ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?) } else { ColumnarValue::Array(result) })
    }
}

fn same_type(needles: ArrayRef, field: &Field, values: &ArrayRef) -> Result<(ArrayRef, ArrayRef)> {
    let numeric = |array: &ArrayRef| *array.data_type() == super::numeric::TYPE;
    if (numeric(&needles) || numeric(values)) && !needles.data_type().is_floating() && !values.data_type().is_floating() {
        return Ok((super::numeric::sort_keys(&needles)?, super::numeric::sort_keys(values)?));
    }
    if needles.data_type() == values.data_type() {
        return Ok((needles, Arc::clone(values)));
    }
    let ty = comparison_coercion(needles.data_type(), values.data_type()).ok_or_else(|| {
        let item = text_out::type_name(&Field::new("", values.data_type().clone(), true));
        DataFusionError::Execution(format!("operator does not exist: {} = {item}", text_out::type_name(field)))
    })?;
    Ok((cast(&needles, &ty)?, cast(values, &ty)?))
}
