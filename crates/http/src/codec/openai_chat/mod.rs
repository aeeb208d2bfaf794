//! OpenAI Chat Completions, `POST {base}/chat/completions`, as OpenAI speaks
//! it and as the many servers do that say they are compatible.
//!
//! # What is asked for
//!
//! One choice (`n` is never sent, so only the choice with index 0 is read),
//! and usage on streams (`stream_options.include_usage`; without it OpenAI
//! reports none). The answer's bound is sent as `max_completion_tokens`,
//! because OpenAI's reasoning models reject `max_tokens`; the switch that
//! sends `max_tokens` instead comes with OpenAI-compatible providers.
//!
//! # What a message is
//!
//! Chat knows one text, one refusal and a list of tool calls for a turn, not
//! an order among them. A user turn with tool results becomes one `tool`
//! message for each result, then a `user` message with the rest. Reasoning
//! arrives as `reasoning_content` (DeepSeek, xAI, Z.ai, Qwen) or `reasoning`
//! (OpenRouter, Groq) and OpenAI has no field to send it back: a thinking
//! block is written only when the same turn carries OpenRouter's
//! `reasoning_details`, which say the same in the form the provider takes back.
//!
//! An [`Opaque`](leverframe_core::model::Opaque) block of this dialect is
//! either a content part (an object with a `type`) or an object of message
//! fields (`annotations`, `reasoning_details`, `images`, `audio`), and is
//! written back as what it was.
//!
//! # How an answer ends
//!
//! With `data: [DONE]`, or with the end of the body after a finish reason,
//! which is all that some servers send. Anything else is an interruption. A
//! chunk with an `error`, or an event named `error` (Groq), is the provider's
//! failure even though the status was 200.
//!
//! # Usage
//!
//! `prompt_tokens` includes cached and audio input, `completion_tokens`
//! includes reasoning; both are taken apart here. xAI counts reasoning beside
//! `completion_tokens`, which its `total_tokens` shows.
//!
//! Sources: OpenAI API reference (Chat, chat object and chunk object; error
//! codes guide), the types of its Python SDK 3.54, Azure OpenAI reference,
//! OpenRouter API guide (reasoning tokens, errors), and recordings of
//! compatible servers.

pub(super) mod error;
mod fast;
pub(super) mod models;
pub(super) mod request;
pub(super) mod response;
pub(super) mod stream;
mod usage;
mod wire;
