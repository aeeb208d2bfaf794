//! Tests of the folder around this file: requests are read and written, and
//! say the same.

use leverframe_core::{
    error::ErrorKind,
    model::{
        Block, Extra, Json, Losses, Media, MediaSource, Message, Opaque, Role, SafetySetting, Signature,
        Thinking, ToolCall, ToolResult,
    },
};
use serde_json::{Value, json};

use super::{super::wire, *};

fn endpoint() -> Endpoint {
    Endpoint::new(DIALECT, "https://api.example/v1", "key".into()).expect("valid")
}

fn write(request: &Request, stream: bool) -> (Value, Vec<String>) {
    let call = Call { request, model: "m", stream };
    let encoded = encode(&endpoint(), call).unwrap_or_else(|failure| panic!("{failure}: {request:?}"));
    assert_eq!(encoded.request.uri().to_string(), "https://api.example/v1/responses");
    let body = serde_json::from_slice(encoded.request.body()).expect("JSON");
    (body, encoded.losses.into_iter().map(|loss| loss.field).collect())
}

fn hello() -> Request {
    Request::new("m").user("Hello")
}

/// Bodies as clients write them, with all that Responses can say.
fn bodies() -> Vec<Value> {
    let with = |more: Value| {
        let mut body = json!({"model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}]});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let items = |items: Value| json!({"model": "m", "input": items});
    let tool = json!({"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true});
    vec![
        with(json!({})),
        with(json!({"instructions": "s", "max_output_tokens": 20, "temperature": 0.3, "top_p": 0.9,
            "top_logprobs": 3, "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
            "parallel_tool_calls": false, "reasoning": {"effort": "high", "summary": "detailed", "mode": "pro"},
            "text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"a": 1}, "strict": true},
                "verbosity": "low"},
            "service_tier": "flex", "user": "u", "metadata": {"a": "b"}, "prompt_cache_key": "k"})),
        with(json!({"store": false, "previous_response_id": "r", "truncation": "auto", "background": true,
            "conversation": {"id": "c"}, "prompt_cache_options": {"mode": "x"}, "safety_identifier": "s",
            "user": 5, "metadata": {"a": 1}, "prompt_cache_key": [], "reasoning": {"effort": "unheard-of"}, "text": {"format": {"type": "grammar", "grammar": "x"}}})),
        with(
            json!({"tools": [tool, {"type": "web_search"}, {"type": "mcp", "server_label": "x"}], "tool_choice": "required"}),
        ),
        with(json!({"tools": [tool], "tool_choice": {"type": "function", "name": "f"}})),
        with(json!({"tools": [tool], "tool_choice": {"type": "allowed_tools", "mode": "auto",
            "tools": [{"type": "function", "name": "f"}]}})),
        with(json!({"tool_choice": {"type": "web_search"}})),
        with(json!({"text": {"format": {"type": "json_object"}}})),
        items(json!([
            {"type": "message", "role": "developer", "content": "d"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "file_url": "https://x/y.pdf"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}]},
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"},
            {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "phase": "commentary",
                "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}]},
                    {"type": "refusal", "refusal": "no"}]},
            {"type": "message", "id": "msg2", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "b", "annotations": []}]},
            {"type": "web_search_call", "id": "ws", "status": "completed"},
            {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{\"x\""},
            {"type": "custom_tool_call", "id": "ct", "call_id": "c3", "name": "g", "input": "text"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"},
                {"type": "input_image", "image_url": "https://x/z.png"}]},
            {"type": "custom_tool_call_output", "call_id": "c3", "output": "3"},
            {"type": "item_reference", "id": "x"},
            {"type": "message", "role": "assistant", "content": "plain"},
            {"type": "message", "role": "user", "content": "go on"}])),
    ]
}

#[test]
fn a_request_read_and_written_again_says_the_same() {
    for body in bodies() {
        for stream in [false, true] {
            let mut given = body.clone();
            if stream {
                given["stream"] = true.into();
            }
            let asked = read(&given.to_string()).unwrap_or_else(|failure| panic!("{failure}: {given}"));
            assert_eq!(asked.stream, stream);
            let (written, losses) = write(&asked.request.losses(Losses::Refuse), stream);
            assert_eq!(written, given);
            assert!(losses.is_empty());
        }
    }
}

#[test]
fn short_forms_say_the_same_as_long_ones() {
    let message = json!({"type": "message", "role": "user", "content": "hi"});
    for input in [
        json!("hi"),
        json!([{"role": "user", "content": "hi"}]),
        json!([{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]),
    ] {
        let asked = read(&json!({"model": "m", "input": input}).to_string()).expect("readable");
        assert_eq!(write(&asked.request, false).0["input"], json!([message]));
    }
    // Strict is the default here and nowhere else.
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let asked = read(&json!({"model": "m", "input": "hi", "tools": tools}).to_string()).expect("readable");
    assert_eq!(write(&asked.request, false).0["tools"][0]["strict"], true);
    let ours = hello().tool(Function::new("f", Json::parse("{}").expect("JSON")));
    assert_eq!(write(&ours, false).0["tools"][0]["strict"], false);
}

#[test]
fn what_the_model_says_in_a_row_is_one_turn() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"role": "user", "content": "and?"}]});
    let request = read(&body.to_string()).expect("readable").request;
    let shape: Vec<_> =
        request.messages.iter().map(|message| (message.role, message.content.len())).collect();
    assert_eq!(shape, [(Role::User, 1), (Role::Assistant, 3), (Role::User, 2), (Role::User, 1)]);
}

#[test]
fn what_is_wrong_is_named() {
    for (body, field) in [
        (json!({"model": "m", "input": 7}), "input: must be"),
        (json!({"model": "m", "input": [{}]}), "input[0].role: is missing"),
        (json!({"model": "m", "input": [{"role": "robot"}]}), "input[0].role: must be"),
        (json!({"model": "m", "input": [{"type": "function_call_output"}]}), "input[0].call_id: is missing"),
        (json!({"model": "m", "input": "x", "tools": [{}]}), "tools[0].type: is missing"),
        (json!({"model": "m", "input": "x", "max_output_tokens": -1}), "max_output_tokens: must be"),
    ] {
        let failure = read(&body.to_string()).expect_err(field);
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
        assert!(failure.message.starts_with(field), "{field}: {failure}");
    }
}

#[test]
fn what_responses_cannot_say_is_listed_with_its_weight() {
    let user = |block: Block| hello().message(Message::new(Role::User, vec![Block::text("x"), block]));
    let assistant =
        |block: Block| hello().message(Message::new(Role::Assistant, vec![Block::text("x"), block]));
    let foreign = |json: &str| Opaque { dialect: Dialect::Anthropic, json: Json::parse(json).expect("JSON") };
    let signature = |dialect| Some(Signature { dialect, value: "s".into() });
    let file =
        Media { source: MediaSource::File { dialect: Dialect::Anthropic, id: "f".into() }, ..Media::url("") };
    let result = ToolResult { is_error: true, ..ToolResult::new("a", "no") };
    let mut safe = hello();
    safe.safety.push(SafetySetting { category: "c".into(), threshold: "t".into() });
    let mut sampling = hello();
    sampling.sampling.seed = Some(1);
    let cases = [
        (sampling, "seed", Weight::Minor),
        (safe, "safety", Weight::Minor),
        (hello().stop("END"), "stop_sequences", Weight::Major),
        (hello().max_output_tokens(5), "max_output_tokens", Weight::Minor),
        (hello().reasoning(Reasoning::budget(5)), "reasoning.thinking", Weight::Minor),
        (hello().tool(Tool::Provider(foreign("{}"))), "tools[0]", Weight::Major),
        (user(Block::Opaque(foreign(r#"{"type":"web_search"}"#))), "messages[1].content[1]", Weight::Major),
        (
            assistant(Block::Opaque(foreign(r#"{"type":"redacted_thinking"}"#))),
            "messages[1].content[1]",
            Weight::Minor,
        ),
        (user(Block::Audio(Media::url("http://x"))), "messages[1].content[1]", Weight::Major),
        (user(Block::Image(file.clone())), "messages[1].content[1]", Weight::Major),
        (user(Block::Document(file)), "messages[1].content[1]", Weight::Major),
        (user(Block::ToolResult(result)), "messages[1].content[1].is_error", Weight::Minor),
        (
            assistant(Block::Thinking(Thinking {
                signature: signature(Dialect::Anthropic),
                ..Thinking::new("hm")
            })),
            "messages[1].content[1]",
            Weight::Minor,
        ),
        (
            assistant(Block::ToolCall(ToolCall {
                signature: signature(Dialect::Gemini),
                ..ToolCall::new("a", "f", "{}")
            })),
            "messages[1].content[1].signature",
            Weight::Minor,
        ),
    ];
    for (request, field, weight) in cases {
        for (allowed, most) in [
            (Losses::Refuse, None),
            (Losses::AllowMinor, Some(Weight::Minor)),
            (Losses::Allow, Some(Weight::Major)),
        ] {
            let request = request.clone().losses(allowed);
            match encode(&endpoint(), Call { request: &request, model: "m", stream: false }) {
                Ok(encoded) => {
                    assert!(most.is_some_and(|most| weight <= most), "{field} {allowed:?}");
                    let [loss] = encoded.losses.as_slice() else { panic!("{:?}", encoded.losses) };
                    assert_eq!((loss.field.as_str(), loss.weight), (field, weight));
                }
                Err(failure) => {
                    assert!(most.is_none_or(|most| weight > most), "{field} {allowed:?}: {failure}");
                    assert!(failure.message.starts_with(&format!("{field}: ")), "{field}: {failure}");
                }
            }
        }
    }
}

#[test]
fn an_answers_turn_goes_back_as_it_came() {
    let output = json!([
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"},
        {"type": "message", "id": "msg", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"x\": 1}", "status": "completed"},
        {"type": "code_interpreter_call", "id": "ci", "code": "1+1"}]);
    let body = json!({"id": "r", "model": "m", "status": "completed", "output": output});
    let answer =
        super::super::response::decode(&http::HeaderMap::new(), &body.to_string()).expect("an answer");
    let request = hello().message(answer.to_message()).losses(Losses::Refuse);
    let (written, _) = write(&request, false);
    let items = written["input"].as_array().expect("items");
    assert_eq!(Value::from(items[1..].to_vec()), output);
    assert!(
        answer
            .content
            .iter()
            .any(|block| block.extra().and_then(|e: &Extra| e.get(DIALECT, wire::ITEM)).is_some())
    );
}
