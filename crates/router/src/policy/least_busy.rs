//! The fewest requests under way first.
//!
//! Invariant: no route is behind one with more requests under way; among
//! equals every route is first equally often.

use super::Candidate;

pub(super) fn order(healthy: &mut [Candidate], rng: &mut fastrand::Rng) {
    rng.shuffle(healthy);
    healthy.sort_by_key(|candidate| candidate.in_flight);
}
