//! How every provider stands: what an operator asks first when answers fail.
//!
//! One shape for what a running gateway says at `/admin/providers` and for what
//! `leverframe providers` reads from a log. Times are milliseconds since the
//! Unix epoch; whoever shows them compares them with `at_ms`, so that the
//! clocks of two machines need not agree. Keys are named and never shown.

use leverframe_router::{
    BreakerState, Dialect, LimitKind, LimitStatus, RouteStatus, Router, Scope, Timestamp,
};
use serde::{Deserialize, Serialize};

/// How all providers stood at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// When.
    pub at_ms: u64,
    /// The providers, in the order of configuration.
    pub providers: Vec<ProviderStanding>,
}

/// How a provider stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderStanding {
    /// What it is called.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Whether one of its routes would take a request.
    pub healthy: bool,
    /// Its API keys, and the limits all models of a key share.
    pub keys: Vec<KeyStanding>,
    /// Its routes: one for each key and model that was configured or asked for.
    pub routes: Vec<RouteStanding>,
}

/// How an API key stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyStanding {
    /// What it is called.
    pub key: String,
    /// Its limits.
    pub limits: Vec<LimitStanding>,
}

/// How a route stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteStanding {
    /// Which of the provider's keys.
    pub key: String,
    /// The model as the provider names it.
    pub model: String,
    /// The configured models it is a route of.
    pub names: Vec<String>,
    /// Whether it would take a request.
    pub healthy: bool,
    /// `closed`, `open` or `half-open`.
    pub breaker: String,
    /// Who would refuse a request, in words.
    pub refusal: Option<String>,
    /// Until when.
    pub until_ms: Option<u64>,
    /// Requests under way.
    pub in_flight: u32,
    /// The expected time to its first token, once there was one.
    pub first_token_ms: Option<u64>,
    /// Its own limits.
    pub limits: Vec<LimitStanding>,
}

/// How much of a limit was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStanding {
    /// What it counts. Money is in nano-dollars.
    pub kind: LimitKind,
    /// How much is used in the window that ends now.
    pub used: u64,
    /// How much may be.
    pub limit: u64,
    /// When the next part of it is free again.
    pub frees_at_ms: Option<u64>,
}

impl Standing {
    /// How the providers of a router stand now.
    pub fn of(router: &Router) -> Self {
        let now = jiff::Timestamp::now().as_millisecond();
        let mut providers: Vec<ProviderStanding> = Vec::new();
        for status in router.routes() {
            let name = status.provider.as_str();
            let known = providers.iter().position(|provider| provider.name == name);
            let place = known.unwrap_or(providers.len());
            if known.is_none() {
                providers.push(ProviderStanding::new(name, status.dialect));
            }
            if let Some(provider) = providers.get_mut(place) {
                provider.take(&status);
            }
        }
        Self { at_ms: u64::try_from(now).unwrap_or(0), providers }
    }
}

impl ProviderStanding {
    fn new(name: &str, dialect: Dialect) -> Self {
        let (keys, routes) = (Vec::new(), Vec::new());
        // Of whom nothing is known there is nothing bad to say.
        Self { name: name.to_owned(), dialect, healthy: true, keys, routes }
    }

    fn take(&mut self, status: &RouteStatus) {
        let key = status.key.as_str();
        if !self.keys.iter().any(|known| known.key == key) {
            self.keys.push(KeyStanding { key: key.to_owned(), limits: limits(status, Scope::Key) });
        }
        if let Some(model) = &status.model {
            self.routes.push(RouteStanding::new(model, status));
            self.healthy = self.routes.iter().any(|route| route.healthy);
        }
    }
}

impl RouteStanding {
    fn new(model: &str, status: &RouteStatus) -> Self {
        Self {
            key: status.key.to_string(),
            model: model.to_owned(),
            names: status.models.clone(),
            healthy: status.refusal.is_none(),
            breaker: status.breaker.to_string(),
            refusal: status.refusal.map(|refusal| refusal.by.to_string()),
            until_ms: match (status.refusal, status.breaker) {
                (Some(refusal), _) => Some(refusal.until),
                (None, BreakerState::Open(until)) => Some(until),
                (None, _) => None,
            }
            .map(Timestamp::unix_millis),
            in_flight: status.in_flight,
            first_token_ms: status
                .first_token
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            limits: limits(status, Scope::Route),
        }
    }
}

/// What is only counted is no limit.
fn limits(status: &RouteStatus, scope: Scope) -> Vec<LimitStanding> {
    let of_scope = status.limits.iter().filter(|limit| limit.scope == scope);
    of_scope.filter_map(LimitStanding::new).collect()
}

impl LimitStanding {
    fn new(limit: &LimitStatus) -> Option<Self> {
        Some(Self {
            kind: limit.kind,
            used: limit.used,
            limit: limit.capacity?,
            frees_at_ms: limit.frees_at.map(Timestamp::unix_millis),
        })
    }
}
