//! The report for a terminal: the whole tree with counts, the rows somebody must look at, totals, completeness.

use crate::Options;
use crate::terminal::{Style, clean, pad, pad_left, paint, width, wrap};
use crate::wording;
use assay_compliance::{ControlResult, Counts, GroupResult, ResultChild, ResultRow, RunResult, Severity, Status};

/// Columns of a verdict.
const VERDICT: usize = 7;
/// Columns of a severity.
const SEVERITY: usize = 10;

pub(crate) fn render(result: &RunResult, options: &Options) -> Vec<u8> {
    let width = options.width.clamp(60, 160);
    let number = if width < 90 { 6 } else { 7 };
    let mut page = Page { out: String::new(), width, number, color: options.color, all_rows: options.all_rows };
    let mut loose = Vec::new();
    for child in &result.root.children {
        match child {
            ResultChild::Group(g) => page.target(g, result),
            ResultChild::Control(c) => loose.push(c),
        }
    }
    if !loose.is_empty() {
        page.heading(0);
        let item_width = items(&loose);
        for control in loose {
            page.control(control, 0, item_width);
        }
        page.line("");
    }
    page.summary(result);
    page.out.into_bytes()
}

struct Page {
    out: String,
    width: usize,
    /// Columns of each number.
    number: usize,
    color: bool,
    all_rows: bool,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn paint(&self, style: Style, text: &str) -> String {
        paint(self.color, style, text)
    }

    /// Columns left of the numbers.
    fn left(&self) -> usize {
        self.width - self.number * Status::ALL.len()
    }

    fn target(&mut self, group: &GroupResult, result: &RunResult) {
        for line in wrap(&group.title, self.width) {
            let line = self.paint(Style::Bold, &line);
            self.line(&line);
        }
        let parts = [group.id.clone(), wording::coverage(group), wording::asked(&result.completeness), wording::minute(result)];
        let about = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" · ");
        for line in wrap(&about, self.width) {
            let line = self.paint(Style::Dim, &line);
            self.line(&line);
        }
        self.line("");
        self.heading(0);
        self.children(group, 0);
    }

    fn heading(&mut self, indent: usize) {
        let names: String = Status::ALL.iter().map(|s| pad_left(s.as_str(), self.number)).collect();
        let line = format!("{}{}", pad("", self.left().max(indent)), self.paint(Style::Dim, &names));
        self.line(&line);
    }

    fn numbers(&self, counts: &Counts) -> String {
        let one = |status: Status| match counts.of(status) {
            0 => self.paint(Style::Dim, &pad_left("·", self.number)),
            n => self.paint(Style::of(status), &pad_left(&n.to_string(), self.number)),
        };
        Status::ALL.map(one).concat()
    }

    fn children(&mut self, group: &GroupResult, depth: usize) {
        let own: Vec<&ControlResult> = group.own_controls().collect();
        let item_width = items(&own);
        let mut after_control = false;
        for child in &group.children {
            match child {
                ResultChild::Group(g) => {
                    if after_control {
                        self.line("");
                    }
                    self.group(g, depth);
                }
                ResultChild::Control(c) => self.control(c, depth, item_width),
            }
            after_control = matches!(child, ResultChild::Control(_));
        }
        if after_control {
            self.line("");
        }
    }

    fn group(&mut self, group: &GroupResult, depth: usize) {
        let indent = " ".repeat(depth * 2);
        let room = self.left().saturating_sub(indent.len() + 1);
        let numbers = self.numbers(&group.summary);
        let lines = wrap(&group.title, room);
        for (i, line) in lines.iter().enumerate() {
            let painted = self.paint(Style::Bold, &pad(line, room + 1));
            let line = if i + 1 == lines.len() { format!("{indent}{painted}{numbers}") } else { format!("{indent}{painted}") };
            self.line(&line);
        }
        self.children(group, depth + 1);
    }

    fn control(&mut self, control: &ControlResult, depth: usize, item_width: usize) {
        let verdict = wording::verdict(control);
        let style = match verdict {
            "not implemented" | "no resources" => Style::Dim,
            "cancelled" => Style::Yellow,
            word => Status::parse(word).map_or(Style::Plain, Style::of),
        };
        let indent = " ".repeat(depth * 2);
        let word = match verdict {
            "not implemented" | "no resources" => "–".to_owned(),
            "cancelled" => "CANCEL".to_owned(),
            word => word.to_uppercase(),
        };
        let head = format!("{indent}{}{}", self.paint(style, &pad(&word, VERDICT)), pad(&control.facts.item, item_width));
        let taken = indent.len() + VERDICT + item_width;
        let with_severity = self.left() >= taken + SEVERITY + 30;
        let room = self.left().saturating_sub(taken + 1 + if with_severity { SEVERITY } else { 0 });
        let lines = wrap(&control.facts.title, room);
        for (i, line) in lines.iter().enumerate() {
            let text = if control.evaluated() { pad(line, room + 1) } else { self.paint(Style::Dim, &pad(line, room + 1)) };
            let lead = if i == 0 { head.clone() } else { " ".repeat(taken) };
            let tail = if i > 0 { String::new() } else { self.tail(control, verdict, with_severity) };
            self.line(&format!("{lead}{text}{tail}"));
        }
        self.rows(control, indent.len() + VERDICT);
    }

    fn tail(&self, control: &ControlResult, verdict: &str, with_severity: bool) -> String {
        if matches!(verdict, "not implemented" | "cancelled" | "no resources") {
            let room = self.number * Status::ALL.len() + if with_severity { SEVERITY } else { 0 };
            return self.paint(Style::Dim, &pad_left(verdict, room));
        }
        let severity = match control.facts.severity {
            _ if !with_severity => String::new(),
            Severity::None => pad("", SEVERITY),
            s @ (Severity::Critical | Severity::High) => self.paint(Style::Bold, &pad(s.as_str(), SEVERITY)),
            s => self.paint(Style::Dim, &pad(s.as_str(), SEVERITY)),
        };
        format!("{severity}{}", self.numbers(&control.findings.summary))
    }

    /// Rows that somebody must look at, with their account and region on the right.
    fn rows(&mut self, control: &ControlResult, indent: usize) {
        if let Some(error) = control.findings.state.error().filter(|_| control.evaluated()) {
            self.detail(Status::Error, error, "", indent);
        }
        for row in &control.findings.rows {
            if self.all_rows || matches!(row.status, Status::Error | Status::Alarm | Status::Info) {
                let reason = if row.reason.is_empty() { &row.resource } else { &row.reason };
                self.detail(row.status, reason, &place(row), indent);
            }
        }
    }

    fn detail(&mut self, status: Status, text: &str, place: &str, indent: usize) {
        let beside = self.width >= indent + 2 + 30 + width(place) + 2;
        let room = self.width.saturating_sub(indent + 2 + if beside && !place.is_empty() { width(place) + 2 } else { 0 });
        let mark = match status {
            Status::Error => "?",
            Status::Alarm => "✗",
            Status::Info => "i",
            Status::Ok => "✓",
            Status::Skip => "-",
        };
        let lead = " ".repeat(indent);
        for (i, line) in wrap(text, room).iter().enumerate() {
            let mark = if i == 0 { self.paint(Style::of(status), mark) } else { " ".to_owned() };
            let place = if i == 0 && beside { format!("  {}", self.paint(Style::Dim, place)) } else { String::new() };
            self.line(&format!("{lead}{mark} {}{place}", pad(line, room)));
        }
        if !beside && !place.is_empty() {
            let place = self.paint(Style::Dim, place);
            self.line(&format!("{lead}  {place}"));
        }
    }

    fn summary(&mut self, result: &RunResult) {
        let rule = self.paint(Style::Dim, &"─".repeat(self.width));
        self.line(&rule);
        let total = result.root.summary.total();
        let most = Status::ALL.iter().map(|s| result.root.summary.of(*s)).max().unwrap_or(0).max(1);
        let digits = total.to_string().len().max(5);
        let bar_room = (self.width - 12 - digits) as u64;
        for status in Status::ALL {
            let n = result.root.summary.of(status);
            let bar = "█".repeat((n * bar_room.min(50)).div_ceil(most) as usize);
            let word = self.paint(Style::of(status), &pad(status.as_str(), 8));
            let line = format!("{word}{}  {}", pad_left(&n.to_string(), digits), self.paint(Style::of(status), &bar));
            self.line(&line);
        }
        let lead = format!("{}{}  ", pad("total", 8), pad_left(&total.to_string(), digits));
        self.hanging(&lead, Style::Bold, &format!("results, {}", wording::coverage(&result.root)));
        self.line("");
        self.by_severity(result);
        self.completeness(result);
    }

    fn by_severity(&mut self, result: &RunResult) {
        let table = result.root.by_severity();
        if table.values().all(|c| c.total() == 0) {
            return;
        }
        let names: String = Status::ALL.iter().map(|s| pad_left(s.as_str(), self.number)).collect();
        let heading = format!("{}{}", pad("severity", SEVERITY), self.paint(Style::Dim, &names));
        self.line(&heading);
        for (severity, counts) in table.iter().rev().filter(|(_, c)| c.total() > 0) {
            let line = format!("{}{}", pad(severity.as_str(), SEVERITY), self.numbers(counts));
            self.line(&line);
        }
        self.line("");
    }

    fn completeness(&mut self, result: &RunResult) {
        let style = if result.incomplete() { Style::Yellow } else { Style::Plain };
        self.hanging(&pad("data", SEVERITY), style, &wording::completeness(result));
        for gap in &result.completeness.gaps {
            let text = format!("{} · {} · {}", wording::gap_place(gap), wording::gap_message(gap), gap.controls.join(", "));
            let lead = format!("{}? ", " ".repeat(SEVERITY));
            self.hanging(&lead, Style::Plain, &text);
        }
        for notice in result.completeness.notices.iter().chain(&wording::older(result)) {
            self.hanging(&pad("note", SEVERITY), Style::Plain, notice);
        }
        self.hanging(&pad("calls", SEVERITY), Style::Plain, &wording::calls(&result.calls));
    }

    /// A text that wraps beside its lead.
    fn hanging(&mut self, lead: &str, style: Style, text: &str) {
        let columns = width(lead);
        for (i, line) in wrap(text, self.width.saturating_sub(columns)).iter().enumerate() {
            let lead = if i == 0 { lead.to_owned() } else { " ".repeat(columns) };
            let line = format!("{lead}{}", self.paint(style, line));
            self.line(&line);
        }
    }
}

/// Columns of the item numbers of some controls, with the gap after them.
fn items(controls: &[&ControlResult]) -> usize {
    controls.iter().map(|c| width(&c.facts.item)).max().filter(|w| *w > 0).map_or(0, |w| w + 2)
}

/// The account or subscription, and the region, of a row.
fn place(row: &ResultRow) -> String {
    let value = |name: &str| row.dimensions.iter().find(|(n, _)| **n == *name).map_or("", |(_, v)| v.as_str());
    let region = Some(value("region")).filter(|r| *r != "global").unwrap_or_default();
    let account = Some(value("account_id")).filter(|id| !id.is_empty()).unwrap_or_else(|| value("subscription_id"));
    clean(&format!("{account} {region}"))
}
