//! Which models there are, in each dialect's own list.

use http::{Response, request::Parts};
use leverframe_router::{Dialect, ErrorKind, Failure, ModelInfo};
use serde_json::{Value, json};

use super::{
    Live,
    door::{self, VirtualKey},
    reply::{self, Reply},
};

/// The configured models, then those the providers list.
pub(super) async fn models(live: &Live, head: &Parts, dialect: Dialect) -> Response<Reply> {
    let key = match live.door.enter(head) {
        Ok(key) => key,
        Err(failure) => return door::refuse(dialect, &failure),
    };
    let models: Vec<Value> =
        known(live, key).await.iter().map(|(provider, model)| entry(dialect, provider, model)).collect();
    let body = match dialect {
        Dialect::Gemini => json!({ "models": models }),
        Dialect::Anthropic => {
            let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
            let (first, last) = (id(models.first()), id(models.last()));
            json!({ "first_id": first, "last_id": last, "has_more": false, "data": models })
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({ "object": "list", "data": models }),
    };
    reply::json(body.to_string().into())
}

/// One of them.
pub(super) async fn model(live: &Live, head: &Parts, dialect: Dialect, name: &str) -> Response<Reply> {
    let key = match live.door.enter(head) {
        Ok(key) => key,
        Err(failure) => return door::refuse(dialect, &failure),
    };
    let known = known(live, key).await;
    match known.iter().find(|(_, model)| model.id == name) {
        Some((provider, model)) => reply::json(entry(dialect, provider, model).to_string().into()),
        None => {
            let message = format!("there is no model {name} here; GET /v1/models lists those there are");
            reply::error(dialect, &Failure::new(ErrorKind::ModelNotFound, message), None)
        }
    }
}

/// A provider that cannot be asked lists nothing.
async fn known(live: &Live, key: Option<&VirtualKey>) -> Vec<(String, ModelInfo)> {
    let mut known: Vec<(String, ModelInfo)> = Vec::new();
    for (provider, list) in live.router.models().await {
        let list = list.unwrap_or_default();
        known.extend(list.into_iter().map(|model| (provider.to_string(), model)));
    }
    known.retain(|(_, model)| door::check_model(key, &model.id).is_ok());
    known
}

fn entry(dialect: Dialect, provider: &str, model: &ModelInfo) -> Value {
    let seconds = model.created.map_or(0, |at| at.unix_millis() / 1_000);
    let name = model.display_name.as_deref().unwrap_or(&model.id);
    match dialect {
        Dialect::Gemini => json!({
            "name": format!("models/{}", model.id),
            "displayName": name,
            "inputTokenLimit": model.context_window,
            "outputTokenLimit": model.max_output,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }),
        Dialect::Anthropic => json!({
            "type": "model",
            "id": model.id,
            "display_name": name,
            "created_at": rfc3339(seconds),
        }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({
            "id": model.id,
            "object": "model",
            "created": seconds,
            "owned_by": model.owned_by.as_deref().unwrap_or(provider),
        }),
    }
}

fn rfc3339(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.unwrap_or_default().to_string()
}
