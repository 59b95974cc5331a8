//! `to_jsonb`, `jsonb_build_object`, `jsonb_build_array`, whole rows, what aggregates collect: for jsonb and for json.

use super::jsonb_write::{Colon, Members, Style, Write, name_of, write_members, writer};
use super::row::{fail, tagged};
use super::text_out::{texts, type_name};
use datafusion::arrow::array::{Array, ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::Arc;

/// What is made of the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// The one argument; NULL for NULL.
    Value,
    /// The one argument, as json_agg writes it.
    Item,
    /// An array of all.
    Array,
    /// An object of names and values in turn.
    Object,
    /// The same, of a row's columns.
    Row,
    /// A row that an outer join may have left out: NULL where all is.
    Outer,
    /// The one argument, which is a document already: its type gets lost here and there.
    Tag,
    /// A name and a value, for an object made by an aggregate.
    Pair,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Make {
    name: &'static str,
    what: What,
    style: Style,
    signature: Signature,
}

/// The functions of this file.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    use Style::{Json, Jsonb};
    [
        ("to_jsonb", What::Value, Jsonb),
        ("to_json", What::Value, Json),
        ("array_to_json", What::Value, Json),
        ("row_to_json", What::Value, Json),
        ("json_item", What::Item, Json),
        ("jsonb_build_array", What::Array, Jsonb),
        ("json_build_array", What::Array, Json),
        ("jsonb_build_object", What::Object, Jsonb),
        ("json_build_object", What::Object, Json),
        ("jsonb_row", What::Row, Jsonb),
        ("json_row", What::Row, Json),
        ("jsonb_row_outer", What::Outer, Jsonb),
        ("json_row_outer", What::Outer, Json),
        ("jsonb_tag", What::Tag, Jsonb),
        ("json_tag", What::Tag, Json),
        ("jsonb_pair", What::Pair, Jsonb),
        ("json_pair", What::Pair, Json),
    ]
    .into_iter()
    .map(|(name, what, style)| {
        let signature = Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable);
        ScalarUDF::from(Make { name, what, style, signature })
    })
}

/// Marks the field of a whole row.
const ROW: &str = "assay:row";

/// An argument: its writer, and where its rows are.
struct Argument {
    write: Write,
    array: ArrayRef,
    scalar: bool,
    /// Arrays and rows begin a line in json_agg.
    composite: bool,
}

impl Argument {
    fn write(&self, row: usize, out: &mut String) -> Result<()> {
        (self.write)(if self.scalar { 0 } else { row }, out)
    }

    fn is_null(&self, row: usize) -> bool {
        *self.array.data_type() == DataType::Null || self.array.is_null(if self.scalar { 0 } else { row })
    }

    fn text(&self, row: usize) -> Result<String> {
        let mut out = String::new();
        self.write(row, &mut out)?;
        Ok(out)
    }
}

impl Make {
    /// The name of a member, from the nth argument.
    fn key(&self, arg: &Argument, nth: usize, row: usize) -> Result<String> {
        if arg.is_null(row) {
            return match (self.what, self.style) {
                (What::Pair, _) => fail("field name must not be null"),
                (_, Style::Json) => fail(format!("argument {} cannot be null", nth + 1)),
                (_, Style::Jsonb) => fail(format!("argument {}: key must not be null", nth + 1)),
            };
        }
        match name_of(&arg.text(row)?) {
            Some(name) => Ok(name),
            None => fail("key value must be scalar, not array, composite, or json"),
        }
    }

    /// Objects of the same names in every row.
    fn members(&self, args: &mut Vec<Argument>) -> Result<Option<Members>> {
        if !matches!(self.what, What::Object | What::Row | What::Outer) || args.iter().step_by(2).any(|name| !name.scalar) {
            return Ok(None);
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut rest = std::mem::take(args).into_iter();
        while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
            names.push(self.key(&name, names.len() * 2, 0)?);
            let write: Write = if value.scalar {
                let text = value.text(0)?;
                Box::new(move |_, out: &mut String| {
                    out.push_str(&text);
                    Ok(())
                })
            } else {
                value.write
            };
            values.push(write);
        }
        let colon = if self.what == What::Object { Colon::Wide } else { Colon::Tight };
        Ok(Some(Members::new(names, values, self.style, colon)))
    }

    fn one(&self, args: &[Argument], row: usize, out: &mut String) -> Result<()> {
        match self.what {
            What::Value | What::Tag => args.iter().take(1).try_for_each(|arg| arg.write(row, out)),
            What::Item => args.iter().take(1).try_for_each(|arg| {
                out.push_str(if arg.composite { "\n " } else { "" });
                arg.write(row, out)
            }),
            What::Array => {
                out.push('[');
                for (nth, arg) in args.iter().enumerate() {
                    out.push_str(if nth > 0 { ", " } else { "" });
                    arg.write(row, out)?;
                }
                out.push(']');
                Ok(())
            }
            What::Object | What::Row | What::Outer => {
                let mut members = Vec::with_capacity(args.len() / 2);
                for (nth, pair) in args.chunks_exact(2).enumerate() {
                    members.push((self.key(&pair[0], nth * 2, row)?, pair[1].text(row)?));
                }
                write_members(members, self.style, out);
                Ok(())
            }
            What::Pair => {
                let [name, value] = args else { return fail(format!("{} needs a name and a value", self.name)) };
                out.push_str(if self.style == Style::Jsonb { "[" } else { "" });
                assay_tables::jsonb::write_string(&self.key(name, 0, row)?, out);
                out.push_str(if self.style == Style::Jsonb { ", " } else { " : " });
                value.write(row, out)?;
                out.push_str(if self.style == Style::Jsonb { "]" } else { "" });
                Ok(())
            }
        }
    }
}

impl ScalarUDFImpl for Make {
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
        let given = args.arg_fields.len();
        let fits = match self.what {
            What::Value | What::Item | What::Tag => given == 1,
            What::Pair => given == 2,
            What::Array | What::Object | What::Row | What::Outer => true,
        };
        if !fits {
            let types: Vec<_> = args.arg_fields.iter().map(|field| type_name(field)).collect();
            return Err(DataFusionError::Plan(format!("function {}({}) does not exist", self.name, types.join(", "))));
        }
        let tag = if self.style == Style::Json { "json" } else { "jsonb" };
        let mut field = tagged(self.name, DataType::Utf8, tag);
        if matches!(self.what, What::Row | What::Outer) {
            field.metadata_mut().insert(ROW.to_string(), String::new());
        }
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let (What::Tag, [ColumnarValue::Array(array)]) = (self.what, args.args.as_slice()) {
            return Ok(ColumnarValue::Array(Arc::new(texts(array)?)));
        }
        if matches!(self.what, What::Object) && args.args.len() % 2 == 1 {
            return fail("argument list must have even number of elements");
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut given = Vec::with_capacity(args.args.len());
        for (arg, field) in args.args.iter().zip(&args.arg_fields) {
            let (array, scalar) = match arg {
                ColumnarValue::Array(array) => (Arc::clone(array), false),
                ColumnarValue::Scalar(value) => (value.to_array()?, true),
            };
            let composite = self.what == What::Item && (array.data_type().is_nested() || field.metadata().contains_key(ROW));
            given.push(Argument {
                write: if self.what == What::Tag {
                    writer(&array, &tagged("", DataType::Utf8, "jsonb"), Style::Jsonb)?
                } else {
                    writer(&array, field, self.style)?
                },
                array,
                scalar,
                composite,
            });
        }
        let values: Vec<(ArrayRef, bool)> = match self.what {
            What::Outer => given.iter().skip(1).step_by(2).map(|arg| (Arc::clone(&arg.array), arg.scalar)).collect(),
            _ => Vec::new(),
        };
        let left_out = |row: usize| {
            let null =
                |(array, scalar): &(ArrayRef, bool)| *array.data_type() == DataType::Null || array.is_null(if *scalar { 0 } else { row });
            !values.is_empty() && values.iter().all(null)
        };
        let members = if rows > 0 { self.members(&mut given)? } else { None };
        let mut out = StringBuilder::with_capacity(rows, rows * 32);
        let mut text = String::new();
        for row in 0..rows {
            let null = matches!(self.what, What::Value | What::Item | What::Tag) && given.iter().any(|arg| arg.is_null(row));
            if null || left_out(row) {
                out.append_null();
                continue;
            }
            text.clear();
            match &members {
                Some(members) => members.write(row, &mut text)?,
                None => self.one(&given, row, &mut text)?,
            }
            out.append_value(&text);
        }
        let array: ArrayRef = Arc::new(out.finish());
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(array) })
    }
}
