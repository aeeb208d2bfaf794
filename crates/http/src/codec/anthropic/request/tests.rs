//! Tests of this folder.
//!
//! Most are pairs of a request in our model and the body that says the same.
//! A pair is read and written, so that neither half can drift from the other.

mod losses;
mod round_trip;

use leverframe_core::model::{
    Block, CacheControl, CacheTtl, Citation, Extra, Field, Json, Losses, Media, MediaSource, Message, Opaque,
    Role, Schema, Signature, Text, Thinking, ToolCall, ToolResult,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

fn endpoint() -> Endpoint {
    Endpoint::new(DIALECT, "http://localhost", SecretString::from("sk-ant-x")).expect("valid")
}

fn try_write(request: &Request) -> Result<Encoded, Failure> {
    encode(&endpoint(), Call { request, model: "m", stream: false })
}

fn body_of(encoded: &Encoded) -> Value {
    serde_json::from_slice(encoded.request.body()).expect("JSON")
}

/// The body of a request of which nothing is lost.
fn write(request: &Request) -> Value {
    let encoded = try_write(request).expect("can be said");
    assert_eq!(encoded.losses, [], "{request:?}");
    body_of(&encoded)
}

fn raw(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

fn field(dialect: Dialect, name: &str, json: &str) -> Field {
    Field { dialect, name: name.to_owned(), value: raw(json) }
}

fn extra(fields: &[(&str, &str)]) -> Extra {
    fields.iter().map(|(name, json)| field(DIALECT, name, json)).collect()
}

fn opaque(dialect: Dialect, json: &str) -> Opaque {
    Opaque { dialect, json: raw(json) }
}

fn own(json: &str) -> Block {
    Block::Opaque(opaque(DIALECT, json))
}

fn signed(dialect: Dialect) -> Option<Signature> {
    Some(Signature { dialect, value: "sig".to_owned() })
}

fn ephemeral(ttl: Option<CacheTtl>) -> Option<CacheControl> {
    Some(CacheControl { ttl, extra: Extra::new() })
}

fn hello() -> Request {
    Request::new("m").user("Hello").max_output_tokens(9).losses(Losses::Refuse)
}

fn user(content: Vec<Block>) -> Message {
    Message::new(Role::User, content)
}

fn assistant(content: Vec<Block>) -> Message {
    Message::new(Role::Assistant, content)
}

fn function(name: &str) -> Function {
    Function::new(name, raw(r#"{"type":"object"}"#))
}

fn thinks(mode: Option<ThinkingMode>, effort: Option<Effort>, summary: Option<Summary>) -> Reasoning {
    let mut reasoning = Reasoning::default();
    (reasoning.thinking, reasoning.effort, reasoning.summary) = (mode, effort, summary);
    reasoning
}

fn besides(mut reasoning: Reasoning, extra: Extra) -> Reasoning {
    reasoning.extra = extra;
    reasoning
}

fn with(mut request: Request, change: impl FnOnce(&mut Request)) -> Request {
    change(&mut request);
    request
}

/// The body of [`hello`] with more fields.
fn said(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(
        r#"{{"model":"m","max_tokens":9,"messages":[
            {{"role":"user","content":[{{"type":"text","text":"Hello"}}]}}]{comma}{more}}}"#
    )
}

/// The body of [`hello`] with more turns.
fn went_on(turns: &str) -> String {
    said("").replacen("}]}]", &format!("}}]}},{turns}]"), 1)
}

/// Both say the same, whichever is given.
#[track_caller]
fn same(request: &Request, body: &str) {
    let given: Value = serde_json::from_str(body).expect(body);
    assert_eq!(write(request), given, "{request:?}");
    let asked = read(body).expect("a request");
    let asked = asked.request.losses(Losses::Refuse);
    assert_eq!(&asked, request, "{body}");
}

#[test]
fn where_and_how_it_is_sent() {
    let request = hello().extra(DIALECT, "betas", raw(r#"["a-2026","b-2026"]"#));
    let server = endpoint().with_header("anthropic-beta", "of-the-endpoint").expect("valid");
    for (server, stream, version) in [
        (server.clone(), false, "2023-06-01"),
        (server.with_api_version("2026-10-21").expect("valid"), true, "2026-10-21"),
    ] {
        let call = Call { request: &request, model: "claude-x", stream };
        let sent = encode(&server, call).expect("valid").request;
        assert_eq!(
            (sent.method().as_str(), sent.uri().to_string().as_str()),
            ("POST", "http://localhost/v1/messages")
        );
        let headers = sent.headers();
        assert_eq!(
            (&headers["x-api-key"], &headers["anthropic-version"]),
            (&"sk-ant-x".parse().expect("value"), &version.parse().expect("value"))
        );
        let betas: Vec<_> = headers.get_all("anthropic-beta").iter().collect();
        assert_eq!(betas, ["of-the-endpoint", "a-2026", "b-2026"]);
        assert!(!format!("{sent:?}").contains("sk-ant"));
        let body: Value = serde_json::from_slice(sent.body()).expect("JSON");
        assert_eq!(
            (body["model"].as_str(), body.get("stream"), body.get("betas")),
            (Some("claude-x"), stream.then_some(&json!(true)), None)
        );
    }
    let wrong = hello().extra(DIALECT, "betas", raw("\"a,b\""));
    let failure = try_write(&wrong).expect_err("no array");
    assert_eq!(failure.message, "betas: must be an array of strings");
}

#[test]
fn the_bound_the_api_requires_is_made_up() {
    let unbound = with(hello(), |request| request.max_output_tokens = None);
    assert_eq!(write(&unbound)["max_tokens"], DEFAULT_MAX_TOKENS);
    // It includes thinking.
    let thinking = unbound.reasoning(Reasoning::budget(2048));
    assert_eq!(write(&thinking)["max_tokens"], DEFAULT_MAX_TOKENS + 2048);
}

#[test]
fn settings() {
    let schema = || Schema::new(raw(r#"{"type":"object"}"#));
    let cases = [
        (hello(), String::new()),
        (hello().system("Be brief."), r#""system":"Be brief.""#.to_owned()),
        (
            with(hello(), |request| {
                request.system = vec![Text::new("a"), Text { cache: ephemeral(None), ..Text::new("b") }];
            }),
            r#""system":[{"type":"text","text":"a"},
                {"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]"#
                .to_owned(),
        ),
        (
            with(hello().temperature(0.5).top_p(0.25).stop("A").stop("B"), |request| {
                request.sampling.top_k = Some(3);
            }),
            r#""temperature":0.5,"top_p":0.25,"top_k":3,"stop_sequences":["A","B"]"#.to_owned(),
        ),
        (
            with(hello(), |request| request.cache = ephemeral(Some(CacheTtl::OneHour))),
            r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#.to_owned(),
        ),
        (with(hello(), |request| request.user = Some("u".to_owned())), r#""metadata":{"user_id":"u"}"#.to_owned()),
        (
            with(hello().extra(DIALECT, "metadata", raw(r#"{"team":"x"}"#)), |request| {
                request.user = Some("u".to_owned());
            }),
            r#""metadata":{"user_id":"u","team":"x"}"#.to_owned(),
        ),
        (
            hello()
                .output(OutputFormat::JsonSchema(Schema { extra: extra(&[("new", "1")]), ..schema() }))
                .reasoning(Reasoning::effort(Effort::XHigh))
                .extra(DIALECT, "output_config", raw(r#"{"task_budget":{"total":7}}"#)),
            r#""output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"type":"object"},"new":1},
                "task_budget":{"total":7}}"#
                .to_owned(),
        ),
        // Words and formats that are newer than this go as they came.
        (
            hello().extra(DIALECT, "output_config", raw(r#"{"effort":"ultra"}"#)),
            r#""output_config":{"effort":"ultra"}"#.to_owned(),
        ),
        (
            hello().extra(DIALECT, "output_config", raw(r#"{"format":{"type":"grammar","lark":"x"}}"#)),
            r#""output_config":{"format":{"type":"grammar","lark":"x"}}"#.to_owned(),
        ),
        (
            hello().extra(DIALECT, "thinking", raw(r#"{"type":"between_tools"}"#)),
            r#""thinking":{"type":"between_tools"}"#.to_owned(),
        ),
        (
            hello()
                .extra(DIALECT, "container", raw(r#"{"id":"c"}"#))
                .extra(DIALECT, "inference_geo", raw("\"eu\""))
                .extra(DIALECT, "mcp_servers", raw(r#"[{"name":"x"}]"#)),
            r#""container":{"id":"c"},"inference_geo":"eu","mcp_servers":[{"name":"x"}]"#.to_owned(),
        ),
        (hello().extra(DIALECT, "service_tier", raw("7")), r#""service_tier":7"#.to_owned()),
    ];
    for (request, body) in cases {
        same(&request, &said(&body));
    }
    for (tier, word) in [
        (ServiceTier::Auto, "auto"),
        (ServiceTier::Standard, "standard_only"),
        (ServiceTier::Other("gold".to_owned()), "gold"),
    ] {
        let request = with(hello(), |request| request.service_tier = Some(tier));
        same(&request, &said(&format!(r#""service_tier":"{word}""#)));
    }
}

#[test]
fn every_way_of_thinking() {
    use ThinkingMode::{Adaptive, Budget, Off};
    let cases = [
        (thinks(Some(Off), None, None), r#""thinking":{"type":"disabled"}"#),
        (thinks(Some(Adaptive), None, None), r#""thinking":{"type":"adaptive"}"#),
        (
            thinks(Some(Adaptive), Some(Effort::Max), Some(Summary::Omitted)),
            r#""thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}"#,
        ),
        (
            thinks(Some(Budget(2048)), None, Some(Summary::Auto)),
            r#""thinking":{"type":"enabled","budget_tokens":2048,"display":"summarized"}"#,
        ),
        (thinks(None, Some(Effort::Low), None), r#""output_config":{"effort":"low"}"#),
        (
            besides(thinks(Some(Adaptive), None, None), extra(&[("display", "\"new\"")])),
            r#""thinking":{"type":"adaptive","display":"new"}"#,
        ),
        (
            besides(thinks(Some(Off), None, None), extra(&[("keep", "2")])),
            r#""thinking":{"type":"disabled","keep":2}"#,
        ),
    ];
    for (reasoning, body) in cases {
        same(&hello().reasoning(reasoning), &said(body));
    }
    // Not to think at all is said by effort in other dialects.
    let none = hello().reasoning(Reasoning::effort(Effort::None));
    assert_eq!(
        write(&none),
        serde_json::from_str::<Value>(&said(r#""thinking":{"type":"disabled"}"#)).expect("JSON")
    );
}

#[test]
fn tools() {
    let tool = r#"{"name":"f","input_schema":{"type":"object"}}"#;
    let full = Function {
        strict: Some(true),
        cache: ephemeral(Some(CacheTtl::FiveMinutes)),
        extra: extra(&[("eager_input_streaming", "true")]),
        ..function("g").describe("does g")
    };
    let search = r#"{"type":"web_search_20250305","name":"web_search","max_uses":5}"#;
    let request = hello().tool(function("f")).tool(Tool::Provider(opaque(DIALECT, search))).tool(full);
    let body = said(&format!(
        r#""tools":[{tool},{search},{{"name":"g","description":"does g","input_schema":{{"type":"object"}},
            "strict":true,"cache_control":{{"type":"ephemeral","ttl":"5m"}},"eager_input_streaming":true}}]"#
    ));
    same(&request, &body);

    let choices = [
        (ToolChoice::Auto, None, r#"{"type":"auto"}"#),
        (ToolChoice::Auto, Some(false), r#"{"type":"auto","disable_parallel_tool_use":true}"#),
        (ToolChoice::Auto, Some(true), r#"{"type":"auto","disable_parallel_tool_use":false}"#),
        (ToolChoice::Required, None, r#"{"type":"any"}"#),
        (ToolChoice::Required, Some(false), r#"{"type":"any","disable_parallel_tool_use":true}"#),
        (ToolChoice::Named("f".to_owned()), None, r#"{"type":"tool","name":"f"}"#),
        (ToolChoice::None, None, r#"{"type":"none"}"#),
        (
            ToolChoice::Opaque(opaque(DIALECT, r#"{"type":"auto","new":1}"#)),
            None,
            r#"{"type":"auto","new":1}"#,
        ),
    ];
    for (choice, parallel, body) in choices {
        let mut request = hello().tool(function("f")).tool_choice(choice);
        request.parallel_tool_calls = parallel;
        same(&request, &said(&format!(r#""tools":[{tool}],"tool_choice":{body}"#)));
    }
    // What cannot be read back the same way.
    let written = |choice: Option<ToolChoice>, parallel: Option<bool>| {
        let mut request = hello().tool(function("f"));
        (request.tool_choice, request.parallel_tool_calls) = (choice, parallel);
        write(&request).get("tool_choice").cloned()
    };
    let only = ToolChoice::Allowed { required: true, names: vec!["f".to_owned()] };
    assert_eq!(written(None, None), None);
    assert_eq!(written(None, Some(false)), Some(json!({"type": "auto", "disable_parallel_tool_use": true})));
    assert_eq!(written(Some(ToolChoice::None), Some(false)), Some(json!({"type": "none"})));
    assert_eq!(written(Some(only), None), Some(json!({"type": "tool", "name": "f"})));
    // A choice among no tools is refused there.
    assert_eq!(write(&hello().tool_choice(ToolChoice::Auto)).get("tool_choice"), None);
}

#[test]
fn a_conversation_with_tools_goes_back_as_it_came() {
    let call = |id: &str, input: &str| Block::ToolCall(ToolCall::new(id, "f", input));
    let request = hello()
        .message(assistant(vec![
            Block::Thinking(Thinking { text: "hm".into(), signature: signed(DIALECT), extra: extra(&[("n", "1")]) }),
            Block::Thinking(Thinking { signature: signed(DIALECT), ..Thinking::default() }),
            own(r#"{"type":"redacted_thinking","data":"x"}"#),
            own(r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"q": 1}}"#),
            own(r#"{"type":"tool_use","id":"p","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"direct"}}"#),
            call("a", r#"{"x":12345678901234567890}"#),
            Block::ToolCall(ToolCall {
                extra: extra(&[("caller", r#"{"type":"direct"}"#)]),
                cache: ephemeral(None),
                ..ToolCall::new("b", "f", "{}")
            }),
        ]))
        .message(user(vec![
            Block::ToolResult(ToolResult::new("a", "4")),
            Block::ToolResult(ToolResult {
                is_error: true,
                cache: ephemeral(None),
                extra: extra(&[("new", "1")]),
                content: vec![
                    Block::text("see"),
                    Block::Image(Media::url("https://x.test/a.png")),
                    own(r#"{"type":"search_result","source":"s"}"#),
                ],
                ..ToolResult::new("b", "")
            }),
            Block::ToolResult(ToolResult { call_id: "p".into(), ..ToolResult::default() }),
            Block::text("and?"),
        ]));
    let body = went_on(
        r#"{"role":"assistant","content":[
            {"type":"thinking","thinking":"hm","signature":"sig","n":1},
            {"type":"thinking","thinking":"","signature":"sig"},
            {"type":"redacted_thinking","data":"x"},
            {"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}},
            {"type":"tool_use","id":"p","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"direct"}},
            {"type":"tool_use","id":"a","name":"f","input":{"x":12345678901234567890}},
            {"type":"tool_use","id":"b","name":"f","input":{},"caller":{"type":"direct"},"cache_control":{"type":"ephemeral"}}]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"4"}]},
            {"type":"tool_result","tool_use_id":"b","is_error":true,"cache_control":{"type":"ephemeral"},"new":1,"content":[
                {"type":"text","text":"see"},{"type":"image","source":{"type":"url","url":"https://x.test/a.png"}},
                {"type":"search_result","source":"s"}]},
            {"type":"tool_result","tool_use_id":"p"},
            {"type":"text","text":"and?"}]}"#,
    );
    // The opaque block is kept byte for byte, white space and all.
    same(&request, &body.replace(r#"{"q":1}"#, r#"{"q": 1}"#));
}

#[test]
fn turns_media_and_citations() {
    let file = MediaSource::File { dialect: DIALECT, id: "file_1".to_owned() };
    let citation = r#"{"type":"char_location","cited_text":"c","document_title":"t","url":null}"#;
    let request = hello()
        .message(assistant(vec![Block::Text(Text {
            citations: vec![Citation {
                url: None,
                title: Some("t".to_owned()),
                cited_text: Some("c".to_owned()),
                source: opaque(DIALECT, citation),
            }],
            extra: extra(&[("n", "1")]),
            ..Text::new("Hi")
        })]))
        .message(Message::new(Role::System, vec![Block::text("Now in French.")]))
        .message(Message {
            extra: extra(&[("id", "\"7\"")]),
            ..user(vec![
                Block::Image(Media::inline("image/png", vec![0_u8, 255])),
                Block::Image(Media { source: file.clone(), ..Media::url("") }),
                Block::Document(Media {
                    title: Some("T".to_owned()),
                    cache: ephemeral(Some(CacheTtl::OneHour)),
                    extra: extra(&[("context", "\"c\""), ("citations", r#"{"enabled":true}"#)]),
                    ..Media::inline("application/pdf", vec![1_u8])
                }),
                Block::Document(Media::inline("text/plain", "håll")),
                Block::Document(Media { source: file, ..Media::url("") }),
                Block::Document(Media::url("https://x.test/a.pdf")),
                own(r#"{"type":"document","source":{"type":"content","content":"x"}}"#),
                own(r#"{"type":"document","source":{"type":"text","media_type":"text/new","data":"x"}}"#),
                own(r#"{"type":"container_upload","file_id":"f"}"#),
                Block::Text(Text {
                    cache: Some(CacheControl { ttl: None, extra: extra(&[("ttl", "\"1d\"")]) }),
                    ..Text::new("?")
                }),
            ])
        });
    let body = went_on(&format!(
        r#"{{"role":"assistant","content":[{{"type":"text","text":"Hi","citations":[{citation}],"n":1}}]}},
        {{"role":"system","content":[{{"type":"text","text":"Now in French."}}]}},
        {{"role":"user","id":"7","content":[
            {{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"AP8="}}}},
            {{"type":"image","source":{{"type":"file","file_id":"file_1"}}}},
            {{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"AQ=="}},"title":"T",
                "cache_control":{{"type":"ephemeral","ttl":"1h"}},"context":"c","citations":{{"enabled":true}}}},
            {{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"håll"}}}},
            {{"type":"document","source":{{"type":"file","file_id":"file_1"}}}},
            {{"type":"document","source":{{"type":"url","url":"https://x.test/a.pdf"}}}},
            {{"type":"document","source":{{"type":"content","content":"x"}}}},
            {{"type":"document","source":{{"type":"text","media_type":"text/new","data":"x"}}}},
            {{"type":"container_upload","file_id":"f"}},
            {{"type":"text","text":"?","cache_control":{{"type":"ephemeral","ttl":"1d"}}}}]}}"#
    ));
    same(&request, &body);
}
