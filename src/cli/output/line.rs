//! One line a value, one block a row, streamed: for rows with many columns.

use super::{Look, Sink, Summary, visible};
use crate::values;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Writes a block a row.
pub(super) struct Line {
    names: Vec<String>,
    width: usize,
    row: u64,
    color: bool,
}

impl Line {
    pub(super) fn new(schema: SchemaRef, look: Look) -> Line {
        let names: Vec<String> = schema.fields().iter().map(|f| visible(f.name())).collect();
        let width = names.iter().map(|n| n.width()).max().unwrap_or_default();
        Line { names, width, row: 0, color: look.color }
    }
}

impl Sink for Line {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            self.row += 1;
            let title = format!("-[ RECORD {} ]", self.row);
            writeln!(out, "{title}{}", "-".repeat((self.width + 10).saturating_sub(title.len())))?;
            for (name, column) in self.names.iter().zip(batch.columns()) {
                let pad = " ".repeat(self.width - name.width());
                let value = match (column.is_null(row), self.color) {
                    (true, false) => "<null>".to_owned(),
                    (true, true) => "\x1b[2m<null>\x1b[0m".to_owned(),
                    (false, _) => {
                        let indent = format!("\n{} | ", " ".repeat(self.width));
                        visible(&values::text_of(column.as_ref(), row)).replace('\n', &indent)
                    }
                };
                writeln!(out, "{name}{pad} | {value}")?;
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        if self.row == 0 { writeln!(out, "(0 rows)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{batch, plain, render, texts};

    #[test]
    fn rows_are_blocks() {
        let expected = "-[ RECORD 1 ]-\nname | a, \"b\"\nn    | 42\nok   | true\ndoc  | {\"k\": [1]}\n\
                        -[ RECORD 2 ]-\nname | <null>\nn    | <null>\nok   | <null>\ndoc  | <null>\n";
        assert_eq!(render(plain(Format::Line), &[batch()]), expected);
        assert_eq!(render(plain(Format::Line), &[batch().slice(0, 0)]), "(0 rows)\n");
    }

    #[test]
    fn line_breaks_stay_in_their_column_and_escapes_are_shown() {
        let text = render(plain(Format::Line), &[texts(&[("ab", &["x\ny\x1b[2J"])])]);
        assert_eq!(text, "-[ RECORD 1 ]\nab | x\n   | y\\x1B[2J\n");
    }
}
