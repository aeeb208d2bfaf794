//! Messages: who says what.

use super::{Block, Extra};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The caller's side, tool results included.
    User,
    /// The model's side.
    Assistant,
    /// Instructions within the conversation. Those before it belong in
    /// [`Request::system`](super::Request::system).
    System,
    /// Instructions as OpenAI's reasoning models call them. Elsewhere the same
    /// as [`Role::System`].
    Developer,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Block>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Message {
    /// A turn.
    pub fn new(role: Role, content: Vec<Block>) -> Self {
        Self { role, content, extra: Extra::new() }
    }

    /// A user turn of plain text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Block::text(text)])
    }

    /// An assistant turn of plain text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Block::text(text)])
    }
}
