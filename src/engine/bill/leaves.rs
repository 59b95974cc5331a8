//! The scans of a statement, planned without a call: what each can ask, and of whom.

use crate::Arg;
use crate::EngineError;
use crate::dialect;
use crate::scan::ApiScan;
use crate::schemas::{Shared, Statement};
use crate::session::Engine;
use assay_cloud::{Cloud, Scope, is_paged};
use assay_tables::{CallGroup, CallPlan, ScopeKind};
use datafusion::physical_plan::ExecutionPlan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One scan.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) table: String,
    pub(super) scope: ScopeKind,
    pub(super) scopes: Vec<Scope>,
    /// Connections that are asked.
    pub(super) connections: BTreeSet<Arc<str>>,
    /// Some of the scopes stand in for those that nobody has listed yet.
    pub(super) assumed: bool,
    /// How many groups of scopes share the calls that are made once for all.
    pub(super) shared: usize,
    /// What it asks as far as that is known; a parent comes before its children.
    pub(super) groups: Vec<CallGroup>,
    /// What it may ask instead, once values of other tables are there.
    pub(super) others: Vec<CallGroup>,
    /// Columns that it is asked by, with values of other tables.
    pub(super) bound_by: Vec<String>,
    /// Who the account is must be known.
    pub(super) identity: bool,
    pub(super) secrets: Vec<String>,
    pub(super) limited: bool,
}

impl Leaf {
    /// Is everything known that a run without calls needs to know of the scopes?
    pub(super) fn is_known(&self) -> bool {
        !self.assumed && self.scopes.iter().all(|scope| scope.account.known_identity().is_some())
    }

    /// Is every call one that takes no list and depends on no other?
    pub(super) fn is_by_key(&self) -> bool {
        let plain = |group: &CallGroup| {
            let paged = group.lists && is_paged(&group.service, &group.operation);
            group.per == assay_tables::Per::Walk && !group.polled && !group.fallback && !paged
        };
        !self.assumed && self.bound_by.is_empty() && self.groups.iter().all(plain)
    }
}

/// Secret columns of all scans.
pub(super) fn secrets(leaves: &[Leaf]) -> Vec<String> {
    let all: BTreeSet<String> = leaves.iter().flat_map(|leaf| leaf.secrets.iter().map(|c| format!("{}.{c}", leaf.table))).collect();
    all.into_iter().collect()
}

impl Engine {
    /// The same engine over another handle.
    pub(super) fn over(&self, cloud: Cloud) -> Engine {
        Engine { shared: Arc::new(Shared { cloud, ..(*self.shared).clone() }) }
    }

    /// The scans of a statement. To be asked of an engine that makes no call.
    pub(super) async fn leaves(&self, sql: &str, args: &[Arg]) -> Result<Vec<Leaf>, EngineError> {
        dialect::depth::Deep::new(async {
            let statement = Statement::new(Arc::clone(&self.shared));
            let session = statement.session(&self.shared.default_schema);
            let plan = dialect::plan(&session, sql, args).await?;
            let plan = session.create_physical_plan(&plan).await?;
            let mut leaves = Vec::new();
            walk(&plan, &mut leaves)?;
            let assumed = statement.log.assumed_scopes();
            leaves.iter_mut().for_each(|leaf| leaf.assumed |= assumed.contains(&leaf.table));
            Ok(leaves)
        })
        .await
    }
}

fn walk(plan: &Arc<dyn ExecutionPlan>, out: &mut Vec<Leaf>) -> Result<(), EngineError> {
    dialect::depth::deep(|| {
        if let Some(scan) = plan.downcast_ref::<ApiScan>() {
            out.extend(leaves_of(scan));
        }
        plan.children().into_iter().try_for_each(|child| walk(child, out))
    })
}

/// A leaf for the scopes that a shared summary answers, and one for those that it does not.
fn leaves_of(scan: &ApiScan) -> Vec<Leaf> {
    let (chooser, plans) = (scan.chooser(), scan.chooser().plans());
    let scopes = scan.spec().scopes.iter().cloned();
    let calls = chooser.summary.as_ref().map_or(0, |plan| plan.shared_calls());
    if calls == 0 {
        return vec![leaf(scan, scopes.collect(), 0, &plans)];
    }
    let (together, alone): (Vec<Scope>, Vec<Scope>) = scopes.partition(|scope| chooser.summary_of(scope).is_some());
    let mut listed = plans.clone();
    listed.rotate_left(1);
    let mut leaves = Vec::new();
    if !together.is_empty() {
        leaves.push(leaf(scan, together, chooser.together.groups(calls), &plans));
    }
    if !alone.is_empty() || leaves.is_empty() {
        leaves.push(leaf(scan, alone, 0, &listed));
    }
    leaves
}

/// `plans`: those that it may follow, the likeliest first.
fn leaf(scan: &ApiScan, scopes: Vec<Scope>, shared: usize, plans: &[Arc<CallPlan>]) -> Leaf {
    let spec = scan.spec();
    let mut trees = plans.iter().map(|plan| plan.tree()).collect::<Vec<_>>().into_iter();
    let of_plans = |read: &dyn Fn(&CallPlan) -> bool| plans.iter().any(|plan| read(plan));
    Leaf {
        table: spec.table.name.clone(),
        scope: spec.table.scope,
        connections: scopes.iter().map(|scope| Arc::clone(&scope.account.connection)).collect(),
        scopes,
        assumed: false,
        shared,
        groups: trees.next().unwrap_or_default(),
        others: trees.flatten().collect(),
        bound_by: scan.bound_by().into_iter().map(str::to_owned).collect(),
        identity: of_plans(&CallPlan::needs_identity),
        secrets: plans.iter().flat_map(|plan| plan.secret_columns()).collect::<BTreeSet<_>>().into_iter().collect(),
        limited: spec.limit.is_some(),
    }
}
