//! A gate at one time, for metrics and for people.

use serde::Serialize;

use crate::{
    guard::{BreakerState, LimitStatus, health::Benched},
    time::Timestamp,
};

/// A gate at one time. Taken under one lock, so that its parts agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateStatus {
    /// Where the route's breaker stands.
    pub breaker: BreakerState,
    /// Until when the provider asked us to stay away.
    pub hold: Option<Timestamp>,
    /// Whether the key is set aside.
    pub benched_key: Option<Benched>,
    /// Whether the route is set aside.
    pub benched_route: Option<Benched>,
    /// The key's limits and counts, then the route's.
    pub limits: Vec<LimitStatus>,
    /// Requests of this route that were admitted and are not over.
    pub in_flight: u64,
    /// Requests of the whole key that were admitted and are not over.
    pub key_in_flight: u64,
}
