//! Writing a Messages request.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, header};
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{
        Block, Dialect, Media, MediaSource, Message, Opaque, Request, Role, Thinking, Tool, ToolCall,
        ToolChoice, ToolResult,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::CITATIONS;
use crate::codec::{Call, Endpoint, text::Text};

/// What is asked for when the request does not bound its answer, as the API
/// requires a bound. Small enough for every model still served.
pub(super) const DEFAULT_MAX_TOKENS: u32 = 4096;

/// The first version of the API without sampling settings.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Writes the HTTP request for one call.
pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<http::Request<Bytes>, Failure> {
    check_version(endpoint, call.request)?;
    let body = serde_json::to_vec(&body(call)?)
        .map_err(|source| invalid("the request cannot be written as JSON").with_source(source))?;
    let accept = if call.stream { "text/event-stream" } else { "application/json" };
    http::Request::builder()
        .method(Method::POST)
        .uri(endpoint.url("/v1/messages"))
        .header("x-api-key", endpoint.credential(""))
        .header("anthropic-version", endpoint.anthropic_version())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, accept)
        .body(Bytes::from(body))
        .map_err(|source| invalid("the provider's address cannot be requested").with_source(source))
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorKind::InvalidRequest, message)
}

fn unsupported(field: &str, problem: &str) -> Failure {
    Failure::new(ErrorKind::Unsupported, format!("{field}: {problem}"))
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
mod tests {
    use leverframe_core::model::Json;
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::new(Dialect::Anthropic, "http://localhost", SecretString::from("sk-ant-x")).expect("valid")
    }

    fn write(request: &Request) -> Result<Value, Failure> {
        let call = Call { request, model: "claude-x", stream: false };
        encode(&endpoint(), call).map(|written| serde_json::from_slice(written.body()).expect("JSON"))
    }

    fn hello() -> Request {
        Request::new("any").user("Hello")
    }

    fn opaque(json: &str) -> Block {
        Block::Opaque(Opaque { dialect: Dialect::Anthropic, json: Json::parse(json).expect("JSON") })
    }

    #[test]
    fn a_plain_request() {
        let request = hello().system("Be brief.").temperature(0.5).stop("END").max_output_tokens(9);
        let call = Call { request: &request, model: "claude-x", stream: true };
        let written = encode(&endpoint(), call).expect("valid");
        assert_eq!(written.uri(), "http://localhost/v1/messages");
        assert_eq!(written.headers()["x-api-key"], "sk-ant-x");
        assert_eq!(written.headers()["anthropic-version"], "2023-06-01");
        assert!(!format!("{written:?}").contains("sk-ant"));
        let body: Value = serde_json::from_slice(written.body()).expect("JSON");
        let expected = json!({
            "model": "claude-x", "max_tokens": 9, "system": "Be brief.", "temperature": 0.5,
            "stop_sequences": ["END"], "stream": true,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_bound_the_api_requires_is_made_up() {
        assert_eq!(write(&hello()).expect("valid")["max_tokens"], DEFAULT_MAX_TOKENS);
    }

    #[test]
    fn a_tool_round_trip_with_results_first() {
        let call =
            ToolCall { id: "t1".into(), name: "f".into(), arguments: "{\"a\": 1}".into(), signature: None };
        let thinking = Thinking { text: "hm".into(), signature: Some("s".into()) };
        let result =
            ToolResult { call_id: "t1".into(), content: vec![Block::Text("4".into())], is_error: true };
        let request = hello()
            .tool(Tool { name: "f".into(), description: None, parameters: Json::parse("{}").expect("JSON") })
            .tool_choice(ToolChoice::Named("f".into()))
            .message(Message {
                role: Role::Assistant,
                content: vec![
                    Block::Thinking(thinking),
                    opaque(r#"{"type":"redacted_thinking","data":"x"}"#),
                    Block::ToolCall(call),
                ],
            })
            .message(Message {
                role: Role::User,
                content: vec![Block::Text("and?".into()), Block::ToolResult(result)],
            });
        let body = write(&request).expect("valid");
        assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "f"}));
        assert_eq!(
            body["messages"][1]["content"],
            json!([
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ])
        );
        let result = json!({
            "type": "tool_result", "tool_use_id": "t1", "is_error": true,
            "content": [{"type": "text", "text": "4"}],
        });
        assert_eq!(body["messages"][2]["content"], json!([result, {"type": "text", "text": "and?"}]));
    }

    #[test]
    fn citations_go_back_into_their_text() {
        let request = hello().message(Message {
            role: Role::Assistant,
            content: vec![Block::Text("a".into()), opaque(r#"{"type":"citations","citations":[{"x":1}]}"#)],
        });
        let body = write(&request).expect("valid");
        let text = json!({"type": "text", "text": "a", "citations": [{"x": 1}]});
        assert_eq!(body["messages"][1]["content"], json!([text]));
    }

    #[test]
    fn what_cannot_be_said_names_its_field() {
        let turn = |block: Block| hello().message(Message { role: Role::Assistant, content: vec![block] });
        let foreign = Opaque { dialect: Dialect::Gemini, json: Json::parse("{}").expect("JSON") };
        let mut seeded = hello();
        seeded.sampling.seed = Some(1);
        let unsigned = Thinking { text: "hm".into(), signature: None };
        let picture = |media_type: &str| {
            let source = MediaSource::Inline(Bytes::from_static(b"x"));
            Block::Image(Media { media_type: Some(media_type.into()), source })
        };
        let result = |block: Block| {
            Block::ToolResult(ToolResult { call_id: "t".into(), content: vec![block], is_error: false })
        };
        for (request, field) in [
            (seeded, "seed"),
            (turn(Block::Opaque(foreign)), "messages[1].content[0]"),
            (turn(Block::Refusal("no".into())), "messages[1].content[0]"),
            (turn(Block::Thinking(unsigned)), "messages[1].content[0]"),
            (turn(picture("image/tiff")), "messages[1].content[0].media_type"),
            (turn(result(Block::Refusal("no".into()))), "messages[1].content[0].content[0]"),
            (turn(result(picture("text/html"))), "messages[1].content[0].content[0].media_type"),
        ] {
            let failure = write(&request).expect_err(field);
            assert_eq!(failure.kind, ErrorKind::Unsupported);
            assert!(failure.message.starts_with(&format!("{field}: ")), "{failure}");
        }
    }

    #[test]
    fn sampling_is_refused_where_the_api_has_none() {
        let endpoint = endpoint().with_anthropic_version("2026-10-21").expect("valid");
        let request = hello().temperature(0.1);
        let failure =
            encode(&endpoint, Call { request: &request, model: "m", stream: false }).expect_err("refused");
        assert!(failure.message.starts_with("temperature: "));
    }
}
