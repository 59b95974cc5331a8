//! What plain SQL costs here and in plain DataFusion: the same statements over the same rows in memory, in turns in one process.
//!
//!     cargo test --release -p assay-engine plain_sql -- --ignored --nocapture
//!
//! measures. Planning counts. The test of every day only notices what is grossly slower: builds for tests are slow in their own ways.

use super::{SPECS, bundle, engine_with};
use crate::dialect;
use crate::dialect::depth::Deep;
use crate::schemas::{CATALOG, Statement};
use crate::{Engine, Settings};
use datafusion::arrow::array::{Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::MemTable;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::physical_plan::collect;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STATEMENTS: [&str; 4] = [
    "select count(*) from m",
    "select k, count(*), sum(n), min(n), max(x) from m group by k",
    "select k, count(*) from m where n % 7 < 3 and k <> 'key-5' group by k order by 2 desc, 1 limit 10",
    "select n, count(*) from m group by n",
];

/// Rows in batches of 8,192, in two partitions.
fn table(rows: usize) -> Arc<MemTable> {
    let fields =
        vec![Field::new("n", DataType::Int64, true), Field::new("k", DataType::Utf8, true), Field::new("x", DataType::Float64, true)];
    let schema = Arc::new(Schema::new(fields));
    let mut partitions = vec![Vec::new(), Vec::new()];
    for (at, start) in (0..rows).step_by(8192).enumerate() {
        let numbers = || (start..(start + 8192).min(rows)).map(|row| row.wrapping_mul(2_654_435_761) % 1_000_003);
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(numbers().map(|n| (n % 50_000) as i64).collect::<Int64Array>()),
                Arc::new(numbers().map(|n| Some(format!("key-{}", n % 1_000))).collect::<StringArray>()),
                Arc::new(numbers().map(|n| n as f64 / 7.0).collect::<Float64Array>()),
            ],
        );
        partitions[at % 2].push(batch.unwrap());
    }
    Arc::new(MemTable::try_new(schema, partitions).unwrap())
}

/// A statement's session of the engine, which sees nothing but the table.
fn ours(engine: &Engine, table: &Arc<MemTable>) -> SessionState {
    let schema = MemorySchemaProvider::new();
    schema.register_table("m".into(), Arc::clone(table) as _).unwrap();
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(&engine.shared.default_schema, Arc::new(schema)).unwrap();
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut state = Statement::new(Arc::clone(&engine.shared)).session(&engine.shared.default_schema);
    state.register_catalog_list(Arc::new(list));
    state
}

/// For each statement: (its text, ours, plain), the best of the rounds.
async fn measure(rows: usize, rounds: usize) -> Vec<(&'static str, Duration, Duration)> {
    let table = table(rows);
    let engine = engine_with(bundle(), &SPECS, Settings::default()).await;
    let plain = SessionContext::new();
    plain.register_table("m", Arc::clone(&table) as _).unwrap();
    let mut measured = Vec::new();
    for sql in STATEMENTS {
        let mut best = [Duration::MAX; 2];
        for _ in 0..rounds {
            let begun = Instant::now();
            let state = ours(&engine, &table);
            let plan = Deep::new(async { state.create_physical_plan(&dialect::plan(&state, sql, &[]).await.unwrap()).await }).await;
            let here = collect(plan.unwrap(), state.task_ctx()).await.unwrap();
            best[0] = best[0].min(begun.elapsed());

            let begun = Instant::now();
            let there = plain.sql(sql).await.unwrap().collect().await.unwrap();
            best[1] = best[1].min(begun.elapsed());
            let count = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            assert_eq!(count(&here), count(&there), "{sql}");
        }
        measured.push((sql, best[0], best[1]));
    }
    measured
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_sql_is_not_grossly_slower_than_in_datafusion() {
    for (sql, ours, plain) in measure(50_000, 5).await {
        assert!(ours < plain * 3 + Duration::from_millis(50), "{sql}: {ours:?}, plain DataFusion {plain:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; only a release build on a quiet machine tells"]
async fn plain_sql_is_as_fast_as_in_datafusion() {
    let mut slow = Vec::new();
    for (sql, ours, plain) in measure(1_000_000, 25).await {
        let ratio = ours.as_secs_f64() / plain.as_secs_f64();
        eprintln!("{ratio:.3}  ours {ours:9.3?}  plain {plain:9.3?}  {sql}");
        // Planning is a fixed cost of less than that.
        if ours > plain.mul_f64(1.05) + Duration::from_millis(1) {
            slow.push(sql);
        }
    }
    assert!(slow.is_empty(), "more than 5 % slower: {slow:?}");
}
