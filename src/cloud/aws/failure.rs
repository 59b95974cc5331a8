//! From anything that can go wrong with a call to a typed [`CloudError`]: error bodies of all protocols, codes to kinds, transport
//! failures to who is at fault. An answer that is not the service's own never becomes "not found".

use super::client::Failure;
use super::response::{Unreadable, is_html};
use super::service::{Operation, Service};
use super::xml;
use crate::writer::WriteFailure;
use crate::{CloudError, ErrorKind};
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind as RetryKind;
use aws_types::request_id::RequestId;
use serde_json::Value;
use std::error::Error;
use std::io;

/// Codes that say who the caller is cannot be established.
const CREDENTIAL_CODES: &[&str] = &[
    "AuthFailure",
    "AuthenticationFailed",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnauthorizedSSOTokenError",
    "UnrecognizedClientException",
];

/// Denials without one of the usual words in them.
const DENIED_CODES: &[&str] = &["AllAccessDisabled", "OptInRequired", "SubscriptionRequiredException", "InsufficientPrivilegesException"];
const DENIED_WORDS: &[&str] = &["AccessDenied", "Unauthorized", "AuthorizationError", "NotAuthorized", "Forbidden"];
const ABSENT_WORDS: &[&str] = &["NotFound", "NoSuch", "DoesNotExist", "NotExist", "NonExistent"];
const SERVER_CODES: &[&str] = &["InternalError", "InternalFailure", "InternalServiceError", "RequestTimeout", "RequestTimeoutException"];

fn has(code: &str, words: &[&str]) -> bool {
    words.iter().any(|w| code.contains(w))
}

/// The kind of a service's own error.
fn kind(code: &str, status: u16) -> ErrorKind {
    if THROTTLING_ERRORS.contains(&code) || code.contains("Throttl") || code == "TooManyRequests" || status == 429 {
        ErrorKind::Throttled
    } else if CREDENTIAL_CODES.contains(&code) {
        ErrorKind::Credentials
    } else if DENIED_CODES.contains(&code) || has(code, DENIED_WORDS) || matches!(status, 401 | 403) {
        ErrorKind::Denied
    } else if status >= 500 || SERVER_CODES.contains(&code) {
        ErrorKind::Transient
    } else if has(code, ABSENT_WORDS) {
        ErrorKind::NotFound
    } else {
        ErrorKind::Service
    }
}

/// What an error response says, by the protocol of its service.
#[derive(Debug, Default)]
struct Envelope {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    unreadable: Option<Unreadable>,
}

/// `namespace#Code:http://…` -> `Code`.
fn bare(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code).trim()
}

fn json_envelope(service: &Service, response: &Response, body: &[u8]) -> Envelope {
    let mut out = Envelope::default();
    let doc: Value = match serde_json::from_slice(body) {
        Ok(v @ Value::Object(_)) => v,
        _ if body.trim_ascii().is_empty() => Value::Null,
        Ok(_) => {
            out.unreadable = Some(Unreadable::Breaks("the error is not a JSON object".into()));
            Value::Null
        }
        Err(e) => {
            out.unreadable = Some(Unreadable::Malformed(format!("the body of the error is not JSON: {e}")));
            Value::Null
        }
    };
    let text = |keys: &[&str]| keys.iter().find_map(|k| doc.get(k)?.as_str()).map(str::to_owned);
    let header = |name: &str| response.headers().get(name).map(str::to_owned);
    let in_body: &[&str] = if service.protocol.is_rest() { &["code", "Code", "__type"] } else { &["__type", "code", "Code"] };
    let compatible =
        header("x-amzn-query-error").filter(|_| service.query_compatible()).and_then(|v| v.split(';').next().map(str::to_owned));
    let code = compatible.or_else(|| header("x-amzn-errortype")).or_else(|| text(in_body));
    out.code = code.map(|c| bare(&c).to_owned()).filter(|c| !c.is_empty());
    out.message = text(&["message", "Message", "errorMessage"]);
    if out.code.is_some() {
        out.unreadable = None; // a header said enough
    }
    out
}

fn xml_envelope(body: &[u8]) -> Envelope {
    if body.trim_ascii().is_empty() {
        return Envelope::default();
    }
    match xml::read_error(body) {
        Ok(e) => Envelope { code: e.code.filter(|c| !c.is_empty()), message: e.message, request_id: e.request_id, unreadable: None },
        Err(e) => Envelope { unreadable: Some(e), ..Envelope::default() },
    }
}

/// The typed failure that an error response stands for.
pub(super) fn of_response(op: &Operation, response: &Response) -> Failure {
    let body = response.body().bytes().unwrap_or_default();
    let status = response.status().as_u16();
    let envelope = if is_html(body) {
        Envelope { unreadable: Some(Unreadable::Html), ..Envelope::default() }
    } else if op.service.protocol.is_json() {
        // Gateways in front of JSON services may refuse in XML.
        let xml = || Some(xml_envelope(body)).filter(|e| e.code.is_some());
        let json = json_envelope(op.service, response, body);
        if json.unreadable.is_some() { xml().unwrap_or(json) } else { json }
    } else {
        xml_envelope(body)
    };
    let request_id = response.headers().request_id().map(str::to_owned).or(envelope.request_id);
    let error = match (envelope.code, envelope.unreadable) {
        (Some(code), _) => {
            let mut e = CloudError::new(kind(&code, status), code, envelope.message.unwrap_or_default());
            e.status = Some(status);
            e
        }
        (None, unreadable) => without_code(op, status, envelope.message, unreadable),
    };
    let retry =
        op.service.retryable(&error.code).map(|throttling| if throttling { RetryKind::ThrottlingError } else { RetryKind::ServerError });
    Failure::new(CloudError { request_id, status: Some(status), ..error }, retry)
}

/// An error response that names no code: the answer of a HEAD request, of a gateway, or of something that is not the service.
fn without_code(op: &Operation, status: u16, message: Option<String>, unreadable: Option<Unreadable>) -> CloudError {
    let kind = match status {
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Transient,
        _ if unreadable.is_some() => ErrorKind::BadAnswer,
        401 | 403 => ErrorKind::Denied,
        404 if op.method == "HEAD" => ErrorKind::NotFound,
        404 => ErrorKind::BadAnswer,
        _ => ErrorKind::Service,
    };
    let message = message.or_else(|| unreadable.map(|u| u.to_string())).unwrap_or_else(|| status_text(status).to_owned());
    CloudError::new(kind, status.to_string(), message)
}

/// The reason phrase, which is all that a response without a body says.
fn status_text(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "the service gave no reason",
    }
}

/// The failure of an answer that cannot be read. One that may be truncated is asked for again.
pub(super) fn of_unreadable(why: &Unreadable, response: &Response) -> Failure {
    let code = match why {
        Unreadable::Html => "HtmlAnswer",
        Unreadable::Malformed(_) => crate::retries::MALFORMED,
        Unreadable::Breaks(_) => "UnexpectedAnswer",
    };
    let mut error = CloudError::new(ErrorKind::BadAnswer, code, why.to_string());
    error.status = Some(response.status().as_u16());
    error.request_id = response.headers().request_id().map(str::to_owned);
    let retry = matches!(why, Unreadable::Malformed(_)).then_some(RetryKind::TransientError);
    Failure::new(error, retry)
}

/// Iterates over an error and all its causes. An `io::Error` hides its payload from `source`.
fn chain<'a>(e: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(e), |&e| match e.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => e.source(),
    })
}

/// The chain of causes as one line, without repetitions.
fn causes(e: &(dyn Error + 'static)) -> String {
    let mut out: Vec<String> = Vec::new();
    for cause in chain(e).map(ToString::to_string) {
        if !cause.is_empty() && !out.iter().any(|o| o.contains(&cause)) {
            out.push(cause);
        }
    }
    out.join(": ").replace('\n', " ")
}

/// The typed error of a call that failed in any way.
pub(super) fn of_call(e: SdkError<Failure, HttpResponse>) -> CloudError {
    let whole = causes(&e);
    let no_credentials = chain(&e).any(|c| c.is::<CredentialsError>());
    let new = |kind, code: &str| CloudError::new(kind, code, whole.clone());
    match e {
        SdkError::ServiceError(e) => e.into_err().into_error(),
        _ if no_credentials => new(ErrorKind::Credentials, "NoCredentials"),
        SdkError::TimeoutError(_) => new(ErrorKind::Transient, "TimeOut"),
        SdkError::DispatchFailure(e) => of_dispatch(&e, whole),
        SdkError::ResponseError(e) => {
            let mut error = new(ErrorKind::Transient, "ConnectionBroken");
            error.status = Some(e.raw().status().as_u16());
            error.request_id = e.raw().headers().request_id().map(str::to_owned);
            error
        }
        _ => new(ErrorKind::Invalid, "InvalidRequest"),
    }
}

/// The typed error of a request that was not answered; `whole` is what all causes say.
fn of_dispatch(e: &DispatchFailure, whole: String) -> CloudError {
    if e.is_timeout() {
        return CloudError::new(ErrorKind::Transient, "TimeOut", whole);
    }
    let causes = e.as_connector_error().into_iter().flat_map(|c| chain(c));
    let broken = causes.filter_map(|c| c.downcast_ref::<io::Error>()).any(|e| {
        use io::ErrorKind as Io;
        matches!(e.kind(), Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof | Io::TimedOut)
    });
    if broken || e.as_other().is_some() || whole.contains("connection closed before message completed") {
        CloudError::new(ErrorKind::Transient, "ConnectionBroken", whole)
    } else if e.is_user() {
        CloudError::new(ErrorKind::Invalid, "InvalidRequest", whole)
    } else {
        CloudError::new(ErrorKind::Unreachable, "Unreachable", whole)
    }
}

/// What the HTTP client calls an error while there is no connection yet: name resolution, TCP, proxy, TLS, or their time-out.
const CONNECTING: &str = "client error (Connect)";

/// The typed error of a write by one of the typed clients, and whether it can have had an effect: none if nothing was sent, or if the
/// service said no. What an answer holds is not repeated: it may be a secret.
pub(crate) fn write_failure<E>(e: SdkError<E, HttpResponse>) -> WriteFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let whole = causes(&e);
    let no_credentials = chain(&e).any(|c| c.is::<CredentialsError>());
    let connecting = chain(&e).any(|c| c.to_string() == CONNECTING);
    let new = |kind, code: &str, message: String| CloudError::new(kind, code, message);
    let (error, without_effect) = match e {
        SdkError::ServiceError(e) => of_typed(e.err(), e.raw()),
        SdkError::ResponseError(e) => {
            let error = new(ErrorKind::Transient, "ConnectionBroken", "the answer broke off, or cannot be read".to_owned());
            (with_response(error, e.raw()), false)
        }
        _ if no_credentials => (new(ErrorKind::Credentials, "NoCredentials", whole), true),
        SdkError::ConstructionFailure(_) => (new(ErrorKind::Invalid, "InvalidRequest", whole), true),
        SdkError::DispatchFailure(e) => {
            let error = of_dispatch(&e, whole);
            let unsent = connecting || error.kind == ErrorKind::Invalid;
            (error, unsent)
        }
        // A time limit of ours, while nobody knows how far the call had come.
        _ => (new(ErrorKind::Transient, "TimeOut", whole), false),
    };
    WriteFailure { error, without_effect }
}

/// The error that a service answered with.
fn of_typed(e: &impl ProvideErrorMetadata, response: &HttpResponse) -> (CloudError, bool) {
    let status = response.status().as_u16();
    let error = match e.code() {
        Some(code) => CloudError::new(kind(code, status), code, e.message().unwrap_or_default().replace('\n', " ")),
        None if response.status().is_success() => {
            CloudError::new(ErrorKind::BadAnswer, "UnexpectedAnswer", "the answer cannot be read, though it says that it was done")
        }
        None => {
            let kind = match status {
                429 => ErrorKind::Throttled,
                500.. => ErrorKind::Transient,
                _ => ErrorKind::BadAnswer,
            };
            CloudError::new(kind, status.to_string(), format!("{}; the answer is not the service's own", status_text(status)))
        }
    };
    let refused = (400..500).contains(&status) && status != 408 && error.kind != ErrorKind::Transient;
    (with_response(error, response), refused)
}

fn with_response(error: CloudError, response: &HttpResponse) -> CloudError {
    let request_id = response.headers().request_id().map(str::to_owned);
    CloudError { status: Some(response.status().as_u16()), request_id, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{BadAnswer, Credentials, Denied, NotFound, Throttled, Transient};
    const OTHER: ErrorKind = ErrorKind::Service;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    fn failure(service: &str, operation: &str, status: u16, headers: &[(&'static str, &'static str)], body: &str) -> CloudError {
        let op = Service::find(service).unwrap().operation(operation).unwrap();
        let mut r = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        for (k, v) in headers {
            r.headers_mut().insert(*k, *v);
        }
        of_response(op, &r).into_error()
    }

    #[test]
    fn error_bodies_of_every_protocol() {
        let html = "<!DOCTYPE HTML><html><title>404 Not Found</title></html>";
        let query = |code: &str| {
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>")
        };
        let ec2 = |code: &str| {
            format!("<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>")
        };
        let json = |code: &str| format!(r#"{{"__type":"com.amazon#{code}","message":"m"}}"#);
        for (service, operation, status, body, kind, code) in [
            ("iam", "GetUser", 404, query("NoSuchEntity"), NotFound, "NoSuchEntity"),
            ("iam", "GetUser", 403, query("AccessDenied"), Denied, "AccessDenied"),
            ("iam", "GetUser", 403, query("InvalidClientTokenId"), Credentials, "InvalidClientTokenId"),
            ("iam", "GetUser", 403, query("SignatureDoesNotMatch"), Credentials, "SignatureDoesNotMatch"),
            ("iam", "GetUser", 400, query("Throttling"), Throttled, "Throttling"),
            ("iam", "GetUser", 400, query("ValidationError"), OTHER, "ValidationError"),
            ("sts", "GetCallerIdentity", 403, query("ExpiredToken"), Credentials, "ExpiredToken"),
            ("ec2", "DescribeVpcs", 403, ec2("UnauthorizedOperation"), Denied, "UnauthorizedOperation"),
            ("ec2", "DescribeVpcs", 401, ec2("AuthFailure"), Credentials, "AuthFailure"),
            ("ec2", "DescribeVpcs", 400, ec2("InvalidVpcID.NotFound"), NotFound, "InvalidVpcID.NotFound"),
            ("ec2", "DescribeVpcs", 503, ec2("RequestLimitExceeded"), Throttled, "RequestLimitExceeded"),
            ("ec2", "DescribeVpcs", 503, ec2("Unavailable"), Transient, "Unavailable"),
            ("kms", "DescribeKey", 400, json("NotFoundException"), NotFound, "NotFoundException"),
            ("kms", "DescribeKey", 400, json("AccessDeniedException"), Denied, "AccessDeniedException"),
            ("kms", "DescribeKey", 400, json("UnrecognizedClientException"), Credentials, "UnrecognizedClientException"),
            ("kms", "DescribeKey", 400, json("ThrottlingException"), Throttled, "ThrottlingException"),
            ("kms", "DescribeKey", 500, json("KMSInternalException"), Transient, "KMSInternalException"),
            ("sns", "ListTopics", 403, query("AuthorizationError"), Denied, "AuthorizationError"),
            ("sqs", "ListQueues", 400, json("QueueDoesNotExist"), NotFound, "QueueDoesNotExist"),
            ("efs", "DescribeFileSystems", 429, r#"{"message":"m"}"#.into(), Throttled, "429"),
            (
                "lambda",
                "GetFunction",
                404,
                r#"{"code":"ResourceNotFoundException","Message":"m"}"#.into(),
                NotFound,
                "ResourceNotFoundException",
            ),
            ("s3", "HeadBucket", 404, String::new(), NotFound, "404"),
            ("s3", "HeadBucket", 403, String::new(), Denied, "403"),
            ("s3", "HeadBucket", 301, String::new(), OTHER, "301"),
            ("lambda", "GetFunction", 403, query("AccessDenied"), Denied, "AccessDenied"),
            // what is not the service's answer is never "not found"
            ("s3", "GetBucketPolicy", 404, String::new(), BadAnswer, "404"),
            ("s3", "GetBucketPolicy", 404, html.into(), BadAnswer, "404"),
            ("iam", "GetUser", 404, html.into(), BadAnswer, "404"),
            ("kms", "DescribeKey", 404, html.into(), BadAnswer, "404"),
            ("lambda", "GetFunction", 404, "no such page".into(), BadAnswer, "404"),
            ("lambda", "GetFunction", 404, "[]".into(), BadAnswer, "404"),
            ("ec2", "DescribeVpcs", 404, "<Response><Errors><Err".into(), BadAnswer, "404"),
            ("lambda", "GetFunction", 403, html.into(), BadAnswer, "403"),
            ("iam", "GetUser", 500, html.into(), Transient, "500"),
            ("kms", "DescribeKey", 503, String::new(), Transient, "503"),
            ("kms", "DescribeKey", 400, String::new(), OTHER, "400"),
        ] {
            let e = failure(service, operation, status, &[], &body);
            assert_eq!((e.kind, e.code.as_str(), e.status), (kind, code, Some(status)), "{service} {body}");
        }
    }

    #[test]
    fn headers_name_codes_and_request_ids() {
        let e = failure(
            "lambda",
            "GetFunction",
            404,
            &[("x-amzn-errortype", "ResourceNotFoundException:http://x/"), ("x-amzn-requestid", "id1")],
            "",
        );
        assert_eq!((e.kind, e.code.as_str(), e.request_id.as_deref()), (NotFound, "ResourceNotFoundException", Some("id1")));
        let e = failure(
            "sqs",
            "GetQueueUrl",
            400,
            &[("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")],
            r#"{"__type":"x#QueueDoesNotExist"}"#,
        );
        assert_eq!((e.kind, e.code.as_str()), (NotFound, "AWS.SimpleQueueService.NonExistentQueue"));
        let e = failure(
            "s3",
            "GetBucketPolicy",
            404,
            &[("x-amz-request-id", "id2")],
            "<Error><Code>NoSuchBucketPolicy</Code><RequestId>id3</RequestId></Error>",
        );
        assert_eq!((e.kind, e.request_id.as_deref()), (NotFound, Some("id2")));
    }
}
