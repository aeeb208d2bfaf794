//! What is known of a route from its own traffic: its guards, who waits for
//! them, how fast it answers.
//!
//! The routes a configuration names are known from the start and stay. Model
//! names of callers' making are bounded: see [`MAX_NAMED`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use leverframe_core::{
    guard::{Gate, Latency, Refusal},
    lifecycle::Route,
    time::Timestamp,
    validate::MAX_MODEL_NAME,
};

use crate::{
    policy::{FirstToken, fingerprint},
    queue::Queue,
};

/// Most routes that are remembered beside the configured ones. When there are
/// more, those with nothing to remember go first.
const MAX_NAMED: usize = 4096;

/// One route's guards and figures.
#[derive(Debug)]
pub(crate) struct RouteState {
    gate: Arc<Gate>,
    /// Where requests wait for its limits, if they do.
    queue: Option<Queue>,
    fingerprint: u64,
    /// Times to the first token of streams.
    streams: Latency,
    /// Times to the end of answers that were not streamed.
    whole: Latency,
}

/// What stood there at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) in_flight: u32,
    pub(crate) first_token: Option<FirstToken>,
}

impl RouteState {
    pub(crate) fn new(route: &Route, gate: Gate, queue: Option<Queue>) -> Self {
        Self {
            gate: Arc::new(gate),
            queue,
            fingerprint: fingerprint(route.provider.as_str(), route.key.as_str(), &route.model),
            streams: Latency::default(),
            whole: Latency::default(),
        }
    }

    /// Its guards.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Where requests wait for its limits. `None`: they do not.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// How fast it is: to the first token of a stream, to the end of an answer
    /// that is not one.
    pub(crate) fn latency(&self, streamed: bool) -> &Latency {
        if streamed { &self.streams } else { &self.whole }
    }

    /// The same number for the same route in every process.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn snapshot(&self, streamed: bool, now: Timestamp) -> Snapshot {
        let latency = self.latency(streamed);
        let first_token = latency
            .peak_ewma(now)
            .zip(latency.measured_at())
            .map(|(expected, measured_at)| FirstToken { expected, measured_at });
        let in_flight = u32::try_from(self.gate.in_flight()).unwrap_or(u32::MAX);
        Snapshot { refusal: self.gate.refusal(now), in_flight, first_token }
    }
}

/// The states of all routes.
#[derive(Debug, Default)]
pub(crate) struct RouteStates {
    /// The routes the configuration names, in its order: read without a lock.
    configured: Vec<(Arc<Route>, Arc<RouteState>)>,
    places: HashMap<Arc<Route>, usize>,
    named: Mutex<HashMap<Arc<Route>, Arc<RouteState>>>,
}

impl RouteStates {
    /// Takes in a route of the configuration. One that is there keeps its state.
    pub(crate) fn configure(
        &mut self,
        route: Route,
        make: impl FnOnce(&Route) -> RouteState,
    ) -> (Arc<Route>, Arc<RouteState>) {
        if let Some((route, state)) = self.places.get(&route).and_then(|place| self.configured.get(*place)) {
            return (Arc::clone(route), Arc::clone(state));
        }
        let state = Arc::new(make(&route));
        let route = Arc::new(route);
        self.places.insert(Arc::clone(&route), self.configured.len());
        self.configured.push((Arc::clone(&route), Arc::clone(&state)));
        (route, state)
    }

    /// The state of a route, if there is one.
    pub(crate) fn get(&self, route: &Route) -> Option<Arc<RouteState>> {
        match self.places.get(route).and_then(|place| self.configured.get(*place)) {
            Some((_, state)) => Some(Arc::clone(state)),
            None => self.named().get(route).map(Arc::clone),
        }
    }

    /// The state of a route, made on first use.
    pub(crate) fn get_or_make(
        &self,
        route: &Route,
        now: impl FnOnce() -> Timestamp,
        make: impl FnOnce(&Route) -> RouteState,
    ) -> Arc<RouteState> {
        if let Some((_, state)) = self.places.get(route).and_then(|place| self.configured.get(*place)) {
            return Arc::clone(state);
        }
        if route.model.len() > MAX_MODEL_NAME {
            // Not a valid request, which is found out later; nothing is kept of it.
            return Arc::new(make(route));
        }
        let mut named = self.named();
        if let Some(state) = named.get(route) {
            return Arc::clone(state);
        }
        if named.len() >= MAX_NAMED {
            let now = now();
            // What somebody holds is about to be changed.
            let held =
                |state: &Arc<RouteState>| Arc::strong_count(state) + Arc::strong_count(&state.gate) > 2;
            named.retain(|_, state| held(state) || !state.gate.is_idle(now));
        }
        if named.len() >= MAX_NAMED
            && let Some(any) = named.keys().next().cloned()
        {
            named.remove(&any);
        }
        let state = Arc::new(make(route));
        named.insert(Arc::new(route.clone()), Arc::clone(&state));
        state
    }

    /// All routes: the configured ones in their order, then those that were
    /// asked for, by name.
    pub(crate) fn all(&self) -> Vec<(Arc<Route>, Arc<RouteState>)> {
        let mut named: Vec<_> =
            self.named().iter().map(|(route, state)| (Arc::clone(route), Arc::clone(state))).collect();
        named.sort_by(|(a, _), (b, _)| (&a.provider, &a.model, &a.key).cmp(&(&b.provider, &b.model, &b.key)));
        self.configured.iter().cloned().chain(named).collect()
    }

    fn named(&self) -> MutexGuard<'_, HashMap<Arc<Route>, Arc<RouteState>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
