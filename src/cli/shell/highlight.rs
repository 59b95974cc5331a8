//! Colours of a statement while it is typed; pure.

use crate::shell::{complete, meta};
use crate::sql_text::{self, Kind};

const KEYWORD: &str = "\x1b[1;34m";
const TEXT: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const PARAM: &str = "\x1b[35m";
const COMMENT: &str = "\x1b[2m";
const META: &str = "\x1b[1;35m";
const RESET: &str = "\x1b[0m";

/// The line with colours; nothing is added or taken away but them.
pub(crate) fn highlight(line: &str) -> String {
    if meta::is_meta(line) {
        let begin = line.len() - line.trim_start().len();
        let end = line[begin..].find(char::is_whitespace).map_or(line.len(), |i| begin + i);
        return format!("{}{META}{}{RESET}{}", &line[..begin], &line[begin..end], &line[end..]);
    }
    let mut out = String::with_capacity(line.len() * 2);
    for token in sql_text::tokens(line) {
        let text = token.text(line);
        let color = match token.kind {
            Kind::Word if complete::KEYWORDS.contains(&text.to_ascii_lowercase().as_str()) => KEYWORD,
            Kind::Text => TEXT,
            Kind::Number => NUMBER,
            Kind::Param => PARAM,
            Kind::Comment => COMMENT,
            _ => {
                out.push_str(text);
                continue;
            }
        };
        out.push_str(color);
        out.push_str(text);
        out.push_str(RESET);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_get_their_colours() {
        for (line, expected) in [
            ("select x", "\x1b[1;34mselect\x1b[0m x"),
            ("FROM t", "\x1b[1;34mFROM\x1b[0m t"),
            ("'open", "\x1b[32m'open\x1b[0m"),
            ("1 -- c", "\x1b[36m1\x1b[0m \x1b[2m-- c\x1b[0m"),
            ("$a", "\x1b[35m$a\x1b[0m"),
            (" .help x", " \x1b[1;35m.help\x1b[0m x"),
            ("\"select\"", "\"select\""),
            ("", ""),
        ] {
            assert_eq!(highlight(line), expected);
        }
    }
}
