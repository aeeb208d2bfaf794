//! At random, in proportion to weights.
//!
//! Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006):
//! each item gets the key u^(1/w), u uniform; the items by falling keys are a
//! draw without replacement in proportion to the weights. The logarithm of the
//! key gives the same order and does not underflow.
//!
//! Invariant: the first place falls to each route in proportion to its weight;
//! a weight of 0 is behind all others.

use super::Candidate;

pub(super) fn order(healthy: &mut [Candidate], rng: &mut fastrand::Rng) {
    let mut keyed: Vec<_> = healthy
        .iter()
        // From (0, 1]: the logarithm of 0 would put any weight last.
        .map(|candidate| (candidate.weight == 0.0, (1.0 - rng.f64()).ln() / candidate.weight, *candidate))
        .collect();
    keyed.sort_by(|(a_last, a_key, a), (b_last, b_key, b)| {
        a_last.cmp(b_last).then_with(|| match a_last {
            true => a.position.cmp(&b.position),
            false => b_key.total_cmp(a_key),
        })
    });
    for (place, (_, _, candidate)) in healthy.iter_mut().zip(keyed) {
        *place = candidate;
    }
}
