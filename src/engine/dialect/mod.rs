//! PostgreSQL's SQL on DataFusion: parsing, arguments, AST pre-pass, relation planner, operators, types, row subqueries.
//!
//! A statement goes text → AST ([`parse`]) → arguments as literals ([`args`]) → secret columns ([`secrets`]) → rewritten AST ([`prepass`]) →
//! logical plan, during which DataFusion asks [`operators`], [`types`] and [`relation`] → plan with correlated subqueries made executable ([`subquery`])
//! → DataFusion's optimizer, two of its rules held back ([`null_keys`]).

mod args;
mod ast;
mod casts;
mod counted_rows;
mod ctes;
mod dependent;
pub(crate) mod depth;
mod distinct_on;
mod documents;
mod filters_first;
mod from;
mod grouping;
mod grouping_sets;
mod lazy;
mod limits;
mod names;
mod null_keys;
mod numbers;
mod numerics;
mod operators;
mod ordering;
mod parse;
mod partitions;
mod postgresql;
mod prepass;
mod quantified;
mod query;
mod relation;
mod row_subquery;
mod rows;
mod secrets;
pub(crate) mod set;
mod set_ops;
mod siblings;
mod sorted;
mod srf;
mod subquery;
mod tokens;
mod types;
mod unions;
mod using;
mod whole_rows;

#[cfg(test)]
mod control_answers;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod jsonb_speed;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use crate::messages::missing_column;
use crate::secrets::Secrets;
use crate::{Arg, EngineError, functions};
use datafusion::common::DataFusionError;
use datafusion::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use std::sync::Arc;

/// Registers planners and settings that go into the state's builder.
pub(crate) fn builder(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let options = builder.config().get_or_insert_with(SessionConfig::new).options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // Tags of fields travel through planning; a node that drops one must not fail the plan.
    options.execution.skip_physical_aggregate_schema_check = true;
    builder.expr_planners().get_or_insert_with(Vec::new).insert(0, Arc::new(operators::Operators));
    builder
        .with_type_planner(Arc::new(types::Types))
        .with_optimizer_rules(null_keys::rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_physical_optimizer_rule(Arc::new(names::Shown))
}

/// DataFusion's physical rules as the dialect needs them; its own come after these.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    sorted::rules()
}

/// Registers what needs the finished context (relation planner, functions).
pub(crate) fn install(ctx: &SessionContext) {
    for udf in functions::all() {
        ctx.register_udf(udf.as_ref().clone());
    }
    for udaf in functions::aggregates::all() {
        ctx.register_udaf(udaf);
    }
    ctx.register_udaf(functions::array_agg::udaf());
    // Registration fails only where planners are compiled out, and then the relations say so.
    let registered = ctx.register_relation_planner(Arc::new(relation::Relations));
    debug_assert!(registered.is_ok(), "relation planners are part of DataFusion's sql feature");
}

/// Names of all functions a statement may call, sorted, without those that only the dialect itself plans.
pub(crate) fn functions(state: &SessionState) -> Vec<String> {
    let internal = |name: &str| {
        const PREFIXES: [&str; 11] = [
            "cast_",
            "any_",
            "all_",
            "json_record",
            "json_row",
            "jsonb_get",
            "jsonb_delete",
            "jsonb_record",
            "jsonb_row",
            "timestamp_",
            "timestamptz_",
        ];
        const NAMES: [&str; 32] = [
            "array_or_empty",
            "date_add_days",
            "date_diff_days",
            "date_sub_days",
            "interval_add",
            "interval_div",
            "interval_key",
            "interval_mul",
            "interval_sub",
            "json_array_of",
            "json_item",
            "json_list_of",
            "json_object_of",
            "json_pair",
            "json_tag",
            "jsonb_array_of",
            "jsonb_cmp",
            "jsonb_greatest",
            "jsonb_least",
            "jsonb_sort_key",
            "jsonb_sort_keys",
            "jsonb_sorted_array_of",
            "jsonb_object_of",
            "jsonb_normal",
            "jsonb_nullif",
            "jsonb_pair",
            "jsonb_path_exists_opr",
            "jsonb_path_match_opr",
            "jsonb_tag",
            "row_is_not_null",
            "row_is_null",
            "whole_row",
        ];
        PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || NAMES.contains(&name)
            // Operators have a space in their function's name.
            || name.contains(' ')
            || name.contains("_each_") && !name.ends_with("each_text")
    };
    let mut names: Vec<String> = state
        .scalar_functions()
        .keys()
        .chain(state.aggregate_functions().keys())
        .chain(state.window_functions().keys())
        .filter(|name| !internal(name))
        .cloned()
        .chain(srf::names().map(str::to_string))
        .chain(
            ["current_date", "current_timestamp", "extract", "jsonb_agg", "json_agg", "jsonb_object_agg", "json_object_agg"]
                .map(str::to_string),
        )
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Splits a text into statements, without their semicolons; empty ones are left out.
pub(crate) fn split(sql: &str) -> Result<Vec<String>, EngineError> {
    parse::split(sql)
}

/// Looks at the syntax of a text with statements; whether its tables and functions exist is not asked.
///
/// # Errors
/// [`EngineError::Sql`] with the place, where the text is one statement.
pub fn check_syntax(sql: &str) -> Result<(), EngineError> {
    match parse::split(sql)?.as_slice() {
        [_, _, ..] => Err(EngineError::Sql { message: "cannot run more than one statement at once".into(), hint: None, at: None }),
        _ => parse::statement(sql).map(drop),
    }
}

/// Parses one statement, rewrites it, binds the arguments, and plans it.
///
/// The clock of `now()` is the state's `query_execution_start_time`. Take the output schema from the plan (or the physical plan made of it):
/// its fields carry the extension tags.
pub(crate) async fn plan(state: &SessionState, sql: &str, args: &[Arg]) -> Result<LogicalPlan, EngineError> {
    let mut statement = parse::statement(sql)?;
    let mut parametric = Vec::new();
    rewrite(&mut statement, state, args, &mut parametric)?;
    let plan = if parametric.is_empty() {
        state.statement_to_plan(statement).await
    } else {
        // Casts with a length or scale are functions of their own; they live as long as the plan.
        let mut state = state.clone();
        for udf in parametric {
            datafusion::execution::FunctionRegistry::register_udf(&mut state, udf)?;
        }
        state.statement_to_plan(statement).await
    };
    let plan = plan.map_err(|error| of_planning(error, state))?;
    let plan = numerics::rewrite(distinct_on::rewrite(relation::retag_all(unions::typed(plan)?)?)?)?;
    let plan = relation::retag(counted_rows::resolve(plan)?)?;
    let plan = subquery::rewrite(documents::rewrite(plan)?, state)?;
    Ok(names::restore(plan)?)
}

fn rewrite(
    statement: &mut Statement,
    state: &SessionState,
    args: &[Arg],
    parametric: &mut Vec<Arc<datafusion::logical_expr::ScalarUDF>>,
) -> Result<(), EngineError> {
    match statement {
        Statement::Statement(inner) => {
            args::bind(inner, args)?;
            whole_rows::name(inner);
            if let Some(secrets) = state.config().get_extension::<Secrets>() {
                secrets::prepare(inner, &secrets)?;
            }
            let now = state.execution_props().query_execution_start_time;
            parametric.extend(prepass::rewrite(inner, now)?);
            Ok(())
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement, state, args, parametric),
        // `parse::statement` lets nothing else through.
        Statement::CopyTo(_) | Statement::CreateExternalTable(_) | Statement::Reset(_) => Ok(()),
    }
}

/// A planning error in our words: a column that is not there may be a secret one.
fn of_planning(error: DataFusionError, state: &SessionState) -> EngineError {
    let secrets = state.config().get_extension::<Secrets>();
    let refusal = missing_column(&error).zip(secrets).and_then(|(column, secrets)| secrets.refusal(&column.name));
    match (EngineError::from(error), refusal) {
        (EngineError::Sql { at, .. }, Some((message, hint))) => EngineError::Sql { message, hint: Some(hint), at },
        (other, _) => other,
    }
}
