//! Gemini, `POST {base}/v1beta/models/{model}:generateContent` and
//! `:streamGenerateContent?alt=sse`; the answers of Vertex are read as well.
//!
//! The key goes in the `x-goog-api-key` header, never in the URL, which ends
//! up in logs. One candidate is asked for, so only the first is read.
//!
//! # Parts and their signatures
//!
//! A turn is a list of parts. A part may carry a `thoughtSignature`, which
//! must come back on the same part: Gemini 3 refuses a function call without
//! it. So adjacent texts and adjacent thoughts are joined into one block, but
//! never a part with a signature, and it is kept like this:
//!
//! - function call: [`ToolCall::signature`];
//! - thought: [`Thinking::signature`];
//! - text: a [`Thinking`] block without text, which has the signature, before
//!   the text block;
//! - empty text, which often ends a stream: such a thinking block alone.
//!
//! Written back, a thinking block without text is joined with the text block
//! right after it, or becomes a part with empty text.
//!
//! Everything but text, thoughts and function calls (`executableCode`,
//! `codeExecutionResult`, `inlineData`, `toolCall`, ...) is opaque. Findings
//! beside the parts (grounding, citations, safety ratings, log probabilities)
//! are not read.
//!
//! # Tool calls
//!
//! Models before Gemini 3.5 give calls no id. One is made up then, which
//! begins with `gemini_` and is not sent back. A result is matched by the
//! tool's name, which is looked up from the call it answers. The answer to a
//! call must be an object: text that is one goes as it is, all else as its
//! `result`, or as its `error` when the tool failed.
//!
//! # How an answer ends
//!
//! A stream has no terminal frame: it is complete at the end of the body, if
//! a finish reason was given. It may be given twice (code execution), and an
//! error may follow it as bare JSON without `data:`. A blocked prompt is an
//! answer without content, with the block reason as its finish reason.
//!
//! Sources: Gemini API reference (`generateContent`, thought signatures,
//! function calling, troubleshooting), Vertex AI reference, the types of
//! google-genai 3.4, googleapis `google/rpc/error_details.proto`, recordings.
//!
//! [`Thinking`]: leverframe_core::model::Thinking
//! [`Thinking::signature`]: leverframe_core::model::Thinking::signature
//! [`ToolCall::signature`]: leverframe_core::model::ToolCall::signature

pub(super) mod count;
pub(super) mod error;
mod fast;
pub(super) mod models;
pub(super) mod request;
pub(super) mod response;
mod schema;
pub(super) mod stream;
mod wire;
