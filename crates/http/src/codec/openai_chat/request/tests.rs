//! Tests of the folder around this file: requests are read and written, and
//! say the same.

use leverframe_core::{
    error::ErrorKind,
    model::{
        Block, CacheControl, CacheTtl, Extra, Field, Json, Losses, Media, MediaSource, Message, Opaque,
        Refusal, Role, SafetySetting, Signature, Summary, Text, Thinking, ToolCall, ToolResult,
    },
};
use serde_json::{Value, json};

use super::*;
use crate::codec::{Auth, ReasoningField};

fn endpoint(compat: Compat) -> Endpoint {
    Endpoint::new(DIALECT, "https://api.example/v1", "key".into()).expect("valid").with_compat(compat)
}

/// The body that is written, and what is lost.
fn write(request: &Request, compat: Compat, stream: bool) -> (Value, Vec<String>) {
    let call = Call { request, model: "m", stream };
    let encoded = encode(&endpoint(compat), call).unwrap_or_else(|failure| panic!("{failure}: {request:?}"));
    let body = serde_json::from_slice(encoded.request.body()).expect("JSON");
    (body, encoded.losses.into_iter().map(|loss| loss.field).collect())
}

fn hello() -> Request {
    Request::new("m").user("Hello")
}

/// Bodies as clients write them, with all that Chat can say.
fn bodies() -> Vec<Value> {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let with = |more: Value| {
        let mut body = json!({"model": "m", "messages": hi});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}});
    vec![
        with(json!({})),
        with(
            json!({"max_completion_tokens": 5, "temperature": 0.3, "top_p": 0.9, "seed": -7, "presence_penalty": 0.5,
            "frequency_penalty": -0.25, "stop": ["a", "b"], "logprobs": true, "top_logprobs": 3,
            "reasoning_effort": "xhigh", "service_tier": "priority", "user": "u", "metadata": {"a": "b"},
            "prompt_cache_key": "k"}),
        ),
        with(
            json!({"verbosity": "low", "modalities": ["text"], "n": 2, "logit_bias": {"5": -1}, "store": false,
            "prediction": {"type": "content", "content": "x"}, "reasoning_effort": "unheard-of",
            "service_tier": "unheard-of", "user": 5, "metadata": {"a": 1}, "prompt_cache_key": [], "response_format": {"type": "grammar", "grammar": "x"}}),
        ),
        with(json!({"tools": [tool, {"type": "custom", "custom": {"name": "g"}}], "tool_choice": "required",
            "parallel_tool_calls": false})),
        with(json!({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "f"}}})),
        with(
            json!({"tools": [tool], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
            "tools": [{"type": "function", "function": {"name": "f"}}]}}}),
        ),
        with(json!({"tools": [tool], "tool_choice": {"type": "custom", "custom": {"name": "g"}}})),
        with(json!({"response_format": {"type": "json_object"}})),
        with(json!({"response_format": {"type": "text"}})),
        with(
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "d",
            "schema": {"type": "object"}, "strict": false}}}),
        ),
        json!({"model": "m", "messages": [
            {"role": "system", "content": "one"}, {"role": "developer", "content": "two"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": "not JSON"}},
                {"id": "c", "type": "custom", "custom": {"name": "g", "input": "text"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
            {"role": "system", "content": "three"},
            {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "function", "name": "old", "content": "5"},
            {"role": "user", "content": "go on"}]}),
    ]
}

#[test]
fn a_request_read_and_written_again_says_the_same() {
    for body in bodies() {
        for stream in [false, true] {
            let mut given = body.clone();
            if stream {
                given["stream"] = true.into();
                given["stream_options"] = json!({"include_usage": true, "include_obfuscation": false});
            }
            let asked = read(&given.to_string()).unwrap_or_else(|failure| panic!("{failure}: {given}"));
            assert_eq!(asked.stream, stream);
            let (written, losses) = write(&asked.request.losses(Losses::Refuse), Compat::default(), stream);
            assert_eq!(written, given);
            assert!(losses.is_empty());
        }
    }
}

#[test]
fn what_is_read_is_in_the_model() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}],
        "max_tokens": 7, "stop": "x", "tools": [{"type": "function", "function": {"name": "f"}}],
        "verbosity": "low"});
    let request = read(&body.to_string()).expect("readable").request;
    let mut expected = Request::new("m")
        .system("be brief")
        .user("hi")
        .message(Message::new(Role::Assistant, vec![Block::ToolCall(ToolCall::new("a", "f", ""))]))
        .message(Message::new(Role::User, vec![Block::ToolResult(ToolResult::new("a", "1"))]))
        .max_output_tokens(7)
        .stop("x")
        .tool(Function::new("f", empty_schema()))
        .extra(DIALECT, "verbosity", Json::parse("\"low\"").expect("JSON"));
    expected.losses = request.losses;
    assert_eq!(request, expected);
}

#[test]
fn what_is_wrong_is_named() {
    for (body, field) in [
        (json!([]), ""),
        (json!({"messages": []}), "model: is missing"),
        (json!({"model": 7}), "model: must be a string"),
        (json!({"model": "m", "messages": {}}), "messages: must be an array"),
        (json!({"model": "m", "messages": [{}]}), "messages[0].role: is missing"),
        (json!({"model": "m", "messages": [{"role": "user", "content": 7}]}), "messages[0].content: must be"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}]}]}),
            "messages[0].content[0].image_url.url: is not base64",
        ),
        (
            json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id: is missing",
        ),
        (json!({"model": "m", "temperature": "hot"}), "temperature: must be a number"),
        (json!({"model": "m", "tool_choice": "perhaps"}), "tool_choice: must be"),
    ] {
        let failure = read(&body.to_string()).expect_err(field);
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
        assert!(failure.message.starts_with(field), "{field}: {failure}");
    }
}

#[test]
fn what_chat_cannot_say_is_listed_with_its_weight() {
    let user = |block: Block| hello().message(Message::new(Role::User, vec![Block::text("x"), block]));
    let assistant =
        |block: Block| hello().message(Message::new(Role::Assistant, vec![Block::text("x"), block]));
    let foreign = |dialect| Opaque { dialect, json: Json::parse(r#"{"type":"web_search"}"#).expect("JSON") };
    let signature = Some(Signature { dialect: Dialect::Gemini, value: "s".into() });
    let cache = Some(CacheControl { ttl: Some(CacheTtl::OneHour), extra: Extra::new() });
    let file =
        Media { source: MediaSource::File { dialect: Dialect::Anthropic, id: "f".into() }, ..Media::url("") };
    let result = ToolResult { is_error: true, ..ToolResult::new("a", "no") };
    let mut safe = hello();
    safe.safety.push(SafetySetting { category: "c".into(), threshold: "t".into() });
    let mut top_k = hello();
    top_k.sampling.top_k = Some(4);
    let stops = (0..5).fold(hello(), |request, nth| request.stop(nth.to_string()));
    let field = Field {
        dialect: Dialect::Gemini,
        name: "cachedContent".into(),
        value: Json::parse("1").expect("JSON"),
    };
    let mut extra = hello();
    extra.extra.set(field);
    let cases = [
        (top_k, "top_k", Weight::Minor),
        (safe, "safety", Weight::Minor),
        (stops, "stop_sequences", Weight::Major),
        (extra, "cachedContent", Weight::Major),
        (hello().reasoning(Reasoning::budget(5)), "reasoning.thinking", Weight::Minor),
        (hello().reasoning(Reasoning::effort(Effort::Low).shown()), "reasoning.summary", Weight::Minor),
        (hello().tool(Tool::Provider(foreign(Dialect::Anthropic))), "tools[0]", Weight::Major),
        (user(Block::Opaque(foreign(Dialect::Gemini))), "messages[1].content[1]", Weight::Major),
        (user(Block::Document(file.clone())), "messages[1].content[1]", Weight::Major),
        (user(Block::Document(Media::url("http://x"))), "messages[1].content[1]", Weight::Major),
        (user(Block::Image(file)), "messages[1].content[1]", Weight::Major),
        (user(Block::Audio(Media::url("http://x"))), "messages[1].content[1]", Weight::Major),
        (user(Block::ToolResult(result)), "messages[1].content[1].is_error", Weight::Minor),
        (user(Block::Text(Text { cache, ..Text::new("y") })), "messages[1].content[1].cache", Weight::Minor),
        (assistant(Block::Thinking(Thinking::new("hm"))), "messages[1].content[1]", Weight::Minor),
        (
            assistant(Block::ToolCall(ToolCall { signature, ..ToolCall::new("a", "f", "{}") })),
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
            let call = Call { request: &request, model: "m", stream: false };
            match encode(&endpoint(Compat::default()), call) {
                Ok(encoded) => {
                    assert!(most.is_some_and(|most| weight <= most), "{field} {allowed:?}");
                    let [loss] = encoded.losses.as_slice() else { panic!("{:?}", encoded.losses) };
                    assert_eq!((loss.field.as_str(), loss.weight), (field, weight));
                }
                Err(failure) => {
                    assert!(most.is_none_or(|most| weight > most), "{field} {allowed:?}: {failure}");
                    assert_eq!(failure.kind, ErrorKind::Unsupported);
                    assert!(failure.message.starts_with(&format!("{field}: ")), "{field}: {failure}");
                }
            }
        }
    }
}

#[test]
fn a_server_gets_what_it_takes() {
    let mut request = hello()
        .message(Message::new(
            Role::Assistant,
            vec![Block::Thinking(Thinking::new("hm")), Block::text("x"), Block::Refusal(Refusal::from("no"))],
        ))
        .message(Message::new(Role::Developer, vec![Block::text("d")]))
        .message(Message::new(
            Role::User,
            vec![Block::Text(Text { cache: Some(CacheControl::default()), ..Text::new("y") })],
        ))
        .max_output_tokens(9)
        .output(OutputFormat::JsonSchema(Schema::new(Json::parse("{}").expect("JSON"))))
        .losses(Losses::Allow);
    request.sampling.top_k = Some(4);
    let base = Compat::default();
    let pointer =
        |compat: Compat, at: &str| write(&request, compat, true).0.pointer(at).cloned().unwrap_or_default();
    let reasoning = |field| Compat { reasoning: Some(field), ..base };
    for (compat, at, expected) in [
        (base, "/max_completion_tokens", json!(9)),
        (base, "/max_tokens", Value::Null),
        (Compat { max_tokens: true, ..base }, "/max_tokens", json!(9)),
        (Compat { max_tokens: true, ..base }, "/max_completion_tokens", Value::Null),
        (base, "/messages/2/role", json!("developer")),
        (Compat { developer_role: false, ..base }, "/messages/2/role", json!("system")),
        (base, "/stream_options", json!({"include_usage": true})),
        (Compat { stream_options: false, ..base }, "/stream_options", Value::Null),
        (base, "/messages/1/reasoning", Value::Null),
        (reasoning(ReasoningField::Reasoning), "/messages/1/reasoning", json!("hm")),
        (reasoning(ReasoningField::ReasoningContent), "/messages/1/reasoning_content", json!("hm")),
        (base, "/messages/3/content", json!("y")),
        (
            Compat { cache_control: true, ..base },
            "/messages/3/content/0/cache_control",
            json!({"type": "ephemeral"}),
        ),
        (base, "/top_k", Value::Null),
        (Compat { top_k: true, ..base }, "/top_k", json!(4)),
        (base, "/response_format/json_schema/name", json!("answer")),
        (Compat { json_schema: false, ..base }, "/response_format", json!({"type": "json_object"})),
    ] {
        assert_eq!(pointer(compat, at), expected, "{at} {compat:?}");
    }
}

#[test]
fn the_request_goes_where_the_endpoint_says() {
    let azure =
        Endpoint::new(DIALECT, "https://me.openai.azure.com/openai/deployments/{model}", "secret".into());
    let azure = azure.expect("valid").with_api_version("2024-10-21").expect("valid").with_auth(Auth::ApiKey);
    let plain = endpoint(Compat::default()).with_header("openai-organization", "org").expect("valid");
    for (endpoint, uri, header, value) in [
        (&plain, "https://api.example/v1/chat/completions", "authorization", "Bearer key"),
        (&plain, "https://api.example/v1/chat/completions", "openai-organization", "org"),
        (
            &azure,
            "https://me.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            "api-key",
            "secret",
        ),
    ] {
        let call = Call { request: &hello(), model: "gpt", stream: true };
        let request = encode(endpoint, call).expect("writable").request;
        assert_eq!(request.uri().to_string(), uri);
        assert_eq!(request.headers()[header], value);
        assert_eq!(request.headers()["accept"], "text/event-stream");
    }
}

#[test]
fn a_dialects_own_summary_setting_is_no_loss_when_nothing_is_to_be_shown() {
    let mut reasoning = Reasoning::effort(Effort::High);
    reasoning.summary = Some(Summary::Omitted);
    let (body, losses) =
        write(&hello().reasoning(reasoning).losses(Losses::Refuse), Compat::default(), false);
    assert_eq!((body["reasoning_effort"].as_str(), losses.len()), (Some("high"), 0));
}
