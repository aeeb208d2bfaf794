//! What guards tell, passed on: to observers, and to who waits in a queue.

use std::sync::Arc;

use leverframe_core::{
    guard::{BreakerState, Scope, Watcher},
    lifecycle::Route,
    time::Timestamp,
};
use tokio::sync::Notify;

use crate::observer::Observers;

/// Listens to a route's gate.
#[derive(Debug)]
pub(crate) struct RouteWatcher {
    pub(crate) route: Route,
    pub(crate) observers: Observers,
    /// The key's: who waits for a route may also wait for its key.
    pub(crate) released: Arc<Notify>,
}

impl Watcher for RouteWatcher {
    fn breaker_changed(&self, from: BreakerState, to: BreakerState, _at: Timestamp) {
        tracing::info!(
            leverframe.provider = self.route.provider.as_str(),
            gen_ai.request.model = self.route.model,
            leverframe.key = self.route.key.as_str(),
            "breaker went from {from} to {to}"
        );
        self.observers.tell(|observer| observer.breaker_changed(&self.route, from, to));
    }

    fn released(&self, _scope: Scope) {
        self.released.notify_waiters();
    }
}

/// Listens to a key.
#[derive(Debug)]
pub(crate) struct KeyWatcher {
    pub(crate) released: Arc<Notify>,
}

impl Watcher for KeyWatcher {
    fn released(&self, _scope: Scope) {
        self.released.notify_waiters();
    }
}
