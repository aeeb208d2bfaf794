//! What goes over the wire: each dialect, whole and streamed.

use super::client::{Api, ask, call, post, send, try_send};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use leverframe_emulator::{Emulator, Finish, Step};
use serde_json::{Value, json};

#[tokio::test]
async fn whole_answers_have_the_dialects_shape_over_both_versions_of_http() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, text, finish, usage) in [
        (Api::Messages, "/content/0/text", ("/stop_reason", "end_turn"), "/usage/output_tokens"),
        (
            Api::GenerateContent,
            "/candidates/0/content/parts/0/text",
            ("/candidates/0/finishReason", "STOP"),
            "/usageMetadata/candidatesTokenCount",
        ),
        (
            Api::Chat,
            "/choices/0/message/content",
            ("/choices/0/finish_reason", "stop"),
            "/usage/completion_tokens",
        ),
        (Api::Responses, "/output/0/content/0/text", ("/status", "completed"), "/usage/output_tokens"),
    ] {
        emulator.script_any(api.provider(), [Step::text("one two")]);
        for http2 in [false, true] {
            let (path, body) = call(api, false);
            let request = post(&emulator, api, &path).body(Full::new(Bytes::from(body.to_string())));
            let answer = try_send(http2, request.expect("valid")).await.expect("an answer");
            let body = answer.json();
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
            assert_eq!(body.pointer(finish.0), Some(&json!(finish.1)), "{api:?}");
            let said = body.pointer(text).and_then(Value::as_str).expect("text");
            match http2 {
                false => {
                    assert_eq!((said, body.pointer(usage)), ("one two", Some(&json!(2))), "{api:?}")
                }
                true => assert!(said.ends_with("You said: Hello"), "the default text: {said}"),
            }
        }
    }
}

#[tokio::test]
async fn anthropic_streams_typed_events() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Api::Messages.provider(), Step::tokens(["one ", "two"]));
    let answer = ask(&emulator, Api::Messages, true).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
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
    let events = answer.events();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("typed")).collect();
    let names: Vec<_> = answer.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((kinds.as_slice(), names), (expected.as_slice(), expected.to_vec()));
    assert_eq!(events[3]["delta"], json!({"type": "text_delta", "text": "one "}));
    assert_eq!(events[6]["usage"]["output_tokens"], 2);
    assert!(answer.body.contains("  }\n\n") && !answer.body.contains('\r'), "padded, LF: {}", answer.body);
}

#[tokio::test]
async fn gemini_streams_whole_answers_with_crlf() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Api::GenerateContent.provider(), Step::text("one two"));
    let answer = ask(&emulator, Api::GenerateContent, true).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(answer.body.ends_with("\r\n\r\n") && !answer.body.replace("\r\n", "").contains('\n'));
    let events = answer.events();
    assert_eq!(events.len(), 3);
    assert!(events[0]["usageMetadata"].get("candidatesTokenCount").is_none(), "not counted yet");
    let last = &events[2];
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let usage = &last["usageMetadata"];
    let (input, output) = (&usage["promptTokenCount"], &usage["candidatesTokenCount"]);
    assert_eq!(output, 2);
    assert_eq!(usage["totalTokenCount"].as_u64(), input.as_u64().map(|input| input + 2));
}

#[tokio::test]
async fn gemini_without_alt_sse_streams_one_array() {
    let emulator = Emulator::start().await.expect("starts");
    let (_, body) = call(Api::GenerateContent, true);
    for (step, status, length) in
        [(Step::text("one two"), 200, 3), (Step::refusal(), 200, 1), (Step::overloaded(), 503, 1)]
    {
        emulator.script_any(Api::GenerateContent.provider(), [step]);
        let request = post(&emulator, Api::GenerateContent, "/v1beta/models/m:streamGenerateContent");
        let answer = send(request, body.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, "application/json"));
        assert_eq!(answer.json().as_array().map(Vec::len), Some(length), "{}", answer.body);
    }
}

#[tokio::test]
async fn openai_streams_chunks_and_reports_usage_only_if_asked() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.always(Api::Chat.provider(), Step::text("one two"));
    let answer = ask(&emulator, Api::Chat, true).await;
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
    let events = answer.events();
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!(events[1]["choices"][0]["delta"], json!({"content": "one "}));
    assert_eq!(events[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[3]["usage"], Value::Null);
    assert_eq!(events[4]["choices"], json!([]));
    assert_eq!(events[4]["usage"]["completion_tokens"], 2);

    // Usage is not asked for.
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let answer = send(post(&emulator, Api::Chat, "/v1/chat/completions"), body.to_string()).await;
    assert!(answer.body.contains("obfuscation") && !answer.body.contains("usage"));
}

#[tokio::test]
async fn every_answer_has_the_providers_headers() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, always, never) in [
        (
            Api::Messages,
            [
                "request-id",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ]
            .as_slice(),
            "x-request-id",
        ),
        (
            Api::Chat,
            ["x-request-id", "x-ratelimit-remaining-requests", "x-ratelimit-reset-tokens"].as_slice(),
            "request-id",
        ),
        (Api::Responses, ["x-request-id", "x-ratelimit-remaining-tokens"].as_slice(), "request-id"),
        (Api::GenerateContent, ["server-timing"].as_slice(), "x-request-id"),
    ] {
        emulator
            .script_any(api.provider(), [Step::ok(), Step::overloaded(), Step::ok().header("X-Own", "1")]);
        let answers = [
            ask(&emulator, api, true).await,
            ask(&emulator, api, true).await,
            ask(&emulator, api, false).await,
            send(post(&emulator, api, "/nowhere"), "").await,
        ];
        for answer in &answers {
            let lacking = always.iter().find(|name| answer.header(name).is_empty());
            assert_eq!(lacking, None, "{api:?} {answer:?}");
            assert!(answer.header(never).is_empty());
        }
        assert_eq!(answers[2].header("x-own"), "1");
    }
}

#[tokio::test]
async fn other_finish_reasons_tool_calls_and_refusals_are_said_in_the_dialects_words() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, length, tool, refusal) in [
        (Api::Messages, "\"max_tokens\"", "\"tool_use\"", "\"refusal\""),
        (Api::GenerateContent, "\"MAX_TOKENS\"", "\"functionCall\"", "\"blockReason\""),
        (Api::Chat, "\"length\"", "\"tool_calls\"", "\"content_filter\""),
        (Api::Responses, "\"max_output_tokens\"}", "\"function_call\"", "\"content_filter\""),
    ] {
        for streamed in [false, true] {
            let call = Step::tool_call("f", "{\"a\": 1}");
            emulator.script_any(api.provider(), [Step::ok().finish(Finish::Length), call, Step::refusal()]);
            for word in [length, tool, refusal] {
                let answer = ask(&emulator, api, streamed).await;
                assert_eq!(answer.status, 200);
                assert!(answer.body.contains(word), "{api:?}: {word} in {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn thinking_comes_first_and_is_counted() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, thought, count) in [
        (Api::Messages, Some("\"thinking_delta\""), ["", "/usage/output_tokens"]),
        (
            Api::GenerateContent,
            Some("\"thought\":true"),
            ["/usageMetadata/thoughtsTokenCount", "/usageMetadata/candidatesTokenCount"],
        ),
        (Api::Chat, None, ["/usage/completion_tokens_details/reasoning_tokens", "/usage/completion_tokens"]),
        (
            Api::Responses,
            Some("response.reasoning_summary_text.delta"),
            ["/usage/output_tokens_details/reasoning_tokens", "/usage/output_tokens"],
        ),
    ] {
        emulator.always(api.provider(), Step::text("one two").thinking("three small words"));
        let streamed = ask(&emulator, api, true).await;
        let text = streamed.body.find("one ").expect("said");
        let at = thought.map(|thought| streamed.body.find(thought).expect("thought"));
        assert!(at.is_none_or(|at| at < text), "{api:?}: {}", streamed.body);
        let whole = ask(&emulator, api, false).await.json();
        let said = if api == Api::GenerateContent { 2 } else { 5 };
        assert_eq!(whole.pointer(count[1]), Some(&json!(said)), "{api:?}");
        if !count[0].is_empty() {
            assert_eq!(whole.pointer(count[0]), Some(&json!(3)), "{api:?}");
        }
    }
}

#[tokio::test]
async fn usage_can_be_said_to_be_anything() {
    let emulator = Emulator::start().await.expect("starts");
    for (api, counts) in [
        (Api::Messages, ["\"input_tokens\":700", "\"output_tokens\":80"]),
        (Api::GenerateContent, ["\"promptTokenCount\":700", "\"totalTokenCount\":780"]),
        (Api::Chat, ["\"prompt_tokens\":700", "\"total_tokens\":780"]),
        (Api::Responses, ["\"input_tokens\":700", "\"total_tokens\":780"]),
    ] {
        emulator.always(api.provider(), Step::text("one").usage(700, 80));
        for streamed in [false, true] {
            let body = ask(&emulator, api, streamed).await.body;
            assert!(counts.iter().all(|count| body.contains(count)), "{api:?}: {body}");
        }
    }
}

#[tokio::test]
async fn models_are_listed_and_others_are_not_found() {
    let mut builder = Emulator::builder();
    for api in [Api::Messages, Api::GenerateContent, Api::Chat] {
        builder = builder.models(api.provider(), ["known-1", "known-2"]);
    }
    let emulator = builder.start().await.expect("starts");
    for (api, path, first, status, says) in [
        (Api::Messages, "/v1/models", "/data/0/id", 404, "model: m"),
        (Api::GenerateContent, "/v1beta/models", "/models/0/name", 404, "models/m is not found"),
        (Api::Chat, "/v1/models", "/data/0/id", 404, "The model `m` does not exist"),
        (Api::Responses, "/v1/models", "/data/0/id", 400, "The requested model 'm' does not exist"),
    ] {
        let list = send(post(&emulator, api, path).method("GET"), "").await;
        let name = list.json().pointer(first).and_then(Value::as_str).map(str::to_owned);
        assert!(name.is_some_and(|name| name.ends_with("known-1")), "{}", list.body);
        let unknown = ask(&emulator, api, true).await;
        assert_eq!(unknown.status, status, "{api:?}");
        assert!(unknown.body.contains(says), "{}", unknown.body);
        let (path, body) = call(api, false);
        let (path, body) =
            (path.replace("/m:", "/known-2:"), body.to_string().replace("\"m\"", "\"known-2\""));
        assert_eq!(send(post(&emulator, api, &path), body).await.status, 200, "{api:?}");
    }
}

#[tokio::test]
async fn calls_the_provider_would_refuse_are_refused_in_its_words_and_take_no_step() {
    let emulator = Emulator::start().await.expect("starts");
    for api in Api::ALL {
        emulator.script_any(api.provider(), [Step::overloaded()]);
        let (path, body) = call(api, false);
        let without = |names: &[&str]| {
            let mut request = post(&emulator, api, &path);
            let headers = request.headers_mut().expect("valid");
            names.iter().for_each(|name| drop(headers.remove(*name)));
            request
        };
        let good = || without(&[]);
        let keys = ["x-api-key", "authorization", "x-goog-api-key"];
        let gemini = api == Api::GenerateContent;
        let version = if api == Api::Messages { 400 } else { 503 };
        for (what, request, body, status) in [
            ("no key", without(&keys), body.to_string(), if gemini { 403 } else { 401 }),
            ("not JSON", good(), "not JSON".to_owned(), 400),
            ("no fields", good(), "{}".to_owned(), 400),
            (
                "no messages",
                good(),
                body.to_string().replace("Hello", "").replace("[{", "[").replace("}]", "]"),
                400,
            ),
            ("no such path", post(&emulator, api, "/nowhere"), body.to_string(), 404),
            ("no such method", good().method("PUT"), body.to_string(), if gemini { 404 } else { 405 }),
            ("too large", good(), " ".repeat((32 << 20) + 1), 413),
            ("no version, and a step was left", without(&["anthropic-version"]), body.to_string(), version),
        ] {
            let answer = send(request, body).await;
            assert_eq!(answer.status.as_u16(), status, "{api:?}: {what}");
            assert!(answer.json()["error"]["message"].is_string(), "{api:?}: {what}: {}", answer.body);
        }
    }
    let (path, body) = call(Api::GenerateContent, false);
    let in_query =
        Request::post(format!("{}{path}?key=k", emulator.base_url(Api::GenerateContent.provider())));
    assert_eq!(send(in_query, body.to_string()).await.status, 200, "a key may be in the query");
}
