//! One codec per provider API: a request in, bytes out; bytes in, values out.
//!
//! Codecs are sans-I/O. They run the same in a test, in a fuzzer and behind a
//! socket. Each dialect has a folder with the same five files:
//!
//! - `wire`: the JSON as the provider defines it,
//! - `request`: [`encode`] for the dialect,
//! - `response`: [`decode`] for the dialect,
//! - `stream`: the dialect's half of [`StreamDecoder`],
//! - `error`: [`read_error`] for the dialect.
//!
//! To add an API: write such a folder, add a [`Dialect`], and follow the
//! compiler to the matches on it. What all of them share is in `endpoint`
//! (where to send), `post` (how), `text` (strings that stay where they
//! arrived) and `failure` (the same words for the same trouble).

mod anthropic;
mod endpoint;
mod failure;
mod gemini;
mod openai_chat;
mod post;
mod stream;
mod text;

use bytes::Bytes;
use http::HeaderMap;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Dialect, Request, Response},
};

pub use endpoint::{Endpoint, EndpointError};
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

/// Writes the HTTP request for one call.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the field, for whatever the dialect
/// cannot express: nothing is dropped silently.
pub fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<http::Request<Bytes>, Failure> {
    match endpoint.dialect() {
        Dialect::Anthropic => anthropic::request::encode(endpoint, call),
        Dialect::Gemini => gemini::request::encode(endpoint, call),
        Dialect::OpenAiChat => openai_chat::request::encode(endpoint, call),
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
        Dialect::OpenAiChat => openai_chat::error::read(status, headers, &text),
    }
}

/// The provider's id of the call, to be quoted to its support. Gemini has none
/// in its headers.
pub fn provider_request_id(dialect: Dialect, headers: &HeaderMap) -> Option<String> {
    match dialect {
        Dialect::Anthropic => anthropic::error::request_id(headers),
        Dialect::OpenAiChat => openai_chat::error::request_id(headers),
        Dialect::Gemini => None,
    }
}

fn utf8(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body)
        .map_err(|error| Failure::new(ErrorKind::Unreadable, "the answer is not UTF-8").with_source(error))
}
