//! A connection in whichever HTTP its client speaks.
//!
//! hyper-util can tell as well, but hands hyper the first bytes by themselves:
//! its buffer then grows to twice its size for the rest of the request.

use std::{
    convert::Infallible,
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    Settings,
    connection::Answered,
    socket::{Socket, Version},
    streams::Streams,
};

/// How connections are served.
pub(super) struct Builders {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

impl Builders {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(settings.head_within)
            .max_headers(MOST_FIELDS)
            .max_buf_size(settings.max_head.max(MIN_BUFFER));
        let mut http2 = http2::Builder::new(Streams { within: settings.write_within });
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(u32::try_from(settings.max_head).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER)
            // As they come by default: said here because they are relied on.
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(1024)
            .keep_alive_interval(Some(std::time::Duration::from_secs(30)));
        Self { http1, http2 }
    }
}

/// The least hyper takes.
const MIN_BUFFER: usize = 8_192;

/// Most fields of a request's head.
const MOST_FIELDS: usize = 100;

/// Most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 250;

/// Most bytes that are held of one answer for a client of HTTP/2 to take.
const SEND_BUFFER: usize = 64 << 10;

/// What answers requests.
pub(super) trait Answers:
    Service<Request<Incoming>, Response = Response<Answered>, Error = Infallible>
{
}

impl<S: Service<Request<Incoming>, Response = Response<Answered>, Error = Infallible>> Answers for S {}

/// A connection being served.
pub(super) struct Spoken<S: Answers>(State<S>);

enum State<S: Answers> {
    Opening(Socket, S, Arc<Builders>),
    Http1(Box<http1::Connection<TokioIo<Socket>, S>>),
    Http2(Box<http2::Connection<TokioIo<Socket>, S, Streams>>),
    Over,
}

impl<S> Spoken<S>
where
    S: Answers + Unpin,
    S::Future: Send + 'static,
{
    pub(super) fn new(socket: Socket, service: S, builders: Arc<Builders>) -> Self {
        Self(State::Opening(socket, service, builders))
    }

    /// Lets what is under way end, and nothing begin.
    pub(super) fn graceful_shutdown(&mut self) {
        match &mut self.0 {
            // Nothing was asked yet.
            State::Opening(..) | State::Over => self.0 = State::Over,
            State::Http1(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            State::Http2(connection) => Pin::new(&mut **connection).graceful_shutdown(),
        }
    }
}

impl<S> Future for Spoken<S>
where
    S: Answers + Unpin,
    S::Future: Send + 'static,
{
    /// What went wrong with a connection was its client's to hear.
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Opening(socket, ..) = &mut self.0 {
            let version: io::Result<Version> = ready!(socket.poll_version(cx));
            let State::Opening(socket, service, builders) = mem::replace(&mut self.0, State::Over) else {
                return Poll::Ready(());
            };
            let socket = TokioIo::new(socket);
            self.0 = match version {
                Ok(Version::Http1) => {
                    State::Http1(Box::new(builders.http1.serve_connection(socket, service)))
                }
                Ok(Version::Http2) => {
                    State::Http2(Box::new(builders.http2.serve_connection(socket, service)))
                }
                Err(_) => State::Over,
            };
        }
        match &mut self.0 {
            State::Http1(connection) => Pin::new(&mut **connection).poll(cx).map(|_| ()),
            State::Http2(connection) => Pin::new(&mut **connection).poll(cx).map(|_| ()),
            State::Opening(..) | State::Over => Poll::Ready(()),
        }
    }
}
