//! Text for terminals: what a cloud says is made harmless, measured in columns, wrapped and painted.

use assay_compliance::Status;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How something is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    RedBold,
    Green,
    Cyan,
    Yellow,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::RedBold => "1;31",
            Style::Green => "32",
            Style::Cyan => "36",
            Style::Yellow => "1;33",
        }
    }

    pub(crate) fn of(status: Status) -> Style {
        match status {
            Status::Error => Style::Yellow,
            Status::Alarm => Style::RedBold,
            Status::Info => Style::Cyan,
            Status::Ok => Style::Green,
            Status::Skip => Style::Dim,
        }
    }
}

/// Paints, where colours are on.
pub(crate) fn paint(color: bool, style: Style, text: &str) -> String {
    if !color || style == Style::Plain || text.trim().is_empty() {
        return text.to_owned();
    }
    format!("\x1b[{}m{text}\x1b[0m", style.code())
}

/// Columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Whitespace becomes one space; characters that steer a terminal or turn the reading direction become U+FFFD.
pub(crate) fn clean(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' | '\r' | '\t' | ' ' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if steers(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Cleans and breaks a text into lines of at most `columns`, between words where it can. At least one line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = vec![String::new()];
    for word in clean(text).split(' ') {
        let gap = usize::from(lines.last().is_some_and(|l| !l.is_empty()));
        let used = lines.last().map_or(0, |l| width(l));
        if used + gap + width(word) <= columns {
            if let Some(line) = lines.last_mut() {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(word);
            }
            continue;
        }
        if used > 0 {
            lines.push(String::new());
        }
        for c in word.chars() {
            let full = lines.last().is_some_and(|l| width(l) + c.width().unwrap_or(0) > columns);
            if full {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}

/// Pads on the right.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Pads on the left.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        for (text, want) in [
            ("a\x1b[31mb", "a\u{fffd}[31mb"),
            (" a\n\n\tb ", "a b"),
            ("a\u{202e}b\u{7}c\u{9b}d", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            ("größe", "größe"),
        ] {
            assert_eq!(clean(text), want);
        }
    }

    #[test]
    fn wraps_by_columns() {
        for (text, columns, want) in [
            ("", 10, ""),
            ("one two three", 7, "one two|three"),
            ("one two three", 3, "one|two|thr|ee"),
            ("漢字漢字 a", 4, "漢字|漢字|a"),
            ("arn:aws:iam::1 x", 8, "arn:aws:|iam::1 x"),
        ] {
            assert_eq!(wrap(text, columns).join("|"), want, "{text} {columns}");
            assert!(wrap(text, columns).iter().all(|l| width(l) <= columns), "{text}");
        }
    }
}
