//! Why a source gave no token, in one line. Refuses to repeat a secret: tokens and assertions are cut out of every text.

use crate::{CloudError, ErrorKind};
use azure_core::error::ErrorKind as Core;
use serde_json::Value;
use std::error::Error;

/// The longest message that is passed on; the rest of a stack trace or a web page helps nobody.
const LONGEST: usize = 600;

/// Why there is no token from a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The source is not there at all, so the next one may be asked.
    pub(super) absent: bool,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

impl Refusal {
    /// The source is not there.
    pub(super) fn absent(message: impl Into<String>) -> Refusal {
        Refusal { absent: true, ..Refusal::new(ErrorKind::Credentials, message) }
    }

    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Refusal {
        Refusal { absent: false, kind, message: message.into() }
    }

    /// What the SDK's error says. `answer` is status and body of the last answer, if there was one; `from` whom was asked.
    pub(super) fn of(error: &azure_core::Error, answer: Option<(u16, &[u8])>, from: &str, secrets: &[&str]) -> Refusal {
        let (kind, message) = read(error, answer, from);
        Refusal::new(kind, scrub(&message, secrets))
    }

    /// The error of a connection whose source `name` refused.
    pub(super) fn into_error(self, name: &str) -> CloudError {
        let code = match self.kind {
            ErrorKind::Credentials => "AuthenticationFailed",
            ErrorKind::Unreachable => "Unreachable",
            _ => "TokenUnavailable",
        };
        CloudError::new(self.kind, code, format!("{name}: {}", self.message))
    }
}

fn read(error: &azure_core::Error, answer: Option<(u16, &[u8])>, from: &str) -> (ErrorKind, String) {
    let mut deepest: &(dyn Error + 'static) = error;
    let mut unreachable = false;
    loop {
        if let Some(core) = deepest.downcast_ref::<azure_core::Error>() {
            unreachable |= matches!(core.kind(), Core::Connection | Core::Io);
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    match answer {
        Some((status, body)) if !unreachable => answered(status, body, from),
        _ if unreachable && !from.is_empty() => (ErrorKind::Unreachable, format!("cannot reach {from}: {deepest}")),
        _ => (ErrorKind::Credentials, deepest.to_string()),
    }
}

/// What an answer without a token means.
fn answered(status: u16, body: &[u8], from: &str) -> (ErrorKind, String) {
    let kind = match status {
        429 | 500..=599 => ErrorKind::Transient,
        _ => ErrorKind::Credentials,
    };
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    // Entra; instance metadata; Azure's usual errors; App Service.
    let said = parsed.as_ref().and_then(|v| {
        ["/error_description", "/error/message", "/message", "/Message", "/error"]
            .iter()
            .find_map(|path| v.pointer(path).and_then(Value::as_str))
            .filter(|text| !text.trim().is_empty())
    });
    match said {
        Some(said) if status >= 300 => (kind, said.to_owned()),
        _ if status < 300 => (ErrorKind::BadAnswer, format!("{from} answered, but with no token")),
        _ => (kind, format!("{from} answered with HTTP status {status} and nothing that explains it")),
    }
}

/// One line of bearable length without secrets: those given, and whatever looks like a token.
pub(super) fn scrub(text: &str, secrets: &[&str]) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text = text.strip_prefix("ERROR: ").map(str::to_owned).unwrap_or(text);
    for secret in secrets.iter().filter(|s| s.len() >= 3) {
        text = text.replace(secret, "…");
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "-_.+/=~".contains(c);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        clean.push_str(if looks_like_token(word) { "…" } else { word });
        let mut others = after.chars();
        clean.extend(others.next());
        rest = others.as_str();
    }
    if let Some((end, _)) = clean.char_indices().nth(LONGEST) {
        clean.truncate(end);
        clean.push('…');
    }
    clean
}

/// JSON in base64 begins so, and so do tokens.
fn looks_like_token(word: &str) -> bool {
    word.len() >= 16 && (word.starts_with("eyJ") || word.contains("=eyJ") || word.contains("/eyJ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_secrets_are_cut_out() {
        for (text, expected) in [
            (
                "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1-2\r\n Time: 3",
                "AADSTS7000215: Invalid client secret provided. Trace ID: 1-2 Time: 3",
            ),
            ("ERROR: Please run 'az login'\n", "Please run 'az login'"),
            ("got eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln here", "got … here"),
            ("client_assertion=eyJhbGciOiJQUzI1NiJ9.e30.c2ln&x", "…&x"),
            (r#"{"accessToken":"eyJhbGciOiJSUzI1NiJ9.e30.x"}"#, r#"{"accessToken":"…"}"#),
            ("secret s3cr3t~value is wrong", "secret … is wrong"),
            ("eyJ is short", "eyJ is short"),
            ("ümläut", "ümläut"),
        ] {
            assert_eq!(scrub(text, &["s3cr3t~value", ""]), expected);
        }
        let long = scrub(&"ä ".repeat(1000), &[]);
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_shapes_of_refusals() {
        for (status, body, kind, message) in [
            (401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: no."}"#, ErrorKind::Credentials, "AADSTS7000215: no."),
            (400, r#"{"error":{"code":"X","message":"no identity"}}"#, ErrorKind::Credentials, "no identity"),
            (400, r#"{"statusCode":400,"message":"No Managed Identity found"}"#, ErrorKind::Credentials, "No Managed Identity found"),
            (400, r#"{"error":"invalid_request"}"#, ErrorKind::Credentials, "invalid_request"),
            (503, "<html>", ErrorKind::Transient, "h answered with HTTP status 503 and nothing that explains it"),
            (200, "<html>", ErrorKind::BadAnswer, "h answered, but with no token"),
            (429, "{}", ErrorKind::Transient, "h answered with HTTP status 429 and nothing that explains it"),
        ] {
            assert_eq!(answered(status, body.as_bytes(), "h"), (kind, message.to_owned()), "{body}");
        }
    }

    #[test]
    fn the_cause_is_told_and_not_its_wrapping() {
        let io = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let core = azure_core::Error::with_error(Core::Connection, io(), "failed to execute").with_context("retries are over");
        let refusal = Refusal::of(&core, None, "login.example", &[]);
        assert_eq!(refusal, Refusal::new(ErrorKind::Unreachable, "cannot reach login.example: connection refused"));
        assert_eq!(refusal.into_error("client secret").code, "Unreachable");
        let core = azure_core::Error::with_message(Core::Credential, "az not found on PATH");
        let core = azure_core::Error::with_error(Core::Credential, core, "AzureCliCredential authentication failed. az not found");
        assert_eq!(Refusal::of(&core, None, "", &[]).message, "az not found on PATH");
        let core = azure_core::Error::with_message(Core::DataConversion, "expected value at line 1");
        assert_eq!(Refusal::of(&core, Some((502, b"<")), "h", &[]).kind, ErrorKind::Transient);
    }
}
