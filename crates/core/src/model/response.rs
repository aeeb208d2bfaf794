//! What a model answered.

use serde::{Deserialize, Serialize};

use super::{Block, Extra, Message, Role, Usage};

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The provider's id of the answer, where it gives one.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The content, in order.
    pub content: Vec<Block>,
    /// What belongs to the message and is not modelled (OpenAI Chat
    /// `reasoning_details`, `audio`); goes back with it, see
    /// [`to_message`](Self::to_message).
    pub message_extra: Extra,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// The provider's own word for it.
    pub finish_raw: Option<String>,
    /// The stop sequence that was hit, where the provider says.
    pub stop_sequence: Option<String>,
    /// What was consumed.
    pub usage: Usage,
    /// What else the provider says of the answer: log probabilities, safety
    /// ratings, grounding, service tier, usage in its own words.
    pub extra: Extra,
}

impl Response {
    /// An answer with this content and nothing else said.
    pub fn new(content: Vec<Block>, finish: FinishReason) -> Self {
        Self {
            id: None,
            model: None,
            content,
            message_extra: Extra::new(),
            finish,
            finish_raw: None,
            stop_sequence: None,
            usage: Usage::default(),
            extra: Extra::new(),
        }
    }

    /// All text blocks, joined.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(|block| match block {
                Block::Text(text) => Some(text.text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The turn to be added to the conversation, with all that the provider
    /// wants back.
    pub fn to_message(&self) -> Message {
        Message { role: Role::Assistant, content: self.content.clone(), extra: self.message_extra.clone() }
    }
}

/// Why a model stopped, in words all providers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The answer is complete.
    Stop,
    /// The output limit was reached; the answer is cut short.
    Length,
    /// The model waits for tool results.
    ToolCalls,
    /// The provider's filter stopped or withheld the answer.
    ContentFilter,
    /// One of the request's stop sequences was written.
    StopSequence,
    /// The provider paused; resend the conversation to go on.
    Pause,
    /// The context window is full.
    ContextWindow,
    /// The model declined.
    Refusal,
    /// The provider reports that generation itself went wrong.
    Error,
    /// A word this version does not know; see [`Response::finish_raw`].
    Other,
}
