//! What arrives while a model answers.

use bytestring::ByteString;

use crate::lifecycle::Route;

use super::{Block, Citation, Dialect, Extra, Field, FinishReason, Opaque, Response, Usage};

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
    /// The signature of a block, whole.
    Signature {
        /// The block.
        index: u32,
        /// Whose it is.
        dialect: Dialect,
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
    /// A text refers to a place.
    Citation {
        /// The block.
        index: u32,
        /// The place.
        citation: Box<Citation>,
    },
    /// A field that is not modelled.
    Extra {
        /// What it belongs to.
        of: Place,
        /// Its name and value.
        field: Box<Field>,
        /// Whether its elements are added to those that came before; otherwise
        /// it takes their place.
        append: bool,
    },
    /// A block is complete. Comes once for every text, tool call and thinking
    /// block that is not cut short.
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
    /// The answer broke off, and another route goes on with it from here.
    Switched(Box<Route>),
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
    /// `message_stop`; OpenAI Chat `[DONE]`, or the end of the body after a finish
    /// reason; OpenAI Responses `response.completed`; Gemini the end of the body after a finish reason). A body that
    /// ends without it was interrupted.
    End,
}

/// The field with the pieces of an answer in sound, one after the other.
pub const AUDIO_PIECES: &str = "audio_pieces";

/// What of an answer a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A block, by its index.
    Block(u32),
    /// The message: it goes back with it.
    Message,
    /// The answer around the message.
    Answer,
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
            Self::replay_block(index, block, &mut events);
        }
        Self::replay_extra(Place::Message, &response.message_extra, &mut events);
        Self::replay_extra(Place::Answer, &response.extra, &mut events);
        events.push(Self::Usage(response.usage));
        events.push(Self::Finish {
            reason: response.finish.clone(),
            raw: response.finish_raw.as_ref().map(keep).unwrap_or_default(),
            stop_sequence: response.stop_sequence.as_ref().map(keep),
        });
        events.push(Self::End);
        events
    }

    /// One whole block as the events that would have built it.
    pub fn replay_block(index: u32, block: &Block, events: &mut Vec<Self>) {
        let keep = |text: &String| ByteString::from(text.as_str());
        let signature = match block {
            Block::Text(text) => {
                events.push(Self::TextDelta { index, text: keep(&text.text) });
                let citations = text.citations.iter().cloned().map(Box::new);
                events.extend(citations.map(|citation| Self::Citation { index, citation }));
                &text.signature
            }
            Block::Refusal(refusal) => {
                events.push(Self::RefusalDelta { index, text: keep(&refusal.text) });
                &None
            }
            Block::Thinking(thinking) => {
                events.push(Self::ThinkingDelta { index, text: keep(&thinking.text) });
                &thinking.signature
            }
            Block::ToolCall(call) => {
                events.push(Self::ToolCallStart { index, id: keep(&call.id), name: keep(&call.name) });
                events.push(Self::ToolCallDelta { index, arguments: keep(&call.arguments) });
                &call.signature
            }
            Block::Opaque(opaque) => {
                events.push(Self::Opaque { index, block: opaque.clone() });
                &None
            }
            // What a caller sends and no model answers with.
            Block::Image(_) | Block::Document(_) | Block::Audio(_) | Block::ToolResult(_) => return,
        };
        events.extend(signature.as_ref().map(|signature| Self::Signature {
            index,
            dialect: signature.dialect,
            signature: keep(&signature.value),
        }));
        if let Some(extra) = block.extra() {
            Self::replay_extra(Place::Block(index), extra, events);
        }
        events.push(Self::BlockEnd { index });
    }

    fn replay_extra(of: Place, extra: &Extra, events: &mut Vec<Self>) {
        let fields = extra.iter().cloned().map(Box::new);
        events.extend(fields.map(|field| Self::Extra { of, field, append: false }));
    }

    /// The block it belongs to, if it belongs to one.
    pub fn index_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::TextDelta { index, .. }
            | Self::ThinkingDelta { index, .. }
            | Self::Signature { index, .. }
            | Self::RefusalDelta { index, .. }
            | Self::ToolCallStart { index, .. }
            | Self::ToolCallDelta { index, .. }
            | Self::Citation { index, .. }
            | Self::Extra { of: Place::Block(index), .. }
            | Self::BlockEnd { index }
            | Self::Opaque { index, .. } => Some(index),
            Self::Start { .. }
            | Self::Extra { of: Place::Message | Place::Answer, .. }
            | Self::Usage(_)
            | Self::Switched(_)
            | Self::Finish { .. }
            | Self::End => None,
        }
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
            // A piece of sound, of which the message consists (OpenAI Chat).
            Self::Extra { field, append, .. } => *append && field.name == AUDIO_PIECES,
            Self::Start { .. }
            | Self::Signature { .. }
            | Self::Citation { .. }
            | Self::BlockEnd { .. }
            | Self::Usage(_)
            | Self::Switched(_)
            | Self::Finish { .. }
            | Self::End => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Json, Partial, Refusal, Signature, Text, Thinking, ToolCall};

    #[test]
    fn a_replayed_answer_folds_back_to_itself() {
        let own = str::to_owned;
        let field = |name: &str| Field {
            dialect: Dialect::OpenAiChat,
            name: own(name),
            value: Json::parse("[1]").expect("JSON"),
        };
        let extra = |name: &str| Extra::from_iter([field(name)]);
        let opaque = Opaque { dialect: Dialect::Gemini, json: Json::parse("[1]").expect("JSON") };
        let signature = Some(Signature { dialect: Dialect::Anthropic, value: own("s") });
        let citation =
            Citation { url: Some(own("u")), title: None, cited_text: None, source: opaque.clone() };
        let content = vec![
            Block::Thinking(Thinking { text: own("hm"), signature: signature.clone(), extra: extra("a") }),
            Block::Text(Text {
                citations: vec![citation],
                signature: signature.clone(),
                extra: extra("b"),
                ..Text::new("Hello")
            }),
            Block::ToolCall(ToolCall { signature, extra: extra("c"), ..ToolCall::new("1", "f", "{}") }),
            Block::Refusal(Refusal { text: own("no"), extra: extra("d") }),
            Block::Opaque(opaque),
        ];
        let mut response = Response::new(content, FinishReason::StopSequence);
        response.id = Some(own("id"));
        response.message_extra = extra("e");
        response.extra = extra("f");
        response.finish_raw = Some(own("stop_sequence"));
        response.stop_sequence = Some(own("END"));
        let mut partial = Partial::new();
        StreamEvent::replay(&response).into_iter().for_each(|event| partial.push(event));
        let proof = partial.terminal_frame().expect("replayed to its end");
        assert_eq!(partial.into_response(proof), response);
    }
}
