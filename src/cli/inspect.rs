//! What a table is, in text: columns, types, key columns, and the API calls behind it. For `show` and `.inspect`.

use assay_tables::{KeyOp, ScopeKind, Summary, Table};
use chrono::TimeDelta;
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// Describes a table.
pub(crate) fn table(table: &Table) -> String {
    let mut out = format!("{}\n", table.name);
    if !table.about.is_empty() {
        let _ = writeln!(out, "{}", table.about);
    }
    let scope = match table.scope {
        ScopeKind::Account => "asked once per account",
        ScopeKind::Region => "asked per account and region",
        ScopeKind::Subscription => "asked once per subscription (filters on subscription_id leave the others out)",
        ScopeKind::Tenant => "asked once per tenant (filters on tenant_id leave the others out)",
    };
    let _ = writeln!(out, "Scope: {scope}");

    let rows: Vec<[String; 3]> = table
        .columns
        .iter()
        .map(|c| {
            let mut about = c.about.clone();
            if c.secret {
                about = format!("{about} (secret: named with --show-secrets or .secrets on only, never in select *)").trim().to_owned();
            }
            [c.name.clone(), c.ty.sql_name().to_owned(), about]
        })
        .collect();
    out.push_str("\nColumns\n");
    grid(&rows, &mut out);

    if !table.keys.is_empty() {
        out.push_str("\nKey columns: filters on them reach the API\n");
        let rows: Vec<[String; 3]> = table
            .keys
            .iter()
            .map(|k| {
                let ops: Vec<&str> = k.ops.iter().map(|op| op_name(*op)).collect();
                [k.column.clone(), ops.join(", "), if k.required { "required".to_owned() } else { String::new() }]
            })
            .collect();
        grid(&rows, &mut out);
    }

    match &table.view {
        Some(sql) => {
            out.push_str("\nView\n");
            for line in sql.trim().lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
        None => {
            let rows: Vec<[String; 3]> = table
                .calls()
                .into_iter()
                .map(|(operation, columns)| {
                    let when = if columns.is_empty() { "always".to_owned() } else { format!("for {}", columns.join(", ")) };
                    [operation, when, String::new()]
                })
                .collect();
            out.push_str("\nAPI calls\n");
            grid(&rows, &mut out);
        }
    }
    let rows: Vec<[String; 3]> = table
        .summaries()
        .map(|summary| {
            let age = match summary.staleness() {
                live if live.is_zero() => "live".to_owned(),
                age => format!("up to {} old", spoken(age)),
            };
            let scopes = match summary.shared_calls() {
                0 => String::new(),
                calls => format!(", of {} subscriptions or more", calls + 1),
            };
            [summary.source().to_owned(), age + &scopes, given(summary)]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str("\nSummaries: read instead where they have what a query needs\n");
        grid(&rows, &mut out);
    }
    out
}

/// What a summary gives: its columns, or those that it lacks where these are fewer.
fn given(summary: &Summary) -> String {
    let (columns, lacks) = (summary.columns(), summary.lacks());
    match lacks.len() {
        _ if summary.screens() => "says which parents to ask".to_owned(),
        0 => "all columns".to_owned(),
        few if few < columns.len() => format!("all columns but {}", lacks.join(", ")),
        _ => columns.join(", "),
    }
}

fn spoken(time: TimeDelta) -> String {
    match time.num_minutes() {
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

fn op_name(op: KeyOp) -> &'static str {
    match op {
        KeyOp::Eq => "=",
        KeyOp::In => "in",
        KeyOp::Prefix => "like 'x%'",
        KeyOp::Range => "< <= > >=",
    }
}

/// Left-aligned columns, indented, without trailing space.
pub(crate) fn grid(rows: &[[String; 3]], out: &mut String) {
    let width = |i: usize| rows.iter().map(|r| r[i].width()).max().unwrap_or_default();
    let widths = [width(0), width(1)];
    for row in rows {
        let pad = |i: usize| " ".repeat(widths[i] - row[i].width());
        let line = format!("  {}{}  {}{}  {}", row[0], pad(0), row[1], pad(1), row[2]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_aligned_and_end_clean() {
        let mut out = String::new();
        grid(&[["a".into(), "text".into(), String::new()], ["日本".into(), "int".into(), "x".into()]], &mut out);
        assert_eq!(out, "  a     text\n  日本  int   x\n");
    }
}
