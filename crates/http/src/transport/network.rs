//! Exchanges over the network.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::{
    client::legacy::connect::Connection as _,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout};

use super::{
    TransportConfig, TransportError,
    body::Source,
    connect::{self, Connector},
    http1::Http1,
    pool::{Host, Outcome, Pool, Ready, Turn},
};

/// The least hyper takes.
const MIN_BUFFER: usize = 8_192;

/// Whoever makes connections and keeps them.
#[derive(Clone)]
pub(super) struct Network(Arc<Shared>);

struct Shared {
    connector: Connector,
    connect_timeout: Duration,
    pool: Arc<Pool>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Network {
    pub(super) fn new(connector: Connector, config: &TransportConfig) -> Self {
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(config.max_head.max(MIN_BUFFER));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(config.max_head).unwrap_or(u32::MAX))
            .keep_alive_interval(config.http2_keep_alive_interval)
            .keep_alive_timeout(config.http2_keep_alive_timeout)
            .keep_alive_while_idle(true);
        let pool = Arc::new(Pool::new(config));
        Self(Arc::new(Shared { connector, connect_timeout: config.connect_timeout, pool, http1, http2 }))
    }

    /// Sends a request to the host of its address, and waits for the head of the answer.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Source>, TransportError> {
        const NO_HOST: TransportError = TransportError::InvalidRequest("the address names no host");
        let host = Host::of(request.uri()).ok_or(NO_HOST)?;
        let request = request.map(Full::new);
        let ready = match self.0.pool.take(&host, Instant::now()) {
            Some(kept) => kept,
            // Rare, and large as a future: connecting is boxed.
            None => Box::pin(self.connection(&host)).await?,
        };
        match ready {
            Ready::Http1(mut connection) => {
                let response = connection.send(request).await.map_err(TransportError::sending)?;
                let pool = Arc::clone(&self.0.pool);
                Ok(response.map(|incoming| {
                    Source::Http1(Arriving { incoming, connection: Some(connection), pool, host })
                }))
            }
            Ready::Http2(mut connection) => {
                let response = connection.send_request(request).await.map_err(TransportError::sending)?;
                Ok(response.map(Source::Http2))
            }
        }
    }

    async fn connection(&self, host: &Host) -> Result<Ready, TransportError> {
        let pool = &self.0.pool;
        loop {
            if let Some(kept) = pool.take(host, Instant::now()) {
                return Ok(kept);
            }
            match pool.turn(host, Instant::now()) {
                Turn::Alone => return self.connect(host).await,
                Turn::First(first) => {
                    let connected = self.connect(host).await;
                    first.send_replace(connected.as_ref().err().cloned());
                    return connected;
                }
                Turn::After(mut other) => {
                    let outcome = timeout(self.0.connect_timeout, other.wait_for(Outcome::is_some)).await;
                    match outcome.map(|outcome| outcome.ok().and_then(|outcome| outcome.clone())) {
                        Ok(Some(error)) => return Err(error),
                        // It went well, or whoever connected was given up.
                        Ok(None) => {}
                        // Whoever connects is not asked to go on.
                        Err(_) => return self.connect(host).await,
                    }
                }
            }
        }
    }

    async fn connect(&self, host: &Host) -> Result<Ready, TransportError> {
        let Shared { connector, connect_timeout, pool, http1, http2 } = &*self.0;
        let stream = connect::connect(connector, host, *connect_timeout).await?;
        if !stream.connected().is_negotiated_h2() {
            pool.connected(host, None, Instant::now());
            let connection = Http1::over(stream, named(host)?, http1).await;
            return Ok(Ready::Http1(Box::new(connection.map_err(TransportError::sending)?)));
        }
        let (shared, connection) = http2.handshake(stream).await.map_err(TransportError::sending)?;
        // Ends with its connection, and that when nobody has a use for it.
        TokioExecutor::new().execute(async move {
            // What went wrong is told to the exchanges on it.
            let _ = connection.await;
        });
        pool.connected(host, Some(shared.clone()), Instant::now());
        Ok(Ready::Http2(shared))
    }
}

/// The host as a request names it (RFC 9110, 7.2).
fn named(host: &Host) -> Result<HeaderValue, TransportError> {
    let (name, default) = (host.authority.host(), if host.secure { 443 } else { 80 });
    let value = match host.authority.port_u16().filter(|port| *port != default) {
        Some(port) => HeaderValue::try_from(format!("{name}:{port}")),
        None => HeaderValue::try_from(name),
    };
    value.map_err(|_| TransportError::InvalidRequest("the address names no host"))
}

/// An answer that arrives on a connection of its own.
pub(super) struct Arriving {
    incoming: Incoming,
    /// Until it is given back.
    connection: Option<Box<Http1>>,
    pool: Arc<Pool>,
    host: Host,
}

impl Arriving {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        let frame = connection.poll_frame(&mut self.incoming, cx);
        if let Poll::Ready(None) = frame
            && let Some(connection) = self.connection.take()
        {
            self.pool.put(&self.host, connection, Instant::now());
        }
        frame
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
