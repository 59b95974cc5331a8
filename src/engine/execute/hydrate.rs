//! Further calls per row. A failed one leaves its columns unknown: NULL in the row, and named in the query's log.

use super::{Found, Walk};
use assay_cloud::CloudError;
use assay_tables::run::{Also, Ask, Row, Slot};
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use std::sync::Arc;

/// Calls of one `per:` at once.
const PER_ROW: usize = 8;

/// The row with the answers of the calls its columns need, wave by wave.
pub(super) async fn row(walk: Arc<Walk>, waves: Arc<[Vec<usize>]>, (mut row, start): Found) -> Found {
    for wave in waves.iter() {
        let asked = |also: &usize| {
            let also = *also;
            let (walk, row) = (&walk, &row);
            async move {
                // What it needs has failed, and was logged with this call's columns.
                if walk.plan.needs(also).iter().any(|n| row.unknown(*n)) {
                    return (also, Ok(Slot::Unknown));
                }
                (also, walk.also(walk.plan.also(also), start, row).await.map(Slot::Known))
            }
        };
        let answers = join_all(wave.iter().map(asked)).await;
        for (also, answer) in answers {
            let slot = answer.unwrap_or_else(|error| {
                walk.fail_row(&row, start, walk.plan.affected(also), error);
                Slot::Unknown
            });
            row.set(also, slot);
        }
    }
    (row, start)
}

impl Walk {
    async fn also(&self, also: &Also, start: usize, row: &Row) -> Result<Arc<Value>, CloudError> {
        let wrong = |why| self.own_error("BadValue", why);
        let asks = also.asks(self.start(start), &self.facts, row).map_err(wrong)?;
        if !also.per_element() {
            return match asks.into_iter().next() {
                Some(ask) => Ok(self.answer(also, start, row, ask).await?.unwrap_or_default()),
                None => Ok(Arc::default()),
            };
        }
        let answers = stream::iter(asks).map(|ask| self.answer(also, start, row, ask)).buffered(PER_ROW);
        let answers: Vec<Option<Arc<Value>>> = answers.try_collect().await?;
        Ok(Arc::new(answers.into_iter().flatten().map(Arc::unwrap_or_clone).collect()))
    }

    /// The answer of one call; `None` when its error means null.
    async fn answer(&self, also: &Also, start: usize, row: &Row, ask: Ask) -> Result<Option<Arc<Value>>, CloudError> {
        let wrong = |why| self.own_error("BadValue", why);
        let error = match self.collected(also, ask).await {
            Ok(answer) if also.paged() => return Ok(Some(answer)),
            Ok(answer) => return also.taken(&answer, false).map(Some).map_err(wrong),
            Err(error) => error,
        };
        if also.means_null(&error.code) {
            return Ok(None);
        }
        match also.instead(&error.code, self.start(start), &self.facts, row).map_err(wrong)? {
            None => Err(error),
            Some(other) => also.taken(&self.call(other, true).await?, true).map(Some).map_err(wrong),
        }
    }

    /// One answer, or the elements of all pages.
    async fn collected(&self, also: &Also, ask: Ask) -> Result<Arc<Value>, CloudError> {
        if !also.paged() {
            return self.call(ask, true).await;
        }
        let mut pages = self.pages(ask, true);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            all.extend(also.elements(&page?).map_err(|why| self.own_error("BadAnswer", why))?);
        }
        Ok(Arc::new(Value::Array(all)))
    }
}
