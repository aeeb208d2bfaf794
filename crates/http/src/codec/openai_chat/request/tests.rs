//! Tests of the file beside this folder.

use http::Method;
use leverframe_core::error::ErrorKind;
use leverframe_core::model::{Json, Thinking, ToolCall};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

fn endpoint() -> Endpoint {
    let base = Endpoint::default_base_url(Dialect::OpenAiChat);
    Endpoint::new(Dialect::OpenAiChat, base, SecretString::from("sk-test")).expect("valid")
}

fn write(request: &Request) -> Result<Value, Failure> {
    let call = Call { request, model: "gpt-x", stream: false };
    let written = encode(&endpoint(), call)?;
    Ok(serde_json::from_slice(written.body()).expect("JSON"))
}

fn hello() -> Request {
    Request::new("any").user("Hello")
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

fn turn(role: Role, content: Vec<Block>) -> Request {
    hello().message(Message { role, content })
}

fn tool_call(arguments: &str) -> ToolCall {
    let own = str::to_owned;
    ToolCall { id: own("a"), name: own("f"), arguments: own(arguments), signature: None }
}

fn result(content: Vec<Block>) -> ToolResult {
    ToolResult { call_id: "a".to_owned(), content, is_error: false }
}

fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

fn opaque(dialect: Dialect, text: &str) -> Block {
    Block::Opaque(Opaque { dialect, json: json(text) })
}

fn inline(media_type: Option<&str>) -> Media {
    let source = MediaSource::Inline(Bytes::from_static(b"abc"));
    Media { media_type: media_type.map(str::to_owned), source }
}

#[test]
fn where_it_goes_and_how_it_is_signed() {
    let request = hello();
    for (stream, accept) in [(false, "application/json"), (true, "text/event-stream")] {
        let written =
            encode(&endpoint(), Call { request: &request, model: "gpt-x", stream }).expect("written");
        assert_eq!(
            (written.method(), written.uri().to_string().as_str()),
            (&Method::POST, "https://api.openai.com/v1/chat/completions")
        );
        let header = |name| written.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("authorization"), Some("Bearer sk-test"));
        assert_eq!((header("accept"), header("content-type")), (Some(accept), Some("application/json")));
        assert!(!format!("{written:?}").contains("sk-test"));
        let body: Value = serde_json::from_slice(written.body()).expect("JSON");
        let options = stream.then(|| json!({ "include_usage": true }));
        assert_eq!(
            (body.get("stream"), body.get("stream_options")),
            (stream.then_some(&json!(true)), options.as_ref())
        );
    }
}

#[test]
fn nothing_is_sent_that_was_not_asked_for() {
    let expected = json!({ "model": "gpt-x", "messages": [{ "role": "user", "content": "Hello" }] });
    assert_eq!(write(&hello()).expect("written"), expected);
}

#[test]
fn settings_have_their_names() {
    let mut request =
        hello().system("Be brief.").max_output_tokens(9).temperature(0.5).top_p(0.25).stop("END");
    request.sampling.seed = Some(-3);
    request.sampling.presence_penalty = Some(1.0);
    request.sampling.frequency_penalty = Some(-1.0);
    let body = write(&request).expect("written");
    let expected = json!({
        "model": "gpt-x",
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello" }],
        "max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.25, "stop": ["END"],
        "seed": -3, "presence_penalty": 1.0, "frequency_penalty": -1.0,
    });
    assert_eq!(body, expected);
}

#[test]
fn tools_and_the_choice_among_them() {
    let tool = Tool {
        name: "f".to_owned(),
        description: Some("does f".to_owned()),
        parameters: json(r#"{"type":"object"}"#),
    };
    let written = |choice| write(&hello().tool(tool.clone()).tool_choice(choice)).expect("written");
    let expected = json!([{ "type": "function",
        "function": { "name": "f", "description": "does f", "parameters": { "type": "object" } } }]);
    assert_eq!(written(ToolChoice::Auto)["tools"], expected);
    let cases = [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!("none")),
        (ToolChoice::Required, json!("required")),
        (ToolChoice::Named("f".to_owned()), json!({ "type": "function", "function": { "name": "f" } })),
    ];
    for (choice, expected) in cases {
        assert_eq!(written(choice)["tool_choice"], expected);
    }
    let without = write(&hello().tool_choice(ToolChoice::None)).expect("written");
    assert_eq!(without.get("tool_choice"), None);
}

#[test]
fn every_block_that_chat_has_a_place_for() {
    let url = Media { media_type: None, source: MediaSource::Url("https://x/y.png".to_owned()) };
    let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let details = r#"{"reasoning_details":[{"data":"x"}]}"#;
    let thinking = || Block::Thinking(Thinking { text: "hm".to_owned(), signature: None });
    let cases = [
        (turn(Role::Assistant, vec![text("Hi")]), json!([{ "role": "assistant", "content": "Hi" }])),
        (
            turn(Role::User, vec![text("a"), Block::Image(url), Block::Image(inline(Some("image/png")))]),
            json!([{ "role": "user", "content": [
                { "type": "text", "text": "a" },
                { "type": "image_url", "image_url": { "url": "https://x/y.png" } },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,YWJj" } },
            ]}]),
        ),
        (
            turn(Role::Assistant, vec![Block::ToolCall(tool_call(""))]),
            json!([{ "role": "assistant", "content": null, "tool_calls": [call.clone()] }]),
        ),
        (
            turn(Role::User, vec![text("go on"), Block::ToolResult(result(vec![text("42")]))]),
            json!([
                { "role": "tool", "tool_call_id": "a", "content": "42" },
                { "role": "user", "content": "go on" },
            ]),
        ),
        (
            turn(Role::User, vec![Block::ToolResult(result(vec![]))]),
            json!([{ "role": "tool", "tool_call_id": "a", "content": "" }]),
        ),
        (
            turn(Role::Assistant, vec![Block::Refusal("No.".to_owned())]),
            json!([{ "role": "assistant", "content": [{ "type": "refusal", "refusal": "No." }] }]),
        ),
        (
            turn(Role::User, vec![opaque(Dialect::OpenAiChat, r#"{"type":"file","file":{"file_id":"f"}}"#)]),
            json!([{ "role": "user", "content": [{ "type": "file", "file": { "file_id": "f" } }] }]),
        ),
        (
            turn(Role::Assistant, vec![thinking(), text("Hi"), opaque(Dialect::OpenAiChat, details)]),
            json!([{ "role": "assistant", "content": "Hi", "reasoning_details": [{ "data": "x" }] }]),
        ),
    ];
    for (request, expected) in cases {
        let body = write(&request).expect("written");
        let turns = body["messages"].as_array().and_then(|all| all.get(1..)).expect("after the first");
        assert_eq!(Value::from(turns), expected);
    }
}

#[test]
fn what_chat_has_no_place_for_names_the_field() {
    let user = |block| turn(Role::User, vec![text("a"), block]);
    let assistant = |block| turn(Role::Assistant, vec![text("a"), block]);
    let signed = ToolCall { signature: Some("s".to_owned()), ..tool_call("{}") };
    let failed = ToolResult { is_error: true, ..result(vec![]) };
    let mut top_k = hello();
    top_k.sampling.top_k = Some(4);
    let cases = [
        (top_k, "top_k"),
        (user(Block::Document(inline(Some("application/pdf")))), "messages[1].content[1]"),
        (user(Block::Audio(inline(Some("audio/wav")))), "messages[1].content[1]"),
        (user(Block::Image(inline(None))), "messages[1].content[1]"),
        (user(opaque(Dialect::Gemini, "{}")), "messages[1].content[1]"),
        (user(opaque(Dialect::OpenAiChat, r#"{"annotations":[]}"#)), "messages[1].content[1]"),
        (user(opaque(Dialect::OpenAiChat, "7")), "messages[1].content[1]"),
        (user(Block::ToolResult(failed)), "messages[1].content[1].is_error"),
        (
            user(Block::ToolResult(result(vec![text("a"), Block::Image(inline(Some("image/png")))]))),
            "messages[1].content[1].content[1]",
        ),
        (assistant(Block::Image(inline(Some("image/png")))), "messages[1].content[1]"),
        (
            assistant(Block::Thinking(Thinking { text: "hm".to_owned(), signature: None })),
            "messages[1].content[1]",
        ),
        (assistant(Block::ToolCall(signed)), "messages[1].content[1].signature"),
        (assistant(opaque(Dialect::Anthropic, "{}")), "messages[1].content[1]"),
        (assistant(opaque(Dialect::OpenAiChat, r#"{"role":"system"}"#)), "messages[1].content[1]"),
    ];
    for (request, field) in cases {
        let failure = write(&request).expect_err(field);
        assert_eq!(failure.kind, ErrorKind::Unsupported, "{failure}");
        assert!(failure.message.starts_with(&format!("{field}: ")), "{failure}");
    }
}
