//! Anthropic Messages, `POST {base}/v1/messages`.
//!
//! # What is asked for
//!
//! `max_tokens` is required by the API and has no default there: without
//! [`Request::max_output_tokens`](leverframe_core::model::Request) the request
//! asks for [`request::DEFAULT_MAX_TOKENS`]. From version `2026-10-21` on the
//! API refuses sampling settings, so setting one for such an endpoint is an
//! error here rather than a surprise there.
//!
//! # What a message is
//!
//! An ordered list of typed blocks, much like ours. Tool results go before
//! everything else in a user message, which the API demands; empty text is left
//! out, which it refuses. A thinking block keeps its signature and goes back as
//! it came. Redacted thinking, server tools and whatever is newer are
//! [`Opaque`](leverframe_core::model::Opaque) and go back verbatim. Text with
//! citations becomes text followed by an opaque block of our own that holds
//! them, and is one block again when it goes back.
//!
//! # How an answer ends
//!
//! With `message_stop`; anything else is an interruption. `[DONE]` after it
//! (OpenRouter) is ignored, as is every event type nobody knows. An `error`
//! event is the provider's failure even though the status was 200. Usage is
//! cumulative: `message_delta` replaces what `message_start` estimated.
//!
//! Sources: Anthropic API reference (Messages, streaming, errors, versioning),
//! the types of its Python SDK 2.12.

pub(super) mod count;
pub(super) mod error;
pub(super) mod models;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;
mod wire;
