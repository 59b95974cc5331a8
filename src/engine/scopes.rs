//! Which scopes a scan asks: accounts behind the connections, regions of each, pruned by the query's filters before anything is called.
//!
//! Owns: the predicates over scope columns, and that a scope that cannot be found is a failure in the log, not a failed query.
//! Refuses: asking for an identity or for regions that no filter and no table needs.

use crate::{Failure, QueryLog};
use assay_cloud::{Account, Cloud, CloudError, Scope, aws};
use assay_tables::{ScopeKind, Table};
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt;
use futures::stream;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Accounts whose identity or regions are asked at once.
const ACCOUNTS_AT_ONCE: usize = 32;
/// The `region` of what is in no region.
const GLOBAL: &str = "global";
/// Partitions of AWS, where an account's own is not known yet. Names of regions are unique over all of them.
const PARTITIONS: [&str; 7] = ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-f"];

/// Columns that a scope alone decides, in the order in which it costs more to know them: connection, account or its like, region.
fn scope_columns(table: &Table) -> [&'static str; 3] {
    ["sp_connection_name", table.account_column(), "region"]
}

/// Can this filter be decided on scopes alone, so that the scan honours it in full?
pub(crate) fn decides(table: &Table, expr: &Expr) -> bool {
    let columns = expr.column_refs();
    let of_scope = |name: &str| scope_columns(table).contains(&name) && table.is_of_scope(name);
    !columns.is_empty() && columns.iter().all(|c| of_scope(&c.name)) && !expr.is_volatile() && !needs_more_than_a_row(expr)
}

/// Does it ask anything beside the row: another query, a parameter, an aggregate?
pub(crate) fn needs_more_than_a_row(expr: &Expr) -> bool {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    let mut found = false;
    let walked = expr.apply(|e| {
        found |= matches!(
            e,
            Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Placeholder(_)
                | Expr::ScalarVariable(..)
                | Expr::Unnest(_)
        );
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || walked.is_err()
}

/// A filter over scope columns.
#[derive(Debug, Clone)]
pub(crate) struct ScopePredicate {
    expr: Arc<dyn PhysicalExpr>,
    columns: [&'static str; 3],
    /// The position in [`scope_columns`] of the dearest column it reads.
    dearest: usize,
    text: String,
}

impl ScopePredicate {
    pub(crate) fn new(session: &dyn Session, table: &Table, expr: &Expr) -> Result<ScopePredicate> {
        let columns = scope_columns(table);
        let schema = DFSchema::try_from(schema(columns))?;
        let dearest = expr.column_refs().iter().filter_map(|c| columns.iter().position(|s| *s == c.name)).max().unwrap_or(0);
        Ok(ScopePredicate { expr: session.create_physical_expr(expr.clone(), &schema)?, columns, dearest, text: expr.to_string() })
    }

    /// The filter as SQL, for EXPLAIN.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn schema(columns: [&str; 3]) -> Schema {
    Schema::new(columns.map(|name| Field::new(name, DataType::Utf8, true)).to_vec())
}

/// What is known of a scope, in the order of [`scope_columns`].
type Known<'a> = [Option<&'a str>; 3];

/// Which candidates pass every predicate that reads no dearer column than `upto`.
fn keep(predicates: &[ScopePredicate], upto: usize, candidates: &[Known<'_>]) -> Result<Vec<bool>> {
    let mut kept = vec![true; candidates.len()];
    let asked: Vec<_> = predicates.iter().filter(|p| p.dearest <= upto).collect();
    let Some(first) = asked.first().filter(|_| !candidates.is_empty()) else { return Ok(kept) };
    let column = |i: usize| Arc::new(candidates.iter().map(|c| c[i]).collect::<StringArray>()) as Arc<dyn Array>;
    let batch = RecordBatch::try_new(Arc::new(schema(first.columns)), (0..first.columns.len()).map(column).collect())?;
    for predicate in asked {
        let answer = predicate.expr.evaluate(&batch)?.into_array(batch.num_rows())?;
        let Some(answer) = answer.as_boolean_opt() else { return exec_err!("argument of WHERE must be type boolean: {}", predicate.text) };
        for (row, kept) in kept.iter_mut().enumerate() {
            *kept &= answer.is_valid(row) && answer.value(row);
        }
    }
    Ok(kept)
}

/// Where scopes of a table come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Discovery<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) log: &'a QueryLog,
    pub(crate) table: &'a Table,
    /// Filters that prune; each is decided as soon as what it reads is known.
    pub(crate) predicates: &'a [ScopePredicate],
}

impl Discovery<'_> {
    /// The scopes to ask, in the order of connections, accounts and regions.
    pub(crate) async fn scopes(self, connections: &[Arc<str>]) -> Result<Vec<Scope>> {
        let connections = real_connections(self.cloud, connections);
        let known: Vec<Known<'_>> = connections.iter().map(|c| [Some(c.as_ref()), None, None]).collect();
        let kept = keep(self.predicates, 0, &known)?;
        let wanted: Vec<Arc<str>> = connections.iter().zip(kept).filter(|(_, kept)| *kept).map(|(c, _)| Arc::clone(c)).collect();
        let mut answers = stream::iter(wanted).map(|c| self.of_connection(c)).buffered(ACCOUNTS_AT_ONCE);
        let mut seen = BTreeSet::new();
        let mut accounts = Vec::new();
        while let Some((connection, answer)) = answers.next().await {
            if !self.cloud.knows_accounts(&connection) && self.table.scope != ScopeKind::Tenant && self.cloud.is_offline() {
                self.log.assume_scopes(&self.table.name);
            }
            match answer {
                Ok(found) => accounts.extend(found.into_iter().filter(|a| seen.insert(Arc::clone(&a.key)))),
                Err(error) => self.fail(&connection, None, error),
            }
        }
        drop(answers);
        // Two connections may reach the same account; then its rows come through the first of them only.
        let overlap = accounts.iter().any(|a| a.connection != accounts[0].connection);
        let mut answers = stream::iter(accounts).map(|account| self.of_account(account, overlap)).buffered(ACCOUNTS_AT_ONCE);
        let mut scopes: Vec<Scope> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(found) = answers.next().await {
            scopes.extend(found?.into_iter().filter(|scope| match scope.account.known_identity() {
                Some(identity) if overlap => seen.insert((identity.account_id, Arc::clone(&scope.region))),
                _ => true,
            }));
        }
        Ok(scopes)
    }

    async fn of_connection(self, connection: Arc<str>) -> (Arc<str>, Result<Vec<Arc<Account>>, CloudError>) {
        let found = match self.table.scope {
            ScopeKind::Tenant => self.cloud.tenants(&connection).await,
            ScopeKind::Account | ScopeKind::Region | ScopeKind::Subscription => self.cloud.accounts(&connection).await,
        };
        (connection, found)
    }

    async fn of_account(self, account: Arc<Account>, overlap: bool) -> Result<Vec<Scope>> {
        let connection = Arc::clone(&account.connection);
        let filtered = self.predicates.iter().any(|p| p.reads(self.table.account_column()));
        let mut identity = account.known_identity();
        if identity.is_none() && (filtered || overlap) {
            match self.cloud.identity(&account).await {
                Ok(found) => identity = Some(found),
                // Nobody may ask: it may be the one that is wanted.
                Err(_) if self.cloud.is_offline() => self.log.assume_scopes(&self.table.name),
                Err(error) if filtered => {
                    self.fail(&connection, None, error);
                    return Ok(Vec::new());
                }
                // Whether it is somebody else's account again stays unknown; its calls will say what is wrong with it.
                Err(_) => {}
            }
        }
        let id = identity.as_ref().map(|i| i.account_id.as_ref());
        let undecided = id.is_none() && self.cloud.is_offline();
        let decided: Vec<ScopePredicate> =
            self.predicates.iter().filter(|p| !undecided || !p.reads(self.table.account_column())).cloned().collect();
        if !keep(&decided, 1, &[[Some(&connection), id, None]])?[0] {
            return Ok(Vec::new());
        }
        let regions: Vec<Arc<str>> = match self.table.scope {
            ScopeKind::Account => vec![account.home_region()],
            ScopeKind::Subscription | ScopeKind::Tenant => vec![GLOBAL.into()],
            ScopeKind::Region => match self.cloud.regions(&account).await {
                Ok(regions) => regions.iter().cloned().collect(),
                Err(_) if self.cloud.is_offline() => {
                    self.log.assume_scopes(&self.table.name);
                    account.likely_regions()
                }
                Err(error) => {
                    self.fail(&connection, id, error);
                    return Ok(Vec::new());
                }
            },
        };
        let regions = match (self.table.scope, &self.table.service) {
            (ScopeKind::Region, Some(service)) => supported(service, identity.as_ref().map(|i| i.partition.as_ref()), regions),
            _ => regions,
        };
        // The column says `global` where the scope has no region of its own.
        let shown = |r| if self.table.scope == ScopeKind::Region { r } else { GLOBAL };
        let known: Vec<Known<'_>> = regions.iter().map(|r| [Some(connection.as_ref()), id, Some(shown(r.as_ref()))]).collect();
        let kept = keep(&decided, 2, &known)?;
        let kept = regions.into_iter().zip(kept).filter(|(_, kept)| *kept);
        Ok(kept.map(|(region, _)| Scope { account: Arc::clone(&account), region }).collect())
    }

    fn fail(&self, connection: &str, account: Option<&str>, error: CloudError) {
        self.log.fail(Failure {
            table: self.table.name.clone(),
            connection: connection.to_owned(),
            account: account.map(str::to_owned),
            region: None,
            row: None,
            columns: Vec::new(),
            error,
        });
    }
}

impl ScopePredicate {
    fn reads(&self, column: &str) -> bool {
        datafusion::physical_expr::utils::collect_columns(&self.expr).iter().any(|c| c.name() == column)
    }
}

/// Aggregates replaced by their members, each connection once, in order.
pub(crate) fn real_connections(cloud: &Cloud, names: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo: Vec<Arc<str>> = names.iter().rev().cloned().collect();
    while let Some(name) = todo.pop() {
        if !seen.insert(Arc::clone(&name)) {
            continue;
        }
        match cloud.connections().iter().find(|c| c.name == name) {
            Some(connection) if !connection.members.is_empty() => todo.extend(connection.members.iter().rev().cloned()),
            _ => out.push(name),
        }
    }
    out
}

/// The clouds behind some connections.
pub(crate) fn clouds<'a>(cloud: &'a Cloud, names: &[Arc<str>]) -> BTreeSet<&'a str> {
    let real = real_connections(cloud, names);
    cloud.connections().iter().filter(|c| real.contains(&c.name)).map(|c| c.cloud()).filter(|c| !c.is_empty()).collect()
}

/// The real connections of one cloud among those that some names stand for, in order.
pub(crate) fn of_cloud(cloud: &Cloud, names: &[Arc<str>], provider: &str) -> Arc<[Arc<str>]> {
    let is_of = |name: &Arc<str>| cloud.connections().iter().any(|c| c.name == *name && c.cloud() == provider);
    real_connections(cloud, names).into_iter().filter(is_of).collect()
}

/// The regions where a service has an endpoint; all of them where the models do not say.
fn supported(service: &str, partition: Option<&str>, regions: Vec<Arc<str>>) -> Vec<Arc<str>> {
    let known: Vec<_> = match partition {
        Some(partition) => aws::model::service_regions(service, partition).into_iter().collect(),
        None => PARTITIONS.iter().filter_map(|p| aws::model::service_regions(service, p)).collect(),
    };
    if known.is_empty() {
        return regions;
    }
    regions.into_iter().filter(|r| known.iter().flatten().any(|k| *k == r.as_ref())).collect()
}
