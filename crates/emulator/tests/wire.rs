//! What goes over the wire, read with a client that knows nothing of the
//! emulator: each dialect, whole and streamed, good and bad.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers as well")]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use leverframe_emulator::{CallEnd, Emulator, Fault, Finish, Provider, Step};
use serde_json::{Value, json};

/// The path and the minimal body of a call.
fn call(provider: Provider, streamed: bool) -> (String, Value) {
    let message = json!([{"role": "user", "content": "Hello"}]);
    match provider {
        Provider::Anthropic => (
            "/v1/messages".to_owned(),
            json!({"model": "m", "max_tokens": 9, "stream": streamed, "messages": message}),
        ),
        Provider::OpenAi => (
            "/chat/completions".to_owned(),
            json!({"model": "m", "stream": streamed, "messages": message, "stream_options": {"include_usage": true}}),
        ),
        Provider::Gemini => {
            let operation = if streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
            (format!("/v1beta/models/m:{operation}"), body)
        }
    }
}

fn request(emulator: &Emulator, provider: Provider, path: &str, body: String) -> Request<Full<Bytes>> {
    Request::post(format!("{}{path}", emulator.base_url(provider)))
        .header("x-api-key", "k")
        .header("anthropic-version", "2023-06-01")
        .header("authorization", "Bearer k")
        .header("x-goog-api-key", "k")
        .body(Full::new(Bytes::from(body)))
        .expect("a valid request")
}

async fn send(http2: bool, request: Request<Full<Bytes>>) -> (Response<()>, Result<String, String>) {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let (head, body) = client.request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    (Response::from_parts(head, ()), body.map_err(|error| error.to_string()))
}

async fn ask(
    emulator: &Emulator,
    provider: Provider,
    streamed: bool,
) -> (Response<()>, Result<String, String>) {
    let (path, body) = call(provider, streamed);
    send(false, request(emulator, provider, &path, body.to_string())).await
}

/// The JSON of each `data` line.
fn data(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn whole_answers_have_the_dialects_shape() {
    let emulator = Emulator::start().await.expect("starts");
    for (provider, text, finish, usage) in [
        (Provider::Anthropic, "/content/0/text", ("/stop_reason", "end_turn"), "/usage/output_tokens"),
        (
            Provider::Gemini,
            "/candidates/0/content/parts/0/text",
            ("/candidates/0/finishReason", "STOP"),
            "/usageMetadata/candidatesTokenCount",
        ),
        (
            Provider::OpenAi,
            "/choices/0/message/content",
            ("/choices/0/finish_reason", "stop"),
            "/usage/completion_tokens",
        ),
    ] {
        emulator.script_any(provider, [Step::text("one two")]);
        for http2 in [false, true] {
            let (path, body) = call(provider, false);
            let (head, body) = send(http2, request(&emulator, provider, &path, body.to_string())).await;
            let body: Value = serde_json::from_str(&body.expect("whole")).expect("JSON");
            assert_eq!(head.status(), StatusCode::OK);
            assert_eq!(head.headers()["content-type"], "application/json");
            assert_eq!(body.pointer(finish.0), Some(&json!(finish.1)), "{provider:?}");
            let said = body.pointer(text).and_then(Value::as_str).expect("text");
            match http2 {
                false => {
                    assert_eq!((said, body.pointer(usage)), ("one two", Some(&json!(2))), "{provider:?}")
                }
                true => assert!(said.ends_with("You said: Hello"), "the default text: {said}"),
            }
        }
    }
}

#[tokio::test]
async fn streams_have_the_dialects_events_and_line_ends() {
    let emulator = Emulator::start().await.expect("starts");
    for provider in Provider::ALL {
        emulator.always(provider, Step::text("one two"));
        let (head, body) = ask(&emulator, provider, true).await;
        assert_eq!(head.headers()["content-type"], "text/event-stream");
        let body = body.expect("whole");
        let events = data(&body);
        match provider {
            Provider::Anthropic => {
                let kinds: Vec<_> =
                    events.iter().map(|event| event["type"].as_str().expect("typed")).collect();
                let expected = [
                    "message_start",
                    "content_block_start",
                    "ping",
                    "content_block_delta",
                    "content_block_delta",
                    "content_block_stop",
                    "message_delta",
                    "message_stop",
                ];
                assert_eq!(kinds, expected);
                assert!(kinds.iter().all(|kind| body.contains(&format!("event: {kind}\n"))));
                assert!(head.headers().contains_key("request-id"));
                assert!(head.headers().contains_key("anthropic-ratelimit-requests-remaining"));
            }
            Provider::Gemini => {
                assert!(body.contains("\r\n\r\n") && !body.replace("\r\n", "").contains('\n'));
                assert_eq!(events.last().expect("events")["candidates"][0]["finishReason"], "STOP");
                assert_eq!(events.last().expect("events")["usageMetadata"]["candidatesTokenCount"], 2);
            }
            Provider::OpenAi => {
                assert!(body.ends_with("data: [DONE]\n\n"));
                assert_eq!(events.last().expect("events")["choices"], json!([]));
                assert_eq!(events.last().expect("events")["usage"]["completion_tokens"], 2);
                assert!(head.headers().contains_key("x-request-id"));
            }
        }
    }
}

#[tokio::test]
async fn gemini_without_alt_sse_streams_one_array() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Provider::Gemini, Step::text("one two"));
    let (_, body) = call(Provider::Gemini, true);
    let path = "/v1beta/models/m:streamGenerateContent";
    let (_, body) = send(false, request(&emulator, Provider::Gemini, path, body.to_string())).await;
    let chunks: Vec<Value> = serde_json::from_str(&body.expect("whole")).expect("an array");
    assert_eq!(chunks.len(), 3);
}

#[tokio::test]
async fn openai_reports_usage_on_streams_only_if_asked() {
    let emulator = Emulator::start().await.expect("starts");
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let request = request(&emulator, Provider::OpenAi, "/chat/completions", body.to_string());
    let (_, body) = send(false, request).await;
    assert!(!body.expect("whole").contains("usage"));
}

#[tokio::test]
async fn faults_have_the_providers_status_and_body() {
    let emulator = Emulator::start().await.expect("starts");
    let limited = Fault::RateLimited { retry_after_seconds: Some(7) };
    let cases = [
        (Fault::Overloaded, [529, 503, 503], ["overloaded_error", "UNAVAILABLE", "server_is_overloaded"]),
        (limited, [429; 3], ["rate_limit_error", "\"7s\"", "rate_limit_exceeded"]),
        (Fault::QuotaExhausted, [429; 3], ["enforced_spend_limit_reached", "PerDay", "insufficient_quota"]),
        (Fault::Server, [500; 3], ["api_error", "INTERNAL", "server_error"]),
        (
            Fault::Authentication,
            [401, 400, 401],
            ["authentication_error", "API_KEY_INVALID", "invalid_api_key"],
        ),
        (Fault::Permission, [403; 3], ["permission_error", "PERMISSION_DENIED", "insufficient_permissions"]),
        (Fault::ModelNotFound, [404; 3], ["not_found_error", "NOT_FOUND", "model_not_found"]),
        (
            Fault::ContextLength,
            [400; 3],
            ["prompt is too long", "exceeds the maximum", "context_length_exceeded"],
        ),
        (Fault::InvalidRequest, [400; 3], ["invalid_request_error", "INVALID_ARGUMENT", "invalid_type"]),
    ];
    for (fault, statuses, words) in cases {
        for (nth, provider) in Provider::ALL.into_iter().enumerate() {
            emulator.script_any(provider, [Step::fault(fault)]);
            let (head, body) = ask(&emulator, provider, true).await;
            assert_eq!(head.status().as_u16(), statuses[nth], "{provider:?} {fault:?}");
            let body = body.expect("whole");
            assert!(body.contains(words[nth]), "{provider:?} {fault:?}: {body}");
            let hinted = fault == limited && provider != Provider::Gemini;
            assert_eq!(head.headers().get("retry-after").is_some(), hinted, "{provider:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn calls_the_provider_would_refuse_are_refused_in_its_words() {
    let emulator = Emulator::start().await.expect("starts");
    for provider in Provider::ALL {
        let (path, body) = call(provider, false);
        let good = request(&emulator, provider, &path, body.to_string());
        let (mut keyless, _) = good.into_parts();
        for name in ["x-api-key", "authorization", "x-goog-api-key"] {
            keyless.headers.remove(name);
        }
        let keyless = Request::from_parts(keyless, Full::new(Bytes::from(body.to_string())));
        let denied = if provider == Provider::Gemini { 403 } else { 401 };
        for (request, status) in [
            (keyless, denied),
            (request(&emulator, provider, &path, "not JSON".to_owned()), 400),
            (request(&emulator, provider, &path, "{}".to_owned()), 400),
            (request(&emulator, provider, "/nowhere", body.to_string()), 404),
        ] {
            let (head, body) = send(false, request).await;
            assert_eq!(head.status().as_u16(), status, "{provider:?}");
            let body: Value = serde_json::from_str(&body.expect("whole")).expect("JSON");
            assert!(body["error"]["message"].is_string(), "{provider:?}: {body}");
        }
    }
}

#[tokio::test]
async fn interruptions_are_real() {
    let emulator = Emulator::start().await.expect("starts");
    for provider in Provider::ALL {
        let words = Step::text("one two three four");
        emulator.script_any(
            provider,
            [words.clone().close_after(2), words.clone().end_after(2), words.malformed_after(1)],
        );
        let (_, closed) = ask(&emulator, provider, true).await;
        closed.expect_err("the connection broke inside the body");
        let (_, ended) = ask(&emulator, provider, true).await;
        let ended = ended.expect("a body with a proper end");
        assert!(ended.contains("two") && !ended.contains("three"), "{ended}");
        let (_, malformed) = ask(&emulator, provider, true).await;
        assert!(malformed.expect("whole").contains("{\"del\n"));
    }
}

#[tokio::test]
async fn other_finish_reasons_and_tool_calls_are_said_in_the_dialects_words() {
    let emulator = Emulator::start().await.expect("starts");
    for (provider, length, tool) in [
        (Provider::Anthropic, "\"max_tokens\"", "\"tool_use\""),
        (Provider::Gemini, "\"MAX_TOKENS\"", "\"functionCall\""),
        (Provider::OpenAi, "\"length\"", "\"tool_calls\""),
    ] {
        for streamed in [false, true] {
            emulator.script_any(
                provider,
                [Step::ok().finish(Finish::Length), Step::tool_call("f", "{\"a\": 1}")],
            );
            for word in [length, tool] {
                let (_, body) = ask(&emulator, provider, streamed).await;
                let body = body.expect("whole");
                assert!(body.contains(word), "{provider:?}: {word} in {body}");
            }
        }
    }
}

#[tokio::test]
async fn calls_are_kept_with_how_they_ended() {
    let emulator = Emulator::start().await.expect("starts");
    ask(&emulator, Provider::OpenAi, false).await.1.expect("whole");
    let calls = emulator.calls();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.provider, call.model.as_str(), call.streamed), (Provider::OpenAi, "m", false));
    assert_eq!((call.end, call.header("authorization")), (Some(CallEnd::Answered), Some("Bearer k")));
    emulator.shutdown().await;
}
