//! Which calls a scan makes once the values of the other side are known.
//!
//! Owns: the rule, which `docs/architecture.md` states: by key where that saves calls, a list otherwise; and that no scope is asked for
//! values of another. Refuses: exactness. What comes back too much, the join leaves out.

use super::values::{Source, Tuple, Values};
use crate::EngineError;
use crate::filters::scalar;
use crate::scan::ScanSpec;
use crate::together::{Group, Together};
use assay_cloud::Scope;
use assay_tables::{CallPlan, ColumnType, Filter, PlanError, Request, Scalar, ScopeKind};
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue};
use std::collections::HashSet;
use std::sync::Arc;

/// Values that go into one plan of calls, where one column is asked by; of combinations of several columns fewer do.
const AT_ONCE: usize = 2_000;
const COMBINED_AT_ONCE: usize = 50;
/// So many values of a second feed may multiply the calls of the first.
const FEW: usize = 100;

/// So many values are asked by key rather than by a summary, which may first have to be made.
const FEW_BY_KEY: usize = 10;

/// What a value is for a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The id of the scope's account, subscription or tenant.
    Account,
    /// The scope's region.
    Region,
    /// The scope's connection.
    Connection,
    /// A column of the table, by its position there.
    Column(usize),
}

/// Values that a scan's rows are asked for by.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    /// Where they come from.
    pub(crate) source: Source,
    /// Places in a row of values, and what the value there is.
    pub(crate) columns: Vec<(usize, Fed)>,
}

/// What a scan gains from values of another side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing.
    None,
    /// A smaller list, scopes or calls per row that are not asked.
    Little,
    /// Calls for parents that nobody wants the rows of.
    Much,
    /// Without them it cannot be read.
    All,
}

/// What a scan asks, and with which values.
#[derive(Debug, Clone)]
pub(crate) struct Chooser {
    pub(crate) spec: Arc<ScanSpec>,
    /// The plan without values.
    pub(crate) list: Result<Arc<CallPlan>, PlanError>,
    /// The plan by a summary, where that saves calls and may be used.
    pub(crate) summary: Option<Arc<CallPlan>>,
    /// Scopes that a call of the summary is about, where it is about several.
    pub(crate) together: Arc<Together>,
    pub(crate) feeds: Arc<[Feed]>,
    pub(crate) now: DateTime<Utc>,
    /// A recording may have the list instead of what values ask for, and then of all values at once.
    pub(crate) replay: bool,
}

/// The walks of one scope, one after the other; none where there is nothing to ask.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// The plan by a summary: where it cannot be used, the others are walked instead.
    pub(crate) summary: Option<(Arc<CallPlan>, Option<Arc<Group>>)>,
    pub(crate) plans: Vec<Arc<CallPlan>>,
    /// How many values were asked by.
    pub(crate) values: usize,
    /// The column of these values, where what a service refuses can be looked up in the list.
    pub(crate) doubtful: Option<usize>,
}

/// The values of a feed for one scope.
struct Given {
    columns: Vec<usize>,
    rows: Vec<Vec<Scalar>>,
    /// They are this scope's own.
    scoped: bool,
}

impl Chooser {
    /// What the keys of a join are for this scan; those it can do nothing with are left out.
    pub(crate) fn uses(&self, columns: &[(usize, usize)]) -> Vec<(usize, Fed)> {
        let per_row = self.list.as_ref().is_ok_and(|list| list.asks_per_row());
        let fed = |(at, column): &(usize, usize)| {
            let position = *self.spec.projection.get(*column)?;
            let table = &self.spec.table;
            let column = table.columns.get(position)?;
            let fed = if table.is_of_scope(&column.name) {
                match column.name.as_str() {
                    "region" => Fed::Region,
                    "sp_connection_name" => Fed::Connection,
                    name if name == table.account_column() => Fed::Account,
                    _ => return None,
                }
            } else if self.is_key(position) || (per_row && column.ty == ColumnType::Text) {
                Fed::Column(position)
            } else {
                return None;
            };
            Some((*at, fed))
        };
        // A scan with a limit has to find the same rows as ever.
        if self.spec.limit.is_some() { Vec::new() } else { columns.iter().filter_map(fed).collect() }
    }

    /// What it would gain from values for these columns of its output.
    pub(crate) fn need(&self, columns: &[usize]) -> Need {
        let used = self.uses(&columns.iter().map(|column| (0, *column)).collect::<Vec<_>>());
        if used.is_empty() {
            return Need::None;
        }
        let narrowed = self.plan(self.placeholders(&used));
        match (&self.list, narrowed) {
            (Err(_), Ok(_)) => Need::All,
            (_, Err(_)) => Need::None,
            (Ok(list), Ok(narrowed)) if !list.is_one_list() && narrowed.begins_narrow() && !list.begins_narrow() => Need::Much,
            _ => Need::Little,
        }
    }

    /// Why it cannot be read, with the values it is fed.
    pub(crate) fn refusal(&self) -> Option<&PlanError> {
        let why = self.list.as_ref().err()?;
        let used: Vec<(usize, Fed)> = self.feeds.iter().flat_map(|feed| feed.columns.iter().copied()).collect();
        self.plan(self.placeholders(&used)).is_err().then_some(why)
    }

    /// Every plan it may choose, the likeliest first: a summary, by key where it is fed, the list otherwise.
    pub(crate) fn plans(&self) -> Vec<Arc<CallPlan>> {
        let used: Vec<(usize, Fed)> = self.feeds.iter().flat_map(|feed| feed.columns.iter().copied()).collect();
        let by_key = (!used.is_empty()).then(|| self.plan(self.placeholders(&used)).ok().map(Arc::new)).flatten();
        self.summary.iter().cloned().chain(by_key).chain(self.list.as_ref().ok().cloned()).collect()
    }

    /// Names of the columns it is fed by.
    pub(crate) fn fed_by(&self) -> Vec<&str> {
        let name = |fed: Fed| match fed {
            Fed::Account => self.spec.table.account_column(),
            Fed::Region => "region",
            Fed::Connection => "sp_connection_name",
            Fed::Column(at) => self.spec.table.columns[at].name.as_str(),
        };
        let mut names: Vec<&str> = Vec::new();
        for (_, fed) in self.feeds.iter().flat_map(|feed| &feed.columns) {
            let name = name(*fed);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn is_key(&self, position: usize) -> bool {
        self.placeholder(position).is_some_and(|filter| self.spec.table.uses(&filter))
    }

    fn placeholder(&self, position: usize) -> Option<Filter> {
        let column = self.spec.table.columns.get(position)?;
        let value = match column.ty {
            ColumnType::Text | ColumnType::Inet | ColumnType::Cidr => Scalar::Text("-".to_owned()),
            ColumnType::Int => Scalar::Int(0),
            ColumnType::Double => Scalar::Double(0.0),
            ColumnType::Bool => Scalar::Bool(true),
            ColumnType::Timestamp => Scalar::Timestamp(self.now),
            ColumnType::Jsonb => return None,
        };
        Some(Filter::OneOf { column: column.name.clone(), values: vec![value] })
    }

    /// One value for each column, to see what a plan would be.
    fn placeholders(&self, used: &[(usize, Fed)]) -> Vec<Filter> {
        let given = |position: usize| {
            let name = &self.spec.table.columns[position].name;
            self.spec.filters.iter().any(|filter| matches!(filter, Filter::OneOf { column, .. } if column == name))
        };
        let one = |(_, fed): &(usize, Fed)| match fed {
            // Another value than the filter's would be none at all.
            Fed::Column(position) if !given(*position) => self.placeholder(*position),
            _ => None,
        };
        used.iter().filter_map(one).collect()
    }

    fn plan(&self, more: Vec<Filter>) -> Result<CallPlan, PlanError> {
        let filters = self.spec.filters.iter().cloned().chain(more).collect();
        self.spec.table.plan(&Request { projection: self.spec.projection.clone(), filters, now: self.now })
    }

    /// The plan by a summary for one scope, and the scopes that are asked with it.
    pub(crate) fn summary_of(&self, scope: &Scope) -> Option<(Arc<CallPlan>, Option<Arc<Group>>)> {
        let plan = self.summary.as_ref()?;
        match plan.shared_calls() {
            0 => Some((Arc::clone(plan), None)),
            calls => self.together.group(scope, calls).map(|group| (Arc::clone(plan), Some(Arc::clone(group)))),
        }
    }

    /// The scan with values to come. Which scopes those leave is not known before they are there, so none are asked together.
    pub(crate) fn fed(&mut self, feed: Feed) {
        self.feeds = self.feeds.iter().cloned().chain([feed]).collect();
        self.summary.take_if(|plan| plan.shared_calls() > 0);
    }

    /// The walks of a scope.
    pub(crate) async fn choose(&self, scope: &Scope) -> Result<Chosen> {
        if self.feeds.is_empty() {
            return match &self.list {
                Ok(list) => Ok(Chosen { summary: self.summary_of(scope), plans: vec![Arc::clone(list)], ..Chosen::default() }),
                Err(why) => Err(refused(why)),
            };
        }
        let mut given: Vec<Given> = Vec::new();
        for feed in self.feeds.iter() {
            let Values::These(tuples) = feed.source.values().await? else { continue };
            let one = self.of_scope(feed, &tuples, scope).await;
            if one.rows.is_empty() {
                return Ok(Chosen::default());
            }
            given.push(one);
        }
        Ok(Chosen { summary: self.summarized(&given).map(|plan| (plan, None)), ..self.cheapest(&given)? })
    }

    /// The plan by a summary, for rows of these values alone; `None` where asking by them is fewer calls.
    fn summarized(&self, given: &[Given]) -> Option<Arc<CallPlan>> {
        self.summary.as_ref()?;
        let by_few = |given: &Given| given.rows.len() <= FEW_BY_KEY && given.columns.iter().any(|column| self.is_key(*column));
        if given.iter().any(by_few) {
            return None;
        }
        let request = Request { projection: self.spec.projection.clone(), filters: self.spec.filters.clone(), now: self.now };
        let own = self.list.as_ref().ok()?;
        let mut plan = self.spec.table.summarized(own, &request, self.spec.max_staleness)?;
        for given in given {
            narrow(&mut plan, given, &given.rows);
        }
        Some(Arc::new(plan))
    }

    /// The values of a feed that are this scope's.
    async fn of_scope(&self, feed: &Feed, tuples: &[Tuple], scope: &Scope) -> Given {
        // Who an account is may cost a call, which its rows cost as well; where it fails, its rows fail too, and say so.
        let account = match feed.columns.iter().any(|(_, fed)| *fed == Fed::Account) {
            true => scope.account.identity().await.ok().map(|identity| identity.account_id),
            false => None,
        };
        let region = if self.spec.table.scope == ScopeKind::Region { scope.region.as_ref() } else { "global" };
        let is_own = |tuple: &&Tuple| {
            feed.columns.iter().all(|(at, fed)| match fed {
                Fed::Account => account.as_deref().is_none_or(|own| is_text(&tuple[*at], own)),
                Fed::Region => is_text(&tuple[*at], region),
                Fed::Connection => is_text(&tuple[*at], &scope.account.connection),
                Fed::Column(_) => true,
            })
        };
        let own: Vec<&Tuple> = tuples.iter().filter(is_own).collect();
        let mut columns: Vec<(usize, usize)> = Vec::new();
        for (at, fed) in &feed.columns {
            let Fed::Column(position) = fed else { continue };
            let ty = self.spec.table.columns[*position].ty;
            // What is no value of the column's type decides nothing.
            if own.iter().all(|tuple| scalar(&tuple[*at], ty).is_some()) && !columns.iter().any(|(_, seen)| seen == position) {
                columns.push((*at, *position));
            }
        }
        let value = |tuple: &Tuple, (at, position): &(usize, usize)| scalar(&tuple[*at], self.spec.table.columns[*position].ty);
        let mut seen: HashSet<Vec<&ScalarValue>> = HashSet::new();
        let mut rows = Vec::new();
        for tuple in &own {
            if seen.insert(columns.iter().map(|(at, _)| &tuple[*at]).collect()) {
                rows.push(columns.iter().filter_map(|column| value(tuple, column)).collect());
            }
        }
        Given {
            columns: columns.into_iter().map(|(_, position)| position).collect(),
            rows,
            scoped: feed.columns.iter().any(|(_, fed)| !matches!(fed, Fed::Column(_))),
        }
    }

    fn cheapest(&self, given: &[Given]) -> Result<Chosen> {
        let keys = |given: &Given| given.columns.iter().filter(|c| self.is_key(**c)).count();
        let first = given.iter().enumerate().filter(|(_, g)| keys(g) > 0).min_by_key(|(_, g)| g.rows.len()).map(|(at, _)| at);
        let Some(first) = first else {
            let values = given.iter().map(|g| g.rows.len()).max().unwrap_or(0);
            return Ok(Chosen { plans: vec![Arc::new(self.listed(given)?)], values, ..Chosen::default() });
        };
        let own = &given[first];
        let others: Vec<&Given> = given.iter().enumerate().filter(|(at, _)| *at != first).map(|(_, g)| g).collect();
        let at_once = match keys(own) {
            _ if self.replay && self.list.is_ok() => own.rows.len().max(1),
            1 => AT_ONCE,
            _ => COMBINED_AT_ONCE,
        };
        let mut plans = Vec::new();
        for rows in own.rows.chunks(at_once) {
            let plan = self.by_key(own, rows, &others)?;
            if plans.is_empty()
                && let Ok(list) = &self.list
            {
                let asked = plan.starts().len().saturating_mul(own.rows.len().div_ceil(at_once));
                let more = asked > list.starts().len().max(1);
                let listed = self.listed(given)?;
                let shared = self.spec.scopes.len() > 1 && !own.scoped && listed.leaves_out_parents();
                if !plan.begins_narrow() || (more && (list.is_one_list() || shared)) {
                    return Ok(Chosen { plans: vec![Arc::new(listed)], values: own.rows.len(), ..Chosen::default() });
                }
            }
            plans.push(Arc::new(plan));
        }
        let told = |plan: &Arc<CallPlan>, column: usize| (0..plan.starts().len()).all(|start| plan.asked_by(start, column).is_some());
        let doubtful = match own.columns.as_slice() {
            [column] if self.looked_up(*column, &[]).is_some() && plans.iter().all(|plan| told(plan, *column)) => Some(*column),
            _ => None,
        };
        Ok(Chosen { summary: None, plans, values: own.rows.len(), doubtful })
    }

    /// The list, for rows of these values alone; `None` where rows cannot be told by them.
    pub(crate) fn looked_up(&self, column: usize, values: &[Scalar]) -> Option<CallPlan> {
        let mut plan = self.plan(Vec::new()).ok()?;
        plan.keep_among(column, values).then_some(plan)
    }

    /// Everything is listed, but of what has none of the values nothing further is asked.
    fn listed(&self, given: &[Given]) -> Result<CallPlan> {
        let mut plan = self.plan(Vec::new()).map_err(|why| refused(&why))?;
        for given in given {
            narrow(&mut plan, given, &given.rows);
        }
        Ok(plan)
    }

    fn by_key(&self, own: &Given, rows: &[Vec<Scalar>], others: &[&Given]) -> Result<CallPlan> {
        let mut filters = self.one_of(own, rows, |_, _| true);
        for other in others {
            let required = |column: &str| self.spec.table.keys.iter().any(|key| key.required && key.column == column);
            filters.extend(self.one_of(other, &other.rows, |column, values| values <= FEW || required(column)));
        }
        let mut plan = self.plan(filters).map_err(|why| refused(&why))?;
        if own.columns.len() > 1 {
            plan.keep_combinations(&own.columns, rows);
        }
        narrow(&mut plan, own, rows);
        for other in others {
            narrow(&mut plan, other, &other.rows);
        }
        Ok(plan)
    }

    /// A filter for each key column.
    fn one_of(&self, given: &Given, rows: &[Vec<Scalar>], wanted: impl Fn(&str, usize) -> bool) -> Vec<Filter> {
        let mut filters = Vec::new();
        for (at, position) in given.columns.iter().enumerate().filter(|(_, position)| self.is_key(**position)) {
            let values = distinct(rows, at);
            let column = &self.spec.table.columns[*position].name;
            if wanted(column, values.len()) {
                filters.push(Filter::OneOf { column: column.clone(), values });
            }
        }
        filters
    }
}

fn narrow(plan: &mut CallPlan, given: &Given, rows: &[Vec<Scalar>]) {
    for (at, position) in given.columns.iter().enumerate() {
        plan.keep_among(*position, &distinct(rows, at));
    }
}

/// The values of one place, each once, in order.
fn distinct(rows: &[Vec<Scalar>], at: usize) -> Vec<Scalar> {
    let mut texts = HashSet::new();
    let mut values: Vec<Scalar> = Vec::new();
    for value in rows.iter().filter_map(|row| row.get(at)) {
        let new = match value {
            Scalar::Text(text) => texts.insert(text.as_str()),
            other => !values.contains(other),
        };
        if new {
            values.push(value.clone());
        }
    }
    values
}

fn is_text(value: &ScalarValue, own: &str) -> bool {
    // Another type than a text is compared by the join alone.
    value.try_as_str().is_none_or(|text| text == Some(own))
}

fn refused(why: &PlanError) -> datafusion::common::DataFusionError {
    EngineError::sql(why.to_string(), None).into()
}
