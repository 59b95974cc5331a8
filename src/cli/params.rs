//! `--arg name=value`: values typed as in JSON where they look like JSON, else text.

use crate::exit::{Exit, Failed};
use assay_engine::Arg;
use serde_json::Value;

/// Parses arguments. `name=value` binds `$name`; a value alone binds `$1`, `$2`, … in order.
pub(crate) fn parse(texts: &[String]) -> Result<Vec<Arg>, Failed> {
    let mut args: Vec<Arg> = Vec::with_capacity(texts.len());
    let mut position = 0;
    for text in texts {
        let (name, value) = match split_name(text) {
            Some((name, value)) => (name.to_owned(), value),
            None => {
                position += 1;
                (position.to_string(), text.as_str())
            }
        };
        if args.iter().any(|a| a.name == name) {
            return Err(Failed::new(Exit::Content, format!("argument {name} is given twice")).hint("give each --arg once"));
        }
        args.push(Arg { name, value: value_of(value) });
    }
    Ok(args)
}

/// The name before `=`, where it is one.
pub(crate) fn split_name(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let number = name.chars().all(|c| c.is_ascii_digit());
    (!name.is_empty() && word && (number || !name.starts_with(|c: char| c.is_ascii_digit()))).then_some((name, value))
}

/// Numbers, true, false, null, arrays and quoted text are JSON; everything else is text as it stands.
pub(crate) fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::String(_))) => value,
        // A whole number beyond 64 bits would lose digits as a float.
        Ok(Value::Number(number)) if number.is_i64() || text.contains(['.', 'e', 'E']) => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_typed() {
        for (text, value) in [
            ("90", json!(90)),
            ("-1.5", json!(-1.5)),
            ("true", json!(true)),
            ("null", json!(null)),
            ("[\"a\", 1]", json!(["a", 1])),
            ("\"90\"", json!("90")),
            ("eu-west-1", json!("eu-west-1")),
            ("007", json!("007")),
            ("", json!("")),
            ("{\"a\": 1}", json!("{\"a\": 1}")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("[oops", json!("[oops")),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    #[test]
    fn names_and_positions() {
        let parse = |texts: &[&str]| parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        let names = |args: Vec<Arg>| args.into_iter().map(|a| (a.name, a.value)).collect::<Vec<_>>();
        assert_eq!(
            names(parse(&["max_age_days=60", "x", "a b=c", "who=a=b"]).unwrap()),
            [("max_age_days".into(), json!(60)), ("1".into(), json!("x")), ("2".into(), json!("a b=c")), ("who".into(), json!("a=b"))]
        );
        assert_eq!(names(parse(&["2=b", "a"]).unwrap()), [("2".into(), json!("b")), ("1".into(), json!("a"))]);
        assert_eq!(parse(&["a=1", "a=2"]).unwrap_err().exit, Exit::Content);
        assert_eq!(parse(&["1=x", "y"]).unwrap_err().message, "argument 1 is given twice");
    }
}
