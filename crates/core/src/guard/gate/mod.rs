//! Breaker, limits and benches of one route, asked in one decision.
//!
//! A gate either admits, having taken what it takes from every guard, or
//! refuses, having taken nothing and naming the guard and the instant from
//! which it is worth asking again.
//!
//! The order of asking is the order of what helps: what no wait mends (a
//! benched key or route, an open breaker) comes first, as another route is the
//! answer to it; then what a wait mends (a hold, the limits), of which the
//! longest wait is named. The breaker's pass is taken last, so that a probe is
//! never handed out and then refused elsewhere.
//!
//! Two locks, one per key and one per route, always in this order; nothing
//! is called under them.

mod admission;
mod key;
mod refusal;
mod status;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use admission::Admission;
pub use key::KeyGuard;
use key::KeyState;
pub use refusal::{Guard, Refusal};
pub use status::GateStatus;

use super::{
    Breaker, BreakerState, Claim, ConfigError, GuardMemory, Limits, Observation, Pass, Scope, Spent, Watcher,
    health::Bench,
    limit::{Held, LimitSet, Ticket},
    memory::at_most,
    watch::News,
};
use crate::{
    error::{Bench as Benches, BreakerEffect, ErrorKind, Exposure, Failure},
    time::Timestamp,
};

/// Longest a hold of an earlier process is kept to.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The guards of one route: provider, key and model.
#[derive(Debug)]
pub struct Gate {
    key: Arc<KeyGuard>,
    state: Mutex<RouteState>,
    watcher: Option<Arc<dyn Watcher>>,
}

#[derive(Debug)]
struct RouteState {
    breaker: Breaker,
    limits: LimitSet,
    /// The provider asked us to stay away until then.
    hold: Timestamp,
    bench: Bench,
}

/// What an admission took of every guard.
#[derive(Debug)]
struct Taken {
    pass: Pass,
    claim: Claim,
    /// When it was counted.
    at: Timestamp,
    key: Ticket,
    route: Ticket,
}

impl Taken {
    fn of_key(&self) -> Held<'_> {
        Held { claim: &self.claim, at: self.at, ticket: self.key }
    }

    fn of_route(&self) -> Held<'_> {
        Held { claim: &self.claim, at: self.at, ticket: self.route }
    }
}

impl Gate {
    /// A gate with these guards. `limits` are those of the one model.
    ///
    /// # Errors
    /// [`ConfigError`] naming the limit that makes no sense.
    pub fn new(breaker: Breaker, key: Arc<KeyGuard>, limits: Limits) -> Result<Self, ConfigError> {
        let limits = LimitSet::new(Scope::Route, &limits)?;
        let state = RouteState { breaker, limits, hold: Timestamp::EPOCH, bench: Bench::default() };
        Ok(Self { key, state: Mutex::new(state), watcher: None })
    }

    /// Who hears what becomes of the route.
    #[must_use]
    pub fn with_watcher(self, watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// Whether it has nothing to remember: no failures, no hold, no bench, no
    /// limit that is partly used, nothing out.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let route = self.lock();
        route.breaker.is_fresh(now)
            && route.hold <= now
            && route.bench.benched(now).is_none()
            && route.limits.is_idle(route.limits.time(now))
    }

    /// Where the route's breaker stands.
    pub fn breaker_state(&self, now: Timestamp) -> BreakerState {
        self.lock().breaker.state(now)
    }

    /// Requests of this route that were admitted and are not over.
    pub fn in_flight(&self) -> u64 {
        self.lock().limits.in_flight()
    }

    /// Admits one request, or says who refuses and until when.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was consumed.
    pub fn admit(self: &Arc<Self>, claim: &Claim, now: Timestamp) -> Result<Admission, Refusal> {
        let mut news = News::default();
        let taken = self.take(claim, now, &mut news);
        news.tell(self.watcher.as_ref(), Scope::Route, now);
        Ok(admission::grant(Arc::clone(self), taken?))
    }

    /// Who would refuse a request of which nothing is known. Takes nothing, not
    /// even the probe of a breaker that would hand one out.
    pub fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let (key, route) = (self.key.lock(), self.lock());
        let at = key.limits.time(route.limits.time(now));
        refusal(&key, &route, &Claim::default(), now, at)
    }

    /// Everything there is to say of the route at `now`.
    pub fn status(&self, now: Timestamp) -> GateStatus {
        let (key, route) = (self.key.lock(), self.lock());
        let at = key.limits.time(route.limits.time(now));
        GateStatus {
            breaker: route.breaker.state(now),
            hold: Some(route.hold).filter(|until| *until > now),
            benched_key: key.bench.benched(now),
            benched_route: route.bench.benched(now),
            limits: key.limits.status(at).chain(route.limits.status(at)).collect(),
            in_flight: route.limits.in_flight(),
            key_in_flight: key.limits.in_flight(),
        }
    }

    /// The provider has said this of its limits, in an answer that came at
    /// `now`. Corrects the limits of the route, as providers report per model;
    /// changes nothing where the limits are not adaptive.
    ///
    /// To be told before the request is settled: what is known of a limit
    /// decides what a 429 means.
    pub fn observe(&self, observations: &[Observation], now: Timestamp) {
        for said in observations {
            let capacity = {
                let mut route = self.lock();
                let at = route.limits.time(now);
                route.limits.observe(said, at)
            };
            News { capacity, ..News::default() }.tell(self.watcher.as_ref(), Scope::Route, now);
        }
    }

    /// What the next process must know of the route.
    pub fn memory(&self, now: Timestamp) -> GuardMemory {
        let route = self.lock();
        GuardMemory {
            breaker: route.breaker.memory(),
            hold: Some(route.hold).filter(|until| *until > now),
            bench: route.bench.memory(),
            limits: route.limits.memory(route.limits.time(now)),
        }
    }

    /// Takes up where the route of an earlier process left off. For a gate
    /// that has admitted nothing yet. Whatever the memory says, nothing is held
    /// back for longer than the settings allow, and a hold for a day at most.
    pub fn restore(&self, memory: &GuardMemory, now: Timestamp) {
        let mut route = self.lock();
        if let Some(breaker) = &memory.breaker {
            route.breaker.restore(breaker, now);
        }
        if let Some(bench) = &memory.bench {
            route.bench.restore(bench, now, &self.key.health);
        }
        let hold = memory.hold.map(|until| at_most(until, now, LONGEST_HOLD));
        route.hold = route.hold.max(hold.unwrap_or_default());
        route.limits.restore(&memory.limits, now);
    }

    fn lock(&self) -> MutexGuard<'_, RouteState> {
        lock(&self.state)
    }

    fn take(&self, claim: &Claim, now: Timestamp, news: &mut News) -> Result<Taken, Refusal> {
        let mut key = self.key.lock();
        let mut route = self.lock();
        // One time for both, so that one instant finds what was taken of either.
        let at = key.limits.time(route.limits.time(now));
        key.limits.advance(at);
        news.capacity = route.limits.advance(at);
        if let Some(refusal) = refusal(&key, &route, claim, now, at) {
            return Err(refusal);
        }
        let pass = route
            .watching(news, |route| route.breaker.pass(now))
            .map_err(|until| Refusal { by: Guard::Breaker, until })?;
        Ok(Taken {
            pass,
            claim: *claim,
            at,
            key: key.limits.take(claim, at),
            route: route.limits.take(claim, at),
        })
    }

    /// Dropped without an outcome.
    fn abandon(&self, taken: Taken, sent: bool) {
        let end = |limits: &mut LimitSet, held: Held<'_>| match sent {
            true => limits.settle(held, held.claim),
            false => limits.refund(held),
        };
        let released = end(&mut self.key.lock().limits, taken.of_key());
        let of_key = News { released, ..News::default() };
        let of_route = {
            let mut route = self.lock();
            let room = end(&mut route.limits, taken.of_route());
            let probe = route.breaker.released(taken.pass);
            News { released: room || probe, ..News::default() }
        };
        self.tell(of_key, of_route, taken.at);
    }

    fn learn(&self, taken: Taken, outcome: Result<(), &Failure>, spent: &Spent, now: Timestamp) {
        let took = taken.claim.settled(outcome, spent);
        let of_key = self.key_learns(&taken, outcome, &took, now);
        let of_route = self.route_learns(taken, outcome, &took, now);
        self.tell(of_key, of_route, now);
    }

    fn key_learns(&self, taken: &Taken, outcome: Result<(), &Failure>, took: &Claim, now: Timestamp) -> News {
        let mut key = self.key.lock();
        let released = key.limits.settle(taken.of_key(), took);
        let benched = match outcome {
            Ok(()) => {
                key.bench.succeeded(taken.at);
                None
            }
            Err(failure) => (failure.kind.decision(Exposure::Unseen).bench == Benches::Key)
                .then(|| key.bench.failed(failure.kind, taken.at, now, &self.key.health)),
        };
        News { released, benched, ..News::default() }
    }

    fn route_learns(
        &self,
        taken: Taken,
        outcome: Result<(), &Failure>,
        took: &Claim,
        now: Timestamp,
    ) -> News {
        let mut news = News::default();
        let mut route = self.lock();
        news.released = route.limits.settle(taken.of_route(), took);
        let Err(failure) = outcome else {
            route.bench.succeeded(taken.at);
            route.watching(&mut news, |route| route.breaker.succeeded(taken.pass, now));
            return news;
        };
        let decision = failure.kind.decision(Exposure::Unseen);
        if decision.bench == Benches::Route {
            news.benched = Some(route.bench.failed(failure.kind, taken.at, now, &self.key.health));
        }
        if failure.kind == ErrorKind::RateLimited {
            let at = route.limits.time(now);
            news.capacity = route.limits.limited(taken.route, at);
            if let Some(hint) = failure.retry_after {
                route.hold = route.hold.max(now + hint); // a hint is never shortened by a later one
            }
        }
        match failure.breaker_effect() {
            BreakerEffect::Counts => {
                route.watching(&mut news, |route| route.breaker.failed(taken.pass, now));
            }
            BreakerEffect::Neutral => news.released |= route.breaker.released(taken.pass),
        }
        news
    }

    fn tell(&self, of_key: News, of_route: News, at: Timestamp) {
        of_key.tell(self.key.watcher.as_ref(), Scope::Key, at);
        of_route.tell(self.watcher.as_ref(), Scope::Route, at);
    }
}

impl RouteState {
    /// Does something with the breaker and notes whether that changed its state.
    fn watching<T>(&mut self, news: &mut News, act: impl FnOnce(&mut Self) -> T) -> T {
        let from = self.breaker.phase();
        let done = act(self);
        let to = self.breaker.phase();
        if from != to {
            news.breaker = Some((from, to));
            news.released |= to == BreakerState::Closed;
        }
        done
    }
}

/// Who refuses `claim`, asked at `now` and counted at `at`.
fn refusal(
    key: &KeyState,
    route: &RouteState,
    claim: &Claim,
    now: Timestamp,
    at: Timestamp,
) -> Option<Refusal> {
    if let Some(bench) = key.bench.benched(now) {
        return Some(Refusal { by: Guard::BenchedKey(bench.kind), until: bench.until });
    }
    if let Some(bench) = route.bench.benched(now) {
        return Some(Refusal { by: Guard::BenchedRoute(bench.kind), until: bench.until });
    }
    if let Some(until) = route.breaker.refuses_until(now) {
        return Some(Refusal { by: Guard::Breaker, until });
    }
    let limit = |scope, limits: &LimitSet| {
        let (kind, until) = limits.refusal(claim, at)?;
        Some(Refusal { by: Guard::Limit { scope, kind }, until })
    };
    let hold = (route.hold > now).then_some(Refusal { by: Guard::Hold, until: route.hold });
    let waits = [hold, limit(Scope::Key, &key.limits), limit(Scope::Route, &route.limits)];
    waits.into_iter().flatten().max_by_key(|refusal| refusal.until)
}

/// A panic under one of these locks leaves no half-made change behind, as each
/// holds plain counters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod providers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;
