//! Before and after: the control that finds old keys, evaluated for the owners of the touched keys alone.

use super::failed;
use crate::exit::{Exit, Failed};
use crate::runner::EngineRunner;
use assay_compliance::{Library, SqlArg, SqlRunner, Value};
use assay_rotation::{Plan, StorageAction};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A control, the tables it reads, and the columns that name owner and account there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Judge {
    control: &'static str,
    /// Each with the column of the owner.
    tables: &'static [(&'static str, &'static str)],
    account: &'static str,
}

const ACCESS_KEYS: Judge =
    Judge { control: "iam_user_access_key_age_90", tables: &[("aws_iam_access_key", "user_name")], account: "account_id" };

const STORAGE_KEY: (&str, &str) = ("azure_storage_account_key", "storage_account_name");
const STORAGE: (&str, &str) = ("azure_storage_account", "name");

/// The control that an action on a storage account is to satisfy.
fn judge_of(action: &StorageAction) -> &'static Judge {
    const AGE: Judge = Judge { control: "azure_storage_account_key_age", tables: &[STORAGE_KEY], account: "subscription_id" };
    const POLICY: Judge = Judge { control: "azure_storage_account_key_expiration_policy", tables: &[STORAGE], account: "subscription_id" };
    const SHARED: Judge =
        Judge { control: "azure_storage_account_shared_key_access_disabled", tables: &[STORAGE, STORAGE_KEY], account: "subscription_id" };
    match action {
        StorageAction::RotateKeys => &AGE,
        StorageAction::ExpirationPolicy { .. } => &POLICY,
        StorageAction::DisableSharedKey => &SHARED,
    }
}

/// A verdict of a control.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Verdict {
    /// The control.
    pub(super) control: &'static str,
    /// The resource.
    pub(super) resource: String,
    /// `ok`, `alarm` …
    pub(super) status: String,
    /// Why.
    pub(super) reason: String,
}

/// Owner and account.
type Owner<'p> = (&'p str, &'p str);

/// Evaluates the controls for the owners in a plan, connection by connection.
///
/// # Errors
/// The first control that could not be evaluated wholly.
pub(super) async fn verdicts(runner: &EngineRunner, library: &Library, plan: &Plan) -> Result<Vec<Verdict>, Failed> {
    let keys = plan.access_keys.iter().map(|k| (&ACCESS_KEYS, &k.connection, (k.user.as_str(), k.account_id.as_str())));
    let accounts = plan.storage_accounts.iter();
    let accounts = accounts.map(|a| (judge_of(&a.action), &a.connection, (a.name.as_str(), a.subscription_id.as_str())));
    let mut asked: BTreeMap<(&Judge, &String), BTreeSet<Owner<'_>>> = BTreeMap::new();
    for (judge, connection, owner) in keys.chain(accounts) {
        asked.entry((judge, connection)).or_default().insert(owner);
    }
    let mut all = Vec::new();
    for ((judge, connection), owners) in asked {
        all.extend(evaluate(runner, library, judge, connection, &owners, plan.older_than.in_days()).await?);
    }
    all.sort();
    Ok(all)
}

async fn evaluate(
    runner: &EngineRunner,
    library: &Library,
    judge: &Judge,
    connection: &str,
    owners: &BTreeSet<Owner<'_>>,
    days: i64,
) -> Result<Vec<Verdict>, Failed> {
    let query = library.query(judge.control)?;
    let args = [SqlArg { name: "max_age_days".into(), value: days.max(1).into() }];
    let told = |failed: Failed| Failed { message: format!("{}: {}", judge.control, failed.message), ..failed };
    let answer = runner.run(&narrowed(judge, connection, owners, &query.sql), &args).await.map_err(|e| told(failed(e)))?;
    if let Some(failure) = answer.failures.first() {
        return Err(told(Failed::new(Exit::Incomplete, failure.message.clone())));
    }
    let place = |name: &str| answer.columns.iter().position(|c| c.name == name);
    let (Some(resource), Some(status), Some(reason)) = (place("resource"), place("status"), place("reason")) else {
        return Err(Failed::internal(&format!("{} has no resource, status or reason", judge.control)));
    };
    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
    let verdict = |row: &Vec<Value>| Verdict {
        control: judge.control,
        resource: text(&row[resource]),
        status: text(&row[status]),
        reason: text(&row[reason]),
    };
    Ok(answer.rows.iter().map(verdict).collect())
}

/// The control's statement over the owners' rows only: WITH queries of the tables' own names stand before the tables.
fn narrowed(judge: &Judge, connection: &str, owners: &BTreeSet<Owner<'_>>, sql: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let names: BTreeSet<String> = owners.iter().map(|(owner, _)| quoted(owner)).collect();
    let accounts: BTreeSet<String> = owners.iter().map(|(_, account)| quoted(account)).collect();
    let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (names, accounts, schema) = (list(&names), list(&accounts), connection.replace('"', "\"\""));
    let with = |(table, owner): &(&str, &str)| {
        let account = judge.account;
        format!("{table} as (select * from \"{schema}\".{table} where {owner} in ({names}) and {account} in ({accounts}))")
    };
    let with = judge.tables.iter().map(with).collect::<Vec<_>>().join(", ");
    let sql = sql.trim_start();
    match sql.split_at_checked(4).filter(|(word, _)| word.eq_ignore_ascii_case("with")) {
        Some((_, rest)) => format!("with {with},{rest}"),
        None => format!("with {with}\n{sql}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_narrowed_to_owners() {
        let owners = [("o'neil", "1"), ("b", "1")].into();
        let with = "with aws_iam_access_key as (select * from \"a\"\"b\".aws_iam_access_key where user_name in ('b', 'o''neil') and account_id in ('1'))";
        assert_eq!(narrowed(&ACCESS_KEYS, "a\"b", &owners, "select 1"), format!("{with}\nselect 1"));
        let more = " WITH a as (select 1) select 2";
        assert_eq!(narrowed(&ACCESS_KEYS, "a\"b", &owners, more), format!("{with}, a as (select 1) select 2"));
    }

    #[test]
    fn every_judge_is_a_control_with_the_limit_as_its_parameter() {
        let library = Library::embedded();
        let actions = [StorageAction::RotateKeys, StorageAction::ExpirationPolicy { days: 1 }, StorageAction::DisableSharedKey];
        for judge in actions.iter().map(judge_of).chain([&ACCESS_KEYS]) {
            let query = library.query(judge.control).unwrap();
            assert!(query.sql.contains("$max_age_days"), "{}", judge.control);
            for (table, _) in judge.tables {
                assert!(query.sql.contains(table), "{} reads no {table}", judge.control);
            }
        }
    }
}
