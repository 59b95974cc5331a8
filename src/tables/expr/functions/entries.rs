//! `entries(map)`: a map as rows.

use super::{Function, Gives};
use serde_json::{Value, json};

pub(super) const ENTRIES: Function = Function { name: "entries", usage: "entries(map)", args: 1..=1, gives: Gives::Json, call: entries };

fn entries(args: &[&Value]) -> Result<Value, String> {
    match args[0] {
        Value::Null => Ok(Value::Null),
        Value::Object(members) => Ok(members.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()),
        _ => Err("entries() takes a map".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn keeps_the_order() {
        let got = call("entries", &[json!({"b": 1, "a": [2]})]);
        assert_eq!(got, Ok(json!([{"key": "b", "value": 1}, {"key": "a", "value": [2]}])));
        assert_eq!(call("entries", &[json!([1])]), Err("entries() takes a map".into()));
    }
}
