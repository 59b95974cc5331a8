//! Texts: case, parts, and values that mean "nothing".

use super::{Function, Gives, text_of};
use serde_json::Value;

pub(super) const LOWER: Function =
    Function { name: "lower", usage: "lower(text)", args: 1..=1, gives: Gives::Text, call: |a| map("lower", a[0], |s| s.to_lowercase()) };

pub(super) const UPPER: Function =
    Function { name: "upper", usage: "upper(text)", args: 1..=1, gives: Gives::Text, call: |a| map("upper", a[0], |s| s.to_uppercase()) };

pub(super) const TRIM: Function =
    Function { name: "trim", usage: "trim(text)", args: 1..=1, gives: Gives::Text, call: |a| map("trim", a[0], |s| s.trim().to_owned()) };

pub(super) const SPLIT: Function =
    Function { name: "split", usage: "split(text, 'separator')", args: 2..=2, gives: Gives::Json, call: split };

pub(super) const REPLACE: Function =
    Function { name: "replace", usage: "replace(text, 'from', 'to')", args: 3..=3, gives: Gives::Text, call: replace };

pub(super) const NULL_IF: Function =
    Function { name: "null_if", usage: "null_if(value, 'a', …)", args: 2..=9, gives: Gives::First, call: null_if };

fn map(name: &str, value: &Value, f: impl Fn(&str) -> String) -> Result<Value, String> {
    Ok(text_of(name, value)?.map_or(Value::Null, |s| Value::String(f(s))))
}

fn split(args: &[&Value]) -> Result<Value, String> {
    let (Some(text), Some(separator)) = (text_of("split", args[0])?, text_of("split", args[1])?) else { return Ok(Value::Null) };
    Ok(text.split(separator).map(|part| Value::String(part.to_owned())).collect())
}

fn replace(args: &[&Value]) -> Result<Value, String> {
    let parts = (text_of("replace", args[0])?, text_of("replace", args[1])?, text_of("replace", args[2])?);
    let (Some(text), Some(from), Some(to)) = parts else { return Ok(Value::Null) };
    Ok(Value::String(text.replace(from, to)))
}

fn null_if(args: &[&Value]) -> Result<Value, String> {
    Ok(if args[1..].contains(&args[0]) { Value::Null } else { args[0].clone() })
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn texts() {
        for (name, args, want) in [
            ("lower", vec![json!("ÄbC")], Ok(json!("äbc"))),
            ("upper", vec![json!("aB")], Ok(json!("AB"))),
            ("trim", vec![json!(" a ")], Ok(json!("a"))),
            ("trim", vec![json!(null)], Ok(json!(null))),
            ("lower", vec![json!(1)], Err("lower() takes a text".to_owned())),
            ("split", vec![json!("arn:aws:iam::1:user/a/b"), json!("/")], Ok(json!(["arn:aws:iam::1:user", "a", "b"]))),
            ("split", vec![json!(null), json!("/")], Ok(json!(null))),
            ("replace", vec![json!("a-b-c"), json!("-"), json!("_")], Ok(json!("a_b_c"))),
            ("null_if", vec![json!("N/A"), json!("x"), json!("N/A")], Ok(json!(null))),
            ("null_if", vec![json!(3), json!("3")], Ok(json!(3))),
        ] {
            assert_eq!(call(name, &args), want, "{name}{args:?}");
        }
    }
}
