//! Where the columns of an operator come from, down to the scans.
//!
//! A join whose probe rows count only where they meet a value of the build side may leave all other probe rows out. Owns: how far down that
//! may happen. A step down is one where rows with other values cannot change what becomes of rows with these: not through a limit, nor
//! through an aggregate or a window over more than the column.

use crate::dialect::depth::deep;
use crate::scan::ApiScan;
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use std::sync::Arc;

/// A key of the join and the column that stands for it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Its place among the keys of the join.
    pub(super) at: usize,
    /// The column.
    pub(super) column: usize,
}

/// Operators that hand on the rows and columns of their only input.
const SAME: [&str; 11] = [
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "JoinKeysExec",
    "OrderedCoalesceExec",
    "OutputRequirementExec",
    "RepartitionExec",
    "SliceExec",
    "SortExec",
    "SortPreservingMergeExec",
];

/// What is done at a scan, with the keys as its columns: the scan that comes of it, if any.
pub(super) type AtScan<'a> = dyn FnMut(&ApiScan, &[Key]) -> Result<Option<ApiScan>> + 'a;

/// Does something at the scans that the columns come from; gives the plan with the scans that came of it, or nothing where none did.
pub(super) fn map_scans(node: &Arc<dyn ExecutionPlan>, keys: &[Key], f: &mut AtScan<'_>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    deep(|| {
        if keys.is_empty() || node.fetch().is_some() {
            return Ok(None);
        }
        if let Some(scan) = node.downcast_ref::<ApiScan>() {
            return Ok(f(scan, keys)?.map(|scan| Arc::new(scan) as Arc<dyn ExecutionPlan>));
        }
        let mut children: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().cloned().collect();
        let mut changed = false;
        for (child, keys) in steps(node.as_ref(), keys) {
            if let Some(new) = map_scans(&children[child], &keys, f)? {
                children[child] = new;
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Arc::clone(node).replace_children(children, options).map(Some)
    })
}

/// The column below casts that change nothing about a text.
pub(super) fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(column.index());
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let inner = cast.expr().downcast_ref::<Column>()?;
    is_text(cast.cast_type()).then(|| inner.index())
}

fn is_text(ty: &datafusion::arrow::datatypes::DataType) -> bool {
    use datafusion::arrow::datatypes::DataType;
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The children that keys can be followed into, with their columns there.
fn steps(node: &dyn ExecutionPlan, keys: &[Key]) -> Vec<(usize, Vec<Key>)> {
    let through = |f: &dyn Fn(usize) -> Option<usize>| -> Vec<(usize, Vec<Key>)> {
        vec![(0, keys.iter().filter_map(|key| Some(Key { at: key.at, column: f(key.column)? })).collect())]
    };
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return through(&|column| match filter.projection() {
            Some(projection) => projection.get(column).copied(),
            None => Some(column),
        });
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return through(&|at| column(&projection.expr().get(at)?.expr));
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        if groups.has_grouping_set() || aggregate.limit_options().is_some() {
            return Vec::new();
        }
        return through(&|at| column(&groups.expr().get(at)?.0));
    }
    if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        let input = window.input().schema().fields().len();
        return through(&|at| (at < input && window.window_expr().iter().all(|w| parts_by(w.partition_by(), at))).then_some(at));
    }
    if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        let input = window.input().schema().fields().len();
        return through(&|at| (at < input && window.window_expr().iter().all(|w| parts_by(w.partition_by(), at))).then_some(at));
    }
    if let Some(unnest) = node.downcast_ref::<UnnestExec>() {
        let plain = |at: usize| !unnest.list_column_indices().iter().any(|list| list.index_in_input_schema == at);
        let same = unnest.struct_column_indices().is_empty() && unnest.schema().fields().len() == unnest.input().schema().fields().len();
        return if same { through(&|at| plain(at).then_some(at)) } else { Vec::new() };
    }
    if node.downcast_ref::<UnionExec>().is_some() || node.downcast_ref::<InterleaveExec>().is_some() {
        return (0..node.children().len()).map(|child| (child, keys.to_vec())).collect();
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return of_hash_join(join, keys);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let left = join.left().schema().fields().len();
        return of_sides(keys, *join.join_type(), left, join.projection().as_deref());
    }
    if let Some(join) = node.downcast_ref::<CrossJoinExec>() {
        return of_sides(keys, JoinType::Inner, join.left().schema().fields().len(), None);
    }
    if SAME.contains(&node.name()) || node.name() == "ScalarSubqueryExec" {
        return vec![(0, keys.to_vec())];
    }
    Vec::new()
}

fn parts_by(partition_by: &[Arc<dyn PhysicalExpr>], at: usize) -> bool {
    partition_by.iter().any(|expr| column(expr) == Some(at))
}

/// The side and place there of a join's output column; mark columns have none.
fn side(at: usize, kind: JoinType, left: usize, projection: Option<&[usize]>) -> Option<(JoinSide, usize)> {
    let at = match projection {
        Some(projection) => *projection.get(at)?,
        None => at,
    };
    match kind {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            Some(if at < left { (JoinSide::Left, at) } else { (JoinSide::Right, at - left) })
        }
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (at < left).then_some((JoinSide::Left, at)),
        JoinType::RightSemi | JoinType::RightAnti => Some((JoinSide::Right, at)),
        JoinType::RightMark => None,
    }
}

/// Rows of a side whose column has another value are in no row of the join that counts: at most they leave a row behind in which the
/// column is NULL.
fn of_sides(keys: &[Key], kind: JoinType, left: usize, projection: Option<&[usize]>) -> Vec<(usize, Vec<Key>)> {
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    for key in keys {
        match side(key.column, kind, left, projection) {
            Some((JoinSide::Left, column)) => of_left.push(Key { at: key.at, column }),
            Some((_, column)) => of_right.push(Key { at: key.at, column }),
            None => {}
        }
    }
    vec![(0, of_left), (1, of_right)]
}

fn of_hash_join(join: &HashJoinExec, keys: &[Key]) -> Vec<(usize, Vec<Key>)> {
    let left = join.left().schema().fields().len();
    let mut sides = of_sides(keys, *join.join_type(), left, join.projection.as_deref());
    // NULLs on the other side decide about NOT IN, whatever the value.
    if join.null_aware {
        return sides;
    }
    // What a key of the join is equal to has the same values.
    let (of_left, of_right) = (sides[0].1.clone(), sides[1].1.clone());
    for (l, r) in join.on() {
        let (Some(l), Some(r)) = (column(l), column(r)) else { continue };
        let other = |from: &[Key], of: usize, to: usize| -> Vec<Key> {
            from.iter().filter(|key| key.column == of).map(|key| Key { at: key.at, column: to }).collect()
        };
        let (more_left, more_right) = (other(&of_right, r, l), other(&of_left, l, r));
        sides[0].1.extend(more_left);
        sides[1].1.extend(more_right);
    }
    for (_, keys) in &mut sides {
        let mut seen = Vec::new();
        keys.retain(|key| {
            let new = !seen.contains(key);
            seen.push(*key);
            new
        });
    }
    sides
}
