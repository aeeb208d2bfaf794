//! Telling others what a guard has decided.

use std::{fmt, sync::Arc};

use super::{BreakerState, LimitKind, Scope, health::Benched, limit::CapacityChange};
use crate::{error::ErrorKind, time::Timestamp};

/// Hears what becomes of a key or of a route.
///
/// A watcher is given to a [`KeyGuard`](super::KeyGuard), to a
/// [`Gate`](super::Gate), or to both, and hears of what it was given to: the
/// key's of the key's bench and of what came back to the key, a gate's of its
/// breaker, its capacities, its bench and of what came back to the route. So
/// whoever waits for a key, which several gates share, must listen to the
/// key's watcher; the [`Scope`] in the refusal says which one to listen to.
///
/// Called on the path of a request and also from `drop`, after all locks were
/// let go: it may ask the guards, and must neither block nor panic. Two
/// threads may call at once, and in another order than things happened;
/// [`Gate::status`](super::Gate::status) says what is.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// The breaker of the route has changed its state. One that opens again
    /// after a probe goes from half-open to open.
    fn breaker_changed(&self, from: BreakerState, to: BreakerState, at: Timestamp) {
        let _ = (from, to, at);
    }

    /// A limit of the route was corrected, by a report of the provider or by
    /// what was learned. `None` is without limit.
    fn capacity_changed(&self, kind: LimitKind, from: Option<u64>, to: Option<u64>, at: Timestamp) {
        let _ = (kind, from, to, at);
    }

    /// The key or the route is set aside, until `until`.
    fn benched(&self, scope: Scope, kind: ErrorKind, until: Timestamp, at: Timestamp) {
        let _ = (scope, kind, until, at);
    }

    /// Something came back that a waiting request could use: a place, tokens,
    /// a probe of the breaker. It may be gone by the time one asks.
    fn released(&self, scope: Scope) {
        let _ = scope;
    }
}

/// What there is to tell of one scope once the locks are let go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    pub(super) breaker: Option<(BreakerState, BreakerState)>,
    pub(super) capacity: Option<CapacityChange>,
    pub(super) benched: Option<Benched>,
    pub(super) released: bool,
}

impl News {
    pub(super) fn tell(self, watcher: Option<&Arc<dyn Watcher>>, scope: Scope, at: Timestamp) {
        let Some(watcher) = watcher else { return };
        if let Some((from, to)) = self.breaker {
            watcher.breaker_changed(from, to, at);
        }
        if let Some(CapacityChange { kind, from, to }) = self.capacity {
            watcher.capacity_changed(kind, from, to, at);
        }
        if let Some(Benched { kind, until }) = self.benched {
            watcher.benched(scope, kind, until, at);
        }
        if self.released || self.capacity.is_some_and(|change| change.is_raise()) {
            watcher.released(scope);
        }
    }
}
