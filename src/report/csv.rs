//! One line a row, as in CONTRACTS: compatible with Powerpipe's. RFC 4180; cells a spreadsheet would take for a formula get a leading quote.
//!
//! A control that failed has one line with the status `error`; one that is not implemented has one with the status `not_implemented`.

use crate::wording;
use assay_compliance::{ControlResult, GroupResult, ResultChild, RunResult, RunState};
use std::collections::BTreeSet;

const FIXED: [&str; 10] =
    ["group_id", "title", "description", "control_id", "control_title", "control_description", "reason", "resource", "status", "severity"];

pub(crate) fn render(result: &RunResult) -> Vec<u8> {
    let controls = result.root.controls();
    let dimensions: BTreeSet<&str> =
        controls.iter().flat_map(|c| &c.findings.rows).flat_map(|r| &r.dimensions).map(|(n, _)| &**n).collect();
    let tags: BTreeSet<&str> = controls.iter().flat_map(|c| c.facts.tags.keys()).map(String::as_str).collect();
    let mut sheet = Sheet { out: String::new(), dimensions: dimensions.into_iter().collect(), tags: tags.into_iter().collect() };
    let header: Vec<&str> = FIXED.into_iter().chain(sheet.dimensions.iter().copied()).chain(sheet.tags.iter().copied()).collect();
    sheet.line(&header);
    sheet.group(&result.root);
    sheet.out.into_bytes()
}

struct Sheet<'a> {
    out: String,
    dimensions: Vec<&'a str>,
    tags: Vec<&'a str>,
}

impl Sheet<'_> {
    fn group(&mut self, group: &GroupResult) {
        for child in &group.children {
            match child {
                ResultChild::Group(g) => self.group(g),
                ResultChild::Control(c) => self.control(group, c),
            }
        }
    }

    fn control(&mut self, group: &GroupResult, control: &ControlResult) {
        for row in &control.findings.rows {
            let value = |name: &&str| row.dimensions.iter().find(|(n, _)| &**n == *name).map_or("", |(_, v)| v.as_str());
            let dimensions: Vec<&str> = self.dimensions.iter().map(value).collect();
            self.row(group, control, [&row.reason, &row.resource, row.status.as_str()], &dimensions);
        }
        if control.findings.rows.is_empty() {
            let blank = vec![""; self.dimensions.len()];
            if let RunState::NotImplemented(why) = &control.findings.state {
                self.row(group, control, [&format!("not implemented: {why}"), "", "not_implemented"], &blank);
            } else if let Some(error) = control.findings.state.error() {
                self.row(group, control, [error, "", "error"], &blank);
            }
        }
    }

    fn row(&mut self, group: &GroupResult, control: &ControlResult, [reason, resource, status]: [&str; 3], dimensions: &[&str]) {
        let facts = &control.facts;
        let (group_id, control_id) = (crate::group_id(group), crate::control_id(control));
        let mut cells = vec![
            group_id.as_str(),
            &group.title,
            &group.description,
            &control_id,
            &facts.title,
            &facts.description,
            reason,
            resource,
            status,
            wording::severity(control),
        ];
        cells.extend(dimensions);
        cells.extend(self.tags.iter().map(|t| facts.tags.get(*t).map_or("", String::as_str)));
        self.line(&cells);
    }

    fn line(&mut self, cells: &[&str]) {
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.out.push_str(&self::cell(cell));
        }
        self.out.push_str("\r\n");
    }
}

/// A cell: guarded against formulas, quoted where it must be.
pub(crate) fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{guard}{}\"", text.replace('"', "\"\"")) } else { format!("{guard}{text}") }
}
