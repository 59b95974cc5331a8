//! Functions between values and text: JSON, CSV, base64, URLs; YAML is in [`super::yaml`].

use super::{Args, Done, Entry, Wrong, bad, yaml};
use crate::mods::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

pub(super) const TABLE: &[Entry] = &[
    Entry("base64decode", 1, 1, |a| {
        let bytes = STANDARD.decode(a.text(0)?.as_bytes()).map_err(|_| bad(0, "the argument is not base64"))?;
        String::from_utf8(bytes).map(Value::text).map_err(|_| bad(0, "what is encoded is not text"))
    }),
    Entry("base64encode", 1, 1, |a| Ok(Value::text(STANDARD.encode(a.text(0)?.as_bytes())))),
    Entry("csvdecode", 1, 1, csv),
    Entry("jsondecode", 1, 1, |a| {
        let json: serde_json::Value =
            serde_json::from_str(&a.text(0)?).map_err(|e| bad(0, format!("not JSON: line {}, column {}", e.line(), e.column())))?;
        Ok(Value::of_json(&json))
    }),
    Entry("jsonencode", 1, 1, |a| Ok(Value::text(encode(a)?))),
    Entry("urlencode", 1, 1, |a| {
        let mut out = String::new();
        for b in a.text(0)?.bytes() {
            match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
                b' ' => out.push('+'),
                _ => {
                    let _ = write!(out, "%{b:02X}");
                }
            }
        }
        Ok(Value::text(out))
    }),
    Entry("yamldecode", 1, 1, yaml::decode),
    Entry("yamlencode", 1, 1, yaml::encode),
];

/// As Go writes JSON: `<`, `>` and `&` escaped, keys sorted.
fn encode(a: &Args) -> Result<String, Wrong> {
    let json = a.at(0).to_json().ok_or_else(|| a.wrong(0, "a value"))?;
    Ok(json
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

/// Lines as maps by the names of the first one.
fn csv(a: &Args) -> Done {
    let text = a.text(0)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let wrong = |e: csv::Error| bad(0, format!("not CSV: {e}"));
    let names = reader.headers().map_err(wrong)?.clone();
    if names.is_empty() {
        return Err(bad(0, "CSV without a line of names"));
    }
    let mut out = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        out.push(Value::Map(names.iter().zip(&record).map(|(k, v)| (k.to_owned(), Value::text(v))).collect()));
    }
    Ok(Value::List(out))
}
