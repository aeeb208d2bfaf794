//! Writing the items of a conversation.

use std::collections::HashSet;

use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{
        Block, Citation, Extra, Family, Media, MediaSource, Message, Refusal, Request, Role, Text, Thinking,
        ToolCall, ToolResult,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{super::wire, DIALECT};
use crate::codec::{
    path::Path,
    writer::{Fields, OwnedFields, Writer, arguments, data_url, invalid},
};

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message(Box<MessageItem<'a>>),
    Known(Box<KnownItem<'a>>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
pub(super) struct MessageItem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: Content<'a>,
    /// The item's own fields, where it was one before.
    #[serde(flatten)]
    item: OwnedFields<'a>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    InputText {
        text: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    OutputText {
        text: &'a str,
        annotations: Vec<&'a RawValue>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    Refusal {
        refusal: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    #[serde(untagged)]
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownItem<'a> {
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    CustomToolCall {
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
    FunctionCallOutput(Output<'a>),
    CustomToolCallOutput(Output<'a>),
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
        #[serde(flatten)]
        extra: Fields<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct Output<'a> {
    call_id: &'a str,
    output: Content<'a>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

/// Writes all messages.
pub(super) fn write<'a>(request: &'a Request, writer: &mut Writer) -> Result<Vec<Item<'a>>, Failure> {
    let items = Vec::with_capacity(request.messages.len());
    let mut written = Written { writer, items, message: None, custom: HashSet::new() };
    let at = Path::ROOT.field("messages");
    for (nth, message) in request.messages.iter().enumerate() {
        written.message(at.nth(nth), message)?;
    }
    Ok(written.items)
}

/// The items so far.
struct Written<'a, 'w> {
    writer: &'w mut Writer,
    items: Vec<Item<'a>>,
    /// The message item that parts are added to.
    message: Option<(Option<&'a RawValue>, Vec<Part<'a>>)>,
    /// The calls of custom tools, whose outputs are of another type.
    custom: HashSet<&'a str>,
}

impl<'a> Written<'a, '_> {
    fn message(&mut self, at: Path<'_>, message: &'a Message) -> Result<(), Failure> {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Developer => "developer",
        };
        let blocks = at.field("content");
        for (nth, block) in message.content.iter().enumerate() {
            let at = blocks.nth(nth);
            // A new item begins where a block says so, and with everything that is no part.
            let begins = block.extra().and_then(|extra| extra.get(DIALECT, wire::ITEM));
            if let Some(item) = begins {
                self.flush(role, message)?;
                self.message = Some((Some(item.as_raw()), Vec::new()));
            }
            let item = match block {
                Block::ToolCall(call) => Some(Item::Known(Box::new(self.tool_call(at, call)?))),
                Block::ToolResult(result) => Some(Item::Known(Box::new(self.tool_result(at, result)?))),
                Block::Thinking(thinking) => {
                    self.thinking(at, thinking)?.map(|item| Item::Known(Box::new(item)))
                }
                Block::Opaque(opaque) => self.writer.opaque(at, opaque)?.map(Item::Opaque),
                block => {
                    let part = self.part(at, message.role == Role::Assistant, block)?;
                    self.message.get_or_insert((None, Vec::new())).1.extend(part);
                    continue;
                }
            };
            if let Some(item) = item {
                self.flush(role, message)?;
                self.items.push(item);
            }
        }
        self.flush(role, message)
    }

    /// Ends the message item that is open.
    fn flush(&mut self, role: &'static str, message: &'a Message) -> Result<(), Failure> {
        let Some((item, parts)) = self.message.take() else { return Ok(()) };
        if parts.is_empty() {
            return Ok(());
        }
        let content = content(parts, item.is_none());
        let item = Fields::of_object(item, &["type", "role", "content"]);
        let extra = self.writer.fields(
            Path::ROOT.field("messages"),
            &message.extra,
            Weight::Minor,
            &["role", "content"],
        )?;
        self.items.push(Item::Message(Box::new(MessageItem { kind: "message", role, content, item, extra })));
        Ok(())
    }

    fn part(&mut self, at: Path<'_>, answered: bool, block: &'a Block) -> Result<Option<Part<'a>>, Failure> {
        match block {
            Block::Text(text) => self.text(at, answered, text).map(Some),
            Block::Refusal(Refusal { text, extra }) => {
                Ok(Some(Part::Refusal { refusal: text, extra: self.extra(at, extra)? }))
            }
            Block::Image(media) => self.image(at, media),
            Block::Document(media) => self.file(at, media),
            other => {
                self.writer.major(at, &format!("OpenAI Responses takes no {} there", other.kind()))?;
                Ok(None)
            }
        }
    }

    fn extra(&mut self, at: Path<'_>, extra: &'a Extra) -> Result<Fields<'a>, Failure> {
        let mut fields = self.writer.fields(at, extra, Weight::Minor, &["text", "annotations"])?;
        // Written around the parts.
        fields.take(wire::ITEM);
        Ok(fields)
    }

    fn text(&mut self, at: Path<'_>, answered: bool, text: &'a Text) -> Result<Part<'a>, Failure> {
        self.writer.signature(at, text.signature.as_ref())?;
        self.writer.no_cache(at, text.cache.as_ref())?;
        let extra = self.extra(at, &text.extra)?;
        let annotations = self.annotations(at, &text.citations)?;
        Ok(match answered {
            true => Part::OutputText { text: &text.text, annotations, extra },
            false => Part::InputText { text: &text.text, extra },
        })
    }

    fn annotations(&mut self, at: Path<'_>, citations: &'a [Citation]) -> Result<Vec<&'a RawValue>, Failure> {
        let own = |citation: &&Citation| citation.source.dialect == DIALECT;
        if !citations.iter().all(|citation| own(&citation)) {
            self.writer
                .minor(at.field("citations"), "citations of another provider cannot be sent to OpenAI")?;
        }
        Ok(citations.iter().filter(own).map(|citation| citation.source.json.as_raw()).collect())
    }

    fn image(&mut self, at: Path<'_>, media: &'a Media) -> Result<Option<Part<'a>>, Failure> {
        self.writer.no_cache(at, media.cache.as_ref())?;
        let (image_url, file_id) = match (&media.source, &media.media_type) {
            (MediaSource::Url(url), _) => (Some(url.clone()), None),
            (MediaSource::Inline(bytes), Some(kind)) => (Some(data_url(kind, bytes)), None),
            (MediaSource::Inline(_), None) => return Err(invalid(at, "inline bytes need a media_type")),
            (MediaSource::File { dialect, id }, _) if dialect.family() == Family::OpenAi => {
                (None, Some(id.as_str()))
            }
            (MediaSource::File { .. }, _) => {
                self.writer.major(at, "a file at another provider cannot be read by OpenAI")?;
                return Ok(None);
            }
        };
        Ok(Some(Part::InputImage { image_url, file_id, extra: self.extra(at, &media.extra)? }))
    }

    fn file(&mut self, at: Path<'_>, media: &'a Media) -> Result<Option<Part<'a>>, Failure> {
        self.writer.no_cache(at, media.cache.as_ref())?;
        let mut filename = media.title.as_deref();
        let (mut file_id, mut file_url, mut file_data) = (None, None, None);
        match (&media.source, &media.media_type) {
            (MediaSource::Url(url), _) => file_url = Some(url.as_str()),
            (MediaSource::Inline(bytes), Some(kind)) => {
                file_data = Some(data_url(kind, bytes));
                // The API wants a name beside the bytes.
                filename = filename.or(Some("document"));
            }
            (MediaSource::Inline(_), None) => return Err(invalid(at, "inline bytes need a media_type")),
            (MediaSource::File { dialect, id }, _) if dialect.family() == Family::OpenAi => {
                file_id = Some(id.as_str())
            }
            (MediaSource::File { .. }, _) => {
                self.writer.major(at, "a file at another provider cannot be read by OpenAI")?;
                return Ok(None);
            }
        }
        Ok(Some(Part::InputFile {
            file_id,
            file_url,
            file_data,
            filename,
            extra: self.extra(at, &media.extra)?,
        }))
    }

    fn tool_call(&mut self, at: Path<'_>, call: &'a ToolCall) -> Result<KnownItem<'a>, Failure> {
        self.writer.signature(at, call.signature.as_ref())?;
        self.writer.no_cache(at, call.cache.as_ref())?;
        let mut extra =
            self.writer.fields(at, &call.extra, Weight::Minor, &["call_id", "name", "arguments", "input"])?;
        extra.take(wire::TYPE);
        let (call_id, name) = (call.id.as_str(), call.name.as_str());
        Ok(match wire::is_custom(call) {
            true => {
                self.custom.insert(call_id);
                KnownItem::CustomToolCall { call_id, name, input: &call.arguments, extra }
            }
            false => KnownItem::FunctionCall { call_id, name, arguments: arguments(&call.arguments), extra },
        })
    }

    fn tool_result(&mut self, at: Path<'_>, result: &'a ToolResult) -> Result<KnownItem<'a>, Failure> {
        if result.is_error {
            self.writer.minor(at.field("is_error"), "OpenAI has no such mark; the result's text is sent")?;
        }
        self.writer.no_cache(at, result.cache.as_ref())?;
        let blocks = at.field("content");
        let mut parts = Vec::with_capacity(result.content.len());
        for (nth, block) in result.content.iter().enumerate() {
            let at = blocks.nth(nth);
            match block {
                Block::Opaque(opaque) => parts.extend(self.writer.opaque(at, opaque)?.map(Part::Opaque)),
                block => parts.extend(self.part(at, false, block)?),
            }
        }
        let output = if parts.is_empty() { Content::Text("") } else { content(parts, true) };
        let mut extra = self.writer.fields(at, &result.extra, Weight::Minor, &["call_id", "output"])?;
        extra.take(wire::TYPE);
        let output = Output { call_id: &result.call_id, output, extra };
        Ok(
            match self.custom.contains(result.call_id.as_str())
                || result.extra.get(DIALECT, wire::TYPE).is_some()
            {
                true => KnownItem::CustomToolCallOutput(output),
                false => KnownItem::FunctionCallOutput(output),
            },
        )
    }

    /// Reasoning of OpenAI's own goes back as it came; no other can.
    fn thinking(&mut self, at: Path<'_>, thinking: &'a Thinking) -> Result<Option<KnownItem<'a>>, Failure> {
        let own = thinking.extra.get(DIALECT, "summary").is_some();
        if !own {
            self.writer.minor(at, "OpenAI takes back only its own reasoning")?;
            return Ok(None);
        }
        let encrypted_content = self.writer.signature(at, thinking.signature.as_ref())?;
        let extra = self.writer.fields(at, &thinking.extra, Weight::Minor, &["type", "encrypted_content"])?;
        Ok(Some(KnownItem::Reasoning { encrypted_content, extra }))
    }
}

/// A single plain text goes as a string, unless it was a part before.
fn content(parts: Vec<Part<'_>>, short: bool) -> Content<'_> {
    match parts.as_slice() {
        [Part::InputText { text, extra }] if short && extra.is_empty() => Content::Text(text),
        [Part::OutputText { text, annotations, extra }]
            if short && extra.is_empty() && annotations.is_empty() =>
        {
            Content::Text(text)
        }
        _ => Content::Parts(parts),
    }
}
