//! PostgreSQL's answers, recorded by `tests/sql/make_expected.py` in `tests/sql/*.test`, against ours.

use super::{builder, install, plan};
use crate::EngineError;
use crate::functions::text_out;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SessionContext, SessionState};
use std::path::Path;
use std::sync::Arc;

/// A context as the engine builds it, without tables.
pub(super) fn context() -> SessionContext {
    let state = builder(SessionStateBuilder::new().with_default_features()).build();
    let ctx = SessionContext::new_with_state(state);
    install(&ctx);
    ctx
}

/// The state of one statement, its clock at 2024-03-10 12:34:56.789 UTC.
pub(super) fn state(ctx: &SessionContext) -> SessionState {
    let mut state = ctx.state();
    let now = "2024-03-10T12:34:56.789Z".parse().unwrap();
    state.execution_props_mut().query_execution_start_time = Some(now);
    state
}

/// Runs a statement: the plan's schema and the batches.
pub(super) async fn run(ctx: &SessionContext, sql: &str, args: &[crate::Arg]) -> Result<(Arc<Schema>, Vec<RecordBatch>), EngineError> {
    let state = state(ctx);
    let plan = plan(&state, sql, args).await?;
    let physical = state.create_physical_plan(&plan).await?;
    let schema = physical.schema();
    let batches = datafusion::physical_plan::collect(physical, state.task_ctx()).await?;
    Ok((schema, batches))
}

/// Names and rows as PostgreSQL's COPY writes them.
pub(super) fn lines(schema: &Schema, batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = vec![schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join("\t")];
    for batch in batches {
        let columns: Vec<Vec<Option<String>>> = batch
            .columns()
            .iter()
            .map(|array| {
                if *array.data_type() == DataType::Boolean {
                    return array.as_boolean().iter().map(|value| value.map(|value| if value { "t" } else { "f" }.to_string())).collect();
                }
                let texts = text_out::texts(array).unwrap();
                texts.iter().map(|text| text.map(str::to_string)).collect()
            })
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column[row].as_deref().map_or("\\N".into(), escaped)).collect();
            let line = cells.join("\t");
            lines.push(if line.is_empty() { "\\e".into() } else { line });
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\r', "\\r")
        .replace('\u{8}', "\\b")
        .replace('\u{c}', "\\f")
}

pub(super) async fn table(ctx: &SessionContext, name: &str, sql: &str) {
    let (schema, batches) = run(ctx, sql, &[]).await.unwrap_or_else(|error| panic!("table {name}: {error}"));
    let batches = batches.iter().map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).unwrap()).collect();
    ctx.register_table(name, Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())).unwrap();
}

/// Runs a file; gives what differs.
async fn differences(path: &Path) -> (usize, Vec<String>) {
    let ctx = context();
    let text = std::fs::read_to_string(path).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for block in text.split("\n\n") {
        let lines_of: Vec<&str> = block.lines().skip_while(|line| line.starts_with('#') || line.is_empty()).collect();
        let Some((head, rest)) = lines_of.split_first() else { continue };
        let at = rest.iter().position(|line| *line == "----").unwrap_or(rest.len());
        let sql = rest[..at].join("\n");
        if let Some(name) = head.strip_prefix("table ") {
            table(&ctx, name, &sql).await;
            continue;
        }
        assert!(at < rest.len(), "{}: no answer recorded for: {sql}", path.display());
        count += 1;
        let expected: Vec<String> = rest[at + 1..].iter().map(|line| (*line).to_string()).collect();
        let (same, got) = match run(&ctx, &sql, &[]).await {
            Ok((schema, batches)) => {
                let got = lines(&schema, &batches);
                (got == expected, got)
            }
            Err(error) => {
                let got = format!("ERROR: {error}");
                // Where the block says so, the message is PostgreSQL's too.
                let same = if head.contains(" says") { got == expected[0] } else { expected[0].starts_with("ERROR: ") };
                (same, vec![got])
            }
        };
        if same == head.contains("differs") {
            let note = if same { "is declared to differ, and does not" } else { "differs" };
            wrong.push(format!(
                "{note}: {sql}\n  PostgreSQL: {}\n  ours:       {}",
                expected.join("\n              "),
                got.join("\n              ")
            ));
        }
    }
    (count, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let only = std::env::var("ASSAY_SQL_TEST").ok();
    let (mut total, mut wrong) = (0, Vec::new());
    for path in files.iter().filter(|path| only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only))) {
        let (count, differs) = differences(path).await;
        total += count;
        wrong.extend(differs.into_iter().map(|difference| format!("{}: {difference}", path.file_name().unwrap().to_string_lossy())));
    }
    assert!(wrong.is_empty(), "{} of {total} answers\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(total > 0);
}
