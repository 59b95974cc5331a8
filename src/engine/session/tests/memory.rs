//! Statements that would take more memory than there is fail, and lists that become rows do not take it at all.

use super::{SPECS, bundle, engine_with, run, try_run};
use crate::{Engine, EngineError, Settings};

async fn small() -> Engine {
    engine_with(bundle(), &SPECS, Settings { memory: Some(2 << 20), ..Settings::default() }).await
}

#[tokio::test]
async fn what_holds_rows_keeps_to_the_limit() {
    let engine = small().await;
    for sql in [
        "select count(*) from generate_series(1, 200000) a, (select n, n::text as t from generate_series(1, 200000) n) b where a.a::text || b.t = 'x'",
        "select a.n from (select n, n::text as t from generate_series(1, 200000) n) a cross join (select n from generate_series(1, 2) n) b where b.n = 3 and a.t = 'x' or b.n = 4",
        "select a.n from (select n, n::text as t from generate_series(1, 200000) n) a join (select n from generate_series(1, 2) n) b on a.n < b.n or a.t = 'x'",
        "select n::text as t, count(*) from generate_series(1, 200000) n group by 1",
        "select n::text as t from generate_series(1, 200000) n order by 1",
    ] {
        match try_run(&engine, sql).await.map(|got| got.rows.len()) {
            Err(EngineError::Data(message)) => assert!(message.starts_with("out of memory: the statement needs"), "{sql}: {message}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert_eq!(run(&engine, "select count(*) from generate_series(1, 100000) n").await.rows, ["100000"], "the pool is free again");
}

#[tokio::test]
async fn lists_that_become_rows_are_made_for_a_few_rows_at_a_time() {
    let engine = small().await;
    for (sql, slices) in [
        ("select count(*) from generate_series(1, 100) a, generate_series(1, 100000) b where b = 1", "SliceExec: rows=41"),
        ("select count(*) from generate_series(1, 100) a, generate_series(1, a + 100) b where b = 1", "SliceExec: rows=16"),
        ("select count(*) from (select generate_series(1, 100000) as b from generate_series(1, 100)) s where b = 1", "SliceExec: rows=41"),
    ] {
        assert_eq!(run(&engine, sql).await.rows, ["100"], "{sql}");
        let plan = run(&engine, &format!("explain {sql}")).await.rows.join("\n");
        assert!(plan.contains(slices), "{sql}: {plan}");
    }
    let plan = run(&engine, "explain select * from generate_series(1, 3) a, generate_series(1, 5) b").await.rows.join("\n");
    assert!(!plan.contains("SliceExec"), "{plan}");
    assert_eq!(run(&engine, "select b from generate_series(1, 2) a, generate_series(1, 2000) b limit 1 offset 2000").await.rows, ["1"]);
}
