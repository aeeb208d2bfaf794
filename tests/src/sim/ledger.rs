//! Who has left and what was recorded: what both ends of the simulation know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use leverframe_router::{Record, Recorder};
use tokio::time::Instant;

/// A lock under which nothing panics, or the test has failed anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Callers that have left before their answer, and when.
#[derive(Debug, Default)]
pub(super) struct Departures(Mutex<HashMap<u64, Instant>>);

impl Departures {
    pub(super) fn leave(&self, call: u64) {
        lock(&self.0).insert(call, Instant::now());
    }

    pub(super) fn left_at(&self, call: u64) -> Option<Instant> {
        lock(&self.0).get(&call).copied()
    }
}

/// What the router says of itself.
#[derive(Debug)]
pub(super) struct Watch {
    names: Arc<[String]>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    records: u64,
    /// Of these, the ones whose journals do not replay to an end.
    illegal: u64,
    /// Attempts that were sent, by provider.
    sent: Vec<u64>,
    last: Option<Arc<Record>>,
}

impl Watch {
    pub(super) fn new(names: Arc<[String]>) -> Self {
        let sent = vec![0; names.len()];
        Self { names, seen: Mutex::new(Seen { records: 0, illegal: 0, sent, last: None }) }
    }

    /// Does something and returns the record that was handed in meanwhile.
    pub(super) fn during(&self, action: impl FnOnce()) -> Option<Arc<Record>> {
        lock(&self.seen).last = None;
        action();
        lock(&self.seen).last.take()
    }

    pub(super) fn records(&self) -> u64 {
        lock(&self.seen).records
    }

    /// Records whose journals do not replay to an end.
    pub(super) fn illegal(&self) -> u64 {
        lock(&self.seen).illegal
    }

    /// Attempts that were sent, by provider.
    pub(super) fn sent(&self) -> Vec<u64> {
        lock(&self.seen).sent.clone()
    }
}

impl Recorder for Watch {
    fn record(&self, record: &Arc<Record>) {
        let mut seen = lock(&self.seen);
        seen.records += 1;
        seen.illegal += u64::from(!record.journal.replay().is_ok_and(|state| state.is_terminal()));
        for attempt in record.attempts.iter().filter(|attempt| attempt.sent) {
            if let Some(nth) = self.names.iter().position(|name| name == attempt.provider.as_str()) {
                seen.sent[nth] += 1;
            }
        }
        seen.last = Some(Arc::clone(record));
    }
}
