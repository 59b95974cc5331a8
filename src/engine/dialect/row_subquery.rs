//! Subqueries over nothing but functions of the outer row, as scalar functions of its columns.
//!
//! `EXISTS (select … from jsonb_array_elements(t.c) e where …)` reads no table: it is a function of the row of `t`. The function runs the
//! subquery's plan for each row, its outer columns read from the row.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Subquery, TypeSignature, Volatility,
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

/// A subquery expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Exists,
    Scalar,
}

/// The subquery as a function of its outer columns; `id` is its own.
pub(super) fn function(id: usize, kind: Kind, subquery: &Subquery, schema: &DFSchema, state: &SessionState) -> Result<Expr> {
    let mut outer: Vec<(FieldRef, Column)> = Vec::new();
    let plan = subquery.subquery.as_ref().clone().transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let bound = expr.transform_up(|expr| match expr {
                Expr::OuterReferenceColumn(field, column) => {
                    let index = outer.iter().position(|(_, known)| *known == column).unwrap_or_else(|| {
                        outer.push((Arc::clone(&field), column.clone()));
                        outer.len() - 1
                    });
                    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: cell(id, index, field), args: Vec::new() })))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(if bound.transformed { bound.update_data(|expr| name.restore(expr)) } else { bound })
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
    let mut state = state.clone();
    state.config_mut().options_mut().execution.target_partitions = 1;
    let physical = drive(state.create_physical_plan(&plan))??;
    // Types that meet in an expression agree only there.
    let field = match (kind, physical.schema().fields().first()) {
        (Kind::Scalar, Some(column)) => field.with_data_type(column.data_type().clone()),
        _ => field,
    };
    // A column of a query further out stays an outer reference, for that query to resolve.
    let args = outer
        .into_iter()
        .map(|(field, column)| if schema.has_column(&column) { Expr::Column(column) } else { Expr::OuterReferenceColumn(field, column) });
    let function = RowSubquery {
        id,
        kind,
        name: format!("{NAME}{id}"),
        field: Arc::new(field),
        plan: physical,
        task: state.task_ctx(),
        signature: Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable),
    };
    Ok(ScalarUDF::from(function).call(args.collect()))
}

/// What the names of these functions begin with.
const NAME: &str = "subquery_";

/// Is this the name of a subquery over the columns of one row?
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(NAME)
}

/// True for a subquery that refers to the outer row and reads no table.
pub(super) fn row_local(subquery: &Subquery) -> bool {
    if subquery.outer_ref_columns.is_empty() {
        return false;
    }
    let mut scans = false;
    let walked = subquery.subquery.apply_with_subqueries(|node| {
        scans |= match node {
            LogicalPlan::TableScan(_) | LogicalPlan::RecursiveQuery(_) | LogicalPlan::Extension(_) => true,
            // Its branches run on several threads, which do not know the outer row.
            LogicalPlan::Union(_) => true,
            // They are computed when they are planned.
            LogicalPlan::Values(values) => values.values.iter().flatten().any(Expr::contains_outer),
            _ => false,
        };
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
