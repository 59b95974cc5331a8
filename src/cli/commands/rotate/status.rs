//! `assay rotate status`: runs and where their keys stand, as the journals tell; makes no call.

use super::{look, showing, store};
use crate::commands::list;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::output::Format;
use assay_rotation::Store;
use assay_rotation::run::{ItemReport, Report};
use std::fmt::Write as _;

/// Shows all runs, or the keys of one. An altered journal is an error, and the others are shown all the same.
pub(super) fn exec(console: Console, what: Option<&str>, format: Format) -> Result<Exit, Failed> {
    let store = store()?;
    match what {
        Some(what) => one(console, &store, what, format),
        None => all(console, &store, format),
    }
}

fn one(console: Console, store: &Store, what: &str, format: Format) -> Result<Exit, Failed> {
    let run = store.run_of(what)?;
    let history = store.read(&run)?;
    showing::items(look(console, format), &Report::of(&history).items)?;
    console.note(&format!(
        "run {run}, started {}: {} lines in {}",
        showing::minute(history.started),
        history.entries.len(),
        store.path(&run).display()
    ));
    Ok(Exit::Ok)
}

fn all(console: Console, store: &Store, format: Format) -> Result<Exit, Failed> {
    let mut exit = Exit::Ok;
    let mut rows = Vec::new();
    for run in store.runs()? {
        match store.read(&run) {
            Ok(history) => {
                let report = Report::of(&history);
                let next = report.items.iter().filter_map(|i| i.until).min().map(showing::minute).unwrap_or_default();
                rows.push(vec![run, showing::minute(history.started), report.items.len().to_string(), states(&report.items), next]);
            }
            Err(error) => {
                console.failed(&error.into());
                exit = Exit::Incomplete;
            }
        }
    }
    if rows.is_empty() && exit == Exit::Ok {
        console.note("no run has been made here");
        return Ok(exit);
    }
    list::print(look(console, format), &["run", "started", "keys", "states", "goes_on_at"], &rows)?;
    Ok(exit)
}

/// `2 done, 1 waiting`
fn states(items: &[ItemReport]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for item in items {
        let state = item.state.to_string();
        match counts.iter_mut().find(|(name, _)| *name == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    counts.sort();
    let mut text = String::new();
    for (state, count) in counts {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{count} {state}");
    }
    text
}
