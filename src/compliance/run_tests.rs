//! Runs over a scripted engine: dedupe, order, progress, cancellation, completeness, outcomes.

use super::*;
use crate::{AnswerColumn, Library, Outcome, Request, SqlError, SqlErrorKind, TableScopes, TargetKind, Value};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::executor::block_on;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

/// Answers by statement; those that begin with `wait` are never ready, those with `late` only after `turns` polls.
#[derive(Default)]
struct Script {
    ran: Mutex<Vec<String>>,
    calls: AtomicU64,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    dropped: AtomicUsize,
}

struct InFlight<'a>(&'a Script);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

async fn turns(n: usize) {
    let mut left = n;
    future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn failure(region: &str) -> ScopeFailure {
    ScopeFailure {
        table: "t".into(),
        connection: "c".into(),
        account: Some("111".into()),
        noun: "account",
        region: Some(region.into()),
        row: None,
        columns: vec![],
        code: "AccessDenied".into(),
        message: "AccessDenied in it".into(),
    }
}

#[async_trait]
impl SqlRunner for Script {
    async fn run(&self, sql: &str, args: &[SqlArg]) -> Result<Answer, SqlError> {
        let args = args.iter().map(|a| format!("{}={}", a.name, a.value)).collect::<Vec<_>>().join(",");
        self.ran.lock().unwrap().push(format!("{sql}({args})"));
        let _guard = InFlight(self);
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        match sql {
            "wait" => future::pending::<()>().await,
            "late" => turns(20).await,
            _ => turns(1).await,
        }
        self.calls.fetch_add(3, Ordering::SeqCst);
        let error = |kind, message: &str| Err(SqlError { kind, message: message.into(), hint: None });
        let status = match sql {
            "broken" => return error(SqlErrorKind::Statement, "no such table"),
            "offline" => return error(SqlErrorKind::Cloud, "no credentials"),
            "late" | "denied" => "ok",
            other => other,
        };
        let columns = ["resource", "status", "reason", "account_id", "region"];
        let row = ["r", status, "why", "111", "eu-west-1"].map(|v| Value::Text(v.into()));
        Ok(Answer {
            columns: columns.map(|name| AnswerColumn { name: name.into(), data_type: "text".into() }).into(),
            rows: vec![row.into()],
            failures: if sql == "denied" { vec![failure("us-east-1"), failure("eu-west-1")] } else { vec![] },
            tables: vec![TableScopes {
                table: "t".into(),
                noun: "account",
                scopes: vec![("c".into(), Some("111".into()), "eu-west-1".into())],
            }],
            notices: if sql == "denied" { vec!["older events are not kept".into()] } else { vec![] },
            older: ["denied", "ok"].iter().zip([5, 3]).filter(|(on, _)| **on == sql).map(|(_, second)| older("t", second)).collect(),
            counts: CallCounts::default(),
        })
    }

    fn has_table(&self, _: &str) -> bool {
        true
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn calls_so_far(&self) -> CallCounts {
        CallCounts { calls: self.calls.load(Ordering::SeqCst), ..CallCounts::default() }
    }
}

/// One control for each statement, `leaves` of them under a benchmark, as (leaf, statement).
fn plan(leaves: &[(&str, &str)]) -> Plan {
    let mut library = Library::default();
    let mut files = BTreeMap::new();
    let mut children = String::new();
    for (leaf, sql) in leaves {
        if *sql == "-" {
            children.push_str(&format!("- {{id: {leaf}, title: T}}\n"));
            continue;
        }
        files.insert(format!("q_{sql}.yaml"), format!("control: q_{sql}\ntitle: T\nseverity: high\nsql: {sql}\n"));
        children.push_str(&format!("- {{id: {leaf}, control: q_{sql}}}\n"));
    }
    files.insert("b.yaml".into(), format!("benchmark: b\ntitle: B\nchildren:\n{children}"));
    library.load_texts(files).unwrap();
    library.plan(&Request::new(TargetKind::Benchmark, ["b"])).unwrap()
}

fn verdicts(result: &RunResult) -> String {
    let one = |c: &&ControlResult| {
        let word = match &c.findings.state {
            RunState::Complete => c.findings.rows.iter().map(|r| r.status.as_str()).collect::<Vec<_>>().join("+"),
            RunState::Incomplete(_) => "incomplete".into(),
            RunState::Failed(_) => "failed".into(),
            RunState::Unreachable(_) => "unreachable".into(),
            RunState::Cancelled => "cancelled".into(),
            RunState::NotImplemented(_) => "none".into(),
        };
        format!("{}:{word}", c.facts.id)
    };
    result.root.controls().iter().map(one).collect::<Vec<_>>().join(" ")
}

fn all(plan: &Plan, script: &Script, max_parallel: usize) -> RunResult {
    block_on(run(plan, script, RunOptions { max_parallel, progress: None }, future::pending()))
}

#[test]
fn each_evaluation_runs_once_and_order_is_the_plans() {
    let plan = plan(&[("a", "late"), ("b1", "ok"), ("c", "alarm"), ("d", "late"), ("e", "-")]);
    let script = Script::default();
    let result = all(&plan, &script, 3);
    assert_eq!(verdicts(&result), "a:ok b1:ok c:alarm d:ok e:none");
    assert_eq!(*script.ran.lock().unwrap(), ["late()", "ok()", "alarm()"]);
    assert_eq!(script.most.load(Ordering::SeqCst), 3);
    assert_eq!(result.calls.calls, 9);
    assert_eq!(result.root.summary, Counts { ok: 3, alarm: 1, ..Counts::default() });
    let coverage = result.root.coverage();
    assert_eq!((coverage.evaluated, coverage.not_implemented, coverage.total), (4, 1, 5));
    assert!(Arc::ptr_eq(&result.root.controls()[0].findings, &result.root.controls()[3].findings));
    // The same whatever runs at a time, wall time aside.
    for n in [0, 1, 10] {
        let script = Script::default();
        let other = all(&plan, &script, n);
        assert_eq!((verdicts(&other), other.root.summary), (verdicts(&result), result.root.summary), "{n}");
        assert!(script.most.load(Ordering::SeqCst) <= n.max(1));
    }
}

#[test]
fn progress_counts_up() {
    let seen = Mutex::new(Vec::new());
    let tell = |p: Progress| seen.lock().unwrap().push((p.done, p.total, p.errors, p.alarms, p.calls.calls));
    let plan = plan(&[("a", "ok"), ("b1", "alarm"), ("c", "broken")]);
    let options = RunOptions { max_parallel: 1, progress: Some(&tell) };
    block_on(run(&plan, &Script::default(), options, future::pending()));
    assert_eq!(*seen.lock().unwrap(), [(0, 3, 0, 0, 0), (1, 3, 0, 0, 3), (2, 3, 0, 1, 6), (3, 3, 1, 1, 9)]);
}

#[test]
fn cancelling_keeps_what_was_finished() {
    let plan = plan(&[("a", "ok"), ("b1", "wait"), ("c", "alarm")]);
    let script = Script::default();
    let result = block_on(run(&plan, &script, RunOptions { max_parallel: 1, progress: None }, turns(10)));
    assert_eq!(verdicts(&result), "a:ok b1:cancelled c:cancelled");
    assert!(result.cancelled && result.incomplete());
    assert_eq!(result.root.summary, Counts { ok: 1, error: 2, ..Counts::default() });
    assert_eq!(script.in_flight.load(Ordering::SeqCst), 0, "what was in flight is dropped");
    assert_eq!(result.outcome(true), Outcome::Error);
    let at_once = block_on(run(&plan, &Script::default(), RunOptions::default(), future::ready(())));
    assert_eq!(verdicts(&at_once), "a:cancelled b1:cancelled c:cancelled");
}

#[test]
fn gaps_name_the_leaves_they_concern() {
    let result = all(&plan(&[("a", "denied"), ("b1", "ok"), ("c", "denied")]), &Script::default(), 2);
    assert_eq!(verdicts(&result), "a:error+error b1:ok c:error+error");
    let gaps: Vec<_> = result.completeness.gaps.iter().map(|g| (g.failure.region.as_deref().unwrap(), g.controls.join(","))).collect();
    assert_eq!(gaps, [("eu-west-1", "a,c".to_owned()), ("us-east-1", "a,c".to_owned())]);
    assert_eq!(result.completeness.scopes.len(), 1);
    assert_eq!(result.completeness.notices, ["older events are not kept".to_owned()].into());
}

fn older(table: &str, second: i64) -> OlderPart {
    let at = DateTime::from_timestamp(second, 0).unwrap();
    OlderPart { table: table.into(), source: "cache".into(), connection: "c".into(), account: None, at, or_later: false, noun: "account" }
}

#[test]
fn what_is_older_is_named_once_with_its_oldest_time() {
    let result = all(&plan(&[("a", "denied"), ("b1", "ok"), ("c", "denied")]), &Script::default(), 2);
    assert_eq!(result.completeness.older, [older("t", 3)]);
}

#[test]
fn outcomes() {
    for (leaves, strict, partial) in [
        (&["ok", "info", "skip", "-"][..], Outcome::Clean, Outcome::Clean),
        (&["ok", "alarm"], Outcome::Alarm, Outcome::Alarm),
        (&["alarm", "error"], Outcome::Error, Outcome::Error),
        (&["alarm", "broken"], Outcome::Error, Outcome::Error),
        (&["ok", "denied"], Outcome::Error, Outcome::Clean),
        (&["alarm", "denied"], Outcome::Error, Outcome::Alarm),
        (&["-"], Outcome::Error, Outcome::Clean),
        (&["offline", "-"], Outcome::Unreachable, Outcome::Unreachable),
        (&["offline", "ok"], Outcome::Error, Outcome::Error),
        (&["bad_status"], Outcome::Error, Outcome::Error),
    ] {
        let named: Vec<(String, &str)> = leaves.iter().enumerate().map(|(i, sql)| (format!("l{i}"), *sql)).collect();
        let result = all(&plan(&named.iter().map(|(l, s)| (l.as_str(), *s)).collect::<Vec<_>>()), &Script::default(), 4);
        assert_eq!((result.outcome(false), result.outcome(true)), (strict, partial), "{leaves:?}");
    }
}
