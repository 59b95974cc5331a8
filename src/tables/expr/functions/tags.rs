//! `tags(list)`: a list of tags, in any of the services' spellings, as a map.

use super::{Function, Gives};
use serde_json::{Map, Value};

pub(super) const TAGS: Function = Function { name: "tags", usage: "tags(list)", args: 1..=1, gives: Gives::Json, call: tags };

const KEYS: [&str; 4] = ["Key", "TagKey", "key", "tagKey"];
const VALUES: [&str; 4] = ["Value", "TagValue", "value", "tagValue"];

fn tags(args: &[&Value]) -> Result<Value, String> {
    match args[0] {
        Value::Null => Ok(Value::Null),
        Value::Object(_) => Ok(args[0].clone()),
        Value::Array(items) => {
            let mut out = Map::new();
            for item in items {
                let Some(key) = KEYS.iter().find_map(|k| item.get(k)).and_then(Value::as_str) else {
                    return Err(format!("tags(): an element without a key: {item}"));
                };
                let value = VALUES.iter().find_map(|v| item.get(v)).unwrap_or(&Value::Null);
                out.insert(key.to_owned(), value.clone());
            }
            Ok(Value::Object(out))
        }
        _ => Err("tags() takes a list".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn every_spelling() {
        for (list, want) in [
            (json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]), Ok(json!({"a": "1", "b": ""}))),
            (json!([{"TagKey": "a", "TagValue": "1"}]), Ok(json!({"a": "1"}))),
            (json!([{"key": "a", "value": "1"}]), Ok(json!({"a": "1"}))),
            (json!([{"Key": "a"}]), Ok(json!({"a": null}))),
            (json!([]), Ok(json!({}))),
            (json!({"a": "1"}), Ok(json!({"a": "1"}))),
            (json!(null), Ok(json!(null))),
            (json!("a"), Err("tags() takes a list".to_owned())),
            (json!([{"Name": "a"}]), Err("tags(): an element without a key: {\"Name\":\"a\"}".to_owned())),
        ] {
            assert_eq!(call("tags", std::slice::from_ref(&list)), want, "{list}");
        }
    }
}
