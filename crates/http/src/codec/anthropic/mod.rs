//! Anthropic Messages, `POST {base}/v1/messages`.
//!
//! # What is asked for
//!
//! `max_tokens` is required by the API and has no default there: without
//! [`Request::max_output_tokens`](leverframe_core::model::Request) the request
//! asks for [`request::DEFAULT_MAX_TOKENS`]. From version `2026-10-21` on the
//! API refuses sampling settings: one that is set for such an endpoint is a
//! minor loss. Betas (`betas`, as in the SDKs) go in the `anthropic-beta` header.
//!
//! # What a message is
//!
//! An ordered list of typed blocks, much like ours. Tool results go before
//! everything else in a user message, which the API demands; empty text is left
//! out, which it refuses. A thinking block keeps its signature and goes back as
//! it came; one that nobody signed is not sent. Citations are those of their
//! text ([`Text::citations`](leverframe_core::model::Text)), each with its JSON.
//! Redacted thinking, server tools, calls that a server-side program makes and
//! whatever is newer are [`Opaque`](leverframe_core::model::Opaque) and go back
//! verbatim.
//!
//! What an answer says beside its blocks (`stop_details`, `container`, ...) is
//! in [`Response::extra`](leverframe_core::model::Response), what its usage says
//! beside the counts there as well, as `usage.server_tool_use` and so on: a
//! stream reports usage in parts.
//!
//! # What is written as something else
//!
//! A request that is read and written again says the same, in these words:
//! texts as blocks, but a system prompt of one plain text as a string;
//! instructions before the conversation as the system prompt; `output_format` as
//! `output_config.format`; what is the default anyway (`strict: false`,
//! `is_error: false`, a tool's type `custom`) not at all; ids of calls in the
//! letters that every provider takes. A setting the model does not know
//! (`thinking.type: between_tools`, `output_config.task_budget`) is merged into
//! the object it came in; where the model says the same setting, the model's
//! word is sent.
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
mod fast;
pub(super) mod models;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;
mod usage;
mod wire;
