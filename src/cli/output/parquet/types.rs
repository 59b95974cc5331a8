//! What a column is in a Parquet file. Numbers, texts, booleans, times and bytes stay what they are; lists and records too, of such parts.
//!
//! Text is what has no type there that readers agree on, or none without loss: jsonb, addresses, numerics of any length, intervals.

use crate::values;
use assay_tables::EXTENSION;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, StringBuilder, StructArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// A column as the file has it: NULLs are allowed, and the name of PostgreSQL's type is with it where it became a text.
pub(super) fn target(field: &Field) -> Field {
    let kind = target_type(field.data_type());
    let mut metadata = field.metadata().clone();
    let name = values::type_name(field);
    if kind == DataType::Utf8 && name != "text" {
        metadata.insert(EXTENSION.to_owned(), name);
    }
    Field::new(field.name(), kind, true).with_metadata(metadata)
}

fn target_type(kind: &DataType) -> DataType {
    match kind {
        kind if kind.is_integer() || kind.is_floating() => kind.clone(),
        DataType::Boolean | DataType::Date32 | DataType::Binary | DataType::FixedSizeBinary(_) => kind.clone(),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => kind.clone(),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => DataType::List(Arc::new(target(item))),
        DataType::Struct(parts) if !parts.is_empty() => DataType::Struct(parts.iter().map(|part| target(part)).collect()),
        DataType::Dictionary(_, value) => target_type(value),
        _ => DataType::Utf8,
    }
}

/// Values as their column's type in the file.
pub(super) fn convert(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == target {
        return Ok(array.clone());
    }
    match (array.data_type(), target) {
        (DataType::List(_), DataType::List(item)) => list(array.as_list(), item),
        (DataType::LargeList(of) | DataType::FixedSizeList(of, _), DataType::List(item)) => {
            list(cast(array, &DataType::List(of.clone()))?.as_list(), item)
        }
        (DataType::Struct(_), DataType::Struct(parts)) => {
            let from = array.as_struct();
            let columns = from.columns().iter().zip(parts).map(|(column, part)| convert(column, part.data_type()));
            Ok(Arc::new(StructArray::try_new(parts.clone(), columns.collect::<Result<_, _>>()?, from.nulls().cloned())?))
        }
        (DataType::Dictionary(_, value), _) => convert(&cast(array, value)?, target),
        (_, DataType::Utf8) => Ok(Arc::new(texts(array))),
        _ => cast(array, target),
    }
}

fn list(from: &ListArray, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let values = convert(from.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(item.clone(), from.offsets().clone(), values, from.nulls().cloned())?))
}

/// A value that the type cannot hold is an error, not a NULL.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// PostgreSQL's texts of values.
fn texts(array: &ArrayRef) -> StringArray {
    let mut out = StringBuilder::with_capacity(array.len(), 0);
    let mut text = String::new();
    for row in 0..array.len() {
        text.clear();
        values::text(array.as_ref(), row, &mut text);
        out.append_option((!array.is_null(row) && *array.data_type() != DataType::Null).then_some(&text));
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        BinaryViewArray, DictionaryArray, FixedSizeListArray, Int64Array, LargeListArray, LargeStringArray, NullArray, TimestampSecondArray,
    };
    use datafusion::arrow::datatypes::{Int32Type, Int64Type};
    use datafusion::arrow::util::display::array_value_to_string;

    fn converted(array: ArrayRef) -> (Field, Vec<String>) {
        let target = target(&Field::new("c", array.data_type().clone(), false));
        let out = convert(&array, target.data_type()).unwrap();
        assert_eq!(out.data_type(), target.data_type());
        let values = (0..out.len()).map(|row| array_value_to_string(&out, row).unwrap()).collect();
        (target, values)
    }

    #[test]
    fn types_that_readers_do_not_share_become_those_that_they_do() {
        let longs = LargeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2);
        let dictionary: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
        let parts = vec![Field::new("n", DataType::LargeUtf8, true), Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true)];
        let columns: Vec<ArrayRef> = vec![Arc::new(LargeStringArray::from(vec!["1.50"])), Arc::new(TimestampSecondArray::from(vec![1]))];
        let record = StructArray::new(parts.into(), columns, None);
        for (array, kind, name, values) in [
            (Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef, "Int64", None, vec!["1", ""]),
            (Arc::new(NullArray::new(2)), "Utf8", None, vec!["", ""]),
            (Arc::new(LargeStringArray::from(vec![Some("1.50"), None])), "Utf8", Some("numeric"), vec!["1.50", ""]),
            (Arc::new(BinaryViewArray::from(vec![&b"\x00\xff"[..]])), "Binary", None, vec!["00ff"]),
            (Arc::new(dictionary), "Utf8", None, vec!["a", "", "a"]),
            (Arc::new(longs), "List(Int64)", None, vec!["[1, ]", ""]),
            (Arc::new(fixed), "List(Int64)", None, vec!["[1, 2]", ""]),
        ] {
            let (field, found) = converted(array);
            assert!(field.is_nullable() && field.data_type().to_string().replace(", field: 'item'", "") == kind, "{field}");
            assert_eq!(
                (field.metadata().get(EXTENSION).map(String::as_str), found),
                (name, values.into_iter().map(str::to_owned).collect()),
                "{kind}"
            );
        }
        let (_, found) = converted(Arc::new(record));
        assert_eq!(found, ["{n: 1.50, t: 1970-01-01T00:00:01}"]);
    }

    #[test]
    fn a_time_that_does_not_fit_is_an_error() {
        let array: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        let target = target(&Field::new("c", array.data_type().clone(), true));
        assert!(convert(&array, target.data_type()).is_err());
    }
}
