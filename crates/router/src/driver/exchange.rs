//! One HTTP exchange, up to a whole answer or the first content of a stream.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use leverframe_core::{
    error::{BreakerEffect, ErrorKind, Failure},
    guard::{Deadline, Observation},
    lifecycle::{
        Completed, Lifecycle, On, ReceiveResponse, ReceiveStreamChunk, Requesting, Seen, Sent,
        StreamComplete, Streaming, Unseen, Visibility,
    },
    model::{Dialect, FinishReason, Response, StreamEvent},
    start::Hold,
    time::Timestamp,
};
use leverframe_http::{
    codec::{self, StreamDecoder},
    headroom,
    transport::{Body, Clocks, Tap, TransportError},
};

use super::{
    broken::{Broken, Stuck},
    renumber::Renumber,
    too_late, transport_failure, usage,
    wiretap::Wiretap,
};
use crate::{route_state::RouteState, router::Inner, stream::StreamSettings};

/// Most bytes of an error's body that are read.
const MAX_ERROR_BODY: usize = 1 << 20;

/// Share of its answers by whose time a route has usually begun to answer.
const USUAL: f64 = 0.99;

/// The same for a route nothing is known of.
const LATE: Duration = Duration::from_secs(10);

/// The headers of a good answer.
type Head = http::Response<Body>;

/// How one exchange is to go. Borrows nothing of the request, so that two can
/// run at once.
pub(super) struct Exchange<'a> {
    pub(super) inner: &'a Arc<Inner>,
    /// The route's, which learns from it.
    pub(super) state: Arc<RouteState>,
    pub(super) deadline: Deadline,
    pub(super) clocks: Clocks,
    pub(super) streamed: bool,
    /// Whether the whole answer is held back.
    pub(super) buffered: bool,
}

/// What an exchange has brought.
#[expect(clippy::large_enum_variant, reason = "moved once per exchange")]
pub(crate) enum Came<V: Visibility = Unseen> {
    /// A whole answer.
    Whole(Whole<V>),
    /// The beginning of an answer, up to its first content.
    Begun(Begun<V>),
}

/// A whole answer.
pub(crate) struct Whole<V: Visibility> {
    pub(crate) completed: Lifecycle<Completed, V>,
    /// Where a stream was asked for.
    pub(crate) events: Vec<StreamEvent>,
    /// The body, where it is wanted as it came and no stream was asked for.
    pub(crate) original: Option<Bytes>,
}

/// An answer that has begun.
pub(crate) struct Begun<V: Visibility> {
    pub(crate) lifecycle: Lifecycle<Streaming, V>,
    /// What has arrived, oldest first.
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) decoder: StreamDecoder,
    pub(crate) renumber: Renumber,
    pub(crate) body: Body,
    pub(crate) provider_request_id: Option<String>,
    /// When it began.
    pub(crate) now: Timestamp,
}

impl Begun<Unseen> {
    /// What has arrived is about to be handed over.
    pub(super) fn commit(self) -> Begun<Seen> {
        let Self { lifecycle, events, decoder, renumber, body, provider_request_id, now } = self;
        let lifecycle = lifecycle.commit();
        Begun { lifecycle, events, decoder, renumber, body, provider_request_id, now }
    }
}

impl Exchange<'_> {
    /// One exchange. What breaks comes back with the state it broke in.
    pub(super) async fn run<V: Visibility>(
        &self,
        mut sent: Lifecycle<Requesting<Sent>, V>,
        request: http::Request<Bytes>,
    ) -> Result<Came<V>, Broken<V>> {
        let (dialect, sent_at) = (sent.route().dialect, self.inner.now());
        if let Err(failure) = self.recorded(sent.holds()).await {
            return Err(self.refused(sent, sent_at, failure));
        }
        let began = (sent.id(), sent.attempt_began().unwrap_or(sent_at));
        let tap = Wiretap::on(self.inner, sent.route(), began, request.body());
        let head = match self.headers(dialect, request, sent_at, tap).await {
            Ok(head) => head,
            Err(failure) => return Err(self.refused(sent, sent_at, failure)),
        };
        let id = codec::provider_request_id(dialect, head.headers());
        sent.named(id.clone());
        let keeps = sent.request().original.as_ref().is_some_and(|original| original.dialect == dialect);
        if self.streamed && is_event_stream(&head) {
            return self.first_content(sent, sent_at, head, id, keeps).await;
        }
        match self.whole(dialect, head).await {
            Ok((mut response, body)) => {
                response.usage = usage::of_response(sent.route(), &sent.request(), &response);
                let mut events = if self.streamed { StreamEvent::replay(&response) } else { Vec::new() };
                let mut renumber = Renumber::new(V::SEEN);
                events.iter_mut().for_each(|event| renumber.apply(event));
                let at = self.inner.now();
                self.state.latency(self.streamed).record(at.since(sent_at), at);
                let original = (keeps && !self.streamed).then_some(body);
                let completed = sent.on(ReceiveResponse { response, at });
                Ok(Came::Whole(Whole { completed, events, original }))
            }
            Err(failure) => Err(self.refused(sent, sent_at, failure)),
        }
    }

    /// Waits until the request is written down, where that comes first.
    async fn recorded(&self, holds: Vec<Hold>) -> Result<(), Failure> {
        for hold in holds {
            let left = self.deadline.remaining(self.inner.now());
            let written = tokio::time::timeout(left, hold).await.map_err(|_| too_late())?;
            written.map_err(|error| Failure::new(ErrorKind::NotRecorded, error.to_string()))?;
        }
        Ok(())
    }

    /// Sends and waits for the headers; a bad status is a failure.
    async fn headers(
        &self,
        dialect: Dialect,
        request: http::Request<Bytes>,
        sent_at: Timestamp,
        tap: Option<Box<dyn Tap>>,
    ) -> Result<Head, Failure> {
        let sent = self.inner.transport.send(request, &self.clocks).await;
        let response = sent.map_err(|error| self.silent(error, sent_at))?;
        let (head, body) = response.into_parts();
        let body = match tap {
            Some(tap) => body.tapped(tap),
            None => body,
        };
        self.observe(dialect, &head.headers);
        if head.status.is_success() {
            return Ok(http::Response::from_parts(head, body));
        }
        // What can be read of the body explains the status; the status alone is enough.
        let body = body.collect(MAX_ERROR_BODY).await.unwrap_or_default();
        Err(codec::read_error(dialect, head.status.as_u16(), &head.headers, &body))
    }

    /// What the provider says of its limits corrects ours.
    fn observe(&self, dialect: Dialect, headers: &HeaderMap) {
        let now = self.inner.now();
        let seen: Vec<Observation> = headroom::read(dialect, headers, now).collect();
        if !seen.is_empty() {
            self.state.gate().observe(&seen, now);
        }
    }

    async fn whole(&self, dialect: Dialect, head: Head) -> Result<(Response, Bytes), Failure> {
        let (head, body) = head.into_parts();
        let body = body.collect(usize::MAX).await.map_err(|error| self.failure(error))?;
        let response = codec::decode(dialect, &head.headers, &body)
            .map_err(|failure| failure.with_status(head.status.as_u16()))?;
        match no_answer(&response.finish, response.finish_raw.as_deref().unwrap_or_default()) {
            Some(failure) if response.content.is_empty() => Err(failure.with_status(head.status.as_u16())),
            _ => Ok((response, body)),
        }
    }

    /// Reads a stream up to its first content, or to its end if all of it is
    /// held back, so that what breaks before can be tried again unseen.
    async fn first_content<V: Visibility>(
        &self,
        sent: Lifecycle<Requesting<Sent>, V>,
        sent_at: Timestamp,
        head: Head,
        provider_request_id: Option<String>,
        keeps: bool,
    ) -> Result<Came<V>, Broken<V>> {
        let settings = self.inner.settings.streams;
        let mut body = head.into_body();
        let route = Arc::clone(sent.route());
        let mut decoder = StreamDecoder::new(route.dialect, settings.limits);
        if keeps && !self.buffered {
            decoder = decoder.keeping(settings.hold_back_bytes);
        }
        let mut renumber = Renumber::new(V::SEEN);
        let mut held = HeldBack::Nothing(sent);
        let mut events = Vec::new();
        let mut bounds = Bounds::new(settings, self.buffered);
        let mut no_content = None;
        loop {
            let mut event = match self.next_event(&mut decoder, &mut body, &mut bounds, sent_at).await {
                Ok(event) => event,
                Err(failure) => {
                    return Err(self.broken(held, sent_at, failure, provider_request_id));
                }
            };
            if let StreamEvent::Finish { reason, raw, .. } = &event {
                no_content = no_answer(reason, raw);
            }
            if event == StreamEvent::End
                && !bounds.begun
                && let Some(failure) = no_content
            {
                return Err(self.broken(held, sent_at, failure, provider_request_id));
            }
            renumber.apply(&mut event);
            let content = event.is_content();
            if !self.buffered {
                events.push(event.clone());
            }
            let now = self.inner.now();
            held = match held.take_in(event, now) {
                ControlFlow::Continue(held) => held,
                ControlFlow::Break(completed) => {
                    if self.buffered {
                        events = StreamEvent::replay(completed.response());
                    }
                    return Ok(Came::Whole(Whole { completed, events, original: None }));
                }
            };
            if content && !bounds.begun {
                bounds.begun = true;
                body.first_token_seen();
                let after = now.since(sent_at);
                self.state.latency(true).record(after, now);
                self.inner.observers.tell(|observer| observer.first_token(&route, after));
            }
            match held {
                HeldBack::Events(lifecycle) if content && !self.buffered => {
                    let begun =
                        Begun { lifecycle, events, decoder, renumber, body, provider_request_id, now };
                    return Ok(Came::Begun(begun));
                }
                _ => {}
            }
            if !content
                && !bounds.begun
                && let Err(failure) = bounds.no_content()
            {
                return Err(self.broken(held, sent_at, failure, provider_request_id));
            }
        }
    }

    async fn next_event(
        &self,
        decoder: &mut StreamDecoder,
        body: &mut Body,
        bounds: &mut Bounds,
        sent_at: Timestamp,
    ) -> Result<StreamEvent, Failure> {
        let mut ended = false;
        loop {
            if let Some(event) = decoder.next_event()? {
                return Ok(event);
            }
            if ended {
                // The decoder fails or ends by itself after finish(); this is for one that does neither.
                return Err(Failure::new(ErrorKind::Interrupted, "the stream ended"));
            }
            match body.chunk().await {
                Some(Ok(chunk)) => {
                    bounds.chunk(chunk.len())?;
                    decoder.push(chunk);
                }
                Some(Err(error)) if bounds.begun => return Err(self.failure(error)),
                Some(Err(error)) => return Err(self.silent(error, sent_at)),
                None => {
                    decoder.finish();
                    ended = true;
                }
            }
        }
    }

    fn failure(&self, error: TransportError) -> Failure {
        transport_failure(error, self.deadline, self.inner.now())
    }

    /// What ended the wait for an answer to begin. If it is the deadline, and the
    /// route should have answered by then, that is the route's fault.
    fn silent(&self, error: TransportError, sent_at: Timestamp) -> Failure {
        let (failure, now) = (self.failure(error), self.inner.now());
        let usual = self.state.latency(self.streamed).quantile(USUAL, now).unwrap_or(LATE);
        match failure.kind {
            ErrorKind::DeadlineExceeded if now.since(sent_at) >= usual => failure.with_overdue(),
            _ => failure,
        }
    }

    /// What came instead of an answer, without the key, should the provider
    /// have quoted it.
    fn refused<V: Visibility>(
        &self,
        sent: Lifecycle<Requesting<Sent>, V>,
        sent_at: Timestamp,
        mut failure: Failure,
    ) -> Broken<V> {
        self.inner.without_key(sent.route(), &mut failure);
        self.slow(&failure, sent_at);
        Broken::new(Stuck::Sent(sent), failure)
    }

    /// What came inside a stream that had begun well.
    fn broken<V: Visibility>(
        &self,
        held: HeldBack<V>,
        sent_at: Timestamp,
        failure: Failure,
        provider_request_id: Option<String>,
    ) -> Broken<V> {
        let at = held.stuck(self.inner.now());
        let mut failure = inside(failure, provider_request_id);
        self.inner.without_key(at.route(), &mut failure);
        self.slow(&failure, sent_at);
        Broken::new(at, failure)
    }

    /// A route that fails must not look fast for it.
    fn slow(&self, failure: &Failure, sent_at: Timestamp) {
        if failure.breaker_effect() == BreakerEffect::Counts {
            let now = self.inner.now();
            self.state.latency(self.streamed).failed(now.since(sent_at), now);
        }
    }
}

/// Adds what is known of the answer a failure came in.
pub(crate) fn inside(failure: Failure, provider_request_id: Option<String>) -> Failure {
    let id = failure.provider_request_id.clone().or(provider_request_id);
    failure.with_status(StatusCode::OK.as_u16()).with_provider_request_id(id)
}

/// What an answer without content is, if it ended like this: a refusal, or
/// generation that went wrong, is not an answer.
fn no_answer(finish: &FinishReason, raw: &str) -> Option<Failure> {
    match finish {
        FinishReason::ContentFilter | FinishReason::Refusal => {
            Some(Failure::new(ErrorKind::Refused, format!("the provider withheld the answer ({raw})")))
        }
        FinishReason::Error => Some(Failure::new(
            ErrorKind::Server,
            format!("the provider reports that generation failed ({raw})"),
        )),
        _ => None,
    }
}

/// How much may be held back.
struct Bounds {
    /// Events so far.
    events: usize,
    /// Bytes so far.
    bytes: usize,
    settings: StreamSettings,
    /// Whether the whole answer is held back.
    buffered: bool,
    /// Whether there was content.
    begun: bool,
}

impl Bounds {
    fn new(settings: StreamSettings, buffered: bool) -> Self {
        Self { events: 0, bytes: 0, settings, buffered, begun: false }
    }

    /// An event without content was read. Checked then and not by the chunk,
    /// for the first content may be a large picture.
    fn no_content(&mut self) -> Result<(), Failure> {
        self.events = self.events.saturating_add(1);
        let StreamSettings { hold_back_events, hold_back_bytes, .. } = self.settings;
        let bound = if self.events > hold_back_events {
            format!("{hold_back_events} events")
        } else if self.bytes > hold_back_bytes {
            format!("{hold_back_bytes} bytes")
        } else {
            return Ok(());
        };
        // A provider that sends more is not answering.
        let message = format!("the stream has more than {bound} and no content");
        Err(Failure::new(ErrorKind::Unreadable, message))
    }

    fn chunk(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        let most = self.settings.buffer_bytes;
        if !self.buffered || self.bytes <= most {
            return Ok(());
        }
        let message = format!(
            "the answer is to be buffered and has more than {most} bytes; raise StreamSettings::buffer_bytes"
        );
        Err(Failure::new(ErrorKind::Unreadable, message))
    }
}

/// A stream of which nothing more was handed over.
enum HeldBack<V: Visibility> {
    Nothing(Lifecycle<Requesting<Sent>, V>),
    Events(Lifecycle<Streaming, V>),
}

impl<V: Visibility> HeldBack<V> {
    /// Takes an event in; breaks with a whole answer at the terminal frame.
    fn take_in(self, event: StreamEvent, at: Timestamp) -> ControlFlow<Lifecycle<Completed, V>, Self> {
        let chunk = ReceiveStreamChunk { event, at };
        let ends = chunk.event == StreamEvent::End;
        let stream = match self {
            Self::Nothing(sent) => sent.on(chunk),
            Self::Events(stream) if ends => usage::settle(stream, true, at).on(chunk),
            Self::Events(stream) => stream.on(chunk),
        };
        match stream.terminal_frame() {
            Some(frame) => ControlFlow::Break(stream.on(StreamComplete { frame, at })),
            None => ControlFlow::Continue(Self::Events(stream)),
        }
    }

    fn stuck(self, at: Timestamp) -> Stuck<V> {
        match self {
            Self::Nothing(sent) => Stuck::Sent(sent),
            Self::Events(stream) => Stuck::Streaming(usage::settle(stream, false, at)),
        }
    }
}

fn is_event_stream(head: &Head) -> bool {
    let content_type =
        head.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}
