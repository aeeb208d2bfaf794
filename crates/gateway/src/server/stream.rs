//! An answer that goes back as it arrives.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use leverframe_router::{
    Dialect, ResponseStream, StreamEvent,
    dialect::{StreamEncoder, encode_break},
};

use super::allowance::Taken;

/// Bytes that are gathered before they are sent, where more is ready at once.
const GATHERED: usize = 16 << 10;

/// A stream on its way to the client. Dropped with the client's connection,
/// and what is asked of the provider with it.
pub(super) struct Streamed {
    /// `None` when it is over.
    stream: Option<ResponseStream>,
    form: Form,
    gathered: Vec<u8>,
    first: First,
    taken: Option<Taken>,
}

/// How far the first piece is: it does not wait for those that come with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    ToCome,
    /// It was handed over, and has to be sent before more is.
    Handed,
    Sent,
}

/// What the client gets.
pub(super) enum Form {
    /// The answer in its dialect.
    Written(Box<StreamEncoder>),
    /// The provider's own bytes: they are in its dialect.
    Forwarded(Dialect, Usage),
}

/// What becomes of the usage at the end of an OpenAI Chat stream, which the
/// router asks for whether or not the client did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// The client wants it, or its dialect always has it.
    Told,
    /// The client did not ask for it.
    Hidden,
    /// The client did not ask for it, and it has come.
    Found,
}

impl Streamed {
    pub(super) fn new(stream: ResponseStream, form: Form, taken: Option<Taken>) -> Self {
        Self { stream: Some(stream), form, gathered: Vec::new(), first: First::ToCome, taken }
    }

    /// All that is ready, in one piece.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.first == First::Handed {
            self.first = First::Sent;
            // Whoever sends does so when there is no more for now.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while let Some(stream) = &mut self.stream {
            match Pin::new(&mut *stream).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => {
                    let is_first = self.first == First::ToCome;
                    let enough = match &mut self.form {
                        Form::Written(encoder) => {
                            encoder.push(&event, &mut self.gathered);
                            self.gathered.len() >= GATHERED || (is_first && !self.gathered.is_empty())
                        }
                        Form::Forwarded(_, usage) => {
                            if *usage == Usage::Hidden && matches!(event, StreamEvent::Usage(_)) {
                                *usage = Usage::Found;
                            }
                            (is_first || stream.original_ready() >= GATHERED) && {
                                forward(stream, &mut self.form, &mut self.gathered);
                                !self.gathered.is_empty()
                            }
                        }
                    };
                    if enough {
                        break;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    forward(stream, &mut self.form, &mut self.gathered);
                    match &mut self.form {
                        Form::Written(encoder) => encoder.fail(error.failure(), &mut self.gathered),
                        Form::Forwarded(dialect, _) => {
                            encode_break(*dialect, error.failure(), &mut self.gathered);
                        }
                    }
                    self.end();
                }
                Poll::Ready(None) => {
                    forward(stream, &mut self.form, &mut self.gathered);
                    self.end();
                }
                Poll::Pending => {
                    forward(stream, &mut self.form, &mut self.gathered);
                    if self.gathered.is_empty() {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        if self.first == First::ToCome && self.stream.is_some() {
            self.first = First::Handed;
        }
        let piece = mem::take(&mut self.gathered);
        Poll::Ready((!piece.is_empty()).then(|| Bytes::from(piece)))
    }

    fn end(&mut self) {
        let record = self.stream.take().and_then(|stream| stream.record().cloned());
        if let (Some(taken), Some(record)) = (self.taken.take(), record) {
            taken.settle(&record);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // The client went away: what it cost until then is counted.
        if let (Some(stream), Some(taken)) = (self.stream.take(), self.taken.take())
            && let Some(record) = stream.cancel()
        {
            taken.settle(&record);
        }
    }
}

/// Takes what has come and was read, where it goes on as it came.
fn forward(stream: &mut ResponseStream, form: &mut Form, gathered: &mut Vec<u8>) {
    let Form::Forwarded(_, usage) = form else { return };
    let from = gathered.len();
    // Taken at every turn, so nothing is ever let go of.
    stream.take_original(gathered);
    if *usage == Usage::Found {
        let forwarded = without_usage(gathered.get(from..).unwrap_or_default());
        if let Some(forwarded) = forwarded {
            gathered.truncate(from);
            gathered.extend_from_slice(&forwarded);
            *usage = Usage::Hidden;
        }
    }
}

/// The events without the one that only tells the usage; `None` where there is
/// none.
fn without_usage(events: &[u8]) -> Option<Vec<u8>> {
    let kept: Vec<_> = events_in(events).filter(|event| !is_only_usage(event)).collect();
    let without = kept.concat();
    (without.len() < events.len()).then_some(without)
}

/// Each event with its blank line.
fn events_in(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ends = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"];
        let end = ends.iter().filter_map(|end| Some(memchr::memmem::find(bytes, end)? + end.len())).min();
        let (event, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len()))?;
        bytes = rest;
        (!event.is_empty()).then_some(event)
    })
}

fn is_only_usage(event: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Vec<&'a serde_json::value::RawValue>,
        #[serde(borrow)]
        usage: Option<&'a serde_json::value::RawValue>,
    }
    let Some(at) = memchr::memmem::find(event, b"data:") else { return false };
    let data = event.get(at + b"data:".len()..).unwrap_or_default();
    let chunk = serde_json::from_slice::<Chunk<'_>>(data.trim_ascii());
    chunk.is_ok_and(|chunk| chunk.choices.is_empty() && chunk.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_event_that_tells_the_usage_is_left_out() {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"data: \"}}],\"usage\":null}\n\n";
        let filters = "data: {\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\n";
        let usage = "data: {\"choices\": [], \"usage\": {\"total_tokens\":3}}\n\n";
        let done = "data: [DONE]\n\n";
        let stream = [": hello\n\n", text, filters, usage, done].concat();
        let without = without_usage(stream.as_bytes()).expect("it is there");
        assert_eq!(String::from_utf8_lossy(&without), [": hello\n\n", text, filters, done].concat());
        assert_eq!(without_usage(&without), None);
        assert_eq!(without_usage(b""), None);
    }
}
