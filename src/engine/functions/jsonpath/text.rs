//! The text PostgreSQL shows for a path.

use super::ast::{Chain, Head, Level, Path, Predicate, Step};
use assay_tables::jsonb::write_string;
use std::fmt;
use std::fmt::Write;

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if !self.lax {
            text.push_str("strict ");
        }
        chain(&self.root, true, &mut text);
        out.write_str(&text)
    }
}

fn quoted(text: &str, out: &mut String) {
    write_string(text, out);
}

/// How tightly an operation binds; its operands are in parentheses where they bind no tighter.
fn strength(chain: &Chain) -> u8 {
    match &chain.head {
        Head::Predicate(predicate) => predicate_strength(predicate),
        Head::Arithmetic(operator, ..) if matches!(operator.symbol(), "+" | "-") => 3,
        Head::Arithmetic(..) => 4,
        Head::Sign { .. } => 5,
        _ => 6,
    }
}

fn predicate_strength(predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::Or(..) => 0,
        Predicate::And(..) => 1,
        Predicate::Compare(..) | Predicate::StartsWith(..) => 2,
        _ => 6,
    }
}

fn chain(of: &Chain, parentheses: bool, out: &mut String) {
    match &of.head {
        Head::Literal(text) if !of.steps.is_empty() && text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            let _ = write!(out, "({text})");
        }
        Head::Literal(text) => out.push_str(text),
        Head::Variable(name) => {
            out.push('$');
            quoted(name, out);
        }
        Head::Root => out.push('$'),
        Head::Current => out.push('@'),
        Head::Last => out.push_str("last"),
        Head::Sign { negative, of: inner } => {
            let wrap = parentheses || !of.steps.is_empty();
            out.push_str(if wrap { "(" } else { "" });
            out.push(if *negative { '-' } else { '+' });
            chain(inner, strength(inner) <= 5, out);
            out.push_str(if wrap { ")" } else { "" });
        }
        Head::Arithmetic(operator, left, right) => {
            let wrap = parentheses || !of.steps.is_empty();
            out.push_str(if wrap { "(" } else { "" });
            chain(left, strength(left) <= strength_of_head(of), out);
            let _ = write!(out, " {} ", operator.symbol());
            chain(right, strength(right) <= strength_of_head(of), out);
            out.push_str(if wrap { ")" } else { "" });
        }
        Head::Predicate(predicate) => test(predicate, parentheses || !of.steps.is_empty(), out),
    }
    of.steps.iter().for_each(|step| accessor(step, out));
}

fn strength_of_head(of: &Chain) -> u8 {
    strength(of)
}

fn accessor(step: &Step, out: &mut String) {
    match step {
        Step::Key(name) => {
            out.push('.');
            quoted(name, out);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Subscripts(subscripts) => {
            out.push('[');
            for (at, subscript) in subscripts.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                chain(&subscript.from, false, out);
                if let Some(to) = &subscript.to {
                    out.push_str(" to ");
                    chain(to, false, out);
                }
            }
            out.push(']');
        }
        Step::Any { first, last } => {
            let level = |level: &Level| match level {
                Level::At(level) => level.to_string(),
                Level::Last => "last".to_string(),
            };
            out.push_str(".**");
            if first == last {
                let _ = write!(out, "{{{}}}", level(first));
            } else if (first, last) != (&Level::At(0), &Level::Last) {
                let _ = write!(out, "{{{} to {}}}", level(first), level(last));
            }
        }
        Step::Method(method) => {
            let _ = write!(out, ".{}()", method.name());
        }
        Step::Datetime(template) => {
            out.push_str(".datetime(");
            if let Some(template) = template {
                quoted(template, out);
            }
            out.push(')');
        }
        Step::Filter(predicate) => {
            out.push_str("?(");
            test(predicate, false, out);
            out.push(')');
        }
    }
}

fn test(predicate: &Predicate, parentheses: bool, out: &mut String) {
    let own = predicate_strength(predicate);
    let wrap = parentheses && !matches!(predicate, Predicate::Not(_) | Predicate::IsUnknown(_) | Predicate::Exists(_));
    out.push_str(if wrap { "(" } else { "" });
    match predicate {
        Predicate::And(left, right) | Predicate::Or(left, right) => {
            test(left, predicate_strength(left) <= own, out);
            out.push_str(if matches!(predicate, Predicate::And(..)) { " && " } else { " || " });
            test(right, predicate_strength(right) <= own, out);
        }
        Predicate::Not(of) => {
            out.push_str("!(");
            test(of, false, out);
            out.push(')');
        }
        Predicate::IsUnknown(of) => {
            out.push('(');
            test(of, false, out);
            out.push_str(") is unknown");
        }
        Predicate::Exists(of) => {
            out.push_str("exists (");
            chain(of, false, out);
            out.push(')');
        }
        Predicate::Compare(comparison, left, right) => {
            chain(left, strength(left) <= own, out);
            let _ = write!(out, " {} ", comparison.symbol());
            chain(right, strength(right) <= own, out);
        }
        Predicate::StartsWith(left, right) => {
            chain(left, strength(left) <= own, out);
            out.push_str(" starts with ");
            chain(right, strength(right) <= own, out);
        }
        Predicate::LikeRegex(of, pattern) => {
            chain(of, strength(of) <= own, out);
            out.push_str(" like_regex ");
            quoted(&pattern.pattern, out);
            let flags = pattern.flags;
            let letters: String =
                [(flags.insensitive, 'i'), (flags.dot_all, 's'), (flags.lines, 'm'), (flags.expanded, 'x'), (flags.quoted, 'q')]
                    .into_iter()
                    .filter_map(|(set, letter)| set.then_some(letter))
                    .collect();
            if !letters.is_empty() {
                let _ = write!(out, " flag \"{letters}\"");
            }
        }
    }
    out.push_str(if wrap { ")" } else { "" });
}
