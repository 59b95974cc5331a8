//! Tokens of one principal: which credential gives them, one per audience, kept until they are almost over.

use super::environment::Environment;
use crate::{CloudError, ConnectionConfig};

/// For whom a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    ResourceManager,
    Graph,
    Storage,
}

/// A token for the `Authorization` header. Shows nothing in `Debug`.
#[derive(Clone)]
pub(crate) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(crate) header: reqwest::header::HeaderValue,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The tokens of a connection's principal. Shared by all of its subscriptions.
#[derive(Debug)]
pub(crate) struct Tokens {}

impl Tokens {
    /// Reads configuration and environment; asks nobody. `connection` is named in errors.
    pub(crate) fn new(
        _connection: &str,
        _config: &ConnectionConfig,
        _environment: &Environment,
        _http: &reqwest::Client,
    ) -> Result<Tokens, CloudError> {
        unimplemented!()
    }

    /// A token that is good for some minutes yet. One request at a time per audience; a failure is believed for a while.
    pub(crate) async fn token(&self, _audience: Audience) -> Result<Token, CloudError> {
        unimplemented!()
    }

    /// Throws the tokens away: the cloud called one of them expired. Also forgets that none could be had.
    pub(crate) fn forget(&self) {
        unimplemented!()
    }

    /// Which credential gives the tokens, for people; asks for one. Shows no secret.
    pub(crate) async fn describe(&self) -> Result<String, CloudError> {
        unimplemented!()
    }

    /// The tenant, where configuration or environment name it.
    pub(crate) fn tenant(&self) -> Option<&str> {
        unimplemented!()
    }
}
