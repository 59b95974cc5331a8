//! Columns and their types, as SQL sees them and as Arrow carries them.

use arrow_schema::{DataType, Field, TimeUnit};
use std::collections::HashMap;

/// SQL types of columns (CONTRACTS, "Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`, Utf8.
    Text,
    /// `bigint`, Int64.
    Int,
    /// `double precision`, Float64.
    Double,
    /// `boolean`.
    Bool,
    /// `timestamptz`, microseconds, UTC.
    Timestamp,
    /// `jsonb`: canonical text, tagged in the field's metadata.
    Jsonb,
    /// `inet`: text, tagged.
    Inet,
    /// `cidr`: text, tagged.
    Cidr,
}

/// The metadata key that tags a field with its SQL type where Arrow has none: `jsonb`, `inet`, `cidr`.
pub const EXTENSION: &str = "ARROW:extension:name";

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name as in SQL.
    pub name: String,
    /// Type.
    pub ty: ColumnType,
    /// A description of ours; empty where the name says it all.
    pub about: String,
    /// Never in `select *`, caches or recordings.
    pub secret: bool,
}

impl Column {
    /// The Arrow field, tagged with [`EXTENSION`] where the type needs it. Always nullable.
    pub fn field(&self) -> Field {
        let field = Field::new(&self.name, self.ty.data_type(), true);
        match self.ty {
            ColumnType::Jsonb | ColumnType::Inet | ColumnType::Cidr => {
                field.with_metadata(HashMap::from([(EXTENSION.to_owned(), self.ty.sql_name().to_owned())]))
            }
            _ => field,
        }
    }
}

impl ColumnType {
    /// PostgreSQL's name of the type: `text`, `bigint`, `timestamp with time zone`, `jsonb` …
    pub fn sql_name(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Int => "bigint",
            ColumnType::Double => "double precision",
            ColumnType::Bool => "boolean",
            ColumnType::Timestamp => "timestamp with time zone",
            ColumnType::Jsonb => "jsonb",
            ColumnType::Inet => "inet",
            ColumnType::Cidr => "cidr",
        }
    }

    /// The Arrow type that carries it.
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Text | ColumnType::Jsonb | ColumnType::Inet | ColumnType::Cidr => DataType::Utf8,
            ColumnType::Int => DataType::Int64,
            ColumnType::Double => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_tagged_where_arrow_has_no_type() {
        for (ty, tag) in [
            (ColumnType::Jsonb, Some("jsonb")),
            (ColumnType::Inet, Some("inet")),
            (ColumnType::Cidr, Some("cidr")),
            (ColumnType::Text, None),
        ] {
            let field = Column { name: "x".into(), ty, about: String::new(), secret: false }.field();
            assert_eq!((field.metadata().get(EXTENSION).map(String::as_str), field.is_nullable()), (tag, true));
            assert_eq!(field.data_type(), &DataType::Utf8);
        }
    }
}
