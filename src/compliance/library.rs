//! All content by id: what ships in the binary, and folders of the user. Files are parsed when first needed.

use crate::decode::{self, File};
use crate::error::did_you_mean;
use crate::index::Index;
use crate::mods::{self, Kind};
use crate::yaml::{self, error_at};
use crate::{
    Checked, Child, ContentError, Control, Group, Leaf, LoadError, LoadedMods, ModFolder, ModValue, Param, Place, Query, QueryRef,
    SelectError, SqlProblem, TargetKind, args, embedded, folder,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What an id names.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A control.
    Control(Arc<Control>),
    /// A leaf of a benchmark.
    Leaf(Arc<Leaf>),
    /// A benchmark or a group inside one.
    Group(Arc<Group>),
}

/// A named query, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedQuery {
    /// Its name: the id of the control that has the SQL.
    pub name: String,
    /// The statement.
    pub sql: Arc<str>,
    /// Parameters, with the defaults of the control it was asked through.
    pub params: Vec<Param>,
}

/// Controls and benchmarks by id.
#[derive(Debug, Default)]
pub struct Library {
    controls: BTreeMap<Cow<'static, str>, Source<Control>>,
    benchmarks: BTreeMap<Cow<'static, str>, Source<Group>>,
    /// Queries of mods.
    queries: BTreeMap<String, Arc<Query>>,
    mods: LoadedMods,
    index: OnceLock<Result<Index, ContentError>>,
}

/// A file, parsed at most once.
#[derive(Debug)]
struct Source<T> {
    path: Cow<'static, str>,
    text: Cow<'static, str>,
    /// Content of the user is checked at load; a leaf of it must not name a control that does not exist.
    user: bool,
    parsed: OnceLock<Result<Arc<T>, ContentError>>,
}

impl<T> Source<T> {
    fn new(path: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>, user: bool) -> Source<T> {
        Source { path: path.into(), text: text.into(), user, parsed: OnceLock::new() }
    }

    /// What a mod gave; it was checked when it was evaluated.
    fn ready(path: &str, item: T) -> Source<T> {
        Source { path: Cow::Owned(path.to_owned()), text: Cow::Borrowed(""), user: false, parsed: OnceLock::from(Ok(Arc::new(item))) }
    }

    fn decode(&self, stem: &str) -> Result<File, ContentError> {
        decode::file(&yaml::parse(&Arc::from(&*self.path), &self.text)?, stem)
    }

    fn wrong_kind(&self, is: &str, folder: &str) -> ContentError {
        let at = Place { file: Arc::from(&*self.path), line: 1, column: 1 };
        error_at(&at, format!("{is} stands among the {folder}"), Some("move the file".to_owned()))
    }
}

impl Source<Control> {
    fn get(&self, id: &str) -> Result<Arc<Control>, ContentError> {
        self.parsed
            .get_or_init(|| match self.decode(id)? {
                File::Control(c) => Ok(Arc::new(c)),
                File::Benchmark(_) => Err(self.wrong_kind("a benchmark", "controls")),
            })
            .clone()
    }
}

impl Source<Group> {
    fn get(&self, id: &str) -> Result<Arc<Group>, ContentError> {
        self.parsed
            .get_or_init(|| match self.decode(id)? {
                File::Benchmark(g) => Ok(Arc::new(g)),
                File::Control(_) => Err(self.wrong_kind("a control", "benchmarks")),
            })
            .clone()
    }
}

impl Library {
    /// What ships in the binary. Costs next to nothing: files are parsed when first needed.
    pub fn embedded() -> Library {
        let borrow = |(id, path, text): &(&'static str, &'static str, &'static str)| (Cow::Borrowed(*id), *path, *text);
        Library {
            controls: embedded::CONTROLS.iter().map(borrow).map(|(id, path, text)| (id, Source::new(path, text, false))).collect(),
            benchmarks: embedded::BENCHMARKS.iter().map(borrow).map(|(id, path, text)| (id, Source::new(path, text, false))).collect(),
            ..Library::default()
        }
    }

    /// Adds every `*.yaml` under a folder (`_*` aside); the first key says whether it is a control or a benchmark. Gives the number of files.
    ///
    /// # Errors
    /// A file cannot be read or is bad, an id exists already, a name in it is unknown.
    pub fn load_folder(&mut self, folder: &Path) -> Result<usize, LoadError> {
        let files = folder::read(folder)?;
        let n = files.len();
        self.load_texts(files)?;
        Ok(n)
    }

    /// Adds folders of YAML and mods, which may name each other's content; `values` are for the mods' variables, the later wins.
    ///
    /// # Errors
    /// As [`Library::load_folder`], in YAML or HCL.
    pub fn load_content(&mut self, folders: &[PathBuf], mods: &[ModFolder], values: &[ModValue]) -> Result<(), LoadError> {
        for folder in folders {
            for (path, text) in folder::read(folder)? {
                self.add(path, text)?;
            }
        }
        self.index = OnceLock::new();
        if !mods.is_empty() {
            self.add_mods(mods, values)?;
        }
        self.problems(true).into_iter().next().map_or(Ok(()), |e| Err(e.into()))
    }

    /// Looks over the first of some mods, which the others go with, before it is used; `sql` looks at the syntax of a statement.
    ///
    /// # Errors
    /// A folder or a file in it cannot be read.
    pub fn check_mod(&self, mods: &[ModFolder], sql: &(dyn Fn(&str) -> Result<(), SqlProblem> + Sync)) -> Result<Checked, LoadError> {
        mods::check(mods, self.outside()?, sql)
    }

    /// What mods can name beside their own.
    fn outside(&self) -> Result<BTreeSet<(Kind, String)>, ContentError> {
        let index = self.index()?;
        let mut outside = BTreeSet::new();
        for id in self.controls.keys() {
            outside.extend([(Kind::Control, id.to_string()), (Kind::Query, id.to_string())]);
        }
        outside.extend(index.leaves.keys().map(|id| (Kind::Control, id.clone())));
        outside.extend(index.groups.keys().map(|id| (Kind::Benchmark, id.clone())));
        Ok(outside)
    }

    fn add_mods(&mut self, folders: &[ModFolder], values: &[ModValue]) -> Result<(), LoadError> {
        let loaded = mods::load(folders, values, self.outside()?)?;
        self.mods = loaded.about;
        self.queries.extend(loaded.queries.into_iter().map(|q| (q.id.clone(), Arc::new(q))));
        for group in loaded.groups {
            self.benchmarks.insert(Cow::Owned(group.id.clone()), Source::ready(&group.place.file.clone(), group));
        }
        let mut unsure = Vec::new();
        for control in loaded.controls {
            if matches!(&control.query, QueryRef::Named(name) if !is_of_mod(name)) {
                unsure.push(control.id.clone());
            }
            self.controls.insert(Cow::Owned(control.id.clone()), Source::ready(&control.place.file.clone(), control));
        }
        self.index = OnceLock::new();
        self.index()?;
        for id in unsure {
            if let Some(control) = self.control(&id)? {
                self.resolve(&control)?;
            }
        }
        Ok(())
    }

    /// The mods that were loaded.
    pub fn mods(&self) -> &LoadedMods {
        &self.mods
    }

    /// The queries of mods, by id.
    pub fn mod_queries(&self) -> impl Iterator<Item = &Arc<Query>> {
        self.queries.values()
    }

    /// A mod's query, under its id or, where no other mod has one of that name, `query.<name>`.
    pub fn mod_query(&self, id: &str) -> Option<&Arc<Query>> {
        self.queries.get(id).or_else(|| {
            let name = id.strip_prefix("query.")?;
            only(self.queries.iter().filter(|(k, _)| bare(k) == name).map(|(_, q)| q)).ok().flatten()
        })
    }

    /// Adds files whose text is at hand, as a folder of the user.
    ///
    /// # Errors
    /// As [`Library::load_folder`].
    pub fn load_texts(&mut self, files: impl IntoIterator<Item = (String, String)>) -> Result<(), ContentError> {
        for (path, text) in files {
            self.add(path, text)?;
        }
        self.index = OnceLock::new();
        self.problems(true).into_iter().next().map_or(Ok(()), Err)
    }

    fn add(&mut self, path: String, text: String) -> Result<(), ContentError> {
        let stem = Path::new(&path).file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let at = Place { file: Arc::from(path.as_str()), line: 1, column: 1 };
        let is = decode::file(&yaml::parse(&at.file, &text)?, &stem)?;
        let other = self.controls.get(stem.as_str()).map(|s| &s.path).or_else(|| self.benchmarks.get(stem.as_str()).map(|s| &s.path));
        if let Some(other) = other {
            return Err(error_at(&at, format!("the id '{stem}' is taken"), Some(format!("{other} has it; choose another"))));
        }
        match is {
            File::Control(c) => {
                let source = Source::new(path, text, true);
                let _ = source.parsed.set(Ok(Arc::new(c)));
                self.controls.insert(Cow::Owned(stem), source);
            }
            File::Benchmark(g) => {
                let source = Source::new(path, text, true);
                let _ = source.parsed.set(Ok(Arc::new(g)));
                self.benchmarks.insert(Cow::Owned(stem), source);
            }
        }
        Ok(())
    }

    /// Ids of all controls, sorted; parses nothing.
    pub fn control_ids(&self) -> Vec<&str> {
        self.controls.keys().map(|k| &**k).collect()
    }

    /// Ids of all benchmark files, sorted; parses nothing.
    pub fn benchmark_ids(&self) -> Vec<&str> {
        self.benchmarks.keys().map(|k| &**k).collect()
    }

    /// All controls, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn controls(&self) -> Result<Vec<Arc<Control>>, ContentError> {
        self.controls.iter().map(|(id, source)| source.get(id)).collect()
    }

    /// Benchmarks that are nobody's child, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn benchmarks(&self) -> Result<Vec<Arc<Group>>, ContentError> {
        Ok(self.index()?.roots())
    }

    /// All benchmarks and the groups inside them, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn groups(&self) -> Result<Vec<Arc<Group>>, ContentError> {
        Ok(self.index()?.groups.values().cloned().collect())
    }

    /// All leaves, by id.
    ///
    /// # Errors
    /// A file is bad.
    pub fn leaves(&self) -> Result<Vec<Arc<Leaf>>, ContentError> {
        Ok(self.index()?.leaves.values().cloned().collect())
    }

    /// The control of that id, if there is one.
    ///
    /// # Errors
    /// Its file is bad.
    pub fn control(&self, id: &str) -> Result<Option<Arc<Control>>, ContentError> {
        self.controls.get(id).map(|s| s.get(id)).transpose()
    }

    /// What a child is, names followed.
    ///
    /// # Errors
    /// A file is bad.
    pub fn follow(&self, child: &Child) -> Result<Item, ContentError> {
        let (name, place) = match child {
            Child::Group(g) => return Ok(Item::Group(g.clone())),
            Child::Leaf(l) => return Ok(Item::Leaf(l.clone())),
            Child::Name(name, place) => (name, place),
        };
        self.named(name)?.ok_or_else(|| {
            let hint = self.known().and_then(|known| did_you_mean(name, known));
            error_at(place, format!("nothing has the id '{name}'"), hint)
        })
    }

    fn named(&self, id: &str) -> Result<Option<Item>, ContentError> {
        if let Some(control) = self.control(id)? {
            return Ok(Some(Item::Control(control)));
        }
        let index = self.index()?;
        Ok(index.groups.get(id).cloned().map(Item::Group).or_else(|| index.leaves.get(id).cloned().map(Item::Leaf)))
    }

    fn known(&self) -> Option<impl Iterator<Item = &str>> {
        let index = self.index().ok()?;
        Some(self.control_ids().into_iter().chain(index.groups.keys().map(String::as_str)).chain(index.leaves.keys().map(String::as_str)))
    }

    /// What an id in any accepted spelling names: `cis_v200_1_14`, `control.x`, `aws_compliance.benchmark.cis_v200`, `query.x` …
    ///
    /// # Errors
    /// Nothing has that id (with a suggestion), or the content behind it is bad.
    pub fn find(&self, id: &str) -> Result<Item, SelectError> {
        if is_of_mod(id)
            && let Some(item) = self.named(id)?
        {
            return Ok(item);
        }
        let (kind, bare) = self.spelling(id)?;
        let unknown = |what: &str| {
            let hint = self
                .known()
                .and_then(|known| did_you_mean(bare, known))
                .unwrap_or_else(|| "see `assay list benchmarks` and `assay list controls`".to_owned());
            SelectError::request(format!("no {what} has the id '{bare}'"), Some(hint))
        };
        match (self.named(bare)?.map_or_else(|| self.of_some_mod(bare, kind), |item| Ok(Some(item)))?, kind) {
            (None, kind) => Err(unknown(kind.map_or("control or benchmark", kind_word))),
            (Some(Item::Group(_)), Some(TargetKind::Control)) => Err(wrong_kind(bare, TargetKind::Benchmark)),
            (Some(Item::Control(_) | Item::Leaf(_)), Some(TargetKind::Benchmark)) => Err(wrong_kind(bare, TargetKind::Control)),
            (Some(item), _) => Ok(item),
        }
    }

    /// What one mod has under a name that stands without its mod; ours comes first.
    fn of_some_mod(&self, name: &str, kind: Option<TargetKind>) -> Result<Option<Item>, SelectError> {
        let wanted = |id: &str, word: &str| is_of_mod(id) && bare(id) == name && id.split('.').nth(1) == Some(word);
        let controls = self.controls.keys().filter(|id| kind != Some(TargetKind::Benchmark) && wanted(id, "control"));
        let benchmarks = self.benchmarks.keys().filter(|id| kind != Some(TargetKind::Control) && wanted(id, "benchmark"));
        match only(controls.chain(benchmarks)) {
            Ok(Some(id)) => Ok(self.named(id)?),
            Ok(None) => Ok(None),
            Err(ids) => {
                let ids: Vec<&str> = ids.iter().map(|id| &***id).collect();
                Err(SelectError::request(format!("'{name}' stands for several"), Some(format!("name one of {}", ids.join(", ")))))
            }
        }
    }

    /// The query of that name: a mod's, a control's id, or a leaf's.
    ///
    /// # Errors
    /// As [`Library::find`]; or the leaf is not implemented.
    pub fn query(&self, id: &str) -> Result<NamedQuery, SelectError> {
        if let Some(query) = self.mod_query(id) {
            return Ok(NamedQuery { name: query.id.clone(), sql: query.sql.clone(), params: query.params.clone() });
        }
        match self.find(id)? {
            Item::Control(c) => Ok(self.resolve(&c)?),
            Item::Leaf(leaf) => match leaf.control.as_deref().map(|c| self.control(c)).transpose()?.flatten() {
                Some(c) => Ok(self.resolve(&c)?),
                None => Err(SelectError::request(format!("'{}' is not implemented yet: there is no query behind it", leaf.id), None)),
            },
            Item::Group(g) => Err(SelectError::request(
                format!("'{}' is a benchmark, not a query", g.id),
                Some(format!("try `assay run benchmark {}`", g.id)),
            )),
        }
    }

    /// Takes the prefixes of Powerpipe's spelling off.
    fn spelling<'a>(&self, id: &'a str) -> Result<(Option<TargetKind>, &'a str), SelectError> {
        let parts: Vec<&str> = id.split('.').collect();
        let (kind, bare) = match parts.as_slice() {
            [bare] => return Ok((None, bare)),
            [kind, bare] | ["aws_compliance" | "azure_compliance", kind, bare] => (*kind, *bare),
            [module, kind, _] => {
                let known = self.mods.mods.iter().map(|m| m.name.as_str());
                if known.clone().any(|name| name == *module) {
                    let ids = self.control_ids().into_iter().chain(self.benchmark_ids()).chain(self.queries.keys().map(String::as_str));
                    let hint = did_you_mean(id, ids.filter(|known| known.starts_with(module)));
                    let what = if ["control", "benchmark", "query"].contains(kind) { kind } else { "item" };
                    return Err(SelectError::request(format!("no {what} has the id '{id}'"), hint));
                }
                let hint = did_you_mean(module, known).unwrap_or_else(|| {
                    "install it: `assay mod install SOURCE`; our own content answers to aws_compliance and azure_compliance, or to the bare id".to_owned()
                });
                return Err(SelectError::request(format!("there is no mod '{module}'"), Some(hint)));
            }
            _ => {
                return Err(SelectError::request(
                    format!("'{id}' is not an id"),
                    Some("for example cis_v200_1_14 or control.cis_v200_1_14".to_owned()),
                ));
            }
        };
        match kind {
            "control" | "query" => Ok((Some(TargetKind::Control), bare)),
            "benchmark" => Ok((Some(TargetKind::Benchmark), bare)),
            _ => Err(SelectError::request(
                format!("'{kind}' is not a kind of id"),
                Some("use control.<id>, benchmark.<id> or query.<id>".to_owned()),
            )),
        }
    }

    /// The SQL behind a control and its parameters.
    pub(crate) fn resolve(&self, control: &Control) -> Result<NamedQuery, ContentError> {
        let name = match &control.query {
            QueryRef::Sql(sql) => return Ok(NamedQuery { name: control.id.clone(), sql: sql.clone(), params: control.params.clone() }),
            QueryRef::Named(name) => name,
        };
        if let Some(query) = self.queries.get(name) {
            return resolve_mod(control, query);
        }
        let Some(owner) = self.control(name)? else {
            let hint = did_you_mean(name, self.control_ids().into_iter().chain(self.queries.keys().map(String::as_str)));
            return Err(error_at(&control.query_place, format!("there is no query '{name}'"), hint));
        };
        let QueryRef::Sql(sql) = &owner.query else {
            let hint = format!("'{name}' takes its SQL from elsewhere; name the control that has it");
            return Err(error_at(&control.query_place, format!("query '{name}' has no SQL of its own"), Some(hint)));
        };
        let mut params = owner.params.clone();
        override_params(control, name, &mut params)?;
        Ok(NamedQuery { name: owner.id.clone(), sql: sql.clone(), params })
    }

    pub(crate) fn index(&self) -> Result<&Index, ContentError> {
        let build = || {
            let files = self.benchmarks.iter().map(|(id, source)| source.get(id)).collect::<Result<Vec<_>, _>>()?;
            Index::build(files, |id| self.controls.contains_key(id))
        };
        self.index.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    /// Checks everything, in all files.
    pub fn check(&self) -> Vec<ContentError> {
        self.problems(false)
    }

    fn problems(&self, only_user: bool) -> Vec<ContentError> {
        let mut out = Vec::new();
        for (id, source) in &self.controls {
            if source.user || !only_user {
                out.extend(source.get(id).and_then(|c| self.resolve(&c)).err());
            }
        }
        let index = match self.index() {
            Ok(index) => index,
            Err(e) => {
                out.push(e);
                return out;
            }
        };
        let of_user: BTreeSet<&str> = self.benchmarks.values().filter(|s| s.user).map(|s| &*s.path).collect();
        let is_user = |place: &Place| of_user.contains(&*place.file);
        for group in index.groups.values() {
            if only_user && !is_user(&group.place) {
                continue;
            }
            out.extend(group.children.iter().filter_map(|c| self.follow(c).err()));
        }
        for leaf in index.leaves.values() {
            let user = is_user(&leaf.place);
            if user || !only_user {
                out.extend(self.check_leaf(leaf, user).err());
            }
        }
        out
    }

    fn check_leaf(&self, leaf: &Leaf, strict: bool) -> Result<(), ContentError> {
        let control = match &leaf.control {
            None => None,
            Some(name) => {
                let control = self.control(name)?;
                if control.is_none() && strict {
                    let hint =
                        did_you_mean(name, self.control_ids()).unwrap_or_else(|| "leave `control:` out while there is none".to_owned());
                    return Err(error_at(&leaf.control_place, format!("there is no control '{name}'"), Some(hint)));
                }
                control
            }
        };
        let Some(control) = control else {
            if leaf.title.is_none() {
                return Err(error_at(
                    &leaf.place,
                    format!("leaf '{}' has neither a control nor a title", leaf.id),
                    Some("add `title:`".to_owned()),
                ));
            }
            return Ok(());
        };
        let query = self.resolve(&control)?;
        for (name, value) in &leaf.args {
            let Some(param) = query.params.iter().find(|p| p.name == *name) else {
                let hint = did_you_mean(name, query.params.iter().map(|p| p.name.as_str()));
                return Err(error_at(&leaf.place, format!("control '{}' has no parameter '{name}'", control.id), hint));
            };
            args::fits(param, value).map_err(|e| error_at(&leaf.place, e, param.advice()))?;
        }
        Ok(())
    }
}

fn kind_word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Control => "control",
        TargetKind::Benchmark => "benchmark",
    }
}

pub(crate) fn wrong_kind(id: &str, is: TargetKind) -> SelectError {
    let word = kind_word(is);
    SelectError::request(format!("'{id}' is a {word}"), Some(format!("use `assay run {word} {id}`")))
}

/// Is it an id such as `mod.control.name`?
pub(crate) fn is_of_mod(id: &str) -> bool {
    id.contains('.')
}

fn bare(id: &str) -> &str {
    id.rsplit('.').next().unwrap_or(id)
}

/// The only one of several, or all of them.
fn only<T>(items: impl Iterator<Item = T>) -> Result<Option<T>, Vec<T>> {
    let mut items: Vec<T> = items.collect();
    if items.len() > 1 { Err(items) } else { Ok(items.pop()) }
}

/// The query of a mod as a control asks it. A control of a mod brings all parameters; one of YAML names those that differ.
fn resolve_mod(control: &Control, query: &Query) -> Result<NamedQuery, ContentError> {
    let (name, sql) = (query.id.clone(), query.sql.clone());
    if is_of_mod(&control.id) {
        return Ok(NamedQuery { name, sql, params: control.params.clone() });
    }
    let mut params = query.params.clone();
    override_params(control, &name, &mut params)?;
    Ok(NamedQuery { name, sql, params })
}

/// Puts a control's own defaults, bounds and texts over those of the query it names.
fn override_params(control: &Control, name: &str, params: &mut [Param]) -> Result<(), ContentError> {
    for own in &control.params {
        let Some(i) = params.iter().position(|p| p.name == own.name) else {
            let hint = did_you_mean(&own.name, params.iter().map(|p| p.name.as_str()));
            return Err(error_at(&control.place, format!("query '{name}' has no parameter '{}'", own.name), hint));
        };
        let p = &mut params[i];
        if let Some(default) = &own.default {
            args::fits(p, default).map_err(|e| error_at(&control.place, e, p.advice()))?;
        }
        p.default = own.default.clone().or(p.default.take());
        p.min = own.min.or(p.min);
        p.max = own.max.or(p.max);
        for (to, from) in [(&mut p.description, &own.description), (&mut p.hint, &own.hint)] {
            if !from.is_empty() {
                to.clone_from(from);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
