//! Writing the messages of a chat.

use base64::{Engine, prelude::BASE64_STANDARD};
use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Block, CacheControl, Citation, Extra, Family, Media, MediaSource, Message, Opaque, Request, Role,
        Text, Thinking, ToolCall, ToolResult,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{super::wire, DIALECT, Str};
use crate::codec::{
    cache,
    endpoint::{Compat, ReasoningField},
    path::Path,
    text,
    writer::{Fields, Writer, arguments, data_url, invalid},
};

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireMessage<'a> {
    Known(Box<KnownMessage<'a>>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
pub(super) struct KnownMessage<'a> {
    role: &'static str,
    /// `null` for an assistant that only calls tools.
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<&'a RawValue>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

impl<'a> KnownMessage<'a> {
    fn new(role: &'static str, content: Option<WireContent<'a>>, extra: Fields<'a>) -> Self {
        Self {
            role,
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            reasoning_content: None,
            reasoning: None,
            annotations: Vec::new(),
            extra,
        }
    }
}

impl<'a> From<KnownMessage<'a>> for WireMessage<'a> {
    fn from(message: KnownMessage<'a>) -> Self {
        Self::Known(Box::new(message))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireContent<'a> {
    Text(&'a str),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum WirePart<'a> {
    Known {
        #[serde(flatten)]
        part: KnownPart<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<cache::Cache<'a>>,
    },
    Opaque(&'a RawValue),
}

impl<'a> From<KnownPart<'a>> for WirePart<'a> {
    fn from(part: KnownPart<'a>) -> Self {
        Self::Known { part, cache_control: None }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KnownPart<'a> {
    Text {
        text: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Refusal {
        refusal: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    ImageUrl {
        image_url: ImageUrl<'a>,
    },
    InputAudio {
        input_audio: InputAudio<'a>,
    },
    File {
        file: File<'a>,
    },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: Str<'a>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct InputAudio<'a> {
    data: String,
    format: &'a str,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireToolCall<'a> {
    Function {
        id: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireFunctionCall<'a>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Custom {
        id: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        custom: WireCustomCall<'a>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct WireFunctionCall<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct WireCustomCall<'a> {
    name: &'a str,
    input: &'a str,
}

/// Writes the system prompt and all messages.
pub(super) fn write<'a>(
    request: &'a Request,
    compat: &Compat,
    writer: &mut Writer,
) -> Result<Vec<WireMessage<'a>>, Failure> {
    let mut written = Written { compat, writer, messages: Vec::with_capacity(request.messages.len() + 1) };
    if !request.system.is_empty() {
        let at = Path::ROOT.field("system");
        let parts = request.system.iter().enumerate();
        let parts = parts.map(|(nth, text)| written.text(at.nth(nth), text)).collect::<Result<_, _>>()?;
        let message = KnownMessage::new("system", Some(content(parts)), Fields::default());
        written.messages.push(message.into());
    }
    let messages = Path::ROOT.field("messages");
    for (nth, message) in request.messages.iter().enumerate() {
        written.message(messages.nth(nth), message)?;
    }
    Ok(written.messages)
}

/// The messages so far, and what is needed for the next one.
struct Written<'a, 'w> {
    compat: &'w Compat,
    writer: &'w mut Writer,
    messages: Vec<WireMessage<'a>>,
}

impl<'a> Written<'a, '_> {
    fn message(&mut self, at: Path<'_>, message: &'a Message) -> Result<(), Failure> {
        let developer = if self.compat.developer_role { "developer" } else { "system" };
        match message.role {
            Role::User => self.user(at, "user", message),
            Role::System => self.user(at, "system", message),
            Role::Developer => self.user(at, developer, message),
            Role::Assistant => self.assistant(at, message),
        }
    }

    fn extra(&mut self, at: Path<'_>, extra: &'a Extra) -> Result<Fields<'a>, Failure> {
        const MODELLED: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];
        self.writer.fields(at, extra, Weight::Minor, &MODELLED)
    }

    /// Tool results first, each a message of its own, as they have to follow
    /// the calls; then the rest.
    fn user(&mut self, at: Path<'_>, role: &'static str, message: &'a Message) -> Result<(), Failure> {
        let blocks = at.field("content");
        let mut parts = Vec::new();
        for (nth, block) in message.content.iter().enumerate() {
            let at = blocks.nth(nth);
            match block {
                Block::Text(text) => parts.push(self.text(at, text)?),
                Block::Image(media) => parts.extend(self.image(at, media)?),
                Block::Audio(media) => parts.extend(self.audio(at, media)?),
                Block::Document(media) => parts.extend(self.file(at, media)?),
                Block::ToolResult(result) => self.tool_result(at, result)?,
                Block::Opaque(opaque) => match self.own(at, opaque)? {
                    Some(Own::Part(part)) => parts.push(WirePart::Opaque(part)),
                    Some(Own::Message(message)) => self.messages.push(WireMessage::Opaque(message)),
                    Some(Own::Call(_)) => return Err(invalid(at, "a call belongs in an assistant message")),
                    None => {}
                },
                other => self.no_place(at, other)?,
            }
        }
        if !parts.is_empty() {
            let extra = self.extra(at, &message.extra)?;
            self.messages.push(KnownMessage::new(role, Some(content(parts)), extra).into());
        }
        Ok(())
    }

    fn assistant(&mut self, at: Path<'_>, message: &'a Message) -> Result<(), Failure> {
        let mut wire = KnownMessage::new("assistant", None, self.extra(at, &message.extra)?);
        let blocks = at.field("content");
        // reasoning_details say the same in the form their provider takes back.
        let told = message.extra.get(DIALECT, "reasoning_details").is_some();
        let mut parts = Vec::new();
        for (nth, block) in message.content.iter().enumerate() {
            let at = blocks.nth(nth);
            match block {
                Block::Text(text) => {
                    wire.annotations.extend(self.annotations(at, &text.citations)?);
                    parts.push(self.text(at, text)?);
                }
                Block::Refusal(refusal) => {
                    let extra =
                        self.writer.fields(at, &refusal.extra, Weight::Minor, &["type", "refusal"])?;
                    parts.push(KnownPart::Refusal { refusal: &refusal.text, extra }.into());
                }
                Block::ToolCall(call) => wire.tool_calls.push(self.tool_call(at, call)?),
                Block::Thinking(_) if told => {}
                Block::Thinking(thinking) => self.thinking(at, thinking, &mut wire)?,
                Block::Opaque(opaque) => match self.own(at, opaque)? {
                    Some(Own::Part(part)) => parts.push(WirePart::Opaque(part)),
                    Some(Own::Call(call)) => wire.tool_calls.push(WireToolCall::Opaque(call)),
                    Some(Own::Message(message)) => self.messages.push(WireMessage::Opaque(message)),
                    None => {}
                },
                other => self.no_place(at, other)?,
            }
        }
        let empty = parts.is_empty() && wire.tool_calls.is_empty();
        if empty && wire.extra.is_empty() && wire.reasoning.is_none() && wire.reasoning_content.is_none() {
            return Ok(()); // all of it was something else, or is lost
        }
        if !parts.is_empty() {
            wire.content = Some(content(parts));
        }
        self.messages.push(wire.into());
        Ok(())
    }

    fn text(&mut self, at: Path<'_>, text: &'a Text) -> Result<WirePart<'a>, Failure> {
        self.writer.signature(at, text.signature.as_ref())?;
        let extra = self.writer.fields(at, &text.extra, Weight::Minor, &["type", "text", "cache_control"])?;
        let cache_control = cache_control(at, text.cache.as_ref(), self.compat, self.writer)?;
        Ok(WirePart::Known { part: KnownPart::Text { text: &text.text, extra }, cache_control })
    }

    fn annotations(&mut self, at: Path<'_>, citations: &'a [Citation]) -> Result<Vec<&'a RawValue>, Failure> {
        let citations_at = at.field("citations");
        let own = citations.iter().filter(|citation| citation.source.dialect == DIALECT);
        if citations.iter().any(|citation| citation.source.dialect != DIALECT) {
            self.writer.minor(citations_at, "citations of another provider cannot be sent to OpenAI")?;
        }
        Ok(own.map(|citation| citation.source.json.as_raw()).collect())
    }

    fn thinking(
        &mut self,
        at: Path<'_>,
        thinking: &'a Thinking,
        wire: &mut KnownMessage<'a>,
    ) -> Result<(), Failure> {
        let place = match self.compat.reasoning {
            Some(ReasoningField::ReasoningContent) => &mut wire.reasoning_content,
            Some(ReasoningField::Reasoning) => &mut wire.reasoning,
            None => return self.writer.minor(at, "OpenAI Chat Completions takes no thinking back"),
        };
        place.get_or_insert_default().push_str(&thinking.text);
        self.writer.signature(at, thinking.signature.as_ref())?;
        self.writer.fields(at, &thinking.extra, Weight::Minor, &[]).map(|_| ())
    }

    fn no_place(&mut self, at: Path<'_>, block: &Block) -> Result<(), Failure> {
        let why = format!("a {} has no place there in OpenAI Chat Completions", block.kind());
        self.writer.major(at, &why)
    }

    fn image(&mut self, at: Path<'_>, media: &'a Media) -> Result<Option<WirePart<'a>>, Failure> {
        let url = match (&media.source, &media.media_type) {
            (MediaSource::Url(url), _) => url.into(),
            (MediaSource::Inline(data), Some(kind)) => data_url(kind, data).into(),
            (MediaSource::Inline(_), None) => return Err(invalid(at, "inline bytes need a media_type")),
            (MediaSource::File { .. }, _) => {
                self.writer.major(at, "OpenAI Chat Completions takes no uploaded pictures")?;
                return Ok(None);
            }
        };
        let extra = self.writer.fields(at, &media.extra, Weight::Minor, &["url"])?;
        let cache_control = cache_control(at, media.cache.as_ref(), self.compat, self.writer)?;
        let part = KnownPart::ImageUrl { image_url: ImageUrl { url, extra } };
        Ok(Some(WirePart::Known { part, cache_control }))
    }

    fn audio(&mut self, at: Path<'_>, media: &'a Media) -> Result<Option<WirePart<'a>>, Failure> {
        let (MediaSource::Inline(bytes), Some(kind)) = (&media.source, &media.media_type) else {
            self.writer.major(at, "OpenAI Chat Completions takes inline sound only")?;
            return Ok(None);
        };
        let format = audio_format(kind);
        let extra = self.writer.fields(at, &media.extra, Weight::Minor, &["data", "format"])?;
        let cache_control = cache_control(at, media.cache.as_ref(), self.compat, self.writer)?;
        let input_audio = InputAudio { data: BASE64_STANDARD.encode(bytes), format, extra };
        Ok(Some(WirePart::Known { part: KnownPart::InputAudio { input_audio }, cache_control }))
    }

    fn file(&mut self, at: Path<'_>, media: &'a Media) -> Result<Option<WirePart<'a>>, Failure> {
        let filename = media.title.as_deref();
        let (file_id, file_data) = match (&media.source, &media.media_type) {
            (MediaSource::File { dialect, id }, _) if dialect.family() == Family::OpenAi => {
                (Some(id.as_str()), None)
            }
            (MediaSource::Inline(data), Some(kind)) => (None, Some(data_url(kind, data))),
            (MediaSource::Inline(_), None) => return Err(invalid(at, "inline bytes need a media_type")),
            (MediaSource::File { .. } | MediaSource::Url(_), _) => {
                self.writer
                    .major(at, "OpenAI Chat Completions takes documents inline or by its own file id")?;
                return Ok(None);
            }
        };
        // The API wants a name beside the bytes.
        let filename = filename.or_else(|| file_data.is_some().then_some("document"));
        let extra =
            self.writer.fields(at, &media.extra, Weight::Minor, &["file_id", "file_data", "filename"])?;
        let cache_control = cache_control(at, media.cache.as_ref(), self.compat, self.writer)?;
        let part = KnownPart::File { file: File { file_id, file_data, filename, extra } };
        Ok(Some(WirePart::Known { part, cache_control }))
    }

    fn tool_call(&mut self, at: Path<'_>, call: &'a ToolCall) -> Result<WireToolCall<'a>, Failure> {
        self.writer.signature(at, call.signature.as_ref())?;
        self.writer.no_cache(at, call.cache.as_ref())?;
        let mut extra = self.writer.fields(at, &call.extra, Weight::Minor, &["id", "function", "custom"])?;
        if extra.take(wire::TYPE).is_some() {
            let custom = WireCustomCall { name: &call.name, input: &call.arguments };
            return Ok(WireToolCall::Custom { id: &call.id, kind: "custom", custom, extra });
        }
        // Arguments are a string, and an empty one is not JSON.
        let function = WireFunctionCall { name: &call.name, arguments: arguments(&call.arguments) };
        Ok(WireToolCall::Function { id: &call.id, kind: "function", function, extra })
    }

    fn tool_result(&mut self, at: Path<'_>, result: &'a ToolResult) -> Result<(), Failure> {
        if result.is_error {
            self.writer.minor(at.field("is_error"), "OpenAI has no such mark; the result's text is sent")?;
        }
        self.writer.no_cache(at, result.cache.as_ref())?;
        let blocks = at.field("content");
        let mut parts = Vec::with_capacity(result.content.len());
        for (nth, block) in result.content.iter().enumerate() {
            let at = blocks.nth(nth);
            match block {
                Block::Text(text) => parts.push(self.text(at, text)?),
                Block::Opaque(opaque) => parts.extend(self.writer.opaque(at, opaque)?.map(WirePart::Opaque)),
                other => self.no_place(at, other)?,
            }
        }
        let content = if parts.is_empty() { WireContent::Text("") } else { content(parts) };
        let mut message = KnownMessage::new("tool", Some(content), self.extra(at, &result.extra)?);
        message.tool_call_id = Some(&result.call_id);
        self.messages.push(message.into());
        Ok(())
    }

    fn own(&mut self, at: Path<'_>, opaque: &'a Opaque) -> Result<Option<Own<'a>>, Failure> {
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(borrow)]
            role: Option<text::Text<'a>>,
            #[serde(borrow)]
            id: Option<text::Text<'a>>,
            #[serde(borrow, rename = "type")]
            kind: Option<text::Text<'a>>,
        }
        let Some(raw) = self.writer.opaque(at, opaque)? else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(Probe { role: Some(_), .. }) => Ok(Some(Own::Message(raw))),
            Ok(Probe { id: Some(_), kind: Some(_), .. }) => Ok(Some(Own::Call(raw))),
            Ok(Probe { kind: Some(_), .. }) => Ok(Some(Own::Part(raw))),
            _ => Err(invalid(at, "an opaque block of OpenAI Chat Completions must have a type or a role")),
        }
    }
}

/// What an opaque block of this dialect was.
enum Own<'a> {
    /// A part of the content.
    Part(&'a RawValue),
    /// A tool call of another kind than `function`.
    Call(&'a RawValue),
    /// A whole message, of a role that is not modelled.
    Message(&'a RawValue),
}

/// A single plain text goes as a string, which every server understands.
fn content(parts: Vec<WirePart<'_>>) -> WireContent<'_> {
    match parts.as_slice() {
        [WirePart::Known { part: KnownPart::Text { text, extra }, cache_control: None }]
            if extra.is_empty() =>
        {
            WireContent::Text(text)
        }
        _ => WireContent::Parts(parts),
    }
}

/// What OpenAI calls a kind of sound.
fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

/// A cache's end, where the server knows it.
pub(super) fn cache_control<'a>(
    at: Path<'_>,
    cache: Option<&'a CacheControl>,
    compat: &Compat,
    writer: &mut Writer,
) -> Result<Option<cache::Cache<'a>>, Failure> {
    match cache {
        Some(cache) if compat.cache_control => cache::write(at, cache, writer).map(Some),
        cache => writer.no_cache(at, cache).map(|()| None),
    }
}
