//! Failed calls of a query, in lines for people: one a scope and cause, however many rows it hit.

use assay_engine::Failure;
use std::collections::BTreeSet;

/// One line a table, scope, operation and code. `failures` are in the log's order.
pub(crate) fn lines(failures: &[Failure]) -> Vec<String> {
    let mut groups: Vec<(&Failure, usize, BTreeSet<&str>)> = Vec::new();
    for failure in failures {
        let columns = failure.columns.iter().map(String::as_str);
        match groups.iter_mut().find(|(first, ..)| same_cause(first, failure)) {
            Some((_, count, all)) => {
                *count += 1;
                all.extend(columns);
            }
            None => groups.push((failure, 1, columns.collect())),
        }
    }
    groups.into_iter().map(|(first, count, columns)| line(first, count, &columns)).collect()
}

/// Hints of the failures, each once.
pub(crate) fn hints(failures: &[Failure]) -> BTreeSet<&'static str> {
    failures.iter().filter_map(|f| f.error.hint()).collect()
}

fn same_cause(a: &Failure, b: &Failure) -> bool {
    (&a.table, &a.connection, &a.account, &a.region, a.row.is_some()) == (&b.table, &b.connection, &b.account, &b.region, b.row.is_some())
        && (&a.error.service, &a.error.operation, &a.error.code) == (&b.error.service, &b.error.operation, &b.error.code)
}

fn line(first: &Failure, count: usize, columns: &BTreeSet<&str>) -> String {
    let account = first.account.as_deref().unwrap_or(&first.connection);
    let region = first.region.as_deref().map(|r| format!(" {r}")).unwrap_or_default();
    let names = columns.iter().copied().collect::<Vec<_>>().join(", ");
    let missing = match (&first.row, names.as_str()) {
        (None, "") => "rows are missing".to_owned(),
        (None, names) => format!("{names} unknown"),
        (Some(row), names) => {
            let what = if names.is_empty() { "rows under it are missing".to_owned() } else { format!("{names} unknown") };
            if count == 1 { format!("{what} for {row}") } else { format!("{what} for {count} rows, {row} among them") }
        }
    };
    let error = &first.error;
    let operation = if error.operation.is_empty() { String::new() } else { format!("{}:{} ", error.service, error.operation) };
    let id = error.request_id.as_ref().map(|id| format!(" (request id {id})")).unwrap_or_default();
    format!("incomplete: {} in {account}{region}: {missing}: {operation}{}: {}{id}", first.table, error.code, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_cloud::{CloudError, ErrorKind};

    fn failure(table: &str, region: &str, row: Option<&str>, columns: &[&str]) -> Failure {
        let mut error = CloudError::new(ErrorKind::Denied, "AccessDenied", "no");
        error.service = "s3".into();
        error.operation = "GetBucketPolicy".into();
        Failure {
            table: table.into(),
            connection: "prod".into(),
            account: Some("111122223333".into()),
            region: Some(region.into()),
            row: row.map(str::to_owned),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            error,
        }
    }

    #[test]
    fn every_scope_is_named_and_rows_are_counted() {
        let all = [
            failure("t", "eu-west-1", None, &[]),
            failure("t", "eu-west-1", Some("a"), &["policy"]),
            failure("t", "eu-west-1", Some("b"), &["policy", "policy_std"]),
            failure("t", "us-east-1", Some("c"), &["policy"]),
            Failure { account: None, region: None, ..failure("u", "", None, &[]) },
        ];
        assert_eq!(
            lines(&all),
            [
                "incomplete: t in 111122223333 eu-west-1: rows are missing: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: t in 111122223333 eu-west-1: policy, policy_std unknown for 2 rows, a among them: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: t in 111122223333 us-east-1: policy unknown for c: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: u in prod: rows are missing: s3:GetBucketPolicy AccessDenied: no",
            ]
        );
        assert_eq!(hints(&all).len(), 1);
    }
}
