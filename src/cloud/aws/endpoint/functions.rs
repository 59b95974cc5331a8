//! The functions that endpoint rules call. A missing or wrong argument makes a function's value null, which is a condition that fails.

use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// Calls a function of the rules engine.
pub(super) fn call(name: &str, arguments: &[Value], partitions: &Value) -> Result<Value, String> {
    static NULL: Value = Value::Null;
    let at = |i: usize| arguments.get(i).unwrap_or(&NULL);
    let text = |i: usize| at(i).as_str();
    let on = |i: usize| at(i) == &Value::Bool(true);
    let of_text = |f: &dyn Fn(&str) -> Value| text(0).map_or(Value::Null, f);
    Ok(match name {
        "isSet" => (!at(0).is_null()).into(),
        "not" => matches!(at(0), Value::Null | Value::Bool(false)).into(),
        "booleanEquals" | "stringEquals" => (at(0) == at(1)).into(),
        "getAttr" => attribute(at(0), text(1).unwrap_or_default()),
        "aws.partition" => of_text(&|region| partition(partitions, region)),
        "aws.parseArn" => of_text(&parse_arn),
        "isValidHostLabel" => text(0).is_some_and(|h| is_host_label(h, on(1))).into(),
        "aws.isVirtualHostableS3Bucket" => text(0).is_some_and(|h| is_hostable_bucket(h, on(1))).into(),
        "parseURL" => of_text(&parse_url),
        "substring" => of_text(&|t| substring(t, at(1).as_u64(), at(2).as_u64(), on(3))),
        "uriEncode" => of_text(&|t| aws_smithy_schema::http_protocol::percent_encode(t).into()),
        _ => return Err(format!("unknown endpoint function {name}")),
    })
}

/// `a.b[0]` of a value.
pub(super) fn attribute(v: &Value, path: &str) -> Value {
    let mut at = v;
    for part in path.split('.') {
        let (name, index) = part.split_once('[').map_or((part, None), |(n, i)| (n, i.trim_end_matches(']').parse::<usize>().ok()));
        if !name.is_empty() {
            at = &at[name];
        }
        if let Some(i) = index {
            at = &at[i];
        }
    }
    at.clone()
}

fn substring(text: &str, start: Option<u64>, stop: Option<u64>, reverse: bool) -> Value {
    let index = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    let (Some(start), Some(stop)) = (index(start), index(stop)) else { return Value::Null };
    if start >= stop || stop > text.len() || !text.is_ascii() {
        return Value::Null;
    }
    let (from, to) = if reverse { (text.len() - stop, text.len() - start) } else { (start, stop) };
    text.get(from..to).map_or(Value::Null, Value::from)
}

/// The partition a region is in: by its name, by the pattern of names, or else the first one.
fn partition(partitions: &Value, region: &str) -> Value {
    let all = partitions.get("partitions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let knows = |p: &&Value| p.get("regions").is_some_and(|r| r.get(region).is_some());
    let fits = |p: &&Value| p.get("regionRegex").and_then(Value::as_str).is_some_and(|pattern| region_fits(pattern, region));
    let hit = all.iter().find(knows).or_else(|| all.iter().find(fits)).or_else(|| all.iter().find(|p| p["id"] == "aws"));
    let Some(hit) = hit else { return Value::Null };
    let mut out = hit.get("outputs").and_then(Value::as_object).cloned().unwrap_or_default();
    out.insert("name".into(), hit["id"].clone());
    for (k, v) in hit["regions"].get(region).and_then(Value::as_object).into_iter().flatten().filter(|(k, _)| *k != "description") {
        out.insert(k.clone(), v.clone());
    }
    Value::Object(out)
}

/// Patterns are all `^(a|b)\-\w+\-\d+$` or `^a\-\w+\-\d+$`, which needs no regex engine; a test holds the data to it.
fn region_fits(pattern: &str, region: &str) -> bool {
    let Some(head) = pattern.strip_prefix('^').and_then(|p| p.strip_suffix(r"\-\w+\-\d+$")) else { return false };
    let tail_fits = |tail: &str| {
        tail.split_once('-').is_some_and(|(word, digits)| {
            let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            is_word && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let head = head.replace(['\\', '(', ')'], "");
    head.split('|').any(|start| region.strip_prefix(start).and_then(|r| r.strip_prefix('-')).is_some_and(tail_fits))
}

fn parse_arn(arn: &str) -> Value {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, service, region, account, resource] if ![partition, service, resource].contains(&"") => {
            let id: Vec<&str> = resource.split([':', '/']).collect();
            json!({"partition": partition, "service": service, "region": region, "accountId": account, "resourceId": id})
        }
        _ => Value::Null,
    }
}

fn is_host_label(label: &str, dots: bool) -> bool {
    if dots {
        return label.split('.').all(|part| is_host_label(part, false));
    }
    (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_hostable_bucket(name: &str, dots: bool) -> bool {
    if dots {
        return name.split('.').all(|part| is_hostable_bucket(part, false)) && !is_address(name);
    }
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}

fn is_address(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || (host.starts_with('[') && host.ends_with(']'))
}

fn parse_url(url: &str) -> Value {
    let Some((scheme, rest)) = url.split_once("://") else { return Value::Null };
    let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    if !matches!(scheme, "http" | "https") || rest.contains(['?', '#']) || authority.is_empty() {
        return Value::Null;
    }
    let host = match authority.strip_prefix('[') {
        Some(_) => authority.split_inclusive(']').next(),
        None => authority.split(':').next(),
    };
    let path = if path == "/" { "" } else { path };
    let mut out = Map::new();
    out.insert("scheme".into(), scheme.into());
    out.insert("authority".into(), authority.into());
    out.insert("path".into(), path.into());
    out.insert("normalizedPath".into(), if path.is_empty() { "/".into() } else { format!("{}/", path.trim_end_matches('/')).into() });
    out.insert("isIp".into(), host.is_some_and(is_address).into());
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::embedded;

    #[test]
    fn every_region_pattern_is_of_the_known_form() {
        let all = embedded::partitions()["partitions"].as_array().unwrap();
        assert!(all.len() >= 8);
        for p in all {
            let pattern = p["regionRegex"].as_str().unwrap();
            for region in p["regions"].as_object().unwrap().keys().filter(|r| !r.ends_with("-global")) {
                assert!(region_fits(pattern, region), "{pattern} {region}");
            }
        }
        assert_eq!(partition(embedded::partitions(), "eu-atlantis-9")["name"], "aws");
        assert_eq!(partition(embedded::partitions(), "cn-new-7")["name"], "aws-cn");
        assert_eq!(partition(embedded::partitions(), "moon")["name"], "aws");
    }

    #[test]
    fn wrong_arguments_are_null() {
        let call = |f: &str, a: &[Value]| call(f, a, &Value::Null).unwrap();
        assert_eq!(call("substring", &["abc".into()]), Value::Null);
        assert_eq!(call("substring", &["abcd".into(), 0.into(), 2.into(), true.into()]), "cd");
        assert_eq!(call("substring", &["äb".into(), 0.into(), 2.into(), false.into()]), Value::Null);
        assert_eq!(call("parseURL", &["https://h?x".into()]), Value::Null);
        assert_eq!(call("parseURL", &["http://[::1]:80/p/".into()])["isIp"], true);
        assert_eq!(call("aws.parseArn", &["arn:aws:s3".into()]), Value::Null);
        assert_eq!(call("aws.partition", &["x".into()]), Value::Null);
        assert_eq!(call("isSet", &[]), false);
        assert_eq!(call("getAttr", &[json!({"a": [1]}), "a[1]".into()]), Value::Null);
    }
}
