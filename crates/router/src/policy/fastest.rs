//! The power of two random choices, over the expected time to the first token.
//!
//! Sending everything to the one fastest route makes it the slowest: each
//! caller decides on numbers that are older than the load its decision adds.
//! The better of two drawn at random is close to the best and does not herd
//! (Mitzenmacher 2001). The number is the expected time, times the requests
//! under way and one more: what is already waiting there is waited for.
//!
//! A route that is never asked is never measured. So a share of the requests
//! goes to the routes nobody has measured lately, as long as there are any; if
//! there are only such, one is drawn.
//!
//! Invariants: the first place is never worse than the worse of the two drawn;
//! the slowest of two or more measured routes is never first; a cold route
//! is first with at least the share set aside, divided by the cold routes.

use std::time::Duration;

use leverframe_core::time::Timestamp;

use super::Candidate;

/// A measurement older than this says nothing any more.
pub(super) const COLD_AFTER: Duration = Duration::from_secs(300);

pub(super) fn order(explore: f64, healthy: &mut [Candidate], now: Timestamp, rng: &mut fastrand::Rng) {
    healthy.sort_by(|a, b| is_cold(a, now).cmp(&is_cold(b, now)).then_with(|| load(a).total_cmp(&load(b))));
    let warm = healthy.partition_point(|candidate| !is_cold(candidate, now));
    let cold = healthy.len() - warm;
    let first = if cold > 0 && (warm == 0 || rng.f64() < explore) {
        warm + rng.usize(..cold)
    } else if warm > 1 {
        // They are sorted: of two places the lower is the better.
        let (one, other) = (rng.usize(..warm), rng.usize(..warm - 1));
        // Not the same one twice.
        one.min(if other >= one { other + 1 } else { other })
    } else {
        0
    };
    if let Some(up_to_first) = healthy.get_mut(..=first) {
        up_to_first.rotate_right(1);
    }
}

pub(super) fn is_cold(candidate: &Candidate, now: Timestamp) -> bool {
    candidate.first_token.is_none_or(|time| now.since(time.measured_at) > COLD_AFTER)
}

/// Seconds until a request sent there now may expect its first token. One that
/// was never measured is behind all that were.
pub(super) fn load(candidate: &Candidate) -> f64 {
    let alone = candidate.first_token.map_or(f64::INFINITY, |time| time.expected.as_secs_f64());
    alone * (f64::from(candidate.in_flight) + 1.0)
}
