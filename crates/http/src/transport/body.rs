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
use http_body::Body as _;
use hyper::body::Incoming;
use leverframe_core::error::Clock;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Clocks, TransportError};

/// The body of an answer, chunk by chunk.
///
/// Until [`first_token_seen`](Self::first_token_seen) is called the
/// first-token clock runs, whatever arrives; from then on the idle clock,
/// which every chunk resets. After an error nothing more comes.
pub struct Body {
    incoming: Incoming,
    /// Armed for the earliest instant at which a clock could have run out when
    /// it was last looked at; chunks do not touch it.
    alarm: Pin<Box<Sleep>>,
    first_token_by: Option<Instant>,
    idle: Duration,
    last_chunk: Instant,
    total: Option<Instant>,
    received: usize,
    limit: usize,
    over: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("received", &self.received)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Body {
    pub(super) fn new(incoming: Incoming, clocks: &Clocks, total: Option<Instant>, limit: usize) -> Self {
        let now = Instant::now();
        let first_token_by = now + clocks.first_token;
        Self {
            incoming,
            alarm: Box::pin(sleep_until(total.map_or(first_token_by, |total| total.min(first_token_by)))),
            first_token_by: Some(first_token_by),
            idle: clocks.idle,
            last_chunk: now,
            total,
            received: 0,
            limit,
            over: false,
        }
    }

    /// The answer has begun: from now on the idle clock runs.
    pub fn first_token_seen(&mut self) {
        self.first_token_by = None;
    }

    /// The next chunk, never empty; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for the next chunk, never empty; `None` at the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_unguarded(cx));
        self.over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }

    fn poll_unguarded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(self.received(data))),
                    Ok(_) | Err(_) => {} // an empty chunk or trailers
                },
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(TransportError::Body(Arc::new(error)))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return self.poll_clocks(cx).map(|clock| Some(Err(TransportError::Timeout(clock))));
                }
            }
        }
    }

    fn received(&mut self, data: Bytes) -> Result<Bytes, TransportError> {
        self.received = self.received.saturating_add(data.len());
        if self.received > self.limit {
            return Err(TransportError::BodyTooLarge { limit: self.limit });
        }
        self.last_chunk = Instant::now();
        Ok(data)
    }

    /// Ready when a clock has run out.
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<Clock> {
        loop {
            let (by, clock) = self.next_limit();
            // The alarm may be early, for a chunk has come since; it must not be late.
            if self.alarm.deadline() > by {
                self.alarm.as_mut().reset(by);
            }
            ready!(self.alarm.as_mut().poll(cx));
            if by <= Instant::now() {
                return Poll::Ready(clock);
            }
            self.alarm.as_mut().reset(by);
        }
    }

    fn next_limit(&self) -> (Instant, Clock) {
        let running = match self.first_token_by {
            Some(by) => (by, Clock::FirstToken),
            None => (self.last_chunk + self.idle, Clock::Idle),
        };
        match self.total {
            Some(total) if total < running.0 => (total, Clock::Total),
            _ => running,
        }
    }

    /// Reads a body that is not streamed, of at most `limit` bytes and the
    /// transport's own limit.
    ///
    /// # Errors
    /// [`TransportError`]; a body that is too large is not read to its end.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, TransportError> {
        self.first_token_seen();
        self.limit = self.limit.min(limit);
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
