//! From a request to a plan: which leaves, with which arguments, and the distinct evaluations behind them.

use crate::filter::Filter;
use crate::library::wrong_kind;
use crate::plan::{Evaluation, Plan, PlanChild, PlanControl, PlanGroup, Request, TargetKind};
use crate::{Child, ContentError, Control, Group, Item, Leaf, Library, NamedQuery, ROOT_GROUP, SelectError, SqlArg, args};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Library {
    /// Selects and binds: the plan of a run.
    ///
    /// # Errors
    /// An id, tag, attribute, parameter or value is wrong, or nothing is left after filtering.
    pub fn plan(&self, request: &Request) -> Result<Plan, SelectError> {
        let targets = self.targets(request)?;
        let mut planner = Planner {
            library: self,
            filter: Filter::new(&request.filters, &request.tags)?,
            args: pairs("--arg", &request.args)?,
            vars: pairs("--var", &request.vars)?,
            used: BTreeSet::new(),
            declared: BTreeSet::new(),
            evaluations: Vec::new(),
            seen: BTreeMap::new(),
            controls: BTreeMap::new(),
        };
        planner.check_vars()?;
        let mut children = Vec::new();
        for target in targets {
            children.extend(planner.child(target)?);
        }
        if children.is_empty() {
            let message = if planner.filter.is_empty() { "there is nothing to run" } else { "no control matches --where and --tag" };
            return Err(SelectError::request(message, Some("see `assay list controls` for ids and tags".to_owned())));
        }
        planner.check_args()?;
        let root = PlanGroup {
            id: ROOT_GROUP.to_owned(),
            title: String::new(),
            description: String::new(),
            documentation: String::new(),
            tags: BTreeMap::new(),
            children,
        };
        Ok(Plan { root, evaluations: planner.evaluations })
    }

    /// The items asked for, each once.
    fn targets(&self, request: &Request) -> Result<Vec<Item>, SelectError> {
        if request.ids.is_empty() {
            return Err(SelectError::request("no id is given", Some("for example `assay run benchmark cis_v200`; or `all`".to_owned())));
        }
        let mut out: Vec<Item> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in &request.ids {
            let items = match (id.as_str(), request.kind) {
                ("all", TargetKind::Benchmark) => self.benchmarks()?.into_iter().map(Item::Group).collect(),
                ("all", TargetKind::Control) => self.all_controls()?,
                _ => vec![self.find(id)?],
            };
            for item in items {
                let (bare, is) = match &item {
                    Item::Group(g) => (g.id.clone(), TargetKind::Benchmark),
                    Item::Leaf(l) => (l.id.clone(), TargetKind::Control),
                    Item::Control(c) => (c.id.clone(), TargetKind::Control),
                };
                if is != request.kind {
                    return Err(wrong_kind(&bare, is));
                }
                if seen.insert(bare) {
                    out.push(item);
                }
            }
        }
        Ok(out)
    }

    /// Every leaf, and every control that no leaf uses.
    fn all_controls(&self) -> Result<Vec<Item>, ContentError> {
        let leaves = self.leaves()?;
        let used: BTreeSet<&str> = leaves.iter().filter_map(|l| l.control.as_deref()).collect();
        let unused = self.controls()?.into_iter().filter(|c| !used.contains(c.id.as_str())).map(Item::Control).collect::<Vec<_>>();
        Ok(leaves.into_iter().map(Item::Leaf).chain(unused).collect())
    }
}

fn pairs(option: &str, texts: &[String]) -> Result<BTreeMap<String, String>, SelectError> {
    texts.iter().map(|t| args::pair(option, t).map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
}

struct Planner<'a> {
    library: &'a Library,
    filter: Filter,
    args: BTreeMap<String, String>,
    vars: BTreeMap<String, String>,
    /// Names of `--arg` that some selected control has.
    used: BTreeSet<String>,
    /// Parameters of the selected controls, for suggestions.
    declared: BTreeSet<String>,
    evaluations: Vec<Evaluation>,
    /// (SQL, arguments) → index of the evaluation.
    seen: BTreeMap<(Arc<str>, String), usize>,
    /// Leaves and controls already planned; `None`: filtered out.
    controls: BTreeMap<String, Option<Arc<PlanControl>>>,
}

impl Planner<'_> {
    fn child(&mut self, item: Item) -> Result<Option<PlanChild>, SelectError> {
        Ok(match item {
            Item::Group(g) => self.group(&g)?.map(PlanChild::Group),
            Item::Leaf(l) => self.leaf(&l)?.map(PlanChild::Control),
            Item::Control(c) => self.control(&c)?.map(PlanChild::Control),
        })
    }

    /// A group without selected leaves is left out.
    fn group(&mut self, group: &Group) -> Result<Option<PlanGroup>, SelectError> {
        let mut children = Vec::new();
        for child in &group.children {
            let item = match child {
                Child::Group(g) => Item::Group(g.clone()),
                other => self.library.follow(other)?,
            };
            children.extend(self.child(item)?);
        }
        Ok((!children.is_empty()).then(|| PlanGroup {
            id: group.id.clone(),
            title: group.title.clone(),
            description: group.description.clone(),
            documentation: group.documentation.clone(),
            tags: group.tags.clone(),
            children,
        }))
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<Option<Arc<PlanControl>>, SelectError> {
        if let Some(known) = self.controls.get(&leaf.id) {
            return Ok(known.clone());
        }
        let control = leaf.control.as_deref().map(|id| self.library.control(id)).transpose()?.flatten();
        let query = control.as_deref().map(|c| self.library.resolve(c)).transpose()?;
        let mut facts = match &control {
            Some(c) => facts(c, query.as_ref()),
            None => PlanControl {
                id: String::new(),
                control: leaf.control.clone(),
                item: String::new(),
                title: leaf.id.clone(),
                description: String::new(),
                documentation: String::new(),
                severity: crate::Severity::None,
                tags: BTreeMap::new(),
                query: String::new(),
                evaluation: None,
            },
        };
        facts.id.clone_from(&leaf.id);
        facts.item = leaf.item.clone().unwrap_or_default();
        facts.tags.extend(leaf.tags.clone());
        let own =
            [(&mut facts.title, &leaf.title), (&mut facts.description, &leaf.description), (&mut facts.documentation, &leaf.documentation)];
        for (to, from) in own {
            if let Some(text) = from {
                to.clone_from(text);
            }
        }
        self.finish(facts, query, &leaf.args)
    }

    fn control(&mut self, control: &Control) -> Result<Option<Arc<PlanControl>>, SelectError> {
        if let Some(known) = self.controls.get(&control.id) {
            return Ok(known.clone());
        }
        let query = self.library.resolve(control)?;
        let facts = facts(control, Some(&query));
        self.finish(facts, Some(query), &BTreeMap::new())
    }

    fn finish(
        &mut self,
        mut facts: PlanControl,
        query: Option<NamedQuery>,
        leaf_args: &BTreeMap<String, Json>,
    ) -> Result<Option<Arc<PlanControl>>, SelectError> {
        let id = facts.id.clone();
        let selected = if self.filter.matches(&facts) {
            if let Some(query) = query {
                facts.evaluation = Some(self.evaluation(&id, &query, leaf_args)?);
            }
            Some(Arc::new(facts))
        } else {
            None
        };
        self.controls.insert(id, selected.clone());
        Ok(selected)
    }

    /// `--arg` beats the leaf, which beats `--var`, which beats the default.
    fn evaluation(&mut self, id: &str, query: &NamedQuery, leaf_args: &BTreeMap<String, Json>) -> Result<usize, SelectError> {
        let mut named = Vec::new();
        for param in &query.params {
            self.declared.insert(param.name.clone());
            let bad = |message: String| SelectError::request(format!("control '{id}': {message}"), param.advice());
            let value = if let Some(text) = self.args.get(&param.name) {
                self.used.insert(param.name.clone());
                args::read(param, text).map_err(bad)?
            } else if let Some(value) = leaf_args.get(&param.name) {
                args::fits(param, value).map_err(bad)?;
                value.clone()
            } else if let Some(text) = self.vars.get(&param.name) {
                args::read(param, text).map_err(bad)?
            } else if let Some(default) = &param.default {
                default.clone()
            } else {
                let hint = format!("give it: --arg {}=VALUE", param.name);
                return Err(SelectError::request(format!("control '{id}' needs the parameter '{}'", param.name), Some(hint)));
            };
            named.push(SqlArg { name: param.name.clone(), value });
        }
        if let Some(name) = leaf_args.keys().find(|n| !query.params.iter().any(|p| p.name == **n)) {
            return Err(args::unknown(&format!("control '{id}' has no parameter"), name, query.params.iter().map(|p| p.name.as_str())));
        }
        let bound = args::bind(&query.sql, &named);
        let key = (query.sql.clone(), bound.iter().map(|a| format!("{}={}\n", a.name, a.value)).collect::<String>());
        Ok(*self.seen.entry(key).or_insert_with(|| {
            self.evaluations.push(Evaluation { query: query.name.clone(), sql: query.sql.clone(), args: bound, named });
            self.evaluations.len() - 1
        }))
    }

    fn check_args(&self) -> Result<(), SelectError> {
        match self.args.keys().find(|name| !self.used.contains(*name)) {
            Some(name) => Err(args::unknown("no selected control has a parameter", name, self.declared.iter().map(String::as_str))),
            None => Ok(()),
        }
    }

    /// A variable may be meant for other controls than the selected ones, but some control must have it.
    fn check_vars(&self) -> Result<(), SelectError> {
        if self.vars.is_empty() {
            return Ok(());
        }
        let mut known = self.library.mods().variables.clone();
        for control in self.library.controls()? {
            known.extend(control.params.iter().map(|p| p.name.clone()));
        }
        match self.vars.keys().find(|name| !known.contains(*name)) {
            Some(name) => Err(args::unknown("no control has a parameter", name, known.iter().map(String::as_str))),
            None => Ok(()),
        }
    }
}

fn facts(control: &Control, query: Option<&NamedQuery>) -> PlanControl {
    PlanControl {
        id: control.id.clone(),
        control: Some(control.id.clone()),
        item: String::new(),
        title: control.title.clone(),
        description: control.description.clone(),
        documentation: control.documentation.clone(),
        severity: control.severity,
        tags: control.tags.clone(),
        query: query.map(|q| q.name.clone()).unwrap_or_default(),
        evaluation: None,
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
