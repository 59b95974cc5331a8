//! The command line: arguments, commands, the shell, and the object graph. The only room that knows all others.
//!
//! Owns: what is printed, where, and how the process ends. Refuses: deciding what is true; that is the other rooms' work.

mod args;
mod bill;
mod commands;
mod config;
mod console;
mod demo;
mod dirs;
mod exit;
mod export;
mod failures;
mod fetch;
mod inspect;
mod log;
mod mods;
mod older;
mod output;
mod params;
mod runner;
mod session;
mod shell;
mod sql_text;
mod statement;
mod statistics;
mod targets;
mod values;

use args::{Cli, Command, RunVerb, RunWhat};
use assay_compliance::TargetKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches};
use console::Console;
use exit::{Exit, Failed};
use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Runs `assay` with these arguments (the first is the program's name) and says how the process ends.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let color = if args.iter().any(|a| a == "--no-color") { ColorChoice::Never } else { ColorChoice::Auto };
    let parsed = Cli::command().color(color).try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are a success; a reader that went away is no error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let console = Console::new(&cli.global);
    if let Some(level) = cli.global.log_level {
        log::start(level, console);
    }
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let what = info.payload_as_str().unwrap_or("panic");
        console.failed(&Failed::internal(&format!("{what}{place}")));
    }));
    let exit = match catch_unwind(AssertUnwindSafe(|| dispatch(cli, console))) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failed)) => {
            console.failed(&failed);
            failed.exit
        }
        Err(_) => Exit::Internal,
    };
    let _ = std::io::stdout().flush();
    exit.into()
}

fn dispatch(cli: Cli, console: Console) -> Result<Exit, Failed> {
    let global = &cli.global;
    match cli.command {
        None => block_on(shell::exec(global, console, cli.show_secrets)),
        Some(_) if cli.show_secrets => {
            Err(Failed::new(Exit::Usage, "--show-secrets is an option of the shell and of `query`").hint("write it behind `query`"))
        }
        Some(Command::Query(args)) => block_on(commands::query::exec(global, console, &args)),
        Some(Command::Run { what: RunWhat::Control(args) } | Command::Control { verb: RunVerb::Run(args) }) => {
            block_on(commands::run::exec(global, console, TargetKind::Control, &args))
        }
        Some(Command::Run { what: RunWhat::Benchmark(args) } | Command::Benchmark { verb: RunVerb::Run(args) }) => {
            block_on(commands::run::exec(global, console, TargetKind::Benchmark, &args))
        }
        Some(Command::Explain(args)) => block_on(commands::explain::exec(global, console, &args)),
        Some(Command::Policy(args)) => block_on(commands::policy::exec(global, console, &args)),
        Some(Command::List(args)) => block_on(commands::list::exec(global, console, &args)),
        Some(Command::Show(args)) => commands::show::exec(global, console, &args),
        Some(Command::Mod { verb }) => commands::mods::exec(console, &verb),
        Some(Command::Rotate { verb }) => block_on(commands::rotate::exec(global, console, &verb)),
        Some(Command::Cache { verb }) => commands::cache::exec(global, console, &verb),
        Some(Command::Doctor) => block_on(commands::doctor::exec(global, console)),
        Some(Command::Completions { shell }) => commands::completions::exec(shell),
    }
}

/// Runs a command on a small pool: the work is waiting for clouds, not computing.
fn block_on(command: impl Future<Output = Result<Exit, Failed>>) -> Result<Exit, Failed> {
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|e| Failed::new(Exit::Internal, format!("cannot start: {}", exit::io_text(&e))))?;
    let ended = runtime.block_on(command);
    // Whatever is still in flight was cancelled; nothing is waited for.
    runtime.shutdown_background();
    ended
}
