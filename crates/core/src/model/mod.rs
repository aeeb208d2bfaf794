//! The model of a conversation: ours, not any provider's.
//!
//! Content is an ordered list of typed [`Block`]s. What a provider sends that
//! is not modelled here is kept byte for byte, whole blocks as [`Opaque`] and
//! fields as [`Extra`], and can be returned to a provider of the same
//! [`Dialect`].
//!
//! Absent is not zero: what a provider did not say is `None` or
//! [`Tokens::Unknown`].

mod block;
mod extra;
mod ids;
mod message;
mod original;
mod partial;
mod request;
mod response;
mod settings;
mod stream;
mod tool;
mod usage;

pub use block::{
    Block, Citation, Media, MediaSource, Refusal, Signature, Text, Thinking, ToolCall, ToolResult,
};
pub use extra::{Extra, Field, Json, Opaque};
pub use ids::{Dialect, Family, KeyLabel, NameError, ProviderName, RequestId};
pub use message::{Message, Role};
pub use original::Original;
pub use partial::{Partial, TerminalFrame};
pub use request::{OnBreak, Request};
pub use response::{FinishReason, Response};
pub use settings::{
    CacheControl, CacheTtl, Effort, Losses, OutputFormat, Reasoning, SafetySetting, Sampling, Schema,
    ServiceTier, Summary, ThinkingMode,
};
pub use stream::{AUDIO_PIECES, Place, StreamEvent};
pub use tool::{Function, Tool, ToolChoice};
pub use usage::{Tokens, Usage};
