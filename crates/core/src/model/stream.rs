//! What arrives while a model answers.

use bytestring::ByteString;

use super::{FinishReason, Opaque, Usage};

/// One event of a streamed answer, the same for every provider.
///
/// `index` names the content block an event belongs to. Indexes are given by
/// the codec, start at 0 and ascend; blocks of one answer never share one.
/// Texts are slices of the network buffer they came in, where possible.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The provider has begun to answer. May come more than once; later values win.
    Start {
        /// The provider's id of the answer.
        id: Option<ByteString>,
        /// The model that answers.
        model: Option<ByteString>,
    },
    /// More text.
    TextDelta {
        /// The block.
        index: u32,
        /// What to append.
        text: ByteString,
    },
    /// More reasoning.
    ThinkingDelta {
        /// The block.
        index: u32,
        /// What to append.
        text: ByteString,
    },
    /// The signature of a thinking block or a tool call, whole.
    Signature {
        /// The block.
        index: u32,
        /// The provider's proof.
        signature: ByteString,
    },
    /// More of a refusal.
    RefusalDelta {
        /// The block.
        index: u32,
        /// What to append.
        text: ByteString,
    },
    /// A tool call begins.
    ToolCallStart {
        /// The block.
        index: u32,
        /// Ties the result to the call.
        id: ByteString,
        /// The tool.
        name: ByteString,
    },
    /// More of a tool call's arguments.
    ToolCallDelta {
        /// The block.
        index: u32,
        /// JSON text to append; not valid by itself.
        arguments: ByteString,
    },
    /// A block is complete. Not every dialect says so for every block.
    BlockEnd {
        /// The block.
        index: u32,
    },
    /// A whole block that is not modelled.
    Opaque {
        /// The block.
        index: u32,
        /// The provider's JSON.
        block: Opaque,
    },
    /// Usage so far. Cumulative: it replaces every earlier one.
    Usage(Usage),
    /// Why the model stopped. May come more than once; the last one holds.
    Finish {
        /// In shared words.
        reason: FinishReason,
        /// In the provider's words.
        raw: ByteString,
        /// The stop sequence that was hit.
        stop_sequence: Option<ByteString>,
    },
    /// The provider's terminal frame: the answer is whole. Always last.
    ///
    /// What counts as terminal is the dialect's rule (Anthropic
    /// `message_stop`; OpenAI `[DONE]`, or the end of the body after a finish
    /// reason; Gemini the end of the body after a finish reason). A body that
    /// ends without it was interrupted.
    End,
}

impl StreamEvent {
    /// Whether the caller learns something of the answer from it.
    ///
    /// The first such event commits a stream: from then on nothing may be
    /// sent again behind the caller's back.
    pub fn is_content(&self) -> bool {
        match self {
            Self::TextDelta { text, .. }
            | Self::RefusalDelta { text, .. }
            | Self::ThinkingDelta { text, .. } => !text.is_empty(),
            Self::ToolCallStart { .. } | Self::ToolCallDelta { .. } | Self::Opaque { .. } => true,
            Self::Start { .. }
            | Self::Signature { .. }
            | Self::BlockEnd { .. }
            | Self::Usage(_)
            | Self::Finish { .. }
            | Self::End => false,
        }
    }
}
