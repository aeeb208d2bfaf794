//! One codec per provider API: a request in, bytes out; bytes in, values out.
//!
//! Codecs are sans-I/O. They run the same in a test, in a fuzzer and behind a
//! socket. Each dialect has a folder of the same shape:
//!
//! - `request/`: [`encode`] (`mod` the settings, `messages`, `contents` or
//!   `input` the conversation) and [`read_request`] (`read`) for the dialect,
//! - `wire`: the JSON of an answer as the provider defines it, and `usage` its
//!   token counts,
//! - `response`: [`decode`] for the dialect,
//! - `stream`: the dialect's half of [`StreamDecoder`], and `fast` the short way
//!   of reading the event that nearly every event is,
//! - `error`: [`read_error`] for the dialect,
//! - `count` and `models`, where the provider offers it: how many tokens a
//!   request has ([`encode_count`]), and which models there are
//!   ([`encode_models`]).
//!
//! To add an API: write such a folder, add a [`Dialect`], and follow the
//! compiler to the matches on it. `openai_responses` is the plainest to start
//! from. What all of them share:
//!
//! - to write: `endpoint` (where to send), `post` (how), `forward` (what needs
//!   no writing) and `kept` (what needs none on its way back), `writer` (losses, and
//!   what is written back as it came), `cache`;
//! - to read: `object` (fields are taken one by one, the rest is kept), `path`
//!   (where in a request something is), `text` (strings that stay where they
//!   arrived), `scan` (a quick walk over JSON), `failure` (the same words for
//!   the same trouble).

mod anthropic;
mod cache;
mod endpoint;
mod failure;
mod forward;
mod gemini;
mod kept;
mod object;
mod openai_chat;
mod openai_responses;
mod path;
mod post;
mod scan;
mod services;
mod stream;
mod text;
mod writer;

use bytes::Bytes;
use http::HeaderMap;
use leverframe_core::{
    error::{ErrorKind, Failure},
    loss::Loss,
    model::{Dialect, Request, Response},
};

pub use endpoint::{Auth, Compat, Endpoint, EndpointError, ReasoningField};
pub use services::{ModelInfo, ModelPage, decode_count, decode_models, encode_count, encode_models};
pub use stream::StreamDecoder;

/// What to send: a validated request and how to ask for the answer.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What the caller asks for. Its `model` is ignored in favour of the route's.
    pub request: &'a Request,
    /// The model as the provider names it.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// An HTTP request, and what it does not say of what was asked.
#[derive(Debug)]
pub struct Encoded {
    /// What to send.
    pub request: http::Request<Bytes>,
    /// What the dialect could not express. Within what
    /// [`Request::losses`] allows.
    pub losses: Vec<Loss>,
}

/// Writes the HTTP request for one call, or sends on the one its caller wrote
/// ([`Request::original`]).
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the field, for the first loss beyond
/// what [`Request::losses`] allows; [`ErrorKind::InvalidRequest`] for what
/// makes no sense anywhere.
pub fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    if let Some(forwarded) = forward::forward(endpoint, call) {
        return Ok(forwarded);
    }
    match endpoint.dialect() {
        Dialect::Anthropic => anthropic::request::encode(endpoint, call),
        Dialect::Gemini => gemini::request::encode(endpoint, call),
        Dialect::OpenAiChat => openai_chat::request::encode(endpoint, call),
        Dialect::OpenAiResponses => openai_responses::request::encode(endpoint, call),
    }
}

/// A request as a client of a provider wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What is asked for. Fields that are not modelled are in its
    /// [`extra`](Request::extra).
    pub request: Request,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// Reads the body of a request in `dialect`. Written again for the same
/// dialect it says the same.
///
/// Gemini names the model and the way of answering in the path: there the
/// model is empty and `stream` is false, for the caller to fill in.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`], naming the field.
pub fn read_request(dialect: Dialect, body: &[u8]) -> Result<Asked, Failure> {
    let text = object::body_text(body)?;
    match dialect {
        Dialect::Anthropic => anthropic::request::read(text),
        Dialect::Gemini => gemini::request::read(text),
        Dialect::OpenAiChat => openai_chat::request::read(text),
        Dialect::OpenAiResponses => openai_responses::request::read(text),
    }
}

/// Reads the body of a successful non-streaming answer.
///
/// # Errors
/// [`ErrorKind::Unreadable`] when the body is not an answer in the dialect;
/// the classified error when it is an error with a successful status.
pub fn decode(dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<Response, Failure> {
    let text = utf8(body)?;
    match dialect {
        Dialect::Anthropic => anthropic::response::decode(headers, text),
        Dialect::Gemini => gemini::response::decode(headers, text),
        Dialect::OpenAiChat => openai_chat::response::decode(headers, text),
        Dialect::OpenAiResponses => openai_responses::response::decode(headers, text),
    }
}

/// Classifies an answer whose status says it failed.
///
/// Total: any body gives a failure, by its status if by nothing else.
pub fn read_error(dialect: Dialect, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    match dialect {
        Dialect::Anthropic => anthropic::error::read(status, headers, &text),
        Dialect::Gemini => gemini::error::read(status, headers, &text),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::error::read(status, headers, &text),
    }
}

/// The provider's id of the call, to be quoted to its support. Gemini has none
/// in its headers.
pub fn provider_request_id(dialect: Dialect, headers: &HeaderMap) -> Option<String> {
    match dialect {
        Dialect::Anthropic => anthropic::error::request_id(headers),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::error::request_id(headers),
        Dialect::Gemini => None,
    }
}

fn utf8(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body)
        .map_err(|error| Failure::new(ErrorKind::Unreadable, "the answer is not UTF-8").with_source(error))
}
