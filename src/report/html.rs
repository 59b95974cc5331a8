//! One self-contained page without scripts; everything that is not ours is escaped. All rows are in it: it is meant to be kept as evidence.

use crate::wording;
use assay_compliance::{ControlResult, Counts, GroupResult, ResultChild, RunResult, Status};

const STYLE: &str = include_str!("html.css");

pub(crate) fn render(result: &RunResult) -> Vec<u8> {
    let mut page = Page { out: String::new() };
    let title = escape(&wording::title(result));
    page.add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.add("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    page.add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.add(&format!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"));
    let about = [wording::coverage(&result.root), wording::asked(&result.completeness), wording::minute(result)];
    page.add(&format!("<p>{}</p>\n</header>\n", escape(&about.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" · "))));
    page.summary(result);
    page.completeness(result);
    page.add("<main>\n");
    match result.root.children.as_slice() {
        [ResultChild::Group(only)] => page.body(only, 2),
        _ => page.body(&result.root, 2),
    }
    page.add("</main>\n</body>\n</html>\n");
    page.out.into_bytes()
}

/// Text and attribute values; characters that steer terminals or reading direction are shown as U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

struct Page {
    out: String,
}

impl Page {
    fn add(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn counts(&mut self, counts: &Counts) {
        for s in Status::ALL {
            match counts.of(s) {
                0 => self.add("<td class=\"n zero\">·</td>"),
                n => self.add(&format!("<td class=\"n {s}\">{n}</td>")),
            }
        }
    }

    fn summary(&mut self, result: &RunResult) {
        let total = result.root.summary.total();
        self.add("<section class=\"summary\">\n<div class=\"bar\">");
        for s in Status::ALL {
            let n = result.root.summary.of(s);
            if let Some(tenths) = (n * 1000).checked_div(total).filter(|_| n > 0) {
                self.add(&format!("<span class=\"{s}\" style=\"width:{}.{}%\" title=\"{n} {s}\"></span>", tenths / 10, tenths % 10));
            }
        }
        self.add("</div>\n<table>\n<tr><th>severity</th>");
        for s in Status::ALL {
            self.add(&format!("<th class=\"n\">{s}</th>"));
        }
        self.add("</tr>\n");
        for (severity, counts) in result.root.by_severity().iter().rev().filter(|(_, c)| c.total() > 0) {
            self.add(&format!("<tr><td>{severity}</td>"));
            self.counts(counts);
            self.add("</tr>\n");
        }
        self.add("<tr class=\"total\"><td>total</td>");
        self.counts(&result.root.summary);
        self.add("</tr>\n</table>\n</section>\n");
    }

    fn completeness(&mut self, result: &RunResult) {
        let class = if result.incomplete() { "data incomplete" } else { "data" };
        let (sentence, calls) = (wording::completeness(result), wording::calls(&result.calls));
        self.add(&format!("<section class=\"{class}\">\n<p>Data {} · {}</p>\n", escape(&sentence), escape(&calls)));
        if !result.completeness.gaps.is_empty() {
            self.add("<ul>\n");
            for gap in &result.completeness.gaps {
                let parts = [wording::gap_place(gap), wording::gap_message(gap), gap.controls.join(", ")].map(|p| escape(&p));
                self.add(&format!("<li>{}: {} <small>needed by {}</small></li>\n", parts[0], parts[1], parts[2]));
            }
            self.add("</ul>\n");
        }
        for notice in result.completeness.notices.iter().chain(&wording::older(result)) {
            self.add(&format!("<p>Note: {}</p>\n", escape(notice)));
        }
        self.add("</section>\n");
    }

    fn body(&mut self, group: &GroupResult, level: usize) {
        for child in &group.children {
            match child {
                ResultChild::Group(g) => {
                    let level = level.min(6);
                    self.add(&format!("<section id=\"{}\">\n<h{level}>{}</h{level}>\n", escape(&crate::group_id(g)), escape(&g.title)));
                    self.add(&format!(
                        "<p class=\"about\">{} · {}</p>\n",
                        escape(&wording::coverage(g)),
                        escape(&wording::totals(&g.summary))
                    ));
                    if !g.description.is_empty() {
                        self.add(&format!("<p>{}</p>\n", escape(&g.description)));
                    }
                    self.body(g, level + 1);
                    self.add("</section>\n");
                }
                ResultChild::Control(c) => self.control(c),
            }
        }
    }

    fn control(&mut self, c: &ControlResult) {
        let verdict = wording::verdict(c);
        let class = verdict.split(' ').next().unwrap_or_default();
        let open = if matches!(verdict, "error" | "alarm") { " open" } else { "" };
        self.add(&format!("<details class=\"control {class}\"{open}>\n<summary><span class=\"badge {class}\">{verdict}</span> "));
        if !c.facts.item.is_empty() {
            self.add(&format!("<b>{}</b> ", escape(&c.facts.item)));
        }
        let severity = wording::severity(c);
        let severity = if severity == "none" { "" } else { severity };
        self.add(&format!("{} <small>{severity}</small></summary>\n", escape(&c.facts.title)));
        self.add(&format!("<p class=\"about\"><code>{}</code> {}</p>\n", escape(&crate::control_id(c)), escape(&c.facts.description)));
        if let Some(error) = c.findings.state.error() {
            self.add(&format!("<p class=\"error\">error: {}</p>\n", escape(error)));
        }
        if let Some(first) = c.findings.rows.first() {
            self.add("<table>\n<tr><th>status</th><th>resource</th><th>reason</th>");
            for (name, _) in &first.dimensions {
                self.add(&format!("<th>{}</th>", escape(name)));
            }
            self.add("</tr>\n");
            for r in &c.findings.rows {
                self.add(&format!(
                    "<tr><td class=\"{0}\">{0}</td><td>{1}</td><td>{2}</td>",
                    r.status,
                    escape(&r.resource),
                    escape(&r.reason)
                ));
                for (_, value) in &r.dimensions {
                    self.add(&format!("<td>{}</td>", escape(value)));
                }
                self.add("</tr>\n");
            }
            self.add("</table>\n");
        }
        if !c.facts.documentation.is_empty() {
            self.add(&format!("<details>\n<summary>Documentation</summary>\n<pre>{}</pre>\n</details>\n", escape(&c.facts.documentation)));
        }
        self.add("</details>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(escape("<script>'\"&\u{1b}\u{202e}"), "&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}");
    }
}
