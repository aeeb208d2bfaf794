//! Writing the contents of a `generateContent` request.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use leverframe_core::{
    error::Failure,
    loss::Weight,
    model::{Block, Extra, Media, MediaSource, Message, Request, Role, Text, Thinking, ToolCall, ToolResult},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{super::wire, DIALECT};
use crate::codec::{
    path::Path,
    writer::{Fields, Writer, arguments, invalid, object},
};

#[derive(Serialize)]
pub(super) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Modelled(Box<Modelled<'a>>),
    Opaque(&'a RawValue),
}

/// A part has one of the fields, and a signature where it had one.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Modelled<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

impl<'a> From<Modelled<'a>> for Part<'a> {
    fn from(part: Modelled<'a>) -> Self {
        Self::Modelled(Box::new(part))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'a str,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    file_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    args: &'a RawValue,
    #[serde(flatten)]
    extra: Fields<'a>,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    response: Answer<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part<'a>>,
    #[serde(flatten)]
    extra: Fields<'a>,
}

/// What a tool answered, which must be an object.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer<'a> {
    Result(Value<'a>),
    Error(Value<'a>),
    #[serde(untagged)]
    Object(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    List(Vec<Self>),
}

/// The written conversation.
pub(super) struct Written<'a> {
    pub(super) system: Option<Content<'a>>,
    pub(super) contents: Vec<Content<'a>>,
}

/// Writes the system prompt and all messages.
pub(super) fn write<'a>(request: &'a Request, writer: &mut Writer) -> Result<Written<'a>, Failure> {
    let mut system = Vec::new();
    let at = Path::ROOT.field("system");
    for (nth, given) in request.system.iter().enumerate() {
        system.push(text(at.nth(nth), given, writer)?);
    }
    let mut contents: Vec<Content<'a>> = Vec::with_capacity(request.messages.len());
    // The names of the tools that were called so far, by the call's id.
    let mut called = HashMap::new();
    let at = Path::ROOT.field("messages");
    for (nth, message) in request.messages.iter().enumerate() {
        let at = at.nth(nth);
        let mut parts = parts(at, message, &mut called, writer)?;
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "model",
            Role::System | Role::Developer => {
                if !contents.is_empty() {
                    writer.minor(
                        at,
                        "Gemini has no instructions within a conversation; they are put before it",
                    )?;
                }
                system.append(&mut parts);
                if !writer.fields(at, &message.extra, Weight::Minor, &[])?.is_empty() {
                    writer.minor(at, "fields of instructions are left out")?;
                }
                continue;
            }
        };
        let extra = writer.fields(at, &message.extra, Weight::Minor, &["role", "parts"])?;
        // All of it was lost, which was noted.
        if !parts.is_empty() || message.content.is_empty() {
            contents.push(Content { role: Some(role), parts, extra });
        }
    }
    let system =
        (!system.is_empty()).then(|| Content { role: None, parts: system, extra: Fields::default() });
    Ok(Written { system, contents })
}

fn parts<'a>(
    at: Path<'_>,
    message: &'a Message,
    called: &mut HashMap<&'a str, &'a str>,
    writer: &mut Writer,
) -> Result<Vec<Part<'a>>, Failure> {
    let blocks = at.field("content");
    let mut parts = Vec::with_capacity(message.content.len());
    for (nth, block) in message.content.iter().enumerate() {
        let at = blocks.nth(nth);
        match block {
            Block::Text(given) => parts.push(text(at, given, writer)?),
            Block::Thinking(given) => parts.extend(thinking(at, given, writer)?),
            Block::Image(given) | Block::Document(given) | Block::Audio(given) => {
                parts.extend(media(at, given, writer)?);
            }
            Block::ToolCall(call) => {
                called.insert(&call.id, &call.name);
                parts.push(tool_call(at, call, writer)?);
            }
            Block::ToolResult(result) => {
                let name = called.get(result.call_id.as_str()).copied();
                parts.push(tool_result(at, result, name, writer)?);
            }
            Block::Refusal(refusal) => {
                writer.minor(at, "Gemini has no such part; it is sent as text")?;
                writer.fields(at, &refusal.extra, Weight::Minor, &[])?;
                parts.push(Modelled { text: Some(&refusal.text), ..Modelled::default() }.into());
            }
            Block::Opaque(opaque) => parts.extend(writer.opaque(at, opaque)?.map(Part::Opaque)),
            other => writer.major(at, &format!("Gemini takes no {}", other.kind()))?,
        }
    }
    Ok(parts)
}

const MODELLED: [&str; 8] = [
    "text",
    "thought",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "thoughtSignature",
    "parts",
];

fn extra<'a>(at: Path<'_>, extra: &'a Extra, writer: &mut Writer) -> Result<Fields<'a>, Failure> {
    writer.fields(at, extra, Weight::Minor, &MODELLED)
}

fn text<'a>(at: Path<'_>, text: &'a Text, writer: &mut Writer) -> Result<Part<'a>, Failure> {
    writer.no_cache(at, text.cache.as_ref())?;
    if !text.citations.is_empty() {
        writer.minor(at.field("citations"), "Gemini takes no citations back")?;
    }
    let thought_signature = writer.signature(at, text.signature.as_ref())?;
    let extra = extra(at, &text.extra, writer)?;
    Ok(Modelled { text: Some(&text.text), thought_signature, extra, ..Modelled::default() }.into())
}

/// A thought. One that another provider signed is that provider's own.
fn thinking<'a>(
    at: Path<'_>,
    thinking: &'a Thinking,
    writer: &mut Writer,
) -> Result<Option<Part<'a>>, Failure> {
    let foreign = thinking.signature.as_ref().is_some_and(|signature| signature.dialect != DIALECT);
    let others = thinking.extra.iter().any(|field| field.dialect != DIALECT);
    if foreign || others {
        writer.minor(at, "thinking of another provider means nothing to Gemini")?;
        return Ok(None);
    }
    let thought_signature = writer.signature(at, thinking.signature.as_ref())?;
    let extra = extra(at, &thinking.extra, writer)?;
    let part = Modelled {
        text: Some(&thinking.text),
        thought: Some(true),
        thought_signature,
        extra,
        ..Modelled::default()
    };
    Ok(Some(part.into()))
}

fn media<'a>(at: Path<'_>, media: &'a Media, writer: &mut Writer) -> Result<Option<Part<'a>>, Failure> {
    writer.no_cache(at, media.cache.as_ref())?;
    let (mime_type, display_name) = (media.media_type.as_deref(), media.title.as_deref());
    let mut part = Modelled { extra: extra(at, &media.extra, writer)?, ..Modelled::default() };
    match (&media.source, mime_type) {
        (MediaSource::Url(file_uri), _) => {
            part.file_data = Some(FileData { mime_type, file_uri, display_name })
        }
        (MediaSource::File { dialect, id }, _) if dialect.family() == DIALECT.family() => {
            part.file_data = Some(FileData { mime_type, file_uri: id, display_name });
        }
        (MediaSource::File { .. }, _) => {
            writer.major(at, "a file at another provider cannot be read by Gemini")?;
            return Ok(None);
        }
        (MediaSource::Inline(bytes), Some(mime_type)) => {
            part.inline_data =
                Some(InlineData { mime_type, data: BASE64_STANDARD.encode(bytes), display_name });
        }
        (MediaSource::Inline(_), None) => return Err(invalid(at, "inline bytes need a media_type")),
    }
    Ok(Some(part.into()))
}

fn tool_call<'a>(at: Path<'_>, call: &'a ToolCall, writer: &mut Writer) -> Result<Part<'a>, Failure> {
    writer.no_cache(at, call.cache.as_ref())?;
    let args = match object(arguments(&call.arguments)) {
        Some(args) => args,
        None => {
            writer.major(at.field("arguments"), "Gemini takes nothing but a JSON object; {} is sent")?;
            let Some(empty) = object("{}") else { unreachable!("the literal is a JSON object") };
            empty
        }
    };
    let thought_signature = writer.signature(at, call.signature.as_ref())?;
    let extra = extra(at, &call.extra, writer)?;
    let function_call = Some(FunctionCall { id: echoed(&call.id), name: &call.name, args, extra });
    Ok(Modelled { function_call, thought_signature, ..Modelled::default() }.into())
}

/// An id to be sent: not one that Gemini has never seen.
fn echoed(id: &str) -> Option<&str> {
    (!wire::is_made_up(id)).then_some(id)
}

fn tool_result<'a>(
    at: Path<'_>,
    result: &'a ToolResult,
    name: Option<&'a str>,
    writer: &mut Writer,
) -> Result<Part<'a>, Failure> {
    writer.no_cache(at, result.cache.as_ref())?;
    let mut extra = extra(at, &result.extra, writer)?;
    // A result whose call is not in the conversation names its tool itself.
    let named = extra.take(FUNCTION_NAME).and_then(|raw| serde_json::from_str(raw.get()).ok());
    let Some(name) = named.or(name) else {
        let problem = "no earlier message has the tool call with this id, whose name Gemini needs";
        return Err(invalid(at.field("call_id"), problem));
    };
    let content = at.field("content");
    let (mut values, mut parts) = (Vec::new(), Vec::new());
    for (nth, block) in result.content.iter().enumerate() {
        let at = content.nth(nth);
        match block {
            Block::Text(text) => {
                writer.no_cache(at, text.cache.as_ref())?;
                if !text.citations.is_empty() {
                    writer.minor(at.field("citations"), "Gemini takes no citations back")?;
                }
                writer.signature(at, text.signature.as_ref())?;
                writer.fields(at, &text.extra, Weight::Minor, &[])?;
                values.push(value(&text.text));
            }
            Block::Image(given) | Block::Document(given) | Block::Audio(given) => {
                parts.extend(media(at, given, writer)?);
            }
            Block::Opaque(opaque) => parts.extend(writer.opaque(at, opaque)?.map(Part::Opaque)),
            other => writer.major(at, &format!("a tool result of Gemini holds no {}", other.kind()))?,
        }
    }
    let value = match values.len() {
        0 | 1 => values.pop().unwrap_or(Value::Text("")),
        _ => Value::List(values),
    };
    let response = match value {
        value if result.is_error => Answer::Error(value),
        Value::Json(json) if json.get().starts_with('{') => Answer::Object(json),
        value => Answer::Result(value),
    };
    let response = FunctionResponse { id: echoed(&result.call_id), name, response, parts, extra };
    Ok(Modelled { function_response: Some(response), ..Modelled::default() }.into())
}

/// Under which name a result keeps its tool's, should its call be unknown.
pub(super) const FUNCTION_NAME: &str = "name";

/// Objects and arrays go as such, everything else as the text it is.
fn value(text: &str) -> Value<'_> {
    let structured = text.trim_start().starts_with(['{', '[']);
    let json = structured.then(|| serde_json::from_str(text).ok()).flatten();
    json.map_or(Value::Text(text), Value::Json)
}
