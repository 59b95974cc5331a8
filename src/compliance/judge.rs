//! From an answer to findings: rows are validated, and the completeness contract is applied.
//!
//! The contract: a row whose account and region are incomplete in any table the query read becomes `error`, whatever it said; where rows do
//! not say their account, the whole control does; a scope that failed and left no row is represented by one. A subscription is an account
//! like any other; a row of a tenant depends on all its subscriptions, and these on their tenant.

use crate::{Answer, Counts, Findings, ResultRow, RunState, ScopeFailure, SqlError, SqlErrorKind, Status, TableScopes, Unknown, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The dimensions that say whose row it is: of a row that has several, the first that is not empty counts.
const ACCOUNTS: [&str; 2] = ["account_id", "subscription_id"];
/// The dimension of rows that belong to a tenant as a whole.
const TENANT: &str = "tenant_id";
/// What a scope is of, unless its table says otherwise.
pub(crate) const NOUN_ACCOUNT: &str = "account";
const NOUN_TENANT: &str = "tenant";
/// The dimension that says where it is.
const REGION: &str = "region";
/// The region of global services.
const GLOBAL: &str = "global";

/// Findings of a statement that failed as a whole.
pub(crate) fn failed(error: &SqlError, duration: Duration) -> Findings {
    let text = match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    };
    let state = match error.kind {
        SqlErrorKind::Cloud => RunState::Unreachable(text),
        SqlErrorKind::Internal => RunState::Failed(format!("internal error: {text}")),
        SqlErrorKind::Statement | SqlErrorKind::Data => RunState::Failed(text),
    };
    without_rows(state, duration)
}

/// Findings without rows; one error is counted where the state is one.
pub(crate) fn without_rows(state: RunState, duration: Duration) -> Findings {
    let summary = Counts { error: u64::from(state.error().is_some()), ..Counts::default() };
    Findings { state, rows: Vec::new(), summary, duration }
}

/// Findings of an answer.
pub(crate) fn judge(answer: &Answer, duration: Duration) -> Findings {
    let layout = match Layout::of(answer) {
        Ok(layout) => layout,
        Err(message) => return without_rows(RunState::Failed(message), duration),
    };
    let mut rows = Vec::with_capacity(answer.rows.len());
    for (i, row) in answer.rows.iter().enumerate() {
        match layout.row(row, i) {
            Ok(row) => rows.push(row),
            Err(message) => return without_rows(RunState::Failed(message), duration),
        }
    }
    let state = layout.apply_contract(&mut rows, answer);
    rows.sort_unstable_by(|a, b| {
        (a.status, &a.resource, &a.reason, &a.dimensions, a.unknown).cmp(&(b.status, &b.resource, &b.reason, &b.dimensions, b.unknown))
    });
    let mut summary = Counts::default();
    for row in &rows {
        summary.add(row.status);
    }
    if rows.is_empty() && state.error().is_some() {
        summary.error = 1;
    }
    Findings { state, rows, summary, duration }
}

/// Where the columns of an answer are.
struct Layout {
    resource: usize,
    status: usize,
    reason: usize,
    /// Name and position.
    dimensions: Vec<(Arc<str>, usize)>,
}

impl Layout {
    fn of(answer: &Answer) -> Result<Layout, String> {
        let find = |name: &str| {
            let mut hits = answer.columns.iter().enumerate().filter(|(_, c)| c.name == name);
            match (hits.next(), hits.next()) {
                (Some((i, _)), None) => Ok(i),
                (Some(_), Some(_)) => Err(format!("the query gives column '{name}' twice")),
                (None, _) => {
                    let names: Vec<&str> = answer.columns.iter().map(|c| c.name.as_str()).collect();
                    Err(format!(
                        "the query gives no column '{name}': a control needs resource, status and reason, it has {}",
                        names.join(", ")
                    ))
                }
            }
        };
        let (resource, status, reason) = (find("resource")?, find("status")?, find("reason")?);
        let mut dimensions: Vec<(Arc<str>, usize)> = Vec::new();
        for (i, column) in answer.columns.iter().enumerate() {
            if ![resource, status, reason].contains(&i) && !dimensions.iter().any(|(n, _)| **n == *column.name) {
                dimensions.push((Arc::from(column.name.as_str()), i));
            }
        }
        Ok(Layout { resource, status, reason, dimensions })
    }

    fn row(&self, row: &[Value], number: usize) -> Result<ResultRow, String> {
        let cell = |i: usize| row.get(i).map(text).unwrap_or_default();
        let (resource, word) = (cell(self.resource), cell(self.status));
        let Some(status) = Status::parse(&word) else {
            let what = if matches!(row.get(self.status), None | Some(Value::Null)) {
                "status is null".to_owned()
            } else {
                format!("status '{word}'")
            };
            let known = "one of ok, alarm, info, skip, error";
            return Err(format!("{what} is not {known} (row {}, resource '{resource}')", number + 1));
        };
        let dimensions = self.dimensions.iter().map(|(name, i)| (name.clone(), cell(*i))).collect();
        Ok(ResultRow { status, resource, reason: cell(self.reason), dimensions, unknown: None })
    }

    fn apply_contract(&self, rows: &mut Vec<ResultRow>, answer: &Answer) -> RunState {
        if answer.failures.is_empty() {
            return RunState::Complete;
        }
        let failures: Vec<Touched<'_>> = answer.failures.iter().map(|f| Touched::of(f, &answer.tables)).collect();
        let carries_account = self.dimensions.iter().any(|(n, _)| ACCOUNTS.contains(&&**n) || **n == *TENANT);
        let mut represented = vec![false; failures.len()];
        for row in rows.iter_mut() {
            let (owner, region) = (Owner::of(row), dimension(row, REGION));
            let mut touching = Vec::new();
            for (i, f) in failures.iter().enumerate() {
                if !carries_account || f.touches(owner, region) {
                    // A row of nobody in particular does not show that the scope gave rows.
                    represented[i] |= !carries_account || owner != Owner::Nobody;
                    touching.push(f.failure);
                }
            }
            if !touching.is_empty() {
                // A failed call for this very row says more than one for its neighbour.
                let own = touching.iter().position(|f| f.row.as_deref().is_some_and(|key| row.resource.contains(key)));
                touching.swap(0, own.unwrap_or(0));
                row.reason = format!("unknown: {} (was {}: {})", missing(&touching), row.status, row.reason);
                row.unknown = Some(Unknown::Was(row.status));
                row.status = Status::Error;
            }
        }
        let mut silent: BTreeMap<Scope<'_>, Vec<&ScopeFailure>> = BTreeMap::new();
        for (f, _) in failures.iter().zip(&represented).filter(|(_, seen)| !**seen) {
            silent.entry(Scope::of(f.failure)).or_default().push(f.failure);
        }
        rows.extend(silent.into_iter().map(|(scope, failures)| self.stand_in(scope, &failures)));
        if carries_account {
            return RunState::Complete;
        }
        let all: Vec<&ScopeFailure> = answer.failures.iter().collect();
        RunState::Incomplete(format!("incomplete data, and the rows do not say their account: {}", missing(&all)))
    }

    /// The column for the id of an account, subscription or tenant: its own, or else the one that says whose rows they are.
    fn owner_dimension(&self, noun: &str) -> &str {
        let has = |name: &str| self.dimensions.iter().any(|(n, _)| **n == *name);
        let own = [("account", ACCOUNTS[0]), ("subscription", ACCOUNTS[1]), ("tenant", TENANT)].into_iter().find(|(n, _)| *n == noun);
        let own = own.map(|(_, name)| name).filter(|name| has(name));
        // Controls may give a subscription as account_id; a tenant is no account.
        own.or_else(|| ACCOUNTS.into_iter().find(|name| noun != NOUN_TENANT && has(name))).unwrap_or_default()
    }

    /// The row of a scope that gave none.
    fn stand_in(&self, scope: Scope<'_>, failures: &[&ScopeFailure]) -> ResultRow {
        let dimensions = self
            .dimensions
            .iter()
            .map(|(name, _)| {
                let value = if **name == *self.owner_dimension(scope.noun) {
                    scope.account
                } else if **name == *REGION {
                    scope.region
                } else {
                    None
                };
                (name.clone(), value.unwrap_or_default().to_owned())
            })
            .collect();
        let reason = format!("unknown: {}", missing(failures));
        ResultRow { status: Status::Error, resource: scope.name(), reason, dimensions, unknown: Some(Unknown::NoRow) }
    }
}

/// Whose row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner<'a> {
    /// An account or subscription.
    Account(&'a str),
    /// A tenant as a whole.
    Tenant(&'a str),
    /// The row does not say.
    Nobody,
}

impl<'a> Owner<'a> {
    fn of(row: &'a ResultRow) -> Owner<'a> {
        let said = |name: &str| Some(dimension(row, name)).filter(|id| !id.is_empty());
        let account = ACCOUNTS.iter().find_map(|name| said(name)).map(Owner::Account);
        account.or_else(|| said(TENANT).map(Owner::Tenant)).unwrap_or(Owner::Nobody)
    }
}

/// A failure with the accounts it can touch.
struct Touched<'a> {
    failure: &'a ScopeFailure,
    accounts: Vec<&'a str>,
}

impl<'a> Touched<'a> {
    /// Where the failed call's account is not known, every account known behind its connection can be meant; what a tenant did not tell
    /// can concern every subscription of it.
    fn of(failure: &'a ScopeFailure, tables: &'a [TableScopes]) -> Touched<'a> {
        let mut accounts: Vec<&str> = failure.account.as_deref().into_iter().collect();
        if accounts.is_empty() || failure.noun == NOUN_TENANT {
            let scopes = tables.iter().flat_map(|t| &t.scopes);
            let behind = scopes.filter(|(connection, ..)| *connection == failure.connection);
            accounts.extend(behind.filter_map(|(_, account, _)| account.as_deref()));
        }
        Touched { failure, accounts }
    }

    /// A row without an account can be anybody's; one without a region, or a global one, depends on the whole account; so does a row of
    /// any region on a global service.
    fn touches(&self, owner: Owner<'_>, region: &str) -> bool {
        let everywhere = |r: &str| r.is_empty() || r == GLOBAL;
        let same_account = match owner {
            Owner::Nobody => true,
            Owner::Account(account) => self.accounts.contains(&account),
            // Which of the subscriptions are the tenant's is not known here.
            Owner::Tenant(tenant) => self.failure.noun != NOUN_TENANT || self.accounts.contains(&tenant),
        };
        same_account && (everywhere(region) || self.failure.region.as_deref().is_none_or(|r| everywhere(r) || r == region))
    }
}

/// What a stand-in row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scope<'a> {
    noun: &'static str,
    account: Option<&'a str>,
    region: Option<&'a str>,
    /// Only where the account is not known.
    connection: Option<&'a str>,
}

impl<'a> Scope<'a> {
    fn of(f: &'a ScopeFailure) -> Scope<'a> {
        let connection = f.account.is_none().then_some(f.connection.as_str());
        Scope { noun: f.noun, account: f.account.as_deref(), region: f.region.as_deref(), connection }
    }

    fn name(self) -> String {
        let mut name = match (self.account, self.connection) {
            (Some(account), _) => format!("{} {account}", self.noun),
            (None, connection) => format!("connection {}", connection.unwrap_or_default()),
        };
        if let Some(region) = self.region.filter(|r| *r != GLOBAL) {
            name.push_str(" region ");
            name.push_str(region);
        }
        name
    }
}

/// The first failure, and how many more there are.
fn missing(failures: &[&ScopeFailure]) -> String {
    let Some(first) = failures.first() else { return String::new() };
    let mut text = if first.message.contains(&first.code) { first.message.clone() } else { format!("{} {}", first.code, first.message) };
    if let Some(row) = first.row.as_deref().filter(|row| !text.contains(row)) {
        text.push_str(" for ");
        text.push_str(row);
    }
    if failures.len() > 1 {
        text.push_str(&format!(", and {} more failed calls", failures.len() - 1));
    }
    text
}

fn dimension<'a>(row: &'a ResultRow, name: &str) -> &'a str {
    row.dimensions.iter().find(|(n, _)| **n == *name).map_or("", |(_, v)| v)
}

/// PostgreSQL's text of a scalar; JSON compact, NULL empty.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Double(d) if d.is_nan() => "NaN".to_owned(),
        Value::Double(d) if d.is_infinite() => if *d > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Value::Double(d) => d.to_string(),
        Value::Text(t) => t.clone(),
        Value::Json(j) => j.to_string(),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
