//! One attempt of one call over HTTP. Whether there is another one is for the caller to say: it knows who else waits for the same bucket.
//! A write has this one attempt and no other.

use super::principal::Principal;
use super::request::Prepared;
use super::tokens::Token;
use super::{answer, request, writes};
use crate::aws::client::Attempts;
use crate::limits::invalid;
use crate::transport::Request;
use crate::writer::{ArmWrite, WriteFailure};
use crate::{CloudError, ErrorKind};
use chrono::Utc;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use std::error::Error;
use std::time::Duration;

/// Attempts per call, the first included.
const ATTEMPTS: u32 = 4;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two reads, and for one attempt as a whole.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections kept open per host between calls.
const IDLE_PER_HOST: usize = 64;

/// The HTTP client of all Azure connections: proxies from HTTPS_PROXY and its like, roots of the system or of SSL_CERT_FILE. It follows no
/// redirect: no API here redirects, and a token must not follow one.
pub(crate) fn http() -> Result<reqwest::Client, CloudError> {
    reqwest::Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .gzip(true)
        .build()
        .map_err(|e| invalid(format!("no HTTP client can be made: {}", causes(&e))))
}

/// Makes one attempt.
pub(crate) async fn send(principal: &Principal, call: &Request, attempts: &mut Attempts) -> Result<serde_json::Value, CloudError> {
    let parts = principal.parts()?;
    let prepared = request::prepare(&parts.environment, &call.service, &call.operation, &call.input)?;
    let token = parts.tokens.token(prepared.audience).await?;
    let out = filled(parts.http.as_ref().map_err(Clone::clone)?, prepared, token);
    (attempts.total, attempts.most) = (1, ATTEMPTS);
    let response = out.send().await.map_err(of_transport)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    attempts.advice = answer::advice(&headers, Utc::now());
    let body = response.bytes().await.map_err(|e| CloudError { status: Some(status), ..of_transport(e) });
    let result = body.and_then(|body| answer::read(status, &headers, &body));
    attempts.throttled = u32::from(matches!(&result, Err(e) if e.kind == ErrorKind::Throttled));
    result
}

fn filled(http: &reqwest::Client, prepared: Prepared, token: Token) -> reqwest::RequestBuilder {
    let mut out = http.request(prepared.method, prepared.url).header(AUTHORIZATION, token.header);
    out = match &prepared.version {
        Some(version) => out.header("x-ms-version", version).header(ACCEPT, "application/xml"),
        None => out.header(ACCEPT, "application/json"),
    };
    match prepared.body {
        Some(body) => out.header(CONTENT_TYPE, "application/json").body(body),
        None => out,
    }
}

/// Makes the one attempt of a write, and judges whether a failure can have had an effect: none if nothing was sent, or if the service
/// said no; nobody knows if the answer did not come, is broken, or says that the server failed.
pub(crate) async fn write(principal: &Principal, write: &ArmWrite<'_>, subscription: &str) -> Result<serde_json::Value, WriteFailure> {
    let unsent = |error| WriteFailure { error, without_effect: true };
    let parts = principal.parts().map_err(unsent)?;
    let prepared = writes::prepare(&parts.environment, subscription, write).map_err(unsent)?;
    let token = parts.tokens.token(prepared.audience).await.map_err(unsent)?;
    let generation = principal.generation();
    let http = parts.http.as_ref().map_err(|e| unsent(e.clone()))?;
    let response = filled(http, prepared, token).send().await.map_err(|e| {
        let without_effect = e.is_connect() || e.is_builder();
        WriteFailure { error: of_transport(e), without_effect }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    if status == 401 {
        principal.renew(generation);
    }
    let body = response.bytes().await.map_err(|e| CloudError { status: Some(status), ..of_transport(e) });
    let without_effect = (300..500).contains(&status) && status != 408;
    body.and_then(|body| answer::read_single(status, &headers, &body)).map_err(|error| WriteFailure { error, without_effect })
}

/// The typed error of an attempt that got no answer.
fn of_transport(error: reqwest::Error) -> CloudError {
    // The address may hold a page token; the operation is named anyway.
    let error = error.without_url();
    let (kind, code) = if error.is_timeout() {
        (ErrorKind::Transient, "TimeOut")
    } else if error.is_connect() {
        (ErrorKind::Unreachable, "Unreachable")
    } else if error.is_builder() {
        (ErrorKind::Invalid, "InvalidRequest")
    } else {
        (ErrorKind::Transient, "ConnectionBroken")
    };
    CloudError::new(kind, code, causes(&error))
}

/// The chain of causes as one line, without repetitions.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !text.is_empty() && !out.iter().any(|o| o.contains(&text)) {
            out.push(text);
        }
        next = cause.source();
    }
    out.join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests;
