//! When a summary takes the place of the table's own calls, and what it lets through.

use crate::run::{Decode, Facts, Row};
use crate::{CallPlan, Filter, RangeOp, Request, Scalar, Table};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const KEY: &str = include_str!("../../aws/iam/aws_iam_access_key.yaml");
const USER: &str = include_str!("../../aws/iam/aws_iam_user.yaml");

fn key() -> Table {
    Table::load("aws_iam_access_key.yaml", KEY).unwrap()
}

fn user() -> Table {
    Table::load("aws_iam_user.yaml", USER).unwrap()
}

fn at(day: u32) -> DateTime<Utc> {
    format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
}

fn is(column: &str, values: &[&str]) -> Filter {
    Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
}

fn created(op: RangeOp, day: u32) -> Filter {
    Filter::Range { column: "create_date".into(), op, value: Scalar::Timestamp(at(day)) }
}

fn summarized(table: &Table, columns: &[&str], filters: &[Filter], hours: i64) -> Option<CallPlan> {
    let projection = columns.iter().map(|c| table.column(c).unwrap()).collect();
    let request = Request { projection, filters: filters.to_vec(), now: at(31) };
    let own = table.plan(&request).unwrap();
    assert!(own.summary().is_none());
    table.summarized(&own, &request, TimeDelta::hours(hours))
}

fn operations(plan: Option<CallPlan>) -> Vec<String> {
    plan.map(|plan| plan.operations()).unwrap_or_default()
}

const REPORT: [&str; 2] = ["iam.GetCredentialReport", "iam.GenerateCredentialReport"];
const SCREENED: [&str; 3] = ["iam.GetCredentialReport", "iam.GenerateCredentialReport", "iam.ListAccessKeys"];
const NO: [&str; 0] = [];

#[test]
fn keys_are_summarized_where_only_active_ones_are_wanted() {
    let active = || is("status", &["Active"]);
    let few: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
    let many: Vec<String> = (0..11).map(|n| format!("u{n}")).collect();
    let few: Vec<&str> = few.iter().map(String::as_str).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (what, columns, filters, hours, want) in [
        ("what the report has", &["user_name", "status"][..], vec![active()], 4, &REPORT[..]),
        ("a count", &["status"], vec![active()], 4, &REPORT),
        ("an account is no column of the report but of the scope", &["account_id", "status"], vec![active()], 4, &REPORT),
        ("last use", &["user_name", "access_key_last_used_date", "status"], vec![active()], 4, &REPORT),
        ("ids", &["access_key_id", "status"], vec![active()], 4, &SCREENED),
        ("dates", &["user_name", "create_date", "status"], vec![active(), created(RangeOp::Le, 10)], 4, &SCREENED),
        ("not allowed", &["access_key_id", "status"], vec![active(), created(RangeOp::Le, 10)], 0, &NO),
        ("inactive keys as well", &["access_key_id", "status"], vec![created(RangeOp::Le, 10)], 4, &NO),
        ("inactive keys as well, by name", &["user_name", "status"], vec![is("status", &["Active", "Inactive"])], 4, &NO),
        ("inactive keys alone", &["user_name", "status"], vec![is("status", &["Inactive"])], 4, &NO),
        ("few users", &["access_key_id", "user_name", "status"], vec![active(), is("user_name", &few)], 4, &NO),
        ("many users", &["access_key_id", "user_name", "status"], vec![active(), is("user_name", &many)], 4, &SCREENED),
    ] {
        assert_eq!(operations(summarized(&key(), columns, &filters, hours)), want, "{what}");
    }
}

#[test]
fn users_are_summarized_where_each_would_cost_a_call() {
    for (what, columns, filters, hours, want) in [
        ("a call for each user", &["name", "mfa_enabled"][..], vec![], 4, &REPORT[..]),
        ("a list has it", &["name", "create_date"], vec![], 4, &NO),
        ("no summary has all of them", &["name", "mfa_enabled", "tags", "password_last_used"], vec![], 4, &NO),
        ("not allowed", &["name", "mfa_enabled"], vec![], 0, &NO),
        ("one user", &["name", "mfa_enabled"], vec![is("name", &["ann"])], 4, &NO),
    ] {
        assert_eq!(operations(summarized(&user(), columns, &filters, hours)), want, "{what}");
    }
}

#[test]
fn one_answer_about_many_takes_the_place_of_calls_for_each() {
    let load = |name: &str, spec: &str| Table::load(&format!("{name}.yaml"), spec).unwrap();
    let user = user();
    let role = load("aws_iam_role", include_str!("../../aws/iam/aws_iam_role.yaml"));
    let group = load("aws_iam_group", include_str!("../../aws/iam/aws_iam_group.yaml"));
    let policy = load("aws_iam_policy", include_str!("../../aws/iam/aws_iam_policy.yaml"));
    let attached = || Filter::OneOf { column: "is_attached".into(), values: vec![Scalar::Bool(true)] };
    let prefix = Filter::Prefix { column: "path".into(), prefix: "/ops/".into() };
    const ALL: &str = "iam.GetAccountAuthorizationDetails";
    for (table, columns, filters, want) in [
        (&user, &["name", "inline_policies", "attached_policy_arns"][..], vec![], &[ALL][..]),
        (&user, &["name", "tags", "mfa_enabled"], vec![], &[ALL, "iam.ListMFADevices"]),
        (&user, &["name", "tags", "path"], vec![prefix], &[ALL]),
        (&user, &["name", "tags"], vec![is("name", &["ann"])], &NO),
        (&user, &["name", "tags"], vec![is("arn", &["arn:aws:iam::1:user/ann"])], &NO),
        (&user, &["name", "mfa_enabled"], vec![], &NO),
        (&user, &["name", "arn"], vec![], &NO),
        (&user, &["name", "tags", "password_last_used"], vec![], &NO),
        (&role, &["name", "instance_profile_arns", "role_last_used_date"], vec![], &[ALL]),
        (&role, &["name", "assume_role_policy"], vec![], &NO),
        (&role, &["name", "tags", "description"], vec![], &NO),
        (&group, &["name", "attached_policy_arns"], vec![], &[ALL]),
        (&group, &["name", "users"], vec![], &NO),
        (&policy, &["name", "policy_std", "is_attached"], vec![attached()], &[ALL]),
        (&policy, &["name", "policy_std"], vec![], &NO),
        (&policy, &["name", "is_attached"], vec![attached()], &NO),
        (&policy, &["name", "tags", "is_attached"], vec![attached()], &NO),
    ] {
        assert_eq!(operations(summarized(table, columns, &filters, 0)), want, "{} {columns:?}", table.name);
    }
}

#[test]
fn it_is_the_same_table() {
    let plan = summarized(&key(), &["status", "user_name"], &[is("status", &["Active"])], 4).unwrap();
    let summary = plan.summary().unwrap();
    assert_eq!((summary.source(), summary.staleness(), summary.screens()), ("credential report", TimeDelta::hours(4), false));
    let names: Vec<_> = plan.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["status", "user_name"]);
    assert!(summarized(&key(), &["access_key_id"], &[is("status", &["Active"])], 4).unwrap().summary().unwrap().screens());
}

/// A line of a report: each slot's state, date and last use.
fn line(user: &str, slots: [[&str; 3]; 2]) -> Value {
    let mut line = json!({"user": user});
    for (n, [active, rotated, used]) in slots.into_iter().enumerate() {
        let n = n + 1;
        line[format!("access_key_{n}_active")] = json!(active);
        line[format!("access_key_{n}_last_rotated")] = json!(rotated);
        line[format!("access_key_{n}_last_used_date")] = json!(used);
    }
    line
}

const NONE: [&str; 3] = ["false", "N/A", "N/A"];

#[test]
fn whoever_may_have_such_a_key_is_listed() {
    let (old, new) = ("2026-01-05T00:00:00+00:00", "2026-01-20T00:00:00+00:00");
    let plan = summarized(&key(), &["access_key_id", "create_date", "status"], &[is("status", &["Active"]), created(RangeOp::Le, 10)], 4);
    let plan = plan.unwrap();
    let (link, start, facts) = (&plan.links()[0], &plan.starts()[0], Facts::new("c", "r"));
    for (what, slots, want) in [
        ("no key", [NONE, NONE], false),
        ("an old one", [["true", old, "N/A"], NONE], true),
        ("an old one in the second place", [NONE, ["true", old, "N/A"]], true),
        ("of that very second", [["true", "2026-01-10T00:00:00+00:00", "N/A"], NONE], true),
        ("a second too new", [["true", "2026-01-10T00:00:01+00:00", "N/A"], NONE], false),
        ("new ones", [["true", new, new], ["true", new, "N/A"]], false),
        ("an old one that is not active", [["false", old, old], NONE], false),
        ("an old one that is not active beside a new one", [["false", old, old], ["true", new, "N/A"]], false),
        ("used before its last change: activated again", [["true", new, old], NONE], true),
        ("no date", [["true", "N/A", "N/A"], NONE], true),
        ("no information", [["true", "no_information", "N/A"], NONE], true),
        ("a state that nobody knows", [["no_information", old, "N/A"], NONE], true),
        ("in capitals", [["TRUE", old, "N/A"], ["FALSE", "N/A", "N/A"]], true),
        ("no key, in capitals", [["FALSE", "N/A", "N/A"], ["FALSE", "N/A", "N/A"]], false),
    ] {
        assert_eq!(keeps(link, start, &facts, line("ann", slots)), want, "{what}");
    }
    assert!(!keeps(link, start, &facts, line("<root_account>", [["true", old, "N/A"], NONE])), "no user");
    let plan = summarized(&key(), &["access_key_id", "status"], &[is("status", &["Active"])], 4).unwrap();
    let (link, start) = (&plan.links()[0], &plan.starts()[0]);
    assert!(keeps(link, start, &facts, line("ann", [["true", new, new], NONE])), "without a bound every active key counts");
    assert!(!keeps(link, start, &facts, line("ann", [NONE, NONE])));
}

fn keeps(link: &crate::run::Link, start: &crate::Start, facts: &Facts, line: Value) -> bool {
    let answer = Arc::new(json!([line]));
    let place = |hops| crate::run::test_place(&answer, hops);
    let row = Row { link: 0, this: place(true), parent: place(false), up: None, slots: Vec::new(), folded: None };
    link.keeps(&row, start, facts).unwrap()
}

#[test]
fn values_of_key_columns_leave_parents_out() {
    let users: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let plan = summarized(&key(), &["access_key_id", "user_name", "status"], &[is("status", &["Active"]), is("user_name", &users)], 4);
    let plan = plan.unwrap();
    let facts = Facts::new("c", "r");
    let ask = |user: &str| {
        let answer = Arc::new(json!([{"user": user}]));
        let row = Row {
            link: 0,
            this: crate::run::test_place(&answer, true),
            parent: crate::run::test_place(&answer, false),
            up: None,
            slots: Vec::new(),
            folded: None,
        };
        plan.links()[1].ask(&plan.starts()[0], &facts, Some(&row)).unwrap().map(|ask| ask.input)
    };
    assert_eq!((ask("u7"), ask("other")), (Some(json!({"UserName": "u7"})), None));
}

#[test]
fn of_a_line_come_the_active_keys() {
    let plan = summarized(&key(), &["user_name", "status"], &[is("status", &["Active"])], 4).unwrap();
    let (start, facts) = (&plan.starts()[0], Facts::new("c", "r"));
    for (slots, want) in [
        ([NONE, NONE], 0),
        ([["true", "N/A", "N/A"], NONE], 1),
        ([["false", "N/A", "N/A"], ["TRUE", "N/A", "N/A"]], 1),
        ([["true", "N/A", "N/A"], ["true", "N/A", "N/A"]], 2),
    ] {
        let answer = Arc::new(json!([line("ann", slots)]));
        let place = |hops| crate::run::test_place(&answer, hops);
        let up = Row { link: 0, this: place(true), parent: place(false), up: None, slots: Vec::new(), folded: None };
        let rows = plan.links()[1].fixed(start, &facts, Some(&Arc::new(up))).unwrap().unwrap();
        assert_eq!(rows.len(), want, "{slots:?}");
    }
}

#[test]
fn of_a_report_only_what_is_read_is_kept() {
    let read = |columns: &[&str]| {
        let plan = summarized(&key(), columns, &[is("status", &["Active"])], 4).unwrap();
        match plan.links()[0].decode.as_slice() {
            [Decode::Base64, Decode::Csv(Some(read))] => read.iter().cloned().collect::<BTreeSet<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let names = |names: &[&str]| -> Vec<String> {
        let of_slots = [1, 2].into_iter().flat_map(|n| names.iter().map(move |name| format!("access_key_{n}_{name}")));
        of_slots.chain(["user".to_owned()]).collect()
    };
    for (columns, want) in [
        (&["user_name", "status"][..], names(&["active", "last_used_date", "last_used_service", "last_used_region"])),
        (&["access_key_id", "status"], names(&["active", "last_rotated", "last_used_date"])),
    ] {
        let read = read(columns);
        assert!(want.iter().all(|name| read.contains(name)) && !read.contains("arn"), "{columns:?}: {read:?}");
    }
}

#[test]
fn a_bound_is_the_tightest_of_all_filters() {
    let bound = |filters: &[Filter]| {
        let all: Vec<Filter> = filters.iter().cloned().chain([is("status", &["Active"])]).collect();
        let plan = summarized(&key(), &["create_date", "status"], &all, 4).unwrap();
        plan.starts()[0].keys().values.iter().find(|v| !v.is_null()).cloned()
    };
    let day = |day: u32| Some(json!(format!("2026-01-{day:02}T00:00:00Z")));
    assert_eq!(bound(&[]), None);
    assert_eq!(bound(&[created(RangeOp::Ge, 3)]), None);
    assert_eq!(bound(&[created(RangeOp::Lt, 9), created(RangeOp::Le, 12)]), day(9));
    let equal = Filter::OneOf { column: "create_date".into(), values: vec![Scalar::Timestamp(at(2)), Scalar::Timestamp(at(5))] };
    assert_eq!(bound(std::slice::from_ref(&equal)), day(5));
    assert_eq!(bound(&[equal, created(RangeOp::Lt, 4)]), day(4));
}

#[test]
fn mistakes_in_summaries_are_named() {
    let spec = |summary: &str| {
        format!(
            "table: t\nabout: T.\nscope: account\nrows:\n  - {{ call: iam.ListUsers, each: Users }}\ncolumns:\n  user_name: text\n  create_date: timestamp\nsummaries:\n  - {summary}\n"
        )
    };
    for (summary, want) in [
        ("{ rows: [{ call: iam.ListUsers, each: Users }] }", "`source` of the summary is missing"),
        ("{ source: s }", "`rows` of the summary is missing"),
        (
            "{ source: s, rows: [{ call: iam.ListUsers, each: Users }], columns: { user_name: x }, without: [user_name] }",
            "`user_name` stands in `columns` and in `without`",
        ),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users }], without: [nam] }", "`nam` is not a column"),
        (
            "{ source: s, rows: [{ call: iam.ListUsers, each: Users }, { call: iam.ListUsers, each: Users, or_list: '`x`' }] }",
            "`or_list` behind the summary: rows are out by then",
        ),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users, or_list: asked_subscriptions }] }", "unknown name `asked_subscriptions`"),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users, as_of: When }] }", "`as_of` without `staleness`"),
        ("{ source: s, staleness: soon, rows: [{ call: iam.ListUsers, each: Users }] }", "`soon` is not a time"),
        ("{ source: s, when: { usr_name: x }, rows: [{ call: iam.ListUsers, each: Users }] }", "`usr_name` is not a column"),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users }], columns: { name: UserName } }", "`name` is not a column"),
        (
            "{ source: s, rows: [{ call: iam.ListUsers, each: Users, where: upper.user_name }] }",
            "`user_name` is not a number or a time of this table",
        ),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users, make: { call: iam.GetUser, until: User } }] }", "`make` without `on`"),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users, make: { on: [x], call: iam.GetUser } }] }", "`make` without `until`"),
        ("{ source: s, rows: [{ call: iam.ListUsers, each: Users, as: u }] }", "nothing uses `as: u`"),
    ] {
        let error = Table::load("t.yaml", &spec(summary)).unwrap_err().to_string();
        assert!(error.contains(want), "{summary}: {error}");
    }
    for key in ["as_of", "or_list"] {
        let outside = spec("{ source: s, rows: [{ call: iam.ListUsers, each: Users }] }").replacen(
            "each: Users }",
            &format!("each: Users, {key}: x }}"),
            1,
        );
        let error = Table::load("t.yaml", &outside).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}` outside of `summaries`")), "{error}");
    }
}

const DISK: &str = include_str!("../../azure/compute/azure_compute_disk.yaml");

#[test]
fn what_is_shared_by_subscriptions_takes_the_place_of_a_list_of_each() {
    let disk = Table::load("azure_compute_disk.yaml", DISK).unwrap();
    const SHARED: [&str; 1] = ["arm POST /providers/Microsoft.ResourceGraph/resources"];
    for (what, columns, filters, hours, want) in [
        ("all that it may lack is allowed", &["name", "tags"][..], vec![], 30, &SHARED[..]),
        ("its answer does not say that it is newer", &["name"], vec![], 29, &NO),
        ("a name alone is found in lists", &["name"], vec![is("name", &["a"])], 30, &SHARED),
        ("by key", &["name"], vec![is("name", &["a"]), is("resource_group", &["g"])], 30, &NO),
        ("it has no types as the table has them", &["name", "type"], vec![], 30, &NO),
    ] {
        assert_eq!(operations(summarized(&disk, columns, &filters, hours)), want, "{what}");
    }
    let plan = summarized(&disk, &["managed_by"], &[], 30).unwrap();
    assert_eq!(plan.shared_calls(), 2);
    let groups = plan.tree();
    assert!(groups.iter().all(|group| group.shared && group.per == crate::Per::Walk && group.times == 1), "{groups:?}");
    assert_ne!(groups[0].question, groups[1].question);
    let ids = ["11111111-0000-0000-0000-000000000001", "22222222-0000-0000-0000-000000000002"];
    let facts = Facts::new("azure", "global").identity("AzurePublicCloud", ids[0]).asked(ids);
    let (start, link) = (&plan.starts()[0], &plan.links()[0]);
    let ask = link.ask(start, &facts, None).unwrap().unwrap();
    assert_eq!(ask.input["body"]["subscriptions"], json!(ids));
    assert_eq!(link.or_list(start, &facts).unwrap().unwrap(), format!("it does not show subscription {}", ids[0]));
    // Its rows are those of the subscription that is walked, in whatever case its id is written.
    let page = Arc::new(json!({"data": [
        {"name": "a", "managedBy": "", "subscriptionId": ids[0].to_uppercase()},
        {"name": "b", "managedBy": "/vm", "subscriptionId": ids[0]},
        {"name": "c", "managedBy": "", "subscriptionId": ids[1]},
    ]}));
    let last = &plan.links()[1];
    let rows: Vec<Row> = last.rows(&page, None).unwrap().into_iter().filter(|row| last.keeps(row, start, &facts).unwrap()).collect();
    let mut batch = crate::run::BatchBuilder::new(&plan);
    assert!(rows.iter().flat_map(|row| batch.push(row, start, &facts)).next().is_none());
    let batch = batch.finish().unwrap();
    assert_eq!((batch.num_rows(), batch.column(0).null_count()), (2, 1));
}
