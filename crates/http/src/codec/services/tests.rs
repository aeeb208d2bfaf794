use leverframe_core::model::{Effort, Function, Json, OutputFormat, Reasoning, Schema, Tool};
use secrecy::SecretString;

use super::*;

fn endpoint(dialect: Dialect, base: &str) -> Endpoint {
    Endpoint::new(dialect, base, SecretString::from("test-key")).expect("valid")
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

/// A request with something in every field that is and is not counted.
fn request() -> Request {
    let schema = Schema::new(json(r#"{"type":"object"}"#));
    let mut request = Request::new("ignored")
        .system("Be brief.")
        .user("Hello")
        .max_output_tokens(900)
        .temperature(0.5)
        .top_p(0.9)
        .stop("END")
        .output(OutputFormat::JsonSchema(schema))
        .reasoning(Reasoning::effort(Effort::High))
        .losses(leverframe_core::model::Losses::Allow);
    request.user = Some("somebody".to_owned());
    request.tools.push(Tool::from(Function::new("f", json(r#"{"type":"object"}"#))));
    request
}

/// The path and the names of the fields of the request to count.
fn counted(endpoint: &Endpoint) -> (String, Value) {
    let encoded = encode_count(endpoint, &request(), "models/m").expect("encodes").expect("has an endpoint");
    let body = serde_json::from_slice(encoded.request.body()).expect("JSON");
    (encoded.request.uri().path().to_owned(), body)
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn what_is_counted_is_the_prompt_and_nothing_of_the_answer() {
    let (path, body) = counted(&endpoint(Dialect::Anthropic, "http://x"));
    assert_eq!(path, "/v1/messages/count_tokens");
    assert_eq!(names(&body), ["messages", "model", "output_config", "system", "tools"]);

    let (path, body) = counted(&endpoint(Dialect::OpenAiResponses, "http://x/v1"));
    assert_eq!(path, "/v1/responses/input_tokens");
    assert_eq!(names(&body), ["input", "instructions", "model", "reasoning", "text", "tools"]);

    assert!(
        encode_count(&endpoint(Dialect::OpenAiChat, "http://x"), &request(), "m").expect("encodes").is_none()
    );
}

#[test]
fn gemini_counts_a_whole_request_and_vertex_its_fields() {
    let (path, body) = counted(&endpoint(Dialect::Gemini, "http://x"));
    assert_eq!(path, "/v1beta/models/m:countTokens");
    assert_eq!(names(&body), ["generateContentRequest"]);
    let whole = &body["generateContentRequest"];
    assert_eq!(whole["model"], "models/m");
    assert_eq!(names(whole), ["contents", "generationConfig", "model", "systemInstruction", "tools"]);
    assert_eq!(names(&whole["generationConfig"]), ["responseJsonSchema", "responseMimeType"]);

    let base = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google";
    let vertex = endpoint(Dialect::Gemini, base).with_api_version("").expect("valid");
    let (path, body) = counted(&vertex);
    assert_eq!(path, "/v1/projects/p/locations/l/publishers/google/models/m:countTokens");
    assert_eq!(names(&body), ["contents", "generationConfig", "systemInstruction", "tools"]);
}

#[test]
fn the_headers_are_those_of_the_request_itself() {
    let endpoint = endpoint(Dialect::Anthropic, "http://x");
    let request = request().extra(Dialect::Anthropic, "betas", json(r#"["files-api-2025-04-14"]"#));
    let counting = encode_count(&endpoint, &request, "m").expect("encodes").expect("has one").request;
    assert_eq!(counting.headers()["anthropic-beta"], "files-api-2025-04-14");
    assert_eq!(counting.headers()["x-api-key"], "test-key");
    let listing = encode_models(&endpoint, None).expect("encodes");
    assert_eq!(listing.headers()["anthropic-version"], counting.headers()["anthropic-version"]);
    assert_eq!(listing.method(), Method::GET);
}

#[test]
fn counts_are_read_and_errors_are_classified() {
    let read = |dialect, body: &str| decode_count(dialect, &HeaderMap::new(), body.as_bytes());
    for (dialect, body, tokens) in [
        (Dialect::Anthropic, r#"{"input_tokens":671}"#, 671),
        (Dialect::Gemini, r#"{"totalTokens":13,"totalBillableCharacters":47}"#, 13),
        (Dialect::OpenAiResponses, r#"{"input_tokens":51,"object":"response.input_tokens"}"#, 51),
    ] {
        assert_eq!(read(dialect, body), Ok(tokens));
        for wrong in ["", "{}", "[]", "null", r#"{"input_tokens":-1,"totalTokens":"x"}"#, "<html>"] {
            let failure = read(dialect, wrong).expect_err(wrong);
            assert_eq!(failure.kind, ErrorKind::Unreadable, "{wrong}");
        }
    }
    let error = r#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let failure = read(Dialect::OpenAiResponses, error).expect_err("an error");
    assert_eq!(failure.kind, ErrorKind::RateLimited);
}

#[test]
fn pages_are_asked_for_by_what_the_last_one_said() {
    for (dialect, first, second) in [
        (Dialect::Anthropic, "/v1/models?limit=1000", "/v1/models?limit=1000&after_id=a%2Fb%26c"),
        (Dialect::Gemini, "/v1beta/models?pageSize=1000", "/v1beta/models?pageSize=1000&pageToken=a%2Fb%26c"),
        (Dialect::OpenAiChat, "/models", "/models"),
        (Dialect::OpenAiResponses, "/models", "/models"),
    ] {
        let endpoint = endpoint(dialect, "http://x");
        for (page, path) in [(None, first), (Some("a/b&c"), second)] {
            let request = encode_models(&endpoint, page).expect("encodes");
            assert_eq!(request.uri().path_and_query().map(|path| path.as_str()), Some(path));
        }
    }
}

#[test]
fn where_there_is_no_list_the_failure_says_so() {
    let azure = "https://me.openai.azure.com/openai/deployments/{model}";
    let vertex = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google";
    for (dialect, base) in [(Dialect::OpenAiChat, azure), (Dialect::Gemini, vertex)] {
        let failure = encode_models(&endpoint(dialect, base), None).expect_err(base);
        assert_eq!(failure.kind, ErrorKind::Unsupported);
    }
}

fn listed(dialect: Dialect, body: &str) -> ModelPage {
    decode_models(dialect, &HeaderMap::new(), body.as_bytes()).expect(body)
}

#[test]
fn models_are_read_as_far_as_they_are_described() {
    let page = listed(
        Dialect::Anthropic,
        r#"{"data":[{"type":"model","id":"c1","display_name":"C One","created_at":"2026-02-01T00:00:00Z",
            "max_input_tokens":1000000,"max_tokens":128000},
            {"id":"c2","created_at":"1970-01-01T00:00:00Z","max_tokens":0}],"has_more":true,"last_id":"c2"}"#,
    );
    let [first, second] = page.models.as_slice() else { panic!("{page:?}") };
    assert_eq!((first.id.as_str(), first.display_name.as_deref()), ("c1", Some("C One")));
    assert_eq!((first.context_window, first.max_output), (Some(1_000_000), Some(128_000)));
    assert_eq!(first.created.map(Timestamp::unix_millis), Some(1_769_904_000_000));
    assert_eq!(*second, ModelInfo::new("c2"));
    assert_eq!(page.next.as_deref(), Some("c2"));

    let page = listed(
        Dialect::Gemini,
        r#"{"models":[{"name":"models/g","displayName":"G","inputTokenLimit":9,"outputTokenLimit":8}],
            "nextPageToken":"t"}"#,
    );
    let mut expected = ModelInfo::new("g");
    (expected.display_name, expected.context_window, expected.max_output) =
        (Some("G".to_owned()), Some(9), Some(8));
    assert_eq!(page, ModelPage { models: vec![expected], next: Some("t".to_owned()) });
    assert_eq!(listed(Dialect::Gemini, "{}"), ModelPage::default());
}

#[test]
fn lists_of_compatible_servers_are_tolerated() {
    let read = |body: &str| listed(Dialect::OpenAiChat, body).models;
    let window = |body: &str| {
        let list = read(&format!(r#"{{"data":[{body}]}}"#));
        list.first().map(|model| (model.context_window, model.max_output))
    };
    for (body, limits) in [
        (r#"{"id":"gpt","object":"model","created":1,"owned_by":"openai"}"#, (None, None)),
        (r#"{"id":"or","context_length":7,"top_provider":{"max_completion_tokens":3}}"#, (Some(7), Some(3))),
        (r#"{"id":"groq","context_window":7,"max_completion_tokens":3}"#, (Some(7), Some(3))),
        (r#"{"id":"mistral","max_context_length":7}"#, (Some(7), None)),
        (r#"{"id":"vllm","max_model_len":7,"created":"soon","owned_by":null}"#, (Some(7), None)),
        (r#"{"id":"odd","context_length":"7","created":-1.5,"top_provider":[]}"#, (None, None)),
    ] {
        assert_eq!(window(body), Some(limits), "{body}");
    }
    for nothing in ["{}", r#"{"id":""}"#, r#"{"id":7}"#, "null", "[]"] {
        assert_eq!(window(nothing), None);
    }
    assert!(read(r#"{"object":"list","data":null}"#).is_empty());
    let [bare] = &*read(r#"[{"id":"together/m","created":1.5,"owned_by":"them","name":"M"}]"#) else {
        panic!("one model")
    };
    assert_eq!(bare.created.map(Timestamp::unix_millis), Some(1500));
    assert_eq!((bare.owned_by.as_deref(), bare.display_name.as_deref()), (Some("them"), Some("M")));
}

#[test]
fn what_is_no_list_is_unreadable() {
    for dialect in Dialect::ALL {
        for body in ["", "7", "<html>", r#"{"data":7,"models":7}"#, r#"{"object":"list"}"#] {
            let failure = decode_models(dialect, &HeaderMap::new(), body.as_bytes()).expect_err(body);
            assert_eq!(failure.kind, ErrorKind::Unreadable, "{dialect}: {body}");
        }
        assert!(decode_models(dialect, &HeaderMap::new(), &[0xff]).is_err());
    }
}
