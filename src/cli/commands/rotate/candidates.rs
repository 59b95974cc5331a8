//! The keys that could be rotated, from live tables: every key of every user, because a user's keys judge each other, and which of them
//! the options choose.

use super::failed;
use crate::args::RotatePlanArgs;
use crate::exit::Failed;
use crate::runner::EngineRunner;
use assay_compliance::{Answer, SqlArg, SqlErrorKind, SqlRunner, Value};
use assay_rotation::KeyStatus;
use assay_rotation::select::{Candidate, StorageCandidate};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// What `--where` may name, as one table. Columns that nothing names cost no call.
const ACCESS_KEYS: View = View {
    name: "access_key",
    with: "
  select
    k.sp_connection_name, k.account_id, u.name as user_name, u.user_id, u.arn as user_arn, u.path, u.create_date as user_create_date,
    u.password_last_used, u.tags, u.groups, u.attached_policy_arns, k.access_key_id, k.status, k.create_date,
    k.access_key_last_used_date, k.access_key_last_used_service, k.access_key_last_used_region
  from
    aws_iam_user as u
    join aws_iam_access_key as k on k.user_name = u.name and k.account_id = u.account_id and k.sp_connection_name = u.sp_connection_name",
    owner: "u.name",
    account: "u.account_id",
    group: "",
    columns: "sp_connection_name, account_id, user_name, user_id, user_arn, path, access_key_id, status, create_date",
};

const STORAGE: View = View {
    name: "storage_account",
    with: "
  select
    sp_connection_name, subscription_id, storage_account_id as id, storage_account_name as name, region, resource_group,
    coalesce(allow_shared_key_access, true) as allow_shared_key_access, account_creation_time, tags,
    max(creation_time) filter (where key_name = 'key1') as key1_creation_time,
    max(creation_time) filter (where key_name = 'key2') as key2_creation_time
  from
    azure_storage_account_key",
    owner: "storage_account_name",
    account: "subscription_id",
    group: "
  group by
    sp_connection_name, subscription_id, storage_account_id, storage_account_name, region, resource_group,
    coalesce(allow_shared_key_access, true), account_creation_time, tags",
    columns: "sp_connection_name, subscription_id, id, name, key1_creation_time, key2_creation_time, allow_shared_key_access, \
              account_creation_time, tags",
};

/// The statement that finds candidates. `--where` does not leave rows out: a user's keys judge each other.
struct View {
    name: &'static str,
    with: &'static str,
    owner: &'static str,
    account: &'static str,
    group: &'static str,
    columns: &'static str,
}

impl View {
    fn sql(&self, owners: &[String], accounts: &[String], filters: &[String]) -> String {
        let View { name, with, owner, account, group, columns } = self;
        let only: Vec<String> = one_of(owner, owners).into_iter().chain(one_of(account, accounts)).collect();
        let only = if only.is_empty() { String::new() } else { format!("\n  where\n    {}", only.join(" and ")) };
        // Lines of their own, so that a comment at the end of a condition ends there.
        let chosen: Vec<String> = filters.iter().map(|text| format!("coalesce((\n{text}\n)::bool, false)")).collect();
        let chosen = if chosen.is_empty() { "true".to_owned() } else { chosen.join(" and ") };
        format!("with {name} as ({with}{only}{group}\n)\nselect {columns}, {chosen} as chosen\nfrom {name}")
    }
}

/// What was found, and what could not be looked at.
pub(super) struct Found {
    /// Access keys.
    pub(super) keys: Vec<Candidate>,
    /// Storage accounts.
    pub(super) accounts: Vec<StorageCandidate>,
    /// The whole answer of the tables, for what it lacks.
    pub(super) answer: Answer,
}

/// Runs the statement and reads its rows.
pub(super) async fn find(runner: &EngineRunner, args: &RotatePlanArgs) -> Result<Found, Failed> {
    let (view, owners) = if args.storage { (&STORAGE, &args.storage_account) } else { (&ACCESS_KEYS, &args.user) };
    let table = view.name;
    let none: [SqlArg; 0] = [];
    let answer = runner.run(&view.sql(owners, &args.account, &args.filter), &none).await.map_err(|e| {
        let statement = e.kind == SqlErrorKind::Statement && !args.filter.is_empty();
        let failed = failed(e);
        let hint =
            failed.hint.clone().or_else(|| statement.then(|| format!("--where sees the columns of {table}; docs/rotation.md lists them")));
        failed.maybe_hint(hint)
    })?;
    let read = |row: &Vec<Value>| if args.storage { account_of(row).map(Either::Account) } else { key_of(row).map(Either::Key) };
    let (mut keys, mut accounts) = (Vec::new(), Vec::new());
    for row in &answer.rows {
        match read(row).ok_or_else(|| Failed::internal(&format!("a row of {table} is not as its table says: {row:?}")))? {
            Either::Key(key) => keys.push(key),
            Either::Account(account) => accounts.push(account),
        }
    }
    Ok(Found { keys, accounts, answer })
}

enum Either {
    Key(Candidate),
    Account(StorageCandidate),
}

/// `column in ('a', 'b')`; no condition without values.
fn one_of(column: &str, values: &[String]) -> Option<String> {
    let quoted: Vec<String> = values.iter().map(|v| format!("'{}'", v.replace('\'', "''"))).collect();
    (!quoted.is_empty()).then(|| format!("{column} in ({})", quoted.join(", ")))
}

fn key_of(row: &[Value]) -> Option<Candidate> {
    let [connection, account, user, user_id, arn, path, key, status, created, chosen] = row else { return None };
    Some(Candidate {
        connection: text(connection)?,
        account_id: text(account)?,
        user: text(user)?,
        user_id: text(user_id)?,
        user_arn: text(arn)?,
        path: text(path)?,
        key: text(key)?,
        created: time(created)?,
        status: if text(status)? == "Active" { KeyStatus::Active } else { KeyStatus::Inactive },
        chosen: *chosen == Value::Bool(true),
    })
}

fn account_of(row: &[Value]) -> Option<StorageCandidate> {
    let [connection, subscription, id, name, key1, key2, allowed, created, tags, chosen] = row else { return None };
    let tags = match tags {
        Value::Json(serde_json::Value::Object(tags)) => {
            tags.iter().map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect()
        }
        _ => BTreeMap::new(),
    };
    Some(StorageCandidate {
        connection: text(connection)?,
        subscription_id: text(subscription)?,
        id: text(id)?,
        name: text(name)?,
        key1_created: time(key1),
        key2_created: time(key2),
        allow_shared_key: *allowed != Value::Bool(false),
        created: time(created),
        tags,
        chosen: *chosen == Value::Bool(true),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// A timestamp in PostgreSQL's output form.
fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = text(value)?;
    DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|t| t.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_candidates() {
        let text = |t: &str| Value::Text(t.into());
        let row = vec![
            text("aws"),
            text("123456789012"),
            text("alice"),
            text("AIDAEXAMPLE"),
            text("arn:aws:iam::123456789012:user/alice"),
            text("/"),
            text("AKIAIOSFODNN7EXAMPLE"),
            text("Inactive"),
            text("2024-03-05 10:00:00.5+00"),
            Value::Bool(true),
        ];
        let key = key_of(&row).unwrap();
        assert_eq!((key.status, key.chosen, key.created.timestamp_millis()), (KeyStatus::Inactive, true, 1_709_632_800_500));
        assert!(key_of(&row[..9]).is_none(), "too few columns");
        let mut unknown = row;
        unknown[8] = Value::Null;
        assert!(key_of(&unknown).is_none(), "a key without a date");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(one_of("user_name", &["o'neil".into(), "b".into()]).as_deref(), Some("user_name in ('o''neil', 'b')"));
        assert_eq!(one_of("user_name", &[]), None);
        let sql = ACCESS_KEYS.sql(&["a".into()], &[], &["x -- y".into()]);
        assert!(
            sql.contains("where\n    u.name in ('a')\n)\nselect") && sql.contains("coalesce((\nx -- y\n)::bool, false) as chosen"),
            "{sql}"
        );
    }
}
