//! Only what is wrong, a line each, and the totals: for a terminal and for `grep`.

use crate::Options;
use crate::terminal::{Style, clean, pad, paint, wrap};
use crate::wording;
use assay_compliance::{ControlResult, RunResult, Status};
use std::collections::BTreeSet;

pub(crate) fn render(result: &RunResult, options: &Options) -> Vec<u8> {
    let mut out = String::new();
    let mut line = |status: Status, control: &ControlResult, resource: &str, reason: &str| {
        let word = paint(options.color, Style::of(status), &pad(&status.as_str().to_uppercase(), 5));
        let parts = [control.facts.id.as_str(), resource, reason].map(clean);
        let text = parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ");
        out.push_str(&format!("{word}  {text}\n"));
    };
    let mut seen = BTreeSet::new();
    for control in result.root.controls() {
        // A leaf with several parents is told of once.
        if !seen.insert(&control.facts.id) {
            continue;
        }
        if let Some(error) = control.findings.state.error() {
            line(Status::Error, control, "", error);
        }
        for row in control.findings.rows.iter().filter(|r| matches!(r.status, Status::Error | Status::Alarm)) {
            line(row.status, control, &row.resource, &row.reason);
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let mut tail = vec![wording::totals(&result.root.summary), wording::coverage(&result.root)];
    let missing: Vec<&str> = wording::not_implemented(result).iter().map(|c| c.facts.id.as_str()).collect();
    if !missing.is_empty() {
        tail.push(format!("not implemented: {}", missing.join(", ")));
    }
    tail.push(wording::completeness(result));
    for gap in &result.completeness.gaps {
        tail.push(format!("- {}: {}", wording::gap_place(gap), wording::gap_message(gap)));
    }
    tail.extend(result.completeness.notices.iter().chain(&wording::older(result)).map(|notice| format!("note: {notice}")));
    for text in tail {
        for l in wrap(&text, options.width.max(40)) {
            out.push_str(&l);
            out.push('\n');
        }
    }
    out.into_bytes()
}
