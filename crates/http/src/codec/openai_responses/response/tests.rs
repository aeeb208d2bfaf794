//! Tests of the file beside this folder.

use leverframe_core::{
    error::ErrorKind,
    model::{FinishReason, Tokens},
};

use super::*;

fn read(text: &str) -> Result<Response, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", http::HeaderValue::from_static("req_1"));
    decode(&headers, text)
}

#[test]
fn a_whole_answer() {
    let response = read(
        r#"{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","instructions":"said",
            "output":[{"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"one"},{"type":"summary_text","text":"two"}],
                "encrypted_content":"e"},
              {"type":"message","id":"msg","role":"assistant","status":"completed","content":[
                {"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"u","title":"t"}],"logprobs":[{"token":"Hello"}]},
                {"type":"refusal","refusal":"No."}]},
              {"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":""},
              {"type":"custom_tool_call","id":"ct","call_id":"d","name":"g","input":"any text"},
              {"type":"web_search_call","id":"ws"}],
            "service_tier":"flex","tools":[{"type":"web_search"}],
            "usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":64,"cache_write_tokens":6},
                "output_tokens":30,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":130}}"#,
    )
    .expect("an answer");
    let kinds: Vec<_> = response.content.iter().map(Block::kind).collect();
    assert_eq!(kinds, ["thinking", "text", "refusal", "tool call", "tool call", "opaque block"]);
    let Block::Thinking(thinking) = &response.content[0] else { panic!("{:?}", response.content) };
    assert_eq!(thinking.text, "one\ntwo");
    assert_eq!(thinking.signature.as_ref().map(|signature| signature.value.as_str()), Some("e"));
    let Block::Text(text) = &response.content[1] else { panic!("{:?}", response.content) };
    assert_eq!((text.text.as_str(), text.citations[0].url.as_deref()), ("Hello", Some("u")));
    assert!(text.extra.get(wire::DIALECT, "logprobs").is_some());
    let calls: Vec<_> = response.content[3..5]
        .iter()
        .filter_map(|block| match block {
            Block::ToolCall(call) => Some((call.id.as_str(), call.arguments.as_str(), wire::is_custom(call))),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("c", "{}", false), ("d", "any text", true)]);
    assert_eq!(
        (response.finish, response.finish_raw.as_deref()),
        (FinishReason::ToolCalls, Some("completed"))
    );
    let usage = response.usage;
    assert_eq!(
        (usage.input, usage.cache_read, usage.cache_write_short),
        (Tokens::Reported(30), Tokens::Reported(64), Tokens::Reported(6))
    );
    assert_eq!(
        (usage.output, usage.reasoning, usage.total()),
        (Tokens::Reported(10), Tokens::Reported(20), Some(130))
    );
    // What repeats the request is not kept; what is news is.
    let names: Vec<_> = response.extra.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["created_at", "service_tier", "usage"]);
}

#[test]
fn what_a_status_means() {
    use FinishReason as F;
    let text = r#"{"type":"message","content":[{"type":"output_text","text":"a"}]}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let refusal = r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#;
    for (status, details, item, finish) in [
        ("completed", "null", text, F::Stop),
        ("complete", "null", text, F::Stop),
        ("completed", "null", call, F::ToolCalls),
        ("completed", "null", refusal, F::Refusal),
        ("incomplete", r#"{"reason":"max_output_tokens"}"#, call, F::Length),
        ("incomplete", r#"{"reason":"content_filter"}"#, text, F::ContentFilter),
        ("incomplete", r#"{"reason":"steered"}"#, text, F::Pause),
        ("incomplete", "null", text, F::Other),
        ("queued", "null", text, F::Pause),
        ("cancelled", "null", text, F::Error),
        ("unheard-of", "null", text, F::Other),
    ] {
        let body = format!(r#"{{"status":"{status}","incomplete_details":{details},"output":[{item}]}}"#);
        let response = read(&body).expect(status);
        assert_eq!((response.finish, response.finish_raw.as_deref()), (finish, Some(status)));
    }
}

#[test]
fn an_error_under_a_successful_status_is_an_error() {
    for (text, kind) in [
        (
            r#"{"status":"failed","error":{"code":"server_error","message":"m"},"output":[]}"#,
            ErrorKind::Server,
        ),
        (
            r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}"#,
            ErrorKind::RateLimited,
        ),
        (r#"{"status":"failed","error":{"code":"invalid_prompt","message":"m"}}"#, ErrorKind::Refused),
        (r#"{"status":"failed","error":{"code":"bio_policy","message":"m"}}"#, ErrorKind::Refused),
        (
            r#"{"status":"failed","error":{"code":"image_too_large","message":"m"}}"#,
            ErrorKind::InvalidRequest,
        ),
        (
            r#"{"status":"failed","error":{"code":"data_residency_mismatch","message":"m"}}"#,
            ErrorKind::Permission,
        ),
        (r#"{"status":"failed","error":null,"output":[]}"#, ErrorKind::Server),
        (
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            ErrorKind::QuotaExhausted,
        ),
        ("{}", ErrorKind::Unreadable),
        ("[]", ErrorKind::Unreadable),
        ("", ErrorKind::Unreadable),
        (r#"{"output":{}}"#, ErrorKind::Unreadable),
    ] {
        let failure = read(text).expect_err(text);
        assert_eq!(failure.kind, kind, "{text}: {failure}");
        assert_eq!(failure.provider_request_id.as_deref(), Some("req_1"), "{text}");
    }
}

#[test]
fn an_item_of_another_shape_is_kept_as_it_is() {
    for item in [
        r#"{"type":"message","id":"m","content":[{"type":"output_video","url":"u"}]}"#,
        r#"{"type":"message","id":"m","content":[]}"#,
        r#"{"type":"function_call","name":"f"}"#,
        r#"{"type":"unheard_of","x":[1, 2]}"#,
    ] {
        let response = read(&format!(r#"{{"status":"completed","output":[{item}]}}"#)).expect(item);
        let [Block::Opaque(opaque)] = response.content.as_slice() else { panic!("{:?}", response.content) };
        assert_eq!(opaque.json.as_str(), item);
    }
}
