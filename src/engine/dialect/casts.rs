//! SQL's type names as cast targets.

use crate::functions::cast::Target;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo};

/// The target of a cast, and whether it is an array of it.
pub(super) fn target(ty: &DataType) -> Option<(Target, bool)> {
    if let DataType::Array(
        ArrayElemTypeDef::SquareBracket(item, _) | ArrayElemTypeDef::AngleBracket(item) | ArrayElemTypeDef::Parenthesis(item),
    ) = ty
    {
        // PostgreSQL has one array type for any number of dimensions.
        return target(item).map(|(target, _)| (target, true));
    }
    scalar(ty).map(|target| (target, false))
}

fn scalar(ty: &DataType) -> Option<Target> {
    Some(match ty {
        DataType::Bool | DataType::Boolean => Target::Bool,
        DataType::Int2(_) | DataType::SmallInt(_) => Target::Int2,
        DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => Target::Int4,
        DataType::Int8(_) | DataType::BigInt(_) => Target::Int8,
        DataType::Float4 | DataType::Real => Target::Float4,
        DataType::Float8 | DataType::DoublePrecision | DataType::Double(_) => Target::Float8,
        DataType::Float(ExactNumberInfo::Precision(bits)) if *bits <= 24 => Target::Float4,
        DataType::Float(_) => Target::Float8,
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => match info {
            ExactNumberInfo::None => Target::Numeric,
            ExactNumberInfo::Precision(precision) => Target::Decimal(precision_of(*precision)?, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                Target::Decimal(precision_of(*precision)?, i32::try_from(*scale).ok().filter(|scale| (-1000..=1000).contains(scale))?)
            }
        },
        DataType::Text | DataType::String(_) => Target::Text,
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => match length {
            Some(CharacterLength::IntegerLength { length, .. }) => Target::Varchar(u32::try_from(*length).ok()?),
            _ => Target::Text,
        },
        DataType::Char(length) | DataType::Character(length) => match length {
            Some(CharacterLength::IntegerLength { length, .. }) => Target::Varchar(u32::try_from(*length).ok()?),
            _ => Target::Varchar(1),
        },
        DataType::Date => Target::Date,
        DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Target::Time,
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Target::Timestamp,
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => Target::Timestamptz,
        DataType::Interval { .. } => Target::Interval,
        DataType::JSON => Target::Json,
        DataType::JSONB => Target::Jsonb,
        DataType::Uuid => Target::Uuid,
        DataType::Bytea => Target::Bytea,
        DataType::Custom(name, _) => return custom(name),
        _ => return None,
    })
}

/// PostgreSQL's numerics have one to a thousand digits where they say how many.
fn precision_of(digits: u64) -> Option<u32> {
    u32::try_from(digits).ok().filter(|digits| (1..=1000).contains(digits))
}

fn custom(name: &ObjectName) -> Option<Target> {
    Some(match super::ast::last_name(name)?.as_str() {
        "inet" => Target::Inet,
        "cidr" => Target::Cidr,
        "json" => Target::Json,
        "jsonb" => Target::Jsonb,
        "jsonpath" => Target::Jsonpath,
        "timestamptz" => Target::Timestamptz,
        "int4" => Target::Int4,
        "int8" => Target::Int8,
        "int2" => Target::Int2,
        "float8" => Target::Float8,
        "float4" => Target::Float4,
        "name" | "citext" | "varchar" | "text" => Target::Text,
        "uuid" => Target::Uuid,
        "bool" => Target::Bool,
        _ => return None,
    })
}

/// The name a cast gives an unnamed column: PostgreSQL's internal name of the type.
pub(super) fn column_name(ty: &DataType) -> String {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) = ty {
        return column_name(item);
    }
    if let DataType::Custom(name, _) = ty
        && super::ast::last_name(name).as_deref() == Some("name")
    {
        return "name".into();
    }
    match target(ty) {
        Some((target, _)) => match (target, ty) {
            (Target::Bool, _) => "bool",
            (Target::Int2, _) => "int2",
            (Target::Int4, _) => "int4",
            (Target::Int8, _) => "int8",
            (Target::Float4, _) => "float4",
            (Target::Float8, _) => "float8",
            (Target::Timestamptz, _) => "timestamptz",
            (Target::Varchar(_), DataType::Char(_) | DataType::Character(_)) => "bpchar",
            (Target::Varchar(_), _) => "varchar",
            (Target::Jsonb, _) => "jsonb",
            (Target::Text, DataType::Text) => "text",
            (Target::Text, DataType::Custom(name, _)) if super::ast::last_name(name).is_some_and(|name| name == "name") => "name",
            (Target::Text, _) => "varchar",
            (target, _) => target.sql_name(),
        }
        .to_string(),
        None => ty.to_string().to_lowercase(),
    }
}
