//! AND and OR as PostgreSQL evaluates them: left to right, and the right side only for rows that the left side does not decide.
//!
//! `port like '%-%' and split_part(port, '-', 2)::int >= 22` must not read a number out of a port without a dash. Owns: the rule that puts
//! [`Lazily`] where the right side can fail, and the order of a filter's conditions. Refuses: to touch conditions that cannot fail, so
//! that plain filters stay as fast as they are.

use super::row_subquery;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use datafusion::arrow::compute::{and_kleene, filter, is_null, not, or, or_kleene, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, InListExpr, LikeExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, PhysicalGroupBy};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Makes AND and OR lazy in every expression of a plan.
#[derive(Debug)]
pub(super) struct LazyLogic;

impl PhysicalOptimizerRule for LazyLogic {
    fn name(&self) -> &str {
        "lazy_logic"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(of_node)?.data)
    }
}

fn of_node(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let changed: Option<Arc<dyn ExecutionPlan>> = if let Some(filter) = node.downcast_ref::<FilterExec>() {
        match of_filter(filter.predicate())? {
            Some(predicate) => Some(Arc::new(FilterExecBuilder::from(filter).with_predicate(predicate).build()?)),
            None => None,
        }
    } else if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let mut any = false;
        let made: Vec<ProjectionExpr> = projection
            .expr()
            .iter()
            .map(|made| {
                let expr = lazy(&made.expr)?;
                any |= expr.is_some();
                Ok(ProjectionExpr { expr: expr.unwrap_or_else(|| Arc::clone(&made.expr)), alias: made.alias.clone() })
            })
            .collect::<Result<_>>()?;
        if any { Some(Arc::new(ProjectionExec::try_new(made, Arc::clone(projection.input()))?)) } else { None }
    } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let filter = join.filter().map(of_join).transpose()?.flatten();
        filter.map(|filter| join.builder().with_filter(Some(filter)).build_exec()).transpose()?
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        match join.filter().map(of_join).transpose()?.flatten() {
            Some(filter) => {
                let made = NestedLoopJoinExecBuilder::new(Arc::clone(join.left()), Arc::clone(join.right()), *join.join_type());
                Some(Arc::new(made.with_filter(Some(filter)).with_projection_ref(join.projection().clone()).build()?))
            }
            None => None,
        }
    } else if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        of_aggregate(aggregate)?
    } else {
        None
    };
    Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
}

fn of_join(filter: &JoinFilter) -> Result<Option<JoinFilter>> {
    let expr = of_filter(filter.expression())?;
    Ok(expr.map(|expr| JoinFilter::new(expr, filter.column_indices().to_vec(), Arc::clone(filter.schema()))))
}

/// Groups, arguments and filters of an aggregation over rows; a later stage has none but columns.
fn of_aggregate(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (mut any, mut guarded) = (false, false);
    let mut of = |expr: &Arc<dyn PhysicalExpr>| -> Result<Arc<dyn PhysicalExpr>> {
        let made = lazy(expr)?;
        any |= made.is_some();
        Ok(made.unwrap_or_else(|| Arc::clone(expr)))
    };
    let filters = aggregate.filter_expr().iter().map(|filter| filter.as_ref().map(&mut of).transpose()).collect::<Result<Vec<_>>>()?;
    let groups = aggregate.group_expr();
    let named = groups.expr().iter().map(|(expr, name)| Ok((of(expr)?, name.clone()))).collect::<Result<Vec<_>>>()?;
    let mut calls = Vec::with_capacity(aggregate.aggr_expr().len());
    for (call, filter) in aggregate.aggr_expr().iter().zip(&filters) {
        let all = call.all_expressions();
        let mut args = all.args.iter().map(&mut of).collect::<Result<Vec<_>>>()?;
        // The argument is computed for the rows of FILTER alone.
        if let Some(filter) = filter {
            for arg in args.iter_mut().filter(|arg| can_fail(arg)) {
                *arg = Arc::new(CaseExpr::try_new(None, vec![(Arc::clone(filter), Arc::clone(arg))], None)?);
                guarded = true;
            }
        }
        let orders = all.order_by_exprs.iter().map(&mut of).collect::<Result<Vec<_>>>()?;
        let reversed = call.is_reversed();
        let made = if reversed { None } else { call.with_new_expressions(args, orders) };
        calls.push(made.map_or_else(|| Arc::clone(call), Arc::new));
    }
    if !(any || guarded) || !aggregate.dynamic_expressions_produced().is_empty() {
        return Ok(None);
    }
    let groups = PhysicalGroupBy::new(named, groups.null_expr().to_vec(), groups.groups().to_vec(), groups.has_grouping_set());
    let made = AggregateExec::try_new(*aggregate.mode(), groups, calls, filters, Arc::clone(aggregate.input()), aggregate.input_schema())?;
    Ok(Some(Arc::new(made.with_limit_options(aggregate.limit_options()))))
}

/// The conditions of a filter, the cheap ones first as PostgreSQL's planner orders them, each decided before the next one.
fn of_filter(predicate: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    if !can_fail(predicate) {
        return Ok(None);
    }
    let mut parts: Vec<_> = split_conjunction(predicate).into_iter().map(|part| (cost(part), part)).collect();
    parts.sort_by_key(|(cost, _)| *cost);
    let mut made: Option<Arc<dyn PhysicalExpr>> = None;
    for (_, part) in parts {
        let part = lazy(part)?.unwrap_or_else(|| Arc::clone(part));
        made = Some(match made {
            None => part,
            Some(left) => and_then(left, Operator::And, part),
        });
    }
    Ok(made)
}

/// The expression with its ANDs and ORs lazy; `None` where nothing changes.
fn lazy(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let made = Arc::clone(expr).transform_up(|expr| {
        let Some(binary) = expr.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(expr)) };
        let op = *binary.op();
        if !matches!(op, Operator::And | Operator::Or) || !can_fail(binary.right()) {
            return Ok(Transformed::no(expr));
        }
        Ok(Transformed::yes(and_then(Arc::clone(binary.left()), op, Arc::clone(binary.right()))))
    })?;
    Ok(made.transformed.then_some(made.data))
}

fn and_then(left: Arc<dyn PhysicalExpr>, op: Operator, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    if can_fail(&right) { Arc::new(Lazily { left, op, right }) } else { Arc::new(BinaryExpr::new(left, op, right)) }
}

/// True where evaluation can end in an error: casts, functions, arithmetic.
fn can_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    // What reads a document or a text without ever refusing it.
    const SAFE: [&str; 10] =
        ["jsonb_contains", "jsonb_typeof", "lower", "upper", "concat", "concat_ws", "length", "array_to_string", "cast_text", "jsonb_tag"];
    const PREFIXES: [&str; 4] = ["jsonb_get", "jsonb_exists", "timestamp_", "timestamptz_"];
    let mut found = false;
    let seen = expr.apply(|part| {
        let fails = if let Some(call) = part.downcast_ref::<ScalarFunctionExpr>() {
            !divides_safely(call) && !SAFE.contains(&call.name()) && !PREFIXES.iter().any(|prefix| call.name().starts_with(prefix))
        } else if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
            use Operator::{Divide, Minus, Modulo, Multiply, Plus};
            matches!(binary.op(), Divide | Modulo | Multiply | Plus | Minus)
        } else {
            part.downcast_ref::<CastExpr>().is_some()
        };
        found |= fails;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || seen.is_err()
}

/// `x / 7`, `x % 7`: neither by zero, nor out of range as by -1.
fn divides_safely(call: &ScalarFunctionExpr) -> bool {
    let ("checked /" | "checked %", [_, by]) = (call.name(), call.args()) else { return false };
    let Some(by) = by.downcast_ref::<Literal>().filter(|by| by.value().data_type().is_integer()) else { return false };
    by.value().cast_to(&DataType::Int64).is_ok_and(|by| matches!(by, ScalarValue::Int64(Some(by)) if by != 0 && by != -1))
}

/// The cost of a subquery that runs once for each row.
const SUBQUERY: usize = 1_000;

/// How many operators and functions a condition calls, about as PostgreSQL counts them; each is two.
fn cost(expr: &Arc<dyn PhysicalExpr>) -> usize {
    let mut cost = 0;
    // The closure never fails.
    let _ = expr.apply(|part| {
        cost += if let Some(call) = part.downcast_ref::<ScalarFunctionExpr>() {
            match call.name() {
                name if row_subquery::is_name(name) => SUBQUERY,
                // A cast from or to text reads and writes.
                name if name.starts_with("cast_") => 4,
                _ => 2,
            }
        } else if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
            if matches!(binary.op(), Operator::And | Operator::Or) { 0 } else { 2 }
        } else if let Some(list) = part.downcast_ref::<InListExpr>() {
            list.list().len()
        } else if part.downcast_ref::<LikeExpr>().is_some() || part.downcast_ref::<CastExpr>().is_some() {
            2
        } else {
            // Tests for NULL, CASE, NOT, columns and constants cost nothing themselves.
            usize::from(part.downcast_ref::<Lazily>().is_none() && part.downcast_ref::<CaseExpr>().is_none() && is_opaque(part))
        };
        Ok(TreeNodeRecursion::Continue)
    });
    cost
}

/// Expressions of other kinds with arguments: lambdas, dynamic filters.
fn is_opaque(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.children().len() > 1
}

/// `left AND right` or `left OR right`; the right side is evaluated where the left side leaves the answer open.
#[derive(Debug, Eq)]
struct Lazily {
    left: Arc<dyn PhysicalExpr>,
    op: Operator,
    right: Arc<dyn PhysicalExpr>,
}

// Derived, the comparison would move out of the Arcs.
impl PartialEq for Lazily {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.left.eq(&other.left) && self.right.eq(&other.right)
    }
}

impl Hash for Lazily {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.left.hash(state);
        self.op.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for Lazily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) {} ({})", self.left, self.op, self.right)
    }
}

impl Lazily {
    fn is_and(&self) -> bool {
        self.op == Operator::And
    }

    /// The right side for the rows of `open`, NULL for the others.
    fn of_open(&self, batch: &RecordBatch, open: &BooleanArray) -> Result<ArrayRef> {
        let rows = open.true_count();
        let used = collect_columns(&self.right);
        // Only the columns it reads are copied; the others only have to be there.
        let columns = batch.columns().iter().enumerate().map(|(at, column)| {
            if used.iter().any(|column| column.index() == at) { filter(column, open) } else { Ok(column.slice(0, rows)) }
        });
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let some = RecordBatch::try_new_with_options(batch.schema(), columns, &options)?;
        let values = self.right.evaluate(&some)?.into_array(rows)?;
        let values = values.as_boolean();
        let mut next = 0;
        let scattered: BooleanArray = open
            .values()
            .iter()
            .map(|open| {
                if !open {
                    return None;
                }
                next += 1;
                values.is_valid(next - 1).then(|| values.value(next - 1))
            })
            .collect();
        Ok(Arc::new(scattered))
    }
}

impl PhysicalExpr for Lazily {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        Ok(self.left.nullable(schema)? || self.right.nullable(schema)?)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.to_string(), DataType::Boolean, self.nullable(schema)?)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let left = match self.left.evaluate(batch)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(value))) => {
                let decided = value != self.is_and();
                return if decided { Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(value)))) } else { self.right.evaluate(batch) };
            }
            ColumnarValue::Scalar(_) => new_null_array(&DataType::Boolean, batch.num_rows()),
            ColumnarValue::Array(array) => array,
        };
        let left = left.as_boolean();
        // Rows with NULL on the left are open too.
        let yes = if self.is_and() { left.clone() } else { not(left)? };
        let open = if left.null_count() == 0 { yes } else { or(&prep_null_mask_filter(&yes), &is_null(left)?)? };
        let right = match open.true_count() {
            0 => return Ok(ColumnarValue::Array(Arc::new(left.clone()))),
            all if all == batch.num_rows() => self.right.evaluate(batch)?.into_array(all)?,
            some => {
                // Where most rows are open, all of them at once are cheaper; if one of the decided ones fails, it has to be without them.
                let at_once = 2 * some > batch.num_rows() && cost(&self.right) < SUBQUERY;
                match at_once.then(|| self.right.evaluate(batch)?.into_array(batch.num_rows())) {
                    Some(Ok(right)) => right,
                    _ => self.of_open(batch, &open)?,
                }
            }
        };
        let both = if self.is_and() { and_kleene(left, right.as_boolean())? } else { or_kleene(left, right.as_boolean())? };
        Ok(ColumnarValue::Array(Arc::new(both)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.pop(), children.pop()) {
            (Some(right), Some(left), None) => Ok(Arc::new(Lazily { left, op: self.op, right })),
            _ => internal_err!("AND and OR have two sides"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.left.fmt_sql(f)?;
        write!(f, " {} ", self.op)?;
        self.right.fmt_sql(f)
    }
}
