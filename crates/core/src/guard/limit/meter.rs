//! One limit with a window: what it may hold and what it holds.

use std::{cmp::Ordering, time::Duration};

use super::{
    LimitKind, Observation,
    adaptive::{Guess, MIN_REFUSALS, MIN_SAMPLE, ONE_IN},
    log::{Cell, SlidingLog},
    set::Ticket,
};
use crate::{guard::LimitMemory, time::Timestamp};

/// Most that is counted for one request, so that no report can overflow a sum.
const MOST: u64 = 1 << 48;

/// One limit with a window.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) kind: LimitKind,
    window: Duration,
    pub(super) configured: Option<u64>,
    /// The provider's figure and when it came.
    observed: Option<(u64, Timestamp)>,
    guess: Option<Guess>,
    /// The provider's refusals.
    refused: SlidingLog,
    /// What our requests took.
    own: SlidingLog,
    /// What others took by the provider's account, until its reset.
    foreign: SlidingLog,
    /// What is claimed by requests that are not over.
    pub(super) reserved: u64,
    /// Admissions up to this one were made before it began to count.
    born: Ticket,
}

impl Meter {
    /// A meter that counts from the admission after `born` on. `None` for a
    /// kind without a window.
    pub(super) fn new(kind: LimitKind, configured: Option<u64>, born: Ticket) -> Option<Self> {
        let window = kind.window()?;
        Some(Self {
            kind,
            window,
            configured,
            observed: None,
            guess: None,
            refused: SlidingLog::new(window),
            own: SlidingLog::new(window),
            foreign: SlidingLog::new(window),
            reserved: 0,
            born,
        })
    }

    /// The least of what was configured, reported and guessed.
    pub(super) fn capacity(&self) -> Option<u64> {
        let observed = self.observed.map(|(limit, _)| limit);
        let guess = self.guess.map(|guess| guess.capacity());
        [self.configured, observed, guess].into_iter().flatten().min()
    }

    pub(super) fn used(&self, at: Timestamp) -> u64 {
        self.own.used(at).saturating_add(self.foreign.used(at))
    }

    /// When the next part of what is used will be free.
    pub(super) fn frees_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.expiring(at).find(|cell| cell.amount > 0).map(|cell| cell.expires)
    }

    /// From when `amount` fits, if not now.
    pub(super) fn refuses_until(&self, amount: u64, at: Timestamp) -> Option<Timestamp> {
        let capacity = self.capacity()?;
        let amount = amount.clamp(1, MOST);
        let used = self.used(at);
        if used == 0 || used.saturating_add(amount) <= capacity {
            return None;
        }
        // A claim that never fits waits for the window to be empty.
        let may_stay = capacity.saturating_sub(amount);
        let mut left = used;
        self.expiring(at)
            .find(|cell| {
                left = left.saturating_sub(cell.amount);
                left <= may_stay
            })
            .map(|cell| cell.expires)
    }

    pub(super) fn take(&mut self, amount: u64, at: Timestamp) {
        let amount = amount.min(MOST);
        self.own.add(at + self.window, amount);
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// The request admitted at `at` with `ticket` is over: `was` becomes `is`.
    /// Whether that leaves room.
    pub(super) fn settle(&mut self, was: u64, is: u64, ticket: Ticket, at: Timestamp) -> bool {
        if ticket <= self.born {
            return false;
        }
        let (was, is) = (was.min(MOST), is.min(MOST));
        self.reserved = self.reserved.saturating_sub(was);
        self.own.replace(at + self.window, was, is);
        is < was && self.capacity().is_some()
    }

    /// Forgets what has expired at `edge`, and lets a guess grow until `at`.
    pub(super) fn advance(&mut self, edge: Timestamp, at: Timestamp) {
        self.own.prune(edge);
        self.foreign.prune(edge);
        if self.guess.is_some() {
            self.grow(at);
        }
    }

    fn grow(&mut self, at: Timestamp) {
        // At least four fifths full; a share of 5 parts in integers.
        let full = self
            .capacity()
            .is_some_and(|capacity| self.used(at).saturating_mul(5) >= capacity.saturating_mul(4));
        let ceiling = [self.configured, self.observed.map(|(limit, _)| limit)].into_iter().flatten().min();
        self.guess = self.guess.take().filter(|guess| !guess.is_stale(at)).and_then(|mut guess| {
            guess.grow(full, self.window, at);
            ceiling.is_none_or(|most| guess.capacity() < most).then_some(guess)
        });
    }

    /// The provider refused the request admitted with `ticket`. `newest` is
    /// the last admission there was.
    pub(super) fn limited(&mut self, ticket: Ticket, newest: Ticket, at: Timestamp) {
        if self.observed.is_some_and(|(_, when)| when + self.window > at) {
            return; // the provider says what its limit is: nothing to guess
        }
        let admitted = self.own.used(at);
        self.refused.prune(at);
        self.refused.add(at + self.window, 1);
        let refused = self.refused.used(at);
        if refused < MIN_REFUSALS || refused.saturating_mul(ONE_IN) < admitted {
            return; // now and then a provider refuses for reasons of its own
        }
        if let Some(guess) = &mut self.guess {
            guess.confirm(at);
            if guess.covers(ticket) {
                return;
            }
        }
        if admitted >= MIN_SAMPLE {
            let base = self.capacity().map_or(admitted, |capacity| capacity.min(admitted));
            self.guess = Some(Guess::cut(base, newest, at));
        }
    }

    /// The provider has said this of the limit.
    pub(super) fn observe(&mut self, said: &Observation, at: Timestamp) {
        if let Some(limit) = said.limit {
            // A limit of nothing still lets one through when all is quiet: how
            // else would one notice that it was raised?
            self.observed = Some((limit.clamp(1, MOST), at));
            self.guess = None;
        }
        let (Some(remaining), Some(capacity)) = (said.remaining, self.capacity()) else { return };
        let latest = at + self.window;
        let resets_at = said.resets_at.unwrap_or(latest).min(latest);
        let left = capacity.saturating_sub(self.used(at));
        if resets_at > at && remaining < left {
            self.foreign.add(resets_at, left - remaining);
        }
    }

    /// What the next process must know. `None` when that is nothing.
    pub(super) fn memory(&self, at: Timestamp) -> Option<LimitMemory> {
        let live = |log: &SlidingLog| -> Vec<_> {
            let cells = log.live(at).filter(|cell| cell.amount > 0);
            cells.map(|cell| (cell.expires, cell.amount)).collect()
        };
        let (ours, theirs) = (live(&self.own), live(&self.foreign));
        let guess = self.guess.filter(|guess| !guess.is_stale(at));
        if ours.is_empty() && theirs.is_empty() && self.observed.is_none() && guess.is_none() {
            return None;
        }
        Some(LimitMemory {
            kind: self.kind,
            capacity: self.capacity(),
            ours,
            theirs,
            reported: self.observed,
            guessed: guess.map(|guess| (guess.capacity(), guess.limited_at())),
        })
    }

    /// Takes up where a meter of an earlier process left off. What its provider
    /// said, and what was guessed, is taken over where limits are `adaptive`.
    pub(super) fn restore(&mut self, memory: &LimitMemory, adaptive: bool, at: Timestamp) {
        let latest = at + self.window;
        for (log, cells) in [(&mut self.own, &memory.ours), (&mut self.foreign, &memory.theirs)] {
            for &(expires, amount) in cells.iter().filter(|(expires, _)| *expires > at) {
                log.add(expires.min(latest), amount.min(MOST));
            }
        }
        if adaptive {
            self.observed = memory.reported.map(|(limit, when)| (limit.clamp(1, MOST), when.min(at)));
            let guess =
                |(limit, when): (u64, Timestamp)| Guess::restored(limit.clamp(1, MOST), when.min(at), at);
            self.guess = memory.guessed.map(guess).filter(|guess| !guess.is_stale(at));
        }
    }

    /// Counts what was taken in an earlier process, at `began`.
    pub(super) fn recall(&mut self, amount: u64, began: Timestamp, at: Timestamp) {
        let expires = began.min(at) + self.window;
        if expires > at {
            self.own.add(expires, amount.min(MOST));
        }
    }

    /// Whether it holds nothing that a later request must know of.
    pub(super) fn is_idle(&self, at: Timestamp) -> bool {
        self.guess.is_none_or(|guess| guess.is_stale(at)) && (self.capacity().is_none() || self.used(at) == 0)
    }

    /// What counts, ours and others', in the order in which it expires.
    fn expiring(&self, at: Timestamp) -> impl Iterator<Item = Cell> {
        let mut own = self.own.live(at).peekable();
        let mut foreign = self.foreign.live(at).peekable();
        std::iter::from_fn(move || match (own.peek(), foreign.peek()) {
            (Some(ours), Some(theirs)) if ours.expires.cmp(&theirs.expires) == Ordering::Greater => {
                foreign.next()
            }
            (Some(_), _) => own.next(),
            (None, _) => foreign.next(),
        })
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.own.len() + self.foreign.len()
    }
}
