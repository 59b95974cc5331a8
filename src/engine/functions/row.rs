//! Scalar functions evaluated row by row: declaration, argument conversion, and the result's field with its tag.
//!
//! A function is a [`Def`]: parameter kinds, a result kind and an `eval` over one [`Row`]. NULL in, NULL out unless it says otherwise.

use super::text_out;
use assay_tables::{EXTENSION, jsonb};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, LargeStringBuilder, ListBuilder, StringArray, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::borrow::Cow;
use std::sync::Arc;

/// What an argument is turned into before rows are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The text PostgreSQL would print.
    Text,
    /// Canonical jsonb text; text without the tag is parsed.
    Jsonb,
    /// A valid document as it is spelled; text without a tag is checked.
    Json,
    /// `bigint`.
    Int,
    /// `double precision`.
    Float,
    /// `boolean`.
    Bool,
    /// `text[]`; a text is read as an array literal.
    Texts,
    /// `bytea`; a text is read as PostgreSQL reads it.
    Bytes,
    /// Left as it is.
    Any,
}

/// What a function returns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ret {
    Text,
    Jsonb,
    Json,
    Bool,
    Int,
    Float,
    Texts,
    /// `text[]` of any number of rows.
    TextLists,
    Jsonbs,
    Date,
    Timestamp,
    Timestamptz,
    Interval,
    /// Depends on the arguments.
    Of(fn(&ReturnFieldArgs<'_>) -> Result<Ret>),
    /// `numeric`, as its text.
    Numeric,
    Time,
    Bytes,
    Inet,
    Cidr,
}

/// One result.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Float(f64),
    Texts(Vec<Option<Cow<'a, str>>>),
    TextLists(Vec<Vec<Option<Cow<'a, str>>>>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds: since midnight, or since 1970.
    Micros(i64),
    Interval(IntervalMonthDayNano),
    Bytes(Vec<u8>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A data error: what PostgreSQL would say.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Execution(message.into()))
}

/// An argument's values; a scalar is an array of one.
#[derive(Debug)]
pub(crate) struct Col {
    pub(crate) array: ArrayRef,
    pub(crate) field: FieldRef,
    scalar: bool,
}

/// One row of arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    cols: &'a [Col],
    row: usize,
}

impl<'a> Row<'a> {
    /// How many arguments there are.
    pub(crate) fn len(&self) -> usize {
        self.cols.len()
    }

    /// The argument's column and the index of this row in it.
    pub(crate) fn col(&self, k: usize) -> (&'a Col, usize) {
        let col = &self.cols[k];
        (col, if col.scalar { 0 } else { self.row })
    }

    /// True where the argument is NULL or was not given.
    pub(crate) fn null(&self, k: usize) -> bool {
        k >= self.cols.len() || {
            let (col, at) = self.col(k);
            // An array of type Null has no null buffer.
            *col.array.data_type() == DataType::Null || col.array.is_null(at)
        }
    }

    /// A [`Kind::Text`] or [`Kind::Jsonb`] argument.
    pub(crate) fn text(&self, k: usize) -> &'a str {
        let (col, at) = self.col(k);
        col.array.as_string::<i32>().value(at)
    }

    /// A [`Kind::Int`] argument.
    pub(crate) fn int(&self, k: usize) -> i64 {
        let (col, at) = self.col(k);
        col.array.as_primitive::<Int64Type>().value(at)
    }

    /// A [`Kind::Float`] argument.
    pub(crate) fn float(&self, k: usize) -> f64 {
        let (col, at) = self.col(k);
        col.array.as_primitive::<Float64Type>().value(at)
    }

    /// A [`Kind::Bool`] argument.
    pub(crate) fn bool(&self, k: usize) -> bool {
        let (col, at) = self.col(k);
        col.array.as_boolean().value(at)
    }

    /// A [`Kind::Bytes`] argument.
    pub(crate) fn bytes(&self, k: usize) -> &'a [u8] {
        let (col, at) = self.col(k);
        col.array.as_binary::<i32>().value(at)
    }

    /// A [`Kind::Texts`] argument.
    pub(crate) fn texts(&self, k: usize) -> Vec<Option<&'a str>> {
        let (col, at) = self.col(k);
        let list = col.array.as_list::<i32>();
        let (from, to) = (list.value_offsets()[at] as usize, list.value_offsets()[at + 1] as usize);
        let values = list.values().as_string::<i32>();
        (from..to).map(|i| (!values.is_null(i)).then(|| values.value(i))).collect()
    }
}

/// How a function computes one row.
pub(crate) type Eval = for<'a> fn(Row<'a>) -> Result<Value<'a>>;

/// A scalar function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Def {
    /// Name.
    pub(crate) name: &'static str,
    /// Kinds of the arguments.
    pub(crate) params: &'static [Kind],
    /// How many of them must be given.
    pub(crate) required: usize,
    /// Kind of any further arguments.
    pub(crate) rest: Option<Kind>,
    /// Result.
    pub(crate) ret: Ret,
    /// NULL if any argument is NULL.
    pub(crate) strict: bool,
    /// One row.
    pub(crate) eval: Eval,
}

impl Def {
    /// A strict function whose parameters are all required.
    pub(crate) const fn new(name: &'static str, params: &'static [Kind], ret: Ret, eval: Eval) -> Def {
        Def { name, params, required: params.len(), rest: None, ret, strict: true, eval }
    }

    /// Only the first `n` parameters are required.
    pub(crate) const fn required(mut self, n: usize) -> Def {
        self.required = n;
        self
    }

    /// Takes any number of further arguments.
    pub(crate) const fn rest(mut self, kind: Kind) -> Def {
        self.rest = Some(kind);
        self
    }

    /// Sees NULLs itself.
    pub(crate) const fn sees_nulls(mut self) -> Def {
        self.strict = false;
        self
    }

    /// The function.
    pub(crate) fn udf(self) -> ScalarUDF {
        ScalarUDF::from(RowFunction {
            def: self,
            signature: Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable),
        })
    }

    fn kind(&self, k: usize) -> Kind {
        self.params.get(k).copied().or(self.rest).unwrap_or(Kind::Any)
    }
}

#[derive(Debug)]
struct RowFunction {
    def: Def,
    signature: Signature,
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.def.name == other.def.name
    }
}

impl Eq for RowFunction {}

impl std::hash::Hash for RowFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.def.name.hash(state);
    }
}

/// A nullable field tagged as that extension type.
pub(crate) fn tagged(name: &str, ty: DataType, tag: &str) -> Field {
    Field::new(name, ty, true).with_metadata([(EXTENSION.to_string(), tag.to_string())].into())
}

/// The extension tag of a field.
pub(crate) fn tag(field: &Field) -> Option<&str> {
    field.metadata().get(EXTENSION).map(String::as_str)
}

/// The Arrow type of `timestamp` or `timestamptz`.
pub(crate) fn timestamp_type(zoned: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
}

impl Ret {
    fn field(self, name: &str, args: &ReturnFieldArgs<'_>) -> Result<Field> {
        let plain = |ty| Field::new(name, ty, true);
        Ok(match self {
            Ret::Of(choose) => return choose(args)?.field(name, args),
            Ret::Text => plain(DataType::Utf8),
            Ret::Jsonb => tagged(name, DataType::Utf8, "jsonb"),
            Ret::Json => tagged(name, DataType::Utf8, "json"),
            Ret::Inet => tagged(name, DataType::Utf8, "inet"),
            Ret::Cidr => tagged(name, DataType::Utf8, "cidr"),
            Ret::Bool => plain(DataType::Boolean),
            Ret::Int => plain(DataType::Int64),
            Ret::Float => plain(DataType::Float64),
            // Arrow drops the metadata of a list's items here and there, so lists carry none: the callers know.
            Ret::Texts | Ret::Jsonbs => plain(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))),
            Ret::TextLists => {
                let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
                plain(DataType::List(Arc::new(Field::new_list_field(texts, true))))
            }
            Ret::Date => plain(DataType::Date32),
            Ret::Timestamp => plain(timestamp_type(false)),
            Ret::Timestamptz => plain(timestamp_type(true)),
            Ret::Interval => plain(DataType::Interval(IntervalUnit::MonthDayNano)),
            Ret::Numeric => plain(super::numeric::TYPE),
            Ret::Time => plain(DataType::Time64(TimeUnit::Microsecond)),
            Ret::Bytes => plain(DataType::Binary),
        })
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.def.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(format!("{}: the return type needs the arguments' fields", self.def.name)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given = args.arg_fields.len();
        if given < self.def.required || (given > self.def.params.len() && self.def.rest.is_none()) {
            let types: Vec<_> = args.arg_fields.iter().map(|field| text_out::type_name(field)).collect();
            return Err(DataFusionError::Plan(format!("function {}({}) does not exist", self.def.name, types.join(", "))));
        }
        Ok(Arc::new(self.def.ret.field(self.def.name, &args)?))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let mut cols = Vec::with_capacity(args.args.len());
        for (k, (arg, field)) in args.args.iter().zip(&args.arg_fields).enumerate() {
            let (array, scalar) = match arg {
                ColumnarValue::Array(array) => (Arc::clone(array), false),
                ColumnarValue::Scalar(value) => (value.to_array()?, true),
            };
            cols.push(Col { array: convert(self.def.kind(k), array, field)?, field: Arc::clone(field), scalar });
        }
        let rows = if all_scalar { 1 } else { args.number_rows };
        let strict = self.def.strict;
        let values = (0..rows).map(|row| {
            let row = Row { cols: &cols, row };
            if strict && (0..cols.len()).any(|k| row.null(k)) { Ok(Value::Null) } else { (self.def.eval)(row) }
        });
        let array = collect(args.return_field.data_type(), rows, values)?;
        if all_scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)) } else { Ok(ColumnarValue::Array(array)) }
    }
}

fn convert(kind: Kind, array: ArrayRef, field: &Field) -> Result<ArrayRef> {
    Ok(match kind {
        Kind::Any => array,
        Kind::Text => Arc::new(text_out::texts(&array)?),
        Kind::Jsonb => {
            let texts = text_out::texts(&array)?;
            if tag(field) == Some("jsonb") {
                Arc::new(texts)
            } else {
                let canonical = texts.iter().map(|text| text.map(canonical_json).transpose());
                Arc::new(canonical.collect::<Result<StringArray>>()?)
            }
        }
        Kind::Json => {
            let texts = text_out::texts(&array)?;
            if !matches!(tag(field), Some("json" | "jsonb")) {
                texts.iter().flatten().try_for_each(check_json)?;
            }
            Arc::new(texts)
        }
        Kind::Int => super::cast::to_int(&array)?,
        Kind::Float => cast(&array, &DataType::Float64)?,
        Kind::Bool => match array.data_type() {
            DataType::Boolean => array,
            DataType::Null => Arc::new(BooleanArray::new_null(array.len())),
            _ => {
                let texts = text_out::texts(&array)?;
                let bools = texts.iter().map(|text| text.map(super::cast::parse_bool).transpose());
                Arc::new(bools.collect::<Result<BooleanArray>>()?)
            }
        },
        Kind::Texts => super::arrays::text_lists(&array)?,
        Kind::Bytes => super::cast::Target::Bytea.cast(&array, field)?,
    })
}

/// Canonical jsonb of a text.
pub(crate) fn canonical_json(text: &str) -> Result<String> {
    jsonb::parse(text).map(|node| node.to_text()).map_err(|e| json_error(&e))
}

/// Refuses a text that is not JSON.
pub(crate) fn check_json(text: &str) -> Result<()> {
    jsonb::check(text).map_err(|e| json_error(&e))
}

/// PostgreSQL's message for a text that is not JSON.
pub(crate) fn json_error(error: &jsonb::SyntaxError) -> DataFusionError {
    DataFusionError::Execution(match error {
        jsonb::SyntaxError::Syntax { .. } => "invalid input syntax for type json".to_string(),
        other => other.to_string(),
    })
}

/// Collects results into an array of that type.
pub(crate) fn collect<'a>(ty: &DataType, rows: usize, values: impl Iterator<Item = Result<Value<'a>>>) -> Result<ArrayRef> {
    macro_rules! primitive {
        ($builder:expr, $variant:path) => {{
            let mut builder = $builder;
            for value in values {
                match value? {
                    $variant(value) => builder.append_value(value),
                    Value::Null => builder.append_null(),
                    other => return Err(mismatch(ty, &other)),
                }
            }
            Ok(Arc::new(builder.finish()))
        }};
    }
    match ty {
        DataType::Utf8 => primitive!(StringBuilder::with_capacity(rows, rows * 16), Value::Text),
        DataType::Boolean => primitive!(BooleanBuilder::with_capacity(rows), Value::Bool),
        DataType::Int64 => primitive!(Int64Builder::with_capacity(rows), Value::Int),
        DataType::Float64 => primitive!(Float64Builder::with_capacity(rows), Value::Float),
        DataType::Date32 => primitive!(Date32Builder::with_capacity(rows), Value::Date),
        DataType::Time64(_) => primitive!(Time64MicrosecondBuilder::with_capacity(rows), Value::Micros),
        DataType::Timestamp(_, _) => {
            primitive!(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(ty.clone()), Value::Micros)
        }
        DataType::Interval(_) => primitive!(IntervalMonthDayNanoBuilder::with_capacity(rows), Value::Interval),
        DataType::LargeUtf8 => primitive!(LargeStringBuilder::with_capacity(rows, rows * 8), Value::Text),
        DataType::Binary => primitive!(BinaryBuilder::with_capacity(rows, rows * 16), Value::Bytes),
        DataType::List(item) if matches!(item.data_type(), DataType::List(_)) => {
            let mut builder = ListBuilder::new(ListBuilder::new(StringBuilder::new())).with_field(Arc::clone(item));
            for value in values {
                match value? {
                    Value::TextLists(lists) => {
                        for list in lists {
                            list.into_iter().for_each(|text| builder.values().values().append_option(text));
                            builder.values().append(true);
                        }
                        builder.append(true);
                    }
                    Value::Null => builder.append(false),
                    other => return Err(mismatch(ty, &other)),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::List(item) => {
            let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
            for value in values {
                match value? {
                    Value::Texts(items) => {
                        for item in items {
                            builder.values().append_option(item);
                        }
                        builder.append(true);
                    }
                    Value::Null => builder.append(false),
                    other => return Err(mismatch(ty, &other)),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        other => Err(DataFusionError::Internal(format!("no row function returns {other}"))),
    }
}

fn mismatch(ty: &DataType, value: &Value<'_>) -> DataFusionError {
    DataFusionError::Internal(format!("a function declared {ty} but returned {value:?}"))
}
