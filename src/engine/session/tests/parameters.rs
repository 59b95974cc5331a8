//! SET, RESET and SHOW over a session.

use super::{bundle, engine, engine_over, refused, run};
use crate::{Engine, EngineError};
use std::time::Duration;

/// The engine after some statements.
fn after(engine: &Engine, statements: &[&str]) -> Engine {
    statements.iter().fold(engine.clone(), |engine, sql| engine.set(sql).unwrap().unwrap())
}

#[tokio::test]
async fn what_is_set_counts_for_the_statements_after_it() {
    let first = engine_over(bundle(), &["dev"]).await;
    let prod = after(&first, &["set search_path to prod"]);
    let names = "select distinct sp_connection_name from test_pair";
    assert_eq!(run(&prod, names).await.rows, ["prod"]);
    assert_eq!(run(&first, names).await.rows, ["dev"], "an engine is not changed");
    for back in ["reset search_path", "set search_path = default", "reset all"] {
        assert_eq!(run(&after(&prod, &[back]), names).await.rows, ["dev"], "{back}");
    }
    let set = after(&first, &["set max_staleness = '4h'", "set statement_timeout = 1500", "set search_path = prod, dev"]);
    let settings = set.settings();
    assert_eq!((settings.max_staleness, settings.statement_timeout), (Duration::from_secs(14_400), Some(Duration::from_millis(1500))));
    let shown = run(&set, "show all").await.rows;
    let shown: Vec<&str> = shown.iter().filter_map(|row| row.rsplit_once('|')).map(|(row, _)| row).collect();
    assert_eq!(shown, ["max_staleness|4h", "search_path|prod, dev", "statement_timeout|1500ms"]);
    assert_eq!(run(&set, "SHOW Max_Staleness;").await.rows, ["4h"]);
    assert_eq!(after(&set, &["reset all"]).settings(), first.settings());
    assert_eq!(after(&set, &["set statement_timeout = 0"]).settings().statement_timeout, None);
    assert!(first.set("select 1").unwrap().is_none() && first.set("show all").unwrap().is_none());
}

#[tokio::test]
async fn without_a_search_path_the_default_connections_are_shown() {
    let engine = engine().await;
    let names: Vec<String> = engine.cloud().default_connections().iter().map(ToString::to_string).collect();
    assert_eq!(run(&engine, "show search_path").await.rows, [names.join(", ")]);
}

#[tokio::test]
async fn mistakes_are_refused() {
    let engine = engine().await;
    for (sql, message, hint) in [
        ("set max_stalenes = 1", "unrecognized configuration parameter \"max_stalenes\"", "did you mean \"max_staleness\"?"),
        (
            "set time zone 'UTC'",
            "unrecognized configuration parameter \"timezone\"",
            "parameters are: max_staleness, search_path, statement_timeout",
        ),
        ("reset x", "unrecognized configuration parameter \"x\"", "parameters are: max_staleness, search_path, statement_timeout"),
        ("set search_path = prd", "the search path names an unknown connection: \"prd\"", "did you mean \"prod\"?"),
        (
            "set max_staleness = soon",
            "invalid value for parameter \"max_staleness\": \"soon\"",
            "valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"",
        ),
    ] {
        match engine.set(sql) {
            Err(EngineError::Sql { message: found, hint: with, .. }) => {
                assert_eq!((found.as_str(), with.as_deref()), (message, Some(hint)), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert_eq!(refused(&engine, "show x").await.0, "unrecognized configuration parameter \"x\"");
    assert!(engine.set("set max_staleness = 1, 2").unwrap_err().to_string().contains("takes only one argument"));
}
