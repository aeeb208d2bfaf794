//! Tests of this folder.
//!
//! Most are pairs of a request in our model and the body that says the same.
//! A pair is read and written, so that neither half can drift from the other.

mod losses;
mod round_trip;

use leverframe_core::model::{
    Block, Extra, Field, Function, Json, Losses, Media, MediaSource, Message, Opaque, Role, Signature, Text,
    Thinking, ToolCall, ToolResult,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

fn endpoint() -> Endpoint {
    Endpoint::new(DIALECT, "https://example.test/", SecretString::from("top-secret")).expect("valid")
}

fn vertex() -> Endpoint {
    let base = "https://x-aiplatform.googleapis.com/v1/projects/p/locations/x/publishers/google";
    let endpoint = Endpoint::new(DIALECT, base, SecretString::from("top-secret")).expect("valid");
    endpoint.with_api_version("").expect("valid")
}

fn try_write(server: &Endpoint, request: &Request) -> Result<Encoded, Failure> {
    encode(server, Call { request, model: "m", stream: false })
}

fn body_of(encoded: &Encoded) -> Value {
    serde_json::from_slice(encoded.request.body()).expect("JSON")
}

/// The body of a request of which nothing is lost.
fn write(request: &Request) -> Value {
    let encoded = try_write(&endpoint(), request).expect("can be said");
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

fn hello() -> Request {
    Request::new("").user("Hello").losses(Losses::Refuse)
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
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hello"}}]}}]{comma}{more}}}"#)
}

/// The body of [`hello`] with settings.
fn set(config: &str) -> String {
    said(&format!(r#""generationConfig":{{{config}}}"#))
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
    assert!(!asked.stream && asked.request.model.is_empty(), "both are in the path");
    assert_eq!(&asked.request.losses(Losses::Refuse), request, "{body}");
}

#[test]
fn the_model_is_in_the_path_and_the_key_in_a_header() {
    let version = |version: &str| endpoint().with_api_version(version).expect("valid");
    let cases = [
        (
            endpoint(),
            "gemini-9-pro",
            false,
            "https://example.test/v1beta/models/gemini-9-pro:generateContent",
        ),
        (
            endpoint(),
            "models/gemini-9",
            true,
            "https://example.test/v1beta/models/gemini-9:streamGenerateContent?alt=sse",
        ),
        (
            version("v1"),
            "a/../b?c#ä",
            false,
            "https://example.test/v1/models/a%2F..%2Fb%3Fc%23%C3%A4:generateContent",
        ),
        (
            vertex(),
            "g",
            false,
            "https://x-aiplatform.googleapis.com/v1/projects/p/locations/x/publishers/google/models/g:generateContent",
        ),
    ];
    for (server, model, stream, url) in cases {
        let sent = encode(&server, Call { request: &hello(), model, stream }).expect("valid").request;
        assert_eq!((sent.method().as_str(), sent.uri().to_string().as_str()), ("POST", url));
        assert_eq!(sent.headers()["x-goog-api-key"], "top-secret");
        assert!(!format!("{sent:?}").contains("top-secret"));
    }
}

#[test]
fn settings() {
    let schema = || Schema::new(raw(r#"{"type":"object"}"#));
    let cases = [
        (hello(), said("")),
        (hello().system("Be brief."), said(r#""systemInstruction":{"parts":[{"text":"Be brief."}]}"#)),
        (
            with(hello(), |r| r.system = vec![Text::new("a"), Text { extra: extra(&[("n", "1")]), ..Text::new("b") }]),
            said(r#""systemInstruction":{"parts":[{"text":"a"},{"text":"b","n":1}]}"#),
        ),
        (
            with(hello().max_output_tokens(9).temperature(0.5).top_p(0.25).stop("A").stop("B"), |r| {
                r.sampling.top_k = Some(3);
                r.sampling.seed = Some(-4);
                r.sampling.presence_penalty = Some(1.5);
                r.sampling.frequency_penalty = Some(-0.5);
            }),
            set(r#""maxOutputTokens":9,"temperature":0.5,"topP":0.25,"topK":3,"seed":-4,"presencePenalty":1.5,
                "frequencyPenalty":-0.5,"stopSequences":["A","B"]"#),
        ),
        (with(hello(), |r| r.logprobs = Some(0)), set(r#""responseLogprobs":true"#)),
        (with(hello(), |r| r.logprobs = Some(3)), set(r#""responseLogprobs":true,"logprobs":3"#)),
        (hello().output(OutputFormat::Text), set(r#""responseMimeType":"text/plain""#)),
        (hello().output(OutputFormat::JsonObject), set(r#""responseMimeType":"application/json""#)),
        (
            hello().output(OutputFormat::JsonSchema(schema())),
            set(r#""responseMimeType":"application/json","responseJsonSchema":{"type":"object"}"#),
        ),
        // In Google's own language it goes back in that.
        (
            hello().output(OutputFormat::JsonSchema(Schema { extra: extra(&[("responseSchema", r#"{"type":"OBJECT"}"#)]), ..schema() })),
            set(r#""responseMimeType":"application/json","responseSchema":{"type":"OBJECT"}"#),
        ),
        // An enum, and a schema of what is not said to be JSON.
        (
            hello().extra(DIALECT, "generationConfig", raw(r#"{"responseSchema":{"type":"STRING","enum":["a"]},"responseMimeType":"text/x.enum"}"#)),
            set(r#""responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a"]}"#),
        ),
        (
            hello().extra(DIALECT, "generationConfig", raw(r#"{"responseJsonSchema":{}}"#)),
            set(r#""responseJsonSchema":{}"#),
        ),
        (
            hello().temperature(0.5).extra(
                DIALECT,
                "generationConfig",
                raw(r#"{"candidateCount":2,"responseModalities":["TEXT"],"speechConfig":{"languageCode":"de"}}"#),
            ),
            set(r#""temperature":0.5,"candidateCount":2,"responseModalities":["TEXT"],"speechConfig":{"languageCode":"de"}"#),
        ),
        (
            with(hello(), |r| r.safety = vec![SafetySetting { category: "C".into(), threshold: "OFF".into() }]),
            said(r#""safetySettings":[{"category":"C","threshold":"OFF"}]"#),
        ),
        // Vertex knows a third field.
        (
            hello().extra(DIALECT, "safetySettings", raw(r#"[{"category":"C","threshold":"OFF","method":"SEVERITY"}]"#)),
            said(r#""safetySettings":[{"category":"C","threshold":"OFF","method":"SEVERITY"}]"#),
        ),
        (
            hello().extra(DIALECT, "cachedContent", raw("\"cachedContents/7\"")).extra(DIALECT, "store", raw("false")),
            said(r#""cachedContent":"cachedContents/7","store":false"#),
        ),
    ];
    for (request, body) in cases {
        same(&request, &body);
    }
    for (tier, word) in [
        (ServiceTier::Auto, "unspecified"),
        (ServiceTier::Standard, "standard"),
        (ServiceTier::Flex, "flex"),
        (ServiceTier::Priority, "priority"),
        (ServiceTier::Other("gold".to_owned()), "gold"),
    ] {
        same(&with(hello(), |r| r.service_tier = Some(tier)), &said(&format!(r#""serviceTier":"{word}""#)));
    }
}

#[test]
fn every_way_of_thinking() {
    use ThinkingMode::{Adaptive, Budget, Off};
    let auto = Some(Summary::Auto);
    let cases = [
        (thinks(Some(Off), None, None), r#""thinkingBudget":0"#),
        (thinks(Some(Adaptive), None, auto), r#""includeThoughts":true,"thinkingBudget":-1"#),
        (
            thinks(Some(Budget(2048)), None, Some(Summary::Omitted)),
            r#""includeThoughts":false,"thinkingBudget":2048"#,
        ),
        (thinks(None, Some(Effort::Minimal), None), r#""thinkingLevel":"MINIMAL""#),
        (thinks(None, Some(Effort::Low), None), r#""thinkingLevel":"LOW""#),
        (thinks(None, Some(Effort::Medium), None), r#""thinkingLevel":"MEDIUM""#),
        (thinks(None, Some(Effort::High), auto), r#""includeThoughts":true,"thinkingLevel":"HIGH""#),
        (thinks(None, None, auto), r#""includeThoughts":true"#),
        // Levels that only some models know go as they came, and so does what Gemini will refuse.
        (
            besides(thinks(None, None, None), extra(&[("thinkingLevel", "\"XHIGH\"")])),
            r#""thinkingLevel":"XHIGH""#,
        ),
        (
            besides(thinks(Some(Budget(7)), None, None), extra(&[("thinkingLevel", "\"LOW\"")])),
            r#""thinkingBudget":7,"thinkingLevel":"LOW""#,
        ),
        (besides(thinks(None, None, None), extra(&[("new", "1")])), r#""new":1"#),
    ];
    for (reasoning, body) in cases {
        same(&hello().reasoning(reasoning), &set(&format!(r#""thinkingConfig":{{{body}}}"#)));
    }
    // Not to think at all is said by effort in other dialects.
    let none = hello().reasoning(Reasoning::effort(Effort::None));
    assert_eq!(write(&none)["generationConfig"]["thinkingConfig"], json!({"thinkingBudget": 0}));
}

#[test]
fn tools() {
    let full = Function {
        extra: extra(&[("response", "{}"), ("parameters", r#"{"type":"OBJECT"}"#)]),
        ..function("g").describe("does g")
    };
    let nothing = Function::new("h", empty_schema());
    let request = hello()
        .tool(Tool::Provider(opaque(DIALECT, r#"{"googleSearch":{}}"#)))
        .tool(function("f"))
        .tool(full)
        .tool(nothing)
        .tool(Tool::Provider(opaque(DIALECT, r#"{"codeExecution":{}}"#)));
    let body = said(
        r#""tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}},
            {"name":"g","description":"does g","response":{},"parameters":{"type":"OBJECT"}},{"name":"h"}]},{"codeExecution":{}}]"#,
    );
    same(&request, &body);

    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let choices = [
        (ToolChoice::Auto, r#"{"mode":"AUTO"}"#),
        (ToolChoice::None, r#"{"mode":"NONE"}"#),
        (ToolChoice::Required, r#"{"mode":"ANY"}"#),
        (ToolChoice::Named("f".into()), r#"{"mode":"ANY","allowedFunctionNames":["f"]}"#),
        (
            ToolChoice::Allowed { required: true, names: names(&["f", "g"]) },
            r#"{"mode":"ANY","allowedFunctionNames":["f","g"]}"#,
        ),
        (
            ToolChoice::Allowed { required: false, names: names(&["f"]) },
            r#"{"mode":"VALIDATED","allowedFunctionNames":["f"]}"#,
        ),
        (ToolChoice::Opaque(opaque(DIALECT, r#"{"mode":"VALIDATED"}"#)), r#"{"mode":"VALIDATED"}"#),
        (
            ToolChoice::Opaque(opaque(DIALECT, r#"{"mode":"AUTO","streamFunctionCallArguments":true}"#)),
            r#"{"mode":"AUTO","streamFunctionCallArguments":true}"#,
        ),
    ];
    let tool =
        r#""tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}]"#;
    for (choice, config) in choices {
        let request = hello().tool(function("f")).tool_choice(choice);
        same(&request, &said(&format!(r#"{tool},"toolConfig":{{"functionCallingConfig":{config}}}"#)));
        let more = request.extra(DIALECT, "toolConfig", raw(r#"{"includeServerSideToolInvocations":true}"#));
        let body = format!(
            r#"{tool},"toolConfig":{{"functionCallingConfig":{config},"includeServerSideToolInvocations":true}}"#
        );
        same(&more, &said(&body));
    }
    // Without tools none is called.
    assert_eq!(write(&hello().tool_choice(ToolChoice::None)).get("toolConfig"), None);
}

#[test]
fn calls_and_results_with_their_signatures() {
    let call = |id: &str, name: &str, args: &str| ToolCall::new(id, name, args);
    let request = hello()
        .message(assistant(vec![
            Block::Thinking(Thinking::new("hm")),
            Block::Thinking(Thinking { signature: signed(DIALECT), ..Thinking::new("so") }),
            Block::text("plain"),
            Block::Text(Text { signature: signed(DIALECT), ..Text::new("signed") }),
            own(r#"{"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"s"}"#),
            own(r#"{"toolCall":{"id":"7","toolType":"X"}}"#),
            Block::ToolCall(ToolCall {
                signature: signed(DIALECT),
                ..call("gemini__0", "f", r#"{"x":12345678901234567890}"#)
            }),
            Block::ToolCall(ToolCall { extra: extra(&[("n", "1")]), ..call("own", "g", "{}") }),
            Block::Text(Text { signature: signed(DIALECT), ..Text::default() }),
        ]))
        .message(user(vec![
            Block::ToolResult(ToolResult::new("gemini__0", r#"{"y":2}"#)),
            Block::ToolResult(ToolResult {
                content: vec![
                    Block::text(r#"{"result":"fine"}"#),
                    Block::Image(Media::inline("image/png", vec![0_u8])),
                ],
                extra: extra(&[("scheduling", "\"SILENT\"")]),
                ..ToolResult::new("own", "")
            }),
            // Their calls are not in this conversation.
            Block::ToolResult(ToolResult {
                extra: extra(&[("name", "\"other\"")]),
                ..ToolResult::new("gone", "{}")
            }),
            Block::ToolResult(ToolResult {
                extra: extra(&[("name", "\"f\"")]),
                ..ToolResult::new("gemini__1", "{}")
            }),
        ]));
    let body = went_on(
        r#"{"role":"model","parts":[
            {"text":"hm","thought":true},{"text":"so","thought":true,"thoughtSignature":"sig"},
            {"text":"plain"},{"text":"signed","thoughtSignature":"sig"},
            {"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"s"},
            {"toolCall":{"id":"7","toolType":"X"}},
            {"functionCall":{"name":"f","args":{"x":12345678901234567890}},"thoughtSignature":"sig"},
            {"functionCall":{"id":"own","name":"g","args":{},"n":1}},
            {"text":"","thoughtSignature":"sig"}]},
        {"role":"user","parts":[
            {"functionResponse":{"name":"f","response":{"y":2}}},
            {"functionResponse":{"id":"own","name":"g","response":{"result":"fine"},"parts":[
                {"inlineData":{"mimeType":"image/png","data":"AA=="}}],"scheduling":"SILENT"}},
            {"functionResponse":{"id":"gone","name":"other","response":{}}},
            {"functionResponse":{"name":"f","response":{}}}]}"#,
    );
    same(&request, &body);
}

#[test]
fn tool_results_are_objects() {
    let result = |texts: &[&str], is_error: bool| {
        let content = texts.iter().map(|text| Block::text(*text)).collect();
        let result = ToolResult { content, is_error, ..ToolResult::new("c", "") };
        let call = Block::ToolCall(ToolCall::new("c", "f", ""));
        let request = hello().message(assistant(vec![call])).message(user(vec![Block::ToolResult(result)]));
        write(&request).pointer("/contents/2/parts/0/functionResponse").cloned()
    };
    let cases = [
        (&["{\"y\":2}"][..], false, json!({"y": 2})),
        (&["fine"], false, json!({"result": "fine"})),
        (&["7"], false, json!({"result": "7"})),
        (&["[1]", "2"], false, json!({"result": [[1], "2"]})),
        (&["{\"y\":"], false, json!({"result": "{\"y\":"})),
        (&[], false, json!({"result": ""})),
        (&["broken"], true, json!({"error": "broken"})),
        (&["{\"y\":2}"], true, json!({"error": {"y": 2}})),
    ];
    for (texts, is_error, response) in cases {
        assert_eq!(result(texts, is_error), Some(json!({"id": "c", "name": "f", "response": response})));
    }
}

#[test]
fn turns_and_media() {
    let google = "https://generativelanguage.googleapis.com/v1beta/files/7";
    let file = |id: &str| MediaSource::File { dialect: DIALECT, id: id.to_owned() };
    let kind = |kind: &str, media: Media| Media { media_type: Some(kind.to_owned()), ..media };
    let request = hello().assistant("Hi").message(Message {
        extra: extra(&[("n", "1")]),
        ..user(vec![
            Block::Image(Media::inline("image/png", vec![0_u8, 255])),
            Block::Audio(Media { title: Some("T".into()), ..Media::inline("audio/wav", vec![1_u8]) }),
            Block::Document(kind("application/pdf", Media::url("https://x.test/a.pdf"))),
            Block::Image(kind("image/png", Media { source: file(google), ..Media::url("") })),
            Block::Document(Media { source: file("gs://b/a"), title: Some("T".into()), ..Media::url("") }),
            Block::Document(Media {
                extra: extra(&[("videoMetadata", r#"{"fps":1}"#)]),
                ..kind("video/mp4", Media::url("https://youtu.be/x"))
            }),
            own(r#"{"inlineData":{"mimeType":"image/png","data":"AA=="},"thoughtSignature":"s"}"#),
            own(r#"{"fileData":{"fileUri":"u","new":1}}"#),
            Block::Text(Text { extra: extra(&[("partMetadata", "{}")]), ..Text::new("?") }),
        ])
    });
    let body = went_on(&format!(
        r#"{{"role":"model","parts":[{{"text":"Hi"}}]}},{{"role":"user","n":1,"parts":[
            {{"inlineData":{{"mimeType":"image/png","data":"AP8="}}}},
            {{"inlineData":{{"mimeType":"audio/wav","data":"AQ==","displayName":"T"}}}},
            {{"fileData":{{"mimeType":"application/pdf","fileUri":"https://x.test/a.pdf"}}}},
            {{"fileData":{{"mimeType":"image/png","fileUri":"{google}"}}}},
            {{"fileData":{{"fileUri":"gs://b/a","displayName":"T"}}}},
            {{"fileData":{{"mimeType":"video/mp4","fileUri":"https://youtu.be/x"}},"videoMetadata":{{"fps":1}}}},
            {{"inlineData":{{"mimeType":"image/png","data":"AA=="}},"thoughtSignature":"s"}},
            {{"fileData":{{"fileUri":"u","new":1}}}},
            {{"text":"?","partMetadata":{{}}}}]}}"#
    ));
    same(&request, &body);
}
