//! What names mean in one statement: a schema per connection, the default connections without one, views, and the catalog tables.
//!
//! Owns: resolving a table's name, lazily, so that only the specs a statement names are parsed. Refuses: anything that writes.

use crate::introspection::{CatalogTable, SCHEMA as INFORMATION_SCHEMA};
use crate::messages::closest;
use crate::provider::ApiTable;
use crate::{EngineError, QueryLog, dialect};
use assay_cloud::Cloud;
use assay_tables::{Catalog, Table};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast, col};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The one catalog, as in `assay.prod.aws_iam_user`.
pub(crate) const CATALOG: &str = "assay";

/// What all statements of an engine share.
pub(crate) struct Shared {
    pub(crate) cloud: Cloud,
    pub(crate) catalog: Arc<Catalog>,
    /// Planners, rules, functions and settings; each statement works on its own copy.
    pub(crate) base: SessionState,
    /// The schema of unqualified names.
    pub(crate) default_schema: String,
    /// The connections that unqualified names mean.
    pub(crate) search_path: Arc<[Arc<str>]>,
    /// Names of all functions: they may stand where a table does.
    pub(crate) functions: BTreeSet<String>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("default_schema", &self.default_schema)
            .field("search_path", &self.search_path)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Schemas in order: the default one, connections, `information_schema`.
    pub(crate) fn schemas(&self) -> Vec<String> {
        let mut names = vec![self.default_schema.clone()];
        names.extend(self.cloud.connections().iter().map(|c| c.name.to_string()));
        names.push(INFORMATION_SCHEMA.to_owned());
        names
    }

    fn connections_of(&self, schema: &str) -> Option<Arc<[Arc<str>]>> {
        if schema == self.default_schema {
            return Some(Arc::clone(&self.search_path));
        }
        self.cloud.connections().iter().find(|c| c.name.as_ref() == schema).map(|c| [Arc::clone(&c.name)].into())
    }
}

/// One statement: its clock, its log, and the views that are being planned around it.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) shared: Arc<Shared>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) log: Arc<QueryLog>,
    views: Vec<String>,
}

impl Statement {
    pub(crate) fn new(shared: Arc<Shared>) -> Statement {
        let log = Arc::new(QueryLog::new(shared.cloud.tally()));
        let now = shared.cloud.now();
        Statement { shared, now, log, views: Vec::new() }
    }

    /// A session for this statement, in which unqualified names mean tables of `schema`.
    pub(crate) fn session(&self, schema: &str) -> SessionState {
        let mut session = self.shared.base.clone();
        session.config_mut().set_extension(Arc::clone(&self.log));
        session.config_mut().options_mut().catalog.default_schema = schema.to_owned();
        session.register_catalog_list(Arc::new(Names(self.clone())));
        session.mark_start_execution();
        session.execution_props_mut().query_execution_start_time = Some(self.now);
        session
    }

    async fn view(&self, schema: &str, table: &Table, sql: &str) -> Result<ViewTable> {
        if self.views.contains(&table.name) {
            let path = self.views.join(", ");
            return Err(EngineError::sql(format!("view {} refers to itself through {path}", table.name), None).into());
        }
        let mut inner = self.clone();
        inner.views.push(table.name.clone());
        let plan = dialect::plan(&inner.session(schema), sql, &[]).await.map_err(|e| match e {
            // A place in the view's text would be taken for one in the statement.
            EngineError::Sql { message, hint, .. } => EngineError::sql(format!("in view {}: {message}", table.name), hint),
            other => other,
        })?;
        Ok(ViewTable::new(typed(table, plan)?, Some(sql.to_owned())))
    }
}

/// The view's plan with the columns and types its spec promises.
fn typed(table: &Table, plan: LogicalPlan) -> Result<LogicalPlan> {
    if table.columns.is_empty() {
        return Ok(plan);
    }
    let columns = table.columns.iter().filter(|c| !c.secret).map(|c| {
        let (field, column) = (c.field(), datafusion::common::Column::from_name(&c.name));
        let missing = |_| EngineError::sql(format!("view {} does not yield its column {}", table.name, c.name), None);
        let found = plan.schema().field_with_unqualified_name(&c.name).map_err(missing)?;
        let expr = col(column);
        Ok(if found.data_type() == field.data_type() { expr } else { cast(expr, field.data_type().clone()).alias(&c.name) })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[derive(Debug)]
struct Names(Statement);

impl CatalogProviderList for Names {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(Schemas(self.0.clone())) as Arc<dyn CatalogProvider>)
    }
}

#[derive(Debug)]
struct Schemas(Statement);

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        self.0.shared.schemas()
    }

    /// Every name has a schema, so that an unknown one can say so when a table is asked of it.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Tables { statement: self.0.clone(), schema: name.to_owned() }))
    }
}

/// The tables of a schema.
#[derive(Debug)]
struct Tables {
    statement: Statement,
    schema: String,
}

impl Tables {
    fn unknown_schema(&self) -> EngineError {
        let schemas = self.statement.shared.schemas();
        let near = closest(&self.schema, schemas.iter().map(String::as_str)).map(|s| format!("did you mean \"{s}\"?"));
        let hint = near.unwrap_or_else(|| format!("each connection is a schema; there are: {}", schemas.join(", ")));
        EngineError::sql(format!("schema \"{}\" does not exist", self.schema), Some(hint))
    }

    fn unknown_table(&self, name: &str) -> EngineError {
        let shared = &self.statement.shared;
        let own = CatalogTable::names(&self.schema, &shared.default_schema);
        let near = shared.catalog.suggest(name).or_else(|| closest(name, own.iter().copied()));
        let written = if self.schema == shared.default_schema { format!("\"{name}\"") } else { format!("\"{}.{name}\"", self.schema) };
        let hint = near.map_or_else(|| "select name from assay_tables lists all tables".to_owned(), |n| format!("did you mean \"{n}\"?"));
        EngineError::sql(format!("relation {written} does not exist"), Some(hint))
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let shared = &self.statement.shared;
        let mut names: Vec<String> = CatalogTable::names(&self.schema, &shared.default_schema).iter().map(|n| (*n).to_owned()).collect();
        if shared.connections_of(&self.schema).is_some() {
            names.extend(shared.catalog.names().into_iter().map(str::to_owned));
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let shared = &self.statement.shared;
        if let Some(table) = CatalogTable::find(shared, &self.schema, name) {
            return Ok(Some(Arc::new(table)));
        }
        let Some(connections) = shared.connections_of(&self.schema) else {
            // SHOW asks for all of PostgreSQL's, whether there or not.
            return if self.schema == INFORMATION_SCHEMA { Ok(None) } else { Err(self.unknown_schema().into()) };
        };
        let Some(table) = shared.catalog.table(name).map_err(EngineError::from)? else {
            // `from generate_series(1, 3)` asks for a table of the function's name first.
            return if shared.functions.contains(name) { Ok(None) } else { Err(self.unknown_table(name).into()) };
        };
        Ok(Some(match &table.view {
            Some(sql) => Arc::new(self.statement.view(&self.schema, &table, sql).await?),
            None => Arc::new(ApiTable::new(shared.cloud.clone(), table, connections)),
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        let shared = &self.statement.shared;
        CatalogTable::names(&self.schema, &shared.default_schema).contains(&name)
            || (shared.connections_of(&self.schema).is_some() && shared.catalog.contains(name))
    }
}
