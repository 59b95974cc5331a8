//! Markdown (GitHub's tables). Everything that is not ours is escaped.

use crate::Options;
use crate::terminal::clean;
use crate::wording;
use assay_compliance::{ControlResult, GroupResult, ResultChild, RunResult, Status};

pub(crate) fn render(result: &RunResult, options: &Options) -> Vec<u8> {
    let mut page = Page { out: String::new(), all_rows: options.all_rows };
    page.add(&format!("# {}\n\n", escape(&wording::title(result))));
    let about = [wording::coverage(&result.root), wording::asked(&result.completeness), wording::minute(result)];
    page.add(&format!("{}\n\n", escape(&about.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" · "))));
    page.summary(result);
    page.completeness(result);
    match result.root.children.as_slice() {
        [ResultChild::Group(only)] => page.body(only, 2),
        _ => page.body(&result.root, 2),
    }
    page.out.truncate(page.out.trim_end().len());
    page.out.push('\n');
    page.out.into_bytes()
}

/// Makes a text one line in which nothing is markup.
fn escape(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '@' => {
                out.push('\\');
                out.push(c);
            }
            // GitHub makes links of `http://…` and `www.…`.
            ':' if text[i..].starts_with("://") => out.push_str("&#58;"),
            '.' if i >= 3 && text.get(i - 3..i).is_some_and(|w| w.eq_ignore_ascii_case("www")) => out.push_str("&#46;"),
            c => out.push(c),
        }
    }
    out
}

struct Page {
    out: String,
    all_rows: bool,
}

impl Page {
    fn add(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn table(&mut self, header: &[&str]) {
        self.add(&format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len())));
    }

    fn row(&mut self, cells: &[String]) {
        self.add(&format!("| {} |\n", cells.join(" | ")));
    }

    fn summary(&mut self, result: &RunResult) {
        self.table(&["Severity", "error", "alarm", "info", "ok", "skip"]);
        for (severity, counts) in result.root.by_severity().iter().rev().filter(|(_, c)| c.total() > 0) {
            let cells: Vec<String> = [severity.to_string()].into_iter().chain(Status::ALL.map(|s| counts.of(s).to_string())).collect();
            self.row(&cells);
        }
        let cells: Vec<String> =
            ["**total**".to_owned()].into_iter().chain(Status::ALL.map(|s| format!("**{}**", result.root.summary.of(s)))).collect();
        self.row(&cells);
        self.add("\n");
    }

    fn completeness(&mut self, result: &RunResult) {
        self.add(&format!("Data: {}. {}.\n\n", escape(&wording::completeness(result)), escape(&wording::calls(&result.calls))));
        for gap in &result.completeness.gaps {
            let controls = gap.controls.join(", ");
            self.add(&format!(
                "- {}: {} (needed by {})\n",
                escape(&wording::gap_place(gap)),
                escape(&wording::gap_message(gap)),
                escape(&controls)
            ));
        }
        for notice in &result.completeness.notices {
            self.add(&format!("- note: {}\n", escape(notice)));
        }
        let older = wording::older(result);
        for part in &older {
            self.add(&format!("- note: {}\n", escape(part)));
        }
        if !result.completeness.gaps.is_empty() || !result.completeness.notices.is_empty() || !older.is_empty() {
            self.add("\n");
        }
    }

    fn body(&mut self, group: &GroupResult, level: usize) {
        let controls: Vec<&ControlResult> = group.own_controls().collect();
        if !controls.is_empty() {
            self.table(&["Result", "Item", "Control", "Severity", "error", "alarm", "info", "ok", "skip"]);
            for c in &controls {
                let facts = [wording::verdict(c), c.facts.item.as_str(), c.facts.title.as_str(), wording::severity(c)].map(escape);
                let cells: Vec<String> = facts.into_iter().chain(Status::ALL.map(|s| c.findings.summary.of(s).to_string())).collect();
                self.row(&cells);
            }
            self.add("\n");
            for c in controls {
                self.rows(c, level);
            }
        }
        for g in group.groups() {
            self.add(&format!("{} {}\n\n", "#".repeat(level.min(5)), escape(&g.title)));
            if !g.description.is_empty() {
                self.add(&format!("{}\n\n", escape(&g.description)));
            }
            self.body(g, level + 1);
        }
    }

    fn rows(&mut self, control: &ControlResult, level: usize) {
        let shown = |s: Status| self.all_rows || matches!(s, Status::Error | Status::Alarm | Status::Info);
        let rows: Vec<_> = control.findings.rows.iter().filter(|r| shown(r.status)).collect();
        let error = control.findings.state.error();
        if rows.is_empty() && error.is_none() {
            return;
        }
        let heading = format!("{} {}", control.facts.item, control.facts.title);
        self.add(&format!("{} {}\n\n", "#".repeat((level + 1).min(6)), escape(&heading)));
        if let Some(error) = error {
            self.add(&format!("error: {}\n\n", escape(error)));
        }
        if let Some(first) = rows.first() {
            let names: Vec<String> = first.dimensions.iter().map(|(n, _)| escape(n)).collect();
            let header: Vec<&str> = ["Status", "Resource", "Reason"].into_iter().chain(names.iter().map(String::as_str)).collect();
            self.table(&header);
            for r in rows {
                let fixed = [r.status.as_str(), &r.resource, &r.reason].map(escape);
                let cells: Vec<String> = fixed.into_iter().chain(r.dimensions.iter().map(|(_, v)| escape(v))).collect();
                self.row(&cells);
            }
            self.add("\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_is_markup() {
        for (text, want) in [
            ("a|b\nc", "a\\|b c"),
            ("<img src=x>", "&lt;img src=x&gt;"),
            ("[x](http://y)", "\\[x\\]\\(http&#58;//y\\)"),
            ("`*_#", "\\`\\*\\_\\#"),
            ("arn:aws: WWW.x.y", "arn:aws: WWW&#46;x.y"),
        ] {
            assert_eq!(escape(text), want);
        }
    }
}
