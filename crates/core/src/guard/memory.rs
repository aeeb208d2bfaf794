//! What guards have learned, as it is written down for the next process.
//!
//! A restart must neither forget that a provider was down nor hand out the
//! day's budget a second time. What is out when it is written down counts as
//! used; what is reserved beyond that, and the learned latencies, are not kept.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Benched, Claim, LimitKind};
use crate::{
    catalog::Amount,
    model::{KeyLabel, ProviderName},
    record::{Attempt, Record},
    time::Timestamp,
};

/// What the guards of one route, or of one key, have learned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardMemory {
    /// Its breaker, unless there is nothing against the route. Keys have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerMemory>,
    /// The provider asked us to stay away until then. Keys have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Timestamp>,
    /// Whether it is, or was last, set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<BenchMemory>,
    /// Its limits that are partly used, or that the provider has told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitMemory>,
}

impl GuardMemory {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is against a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerMemory {
    /// Hard failures in a row, while it is closed.
    pub failures_in_a_row: u32,
    /// Until when it is open. Long ago for one that waits for its probe.
    pub open_until: Option<Timestamp>,
    /// How often it has opened since it was last closed.
    pub openings: u32,
}

/// The last bench of a key or a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchMemory {
    /// How it failed, and until when it is set aside.
    pub last: Benched,
    /// Benches in a row, without a success in between.
    pub row: u32,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitMemory {
    /// What it counts, and so the unit of the amounts.
    pub kind: LimitKind,
    /// How much may be used in its window; `None` where it is only counted.
    pub capacity: Option<u64>,
    /// What we used, by when it expires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<(Timestamp, u64)>,
    /// What others used by the provider's account, by when it expires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub theirs: Vec<(Timestamp, u64)>,
    /// The capacity the provider reported, and when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<(u64, Timestamp)>,
    /// The capacity that was guessed from the provider's refusals, and when the last came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guessed: Option<(u64, Timestamp)>,
}

impl LimitMemory {
    fn of(kind: LimitKind) -> Self {
        Self { kind, capacity: None, ours: Vec::new(), theirs: Vec::new(), reported: None, guessed: None }
    }

    /// How much of it is used at `now`.
    pub fn used(&self, now: Timestamp) -> u64 {
        let live = self.ours.iter().chain(&self.theirs).filter(|(expires, _)| *expires > now);
        live.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// When all of it is free again. `None` when nothing is used.
    pub fn resets_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.ours.iter().chain(&self.theirs).map(|(expires, _)| *expires).filter(|at| *at > now).max()
    }
}

/// The guards of a key (`model` is `None`), or of one model of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The provider.
    pub provider: ProviderName,
    /// Which of its keys.
    pub key: KeyLabel,
    /// The model as the provider names it; `None` for the key as a whole.
    pub model: Option<String>,
    /// What was learned.
    pub guards: GuardMemory,
}

/// What all guards of a process have learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// When it was written down.
    pub at: Timestamp,
    /// The guards there is something to remember of, in no order.
    pub guards: Vec<Remembered>,
}

impl Memory {
    /// Counts what requests took that were sent after the memory was written
    /// down, before the process ended.
    pub fn replay<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) {
        let mut places: HashMap<_, usize> = HashMap::new();
        for (place, one) in self.guards.iter().enumerate() {
            places.insert((one.provider.clone(), one.key.clone(), one.model.clone()), place);
        }
        let attempts = records.into_iter().flat_map(|record| &record.attempts);
        for attempt in attempts.filter(|attempt| attempt.sent && attempt.started_at > self.at) {
            for model in [None, Some(attempt.model.clone())] {
                let place = (attempt.provider.clone(), attempt.key.clone(), model);
                let place = *places.entry(place).or_insert_with_key(|(provider, key, model)| {
                    let (provider, key, model) = (provider.clone(), key.clone(), model.clone());
                    self.guards.push(Remembered { provider, key, model, guards: GuardMemory::default() });
                    self.guards.len() - 1
                });
                if let Some(one) = self.guards.get_mut(place) {
                    one.guards.count(attempt);
                }
            }
        }
    }
}

impl GuardMemory {
    /// Counts an attempt towards every limit there may be.
    fn count(&mut self, attempt: &Attempt) {
        let claim = claim(attempt);
        for (kind, window) in LimitKind::ALL.into_iter().filter_map(|kind| Some((kind, kind.window()?))) {
            let limit = match self.limits.iter().position(|limit| limit.kind == kind) {
                Some(place) => self.limits.get_mut(place),
                None => {
                    self.limits.push(LimitMemory::of(kind));
                    self.limits.last_mut()
                }
            };
            if let Some(limit) = limit {
                limit.ours.push((attempt.started_at + window, kind.share(&claim)));
            }
        }
    }
}

/// What an attempt took, as far as anybody said.
fn claim(attempt: &Attempt) -> Claim {
    let cost = match attempt.cost.map(|cost| cost.amount) {
        Some(Amount::Exact(nanos) | Amount::Estimated(nanos)) => nanos,
        Some(Amount::Unknown(_)) | None => Default::default(),
    };
    Claim {
        input_tokens: attempt.usage.input_total().unwrap_or(0),
        output_tokens: attempt.usage.output_total().unwrap_or(0),
        cost,
    }
}

/// Whoever has guards and can say what they have learned: a router.
pub trait Remembers: Send + Sync {
    /// What the guards have learned. Called by the log's writer, about once a
    /// second while there is traffic, and when it closes.
    fn memory(&self) -> Memory;
}

/// A bound for what comes from a file: nothing that is remembered lies further
/// ahead than this.
pub(super) fn at_most(until: Timestamp, now: Timestamp, longest: Duration) -> Timestamp {
    until.min(now + longest)
}

#[cfg(test)]
mod tests;
