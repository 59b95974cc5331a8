//! Bills over recorded answers: exact, shared calls once, and nothing shows in the process's counts.

use super::*;

fn lines(bill: &crate::Bill) -> Vec<String> {
    bill.lines.iter().map(|l| format!("{} {} {} of {} {}", l.table, l.name(), l.calls, l.scopes, l.basis.text())).collect()
}

#[tokio::test]
async fn a_recording_is_run_and_counted() {
    let engine = engine_over(bundle(), &["both"]).await;
    let bill = engine.bill(&[("select user_name from test_user", &[])]).await.unwrap();
    assert_eq!(lines(&bill), ["test_user iam.ListUsers 4 of 2 exact (recording)"]);
    assert!(bill.is_exact() && bill.seconds > 0.0);
    assert_eq!(bill.permissions().iter().map(|p| p.name().to_owned()).collect::<Vec<_>>(), ["iam:ListUsers"]);
    assert_eq!(engine.cloud().tally().counts(), TallyCounts::default(), "a rehearsal is no run");
    let query = engine.query("select user_name from test_user", &[]).await.unwrap();
    let log = query.log.clone();
    query.stream.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(log.counts().calls, 4, "and nothing of it is cached");
}

#[tokio::test]
async fn what_statements_share_is_counted_once() {
    let engine = engine_over(bundle(), &["both"]).await;
    let names = "select name from test_named";
    let bill = engine.bill(&[("select count(*) from test_user", &[]), (names, &[]), (names, &[])]).await.unwrap();
    assert_eq!(
        lines(&bill),
        ["test_pair ec2.DescribeKeyPairs 5 of 5 exact (recording)", "test_user iam.ListUsers 4 of 2 exact (recording)"]
    );
    assert_eq!(engine.bill(&[("select 1", &[])]).await.unwrap().calls(), 0);
    assert!(engine.bill(&[("select nothing from test_user", &[])]).await.is_err());
}

#[tokio::test]
async fn a_join_asks_for_what_the_other_side_has() {
    let engine = engine_over(bundle(), &["prod"]).await;
    let sql = "select g.group_name from test_user u join test_membership g on g.user_name = u.user_name where u.user_name <> 'cid'";
    let bill = engine.bill(&[(sql, &[])]).await.unwrap();
    assert_eq!(
        lines(&bill),
        ["test_membership iam.ListGroupsForUser 2 of 1 exact (recording)", "test_user iam.ListUsers 3 of 1 exact (recording)"]
    );
    assert_eq!(bill.lines[0].per, "1 per user_name of the join");
    let needed = engine.operations(&[(sql, &[])]).await.unwrap();
    let names: Vec<String> = needed.lines.iter().map(crate::BillLine::name).collect();
    assert!(names.contains(&"iam.ListGroupsForUser".to_owned()) && names.contains(&"iam.ListUsers".to_owned()), "{names:?}");
}

#[tokio::test]
async fn explain_api_gives_rows() {
    let engine = engine_over(bundle(), &["both"]).await;
    let query = engine.query("explain api select user_name from test_user", &[]).await.unwrap();
    let names: Vec<&str> = query.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(&names[..5], ["table", "operation", "scopes", "calls", "exact"]);
    let rows: usize = query.stream.try_collect::<Vec<_>>().await.unwrap().iter().map(|b| b.num_rows()).sum();
    assert_eq!(rows, 1);
    assert_eq!(query.log.notices().len(), 1, "what it was counted on");
}
