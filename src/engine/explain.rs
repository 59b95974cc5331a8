//! What EXPLAIN and EXPLAIN ANALYZE say about a scan.

use crate::early::Early;
use crate::scan::ScanSpec;
use assay_cloud::{Scope, TallyCounts};
use assay_tables::{Filter, RangeOp, Scalar, Summary};
use datafusion::physical_plan::metrics::{Count, Metric, MetricValue, MetricsSet};
use std::fmt;
use std::sync::Arc;

/// Scopes that are named one by one; the rest is counted.
const SCOPES_SHOWN: usize = 4;

/// One line: table, scopes, filters that reach the API, columns that are asked by values of other tables, the summary that is read instead, columns
/// of the output.
pub(crate) fn scan(
    spec: &ScanSpec,
    early: &Early,
    bound_by: &[&str],
    summary: Option<&Summary>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "ApiScan: table={}, scopes=[", spec.table.name)?;
    for (i, scope) in spec.scopes.iter().take(SCOPES_SHOWN).enumerate() {
        write!(f, "{}{}", if i > 0 { ", " } else { "" }, scope_name(scope))?;
    }
    match spec.scopes.len().saturating_sub(SCOPES_SHOWN) {
        0 => write!(f, "]")?,
        more => write!(f, ", and {more} more]")?,
    }
    if !spec.pruned_by.is_empty() {
        write!(f, ", scope_filters=[{}]", spec.pruned_by.join(", "))?;
    }
    let keys: Vec<String> = spec.filters.iter().filter(|filter| spec.table.uses(filter)).map(filter_text).collect();
    if !keys.is_empty() {
        write!(f, ", key_filters=[{}]", keys.join(", "))?;
    }
    let early: Vec<&str> = early.texts().collect();
    if !early.is_empty() {
        write!(f, ", before_calls=[{}]", early.join(", "))?;
    }
    if !bound_by.is_empty() {
        write!(f, ", bound_by=[{}]", bound_by.join(", "))?;
    }
    if let Some(summary) = summary {
        let rest = if summary.screens() { ", then listed" } else { "" };
        write!(f, ", summary=[{}{rest}]", summary.source())?;
    }
    let columns: Vec<&str> = spec.projection.iter().filter_map(|i| spec.table.columns.get(*i)).map(|c| c.name.as_str()).collect();
    write!(f, ", columns=[{}]", columns.join(", "))?;
    match spec.limit {
        Some(limit) => write!(f, ", limit={limit}"),
        None => Ok(()),
    }
}

fn scope_name(scope: &Scope) -> String {
    let connection = &scope.account.connection;
    match scope.account.known_identity() {
        Some(identity) => format!("{connection}/{}/{}", identity.account_id, scope.region),
        None => format!("{connection}/{}", scope.region),
    }
}

/// A filter as SQL.
fn filter_text(filter: &Filter) -> String {
    match filter {
        Filter::OneOf { column, values } => match values.as_slice() {
            [one] => format!("{column} = {}", scalar_text(one)),
            many => format!("{column} IN ({})", many.iter().map(scalar_text).collect::<Vec<_>>().join(", ")),
        },
        Filter::Range { column, op, value } => {
            let op = match op {
                RangeOp::Lt => "<",
                RangeOp::Le => "<=",
                RangeOp::Gt => ">",
                RangeOp::Ge => ">=",
            };
            format!("{column} {op} {}", scalar_text(value))
        }
        Filter::Prefix { column, prefix } => format!("{column} LIKE '{}%'", prefix.replace('\'', "''")),
    }
}

fn scalar_text(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Scalar::Int(v) => v.to_string(),
        Scalar::Double(v) => v.to_string(),
        Scalar::Bool(v) => v.to_string(),
        Scalar::Timestamp(v) => format!("'{}'", v.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
    }
}

/// A scan's metrics with its calls.
pub(crate) fn metrics(mut metrics: MetricsSet, counts: TallyCounts) -> MetricsSet {
    let calls =
        [("api_calls", counts.calls), ("cache_hits", counts.cache_hits), ("retries", counts.retries), ("throttles", counts.throttles)];
    for (name, value) in calls {
        let count = Count::new();
        count.add(usize::try_from(value).unwrap_or(usize::MAX));
        metrics.push(Arc::new(Metric::new(MetricValue::Count { name: name.into(), count }, None)));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    #[test]
    fn filters_read_as_sql() {
        let cases = [
            (Filter::OneOf { column: "a".into(), values: vec![Scalar::Text("x'y".into())] }, "a = 'x''y'"),
            (Filter::OneOf { column: "a".into(), values: vec![Scalar::Int(1), Scalar::Int(2)] }, "a IN (1, 2)"),
            (Filter::OneOf { column: "a".into(), values: vec![Scalar::Bool(true)] }, "a = true"),
            (
                Filter::Range { column: "t".into(), op: RangeOp::Ge, value: Scalar::Timestamp(Utc.timestamp_opt(0, 0).unwrap()) },
                "t >= '1970-01-01T00:00:00Z'",
            ),
            (Filter::Prefix { column: "a".into(), prefix: "x".into() }, "a LIKE 'x%'"),
        ];
        for (filter, want) in cases {
            assert_eq!(filter_text(&filter), want);
        }
    }
}
