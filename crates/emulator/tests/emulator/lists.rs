//! What takes no step: token counts and lists of models.

use super::client::{Api, call, post, send};
use http::Request;
use leverframe_emulator::{CallEnd, Emulator, Provider, Step};
use serde_json::{Value, json};

#[tokio::test]
async fn tokens_are_counted_as_usage_would_count_them() {
    let emulator = Emulator::start().await.expect("starts");
    let contents = json!([{"role": "user", "parts": [{"text": "Hello there"}]}]);
    let system = json!({"parts": [{"text": "Be brief."}]});
    let messages = json!([{"role": "user", "content": "Hello there"}]);
    let google = "/v1beta/models/m:countTokens";
    let inner = json!({"model": "models/m", "contents": contents, "systemInstruction": system});
    // 11 bytes are 3 tokens, 9 bytes are 3, and 3.
    for (api, path, body, answer) in [
        (
            Api::Messages,
            "/v1/messages/count_tokens",
            json!({"model": "m", "system": "Be brief.", "messages": messages}),
            json!({"input_tokens": 9}),
        ),
        (
            Api::GenerateContent,
            google,
            json!({ "contents": contents }),
            json!({"totalTokens": 6, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}]}),
        ),
        (
            Api::GenerateContent,
            google,
            json!({ "generateContentRequest": inner }),
            json!({"totalTokens": 9, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]}),
        ),
        (
            Api::Responses,
            "/v1/responses/input_tokens",
            json!({"model": "m", "instructions": "Be brief.", "input": messages}),
            json!({"object": "response.input_tokens", "input_tokens": 9}),
        ),
        (
            Api::Responses,
            "/v1/responses/input_tokens",
            json!({"input": "Hello there"}),
            json!({"object": "response.input_tokens", "input_tokens": 6}),
        ),
    ] {
        emulator.always(api.provider(), Step::overloaded());
        let counted = send(post(&emulator, api, path), body.to_string()).await;
        assert_eq!((counted.status.as_u16(), counted.json()), (200, answer), "{body}");
        let noted = emulator.calls().pop().expect("a call");
        assert_eq!((noted.path.as_str(), noted.end), (path, Some(CallEnd::Answered)));
    }
    // The usage of an answer is the same.
    emulator.clear(Provider::OpenAi);
    let body = json!({"model": "m", "instructions": "Be brief.", "input": messages});
    let answer = send(post(&emulator, Api::Responses, "/v1/responses"), body.to_string()).await;
    assert_eq!(answer.json()["usage"]["input_tokens"], 9);
}

#[tokio::test]
async fn counts_that_the_provider_would_refuse_are_refused() {
    let emulator = Emulator::builder().models(Provider::Anthropic, ["known"]).start().await.expect("starts");
    let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let claude = "/v1/messages/count_tokens";
    let google = "/v1beta/models/m:countTokens";
    let openai = "/v1/responses/input_tokens";
    for (api, path, body, status, says) in [
        (Api::Messages, claude, json!({ "messages": messages }), 400, "model: Field required"),
        (Api::Messages, claude, json!({"model": "m", "messages": messages}), 404, "model: m"),
        (
            Api::Messages,
            claude,
            json!({"model": "known", "max_tokens": 9, "messages": messages}),
            400,
            "max_tokens: Extra inputs are not permitted",
        ),
        (Api::GenerateContent, google, json!({}), 400, "contents is not specified"),
        (
            Api::GenerateContent,
            google,
            json!({"contents": contents, "systemInstruction": {}}),
            400,
            "Unknown name \\\"systemInstruction\\\"",
        ),
        (
            Api::GenerateContent,
            google,
            json!({"generateContentRequest": {"model": "models/other", "contents": contents}}),
            400,
            "expected models/m",
        ),
        (
            Api::GenerateContent,
            google,
            json!({"contents": contents, "generateContentRequest": {"model": "models/m", "contents": contents}}),
            400,
            "Only one of",
        ),
        (Api::Responses, openai, json!({"input": "Hi", "max_output_tokens": 16}), 400, "unknown_parameter"),
    ] {
        let answer = send(post(&emulator, api, path), body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
        let got = send(post(&emulator, api, path).method("GET"), "").await;
        assert!(matches!(got.status.as_u16(), 404 | 405), "{path}");
    }
}

#[tokio::test]
async fn pages_of_models_follow_one_another() {
    let emulator = Emulator::start().await.expect("starts");
    let get = async |api: Api, path: String| {
        let answer = send(post(&emulator, api, &path).method("GET"), "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    };
    // What the list is called, a model's name and limits, the size of a page,
    // and the query of what comes after it.
    let cursor = |page: &Value| match (&page["nextPageToken"], &page["has_more"]) {
        (Value::String(token), _) => Some(format!("&pageToken={token}")),
        (_, Value::Bool(true)) => Some(format!("&after_id={}", page["last_id"].as_str().expect("an id"))),
        _ => None,
    };
    for (api, path, list, name, limits, size) in [
        (Api::Messages, "/v1/models", "data", "id", ["max_input_tokens", "max_tokens"], "limit"),
        (
            Api::GenerateContent,
            "/v1beta/models",
            "models",
            "name",
            ["inputTokenLimit", "outputTokenLimit"],
            "pageSize",
        ),
    ] {
        let names = |page: &Value| -> Vec<String> {
            let models = page[list].as_array().expect("a list");
            assert!(models.iter().all(|model| limits.iter().all(|limit| model[limit].as_u64() > Some(0))));
            models.iter().map(|model| model[name].as_str().expect("a name").to_owned()).collect()
        };
        let all = get(api, path.to_owned()).await;
        assert_eq!(cursor(&all), None);
        let all = names(&all);
        assert!(all.len() >= 5);
        for length in [1, 2, all.len() - 1, all.len(), 1000] {
            let mut paged = Vec::new();
            let mut after = Some(String::new());
            while let Some(next) = after {
                let page = get(api, format!("{path}?{size}={length}{next}")).await;
                let some = names(&page);
                assert!(!some.is_empty() && some.len() <= length);
                paged.extend(some);
                after = cursor(&page);
            }
            assert_eq!(paged, all, "{api:?} in pages of {length}");
        }
    }
    let before = get(Api::Messages, "/v1/models?limit=2&before_id=claude-sonnet-4-5".to_owned()).await;
    assert_eq!((&before["has_more"], &before["last_id"]), (&json!(true), &json!("claude-opus-4-8")));
    for (api, path) in [
        (Api::Messages, "/v1/models?limit=0"),
        (Api::Messages, "/v1/models?after_id=nobody"),
        (Api::Messages, "/v1/models?after_id=claude-sonnet-5&before_id=claude-sonnet-5"),
        (Api::GenerateContent, "/v1beta/models?pageToken=nonsense"),
    ] {
        let answer = send(post(&emulator, api, path).method("GET"), "").await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn who_asks_decides_the_shape_of_the_list() {
    let emulator = Emulator::start().await.expect("starts");
    for provider in [Provider::Anthropic, Provider::OpenAi] {
        for (header, value, anthropic) in [
            ("x-api-key", "k", true),
            ("anthropic-version", "2023-06-01", true),
            ("openai-project", "p", false),
        ] {
            let request = Request::get(format!("{}/v1/models", emulator.base_url(provider)))
                .header("authorization", "Bearer k")
                .header(header, value);
            let list = send(request, "").await.json();
            assert_eq!(list.get("has_more").is_some(), anthropic, "{provider:?} {header}");
            assert_eq!(list["object"] == "list", !anthropic, "{provider:?} {header}");
            assert!(list["data"].as_array().is_some_and(|models| models.len() >= 5));
        }
    }
    let (path, _) = call(Api::Messages, false);
    let request = Request::get(format!("{}{path}", emulator.base_url(Provider::Anthropic)));
    assert_eq!(send(request, "").await.status, 401, "without a key nothing is listed or answered");
}
