//! From folders to the library's model: mods are read, bound to the values of their variables, and evaluated block by block.

use super::build::{Builder, Built};
use super::eval::Evaluator;
use super::module::{At, Kind, Module, World};
use super::source::{self, Source};
use super::types;
use super::value::{Thing, Value};
use crate::error::did_you_mean;
use crate::yaml::error_at;
use crate::{ContentError, Control, Group, LoadError, Place, Query};
use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::Structure;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More notices than this are not shown at each run.
const MAX_NOTICES: usize = 5;

/// A folder with a mod in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModFolder {
    /// The folder.
    pub folder: PathBuf,
    /// Where it was installed from, such as `github.com/owner/repository`.
    pub source: Option<String>,
}

/// A value for variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModValue {
    /// The variable: `name` of any mod, or `mod.name`.
    pub name: String,
    /// Text as on the command line: HCL, or text as it stands.
    pub text: String,
    /// Where it was given, for messages.
    pub origin: String,
}

/// A mod that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModRequirement {
    /// Such as `github.com/owner/repository`.
    pub source: String,
    /// A version or a range of them; `*`: any.
    pub version: String,
}

/// What a mod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModInfo {
    /// Its name, the first part of its ids.
    pub name: String,
    /// One line; may be empty.
    pub title: String,
    /// Its folder.
    pub folder: PathBuf,
    /// How many controls it has.
    pub controls: usize,
    /// How many benchmarks.
    pub benchmarks: usize,
    /// How many named queries.
    pub queries: usize,
    /// Mods it needs.
    pub requires: Vec<ModRequirement>,
    /// What of it is read over, where there is such.
    pub notice: Option<String>,
}

/// What was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedMods {
    /// By name.
    pub mods: Vec<ModInfo>,
    /// What people should know: blocks that are read over.
    pub notices: Vec<String>,
    /// Variables as `name` and `mod.name`.
    pub variables: BTreeSet<String>,
}

/// The items of all mods.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) about: LoadedMods,
    pub(crate) controls: Vec<Control>,
    pub(crate) groups: Vec<Group>,
    pub(crate) queries: Vec<Query>,
}

/// Reads what a mod says about itself.
///
/// # Errors
/// The folder cannot be read, has no mod in it, or a file of it is bad.
pub fn read_mod(folder: &Path) -> Result<ModInfo, LoadError> {
    let world = World { modules: vec![open(folder)?], ..World::default() };
    Ok(about(&world, 0)?)
}

/// Reads a file of variables, `name = value` in HCL.
///
/// # Errors
/// It cannot be read, or is not that.
pub fn read_mod_values(path: &Path) -> Result<Vec<ModValue>, LoadError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Io { path: shown.clone(), source })?;
    let file = Source::parse(&shown, text)?;
    let mut values = Vec::new();
    for structure in &file.body {
        let hint = Some("write a line `name = value` for each variable".to_owned());
        let Structure::Attribute(a) = structure else {
            return Err(error_at(&file.place(structure.span()), "a block in a file of variables", hint).into());
        };
        let place = file.place(a.value.span());
        let text = types::constant(&a.value).and_then(|v| match v {
            Value::Text(text) => Some(text.to_string()),
            other => other.to_json().map(|j| j.to_string()),
        });
        let Some(text) = text else {
            return Err(error_at(&place, format!("the value of '{}' is not a constant", a.key.as_str()), hint).into());
        };
        values.push(ModValue { name: a.key.as_str().to_owned(), text, origin: format!("{}:{}", place.file, place.line) });
    }
    Ok(values)
}

/// Loads mods together; `outside` is what expressions may name beside their content.
pub(crate) fn load(folders: &[ModFolder], values: &[ModValue], outside: BTreeSet<(Kind, String)>) -> Result<Loaded, LoadError> {
    let (mut world, sources) = open_all(folders, outside)?;
    let mut bad: Vec<ContentError> = world.modules.iter_mut().flat_map(|m| std::mem::take(&mut m.bad)).collect();
    bind(&mut world, &sources, &mut bad);
    give(&mut world, values);

    let work: Vec<Work<'_>> = world.modules.iter().enumerate().flat_map(|(i, m)| work_of(i, m)).collect();
    let mut loaded = Loaded::default();
    for made in source::in_parallel(&work, |(module, kind, name, at)| Builder::new(&world, *module, *kind, name, *at).build()) {
        bad.extend(made.bad);
        loaded.about.notices.extend(made.notices);
        match made.built {
            Built::Control(c) => loaded.controls.push(c),
            Built::Group(g) => loaded.groups.push(g),
            Built::Query(q) => loaded.queries.push(q),
        }
    }
    if let Some(error) = LoadError::of(bad) {
        return Err(error);
    }
    loaded.about.notices.sort();
    let more = loaded.about.notices.len().saturating_sub(MAX_NOTICES);
    if more > 1 {
        loaded.about.notices.truncate(MAX_NOTICES);
        loaded.about.notices.push(format!("… and {more} more like these; `assay mod install` names them all"));
    }
    for (i, module) in world.modules.iter().enumerate() {
        loaded.about.mods.push(about(&world, i)?);
        loaded.about.notices.extend(module.notice());
        for name in module.variables.keys() {
            loaded.about.variables.extend([name.clone(), format!("{}.{name}", module.name)]);
        }
    }
    loaded.about.mods.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(loaded)
}

/// A block: its mod, kind, name and place.
pub(super) type Work<'w> = (usize, Kind, &'w str, At);

pub(super) fn work_of(module: usize, m: &Module) -> impl Iterator<Item = Work<'_>> {
    m.things.iter().map(move |((kind, name), at)| (module, *kind, name.as_str(), *at))
}

/// Mods by folder, and where they are from.
pub(super) fn open_all(folders: &[ModFolder], outside: BTreeSet<(Kind, String)>) -> Result<(World, Vec<Option<String>>), LoadError> {
    let mut world = World { outside, ..World::default() };
    let mut sources = Vec::new();
    for folder in folders {
        let module = open(&folder.folder)?;
        // The first of a name counts: the mod one works on hides the installed one.
        if world.module(&module.name).is_none() {
            world.modules.push(module);
            sources.push(folder.source.clone());
        }
    }
    Ok((world, sources))
}

fn open(folder: &Path) -> Result<Module, LoadError> {
    let folder_is = |source| LoadError::Io { path: folder.display().to_string(), source };
    if !std::fs::metadata(folder).map_err(folder_is)?.is_dir() || source::mod_file(folder).is_none() {
        let at = Place { file: folder.display().to_string().into(), line: 1, column: 1 };
        let hint = "a mod is a folder with a file mod.pp (or mod.sp) in it".to_owned();
        return Err(error_at(&at, "there is no mod in this folder", Some(hint)).into());
    }
    Module::collect(folder.to_owned(), source::read_all(folder)?)
}

fn about(world: &World, module: usize) -> Result<ModInfo, ContentError> {
    let m = &world.modules[module];
    let ev = Evaluator::new(world);
    let thing = Thing { module: Some(module), kind: Kind::Mod, name: Arc::from(m.name.as_str()) };
    let title = ev.attribute_of(&thing, "title", &m.place(m.block))?.as_text().unwrap_or_default().to_string();
    let count = |kind| m.things.keys().filter(|(k, _)| *k == kind).count();
    Ok(ModInfo {
        name: m.name.clone(),
        title,
        folder: m.folder.clone(),
        controls: count(Kind::Control),
        benchmarks: count(Kind::Benchmark),
        queries: count(Kind::Query),
        requires: required(m).into_iter().map(|r| r.what).collect(),
        notice: m.notice(),
    })
}

/// A block `mod` inside of `require`.
struct Required {
    what: ModRequirement,
    args: Vec<(String, Expression)>,
}

fn required(m: &Module) -> Vec<Required> {
    let mut out = Vec::new();
    for require in m.block(m.block).map(|b| b.body.get_blocks("require")).into_iter().flatten() {
        for block in require.body.get_blocks("mod") {
            let Some(source) = block.labels.first().map(|l| l.as_str().to_owned()) else { continue };
            let version = ["version", "min_version"].iter().find_map(|k| block.body.get_attribute(k)?.value.as_str().map(str::to_owned));
            let mut args = Vec::new();
            if let Some(object) = block.body.get_attribute("args").and_then(|a| a.value.as_object()) {
                for (key, value) in object {
                    let key = match key {
                        ObjectKey::Ident(i) => i.as_str().to_owned(),
                        ObjectKey::Expression(e) => e.as_str().unwrap_or_default().to_owned(),
                    };
                    args.push((key, value.expr().clone()));
                }
            }
            out.push(Required { what: ModRequirement { source, version: version.unwrap_or_else(|| "*".to_owned()) }, args });
        }
    }
    out
}

/// Finds the mods that mods require, and gives them their arguments.
pub(super) fn bind(world: &mut World, sources: &[Option<String>], bad: &mut Vec<ContentError>) {
    for parent in 0..world.modules.len() {
        for Required { what, args } in required(&world.modules[parent]) {
            let bare = bare_source(&what.source);
            let by_source = sources.iter().position(|s| s.as_deref().is_some_and(|s| bare_source(s) == bare));
            let Some(child) = by_source.or_else(|| world.module(&name_of_source(&what.source))) else {
                world.modules[parent].missing.push(what.source);
                continue;
            };
            let at = world.modules[parent].block;
            for (name, expr) in args {
                let place = world.modules[parent].sources[at.source].place(expr.span());
                let m = &mut world.modules[child];
                let Some(variable) = m.variables.get_mut(&name) else {
                    let hint = did_you_mean(&name, m.variables.keys().map(String::as_str));
                    bad.push(error_at(&place, format!("mod '{}' has no variable '{name}'", m.name), hint));
                    continue;
                };
                variable.required.get_or_insert((parent, at.source, expr));
            }
        }
    }
}

/// `https://github.com/a/b.git`, `git@github.com:a/b` and `github.com/a/b` are the same.
fn bare_source(source: &str) -> String {
    let source = source.split_once("://").map_or(source, |(_, rest)| rest);
    let source = source.rsplit_once('@').map_or(source, |(before, after)| if before.contains('/') { before } else { after });
    source.trim_end_matches('/').trim_end_matches(".git").replace(':', "/")
}

/// The name a mod of that source usually has.
fn name_of_source(source: &str) -> String {
    let bare = bare_source(source);
    let last = bare.rsplit('/').next().unwrap_or_default();
    last.rsplit_once("-mod-").map_or(last, |(_, name)| name).replace('-', "_")
}

/// Hands values out; the later wins.
fn give(world: &mut World, values: &[ModValue]) {
    for value in values {
        let (of, name) = value.name.rsplit_once('.').map_or((None, value.name.as_str()), |(of, name)| (Some(of), name));
        for m in world.modules.iter_mut().filter(|m| of.is_none_or(|of| of == m.name)) {
            if let Some(variable) = m.variables.get_mut(name) {
                variable.given = Some((value.origin.clone(), value.text.clone()));
            }
        }
    }
}
