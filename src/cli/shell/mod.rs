//! The SQL shell: reads statements and meta-commands from a terminal, or from stdin that is none.

mod act;
mod complete;
mod editor;
mod highlight;
mod meta;
mod pager;
mod script;

use crate::args::Global;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::Session;
use act::{Flow, Shell};
use rustyline::error::ReadlineError;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

const PROMPT: &str = "assay> ";

/// Runs the shell to its end; with `secrets`, named secret columns are shown from the beginning.
pub(crate) async fn exec(global: &Global, console: Console, secrets: bool) -> Result<Exit, Failed> {
    let session = Session::showing(global, console, secrets, None).await?;
    let interactive = io::stdin().is_terminal();
    let mut shell = Shell::new(&session, interactive && console.stdout_terminal);
    let ended = if interactive { converse(&mut shell).await } else { batch(&mut shell).await };
    let recorded = session.finish();
    let exit = ended?;
    recorded?;
    Ok(exit)
}

/// Statements from stdin, to the first that fails.
async fn batch(shell: &mut Shell<'_>) -> Result<Exit, Failed> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|e| Failed::file("read", Path::new("standard input"), &e))?;
    shell.script(&text, "", 0).await?;
    Ok(if shell.incomplete { Exit::Incomplete } else { Exit::Ok })
}

/// Statements from a person: errors are told, and the shell goes on.
async fn converse(shell: &mut Shell<'_>) -> Result<Exit, Failed> {
    let console = shell.session.console;
    let mut editor = editor::open(&shell.session.engine, &shell.session.catalog, console.color_stdout).map_err(terminal)?;
    let (mut history, warning) = editor::History::load(&mut editor);
    if let Some(warning) = warning {
        console.warning(&warning);
    }
    console.note(&format!("assay {} — .help lists commands, .exit leaves", env!("CARGO_PKG_VERSION")));
    loop {
        if let Some(helper) = editor.helper_mut() {
            helper.multi = shell.multi;
            helper.complete = shell.autocomplete;
        }
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(Exit::Ok),
            Err(ReadlineError::Signal(_)) => continue,
            Err(error) => return Err(terminal(error)),
        };
        if line.trim().is_empty() {
            continue;
        }
        if let Some(warning) = history.add(&mut editor, line.trim_end()) {
            console.warning(&warning);
        }
        match shell.line(&line).await {
            Ok(Flow::Go) => {}
            Ok(Flow::Leave) => return Ok(Exit::Ok),
            Err(failed) => console.failed(&failed),
        }
    }
}

fn terminal(error: ReadlineError) -> Failed {
    match error {
        ReadlineError::Io(error) => Failed::file("read", Path::new("the terminal"), &error),
        other => Failed::new(Exit::Io, format!("cannot read the terminal: {other}")),
    }
}
