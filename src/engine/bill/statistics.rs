//! What earlier runs cost: how many distinct calls each statement asked for, by table and operation.
//!
//! Owns: the file's format, and which run a statement is. Numbers only, beside the names of tables and operations, which ship with assay: no
//! account, no name of anything in a cloud, no answer. Refuses: to fail; a file that cannot be understood counts as none.

use super::Asked;
use crate::Engine;
use assay_cloud::Metered;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes with the meaning of what is kept.
const VERSION: u64 = 1;
/// Statements that are remembered; the oldest go first.
const MOST_RECORDS: usize = 1_000;

/// Calls of one operation for one table, over all scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// The table; empty for scopes and credentials.
    pub(super) table: String,
    pub(super) service: String,
    pub(super) operation: String,
    /// Accounts and regions that were asked.
    pub(super) scopes: usize,
    pub(super) calls: u64,
    /// Equal where the calls were the same ones.
    pub(super) mark: u32,
}

/// What a run of one or more statements cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub(super) at: DateTime<Utc>,
    /// Of the connections it was asked of.
    pub(super) shape: String,
    pub(super) cells: Vec<Cell>,
    /// Milliseconds a call took.
    pub(super) latency: Option<f64>,
}

impl Record {
    /// From what a meter counted until `at`.
    pub fn new(at: DateTime<Utc>, shape: &str, metered: &[Metered], latency: Option<Duration>) -> Record {
        let latency = latency.map(|latency| (latency.as_secs_f64() * 10_000.0).round() / 10.0);
        Record { at, shape: shape.to_owned(), cells: cells(metered), latency }
    }

    fn read(value: &Value) -> Option<Record> {
        let cells = value["calls"].as_array()?.iter().map(|cell| {
            let number = |at: usize| cell[at].as_u64();
            Some(Cell {
                table: cell[0].as_str()?.to_owned(),
                service: cell[1].as_str()?.to_owned(),
                operation: cell[2].as_str()?.to_owned(),
                scopes: usize::try_from(number(3)?).ok()?,
                calls: number(4)?,
                mark: u32::try_from(number(5)?).ok()?,
            })
        });
        Some(Record {
            at: DateTime::parse_from_rfc3339(value["at"].as_str()?).ok()?.with_timezone(&Utc),
            shape: value["shape"].as_str()?.to_owned(),
            cells: cells.collect::<Option<_>>()?,
            latency: value["ms"].as_f64(),
        })
    }

    fn write(&self) -> Value {
        let cell = |c: &Cell| json!([c.table, c.service, c.operation, c.scopes, c.calls, c.mark]);
        let mut value = json!({"at": self.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), "shape": self.shape});
        if let Some(latency) = self.latency {
            value["ms"] = json!(latency);
        }
        value["calls"] = self.cells.iter().map(cell).collect();
        value
    }
}

/// Places, calls and their mark.
type Sum<'a> = (BTreeSet<(&'a str, &'a str)>, u64, u32);

/// What a meter counted, without places.
pub(super) fn cells(metered: &[Metered]) -> Vec<Cell> {
    // By table, service and operation: places, calls, mark.
    let mut all: BTreeMap<[&str; 3], Sum<'_>> = BTreeMap::new();
    for m in metered {
        let cell = all.entry([&*m.table, &*m.place.service, &*m.place.operation]).or_default();
        cell.0.insert((&*m.place.login, &*m.place.region));
        cell.1 += m.calls;
        cell.2 ^= m.mark;
    }
    let cell = |([table, service, operation], (scopes, calls, mark)): ([&str; 3], Sum<'_>)| Cell {
        table: table.to_owned(),
        service: service.to_owned(),
        operation: operation.to_owned(),
        scopes: scopes.len(),
        calls,
        mark,
    };
    all.into_iter().map(cell).collect()
}

/// What is remembered of earlier runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    records: BTreeMap<String, Record>,
}

impl Statistics {
    /// Reads what [`Statistics::write`] wrote; `None` for anything else.
    pub fn read(text: &str) -> Option<Statistics> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["version"].as_u64() != Some(VERSION) {
            return None;
        }
        let records = value["runs"].as_object()?.iter().map(|(key, record)| Some((key.clone(), Record::read(record)?)));
        Some(Statistics { records: records.collect::<Option<_>>()? })
    }

    /// As text; the same statistics give the same text.
    pub fn write(&self) -> String {
        let runs: Map<String, Value> = self.records.iter().map(|(key, record)| (key.clone(), record.write())).collect();
        format!("{}\n", json!({"version": VERSION, "runs": runs}))
    }

    /// Remembers a run, in place of what is known of the same.
    pub fn remember(&mut self, key: String, record: Record) {
        self.records.insert(key, record);
        while self.records.len() > MOST_RECORDS {
            let oldest = self.records.iter().min_by_key(|(key, record)| (record.at, (*key).clone())).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.records.remove(&oldest);
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Record> {
        self.records.get(key)
    }

    /// Records of the same connections, the newest first.
    pub(super) fn of_shape<'a>(&'a self, shape: &str) -> Vec<&'a Record> {
        let mut all: Vec<&Record> = self.records.values().filter(|record| record.shape == shape).collect();
        all.sort_by_key(|record| std::cmp::Reverse(record.at));
        all
    }
}

impl Engine {
    /// What tells the connections of this engine from others, as far as it decides which calls are made.
    pub fn shape(&self) -> String {
        let cloud = self.cloud();
        let names = crate::scopes::real_connections(cloud, &self.shared.search_path);
        let mut text: Vec<String> = names.iter().map(|name| cloud.shape_of(name)).collect();
        // Summaries take the place of calls, where they may be old enough.
        text.push(self.shared.max_staleness().num_seconds().to_string());
        format!("{:016x}", hash(&text.join("\n")))
    }

    /// What tells a run of these statements from others; their order does not matter.
    pub fn run_key(&self, statements: &[Asked<'_>]) -> String {
        let key = |(sql, args): &Asked<'_>| {
            let mut args: Vec<String> = args.iter().map(|arg| format!("{}={}", arg.name, arg.value)).collect();
            args.sort_unstable();
            hash(&format!("{}\n{}", sql.trim().trim_end_matches(';').trim_end(), args.join("\n")))
        };
        let all: BTreeSet<u64> = statements.iter().map(key).collect();
        let all: Vec<String> = all.iter().map(|key| format!("{key:016x}")).collect();
        format!("{:016x}{}", hash(&all.join(" ")), self.shape())
    }
}

/// FNV-1a, the same in every process.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seconds: i64, calls: u64) -> Record {
        let cell = Cell { table: "t".into(), service: "iam".into(), operation: "ListUsers".into(), scopes: 3, calls, mark: 7 };
        Record { at: DateTime::from_timestamp(seconds, 0).unwrap(), shape: "s".into(), cells: vec![cell], latency: Some(12.5) }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut statistics = Statistics::default();
        statistics.remember("b".into(), record(20, 4));
        statistics.remember("a".into(), record(10, 1));
        statistics.remember("b".into(), record(30, 5));
        let text = statistics.write();
        assert_eq!(Statistics::read(&text), Some(statistics.clone()));
        assert_eq!(text, Statistics::read(&text).unwrap().write());
        assert_eq!(statistics.get("b"), Some(&record(30, 5)), "the later run counts");
        let newest: Vec<u64> = statistics.of_shape("s").iter().map(|r| r.cells[0].calls).collect();
        assert_eq!(newest, [5, 1]);
        assert!(statistics.of_shape("other").is_empty());
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "null",
            "3",
            "{}",
            "{\"version\":1}",
            "{\"version\":0,\"runs\":{}}",
            "{\"version\":1,\"runs\":{\"a\":{}}}",
            "{\"version\":1,\"runs\":{\"a\":{\"at\":\"x\"}}}",
        ] {
            assert_eq!(Statistics::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_oldest_runs_are_forgotten() {
        let mut statistics = Statistics::default();
        for n in 0..MOST_RECORDS + 5 {
            statistics.remember(format!("{n:05}"), record(i64::try_from(n).unwrap(), 1));
        }
        assert_eq!(statistics.records.len(), MOST_RECORDS);
        assert!(statistics.get("00004").is_none() && statistics.get("00005").is_some());
    }
}
