//! Long results go through a pager: held back until they exceed the screen, then piped.

use crate::console;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use unicode_width::UnicodeWidthStr;

/// Text of one result on its way to the terminal.
pub(crate) struct Pager {
    rows: usize,
    columns: usize,
    state: State,
}

enum State {
    /// It may still fit on the screen.
    Held(Vec<u8>),
    /// It does not.
    Piped(Child),
    /// There is no pager.
    Direct,
}

impl Pager {
    /// A pager for a screen of the terminal's size.
    pub(crate) fn new() -> Pager {
        let (rows, columns) = console::terminal_size();
        // The prompt needs a line too.
        Pager { rows: rows.saturating_sub(1), columns, state: State::Held(Vec::new()) }
    }

    /// Shows what is left and waits until the reader has seen enough.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.state {
            State::Held(text) => {
                io::stdout().write_all(&text)?;
                io::stdout().flush()
            }
            State::Piped(mut child) => {
                drop(child.stdin.take());
                child.wait().map(drop)
            }
            State::Direct => io::stdout().flush(),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let State::Held(text) = &mut self.state else { return Ok(()) };
        let text = std::mem::take(text);
        self.state = spawn().map_or(State::Direct, State::Piped);
        self.write_all(&text)
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Held(text) => {
                text.extend_from_slice(bytes);
                if !fits(text, self.rows, self.columns) {
                    self.start()?;
                }
                Ok(bytes.len())
            }
            State::Piped(child) => match &mut child.stdin {
                Some(pipe) => pipe.write(bytes),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
            State::Direct => io::stdout().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Held(_) => Ok(()),
            State::Piped(child) => child.stdin.as_mut().map_or(Ok(()), Write::flush),
            State::Direct => io::stdout().flush(),
        }
    }
}

/// Does a text fit on a screen, in height and width?
fn fits(text: &[u8], rows: usize, columns: usize) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = 0;
    for line in text.lines() {
        lines += 1;
        if lines > rows || line.width() > columns {
            return false;
        }
    }
    true
}

/// `$PAGER`, or less: chop long lines, quit when it all fits, keep colours, leave the screen as it is.
fn spawn() -> Option<Child> {
    let mut command = match std::env::var("PAGER") {
        Ok(pager) if pager.trim().is_empty() || pager.trim() == "cat" => return None,
        Ok(pager) => {
            let mut command = Command::new("sh");
            command.args(["-c", &pager]);
            command
        }
        Err(_) => {
            let mut command = Command::new("less");
            command.arg("-SFRX");
            command
        }
    };
    command.stdin(Stdio::piped()).spawn().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for (text, fitting) in [("", true), ("a\nb\n", true), ("a\nb\nc\n", false), ("12345", true), ("123456", false), ("日本語", false)]
        {
            assert_eq!(fits(text.as_bytes(), 2, 5), fitting, "{text:?}");
        }
    }
}
