//! One client per (service, region, credentials): official orchestrator, signing, credentials; our codecs and endpoints. A call is one
//! attempt: whether there is another is for the caller to say, which knows who else waits for the same limit.

use super::attempts::Counter;
use super::embedded;
use super::endpoint::{self, Builtins, Endpoint};
use super::service::{Operation, Service};
use super::{failure, plugins, request};
use crate::limiter::Advice;
use crate::{CloudError, ErrorKind};
use aws_smithy_runtime::client::orchestrator::invoke;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugins;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_types::retry::{ErrorKind as RetryKind, ProvideErrorKind, RetryConfig};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use serde_json::Value;
use std::fmt;

/// What a call cost beside its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Requests sent.
    pub total: u32,
    /// Of them, how many were throttled.
    pub throttled: u32,
    /// Attempts that a call may have, the first included; 0 where that is left to the caller.
    pub most: u32,
    /// Whether the API's model says that this failure passes.
    pub passing: bool,
    /// What the answer says about the calls to come.
    pub(crate) advice: Advice,
}

/// A client for one service in one region with one set of credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    service: &'static Service,
    plugins: RuntimePlugins,
    builtins: Builtins,
    has_credentials: bool,
    /// Attempts that the environment or the profile allows.
    most: u32,
}

/// A failed call inside the orchestrator.
#[derive(Debug)]
pub(super) struct Failure {
    error: Box<CloudError>,
    meta: ErrorMetadata,
    retry: Option<RetryKind>,
}

impl Failure {
    /// `retry`: what the model or the nature of the failure says.
    pub(super) fn new(error: CloudError, retry: Option<RetryKind>) -> Failure {
        let mut meta = ErrorMetadata::builder().message(error.message.clone());
        if error.kind != ErrorKind::BadAnswer {
            meta = meta.code(error.code.clone());
        }
        Failure { error: Box::new(error), meta: meta.build(), retry }
    }

    pub(super) fn throttled(&self) -> bool {
        self.error.kind == ErrorKind::Throttled || self.retry == Some(RetryKind::ThrottlingError)
    }

    pub(super) fn passing(&self) -> bool {
        self.retry.is_some()
    }

    pub(super) fn into_error(self) -> CloudError {
        *self.error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ProvideErrorMetadata for Failure {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

impl ProvideErrorKind for Failure {
    fn retryable_error_kind(&self) -> Option<RetryKind> {
        self.retry
    }

    fn code(&self) -> Option<&str> {
        self.meta.code()
    }
}

/// Where a service is called, if not where the endpoint rules say.
pub(crate) fn endpoint_override(service: &str, config: &SdkConfig) -> Option<String> {
    override_of(Service::find(service).ok()?, config)
}

fn override_of(service: &Service, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service.id()).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

impl Client {
    /// `config` carries region, credentials, endpoint overrides, HTTP client, retry and time-out settings. An endpoint override
    /// (`AWS_ENDPOINT_URL_<SERVICE>`, the profile's `services` section, `AWS_ENDPOINT_URL`) goes before the endpoint rules.
    ///
    /// # Errors
    /// `Invalid` for an unknown service, or one that is left out.
    pub fn new(service: &str, config: &SdkConfig) -> Result<Client, CloudError> {
        let service = Service::find(service)?;
        let region = config.region().map_or("us-east-1", AsRef::as_ref).to_owned();
        let builtins = Builtins {
            fips: config.use_fips().unwrap_or(false),
            dual_stack: config.use_dual_stack().unwrap_or(false),
            endpoint: override_of(service, config),
            region,
        };
        let plugins = plugins::of_client(service, &builtins.region, config);
        let most = config.retry_config().map_or(1, RetryConfig::max_attempts);
        Ok(Client { service, plugins, builtins, has_credentials: config.credentials_provider().is_some(), most })
    }

    /// Calls an operation; the allow-list is checked by `ReadOp`, not here, but input that asks for secrets is refused.
    /// Member names as in boto3; timestamps in RFC 3339, blobs in base64. `attempts` is filled in either way.
    ///
    /// # Errors
    /// The failed call with code, message, request id.
    pub async fn call(&self, operation: &str, input: Value, attempts: &mut Attempts) -> Result<Value, CloudError> {
        *attempts = Attempts::default();
        let counter = Counter::default();
        let result = self.send(operation, &input, &counter).await;
        *attempts = Attempts { most: self.most, ..counter.read() };
        result.map_err(|mut e| {
            e.service = self.service.name.to_owned();
            e.operation = operation.to_owned();
            e.region.clone_from(&self.builtins.region);
            e
        })
    }

    async fn send(&self, operation: &str, input: &Value, counter: &Counter) -> Result<Value, CloudError> {
        let (op, request, plugins) = self.prepare(operation, input, counter)?;
        let out = invoke(self.service.id(), op.name, Input::erase(plugins::Prepared(request)), &plugins).await;
        let out = out.map_err(|e| failure::of_call(e.map_service_error(plugins::failure_of)))?;
        out.downcast::<Value>().map_err(|_| CloudError::new(ErrorKind::BadAnswer, "UnexpectedAnswer", "the answer was not read"))
    }

    /// All that needs no network: the request without host, and where it goes.
    fn prepare(
        &self,
        operation: &str,
        input: &Value,
        counter: &Counter,
    ) -> Result<(&'static Operation, HttpRequest, RuntimePlugins), CloudError> {
        let op = self.service.operation(operation)?;
        crate::read_op::refuse_input(self.service.name, op.name, input)?;
        let request = request::build(op, input)?;
        let endpoint = self.endpoint(op, input)?;
        if !op.anonymous && !self.has_credentials {
            return Err(CloudError::new(ErrorKind::Credentials, "NoCredentials", "there are no credentials for this connection"));
        }
        let prefix = self.host_prefix(op, input)?;
        let plugins = plugins::of_call(&self.plugins, op, &endpoint, prefix.as_deref(), counter)?;
        Ok((op, request, plugins))
    }

    fn endpoint(&self, op: &Operation, input: &Value) -> Result<Endpoint, CloudError> {
        let given = endpoint::parameters(op, &self.builtins, input);
        let mut found = endpoint::resolve(op.service.rules(), embedded::partitions(), &given)
            .map_err(|e| CloudError::new(ErrorKind::Invalid, "NoEndpoint", format!("no endpoint for this call: {e}")))?;
        if let Some(own) = &self.builtins.endpoint {
            found.url = at_authority_of(&found.url, own);
        }
        Ok(found)
    }

    /// Dropped with an endpoint override, where no such host exists, and for S3 Control, whose rules do it themselves.
    fn host_prefix(&self, op: &Operation, input: &Value) -> Result<Option<String>, CloudError> {
        if self.builtins.endpoint.is_some() || self.service.name == "s3control" {
            return Ok(None);
        }
        prefix_of(op, input)
    }
}

/// What the model puts before the host, with the input's values for its labels.
pub(super) fn prefix_of(op: &Operation, input: &Value) -> Result<Option<String>, CloudError> {
    let Some(mut rest) = op.host_prefix else { return Ok(None) };
    let mut out = String::new();
    while let Some((before, (label, after))) = rest.split_once('{').and_then(|(b, r)| Some((b, r.split_once('}')?))) {
        let value = input.get(label).and_then(Value::as_str).filter(|v| !v.is_empty());
        let missing =
            || CloudError::new(ErrorKind::Invalid, "InvalidInput", format!("the member `{label}` is part of the host: it is required"));
        out.push_str(before);
        out.push_str(value.ok_or_else(missing)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// The URL with scheme and authority of an endpoint override: rules that put an account before the host would name one that
/// does not exist there.
fn at_authority_of(url: &str, own: &str) -> String {
    let parts = |u: &str| {
        u.split_once("://").map(|(scheme, rest)| {
            let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
            (scheme.to_owned(), authority.to_owned(), path.to_owned())
        })
    };
    match (parts(url), parts(own)) {
        (Some((_, _, path)), Some((scheme, authority, _))) => format!("{scheme}://{authority}{path}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
