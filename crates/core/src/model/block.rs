//! The pieces content is made of.

use bytes::Bytes;

use super::{CacheControl, Dialect, Extra, Opaque};

/// One piece of content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Block {
    /// Plain text.
    Text(Text),
    /// A picture.
    Image(Media),
    /// A document such as a PDF, or any other file.
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
    Refusal(Refusal),
    /// Something a provider sent that is not modelled.
    Opaque(Opaque),
}

impl Block {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::new(text))
    }

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

    /// The fields of it that are not modelled. An opaque block has none: all
    /// of it is.
    pub fn extra(&self) -> Option<&Extra> {
        match self {
            Self::Text(block) => Some(&block.extra),
            Self::Image(block) | Self::Document(block) | Self::Audio(block) => Some(&block.extra),
            Self::ToolCall(block) => Some(&block.extra),
            Self::ToolResult(block) => Some(&block.extra),
            Self::Thinking(block) => Some(&block.extra),
            Self::Refusal(block) => Some(&block.extra),
            Self::Opaque(_) => None,
        }
    }

    /// As [`extra`](Self::extra), to be changed.
    pub fn extra_mut(&mut self) -> Option<&mut Extra> {
        match self {
            Self::Text(block) => Some(&mut block.extra),
            Self::Image(block) | Self::Document(block) | Self::Audio(block) => Some(&mut block.extra),
            Self::ToolCall(block) => Some(&mut block.extra),
            Self::ToolResult(block) => Some(&mut block.extra),
            Self::Thinking(block) => Some(&mut block.extra),
            Self::Refusal(block) => Some(&mut block.extra),
            Self::Opaque(_) => None,
        }
    }
}

/// A provider's proof that a block is its own work, to be returned with it
/// unchanged. Other dialects cannot read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whose it is.
    pub dialect: Dialect,
    /// Anthropic `signature`, Gemini `thoughtSignature`, OpenAI Responses
    /// `encrypted_content`.
    pub value: String,
}

/// Plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The text. Empty only where it carries a signature (Gemini).
    pub text: String,
    /// What in it is taken from where.
    pub citations: Vec<Citation>,
    /// Gemini signs text parts, too.
    pub signature: Option<Signature>,
    /// Whether a prompt cache should end here.
    pub cache: Option<CacheControl>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Text {
    /// Text and nothing else.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether nothing but the text is said.
    pub fn is_plain(&self) -> bool {
        self.citations.is_empty() && self.signature.is_none() && self.cache.is_none() && self.extra.is_empty()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A place that a text refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Where it is on the web, if it is there.
    pub url: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// The words that are cited, where the provider quotes them.
    pub cited_text: Option<String>,
    /// The whole citation as the provider gave it.
    pub source: Opaque,
}

/// The model declines, in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    /// The words.
    pub text: String,
    /// What is not modelled.
    pub extra: Extra,
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), extra: Extra::new() }
    }
}

/// Bytes or a place where they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// MIME type, for example `image/png`. Required for inline bytes.
    pub media_type: Option<String>,
    /// The bytes or where they are.
    pub source: MediaSource,
    /// A document's title or file name.
    pub title: Option<String>,
    /// Whether a prompt cache should end here.
    pub cache: Option<CacheControl>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Media {
    /// Bytes of a kind, for example `image/png`.
    pub fn inline(media_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let source = MediaSource::Inline(bytes.into());
        Self { media_type: Some(media_type.into()), source, title: None, cache: None, extra: Extra::new() }
    }

    /// An address the provider can fetch.
    pub fn url(url: impl Into<String>) -> Self {
        let source = MediaSource::Url(url.into());
        Self { media_type: None, source, title: None, cache: None, extra: Extra::new() }
    }
}

/// Where media comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// An address the provider can fetch.
    Url(String),
    /// The bytes themselves, not base64.
    Inline(Bytes),
    /// A file that was uploaded to the provider before.
    File {
        /// Whose file it is; others of its [`Family`](super::Family) know it, too.
        dialect: Dialect,
        /// The provider's id of it.
        id: String,
    },
}

/// A request by the model to run a tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// Ties the result to the call. Made up by the codec where the provider gives none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, which may be invalid
    /// when the model was cut short. An argument-less call is `{}`.
    pub arguments: String,
    /// Proof of the reasoning behind it (Gemini).
    pub signature: Option<Signature>,
    /// Whether a prompt cache should end here.
    pub cache: Option<CacheControl>,
    /// What is not modelled.
    pub extra: Extra,
}

impl ToolCall {
    /// A call and nothing else.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into(), ..Self::default() }
    }
}

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    /// The [`ToolCall::id`] this answers.
    pub call_id: String,
    /// The answer, usually one text block.
    pub content: Vec<Block>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Whether a prompt cache should end here.
    pub cache: Option<CacheControl>,
    /// What is not modelled.
    pub extra: Extra,
}

impl ToolResult {
    /// A text that answers a call.
    pub fn new(call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { call_id: call_id.into(), content: vec![Block::text(text)], ..Self::default() }
    }
}

/// The model's reasoning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// The reasoning or its summary; may be empty.
    pub text: String,
    /// The provider's proof that the reasoning is its own.
    pub signature: Option<Signature>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Thinking {
    /// Reasoning that nobody signed.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}
