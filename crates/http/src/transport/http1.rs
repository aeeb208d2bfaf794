//! A connection that carries one exchange at a time, driven by whoever waits
//! for it.
//!
//! hyper gives a connection as a future that must be polled for anything to
//! happen on it. The usual way is a task of its own, which hands the answer over
//! chunk by chunk: two changes of task for each. Here the task that waits for
//! the answer polls the connection too, and takes whatever has arrived in one go.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};

use tokio::task::coop::unconstrained;

use super::connect::Stream;

/// One connection, while it is used and while it is kept.
pub(super) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<Stream, Full<Bytes>>>,
    wakes: Arc<Wakes>,
    /// That of `wakes`.
    waker: Waker,
    /// What its requests say whom they are for.
    host: HeaderValue,
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").field("over", &self.connection.is_none()).finish_non_exhaustive()
    }
}

impl Http1 {
    pub(super) async fn over(
        stream: Stream,
        host: HeaderValue,
        builder: &http1::Builder,
    ) -> hyper::Result<Self> {
        let (sender, connection) = builder.handshake(stream).await?;
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Ok(Self { sender, connection: Some(connection), wakes, waker, host })
    }

    /// Sends a request and waits for the head of its answer. Dropping the
    /// future and then the connection closes it.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let mut answered = pin!(self.sender.send_request(in_origin_form(request, &self.host)));
        let (connection, wakes, waker) = (&mut self.connection, &self.wakes, &self.waker);
        poll_fn(|cx| drive(connection, wakes, waker, cx, |cx| answered.as_mut().poll(cx))).await
    }

    /// What comes next of the answer that is being read.
    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let (connection, wakes, waker) = (&mut self.connection, &self.wakes, &self.waker);
        drive(connection, wakes, waker, cx, |cx| Pin::new(&mut *incoming).poll_frame(cx))
    }

    /// Whether it can carry another exchange: nothing is under way, and the
    /// server has not closed it.
    pub(super) fn is_idle(&mut self) -> bool {
        // Whoever waited for it does so no longer.
        drop(self.wakes.outer.take());
        let connection = &mut self.connection;
        // Looked at even where the task has had its share of reading: a closed one is not to be used.
        let looked = unconstrained(poll_fn(|cx| {
            poll_connection(connection, cx);
            Poll::Ready(())
        }));
        let _ = pin!(looked).poll(&mut Context::from_waker(&self.waker));
        self.connection.is_some() && self.sender.is_ready()
    }
}

type Connection = Option<http1::Connection<Stream, Full<Bytes>>>;

/// Polls the connection, and looks for what is waited for.
fn drive<T>(
    connection: &mut Connection,
    wakes: &Wakes,
    waker: &Waker,
    cx: &mut Context<'_>,
    mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    wakes.begin(cx.waker());
    let within = &mut Context::from_waker(waker);
    poll_connection(connection, within);
    let mut found = look(within);
    if found.is_pending() && wakes.forget() {
        // To have looked for the first time tells the connection to read.
        poll_connection(connection, within);
        found = look(within);
    }
    if wakes.end() && found.is_pending() {
        // It has more to do, but others shall have their turn first.
        cx.waker().wake_by_ref();
    }
    found
}

fn poll_connection(connection: &mut Connection, cx: &mut Context<'_>) {
    // An error is told with the answer, if there is one under way.
    if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
        *connection = None;
    }
}

/// The request as a server of HTTP/1.1 wants it (RFC 9112, 3.2).
fn in_origin_form(mut request: Request<Full<Bytes>>, host: &HeaderValue) -> Request<Full<Bytes>> {
    request.headers_mut().entry(HOST).or_insert_with(|| host.clone());
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    request
}

/// Passes on what happens at the socket to the task that waits, and keeps from
/// it what connection and answer tell each other while it polls both.
#[derive(Default)]
struct Wakes {
    state: AtomicU8,
    outer: AtomicWaker,
}

/// Nobody polls: to be woken is to wake the task.
const AWAY: u8 = 0;
/// A poll is under way.
const POLLING: u8 = 1;
/// A poll is under way, and something was woken in it.
const WOKEN: u8 = 2;

impl Wakes {
    fn begin(&self, outer: &Waker) {
        self.outer.register(outer);
        self.state.store(POLLING, Ordering::Release);
    }

    /// Whether something was woken, which is about to be polled.
    fn forget(&self) -> bool {
        self.state.swap(POLLING, Ordering::AcqRel) == WOKEN
    }

    /// Whether something was woken that has not been polled since.
    fn end(&self) -> bool {
        self.state.swap(AWAY, Ordering::AcqRel) == WOKEN
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self.state.compare_exchange(POLLING, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if noted == Err(AWAY) {
            self.outer.wake();
        }
    }
}
