//! What can be limited, and for whom.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::Claim;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Requests in any 60 s.
    RequestsPerMinute,
    /// Input and output tokens in any 60 s.
    TokensPerMinute,
    /// Input tokens, cached ones included, in any 60 s.
    InputTokensPerMinute,
    /// Output tokens, reasoning included, in any 60 s.
    OutputTokensPerMinute,
    /// Requests in any 24 h.
    RequestsPerDay,
    /// Nano-dollars in any 24 h.
    SpendPerDay,
    /// Requests between admission and end.
    Concurrency,
}

impl LimitKind {
    /// All kinds, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
        Self::RequestsPerDay,
        Self::SpendPerDay,
        Self::Concurrency,
    ];

    /// The length of its window. `None` for concurrency, which has none.
    pub const fn window(self) -> Option<Duration> {
        match self {
            Self::RequestsPerMinute
            | Self::TokensPerMinute
            | Self::InputTokensPerMinute
            | Self::OutputTokensPerMinute => Some(MINUTE),
            Self::RequestsPerDay | Self::SpendPerDay => Some(DAY),
            Self::Concurrency => None,
        }
    }

    /// Whether it counts what a request takes, and not only that it is one.
    pub const fn counts_tokens(self) -> bool {
        match self {
            Self::TokensPerMinute
            | Self::InputTokensPerMinute
            | Self::OutputTokensPerMinute
            | Self::SpendPerDay => true,
            Self::RequestsPerMinute | Self::RequestsPerDay | Self::Concurrency => false,
        }
    }

    /// What a request that takes `claim` takes of this limit.
    pub(in crate::guard) const fn share(self, claim: &Claim) -> u64 {
        match self {
            Self::RequestsPerMinute | Self::RequestsPerDay | Self::Concurrency => 1,
            Self::TokensPerMinute => claim.input_tokens.saturating_add(claim.output_tokens),
            Self::InputTokensPerMinute => claim.input_tokens,
            Self::OutputTokensPerMinute => claim.output_tokens,
            Self::SpendPerDay => claim.cost.get(),
        }
    }
}

impl fmt::Display for LimitKind {
    /// In the plural: `requests per minute`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestsPerMinute => "requests per minute",
            Self::TokensPerMinute => "tokens per minute",
            Self::InputTokensPerMinute => "input tokens per minute",
            Self::OutputTokensPerMinute => "output tokens per minute",
            Self::RequestsPerDay => "requests per day",
            Self::SpendPerDay => "dollars per day",
            Self::Concurrency => "concurrent requests",
        })
    }
}

/// Whom a limit or a bench concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that is sent with one API key.
    Key,
    /// One model of a key.
    Route,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "API key",
            Self::Route => "model",
        })
    }
}
