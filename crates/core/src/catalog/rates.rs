//! The price of a token, by what it was used for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Tokens, Usage};

/// What a token was used for: one field of [`Usage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the field of the same name")]
pub enum Bucket {
    Input,
    CacheRead,
    CacheWriteShort,
    CacheWriteLong,
    Output,
    Reasoning,
    AudioInput,
    AudioOutput,
}

impl Bucket {
    /// All, in the order of the fields.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWriteShort,
        Self::CacheWriteLong,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
    ];

    /// What was used of it.
    pub const fn tokens(self, usage: &Usage) -> Tokens {
        match self {
            Self::Input => usage.input,
            Self::CacheRead => usage.cache_read,
            Self::CacheWriteShort => usage.cache_write_short,
            Self::CacheWriteLong => usage.cache_write_long,
            Self::Output => usage.output,
            Self::Reasoning => usage.reasoning,
            Self::AudioInput => usage.audio_input,
            Self::AudioOutput => usage.audio_output,
        }
    }

    /// Whether a cost cannot be told without it. Every provider that reports
    /// anything reports these two; the others are absent where a provider does
    /// not have them.
    pub(super) const fn is_needed(self) -> bool {
        matches!(self, Self::Input | Self::Output)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::CacheRead => "cache read",
            Self::CacheWriteShort => "short cache write",
            Self::CacheWriteLong => "long cache write",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio input",
            Self::AudioOutput => "audio output",
        })
    }
}

/// The price of one token in billionths of a US dollar: 3000 is 3 dollars a
/// million. At most 4.29 dollars a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(u32);

impl Rate {
    /// So many billionths of a dollar a token.
    pub const fn new(nanos: u32) -> Self {
        Self(nanos)
    }

    /// Billionths of a dollar a token.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The price of a token in each bucket. `None` is not known; 0 is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Input that has nothing to do with a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Rate>,
    /// Input read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Input written to a cache for minutes (Anthropic 5, OpenAI 30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_short: Option<Rate>,
    /// Input written to a cache for hours (Anthropic 1, OpenAI 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_long: Option<Rate>,
    /// Output the caller sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Rate>,
    /// Reasoning. Costs what output does unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    /// Audio in the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Rate>,
    /// Audio in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Rate>,
}

impl Rates {
    /// What a token costs in a bucket.
    pub fn of(&self, bucket: Bucket) -> Option<Rate> {
        match bucket {
            Bucket::Input => self.input,
            Bucket::CacheRead => self.cache_read,
            Bucket::CacheWriteShort => self.cache_write_short,
            Bucket::CacheWriteLong => self.cache_write_long,
            Bucket::Output => self.output,
            Bucket::Reasoning => self.reasoning.or(self.output),
            Bucket::AudioInput => self.audio_input,
            Bucket::AudioOutput => self.audio_output,
        }
    }
}
