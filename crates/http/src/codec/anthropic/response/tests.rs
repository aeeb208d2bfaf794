//! Tests of the file beside this folder.

use leverframe_core::{
    error::ErrorKind,
    model::{
        Citation, Dialect, Extra, FinishReason, Json, Opaque, Signature, Text, Thinking, Tokens, ToolCall,
    },
};

use super::*;

fn read(text: &str) -> Result<Response, Failure> {
    decode(&HeaderMap::new(), text)
}

/// An answer of these blocks.
fn blocks(content: &str) -> Vec<Block> {
    let body =
        format!(r#"{{"type":"message","role":"assistant","content":[{content}],"stop_reason":"end_turn"}}"#);
    read(&body).expect(content).content
}

/// An answer with these fields.
fn saying(fields: &str) -> Response {
    read(&format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],{fields}}}"#
    ))
    .expect(fields)
}

fn opaque(json: &str) -> Opaque {
    Opaque { dialect: Dialect::Anthropic, json: Json::parse(json).expect("JSON") }
}

fn extra(name: &str, json: &str) -> Extra {
    let (name, value) = (name.to_owned(), Json::parse(json).expect("JSON"));
    Extra::from_iter([leverframe_core::model::Field { dialect: Dialect::Anthropic, name, value }])
}

/// What is not modelled, as names and values.
fn kept(response: &Response) -> Vec<(&str, &str)> {
    response.extra.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}

#[test]
fn a_whole_message() {
    let response = read(
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x",
            "content":[{"type":"text","text":"Hi \u00e9"}],"stop_reason":"stop_sequence","stop_sequence":"END",
            "usage":{"input_tokens":10,"cache_read_input_tokens":20,"cache_creation_input_tokens":70,
                "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":40},
                "output_tokens":50,"output_tokens_details":{"thinking_tokens":35},
                "service_tier":"standard","server_tool_use":{"web_search_requests":2},"inference_geo":null}}"#,
    )
    .expect("a message");
    let mut expected = Response::new(vec![Block::text("Hi é")], FinishReason::StopSequence);
    expected.id = Some("msg_1".to_owned());
    expected.model = Some("claude-x".to_owned());
    expected.finish_raw = Some("stop_sequence".to_owned());
    expected.stop_sequence = Some("END".to_owned());
    expected.usage.input = Tokens::Reported(10);
    expected.usage.cache_read = Tokens::Reported(20);
    expected.usage.cache_write_short = Tokens::Reported(30);
    expected.usage.cache_write_long = Tokens::Reported(40);
    expected.usage.output = Tokens::Reported(15);
    expected.usage.reasoning = Tokens::Reported(35);
    expected.extra = extra("usage.service_tier", "\"standard\"");
    expected.extra.extend(extra("usage.server_tool_use", r#"{"web_search_requests":2}"#));
    assert_eq!(response, expected);
}

#[test]
fn every_kind_of_block() {
    let signature = || Some(Signature { dialect: Dialect::Anthropic, value: "s".to_owned() });
    let citation = r#"{"type":"web_search_result_location","url":"u","title":"t","cited_text":"c","encrypted_index":"e"}"#;
    let cited = Citation {
        url: Some("u".to_owned()),
        title: Some("t".to_owned()),
        cited_text: Some("c".to_owned()),
        source: opaque(citation),
    };
    let page = r#"{"type":"page_location","document_title":"d","start_page_number":1}"#;
    let paged = Citation { url: None, title: Some("d".to_owned()), cited_text: None, source: opaque(page) };
    let with_citations = format!(r#"{{"type":"text","text":"a","citations":[{citation},{page}]}}"#);
    let call = |caller: Option<&str>, input: &str| {
        let extra = caller.map(|caller| extra("caller", caller)).unwrap_or_default();
        Block::ToolCall(ToolCall { extra, ..ToolCall::new("t", "f", input) })
    };
    let cases = [
        (r#"{"type":"text","text":"a","citations":null}"#, Block::text("a")),
        (
            r#"{"type":"text","text":"a","new":1}"#,
            Block::Text(Text { extra: extra("new", "1"), ..Text::new("a") }),
        ),
        (&with_citations, Block::Text(Text { citations: vec![cited, paged], ..Text::new("a") })),
        (
            r#"{"type":"thinking","thinking":"hm","signature":"s"}"#,
            Block::Thinking(Thinking { signature: signature(), ..Thinking::new("hm") }),
        ),
        // With `display: omitted`.
        (
            r#"{"type":"thinking","thinking":"","signature":"s"}"#,
            Block::Thinking(Thinking { signature: signature(), ..Thinking::default() }),
        ),
        (r#"{"type":"thinking","thinking":"hm","signature":""}"#, Block::Thinking(Thinking::new("hm"))),
        (r#"{"type":"tool_use","id":"t","name":"f","input":{"a": [1.50]}}"#, call(None, r#"{"a": [1.50]}"#)),
        (r#"{"type":"tool_use","id":"t","name":"f","input":{  }}"#, call(None, "{}")),
        (r#"{"type":"tool_use","id":"t","name":"f"}"#, call(None, "{}")),
        (
            r#"{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"direct"}}"#,
            call(Some(r#"{"type":"direct"}"#), "{}"),
        ),
    ];
    for (json, block) in cases {
        assert_eq!(blocks(json), [block], "{json}");
    }
    for json in [
        r#"{"type":"redacted_thinking","data":"x"}"#,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result"}]}"#,
        r#"{"type":"mcp_tool_use","id":"s","name":"x","server_name":"y","input":{}}"#,
        r#"{"type":"fallback","from":{"model":"a"},"to":{"model":"b"}}"#,
        r#"{"type":"compaction","content":"short"}"#,
        r#"{ "type" : "brand_new" }"#,
        r#"{"type":"text","text":"a","citations":{"of":"another shape"}}"#,
        // A program calls it, and is answered by the provider.
        r#"{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"direct"}}"#,
    ] {
        assert_eq!(blocks(json), [Block::Opaque(opaque(json))], "{json}");
    }
    // It says nothing, and may not be sent back.
    assert_eq!(blocks(r#"{"type":"text","text":""}"#), []);
    // After tool results there may be nothing to say.
    assert_eq!(blocks(""), []);
}

#[test]
fn every_stop_reason_has_a_meaning_and_keeps_its_word() {
    use FinishReason::{ContextWindow, Length, Other, Pause, Refusal, Stop, StopSequence, ToolCalls};
    for (raw, finish) in [
        ("end_turn", Stop),
        ("max_tokens", Length),
        ("stop_sequence", StopSequence),
        ("tool_use", ToolCalls),
        ("pause_turn", Pause),
        ("compaction", Pause),
        ("refusal", Refusal),
        ("model_context_window_exceeded", ContextWindow),
        ("something_new", Other),
    ] {
        let response = saying(&format!(r#""stop_reason":"{raw}""#));
        assert_eq!((response.finish, response.finish_raw.as_deref()), (finish, Some(raw)));
    }
    let response = saying(r#""stop_reason":null"#);
    assert_eq!((response.finish, response.finish_raw), (Other, None));
}

#[test]
fn what_is_not_modelled_is_kept_by_name() {
    let stop = r#"{"type":"refusal","category":"cyber","explanation":"e"}"#;
    let cases = [
        (format!(r#""stop_reason":"refusal","stop_details":{stop}"#), vec![("stop_details", stop)]),
        (
            r#""container":{"id":"c"},"context_management":null,"new":[ 1 ]"#.to_owned(),
            vec![("container", r#"{"id":"c"}"#), ("new", "[ 1 ]")],
        ),
        (
            r#""diagnostics":1,"usage":{"input_tokens":1,"iterations":[{"output_tokens":3}],"speed":"fast"}"#
                .to_owned(),
            vec![
                ("diagnostics", "1"),
                ("usage.iterations", r#"[{"output_tokens":3}]"#),
                ("usage.speed", "\"fast\""),
            ],
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(kept(&saying(&fields)), expected);
    }
}

#[test]
fn usage_of_another_shape_does_not_spoil_the_answer() {
    for usage in ["null", "7", "[]", r#"{"input_tokens":"many"}"#, "{}"] {
        let response = saying(&format!(r#""usage":{usage}"#));
        assert_eq!((response.usage.total(), response.id.as_deref()), (None, Some("msg_1")), "{usage}");
    }
}

#[test]
fn what_is_not_a_message_is_unreadable_and_an_error_an_error() {
    for text in [
        "",
        "<html>",
        "[]",
        "{}",
        "null",
        r#"{"content":1}"#,
        r#"{"content":null}"#,
        r#"{"content":[1]}"#,
        r#"{"content":[{}]}"#,
        r#"{"type":"message","content":[{"type":"text","#,
    ] {
        let failure = read(text).expect_err(text);
        assert_eq!(failure.kind, ErrorKind::Unreadable, "{text}");
    }
    let headers = HeaderMap::from_iter([(
        "request-id".parse().expect("a name"),
        http::HeaderValue::from_static("req_of_header"),
    )]);
    let error = |id: &str| {
        format!(r#"{{"type":"error","error":{{"type":"overloaded_error","message":"Overloaded"}}{id}}}"#)
    };
    for (id, headers, expected) in [
        ("", &HeaderMap::new(), None),
        (r#","request_id":"req_1""#, &HeaderMap::new(), Some("req_1")),
        (r#","request_id":null"#, &headers, Some("req_of_header")),
    ] {
        let failure = decode(headers, &error(id)).expect_err("an error");
        assert_eq!((failure.kind, failure.provider_request_id.as_deref()), (ErrorKind::Overloaded, expected));
    }
    assert_eq!(
        decode(&headers, "{}").expect_err("no message").provider_request_id.as_deref(),
        Some("req_of_header")
    );
}
