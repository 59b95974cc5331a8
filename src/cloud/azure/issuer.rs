//! Asks one source for one token through `azure_identity`. Owns the wires that lead there: secrets and assertions go to the authority of the
//! connection's cloud and nowhere else; managed identities are asked without a proxy; command lines are ended when nobody waits any more.

use super::certificate::{Certificate, Signer};
use super::environment::Environment;
use super::refusal::Refusal;
use super::source::{Principal, Source};
use crate::clock::Clock;
use crate::{CloudError, ErrorKind};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{AsyncRawResponse, ClientOptions, ExponentialRetryOptions, HttpClient, Method, Request, RetryOptions, Transport};
use azure_core::time::Duration as Span;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions,
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, Executor,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use reqwest::Url;
use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The longest that one source may take, its retries included.
const PATIENCE: Duration = Duration::from_secs(30);
/// The instance metadata answers at once or not at all. Off a machine of Azure the address leads nowhere.
const PROBE: Duration = Duration::from_secs(1);
const INSTANCE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Where tokens are asked for.
#[derive(Debug)]
pub(super) struct Issuer {
    authority: Url,
    login: Arc<dyn HttpClient>,
    local: Local,
    commands: Arc<dyn Executor>,
    retry: RetryOptions,
    clock: Clock,
}

/// The way to this machine's own services: never through a proxy. Made when it is needed.
#[derive(Debug, Default)]
pub(super) struct Local(OnceLock<Arc<dyn HttpClient>>);

impl Local {
    fn client(&self) -> Result<Arc<dyn HttpClient>, Refusal> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).connect_timeout(PATIENCE / 10);
        let client = builder.build().map_err(|e| Refusal::new(ErrorKind::Unreachable, format!("no HTTP client: {e}")))?;
        Ok(self.0.get_or_init(|| Arc::new(client)).clone())
    }
}

impl Issuer {
    pub(super) fn new(environment: &Environment, http: &reqwest::Client, clock: Clock) -> Issuer {
        Issuer {
            authority: environment.authority.clone(),
            login: Arc::new(http.clone()),
            local: Local::default(),
            commands: Arc::new(Commands),
            // Few, so that an address where nothing answers is given up within seconds.
            retry: RetryOptions::exponential(ExponentialRetryOptions {
                max_retries: 2,
                max_total_elapsed: Span::seconds(15),
                max_delay: Span::seconds(5),
                ..ExponentialRetryOptions::default()
            }),
            clock,
        }
    }

    /// A token for a scope. A new credential is made for each: the SDK's own cache would hand out a token that the cloud called expired,
    /// and files are read as they are now.
    pub(super) async fn ask(&self, source: &Source, scope: &str) -> Result<AccessToken, Refusal> {
        match self.within(PATIENCE, self.ask_patiently(source, scope)).await {
            Some(result) => result,
            None => {
                let message = format!("no token within {} s", PATIENCE.as_secs());
                Err(if source.is_meant() { Refusal::new(ErrorKind::Unreachable, message) } else { Refusal::absent(message) })
            }
        }
    }

    async fn ask_patiently(&self, source: &Source, scope: &str) -> Result<AccessToken, Refusal> {
        let answer = Answer::default();
        let (credential, from) = match source {
            Source::Instance { .. } => {
                self.probe().await?;
                (self.managed(source, &answer)?, "the instance metadata".to_owned())
            }
            Source::AppService { .. } => (self.managed(source, &answer)?, "IDENTITY_ENDPOINT".to_owned()),
            Source::Cli { .. } | Source::Developer { .. } => (self.command(source), String::new()),
            Source::Secret { .. } | Source::Certificate { .. } | Source::Workload { .. } => {
                (self.principal(source, &answer).await?, self.authority.to_string())
            }
        };
        let refuse = |e: &azure_core::Error| {
            let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            let refusal = Refusal::of(e, answer.as_ref().map(|(status, body)| (*status, body.as_slice())), &from, &source.secrets());
            match source {
                // No identity is assigned to the machine, or nobody is logged in.
                Source::Instance { .. } => Refusal { absent: answer.is_some_and(|(status, _)| status == 400), ..refusal },
                Source::Cli { .. } | Source::Developer { .. } => Refusal { absent: true, ..refusal },
                _ => refusal,
            }
        };
        let token = match credential {
            Ok(credential) => credential.get_token(&[scope], None).await.map_err(|e| refuse(&e))?,
            Err(e) => return Err(refuse(&e)),
        };
        // The SDK takes an answer without a token for one with an empty token.
        match token.token.secret().is_empty() {
            true => Err(Refusal::new(ErrorKind::BadAnswer, format!("{from} answered, but with no token"))),
            false => Ok(token),
        }
    }

    /// A service principal, at the authority.
    async fn principal(&self, source: &Source, answer: &Answer) -> Result<Built, Refusal> {
        let client_options = self.options(self.login.clone(), Some(self.authority.clone()), answer);
        Ok(match source {
            Source::Secret { who: Principal { tenant, client_id }, secret } => {
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(tenant, client_id.clone(), secret.clone(), Some(options)).map(|c| c as _)
            }
            Source::Certificate { who: Principal { tenant, client_id }, path } => {
                let certificate = Certificate::open(path).await.map_err(|why| Refusal::new(ErrorKind::Credentials, why))?;
                let audience = format!("{}{tenant}/oauth2/v2.0/token", self.authority);
                let signer = Signer { certificate, client_id: client_id.clone(), audience };
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant.clone(), client_id.clone(), signer, Some(options)).map(|c| c as _)
            }
            Source::Workload { who: Principal { tenant, client_id }, file } => {
                // The SDK names neither cause nor file where it matters.
                let unreadable =
                    |e: io::Error| Refusal::new(ErrorKind::Credentials, format!("AZURE_FEDERATED_TOKEN_FILE {}: {e}", file.display()));
                tokio::fs::metadata(file).await.map_err(unreadable)?;
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client_id.clone()),
                    tenant_id: Some(tenant.clone()),
                    token_file_path: Some(file.clone()),
                }))
                .map(|c| c as _)
            }
            other => return Err(Refusal::new(ErrorKind::Invalid, format!("{} has no service principal", other.name()))),
        })
    }

    fn managed(&self, source: &Source, answer: &Answer) -> Result<Built, Refusal> {
        let client_id = match source {
            Source::AppService { client_id, .. } | Source::Instance { client_id } => client_id.clone(),
            _ => None,
        };
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(UserAssignedId::ClientId),
            client_options: self.options(self.local.client()?, None, answer),
        };
        Ok(ManagedIdentityCredential::new(Some(options)).map(|c| c as _))
    }

    fn command(&self, source: &Source) -> Built {
        let executor = Some(self.commands.clone());
        match source {
            Source::Developer { tenant } => {
                let options = AzureDeveloperCliCredentialOptions { executor, tenant_id: tenant.clone() };
                AzureDeveloperCliCredential::new(Some(options)).map(|c| c as _)
            }
            Source::Cli { tenant } => {
                let options = AzureCliCredentialOptions { executor, tenant_id: tenant.clone(), subscription: None };
                AzureCliCredential::new(Some(options)).map(|c| c as _)
            }
            _ => Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "no command line")),
        }
    }

    fn options(&self, client: Arc<dyn HttpClient>, to: Option<Url>, answer: &Answer) -> ClientOptions {
        let cloud = to.as_ref().map(|url| {
            // The SDK insists on https; the wire knows where the request really goes, and http leads to this machine only.
            let mut custom = CustomConfiguration::default();
            custom.authority_host = format!("https://{}", url.authority());
            Arc::new(CloudConfiguration::from(custom))
        });
        let wire = Wire { client, to, answer: answer.clone() };
        ClientOptions { transport: Some(Transport::new(Arc::new(wire))), retry: self.retry.clone(), cloud, ..ClientOptions::default() }
    }

    /// Is this a machine of Azure? Its metadata refuses a question without the `Metadata` header with 400; the same address on machines of
    /// other clouds answers something else, or nothing.
    async fn probe(&self) -> Result<(), Refusal> {
        let none = |why: &str| Refusal::absent(format!("IDENTITY_ENDPOINT is not set, and {why} at 169.254.169.254"));
        let Ok(url) = Url::parse(INSTANCE) else { return Err(none("no address")) };
        let request = Request::new(url, Method::Get);
        let client = self.local.client()?;
        match self.within(PROBE, client.execute_request(&request)).await {
            Some(Ok(answer)) if u16::from(answer.status()) == 400 => Ok(()),
            Some(Ok(_)) => Err(none("no machine of Azure answers")),
            Some(Err(_)) | None => Err(none("nothing answers")),
        }
    }

    /// What work gives, if it does so in time.
    async fn within<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.clock.sleep(time) => None,
        }
    }
}

/// A credential, or why the SDK makes none.
type Built = azure_core::Result<Arc<dyn TokenCredential>>;

/// The last answer: its status, and if it is a refusal its body. The SDK's own reading of refusals stumbles over every text with an escape in
/// it, which those of Entra have.
type Answer = Arc<Mutex<Option<(u16, Vec<u8>)>>>;

/// Sends requests to one authority, whatever address is on them, and keeps the last answer.
#[derive(Debug)]
struct Wire {
    client: Arc<dyn HttpClient>,
    to: Option<Url>,
    answer: Answer,
}

impl Wire {
    fn keep(&self, answer: Option<(u16, Vec<u8>)>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

#[async_trait::async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        if let Some(to) = &self.to {
            let (path, query) = (request.url().path().to_owned(), request.url().query().map(str::to_owned));
            let mut url = to.clone();
            url.set_path(&path);
            url.set_query(query.as_deref());
            *request.url_mut() = url;
        }
        self.keep(None);
        let answer = self.client.execute_request(&request).await?;
        let status = u16::from(answer.status());
        if status < 300 {
            self.keep(Some((status, Vec::new())));
            return Ok(answer);
        }
        let (code, headers, body) = answer.deconstruct();
        let body = body.collect().await?;
        self.keep(Some((status, body.to_vec())));
        Ok(AsyncRawResponse::from_bytes(code, headers, body))
    }
}

/// Runs `az` and `azd`.
#[derive(Debug)]
struct Commands;

#[async_trait::async_trait]
impl Executor for Commands {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let args = args.iter().map(|arg| replacing_the_shell(arg));
        let mut command = tokio::process::Command::new(program);
        // Nobody is there to answer a question.
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command.output().await
    }
}

/// The SDK runs `cd /bin && az …` in a shell. The command takes the shell's place, so that ending the one ends the other.
fn replacing_the_shell(arg: &OsStr) -> std::ffi::OsString {
    match arg.to_str().and_then(|text| text.split_once(" && ")) {
        Some((before, after)) if cfg!(unix) => format!("{before} && exec {after}").into(),
        _ => arg.to_owned(),
    }
}

/// The error for a connection that no source had a token for.
pub(super) fn none_found(why: &[(&str, String)]) -> CloudError {
    let reasons: Vec<String> = why.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    CloudError::new(ErrorKind::Credentials, "NoCredentials", format!("no credentials for Azure; {}", reasons.join("; ")))
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
pub(super) mod tests;
