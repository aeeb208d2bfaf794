//! Writing a Messages request.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::HeaderName;
use leverframe_core::{
    error::Failure,
    model::{
        Block, Dialect, Media, MediaSource, Message, Opaque, Request, Role, Thinking, Tool, ToolCall,
        ToolChoice, ToolResult,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::CITATIONS;
use crate::codec::{Call, Endpoint, failure::unsupported, post, text::Text};

/// What is asked for when the request does not bound its answer, as the API
/// requires a bound. Small enough for every model still served.
pub(super) const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The first version of the API without sampling settings.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<http::Request<Bytes>, Failure> {
    check_version(endpoint, call.request)?;
    let headers = [
        (HeaderName::from_static("x-api-key"), endpoint.credential("")),
        (HeaderName::from_static("anthropic-version"), endpoint.anthropic_version().clone()),
    ];
    post::json(endpoint.url("/v1/messages"), headers, call.stream, &body(call)?)
}

/// Versions are dates and compare as text.
fn check_version(endpoint: &Endpoint, request: &Request) -> Result<(), Failure> {
    if endpoint.anthropic_version().as_bytes() < WITHOUT_SAMPLING.as_bytes() {
        return Ok(());
    }
    let sampling = request.sampling;
    let set = [
        ("temperature", sampling.temperature.is_some()),
        ("top_p", sampling.top_p.is_some()),
        ("top_k", sampling.top_k.is_some()),
    ];
    match set.into_iter().find(|(_, set)| *set) {
        Some((field, _)) => {
            Err(unsupported(field, "was removed from the Anthropic API with version 2026-10-21"))
        }
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a RawValue,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Choice<'a> {
    Any,
    None,
    Tool { name: &'a str },
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Vec<WireBlock<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireBlock<'a> {
    Known(KnownBlock<'a>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KnownBlock<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<&'a RawValue>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: Vec<WireBlock<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: String },
    Url { url: &'a str },
}

fn body(call: Call<'_>) -> Result<Body<'_>, Failure> {
    let request = call.request;
    let sampling = request.sampling;
    let not_here = [
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
    ];
    if let Some((field, _)) = not_here.into_iter().find(|(_, set)| *set) {
        return Err(unsupported(field, "is not part of Anthropic Messages; leave it out"));
    }
    Ok(Body {
        model: call.model,
        max_tokens: request.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        messages: messages(request)?,
        system: request.system.as_deref().filter(|system| !system.is_empty()),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: &request.stop_sequences,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
        stream: call.stream,
    })
}

fn tool(tool: &Tool) -> WireTool<'_> {
    WireTool {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema: tool.parameters.as_raw(),
    }
}

fn tool_choice(request: &Request) -> Option<Choice<'_>> {
    match &request.tool_choice {
        ToolChoice::Auto => None,
        // A choice among no tools is refused, and without tools none is called.
        ToolChoice::None if request.tools.is_empty() => None,
        ToolChoice::None => Some(Choice::None),
        ToolChoice::Required => Some(Choice::Any),
        ToolChoice::Named(name) => Some(Choice::Tool { name }),
    }
}

fn messages(request: &Request) -> Result<Vec<WireMessage<'_>>, Failure> {
    let mut messages = Vec::with_capacity(request.messages.len());
    for (at, message) in request.messages.iter().enumerate() {
        messages.push(self::message(&format!("messages[{at}]"), message)?);
    }
    Ok(messages)
}

fn message<'a>(field: &str, message: &'a Message) -> Result<WireMessage<'a>, Failure> {
    let mut content = blocks(field, &message.content)?;
    // Results answer the turn before and must come before anything new.
    content.sort_by_key(|block| !matches!(block, WireBlock::Known(KnownBlock::ToolResult { .. })));
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    Ok(WireMessage { role, content })
}

fn blocks<'a>(field: &str, blocks: &'a [Block]) -> Result<Vec<WireBlock<'a>>, Failure> {
    let mut written = Vec::with_capacity(blocks.len());
    for (nth, block) in blocks.iter().enumerate() {
        let field = format!("{field}.content[{nth}]");
        match block {
            // Refused by the API, and says nothing.
            Block::Text(text) if text.is_empty() => {}
            Block::Opaque(opaque) => write_opaque(&field, opaque, &mut written)?,
            block => written.push(WireBlock::Known(known(&field, block)?)),
        }
    }
    Ok(written)
}

fn known<'a>(field: &str, block: &'a Block) -> Result<KnownBlock<'a>, Failure> {
    match block {
        Block::Text(text) => Ok(KnownBlock::Text { text, citations: None }),
        Block::Image(media) => Ok(KnownBlock::Image { source: source(field, media, &IMAGES)? }),
        Block::Document(media) => Ok(KnownBlock::Document { source: source(field, media, &DOCUMENTS)? }),
        Block::Thinking(thinking) => self::thinking(field, thinking),
        Block::ToolCall(call) => tool_use(field, call),
        Block::ToolResult(result) => tool_result(field, result),
        other => {
            let problem = format!("a block of kind {} cannot be sent to Anthropic Messages", other.kind());
            Err(unsupported(field, &problem))
        }
    }
}

/// What the API takes inline (Messages reference, image and document sources).
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const DOCUMENTS: [&str; 1] = ["application/pdf"];

fn source<'a>(field: &str, media: &'a Media, types: &[&str]) -> Result<Source<'a>, Failure> {
    match (&media.source, media.media_type.as_deref()) {
        (MediaSource::Url(url), _) => Ok(Source::Url { url }),
        (MediaSource::Inline(data), Some(media_type)) if types.contains(&media_type) => {
            Ok(Source::Base64 { media_type, data: BASE64_STANDARD.encode(data) })
        }
        (MediaSource::Inline(_), given) => {
            let given = given.unwrap_or("nothing");
            let problem = format!("Anthropic takes {} inline, not {given}", types.join(", "));
            Err(unsupported(&format!("{field}.media_type"), &problem))
        }
    }
}

fn thinking<'a>(field: &str, thinking: &'a Thinking) -> Result<KnownBlock<'a>, Failure> {
    match &thinking.signature {
        Some(signature) => Ok(KnownBlock::Thinking { thinking: &thinking.text, signature }),
        None => Err(unsupported(
            field,
            "Anthropic takes thinking back only with its own signature; remove the block",
        )),
    }
}

fn tool_use<'a>(field: &str, call: &'a ToolCall) -> Result<KnownBlock<'a>, Failure> {
    if call.signature.is_some() {
        let field = format!("{field}.signature");
        return Err(unsupported(&field, "Anthropic Messages cannot carry it; remove it"));
    }
    let arguments = if call.arguments.is_empty() { "{}" } else { call.arguments.as_str() };
    let input =
        serde_json::from_str::<&RawValue>(arguments).ok().filter(|input| input.get().starts_with('{'));
    let Some(input) = input else {
        return Err(unsupported(&format!("{field}.arguments"), "must be a JSON object"));
    };
    Ok(KnownBlock::ToolUse { id: &call.id, name: &call.name, input: Cow::Borrowed(input) })
}

fn tool_result<'a>(field: &str, result: &'a ToolResult) -> Result<KnownBlock<'a>, Failure> {
    let kept = |block: &Block| {
        matches!(block, Block::Text(_) | Block::Image(_) | Block::Document(_) | Block::Opaque(_))
    };
    if let Some((nth, block)) = result.content.iter().enumerate().find(|(_, block)| !kept(block)) {
        let problem = format!("a tool result of Anthropic Messages cannot hold a {}", block.kind());
        return Err(unsupported(&format!("{field}.content[{nth}]"), &problem));
    }
    let content = blocks(field, &result.content)?;
    Ok(KnownBlock::ToolResult { tool_use_id: &result.call_id, content, is_error: result.is_error })
}

fn write_opaque<'a>(
    field: &str,
    opaque: &'a Opaque,
    written: &mut Vec<WireBlock<'a>>,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow)]
        citations: Option<&'a RawValue>,
    }
    if opaque.dialect != Dialect::Anthropic {
        let problem =
            format!("an opaque block of {} cannot be sent to {}", opaque.dialect, Dialect::Anthropic);
        return Err(unsupported(field, &problem));
    }
    let probe = serde_json::from_str::<Probe<'a>>(opaque.json.as_str()).ok();
    let Some(Probe { kind: Some(kind), citations: list }) = probe else {
        return Err(unsupported(
            field,
            "an opaque block of Anthropic Messages must be an object with a type",
        ));
    };
    if kind.as_str() != CITATIONS {
        written.push(WireBlock::Opaque(opaque.json.as_raw()));
        return Ok(());
    }
    match written.last_mut() {
        Some(WireBlock::Known(KnownBlock::Text { citations, .. })) => {
            *citations = list;
            Ok(())
        }
        _ => Err(unsupported(field, "citations must follow the text they belong to")),
    }
}

#[cfg(test)]
mod tests;
