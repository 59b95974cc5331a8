//! Rows, failures and the number of calls of scans over a recording.

use super::{ScanEnv, scan};
use crate::QueryLog;
use assay_cloud::{Bundle, Cloud, CloudError, Config, ErrorKind, Mode, Options, Scope, Tally};
use assay_tables::{Catalog, Filter, Request, Scalar};
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const ACCOUNT: &str = "111122223333";

/// A recording in the making.
struct World(Bundle);

impl World {
    fn new() -> World {
        let at = chrono::DateTime::from_timestamp(1_709_633_472, 0).unwrap();
        let mut bundle = Bundle::new(at);
        bundle.account("aws", ACCOUNT, &["eu-west-1", "us-east-1"]);
        World(bundle)
    }

    fn answer(mut self, call: &str, input: Value, answer: Value) -> World {
        self.0.answer(ACCOUNT, "us-east-1", call.split_once('.').unwrap().0, call.split_once('.').unwrap().1, &input, Ok(answer));
        self
    }

    fn answer_in(mut self, region: &str, call: &str, input: Value, answer: Value) -> World {
        let (service, operation) = call.split_once('.').unwrap();
        self.0.answer(ACCOUNT, region, service, operation, &input, Ok(answer));
        self
    }

    fn error(mut self, call: &str, input: Value, kind: ErrorKind, code: &str) -> World {
        let (service, operation) = call.split_once('.').unwrap();
        self.0.answer(ACCOUNT, "us-east-1", service, operation, &input, Err(CloudError::new(kind, code, "no")));
        self
    }

    async fn cloud(self) -> Cloud {
        let options = Options {
            config: Config::default(),
            mode: Mode::Replay(Arc::new(self.0)),
            cache_ttl: Duration::from_secs(300),
            max_in_flight: 100,
        };
        Cloud::open(options).await.unwrap()
    }

    async fn read(self, table: &str, columns: &[&str]) -> Seen {
        self.read_with(Catalog::embedded(), table, columns, vec![], None).await
    }

    async fn read_with(self, catalog: Catalog, table: &str, columns: &[&str], filters: Vec<Filter>, limit: Option<usize>) -> Seen {
        let cloud = self.cloud().await;
        let table = catalog.table(table).unwrap().unwrap();
        let projection = columns.iter().map(|c| table.column(c).unwrap_or_else(|| panic!("no column {c}"))).collect();
        let plan = Arc::new(table.plan(&Request { projection, filters, ..Request::default() }).unwrap());
        let account = cloud.accounts("aws").await.unwrap().remove(0);
        let scope = Scope { region: account.home_region(), account };
        let log = Arc::new(QueryLog::default());
        let tally = Tally::default();
        let env = ScanEnv {
            cloud,
            log: log.clone(),
            table,
            tally: tally.clone(),
            instead: Arc::default(),
            early: Arc::default(),
            refused: None,
            trial: None,
        };
        let batches: Vec<_> = scan(env, scope, plan, limit).try_collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let row = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" | ").trim_end().to_owned();
        let rows = text.lines().filter(|l| l.starts_with('|')).skip(1).map(row).collect();
        let failures = log.failures().into_iter().map(|f| {
            let at = [f.region.unwrap_or_default(), f.row.unwrap_or_default()].join("/");
            format!("{at} {:?} {}:{} {}", f.columns, f.error.service, f.error.operation, f.error.code)
        });
        Seen { count: batches.iter().map(|b| b.num_rows()).sum(), rows, failures: failures.collect(), calls: tally.counts().calls }
    }
}

struct Seen {
    count: usize,
    rows: Vec<String>,
    failures: Vec<String>,
    calls: u64,
}

impl Seen {
    fn is(&self, rows: &[&str], failures: &[&str], calls: u64) {
        assert_eq!((&self.rows[..], &self.failures[..], self.calls), (&text(rows)[..], &text(failures)[..], calls));
    }
}

fn text(all: &[&str]) -> Vec<String> {
    all.iter().map(|s| (*s).to_owned()).collect()
}

fn one_of(column: &str, values: &[&str]) -> Filter {
    Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
}

fn user(name: &str) -> Value {
    json!({"UserName": name, "UserId": name.to_uppercase(), "Path": "/", "Arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "CreateDate": "2024-01-01T00:00:00Z"})
}

fn key(user: &str, id: &str) -> Value {
    json!({"UserName": user, "AccessKeyId": id, "Status": "Active", "CreateDate": "2024-02-01T00:00:00Z"})
}

/// Three users on two pages, four keys.
fn keys() -> World {
    World::new()
        .answer(
            "iam.ListUsers",
            json!({"MaxItems": 1000}),
            json!({"Users": [user("ann"), user("bob")], "IsTruncated": true, "Marker": "m"}),
        )
        .answer("iam.ListUsers", json!({"MaxItems": 1000, "Marker": "m"}), json!({"Users": [user("cid")], "IsTruncated": false}))
        .answer(
            "iam.ListAccessKeys",
            json!({"MaxItems": 1000, "UserName": "ann"}),
            json!({"AccessKeyMetadata": [key("ann", "A1"), key("ann", "A2")], "IsTruncated": false}),
        )
        .answer("iam.ListAccessKeys", json!({"MaxItems": 1000, "UserName": "bob"}), json!({"AccessKeyMetadata": [], "IsTruncated": false}))
        .answer("iam.ListAccessKeys", json!({"MaxItems": 1000, "UserName": "cid"}), json!({"AccessKeyMetadata": [key("cid", "C1")]}))
        .answer(
            "iam.GetAccessKeyLastUsed",
            json!({"AccessKeyId": "A1"}),
            json!({"AccessKeyLastUsed": {"Region": "N/A", "ServiceName": "N/A"}}),
        )
        .answer(
            "iam.GetAccessKeyLastUsed",
            json!({"AccessKeyId": "A2"}),
            json!({"AccessKeyLastUsed": {"Region": "eu-west-1", "ServiceName": "s3", "LastUsedDate": "2024-03-01T00:00:00Z"}}),
        )
}

const KEY: [&str; 2] = ["user_name", "access_key_id"];

#[tokio::test]
async fn a_chain_costs_pages_plus_parents() {
    keys().read("aws_iam_access_key", &KEY).await.is(&["ann | A1", "ann | A2", "cid | C1"], &[], 2 + 3);
    let none = keys().read("aws_iam_access_key", &[]).await;
    assert_eq!((none.count, none.calls), (3, 5));
}

#[tokio::test]
async fn filters_on_key_columns_save_the_parents() {
    let by = |values: &'static [&'static str]| {
        keys().read_with(Catalog::embedded(), "aws_iam_access_key", &KEY, vec![one_of("user_name", values)], None)
    };
    by(&["ann"]).await.is(&["ann | A1", "ann | A2"], &[], 1);
    by(&["cid", "bob", "ann"]).await.is(&["cid | C1", "ann | A1", "ann | A2"], &[], 3);
    let nothing = vec![one_of("user_name", &["ann"]), one_of("user_name", &["bob"])];
    keys().read_with(Catalog::embedded(), "aws_iam_access_key", &KEY, nothing, None).await.is(&[], &[], 0);
}

#[tokio::test]
async fn a_limit_stops_pages_and_children() {
    let read = |limit| keys().read_with(Catalog::embedded(), "aws_iam_access_key", &KEY, vec![], Some(limit));
    read(1).await.is(&["ann | A1"], &[], 2);
    read(0).await.is(&[], &[], 0);
    // The second row needs no second user, but a user more may be asked ahead.
    let seen = read(2).await;
    assert_eq!(seen.rows.len(), 2);
    assert!(seen.calls <= 3, "{}", seen.calls);
}

#[tokio::test]
async fn a_failed_call_per_row_leaves_columns_unknown() {
    let world = keys().error("iam.GetAccessKeyLastUsed", json!({"AccessKeyId": "C1"}), ErrorKind::Denied, "AccessDenied");
    let columns = ["access_key_id", "access_key_last_used_service", "access_key_last_used_date"];
    world.read("aws_iam_access_key", &columns).await.is(
        &["A1 | N/A |", "A2 | s3 | 2024-03-01T00:00:00Z", "C1 |  |"],
        &["global/C1 [\"access_key_last_used_service\", \"access_key_last_used_date\"] iam:GetAccessKeyLastUsed AccessDenied"],
        5 + 3,
    );
}

#[tokio::test]
async fn a_failed_parent_leaves_its_rows_out_and_no_others() {
    let world = keys().error("iam.ListAccessKeys", json!({"MaxItems": 1000, "UserName": "ann"}), ErrorKind::Denied, "AccessDenied");
    world.read("aws_iam_access_key", &KEY).await.is(&["cid | C1"], &["/ann [] iam:ListAccessKeys AccessDenied"], 5);
    let gone = keys().error("iam.ListAccessKeys", json!({"MaxItems": 1000, "UserName": "ann"}), ErrorKind::NotFound, "NoSuchEntity");
    gone.read("aws_iam_access_key", &KEY).await.is(&["cid | C1"], &[], 5);
}

#[tokio::test]
async fn a_failed_list_is_a_failed_scope_and_what_came_before_stays() {
    let denied = World::new().error("iam.ListUsers", json!({"MaxItems": 1000}), ErrorKind::Denied, "AccessDenied");
    denied.read("aws_iam_access_key", &KEY).await.is(&[], &["/ [] iam:ListUsers AccessDenied"], 1);
    let broken = keys().error("iam.ListUsers", json!({"MaxItems": 1000, "Marker": "m"}), ErrorKind::Transient, "ServiceFailure");
    broken.read("aws_iam_access_key", &KEY).await.is(&["ann | A1", "ann | A2"], &["/ [] iam:ListUsers ServiceFailure"], 4);
    let mut bundle = Bundle::new(chrono::DateTime::from_timestamp(0, 0).unwrap());
    bundle.failing_account("aws", "lost", CloudError::new(ErrorKind::Credentials, "ExpiredToken", "no"));
    let seen = World(bundle).read("aws_iam_access_key", &["akas"]).await;
    seen.is(&[], &["/ [] : ExpiredToken"], 0);
}

#[tokio::test]
async fn lists_are_collected_and_elements_asked_one_by_one() {
    let page = |names: &[&str], marker: Option<&str>| json!({"PolicyNames": names, "IsTruncated": marker.is_some(), "Marker": marker});
    let policy = |name: &str, text: &str| json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": text});
    let world = World::new()
        .answer("iam.ListUsers", json!({"MaxItems": 1000}), json!({"Users": [user("ann")], "IsTruncated": false}))
        .answer("iam.ListUserPolicies", json!({"MaxItems": 1000, "UserName": "ann"}), page(&["p", "q"], Some("m")))
        .answer("iam.ListUserPolicies", json!({"MaxItems": 1000, "UserName": "ann", "Marker": "m"}), page(&["r"], None))
        .answer("iam.GetUserPolicy", json!({"UserName": "ann", "PolicyName": "p"}), policy("p", "%7B%22Statement%22%3A%5B%5D%7D"))
        .error("iam.GetUserPolicy", json!({"UserName": "ann", "PolicyName": "q"}), ErrorKind::NotFound, "NoSuchEntity")
        .answer("iam.GetUserPolicy", json!({"UserName": "ann", "PolicyName": "r"}), policy("r", "{\"a\":1}"));
    let mut catalog = Catalog::embedded();
    let spec = "table: t\nabout: x\nscope: account\nrows: [{ call: iam.ListUsers, each: Users }]\nalso:\n  names: { call: iam.ListUserPolicies, in: { UserName: UserName }, each: PolicyNames }\n  inline: { per: names, call: iam.GetUserPolicy, in: { UserName: UserName, PolicyName: item }, null: [NoSuchEntity] }\ncolumns:\n  name: text <- UserName\n  n: jsonb <- names\n  p: \"jsonb <- inline[].{N: PolicyName, D: document(PolicyDocument)}\"\n";
    catalog.add("t.yaml", spec).unwrap();
    let rows = ["ann | [\"p\", \"q\", \"r\"] | [{\"D\": {\"Statement\": []}, \"N\": \"p\"}, {\"D\": {\"a\": 1}, \"N\": \"r\"}]"];
    world.read_with(catalog, "t", &["name", "n", "p"], vec![], None).await.is(&rows, &[], 6);
}

#[tokio::test]
async fn reports_are_asked_for_until_they_are_there() {
    let report = "user,arn,user_creation_time,password_enabled\n<root_account>,arn:aws:iam::1:root,2020-01-01T00:00:00+00:00,not_supported\nann,arn,2024-01-01T00:00:00+00:00,true\n";
    let content = base64(report);
    let world = World::new().answer("iam.GenerateCredentialReport", json!({}), json!({"State": "COMPLETE"})).answer(
        "iam.GetCredentialReport",
        json!({}),
        json!({"Content": content, "ReportFormat": "text/csv", "GeneratedTime": "2024-03-05T10:00:00Z"}),
    );
    let columns = ["user_name", "password_enabled", "generated_time"];
    world.read("aws_iam_credential_report", &columns).await.is(
        &["<root_account> |  | 2024-03-05T10:00:00Z", "ann | true | 2024-03-05T10:00:00Z"],
        &[],
        2,
    );
    let mut catalog = Catalog::embedded();
    let spec = "table: t\nabout: x\nscope: account\nrows:\n  - { call: iam.GenerateCredentialReport, until: State == 'COMPLETE', every: 1ms, at_most: 3ms, each: . }\ncolumns:\n  state: text\n";
    catalog.add("t.yaml", spec).unwrap();
    let never = World::new().answer("iam.GenerateCredentialReport", json!({}), json!({"State": "INPROGRESS"}));
    let seen = never.read_with(catalog, "t", &["state"], vec![], None).await;
    assert_eq!((seen.rows.len(), &seen.failures[..]), (0, &text(&["/ [] iam:GenerateCredentialReport NotComplete"])[..]));
}

fn base64(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let n = (u32::from(chunk[0]) << 16) | (u32::from(*chunk.get(1).unwrap_or(&0)) << 8) | u32::from(*chunk.get(2).unwrap_or(&0));
        for i in 0..4 {
            out.push(if i <= chunk.len() { char::from(alphabet[(n >> (18 - 6 * i)) as usize & 63]) } else { '=' });
        }
    }
    out
}

#[tokio::test]
async fn calls_go_to_the_region_of_the_row_and_fail_there() {
    let bucket = |name: &str, region: &str| json!({"Name": name, "BucketRegion": region});
    let world = World::new()
        .answer(
            "s3.ListBuckets",
            json!({"MaxBuckets": 1000}),
            json!({"Buckets": [bucket("a", "eu-west-1"), bucket("b", "us-east-1"), {"Name": "c"}]}),
        )
        .answer("s3.GetBucketLocation", json!({"Bucket": "c"}), json!({"LocationConstraint": "EU"}))
        .answer_in("eu-west-1", "s3.GetBucketVersioning", json!({"Bucket": "a"}), json!({"Status": "Enabled"}))
        .error("s3.GetBucketVersioning", json!({"Bucket": "b"}), ErrorKind::Denied, "AccessDenied")
        .answer_in("eu-west-1", "s3.GetBucketVersioning", json!({"Bucket": "c"}), json!({}));
    let seen = world.read("aws_s3_bucket", &["name", "versioning_enabled", "region"]).await;
    seen.is(
        &["a | true | eu-west-1", "b |  | us-east-1", "c | false | eu-west-1"],
        &["us-east-1/b [\"versioning_enabled\"] s3:GetBucketVersioning AccessDenied"],
        5,
    );
}

#[tokio::test]
async fn what_needs_a_failed_call_is_unknown_too() {
    let world = World::new().answer("s3.ListBuckets", json!({"MaxBuckets": 1000}), json!({"Buckets": [{"Name": "a"}]})).error(
        "s3.GetBucketLocation",
        json!({"Bucket": "a"}),
        ErrorKind::Denied,
        "AccessDenied",
    );
    let seen = world.read("aws_s3_bucket", &["name", "versioning_enabled", "logging", "region"]).await;
    let failure = "/a [\"versioning_enabled\", \"logging\", \"region\"] s3:GetBucketLocation AccessDenied";
    seen.is(&["a |  |  |"], &[failure], 2);
}

#[tokio::test]
async fn parents_are_described_in_batches() {
    let spec = "table: t\nabout: x\nscope: region\nrows:\n  - { call: ecs.ListClusters, each: clusterArns, as: cluster }\n  - { call: ecs.ListTasks, in: { cluster: cluster }, each: taskArns, as: task }\n  - { call: ecs.DescribeTasks, in: { cluster: cluster, tasks: \"batch(task, 2)\" }, each: tasks }\ncolumns:\n  arn: text <- taskArn\n  cluster: text <- cluster\n";
    let mut catalog = Catalog::embedded();
    catalog.add("t.yaml", spec).unwrap();
    let tasks = |names: &[&str]| json!({"tasks": names.iter().map(|n| json!({"taskArn": n})).collect::<Vec<_>>()});
    let world = World::new()
        .answer("ecs.ListClusters", json!({}), json!({"clusterArns": ["c1", "c2"]}))
        .answer("ecs.ListTasks", json!({"cluster": "c1"}), json!({"taskArns": ["a", "b", "c"]}))
        .answer("ecs.ListTasks", json!({"cluster": "c2"}), json!({"taskArns": ["d"]}))
        .answer("ecs.DescribeTasks", json!({"cluster": "c1", "tasks": ["a", "b"]}), tasks(&["a", "b"]))
        .answer("ecs.DescribeTasks", json!({"cluster": "c1", "tasks": ["c"]}), tasks(&["c"]))
        .error("ecs.DescribeTasks", json!({"cluster": "c2", "tasks": ["d"]}), ErrorKind::Denied, "AccessDeniedException");
    let seen = world.read_with(catalog, "t", &["arn", "cluster"], vec![], None).await;
    seen.is(&["a | c1", "b | c1", "c | c1"], &["us-east-1/c2 d [] ecs:DescribeTasks AccessDeniedException"], 6);
}

#[tokio::test]
async fn values_that_do_not_fit_are_failures_of_their_column() {
    let world =
        World::new().answer("iam.ListUsers", json!({"MaxItems": 1000}), json!({"Users": [{"UserName": "ann", "CreateDate": "soon"}]}));
    let seen = world.read("aws_iam_user", &["name", "create_date"]).await;
    seen.is(&["ann |"], &["global/ann [\"create_date\"] : BadValue"], 1);
}

#[tokio::test]
async fn another_call_takes_over_after_the_named_errors() {
    let spec = "table: t\nabout: x\nscope: account\nrows:\n  - call: iam.ListUsers\n    each: Users\n    else: { on: [AccessDenied], call: iam.ListRoles }\nalso:\n  more: { call: iam.GetUser, in: { UserName: UserName }, take: User.Path, else: { on: [AccessDenied], call: iam.ListGroups, take: \"Groups[0].Path\" } }\ncolumns:\n  name: text <- UserName\n  path: text <- more\n";
    let mut catalog = Catalog::embedded();
    catalog.add("t.yaml", spec).unwrap();
    let world = World::new()
        .error("iam.ListUsers", json!({"MaxItems": 1000}), ErrorKind::Denied, "AccessDenied")
        .answer("iam.ListRoles", json!({"MaxItems": 1000}), json!({"Users": [user("ann")]}))
        .error("iam.GetUser", json!({"UserName": "ann"}), ErrorKind::Denied, "AccessDenied")
        .answer("iam.ListGroups", json!({}), json!({"Groups": [{"Path": "/g/"}]}));
    world.read_with(catalog, "t", &["name", "path"], vec![], None).await.is(&["ann | /g/"], &[], 4);
}

#[tokio::test]
async fn a_dropped_scan_asks_nothing_more() {
    let cloud = keys().cloud().await;
    let table = Catalog::embedded().table("aws_iam_access_key").unwrap().unwrap();
    let plan = Arc::new(table.plan(&Request::default()).unwrap());
    let account = cloud.accounts("aws").await.unwrap().remove(0);
    let scope = Scope { region: account.home_region(), account };
    let tally = Tally::default();
    let env = ScanEnv {
        cloud,
        log: Arc::default(),
        table,
        tally: tally.clone(),
        instead: Arc::default(),
        early: Arc::default(),
        refused: None,
        trial: None,
    };
    let unpolled = scan(env.clone(), scope.clone(), plan.clone(), None);
    tokio::task::yield_now().await;
    assert_eq!(tally.counts().calls, 0);
    drop(unpolled);
    let mut rows = scan(env, scope, plan, None);
    assert!(futures::poll!(rows.try_next()).is_pending());
    drop(rows);
    tokio::task::yield_now().await;
    assert!(tally.counts().calls <= 1);
}
