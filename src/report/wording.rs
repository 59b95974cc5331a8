//! Sentences and facts that several formats share, unescaped.

use assay_compliance::{CallCounts, Completeness, ControlResult, Counts, Gap, GroupResult, OlderPart, RunResult, RunState, Status};
use std::collections::BTreeSet;

/// `1 control`, `2 controls`.
pub(crate) fn plural(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `22 of 64 controls evaluated, 42 not implemented`.
pub(crate) fn coverage(group: &GroupResult) -> String {
    let c = group.coverage();
    let mut text = format!("{} of {} evaluated", c.evaluated, plural(c.total, "control"));
    if c.not_implemented > 0 {
        text.push_str(&format!(", {} not implemented", c.not_implemented));
    }
    let cancelled = c.total - c.evaluated - c.not_implemented;
    if cancelled > 0 {
        text.push_str(&format!(", {cancelled} cancelled"));
    }
    text
}

/// `3 accounts, 2 subscriptions, 17 regions`; global services are no region.
pub(crate) fn asked(completeness: &Completeness) -> String {
    let noun = |account: &Option<String>| account.as_ref().and_then(|id| completeness.nouns.get(id)).copied().unwrap_or("account");
    let accounts: BTreeSet<_> =
        completeness.scopes.iter().map(|(connection, account, _)| (noun(account), account.as_deref().ok_or(connection))).collect();
    let regions: BTreeSet<_> =
        completeness.scopes.iter().map(|(.., region)| region.as_str()).filter(|r| !matches!(*r, "global" | "")).collect();
    let mut parts = Vec::new();
    // A tenant is there beside its subscriptions, and says no more.
    for noun in ["account", "subscription"] {
        let count = accounts.iter().filter(|(n, _)| *n == noun).count();
        if count > 0 {
            parts.push(plural(count, noun));
        }
    }
    if !regions.is_empty() {
        parts.push(plural(regions.len(), "region"));
    }
    parts.join(", ")
}

/// One sentence on whether the data is whole.
pub(crate) fn completeness(result: &RunResult) -> String {
    let c = &result.completeness;
    let scopes = plural(c.scopes.len(), "scope");
    match (result.cancelled, c.gaps.len()) {
        (true, 0) => "INCOMPLETE: the run was cancelled".to_owned(),
        (true, n) => format!("INCOMPLETE: the run was cancelled, and {} failed in {scopes}", plural(n, "call")),
        (false, 0) => format!("complete: no call failed in {scopes}"),
        (false, n) => format!("INCOMPLETE: {} failed in {scopes}; results that could be affected are errors", plural(n, "call")),
    }
}

/// Parts that are named one by one; the others are counted.
const OLDER: usize = 8;

/// What is older than the run, a line each: `aws_iam_user of account 111122223333 as of 2024-03-05 10:11:12Z, from the cache`.
pub(crate) fn older(result: &RunResult) -> Vec<String> {
    let all = &result.completeness.older;
    let mut lines: Vec<String> = all.iter().take(OLDER).map(older_part).collect();
    if let Some(more) = all.len().checked_sub(OLDER).filter(|more| *more > 0) {
        lines.push(format!("and {more} more that are older than the run"));
    }
    lines
}

fn older_part(part: &OlderPart) -> String {
    let whose = match &part.account {
        Some(account) => format!("{} {account}", part.noun),
        None => format!("connection {}", part.connection),
    };
    let later = if part.or_later { " or later" } else { "" };
    format!("{} of {whose} as of {}{later}, from the {}", part.table, part.at.format("%Y-%m-%d %H:%M:%SZ"), part.source)
}

/// Where a failed call was to go: `aws_s3_bucket, account 111122223333, eu-west-1`.
pub(crate) fn gap_place(gap: &Gap) -> String {
    let f = &gap.failure;
    let mut text = f.table.clone();
    match &f.account {
        Some(account) => text.push_str(&format!(", {} {account}", f.noun)),
        None => text.push_str(&format!(", connection {}", f.connection)),
    }
    for part in [&f.region, &f.row].into_iter().flatten() {
        text.push_str(&format!(", {part}"));
    }
    text
}

/// What failed: its message, with the code where the message lacks it.
pub(crate) fn gap_message(gap: &Gap) -> String {
    let f = &gap.failure;
    if f.message.contains(&f.code) { f.message.clone() } else { format!("{}: {}", f.code, f.message) }
}

/// `143 calls, 1240 answers reused, 2 retries`.
pub(crate) fn calls(c: &CallCounts) -> String {
    let mut text = format!("{} call{}, {} answer{} reused", c.calls, s(c.calls), c.cache_hits, s(c.cache_hits));
    if c.retries > 0 {
        text.push_str(&format!(", {} retr{}", c.retries, if c.retries == 1 { "y" } else { "ies" }));
    }
    if c.throttles > 0 {
        text.push_str(&format!(", {} throttled", c.throttles));
    }
    text
}

fn s(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// `0 error, 57 alarm, 12 info, 240 ok, 9 skip`.
pub(crate) fn totals(counts: &Counts) -> String {
    Status::ALL.map(|s| format!("{} {s}", counts.of(s))).join(", ")
}

/// The run's clock, to the second.
pub(crate) fn time(result: &RunResult) -> String {
    result.time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The run's clock for people.
pub(crate) fn minute(result: &RunResult) -> String {
    result.time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// One word for a control.
pub(crate) fn verdict(control: &ControlResult) -> &'static str {
    match &control.findings.state {
        RunState::NotImplemented(_) => "not implemented",
        RunState::Cancelled => "cancelled",
        state if state.error().is_some() => "error",
        _ => control.findings.summary.worst().map_or("no resources", Status::as_str),
    }
}

/// The severity, empty where nothing is known of the control yet.
pub(crate) fn severity(control: &ControlResult) -> &'static str {
    if control.not_implemented() { "" } else { control.facts.severity.as_str() }
}

/// Controls without a query, each once, in order.
pub(crate) fn not_implemented(result: &RunResult) -> Vec<&ControlResult> {
    let mut seen = BTreeSet::new();
    result.root.controls().into_iter().filter(|c| c.not_implemented() && seen.insert(&c.facts.id)).collect()
}

/// The title of a report: the only target's, or how many there are.
pub(crate) fn title(result: &RunResult) -> String {
    use assay_compliance::ResultChild::{Control, Group};
    match result.root.children.as_slice() {
        [Group(g)] => g.title.clone(),
        [Control(c)] => c.facts.title.clone(),
        many => format!("{} of assay", plural(many.len(), "result")),
    }
}
