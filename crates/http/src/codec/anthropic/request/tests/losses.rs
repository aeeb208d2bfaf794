//! What cannot be said is named, weighed, and left out or replaced.

use leverframe_core::{
    error::ErrorKind,
    loss::Weight::{self, Major, Minor},
};

use super::*;

type Case = (Request, &'static [(&'static str, Weight)], &'static str, Value);

/// Under every allowance. `at` and `left` are what is sent when it is allowed.
fn check(server: &Endpoint, (request, losses, at, left): Case) {
    for (allowed, most) in
        [(Losses::Refuse, None), (Losses::AllowMinor, Some(Minor)), (Losses::Allow, Some(Major))]
    {
        let request = request.clone().losses(allowed);
        let outcome = encode(server, Call { request: &request, model: "m", stream: false });
        let beyond = losses.iter().find(|(_, weight)| most.is_none_or(|most| *weight > most));
        match (outcome, beyond) {
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

fn says(block: Block) -> Request {
    hello().message(assistant(vec![Block::text("Hi"), block]))
}

#[test]
fn of_settings() {
    let nothing = || Value::Null;
    let schema = |schema: Schema| hello().output(OutputFormat::JsonSchema(schema));
    let object = || Schema::new(raw("{}"));
    let tools = |choice: ToolChoice| hello().tool(function("f")).tool_choice(choice);
    let some = |required: bool| ToolChoice::Allowed { required, names: vec!["f".into(), "g".into()] };
    let foreign = |json: &str| opaque(Dialect::Gemini, json);
    let cases: Vec<Case> = vec![
        (with(hello(), |r| r.sampling.seed = Some(1)), &[("seed", Minor)], "/seed", nothing()),
        (
            with(hello(), |r| r.sampling.presence_penalty = Some(1.0)),
            &[("presence_penalty", Minor)],
            "/presence_penalty",
            nothing(),
        ),
        (
            with(hello(), |r| r.sampling.frequency_penalty = Some(1.0)),
            &[("frequency_penalty", Minor)],
            "/frequency_penalty",
            nothing(),
        ),
        (hello().temperature(1.5), &[("temperature", Minor)], "/temperature", json!(1.0)),
        (with(hello(), |r| r.logprobs = Some(2)), &[("logprobs", Minor)], "/logprobs", nothing()),
        (
            with(hello(), |r| {
                r.safety.push(leverframe_core::model::SafetySetting {
                    category: "c".into(),
                    threshold: "t".into(),
                })
            }),
            &[("safety", Minor)],
            "/safety",
            nothing(),
        ),
        (
            with(hello(), |r| {
                r.metadata.insert("a".into(), "b".into());
            }),
            &[("metadata", Minor)],
            "/metadata",
            nothing(),
        ),
        (with(hello(), |r| r.cache_key = Some("k".into())), &[("cache_key", Minor)], "/cache_key", nothing()),
        (hello().stop(" ").stop("END"), &[("stop_sequences", Major)], "/stop_sequences", json!(["END"])),
        (hello().output(OutputFormat::JsonObject), &[("output", Major)], "/output_config", nothing()),
        (
            schema(Schema { name: Some("n".into()), strict: Some(true), ..object() }),
            &[],
            "/output_config/format",
            json!({"type": "json_schema", "schema": {}}),
        ),
        (
            schema(Schema { description: Some("d".into()), ..object() }),
            &[("output", Minor)],
            "/output_config/format/schema",
            json!({}),
        ),
        (
            schema(Schema { strict: Some(false), ..object() }),
            &[("output", Minor)],
            "/output_config/format/schema",
            json!({}),
        ),
        (
            schema(Schema {
                extra: Extra::from_iter([field(Dialect::Gemini, "responseSchema", "{}")]),
                ..object()
            }),
            &[("output.responseSchema", Minor)],
            "/output_config/format/schema",
            json!({}),
        ),
        (
            hello().reasoning(Reasoning::effort(Effort::Minimal)),
            &[("reasoning.effort", Minor)],
            "/output_config/effort",
            json!("low"),
        ),
        (
            hello().reasoning(Reasoning::default().shown()),
            &[("reasoning.summary", Minor)],
            "/thinking",
            nothing(),
        ),
        (
            with(hello(), |r| r.service_tier = Some(ServiceTier::Flex)),
            &[("service_tier", Minor)],
            "/service_tier",
            json!("auto"),
        ),
        (
            with(hello(), |r| r.service_tier = Some(ServiceTier::Priority)),
            &[("service_tier", Minor)],
            "/service_tier",
            json!("auto"),
        ),
        (tools(some(true)), &[("tool_choice", Major)], "/tool_choice", json!({"type": "any"})),
        (tools(some(false)), &[("tool_choice", Major)], "/tool_choice", json!({"type": "auto"})),
        (tools(ToolChoice::Opaque(foreign("{}"))), &[("tool_choice", Major)], "/tool_choice", nothing()),
        (
            hello().tool(Tool::Provider(foreign(r#"{"googleSearch":{}}"#))),
            &[("tools[0]", Major)],
            "/tools",
            nothing(),
        ),
        (
            hello().tool(Function {
                extra: Extra::from_iter([field(Dialect::Gemini, "parameters", "{}")]),
                ..function("f")
            }),
            &[("tools[0].parameters", Minor)],
            "/tools/0",
            json!({"name": "f", "input_schema": {"type": "object"}}),
        ),
        (
            hello().extra(Dialect::OpenAiChat, "verbosity", raw("1")),
            &[("verbosity", Major)],
            "/verbosity",
            nothing(),
        ),
        // Said twice, sent once.
        (hello().extra(DIALECT, "max_tokens", raw("1")), &[("max_tokens", Major)], "/max_tokens", json!(9)),
        (
            hello().reasoning(Reasoning::off()).extra(DIALECT, "thinking", raw("{}")),
            &[("thinking", Major)],
            "/thinking",
            json!({"type": "disabled"}),
        ),
        (
            with(hello().extra(DIALECT, "service_tier", raw("7")), |r| {
                r.service_tier = Some(ServiceTier::Auto)
            }),
            &[("service_tier", Major)],
            "/service_tier",
            json!("auto"),
        ),
        (
            with(hello(), |r| {
                r.cache = Some(CacheControl {
                    ttl: None,
                    extra: Extra::from_iter([field(Dialect::OpenAiChat, "x", "1")]),
                })
            }),
            &[("cache.x", Minor)],
            "/cache_control",
            json!({"type": "ephemeral"}),
        ),
    ];
    cases.into_iter().for_each(|case| check(&endpoint(), case));
}

#[test]
fn of_content() {
    let at = "/messages/1/content";
    let hi = || json!([{"type": "text", "text": "Hi"}]);
    let foreign = |json: &str| Block::Opaque(opaque(Dialect::OpenAiResponses, json));
    let picture = |kind: &str| Block::Image(Media::inline(kind, "x"));
    let file = MediaSource::File { dialect: Dialect::Gemini, id: "f".into() };
    let cited = Citation { url: None, title: None, cited_text: None, source: opaque(Dialect::Gemini, "{}") };
    let named = |dialect| Extra::from_iter([field(dialect, "x", "1")]);
    let both = |block: Value| json!([{"type": "text", "text": "Hi"}, block]);
    let result = |content: Vec<Block>| {
        let result = ToolResult { content, ..ToolResult::new("t", "") };
        hello().message(user(vec![Block::ToolResult(result)]))
    };
    let empty_result = || json!([{"type": "tool_result", "tool_use_id": "t"}]);
    let cases: Vec<Case> = vec![
        (says(foreign(r#"{"type":"web_search_call"}"#)), &[("messages[1].content[1]", Major)], at, hi()),
        (says(foreign(r#"{"type":"reasoning"}"#)), &[("messages[1].content[1]", Minor)], at, hi()),
        (says(Block::Thinking(Thinking::new("hm"))), &[("messages[1].content[1]", Minor)], at, hi()),
        (
            says(Block::Thinking(Thinking { signature: signed(Dialect::Gemini), ..Thinking::new("hm") })),
            &[("messages[1].content[1].signature", Minor), ("messages[1].content[1]", Minor)],
            at,
            hi(),
        ),
        (
            says(Block::Refusal("no".into())),
            &[("messages[1].content[1]", Minor)],
            at,
            both(json!({"type": "text", "text": "no"})),
        ),
        (says(Block::Audio(Media::inline("audio/wav", "x"))), &[("messages[1].content[1]", Major)], at, hi()),
        (says(picture("image/tiff")), &[("messages[1].content[1].media_type", Major)], at, hi()),
        (
            says(Block::Image(Media { source: file, ..Media::url("") })),
            &[("messages[1].content[1]", Major)],
            at,
            hi(),
        ),
        (
            says(Block::Document(Media::inline("text/html", "x"))),
            &[("messages[1].content[1].media_type", Major)],
            at,
            hi(),
        ),
        (
            says(Block::Document(Media::inline("text/plain", vec![b'a', 255]))),
            &[("messages[1].content[1]", Major)],
            "/messages/1/content/1/source/data",
            json!("a\u{fffd}"),
        ),
        (
            says(Block::Text(Text { citations: vec![cited], ..Text::new("c") })),
            &[("messages[1].content[1].citations", Minor)],
            at,
            both(json!({"type": "text", "text": "c"})),
        ),
        (
            says(Block::Text(Text { signature: signed(Dialect::Gemini), ..Text::new("c") })),
            &[("messages[1].content[1].signature", Minor)],
            at,
            both(json!({"type": "text", "text": "c"})),
        ),
        // A part of Gemini's that is nothing but its signature.
        (
            says(Block::Text(Text { signature: signed(Dialect::Gemini), ..Text::default() })),
            &[("messages[1].content[1].signature", Minor)],
            at,
            hi(),
        ),
        (
            says(Block::Text(Text { extra: named(Dialect::Gemini), ..Text::new("c") })),
            &[("messages[1].content[1].x", Minor)],
            at,
            both(json!({"type": "text", "text": "c"})),
        ),
        (
            says(Block::ToolCall(ToolCall {
                signature: signed(Dialect::Gemini),
                ..ToolCall::new("t", "f", "")
            })),
            &[("messages[1].content[1].signature", Minor)],
            at,
            both(json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
        ),
        (
            says(Block::ToolCall(ToolCall::new("t", "f", "{\"cut\":"))),
            &[("messages[1].content[1].arguments", Major)],
            at,
            both(json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
        ),
        (
            says(Block::ToolCall(ToolCall {
                extra: extra(&[("name", "1")]),
                ..ToolCall::new("t", "f", "{}")
            })),
            &[("messages[1].content[1].name", Minor)],
            "/messages/1/content/1/name",
            json!("f"),
        ),
        (
            result(vec![Block::Refusal("no".into())]),
            &[("messages[1].content[0].content[0]", Minor)],
            "/messages/1/content/0/content/0/text",
            json!("no"),
        ),
        (
            result(vec![picture("text/html")]),
            &[("messages[1].content[0].content[0].media_type", Major)],
            at,
            empty_result(),
        ),
        (result(vec![Block::text("")]), &[], at, empty_result()),
        (
            hello().message(assistant(vec![Block::text(" \n")])),
            &[("messages[1]", Major)],
            "/messages/1",
            Value::Null,
        ),
        (
            hello().message(Message { extra: named(Dialect::OpenAiChat), ..Message::assistant("Hi") }),
            &[("messages[1].x", Minor)],
            at,
            hi(),
        ),
    ];
    cases.into_iter().for_each(|case| check(&endpoint(), case));
}

/// Found in review: fields of instructions were lost without a word, and a
/// blank system prompt took the place of instructions that said something.
#[test]
fn of_instructions() {
    let system = |text: &str, extra: Extra| {
        let message = Message { extra, ..Message::new(Role::Developer, vec![Block::text(text)]) };
        let mut request = Request::new("m").message(message).user("Hello");
        request.max_output_tokens = Some(9);
        request
    };
    let named = |dialect| Extra::from_iter([field(dialect, "name", "\"n\"")]);
    let block = |text: &str| json!({"type": "text", "text": text});
    let cases: Vec<Case> = vec![
        (system("a", Extra::new()), &[], "/system", json!("a")),
        (system("a", Extra::new()).system(""), &[], "/system", json!("a")),
        (system("a", Extra::new()).system("b"), &[], "/system", json!([block("b"), block("a")])),
        (system("a", named(Dialect::OpenAiChat)), &[("messages[0].name", Minor)], "/system", json!("a")),
        (system("a", named(DIALECT)), &[("messages[0]", Minor)], "/system", json!("a")),
        (hello().system(""), &[], "/system", Value::Null),
    ];
    cases.into_iter().for_each(|case| check(&endpoint(), case));
}

#[test]
fn of_sampling_where_the_api_has_none() {
    let server = endpoint().with_api_version("2026-10-21").expect("valid");
    let cases: Vec<Case> = vec![
        (hello(), &[], "/temperature", Value::Null),
        (hello().temperature(1.0), &[("temperature", Minor)], "/temperature", Value::Null),
        (hello().top_p(0.5), &[("top_p", Minor)], "/top_p", Value::Null),
        (with(hello(), |r| r.sampling.top_k = Some(2)), &[("top_k", Minor)], "/top_k", Value::Null),
    ];
    cases.into_iter().for_each(|case| check(&server, case));
}

#[test]
fn what_makes_no_sense_is_refused_whatever_is_allowed() {
    let no_type = Media { media_type: None, ..Media::inline("", "x") };
    let cases = [
        (says(Block::Image(no_type)), ErrorKind::InvalidRequest, "messages[1].content[1]: inline bytes need"),
        (says(own("[]")), ErrorKind::InvalidRequest, "messages[1].content[1]: an opaque value must be"),
        (Request::new("m").assistant("Hi"), ErrorKind::Unsupported, "messages[0]: Anthropic wants"),
        (
            hello().extra(DIALECT, "betas", raw("[\"\\n\"]")),
            ErrorKind::InvalidRequest,
            "betas: cannot be sent",
        ),
    ];
    for (request, kind, message) in cases {
        let failure = try_write(&request.losses(Losses::Allow)).expect_err(message);
        assert_eq!(failure.kind, kind);
        assert!(failure.message.starts_with(message), "{failure}");
    }
}
