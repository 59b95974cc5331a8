//! `apply`, `create`, `deactivate`, `delete`, `resume`, `undo`: shows what will happen, asks, runs, judges again, reports.

use super::evidence::{self, Verdict};
use super::{exclusions, look, showing, store};
use crate::args::{Global, RotateGoing, RotateStepArgs};
use crate::console::Console;
use crate::exit::{Exit, Failed, io_text};
use crate::export;
use crate::output::Format;
use crate::runner::EngineRunner;
use crate::session::{self, Session, writable_place};
use assay_compliance::Library;
use assay_rotation::hands::CloudHands;
use assay_rotation::run::{Exclusions, ItemReport, Report, Runner};
use assay_rotation::{Clock, Plan, State, Step};
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

/// What every command here begins with.
pub(super) struct Going<'a> {
    /// Options, with the cache turned off.
    pub(super) global: &'a Global,
    /// The terminal.
    pub(super) console: Console,
}

impl Going<'_> {
    /// Carries a plan out, or one step of it.
    pub(super) async fn apply(&self, args: &RotateStepArgs, steps: &[Step]) -> Result<Exit, Failed> {
        let console = self.console;
        for path in args.out.iter().chain(&args.going.report) {
            writable_place(path)?;
        }
        let name = args.plan.display().to_string();
        let text = std::fs::read_to_string(&args.plan).map_err(|e| Failed::file("read", &args.plan, &e))?;
        let mut plan = Plan::read(&name, &text)?;
        if args.sink.is_some() {
            plan.sink.clone_from(&args.sink);
        }
        if !plan.asks(steps) {
            let asked = Step::whole(steps).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            console.note(&format!("{name} has no key to {asked}: there is nothing to do"));
            return written(args.out.as_deref(), &plan, console);
        }
        let work = self.open(&args.going, exclusions(&args.exclude), args.max).await?;
        let preview = work.runner.preview(&plan, steps).await?;
        let going = preview.iter().filter(|i| i.refusal.is_none() && i.error.is_none()).count();
        if going == 0 {
            showing::items(look(console, Format::Table), &preview)?;
            console.note("none of these keys can be worked on now: nothing was changed");
            return Ok(exit_of(&preview));
        }
        showing::preview(look(console, Format::Table), &plan, steps, &preview)?;
        if !confirmed(console, &args.going, format!("{going} of {} will be worked on. Go on?", preview.len())).await? {
            return Ok(Exit::Ok);
        }
        let before = work.verdicts(&plan).await;
        let report = work.runner.apply(plan.clone(), steps).await?;
        written(args.out.as_deref(), &report.next, console)?;
        work.ended(&report, &plan, before, args.going.report.as_deref()).await
    }

    /// Goes on with a run.
    pub(super) async fn resume(
        &self,
        run: &str,
        moved: &[String],
        exclusions: Exclusions,
        out: Option<&Path>,
        options: &RotateGoing,
    ) -> Result<Exit, Failed> {
        out.map_or(Ok(()), writable_place)?;
        let work = self.open(options, exclusions, usize::MAX).await?;
        let history = work.runner.store.read(run)?;
        showing::items_to(look(self.console, Format::Table), &Report::of(&history).items, &mut io::stderr())?;
        if !confirmed(self.console, options, format!("Go on with run {run}?")).await? {
            return Ok(Exit::Ok);
        }
        let before = work.verdicts(&history.plan).await;
        let report = work.runner.resume(run, moved).await?;
        written(out, &report.next, self.console)?;
        work.ended(&report, &history.plan, before, options.report.as_deref()).await
    }

    /// Takes a run back, or one key of it.
    pub(super) async fn undo(&self, what: &str, options: &RotateGoing) -> Result<Exit, Failed> {
        let work = self.open(options, Exclusions::default(), usize::MAX).await?;
        let history = work.runner.store.read(&work.runner.store.run_of(what)?)?;
        showing::items_to(look(self.console, Format::Table), &Report::of(&history).items, &mut io::stderr())?;
        let question = format!("Make the old keys of {what} active again, then delete the new ones that nobody has used?");
        if !confirmed(self.console, options, question).await? {
            return Ok(Exit::Ok);
        }
        let before = work.verdicts(&history.plan).await;
        let report = work.runner.undo(what).await?;
        work.ended(&report, &history.plan, before, options.report.as_deref()).await
    }

    async fn open(&self, options: &RotateGoing, exclusions: Exclusions, max: usize) -> Result<Work, Failed> {
        let Going { global, console } = self;
        if global.demo || global.replay.is_some() || global.record.is_some() {
            return Err(
                Failed::new(Exit::Usage, "a recording can be looked at, not changed").hint("leave --demo, --replay and --record out")
            );
        }
        if let Some(path) = &options.report {
            writable_place(path)?;
        }
        let session = Session::open(global, *console).await?;
        let library = session::library(&session.config, &[])?;
        let runner = Runner {
            hands: Arc::new(CloudHands::new(session.cloud.clone())),
            store: store()?,
            clock: Clock::real(),
            exclusions,
            parallel: usize::from(options.parallel),
            max,
        };
        Ok(Work { session, library, runner })
    }
}

/// What a command that changes something works with.
struct Work {
    session: Session,
    library: Library,
    runner: Runner,
}

impl Work {
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

    /// Shows how a run stands, what the controls say now, and how to go on. `plan` is the one that the run began with.
    async fn ended(&self, report: &Report, plan: &Plan, before: Option<Vec<Verdict>>, file: Option<&Path>) -> Result<Exit, Failed> {
        let console = self.session.console;
        report.notes.iter().for_each(|note| console.notice(note));
        // What was done is told, whatever becomes of the rest.
        let shown = showing::items(look(console, Format::Table), &report.items);
        let after = self.verdicts(plan).await;
        if let (Some(before), Some(after)) = (&before, &after) {
            evidence_lines(before, after).iter().for_each(|line| console.note(line));
        }
        if let Some(path) = file {
            let items: Vec<serde_json::Value> = report.items.iter().map(item).collect();
            let document = json!({ "run": report.run, "items": items, "before": before, "after": after });
            let text = serde_json::to_string_pretty(&document).map_err(|e| Failed::internal(&e.to_string()))?;
            export::write(path, format!("{text}\n").as_bytes())?;
            console.note(&format!("report written to {}", path.display()));
        }
        if report.items.iter().any(|i| !matches!(i.state, State::Done | State::Undone)) {
            console.note(&format!("to go on: assay rotate resume {0}; to take it back: assay rotate undo {0}", report.run));
        }
        shown.or_else(|failed| if failed.is_closed_pipe() { Ok(()) } else { Err(failed) })?;
        Ok(if before.is_none() || after.is_none() { Exit::Incomplete } else { exit_of(&report.items) })
    }
}

/// `iam_user_access_key_age_90: before 2 alarm; after 2 ok`, a line per control.
fn evidence_lines(before: &[Verdict], after: &[Verdict]) -> Vec<String> {
    let mut controls: Vec<&str> = before.iter().chain(after).map(|v| v.control).collect();
    controls.sort_unstable();
    controls.dedup();
    let counted = |control: &str, verdicts: &[Verdict]| {
        let mut statuses: Vec<&str> = verdicts.iter().filter(|v| v.control == control).map(|v| v.status.as_str()).collect();
        statuses.sort_unstable();
        let counts: Vec<String> = statuses.chunk_by(|a, b| a == b).map(|same| format!("{} {}", same.len(), same[0])).collect();
        if counts.is_empty() { "no keys".to_owned() } else { counts.join(", ") }
    };
    controls.iter().map(|control| format!("{control}: before {}; after {}", counted(control, before), counted(control, after))).collect()
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
        "before": item.before,
        "needs": item.needs,
    })
}

/// Errors and refusals make a run incomplete; waits do not.
fn exit_of(items: &[ItemReport]) -> Exit {
    let failed = |i: &ItemReport| i.error.is_some() || i.refusal.is_some() || matches!(i.state, State::NewKeyLeft | State::Unknown);
    if items.iter().any(failed) { Exit::Incomplete } else { Exit::Ok }
}

/// Asks on the terminal; without one, `--yes` must have been given.
async fn confirmed(console: Console, going: &RotateGoing, question: String) -> Result<bool, Failed> {
    if going.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failed::new(Exit::Usage, "nobody can be asked: standard input is no terminal").hint("look at it first, then add --yes"));
    }
    let ask = move || {
        write!(io::stderr(), "{question} [y/N] ")?;
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    // On a thread of its own, so that Ctrl-C is heard while nobody answers.
    let answer = tokio::task::spawn_blocking(ask).await.map_err(|e| Failed::internal(&e.to_string()))?;
    let line = answer.map_err(|e| Failed::new(Exit::Io, format!("cannot ask: {}", io_text(&e))))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_by_control_and_status() {
        let verdict = |control, status: &str| Verdict { control, resource: "r".into(), status: status.into(), reason: String::new() };
        let before = [verdict("b", "alarm"), verdict("b", "alarm"), verdict("a", "skip")];
        let after = [verdict("b", "ok"), verdict("b", "alarm")];
        assert_eq!(evidence_lines(&before, &after), ["a: before 1 skip; after no keys", "b: before 2 alarm; after 1 alarm, 1 ok"]);
        assert!(evidence_lines(&[], &[]).is_empty());
    }
}
