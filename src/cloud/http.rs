//! The HTTP client that every AWS call shares: one connection pool, proxies and trust roots from the standard environment variables.
//!
//! HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (upper or lower case) as curl reads them; AWS_CA_BUNDLE replaces the system's roots,
//! SSL_CERT_FILE and SSL_CERT_DIR tell where the system's roots are.

use crate::CloudError;
use crate::limits::invalid;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use base64::Engine;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Connections kept open per host between calls: as many as calls are in flight by default.
const IDLE_PER_HOST: usize = 64;

/// Builds the client; no connection is made and no system root is read before the first call.
pub(crate) fn client() -> Result<SharedHttpClient, CloudError> {
    let set = |name: &str| std::env::var_os(name).filter(|p| !p.is_empty());
    let roots = match set("AWS_CA_BUNDLE") {
        Some(path) => Some(read_bundle(Path::new(&path))?),
        None => None,
    };
    // Without any root every call would fail, and say no more than that the issuer is unknown.
    if let (None, None, Some(path)) = (&roots, set("SSL_CERT_DIR"), set("SSL_CERT_FILE")) {
        let path = Path::new(&path);
        std::fs::File::open(path).map_err(|e| invalid(format!("SSL_CERT_FILE {}: {e}", path.display())))?;
    }
    Ok(SharedHttpClient::new(Http { roots, connectors: Mutex::default() }))
}

/// Connect and read time-out, which a connector has built in.
type TimeOuts = (Option<Duration>, Option<Duration>);

#[derive(Debug)]
struct Http {
    roots: Option<TrustStore>,
    connectors: Mutex<HashMap<TimeOuts, SharedHttpConnector>>,
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let times = (settings.connect_timeout(), settings.read_timeout());
        connectors.entry(times).or_insert_with(|| self.connector(settings, components)).clone()
    }
}

impl Http {
    fn connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut builder: ConnectorBuilder = Connector::builder().connector_settings(settings.clone()).proxy_config(ProxyConfig::from_env());
        builder.set_sleep_impl(components.sleep_impl());
        builder.set_pool_max_idle_per_host(Some(IDLE_PER_HOST));
        let mut builder = builder.tls_provider(Provider::rustls(CryptoMode::AwsLc));
        if let Some(roots) = &self.roots
            && let Ok(context) = TlsContext::builder().with_trust_store(roots.clone()).build()
        {
            builder = builder.tls_context(context);
        }
        SharedHttpConnector::new(builder.build())
    }
}

/// Reads and checks a PEM file: the TLS library would panic on a broken certificate, at the first call. Those are left out, as they are of
/// the system's roots; a file without a sound one is refused.
fn read_bundle(path: &Path) -> Result<TrustStore, CloudError> {
    let fail = |why: &str| invalid(format!("AWS_CA_BUNDLE {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| fail(&e.to_string()))?;
    let mut store = None;
    let mut broken = None;
    for (number, block) in text.split("-----BEGIN CERTIFICATE-----").enumerate().skip(1) {
        match certificate(block) {
            Ok(pem) => store = Some(store.unwrap_or_else(TrustStore::empty).with_pem_certificate(pem)),
            Err(why) => broken = broken.or_else(|| Some(format!("certificate {number}: {why}"))),
        }
    }
    store.ok_or_else(|| fail(broken.as_deref().unwrap_or("holds no PEM certificate")))
}

/// The PEM text of the certificate that a block begins with.
fn certificate(block: &str) -> Result<String, String> {
    let (body, _) = block.split_once("-----END CERTIFICATE-----").ok_or("has no end")?;
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(&body).map_err(|e| e.to_string())?;
    rustls::RootCertStore::empty().add(der.into()).map_err(|e| e.to_string())?;
    Ok(format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> Result<TrustStore, CloudError> {
        let path = std::env::temp_dir().join(format!("assay-ca-{}-{:?}.pem", std::process::id(), std::thread::current().id()));
        std::fs::write(&path, text).unwrap();
        let result = read_bundle(&path);
        std::fs::remove_file(path).unwrap();
        result
    }

    #[test]
    fn a_broken_ca_bundle_is_an_error_that_names_the_certificate() {
        for (text, why) in [
            ("", "holds no PEM certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate 1: has no end"),
            ("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "certificate 1"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1"),
        ] {
            let e = bundle(text).unwrap_err();
            assert!(e.message.contains(why), "{text:?}: {e}");
        }
        assert!(read_bundle(Path::new("/nowhere/ca.pem")).unwrap_err().message.starts_with("AWS_CA_BUNDLE /nowhere/ca.pem: "));
    }
}
