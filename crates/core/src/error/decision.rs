//! What may be done about a failure.
//!
//! One exhaustive `match` without a wildcard: a new kind of failure does not
//! compile until someone has decided what it means.

use super::{Clock, ErrorKind};

/// What may be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the same route may be tried again.
    pub same_route: SameRoute,
    /// Whether the next route may be tried.
    pub next_route: NextRoute,
    /// Whether the failure speaks against the route's health.
    pub breaker: BreakerEffect,
    /// Whether something is set aside, because trying it again soon is pointless.
    pub bench: Bench,
}

/// Whether the same route may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameRoute {
    /// No.
    Never,
    /// Yes, after a backoff with full jitter, or the provider's hint if longer.
    Backoff,
    /// Yes, if the wait the provider asks for fits the patience and the deadline.
    WaitForHint,
}

/// Whether the next route may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRoute {
    /// No: it would fail there as well, or must not be tried.
    Never,
    /// Yes, when the same route may not be tried again.
    Yes,
    /// Yes, if its context window is larger.
    LargerWindow,
    /// Only if the caller has asked for that.
    IfAsked,
    /// Only by resuming, which needs a
    /// [`ResumePlan`](crate::lifecycle::ResumePlan): the caller has read part
    /// of the answer.
    Resume,
}

/// Whether a failure speaks against the route's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerEffect {
    /// It counts as a failure.
    Counts,
    /// It says nothing: the route did what it should, or was not asked.
    Neutral,
}

/// What is set aside after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// Nothing.
    Nothing,
    /// The API key, on all its routes.
    Key,
    /// This route: the provider does not know the model, or the key may not use it.
    Route,
}

/// Whether the caller has seen any of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing was handed over: trying again is invisible.
    Unseen,
    /// Something was handed over.
    Seen,
}

impl ErrorKind {
    /// What may be done about a failure of this kind.
    pub const fn decision(self, exposure: Exposure) -> Decision {
        let decision = self.when_unseen();
        match exposure {
            Exposure::Unseen => decision,
            Exposure::Seen => Decision {
                same_route: SameRoute::Never,
                next_route: match (decision.same_route, decision.next_route) {
                    (SameRoute::Never, NextRoute::Never) => NextRoute::Never,
                    (_, NextRoute::IfAsked) => NextRoute::Never,
                    (_, _) => NextRoute::Resume,
                },
                ..decision
            },
        }
    }

    const fn when_unseen(self) -> Decision {
        use BreakerEffect::{Counts, Neutral};
        use NextRoute::{IfAsked, LargerWindow, Never, Yes};

        let (same_route, next_route, breaker, bench) = match self {
            Self::Network | Self::Server | Self::Overloaded => {
                (SameRoute::Backoff, Yes, Counts, Bench::Nothing)
            }
            Self::Timeout(Clock::Connect) => (SameRoute::Backoff, Yes, Counts, Bench::Nothing),
            Self::Timeout(Clock::Headers | Clock::FirstToken | Clock::Idle | Clock::Total) => {
                (SameRoute::Never, Yes, Counts, Bench::Nothing)
            }
            Self::RateLimited => (SameRoute::WaitForHint, Yes, Neutral, Bench::Nothing),
            Self::QuotaExhausted | Self::Authentication => (SameRoute::Never, Yes, Neutral, Bench::Key),
            // A key that may not use one model may use others: one caller's
            // mistake must not take the key from everybody.
            Self::Permission | Self::ModelNotFound => (SameRoute::Never, Yes, Neutral, Bench::Route),
            Self::ContextLength => (SameRoute::Never, LargerWindow, Neutral, Bench::Nothing),
            Self::Unreadable => (SameRoute::Never, Yes, Counts, Bench::Nothing),
            Self::Interrupted => (SameRoute::Backoff, Yes, Counts, Bench::Nothing),
            Self::Refused => (SameRoute::Never, IfAsked, Neutral, Bench::Nothing),
            Self::Unsupported => (SameRoute::Never, Yes, Neutral, Bench::Nothing),
            Self::InvalidRequest => (SameRoute::Never, Never, Neutral, Bench::Nothing),
            Self::CircuitOpen => (SameRoute::Never, Yes, Neutral, Bench::Nothing),
            // No other route has another log.
            Self::NotRecorded => (SameRoute::Never, Never, Neutral, Bench::Nothing),
            Self::Cancelled | Self::DeadlineExceeded => (SameRoute::Never, Never, Neutral, Bench::Nothing),
        };
        Decision { same_route, next_route, breaker, bench }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_again_once_the_caller_has_seen_something() {
        for kind in ErrorKind::ALL {
            let decision = kind.decision(Exposure::Seen);
            assert_eq!(decision.same_route, SameRoute::Never, "{kind}");
            assert!(matches!(decision.next_route, NextRoute::Never | NextRoute::Resume), "{kind}");
        }
    }

    #[test]
    fn exposure_does_not_change_whose_fault_it_is() {
        for kind in ErrorKind::ALL {
            let (unseen, seen) = (kind.decision(Exposure::Unseen), kind.decision(Exposure::Seen));
            assert_eq!((unseen.breaker, unseen.bench), (seen.breaker, seen.bench), "{kind}");
        }
    }

    #[test]
    fn what_may_be_retried_may_also_move_on() {
        for kind in ErrorKind::ALL {
            let decision = kind.decision(Exposure::Unseen);
            if decision.same_route != SameRoute::Never {
                assert_eq!(decision.next_route, NextRoute::Yes, "{kind}");
            }
        }
    }
}
