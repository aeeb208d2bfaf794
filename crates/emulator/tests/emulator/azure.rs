//! Chat Completions and Responses at Azure's addresses.

use super::client::{Answer, Api, call, send};
use http::Request;
use leverframe_emulator::{Emulator, Provider, Step};
use serde_json::json;

const DEPLOYED: &str = "/openai/deployments/my-gpt/chat/completions";

async fn ask(emulator: &Emulator, path: &str, key: &str, api: Api) -> Answer {
    let (_, body) = call(api, true);
    let request = Request::post(format!("{}{path}", emulator.base_url(Provider::OpenAi))).header(key, "k");
    send(request, body.to_string()).await
}

#[tokio::test]
async fn azures_addresses_and_keys_are_accepted() {
    let emulator =
        Emulator::builder().models(Provider::OpenAi, ["my-gpt", "m"]).start().await.expect("starts");
    let deployed = format!("{DEPLOYED}?api-version=2026-01-01");
    let unknown = deployed.replace("my-gpt", "yours");
    for (path, key, api, status, says) in [
        (deployed.as_str(), "api-key", Api::Chat, 200, "said: "),
        (deployed.as_str(), "x-api-key", Api::Chat, 401, "\"code\":\"401\""),
        (DEPLOYED, "api-key", Api::Chat, 404, "Resource not found"),
        (unknown.as_str(), "api-key", Api::Chat, 404, "DeploymentNotFound"),
        ("/openai/deployments/my-gpt/embeddings?api-version=1", "api-key", Api::Chat, 404, "\"404\""),
        ("/openai/v1/chat/completions", "api-key", Api::Chat, 200, "chat.completion.chunk"),
        ("/openai/v1/responses", "api-key", Api::Responses, 200, "response.completed"),
        ("/v1/chat/completions", "api-key", Api::Chat, 401, "provide an API key"),
    ] {
        let answer = ask(&emulator, path, key, api).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {key}: {}", answer.body);
        assert!(answer.body.contains(says), "{path} {key}: {}", answer.body);
    }
    let models: Vec<_> = emulator.calls().into_iter().map(|call| call.model).collect();
    assert_eq!(models[..2], ["my-gpt", "my-gpt"], "the deployment stands for the model");
}

#[tokio::test]
async fn what_azure_says_otherwise() {
    let emulator = Emulator::start().await.expect("starts");
    emulator.script(Provider::OpenAi, "my-gpt", [Step::text("one"), Step::rate_limited(Some(7))]);
    let path = format!("{DEPLOYED}?api-version=2026-01-01");
    let answer = ask(&emulator, &path, "api-key", Api::Chat).await;
    let first = &answer.events()[0];
    assert_eq!((&first["choices"], &first["id"]), (&json!([]), &json!("")));
    assert!(first["prompt_filter_results"].is_array() && answer.body.ends_with("data: [DONE]\n\n"));
    assert_eq!(answer.header("x-ratelimit-reset-requests"), "0");
    let limited = ask(&emulator, &path, "api-key", Api::Chat).await;
    assert_eq!((limited.status.as_u16(), limited.header("x-ratelimit-reset-tokens")), (429, "7"));
    assert_eq!(limited.header("x-ratelimit-remaining-tokens"), "0");
    let error = &limited.json()["error"];
    assert!(error["code"] == "429" && error.get("type").is_none());
}
