//! The router: what callers hold.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use leverframe_core::{
    catalog::{Capabilities, Catalog},
    error::Failure,
    guard::{
        Breaker, BreakerConfig, BreakerState, Gate, HealthConfig, KeyGuard, LimitKind, Limits, RetryBudget,
        RetryBudgetConfig, RetryPolicy,
    },
    lifecycle::Route,
    model::{Dialect, KeyLabel, OnBreak, ProviderName, Request},
    record::Desk,
    time::{Clock, Timestamp},
};
use leverframe_http::{
    codec::Endpoint,
    transport::{Clocks, Transport},
};

use leverframe_store::Log;
use tokio::sync::Notify;

use crate::{
    Answer, BuildError, Builder, Error, Hedging, Policy, Queueing, ResponseStream, StreamSettings, driver,
    memory::Guards,
    observer::Observers,
    plan::{Backend, names::Names},
    queue::Queue,
    route_state::{RouteState, RouteStates},
    watch::RouteWatcher,
};

/// Sends requests to models and stays up when a provider does not.
///
/// Cheap to clone; clones share connections, breakers and limits. Make one
/// and keep it.
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

impl Router {
    /// A router configured by environment variables alone; see
    /// [`Builder::from_env`] for which.
    ///
    /// # Errors
    /// [`BuildError`], naming the variable.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::builder().from_env()?.build()
    }

    /// A router configured by code.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        if let Some(log) = &inner.log {
            let guards: Weak<Guards> = Arc::downgrade(&inner.guards);
            log.remember(guards);
        }
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The time, by the clock that everything here goes by.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// Dropping the future cancels the request: the connection is closed, what
    /// was not used is given back, and the record says so.
    ///
    /// # Errors
    /// One [`Error`], with every attempt that was made.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        driver::send(&self.inner, request).await
    }

    /// Sends a request and returns as soon as the answer begins.
    ///
    /// Until then failures are retried and fallen back from unseen. What comes
    /// after is the caller's to see: a stream that breaks off ends in an
    /// [`Error`] that holds the text so far.
    ///
    /// Dropping the future or the stream cancels the request.
    ///
    /// # Errors
    /// One [`Error`], with every attempt that was made.
    pub async fn stream(&self, request: Request) -> Result<ResponseStream, Error> {
        driver::stream(&self.inner, request).await
    }

    /// Where the breaker of a provider's model stands, for the first of its
    /// keys; [`routes`](Self::routes) tells all. `None` for a provider that is
    /// not configured.
    pub fn breaker_state(&self, provider: &str, model: &str) -> Option<BreakerState> {
        let configured = self.inner.providers.iter().find(|p| p.name.as_str() == provider)?;
        let route = configured.route(&configured.keys.first()?.label, model);
        // A route that was never asked has nothing against it.
        let state = self.inner.states.get(&route);
        Some(state.map_or(BreakerState::Closed, |state| state.gate().breaker_state(self.inner.now())))
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.inner.providers.iter().map(|provider| &provider.name).collect();
        f.debug_struct("Router").field("providers", &names).finish_non_exhaustive()
    }
}

/// Everything clones of a router share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) providers: Vec<Configured>,
    pub(crate) default_provider: usize,
    /// Places in `providers`, in the order of fallback.
    pub(crate) fallback: Vec<usize>,
    /// For names that are no configured model's.
    pub(crate) policy: Policy,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) observers: Observers,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) states: Arc<RouteStates>,
    pub(crate) guards: Arc<Guards>,
    /// Where what the guards learn is written down.
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) rng: Mutex<fastrand::Rng>,
}

/// A provider that was checked.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) name: ProviderName,
    pub(crate) dialect: Dialect,
    /// Never empty; no label occurs twice.
    pub(crate) keys: Vec<Key>,
    pub(crate) default_model: Option<String>,
    /// Whether it is where the models of its dialect are at home.
    pub(crate) native: bool,
    pub(crate) retries: Arc<RetryBudget>,
    pub(crate) tags: Arc<BTreeSet<String>>,
    /// Of all keys together.
    pub(crate) weight: f64,
    pub(crate) retry: Option<RetryPolicy>,
    /// Of each key.
    pub(crate) limits: Limits,
    /// Limits of single models, on each key.
    pub(crate) model_limits: BTreeMap<String, Limits>,
    pub(crate) clocks: Option<Clocks>,
    /// The routes to its default model, one for each key. Empty without one.
    pub(crate) own: Vec<Backend>,
    /// By the model that was asked for: the routes that stand in for it.
    pub(crate) stand_ins: HashMap<String, Vec<Backend>>,
}

/// One of a provider's API keys, and the provider as it is reached with it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) label: KeyLabel,
    pub(crate) endpoint: Endpoint,
    pub(crate) guard: Arc<KeyGuard>,
    /// Told when something came back to the key, or to one of its routes.
    pub(crate) released: Arc<Notify>,
}

impl Configured {
    /// The route to one of its models with one of its keys.
    pub(crate) fn route(&self, key: &KeyLabel, model: &str) -> Route {
        Route {
            provider: self.name.clone(),
            key: key.clone(),
            dialect: self.dialect,
            model: model.to_owned(),
        }
    }

    /// The limits of one of its models on one key.
    pub(crate) fn limits_of(&self, model: &str) -> Limits {
        let adaptive = self.limits.adaptive;
        self.model_limits.get(model).copied().unwrap_or_else(|| Limits { adaptive, ..Limits::default() })
    }

    /// Whether a limit on one of its models, or on its keys, counts tokens or money.
    pub(crate) fn counts_tokens(&self, model: &str) -> bool {
        let counts = |limits: &Limits| {
            LimitKind::ALL.into_iter().any(|kind| kind.counts_tokens() && limits.of(kind).is_some())
        };
        counts(&self.limits) || self.model_limits.get(model).is_some_and(counts)
    }

    /// Keys divide the provider's weight, so that more keys draw no more requests.
    pub(crate) fn weight_of_a_key(&self) -> f64 {
        self.weight / f64::from(u32::try_from(self.keys.len()).unwrap_or(u32::MAX))
    }
}

/// What applies to all requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) retry: RetryPolicy,
    pub(crate) retry_budget: RetryBudgetConfig,
    pub(crate) health: HealthConfig,
    pub(crate) queueing: Option<Queueing>,
    pub(crate) attempts: u32,
    pub(crate) breaker: BreakerConfig,
    pub(crate) clocks: Clocks,
    pub(crate) timeout: Duration,
    pub(crate) streams: StreamSettings,
    pub(crate) on_break: OnBreak,
    pub(crate) hedging: Option<Hedging>,
    pub(crate) fallback_on_refusal: bool,
}

impl Settings {
    /// A fresh state of a route that uses this key. `seed` is the breaker's
    /// source of jitter.
    pub(crate) fn route_state(
        &self,
        route: &Route,
        key: &Key,
        limits: Limits,
        observers: &Observers,
        seed: u64,
    ) -> RouteState {
        // build() has made a breaker of this configuration, and checked all limits.
        let Ok(breaker) = Breaker::new(self.breaker, seed) else { unreachable!("checked by build") };
        let Ok(gate) = Gate::new(breaker, Arc::clone(&key.guard), limits) else {
            unreachable!("checked by build")
        };
        let released = Arc::clone(&key.released);
        let watcher = RouteWatcher {
            route: route.clone(),
            observers: observers.clone(),
            released: Arc::clone(&released),
        };
        let queue = self.queueing.map(|queueing| Queue::new(queueing, released));
        RouteState::new(route, gate.with_watcher(Arc::new(watcher)), queue)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            retry_budget: RetryBudgetConfig::default(),
            health: HealthConfig::default(),
            queueing: None,
            attempts: 6,
            breaker: BreakerConfig::default(),
            clocks: Clocks::default(),
            timeout: Duration::from_secs(600),
            streams: StreamSettings::default(),
            on_break: OnBreak::default(),
            hedging: None,
            fallback_on_refusal: false,
        }
    }
}

impl Inner {
    /// The time, by the router's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A random source of its own for one request.
    pub(crate) fn fork_rng(&self) -> fastrand::Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// The provider of a route. Routes are made of configured providers only.
    pub(crate) fn provider_of(&self, route: &Route) -> &Configured {
        let found = self.providers.iter().find(|provider| provider.name == route.provider);
        let Some(provider) = found else { unreachable!("routes are made of configured providers") };
        provider
    }

    /// The key of a route, and the provider as it is reached with it.
    pub(crate) fn key_of(&self, route: &Route) -> &Key {
        let found = self.provider_of(route).keys.iter().find(|key| key.label == route.key);
        let Some(key) = found else { unreachable!("routes are made of configured keys") };
        key
    }

    /// Where a route's requests go.
    pub(crate) fn endpoint_of(&self, route: &Route) -> &Endpoint {
        &self.key_of(route).endpoint
    }

    /// How a route is retried.
    pub(crate) fn retry_of(&self, route: &Route) -> RetryPolicy {
        self.provider_of(route).retry.unwrap_or(self.settings.retry)
    }

    /// The clocks of an attempt on a route.
    pub(crate) fn clocks_of(&self, route: &Route) -> Clocks {
        self.clocks_at(self.provider_of(route))
    }

    /// The clocks of a call to a provider.
    pub(crate) fn clocks_at(&self, provider: &Configured) -> Clocks {
        provider.clocks.unwrap_or(self.settings.clocks)
    }

    /// What is known of a route's model.
    pub(crate) fn capabilities(&self, route: &Route) -> Option<&Capabilities> {
        self.catalog.capabilities(route.dialect.family(), &route.model)
    }

    /// Takes the route's key out of a failure, should the provider have quoted it.
    pub(crate) fn without_key(&self, route: &Route, failure: &mut Failure) {
        failure.message = self.endpoint_of(route).without_key(&failure.message);
    }

    /// The guards and figures of a route, made on first use.
    pub(crate) fn route_state(&self, route: &Route) -> Arc<RouteState> {
        let make = |route: &Route| {
            let (key, limits) = (self.key_of(route), self.provider_of(route).limits_of(&route.model));
            self.settings.route_state(route, key, limits, &self.observers, self.fork_rng().u64(..))
        };
        self.states.get_or_make(route, || self.now(), make)
    }

    /// The guards of a route.
    pub(crate) fn gate(&self, route: &Route) -> Arc<Gate> {
        Arc::clone(self.route_state(route).gate())
    }
}
