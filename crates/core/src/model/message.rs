//! Messages and the blocks they are made of.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Dialect;

/// Who speaks. System prompts are not messages: see
/// [`Request::system`](super::Request::system).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The caller's side, tool results included.
    User,
    /// The model's side.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Block>,
}

impl Message {
    /// A user turn of plain text.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, content: vec![Block::Text(text.into())] }
    }

    /// An assistant turn of plain text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: vec![Block::Text(text.into())] }
    }
}

/// One piece of content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// Plain text.
    Text(String),
    /// A picture.
    Image(Media),
    /// A document such as a PDF.
    Document(Media),
    /// Sound.
    Audio(Media),
    /// The model asks for a tool to be run.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// The model's reasoning, as far as the provider shows it.
    Thinking(Thinking),
    /// The model declines, in words.
    Refusal(String),
    /// Something a provider sent that is not modelled.
    Opaque(Opaque),
}

impl Block {
    /// The block's kind as a word, for messages to people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Image(_) => "image",
            Self::Document(_) => "document",
            Self::Audio(_) => "audio",
            Self::ToolCall(_) => "tool call",
            Self::ToolResult(_) => "tool result",
            Self::Thinking(_) => "thinking",
            Self::Refusal(_) => "refusal",
            Self::Opaque(_) => "opaque block",
        }
    }
}

/// Bytes or a place where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// MIME type, for example `image/png`. Required for inline bytes.
    pub media_type: Option<String>,
    /// The bytes or their address.
    pub source: MediaSource,
}

/// Where media comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// An address the provider can fetch.
    Url(String),
    /// The bytes themselves, not base64.
    Inline(Bytes),
}

/// A request by the model to run a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Ties the result to the call. Made up by the codec where the provider gives none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, which may be invalid
    /// when the model was cut short. An argument-less call is `{}`.
    pub arguments: String,
    /// Opaque proof of reasoning to be returned with the call (Gemini
    /// `thoughtSignature`).
    pub signature: Option<String>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The [`ToolCall::id`] this answers.
    pub call_id: String,
    /// The answer, usually one text block.
    pub content: Vec<Block>,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// The model's reasoning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thinking {
    /// The reasoning or its summary; may be empty.
    pub text: String,
    /// The provider's proof that the text is its own, to be returned unchanged.
    pub signature: Option<String>,
}

/// A provider's own JSON, kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The only dialect it may be returned to.
    pub dialect: Dialect,
    /// The JSON as it came.
    pub json: Json,
}

/// A JSON value kept as its text.
///
/// Two values are equal when their texts are.
#[derive(Clone, Debug)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that `text` is JSON and keeps it as it is.
    ///
    /// # Errors
    /// The parser's error when it is not.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text as serde_json's own type, for embedding in a larger value.
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}
