//! What the routes of one API key share.

use std::sync::{Arc, Mutex, MutexGuard};

use super::lock;
use crate::{
    guard::{
        ConfigError, GuardMemory, HealthConfig, LimitStatus, Limits, Scope, Watcher, health::Bench,
        limit::LimitSet,
    },
    time::Timestamp,
};

/// What all routes that use one API key share: its limits and its health.
#[derive(Debug)]
pub struct KeyGuard {
    state: Mutex<KeyState>,
    pub(super) health: HealthConfig,
    pub(super) watcher: Option<Arc<dyn Watcher>>,
}

#[derive(Debug)]
pub(super) struct KeyState {
    pub(super) limits: LimitSet,
    pub(super) bench: Bench,
}

impl KeyGuard {
    /// A healthy key with these limits.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that makes no sense.
    pub fn new(limits: Limits) -> Result<Self, ConfigError> {
        let limits = LimitSet::new(Scope::Key, &limits)?;
        let state = Mutex::new(KeyState { limits, bench: Bench::default() });
        Ok(Self { state, health: HealthConfig::default(), watcher: None })
    }

    /// How long the key, and any route that uses it, is set aside.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting that makes no sense.
    pub fn with_health(self, health: HealthConfig) -> Result<Self, ConfigError> {
        health.check()?;
        Ok(Self { health, ..self })
    }

    /// Who hears what becomes of the key, whichever gate it came from.
    #[must_use]
    pub fn with_watcher(self, watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// The key's limits and counts at `now`.
    pub fn limits(&self, now: Timestamp) -> Vec<LimitStatus> {
        let key = self.lock();
        key.limits.status(key.limits.time(now)).collect()
    }

    /// What the next process must know of the key.
    pub fn memory(&self, now: Timestamp) -> GuardMemory {
        let key = self.lock();
        GuardMemory {
            breaker: None,
            hold: None,
            bench: key.bench.memory(),
            limits: key.limits.memory(key.limits.time(now)),
        }
    }

    /// Takes up where the key of an earlier process left off. For a key that
    /// has admitted nothing yet.
    pub fn restore(&self, memory: &GuardMemory, now: Timestamp) {
        let mut key = self.lock();
        if let Some(bench) = &memory.bench {
            key.bench.restore(bench, now, &self.health);
        }
        key.limits.restore(&memory.limits, now);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, KeyState> {
        lock(&self.state)
    }
}
