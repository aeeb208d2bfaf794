//! Gemini, `POST {base}/v1beta/models/{model}:generateContent` and
//! `:streamGenerateContent?alt=sse`; the answers of Vertex are read as well.
//!
//! The key goes in the `x-goog-api-key` header, never in the URL, which ends
//! up in logs. The first candidate is the answer; if others were asked for,
//! they are kept as they came.
//!
//! # Parts and their signatures
//!
//! A turn is a list of parts. A part may carry a `thoughtSignature`, which
//! must come back on the same part: Gemini 3 refuses a function call without
//! it. So adjacent texts and adjacent thoughts are joined into one block, but
//! never a part with a signature: it is a block of its own, with
//! [`Text::signature`], [`Thinking::signature`] or [`ToolCall::signature`].
//! A text may be empty but for its signature, which often ends a stream.
//!
//! Of an answer, everything but text, thoughts and function calls
//! (`executableCode`, `codeExecutionResult`, `inlineData`, `toolCall`, ...) is
//! opaque. What is said beside the parts (grounding, citations, safety ratings,
//! log probabilities, other candidates, usage in Google's own words) is in
//! [`Response::extra`] under its own name. In a stream the last of each holds;
//! the lists of `logprobsResult` and the other candidates cover one chunk each
//! and are strung together.
//!
//! # What is written as something else
//!
//! A request that is read and written again says the same, in these words:
//! names in camel case; `user` for a role that is missing or `function`; one
//! entry of `tools` for all functions and one for each other tool; no
//! parameters for an object without properties; base64 with padding; the id of
//! a call on its result, where the call has one. Both ways of writing a schema
//! are kept: one in Google's own language is translated for other dialects and
//! goes back to Google as it came. A setting the model does not know, or would
//! say in another word (`thinkingLevel: XHIGH`, `text/x.enum`), is merged into
//! the object it came in; where the model says the same setting, the model's
//! word is sent.
//!
//! # Tool calls
//!
//! Models before Gemini 3.5 give calls no id. One is made up then, which
//! begins with `gemini_` and is not sent back. A result without an id answers
//! the first open call of its name. The tool's name, which a result needs, is
//! looked up from the call it answers; a result whose call is not in the
//! conversation keeps it in its [`ToolResult::extra`]. The answer to a call
//! must be an object: text that is one goes as it is, all else as its `result`,
//! or as its `error` when the tool failed. Arguments that come in pieces are
//! put together and handed over whole, up to a bound.
//!
//! # How an answer ends
//!
//! A stream has no terminal frame: it is complete at the end of the body, if
//! a finish reason was given. It may be given twice (code execution), usage may
//! shrink on the way and may come last of all, and an error may follow as bare
//! JSON without `data:`. A blocked prompt is an answer without content, with
//! the block reason as its finish reason.
//!
//! Sources: Gemini API reference (`generateContent`, thought signatures,
//! function calling, troubleshooting), Vertex AI reference, the types of
//! google-genai 3.4, googleapis `google/rpc/error_details.proto`, recordings.
//!
//! [`Response::extra`]: leverframe_core::model::Response::extra
//! [`Text::signature`]: leverframe_core::model::Text::signature
//! [`ToolResult::extra`]: leverframe_core::model::ToolResult::extra
//! [`Thinking::signature`]: leverframe_core::model::Thinking::signature
//! [`ToolCall::signature`]: leverframe_core::model::ToolCall::signature

mod arguments;
pub(super) mod count;
pub(super) mod error;
mod fast;
pub(super) mod models;
pub(super) mod request;
pub(super) mod response;
mod schema;
pub(super) mod stream;
mod usage;
mod wire;
