//! A request that was read and is written again says the same.

use leverframe_core::error::ErrorKind;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

/// What is said in another way, and as what it is sent.
#[test]
fn ways_of_saying_the_same_become_one() {
    let tool = r#""tools":[{"name":"f","input_schema":{}}]"#;
    let strict = r#""tools":[{"type":"custom","name":"f","input_schema":{},"strict":false}]"#;
    let format = r#"{"type":"json_schema","schema":{}}"#;
    let text = r#"[{"type":"text","text":"x"}]"#;
    let result = r#"{"type":"tool_result","tool_use_id":"t""#;
    let turn = |content: &str| went_on(&format!(r#"{{"role":"user","content":{content}}}"#));
    let cases = [
        (said(r#""system":[{"type":"text","text":"x"}]"#), said(r#""system":"x""#)),
        (said(r#""system":"","stream":false,"stop_sequences":[],"top_k":null"#), said("")),
        (said(strict), said(tool)),
        (said(&format!(r#""output_format":{format}"#)), said(&format!(r#""output_config":{{"format":{format}}}"#))),
        (said(r#""stop_sequences":"x""#), said(r#""stop_sequences":["x"]"#)),
        (said(r#""tool_choice":{"type":"auto"}"#), said("")),
        (turn("\"x\""), turn(text)),
        (turn(&format!(r#"[{result},"content":"x","is_error":false}}]"#)), turn(&format!(r#"[{result},"content":{text}}}]"#))),
        // Results come first, and blank text is left out.
        (
            turn(&format!(r#"[{{"type":"text","text":"x"}},{{"type":"text","text":""}},{result}}}]"#)),
            turn(&format!(r#"[{result}}},{{"type":"text","text":"x"}}]"#)),
        ),
        (
            turn(r#"[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"-_8"}}]"#),
            turn(r#"[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"+/8="}}]"#),
        ),
        // Instructions before the conversation are the system prompt.
        (
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"system","content":"x"},{"role":"user","content":"Hello"}]}"#.to_owned(),
            said(r#""system":"x""#),
        ),
        // What came without a bound is bound.
        (said("").replace(r#""max_tokens":9,"#, ""), said("").replace("9", "4096")),
        // An id in letters that every provider takes.
        (
            went_on(r#"{"role":"assistant","content":[{"type":"tool_use","id":"a.b:c","name":"f"}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"a.b:c"}]}"#),
            went_on(r#"{"role":"assistant","content":[{"type":"tool_use","id":"a_b_c","name":"f","input":{}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"a_b_c"}]}"#),
        ),
    ];
    for (given, expected) in cases {
        let request = read(&given).expect(&given).request.losses(Losses::Refuse);
        let expected: Value = serde_json::from_str(&expected).expect(&expected);
        assert_eq!(write(&request), expected, "{given}");
    }
}

#[test]
fn whether_to_stream_is_read() {
    for (more, stream) in [("", false), (r#""stream":true"#, true), (r#""stream":false"#, false)] {
        assert_eq!(read(&said(more)).expect("a request").stream, stream);
    }
}

/// Servers like Anthropic do not all sign their thinking.
#[test]
fn thinking_without_a_signature_is_read_as_such() {
    for signature in ["", r#","signature":"""#, r#","signature":null"#] {
        let block = format!(r#"{{"type":"thinking","thinking":"hm"{signature}}}"#);
        let body = went_on(&format!(r#"{{"role":"assistant","content":[{block}]}}"#));
        let request = read(&body).expect("a request").request;
        assert_eq!(request.messages[1].content, [Block::Thinking(Thinking::new("hm"))]);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let block = |block: &str| went_on(&format!(r#"{{"role":"user","content":[{block}]}}"#));
    let cases = [
        ("[]".to_owned(), ""),
        (r#"{"messages":[]}"#.to_owned(), "model: is missing"),
        (said(r#""system":7"#), "system: must be"),
        (said(r#""system":[{"type":"image","source":{"type":"url","url":"u"}}]"#), "system: must be"),
        (said(r#""temperature":"hot""#), "temperature: must be a number"),
        (said(r#""max_tokens":-1"#), "max_tokens: must be a whole number"),
        (said(r#""stream":"yes""#), "stream: must be true or false"),
        (said(r#""tools":{}"#), "tools: must be an array"),
        (said(r#""tools":[{"input_schema":{}}]"#), "tools[0].name: is missing"),
        (said(r#""tool_choice":{"type":"new"}"#), "tool_choice.type: must be"),
        (said(r#""tool_choice":{"type":"tool"}"#), "tool_choice.name: is missing"),
        (said(r#""thinking":{"type":"enabled"}"#), "thinking.budget_tokens: is missing"),
        (said(r#""thinking":{}"#), "thinking.type: is missing"),
        (
            said(r#""output_config":{"format":{"type":"json_schema"}}"#),
            "output_config.format.schema: is missing",
        ),
        (went_on(r#"{"role":"robot"}"#), "messages[1].role: must be"),
        (went_on(r#"{"role":"user","content":7}"#), "messages[1].content: must be"),
        (block("7"), "messages[1].content[0]: must be a JSON object"),
        (block("{}"), "messages[1].content[0].type: is missing"),
        (block(r#"{"type":"text"}"#), "messages[1].content[0].text: is missing"),
        (block(r#"{"type":"tool_result"}"#), "messages[1].content[0].tool_use_id: is missing"),
        (
            block(r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"!"}}"#),
            "messages[1].content[0].source.data: is not base64",
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

fn id() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn extras() -> impl Strategy<Value = Extra> {
    let field = (select(vec!["x_a", "x_b"]), select(vec!["1", "\"s\"", "[1,  null]", "{\"a\":{}}"]));
    option::of(field)
        .prop_map(|field| field.iter().map(|(name, json)| super::field(DIALECT, name, json)).collect())
}

fn cache() -> impl Strategy<Value = Option<CacheControl>> {
    let ttl = option::of(select(vec![CacheTtl::FiveMinutes, CacheTtl::OneHour]));
    option::of((ttl, extras()).prop_map(|(ttl, extra)| CacheControl { ttl, extra }))
}

fn text() -> impl Strategy<Value = Text> {
    let citation = option::of(word()).prop_map(|title| {
        let json = json!({"type": "page_location", "document_title": title}).to_string();
        Citation { url: None, title, cited_text: None, source: opaque(DIALECT, &json) }
    });
    (word(), cache(), extras(), vec(citation, 0..2)).prop_map(|(text, cache, extra, citations)| Text {
        cache,
        extra,
        citations,
        ..Text::new(text)
    })
}

fn media() -> impl Strategy<Value = Block> {
    let inline =
        |kind: &'static str| vec(any::<u8>(), 1..5).prop_map(move |bytes| Media::inline(kind, bytes));
    let elsewhere = || {
        let file = id().prop_map(|id| MediaSource::File { dialect: DIALECT, id });
        let url = word().prop_map(MediaSource::Url);
        prop_oneof![file, url].prop_map(|source| Media { source, ..Media::url("") })
    };
    let image = prop_oneof![select(IMAGES.to_vec()).prop_flat_map(inline), elsewhere()];
    let plain = word().prop_map(|text| Media::inline("text/plain", text));
    let document = prop_oneof![inline("application/pdf"), plain, elsewhere()];
    let document = (document, option::of(word())).prop_map(|(media, title)| Media { title, ..media });
    let dressed = |(media, cache, extra): (Media, _, _)| Media { cache, extra, ..media };
    prop_oneof![
        (image, cache(), extras()).prop_map(move |parts| Block::Image(dressed(parts))),
        (document, cache(), extras()).prop_map(move |parts| Block::Document(dressed(parts))),
    ]
}

const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

fn own_block() -> impl Strategy<Value = Block> {
    select(vec![
        r#"{"type":"redacted_thinking","data":"x"}"#,
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
        r#"{ "type": "brand_new" , "n": [1.50] }"#,
    ])
    .prop_map(own)
}

fn from_user() -> impl Strategy<Value = Message> {
    let in_result = prop_oneof![text().prop_map(Block::Text), media(), own_block()];
    let result = (id(), vec(in_result, 0..3), any::<bool>(), cache(), extras()).prop_map(
        |(call_id, content, is_error, cache, extra)| {
            Block::ToolResult(ToolResult { call_id, content, is_error, cache, extra })
        },
    );
    let other = prop_oneof![text().prop_map(Block::Text), media(), own_block()];
    (vec(result, 0..2), vec(other, 1..3), extras()).prop_map(|(results, others, extra)| Message {
        extra,
        ..user(results.into_iter().chain(others).collect())
    })
}

fn from_model() -> impl Strategy<Value = Message> {
    let thinking = (option::of(word()), extras()).prop_map(|(text, extra)| {
        Block::Thinking(Thinking { text: text.unwrap_or_default(), signature: signed(DIALECT), extra })
    });
    let input = select(vec!["{}", r#"{"a":  1}"#, r#"{"big":12345678901234567890.5}"#]);
    let call = (id(), id(), input, cache(), extras()).prop_map(|(id, name, input, cache, extra)| {
        Block::ToolCall(ToolCall { cache, extra, ..ToolCall::new(id, name, input) })
    });
    let block = prop_oneof![text().prop_map(Block::Text), thinking, call, own_block()];
    vec(block, 1..4).prop_map(assistant)
}

fn any_function() -> impl Strategy<Value = Tool> {
    let strict = option::of(Just(true));
    (id(), option::of(word()), strict, cache(), extras()).prop_map(
        |(name, description, strict, cache, extra)| {
            Function { description, strict, cache, extra, ..function(&name) }.into()
        },
    )
}

fn any_reasoning() -> impl Strategy<Value = Option<Reasoning>> {
    let effort =
        || option::of(select(vec![Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max]));
    let mode = prop_oneof![Just(ThinkingMode::Adaptive), (1024_u32..9999).prop_map(ThinkingMode::Budget)];
    let summary = option::of(select(vec![Summary::Omitted, Summary::Auto]));
    let thinking = (mode, effort(), summary, extras())
        .prop_map(|(mode, effort, summary, extra)| besides(thinks(Some(mode), effort, summary), extra));
    let off = effort().prop_map(|effort| thinks(Some(ThinkingMode::Off), effort, None));
    let effort =
        effort().prop_filter("something", Option::is_some).prop_map(|effort| thinks(None, effort, None));
    option::of(prop_oneof![thinking, off, effort])
}

/// A number that every parser reads to the last bit.
fn share() -> impl Strategy<Value = f64> {
    (0_u8..=64).prop_map(|share| f64::from(share) / 64.0)
}

prop_compose! {
    fn settings()(
        system in vec(text(), 0..3),
        tools in vec(any_function(), 0..3),
        choice in option::of(select(vec![ToolChoice::Auto, ToolChoice::Required, ToolChoice::Named("f".into())])),
        parallel in option::of(any::<bool>()),
        temperature in option::of(share()),
        top in option::of((share(), 0_u32..99)),
        stop in vec(word(), 0..2),
        reasoning in any_reasoning(),
        schema in option::of(extras()),
        tier in option::of(select(vec![ServiceTier::Auto, ServiceTier::Standard, ServiceTier::Other("x".into())])),
        user in option::of(word()),
        cache in cache(),
        extra in extras(),
    ) -> Request {
        let mut request = Request::new("m").max_output_tokens(9).losses(Losses::Refuse);
        if !tools.is_empty() && let Some(choice) = choice {
            (request.tool_choice, request.parallel_tool_calls) = (Some(choice), parallel);
        }
        (request.system, request.tools, request.stop_sequences) = (system, tools, stop);
        request.sampling.temperature = temperature;
        (request.sampling.top_p, request.sampling.top_k) = top.unzip();
        (request.reasoning, request.service_tier, request.user) = (reasoning, tier, user);
        request.output = schema.map(|extra| {
            OutputFormat::JsonSchema(Schema { extra, ..Schema::new(raw(r#"{"type":"object"}"#)) })
        });
        (request.cache, request.extra) = (cache, extra);
        request
    }
}

prop_compose! {
    fn requests()(
        mut request in settings(),
        first in from_user(),
        rest in vec((from_model(), option::of(word()), from_user()), 0..3),
    ) -> Request {
        request.messages.push(first);
        for (model, instructions, user) in rest {
            request.messages.push(model);
            request.messages.extend(instructions.map(|text| Message::new(Role::System, vec![Block::text(text)])));
            request.messages.push(user);
        }
        request
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_it_was_meant(request in requests()) {
        let encoded = try_write(&request).expect("can be said");
        prop_assert_eq!(&encoded.losses, &[]);
        let body = std::str::from_utf8(encoded.request.body()).expect("UTF-8");
        let asked = read(body).expect("a request").request.losses(Losses::Refuse);
        prop_assert_eq!(&asked, &request, "{}", body);
        let again = try_write(&asked).expect("can be said").request;
        prop_assert_eq!(again.body(), encoded.request.body());
    }

    #[test]
    fn damaged_bodies_are_read_without_panic(
        request in requests(),
        cut in 0_usize..2000,
        change in (0_usize..2000, any::<u8>()),
    ) {
        let mut body = try_write(&request).expect("can be said").request.body().to_vec();
        if let Some(byte) = body.get_mut(change.0) {
            *byte = change.1;
        }
        body.truncate(cut);
        if let Ok(asked) = crate::codec::read_request(DIALECT, &body) {
            let _ = try_write(&asked.request);
        }
    }
}
