//! The answer as it arrives.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
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
    model::{RequestId, StreamEvent},
    record::{Attempt, Record},
    time::Timestamp,
};
use leverframe_http::{codec::StreamDecoder, sse, transport::Body};

use tracing::Span;

use crate::{
    Answer, Error,
    driver::{self, Begun, Came, Onward, Renumber, Resumed, Whole},
    router::Inner,
};

/// The events of a streamed answer.
///
/// Ends after [`StreamEvent::End`], or after one error. Dropping it before
/// that cancels the request: the connection is closed and the record says so.
pub struct ResponseStream {
    state: State,
    /// What is left of the answer as it came, once nothing more is read. `None`
    /// where it is not all there.
    rest: Option<Vec<u8>>,
    /// The request's, which the end of the answer is written into.
    span: Span,
}

enum State {
    Live(Arc<Inner>, Box<Live>),
    /// The answer broke off and another route is asked to go on.
    Resuming(Arc<Inner>, Box<Resuming>),
    /// The answer is whole; the end of its body is not there yet.
    Ending(Answer, Box<Body>),
    /// The answer was whole before any of it was handed over.
    Whole(Answer, vec::IntoIter<StreamEvent>),
    Ended(Answer),
    Broken(Error),
    /// Only while a poll is under way.
    Moving,
}

/// How streamed answers are read and held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Limits on lines and events.
    pub limits: sse::Limits,
    /// Most events without content that are held back before the first content.
    pub hold_back_events: usize,
    /// Most bytes they may come in.
    pub hold_back_bytes: usize,
    /// Most bytes of an answer that is held back as a whole
    /// ([`OnBreak::Buffer`](crate::OnBreak::Buffer)).
    pub buffer_bytes: usize,
}

impl Default for StreamSettings {
    /// 10 000 events, 1 MiB, 16 MiB.
    fn default() -> Self {
        Self {
            limits: sse::Limits::default(),
            hold_back_events: 10_000,
            hold_back_bytes: 1 << 20,
            buffer_bytes: 16 << 20,
        }
    }
}

/// A stream whose first content is about to be handed over.
pub(crate) struct Live {
    lifecycle: Lifecycle<Streaming, Seen>,
    /// Events that were held back, oldest first.
    held: VecDeque<StreamEvent>,
    decoder: StreamDecoder,
    renumber: Renumber,
    shown: Shown,
    body: Body,
    deadline: Deadline,
    provider_request_id: Option<String>,
    /// When the bytes being read arrived. The clock is read once per chunk, not per event.
    now: Timestamp,
    /// What is left to try should it break off.
    onward: Option<Box<Onward>>,
}

/// An answer that another route is asked to go on with.
struct Resuming {
    resumed: Pin<Box<dyn Future<Output = Resumed> + Send>>,
    shown: Shown,
    deadline: Deadline,
}

/// The numbers of the blocks the caller has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    /// What is added to the numbers the lifecycle counts with: in it, the text
    /// that is gone on with is one block, and the first.
    shift: u32,
    /// The last text.
    text: u32,
}

impl Shown {
    /// The event as the caller gets it.
    fn event(&mut self, mut event: StreamEvent) -> StreamEvent {
        if let Some(index) = event.index_mut() {
            *index = index.saturating_add(self.shift);
        }
        if let StreamEvent::TextDelta { index, .. } = event {
            self.text = index;
        }
        event
    }

    /// Once another route goes on with the last text.
    fn gone_on(self) -> Self {
        Self { shift: self.text, ..self }
    }
}

/// Most bytes of an answer as it came that wait to be taken: an event that is
/// as large as may be, and what came with it.
fn most_kept(limits: &sse::Limits) -> usize {
    limits.event.saturating_mul(2)
}

/// How long the end of a body is waited for once the answer is whole: it lets
/// the connection be used again, and is not worth more.
const LINGER: Duration = Duration::from_millis(50);

impl Live {
    pub(crate) fn new(
        begun: Begun<Seen>,
        deadline: Deadline,
        onward: Option<Box<Onward>>,
        limits: &sse::Limits,
    ) -> Self {
        let Begun { lifecycle, events, mut decoder, renumber, body, provider_request_id, now } = begun;
        if onward.is_some() {
            // Another route may go on with it, in another dialect.
            decoder.forget();
        } else if decoder.keeps() {
            decoder = decoder.keeping(most_kept(limits));
        }
        let (held, shown) = (events.into(), Shown::default());
        Self { lifecycle, held, decoder, renumber, shown, body, deadline, provider_request_id, now, onward }
    }

    /// The next event, or how the stream broke off.
    fn poll_event(&mut self, inner: &Inner, cx: &mut Context<'_>) -> Poll<Result<StreamEvent, Failure>> {
        let mut ended = false;
        loop {
            match self.decoder.next_event() {
                Ok(Some(mut event)) => {
                    self.renumber.apply(&mut event);
                    return Poll::Ready(Ok(event));
                }
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

    /// What of the answer as it came was read and not taken, where it is kept.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let mut rest = Vec::new();
        self.decoder.take_original(&mut rest);
        self.decoder.keeps().then_some(rest)
    }

    /// Moves the lifecycle on by what came, and says what the caller gets:
    /// nothing yet, if another route is to go on.
    fn take_in(
        mut self: Box<Self>,
        inner: Arc<Inner>,
        came: Result<StreamEvent, Failure>,
    ) -> (State, Option<Result<StreamEvent, Error>>) {
        let event = match came {
            Ok(event) => event,
            Err(failure) => return self.broke(inner, failure),
        };
        let at = self.now;
        if event == StreamEvent::End {
            self.lifecycle = driver::settle(self.lifecycle, true, at);
        }
        self.lifecycle = self.lifecycle.on(ReceiveStreamChunk { event: event.clone(), at });
        let event = self.shown.event(event);
        let state = match self.lifecycle.terminal_frame() {
            Some(frame) => {
                let answer = driver::answer(&inner, self.lifecycle.on(StreamComplete { frame, at }));
                self.body.end_within(LINGER);
                State::Ending(answer, Box::new(self.body))
            }
            None => State::Live(inner, self),
        };
        (state, Some(Ok(event)))
    }

    fn broke(self, inner: Arc<Inner>, failure: Failure) -> (State, Option<Result<StreamEvent, Error>>) {
        // Not the last chunk's time: what broke may be that none came since.
        let at = inner.now();
        let mut failure = driver::inside(failure, self.provider_request_id);
        inner.without_key(self.lifecycle.route(), &mut failure);
        let stream = driver::settle(self.lifecycle, false, at);
        let failed = stream.on(RequestFailed { failure, at });
        match self.onward.filter(|_| driver::may_resume(&failed)) {
            Some(onward) => {
                let resumed = Box::pin(driver::resume(Arc::clone(&inner), onward, failed));
                let resuming = Resuming { resumed, shown: self.shown, deadline: self.deadline };
                (State::Resuming(inner, Box::new(resuming)), None)
            }
            None => {
                let error = driver::error(&inner, failed);
                (State::Broken(error.clone()), Some(Err(error)))
            }
        }
    }
}

impl Resuming {
    /// What the caller gets now that it is known whether another route goes on.
    fn take_in(&self, inner: Arc<Inner>, resumed: Resumed) -> (State, Result<StreamEvent, Error>) {
        let (route, came, onward) = match resumed {
            Ok(resumed) => resumed,
            Err(failed) => {
                let error = driver::error(&inner, failed);
                return (State::Broken(error.clone()), Err(error));
            }
        };
        let mut shown = self.shown.gone_on();
        let state = match came {
            Came::Whole(Whole { completed, events, .. }) => {
                let events: Vec<_> = events.into_iter().map(|event| shown.event(event)).collect();
                State::Whole(driver::answer(&inner, completed), events.into_iter())
            }
            Came::Begun(begun) => {
                let live =
                    Live { shown, ..Live::new(begun, self.deadline, onward, &inner.settings.streams.limits) };
                State::Live(inner, Box::new(live))
            }
        };
        (state, Ok(StreamEvent::Switched(Box::new(Route::clone(&route)))))
    }
}

impl ResponseStream {
    pub(crate) fn begun(inner: Arc<Inner>, live: Live) -> Self {
        Self { state: State::Live(inner, Box::new(live)), rest: None, span: Span::current() }
    }

    pub(crate) fn whole(answer: Answer, events: Vec<StreamEvent>) -> Self {
        Self { state: State::Whole(answer, events.into_iter()), rest: None, span: Span::current() }
    }

    /// The route that is answering; `None` once the answer is whole or has
    /// broken off: then [`record`](Self::record) tells.
    pub fn route(&self) -> Option<&Arc<Route>> {
        match &self.state {
            State::Live(_, live) => Some(live.lifecycle.route()),
            _ => None,
        }
    }

    /// The request's id.
    pub fn id(&self) -> Option<RequestId> {
        match &self.state {
            State::Live(_, live) => Some(live.lifecycle.id()),
            _ => self.record().map(|record| record.id),
        }
    }

    /// The attempts so far, those that failed unseen among them.
    pub fn attempts(&self) -> &[Attempt] {
        match &self.state {
            State::Live(_, live) => live.lifecycle.attempts(),
            _ => self.record().map_or(&[], |record| &record.attempts),
        }
    }

    /// Whether [`take_original`](Self::take_original) has something to take: the
    /// request has an [`Original`](crate::Original) in the dialect of the route
    /// that answers, and no other route is to go on with the answer.
    pub fn keeps_original(&self) -> bool {
        match &self.state {
            State::Live(_, live) => live.decoder.keeps(),
            _ => self.rest.is_some(),
        }
    }

    /// How many bytes [`take_original`](Self::take_original) would add now.
    pub fn original_ready(&self) -> usize {
        match &self.state {
            State::Live(_, live) => live.decoder.original_ready(),
            _ => self.rest.as_ref().map_or(0, Vec::len),
        }
    }

    /// Adds to `into` the answer as the provider sent it: whole server-sent
    /// events, as far as they were read without an error and not taken before.
    /// To be called when the stream has no event at hand, and at its end.
    ///
    /// Whether nothing is missing. A caller who leaves more than twice
    /// [`Limits::event`](sse::Limits::event) bytes untaken loses them, and is told
    /// so from then on.
    pub fn take_original(&mut self, into: &mut Vec<u8>) -> bool {
        if let State::Live(_, live) = &mut self.state {
            live.decoder.take_original(into);
            return live.decoder.keeps();
        }
        self.rest.as_mut().map(|rest| into.append(rest)).is_some()
    }

    /// What is remembered of the request, once the answer is whole or has
    /// broken off.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match &self.state {
            State::Whole(answer, _) | State::Ending(answer, _) | State::Ended(answer) => {
                Some(answer.record())
            }
            State::Broken(error) => error.record(),
            State::Live(..) | State::Resuming(..) | State::Moving => None,
        }
    }

    /// Gives the answer up, as dropping it does, and says what is remembered of
    /// the request. `None` while another route is asked to go on.
    pub fn cancel(mut self) -> Option<Arc<Record>> {
        let _inside = self.span.clone().entered();
        match mem::replace(&mut self.state, State::Moving) {
            State::Live(inner, live) => {
                let at = inner.now();
                let failure = Failure::new(ErrorKind::Cancelled, "the caller went away");
                let stream = driver::settle(live.lifecycle, false, at);
                driver::error(&inner, stream.on(RequestFailed { failure, at })).record().cloned()
            }
            state => {
                self.state = state;
                self.record().cloned()
            }
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
        match mem::replace(&mut self.state, State::Moving) {
            State::Whole(answer, _) | State::Ended(answer) => Ok(answer),
            State::Broken(error) => Err(error),
            State::Live(..) | State::Resuming(..) | State::Ending(..) | State::Moving => {
                unreachable!("a stream that has ended is in none of these states")
            }
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<StreamEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { state: now, rest, span } = &mut *self;
        let _inside = span.enter();
        loop {
            match now {
                State::Live(inner, live) => {
                    if let Some(event) = live.held.pop_front() {
                        if live.held.is_empty() {
                            live.held = VecDeque::new(); // an answer may take long
                        }
                        return Poll::Ready(Some(Ok(live.shown.event(event))));
                    }
                    let came = ready!(live.poll_event(inner, cx));
                    let State::Live(inner, mut live) = mem::replace(now, State::Moving) else {
                        unreachable!("it was live above")
                    };
                    if matches!(came, Err(_) | Ok(StreamEvent::End)) {
                        *rest = live.rest();
                    }
                    let (state, item) = live.take_in(inner, came);
                    *now = state;
                    if let Some(item) = item {
                        return Poll::Ready(Some(item));
                    }
                }
                State::Resuming(inner, resuming) => {
                    let resumed = ready!(resuming.resumed.as_mut().poll(cx));
                    let (state, item) = resuming.take_in(Arc::clone(inner), resumed);
                    *now = state;
                    return Poll::Ready(Some(item));
                }
                State::Ending(answer, body) => {
                    while let Some(Ok(_)) = ready!(body.poll_chunk(cx)) {}
                    *now = State::Ended(answer.clone());
                    return Poll::Ready(None);
                }
                State::Whole(_, events) => return Poll::Ready(events.next().map(Ok)),
                State::Ended(_) | State::Broken(_) | State::Moving => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        // What is dropped unfinished says so in its span.
        let _inside = self.span.enter();
        self.state = State::Moving;
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Live(..) => "live",
            State::Resuming(..) => "resuming",
            State::Whole(..) | State::Ending(..) | State::Ended(_) => "ended",
            State::Broken(_) => "broken",
            State::Moving => "moving",
        };
        f.debug_struct("ResponseStream").field("state", &state).finish_non_exhaustive()
    }
}
