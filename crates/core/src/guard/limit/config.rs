//! What an operator sets.

use super::LimitKind;
use crate::{catalog::NanoDollars, guard::ConfigError};

/// The limits of one key, or of one model of a key. None, unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most requests in any 60 s.
    pub requests_per_minute: Option<u64>,
    /// Most tokens in any 60 s, input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Most input tokens in any 60 s.
    pub input_tokens_per_minute: Option<u64>,
    /// Most output tokens in any 60 s.
    pub output_tokens_per_minute: Option<u64>,
    /// Most requests in any 24 h.
    pub requests_per_day: Option<u64>,
    /// Most money in any 24 h. Counts what requests cost by the prices at hand;
    /// what has no price counts by its estimate.
    pub spend_per_day: Option<NanoDollars>,
    /// Most requests at a time.
    pub concurrency: Option<u64>,
    /// Whether the limits of a model are corrected by what the provider says
    /// in its headers, and learned from its 429s where it says nothing. The
    /// limits of a key are never corrected: providers report per model.
    pub adaptive: bool,
}

impl Default for Limits {
    /// No limit but what is learned.
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            input_tokens_per_minute: None,
            output_tokens_per_minute: None,
            requests_per_day: None,
            spend_per_day: None,
            concurrency: None,
            adaptive: true,
        }
    }
}

impl Limits {
    /// The highest limit that can be set: more than any provider sells, and
    /// small enough that sums of it do not overflow.
    pub const MAX: u64 = 1 << 48;

    /// Checks every limit.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that is 0 or above [`Limits::MAX`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = LimitKind::ALL.into_iter().find_map(|kind| {
            self.of(kind).filter(|limit| !(1..=Self::MAX).contains(limit)).map(|n| (kind, n))
        });
        let Some((kind, limit)) = wrong else { return Ok(()) };
        let (unit, advice) = match kind {
            LimitKind::SpendPerDay => (" nano-dollars", "; a dollar is 1000000000"),
            _ => ("", ""),
        };
        let problem =
            format!("{limit}{unit} is not between 1 and {}{advice}; leave it out for no limit", Self::MAX);
        Err(ConfigError::new(setting(kind), problem))
    }

    /// The limit of a kind.
    pub fn of(&self, kind: LimitKind) -> Option<u64> {
        match kind {
            LimitKind::RequestsPerMinute => self.requests_per_minute,
            LimitKind::TokensPerMinute => self.tokens_per_minute,
            LimitKind::InputTokensPerMinute => self.input_tokens_per_minute,
            LimitKind::OutputTokensPerMinute => self.output_tokens_per_minute,
            LimitKind::RequestsPerDay => self.requests_per_day,
            LimitKind::SpendPerDay => self.spend_per_day.map(NanoDollars::get),
            LimitKind::Concurrency => self.concurrency,
        }
    }
}

const fn setting(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::RequestsPerMinute => "requests_per_minute",
        LimitKind::TokensPerMinute => "tokens_per_minute",
        LimitKind::InputTokensPerMinute => "input_tokens_per_minute",
        LimitKind::OutputTokensPerMinute => "output_tokens_per_minute",
        LimitKind::RequestsPerDay => "requests_per_day",
        LimitKind::SpendPerDay => "spend_per_day",
        LimitKind::Concurrency => "concurrency",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(kind: LimitKind, limit: u64) -> Limits {
        let mut limits = Limits::default();
        let limit = Some(limit);
        match kind {
            LimitKind::RequestsPerMinute => limits.requests_per_minute = limit,
            LimitKind::TokensPerMinute => limits.tokens_per_minute = limit,
            LimitKind::InputTokensPerMinute => limits.input_tokens_per_minute = limit,
            LimitKind::OutputTokensPerMinute => limits.output_tokens_per_minute = limit,
            LimitKind::RequestsPerDay => limits.requests_per_day = limit,
            LimitKind::SpendPerDay => limits.spend_per_day = limit.map(NanoDollars::new),
            LimitKind::Concurrency => limits.concurrency = limit,
        }
        limits
    }

    #[test]
    fn nonsense_is_refused_by_name_and_with_advice() {
        for kind in LimitKind::ALL {
            for good in [1, Limits::MAX] {
                assert_eq!(only(kind, good).check(), Ok(()), "{kind}: {good}");
            }
            for bad in [0, Limits::MAX + 1, u64::MAX] {
                let error = only(kind, bad).check().expect_err("nonsense");
                assert_eq!(error.setting, setting(kind));
                assert!(error.problem.contains("leave it out for no limit"), "{error}");
            }
        }
    }
}
