//! HTTP as the codecs need it: five clocks, bounded bodies, no hidden retries.
//!
//! hyper's connections with a pool of our own, for what suits web pages does
//! not suit paid, slow, streamed answers:
//!
//! - Nothing is sent twice: retries belong to the router's budget.
//! - One clock covers connecting, with TLS, and [`Clocks`] cover headers, first
//!   token, idle time and the whole attempt.
//! - An HTTP/1.1 connection is driven by the task that waits for its answer,
//!   without a task between the socket and the reader. On HTTP/2, which exchanges
//!   share, a task drives the connection.
//! - Of many exchanges that find no connection to a host which may speak HTTP/2,
//!   one connects and the others wait for it.
//!
//! # Cancellation
//!
//! Dropping the future of [`Transport::send`], or a [`Body`] before its end,
//! closes an HTTP/1.1 connection and resets an HTTP/2 stream: the provider
//! stops generating. A connection that was being made is given up. No task is
//! left behind but that of an HTTP/2 connection, which ends with it, and one that
//! lets unused connections go and ends with the last of them.
//!
//! # Without a network
//!
//! [`Transport::over`] takes a [`Carrier`] in the network's place, under the
//! same clocks and limits: for tests, simulations and recorded traffic.
//!
//! # What is not promised
//!
//! An error before the headers does not say whether the provider has seen the
//! request. Redirects are not followed: keys would follow them.
//! Proxies are not used.

mod body;
mod carrier;
mod clocks;
mod connect;
mod error;
mod http1;
mod network;
mod pool;
mod tls;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use leverframe_core::error::Clock;
use tokio::time::{Instant, timeout_at};

pub use body::{Body, Tap};
pub use carrier::{BoxError, Carriage, CarriedBody, Carrier, CarrierError};
pub use clocks::Clocks;
pub use error::TransportError;

use body::Source;
use carrier::Carried;
use clocks::after;
use network::Network;

/// Connection pool, keep-alive and body limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportConfig {
    /// The connect clock: most time for name look-up, TCP and the TLS
    /// handshake. It belongs to the connection, which requests share.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Below the minute or more after
    /// which providers close it, so that they rarely close it under a request.
    pub pool_idle_timeout: Duration,
    /// Most unused connections kept for one host.
    pub pool_max_idle_per_host: usize,
    /// How often an HTTP/2 connection is pinged, also while unused.
    pub http2_keep_alive_interval: Duration,
    /// How long such a ping may take.
    pub http2_keep_alive_timeout: Duration,
    /// Most bytes of one body, streamed or not.
    pub max_body: usize,
    /// Most bytes of an answer's head; and most that are read ahead of a body
    /// nobody asks for more of, as a stream whose reader is slow.
    pub max_head: usize,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(50),
            pool_max_idle_per_host: 64,
            http2_keep_alive_interval: Duration::from_secs(20),
            http2_keep_alive_timeout: Duration::from_secs(10),
            max_body: 64 << 20,
            max_head: 64 << 10,
        }
    }
}

/// Sends HTTP requests. Cheap to clone; clones share one connection pool.
#[derive(Clone)]
pub struct Transport {
    way: Way,
    max_body: usize,
}

/// How an exchange is carried.
#[derive(Clone)]
enum Way {
    Network(Network),
    Carrier(Arc<dyn Carrier>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("max_body", &self.max_body).finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport with a connection pool of its own, which trusts the roots
    /// Mozilla trusts.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when TLS cannot be set up.
    pub fn new(config: TransportConfig) -> Result<Self, TransportError> {
        Ok(Self::with_tls(config, tls::config()?))
    }

    /// The same with other TLS settings, for a server with a private authority
    /// or one that asks for a client's certificate. The protocols offered are
    /// set here: HTTP/2 and HTTP/1.1.
    pub fn with_tls(config: TransportConfig, tls: rustls::ClientConfig) -> Self {
        let network = Network::new(tls::connector(tls), &config);
        Self { way: Way::Network(network), max_body: config.max_body }
    }

    /// A transport over something else than the network, for tests,
    /// simulations and recorded traffic. Of `config` only
    /// [`max_body`](TransportConfig::max_body) means anything to it.
    pub fn over(carrier: Arc<dyn Carrier>, config: TransportConfig) -> Self {
        Self { way: Way::Carrier(carrier), max_body: config.max_body }
    }

    /// Sends a request and waits for the headers of its answer.
    ///
    /// The headers clock starts here, so time spent connecting counts towards
    /// it; the connect clock running out is told apart. The version of HTTP is
    /// settled with the server, whatever the request says.
    ///
    /// # Errors
    /// [`TransportError`]; whatever the status, an answer is not an error.
    pub async fn send(
        &self,
        mut request: http::Request<Bytes>,
        clocks: &Clocks,
    ) -> Result<http::Response<Body>, TransportError> {
        check(request.uri())?;
        *request.version_mut() = http::Version::HTTP_11;
        let started = Instant::now();
        let total = clocks.total.map(|total| after(started, total));
        let headers = after(started, clocks.headers);
        let (until, clock) = match total {
            Some(total) if total < headers => (total, Clock::Total),
            _ => (headers, Clock::Headers),
        };
        let ran_out = |_| TransportError::Timeout(clock);
        // Each arm awaits for itself: a future around both would hold the request twice.
        let response = match &self.way {
            Way::Network(network) => timeout_at(until, network.send(request)).await.map_err(ran_out)??,
            Way::Carrier(carrier) => {
                let answered = timeout_at(until, carrier.carry(request)).await.map_err(ran_out)?;
                answered
                    .map_err(TransportError::from_carrier)?
                    .map(|body| Source::Carried(Carried::new(body)))
            }
        };
        Ok(response.map(|body| Body::new(body, clocks, total, self.max_body)))
    }
}

fn check(uri: &http::Uri) -> Result<(), TransportError> {
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(TransportError::InvalidRequest("the address must begin with http or https")),
        None => return Err(TransportError::InvalidRequest("the address must be absolute")),
    }
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(()),
        _ => Err(TransportError::InvalidRequest("the address names no host")),
    }
}
