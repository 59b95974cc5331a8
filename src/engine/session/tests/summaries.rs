//! Summaries in the place of many calls: rows as by listing, the number of calls, and what is said about both.

use super::{A, B, Got, SPECS, engine_with, error, run};
use crate::query_log::AsOf;
use crate::{Engine, Settings};
use assay_cloud::{Bundle, CloudError, ErrorKind};
use chrono::{DateTime, TimeZone, Utc};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: u64 = 3600;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

/// User, and of each key status, date, and what the report says of both.
type Key = (&'static str, &'static str, Option<(&'static str, &'static str)>);
type Keys = &'static [Key];
const OLD: &str = "2025-06-01T00:00:00Z";
const NEW: &str = "2026-02-20T00:00:00Z";
const USERS: [(&str, Keys); 14] = [
    ("ann", &[("Active", OLD, Some(("true", OLD))), ("Active", NEW, Some(("true", NEW)))]),
    ("bob", &[("Active", NEW, Some(("true", NEW)))]),
    ("cid", &[("Inactive", OLD, Some(("false", "N/A")))]),
    ("dan", &[]),
    ("eve", &[("Inactive", OLD, Some(("true", OLD)))]),
    ("fay", &[("Active", OLD, Some(("true", "N/A")))]),
    ("gus", &[]),
    ("hal", &[]),
    ("ida", &[]),
    ("jon", &[]),
    ("kim", &[]),
    ("lea", &[("Active", NEW, None)]),
    ("max", &[]),
    ("ned", &[]),
];

fn report(at: &str) -> Value {
    use base64::Engine as _;
    let mut lines = vec![
        "user,arn,user_creation_time,password_last_used,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
         access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date"
            .to_owned(),
        format!("<root_account>,arn:aws:iam::1:root,{OLD},not_supported,true,true,{OLD},N/A,true,{OLD},N/A"),
    ];
    for (user, keys) in USERS {
        let slot = |n: usize| match keys.get(n).and_then(|(.., said)| *said) {
            Some((active, date)) => format!("{active},{date},N/A"),
            None => "false,N/A,N/A".to_owned(),
        };
        lines.push(format!("{user},arn:aws:iam::1:user/{user},{OLD},no_information,false,{},{}", slot(0), slot(1)));
    }
    lines.push(format!("zoe,arn:aws:iam::1:user/zoe,{OLD},N/A,false,true,{OLD},N/A,false,N/A,N/A"));
    let content = base64::engine::general_purpose::STANDARD.encode(lines.join("\n"));
    json!({"Content": content, "ReportFormat": "text/csv", "GeneratedTime": at})
}

fn bundle(of: &[(&str, Result<Value, CloudError>)]) -> Bundle {
    let mut bundle = Bundle::new(now());
    bundle.account("prod", A, &["us-east-1"]);
    bundle.account("dev", B, &["us-east-1"]);
    for account in [A, B] {
        let mut answer = |operation: &str, input: Value, answer| bundle.answer(account, "us-east-1", "iam", operation, &input, answer);
        let users: Vec<Value> =
            USERS.iter().map(|(name, _)| json!({"UserName": name, "Path": "/", "Arn": format!("arn:aws:iam::1:user/{name}")})).collect();
        answer("ListUsers", json!({"MaxItems": 1000}), Ok(json!({"Users": users, "IsTruncated": false})));
        for (name, keys) in USERS {
            let key = |(n, (status, date, _)): (usize, &Key)| json!({"UserName": name, "AccessKeyId": format!("{name}{}", n + 1), "Status": status, "CreateDate": date});
            let keys: Vec<Value> = keys.iter().enumerate().map(key).collect();
            answer(
                "ListAccessKeys",
                json!({"UserName": name, "MaxItems": 1000}),
                Ok(json!({"AccessKeyMetadata": keys, "IsTruncated": false})),
            );
            answer("ListMFADevices", json!({"UserName": name, "MaxItems": 1000}), Ok(json!({"MFADevices": [], "IsTruncated": false})));
        }
        answer("ListAccessKeys", json!({"UserName": "zoe", "MaxItems": 1000}), Err(error(ErrorKind::NotFound, "NoSuchEntity")));
    }
    for (account, found) in of {
        bundle.answer(account, "us-east-1", "iam", "GetCredentialReport", &json!({}), found.clone());
    }
    bundle
}

async fn allowing(bundle: Bundle, seconds: u64) -> Engine {
    engine_with(bundle, &SPECS, Settings { max_staleness: Duration::from_secs(seconds), ..Settings::default() }).await
}

const STALE: &str =
    "select access_key_id from prod.aws_iam_access_key where status = 'Active' and create_date <= now() - interval '90 days' order by 1";

fn fresh() -> Result<Value, CloudError> {
    Ok(report("2026-03-01T09:00:00+00:00"))
}

async fn older(engine: &Engine, sql: &str) -> (Got, Vec<AsOf>) {
    let query = engine.query(sql, &[]).await.unwrap();
    let log = query.log;
    let _: Vec<_> = query.stream.try_collect().await.unwrap();
    (run(engine, sql).await, log.older_parts())
}

#[tokio::test]
async fn only_users_who_may_have_such_a_key_are_listed() {
    let want = ["ann1", "fay1"];
    let listed = run(&allowing(bundle(&[(A, fresh())]), 0).await, STALE).await;
    assert_eq!((listed.rows.as_slice(), listed.counts.calls), (&want.map(str::to_owned)[..], 1 + 14));
    // ann and fay, and eve and zoe who were reported with one.
    let fused = run(&allowing(bundle(&[(A, fresh())]), 4 * HOUR).await, STALE).await;
    assert_eq!((fused.rows, fused.counts.calls, fused.failures.len()), (listed.rows, 1 + 4, 0));
    assert_eq!(fused.notices, [] as [&str; 0]);
}

#[tokio::test]
async fn what_the_report_has_costs_one_call_and_says_of_when_it_is() {
    let sql = "select user_name, count(*) from prod.aws_iam_access_key where status = 'Active' group by 1 order by 1";
    let (got, parts) = older(&allowing(bundle(&[(A, fresh())]), 4 * HOUR).await, sql).await;
    // As of the report: lea's key is newer, eve's was active then, and zoe was there.
    assert_eq!(got.rows, ["ann|2", "bob|1", "eve|1", "fay|1", "zoe|1"]);
    let at = "2026-03-01T09:00:00Z".parse().unwrap();
    let part = |account: Option<&str>| AsOf {
        table: "aws_iam_access_key".into(),
        source: "credential report".into(),
        connection: "prod".into(),
        account: account.map(str::to_owned),
        at,
        or_later: false,
    };
    assert!(parts == [part(None)] || parts == [part(Some(A))], "{parts:?}");
    let users =
        run(&allowing(bundle(&[(A, fresh())]), HOUR * 4).await, "select count(*) from prod.aws_iam_user where not mfa_enabled").await;
    assert_eq!((users.rows, users.counts.calls), (vec!["15".to_owned()], 1));
}

#[tokio::test]
async fn nothing_is_older_where_nothing_may_be() {
    for seconds in [0, 3 * HOUR - 1] {
        let (got, parts) = older(&allowing(bundle(&[(A, fresh())]), seconds).await, STALE).await;
        assert_eq!((got.rows.len(), parts), (2, vec![]), "{seconds}");
        let told = got.notices
            == [
                "aws_iam_access_key of prod: listed, for the credential report cannot be used: it is of 2026-03-01T09:00:00Z and may be 10799 s old",
            ];
        assert_eq!(told, seconds > 0, "{:?}", got.notices);
    }
    let (got, parts) = older(&allowing(bundle(&[(A, fresh())]), 3 * HOUR).await, STALE).await;
    assert_eq!((got.rows.len(), parts.len(), got.notices.len()), (2, 1, 0), "of that very second");
}

#[tokio::test]
async fn a_summary_that_cannot_be_read_is_listed_instead() {
    let denied = || Err(error(ErrorKind::Denied, "AccessDenied"));
    for (found, told) in [
        (denied(), true),
        (Ok(json!({"Content": "####", "GeneratedTime": "2026-03-01T09:00:00Z"})), true),
        (Ok(json!({"Content": "", "GeneratedTime": null})), true),
        (Ok(report("yesterday")), true),
    ] {
        let got = run(&allowing(bundle(&[(A, found.clone())]), 4 * HOUR).await, STALE).await;
        assert_eq!((got.rows.len(), got.failures.len(), got.notices.len() == 1), (2, 0, told), "{found:?}: {:?}", got.notices);
    }
    // Where nobody can be asked there is nothing to list.
    let got = run(
        &allowing(bundle(&[(A, Err(error(ErrorKind::Unreachable, "Timeout"))), (B, fresh())]), 4 * HOUR).await,
        &STALE.replace("prod.", ""),
    )
    .await;
    assert_eq!((got.rows.len(), got.failures.len(), got.notices.len(), got.counts.calls), (2, 1, 0, 1 + 5));
    // A recording without it is no news.
    let got = run(&allowing(bundle(&[]), 4 * HOUR).await, STALE).await;
    assert_eq!((got.rows.len(), got.failures.len(), got.notices.len()), (2, 0, 0));
    // Of two accounts, each has its own.
    let sql = STALE.replace("prod.", "");
    let got = run(&allowing(bundle(&[(A, fresh()), (B, denied())]), 4 * HOUR).await, &sql).await;
    assert_eq!((got.rows.as_slice(), got.counts.calls), (&["ann1", "ann1", "fay1", "fay1"].map(str::to_owned)[..], 5 + 1 + 15));
    assert_eq!(got.notices.len(), 1);
    assert!(got.notices[0].starts_with("aws_iam_access_key of dev: listed,"), "{:?}", got.notices);
}

#[tokio::test]
async fn a_failure_behind_the_summary_is_one() {
    let mut bundle = bundle(&[(A, fresh())]);
    bundle.answer(
        A,
        "us-east-1",
        "iam",
        "ListAccessKeys",
        &json!({"UserName": "ann", "MaxItems": 1000}),
        Err(error(ErrorKind::Denied, "AccessDenied")),
    );
    let got = run(&allowing(bundle, 4 * HOUR).await, STALE).await;
    assert_eq!((got.rows.as_slice(), got.failures.len(), got.counts.calls), (&["fay1".to_owned()][..], 1, 5));
    assert_eq!(got.failures[0].row.as_deref(), Some("ann"));
}

#[tokio::test]
async fn values_of_a_join_are_asked_by_key_if_they_are_few_and_screened_otherwise() {
    let join =
        "select k.access_key_id from prod.aws_iam_user u join prod.aws_iam_access_key k on k.user_name = u.name where k.status = 'Active'";
    for (more, want, calls) in [
        (" and u.name like '%'", &["ann1", "ann2", "bob1", "fay1"][..], 1 + 1 + 4),
        (" and u.name < 'b'", &["ann1", "ann2"], 1 + 1),
        (" and k.create_date < now() - interval '90 days'", &["ann1", "fay1"], 1 + 1 + 3),
    ] {
        let sql = format!("{join}{more} order by 1");
        let got = run(&allowing(bundle(&[(A, fresh())]), 4 * HOUR).await, &sql).await;
        assert_eq!((got.rows.iter().map(String::as_str).collect::<Vec<_>>(), got.counts.calls), (want.to_vec(), calls), "{more}");
    }
}

#[tokio::test]
async fn explain_says_which_way() {
    let engine = allowing(bundle(&[(A, fresh())]), 4 * HOUR).await;
    for (sql, want) in [
        (STALE, Some("summary=[credential report, then listed]")),
        ("select count(*) from prod.aws_iam_access_key where status = 'Active'", Some("summary=[credential report]")),
        ("select count(*) from prod.aws_iam_access_key where status <> 'Active'", None),
    ] {
        let plan = run(&engine, &format!("explain {sql}")).await;
        let text = plan.rows.join("\n");
        assert_eq!((text.contains("summary="), want.is_none_or(|want| text.contains(want))), (want.is_some(), true), "{text}");
        assert_eq!(plan.counts.calls, 0);
    }
    let text = run(&engine, &format!("explain analyze {STALE}")).await.rows.join("\n");
    assert!(text.contains("by_summary=1") && text.contains("api_calls=5"), "{text}");
}
