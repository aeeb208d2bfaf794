//! Breaker, limits and benches of one route, asked in one decision.
//!
//! A gate either admits, having taken what it takes from every guard, or
//! refuses, having taken nothing and naming the guard and the instant from
//! which it is worth asking again.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Breaker, BreakerState, Pass, RequestsPerMinute};
use crate::{
    error::{Bench, BreakerEffect, ErrorKind, Exposure, Failure},
    time::Timestamp,
};

/// How long a key or a route is benched. Long enough to stop hammering, short
/// enough that a mended key is used again without a restart.
const BENCH_FOR: Duration = Duration::from_secs(30);

/// What all routes that use one API key share: its limits and its health.
#[derive(Debug, Default)]
pub struct KeyGuard {
    state: Mutex<KeyState>,
}

#[derive(Debug, Default)]
struct KeyState {
    requests: Option<RequestsPerMinute>,
    bench: Option<Benched>,
}

#[derive(Clone, Copy, Debug)]
struct Benched {
    kind: ErrorKind,
    until: Timestamp,
}

impl KeyGuard {
    /// A healthy key with this limit.
    pub fn new(requests: Option<RequestsPerMinute>) -> Self {
        Self { state: Mutex::new(KeyState { requests, bench: None }) }
    }
}

/// The guards of one route: provider, key and model.
#[derive(Debug)]
pub struct Gate {
    key: Arc<KeyGuard>,
    state: Mutex<RouteState>,
}

#[derive(Debug)]
struct RouteState {
    breaker: Breaker,
    /// The provider asked us to stay away until then.
    hold: Timestamp,
    bench: Option<Benched>,
}

/// The guard that refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The route's breaker is open, or half-open with its probe out.
    Breaker,
    /// The key's requests per minute are used up.
    RequestsPerMinute,
    /// The provider asked us to stay away.
    Hold,
    /// The key failed in this way a moment ago.
    BenchedKey(ErrorKind),
    /// The route failed in this way a moment ago.
    BenchedRoute(ErrorKind),
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker => f.write_str("the route failed too often"),
            Self::RequestsPerMinute => f.write_str("the configured requests per minute are used up"),
            Self::Hold => f.write_str("the provider asked us to wait"),
            Self::BenchedKey(kind) => write!(f, "the API key is set aside after \"{kind}\""),
            Self::BenchedRoute(kind) => write!(f, "the route is set aside after \"{kind}\""),
        }
    }
}

/// A refusal. Nothing was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refused.
    pub by: Guard,
    /// From when it is worth asking again.
    pub until: Timestamp,
}

impl Refusal {
    /// The refusal as a failure of a request that asked at `now`.
    pub fn into_failure(self, now: Timestamp) -> Failure {
        let wait = self.until.since(now);
        let kind = match self.by {
            Guard::Breaker => ErrorKind::CircuitOpen,
            Guard::RequestsPerMinute | Guard::Hold => ErrorKind::RateLimited,
            Guard::BenchedKey(kind) | Guard::BenchedRoute(kind) => kind,
        };
        let message = format!("not sent: {}; next try in {:.1} s", self.by, wait.as_secs_f64());
        Failure::new(kind, message).with_retry_after(Some(wait))
    }
}

impl Gate {
    /// A gate with these guards.
    pub fn new(breaker: Breaker, key: Arc<KeyGuard>) -> Self {
        Self { key, state: Mutex::new(RouteState { breaker, hold: Timestamp::EPOCH, bench: None }) }
    }

    /// Whether it has nothing to remember: no failures, no hold, no bench.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let route = self.lock();
        let benched = route.bench.is_some_and(|bench| bench.until > now);
        route.breaker.is_fresh(now) && route.hold <= now && !benched
    }

    /// Where the route's breaker stands.
    pub fn breaker_state(&self, now: Timestamp) -> BreakerState {
        self.lock().breaker.state(now)
    }

    /// Admits one request, or says who refuses and until when.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was consumed.
    pub fn admit(self: &Arc<Self>, now: Timestamp) -> Result<Admission, Refusal> {
        // Always the key before the route: one order, no deadlock.
        let mut key = lock(&self.key.state);
        let mut route = self.lock();
        if let Some(refusal) = refusal(&mut key, &route, now) {
            return Err(refusal);
        }
        // The breaker comes last: a probe must not be handed out and then refused elsewhere.
        let pass = route.breaker.pass(now).map_err(|until| Refusal { by: Guard::Breaker, until })?;
        if let Some(limit) = &mut key.requests {
            limit.take(now);
        }
        Ok(Admission { gate: Arc::clone(self), pass: Some(pass), at: now, sent: false })
    }

    /// Who would refuse a request at `now`. Takes nothing; a half-open breaker
    /// whose probe is free refuses nobody.
    pub fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let mut key = lock(&self.key.state);
        refusal(&mut key, &self.lock(), now)
    }

    fn lock(&self) -> MutexGuard<'_, RouteState> {
        lock(&self.state)
    }

    fn refund(&self, at: Timestamp) {
        if let Some(limit) = &mut lock(&self.key.state).requests {
            limit.refund(at);
        }
    }

    fn learn(&self, pass: Pass, outcome: Result<(), &Failure>, now: Timestamp) {
        let failure = match outcome {
            Ok(()) => return self.lock().breaker.succeeded(pass, now),
            Err(failure) => failure,
        };
        let decision = failure.kind.decision(Exposure::Unseen);
        let benched = Some(Benched { kind: failure.kind, until: now + BENCH_FOR });
        if decision.bench == Bench::Key {
            lock(&self.key.state).bench = benched;
        }
        let mut route = self.lock();
        if decision.bench == Bench::Route {
            route.bench = benched;
        }
        if failure.kind == ErrorKind::RateLimited
            && let Some(hint) = failure.retry_after
        {
            route.hold = route.hold.max(now + hint); // a hint is never shortened by a later one
        }
        match decision.breaker {
            BreakerEffect::Counts => route.breaker.failed(pass, now),
            BreakerEffect::Neutral => route.breaker.released(pass),
        }
    }
}

/// The first guard that would refuse, benches and holds before limits, the
/// breaker last.
fn refusal(key: &mut KeyState, route: &RouteState, now: Timestamp) -> Option<Refusal> {
    let benched = |bench: Option<Benched>, by: fn(ErrorKind) -> Guard| {
        bench.map(|Benched { kind, until }| Refusal { by: by(kind), until })
    };
    benched(key.bench, Guard::BenchedKey)
        .filter(|refusal| refusal.until > now)
        .or_else(|| benched(route.bench, Guard::BenchedRoute).filter(|refusal| refusal.until > now))
        .or_else(|| (route.hold > now).then_some(Refusal { by: Guard::Hold, until: route.hold }))
        .or_else(|| {
            let until = key.requests.as_mut()?.refuses_until(now)?;
            Some(Refusal { by: Guard::RequestsPerMinute, until })
        })
        .or_else(|| {
            let until = route.breaker.refuses_until(now)?;
            Some(Refusal { by: Guard::Breaker, until })
        })
}

/// A panic under one of these locks leaves no half-made change behind, as each
/// holds plain counters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Permission to send one request on one route. Only a [`Gate`] grants it.
///
/// Dropped before the send it gives everything back; dropped after it without
/// an outcome, only the breaker's pass: the provider has counted the request.
#[derive(Debug)]
#[must_use = "a dropped admission is given back"]
pub struct Admission {
    gate: Arc<Gate>,
    /// Taken exactly once, by `settle` or by `drop`.
    pass: Option<Pass>,
    at: Timestamp,
    sent: bool,
}

impl Admission {
    pub(crate) fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// The request is over: the guards learn what came of it.
    pub(crate) fn settle(mut self, outcome: Result<(), &Failure>, now: Timestamp) {
        if let Some(pass) = self.pass.take() {
            self.gate.learn(pass, outcome, now);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.gate.lock().breaker.released(pass);
        }
        if !self.sent {
            self.gate.refund(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::BreakerConfig;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(limit: Option<u32>) -> Arc<Gate> {
        let breaker = Breaker::new(BreakerConfig::default(), 3).expect("valid");
        let requests = limit.map(|limit| RequestsPerMinute::new(limit).expect("valid"));
        Arc::new(Gate::new(breaker, Arc::new(KeyGuard::new(requests))))
    }

    fn two_routes_of_one_key() -> (Arc<Gate>, Arc<Gate>) {
        let key = Arc::new(KeyGuard::new(None));
        let route = |seed| {
            let breaker = Breaker::new(BreakerConfig::default(), seed).expect("valid");
            Arc::new(Gate::new(breaker, Arc::clone(&key)))
        };
        (route(1), route(2))
    }

    fn sent(gate: &Arc<Gate>, now: Timestamp) -> Admission {
        let mut admission = gate.admit(now).expect("admits");
        admission.mark_sent();
        admission
    }

    #[test]
    fn what_was_not_sent_is_given_back_and_what_was_sent_is_not() {
        let (gate, now) = (gate(Some(1)), Timestamp::EPOCH);
        drop(gate.admit(now).expect("admits"));
        drop(sent(&gate, now));
        let refusal = gate.admit(now).expect_err("the minute is used up");
        assert_eq!(refusal, Refusal { by: Guard::RequestsPerMinute, until: now + SECOND * 60 });
    }

    #[test]
    fn an_open_breaker_does_not_consume_the_limit() {
        let (gate, now) = (gate(Some(6)), Timestamp::EPOCH);
        let failure = Failure::new(ErrorKind::Server, "boom");
        for _ in 0..5 {
            sent(&gate, now).settle(Err(&failure), now);
        }
        for _ in 0..10 {
            assert_eq!(gate.admit(now).expect_err("open").by, Guard::Breaker);
        }
        let BreakerState::Open(until) = gate.breaker_state(now) else { panic!("closed") };
        drop(sent(&gate, until)); // the sixth of this minute; a cancelled probe does not wedge it
        assert_eq!(gate.admit(until).expect_err("used up").by, Guard::RequestsPerMinute);
    }

    /// Asking whether it would refuse takes nothing, and says what admitting says.
    #[test]
    fn a_refusal_is_foreseen_without_taking_anything() {
        let (gate, now) = (gate(Some(6)), Timestamp::EPOCH);
        let failure = Failure::new(ErrorKind::Server, "boom");
        for _ in 0..5 {
            assert_eq!(gate.refusal(now), None);
            sent(&gate, now).settle(Err(&failure), now);
        }
        let BreakerState::Open(until) = gate.breaker_state(now) else { panic!("closed") };
        assert_eq!(gate.refusal(now), Some(gate.admit(now).expect_err("open")));
        assert_eq!((gate.refusal(until), gate.refusal(until)), (None, None), "the probe is free");
        let probe = sent(&gate, until);
        assert_eq!(gate.refusal(until), Some(gate.admit(until).expect_err("used up")));
        drop(probe);
    }

    #[test]
    fn a_hint_holds_the_route_and_is_never_shortened() {
        let (gate, now) = (gate(None), Timestamp::EPOCH);
        let (first, second) = (sent(&gate, now), sent(&gate, now));
        for (admission, hint) in [(first, 20), (second, 5)] {
            let limited =
                Failure::new(ErrorKind::RateLimited, "slow down").with_retry_after(Some(SECOND * hint));
            admission.settle(Err(&limited), now);
        }
        let refusal = gate.admit(now).expect_err("held");
        assert_eq!((refusal.by, refusal.until), (Guard::Hold, now + SECOND * 20));
        assert!(gate.admit(now + SECOND * 20).is_ok());
    }

    #[test]
    fn a_rejected_key_benches_every_route_that_uses_it() {
        let now = Timestamp::EPOCH;
        let (one, other) = two_routes_of_one_key();
        sent(&one, now).settle(Err(&Failure::new(ErrorKind::Authentication, "who?")), now);
        let refusal = other.admit(now).expect_err("benched");
        assert_eq!(refusal.by, Guard::BenchedKey(ErrorKind::Authentication));
        assert_eq!(refusal.into_failure(now).kind, ErrorKind::Authentication);
        assert!(other.admit(now + BENCH_FOR).is_ok());
    }

    #[test]
    fn a_missing_model_benches_its_route_only() {
        let now = Timestamp::EPOCH;
        let (one, other) = two_routes_of_one_key();
        sent(&one, now).settle(Err(&Failure::new(ErrorKind::ModelNotFound, "what?")), now);
        assert!(matches!(one.admit(now).expect_err("benched").by, Guard::BenchedRoute(_)));
        assert!(other.admit(now).is_ok());
    }
}
