//! What is configured, and where each route stands.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use leverframe_core::{
    guard::{BreakerState, LimitStatus, Refusal},
    lifecycle::Route,
    model::{Dialect, KeyLabel, ProviderName},
    time::Timestamp,
};

use crate::{
    Router,
    plan::Backend,
    route_state::RouteState,
    router::{Configured, Inner},
};

/// A route, and where it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteStatus {
    /// The provider.
    pub provider: ProviderName,
    /// Which of its keys.
    pub key: KeyLabel,
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// The model as the provider names it. `None` for a provider whose models
    /// are all named by callers, and none was yet.
    pub model: Option<String>,
    /// The configured models it is a route of, by name.
    pub models: Vec<String>,
    /// Its tags: those of its provider and, where it is a route of configured
    /// models, those it has there.
    pub tags: BTreeSet<String>,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// Who would refuse a request now, and until when. `None`: it is healthy.
    pub refusal: Option<Refusal>,
    /// How much of each limit is used: the key's, which its routes share, then
    /// the route's.
    pub limits: Vec<LimitStatus>,
    /// Requests under way on it.
    pub in_flight: u32,
    /// The expected time to its first token. `None`: never measured.
    pub first_token: Option<Duration>,
}

impl Router {
    /// Every route the configuration names, in its order, then those that
    /// callers have named, and where each stands now.
    pub fn routes(&self) -> Vec<RouteStatus> {
        let inner = self.inner();
        let (now, states) = (inner.now(), inner.states.all());
        let mut routes: Vec<_> =
            states.iter().map(|(route, state)| status(inner, route, state, now)).collect();
        for provider in &inner.providers {
            for key in &provider.keys {
                let known = |route: &RouteStatus| route.provider == provider.name && route.key == key.label;
                if !routes.iter().any(known) {
                    let limits = key.guard.limits(now);
                    routes.push(RouteStatus { limits, ..unnamed(provider, &key.label) });
                }
            }
        }
        routes
    }
}

fn status(inner: &Inner, route: &Arc<Route>, state: &RouteState, now: Timestamp) -> RouteStatus {
    let (snapshot, gate) = (state.snapshot(true, now), state.gate().status(now));
    let provider = inner.provider_of(route);
    let serves = |backend: &&Backend| backend.route == *route;
    let mut tags = BTreeSet::clone(&provider.tags);
    let mut models = Vec::new();
    for (name, pool) in &inner.names.models {
        if let Some(backend) = pool.backends.iter().find(serves) {
            models.push(name.clone());
            tags.extend(backend.tags.iter().cloned());
        }
    }
    models.sort();
    RouteStatus {
        model: Some(route.model.clone()),
        models,
        tags,
        breaker: gate.breaker,
        refusal: snapshot.refusal,
        limits: gate.limits,
        in_flight: snapshot.in_flight,
        first_token: snapshot.first_token.map(|time| time.expected),
        ..unnamed(provider, &route.key)
    }
}

/// A key of a provider nobody has named a model of.
fn unnamed(provider: &Configured, key: &KeyLabel) -> RouteStatus {
    RouteStatus {
        provider: provider.name.clone(),
        key: key.clone(),
        dialect: provider.dialect,
        model: None,
        models: Vec::new(),
        tags: BTreeSet::clone(&provider.tags),
        breaker: BreakerState::Closed,
        refusal: None,
        limits: Vec::new(),
        in_flight: 0,
        first_token: None,
    }
}
