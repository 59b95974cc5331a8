//! `apply`, `create`, `deactivate`, `delete`, `resume`, `undo`: shows what will happen, asks, runs, judges again, reports.

use super::evidence::{self, Verdict};
use super::{exclusions, look, showing, store};
use crate::args::{Global, RotateGoing, RotateStepArgs};
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::export;
use crate::output::Format;
use crate::runner::EngineRunner;
use crate::session::{self, Session, writable_place};
use crate::statement::interrupt;
use assay_compliance::Library;
use assay_rotation::hands::CloudHands;
use assay_rotation::run::{Exclusions, ItemReport, Report, Runner};
use assay_rotation::{Clock, Plan, RotationError, State, Step};
use serde_json::json;
use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

/// Carries a plan out, or one step of it.
pub(super) async fn apply(global: &Global, console: Console, args: &RotateStepArgs, steps: &[Step]) -> Result<Exit, Failed> {
    for path in args.out.iter().chain(&args.going.report) {
        writable_place(path)?;
    }
    let name = args.plan.display().to_string();
    let text = std::fs::read_to_string(&args.plan).map_err(|e| Failed::file("read", &args.plan, &e))?;
    let mut plan = Plan::read(&name, &text)?;
    if args.sink.is_some() {
        plan.sink.clone_from(&args.sink);
    }
    if plan.is_empty() {
        console.note(&format!("{name} has no keys: there is nothing to do"));
        return written(args.out.as_deref(), &plan, console);
    }
    let work = Work::open(global, console, &args.going, exclusions(&args.exclude), args.max).await?;
    let preview = work.runner.preview(&plan, steps).await?;
    showing::items(look(console, Format::Table), &preview)?;
    let going = preview.iter().filter(|i| i.refusal.is_none() && i.error.is_none()).count();
    if going == 0 {
        console.note("none of these keys can be worked on now: nothing was changed");
        return Ok(exit_of(&preview));
    }
    if !confirmed(console, &args.going, &format!("{going} of {} keys will be worked on. Go on?", preview.len()))? {
        return Ok(Exit::Ok);
    }
    let before = work.verdicts(&plan).await;
    let runner = &work.runner;
    let report = interruptible(runner.apply(plan.clone(), steps)).await?;
    let exit = work.ended(&report, before, args.going.report.as_deref()).await?;
    written(args.out.as_deref(), &report.next, console)?;
    Ok(exit)
}

/// Goes on with a run.
pub(super) async fn resume(global: &Global, console: Console, run: &str, moved: &[String], going: &RotateGoing) -> Result<Exit, Failed> {
    let work = Work::open(global, console, going, Exclusions::default(), usize::MAX).await?;
    if !confirmed(console, going, &format!("Go on with run {run}?"))? {
        return Ok(Exit::Ok);
    }
    let plan = work.runner.store.read(run)?.plan;
    let before = work.verdicts(&plan).await;
    let report = interruptible(work.runner.resume(run, moved)).await?;
    work.ended(&report, before, going.report.as_deref()).await
}

/// Takes a run back.
pub(super) async fn undo(global: &Global, console: Console, what: &str, going: &RotateGoing) -> Result<Exit, Failed> {
    let work = Work::open(global, console, going, Exclusions::default(), usize::MAX).await?;
    if !confirmed(console, going, &format!("Make the old keys of {what} active again and delete new ones that nobody used?"))? {
        return Ok(Exit::Ok);
    }
    let plan = work.runner.store.read(&work.runner.store.run_of(what)?)?.plan;
    let before = work.verdicts(&plan).await;
    let report = interruptible(work.runner.undo(what)).await?;
    work.ended(&report, before, going.report.as_deref()).await
}

/// What a command that changes something works with.
struct Work {
    session: Session,
    library: Library,
    runner: Runner,
}

impl Work {
    async fn open(
        global: &Global,
        console: Console,
        going: &RotateGoing,
        exclusions: Exclusions,
        max: usize,
    ) -> Result<Work, Failed> {
        if global.demo || global.replay.is_some() || global.record.is_some() {
            return Err(Failed::new(Exit::Usage, "a recording can be looked at, not changed").hint("`assay rotate plan` works with it"));
        }
        if let Some(path) = &going.report {
            writable_place(path)?;
        }
        let session = Session::open(global, console).await?;
        let library = session::library(&session.config, &[])?;
        let runner = Runner {
            hands: Arc::new(CloudHands::new(session.cloud.clone())),
            store: store()?,
            clock: Clock::real(),
            exclusions,
            parallel: usize::from(going.parallel),
            max,
        };
        Ok(Work { session, library, runner })
    }

    /// The controls' verdicts about the owners in a plan; what stands in the way is said, and ends nothing.
    async fn verdicts(&self, plan: &Plan) -> Option<Vec<Verdict>> {
        let runner = EngineRunner::new(self.session.engine.clone());
        match evidence::verdicts(&runner, &self.library, plan).await {
            Ok(verdicts) => Some(verdicts),
            Err(failed) => {
                self.session.console.warning(&format!("the control could not be evaluated: {}", failed.message));
                None
            }
        }
    }

    /// Shows how a run stands, what the controls say now, and how to go on.
    async fn ended(&self, report: &Report, before: Option<Vec<Verdict>>, file: Option<&Path>) -> Result<Exit, Failed> {
        let console = self.session.console;
        report.notes.iter().for_each(|note| console.notice(note));
        showing::report(look(console, Format::Table), report)?;
        let after = self.verdicts(&report.next).await;
        if let (Some(before), Some(after)) = (&before, &after) {
            let count = |verdicts: &[Verdict], status: &str| verdicts.iter().filter(|v| v.status == status).count();
            console.note(&format!(
                "{}: {} alarms before, {} after; {} ok before, {} after",
                after.first().or(before.first()).map_or("controls", |v| v.control),
                count(before, "alarm"),
                count(after, "alarm"),
                count(before, "ok"),
                count(after, "ok"),
            ));
        }
        if let Some(path) = file {
            let items: Vec<serde_json::Value> = report.items.iter().map(item).collect();
            let document = json!({ "run": report.run, "items": items, "before": before, "after": after });
            let text = serde_json::to_string_pretty(&document).map_err(|e| Failed::internal(&e.to_string()))?;
            export::write(path, format!("{text}\n").as_bytes())?;
            console.note(&format!("report written to {}", path.display()));
        }
        if report.items.iter().any(|i| i.until.is_some() || i.needs.is_some()) {
            console.note(&format!("to go on: assay rotate resume {0}; to take it back: assay rotate undo {0}", report.run));
        }
        let exit = exit_of(&report.items);
        Ok(if before.is_none() || after.is_none() { Exit::Incomplete } else { exit })
    }
}

fn item(item: &ItemReport) -> serde_json::Value {
    json!({
        "item": item.item,
        "owner": item.owner,
        "account_id": item.account_id,
        "state": item.state,
        "new_key": item.new_key,
        "refusal": item.refusal,
        "error": item.error,
        "until": item.until,
        "needs": item.needs,
    })
}

/// Errors and refusals make a run incomplete; waits do not.
fn exit_of(items: &[ItemReport]) -> Exit {
    let failed = |i: &ItemReport| i.error.is_some() || i.refusal.is_some() || matches!(i.state, State::NewKeyLeft | State::Unknown);
    if items.iter().any(failed) { Exit::Incomplete } else { Exit::Ok }
}

/// Asks on the terminal; without one, `--yes` must have been given.
fn confirmed(console: Console, going: &RotateGoing, question: &str) -> Result<bool, Failed> {
    if going.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failed::new(Exit::Usage, "nobody can be asked: standard input is no terminal").hint("look at it first, then add --yes"));
    }
    let failed = |e: io::Error| Failed::new(Exit::Io, format!("cannot ask: {}", crate::exit::io_text(&e)));
    write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    let yes = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        console.note("nothing was changed");
    }
    Ok(yes)
}

/// The list for the next step.
fn written(path: Option<&Path>, next: &Plan, console: Console) -> Result<Exit, Failed> {
    if let Some(path) = path {
        export::write(path, next.to_yaml()?.as_bytes())?;
        console.note(&format!("list for the next step written to {}", path.display()));
    }
    Ok(Exit::Ok)
}

/// Ctrl-C stops between two calls' ends: the journal knows how far it came.
async fn interruptible(run: impl Future<Output = Result<Report, RotationError>>) -> Result<Report, Failed> {
    tokio::select! {
        report = run => Ok(report?),
        () = interrupt() => Err(Failed::new(Exit::Interrupted, "interrupted: the journal knows how far it came")
            .hint("assay rotate status, then assay rotate resume or undo")),
    }
}
