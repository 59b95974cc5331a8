//! `EXPLAIN API <statement>` as SQL: rows of the bill.

use super::{Bill, BillLine};
use crate::dialect::depth::Deep;
use crate::{Arg, Engine, EngineError, Query, QueryLog};
use datafusion::arrow::array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use std::sync::Arc;

/// The statement behind `EXPLAIN API` or `EXPLAIN (API)`; `None` for any other statement.
///
/// # Errors
/// There is nothing behind it.
pub(crate) fn asked(sql: &str) -> Result<Option<&str>, EngineError> {
    let Some(rest) = word(sql.trim_start(), "explain") else { return Ok(None) };
    let statement = match rest.trim_start().strip_prefix('(') {
        Some(options) => {
            let Some((options, statement)) = options.split_once(')') else { return Ok(None) };
            if !options.trim().eq_ignore_ascii_case("api") {
                return Ok(None);
            }
            statement
        }
        None => match word(rest.trim_start(), "api") {
            Some(statement) => statement,
            None => return Ok(None),
        },
    };
    match statement.trim() {
        "" => Err(EngineError::sql(
            "there is no statement behind EXPLAIN API",
            Some("for example: explain api select * from a_table".to_owned()),
        )),
        statement => Ok(Some(statement)),
    }
}

/// What follows a keyword.
fn word<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(keyword.len())?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '.');
    (first.eq_ignore_ascii_case(keyword) && ends).then_some(rest)
}

impl Engine {
    pub(crate) async fn explain_api(&self, sql: &str, args: &[Arg]) -> Result<Query, EngineError> {
        let bill = Deep::new(self.bill(&[(sql, args)])).await?;
        let batch = batch(&bill).map_err(DataFusionError::from)?;
        let schema = batch.schema();
        let log = Arc::new(QueryLog::default());
        bill.notes.iter().for_each(|note| log.notice(note));
        let rows = stream::iter([Ok(batch)]);
        Ok(Query { schema: Arc::clone(&schema), stream: Box::pin(RecordBatchStreamAdapter::new(schema, rows)), log })
    }
}

fn batch(bill: &Bill) -> Result<RecordBatch, datafusion::arrow::error::ArrowError> {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let fields = vec![
        text("table"),
        text("operation"),
        number("scopes"),
        number("calls"),
        Field::new("exact", DataType::Boolean, true),
        text("known"),
        text("per"),
        Field::new("seconds", DataType::Float64, true),
        text("permission"),
        Field::new("dollars", DataType::Float64, true),
    ];
    let strings = |get: &dyn Fn(&BillLine) -> Option<String>| Arc::new(bill.lines.iter().map(get).collect::<StringArray>());
    let numbers = |get: &dyn Fn(&BillLine) -> u64| {
        Arc::new(bill.lines.iter().map(|line| i64::try_from(get(line)).unwrap_or(i64::MAX)).collect::<Int64Array>())
    };
    let permissions = |line: &BillLine| line.permissions.iter().map(|p| p.name().to_owned()).collect::<Vec<_>>().join(", ");
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![
            strings(&|line| given(line.table.clone())),
            strings(&|line| Some(line.name())),
            numbers(&|line| line.scopes as u64),
            numbers(&|line| line.calls),
            Arc::new(bill.lines.iter().map(|line| Some(line.basis.is_exact())).collect::<BooleanArray>()),
            strings(&|line| Some(line.basis.text())),
            strings(&|line| given(line.per.clone())),
            Arc::new(bill.lines.iter().map(|line| Some((line.seconds * 1000.0).round() / 1000.0)).collect::<Float64Array>()),
            strings(&|line| given(permissions(line))),
            Arc::new(bill.lines.iter().map(|line| line.price.map(|_| line.dollars())).collect::<Float64Array>()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_api_is_told_from_explain() {
        for (sql, statement) in [
            ("explain api select 1", Some("select 1")),
            ("EXPLAIN  API\nselect 1", Some("select 1")),
            ("  explain (api) select 1;", Some("select 1;")),
            ("explain ( API ) values (1)", Some("values (1)")),
            ("explain select 1", None),
            ("explain (analyze) select 1", None),
            ("explain analyze select 1", None),
            ("explain api.t", None),
            ("explainapi select 1", None),
            ("select 'explain api'", None),
            ("explain apiary", None),
            ("explain", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(asked(sql).unwrap(), statement, "{sql}");
        }
        for sql in ["explain api", "explain (api)  "] {
            assert!(asked(sql).is_err(), "{sql}");
        }
    }
}
