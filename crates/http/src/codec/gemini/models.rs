//! Gemini's models, `GET {base}/v1beta/models`.
//!
//! Source: Gemini API reference (`models.list`), the types of google-genai 3.4.

use bytes::Bytes;
use leverframe_core::error::Failure;
use serde_json::{Map, Value};

use super::request;
use crate::codec::{
    Endpoint,
    endpoint::path_segment,
    services::{ModelInfo, ModelPage, get, tokens, word},
};

/// Most models on a page (API reference, `pageSize`).
const PAGE: u32 = 1000;

pub(in crate::codec) fn encode(
    endpoint: &Endpoint,
    page: Option<&str>,
) -> Result<http::Request<Bytes>, Failure> {
    let token = page.map(|token| format!("&pageToken={}", path_segment(token))).unwrap_or_default();
    let version = match endpoint.version().unwrap_or(request::VERSION) {
        "" => String::new(),
        version => format!("/{version}"),
    };
    get(endpoint.url("", &format!("{version}/models?pageSize={PAGE}{token}")), endpoint.headers())
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<ModelPage> {
    let next = word(fields.get("nextPageToken"));
    // Google's JSON leaves out what is empty.
    let models = match fields.get("models") {
        None if fields.is_empty() => Vec::new(),
        models => models?.as_array()?.iter().filter_map(model).collect(),
    };
    Some(ModelPage { models, next })
}

fn model(given: &Value) -> Option<ModelInfo> {
    let name = word(given.get("name"))?;
    let mut model = ModelInfo::new(name.strip_prefix("models/").unwrap_or(&name));
    model.display_name = word(given.get("displayName"));
    model.context_window = tokens(given.get("inputTokenLimit"));
    model.max_output = tokens(given.get("outputTokenLimit"));
    Some(model)
}
