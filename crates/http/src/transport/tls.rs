//! All TLS set-up: rustls with ring and the roots of webpki-roots.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;

use super::TransportError;

/// Connects to `http` and `https` addresses; HTTP/2 where the server offers it.
pub(super) fn connector() -> Result<HttpsConnector<HttpConnector>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Tls(Arc::new(error)))?
        .with_webpki_roots()
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    // Without it small writes wait for acknowledgements: 40 ms on Linux.
    http.set_nodelay(true);
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http))
}
