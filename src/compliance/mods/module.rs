//! The mods of a load by name: which blocks they have and where, and the values of their locals, variables and attributes.

use super::eval::{Evaluator, Frame};
use super::source::Source;
use super::types::{self, Type};
use super::value::{Thing, Value};
use crate::error::did_you_mean;
use crate::yaml::error_at;
use crate::{ContentError, LoadError, Place};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Structure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

/// What can be named by an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Benchmark,
    Control,
    Query,
    Mod,
}

impl Kind {
    pub(crate) const WORDS: [&'static str; 4] = ["benchmark", "control", "query", "mod"];

    pub(crate) fn parse(word: &str) -> Option<Kind> {
        [Kind::Benchmark, Kind::Control, Kind::Query, Kind::Mod].into_iter().find(|k| k.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Benchmark => "benchmark",
            Kind::Control => "control",
            Kind::Query => "query",
            Kind::Mod => "mod",
        }
    }

    pub(crate) fn article(self) -> &'static str {
        match self {
            Kind::Benchmark => "a benchmark",
            Kind::Control => "a control",
            Kind::Query => "a query",
            Kind::Mod => "a mod",
        }
    }

    /// Attributes of Powerpipe's blocks of this kind.
    fn attributes(self) -> &'static [&'static str] {
        match self {
            Kind::Benchmark => &["title", "description", "documentation", "tags", "children", "type", "width", "display", "base"],
            Kind::Control => &[
                "title",
                "description",
                "documentation",
                "severity",
                "tags",
                "args",
                "query",
                "sql",
                "type",
                "width",
                "display",
                "base",
                "search_path",
                "search_path_prefix",
                "database",
            ],
            Kind::Query => {
                &["title", "description", "documentation", "tags", "args", "sql", "search_path", "search_path_prefix", "database"]
            }
            Kind::Mod => &[
                "title",
                "description",
                "documentation",
                "tags",
                "color",
                "icon",
                "categories",
                "database",
                "search_path",
                "search_path_prefix",
            ],
        }
    }
}

/// All mods that are loaded together.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) modules: Vec<Module>,
    /// Controls, benchmarks and queries that are no mod's.
    pub(crate) outside: BTreeSet<(Kind, String)>,
    /// Is it only looked at? Then variables may be without a value.
    pub(crate) looked_at: bool,
}

impl World {
    pub(crate) fn module(&self, name: &str) -> Option<usize> {
        self.modules.iter().position(|m| m.name == name)
    }
}

/// A mod.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) sources: Vec<Source>,
    /// The block `mod`.
    pub(crate) block: At,
    pub(crate) things: BTreeMap<(Kind, String), At>,
    pub(crate) locals: BTreeMap<String, Local>,
    pub(crate) variables: BTreeMap<String, Variable>,
    /// Sources of required mods that are not there.
    pub(crate) missing: Vec<String>,
    /// Blocks that are read over, by type.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Blocks that are wrong, or come twice.
    pub(crate) bad: Vec<ContentError>,
}

/// A block: which source, which structure of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) source: usize,
    pub(crate) item: usize,
}

/// A local value, evaluated at most once.
#[derive(Debug)]
pub(crate) struct Local {
    at: At,
    attribute: usize,
    value: OnceLock<Result<Value, ContentError>>,
}

/// A variable.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) at: At,
    /// Where its value is from and its text, where the user gave one.
    pub(crate) given: Option<(String, String)>,
    /// The argument of the mod that requires this one: its mod, source and expression.
    pub(crate) required: Option<(usize, usize, Expression)>,
    value: OnceLock<Result<Value, ContentError>>,
}

/// Blocks of Powerpipe that are not ours.
const SKIPPED: &[&str] = &[
    "card",
    "category",
    "chart",
    "connection",
    "container",
    "dashboard",
    "detection",
    "detection_benchmark",
    "edge",
    "flow",
    "graph",
    "hierarchy",
    "image",
    "input",
    "node",
    "table",
    "text",
    "with",
];

impl Module {
    /// Finds what the files of a mod define.
    pub(crate) fn collect(folder: PathBuf, sources: Vec<Source>) -> Result<Module, LoadError> {
        let mut bad: Vec<ContentError> = Vec::new();
        let mut block: Option<(At, String)> = None;
        let mut things: BTreeMap<(Kind, String), At> = BTreeMap::new();
        let mut locals: BTreeMap<String, Local> = BTreeMap::new();
        let mut variables: BTreeMap<String, Variable> = BTreeMap::new();
        let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
        let taken = |first: At, source: &Source, at: &Block, what: String| {
            let first = sources[first.source].place(sources[first.source].body.get(first.item).and_then(Structure::span));
            let hint = format!("{}:{} has it; rename one of the two", first.file, first.line);
            error_at(&source.place(at.ident.span()), format!("{what} is defined twice"), Some(hint))
        };
        for (s, source) in sources.iter().enumerate() {
            for (i, structure) in source.body.iter().enumerate() {
                let at = At { source: s, item: i };
                let b = match structure {
                    Structure::Block(b) => b,
                    Structure::Attribute(a) => {
                        let message = format!("the attribute '{}' stands outside of a block", a.key.as_str());
                        bad.push(error_at(&source.place(a.span()), message, Some("put it into a block".to_owned())));
                        continue;
                    }
                };
                match b.ident.as_str() {
                    "locals" => {
                        for (n, part) in b.body.iter().enumerate() {
                            let Structure::Attribute(a) = part else {
                                let hint = "write name = value".to_owned();
                                bad.push(error_at(&source.place(part.span()), "a block inside of locals", Some(hint)));
                                continue;
                            };
                            let name = a.key.as_str().to_owned();
                            if let Some(first) = locals.get(&name) {
                                let place = sources[first.at.source]
                                    .place(sources[first.at.source].body.get(first.at.item).and_then(Structure::span));
                                let hint = format!("the block at {}:{} has it; rename one of the two", place.file, place.line);
                                bad.push(error_at(&source.place(a.span()), format!("local '{name}' is defined twice"), Some(hint)));
                                continue;
                            }
                            locals.insert(name, Local { at, attribute: n, value: OnceLock::new() });
                        }
                    }
                    "variable" => {
                        let Some(name) = kept(label(source, b), &mut bad) else { continue };
                        if let Some(first) = variables.get(&name) {
                            bad.push(taken(first.at, source, b, format!("variable '{name}'")));
                            continue;
                        }
                        variables.insert(name, Variable { at, given: None, required: None, value: OnceLock::new() });
                    }
                    "mod" => {
                        let Some(name) = kept(label(source, b), &mut bad) else { continue };
                        if let Some((first, _)) = block {
                            bad.push(taken(first, source, b, "the mod".to_owned()));
                            continue;
                        }
                        block = Some((at, name));
                    }
                    word @ ("benchmark" | "control" | "query") => {
                        let Some(kind) = Kind::parse(word) else { continue };
                        let Some(name) = kept(label(source, b), &mut bad) else { continue };
                        let key = (kind, name);
                        if let Some(first) = things.get(&key) {
                            bad.push(taken(*first, source, b, format!("{word} '{}'", key.1)));
                            continue;
                        }
                        things.insert(key, at);
                    }
                    word if SKIPPED.contains(&word) => *skipped.entry(word.to_owned()).or_default() += 1,
                    word => {
                        let known = Kind::WORDS.into_iter().chain(["locals", "variable"]);
                        let hint = did_you_mean(word, known.chain(SKIPPED.iter().copied()));
                        bad.push(error_at(&source.place(b.ident.span()), format!("there is no block '{word}'"), hint));
                    }
                }
            }
        }
        let Some((block, name)) = block else {
            let at = Place { file: folder.join("mod.pp").display().to_string().into(), line: 1, column: 1 };
            bad.push(error_at(&at, "the mod has no name", Some("begin with `mod \"name\" {}`".to_owned())));
            return Err(LoadError::Several(bad));
        };
        // What comes twice does not make anything else wrong: the first counts.
        Ok(Module { name, folder, sources, block, things, locals, variables, missing: Vec::new(), skipped, bad })
    }

    /// The block at a place.
    pub(crate) fn block(&self, at: At) -> Option<&Block> {
        self.sources.get(at.source)?.body.get(at.item)?.as_block()
    }

    /// An attribute of a block.
    pub(crate) fn attribute(&self, at: At, name: &str) -> Option<&Attribute> {
        self.block(at)?.body.get_attribute(name)
    }

    /// Where a block begins.
    pub(crate) fn place(&self, at: At) -> Place {
        self.sources[at.source].place(self.block(at).and_then(|b| b.ident.span()))
    }

    /// What is read over, as one line.
    pub(crate) fn notice(&self) -> Option<String> {
        let parts: Vec<String> = self.skipped.iter().map(|(word, n)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" })).collect();
        (!parts.is_empty())
            .then(|| format!("mod {}: read over: {}; assay runs controls, benchmarks and queries", self.name, parts.join(", ")))
    }
}

fn kept<T>(found: Result<T, ContentError>, bad: &mut Vec<ContentError>) -> Option<T> {
    found.map_err(|e| bad.push(e)).ok()
}

fn label(source: &Source, block: &Block) -> Result<String, ContentError> {
    let word = block.ident.as_str();
    let [only] = block.labels.as_slice() else {
        let message = format!("'{word}' must have one name");
        return Err(error_at(&source.place(block.ident.span()), message, Some(format!("write `{word} \"name\" {{ … }}`"))));
    };
    let name = only.as_str();
    let fine = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(fine) || name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let hint = "letters, digits, '_' and '-', beginning with a letter".to_owned();
        return Err(error_at(&source.place(only.span()), format!("'{name}' cannot name a {word}"), Some(hint)));
    }
    Ok(name.to_owned())
}

impl Evaluator<'_> {
    pub(crate) fn local(&self, module: usize, name: &str, place: &Place) -> Result<Value, ContentError> {
        let m = &self.world.modules[module];
        let Some(local) = m.locals.get(name) else {
            let hint = did_you_mean(name, m.locals.keys().map(String::as_str));
            return Err(error_at(place, format!("there is no local '{name}'"), hint));
        };
        // Not `get_or_init`: two threads that need each other's locals would wait for ever.
        if let Some(known) = local.value.get() {
            return known.clone();
        }
        let value = self.named(format!("local.{name}"), place, || {
            let source = &m.sources[local.at.source];
            let attribute = m.block(local.at).and_then(|b| b.body.get(local.attribute)).and_then(Structure::as_attribute);
            match attribute {
                Some(a) => self.expr(&Frame { module, source, names: None }, &a.value),
                None => Ok(Value::Null),
            }
        })?;
        local.value.get_or_init(|| Ok(value)).clone()
    }

    pub(crate) fn var(&self, module: usize, name: &str, place: &Place) -> Result<Value, ContentError> {
        let m = &self.world.modules[module];
        let Some(variable) = m.variables.get(name) else {
            let hint = did_you_mean(name, m.variables.keys().map(String::as_str));
            return Err(error_at(place, format!("mod '{}' has no variable '{name}'", m.name), hint));
        };
        if let Some(known) = variable.value.get() {
            return known.clone();
        }
        let value = self.named(format!("var.{name}"), place, || self.variable_value(module, name, variable));
        variable.value.get_or_init(|| value).clone()
    }

    fn variable_value(&self, module: usize, name: &str, variable: &Variable) -> Result<Value, ContentError> {
        let m = &self.world.modules[module];
        let source = &m.sources[variable.at.source];
        let frame = Frame { module, source, names: None };
        let at = m.place(variable.at);
        let default = match m.attribute(variable.at, "default") {
            Some(a) => Some((self.expr(&frame, &a.value)?, source.place(a.value.span()))),
            None => None,
        };
        let kind = match m.attribute(variable.at, "type") {
            Some(a) => types::parse(&a.value).map_err(|(span, why)| error_at(&source.place(span), why, Some(types::HINT.to_owned())))?,
            None => default.as_ref().map_or(Type::Any, |(v, _)| Type::like(v)),
        };
        let (value, from) = if let Some((origin, text)) = &variable.given {
            let value = kind
                .read(text)
                .map_err(|why| error_at(&at, format!("variable '{name}': {why}"), Some(format!("the value is from {origin}"))))?;
            (value, at.clone())
        } else if let Some((parent, s, expr)) = &variable.required {
            let source = &self.world.modules[*parent].sources[*s];
            (self.expr(&Frame { module: *parent, source, names: None }, expr)?, source.place(expr.span()))
        } else if let Some((value, place)) = default {
            (value, place)
        } else if self.world.looked_at {
            (kind.empty(), at.clone())
        } else {
            let hint = format!("give it one: --var {name}=…, PP_VAR_{name} in the environment, or a line in a .ppvars file");
            return Err(error_at(&at, format!("variable '{name}' of mod '{}' has no value", m.name), Some(hint)));
        };
        kind.convert(&value).map_err(|why| error_at(&from, format!("variable '{name}': {why}"), None))
    }

    /// An attribute of a control, benchmark, query or mod; null where it has none.
    pub(crate) fn attribute_of(&self, thing: &Thing, name: &str, place: &Place) -> Result<Value, ContentError> {
        let Some(module) = thing.module else {
            let message = format!("the attributes of {} '{}' cannot be read from a mod", thing.kind.word(), thing.name);
            return Err(error_at(place, message, Some("it is no mod's".to_owned())));
        };
        let m = &self.world.modules[module];
        let at = match thing.kind {
            Kind::Mod => m.block,
            kind => m.things.get(&(kind, thing.name.to_string())).copied().unwrap_or(m.block),
        };
        if let Some(a) = m.attribute(at, name) {
            let source = &m.sources[at.source];
            let full = format!("{}.{}.{name}", thing.kind.word(), thing.name);
            return self.named(full, place, || self.expr(&Frame { module, source, names: None }, &a.value));
        }
        let base = if name == "base" { Value::Null } else { self.base(thing, at, module)? };
        match base {
            Value::Thing(base) => {
                self.named(format!("{}.{}.base", thing.kind.word(), thing.name), place, || self.attribute_of(&base, name, place))
            }
            _ if thing.kind.attributes().contains(&name) => Ok(Value::Null),
            _ => {
                let hint = did_you_mean(name, thing.kind.attributes().iter().copied());
                Err(error_at(place, format!("{} has no attribute '{name}'", thing.kind.article()), hint))
            }
        }
    }

    fn base(&self, thing: &Thing, at: At, module: usize) -> Result<Value, ContentError> {
        let m = &self.world.modules[module];
        match m.attribute(at, "base") {
            Some(a) if matches!(thing.kind, Kind::Control | Kind::Benchmark) => {
                self.expr(&Frame { module, source: &m.sources[at.source], names: None }, &a.value)
            }
            _ => Ok(Value::Null),
        }
    }

    /// Refuses attributes that are nearly known, and names those that are not known at all.
    pub(crate) fn unknown_attributes(&self, module: usize, kind: Kind, at: At) -> Result<Vec<String>, ContentError> {
        let m = &self.world.modules[module];
        let source = &m.sources[at.source];
        let mut notices = Vec::new();
        for a in m.block(at).map(|b| b.body.attributes()).into_iter().flatten() {
            let name = a.key.as_str();
            if kind.attributes().contains(&name) {
                continue;
            }
            let place = source.place(a.key.span());
            let message = format!("{} has no attribute '{name}'", kind.article());
            if let Some(hint) = did_you_mean(name, kind.attributes().iter().copied()) {
                return Err(error_at(&place, message, Some(hint)));
            }
            notices.push(format!("{}:{}:{}: {message}; it is read over", place.file, place.line, place.column));
        }
        Ok(notices)
    }
}
