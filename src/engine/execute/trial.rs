//! Whether a summary can be used. While it has given nothing, the table's own calls can be made instead: an answer is never less complete
//! because a report is denied, not there, or too old.

use super::Walk;
use crate::query_log::AsOf;
use crate::together::Group;
use assay_cloud::{CloudError, ErrorKind};
use assay_tables::CallPlan;
use assay_tables::run::{Link, Row};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// The use of a summary by one scan of one scope.
#[derive(Debug)]
pub(crate) struct Trial {
    source: String,
    /// How old the summary may be.
    max_staleness: TimeDelta,
    /// The scopes that the summary is asked about with this one.
    together: Option<Arc<Group>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    /// It has something, but may still break off.
    Shown,
    /// It has answered.
    Used,
    /// It cannot be used, and why; `None` where that is nobody's concern.
    Abandoned(Option<String>),
}

impl Trial {
    /// Of the summary that a plan reads. Where another scope of the group has given it up, this one has too.
    pub(crate) fn new(plan: &CallPlan, max_staleness: TimeDelta, together: Option<Arc<Group>>) -> Trial {
        let source = plan.summary().map(|summary| summary.source().to_owned()).unwrap_or_default();
        let given_up = together.as_ref().and_then(|group| group.given_up().cloned());
        Trial { source, max_staleness, together, state: Mutex::new(given_up.map_or(State::Open, State::Abandoned)) }
    }

    /// What the calls of the summary are about.
    pub(super) fn asked(&self) -> impl Iterator<Item = &str> {
        self.together.iter().flat_map(|group| group.ids())
    }

    /// Has it not answered, so that the table's own calls are to be made?
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(*self.lock(), State::Abandoned(_))
    }

    /// What people should know of it.
    pub(crate) fn notice(&self) -> Option<String> {
        match &*self.lock() {
            State::Abandoned(Some(why)) => Some(format!("listed, for the {} cannot be used: {why}", self.source)),
            _ => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the summary up, unless it has answered already.
    fn abandon(&self, why: Option<String>) -> bool {
        let mut state = self.lock();
        if matches!(*state, State::Open | State::Shown) {
            *state = State::Abandoned(why);
        }
        matches!(*state, State::Abandoned(_))
    }
}

impl Walk {
    /// The trial of the summary that this link is a part of.
    fn trial_of(&self, link: &Link) -> Option<&Trial> {
        self.env.trial.as_deref().filter(|_| self.plan.summary().is_some_and(|summary| summary.is_head(link.index())))
    }

    /// Is this failure one of a summary that has given nothing yet? Then it is none of the query.
    pub(super) fn gives_up(&self, link: &Link, error: &CloudError) -> bool {
        let Some(trial) = self.trial_of(link) else { return false };
        // Where nobody can be asked, or nothing more may be, the table's own calls would fail as well.
        if matches!(error.kind, ErrorKind::Credentials | ErrorKind::Unreachable | ErrorKind::OverBudget) {
            return false;
        }
        // Whoever only counts calls leaves those for rows out.
        if error.kind == ErrorKind::NotRecorded && self.env.cloud.asks_lists() {
            return false;
        }
        // A recording has what was asked when it was made; that is no news.
        let why = (error.kind != ErrorKind::NotRecorded).then(|| format!("{}: {}", error.code, error.message));
        if let Some(group) = trial.together.as_ref().filter(|_| link.is_shared()) {
            group.give_up(why.clone());
        }
        trial.abandon(why)
    }

    /// Gives up a summary that cannot be asked here.
    pub(super) fn cannot_ask(&self) {
        if let Some(trial) = &self.env.trial {
            trial.abandon(None);
        }
    }

    /// Do rows of this link wait for its last page? Then a summary that breaks off can still be given up.
    pub(super) fn waits(&self, link: &Link) -> bool {
        self.trial_of(link).is_some() && (link.needs_row() || (link.is_shared() && self.limit.is_none()))
    }

    /// Is it a question about many scopes that had no answer at all? Then nobody knows whether there is nothing, or nothing that may be read. Gives
    /// the summary up.
    pub(super) fn is_blank(&self, link: &Link) -> bool {
        let Some(trial) = self.trial_of(link).filter(|_| link.is_shared() && !link.needs_row()) else { return false };
        if !matches!(*trial.lock(), State::Open) {
            return false;
        }
        trial.abandon(Some("it shows none, which may be for want of rights".to_owned()))
    }

    /// All rows of a link that waits; `None` where the summary is given up, for they say nothing about this scope.
    pub(super) fn whole(&self, link: &Link, start: usize, rows: Vec<Row>) -> Option<Vec<Row>> {
        let trial = self.trial_of(link)?;
        if rows.is_empty()
            && let Some(why) = link.or_list(self.start(start), &self.facts).unwrap_or_else(Some)
        {
            trial.abandon(Some(why));
            return None;
        }
        self.answered(link, trial);
        Some(rows)
    }

    /// May the answer of a summary be used, by its age? Notes how old it is, and whether it has anything to show.
    pub(super) fn fresh(&self, link: &Link, page: &Value, shown: bool) -> Result<bool, String> {
        let Some(trial) = self.trial_of(link) else { return Ok(true) };
        if let Some(at) = link.as_of(page)? {
            if self.plan.now() - at > trial.max_staleness {
                let why = format!("it is of {} and may be {} old", instant(at), spoken(trial.max_staleness));
                return Ok(!trial.abandon(Some(why)));
            }
            let account = self.scope.account.known_identity().map(|identity| identity.account_id.to_string());
            self.shows(trial, account, at, false);
        }
        let last = self.plan.summary().is_some_and(|summary| summary.is_last_of_head(link.index()));
        if last && shown && matches!(*trial.lock(), State::Open) {
            *trial.lock() = State::Shown;
        }
        if !self.waits(link) && (shown || !link.is_shared()) {
            self.answered(link, trial);
        }
        Ok(true)
    }

    /// From the last link of the summary on, it has answered. One that does not say of when it is can be as old as its spec says.
    fn answered(&self, link: &Link, trial: &Trial) {
        let Some(summary) = self.plan.summary().filter(|summary| summary.is_last_of_head(link.index())) else { return };
        *trial.lock() = State::Used;
        if summary.silence() > TimeDelta::zero() {
            self.shows(trial, None, self.plan.now() - summary.silence(), true);
        }
    }

    fn shows(&self, trial: &Trial, account: Option<String>, at: DateTime<Utc>, or_later: bool) {
        let connection = self.scope.account.connection.to_string();
        self.env.log.as_of(AsOf { table: self.env.table.name.clone(), source: trial.source.clone(), connection, account, at, or_later });
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn spoken(time: TimeDelta) -> String {
    match (time.num_seconds(), time.num_minutes()) {
        (seconds, _) if seconds % 60 != 0 => format!("{seconds} s"),
        (_, minutes) if minutes % 60 != 0 => format!("{minutes} min"),
        (_, minutes) => format!("{} h", minutes / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_answered_is_not_given_up() {
        let trial = || Trial { source: "report".to_owned(), max_staleness: TimeDelta::hours(4), together: None, state: Mutex::default() };
        let used = trial();
        *used.lock() = State::Used;
        assert!(!used.abandon(Some("denied".to_owned())));
        assert_eq!((used.is_abandoned(), used.notice()), (false, None));
        let denied = trial();
        assert!(!denied.is_abandoned());
        assert!(denied.abandon(Some("denied".to_owned())));
        assert!(denied.abandon(Some("again".to_owned())));
        assert_eq!((denied.is_abandoned(), denied.notice().as_deref()), (true, Some("listed, for the report cannot be used: denied")));
    }

    #[test]
    fn ages_are_spoken() {
        for (seconds, want) in [(14_400, "4 h"), (5_400, "90 min"), (61, "61 s")] {
            assert_eq!(spoken(TimeDelta::seconds(seconds)), want);
        }
    }
}
