//! A limit guessed from the refusals of a provider that reports none.
//!
//! The classic rule of additive increase and multiplicative decrease: a 429
//! takes a quarter off, and as long as none comes the guess grows by a
//! twentieth per window, but only while it is what holds the traffic back.
//!
//! Four refinements. Fewer than [`MIN_REFUSALS`] in a window, or one among more
//! than [`ONE_IN`] admissions, are none of a limit. Requests that were out already when the guess was cut
//! were sent under the old one, so their refusals do not cut again. With fewer
//! than [`MIN_SAMPLE`] admissions in the window a refusal says little about a
//! limit per window, and a cut would keep a quiet caller waiting for a minute
//! where the provider's hint says a second. And a guess that no refusal
//! confirmed for [`FORGET_AFTER`] is forgotten: had it held anything back, it
//! would have grown eighteenfold by then.

use std::time::Duration;

use super::set::Ticket;
use crate::time::Timestamp;

/// Admissions in the window below which a refusal does not cut.
pub(super) const MIN_SAMPLE: u64 = 10;

/// Refusals in the window below which none cuts.
pub(super) const MIN_REFUSALS: u64 = 3;

/// One refusal in so many admissions of the window is none of a limit.
/// Providers also refuse at random when they are busy, and taking each of those
/// for a limit would bring the guess down to nothing.
pub(super) const ONE_IN: u64 = 200;

/// How long a guess lives that is not confirmed.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);

/// What is left of the capacity after a cut.
const CUT: f64 = 0.75;

/// Growth per window, as a share.
const GROWTH: f64 = 0.05;

/// A guessed capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    capacity: f64,
    /// The newest admission at the time of the last cut.
    cut_after: Ticket,
    /// When the last refusal came.
    limited_at: Timestamp,
    /// Until when growth is accounted for.
    grown_until: Timestamp,
}

impl Guess {
    /// A cut: a quarter less than `base`, what was admitted or could have been.
    pub(super) fn cut(base: u64, newest: Ticket, at: Timestamp) -> Self {
        let capacity = (base as f64 * CUT).max(1.0);
        Self { capacity, cut_after: newest, limited_at: at, grown_until: at }
    }

    /// A guess of an earlier process: no admission of this one belongs to its cut.
    pub(super) fn restored(capacity: u64, limited_at: Timestamp, at: Timestamp) -> Self {
        Self { capacity: capacity as f64, cut_after: Ticket::default(), limited_at, grown_until: at }
    }

    /// When the last refusal came.
    pub(super) fn limited_at(&self) -> Timestamp {
        self.limited_at
    }

    /// Whether a refusal of this admission belongs to the last cut.
    pub(super) fn covers(&self, ticket: Ticket) -> bool {
        ticket <= self.cut_after
    }

    /// Another refusal came.
    pub(super) fn confirm(&mut self, at: Timestamp) {
        self.limited_at = self.limited_at.max(at);
    }

    /// Whole units of the capacity, at least 1.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// Whether it is too old to go by.
    pub(super) fn is_stale(&self, at: Timestamp) -> bool {
        self.limited_at + FORGET_AFTER <= at
    }

    /// Grows for the time since it was last asked to, from a window after the
    /// last refusal on. Time in which the capacity was not `full` is lost.
    pub(super) fn grow(&mut self, full: bool, window: Duration, at: Timestamp) {
        let from = self.grown_until.max(self.limited_at + window);
        self.grown_until = self.grown_until.max(at);
        if full {
            let windows = at.since(from).min(window).as_secs_f64() / window.as_secs_f64();
            self.capacity += self.capacity * GROWTH * windows;
        }
    }
}
