//! One JSON object a line, streamed.

use super::{Sink, Summary, distinct_names};
use crate::values;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};

/// Writes an object a row.
pub(super) struct Jsonl {
    names: Vec<String>,
}

impl Jsonl {
    pub(super) fn new(schema: SchemaRef) -> Jsonl {
        Jsonl { names: distinct_names(&schema) }
    }
}

/// A row as an object, in column order.
pub(super) fn object(names: &[String], batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let members = names.iter().zip(schema.fields().iter().zip(batch.columns()));
    let mut out = String::new();
    values::write_object(members.map(|(name, (field, column))| (name.as_str(), field.as_ref(), column)), row, &mut out);
    out
}

impl Sink for Jsonl {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            writeln!(out, "{}", object(&self.names, batch, row))?;
        }
        Ok(())
    }

    fn end(&mut self, _: &Summary, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{batch, plain, render};

    #[test]
    fn rows_are_lines() {
        let expected =
            "{\"name\":\"a, \\\"b\\\"\",\"n\":42,\"ok\":true,\"doc\":{\"k\":[1]}}\n{\"name\":null,\"n\":null,\"ok\":null,\"doc\":null}\n";
        assert_eq!(render(plain(Format::Jsonl), &[batch()]), expected);
    }
}
