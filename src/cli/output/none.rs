//! No output: the calls are made, the rows are dropped.

use super::{Sink, Summary};
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, Write};

/// Writes nothing.
pub(super) struct Nothing;

impl Sink for Nothing {
    fn batch(&mut self, _: &RecordBatch, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: &Summary, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
