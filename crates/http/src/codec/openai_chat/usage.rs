//! Usage, as OpenAI counts it and as servers like it do.

use leverframe_core::model::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a `usage` says. One in a shape nobody knows says nothing.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    serde_json::from_str::<UsageBody>(raw.get()).ok().map(Usage::from)
}

/// What an `x_groq` says: Groq's own addition, which has the usage on streams.
pub(super) fn read_groq(raw: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct XGroq {
        usage: Option<UsageBody>,
    }
    serde_json::from_str::<XGroq>(raw.get()).ok()?.usage.map(Usage::from)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageBody {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached input.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl From<UsageBody> for Usage {
    fn from(body: UsageBody) -> Self {
        let prompt = body.prompt_tokens_details.unwrap_or_default();
        let completion = body.completion_tokens_details.unwrap_or_default();
        let cached = prompt.cached_tokens.or(body.prompt_cache_hit_tokens);
        let (input, [cache_read, cache_write_short, audio_input]) =
            apart(body.prompt_tokens, [cached, prompt.cache_write_tokens, prompt.audio_tokens]);

        // xAI counts reasoning beside completion_tokens; its total says so.
        let beside = match (body.prompt_tokens, body.completion_tokens, completion.reasoning_tokens) {
            (Some(prompt), Some(visible), Some(reasoning)) if reasoning > 0 => {
                body.total_tokens == prompt.checked_add(visible).and_then(|sum| sum.checked_add(reasoning))
            }
            _ => false,
        };
        let inside = completion.reasoning_tokens.filter(|_| !beside);
        let (output, [reasoning, audio_output]) =
            apart(body.completion_tokens, [inside, completion.audio_tokens]);
        let reasoning = if beside { completion.reasoning_tokens.into() } else { reasoning };
        Self {
            input,
            cache_read,
            cache_write_short,
            cache_write_long: Tokens::Unknown,
            output,
            reasoning,
            audio_input,
            audio_output,
        }
    }
}

/// Takes parts out of a total that includes them. A part never exceeds what is
/// left (OpenRouter has reported more reasoning than completion tokens), so
/// that remainder and parts add up to the total.
fn apart<const N: usize>(total: Option<u64>, parts: [Option<u64>; N]) -> (Tokens, [Tokens; N]) {
    let mut rest = total;
    let parts = parts.map(|part| {
        let part = match (part, rest) {
            (Some(part), Some(left)) => Some(part.min(left)),
            (part, _) => part,
        };
        rest = rest.map(|left| left.saturating_sub(part.unwrap_or(0)));
        Tokens::from(part)
    });
    (rest.into(), parts)
}
