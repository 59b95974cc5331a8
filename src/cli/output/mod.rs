//! Query output: one format a file. A [`Sink`] takes batches as they come and writes bytes; it never sees a cloud.

mod csv;
mod json;
mod jsonl;
mod line;
mod none;
mod parquet;
mod table;

use crate::exit::{Exit, Failed};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Formats of query output; lists have those that are text.
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
    /// A Parquet file
    #[value(skip)]
    Parquet,
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
            Format::Parquet => "parquet",
        }
    }

    /// The text format of a name.
    pub(crate) fn parse(name: &str) -> Option<Format> {
        Format::value_variants().iter().copied().find(|f| f.name() == name)
    }

    /// The format that a file's suffix names.
    pub(crate) fn of_file(path: &Path) -> Option<Format> {
        let suffix = path.extension()?.to_str()?;
        if suffix == Format::Parquet.name() { Some(Format::Parquet) } else { Format::parse(suffix) }
    }

    /// Reads the name of a format, Parquet among them, from the command line.
    pub(crate) fn of_rows() -> impl TypedValueParser<Value = Format> {
        let texts = Format::value_variants().iter().filter_map(Format::to_possible_value);
        let parquet = PossibleValue::new(Format::Parquet.name()).help("A Parquet file");
        PossibleValuesParser::new(texts.chain([parquet])).map(|name| Format::parse(&name).unwrap_or(Format::Parquet))
    }

    /// Can standard output take rows of so many statements?
    pub(crate) fn check_stdout(self, statements: usize) -> Result<(), Failed> {
        let fails = |message: &str, hint: &str| Err(Failed::new(Exit::Usage, message).hint(hint));
        if self != Format::Parquet {
            Ok(())
        } else if statements > 1 {
            let message = format!("a Parquet file has the rows of one statement, and there are {statements}");
            fails(&message, "run them one by one, each into its own file")
        } else if io::stdout().is_terminal() {
            fails("Parquet is not text: a terminal cannot show it", "send it to a file: assay query … --output parquet > rows.parquet")
        } else {
            Ok(())
        }
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
pub(crate) fn sink(look: Look, schema: SchemaRef) -> Result<Box<dyn Sink>, Failed> {
    Ok(match look.format {
        Format::Table => Box::new(table::Table::new(schema, look)),
        Format::Csv => Box::new(csv::Csv::new(schema, look)),
        Format::Json => Box::new(json::Json::new(schema)),
        Format::Jsonl => Box::new(jsonl::Jsonl::new(schema)),
        Format::Line => Box::new(line::Line::new(schema, look)),
        Format::None => Box::new(none::Nothing),
        Format::Parquet => Box::new(parquet::Parquet::new(&schema)?),
    })
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
        let mut sink = sink(look, batches[0].schema()).unwrap();
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
        for (path, format) in [("a/b.csv", Some(Format::Csv)), ("b.parquet", Some(Format::Parquet)), ("parquet", None), ("a.txt", None)] {
            assert_eq!(Format::of_file(Path::new(path)), format, "{path}");
        }
    }

    #[test]
    fn none_writes_nothing() {
        assert_eq!(render(plain(Format::None), &[batch()]), "");
    }
}
