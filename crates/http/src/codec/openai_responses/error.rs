//! What an error of OpenAI Responses means.
//!
//! Before an answer begins the errors are those of Chat, and read as such.
//! Within one they come as an `error` event, flat (as the SDK types have it) or
//! nested (as it is sent), or as a `response.failed` whose response has the
//! error.

use http::HeaderMap;
use leverframe_core::error::{ErrorKind, Failure};

use super::wire::Response;
use crate::codec::openai_chat;

/// Reads an answer whose status says it failed.
pub(in crate::codec) fn read(status: u16, headers: &HeaderMap, text: &str) -> Failure {
    openai_chat::error::read(status, headers, text)
}

/// Reads an error that came inside an answer. `None` when `text` is not one.
pub(super) fn read_inside(text: &str) -> Option<Failure> {
    openai_chat::error::read_inside(text)
}

/// The provider's id of the call.
pub(in crate::codec) fn request_id(headers: &HeaderMap) -> Option<String> {
    openai_chat::error::request_id(headers)
}

/// The failure of a response that says it failed. `text` is the whole of it.
pub(super) fn failed(response: &Response<'_>, text: &str) -> Failure {
    let said = response.error.and_then(|error| read_inside(error.get())).or_else(|| read_inside(text));
    said.unwrap_or_else(|| Failure::new(ErrorKind::Server, "the provider reports that the response failed"))
}
