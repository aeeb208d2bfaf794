//! Counting the tokens of a request,
//! `POST {base}/v1beta/models/{model}:countTokens`.
//!
//! The Developer API counts contents alone, or a whole request that is given
//! as `generateContentRequest` and names the model once more. Vertex takes the
//! request's fields side by side.
//!
//! Sources: Gemini API reference (`countTokens`), Vertex AI reference, the
//! types of google-genai 3.4.

use leverframe_core::error::{ErrorKind, Failure};
use serde::Serialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::request;
use crate::codec::{
    Call, Encoded, Endpoint,
    services::{self, Kept},
};

/// What is counted of a request.
const FIELDS: [&str; 6] =
    ["cachedContent", "contents", "generationConfig", "systemInstruction", "toolConfig", "tools"];

/// What is counted on Vertex.
const VERTEX: [&str; 4] = ["contents", "generationConfig", "systemInstruction", "tools"];

/// The settings that are part of the prompt.
const SETTINGS: [&str; 3] = ["responseJsonSchema", "responseMimeType", "responseSchema"];

pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let url = endpoint.url(call.model, &request::path(endpoint, call.model, "countTokens"));
    let encoded = request::encode(endpoint, call)?;
    if endpoint.is_vertex() {
        return services::only(encoded, url, &VERTEX, without_sampling);
    }
    services::only(encoded, url, &FIELDS, |fields| {
        let mut fields = without_sampling(fields)?;
        let model = call.model.strip_prefix("models/").unwrap_or(call.model);
        fields.insert("model", raw(&format!("models/{model}"))?);
        Ok(Kept::from([("generateContentRequest", raw(&fields)?)]))
    })
}

/// Settings that draw and bound the answer say nothing of the prompt.
fn without_sampling(mut fields: Kept) -> Result<Kept, Failure> {
    if let Some(config) = fields.remove("generationConfig") {
        let settings = services::pick(config.get(), &SETTINGS)?;
        if !settings.is_empty() {
            fields.insert("generationConfig", raw(&settings)?);
        }
    }
    Ok(fields)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|source| {
        let message = "the request cannot be written as JSON";
        Failure::new(ErrorKind::InvalidRequest, message).with_source(source)
    })
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<u64> {
    fields.get("totalTokens")?.as_u64()
}
