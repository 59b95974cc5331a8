//! The embedded service models: one file, an index, one compressed block for each service. Nothing is decompressed before it is
//! asked for, and no JSON of a block is parsed before that fact is. `models/generate.py` describes the layout.

use crate::container::{self, Place};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

static FILE: &[u8] = include_bytes!("../models/aws.bin");

/// A JSON fact that is parsed when it is first read. Models live as long as the process, so texts and values are leaked once.
#[derive(Debug)]
pub(super) struct Fact {
    text: &'static str,
    value: OnceLock<&'static Value>,
}

impl Fact {
    fn new(text: &'static str) -> Fact {
        Fact { text, value: OnceLock::new() }
    }

    /// The value; `Null` if the text is not JSON, which a test over the whole file excludes.
    pub(super) fn value(&self) -> &'static Value {
        self.value.get_or_init(|| Box::leak(Box::new(serde_json::from_str(self.text).unwrap_or_default())))
    }

    /// The value's members; none if it is not an object.
    pub(super) fn object(&self) -> &'static Map<String, Value> {
        static EMPTY: OnceLock<Map<String, Value>> = OnceLock::new();
        self.value().as_object().unwrap_or_else(|| EMPTY.get_or_init(Map::new))
    }
}

/// Facts by name, sorted.
#[derive(Debug, Default)]
pub(super) struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    pub(super) fn get(&self, name: &str) -> Option<(&'static str, &Fact)> {
        let at = self.0.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
        let (name, fact) = self.0.get(at)?;
        Some((name, fact))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(n, _)| *n)
    }
}

/// What is known about one service.
#[derive(Debug)]
pub(super) struct ServiceFacts {
    pub(super) metadata: Fact,
    pub(super) regions: Fact,
    pub(super) rules: Fact,
    pub(super) paginators: Facts,
    pub(super) operations: Facts,
    pub(super) shapes: Facts,
}

impl ServiceFacts {
    /// Reads a block's lines: `KIND NAME JSON`.
    pub(super) fn read(text: &'static str) -> ServiceFacts {
        let none = || Fact::new("null");
        let mut facts = ServiceFacts {
            metadata: none(),
            regions: none(),
            rules: none(),
            paginators: Facts::default(),
            operations: Facts::default(),
            shapes: Facts::default(),
        };
        for line in text.lines() {
            let mut parts = line.splitn(3, ' ');
            let (Some(kind), Some(name), Some(json)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let fact = Fact::new(json);
            match kind {
                "M" => facts.metadata = fact,
                "G" => facts.regions = fact,
                "R" => facts.rules = fact,
                "P" => facts.paginators.0.push((name, fact)),
                "O" => facts.operations.0.push((name, fact)),
                "S" => facts.shapes.0.push((name, fact)),
                _ => {}
            }
        }
        for table in [&mut facts.paginators, &mut facts.operations, &mut facts.shapes] {
            table.0.sort_by_key(|(n, _)| *n);
        }
        facts
    }
}

#[derive(Debug)]
struct Index {
    dictionary: Place,
    partitions: Value,
    services: BTreeMap<String, Place>,
    blocks: &'static [u8],
}

fn read_index() -> Option<Index> {
    let (mut doc, blocks) = container::open(FILE)?;
    Some(Index {
        dictionary: Place::read(doc.get("dictionary")?)?,
        services: Place::read_all(doc.get("services")?)?,
        partitions: doc.remove("partitions")?,
        blocks,
    })
}

/// `None` only for a damaged file, which a test excludes.
fn index() -> Option<&'static Index> {
    static INDEX: OnceLock<Option<Index>> = OnceLock::new();
    INDEX.get_or_init(read_index).as_ref()
}

impl Index {
    fn dictionary(&self) -> Option<&'static [u8]> {
        static DICTIONARY: OnceLock<Option<Vec<u8>>> = OnceLock::new();
        let read = || zstd::bulk::decompress(self.dictionary.packed(self.blocks)?, self.dictionary.length).ok();
        DICTIONARY.get_or_init(read).as_deref()
    }

    fn block(&self, place: Place) -> Option<&'static str> {
        let mut decoder = zstd::bulk::Decompressor::with_dictionary(self.dictionary()?).ok()?;
        let bytes = decoder.decompress(place.packed(self.blocks)?, place.length).ok()?;
        Some(String::from_utf8(bytes).ok()?.leak())
    }
}

/// Names of all services, sorted.
pub(super) fn service_names() -> impl Iterator<Item = &'static str> {
    index().into_iter().flat_map(|i| i.services.keys().map(String::as_str))
}

/// The partitions document that endpoint rules read.
pub(super) fn partitions() -> &'static Value {
    static NONE: Value = Value::Null;
    index().map_or(&NONE, |i| &i.partitions)
}

/// A service's facts: decompressed at the first call, kept for the life of the process.
pub(super) fn service(name: &str) -> Option<(&'static str, &'static ServiceFacts)> {
    static LOADED: OnceLock<Mutex<HashMap<&'static str, &'static ServiceFacts>>> = OnceLock::new();
    let index = index()?;
    let (name, place) = index.services.get_key_value(name)?;
    let mut loaded = LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(facts) = loaded.get(name.as_str()) {
        return Some((name, facts));
    }
    let facts: &'static ServiceFacts = Box::leak(Box::new(ServiceFacts::read(index.block(*place)?)));
    loaded.insert(name, facts);
    Some((name, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn every_fact_of_every_service_is_readable() {
        let names: Vec<_> = service_names().collect();
        assert!(names.len() >= 430, "{} services", names.len());
        let (mut operations, mut shapes) = (0, 0);
        for name in names {
            let (_, s) = service(name).unwrap();
            for fact in [&s.metadata, &s.rules, &s.regions] {
                assert!(fact.value().is_object(), "{name}");
            }
            for (what, table) in [("P", &s.paginators), ("O", &s.operations), ("S", &s.shapes)] {
                for (n, fact) in &table.0 {
                    assert!(fact.value().is_object(), "{name} {what} {n}: {}", fact.text);
                }
            }
            // what an operation or a shape refers to is there
            for (n, fact) in s.operations.0.iter().chain(&s.shapes.0) {
                let def = fact.object();
                let members = def.get("members").and_then(Value::as_object).into_iter().flat_map(Map::values);
                let refs = ["input", "output", "member", "key", "value"].iter().filter_map(|k| def.get(*k));
                for r in members.chain(refs) {
                    let target = r.get("shape").and_then(Value::as_str).unwrap();
                    assert!(s.shapes.get(target).is_some(), "{name} {n} -> {target}");
                }
            }
            operations += s.operations.0.len();
            shapes += s.shapes.0.len();
        }
        assert!(operations > 19_000 && shapes > 120_000, "{operations} operations, {shapes} shapes");
    }

    #[test]
    fn the_file_is_small_and_a_service_loads_fast() {
        assert!(FILE.len() < 3_000_000, "{} bytes", FILE.len());
        index().unwrap().dictionary().unwrap();
        for name in ["iam", "ec2"] {
            let place = index().unwrap().services[name];
            let start = Instant::now();
            ServiceFacts::read(index().unwrap().block(place).unwrap());
            println!("{name}: {} bytes loaded in {:?}", place.length, start.elapsed());
        }
    }

    #[test]
    fn unknown_names_are_none() {
        assert!(service("no-such-service").is_none());
        assert!(service("iam").unwrap().1.operations.get("NoSuchOperation").is_none());
    }
}
