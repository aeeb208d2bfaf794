//! One HTTP exchange, up to a whole answer or the first content of a stream.

use std::{ops::ControlFlow, time::Duration};

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use leverframe_core::{
    error::{ErrorKind, Failure},
    lifecycle::{
        Lifecycle, On, ReceiveResponse, ReceiveStreamChunk, Requesting, Sent, StreamComplete, Streaming,
    },
    model::{Dialect, FinishReason, Response, StreamEvent},
    time::Timestamp,
};
use leverframe_http::{
    codec::{self, StreamDecoder},
    transport::{Body, Clocks, TransportError},
};

use super::{
    Drive, Reached,
    attempt::{Broken, Stuck},
    transport_failure, usage,
};
use crate::stream::Live;

/// Most bytes of an error's body that are read.
const MAX_ERROR_BODY: usize = 1 << 20;

/// Most events without content that are held back before the first content.
/// A provider that sends more is not answering.
const MAX_HELD_BACK: usize = 10_000;

/// The headers of a good answer.
type Head = http::Response<Body>;

impl Drive<'_> {
    /// One exchange. What breaks comes back with the state it broke in.
    pub(super) async fn exchange(
        &mut self,
        mut sent: Lifecycle<Requesting<Sent>>,
        request: http::Request<Bytes>,
    ) -> Result<Reached, Broken> {
        let dialect = sent.route().dialect;
        let head = match self.headers(dialect, request).await {
            Ok(head) => head,
            Err(failure) => return Err(Broken::new(Stuck::Sent(sent), failure)),
        };
        let id = codec::provider_request_id(dialect, head.headers());
        sent.named(id.clone());
        if self.streamed && is_event_stream(&head) {
            return self.first_content(sent, dialect, head, id).await;
        }
        match self.whole(dialect, head).await {
            Ok(mut response) => {
                response.usage = usage::of_response(sent.route(), &sent.request(), &response);
                let events = if self.streamed { StreamEvent::replay(&response) } else { Vec::new() };
                let at = self.inner.now();
                Ok(Reached::Whole(sent.on(ReceiveResponse { response, at }), events))
            }
            Err(failure) => Err(Broken::new(Stuck::Sent(sent), failure)),
        }
    }

    /// Sends and waits for the headers; a bad status is a failure.
    async fn headers(&self, dialect: Dialect, request: http::Request<Bytes>) -> Result<Head, Failure> {
        let sent = self.inner.transport.send(request, &self.clocks()).await;
        let response = sent.map_err(|error| self.failure(error))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(http::Response::from_parts(head, body));
        }
        // What can be read of the body explains the status; the status alone is enough.
        let body = body.collect(MAX_ERROR_BODY).await.unwrap_or_default();
        Err(codec::read_error(dialect, head.status.as_u16(), &head.headers, &body))
    }

    /// The configured clocks, clipped by the deadline. While other routes are
    /// left, a provider that does not begin to answer gets no more than its
    /// share of the time, so that they can still be tried.
    fn clocks(&self) -> Clocks {
        let now = self.inner.now();
        let left = self.deadline.remaining(now);
        let routes_left = u32::try_from(self.plan.remaining().count()).unwrap_or(u32::MAX);
        let share = left / routes_left.saturating_add(1);
        let clocks = self.inner.settings.clocks;
        let total = Some(self.deadline.clip(clocks.total.unwrap_or(Duration::MAX), now));
        if routes_left == 0 {
            return Clocks { total, ..clocks };
        }
        let (headers, first_token) = (clocks.headers.min(share), clocks.first_token.min(share));
        Clocks { headers, first_token, total, ..clocks }
    }

    async fn whole(&self, dialect: Dialect, head: Head) -> Result<Response, Failure> {
        let (head, body) = head.into_parts();
        let body = body.collect(usize::MAX).await.map_err(|error| self.failure(error))?;
        let response = codec::decode(dialect, &head.headers, &body)
            .map_err(|failure| failure.with_status(head.status.as_u16()))?;
        match no_answer(&response.finish, response.finish_raw.as_deref().unwrap_or_default()) {
            Some(failure) if response.content.is_empty() => Err(failure.with_status(head.status.as_u16())),
            _ => Ok(response),
        }
    }

    /// Reads a stream up to its first content, so that what breaks before it
    /// can be tried again unseen.
    async fn first_content(
        &self,
        sent: Lifecycle<Requesting<Sent>>,
        dialect: Dialect,
        head: Head,
        provider_request_id: Option<String>,
    ) -> Result<Reached, Broken> {
        let mut body = head.into_body();
        let mut decoder = StreamDecoder::new(dialect, self.inner.settings.stream_limits);
        let mut held = HeldBack::Nothing(sent);
        let mut events = Vec::new();
        let mut no_content = None;
        loop {
            let event = match self.next_event(&mut decoder, &mut body).await {
                Ok(event) => event,
                Err(failure) => {
                    return Err(Broken::new(
                        held.stuck(self.inner.now()),
                        inside(failure, provider_request_id),
                    ));
                }
            };
            if let StreamEvent::Finish { reason, raw, .. } = &event {
                no_content = no_answer(reason, raw);
            }
            if event == StreamEvent::End
                && let Some(failure) = no_content
            {
                return Err(Broken::new(held.stuck(self.inner.now()), inside(failure, provider_request_id)));
            }
            events.push(event.clone());
            let begun = event.is_content();
            let now = self.inner.now();
            held = match held.take_in(event, now) {
                ControlFlow::Continue(held) => held,
                ControlFlow::Break(completed) => return Ok(Reached::Whole(completed, events)),
            };
            if begun && let HeldBack::Events(stream) = held {
                body.first_token_seen();
                let (lifecycle, deadline) = (stream.commit(), self.deadline);
                let held = events.into();
                let live = Live { lifecycle, held, decoder, body, deadline, provider_request_id, now };
                return Ok(Reached::Begun(live));
            }
            if events.len() > MAX_HELD_BACK {
                let message = format!("the stream has more than {MAX_HELD_BACK} events and no content");
                return Err(Broken::new(
                    held.stuck(self.inner.now()),
                    Failure::new(ErrorKind::Unreadable, message),
                ));
            }
        }
    }

    async fn next_event(&self, decoder: &mut StreamDecoder, body: &mut Body) -> Result<StreamEvent, Failure> {
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
                Some(Ok(chunk)) => decoder.push(chunk),
                Some(Err(error)) => return Err(self.failure(error)),
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

/// A stream of which nothing was handed over.
enum HeldBack {
    Nothing(Lifecycle<Requesting<Sent>>),
    Events(Lifecycle<Streaming>),
}

impl HeldBack {
    /// Takes an event in; breaks with a whole answer at the terminal frame.
    fn take_in(
        self,
        event: StreamEvent,
        at: Timestamp,
    ) -> ControlFlow<Lifecycle<leverframe_core::lifecycle::Completed>, Self> {
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

    fn stuck(self, at: Timestamp) -> Stuck {
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
