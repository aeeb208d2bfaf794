//! Anthropic's models, `GET {base}/v1/models`.
//!
//! Source: Anthropic API reference (models), the types of its Python SDK 2.12.

use bytes::Bytes;
use leverframe_core::{error::Failure, time::Timestamp};
use serde_json::{Map, Value};

use super::request;
use crate::codec::{
    Endpoint,
    endpoint::path_segment,
    services::{ModelInfo, ModelPage, get, tokens, word},
};

/// Most models on a page (API reference, `limit`).
const PAGE: u32 = 1000;

pub(in crate::codec) fn encode(
    endpoint: &Endpoint,
    page: Option<&str>,
) -> Result<http::Request<Bytes>, Failure> {
    let after = page.map(|id| format!("&after_id={}", path_segment(id))).unwrap_or_default();
    let url = endpoint.url("", &format!("/v1/models?limit={PAGE}{after}"));
    let mut request = get(url, endpoint.headers())?;
    request::add_headers(&mut request, endpoint.version().unwrap_or(request::VERSION), &[])?;
    Ok(request)
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<ModelPage> {
    let models = fields.get("data")?.as_array()?.iter().filter_map(model).collect();
    let more = fields.get("has_more").and_then(Value::as_bool).unwrap_or_default();
    let next = word(fields.get("last_id")).filter(|_| more);
    Some(ModelPage { models, next })
}

fn model(given: &Value) -> Option<ModelInfo> {
    let mut model = ModelInfo::new(word(given.get("id"))?);
    model.display_name = word(given.get("display_name"));
    model.context_window = tokens(given.get("max_input_tokens"));
    model.max_output = tokens(given.get("max_tokens"));
    model.created = given.get("created_at").and_then(Value::as_str).and_then(instant);
    Some(model)
}

/// RFC 3339. The epoch stands for a date that is not known.
fn instant(text: &str) -> Option<Timestamp> {
    let nanos = u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()?;
    (nanos > 0).then(|| Timestamp::from_unix_nanos(nanos))
}
