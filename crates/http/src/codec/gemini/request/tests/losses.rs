//! What cannot be said is named, weighed, and left out or replaced.

use leverframe_core::{
    error::ErrorKind,
    loss::Weight::{self, Major, Minor},
    model::{CacheControl, CacheTtl, Citation},
};

use super::*;

type Case = (Request, &'static [(&'static str, Weight)], &'static str, Value);

/// Under every allowance. `at` and `left` are what is sent when it is allowed.
fn check(server: &Endpoint, (request, losses, at, left): Case) {
    for (allowed, most) in
        [(Losses::Refuse, None), (Losses::AllowMinor, Some(Minor)), (Losses::Allow, Some(Major))]
    {
        let request = request.clone().losses(allowed);
        let beyond = losses.iter().find(|(_, weight)| most.is_none_or(|most| *weight > most));
        match (try_write(server, &request), beyond) {
            (Ok(encoded), None) => {
                let found: Vec<_> =
                    encoded.losses.iter().map(|loss| (loss.field.as_str(), loss.weight)).collect();
                assert_eq!(found, losses, "{request:?}");
                let body = body_of(&encoded);
                assert_eq!(body.pointer(at).unwrap_or(&Value::Null), &left, "{body}");
            }
            (Err(failure), Some((field, _))) => {
                assert_eq!(failure.kind, ErrorKind::Unsupported, "{failure}");
                assert!(failure.message.starts_with(&format!("{field}: ")), "{field}: {failure}");
            }
            (Ok(encoded), Some(beyond)) => panic!("{beyond:?} was not found: {encoded:?}"),
            (Err(failure), None) => panic!("{allowed:?}: {failure}"),
        }
    }
}

fn cache() -> Option<CacheControl> {
    Some(CacheControl { ttl: Some(CacheTtl::OneHour), extra: Extra::new() })
}

fn foreign(name: &str) -> Extra {
    Extra::from_iter([field(Dialect::Anthropic, name, "1")])
}

#[test]
fn of_settings() {
    let nothing = || Value::Null;
    let schema = |schema: Schema| hello().output(OutputFormat::JsonSchema(schema));
    let object = || Schema::new(raw("{}"));
    let wanted = "/generationConfig/responseJsonSchema";
    let labelled = || {
        with(hello(), |r| {
            r.metadata.insert("a".into(), "b".into());
        })
    };
    let level = "/generationConfig/thinkingConfig";
    let tool = "/tools/0/functionDeclarations/0";
    let cases: Vec<Case> = vec![
        (with(hello(), |r| r.user = Some("u".into())), &[("user", Minor)], "/user", nothing()),
        (with(hello(), |r| r.cache_key = Some("k".into())), &[("cache_key", Minor)], "/cache_key", nothing()),
        (with(hello(), |r| r.cache = cache()), &[("cache", Minor)], "/cache", nothing()),
        (labelled(), &[("metadata", Minor)], "/labels", nothing()),
        (
            with(hello(), |r| r.parallel_tool_calls = Some(false)),
            &[("parallel_tool_calls", Major)],
            "/toolConfig",
            nothing(),
        ),
        (with(hello(), |r| r.parallel_tool_calls = Some(true)), &[], "/toolConfig", nothing()),
        (
            with(hello(), |r| r.sampling.seed = Some(1 << 40)),
            &[("seed", Minor)],
            "/generationConfig",
            nothing(),
        ),
        (
            with(hello(), |r| r.stop_sequences = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into()),
            &[("stop_sequences", Major)],
            "/generationConfig/stopSequences",
            json!(["a", "b", "c", "d", "e"]),
        ),
        (schema(Schema { name: Some("n".into()), ..object() }), &[("output", Minor)], wanted, json!({})),
        (
            schema(Schema { description: Some("d".into()), ..object() }),
            &[("output", Minor)],
            wanted,
            json!({}),
        ),
        (schema(Schema { strict: Some(false), ..object() }), &[("output", Minor)], wanted, json!({})),
        (schema(Schema { strict: Some(true), ..object() }), &[], wanted, json!({})),
        (schema(Schema { extra: foreign("x"), ..object() }), &[("output.x", Minor)], wanted, json!({})),
        (
            hello().reasoning(Reasoning::effort(Effort::XHigh)),
            &[("reasoning.effort", Minor)],
            level,
            json!({"thinkingLevel": "HIGH"}),
        ),
        (
            hello().reasoning(Reasoning::effort(Effort::Max)),
            &[("reasoning.effort", Minor)],
            level,
            json!({"thinkingLevel": "HIGH"}),
        ),
        (
            hello().reasoning(thinks(Some(ThinkingMode::Budget(5)), Some(Effort::Low), None)),
            &[("reasoning.effort", Minor)],
            level,
            json!({"thinkingBudget": 5}),
        ),
        (
            hello().reasoning(besides(Reasoning::off(), foreign("x"))),
            &[("reasoning.x", Minor)],
            level,
            json!({"thinkingBudget": 0}),
        ),
        (
            hello().tool(Function { strict: Some(true), ..function("f") }),
            &[("tools[0].strict", Minor)],
            tool,
            json!({"name": "f", "parametersJsonSchema": {"type": "object"}}),
        ),
        (
            hello().tool(Function { cache: cache(), ..function("f") }),
            &[("tools[0].cache", Minor)],
            tool,
            json!({"name": "f", "parametersJsonSchema": {"type": "object"}}),
        ),
        (
            hello().tool(Function { extra: foreign("x"), ..function("f") }),
            &[("tools[0].x", Minor)],
            tool,
            json!({"name": "f", "parametersJsonSchema": {"type": "object"}}),
        ),
        (
            hello().tool(Tool::Provider(opaque(Dialect::Anthropic, "{}"))),
            &[("tools[0]", Major)],
            "/tools",
            nothing(),
        ),
        (
            hello().tool(function("f")).tool_choice(ToolChoice::Opaque(opaque(Dialect::OpenAiChat, "{}"))),
            &[("tool_choice", Major)],
            "/toolConfig",
            nothing(),
        ),
        (
            hello().extra(Dialect::OpenAiChat, "verbosity", raw("1")),
            &[("verbosity", Major)],
            "/verbosity",
            nothing(),
        ),
        // Said twice, sent once.
        (hello().extra(DIALECT, "contents", raw("[]")), &[("contents", Major)], "/contents/1", nothing()),
        (
            with(hello().extra(DIALECT, "serviceTier", raw("7")), |r| {
                r.service_tier = Some(ServiceTier::Flex)
            }),
            &[("serviceTier", Major)],
            "/serviceTier",
            json!("flex"),
        ),
        (
            hello().temperature(0.5).extra(DIALECT, "generationConfig", raw(r#"{"temperature":1,"topK":2}"#)),
            &[],
            "/generationConfig",
            json!({"temperature": 0.5, "topK": 2}),
        ),
    ];
    cases.into_iter().for_each(|case| check(&endpoint(), case));
    check(&vertex(), (labelled(), &[], "/labels", json!({"a": "b"})));
}

#[test]
fn of_content() {
    let at = "/contents/1/parts";
    let says = |block: Block| hello().message(assistant(vec![Block::text("Hi"), block]));
    let hi = || json!([{"text": "Hi"}]);
    let both = |part: Value| json!([{"text": "Hi"}, part]);
    let file = MediaSource::File { dialect: Dialect::OpenAiChat, id: "f".into() };
    let cited = || vec![Citation { url: None, title: None, cited_text: None, source: opaque(DIALECT, "{}") }];
    let result = |content: Vec<Block>| {
        let result = ToolResult { content, extra: extra(&[("name", "\"f\"")]), ..ToolResult::new("c", "") };
        hello().message(user(vec![Block::ToolResult(result)]))
    };
    let answer = "/contents/1/parts/0/functionResponse/response";
    let cases: Vec<Case> = vec![
        (
            says(Block::Refusal("no".into())),
            &[("messages[1].content[1]", Minor)],
            at,
            both(json!({"text": "no"})),
        ),
        (
            says(Block::Thinking(Thinking { signature: signed(Dialect::Anthropic), ..Thinking::new("hm") })),
            &[("messages[1].content[1]", Minor)],
            at,
            hi(),
        ),
        (
            says(Block::Thinking(Thinking { extra: foreign("id"), ..Thinking::new("hm") })),
            &[("messages[1].content[1]", Minor)],
            at,
            hi(),
        ),
        (
            says(Block::Opaque(opaque(Dialect::Anthropic, r#"{"type":"redacted_thinking"}"#))),
            &[("messages[1].content[1]", Minor)],
            at,
            hi(),
        ),
        (
            says(Block::Opaque(opaque(Dialect::Anthropic, r#"{"type":"search_result"}"#))),
            &[("messages[1].content[1]", Major)],
            at,
            hi(),
        ),
        (
            says(Block::Image(Media { source: file, ..Media::url("") })),
            &[("messages[1].content[1]", Major)],
            at,
            hi(),
        ),
        (
            says(Block::Image(Media { cache: cache(), ..Media::url("u") })),
            &[("messages[1].content[1].cache", Minor)],
            at,
            both(json!({"fileData": {"fileUri": "u"}})),
        ),
        (
            says(Block::Text(Text {
                cache: cache(),
                citations: cited(),
                extra: foreign("x"),
                ..Text::new("a")
            })),
            &[
                ("messages[1].content[1].cache", Minor),
                ("messages[1].content[1].citations", Minor),
                ("messages[1].content[1].x", Minor),
            ],
            at,
            both(json!({"text": "a"})),
        ),
        (
            says(Block::Text(Text { signature: signed(Dialect::OpenAiResponses), ..Text::new("a") })),
            &[("messages[1].content[1].signature", Minor)],
            at,
            both(json!({"text": "a"})),
        ),
        (
            says(Block::ToolCall(ToolCall {
                signature: signed(Dialect::Anthropic),
                cache: cache(),
                ..ToolCall::new("t", "f", "[]")
            })),
            &[
                ("messages[1].content[1].cache", Minor),
                ("messages[1].content[1].arguments", Major),
                ("messages[1].content[1].signature", Minor),
            ],
            at,
            both(json!({"functionCall": {"id": "t", "name": "f", "args": {}}})),
        ),
        (
            result(vec![Block::text("a"), Block::Refusal("no".into())]),
            &[("messages[1].content[0].content[1]", Major)],
            answer,
            json!({"result": "a"}),
        ),
        (
            result(vec![Block::Text(Text {
                cache: cache(),
                extra: foreign("x"),
                citations: cited(),
                ..Text::new("a")
            })]),
            &[
                ("messages[1].content[0].content[0].cache", Minor),
                ("messages[1].content[0].content[0].citations", Minor),
                ("messages[1].content[0].content[0].x", Minor),
            ],
            answer,
            json!({"result": "a"}),
        ),
        (
            hello().message(Message { extra: foreign("name"), ..Message::assistant("Hi") }),
            &[("messages[1].name", Minor)],
            at,
            hi(),
        ),
        // Nothing of it is left.
        (
            hello().message(assistant(vec![Block::Opaque(opaque(Dialect::Anthropic, "{}"))])),
            &[("messages[1].content[0]", Major)],
            "/contents/1",
            Value::Null,
        ),
        // Instructions are put before the conversation.
        (
            hello().system("a").message(Message {
                extra: foreign("name"),
                ..Message::new(Role::Developer, vec![Block::text("b")])
            }),
            &[("messages[1]", Minor), ("messages[1].name", Minor)],
            "/systemInstruction",
            json!({"parts": [{"text": "a"}, {"text": "b"}]}),
        ),
    ];
    cases.into_iter().for_each(|case| check(&endpoint(), case));
    let first = Request::new("").message(Message::new(Role::System, vec![Block::text("a")])).user("Hello");
    check(&endpoint(), (first, &[], "/systemInstruction", json!({"parts": [{"text": "a"}]})));
}

#[test]
fn what_makes_no_sense_is_refused_whatever_is_allowed() {
    let no_type = Media { media_type: None, ..Media::inline("", "x") };
    let says = |block: Block| hello().message(user(vec![block]));
    let cases = [
        (says(Block::Image(no_type)), "messages[1].content[0]: inline bytes need"),
        (says(own("[]")), "messages[1].content[0]: an opaque value must be"),
        (
            says(Block::ToolResult(ToolResult::new("c", "x"))),
            "messages[1].content[0].call_id: no earlier message",
        ),
    ];
    for (request, message) in cases {
        let failure = try_write(&endpoint(), &request.losses(Losses::Allow)).expect_err(message);
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
        assert!(failure.message.starts_with(message), "{failure}");
    }
}
