//! The answer as it arrives.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use futures_core::Stream;
use leverframe_core::{
    error::{ErrorKind, Failure},
    guard::Deadline,
    lifecycle::{Lifecycle, On, ReceiveStreamChunk, RequestFailed, Route, Seen, StreamComplete, Streaming},
    model::StreamEvent,
    record::Record,
    time::Timestamp,
};
use leverframe_http::{codec::StreamDecoder, transport::Body};

use crate::{Answer, Error, driver, router::Inner};

/// The events of a streamed answer.
///
/// Ends after [`StreamEvent::End`], or after one error. Dropping it before
/// that cancels the request: the connection is closed and the record says so.
pub struct ResponseStream {
    state: State,
}

enum State {
    Live(Arc<Inner>, Box<Live>),
    /// The answer is whole; the end of its body is not there yet.
    Ending(Answer, Box<Body>),
    /// The answer was whole before any of it was handed over.
    Whole(Answer, vec::IntoIter<StreamEvent>),
    Ended(Answer),
    Broken(Error),
    /// Only while a poll is under way.
    Moving,
}

/// A stream whose first content is about to be handed over.
pub(crate) struct Live {
    pub(crate) lifecycle: Lifecycle<Streaming, Seen>,
    /// Events that were held back, oldest first.
    pub(crate) held: VecDeque<StreamEvent>,
    pub(crate) decoder: StreamDecoder,
    pub(crate) body: Body,
    pub(crate) deadline: Deadline,
    pub(crate) provider_request_id: Option<String>,
    /// When the bytes being read arrived. The clock is read once per chunk, not per event.
    pub(crate) now: Timestamp,
}

/// How long the end of a body is waited for once the answer is whole: it lets
/// the connection be used again, and is not worth more.
const LINGER: Duration = Duration::from_millis(50);

impl Live {
    /// The next event, or how the stream broke off.
    fn poll_event(&mut self, inner: &Inner, cx: &mut Context<'_>) -> Poll<Result<StreamEvent, Failure>> {
        let mut ended = false;
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => return Poll::Ready(Ok(event)),
                Ok(None) => {}
                Err(failure) => return Poll::Ready(Err(failure)),
            }
            match ready!(self.body.poll_chunk(cx)) {
                Some(Ok(chunk)) => {
                    self.now = inner.now();
                    self.decoder.push(chunk);
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(driver::transport_failure(error, self.deadline, inner.now())));
                }
                // The decoder fails or ends by itself after finish(); this is for one that does neither.
                None if ended => {
                    return Poll::Ready(Err(Failure::new(ErrorKind::Interrupted, "the stream ended")));
                }
                None => {
                    self.now = inner.now();
                    self.decoder.finish();
                    ended = true;
                }
            }
        }
    }
}

impl Live {
    /// Moves the lifecycle on by what came, and says what the caller gets.
    fn take_in(
        mut self: Box<Self>,
        inner: Arc<Inner>,
        came: Result<StreamEvent, Failure>,
    ) -> (State, Result<StreamEvent, Error>) {
        let event = match came {
            Ok(event) => event,
            Err(failure) => {
                // Not the last chunk's time: what broke may be that none came since.
                let at = inner.now();
                let mut failure = driver::inside(failure, self.provider_request_id.take());
                inner.without_key(self.lifecycle.route(), &mut failure);
                let stream = driver::settle(self.lifecycle, false, at);
                let error = driver::error(&inner, stream.on(RequestFailed { failure, at }));
                return (State::Broken(error.clone()), Err(error));
            }
        };
        let at = self.now;
        if event == StreamEvent::End {
            self.lifecycle = driver::settle(self.lifecycle, true, at);
        }
        self.lifecycle = self.lifecycle.on(ReceiveStreamChunk { event: event.clone(), at });
        let state = match self.lifecycle.terminal_frame() {
            Some(frame) => {
                let answer = driver::answer(&inner, self.lifecycle.on(StreamComplete { frame, at }));
                self.body.end_within(LINGER);
                State::Ending(answer, Box::new(self.body))
            }
            None => State::Live(inner, self),
        };
        (state, Ok(event))
    }
}

impl ResponseStream {
    pub(crate) fn begun(inner: Arc<Inner>, live: Live) -> Self {
        Self { state: State::Live(inner, Box::new(live)) }
    }

    pub(crate) fn whole(answer: Answer, events: Vec<StreamEvent>) -> Self {
        Self { state: State::Whole(answer, events.into_iter()) }
    }

    /// The route that is answering; `None` once the answer is whole or has
    /// broken off: then [`record`](Self::record) tells.
    pub fn route(&self) -> Option<&Arc<Route>> {
        match &self.state {
            State::Live(_, live) => Some(live.lifecycle.route()),
            _ => None,
        }
    }

    /// What is remembered of the request, once the answer is whole or has
    /// broken off.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match &self.state {
            State::Whole(answer, _) | State::Ending(answer, _) | State::Ended(answer) => {
                Some(answer.record())
            }
            State::Broken(error) => error.record(),
            State::Live(..) | State::Moving => None,
        }
    }

    /// Reads to the end and returns the whole answer, as [`Router::send`](crate::Router::send) would.
    ///
    /// # Errors
    /// The [`Error`] the stream ends in, with the text that had arrived.
    pub async fn collect(mut self) -> Result<Answer, Error> {
        while let Some(event) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await {
            event?;
        }
        match self.state {
            State::Whole(answer, _) | State::Ended(answer) => Ok(answer),
            State::Broken(error) => Err(error),
            State::Live(..) | State::Ending(..) | State::Moving => {
                unreachable!("a stream that has ended is in none of these states")
            }
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<StreamEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = match &mut self.state {
            State::Live(inner, live) => match live.held.pop_front() {
                Some(event) => return Poll::Ready(Some(Ok(event))),
                None => ready!(live.poll_event(inner, cx)),
            },
            State::Ending(answer, body) => {
                while let Some(Ok(_)) = ready!(body.poll_chunk(cx)) {}
                self.state = State::Ended(answer.clone());
                return Poll::Ready(None);
            }
            State::Whole(_, events) => return Poll::Ready(events.next().map(Ok)),
            State::Ended(_) | State::Broken(_) | State::Moving => return Poll::Ready(None),
        };
        let State::Live(inner, live) = std::mem::replace(&mut self.state, State::Moving) else {
            unreachable!("it was live above")
        };
        let (state, item) = live.take_in(inner, event);
        self.state = state;
        Poll::Ready(Some(item))
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Live(..) => "live",
            State::Whole(..) | State::Ending(..) | State::Ended(_) => "ended",
            State::Broken(_) => "broken",
            State::Moving => "moving",
        };
        f.debug_struct("ResponseStream").field("state", &state).finish_non_exhaustive()
    }
}
