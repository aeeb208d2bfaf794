//! What arrives while a model answers.

use bytestring::ByteString;

use super::{Block, FinishReason, Opaque, Response, Usage};

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
    /// A whole answer as the events that would have built it, for a caller who
    /// asked for a stream and a server that did not stream.
    pub fn replay(response: &Response) -> Vec<Self> {
        let keep = |text: &String| ByteString::from(text.as_str());
        let mut events = vec![Self::Start {
            id: response.id.as_ref().map(keep),
            model: response.model.as_ref().map(keep),
        }];
        for (index, block) in (0..).zip(&response.content) {
            match block {
                Block::Text(text) => events.push(Self::TextDelta { index, text: keep(text) }),
                Block::Refusal(text) => events.push(Self::RefusalDelta { index, text: keep(text) }),
                Block::Thinking(thinking) => {
                    events.push(Self::ThinkingDelta { index, text: keep(&thinking.text) });
                    let signature = thinking.signature.as_ref().map(keep);
                    events.extend(signature.map(|signature| Self::Signature { index, signature }));
                }
                Block::ToolCall(call) => {
                    events.push(Self::ToolCallStart { index, id: keep(&call.id), name: keep(&call.name) });
                    events.push(Self::ToolCallDelta { index, arguments: keep(&call.arguments) });
                    let signature = call.signature.as_ref().map(keep);
                    events.extend(signature.map(|signature| Self::Signature { index, signature }));
                }
                Block::Opaque(opaque) => events.push(Self::Opaque { index, block: opaque.clone() }),
                // What a caller sends and no model answers with.
                Block::Image(_) | Block::Document(_) | Block::Audio(_) | Block::ToolResult(_) => continue,
            }
            events.push(Self::BlockEnd { index });
        }
        events.push(Self::Usage(response.usage));
        events.push(Self::Finish {
            reason: response.finish.clone(),
            raw: response.finish_raw.as_ref().map(keep).unwrap_or_default(),
            stop_sequence: response.stop_sequence.as_ref().map(keep),
        });
        events.push(Self::End);
        events
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dialect, Json, Partial, Thinking, ToolCall};

    #[test]
    fn a_replayed_answer_folds_back_to_itself() {
        let own = str::to_owned;
        let content = vec![
            Block::Thinking(Thinking { text: own("hm"), signature: Some(own("s")) }),
            Block::Text(own("Hello")),
            Block::ToolCall(ToolCall {
                id: own("1"),
                name: own("f"),
                arguments: own("{}"),
                signature: Some(own("t")),
            }),
            Block::Refusal(own("no")),
            Block::Opaque(Opaque { dialect: Dialect::Gemini, json: Json::parse("[1]").expect("JSON") }),
        ];
        let mut response = Response::new(content, FinishReason::StopSequence);
        response.id = Some(own("id"));
        response.finish_raw = Some(own("stop_sequence"));
        response.stop_sequence = Some(own("END"));
        let mut partial = Partial::new();
        StreamEvent::replay(&response).into_iter().for_each(|event| partial.push(event));
        let proof = partial.terminal_frame().expect("replayed to its end");
        assert_eq!(partial.into_response(proof), response);
    }
}
