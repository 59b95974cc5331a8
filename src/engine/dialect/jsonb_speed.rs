//! How long reading a member takes: a guard in every test run, and the measurement behind `tests/performance/jsonb.py`.

use super::oracle::{context, run};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What makes the documents, and the statements to time.
fn statements() -> (String, Vec<String>) {
    let text = include_str!("../../../tests/performance/jsonb.sql");
    let mut parts = text.split(';').map(|part| part.trim().to_string()).filter(|part| !part.is_empty());
    (parts.next().unwrap(), parts.collect())
}

/// A context with so many documents, in batches as a scan gives them.
async fn documents(rows: usize) -> SessionContext {
    const CHUNK: usize = 8192;
    let ctx = context();
    let (make, _) = statements();
    let mut partitions = vec![Vec::new(); 2];
    let mut schema = None;
    for (nth, from) in (1..=rows).step_by(CHUNK).enumerate() {
        let to = rows.min(from + CHUNK - 1);
        let sql = make.replace("generate_series(1, :rows)", &format!("generate_series({from}, {to})"));
        let (fields, batches) = run(&ctx, &sql, &[]).await.unwrap();
        let batches = batches.iter().map(|batch| RecordBatch::try_new(Arc::clone(&fields), batch.columns().to_vec()).unwrap());
        partitions[nth % 2].extend(batches);
        schema = Some(fields);
    }
    ctx.register_table("documents", Arc::new(MemTable::try_new(schema.unwrap(), partitions).unwrap())).unwrap();
    ctx
}

/// The best time of some runs.
async fn best(ctx: &SessionContext, sql: &str, runs: usize) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        let (_, batches) = run(ctx, sql, &[]).await.unwrap();
        best = best.min(start.elapsed());
        assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 0);
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_read_without_a_tree() {
    let ctx = documents(20_000).await;
    let tree = best(&ctx, "select count(jsonb_strip_nulls(j)) from documents", 5).await;
    for sql in [
        "select count(j ->> 'Name') from documents",
        "select count(j ->> 'Description') from documents",
        "select count(j -> 'Config' -> 'Nested' ->> 'Deep') from documents",
    ] {
        let walk = best(&ctx, sql, 5).await;
        // Other tests run beside this one; by itself it is three times as fast, and more.
        assert!(walk * 2 < tree, "{sql}: {walk:?}, and building every document's tree {tree:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, in release mode; tests/performance/jsonb.py runs it"]
async fn measure() {
    let rows = std::env::var("ASSAY_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let ctx = documents(rows).await;
    for sql in statements().1 {
        let time = best(&ctx, &sql, 5).await;
        println!("{{\"ms\": {:.3}, \"sql\": {sql:?}}}", time.as_secs_f64() * 1e3);
    }
}
