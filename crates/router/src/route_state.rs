//! What is known of a route from its own traffic: its guards, the requests
//! under way, how fast it answers.
//!
//! The routes a configuration names are known from the start and stay. Model
//! names of callers' making are bounded: see [`MAX_NAMED`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use leverframe_core::{
    guard::{Gate, Refusal},
    lifecycle::Route,
    time::Timestamp,
    validate::MAX_MODEL_NAME,
};

use crate::policy::{FirstToken, fingerprint};

/// Most routes that are remembered beside the configured ones. When there are
/// more, those with nothing to remember go first.
const MAX_NAMED: usize = 4096;

/// One route's guards and figures.
#[derive(Debug)]
pub(crate) struct RouteState {
    gate: Arc<Gate>,
    fingerprint: u64,
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    in_flight: u32,
    latency: PeakEwma,
}

/// What stood there at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) in_flight: u32,
    pub(crate) first_token: Option<FirstToken>,
}

impl RouteState {
    pub(crate) fn new(route: &Route, gate: Gate) -> Self {
        Self {
            gate: Arc::new(gate),
            fingerprint: fingerprint(route.provider.as_str(), route.key.as_str(), &route.model),
            figures: Mutex::default(),
        }
    }

    /// Its guards.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The same number for the same route in every process.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let refusal = self.gate.refusal(now);
        let figures = self.figures();
        Snapshot { refusal, in_flight: figures.in_flight, first_token: figures.latency.at(now) }
    }

    /// A request was sent; it is under way until the guard is dropped.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the driver, which does not call it yet"))]
    pub(crate) fn started(self: &Arc<Self>) -> InFlight {
        let mut figures = self.figures();
        figures.in_flight = figures.in_flight.saturating_add(1);
        InFlight(Arc::clone(self))
    }

    /// The first token came so long after the request was sent.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the driver, which does not call it yet"))]
    pub(crate) fn first_token(&self, after: Duration, now: Timestamp) {
        self.figures().latency.record(after, now);
    }

    /// The route failed: it must not look fast for having failed fast.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the driver, which does not call it yet"))]
    pub(crate) fn failed(&self, now: Timestamp) {
        self.figures().latency.failed(now);
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        // Plain counters: a panic leaves no half-made change.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way on a route.
#[derive(Debug)]
#[must_use = "dropped, the request is over"]
pub(crate) struct InFlight(Arc<RouteState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut figures = self.0.figures();
        figures.in_flight = figures.in_flight.saturating_sub(1);
    }
}

/// The expected time to the first token: it jumps to a peak at once and sinks
/// from there, with every new measurement and with time alone.
#[derive(Debug, Default)]
struct PeakEwma {
    last: Option<FirstToken>,
}

impl PeakEwma {
    /// After this time a peak has sunk to about a third.
    const DECAY: Duration = Duration::from_secs(10);
    /// What a failure counts as at least, and at most.
    const FAILURE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

    fn record(&mut self, sample: Duration, now: Timestamp) {
        let expected = match self.last {
            Some(FirstToken { expected, measured_at }) if expected > sample => {
                let kept = Self::kept(measured_at, now);
                expected.mul_f64(kept).saturating_add(sample.mul_f64(1.0 - kept))
            }
            _ => sample,
        };
        self.last = Some(FirstToken { expected, measured_at: now });
    }

    fn failed(&mut self, now: Timestamp) {
        let (least, most) = Self::FAILURE;
        let expected = self.at(now).map_or(Duration::ZERO, |time| time.expected);
        self.record(expected.saturating_mul(2).clamp(least, most), now);
    }

    /// What is to be expected now.
    fn at(&self, now: Timestamp) -> Option<FirstToken> {
        self.last.map(|FirstToken { expected, measured_at }| FirstToken {
            expected: expected.mul_f64(Self::kept(measured_at, now)),
            measured_at,
        })
    }

    /// The part of a figure that is left of it, from 1 down to 0.
    fn kept(measured_at: Timestamp, now: Timestamp) -> f64 {
        (-now.since(measured_at).as_secs_f64() / Self::DECAY.as_secs_f64()).exp()
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
        gate: impl FnOnce() -> Gate,
    ) -> (Arc<Route>, Arc<RouteState>) {
        if let Some((route, state)) = self.places.get(&route).and_then(|place| self.configured.get(*place)) {
            return (Arc::clone(route), Arc::clone(state));
        }
        let state = Arc::new(RouteState::new(&route, gate()));
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
        gate: impl FnOnce() -> Gate,
    ) -> Arc<RouteState> {
        if let Some((_, state)) = self.places.get(route).and_then(|place| self.configured.get(*place)) {
            return Arc::clone(state);
        }
        if route.model.len() > MAX_MODEL_NAME {
            // Not a valid request, which is found out later; nothing is kept of it.
            return Arc::new(RouteState::new(route, gate()));
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
        let state = Arc::new(RouteState::new(route, gate()));
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
