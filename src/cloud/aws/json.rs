//! Reads JSON bodies along a shape in one pass. Keeps only modelled members; lenient with scalars, strict with structure.

use super::response::Unreadable;
use super::scalar;
use super::shape::{Kind, Member, Shape};
use aws_smithy_schema::ShapeType;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};
use std::fmt;

/// The body as the shape says. An empty body is an empty structure.
pub(super) fn read(body: &[u8], shape: &'static Shape) -> Result<Value, Unreadable> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Target { shape, json_text: false }.deserialize(&mut json).and_then(|v| json.end().map(|()| v));
    value.map_err(|e| match e.classify() {
        Category::Data => Unreadable::Breaks(e.to_string()),
        _ => Unreadable::Malformed(format!("the body is not JSON: {e}")),
    })
}

/// What is expected at this place of the body.
#[derive(Clone, Copy)]
struct Target {
    shape: &'static Shape,
    json_text: bool,
}

impl Target {
    fn of(m: &'static Member) -> Target {
        Target { shape: m.shape(), json_text: m.json_text }
    }

    fn simple(self) -> Option<ShapeType> {
        match self.shape.kind() {
            Kind::Simple(t) => Some(*t),
            _ => None,
        }
    }

    fn number(self, v: Value, shown: Unexpected<'_>) -> Result<Value, serde_json::Error> {
        match self.simple() {
            Some(ShapeType::Timestamp) => Ok(v.as_f64().and_then(scalar::epoch).and_then(scalar::rfc3339).unwrap_or(v)),
            None | Some(ShapeType::Boolean | ShapeType::Blob) => Err(Error::invalid_type(shown, &self)),
            Some(_) => Ok(v),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Target {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        match self.simple() {
            Some(ShapeType::Document) => serde::Deserialize::deserialize(d),
            _ => d.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Target {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.shape.name, self.shape.text("type").unwrap_or("structure"))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        match self.simple() {
            Some(ShapeType::Boolean | ShapeType::String) => Ok(Value::Bool(v)),
            _ => Err(E::invalid_type(Unexpected::Bool(v), &self)),
        }
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        self.number(v.into(), Unexpected::Signed(v)).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        self.number(v.into(), Unexpected::Unsigned(v)).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        self.number(v.into(), Unexpected::Float(v)).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        let wrong = || E::invalid_value(Unexpected::Str(v), &self);
        match self.simple() {
            None => Err(E::invalid_type(Unexpected::Str(v), &self)),
            Some(ShapeType::Timestamp) => Ok(scalar::timestamp_value(v)),
            Some(ShapeType::Boolean) => scalar::boolean(v).ok_or_else(wrong),
            Some(ShapeType::Float | ShapeType::Double) => scalar::float(v).ok_or_else(wrong),
            Some(ShapeType::Byte | ShapeType::Short | ShapeType::Integer | ShapeType::Long) => scalar::integer(v).ok_or_else(wrong),
            Some(_) if self.json_text => Ok(serde_json::from_str(v).unwrap_or_else(|_| v.into())),
            Some(_) => Ok(v.into()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Kind::List(element) = self.shape.kind() else { return Err(A::Error::invalid_type(Unexpected::Seq, &self)) };
        let mut out = Vec::new();
        while let Some(v) = seq.next_element_seed(Target::of(element))? {
            out.push(v);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        match self.shape.kind() {
            Kind::Structure(s) => {
                let mut next = 0;
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    let Some(m) = s.by_wire(key.0.as_ref(), &mut next) else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                        continue;
                    };
                    let v = map.next_value_seed(Target::of(m))?;
                    if !v.is_null() || m.shape().shape_type() == ShapeType::Document {
                        out.insert(m.name.to_owned(), v);
                    }
                }
            }
            Kind::Map(_, element) => {
                while let Some(key) = map.next_key::<String>()? {
                    out.insert(key, map.next_value_seed(Target::of(element))?);
                }
            }
            _ => return Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
        Ok(Value::Object(out))
    }
}

/// A member name, borrowed from the body unless it has escapes.
struct Key<'de>(std::borrow::Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Key<'de>, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(v.into()))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Key<'de>, E> {
                Ok(Key(v.to_owned().into()))
            }
        }
        d.deserialize_str(Name)
    }
}
