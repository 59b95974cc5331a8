//! YAML from and to values, as Terraform's functions have it: version 1.2 with the booleans and integers of 1.1.

use super::{Args, Done, bad};
use crate::mods::value::Value;
use crate::yaml::{Data, Node, parse};
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) fn decode(a: &Args) -> Done {
    let text = a.text(0)?;
    if text.trim().is_empty() {
        return Err(bad(0, "not YAML: there is nothing"));
    }
    let node = parse(&Arc::from("the argument"), &text).map_err(|e| bad(0, format!("not YAML: {e}")))?;
    Ok(value(&node))
}

fn value(node: &Node) -> Value {
    match &node.data {
        Data::Scalar { text, plain: true } => plain(text).unwrap_or_else(|| Value::of_json(&node.to_json())),
        Data::Scalar { text, .. } => Value::text(text.as_str()),
        Data::List(items) => Value::List(items.iter().map(value).collect()),
        Data::Map(entries) => Value::Map(entries.iter().map(|e| (e.key.clone(), value(&e.value))).collect()),
    }
}

fn plain(text: &str) -> Option<Value> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Value::Bool(true)),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Value::Bool(false)),
        _ => {}
    }
    let (digits, base) = [("0x", 16), ("0o", 8)].into_iter().find_map(|(p, base)| Some((text.strip_prefix(p)?, base)))?;
    i64::from_str_radix(digits, base).ok().map(Value::Int)
}

pub(super) fn encode(a: &Args) -> Done {
    let mut out = String::new();
    match a.at(0) {
        Value::Thing(_) => return Err(a.wrong(0, "a value")),
        // A document of one plain scalar is ended by hand, or what follows would belong to it.
        v @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_)) => {
            let _ = write!(out, "{}\n...\n", scalar(v));
        }
        v => {
            block(v, 0, &mut out);
        }
    }
    Ok(Value::text(out))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Text(t) => quoted(t),
        other => other.as_text().map_or_else(|| "null".to_owned(), |t| t.to_string()),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value that begins where the line stands and ends with a line break; what it begins further lines with is `depth` wide.
fn block(value: &Value, depth: usize, out: &mut String) {
    let pad = " ".repeat(depth);
    match value {
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                let _ = write!(out, "{}- ", if i == 0 { "" } else { &pad });
                block(item, depth + 2, out);
            }
        }
        Value::Map(map) if !map.is_empty() => {
            for (i, (key, item)) in map.iter().enumerate() {
                let _ = write!(out, "{}{}:", if i == 0 { "" } else { &pad }, quoted(key));
                match item {
                    Value::List(items) if !items.is_empty() => {
                        let _ = write!(out, "\n{pad}");
                        block(item, depth, out);
                    }
                    Value::Map(map) if !map.is_empty() => {
                        let _ = write!(out, "\n{pad}  ");
                        block(item, depth + 2, out);
                    }
                    Value::Text(t) if t.contains('\n') => {
                        out.push(' ');
                        block(item, depth + 2, out);
                    }
                    other => {
                        out.push(' ');
                        block(other, depth, out);
                    }
                }
            }
        }
        Value::List(_) => out.push_str("[]\n"),
        Value::Map(_) => out.push_str("{}\n"),
        Value::Text(t) if t.contains('\n') && !t.starts_with([' ', '\n']) => {
            let indent = " ".repeat(depth.max(2));
            let body = t.trim_end_matches('\n');
            let mark = match t.len() - body.len() {
                0 => "|-",
                1 => "|",
                _ => "|+",
            };
            let _ = writeln!(out, "{mark}");
            for line in body.split('\n').chain(std::iter::repeat_n("", (t.len() - body.len()).saturating_sub(1))) {
                let _ = writeln!(out, "{}{line}", if line.is_empty() { "" } else { &indent });
            }
        }
        other => {
            let _ = writeln!(out, "{}", scalar(other));
        }
    }
}
