//! Usage, as OpenAI Responses counts it.

use leverframe_core::model::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a `usage` says. One in a shape nobody knows says nothing.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    serde_json::from_str::<UsageBody>(raw.get()).ok().map(Usage::from)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageBody {
    input_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<UsageBody> for Usage {
    /// `input_tokens` includes what was cached, `output_tokens` reasoning. No
    /// part is counted as more than what is left of the whole.
    fn from(body: UsageBody) -> Self {
        let details = body.input_tokens_details.unwrap_or_default();
        let (input, cache_read) = apart(body.input_tokens, details.cached_tokens);
        let (input, cache_write_short) = apart(input, details.cache_write_tokens);
        let reasoning = body.output_tokens_details.and_then(|details| details.reasoning_tokens);
        let (output, reasoning) = apart(body.output_tokens, reasoning);
        Self {
            input: input.into(),
            cache_read,
            cache_write_short,
            output: output.into(),
            reasoning,
            ..Self::default()
        }
    }
}

fn apart(total: Option<u64>, part: Option<u64>) -> (Option<u64>, Tokens) {
    let part = part.map(|part| part.min(total.unwrap_or(part)));
    (total.map(|total| total - part.unwrap_or(0).min(total)), part.into())
}
