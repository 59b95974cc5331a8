//! What carries a call out: AWS or Azure, by its credentials, or a bundle. Behind a trait, so that everything above it is tested against scripted answers.

use crate::aws::client::{Attempts, Client};
use crate::azure;
use crate::credentials::Login;
use crate::{Bundle, CloudError, ErrorKind};
use aws_config::Region;
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

/// One call, ready to be made.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) login: Arc<Login>,
    pub(crate) region: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) operation: Arc<str>,
    pub(crate) input: Value,
    /// The input as canonical text: what tells calls apart.
    pub(crate) canonical: Arc<str>,
}

/// Makes calls.
pub(crate) trait Transport: Debug + Send + Sync {
    /// Makes one call, of AWS with the official retries, of Azure one attempt; `attempts` is filled in either way.
    fn send<'a>(&'a self, request: &'a Request, attempts: &'a mut Attempts) -> BoxFuture<'a, Result<Value, CloudError>>;
}

/// The clouds, each call to the one whose credentials it has.
#[derive(Debug, Default)]
pub(crate) struct Clouds {
    aws: Aws,
}

impl Transport for Clouds {
    fn send<'a>(&'a self, request: &'a Request, attempts: &'a mut Attempts) -> BoxFuture<'a, Result<Value, CloudError>> {
        let of_azure = azure::is_api(&request.service);
        match request.login.principal() {
            Some(principal) if of_azure => Box::pin(azure::client::send(principal, request, attempts)),
            None if !of_azure => self.aws.send(request, attempts),
            _ => Box::pin(async {
                let message = format!("connection {} is of another cloud than {}", request.login.key, request.service);
                Err(CloudError::new(ErrorKind::Invalid, "WrongCloud", message))
            }),
        }
    }
}

/// AWS, with one client per credentials, service and region.
#[derive(Debug, Default)]
struct Aws {
    clients: Mutex<HashMap<ClientKey, (u64, Client)>>,
}

/// Login, service, region.
type ClientKey = (Arc<str>, Arc<str>, Arc<str>);

impl Transport for Aws {
    fn send<'a>(&'a self, request: &'a Request, attempts: &'a mut Attempts) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move {
            let client = self.client(request).await?;
            client.call(&request.operation, request.input.clone(), attempts).await.map_err(|mut e| {
                if e.kind == ErrorKind::Credentials && e.status.is_none() {
                    e.message = request.login.explain(&e.message);
                }
                e
            })
        })
    }
}

impl Aws {
    async fn client(&self, request: &Request) -> Result<Client, CloudError> {
        let (generation, config) = request.login.sdk_config().await?;
        let key = (request.login.key.clone(), request.service.clone(), request.region.clone());
        if let Some((made, client)) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && *made == generation
        {
            return Ok(client.clone());
        }
        let config = config.into_builder().region(Region::new(request.region.to_string())).build();
        let client = Client::new(&request.service, &config)?;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (generation, client.clone()));
        Ok(client)
    }
}

/// A bundle: only what was recorded is answered.
#[derive(Debug)]
pub(crate) struct Replay(pub(crate) Arc<Bundle>);

impl Transport for Replay {
    fn send<'a>(&'a self, request: &'a Request, attempts: &'a mut Attempts) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move {
            let Request { login, region, service, operation, canonical, .. } = request;
            let find = |subject: &str| self.0.find(subject, region, service, operation, canonical);
            // A recording is kept by credentials; bundles made by hand, by account.
            let found = find(&login.key).or_else(|| find(&login.identity.get()?.account_id));
            // What was not asked then is no call now.
            attempts.total = u32::from(found.is_some());
            found.unwrap_or_else(|| {
                let message = format!("the bundle has no answer for {service}:{operation} in {region} with input {canonical}");
                Err(CloudError::new(ErrorKind::NotRecorded, "NotRecorded", message))
            })
        })
    }
}
