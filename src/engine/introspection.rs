//! The catalog in SQL: `information_schema` and `assay_tables`, `assay_columns`, `assay_connections`.
//!
//! Owns: what they say. Refuses: calls; and parsing specs that a filter on the table's name leaves out.

use crate::EngineError;
use crate::filters::filters;
use crate::schemas::{CATALOG, Shared};
use crate::scopes::{clouds, real_connections};
use assay_tables::{Column, ColumnType, Filter, KeyOp, Scalar, ScopeKind, Table, jsonb};
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde_json::Value;
use std::sync::Arc;

/// PostgreSQL's schema of the catalog.
pub(crate) const SCHEMA: &str = "information_schema";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Schemata,
    Tables,
    Columns,
    AssayTables,
    AssayColumns,
    AssayConnections,
}

/// Name, kind and columns of each; the table name that filters may narrow comes by its column.
type Definition = (&'static str, Kind, &'static [(&'static str, ColumnType)]);

const INFORMATION: [Definition; 3] = [
    (
        "columns",
        Kind::Columns,
        &[
            ("table_catalog", ColumnType::Text),
            ("table_schema", ColumnType::Text),
            ("table_name", ColumnType::Text),
            ("column_name", ColumnType::Text),
            ("ordinal_position", ColumnType::Int),
            ("column_default", ColumnType::Text),
            ("is_nullable", ColumnType::Text),
            ("data_type", ColumnType::Text),
            ("character_maximum_length", ColumnType::Int),
            ("numeric_precision", ColumnType::Int),
            ("datetime_precision", ColumnType::Int),
            ("udt_name", ColumnType::Text),
            ("is_updatable", ColumnType::Text),
        ],
    ),
    (
        "schemata",
        Kind::Schemata,
        &[("catalog_name", ColumnType::Text), ("schema_name", ColumnType::Text), ("schema_owner", ColumnType::Text)],
    ),
    (
        "tables",
        Kind::Tables,
        &[
            ("table_catalog", ColumnType::Text),
            ("table_schema", ColumnType::Text),
            ("table_name", ColumnType::Text),
            ("table_type", ColumnType::Text),
            ("is_insertable_into", ColumnType::Text),
        ],
    ),
];

const OWN: [Definition; 3] = [
    (
        "assay_columns",
        Kind::AssayColumns,
        &[
            ("table_name", ColumnType::Text),
            ("column_name", ColumnType::Text),
            ("ordinal_position", ColumnType::Int),
            ("data_type", ColumnType::Text),
            ("is_key", ColumnType::Bool),
            ("required", ColumnType::Bool),
            ("operators", ColumnType::Text),
            ("about", ColumnType::Text),
            ("secret", ColumnType::Bool),
        ],
    ),
    (
        "assay_connections",
        Kind::AssayConnections,
        &[
            ("name", ColumnType::Text),
            ("cloud", ColumnType::Text),
            ("kind", ColumnType::Text),
            ("members", ColumnType::Jsonb),
            ("is_default", ColumnType::Bool),
        ],
    ),
    (
        "assay_tables",
        Kind::AssayTables,
        &[
            ("name", ColumnType::Text),
            ("provider", ColumnType::Text),
            ("kind", ColumnType::Text),
            ("scope", ColumnType::Text),
            ("service", ColumnType::Text),
            ("key_columns", ColumnType::Jsonb),
            ("required_columns", ColumnType::Jsonb),
            ("about", ColumnType::Text),
        ],
    ),
];

/// A table about the catalog.
#[derive(Debug)]
pub(crate) struct CatalogTable {
    shared: Arc<Shared>,
    kind: Kind,
    columns: &'static [(&'static str, ColumnType)],
    schema: SchemaRef,
}

impl CatalogTable {
    fn definitions(schema: &str, default_schema: &str) -> &'static [Definition] {
        match schema {
            SCHEMA => &INFORMATION,
            _ if schema == default_schema => &OWN,
            _ => &[],
        }
    }

    /// Names of the catalog tables in a schema, sorted.
    pub(crate) fn names(schema: &str, default_schema: &str) -> Vec<&'static str> {
        Self::definitions(schema, default_schema).iter().map(|(name, ..)| *name).collect()
    }

    /// The catalog table of a name.
    pub(crate) fn find(shared: &Arc<Shared>, schema: &str, name: &str) -> Option<CatalogTable> {
        let definitions = Self::definitions(schema, &shared.default_schema);
        let (_, kind, columns) = *definitions.iter().find(|(n, ..)| *n == name)?;
        let fields: Vec<_> = columns.iter().map(|(name, ty)| column(name, *ty).field()).collect();
        Some(CatalogTable { shared: Arc::clone(shared), kind, columns, schema: Arc::new(Schema::new(fields)) })
    }

    /// The column with names of tables, by which specs are left out.
    fn name_column(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Tables | Kind::Columns | Kind::AssayColumns => Some("table_name"),
            Kind::AssayTables => Some("name"),
            Kind::Schemata | Kind::AssayConnections => None,
        }
    }

    fn name_filters(&self, expr: &Expr) -> Vec<Filter> {
        let column = self.name_column();
        filters(expr, &|name| (Some(name) == column).then_some(ColumnType::Text))
    }

    fn rows(&self, wanted: &[Filter]) -> Result<Vec<Vec<Value>>, EngineError> {
        let shared = &self.shared;
        Ok(match self.kind {
            Kind::Schemata => shared.schemas().into_iter().map(|s| vec![CATALOG.into(), s.into(), CATALOG.into()]).collect(),
            Kind::AssayConnections => connections(shared),
            Kind::AssayTables => self.tables(wanted)?.iter().map(|t| table_row(t)).collect(),
            Kind::AssayColumns => self.tables(wanted)?.iter().flat_map(|t| column_rows(t)).collect(),
            Kind::Tables => {
                let mut rows = Vec::new();
                self.per_schema(wanted, &mut |schema, name, table| {
                    let kind = if table.is_some_and(|t| t.view.is_none()) { "FOREIGN" } else { "VIEW" };
                    rows.push(vec![CATALOG.into(), schema.into(), name.into(), kind.into(), "NO".into()]);
                })?;
                rows
            }
            Kind::Columns => {
                let mut rows = Vec::new();
                self.per_schema(wanted, &mut |schema, name, table| {
                    let own = CatalogTable::find(shared, schema, name);
                    let columns: Vec<Column> = match (table, &own) {
                        (Some(table), _) => table.columns.iter().filter(|c| !c.secret).cloned().collect(),
                        (None, Some(own)) => own.columns.iter().map(|(name, ty)| column(name, *ty)).collect(),
                        (None, None) => Vec::new(),
                    };
                    rows.extend(columns.iter().enumerate().map(|(i, c)| information_column(schema, name, i, c)));
                })?;
                rows
            }
        })
    }

    /// The tables of the catalog that filters on their name leave over, sorted by name.
    fn tables(&self, wanted: &[Filter]) -> Result<Vec<Arc<Table>>, EngineError> {
        let catalog = &self.shared.catalog;
        let names = catalog.names().into_iter().filter(|name| wanted.iter().all(|f| passes(f, name)));
        let tables = names.filter_map(|name| catalog.table(name).transpose());
        Ok(tables.collect::<Result<Vec<_>, _>>()?)
    }

    fn per_schema(&self, wanted: &[Filter], each: &mut dyn FnMut(&str, &str, Option<&Table>)) -> Result<(), EngineError> {
        let tables = self.tables(wanted)?;
        for schema in self.shared.schemas() {
            for name in Self::names(&schema, &self.shared.default_schema) {
                if wanted.iter().all(|f| passes(f, name)) {
                    each(&schema, name, None);
                }
            }
            tables.iter().filter(|t| self.shared.lists(&schema, t)).for_each(|t| each(&schema, &t.name, Some(t)));
        }
        Ok(())
    }
}

fn column(name: &str, ty: ColumnType) -> Column {
    Column { name: name.to_owned(), ty, about: String::new(), secret: false }
}

fn passes(filter: &Filter, name: &str) -> bool {
    match filter {
        Filter::OneOf { values, .. } => values.iter().any(|v| matches!(v, Scalar::Text(t) if t == name)),
        Filter::Prefix { prefix, .. } => name.starts_with(prefix.as_str()),
        Filter::Range { .. } => true,
    }
}

fn connections(shared: &Shared) -> Vec<Vec<Value>> {
    let default = real_connections(&shared.cloud, &shared.search_path);
    let row = |c: &assay_cloud::Connection| {
        let members: Vec<Value> = c.members.iter().map(|m| m.as_ref().into()).collect();
        let is_default = shared.search_path.contains(&c.name) || default.contains(&c.name);
        let clouds = clouds(&shared.cloud, std::slice::from_ref(&c.name));
        let clouds = clouds.into_iter().collect::<Vec<_>>().join(", ");
        vec![c.name.as_ref().into(), clouds.into(), c.kind().into(), members.into(), is_default.into()]
    };
    shared.cloud.connections().iter().map(row).collect()
}

fn table_row(table: &Table) -> Vec<Value> {
    let keys: Vec<Value> = table.keys.iter().map(|k| k.column.as_str().into()).collect();
    let required: Vec<Value> = table.keys.iter().filter(|k| k.required).map(|k| k.column.as_str().into()).collect();
    let scope = match table.scope {
        ScopeKind::Account => "account",
        ScopeKind::Region => "region",
        ScopeKind::Subscription => "subscription",
        ScopeKind::Tenant => "tenant",
    };
    vec![
        table.name.as_str().into(),
        table.provider.as_str().into(),
        if table.view.is_some() { "view" } else { "calls" }.into(),
        scope.into(),
        table.service.as_deref().into(),
        keys.into(),
        required.into(),
        table.about.as_str().into(),
    ]
}

fn column_rows(table: &Table) -> Vec<Vec<Value>> {
    let row = |(i, c): (usize, &Column)| {
        let key = table.keys.iter().find(|k| k.column == c.name);
        let operators = key.map(|k| k.ops.iter().map(|op| operator(*op)).collect::<Vec<_>>().join(", "));
        vec![
            table.name.as_str().into(),
            c.name.as_str().into(),
            (i + 1).into(),
            c.ty.sql_name().into(),
            key.is_some().into(),
            key.is_some_and(|k| k.required).into(),
            operators.into(),
            if c.about.is_empty() { Value::Null } else { c.about.as_str().into() },
            c.secret.into(),
        ]
    };
    table.columns.iter().enumerate().map(row).collect()
}

fn operator(op: KeyOp) -> &'static str {
    match op {
        KeyOp::Eq => "=",
        KeyOp::In => "in",
        KeyOp::Prefix => "like 'x%'",
        KeyOp::Range => "< <= > >=",
    }
}

fn information_column(schema: &str, table: &str, at: usize, column: &Column) -> Vec<Value> {
    let precision: Value = match column.ty {
        ColumnType::Int => 64.into(),
        ColumnType::Double => 53.into(),
        _ => Value::Null,
    };
    let time: Value = if column.ty == ColumnType::Timestamp { 6.into() } else { Value::Null };
    vec![
        CATALOG.into(),
        schema.into(),
        table.into(),
        column.name.as_str().into(),
        (at + 1).into(),
        Value::Null,
        "YES".into(),
        column.ty.sql_name().into(),
        Value::Null,
        precision,
        time,
        internal_name(column.ty).into(),
        "NO".into(),
    ]
}

/// PostgreSQL's internal name of a type, as in `udt_name`.
fn internal_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Int => "int8",
        ColumnType::Double => "float8",
        ColumnType::Bool => "bool",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Text => "text",
        ColumnType::Jsonb => "jsonb",
        ColumnType::Inet => "inet",
        ColumnType::Cidr => "cidr",
    }
}

fn array(ty: ColumnType, cells: impl Iterator<Item = Value>) -> ArrayRef {
    match ty {
        ColumnType::Int => Arc::new(cells.map(|v| v.as_i64()).collect::<Int64Array>()),
        ColumnType::Bool => Arc::new(cells.map(|v| v.as_bool()).collect::<BooleanArray>()),
        ColumnType::Jsonb => Arc::new(cells.map(|v| (!v.is_null()).then(|| jsonb::to_text(&v))).collect::<StringArray>()),
        _ => Arc::new(cells.map(|v| v.as_str().map(str::to_owned)).collect::<StringArray>()),
    }
}

#[async_trait]
impl TableProvider for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, exprs: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let narrows = |e: &&Expr| {
            if self.name_filters(e).is_empty() { TableProviderFilterPushDown::Unsupported } else { TableProviderFilterPushDown::Inexact }
        };
        Ok(exprs.iter().map(narrows).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        exprs: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<Filter> = exprs.iter().flat_map(|e| self.name_filters(e)).collect();
        let rows = self.rows(&wanted)?;
        let column = |(i, (_, ty)): (usize, &(&str, ColumnType))| array(*ty, rows.iter().map(|r| r[i].clone()));
        let columns = self.columns.iter().enumerate().map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        MemTable::try_new(Arc::clone(&self.schema), vec![vec![batch]])?.scan(session, projection, &[], None).await
    }
}
