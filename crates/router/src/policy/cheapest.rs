//! By the price of this request.
//!
//! Invariant: no route is behind one that costs more or has no price; equal
//! prices keep the configured order.

use super::Candidate;

pub(super) fn order(healthy: &mut [Candidate]) {
    healthy.sort_by_key(|candidate| (candidate.price.is_none(), candidate.price, candidate.position));
}
