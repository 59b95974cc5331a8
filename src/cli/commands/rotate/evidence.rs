//! Before and after: the control that finds old keys, evaluated for the owners of the touched keys alone.

use crate::exit::Failed;
use crate::runner::EngineRunner;
use assay_compliance::{Library, SqlArg, SqlRunner, Value};
use assay_rotation::Plan;
use serde::Serialize;
use std::collections::BTreeSet;

/// A control, the table it reads, and the columns that name owner and account there.
struct Judge {
    control: &'static str,
    table: &'static str,
    owner: &'static str,
    account: &'static str,
}

const ACCESS_KEYS: Judge =
    Judge { control: "iam_user_access_key_age_90", table: "aws_iam_access_key", owner: "user_name", account: "account_id" };
const STORAGE: Judge = Judge {
    control: "azure_storage_account_key_age",
    table: "azure_storage_account_key",
    owner: "storage_account_name",
    account: "subscription_id",
};

/// A verdict of a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Evaluates the controls for the owners in a plan. One that cannot be evaluated gives the reason as an error.
pub(super) async fn verdicts(runner: &EngineRunner, library: &Library, plan: &Plan) -> Result<Vec<Verdict>, Failed> {
    let keys: BTreeSet<(&str, &str)> = plan.access_keys.iter().map(|k| (k.user.as_str(), k.account_id.as_str())).collect();
    let accounts: BTreeSet<(&str, &str)> =
        plan.storage_accounts.iter().map(|a| (a.name.as_str(), a.subscription_id.as_str())).collect();
    let mut all = Vec::new();
    for (judge, owners) in [(&ACCESS_KEYS, keys), (&STORAGE, accounts)] {
        if !owners.is_empty() {
            all.extend(evaluate(runner, library, judge, &owners, plan.older_than.in_days()).await?);
        }
    }
    Ok(all)
}

async fn evaluate(
    runner: &EngineRunner,
    library: &Library,
    judge: &Judge,
    owners: &BTreeSet<(&str, &str)>,
    days: i64,
) -> Result<Vec<Verdict>, Failed> {
    let query = library.query(judge.control)?;
    let args = [SqlArg { name: "max_age_days".into(), value: days.max(1).into() }];
    let answer = runner.run(&narrowed(judge, owners, &query.sql), &args).await.map_err(|e| {
        Failed::new(crate::exit::Exit::Incomplete, format!("{}: {}", judge.control, e.message)).maybe_hint(e.hint)
    })?;
    if let Some(failure) = answer.failures.first() {
        return Err(Failed::new(crate::exit::Exit::Incomplete, format!("{}: {}", judge.control, failure.message)));
    }
    let place = |name: &str| answer.columns.iter().position(|c| c.name == name);
    let (Some(resource), Some(status), Some(reason)) = (place("resource"), place("status"), place("reason")) else {
        return Err(Failed::internal(&format!("{} has no resource, status or reason", judge.control)));
    };
    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
    let mut verdicts: Vec<Verdict> = answer
        .rows
        .iter()
        .map(|row| Verdict {
            control: judge.control,
            resource: text(&row[resource]),
            status: text(&row[status]),
            reason: text(&row[reason]),
        })
        .collect();
    verdicts.sort_by(|a, b| (&a.resource, &a.status).cmp(&(&b.resource, &b.status)));
    Ok(verdicts)
}

/// The control's statement over the owners' rows only: a WITH query of the table's own name stands before the table.
fn narrowed(judge: &Judge, owners: &BTreeSet<(&str, &str)>, sql: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let names: BTreeSet<String> = owners.iter().map(|(owner, _)| quoted(owner)).collect();
    let accounts: BTreeSet<String> = owners.iter().map(|(_, account)| quoted(account)).collect();
    let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
    let with = format!(
        "with {table} as (select * from {table} where {owner} in ({}) and {account} in ({}))",
        list(names),
        list(accounts),
        table = judge.table,
        owner = judge.owner,
        account = judge.account,
    );
    let sql = sql.trim_start();
    match sql.get(..4).filter(|word| word.eq_ignore_ascii_case("with")) {
        Some(_) => format!("{with},{}", &sql[4..]),
        None => format!("{with}\n{sql}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_narrowed_to_owners() {
        let owners = [("o'neil", "1"), ("b", "1")].into();
        let with = "with aws_iam_access_key as (select * from aws_iam_access_key where user_name in ('b', 'o''neil') and account_id in ('1'))";
        assert_eq!(narrowed(&ACCESS_KEYS, &owners, "select 1"), format!("{with}\nselect 1"));
        assert_eq!(narrowed(&ACCESS_KEYS, &owners, " WITH a as (select 1) select 2"), format!("{with}, a as (select 1) select 2"));
    }
}
