//! Whether and when to try the same route again.

use std::{sync::Arc, time::Duration};

use super::{AttemptBudget, Backoff, Deadline, Draw, RetryBudget, RetryToken};
use crate::{
    error::{ErrorKind, Exposure, Failure, SameRoute},
    time::Timestamp,
};

/// How a route is retried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Most retries on one route before moving on to the next.
    pub per_route: u32,
    /// How the delays grow.
    pub backoff: Backoff,
    /// The longest wait worth taking while another route might answer at once.
    /// Without another route, only the deadline bounds a wait.
    pub patience: Duration,
}

/// Where a request stands when it asks to be tried again.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// How often this route was retried before.
    pub retries: u32,
    /// Whether the route was sent anything. A request that a limit of our own
    /// held back is not a retry when it goes out.
    pub sent: bool,
    /// How many routes have not been tried yet. Each is left an attempt.
    pub routes_left: usize,
    /// When the request must be over.
    pub deadline: Deadline,
    /// The time.
    pub now: Timestamp,
}

impl Default for RetryPolicy {
    /// Two retries, waits of at most ten seconds.
    fn default() -> Self {
        Self { per_route: 2, backoff: Backoff::default(), patience: Duration::from_secs(10) }
    }
}

/// Permission to try the same route again. Only [`RetryPermit::grant`] makes
/// one; dropped unused it gives its attempt back.
#[derive(Debug)]
#[must_use = "a dropped permit is given back"]
pub struct RetryPermit {
    draw: Draw,
    /// `None` for what was never sent before.
    token: Option<RetryToken>,
    cause: Box<Failure>,
    not_before: Timestamp,
}

/// Why there is no retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRetry {
    /// Trying again would not help, or would be seen by the caller.
    #[error("\"{0}\" is not retried on the same route")]
    Pointless(ErrorKind),
    /// The route has had its retries.
    #[error("the route has had its retries")]
    RouteUsedUp,
    /// The request has had its attempts, or the rest is for other routes.
    #[error("the request has no attempt left for this route")]
    BudgetSpent,
    /// The provider has had its share of retries.
    #[error("retries and hedges are a share of the provider's traffic, and that is used up")]
    ProviderBudgetSpent,
    /// The wait is longer than the patience.
    #[error("a wait of {0:?} is longer than the patience")]
    TooLong(Duration),
    /// The wait would pass the deadline.
    #[error("a wait of {0:?} would pass the deadline")]
    PastDeadline(Duration),
}

impl RetryPermit {
    /// Permits one more try after `failure`. `provider` is its
    /// provider's budget.
    ///
    /// The wait is the longer of the backoff and the provider's hint. The last
    /// attempts of the budget are kept for the routes not tried yet: two dead
    /// providers must not use up what the third would have answered with.
    ///
    /// # Errors
    /// [`NoRetry`]; nothing was consumed.
    pub fn grant(
        policy: &RetryPolicy,
        failure: &Failure,
        circumstances: Circumstances,
        budget: &AttemptBudget,
        provider: &Arc<RetryBudget>,
        rng: &mut fastrand::Rng,
    ) -> Result<Self, NoRetry> {
        let Circumstances { retries, sent, routes_left, deadline, now } = circumstances;
        let hint = failure.retry_after.unwrap_or_default();
        let wait = match (failure.kind.decision(Exposure::Unseen).same_route, failure.retry_after) {
            (SameRoute::Never, _) => return Err(NoRetry::Pointless(failure.kind)),
            // A limit says when it is over; jitter on top would only waste the caller's time.
            (SameRoute::WaitForHint, Some(hint)) => hint,
            (SameRoute::WaitForHint | SameRoute::Backoff, _) => policy.backoff.delay(retries, rng).max(hint),
        };
        if retries >= policy.per_route {
            return Err(NoRetry::RouteUsedUp);
        }
        if !deadline.allows_wait_until(now + wait) {
            return Err(NoRetry::PastDeadline(wait));
        }
        if wait > policy.patience && routes_left > 0 {
            return Err(NoRetry::TooLong(wait));
        }
        if usize::try_from(budget.left()).is_ok_and(|left| left <= routes_left) {
            return Err(NoRetry::BudgetSpent);
        }
        let draw = budget.draw().ok_or(NoRetry::BudgetSpent)?;
        // Last, so that a refusal elsewhere takes nothing from it.
        let token = match sent {
            true => Some(provider.try_retry(now).ok_or(NoRetry::ProviderBudgetSpent)?),
            false => None,
        };
        Ok(Self { draw, token, cause: Box::new(failure.clone()), not_before: now + wait })
    }

    /// The instant before which the try must not be made.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// What went wrong before.
    pub fn cause(&self) -> &Failure {
        &self.cause
    }

    /// The retry is sent: neither the attempt nor the token comes back.
    pub(crate) fn spend(self) {
        self.draw.spend();
        if let Some(token) = self.token {
            token.spend();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guard::RetryBudgetConfig;

    const SECOND: Duration = Duration::from_secs(1);

    fn plenty() -> Arc<RetryBudget> {
        Arc::new(RetryBudget::new(RetryBudgetConfig::default()).expect("valid"))
    }

    fn grant(
        failure: &Failure,
        retries: u32,
        budget: &AttemptBudget,
        timeout: Duration,
    ) -> Result<RetryPermit, NoRetry> {
        let now = Timestamp::EPOCH;
        let rng = &mut fastrand::Rng::with_seed(5);
        let deadline = Deadline::after(now, timeout);
        let circumstances = Circumstances { retries, sent: true, routes_left: 1, deadline, now };
        RetryPermit::grant(&RetryPolicy::default(), failure, circumstances, budget, &plenty(), rng)
    }

    #[test]
    fn reasons_not_to_retry() {
        let limited = |hint| Failure::new(ErrorKind::RateLimited, "").with_retry_after(Some(SECOND * hint));
        let server = Failure::new(ErrorKind::Server, "");
        let rejected = Failure::new(ErrorKind::Authentication, "");
        let cases = [
            (&rejected, 0, 9, 60, NoRetry::Pointless(ErrorKind::Authentication)),
            (&server, 2, 9, 60, NoRetry::RouteUsedUp),
            (&server, 0, 0, 60, NoRetry::BudgetSpent),
            (&server, 0, 1, 60, NoRetry::BudgetSpent), // the last is the other route's
            (&limited(30), 0, 9, 60, NoRetry::TooLong(SECOND * 30)),
            (&limited(5), 0, 9, 4, NoRetry::PastDeadline(SECOND * 5)),
        ];
        for (failure, retries, attempts, timeout, why) in cases {
            let budget = AttemptBudget::new(attempts);
            assert_eq!(grant(failure, retries, &budget, SECOND * timeout).map(drop), Err(why));
            assert_eq!(budget.left(), attempts, "a refusal consumes nothing");
        }
    }

    #[test]
    fn a_permit_not_used_gives_its_attempt_back() {
        let budget = AttemptBudget::new(2);
        let permit = grant(&Failure::new(ErrorKind::Server, ""), 0, &budget, SECOND * 60);
        assert_eq!(budget.left(), 1);
        drop(permit);
        assert_eq!(budget.left(), 2);
    }

    #[test]
    fn a_provider_whose_retries_are_used_up_gets_no_more() {
        let (now, budget) = (Timestamp::EPOCH, AttemptBudget::new(9));
        let none = RetryBudgetConfig { ratio: 0.0, floor: 0 };
        let provider = Arc::new(RetryBudget::new(none).expect("valid"));
        let rng = &mut fastrand::Rng::with_seed(5);
        let mut grant = |sent| {
            let deadline = Deadline::after(now, SECOND * 60);
            let circumstances = Circumstances { retries: 0, sent, routes_left: 1, deadline, now };
            let failure = Failure::new(ErrorKind::RateLimited, "");
            RetryPermit::grant(&RetryPolicy::default(), &failure, circumstances, &budget, &provider, rng)
                .map(drop)
        };
        assert_eq!(grant(true), Err(NoRetry::ProviderBudgetSpent));
        assert_eq!(grant(false), Ok(()), "what was never sent is no retry");
        assert_eq!(budget.left(), 9, "nothing was consumed");
    }

    proptest! {
        #[test]
        fn a_hint_is_never_shortened(seed: u64, hint in 0u64..20_000, retries in 0u32..4, kind in 0usize..ErrorKind::ALL.len()) {
            let failure = Failure::new(ErrorKind::ALL[kind], "").with_retry_after(Some(Duration::from_millis(hint)));
            let now = Timestamp::EPOCH;
            let circumstances =
                Circumstances { retries, sent: true, routes_left: 0, deadline: Deadline::after(now, SECOND * 15), now };
            let permit = RetryPermit::grant(
                &RetryPolicy::default(), &failure, circumstances, &AttemptBudget::new(1), &plenty(),
                &mut fastrand::Rng::with_seed(seed),
            );
            if let Ok(permit) = permit {
                prop_assert!(permit.not_before() >= now + Duration::from_millis(hint));
                prop_assert!(permit.not_before() < now + SECOND * 15);
            }
        }
    }
}
