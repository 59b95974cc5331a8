//! Lines of a journal and the chain of hashes through them. Pure: text in, entries out.

use super::{Entry, Event};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the first line has for the hash of the line before.
pub(super) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A journal as far as it is whole.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) entries: Vec<Entry>,
    /// Bytes of whole lines; what follows is the half line of a crash.
    pub(super) bytes: u64,
}

/// What is wrong with a journal: a line, from 1, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Altered {
    pub(super) line: usize,
    pub(super) why: String,
}

/// JSON with the members of every object in order of their names, without white space: the same text for the same facts.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn hash(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest(text.as_bytes())
}

/// SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The entry with its hash, and its line with the line break.
pub(super) fn seal(seq: u64, at: DateTime<Utc>, prev: &str, event: Event) -> Result<(Entry, String), serde_json::Error> {
    let mut entry = Entry { seq, at, prev: prev.to_owned(), event, hash: String::new() };
    let mut value = serde_json::to_value(&entry)?;
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("hash");
        entry.hash = hash(&Value::Object(members.clone()));
        members.insert("hash".into(), Value::from(entry.hash.as_str()));
    }
    Ok((entry, format!("{value}\n")))
}

/// One line, which has to follow on `prev`.
fn line(seq: u64, prev: &str, text: &str) -> Result<Entry, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
    // What was read must be all there is: members given twice and white space would otherwise escape the hash.
    let again = value.to_string();
    if again != text {
        return Err("it was rewritten".into());
    }
    let entry: Entry = serde_json::from_value(value.clone()).map_err(|e| format!("this assay cannot read it: {e}"))?;
    value.as_object_mut().and_then(|members| members.shift_remove("hash"));
    match () {
        () if entry.hash != hash(&value) => Err("it is not what its hash says: it was changed".into()),
        () if entry.seq != seq => Err(format!("it is entry {}, where {seq} belongs: a line was removed, inserted or moved", entry.seq)),
        () if entry.prev != prev => Err("it does not follow on the line before: one of them was changed, removed or inserted".into()),
        () => Ok(entry),
    }
}

/// Reads and verifies. A last line without its line break is what a crash leaves and is no part of the journal.
pub(super) fn read(bytes: &[u8]) -> Result<Whole, (Whole, Altered)> {
    let mut whole = Whole::default();
    for chunk in bytes.split_inclusive(|b| *b == b'\n') {
        let Some(text) = chunk.strip_suffix(b"\n") else { break };
        let seq = whole.entries.len();
        let prev = whole.entries.last().map_or(START, |e| e.hash.as_str());
        let read = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned()).and_then(|text| line(seq as u64, prev, text));
        match read {
            Ok(entry) => {
                whole.bytes += chunk.len() as u64;
                whole.entries.push(entry);
            }
            Err(why) => return Err((whole, Altered { line: seq + 1, why })),
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, State};
    use serde_json::json;

    fn journal(count: u64) -> Vec<String> {
        let at = "2026-03-05T10:11:12.5Z".parse().unwrap();
        let mut prev = START.to_owned();
        (0..count)
            .map(|seq| {
                let event = match seq % 3 {
                    0 => Event::Begin { item: format!("AKIA{seq}"), act: Act::Create, key: None },
                    1 => Event::Done {
                        item: "AKIA".into(),
                        act: Act::Create,
                        key: Some("AKIANEW".into()),
                        created: None,
                        note: Some("é \"q\"".into()),
                    },
                    _ => Event::Ended { item: "AKIA".into(), state: State::Done },
                };
                let (entry, line) = seal(seq, at, &prev, event).unwrap();
                prev = entry.hash;
                line
            })
            .collect()
    }

    #[test]
    fn the_same_facts_have_one_text() {
        let mut text = String::new();
        canonical(&json!({"b": [1, {"z": null, "a": "x\n"}], "a": true}), &mut text);
        assert_eq!(text, r#"{"a":true,"b":[1,{"a":"x\n","z":null}]}"#);
    }

    #[test]
    fn what_was_written_is_read() {
        let lines = journal(7);
        let whole = read(lines.concat().as_bytes()).unwrap();
        assert_eq!((whole.entries.len(), whole.bytes), (7, lines.concat().len() as u64));
        assert_eq!(whole.entries[0].prev, START);
        assert_eq!(whole.entries[6].prev, whole.entries[5].hash);
    }

    #[test]
    fn a_half_line_is_cut_off_wherever_it_breaks() {
        let lines = journal(3);
        let (before, last) = (lines[..2].concat(), &lines[2]);
        for length in 0..last.len() {
            let whole = read([before.as_bytes(), &last.as_bytes()[..length]].concat().as_slice()).unwrap();
            assert_eq!((whole.entries.len(), whole.bytes), (2, before.len() as u64), "{length}");
        }
        let whole = read(&[before.as_bytes(), &[0u8; 40]].concat()).unwrap();
        assert_eq!(whole.entries.len(), 2, "blocks that were never written");
    }

    #[test]
    fn every_alteration_shows_with_its_line() {
        let lines = journal(6);
        let forged = {
            let at = "2026-03-05T10:11:12Z".parse().unwrap();
            let prev = read(lines[..2].concat().as_bytes()).unwrap().entries[1].hash.clone();
            seal(2, at, &prev, Event::Ended { item: "AKIA".into(), state: State::Undone }).unwrap().1
        };
        let with = |change: &dyn Fn(&mut Vec<String>)| {
            let mut copy = lines.clone();
            change(&mut copy);
            copy.concat()
        };
        let cases: Vec<(&str, String, usize)> = vec![
            ("changed", with(&|l| l[2] = l[2].replace("done", "undone")), 3),
            ("changed time", with(&|l| l[1] = l[1].replace("10:11", "10:12")), 2),
            ("changed hash", with(&|l| l[1] = l[1].replace("\"hash\":\"", "\"hash\":\"0")), 2),
            ("removed first", with(&|l| drop(l.remove(0))), 1),
            ("removed", with(&|l| drop(l.remove(3))), 4),
            ("inserted copy", with(&|l| l.insert(3, l[2].clone())), 4),
            ("inserted blank", with(&|l| l.insert(3, "\n".into())), 4),
            ("inserted junk", with(&|l| l.insert(0, "junk\n".into())), 1),
            ("exchanged", with(&|l| l.swap(2, 3)), 3),
            ("exchanged last", with(&|l| l.swap(4, 5)), 5),
            ("member twice", with(&|l| l[0] = l[0].replace("{\"seq\"", "{\"item\":\"AKIAX\",\"seq\"")), 1),
            ("white space", with(&|l| l[4] = l[4].replace("{\"seq\"", "{ \"seq\"")), 5),
            ("forged with a fitting hash", with(&|l| l[2] = forged.clone()), 4),
            ("line break in the middle", with(&|l| l[2].insert(10, '\n')), 3),
            ("carriage return", with(&|l| l[2] = l[2].replace('\n', "\r\n")), 3),
        ];
        for (name, text, line) in cases {
            let (whole, altered) = read(text.as_bytes()).expect_err(name);
            assert_eq!((altered.line, whole.entries.len()), (line, line - 1), "{name}: {}", altered.why);
        }
    }
}
