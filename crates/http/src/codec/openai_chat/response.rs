//! Reading a whole chat completion.

use http::HeaderMap;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Block, Dialect, Json, Opaque, Response, Thinking, ToolCall},
};
use serde_json::value::RawValue;

use super::{
    error,
    wire::{self, Completion, Content, Function, Message, Part},
};

/// Reads the body of a successful answer.
pub(in crate::codec) fn decode(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    read(headers, text).map_err(|failure| {
        let id = failure.provider_request_id.clone().or_else(|| error::request_id(headers));
        failure.with_provider_request_id(id)
    })
}

fn read(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    let body: Completion<'_> =
        serde_json::from_str(text).map_err(|source| match error::read_inside(text) {
            Some(_) => error::read(200, headers, text),
            None => error::unreadable("a chat completion", text, source),
        })?;
    if body.error.is_some() || (body.choices.is_none() && error::read_inside(text).is_some()) {
        return Err(error::read(200, headers, text));
    }
    let usage = body.usage().unwrap_or_default();
    let id = body.id.map(|id| id.into_string()).filter(|id| !id.is_empty());
    let Some(choice) = body.choices.and_then(|choices| choices.0) else {
        return Err(Failure::new(ErrorKind::Unreadable, "expected a chat completion, got one without choices"));
    };
    if let Some(failure) = choice.error.and_then(|error| error::read_inside(error.get())) {
        return Err(failure);
    }
    let message = choice.message.or(choice.delta).unwrap_or_default();
    let content = blocks(message, id.as_deref().unwrap_or_default())?;
    let calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let refused = content.iter().any(|block| matches!(block, Block::Refusal(_)));
    let raw = choice.finish_reason.map(|raw| raw.into_string());
    let finish = wire::finish(raw.as_deref().unwrap_or_default(), calls, refused);

    let mut response = Response::new(content, finish);
    response.id = id;
    response.model = body.model.map(|model| model.into_string()).filter(|model| !model.is_empty());
    response.finish_raw = raw;
    response.usage = usage;
    Ok(response)
}

fn blocks(mut message: Message<'_>, answer: &str) -> Result<Vec<Block>, Failure> {
    let mut blocks = Vec::new();
    if let Some(text) = message.take_reasoning() {
        blocks.push(Block::Thinking(Thinking { text: text.into_string(), signature: None }));
    }
    match message.content.take() {
        Some(Content::Text(text)) if !text.is_empty() => blocks.push(Block::Text(text.into_string())),
        Some(Content::Parts(parts)) => blocks.extend(parts.into_iter().map(part)),
        Some(Content::Text(_)) | None => {}
    }
    if let Some(refusal) = message.refusal.take().filter(|refusal| !refusal.is_empty()) {
        blocks.push(Block::Refusal(refusal.into_string()));
    }
    let mut made = 0;
    let mut made_up = || {
        made += 1;
        wire::made_up_id(answer, made - 1)
    };
    for raw in message.tool_calls.take().unwrap_or_default() {
        blocks.extend(tool_call(raw, &mut made_up)?);
    }
    if let Some(function) = message.function_call.take() {
        blocks.extend(function_call(function, None, &mut made_up));
    }
    let kept = message.unmodelled().filter_map(|(field, raw)| wire::as_object(field.name(), raw.get()));
    blocks.extend(kept.map(opaque));
    Ok(blocks)
}

fn part(raw: &RawValue) -> Block {
    match Part::read(raw) {
        Part::Text(text) => Block::Text(text.into_string()),
        Part::Refusal(text) => Block::Refusal(text.into_string()),
        Part::Thinking(text) => Block::Thinking(Thinking { text, signature: None }),
        Part::Other(raw) => opaque(Json::from(raw.to_owned())),
    }
}

fn opaque(json: Json) -> Block {
    Block::Opaque(Opaque { dialect: Dialect::OpenAiChat, json })
}

fn tool_call(raw: &RawValue, made_up: &mut impl FnMut() -> String) -> Result<Option<Block>, Failure> {
    let call: wire::ToolCall<'_> =
        serde_json::from_str(raw.get()).map_err(|source| error::unreadable("a tool call", raw.get(), source))?;
    if call.is_foreign() {
        return Ok(wire::as_object("tool_calls", &format!("[{}]", raw.get())).map(opaque));
    }
    let id = call.id.map(|id| id.into_string()).filter(|id| !id.is_empty());
    Ok(function_call(call.function.unwrap_or_default(), id, made_up))
}

/// `None` for the empty calls that some servers send for no call.
fn function_call(
    function: Function<'_>,
    id: Option<String>,
    made_up: &mut impl FnMut() -> String,
) -> Option<Block> {
    let mut arguments = function.arguments().into_string();
    let name = function.name.map(|name| name.into_string()).unwrap_or_default();
    if name.is_empty() && arguments.is_empty() {
        return None;
    }
    if arguments.is_empty() {
        arguments.push_str("{}");
    }
    Some(Block::ToolCall(ToolCall { id: id.unwrap_or_else(made_up), name, arguments, signature: None }))
}
