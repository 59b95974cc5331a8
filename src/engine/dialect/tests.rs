//! What the oracle cannot ask: errors and their places, arguments, splitting, the clock, plans.

use super::oracle::{context, lines, run, state};
use super::{plan, split};
use crate::{Arg, EngineError};
use assay_tables::EXTENSION;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use serde_json::json;
use std::sync::Arc;

fn arg(name: &str, value: serde_json::Value) -> Arg {
    Arg { name: name.into(), value }
}

async fn rows(sql: &str, args: &[Arg]) -> Vec<String> {
    match run(&context(), sql, args).await {
        Ok((schema, batches)) => lines(&schema, &batches).split_off(1),
        Err(error) => vec![format!("ERROR: {error}")],
    }
}

async fn error(sql: &str, args: &[Arg]) -> (String, Option<String>, Option<(usize, usize)>) {
    match run(&context(), sql, args).await {
        Err(EngineError::Sql { message, hint, at }) => (message, hint, at),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn texts_are_split_at_semicolons() {
    for (text, want) in [
        ("select 1; select 2;", vec!["select 1", "select 2"]),
        ("  ;; select ';' -- a;b\n ; /* c; /* nested; */ d */ ", vec!["select ';' -- a;b"]),
        ("select $$a;b$$; select $q$;$$;$q$", vec!["select $$a;b$$", "select $q$;$$;$q$"]),
        ("select \"a;b\", 'it''s;', E'\\';'", vec!["select \"a;b\", 'it''s;', E'\\';'"]),
        ("select 'ü;😀'\n;\nselect 2", vec!["select 'ü;😀'", "select 2"]),
        ("-- nothing", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(split(text).unwrap(), want, "{text}");
    }
    for (text, want) in [
        ("select 'a", "unterminated quoted string"),
        ("select /* a", "unterminated /* comment"),
        ("select $$a", "unterminated dollar-quoted string"),
        ("select \"a", "unterminated quoted identifier"),
    ] {
        match split(text) {
            Err(EngineError::Sql { message, .. }) => assert_eq!(message, want, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn syntax_errors_have_a_place() {
    for (sql, want, at) in [
        ("select 1 as", "syntax error at end of input", Some((1, 12))),
        ("select 1 from t where group by x", "syntax error at or near \"by\"", Some((1, 29))),
        ("select\n  1 +\n", "syntax error at end of input", Some((2, 6))),
        ("selec 1", "syntax error at or near \"selec\"", Some((1, 1))),
        ("", "there is no statement", None),
        ("select 1; select 2", "cannot run more than one statement at once", None),
        ("select nosuch", "column \"nosuch\" does not exist", Some((1, 8))),
        ("select 1\nfrom nosuch", "relation \"nosuch\" does not exist", Some((2, 6))),
    ] {
        let (message, _, found) = error(sql, &[]).await;
        assert_eq!((message.as_str(), found), (want, at), "{sql}");
    }
    let (message, hint, _) = error("select nam from (values ('a')) v(name)", &[]).await;
    assert_eq!((message.as_str(), hint.as_deref()), ("column \"nam\" does not exist", Some("did you mean \"name\"?")));
}

#[tokio::test]
async fn only_reading_statements_run() {
    for (sql, what) in [
        ("create table x as select 1", "CREATE TABLE"),
        ("create external table x stored as csv location '/tmp/x'", "CREATE EXTERNAL TABLE"),
        ("copy (select 1) to '/tmp/assay-must-not-exist.csv'", "COPY"),
        ("insert into t values (1)", "INSERT"),
        ("update t set a = 1", "UPDATE"),
        ("delete from t", "DELETE"),
        ("drop table t", "DROP TABLE"),
        ("set datafusion.execution.batch_size = 1", "SET"),
        ("select 1 into x", "SELECT INTO"),
        ("with x as (insert into t values (1) returning a) select * from x", "INSERT"),
        ("explain delete from t", "DELETE"),
        ("begin", "BEGIN"),
    ] {
        let (message, hint, _) = error(sql, &[]).await;
        assert!(message.starts_with(&format!("cannot execute {what}")), "{sql}: {message}");
        assert!(hint.is_some());
    }
}

#[tokio::test]
async fn arguments_are_bound_as_data() {
    let args = [
        arg("1", json!("it's; drop")),
        arg("2", json!(90)),
        arg("max_age_days", json!(-3)),
        arg("list", json!(["a", "b'c"])),
        arg("ints", json!([1, 2])),
        arg("none", json!([])),
        arg("null", json!(null)),
        arg("yes", json!(true)),
        arg("half", json!(0.5)),
        arg("doc", json!({"b": 1, "a": [1]})),
    ];
    for (sql, want) in [
        ("select $1", "it's; drop"),
        ("select $2 + 1", "91"),
        ("select $max_age_days * 2, 5 - $max_age_days", "-6\t8"),
        ("select 'b''c' = any($list), 'x' = any($list), $list", "t\tf\t{a,b'c}"),
        ("select 2 = any($ints), 3 = any($ints)", "t\tf"),
        ("select 'a' = any($none), $none", "f\t{}"),
        ("select $null is null", "t"),
        ("select $yes and true", "t"),
        ("select $half * 2", "1.0"),
        ("select $doc -> 'a', $doc", "[1]\t{\"a\": [1], \"b\": 1}"),
        ("select now() - ($2 || ' days')::interval", "2023-12-11 12:34:56.789+00"),
        ("select now() - make_interval(days => $2)", "2023-12-11 12:34:56.789+00"),
        ("select x from (values (1), (2), (3)) v(x) order by x limit $2 - 89", "1"),
        ("select $2::text || 'd'", "90d"),
    ] {
        assert_eq!(rows(sql, &args).await, [want], "{sql}");
    }
    let (message, hint, at) = error("select\n $max_age", &args).await;
    assert_eq!((message.as_str(), at), ("there is no parameter $max_age", Some((2, 2))));
    assert!(hint.unwrap().contains("--arg max_age="));
    let (message, ..) = error("select $bad", &[arg("bad", json!([1, "a"]))]).await;
    assert!(message.contains("one type"), "{message}");
}

#[tokio::test]
async fn the_clock_is_the_states() {
    let ctx = context();
    let state = state(&ctx);
    let plan = plan(&state, "select now() as n, current_date as d", &[]).await.unwrap();
    // Planning fixed the moment: a later clock at execution changes nothing.
    let mut later = ctx.state();
    later.execution_props_mut().query_execution_start_time = Some("2030-01-01T00:00:00Z".parse().unwrap());
    let physical = later.create_physical_plan(&plan).await.unwrap();
    let batches = datafusion::physical_plan::collect(physical, later.task_ctx()).await.unwrap();
    assert_eq!(lines(plan.schema().as_arrow(), &batches)[1], "2024-03-10 12:34:56.789+00\t2024-03-10");
}

#[tokio::test]
async fn tags_reach_the_output_schema() {
    for (sql, want) in [
        ("select '{}'::jsonb as x", "jsonb"),
        ("select case when true then '{}'::jsonb end as x", "jsonb"),
        ("select coalesce(null, '[]'::jsonb) as x", "jsonb"),
        ("select '{\"a\":1}'::jsonb -> 'a' as x", "jsonb"),
        ("select e as x from jsonb_array_elements('[1]') e", "jsonb"),
        ("select jsonb_array_elements('[1]'::jsonb) as x", "jsonb"),
        ("select x from (select null as x union all select '[]'::jsonb) u", "jsonb"),
        ("with c as (select case when true then '[]'::jsonb else null end as x) select x from c", "jsonb"),
        ("select (select '[]'::jsonb) as x", "jsonb"),
        ("select max(x) as x from (select 1 as x) s", ""),
        ("select '10.0.0.1'::inet as x", "inet"),
        ("select '{}'::jsonb ->> 'a' as x", ""),
        ("select '{}'::jsonb::text as x", ""),
    ] {
        let (schema, _) = run(&context(), sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(schema.field(0).metadata().get(EXTENSION).map_or("", String::as_str), want, "{sql}");
    }
}

#[tokio::test]
async fn duplicate_names_reach_the_output() {
    let (schema, batches) = run(&context(), "select 1 as a, 2 as a, 'x' as b, 3 as a", &[]).await.unwrap();
    assert_eq!(lines(&schema, &batches), ["a\ta\tb\ta", "1\t2\tx\t3"]);
}

/// Filters and casts must stay in a form that scans can push into API parameters.
#[tokio::test]
async fn filters_stay_pushable() {
    let ctx = context();
    let schema = Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("doc", DataType::Utf8, true).with_metadata([(EXTENSION.to_string(), "jsonb".to_string())].into()),
    ]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![Arc::new(StringArray::from(vec!["a", "b"])), Arc::new(StringArray::from(vec!["[\"x\"]", "[]"]))],
    );
    ctx.register_table("t", Arc::new(MemTable::try_new(schema, vec![vec![batch.unwrap()]]).unwrap())).unwrap();
    let state = state(&ctx);
    for (sql, args, want) in [
        ("select * from t where name::text = 'a'", vec![], "t.name = Utf8(\"a\")"),
        (
            "select * from t where name = any($1)",
            vec![arg("1", json!(["a", "b", "c", "d"]))],
            "t.name IN ([Utf8(\"a\"), Utf8(\"b\"), Utf8(\"c\"), Utf8(\"d\")])",
        ),
        ("select t.name from t, jsonb_array_elements_text(doc) e where t.name = 'a'", vec![], "Filter: t.name = Utf8(\"a\")"),
    ] {
        let plan = plan(&state, sql, &args).await.unwrap();
        let optimized = state.optimize(&plan).unwrap().display_indent().to_string();
        assert!(optimized.contains(want), "{sql}\n{optimized}");
    }
}

#[tokio::test]
async fn explain_shows_the_rewritten_plan() {
    let shown = rows("explain select '5'::int", &[]).await;
    assert!(shown.iter().any(|line| line.contains("Int32(5)")), "{shown:?}");
}

#[test]
fn the_list_of_functions_has_no_internal_ones() {
    let names = super::functions(&context().state());
    for known in ["jsonb_array_elements", "to_char", "jsonb_agg", "unnest", "count", "jsonb_each_text"] {
        assert!(names.iter().any(|name| name == known), "{known}");
    }
    assert!(!names.iter().any(|name| name.starts_with("cast_") || name.starts_with("jsonb_get") || name == "jsonb_each_keys"));
}
