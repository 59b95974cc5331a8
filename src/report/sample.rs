//! A result with everything a report can meet: every status and state, hostile text, failed calls, leaves without a query.

use assay_compliance::{
    CallCounts, Completeness, ControlResult, Counts, Findings, Gap, GroupResult, OlderPart, PlanControl, ROOT_GROUP, ResultChild,
    ResultRow, RunResult, RunState, ScopeFailure, Severity, SqlArg, Status, Unknown,
};
use chrono::DateTime;
use std::sync::Arc;
use std::time::Duration;

fn row(status: Status, resource: &str, reason: &str, dimensions: &[(&str, &str)]) -> ResultRow {
    let dimensions = dimensions.iter().map(|(k, v)| (Arc::from(*k), (*v).to_owned())).collect();
    ResultRow { status, resource: resource.into(), reason: reason.into(), dimensions, unknown: None }
}

fn control(id: &str, item: &str, title: &str, severity: Severity, state: RunState, rows: Vec<ResultRow>) -> ControlResult {
    let mut summary = Counts::default();
    rows.iter().for_each(|r| summary.add(r.status));
    if rows.is_empty() && state.error().is_some() {
        summary.error = 1;
    }
    let tags = [("cis", "true"), ("cis_item_id", item), ("service", "AWS/IAM")];
    let facts = PlanControl {
        id: id.into(),
        control: Some(format!("q_{id}")),
        item: item.into(),
        title: title.into(),
        description: format!("About {item}."),
        documentation: if item == "1.14" { "## Fix it\n\n`aws iam` <b>now</b>".into() } else { String::new() },
        severity,
        tags: tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        query: format!("q_{id}"),
        evaluation: Some(0),
    };
    let args = if item == "1.14" { vec![SqlArg { name: "max_age_days".into(), value: 90.into() }] } else { vec![] };
    let findings = Findings { state, rows, summary, duration: Duration::from_millis(7) };
    ControlResult { facts: Arc::new(facts), findings: Arc::new(findings), args }
}

fn group(id: &str, title: &str, children: Vec<ResultChild>) -> GroupResult {
    let mut summary = Counts::default();
    for c in &children {
        match c {
            ResultChild::Group(g) => summary.merge(&g.summary),
            ResultChild::Control(c) => summary.merge(&c.findings.summary),
        }
    }
    let tags = if id == ROOT_GROUP { Default::default() } else { [("cis".to_owned(), "true".to_owned())].into() };
    let description = if id == ROOT_GROUP { String::new() } else { format!("What {title} covers, in a sentence.") };
    GroupResult { id: id.into(), title: title.into(), description, documentation: String::new(), tags, summary, children }
}

fn result(children: Vec<ResultChild>) -> RunResult {
    let scope = |account: &str, region: &str| ("prod".to_owned(), Some(account.to_owned()), region.to_owned());
    RunResult {
        root: group(ROOT_GROUP, "", children),
        completeness: Completeness {
            scopes: [scope("111122223333", "global"), scope("111122223333", "eu-west-1"), scope("444455556666", "eu-west-1")].into(),
            ..Completeness::default()
        },
        calls: CallCounts { calls: 143, cache_hits: 1240, retries: 2, throttles: 1 },
        time: DateTime::from_timestamp(1_763_778_480, 0).unwrap(),
        duration: Duration::from_secs(3),
        cancelled: false,
    }
}

/// A benchmark with one of each.
pub(crate) fn full() -> RunResult {
    let place: &[(&str, &str)] = &[("user_name", "alice"), ("account_id", "111122223333"), ("region", "global")];
    let bucket = |name: &'static str| [("account_id", "444455556666"), ("region", "eu-west-1"), ("bucket", name)];
    let keys = vec![
        row(Status::Alarm, "arn:aws:iam::111122223333:user/alice/accesskey/AKIA1", "alice AKIA1 created 05-Mar-2024 (627 days).", place),
        row(
            Status::Alarm,
            "arn:aws:iam::111122223333:user/=1+1/accesskey/AKIA2",
            "=cmd|'/c calc'!A1 \"quoted\", <script>alert(1)</script> \x1b[31mred\x1b[0m **bold** a_b\nnext line and a reason that is long enough to be wrapped in a terminal of a hundred columns",
            &[("user_name", "@evil"), ("account_id", "111122223333"), ("region", "global")],
        ),
        row(Status::Ok, "arn:aws:iam::111122223333:user/bob/accesskey/AKIA3", "bob AKIA3 created 20-Nov-2025 (2 days).", place),
        row(Status::Skip, "arn:aws:iam::111122223333:user/eve/accesskey/AKIA4", "eve AKIA4 is inactive.", place),
    ];
    let mut unknown =
        row(Status::Error, "arn:aws:s3:::logs", "unknown: s3:GetBucketPolicy AccessDenied for logs (was ok: private)", &bucket("logs"));
    unknown.unknown = Some(Unknown::Was(Status::Ok));
    let mut silent = row(
        Status::Error,
        "account 444455556666 region us-east-1",
        "unknown: s3:ListBuckets AccessDenied",
        &[("account_id", "444455556666"), ("region", "us-east-1"), ("bucket", "")],
    );
    silent.unknown = Some(Unknown::NoRow);
    let section_1 = group(
        "demo_1",
        "1 Identity and Access Management",
        vec![
            ResultChild::Control(control(
                "demo_1_1",
                "1.1",
                "Contact details are current",
                Severity::None,
                RunState::Complete,
                vec![row(Status::Info, "account", "Look for yourself.", place)],
            )),
            ResultChild::Control(control(
                "demo_1_5",
                "1.5",
                "Root has a second factor",
                Severity::Critical,
                RunState::Complete,
                vec![row(Status::Ok, "arn:aws:iam::111122223333:root", "MFA is on.", place)],
            )),
            ResultChild::Control(control(
                "demo_1_14",
                "1.14",
                "Access keys of users are rotated every 90 days or less, however long a title of a control may be in the end",
                Severity::Medium,
                RunState::Complete,
                keys,
            )),
            ResultChild::Control(control(
                "demo_1_19",
                "1.19",
                "Expired certificates are removed",
                Severity::High,
                RunState::Complete,
                vec![],
            )),
        ],
    );
    let section_2_1 = group(
        "demo_2_1",
        "2.1 Object storage",
        vec![
            ResultChild::Control(control(
                "demo_2_1_1",
                "2.1.1",
                "Buckets deny plain HTTP",
                Severity::High,
                RunState::Complete,
                vec![silent, unknown],
            )),
            ResultChild::Control(control(
                "demo_2_1_2",
                "2.1.2",
                "Broken",
                Severity::Low,
                RunState::Failed("column \"x\" does not exist".into()),
                vec![],
            )),
        ],
    );
    let section_2 = group(
        "demo_2",
        "2 Storage",
        vec![
            ResultChild::Group(section_2_1),
            ResultChild::Control(control(
                "demo_2_9",
                "2.9",
                "File systems are encrypted",
                Severity::None,
                RunState::NotImplemented("there is no control 'efs' yet".into()),
                vec![],
            )),
        ],
    );
    let benchmark = group("demo", "Demo Benchmark <v1>", vec![ResultChild::Group(section_1), ResultChild::Group(section_2)]);
    let mut result = result(vec![ResultChild::Group(benchmark)]);
    let failure = |region: &str, row: Option<&str>, message: &str| ScopeFailure {
        table: "aws_s3_bucket".into(),
        connection: "prod".into(),
        account: Some("444455556666".into()),
        noun: "account",
        region: Some(region.into()),
        row: row.map(str::to_owned),
        columns: vec!["policy".into()],
        code: "AccessDenied".into(),
        message: message.into(),
    };
    let subscription = "11111111-2222-3333-4444-555555555555";
    result.completeness.scopes.insert(("azure".to_owned(), Some(subscription.to_owned()), "global".to_owned()));
    result.completeness.nouns.insert(subscription.to_owned(), "subscription");
    result.completeness.notices.insert("demo_events: <90 days> are kept; older ones are not known".to_owned());
    let older = |table: &str, account: Option<&str>, noun| OlderPart {
        table: table.to_owned(),
        source: "cache".to_owned(),
        connection: "prod".to_owned(),
        account: account.map(str::to_owned),
        at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        or_later: account.is_none(),
        noun,
    };
    result.completeness.older = vec![older("aws_iam_user", Some("444455556666"), "account"), older("azure_<table>", None, "subscription")];
    result.completeness.gaps = vec![
        Gap {
            failure: failure("eu-west-1", Some("logs"), "s3:GetBucketPolicy AccessDenied (request 1A2B)"),
            controls: vec!["demo_2_1_1".into()],
        },
        Gap { failure: failure("us-east-1", None, "not <allowed>"), controls: vec!["demo_2_1_1".into()] },
    ];
    result
}

/// Two controls by themselves, in a run that was cancelled.
pub(crate) fn cancelled() -> RunResult {
    let place: &[(&str, &str)] = &[("account_id", "111122223333")];
    let done = control(
        "root_mfa",
        "",
        "Root has a second factor",
        Severity::Critical,
        RunState::Complete,
        vec![row(Status::Alarm, "root", "No MFA.", place)],
    );
    let not = control("root_keys", "", "Root has no keys", Severity::Critical, RunState::Cancelled, vec![]);
    let mut result = result(vec![ResultChild::Control(done), ResultChild::Control(not)]);
    result.cancelled = true;
    result
}

/// Nothing wrong at all.
pub(crate) fn clean() -> RunResult {
    let place: &[(&str, &str)] = &[("account_id", "111122223333")];
    result(vec![ResultChild::Control(control(
        "root_mfa",
        "",
        "Root has a second factor",
        Severity::Critical,
        RunState::Complete,
        vec![row(Status::Ok, "root", "MFA is on.", place)],
    ))])
}
