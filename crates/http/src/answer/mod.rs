//! Answers as a provider would write them, for servers that speak its dialect.
//!
//! The other half of [`codec::read_request`](crate::codec::read_request): an
//! answer of any provider, whole or as it streams, or a failure, in the words a
//! client of one of the four dialects expects. Sans-I/O, like the codecs.
//!
//! - `openai_chat`, `openai_responses`, `anthropic`, `gemini`: [`encode_answer`]
//!   and [`StreamEncoder`] for the dialect,
//! - `error`: [`encode_error`] for all of them,
//! - `carry`: what a dialect has no field for and a client gives back, such as
//!   another provider's proof of its reasoning.
//!
//! Nothing is made up: a finish reason or a terminal frame is written when the
//! provider's own was seen, and a stream that breaks off ends in an error.

mod anthropic;
mod carry;
mod error;
mod gemini;
mod openai_chat;
mod openai_responses;

use leverframe_core::{
    error::Failure,
    model::{Dialect, Json, Response, Signature, StreamEvent},
};
use serde::Serialize;

pub use carry::restore;
pub use error::{EncodedError, encode_error, status};

/// What is said of an answer where its provider said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// An id, without the prefix of a dialect.
    pub id: String,
    /// The model, as the caller named it.
    pub model: String,
    /// When it was asked for, in seconds since the Unix epoch.
    pub created: u64,
}

impl Told {
    /// The provider's id where it is of the caller's dialect; else ours, under the
    /// dialect's prefix.
    fn id(&self, prefix: &str, provider: Option<&str>) -> String {
        match provider {
            Some(id) if id.starts_with(prefix) => id.to_owned(),
            _ => format!("{prefix}{}", self.id),
        }
    }

    fn model<'a>(&'a self, provider: Option<&'a str>) -> &'a str {
        provider.unwrap_or(&self.model)
    }
}

/// How a stream is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamForm {
    /// Whether an OpenAI Chat stream tells its usage before it ends
    /// (`stream_options.include_usage`). The others always do.
    pub usage: bool,
    /// Whether a Gemini stream is one JSON array, as without `alt=sse`.
    pub array: bool,
}

/// Writes the body of a whole answer.
pub fn encode_answer(dialect: Dialect, told: &Told, response: &Response) -> Vec<u8> {
    match dialect {
        Dialect::Anthropic => anthropic::whole(told, response),
        Dialect::Gemini => gemini::whole(told, response),
        Dialect::OpenAiChat => openai_chat::whole(told, response),
        Dialect::OpenAiResponses => openai_responses::whole(told, response),
    }
}

/// Writes a stream, event by event.
#[derive(Debug)]
pub struct StreamEncoder {
    inner: Inner,
    /// The beginning of a call, until it is known whether a signature follows:
    /// other dialects than Gemini's carry it ahead of the call or with its beginning.
    held: Option<StreamEvent>,
}

#[derive(Debug)]
enum Inner {
    Anthropic(anthropic::Stream),
    Gemini(gemini::Stream),
    OpenAiChat(openai_chat::Stream),
    OpenAiResponses(Box<openai_responses::Stream>),
}

impl StreamEncoder {
    /// A stream in `dialect`.
    pub fn new(dialect: Dialect, told: Told, form: StreamForm) -> Self {
        let inner = match dialect {
            Dialect::Anthropic => Inner::Anthropic(anthropic::Stream::new(told)),
            Dialect::Gemini => Inner::Gemini(gemini::Stream::new(told, form.array)),
            Dialect::OpenAiChat => Inner::OpenAiChat(openai_chat::Stream::new(told, form.usage)),
            Dialect::OpenAiResponses => Inner::OpenAiResponses(Box::new(openai_responses::Stream::new(told))),
        };
        Self { inner, held: None }
    }

    /// Writes what an event becomes, which may be nothing.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if let Some(start) = self.held.take() {
            if let Some((index, signature)) = signature_of(&start, event) {
                self.sign_ahead(index, &signature, out);
                return self.write(&start, out);
            }
            self.write(&start, out);
        }
        match event {
            StreamEvent::ToolCallStart { .. } if !matches!(self.inner, Inner::Gemini(_)) => {
                self.held = Some(event.clone());
            }
            event => self.write(event, out),
        }
    }

    /// The call that comes next, of this block, is signed.
    fn sign_ahead(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        match &mut self.inner {
            Inner::Anthropic(stream) => stream.sign_ahead(index, signature, out),
            Inner::OpenAiChat(stream) => stream.sign_next(signature),
            Inner::OpenAiResponses(stream) => stream.sign_ahead(index, signature, out),
            Inner::Gemini(_) => {}
        }
    }

    fn write(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match &mut self.inner {
            Inner::Anthropic(stream) => stream.push(event, out),
            Inner::Gemini(stream) => stream.push(event, out),
            Inner::OpenAiChat(stream) => stream.push(event, out),
            Inner::OpenAiResponses(stream) => stream.push(event, out),
        }
    }

    /// Ends the stream in an error. Nothing may be written after it.
    pub fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if let Some(start) = self.held.take() {
            self.write(&start, out);
        }
        match &mut self.inner {
            Inner::Anthropic(_) => {
                let error = encode_error(Dialect::Anthropic, failure, None);
                frame_raw(out, Some("error"), &error.body);
            }
            Inner::Gemini(stream) => stream.fail(failure, out),
            Inner::OpenAiChat(_) => {
                frame_raw(out, None, &encode_error(Dialect::OpenAiChat, failure, None).body);
            }
            Inner::OpenAiResponses(stream) => stream.fail(failure, out),
        }
    }

    /// The media type of what is written.
    pub fn content_type(&self) -> &'static str {
        match &self.inner {
            Inner::Gemini(stream) if stream.is_array() => "application/json; charset=UTF-8",
            _ => "text/event-stream; charset=utf-8",
        }
    }
}

/// The block and the signature of the call that has begun, if that is what came next.
fn signature_of(start: &StreamEvent, next: &StreamEvent) -> Option<(u32, Signature)> {
    match (start, next) {
        (
            StreamEvent::ToolCallStart { index: of, .. },
            StreamEvent::Signature { index, dialect, signature },
        ) if index == of => Some((*index, Signature { dialect: *dialect, value: signature.to_string() })),
        _ => None,
    }
}

/// Ends a stream in an error that was not written by a [`StreamEncoder`], but
/// forwarded as its provider wrote it.
pub fn encode_break(dialect: Dialect, failure: &Failure, out: &mut Vec<u8>) {
    let body = || encode_error(dialect, failure, None).body;
    match dialect {
        Dialect::Anthropic => frame_raw(out, Some("error"), &body()),
        Dialect::Gemini | Dialect::OpenAiChat => frame_raw(out, None, &body()),
        Dialect::OpenAiResponses => openai_responses::break_off(failure, out),
    }
}

/// Writes one server-sent event.
fn frame(out: &mut Vec<u8>, name: Option<&str>, data: &impl Serialize) {
    begin_frame(out, name);
    write_json(out, data);
    out.extend_from_slice(b"\n\n");
}

fn frame_raw(out: &mut Vec<u8>, name: Option<&str>, data: &[u8]) {
    begin_frame(out, name);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn begin_frame(out: &mut Vec<u8>, name: Option<&str>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
}

/// Writes plain data as JSON, which cannot fail: no map of ours has keys that
/// are no text, and memory does not refuse bytes.
fn write_json(out: &mut Vec<u8>, data: &impl Serialize) {
    let written = serde_json::to_writer(&mut *out, data);
    debug_assert!(written.is_ok(), "plain data");
}

fn json(data: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    write_json(&mut out, data);
    out
}

/// A tool call's arguments as a JSON object. What the model wrote may be none:
/// then there is no way of saying it but as a text.
fn arguments_object(arguments: &str) -> Json {
    let is_object = |json: &Json| json.as_str().trim_start().starts_with('{');
    let parsed = Json::parse(arguments).ok().filter(is_object);
    parsed.or_else(|| Json::parse(wrapped(arguments)).ok()).unwrap_or_else(empty_object)
}

fn wrapped(arguments: &str) -> String {
    match arguments.trim().is_empty() {
        true => "{}".to_owned(),
        false => serde_json::json!({ "invalid_json": arguments }).to_string(),
    }
}

fn empty_object() -> Json {
    match Json::parse("{}") {
        Ok(json) => json,
        Err(_) => unreachable!("it is JSON"),
    }
}

#[cfg(test)]
mod tests;
