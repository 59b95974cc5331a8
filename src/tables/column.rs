//! Columns and their types, as SQL sees them and as Arrow carries them.

use arrow_schema::Field;

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
        unimplemented!()
    }
}

impl ColumnType {
    /// PostgreSQL's name of the type: `text`, `bigint`, `timestamp with time zone`, `jsonb` …
    pub fn sql_name(self) -> &'static str {
        unimplemented!()
    }
}
