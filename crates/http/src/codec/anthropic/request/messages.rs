//! Writing the messages of a Messages request.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Block, CacheControl, Citation, Media, MediaSource, Request, Role, Text, Thinking, ToolCall,
        ToolResult,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::DIALECT;
use crate::codec::{
    cache,
    path::Path,
    writer::{Fields, Writer, arguments, invalid, object, plain_id, unsupported},
};

/// The system prompt: one text, which every server like Anthropic understands,
/// or blocks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum System<'a> {
    Text(&'a str),
    Blocks(Vec<WireBlock<'a>>),
}

#[derive(Serialize)]
pub(super) struct WireMessage<'a> {
    role: &'static str,
    content: Vec<WireBlock<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireBlock<'a> {
    Known(Box<KnownBlock<'a>>),
    Opaque(&'a RawValue),
}

impl<'a> WireBlock<'a> {
    /// The text of a block that is nothing but text.
    fn plain(&self) -> Option<&'a str> {
        let Self::Known(known) = self else { return None };
        match &known.content {
            Content::Text { text, citations } if citations.is_empty() => {
                (known.cache_control.is_none() && known.extra.is_empty()).then_some(*text)
            }
            _ => None,
        }
    }
}

/// A block with what any block may have.
#[derive(Serialize)]
pub(super) struct KnownBlock<'a> {
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<cache::Cache<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<&'a RawValue>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<WireBlock<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: String },
    Text { media_type: &'static str, data: Cow<'a, str> },
    Url { url: &'a str },
    File { file_id: &'a str },
}

/// The written conversation.
pub(super) struct Written<'a> {
    pub(super) system: Option<System<'a>>,
    pub(super) messages: Vec<WireMessage<'a>>,
}

/// Writes the system prompt and all messages.
pub(super) fn write<'a>(request: &'a Request, writer: &mut Writer) -> Result<Written<'a>, Failure> {
    let mut system = Vec::new();
    let at = Path::ROOT.field("system");
    for (nth, given) in request.system.iter().enumerate() {
        system.extend(text(at.nth(nth), given, writer)?);
    }
    let mut messages = Vec::with_capacity(request.messages.len());
    let at = Path::ROOT.field("messages");
    for (nth, message) in request.messages.iter().enumerate() {
        let at = at.nth(nth);
        let instructs = matches!(message.role, Role::System | Role::Developer);
        let mut content = blocks(at, &message.content, writer)?;
        if instructs && messages.is_empty() {
            // Before the conversation they are what `system` is for.
            system.append(&mut content);
            if !writer.fields(at, &message.extra, Weight::Minor, &[])?.is_empty() {
                writer.minor(at, "fields of instructions before the conversation are left out")?;
            }
            continue;
        }
        // Results answer the turn before and must come before anything new.
        content.sort_by_key(|block| !is_result(block));
        let extra = writer.fields(at, &message.extra, Weight::Minor, &["role", "content"])?;
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System | Role::Developer => "system",
        };
        if content.is_empty() && message.content.iter().all(is_blank) {
            writer.major(at, "says nothing, which Anthropic refuses; it is left out")?;
        } else if messages.is_empty() && role == "assistant" {
            return Err(unsupported(at, "Anthropic wants a conversation to begin with a user message"));
        } else if !content.is_empty() {
            messages.push(WireMessage { role, content, extra });
        }
    }
    let system = match system.as_slice() {
        [] => None,
        // One text that is all there is goes as such.
        [only] => Some(only.plain().map_or(System::Blocks(system), System::Text)),
        _ => Some(System::Blocks(system)),
    };
    Ok(Written { system, messages })
}

/// White space alone is refused by the API, and says nothing.
fn is_blank(block: &Block) -> bool {
    match block {
        Block::Text(text) => text.text.trim().is_empty() && text.citations.is_empty(),
        _ => false,
    }
}

fn is_result(block: &WireBlock<'_>) -> bool {
    match block {
        WireBlock::Known(known) => matches!(known.content, Content::ToolResult { .. }),
        WireBlock::Opaque(_) => false,
    }
}

fn blocks<'a>(at: Path<'_>, blocks: &'a [Block], writer: &mut Writer) -> Result<Vec<WireBlock<'a>>, Failure> {
    let content = at.field("content");
    let mut written = Vec::with_capacity(blocks.len());
    for (nth, block) in blocks.iter().enumerate() {
        written.extend(self::block(content.nth(nth), block, writer)?);
    }
    Ok(written)
}

/// `None` for what says nothing or is lost.
fn block<'a>(at: Path<'_>, block: &'a Block, writer: &mut Writer) -> Result<Option<WireBlock<'a>>, Failure> {
    match block {
        Block::Text(given) => text(at, given, writer),
        Block::Image(media) => image(at, media, writer),
        Block::Document(media) => document(at, media, writer),
        Block::Thinking(given) => thinking(at, given, writer),
        Block::ToolCall(call) => tool_use(at, call, writer),
        Block::ToolResult(result) => tool_result(at, result, writer),
        Block::Opaque(opaque) => Ok(writer.opaque(at, opaque)?.map(WireBlock::Opaque)),
        Block::Refusal(refusal) => {
            writer.minor(at, "Anthropic has no such block; it is sent as text")?;
            writer.fields(at, &refusal.extra, Weight::Minor, &[])?;
            known(at, Content::Text { text: &refusal.text, citations: Vec::new() }, None, None, writer)
        }
        other => {
            writer.major(at, &format!("Anthropic Messages takes no {}", other.kind()))?;
            Ok(None)
        }
    }
}

fn known<'a>(
    at: Path<'_>,
    content: Content<'a>,
    cache: Option<&'a CacheControl>,
    extra: Option<&'a leverframe_core::model::Extra>,
    writer: &mut Writer,
) -> Result<Option<WireBlock<'a>>, Failure> {
    let taken: &[&str] = match content {
        Content::Text { .. } => &["type", "text", "citations", "cache_control"],
        Content::Image { .. } => &["type", "source", "cache_control"],
        // Its `citations` switch them on, and are not modelled.
        Content::Document { .. } => &["type", "source", "title", "cache_control"],
        Content::Thinking { .. } => &["type", "thinking", "signature"],
        Content::ToolUse { .. } => &["type", "id", "name", "input", "cache_control"],
        Content::ToolResult { .. } => &["type", "tool_use_id", "content", "is_error", "cache_control"],
    };
    let extra =
        extra.map(|extra| writer.fields(at, extra, Weight::Minor, taken)).transpose()?.unwrap_or_default();
    let cache_control = cache.map(|given| cache::write(at, given, writer)).transpose()?;
    Ok(Some(WireBlock::Known(Box::new(KnownBlock { content, cache_control, extra }))))
}

fn text<'a>(at: Path<'_>, text: &'a Text, writer: &mut Writer) -> Result<Option<WireBlock<'a>>, Failure> {
    writer.signature(at, text.signature.as_ref())?;
    if text.text.trim().is_empty() && text.citations.is_empty() {
        return Ok(None);
    }
    let citations = citations(at, &text.citations, writer)?;
    known(at, Content::Text { text: &text.text, citations }, text.cache.as_ref(), Some(&text.extra), writer)
}

fn citations<'a>(
    at: Path<'_>,
    citations: &'a [Citation],
    writer: &mut Writer,
) -> Result<Vec<&'a RawValue>, Failure> {
    let own = |citation: &&Citation| citation.source.dialect == DIALECT;
    if !citations.iter().all(|citation| own(&citation)) {
        writer.minor(at.field("citations"), "citations of another provider cannot be sent to Anthropic")?;
    }
    Ok(citations.iter().filter(own).map(|citation| citation.source.json.as_raw()).collect())
}

/// What the API takes inline (Messages reference, image and document sources).
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

fn image<'a>(at: Path<'_>, media: &'a Media, writer: &mut Writer) -> Result<Option<WireBlock<'a>>, Failure> {
    let Some(source) = source(at, media, &IMAGES, writer)? else { return Ok(None) };
    known(at, Content::Image { source }, media.cache.as_ref(), Some(&media.extra), writer)
}

fn document<'a>(
    at: Path<'_>,
    media: &'a Media,
    writer: &mut Writer,
) -> Result<Option<WireBlock<'a>>, Failure> {
    let text = match (&media.source, media.media_type.as_deref()) {
        (MediaSource::Inline(bytes), Some("text/plain")) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    };
    if matches!(text, Some(Cow::Owned(_))) {
        writer.major(at, "the text is not UTF-8; what cannot be read is replaced")?;
    }
    let source = match text {
        Some(data) => Some(Source::Text { media_type: "text/plain", data }),
        None => source(at, media, &["application/pdf"], writer)?,
    };
    let Some(source) = source else { return Ok(None) };
    let content = Content::Document { source, title: media.title.as_deref() };
    known(at, content, media.cache.as_ref(), Some(&media.extra), writer)
}

fn source<'a>(
    at: Path<'_>,
    media: &'a Media,
    types: &[&str],
    writer: &mut Writer,
) -> Result<Option<Source<'a>>, Failure> {
    match (&media.source, media.media_type.as_deref()) {
        (MediaSource::Url(url), _) => Ok(Some(Source::Url { url })),
        (MediaSource::File { dialect, id }, _) if dialect.family() == DIALECT.family() => {
            Ok(Some(Source::File { file_id: id }))
        }
        (MediaSource::File { .. }, _) => {
            writer.major(at, "a file at another provider cannot be read by Anthropic")?;
            Ok(None)
        }
        (MediaSource::Inline(data), Some(media_type)) if types.contains(&media_type) => {
            Ok(Some(Source::Base64 { media_type, data: BASE64_STANDARD.encode(data) }))
        }
        (MediaSource::Inline(_), None) => Err(invalid(at, "inline bytes need a media_type")),
        (MediaSource::Inline(_), Some(given)) => {
            let why = format!("Anthropic takes {} inline, not {given}", types.join(", "));
            writer.major(at.field("media_type"), &why)?;
            Ok(None)
        }
    }
}

fn thinking<'a>(
    at: Path<'_>,
    thinking: &'a Thinking,
    writer: &mut Writer,
) -> Result<Option<WireBlock<'a>>, Failure> {
    match writer.signature(at, thinking.signature.as_ref())? {
        Some(signature) => {
            let content = Content::Thinking { thinking: &thinking.text, signature };
            known(at, content, None, Some(&thinking.extra), writer)
        }
        None => {
            writer.minor(at, "Anthropic takes thinking back only with its own signature")?;
            Ok(None)
        }
    }
}

fn tool_use<'a>(
    at: Path<'_>,
    call: &'a ToolCall,
    writer: &mut Writer,
) -> Result<Option<WireBlock<'a>>, Failure> {
    writer.signature(at, call.signature.as_ref())?;
    let input = match object(arguments(&call.arguments)) {
        Some(input) => input,
        None => {
            writer.major(at.field("arguments"), "Anthropic takes nothing but a JSON object; {} is sent")?;
            empty()
        }
    };
    let content = Content::ToolUse { id: plain_id(&call.id), name: &call.name, input };
    known(at, content, call.cache.as_ref(), Some(&call.extra), writer)
}

fn empty() -> &'static RawValue {
    let Some(empty) = object("{}") else { unreachable!("the literal is a JSON object") };
    empty
}

fn tool_result<'a>(
    at: Path<'_>,
    result: &'a ToolResult,
    writer: &mut Writer,
) -> Result<Option<WireBlock<'a>>, Failure> {
    let content = Content::ToolResult {
        tool_use_id: plain_id(&result.call_id),
        content: blocks(at, &result.content, writer)?,
        is_error: result.is_error,
    };
    known(at, content, result.cache.as_ref(), Some(&result.extra), writer)
}
