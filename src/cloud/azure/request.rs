//! From a call's input to one HTTP request, or a refusal. A spec's operation says which addresses there are; what was filled in must be one
//! of them, segment by segment, and must lead to an endpoint of the connection's own cloud.

use super::allow;
use super::environment::{Environment, is_loopback};
use super::tokens::Audience;
use crate::{CloudError, ErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Method, Url};
use serde_json::{Map, Value};

/// What stands unencoded in a query: RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In names of parameters also the `$` of OData: some services look for it before they decode.
const QUERY_NAME: &AsciiSet = &QUERY.remove(b'$');

/// The query parameter that a spec's `api:` becomes.
const VERSION: &str = "api-version";

/// A request, but for its token.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) audience: Audience,
    /// `x-ms-version` of the storage data plane.
    pub(super) version: Option<String>,
    /// Whole JSON text.
    pub(super) body: Option<String>,
}

fn invalid(message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "InvalidRequest", message)
}

fn refused(message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "RefusedInput", message)
}

/// The request for a call. Nothing is asked, not even a token.
pub(super) fn prepare(environment: &Environment, api: &str, operation: &str, input: &Value) -> Result<Prepared, CloudError> {
    match allow::class(api, operation) {
        allow::Class::Read | allow::Class::SecretAnswer => {}
        _ => return Err(refused("this operation is not on the read allow-list")),
    }
    let (method, template) = operation.split_once(' ').unwrap_or(("GET", operation));
    let method = if method == "POST" { Method::POST } else { Method::GET };
    let audience = match api {
        "arm" => Audience::ResourceManager,
        "graph" => Audience::Graph,
        _ => Audience::Storage,
    };
    if super::is_storage(api) {
        let (url, version) = storage(environment, api, template, input)?;
        return Ok(Prepared { method, url, audience, version: Some(version), body: None });
    }
    let base = if api == "graph" { &environment.graph } else { &environment.resource_manager };
    if let Some(next) = input.get("next") {
        if method != Method::GET {
            return Err(refused("a POST has no link to a next page"));
        }
        return Ok(Prepared { method, url: next_page(base, next)?, audience, version: None, body: None });
    }
    let path = text(input, "path")?;
    let unversioned = if api == "graph" { without_version(path) } else { path };
    check_path(template, unversioned).map_err(|why| refused(format!("the path {} {why}", path.escape_debug())))?;
    if allow::hands_out_secrets(api, path) && method == Method::GET {
        return Err(refused("what this address answers is a secret: assay never asks for it"));
    }
    let address = format!("{}{path}", base.as_str().trim_end_matches('/'));
    let mut url = Url::parse(&address).map_err(|e| refused(format!("the path makes no address: {e}")))?;
    // Both were refused above; this holds whatever a parser makes of a path.
    if url.origin() != base.origin() || url.path().matches('/').count() != address_slashes(base, path) {
        return Err(refused("the path leads away from the endpoint"));
    }
    let query = query(input)?;
    if !query.is_empty() {
        url.set_query(Some(&query));
    }
    let body = match (input.get("body"), method == Method::POST) {
        (Some(body @ Value::Object(_)), true) => Some(body.to_string()),
        (None | Some(Value::Null), true) => Some(String::new()),
        (None | Some(Value::Null), false) => None,
        _ => return Err(invalid("only a POST has a body, and it is an object")),
    };
    Ok(Prepared { method, url, audience, version: None, body })
}

/// A path of Microsoft Graph without the version before it, which operations do not name.
fn without_version(path: &str) -> &str {
    let versioned = |rest: &str| rest.starts_with('/') || rest.is_empty();
    ["/v1.0", "/beta"].iter().find_map(|v| path.strip_prefix(v).filter(|rest| versioned(rest))).unwrap_or(path)
}

fn address_slashes(base: &Url, path: &str) -> usize {
    base.path().trim_end_matches('/').matches('/').count() + path.matches('/').count()
}

fn text<'a>(input: &'a Value, member: &str) -> Result<&'a str, CloudError> {
    input.get(member).and_then(Value::as_str).ok_or_else(|| invalid(format!("the call's input has no `{member}`")))
}

/// A link to a further page, as it came. It must lead where the first page came from: a token is sent along.
fn next_page(base: &Url, next: &Value) -> Result<Url, CloudError> {
    let bad = |code: &str, message: String| CloudError::new(ErrorKind::BadAnswer, code, message);
    let url = next.as_str().and_then(|text| Url::parse(text).ok());
    let url = url.ok_or_else(|| bad("BadPagination", "the link to the next page is not an absolute address".into()))?;
    if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
        let host = url.host_str().unwrap_or_default();
        return Err(bad(
            "ForeignNextLink",
            format!("the link to the next page leads to {host}, which is not the endpoint: it is not followed"),
        ));
    }
    Ok(url)
}

/// Query parameters in their order, encoded; those that are null are left out.
fn query(input: &Value) -> Result<String, CloudError> {
    let pairs = pairs(input)?;
    let encoded =
        pairs.iter().map(|(name, value)| format!("{}={}", utf8_percent_encode(name, QUERY_NAME), utf8_percent_encode(value, QUERY)));
    Ok(encoded.collect::<Vec<_>>().join("&"))
}

fn pairs(input: &Value) -> Result<Vec<(String, String)>, CloudError> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let parameters = match input.get("query") {
        None | Some(Value::Null) => &*NONE,
        Some(Value::Object(parameters)) => parameters,
        Some(_) => return Err(invalid("`query` must be an object")),
    };
    let scalar = |name: &str, value: &Value| match value {
        Value::String(s) => Ok(s.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(invalid(format!("the query parameter `{name}` must be a text, a number or a boolean"))),
    };
    parameters
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| scalar(name, item)).collect::<Result<Vec<_>, _>>()?;
                Ok((name.clone(), items.join(",")))
            }
            value => Ok((name.clone(), scalar(name, value)?)),
        })
        .collect()
}

/// Is this path one of the template's? `{}` stands for one segment or a part of one; as the whole first segment, for a resource id.
fn check_path(template: &str, path: &str) -> Result<(), &'static str> {
    let Some(given) = path.strip_prefix('/') else { return Err("does not begin with a slash") };
    if path.contains(|c: char| c.is_control() || c.is_whitespace() || "?#\\".contains(c)) {
        return Err("holds a character that no path holds unencoded");
    }
    let given: Vec<&str> = given.split('/').collect();
    given.iter().try_for_each(|segment| check_segment(segment))?;
    let mut wanted: Vec<&str> = template.trim_start_matches('/').split('/').collect();
    let mut at = 0;
    if wanted.first() == Some(&"{}") {
        wanted.remove(0);
        at = given.len().checked_sub(wanted.len()).ok_or("is shorter than the operation's")?;
        // /subscriptions/…, then pairs of a kind and a name; or /providers/…, with a type and a name after the namespace.
        let rooted = ["subscriptions", "providers"].iter().any(|root| given[0].eq_ignore_ascii_case(root));
        if at < 2 || at % 2 != 0 || !rooted {
            return Err("does not begin with a resource id");
        }
    }
    let rest = &given[at..];
    if rest.len() != wanted.len() {
        return Err("has more or fewer segments than the operation's");
    }
    match wanted.iter().zip(rest).all(|(wanted, given)| fits(wanted, given)) {
        true => Ok(()),
        false => Err("is not one of the operation's"),
    }
}

pub(super) fn check_segment(segment: &str) -> Result<(), &'static str> {
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| "is not UTF-8 when decoded")?;
    if segment.is_empty() {
        return Err("has an empty segment");
    }
    // Whether a server decodes once or twice, no segment may become two, or a step upwards.
    let twice = percent_decode_str(&decoded).decode_utf8_lossy();
    for text in [&*decoded, &*twice] {
        if matches!(text, "." | "..") || text.contains(['/', '\\']) || text.contains(char::is_control) {
            return Err("has a segment that is more than a name");
        }
    }
    Ok(())
}

/// Does a segment fit the template's, whatever stands for `{}`?
fn fits(wanted: &str, given: &str) -> bool {
    let mut parts = wanted.split("{}");
    let first = parts.next().unwrap_or_default();
    let strip = |text: &str, part: &str| text.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part));
    if !strip(given, first) {
        return false;
    }
    let mut rest = &given[first.len()..];
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.to_ascii_lowercase().find(&part.to_ascii_lowercase()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    // Something stands for the placeholder.
    rest.len() > last.len() && rest.to_ascii_lowercase().ends_with(&last.to_ascii_lowercase())
}

/// The address on a storage account's data plane, and its version. The account's own answer said where it is, so the host is checked.
fn storage(environment: &Environment, api: &str, template: &str, input: &Value) -> Result<(Url, String), CloudError> {
    let given = text(input, "path")?;
    let mut url = Url::parse(given).map_err(|e| refused(format!("the address of the storage account is none: {e}")))?;
    let emulator = check_host(environment, &url).map_err(refused)?;
    let (wanted_path, wanted_query) = template.split_once('?').unwrap_or((template, ""));
    let wanted: Vec<&str> = wanted_path.trim_start_matches("{}").split('/').filter(|s| !s.is_empty()).collect();
    let segments: Vec<&str> = url.path().split('/').filter(|s| !s.is_empty()).collect();
    // What stands before the container is nothing, or at an emulator the account, and the service where one address has them all.
    let most = if !emulator {
        0
    } else if segments.get(1) == Some(&api) {
        2
    } else {
        1
    };
    let account = segments.len().checked_sub(wanted.len()).filter(|n| *n <= most);
    let sound = segments.iter().all(|s| check_segment(s).is_ok());
    if !sound || !account.is_some_and(|n| wanted.iter().zip(&segments[n..]).all(|(w, s)| fits(w, s))) {
        return Err(refused("the path of the storage address is not the operation's"));
    }
    let mut all: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let mut version = input.get("version").and_then(Value::as_str).map(str::to_owned);
    for (name, value) in pairs(input)? {
        if name == VERSION {
            version = Some(value);
        } else {
            all.retain(|(n, _)| *n != name);
            all.push((name, value));
        }
    }
    for pair in wanted_query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match all.iter().find(|(n, _)| n == name) {
            None => all.push((name.to_owned(), value.to_owned())),
            Some((_, given)) if value == "{}" || given == value => {}
            Some(_) => return Err(refused(format!("`{name}` is not what the operation says"))),
        }
    }
    let component = all.iter().filter(|(n, _)| n.eq_ignore_ascii_case("comp")).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    if !matches!(component[..], [one] if allow::is_storage_component(one)) {
        return Err(refused("only settings and names of a storage account are read, never its data: `comp` must say which"));
    }
    let version = version.ok_or_else(|| invalid("a call of the storage data plane needs an `api` (its x-ms-version)"))?;
    let encoded = all.iter().map(|(n, v)| format!("{}={}", utf8_percent_encode(n, QUERY_NAME), utf8_percent_encode(v, QUERY)));
    url.set_query(Some(&encoded.collect::<Vec<_>>().join("&")));
    Ok((url, version))
}

/// Is it a host of the connection's cloud? `true` for one that is the configured one itself, as of an emulator.
fn check_host(environment: &Environment, url: &Url) -> Result<bool, String> {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let suffix = environment.storage_suffix.to_ascii_lowercase();
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let foreign = || format!("the storage account's address leads to {authority}, which is not under {suffix}: no token is sent there");
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("the storage account's address has a part that it must not have".to_owned());
    }
    let emulator = authority == suffix;
    let account = authority.strip_suffix(&suffix).and_then(|account| account.strip_suffix('.'));
    if !emulator && account.is_none_or(str::is_empty) {
        return Err(foreign());
    }
    match url.scheme() {
        "https" => Ok(emulator),
        "http" if is_loopback(url) => Ok(emulator),
        _ => Err(format!("the storage account's address is not https: no token is sent to {authority}")),
    }
}

#[cfg(test)]
mod tests;
