//! Values of parameters: read from the command line by the type of the default, checked against bounds, bound to placeholders.

use crate::error::did_you_mean;
use crate::placeholders::placeholders;
use crate::{Param, SelectError, SqlArg};
use serde_json::Value as Json;

/// Splits `name=value`.
pub(crate) fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), SelectError> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value)),
        _ => Err(SelectError::request(format!("{option} '{text}' is not name=value"), Some(format!("write {option} name=value")))),
    }
}

/// Reads a value for a parameter.
pub(crate) fn read(param: &Param, text: &str) -> Result<Json, String> {
    let value = read_like(param.default.as_ref(), text).map_err(|want| format!("'{text}' is not {want}, which '{}' needs", param.name))?;
    fits(param, &value)?;
    Ok(value)
}

fn read_like(default: Option<&Json>, text: &str) -> Result<Json, &'static str> {
    match default {
        None | Some(Json::Null) => {
            Ok(serde_json::from_str::<Json>(text).ok().filter(|v| !v.is_null() && !v.is_object()).unwrap_or_else(|| Json::from(text)))
        }
        Some(Json::Object(_)) => serde_json::from_str::<Json>(text).ok().filter(Json::is_object).ok_or("an object in JSON"),
        Some(Json::Bool(_)) => text.trim().parse::<bool>().map(Json::from).map_err(|_| "true or false"),
        Some(Json::Number(n)) if n.is_f64() => {
            text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Json::Number).ok_or("a number")
        }
        Some(Json::Number(_)) => text.trim().parse::<i64>().map(Json::from).map_err(|_| "a whole number"),
        Some(Json::Array(items)) => match serde_json::from_str::<Json>(text) {
            Ok(list @ Json::Array(_)) => Ok(list),
            _ => text
                .split(',')
                .filter(|t| !t.trim().is_empty())
                .map(|t| read_item(items.first(), t.trim()))
                .collect::<Result<Vec<_>, _>>()
                .map(Json::Array),
        },
        Some(_) => Ok(Json::from(text)),
    }
}

fn read_item(like: Option<&Json>, text: &str) -> Result<Json, &'static str> {
    match like {
        None => Ok(Json::from(text)),
        Some(like) => read_like(Some(like), text),
    }
}

/// Does a value have the type of the default and stand within the bounds?
pub(crate) fn fits(param: &Param, value: &Json) -> Result<(), String> {
    let same = match (&param.default, value) {
        (None, v) => !v.is_null() && !v.is_object(),
        (Some(Json::Null), _) => true,
        (Some(Json::Number(d)), Json::Number(v)) => d.is_f64() || v.is_i64(),
        (Some(Json::Array(d)), Json::Array(v)) => d.first().is_none_or(|d| v.iter().all(|v| kind(d) == kind(v))),
        (Some(d), v) => kind(d) == kind(v),
    };
    if !same {
        let want = match &param.default {
            Some(Json::Number(n)) if !n.is_f64() => "a whole number".to_owned(),
            Some(d @ Json::Array(_)) => format!("a list like {d}"),
            Some(d) => kind(d).to_owned(),
            None => "a value".to_owned(),
        };
        return Err(format!("'{}' must be {want}, not {value}", param.name));
    }
    out_of_bounds(param, value).map_or(Ok(()), Err)
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// Says so when a number is out of the parameter's bounds.
pub(crate) fn out_of_bounds(param: &Param, value: &Json) -> Option<String> {
    let v = value.as_f64()?;
    match (param.min, param.max) {
        (Some(min), _) if v < min => Some(format!("{value} is less than {min}, the least '{}' can be", param.name)),
        (_, Some(max)) if v > max => Some(format!("{value} is more than {max}, the most '{}' can be", param.name)),
        _ => None,
    }
}

/// The arguments a statement needs, under the names it uses.
pub(crate) fn bind(sql: &str, named: &[SqlArg]) -> Vec<SqlArg> {
    if placeholders(sql).iter().any(|p| p.parse::<usize>().is_ok()) {
        return named.iter().enumerate().map(|(i, a)| SqlArg { name: (i + 1).to_string(), value: a.value.clone() }).collect();
    }
    named.to_vec()
}

/// No parameter has that name.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> SelectError {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = did_you_mean(name, known.iter().copied())
        .unwrap_or_else(|| if known.is_empty() { "none has parameters".to_owned() } else { format!("parameters: {}", known.join(", ")) });
    SelectError::request(format!("{what} '{name}'"), Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(default: Option<&str>) -> Param {
        let default = default.map(|d| serde_json::from_str(d).unwrap());
        Param { name: "p".into(), description: String::new(), default, min: Some(1.0), max: Some(100.0), hint: String::new() }
    }

    #[test]
    fn reads_by_the_type_of_the_default() {
        for (default, text, want) in [
            (Some("90"), " 30 ", Ok("30")),
            (Some("90"), "30.5", Err("'30.5' is not a whole number, which 'p' needs")),
            (Some("90"), "x", Err("'x' is not a whole number, which 'p' needs")),
            (Some("90"), "0", Err("0 is less than 1, the least 'p' can be")),
            (Some("90"), "101", Err("101 is more than 100, the most 'p' can be")),
            (Some("1.5"), "2", Ok("2.0")),
            (Some("1.5"), "NaN", Err("'NaN' is not a number, which 'p' needs")),
            (Some("true"), "false", Ok("false")),
            (Some("true"), "yes", Err("'yes' is not true or false, which 'p' needs")),
            (Some("\"a\""), "90", Ok("\"90\"")),
            (Some("[\"a\"]"), "x, y", Ok("[\"x\",\"y\"]")),
            (Some("[\"a\"]"), "[\"x,y\"]", Ok("[\"x,y\"]")),
            (Some("[\"a\"]"), "[1]", Err("'p' must be a list like [\"a\"], not [1]")),
            (Some("[1]"), "2,x", Err("'2,x' is not a whole number, which 'p' needs")),
            (Some("[]"), "2,x", Ok("[\"2\",\"x\"]")),
            (None, "90", Ok("90")),
            (None, "a b", Ok("\"a b\"")),
            (None, "null", Ok("\"null\"")),
            (Some("null"), "90", Ok("90")),
            (Some("{\"a\":1}"), "{\"b\": 2}", Ok("{\"b\":2}")),
            (Some("{\"a\":1}"), "b", Err("'b' is not an object in JSON, which 'p' needs")),
        ] {
            let got = read(&param(default), text).map(|v| v.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{default:?} {text}");
        }
    }

    #[test]
    fn binds_by_name_or_position() {
        let named = [SqlArg { name: "a".into(), value: Json::from(1) }, SqlArg { name: "b".into(), value: Json::from(2) }];
        assert_eq!(bind("select $a, $b", &named), named);
        assert_eq!(bind("select $2, $1", &named).iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }
}
