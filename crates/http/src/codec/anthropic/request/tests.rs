//! Tests of the file beside this folder.

use leverframe_core::error::ErrorKind;
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
    let result = ToolResult { call_id: "t1".into(), content: vec![Block::Text("4".into())], is_error: true };
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
