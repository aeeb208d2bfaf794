//! HTTP as the codecs need it: five clocks, bounded bodies, no hidden retries.
//!
//! A thin layer over hyper-util's client, whose defaults do not suit paid,
//! slow, streamed answers:
//!
//! - It retries by itself when a pooled connection turns out to be dead. Here
//!   it does not: retries belong to the router's budget.
//! - Its idle timeout and HTTP/2 keep-alive need a timer to do anything.
//! - It has no time limits beyond TCP. Here one covers connecting, with TLS,
//!   and [`Clocks`] cover headers, first token, idle time and the whole attempt.
//!
//! # Cancellation
//!
//! Dropping the future of [`Transport::send`], or a [`Body`] before its end,
//! closes an HTTP/1.1 connection and resets an HTTP/2 stream: the provider
//! stops generating. No task is left behind but hyper's own connection task,
//! which ends with its connection, and one that finishes a connection begun
//! while another became free, bounded by the connect clock.
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
mod tls;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use leverframe_core::error::Clock;
use tokio::time::{Instant, timeout_at};

pub use body::{Body, Tap};
pub use carrier::{BoxError, Carriage, CarriedBody, Carrier, CarrierError};
pub use clocks::Clocks;
pub use error::TransportError;

use body::Source;
use carrier::Carried;
use clocks::after;
use connect::Timed;

type Connector = Timed<hyper_rustls::HttpsConnector<HttpConnector>>;

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
#[expect(clippy::large_enum_variant, reason = "one per router; a box would cost every request a step")]
enum Way {
    Network(Client<Connector, Full<Bytes>>),
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
        Self { way: Way::Network(client(config, tls::connector(tls))), max_body: config.max_body }
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
            Way::Network(client) => {
                let exchange = client.request(request.map(Full::new));
                let answered = timeout_at(until, exchange).await.map_err(ran_out)?;
                answered.map_err(TransportError::from_client)?.map(Source::Network)
            }
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

/// The least hyper takes.
const MIN_BUFFER: usize = 8_192;

/// The client over any connector.
fn client<C>(config: TransportConfig, connector: C) -> Client<Timed<C>, Full<Bytes>>
where
    Timed<C>: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.pool_idle_timeout)
        .pool_max_idle_per_host(config.pool_max_idle_per_host)
        .retry_canceled_requests(false)
        .http1_max_buf_size(config.max_head.max(MIN_BUFFER))
        .http2_max_header_list_size(u32::try_from(config.max_head).unwrap_or(u32::MAX))
        .http2_keep_alive_interval(config.http2_keep_alive_interval)
        .http2_keep_alive_timeout(config.http2_keep_alive_timeout)
        .http2_keep_alive_while_idle(true)
        .build(Timed::new(connector, config.connect_timeout))
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
