//! What an answer consumed.

use serde::{Deserialize, Serialize};

/// A count of tokens and how it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Nobody said. Not the same as zero.
    #[default]
    Unknown,
    /// Our own estimate.
    Estimated(u64),
    /// The provider's figure.
    Reported(u64),
}

impl Tokens {
    /// The number, however it is known.
    pub fn value(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Estimated(n) | Self::Reported(n) => Some(n),
        }
    }

    /// Both counts together. What is unknown adds nothing; what is estimated
    /// makes an estimate of the sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Reported(a), Self::Reported(b)) => Self::Reported(a.saturating_add(b)),
            (Self::Estimated(a) | Self::Reported(a), Self::Estimated(b) | Self::Reported(b)) => {
                Self::Estimated(a.saturating_add(b))
            }
        }
    }

    /// This count without the part that is counted elsewhere. Never below zero.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        let part = part.value().unwrap_or(0);
        match self {
            Self::Unknown => Self::Unknown,
            Self::Estimated(n) => Self::Estimated(n.saturating_sub(part)),
            Self::Reported(n) => Self::Reported(n.saturating_sub(part)),
        }
    }
}

impl From<Option<u64>> for Tokens {
    /// A provider's field: present is reported, absent is unknown.
    fn from(reported: Option<u64>) -> Self {
        reported.map_or(Self::Unknown, Self::Reported)
    }
}

/// Tokens by what they were used for.
///
/// The buckets are disjoint: their sum is the provider's total. Input read
/// from a cache is not in `input`, reasoning is not in `output`, audio is in
/// neither. (Providers differ: Anthropic's `input_tokens` excludes cached
/// input, OpenAI's and Gemini's include it; Gemini's `candidatesTokenCount`
/// excludes thoughts, the others' output includes reasoning.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input that was neither read from nor written to a cache.
    pub input: Tokens,
    /// Input read from a cache.
    pub cache_read: Tokens,
    /// Input written to a short-lived cache (Anthropic 5 minutes; OpenAI's only kind).
    pub cache_write_short: Tokens,
    /// Input written to a long-lived cache (Anthropic 1 hour).
    pub cache_write_long: Tokens,
    /// Output the caller sees.
    pub output: Tokens,
    /// Reasoning, shown or not.
    pub reasoning: Tokens,
    /// Audio input.
    pub audio_input: Tokens,
    /// Audio output.
    pub audio_output: Tokens,
}

impl Usage {
    /// What two attempts consumed, bucket by bucket.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.plus(other.input),
            cache_read: self.cache_read.plus(other.cache_read),
            cache_write_short: self.cache_write_short.plus(other.cache_write_short),
            cache_write_long: self.cache_write_long.plus(other.cache_write_long),
            output: self.output.plus(other.output),
            reasoning: self.reasoning.plus(other.reasoning),
            audio_input: self.audio_input.plus(other.audio_input),
            audio_output: self.audio_output.plus(other.audio_output),
        }
    }

    /// With another's input or output where nothing is known of its own.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        let (input, output) = (self.input_total().is_none(), self.output_total().is_none());
        let of = |unknown: bool, own: Tokens, others: Tokens| if unknown { others } else { own };
        Self {
            input: of(input, self.input, other.input),
            cache_read: of(input, self.cache_read, other.cache_read),
            cache_write_short: of(input, self.cache_write_short, other.cache_write_short),
            cache_write_long: of(input, self.cache_write_long, other.cache_write_long),
            audio_input: of(input, self.audio_input, other.audio_input),
            output: of(output, self.output, other.output),
            reasoning: of(output, self.reasoning, other.reasoning),
            audio_output: of(output, self.audio_output, other.audio_output),
        }
    }

    fn sum(parts: &[Tokens]) -> Option<u64> {
        parts.iter().filter_map(|part| part.value()).reduce(u64::saturating_add)
    }

    /// All input, cached or not. `None` when nothing is known of it.
    pub fn input_total(&self) -> Option<u64> {
        Self::sum(&[
            self.input,
            self.cache_read,
            self.cache_write_short,
            self.cache_write_long,
            self.audio_input,
        ])
    }

    /// All output, reasoning included. `None` when nothing is known of it.
    pub fn output_total(&self) -> Option<u64> {
        Self::sum(&[self.output, self.reasoning, self.audio_output])
    }

    /// Input and output. `None` when either is unknown.
    pub fn total(&self) -> Option<u64> {
        Some(self.input_total()?.saturating_add(self.output_total()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_zero() {
        assert_eq!(Usage::default().total(), None);
        let usage = Usage { input: Tokens::Reported(0), output: Tokens::Reported(0), ..Usage::default() };
        assert_eq!(usage.total(), Some(0));
    }

    #[test]
    fn what_is_known_is_not_replaced_by_an_estimate() {
        let (reported, estimated) = (Tokens::Reported(7), Tokens::Estimated(9));
        let estimate = Usage { input: estimated, output: estimated, ..Usage::default() };
        let input = Usage { cache_read: reported, ..Usage::default() };
        let output = Usage { reasoning: reported, ..Usage::default() };
        let both = Usage { cache_read: reported, reasoning: reported, ..Usage::default() };
        let cases = [
            (Usage::default(), estimate),
            (input, Usage { output: estimated, ..input }),
            (output, Usage { input: estimated, ..output }),
            (both, both),
        ];
        for (usage, expected) in cases {
            assert_eq!(usage.or(estimate), expected, "{usage:?}");
        }
    }

    #[test]
    fn disjoint_buckets_add_up_to_the_total() {
        let prompt = Tokens::Reported(100);
        let cached = Tokens::Reported(64);
        let usage = Usage {
            input: prompt.without(cached),
            cache_read: cached,
            output: Tokens::Reported(30).without(Tokens::Reported(20)),
            reasoning: Tokens::Reported(20),
            ..Usage::default()
        };
        assert_eq!(usage.input_total(), Some(100));
        assert_eq!(usage.output_total(), Some(30));
        assert_eq!(usage.total(), Some(130));
    }
}
