//! What one caller may use of what all callers share.
//!
//! The limits of a key of a provider's, for a key that callers are given:
//! nothing else guards it, no breaker and no bench.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Claim, ConfigError, Guard, LimitStatus, Limits, Refusal, Scope,
    limit::{Held, LimitSet, Ticket},
};
use crate::time::Timestamp;

/// The limits of one caller. A refusal consumes nothing; what a share that is
/// dropped has taken is given back, but for the request itself.
#[derive(Debug)]
pub struct Allowance {
    limits: Mutex<LimitSet>,
}

/// What one request takes of an allowance.
#[derive(Debug)]
#[must_use = "a share must be settled"]
pub struct Share {
    of: Arc<Allowance>,
    /// `None` once it is settled.
    held: Option<(Claim, Timestamp, Ticket)>,
}

impl Allowance {
    /// An allowance of which nothing is used.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that makes no sense.
    pub fn new(limits: &Limits) -> Result<Arc<Self>, ConfigError> {
        Ok(Arc::new(Self { limits: Mutex::new(LimitSet::new(Scope::Key, limits)?) }))
    }

    /// Takes a request's share, or says which limit refuses and until when.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was consumed.
    pub fn take(self: &Arc<Self>, claim: &Claim, now: Timestamp) -> Result<Share, Refusal> {
        let mut limits = self.lock();
        let at = limits.time(now);
        limits.advance(at);
        if let Some((kind, until)) = limits.refusal(claim, at) {
            return Err(Refusal { by: Guard::Limit { scope: Scope::Key, kind }, until });
        }
        let ticket = limits.take(claim, at);
        Ok(Share { of: Arc::clone(self), held: Some((*claim, at, ticket)) })
    }

    /// A request took this in an earlier process, where it began at `at`. What
    /// has expired by `now` counts no longer.
    pub fn recall(&self, took: &Claim, at: Timestamp, now: Timestamp) {
        let mut limits = self.lock();
        let now = limits.time(now);
        limits.recall(took, at, now);
    }

    /// Every limit at `now`.
    pub fn status(&self, now: Timestamp) -> Vec<LimitStatus> {
        let limits = self.lock();
        limits.status(limits.time(now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, LimitSet> {
        // Plain counters: a panic in between leaves nothing half made.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// The request is over and took this.
    pub fn settle(mut self, took: &Claim) {
        self.end(took);
    }

    fn end(&mut self, took: &Claim) {
        if let Some((claim, at, ticket)) = self.held.take() {
            self.of.lock().settle(Held { claim: &claim, at, ticket }, took);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.end(&Claim::default());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{catalog::NanoDollars, guard::LimitKind};

    const START: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);

    fn claim(tokens: u64, nanos: u64) -> Claim {
        Claim { input_tokens: tokens, output_tokens: 0, cost: NanoDollars::new(nanos) }
    }

    #[test]
    fn a_budget_is_what_was_spent_and_not_what_was_claimed() {
        let limits = Limits { spend_per_day: Some(NanoDollars::new(100)), ..Limits::default() };
        let allowance = Allowance::new(&limits).expect("valid");
        for spent in [60, 39] {
            allowance.take(&Claim::default(), START).expect("something is left").settle(&claim(5, spent));
        }
        allowance.take(&Claim::default(), START).expect("one is left").settle(&claim(0, 70));
        let refusal = allowance.take(&Claim::default(), START).expect_err("it is spent");
        assert_eq!(refusal.by, Guard::Limit { scope: Scope::Key, kind: LimitKind::SpendPerDay });
        let tomorrow = START + Duration::from_secs(25 * 60 * 60);
        assert!(allowance.take(&Claim::default(), tomorrow).is_ok());
    }

    #[test]
    fn a_refusal_takes_nothing_and_a_dropped_share_gives_its_place_back() {
        let limits = Limits { concurrency: Some(1), requests_per_minute: Some(3), ..Limits::default() };
        let allowance = Allowance::new(&limits).expect("valid");
        let first = allowance.take(&Claim::default(), START).expect("free");
        for _ in 0..10 {
            assert!(allowance.take(&Claim::default(), START).is_err(), "one at a time");
        }
        drop(first);
        drop(allowance.take(&Claim::default(), START).expect("free again"));
        drop(allowance.take(&Claim::default(), START).expect("the third"));
        let refusal = allowance.take(&Claim::default(), START).expect_err("three a minute");
        assert_eq!(refusal.until, START + Duration::from_secs(60));
        let used: Vec<_> = allowance.status(START).iter().map(|limit| limit.used).collect();
        assert_eq!(used, [3, 0]);
    }
}
