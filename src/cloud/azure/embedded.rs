//! The embedded facts about Azure's APIs: a compressed block for each management package, and the hand-written ones.
//!
//! `models/generate_azure.py` describes the layout and the types; `models/azure-facts.txt` has what no package says.

use crate::container::{self, Place};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

static FILE: &[u8] = include_bytes!("../models/azure.bin");
static FACTS: &str = include_str!("../models/azure-facts.txt");

/// An operation as a block has it.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) group: &'static str,
    /// `GET /subscriptions/{}/…`
    pub(super) name: &'static str,
    text: &'static str,
    facts: OnceLock<Map<String, Value>>,
}

impl Op {
    /// `v`: versions with the types of their answers, `q`: query parameters, `b`: body, `p`: pages.
    pub(super) fn facts(&'static self) -> &'static Map<String, Value> {
        self.facts.get_or_init(|| serde_json::from_str(self.text).unwrap_or_default())
    }
}

/// The facts of one package, or the hand-written ones of one API.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) operations: Vec<Op>,
    shapes: HashMap<&'static str, &'static str>,
    filters: Vec<(&'static str, &'static str)>,
}

impl Group {
    /// The members of a shape with their types.
    pub(super) fn shape(&self, name: &str) -> Option<Map<String, Value>> {
        serde_json::from_str(self.shapes.get(name)?).ok()
    }

    /// Clauses that the `$filter` of an operation may have, where that is known.
    pub(super) fn filter(&self, operation: &str) -> Option<Vec<String>> {
        let (_, text) = self.filters.iter().find(|(name, _)| name.eq_ignore_ascii_case(operation))?;
        serde_json::from_str(text).ok()
    }

    /// Reads `KIND⇥NAME⇥JSON`.
    fn line(&mut self, group: &'static str, line: &'static str) {
        let mut parts = line.splitn(3, '\t');
        let (Some(kind), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else { return };
        match kind {
            "O" => self.operations.push(Op { group, name, text, facts: OnceLock::new() }),
            "S" => {
                self.shapes.insert(name, text);
            }
            "F" => self.filters.push((name, text)),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Index {
    groups: BTreeMap<String, Place>,
    providers: BTreeMap<String, Vec<String>>,
    blocks: &'static [u8],
}

fn index() -> Option<&'static Index> {
    static INDEX: OnceLock<Option<Index>> = OnceLock::new();
    let read = || {
        let (doc, blocks) = container::open(FILE)?;
        let providers = doc.get("providers")?.as_object()?.iter();
        let names = |v: &Value| Some(v.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Some(Index {
            groups: Place::read_all(doc.get("groups")?)?,
            providers: providers.map(|(k, v)| Some((k.clone(), names(v)?))).collect::<Option<_>>()?,
            blocks,
        })
    };
    INDEX.get_or_init(read).as_ref()
}

/// Names of the groups that have operations of a provider (its namespace in lower case); none for one that is not known.
pub(super) fn groups_of(provider: &str) -> &'static [String] {
    index().and_then(|i| i.providers.get(provider)).map_or(&[], Vec::as_slice)
}

/// Namespaces of all providers, in lower case, sorted.
pub(super) fn providers() -> impl Iterator<Item = &'static str> {
    index().into_iter().flat_map(|i| i.providers.keys().map(String::as_str))
}

/// Names of all groups made from packages, sorted.
pub(super) fn group_names() -> impl Iterator<Item = &'static str> {
    index().into_iter().flat_map(|i| i.groups.keys().map(String::as_str))
}

/// The hand-written facts by API. Lines are `API⇥KIND⇥NAME⇥JSON`; what begins with `#` says where they are from.
fn written() -> &'static BTreeMap<&'static str, Group> {
    static GROUPS: OnceLock<BTreeMap<&'static str, Group>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let mut groups: BTreeMap<&'static str, Group> = BTreeMap::new();
        for line in FACTS.lines().filter(|l| !l.starts_with('#')) {
            if let Some((api, rest)) = line.split_once('\t') {
                groups.entry(api).or_default().line(api, rest);
            }
        }
        groups
    })
}

/// A group: decompressed at the first call, kept for the life of the process.
pub(super) fn group(name: &str) -> Option<&'static Group> {
    if let Some(group) = written().get(name) {
        return Some(group);
    }
    static LOADED: OnceLock<Mutex<HashMap<&'static str, &'static Group>>> = OnceLock::new();
    let index = index()?;
    let (name, place) = index.groups.get_key_value(name)?;
    let mut loaded = LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(group) = loaded.get(name.as_str()) {
        return Some(group);
    }
    let bytes = zstd::bulk::decompress(place.packed(index.blocks)?, place.length).ok()?;
    let text: &'static str = String::from_utf8(bytes).ok()?.leak();
    let mut group = Group::default();
    text.lines().for_each(|line| group.line(name, line));
    let group: &'static Group = Box::leak(Box::new(group));
    loaded.insert(name, group);
    Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_of_every_group_is_readable() {
        let mut names: Vec<_> = group_names().collect();
        names.extend(written().keys());
        let (mut operations, mut shapes) = (0, 0);
        for name in names {
            let g = group(name).unwrap();
            let known = |t: &str| {
                let t = t.trim_start_matches(['[', '{']);
                assert!(g.shapes.contains_key(t) || ["s", "i", "f", "b", "t", "a"].contains(&t), "{name}: {t}");
            };
            for op in &g.operations {
                let facts = op.facts();
                assert!(op.name.starts_with("GET ") || op.name.starts_with("POST "), "{name} {}", op.name);
                let versions = facts["v"].as_object().unwrap();
                assert!(!versions.is_empty(), "{name} {}", op.name);
                versions.values().chain(facts.get("b")).for_each(|t| known(t.as_str().unwrap()));
                let parameters = facts.get("q").and_then(Value::as_object);
                parameters.into_iter().flatten().for_each(|(_, t)| known(t.as_str().unwrap().trim_end_matches('?')));
            }
            for shape in g.shapes.keys() {
                g.shape(shape).unwrap().values().for_each(|t| known(t.as_str().unwrap()));
            }
            operations += g.operations.len();
            shapes += g.shapes.len();
        }
        assert!(operations > 3_000 && shapes > 8_000, "{operations} operations, {shapes} shapes");
    }

    #[test]
    fn the_file_is_small_and_every_line_of_the_written_facts_counts() {
        assert!(FILE.len() < 600_000, "{} bytes", FILE.len());
        let lines = FACTS.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
        let read: usize = written().values().map(|g| g.operations.len() + g.shapes.len() + g.filters.len()).sum();
        assert_eq!(read, lines);
        for (name, _) in written().values().flat_map(|g| &g.filters) {
            assert!(written().values().any(|g| g.filter(name).is_some_and(|clauses| !clauses.is_empty())), "{name}");
        }
    }

    #[test]
    fn unknown_names_are_none() {
        assert!(group("no-such-package").is_none());
        assert!(group("storage").unwrap().shape("NoSuchShape").is_none());
        assert!(groups_of("microsoft.nothing").is_empty());
    }
}
