//! Secret columns: seen where they are named and asked for, carried by nothing else, and not even fetched.

use super::{A, engine_with, refused, run};
use crate::{Engine, Settings};
use assay_cloud::Bundle;
use chrono::{TimeZone, Utc};
use serde_json::json;

const CANARY: &str = "canary-5f1e";

const SPECS: [(&str, &str); 4] = [
    (
        "test_vault.yaml",
        "table: test_vault\nabout: Users with a secret.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\n\
         also:\n  profile: { call: iam.GetLoginProfile, in: { UserName: UserName }, take: LoginProfile }\n\
         secret: [pass]\ncolumns:\n  name: text <- UserName\n  pass: text <- profile.Note\n  path: text\n",
    ),
    (
        "test_user.yaml",
        "table: test_user\nabout: Users.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\ncolumns:\n  name: text <- UserName\n",
    ),
    (
        "test_safe.yaml",
        "table: test_safe\nabout: A view with a secret.\nview: select name, pass as word from test_vault\nsecret: [word]\ncolumns:\n  name: text\n  word: text\n",
    ),
    (
        "test_leak.yaml",
        "table: test_leak\nabout: A view that shows what it must not.\nview: select name, pass as word from test_vault\ncolumns:\n  name: text\n  word: text\n",
    ),
];

fn bundle() -> Bundle {
    let mut bundle = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    bundle.account("prod", A, &["us-east-1"]);
    let users = json!({"Users": [{"UserName": "ann", "Path": "/"}, {"UserName": "bob", "Path": "/"}], "IsTruncated": false});
    bundle.answer(A, "us-east-1", "iam", "ListUsers", &json!({"MaxItems": 1000}), Ok(users));
    for user in ["ann", "bob"] {
        let profile = json!({"LoginProfile": {"UserName": user, "Note": format!("{CANARY}-{user}")}});
        bundle.answer(A, "us-east-1", "iam", "GetLoginProfile", &json!({"UserName": user}), Ok(profile));
    }
    bundle
}

async fn engine(secrets: bool) -> Engine {
    engine_with(bundle(), &SPECS, Settings { secrets, ..Settings::default() }).await
}

/// Statements that read the table in every way, none of which names the secret column in what it gives.
const UNNAMED: [&str; 20] = [
    "select * from test_vault",
    "select v.* from test_vault v",
    "select prod.test_vault.* from prod.test_vault",
    "select count(*) from test_vault",
    "select count(v.*) from test_vault v",
    "select * from (select * from test_vault) s",
    "with s as (select * from test_vault) select * from s",
    "select * from test_vault v join test_user u on u.name = v.name",
    "select v.*, u.* from test_vault v join test_user u on u.name = v.name",
    "select * from test_user u left join test_vault v on u.name = v.name",
    "select * from test_vault a, test_vault b where a.name = b.name",
    "select * from test_vault v, jsonb_array_elements('[1, 2]'::jsonb) e",
    "select * from test_vault v cross join (select 1 as one) s",
    "select * from (test_vault v join test_user u on u.name = v.name)",
    "select * from test_vault union all select * from prod.test_vault",
    "select distinct * from test_vault order by 1",
    "select (select count(*) from (select * from test_vault) s)",
    "select name from test_user where exists (select * from test_vault v where v.name = test_user.name)",
    "select * from test_vault except select * from test_vault where name = 'x'",
    "select * from information_schema.columns where table_name = 'test_vault'",
];

#[tokio::test]
async fn nothing_carries_a_secret_that_is_not_named() {
    let (closed, open) = (engine(false).await, engine(true).await);
    for sql in UNNAMED {
        let want = run(&closed, sql).await.rows;
        assert!(!want.is_empty(), "{sql}");
        // Naming it elsewhere in the statement makes it part of the table, and of no wildcard.
        let naming = format!("select * from ({sql}) around where (select count(pass) from test_vault) = 2");
        for (engine, sql) in [(&open, sql), (&open, naming.as_str())] {
            let got = run(engine, sql).await;
            assert_eq!(got.rows, want, "{sql}");
            assert!(!got.rows.join("\n").contains(CANARY), "{sql}");
            assert_eq!(got.failures, [], "{sql}");
        }
    }
    assert_eq!(run(&open, "select * from test_safe").await.rows, ["ann", "bob"], "a view's own secret column");
    // Each user's profile was fetched for count(pass) once, and for nothing else.
    let fresh = engine(true).await;
    assert_eq!(run(&fresh, "select * from test_vault").await.counts.calls, 1);
    assert_eq!(run(&fresh, "select *, pass from test_vault").await.counts.calls, 2);
}

#[tokio::test]
async fn named_and_asked_for_it_is_there() {
    let engine = engine(true).await;
    let both = ["ann|canary-5f1e-ann", "bob|canary-5f1e-bob"];
    let cases: [(&str, &[&str]); 15] = [
        ("select name, pass from test_vault", &both),
        ("select name, v.pass from test_vault v", &both),
        ("select name, test_vault.pass from test_vault", &both),
        ("select name, \"pass\" from prod.test_vault", &both),
        ("select name, PASS from test_vault", &both),
        ("select name, pass from (select name, pass from test_vault) s", &both),
        ("select * from (select name, pass from test_vault) s", &both),
        ("with s as (select name, pass from test_vault) select * from s order by pass", &both),
        ("select u.*, v.pass from test_user u join test_vault v using (name)", &[]),
        ("select name from test_vault where pass like '%-bob'", &["bob"]),
        ("select max(pass) from test_vault", &["canary-5f1e-bob"]),
        ("select s.* from (select max(pass) as m from test_vault group by pass) s order by m limit 1", &["canary-5f1e-ann"]),
        ("select k from test_vault v, unnest(string_to_array(v.pass, '-')) k where name = 'ann'", &["canary", "5f1e", "ann"]),
        ("select name, word from test_safe", &both),
        ("select name, word from test_leak", &both),
    ];
    for (sql, want) in cases {
        let got = run(&engine, sql).await;
        if !want.is_empty() {
            assert_eq!(got.rows, want, "{sql}");
        }
        assert!(!got.rows.is_empty(), "{sql}");
    }
    let got = run(&engine, "select *, pass from test_vault where name = 'ann'").await;
    assert!(got.rows[0].starts_with("ann|/|aws|") && got.rows[0].ends_with("|canary-5f1e-ann"), "{:?}", got.rows);
    assert_eq!(got.rows[0].matches(CANARY).count(), 1);
    assert_eq!(got.notices.len(), 1);
    assert!(got.notices[0].starts_with("test_vault.pass is secret: a recording leaves it out"), "{:?}", got.notices);
}

#[tokio::test]
async fn named_and_not_asked_for_it_is_an_error_that_says_how() {
    let engine = engine(false).await;
    for sql in [
        "select pass from test_vault",
        "select *, pass from test_vault",
        "select v.pass from test_vault v",
        "select 1 from test_vault where pass is null",
        "select 1 from test_user u where u.name in (select pass from test_vault)",
        "select s.pass from (select * from test_vault) s",
        "select word from test_safe",
        "select name from test_safe",
        "select name from test_leak",
        "explain select pass from test_vault",
    ] {
        let (message, hint) = refused(&engine, sql).await;
        assert!(message.ends_with(" is secret"), "{sql}: {message}");
        assert!(hint.as_deref().is_some_and(|h| h.contains("--show-secrets")), "{sql}: {hint:?}");
    }
    assert_eq!(engine.cloud().tally().counts().calls, 0);
    // A column of that name that is no secret is nobody's business.
    assert_eq!(run(&engine, "select s.pass from (select 'x' as pass) s, test_vault limit 1").await.rows, ["x"]);
    assert_eq!(run(&engine, "select name as pass from test_vault order by pass limit 1").await.rows, ["ann"]);
}

#[tokio::test]
async fn what_could_carry_it_unnamed_is_refused() {
    let engine = engine(true).await;
    for (sql, says) in [
        ("select v.pass, * from test_vault v join test_user u using (name)", "* over a join with USING"),
        ("select pass from test_vault natural join test_user", "NATURAL JOIN"),
        ("select a, x from test_vault v(a, x, c), (select pass from test_vault) s", "new names for the columns"),
        ("with test_vault as (select * from prod.test_vault) select pass from test_vault", "a WITH query has the name of test_vault"),
        ("select *, v.pass from test_vault v, (select 1 as one)", "a relation without a name"),
        ("select pass, to_jsonb(v.*) from test_vault v", "a whole row as a value"),
        ("select s.pass from (select * from test_vault) s", "does not exist here"),
    ] {
        let (message, _) = refused(&engine, sql).await;
        assert!(message.contains(says), "{sql}: {message}");
    }
}

#[tokio::test]
async fn the_catalog_says_what_is_secret() {
    let engine = engine(false).await;
    let rows = run(
        &engine,
        "select column_name, secret from assay_columns where table_name = 'test_vault' and ordinal_position < 4 order by ordinal_position",
    )
    .await
    .rows;
    assert_eq!(rows, ["name|false", "pass|true", "path|false"]);
    let rows = run(&engine, "select column_name from information_schema.columns where table_name = 'test_vault' and column_name = 'pass'")
        .await
        .rows;
    assert!(rows.is_empty());
}
