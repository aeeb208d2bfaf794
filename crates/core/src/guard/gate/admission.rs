//! Permission to send.

use std::sync::Arc;

use super::{Gate, Taken};
use crate::{error::Failure, guard::Spent, time::Timestamp};

/// Permission to send one request on one route. Only a [`Gate`] grants it.
///
/// Dropped before the send it gives everything back. Dropped after it without
/// an outcome, it gives back its place and the breaker's pass; the request and
/// what it was estimated to take stay counted, as the provider has begun.
#[derive(Debug)]
#[must_use = "a dropped admission is given back"]
pub struct Admission {
    gate: Arc<Gate>,
    /// Given back exactly once, by `settle` or by `drop`.
    taken: Option<Taken>,
    sent: bool,
}

/// The one place where an admission is made.
pub(super) fn grant(gate: Arc<Gate>, taken: Taken) -> Admission {
    Admission { gate, taken: Some(taken), sent: false }
}

impl Admission {
    #[cfg(test)]
    pub(super) fn counted_at(&self) -> Timestamp {
        self.taken.as_ref().map_or(Timestamp::EPOCH, |taken| taken.at)
    }

    pub(crate) fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// The request is over: the guards learn what came of it, and what it took
    /// replaces what it claimed.
    pub(crate) fn settle(mut self, outcome: Result<(), &Failure>, spent: &Spent, now: Timestamp) {
        if let Some(taken) = self.taken.take() {
            self.gate.learn(taken, outcome, spent, now);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.gate.abandon(taken, self.sent);
        }
    }
}
