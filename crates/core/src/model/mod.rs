//! The model of a conversation: ours, not any provider's.
//!
//! Content is an ordered list of typed [`Block`]s. What a provider sends that
//! is not modelled here is kept byte for byte as [`Opaque`] and can be
//! returned to a provider of the same [`Dialect`].
//!
//! Absent is not zero: what a provider did not say is `None` or
//! [`Tokens::Unknown`].

mod ids;
mod message;
mod partial;
mod request;
mod response;
mod stream;
mod usage;

pub use ids::{Dialect, NameError, ProviderName, RequestId};
pub use message::{Block, Json, Media, MediaSource, Message, Opaque, Role, Thinking, ToolCall, ToolResult};
pub use partial::{Partial, TerminalFrame};
pub use request::{Request, Sampling, Tool, ToolChoice};
pub use response::{FinishReason, Response};
pub use stream::StreamEvent;
pub use usage::{Tokens, Usage};
