//! The engine: one DataFusion session over the connections of a cloud and a catalog of tables.

use crate::{EngineError, QueryLog};
use assay_cloud::Cloud;
use assay_tables::Catalog;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use std::sync::Arc;

/// Settings of an [`Engine`].
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Connections that unqualified table names mean; empty: the configuration's default.
    pub search_path: Vec<String>,
}

/// A positional argument (`$1` …) or a named one, bound as data, never spliced into the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Name; positional arguments have their position's number as name (`1`).
    pub name: String,
    /// Value: null, bool, number, text, or an array of them.
    pub value: serde_json::Value,
}

/// A running statement. Dropping the stream cancels every call in flight.
pub struct Query {
    /// Columns; fields of type jsonb, inet, cidr carry `ARROW:extension:name`.
    pub schema: SchemaRef,
    /// Batches; nothing is called before the first poll.
    pub stream: SendableRecordBatchStream,
    /// What was asked, failed and cost; complete when the stream has ended.
    pub log: Arc<QueryLog>,
}

/// SQL over the tables of a catalog and the connections of a cloud. Cheap to clone; statements run concurrently.
#[derive(Debug, Clone)]
pub struct Engine {}

impl Engine {
    /// Builds the session; makes no call and parses no spec.
    ///
    /// # Errors
    /// The search path names an unknown connection.
    pub fn new(cloud: Cloud, catalog: Arc<Catalog>, settings: Settings) -> Result<Engine, EngineError> {
        let _ = (cloud, catalog, settings);
        unimplemented!()
    }

    /// Splits a text into statements (`;`, comments and quotes understood), without planning them.
    ///
    /// # Errors
    /// Syntax errors, with their place.
    pub fn split(&self, sql: &str) -> Result<Vec<String>, EngineError> {
        let _ = sql;
        unimplemented!()
    }

    /// Plans one statement and gives its stream.
    ///
    /// # Errors
    /// The statement is wrong.
    pub async fn query(&self, sql: &str, args: &[Arg]) -> Result<Query, EngineError> {
        let _ = (sql, args);
        unimplemented!()
    }

    /// The cloud behind it.
    pub fn cloud(&self) -> &Cloud {
        unimplemented!()
    }

    /// The catalog behind it.
    pub fn catalog(&self) -> &Arc<Catalog> {
        unimplemented!()
    }

    /// Names of all functions (scalar, aggregate, set-returning), sorted: for completion and the reference.
    pub fn functions(&self) -> Vec<String> {
        unimplemented!()
    }
}
