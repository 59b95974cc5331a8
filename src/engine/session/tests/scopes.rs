//! Connections of several clouds: which of them a table asks, and which scopes filters leave over, counted in calls.

use super::{A, engine_with, refused, run};
use crate::{Engine, Settings};
use assay_cloud::{Bundle, CloudError, ErrorKind};
use chrono::{TimeZone, Utc};
use serde_json::json;

const ONE: &str = "11111111-1111-1111-1111-111111111111";
const TWO: &str = "22222222-2222-2222-2222-222222222222";
const OFF: &str = "33333333-3333-3333-3333-333333333333";
const TEN: &str = "77777777-7777-7777-7777-777777777777";

const GROUPS: &str = "GET /subscriptions/{}/resourcegroups";
const ROLES: &str = "GET /providers/Microsoft.Authorization/roleDefinitions";

const SPECS: [(&str, &str); 5] = [
    (
        "aws_test_user.yaml",
        "table: aws_test_user\nabout: Users.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\ncolumns:\n  name: text <- UserName\n",
    ),
    (
        "azure_test_group.yaml",
        "table: azure_test_group\nabout: Groups.\nscope: subscription\nrows:\n  - call: arm GET /subscriptions/{subscription_id}/resourcegroups\n    \
         api: 2022-09-01\n    each: value\ncolumns:\n  name: text\n  region: text <- location\n",
    ),
    (
        "azure_test_role.yaml",
        "table: azure_test_role\nabout: Roles.\nscope: tenant\nrows:\n  - call: arm GET /providers/Microsoft.Authorization/roleDefinitions\n    \
         api: 2022-04-01\n    each: value\ncolumns:\n  name: text\n",
    ),
    (
        "both_test.yaml",
        "table: both_test\nabout: Names of both clouds.\nview: select name from aws_test_user union all select name from azure_test_group\ncolumns:\n  name: text\n",
    ),
    ("azure_test_view.yaml", "table: azure_test_view\nabout: Groups.\nview: select name from azure_test_group\ncolumns:\n  name: text\n"),
];

fn bundle() -> Bundle {
    let mut bundle = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    bundle.account("prod", A, &["us-east-1"]);
    let users = json!({"Users": [{"UserName": "ann"}], "IsTruncated": false});
    bundle.answer(A, "us-east-1", "iam", "ListUsers", &json!({"MaxItems": 1000}), Ok(users));
    bundle.subscription("azure", ONE, TEN);
    bundle.subscription("azure", TWO, TEN);
    for (id, region) in [(ONE, "westeurope"), (TWO, "eastus")] {
        let input = json!({"path": format!("/subscriptions/{id}/resourcegroups"), "query": {"api-version": "2022-09-01"}});
        bundle.answer(id, "global", "arm", GROUPS, &input, Ok(json!({"value": [{"name": format!("g{}", &id[..1]), "location": region}]})));
    }
    let input = json!({"path": "/providers/Microsoft.Authorization/roleDefinitions", "query": {"api-version": "2022-04-01"}});
    bundle.answer(TEN, "global", "arm", ROLES, &input, Ok(json!({"value": [{"name": "Reader"}]})));
    bundle.aggregate("all", &["prod", "azure"]);
    bundle
}

async fn engine_over(bundle: Bundle, search_path: &[&str]) -> Engine {
    let search_path = search_path.iter().map(|s| (*s).to_owned()).collect();
    engine_with(bundle, &SPECS, Settings { search_path, ..Settings::default() }).await
}

#[tokio::test]
async fn a_table_is_asked_where_its_cloud_is_and_filters_leave_scopes_out() {
    let cases: [(&str, &[&str], u64); 16] = [
        ("select name from azure_test_group", &["g1", "g2"], 2),
        ("select name from aws_test_user", &["ann"], 1),
        ("select name from \"all\".azure_test_group", &["g1", "g2"], 2),
        ("select name from \"all\".aws_test_user", &["ann"], 1),
        ("select name from azure.azure_test_role", &["Reader"], 1),
        ("select name from both_test", &["ann", "g1", "g2"], 3),
        ("select name from azure.azure_test_view", &["g1", "g2"], 2),
        ("select name from azure_test_group where subscription_id = '11111111-1111-1111-1111-111111111111'", &["g1"], 1),
        ("select name from azure_test_group where subscription_id like '2222%'", &["g2"], 1),
        ("select name from azure_test_group where subscription_id in ('x', '22222222-2222-2222-2222-222222222222')", &["g2"], 1),
        ("select name from azure_test_group where subscription_id = 'x'", &[], 0),
        ("select name from azure_test_group where sp_connection_name = 'prod'", &[], 0),
        ("select name from azure_test_group where region = 'eastus'", &["g2"], 2),
        ("select name from azure_test_role where tenant_id = '77777777-7777-7777-7777-777777777777'", &["Reader"], 1),
        ("select name from azure_test_role where tenant_id = 'x'", &[], 0),
        ("select g.name || u.name from azure_test_group g, aws_test_user u where g.subscription_id not like '1%'", &["g2ann"], 2),
    ];
    for (sql, want, calls) in cases {
        let got = run(&engine_over(bundle(), &[]).await, sql).await;
        assert_eq!((got.rows.iter().map(String::as_str).collect::<Vec<_>>(), got.counts.calls), (want.to_vec(), calls), "{sql}");
        assert_eq!(got.failures, [], "{sql}");
    }
}

#[tokio::test]
async fn another_clouds_schema_has_no_such_table() {
    let engine = engine_over(bundle(), &[]).await;
    for (sql, message, hint) in [
        (
            "select 1 from prod.azure_test_group",
            "relation \"prod.azure_test_group\" does not exist",
            "connection prod is of cloud aws; ask azure.azure_test_group",
        ),
        (
            "select 1 from azure.aws_test_user",
            "relation \"azure.aws_test_user\" does not exist",
            "connection azure is of cloud azure; ask prod.aws_test_user",
        ),
        (
            "select 1 from prod.both_test",
            "in view both_test: relation \"prod.azure_test_group\" does not exist",
            "connection prod is of cloud aws; ask azure.azure_test_group",
        ),
    ] {
        let (got, got_hint) = refused(&engine, sql).await;
        assert_eq!((got.as_str(), got_hint.as_deref()), (message, Some(hint)), "{sql}");
    }
    let listed = "select table_schema from information_schema.tables where table_name = ";
    for (table, want) in [
        ("azure_test_group", &["all", "azure", "public"][..]),
        ("aws_test_user", &["all", "prod", "public"]),
        ("azure_test_view", &["all", "azure", "public"]),
        ("both_test", &["all", "azure", "prod", "public"]),
    ] {
        assert_eq!(run(&engine, &format!("{listed}'{table}' order by 1")).await.rows, want, "{table}");
    }
    assert_eq!(engine.cloud().tally().counts().calls, 0);
}

#[tokio::test]
async fn without_a_connection_of_its_cloud_a_table_says_what_to_do() {
    let (message, hint) = refused(&engine_over(bundle(), &["prod"]).await, "select 1 from azure_test_group").await;
    assert_eq!(message, "azure_test_group cannot be asked: no default connection is of cloud azure");
    assert!(hint.is_some_and(|h| h.starts_with("write azure.azure_test_group")));
    let mut alone = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    alone.account("prod", A, &["us-east-1"]);
    let (message, hint) = refused(&engine_over(alone, &[]).await, "select 1 from azure_test_group").await;
    assert_eq!(message, "azure_test_group cannot be asked: there is no connection of cloud azure");
    assert_eq!(hint.as_deref(), Some("add one to assay.yaml: connections: { azure: { cloud: azure } }"));
}

#[tokio::test]
async fn a_denied_and_a_disabled_subscription_are_failures_and_the_rest_stands() {
    let mut bundle = bundle();
    bundle.disabled_subscription("azure", OFF, TEN);
    let input = json!({"path": format!("/subscriptions/{TWO}/resourcegroups"), "query": {"api-version": "2022-09-01"}});
    let denied = CloudError::new(ErrorKind::Denied, "AuthorizationFailed", "no");
    bundle.answer(TWO, "global", "arm", GROUPS, &input, Err(denied));
    let engine = engine_over(bundle, &[]).await;
    let query = engine.query("select name from azure_test_group", &[]).await.unwrap();
    let log = query.log.clone();
    let rows: Vec<_> = futures::TryStreamExt::try_collect(query.stream).await.unwrap();
    assert_eq!(rows.iter().map(datafusion::arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
    let failures = log.failures();
    let failed: Vec<_> = failures.iter().map(|f| (f.account.as_deref(), f.region.as_deref(), f.error.code.as_str())).collect();
    assert_eq!(failed, [(Some(TWO), None, "AuthorizationFailed"), (Some(OFF), None, "SubscriptionDisabled")]);
    assert_eq!(log.tables()["azure_test_group"].noun, "subscription");
}

#[tokio::test]
async fn explain_names_subscriptions() {
    let engine = engine_over(bundle(), &[]).await;
    let plan = run(&engine, "explain select name from azure_test_group where subscription_id like '1%'").await.rows.join("\n");
    assert!(plan.contains(&format!("scopes=[azure/{ONE}/global]")) && plan.contains("scope_filters=[subscription_id LIKE"), "{plan}");
}
