//! Apache Parquet, in row groups as the rows come. What its columns are is said in `types`.
//!
//! The footer, without which no reader takes a file, comes last: rows that are cut off leave nothing that looks whole.

mod types;

use super::{Sink, Summary, distinct_names};
use crate::exit::{Exit, Failed};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::Arc;
use types::{convert, target};

/// A row group is written when it takes about this much memory.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Where the file's own metadata has what JSON output has in `metadata`.
const METADATA: &str = "assay";

/// Writes the file.
pub(super) struct Parquet {
    schema: SchemaRef,
    /// Encodes into memory, from where [`Parquet::hand_on`] takes it.
    writer: ArrowWriter<Vec<u8>>,
}

impl Parquet {
    pub(super) fn new(schema: &SchemaRef) -> Result<Parquet, Failed> {
        if schema.fields().is_empty() {
            return Err(Failed::new(Exit::Content, "the statement has no columns, and a Parquet file needs one"));
        }
        let fields = distinct_names(schema).into_iter().zip(schema.fields()).map(|(name, field)| target(field).with_name(name));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("assay version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(|e| Failed::internal(&e.to_string()))?;
        Ok(Parquet { schema, writer })
    }

    fn hand_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.sync()?;
        // Places in the file are counted by the writer, not read from the buffer's length.
        out.write_all(&std::mem::take(self.writer.inner_mut()))
    }
}

impl Sink for Parquet {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| convert(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
        self.writer.write(&batch)?;
        if self.writer.memory_size() < ROW_GROUP_BYTES {
            return Ok(());
        }
        self.writer.flush()?;
        self.hand_on(out)
    }

    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        if let Some(metadata) = &summary.metadata {
            self.writer.append_key_value_metadata(KeyValue::new(METADATA.to_owned(), metadata.to_string()));
        }
        self.writer.finish()?;
        self.hand_on(out)
    }
}
