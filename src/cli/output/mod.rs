//! Query output: one format a file. A [`Sink`] takes batches as they come and writes bytes; it never sees a cloud.

mod csv;
mod json;
mod jsonl;
mod line;
mod none;
mod table;

use clap::ValueEnum;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};

/// Formats of query output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, as psql
    Table,
    /// Comma-separated values
    Csv,
    /// One document: columns, rows
    Json,
    /// One JSON object a line
    Jsonl,
    /// One line a value
    Line,
    /// Nothing
    None,
}

impl Format {
    /// The name as it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Line => "line",
            Format::None => "none",
        }
    }

    /// The format of a name.
    pub(crate) fn parse(name: &str) -> Option<Format> {
        Format::value_variants().iter().copied().find(|f| f.name() == name)
    }
}

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The format.
    pub(crate) format: Format,
    /// Column names (table, csv).
    pub(crate) header: bool,
    /// Between cells of csv.
    pub(crate) separator: u8,
    /// Dim NULL and borders.
    pub(crate) color: bool,
}

/// What is known when the rows are out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Goes into the `metadata` of JSON, where there is any.
    pub(crate) metadata: Option<serde_json::Value>,
}

/// Takes the rows of one statement.
pub(crate) trait Sink {
    /// Takes some rows.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what is left.
    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()>;
}

/// Opens a sink for rows of a schema.
pub(crate) fn sink(look: Look, schema: SchemaRef) -> Box<dyn Sink> {
    match look.format {
        Format::Table => Box::new(table::Table::new(schema, look)),
        Format::Csv => Box::new(csv::Csv::new(schema, look)),
        Format::Json => Box::new(json::Json::new(schema)),
        Format::Jsonl => Box::new(jsonl::Jsonl::new(schema)),
        Format::Line => Box::new(line::Line::new(schema, look)),
        Format::None => Box::new(none::Nothing),
    }
}

/// Names of the columns, made distinct: JSON objects cannot hold two members of one name.
fn distinct_names(schema: &SchemaRef) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut n = 1;
        while names.contains(&name) {
            n += 1;
            name = format!("{}_{n}", field.name());
        }
        names.push(name);
    }
    names
}

/// Cells are shown to people: what would steer the terminal is shown as an escape. Line breaks are kept.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use assay_tables::EXTENSION;
    use datafusion::arrow::array::{BooleanArray, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    /// Two rows with text, a number, a boolean and jsonb; the second is all NULL.
    pub(crate) fn batch() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
            Field::new("ok", DataType::Boolean, true),
            Field::new("doc", DataType::Utf8, true).with_metadata([(EXTENSION.to_owned(), "jsonb".to_owned())].into()),
        ]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(vec![Some("a, \"b\""), None])),
                Arc::new(Int64Array::from(vec![Some(42), None])),
                Arc::new(BooleanArray::from(vec![Some(true), None])),
                Arc::new(StringArray::from(vec![Some("{\"k\": [1]}"), None])),
            ],
        )
        .unwrap()
    }

    /// A batch of text columns.
    pub(crate) fn texts(columns: &[(&str, &[&str])]) -> RecordBatch {
        let schema = Schema::new(columns.iter().map(|(n, _)| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>());
        RecordBatch::try_new(
            Arc::new(schema),
            columns.iter().map(|(_, v)| Arc::new(StringArray::from(v.to_vec())) as Arc<dyn datafusion::arrow::array::Array>).collect(),
        )
        .unwrap()
    }

    /// Everything a format writes for some batches.
    pub(crate) fn render(look: Look, batches: &[RecordBatch]) -> String {
        let mut out = Vec::new();
        let mut sink = sink(look, batches[0].schema());
        for batch in batches {
            sink.batch(batch, &mut out).unwrap();
        }
        sink.end(&Summary::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// A look with headers, commas and no colours.
    pub(crate) fn plain(format: Format) -> Look {
        Look { format, header: true, separator: b',', color: false }
    }

    #[test]
    fn names_are_read_back() {
        for format in Format::value_variants() {
            assert_eq!(Format::parse(format.name()), Some(*format));
        }
        assert_eq!(Format::parse("parquet"), None);
    }

    #[test]
    fn none_writes_nothing() {
        assert_eq!(render(plain(Format::None), &[batch()]), "");
    }
}
