//! `EXPLAIN API`: what statements will ask, before anything is asked.
//!
//! Owns: the bill, and where each of its numbers comes from. Numbers are said to be exact only where they cannot be otherwise; see
//! `docs/explain.md`. Refuses: to call anything by itself.

mod estimate;
mod leaves;
mod sql;
mod statistics;

pub(crate) use sql::asked;
pub use statistics::{Record, Statistics};

use crate::{Arg, Engine, EngineError, Failure};
use assay_cloud::{Meter, Permission, Price};
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

/// How a number is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Nothing is listed: as many calls as values.
    Keys,
    /// Every call is answered by a recording.
    Recording,
    /// Every call is answered by the cache.
    Cache,
    /// The statements ran before, at this time.
    Statistics(DateTime<Utc>),
    /// Lists were asked for just now; what their rows take was counted.
    Asked,
    /// Other statements that ask the same ran before, the last of them at this time.
    Others(DateTime<Utc>),
    /// Nothing is known: one page a list, some rows each.
    Guess,
}

impl Basis {
    /// Can the number be no other, as long as nothing has to be asked twice?
    pub fn is_exact(self) -> bool {
        matches!(self, Basis::Keys | Basis::Recording | Basis::Cache)
    }

    /// For people.
    pub fn text(self) -> String {
        let day = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
        match self {
            Basis::Keys => "exact".to_owned(),
            Basis::Recording => "exact (recording)".to_owned(),
            Basis::Cache => "exact (cached)".to_owned(),
            Basis::Statistics(at) => format!("estimate (statistics of {})", day(at)),
            Basis::Asked => "estimate (asked now)".to_owned(),
            Basis::Others(at) => format!("estimate (other statements, {})", day(at)),
            Basis::Guess => "guess?".to_owned(),
        }
    }
}

/// Calls of one operation for one table.
#[derive(Debug, Clone, PartialEq)]
pub struct BillLine {
    /// The table; empty for what finds scopes and gets credentials.
    pub table: String,
    /// The service, or the API of Azure.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// Accounts and regions that are asked.
    pub scopes: usize,
    /// Calls, pages included. Calls that several tables share stand at the first of them by name.
    pub calls: u64,
    /// How that is known.
    pub basis: Basis,
    /// What it is made for, where that is not the scope: `1 per row of iam.ListUsers`.
    pub per: String,
    /// Seconds under the limits, if only this were asked.
    pub seconds: f64,
    /// Permissions it takes.
    pub permissions: Vec<Permission>,
    /// Its price, where it has one.
    pub price: Option<Price>,
}

impl BillLine {
    /// `service.Operation`, or `arm GET /path`.
    pub fn name(&self) -> String {
        let between = if self.operation.contains(' ') { ' ' } else { '.' };
        format!("{}{between}{}", self.service, self.operation)
    }

    /// What the calls cost, in US dollars.
    pub fn dollars(&self) -> f64 {
        // Counts of calls are far below where a double loses whole numbers.
        self.price.map_or(0.0, |price| price.dollars * self.calls as f64)
    }
}

/// What statements will ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// Scopes and credentials first, then tables by name, operations in the order they are made.
    pub lines: Vec<BillLine>,
    /// Secret columns that are read, `table.column`.
    pub secrets: Vec<String>,
    /// Seconds for all of it under the limits.
    pub seconds: f64,
    /// What people should know about the numbers.
    pub notes: Vec<String>,
    /// Calls that the cache answers, so that they are not made.
    pub cached: u64,
    /// Calls that failed on the way to the numbers: what hangs on them is not counted.
    pub failures: Vec<Failure>,
}

impl Bill {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.lines.iter().map(|line| line.calls).sum()
    }

    /// Is every number exact?
    pub fn is_exact(&self) -> bool {
        self.lines.iter().all(|line| line.basis.is_exact())
    }

    /// How the least certain number is known.
    pub fn basis(&self) -> Basis {
        self.lines.iter().map(|line| line.basis).max().unwrap_or(Basis::Keys)
    }

    /// What all priced calls cost, in US dollars.
    pub fn dollars(&self) -> f64 {
        self.lines.iter().map(BillLine::dollars).sum()
    }

    /// Every permission that is needed, sorted.
    pub fn permissions(&self) -> Vec<Permission> {
        let mut all: Vec<Permission> = self.lines.iter().flat_map(|line| line.permissions.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A statement and its arguments.
pub type Asked<'a> = (&'a str, &'a [Arg]);

impl Engine {
    /// What statements will ask together, without asking: what they share is counted once. A replay is run to its end, for nothing leaves the
    /// machine then; otherwise the cache answers, or the statistics of earlier runs, or a guess that says so.
    ///
    /// # Errors
    /// A statement is wrong.
    pub async fn bill(&self, statements: &[Asked<'_>]) -> Result<Bill, EngineError> {
        let offline = self.over(self.cloud().offline());
        let mut leaves = Vec::new();
        for (sql, args) in statements {
            leaves.extend(offline.leaves(sql, args).await?);
        }
        let secrets = leaves::secrets(&leaves);
        let known = leaves.iter().all(leaves::Leaf::is_known);
        let mut bill = if self.cloud().is_replay() || known {
            match self.rehearsal(&offline, statements).await? {
                Some(bill) => bill,
                None => self.estimate(statements, &leaves),
            }
        } else {
            self.estimate(statements, &leaves)
        };
        bill.secrets = secrets;
        self.finish(&mut bill, &leaves);
        Ok(bill)
    }

    /// What statements will ask together, found out by asking for their lists; calls for rows, and by key, are counted instead of made.
    ///
    /// # Errors
    /// A statement is wrong, or nobody can be asked.
    pub async fn bill_by_asking(&self, statements: &[Asked<'_>]) -> Result<Bill, EngineError> {
        if self.cloud().is_replay() {
            return self.bill(statements).await;
        }
        let before = self.cloud().tally().counts().calls;
        let asking = self.over(self.cloud().asking());
        let (meter, mut leaves, mut failures) = (Meter::default(), Vec::new(), Vec::new());
        for (sql, args) in statements {
            let mut query = asking.query(sql, args).await?;
            // A statement that fails on the little that it sees has asked what it asks.
            while let Some(Ok(_)) = query.stream.next().await {}
            drop(query.stream);
            meter.merge(query.log.meter());
            // Calls for rows are left out on purpose.
            failures.extend(query.log.failures().into_iter().filter(|f| f.error.kind != assay_cloud::ErrorKind::NotRecorded));
            leaves.extend(asking.leaves(sql, args).await?);
        }
        // What finds scopes and who they are is nobody's call but the process's.
        let scopes = self.cloud().meter().read().unwrap_or_default().into_iter().filter(|metered| metered.table.is_empty());
        let metered: Vec<_> = scopes.chain(meter.read().unwrap_or_default()).collect();
        let mut bill = self.asked_bill(&metered, &leaves);
        bill.secrets = leaves::secrets(&leaves);
        self.finish(&mut bill, &leaves);
        bill.failures = failures;
        let made = self.cloud().tally().counts().calls - before;
        let calls = if made == 1 { "1 call was made".to_owned() } else { format!("{made} calls were made") };
        bill.notes.push(format!("{calls} for lists, to know this"));
        Ok(bill)
    }

    /// Every operation that statements may call, whatever the answers: the ground of a policy. Calls nothing, and needs no credentials.
    ///
    /// # Errors
    /// A statement is wrong.
    pub async fn operations(&self, statements: &[Asked<'_>]) -> Result<Bill, EngineError> {
        let offline = self.over(self.cloud().offline());
        let mut leaves = Vec::new();
        for (sql, args) in statements {
            leaves.extend(offline.leaves(sql, args).await?);
        }
        let mut bill = self.all_operations(&leaves);
        bill.secrets = leaves::secrets(&leaves);
        Ok(bill)
    }

    /// Runs the statements on what is known; `None` where something is not.
    async fn rehearsal(&self, offline: &Engine, statements: &[Asked<'_>]) -> Result<Option<Bill>, EngineError> {
        let meter = Meter::default();
        let mut missing = 0;
        for (sql, args) in statements {
            let mut query = offline.query(sql, args).await?;
            let drained = async {
                while query.stream.try_next().await?.is_some() {}
                Ok::<(), datafusion::error::DataFusionError>(())
            };
            // A statement that fails on its data has asked what it asks.
            let failed = drained.await.is_err();
            let failures = query.log.failures();
            let unknown = failures.iter().filter(|f| f.error.kind == assay_cloud::ErrorKind::NotRecorded).count();
            if !self.cloud().is_replay() && (unknown > 0 || failed) {
                return Ok(None);
            }
            missing += unknown;
            meter.merge(query.log.meter());
        }
        let Some(metered) = meter.read() else { return Ok(None) };
        let mut bill = estimate::of_metered(&metered, if self.cloud().is_replay() { Basis::Recording } else { Basis::Cache });
        if self.cloud().is_replay() {
            bill.notes.push("counted on the recording: a run that calls makes as many, where the cloud is as it was".to_owned());
            if missing > 0 {
                bill.notes.push(format!("{missing} calls are not in the recording; what hangs on them is not counted"));
                bill.lines.iter_mut().for_each(|line| line.basis = Basis::Guess);
            }
        } else {
            bill.cached = bill.calls();
            bill.lines.iter_mut().for_each(|line| line.calls = 0);
            bill.notes.push(format!("the cache answers all {} calls: none is made while it does", bill.cached));
        }
        Ok(Some(bill))
    }
}
