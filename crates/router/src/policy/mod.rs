//! Policies order routes and do nothing else.
//!
//! A policy is a pure function of a snapshot: what is configured, what was
//! measured, the time and a random source. It sends nothing, waits for nothing
//! and remembers nothing.
//!
//! What holds for all of them: every candidate is in the order once. A
//! candidate of an earlier tier is before all of a later one (the keys of one
//! provider are a tier where a request names a model of a provider; all routes
//! of a configured model are one). Who would be refused is behind everybody
//! who would not, first the one that is back first.
//!
//! `docs/policies.md` has the invariant of each.

mod cheapest;
mod fastest;
mod least_busy;
mod sticky;
mod weighted;

use std::time::Duration;

use leverframe_core::{
    catalog::NanoDollars,
    choice::{Measure, PolicyName},
    guard::Refusal,
    time::Timestamp,
};

pub(crate) use sticky::fingerprint;

/// Which of several healthy routes is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// In the configured order.
    #[default]
    Priority,
    /// At random, in proportion to weights. A weight of 0 comes last.
    Weighted,
    /// Of two routes drawn at random the one with the lower expected time to
    /// the first token, times the requests under way on it and one more.
    Fastest {
        /// The share of requests, above 0 and up to 1, that go to a route that
        /// was not measured within the last five minutes, while there is one.
        /// Otherwise a route that was slow once would never be seen to have
        /// recovered.
        explore: f64,
    },
    /// By what the request is expected to cost: its estimated input, and as
    /// output [`Request::max_output_tokens`](crate::Request::max_output_tokens)
    /// or 1024 tokens. A model without a price comes last.
    Cheapest,
    /// The fewest requests under way first; among equals, at random.
    LeastBusy,
    /// One route for one [conversation](crate::Request::conversation), so that
    /// it finds its prompt cache again. Without a conversation as
    /// [`Policy::Priority`].
    Sticky,
}

impl Policy {
    /// [`Policy::Fastest`] that explores with one request in fifty.
    pub const fn fastest() -> Self {
        Self::Fastest { explore: 0.02 }
    }

    /// Its name, as configurations write it.
    pub const fn name(&self) -> PolicyName {
        match self {
            Self::Priority => PolicyName::Priority,
            Self::Weighted => PolicyName::Weighted,
            Self::Fastest { .. } => PolicyName::Fastest,
            Self::Cheapest => PolicyName::Cheapest,
            Self::LeastBusy => PolicyName::LeastBusy,
            Self::Sticky => PolicyName::Sticky,
        }
    }

    /// What is wrong with its settings.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Fastest { explore } if !(*explore > 0.0 && *explore <= 1.0) => {
                Err(format!("explore is {explore}; give a share above 0 and up to 1, for example 0.02"))
            }
            _ => Ok(()),
        }
    }
}

impl From<PolicyName> for Policy {
    /// The policy with its default settings.
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Priority => Self::Priority,
            PolicyName::Weighted => Self::Weighted,
            PolicyName::Fastest => Self::fastest(),
            PolicyName::Cheapest => Self::Cheapest,
            PolicyName::LeastBusy => Self::LeastBusy,
            PolicyName::Sticky => Self::Sticky,
        }
    }
}

/// A route as the policies see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Its place in the configuration. No two candidates have the same.
    pub(crate) position: u32,
    /// Policies order within a tier; the lower tier is first.
    pub(crate) tier: u32,
    /// Its share of the draw: finite, not negative.
    pub(crate) weight: f64,
    /// What [`fingerprint`] makes of its provider, key and model.
    pub(crate) fingerprint: u64,
    /// `None`: never measured.
    pub(crate) first_token: Option<FirstToken>,
    /// What this request would cost. `None`: not known, or nobody asks.
    pub(crate) price: Option<NanoDollars>,
    /// Requests under way on it.
    pub(crate) in_flight: u32,
    /// Who would refuse it. `None`: it is healthy.
    pub(crate) refusal: Option<Refusal>,
}

/// The time to the first token of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstToken {
    pub(crate) expected: Duration,
    /// When it was last measured.
    pub(crate) measured_at: Timestamp,
}

/// Puts the candidates in the order in which they are to be tried.
pub(crate) fn order(
    policy: &Policy,
    candidates: &mut [Candidate],
    conversation: Option<&str>,
    now: Timestamp,
    rng: &mut fastrand::Rng,
) {
    candidates.sort_by_key(|candidate| (candidate.tier, candidate.refusal.is_some(), candidate.position));
    for tier in candidates.chunk_by_mut(|a, b| a.tier == b.tier) {
        let healthy = tier.partition_point(|candidate| candidate.refusal.is_none());
        let (healthy, _) = tier.split_at_mut(healthy);
        match policy {
            Policy::Priority => {}
            Policy::Weighted => weighted::order(healthy, rng),
            Policy::Fastest { explore } => fastest::order(*explore, healthy, now, rng),
            Policy::Cheapest => cheapest::order(healthy),
            Policy::LeastBusy => least_busy::order(healthy, rng),
            Policy::Sticky => sticky::order(healthy, conversation),
        }
    }
    candidates.sort_by_key(|candidate| candidate.refusal.map(|refusal| refusal.until));
}

/// The number the policy orders a candidate by.
pub(crate) fn measure(policy: &Policy, candidate: &Candidate, conversation: Option<&str>) -> Measure {
    match (policy, conversation) {
        (Policy::Priority, _) | (Policy::Sticky, None) => Measure::Position(candidate.position),
        (Policy::Weighted, _) => Measure::Weight(candidate.weight),
        (Policy::Fastest { .. }, _) => Measure::FirstToken(candidate.first_token.map(|time| time.expected)),
        (Policy::Cheapest, _) => Measure::Price(candidate.price),
        (Policy::LeastBusy, _) => Measure::InFlight(candidate.in_flight),
        (Policy::Sticky, Some(conversation)) => Measure::Affinity(sticky::affinity(conversation, candidate)),
    }
}

#[cfg(test)]
mod tests;
