//! Reading a whole chat completion.

use http::HeaderMap;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Block, Citation, Dialect, Opaque, Refusal, Response, Text, Thinking, ToolCall},
};
use serde_json::value::RawValue;

use super::{
    error,
    wire::{self, Completion, Content, Function, Message, Part},
};
use crate::codec::failure::{position, unreadable};

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
            None => unreadable("a chat completion", text).with_source(position(&source)),
        })?;
    if body.error.is_some() || (body.choices.is_none() && error::read_inside(text).is_some()) {
        return Err(error::read(200, headers, text));
    }
    let usage = body.usage().unwrap_or_default();
    let id = body.id.map(|id| id.into_string()).filter(|id| !id.is_empty());
    let others = body.choices.as_ref().is_some_and(|choices| choices.others);
    let Some(choice) = body.choices.and_then(|choices| choices.choice) else {
        return Err(Failure::new(
            ErrorKind::Unreadable,
            "expected a chat completion, got one without choices",
        ));
    };
    if let Some(failure) = choice.error.and_then(|error| error::read_inside(error.get())) {
        return Err(failure);
    }
    let whole =
        choice.whole().map_err(|source| unreadable("a message", text).with_source(position(&source)))?;
    let logprobs = choice.logprobs();
    let message = whole.or(choice.delta).unwrap_or_default();
    // Lists and sound are looked at: some servers send them with nothing in them.
    let known = message.lists().chain(message.audio());
    let mut message_extra: leverframe_core::model::Extra = known.collect();
    choice.message.into_iter().flat_map(wire::message_extra).for_each(|field| message_extra.set(field));
    let content = blocks(message, id.as_deref().unwrap_or_default(), text)?;
    let calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let refused = content.iter().any(|block| matches!(block, Block::Refusal(_)));
    let raw = choice.finish_reason.map(|raw| raw.into_string());
    let finish = wire::finish(raw.as_deref().unwrap_or_default(), calls, refused);

    let mut response = Response::new(content, finish);
    response.id = id;
    response.model = body.model.map(|model| model.into_string()).filter(|model| !model.is_empty());
    response.finish_raw = raw;
    response.usage = usage;
    response.message_extra = message_extra;
    response.extra = wire::answer_extra(text);
    response.extra.extend(logprobs);
    if others {
        wire::other_choices(text).into_iter().for_each(|raw| response.extra.append(wire::other_choice(raw)));
    }
    Ok(response)
}

/// The blocks of a message. `text` is the whole body, to be shown when it is wrong.
fn blocks(mut message: Message<'_>, answer: &str, text: &str) -> Result<Vec<Block>, Failure> {
    let mut blocks = Vec::new();
    if let Some(text) = message.take_reasoning() {
        blocks.push(Block::Thinking(Thinking::new(text.into_string())));
    }
    match message.content.take() {
        Some(Content::Text(text)) if !text.is_empty() => blocks.push(Block::text(text.into_string())),
        Some(Content::Parts(parts)) => blocks.extend(parts.into_iter().map(part)),
        Some(Content::Text(_)) | None => {}
    }
    if let Some(refusal) = message.refusal.take().filter(|refusal| !refusal.is_empty()) {
        blocks.push(Block::Refusal(Refusal::from(refusal.as_str())));
    }
    let mut made = 0;
    let mut made_up = || {
        made += 1;
        wire::made_up_id(answer, made - 1)
    };
    for raw in message.tool_calls.take().unwrap_or_default() {
        blocks.extend(tool_call(raw, &mut made_up)?);
    }
    let legacy = message
        .function_call()
        .map_err(|source| unreadable("a function call", text).with_source(position(&source)))?;
    if let Some(function) = legacy {
        blocks.extend(function_call(function, None, &mut made_up));
    }
    cite(message.citations(), &mut blocks);
    Ok(blocks)
}

/// Citations belong to the text, of which there is one.
fn cite(citations: Vec<Citation>, blocks: &mut Vec<Block>) {
    if citations.is_empty() {
        return;
    }
    let text = blocks.iter_mut().find_map(|block| match block {
        Block::Text(text) => Some(text),
        _ => None,
    });
    match text {
        Some(text) => text.citations = citations,
        None => blocks.push(Block::Text(Text { citations, ..Text::default() })),
    }
}

fn part(raw: &RawValue) -> Block {
    match Part::read(raw) {
        Part::Text(text) => Block::text(text.into_string()),
        Part::Refusal(text) => Block::Refusal(Refusal::from(text.as_str())),
        Part::Thinking(text) => Block::Thinking(Thinking::new(text)),
        Part::Other(raw) => Block::Opaque(Opaque { dialect: Dialect::OpenAiChat, json: raw.into() }),
    }
}

fn tool_call(raw: &RawValue, made_up: &mut impl FnMut() -> String) -> Result<Option<Block>, Failure> {
    let mut call: wire::ToolCall<'_> = serde_json::from_str(raw.get())
        .map_err(|source| unreadable("a tool call", raw.get()).with_source(position(&source)))?;
    let (name, arguments) = call.take_named();
    let id = call.id.map(|id| id.into_string()).filter(|id| !id.is_empty());
    let mut block = named_call(name, arguments, id, made_up);
    if let Some(Block::ToolCall(call)) = &mut block {
        call.extra.extend(wire::call_extra(raw));
    }
    Ok(block)
}

fn function_call(
    function: Function<'_>,
    id: Option<String>,
    made_up: &mut impl FnMut() -> String,
) -> Option<Block> {
    let arguments = function.arguments();
    named_call(function.name, arguments, id, made_up)
}

/// `None` for the empty calls that some servers send for no call.
fn named_call(
    name: Option<crate::codec::text::Text<'_>>,
    arguments: crate::codec::text::Text<'_>,
    id: Option<String>,
    made_up: &mut impl FnMut() -> String,
) -> Option<Block> {
    let name = name.map(|name| name.into_string()).unwrap_or_default();
    if name.is_empty() && arguments.is_empty() {
        return None;
    }
    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments.into_string() };
    Some(Block::ToolCall(ToolCall::new(id.unwrap_or_else(made_up), name, arguments)))
}

#[cfg(test)]
mod tests;
