//! Usage, as Anthropic counts it.

use leverframe_core::model::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Token counts. A streamed answer reports them twice, the second time in part.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct UsageBody {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl UsageBody {
    /// What can be read. An answer is not thrown away for its bill: counts of
    /// another shape are unknown.
    pub(super) fn read(raw: &RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    /// What is known before any output.
    pub(super) fn before_output(self) -> Self {
        Self { output_tokens: None, output_tokens_details: None, ..self }
    }

    /// This, with what a later report says in its place.
    pub(super) fn updated(self, later: Self) -> Self {
        // A new total makes the old split of it stale.
        let cache_creation = match later.cache_creation_input_tokens {
            Some(total) if Some(total) != self.cache_creation_input_tokens => later.cache_creation,
            _ => later.cache_creation.or(self.cache_creation),
        };
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_creation,
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }
}

impl From<UsageBody> for Usage {
    /// `input_tokens` excludes the cache, `output_tokens` includes thinking.
    fn from(body: UsageBody) -> Self {
        let long = body.cache_creation.and_then(|split| split.ephemeral_1h_input_tokens);
        let short = body.cache_creation.and_then(|split| split.ephemeral_5m_input_tokens);
        // The split may be of one step only; the total is what is billed, and
        // what it does not place is short-lived, the default.
        let short = match body.cache_creation_input_tokens {
            Some(total) => Tokens::Reported(total).without(long.into()),
            None => short.into(),
        };
        let thinking = body.output_tokens_details.and_then(|details| details.thinking_tokens);
        Self {
            input: body.input_tokens.into(),
            cache_read: body.cache_read_input_tokens.into(),
            cache_write_short: short,
            cache_write_long: long.into(),
            output: Tokens::from(body.output_tokens).without(thinking.into()),
            reasoning: thinking.into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        serde_json::from_str::<UsageBody>(json).expect("JSON").into()
    }

    #[test]
    fn usage_buckets_add_up_to_what_anthropic_bills() {
        let usage = usage(
            r#"{"input_tokens":10,"cache_read_input_tokens":20,"cache_creation_input_tokens":70,
                "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":40},
                "output_tokens":50,"output_tokens_details":{"thinking_tokens":35}}"#,
        );
        assert_eq!((usage.input_total(), usage.output_total()), (Some(100), Some(50)));
        assert_eq!(
            (usage.cache_write_short, usage.cache_write_long),
            (Tokens::Reported(30), Tokens::Reported(40))
        );
        assert_eq!((usage.output, usage.reasoning), (Tokens::Reported(15), Tokens::Reported(35)));
    }

    #[test]
    fn absent_counts_are_unknown() {
        assert_eq!(usage(r#"{"output_tokens":1}"#).input_total(), None);
        assert_eq!(usage(r#"{"output_tokens":1}"#).reasoning, Tokens::Unknown);
    }
}
