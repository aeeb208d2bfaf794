//! Counting the tokens of a request, `POST {base}/responses/input_tokens`.
//!
//! Source: the types of OpenAI's Python SDK 3.54
//! (`responses/input_token_count_params`).

use leverframe_core::error::Failure;
use serde_json::{Map, Value};

use super::request;
use crate::codec::{Call, Encoded, Endpoint, services};

/// What the endpoint takes. Anything else is refused: "Unknown parameter".
const FIELDS: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];

pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let url = endpoint.url(call.model, "/responses/input_tokens");
    services::only(request::encode(endpoint, call)?, url, &FIELDS, Ok)
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<u64> {
    fields.get("input_tokens")?.as_u64()
}
