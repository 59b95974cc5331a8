//! Who a connection is in Azure: its cloud, its tokens and its way out, made when first needed. Without a configuration there is an Azure
//! connection on every machine; one that nobody asks reads no variable, no file and no root certificate.

use super::environment::Environment;
use super::tokens::{Audience, Token, Tokens};
use crate::{CloudError, ConnectionConfig};
use futures::future::BoxFuture;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What gives tokens. A trait, so that everything above it is tested without a credential.
pub(crate) trait TokenSource: Send + Sync {
    /// A token that is good for some minutes yet.
    fn token(&self, audience: Audience) -> BoxFuture<'_, Result<Token, CloudError>>;
    /// Throws the tokens away, and forgets that none could be had.
    fn forget(&self);
    /// Which credential it is, for people.
    fn describe(&self) -> BoxFuture<'_, Result<String, CloudError>>;
    /// The tenant, where it is named.
    fn tenant(&self) -> Option<&str>;
}

impl TokenSource for Tokens {
    fn token(&self, audience: Audience) -> BoxFuture<'_, Result<Token, CloudError>> {
        Box::pin(Tokens::token(self, audience))
    }

    fn forget(&self) {
        Tokens::forget(self);
    }

    fn describe(&self) -> BoxFuture<'_, Result<String, CloudError>> {
        Box::pin(Tokens::describe(self))
    }

    fn tenant(&self) -> Option<&str> {
        Tokens::tenant(self)
    }
}

/// The one HTTP client of all Azure connections, made on first use.
pub(crate) type Http = Arc<OnceLock<Result<reqwest::Client, CloudError>>>;

/// One Azure connection's principal. Shared by the logins of its tenant and of all of its subscriptions.
pub(crate) struct Principal {
    /// The connection's name: whose buckets are emptied.
    pub(crate) connection: Arc<str>,
    config: ConnectionConfig,
    http: Http,
    parts: OnceLock<Result<Parts, CloudError>>,
    generation: AtomicU64,
}

/// What a principal consists of.
pub(crate) struct Parts {
    pub(crate) environment: Environment,
    pub(crate) tokens: Box<dyn TokenSource>,
    pub(crate) http: Result<reqwest::Client, CloudError>,
}

impl fmt::Debug for Principal {
    /// The configuration may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Principal {
    pub(crate) fn new(connection: Arc<str>, config: ConnectionConfig, http: Http) -> Principal {
        Principal { connection, config, http, parts: OnceLock::new(), generation: AtomicU64::new(0) }
    }

    /// A principal with parts that were made elsewhere.
    #[cfg(test)]
    pub(crate) fn made(connection: Arc<str>, parts: Parts) -> Principal {
        let principal = Principal::new(connection, ConnectionConfig::default(), Http::default());
        assert!(principal.parts.set(Ok(parts)).is_ok());
        principal
    }

    /// Cloud, tokens and HTTP client; reads configuration and environment the first time, asks nobody.
    pub(crate) fn parts(&self) -> Result<&Parts, CloudError> {
        let made = self.parts.get_or_init(|| {
            let environment = Environment::of(&self.connection, &self.config)?;
            let http = self.http.get_or_init(super::client::http).clone()?;
            let tokens = Tokens::new(&self.connection, &self.config, &environment, &http)?;
            Ok(Parts { environment, tokens: Box::new(tokens), http: Ok(http) })
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Grows by one whenever the tokens are thrown away.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Throws the tokens away, unless somebody did so since generation `seen`: all subscriptions hear at once that a token is too old.
    pub(crate) fn renew(&self, seen: u64) {
        if self.generation.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.forget();
        }
    }

    /// Forgets the tokens, and that none could be had.
    pub(crate) fn forget(&self) {
        if let Some(Ok(parts)) = self.parts.get() {
            parts.tokens.forget();
        }
    }

    /// Which credential it is, for people.
    pub(crate) async fn describe(&self) -> Result<String, CloudError> {
        self.parts()?.tokens.describe().await
    }
}
