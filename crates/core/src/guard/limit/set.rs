//! The limits of one scope, asked in one decision.

use std::time::Duration;

use serde::Serialize;

use super::{Claim, LimitKind, Limits, Observation, Scope, meter::Meter};
use crate::{
    guard::{ConfigError, LimitMemory},
    time::Timestamp,
};

/// How far a caller's clock may lag the latest caller's and still be counted
/// at its own time: a second.
const LAG_NANOS: u64 = 1_000_000_000;

/// When to ask again where all places are taken. No one knows when a request
/// will end; who can, waits to be told that one has
/// ([`Watcher::released`](crate::guard::Watcher::released)).
const CONCURRENCY_STEP: Duration = Duration::from_millis(100);

/// Counts the admissions of a set; tells earlier from later ones where the
/// clock does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::guard) struct Ticket(u64);

/// The limits of one scope. Every method expects the time that
/// [`time`](Self::time) made of the caller's.
#[derive(Clone, Debug)]
pub(in crate::guard) struct LimitSet {
    scope: Scope,
    adaptive: bool,
    meters: Vec<Meter>,
    concurrency: Option<u64>,
    in_flight: u64,
    /// The newest admission.
    newest: Ticket,
    /// The latest time a caller came with.
    latest: Timestamp,
}

/// What an admission took of a set.
#[derive(Clone, Copy, Debug)]
pub(in crate::guard) struct Held<'a> {
    pub(in crate::guard) claim: &'a Claim,
    pub(in crate::guard) at: Timestamp,
    pub(in crate::guard) ticket: Ticket,
}

/// A capacity that is another now. `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guard) struct CapacityChange {
    pub(in crate::guard) kind: LimitKind,
    pub(in crate::guard) from: Option<u64>,
    pub(in crate::guard) to: Option<u64>,
}

impl CapacityChange {
    /// Whether a request that was refused may fit now.
    pub(in crate::guard) fn is_raise(&self) -> bool {
        match (self.from, self.to) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(from), Some(to)) => to > from,
        }
    }
}

/// One limit at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitStatus {
    /// Whom it concerns.
    pub scope: Scope,
    /// What it counts, and so the unit of the amounts.
    pub kind: LimitKind,
    /// How much is used in the window that ends now, by us or, as the provider
    /// says, by others.
    pub used: u64,
    /// How much of that is claimed by requests that are not over.
    pub reserved: u64,
    /// How much may be used. `None` when there is no limit, only a count.
    pub capacity: Option<u64>,
    /// What was configured. The capacity may be lower.
    pub configured: Option<u64>,
    /// When the next part of what is used will be free. `None` when nothing is
    /// used, and for concurrency, where nobody knows.
    pub frees_at: Option<Timestamp>,
}

impl LimitSet {
    /// The limits of a key or a route, unused.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that makes no sense.
    pub(in crate::guard) fn new(scope: Scope, limits: &Limits) -> Result<Self, ConfigError> {
        limits.check()?;
        let adaptive = limits.adaptive && scope == Scope::Route;
        let counted = |kind: &LimitKind| {
            // What is learned from a 429 is learned from how much was sent.
            limits.of(*kind).is_some() || (adaptive && *kind == LimitKind::RequestsPerMinute)
        };
        let meter = |kind| Meter::new(kind, limits.of(kind), Ticket::default());
        Ok(Self {
            scope,
            adaptive,
            meters: LimitKind::ALL.into_iter().filter(counted).filter_map(meter).collect(),
            concurrency: limits.concurrency,
            in_flight: 0,
            newest: Ticket::default(),
            latest: Timestamp::EPOCH,
        })
    }

    /// The time a caller who comes with `now` is counted at.
    pub(in crate::guard) fn time(&self, now: Timestamp) -> Timestamp {
        now.max(self.edge())
    }

    /// The earliest time anybody is still counted at.
    fn edge(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.latest.unix_nanos().saturating_sub(LAG_NANOS))
    }

    /// Time has come to `at`. Forgets what no longer counts, and lets guesses
    /// grow.
    pub(in crate::guard) fn advance(&mut self, at: Timestamp) -> Option<CapacityChange> {
        self.latest = self.latest.max(at);
        let edge = self.edge();
        let mut change = None;
        for meter in &mut self.meters {
            // Only requests per minute are guessed, so there is one change at most.
            let changed = changing(meter, |meter| meter.advance(edge, at));
            change = change.or(changed);
        }
        change
    }

    /// The limit that refuses longest, and until when.
    pub(in crate::guard) fn refusal(&self, claim: &Claim, at: Timestamp) -> Option<(LimitKind, Timestamp)> {
        let full = self.concurrency.is_some_and(|most| self.in_flight >= most);
        let waits = self
            .meters
            .iter()
            .filter_map(|meter| Some((meter.kind, meter.refuses_until(meter.kind.share(claim), at)?)))
            .chain(full.then(|| (LimitKind::Concurrency, at + CONCURRENCY_STEP)));
        waits.max_by_key(|(_, until)| *until)
    }

    /// Takes a claim that [`refusal`](Self::refusal) did not refuse.
    pub(in crate::guard) fn take(&mut self, claim: &Claim, at: Timestamp) -> Ticket {
        for meter in &mut self.meters {
            meter.take(meter.kind.share(claim), at);
        }
        self.in_flight += 1;
        self.newest = Ticket(self.newest.0 + 1);
        self.newest
    }

    /// Gives everything back: the request was never sent. Whether that leaves
    /// room for another.
    pub(in crate::guard) fn refund(&mut self, held: Held<'_>) -> bool {
        self.end(held, |_| 0)
    }

    /// The request is over and took this. Whether that leaves room for another.
    pub(in crate::guard) fn settle(&mut self, held: Held<'_>, took: &Claim) -> bool {
        self.end(held, |kind| kind.share(took))
    }

    fn end(&mut self, Held { claim, at, ticket }: Held<'_>, took: impl Fn(LimitKind) -> u64) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let mut room = self.concurrency.is_some();
        for meter in &mut self.meters {
            room |= meter.settle(meter.kind.share(claim), took(meter.kind), ticket, at);
        }
        room
    }

    /// The provider has refused the request admitted with `ticket` for its
    /// rate.
    pub(in crate::guard) fn limited(&mut self, ticket: Ticket, at: Timestamp) -> Option<CapacityChange> {
        let newest = self.newest;
        let meter = self.meters.iter_mut().find(|meter| meter.kind == LimitKind::RequestsPerMinute);
        let meter = meter.filter(|_| self.adaptive)?;
        changing(meter, |meter| meter.limited(ticket, newest, at))
    }

    /// The provider has said this of one of its limits.
    pub(in crate::guard) fn observe(&mut self, said: &Observation, at: Timestamp) -> Option<CapacityChange> {
        if !self.adaptive {
            return None;
        }
        let known = self.meters.iter().position(|meter| meter.kind == said.kind);
        if known.is_none() && said.limit.is_some() {
            self.meters.extend(Meter::new(said.kind, None, self.newest));
        }
        let meter = self.meters.iter_mut().find(|meter| meter.kind == said.kind)?;
        changing(meter, |meter| meter.observe(said, at))
    }

    pub(in crate::guard) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Whether it holds nothing that a later request must know of.
    pub(in crate::guard) fn is_idle(&self, at: Timestamp) -> bool {
        self.in_flight == 0 && self.meters.iter().all(|meter| meter.is_idle(at))
    }

    /// What the next process must know of each limit.
    pub(in crate::guard) fn memory(&self, at: Timestamp) -> Vec<LimitMemory> {
        self.meters.iter().filter_map(|meter| meter.memory(at)).collect()
    }

    /// Takes up where the limits of an earlier process left off. Those that are
    /// no longer configured are passed over.
    pub(in crate::guard) fn restore(&mut self, memories: &[LimitMemory], now: Timestamp) {
        for memory in memories {
            let known = self.meters.iter().any(|meter| meter.kind == memory.kind);
            if !known && self.adaptive && memory.reported.is_some() {
                self.meters.extend(Meter::new(memory.kind, None, self.newest));
            }
            if let Some(meter) = self.meters.iter_mut().find(|meter| meter.kind == memory.kind) {
                meter.restore(memory, self.adaptive, now);
            }
        }
    }

    /// Counts what a request took in an earlier process, where it began at `began`.
    pub(in crate::guard) fn recall(&mut self, took: &Claim, began: Timestamp, now: Timestamp) {
        for meter in &mut self.meters {
            meter.recall(meter.kind.share(took), began, now);
        }
    }

    /// Every limit, and every count.
    pub(in crate::guard) fn status(&self, at: Timestamp) -> impl Iterator<Item = LimitStatus> {
        let windows = self.meters.iter().map(move |meter| LimitStatus {
            scope: self.scope,
            kind: meter.kind,
            used: meter.used(at),
            reserved: meter.reserved,
            capacity: meter.capacity(),
            configured: meter.configured,
            frees_at: meter.frees_at(at),
        });
        windows.chain(self.concurrency.map(|most| LimitStatus {
            scope: self.scope,
            kind: LimitKind::Concurrency,
            used: self.in_flight,
            reserved: self.in_flight,
            capacity: Some(most),
            configured: Some(most),
            frees_at: None,
        }))
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.meters.iter().map(Meter::entries).sum()
    }
}

fn changing(meter: &mut Meter, change: impl FnOnce(&mut Meter)) -> Option<CapacityChange> {
    let from = meter.capacity();
    change(meter);
    let to = meter.capacity();
    (from != to).then_some(CapacityChange { kind: meter.kind, from, to })
}
