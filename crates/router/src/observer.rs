//! What happens, as it happens: for metrics.

use std::{fmt, sync::Arc, time::Duration};

use leverframe_core::{
    error::ErrorKind,
    guard::{BreakerState, Refusal},
    lifecycle::Route,
    record::{Record, Recorder},
};

/// Is told what happens, as it happens. Every method does nothing unless
/// written.
///
/// Called on the request's own path, and [`request_ended`](Self::request_ended)
/// also from `drop`: count and return. It must not block and must not panic.
pub trait Observer: Send + Sync + fmt::Debug {
    /// An attempt was sent.
    fn attempt_started(&self, route: &Route) {
        let _ = route;
    }

    /// A streamed answer began, so long after it was asked for.
    fn first_token(&self, route: &Route, after: Duration) {
        let _ = (route, after);
    }

    /// A guard refused a request: nothing was sent.
    fn turned_away(&self, route: &Route, refusal: &Refusal) {
        let _ = (route, refusal);
    }

    /// A request waits before it is sent again.
    fn waits(&self, route: &Route, because: ErrorKind, wait: Duration) {
        let _ = (route, because, wait);
    }

    /// A second route is asked as well, for the first one is late.
    fn hedged(&self, late: &Route, second: &Route) {
        let _ = (late, second);
    }

    /// A route's breaker has opened, closed or let a probe through.
    fn breaker_changed(&self, route: &Route, from: BreakerState, to: BreakerState) {
        let _ = (route, from, to);
    }

    /// A request is over. Called once for each.
    fn request_ended(&self, record: &Record) {
        let _ = record;
    }
}

/// All observers of a router.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observers(pub(crate) Arc<[Arc<dyn Observer>]>);

impl Observers {
    pub(crate) fn tell(&self, what: impl Fn(&dyn Observer)) {
        self.0.iter().for_each(|observer| what(&**observer));
    }
}

impl Recorder for Observers {
    fn record(&self, record: &Arc<Record>) {
        self.tell(|observer| observer.request_ended(record));
    }
}
