//! The walls between the rooms, checked against `cargo metadata`: which room may use which, and what each must never depend on.
//! The tables here are those of docs/architecture.md.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Room → rooms it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("cloud", &[]),
    ("tables", &[]),
    ("engine", &["cloud", "tables"]),
    ("compliance", &[]),
    ("report", &["compliance"]),
    ("rotation", &["cloud"]),
    ("cli", &["cloud", "tables", "engine", "compliance", "report", "rotation"]),
];

/// Room → crates that must not be in its dependency tree (a trailing `*` is a prefix).
const NEVER: &[(&str, &[&str])] = &[
    ("cloud", &["arrow*", "datafusion*"]),
    ("tables", &["tokio", "reqwest", "datafusion*"]),
    ("compliance", &["arrow*", "datafusion*", "reqwest"]),
    ("report", &["datafusion*", "reqwest"]),
    ("rotation", &["arrow*", "datafusion*"]),
];

struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// The resolved graph of normal and build dependencies; development dependencies do not reach users.
    fn load() -> Graph {
        // only this machine's dependencies: those of other systems need not be downloaded
        let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let host = version.lines().find_map(|l| l.strip_prefix("host: ")).expect("rustc names its host");
        let out = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo metadata runs");
        assert!(out.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&out.stderr));
        let doc: Value = serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON");
        let text = |v: &Value, k: &str| v[k].as_str().expect("a string").to_owned();
        let list = |v: &Value| v.as_array().expect("an array").clone();
        let names = list(&doc["packages"]).iter().map(|p| (text(p, "id"), text(p, "name"))).collect();
        let edges = list(&doc["resolve"]["nodes"])
            .iter()
            .map(|n| {
                let to = list(&n["deps"])
                    .iter()
                    .filter(|d| list(&d["dep_kinds"]).iter().any(|k| k["kind"] != "dev"))
                    .map(|d| text(d, "pkg"))
                    .collect();
                (text(n, "id"), to)
            })
            .collect();
        Graph { names, edges }
    }

    fn id_of(&self, name: &str) -> &str {
        self.names.iter().find(|(_, n)| *n == name).map(|(id, _)| id.as_str()).unwrap_or_else(|| panic!("no package {name}"))
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[self.id_of(name)].iter().map(|id| self.names[id].as_str()).collect()
    }

    fn reachable(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut queue = vec![self.id_of(name).to_owned()];
        while let Some(id) = queue.pop() {
            for to in &self.edges[&id] {
                if seen.insert(self.names[to].as_str()) {
                    queue.push(to.clone());
                }
            }
        }
        seen
    }
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let graph = Graph::load();
    let rooms: BTreeSet<&str> = graph.names.values().filter_map(|n| n.strip_prefix("assay-")).collect();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, known, "a room was added or removed: update docs/architecture.md and this table");
    for (room, may) in MAY_USE {
        for used in graph.direct(&format!("assay-{room}")) {
            if let Some(other) = used.strip_prefix("assay-") {
                assert!(may.contains(&other), "room {room} uses room {other}: not in the table of docs/architecture.md");
            }
        }
    }
}

#[test]
fn rooms_do_not_depend_on_what_they_must_never() {
    let graph = Graph::load();
    for (room, never) in NEVER {
        for used in graph.reachable(&format!("assay-{room}")) {
            let hit = never.iter().find(|n| n.strip_suffix('*').map_or(used == **n, |prefix| used.starts_with(prefix)));
            assert!(hit.is_none(), "room {room} depends on {used}, which it must never");
        }
    }
}

#[test]
fn main_stays_a_door() {
    let main = include_str!("../src/main.rs");
    assert!(main.lines().count() <= 30, "src/main.rs only parses, runs and exits");
}

/// `engine` must not know any concrete service: no service's name stands in its code.
#[test]
fn the_engine_names_no_service() {
    let mut checked = 0;
    let mut queue = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine"))];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).expect("src/engine is readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                queue.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            checked += 1;
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let of_tests = |name: &std::ffi::OsStr| name.to_string_lossy().trim_end_matches(".rs").ends_with("tests");
            if path.components().any(|c| of_tests(c.as_os_str())) {
                continue;
            }
            for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                for service in [
                    "\"iam\"",
                    "\"ec2\"",
                    "\"s3\"",
                    "\"kms\"",
                    "aws_iam",
                    "aws_s3",
                    "aws_ec2",
                    "ListUsers",
                    "\"arm\"",
                    "azure_storage",
                    "Microsoft.",
                ] {
                    assert!(!line.contains(service), "{}:{}: the engine names a service: {line}", path.display(), n + 1);
                }
            }
        }
    }
    assert!(checked > 5, "the engine's sources were not found");
}

/// Crates whose calls change something in a cloud. They are `rotation`'s alone.
const WRITING_CRATES: &[&str] = &["aws-sdk-iam", "aws-sdk-secretsmanager", "aws-sdk-sts"];

#[test]
fn only_rotation_depends_on_what_writes() {
    let graph = Graph::load();
    let rooms: Vec<&String> = graph.names.values().filter(|n| n.starts_with("assay")).collect();
    assert!(rooms.len() > 5, "{rooms:?}");
    for room in rooms {
        let writing: Vec<&str> = graph.direct(room).into_iter().filter(|used| used.starts_with("aws-sdk-")).collect();
        match room.as_str() {
            "assay-rotation" => assert_eq!(writing, WRITING_CRATES, "a larger SDK crate costs minutes of every build"),
            _ => assert!(writing.is_empty(), "{room} depends on {writing:?}, which only rotation may"),
        }
    }
}

/// Words by which sources get at the way out for writes.
const WRITER: &[&str] = &["::writer", ".writer(&", "ArmWrite", "WriteFailure", "aws_sdk_"];

#[test]
fn only_rotation_takes_the_way_out_for_writes() {
    // Where the way out is made.
    let made =
        ["src/cloud/writer", "src/cloud/azure/writes.rs", "src/cloud/azure/client.rs", "src/cloud/aws/failure.rs", "src/cloud/own_keys.rs"];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut queue = vec![root.join("src")];
    let (mut checked, mut found) = (0, 0);
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).expect("the sources are readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                queue.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            checked += 1;
            let name = path.strip_prefix(root).expect("a source of ours").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a source file");
            let uses = text.lines().filter(|l| !l.trim_start().starts_with("//")).find(|l| WRITER.iter().any(|w| l.contains(w)));
            found += usize::from(uses.is_some());
            let may = name.starts_with("src/rotation/") || made.iter().any(|m| name.starts_with(m));
            assert!(may || uses.is_none(), "{name} takes the way out for writes: {}", uses.unwrap_or_default());
        }
    }
    assert!(checked > 100 && found > 5, "the sources were not found: {checked}, {found}");
}
