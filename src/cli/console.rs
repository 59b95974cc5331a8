//! The terminal: who is listening, colours, and everything that goes to stderr. Data never passes through here.

use crate::args::{Global, When};
use crate::exit::Failed;
use std::io::{self, IsTerminal, Write};

/// What is known about the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Console {
    /// Colours on stderr.
    pub(crate) color_stderr: bool,
    /// Colours on stdout.
    pub(crate) color_stdout: bool,
    /// Is stdout a terminal?
    pub(crate) stdout_terminal: bool,
    /// Show progress?
    pub(crate) progress: bool,
}

impl Console {
    /// Looks at the flags, the environment and the standard streams.
    pub(crate) fn new(global: &Global) -> Console {
        let color = !global.no_color
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        let stderr = io::stderr().is_terminal();
        let stdout = io::stdout().is_terminal();
        Console {
            color_stderr: color && stderr,
            color_stdout: color && stdout,
            stdout_terminal: stdout,
            progress: match global.progress {
                When::Auto => stderr,
                When::Always => true,
                When::Never => false,
            },
        }
    }

    /// Says that something failed: `error: …`, then `hint: …`.
    pub(crate) fn failed(&self, failed: &Failed) {
        if failed.is_closed_pipe() {
            return;
        }
        for (message, hint) in &failed.also {
            self.line("error", "31", message);
            hint.iter().for_each(|h| self.hint(h));
        }
        self.line("error", "31", &failed.message);
        if let Some(hint) = &failed.hint {
            self.hint(hint);
        }
    }

    /// `error: …`
    pub(crate) fn error(&self, message: &str) {
        self.line("error", "31", message);
    }

    /// `warning: …`
    pub(crate) fn warning(&self, message: &str) {
        self.line("warning", "33", message);
    }

    /// `hint: …`
    pub(crate) fn hint(&self, message: &str) {
        self.line("hint", "36", message);
    }

    /// `note: …`: what people should know about an answer.
    pub(crate) fn notice(&self, message: &str) {
        self.line("note", "36", message);
    }

    /// A line without a label.
    pub(crate) fn note(&self, message: &str) {
        // When even stderr is closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{}", printable(message));
    }

    /// Replaces the last line of the terminal; an empty text erases it.
    pub(crate) fn status(&self, text: &str) {
        if self.progress {
            let _ = write!(io::stderr(), "\r\x1b[2K{}", printable(text));
            let _ = io::stderr().flush();
        }
    }

    fn line(&self, label: &str, color: &str, message: &str) {
        let message = printable(message);
        let _ = if self.color_stderr {
            writeln!(io::stderr(), "\x1b[1;{color}m{label}\x1b[0m: {message}")
        } else {
            writeln!(io::stderr(), "{label}: {message}")
        };
    }
}

/// Rows and columns of the terminal; 24 × 80 where there is none.
pub(crate) fn terminal_size() -> (usize, usize) {
    terminal_size::terminal_size().map_or((24, 80), |(width, height)| (usize::from(height.0), usize::from(width.0)))
}

/// Messages quote clouds and files: nothing in them may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\u{7}é\n"), "a\u{fffd}[2Jb\u{fffd}é\n");
    }
}
