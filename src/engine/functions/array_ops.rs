//! Array functions and operators whose NULLs and bounds are PostgreSQL's: subscripts, slices, `||`, `@>`, `&&`, removal and replacement.

use super::numeric;
use super::row::{Def, Kind, Ret, Row, Value, fail};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, make_comparator, new_empty_array, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{SortOptions, cast, interleave};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::cmp::Ordering;
use std::sync::Arc;

/// Row functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("array_upper", &[Kind::Any, Kind::Int], Ret::Int, |row| Ok(length(row, row.int(1)).map_or(Value::Null, Value::Int))),
    Def::new("array_lower", &[Kind::Any, Kind::Int], Ret::Int, |row| Ok(length(row, row.int(1)).map_or(Value::Null, |_| Value::Int(1)))),
    Def::new("array_ndims", &[Kind::Any], Ret::Int, |row| {
        let dimensions = (1..).take_while(|dimension| length(row, *dimension).is_some()).count();
        Ok(if dimensions == 0 { Value::Null } else { Value::Int(dimensions as i64) })
    }),
    Def::new("array_dims", &[Kind::Any], Ret::Text, |row| {
        let lengths: Vec<String> = (1..).map_while(|dimension| length(row, dimension)).map(|length| format!("[1:{length}]")).collect();
        Ok(if lengths.is_empty() { Value::Null } else { lengths.concat().into() })
    }),
];

fn length(row: Row<'_>, dimension: i64) -> Option<i64> {
    let (col, at) = row.col(0);
    super::arrays::length(&col.array.slice(at, 1), dimension)
}

/// Functions of this file that depend on their arguments' types.
pub(crate) fn typed() -> impl Iterator<Item = ScalarUDF> {
    Op::ALL.into_iter().map(|op| ScalarUDF::from(ListFunction { op, signature: Signature::variadic_any(Volatility::Immutable) }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    Get,
    Slice,
    Append,
    Prepend,
    Concat,
    Remove,
    Replace,
    Trim,
    Fill,
    Flat,
    Contains,
    Overlaps,
    Compare,
    Keys,
}

impl Op {
    const ALL: [Op; 14] = [
        Op::Get,
        Op::Slice,
        Op::Append,
        Op::Prepend,
        Op::Concat,
        Op::Remove,
        Op::Replace,
        Op::Trim,
        Op::Fill,
        Op::Flat,
        Op::Contains,
        Op::Overlaps,
        Op::Compare,
        Op::Keys,
    ];

    fn name(self) -> &'static str {
        match self {
            Op::Get => "array []",
            Op::Slice => "array [:]",
            Op::Append => "array_append",
            Op::Prepend => "array_prepend",
            Op::Concat => "array_cat",
            Op::Remove => "array_remove",
            Op::Replace => "array_replace",
            Op::Trim => "trim_array",
            Op::Fill => "array_fill",
            Op::Flat => "array flat",
            Op::Contains => "array @>",
            Op::Overlaps => "array &&",
            Op::Compare => "array compare",
            Op::Keys => "array keys",
        }
    }

    /// How many arguments it takes.
    fn arity(self) -> usize {
        match self {
            Op::Flat | Op::Keys => 1,
            Op::Slice | Op::Replace => 3,
            _ => 2,
        }
    }

    /// Which arguments are lists.
    fn is_list(self, k: usize) -> bool {
        match self {
            Op::Prepend => k == 1,
            Op::Concat | Op::Contains | Op::Overlaps | Op::Compare => true,
            Op::Fill => false,
            _ => k == 0,
        }
    }

    /// Which arguments are items.
    fn is_item(self, k: usize) -> bool {
        match self {
            Op::Append | Op::Remove => k == 1,
            Op::Prepend | Op::Fill => k == 0,
            Op::Replace => k > 0,
            _ => false,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ListFunction {
    op: Op,
    signature: Signature,
}

fn item_of(ty: &DataType) -> Option<&DataType> {
    match ty {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

impl ListFunction {
    /// The one type of the items of all arguments.
    fn item(&self, types: &[DataType]) -> Result<DataType> {
        let mut found = DataType::Null;
        for (k, ty) in types.iter().enumerate() {
            let ty = if self.op.is_list(k) {
                match (item_of(ty), ty) {
                    (Some(item), _) => item.clone(),
                    // An array literal without a type of its own takes that of the others.
                    (None, DataType::Utf8 | DataType::Null) => continue,
                    (None, _) => return Err(self.missing(types)),
                }
            } else if self.op.is_item(k) {
                ty.clone()
            } else {
                continue;
            };
            found = match (&found, &ty) {
                (a, b) if a == b => ty,
                (DataType::Null, _) => ty,
                (_, DataType::Null) => found,
                (a, b) if (*a == numeric::TYPE || *b == numeric::TYPE) && (a.is_integer() || b.is_integer()) => numeric::TYPE,
                (a, b) => comparison_coercion(a, b).ok_or_else(|| self.missing(types))?,
            };
        }
        Ok(if found == DataType::Null { DataType::Utf8 } else { found })
    }

    fn missing(&self, types: &[DataType]) -> DataFusionError {
        let names: Vec<String> = types.iter().map(|ty| super::text_out::type_name(&Field::new("", ty.clone(), true))).collect();
        DataFusionError::Plan(format!("function {}({}) does not exist", self.op.name(), names.join(", ")))
    }
}

/// The type below all dimensions.
fn base(ty: &DataType) -> &DataType {
    item_of(ty).map_or(ty, base)
}

impl ScalarUDFImpl for ListFunction {
    fn name(&self) -> &str {
        self.op.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if types.len() != self.op.arity() {
            return Err(self.missing(types));
        }
        let item = self.item(types)?;
        Ok(match self.op {
            Op::Get => item,
            Op::Contains | Op::Overlaps => DataType::Boolean,
            Op::Compare => DataType::Int64,
            Op::Keys => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Op::Flat => DataType::List(Arc::new(Field::new_list_field(base(&item).clone(), true))),
            _ => DataType::List(Arc::new(Field::new_list_field(item, true))),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let item = self.item(&types)?;
        let field = Arc::new(Field::new_list_field(item.clone(), true));
        let list_type = DataType::List(Arc::clone(&field));
        let mut arrays = Vec::with_capacity(args.args.len());
        for (k, arg) in args.args.iter().enumerate() {
            let array = arg.to_array(rows)?;
            arrays.push(if self.op.is_list(k) {
                as_list(&array, &list_type)?
            } else if self.op.is_item(k) {
                cast(&array, &item)?
            } else if self.op == Op::Fill {
                as_list(&array, &DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))))?
            } else {
                super::cast::to_int(&cast_null(array)?)?
            });
        }
        let result: ArrayRef = match self.op {
            Op::Get => get(&arrays)?,
            Op::Contains | Op::Overlaps => Arc::new(overlap(&arrays, self.op)?),
            Op::Compare => Arc::new(compare(&arrays)?),
            Op::Keys => keyed(&arrays[0])?,
            Op::Flat => flat(&arrays[0])?,
            op => rebuild(op, &arrays, rows, field)?,
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn cast_null(array: ArrayRef) -> Result<ArrayRef> {
    Ok(if *array.data_type() == DataType::Null { cast(&array, &DataType::Int64)? } else { array })
}

fn as_list(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if array.data_type() == ty {
        return Ok(Arc::clone(array));
    }
    if *array.data_type() != DataType::Utf8 {
        return Ok(cast(array, ty)?);
    }
    let texts = super::arrays::text_lists(array)?;
    Ok(cast(&texts, ty)?)
}

fn bounds(list: &ListArray, row: usize) -> (usize, usize) {
    if list.is_null(row) {
        return (0, 0);
    }
    (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize)
}

fn get(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let (list, at) = (arrays[0].as_list::<i32>(), arrays[1].as_primitive::<Int64Type>());
    let indices: datafusion::arrow::array::UInt32Array = (0..list.len())
        .map(|row| {
            let (from, to) = bounds(list, row);
            let index = if at.is_null(row) { 0 } else { at.value(row) };
            (index >= 1 && index <= (to - from) as i64).then(|| (from as i64 + index - 1) as u32)
        })
        .collect();
    Ok(datafusion::arrow::compute::take(list.values(), &indices, None)?)
}

/// What equal items have in common: numerics have many spellings.
fn keys(items: &ArrayRef) -> Result<ArrayRef> {
    if *items.data_type() == numeric::TYPE { numeric::sort_keys(items) } else { Ok(Arc::clone(items)) }
}

/// A NULL item is equal to none, not even to another NULL.
fn overlap(arrays: &[ArrayRef], op: Op) -> Result<BooleanArray> {
    let (a, b) = (arrays[0].as_list::<i32>(), arrays[1].as_list::<i32>());
    let order = make_comparator(&keys(a.values())?, &keys(b.values())?, SortOptions::default())?;
    let same = |i: usize, j: usize| !a.values().is_null(i) && !b.values().is_null(j) && order(i, j) == Ordering::Equal;
    Ok((0..a.len())
        .map(|row| {
            if a.is_null(row) || b.is_null(row) {
                return None;
            }
            let ((a0, a1), (b0, b1)) = (bounds(a, row), bounds(b, row));
            let found = |j: usize| (a0..a1).any(|i| same(i, j));
            Some(if op == Op::Contains { (b0..b1).all(found) } else { (b0..b1).any(found) })
        })
        .collect())
}

/// The list with its items' keys for items.
fn keyed(array: &ArrayRef) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let items = keys(list.values())?;
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), items, list.nulls().cloned())?))
}

/// -1, 0 or 1: item by item, a NULL item greater than any other and equal to a NULL one; then the shorter is less.
fn compare(arrays: &[ArrayRef]) -> Result<Int64Array> {
    let (a, b) = (keyed(&arrays[0])?, keyed(&arrays[1])?);
    let order = make_comparator(&a, &b, SortOptions { descending: false, nulls_first: false })?;
    Ok((0..a.len()).map(|row| (!a.is_null(row) && !b.is_null(row)).then(|| order(row, row) as i64)).collect())
}

/// All dimensions in one.
fn flat(array: &ArrayRef) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    if item_of(&list.value_type()).is_none() {
        return Ok(Arc::clone(array));
    }
    let DataType::List(inner) = list.value_type() else { return fail("unnest of this kind of array") };
    let items = list.values().as_list::<i32>();
    let offsets: Vec<i32> = list.value_offsets().iter().map(|at| items.value_offsets()[*at as usize]).collect();
    let joined: ArrayRef =
        Arc::new(ListArray::try_new(inner, OffsetBuffer::new(offsets.into()), Arc::clone(items.values()), list.nulls().cloned())?);
    flat(&joined)
}

/// Builds lists out of items of the arguments.
fn rebuild(op: Op, arrays: &[ArrayRef], rows: usize, field: FieldRef) -> Result<ArrayRef> {
    let sources: Vec<ArrayRef> = arrays
        .iter()
        .enumerate()
        .filter_map(|(k, array)| {
            if op.is_list(k) { Some(Arc::clone(array.as_list::<i32>().values())) } else { op.is_item(k).then(|| Arc::clone(array)) }
        })
        .collect();
    let list_at = if op == Op::Prepend { 1 } else { 0 };
    let list = (op != Op::Fill).then(|| arrays[list_at].as_list::<i32>());
    let whole = |source: usize, list: &ListArray, row: usize| {
        let (from, to) = bounds(list, row);
        (from..to).map(move |at| (source, at))
    };
    let equal = |source: usize| -> Result<Box<dyn Fn(usize, usize) -> bool>> {
        let (values, other) = (Arc::clone(&sources[0]), Arc::clone(&sources[source]));
        let order = make_comparator(&keys(&values)?, &keys(&other)?, SortOptions::default())?;
        Ok(Box::new(move |i, j| match (values.is_null(i), other.is_null(j)) {
            (false, false) => order(i, j) == Ordering::Equal,
            (a, b) => a && b,
        }))
    };
    let same = if matches!(op, Op::Remove | Op::Replace) { Some(equal(1)?) } else { None };
    let ints = |k: usize, row: usize| -> Option<i64> {
        let array: &Int64Array = arrays[k].as_primitive::<Int64Type>();
        (!array.is_null(row)).then(|| array.value(row))
    };
    let (mut picked, mut lengths, mut valid) = (Vec::new(), Vec::with_capacity(rows), Vec::with_capacity(rows));
    for row in 0..rows {
        let before = picked.len();
        let given = list.is_some_and(|list| !list.is_null(row));
        let mut is_valid = given;
        match (op, list) {
            (Op::Append, Some(list)) => {
                picked.extend(whole(0, list, row));
                picked.push((1, row));
                is_valid = true;
            }
            (Op::Prepend, Some(list)) => {
                picked.push((0, row));
                picked.extend(whole(1, list, row));
                is_valid = true;
            }
            (Op::Concat, Some(list)) => {
                let other = arrays[1].as_list::<i32>();
                picked.extend(whole(0, list, row));
                picked.extend(whole(1, other, row));
                is_valid = given || !other.is_null(row);
            }
            (Op::Remove, Some(list)) => {
                let same = same.as_ref();
                picked.extend(whole(0, list, row).filter(|(_, at)| !same.is_some_and(|same| same(*at, row))));
            }
            (Op::Replace, Some(list)) => {
                let same = same.as_ref();
                let replaced = whole(0, list, row).map(|item| if same.is_some_and(|same| same(item.1, row)) { (2, row) } else { item });
                picked.extend(replaced);
            }
            (Op::Slice, Some(list)) => match (ints(1, row), ints(2, row)) {
                (Some(lower), Some(upper)) => {
                    let (from, to) = bounds(list, row);
                    let length = (to - from) as i64;
                    let (lower, upper) = (lower.max(1), upper.min(length));
                    picked.extend((lower..=upper).map(|index| (0, from + index as usize - 1)));
                }
                _ => is_valid = false,
            },
            (Op::Trim, Some(list)) => match ints(1, row) {
                Some(count) if given => {
                    let (from, to) = bounds(list, row);
                    if count < 0 || count as usize > to - from {
                        return fail(format!("number of elements to trim must be between 0 and {}", to - from));
                    }
                    picked.extend((from..to - count as usize).map(|at| (0, at)));
                }
                _ => is_valid = false,
            },
            (Op::Fill, _) => {
                let sizes = arrays[1].as_list::<i32>();
                if sizes.is_null(row) {
                    is_valid = false;
                } else {
                    let size = sizes.value(row);
                    if size.len() != 1 || size.is_null(0) {
                        return fail("array_fill makes arrays of one dimension");
                    }
                    let length = size.as_primitive::<Int64Type>().value(0).clamp(0, 10_000_000) as usize;
                    picked.extend(std::iter::repeat_n((0, row), length));
                    is_valid = true;
                }
            }
            _ => {}
        }
        lengths.push(picked.len() - before);
        valid.push(is_valid);
    }
    let refs: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
    let values = if picked.is_empty() { new_empty_array(field.data_type()) } else { interleave(&refs, &picked)? };
    if rows == 0 {
        return Ok(new_null_array(&DataType::List(field), 0));
    }
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?))
}
