//! `fold:`: rows with the same key over all pages of a call become one.

use super::row::{Facts, Place, Row};
use crate::expr::{Env, Expr};
use crate::run::Keys;
use crate::spec::yaml::At;
use chrono::DateTime;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Folds rows.
#[derive(Debug, Clone)]
pub struct Fold {
    pub(crate) by: (Expr, At),
    pub(crate) order: (Expr, At),
}

impl Fold {
    /// The row without the page it stands in, which it would keep in memory until all pages are read.
    pub fn detach(&self, row: Row) -> Row {
        let own = |value: Value| Place { answer: Arc::new(value), hops: Vec::new() };
        Row { this: own(row.this().clone()), parent: own(Value::Null), ..row }
    }

    /// One row per key, in the order in which the keys first appear: the last by `order`, with all of them in that order. Of rows that are
    /// equal in it, the one that came first counts as the last: logs begin with what is newest. A row without a key stays alone.
    ///
    /// # Errors
    /// An expression fails on a row.
    pub fn rows(&self, rows: Vec<Row>) -> Result<Vec<Row>, String> {
        let mut groups: Vec<Vec<(Value, Row)>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let key = value(&self.by.0, &row)?;
            let order = value(&self.order.0, &row)?;
            let place = match key {
                Value::Null => groups.len(),
                key => *places.entry(key.to_string()).or_insert(groups.len()),
            };
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push((order, row));
        }
        Ok(groups.into_iter().filter_map(folded).collect())
    }
}

fn folded(mut group: Vec<(Value, Row)>) -> Option<Row> {
    group.reverse();
    group.sort_by(|(a, _), (b, _)| compare(a, b));
    let all: Value = group.iter().map(|(_, row)| row.this().clone()).collect();
    let (_, last) = group.pop()?;
    Some(Row { folded: Some(Arc::new(all)), ..last })
}

fn value(expr: &Expr, row: &Row) -> Result<Value, String> {
    let (facts, keys) = (Facts::default(), Keys::default());
    let env = Env { this: row.this(), row: Some(row), facts: &facts, keys: &keys, item: None };
    expr.eval(&env).map(std::borrow::Cow::into_owned).map_err(|e| format!("fold: {}", e.0))
}

/// Null first; then times by their instant, numbers and texts; lists element by element.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => match (DateTime::parse_from_rfc3339(a), DateTime::parse_from_rfc3339(b)) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use serde_json::json;

    const SPEC: &str = "\
table: azure_event
about: Events.
scope: subscription
rows:
  - call: arm GET /subscriptions/{subscription_id}/events
    api: 2015-04-01
    each: value
    fold: { by: id, order: at }
columns:
  id: text
  begun: timestamp <- fold[0].at
";

    fn folded(events: Value) -> Vec<(Value, Value)> {
        let table = Table::load("azure_event.yaml", SPEC).unwrap();
        let plan = table.plan(&crate::Request::default()).unwrap();
        let link = &plan.links()[0];
        let fold = link.fold().unwrap();
        let rows = link.rows(&Arc::new(json!({ "value": events })), None).unwrap();
        let rows = fold.rows(rows.into_iter().map(|r| fold.detach(r)).collect()).unwrap();
        rows.iter().map(|r| (r.this()["s"].clone(), r.folded().as_array().unwrap().iter().map(|e| e["s"].clone()).collect())).collect()
    }

    #[test]
    fn the_last_of_a_key_stands_for_all() {
        for (events, want) in [
            (json!([]), vec![]),
            (
                // Fractions of a second have any number of digits.
                json!([{"id": "a", "at": "2026-01-01T00:00:00.5Z", "s": 2}, {"id": "b", "at": "2026-01-01T00:00:00Z", "s": 9},
                    {"id": "a", "at": "2026-01-01T00:00:00.1234567Z", "s": 1}, {"id": "a", "at": "2026-01-01T00:00:01Z", "s": 3}]),
                vec![(json!(3), json!([1, 2, 3])), (json!(9), json!([9]))],
            ),
            (
                json!([{"id": "a", "at": "2026-01-01T00:00:00Z", "s": "end"}, {"id": "a", "at": "2026-01-01T00:00:00Z", "s": "begin"}]),
                vec![(json!("end"), json!(["begin", "end"]))],
            ),
            (json!([{"at": "x", "s": 1}, {"at": "y", "s": 2}]), vec![(json!(1), json!([1])), (json!(2), json!([2]))]),
            (
                json!([{"id": 1, "at": [1, "b"], "s": 2}, {"id": 1, "at": [1, "a"], "s": 1}, {"id": 1, "at": null, "s": 0}]),
                vec![(json!(2), json!([0, 1, 2]))],
            ),
        ] {
            assert_eq!(folded(events.clone()), want, "{events}");
        }
    }
}
