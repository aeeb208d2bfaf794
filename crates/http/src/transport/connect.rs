//! New connections, under the connect clock.

use std::{error::Error as StdError, time::Duration};

use http::{Uri, uri::PathAndQuery};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use leverframe_core::error::Clock;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use super::{TransportError, pool::Host};

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// A connection before anything was sent on it: plain or within TLS.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Connects: name look-up, TCP and TLS together, within `limit`.
pub(super) async fn connect(
    connector: &Connector,
    host: &Host,
    limit: Duration,
) -> Result<Stream, TransportError> {
    let address = Uri::builder()
        .scheme(if host.secure { "https" } else { "http" })
        .authority(host.authority.clone())
        .path_and_query(PathAndQuery::from_static("/"))
        .build()
        .map_err(|_| TransportError::InvalidRequest("the address names no host"))?;
    // Always ready: it connects anew each time.
    let connecting = connector.clone().call(address);
    match timeout(limit, connecting).await {
        Ok(connected) => connected.map_err(|error: BoxError| TransportError::connecting(error)),
        Err(_) => Err(TransportError::Timeout(Clock::Connect)),
    }
}
