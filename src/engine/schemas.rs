//! What names mean in one statement: a schema per connection, the default connections without one, views, and the catalog tables.
//!
//! Owns: resolving a table's name, lazily, so that only the specs a statement names are parsed. Refuses: anything that writes.

use crate::introspection::{CatalogTable, SCHEMA as INFORMATION_SCHEMA};
use crate::messages::closest;
use crate::provider::ApiTable;
use crate::scopes::{clouds, of_cloud};
use crate::secrets::Secrets;
use crate::{EngineError, QueryLog, Settings, dialect};
use assay_cloud::Cloud;
use assay_tables::{Catalog, Table};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
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
#[derive(Clone)]
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
    /// What statements see, and how old it may be.
    pub(crate) settings: Settings,
    /// What RESET goes back to.
    pub(crate) first: Settings,
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
    /// How old what a statement shows may be.
    pub(crate) fn max_staleness(&self) -> TimeDelta {
        TimeDelta::from_std(self.settings.max_staleness).unwrap_or(TimeDelta::MAX)
    }

    /// Schemas in order: the default one, connections, `information_schema`.
    pub(crate) fn schemas(&self) -> Vec<String> {
        let mut names = vec![self.default_schema.clone()];
        names.extend(self.cloud.connections().iter().map(|c| c.name.to_string()));
        names.push(INFORMATION_SCHEMA.to_owned());
        names
    }

    /// Is a table there in a schema? The default one has all; a connection those of its cloud, and views but for those that are named
    /// after another cloud.
    pub(crate) fn lists(&self, schema: &str, table: &Table) -> bool {
        if schema == self.default_schema {
            return true;
        }
        let Some(connections) = self.connections_of(schema) else { return false };
        let own = clouds(&self.cloud, &connections);
        let is_cloud = |name: &str| self.cloud.connections().iter().any(|c| c.cloud() == name);
        own.contains(table.provider.as_str()) || (table.view.is_some() && !is_cloud(&table.provider))
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
        // In a replay all is of one time.
        let since = (!shared.cloud.is_replay()).then(|| shared.settings.asked_since.unwrap_or_else(Utc::now));
        let log = Arc::new(QueryLog::new(&shared.cloud.counts()).asked_since(since));
        let now = shared.cloud.now();
        Statement { shared, now, log, views: Vec::new() }
    }

    /// A session for this statement, in which unqualified names mean tables of `schema`.
    pub(crate) fn session(&self, schema: &str) -> SessionState {
        let mut session = self.shared.base.clone();
        session.config_mut().set_extension(Arc::clone(&self.log));
        session.config_mut().options_mut().catalog.default_schema = schema.to_owned();
        let secrets = Arc::new(Secrets::new(Arc::clone(&self.shared.catalog), self.shared.settings.secrets));
        session.config_mut().set_extension(Arc::clone(&secrets));
        session.register_catalog_list(Arc::new(Names { statement: self.clone(), secrets }));
        session.mark_start_execution();
        session.execution_props_mut().query_execution_start_time = Some(self.now);
        session
    }

    async fn view(&self, schema: &str, table: &Table, sql: &str, secrets: &Secrets) -> Result<ViewTable> {
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
        Ok(ViewTable::new(typed(table, plan, secrets)?, Some(sql.to_owned())))
    }
}

/// The view's plan with the columns and types its spec promises, as far as the statement around it sees them.
fn typed(table: &Table, plan: LogicalPlan, secrets: &Secrets) -> Result<LogicalPlan> {
    if table.columns.is_empty() {
        return Ok(plan);
    }
    let seen = table.columns.iter().enumerate().filter(|(at, _)| secrets.shows(table, *at));
    let columns = seen.map(|(_, c)| {
        let (field, column) = (c.field(), datafusion::common::Column::from_name(&c.name));
        let missing = |_| EngineError::sql(format!("view {} does not yield its column {}", table.name, c.name), None);
        let found = plan.schema().field_with_unqualified_name(&c.name).map_err(missing)?;
        let expr = col(column);
        Ok(if found.data_type() == field.data_type() { expr } else { cast(expr, field.data_type().clone()).alias(&c.name) })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// What names mean in one session: that of the statement, or that of a view in it.
#[derive(Debug, Clone)]
struct Names {
    statement: Statement,
    secrets: Arc<Secrets>,
}

impl CatalogProviderList for Names {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(Schemas(self.clone())) as Arc<dyn CatalogProvider>)
    }
}

#[derive(Debug)]
struct Schemas(Names);

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        self.0.statement.shared.schemas()
    }

    /// Every name has a schema, so that an unknown one can say so when a table is asked of it.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Tables { names: self.0.clone(), schema: name.to_owned() }))
    }
}

/// The tables of a schema.
#[derive(Debug)]
struct Tables {
    names: Names,
    schema: String,
}

impl Tables {
    fn shared(&self) -> &Arc<Shared> {
        &self.names.statement.shared
    }

    fn unknown_schema(&self) -> EngineError {
        let schemas = self.shared().schemas();
        let near = closest(&self.schema, schemas.iter().map(String::as_str)).map(|s| format!("did you mean \"{s}\"?"));
        let hint = near.unwrap_or_else(|| format!("each connection is a schema; there are: {}", schemas.join(", ")));
        EngineError::sql(format!("schema \"{}\" does not exist", self.schema), Some(hint))
    }

    fn unknown_table(&self, name: &str) -> EngineError {
        let shared = self.shared();
        let own = CatalogTable::names(&self.schema, &shared.default_schema);
        let near = shared.catalog.suggest(name).or_else(|| closest(name, own.iter().copied()));
        let hint = near.map_or_else(|| "select name from assay_tables lists all tables".to_owned(), |n| format!("did you mean \"{n}\"?"));
        self.no_relation(name, hint)
    }

    fn no_relation(&self, name: &str, hint: String) -> EngineError {
        let written = if self.schema == self.shared().default_schema { name.to_owned() } else { format!("{}.{name}", self.schema) };
        EngineError::sql(format!("relation \"{written}\" does not exist"), Some(hint))
    }

    /// The table is of a cloud that none of the schema's connections is of.
    fn other_cloud(&self, table: &Table) -> EngineError {
        let (shared, provider) = (self.shared(), &table.provider);
        let all: Vec<Arc<str>> = shared.cloud.connections().iter().map(|c| Arc::clone(&c.name)).collect();
        let of_it = of_cloud(&shared.cloud, &all, provider);
        let instead = of_it.first().map(|name| format!("{}.{}", quoted(name), table.name));
        if self.schema != shared.default_schema {
            let own = clouds(&shared.cloud, &shared.connections_of(&self.schema).unwrap_or_default());
            let own = own.into_iter().collect::<Vec<_>>().join(" and ");
            let ask = instead.map_or_else(|| format!("there is none of cloud {provider}"), |name| format!("ask {name}"));
            return self.no_relation(&table.name, format!("connection {} is of cloud {own}; {ask}", self.schema));
        }
        match instead {
            Some(name) => EngineError::sql(
                format!("{} cannot be asked: no default connection is of cloud {provider}", table.name),
                Some(format!("write {name}, or add a connection to `default` in assay.yaml or to --connection")),
            ),
            None => EngineError::sql(
                format!("{} cannot be asked: there is no connection of cloud {provider}", table.name),
                Some(format!("add one to assay.yaml: connections: {{ {provider}: {{ cloud: {provider} }} }}")),
            ),
        }
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let shared = self.shared();
        let mut names: Vec<String> = CatalogTable::names(&self.schema, &shared.default_schema).iter().map(|n| (*n).to_owned()).collect();
        let listed = |name: &&str| shared.catalog.table(name).ok().flatten().is_some_and(|table| shared.lists(&self.schema, &table));
        names.extend(shared.catalog.names().into_iter().filter(listed).map(str::to_owned));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let shared = self.shared();
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
            Some(sql) => Arc::new(self.names.statement.view(&self.schema, &table, sql, &self.names.secrets).await?),
            None => {
                let connections = of_cloud(&shared.cloud, &connections, &table.provider);
                if connections.is_empty() {
                    return Err(self.other_cloud(&table).into());
                }
                Arc::new(ApiTable::new(shared.cloud.clone(), table, connections, &self.names.secrets, shared.max_staleness()))
            }
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        let shared = self.shared();
        CatalogTable::names(&self.schema, &shared.default_schema).contains(&name)
            || (shared.connections_of(&self.schema).is_some() && shared.catalog.contains(name))
    }
}

/// A schema's name as it has to be written.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
