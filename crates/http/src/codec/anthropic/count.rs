//! Counting the tokens of a request, `POST {base}/v1/messages/count_tokens`.
//!
//! Source: the types of Anthropic's Python SDK 2.12
//! (`beta/message_count_tokens_params`).

use leverframe_core::error::Failure;
use serde_json::{Map, Value};

use super::request;
use crate::codec::{Call, Encoded, Endpoint, services};

/// What the endpoint takes. Anything else is refused: "Extra inputs are not
/// permitted".
const FIELDS: [&str; 12] = [
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "output_format",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

pub(in crate::codec) fn encode(endpoint: &Endpoint, call: Call<'_>) -> Result<Encoded, Failure> {
    let url = endpoint.url(call.model, "/v1/messages/count_tokens");
    services::only(request::encode(endpoint, call)?, url, &FIELDS, Ok)
}

pub(in crate::codec) fn decode(fields: &Map<String, Value>) -> Option<u64> {
    fields.get("input_tokens")?.as_u64()
}
