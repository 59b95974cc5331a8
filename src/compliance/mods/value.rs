//! Values of expressions: HCL's primitives, lists, maps, and references to controls, benchmarks and queries.

use super::module::Kind;
use bigdecimal::BigDecimal;
use hcl_edit::Number;
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value. Sets are lists that were sorted and freed of repetitions; maps iterate by key, as HCL's do.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Thing(Thing),
}

/// A control, benchmark, query or mod that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    /// Index of its mod; `None`: it is no mod's but YAML's.
    pub(crate) module: Option<usize>,
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
}

impl Value {
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A number, whole where it is.
    pub(crate) fn number(n: f64) -> Value {
        // 2^53: beyond it a float does not know every whole number.
        if n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
            let whole = n as i64;
            Value::Int(whole)
        } else {
            Value::Float(n)
        }
    }

    pub(crate) fn of_number(n: &Number) -> Value {
        n.as_i64().map_or_else(|| n.as_f64().map_or(Value::Null, Value::number), Value::Int)
    }

    /// What a message calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Thing(thing) => thing.kind.article(),
        }
    }

    /// The text of a primitive, as an interpolation writes it.
    pub(crate) fn as_text(&self) -> Option<Arc<str>> {
        match self {
            Value::Text(t) => Some(t.clone()),
            Value::Bool(b) => Some(Arc::from(if *b { "true" } else { "false" })),
            Value::Int(i) => Some(Arc::from(i.to_string())),
            Value::Float(f) => Some(Arc::from(f.to_string())),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Thing(_) => None,
        }
    }

    /// A number, or text that is one.
    pub(crate) fn as_number(&self) -> Option<Value> {
        match self {
            Value::Int(_) | Value::Float(_) => Some(self.clone()),
            Value::Text(t) => match crate::yaml::number(t)? {
                Json::Number(n) => n.as_i64().map(Value::Int).or_else(|| n.as_f64().map(Value::number)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self.as_number()? {
            #[expect(clippy::cast_precision_loss, reason = "what a float is")]
            Value::Int(i) => Some(i as f64),
            Value::Float(f) => Some(f),
            _ => None,
        }
    }

    /// A number as it is written.
    pub(crate) fn as_decimal(&self) -> Option<BigDecimal> {
        match self.as_number()? {
            Value::Int(i) => Some(i.into()),
            Value::Float(f) => f.to_string().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self.as_number()? {
            Value::Int(i) => Some(i),
            _ => None,
        }
    }

    /// A boolean, or the words `true` and `false`.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            Value::Text(t) if &**t == "true" => Some(true),
            Value::Text(t) if &**t == "false" => Some(false),
            _ => None,
        }
    }

    /// As HCL's `==`: numbers by value, everything else by type and value.
    pub(crate) fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => self.as_f64() == other.as_f64(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => a.len() == b.len() && a.iter().zip(b).all(|((ka, va), (kb, vb))| ka == kb && va.same(vb)),
            (Value::Thing(a), Value::Thing(b)) => a == b,
            _ => false,
        }
    }

    /// The order of sets: by type, then by value.
    pub(crate) fn order(&self, other: &Value) -> Ordering {
        let rank = |v: &Value| match v {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 2,
            Value::Text(_) => 3,
            Value::List(_) => 4,
            Value::Map(_) => 5,
            Value::Thing(_) => 6,
        };
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => {
                a.iter().zip(b).map(|(a, b)| a.order(b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Value::Map(a), Value::Map(b)) => {
                let pairs = a.iter().zip(b).map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| va.order(vb)));
                pairs.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Value::Thing(a), Value::Thing(b)) => a.name.cmp(&b.name),
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) if rank(self) == 2 && rank(other) == 2 => a.total_cmp(&b),
                _ => rank(self).cmp(&rank(other)),
            },
        }
    }

    /// JSON; what names a control or the like has none.
    pub(crate) fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(f) => serde_json::Number::from_f64(*f).map_or(Json::Null, Json::Number),
            Value::Text(t) => Json::String(t.to_string()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect::<Option<_>>()?),
            Value::Map(map) => Json::Object(map.iter().map(|(k, v)| Some((k.clone(), v.to_json()?))).collect::<Option<_>>()?),
            Value::Thing(_) => return None,
        })
    }

    pub(crate) fn of_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => n.as_i64().map(Value::Int).or_else(|| n.as_f64().map(Value::number)).unwrap_or(Value::Null),
            Json::String(s) => Value::text(s.as_str()),
            Json::Array(items) => Value::List(items.iter().map(Value::of_json).collect()),
            Json::Object(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), Value::of_json(v))).collect()),
        }
    }
}
