//! Tokens of one principal: which credential gives them, one per audience, kept until they are almost over. Refuses to show one.

use super::environment::Environment;
use super::issuer::{Issuer, none_found};
use super::source::{self, Principal, Source, Step};
use super::variables::Variables;
use crate::clock::Clock;
use crate::credentials::FAILURE_BELIEVED;
use crate::flight::{Flights, died};
use crate::{CloudError, ConnectionConfig, ErrorKind};
use azure_core::credentials::AccessToken;
use azure_core::time::OffsetDateTime;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tokens that end sooner than this are fetched anew; tokens that are short-lived from the start, after half their time.
const ALMOST_OVER: Duration = Duration::from_secs(300);
/// A token that could not be renewed is used as long as it will outlive the call it is for.
const STILL_GOOD: Duration = Duration::from_secs(30);

/// For whom a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    ResourceManager,
    Graph,
    Storage,
    Vault,
}

impl Audience {
    fn name(self) -> &'static str {
        match self {
            Audience::ResourceManager => "arm",
            Audience::Graph => "graph",
            Audience::Storage => "storage",
            Audience::Vault => "vault",
        }
    }
}

/// A token for the `Authorization` header. Shows nothing in `Debug`.
#[derive(Clone)]
pub(crate) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(crate) header: HeaderValue,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The tokens of a connection's principal. Shared by all of its subscriptions.
#[derive(Debug)]
pub(crate) struct Tokens {
    shared: Arc<Shared>,
    flights: Flights<Result<Kept, CloudError>>,
}

#[derive(Debug)]
struct Shared {
    connection: String,
    tenant: Option<String>,
    scopes: [(Audience, String); 4],
    /// What to ask, in order; or why nothing can be asked.
    plan: Result<Vec<Step>, String>,
    issuer: Issuer,
    clock: Clock,
    /// The place in `plan` of the source that had a token; held while it is looked for, so that it is looked for once.
    chosen: tokio::sync::Mutex<Option<usize>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Audience, Kept>,
    /// Failures of one audience, or of all.
    failed: HashMap<Option<Audience>, (Duration, CloudError)>,
}

#[derive(Debug, Clone)]
struct Kept {
    token: Token,
    /// When it is fetched anew, and when it is over.
    renew: Duration,
    over: Duration,
    /// Place of its source in the plan.
    source: usize,
    whose: Whose,
}

/// What a token says about its bearer. Not verified, and used for display only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Whose {
    tenant: Option<String>,
    name: Option<String>,
}

impl Tokens {
    /// Reads configuration and environment; asks nobody. `connection` is named in errors. What is wrong in the environment is told when a
    /// token is asked for: it must not stand in the way of connections to other clouds.
    pub(crate) fn new(
        connection: &str,
        config: &ConnectionConfig,
        environment: &Environment,
        http: &reqwest::Client,
    ) -> Result<Tokens, CloudError> {
        let clock = Clock::real();
        let issuer = Issuer::new(environment, http, clock.clone());
        Ok(Tokens::with(connection, config, environment, &Variables::of_process(), issuer, clock))
    }

    fn with(
        connection: &str,
        config: &ConnectionConfig,
        environment: &Environment,
        variables: &Variables,
        issuer: Issuer,
        clock: Clock,
    ) -> Tokens {
        let scopes = [
            (Audience::ResourceManager, environment.arm_scope.clone()),
            (Audience::Graph, environment.graph_scope.clone()),
            (Audience::Storage, environment.storage_scope.clone()),
            (Audience::Vault, environment.vault_scope.clone()),
        ];
        let shared = Shared {
            connection: connection.to_owned(),
            tenant: source::tenant(config, variables),
            scopes,
            plan: source::plan(config, variables),
            issuer,
            clock,
            chosen: tokio::sync::Mutex::new(None),
            state: Mutex::default(),
        };
        Tokens { shared: Arc::new(shared), flights: Flights::new() }
    }

    /// A token that is good for some minutes yet. One request at a time per audience; a failure is believed for a while.
    pub(crate) async fn token(&self, audience: Audience) -> Result<Token, CloudError> {
        Ok(self.kept(audience).await?.token)
    }

    async fn kept(&self, audience: Audience) -> Result<Kept, CloudError> {
        let shared = self.shared.clone();
        if let Some(known) = shared.known(audience) {
            return known;
        }
        let (_, outcome) = self.flights.join(&Arc::from(audience.name()), || async move { shared.fetch(audience).await }).await;
        outcome.unwrap_or_else(|| Err(died()))
    }

    /// Throws the tokens away: the cloud called one of them expired. Also forgets that none could be had.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.state();
        state.kept.clear();
        state.failed.clear();
    }

    /// Which credential gives the tokens, for people; asks for one. Shows no secret.
    pub(crate) async fn describe(&self) -> Result<String, CloudError> {
        let kept = self.kept(Audience::ResourceManager).await?;
        let source = match &self.shared.plan {
            Ok(steps) => steps.get(kept.source),
            Err(_) => None,
        };
        let Some(Step::Ask(source)) = source else { return Ok("a token of an unknown source".to_owned()) };
        let mut parts = vec![source.name().to_owned()];
        match source {
            Source::Certificate { path, .. } => parts.push(path.display().to_string()),
            Source::Workload { file, .. } => parts.push(file.display().to_string()),
            _ => {}
        }
        let principal = match source {
            Source::Secret { who, .. } | Source::Certificate { who, .. } | Source::Workload { who, .. } => Some(who),
            _ => None,
        };
        let given = |pick: fn(&Principal) -> &String| principal.map(|p| pick(p).clone());
        if let Some(tenant) = given(|p| &p.tenant).or_else(|| kept.whose.tenant.clone()).or_else(|| self.shared.tenant.clone()) {
            parts.push(format!("tenant {tenant}"));
        }
        match given(|p| &p.client_id) {
            Some(client) => parts.push(format!("client {client}")),
            None => parts.extend(kept.whose.name.clone()),
        }
        let left = kept.over.saturating_sub(self.shared.clock.now());
        parts.push(format!("valid for {} min", left.as_secs() / 60));
        Ok(parts.join(", "))
    }

    /// The tenant, where configuration or environment name it.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.shared.tenant.as_deref()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What need not be asked: a token that is good, or a failure that is still believed.
    fn known(&self, audience: Audience) -> Option<Result<Kept, CloudError>> {
        let now = self.clock.now();
        let state = self.state();
        let kept = state.kept.get(&audience);
        if let Some(kept) = kept.filter(|k| now < k.renew) {
            return Some(Ok(kept.clone()));
        }
        let failures = [state.failed.get(&Some(audience)), state.failed.get(&None)];
        let (_, error) = failures.into_iter().flatten().find(|(at, _)| now.saturating_sub(*at) < FAILURE_BELIEVED)?;
        Some(match kept.filter(|k| now + STILL_GOOD < k.over) {
            Some(kept) => Ok(kept.clone()),
            None => Err(error.clone()),
        })
    }

    async fn fetch(&self, audience: Audience) -> Result<Kept, CloudError> {
        // Whoever came too late for the last flight finds what it brought.
        if let Some(known) = self.known(audience) {
            return known;
        }
        let scope = self.scopes.iter().find(|(a, _)| *a == audience).map_or("", |(_, scope)| scope.as_str());
        let found = match self.find(audience, scope).await {
            Ok((source, token)) => self.keep(source, token).map_err(|e| (Some(audience), e)),
            Err(failed) => Err(failed),
        };
        let now = self.clock.now();
        let mut state = self.state();
        match found {
            Ok(kept) => {
                state.failed.remove(&Some(audience));
                state.kept.insert(audience, kept.clone());
                Ok(kept)
            }
            Err((whose, error)) => {
                let error = CloudError { account: self.connection.clone(), region: "global".to_owned(), ..error };
                state.failed.insert(whose, (now, error.clone()));
                match state.kept.get(&audience).filter(|k| now + STILL_GOOD < k.over) {
                    Some(kept) => Ok(kept.clone()),
                    None => Err(error),
                }
            }
        }
    }

    /// Asks the source that had a token before, or one after the other. A failure is that of one audience, or of all.
    async fn find(&self, audience: Audience, scope: &str) -> Result<(usize, AccessToken), (Option<Audience>, CloudError)> {
        let steps = match &self.plan {
            Ok(steps) => steps,
            Err(why) => return Err((None, CloudError::new(ErrorKind::Credentials, "IncompleteCredentials", why.clone()))),
        };
        let mut chosen = self.chosen.lock().await;
        if let Some(at) = *chosen
            && let Some(Step::Ask(source)) = steps.get(at)
        {
            drop(chosen);
            let answer = self.issuer.ask(source, scope).await;
            return answer.map(|token| (at, token)).map_err(|refusal| (Some(audience), refusal.into_error(source.name())));
        }
        // Another audience may have found out, while this one waited, that there is no source at all.
        if let Some((at, error)) = self.state().failed.get(&None)
            && self.clock.now().saturating_sub(*at) < FAILURE_BELIEVED
        {
            return Err((None, error.clone()));
        }
        let mut why = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let source = match step {
                Step::Ask(source) => source,
                Step::Pass(name, reason) => {
                    why.push((*name, reason.clone()));
                    continue;
                }
            };
            match self.issuer.ask(source, scope).await {
                Ok(token) => {
                    *chosen = Some(at);
                    return Ok((at, token));
                }
                Err(refusal) if refusal.absent => why.push((source.name(), refusal.message)),
                Err(refusal) => {
                    // It is there, and the one: what it refuses to one audience it may give to another.
                    *chosen = Some(at);
                    return Err((Some(audience), refusal.into_error(source.name())));
                }
            }
        }
        let error = none_found(&why);
        // Remembered before the next audience looks.
        self.state().failed.insert(None, (self.clock.now(), error.clone()));
        Err((None, error))
    }

    fn keep(&self, source: usize, token: AccessToken) -> Result<Kept, CloudError> {
        let secret = token.token.secret();
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| CloudError::new(ErrorKind::BadAnswer, "BadToken", "the token has characters that no HTTP header can have"))?;
        header.set_sensitive(true);
        let left = Duration::try_from(token.expires_on - OffsetDateTime::now_utc()).unwrap_or_default();
        let now = self.clock.now();
        let renew = now + left.saturating_sub(ALMOST_OVER).max(left / 2);
        Ok(Kept { token: Token { header }, renew, over: now + left, source, whose: whose(secret) })
    }
}

/// Tenant and bearer of a token, as it names them itself; `None` if it does not. The bearer is a user with the program that asked, or a client.
pub(crate) fn bearer(token: &Token) -> Option<(String, String)> {
    let claims = claims(token.header.to_str().ok()?.strip_prefix("Bearer ")?);
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let client = text("appid").or_else(|| text("azp"));
    let object = text("oid");
    // One of the two there has to be.
    let bearer = object.or(client)?;
    Some((text("tid")?.to_owned(), format!("{bearer} {}", client.unwrap_or_default())))
}

/// What a token says, if it is of a form that says anything.
fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Reads the claims of a token, if it is of a form that has any.
fn whose(token: &str) -> Whose {
    let claims = claims(token);
    let plain = |text: &&str| !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(plain);
    let user = ["upn", "preferred_username", "unique_name"].iter().find_map(|name| text(name));
    let client = ["appid", "azp"].iter().find_map(|name| text(name));
    Whose {
        tenant: text("tid").map(str::to_owned),
        // Tokens of users name the program they were issued to as well.
        name: user.map(str::to_owned).or_else(|| client.map(|id| format!("client {id}"))),
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
