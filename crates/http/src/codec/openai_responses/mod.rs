//! OpenAI Responses, `POST {base}/responses`.
//!
//! # What is asked for
//!
//! What the request says and nothing else: whether OpenAI keeps the answer
//! (`store`) is left at its default. A function is strict by default here and
//! not so with Chat, so what is left open is written as `strict: false`.
//!
//! # What a message is
//!
//! A conversation is a flat list of items: messages with parts, function calls
//! and their outputs, reasoning, and what OpenAI's own tools did. Items that
//! follow each other on the model's side are one turn of ours, and items on
//! the caller's side another. Each text knows the item it was in: the first
//! block of a message item carries the item's own fields (id, status, phase)
//! as the field [`wire::ITEM`], which is where a new item begins when it is
//! written back.
//!
//! Reasoning is a [`Thinking`](leverframe_core::model::Thinking) block: its
//! text is the summary (and the reasoning, on servers that show it), its
//! signature is `encrypted_content`, and the rest of the item is kept beside
//! it, so that it goes back as it came. A custom tool's call is a
//! [`ToolCall`](leverframe_core::model::ToolCall) whose arguments are no JSON.
//! All other items are [`Opaque`](leverframe_core::model::Opaque).
//!
//! # How an answer ends
//!
//! With `response.completed` or `response.incomplete`; `response.failed` and
//! `error` are failures even though the status was 200. Events are told apart
//! by `output_index` and `content_index`, never by item ids, which some
//! servers change between events.
//!
//! Sources: OpenAI API reference (Responses, streaming events), the types of
//! its Python SDK 3.54, recordings of OpenAI, Azure and GitHub Copilot.

pub(super) mod count;
pub(super) mod error;
mod fast;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;
mod usage;
mod wire;
