//! A text of statements and meta-commands, cut into what runs one after the other. For `.read` and for stdin that is no terminal.

use crate::shell::meta;
use crate::sql_text;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A meta-command, on a line of its own.
    Meta(String),
    /// Statements.
    Sql(String),
}

/// Steps with the 1-based line each begins at.
pub(crate) fn steps(text: &str) -> Vec<(usize, Step)> {
    let mut out = Vec::new();
    let mut held = String::new();
    let mut held_from = 1;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if sql_text::is_blank(&held) {
            held.clear();
            held_from = i + 1;
            if meta::is_meta(line) {
                out.push((i + 1, Step::Meta(line.trim().to_owned())));
                continue;
            }
        }
        held.push_str(line);
        if sql_text::is_finished(&held) && !sql_text::is_blank(&held) {
            out.push((held_from, Step::Sql(std::mem::take(&mut held))));
        }
    }
    if !sql_text::is_blank(&held) {
        out.push((held_from, Step::Sql(held)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_commands_take_turns() {
        let text = "-- head\n.output csv\nselect 1;\n\nselect\n  '\n.help\n' ; select 2;\n.timing on\nselect 3";
        let sql = |s: &str| Step::Sql(s.to_owned());
        let meta = |s: &str| Step::Meta(s.to_owned());
        assert_eq!(
            steps(text),
            [
                (2, meta(".output csv")),
                (3, sql("select 1;\n")),
                (5, sql("select\n  '\n.help\n' ; select 2;\n")),
                (9, meta(".timing on")),
                (10, sql("select 3")),
            ]
        );
        assert!(steps("").is_empty());
        assert!(steps("-- only a comment\n;\n").is_empty());
    }
}
