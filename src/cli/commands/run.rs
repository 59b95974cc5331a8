//! `assay run`: selects controls, runs them over the engine, reports to stdout and files, and turns the outcome into the exit code.

use crate::args::{Global, RunArgs};
use crate::bill;
use crate::commands::{self, list};
use crate::config::Config;
use crate::console::{self, Console};
use crate::exit::{Exit, Failed};
use crate::export;
use crate::older;
use crate::output::{self, Look};
use crate::runner::EngineRunner;
use crate::session::{self, Session};
use crate::statement::interrupt;
use crate::statistics::{self, Ended};
use crate::targets::Target;
use assay_compliance::{
    OlderPart, Outcome, Plan, PlanChild, PlanGroup, Progress, Request, RunOptions, RunResult, SqlRunner, TargetKind, read_mod_values,
};
use assay_engine::AsOf;
use assay_report::{Format, Options};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The progress line is renewed this often.
const TICK: Duration = Duration::from_millis(200);

/// Runs controls or benchmarks.
pub(crate) async fn exec(global: &Global, console: Console, kind: TargetKind, args: &RunArgs) -> Result<Exit, Failed> {
    let exports = exports(&args.export)?;
    let config = if global.demo { Config::default() } else { Config::load(global.config.as_deref())? };
    let vars = all_variables(&args.var_file, &args.var)?;
    let library = session::library(&config, &vars)?;
    let request =
        Request { kind, ids: args.ids.clone(), filters: args.filter.clone(), tags: args.tag.clone(), args: args.arg.clone(), vars };
    let plan = library.plan(&request)?;
    if plan.root.controls().iter().any(|c| c.id.contains('.')) {
        commands::mods::notices(console, &library);
    }
    if args.dry_run {
        return dry_run(&plan, args.output, console);
    }
    let session = Session::open(global, console).await?;
    let targets: Vec<Target> = plan.evaluations.iter().map(Target::of).collect();
    bill::afford(&session, &session.engine, &targets.iter().map(Target::asked).collect::<Vec<_>>(), args.max_calls).await?;
    let ended = run(&session, &plan, args, &exports).await;
    let recorded = session.finish();
    let exit = ended?;
    recorded?;
    Ok(exit)
}

async fn run(session: &Session, plan: &Plan, args: &RunArgs, exports: &[(PathBuf, Format)]) -> Result<Exit, Failed> {
    let console = &session.console;
    let result = evaluate(session, plan, usize::from(args.max_parallel)).await;
    let exit = exit_of(&result, args.allow_partial);

    let options = Options { width: console::terminal_size().1, color: console.color_stdout, ..Options::default() };
    let report = assay_report::render(args.output, &result, &options);
    let printed = io::stdout().write_all(&report).and_then(|()| io::stdout().flush()).map_err(|e| Failed::stdout(&e));
    for (path, format) in exports {
        let bytes = assay_report::render(*format, &result, &Options::default());
        export::write(path, &bytes)?;
        console.note(&format!("report written to {}", path.display()));
    }
    missing(console, &result, args);
    match printed {
        // The verdict stands, whoever reads the report.
        Err(failed) if failed.is_closed_pipe() => Ok(exit),
        Err(failed) => Err(failed),
        Ok(()) => Ok(exit),
    }
}

/// Runs the plan with a progress line; Ctrl-C cancels what is not finished.
async fn evaluate(session: &Session, plan: &Plan, max_parallel: usize) -> RunResult {
    let console = &session.console;
    let runner = EngineRunner::new(session.engine.clone()).within(session.engine.settings().statement_timeout);
    let latest: Mutex<Option<Progress>> = Mutex::new(None);
    let stopping = AtomicBool::new(false);
    let told = |progress: Progress| {
        if let Ok(mut latest) = latest.lock() {
            *latest = Some(progress);
        }
    };
    let cancel = async {
        interrupt().await;
        stopping.store(true, Ordering::Relaxed);
    };
    let options = RunOptions { max_parallel, progress: Some(&told) };
    // What was finished is reported after the first Ctrl-C; who does not want to wait for that presses it again.
    let impatient = tokio::spawn(async {
        interrupt().await;
        interrupt().await;
        std::process::exit(Exit::Interrupted as i32);
    });
    let mut run = std::pin::pin!(assay_compliance::run(plan, &runner, options, cancel));
    let mut tick = tokio::time::interval(TICK);
    let result = loop {
        tokio::select! {
            biased;
            result = &mut run => break result,
            _ = tick.tick(), if console.progress => {
                if let Some(progress) = latest.lock().ok().and_then(|p| *p) {
                    let calls = runner.calls_so_far().calls;
                    console.status(&status_line(&progress, calls, stopping.load(Ordering::Relaxed)));
                }
            }
        }
    };
    impatient.abort();
    console.status("");
    let ended = runner.ended();
    let whole = !result.cancelled && ended.len() == plan.evaluations.len();
    let ended: Vec<Ended<'_>> = ended.iter().map(|(sql, args, meter)| Ended { asked: (sql, args), meter }).collect();
    statistics::remember(session, &session.engine, &ended, whole);
    result
}

fn status_line(progress: &Progress, calls: u64, stopping: bool) -> String {
    let Progress { done, total, errors, alarms, .. } = progress;
    let end = if stopping { ", stopping" } else { "" };
    format!("{done}/{total} controls, {calls} calls, {alarms} with alarms, {errors} with errors{end}")
}

fn exit_of(result: &RunResult, allow_partial: bool) -> Exit {
    if result.cancelled {
        return Exit::Interrupted;
    }
    match result.outcome(allow_partial) {
        Outcome::Clean => Exit::Ok,
        Outcome::Alarm => Exit::Alarm,
        Outcome::Error => Exit::Incomplete,
        Outcome::Unreachable => Exit::Unavailable,
    }
}

/// Says on stderr what the result lacks. Reports for people list it themselves; the others get every line here.
fn missing(console: &Console, result: &RunResult, args: &RunArgs) {
    let gaps = &result.completeness.gaps;
    let for_people = matches!(args.output, Format::Text | Format::Brief | Format::Md | Format::Html);
    if !gaps.is_empty() {
        if !for_people {
            for gap in gaps {
                let failure = &gap.failure;
                let row = failure.row.as_ref().map(|r| format!(" for {r}")).unwrap_or_default();
                console.note(&format!("incomplete: {}{row}: {}", failure.table, failure.message));
            }
        }
        let calls = if gaps.len() == 1 { "1 call".to_owned() } else { format!("{} calls", gaps.len()) };
        let message = format!("{calls} failed: the results are incomplete");
        if args.allow_partial { console.warning(&message) } else { console.error(&message) }
    }
    result.completeness.notices.iter().for_each(|notice| console.notice(notice));
    let older: Vec<AsOf> = result.completeness.older.iter().map(as_of).collect();
    let nouns = result.completeness.older.iter().map(|part| (part.table.clone(), part.noun)).collect();
    older::lines(&older, &nouns, result.time).iter().for_each(|part| console.notice(part));
    if result.cancelled {
        console.error("interrupted: only what was finished is reported");
    }
}

fn as_of(part: &OlderPart) -> AsOf {
    let OlderPart { table, source, connection, account, at, or_later, .. } = part.clone();
    AsOf { table, source, connection, account, at, or_later }
}

/// Lists what would run.
fn dry_run(plan: &Plan, format: Format, console: Console) -> Result<Exit, Failed> {
    if format == Format::Text {
        let mut text = String::new();
        tree(&plan.root, 0, &mut text);
        io::stdout().write_all(text.as_bytes()).map_err(|e| Failed::stdout(&e))?;
        console.note(&format!("{} controls, {} statements; nothing was run", plan.root.controls().len(), plan.evaluations.len()));
        return Ok(Exit::Ok);
    }
    let format = match format {
        Format::Csv => output::Format::Csv,
        Format::Json => output::Format::Json,
        Format::None => output::Format::None,
        _ => output::Format::Table,
    };
    let rows: Vec<Vec<String>> = plan
        .root
        .controls()
        .into_iter()
        .map(|c| {
            let query = if c.evaluation.is_some() { c.query.clone() } else { "not implemented".to_owned() };
            vec![c.id.clone(), c.item.clone(), c.severity.to_string(), query, c.title.clone()]
        })
        .collect();
    list::print(
        Look { format, header: true, separator: b',', color: console.color_stdout },
        &["control", "item", "severity", "query", "title"],
        &rows,
    )?;
    let listed = rows.len();
    console.note(&format!("{listed} controls, {} statements; nothing was run", plan.evaluations.len()));
    Ok(Exit::Ok)
}

/// Groups and their controls, a line each.
fn tree(group: &PlanGroup, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for child in &group.children {
        match child {
            PlanChild::Group(g) => {
                let _ = writeln!(out, "{indent}{}  {}", g.id, g.title);
                tree(g, depth + 1, out);
            }
            PlanChild::Control(c) => {
                let open = if c.evaluation.is_none() { "  (not implemented)" } else { "" };
                let _ = writeln!(out, "{indent}{}  {}{open}", c.id, c.title);
            }
        }
    }
}

/// Paths and formats of the exports, checked before the run.
fn exports(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Format)>, Failed> {
    paths
        .iter()
        .map(|path| {
            let format = Format::of_path(path).map_err(|e| Failed::new(Exit::Usage, e.to_string()))?;
            session::writable_place(path)?;
            Ok((path.clone(), format))
        })
        .collect()
}

/// Variables of files and of the command line, as `name=value`; the later wins.
pub(crate) fn all_variables(files: &[PathBuf], given: &[String]) -> Result<Vec<String>, Failed> {
    let mut vars = Vec::new();
    for file in files {
        vars.extend(variables(file)?);
    }
    vars.extend(given.iter().cloned());
    Ok(vars)
}

/// A file of variables, `name: value` in YAML (and so JSON) or `name = value` in HCL, as `name=value`.
fn variables(path: &Path) -> Result<Vec<String>, Failed> {
    if path.extension().is_some_and(|e| e == "ppvars" || e == "spvars") {
        return Ok(read_mod_values(path)?.into_iter().map(|v| format!("{}={}", v.name, v.text)).collect());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failed::file("read", path, &e))?;
    let map: std::collections::BTreeMap<String, serde_json::Value> = serde_yaml::from_str(&text).map_err(|e| {
        let place = e.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
        Failed::new(Exit::Content, format!("{}{place}: not a list of variables", path.display()))
            .hint("write a line `name: value` for each")
    })?;
    Ok(map
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_refused_before_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let code = |path: &Path| exports(&[path.to_owned()]).map(|_| ()).map_err(|f| f.exit);
        assert_eq!(code(&dir.path().join("a.csv")), Ok(()));
        assert_eq!(code(&dir.path().join("a.xyz")), Err(Exit::Usage));
        assert_eq!(code(&dir.path().join("no/such/a.csv")), Err(Exit::Io));
        let folder = dir.path().join("b.csv");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(code(&folder), Err(Exit::Io));
    }

    #[test]
    fn files_of_variables() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vars.yaml");
        std::fs::write(&file, "max_age_days: 60\nname: x y\nlist: [1, a]\n").unwrap();
        assert_eq!(variables(&file).unwrap(), ["list=[1,\"a\"]", "max_age_days=60", "name=x y"]);
        let hcl = dir.path().join("vars.ppvars");
        std::fs::write(&hcl, "days = 60\nlist = [1, \"a\"]\n").unwrap();
        assert_eq!(variables(&hcl).unwrap(), ["days=60", "list=[1,\"a\"]"]);
        std::fs::write(&file, "- a\n").unwrap();
        assert_eq!(variables(&file).unwrap_err().exit, Exit::Content);
        assert_eq!(variables(&dir.path().join("none.yaml")).unwrap_err().exit, Exit::Io);
    }

    #[test]
    fn the_progress_line_says_how_far() {
        let progress = Progress { done: 3, total: 22, errors: 1, alarms: 2, calls: assay_compliance::CallCounts::default() };
        assert_eq!(status_line(&progress, 340, true), "3/22 controls, 340 calls, 2 with alarms, 1 with errors, stopping");
    }
}
