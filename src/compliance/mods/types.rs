//! Types of variables: parsed from `type = …`, and what values become under them.

use super::source;
use super::value::Value;
use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use std::collections::BTreeMap;
use std::ops::Range;

/// What can be written.
pub(crate) const HINT: &str = "string, number, bool, any, list(…), set(…), map(…), tuple([…]) or object({…})";

const MIXED: &str = "must have elements of one type";

/// A type.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Any,
    Text,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    Object(BTreeMap<String, Member>),
}

/// An attribute of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    kind: Type,
    optional: bool,
    default: Value,
}

type Refused = (Option<Range<usize>>, String);

/// Parses a type.
pub(crate) fn parse(expr: &Expression) -> Result<Type, Refused> {
    let word = |name: &str| match name {
        "any" => Some(Type::Any),
        "string" => Some(Type::Text),
        "number" => Some(Type::Number),
        "bool" => Some(Type::Bool),
        // Old spellings without the type of the elements.
        "list" => Some(Type::List(Box::new(Type::Any))),
        "map" => Some(Type::Map(Box::new(Type::Any))),
        "set" => Some(Type::Set(Box::new(Type::Any))),
        _ => None,
    };
    let refused = |what: &str| Err((expr.span(), format!("'{what}' is not a type")));
    match expr {
        Expression::Variable(name) => word(name.as_str()).map_or_else(|| refused(name.as_str()), Ok),
        Expression::String(name) => word(name.value()).map_or_else(|| refused(name.value()), Ok),
        // `connection.aws` and the like name things that are not ours.
        Expression::Traversal(_) => Ok(Type::Any),
        Expression::Parenthesis(p) => parse(p.inner()),
        Expression::FuncCall(call) => {
            let name = call.name.name.as_str();
            let Some(arg) = call.args.get(0) else { return refused(&format!("{name}()")) };
            match (name, arg) {
                ("list", e) => Ok(Type::List(Box::new(parse(e)?))),
                ("set", e) => Ok(Type::Set(Box::new(parse(e)?))),
                ("map", e) => Ok(Type::Map(Box::new(parse(e)?))),
                ("tuple", Expression::Array(items)) => Ok(Type::Tuple(items.iter().map(parse).collect::<Result<_, _>>()?)),
                ("object", Expression::Object(object)) => {
                    let mut members = BTreeMap::new();
                    for (key, value) in object {
                        let key = match key {
                            ObjectKey::Ident(i) => i.as_str().to_owned(),
                            ObjectKey::Expression(Expression::String(s)) => s.value().clone(),
                            ObjectKey::Expression(e) => return Err((e.span(), "a name is expected".to_owned())),
                        };
                        members.insert(key, member(value.expr())?);
                    }
                    Ok(Type::Object(members))
                }
                _ => refused(name),
            }
        }
        _ => refused("this"),
    }
}

fn member(expr: &Expression) -> Result<Member, Refused> {
    if let Expression::FuncCall(call) = expr
        && call.name.name.as_str() == "optional"
        && let Some(kind) = call.args.get(0)
    {
        let default = match call.args.get(1) {
            Some(e) => constant(e).ok_or_else(|| (e.span(), "a default in a type must be a constant".to_owned()))?,
            None => Value::Null,
        };
        return Ok(Member { kind: parse(kind)?, optional: true, default });
    }
    Ok(Member { kind: parse(expr)?, optional: false, default: Value::Null })
}

/// The value of an expression that names nothing and calls nothing.
pub(crate) fn constant(expr: &Expression) -> Option<Value> {
    Some(match expr {
        Expression::Null(_) => Value::Null,
        Expression::Bool(b) => Value::Bool(*b.value()),
        Expression::Number(n) => Value::of_number(n.value()),
        Expression::String(s) => Value::text(s.value().as_str()),
        Expression::Parenthesis(p) => constant(p.inner())?,
        Expression::Array(items) => Value::List(items.iter().map(constant).collect::<Option<_>>()?),
        Expression::Object(object) => {
            let mut map = BTreeMap::new();
            for (key, value) in object {
                let key = match key {
                    ObjectKey::Ident(i) => i.as_str().to_owned(),
                    ObjectKey::Expression(e) => constant(e)?.as_text()?.to_string(),
                };
                map.insert(key, constant(value.expr())?);
            }
            Value::Map(map)
        }
        _ => return None,
    })
}

/// Values as one type, as HCL finds it: text where one of them is text, lists and maps by their elements. Where there is none: the values as they are.
pub(crate) fn unified(values: Vec<Value>) -> Result<Vec<Value>, Vec<Value>> {
    let known = || values.iter().filter(|v| !matches!(v, Value::Null));
    let kinds: Vec<&str> = known().map(Value::kind).collect();
    let primitive = |v: &Value| matches!(v, Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_));
    match known().next() {
        None | Some(Value::Thing(_)) => Ok(values),
        Some(first) if primitive(first) => {
            if kinds.iter().all(|k| *k == kinds[0]) {
                Ok(values)
            } else if kinds.contains(&"text") && known().all(primitive) {
                Ok(values.into_iter().map(|v| v.as_text().map_or(v, Value::Text)).collect())
            } else {
                Err(values)
            }
        }
        Some(Value::List(_)) if kinds.iter().all(|k| *k == kinds[0]) => {
            let all = values.iter().flat_map(|v| if let Value::List(items) = v { items.clone() } else { Vec::new() }).collect();
            let Ok(mut all) = unified(all).map(Vec::into_iter) else { return Err(values) };
            let part = |v: Value| match v {
                Value::List(items) => Value::List(all.by_ref().take(items.len()).collect()),
                other => other,
            };
            Ok(values.into_iter().map(part).collect())
        }
        Some(Value::Map(_)) if kinds.iter().all(|k| *k == kinds[0]) => {
            let all =
                values.iter().flat_map(|v| if let Value::Map(map) = v { map.values().cloned().collect() } else { Vec::new() }).collect();
            let Ok(mut all) = unified(all).map(Vec::into_iter) else { return Err(values) };
            let part = |v: Value| match v {
                Value::Map(map) => Value::Map(map.into_keys().zip(all.by_ref()).collect()),
                other => other,
            };
            Ok(values.into_iter().map(part).collect())
        }
        Some(_) => Err(values),
    }
}

impl Type {
    /// The type of a default, where none is written.
    pub(crate) fn like(value: &Value) -> Type {
        match value {
            Value::Text(_) => Type::Text,
            Value::Int(_) | Value::Float(_) => Type::Number,
            Value::Bool(_) => Type::Bool,
            Value::List(items) => match items.first() {
                Some(first @ (Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_)))
                    if items.iter().all(|i| i.kind() == first.kind()) =>
                {
                    Type::List(Box::new(Type::like(first)))
                }
                _ => Type::List(Box::new(Type::Any)),
            },
            Value::Map(_) => Type::Map(Box::new(Type::Any)),
            Value::Null | Value::Thing(_) => Type::Any,
        }
    }

    /// A value that stands in where there is none.
    pub(crate) fn empty(&self) -> Value {
        match self {
            Type::Any | Type::Text => Value::text(""),
            Type::Number => Value::Int(0),
            Type::Bool => Value::Bool(false),
            Type::List(_) | Type::Set(_) => Value::List(Vec::new()),
            Type::Map(_) => Value::Map(BTreeMap::new()),
            Type::Tuple(types) => Value::List(types.iter().map(Type::empty).collect()),
            Type::Object(members) => Value::Map(members.iter().map(|(k, m)| (k.clone(), m.kind.empty())).collect()),
        }
    }

    fn name(&self) -> String {
        match self {
            Type::Any => "any".to_owned(),
            Type::Text => "text".to_owned(),
            Type::Number => "a number".to_owned(),
            Type::Bool => "true or false".to_owned(),
            Type::List(_) | Type::Set(_) => "a list".to_owned(),
            Type::Map(_) => "a map".to_owned(),
            Type::Tuple(types) => format!("a list of {}", types.len()),
            Type::Object(_) => "an object".to_owned(),
        }
    }

    /// A value from the command line or the environment: text as it stands, everything else as HCL or JSON.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        if matches!(self, Type::Text) {
            return Ok(Value::text(text));
        }
        let parsed = source::expression(text).as_ref().and_then(constant);
        match (self, parsed) {
            (_, Some(value)) => Ok(value),
            (Type::Any, None) => Ok(Value::text(text)),
            (Type::List(_) | Type::Set(_), None) if !text.trim_start().starts_with('[') => {
                Ok(Value::List(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Value::text).collect()))
            }
            _ => Err(format!("'{text}' is not {}", self.name())),
        }
    }

    /// The value as this type, or why it cannot be.
    pub(crate) fn convert(&self, value: &Value) -> Result<Value, String> {
        let refused = || Err(format!("must be {}, not {}", self.name(), value.kind()));
        Ok(match (self, value) {
            (Type::Any, _) | (_, Value::Null) => value.clone(),
            (Type::Text, v) => match v.as_text() {
                Some(text) => Value::Text(text),
                None => return refused(),
            },
            (Type::Number, v) => match v.as_number() {
                Some(number) => number,
                None => return refused(),
            },
            (Type::Bool, v) => match v.as_bool() {
                Some(b) => Value::Bool(b),
                None => return refused(),
            },
            (Type::List(of), Value::List(items)) if matches!(**of, Type::Any) => Value::List(unified(items.clone()).map_err(|_| MIXED)?),
            (Type::Map(of), Value::Map(map)) if matches!(**of, Type::Any) => {
                let values = unified(map.values().cloned().collect()).map_err(|_| MIXED)?;
                Value::Map(map.keys().cloned().zip(values).collect())
            }
            (Type::List(of), Value::List(items)) => Value::List(items.iter().map(|i| of.convert(i)).collect::<Result<_, _>>()?),
            (Type::Set(of), Value::List(items)) => {
                let items = items.iter().map(|i| of.convert(i)).collect::<Result<Vec<_>, _>>()?;
                let mut items = unified(items).map_err(|_| MIXED)?;
                items.sort_by(Value::order);
                items.dedup_by(|a, b| a.same(b));
                Value::List(items)
            }
            (Type::Map(of), Value::Map(map)) => {
                Value::Map(map.iter().map(|(k, v)| Ok((k.clone(), of.convert(v)?))).collect::<Result<_, String>>()?)
            }
            (Type::Tuple(types), Value::List(items)) if types.len() == items.len() => {
                Value::List(types.iter().zip(items).map(|(t, i)| t.convert(i)).collect::<Result<_, _>>()?)
            }
            (Type::Object(members), Value::Map(map)) => {
                let mut out = BTreeMap::new();
                for (name, member) in members {
                    let value = match map.get(name) {
                        Some(value) => member.kind.convert(value).map_err(|why| format!("'{name}' {why}"))?,
                        None if member.optional => member.default.clone(),
                        None => return Err(format!("needs '{name}'")),
                    };
                    out.insert(name.clone(), value);
                }
                Value::Map(out)
            }
            _ => return refused(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(kind: &str, value: &str) -> Result<String, String> {
        let kind = parse(&source::expression(kind).unwrap()).map_err(|(_, why)| why)?;
        let value = constant(&source::expression(value).unwrap()).unwrap();
        kind.convert(&value).map(|v| v.to_json().unwrap().to_string())
    }

    #[test]
    fn values_take_their_type() {
        for (kind, value, want) in [
            ("string", "90", "\"90\""),
            ("number", "\"90\"", "90"),
            ("bool", "\"true\"", "true"),
            ("any", "[1, \"a\"]", "[1,\"a\"]"),
            ("list(string)", "[1, true]", "[\"1\",\"true\"]"),
            ("set(string)", "[\"b\", \"a\", \"b\"]", "[\"a\",\"b\"]"),
            ("map(number)", "{ a = \"1\" }", "{\"a\":1}"),
            ("tuple([string, number])", "[1, \"2\"]", "[\"1\",2]"),
            ("object({ a = string, b = optional(number, 3), c = optional(bool) })", "{ a = 1, z = 2 }", "{\"a\":\"1\",\"b\":3,\"c\":null}"),
            ("\"string\"", "1", "\"1\""),
            ("connection.aws", "\"x\"", "\"x\""),
        ] {
            assert_eq!(convert(kind, value).as_deref(), Ok(want), "{kind} {value}");
        }
    }

    #[test]
    fn and_refuse_what_does_not_fit() {
        for (kind, value, want) in [
            ("number", "\"x\"", "must be a number, not text"),
            ("bool", "1", "must be true or false, not a number"),
            ("list(string)", "\"x\"", "must be a list, not text"),
            ("object({ a = string })", "{}", "needs 'a'"),
            ("object({ a = list(string) })", "{ a = 1 }", "'a' must be a list, not a number"),
            ("tuple([string])", "[]", "must be a list of 1, not a list"),
            ("strin", "1", "'strin' is not a type"),
            ("list()", "1", "'list()' is not a type"),
        ] {
            assert_eq!(convert(kind, value).unwrap_err(), want, "{kind} {value}");
        }
    }
}
