//! A bill for people and programs, and what `--max-calls` says to it before anything is called.

use crate::commands::list;
use crate::exit::{Exit, Failed};
use crate::output::{Format, Look};
use crate::session::Session;
use assay_engine::{Asked, Basis, Bill, BillLine, Engine};
use serde_json::{Value, json};
use std::io::Write;

/// The name of what no table asks for.
const SCOPES: &str = "(scopes)";

const COLUMNS: [&str; 8] = ["table", "operation", "scopes", "calls", "known", "seconds", "permission", "made for"];

/// Refuses a run that certainly takes more calls than it may make, with the bill.
pub(crate) async fn afford(session: &Session, engine: &Engine, asked: &[Asked<'_>], most: Option<u64>) -> Result<(), Failed> {
    // Of statement after statement, each has its own.
    session.cloud.set_max_calls(most);
    let Some(most) = most else { return Ok(()) };
    // What cannot be planned says so when it runs.
    if let Ok(bill) = engine.bill(asked).await
        && bill.is_exact()
        && bill.calls() > most
    {
        let mut text = Vec::new();
        table(&bill, session.console.color_stderr, &mut text)?;
        session.console.note(String::from_utf8_lossy(&text).trim_end());
        return Err(Failed::new(Exit::Incomplete, format!("not run: it takes {} calls, and --max-calls allows {most}", bill.calls()))
            .hint("raise --max-calls, or ask for less"));
    }
    Ok(())
}

/// Prints a bill; `notes` of the caller come after its own.
pub(crate) fn print(bill: &Bill, notes: &[String], look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    match look.format {
        Format::Table => {
            table(bill, look.color, out)?;
            let mut text = format!("\n{}\n", total(bill));
            bill.notes.iter().chain(notes).for_each(|note| text.push_str(&format!("note: {note}\n")));
            out.write_all(text.as_bytes()).map_err(|e| Failed::stdout(&e))
        }
        Format::Json => {
            let mut document = document(bill);
            if let Some(all) = document["notes"].as_array_mut() {
                all.extend(notes.iter().map(|note| json!(note)));
            }
            writeln!(out, "{document:#}").map_err(|e| Failed::stdout(&e))
        }
        _ => list::write(look, &COLUMNS, &rows(bill), out),
    }
}

fn table(bill: &Bill, color: bool, out: &mut dyn Write) -> Result<(), Failed> {
    list::write(Look { format: Format::Table, header: true, separator: b',', color }, &COLUMNS, &rows(bill), out)
}

fn rows(bill: &Bill) -> Vec<Vec<String>> {
    let row = |line: &BillLine| {
        let mark = if line.basis == Basis::Guess { "?" } else { "" };
        vec![
            if line.table.is_empty() { SCOPES.to_owned() } else { line.table.clone() },
            line.name(),
            line.scopes.to_string(),
            format!("{}{mark}", line.calls),
            line.basis.text(),
            format!("{:.1}", line.seconds),
            permission(line),
            line.per.clone(),
        ]
    };
    bill.lines.iter().map(row).collect()
}

fn permission(line: &BillLine) -> String {
    line.permissions.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
}

/// `Total: 340 calls, exact (recording), about 3.2 s. Priced calls: 0.00012 USD.`
fn total(bill: &Bill) -> String {
    let calls = bill.calls();
    let noun = if calls == 1 { "call" } else { "calls" };
    let mut text = format!("Total: {calls} {noun}, {}, about {:.1} s under the limits.", bill.basis().text(), bill.seconds);
    if bill.lines.iter().any(|line| line.price.is_some()) {
        text.push_str(&format!(" Priced calls: {:.6} USD.", bill.dollars()));
    }
    if !bill.secrets.is_empty() {
        text.push_str(&format!(" Secrets read: {}.", bill.secrets.join(", ")));
    }
    text
}

fn document(bill: &Bill) -> Value {
    let line = |line: &BillLine| {
        let known_at = match line.basis {
            Basis::Statistics(at) | Basis::Others(at) => json!(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            Basis::Keys | Basis::Recording | Basis::Cache | Basis::Asked | Basis::Guess => Value::Null,
        };
        json!({
            "table": Some(&line.table).filter(|t| !t.is_empty()), "operation": line.name(), "scopes": line.scopes, "calls": line.calls,
            "exact": line.basis.is_exact(), "known": line.basis.text(), "known_at": known_at, "per": line.per,
            "seconds": (line.seconds * 1000.0).round() / 1000.0,
            "permissions": line.permissions.iter().map(|p| p.name()).collect::<Vec<_>>(),
            "dollars": line.price.map(|_| line.dollars()), "price_source": line.price.map(|price| price.source),
        })
    };
    json!({
        "lines": bill.lines.iter().map(line).collect::<Vec<_>>(),
        "total": {
            "calls": bill.calls(), "exact": bill.is_exact(), "known": bill.basis().text(), "cached": bill.cached,
            "seconds": (bill.seconds * 1000.0).round() / 1000.0, "dollars": bill.dollars(),
        },
        "secrets": bill.secrets,
        "permissions": bill.permissions().iter().map(|p| p.name()).collect::<Vec<_>>(),
        "notes": bill.notes,
    })
}
