//! Failed calls of a query, in lines for people: one a scope and cause, however many rows it hit.

use assay_engine::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// What scopes are of, unless a table says otherwise.
const ACCOUNT: &str = "account";

/// One line a table, scope, operation and code. `failures` are in the log's order; `nouns` say what the accounts of a table are.
pub(crate) fn lines(failures: &[Failure], nouns: &BTreeMap<String, &'static str>) -> Vec<String> {
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
    let noun = |f: &Failure| nouns.get(&f.table).copied().unwrap_or(ACCOUNT);
    groups.into_iter().map(|(first, count, columns)| line(first, noun(first), count, &columns)).collect()
}

/// Hints of the failures, each once.
pub(crate) fn hints(failures: &[Failure]) -> BTreeSet<&'static str> {
    failures.iter().filter_map(|f| f.error.hint()).collect()
}

fn same_cause(a: &Failure, b: &Failure) -> bool {
    (&a.table, &a.connection, &a.account, &a.region, a.row.is_some()) == (&b.table, &b.connection, &b.account, &b.region, b.row.is_some())
        && (&a.error.service, &a.error.operation, &a.error.code) == (&b.error.service, &b.error.operation, &b.error.code)
}

fn line(first: &Failure, noun: &str, count: usize, columns: &BTreeSet<&str>) -> String {
    let account = match &first.account {
        // Twelve digits need no word.
        Some(account) if noun == ACCOUNT => account.clone(),
        Some(account) => format!("{noun} {account}"),
        None => first.connection.clone(),
    };
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
            lines(&all, &BTreeMap::new()),
            [
                "incomplete: t in 111122223333 eu-west-1: rows are missing: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: t in 111122223333 eu-west-1: policy, policy_std unknown for 2 rows, a among them: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: t in 111122223333 us-east-1: policy unknown for c: s3:GetBucketPolicy AccessDenied: no",
                "incomplete: u in prod: rows are missing: s3:GetBucketPolicy AccessDenied: no",
            ]
        );
        assert_eq!(hints(&all).len(), 1);
        let nouns = BTreeMap::from([("u".to_owned(), "subscription")]);
        let of = |account: Option<&str>| {
            lines(&[Failure { account: account.map(str::to_owned), region: None, ..failure("u", "", None, &[]) }], &nouns)
        };
        assert!(of(Some("1-2"))[0].starts_with("incomplete: u in subscription 1-2: rows"));
        assert!(of(None)[0].starts_with("incomplete: u in prod: rows"));
    }
}
