//! Templates: literals, interpolations and directives as one flat list, trimmed and dedented as HCL's own implementation does it.
//!
//! In a heredoc each line is a literal of its own: `~` takes the white space of the neighbouring line only, and what `<<-` takes off
//! is measured after that.

use super::eval::{Evaluator, Frame, Names};
use super::value::Value;
use crate::ContentError;
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::template::{Directive, Element, Strip, Template};
use std::ops::Range;
use std::sync::Arc;

/// A text may not grow beyond this.
const MAX_TEXT: usize = 16 << 20;

/// How literals are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Between quotes: escapes are done.
    Quoted,
    /// A heredoc as it stands.
    Heredoc,
    /// A heredoc without the indentation that all lines share.
    Flush,
}

enum Part<'a> {
    /// A literal, and the byte of the file where it begins.
    Text(String, usize),
    Value(&'a Expression),
    If(&'a Expression),
    Else,
    EndIf,
    For {
        key: Option<&'a str>,
        value: &'a str,
        of: &'a Expression,
    },
    EndFor,
}

/// Evaluates a template to text.
pub(crate) fn evaluate(ev: &Evaluator<'_>, frame: &Frame<'_>, template: &Template, style: Style) -> Result<Value, ContentError> {
    traced(ev, frame, template, style, &mut None).map(Value::Text)
}

/// Which byte of the text comes from which byte of the file, in order; between them both go on together.
pub(crate) type Trace = Vec<(usize, usize)>;

/// As [`evaluate`], and says where the text comes from.
pub(crate) fn traced(
    ev: &Evaluator<'_>,
    frame: &Frame<'_>,
    template: &Template,
    style: Style,
    trace: &mut Option<Trace>,
) -> Result<Arc<str>, ContentError> {
    let mut flat = Flat { frame, depth: 0, style, parts: Vec::new(), trim_next: false };
    flat.template(template);
    let mut parts = flat.parts;
    if style == Style::Flush {
        flush(&mut parts);
    }
    let mut out = String::new();
    let mut at = 0;
    run(ev, frame, &parts, &mut at, &mut out, trace)?;
    Ok(Arc::from(out))
}

struct Flat<'a, 'f> {
    frame: &'f Frame<'f>,
    /// Directives around.
    depth: usize,
    style: Style,
    parts: Vec<Part<'a>>,
    trim_next: bool,
}

impl<'a> Flat<'a, '_> {
    fn template(&mut self, template: &'a Template) {
        for element in template {
            match element {
                Element::Literal(literal) => self.literal(literal.as_str(), literal.span()),
                Element::Interpolation(i) => self.mark(Part::Value(&i.expr), i.strip),
                Element::Directive(d) => {
                    self.depth += 1;
                    self.directive(d);
                    self.depth -= 1;
                }
            }
        }
    }

    fn directive(&mut self, d: &'a Directive) {
        match d {
            Directive::If(d) => {
                self.mark(Part::If(&d.if_expr.cond_expr), d.if_expr.strip);
                self.template(&d.if_expr.template);
                if let Some(e) = &d.else_expr {
                    self.mark(Part::Else, e.strip);
                    self.template(&e.template);
                }
                self.mark(Part::EndIf, d.endif_expr.strip);
            }
            Directive::For(d) => {
                let key = d.for_expr.key_var.as_ref().map(|k| k.as_str());
                let start = Part::For { key, value: d.for_expr.value_var.as_str(), of: &d.for_expr.collection_expr };
                self.mark(start, d.for_expr.strip);
                self.template(&d.for_expr.template);
                self.mark(Part::EndFor, d.endfor_expr.strip);
            }
        }
    }

    fn mark(&mut self, part: Part<'a>, strip: Strip) {
        self.trim_next = false;
        if strip.strip_start()
            && let Some(Part::Text(text, _)) = self.parts.last_mut()
        {
            text.truncate(text.trim_end().len());
        }
        self.parts.push(part);
        self.trim_next = strip.strip_end();
    }

    fn literal(&mut self, text: &str, span: Option<Range<usize>>) {
        let mut at = span.as_ref().map_or(0, |s| s.start);
        if self.style == Style::Quoted {
            // What stands between directives the parser leaves as it is written.
            let raw = span.filter(|_| self.depth > 0).and_then(|s| self.frame.source.text.get(s));
            self.text(raw.map_or_else(|| text.to_owned(), unescaped), at);
            return;
        }
        // The parser has taken indentation off already, by another rule; the file still has it.
        let raw = span.and_then(|s| self.frame.source.text.get(s)).unwrap_or(text);
        for line in raw.split_inclusive('\n') {
            self.text(line.replace("$${", "${").replace("%%{", "%{"), at);
            at += line.len();
        }
    }

    fn text(&mut self, text: String, at: usize) {
        let kept = if std::mem::take(&mut self.trim_next) { text.trim_start() } else { &text };
        let gone = text.len() - kept.len();
        self.parts.push(Part::Text(kept.to_owned(), at + gone));
    }
}

/// A literal of a quoted template, its escapes done.
fn unescaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(kind) = rest.chars().next() else { break };
        rest = &rest[kind.len_utf8()..];
        let digits = match kind {
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let code = rest.get(..digits).filter(|d| !d.is_empty()).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
        match (kind, code) {
            (_, Some(c)) => {
                out.push(c);
                rest = &rest[digits..];
            }
            ('n', _) => out.push('\n'),
            ('r', _) => out.push('\r'),
            ('t', _) => out.push('\t'),
            (other, _) => out.push(other),
        }
    }
    out.push_str(rest);
    out.replace("$${", "${").replace("%%{", "%{")
}

/// Takes off the indentation that all lines share; blank lines do not count.
fn flush(parts: &mut [Part<'_>]) {
    let mut least: Option<usize> = None;
    let mut adjust = Vec::new();
    let mut line_start = true;
    for (i, part) in parts.iter().enumerate() {
        if std::mem::take(&mut line_start) {
            let indent = match part {
                Part::Text(text, _) if text.ends_with('\n') && text.trim().is_empty() => None,
                Part::Text(text, _) => {
                    adjust.push(i);
                    Some(text.chars().take_while(|c| c.is_whitespace()).count())
                }
                _ => Some(0),
            };
            least = match (least, indent) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        line_start = matches!(part, Part::Text(text, _) if text.ends_with('\n'));
    }
    let least = least.unwrap_or(0);
    for i in adjust {
        if let Some(Part::Text(text, at)) = parts.get_mut(i) {
            let gone = text.char_indices().nth(least).map_or(text.len(), |(i, _)| i);
            text.drain(..gone);
            *at += gone;
        }
    }
}

/// Writes parts until the end of the block they are in, and stands then on the part that ends it.
fn run(
    ev: &Evaluator<'_>,
    frame: &Frame<'_>,
    parts: &[Part<'_>],
    at: &mut usize,
    out: &mut String,
    trace: &mut Option<Trace>,
) -> Result<(), ContentError> {
    while let Some(part) = parts.get(*at) {
        match part {
            Part::Text(text, from) => {
                if let Some(trace) = trace {
                    trace.push((out.len(), *from));
                }
                out.push_str(text);
            }
            Part::Value(expr) => {
                if let Some(trace) = trace {
                    trace.push((out.len(), expr.span().map_or(0, |s| s.start)));
                }
                out.push_str(&ev.text(frame, expr, "an interpolation")?);
            }
            Part::Else | Part::EndIf | Part::EndFor => return Ok(()),
            Part::If(cond) => {
                let holds = ev.boolean(frame, cond, "the condition of %{if}")?;
                *at += 1;
                if holds {
                    run(ev, frame, parts, at, out, trace)?;
                } else {
                    skip(parts, at);
                }
                if matches!(parts.get(*at), Some(Part::Else)) {
                    *at += 1;
                    if holds {
                        skip(parts, at);
                    } else {
                        run(ev, frame, parts, at, out, trace)?;
                    }
                }
            }
            Part::For { key, value, of } => {
                let items = ev.entries(frame, of)?;
                let body = *at + 1;
                for (k, v) in items {
                    let names = Names::new(frame.names, *key, k, value, v);
                    *at = body;
                    run(ev, &Frame { names: Some(&names), ..*frame }, parts, at, out, trace)?;
                }
                *at = body;
                skip(parts, at);
            }
        }
        if out.len() > MAX_TEXT {
            return Err(ev.error(frame, None, format!("a text grows beyond {} MiB", MAX_TEXT >> 20), None));
        }
        *at += 1;
    }
    Ok(())
}

/// Goes to the part that ends the block.
fn skip(parts: &[Part<'_>], at: &mut usize) {
    let mut depth = 0usize;
    while let Some(part) = parts.get(*at) {
        match part {
            Part::If(_) | Part::For { .. } => depth += 1,
            Part::Else | Part::EndIf | Part::EndFor if depth == 0 => return,
            Part::EndIf | Part::EndFor => depth -= 1,
            Part::Else | Part::Text(..) | Part::Value(_) => {}
        }
        *at += 1;
    }
}
