//! `pascal(value, 'name', …)`: member names of a document with a capital first letter, as other services spell them.

use super::{Function, Gives, text_of};
use serde_json::{Map, Value};

pub(super) const PASCAL: Function =
    Function { name: "pascal", usage: "pascal(value, 'member whose names are data', …)", args: 1..=9, gives: Gives::Json, call: pascal };

fn pascal(args: &[&Value]) -> Result<Value, String> {
    let kept = args[1..].iter().filter_map(|a| text_of("pascal", a).transpose()).collect::<Result<Vec<_>, _>>()?;
    Ok(capitals(args[0], &kept))
}

fn capitals(value: &Value, kept: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|v| capitals(v, kept)).collect(),
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                let value = if kept.contains(&name.as_str()) { value.clone() } else { capitals(value, kept) };
                let mut letters = name.chars();
                let name = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
                out.insert(name, value);
            }
            Value::Object(out)
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn names_but_not_data() {
        let written = json!([{"name": "a", "portMappings": [{"hostPort": 1}], "dockerLabels": {"my.label": "x"}}]);
        let want = json!([{"Name": "a", "PortMappings": [{"HostPort": 1}], "DockerLabels": {"my.label": "x"}}]);
        assert_eq!(call("pascal", &[written, json!("dockerLabels")]), Ok(want));
        assert_eq!(call("pascal", &[json!(null)]), Ok(json!(null)));
        assert_eq!(call("pascal", &[json!({}), json!(1)]), Err("pascal() takes a text".into()));
    }
}
