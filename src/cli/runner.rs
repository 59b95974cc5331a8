//! Runs the SQL of controls over the engine: arguments in, plain values and their completeness out.

use crate::exit::{Exit, Failed};
use crate::statement::out_of_time;
use crate::{statistics, values};
use assay_cloud::{Meter, TallyCounts};
use assay_compliance::{
    Answer, AnswerColumn, CallCounts, OlderPart, ScopeFailure, SqlArg, SqlError, SqlErrorKind, SqlRunner, TableScopes, Value,
};
use assay_engine::{Arg, Engine, EngineError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field};
use futures::StreamExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The engine, as the runner of controls sees it.
pub(crate) struct EngineRunner {
    engine: Engine,
    begin: TallyCounts,
    /// Statements that ran to their end, and what they asked for; without those whose calls another run would not make.
    ended: Mutex<Vec<(String, Vec<Arg>, Meter)>>,
    timeout: Option<Duration>,
}

impl EngineRunner {
    /// A runner whose calls are counted from now on.
    pub(crate) fn new(engine: Engine) -> EngineRunner {
        let begin = engine.cloud().tally().counts();
        EngineRunner { engine, begin, timeout: None, ended: Mutex::default() }
    }

    /// The runner with a limit for each statement.
    pub(crate) fn within(self, timeout: Option<Duration>) -> EngineRunner {
        EngineRunner { timeout, ..self }
    }

    /// Statements that ran to their end.
    pub(crate) fn ended(&self) -> Vec<(String, Vec<Arg>, Meter)> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl SqlRunner for EngineRunner {
    async fn run(&self, sql: &str, args: &[SqlArg]) -> Result<Answer, SqlError> {
        let Some(time) = self.timeout else { return self.answer(sql, args).await };
        let late = |_| SqlError { kind: SqlErrorKind::Data, message: out_of_time(time), hint: None };
        tokio::time::timeout(time, self.answer(sql, args)).await.map_err(late)?
    }

    fn has_table(&self, name: &str) -> bool {
        let unqualified = name.rsplit('.').next().unwrap_or(name);
        self.engine.catalog().contains(unqualified)
    }

    fn now(&self) -> DateTime<Utc> {
        self.engine.cloud().now()
    }

    fn calls_so_far(&self) -> CallCounts {
        let now = counts(self.engine.cloud().tally().counts());
        CallCounts {
            calls: now.calls - self.begin.calls,
            cache_hits: now.cache_hits - self.begin.cache_hits,
            retries: now.retries - self.begin.retries,
            throttles: now.throttles - self.begin.throttles,
        }
    }
}

impl EngineRunner {
    /// Runs a statement to its end.
    async fn answer(&self, sql: &str, args: &[SqlArg]) -> Result<Answer, SqlError> {
        let args: Vec<Arg> = args.iter().map(|a| Arg { name: a.name.clone(), value: a.value.clone() }).collect();
        let mut query = self.engine.query(sql, &args).await.map_err(|e| of_engine(&e))?;
        let fields = query.schema.fields().clone();
        let columns = fields.iter().map(|f| AnswerColumn { name: f.name().clone(), data_type: values::type_name(f) }).collect();
        let mut rows = Vec::new();
        while let Some(batch) = query.stream.next().await {
            let batch = batch.map_err(|e| of_failed(Failed::from(e)))?;
            for row in 0..batch.num_rows() {
                rows.push(fields.iter().zip(batch.columns()).map(|(f, c)| value(f, c.as_ref(), row)).collect());
            }
        }
        drop(query.stream);
        let tables = query.log.tables();
        let failures = query.log.failures();
        if !failures.iter().any(statistics::spoils) {
            let ended = (sql.to_owned(), args, query.log.meter().clone());
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
        }
        let failures = failures.into_iter().map(|f| ScopeFailure {
            noun: tables.get(&f.table).map_or("account", |read| read.noun),
            table: f.table,
            connection: f.connection,
            account: f.account,
            region: f.region,
            row: f.row,
            columns: f.columns,
            code: f.error.code.clone(),
            message: f.error.to_string(),
        });
        let failures = failures.collect();
        let older = query.log.older_parts().into_iter().map(|part| OlderPart {
            noun: tables.get(&part.table).map_or("account", |read| read.noun),
            table: part.table,
            source: part.source,
            connection: part.connection,
            account: part.account,
            at: part.at,
            or_later: part.or_later,
        });
        let older = older.collect();
        let tables = tables.into_iter();
        let tables = tables.map(|(table, read)| TableScopes { table, noun: read.noun, scopes: read.scopes.into_iter().collect() });
        Ok(Answer {
            columns,
            rows,
            failures,
            tables: tables.collect(),
            notices: query.log.notices(),
            older,
            counts: counts(query.log.counts()),
        })
    }
}

fn counts(counts: TallyCounts) -> CallCounts {
    CallCounts { calls: counts.calls, cache_hits: counts.cache_hits, retries: counts.retries, throttles: counts.throttles }
}

/// A value as compliance knows it.
fn value(field: &Field, array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        _ if values::is_json(field) => Value::Json(values::json(field, array, row)),
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
            Value::Json(values::json(field, array, row))
        }
        kind if kind.is_integer() || kind.is_floating() => match values::json(field, array, row) {
            serde_json::Value::Number(n) if kind.is_integer() => n.as_i64().map_or_else(|| Value::Text(n.to_string()), Value::Int),
            serde_json::Value::Number(n) => n.as_f64().map_or_else(|| Value::Text(n.to_string()), Value::Double),
            _ => Value::Text(values::text_of(array, row)),
        },
        _ => Value::Text(values::text_of(array, row)),
    }
}

fn of_engine(error: &EngineError) -> SqlError {
    let kind = match error {
        EngineError::Sql { .. } | EngineError::Spec(_) => SqlErrorKind::Statement,
        EngineError::Data(_) => SqlErrorKind::Data,
        EngineError::Cloud(_) => SqlErrorKind::Cloud,
        EngineError::Internal(_) => SqlErrorKind::Internal,
    };
    let failed = Failed::engine(error, |(line, column)| format!("line {line}, column {column}: "));
    SqlError { kind, message: failed.message, hint: failed.hint }
}

fn of_failed(failed: Failed) -> SqlError {
    let kind = match failed.exit {
        Exit::Unavailable => SqlErrorKind::Cloud,
        Exit::Internal => SqlErrorKind::Internal,
        _ => SqlErrorKind::Data,
    };
    SqlError { kind, message: failed.message, hint: failed.hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_tables::EXTENSION;
    use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    #[test]
    fn values_keep_their_kind() {
        let cases: Vec<(ArrayRef, Value)> = vec![
            (Arc::new(Int64Array::from(vec![7])), Value::Int(7)),
            (Arc::new(Float64Array::from(vec![2.0])), Value::Double(2.0)),
            (Arc::new(Float64Array::from(vec![f64::NAN])), Value::Text("NaN".into())),
            (Arc::new(BooleanArray::from(vec![false])), Value::Bool(false)),
            (Arc::new(StringArray::from(vec!["x"])), Value::Text("x".into())),
            (Arc::new(StringArray::from(vec![None::<&str>])), Value::Null),
            (Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")), Value::Text("1970-01-01 00:00:00+00".into())),
        ];
        for (array, expected) in cases {
            let field = Field::new("c", array.data_type().clone(), true);
            assert_eq!(value(&field, array.as_ref(), 0), expected);
        }
        let jsonb = Field::new("c", DataType::Utf8, true).with_metadata([(EXTENSION.to_owned(), "jsonb".to_owned())].into());
        let text = StringArray::from(vec!["[1]"]);
        assert_eq!(value(&jsonb, &text, 0), Value::Json(serde_json::json!([1])));
    }
}
