//! The official orchestrator's parts for a client and for a call: serializers and endpoints of ours, everything else official.

use super::attempts::{CountAttempts, Counter};
use super::client::Failure;
use super::endpoint::Endpoint;
use super::service::{Operation, Service};
use super::{failure, request, response, xml};
use crate::{CloudError, ErrorKind};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions, sigv4};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::recursion_detection::RecursionDetectionInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::auth::no_auth::{NO_AUTH_SCHEME_ID, NoAuthScheme};
use aws_smithy_runtime::client::defaults::{DefaultPluginParams, default_plugins};
use aws_smithy_runtime::client::http::connection_poisoning::ConnectionPoisoningInterceptor;
use aws_smithy_runtime::client::identity::no_auth::NoAuthIdentityResolver;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointPrefix, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Input, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::{RuntimePlugins, StaticRuntimePlugin};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer};
use aws_smithy_types::config_bag::{ConfigBag, Layer, Storable, StoreReplace};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::{Region, SigningRegion};
use aws_types::{SdkConfig, SigningName};
use serde_json::Value;

/// A request that was serialized before the orchestrator started, so that its errors are ours and typed.
#[derive(Debug)]
pub(super) struct Prepared(pub(super) HttpRequest);

/// The operation a call is for, in its configuration.
#[derive(Debug, Clone, Copy)]
struct Called(&'static Operation);

impl Storable for Called {
    type Storer = StoreReplace<Self>;
}

#[derive(Debug)]
struct TakePrepared;

impl SerializeRequest for TakePrepared {
    fn serialize_input(&self, input: Input, _: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        input.downcast::<Prepared>().map(|p| p.0).map_err(|_| "the input is not a prepared request".into())
    }
}

#[derive(Debug)]
struct ReadAnswer;

impl DeserializeResponse for ReadAnswer {
    fn deserialize_nonstreaming(&self, _: &HttpResponse) -> Result<Output, OrchestratorError<Error>> {
        Err(OrchestratorError::other("the answer is read with the call's configuration"))
    }

    fn deserialize_nonstreaming_with_config(&self, r: &HttpResponse, cfg: &ConfigBag) -> Result<Output, OrchestratorError<Error>> {
        let Called(op) = *cfg.load::<Called>().ok_or_else(|| OrchestratorError::other("the call has no operation"))?;
        read_answer(op, r).map(Output::erase).map_err(|f| OrchestratorError::operation(Error::erase(f)))
    }
}

/// The answer as JSON, or the failure that it stands for.
pub(super) fn read_answer(op: &Operation, r: &HttpResponse) -> Result<Value, Failure> {
    // S3 may find out that it failed after it has said 200.
    let late_error = || op.service.is_s3() && xml::root_name(r.body().bytes().unwrap_or_default()) == Some("Error");
    if !r.status().is_success() || late_error() {
        return Err(failure::of_response(op, r));
    }
    response::read(op, r).map_err(|why| failure::of_unreadable(&why, r))
}

/// Gives back the endpoint that was resolved before the orchestrator started.
#[derive(Debug)]
struct ResolvedBefore;

#[derive(Debug)]
struct At(aws_smithy_types::endpoint::Endpoint);

impl ResolveEndpoint for ResolvedBefore {
    fn resolve_endpoint<'a>(&'a self, params: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(params.get::<At>().map(|e| e.0.clone()).ok_or_else(|| "the call has no endpoint".into()))
    }
}

/// The typed failure inside the orchestrator's own error.
pub(super) fn failure_of(e: Error) -> Failure {
    let shown = format!("{e:?}");
    e.downcast::<Failure>().unwrap_or_else(|_| Failure::new(CloudError::new(ErrorKind::Service, "UnknownError", shown), None))
}

fn signing(service: &Service) -> (SigningName, SigningOptions) {
    let mut options = SigningOptions::default();
    if matches!(service.signing_name(), "s3" | "s3-outposts" | "s3express") {
        // Object keys are signed as they are, and S3 wants the body's digest in a header.
        options.double_uri_encode = false;
        options.normalize_uri_path = false;
        options.content_sha256_header = true;
    }
    (SigningName::from(service.signing_name()), options)
}

/// The parts that all calls of a client share.
pub(super) fn of_client(service: &'static Service, region: &str, config: &SdkConfig) -> RuntimePlugins {
    let region = Region::new(region.to_owned());
    let signing_region = SigningRegion::from(region.clone());
    let (name, signing_options) = signing(service);
    let mut layer = Layer::new("assay-client");
    layer.store_put(SharedRequestSerializer::new(TakePrepared));
    layer.store_put(SharedResponseDeserializer::new(ReadAnswer));
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(region);
    layer.store_put(signing_region.clone());
    layer.store_put(name.clone());
    layer.store_put(SigV4OperationSigningConfig { region: Some(signing_region), region_set: None, name: Some(name), signing_options });
    // Each attempt waits for the limits, as the first one does: the caller makes them.
    layer.store_put(RetryConfig::disabled());
    layer.store_put(config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled));
    layer.store_put(ApiMetadata::new(service.metadata("endpointPrefix").unwrap_or("unknown"), env!("CARGO_PKG_VERSION")));
    if let Some(app) = config.app_name() {
        layer.store_put(app.clone());
    }
    let partition = format!("{}-{}", service.id(), config.region().map_or("", AsRef::as_ref));

    let mut parts = RuntimeComponentsBuilder::new("assay-client");
    parts.set_http_client(config.http_client());
    parts.set_sleep_impl(config.sleep_impl());
    parts.set_time_source(config.time_source());
    parts.set_identity_cache(config.identity_cache());
    parts.set_endpoint_resolver(Some(SharedEndpointResolver::new(ResolvedBefore)));
    parts.push_auth_scheme(SharedAuthScheme::new(sigv4::SigV4AuthScheme::new()));
    parts.push_auth_scheme(SharedAuthScheme::new(NoAuthScheme::default()));
    parts.set_identity_resolver(NO_AUTH_SCHEME_ID, SharedIdentityResolver::new(NoAuthIdentityResolver::new()));
    if let Some(provider) = config.credentials_provider() {
        parts.set_identity_resolver(sigv4::SCHEME_ID, SharedIdentityResolver::new(provider));
    }
    parts.push_interceptor(SharedInterceptor::permanent(ConnectionPoisoningInterceptor::new()));
    parts.push_interceptor(SharedInterceptor::permanent(RecursionDetectionInterceptor::new()));
    parts.push_interceptor(SharedInterceptor::permanent(CountAttempts));
    parts.push_interceptor(RequestInfoInterceptor::new());
    parts.push_interceptor(UserAgentInterceptor::new());
    parts.push_interceptor(InvocationIdInterceptor::new());

    let version = config.behavior_version().unwrap_or_else(BehaviorVersion::latest);
    let defaults = DefaultPluginParams::new().with_retry_partition_name(partition).with_behavior_version(version);
    RuntimePlugins::new()
        .with_client_plugins(default_plugins(defaults))
        .with_client_plugin(StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(parts))
}

/// The client's parts and those of one call.
///
/// # Errors
/// `Invalid` where the endpoint can only be signed for in a way that is left out, or its host is not one.
pub(super) fn of_call(
    client: &RuntimePlugins,
    op: &'static Operation,
    at: &Endpoint,
    prefix: Option<&str>,
    counter: &Counter,
) -> Result<RuntimePlugins, CloudError> {
    let invalid = |code: &str, message: String| CloudError::new(ErrorKind::Invalid, code, message);
    let schemes = at.properties.get("authSchemes").and_then(Value::as_array);
    let names: Vec<&str> = schemes.into_iter().flatten().filter_map(|s| s.get("name")?.as_str()).collect();
    if !op.anonymous && !names.is_empty() && !names.contains(&"sigv4") {
        return Err(invalid(
            "NotSupported",
            format!("this resource needs requests signed with {}, which assay cannot do", names.join(" or ")),
        ));
    }
    let mut endpoint = aws_smithy_types::endpoint::Endpoint::builder().url(at.url.clone());
    for (name, values) in &at.headers {
        for v in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
            endpoint = endpoint.header(name.clone(), v.to_owned());
        }
    }
    for (name, v) in &at.properties {
        endpoint = endpoint.property(name.clone(), request::document(v));
    }
    let mut layer = Layer::new("assay-call");
    layer.store_put(Metadata::new(op.name, op.service.id()));
    layer.store_put(EndpointResolverParams::new(At(endpoint.build())));
    layer.store_put(Called(op));
    layer.store_put(counter.clone());
    if let Some(prefix) = prefix {
        let prefix =
            EndpointPrefix::new(prefix).map_err(|e| invalid("InvalidInput", format!("{prefix:?} cannot be part of a host: {e}")))?;
        layer.store_put(prefix);
    }
    let scheme = if op.anonymous { NO_AUTH_SCHEME_ID } else { sigv4::SCHEME_ID };
    let mut parts = RuntimeComponentsBuilder::new("assay-call");
    parts.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(StaticAuthSchemeOptionResolver::new(vec![scheme]))));
    Ok(client.clone().with_operation_plugin(StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(parts)))
}
