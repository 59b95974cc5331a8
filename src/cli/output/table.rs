//! Aligned columns as psql prints them: header, rule, rows, row count. Widths must be known before the first line, so
//! up to [`BUFFERED`] rows are held back; later rows use the widths found until then and may overflow them.

use super::{Look, Sink, Summary, visible};
use crate::values;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Rows held back to find the widths of columns. Memory stays bounded whatever the result.
const BUFFERED: usize = 5_000;

/// A cell: its lines, or NULL.
type Cell = Option<String>;

/// Writes the table.
pub(super) struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    widths: Vec<usize>,
    held: Vec<Vec<Cell>>,
    header: bool,
    color: bool,
    flowing: bool,
    rows: u64,
}

impl Table {
    pub(super) fn new(schema: SchemaRef, look: Look) -> Table {
        let names: Vec<String> = schema.fields().iter().map(|f| visible(f.name()).replace('\n', " ")).collect();
        Table {
            right: schema.fields().iter().map(|f| values::is_numeric(f)).collect(),
            widths: names.iter().map(|n| if look.header { n.width() } else { 0 }).collect(),
            names,
            held: Vec::new(),
            header: look.header,
            color: look.color,
            flowing: false,
            rows: 0,
        }
    }

    fn cells(batch: &RecordBatch, row: usize) -> Vec<Cell> {
        batch.columns().iter().map(|c| (!c.is_null(row)).then(|| visible(&values::text_of(c.as_ref(), row)))).collect()
    }

    /// Writes the header and the rows held back.
    fn flow(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.flowing, true) {
            return Ok(());
        }
        for cells in &self.held {
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                let longest = match cell {
                    Some(text) => text.split('\n').map(|l| l.width()).max().unwrap_or_default(),
                    None => NULL.len(),
                };
                *width = (*width).max(longest);
            }
        }
        if self.header {
            let mut line = String::new();
            for (i, (name, width)) in self.names.iter().zip(&self.widths).enumerate() {
                let space = width - name.width();
                line.push_str(if i > 0 { "| " } else { " " });
                line.push_str(&" ".repeat(space / 2));
                line.push_str(name);
                line.push_str(&" ".repeat(space - space / 2 + 1));
            }
            writeln!(out, "{}", line.trim_end())?;
            let rule: Vec<String> = self.widths.iter().map(|w| "-".repeat(w + 2)).collect();
            writeln!(out, "{}", rule.join("+"))?;
        }
        for cells in std::mem::take(&mut self.held) {
            self.row(&cells, out)?;
        }
        Ok(())
    }

    /// Writes a row; a cell with line breaks makes more lines, marked with `+` as in psql.
    fn row(&self, cells: &[Cell], out: &mut dyn Write) -> io::Result<()> {
        let lines: Vec<Vec<&str>> =
            cells.iter().map(|c| c.as_deref().map_or_else(|| vec![NULL], |text| text.split('\n').collect())).collect();
        let height = lines.iter().map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let mut line = String::new();
            for (i, parts) in lines.iter().enumerate() {
                let part = parts.get(at).copied().unwrap_or_default();
                let pad = self.widths[i].saturating_sub(part.width());
                line.push_str(if i > 0 { "| " } else { " " });
                if self.right[i] {
                    line.push_str(&" ".repeat(pad));
                }
                if self.color && cells[i].is_none() && at == 0 {
                    line.push_str("\x1b[2m");
                    line.push_str(part);
                    line.push_str("\x1b[0m");
                } else {
                    line.push_str(part);
                }
                if !self.right[i] {
                    line.push_str(&" ".repeat(pad));
                }
                line.push(if at + 1 < parts.len() { '+' } else { ' ' });
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// How NULL is shown, to tell it from an empty text.
const NULL: &str = "<null>";

impl Sink for Table {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let cells = Table::cells(batch, row);
            if self.flowing {
                self.row(&cells, out)?;
            } else {
                self.held.push(cells);
                if self.held.len() >= BUFFERED {
                    self.flow(out)?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.flow(out)?;
        if self.header {
            writeln!(out, "({} row{})", self.rows, if self.rows == 1 { "" } else { "s" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, plain, render, texts};
    use super::super::{Format, Look};
    use super::BUFFERED;

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            render(plain(Format::Table), &[batch()]),
            concat!(
                "  name  |   n    |   ok   |    doc\n",
                "--------+--------+--------+------------\n",
                " a, \"b\" |     42 | true   | {\"k\": [1]}\n",
                " <null> | <null> | <null> | <null>\n",
                "(2 rows)\n"
            )
        );
    }

    #[test]
    fn widths_are_those_of_the_terminal_not_of_the_bytes() {
        let text = render(plain(Format::Table), &[texts(&[("a", &["日本", "é", "abcd"]), ("b", &["1", "2", "3"])])]);
        assert_eq!(text, "  a   | b\n------+---\n 日本 | 1\n é    | 2\n abcd | 3\n(3 rows)\n");
    }

    #[test]
    fn line_breaks_continue_and_escapes_are_shown() {
        let text = render(plain(Format::Table), &[texts(&[("a", &["x\nlonger"]), ("b", &["\x1b[2J"])])]);
        assert_eq!(text, "   a    |    b\n--------+---------\n x     +| \\x1B[2J\n longer |\n(1 row)\n");
    }

    #[test]
    fn without_header_there_are_only_rows() {
        let look = Look { header: false, ..plain(Format::Table) };
        assert_eq!(render(look, &[texts(&[("a long name", &["1", "22"])])]), " 1\n 22\n");
    }

    #[test]
    fn no_rows_still_show_the_columns() {
        assert_eq!(render(plain(Format::Table), &[texts(&[("a", &[])])]), " a\n---\n(0 rows)\n");
    }

    #[test]
    fn rows_beyond_the_buffer_overflow_their_column_but_are_all_there() {
        let many: Vec<&str> = std::iter::repeat_n("x", BUFFERED).collect();
        let text = render(plain(Format::Table), &[texts(&[("a", &many), ("b", &many)]), texts(&[("a", &["long"]), ("b", &["y"])])]);
        assert!(text.ends_with(&format!(" x | x\n long | y\n({} rows)\n", BUFFERED + 1)), "{}", &text[text.len() - 60..]);
    }
}
