//! Writing a `generateContent` request.
//!
//! Whatever Gemini has no place for is an error that names the field.

use std::{collections::HashMap, fmt::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::HeaderName;
use leverframe_core::{
    error::Failure,
    model::{Block, Dialect, Media, MediaSource, Request, Role, Thinking, ToolCall, ToolChoice, ToolResult},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::wire;
use crate::codec::{Call, Endpoint, failure::unsupported, post};

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<http::Request<Bytes>, Failure> {
    let operation = if call.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let path = format!("/v1beta/models/{}:{operation}", path_segment(call.model));
    let headers = [(HeaderName::from_static("x-goog-api-key"), endpoint.credential(""))];
    post::json(endpoint.url(&path), headers, call.stream, &body(call.request)?)
}

/// A model's name, percent-encoded (RFC 3986, unreserved characters). Gemini's
/// own list of models calls them `models/...`.
fn path_segment(model: &str) -> String {
    let name = model.strip_prefix("models/").unwrap_or(model);
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(byte.into()),
            // Writing to a string does not fail.
            _ => write!(segment, "%{byte:02X}").unwrap_or_default(),
        }
    }
    segment
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    generation_config: GenerationConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<FunctionDeclaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters_json_schema: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: FunctionCallingConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCallingConfig<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
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
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    file_uri: &'a str,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    args: &'a RawValue,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    response: Answer<'a>,
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

fn body(request: &Request) -> Result<Body<'_>, Failure> {
    let sampling = request.sampling;
    let seed = sampling.seed.map(i32::try_from).transpose();
    let system = request.system.as_deref().map(|text| Modelled { text: Some(text), ..Modelled::default() });
    Ok(Body {
        system_instruction: system.map(|system| Content { role: None, parts: vec![system.into()] }),
        contents: contents(request)?,
        generation_config: GenerationConfig {
            max_output_tokens: request.max_output_tokens,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            seed: seed.map_err(|_| unsupported("seed", "Gemini takes 32 bits; use a smaller number"))?,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            stop_sequences: &request.stop_sequences,
        },
        tools: tools(request),
        tool_config: tool_config(request),
    })
}

fn tools(request: &Request) -> Option<[Tools<'_>; 1]> {
    let declarations = request.tools.iter().map(|tool| FunctionDeclaration {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: tool.parameters.as_raw(),
    });
    let function_declarations: Vec<_> = declarations.collect();
    (!function_declarations.is_empty()).then_some([Tools { function_declarations }])
}

fn tool_config(request: &Request) -> Option<ToolConfig<'_>> {
    let (mode, allowed) = match &request.tool_choice {
        ToolChoice::Auto => return None,
        // Without tools none is called.
        ToolChoice::None if request.tools.is_empty() => return None,
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_str()])),
    };
    Some(ToolConfig {
        function_calling_config: FunctionCallingConfig { mode, allowed_function_names: allowed },
    })
}

fn contents(request: &Request) -> Result<Vec<Content<'_>>, Failure> {
    // The names of the tools that were called so far, by the call's id.
    let mut called = HashMap::new();
    let mut contents = Vec::with_capacity(request.messages.len());
    for (at, message) in request.messages.iter().enumerate() {
        let mut parts = Vec::with_capacity(message.content.len());
        let mut blocks = message.content.iter().enumerate().peekable();
        while let Some((nth, block)) = blocks.next() {
            let field = || format!("messages[{at}].content[{nth}]");
            let part = match block {
                Block::Text(text) => Modelled { text: Some(text), ..Modelled::default() }.into(),
                Block::Thinking(thinking) => {
                    let signed = |(_, next): &(usize, &'_ Block)| {
                        matches!(next, Block::Text(_)) && is_signature_alone(thinking)
                    };
                    let text = blocks.next_if(signed).map(|(_, block)| block);
                    self::thinking(thinking, text).into()
                }
                Block::Image(media) | Block::Document(media) | Block::Audio(media) => {
                    self::media(media, &field)?.into()
                }
                Block::ToolCall(call) => {
                    called.insert(call.id.as_str(), call.name.as_str());
                    tool_call(call, &field)?.into()
                }
                Block::ToolResult(result) => {
                    let name = called.get(result.call_id.as_str()).ok_or_else(|| {
                        let problem =
                            "no earlier message has the tool call with this id, whose name Gemini needs";
                        unsupported(&format!("{}.call_id", field()), problem)
                    })?;
                    tool_result(result, name, &field)?.into()
                }
                Block::Opaque(opaque) if opaque.dialect != Dialect::Gemini => {
                    let problem = format!(
                        "an opaque block of {} cannot be sent to {}",
                        opaque.dialect,
                        Dialect::Gemini
                    );
                    return Err(unsupported(&field(), &problem));
                }
                Block::Opaque(opaque) if !opaque.json.as_str().trim_start().starts_with('{') => {
                    return Err(unsupported(&field(), "an opaque block of Gemini must be an object"));
                }
                Block::Opaque(opaque) => Part::Opaque(opaque.json.as_raw()),
                other => {
                    let problem = format!("a block of kind {} cannot be sent to Gemini", other.kind());
                    return Err(unsupported(&field(), &problem));
                }
            };
            parts.push(part);
        }
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "model",
        };
        contents.push(Content { role: Some(role), parts });
    }
    Ok(contents)
}

/// Whether the block stands for the signature of a text part.
fn is_signature_alone(thinking: &Thinking) -> bool {
    thinking.text.is_empty() && thinking.signature.is_some()
}

/// A thought; or the text part whose signature this is.
fn thinking<'a>(thinking: &'a Thinking, signed: Option<&'a Block>) -> Modelled<'a> {
    let text = match signed {
        Some(Block::Text(text)) => text,
        _ => &thinking.text,
    };
    Modelled {
        text: Some(text),
        thought: (!is_signature_alone(thinking)).then_some(true),
        thought_signature: thinking.signature.as_deref(),
        ..Modelled::default()
    }
}

fn media<'a>(media: &'a Media, field: &impl Fn() -> String) -> Result<Modelled<'a>, Failure> {
    let mime_type = media.media_type.as_deref();
    match (&media.source, mime_type) {
        (MediaSource::Url(url), _) => {
            Ok(Modelled { file_data: Some(FileData { mime_type, file_uri: url }), ..Modelled::default() })
        }
        (MediaSource::Inline(bytes), Some(mime_type)) => {
            let data = BASE64_STANDARD.encode(bytes);
            Ok(Modelled { inline_data: Some(InlineData { mime_type, data }), ..Modelled::default() })
        }
        (MediaSource::Inline(_), None) => {
            Err(unsupported(&field(), "inline bytes need a media_type, for example image/png"))
        }
    }
}

fn tool_call<'a>(call: &'a ToolCall, field: &impl Fn() -> String) -> Result<Modelled<'a>, Failure> {
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    let args = object(arguments).ok_or_else(|| {
        unsupported(
            &format!("{}.arguments", field()),
            "Gemini takes nothing but a JSON object; repair or remove it",
        )
    })?;
    Ok(Modelled {
        function_call: Some(FunctionCall { id: echoed(&call.id), name: &call.name, args }),
        thought_signature: call.signature.as_deref(),
        ..Modelled::default()
    })
}

/// An id to be sent: not one that Gemini has never seen.
fn echoed(id: &str) -> Option<&str> {
    (!wire::is_made_up(id)).then_some(id)
}

fn tool_result<'a>(
    result: &'a ToolResult,
    name: &'a str,
    field: &impl Fn() -> String,
) -> Result<Modelled<'a>, Failure> {
    let value = |(nth, block): (usize, &'a Block)| match block {
        Block::Text(text) => Ok(value(text)),
        other => {
            let problem = format!("a {} in a tool result is not carried to Gemini; send text", other.kind());
            Err(unsupported(&format!("{}.content[{nth}]", field()), &problem))
        }
    };
    let mut values = result.content.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>()?;
    let value = match values.len() {
        0 | 1 => values.pop().unwrap_or(Value::Text("")),
        _ => Value::List(values),
    };
    let response = match value {
        value if result.is_error => Answer::Error(value),
        Value::Json(json) if json.get().starts_with('{') => Answer::Object(json),
        value => Answer::Result(value),
    };
    let response = FunctionResponse { id: echoed(&result.call_id), name, response };
    Ok(Modelled { function_response: Some(response), ..Modelled::default() })
}

/// Objects and arrays go as such, everything else as the text it is.
fn value(text: &str) -> Value<'_> {
    let structured = text.trim_start().starts_with(['{', '[']);
    let json = structured.then(|| serde_json::from_str(text).ok()).flatten();
    json.map_or(Value::Text(text), Value::Json)
}

fn object(text: &str) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_str(text).ok()?;
    json.get().starts_with('{').then_some(json)
}

#[cfg(test)]
mod tests;
