//! Correlated subqueries over nothing but functions of the outer row, and subqueries where DataFusion has no place for them.
//!
//! `EXISTS (select … from jsonb_array_elements(t.c) e where …)` reads no table: it is a function of the row of `t`. DataFusion cannot
//! decorrelate it (its Unnest has outer references), so it becomes a scalar function that runs the subquery's plan for each row, its outer
//! columns read from the row. `IN` and `EXISTS` in a select list become scalar subqueries.

use super::operators::call;
use super::types::{PgType, of_expr, of_field};
use crate::functions::arrays::{Op, quantified};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::functions_aggregate::expr_fn::{array_agg, count};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, FetchType, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, SkipType, Subquery, TypeSignature, Volatility, lit, not,
};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use std::cell::RefCell;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Rewrites the subqueries of a plan.
pub(super) fn rewrite(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let mut rewriter = Rewriter { state, count: 0 };
    rewriter.plan(plan)
}

struct Rewriter<'a> {
    state: &'a SessionState,
    count: usize,
}

/// A subquery expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Exists,
    Scalar,
}

impl Rewriter<'_> {
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let done = plan.transform_up(|node| {
            let schema = input_schema(&node)?;
            let filters = matches!(node, LogicalPlan::Filter(_));
            let node = sort_keys(node)?;
            node.map_expressions(|expr| expr.transform_up(|expr| self.expr(expr, &schema, filters)))
        });
        Ok(done?.data)
    }

    fn expr(&mut self, expr: Expr, schema: &DFSchema, filters: bool) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Exists(mut exists) => {
                exists.subquery = self.inner(exists.subquery)?;
                if row_local(&exists.subquery) {
                    let call = self.function(Kind::Exists, &exists.subquery, schema)?;
                    return Ok(Transformed::yes(if exists.negated { not(call) } else { call }));
                }
                if filters {
                    return Ok(Transformed::yes(Expr::Exists(exists)));
                }
                let counted = LogicalPlanBuilder::from(Arc::unwrap_or_clone(exists.subquery.subquery))
                    .aggregate(Vec::<Expr>::new(), vec![count(lit(1i64))])?
                    .build()?;
                let any = scalar(counted, exists.subquery.outer_ref_columns).gt(lit(0i64));
                Ok(Transformed::yes(if exists.negated { not(any) } else { any }))
            }
            Expr::ScalarSubquery(subquery) => {
                let subquery = self.inner(subquery)?;
                if row_local(&subquery) {
                    return Ok(Transformed::yes(self.function(Kind::Scalar, &subquery, schema)?));
                }
                Ok(Transformed::yes(single(subquery)?))
            }
            Expr::InSubquery(mut within) => {
                within.subquery = self.inner(within.subquery)?;
                let local = row_local(&within.subquery);
                if filters && !local {
                    return Ok(Transformed::yes(Expr::InSubquery(within)));
                }
                let inner = Arc::unwrap_or_clone(within.subquery.subquery);
                let column = Column::from(inner.schema().qualified_field(0));
                let listed =
                    LogicalPlanBuilder::from(inner).aggregate(Vec::<Expr>::new(), vec![array_agg(Expr::Column(column))])?.build()?;
                let subquery = Subquery {
                    subquery: Arc::new(listed),
                    outer_ref_columns: within.subquery.outer_ref_columns,
                    spans: within.subquery.spans,
                };
                let list = if local { self.function(Kind::Scalar, &subquery, schema)? } else { Expr::ScalarSubquery(subquery) };
                let any = quantified(Op::Eq, false).call(vec![*within.expr, call("array_or_empty", vec![list])?]);
                Ok(Transformed::yes(if within.negated { not(any) } else { any }))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// The subquery with its own subqueries rewritten.
    fn inner(&mut self, subquery: Subquery) -> Result<Subquery> {
        let plan = self.plan(Arc::unwrap_or_clone(subquery.subquery))?;
        let outer_ref_columns = plan.all_out_ref_exprs();
        Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
    }

    /// The subquery as a function of its outer columns.
    fn function(&mut self, kind: Kind, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
        self.count += 1;
        let id = self.count;
        let mut outer: Vec<(FieldRef, Column)> = Vec::new();
        let plan = subquery.subquery.as_ref().clone().transform_up_with_subqueries(|node| {
            node.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::OuterReferenceColumn(field, column) => {
                        let index = outer.iter().position(|(_, known)| *known == column).unwrap_or_else(|| {
                            outer.push((Arc::clone(&field), column.clone()));
                            outer.len() - 1
                        });
                        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: cell(id, index, field), args: Vec::new() })))
                    }
                    other => Ok(Transformed::no(other)),
                })
            })
        });
        let plan = plan?.data.recompute_schema()?;
        let field = match kind {
            Kind::Exists => Field::new("exists", DataType::Boolean, false),
            Kind::Scalar => Field::clone(plan.schema().field(0)).with_nullable(true),
        };
        let plan = match kind {
            Kind::Exists => LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?,
            Kind::Scalar => plan,
        };
        let mut state = self.state.clone();
        state.config_mut().options_mut().execution.target_partitions = 1;
        let physical = drive(state.create_physical_plan(&plan))??;
        // A column of a query further out stays an outer reference, for that query to resolve.
        let args = outer.into_iter().map(|(field, column)| {
            if schema.has_column(&column) { Expr::Column(column) } else { Expr::OuterReferenceColumn(field, column) }
        });
        let function = RowSubquery {
            id,
            kind,
            name: format!("subquery_{id}"),
            field: Arc::new(field),
            plan: physical,
            task: state.task_ctx(),
            signature: Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable),
        };
        Ok(ScalarUDF::from(function).call(args.collect()))
    }
}

/// jsonb sorts by its own order, not by that of its text.
fn sort_keys(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Sort(mut sort) = node else { return Ok(node) };
    for by in &mut sort.expr {
        if of_expr(&by.expr, sort.input.schema()) == PgType::Jsonb {
            by.expr = call("jsonb_sort_key", vec![by.expr.clone()])?;
        }
    }
    Ok(LogicalPlan::Sort(sort))
}

/// A correlated scalar subquery that may give many rows: DataFusion wants an aggregate there.
fn single(subquery: Subquery) -> Result<Expr> {
    if subquery.outer_ref_columns.is_empty() || aggregates(&subquery.subquery) {
        return Ok(Expr::ScalarSubquery(subquery));
    }
    let (mut plan, mut order, mut function) = (subquery.subquery.as_ref(), Vec::new(), "only_element");
    if let LogicalPlan::Limit(limit) = plan {
        if !matches!((limit.get_skip_type()?, limit.get_fetch_type()?), (SkipType::Literal(0), FetchType::Literal(Some(1)))) {
            return Ok(Expr::ScalarSubquery(subquery));
        }
        (plan, function) = (limit.input.as_ref(), "first_element");
    }
    if let LogicalPlan::Sort(sort) = plan {
        (plan, order) = (sort.input.as_ref(), sort.expr.clone());
    }
    let (qualifier, field) = plan.schema().qualified_field(0);
    let tagged = of_field(field) == PgType::Jsonb;
    let values = array_agg(Expr::Column(Column::from((qualifier, field)))).order_by(order).build()?;
    let list = values.schema_name().to_string();
    let mut value = call(function, vec![Expr::Column(Column::new_unqualified(list))])?;
    if tagged {
        value = call("jsonb_tag", vec![value])?;
    }
    let plan = LogicalPlanBuilder::from(plan.clone())
        .aggregate(Vec::<Expr>::new(), vec![values])?
        .project(vec![value.alias(field.name())])?
        .build()?;
    Ok(scalar(plan, subquery.outer_ref_columns))
}

/// True if the plan's rows come out of one aggregate without groups.
fn aggregates(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => aggregates(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => aggregates(&alias.input),
        LogicalPlan::Sort(sort) => aggregates(&sort.input),
        LogicalPlan::Limit(limit) => aggregates(&limit.input),
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    }
}

fn scalar(plan: LogicalPlan, outer_ref_columns: Vec<Expr>) -> Expr {
    Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: datafusion::common::Spans::new() })
}

/// What an expression of a node may refer to.
fn input_schema(node: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    Ok(schema)
}

/// True for a subquery that refers to the outer row and reads no table.
fn row_local(subquery: &Subquery) -> bool {
    if subquery.outer_ref_columns.is_empty() {
        return false;
    }
    let mut scans = false;
    let walked = subquery.subquery.apply_with_subqueries(|node| {
        scans |= matches!(node, LogicalPlan::TableScan(_) | LogicalPlan::RecursiveQuery(_) | LogicalPlan::Extension(_));
        Ok(if scans { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && !scans
}

thread_local! {
    /// The outer rows of the subqueries that run on this thread, the innermost last.
    static ROWS: RefCell<Vec<(usize, Vec<ScalarValue>)>> = const { RefCell::new(Vec::new()) };
}

/// Runs with an outer row in place; takes it away whatever happens.
fn with_row<T>(id: usize, row: Vec<ScalarValue>, run: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            ROWS.with_borrow_mut(|rows| {
                rows.pop();
            });
        }
    }
    ROWS.with_borrow_mut(|rows| rows.push((id, row)));
    let _pop = Pop;
    run()
}

/// Polls a future that waits for nothing outside: row subqueries read no table and spawn nothing.
fn drive<F: Future>(future: F) -> Result<F::Output> {
    const PATIENCE: usize = 1_000_000;
    let mut future = pin!(tokio::task::unconstrained(future));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..PATIENCE {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
    Err(DataFusionError::NotImplemented("this kind of correlated subquery".into()))
}

/// Reads one outer column.
#[derive(Debug)]
struct Cell {
    id: usize,
    index: usize,
    name: String,
    field: FieldRef,
    signature: Signature,
}

fn cell(id: usize, index: usize, field: FieldRef) -> Arc<ScalarUDF> {
    let name = format!("outer_{id}_{index}");
    Arc::new(ScalarUDF::from(Cell { id, index, name, field, signature: Signature::nullary(Volatility::Volatile) }))
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.index) == (other.id, other.index)
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.index).hash(state);
    }
}

impl ScalarUDFImpl for Cell {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(self.field.as_ref().clone().with_name(&self.name).with_nullable(true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value =
            ROWS.with_borrow(|rows| rows.iter().rev().find(|(id, _)| *id == self.id).and_then(|(_, row)| row.get(self.index).cloned()));
        value.map(ColumnarValue::Scalar).ok_or_else(|| DataFusionError::Internal(format!("{} read outside its subquery", self.name)))
    }
}

/// A subquery over the columns of one row.
#[derive(Debug)]
struct RowSubquery {
    id: usize,
    kind: Kind,
    name: String,
    field: FieldRef,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    signature: Signature,
}

impl PartialEq for RowSubquery {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for RowSubquery {}

impl Hash for RowSubquery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl RowSubquery {
    fn rows(&self) -> Result<Vec<RecordBatch>> {
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let mut batches = Vec::new();
        for partition in 0..plan.output_partitioning().partition_count() {
            let mut stream = plan.execute(partition, Arc::clone(&self.task))?;
            while let Some(batch) = drive(stream.next())? {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }

    fn value(&self) -> Result<ScalarValue> {
        let batches = self.rows()?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        match (self.kind, rows) {
            (Kind::Exists, rows) => Ok(ScalarValue::Boolean(Some(rows > 0))),
            (Kind::Scalar, 0) => ScalarValue::try_from(self.field.data_type()),
            (Kind::Scalar, 1) => match batches.iter().find(|batch| batch.num_rows() == 1) {
                Some(batch) => ScalarValue::try_from_array(batch.column(0), 0),
                None => ScalarValue::try_from(self.field.data_type()),
            },
            (Kind::Scalar, _) => Err(DataFusionError::Execution("more than one row returned by a subquery used as an expression".into())),
        }
    }
}

impl ScalarUDFImpl for RowSubquery {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(self.field.as_ref().clone().with_name(&self.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut values = Vec::with_capacity(args.number_rows);
        for at in 0..args.number_rows {
            // Constant arguments give arrays of one.
            let row = arrays
                .iter()
                .map(|array| ScalarValue::try_from_array(array, at.min(array.len().saturating_sub(1))))
                .collect::<Result<_>>()?;
            values.push(with_row(self.id, row, || self.value())?);
        }
        if values.is_empty() {
            return Ok(ColumnarValue::Array(datafusion::arrow::array::new_empty_array(self.field.data_type())));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}
