//! Connects build sides with the scans that their values can be asked from.

use super::choose::Feed;
use super::sides::{binds, keys};
use super::streamed::streamed;
use super::tap::JoinKeysExec;
use super::trace::{self, Key};
use super::values::{Binding, Source};
use crate::EngineError;
use crate::dialect::depth::deep;
use crate::scan::ApiScan;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Binds scans to joins and subqueries of one row; refuses plans in which a scan lacks a value it needs.
#[derive(Debug)]
pub(crate) struct BindJoins;

impl PhysicalOptimizerRule for BindJoins {
    fn name(&self) -> &str {
        "bind_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        deep(|| {
            let plan = plan.transform_down(bound)?.data;
            check(&plan)?;
            // A plan for one partition is run where nothing drives tasks.
            if config.execution.target_partitions == 1 { Ok(plan) } else { streamed(plan, None) }
        })
    }
}

fn bound(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let changed = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        of_join(&node, join)?
    } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
        of_filter(&node, filter)?
    } else {
        None
    };
    Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
}

fn of_join(node: &Arc<dyn ExecutionPlan>, join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let one_build = *join.partition_mode() == PartitionMode::CollectLeft && join.left().output_partitioning().partition_count() == 1;
    if !one_build || !binds(join, *join.join_type()) {
        return Ok(None);
    }
    let keys = keys(join, JoinSide::Right);
    // Only keys that some scan can do something with are collected.
    let mut used = BTreeSet::new();
    trace::map_scans(join.right(), &keys, &mut |scan, keys| {
        used.extend(scan.uses(&pairs(keys)).into_iter().map(|(at, _)| at));
        Ok(None)
    })?;
    let used: Vec<usize> = used.into_iter().collect();
    let keys: Vec<Key> =
        keys.iter().filter_map(|key| Some(Key { at: used.iter().position(|at| *at == key.at)?, column: key.column })).collect();
    let binding = Arc::new(Binding::new());
    let Some(probe) = feed(join.right(), &keys, &Source::Join(Arc::clone(&binding)))? else { return Ok(None) };
    let exprs = used.iter().map(|at| Arc::clone(&join.on()[*at].0)).collect();
    let build = Arc::new(JoinKeysExec::new(Arc::clone(join.left()), exprs, binding));
    replaced(node, vec![build, probe]).map(Some)
}

/// `column = (select …)`: the subquery has run before the scan is polled.
fn of_filter(node: &Arc<dyn ExecutionPlan>, filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut input = None;
    for part in split_conjunction(filter.predicate()) {
        let Some(binary) = part.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Eq) else { continue };
        let (left, right) = (binary.left(), binary.right());
        let (column, value) = match (trace::column(left), trace::column(right)) {
            (Some(column), None) if is_subquery(right) => (column, right),
            (None, Some(column)) if is_subquery(left) => (column, left),
            _ => continue,
        };
        let below = input.as_ref().unwrap_or_else(|| filter.input());
        if let Some(fed) = feed(below, &[Key { at: 0, column }], &Source::Value(Arc::clone(value)))? {
            input = Some(fed);
        }
    }
    input.map(|input| replaced(node, vec![input])).transpose()
}

/// True for an expression that subqueries alone decide.
fn is_subquery(expr: &Arc<dyn PhysicalExpr>) -> bool {
    collect_columns(expr).is_empty() && expr.exists(|part| Ok(part.downcast_ref::<ScalarSubqueryExpr>().is_some())).unwrap_or(false)
}

fn feed(plan: &Arc<dyn ExecutionPlan>, keys: &[Key], source: &Source) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    trace::map_scans(plan, keys, &mut |scan, keys| {
        let columns = scan.uses(&pairs(keys));
        Ok((!columns.is_empty()).then(|| scan.fed(Feed { source: source.clone(), columns })))
    })
}

fn pairs(keys: &[Key]) -> Vec<(usize, usize)> {
    keys.iter().map(|key| (key.at, key.column)).collect()
}

fn replaced(node: &Arc<dyn ExecutionPlan>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    Arc::clone(node).replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Refuses what no value can come for.
fn check(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut refused: Option<(String, String)> = None;
    plan.apply(|node| {
        if let Some(scan) = node.downcast_ref::<ApiScan>()
            && let Some(why) = scan.refusal()
        {
            refused = Some((scan.table().to_owned(), why.to_string()));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match refused {
        None => Ok(()),
        Some((table, why)) => Err(EngineError::sql(why, keeping(plan, &table)?).into()),
    }
}

/// The join that would feed a scan if it did not keep all of its rows, in words.
fn keeping(plan: &Arc<dyn ExecutionPlan>, table: &str) -> Result<Option<String>> {
    let mut found = None;
    plan.apply(|node| {
        let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(TreeNodeRecursion::Continue) };
        for (side, input, kind) in
            [(JoinSide::Left, join.left(), join.join_type().swap()), (JoinSide::Right, join.right(), *join.join_type())]
        {
            if binds(join, kind) {
                continue;
            }
            trace::map_scans(input, &keys(join, side), &mut |scan, keys| {
                if scan.table() == table && scan.refusal().is_some() && !scan.uses(&pairs(keys)).is_empty() {
                    found = Some(words(join, table));
                }
                Ok(None)
            })?;
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn words(join: &HashJoinExec, table: &str) -> String {
    match join.join_type() {
        _ if join.null_aware => format!("NOT IN looks for NULLs in all of {table}: write NOT EXISTS"),
        JoinType::Full => format!("a full join keeps all rows of {table}: use an inner join, or a left join with {table} on the right"),
        JoinType::Left | JoinType::Right => {
            format!("this outer join keeps all rows of {table}: use an inner join, or put {table} on the side that may be missing")
        }
        JoinType::LeftAnti | JoinType::RightAnti => format!("NOT EXISTS keeps rows of {table} that the other side does not have"),
        JoinType::LeftMark | JoinType::RightMark => {
            format!("a subquery beside OR keeps other rows of {table}: write two queries with UNION")
        }
        _ => format!("IS NOT DISTINCT FROM also finds NULLs, which {table} cannot be asked for: write ="),
    }
}
