//! A bounded body under its clocks.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use leverframe_core::error::Clock;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Clocks, TransportError, carrier::Carried, clocks::after, network::Arriving};

/// Where a body comes from.
pub(super) enum Source {
    Http1(Arriving),
    Http2(Incoming),
    Carried(Carried),
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self {
            Self::Http1(arriving) => arriving.poll_frame(cx).map(broken),
            Self::Http2(incoming) => Pin::new(incoming).poll_frame(cx).map(broken),
            Self::Carried(body) => body.poll_frame(cx).map(|frame| {
                frame.map(|frame| frame.map_err(|error| TransportError::Body(Arc::from(error))))
            }),
        }
    }

    /// The fewest bytes still to come.
    fn announced(&mut self) -> u64 {
        match self {
            Self::Http1(arriving) => arriving.size_hint().lower(),
            Self::Http2(incoming) => incoming.size_hint().lower(),
            Self::Carried(body) => body.size_hint().lower(),
        }
    }
}

fn broken(frame: Option<hyper::Result<Frame<Bytes>>>) -> Option<Result<Frame<Bytes>, TransportError>> {
    frame.map(|frame| frame.map_err(|error| TransportError::Body(Arc::new(error))))
}

/// The body of an answer, chunk by chunk.
///
/// Until [`first_token_seen`](Self::first_token_seen) is called the
/// first-token clock runs from the headers on, whatever arrives; from then on
/// the idle clock, which every chunk resets. The idle clock counts time spent
/// waiting for the provider, not time in which the caller did not ask. The
/// total clock runs throughout.
///
/// After the end or an error nothing more comes and the connection has been
/// let go.
pub struct Body {
    /// `None` once the end or an error has been handed out.
    source: Option<Source>,
    /// Armed for the earliest instant at which a clock could have run out when
    /// it was last looked at; chunks do not touch it.
    alarm: Pin<Box<Sleep>>,
    /// `None` once the first token was seen.
    first_token_by: Option<Instant>,
    idle: Duration,
    /// Since when the caller has been waiting for the next chunk.
    waiting_since: Option<Instant>,
    total: Option<Instant>,
    /// Chunks that were there at once, since a clock was last looked at.
    at_once: u8,
    /// Bytes handed out so far.
    received: usize,
    /// Most bytes to hand out.
    limit: usize,
    tap: Option<Box<dyn Tap>>,
}

/// Chunks at once after which the total clock is looked at: to read the time
/// for each would cost as much as to read the chunk.
const AT_ONCE: u8 = 32;

/// Whoever sees what arrives as it is handed out. Dropped with the body, or
/// with the request that was to have one.
pub trait Tap: Send + Sync {
    /// A chunk was handed out.
    fn chunk(&mut self, chunk: &Bytes);
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("received", &self.received)
            .field("over", &self.source.is_none())
            .finish_non_exhaustive()
    }
}

impl Body {
    pub(super) fn new(source: Source, clocks: &Clocks, total: Option<Instant>, limit: usize) -> Self {
        let first_token_by = after(Instant::now(), clocks.first_token);
        Self {
            source: Some(source),
            alarm: Box::pin(sleep_until(total.map_or(first_token_by, |total| total.min(first_token_by)))),
            first_token_by: Some(first_token_by),
            idle: clocks.idle,
            waiting_since: None,
            total,
            at_once: AT_ONCE,
            received: 0,
            limit,
            tap: None,
        }
    }

    /// The same body, seen by `tap` as well.
    #[must_use]
    pub fn tapped(self, tap: Box<dyn Tap>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// The answer has begun: from now on the idle clock runs.
    pub fn first_token_seen(&mut self) {
        self.first_token_by = None;
    }

    /// The answer is whole: what is left of the body is waited for no longer
    /// than this. Reading it to its end lets the connection be used again.
    pub fn end_within(&mut self, limit: Duration) {
        let by = after(Instant::now(), limit);
        self.total = Some(self.total.map_or(by, |total| total.min(by)));
    }

    /// The next chunk, never empty; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for the next chunk, never empty; `None` at the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let next = ready!(self.poll_unguarded(cx));
        match (&next, &mut self.tap) {
            (Some(Ok(chunk)), Some(tap)) => tap.chunk(chunk),
            (Some(Ok(_)), None) => {}
            (Some(Err(_)) | None, _) => self.source = None,
        }
        Poll::Ready(next)
    }

    fn poll_unguarded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        loop {
            match source.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(self.receive(data))),
                    Ok(_) | Err(_) => {} // an empty chunk or trailers
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return self.poll_clocks(cx).map(|clock| Some(Err(TransportError::Timeout(clock))));
                }
            }
        }
    }

    fn receive(&mut self, data: Bytes) -> Result<Bytes, TransportError> {
        self.received = self.received.saturating_add(data.len());
        if self.received > self.limit {
            return Err(TransportError::BodyTooLarge { limit: self.limit });
        }
        self.waiting_since = None;
        // A provider that always has a chunk ready never makes us look at the alarm.
        self.at_once = self.at_once.saturating_add(1);
        if self.at_once > AT_ONCE {
            self.at_once = 0;
            if self.total.is_some_and(|total| total <= Instant::now()) {
                return Err(TransportError::Timeout(Clock::Total));
            }
        }
        Ok(data)
    }

    /// Ready when a clock has run out.
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<Clock> {
        self.at_once = 0;
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        let (by, clock) = self.next_limit(waiting_since);
        // The alarm may be early, for a chunk has come since; it must not be late.
        if self.alarm.deadline() > by {
            self.alarm.as_mut().reset(by);
        }
        ready!(self.alarm.as_mut().poll(cx));
        while self.alarm.deadline() < by {
            self.alarm.as_mut().reset(by);
            ready!(self.alarm.as_mut().poll(cx));
        }
        Poll::Ready(clock)
    }

    /// The clock that runs out first, and when.
    fn next_limit(&self, waiting_since: Instant) -> (Instant, Clock) {
        let running = match self.first_token_by {
            Some(by) => (by, Clock::FirstToken),
            None => (after(waiting_since, self.idle), Clock::Idle),
        };
        match self.total {
            Some(total) if total < running.0 => (total, Clock::Total),
            _ => running,
        }
    }

    /// Reads a body that is not streamed, of at most `limit` bytes and the
    /// transport's own limit, under the idle and total clocks.
    ///
    /// # Errors
    /// [`TransportError`]; a body that is too large is not read to its end.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, TransportError> {
        self.first_token_seen();
        self.limit = self.limit.min(limit);
        // What the headers announce need not be read to be refused.
        let announced = self.source.as_mut().map_or(0, Source::announced);
        if usize::try_from(announced).map_or(true, |announced| announced > self.limit) {
            return Err(TransportError::BodyTooLarge { limit: self.limit });
        }
        let Some(first) = self.chunk().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await.transpose()? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(first.len().saturating_add(second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await.transpose()? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}
