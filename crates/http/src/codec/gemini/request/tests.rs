//! Tests of the file beside this folder.

use leverframe_core::error::ErrorKind;
use leverframe_core::model::{Json, Message, Opaque, Tool};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

fn try_encode(request: &Request, model: &str, stream: bool) -> Result<http::Request<Bytes>, Failure> {
    let base = "https://example.test/";
    let endpoint = Endpoint::new(Dialect::Gemini, base, SecretString::from("top-secret")).expect("valid");
    encode(&endpoint, Call { request, model, stream })
}

fn written(request: &Request) -> Value {
    let http = try_encode(request, "m", false).expect("expressible");
    serde_json::from_slice(http.body()).expect("JSON")
}

fn said(role: Role, content: Vec<Block>) -> Request {
    Request::new("m").message(Message { role, content })
}

fn call(id: &str, arguments: &str, signature: Option<&str>) -> Block {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Block::ToolCall(ToolCall { id, name, arguments, signature: signature.map(str::to_owned) })
}

fn result(call_id: &str, texts: &[&str], is_error: bool) -> Block {
    let content = texts.iter().map(|text| Block::Text((*text).to_owned())).collect();
    Block::ToolResult(ToolResult { call_id: call_id.to_owned(), content, is_error })
}

fn opaque(dialect: Dialect, json: &str) -> Block {
    Block::Opaque(Opaque { dialect, json: Json::parse(json).expect("JSON") })
}

#[test]
fn the_model_is_in_the_path_and_the_key_in_a_header() {
    let cases = [
        ("gemini-9-pro", false, "/v1beta/models/gemini-9-pro:generateContent"),
        ("models/gemini-9", true, "/v1beta/models/gemini-9:streamGenerateContent?alt=sse"),
        ("a/../b?c#ä", false, "/v1beta/models/a%2F..%2Fb%3Fc%23%C3%A4:generateContent"),
    ];
    for (model, stream, path) in cases {
        let http = try_encode(&Request::new("ignored").user("Hi"), model, stream).expect("expressible");
        assert_eq!(http.uri().to_string(), format!("https://example.test{path}"));
        assert_eq!(http.headers().get("x-goog-api-key").map(|key| key.as_bytes()), Some(&b"top-secret"[..]));
        assert!(!format!("{http:?}").contains("top-secret"));
    }
}

#[test]
fn a_conversation_with_all_settings() {
    let parameters = Json::parse(r#"{"type":"object"}"#).expect("JSON");
    let mut request = Request::new("m")
        .system("Be brief.")
        .user("Hi")
        .assistant("Hello")
        .user("Bye")
        .max_output_tokens(9)
        .temperature(0.5)
        .top_p(0.9)
        .stop("END")
        .tool(Tool { name: "f".into(), description: Some("does f".into()), parameters })
        .tool_choice(ToolChoice::Named("f".into()));
    request.sampling.top_k = Some(3);
    request.sampling.seed = Some(-4);
    request.sampling.presence_penalty = Some(1.0);
    request.sampling.frequency_penalty = Some(-1.0);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "user", "parts": [{"text": "Bye"}]},
        ],
        "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "topP": 0.9, "topK": 3, "seed": -4,
            "presencePenalty": 1.0, "frequencyPenalty": -1.0, "stopSequences": ["END"]},
        "tools": [{"functionDeclarations": [
            {"name": "f", "description": "does f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    });
    assert_eq!(written(&request), expected);
    let modes = [(ToolChoice::None, "NONE"), (ToolChoice::Required, "ANY")];
    for (choice, mode) in modes {
        let config = json!({"functionCallingConfig": {"mode": mode}});
        assert_eq!(written(&request.clone().tool_choice(choice)).get("toolConfig"), Some(&config));
    }
    assert_eq!(written(&Request::new("m").tool_choice(ToolChoice::None)).get("toolConfig"), None);
}

#[test]
fn tool_results_are_objects_and_made_up_ids_stay_here() {
    let request =
        said(Role::Assistant, vec![call("gemini_r_0", "{\"x\":1}", Some("s")), call("own", "", None)]);
    let answers = vec![
        result("gemini_r_0", &["{\"y\":2}"], false),
        result("own", &["fine"], false),
        result("own", &["[1]", "2"], false),
        result("own", &["broken"], true),
        result("own", &["{\"y\":"], false),
        result("own", &[], false),
    ];
    let written = written(&request.message(Message { role: Role::User, content: answers }));
    let own = |response: Value| json!({"functionResponse": {"id": "own", "name": "f", "response": response}});
    let expected = json!([
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"id": "own", "name": "f", "args": {}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"y": 2}}},
            own(json!({"result": "fine"})),
            own(json!({"result": [[1], "2"]})),
            own(json!({"error": "broken"})),
            own(json!({"result": "{\"y\":"})),
            own(json!({"result": ""})),
        ]},
    ]);
    assert_eq!(written.get("contents"), Some(&expected));
}

#[test]
fn media_goes_inline_or_by_address() {
    let inline = Media {
        media_type: Some("image/png".into()),
        source: MediaSource::Inline(Bytes::from_static(b"\0")),
    };
    let remote = Media { media_type: None, source: MediaSource::Url("https://x.test/a.pdf".into()) };
    let written = written(&said(Role::User, vec![Block::Image(inline), Block::Document(remote)]));
    let expected = json!([
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"fileData": {"fileUri": "https://x.test/a.pdf"}},
    ]);
    assert_eq!(written.pointer("/contents/0/parts"), Some(&expected));
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
        {"text": "", "thoughtSignature": "s5"},
    ]);
    let answer =
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    let response =
        super::super::response::decode(&http::HeaderMap::new(), &answer.to_string()).expect("an answer");
    let written = written(&said(Role::Assistant, response.content));
    assert_eq!(written.pointer("/contents/0/parts"), Some(&parts));
}

#[test]
fn what_cannot_be_said_names_the_field() {
    let picture =
        Block::Image(Media { media_type: None, source: MediaSource::Inline(Bytes::from_static(b"\0")) });
    let in_result = Block::ToolResult(ToolResult {
        call_id: "c".into(),
        content: vec![Block::Text("see".into()), picture.clone()],
        is_error: false,
    });
    let mut seeded = Request::new("m");
    seeded.sampling.seed = Some(1 << 40);
    let at = "messages[0].content[0]";
    let cases = [
        (said(Role::Assistant, vec![Block::Refusal("no".into())]), at),
        (said(Role::User, vec![picture]), at),
        (said(Role::Assistant, vec![opaque(Dialect::Anthropic, "{}")]), at),
        (said(Role::Assistant, vec![opaque(Dialect::Gemini, "[]")]), at),
        (said(Role::Assistant, vec![call("c", "{\"x\":", None)]), "messages[0].content[0].arguments"),
        (said(Role::Assistant, vec![call("c", "[]", None)]), "messages[0].content[0].arguments"),
        (said(Role::User, vec![result("c", &["x"], false)]), "messages[0].content[0].call_id"),
        (said(Role::User, vec![call("c", "", None), in_result]), "messages[0].content[1].content[1]"),
        (seeded, "seed"),
    ];
    for (request, field) in cases {
        let failure = try_encode(&request, "m", false).expect_err(field);
        assert_eq!(failure.kind, ErrorKind::Unsupported);
        assert!(failure.message.starts_with(&format!("{field}: ")), "{field}: {failure}");
    }
}
