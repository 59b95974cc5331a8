//! A table spec as DataFusion's table provider, over the connections of a schema.
//!
//! Owns: which filters go to scopes, which to the API, and which stay with DataFusion. Refuses: secret columns that the statement does not
//! see; they are not part of the table's SQL schema.

use crate::QueryLog;
use crate::early::{self, Early};
use crate::filters::filters;
use crate::scan::{ApiScan, ScanSpec};
use crate::scopes::{self, Discovery, ScopePredicate};
use crate::secrets::Secrets;
use assay_cloud::Cloud;
use assay_tables::{Filter, Request, Table};
use async_trait::async_trait;
use chrono::TimeDelta;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// A table of calls over some connections.
#[derive(Debug)]
pub(crate) struct ApiTable {
    cloud: Cloud,
    table: Arc<Table>,
    connections: Arc<[Arc<str>]>,
    /// Positions in the spec of the columns that SQL sees.
    visible: Vec<usize>,
    schema: SchemaRef,
    /// How old what it shows may be.
    max_staleness: TimeDelta,
}

impl ApiTable {
    /// `connections` are all of the table's provider.
    pub(crate) fn new(
        cloud: Cloud,
        table: Arc<Table>,
        connections: Arc<[Arc<str>]>,
        secrets: &Secrets,
        max_staleness: TimeDelta,
    ) -> ApiTable {
        let visible: Vec<usize> = (0..table.columns.len()).filter(|i| secrets.shows(&table, *i)).collect();
        let schema = Arc::new(Schema::new(visible.iter().map(|i| table.columns[*i].field()).collect::<Vec<_>>()));
        ApiTable { cloud, table, connections, visible, schema, max_staleness }
    }

    fn filters_of(&self, expr: &Expr) -> Vec<Filter> {
        filters(expr, &|name| self.table.column_type(name))
    }
}

#[async_trait]
impl TableProvider for ApiTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, exprs: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let summaries = self.max_staleness > TimeDelta::zero();
        let support = |expr: &&Expr| {
            if scopes::decides(&self.table, expr) {
                TableProviderFilterPushDown::Exact
            } else if early::decides(&self.table, expr).is_some()
                || self.filters_of(expr).iter().any(|f| self.table.uses(f) || (summaries && self.table.heeds(f)))
            {
                // What an API makes of a parameter is its business (case, wildcards, eventual consistency): DataFusion checks again.
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(exprs.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        exprs: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let log = session.config().get_extension::<QueryLog>().unwrap_or_default();
        let (wanted, schema) = match projection {
            Some(wanted) => (wanted.iter().map(|i| self.visible[*i]).collect(), Arc::new(self.schema.project(wanted)?)),
            None => (self.visible.clone(), Arc::clone(&self.schema)),
        };
        let (of_scope, of_rows): (Vec<&Expr>, Vec<&Expr>) = exprs.iter().partition(|e| scopes::decides(&self.table, e));
        let request =
            Request { projection: wanted, filters: of_rows.iter().flat_map(|e| self.filters_of(e)).collect(), now: self.cloud.now() };
        // Where a key column is missing, the other side of a join may have it: what no join feeds is refused before it is read.
        let plan = self.table.plan(&request);
        log.reads(&self.table.name, self.table.scope);
        if self.cloud.is_replay() {
            for column in request.projection.iter().map(|i| &self.table.columns[*i]).filter(|c| c.secret) {
                log.notice(&format!(
                    "{}.{} is secret: a recording leaves it out, and NULL does not say that it is empty",
                    self.table.name, column.name
                ));
            }
        }
        let predicates = of_scope.into_iter().map(|e| ScopePredicate::new(session, &self.table, e)).collect::<Result<Vec<_>>>()?;
        let discovery = Discovery { cloud: &self.cloud, log: &log, table: &self.table, predicates: &predicates };
        let spec = ScanSpec {
            scopes: discovery.scopes(&self.connections).await?,
            table: Arc::clone(&self.table),
            pruned_by: predicates.iter().map(|p| p.text().to_owned()).collect(),
            filters: request.filters,
            projection: request.projection,
            // A filter that DataFusion checks again may drop rows, and then more of them are needed than the limit says.
            limit: limit.filter(|_| of_rows.is_empty()),
            max_staleness: self.max_staleness,
        };
        let early = Early::new(session, &self.table, of_rows.iter().copied())?;
        Ok(Arc::new(ApiScan::new(spec, plan, request.now, schema, self.cloud.clone(), log).before_calls(early)))
    }
}
