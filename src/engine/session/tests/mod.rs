//! Whole statements over recorded answers: rows, failures and, always, the number of calls.

use crate::{Engine, EngineError, Failure, Query, Settings};
use assay_cloud::{Bundle, Cloud, CloudError, Config, ErrorKind, Mode, Options, TallyCounts};
use assay_tables::Catalog;
use chrono::{TimeZone, Utc};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

mod bill;
mod bind;
mod memory;
mod parameters;
mod speed;
mod summaries;

mod scopes;
mod secrets;

const A: &str = "111111111111";
const B: &str = "222222222222";

const SPECS: [(&str, &str); 5] = [
    (
        "test_pair.yaml",
        "table: test_pair\nabout: Key pairs.\nscope: region\nrows:\n  - call: ec2.DescribeKeyPairs\n    each: KeyPairs\n\
         keys:\n  key_name: { to: \"DescribeKeyPairs.Filters[key-name]\" }\n\
         columns:\n  key_name: text\n  key_pair_id: text\n  create_time: timestamp\n",
    ),
    (
        "test_user.yaml",
        "table: test_user\nabout: Users.\nscope: account\nrows:\n  - call: iam.ListUsers\n    each: Users\n\
         keys:\n  path: { to: { prefix: ListUsers.PathPrefix } }\n\
         columns:\n  user_name: text\n  path: text\n",
    ),
    (
        "test_membership.yaml",
        "table: test_membership\nabout: Groups of a user.\nscope: account\nrows:\n  - call: iam.ListGroupsForUser\n    each: Groups\n    none: [NoSuchEntity]\n\
         keys:\n  user_name: { to: ListGroupsForUser.UserName, required: true }\n\
         columns:\n  user_name: text <- key.user_name\n  group_name: text\n",
    ),
    (
        "test_named.yaml",
        "table: test_named\nabout: Names of users and pairs.\nview: |\n  select user_name as name, account_id from test_user\n  union all\n  select key_name, account_id from test_pair\n\
         columns:\n  name: text\n  account_id: text\n",
    ),
    ("test_loop.yaml", "table: test_loop\nabout: A view of itself.\nview: select name from test_loop\ncolumns:\n  name: text\n"),
];

/// Two accounts in two connections; three regions in the first, two in the second.
fn bundle() -> Bundle {
    let mut bundle = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    bundle.account("prod", A, &["eu-west-1", "us-east-1", "us-west-2"]);
    bundle.account("dev", B, &["eu-west-1", "us-east-1"]);
    bundle.aggregate("both", &["prod", "dev"]);
    for (account, region, names) in [
        (A, "eu-west-1", &["a-eu-1", "a-eu-2"][..]),
        (A, "us-east-1", &["a-us-1"]),
        (A, "us-west-2", &[]),
        (B, "eu-west-1", &["b-eu-1"]),
        (B, "us-east-1", &["b-us-1", "b-us-2"]),
    ] {
        pairs(&mut bundle, account, region, Ok(names));
    }
    for (account, users) in [(A, &["ann", "bob", "cid"][..]), (B, &["dan"])] {
        let list: Vec<Value> = users.iter().map(|u| json!({"UserName": u, "Path": "/"})).collect();
        // One user a page.
        for (i, user) in list.iter().enumerate() {
            let input = if i == 0 { json!({"MaxItems": 1000}) } else { json!({"MaxItems": 1000, "Marker": format!("m{i}")}) };
            let more = i + 1 < list.len();
            let mut page = json!({"Users": [user], "IsTruncated": more});
            if more {
                page["Marker"] = json!(format!("m{}", i + 1));
            }
            bundle.answer(account, "us-east-1", "iam", "ListUsers", &input, Ok(page));
        }
    }
    for (user, group) in [("ann", "admins"), ("bob", "users")] {
        let answer = json!({"Groups": [{"GroupName": group}], "IsTruncated": false});
        bundle.answer(A, "us-east-1", "iam", "ListGroupsForUser", &json!({"UserName": user, "MaxItems": 1000}), Ok(answer));
    }
    bundle
}

fn pairs(bundle: &mut Bundle, account: &str, region: &str, names: Result<&[&str], CloudError>) {
    let pair = |name: &&str| json!({"KeyName": name, "KeyPairId": format!("key-{name}"), "CreateTime": "2026-01-02T03:04:05Z"});
    let answer = |names: &[&str]| json!({"KeyPairs": names.iter().map(pair).collect::<Vec<_>>()});
    bundle.answer(account, region, "ec2", "DescribeKeyPairs", &json!({}), names.clone().map(answer));
    if let Ok(names) = names {
        for name in names {
            let input = json!({"Filters": [{"Name": "key-name", "Values": [name]}]});
            bundle.answer(account, region, "ec2", "DescribeKeyPairs", &input, Ok(answer(&[name])));
        }
    }
}

async fn engine_over(bundle: Bundle, search_path: &[&str]) -> Engine {
    let search_path = search_path.iter().map(|s| (*s).to_owned()).collect();
    engine_with(bundle, &SPECS, Settings { search_path, ..Settings::default() }).await
}

async fn engine_with(bundle: Bundle, specs: &[(&str, &str)], settings: Settings) -> Engine {
    let options =
        Options { config: Config::default(), mode: Mode::Replay(Arc::new(bundle)), cache_ttl: Duration::from_secs(300), max_in_flight: 64 };
    let cloud = Cloud::open(options).await.unwrap();
    let mut catalog = Catalog::embedded();
    for (file, text) in specs {
        catalog.add(file, text).unwrap();
    }
    Engine::new(cloud, Arc::new(catalog), settings).unwrap()
}

async fn engine() -> Engine {
    engine_over(bundle(), &[]).await
}

struct Got {
    rows: Vec<String>,
    failures: Vec<Failure>,
    counts: TallyCounts,
    notices: Vec<String>,
}

async fn try_run(engine: &Engine, sql: &str) -> Result<Got, EngineError> {
    let Query { stream, log, .. } = engine.query(sql, &[]).await?;
    let batches: Vec<_> = stream.try_collect().await?;
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|r| columns.iter().map(|c| c.value(r).to_string()).collect::<Vec<_>>().join("|")));
    }
    Ok(Got { rows, failures: log.failures(), counts: log.counts(), notices: log.notices() })
}

async fn run(engine: &Engine, sql: &str) -> Got {
    try_run(engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"))
}

async fn refused(engine: &Engine, sql: &str) -> (String, Option<String>) {
    match try_run(engine, sql).await {
        Err(EngineError::Sql { message, hint, .. }) => (message, hint),
        Err(other) => panic!("{sql}: {other:?}"),
        Ok(got) => panic!("{sql}: {:?}", got.rows),
    }
}

#[tokio::test]
async fn rows_come_in_scope_order_and_calls_are_as_few_as_the_filters_allow() {
    let cases: [(&str, &[&str], u64); 21] = [
        ("select key_name from test_pair", &["a-eu-1", "a-eu-2", "a-us-1", "b-eu-1", "b-us-1", "b-us-2"], 5),
        ("select key_name from prod.test_pair", &["a-eu-1", "a-eu-2", "a-us-1"], 3),
        ("select key_name from \"both\".test_pair", &["a-eu-1", "a-eu-2", "a-us-1", "b-eu-1", "b-us-1", "b-us-2"], 5),
        ("select key_name from assay.dev.test_pair", &["b-eu-1", "b-us-1", "b-us-2"], 2),
        ("select key_name from test_pair where account_id = '111111111111'", &["a-eu-1", "a-eu-2", "a-us-1"], 3),
        ("select key_name from test_pair where region = 'eu-west-1'", &["a-eu-1", "a-eu-2", "b-eu-1"], 2),
        ("select key_name from test_pair where region in ('us-east-1', 'us-west-2') and account_id = '111111111111'", &["a-us-1"], 2),
        ("select key_name from test_pair where region like 'us-%' and account_id <> '222222222222'", &["a-us-1"], 2),
        (
            "select key_name from test_pair where (region = 'eu-west-1' and account_id = '222222222222') or region = 'us-west-2'",
            &["b-eu-1"],
            2,
        ),
        ("select key_name from test_pair where account_id = '999999999999'", &[], 0),
        ("select key_name from test_pair where region = 'global'", &[], 0),
        ("select key_name from test_pair where sp_connection_name = 'dev' and region = 'eu-west-1'", &["b-eu-1"], 1),
        ("select key_pair_id from prod.test_pair where key_name = 'a-eu-2' and region = 'eu-west-1'", &["key-a-eu-2"], 1),
        ("select count(*) from test_pair", &["6"], 5),
        ("select user_name from prod.test_user", &["ann", "bob", "cid"], 3),
        ("select user_name from prod.test_user limit 1", &["ann"], 1),
        ("select user_name from prod.test_user where length(user_name) = 3 limit 2", &["ann", "bob"], 2),
        ("select user_name from prod.test_user where region = 'us-east-1'", &[], 0),
        ("select group_name from prod.test_membership where user_name = 'ann'", &["admins"], 1),
        ("select group_name from prod.test_membership where user_name in ('ann', 'bob')", &["admins", "users"], 2),
        ("select name from prod.test_named where account_id = '111111111111' and name like 'a-%'", &["a-eu-1", "a-eu-2", "a-us-1"], 6),
    ];
    for (sql, want, calls) in cases {
        let got = run(&engine().await, sql).await;
        assert_eq!((got.rows.iter().map(String::as_str).collect::<Vec<_>>(), got.counts.calls), (want.to_vec(), calls), "{sql}");
        assert_eq!(got.failures, [], "{sql}");
    }
}

#[tokio::test]
async fn a_limit_asks_few_scopes() {
    let got = run(&engine().await, "select key_name from \"both\".test_pair limit 1").await;
    assert_eq!((got.rows, got.counts.calls), (vec!["a-eu-1".to_owned()], 1));
    let got = run(&engine().await, "select key_name from \"both\".test_pair where key_name like '%-us-%' limit 1").await;
    assert_eq!(got.rows, ["a-us-1"]);
    assert!(got.counts.calls <= 3, "{:?}", got.counts);
}

#[tokio::test]
async fn order_does_not_depend_on_unmatched_rows_of_a_join() {
    let sql = "select a.key_name, b.key_name from test_pair a left join dev.test_pair b on a.key_name = b.key_name";
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(run(&engine().await, sql).await.rows);
    }
    assert_eq!(seen[0].len(), 6);
    assert!(seen.iter().all(|rows| *rows == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn the_search_path_says_what_unqualified_names_mean() {
    let engine = engine_over(bundle(), &["dev"]).await;
    assert_eq!(run(&engine, "select key_name from test_pair").await.rows, ["b-eu-1", "b-us-1", "b-us-2"]);
    let cloud = engine.cloud().clone();
    let settings = Settings { search_path: vec!["prd".into()], ..Settings::default() };
    match Engine::new(cloud, engine.catalog().clone(), settings) {
        Err(EngineError::Sql { message, hint, .. }) => {
            assert_eq!(message, "the search path names an unknown connection: \"prd\"");
            assert_eq!(hint.as_deref(), Some("did you mean \"prod\"?"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_behind_two_connections_is_read_once() {
    let mut bundle = bundle();
    bundle.account("again", A, &["eu-west-1", "us-east-1", "us-west-2"]);
    let engine = engine_over(bundle, &["prod", "again"]).await;
    let got = run(&engine, "select sp_connection_name, key_name from test_pair").await;
    assert_eq!(got.rows, ["prod|a-eu-1", "prod|a-eu-2", "prod|a-us-1"]);
    assert_eq!(got.counts.calls, 3);
    let got = run(&engine, "select key_name from test_pair where sp_connection_name = 'again' and region = 'us-east-1'").await;
    assert_eq!(got.rows, ["a-us-1"]);
}

fn error(kind: ErrorKind, code: &str) -> CloudError {
    CloudError::new(kind, code, "no")
}

#[tokio::test]
async fn a_denied_scope_is_a_failure_and_not_a_failed_query() {
    let mut bundle = bundle();
    pairs(&mut bundle, A, "us-east-1", Err(error(ErrorKind::Denied, "UnauthorizedOperation")));
    let got = run(&engine_over(bundle, &[]).await, "select key_name from prod.test_pair").await;
    assert_eq!(got.rows, ["a-eu-1", "a-eu-2"]);
    let places: Vec<_> = got.failures.iter().map(|f| (f.account.as_deref(), f.region.as_deref(), f.error.kind)).collect();
    assert_eq!(places, [(Some(A), Some("us-east-1"), ErrorKind::Denied)]);
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_is_a_failure() {
    let mut bundle = bundle();
    bundle.failing_account("lost", "333333333333", error(ErrorKind::Denied, "AccessDenied"));
    let engine = engine_over(bundle, &[]).await;
    let got = run(&engine, "select key_name from test_pair where region = 'eu-west-1'").await;
    assert_eq!(got.rows, ["a-eu-1", "a-eu-2", "b-eu-1"]);
    let places: Vec<_> = got.failures.iter().map(|f| (f.table.as_str(), f.connection.as_str(), f.region.as_deref())).collect();
    assert_eq!(places, [("test_pair", "lost", None)]);
    let alone = run(&engine, "select count(*) from lost.test_pair").await;
    assert_eq!((alone.rows, alone.failures.len()), (vec!["0".to_owned()], 1));
}

#[tokio::test]
async fn regions_without_the_service_are_not_asked() {
    let mut bundle = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    bundle.account("prod", A, &["us-east-1", "zz-nowhere-1"]);
    pairs(&mut bundle, A, "us-east-1", Ok(&["one"]));
    let got = run(&engine_over(bundle, &[]).await, "select key_name, region from test_pair").await;
    assert_eq!((got.rows, got.failures, got.counts.calls), (vec!["one|us-east-1".to_owned()], vec![], 1));
}

#[tokio::test]
async fn nobody_to_ask_fails_the_query() {
    let mut bundle = bundle();
    bundle.failing_account("dead", "333333333333", error(ErrorKind::Credentials, "NoCredentials"));
    let engine = engine_over(bundle, &[]).await;
    for sql in [
        "select key_name from dead.test_pair",
        "select count(*) from dead.test_pair",
        "select 1 from dead.test_pair where account_id = 'x'",
    ] {
        match try_run(&engine, sql).await.map(|g| g.rows) {
            Err(EngineError::Cloud(e)) => assert_eq!(e.code, "NoCredentials"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let got = run(&engine, "select count(*) from dead.test_pair union all select count(*) from dev.test_pair").await;
    assert_eq!((got.rows, got.failures.len()), (vec!["0".to_owned(), "3".to_owned()], 1));
    assert_eq!(run(&engine, "select 1").await.rows, ["1"]);
}

#[tokio::test]
async fn wrong_statements_say_what_is_wrong() {
    let engine = engine().await;
    let cases = [
        ("select * from test_pairs", "relation \"test_pairs\" does not exist", Some("did you mean \"test_pair\"?")),
        ("select * from prod.test_pairs", "relation \"prod.test_pairs\" does not exist", Some("did you mean \"test_pair\"?")),
        ("select * from prd.test_pair", "schema \"prd\" does not exist", Some("did you mean \"prod\"?")),
        ("select key_nme from test_pair", "column \"key_nme\" does not exist", Some("did you mean \"key_name\"?")),
        ("select p.key_nme from test_pair p", "column p.key_nme does not exist", Some("did you mean \"key_name\"?")),
        ("select q.key_name from test_pair p", "missing FROM-clause entry for table \"q\"", None),
        ("select lowr(key_name) from test_pair", "function lowr does not exist", Some("did you mean \"lower\"?")),
    ];
    for (sql, message, hint) in cases {
        let (got, got_hint) = refused(&engine, sql).await;
        assert_eq!((got.as_str(), got_hint.as_deref()), (message, hint), "{sql}");
    }
    let (message, _) = refused(&engine, "select * from prod.test_membership").await;
    assert!(message.contains("user_name"), "{message}");
    for sql in ["create table x (a int)", "delete from test_pair", "insert into test_pair values ('x')", "set x = 1"] {
        let (message, _) = refused(&engine, sql).await;
        assert!(message.contains("only statements that read"), "{sql}: {message}");
    }
    let (message, _) = refused(&engine, "selec 1").await;
    assert!(message.contains("selec") && !message.contains('\n'), "{message}");
    let (message, _) = refused(&engine, "select * from test_loop").await;
    assert_eq!(message, "in view test_loop: view test_loop refers to itself through test_loop");
    assert_eq!(engine.cloud().tally().counts().calls, 0, "wrong statements cost nothing");
}

#[tokio::test]
async fn the_clock_is_the_clouds() {
    let engine = engine().await;
    let got = run(&engine, "select cast(now() as date), current_date, now() = current_timestamp").await;
    assert_eq!(got.rows, ["2026-03-01|2026-03-01|true"]);
}

#[tokio::test]
async fn explain_names_scopes_and_filters_and_analyze_counts() {
    let engine = engine().await;
    let plan = run(&engine, "explain select key_pair_id from prod.test_pair where key_name = 'x' and region = 'eu-west-1'").await;
    let text = plan.rows.join("\n");
    for part in ["table=test_pair", "scopes=[prod/111111111111/eu-west-1]", "key_filters=[key_name = 'x']", "columns=["] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(plan.counts.calls, 0);
    let analyzed = run(&engine, "explain analyze select key_name from prod.test_pair").await.rows.join("\n");
    for part in ["api_calls=3", "cache_hits=0", "retries=0", "throttles=0", "OrderedCoalesceExec"] {
        assert!(analyzed.contains(part), "{part}: {analyzed}");
    }
    let again = run(&engine, "explain analyze select key_name from prod.test_pair").await.rows.join("\n");
    assert!(again.contains("api_calls=0") && again.contains("cache_hits=3"), "{again}");
}

#[tokio::test]
async fn the_catalog_is_in_sql_and_costs_no_call() {
    let engine = engine().await;
    let cases: [(&str, &[&str]); 8] = [
        (
            "select column_name, data_type from information_schema.columns where table_schema = 'prod' and table_name = 'test_pair' and ordinal_position <= 3 order by ordinal_position",
            &["key_name|text", "key_pair_id|text", "create_time|timestamp with time zone"],
        ),
        (
            "select table_schema, table_type from information_schema.tables where table_name in ('test_named', 'test_user') order by table_name, table_schema",
            &["both|VIEW", "dev|VIEW", "prod|VIEW", "public|VIEW", "both|FOREIGN", "dev|FOREIGN", "prod|FOREIGN", "public|FOREIGN"],
        ),
        ("select schema_name from information_schema.schemata order by 1", &["both", "dev", "information_schema", "prod", "public"]),
        ("select provider, kind, scope, service from assay_tables where name = 'test_pair'", &["aws|calls|region|ec2"]),
        ("select name from assay_tables where name like 'test\\_%' and kind = 'view'", &["test_loop", "test_named"]),
        (
            "select column_name, is_key, required, operators from assay_columns where table_name = 'test_membership' and ordinal_position <= 2 order by ordinal_position",
            &["user_name|true|true|=, in", "group_name|false|false|null"],
        ),
        (
            "select name, cloud, kind, members, is_default from assay_connections order by name",
            &["both|aws|aggregate|[\"prod\", \"dev\"]|false", "dev|aws|account|[]|true", "prod|aws|account|[]|true"],
        ),
        (
            "select data_type from information_schema.columns where table_schema = 'prod' and table_name = 'test_user' and column_name = '_ctx'",
            &["jsonb"],
        ),
    ];
    for (sql, want) in cases {
        assert_eq!(run(&engine, sql).await.rows, want, "{sql}");
    }
    let shown = run(&engine, "show tables").await.rows;
    assert!(shown.iter().any(|row| row.starts_with("assay|prod|test_pair|FOREIGN")), "{shown:?}");
    assert_eq!(engine.cloud().tally().counts().calls, 0);
}

#[tokio::test]
async fn dropping_a_query_leaves_nothing_running() {
    let engine = engine().await;
    let query = engine.query("select key_name from test_pair", &[]).await.unwrap();
    let log = query.log.clone();
    drop(query);
    assert_eq!(log.counts().calls, 0, "nothing is asked before the first poll");
}
