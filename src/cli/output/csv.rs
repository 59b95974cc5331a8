//! Comma-separated values (RFC 4180 quoting, lines end in `\n`), streamed. NULL is an empty cell.

use super::{Look, Sink, Summary};
use crate::values;
use csv::{Writer, WriterBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};

/// Writes a header, then a line a row.
pub(super) struct Csv {
    schema: SchemaRef,
    separator: u8,
    header_due: bool,
}

impl Csv {
    pub(super) fn new(schema: SchemaRef, look: Look) -> Csv {
        Csv { schema, separator: look.separator, header_due: look.header }
    }

    fn writer<'w>(&mut self, out: &'w mut dyn Write) -> io::Result<Writer<&'w mut dyn Write>> {
        let mut writer = WriterBuilder::new().delimiter(self.separator).from_writer(out);
        if std::mem::take(&mut self.header_due) && !self.schema.fields().is_empty() {
            writer.write_record(self.schema.fields().iter().map(|f| f.name())).map_err(io_error)?;
        }
        Ok(writer)
    }
}

/// The system's own error: the crate's conversion would hide that a pipe was closed.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

impl Sink for Csv {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = self.writer(out)?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                cell.clear();
                values::text(column.as_ref(), row, &mut cell);
                writer.write_field(&cell).map_err(io_error)?;
            }
            writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
        writer.flush()
    }

    fn end(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.writer(out)?.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, plain, render, texts};
    use super::super::{Format, Look};

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let expected = "name,n,ok,doc\n\"a, \"\"b\"\"\",42,true,\"{\"\"k\"\": [1]}\"\n,,,\n";
        assert_eq!(render(plain(Format::Csv), &[batch()]), expected);
        let tabs = Look { separator: b'\t', header: false, ..plain(Format::Csv) };
        assert_eq!(render(tabs, &[texts(&[("a", &["x\ty", "p,q"]), ("b", &["1", "line\nbreak"])])]), "\"x\ty\"\t1\np,q\t\"line\nbreak\"\n");
    }

    #[test]
    fn the_header_comes_once_and_also_without_rows() {
        assert_eq!(render(plain(Format::Csv), &[batch().slice(0, 0)]), "name,n,ok,doc\n");
        let twice = render(plain(Format::Csv), &[batch(), batch()]);
        assert_eq!(twice.matches("name,n").count(), 1);
    }
}
