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
    let Some(choice) = body.choices.and_then(|choices| choices.0) else {
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
    let message = whole.or(choice.delta).unwrap_or_default();
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
    Ok(response)
}

/// The blocks of a message. `text` is the whole body, to be shown when it is wrong.
fn blocks(mut message: Message<'_>, answer: &str, text: &str) -> Result<Vec<Block>, Failure> {
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
    let legacy = message
        .function_call()
        .map_err(|source| unreadable("a function call", text).with_source(position(&source)))?;
    if let Some(function) = legacy {
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
    let call: wire::ToolCall<'_> = serde_json::from_str(raw.get())
        .map_err(|source| unreadable("a tool call", raw.get()).with_source(position(&source)))?;
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

#[cfg(test)]
mod tests {
    use leverframe_core::model::FinishReason;

    use super::*;

    fn read(text: &str) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", http::HeaderValue::from_static("req_1"));
        decode(&headers, text)
    }

    fn message(message: &str, finish: &str) -> Response {
        let text = format!(
            r#"{{"id":"abc","model":"m","choices":[{{"message":{message},"finish_reason":"{finish}"}}]}}"#
        );
        read(&text).expect("an answer")
    }

    fn call(id: &str, name: &str, arguments: &str) -> Block {
        let own = str::to_owned;
        Block::ToolCall(ToolCall { id: own(id), name: own(name), arguments: own(arguments), signature: None })
    }

    fn kept(json: &str) -> Block {
        opaque(Json::parse(json).expect("JSON"))
    }

    fn thinking(text: &str) -> Block {
        Block::Thinking(Thinking { text: text.to_owned(), signature: None })
    }

    #[test]
    fn a_whole_answer() {
        let response = read(
            r#"{"id":"abc","object":"chat.completion","model":"m-1","choices":[{"index":0,
                "message":{"role":"assistant","content":"Hello","refusal":null,"annotations":[]},
                "logprobs":null,"finish_reason":"stop"}],
                "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},"service_tier":"default"}"#,
        )
        .expect("an answer");
        assert_eq!(response.content, [Block::Text("Hello".to_owned())]);
        assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("abc"), Some("m-1")));
        assert_eq!((response.finish, response.finish_raw.as_deref()), (FinishReason::Stop, Some("stop")));
        assert_eq!(response.usage.total(), Some(11));
    }

    #[test]
    fn every_kind_of_content_has_its_block() {
        let text = |text: &str| Block::Text(text.to_owned());
        let cases = [
            (
                r#"{"content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                vec![call("a", "f", "{}")],
            ),
            (
                r#"{"content":null,"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}},{"function":{"name":"g"}}]}"#,
                vec![call("call_abc_0", "f", r#"{"x":1}"#), call("call_abc_1", "g", "{}")],
            ),
            (
                r#"{"function_call":{"name":"f","arguments":"{\"x\":1}"}}"#,
                vec![call("call_abc_0", "f", r#"{"x":1}"#)],
            ),
            (
                r#"{"content":"a","function_call":{"name":"","arguments":""},"audio":{"id":"","data":""}}"#,
                vec![text("a")],
            ),
            (r#"{"content":null,"refusal":"No."}"#, vec![Block::Refusal("No.".to_owned())]),
            (r#"{"content":"a","reasoning_content":"hm"}"#, vec![thinking("hm"), text("a")]),
            (r#"{"content":"a","reasoning":"hm","reasoning_content":""}"#, vec![thinking("hm"), text("a")]),
            (
                r#"{"content":"a","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}]}"#,
                vec![
                    thinking("hm"),
                    text("a"),
                    kept(r#"{"reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}]}"#),
                ],
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"},{"type":"reference","reference_ids":[1]}]}"#,
                vec![thinking("hm"), text("a"), kept(r#"{"type":"reference","reference_ids":[1]}"#)],
            ),
            (
                r#"{"content":"a","annotations":[{"type":"url_citation"}]}"#,
                vec![text("a"), kept(r#"{"annotations":[{"type":"url_citation"}]}"#)],
            ),
            (
                r#"{"audio":{"id":"audio_1","data":"AA==","transcript":"a"}}"#,
                vec![kept(r#"{"audio":{"id":"audio_1","data":"AA==","transcript":"a"}}"#)],
            ),
            (
                r#"{"tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
                vec![kept(
                    r#"{"tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
                )],
            ),
            ("{}", vec![]),
        ];
        for (json, content) in cases {
            assert_eq!(message(json, "stop").content, content, "{json}");
        }
    }

    #[test]
    fn calls_and_refusals_decide_what_stop_means() {
        let call = r#"{"tool_calls":[{"id":"a","function":{"name":"f"}}]}"#;
        assert_eq!(message(call, "stop").finish, FinishReason::ToolCalls);
        assert_eq!(message(call, "length").finish, FinishReason::Length);
        assert_eq!(message(r#"{"refusal":"No."}"#, "stop").finish, FinishReason::Refusal);
        assert_eq!(message(r#"{"content":"a"}"#, "bored").finish_raw.as_deref(), Some("bored"));
    }

    #[test]
    fn an_error_under_a_successful_status_is_an_error() {
        let cases = [
            (r#"{"error":{"code":429,"message":"slow"}}"#, ErrorKind::RateLimited),
            (r#"{"error":{"code":"content_filter","status":400,"message":"no"}}"#, ErrorKind::Refused),
            (r#"{"detail":"who are you"}"#, ErrorKind::Server),
            (
                r#"{"choices":[{"error":{"code":502,"message":"upstream"},"message":{},"finish_reason":"error"}]}"#,
                ErrorKind::Server,
            ),
            (r#"{"choices":[]}"#, ErrorKind::Unreadable),
            ("{}", ErrorKind::Unreadable),
            ("<html>", ErrorKind::Unreadable),
            (r#"{"choices":[{"message":{"content":7}}]}"#, ErrorKind::Unreadable),
        ];
        for (text, kind) in cases {
            let failure = read(text).expect_err(text);
            assert_eq!(failure.kind, kind, "{text}: {failure}");
            assert_eq!(failure.provider_request_id.as_deref(), Some("req_1"), "{text}");
        }
    }
}
