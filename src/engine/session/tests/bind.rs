//! Joins whose one side asks by the values of the other: rows as without, and the number of calls.

use super::{A, B, SPECS, engine_with, error, refused, run, try_run};
use crate::{Engine, Settings, dialect};
use assay_cloud::{Bundle, ErrorKind};
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};

const USERS: [(&str, &str, &str); 6] =
    [(A, "ann", "/ops/"), (A, "bob", "/"), (A, "cid", "/ops/"), (A, "dan", "/"), (B, "ann", "/"), (B, "eve", "/ops/")];

/// Keys of each user, as many as its name says.
fn keys(account: &str, user: &str) -> Vec<String> {
    let keys = match user {
        "ann" => 2,
        "bob" | "eve" => 1,
        _ => 0,
    };
    (1..=keys).map(|n| format!("{user}{n}{}", &account[..1])).collect()
}

/// Two accounts; users on one page, every call of theirs recorded.
fn bundle() -> Bundle {
    let mut bundle = Bundle::new(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
    bundle.account("prod", A, &["eu-west-1", "us-east-1"]);
    bundle.account("dev", B, &["us-east-1"]);
    let mut names: Vec<&str> = USERS.iter().map(|(_, name, _)| *name).collect();
    names.extend(["zed", "ANN"]);
    for account in [A, B] {
        let own = |prefix: &str| -> Value {
            let users = USERS.iter().filter(|(of, _, path)| *of == account && path.starts_with(prefix));
            let users: Vec<Value> =
                users.map(|(_, name, path)| json!({"UserName": name, "Path": path, "UserId": name.to_uppercase()})).collect();
            json!({"Users": users, "IsTruncated": false})
        };
        let mut answer = |operation: &str, input: Value, answer| bundle.answer(account, "us-east-1", "iam", operation, &input, answer);
        answer("ListUsers", json!({"MaxItems": 1000}), Ok(own("/")));
        answer("ListUsers", json!({"MaxItems": 1000, "PathPrefix": "/ops/"}), Ok(own("/ops/")));
        answer("ListUsers", json!({"MaxItems": 1000, "PathPrefix": "/none/"}), Ok(json!({"Users": [], "IsTruncated": false})));
        for name in &names {
            let here = USERS.iter().find(|(of, user, _)| of == &account && user == name);
            let by = |extra: Value| {
                let mut input = json!({"UserName": name});
                input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
                input
            };
            let gone = || error(ErrorKind::NotFound, "NoSuchEntity");
            let found: Vec<Value> =
                keys(account, name).iter().map(|id| json!({"UserName": name, "AccessKeyId": id, "Status": "Active"})).collect();
            let found = json!({"AccessKeyMetadata": found, "IsTruncated": false});
            let groups = json!({"Groups": [{"GroupName": format!("{name}s")}], "IsTruncated": false});
            let user = here.map(|(_, name, path)| json!({"User": {"UserName": name, "Path": path, "UserId": name.to_uppercase()}}));
            answer("ListAccessKeys", by(json!({"MaxItems": 1000})), here.map(|_| found).ok_or_else(gone));
            answer("ListGroupsForUser", by(json!({"MaxItems": 1000})), here.map(|_| groups).ok_or_else(gone));
            answer("ListMFADevices", by(json!({"MaxItems": 1000})), here.map(|_| json!({"MFADevices": []})).ok_or_else(gone));
            answer("GetUser", by(json!({})), user.ok_or_else(gone));
        }
    }
    for region in ["eu-west-1", "us-east-1"] {
        super::pairs(&mut bundle, A, region, Ok(&["ann", region]));
        super::pairs(&mut bundle, B, region, Ok(&["eve"]));
    }
    bundle
}

async fn bound() -> Engine {
    engine_with(bundle(), &SPECS, Settings::default()).await
}

/// The same without join binding.
async fn unbound() -> Engine {
    let engine = bound().await;
    Engine::with_rules(engine.cloud().clone(), engine.catalog().clone(), Settings::default(), dialect::physical_rules()).unwrap()
}

fn sorted(rows: &[String]) -> Vec<String> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

/// Statements over one account: rows in any order, calls.
const ONE_ACCOUNT: [(&str, &[&str], u64); 31] = [
    (
        "select access_key_id from aws_iam_access_key where user_name = any(array(select name from aws_iam_user where path = '/ops/'))",
        &["ann11", "ann21"],
        3,
    ),
    // Users of /ops/ are one page; then one call for each.
    (
        "select k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name where u.path = '/ops/'",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select k.access_key_id from aws_iam_access_key k join aws_iam_user u on k.user_name = u.name where u.path = '/ops/'",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select k.access_key_id from aws_iam_access_key k, aws_iam_user u where k.user_name = u.name and u.path = '/ops/'",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select u.name, k.access_key_id from aws_iam_user u left join aws_iam_access_key k on k.user_name = u.name where u.path = '/ops/'",
        &["ann|ann11", "ann|ann21", "cid|null"],
        3,
    ),
    (
        "select u.name, k.access_key_id from aws_iam_access_key k right join (select * from aws_iam_user where path = '/ops/') u on k.user_name = u.name",
        &["ann|ann11", "ann|ann21", "cid|null"],
        3,
    ),
    (
        "select access_key_id from aws_iam_access_key where user_name in (select name from aws_iam_user where path = '/ops/')",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select access_key_id from aws_iam_access_key k where exists (select 1 from aws_iam_user u where u.name = k.user_name and u.path = '/ops/')",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select name from aws_iam_user u where path = '/ops/' and exists (select 1 from aws_iam_access_key k where k.user_name = u.name)",
        &["ann"],
        3,
    ),
    (
        "select name from aws_iam_user u where path = '/ops/' and not exists (select 1 from aws_iam_access_key k where k.user_name = u.name)",
        &["cid"],
        3,
    ),
    (
        "with ops as (select name as who from aws_iam_user where path = '/ops/') select k.access_key_id from ops join aws_iam_access_key k on k.user_name = who",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select u.name, (select count(*) from aws_iam_access_key k where k.user_name = u.name) from aws_iam_user u where path = '/ops/'",
        &["ann|2", "cid|0"],
        3,
    ),
    (
        "select access_key_id from aws_iam_access_key where user_name = (select min(name) from aws_iam_user where path = '/ops/')",
        &["ann11", "ann21"],
        2,
    ),
    ("select access_key_id from aws_iam_access_key where user_name = (select name from aws_iam_user where path = '/none/')", &[], 1),
    (
        "select access_key_id from (values ('ann'), ('zed'), ('ann'), (null)) v(who) join aws_iam_access_key k on k.user_name = who",
        &["ann11", "ann11", "ann21", "ann21"],
        2,
    ),
    (
        "select u.name, x.access_key_id from aws_iam_user u cross join lateral (select * from aws_iam_access_key k where k.user_name = u.name) x where u.path = '/ops/'",
        &["ann|ann11", "ann|ann21"],
        3,
    ),
    (
        "select k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = lower(u.user_id) where u.path = '/ops/'",
        &["ann11", "ann21"],
        3,
    ),
    (
        "select c.n from aws_iam_user u join (select user_name, count(*) as n from aws_iam_access_key group by user_name) c on c.user_name = u.name where u.path = '/ops/'",
        &["2"],
        3,
    ),
    (
        "select x.id from aws_iam_user u join (select user_name, access_key_id as id from aws_iam_access_key union all select user_name, group_name from test_membership) x on x.user_name = u.name where u.path = '/ops/'",
        &["ann11", "ann21", "anns", "cids"],
        5,
    ),
    // Only ann has keys.
    (
        "select g.group_name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name join test_membership g on g.user_name = k.user_name where u.path = '/ops/'",
        &["anns|ann11", "anns|ann21"],
        4,
    ),
    // The users come last, and feed what is joined before them.
    (
        "select g.group_name, k.access_key_id from aws_iam_access_key k join test_membership g on g.user_name = k.user_name join aws_iam_user u on u.name = k.user_name where u.path = '/ops/'",
        &["anns|ann11", "anns|ann21"],
        4,
    ),
    (
        "select group_name from test_membership where user_name in (select name from aws_iam_user where path = '/ops/')",
        &["anns", "cids"],
        3,
    ),
    (
        "select u.name, g.group_name from aws_iam_user u left join test_membership g on g.user_name = u.name",
        &["ann|anns", "bob|bobs", "cid|cids", "dan|dans"],
        5,
    ),
    ("select count(*) from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name where u.path = '/none/'", &["0"], 1),
    // A list is one call, and two users would be two.
    ("select path from (values ('ann'), ('bob')) v(who) join aws_iam_user u on u.name = who", &["/ops/", "/"], 1),
    ("select path from (values ('ann')) v(who) join aws_iam_user u on u.name = who", &["/ops/"], 1),
    // Listed, but MFA devices are asked of two alone.
    (
        "select u.name, mfa_enabled from (values ('ann'), ('bob')) v(who) join aws_iam_user u on u.name = who",
        &["ann|false", "bob|false"],
        3,
    ),
    (
        "select u.name from (values ('ANN'), ('BOB')) v(who) join aws_iam_user u on u.user_id = who where not mfa_enabled",
        &["ann", "bob"],
        3,
    ),
    // What keeps rows of both sides reads both: users, their prefix, keys of all.
    (
        "select u.name, k.access_key_id from (select * from aws_iam_user where path = '/ops/') u full join aws_iam_access_key k on k.user_name = u.name",
        &["ann|ann11", "ann|ann21", "cid|null", "null|bob11"],
        6,
    ),
    ("select name from aws_iam_user where path = '/ops/' and name not in (select user_name from aws_iam_access_key)", &["cid"], 6),
    (
        "select name from aws_iam_user u where path = '/ops/' and (name = 'cid' or exists (select 1 from aws_iam_access_key k where k.user_name = u.name))",
        &["ann", "cid"],
        3,
    ),
];

#[tokio::test]
async fn values_of_one_side_become_calls_of_the_other() {
    let mut wrong = Vec::new();
    for (sql, want, calls) in ONE_ACCOUNT {
        let got = run(&bound().await, &qualified(sql)).await;
        let mut want: Vec<&str> = want.to_vec();
        want.sort_unstable();
        if sorted(&got.rows) != want || got.counts.calls != calls || !got.failures.is_empty() {
            wrong.push(format!("{sql}: {:?}, {} calls, {:?}", got.rows, got.counts.calls, got.failures));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tables of the first account.
fn qualified(sql: &str) -> String {
    sql.replace("aws_iam", "prod.aws_iam").replace("test_membership", "prod.test_membership")
}

#[tokio::test]
async fn rows_are_those_of_the_same_statement_without_binding() {
    let more = [
        "select u.name, k.access_key_id from aws_iam_user u join (select * from aws_iam_access_key order by access_key_id desc limit 1) k on k.user_name = u.name",
        "select u.name, k.access_key_id from aws_iam_user u join (select * from aws_iam_access_key limit 2) k on k.user_name = u.name where u.path = '/'",
        "select u.name, k.n from aws_iam_user u join (select user_name, row_number() over (order by access_key_id) as n from aws_iam_access_key) k on k.user_name = u.name where path = '/'",
        "select u.name, k.n from aws_iam_user u join (select user_name, row_number() over (partition by user_name order by access_key_id) as n from aws_iam_access_key) k on k.user_name = u.name where path = '/'",
        "select u.name, k.n from aws_iam_user u join (select user_name, lag(access_key_id) over (order by access_key_id) as n from aws_iam_access_key) k on k.user_name = u.name where path = '/'",
        "select u.name, k.id from aws_iam_user u join (select distinct on (status) status, user_name, access_key_id as id from aws_iam_access_key order by status, access_key_id desc) k on k.user_name = u.name",
        "select u.name, k.n from aws_iam_user u join (select user_name, count(*) n from aws_iam_access_key group by rollup (user_name)) k on k.user_name is not distinct from u.name",
        "select v.who, k.access_key_id from (values ('ann'), (null)) v(who) left join aws_iam_access_key k on k.user_name = v.who",
        "select v.who, k.user_name from (values ('ann'), (null)) v(who) join (select user_name from aws_iam_access_key union all select null) k on k.user_name is not distinct from v.who",
        "select who from (values ('cid'), (null), ('x')) v(who) where who not in (select user_name from aws_iam_access_key where user_name = 'bob')",
        "select who from (values ('cid'), (null)) v(who) where who not in (select user_name from aws_iam_access_key where status = 'Inactive')",
        "select k.access_key_id, u.name from aws_iam_access_key k left join aws_iam_user u on u.name = k.user_name and u.path = '/ops/'",
        "select a.name, b.name, k.access_key_id from aws_iam_user a left join (aws_iam_user b join aws_iam_access_key k on k.user_name = b.name) on b.name = a.name where a.path = '/ops/'",
        "select a.name, x.who, x.id from aws_iam_user a left join (select b.name as who, k.access_key_id as id from aws_iam_user b left join aws_iam_access_key k on k.user_name = b.name) x on x.id = a.name || '1' || '1'",
        "select a.name, x.id from aws_iam_user a join (select k.user_name, k.access_key_id as id from aws_iam_user b full join aws_iam_access_key k on k.user_name = b.name and b.path = '/') x on x.user_name = a.name where a.path = '/ops/'",
        "select u.name from aws_iam_user u where (select count(*) from aws_iam_access_key k where k.user_name = u.name) = 0",
        "select u.name from aws_iam_user u where u.name = any (select user_name from aws_iam_access_key k where k.status = 'Active') order by 1 limit 1",
        "select name from aws_iam_user intersect select user_name from aws_iam_access_key",
        "select name from aws_iam_user except select user_name from aws_iam_access_key",
        "select u.name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name order by k.access_key_id desc limit 2",
        "select max(k.access_key_id), min(u.name) from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name",
        "select u.name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name and k.account_id = u.account_id",
        "select u.account_id, count(k.access_key_id) from aws_iam_user u left join aws_iam_access_key k on k.user_name = u.name and k.account_id = u.account_id group by 1",
        "with recursive t(n, who) as (select 1, 'ann' union all select n + 1, u.name from t join aws_iam_user u on u.name > t.who where n < 3) select t.n, k.access_key_id from t join aws_iam_access_key k on k.user_name = t.who",
        "with recursive t(n, who) as (select 1, 'ann' union all select n + 1, k.user_name from t join aws_iam_access_key k on k.user_name = t.who where n < 3) select * from t",
    ];
    let (with, without) = (bound().await, unbound().await);
    for sql in more.iter().copied().chain(ONE_ACCOUNT.iter().map(|(sql, ..)| *sql).filter(|sql| !sql.contains("test_membership"))) {
        for sql in [qualified(sql), sql.to_owned()] {
            let (got, want) = (run(&with, &sql).await, run(&without, &sql).await);
            assert_eq!(sorted(&got.rows), sorted(&want.rows), "{sql}");
            assert_eq!(got.failures, want.failures, "{sql}");
        }
    }
}

#[tokio::test]
async fn binding_never_asks_more() {
    for (sql, ..) in ONE_ACCOUNT.iter().filter(|(sql, ..)| !sql.contains("test_membership")) {
        for sql in [qualified(sql), (*sql).to_owned()] {
            let (got, all) = (run(&bound().await, &sql).await, run(&unbound().await, &sql).await);
            assert!(got.counts.calls <= all.counts.calls, "{sql}: {} instead of {}", got.counts.calls, all.counts.calls);
        }
    }
}

#[tokio::test]
async fn no_account_is_asked_for_what_another_has() {
    for (sql, want, calls) in [
        // Ann and cid in the first account, eve in the second.
        (
            "select k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name and k.account_id = u.account_id where u.path = '/ops/'",
            &["ann11", "ann21", "eve12"][..],
            2 + 3,
        ),
        // The second account has an ann, too: its users are listed, and asked where the name is one of three.
        (
            "select k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name where u.path = '/ops/'",
            &["ann11", "ann12", "ann21", "ann22", "eve12"],
            2 + 2 + 4,
        ),
        (
            "select access_key_id from aws_iam_access_key where user_name = (select min(name) from aws_iam_user)",
            &["ann11", "ann12", "ann21", "ann22"],
            2 + 2,
        ),
        // Scopes that no value is of are not asked at all.
        (
            "select access_key_id from (values ('222222222222', 'eve')) v(id, who) join aws_iam_access_key k on k.user_name = who and k.account_id = id",
            &["eve12"],
            1,
        ),
        ("select name from (values ('222222222222')) v(id) join aws_iam_user u on u.account_id = id", &["ann", "eve"], 1),
        (
            "select key_name from (values ('eu-west-1', '111111111111')) v(r, a) join test_pair p on p.region = r and p.account_id = a",
            &["ann", "eu-west-1"],
            1,
        ),
        ("select name from (values ('dev')) v(c) join aws_iam_user u on u.sp_connection_name = c", &["ann", "eve"], 1),
        ("select name from (values ('999999999999')) v(id) join aws_iam_user u on u.account_id = id", &[], 0),
    ] {
        let got = run(&bound().await, sql).await;
        assert_eq!(
            (sorted(&got.rows), got.counts.calls),
            (sorted(&want.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()), calls),
            "{sql}"
        );
        assert_eq!(got.failures, [], "{sql}");
    }
}

#[tokio::test]
async fn what_nothing_feeds_is_refused_with_the_fix() {
    let engine = bound().await;
    let needs = "test_membership needs user_name: add where user_name = '…' or join on it";
    for (sql, hint) in [
        ("select * from prod.test_membership", None),
        ("select * from prod.aws_iam_user u join prod.test_membership g on g.group_name = u.name", None),
        ("select * from prod.aws_iam_user u cross join prod.test_membership g", None),
        ("select * from prod.aws_iam_user u join prod.test_membership g on g.user_name > u.name", None),
        ("select * from prod.aws_iam_user u join (select * from prod.test_membership limit 1) g on g.user_name = u.name", None),
        (
            "select * from prod.test_membership g left join prod.aws_iam_user u on g.user_name = u.name",
            Some("outer join keeps all rows of test_membership"),
        ),
        (
            "select * from prod.aws_iam_user u right join prod.test_membership g on g.user_name = u.name",
            Some("outer join keeps all rows of test_membership"),
        ),
        ("select * from prod.test_membership g full join prod.aws_iam_user u on g.user_name = u.name", Some("a full join keeps all rows")),
        ("select name from prod.aws_iam_user where name not in (select user_name from prod.test_membership)", Some("write NOT EXISTS")),
        (
            "select group_name from prod.test_membership g where not exists (select 1 from prod.aws_iam_user u where u.name = g.user_name)",
            Some("NOT EXISTS keeps rows"),
        ),
        (
            "select group_name from prod.test_membership where user_name in (select name from prod.aws_iam_user) or group_name = 'x'",
            Some("UNION"),
        ),
        ("select * from prod.test_membership a join prod.test_membership b on a.user_name = b.user_name", None),
    ] {
        let (message, got) = refused(&engine, sql).await;
        assert_eq!(message, needs, "{sql}");
        assert_eq!(got.is_some(), hint.is_some(), "{sql}: {got:?}");
        assert!(hint.is_none_or(|hint| got.as_deref().is_some_and(|got| got.contains(hint))), "{sql}: {got:?}");
    }
    assert_eq!(engine.cloud().tally().counts().calls, 0, "what is refused costs nothing");
    let fed = "select a.group_name from prod.test_membership a join prod.test_membership b on a.user_name = b.user_name where a.user_name = 'ann'";
    assert_eq!(run(&engine, fed).await.rows, ["anns"]);
}

#[tokio::test]
async fn a_build_side_that_fails_asks_nothing_and_a_denied_key_is_told() {
    let sql = "select k.access_key_id from (select name, 1 / (length(name) - 3) as x from prod.aws_iam_user) u join prod.aws_iam_access_key k on k.user_name = u.name and x > 0";
    let engine = bound().await;
    assert!(try_run(&engine, sql).await.is_err());
    assert!(engine.cloud().tally().counts().calls <= 1);
    let mut bundle = bundle();
    let input = json!({"UserName": "cid", "MaxItems": 1000});
    bundle.answer(A, "us-east-1", "iam", "ListAccessKeys", &input, Err(error(ErrorKind::Denied, "AccessDenied")));
    let engine = engine_with(bundle, &SPECS, Settings::default()).await;
    let got = run(&engine, &qualified(ONE_ACCOUNT[0].0)).await;
    assert_eq!((sorted(&got.rows), got.failures.len()), (vec!["ann11".to_owned(), "ann21".to_owned()], 1));
}

#[tokio::test]
async fn a_value_that_the_service_refuses_is_looked_up_in_the_list() {
    let mut bundle = bundle();
    for (user, kind, code) in [
        ("<root>", ErrorKind::Service, "ValidationError"),
        ("dan", ErrorKind::Service, "Odd"),
        ("gone", ErrorKind::NotFound, "NoSuchBucket"),
    ] {
        bundle.answer(A, "us-east-1", "iam", "ListAccessKeys", &json!({"UserName": user, "MaxItems": 1000}), Err(error(kind, code)));
    }
    let engine = engine_with(bundle, &SPECS, Settings::default()).await;
    let sql =
        |names: &str| format!("select k.access_key_id from (values {names}) v(who) join prod.aws_iam_access_key k on k.user_name = who");
    // Neither is a user, says the list.
    let got = run(&engine, &sql("('<root>'), ('ann'), ('gone'), ('bob')")).await;
    assert_eq!(
        (sorted(&got.rows), got.failures.len(), got.counts.calls),
        (vec!["ann11".to_owned(), "ann21".to_owned(), "bob11".to_owned()], 0, 4 + 1)
    );
    // Dan is one, so his keys are unknown.
    let got = run(&engine, &sql("('ann'), ('dan')")).await;
    assert_eq!((got.rows.len(), got.failures.len()), (2, 1));
    assert_eq!((got.failures[0].row.as_deref(), got.failures[0].error.code.as_str()), (Some("dan"), "Odd"));
}

#[tokio::test]
async fn a_shared_parent_is_listed_once() {
    let sql = "select count(*) from prod.aws_iam_user u, prod.aws_iam_access_key k, prod.test_user t where u.name = t.user_name and k.status = 'Active'";
    let got = run(&bound().await, sql).await;
    assert_eq!((got.rows, got.counts.calls), (vec!["12".to_owned()], 1 + 4));
}

#[tokio::test]
async fn explain_shows_what_is_bound_and_analyze_how_many() {
    let engine = bound().await;
    let sql = qualified(ONE_ACCOUNT[0].0);
    let plan = run(&engine, &format!("explain {sql}")).await;
    let text = plan.rows.join("\n");
    assert!(text.contains("JoinKeysExec: keys=[name@0]") && text.contains("bound_by=[user_name]"), "{text}");
    assert_eq!(plan.counts.calls, 0);
    let text = run(&engine, &format!("explain analyze {sql}")).await.rows.join("\n");
    let keys = text.lines().find(|line| line.contains("table=aws_iam_access_key")).unwrap();
    assert!(keys.contains("bound_values=2") && keys.contains("api_calls=2"), "{text}");
}

#[tokio::test]
async fn a_limit_over_a_join_stops_early() {
    let join = "from prod.aws_iam_user u join prod.aws_iam_access_key k on k.user_name = u.name";
    for (sql, rows, calls) in [
        // One page, and the first user has keys.
        (format!("select k.access_key_id {join} limit 1"), 1, 2),
        (format!("select k.access_key_id {join} limit 2"), 2, 3),
        // The first two users have no key: one, then two more.
        (format!("select u.name {join} where u.user_id in ('BOB', 'CID', 'DAN') limit 1"), 1, 2),
        (format!("select k.access_key_id {join} where u.path = '/ops/' limit 5"), 2, 3),
        (format!("select k.access_key_id {join} limit 0"), 0, 0),
        ("select u.name, k.access_key_id from prod.aws_iam_user u left join prod.aws_iam_access_key k on k.user_name = u.name limit 1".into(), 1, 2),
        ("select u.name from prod.aws_iam_user u where not exists (select 1 from prod.aws_iam_access_key k where k.user_name = u.name) limit 1".into(), 1, 4),
        // Whoever sorts has to have all.
        (format!("select k.access_key_id {join} order by 1 limit 1"), 1, 5),
        (format!("select count(*) {join} limit 1"), 1, 5),
    ] {
        let got = run(&bound().await, &sql).await;
        assert_eq!((got.rows.len(), got.counts.calls), (rows, calls), "{sql}: {:?}", got.rows);
        let many = sql.replace(" limit 1", " limit 7").replace(" limit 2", " limit 7").replace(" limit 5", " limit 7").replace(" limit 0", " limit 7");
        assert_eq!(sorted(&run(&bound().await, &many).await.rows), sorted(&run(&unbound().await, &many).await.rows), "{many}");
    }
    // The order of the probe side stands in for a sort.
    let sorted_side = "select u.name, k.id from prod.aws_iam_user u join (select user_name, access_key_id as id from prod.aws_iam_access_key order by access_key_id desc limit 9) k on k.user_name = u.name order by k.id desc limit 2";
    assert_eq!(run(&bound().await, sorted_side).await.rows, ["bob|bob11", "ann|ann21"]);
    let sorted_side = sorted_side.replace(" limit 9", "");
    assert_eq!(run(&bound().await, &sorted_side).await.rows, ["bob|bob11", "ann|ann21"]);
    let pages = "select u.name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name and k.account_id = u.account_id limit 1";
    assert_eq!(run(&bound().await, pages).await.counts.calls, 2, "the second account is not asked");
}
