//! Tests of the file beside this folder.

use leverframe_core::model::{FinishReason, Json};

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
    Block::ToolCall(ToolCall::new(id, name, arguments))
}

fn kept(json: &str) -> Block {
    Block::Opaque(Opaque { dialect: Dialect::OpenAiChat, json: Json::parse(json).expect("JSON") })
}

fn thinking(text: &str) -> Block {
    Block::Thinking(Thinking::new(text))
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
    assert_eq!(response.content, [Block::text("Hello")]);
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("abc"), Some("m-1")));
    assert_eq!((response.finish, response.finish_raw.as_deref()), (FinishReason::Stop, Some("stop")));
    assert_eq!(response.usage.total(), Some(11));
}

#[test]
fn every_kind_of_content_has_its_block() {
    let text = |text: &str| Block::text(text);
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
        (r#"{"content":null,"refusal":"No."}"#, vec![Block::Refusal("No.".into())]),
        (r#"{"content":"a","reasoning_content":"hm"}"#, vec![thinking("hm"), text("a")]),
        (r#"{"content":"a","reasoning":"hm","reasoning_content":""}"#, vec![thinking("hm"), text("a")]),
        (
            r#"{"content":"a","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}]}"#,
            vec![thinking("hm"), text("a")],
        ),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"},{"type":"reference","reference_ids":[1]}]}"#,
            vec![thinking("hm"), text("a"), kept(r#"{"type":"reference","reference_ids":[1]}"#)],
        ),
        (
            r#"{"content":"a","annotations":[{"type":"url_citation"}]}"#,
            vec![Block::Text(Text {
                citations: vec![wire::citation(
                    Json::parse(r#"{"type":"url_citation"}"#).expect("JSON").as_raw(),
                )],
                ..Text::new("a")
            })],
        ),
        (r#"{"audio":{"id":"audio_1","data":"AA==","transcript":"a"}}"#, vec![]),
        (
            r#"{"tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
            vec![Block::ToolCall(ToolCall {
                extra: [wire::custom_type()].into_iter().collect(),
                ..ToolCall::new("a", "f", "x")
            })],
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

#[test]
fn what_is_not_modelled_is_kept_where_it_belongs() {
    let response = read(
        r#"{"id":"abc","object":"chat.completion","created":1,"service_tier":"flex","system_fingerprint":"fp",
            "choices":[{"index":0,"message":{"content":"a","reasoning_details":[{"type":"x"}],
                "audio":{"id":"audio_1","data":"AA=="},"images":[]},
                "logprobs":{"content":[{"token":"a"}],"refusal":null},"content_filter_results":{"hate":{}},
                "finish_reason":"stop"},
              {"index":1,"message":{"content":"b"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.5}}"#,
    )
    .expect("an answer");
    let get = |extra: &leverframe_core::model::Extra, name: &str| {
        extra.get(Dialect::OpenAiChat, name).map(|json| json.as_str().to_owned())
    };
    for (name, part) in [
        ("created", "1"),
        ("service_tier", "flex"),
        ("system_fingerprint", "fp"),
        ("logprobs.content", "token"),
        ("choice.content_filter_results", "hate"),
        ("choices", "\"b\""),
        ("usage", "0.5"),
    ] {
        let kept =
            get(&response.extra, name).unwrap_or_else(|| panic!("{name} is lost: {:?}", response.extra));
        assert!(kept.contains(part), "{name}: {kept}");
    }
    let message = response.to_message();
    assert_eq!(get(&message.extra, "reasoning_details").as_deref(), Some(r#"[{"type":"x"}]"#));
    assert!(get(&message.extra, "audio").is_some_and(|audio| audio.contains("audio_1")));
    assert_eq!(message.extra.len(), 2);
}

/// Found in review: what servers put beside a call, or into a message, was lost.
#[test]
fn what_is_beside_a_call_goes_back_with_it() {
    let response = message(
        r#"{"content":null,"channel":"final","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},
            "extra_content":{"google":{"thought_signature":"s"}}}]}"#,
        "tool_calls",
    );
    let Block::ToolCall(call) = &response.content[0] else { panic!("{:?}", response.content) };
    let kept = call.extra.get(Dialect::OpenAiChat, "extra_content").map(Json::as_str);
    assert_eq!(kept, Some(r#"{"google":{"thought_signature":"s"}}"#));
    assert_eq!(
        response.message_extra.get(Dialect::OpenAiChat, "channel").map(Json::as_str),
        Some("\"final\"")
    );
    let chunk = r#"data: {"id":"x","choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}}]}

data: [DONE]

"#;
    let mut decoder = crate::codec::StreamDecoder::new(Dialect::OpenAiChat, Default::default());
    decoder.push(chunk.into());
    let mut partial = leverframe_core::model::Partial::new();
    while let Some(event) = decoder.next_event().expect("a good stream") {
        partial.push(event);
    }
    assert_eq!(partial.whole().expect("whole").content, response.content);
}
