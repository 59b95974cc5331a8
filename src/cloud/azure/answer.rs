//! From an HTTP response to JSON or a typed error, and to what it says about the calls to come. Refuses to take a web page, or half an
//! answer, for the service's word.

use crate::aws::plain::{self, Unreadable};
use crate::limiter::Advice;
use crate::{CloudError, ErrorKind};
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longer messages are cut: some services put whole documents into them.
const LONGEST_MESSAGE: usize = 800;

/// Codes of refusals that come with another status than 403.
const DENIED_CODES: &[&str] = &["ReadOnlyDisabledSubscription", "DisallowedOperation"];
/// Codes of throttles that come with another status than 429. Source: "Status and error codes" of the Storage REST API.
const THROTTLED_CODES: &[&str] = &["ServerBusy", "TooManyRequests"];

/// Headers that count the reads left in the subscription's, or the tenant's, bucket. Source: "Understand how Azure Resource Manager
/// throttles requests".
const LEFT: &[&str] = &[
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-global-reads",
    "x-ms-ratelimit-remaining-tenant-reads",
    "x-ms-ratelimit-remaining-tenant-global-reads",
];
/// The provider's own counters: `Microsoft.Compute/HighCostGet3Min;159,Microsoft.Compute/HighCostGet30Min;1353`.
const LEFT_OF_PROVIDER: &str = "x-ms-ratelimit-remaining-resource";

/// The answer's JSON, or the error that it stands for.
pub(super) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Value, CloudError> {
    // Lists of every API are in `value`; taking anything else for one would look like an empty list.
    let checked = |answer: Value| match answer.get("value") {
        Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => Err(Unreadable::Breaks("its `value` is no list".to_owned())),
        _ => Ok(answer),
    };
    read_as(status, headers, body, checked)
}

/// [`read`] for answers whose `value` is one: a secret of a vault.
pub(super) fn read_single(status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Value, CloudError> {
    read_as(status, headers, body, Ok)
}

fn read_as(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    checked: impl FnOnce(Value) -> Result<Value, Unreadable>,
) -> Result<Value, CloudError> {
    let bad = |why: Unreadable| {
        let code = match why {
            Unreadable::Html => "HtmlAnswer",
            Unreadable::Malformed(_) => crate::retries::MALFORMED,
            Unreadable::Breaks(_) => "UnexpectedAnswer",
        };
        CloudError::new(ErrorKind::BadAnswer, code, why.to_string())
    };
    let answer = match status {
        204 => Ok(Value::Object(Map::new())),
        200..=299 => document(body).and_then(checked).map_err(bad),
        _ => Err(failure(status, headers, body)),
    };
    answer.map_err(|e| CloudError { status: Some(status), request_id: request_id(headers).or(e.request_id.clone()), ..e })
}

/// A body as JSON, whatever it is written in.
fn document(body: &[u8]) -> Result<Value, Unreadable> {
    if plain::is_html(body) {
        return Err(Unreadable::Html);
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    if text.starts_with(b"<") {
        return plain::xml(text);
    }
    match serde_json::from_slice(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err(Unreadable::Breaks("the body is neither an object nor a list".to_owned())),
        // Where it breaks, but nothing of what it says.
        Err(e) if text.is_empty() || e.is_eof() => Err(Unreadable::Malformed("the body is truncated".to_owned())),
        Err(e) => Err(Unreadable::Malformed(format!("the body is not JSON from line {}, column {}", e.line(), e.column()))),
    }
}

/// What an error body says, in whichever shape.
#[derive(Debug, Default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    details: Vec<(Option<String>, Option<String>)>,
}

fn failure(status: u16, headers: &HeaderMap, body: &[u8]) -> CloudError {
    let document = if body.trim_ascii().is_empty() { Ok(Value::Null) } else { document(body) };
    let (said, unreadable) = match &document {
        Ok(document) => (said(document), None),
        Err(why) => (Said::default(), Some(why)),
    };
    let header = headers.get("x-ms-error-code").and_then(|v| v.to_str().ok()).map(str::to_owned);
    if let Some(code) = said.code.or_else(|| header.filter(|_| unreadable.is_none())) {
        let message = message(said.message, &said.details).unwrap_or_else(|| reason(status));
        return CloudError::new(kind(&code, status), code, message);
    }
    let code = match unreadable {
        Some(Unreadable::Html) => "HtmlAnswer".to_owned(),
        Some(_) => "UnreadableError".to_owned(),
        None => status.to_string(),
    };
    let kind = match status {
        401 => ErrorKind::Credentials,
        408 | 500.. => ErrorKind::Transient,
        429 => ErrorKind::Throttled,
        _ if unreadable.is_some() => ErrorKind::BadAnswer,
        403 => ErrorKind::Denied,
        // Without a code nobody knows what it was that is not there.
        300..=399 | 404 => ErrorKind::BadAnswer,
        _ => ErrorKind::Service,
    };
    let message = match unreadable {
        Some(why) => format!("{} {why}", status_and(status)),
        None => said.message.map_or_else(|| reason(status), |m| one_line(&m)),
    };
    CloudError::new(kind, code, message)
}

fn status_and(status: u16) -> String {
    format!("the status is {status}, and")
}

fn reason(status: u16) -> String {
    let text = reqwest::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    text.map_or_else(|| "the service gave no reason".to_owned(), str::to_owned)
}

fn kind(code: &str, status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Credentials,
        429 => ErrorKind::Throttled,
        _ if THROTTLED_CODES.contains(&code) => ErrorKind::Throttled,
        403 => ErrorKind::Denied,
        _ if DENIED_CODES.contains(&code) => ErrorKind::Denied,
        408 | 500.. => ErrorKind::Transient,
        404 => ErrorKind::NotFound,
        _ if code.ends_with("NotFound") => ErrorKind::NotFound,
        _ => ErrorKind::Service,
    }
}

/// `{"error":{code,message,details}}` of the Resource Manager and Microsoft Graph, bare `{code,message}`, OData's older
/// `{"odata.error":{code,message:{value}}}`, OAuth's `{error,error_description}`, and `<Error><Code>` of the storage data plane.
fn said(document: &Value) -> Said {
    let text = |of: &Value, names: &[&str]| -> Option<String> {
        let found = names.iter().find_map(|n| of.get(*n))?;
        let text = found.as_str().or_else(|| found.get("value")?.as_str())?;
        Some(text.to_owned()).filter(|t| !t.trim().is_empty())
    };
    let inner = match ["error", "Error", "odata.error"].iter().find_map(|n| document.get(*n)) {
        Some(Value::String(code)) => {
            return Said { code: Some(code.clone()), message: text(document, &["error_description"]), details: Vec::new() };
        }
        Some(inner @ Value::Object(_)) => inner,
        _ => document,
    };
    let code_and_message = |of: &Value| (text(of, &["code", "Code"]), text(of, &["message", "Message"]));
    let (code, message) = code_and_message(inner);
    let details = inner.get("details").and_then(Value::as_array).map(|all| all.iter().map(code_and_message).collect());
    Said { code, message, details: details.unwrap_or_default() }
}

/// The message with those details that add something, on one line.
fn message(outer: Option<String>, details: &[(Option<String>, Option<String>)]) -> Option<String> {
    let mut text = outer.unwrap_or_default();
    for (code, detail) in details {
        let detail = detail.as_deref().or(code.as_deref()).unwrap_or_default();
        if !detail.is_empty() && !text.contains(detail) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(detail);
        }
    }
    Some(one_line(&text)).filter(|t| !t.is_empty())
}

fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The id under which the cloud's support finds the call.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-ms-request-id", "x-ms-correlation-request-id", "request-id"];
    names.iter().find_map(|n| headers.get(*n)?.to_str().ok()).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// What the headers say about the calls to come.
pub(super) fn advice(headers: &HeaderMap, now: DateTime<Utc>) -> Advice {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let count = |text: &str| text.parse::<i64>().ok().map(|n| u32::try_from(n.max(0)).unwrap_or(u32::MAX));
    Advice {
        retry_after: text("retry-after").and_then(|value| retry_after(value, now)),
        left: LEFT.iter().filter_map(|name| count(text(name)?)).min(),
        left_of_provider: text(LEFT_OF_PROVIDER)
            .and_then(|all| all.split(',').filter_map(|one| count(one.rsplit_once(';')?.1.trim())).min()),
    }
}

/// Seconds, or a date. Source: RFC 9110, "Retry-After".
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{BadAnswer, Credentials, Denied, NotFound, Service, Throttled, Transient};
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (reqwest::header::HeaderName::from_static(k), v.parse().unwrap())).collect()
    }

    #[test]
    fn errors_in_every_shape() {
        let html = "<!DOCTYPE html><html><body>canary</body></html>";
        for (status, body, kind, code, message) in [
            (403, r#"{"error":{"code":"AuthorizationFailed","message":"no\n way"}}"#, Denied, "AuthorizationFailed", "no way"),
            (404, r#"{"error":{"code":"ResourceNotFound","message":"m"}}"#, NotFound, "ResourceNotFound", "m"),
            (404, r#"{"code":"ResourceGroupNotFound","message":"m"}"#, NotFound, "ResourceGroupNotFound", "m"),
            (400, r#"{"code":"BadRequest","message":"m"}"#, Service, "BadRequest", "m"),
            (400, r#"{"Code":"BadRequest","Message":"m"}"#, Service, "BadRequest", "m"),
            (409, r#"{"error":{"code":"ScopeLocked","message":"m"}}"#, Service, "ScopeLocked", "m"),
            (409, r#"{"error":{"code":"ReadOnlyDisabledSubscription","message":"m"}}"#, Denied, "ReadOnlyDisabledSubscription", "m"),
            (401, r#"{"error":{"code":"ExpiredAuthenticationToken","message":"m"}}"#, Credentials, "ExpiredAuthenticationToken", "m"),
            (401, r#"{"error":"invalid_token","error_description":"m"}"#, Credentials, "invalid_token", "m"),
            (429, r#"{"error":{"code":"SubscriptionRequestsThrottled","message":"m"}}"#, Throttled, "SubscriptionRequestsThrottled", "m"),
            (429, "", Throttled, "429", "Too Many Requests"),
            (500, r#"{"error":{"code":"InternalServerError","message":"m"}}"#, Transient, "InternalServerError", "m"),
            (408, "", Transient, "408", "Request Timeout"),
            (
                403,
                r#"{"error":{"code":"Authorization_RequestDenied","message":"m","innerError":{"date":"d"}}}"#,
                Denied,
                "Authorization_RequestDenied",
                "m",
            ),
            (
                400,
                r#"{"odata.error":{"code":"Request_BadRequest","message":{"lang":"en","value":"m"}}}"#,
                Service,
                "Request_BadRequest",
                "m",
            ),
            (
                400,
                r#"{"error":{"code":"BadRequest","message":"m","details":[{"code":"A","message":"more"},{"code":"B"},{"message":"m"}]}}"#,
                Service,
                "BadRequest",
                "m; more; B",
            ),
            (
                403,
                "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>no\nRequestId:x</Message></Error>",
                Denied,
                "AuthorizationPermissionMismatch",
                "no RequestId:x",
            ),
            (503, "<Error><Code>ServerBusy</Code><Message>m</Message></Error>", Throttled, "ServerBusy", "m"),
            // What is not the service's answer is never "not found", and its text goes nowhere.
            (404, html, BadAnswer, "HtmlAnswer", "the status is 404, and the answer is an HTML page, not an answer of the service"),
            (403, html, BadAnswer, "HtmlAnswer", "the status is 403, and the answer is an HTML page, not an answer of the service"),
            (502, html, Transient, "HtmlAnswer", "the status is 502, and the answer is an HTML page, not an answer of the service"),
            (404, "", BadAnswer, "404", "Not Found"),
            (404, "no such page", BadAnswer, "UnreadableError", "the status is 404, and the body is not JSON from line 1, column 2"),
            (404, r#"{"error":{"code":"Resou"#, BadAnswer, "UnreadableError", "the status is 404, and the body is truncated"),
            (404, "[]", BadAnswer, "404", "Not Found"),
            (302, "", BadAnswer, "302", "Found"),
        ] {
            let e = read(status, &headers(&[]), body.as_bytes()).unwrap_err();
            assert_eq!((e.kind, e.code.as_str(), e.message.as_str(), e.status), (kind, code, message, Some(status)), "{status} {body}");
        }
    }

    #[test]
    fn successful_answers_are_json_or_xml_and_nothing_else() {
        let ok = |body: &str| read(200, &headers(&[]), body.as_bytes());
        assert_eq!(ok("\u{feff}{\"value\":[]}").unwrap(), json!({"value": []}));
        assert_eq!(ok("[1]").unwrap(), json!([1]));
        assert_eq!(read(204, &headers(&[]), b"").unwrap(), json!({}));
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Logging><Version>1.0</Version><Delete>true</Delete>\
             <RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging><Cors><CorsRule><A>1</A></CorsRule><CorsRule><A>&lt;</A></CorsRule></Cors>\
             <Empty /></StorageServiceProperties>";
        let expected = json!({"Logging": {"Version": "1.0", "Delete": "true", "RetentionPolicy": {"Enabled": "false"}},
            "Cors": {"CorsRule": [{"A": "1"}, {"A": "<"}]}, "Empty": null});
        assert_eq!(ok(xml).unwrap(), expected);
        for (body, code) in [
            ("", "MalformedAnswer"),
            ("{\"value\":[{\"na", "MalformedAnswer"),
            ("{\"canary\": oops}", "MalformedAnswer"),
            ("<A><B>x</B>", "MalformedAnswer"),
            ("<html>", "HtmlAnswer"),
            ("  <!doctype HTML>", "HtmlAnswer"),
            ("3", "UnexpectedAnswer"),
            ("{\"value\":\"canary\"}", "UnexpectedAnswer"),
        ] {
            let e = ok(body).unwrap_err();
            assert!(e.kind == BadAnswer && e.code == code && !e.message.contains("canary"), "{body}: {e}");
        }
    }

    #[test]
    fn headers_say_who_answered_and_what_is_left() {
        let now: DateTime<Utc> = "2026-11-22T06:00:00Z".parse().unwrap();
        let e = read(404, &headers(&[("x-ms-correlation-request-id", "c"), ("x-ms-error-code", "ContainerNotFound")]), b"").unwrap_err();
        assert_eq!((e.kind, e.code.as_str(), e.request_id.as_deref()), (NotFound, "ContainerNotFound", Some("c")));
        for (pairs, retry_after, left, of_provider) in [
            (&[][..], None, None, None),
            (&[("retry-after", "17")][..], Some(17), None, None),
            (&[("retry-after", "Sun, 22 Nov 2026 06:00:30 GMT")][..], Some(30), None, None),
            (&[("retry-after", "Sun, 22 Nov 2026 05:00:30 GMT")][..], Some(0), None, None),
            (&[("retry-after", "soon")][..], None, None, None),
            (&[("x-ms-ratelimit-remaining-subscription-reads", "249")][..], None, Some(249), None),
            (
                &[("x-ms-ratelimit-remaining-subscription-reads", "-1"), ("x-ms-ratelimit-remaining-subscription-global-reads", "3749")][..],
                None,
                Some(0),
                None,
            ),
            (&[("x-ms-ratelimit-remaining-tenant-reads", "11")][..], None, Some(11), None),
            (
                &[("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/HighCostGet3Min;159, Microsoft.Compute/HighCostGet30Min;53")][..],
                None,
                None,
                Some(53),
            ),
        ] {
            let expected = Advice { retry_after: retry_after.map(Duration::from_secs), left, left_of_provider: of_provider };
            assert_eq!(advice(&headers(pairs), now), expected, "{pairs:?}");
        }
    }
}
