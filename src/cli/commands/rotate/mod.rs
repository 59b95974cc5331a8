//! `assay rotate`: plans from live tables, runs them after asking, shows and resumes and takes back runs. What is safe is decided in the
//! room `rotation`; here it is shown, asked and judged again by the controls.

mod candidates;
mod evidence;
mod going;
mod planning;
mod showing;
mod status;

use crate::args::{Global, RotateExclude, RotateVerb};
use crate::commands::{cache, list};
use crate::console::Console;
use crate::dirs;
use crate::exit::{Exit, Failed};
use crate::output::{Format, Look};
use crate::runner::EngineRunner;
use crate::session::Session;
use crate::statement::interrupt;
use assay_compliance::{ScopeFailure, SqlError, SqlErrorKind, SqlRunner, Value};
use assay_rotation::run::Exclusions;
use assay_rotation::{Step, Store};
use std::path::PathBuf;
use std::time::Duration;

/// Runs the command.
pub(crate) async fn exec(global: &Global, console: Console, verb: &RotateVerb) -> Result<Exit, Failed> {
    // What is judged and written must be as it is now.
    let global = &Global { disk_cache: Some(false), max_staleness: Some(Duration::ZERO), ..global.clone() };
    let live = Global { cache_ttl: Some(Duration::ZERO), ..global.clone() };
    let going = going::Going { global: &live, console };
    let work = async {
        match verb {
            RotateVerb::Users { output } => users(global, console, *output).await,
            RotateVerb::Plan(args) => planning::exec(global, console, args).await,
            RotateVerb::Apply(args) if args.steps.is_empty() => going.apply(&args.list, &Step::ALL).await,
            RotateVerb::Apply(args) => going.apply(&args.list, &args.steps).await,
            RotateVerb::Create(args) => going.apply(args, &[Step::Create, Step::Deliver, Step::Verify]).await,
            RotateVerb::Deactivate(args) => going.apply(args, &[Step::Deactivate]).await,
            RotateVerb::Delete(args) => going.apply(args, &[Step::Delete]).await,
            RotateVerb::Status { what, output } => status::exec(console, what.as_deref(), *output),
            RotateVerb::Resume { run, moved, out, exclude, going: options } => {
                going.resume(run, moved, exclusions(exclude), out.as_deref(), options).await
            }
            RotateVerb::Undo { what, going: options } => going.undo(what, options).await,
        }
    };
    let writes = !matches!(verb, RotateVerb::Users { .. } | RotateVerb::Plan(_) | RotateVerb::Status { .. });
    // Ctrl-C is a crash that gives its locks back: the journal has every line up to here.
    let ended = tokio::select! {
        ended = work => ended,
        () = interrupt() => Err(Failed::new(Exit::Interrupted, "interrupted").hint("assay rotate status shows how far a run came")),
    };
    if writes {
        cache::forget(global, console);
    }
    ended
}

/// Users, as the runbooks begin with them.
async fn users(global: &Global, console: Console, format: Format) -> Result<Exit, Failed> {
    let session = Session::open(global, console).await?;
    let runner = EngineRunner::new(session.engine.clone());
    let sql = "select name, user_id, to_char(create_date, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', account_id from aws_iam_user order by account_id, name";
    let answer = runner.run(sql, &[]).await.map_err(failed)?;
    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
    let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(text).collect()).collect();
    list::print(look(console, format), &["user_name", "user_id", "created_on", "account_id"], &rows)?;
    session.finish()?;
    Ok(incomplete(console, &answer.failures).unwrap_or(Exit::Ok))
}

fn look(console: Console, format: Format) -> Look {
    Look { format, header: true, separator: b',', color: console.color_stdout }
}

/// A statement that could not be run.
fn failed(error: SqlError) -> Failed {
    match error.kind {
        SqlErrorKind::Statement | SqlErrorKind::Data => Failed::new(Exit::Content, error.message).maybe_hint(error.hint),
        SqlErrorKind::Cloud => Failed::new(Exit::Unavailable, error.message).maybe_hint(error.hint),
        SqlErrorKind::Internal => Failed::internal(&error.message),
    }
}

/// Says which calls failed; the exit code if any did.
fn incomplete(console: Console, failures: &[ScopeFailure]) -> Option<Exit> {
    for failure in failures {
        let row = failure.row.as_ref().map(|r| format!(" for {r}")).unwrap_or_default();
        console.error(&format!("incomplete: {}{row}: {}", failure.table, failure.message));
    }
    (!failures.is_empty()).then_some(Exit::Incomplete)
}

/// Journals and locks: `$ASSAY_STATE_DIR`, else the state folder of the XDG specification.
fn store() -> Result<Store, Failed> {
    let named = std::env::var_os("ASSAY_STATE_DIR").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = named
        .or_else(dirs::state)
        .ok_or_else(|| Failed::new(Exit::Io, "there is no folder for journals").hint("set HOME, XDG_STATE_HOME or ASSAY_STATE_DIR"))?;
    Ok(Store::new(folder))
}

fn exclusions(args: &RotateExclude) -> Exclusions {
    Exclusions { names: args.exclude.clone(), paths: args.exclude_path.clone(), tags: args.exclude_tag.clone() }
}
