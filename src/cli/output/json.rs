//! One JSON document, `{columns: [{name, data_type}], rows: [{…}], metadata?}`, written as the rows come.

use super::jsonl::object;
use super::{Sink, Summary, distinct_names};
use crate::values;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use serde_json::json;
use std::io::{self, Write};

/// Writes the document.
pub(super) struct Json {
    schema: SchemaRef,
    names: Vec<String>,
    begun: bool,
    rows: bool,
}

impl Json {
    pub(super) fn new(schema: SchemaRef) -> Json {
        Json { names: distinct_names(&schema), schema, begun: false, rows: false }
    }

    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        write!(out, "{{\n  \"columns\": [")?;
        for (i, (name, field)) in self.names.iter().zip(self.schema.fields()).enumerate() {
            let column = json!({"name": name, "data_type": values::type_name(field)});
            write!(out, "{}\n    {column}", if i > 0 { "," } else { "" })?;
        }
        write!(out, "\n  ],\n  \"rows\": [")
    }
}

impl Sink for Json {
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        for row in 0..batch.num_rows() {
            let comma = if std::mem::replace(&mut self.rows, true) { "," } else { "" };
            write!(out, "{comma}\n    {}", object(&self.names, batch, row))?;
        }
        Ok(())
    }

    fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        write!(out, "{}]", if self.rows { "\n  " } else { "" })?;
        if let Some(metadata) = &summary.metadata {
            write!(out, ",\n  \"metadata\": {metadata}")?;
        }
        writeln!(out, "\n}}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, plain, render, texts};
    use super::super::{Format, Summary, sink};
    use serde_json::{Value, json};

    #[test]
    fn the_document_has_columns_and_rows() {
        let document: Value = serde_json::from_str(&render(plain(Format::Json), &[batch(), batch()])).unwrap();
        assert_eq!(document["columns"][1], json!({"name": "n", "data_type": "int8"}));
        assert_eq!(document["columns"][3]["data_type"], "jsonb");
        assert_eq!(document["rows"].as_array().unwrap().len(), 4);
        assert_eq!(document["rows"][0]["doc"], json!({"k": [1]}));
        assert_eq!(document["rows"][3], json!({"name": null, "n": null, "ok": null, "doc": null}));
        assert!(document.get("metadata").is_none());
    }

    #[test]
    fn without_rows_it_is_a_document_too() {
        let document: Value = serde_json::from_str(&render(plain(Format::Json), &[batch().slice(0, 0)])).unwrap();
        assert_eq!(document["rows"], json!([]));
    }

    #[test]
    fn columns_of_one_name_both_survive() {
        let two = texts(&[("a", &["1"]), ("a", &["2"]), ("a_2", &["3"])]);
        let document: Value = serde_json::from_str(&render(plain(Format::Json), &[two])).unwrap();
        assert_eq!(document["rows"][0], json!({"a": "1", "a_2": "2", "a_2_2": "3"}));
    }

    #[test]
    fn metadata_comes_last() {
        let mut out = Vec::new();
        let mut sink = sink(plain(Format::Json), batch().schema()).unwrap();
        sink.end(&Summary { metadata: Some(json!({"calls": 3})) }, &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["columns", "rows", "metadata"]);
        assert_eq!(document["metadata"]["calls"], 3);
    }
}
