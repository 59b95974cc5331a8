//! `assay query`: statements from the command line, files, named queries or stdin; rows to stdout.

use crate::args::{Global, QueryArgs};
use crate::bill;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::output::Look;
use crate::session::{Session, library};
use crate::sql_text::{self, Statement};
use crate::statement::Job;
use crate::statistics::{self, Ended};
use crate::{params, session};
use assay_cloud::Meter;
use assay_engine::{Arg, Asked, Engine};
use chrono::Utc;
use std::io::{self, BufWriter, IsTerminal, Read};
use std::path::Path;

/// A text with statements, and what to call it in messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file; empty for the command line and stdin.
    name: String,
    /// The statements.
    pub(crate) text: String,
}

/// What an argument of `query` is.
#[derive(Debug, PartialEq, Eq)]
enum Input<'a> {
    Stdin,
    File(&'a Path),
    /// A single word is no statement: it names a query.
    Name(&'a str),
    Sql(&'a str),
}

/// Runs every statement in order; the first that fails ends the command.
pub(crate) async fn exec(global: &Global, console: Console, args: &QueryArgs) -> Result<Exit, Failed> {
    let mut bound = params::parse(&args.arg)?;
    let sources = sources(global, args, &mut bound)?;
    if sources.iter().all(|s| sql_text::is_blank(&s.text)) {
        return Err(Failed::new(Exit::Content, "there is no statement to run").hint("for example: assay query \"select 1\""));
    }
    let session = Session::showing(global, console, args.show_secrets, Some(Utc::now())).await?;
    let ended = run(&session, args, &bound, &sources).await;
    let recorded = session.finish();
    let exit = ended?;
    recorded?;
    Ok(exit)
}

/// A statement, and the engine as the SET statements before it left it.
struct Run<'s> {
    engine: Engine,
    source: &'s Source,
    statement: Statement,
}

/// What runs one after the other, and whether all of it by the same engine. SET and RESET do not run: they are followed here, so that one
/// that is wrong fails before anything does.
fn runs<'s>(session: &Session, sources: &'s [Source]) -> Result<(Vec<Run<'s>>, bool), Failed> {
    let mut engine = session.engine.clone();
    let (mut runs, mut alike) = (Vec::new(), true);
    for source in sources {
        for statement in sql_text::statements(&source.text) {
            match engine.set(&statement.text).map_err(|e| Failed::engine(&e, |at| locate(&source.name, &statement, at)))? {
                Some(changed) => {
                    engine = changed;
                    alike &= runs.is_empty();
                }
                None => runs.push(Run { engine: engine.clone(), source, statement }),
            }
        }
    }
    Ok((runs, alike))
}

async fn run(session: &Session, args: &QueryArgs, bound: &[Arg], sources: &[Source]) -> Result<Exit, Failed> {
    let console = &session.console;
    let look = Look { format: args.output, header: args.header, separator: args.separator.0, color: console.color_stdout };
    let mut out = BufWriter::new(io::stdout());
    let mut exit = Exit::Ok;
    let (runs, alike) = runs(session, sources)?;
    args.output.check_stdout(runs.len())?;
    let engine = runs.first().map_or(&session.engine, |first| &first.engine);
    // What is set on the way changes what statements cost: then there is no one bill for all of them.
    let asked: Vec<Asked<'_>> = runs.iter().map(|run| (run.statement.text.as_str(), bound)).filter(|_| alike).collect();
    bill::afford(session, engine, &asked, args.max_calls).await?;
    let mut ended: Vec<(&Run<'_>, Meter)> = Vec::new();
    for run in &runs {
        let job = Job {
            engine: &run.engine,
            console,
            sql: &run.statement.text,
            args: bound,
            look,
            timing: args.timing,
            locate: &|at| locate(&run.source.name, &run.statement, at),
        };
        let ran = job.run(&mut out).await?;
        ran.report(console, args.allow_partial);
        if args.timing {
            console.note(&ran.timing());
        }
        if ran.interrupted {
            return Err(Failed::new(Exit::Interrupted, format!("interrupted after {} rows: the result is incomplete", ran.rows)));
        }
        if !ran.is_complete() && !args.allow_partial {
            exit = Exit::Incomplete;
        }
        if ran.is_whole() {
            ended.push((run, ran.meter));
        }
    }
    let whole = ended.len() == runs.len();
    let all: Vec<Ended<'_>> = ended.iter().map(|(run, meter)| Ended { asked: (&run.statement.text, bound), meter }).collect();
    if alike {
        statistics::remember(session, engine, &all, whole);
    } else {
        ended.iter().zip(&all).for_each(|((run, _), one)| statistics::remember(session, &run.engine, std::slice::from_ref(one), false));
    }
    Ok(exit)
}

/// `report.sql:3:7: ` for a file, `line 3, column 7: ` for the command line.
fn locate(name: &str, statement: &Statement, at: (usize, usize)) -> String {
    let (line, column) = statement.place(at);
    if name.is_empty() { format!("line {line}, column {column}: ") } else { format!("{name}:{line}:{column}: ") }
}

fn input(text: &str) -> Input<'_> {
    let word = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if text == "-" {
        Input::Stdin
    } else if Path::new(text).extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) && !text.contains(['\n', ';']) {
        Input::File(Path::new(text))
    } else if word {
        Input::Name(text)
    } else {
        Input::Sql(text)
    }
}

fn sources(global: &Global, args: &QueryArgs, bound: &mut Vec<Arg>) -> Result<Vec<Source>, Failed> {
    if args.sql.is_empty() {
        if io::stdin().is_terminal() {
            return Err(Failed::new(Exit::Usage, "no SQL is given").hint("for example: assay query \"select 1\", or `assay` for the shell"));
        }
        return Ok(vec![stdin()?]);
    }
    args.sql.iter().map(|text| source(global, text, bound)).collect()
}

/// The statements that an argument stands for.
pub(crate) fn source(global: &Global, text: &str, bound: &mut Vec<Arg>) -> Result<Source, Failed> {
    match input(text) {
        Input::Stdin => stdin(),
        Input::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| Failed::file("read", path, &e))?;
            Ok(Source { name: path.display().to_string(), text })
        }
        Input::Name(name) => named(global, name, bound),
        Input::Sql(sql) => Ok(Source { name: String::new(), text: sql.to_owned() }),
    }
}

fn stdin() -> Result<Source, Failed> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|e| Failed::file("read", Path::new("standard input"), &e))?;
    Ok(Source { name: String::new(), text })
}

/// A named query; parameters that are not given take their defaults.
fn named(global: &Global, name: &str, bound: &mut Vec<Arg>) -> Result<Source, Failed> {
    let config = if global.demo { crate::config::Config::default() } else { crate::config::Config::load(global.config.as_deref())? };
    let query = library(&config, &[])?.query(name).map_err(|e| {
        let failed = Failed::from(e);
        // A lone word may also have been meant as a table.
        match session::catalog(&config) {
            Ok(catalog) if catalog.contains(name) => {
                failed.hint(format!("for the rows of the table: assay query \"select * from {name}\""))
            }
            _ => failed,
        }
    })?;
    let positional = !sql_text::tokens(&query.sql)
        .iter()
        .any(|t| t.kind == sql_text::Kind::Param && !t.text(&query.sql)[1..].starts_with(|c: char| c.is_ascii_digit()));
    for (i, param) in query.params.iter().enumerate() {
        let name = if positional { (i + 1).to_string() } else { param.name.clone() };
        if positional {
            // Parameters of such a query may be given by name too.
            if let Some(arg) = bound.iter_mut().find(|a| a.name == param.name) {
                arg.name.clone_from(&name);
            }
        }
        if let Some(arg) = bound.iter().find(|a| a.name == name) {
            match param.out_of_bounds(&arg.value) {
                Some(problem) => {
                    return Err(Failed::new(Exit::Content, format!("query {}: {problem}", query.name)).maybe_hint(param.advice()));
                }
                None => continue,
            }
        }
        match &param.default {
            Some(value) => bound.push(Arg { name, value: value.clone() }),
            None => {
                return Err(Failed::new(Exit::Content, format!("query {} needs a value for {}", query.name, param.name))
                    .hint(format!("add --arg {}=VALUE", param.name)));
            }
        }
    }
    Ok(Source { name: query.name, text: query.sql.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        for (text, expected) in [
            ("-", Input::Stdin),
            ("report.sql", Input::File(Path::new("report.sql"))),
            ("dir/My Report.SQL", Input::File(Path::new("dir/My Report.SQL"))),
            ("select 1", Input::Sql("select 1")),
            ("select 'a.sql'", Input::Sql("select 'a.sql'")),
            ("select 1; -- a.sql", Input::Sql("select 1; -- a.sql")),
            ("iam_root_mfa", Input::Name("iam_root_mfa")),
            ("query.iam_root_mfa", Input::Name("query.iam_root_mfa")),
            ("StorageAccounts-002", Input::Name("StorageAccounts-002")),
            ("", Input::Sql("")),
            ("--", Input::Sql("--")),
        ] {
            assert_eq!(input(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let statement = Statement { text: String::new(), line: 3, column: 9 };
        assert_eq!(locate("a.sql", &statement, (1, 2)), "a.sql:3:10: ");
        assert_eq!(locate("", &statement, (2, 2)), "line 4, column 2: ");
    }
}
