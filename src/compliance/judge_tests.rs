//! Rows are validated; the completeness contract turns what could be wrong into errors, and nothing else.

use super::*;
use crate::AnswerColumn;

fn t(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn answer(columns: &[&str], rows: &[&[Value]]) -> Answer {
    let columns = columns.iter().map(|c| AnswerColumn { name: (*c).to_owned(), data_type: "text".to_owned() }).collect();
    Answer { columns, rows: rows.iter().map(|r| r.to_vec()).collect(), ..Answer::default() }
}

fn failure(account: Option<&str>, region: Option<&str>, row: Option<&str>) -> ScopeFailure {
    ScopeFailure {
        table: "aws_s3_bucket".into(),
        connection: "dev".into(),
        account: account.map(str::to_owned),
        noun: "account",
        region: region.map(str::to_owned),
        row: row.map(str::to_owned),
        columns: Vec::new(),
        code: "AccessDenied".into(),
        message: "s3:GetBucketPolicy AccessDenied no".into(),
    }
}

fn show(f: &Findings) -> Vec<String> {
    f.rows
        .iter()
        .map(|r| {
            format!(
                "{} {} | {} | {}",
                r.status,
                r.resource,
                r.reason,
                r.dimensions.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
            )
        })
        .collect()
}

#[test]
fn reads_every_status_and_scalar_and_sorts() {
    let columns = ["n", "resource", "status", "j", "reason", "b", "d", "nothing", "n"];
    let row = |resource: &str, status: &str| {
        vec![
            Value::Int(-5),
            t(resource),
            t(status),
            Value::Json(serde_json::json!({"a": [1, 2]})),
            t("why"),
            Value::Bool(true),
            Value::Double(1.5),
            Value::Null,
            Value::Int(7),
        ]
    };
    let rows =
        [row("e", "skip"), row("d", "ok"), row("c", "info"), row("b2", "alarm"), row("b1", "alarm"), row("b1", "alarm"), row("a", "error")];
    let f = judge(&answer(&columns, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>()), Duration::ZERO);
    assert_eq!(f.state, RunState::Complete);
    assert_eq!(f.summary, Counts { alarm: 3, ok: 1, info: 1, skip: 1, error: 1 });
    let resources: Vec<_> = f.rows.iter().map(|r| r.resource.as_str()).collect();
    assert_eq!(resources, ["a", "b1", "b1", "b2", "c", "d", "e"], "duplicates stay");
    assert_eq!(show(&f)[0], "error a | why | n=-5 j={\"a\":[1,2]} b=true d=1.5 nothing=");
}

#[test]
fn rows_that_are_no_verdicts_fail_the_control() {
    let good = ["resource", "status", "reason"];
    let cases: &[(&[&str], &[Value], &str)] = &[
        (
            &["resource", "reason"],
            &[t("r"), t("x")],
            "the query gives no column 'status': a control needs resource, status and reason, it has resource, reason",
        ),
        (&["status", "reason"], &[t("ok"), t("x")], "the query gives no column 'resource'"),
        (&["resource", "status"], &[t("r"), t("ok")], "the query gives no column 'reason'"),
        (&["resource", "status", "reason", "status"], &[t("r"), t("ok"), t("x"), t("ok")], "the query gives column 'status' twice"),
        (&good, &[t("r"), t("foo"), t("x")], "status 'foo' is not one of ok, alarm, info, skip, error (row 1, resource 'r')"),
        (&good, &[t("r"), t("OK"), t("x")], "status 'OK' is not one of"),
        (&good, &[t("r"), Value::Null, t("x")], "status is null is not one of"),
        (&good, &[t("r"), Value::Bool(true), t("x")], "status 'true' is not one of"),
    ];
    for (columns, row, want) in cases {
        let f = judge(&answer(columns, &[row]), Duration::ZERO);
        let RunState::Failed(message) = &f.state else { panic!("{columns:?} gave {:?}", f.state) };
        assert!(message.starts_with(want), "{columns:?} gave {message}");
        assert!(f.rows.is_empty());
        assert_eq!(f.summary, Counts { error: 1, ..Counts::default() });
    }
}

#[test]
fn an_answer_without_rows_is_complete_only_without_failures() {
    let mut a = answer(&["resource", "status", "reason", "account_id"], &[]);
    assert_eq!(judge(&a, Duration::ZERO).summary, Counts::default());
    a.failures = vec![failure(Some("111"), Some("eu-west-1"), None), failure(Some("111"), Some("eu-west-1"), Some("b"))];
    let f = judge(&a, Duration::ZERO);
    assert_eq!(
        show(&f),
        ["error account 111 region eu-west-1 | unknown: s3:GetBucketPolicy AccessDenied no, and 1 more failed calls | account_id=111"]
    );
    assert_eq!(f.rows[0].unknown, Some(Unknown::NoRow));
}

/// Rows of two accounts in two regions, global ones, and ones that do not say where they are.
#[test]
fn failures_touch_rows_of_their_account_and_region() {
    let rows: Vec<Vec<Value>> = [
        ("a-eu", "ok", "111", "eu-west-1"),
        ("a-us", "alarm", "111", "us-east-1"),
        ("a-gl", "ok", "111", "global"),
        ("a-no", "skip", "111", ""),
        ("b-eu", "ok", "222", "eu-west-1"),
        ("x", "ok", "", "eu-west-1"),
    ]
    .iter()
    .map(|(r, s, a, g)| vec![t(r), t(s), t("why"), if a.is_empty() { Value::Null } else { t(a) }, t(g)])
    .collect();
    let base = answer(&["resource", "status", "reason", "account_id", "region"], &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let scopes = |list: &[(&str, Option<&str>, &str)]| {
        let scopes = list.iter().map(|(c, a, r)| ((*c).to_owned(), a.map(str::to_owned), (*r).to_owned())).collect();
        vec![TableScopes { table: "aws_account".into(), noun: "account", scopes }]
    };
    let cases: &[(&str, ScopeFailure, Vec<TableScopes>, &[&str])] = &[
        ("one region", failure(Some("111"), Some("eu-west-1"), None), vec![], &["a-eu", "a-gl", "a-no", "x"]),
        ("one account", failure(Some("111"), None, None), vec![], &["a-eu", "a-gl", "a-no", "a-us", "x"]),
        ("a global service", failure(Some("111"), Some("global"), None), vec![], &["a-eu", "a-gl", "a-no", "a-us", "x"]),
        ("one row's call", failure(Some("222"), Some("eu-west-1"), Some("b-eu")), vec![], &["b-eu", "x"]),
        ("a region without rows", failure(Some("222"), Some("us-east-1"), None), vec![], &["account 222 region us-east-1"]),
        ("an account without rows", failure(Some("333"), None, None), vec![], &["account 333", "x"]),
        ("an unknown account", failure(None, None, None), vec![], &["connection dev", "x"]),
        (
            "an unknown account behind a known connection",
            failure(None, None, None),
            scopes(&[("dev", Some("222"), "eu-west-1"), ("prod", Some("111"), "eu-west-1")]),
            &["b-eu", "x"],
        ),
    ];
    for (name, f, tables, want) in cases {
        let mut a = base.clone();
        a.failures = vec![f.clone()];
        a.tables = tables.clone();
        let found = judge(&a, Duration::ZERO);
        let errors: Vec<&str> = found.rows.iter().filter(|r| r.status == Status::Error).map(|r| r.resource.as_str()).collect();
        assert_eq!(errors, *want, "{name}");
        assert_eq!(found.state, RunState::Complete, "{name}");
        assert!(found.rows.iter().all(|r| (r.status == Status::Error) == r.unknown.is_some()), "{name}");
    }
}

#[test]
fn the_reason_says_what_it_was_and_what_is_unknown() {
    let row = |r: &'static str| vec![t(r), t("ok"), t("private"), t("111")];
    let (one, two) = (row("arn:aws:s3:::one"), row("arn:aws:s3:::two"));
    let mut a = answer(&["resource", "status", "reason", "account_id"], &[&one, &two]);
    a.failures = vec![failure(Some("111"), Some("eu-west-1"), Some("one")), failure(Some("111"), Some("eu-west-1"), Some("two"))];
    let f = judge(&a, Duration::ZERO);
    assert_eq!(f.rows[0].reason, "unknown: s3:GetBucketPolicy AccessDenied no for one, and 1 more failed calls (was ok: private)");
    assert_eq!(f.rows[1].reason, "unknown: s3:GetBucketPolicy AccessDenied no for two, and 1 more failed calls (was ok: private)");
    assert_eq!(f.rows[0].unknown, Some(Unknown::Was(Status::Ok)));
}

#[test]
fn rows_without_an_account_make_the_whole_control_an_error() {
    let (one, two) = ([t("one"), t("ok"), t("x"), t("eu-west-1")], [t("two"), t("alarm"), t("x"), t("us-east-1")]);
    let mut a = answer(&["resource", "status", "reason", "region"], &[&one, &two]);
    a.failures = vec![failure(Some("111"), Some("eu-west-1"), None)];
    let f = judge(&a, Duration::ZERO);
    assert_eq!(f.summary, Counts { error: 2, ..Counts::default() });
    let RunState::Incomplete(message) = &f.state else { panic!("{:?}", f.state) };
    assert!(message.contains("the rows do not say their account: s3:GetBucketPolicy AccessDenied no"), "{message}");
}

#[test]
fn failed_statements() {
    for (kind, want) in [
        (SqlErrorKind::Statement, RunState::Failed("no table (try aws_x)".into())),
        (SqlErrorKind::Data, RunState::Failed("no table (try aws_x)".into())),
        (SqlErrorKind::Internal, RunState::Failed("internal error: no table (try aws_x)".into())),
        (SqlErrorKind::Cloud, RunState::Unreachable("no table (try aws_x)".into())),
    ] {
        let f = failed(&SqlError { kind, message: "no table".into(), hint: Some("try aws_x".into()) }, Duration::ZERO);
        assert_eq!((f.state, f.summary.error), (want, 1));
    }
}

/// Rows of two subscriptions of a tenant and of an account of another cloud.
#[test]
fn a_subscription_is_an_account_and_a_tenant_is_all_of_its_subscriptions() {
    let row = |resource: &'static str, account: &'static str, subscription: &'static str, region: &'static str| {
        let id = |id: &'static str| if id.is_empty() { Value::Null } else { t(id) };
        vec![t(resource), t("ok"), t("why"), id(account), id(subscription), t(region)]
    };
    let rows = [row("one", "", "sub-1", "westeurope"), row("two", "", "sub-2", "eastus"), row("key", "111", "", "global")];
    let columns = ["resource", "status", "reason", "account_id", "subscription_id", "region"];
    let mut base = answer(&columns, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let scopes = |table: &str, noun, list: &[(&str, &str)]| TableScopes {
        table: table.into(),
        noun,
        scopes: list.iter().map(|(c, a)| ((*c).to_owned(), Some((*a).to_owned()), "global".to_owned())).collect(),
    };
    base.tables = vec![
        scopes("aws_iam_access_key", "account", &[("aws", "111")]),
        scopes("azure_role_definition", "tenant", &[("azure", "ten-1")]),
        scopes("azure_storage_account", "subscription", &[("azure", "sub-1"), ("azure", "sub-2"), ("azure", "sub-3")]),
    ];
    let failed = |noun: &'static str, account: Option<&str>| ScopeFailure {
        table: "azure_x".into(),
        connection: "azure".into(),
        noun,
        ..failure(account, None, None)
    };
    let cases: [(ScopeFailure, &[&str], &str); 4] = [
        (failed("subscription", Some("sub-1")), &["one"], ""),
        (failed("subscription", Some("sub-3")), &["subscription sub-3"], "account_id= subscription_id=sub-3 region="),
        (failed("tenant", Some("ten-1")), &["one", "two"], ""),
        (failed("subscription", None), &["one", "two"], ""),
    ];
    for (f, want, dimensions) in cases {
        let mut a = base.clone();
        a.failures = vec![f.clone()];
        let found = judge(&a, Duration::ZERO);
        let errors: Vec<&str> = found.rows.iter().filter(|r| r.status == Status::Error).map(|r| r.resource.as_str()).collect();
        assert_eq!((errors.as_slice(), &found.state), (want, &RunState::Complete), "{f:?}");
        assert!(dimensions.is_empty() || show(&found)[0].ends_with(dimensions), "{:?}", show(&found));
    }
}

#[test]
fn rows_of_a_tenant_depend_on_its_subscriptions() {
    let rows = [[t("r1"), t("ok"), t("why"), t("ten-1")], [t("r2"), t("ok"), t("why"), t("ten-2")]];
    let mut a = answer(&["resource", "status", "reason", "tenant_id"], &rows.iter().map(|r| &r[..]).collect::<Vec<_>>());
    let errors = |a: &Answer| {
        let found = judge(a, Duration::ZERO);
        found.rows.iter().filter(|r| r.status == Status::Error).map(|r| r.resource.clone()).collect::<Vec<_>>()
    };
    a.failures = vec![ScopeFailure { noun: "tenant", ..failure(Some("ten-2"), None, None) }];
    assert_eq!(errors(&a), ["r2"]);
    a.failures = vec![ScopeFailure { noun: "tenant", ..failure(Some("ten-3"), None, None) }];
    assert_eq!(errors(&a), ["tenant ten-3"]);
    a.failures = vec![ScopeFailure { noun: "subscription", ..failure(Some("sub-9"), None, None) }];
    assert_eq!(errors(&a), ["r1", "r2"], "which tenant it is of is not known");
}

/// Controls may call a subscription an account.
#[test]
fn a_stand_in_says_its_subscription_where_there_is_a_column_for_it() {
    for (columns, want) in [
        (
            ["resource", "status", "reason", "account_id"],
            "error subscription s | unknown: s3:GetBucketPolicy AccessDenied no | account_id=s",
        ),
        (
            ["resource", "status", "reason", "subscription_id"],
            "error subscription s | unknown: s3:GetBucketPolicy AccessDenied no | subscription_id=s",
        ),
    ] {
        let mut a = answer(&columns, &[]);
        a.failures = vec![ScopeFailure { noun: "subscription", ..failure(Some("s"), None, None) }];
        assert_eq!(show(&judge(&a, Duration::ZERO)), [want]);
    }
}
