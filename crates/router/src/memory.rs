//! What the guards have learned, taken from one router to the next.

use std::sync::Arc;

use leverframe_core::{
    guard::{GuardMemory, KeyGuard, Memory, Remembered, Remembers},
    model::{KeyLabel, ProviderName},
    time::Clock,
};

use crate::{
    Router,
    route_state::RouteStates,
    router::{Configured, Inner, Key},
};

/// The guards of a router. Apart from it, so that the log can ask them without
/// keeping alive what keeps the log open.
#[derive(Debug)]
pub(crate) struct Guards {
    keys: Vec<(ProviderName, KeyLabel, Arc<KeyGuard>)>,
    states: Arc<RouteStates>,
    clock: Arc<dyn Clock>,
}

impl Guards {
    pub(crate) fn of(providers: &[Configured], states: &Arc<RouteStates>, clock: &Arc<dyn Clock>) -> Self {
        let keys = providers.iter().flat_map(|provider| {
            let key = |key: &Key| (provider.name.clone(), key.label.clone(), Arc::clone(&key.guard));
            provider.keys.iter().map(key)
        });
        Self { keys: keys.collect(), states: Arc::clone(states), clock: Arc::clone(clock) }
    }
}

impl Router {
    /// What the breakers, limits and benches have learned, for
    /// [`Builder::memory`](crate::Builder::memory). What is out counts as used.
    pub fn memory(&self) -> Memory {
        self.inner().guards.memory()
    }
}

impl Remembers for Guards {
    fn memory(&self) -> Memory {
        let now = self.clock.now();
        let mut guards = Vec::new();
        let mut put =
            |provider: &ProviderName, key: &KeyLabel, model: Option<&String>, memory: GuardMemory| {
                if !memory.is_empty() {
                    let (provider, key, model) = (provider.clone(), key.clone(), model.cloned());
                    guards.push(Remembered { provider, key, model, guards: memory });
                }
            };
        for (provider, key, guard) in &self.keys {
            put(provider, key, None, guard.memory(now));
        }
        for (route, state) in self.states.all() {
            put(&route.provider, &route.key, Some(&route.model), state.gate().memory(now));
        }
        Memory { at: now, guards }
    }
}

impl Inner {
    /// Takes up where another router left off. What is no longer configured is
    /// passed over.
    pub(crate) fn restore(&self, memory: &Memory) {
        let now = self.now();
        for Remembered { provider, key, model, guards } in &memory.guards {
            let Some(provider) = self.providers.iter().find(|known| known.name == *provider) else {
                continue;
            };
            let Some(key) = provider.keys.iter().find(|known| known.label == *key) else { continue };
            match model {
                None => key.guard.restore(guards, now),
                Some(model) => self.gate(&provider.route(&key.label, model)).restore(guards, now),
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            log.note(self.guards.memory());
        }
    }
}
