//! A [`Login`]: one set of credentials, however many connections use it. Owns where credentials come from, when they are thrown away
//! because the cloud calls them expired, and the facts that belong to them: who they are and which regions they may use.

use crate::azure::principal::Principal;
use crate::connection::Identity;
use crate::flight::Once;
use crate::{CloudError, ErrorKind};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, imds};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Name of the sessions that assumed roles get: what CloudTrail shows.
pub(crate) const SESSION: &str = "assay";

/// Attempts per call, the first included; AWS_MAX_ATTEMPTS and the profile's `max_attempts` beat it. Few, so that an address where
/// nothing answers is given up within seconds; throttled calls are given more rounds by the caller.
const ATTEMPTS: u32 = 4;
const MAX_BACKOFF: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the first byte, for one attempt, and for all attempts together.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Single sign-on, credential processes and role chains take their time.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);
/// Credentials that end sooner than this are fetched anew.
const ALMOST_OVER: Duration = Duration::from_secs(60);
/// How long a failure to get credentials is believed: every call would ask again, and a chain that ends at the instance
/// metadata takes a second to fail.
pub(crate) const FAILURE_BELIEVED: Duration = Duration::from_secs(10);

/// Region of calls where neither the configuration nor the environment names one.
const DEFAULT_REGION: &str = "us-east-1";

/// Where credentials come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The standard chain: environment, default profile, web identity, container, instance.
    Ambient { http: SharedHttpClient },
    /// A profile of the shared files, and nothing else: what is named beats the environment.
    Profile { name: String, http: SharedHttpClient },
    /// A role, assumed with the credentials of another login.
    Role { base: Arc<Login>, arn: String, external_id: Option<String> },
    /// An Azure connection's principal.
    Azure(Arc<Principal>),
    /// A recording; there are no credentials.
    Recorded,
}

/// One set of credentials.
#[derive(Debug)]
pub(crate) struct Login {
    /// Unique: the name of the first connection that uses it, plus the account id for members of an organization.
    pub(crate) key: Arc<str>,
    /// Where calls that could go anywhere are sent.
    pub(crate) region: Arc<str>,
    pub(crate) identity: Once<Identity>,
    /// Every region enabled for the account, before a connection's globs.
    pub(crate) enabled_regions: Once<Arc<[Arc<str>]>>,
    /// Why nothing is asked here at all.
    pub(crate) refused: Option<CloudError>,
    source: Source,
    generation: AtomicU64,
    config: tokio::sync::Mutex<Option<(u64, SdkConfig)>>,
    failed: Mutex<Option<(Duration, CloudError)>>,
    /// Was the role assumed, or is it being so?
    entered: AtomicBool,
}

impl Login {
    pub(crate) fn new(key: impl Into<Arc<str>>, region: impl Into<Arc<str>>, source: Source) -> Login {
        Login {
            key: key.into(),
            region: region.into(),
            identity: Once::new(),
            enabled_regions: Once::new(),
            refused: None,
            source,
            generation: AtomicU64::new(0),
            config: tokio::sync::Mutex::new(None),
            failed: Mutex::new(None),
            entered: AtomicBool::new(false),
        }
    }

    /// A login whose account is known from the role it assumes: no call is needed to learn it.
    pub(crate) fn role(key: impl Into<Arc<str>>, base: &Arc<Login>, arn: String, external_id: Option<String>) -> Login {
        let identity = role_identity(&arn);
        let login = Login::new(key, base.region.clone(), Source::Role { base: base.clone(), arn, external_id });
        if let Some(identity) = identity {
            login.identity.set(identity);
        }
        login
    }

    /// The logins whose roles have to be assumed now, for the first time: its own, and those that it is assumed with.
    pub(crate) fn enters(self: &Arc<Login>) -> Vec<Arc<Login>> {
        let mut roles = Vec::new();
        let mut at = self;
        while let Source::Role { base, .. } = &at.source {
            if !at.entered.swap(true, Ordering::AcqRel) {
                roles.push(at.clone());
            }
            at = base;
        }
        roles
    }

    /// Is it a role that is assumed with other credentials?
    pub(crate) fn is_role(&self) -> bool {
        matches!(self.source, Source::Role { .. })
    }

    /// Whose tokens these are, if it is Azure's.
    pub(crate) fn principal(&self) -> Option<&Arc<Principal>> {
        match &self.source {
            Source::Azure(principal) => Some(principal),
            _ => None,
        }
    }

    /// The connection that it belongs to: the first, if several share it.
    pub(crate) fn connection(&self) -> Arc<str> {
        match self.principal() {
            Some(principal) => principal.connection.clone(),
            // Names of connections have no slash; members of an organization have one behind it.
            None => self.key.split_once('/').map_or_else(|| self.key.clone(), |(connection, _)| connection.into()),
        }
    }

    /// The name under which the configuration has limits for it.
    pub(crate) fn limits_key(&self) -> &Arc<str> {
        self.principal().map_or(&self.key, |principal| &principal.connection)
    }

    /// Grows by one whenever the credentials are thrown away.
    pub(crate) fn generation(&self) -> u64 {
        self.principal().map_or_else(|| self.generation.load(Ordering::Acquire), |principal| principal.generation())
    }

    /// Throws the credentials away, unless somebody did so since generation `seen`.
    pub(crate) fn renew(&self, seen: u64) {
        if let Some(principal) = self.principal() {
            return principal.renew(seen);
        }
        let first = self.generation.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first && let Source::Role { base, .. } = &self.source {
            base.renew(base.generation());
        }
    }

    /// Remembers that no credentials could be had, so that the next calls fail at once.
    pub(crate) fn remember_failure(&self, now: Duration, error: &CloudError) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, error.clone()));
    }

    pub(crate) fn forget_failure(&self) {
        if let Some(principal) = self.principal() {
            principal.forget();
        }
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn recent_failure(&self, now: Duration) -> Option<CloudError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| now.saturating_sub(*at) < FAILURE_BELIEVED).map(|(_, e)| e.clone())
    }

    /// The configuration for clients of this login and its generation. Made on first use, again after [`Login::renew`]; makes no call.
    pub(crate) async fn sdk_config(&self) -> Result<(u64, SdkConfig), CloudError> {
        let mut kept = self.config.lock().await;
        let generation = self.generation();
        if let Some((made, config)) = kept.as_ref()
            && *made == generation
        {
            return Ok((generation, config.clone()));
        }
        let config = match &self.source {
            Source::Ambient { http } => self.load(http, None).await,
            Source::Profile { name, http } => self.load(http, Some(name)).await,
            Source::Role { base, arn, external_id } => {
                let (_, base_config) = Box::pin(base.sdk_config()).await?;
                let mut builder = AssumeRoleProvider::builder(arn).configure(&base_config).session_name(SESSION);
                if let Some(id) = external_id {
                    builder = builder.external_id(id);
                }
                with_credentials(base_config, builder.build().await)
            }
            Source::Recorded => return Err(CloudError::new(ErrorKind::NotRecorded, "NotRecorded", "a replay has no credentials")),
            Source::Azure(_) => {
                return Err(CloudError::new(ErrorKind::Invalid, "NotSupported", "an Azure connection calls no AWS service"));
            }
        };
        *kept = Some((generation, config.clone()));
        Ok((generation, config))
    }

    async fn load(&self, http: &SharedHttpClient, profile: Option<&str>) -> SdkConfig {
        let region = Region::new(self.region.to_string());
        let times = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .http_client(http.clone())
            .timeout_config(times.clone())
            .no_credentials();
        if let Some(name) = profile {
            loader = loader.profile_name(name);
        }
        let config = loader.load().await;
        let retries = retries(config.retry_config());
        let config = config.into_builder().retry_config(retries.clone()).build();
        let provider_config = ProviderConfig::without_region()
            .with_region(Some(region))
            .with_http_client(http.clone())
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_use_fips(config.use_fips())
            .with_use_dual_stack(config.use_dual_stack())
            .with_retry_config(retries)
            .with_timeout_config(times);
        match profile {
            Some(name) => {
                with_credentials(config, ProfileFileCredentialsProvider::builder().configure(&provider_config).profile_name(name).build())
            }
            None => {
                // Off an instance nothing answers there: fail after a second, not after four tries.
                let imds = imds::Client::builder().configure(&provider_config).max_attempts(1).connect_timeout(Duration::from_secs(1));
                let chain = DefaultCredentialsChain::builder().configure(provider_config).imds_client(imds.build());
                with_credentials(config, chain.build().await)
            }
        }
    }

    /// Why there are no credentials, for people: what was asked, and what the last one asked said.
    pub(crate) fn explain(&self, cause: &str) -> String {
        // The layers between the call and the provider say nothing that helps.
        let layers =
            ["dispatch failure: ", "other: ", "an error occurred while loading credentials: ", "the credential provider was not enabled: "];
        let cause = layers.iter().fold(cause, |text, layer| text.strip_prefix(layer).unwrap_or(text));
        match &self.source {
            Source::Ambient { .. } => format!(
                "no credentials in the environment, the default profile, web identity, container or instance metadata; the last one asked: {cause}"
            ),
            Source::Profile { name, .. } => format!("no credentials from profile {name}: {cause}"),
            Source::Role { base, arn, .. } => format!("cannot assume {arn} with the credentials of {}: {cause}", base.key),
            Source::Recorded | Source::Azure(_) => cause.to_owned(),
        }
    }

    /// The credentials themselves; may ask STS or the instance metadata.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CloudError> {
        let (generation, config) = self.sdk_config().await?;
        let no = |m: String| CloudError::new(ErrorKind::Credentials, "NoCredentials", m);
        let provider = config.credentials_provider().ok_or_else(|| no("no credentials provider".into()))?;
        tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials())
            .await
            .map_err(|_| no(format!("no credentials within {} s", CREDENTIALS_TIMEOUT.as_secs())))?
            .map_err(|e| {
                // A provider may tell its reason only once.
                self.renew(generation);
                no(self.explain(&one_line(&e)))
            })
    }

    /// Where they come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Which source gives the credentials and until when; resolves them, so it may ask STS or the instance metadata. Shows no secret.
    pub(crate) async fn describe_source(&self) -> Result<String, CloudError> {
        match &self.source {
            Source::Recorded => return Ok("a recording".to_owned()),
            Source::Azure(principal) => return principal.describe().await,
            _ => {}
        }
        let credentials = self.credentials().await?;
        let mut text = match &self.source {
            Source::Profile { name, .. } => format!("profile {name}: {}", source_name(&credentials)),
            Source::Role { arn, base, .. } => format!("role {arn}, assumed by the credentials of {}", base.key),
            _ => source_name(&credentials),
        };
        let id = credentials.access_key_id();
        if let Some(tail) = id.len().checked_sub(4).and_then(|at| id.get(at..)) {
            text.push_str(&format!(", access key …{tail}"));
        }
        if let Some(left) = credentials.expiry().and_then(|at| at.duration_since(SystemTime::now()).ok()) {
            text.push_str(&format!(", valid for {} min", left.as_secs() / 60));
        }
        Ok(text)
    }
}

/// The first region that the profile (if one is named), the environment, or the default profile names; else `us-east-1`. Reads files, calls nothing.
pub(crate) async fn configured_region(profile: Option<&str>) -> Arc<str> {
    let environment = EnvironmentVariableRegionProvider::new();
    let region = match profile {
        Some(name) => match ProfileFileRegionProvider::builder().profile_name(name).build().region().await {
            Some(region) => Some(region),
            None => environment.region().await,
        },
        None => match environment.region().await {
            Some(region) => Some(region),
            None => ProfileFileRegionProvider::new().region().await,
        },
    };
    region.map_or_else(|| Arc::from(DEFAULT_REGION), |r| Arc::from(r.as_ref()))
}

/// Our number of attempts, unless the environment or the profile says how many attempts there shall be.
fn retries(loaded: Option<&RetryConfig>) -> RetryConfig {
    let loaded = loaded.cloned().unwrap_or_else(RetryConfig::standard);
    let chosen = loaded.max_attempts() != RetryConfig::standard().max_attempts() || std::env::var_os("AWS_MAX_ATTEMPTS").is_some();
    if chosen { loaded } else { loaded.with_max_attempts(ATTEMPTS).with_max_backoff(MAX_BACKOFF) }
}

fn with_credentials(config: SdkConfig, provider: impl ProvideCredentials + 'static) -> SdkConfig {
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(Kept { provider, kept: tokio::sync::Mutex::new(None) }))
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build())
        .build()
}

/// Keeps credentials until they are almost over: roles assumed from them would otherwise fetch them once per role.
#[derive(Debug)]
struct Kept<P> {
    provider: P,
    kept: tokio::sync::Mutex<Option<Credentials>>,
}

impl<P: ProvideCredentials> ProvideCredentials for Kept<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut kept = self.kept.lock().await;
            if let Some(credentials) = kept.as_ref()
                && credentials.expiry().is_none_or(|end| end > SystemTime::now() + ALMOST_OVER)
            {
                return Ok(credentials.clone());
            }
            let credentials = self.provider.provide_credentials().await?;
            *kept = Some(credentials.clone());
            Ok(credentials)
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.provider.fallback_on_interrupt()
    }
}

/// Who a role is once assumed: `arn:aws:iam::111:role/path/Name` becomes `arn:aws:sts::111:assumed-role/Name/assay`.
pub(crate) fn role_identity(arn: &str) -> Option<Identity> {
    let mut parts = arn.splitn(6, ':');
    let ("arn", partition, "iam", "", account, role) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    let name = role.strip_prefix("role/")?.rsplit('/').next().filter(|n| !n.is_empty())?;
    let whole = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !partition.is_empty();
    whole.then(|| Identity {
        tenant_id: None,
        account_id: account.into(),
        partition: partition.into(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{SESSION}").into(),
    })
}

fn source_name(credentials: &Credentials) -> String {
    use AwsCredentialFeature as F;
    let features = credentials.get_property::<Vec<F>>().map_or(&[][..], Vec::as_slice);
    let name = |f: &F| {
        Some(match f {
            F::CredentialsEnvVars => "environment variables",
            F::CredentialsEnvVarsStsWebIdToken | F::CredentialsProfileStsWebIdToken | F::CredentialsStsAssumeRoleWebId => {
                "web identity token"
            }
            F::CredentialsStsAssumeRole => "a role assumed on the way",
            F::CredentialsProfile => "keys in the shared files",
            F::CredentialsProfileSourceProfile => "source profile",
            F::CredentialsProfileNamedProvider => "named credential source",
            F::CredentialsProfileSso | F::CredentialsSso => "single sign-on",
            F::CredentialsProfileProcess | F::CredentialsProcess => "credential process",
            F::CredentialsHttp => "container credentials",
            F::CredentialsImds => "instance metadata",
            _ => return None,
        })
    };
    let mut names: Vec<&str> = features.iter().filter_map(name).collect();
    names.dedup();
    if names.is_empty() { "credentials of an unnamed source".to_owned() } else { names.join(", ") }
}

/// An error and its causes on one line, for people.
fn one_line(error: &CredentialsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(e) = cause {
        let part = e.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = e.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_role_tells_who_it_will_be() {
        let id = role_identity("arn:aws-us-gov:iam::123456789012:role/audit/ReadOnly").unwrap();
        assert_eq!(&*id.account_id, "123456789012");
        assert_eq!(&*id.partition, "aws-us-gov");
        assert_eq!(&*id.arn, "arn:aws-us-gov:sts::123456789012:assumed-role/ReadOnly/assay");
        for bad in [
            "",
            "ReadOnly",
            "arn:aws:iam::123:role/X",
            "arn:aws:iam::123456789012:user/X",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:role/X",
        ] {
            assert_eq!(role_identity(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_are_thrown_away_once_per_generation_and_with_their_base() {
        let base = Arc::new(Login::new("base", "us-east-1", Source::Recorded));
        let member = Login::role("m", &base, "arn:aws:iam::123456789012:role/X".into(), None);
        let seen = member.generation();
        for _ in 0..32 {
            member.renew(seen);
        }
        assert_eq!((member.generation(), base.generation()), (1, 1));
        member.renew(1);
        assert_eq!((member.generation(), base.generation()), (2, 2));
    }

    #[test]
    fn a_failure_is_believed_for_a_while() {
        let login = Login::new("a", "us-east-1", Source::Recorded);
        login.remember_failure(Duration::from_secs(100), &CloudError::new(ErrorKind::Credentials, "NoCredentials", "none"));
        assert_eq!(login.recent_failure(Duration::from_secs(101)).unwrap().code, "NoCredentials");
        assert_eq!(login.recent_failure(Duration::from_secs(100) + FAILURE_BELIEVED), None);
    }

    #[derive(Debug)]
    struct Counted(AtomicUsize, Option<SystemTime>);
    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::SeqCst);
            future::ProvideCredentials::ready(Ok(Credentials::new("a", "b", None, self.1, "test")))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_almost_over() {
        let hour = Duration::from_secs(3600);
        for (end, fetched) in [(None, 1), (Some(SystemTime::now() + hour), 1), (Some(SystemTime::now() + ALMOST_OVER / 2), 3)] {
            let kept = Kept { provider: Counted(AtomicUsize::new(0), end), kept: tokio::sync::Mutex::new(None) };
            for _ in 0..3 {
                kept.provide_credentials().await.unwrap();
            }
            assert_eq!(kept.provider.0.load(Ordering::SeqCst), fetched, "{end:?}");
        }
    }
}
