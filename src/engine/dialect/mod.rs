//! PostgreSQL's SQL on DataFusion: AST pre-pass, relation planner, operators, types.

use crate::{Arg, EngineError};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;

/// Registers planners, rules and functions that go into the state's builder.
pub(crate) fn builder(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder
}

/// Registers what needs the finished context (relation planner, functions).
pub(crate) fn install(ctx: &SessionContext) {
    let _ = ctx;
}

/// Splits a text into statements.
pub(crate) fn split(sql: &str) -> Result<Vec<String>, EngineError> {
    let _ = sql;
    unimplemented!()
}

/// Parses one statement, rewrites it, binds the arguments, and plans it.
pub(crate) async fn plan(state: &SessionState, sql: &str, args: &[Arg]) -> Result<LogicalPlan, EngineError> {
    let _ = (state, sql, args);
    unimplemented!()
}
