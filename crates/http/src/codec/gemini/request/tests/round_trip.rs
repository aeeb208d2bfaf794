//! A request that was read and is written again says the same.

use leverframe_core::error::ErrorKind;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

/// What is said in another way, and as what it is sent.
#[test]
fn ways_of_saying_the_same_become_one() {
    let turn = |part: &str| went_on(&format!(r#"{{"role":"user","parts":[{part}]}}"#));
    let calls = |first: &str, second: &str, results: &str| {
        went_on(&format!(
            r#"{{"role":"model","parts":[{{"functionCall":{{{first}"name":"f","args":{{}}}}}},
                {{"functionCall":{{{second}"name":"f","args":{{}}}}}}]}},{{"role":"user","parts":[{results}]}}"#
        ))
    };
    let result =
        |id: &str, n: u8| format!(r#"{{"functionResponse":{{{id}"name":"f","response":{{"n":{n}}}}}}}"#);
    let both = |one: &str, two: &str| format!("{},{}", result(one, 1), result(two, 2));
    let tool = |tool: &str| said(&format!(r#""tools":{tool}"#));
    let cases = [
        // Names in snake case.
        (
            said(
                r#""system_instruction":{"role":"user","parts":[{"text":"x"}]},"generation_config":{"max_output_tokens":9,"thinking_config":{"thinking_budget":0}},
                "tool_config":{"function_calling_config":{"mode":"ANY"}},"tools":[{"google_search":{}},{"function_declarations":[{"name":"f"}]}],"cached_content":"c""#,
            ),
            said(
                r#""systemInstruction":{"parts":[{"text":"x"}]},"generationConfig":{"maxOutputTokens":9,"thinkingConfig":{"thinkingBudget":0}},
                "toolConfig":{"functionCallingConfig":{"mode":"ANY"}},"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f"}]}],"cachedContent":"c""#,
            ),
        ),
        (
            turn(
                r#"{"inline_data":{"mime_type":"image/png","data":"-_8"}},{"function_response":{"name":"f","response":{"a_b":1}}},{"thought_signature":"s","text":""}"#,
            ),
            turn(
                r#"{"inlineData":{"mimeType":"image/png","data":"+/8="}},{"functionResponse":{"name":"f","response":{"a_b":1}}},{"thoughtSignature":"s","text":""}"#,
            ),
        ),
        (said(r#""generationConfig":{},"tools":[],"safetySettings":[]"#), said("")),
        (
            set(r#""topK":40.0,"stopSequences":"x","responseLogprobs":false"#),
            set(r#""topK":40,"stopSequences":["x"]"#),
        ),
        (
            set(r#""thinkingConfig":{"thinkingLevel":"low"}"#),
            set(r#""thinkingConfig":{"thinkingLevel":"LOW"}"#),
        ),
        // Roles that are the user's.
        (went_on(r#"{"parts":[{"text":"x"}]}"#), turn(r#"{"text":"x"}"#)),
        (went_on(r#"{"role":"function","parts":[{"text":"x"}]}"#), turn(r#"{"text":"x"}"#)),
        (turn(r#"{"text":"x","thought":false}"#), turn(r#"{"text":"x"}"#)),
        (turn(r#"{"functionCall":{"name":"f"}}"#), turn(r#"{"functionCall":{"name":"f","args":{}}}"#)),
        // One entry for all functions, one for each other tool.
        (
            tool(
                r#"[{"functionDeclarations":[{"name":"f"}],"googleSearch":{}},{"functionDeclarations":[{"name":"g"}]},{"urlContext":{},"codeExecution":{}}]"#,
            ),
            tool(
                r#"[{"functionDeclarations":[{"name":"f"},{"name":"g"}]},{"googleSearch":{}},{"urlContext":{}},{"codeExecution":{}}]"#,
            ),
        ),
        // An object without properties is no parameters at all.
        (
            tool(
                r#"[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object","properties":{}}}]}]"#,
            ),
            tool(r#"[{"functionDeclarations":[{"name":"f"}]}]"#),
        ),
        // Results without ids, of calls with ids: in the order of the calls.
        (
            calls(r#""id":"a","#, r#""id":"b","#, &both("", "")),
            calls(r#""id":"a","#, r#""id":"b","#, &both(r#""id":"a","#, r#""id":"b","#)),
        ),
        (calls("", "", &both("", "")), calls("", "", &both("", ""))),
        (
            calls("", r#""id":"b","#, &both(r#""id":"b","#, "")),
            calls("", r#""id":"b","#, &both(r#""id":"b","#, "")),
        ),
    ];
    for (given, expected) in cases {
        let request = read(&given).expect(&given).request.losses(Losses::Refuse);
        let expected: Value = serde_json::from_str(&expected).expect(&expected);
        assert_eq!(write(&request), expected, "{given}");
    }
}

#[test]
fn labels_are_for_vertex() {
    let request = read(&said(r#""labels":{"a":"b"}"#)).expect("a request").request.losses(Losses::Refuse);
    let encoded = try_write(&vertex(), &request).expect("can be said");
    assert_eq!(body_of(&encoded)["labels"], json!({"a": "b"}));
}

/// What Gemini said goes back as it was, part by part.
#[test]
fn an_answer_returns_unchanged() {
    let parts = json!([
        {"text": "a thought", "thought": true},
        {"text": "another", "thought": true, "thoughtSignature": "s1"},
        {"text": "plain"},
        {"text": "signed", "thoughtSignature": "s2"},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s3"},
        {"functionCall": {"name": "f", "args": {"x": [1.0, "ä"]}}, "thoughtSignature": "s4"},
        {"functionCall": {"id": "own", "name": "g", "args": {}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"thoughtSignature": "s5"},
        {"text": "", "thoughtSignature": "s6"},
    ]);
    let answer =
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    let response = super::super::super::response::decode(&http::HeaderMap::new(), &answer.to_string())
        .expect("an answer");
    let written = write(&hello().message(response.to_message()));
    assert_eq!(written.pointer("/contents/1/parts"), Some(&parts));
}

#[test]
fn schemas_of_google_are_translated_for_others() {
    let own = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}"#;
    let expected = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
    let config = format!(r#""responseMimeType":"application/json","responseSchema":{own}"#);
    let body = set(&config).replacen(
        '{',
        &format!(r#"{{"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{own}}}]}}],"#),
        1,
    );
    let request = read(&body).expect("a request").request;
    let (Some(OutputFormat::JsonSchema(schema)), Some(Tool::Function(function))) =
        (&request.output, request.tools.first())
    else {
        panic!("{request:?}")
    };
    for json in [&schema.schema, &function.parameters] {
        assert_eq!(serde_json::from_str::<Value>(json.as_str()).expect("JSON"), expected);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let part = |part: &str| went_on(&format!(r#"{{"role":"user","parts":[{part}]}}"#));
    let cases = [
        ("[]".to_owned(), ""),
        (r#"{"contents":7}"#.to_owned(), "contents: must be an array"),
        (said(r#""systemInstruction":"x""#), "systemInstruction: must be a JSON object"),
        (
            said(r#""systemInstruction":{"parts":[{"inlineData":{"mimeType":"a","data":""}}]}"#),
            "systemInstruction: must have text",
        ),
        (set(r#""temperature":"hot""#), "generationConfig.temperature: must be a number"),
        (set(r#""maxOutputTokens":-1"#), "generationConfig.maxOutputTokens: must be"),
        (
            set(r#""thinkingConfig":{"thinkingBudget":"x"}"#),
            "generationConfig.thinkingConfig.thinkingBudget: must be",
        ),
        (
            said(r#""tools":[{"functionDeclarations":[{}]}]"#),
            "tools[0].functionDeclarations[0].name: is missing",
        ),
        (said(r#""toolConfig":{"functionCallingConfig":7}"#), "toolConfig.functionCallingConfig: must be"),
        (went_on(r#"{"role":"robot","parts":[]}"#), "contents[1].role: must be user or model"),
        (part("7"), "contents[1].parts[0]: must be a JSON object"),
        (part(r#"{"text":7}"#), "contents[1].parts[0].text: must be a string"),
        (part(r#"{"functionCall":{}}"#), "contents[1].parts[0].functionCall.name: is missing"),
        (part(r#"{"functionResponse":{}}"#), "contents[1].parts[0].functionResponse.name: is missing"),
        (
            part(r#"{"inlineData":{"mimeType":"a","data":"!"}}"#),
            "contents[1].parts[0].inlineData.data: is not base64",
        ),
    ];
    for (body, message) in cases {
        let failure = read(&body).expect_err(&body);
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
        assert!(failure.message.starts_with(message), "{message}: {failure}");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zåß\"\\\\ ]{0,8}[a-z]"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,9}"
}

fn extras() -> impl Strategy<Value = Extra> {
    let field = (select(vec!["xA", "xB"]), select(vec!["1", "\"s\"", "[1,  null]", "{\"a_b\":{}}"]));
    option::of(field)
        .prop_map(|field| field.iter().map(|(name, json)| super::field(DIALECT, name, json)).collect())
}

fn signature() -> impl Strategy<Value = Option<Signature>> {
    option::of(word().prop_map(|value| Signature { dialect: DIALECT, value }))
}

fn text() -> impl Strategy<Value = Text> {
    (option::of(word()), signature(), extras()).prop_map(|(text, signature, extra)| Text {
        signature,
        extra,
        ..Text::new(text.unwrap_or_default())
    })
}

fn media() -> impl Strategy<Value = Block> {
    let kinds = || select(vec!["image/png", "audio/wav", "application/pdf", "video/mp4"]);
    let inline = (kinds(), vec(any::<u8>(), 0..5)).prop_map(|(kind, bytes)| Media::inline(kind, bytes));
    let place = prop_oneof![
        name().prop_map(|name| MediaSource::Url(format!("https://x.test/{name}"))),
        name().prop_map(|name| MediaSource::File { dialect: DIALECT, id: format!("gs://{name}") }),
    ];
    let elsewhere = (option::of(kinds()), place).prop_map(|(kind, source)| Media {
        source,
        media_type: kind.map(str::to_owned),
        ..Media::url("")
    });
    (prop_oneof![inline, elsewhere], option::of(word()), extras()).prop_map(|(media, title, extra)| {
        let kind = media.media_type.clone().unwrap_or_default();
        let media = Media { title, extra, ..media };
        match kind.split('/').next() {
            Some("image") => Block::Image(media),
            Some("audio") => Block::Audio(media),
            _ => Block::Document(media),
        }
    })
}

fn own_block() -> impl Strategy<Value = Block> {
    select(vec![
        r#"{"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"s"}"#,
        r#"{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}"#,
        r#"{ "brandNew" : [1.50] }"#,
    ])
    .prop_map(own)
}

/// A call and its result, and the call's id if it has one.
type Called = (bool, String, ToolCall, ToolResult);

/// What the user says, what the model says to it, and what it calls.
fn exchange() -> impl Strategy<Value = (Vec<Block>, Vec<Called>, Message)> {
    let thinking = (word(), signature(), extras())
        .prop_map(|(text, signature, extra)| Block::Thinking(Thinking { text, signature, extra }));
    let block = prop_oneof![text().prop_map(Block::Text), thinking, own_block()];
    let args = select(vec!["{}", r#"{"a":  1}"#, r#"{"big":12345678901234567890.5}"#]);
    let answer = (select(vec!["{}", r#"{"result":"x"}"#]), vec(media(), 0..2), extras());
    let call = (any::<bool>(), name(), name(), args, signature(), extras(), answer).prop_map(
        |(with_id, id, name, args, signature, extra, (text, media, more))| {
            let call = ToolCall { signature, extra, ..ToolCall::new("", name, args) };
            let content = [Block::text(text)].into_iter().chain(media).collect();
            (with_id, id, call, ToolResult { content, extra: more, ..ToolResult::default() })
        },
    );
    let said = (vec(prop_oneof![text().prop_map(Block::Text), media(), own_block()], 1..3), extras())
        .prop_map(|(content, extra)| Message { extra, ..user(content) });
    (vec(block, 0..3), vec(call, 0..3), said)
}

fn any_reasoning() -> impl Strategy<Value = Option<Reasoning>> {
    let effort = select(vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]);
    let mode = prop_oneof![
        Just(ThinkingMode::Off),
        Just(ThinkingMode::Adaptive),
        (1_u32..9999).prop_map(ThinkingMode::Budget)
    ];
    let summary = option::of(select(vec![Summary::Omitted, Summary::Auto]));
    let bound =
        prop_oneof![mode.prop_map(|mode| (Some(mode), None)), effort.prop_map(|effort| (None, Some(effort)))];
    option::of((option::of(bound), summary, extras()).prop_map(|(bound, summary, extra)| {
        let (mode, effort) = bound.unwrap_or_default();
        besides(thinks(mode, effort, summary), extra)
    }))
}

/// A number that every parser reads to the last bit.
fn share() -> impl Strategy<Value = f64> {
    (0_u8..=64).prop_map(|share| f64::from(share) / 64.0)
}

prop_compose! {
    fn settings()(
        system in vec(text(), 0..3),
        tools in vec((name(), option::of(word()), extras()), 0..3),
        choice in option::of(select(vec![ToolChoice::Auto, ToolChoice::Required, ToolChoice::None, ToolChoice::Named("f".into())])),
        max in option::of(1_u32..999),
        (temperature, top_p, top_k, seed) in (option::of(share()), option::of(share()), option::of(0_u32..99), option::of(any::<i32>())),
        stop in vec(word(), 0..5),
        reasoning in any_reasoning(),
        output in option::of(select(vec![OutputFormat::Text, OutputFormat::JsonObject, OutputFormat::JsonSchema(Schema::new(raw("{\"a_b\":1}")))])),
        logprobs in option::of(0_u32..9),
        safety in vec((word(), word()), 0..2),
        tier in option::of(select(vec![ServiceTier::Auto, ServiceTier::Flex, ServiceTier::Other("x".into())])),
        config in option::of(Just(r#"{"candidateCount":2}"#)),
        extra in extras(),
    ) -> Request {
        let mut request = Request::new("").losses(Losses::Refuse);
        if !tools.is_empty() {
            request.tool_choice = choice;
        }
        let tool = |(name, description, extra): (String, _, _)| Function { description, extra, ..function(&name) }.into();
        request.tools = tools.into_iter().map(tool).collect();
        (request.system, request.stop_sequences, request.max_output_tokens) = (system, stop, max);
        (request.sampling.temperature, request.sampling.top_p, request.sampling.top_k) = (temperature, top_p, top_k);
        request.sampling.seed = seed.map(i64::from);
        (request.reasoning, request.output, request.logprobs, request.service_tier) = (reasoning, output, logprobs, tier);
        request.safety = safety.into_iter().map(|(category, threshold)| SafetySetting { category, threshold }).collect();
        request.extra.extend(config.map(|config| field(DIALECT, "generationConfig", config)));
        request.extra.extend(extra);
        request
    }
}

prop_compose! {
    fn requests()(mut request in settings(), turns in vec(exchange(), 1..3)) -> Request {
        let mut made_up = 0;
        let mut given = 0;
        for (blocks, calls, said) in turns {
            let (mut content, mut answers) = (blocks, Vec::new());
            for (with_id, id, call, result) in calls {
                let id = if with_id { given += 1; format!("{id}{given}") } else { made_up += 1; format!("gemini__{}", made_up - 1) };
                content.push(Block::ToolCall(ToolCall { id: id.clone(), ..call }));
                answers.push(Block::ToolResult(ToolResult { call_id: id, ..result }));
            }
            request.messages.extend([said, assistant(content), user(answers)]);
        }
        request.messages.retain(|message| !message.content.is_empty());
        request
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_it_was_meant(request in requests()) {
        let encoded = try_write(&endpoint(), &request).expect("can be said");
        prop_assert_eq!(&encoded.losses, &[]);
        let body = std::str::from_utf8(encoded.request.body()).expect("UTF-8");
        let asked = read(body).expect("a request").request.losses(Losses::Refuse);
        let again = try_write(&endpoint(), &asked).expect("can be said").request;
        prop_assert_eq!(again.body(), encoded.request.body());
        // Calls of one name and without ids may be answered in another order than
        // they were made: which answer is whose, only the order says.
        let mut names: Vec<_> = calls(&request).map(|call| &call.name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        if names.len() == all {
            prop_assert_eq!(&asked, &request, "{}", body);
        }
    }

    #[test]
    fn damaged_bodies_are_read_without_panic(
        request in requests(),
        cut in 0_usize..2000,
        change in (0_usize..2000, any::<u8>()),
    ) {
        let mut body = try_write(&endpoint(), &request).expect("can be said").request.body().to_vec();
        if let Some(byte) = body.get_mut(change.0) {
            *byte = change.1;
        }
        body.truncate(cut);
        if let Ok(asked) = crate::codec::read_request(DIALECT, &body) {
            let _ = try_write(&endpoint(), &asked.request);
        }
    }
}

fn calls(request: &Request) -> impl Iterator<Item = &ToolCall> {
    request.messages.iter().flat_map(|message| &message.content).filter_map(|block| match block {
        Block::ToolCall(call) => Some(call),
        _ => None,
    })
}
