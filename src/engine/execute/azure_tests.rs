//! Scans of Azure tables over a recording: pages, folds, rows that are none, facts, and what a failure is called.

use super::{ScanEnv, scan};
use crate::QueryLog;
use assay_cloud::{Bundle, Cloud, CloudError, Config, ErrorKind, Mode, Options, Scope, Tally};
use assay_tables::{Filter, RangeOp, Request, Scalar, Table};
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SUBSCRIPTION: &str = "11111111-0000-0000-0000-000000000001";
const TENANT: &str = "77777777-0000-0000-0000-000000000001";

const ACCOUNTS: &str = "\
table: azure_x
about: Containers.
scope: subscription
rows:
  - call: arm GET /subscriptions/{subscription_id}/accounts
    api: 2023-05-01
    each: value
    as: account
    where: kind != 'none'
  - call: arm GET /{account.id}/containers
    api: 2023-05-01
    each: value
    none: [ResourceNotFound]
also:
  more: { call: \"arm GET /{account.id}/more/{name}\", api: 2023-05-01, take: properties }
columns:
  name: text
  account: text <- account.name
  public: text <- more.public
  cloud: text <- '{cloud_environment}/{tenant_id}'
";

const EVENTS: &str = "\
table: azure_x
about: Events.
scope: subscription
rows:
  - call: arm GET /subscriptions/{subscription_id}/events
    api: 2015-04-01
    as: events
    each: value
    where: what == 'rotate'
    fold: { by: id, order: at }
keys:
  at: { to: { \">=\": \"events.$filter[at ge]\" }, keep: 90d }
columns:
  id: text
  at: timestamp
  status: text
  begun: text <- fold[0].status
";

struct World(Bundle);

impl World {
    fn new() -> World {
        let mut bundle = Bundle::new("2026-04-01T12:03:20Z".parse().unwrap());
        bundle.subscription("azure", SUBSCRIPTION, TENANT);
        World(bundle)
    }

    fn give(mut self, operation: &str, input: Value, answer: Result<Value, CloudError>) -> World {
        self.0.answer(SUBSCRIPTION, "global", "arm", operation, &input, answer);
        self
    }

    fn answer(self, operation: &str, path: &str, answer: Value) -> World {
        self.give(operation, json!({"path": path, "query": {"api-version": "2023-05-01"}}), Ok(answer))
    }

    fn error(self, operation: &str, path: &str, code: &str) -> World {
        let input = json!({"path": path, "query": {"api-version": "2023-05-01"}});
        self.give(operation, input, Err(CloudError::new(ErrorKind::Denied, code, "no")))
    }

    async fn read(self, spec: &str, columns: &[&str], filters: Vec<Filter>, limit: Option<usize>) -> Seen {
        let options = Options {
            config: Config::default(),
            mode: Mode::Replay(Arc::new(self.0)),
            cache_ttl: Duration::from_secs(300),
            max_in_flight: 100,
        };
        let cloud = Cloud::open(options).await.unwrap();
        let table = Arc::new(Table::load("azure_x.yaml", spec).unwrap_or_else(|e| panic!("{e}")));
        let projection = columns.iter().map(|c| table.column(c).unwrap()).collect();
        let plan = Arc::new(table.plan(&Request { projection, filters, now: cloud.now() }).unwrap());
        let account = cloud.accounts("azure").await.unwrap().remove(0);
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
        let failures = log.failures().into_iter().map(|f| {
            let account = f.account.unwrap_or_default() == SUBSCRIPTION;
            format!("{account} {:?} {} {:?} {}", f.region, f.row.unwrap_or_default(), f.columns, f.error.code)
        });
        Seen {
            rows: text.lines().filter(|l| l.starts_with('|')).skip(1).map(row).collect(),
            failures: failures.collect(),
            notices: log.notices(),
            calls: tally.counts().calls,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Seen {
    rows: Vec<String>,
    failures: Vec<String>,
    notices: Vec<String>,
    calls: u64,
}

fn seen(rows: &[&str], failures: &[&str], calls: u64) -> Seen {
    let texts = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
    Seen { rows: texts(rows), failures: texts(failures), notices: Vec::new(), calls }
}

fn accounts() -> World {
    let path = format!("/subscriptions/{SUBSCRIPTION}");
    let account = |name: &str, kind: &str| json!({"id": format!("{path}/accounts/{name}"), "name": name, "kind": kind});
    let operation = "GET /subscriptions/{}/accounts";
    let first = json!({"value": [account("a", "v2"), account("b", "none")], "nextLink": "https://arm/2"});
    World::new()
        .answer(operation, &format!("{path}/accounts"), first)
        // A page without rows is not the last.
        .give(operation, json!({"next": "https://arm/2"}), Ok(json!({"value": [], "nextLink": "https://arm/3"})))
        .give(operation, json!({"next": "https://arm/3"}), Ok(json!({"value": [account("C", "v2"), account("d", "v2")]})))
        .answer("GET /{}/containers", &format!("{path}/accounts/a/containers"), json!({"value": [{"name": "logs"}, {"name": "x y"}]}))
        .error("GET /{}/containers", &format!("{path}/accounts/C/containers"), "AuthorizationFailed")
        .error("GET /{}/containers", &format!("{path}/accounts/d/containers"), "ResourceNotFound")
        .answer("GET /{}/more/{}", &format!("{path}/accounts/a/more/logs"), json!({"properties": {"public": "yes"}}))
        .error("GET /{}/more/{}", &format!("{path}/accounts/a/more/x%20y"), "AuthorizationFailed")
}

#[tokio::test]
async fn chains_pages_and_failures() {
    let failed = "true None C [] AuthorizationFailed";
    let columns = ["account", "name"];
    assert_eq!(accounts().read(ACCOUNTS, &columns, vec![], None).await, seen(&["a | logs", "a | x y"], &[failed], 6));
    let all = format!("logs | yes | AzurePublicCloud/{TENANT} | {SUBSCRIPTION} | AzurePublicCloud");
    let other = format!("x y |  | AzurePublicCloud/{TENANT} | {SUBSCRIPTION} | AzurePublicCloud");
    assert_eq!(
        accounts().read(ACCOUNTS, &["name", "public", "cloud", "subscription_id", "cloud_environment"], vec![], None).await,
        seen(&[&all, &other], &["true None C [] AuthorizationFailed", "true None x y [\"public\"] AuthorizationFailed"], 8)
    );
    // The first account has enough rows: the other pages are not asked for.
    assert_eq!(accounts().read(ACCOUNTS, &columns, vec![], Some(1)).await, seen(&["a | logs"], &[], 2));
}

fn event(id: &str, minute: u32, status: &str, what: &str) -> Value {
    json!({"id": id, "at": format!("2026-03-01T00:{minute:02}:00.1234567Z"), "status": status, "what": what})
}

fn events(floor: &str, second: Result<Value, CloudError>) -> World {
    let operation = "GET /subscriptions/{}/events";
    let filter = format!("at ge '{floor}'");
    let path = format!("/subscriptions/{SUBSCRIPTION}/events");
    let first = json!({"value": [event("2", 9, "Succeeded", "rotate"), event("3", 8, "Succeeded", "list"), event("1", 7, "Failed", "rotate")],
        "nextLink": "https://arm/2"});
    World::new().give(operation, json!({"path": path, "query": {"api-version": "2015-04-01", "$filter": filter}}), Ok(first)).give(
        operation,
        json!({"next": "https://arm/2"}),
        second,
    )
}

const FLOOR: &str = "2026-01-01T12:10:00Z";

fn second() -> Result<Value, CloudError> {
    Ok(json!({"value": [event("2", 8, "Started", "rotate"), event("4", 1, "Started", "rotate"), event("1", 6, "Started", "rotate")]}))
}

#[tokio::test]
async fn events_of_an_operation_are_one_row() {
    let columns = ["id", "status", "begun"];
    let rows = ["2 | Succeeded | Started", "1 | Failed | Started", "4 | Started | Started"];
    assert_eq!(events(FLOOR, second()).read(EVENTS, &columns, vec![], None).await, seen(&rows, &[], 2));
    // Which event is an operation's last is known behind the last page alone.
    assert_eq!(events(FLOOR, second()).read(EVENTS, &columns, vec![], Some(1)).await, seen(&rows[..1], &[], 2));
    // Without the second page nobody knows what became of the operations of the first.
    let lost = Err(CloudError::new(ErrorKind::Service, "InternalServerError", "no"));
    assert_eq!(events(FLOOR, lost).read(EVENTS, &columns, vec![], None).await, seen(&[], &["true None  [] InternalServerError"], 2));
}

#[tokio::test]
async fn what_the_log_does_not_keep_is_said() {
    let since = |text: &str| Filter::Range { column: "at".into(), op: RangeOp::Ge, value: Scalar::Timestamp(text.parse().unwrap()) };
    let until = Filter::Range { column: "at".into(), op: RangeOp::Lt, value: Scalar::Timestamp("2025-06-01T00:00:00Z".parse().unwrap()) };
    let told = "azure_x: the API keeps 90 days of at; what is older than 2026-01-01T12:10:00Z is not in the answer";
    let old = events(FLOOR, second()).read(EVENTS, &["id"], vec![since("2025-01-01T00:00:00Z")], None).await;
    assert_eq!((old.rows.len(), old.notices), (3, vec![told.to_owned()]));
    let gone = events(FLOOR, second()).read(EVENTS, &["id"], vec![until], None).await;
    assert_eq!((gone.rows.len(), gone.notices, gone.calls), (0, vec![told.to_owned()], 0));
    // The hour in which an operation may have begun.
    let new = events("2026-02-28T23:00:00Z", second()).read(EVENTS, &["begun"], vec![since("2026-03-01T00:00:00Z")], None).await;
    assert_eq!((new.rows.len(), new.notices.len()), (3, 0));
}
