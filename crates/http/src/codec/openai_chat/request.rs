//! Writing a chat completion request.
//!
//! Whatever Chat has no place for is an error that names the field.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::header;
use leverframe_core::{
    error::Failure,
    model::{
        Block, Dialect, Media, MediaSource, Message, Opaque, Request, Role, Tool, ToolChoice, ToolResult,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::codec::{Call, Endpoint, failure::unsupported, post, text::Text};

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<http::Request<Bytes>, Failure> {
    let headers = [(header::AUTHORIZATION, endpoint.credential("Bearer "))];
    post::json(endpoint.url("/chat/completions"), headers, call.stream, &body(call)?)
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<FunctionDefinition<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// `{"type": "function", "function": ...}`, for tools and for the tool choice.
#[derive(Serialize)]
struct Function<F> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: F,
}

impl<F> Function<F> {
    fn new(function: F) -> Self {
        Self { kind: "function", function }
    }
}

#[derive(Serialize)]
struct FunctionDefinition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
}

#[derive(Serialize)]
struct FunctionName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named(Function<FunctionName<'a>>),
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    /// `null` for an assistant that only calls tools.
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    /// Fields of an answer that are returned as they came.
    #[serde(flatten)]
    kept: BTreeMap<String, &'a RawValue>,
}

impl<'a> WireMessage<'a> {
    fn new(role: &'static str, content: Option<WireContent<'a>>) -> Self {
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None, kept: BTreeMap::new() }
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
    Known(KnownPart<'a>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KnownPart<'a> {
    Text { text: &'a str },
    Refusal { refusal: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct WireToolCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireFunctionCall<'a>,
}

#[derive(Serialize)]
struct WireFunctionCall<'a> {
    name: &'a str,
    arguments: &'a str,
}

fn body(call: Call<'_>) -> Result<Body<'_>, Failure> {
    let request = call.request;
    let sampling = request.sampling;
    if sampling.top_k.is_some() {
        return Err(unsupported("top_k", "is not part of OpenAI Chat Completions; leave it out"));
    }
    Ok(Body {
        model: call.model,
        messages: messages(request)?,
        max_completion_tokens: request.max_output_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        seed: sampling.seed,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        stop: &request.stop_sequences,
        tools: tools(request),
        tool_choice: tool_choice(request),
        stream: call.stream.then_some(true),
        stream_options: call.stream.then_some(StreamOptions { include_usage: true }),
    })
}

fn tools(request: &Request) -> Vec<Function<FunctionDefinition<'_>>> {
    fn definition(tool: &Tool) -> Function<FunctionDefinition<'_>> {
        let Tool { name, description, parameters } = tool;
        let description = description.as_deref();
        Function::new(FunctionDefinition { name, description, parameters: parameters.as_raw() })
    }
    request.tools.iter().map(definition).collect()
}

fn tool_choice(request: &Request) -> Option<Choice<'_>> {
    match &request.tool_choice {
        ToolChoice::Auto => None,
        // OpenAI refuses a choice among no tools, and without tools none is called.
        ToolChoice::None if request.tools.is_empty() => None,
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::Required => Some(Choice::Word("required")),
        ToolChoice::Named(name) => Some(Choice::Named(Function::new(FunctionName { name }))),
    }
}

fn messages(request: &Request) -> Result<Vec<WireMessage<'_>>, Failure> {
    let system = request.system.as_deref();
    let mut messages: Vec<_> =
        system.map(|text| WireMessage::new("system", Some(WireContent::Text(text)))).into_iter().collect();
    for (at, message) in request.messages.iter().enumerate() {
        match message.role {
            Role::User => user(at, message, &mut messages)?,
            Role::Assistant => messages.push(assistant(at, message)?),
        }
    }
    Ok(messages)
}

/// Tool results first, each a message of its own, as they have to follow the
/// calls; then the rest.
fn user<'a>(at: usize, message: &'a Message, messages: &mut Vec<WireMessage<'a>>) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for (nth, block) in message.content.iter().enumerate() {
        let field = || format!("messages[{at}].content[{nth}]");
        match block {
            Block::Text(text) => parts.push(WirePart::Known(KnownPart::Text { text })),
            Block::Image(media) => {
                parts.push(WirePart::Known(KnownPart::ImageUrl { image_url: image(media, &field)? }));
            }
            Block::ToolResult(result) => messages.push(tool_result(result, &field())?),
            Block::Opaque(opaque) => match own(opaque, &field)? {
                Own::Part(part) => parts.push(WirePart::Opaque(part)),
                Own::Fields(_) => return Err(unsupported(&field(), "belongs in an assistant message")),
            },
            other => return Err(no_place(&field(), other)),
        }
    }
    if !parts.is_empty() {
        messages.push(WireMessage::new("user", Some(content(parts))));
    }
    Ok(())
}

fn assistant(at: usize, message: &Message) -> Result<WireMessage<'_>, Failure> {
    let mut wire = WireMessage::new("assistant", None);
    let mut parts = Vec::new();
    let mut thinking = None;
    for (nth, block) in message.content.iter().enumerate() {
        let field = || format!("messages[{at}].content[{nth}]");
        match block {
            Block::Text(text) => parts.push(WirePart::Known(KnownPart::Text { text })),
            Block::Refusal(refusal) => parts.push(WirePart::Known(KnownPart::Refusal { refusal })),
            Block::ToolCall(call) => {
                if call.signature.is_some() {
                    let field = format!("{}.signature", field());
                    return Err(unsupported(&field, "OpenAI Chat Completions cannot carry it; remove it"));
                }
                // Arguments are a string, and an empty one is not JSON.
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                let function = WireFunctionCall { name: &call.name, arguments };
                wire.tool_calls.push(WireToolCall { id: &call.id, kind: "function", function });
            }
            Block::Thinking(_) => thinking = thinking.or(Some(nth)),
            Block::Opaque(opaque) => match own(opaque, &field)? {
                Own::Part(part) => parts.push(WirePart::Opaque(part)),
                Own::Fields(fields) => keep(&mut wire.kept, fields, &field)?,
            },
            other => return Err(no_place(&field(), other)),
        }
    }
    if let Some(nth) = thinking
        && !wire.kept.contains_key("reasoning_details")
    {
        let field = format!("messages[{at}].content[{nth}]");
        return Err(unsupported(
            &field,
            "OpenAI Chat Completions cannot take thinking back; remove the block",
        ));
    }
    if !parts.is_empty() {
        wire.content = Some(content(parts));
    }
    Ok(wire)
}

fn no_place(field: &str, block: &Block) -> Failure {
    let kind = block.kind();
    unsupported(field, &format!("a block of kind {kind} cannot be sent to OpenAI Chat Completions here"))
}

/// A single text goes as a string, which every server understands.
fn content(parts: Vec<WirePart<'_>>) -> WireContent<'_> {
    match parts.as_slice() {
        [WirePart::Known(KnownPart::Text { text })] => WireContent::Text(text),
        _ => WireContent::Parts(parts),
    }
}

fn image<'a>(media: &'a Media, field: &impl Fn() -> String) -> Result<ImageUrl<'a>, Failure> {
    let url = match (&media.source, &media.media_type) {
        (MediaSource::Url(url), _) => url.into(),
        (MediaSource::Inline(data), Some(kind)) => {
            format!("data:{kind};base64,{}", BASE64_STANDARD.encode(data)).into()
        }
        (MediaSource::Inline(_), None) => {
            return Err(unsupported(&field(), "an inline image needs a media_type, for example image/png"));
        }
    };
    Ok(ImageUrl { url })
}

fn tool_result<'a>(result: &'a ToolResult, field: &str) -> Result<WireMessage<'a>, Failure> {
    if result.is_error {
        let problem = "OpenAI Chat Completions has no flag for it; say it in the result's text";
        return Err(unsupported(&format!("{field}.is_error"), problem));
    }
    let part = |(nth, block): (usize, &'a Block)| match block {
        Block::Text(text) => Ok(WirePart::Known(KnownPart::Text { text })),
        other => Err(no_place(&format!("{field}.content[{nth}]"), other)),
    };
    let parts = result.content.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?;
    let content = if parts.is_empty() { WireContent::Text("") } else { content(parts) };
    let mut message = WireMessage::new("tool", Some(content));
    message.tool_call_id = Some(&result.call_id);
    Ok(message)
}

/// What an opaque block of this dialect was: a part of the content, or fields
/// of the message.
enum Own<'a> {
    Part(&'a RawValue),
    Fields(BTreeMap<String, &'a RawValue>),
}

fn own<'a>(opaque: &'a Opaque, field: &impl Fn() -> String) -> Result<Own<'a>, Failure> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
    }
    if opaque.dialect != Dialect::OpenAiChat {
        let problem =
            format!("an opaque block of {} cannot be sent to {}", opaque.dialect, Dialect::OpenAiChat);
        return Err(unsupported(&field(), &problem));
    }
    let json = opaque.json.as_str();
    let object = "an opaque block of OpenAI Chat Completions must be an object";
    match serde_json::from_str::<Probe<'_>>(json) {
        Ok(Probe { kind: Some(_) }) => Ok(Own::Part(opaque.json.as_raw())),
        _ => serde_json::from_str(json).map(Own::Fields).map_err(|_| unsupported(&field(), object)),
    }
}

/// Adds fields, none of which may stand for what the message says already.
fn keep<'a>(
    kept: &mut BTreeMap<String, &'a RawValue>,
    fields: BTreeMap<String, &'a RawValue>,
    field: &impl Fn() -> String,
) -> Result<(), Failure> {
    for (name, value) in fields {
        let taken = matches!(name.as_str(), "role" | "content" | "tool_calls" | "tool_call_id");
        if taken || kept.contains_key(&name) {
            return Err(unsupported(&field(), &format!("the message cannot take another {name:?}")));
        }
        kept.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
