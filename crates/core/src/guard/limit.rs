//! Requests per minute, counted exactly.
//!
//! The last minute's admissions are kept, so that no window of sixty seconds,
//! wherever it begins, holds more than the limit. A token bucket would let
//! through up to twice as many in the minute after a pause.

use std::{collections::VecDeque, time::Duration};

use super::ConfigError;
use crate::time::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);

/// A limit on admissions in any sixty seconds.
#[derive(Clone, Debug)]
pub struct RequestsPerMinute {
    limit: usize,
    /// When the admissions of the last minute were made, oldest first. Never
    /// more than `limit`.
    admitted: VecDeque<Timestamp>,
}

impl RequestsPerMinute {
    /// The highest limit that can be set: bounds the memory of one limiter to
    /// eight megabytes.
    pub const MAX: u32 = 1_000_000;

    /// At most `limit` requests in any minute.
    ///
    /// # Errors
    /// [`ConfigError`] for 0 or more than [`RequestsPerMinute::MAX`].
    pub fn new(limit: u32) -> Result<Self, ConfigError> {
        if limit == 0 || limit > Self::MAX {
            let problem = format!("{limit} is not between 1 and {}; leave it out for no limit", Self::MAX);
            return Err(ConfigError::new("requests_per_minute", problem));
        }
        // The range was checked; usize has at least 32 bits wherever this builds.
        Ok(Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), admitted: VecDeque::new() })
    }

    /// When the next request may be admitted, if not now.
    pub(super) fn refuses_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        while self.admitted.front().is_some_and(|oldest| *oldest + WINDOW <= now) {
            self.admitted.pop_front();
        }
        let oldest = *self.admitted.front()?;
        (self.admitted.len() >= self.limit).then(|| oldest + WINDOW)
    }

    /// Counts an admission that [`refuses_until`](Self::refuses_until) did not refuse.
    pub(super) fn take(&mut self, now: Timestamp) {
        // Callers on other threads may have read the clock in another order.
        let at = self.admitted.partition_point(|earlier| *earlier <= now);
        self.admitted.insert(at, now);
    }

    /// Gives back an admission made at `at` that was never sent.
    pub(super) fn refund(&mut self, at: Timestamp) {
        if let Ok(nth) = self.admitted.binary_search(&at) {
            self.admitted.remove(nth);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the arrivals and refunds, no minute holds more than the limit,
        /// and a refusal is honoured exactly from the instant it named.
        #[test]
        fn no_minute_holds_more_than_the_limit(
            limit in 1u32..20,
            steps in prop::collection::vec((0u64..20_000, prop::bool::weighted(0.2)), 1..300),
        ) {
            let mut limiter = RequestsPerMinute::new(limit).expect("valid");
            let mut now = Timestamp::EPOCH;
            let mut kept: Vec<Timestamp> = Vec::new();
            for (advance, refund) in steps {
                now = now + Duration::from_millis(advance);
                if let Some(until) = limiter.refuses_until(now) {
                    prop_assert!(until > now);
                    prop_assert!(limiter.clone().refuses_until(until).is_none());
                    continue;
                }
                limiter.take(now);
                if refund {
                    limiter.refund(now);
                } else {
                    kept.push(now);
                }
                let recent = kept.iter().filter(|at| **at + WINDOW > now).count();
                prop_assert!(recent <= limit as usize);
            }
        }
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let error = RequestsPerMinute::new(0).expect_err("zero");
        assert_eq!(error.setting, "requests_per_minute");
    }
}
