//! All TLS set-up: rustls with ring and the roots of webpki-roots.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;

use super::TransportError;

/// TLS by default: ring, and the roots Mozilla trusts.
pub(super) fn config() -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Tls(Arc::new(error)))?
        .with_webpki_roots()
        .with_no_client_auth())
}

/// Connects to `http` and `https` addresses; HTTP/2 where the server offers it.
pub(super) fn connector(mut config: ClientConfig) -> HttpsConnector<HttpConnector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    // Without it small writes wait for acknowledgements: 40 ms on Linux.
    http.set_nodelay(true);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    HttpsConnector::from((http, config))
}
