//! `assay completions`: a completion script for a shell, on stdout.

use crate::args::Cli;
use crate::exit::{Exit, Failed};
use clap::CommandFactory;
use std::io::{self, Write};

/// Prints the script.
pub(crate) fn exec(shell: clap_complete::Shell) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "assay", &mut script);
    io::stdout().write_all(&script).map_err(|e| Failed::stdout(&e))?;
    Ok(Exit::Ok)
}
