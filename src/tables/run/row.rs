//! Rows in the making: a place in an answer, the row it came from, and the answers of further calls.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use std::sync::Arc;

/// What is known of the scope that is asked. What the plan does not need may be left out: it is null.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub(crate) partition: Value,
    pub(crate) account_id: Value,
    pub(crate) tenant_id: Value,
    pub(crate) region: Value,
    pub(crate) connection: Value,
    pub(crate) home_region: Value,
    pub(crate) regions: Value,
    pub(crate) asked: Value,
    pub(crate) now: Value,
}

impl Facts {
    /// The facts of a scope.
    pub fn new(connection: &str, region: &str) -> Facts {
        Facts { region: region.into(), connection: connection.into(), ..Facts::default() }
    }

    /// Who the credentials are.
    pub fn identity(self, partition: &str, account_id: &str) -> Facts {
        Facts { partition: partition.into(), account_id: account_id.into(), ..self }
    }

    /// The tenant of a subscription.
    pub fn tenant(self, tenant_id: &str) -> Facts {
        Facts { tenant_id: tenant_id.into(), ..self }
    }

    /// The statement's clock.
    pub fn now(self, now: DateTime<Utc>) -> Facts {
        Facts { now: now.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(), ..self }
    }

    /// Where calls to global services go.
    pub fn home_region(self, region: &str) -> Facts {
        Facts { home_region: region.into(), ..self }
    }

    /// The regions the connection reads.
    pub fn regions<'r>(self, regions: impl IntoIterator<Item = &'r str>) -> Facts {
        Facts { regions: regions.into_iter().map(Value::from).collect(), ..self }
    }

    /// The subscriptions that one call of a summary is about.
    pub fn asked<'s>(self, subscriptions: impl IntoIterator<Item = &'s str>) -> Facts {
        Facts { asked: subscriptions.into_iter().map(Value::from).collect(), ..self }
    }
}

/// The values a query gives for the key columns of a table; null where it gives none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys {
    pub(crate) names: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

impl Keys {
    pub(crate) fn value(&self, key: usize) -> &Value {
        self.values.get(key).unwrap_or(&Value::Null)
    }

    pub(crate) fn object(&self) -> Value {
        Value::Object(self.names.iter().cloned().zip(self.values.iter().cloned()).collect())
    }
}

/// A step into an answer.
#[derive(Debug, Clone)]
pub(crate) enum Hop {
    Field(Arc<str>),
    Index(usize),
}

/// A value inside an answer that is shared with the cache and with other rows.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) answer: Arc<Value>,
    pub(crate) hops: Vec<Hop>,
}

impl Place {
    pub(crate) fn value(&self) -> &Value {
        self.hops.iter().fold(&*self.answer, |value, hop| match hop {
            Hop::Field(name) => value.get(&**name).unwrap_or(&Value::Null),
            Hop::Index(at) => value.get(*at).unwrap_or(&Value::Null),
        })
    }
}

/// The answer of a further call of a row.
#[derive(Debug, Clone, Default)]
pub enum Slot {
    /// Not asked.
    #[default]
    Unasked,
    /// The answer, null included.
    Known(Arc<Value>),
    /// The call failed: every column that needs it is unknown.
    Unknown,
}

/// A row in the making. Cheap to clone but for its slots.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) link: usize,
    pub(crate) this: Place,
    pub(crate) parent: Place,
    pub(crate) up: Option<Arc<Row>>,
    pub(crate) slots: Vec<Slot>,
    /// All rows that became this one, in order.
    pub(crate) folded: Option<Arc<Value>>,
}

impl Row {
    pub(crate) fn this(&self) -> &Value {
        self.this.value()
    }

    pub(crate) fn parent(&self) -> &Value {
        self.parent.value()
    }

    /// The row of a link: this one, or the ancestor that link made.
    pub(crate) fn ancestor(&self, link: usize) -> Option<&Value> {
        let mut at = self;
        loop {
            if at.link == link {
                return Some(at.this());
            }
            at = at.up.as_deref()?;
        }
    }

    pub(crate) fn folded(&self) -> &Value {
        self.folded.as_deref().unwrap_or(&Value::Null)
    }

    pub(crate) fn also(&self, also: usize) -> &Value {
        match self.slots.get(also) {
            Some(Slot::Known(value)) => value,
            _ => &Value::Null,
        }
    }

    /// Is the answer of this further call unknown because it failed?
    pub fn unknown(&self, also: usize) -> bool {
        matches!(self.slots.get(also), Some(Slot::Unknown))
    }

    /// Is the answer of this further call there?
    pub(crate) fn known(&self, also: usize) -> bool {
        matches!(self.slots.get(also), Some(Slot::Known(_)))
    }

    /// The row this one was made from.
    pub fn up(&self) -> Option<&Arc<Row>> {
        self.up.as_ref()
    }

    /// Keeps the answer of a further call.
    pub fn set(&mut self, also: usize, slot: Slot) {
        if self.slots.len() <= also {
            self.slots.resize_with(also + 1, Slot::default);
        }
        self.slots[also] = slot;
    }
}
