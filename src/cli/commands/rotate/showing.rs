//! Plans and outcomes as tables.

use crate::commands::list;
use crate::console::Console;
use crate::exit::Failed;
use crate::output::{Format, Look};
use assay_rotation::run::ItemReport;
use assay_rotation::{AccessKeyItem, LastUse, Plan, Step, StorageAction, StorageItem};
use chrono::{DateTime, Utc};
use std::io::Write;

/// A plan: what would be done, then what is left alone. Of what could not be seen (`incomplete`) nothing is said.
pub(super) fn plan(console: Console, look: Look, plan: &Plan, incomplete: bool) -> Result<(), Failed> {
    if plan.is_empty() && incomplete {
        console.note(&format!("of what could be seen, no key is older than {} and may be rotated", plan.older_than));
    } else if plan.is_empty() {
        console.note(&format!("no key is older than {} and may be rotated: there is nothing to do", plan.older_than));
    } else if plan.storage_accounts.is_empty() {
        access_keys(look, plan)?;
    } else {
        storage(look, plan)?;
    }
    if !plan.left_alone.is_empty() {
        if look.format == Format::Table {
            write!(std::io::stdout(), "\nleft alone:\n").map_err(|e| Failed::stdout(&e))?;
            left_alone(look, plan)?;
        } else {
            // One result a file: the others go where people look.
            for left in &plan.left_alone {
                console.note(&format!("left alone: {} {}: {}", left.owner, left.key.as_deref().unwrap_or_default(), left.because));
            }
        }
    }
    Ok(())
}

fn access_keys(look: Look, plan: &Plan) -> Result<(), Failed> {
    let row = |k: &AccessKeyItem| {
        vec![
            k.account_id.clone(),
            k.user.clone(),
            k.user_id.clone(),
            k.key.clone(),
            k.age_days.to_string(),
            format!("{:?}", k.status),
            k.last_used.as_ref().map_or_else(|| "never".to_owned(), last_use),
            steps(k.steps.iter()),
        ]
    };
    let rows: Vec<Vec<String>> = plan.access_keys.iter().map(row).collect();
    list::print(look, &["account_id", "user_name", "user_id", "access_key_id", "age_days", "status", "last_used", "steps"], &rows)
}

fn storage(look: Look, plan: &Plan) -> Result<(), Failed> {
    let when = |at: &Option<DateTime<Utc>>| at.map_or_else(|| "unknown".to_owned(), minute);
    let row =
        |a: &StorageItem| vec![a.subscription_id.clone(), a.name.clone(), when(&a.key1_created), when(&a.key2_created), action(&a.action)];
    let rows: Vec<Vec<String>> = plan.storage_accounts.iter().map(row).collect();
    list::print(look, &["subscription_id", "storage_account", "key1_created", "key2_created", "action"], &rows)
}

fn left_alone(look: Look, plan: &Plan) -> Result<(), Failed> {
    let rows: Vec<Vec<String>> = plan
        .left_alone
        .iter()
        .map(|l| {
            let key = l.key.clone().unwrap_or_default();
            vec![l.account_id.clone(), l.owner.clone(), key, l.because.guard.to_string(), l.because.reason.clone(), l.instead.join("; ")]
        })
        .collect();
    list::print(look, &["account_id", "owner", "key", "guard", "reason", "instead"], &rows)
}

/// What would be done to each item of a plan now, on stderr: it is a question, not the answer.
pub(super) fn preview(look: Look, plan: &Plan, asked: &[Step], items: &[ItemReport]) -> Result<(), Failed> {
    let asked = Step::whole(asked);
    let row = |i: &ItemReport| {
        let stopped = i.refusal.is_some() || i.error.is_some();
        let what = if stopped { "nothing".to_owned() } else { work(plan, &asked, &i.item) };
        vec![i.account_id.clone(), i.owner.clone(), short(&i.item), what, why(i)]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let mut out = std::io::stderr();
    list::write(look, &["account_id", "owner", "key", "will_be_done", "why_not_or_when"], &rows, &mut out)?;
    let sink = plan.sink.as_deref().map(|sink| format!("new secrets go to {sink}; ")).unwrap_or_default();
    let waits = format!("{sink}grace period {}, settle period {}", plan.grace, plan.settle);
    writeln!(out, "{waits}").map_err(|e| Failed::stdout(&e))
}

/// The steps of an item that were asked for, or its action.
fn work(plan: &Plan, asked: &[Step], item: &str) -> String {
    let key = plan.access_keys.iter().find(|k| k.key == item);
    let account = plan.storage_accounts.iter().find(|a| a.id == item);
    match (key, account) {
        (Some(key), _) => steps(key.steps.iter().filter(|s| asked.contains(s))),
        (None, Some(account)) if asked.iter().any(|s| s.replaces()) => action(&account.action),
        _ => String::new(),
    }
}

/// Where each item stands.
pub(super) fn items(look: Look, items: &[ItemReport]) -> Result<(), Failed> {
    items_to(look, items, &mut std::io::stdout())
}

/// The same, to where it is to go.
pub(super) fn items_to(look: Look, items: &[ItemReport], out: &mut dyn Write) -> Result<(), Failed> {
    let row = |i: &ItemReport| {
        vec![i.account_id.clone(), i.owner.clone(), short(&i.item), i.new_key.clone().unwrap_or_default(), i.state.to_string(), why(i)]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    list::write(look, &["account_id", "owner", "key", "new_key", "state", "next"], &rows, out)
}

/// A resource id by its last part.
fn short(item: &str) -> String {
    item.rsplit('/').next().unwrap_or(item).to_owned()
}

/// Why an item stands where it stands, or what comes next.
fn why(item: &ItemReport) -> String {
    let until = item.until.map(|at| match item.before {
        Some(act) => format!("{act} from {}", minute(at)),
        None => format!("goes on from {}", minute(at)),
    });
    let refused = item.refusal.as_ref().map(ToString::to_string);
    [refused, item.error.clone(), item.needs.clone(), until].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn last_use(use_: &LastUse) -> String {
    let place = [use_.service.as_deref(), use_.region.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if place.is_empty() { minute(use_.at) } else { format!("{} {place}", minute(use_.at)) }
}

/// `2024-03-05 10:00 UTC`
pub(super) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn steps<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    steps.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn action(action: &StorageAction) -> String {
    match action {
        StorageAction::RotateKeys => "rotate both keys, one after the other".to_owned(),
        StorageAction::ExpirationPolicy { days } => format!("set the key expiration period to {days} days"),
        StorageAction::DisableSharedKey => "turn shared-key access off".to_owned(),
    }
}
