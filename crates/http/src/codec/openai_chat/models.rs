//! The models of OpenAI and of servers that speak like it, `GET {base}/models`.
//!
//! OpenAI names its models and says no more. Others add the size of the
//! context under names of their own, all of which are read: `context_length`
//! (OpenRouter, Together), `context_window` (Groq), `max_context_length`
//! (Mistral), `max_model_len` (vLLM); the bound of an answer is
//! `max_completion_tokens` (Groq) or `top_provider.max_completion_tokens`
//! (OpenRouter). The list is one page.
//!
//! Sources: OpenAI API reference (models), the references of the others.

use std::time::Duration;

use bytes::Bytes;
use leverframe_core::{error::Failure, time::Timestamp};
use serde_json::{Map, Value};

use crate::codec::{
    Endpoint,
    services::{ModelInfo, ModelPage, get, tokens, word},
};

pub(in crate::codec) fn encode(endpoint: &Endpoint) -> Result<http::Request<Bytes>, Failure> {
    get(endpoint.url("", "/models"), endpoint.headers())
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<ModelPage> {
    // Ollama without models says null.
    match fields.get("data")? {
        Value::Null => Some(ModelPage::default()),
        data => Some(list(data.as_array()?)),
    }
}

pub(in crate::codec) fn list(models: &[Value]) -> ModelPage {
    ModelPage { models: models.iter().filter_map(model).collect(), next: None }
}

fn model(given: &Value) -> Option<ModelInfo> {
    const WINDOW: [&str; 4] = ["context_length", "context_window", "max_context_length", "max_model_len"];
    const OUTPUT: &str = "max_completion_tokens";
    let mut model = ModelInfo::new(word(given.get("id"))?);
    model.display_name =
        word(given.get("display_name")).or_else(|| word(given.get("name"))).filter(|name| *name != model.id);
    model.context_window = WINDOW.iter().find_map(|name| tokens(given.get(name)));
    model.max_output = tokens(given.get(OUTPUT))
        .or_else(|| tokens(given.get("top_provider").and_then(|top| top.get(OUTPUT))));
    model.created = given.get("created").and_then(seconds);
    model.owned_by = word(given.get("owned_by"));
    Some(model)
}

/// Seconds since the Unix epoch, of which some servers write 0 and some fractions.
fn seconds(value: &Value) -> Option<Timestamp> {
    let since = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    (!since.is_zero()).then(|| Timestamp::EPOCH + since)
}
